//! One client's connection, one step at a time.

use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use rustix::net::{SendFlags, send};

use crate::answer::{Answer, Parsed, parse};
use crate::target::Target;

/// Room for one answer; those of a credential service have about 2 KB.
const LARGEST_ANSWER: usize = 64 * 1024;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Client {
    target: Target,
    keep_alive: bool,
    socket: Option<OwnedFd>,
    state: State,
    /// Whether the poller watches for room to send, too.
    watched_to_send: bool,
    request: Vec<u8>,
    received: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing under way; the next request is due at this moment.
    Idle {
        due: Duration,
    },
    /// The request is ready to go.
    Asked {
        at: Duration,
    },
    Sending {
        at: Duration,
        sent: usize,
    },
    Receiving {
        at: Duration,
    },
    /// The answer is read, the server is to close.
    Closing {
        due: Duration,
        since: Duration,
    },
}

/// What a client wants from the engine.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Its next request, written into this.
    Ask(&'a mut Vec<u8>),
    /// Watch this socket for bytes, and for room to send if it is `to_send`.
    Watch {
        socket: &'a OwnedFd,
        new: bool,
        to_send: bool,
    },
    /// Take this answer to the request of that moment.
    Answered(Answer<'a>, Duration),
    /// Come back when the socket is readable or the next request due.
    Wait,
}

impl Client {
    /// A client that asks as soon as it may. Without `keep_alive` each request has a connection
    /// of its own, and must say `Connection: close`.
    pub(crate) fn new(target: Target, keep_alive: bool) -> Self {
        Self {
            target,
            keep_alive,
            socket: None,
            state: State::Idle {
                due: Duration::ZERO,
            },
            watched_to_send: false,
            request: Vec::with_capacity(512),
            received: Vec::with_capacity(LARGEST_ANSWER),
        }
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    pub(crate) fn host(&self) -> String {
        self.target.host()
    }

    /// When it wants to ask again, if nothing is under way.
    pub(crate) fn due(&self) -> Option<Duration> {
        match self.state {
            State::Idle { due } => Some(due),
            State::Asked { .. }
            | State::Sending { .. }
            | State::Receiving { .. }
            | State::Closing { .. } => None,
        }
    }

    /// Whether something has been under way for longer than that.
    pub(crate) fn waits_longer_than(&self, patience: Duration, now: Duration) -> bool {
        match self.state {
            State::Idle { .. } => false,
            State::Asked { at }
            | State::Sending { at, .. }
            | State::Receiving { at }
            | State::Closing { since: at, .. } => now.saturating_sub(at) > patience,
        }
    }

    /// Drops the connection and whatever is under way.
    pub(crate) fn give_up(&mut self, due: Duration) {
        self.socket = None;
        self.received.clear();
        self.state = State::Idle { due };
    }

    /// The answer was looked at; the next request is due then.
    pub(crate) fn answer_taken(&mut self, due: Duration) {
        self.received.clear();
        self.state = if self.keep_alive {
            State::Idle { due }
        } else {
            State::Closing { due, since: due }
        };
    }

    /// Goes on as far as possible without waiting.
    pub(crate) fn step(&mut self, now: Duration) -> Result<Step<'_>, String> {
        loop {
            match self.state {
                State::Idle { due } if due > now => return self.idle_is_quiet(),
                State::Idle { .. } => {
                    self.state = State::Asked { at: now };
                    return Ok(Step::Ask(&mut self.request));
                }
                State::Asked { at } => {
                    self.state = State::Sending { at, sent: 0 };
                    if self.socket.is_none() {
                        let socket = self
                            .target
                            .connect()
                            .map_err(|error| format!("cannot connect: {error}"))?;
                        self.watched_to_send = false;
                        return Ok(Step::Watch {
                            socket: self.socket.insert(socket),
                            new: true,
                            to_send: false,
                        });
                    }
                }
                State::Sending { at, sent } => match self.send(sent)? {
                    Some(sent) if sent == self.request.len() => {
                        self.state = State::Receiving { at };
                        // No answer is there yet: the poller tells when one is.
                        return self.watch_to_send(false);
                    }
                    Some(sent) => self.state = State::Sending { at, sent },
                    None => return self.watch_to_send(true),
                },
                State::Receiving { at } => match self.receive()? {
                    Received::Nothing => return Ok(Step::Wait),
                    Received::End => return Err("closed before the whole answer".into()),
                    Received::Some => match parse(&self.received) {
                        Parsed::Partial => {}
                        Parsed::Whole { status, body_from } => {
                            let body = self.received.get(body_from..).unwrap_or_default();
                            return Ok(Step::Answered(Answer { status, body }, at));
                        }
                        Parsed::Malformed(why) => return Err(why.to_owned()),
                    },
                },
                State::Closing { due, .. } => match self.receive()? {
                    Received::Nothing => return Ok(Step::Wait),
                    Received::End => {
                        self.socket = None;
                        self.state = State::Idle { due };
                    }
                    Received::Some => return Err("bytes after the answer".into()),
                },
            }
        }
    }

    /// Waits, with the poller watching for the right thing.
    fn watch_to_send(&mut self, to_send: bool) -> Result<Step<'_>, String> {
        if self.watched_to_send == to_send {
            return Ok(Step::Wait);
        }
        self.watched_to_send = to_send;
        let socket = self.socket.as_ref().ok_or("no connection to watch")?;
        Ok(Step::Watch {
            socket,
            new: false,
            to_send,
        })
    }

    /// Woken while idle: the server may have closed a connection that was to be kept.
    fn idle_is_quiet(&mut self) -> Result<Step<'_>, String> {
        if self.socket.is_none() {
            return Ok(Step::Wait);
        }
        match self.receive()? {
            Received::Nothing => Ok(Step::Wait),
            Received::End => Err("an idle kept-alive connection was closed".into()),
            Received::Some => Err("bytes nobody asked for".into()),
        }
    }

    /// `None`: would block. Otherwise how much of the request is sent by now.
    fn send(&self, sent: usize) -> Result<Option<usize>, String> {
        let (Some(socket), Some(rest)) = (&self.socket, self.request.get(sent..)) else {
            return Err("no connection to send on".into());
        };
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Ok(more) => Ok(Some(sent + more)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(format!("cannot send: {error}")),
        }
    }

    fn receive(&mut self) -> Result<Received, String> {
        let Some(socket) = &self.socket else {
            return Err("no connection to read from".into());
        };
        if self.received.len() == self.received.capacity() {
            return Err("an answer of more than 64 KB".into());
        }
        match read(socket, spare_capacity(&mut self.received)) {
            Ok(0) => Ok(Received::End),
            Ok(_) => Ok(Received::Some),
            Err(Errno::AGAIN) => Ok(Received::Nothing),
            Err(error) => Err(format!("cannot read: {error}")),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Received {
    Some,
    Nothing,
    End,
}
