//! An emulated cloud with everything a provider of any kind needs, and the providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credvend::clock::{Clock, SystemClock};
use credvend::config::model::{
    self, CloudLimits, Command, HuaweiAgencyCredentials, HuaweiAssumeAgency,
    HuaweiAssumeAgencyWithOidc, HuaweiAssumeAgencyWithSaml, HuaweiDomain, HuaweiInstanceMetadata,
    HuaweiRestrictions, Key, Limits, Provider as Settings, SamlAssertion, Service, Source,
    Upstream,
};
use credvend::credentials::Cloud;
use credvend::emulator::{Emulator, EmulatorConfig, HUAWEI_ACCOUNT, Running};
use credvend::name::Name;
use credvend::provider::{BuildContext, Provider, SourceRoles, build};
use credvend::secret::SecretRef;

/// The kinds of provider that mint or fetch from this cloud.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    AgencyCredentials,
    AssumeAgency,
    InstanceMetadata,
    Oidc,
    Saml,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::AgencyCredentials,
        Self::AssumeAgency,
        Self::InstanceMetadata,
        Self::Oidc,
        Self::Saml,
    ];

    /// What the emulator calls the action.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::AgencyCredentials => "CreateTemporaryAccessKeyByAgency",
            Self::AssumeAgency => "AssumeAgency",
            Self::InstanceMetadata => "SecurityKey",
            Self::Oidc => "AssumeAgencyWithOIDC",
            Self::Saml => "AssumeAgencyWithSAML",
        }
    }

    /// The agency whose keys it gets.
    pub(super) fn agency(self) -> &'static str {
        match self {
            Self::AgencyCredentials | Self::AssumeAgency | Self::InstanceMetadata => "app",
            Self::Oidc => "web",
            Self::Saml => "staff",
        }
    }
}

pub(super) struct World {
    pub(super) cloud: Running,
    pub(super) folder: tempfile::TempDir,
    pub(super) context: BuildContext,
    clock: Arc<dyn Clock>,
}

impl World {
    pub(super) fn start() -> Self {
        Self::with(Arc::new(SystemClock))
    }

