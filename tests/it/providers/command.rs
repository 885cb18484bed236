//! Programs: how they are run, and what becomes of their output.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use credvend::config::model;
use credvend::credentials::Cloud;
use credvend::provider::error::{Class, ProviderError};
use credvend::provider::program::Program;

use super::fixtures::{CANARY, Setup, fail, obtain, sts_at, without_canary};

fn shell(script: &str) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), script.into()]
}

async fn printed_by(script: &str) -> String {
    let output = Program::new(shell(script)).run().await.unwrap();
    String::from_utf8(output.as_ref().to_vec()).unwrap()
}

async fn failure_of(argv: Vec<String>) -> ProviderError {
    let program = Program::new(argv).within(Duration::from_millis(500));
    let error = program.run().await.unwrap_err();
    without_canary(&error);
    error
}

fn command(argv: Vec<String>, cloud: Cloud) -> model::Provider {
    model::Provider::Command(model::Command {
        command: argv,
        cloud,
        sts: sts_at("https://sts.example"),
    })
}

#[tokio::test]
async fn a_program_provides_credentials() {
    let script = format!(
        r#"echo '{{"Version": 1, "AccessKeyId": "AKIDprinted", "SecretAccessKey": "{CANARY}",
        "SessionToken": "{CANARY}", "Expiration": "2100-01-01T00:00:00Z"}}'"#
    );
    let setup = Setup::new();
    let provider = setup.build(command(shell(&script), Cloud::Tencent));
    let set = obtain(&provider).await;
    assert_eq!(set.keys.access_key_id, "AKIDprinted");
    assert_eq!(set.issuer_now, None);
    assert!(!provider.mints());
    assert_eq!(provider.mint_call().endpoint, "command");
    assert!(provider.mint_call().budget.is_none());
}

#[tokio::test]
async fn output_that_is_no_credentials_is_not_quoted() {
    let setup = Setup::new();
    let provider = setup.build(command(shell("echo CANARY-5b1d"), Cloud::Tencent));
    let error = fail(&provider).await;
    assert_eq!(error.class, Class::Transient);
    assert_eq!(
        error.report(),
        "program `/bin/sh` printed no credentials: it is not JSON"
    );
}

#[tokio::test]
async fn a_program_sees_a_bare_environment_and_no_input() {
    let seen = printed_by("env | grep -v -e ^_= -e ^PWD= -e ^SHLVL= -e ^OLDPWD= | sort; cat").await;
    assert_eq!(
        seen,
        "LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    );
}

#[tokio::test]
async fn a_program_inherits_no_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("left-open")).unwrap();
    // What a careless parent of ours would have done.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let seen = printed_by("for fd in /proc/self/fd/*; do readlink \"$fd\"; done; true").await;
    assert!(!seen.contains("left-open"), "{seen}");
    assert!(seen.contains("/dev/null"), "{seen}");
}

#[tokio::test]
async fn each_way_to_fail_has_its_class_and_its_sentence() {
    for (case, argv, class, sentence) in [
        (
            "a bad end",
            shell("printf 'bad\\tthing\\nmore' >&2; exit 3"),
            Class::Transient,
            "program `/bin/sh` failed (exit status: 3): bad\\tthing",
        ),
        (
            "a long complaint",
            shell("head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1"),
            Class::Transient,
            "program `/bin/sh` failed (exit status: 1): xxx",
        ),
        (
            "killed",
            shell("kill -9 $$"),
            Class::Transient,
            "program `/bin/sh` failed (signal: 9 (SIGKILL))",
        ),
        (
            "too much",
            shell("head -c 70000 /dev/zero; sleep 60"),
            Class::Transient,
            "program `/bin/sh` printed more than 64 KiB and was killed",
        ),
        (
            "slow",
            shell("sleep 60"),
            Class::Transient,
            "program `/bin/sh` did not end within 500 ms and was killed",
        ),
        (
            "slow and silent",
            shell("exec >&- 2>&-; sleep 60"),
            Class::Transient,
            "program `/bin/sh` did not end within 500 ms and was killed",
        ),
        (
            "not there",
            vec!["/nowhere/program".into(), CANARY.into()],
            Class::Final,
            "program `/nowhere/program` cannot be looked at: No such file or directory",
        ),
        (
            "not in the path",
            vec!["no-such-program-anywhere".into()],
            Class::Final,
            "program `no-such-program-anywhere` is in none of /usr/local/sbin:",
        ),
        (
            "a directory",
            vec!["/bin/".into()],
            Class::Final,
            "program `/bin/` is not a file",
        ),
    ] {
        let error = failure_of(argv).await;
        assert_eq!(error.class, class, "{case}: {error}");
        assert!(
            error.report().starts_with(sentence),
            "{case}: {}",
            error.report()
        );
        assert!(error.report().len() < 500, "{case}");
    }
}

#[tokio::test]
async fn a_program_that_others_can_change_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    let trace = folder.path().join("trace");
    std::fs::write(&path, format!("#!/bin/sh\ntouch {}\n", trace.display())).unwrap();
    for mode in [0o775, 0o757] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = failure_of(vec![path.display().to_string()]).await;
        assert_eq!(error.class, Class::Final);
        assert!(error.message.contains("chmod go-w"), "{error}");
    }
    assert!(!trace.exists());
}

#[tokio::test]
async fn a_program_that_others_can_put_another_in_place_of_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("program");
    std::fs::write(&path, "#!/bin/sh\necho ran\n").unwrap();
    let mode = std::fs::Permissions::from_mode;
    std::fs::set_permissions(&path, mode(0o755)).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for way in [&path, &link] {
        let argv = vec![way.display().to_string()];
        std::fs::set_permissions(&inner, mode(0o755)).unwrap();
        let output = Program::new(argv.clone()).run().await.unwrap();
        assert_eq!(output.as_ref(), b"ran\n");
        std::fs::set_permissions(&inner, mode(0o777)).unwrap();
        let error = failure_of(argv).await;
        assert_eq!(error.class, Class::Final);
        assert!(error.message.contains("is not run: directory"), "{error}");
        assert!(error.message.contains("chmod go-w"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_run_is_a_final_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    std::fs::write(&path, "no program").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = failure_of(vec![path.display().to_string()]).await;
    assert_eq!(error.class, Class::Final);
    assert!(
        error
            .report()
            .contains("cannot be started: Permission denied")
    );
}

#[tokio::test]
async fn a_program_found_by_name_alone_is_run() {
    let output = Program::new(vec!["echo".into(), "hello".into()])
        .run()
        .await;
    assert_eq!(output.unwrap().as_ref(), b"hello\n");
}

/// Whether a process still does anything; a zombie does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

async fn is_gone_soon(pid: &str) -> bool {
    for _ in 0..100 {
        if !runs(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn what_a_program_started_is_killed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; wait", file.display());
    let program = Program::new(shell(&script));

    // Dropped half-way, as a reload does.
    let dropped = tokio::time::timeout(Duration::from_secs(1), program.run()).await;
    assert!(dropped.is_err());
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(is_gone_soon(pid.trim()).await, "{pid} is still there");

    std::fs::remove_file(&file).unwrap();
    let timed_out = program.within(Duration::from_secs(1)).run().await;
    assert!(timed_out.unwrap_err().message.contains("was killed"));
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(is_gone_soon(pid.trim()).await, "{pid} is still there");
}
