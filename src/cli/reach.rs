//! The ways to the daemon's admin socket: what the configuration says, and what the daemon said
//! when it opened it. The two differ while a change has yet to be loaded, or is a mistake.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use super::http_client::{Answer, call};
use super::question::Errand;
use super::question::{CallError, Question, Target};
use super::written::{self, Trouble};
use crate::admin::whereabouts;

const USUAL: &str = "/run/credvend/admin.sock";

/// Where to try, one after the other.
#[derive(Debug, Eq, PartialEq)]
struct Ways {
    sockets: Vec<PathBuf>,
    /// Why the configuration does not say where it is, if so.
    unknown: Option<Failure>,
}

/// Asks the daemon with this configuration, wherever it listens. Where nobody says that, nobody is
/// asked: another daemon must not get what was meant for this one.
pub(super) async fn ask(config: &Path, mut question: Question) -> Result<Answer, Failure> {
    question.marks = vec![config.to_owned()];
    let Ways { sockets, unknown } = ways(config);
    match (first(sockets, question).await, unknown) {
        (Some(Err(CallError::Unreachable { .. })) | None, Some(unknown)) => {
            Err(unknown.hint("no daemon was asked: without it nothing says where one listens"))
        }
        (Some(answered), _) => answered.map_err(Failure::from),
        (None, None) => Err(Failure::new(
            Exit::Internal,
            "there is no way to the daemon",
        )),
    }
}

/// The same for a question that changes nothing: the usual path will do.
pub(super) async fn ask_harmlessly(
    config: &Path,
    mut question: Question,
) -> Result<Answer, Failure> {
    question.marks = vec![config.to_owned()];
    let Ways {
        mut sockets,
        unknown,
    } = ways(config);
    if unknown.is_some() {
        sockets.push(USUAL.into());
    }
    let answered = first(sockets, question).await;
    let answered = answered.unwrap_or_else(|| {
        Err(CallError::Unreachable {
            target: Target::Unix(USUAL.into()),
            reason: "nothing says where it listens".to_owned(),
        })
    });
    answered.map_err(|error| match (&error, unknown) {
        (CallError::Unreachable { .. }, Some(trouble)) => Failure::from(error).hint(format!(
            "the configuration does not say where it listens: {}",
            trouble.message
        )),
        (_, _) => error.into(),
    })
}

/// The first answer; if there is none, why the first of them is not reachable.
async fn first(sockets: Vec<PathBuf>, mut question: Question) -> Option<Result<Answer, CallError>> {
    question.errand = Errand::Operate;
    let mut unreachable = None;
    for socket in sockets {
        match call(&Target::Unix(socket), question.clone()).await {
            Err(error @ CallError::Unreachable { .. }) => {
                unreachable = unreachable.or(Some(error));
            }
            answered => return Some(answered),
        }
    }
    unreachable.map(Err)
}

/// The first syntax error of the files, which no daemon can load.
pub(super) fn mistake(config: &Path) -> Option<Failure> {
    let mut files = written::each(config).into_iter();
    files.find_map(|file| match file {
        Err(Trouble::Syntax(failure)) => Some(failure),
        Ok(_) | Err(Trouble::Unreadable(_)) => None,
    })
}

/// Where the daemon with this configuration has its admin socket, as far as it can be told.
pub(super) fn admin_sockets(config: &Path) -> Vec<PathBuf> {
    ways(config).sockets
}

fn ways(config: &Path) -> Ways {
    let mut configured = None;
    let mut unknown = None;
    for file in written::each(config) {
        match file {
            Ok(file) => {
                let socket = file.get("admin").and_then(|it| it.get("socket"));
                let path = socket.and_then(|it| it.as_str());
                configured = configured.or_else(|| path.map(as_path));
            }
            Err(trouble) => unknown = unknown.or_else(|| Some(trouble.into_failure())),
        }
    }
    order(configured, unknown, whereabouts::find(config))
}

/// With or without the `unix:` that listeners need.
fn as_path(text: &str) -> PathBuf {
    text.strip_prefix("unix:").unwrap_or(text).into()
}

/// What the daemon said counts less than what is written: it may have ended without taking it
/// back.
fn order(configured: Option<PathBuf>, unknown: Option<Failure>, said: Option<PathBuf>) -> Ways {
    let (written, unknown) = match (configured, unknown) {
        (Some(written), _) => (Some(written), None),
        (None, None) => (Some(USUAL.into()), None),
        (None, unknown) => (None, unknown),
    };
    let mut sockets: Vec<PathBuf> = written.into_iter().chain(said).collect();
    sockets.dedup();
    Ways { sockets, unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_first_and_a_default_only_where_all_is_read() {
        let path = |text: &str| Some(PathBuf::from(text));
        let broken = || Some(Failure::new(Exit::Misconfigured, "config.toml:3: no"));
        for (case, configured, unknown, said, sockets) in [
            ("written", path("/a"), None, None, vec!["/a"]),
            ("moved", path("/a"), None, path("/b"), vec!["/a", "/b"]),
            ("as said", path("/a"), None, path("/a"), vec!["/a"]),
            ("nothing written", None, None, None, vec![USUAL]),
            (
                "back to the default",
                None,
                None,
                path("/b"),
                vec![USUAL, "/b"],
            ),
            ("broken", None, broken(), path("/b"), vec!["/b"]),
            ("broken, and nobody there", None, broken(), None, vec![]),
            ("broken elsewhere", path("/a"), broken(), None, vec!["/a"]),
        ] {
            let known = configured.is_some() || unknown.is_none();
            let ways = order(configured, unknown, said);
            let sockets: Vec<PathBuf> = sockets.into_iter().map(Into::into).collect();
            assert_eq!(ways.sockets, sockets, "{case}");
            assert_eq!(ways.unknown.is_none(), known, "{case}");
        }
        assert_eq!(as_path("unix:/a"), as_path("/a"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_mistake_of_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        assert_eq!(mistake(&config), None);
        assert!(ways(&config).unknown.is_some());
        std::fs::write(&config, "[admin]\nsocket = \"unix:/x/admin.sock\"\n").unwrap();
        assert_eq!(mistake(&config), None);
        assert_eq!(ways(&config).sockets, [Path::new("/x/admin.sock")]);
        std::fs::write(&config, "[admin]\nsocket = \n").unwrap();
        let message = mistake(&config).expect("a mistake").message;
        assert!(message.contains("config.toml:2: "), "{message}");
    }

    #[test]
    fn the_socket_may_be_written_in_any_file() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        std::fs::write(&config, "[role.app]\n").unwrap();
        assert_eq!(ways(&config).sockets, [Path::new(USUAL)]);
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        let beside = dir.path().join("conf.d/a.toml");
        std::fs::write(beside, "[admin]\nsocket = \"/x/admin.sock\"\n").unwrap();
        assert_eq!(ways(&config).sockets, [Path::new("/x/admin.sock")]);
    }
}
