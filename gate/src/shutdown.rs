//! How far a shutdown is, for everything that must end with it.

use std::future::pending;

use tokio::sync::watch;

/// What the gate does, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes requests.
    Serving,
    /// It takes no more requests, and lets the exchanges end.
    Draining,
    /// It ends what has not ended, so that each charge gets its outcome.
    Ending,
}

/// The phase of a gate, as its exchanges see it.
#[derive(Clone, Debug)]
pub struct Phases(watch::Receiver<Phase>);

/// Where the phase is set, and where it is seen.
pub fn phases() -> (watch::Sender<Phase>, Phases) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (sender, Phases(receiver))
}

impl Phases {
    /// Waits until the gate is in this phase or a later one.
    pub async fn reached(mut self, phase: Phase) {
        // A gate that is gone ends nothing.
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            pending().await
        }
    }
}
