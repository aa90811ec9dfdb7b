//! The thread that brings flights to the disk, and answers those who wait for them, while the writer decides the next
//! batch. What a flight is, and why there is one at most, is in `flight`.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use super::checkpoint::Nudge;
use crate::Error;
use crate::embedded::core::in_flight::{Appender, Flight};

/// What is done with the news of a flight, on the committer's thread.
pub(crate) type Then = Box<dyn FnOnce(&Result<(), Error>) + Send>;

/// The committer's thread; ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(crate) struct Committer {
    flights: Option<Sender<(Flight, Then)>>,
    landed: Receiver<Result<(), Error>>,
    under_way: bool,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread; it nudges whenever a flight has landed.
    pub(crate) fn start(appender: Appender, nudge: Nudge) -> std::io::Result<Committer> {
        let (flights, given) = channel();
        let (news, landed) = channel();
        let work = move || work(appender, &given, &news, &nudge);
        let thread = std::thread::Builder::new().name("tollkeeper-commit".into()).spawn(work)?;
        Ok(Committer { flights: Some(flights), landed, under_way: false, thread: Some(thread) })
    }

    /// Whether a flight is under way whose landing nobody has heard of yet.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Sends a flight off; the one before must have landed.
    pub(crate) fn give(&mut self, flight: Flight, then: Then) {
        self.under_way = true;
        if let Some(flights) = &self.flights {
            // A thread that ended is met by whoever waits for the landing.
            let _ = flights.send((flight, then));
        }
    }

    /// What became of the flight, if that is known.
    pub(crate) fn poll(&mut self) -> Option<Result<(), Error>> {
        let result = match self.landed.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => ended(),
        };
        self.under_way = false;
        Some(result)
    }

    /// Waits for the flight that is under way.
    pub(crate) fn wait(&mut self) -> Result<(), Error> {
        self.under_way = false;
        self.landed.recv().unwrap_or_else(|_| ended())
    }
}

fn ended() -> Result<(), Error> {
    Err(Error::unavailable("the thread that writes the journal has ended"))
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.flights = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; whoever waited was told that the answer is not known.
            let _ = thread.join();
        }
    }
}

fn work(
    mut appender: Appender,
    flights: &Receiver<(Flight, Then)>,
    news: &Sender<Result<(), Error>>,
    nudge: &Nudge,
) {
    while let Ok((flight, then)) = flights.recv() {
        let result = appender.append(&flight);
        then(&result);
        let moves_rest = result.is_ok() && flight.moves_journal_rest();
        // The writer uses its memory again, once nobody else holds it.
        drop(flight);
        if news.send(result).is_err() {
            return;
        }
        nudge();
        if moves_rest {
            appender.move_journal_rest();
        }
    }
}
