//! The script: which faults are still to come, how often, and which one strikes a call. Matching
//! and counting only.
//!
//! Faults stand in a list. A call takes the first one that matches it and uses it up by one; a
//! call that matches none is answered properly.

use super::faults::{Called, Fault};

/// Faults waiting at the same time.
pub const MOST_FAULTS: usize = 10_000;

/// A list of faults that cannot be taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidFaults {
    #[error("fault {number}: {mistake}")]
    Mistake {
        /// Counted from 1.
        number: usize,
        mistake: &'static str,
    },
    #[error("no more than {MOST_FAULTS} faults can wait; clear the script first")]
    TooMany,
}

/// The faults still to come, in their order.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Fault>);

impl Script {
    /// Appends all of them, or none.
    pub(super) fn append(&mut self, faults: Vec<Fault>) -> Result<(), InvalidFaults> {
        for (at, fault) in faults.iter().enumerate() {
            if let Some(mistake) = fault.mistake() {
                let number = at + 1;
                return Err(InvalidFaults::Mistake { number, mistake });
            }
        }
        if self.0.len() + faults.len() > MOST_FAULTS {
            return Err(InvalidFaults::TooMany);
        }
        self.0.extend(faults);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is left, with what is left of each `times`.
    pub(super) fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The fault that strikes this call, used up by one.
    pub(super) fn take(&mut self, call: Called<'_>) -> Option<Fault> {
        let at = self.0.iter().position(|fault| fault.matches(call))?;
        let fault = self.0.get_mut(at)?;
        let struck = fault.clone();
        match fault.times.unwrap_or(1) {
            _ if fault.forever => {}
            0 | 1 => drop(self.0.remove(at)),
            more => fault.times = Some(more - 1),
        }
        Some(struck)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidFaults, Script};
    use crate::emulator::faults::{Called, Fault, FaultKind};

    fn assume_role(role: &str) -> Called<'_> {
        Called {
            action: "AssumeRole",
            role: Some(role),
            hands_out_a_set: true,
        }
    }

    #[test]
    fn the_first_match_strikes_as_often_as_it_says() {
        let mut script = Script::default();
        script
            .append(vec![
                Fault::status(500).on_role("batch"),
                Fault::new(FaultKind::Reset)
                    .on_action("AssumeRole")
                    .times(2),
                Fault::new(FaultKind::Hang).forever(),
            ])
            .unwrap();
        let mut next = |role| script.take(assume_role(role)).map(|fault| fault.kind);
        assert_eq!(next("app"), Some(FaultKind::Reset));
        assert_eq!(next("batch"), Some(FaultKind::Status));
        assert_eq!(next("batch"), Some(FaultKind::Reset));
        for _ in 0..3 {
            assert_eq!(next("batch"), Some(FaultKind::Hang));
        }
        assert_eq!(script.list().len(), 1);
    }

    #[test]
    fn what_spoils_a_set_waits_for_one() {
        let mut script = Script::default();
        let waiting = [
            FaultKind::Expired,
            FaultKind::Backwards,
            FaultKind::WrongAccount,
            FaultKind::Incomplete,
        ];
        let faults = waiting.into_iter().chain([FaultKind::Truncated]);
        script.append(faults.map(Fault::new).collect()).unwrap();
        let identity = Called {
            hands_out_a_set: false,
            ..assume_role("app")
        };
        let struck = script.take(identity).map(|fault| fault.kind);
        assert_eq!(struck, Some(FaultKind::Truncated));
        assert_eq!(script.take(identity), None);
        for kind in waiting {
            let struck = script.take(assume_role("app"));
            assert_eq!(struck.map(|fault| fault.kind), Some(kind));
        }
    }

    #[test]
    fn a_fault_that_cannot_do_what_it_says_is_refused_with_its_number() {
        let none = Fault::new(FaultKind::Delay);
        for (case, fault) in [
            ("a delay without a length", none.clone()),
            ("an error without a code", Fault::new(FaultKind::ErrorCode)),
            ("a skew without seconds", Fault::new(FaultKind::Skew)),
            ("zero times", Fault::status(500).times(0)),
            ("times and forever", Fault::status(500).times(1).forever()),
            ("a status of its own", Fault::status(99)),
            (
                "a delay of a day",
                none.after(std::time::Duration::from_hours(24)),
            ),
            ("a skew of centuries", Fault::status(500).skewed(i64::MIN)),
        ] {
            let refused = Script::default().append(vec![Fault::status(503), fault]);
            assert!(
                matches!(refused, Err(InvalidFaults::Mistake { number: 2, .. })),
                "{case}: {refused:?}"
            );
        }
    }
}
