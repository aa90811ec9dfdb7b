//! Replies: how the results of commands reach the callers that wait for them, in both engines.
//!
//! A caller of one command awaits a one-shot channel. A caller of many commands awaits one channel
//! too. Its results are gathered until all are there, because an engine decides its commands in
//! portions, and may decide some of them out of order.
//!
//! Guarantee: a caller is sent exactly as many results as it sent commands, in their order. If the
//! caller has gone away, its results are dropped without an error. A reply that is dropped without
//! a result closes the channel. The caller takes that as the end of the engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Error, Ran};

/// The caller that waits for results.
#[derive(Debug)]
pub(crate) enum Reply {
    One(oneshot::Sender<Ran>),
    /// The caller of many commands, and which of them these are.
    Portion {
        gathered: Arc<Gathered>,
        /// The place of the first of them in the request.
        place: usize,
        commands: usize,
    },
}

impl Reply {
    /// Takes this reply's results from the front of `results` and sends them.
    ///
    /// # Panics
    /// When there are fewer results than commands: an answer would reach the wrong caller.
    pub(crate) fn send(self, results: &mut impl Iterator<Item = Ran>) {
        let mut next = || results.next().expect("there is a result for every command");
        match self {
            Reply::One(reply) => drop(reply.send(next())),
            Reply::Portion { gathered, place, commands } => {
                gathered.put(place, std::iter::repeat_with(next).take(commands));
            }
        }
    }

    /// Sends an error instead of results.
    pub(crate) fn fail(self, error: &Error) {
        self.send(&mut std::iter::repeat_with(|| Err(error.clone())));
    }
}

/// The results of a request of many commands, until all are there.
#[derive(Debug)]
pub(crate) struct Gathered {
    commands: usize,
    results: Mutex<Results>,
    /// Room in the queue, which is free again when the request was answered.
    _room: Vec<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Results {
    /// The results that have come without a gap.
    in_order: Vec<Ran>,
    /// Those that came before an earlier one, by their place.
    early: BTreeMap<usize, Ran>,
    /// `None` once all were sent.
    reply: Option<oneshot::Sender<Vec<Ran>>>,
}

impl Gathered {
    /// For a request of `commands` commands that keeps `room` until it is answered. The second part
    /// is what its caller awaits.
    pub(crate) fn new(
        commands: usize,
        room: Vec<OwnedSemaphorePermit>,
    ) -> (Arc<Gathered>, oneshot::Receiver<Vec<Ran>>) {
        assert!(commands > 0, "a request without commands waits for nothing");
        let (reply, answer) = oneshot::channel();
        let in_order = Vec::with_capacity(commands);
        let results = Mutex::new(Results { in_order, early: BTreeMap::new(), reply: Some(reply) });
        (Arc::new(Gathered { commands, results, _room: room }), answer)
    }

    /// The number of commands of the request.
    pub(crate) fn commands(&self) -> usize {
        self.commands
    }

    /// Takes the results of the commands from `place` on, and sends all when none is missing.
    pub(crate) fn put(&self, place: usize, next: impl Iterator<Item = Ran>) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let Results { in_order, early, reply } = &mut *results;
        assert!(place >= in_order.len() && reply.is_some(), "a command has one result");
        if place == in_order.len() {
            in_order.extend(next);
            while let Some(ran) = early.remove(&in_order.len()) {
                in_order.push(ran);
            }
        } else {
            for (place, ran) in (place..).zip(next) {
                assert!(early.insert(place, ran).is_none(), "a command has one result");
            }
        }
        assert!(in_order.len() + early.len() <= self.commands, "a command has one result");
        if in_order.len() == self.commands
            && let Some(reply) = reply.take()
        {
            drop(reply.send(std::mem::take(in_order)));
        }
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::Refusal;

    use super::*;

    fn refused(reference: u32) -> Ran {
        if reference == 0 { Ok(Err(Refusal::WorkspaceNotFound)) } else { Err(Error::unavailable("later")) }
    }

    #[test]
    fn results_that_come_in_any_order_are_sent_once_and_in_the_order_of_the_commands() {
        let (gathered, mut answer) = Gathered::new(5, Vec::new());
        let portion = |place, commands| Reply::Portion { gathered: Arc::clone(&gathered), place, commands };
        portion(3, 2).send(&mut [refused(0), refused(1)].into_iter());
        portion(1, 1).fail(&Error::unavailable("later"));
        assert!(answer.try_recv().is_err(), "two results are missing");
        portion(0, 1).send(&mut [refused(0)].into_iter());
        portion(2, 1).send(&mut std::iter::repeat_with(|| refused(0)));
        let failed: Vec<bool> =
            answer.try_recv().expect("all results are there").iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, false, false, true]);
    }

    #[test]
    #[should_panic(expected = "a command has one result")]
    fn a_second_result_for_a_command_is_a_bug() {
        let (gathered, _answer) = Gathered::new(2, Vec::new());
        gathered.put(1, [refused(0)].into_iter());
        gathered.put(1, [refused(0)].into_iter());
    }
}
