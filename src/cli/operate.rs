//! The commands that talk to the daemon over the admin socket.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Forget, Refresh, Whoami};
use super::exit::{Exit, Failure};
use super::http_client::Answer;
use super::question::{CallError, Question};
use super::{output, reach};
use crate::admin::api::{
    ErrorBody, Forgotten, Refreshed, RefusalBody, Reloaded, RoleQuestion, RoleSelection, Whose,
};
use crate::name::Name;

/// An attempt takes 30 s at most, its wait for the budget of many roles excluded.
const REFRESH_TIMEOUT: Duration = Duration::from_mins(5);
/// One call to the cloud, or the files read again.
const TIMEOUT: Duration = Duration::from_mins(1);

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Forbidden { .. } => Self::new(Exit::NotAllowed, message)
                .hint("the socket's mode, owner and group decide who may connect"),
            CallError::Ended { .. } | CallError::Unreachable { .. } => {
                Self::new(Exit::Unavailable, message)
                    .hint("`systemctl status credvend` says whether it runs")
            }
            CallError::Garbled { .. } | CallError::TimedOut { .. } => {
                Self::new(Exit::Unavailable, message)
            }
            CallError::Stranger { .. } => Self::new(Exit::Unavailable, message).hint(
                "the daemon is root, this user, or the owner of its socket or token file, in a \
                 directory that nobody else can write to",
            ),
            CallError::Unnamed { .. } => Self::new(Exit::Unavailable, message)
                .hint("a listener on a Unix socket can always be told"),
        }
    }
}

/// The answer, if it is one and no refusal.
pub(super) fn accept(answer: Answer) -> Result<Answer, Failure> {
    if answer.status == 200 {
        return Ok(answer);
    }
    Err(if let Some(body) = answer.json::<RefusalBody>() {
        Failure::new(
            body.error.code.into(),
            output::printable(&body.error.message),
        )
    } else {
        let said = answer.json::<ErrorBody>().map_or_else(
            || format!("status {}", answer.status),
            |body| output::printable(&body.error.message),
        );
        Failure::new(Exit::Unavailable, format!("the daemon refused: {said}"))
    })
}

/// The answer as the type it should be.
pub(super) fn decode<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    answer.json().ok_or_else(|| {
        Failure::new(Exit::Unavailable, "the daemon's answer cannot be read")
            .hint("are the daemon and this command of the same version?")
    })
}

pub(super) async fn post<T: DeserializeOwned>(
    config: &Path,
    operation: &str,
    request: &impl Serialize,
    timeout: Duration,
) -> Result<T, Failure> {
    let body = serde_json::to_vec(request)
        .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    let question = Question::post(format!("/admin/v1/{operation}"), body, timeout);
    decode(&accept(reach::ask(config, question).await?)?)
}

fn selection(roles: &[Name], all: bool) -> RoleSelection {
    RoleSelection {
        roles: roles.iter().map(ToString::to_string).collect(),
        all,
    }
}

/// Refreshes roles now and reports how it went.
pub(super) async fn refresh(config: &Path, arguments: &Refresh) -> Result<Exit, Failure> {
    let request = selection(&arguments.roles, false);
    let done: Refreshed = post(config, "refresh", &request, REFRESH_TIMEOUT).await?;
    let (text, exit) = report_refresh(&done);
    output::result(&text)?;
    Ok(exit)
}

fn report_refresh(done: &Refreshed) -> (String, Exit) {
    let mut text = String::new();
    let mut exit = Exit::Fine;
    for role in &done.roles {
        let line = |text: &str| output::in_one_line(text);
        output::append(
            &mut text,
            format_args!("{}: {}", line(&role.role), line(&role.result)),
        );
        if let Some(expires_at) = &role.expires_at {
            output::append(&mut text, format_args!(", expires at {}", line(expires_at)));
        }
        if let Some(message) = &role.message {
            output::append(&mut text, format_args!(": {}", line(message)));
        }
        text.push('\n');
        // Asking twice in a row is fine as long as the first time brought something.
        let fine = match role.result.as_str() {
            "refreshed" => true,
            "too-soon" => role.expires_at.is_some(),
            _ => false,
        };
        if !fine {
            exit = Exit::Unavailable;
        }
    }
    if done.roles.is_empty() {
        text.push_str("there are no roles\n");
    }
    (text, exit)
}

/// Makes the daemon read its configuration again.
pub(super) async fn reload(config: &Path) -> Result<Exit, Failure> {
    let told = post(config, "reload", &serde_json::Map::new(), TIMEOUT).await;
    let done: Reloaded = judge_reload(told, reach::mistake(config))?;
    for warning in &done.warnings {
        output::message(&format!("warning: {}", output::printable(warning)));
    }
    let changes = done.changes.iter().map(|it| output::in_one_line(it));
    let mut text = changes.collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        text.push_str("nothing changed");
    }
    output::result(&format!("{text}\n"))?;
    Ok(Exit::Fine)
}