    /// With another clock for the host than the cloud's.
    pub(super) fn with(clock: Arc<dyn Clock>) -> Self {
        let cloud = Emulator::start(EmulatorConfig::example().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (id, secret) = cloud.state.with_huawei(|world| {
            let key = world.first_key().unwrap();
            (key.id.clone(), key.secret.expose().to_owned())
        });
        std::fs::write(folder.path().join("id"), id).unwrap();
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        let key = Key {
            cloud: Cloud::Huawei,
            id: SecretRef::File(folder.path().join("id")),
            secret: SecretRef::File(folder.path().join("secret")),
        };
        let keys = BTreeMap::from([("ops".parse().unwrap(), key)]);
        let nobody: SourceRoles = Arc::new(|name| panic!("nobody signs with role `{name}`"));
        let limits = limits();
        let context = BuildContext::new(Arc::clone(&clock), keys, limits, nobody);
        let world = Self {
            cloud,
            folder,
            context,
            clock,
        };
        world.renew_proofs();
        world
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What an identity provider does all the time: a new token, and a new assertion behind a
    /// program, which is asked for each attempt since an assertion is good once.
    pub(super) fn renew_proofs(&self) {
        let state = &self.cloud.state;
        let now = state.now();
        let lifetime = Duration::from_mins(5);
        let (token, assertions) = state.with_huawei(|world| {
            let oidc = world.oidc_provider(HUAWEI_ACCOUNT, "example-oidc").unwrap();
            let saml = world.saml_provider(HUAWEI_ACCOUNT, "example-saml").unwrap();
            let staff = format!("iam::{HUAWEI_ACCOUNT}:agency:staff");
            let assertion = || {
                let made = saml.huawei_assertion(&staff, "session", now, lifetime);
                made.unwrap()
            };
            let assertions: Vec<String> = (0..20).map(|_| assertion()).collect();
            (oidc.token("someone", now, lifetime), assertions)
        });
        std::fs::write(self.path("token"), token).unwrap();
        std::fs::write(self.path("assertions"), assertions.join("\n")).unwrap();
    }

    pub(super) fn service(&self) -> Service {
        Service {
            region: "cn-north-4".to_owned(),
            endpoint: self.cloud.endpoint(),
            fallback_endpoint: None,
            upstream: upstream(),
        }
    }

    pub(super) fn settings(&self, kind: Kind) -> Settings {
        let urn = |kind: &str, name: &str| format!("iam::{HUAWEI_ACCOUNT}:{kind}:{name}");
        let source = Source::Key("ops".parse().unwrap());
        let agency_urn = urn("agency", kind.agency());
        let duration = Duration::from_hours(2);
        match kind {
            Kind::AgencyCredentials => Settings::HuaweiAgencyCredentials(HuaweiAgencyCredentials {
                iam: self.service(),
                source,
                agency_name: kind.agency().to_owned(),
                delegating: HuaweiDomain::Id(HUAWEI_ACCOUNT.to_owned()),
                session_name: None,
                duration,
                policy: None,
                sts: self.service(),
            }),
            Kind::AssumeAgency => Settings::HuaweiAssumeAgency(HuaweiAssumeAgency {
                sts: self.service(),
                source,
                agency_urn,
                session_name: "session".to_owned(),
                duration,
                restrictions: HuaweiRestrictions::default(),
                external_id: None,
                tags: BTreeMap::new(),
                transitive_tag_keys: [].into(),
                source_identity: None,
                mfa: None,
                provided_contexts: Vec::new(),
            }),
            Kind::InstanceMetadata => Settings::HuaweiInstanceMetadata(HuaweiInstanceMetadata {
                endpoint: self.cloud.endpoint(),
                upstream: upstream(),
                sts: self.service(),
            }),
            Kind::Oidc => Settings::HuaweiAssumeAgencyWithOidc(HuaweiAssumeAgencyWithOidc {
                sts: self.service(),
                provider_urn: urn("oidc-provider", "example-oidc"),
                agency_urn,
                session_name: "session".to_owned(),
                duration,
                restrictions: HuaweiRestrictions::default(),
                id_token: SecretRef::File(self.path("token").into()),
            }),
            Kind::Saml => Settings::HuaweiAssumeAgencyWithSaml(HuaweiAssumeAgencyWithSaml {
                sts: self.service(),
                provider_urn: urn("saml-provider", "example-saml"),
                agency_urn,
                duration,
                restrictions: HuaweiRestrictions::default(),
                assertion: SamlAssertion::Command(self.next_assertion()),
            }),
        }
    }

    /// Prints the first line of a file and takes it out.
    fn next_assertion(&self) -> Vec<String> {
        let file = self.path("assertions");
        let script = format!("head -n 1 '{file}' && sed -i 1d '{file}'");
        ["/bin/sh", "-c", &script].map(str::to_owned).to_vec()
    }

    pub(super) fn build(&self, settings: Settings) -> Arc<dyn Provider> {
        build(&role(settings), &self.context)
    }

    pub(super) fn provider(&self, kind: Kind) -> Arc<dyn Provider> {
        self.build(self.settings(kind))
    }

    /// A program that prints this.
    pub(super) fn printed(&self, text: &str) -> Settings {
        std::fs::write(self.path("printed"), text).unwrap();
        Settings::Command(Command {
            command: vec!["/bin/cat".to_owned(), self.path("printed")],
            cloud: Cloud::Huawei,
            sts: self.service(),
        })
    }
}

/// More than any test needs.
fn limits() -> Limits {
    let limits = || CloudLimits {
        default: 1000.0,
        actions: BTreeMap::new(),
    };
    Limits {
        huawei: limits(),
        tencent: limits(),
    }
}

/// Waits less than a person would.
pub(super) fn upstream() -> Upstream {
    Upstream {
        proxy: None,
        ca_file: None,
        timeout: Duration::from_millis(1500),
        connect_timeout: Duration::from_secs(3),
    }
}

fn role(provider: Settings) -> model::Role {
    let name: Name = "app".parse().unwrap();
    model::Role {
        name,
        cloud: Cloud::Huawei,
        refresh_ahead: None,
        min_remaining: None,
        expected_account: None,
        lazy: false,
        provider,
        fingerprint: String::new(),
    }
}
