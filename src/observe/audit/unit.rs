//! Which systemd unit a process belongs to.

/// Best effort: the process may be gone, or its number be another's already.
pub(super) fn unit_of(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    unit_in(&text).map(ToOwned::to_owned)
}

/// The system's unit in a `/proc/PID/cgroup`; `cgroups(7)`, `systemd.unit(5)`. On a host with both
/// hierarchies either may be the one that knows it.
fn unit_in(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let unified = line.strip_prefix("0::");
        let named = || line.split_once(":name=systemd:").map(|(_, path)| path);
        outermost(unified.or_else(named)?)
    })
}

/// What follows the slices, all of which are the service manager's. Whatever is below is named by
/// whom it was delegated to: a user's own manager (`user@UID.service`), a container.
fn outermost(path: &str) -> Option<&str> {
    // From inside a control group namespace, what is elsewhere begins with the way up.
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | ".."));
    let first = parts.find(|part| !is_one_of(part, &[".slice"]))?;
    let is_plain = first
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
    let is_unit = is_one_of(first, &[".service", ".scope", ".socket"]);
    (is_unit && is_plain && first.len() <= 256).then_some(first)
}

fn is_one_of(part: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| part.ends_with(kind))
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
            (
                "0::/user.slice/user-7.slice/user@7.service/app.slice/sshd.service\n",
                Some("user@7.service"),
            ),
            (
                "9:name=systemd:/user.slice/user-7.slice/user@7.service/system.slice/x.scope\n",
                Some("user@7.service"),
            ),
            (
                "0::/system.slice/docker-0.scope/system.slice/sshd.service\n",
                Some("docker-0.scope"),
            ),
            ("0::/../../system.slice/app.service\n", Some("app.service")),
            ("0::/kubepods/pod0/system.slice/sshd.service\n", None),
            ("9:name=systemd:/\n0::/\n", None),
            ("0::/\n", None),
            ("0::/x/evil\"name.service\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(text), unit, "{text:?}");
        }
    }
}
