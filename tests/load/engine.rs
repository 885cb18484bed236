//! Many connections on one thread: sends, waits, reads, and hands whole answers to a workload.
//!
//! Each client has one request under way at most (a closed loop). One that must open a new
//! connection for each request asks for `Connection: close` and waits for the server to do so,
//! so that no server is spared its half of the work. What goes wrong is reported, never hidden
//! by a second try of the same request.

use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::answer::Answer;
use crate::client::{Client, Step};
use crate::moment;

/// A request without an answer for so long has failed. Servers may hold one for 1.5 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// After a failure, so that a server that is gone is not hammered.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// How often unanswered requests are looked for.
const LOOK_ROUND: Duration = Duration::from_millis(100);

/// What is asked for and what becomes of it.
pub(crate) trait Workload {
    /// Writes the whole next request of a client. The buffer is empty.
    fn next_request(&mut self, client: usize, request: &mut Vec<u8>);

    /// A whole answer to the request asked at `asked`.
    fn answered(&mut self, client: usize, answer: Answer<'_>, asked: Duration, now: Duration);

    /// The request got no answer that can be read.
    fn failed(&mut self, client: usize, why: &str);
}

/// How long clients stay at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) length: Duration,
    /// Between an answer and the same client's next request.
    pub(crate) pause: Duration,
}

/// Clients and the poller that watches their connections.
#[derive(Debug)]
pub(crate) struct Engine {
    poller: OwnedFd,
    clients: Vec<Client>,
}

impl Engine {
    pub(crate) fn new(clients: Vec<Client>) -> Result<Self, Errno> {
        let poller = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { poller, clients })
    }

    /// Drives all clients until the time is over. Requests that are then under way go on when
    /// this is called again.
    pub(crate) fn drive(&mut self, workload: &mut dyn Workload, pace: Pace) -> Result<(), Errno> {
        let end = moment::monotonic() + pace.length;
        let mut events = Vec::with_capacity(self.clients.len().max(1));
        let mut looked_round = Duration::ZERO;

        loop {
            let now = moment::monotonic();
            if now >= end {
                return Ok(());
            }
            let due = self.next_due().is_some_and(|due| due <= now);
            if due || looked_round + LOOK_ROUND <= now {
                looked_round = now;
                self.look_round(workload, pace, now);
            }
            let wait = self
                .next_due()
                .unwrap_or(end)
                .min(end)
                .min(looked_round + LOOK_ROUND)
                .saturating_sub(now);

            events.clear();
            match epoll::wait(
                &self.poller,
                spare_capacity(&mut events),
                Some(&moment::timespec(wait)),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            for event in &events {
                let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                self.advance(index, workload, pace);
            }
        }
    }

    /// When the first of the clients with nothing under way wants to ask.
    fn next_due(&self) -> Option<Duration> {
        self.clients.iter().filter_map(Client::due).min()
    }

    /// Starts what is due and gives up what takes too long.
    fn look_round(&mut self, workload: &mut dyn Workload, pace: Pace, now: Duration) {
        for index in 0..self.clients.len() {
            let Some(client) = self.clients.get_mut(index) else {
                continue;
            };
            if client.due().is_some_and(|due| due <= now) {
                self.advance(index, workload, pace);
            } else if client.waits_longer_than(PATIENCE, now) {
                workload.failed(index, "no answer within 5 s");
                client.give_up(now + PAUSE_AFTER_FAILURE);
            }
        }
    }

    /// Lets one client go on until it has to wait.
    fn advance(&mut self, index: usize, workload: &mut dyn Workload, pace: Pace) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        loop {
            let now = moment::monotonic();
            match client.step(now) {
                Ok(Step::Ask(request)) => {
                    request.clear();
                    workload.next_request(index, request);
                }
                Ok(Step::Watch {
                    socket,
                    new,
                    to_send,
                }) => {
                    let data = EventData::new_u64(index as u64);
                    let mut flags = EventFlags::IN;
                    flags.set(EventFlags::OUT, to_send);
                    let watched = if new {
                        epoll::add(&self.poller, socket, data, flags)
                    } else {
                        epoll::modify(&self.poller, socket, data, flags)
                    };
                    if let Err(error) = watched {
                        workload.failed(index, &format!("cannot watch a socket: {error}"));
                        client.give_up(now + PAUSE_AFTER_FAILURE);
                        return;
                    }
                    if !new {
                        return;
                    }
                }
                Ok(Step::Answered(answer, asked)) => {
                    workload.answered(index, answer, asked, now);
                    client.answer_taken(now + pace.pause);
                }
                Ok(Step::Wait) => return,
                Err(why) => {
                    workload.failed(index, &why);
                    client.give_up(now + PAUSE_AFTER_FAILURE);
                    return;
                }
            }
        }
    }
}
