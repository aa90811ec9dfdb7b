//! The threads for reads of the files, each with connections of its own. Long reads have some, and
//! reads of a few entries have another.
//!
//! A report blocks neither the writer thread nor a thread of the caller's runtime. What is read is
//! in `lists` and `charge`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use tokio::sync::oneshot;
use tollkeeper_ledger::WorkspaceId;

use super::lists::Reader;
use crate::Error;
use crate::embedded::core_handle::CoreHandle;

/// How many reads run, and how many wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    threads: usize,
    /// Reads that may wait.
    waiting: usize,
    /// Reads of one workspace that may wait or run, so that one workspace does not fill the queue.
    of_workspace: usize,
}

/// Two threads, so that one long report does not keep the short ones waiting.
pub(crate) const LONG_READS: Places = Places { threads: 2, waiting: 256, of_workspace: 32 };

/// Each takes well below a millisecond.
pub(crate) const POINT_READS: Places = Places { threads: 1, waiting: 1_024, of_workspace: 256 };

/// Threads of their own, so that followers do not delay other reads; two, because each read waits
/// for the writer thread. A follower waits for its answer, so the more there are, the less often
/// each of them reads.
pub(crate) const FOLLOWERS: Places = Places { threads: 2, waiting: 4_096, of_workspace: 64 };

/// One at a time, because each reads the whole journal. Few may wait.
pub(crate) const REPORTS: Places = Places { threads: 1, waiting: 4, of_workspace: 4 };

/// Each reads some blocks of the journal. A subscriber waits for one at a time.
pub(crate) const DELIVERIES: Places = Places { threads: 1, waiting: 512, of_workspace: 512 };

/// A read; it returns false if it panicked, so that its connections must be opened anew.
type Job = Box<dyn FnOnce(Result<&Reader, Error>) -> bool + Send>;

/// The queue of the reading threads, which end when every copy of this is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    places: Places,
    jobs: SyncSender<Job>,
    /// The number of reads that wait or run, by workspace.
    by_workspace: Arc<Mutex<HashMap<WorkspaceId, usize>>>,
}

/// A read that waits or runs, counted until this is dropped.
struct Counted {
    workspace: WorkspaceId,
    by_workspace: Arc<Mutex<HashMap<WorkspaceId, usize>>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.by_workspace.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.workspace) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.workspace);
            }
        }
    }
}

impl Readers {
    /// Starts the threads. Each opens its connections at its first job.
    pub(crate) fn start(directory: &Path, core: &CoreHandle, places: Places) -> Result<Readers, Error> {
        Readers::start_with(directory, core, places, (0..places.threads).map(|_| None))
    }

    /// Starts one thread with a reader that is already open.
    pub(crate) fn start_with_reader(
        directory: &Path,
        core: &CoreHandle,
        reader: Reader,
    ) -> Result<Readers, Error> {
        Readers::start_with(directory, core, LONG_READS, std::iter::once(Some(reader)))
    }

    fn start_with(
        directory: &Path,
        core: &CoreHandle,
        places: Places,
        readers: impl Iterator<Item = Option<Reader>>,
    ) -> Result<Readers, Error> {
        let (jobs, receiver) = sync_channel::<Job>(places.waiting);
        let receiver = Arc::new(Mutex::new(receiver));
        for reader in readers {
            let (receiver, directory, core) = (Arc::clone(&receiver), directory.to_path_buf(), core.clone());
            std::thread::Builder::new()
                .name("tollkeeper-reader".into())
                .spawn(move || run(&receiver, &directory, &core, reader))
                .map_err(Error::cannot_start_thread)?;
        }
        Ok(Readers { places, jobs, by_workspace: Arc::default() })
    }

    /// Counts a read of a workspace; refuses with [`Error::is_overloaded`] if too many wait.
    fn count(&self, workspace: WorkspaceId) -> Result<Counted, Error> {
        let mut counts = self.by_workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(workspace.clone()).or_default();
        if *count >= self.places.of_workspace {
            return Err(Error::overloaded());
        }
        *count += 1;
        Ok(Counted { workspace, by_workspace: Arc::clone(&self.by_workspace) })
    }

    /// Runs a read of a workspace on one of the threads, unless its caller has gone away by then.
    /// Refuses with [`Error::is_overloaded`] if too many wait.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        workspace: WorkspaceId,
        read: impl FnOnce(&Reader, &WorkspaceId) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let counted = self.count(workspace)?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |reader| {
            if reply.is_closed() {
                return true;
            }
            let read =
                |reader: &Reader| read(reader, &counted.workspace).map_err(|error| reader.report(error));
            let read = || reader.and_then(read);
            let caught = catch_unwind(AssertUnwindSafe(read));
            let is_sound = caught.is_ok();
            // The caller may have gone away; then the answer is not needed.
            drop(reply.send(caught.unwrap_or_else(|panic| Err(Error::panicked(&*panic)))));
            is_sound
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::overloaded(),
            TrySendError::Disconnected(_) => Error::engine_closed(),
        })?;
        answer.await.map_err(|_| Error::engine_closed())?
    }
}

fn run(jobs: &Mutex<Receiver<Job>>, directory: &Path, core: &CoreHandle, mut reader: Option<Reader>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if reader.as_ref().is_none_or(Reader::is_outdated) {
            reader = None;
            let state_file = core.state_files_made();
            let in_place = core.blocking_read(|core| core.check_files());
            match in_place.and_then(|()| Reader::open(directory, None, core.clone())) {
                Ok(opened) => reader = Some(opened),
                Err(error) => {
                    let _ = job(Err(core.report(error, state_file)));
                    continue;
                }
            }
        }
        if let Some(opened) = &reader
            && !job(Ok(opened))
            && !opened.is_snapshot()
        {
            reader = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn workspace(name: &str) -> WorkspaceId {
        WorkspaceId::new(name).expect("the id is valid")
    }

    /// Asks a read whose caller then goes away; returns true if it was refused.
    fn is_refused(readers: &Readers, name: &str) -> bool {
        let read = |_: &Reader, _: &WorkspaceId| -> Result<(), Error> { panic!("nobody waits for it") };
        let refused = readers.read(workspace(name), read).now_or_never();
        refused.is_some_and(|read| read.is_err_and(|error| error.is_overloaded()))
    }

    #[test]
    fn reads_are_bounded_for_each_workspace_and_an_abandoned_one_is_not_run() {
        let (core, _jobs) = CoreHandle::new(1);
        let Places { waiting, of_workspace, .. } = LONG_READS;
        let (jobs, queue) = sync_channel(waiting);
        let readers = Readers { places: LONG_READS, jobs, by_workspace: Arc::default() };
        for _ in 0..of_workspace {
            assert!(!is_refused(&readers, "loud"));
        }
        assert!(is_refused(&readers, "loud") && !is_refused(&readers, "quiet"));
        let run_all = || {
            for job in queue.try_iter() {
                assert!(job(Err(Error::engine_closed())), "a read without a caller is left out");
            }
        };
        run_all();
        assert!(!is_refused(&readers, "loud"), "there is room again");
        run_all();
        let others = (0..=waiting).filter(|n| is_refused(&readers, &format!("workspace-{n}")));
        assert_eq!(others.count(), 1, "all reads together are bounded too");
        drop(core);
    }
}
