//! Listeners: what would let the wrong ones in.

use super::{listener, mistakes};

/// Keys from line 10 on, and how the only mistake in them begins.
const LISTENERS: &[(&str, &str)] = &[
    (
        "roles = [\"app\"]\n",
        "9: `address` is missing in [listener.x]",
    ),
    (
        "address = \"127.0.0.1:9470\"\n",
        "9: `roles` is missing in [listener.x]",
    ),
    (
        "address = \"127.0.0.1:0\"\nroles = [\"app\"]\n",
        "10: `address` has port 0",
    ),
    (
        "address = \"127.0.0.1:1\"\nroles = []\n",
        "11: `roles` is empty",
    ),
    (
        "address = \"127.0.0.1:1\"\nroles = [\"app\", \"app\"]\n",
        "11: `roles` contains `app` twice",
    ),
    ("{remote}", "10: `address` can be reached from other hosts"),
    (
        "{remote}allow-remote = true\n",
        "9: `token` is missing in [listener.x] | `allow-remote",
    ),
    (
        "{remote}allow-remote = true\ntoken = \"file:/t\"\nprotocols = [\"tencent\"]\n",
        "14: `protocols` contains `tencent`, which has no token",
    ),
    (
        "{unix}allow-remote = true\n",
        "12: `allow-remote` means nothing for a Unix socket",
    ),
    (
        "{tcp}protocols = [\"aws-container\"]\n",
        "9: `token` is missing in [listener.x] | protocol `aws-container` over TCP",
    ),
    (
        "{tcp}protocols = [\"tencnt\"]\n",
        "12: `protocols` contains `tencnt`, which is no protocol | did you mean `tencent`?",
    ),
    ("{tcp}protocols = []\n", "12: `protocols` is empty"),
    (
        "{tcp}imds-v1 = true\n",
        "12: `imds-v1` means nothing without the protocol `aws-imds`",
    ),
    (
        "{tcp}mode = \"0660\"\n",
        "12: `mode` means nothing for a TCP address",
    ),
    (
        "{tcp}group = \"root\"\n",
        "12: `group` means nothing for a TCP address without a `token`",
    ),
    (
        "{tcp}allow = \"anybody\"\n",
        "12: `allow` does not say who may connect",
    ),
    (
        "{tcp}allow = { users = [\"no-such-user\"] }\n",
        "12: `users` names the user `no-such-user`, which does not exist",
    ),
    (
        "{tcp}token = \"/t\"\n",
        "12: `token` must be a reference to a file",
    ),
    (
        "{tcp}token = \"file:t\"\n",
        "12: `token` must be an absolute path",
    ),
    (
        "{tcp}hosts = [\"http://x\"]\n",
        "12: `hosts` contains something that is no host name",
    ),
    (
        "{tcp}instance = { zone = \"a b\" }\n",
        "12: `zone` must be 1 to 128",
    ),
    (
        "{tcp}[listener.y]\n{tcp}",
        "13: listener `y` has the address of [listener.x]",
    ),
    (
        "{tcp}[metrics]\naddress = \"127.0.0.1:9470\"\n",
        "10: listener `x` has the address of [metrics]",
    ),
    (
        "address = \"unix:/run/credvend/admin.sock\"\nroles = [\"app\"]\n",
        "10: listener `x` has the address of [admin]",
    ),
];

#[test]
fn listeners_refuse_what_would_let_the_wrong_ones_in() {
    let tcp = "address = \"127.0.0.1:9470\"\nroles = [\"app\"]\n";
    let unix = "address = \"unix:/run/x.sock\"\nroles = [\"app\"]\n";
    let remote = "address = \"10.0.0.1:9470\"\nroles = [\"app\"]\n";
    for (keys, expected) in LISTENERS {
        let keys = keys
            .replace("{tcp}", tcp)
            .replace("{unix}", unix)
            .replace("{remote}", remote);
        let text = listener(&keys);
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{text}\n{expected}\n{found:#?}"
        );
    }
    let reserved = listener(tcp).replace("[listener.x]", "[listener.admin]");
    assert!(mistakes(&reserved)[0].starts_with("9: `admin` is a reserved name for a listener"));
}
