//! One login of the configuration: its session, and where that is kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tracing::{error, warn};

use super::adopt::Profile;
use super::ahead::Ahead;
use super::document;
use super::news::News;
use super::portal::Portal;
use super::shelf::Shelf;
use super::sign_in::SignIn;
use super::store::{Store, Version};
use crate::clock::{BootTime, Clock};
use crate::config::model::{self};
use crate::provider::error::{Class, ProviderError};
use crate::provider::identity_center::Registration;
use crate::provider::meter::Meter;
use crate::provider::session::Session;
use crate::provider::upstream::Clients;
use crate::stamp::Stamp;

/// One login. What operators do with it is in `operations`, what time does in `watched`, what
/// becomes of a refused session in `renew`.
#[derive(Debug)]
pub struct Login {
    pub(super) settings: model::Login,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) portal: Portal,
    pub(super) store: Store,
    pub(super) profile: Option<Profile>,
    pub(super) held: Mutex<Held>,
    pub(super) sign_in: tokio::sync::Mutex<Option<Arc<SignIn>>>,
    /// Held by whoever changes which session there is: signing in, signing out, renewing. Shared
    /// with the login that takes over, since a refresh token may be good for one use only.
    pub(super) changing: Arc<tokio::sync::Mutex<()>>,
    /// Who took over from this one, if anybody did: what is under way here is not kept here.
    retired: OnceLock<Weak<Self>>,
    /// Told the name whenever roles should try again.
    news: Arc<News>,
    /// The session is another process's.
    pub(super) borrowing: bool,
}

/// What all logins of a process share.
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) shelf: Arc<Shelf>,
    pub(super) clients: Arc<Clients>,
    pub(super) meter: Meter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) news: Arc<News>,
    pub(super) borrowing: bool,
}

/// Where a session comes from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Origin {
    /// Somebody signed in here.
    #[default]
    SignIn,
    /// The adopted profile, which keeps it.
    Profile,
}

/// What is known at the moment.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) session: Option<Arc<Session>>,
    pub(super) origin: Origin,
    pub(super) client: Option<Arc<Registration>>,
    /// The cloud refused the session that was held last.
    pub(super) ended: bool,
    pub(super) warned: bool,
    /// What is wrong with where it is kept, if something is.
    pub(super) trouble: Option<String>,
    /// The version of what is kept that could not be read.
    pub(super) unread: Option<Version>,
    /// The version of the adopted profile that was read last.
    pub(super) profile: Option<Stamp>,
    /// What is wrong with that version.
    pub(super) profile_trouble: Option<String>,
    /// The sign-in that was begun last.
    pub(super) sign_in: Option<Arc<SignIn>>,
    /// When and why a renewal failed that may succeed yet.
    pub(super) not_renewed: Option<(BootTime, Class, String)>,
    /// How renewing goes ahead of its end.
    pub(super) ahead: Ahead,
}

impl Held {
    /// The session in force.
    pub(super) fn in_force(&self) -> Option<&Arc<Session>> {
        self.session.as_ref().filter(|_| !self.ended)
    }

    /// What of it is ours to keep.
    pub(super) fn ours(&self) -> Option<Arc<Session>> {
        self.in_force()
            .filter(|_| self.origin == Origin::SignIn)
            .cloned()
    }
}

impl Login {
    /// With what was kept of it, or with nothing. Takes over from the login of the same name
    /// `before` a reload, if that is of the same portal.
    pub(super) fn restore(
        settings: model::Login,
        shared: &Shared,
        before: Option<&Arc<Self>>,
    ) -> Self {
        let profile = match &settings.portal {
            model::Portal::Tencent(it) => it.adopt.as_ref().map(|path| Profile::new(path, it.site)),
            model::Portal::Huawei(_) => None,
        };
        let before = before.filter(|it| it.settings.identity() == settings.identity());
        let login = Self {
            portal: Portal::new(
                &settings.portal,
                &shared.clients,
                &shared.clock,
                &shared.meter,
            ),
            store: Store::new(
                &settings.keep,
                &shared.directory,
                &shared.shelf,
                &settings.name,
            ),
            profile,
            clock: Arc::clone(&shared.clock),
            held: Mutex::default(),
            sign_in: tokio::sync::Mutex::default(),
            changing: before.map_or_else(Arc::default, |it| Arc::clone(&it.changing)),
            retired: OnceLock::new(),
            news: Arc::clone(&shared.news),
            borrowing: shared.borrowing,
            settings,
        };
        login.load();
        if let Some(before) = before {
            login.succeed(before);
        }
        login.adopt();
        login
    }

    /// Reads what was kept, if nothing newer is known.
    pub(super) fn load(&self) {
        // Before it is read: a change meanwhile must show.
        let version = self.store.version();
        let loaded = self.store.load().map_err(|error| with_cause(&error));
        let read = loaded.and_then(|text| match text {
            Some(text) => document::read((*text).as_ref(), &self.settings.identity())
                .map_err(|error| format!("what was kept of it is ignored: {error}")),
            None => Ok(document::Kept::default()),
        });
        match read {
            Ok(kept) => {
                let mut held = self.held();
                held.unread = None;
                held.trouble = None;
                let comes_back = held.session.is_none() && kept.session.is_some();
                // A session is renewed as the client it was given to.
                if comes_back || held.client.is_none() {
                    held.client = kept.client.map(Arc::new);
                }
                if comes_back {
                    held.session = kept.session.map(Arc::new);
                    held.warned = kept.warned;
                }
            }
            Err(trouble) => {
                warn!(login = %self.settings.name, "{trouble}");
                if self.store.is_memory() {
                    // Nobody could look at it there to tell what is wrong.
                    drop(self.store.remove());
                } else {
                    let mut held = self.held();
                    held.trouble = Some(trouble);
                    held.unread = Some(version);
                }
            }
        }
    }

