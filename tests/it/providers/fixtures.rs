//! Configurations, keys and answers; every secret in them contains the canary.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credvend::clock::{BootTime, Clock, SystemClock, unix_seconds};
use credvend::config::model::{
    self, CloudLimits, Key, Limits, Role, Service, Source, TencentAssumeRole, Upstream,
};
use credvend::credentials::{Cloud, CredentialSet, HoldsCredentials, Keys, Obtained};
use credvend::provider::error::ProviderError;
use credvend::provider::{BuildContext, Provider, SourceRoles, build};
use credvend::secret::{Secret, SecretRef};
use serde_json::{Value, json};

pub(crate) const CANARY: &str = "CANARY-5b1d";
pub(crate) const ROLE_ARN: &str = "qcs::cam::uin/100000000001:roleName/app";

/// Long enough for a busy machine, short enough for a test that waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(600);

pub(crate) fn upstream() -> Upstream {
    Upstream {
        proxy: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(3),
    }
}

pub(crate) fn impatient() -> Upstream {
    Upstream {
        timeout: PATIENCE,
        ..upstream()
    }
}

pub(crate) fn sts_at(endpoint: &str) -> Service {
    Service {
        region: "ap-guangzhou".into(),
        endpoint: endpoint.into(),
        fallback_endpoint: None,
        upstream: upstream(),
    }
}

pub(crate) fn assume_role(sts: Service) -> TencentAssumeRole {
    TencentAssumeRole {
        sts,
        source: Source::Key("ops".parse().unwrap()),
        role_arn: ROLE_ARN.into(),
        session_name: "app-host".into(),
        duration: Duration::from_hours(2),
        policy: None,
        external_id: None,
        tags: BTreeMap::new(),
        source_identity: None,
    }
}

/// A directory with the files of `[key.ops]`, and a context that knows it.
pub(crate) struct Setup {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) context: BuildContext,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(SystemClock), no_roles())
    }

    pub(crate) fn with(clock: Arc<dyn Clock>, source_roles: SourceRoles) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "id", "AKIDlonglived\n");
        write(folder.path(), "secret", &format!("{CANARY}-secret\n"));
        let key = Key {
            cloud: Cloud::Tencent,
            id: SecretRef::File(folder.path().join("id")),
            secret: SecretRef::File(folder.path().join("secret")),
        };
        let keys = BTreeMap::from([("ops".parse().unwrap(), key)]);
        Self {
            context: BuildContext::new(clock, keys, limits(), source_roles),
            folder,
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> SecretRef {
        write(self.folder.path(), name, text);
        SecretRef::File(self.folder.path().join(name))
    }

    pub(crate) fn build(&self, provider: model::Provider) -> Arc<dyn Provider> {
        build(&role(provider), &self.context)
    }

    pub(crate) fn assume_role(&self, endpoint: &str) -> Arc<dyn Provider> {
        let settings = assume_role(sts_at(endpoint));
        self.build(model::Provider::TencentAssumeRole(settings))
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

pub(crate) fn no_roles() -> SourceRoles {
    Arc::new(|name| panic!("nobody signs with role `{name}` here"))
}

pub(crate) fn limits() -> Limits {
    let limits = |default| CloudLimits {
        default,
        actions: BTreeMap::from([("get-caller-identity".to_owned(), 20.0)]),
    };
    Limits {
        tencent: limits(50.0),
        huawei: limits(10.0),
    }
}

fn role(provider: model::Provider) -> Role {
    Role {
        name: "app".parse().unwrap(),
        cloud: Cloud::Tencent,
        refresh_ahead: None,
        min_remaining: None,
        expected_account: None,
        lazy: false,
        provider,
        fingerprint: "f".into(),
    }
}

/// Keys of some temporary set.
pub(crate) fn temporary_keys() -> Keys {
    Keys {
        access_key_id: "AKIDtemporary".into(),
        secret_access_key: Secret::from(format!("{CANARY}-temporary-secret")),
        session_token: Secret::from(format!("{CANARY}-temporary-token")),
    }
}

/// A role that others sign with.
#[derive(Debug, Default)]
pub(crate) struct SourceRole(pub(crate) Option<Arc<CredentialSet>>);

impl SourceRole {
    pub(crate) fn with_keys() -> Self {
        Self(Some(Arc::new(CredentialSet {
            keys: temporary_keys(),
            issued_at: SystemClock.wall(),
            obtained_at: BootTime::default(),
            expires_at: SystemClock.boot() + Duration::from_hours(1),
            generation: 1,
            etag: "\"e\"".into(),
        })))
    }
}

impl HoldsCredentials for SourceRole {
    fn valid_set(&self) -> Option<Arc<CredentialSet>> {
        self.0.clone()
    }
}

/// The host's clock, but wrong.
#[derive(Debug)]
pub(crate) struct WrongClock {
    pub(crate) behind: Duration,
}

impl Clock for WrongClock {
    fn boot(&self) -> BootTime {
        SystemClock.boot()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall() - self.behind
    }
}

pub(crate) fn wall() -> SystemTime {
    SystemClock.wall()
}

pub(crate) fn now() -> u64 {
    unix_seconds(SystemClock.wall())
}

/// A good answer of a minting action.
pub(crate) fn minted() -> Value {
    json!({"Response": {
        "Credentials": {
            "TmpSecretId": "AKIDminted",
            "TmpSecretKey": format!("{CANARY}-minted-key"),
            "Token": format!("{CANARY}-minted-token"),
        },
        "ExpiredTime": now() + 7200,
        "Expiration": "2000-01-01T00:00:00Z",
        "RequestId": "request-1",
    }})
}

pub(crate) fn refusal(code: &str, message: &str) -> Value {
    json!({"Response": {"Error": {"Code": code, "Message": message}, "RequestId": "request-2"}})
}

/// One attempt that has to work.
pub(crate) async fn obtain(provider: &Arc<dyn Provider>) -> Obtained {
    provider
        .provide()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()))
}

/// One attempt that has to fail, without a secret in anything that may be printed.
pub(crate) async fn fail(provider: &Arc<dyn Provider>) -> ProviderError {
    let error = provider.provide().await.expect_err("an attempt that fails");
    without_canary(&error);
    let shown = format!("{provider:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    error
}

pub(crate) fn without_canary(error: &ProviderError) {
    let mut shown = format!("{error} {error:?} {}", error.report());
    let mut cause = error.source();
    while let Some(error) = cause {
        shown.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!shown.contains(CANARY), "a secret is shown: {shown}");
}
