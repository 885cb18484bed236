use std::path::Path;

use zeroize::Zeroizing;

use super::{Plan, Static, Surroundings, plan};
use crate::cli::locate::{Offer, Serving};
use crate::cli::question::Target;
use crate::credentials::Cloud;

fn serving(name: &str, address: &str, protocols: &[&str], token: bool) -> Serving {
    Serving {
        name: name.to_owned(),
        target: Target::Tcp(address.parse().unwrap()),
        token: token.then(|| "/run/t".into()),
        protocols: protocols.iter().map(|&it| it.to_owned()).collect(),
        is_first: true,
    }
}

fn plan_for(cloud: Cloud, servings: Vec<Serving>, no_proxy: Option<&str>) -> Plan {
    let token = |path: &Path| (path == Path::new("/run/t")).then(|| Zeroizing::new("s/t".into()));
    let around = Surroundings {
        token: &token,
        no_proxy: [no_proxy.map(str::to_owned), None],
    };
    let offer = Offer {
        cloud: Some(cloud),
        servings,
    };
    plan(&"app".parse().unwrap(), &offer, &around)
}

fn value<'p>(plan: &'p Plan, name: &str) -> Option<&'p str> {
    let found = plan.set.iter().find(|(it, _)| *it == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_container_listener_is_told_by_uri_and_token_file() {
    let plan = plan_for(
        Cloud::Tencent,
        vec![
            serving("six", "[::1]:9472", &["aws-container"], true),
            serving("tasks", "127.0.0.1:9472", &["aws-container"], true),
        ],
        Some("example.com, 127.0.0.1"),
    );
    let uri = value(&plan, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    assert_eq!(uri, Some("http://127.0.0.1:9472/aws/container/app"));
    let file = value(&plan, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    assert_eq!(file, Some("/run/t"));
    for rival in [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
    ] {
        assert!(plan.unset.contains(&rival), "{rival}");
        assert_eq!(value(&plan, rival), None, "{rival}");
    }
    assert_eq!(value(&plan, "NO_PROXY"), Some("example.com,127.0.0.1"));
    assert_eq!(value(&plan, "no_proxy"), Some("127.0.0.1"));
    assert_eq!(value(&plan, "http_proxy"), None);
    assert!(plan.needs_static, "Tencent's own tools find nothing");
}

#[test]
fn instance_metadata_is_told_by_its_endpoint() {
    let plan = plan_for(
        Cloud::Tencent,
        vec![serving("s3", "127.0.0.1:9473", &["aws-imds"], false)],
        None,
    );
    let endpoint = value(&plan, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    assert_eq!(endpoint, Some("http://127.0.0.1:9473"));
    assert_eq!(value(&plan, "AWS_EC2_METADATA_V1_DISABLED"), Some("true"));
    assert_eq!(value(&plan, "AWS_METADATA_SERVICE_TIMEOUT"), Some("2"));
    assert_eq!(value(&plan, "AWS_METADATA_SERVICE_NUM_ATTEMPTS"), Some("3"));
    assert!(plan.unset.contains(&"AWS_EC2_METADATA_DISABLED"));
    assert!(plan.unset.contains(&"AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    let mut second = serving("s3", "127.0.0.1:9473", &["aws-imds"], false);
    second.is_first = false;
    let plan = plan_for(Cloud::Tencent, vec![second], None);
    assert_eq!(
        value(&plan, "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
        None,
        "another's"
    );
}

#[test]
fn huawei_clients_get_their_pair() {
    let plan = plan_for(
        Cloud::Huawei,
        vec![serving(
            "tasks",
            "127.0.0.1:9474",
            &["huawei-container"],
            true,
        )],
        None,
    );
    let uri = value(&plan, "HC_CONTAINER_CREDENTIALS_FULL_URI");
    assert_eq!(uri, Some("http://127.0.0.1:9474/huawei/container/app"));
    let file = value(&plan, "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    assert_eq!(file, Some("/run/t"));
    assert!(plan.unset.contains(&"HUAWEICLOUD_SDK_AK") && !plan.needs_static);
    assert!(
        plan.comments.iter().any(|it| it.contains("OBS")),
        "{:?}",
        plan.comments
    );
    let without = plan_for(Cloud::Huawei, Vec::new(), None);
    assert!(without.needs_static && without.unset.is_empty());
}

#[test]
fn alibabas_uri_holds_the_token_percent_encoded() {
    let plan = plan_for(
        Cloud::Tencent,
        vec![serving("ali", "127.0.0.1:9475", &["alibaba"], true)],
        None,
    );
    let uri = value(&plan, "ALIBABA_CLOUD_CREDENTIALS_URI");
    assert_eq!(
        uri,
        Some("http://127.0.0.1:9475/alibaba/credentials/s%2Ft/app")
    );
    assert_eq!(
        value(&plan, "ALIBABA_CLOUD_ECS_METADATA_DISABLED"),
        Some("true")
    );
}

#[test]
fn built_in_addresses_need_no_variable_and_no_static_keys() {
    let plan = plan_for(
        Cloud::Tencent,
        vec![serving("metadata", "169.254.0.23:80", &["tencent"], false)],
        None,
    );
    assert!(!plan.needs_static);
    let names: Vec<_> = plan.set.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["NO_PROXY", "no_proxy"]);
    assert!(plan.unset.contains(&"TENCENTCLOUD_SECRET_ID"));
    let elsewhere = plan_for(
        Cloud::Tencent,
        vec![serving("metadata", "127.0.0.1:9470", &["tencent"], false)],
        None,
    );
    assert!(elsewhere.needs_static, "http_proxy is not an answer");
}

#[test]
fn built_in_addresses_are_never_asked_for_through_a_proxy() {
    for (cloud, address, protocol, hosts) in [
        (
            Cloud::Tencent,
            "169.254.0.23:80",
            "tencent",
            ["169.254.0.23", "metadata.tencentyun.com"].as_slice(),
        ),
        (
            Cloud::Huawei,
            "169.254.169.254:80",
            "huawei",
            &["169.254.169.254"],
        ),
        (
            Cloud::Tencent,
            "169.254.169.254:80",
            "aws-imds",
            &["169.254.169.254"],
        ),
        (
            Cloud::Tencent,
            "100.100.100.200:80",
            "alibaba",
            &["100.100.100.200"],
        ),
    ] {
        let there = serving("metadata", address, &[protocol], false);
        let plan = plan_for(cloud, vec![there], Some("corp.example"));
        let listed: Vec<_> = value(&plan, "NO_PROXY").unwrap().split(',').collect();
        assert!(listed.contains(&"corp.example"), "{protocol}: {listed:?}");
        for host in hosts {
            assert!(listed.contains(host), "{protocol}: {host} in {listed:?}");
        }
    }
    let nowhere = plan_for(Cloud::Tencent, Vec::new(), None);
    assert_eq!(value(&nowhere, "NO_PROXY"), None);
}

#[test]
fn a_static_set_leaves_no_other_identity_beside_it() {
    let mut plan = Plan::default();
    plan.hand_over(Static {
        cloud: Cloud::Tencent,
        ends: "2030-01-02T03:04:05Z".to_owned(),
        variables: vec![("TENCENTCLOUD_SECRET_ID", "AKID".to_owned().into())],
    });
    assert!(plan.unset.contains(&"TENCENTCLOUD_ROLE_ARN"));
    assert!(!plan.unset.contains(&"TENCENTCLOUD_SECRET_ID"), "it is set");
    assert!(
        !plan.unset.contains(&"OBS_ACCESS_KEY_ID"),
        "another cloud's"
    );
    assert_eq!(value(&plan, "TENCENTCLOUD_SECRET_ID"), Some("AKID"));
    let [caution] = plan.cautions.as_slice() else {
        panic!("{:?}", plan.cautions)
    };
    assert!(caution.contains("ends at 2030-01-02T03:04:05Z and is not renewed"));

    for (cloud, ours, others) in [
        (
            Cloud::Tencent,
            "TENCENTCLOUD_SECRET_ID",
            "OBS_ACCESS_KEY_ID",
        ),
        (Cloud::Huawei, "OBS_ACCESS_KEY_ID", "TENCENTCLOUD_SECRET_ID"),
    ] {
        let mut plan = Plan::default();
        plan.go_without(Some(cloud), "the cloud is away");
        assert!(
            plan.unset.contains(&ours),
            "what was there is somebody else's"
        );
        assert!(!plan.unset.contains(&others));
        assert!(
            plan.cautions
                .concat()
                .contains("nothing now: the cloud is away")
        );
    }
    let mut plan = Plan::default();
    plan.go_without(None, "no");
    assert!(plan.unset.contains(&"HW_ACCESS_KEY") && plan.unset.contains(&"TKE_ROLE_ARN"));
}
