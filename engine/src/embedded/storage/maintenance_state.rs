//! Which tasks of the checkpointer are not finished, and what is due for the journal's WAL.
//!
//! At most one task of each kind is under way. A task that derives from entries in flight is
//! deferred until they are on disk. Nothing here knows an account or a thread.

use super::checkpoint_task::{Task, TaskResult};
use super::checkpointer_handle::CheckpointerHandle;

/// The connection that appends moves the rest of the journal's WAL itself when at most this many
/// pages are left, because the WAL starts again from its beginning only when no page is left.
const WAL_REMAINDER_PAGES: u64 = 256;

/// The kinds of tasks of which one at a time is under way.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    chunk: bool,
    run: bool,
    merge: bool,
    wal: bool,
    emptying: bool,
    closing: bool,
}

/// What the checkpointer was given and has not finished, and what is due for the journal's WAL.
#[derive(Debug)]
pub(crate) struct MaintenanceState {
    /// `None` in a directory that is open for reading only: then nothing is written.
    checkpointer: Option<Box<dyn CheckpointerHandle>>,
    under_way: UnderWay,
    /// Tasks that derive from entries which are not on disk yet: the state file must never be ahead
    /// of the journal.
    deferred: Vec<Task>,
    /// Bytes appended to the journal since its WAL was moved into the file.
    appended_bytes: u64,
    /// Pages that the last checkpoint left in the WAL.
    wal_pages: u64,
    /// Few pages of the WAL are left, to be moved by the connection that appends next.
    wal_remainder: bool,
    erasure: Erasure,
}

/// Texts that were erased and may still be in the WAL.
#[derive(Debug, Default)]
struct Erasure {
    /// The number of erasures since the start.
    count: u64,
    /// How many of them the WAL was emptied after.
    done: u64,
    /// How many of them the task under way includes.
    submitted: u64,
    /// Steps of maintenance until the next attempt, and after that one.
    wait: u32,
    pause: u32,
}

/// The most steps of maintenance between two attempts to empty the WAL. A reader of another
/// process may need it for minutes.
const ERASURE_PAUSE_MAX: u32 = 256;

impl MaintenanceState {
    pub(crate) fn new(checkpointer: Option<Box<dyn CheckpointerHandle>>) -> MaintenanceState {
        MaintenanceState {
            checkpointer,
            under_way: UnderWay::default(),
            deferred: Vec::new(),
            appended_bytes: 0,
            wal_pages: u64::MAX,
            wal_remainder: false,
            erasure: Erasure::default(),
        }
    }

