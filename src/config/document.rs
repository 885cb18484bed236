//! Several files as one document: every table once, whichever file it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use super::dotted;
use super::findings::Findings;
use super::mask;
use super::reader::{Table, Value};
use super::report::{Message, Severity};
use super::source::{Place, SourceFile};
use crate::name::Name;

/// Tables that are there once.
const SINGLE: [&str; 4] = ["daemon", "admin", "metrics", "upstream"];
/// A table whose own tables may stand in different files.
const LIMITS: &str = "limits";
/// Tables of tables with names.
const NAMED: [&str; 5] = ["key", "login", "role", "listener", "sink"];

/// One file and what the TOML parser made of it. Without `Debug`, as it holds all values.
pub(super) struct Parsed<'t> {
    file: &'t SourceFile,
    tree: Result<Spanned<DeTable<'t>>, Box<toml::de::Error>>,
    masks: Vec<Range<usize>>,
}

impl<'t> Parsed<'t> {
    /// All files of a configuration: what is a name in one may be shown in the others.
    pub(super) fn all(files: &'t [SourceFile]) -> Vec<Self> {
        let mut parsed: Vec<Self> = files
            .iter()
            .map(|file| Self {
                file,
                tree: DeTable::parse(file.text()).map_err(Box::new),
                masks: Vec::new(),
            })
            .collect();
        let trees = || parsed.iter().filter_map(|it| it.tree.as_ref().ok());
        let names = mask::names(trees().map(Spanned::get_ref));
        let masks: Vec<_> = parsed
            .iter()
            .map(|it| match &it.tree {
                Ok(root) => mask::of_document(it.file.text(), root.get_ref(), &names),
                Err(_) => Vec::new(),
            })
            .collect();
        for (parsed, masks) in parsed.iter_mut().zip(masks) {
            parsed.masks = masks;
        }
        parsed
    }
}

/// The tables of all files.
pub(super) struct Document<'f, 'd> {
    single: BTreeMap<&'static str, Table<'f, 'd>>,
    limits: Vec<Table<'f, 'd>>,
    named: BTreeMap<&'static str, Vec<(Name, Table<'f, 'd>)>>,
    /// Tables with a wrong or taken name. Nothing is made of them, but they are read like the
    /// others for what else is wrong in them.
    strays: BTreeMap<&'static str, Vec<Table<'f, 'd>>>,
    pub(super) gaps: Gaps,
}

/// What is not known of a configuration because of mistakes that were told.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// A file could not be read or parsed: anything may stand there.
    unread: bool,
    /// What the strays are called.
    misnamed: BTreeSet<String>,
}

impl Gaps {
    /// Whether something of this name may be there after all.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.unread || self.misnamed.contains(name)
    }
}

