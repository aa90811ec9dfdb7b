//! The threads for long reads, each with connections of its own.
//!
//! A report blocks neither the writer thread nor a thread of the caller's runtime. What is read is
//! in `lists`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::lists::Reader;
use crate::Error;
use crate::embedded::core_handle::CoreHandle;

/// Two, so that one long report does not keep the short ones waiting.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce(Result<&Reader, Error>) + Send>;

/// The queue of the reading threads, which end when this is dropped.
#[derive(Debug)]
pub(crate) struct Readers(Sender<Job>);

impl Readers {
    /// Starts the threads. Each opens its connections at its first job.
    pub(crate) fn start(directory: &Path, core: &CoreHandle) -> Result<Readers, Error> {
        Readers::start_with(directory, core, (0..THREADS).map(|_| None))
    }

    /// Starts one thread with a reader that is already open.
    pub(crate) fn start_with_reader(
        directory: &Path,
        core: &CoreHandle,
        reader: Reader,
    ) -> Result<Readers, Error> {
        Readers::start_with(directory, core, std::iter::once(Some(reader)))
    }

    fn start_with(
        directory: &Path,
        core: &CoreHandle,
        readers: impl Iterator<Item = Option<Reader>>,
    ) -> Result<Readers, Error> {
        let (jobs, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for reader in readers {
            let (receiver, directory, core) = (Arc::clone(&receiver), directory.to_path_buf(), core.clone());
            std::thread::Builder::new()
                .name("tollkeeper-reader".into())
                .spawn(move || run(&receiver, &directory, &core, reader))
                .map_err(Error::cannot_start_thread)?;
        }
        Ok(Readers(jobs))
    }

    /// Runs a read on one of the threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        // The caller may have gone away; then the answer is not needed.
        let job: Job = Box::new(move |reader| {
            let read = || reader.and_then(|reader| read(reader).map_err(|error| reader.report(error)));
            let caught = catch_unwind(AssertUnwindSafe(read));
            drop(reply.send(caught.unwrap_or_else(|panic| Err(Error::panicked(&*panic)))));
        });
        self.0.send(job).map_err(|_| Error::engine_closed())?;
        answer.await.map_err(|_| Error::engine_closed())?
    }
}

fn run(jobs: &Mutex<Receiver<Job>>, directory: &Path, core: &CoreHandle, mut reader: Option<Reader>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if reader.as_ref().is_none_or(Reader::is_outdated) {
            reader = None;
            match Reader::open(directory, None, core.clone()) {
                Ok(opened) => reader = Some(opened),
                Err(error) => {
                    job(Err(core.report(error)));
                    continue;
                }
            }
        }
        if let Some(reader) = &reader {
            job(Ok(reader));
        }
    }
}
