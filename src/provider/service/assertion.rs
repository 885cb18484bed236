//! A SAML assertion that a provider presents instead of a signature.
//!
//! Assertions live for minutes and are meant for one use, so each attempt wants a new one: from
//! a program that asks the identity provider, or from a file that something else replaces.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::model::SamlAssertion;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::program::Program;
use crate::secret::{Secret, SecretSource};

/// Where assertions come from.
#[derive(Debug)]
pub(in crate::provider) enum Assertion {
    Printed(Program),
    Secret(Arc<SecretSource>),
}

impl Assertion {
    pub(in crate::provider) fn new(settings: &SamlAssertion, context: &BuildContext) -> Self {
        match settings {
            SamlAssertion::Command(argv) => Self::Printed(Program::new(argv.clone())),
            SamlAssertion::Secret(reference) => Self::Secret(context.secret(reference)),
        }
    }

    /// A new one.
    pub(in crate::provider) async fn get(&self) -> Result<Arc<Secret>, ProviderError> {
        match self {
            Self::Printed(program) => {
                let printed = program.run().await.map_err(ProviderError::not_sent)?;
                let assertion = std::str::from_utf8(printed.as_ref())
                    .map(|text| Secret::from(text.trim()))
                    .ok()
                    .filter(|assertion| !assertion.is_empty());
                assertion.map(Arc::new).ok_or_else(|| {
                    ProviderError::new(
                        Class::Transient,
                        format!("{program} printed no SAML assertion"),
                    )
                    .not_sent()
                })
            }
            Self::Secret(source) => source.read().map_err(|error| {
                ProviderError::new(Class::Final, "the SAML assertion cannot be read")
                    .caused_by(error)
                    .not_sent()
            }),
        }
    }

    /// Reads it again. Whether the next [`Self::get`] brings another one; a program is asked each
    /// time anyway.
    pub(in crate::provider) fn reread(&self) -> bool {
        match self {
            Self::Printed(_) => true,
            Self::Secret(source) => source.reread(),
        }
    }

    /// The file whose change makes another attempt worth while, if there is one.
    pub(in crate::provider) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Printed(program) => program.file(),
            Self::Secret(source) => source.file(),
        }
    }
}
