//! Session policies: JSON in the table itself, or in a file of its own.

use std::path::Path;

use serde_json::Value as Json;

use crate::config::reader::{Complaint, Value};
use crate::config::values::file_reference;
use crate::regular_file::RegularFile;

/// No policy a cloud accepts is longer; a larger file is a wrong path.
const LARGEST: u64 = 64 * 1024;

/// The JSON text of the policy.
pub(super) fn policy(value: &Value<'_, '_>) -> Option<String> {
    value.parsed(|text| {
        let text = text.trim();
        if text.starts_with('{') {
            return checked(text, "");
        }
        if !text.starts_with("file:") {
            return Err(Complaint::new("must be JSON or a reference to a file")
                .hint("write `\"file:/PATH\"`, or the JSON itself, beginning with `{`"));
        }
        let path = file_reference(text)?;
        checked(read(&path)?.trim(), &format!(" `{}`", path.display()))
    })
}

fn read(path: &Path) -> Result<String, Complaint> {
    let cannot = |why: &dyn std::fmt::Display| {
        Complaint::new(format!(
            "is in `{}`, which cannot be read: {why}",
            path.display()
        ))
    };
    let bytes = RegularFile::open(path)
        .and_then(|file| file.read(LARGEST))
        .map_err(|error| cannot(&error))?;
    let text = str::from_utf8(&bytes).map_err(|_| cannot(&"it is not text in UTF-8"))?;
    Ok(text.to_owned())
}

/// `whence` is empty or names the file.
fn checked(text: &str, whence: &str) -> Result<String, Complaint> {
    let json: Json = serde_json::from_str(text).map_err(|error| {
        Complaint::new(format!(
            "is no valid JSON{whence}, line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    let Json::Object(policy) = &json else {
        return Err(Complaint::new(format!("is no JSON object{whence}")));
    };
    let statements = match policy.get("statement").or_else(|| policy.get("Statement")) {
        Some(Json::Array(statements)) => statements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let names_somebody = statements
        .iter()
        .filter_map(Json::as_object)
        .chain([policy])
        .any(|object| {
            object
                .keys()
                .any(|key| key.eq_ignore_ascii_case("principal"))
        });
    if names_somebody {
        return Err(Complaint::new(format!(
            "has a `principal`{whence}, which session policies may not have"
        ))
        .hint("it applies to whoever holds the session; take the element out"));
    }
    Ok(text.to_owned())
}

/// The same text for policies that mean the same, whatever their white space and key order.
pub(in crate::config) fn canonical(policy: &str) -> String {
    let sorted = |json: Json| {
        let mut json = json;
        json.sort_all_objects();
        json.to_string()
    };
    serde_json::from_str(policy).map_or_else(|_| policy.to_owned(), sorted)
}

#[cfg(test)]
mod tests {
    use super::{canonical, checked};

    #[test]
    fn policies_are_objects_without_a_principal() {
        assert!(checked("{\"statement\":[{\"effect\":\"allow\"}]}", "").is_ok());
        for (text, complaint) in [
            ("{", "is no valid JSON, line 1, column 1"),
            ("[]", "is no JSON object"),
            ("{\"principal\":{}}", "has a `principal`"),
            ("{\"statement\":[{\"Principal\":{}}]}", "has a `principal`"),
            ("{\"statement\":{\"principal\":{}}}", "has a `principal`"),
        ] {
            let wrong = checked(text, "").unwrap_err();
            assert!(wrong.text.starts_with(complaint), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn layout_does_not_make_another_policy() {
        assert_eq!(
            canonical("{ \"b\": 1, \"a\": 2 }"),
            canonical("{\"a\":2,\n\"b\":1}")
        );
        assert_ne!(canonical("{\"a\":1}"), canonical("{\"a\":2}"));
    }
}
