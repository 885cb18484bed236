//! `status`: the daemon's document as a table, and the judgement of `--check`.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::args;
use super::exit::{Exit, Failure};
use super::layout::{Cell, Layout, aligned, coloured, plain, separated};
use super::question::Question;
use super::{operate, output, reach};
use crate::admin::api::{ListenerStatus, LoginStatus, RoleStatus, SinkStatus, Status};
use crate::clock::in_two_units;

const TIMEOUT: Duration = Duration::from_secs(5);
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Clears the screen and goes to its top.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Shows roles and listeners, once, or until interrupted or nobody reads any more.
pub(super) async fn status(config: &Path, arguments: &args::Status) -> Result<Exit, Failure> {
    let terminal = stdout().is_terminal();
    if !arguments.watch {
        return Ok(show(config, arguments, terminal).await?.exit);
    }
    let mut shown = show(config, arguments, terminal).await?;
    while shown.is_read {
        sleep(WATCH_EVERY).await;
        // A daemon that restarts comes back; whoever watches wants to see that.
        match show(config, arguments, terminal).await {
            Ok(again) => shown = again,
            Err(failure) => output::failure(&failure),
        }
    }
    Ok(Exit::Fine)
}

struct Shown {
    exit: Exit,
    /// Whether somebody still reads stdout.
    is_read: bool,
}

async fn show(config: &Path, arguments: &args::Status, terminal: bool) -> Result<Shown, Failure> {
    let question = Question::get("/admin/v1/status", TIMEOUT);
    let answer = operate::accept(reach::ask_harmlessly(config, question).await?)?;
    // Even for `--json`: a document that cannot be read is not handed on.
    let status: Status = operate::decode(&answer)?;
    let is_read = if arguments.json {
        let mut document = answer.body.clone();
        if !document.ends_with(b"\n") {
            document.push(b'\n');
        }
        output::bytes_if_read(&document)?
    } else {
        let (before, after) = match (arguments.watch, terminal) {
            (true, true) => (CLEAR, ""),
            (true, false) => ("", "\n"),
            (false, _) => ("", ""),
        };
        let layout = if terminal { aligned } else { separated };
        output::result_if_read(&format!("{before}{}{after}", text(&status, layout)))?
    };
    let troubles = if arguments.check {
        troubles(&status)
    } else {
        Vec::new()
    };
    for trouble in &troubles {
        output::message(&output::printable(trouble));
    }
    let exit = if troubles.is_empty() {
        Exit::Fine
    } else {
        Exit::Unavailable
    };
    Ok(Shown { exit, is_read })
}

/// What `--check` objects to, one sentence each.
fn troubles(status: &Status) -> Vec<String> {
    let roles = status.roles.iter().filter_map(role_trouble);
    let listeners = status.listeners.iter().filter_map(listener_trouble);
    let sinks = status.sinks.iter().filter_map(sink_trouble);
    roles.chain(listeners).chain(sinks).collect()
}

fn role_trouble(role: &RoleStatus) -> Option<String> {
    let fine = match role.refresh.as_str() {
        "resting" => true,
        "failing" | "needs-login" => false,
        _ => role.held == "fresh",
    };
    let because = role
        .last_error
        .as_ref()
        .map_or_else(String::new, |error| format!(": {}", error.message));
    (!fine).then(|| {
        format!(
            "role `{}` is {}, {}{because}",
            role.name, role.held, role.refresh
        )
    })
}

fn listener_trouble(listener: &ListenerStatus) -> Option<String> {
    let because = listener
        .error
        .as_ref()
        .map_or_else(String::new, |error| format!(": {error}"));
    (listener.state != "listening").then(|| {
        format!(
            "listener `{}` at {} is {}{because}",
            listener.name, listener.address, listener.state
        )
    })
}

fn sink_trouble(sink: &SinkStatus) -> Option<String> {
    let error = sink.error.as_ref()?;
    Some(format!(
        "sink `{}` at {} is failing: {error}",
        sink.name, sink.path
    ))
}

/// Everything a person wants to see at a glance. Styled; [`output`] takes the styles out where
/// there is no terminal.
fn text(status: &Status, layout: Layout) -> String {
    let mut text = output::printable(&format!(
        "credvend {}, pid {}, started {}, {}\n",
        status.credvend, status.pid, status.started_at, status.config_file
    ));
    if !status.last_reload_successful {
        text.push_str("the last reload was refused: the configuration before it is in force\n");
    }
    for note in &status.notes {
        text.push_str(&output::printable(&format!("note: {note}\n")));
    }
    text.push('\n');
    text.push_str(&layout(
        &[
            "ROLE",
            "HELD",
            "REFRESH",
            "KEY",
            "EXPIRES IN",
            "NEXT REFRESH",
            "LAST ERROR",
        ],
        &status.roles.iter().map(role_row).collect::<Vec<_>>(),
    ));
    if !status.logins.is_empty() {
        text.push('\n');
        text.push_str(&layout(
            &["LOGIN", "STATE", "ENDS IN", "TROUBLE"],
            &status.logins.iter().map(login_row).collect::<Vec<_>>(),
        ));
    }
    text.push('\n');
    text.push_str(&layout(
        &[
            "LISTENER",
            "ADDRESS",
            "STATE",
            "PROTOCOLS",
            "ROLES",
            "ERROR",
        ],
        &status
            .listeners
            .iter()
            .map(listener_row)
            .collect::<Vec<_>>(),
    ));
    text
}

