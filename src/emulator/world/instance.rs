//! The emulated instance, and the set that its metadata service shows.

use std::io;
use std::time::Duration;

use super::{Caller, Issue, Issued, World};
use crate::credentials::Cloud;
use crate::emulator::faults::Twist;
use crate::emulator::moment::Moment;

/// The role of the emulated CVM instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    pub account: String,
    pub role: String,
    /// Life of a set when it appears; it is replaced at half of that.
    pub session: Duration,
}

impl World {
    /// The set that the instance's role has at the moment: the one shown before until half of its
    /// life is over, then another one. A twisted one is shown once. `None` without a role.
    pub(in crate::emulator) fn instance_set(
        &mut self,
        cloud: Cloud,
        session: &str,
        now: Moment,
        twist: Option<Twist>,
    ) -> io::Result<Option<Issued>> {
        let Some(bound) = self.instance.clone() else {
            return Ok(None);
        };
        let Some(found) = self.role(&bound.account, &bound.role).cloned() else {
            return Ok(None);
        };
        let shown = self.ledger.shown_on_instance(&bound, now.boot);
        if let Some(shown) = shown.filter(|_| twist.is_none()) {
            return Ok(Some(shown));
        }
        let issued = self.ledger.issue(Issue {
            caller: Caller::Role {
                requester: found.account.clone(),
                account: found.account,
                role: found.name,
                role_id: found.id,
                session: session.to_owned(),
            },
            cloud,
            lifetime: bound.session,
            now,
            twist,
        })?;
        if twist.is_none() {
            self.ledger.show_on_instance(&bound, &issued);
        }
        Ok(Some(issued))
    }
}
