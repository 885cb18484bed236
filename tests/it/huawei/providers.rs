//! One attempt of each provider: what is asked, what comes of an answer, what a refusal means.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use credvend::clock::{BootTime, Clock, SystemClock};
use credvend::config::model::{Provider as Settings, SamlAssertion, Service};
use credvend::credentials::Obtained;
use credvend::emulator::{Fault, FaultKind, HUAWEI_ACCOUNT};
use credvend::provider::Provider;
use credvend::provider::error::{Class, ProviderError};
use credvend::secret::SecretRef;

use super::world::{Kind, World, upstream};

async fn obtain(provider: &Arc<dyn Provider>) -> Obtained {
    let obtained = provider.provide().await;
    obtained.unwrap_or_else(|error| panic!("{}", error.report()))
}

async fn fail(provider: &Arc<dyn Provider>) -> ProviderError {
    provider.provide().await.expect_err("an attempt that fails")
}

fn life(obtained: &Obtained) -> Duration {
    obtained.lifetime(SystemClock.wall())
}

#[tokio::test]
async fn each_provider_obtains_a_set_and_says_whose_it_is() {
    let world = World::start();
    for kind in Kind::ALL {
        let provider = world.provider(kind);
        let obtained = obtain(&provider).await;
        assert!(obtained.keys.are_complete(), "{kind:?}");
        assert!(obtained.issuer_now.is_some(), "{kind:?}");
        let expected = match kind {
            Kind::InstanceMetadata => Duration::from_hours(6),
            Kind::AgencyCredentials | Kind::AssumeAgency | Kind::Oidc | Kind::Saml => {
                Duration::from_hours(2)
            }
        };
        let life = life(&obtained);
        let slack = Duration::from_secs(2);
        assert!(
            life <= expected && life + slack >= expected,
            "{kind:?}: {life:?}"
        );

        let identity = provider.identify(&obtained.keys).await.unwrap();
        assert_eq!(identity.account, HUAWEI_ACCOUNT, "{kind:?}");
        assert_eq!(identity.kind, "assumed-agency", "{kind:?}");
        let agency = format!(":assumed-agency:{}/", kind.agency());
        assert!(identity.arn.contains(&agency), "{}", identity.arn);
        assert_eq!(provider.mints(), kind != Kind::InstanceMetadata);

        let calls = world.cloud.state.calls();
        assert_eq!(calls.by_action[kind.action()], 1, "{kind:?}");
        let site = provider.mint_call();
        assert_eq!(site.endpoint, world.cloud.addr.to_string());
        assert_eq!(site.budget.is_some(), kind != Kind::InstanceMetadata);
    }
}