    /// True if the directory is open for reading only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.checkpointer.is_none()
    }

    /// True if a chunk is under way.
    pub(crate) fn is_writing_chunk(&self) -> bool {
        self.under_way.chunk
    }

    /// True if a frozen table is being written as a run.
    pub(crate) fn is_writing_run(&self) -> bool {
        self.under_way.run
    }

    /// True if runs are being merged.
    pub(crate) fn is_merging(&self) -> bool {
        self.under_way.merge
    }

    /// True if days are being closed.
    pub(crate) fn is_closing_days(&self) -> bool {
        self.under_way.closing
    }

    /// True if any task is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let UnderWay { chunk, run, merge, wal, emptying, closing } = self.under_way;
        chunk || run || merge || wal || emptying || closing
    }

    /// Gives the checkpointer a task.
    pub(crate) fn submit(&mut self, task: Task) {
        self.mark_under_way(&task);
        self.give(task);
    }

    /// The same for a task that derives from entries; it is deferred while `in_flight`: they are
    /// not on disk yet.
    pub(crate) fn submit_derived(&mut self, task: Task, in_flight: bool) {
        self.mark_under_way(&task);
        if in_flight { self.deferred.push(task) } else { self.give(task) }
    }

    /// The entries in flight are on disk: gives the checkpointer what was deferred.
    pub(crate) fn submit_deferred(&mut self) {
        for task in std::mem::take(&mut self.deferred) {
            self.give(task);
        }
    }

    /// What the checkpointer has finished, the oldest first.
    pub(crate) fn poll(&mut self) -> Option<TaskResult> {
        let done = self.checkpointer.as_mut()?.poll()?;
        self.mark_finished(&done);
        Some(done)
    }

    /// The same, but waits for it. Called only while a task that has a result is under way.
    pub(crate) fn wait(&mut self) -> Option<TaskResult> {
        assert!(self.deferred.is_empty(), "a deferred task would be waited for without end");
        let done = self.checkpointer.as_mut()?.wait()?;
        self.mark_finished(&done);
        Some(done)
    }

    /// Notes that entries were appended to the journal.
    pub(crate) fn note_appended(&mut self, bytes: u64) {
        self.appended_bytes += bytes;
    }

    /// Submits the task that moves the journal's WAL into its file, if at least `wal_bytes` were
    /// appended since the last one.
    pub(crate) fn request_wal_checkpoint(&mut self, wal_bytes: u64) {
        if self.appended_bytes >= wal_bytes && !self.under_way.wal {
            self.submit(Task::WalCheckpoint);
        }
    }

    /// Decides how the WAL goes on after a checkpoint that left `left` pages in it.
    pub(crate) fn wal_checkpointed(&mut self, left: u64) {
        if left > WAL_REMAINDER_PAGES && left < self.wal_pages / 2 {
            self.wal_pages = left;
            self.submit(Task::WalCheckpoint);
            return;
        }
        // If more pages are left, a long read holds the checkpoint back, or commits came faster.
        // The next attempt comes after another `wal_bytes` bytes.
        (self.appended_bytes, self.wal_pages) = (0, u64::MAX);
        self.wal_remainder |= left <= WAL_REMAINDER_PAGES;
    }

    /// The WAL was moved as far as open reads allowed.
    pub(crate) fn wal_was_moved(&mut self) {
        self.appended_bytes = 0;
    }

    /// True if the rest of the WAL is to be moved now; the caller does it.
    pub(crate) fn take_wal_remainder(&mut self) -> bool {
        std::mem::take(&mut self.wal_remainder)
    }

    /// Notes that texts were erased, in a batch that is committed next. They are in the WAL and in
    /// the file until the WAL was emptied.
    pub(crate) fn note_erasure(&mut self) {
        let Erasure { count, wait, pause, .. } = &mut self.erasure;
        (*count, *wait, *pause) = (*count + 1, 0, 1);
    }

    /// True if the WAL is to be emptied.
    pub(crate) fn is_erasing(&self) -> bool {
        self.erasure.done < self.erasure.count
    }

    /// Submits the task that empties the WAL, if texts were erased. Everything must be on disk.
    pub(crate) fn request_empty_wal(&mut self) {
        if !self.is_erasing() || self.under_way.emptying {
            return;
        }
        let Erasure { count, submitted, wait, pause, .. } = &mut self.erasure;
        if *wait > 0 {
            *wait -= 1;
            return;
        }
        (*submitted, *wait, *pause) = (*count, *pause, ERASURE_PAUSE_MAX.min(2 * *pause));
        self.submit(Task::EmptyWal);
    }

    /// The WAL was emptied. True if no text was erased since that was asked for.
    pub(crate) fn wal_emptied(&mut self) -> bool {
        self.wal_was_moved();
        self.erasure.done = self.erasure.submitted;
        !self.is_erasing()
    }

    /// The WAL was emptied after all erasures.
    pub(crate) fn end_erasures(&mut self) {
        self.erasure.done = self.erasure.count;
    }

    fn give(&mut self, task: Task) {
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.submit(task);
        }
    }

    fn mark_under_way(&mut self, task: &Task) {
        let under_way = match task {
            Task::Chunk(_) => &mut self.under_way.chunk,
            Task::Run { .. } => &mut self.under_way.run,
            Task::Merge(_) => &mut self.under_way.merge,
            Task::WalCheckpoint => &mut self.under_way.wal,
            Task::EmptyWal => &mut self.under_way.emptying,
            Task::CloseDays(_) => &mut self.under_way.closing,
            Task::DeleteRuns(_) => return,
        };
        assert!(!*under_way, "one task of a kind is under way at a time");
        *under_way = true;
    }

    fn mark_finished(&mut self, done: &TaskResult) {
        let under_way = match done {
            TaskResult::Chunk { .. } => &mut self.under_way.chunk,
            TaskResult::Run(_) => &mut self.under_way.run,
            TaskResult::Merged(_) => &mut self.under_way.merge,
            TaskResult::WalCheckpoint { .. } => &mut self.under_way.wal,
            TaskResult::WalEmptied(_) => &mut self.under_way.emptying,
            TaskResult::DaysClosed(_) => &mut self.under_way.closing,
            // Everything is loaded again after a failure.
            TaskResult::Failed(_) => return,
        };
        assert!(*under_way, "what is done was under way");
        *under_way = false;
    }
}
