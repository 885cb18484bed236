//! Providers: what their action would refuse is refused here.

use super::{ARN, mistakes, provider};

/// A kind, keys from line 7 on, and how the mistake in them begins.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("tencent-assume-role", "{arn}", "6: `source` is missing in"),
    (
        "tencent-assume-role",
        "{source}",
        "6: `role-arn` is missing in",
    ),
    (
        "tencent-assume-role",
        "{role}duration = 7200\n",
        "9: `duration` is a duration without a unit",
    ),
    (
        "tencent-assume-role",
        "{role}duration = \"0s\"\n",
        "9: `duration` must be longer",
    ),
    (
        "tencent-assume-role",
        "{role}duration = \"1500ms\"\n",
        "9: `duration` must be in whole",
    ),
    (
        "tencent-assume-role",
        "{role}session-name = \"a\"\n",
        "9: `session-name` must have 2 to 128",
    ),
    (
        "tencent-assume-role",
        "{role}session-name = \"a/b\"\n",
        "9: `session-name` may not contain '/'",
    ),
    (
        "tencent-assume-role",
        "{role}session-name = \"%h\"\n",
        "9: `session-name` has a `%`",
    ),
    (
        "tencent-assume-role",
        "{role}external-id = \"a b\"\n",
        "9: `external-id` may not contain ' '",
    ),
    (
        "tencent-assume-role",
        "{role}tags = { a = 1 }\n",
        "9: `a` must be text in quotes",
    ),
    (
        "tencent-assume-role",
        "{role}site = \"eu\"\n",
        "9: `site` is not a site we know",
    ),
    (
        "tencent-assume-role",
        "{role}region = \"\"\n",
        "9: `region` is not the name of a region",
    ),
    (
        "tencent-assume-role",
        "{role}endpoint = \"http://sts.example\"\n",
        "9: `endpoint` must begin with `https://`",
    ),
    (
        "tencent-assume-role",
        "{role}endpoint = \"https://sts.example/x\"\n",
        "9: `endpoint` may not have a path",
    ),
    (
        "tencent-assume-role",
        "{role}policy = \"file:/no/such/policy\"\n",
        "9: `policy` is in `/no/such/policy`, which cannot be read",
    ),
    (
        "tencent-assume-role",
        "{role}policy = \"x\"\n",
        "9: `policy` must be JSON or a reference",
    ),
    (
        "tencent-assume-role",
        "{role}policy = '{\"statement\": [{\"principal\": 1}]}'\n",
        "9: `policy` has a `principal`",
    ),
    (
        "tencent-get-federation-token",
        "{source}",
        "6: `policy` is missing in",
    ),
    (
        "tencent-get-federation-token",
        "source = \"app\"\n{policy}",
        "7: `source` names a role",
    ),
    (
        "tencent-get-federation-token",
        "{source}{policy}session-name = \"a-b\"\n",
        "9: `session-name` must be letters only",
    ),
    (
        "tencent-get-federation-token",
        "{source}{policy}duration = \"37h\"\n",
        "9: `duration` is longer than this action allows | at most 36h",
    ),
    (
        "tencent-assume-role-with-web-identity",
        "{arn}web-identity-token = \"env:PATH\"\n",
        "6: `provider-id` is missing in",
    ),
    (
        "tencent-assume-role-with-web-identity",
        "{arn}provider-id = \"x\"\n",
        "6: `web-identity-token` is missing in",
    ),
    (
        "tencent-assume-role-with-saml",
        "{arn}principal-arn = \"qcs::cam::uin/1:saml-provider/x\"\n",
        "6: `saml-assertion` is missing in",
    ),
    (
        "tencent-assume-role-with-saml",
        "{arn}principal-arn = \"qcs::cam::uin/1:saml-provider/x\"\nsaml-assertion = \"env:PATH\"\nsaml-command = [\"/x\"]\n",
        "10: `saml-assertion` and `saml-command` are both set",
    ),
    (
        "tencent-assume-role-with-saml",
        "{arn}principal-arn = \"x\"\nsaml-command = [\"/x\"]\n",
        "8: `principal-arn` is not the name of a SAML provider",
    ),
    (
        "tencent-instance-metadata",
        "endpoint = \"http://169.254.169.254\"\n",
        "7: `endpoint` must begin with `https://` | `http://` is accepted to loopback addresses and to metadata.tencentyun.com",
    ),
    (
        "command",
        "command = [\"x\"]\ncloud = \"tencent\"\n",
        "7: `command` must begin with the absolute path",
    ),
    (
        "command",
        "command = []\ncloud = \"tencent\"\n",
        "7: `command` must name a program",
    ),
    (
        "command",
        "command = [\"/x\"]\n",
        "6: `cloud` is missing in",
    ),
];

#[test]
fn providers_refuse_what_their_action_would() {
    for (kind, keys, expected) in PROVIDERS {
        let keys = keys
            .replace("{role}", "{source}{arn}")
            .replace("{source}", "source = \"ops\"\n")
            .replace("{arn}", ARN)
            .replace("{policy}", "policy = '{}'\n");
        let text = provider(kind, &keys);
        let found: Vec<String> = mistakes(&text);
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{text}\n{expected}\n{found:#?}"
        );
        // A role that signs with itself, to be refused for it, is a cycle besides.
        assert!(
            found.len() == 1 || keys.contains("\"app\""),
            "{text}\n{found:#?}"
        );
    }
}
