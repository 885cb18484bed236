//! What was called, how often, and how it ended. Holds no secret: key ids are shortened, and
//! names from outside are counted only if the emulator knows them.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Calls listed one by one; older ones live on in the counts.
pub const MOST_RECENT: usize = 1_000;

/// One call, for people and tests to look at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RecentCall {
    /// Grows by one with each call since the counts were last reset.
    pub number: u64,
    /// When it arrived, on the emulator's clock (RFC 3339).
    pub at: String,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Shortened id of the key that signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// `pending`, `ok`, the error code, or `fault: KIND`.
    pub outcome: String,
}

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct CallsReport {
    pub total: u64,
    pub by_action: BTreeMap<String, u64>,
    /// Calls that named a role, well answered or not.
    pub by_role: BTreeMap<String, u64>,
    /// Sets handed out, by role.
    pub issued_by_role: BTreeMap<String, u64>,
    /// By code; `ok` for the good ones.
    pub by_outcome: BTreeMap<String, u64>,
    pub recent: VecDeque<RecentCall>,
}

/// The running account.
#[derive(Debug, Default)]
pub(super) struct Calls(CallsReport);

impl Calls {
    /// Notes that a call arrived; its number is the receipt for [`Self::finish`].
    pub(super) fn begin(&mut self, at: String, action: &str, role: Option<&str>) -> u64 {
        let report = &mut self.0;
        report.total += 1;
        add(&mut report.by_action, action);
        if let Some(role) = role {
            add(&mut report.by_role, role);
        }
        if report.recent.len() >= MOST_RECENT {
            report.recent.pop_front();
        }
        report.recent.push_back(RecentCall {
            number: report.total,
            at,
            action: action.to_owned(),
            role: role.map(str::to_owned),
            signed_by: None,
            outcome: "pending".to_owned(),
        });
        report.total
    }

    /// Notes how it ended.
    pub(super) fn finish(&mut self, number: u64, signed_by: Option<String>, outcome: &str) {
        add(&mut self.0.by_outcome, outcome);
        let mut newest_first = self.0.recent.iter_mut().rev();
        if let Some(call) = newest_first.find(|call| call.number == number) {
            call.signed_by = signed_by;
            outcome.clone_into(&mut call.outcome);
        }
    }

    /// Notes that a set was handed out.
    pub(super) fn issued(&mut self, role: &str) {
        add(&mut self.0.issued_by_role, role);
    }

    pub(super) fn report(&self) -> CallsReport {
        self.0.clone()
    }

    pub(super) fn reset(&mut self) {
        self.0 = CallsReport::default();
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count += 1;
    } else {
        counts.insert(key.to_owned(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, MOST_RECENT};

    #[test]
    fn counts_go_on_when_the_list_is_full() {
        let mut calls = Calls::default();
        for _ in 0..MOST_RECENT + 5 {
            let number = calls.begin(String::new(), "AssumeRole", Some("app"));
            calls.finish(number, None, "ok");
        }
        let report = calls.report();
        assert_eq!(report.recent.len(), MOST_RECENT);
        assert_eq!(report.recent[0].number, 6);
        assert_eq!(report.by_role["app"], 1_005);
        assert_eq!(report.by_outcome["ok"], 1_005);
        calls.reset();
        assert_eq!(calls.report().total, 0);
    }
}
