//! Runs one of the operator's programs and takes what it prints.
//!
//! Promises: no shell; an environment of `PATH` and `LANG` alone; no descriptor of ours but the
//! three standard ones; nothing on its input; at most 64 KiB taken; if it takes too long, prints
//! too much or is not waited for any longer, its whole process group is killed; and a program
//! that others can write to, or put another one in place of, is not run, since it would run as us.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::error::{Class, ProviderError, foreign};
use super::upstream::words;
use crate::directory;
use crate::secret::WipedBuffer;

/// No credentials or assertions are longer, in bytes.
const LARGEST_OUTPUT: usize = 64 * 1024;
/// What is kept of the error output, in bytes.
const LARGEST_COMPLAINT: usize = 4 * 1024;
const TIME_LIMIT: Duration = Duration::from_secs(10);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program with its arguments.
pub struct Program {
    argv: Vec<String>,
    time_limit: Duration,
}

impl Program {
    /// `argv` names the program and its arguments; nothing is looked at yet.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self {
            argv,
            time_limit: TIME_LIMIT,
        }
    }

    /// The same with less patience, for tests.
    #[must_use]
    pub fn within(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// Runs it once.
    ///
    /// # Errors
    /// Final where somebody has to mend the file; otherwise worth another try.
    pub async fn run(&self) -> Result<WipedBuffer, ProviderError> {
        let path = self.find()?;
        let (name, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| self.refused("is not named"))?;
        // Descriptors that were left open for us must not be left open for others.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let mut command = Command::new(path);
        command
            .arg0(name)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| {
            let for_good = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
            if for_good.contains(&error.kind()) {
                self.refused("cannot be started").caused_by(error)
            } else {
                self.failed("cannot be started").caused_by(error)
            }
        })?;
        let running = Running::new(child);
        let ended = tokio::time::timeout(self.time_limit, running.end()).await;
        let (status, output, complaint) =
            ended
                .unwrap_or(Err(Trouble::TooSlow))
                .map_err(|trouble| match trouble {
                    Trouble::Broken(error) => self.failed("cannot be listened to").caused_by(error),
                    Trouble::TooMuch => self.failed("printed more than 64 KiB and was killed"),
                    Trouble::TooSlow => {
                        let limit = words(self.time_limit);
                        self.failed(&format!("did not end within {limit} and was killed"))
                    }
                })?;
        if !status.success() {
            let complaint = first_line(&complaint);
            let separator = if complaint.is_empty() { "" } else { ": " };
            return Err(self.failed(&format!("failed ({status}){separator}{complaint}")));
        }
        Ok(output)
    }

    /// The file whose change makes another run worth while, where a path names it.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        let name = self.argv.first()?;
        name.contains('/').then(|| PathBuf::from(name))
    }

    /// The file to run, if it is safe to.
    fn find(&self) -> Result<PathBuf, ProviderError> {
        let name = self.argv.first().map_or("", String::as_str);
        let path = self
            .file()
            .or_else(|| {
                PATH.split(':')
                    .map(|folder| Path::new(folder).join(name))
                    .find(|path| path.is_file())
            })
            .ok_or_else(|| self.refused(&format!("is in none of {PATH}")))?;
        let own = geteuid().as_raw();
        let meta = std::fs::metadata(&path)
            .map_err(|error| self.refused("cannot be looked at").caused_by(error))?;
        if !meta.is_file() {
            return Err(self.refused("is not a file"));
        }
        // Once the way there is safe, the file that was looked at is the one that will run.
        let real = directory::check_file(&path, own)
            .map_err(|unsafe_way| self.refused(&format!("is not run: {unsafe_way}")))?;
        let meta = std::fs::metadata(&real)
            .map_err(|error| self.refused("cannot be looked at").caused_by(error))?;
        if let Some(reason) = distrust(meta.uid(), meta.mode(), own) {
            return Err(self.refused(&reason));
        }
        Ok(real)
    }

    fn refused(&self, reason: &str) -> ProviderError {
        ProviderError::new(Class::Final, format!("{self} {reason}"))
    }

    fn failed(&self, reason: &str) -> ProviderError {
        ProviderError::new(Class::Transient, format!("{self} {reason}"))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// By its name: arguments may hold what is not for everybody.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.argv.first().map_or("", String::as_str);
        write!(f, "program `{}`", foreign(name))
    }
}

/// Why a file must not be run: whoever can write to it would act as us.
fn distrust(owner: u32, mode: u32, us: u32) -> Option<String> {
    if owner != 0 && owner != us {
        return Some(format!(
            "belongs to user {owner} and is not run: it has to belong to root or to user {us}"
        ));
    }
    (mode & 0o022 != 0).then(|| {
        "can be written to by its group or by everybody and is not run: take that away with \
         `chmod go-w`"
            .to_owned()
    })
}

fn first_line(complaint: &WipedBuffer) -> String {
    let text = String::from_utf8_lossy(complaint.as_ref());
    foreign(text.lines().next().unwrap_or_default().trim())
}

/// A program and all that it started, killed together when this is dropped.
struct Running {
    child: Child,
    /// Its process group, which has its own number. `None` once it has been waited for: the
    /// number may be another's by then.
    group: Option<Pid>,
}

impl Running {
    fn new(child: Child) -> Self {
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self { child, group }
    }

    async fn end(mut self) -> Result<(ExitStatus, WipedBuffer, WipedBuffer), Trouble> {
        let stdout = self.child.stdout.take();
        let stderr = self.child.stderr.take();
        let (output, complaint) = tokio::try_join!(
            take(stdout, LARGEST_OUTPUT, BeyondLimit::Refuse),
            take(stderr, LARGEST_COMPLAINT, BeyondLimit::Discard),
        )?;
        let status = self.child.wait().await?;
        self.group = None;
        Ok((status, output, complaint))
    }

    fn kill(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself; then there is nobody left to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Why there is no output.
enum Trouble {
    Broken(std::io::Error),
    TooMuch,
    TooSlow,
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error)
    }
}

enum BeyondLimit {
    /// Read on without keeping it, so that the program is not held up.
    Discard,
    Refuse,
}

async fn take(
    stream: Option<impl AsyncRead + Unpin>,
    limit: usize,
    beyond_limit: BeyondLimit,
) -> Result<WipedBuffer, Trouble> {
    let mut taken = WipedBuffer::default();
    let Some(mut stream) = stream else {
        return Ok(taken);
    };
    let mut chunk = zeroize::Zeroizing::new([0; 4096]);
    loop {
        let count = stream.read(&mut *chunk).await?;
        if count == 0 {
            return Ok(taken);
        }
        let room = limit - taken.as_ref().len();
        if count > room && matches!(beyond_limit, BeyondLimit::Refuse) {
            return Err(Trouble::TooMuch);
        }
        taken.extend(chunk.get(..count.min(room)).unwrap_or_default());
    }
}
