//! Files with sections, changed in one section and nowhere else. Pure.
//!
//! As the readers of such files see them (Python's `configparser` and its likes): a section
//! begins with `[name]`, a key stands before the first `=` or `:` whatever its case, `#` and `;`
//! begin comments, and an indented line belongs to the value above it.

use zeroize::Zeroizing;

/// A key with its value; `None` takes it out.
pub(super) type Setting<'a> = (&'a str, Option<&'a str>);

/// The text with these settings in `section`, which is made if there is none. A section that
/// nothing is left in is taken out.
pub(super) fn set(text: &str, section: &str, settings: &[Setting<'_>]) -> Zeroizing<String> {
    let added: usize = settings
        .iter()
        .map(|(key, value)| key.len() + value.map_or(0, str::len) + 4)
        .sum();
    let mut out = Zeroizing::new(String::with_capacity(
        text.len() + section.len() + added + 8,
    ));
    let mut in_section = false;
    let mut is_done = false;
    let mut in_dropped_value = false;
    let removes = settings.iter().all(|(_, value)| value.is_none());
    for line in text.split_inclusive('\n') {
        let begins_indented = line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if in_dropped_value && begins_indented {
            continue;
        }
        in_dropped_value = false;
        if let Some(name) = header(line) {
            in_section = name == section;
            if in_section && removes && nothing_else(text, section, settings) {
                continue;
            }
            push_line(&mut out, line);
            if in_section && !is_done {
                write(&mut out, settings);
                is_done = true;
            }
            continue;
        }
        if in_section && is_one_of(line, settings) {
            in_dropped_value = true;
            continue;
        }
        push_line(&mut out, line);
    }
    if !is_done && !removes {
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        out.push('[');
        out.push_str(section);
        out.push_str("]\n");
        write(&mut out, settings);
    }
    out
}

/// The last line of a file may lack its end.
fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    if !line.ends_with('\n') {
        out.push('\n');
    }
}

fn write(out: &mut String, settings: &[Setting<'_>]) {
    for (key, value) in settings {
        if let Some(value) = value {
            out.push_str(key);
            out.push_str(" = ");
            out.push_str(value);
            out.push('\n');
        }
    }
}

/// The name of the section that a line begins.
fn header(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix('[')?;
    inner.split_once(']').map(|(name, _)| name.trim())
}

fn is_one_of(line: &str, settings: &[Setting<'_>]) -> bool {
    let line = line.trim_start();
    if line.starts_with(['#', ';']) {
        return false;
    }
    let Some((key, _)) = line.split_once(['=', ':']) else {
        return false;
    };
    settings
        .iter()
        .any(|(name, _)| key.trim().eq_ignore_ascii_case(name))
}

/// Whether a section holds nothing but these keys.
fn nothing_else(text: &str, section: &str, settings: &[Setting<'_>]) -> bool {
    let mut in_section = false;
    text.lines().all(|line| {
        if let Some(name) = header(line) {
            in_section = name == section;
            return true;
        }
        !in_section || line.trim().is_empty() || is_one_of(line, settings)
    })
}

#[cfg(test)]
mod tests {
    use super::{Setting, set};

    const NEW: [Setting<'_>; 2] = [("id", Some("I")), ("key", Some("K"))];
    const NONE: [Setting<'_>; 2] = [("id", None), ("key", None)];

    #[test]
    fn everything_else_stays_as_it_is() {
        for (case, before, after) in [
            ("nothing yet", "", "[a]\nid = I\nkey = K\n"),
            (
                "another section",
                "# mine\n[b]\nid = 1",
                "# mine\n[b]\nid = 1\n\n[a]\nid = I\nkey = K\n",
            ),
            (
                "the section, with other keys and comments",
                "[a]\n; why\nregion = x\nID=old\nkey : old\n[b]\nid=1\n",
                "[a]\nid = I\nkey = K\n; why\nregion = x\n[b]\nid=1\n",
            ),
            (
                "a value of two lines, and one twice",
                "[a]\nid = old\n  and more\nid = older\nregion = x\n  y\n",
                "[a]\nid = I\nkey = K\nregion = x\n  y\n",
            ),
            (
                "a name that only begins alike",
                "[ab]\nid = 1\n",
                "[ab]\nid = 1\n\n[a]\nid = I\nkey = K\n",
            ),
            (
                "a comment is no key",
                "[a]\n#id = x\n",
                "[a]\nid = I\nkey = K\n#id = x\n",
            ),
        ] {
            let once = set(before, "a", &NEW);
            assert_eq!(*once, after, "{case}");
            assert_eq!(*set(&once, "a", &NEW), after, "again: {case}");
        }
    }

    #[test]
    fn what_was_written_can_be_taken_out_again() {
        for (before, after) in [
            ("", ""),
            ("[a]\nid = I\nkey = K\n", ""),
            ("[b]\nid = 1\n\n[a]\nid = I\nkey = K\n", "[b]\nid = 1\n\n"),
            ("[a]\nid = I\nregion = x\n", "[a]\nregion = x\n"),
        ] {
            assert_eq!(*set(before, "a", &NONE), after, "{before:?}");
        }
    }
}
