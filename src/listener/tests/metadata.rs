//! The metadata protocols with tokens: `aws-imds` and `alibaba`.

use std::time::Duration;

use super::support::{CANARY, Client, Plane, Response, any_port, listener, tcp, unix};
use crate::config::model::{Address, Instance, Protocol};
use crate::store::Refresh;

const LIST: &str = "/latest/meta-data/iam/security-credentials/";
const BODY: &str = "/latest/meta-data/iam/security-credentials/app";

fn put<S: std::io::Read + std::io::Write>(
    client: &mut Client<S>,
    target: &str,
    more: &str,
) -> Response {
    client.send(&format!(
        "PUT {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"
    ));
    client.receive(true)
}

/// A listener of one metadata protocol alone.
fn plane_with(
    protocol: Protocol,
    change: impl FnOnce(&mut crate::config::model::Listener),
) -> Plane {
    let plane = Plane::start();
    let mut config = listener("tcp", any_port());
    config.protocols = [protocol, Protocol::Native].into();
    change(&mut config);
    plane.apply(vec![config]);
    plane
}

#[test]
fn imds_wants_its_token_for_everything() {
    let plane = plane_with(Protocol::AwsImds, |_| ());
    let mut client = tcp(plane.port("tcp"));
    // Three SDKs send neither a body nor a length.
    let made = put(
        &mut client,
        "/latest/api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n",
    );
    assert_eq!(made.status, 200);
    assert_eq!(
        made.header("x-aws-ec2-metadata-token-ttl-seconds"),
        Some("300")
    );
    assert_eq!(made.header("content-type"), Some("text/plain"));
    assert_eq!(made.header("server"), Some("EC2ws"));
    assert!(!made.body.contains('\n'));
    let shown = format!("X-aws-ec2-metadata-token: {}\r\n", made.body);
    for list in [
        LIST,
        LIST.trim_end_matches('/'),
        "//latest//meta-data/iam/security-credentials/",
    ] {
        let answer = client.get(list, &shown);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "app"),
            "{list}"
        );
    }
    let answer = client.get(BODY, &shown);
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("server"), Some("EC2ws"));
    assert_eq!(answer.json()["AccessKeyId"], "AKID-app-1");
    assert_eq!(answer.json()["Code"], "Success");
    assert_eq!(
        client.get("/latest/meta-data/iam/info", &shown).json()["Code"],
        "Success"
    );

    for path in [
        LIST,
        BODY,
        "/latest/meta-data/iam/info",
        "/latest/meta-data/instance-id",
    ] {
        for more in ["", "X-aws-ec2-metadata-token: nonsense\r\n"] {
            let answer = client.get(path, more);
            assert_eq!(answer.status, 401, "{path} {more}");
            assert!(!answer.body.contains(CANARY));
            assert_eq!(answer.header("server"), Some("EC2ws"));
        }
    }
    let extended = "/latest/meta-data/iam/security-credentials-extended/";
    assert_eq!(client.get(extended, &shown).status, 404);
    assert_eq!(client.get(&format!("{extended}app"), &shown).status, 404);
    assert_eq!(client.get(&format!("{LIST}nobody"), &shown).status, 404);
}

#[test]
fn a_metadata_token_is_good_though_its_listener_was_bound_anew() {
    let plane = plane_with(Protocol::AwsImds, |_| ());
    let first = plane.port("tcp");
    let made = put(
        &mut tcp(first),
        "/latest/api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n",
    );
    let shown = format!("X-aws-ec2-metadata-token: {}\r\n", made.body);
    let mut config = listener("tcp", Address::Tcp("127.0.0.2:0".parse().unwrap()));
    config.protocols = [Protocol::AwsImds].into();
    plane.apply(vec![config.clone()]);
    let second = plane.port("tcp");
    assert_ne!(second.ip(), first.ip());
    let answer = tcp(second).get(BODY, &shown);
    assert_eq!(answer.status, 200, "{answer:?}");

    // Gone for a while, and there again.
    plane.apply(Vec::new());
    plane.apply(vec![config]);
    assert_eq!(tcp(plane.port("tcp")).get(BODY, &shown).status, 200);
}