impl<'f, 'd> Document<'f, 'd> {
    /// Reads the top level of each file. `all_read`: there are no others.
    pub(super) fn gather(
        parsed: &'d [Parsed<'d>],
        all_read: bool,
        findings: &'f Findings<'d>,
    ) -> Self {
        let mut document = Self {
            single: BTreeMap::new(),
            limits: Vec::new(),
            named: BTreeMap::new(),
            strays: BTreeMap::new(),
            gaps: Gaps {
                unread: !all_read,
                misnamed: BTreeSet::new(),
            },
        };
        for parsed in parsed {
            match &parsed.tree {
                Ok(root) => {
                    let place = Place::new(parsed.file, 0..0, Some(&parsed.masks));
                    let root: &'d DeTable<'d> = root.get_ref();
                    document.add(Table::root(findings, place, root), findings);
                }
                Err(error) => {
                    document.gaps.unread = true;
                    findings.add(syntax_error(parsed.file, error));
                }
            }
        }
        document
    }

    fn add(&mut self, mut root: Table<'f, 'd>, findings: &'f Findings<'d>) {
        for kind in SINGLE {
            let Some(table) = root.optional(kind, Value::table) else {
                continue;
            };
            if let Some(first) = self.single.get(kind) {
                defined_twice(findings, kind, table.place(), first.place());
            } else {
                self.single.insert(kind, table);
            }
        }
        self.limits.extend(root.optional(LIMITS, Value::table));
        for kind in NAMED {
            for (name, value) in root.optional(kind, Value::entries).unwrap_or_default() {
                self.add_named(kind, name, &value, findings);
            }
        }
        root.finish();
    }

    fn add_named(
        &mut self,
        kind: &'static str,
        name: &str,
        value: &Value<'f, 'd>,
        findings: &'f Findings<'d>,
    ) {
        let parsed = name.parse::<Name>();
        if let Err(error) = &parsed {
            let text = format!("`{}` is not a name for a {kind}", mask::quotable(name));
            findings.mistake(value.key_place(), text, error.to_string());
            self.gaps.misnamed.insert(name.to_owned());
        }
        let Some(mut table) = value.table() else {
            return;
        };
        for dotted in dotted::tables(kind, name, value) {
            findings.mistake(dotted.value.key_place(), dotted.text, dotted.hint);
            self.gaps.misnamed.insert(dotted.name);
            self.strays
                .entry(kind)
                .or_default()
                .extend(dotted.value.table());
            table.ignore(dotted.key);
            table = table.part();
        }
        if table.is_used_up() {
            return;
        }
        let others = self.named.entry(kind).or_default();
        let Ok(name) = parsed else {
            if !table.is_empty() {
                self.strays.entry(kind).or_default().push(table);
            }
            return;
        };
        match others.iter().position(|(other, _)| *other == name) {
            Some(first) => {
                let (name, first) = others.remove(first);
                let path = format!("{kind}.{name}");
                defined_twice(findings, &path, table.place(), first.place());
                // Each may have what the other lacks.
                others.push((name, first.part()));
                self.strays.entry(kind).or_default().push(table.part());
            }
            None => others.push((name, table)),
        }
    }

    /// Takes a table that is there once.
    pub(super) fn single(&mut self, kind: &str) -> Option<Table<'f, 'd>> {
        self.single.remove(kind)
    }

    /// Takes `[limits]` of each file that has it, or a table in it.
    pub(super) fn limits(&mut self) -> Vec<Table<'f, 'd>> {
        std::mem::take(&mut self.limits)
    }

    /// Takes all tables of a kind.
    pub(super) fn named(&mut self, kind: &str) -> Vec<(Name, Table<'f, 'd>)> {
        self.named.remove(kind).unwrap_or_default()
    }

    /// Takes those of a kind that are only read for their mistakes.
    pub(super) fn strays(&mut self, kind: &str) -> Vec<Table<'f, 'd>> {
        self.strays.remove(kind).unwrap_or_default()
    }

    /// The names in use, with their places.
    pub(super) fn names(&self, kind: &str) -> BTreeMap<Name, Place<'d>> {
        let tables = self.named.get(kind).into_iter().flatten();
        tables
            .map(|(name, table)| (name.clone(), table.place().clone()))
            .collect()
    }
}

/// Notes that a table stands in two files.
pub(super) fn defined_twice(
    findings: &Findings<'_>,
    path: &str,
    second: &Place<'_>,
    first: &Place<'_>,
) {
    let text = format!("[{path}] is defined twice");
    let hint = "keep one of the two".to_owned();
    findings.add(
        Message::at(Severity::Mistake, second, text, Some(hint)).and("first defined here", first),
    );
}

fn syntax_error(file: &SourceFile, error: &toml::de::Error) -> Message {
    let span = error.span().unwrap_or_default();
    let place = Place::new(file, span, None);
    let hint = match error.message() {
        "duplicate key" => "this key or table stands above already; keep one of the two",
        text if text.starts_with("string values must be quoted") => {
            "write text in quotes, durations such as \"2h\" too"
        }
        _ => "text needs quotes, and brackets and quotes come in pairs",
    };
    let text = format!("not valid TOML: {}", error.message());
    Message::at(Severity::Mistake, &place, text, Some(hint.to_owned()))
}
