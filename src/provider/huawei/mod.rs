//! Huawei Cloud: STS v5, IAM v3.0 and ECS instance metadata.
//!
//! One file per action decides what is asked; `api` signs and sends it; `answer` reads what came
//! back; `error` says what a refusal means.

pub mod error;
pub mod signing;

mod agency_credentials;
mod answer;
mod api;
mod assume_agency;
mod caller_identity;
mod instance_metadata;
mod oidc;
mod saml;

pub(super) use agency_credentials::AgencyCredentials;
pub(super) use answer::printed;
pub(super) use assume_agency::AssumeAgency;
pub(super) use caller_identity::identity_service;
pub(super) use instance_metadata::InstanceMetadata;
pub(super) use oidc::AssumeAgencyWithOidc;
pub(super) use saml::AssumeAgencyWithSaml;