/// A file that nobody can read is wrong whether or not a daemon is there to say so. One that has
/// nothing against it reads other files.
fn judge_reload<T>(told: Result<T, Failure>, mistake: Option<Failure>) -> Result<T, Failure> {
    match (told, mistake) {
        (Ok(_), Some(mistake)) => Err(mistake),
        (Err(failure), Some(mistake)) if failure.exit == Exit::Unavailable => {
            Err(mistake.hint(format!("no daemon was told: {}", failure.message)))
        }
        (told, _) => told,
    }
}

/// Makes the daemon drop held sets.
pub(super) async fn forget(config: &Path, arguments: &Forget) -> Result<Exit, Failure> {
    let request = selection(&arguments.roles, arguments.all);
    let done: Forgotten = post(config, "forget", &request, TIMEOUT).await?;
    let mut text = String::new();
    for role in &done.roles {
        let role = output::in_one_line(role);
        output::append(&mut text, format_args!("{role}: forgotten\n"));
    }
    for role in request.roles.iter().filter(|it| !done.roles.contains(it)) {
        output::append(&mut text, format_args!("{role}: nothing was held\n"));
    }
    if text.is_empty() {
        text.push_str("nothing was held\n");
    }
    output::result(&text)?;
    Ok(Exit::Fine)
}

/// Makes the daemon ask the cloud whose credentials it holds.
pub(super) async fn whoami(config: &Path, arguments: &Whoami) -> Result<Exit, Failure> {
    let request = RoleQuestion {
        role: arguments.role.to_string(),
    };
    let whose: Whose = post(config, "whoami", &request, TIMEOUT).await?;
    let [role, account, user, arn, kind] = [
        &whose.role,
        &whose.account,
        &whose.user,
        &whose.arn,
        &whose.kind,
    ]
    .map(|it| output::in_one_line(it));
    output::result(&format!(
        "role     {role}\naccount  {account}\nuser     {user}\narn      {arn}\nkind     {kind}\n"
    ))?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::RefreshOutcome;

    fn outcome(result: &str, message: Option<&str>, held: bool) -> RefreshOutcome {
        RefreshOutcome {
            role: "app".into(),
            result: result.into(),
            message: message.map(Into::into),
            expires_at: held.then(|| "2030-01-02T03:04:05Z".into()),
        }
    }

    #[test]
    fn one_failed_role_fails_the_refresh() {
        for (case, outcomes, exit) in [
            (
                "all went well",
                vec![outcome("refreshed", None, true)],
                Exit::Fine,
            ),
            (
                "one of two failed while its old set is held",
                vec![
                    outcome("failed", Some("no such role"), true),
                    outcome("refreshed", None, true),
                ],
                Exit::Unavailable,
            ),
            (
                "asked again at once",
                vec![outcome("too-soon", Some("ask again in 9 s"), true)],
                Exit::Fine,
            ),
            (
                "asked again at once, nothing held",
                vec![outcome("too-soon", Some("ask again in 9 s"), false)],
                Exit::Unavailable,
            ),
        ] {
            let done = Refreshed {
                version: 1,
                roles: outcomes,
            };
            assert_eq!(report_refresh(&done).1, exit, "{case}");
        }
    }

    #[test]
    fn a_broken_file_is_a_mistake_whether_or_not_a_daemon_says_so() {
        let mistake = || Some(Failure::new(Exit::Misconfigured, "config.toml:3: no"));
        let fail = |exit| Err(Failure::new(exit, "so"));
        for (case, told, mistake, exit) in [
            ("fine", Ok(()), None, Exit::Fine),
            (
                "nobody there",
                fail(Exit::Unavailable),
                None,
                Exit::Unavailable,
            ),
            (
                "nobody there",
                fail(Exit::Unavailable),
                mistake(),
                Exit::Misconfigured,
            ),
            ("another's", Ok(()), mistake(), Exit::Misconfigured),
            (
                "no operator",
                fail(Exit::NotAllowed),
                mistake(),
                Exit::NotAllowed,
            ),
            (
                "said by the daemon",
                fail(Exit::Misconfigured),
                mistake(),
                Exit::Misconfigured,
            ),
        ] {
            let judged = judge_reload(told, mistake);
            assert_eq!(
                judged.map_or_else(|it| it.exit, |()| Exit::Fine),
                exit,
                "{case}"
            );
        }
    }

    #[test]
    fn a_refresh_is_told_in_one_line_per_role() {
        let done = Refreshed {
            version: 1,
            roles: vec![outcome("failed", Some("no\u{1b} such role"), true)],
        };
        assert_eq!(
            report_refresh(&done).0,
            "app: failed, expires at 2030-01-02T03:04:05Z: no\\u{1b} such role\n"
        );
    }
}