    /// Waits for whoever is changing which session there is.
    pub(super) async fn settled_down(&self) {
        drop(self.changing.lock().await);
    }

    fn succeed(&self, before: &Self) {
        {
            let before = before.held();
            let mut held = self.held();
            // Its very own value, by which what is under way knows it.
            if before.session.is_some() {
                held.session.clone_from(&before.session);
                held.origin = before.origin;
                held.ended = before.ended;
                held.warned = before.warned;
            }
            if before.client.is_some() {
                held.client.clone_from(&before.client);
            }
        }
        let (session, client) = self.known();
        if session.is_some() || client.is_some() {
            self.keep(session.as_deref(), client.as_deref());
        }
    }

    /// Ends what is under way; nothing is kept here any more. `successor` has its name now.
    pub(super) fn retire(&self, successor: Option<&Arc<Self>>) {
        let heir = successor.filter(|it| it.settings.identity() == self.settings.identity());
        let _only_once = self
            .retired
            .set(heir.map(Arc::downgrade).unwrap_or_default());
        if let Ok(sign_in) = self.sign_in.try_lock()
            && let Some(sign_in) = sign_in.as_ref()
        {
            sign_in.abandoned.cancel();
        }
    }

    /// Who acts for this login now: itself, whoever took over, or nobody any more.
    pub(super) fn heir(self: &Arc<Self>) -> Option<Arc<Self>> {
        let mut login = Arc::clone(self);
        while let Some(next) = login.retired.get() {
            login = next.upgrade()?;
        }
        Some(login)
    }

    pub(super) fn settings(&self) -> &model::Login {
        &self.settings
    }

    /// Whether there is a session that the cloud did not refuse.
    #[must_use]
    pub fn is_signed_in(&self) -> bool {
        self.session().is_some()
    }

    /// The session in force, unless the cloud refused it.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.held().in_force().cloned()
    }

    /// A new session is kept before it is used.
    pub(super) fn accept(&self, session: Arc<Session>) {
        let client = self.held().client.clone();
        self.write(Some(&session), client.as_deref(), false);
        {
            let mut held = self.held();
            held.session = Some(session);
            held.origin = Origin::SignIn;
            held.ended = false;
            held.warned = false;
            held.not_renewed = None;
            held.ahead = Ahead::default();
        }
        self.tell_roles();
    }

    pub(super) fn remember_client(&self, client: &Arc<Registration>) {
        let known = self.held().client.replace(Arc::clone(client));
        if known.is_none_or(|known| !Arc::ptr_eq(&known, client)) {
            let (session, client) = self.known();
            self.keep(session.as_deref(), client.as_deref());
        }
    }

    /// The session and the registration that are ours to keep.
    pub(super) fn known(&self) -> (Option<Arc<Session>>, Option<Arc<Registration>>) {
        let held = self.held();
        (held.ours(), held.client.clone())
    }

    /// Keeps these instead of what was kept.
    pub(super) fn keep(&self, session: Option<&Session>, client: Option<&Registration>) {
        let warned = self.held().warned;
        self.write(session, client, warned);
    }

    fn write(&self, session: Option<&Session>, client: Option<&Registration>, warned: bool) {
        if self.borrowing || self.retired.get().is_some() {
            return;
        }
        // What we could not read may be a session; only another one is worth more.
        if session.is_none() && self.held().unread.is_some() {
            return;
        }
        let name = &self.settings.name;
        let text = document::write(&self.settings.identity(), session, client, warned);
        let saved = self.store.save(text.as_ref()).map_err(|error| {
            let sentence = with_cause(&error);
            error!(login = %name, "the session is kept in memory only: {sentence}");
            sentence
        });
        let outcome = saved.and_then(|()| {
            self.store.remove_others().map_err(|error| {
                let sentence = with_cause(&error);
                let trouble = format!("what an earlier `state` left is still there: {sentence}");
                error!(login = %name, "{trouble}");
                trouble
            })
        });
        let mut held = self.held();
        if outcome.is_ok() {
            held.unread = None;
        }
        held.trouble = outcome.err();
    }

    /// Makes sure that nothing is kept anywhere, neither the session nor what it was made with: the
    /// next sign-in makes us known anew, in one call. True if something was there that was not
    /// known.
    pub(super) fn forget(&self) -> Result<bool, String> {
        let unread = {
            let mut held = self.held();
            held.session = None;
            held.client = None;
            held.origin = Origin::SignIn;
            held.ended = false;
            held.warned = false;
            held.trouble = None;
            held.ahead = Ahead::default();
            held.unread.take().is_some()
        };
        let gone = self.store.remove().map(|was_there| was_there && unread);
        let others = self.store.remove_others();
        gone.and_then(|unknown| Ok(unknown | others?))
            .map_err(|error| {
                let sentence = with_cause(&error);
                self.held().trouble = Some(sentence.clone());
                sentence
            })
    }

    pub(super) fn tell_roles(&self) {
        self.news.tell(&self.settings.name);
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn needs_login(&self) -> ProviderError {
        let name = &self.settings.name;
        let message = format!("nobody is signed in to `{name}`; run `credvend login {name}`");
        ProviderError::new(Class::NeedsLogin, message)
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error
        .source()
        .filter(|cause| !error.to_string().contains(&cause.to_string()))
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
