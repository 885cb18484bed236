//! Which systemd unit a process belongs to.

/// Best effort: the process may be gone, or its number be another's already.
pub(super) fn unit_of(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    unit_in(&text).map(ToOwned::to_owned)
}

/// The innermost unit in a `/proc/PID/cgroup`; `cgroups(7)`, `systemd.unit(5)`.
fn unit_in(cgroups: &str) -> Option<&str> {
    let path = cgroups.lines().find_map(|line| {
        line.strip_prefix("0::")
            .filter(|path| *path != "/")
            .or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    })?;
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
            ("0::/\n", None),
            ("0::/x/evil\"name.service\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(text), unit, "{text:?}");
        }
    }
}
