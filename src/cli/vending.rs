//! `get` and `wait`: a client of the native protocol like any other, with no rights of its own.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hyper::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use tokio::time::{Instant, sleep};

use super::args::{Format, From, Get, Wait};
use super::exit::{Exit, Failure};
use super::get_formats::Served;
use super::http_client::{Answer, call};
use super::locate::{Access, native_listeners};
use super::question::{CallError, Question, Target};
use super::{output, peer};
use crate::admin::api::ErrorBody;
use crate::clock::{Clock, SystemClock};
use crate::name::Name;

/// The daemon answers from memory, or holds a request for at most 1.5 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// For the answer to a request that was held as long as it might be.
const SLACK: Duration = Duration::from_secs(1);

/// Nobody waits longer, and the clock has no end to be met.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365 * 30);

/// How long one request of `wait` is held. After it the whole answer is read again, since the
/// expiry shown for a set may move while its `ETag` does not.
const HOLD: Duration = Duration::from_secs(10);

/// Between two looks at a daemon that has nothing to hold a request for.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints a role's credentials.
pub(super) async fn get(config: &Path, arguments: &Get) -> Result<Exit, Failure> {
    let served = fetch_once(config, &arguments.from, &arguments.role)
        .await
        .map_err(|failure| {
            // Whoever runs a `credential_process` shows one line of it at most.
            if arguments.format == Format::Process {
                Failure::new(failure.exit, failure.message.replace('\n', " "))
            } else {
                failure
            }
        })?;
    output::bytes(&served.render(arguments.format))?;
    Ok(Exit::Fine)
}

/// What a listener has of a role.
pub(super) enum Held {
    Set(Served),
    /// Nothing now, and why.
    Nothing(Failure),
}

/// The credentials of a role, as a client of a listener that lets us in.
pub(super) async fn ask_once(config: &Path, from: &From, role: &Name) -> Result<Held, Failure> {
    let listeners = listeners(config, from, role)?;
    match fetch(&listeners, role, None, None).await {
        Ok(answer) => parse(&answer, role).map(Held::Set),
        Err(Miss::Empty(failure)) => Ok(Held::Nothing(failure)),
        Err(miss) => Err(miss.into()),
    }
}

async fn fetch_once(config: &Path, from: &From, role: &Name) -> Result<Served, Failure> {
    match ask_once(config, from, role).await? {
        Held::Set(served) => Ok(served),
        Held::Nothing(failure) => Err(failure),
    }
}

/// Why there is no answer to use.
enum Miss {
    /// The daemon is there and holds nothing.
    Empty(Failure),
    /// Nobody answers, or not as the daemon does.
    Unreachable(Failure),
    /// Somebody answers, and not to us.
    Refused(Failure),
}

impl std::convert::From<Miss> for Failure {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Empty(failure) | Miss::Unreachable(failure) | Miss::Refused(failure) => failure,
        }
    }
}

/// Waits until a role's credentials are served and good for long enough.
pub(super) async fn wait(config: &Path, arguments: &Wait) -> Result<Exit, Failure> {
    let role = &arguments.role;
    let listeners = listeners(config, &arguments.from, role)?;
    let deadline = Instant::now() + arguments.timeout.min(LONGEST_WAIT);
    let mut known: Option<HeaderValue> = None;
    let mut why_not = Failure::new(Exit::Unavailable, "nothing was tried yet");
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let hold = left.saturating_sub(SLACK).min(HOLD);
        let hold = known.take().map(|etag| (etag, hold));
        let answer = fetch(&listeners, role, hold, Some(deadline)).await;
        match answer.map_err(Failure::from) {
            Ok(answer) if answer.status == 304 => {}
            Ok(answer) => {
                let remaining = remaining(&parse(&answer, role)?, SystemClock.wall());
                if remaining >= arguments.min_remaining {
                    return Ok(Exit::Fine);
                }
                known = answer.headers.get(ETAG).cloned();
                why_not = too_short(remaining, arguments.min_remaining);
            }
            Err(failure) if failure.exit == Exit::Unavailable => why_not = failure,
            Err(failure) => return Err(failure),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let seconds = arguments.timeout.as_secs();
            let message = format!("gave up on `{role}` after {seconds} s: {}", why_not.message);
            return Err(Failure { message, ..why_not });
        }
        sleep(PAUSE.min(left)).await;
    }
}

fn remaining(served: &Served, now: SystemTime) -> Duration {
    served.expires_at().duration_since(now).unwrap_or_default()
}

