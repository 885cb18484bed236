//! What readers and gauges are told, once per change.

use tracing::warn;

use super::Refresher;
use crate::refresh::gauges;
use crate::store::Held;

impl Refresher {
    /// Publishes again if the set reads differently now.
    pub(super) fn show(&mut self) {
        let at = self.moment();
        let rendered = self.state.show(&self.role, at);
        let held = self.state.view(self.settings.tuning).held(at.now);
        if rendered || held != self.announced {
            self.publish();
        }
    }

    /// Wakes everybody who waits for a change, so it does nothing if there is none: whoever is
    /// woken reads, and a read may be a demand.
    pub(super) fn publish(&mut self) {
        let now = self.now();
        let view = self.state.view(self.settings.tuning);
        let held = view.held(now);
        if held == Held::Expired && self.announced != Held::Expired {
            warn!("the held credentials have expired; nothing is served");
        } else if held == Held::Degraded && self.announced == Held::Fresh {
            warn!(
                min_remaining_secs = view.min_remaining.as_secs(),
                "the held credentials show less life than promised"
            );
        }
        let is_news = held != self.announced || !view.tells_the_same_as(&self.role.view());
        self.announced = held;
        let next_attempt = view.next_attempt.map(|due| self.state.wall_time(due));
        let name = self.role.name().as_str();
        gauges::set(&self.shared.metrics, name, &view, next_attempt, now);
        if is_news {
            self.role.publish(view);
            self.shared.changed.notify_one();
        }
    }
}
