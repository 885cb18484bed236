//! Configurations of several files, and files that are none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::{BASE, host, read_files};
use crate::config::{Message, Report, load};

fn mistakes(texts: &[&str]) -> Vec<String> {
    match read_files(texts, &host()) {
        Ok(_) => Vec::new(),
        Err(report) => lines(&report),
    }
}

fn lines(report: &Report) -> Vec<String> {
    let line = |it: &Message| {
        let file = it.file().file_name().unwrap_or_default().to_string_lossy();
        let line = it
            .line()
            .map_or_else(String::new, |line| format!(":{line}"));
        format!("{file}{line}: {}", it.text())
    };
    report.mistakes().iter().map(line).collect()
}

#[test]
fn limits_of_different_clouds_may_stand_in_different_files() {
    let tencent = "[limits.tencent]\nassume-role = \"7/s\"\n";
    let huawei = "[limits.huawei]\ndefault = \"3/s\"\n";
    let own = "[limits]\nfleet-size = 2\n";
    let limits = read_files(&[tencent, huawei, own], &host())
        .expect("three tables, each once")
        .config
        .limits;
    assert!((limits.tencent.per_second("assume-role") - 3.5).abs() < 1e-9);
    assert!((limits.huawei.default - 1.5).abs() < 1e-9);

    assert_eq!(
        mistakes(&[tencent, tencent]),
        ["1.toml:1: [limits.tencent] is defined twice"]
    );
    assert_eq!(
        mistakes(&[own, own]),
        ["1.toml:1: [limits] is defined twice"]
    );
    assert_eq!(
        mistakes(&[tencent, "[limits.tencnt]\n"]),
        ["1.toml:1: unknown table `tencnt` in [limits]"]
    );
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn read(dir: &TempDir) -> Vec<String> {
    let report = load(&dir.path().join("config.toml")).expect_err("mistakes");
    lines(&report)
}

#[test]
fn a_file_that_cannot_be_read_hides_no_mistake_of_others() {
    let dir = directory(&[
        ("config.toml", "[daemon]\nlog = \"inof\"\n"),
        // Names what may stand in the file that cannot be read: no mistake.
        (
            "conf.d/20.toml",
            "[listener.x]\naddress = \"127.0.0.1:1\"\nroles = [\"app\"]\nmode = \"0600\"\n",
        ),
    ]);
    std::fs::create_dir(dir.path().join("conf.d/10.toml")).unwrap();
    let found = read(&dir);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("config.toml:2: `log`"), "{found:#?}");
    assert!(
        found[1].starts_with("10.toml: cannot read the configuration"),
        "{found:#?}"
    );
    assert!(found[2].starts_with("20.toml:4: `mode`"), "{found:#?}");
}

#[test]
fn a_configuration_that_others_may_write_is_told() {
    let dir = directory(&[("config.toml", ""), ("conf.d/a.toml", "")]);
    let mode = |name: &str, mode| {
        let path = dir.path().join(name);
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let told = || {
        let loaded = load(&dir.path().join("config.toml")).expect("no mistakes");
        let texts = loaded.warnings.iter().map(|it| it.text().to_owned());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(told(), [""; 0]);
    for (name, open, private) in [
        ("config.toml", 0o666, 0o644),
        ("conf.d/a.toml", 0o620, 0o600),
        ("conf.d", 0o1777, 0o755),
        ("", 0o770, 0o700),
    ] {
        mode(name, open);
        let found = told();
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        let end = format!("its mode is {open:04o}");
        assert!(found[0].ends_with(&end), "{name}: {found:#?}");
        mode(name, private);
        assert_eq!(told(), [""; 0], "{name}");
    }
    mode("", 0o1777);
    assert_eq!(told(), [""; 0], "nobody can replace what is not theirs");
}

/// Reading any of these would wait for ever, or never end.
#[test]
fn what_is_no_file_is_refused_at_once() {
    let dir = directory(&[("config.toml", "")]);
    let pipe = dir.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        let linked = dir.path().join("conf.d/x.toml");
        std::os::unix::fs::symlink(path, &linked).unwrap();
        let found = read(&dir);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].ends_with("it is no regular file"), "{found:#?}");
        std::fs::remove_file(&linked).unwrap();

        let header = "[role.app.provider.tencent-assume-role]\n";
        let path = path.display();
        let keys = format!("policy = \"file:{path}\"\n");
        let found = mistakes(&[&BASE.replace(header, &format!("{header}{keys}"))]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].ends_with("it is no regular file"), "{found:#?}");

        for (old, new) in [
            ("secret = \"env:PATH\"", format!("secret = \"file:{path}\"")),
            (header, format!("{header}ca-file = \"{path}\"\n")),
        ] {
            let loaded = read_files(&[&BASE.replace(old, &new)], &host()).unwrap();
            let found: Vec<&str> = loaded.warnings.iter().map(Message::text).collect();
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(found[0].ends_with("it is no regular file"), "{found:#?}");
        }
    }
}

#[test]
fn text_that_is_none_is_told_with_its_line() {
    let dir = directory(&[("config.toml", "a")]);
    std::fs::write(dir.path().join("config.toml"), b"[daemon]\n\n# \xff\xfe\n").unwrap();
    let found = read(&dir);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].ends_with(": line 3 is not text in UTF-8"),
        "{found:#?}"
    );
}