#[tokio::test]
async fn a_throttle_keeps_its_pause_and_everything_else_its_class() {
    let world = World::start();
    let throttled = Fault {
        retry_after_seconds: Some(7),
        ..Fault::new(FaultKind::Throttle)
    };
    let pause = Some(Duration::from_secs(7));
    let faults = [
        (throttled.clone(), Class::Throttled { retry_after: pause }),
        (
            Fault {
                status: Some(429),
                ..throttled
            },
            Class::Throttled { retry_after: pause },
        ),
        (Fault::status(503), Class::Transient),
        (Fault::status(502), Class::Transient),
        (Fault::new(FaultKind::Garbage), Class::Transient),
        (Fault::new(FaultKind::Truncated), Class::Transient),
        (Fault::new(FaultKind::Reset), Class::Transient),
        (Fault::new(FaultKind::Hang), Class::Transient),
        (Fault::new(FaultKind::Incomplete), Class::Transient),
    ];
    for kind in Kind::ALL {
        let provider = world.provider(kind);
        for (fault, class) in &faults {
            let fault = fault.clone().on_action(kind.action());
            world.cloud.state.push_fault(fault.clone()).unwrap();
            let error = fail(&provider).await;
            assert_eq!(
                error.class,
                *class,
                "{kind:?} {fault:?}: {}",
                error.report()
            );
            assert_eq!(world.cloud.state.faults(), [], "it struck");
        }
        obtain(&provider).await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_what_to_do() {
    let world = World::start();
    let fault = Fault::error("STS5.1001", "not allowed to assume");
    for kind in [
        Kind::AgencyCredentials,
        Kind::AssumeAgency,
        Kind::Oidc,
        Kind::Saml,
    ] {
        let provider = world.provider(kind);
        let fault = fault.clone().on_action(kind.action());
        world.cloud.state.push_fault(fault).unwrap();
        let error = fail(&provider).await;
        assert_eq!(error.class, Class::Final, "{kind:?}");
        assert_eq!(error.code.as_deref(), Some("STS5.1001"));
        assert_eq!(error.request_id.as_deref().map(str::len), Some(32));
        assert!(error.message.contains("not allowed to assume"), "{error}");
        assert!(error.message.contains("trust policy"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_final_and_quotes_nothing() {
    let world = World::start();
    std::fs::write(world.path("secret"), "CANARY-wrong").unwrap();
    for kind in [Kind::AgencyCredentials, Kind::AssumeAgency] {
        let error = fail(&world.provider(kind)).await;
        assert_eq!(error.class, Class::Final);
        assert_eq!(error.code.as_deref(), Some("APIGW.0301"));
        assert!(error.message.contains("check the `secret`"), "{error}");
        assert!(!error.report().contains("CANARY"), "{error}");
    }
    std::fs::write(world.path("id"), "HPUANOBODY").unwrap();
    let error = fail(&world.provider(Kind::AssumeAgency)).await;
    assert!(error.message.contains("check the `id`"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_too_long_is_stepped_down() {
    let world = World::start();
    let Settings::HuaweiAssumeAgency(mut settings) = world.settings(Kind::AssumeAgency) else {
        panic!("another kind");
    };
    settings.agency_urn = format!("iam::{HUAWEI_ACCOUNT}:agency:short");
    settings.duration = Duration::from_hours(12);
    let provider = world.build(Settings::HuaweiAssumeAgency(settings));
    for next in ["28800 s", "7200 s", "3600 s"] {
        let error = fail(&provider).await;
        assert_eq!(error.class, Class::DurationTooLong);
        assert!(error.message.contains(next), "{error}");
    }
    assert!(life(&obtain(&provider).await) <= Duration::from_hours(1));
}

/// The host's clock, but wrong, until somebody sets it right.
#[derive(Debug)]
struct Behind(Mutex<Duration>);

impl Behind {
    fn by(time: Duration) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }
}

impl Clock for Behind {
    fn boot(&self) -> BootTime {
        SystemClock.boot()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall() - *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_what_the_cloud_says() {
    for kind in [Kind::AgencyCredentials, Kind::AssumeAgency] {
        let clock = Behind::by(Duration::from_hours(5));
        let world = World::with(clock.clone());
        let provider = world.provider(kind);
        let Class::Clock { offset_seconds } = fail(&provider).await.class else {
            panic!("another class");
        };
        assert!(
            (17_995..=18_005).contains(&offset_seconds),
            "{offset_seconds}"
        );
        let obtained = obtain(&provider).await;
        let life = obtained.lifetime(world.clock().wall());
        assert!(
            life <= Duration::from_hours(2),
            "by the cloud's own clock: {life:?}"
        );
        provider.identify(&obtained.keys).await.unwrap();

        // Set right, what was learned is wrong, and one more try at once mends that.
        *clock.0.lock().unwrap() = Duration::ZERO;
        let Class::Clock { offset_seconds } = fail(&provider).await.class else {
            panic!("another class");
        };
        assert!(offset_seconds.abs() <= 5, "{offset_seconds}");
        obtain(&provider).await;
    }
}

#[tokio::test]
async fn a_stale_token_is_read_again() {
    let world = World::start();
    let provider = world.provider(Kind::Oidc);
    let fresh = std::fs::read_to_string(world.path("token")).unwrap();
    let now = world.cloud.state.now();
    let expired = world.cloud.state.with_huawei(|it| {
        let oidc = it.oidc_provider(HUAWEI_ACCOUNT, "example-oidc").unwrap();
        oidc.token("someone", now - 500, Duration::from_mins(5))
    });
    std::fs::write(world.path("token"), expired).unwrap();
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::StaleSource);
    assert!(
        error.message.contains("s ago and has to be renewed"),
        "{error}"
    );
    std::fs::write(world.path("token"), fresh).unwrap();
    provider.reread_source();
    obtain(&provider).await;
}

#[tokio::test]
async fn an_assertion_is_good_once_and_may_come_from_a_file() {
    let world = World::start();
    let Settings::HuaweiAssumeAgencyWithSaml(mut settings) = world.settings(Kind::Saml) else {
        panic!("another kind");
    };
    let first = std::fs::read_to_string(world.path("assertions")).unwrap();
    std::fs::write(world.path("assertion"), first.lines().next().unwrap()).unwrap();
    let reference = SecretRef::File(world.path("assertion").into());
    settings.assertion = SamlAssertion::Secret(reference);
    let provider = world.build(Settings::HuaweiAssumeAgencyWithSaml(settings));
    obtain(&provider).await;
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::Final);
    assert!(error.message.contains("used before"), "{error}");
    assert!(
        provider
            .watched_files()
            .contains(&world.path("assertion").into())
    );
}

#[tokio::test]
async fn an_instance_without_tokens_or_without_an_agency() {
    let world = World::start();
    let provider = world.provider(Kind::InstanceMetadata);
    for status in [404, 405, 503] {
        let fault = Fault::status(status).on_action("MetadataToken");
        world.cloud.state.push_fault(fault).unwrap();
        obtain(&provider).await;
    }
    let fault = Fault::status(500).on_action("MetadataToken");
    world.cloud.state.push_fault(fault).unwrap();
    assert_eq!(fail(&provider).await.class, Class::Transient);

    let one = obtain(&provider).await.keys.access_key_id;
    let two = obtain(&provider).await.keys.access_key_id;
    assert_eq!(one, two, "the service repeats its set");

    world.cloud.state.with_huawei(|world| world.instance = None);
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::Final);
    assert!(error.message.contains("no agency is attached"), "{error}");
}

#[tokio::test]
async fn what_a_program_prints_can_be_asked_about() {
    let world = World::start();
    let minted = obtain(&world.provider(Kind::AssumeAgency)).await;
    let text = serde_json::json!({"credentials": {
        "access_key_id": minted.keys.access_key_id,
        "secret_access_key": minted.keys.secret_access_key.expose(),
        "security_token": minted.keys.session_token.expose(),
        "expiration": "2100-01-01T00:00:00.000Z",
    }});
    let provider = world.build(world.printed(&text.to_string()));
    let printed = obtain(&provider).await;
    assert_eq!(printed.keys.access_key_id, minted.keys.access_key_id);
    let identity = provider.identify(&printed.keys).await.unwrap();
    assert_eq!(identity.account, HUAWEI_ACCOUNT);
    assert!(!provider.mints());
}

#[tokio::test]
async fn keys_that_the_cloud_does_not_know_yet_are_asked_about_again() {
    let world = World::start();
    let provider = world.provider(Kind::AssumeAgency);
    let obtained = obtain(&provider).await;
    let fault = Fault::error(
        "APIGW.0301",
        "Incorrect IAM authentication information: Get secretKey failed,ak:x,err:ak not exist",
    );
    world.cloud.state.push_fault(fault).unwrap();
    let error = provider.identify(&obtained.keys).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
}

#[tokio::test]
async fn the_second_region_is_called_when_the_first_is_away() {
    let world = World::start();
    let Settings::HuaweiAssumeAgency(mut settings) = world.settings(Kind::AssumeAgency) else {
        panic!("another kind");
    };
    settings.sts = Service {
        endpoint: "http://127.0.0.1:1".to_owned(),
        fallback_endpoint: Some(world.cloud.endpoint()),
        upstream: upstream(),
        ..settings.sts
    };
    let provider = world.build(Settings::HuaweiAssumeAgency(settings));
    for _ in 0..2 {
        assert_eq!(fail(&provider).await.class, Class::Transient);
    }
    let obtained = obtain(&provider).await;
    provider.identify(&obtained.keys).await.unwrap();
    assert_eq!(provider.mint_call().endpoint, world.cloud.addr.to_string());
}
