//! Several files, and files that cannot be read.

use std::path::Path;

use super::{ARN, KEY, directory, listener, load, mistakes, shown};
use credvend::config::{self};

#[test]
fn tables_may_be_spread_over_files_but_not_defined_twice() {
    let dir = directory(&listener(
        "address = \"127.0.0.1:9470\"\nroles = [\"app\", \"more\"]\n",
    ));
    let beside = dir.path().join("conf.d");
    std::fs::create_dir(&beside).unwrap();
    let more = format!(
        "[role.more.provider.tencent-assume-role]\nsource = \"ops\"\n{ARN}[daemon]\nlog = \"debug\"\n"
    );
    std::fs::write(beside.join("10-more.toml"), &more).unwrap();
    std::fs::write(beside.join("notes.txt"), "not TOML").unwrap();
    std::fs::write(beside.join(".10-more.toml"), "not TOML").unwrap();
    let loaded = load(&dir).unwrap();
    assert_eq!(loaded.files.len(), 2);
    assert_eq!(loaded.config.roles.len(), 2);
    assert_eq!(loaded.config.daemon.log, "debug");

    std::fs::write(beside.join("20-again.toml"), format!("\n{KEY}[daemon]\n")).unwrap();
    let report = load(&dir).unwrap_err();
    let found: Vec<String> = report.mistakes().iter().map(shown).collect();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("2: [key.ops] is defined twice"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("6: [daemon] is defined twice"),
        "{found:#?}"
    );
    let whole = report.to_string();
    for place in [
        "config.toml:1:1",
        "20-again.toml:2:1",
        "10-more.toml:4:1",
        "20-again.toml:6:1",
    ] {
        assert!(whole.contains(place), "{place}\n{whole}");
    }
    assert!(whole.contains("first defined here"), "{whole}");

    let clash =
        format!("{KEY}[role.ops.provider.command]\ncommand = [\"/x\"]\ncloud = \"tencent\"\n");
    assert_eq!(
        mistakes(&clash),
        [
            "5: `ops` is the name of a role and of a key | choose another name for one: they share \
          one namespace"
        ]
    );
}

#[test]
fn a_syntax_error_stands_alone_in_its_file() {
    let dir = directory("[daemon]\nlog = debug\nunknown = 1\n");
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    // Refers to what may stand in the broken file: no mistake. Its own mistakes are told.
    let other = "[listener.x]\naddress = \"127.0.0.1:1\"\nroles = [\"app\"]\nmode = \"0600\"\n";
    std::fs::write(dir.path().join("conf.d/x.toml"), other).unwrap();
    let report = load(&dir).unwrap_err();
    let found: Vec<String> = report.mistakes().iter().map(shown).collect();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("2: not valid TOML: string values must be quoted"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("4: `mode` means nothing for a TCP address"),
        "{found:#?}"
    );
    assert!(report.to_string().contains("2 | log = debug\n"), "{report}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let sentence = |path: &Path| {
        let report = config::load(path).unwrap_err();
        assert_eq!(report.mistakes().len(), 1, "{report}");
        assert_eq!(report.mistakes()[0].line(), None);
        report.mistakes()[0].text().to_owned()
    };
    let missing = sentence(&dir.path().join("none.toml"));
    assert!(
        missing.starts_with("cannot read the configuration `"),
        "{missing}"
    );
    assert!(missing.contains("No such file or directory"), "{missing}");
    assert!(sentence(dir.path()).contains("it is no regular file"));
    std::fs::write(dir.path().join("latin1.toml"), b"# \xe4\n").unwrap();
    assert!(sentence(&dir.path().join("latin1.toml")).contains("line 1 is not text in UTF-8"));
}