#[test]
fn imds_tokens_are_made_as_the_real_service_makes_them() {
    let plane = plane_with(Protocol::AwsImds, |_| ());
    let mut client = tcp(plane.port("tcp"));
    for life in ["", "0", "21601", "soon"] {
        let more = format!("X-aws-ec2-metadata-token-ttl-seconds: {life}\r\n");
        assert_eq!(
            put(&mut client, "/latest/api/token", &more).status,
            400,
            "{life}"
        );
    }
    assert_eq!(put(&mut client, "/latest/api/token", "").status, 400);
    let life = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
    assert_eq!(put(&mut client, "/2021-03-23/api/token", life).status, 403);
    let forwarded = format!("{life}X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(
        put(&mut client, "/latest/api/token", &forwarded).status,
        403
    );
    let got = client.get("/latest/api/token", "");
    assert_eq!((got.status, got.header("allow")), (405, Some("PUT")));
    let written = put(&mut client, BODY, "Content-Length: 0\r\n");
    assert_eq!(
        (written.status, written.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let nowhere = put(&mut client, "/else", "Content-Length: 0\r\n");
    assert_eq!(
        (nowhere.status, nowhere.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let with_body = format!("{life}Content-Length: 2\r\n\r\n{{}}");
    client.send(&format!(
        "PUT /latest/api/token HTTP/1.1\r\nHost: localhost\r\n{with_body}"
    ));
    assert_eq!(client.receive(true).status, 200);
}

#[test]
fn without_tokens_only_where_the_listener_says_so() {
    let plane = plane_with(Protocol::AwsImds, |config| config.imds_v1 = true);
    let mut client = tcp(plane.port("tcp"));
    assert_eq!(client.get(LIST, "").body, "app");
    assert_eq!(client.get(BODY, "").json()["AccessKeyId"], "AKID-app-1");
    let wrong = client.get(BODY, "X-aws-ec2-metadata-token: nonsense\r\n");
    assert_eq!(wrong.status, 401, "a wrong one is still wrong");
}

#[test]
fn a_token_of_one_listener_is_none_of_another() {
    let plane = Plane::start();
    plane.apply(vec![listener("a", any_port()), listener("b", any_port())]);
    let made = put(
        &mut tcp(plane.port("a")),
        "/latest/api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n",
    );
    let shown = format!("X-aws-ec2-metadata-token: {}\r\n", made.body);
    assert_eq!(tcp(plane.port("a")).get(BODY, &shown).status, 200);
    assert_eq!(tcp(plane.port("b")).get(BODY, &shown).status, 401);
}

#[test]
fn an_instance_is_told_where_it_is_configured() {
    let instance = Instance {
        id: Some("ins-1".to_owned()),
        region: Some("ap-guangzhou".to_owned()),
        zone: Some("ap-guangzhou-3".to_owned()),
    };
    let plane = plane_with(Protocol::AwsImds, |config| {
        config.imds_v1 = true;
        config.protocols.insert(Protocol::Tencent);
        config.protocols.insert(Protocol::Alibaba);
        config.instance = Some(instance);
    });
    let mut client = tcp(plane.port("tcp"));
    for (path, text) in [
        ("/latest/meta-data/instance-id", "ins-1"),
        ("/meta-data/placement/region", "ap-guangzhou"),
        ("/latest/meta-data/placement/region", "ap-guangzhou"),
        ("/latest/meta-data/placement/zone", "ap-guangzhou-3"),
        (
            "/latest/meta-data/placement/availability-zone/",
            "ap-guangzhou-3",
        ),
        ("/latest/meta-data/region-id", "ap-guangzhou"),
    ] {
        let answer = client.get(path, "");
        assert_eq!((answer.status, answer.body.as_str()), (200, text), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain"), "{path}");
    }
    let document = client.get("/latest/dynamic/instance-identity/document", "");
    assert_eq!(document.json()["region"], "ap-guangzhou");
    let plain = plane_with(Protocol::AwsImds, |config| config.imds_v1 = true);
    let mut client = tcp(plain.port("tcp"));
    for path in [
        "/latest/meta-data/instance-id",
        "/latest/dynamic/instance-identity/document",
    ] {
        assert_eq!(client.get(path, "").status, 404, "{path}");
    }
}

#[test]
fn the_time_a_cold_role_is_waited_for_is_within_the_strictest_clients_patience() {
    let plane = plane_with(Protocol::AwsImds, |config| config.imds_v1 = true);
    super::support::publish_nothing(&plane.context.store, "cold", Refresh::Retrying);
    let begun = tokio::time::Instant::now();
    let answer = tcp(plane.port("tcp")).get(&format!("{LIST}cold"), "");
    let took = begun.elapsed();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn alibabas_metadata_with_a_token_and_without() {
    let (_plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    let list = "/latest/meta-data/ram/security-credentials/";
    assert_eq!(client.get(list, "").body, "app");
    let made = put(
        &mut client,
        "/latest/api/token?",
        "x-aliyun-ecs-metadata-token-ttl-seconds: 21600\r\n",
    );
    assert_eq!(
        (
            made.status,
            made.header("x-aliyun-ecs-metadata-token-ttl-seconds")
        ),
        (200, Some("21600"))
    );
    let shown = format!("X-aliyun-ecs-metadata-token: {}\r\n", made.body);
    let answer = client.get(&format!("{list}app?"), &shown);
    assert_eq!(answer.json()["SecurityToken"], "canary-secret-token-app-1");
    assert_eq!(answer.json()["Code"], "Success");
    let wrong = client.get(list, "X-aliyun-ecs-metadata-token: x\r\n");
    assert_eq!(
        (wrong.status, wrong.json()["Code"].as_str()),
        (401, Some("Unauthorized"))
    );
}

#[test]
fn the_credentials_uri_holds_the_listeners_token() {
    let plane = Plane::start();
    let mut config = listener("tcp", any_port());
    let path = plane.path("token");
    config.token = Some(path.clone());
    let mut bare = listener("bare", Address::Unix(plane.path("bare")));
    bare.protocols = [Protocol::Alibaba].into();
    plane.apply(vec![config, bare]);
    let token = std::fs::read_to_string(&path).unwrap();
    let port = plane.port("tcp");
    let mut client = tcp(port);
    client.send(&format!(
        "GET /alibaba/credentials/{token}/app HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    ));
    let answer = client.receive(true);
    assert_eq!(answer.status, 200, "`Host` without its port");
    assert_eq!(answer.json()["AccessKeyId"], "AKID-app-1");
    for secret in ["x", &token[1..], "%00", &"a".repeat(43)] {
        let answer = client.get(&format!("/alibaba/credentials/{secret}/app"), "");
        let expected = if secret == "%00" { 400 } else { 401 };
        assert_eq!(answer.status, expected, "{secret}");
        assert!(!answer.body.contains(CANARY));
        if expected == 400 {
            client = tcp(port);
        }
    }
    let unknown = client.get(&format!("/alibaba/credentials/{token}/nobody"), "");
    assert_eq!(unknown.status, 404);
    // Without a token of the listener no path can show it.
    let answer = unix(&plane.path("bare")).get("/alibaba/credentials/x/app", "");
    assert_eq!(answer.status, 401);
}
