//! What is legal and gets a warning.

use super::{ARN, CANARY, KEY, warnings};

#[test]
fn what_is_unwise_is_warned_about() {
    let role = |more: &str, keys: &str| {
        format!(
            "{KEY}[role.app]\n{more}[role.app.provider.tencent-assume-role]\nsource = \"ops\"\n{ARN}{keys}"
        )
    };
    let vended = "[listener.x]\naddress = \"127.0.0.1:9470\"\nroles = [\"app\"]\n";
    assert_eq!(warnings(&(role("", "") + vended)), Vec::<String>::new());
    let guarded = "token = \"file:/t\"\ngroup = \"root\"\n";
    for more in [
        guarded.to_owned(),
        format!("{guarded}allow = {{ users = [\"root\"] }}\n"),
        format!("{guarded}allow = \"any-local\"\nprotocols = [\"aws-container\"]\n"),
    ] {
        let text = role("", "") + vended + &more;
        assert_eq!(warnings(&text), Vec::<String>::new(), "{text}");
    }

    let huawei = "[role.hw.provider.command]\ncommand = [\"/x\"]\ncloud = \"huawei\"\n\
                  [listener.x]\naddress = \"127.0.0.1:9470\"\nroles = [\"hw\"]\nprotocols = [\"tencent\"]\n";
    let limited = "[limits]\nfleet-size = 1000000\n";
    for (text, expected) in [
        (
            role("", ""),
            "5: role `app` is kept fresh but vended nowhere",
        ),
        (
            role("refresh-ahead = \"110m\"\n", "") + vended,
            "6: `refresh-ahead` is more than sessions of 2h leave room for, so 1h 40m is used",
        ),
        (
            role("min-remaining = \"1h\"\n", "") + vended,
            "6: `min-remaining` cannot always be kept: before each refresh sessions of 2h show no more than 53m",
        ),
        (
            role("expected-account = \"2\"\n", "") + vended,
            "6: its provider is of account 1, so nothing will ever be adopted",
        ),
        (
            role("", "duration = \"15m\"\n") + vended,
            "9: sessions of 15m are short for clients of listener `x`: before a refresh they show 8m 30s, and clients of `tencent` ask again at every use below 10m",
        ),
        (
            role("", "ca-file = \"/no/such.pem\"\n") + vended,
            "9: role `app` cannot reach its cloud: cannot read ca-file `/no/such.pem`",
        ),
        (
            role("", "") + vended + limited,
            "13: keeping 1 role(s) fresh takes 0.000278 calls per second of assume-role at https://sts.tencentcloudapi.com, and the budget is 0.00005",
        ),
        (
            role("expected-account = \"1\"\n", "")
                + vended
                // 1/3600 s of either action: little enough for each, and too much for both
                + "[limits.tencent]\ndefault = \"0.0004/s\"\n",
            "14: keeping 1 role(s) fresh takes 0.000556 calls per second at https://sts",
        ),
        (
            role("", "") + vended + "[limits.tencent]\ndefault = \"8/s\"\nassume-role = \"9/s\"\n",
            "14: assume-role gets no more than `default`",
        ),
        (
            role("refresh-ahead = \"5m\"\n", "") + vended + "protocols = [\"native\"]\n",
            "6: `refresh-ahead` is so little that sessions of 2h look expired, or nearly so, before their replacement is there",
        ),
        (
            role("", "")
                + "[listener.s]\naddress = \"unix:/run/s\"\nroles = [\"app\"]\nmode = \"0666\"\n",
            "12: every user of this host may connect to listener `s`",
        ),
        (
            role("", "") + vended + "token = \"file:/t\"\nallow = \"any-local\"\n",
            "12: every user of this host gets the roles of listener `x` without its token, through what does not ask for it: `native`, `tencent`",
        ),
        (
            huawei.to_owned(),
            "7: listener `x` serves role `hw` of huawei in the format of tencent's metadata",
        ),
        (
            role("", "")
                + vended
                + "[key.gone]\ncloud = \"tencent\"\nid = \"env:PATH\"\nsecret = \"file:/no/such/secret\"\n",
            "15: a secret cannot be read from here: cannot read `file:/no/such/secret`",
        ),
    ] {
        let found = warnings(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{text}\n{expected}\n{found:#?}"
        );
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, CANARY).unwrap();
    let text = format!(
        "[key.ops]\ncloud = \"tencent\"\nid = \"env:PATH\"\nsecret = \"file:{}\"\n",
        path.display()
    );
    for (mode, is_warned) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = warnings(&text);
        assert_eq!(found.len(), usize::from(is_warned), "{mode:o} {found:#?}");
        if is_warned {
            assert!(
                found[0].starts_with("4: others can read or change `file:"),
                "{found:#?}"
            );
            assert!(found[0].contains(&format!("{mode:04o}")), "{found:#?}");
        }
    }
}