fn too_short(remaining: Duration, wanted: Duration) -> Failure {
    Failure::new(
        Exit::Unavailable,
        format!(
            "what is served is good for {} s, not for {} s",
            remaining.as_secs(),
            wanted.as_secs()
        ),
    )
    .hint("`--min-remaining` says how long is long enough")
}

fn listeners(config: &Path, from: &From, role: &Name) -> Result<Vec<Access>, Failure> {
    match &from.socket {
        Some(path) => Ok(vec![Access {
            target: Target::Unix(path.clone()),
            token: None,
            marks: Vec::new(),
        }]),
        None => native_listeners(config, role.as_str()),
    }
}

/// Asks one listener after the other until one has an answer, not long after the deadline. They all serve from the same
/// memory, so one that says "not available" speaks for the rest.
async fn fetch(
    listeners: &[Access],
    role: &Name,
    hold: Option<(HeaderValue, Duration)>,
    deadline: Option<Instant>,
) -> Result<Answer, Miss> {
    let mut refused: Option<Failure> = None;
    let mut unreachable: Option<Failure> = None;
    for listener in listeners {
        let mut question = question(listener, role, hold.as_ref());
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            question.timeout = question.timeout.min(left.max(PAUSE));
        }
        match call(&listener.target, question).await {
            Ok(answer) => match judge(answer, listener, role) {
                Err(Miss::Refused(failure)) => refused = refused.or(Some(failure)),
                done => return done,
            },
            Err(error @ CallError::Forbidden { .. }) => {
                refused = refused.or_else(|| Some(error.into()));
            }
            // Somebody in the daemon's place is the first thing to know.
            Err(error @ (CallError::Stranger { .. } | CallError::Unnamed { .. })) => {
                unreachable = Some(error.into());
            }
            Err(error) => unreachable = unreachable.or_else(|| Some(error.into())),
        }
    }
    // A refusal says more than a listener that is not there.
    Err(match (refused, unreachable) {
        (Some(refused), _) => Miss::Refused(refused),
        (None, Some(unreachable)) => Miss::Unreachable(unreachable),
        (None, None) => Miss::Unreachable(Failure::new(Exit::Internal, "no listener was asked")),
    })
}

fn question(listener: &Access, role: &Name, hold: Option<&(HeaderValue, Duration)>) -> Question {
    let mut path = format!("/v1/roles/{role}/credentials");
    let mut timeout = ANSWER_TIMEOUT;
    if let Some((_, held)) = hold {
        output::append(&mut path, format_args!("?wait={}s", held.as_secs()));
        timeout += *held;
    }
    let mut question = Question::get(path, timeout);
    if let Some((etag, _)) = hold {
        question.headers.insert(IF_NONE_MATCH, etag.clone());
    }
    question.token.clone_from(&listener.token);
    question.marks.clone_from(&listener.marks);
    question
}

fn judge(answer: Answer, listener: &Access, role: &Name) -> Result<Answer, Miss> {
    if matches!(answer.status, 200 | 304) {
        return Ok(answer);
    }
    let said = answer.json::<ErrorBody>().map_or_else(
        || format!("status {}", answer.status),
        |body| output::printable(&body.error.message).replace('\n', " "),
    );
    let target = &listener.target;
    Err(match answer.status {
        401 => {
            let failure = Failure::new(Exit::NotAllowed, format!("{target} wants a token: {said}"));
            Miss::Refused(match &listener.token {
                Some(file) => failure.hint(match peer::token(file, None) {
                    Ok(_) => format!("it is read from {}", file.display()),
                    Err(error) => error.to_string(),
                }),
                None => failure,
            })
        }
        403 => {
            let message = format!("{target} refuses: {said}");
            Miss::Refused(Failure::new(Exit::NotAllowed, message))
        }
        404 => {
            let message = format!("{target} has no role `{role}`: {said}");
            Miss::Refused(Failure::new(Exit::Usage, message))
        }
        status => {
            let message = format!("no credentials for `{role}`: {said}");
            let failure = Failure::new(Exit::Unavailable, message);
            let failure = failure.hint("`credvend status` shows why");
            if status == 503 {
                Miss::Empty(failure)
            } else {
                Miss::Unreachable(failure)
            }
        }
    })
}

fn parse(answer: &Answer, role: &Name) -> Result<Served, Failure> {
    Served::parse(&answer.body, role).map_err(|what| {
        Failure::new(
            Exit::Unavailable,
            format!("the daemon's answer is of no use: {what}"),
        )
    })
}
