//! The threads that do the long reads, each with connections of its own, so that a report makes no charge wait and a
//! runtime's threads are never blocked. What they read is in `lists`.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::lists::Reader;
use crate::Error;
use crate::embedded::queue::CoreHandle;

/// Two: one long report does not keep the short ones waiting.
const THREADS: usize = 2;

type Job = Box<dyn FnOnce(Result<&Reader, Error>) + Send>;

/// The way to the reading threads; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Readers(Sender<Job>);

impl Readers {
    /// Starts the threads. Each opens its connections when the first job comes.
    pub(crate) fn start(directory: &Path, core: &CoreHandle) -> Result<Readers, Error> {
        Readers::start_with(directory, core, (0..THREADS).map(|_| None))
    }

    /// Starts one thread with a reader that is there already.
    pub(crate) fn start_held(directory: &Path, core: &CoreHandle, reader: Reader) -> Result<Readers, Error> {
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
                .spawn(move || work(&receiver, &directory, &core, reader))
                .map_err(|error| Error::unavailable(format!("no thread: {error}")))?;
        }
        Ok(Readers(jobs))
    }

    /// Reads something on one of the threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |reader| {
            // Whoever asked may have gone; then nobody needs the answer.
            let _ = answer.send(reader.and_then(read));
        });
        let engine_closed = || Error::unavailable("the engine is closed");
        self.0.send(job).map_err(|_| engine_closed())?;
        answered.await.map_err(|_| engine_closed())?
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, directory: &Path, core: &CoreHandle, mut reader: Option<Reader>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if reader.is_none() {
            match Reader::open(directory, None, core.clone()) {
                Ok(opened) => reader = Some(opened),
                Err(error) => {
                    job(Err(error));
                    continue;
                }
            }
        }
        if let Some(reader) = &reader {
            job(Ok(reader));
        }
    }
}
