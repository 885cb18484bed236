//! `login` and `logout`: the daemon signs in, these commands show what it says.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, stderr};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::args::{Login, Logout};
use super::exit::{Exit, Failure};
use super::operate::post;
use super::output;
use crate::admin::api::{
    ListedAccount, LoggedOut, LoginListing, LoginProgress, LoginQuestion, LoginStarted,
};

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
        open(&started.url);
    }
    let mut interrupted = interruptions()
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot take signals: {error}")))?;
    let waiting = wait(config, &request, started.expires_in_seconds, terminal);
    let progress = tokio::select! {
        progress = waiting => progress?,
        _ = interrupted.read_u8() => {
            let progress: LoginProgress =
                post(config, "login-cancel", &request, PROGRESS_TIMEOUT).await?;
            let text = if progress.state == "waiting" {
                "no longer waiting; somebody else still does"
            } else {
                "cancelled; nobody signed in"
            };
            return Err(Failure::new(Exit::Unavailable, text));
        }
    };
    conclude(&progress)
}

/// Readable once we are told to stop.
fn interruptions() -> io::Result<UnixStream> {
    let (read, write) = StdStream::pair()?;
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
            output::plain(&format!(
                "waiting for approval, {} min left",
                left.div_ceil(60)
            ));
        }
    }
}

fn conclude(progress: &LoginProgress) -> Result<Exit, Failure> {
    let login = output::printable(&progress.login);
    let (exit, message) = match progress.state.as_str() {
        "signed-in" => {
            let until = progress.ends_at.as_deref().unwrap_or("an unknown time");
            let about = if progress.end_is_estimate {
                " or so"
            } else {
                ""
            };
            output::result(&output::printable(&format!(
                "signed in to {login} until {until}{about}; roles: {}\n",
                if progress.roles.is_empty() {
                    "none yet".to_owned()
                } else {
                    progress.roles.join(", ")
                }
            )))?;
            return Ok(Exit::Fine);
        }
        "denied" => (Exit::NotAllowed, "the sign-in was denied".to_owned()),
        "expired" => (Exit::Unavailable, "nobody approved in time".to_owned()),
        "cancelled" => (Exit::Unavailable, "the sign-in was cancelled".to_owned()),
        _ => {
            let why = progress.message.as_deref().unwrap_or("for no reason told");
            (
                Exit::Unavailable,
                format!("cannot sign in: {}", output::printable(why)),
            )
        }
    };
    Err(Failure::new(exit, message))
}

/// What the person needs: address, code, and on a terminal a QR code. A message, not a result:
/// the address may be as good as a password.
fn invitation(started: &LoginStarted, terminal: bool) -> String {
    let url = output::printable(&started.url).replace('\n', "");
    let mut text = String::new();
    if started.joined {
        text.push_str("somebody is signing in already; this joins in\n");
    }
    output::append(
        &mut text,
        format_args!("open this address and approve:\n\n  {url}\n"),
    );
    if let Some(code) = &started.code {
        let code = output::printable(code);
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
        as_table(&listing)
    })?;
    Ok(Exit::Fine)
}

fn as_table(listing: &LoginListing) -> String {
    let mut rows = vec![["ACCOUNT", "NAME", "PERMISSION SET", "DESCRIPTION"].map(str::to_owned)];
    for account in &listing.accounts {
        if account.permission_sets.is_empty() {
            let none = "(none)".to_owned();
            rows.push([
                account.id.clone(),
                account.name.clone(),
                none,
                String::new(),
            ]);
        }
        for set in &account.permission_sets {
            rows.push([
                account.id.clone(),
                account.name.clone(),
                set.name.clone(),
                set.description.clone(),
            ]);
        }
    }
    // Foreign names must not break a table or steer a terminal.
    let safe = |cell: String| output::printable(&cell).replace('\n', " ");
    let rows: Vec<[String; 4]> = rows.into_iter().map(|row| row.map(safe)).collect();
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            output::append(&mut line, format_args!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Roles ready to paste, each with a name made of the account's and the permission set's.
fn as_toml(listing: &LoginListing) -> String {
    let mut taken = BTreeSet::new();
    let mut text = String::new();
    for account in &listing.accounts {
        for set in &account.permission_sets {
            let name = unused_name(account, &set.name, &mut taken);
            let kind = output::printable(&listing.provider);
            output::append(
                &mut text,
                format_args!(
                    "[role.{name}.provider.{kind}]\nlogin = {}\naccount-id = {}\n\
                     permission-set = {}\n\n",
                    quoted(&listing.login),
                    quoted(&account.id),
                    quoted(&set.name)
                ),
            );
        }
    }
    text
}

/// A name that TOML takes without quotes, and that is a role's name.
fn unused_name(account: &ListedAccount, set: &str, taken: &mut BTreeSet<String>) -> String {
    let from = if account.name.is_empty() {
        &account.id
    } else {
        &account.name
    };
    let plain: String = format!("{from}-{set}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let plain: String = words.join("-").chars().take(56).collect();
    let plain = if plain.is_empty() {
        "role".to_owned()
    } else {
        plain
    };
    let mut name = plain.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{plain}-{count}");
    }
    name
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Ends a session.
pub(super) async fn logout(config: &Path, arguments: &Logout) -> Result<Exit, Failure> {
    let request = LoginQuestion {
        login: arguments.name.to_string(),
    };
    let done: LoggedOut = post(config, "logout", &request, BEGIN_TIMEOUT).await?;
    output::result(&output::printable(&format!(
        "{}: {}\n",
        done.login, done.message
    )))?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::ListedPermissionSet;

    fn listing() -> LoginListing {
        let set = |name: &str| ListedPermissionSet {
            name: name.into(),
            description: "may\u{1b}[2J read".into(),
        };
        LoginListing {
            version: 1,
            login: "corp".into(),
            provider: "huawei-identity-center".into(),
            accounts: vec![
                ListedAccount {
                    id: "0001".into(),
                    name: "Dev \"Team\"".into(),
                    permission_sets: vec![set("Admin"), set("admin")],
                },
                ListedAccount {
                    id: "0002".into(),
                    name: String::new(),
                    permission_sets: vec![],
                },
            ],
        }
    }

    #[test]
    fn the_list_is_aligned_and_steers_nothing() {
        assert_eq!(
            as_table(&listing()),
            "ACCOUNT  NAME        PERMISSION SET  DESCRIPTION\n\
             0001     Dev \"Team\"  Admin           may\\u{1b}[2J read\n\
             0001     Dev \"Team\"  admin           may\\u{1b}[2J read\n\
             0002                 (none)\n"
        );
    }

    #[test]
    fn what_is_to_be_pasted_is_toml_with_names_of_its_own() {
        let text = as_toml(&listing());
        let parsed: toml::Table = text.parse().unwrap();
        let roles = parsed["role"].as_table().unwrap();
        let names: Vec<&str> = roles.keys().map(String::as_str).collect();
        assert_eq!(names, ["dev-team-admin", "dev-team-admin-2"]);
        let provider = &roles["dev-team-admin-2"]["provider"]["huawei-identity-center"];
        assert_eq!(provider["permission-set"].as_str(), Some("admin"));
        assert_eq!(provider["account-id"].as_str(), Some("0001"));
    }

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
}
