//! The JSON body, read the way a typed server reads it: a wrong type, a missing parameter and an
//! unknown one are each refused, and nothing is converted.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// What has not been read yet. Each `read` takes its parameter out; [`Self::finish`] refuses
/// what is left.
#[derive(Debug)]
pub(super) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            _ => Err(Refusal::new(
                "InvalidParameter",
                "The request body is not a JSON object.",
            )),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// An integer that is not negative. A number in quotes is a string, and refused.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| wrong_type(name, "an integer that is not negative")),
        }
    }

    /// A list of objects with exactly two strings each.
    pub(super) fn pairs(
        &mut self,
        name: &str,
        first: &str,
        second: &str,
    ) -> Result<Vec<(String, String)>, Refusal> {
        let items = match self.0.remove(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong_type(name, "a list")),
        };
        let mut pairs = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let place = format!("{name}.{at}");
            let Value::Object(map) = item else {
                return Err(wrong_type(&place, "an object"));
            };
            let mut inner = Self(map);
            let pair = (inner.required_text(first)?, inner.required_text(second)?);
            inner.finish()?;
            pairs.push(pair);
        }
        Ok(pairs)
    }

    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::new(
                "UnknownParameter",
                format!(
                    "The parameter `{}` is not recognized.",
                    name.chars().take(64).collect::<String>().escape_debug()
                ),
            )),
        }
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::new(
        "MissingParameter",
        format!("The request is missing a required parameter `{name}`."),
    )
}

fn wrong_type(name: &str, expected: &str) -> Refusal {
    Refusal::new(
        "InvalidParameter",
        format!("The value type of parameter `{name}` is not valid: it is {expected}."),
    )
}
