//! Runtimes of one thread: for a lane, for the readers, and for an administrative job on the
//! calling thread.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// Builds a runtime that runs on the thread which blocks on it.
pub(crate) fn single_thread_runtime() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(Error::cannot_start_thread)
}

/// Runs `work` to its end on the calling thread, which must not be a thread of a runtime. For the
/// audit, the import, the export and the migration, which run alone.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    single_thread_runtime()?.block_on(work)
}
