//! `login` and `logout`: the daemon signs in, these commands show what it says.

use std::io::{self, IsTerminal, stderr, stdout};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::args::{Login, Logout};
use super::exit::{Exit, Failure};
use super::layout::{aligned, separated};
use super::listing::{as_table, as_toml};
use super::operate::post;
use super::output;
use crate::admin::api::{LoggedOut, LoginListing, LoginProgress, LoginQuestion, LoginStarted};
use crate::daemon::signals::ignores_hang_up;

/// Two calls to the cloud.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(45);
/// The daemon holds an answer for some seconds.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// One call per account and page.
const LIST_TIMEOUT: Duration = Duration::from_mins(5);

/// Signs in, or lists what is behind the session.
pub(super) async fn login(config: &Path, arguments: &Login) -> Result<Exit, Failure> {
    let request = LoginQuestion {
        login: arguments.name.to_string(),
    };
    if arguments.list {
        return list(config, &request, arguments.toml).await;
    }
    let started: LoginStarted = post(config, "login", &request, BEGIN_TIMEOUT).await?;
    let terminal = stderr().is_terminal();
    output::plain(&invitation(&started, terminal));
    if arguments.browser {
        match openable(&started) {
            Ok(url) => open(url),
            Err(why) => output::message(why),
        }
    }
    let mut interrupted = interruptions()
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot take signals: {error}")))?;
    let waiting = wait(config, &request, started.expires_in_seconds, terminal);
    let waited = tokio::select! {
        progress = waiting => Some(progress),
        _ = interrupted.read_u8() => None,
    };
    if terminal {
        output::plain(""); // the line that was written in place
    }
    let progress = if let Some(progress) = waited {
        progress?
    } else {
        left(post(config, "login-cancel", &request, PROGRESS_TIMEOUT).await?)?
    };
    conclude(&progress)
}

/// What is left to tell whoever does not wait any longer: others may, and the approval may have
/// come just before.
fn left(progress: LoginProgress) -> Result<LoginProgress, Failure> {
    let text = match progress.state.as_str() {
        "waiting" => "no longer waiting; somebody else still does",
        "cancelled" => "cancelled; nobody signed in",
        _ => return Ok(progress),
    };
    Err(Failure::new(Exit::Unavailable, text))
}

/// Readable once we are told to stop.
fn interruptions() -> io::Result<UnixStream> {
    let (read, write) = StdStream::pair()?;
    // A terminal that is closed takes the person with it.
    if !ignores_hang_up() {
        pipe::register(SIGHUP, write.try_clone()?)?;
    }
    pipe::register(SIGINT, write.try_clone()?)?;
    pipe::register(SIGTERM, write)?;
    read.set_nonblocking(true)?;
    UnixStream::from_std(read)
}

async fn wait(
    config: &Path,
    request: &LoginQuestion,
    seconds: u64,
    terminal: bool,
) -> Result<LoginProgress, Failure> {
    let begun = tokio::time::Instant::now();
    loop {
        let progress: LoginProgress = post(config, "login-wait", request, PROGRESS_TIMEOUT).await?;
        if progress.state != "waiting" {
            return Ok(progress);
        }
        if terminal {
            let left = seconds.saturating_sub(begun.elapsed().as_secs());
            output::in_place(&format!(
                "waiting for approval, {} min left",
                left.div_ceil(60)
            ));
        }
    }
}

fn conclude(progress: &LoginProgress) -> Result<Exit, Failure> {
    let login = output::in_one_line(&progress.login);
    let (exit, message) = match progress.state.as_str() {
        "signed-in" => {
            let until = progress.ends_at.as_deref().unwrap_or("an unknown time");
            let about = if progress.end_is_estimate {
                " or so"
            } else {
                ""
            };
            let roles = if progress.roles.is_empty() {
                "none yet".to_owned()
            } else {
                output::in_one_line(&progress.roles.join(", "))
            };
            let until = output::in_one_line(until);
            output::result(&format!(
                "signed in to {login} until {until}{about}; roles: {roles}\n"
            ))?;
            return Ok(Exit::Fine);
        }
        "denied" => (Exit::NotAllowed, "the sign-in was denied".to_owned()),
        "expired" => (Exit::Unavailable, "nobody approved in time".to_owned()),
        "cancelled" => (Exit::Unavailable, "the sign-in was cancelled".to_owned()),
        _ => {
            let why = progress.message.as_deref().unwrap_or("for no reason told");
            (
                Exit::Unavailable,
                format!("cannot sign in: {}", output::in_one_line(why)),
            )
        }
    };
    Err(Failure::new(exit, message))
}

/// What the person needs: address, code, and on a terminal a QR code. A message, not a result:
/// the address may be as good as a password.
fn invitation(started: &LoginStarted, terminal: bool) -> String {
    let url = output::in_one_line(&started.url);
    let mut text = String::new();
    if started.joined {
        text.push_str("somebody is signing in already; this joins in\n");
    }
    output::append(
        &mut text,
        format_args!("open this address and approve:\n\n  {url}\n"),
    );
    if let Some(code) = &started.code {
        let code = output::in_one_line(code);
        output::append(
            &mut text,
            format_args!("\nif the page shows this code: {code}\n"),
        );
    }
    if terminal && let Some(picture) = picture(&started.url) {
        output::append(&mut text, format_args!("\n{picture}\n"));
    }
    text
}

