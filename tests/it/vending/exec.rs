//! `exec` and `env`: whom they ask before a program is started, and what they leave of others.

use std::path::Path;

use super::{FAR, FakeListener, credentials, error};
use crate::support::{Ended, credvend, run};

const HUAWEI: &str = "huawei-instance-metadata";
const TENCENT: &str = "tencent-instance-metadata";

/// A configuration whose role is served to containers, and natively where there is a socket.
fn configure(dir: &Path, provider: &str, native: Option<&Path>) -> String {
    let cloud = provider.split('-').next().unwrap_or_default();
    let (role, container) = match cloud {
        "huawei" => ("hw", "huawei-container"),
        _ => ("app", "aws-container"),
    };
    let token = dir.join("token");
    std::fs::write(&token, "a-token-of-20-letters").unwrap();
    let mut text = format!(
        "[role.{role}.provider.{provider}]\n[listener.tasks]\naddress = \"127.0.0.1:1\"\n\
         protocols = [\"{container}\"]\nroles = [\"{role}\"]\ntoken = \"file:{}\"\n",
        token.display()
    );
    let native = native.map(|socket| {
        format!(
            "[listener.here]\naddress = \"unix:{}\"\nprotocols = [\"native\"]\n\
             roles = [\"{role}\"]\n",
            socket.display()
        )
    });
    text += native.as_deref().unwrap_or_default();
    let path = dir.join(format!("{role}.toml"));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn exec(config: &str, role: &str, more: &[&str]) -> Ended {
    let mut arguments = vec!["--config", config, "exec", role];
    arguments.extend(more);
    arguments.extend(["--", "/bin/echo", "ran"]);
    run(&mut credvend(&arguments))
}

#[test]
fn whoever_is_not_let_in_hears_it_before_the_program_runs() {
    for (case, provider, role, answer, code, said) in [
        ("held", HUAWEI, "hw", (200, String::new()), 0, ""),
        (
            "nothing yet",
            HUAWEI,
            "hw",
            error(503, "soon"),
            0,
            "there is nothing to fetch yet: ",
        ),
        (
            "refused",
            HUAWEI,
            "hw",
            error(403, "uid 12 is not in `allow`"),
            77,
            "uid 12",
        ),
        (
            "another daemon",
            HUAWEI,
            "hw",
            error(404, "no role `hw` here"),
            64,
            "has no role",
        ),
        (
            "static, held",
            TENCENT,
            "app",
            credentials(FAR),
            0,
            "is not renewed",
        ),
        (
            "static, nothing yet",
            TENCENT,
            "app",
            error(503, "soon"),
            69,
            "no credentials",
        ),
        (
            "static, refused",
            TENCENT,
            "app",
            error(403, "uid 12"),
            77,
            "uid 12",
        ),
    ] {
        let answer = match answer {
            (200, text) if text.is_empty() => {
                let (_, body) = credentials(FAR);
                (
                    200,
                    body.replace("\"app\"", "\"hw\"")
                        .replace("\"tencent\"", "\"huawei\""),
                )
            }
            other => other,
        };
        let listener = FakeListener::start(vec![answer]);
        let config = configure(listener.dir.path(), provider, Some(&listener.socket()));
        let ended = exec(&config, role, &[]);
        assert_eq!(ended.code, Some(code), "{case}: {ended:?}");
        let ran = if code == 0 { "ran\n" } else { "" };
        assert_eq!(ended.stdout, ran, "{case}: {ended:?}");
        assert!(ended.stderr.contains(said), "{case}: {ended:?}");
        let env = run(&mut credvend(&["--config", &config, "env", role]));
        assert_eq!(env.code, Some(code), "{case}: {env:?}");
    }
}

#[test]
fn without_a_daemon_nothing_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = dir.path().join("none.sock");
    let native = configure(dir.path(), HUAWEI, Some(&nobody));
    let ended = exec(&native, "hw", &[]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(69), ""),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("there is no such socket"),
        "{ended:?}"
    );

    let container = configure(dir.path(), HUAWEI, None);
    let named = exec(&container, "hw", &["--socket", nobody.to_str().unwrap()]);
    assert_eq!(
        (named.code, named.stdout.as_str()),
        (Some(69), ""),
        "{named:?}"
    );
    let unasked = exec(&container, "hw", &[]);
    assert_eq!(
        (unasked.code, unasked.stderr.as_str()),
        (Some(0), ""),
        "{unasked:?}"
    );

    std::fs::remove_file(dir.path().join("token")).unwrap();
    let ended = exec(&container, "hw", &[]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "ran\n"),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains("the token of listener `tasks` cannot be read from here"),
        "{ended:?}"
    );
}

#[test]
fn one_in_another_leaves_nothing_of_the_other() {
    let listener = FakeListener::start(vec![credentials(FAR)]);
    let tencent = configure(listener.dir.path(), TENCENT, Some(&listener.socket()));
    let huawei = configure(listener.dir.path(), HUAWEI, None);
    let program = assert_cmd::cargo::cargo_bin!("credvend").to_str().unwrap();
    let nested = |outer: (&str, &str), inner: (&str, &str)| {
        let ended = run(&mut credvend(&[
            "--config",
            outer.0,
            "exec",
            outer.1,
            "--",
            program,
            "--config",
            inner.0,
            "exec",
            inner.1,
            "--",
            "/usr/bin/env",
        ]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    let (app, hw) = ((tencent.as_str(), "app"), (huawei.as_str(), "hw"));
    let env = nested(hw, app);
    assert!(
        env.contains("\nTENCENTCLOUD_SECRET_ID=AKIDexample\n"),
        "{env}"
    );
    assert!(env.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI="), "{env}");
    assert!(!env.contains("HC_CONTAINER_"), "{env}");
    let env = nested(app, hw);
    assert!(env.contains("HC_CONTAINER_CREDENTIALS_FULL_URI="), "{env}");
    assert!(!env.contains("TENCENTCLOUD_"), "{env}");
    assert!(!env.contains("AWS_CONTAINER_"), "{env}");
    assert!(!env.contains("AWS_EC2_METADATA_"), "{env}");
}
