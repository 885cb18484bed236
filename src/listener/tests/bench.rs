//! A listener on a paused clock, spoken to over a pipe in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::support::{any_port, context, listener, publish};
use crate::clock::Clock;
use crate::clock::testing::TestClock;
use crate::listener::Context;
use crate::listener::access::Identity;
use crate::listener::connection;
use crate::listener::live::Live;
use crate::listener::rules::Rules;
use crate::listener::session::Session;

pub(super) struct Bench {
    pub(super) clock: Arc<TestClock>,
    pub(super) context: Arc<Context>,
    pub(super) live: Arc<Live>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = Arc::new(TestClock::start());
        let shared: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let context = context(&shared);
        let bound = "127.0.0.1:9470".parse().unwrap();
        let rules = Rules::new(&listener("t", any_port()), Some(bound), None);
        let live = Arc::new(Live::new("t".parse().unwrap(), rules, Arc::clone(&context)));
        Self {
            clock,
            context,
            live,
        }
    }

    pub(super) fn publish(&self, name: &str, life: Duration) {
        publish(&self.context.store, &*self.clock, name, 1, life);
    }

    /// A connection being served; ends when the client's end is dropped.
    pub(super) fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let session = Session {
            live: Arc::clone(&self.live),
            identity: Identity::NotAsked,
            peer: Identity::NotAsked.peer(),
            local: None,
            ambiguous_length: Arc::default(),
            closing: self.live.closing(),
        };
        tokio::spawn(connection::serve(server, session));
        client
    }

    pub(super) async fn get(&self, path: &str) -> String {
        self.get_with(path, "").await
    }

    /// With more head lines (each with its end).
    pub(super) async fn get_with(&self, path: &str, more: &str) -> String {
        let mut client = self.connect();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }
}
