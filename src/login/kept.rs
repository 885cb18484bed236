//! One login of the configuration: its session, its sign-in, its file.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{error, info, warn};

use super::adopt::Profile;
use super::document;
use super::logins::News;
use super::portal::Portal;
use super::shelf::Shelf;
use super::sign_in::SignIn;
use super::store::Store;
use crate::clock::Clock;
use crate::config::model::{self};
use crate::name::Name;
use crate::provider::BoxFuture;
use crate::provider::error::Class;
use crate::provider::identity_center::{HoldsSession, Registration, Session};
use crate::provider::secrets::Stamp;
use crate::provider::upstream::Clients;

/// One login. What operators do with it is in `operations`, what time does in `watched`.
#[derive(Debug)]
pub struct Login {
    pub(super) settings: model::Login,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) portal: Portal,
    pub(super) store: Store,
    pub(super) profile: Option<Profile>,
    pub(super) held: Mutex<Held>,
    pub(super) sign_in: tokio::sync::Mutex<Option<Arc<SignIn>>>,
    /// One at a time, since a refresh token may be good for one use only.
    pub(super) renewing: tokio::sync::Mutex<()>,
    /// Another one took over, or nobody: what is under way here must not be kept.
    retired: AtomicBool,
    /// Told the name whenever roles should try again.
    pub(super) news: Arc<News>,
}

/// What is known at the moment.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) session: Option<Arc<Session>>,
    pub(super) client: Option<Arc<Registration>>,
    /// The cloud refused the session that was held last.
    pub(super) ended: bool,
    pub(super) warned: bool,
    /// What is wrong with the file, if something is.
    pub(super) trouble: Option<String>,
    /// The version of the adopted profile that was read last.
    pub(super) profile: Option<Stamp>,
    pub(super) waiting: bool,
}

impl Login {
    /// With what was kept of it, or with nothing.
    pub(super) fn restore(
        settings: model::Login,
        (directory, shelf): (&Path, &Arc<Shelf>),
        clients: &Clients,
        clock: &Arc<dyn Clock>,
        news: Arc<News>,
    ) -> Self {
        let profile = match &settings.portal {
            model::Portal::Tencent(it) => it.adopt.as_ref().map(|path| Profile::new(path, it.site)),
            model::Portal::Huawei(_) => None,
        };
        let login = Self {
            portal: Portal::new(&settings.portal, clients, clock),
            store: Store::new(&settings.keep, directory, shelf, &settings.name),
            profile,
            clock: Arc::clone(clock),
            held: Mutex::default(),
            sign_in: tokio::sync::Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            retired: AtomicBool::default(),
            news,
            settings,
        };
        login.load();
        login.adopt();
        login
    }

    fn load(&self) {
        let loaded = self.store.load().map_err(|error| with_cause(&error));
        let read = loaded.and_then(|text| match text {
            Some(text) => document::read((*text).as_ref(), &self.settings.identity())
                .map_err(|error| format!("what was kept of it is ignored: {error}")),
            None => Ok(document::Kept::default()),
        });
        let name = &self.settings.name;
        match read {
            Ok(mut kept) => {
                // A file is judged by the cloud alone; what was carried over is not carried on
                // for nothing.
                let over = self.store.is_memory() && kept.drop_ended(self.clock.wall());
                if over {
                    warn!(login = %name, "the session has ended; run `credvend login {name}`");
                    self.keep(None, kept.client.as_ref());
                }
                let mut held = self.held();
                held.session = kept.session.map(Arc::new);
                held.client = kept.client.map(Arc::new);
            }
            Err(trouble) => {
                warn!(login = %name, "{trouble}");
                if self.store.is_memory() {
                    self.store.discard_memory();
                } else {
                    self.held().trouble = Some(trouble);
                }
            }
        }
    }

    /// Ends what is under way; nothing is kept any more from here on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        if let Ok(sign_in) = self.sign_in.try_lock()
            && let Some(sign_in) = sign_in.as_ref()
        {
            sign_in.abandoned.cancel();
        }
    }

    /// Takes over from the login of the same name before a reload, if it is of the same portal.
    pub(super) fn succeed(&self, before: &Self) {
        if before.settings.identity() != self.settings.identity() {
            return;
        }
        let before = before.held();
        let mut held = self.held();
        if held.session.is_none() {
            held.session.clone_from(&before.session);
            held.ended = before.ended;
        }
        if held.client.is_none() {
            held.client.clone_from(&before.client);
        }
        let session = held.session.clone().filter(|_| !held.ended);
        let client = held.client.clone();
        drop(held);
        self.keep(session.as_deref(), client.as_deref());
    }

    pub(super) fn settings(&self) -> &model::Login {
        &self.settings
    }

    /// A new session is kept before it is used.
    pub(super) fn accept(&self, session: Arc<Session>) {
        let client = self.held().client.clone();
        self.keep(Some(&session), client.as_deref());
        {
            let mut held = self.held();
            held.session = Some(session);
            held.ended = false;
            held.warned = false;
        }
        self.tell_roles();
    }

    pub(super) fn remember_client(&self, client: &Arc<Registration>) {
        let known = self.held().client.replace(Arc::clone(client));
        if known.is_none_or(|known| !Arc::ptr_eq(&known, client)) {
            let session = self.held().session.clone();
            self.keep(session.as_deref(), Some(client));
        }
    }

    pub(super) fn keep(&self, session: Option<&Session>, client: Option<&Registration>) {
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        let text = document::write(&self.settings.identity(), session, client);
        let trouble = self.store.save(text.as_ref()).err().map(|error| {
            let sentence = with_cause(&error);
            error!(login = %self.settings.name, "the session is kept in memory only: {sentence}");
            sentence
        });
        self.held().trouble = trouble;
    }

    pub(super) fn tell_roles(&self) {
        self.news.tell(&self.settings.name);
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn session_refused(&self, session: &Arc<Session>) -> bool {
        let _one_at_a_time = self.renewing.lock().await;
        let (current, client, ended) = {
            let held = self.held();
            (held.session.clone(), held.client.clone(), held.ended)
        };
        match current {
            // Somebody else was told before us.
            Some(current) if !Arc::ptr_eq(&current, session) => return !ended,
            Some(_) if !ended => {}
            Some(_) | None => return false,
        }
        match self.portal.renew(client.as_deref(), session).await {
            Some(Ok(renewed)) => {
                info!(login = %self.settings.name, "the session was renewed");
                self.accept(Arc::new(renewed));
                return true;
            }
            Some(Err(error)) if !matches!(error.class, Class::NeedsLogin | Class::Final) => {
                warn!(login = %self.settings.name, error = error.report(), "cannot renew now");
                return false;
            }
            Some(Err(_)) | None => {}
        }
        self.held().ended = true;
        // What the profile holds may be newer, even if it seemed to end earlier.
        self.held().profile = None;
        if self.adopt() {
            return true;
        }
        let name = &self.settings.name;
        warn!(login = %name, "the session has ended; run `credvend login {name}`");
        self.keep(None, client.as_deref());
        false
    }
}

impl HoldsSession for Login {
    fn name(&self) -> &Name {
        &self.settings.name
    }

    fn session(&self) -> Option<Arc<Session>> {
        let held = self.held();
        held.session.clone().filter(|_| !held.ended)
    }

    fn refused<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, bool> {
        Box::pin(self.session_refused(session))
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error
        .source()
        .filter(|cause| !error.to_string().contains(&cause.to_string()))
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
