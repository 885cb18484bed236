//! Names with a dot that were written without quotes: TOML makes two tables of `[role.my.app]`.

use super::mask;
use super::model::SinkKind;
use super::reader::Value;

/// A table that was meant to have a name with a dot.
pub(super) struct Dotted<'f, 'd> {
    /// What it is called in the table around it.
    pub(super) key: &'d str,
    /// What it was meant to be called.
    pub(super) name: String,
    pub(super) value: Value<'f, 'd>,
    pub(super) text: String,
    pub(super) hint: String,
}

/// Those in the table `[KIND.NAME]`: they hold what only a table of this kind has.
pub(super) fn tables<'f, 'd>(kind: &str, name: &str, whole: &Value<'f, 'd>) -> Vec<Dotted<'f, 'd>> {
    let entries = whole.entries().unwrap_or_default().into_iter();
    entries
        .filter(|(key, value)| !is_mark(kind, key) && value.is_table())
        .filter_map(|(key, value)| {
            let (mark, inner) = value
                .entries()?
                .into_iter()
                .find(|(inner, _)| is_mark(kind, inner))?;
            let name = format!("{name}.{key}");
            let shown = mask::quotable(&name);
            let rest = match kind {
                "role" => {
                    let provider = inner.is_table().then(|| inner.entries()).flatten();
                    let kinds = provider.unwrap_or_default();
                    let first = kinds.first().map_or("KIND", |(kind, _)| *kind);
                    format!(".{mark}.{}", mask::quotable(first))
                }
                "login" | "sink" => format!(".{mark}"),
                _ => String::new(),
            };
            Some(Dotted {
                key,
                text: format!("`{shown}` is a name with a dot, which needs quotes"),
                hint: format!("write [{kind}.\"{shown}\"{rest}]"),
                name,
                value,
            })
        })
        .collect()
}

/// Whether a key is one by which tables of this kind are known.
fn is_mark(kind: &str, key: &str) -> bool {
    match kind {
        "key" => matches!(key, "cloud" | "id" | "secret"),
        "listener" => matches!(key, "address" | "roles"),
        "login" => key.ends_with("-identity-center"),
        "role" => key == "provider",
        "sink" => SinkKind::ALL.iter().any(|known| known.as_str() == key),
        _ => false,
    }
}
