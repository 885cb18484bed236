//! What the control API and tests may ask of the accepting task: to be gone for a while.

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// Orders to the accepting task, each acknowledged when carried out.
#[derive(Debug)]
pub(super) enum Order {
    /// Close the listener and every connection.
    Pause(oneshot::Sender<()>),
    /// Listen again at the same address.
    Resume(oneshot::Sender<io::Result<()>>),
}

/// The way to give orders.
#[derive(Clone, Debug)]
pub(super) struct Orders(mpsc::Sender<Order>);

impl Orders {
    pub(super) fn channel() -> (Self, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(8);
        (Self(sender), receiver)
    }

    /// Returns when nothing listens any more.
    pub(super) async fn pause(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(Order::Pause(done)).await.is_ok() {
            drop(wait.await);
        }
    }

    /// Returns when connections are accepted again.
    pub(super) async fn resume(&self) -> io::Result<()> {
        let gone = || io::Error::other("the emulator is shut down");
        let (done, wait) = oneshot::channel();
        let order = Order::Resume(done);
        self.0.send(order).await.map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }

    /// Down for so long, then up again, whatever it takes.
    pub(super) async fn outage(self, length: Duration) {
        self.pause().await;
        tokio::time::sleep(length).await;
        while let Err(error) = self.resume().await {
            warn!(%error, "the emulator cannot listen again yet");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