/// The address as a picture; an address too long for one has none.
fn picture(url: &str) -> Option<String> {
    let code = QrCode::new(url.as_bytes()).ok()?;
    // Dark on light whatever the terminal's colours: most have light text on dark.
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(drawn)
}

/// The address, if it may be given to a program: everybody on this host can read what a program is
/// started with.
fn openable(started: &LoginStarted) -> Result<&str, &'static str> {
    // An older daemon does not say so; a code to compare comes with what anybody may know.
    if started.url_is_secret || started.code.is_none() {
        return Err(
            "`--browser` does not open this address: it is as good as a password, and every user \
             of this host could read it from the browser's arguments; open it yourself",
        );
    }
    let is_page = ["https://", "http://"]
        .iter()
        .any(|scheme| started.url.starts_with(scheme));
    if !is_page || output::in_one_line(&started.url) != started.url {
        return Err("`--browser` does not open this address: it is not that of a web page");
    }
    Ok(&started.url)
}

/// A browser that cannot be started is no failure: the address was printed.
fn open(url: &str) {
    let started = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        output::message(&format!("cannot open a browser: {error}"));
    }
}

async fn list(config: &Path, request: &LoginQuestion, toml: bool) -> Result<Exit, Failure> {
    let listing: LoginListing = post(config, "login-list", request, LIST_TIMEOUT).await?;
    output::result(&if toml {
        as_toml(&listing)
    } else {
        let layout = if stdout().is_terminal() {
            aligned
        } else {
            separated
        };
        as_table(&listing, layout)
    })?;
    Ok(Exit::Fine)
}

/// Ends a session.
pub(super) async fn logout(config: &Path, arguments: &Logout) -> Result<Exit, Failure> {
    let request = LoginQuestion {
        login: arguments.name.to_string(),
    };
    let done: LoggedOut = post(config, "logout", &request, BEGIN_TIMEOUT).await?;
    output::result(&format!(
        "{}: {}\n",
        output::in_one_line(&done.login),
        output::in_one_line(&done.message)
    ))?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invitation_has_address_and_code_and_a_picture_on_a_terminal_only() {
        let started = LoginStarted {
            url: "https://a.example/device?user_code=ABCD".into(),
            code: Some("ABCD".into()),
            ..LoginStarted::default()
        };
        let plain = invitation(&started, false);
        assert!(plain.contains("https://a.example/device?user_code=ABCD\n"));
        assert!(plain.contains("this code: ABCD\n"));
        let drawn = |text: &str| text.contains('\u{2580}') || text.contains('\u{2584}');
        assert!(!drawn(&plain));
        assert!(drawn(&invitation(&started, true)));
        assert!(!format!("{started:?}").contains("ABCD"));
    }

    #[test]
    fn a_portals_address_and_code_stay_in_their_lines() {
        let started = LoginStarted {
            url: "https://a.example/\u{202e}\u{1b}]8;;http://x\u{7}?c=1\nhttps://b.example/".into(),
            code: Some("AB\u{202e}CD\n\n\u{1b}[1A\u{2029}".into()),
            ..LoginStarted::default()
        };
        assert_eq!(
            invitation(&started, false),
            "open this address and approve:\n\n  \
             https://a.example/\\u{202e}\\u{1b}]8;;http://x\\u{7}?c=1\\nhttps://b.example/\n\
             \nif the page shows this code: AB\\u{202e}CD\\n\\n\\u{1b}[1A\\u{2029}\n"
        );
    }

    #[test]
    fn only_a_page_whose_address_anybody_may_know_is_given_to_a_browser() {
        for (url, url_is_secret, opens) in [
            ("https://a.example/device?user_code=ABCD", false, true),
            ("http://127.0.0.1:1/device", false, true),
            ("https://a.example/login?state=CANARY", true, false),
            ("file:///etc/passwd", false, false),
            ("--help", false, false),
            ("https://a.example/\n--x", false, false),
            ("https://a.example/\u{202e}moc.elpmaxe", false, false),
        ] {
            let started = LoginStarted {
                url: url.into(),
                code: (!url_is_secret).then(|| "ABCD".into()),
                url_is_secret,
                ..LoginStarted::default()
            };
            let said = openable(&started);
            assert_eq!(said.is_ok(), opens, "{url}");
            assert!(said.is_ok() || !said.unwrap_err().contains("CANARY"));
        }
    }

    #[test]
    fn whoever_stops_waiting_hears_how_it_stands() {
        let state = |state: &str| {
            left(LoginProgress {
                state: state.into(),
                ..LoginProgress::default()
            })
        };
        for (word, said) in [("waiting", "somebody else"), ("cancelled", "cancelled")] {
            let failure = state(word).unwrap_err();
            assert!(failure.message.contains(said), "{}", failure.message);
        }
        assert_eq!(state("signed-in").unwrap().state, "signed-in");
        assert_eq!(state("denied").unwrap().state, "denied");
    }
}
