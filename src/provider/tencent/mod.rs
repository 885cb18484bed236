//! Tencent Cloud: STS 2018-08-13 and CVM instance metadata.
//!
//! One file per action decides what is asked; `request` builds it, `sts` asks; `answer` reads
//! what came back; `error` says what a refusal means.

mod answer;
pub mod error;
pub mod signing;

mod assume_role;
mod caller_identity;
mod federation_token;
mod instance_metadata;
mod printed;
mod request;
mod saml;
mod sts;
mod web_identity;

pub(super) use assume_role::AssumeRole;
pub(super) use caller_identity::identity_service;
pub(super) use federation_token::GetFederationToken;
pub(super) use instance_metadata::InstanceMetadata;
pub(super) use printed::printed;
pub(super) use saml::{AssumeRoleWithSaml, Exchange, Wanted};
pub(super) use web_identity::AssumeRoleWithWebIdentity;
