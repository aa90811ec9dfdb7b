//! The thread that brings flights to the disk, and answers those who wait for them, while the writer decides the next
//! batch. What a flight is, and why there is one at most, is in `flight`.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use super::checkpoint::Wake;
use crate::Error;
use crate::embedded::core::in_flight::{Appender, InFlightBatch};

/// What is done with the news of a flight, on the committer's thread.
pub(crate) type Then = Box<dyn FnOnce(&Result<(), Error>) + Send>;

/// The committer's thread; ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(crate) struct Committer {
    batches: Option<Sender<(InFlightBatch, Then)>>,
    append_finished: Receiver<Result<(), Error>>,
    is_under_way: bool,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread; it nudges whenever a flight has landed.
    pub(crate) fn start(appender: Appender, wake: Wake) -> std::io::Result<Committer> {
        let (batches, given) = channel();
        let (news, append_finished) = channel();
        let work = move || work(appender, &given, &news, &wake);
        let thread = std::thread::Builder::new().name("tollkeeper-commit".into()).spawn(work)?;
        Ok(Committer { batches: Some(batches), append_finished, is_under_way: false, thread: Some(thread) })
    }

    /// Whether a flight is under way whose landing nobody has heard of yet.
    pub(crate) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// Sends a flight off; the one before must have landed.
    pub(crate) fn give(&mut self, in_flight: InFlightBatch, then: Then) {
        self.is_under_way = true;
        if let Some(batches) = &self.batches {
            // A thread that ended is met by whoever waits for the landing.
            let _ = batches.send((in_flight, then));
        }
    }

    /// What became of the flight, if that is known.
    pub(crate) fn poll(&mut self) -> Option<Result<(), Error>> {
        let result = match self.append_finished.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => ended(),
        };
        self.is_under_way = false;
        Some(result)
    }

    /// Waits for the flight that is under way.
    pub(crate) fn wait(&mut self) -> Result<(), Error> {
        self.is_under_way = false;
        self.append_finished.recv().unwrap_or_else(|_| ended())
    }
}

fn ended() -> Result<(), Error> {
    Err(Error::unavailable("the thread that writes the journal has ended"))
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; whoever waited was told that the answer is not known.
            let _ = thread.join();
        }
    }
}

fn work(
    mut appender: Appender,
    batches: &Receiver<(InFlightBatch, Then)>,
    news: &Sender<Result<(), Error>>,
    wake: &Wake,
) {
    while let Ok((in_flight, then)) = batches.recv() {
        let result = appender.append(&in_flight);
        then(&result);
        let moves_rest = result.is_ok() && in_flight.finishes_wal_checkpoint();
        // The writer uses its memory again, once nobody else holds it.
        drop(in_flight);
        if news.send(result).is_err() {
            return;
        }
        wake();
        if moves_rest {
            appender.finish_wal_checkpoint();
        }
    }
}
