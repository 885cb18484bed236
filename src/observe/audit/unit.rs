//! Which systemd unit a process belongs to.

/// Best effort: the process may be gone, or its number be another's already.
pub(super) fn unit_of(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    unit_in(&text).map(ToOwned::to_owned)
}

/// The innermost unit in a `/proc/PID/cgroup`; `cgroups(7)`, `systemd.unit(5)`. On a host with both
/// hierarchies either may be the one that knows it.
fn unit_in(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let unified = line.strip_prefix("0::");
        let named = || line.split_once(":name=systemd:").map(|(_, path)| path);
        innermost(unified.or_else(named)?)
    })
}

fn innermost(path: &str) -> Option<&str> {
    path.rsplit('/').find(|part| {
        let is_unit = [".service", ".scope", ".socket"]
            .iter()
            .any(|kind| part.ends_with(kind));
        let is_plain = part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
        is_unit && is_plain && part.len() <= 256
    })
}

#[cfg(test)]
mod tests {
    use super::unit_in;

    #[test]
    fn units_are_found_in_either_hierarchy() {
        for (text, unit) in [
            ("0::/system.slice/app.service\n", Some("app.service")),
            (
                "0::/system.slice/app@1.service/payload\n",
                Some("app@1.service"),
            ),
            (
                "9:name=systemd:/user.slice/user-1.slice/session-2.scope\n0::/\n",
                Some("session-2.scope"),
            ),
            (
                "9:name=systemd:/\n0::/system.slice/app.service\n",
                Some("app.service"),
            ),
            (
                "9:name=systemd:/system.slice/app.service\n0::/payload\n",
                Some("app.service"),
            ),
            ("9:name=systemd:/\n0::/\n", None),
            ("0::/\n", None),
            ("0::/x/evil\"name.service\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(text), unit, "{text:?}");
        }
    }
}
