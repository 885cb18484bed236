//! Credentials that a program prints: in the AWS `credential_process` shape, or in a shape of the
//! cloud they are for. A set without an expiry is refused, since only temporary ones are vended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

use super::clouds;
use super::context::BuildContext;
use super::error::{Class, ProviderError};
use super::program::Program;
use super::service::Identify;
use super::service::answer::{self, Holds, moment, secret};
use super::{CallSite, Provider};
use crate::clock::{BootTime, Clock};
use crate::config::model;
use crate::credentials::{Cloud, Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::secret::Secret;

/// Runs a program for each attempt.
#[derive(Debug)]
pub(super) struct Command {
    clock: Arc<dyn Clock>,
    program: Program,
    cloud: Cloud,
    identity: Box<dyn Identify>,
}

impl Command {
    pub(super) fn new(settings: &model::Command, context: &BuildContext) -> Self {
        Self {
            clock: context.clock(),
            program: Program::new(settings.command.clone()),
            cloud: settings.cloud,
            identity: clouds::identity_service(settings.cloud, &settings.sts, context),
        }
    }
}

impl Provider for Command {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            let sent_at = self.clock.boot();
            let printed = self.program.run().await?;
            read(self.cloud, printed.as_ref(), sent_at).map_err(|reason| {
                ProviderError::new(
                    Class::Transient,
                    format!("{} printed no credentials: {reason}", self.program),
                )
            })
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.identity.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        CallSite {
            endpoint: "command".to_owned(),
            action: "run",
            budget: None,
        }
    }

    fn identity_call(&self) -> CallSite {
        self.identity.identity_call()
    }

    fn mints(&self) -> bool {
        false
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.identity.watched_files();
        files.extend(self.program.file());
        files
    }
}

/// Source: "Sourcing credentials with an external process" of the AWS SDK reference.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialProcess {
    version: u64,
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    session_token: Secret,
    expiration: String,
}

fn read(cloud: Cloud, printed: &[u8], sent_at: BootTime) -> Result<Obtained, String> {
    if let Some(read) = clouds::printed(cloud, printed, sent_at) {
        return read;
    }
    answer::printed::<CredentialProcess>(printed, sent_at)
}

impl Holds for CredentialProcess {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        if self.version != 1 {
            return Err(format!(
                "`Version` is {}, and only 1 is known",
                self.version
            ));
        }
        let expires_at = moment(&self.expiration);
        let keys = Keys {
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key,
            session_token: self.session_token,
        };
        Ok((keys, expires_at))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::{any, prop_assert, proptest};

    use super::read;
    use crate::clock::BootTime;
    use crate::credentials::Cloud::{self, Huawei, Tencent};
    use crate::credentials::Obtained;

    const PROCESS: &str = r#"{"Version": 1, "AccessKeyId": "AKIDx", "SecretAccessKey": "CANARY-key",
        "SessionToken": "CANARY-token", "Expiration": "2024-01-28T01:58:09Z"}"#;
    const STS: &str = r#"{"Response": {"Credentials": {"Token": "CANARY-token", "TmpSecretId":
        "AKIDx", "TmpSecretKey": "CANARY-key"}, "ExpiredTime": 1706407089}}"#;
    const METADATA: &str = r#"{"TmpSecretId": "AKIDx", "TmpSecretKey": "CANARY-key", "ExpiredTime":
        1706407089, "Expiration": "2024-01-28T01:58:09Z", "Token": "CANARY-token", "Code":
        "Success"}"#;

    const ASSUMED: &str = r#"{"assumed_agency": {"urn": "sts::1:assumed-agency:app/x", "id": "i"},
        "credentials": {"access_key_id": "AKIDx", "secret_access_key": "CANARY-key",
        "security_token": "CANARY-token", "expiration": "2024-01-28T01:58:09.158Z"}}"#;
    const SECURITY_KEY: &str = r#"{"credential": {"access": "AKIDx", "secret": "CANARY-key",
        "securitytoken": "CANARY-token", "expires_at": "2024-01-28T01:58:09.158000Z"}}"#;

    fn read_as(cloud: Cloud, printed: &str) -> Result<Obtained, String> {
        read(cloud, printed.as_bytes(), BootTime::default())
    }

    #[test]
    fn every_shape_becomes_the_same_set() {
        for (cloud, printed) in [
            (Huawei, ASSUMED),
            (Huawei, PROCESS),
            (Huawei, SECURITY_KEY),
            (Tencent, METADATA),
            (Tencent, PROCESS),
            (Tencent, STS),
        ] {
            let set = read_as(cloud, printed).unwrap();
            assert_eq!(set.keys.access_key_id, "AKIDx", "{printed}");
            assert_eq!(set.keys.secret_access_key.expose(), "CANARY-key");
            assert_eq!(set.keys.session_token.expose(), "CANARY-token");
            let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_706_407_089);
            assert_eq!(set.expires_at, expires_at);
            assert_eq!(set.issuer_now, None);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_it() {
        for (printed, expected) in [
            (
                PROCESS.replace(": 1,", ": 2,"),
                "`Version` is 2, and only 1 is known",
            ),
            (
                PROCESS.replace("Expiration", "Expires"),
                "`Expiration` is missing",
            ),
            (
                PROCESS.replace("2024-01-28T01:58:09Z", "CANARY"),
                "it has no valid expiry",
            ),
            (
                PROCESS.replace("\"CANARY-token\"", "null"),
                "`SessionToken` is not what it should be",
            ),
            (
                PROCESS.replace("SessionToken", "X"),
                "`SessionToken` is missing",
            ),
            (
                METADATA.replace("Success", "Failed"),
                "its code is `Failed`",
            ),
            (
                METADATA.replace("1706407089", "\"CANARY\""),
                "`ExpiredTime` is not what it should be",
            ),
            ("CANARY".to_owned(), "it is not JSON"),
            (String::new(), "it is cut off"),
        ] {
            let reason = read_as(Tencent, &printed).unwrap_err();
            assert_eq!(reason, expected, "{printed}");
        }
    }

    #[test]
    fn another_clouds_shape_is_none() {
        for (cloud, printed) in [(Huawei, STS), (Tencent, SECURITY_KEY)] {
            let reason = read_as(cloud, printed).unwrap_err();
            assert_eq!(reason, "`Version` is missing", "{printed}");
        }
    }

    proptest! {
        #[test]
        fn no_output_makes_the_parser_panic_or_quote(
            shape in 0_usize..5,
            at in any::<usize>(),
            byte in any::<u8>(),
            cut in any::<usize>(),
        ) {
            let shapes = [PROCESS, STS, METADATA, ASSUMED, SECURITY_KEY];
            let mut printed = shapes[shape].as_bytes().to_vec();
            let at = at % printed.len();
            printed[at] = byte;
            printed.truncate(cut % (printed.len() * 2));
            for cloud in [Huawei, Tencent] {
                if let Err(reason) = read(cloud, &printed, BootTime::default()) {
                    prop_assert!(!reason.contains("CANARY"), "{reason}");
                }
            }
        }
    }
}
