//! The one line that `systemctl status` shows. Pure.

use crate::store::{Held, Refresh};

/// Roles and listeners named in the line; more are counted.
const NAMED: usize = 3;

/// One role as the status line needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoleWord<'a> {
    pub(super) name: &'a str,
    pub(super) held: Held,
    pub(super) refresh: Refresh,
}

/// "7 of 8 roles fresh, corp needs login": what is well is counted, what is not is named.
#[must_use]
pub(super) fn status_line<'a>(
    roles: impl IntoIterator<Item = RoleWord<'a>>,
    failed_listeners: &[&str],
) -> String {
    let (mut fresh, mut in_use, mut resting) = (0_usize, 0_usize, 0_usize);
    let mut troubles: Vec<String> = Vec::new();
    for role in roles {
        if role.refresh == Refresh::Resting {
            resting += 1;
            continue;
        }
        in_use += 1;
        fresh += usize::from(role.held == Held::Fresh);
        if let Some(trouble) = trouble(role) {
            troubles.push(format!("{} {trouble}", role.name));
        }
    }
    for listener in failed_listeners {
        troubles.push(format!("listener {listener} failed"));
    }
    let more = troubles.len().saturating_sub(NAMED);
    let mut parts = vec![format!("{fresh} of {in_use} roles fresh")];
    if resting > 0 {
        parts.push(format!("{resting} resting"));
    }
    parts.extend(troubles.into_iter().take(NAMED));
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    parts.join(", ")
}

fn trouble(role: RoleWord<'_>) -> Option<&'static str> {
    match (role.refresh, role.held) {
        (Refresh::NeedsLogin, _) => Some("needs login"),
        (Refresh::Failing, _) => Some("is refused"),
        (_, Held::Expired) => Some("has expired"),
        (_, Held::Degraded) => Some("is degraded"),
        (Refresh::Retrying, Held::None) => Some("has nothing yet"),
        (Refresh::Retrying, Held::Fresh) => Some("is retrying"),
        (Refresh::Idle | Refresh::Resting, Held::None | Held::Fresh) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, held: Held, refresh: Refresh) -> RoleWord<'_> {
        RoleWord {
            name,
            held,
            refresh,
        }
    }

    #[test]
    fn the_status_line_counts_what_is_well_and_names_what_is_not() {
        let well = role("a", Held::Fresh, Refresh::Idle);
        for (roles, listeners, said) in [
            (vec![], vec![], "0 of 0 roles fresh"),
            (vec![well; 2], vec![], "2 of 2 roles fresh"),
            (
                vec![well, role("corp", Held::None, Refresh::NeedsLogin)],
                vec![],
                "1 of 2 roles fresh, corp needs login",
            ),
            (
                vec![well, role("lazy", Held::None, Refresh::Resting)],
                vec!["metadata"],
                "1 of 1 roles fresh, 1 resting, listener metadata failed",
            ),
            (
                vec![
                    role("b", Held::Degraded, Refresh::Retrying),
                    role("c", Held::Expired, Refresh::Retrying),
                    role("d", Held::None, Refresh::Failing),
                    role("e", Held::None, Refresh::Retrying),
                    role("f", Held::Fresh, Refresh::Retrying),
                ],
                vec![],
                "1 of 5 roles fresh, b is degraded, c has expired, d is refused, 2 more",
            ),
        ] {
            assert_eq!(status_line(roles, &listeners), said);
        }
    }
}
