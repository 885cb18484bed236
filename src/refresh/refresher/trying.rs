//! An attempt from its start to what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, warn};

use super::Refresher;
use crate::credentials::shortened;
use crate::provider::error::{Class, ProviderError};
use crate::refresh::adopt::Verdict;
use crate::refresh::attempt::{Attempt, Outcome};
use crate::refresh::calls::Calls;
use crate::refresh::command::{Command, RefreshReply, SignedIn};
use crate::refresh::gauges;
use crate::refresh::source::Standing;
use crate::refresh::state::Moment;

/// What changed while an attempt ran, which it may not have known yet.
#[derive(Debug, Default)]
struct Meanwhile {
    secret_changed: bool,
    session_changed: Option<SignedIn>,
}

impl Refresher {
    /// One attempt. Commands are heard meanwhile: a second `refresh` joins this attempt, `forget`
    /// ends it, and another configuration has it made anew.
    pub(super) async fn attempt(&mut self) {
        let mut asking = std::mem::take(&mut self.asking);
        if !asking.is_empty() {
            // Whoever asks means the files as they are now.
            self.settings.provider.reread_source();
        }
        self.state.attempt_started(self.moment());
        // A task of its own, so that a bug in one cloud's parser costs an attempt, not the role.
        let mut running = AbortOnDropHandle::new(tokio::spawn(
            self.prepared().run().instrument(tracing::Span::current()),
        ));
        let mut meanwhile = Meanwhile::default();
        let outcome = loop {
            tokio::select! {
                ended = &mut running => break ended.unwrap_or_else(Outcome::from_panic),
                () = tokio::time::sleep(self.pause(None)) => self.show(),
                Some(command) = self.commands.recv() => match command {
                    Command::Refresh(reply) => asking.push(reply),
                    Command::SecretChanged => meanwhile.secret_changed = true,
                    Command::SessionChanged(signed_in) => {
                        meanwhile.session_changed = Some(signed_in);
                    }
                    Command::Forget(reply) => {
                        self.on_forget(reply);
                        let why = "the role was forgotten meanwhile".to_owned();
                        return answer(asking, &RefreshReply::Failed(why));
                    }
                    Command::Retune(settings) => {
                        self.on_retune(*settings);
                        self.state.due = self.now();
                        self.asking = asking;
                        return;
                    }
                },
            }
        };
        let reply = self.finish(outcome);
        if let Some(signed_in) = meanwhile.session_changed {
            self.on_session_changed(signed_in);
        }
        if meanwhile.secret_changed {
            // What it brought may be of the old secret, and fail or be revoked with it.
            self.on_secret_changed();
        }
        answer(asking, &reply);
    }

    fn prepared(&mut self) -> Attempt {
        Attempt {
            calls: Calls {
                role: self.role.name().clone(),
                provider: Arc::clone(&self.settings.provider),
                source: self.settings.source.clone(),
                clock: Arc::clone(&self.shared.clock),
                metrics: Arc::clone(&self.shared.metrics),
            },
            expected_account: self.settings.expected_account.clone(),
            held: self.state.shared_set(),
            generation: self.state.generation(),
            etag_key: Arc::clone(&self.shared.etag_key),
            before: std::mem::take(&mut self.before),
        }
    }

    fn finish(&mut self, outcome: Outcome) -> RefreshReply {
        let at = self.moment();
        gauges::count(
            &self.shared.metrics,
            self.role.name().as_str(),
            outcome.result.as_ref().err(),
            outcome.took,
        );
        self.before = outcome.left;
        let reply = match outcome.result {
            Ok(verdict) => self.succeeded(verdict, at, outcome.took),
            Err(error) => self.failed(&error, at),
        };
        self.publish();
        reply
    }

    fn succeeded(&mut self, verdict: Verdict, at: Moment, took: Duration) -> RefreshReply {
        let unchanged = why_unchanged(&verdict);
        let is_shorter = matches!(verdict, Verdict::Shorter { .. });
        let draw = (self.shared.draw)();
        let timing = self.settings.timing();
        self.state.succeeded(&self.role, verdict, timing, draw, at);
        self.waits_for_source = None;
        let shown_expiry = self.state.shown_expiry().unwrap_or(at.wall);
        let refresh_in_secs = at.now.until(self.state.due).as_secs();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let Some(why) = unchanged {
            if is_shorter {
                info!(why, refresh_in_secs, took_ms, "credentials kept");
            }
            return RefreshReply::Unchanged { shown_expiry, why };
        }
        info!(
            access_key_id = self
                .state
                .set()
                .map(|set| shortened(&set.keys.access_key_id)),
            expires_in_secs = self
                .state
                .shown_remaining(at.now)
                .map(|life| life.as_secs()),
            refresh_in_secs,
            took_ms,
            "credentials refreshed"
        );
        RefreshReply::Refreshed { shown_expiry }
    }

    fn failed(&mut self, error: &ProviderError, at: Moment) -> RefreshReply {
        let draw = (self.shared.draw)();
        let is_the_sources = matches!(error.class, Class::SourceUnavailable | Class::StaleSource);
        let standing = match &self.settings.source {
            Some(source) if is_the_sources => Some(Standing::of(source, &*self.shared.clock)),
            Some(_) | None => None,
        };
        if error.class == Class::Final {
            // Refused, a key is not held on to: whatever the files hold comes next.
            self.settings.provider.reread_source();
        }
        self.waits_for_source = standing;
        let with_source = standing.map(Standing::of_dependent);
        let pause = self.state.failed(error, with_source, draw, at);
        let message = error.report();
        warn!(
            error = message,
            class = error.class.as_str(),
            code = error.code,
            request_id = error.request_id,
            failures = self.state.failures(),
            retry_in_secs = pause.as_secs_f64(),
            held_for_secs = self
                .state
                .shown_remaining(at.now)
                .map(|life| life.as_secs()),
            "refresh failed"
        );
        RefreshReply::Failed(message)
    }
}

/// Why what was obtained was not adopted, where that is no failure.
fn why_unchanged(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Adopt(_) => None,
        Verdict::Repeat => Some("its source repeated the set that is held".to_owned()),
        Verdict::Shorter {
            lifetime,
            ends_before,
        } => Some(format!(
            "the cloud gives sessions of {} s now, and one would end {} s before the set that is \
             held: that is kept until it has as little left, or until it is forgotten",
            lifetime.as_secs(),
            ends_before.as_secs()
        )),
    }
}

/// Tells everybody who waited. A receiver that went away is no trouble.
fn answer(asking: Vec<oneshot::Sender<RefreshReply>>, reply: &RefreshReply) {
    for sender in asking {
        let _gone = sender.send(reply.clone());
    }
}
