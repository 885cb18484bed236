//! Takes a parsed TOML table apart, key by key, and remembers which keys were asked for.
//!
//! A wrong value is noted where it stands and read as absent, so that one reading finds every
//! mistake. Nothing is listed twice: the keys a table knows are those its reader asks for, and
//! whatever is left over at [`Table::finish`] is unknown.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::Findings;
use super::mask;
use super::source::Place;

/// What is wrong with a value, said so that "`key` " can stand before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Complaint {
    pub(super) text: String,
    pub(super) hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One value with its key. Without `Debug`: it may be a misplaced secret.
#[derive(Clone)]
pub(super) struct Value<'f, 'd> {
    findings: &'f Findings<'d>,
    /// The last word of [`Self::path`].
    key: String,
    /// As in `role.app.lazy`.
    path: String,
    key_place: Place<'d>,
    place: Place<'d>,
    content: &'d DeValue<'d>,
}

impl<'f, 'd> Value<'f, 'd> {
    pub(super) fn place(&self) -> &Place<'d> {
        &self.place
    }

    pub(super) fn key_place(&self) -> &Place<'d> {
        &self.key_place
    }

    pub(super) fn findings(&self) -> &'f Findings<'d> {
        self.findings
    }

    /// Notes what is wrong with it.
    pub(super) fn complain(&self, complaint: Complaint) {
        let text = format!("`{}` {}", self.key, complaint.text);
        self.findings.mistake(&self.place, text, complaint.hint);
    }

    fn wrong_type(&self, wanted: &str) {
        let found = match self.content {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.complain(Complaint::new(format!("must be {wanted}, not {found}")));
    }

    /// As in `role.app.lazy`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The text itself, if it is text.
    pub(super) fn as_text(&self) -> Option<&'d str> {
        self.content.as_str()
    }

    /// The whole number itself, if it is one.
    pub(super) fn as_integer(&self) -> Option<i64> {
        let integer = self.content.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(super) fn is_number(&self) -> bool {
        self.content.is_integer() || self.content.is_float()
    }

    pub(super) fn is_table(&self) -> bool {
        self.content.is_table()
    }

    pub(super) fn text(&self) -> Option<&'d str> {
        let text = self.as_text();
        if text.is_none() {
            self.wrong_type("text in quotes");
        }
        text
    }

    /// Text that means something.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, Complaint>) -> Option<T> {
        match parse(self.text()?) {
            Ok(parsed) => Some(parsed),
            Err(complaint) => {
                self.complain(complaint);
                None
            }
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.content.as_bool();
        if flag.is_none() {
            self.wrong_type("true or false");
        }
        flag
    }

    pub(super) fn integer(&self) -> Option<i64> {
        if !self.content.is_integer() {
            self.wrong_type("a whole number");
            return None;
        }
        let integer = self.as_integer();
        if integer.is_none() {
            self.complain(Complaint::new("is too large a number"));
        }
        integer
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let Some(items) = self.content.as_array() else {
            self.wrong_type("a list in brackets");
            return None;
        };
        let items = items.iter().map(|item| Self {
            place: self.place.at(item.span()),
            key_place: self.place.at(item.span()),
            content: item.get_ref(),
            ..self.clone()
        });
        Some(items.collect())
    }

    /// Every element parsed; `None` if one is wrong.
    pub(super) fn list<T>(&self, parse: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        let parsed: Vec<Option<T>> = self.items()?.iter().map(parse).collect();
        parsed.into_iter().collect()
    }

    /// A table whose keys are known.
    pub(super) fn table(&self) -> Option<Table<'f, 'd>> {
        let Some(entries) = self.content.as_table() else {
            self.wrong_type("a table");
            return None;
        };
        let place = if self.place.text().starts_with(['[', '{']) {
            &self.place // the header, or all of an inline table
        } else {
            &self.key_place
        };
        Some(Table {
            findings: self.findings,
            path: self.path.clone(),
            place: place.clone(),
            entries,
            asked: Vec::new(),
            missing: Vec::new(),
            is_part: false,
        })
    }

    /// A table whose keys are up to the user.
    pub(super) fn entries(&self) -> Option<Vec<(&'d str, Self)>> {
        let entries = self.table()?;
        let read = |(key, value): (&'d Spanned<_>, &'d Spanned<_>)| entries.value(key, value);
        Some(entries.entries.iter().map(read).collect())
    }
}

