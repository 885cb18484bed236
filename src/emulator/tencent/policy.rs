//! The form of a session policy. Its effect is not emulated.
//!
//! A policy travels URL-encoded once, inside the JSON string; the server decodes it. Forgetting
//! that is the usual cause of `StrategyFormatError`. Source: STS AssumeRole, parameter `Policy`,
//! and the CAM policy syntax (version 2.0).

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Longest policy, decoded, in characters. Source: CAM's limit on a custom policy.
const LONGEST: usize = 6_144;

/// Checks a `Policy` parameter.
pub(super) fn check(encoded: &str) -> Result<(), Refusal> {
    let text = decoded(encoded)?;
    if text.chars().count() > LONGEST {
        return Err(Refusal::new(
            "InvalidParameter.PolicyTooLong",
            format!("The policy is longer than {LONGEST} characters."),
        ));
    }
    let Ok(Value::Object(policy)) = serde_json::from_str(&text) else {
        return Err(format("the policy is not a JSON object"));
    };
    known(&policy, &["version", "statement", "principal"])?;
    no_principal(&policy)?;
    if policy.get("version").and_then(Value::as_str) != Some("2.0") {
        return Err(format("`version` must be \"2.0\""));
    }
    let statements: Vec<&Value> = match policy.get("statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(single @ Value::Object(_)) => vec![single],
        _ => Vec::new(),
    };
    if statements.is_empty() {
        return Err(format("`statement` is missing or empty"));
    }
    statements.into_iter().try_for_each(statement)
}

fn statement(value: &Value) -> Result<(), Refusal> {
    let Value::Object(statement) = value else {
        return Err(format("a statement is not an object"));
    };
    known(
        statement,
        &["effect", "action", "resource", "condition", "principal"],
    )?;
    no_principal(statement)?;
    match statement.get("effect").and_then(Value::as_str) {
        Some("allow" | "deny") => {}
        _ => return Err(format("`effect` is neither \"allow\" nor \"deny\"")),
    }
    if texts(statement.get("action")).is_none() {
        return Err(format("`action` is no string or list of strings"));
    }
    let Some(resources) = texts(statement.get("resource")) else {
        return Err(format("`resource` is no string or list of strings"));
    };
    for resource in resources {
        let has_six_parts = resource.starts_with("qcs:") && resource.split(':').count() >= 6;
        if resource != "*" && !has_six_parts {
            return Err(Refusal::new(
                "InvalidParameter.ResouceError",
                "The six-part resource is malformed.",
            ));
        }
    }
    Ok(())
}

/// A string or a non-empty list of strings.
fn texts(value: Option<&Value>) -> Option<Vec<&str>> {
    let value = value?;
    if let Some(text) = value.as_str() {
        return Some(vec![text]);
    }
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(Value::as_str).collect()
}

fn known(object: &Map<String, Value>, names: &[&str]) -> Result<(), Refusal> {
    if object.keys().all(|key| names.contains(&key.as_str())) {
        Ok(())
    } else {
        Err(format("it has an element that policies do not have"))
    }
}

/// A session policy is about the session, so it names nobody.
fn no_principal(object: &Map<String, Value>) -> Result<(), Refusal> {
    if object.contains_key("principal") {
        return Err(Refusal::new(
            "InvalidParameter.StrategyInvalid",
            "The policy must not contain the principal element.",
        ));
    }
    Ok(())
}

/// Undoes the URL encoding, and refuses text that was never encoded: it holds characters that no
/// encoder leaves alone.
fn decoded(encoded: &str) -> Result<String, Refusal> {
    let left_alone = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~*'()!/+%".contains(&byte);
    if encoded.is_empty() || !encoded.bytes().all(left_alone) {
        return Err(format("the policy is not URL-encoded"));
    }
    let is_escape = |rest: &str| {
        let hex = rest.as_bytes().get(..2);
        hex.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !encoded.split('%').skip(1).all(is_escape) {
        return Err(format("the policy's URL encoding is broken"));
    }
    let spaced = encoded.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| format("the policy is not UTF-8"))
}

fn format(why: &str) -> Refusal {
    Refusal::new(
        "InvalidParameter.StrategyFormatError",
        format!("Strategy format error: {why}."),
    )
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::check;

    const GOOD: &str = r#"{"version":"2.0","statement":[{"effect":"allow","action":["name/cos:GetObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:example-1250000000/*"]}]}"#;

    fn code(policy: &str) -> String {
        let encoded = utf8_percent_encode(policy, NON_ALPHANUMERIC).to_string();
        check(&encoded).map_or_else(|refusal| refusal.code.into_owned(), |()| "ok".to_owned())
    }

    #[test]
    fn a_policy_is_accepted_in_every_usual_encoding() {
        assert_eq!(code(GOOD), "ok");
        assert_eq!(code(&GOOD.replace(":[", ": [")), "ok");
        let as_in_go = GOOD.replace(':', ": ");
        let as_in_go = utf8_percent_encode(&as_in_go, NON_ALPHANUMERIC).to_string();
        assert_eq!(check(&as_in_go.replace("%20", "+")), Ok(()));
    }

    #[test]
    fn what_is_no_policy_is_refused_with_the_right_code() {
        const FORMAT: &str = "InvalidParameter.StrategyFormatError";
        for (policy, expected) in [
            ("", FORMAT),
            ("[]", FORMAT),
            ("{", FORMAT),
            (r#"{"version":"2.0"}"#, FORMAT),
            (r#"{"version":"2.0","statement":[]}"#, FORMAT),
            (&GOOD.replace("2.0", "3.0"), FORMAT),
            (&GOOD.replace("allow", "permit"), FORMAT),
            (&GOOD.replace("action", "actions"), FORMAT),
            (
                &GOOD.replace("qcs::cos:", "arn:"),
                "InvalidParameter.ResouceError",
            ),
            (
                &GOOD.replace(r#""effect""#, r#""principal":{"qcs":["*"]},"effect""#),
                "InvalidParameter.StrategyInvalid",
            ),
            (
                &GOOD.replace("GetObject", &"x".repeat(7_000)),
                "InvalidParameter.PolicyTooLong",
            ),
        ] {
            assert_eq!(code(policy), expected, "{policy:.80}");
        }
        for raw in [GOOD, "%7B%", "%zz", "%ff"] {
            let refusal = check(raw).unwrap_err();
            assert_eq!(refusal.code, FORMAT, "{raw:.80}");
        }
    }
}
