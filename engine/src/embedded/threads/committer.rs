//! The thread that appends large batches to the journal and answers them, while the writer decides
//! the next batch.
//!
//! It has its own connection to the journal ([`Appender`]). At most one batch is given to it at a
//! time; why that is so is in `core::in_flight`.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use super::checkpoint::Wake;
use crate::embedded::core::in_flight::{Appender, InFlightBatch};
use crate::{Error, vital_thread};

/// What is done with the result of a batch, on the committer's thread: publish it and answer the
/// callers.
pub(crate) type OnAppended = Box<dyn FnOnce(&Result<(), Error>) + Send>;

/// The committer's thread; it ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(crate) struct Committer {
    /// Dropped to end the thread.
    batches: Option<Sender<(InFlightBatch, OnAppended)>>,
    results: Receiver<Result<(), Error>>,
    /// True from a batch's submission until its result was fetched.
    in_flight: bool,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. It calls `wake` whenever a result can be fetched.
    pub(crate) fn start(appender: Appender, wake: Wake) -> Result<Committer, Error> {
        let (batches, received) = channel();
        let (finished, results) = channel();
        let body = move || run(appender, &received, &finished, &wake);
        let thread = vital_thread::spawn("tollkeeper-commit", body)?;
        Ok(Committer { batches: Some(batches), results, in_flight: false, thread: Some(thread) })
    }

    /// True if there is a batch whose result was not fetched yet.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// Gives a batch to the thread, which appends it.
    ///
    /// # Panics
    /// When the result of the batch before was not fetched: entries are appended in their order.
    pub(crate) fn submit(&mut self, batch: InFlightBatch, on_appended: OnAppended) {
        assert!(!self.in_flight, "one batch is in flight at a time");
        self.in_flight = true;
        if let Some(batches) = &self.batches {
            // If the thread has ended by a panic, `poll` and `wait` report it.
            let _ = batches.send((batch, on_appended));
        }
    }

    /// The result of the batch in flight, if it is known.
    pub(crate) fn poll(&mut self) -> Option<Result<(), Error>> {
        let result = match self.results.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => ended(),
        };
        self.in_flight = false;
        Some(result)
    }

    /// Waits for the result of the batch in flight.
    pub(crate) fn wait(&mut self) -> Result<(), Error> {
        assert!(self.in_flight, "without a batch in flight there is no result to wait for");
        self.in_flight = false;
        self.results.recv().unwrap_or_else(|_| ended())
    }
}

fn ended() -> Result<(), Error> {
    Err(Error::unavailable("the commit thread has ended"))
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic. It dropped the replies of its batch, so those
            // callers got the error that the engine is closed.
            let _ = thread.join();
        }
    }
}

fn run(
    mut appender: Appender,
    batches: &Receiver<(InFlightBatch, OnAppended)>,
    finished: &Sender<Result<(), Error>>,
    wake: &Wake,
) {
    while let Ok((batch, on_appended)) = batches.recv() {
        let result = appender.append(&batch);
        on_appended(&result.clone().and_then(|()| appender.check_files()));
        let finishes_wal = result.is_ok() && batch.finishes_wal_checkpoint();
        // Before the result is fetched, so that the writer can use the batch's memory again.
        drop(batch);
        if finished.send(result).is_err() {
            return;
        }
        wake();
        if finishes_wal {
            appender.finish_wal_checkpoint();
        }
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Actor, Command, Refusal, Submission, Timestamp, WorkspaceId};

    use crate::Engine;
    use crate::embedded::{Embedded, Options};

    /// Enough for a batch that the committer appends.
    const COMMANDS: u32 = 4_096;

    fn create(number: u32) -> Submission {
        let name = format!("w{number}");
        Submission {
            workspace: WorkspaceId::new(&name).expect("the id is valid"),
            key: None,
            actor: Actor::Platform,
            command: Command::CreateWorkspace(Default::default()),
        }
    }

    #[test]
    fn a_large_batch_is_not_acknowledged_into_a_file_that_lost_its_name() {
        let scratch = tempfile::tempdir().expect("a directory");
        let engine = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        let run = || {
            let batch = (0..COMMANDS).map(create).collect();
            runtime.block_on(engine.run_each(batch, Timestamp::from_millis(1_767_225_600_000)))
        };
        let [journal, away] = ["journal.db", "away"].map(|name| scratch.path().join(name));
        std::fs::rename(&journal, &away).expect("a file can be moved");
        for attempt in ["the first time", "although nothing is to be written"] {
            for ran in run().expect("every command has a result") {
                assert!(ran.expect_err(attempt).is_unavailable());
            }
        }
        std::fs::rename(&away, &journal).expect("a file can be moved");
        for ran in run().expect("the journal is back") {
            let result = ran.expect("it was run");
            assert!(matches!(result, Ok(_) | Err(Refusal::WorkspaceExists)), "now or before: {result:?}");
        }
    }
}