fn role_row(role: &RoleStatus) -> Vec<Cell> {
    let held = if role.refresh == "resting" {
        plain(role.held.as_str()) // nobody misses anything
    } else {
        coloured(&role.held)
    };
    vec![
        plain(role.name.as_str()),
        held,
        coloured(&role.refresh),
        plain(role.access_key_id.as_deref().unwrap_or("-")),
        plain(
            role.expires_in_seconds
                .map_or_else(|| "-".into(), in_two_units),
        ),
        plain(
            role.next_refresh_in_seconds
                .map_or_else(|| "-".into(), in_two_units),
        ),
        plain(
            role.last_error
                .as_ref()
                .map_or("", |error| error.message.as_str()),
        ),
    ]
}

fn login_row(login: &LoginStatus) -> Vec<Cell> {
    let about = if login.end_is_estimate { "about " } else { "" };
    vec![
        plain(login.name.as_str()),
        coloured(&login.state),
        plain(login.ends_in_seconds.map_or_else(
            || "-".into(),
            |seconds| format!("{about}{}", in_two_units(seconds)),
        )),
        plain(login.trouble.as_deref().unwrap_or("")),
    ]
}

fn listener_row(listener: &ListenerStatus) -> Vec<Cell> {
    vec![
        plain(listener.name.as_str()),
        plain(listener.address.as_str()),
        coloured(&listener.state),
        plain(listener.protocols.join(",")),
        plain(listener.roles.join(",")),
        plain(listener.error.as_deref().unwrap_or("")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::LastError;

    fn role(held: &str, refresh: &str) -> RoleStatus {
        RoleStatus {
            name: "app".into(),
            held: held.into(),
            refresh: refresh.into(),
            ..RoleStatus::default()
        }
    }

    #[test]
    fn check_objects_to_whatever_somebody_should_look_at() {
        for (held, refresh, fine) in [
            ("fresh", "idle", true),
            ("fresh", "retrying", true),
            ("none", "resting", true),
            ("expired", "resting", true),
            ("fresh", "failing", false),
            ("fresh", "needs-login", false),
            ("degraded", "retrying", false),
            ("none", "idle", false),
            ("expired", "retrying", false),
        ] {
            let found = role_trouble(&role(held, refresh));
            assert_eq!(found.is_none(), fine, "{held}, {refresh}: {found:?}");
        }
        let failed = ListenerStatus {
            name: "tasks".into(),
            address: "127.0.0.1:9472".into(),
            state: "failed".into(),
            error: Some("the address is in use".into()),
            ..ListenerStatus::default()
        };
        assert_eq!(
            listener_trouble(&failed).unwrap(),
            "listener `tasks` at 127.0.0.1:9472 is failed: the address is in use"
        );
        let mut status = Status {
            sinks: vec![SinkStatus {
                name: "file".into(),
                path: "/home/app/file".into(),
                ..SinkStatus::default()
            }],
            ..Status::default()
        };
        assert_eq!(troubles(&status), [""; 0]);
        status.sinks[0].error = Some("it is read-only".into());
        assert_eq!(
            troubles(&status),
            ["sink `file` at /home/app/file is failing: it is read-only"]
        );
    }

    #[test]
    fn the_text_is_aligned_and_holds_no_control_characters() {
        let mut app = role("degraded", "retrying");
        app.access_key_id = Some("AKIDabcd…wxyz".into());
        app.expires_in_seconds = Some(125);
        app.last_error = Some(LastError {
            message: "no\u{1b}[2J answer\nat all".into(),
            ..LastError::default()
        });
        let mut longer = role("fresh", "idle");
        longer.name = "a-longer-name".into();
        let status = Status {
            roles: vec![app, longer],
            ..Status::default()
        };
        let stripped = anstream::adapter::strip_str(&text(&status, aligned)).to_string();
        let lines: Vec<&str> = stripped
            .lines()
            .skip_while(|it| !it.contains("HELD"))
            .collect();
        assert_eq!(
            lines[..3],
            [
                "ROLE           HELD      REFRESH   KEY            EXPIRES IN  NEXT REFRESH  LAST ERROR",
                "app            degraded  retrying  AKIDabcd…wxyz  2m 05s      -             \
                 no\\u{1b}[2J answer at all",
                "a-longer-name  fresh     idle      -              -           -",
            ]
        );
    }

    #[test]
    fn off_a_terminal_cells_stand_between_tabs() {
        let mut app = role("degraded", "retrying");
        app.last_error = Some(LastError {
            message: "no\tanswer\nat all".into(),
            ..LastError::default()
        });
        let status = Status {
            roles: vec![app],
            ..Status::default()
        };
        let text = text(&status, separated);
        let lines: Vec<&str> = text.lines().skip_while(|it| !it.contains("HELD")).collect();
        assert_eq!(
            lines[..2],
            [
                "ROLE\tHELD\tREFRESH\tKEY\tEXPIRES IN\tNEXT REFRESH\tLAST ERROR",
                "app\tdegraded\tretrying\t-\t-\t-\tno\\tanswer at all",
            ]
        );
    }
}