/// A table that is being read.
#[must_use = "call `finish`, or unknown keys go unnoticed"]
pub(super) struct Table<'f, 'd> {
    findings: &'f Findings<'d>,
    path: String,
    place: Place<'d>,
    entries: &'d DeTable<'d>,
    asked: Vec<&'d str>,
    /// Keys that should be there, with hints. Noted at the end: one that was only misspelt is
    /// one mistake, not two.
    missing: Vec<(&'static str, String)>,
    is_part: bool,
}

impl<'f, 'd> Table<'f, 'd> {
    /// A whole file.
    pub(super) fn root(
        findings: &'f Findings<'d>,
        place: Place<'d>,
        entries: &'d DeTable<'d>,
    ) -> Self {
        Self {
            findings,
            path: String::new(),
            place,
            entries,
            asked: Vec::new(),
            missing: Vec::new(),
            is_part: false,
        }
    }

    /// What is not in it may stand elsewhere: nothing is missing.
    pub(super) fn part(mut self) -> Self {
        self.is_part = true;
        self
    }

    /// Whether what is not in it is missing.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_part
    }

    /// A key that belongs to something else, which reads it.
    pub(super) fn ignore(&mut self, key: &'d str) {
        self.asked.push(key);
    }

    /// Whether all that is in it belongs to something else.
    pub(super) fn is_used_up(&self) -> bool {
        let mut keys = self.entries.keys();
        self.is_part && keys.all(|key| self.asked.contains(&key.get_ref().as_ref()))
    }

    /// As in `role.app`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn findings(&self) -> &'f Findings<'d> {
        self.findings
    }

    /// Its header.
    pub(super) fn place(&self) -> &Place<'d> {
        &self.place
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it has entries that are no tables.
    pub(super) fn has_values(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|(_, value)| !value.get_ref().is_table())
    }

    /// Notes a mistake of the table as a whole.
    pub(super) fn complain(&self, text: impl Into<String>, hint: impl Into<Option<String>>) {
        self.findings.mistake(&self.place, text, hint);
    }

    fn value(
        &self,
        key: &'d Spanned<std::borrow::Cow<'d, str>>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> (&'d str, Value<'f, 'd>) {
        let name: &str = key.get_ref();
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        let place = self.place.at(value.span());
        let shown = if value.get_ref().is_table() {
            self.place.at(key.span())
        } else {
            place.clone()
        };
        self.findings.note_place(&path, &shown);
        let value = Value {
            findings: self.findings,
            key: name.to_owned(),
            path,
            key_place: self.place.at(key.span()),
            place,
            content: value.get_ref(),
        };
        (name, value)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'f, 'd>> {
        self.asked.push(key);
        let (key, value) = self.entries.get_key_value(key)?;
        Some(self.value(key, value).1)
    }

    /// A key that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value<'f, 'd>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).as_ref().and_then(parse)
    }

    /// A key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        hint: &str,
        parse: impl FnOnce(&Value<'f, 'd>) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(key);
        if value.is_none() {
            self.missing(key, hint);
        }
        value.as_ref().and_then(parse)
    }

    /// Notes that a key is not there.
    pub(super) fn missing(&mut self, key: &'static str, hint: &str) {
        self.missing.push((key, hint.to_owned()));
    }

    /// Every key that nobody asked for is unknown.
    pub(super) fn finish(self) {
        let within = if self.path.is_empty() {
            String::new()
        } else {
            let shown: Vec<String> = self.path.split('.').map(mask::quotable).collect();
            format!(" in [{}]", shown.join("."))
        };
        let mut misspelt: Vec<&str> = Vec::new();
        for (key, value) in self.entries {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let kind = if value.get_ref().is_table() {
                "table"
            } else {
                "key"
            };
            misspelt.extend(nearest(name, self.asked.iter().copied()));
            self.findings.mistake(
                &self.place.at(key.span()),
                format!("unknown {kind} `{}`{within}", mask::unknown_key(name)),
                suggestion(name, self.asked.iter().copied()),
            );
        }
        for (key, hint) in self.missing {
            if !self.is_part && !misspelt.contains(&key) {
                let text = format!("`{key}` is missing{within}");
                self.findings.mistake(&self.place, text, hint);
            }
        }
    }
}

/// The known name that was most likely meant.
fn nearest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = wrong.to_ascii_lowercase().replace('_', "-");
    known
        .map(|name| (strsim::osa_distance(&wrong, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 5)
        .map(|(_, name)| name)
}

/// "did you mean", or what there is to choose from.
pub(super) fn suggestion<'n>(
    wrong: &str,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Option<String> {
    if let Some(name) = nearest(wrong, known.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let mut names: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| format!("known here: {}", names.join(", ")))
}
