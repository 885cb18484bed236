//! The JSON body, read the way a typed server reads it: a wrong type, a missing parameter and an
//! unknown one are each refused, and nothing is converted.

use serde_json::{Map, Value};

/// What is wrong with a body, before it takes a cloud's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Complaint {
    Missing {
        name: String,
    },
    NotAnObject,
    Unknown {
        name: String,
    },
    WrongType {
        name: String,
        expected: &'static str,
    },
}

/// What has not been read yet. Each `read` takes its parameter out; [`Self::finish`] refuses
/// what is left.
#[derive(Debug)]
pub(super) struct Parameters(Map<String, Value>);

impl Parameters {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Complaint> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            _ => Err(Complaint::NotAnObject),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Complaint> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, Complaint> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// An integer that is not negative. A number in quotes is a string, and refused.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<u64>, Complaint> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| wrong_type(name, "an integer that is not negative")),
        }
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Complaint> {
        let items = match self.0.remove(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong_type(name, "a list")),
        };
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong_type(name, "a list of strings"))
    }

    /// An object, to be read like this one.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, Complaint> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self(map))),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    pub(super) fn required_object(&mut self, name: &str) -> Result<Self, Complaint> {
        self.object(name)?.ok_or_else(|| missing(name))
    }

    /// Whatever it is.
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// A list of objects with exactly two strings each.
    pub(super) fn pairs(
        &mut self,
        name: &str,
        first: &str,
        second: &str,
    ) -> Result<Vec<(String, String)>, Complaint> {
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

    pub(super) fn finish(self) -> Result<(), Complaint> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name = name.chars().take(64).collect::<String>();
                let name = name.escape_debug().to_string();
                Err(Complaint::Unknown { name })
            }
        }
    }
}

fn missing(name: &str) -> Complaint {
    let name = name.to_owned();
    Complaint::Missing { name }
}

fn wrong_type(name: &str, expected: &'static str) -> Complaint {
    let name = name.to_owned();
    Complaint::WrongType { name, expected }
}
