//! How tasks are given to the checkpointer, and which of them are not finished.
//!
//! The core decides what is to be written and gives it away as a [`Task`]; the checkpointer writes
//! it and answers with a [`Done`]. Tasks are finished in the order in which they were given.
//! [`MaintenanceState`] remembers what is under way.
//!
//! Where the checkpointer runs is behind [`CheckpointerLink`]: on a thread of its own in a server,
//! in the caller's thread ([`Inline`]) in a simulation, which so stays deterministic. Nothing here
//! knows an account or a thread.

use std::collections::VecDeque;
use std::fmt::Debug;

use super::checkpoint_task::{Done, Task};
use super::checkpointer::Checkpointer;
use crate::Error;

/// The journal's WAL is moved by the core itself when at most this many pages are left in it,
/// because the WAL starts again from its beginning only when no page is left.
const WAL_REST_PAGES: u64 = 256;

/// The way to a checkpointer, wherever it runs.
pub(crate) trait CheckpointerLink: Debug + Send {
    /// Gives it a task.
    fn submit(&mut self, task: Task);

    /// What it has finished and not yet reported, the oldest first; `None` if there is nothing.
    fn poll(&mut self) -> Option<Done>;

    /// The same, but waits for it; `None` if no task is under way.
    fn wait(&mut self) -> Option<Done>;
}

/// Starts a checkpointer. The core needs it again after a failure, when it loads everything again.
pub(crate) trait StartCheckpointer: Debug + Send {
    fn start(&self, checkpointer: Checkpointer) -> Result<Box<dyn CheckpointerLink>, Error>;
}

/// Starts checkpointers that run in the caller's thread.
#[derive(Debug)]
pub(crate) struct StartInline;

impl StartCheckpointer for StartInline {
    fn start(&self, checkpointer: Checkpointer) -> Result<Box<dyn CheckpointerLink>, Error> {
        Ok(Box::new(Inline { checkpointer, done: VecDeque::new() }))
    }
}

/// A checkpointer in the caller's thread: a task is finished when it is submitted.
#[derive(Debug)]
struct Inline {
    checkpointer: Checkpointer,
    done: VecDeque<Done>,
}

impl CheckpointerLink for Inline {
    fn submit(&mut self, task: Task) {
        self.done.extend(self.checkpointer.begin(task));
        while self.checkpointer.is_merging() {
            self.done.extend(self.checkpointer.step());
        }
    }

    fn poll(&mut self) -> Option<Done> {
        self.done.pop_front()
    }

    fn wait(&mut self) -> Option<Done> {
        self.done.pop_front()
    }
}

/// The kinds of tasks of which one at a time is under way.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    slice: bool,
    run: bool,
    merge: bool,
    journal: bool,
}

/// What the checkpointer was given and has not finished, and what is due for the journal's WAL.
#[derive(Debug)]
pub(crate) struct MaintenanceState {
    /// `None` in a directory that is open for reading only: then nothing is written.
    checkpointer: Option<Box<dyn CheckpointerLink>>,
    under_way: UnderWay,
    /// Tasks that derive from entries which are not on disk yet: the state file must never be ahead
    /// of the journal.
    held: Vec<Task>,
    /// Bytes appended to the journal since its WAL was moved into the file.
    appended_bytes: u64,
    /// Pages that the last checkpoint left in the WAL.
    wal_pages: u64,
    /// Few pages of the WAL are left, to be moved by the connection that appends next.
    wal_rest: bool,
}

impl MaintenanceState {
    pub(crate) fn new(checkpointer: Option<Box<dyn CheckpointerLink>>) -> MaintenanceState {
        MaintenanceState {
            checkpointer,
            under_way: UnderWay::default(),
            held: Vec::new(),
            appended_bytes: 0,
            wal_pages: u64::MAX,
            wal_rest: false,
        }
    }

    /// True if the directory is open for reading only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.checkpointer.is_none()
    }

    /// True if a slice is under way.
    pub(crate) fn is_writing_slice(&self) -> bool {
        self.under_way.slice
    }

    /// True if a frozen table is being written as a run.
    pub(crate) fn is_writing_run(&self) -> bool {
        self.under_way.run
    }

    /// True if runs are being merged.
    pub(crate) fn is_merging(&self) -> bool {
        self.under_way.merge
    }

    /// True if any task is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let UnderWay { slice, run, merge, journal } = self.under_way;
        slice || run || merge || journal
    }

    /// Gives the checkpointer a task.
    pub(crate) fn submit(&mut self, task: Task) {
        self.mark_under_way(&task);
        self.give(task);
    }

    /// The same for a task that derives from entries; it is held back while `in_flight`: they are
    /// not on disk yet.
    pub(crate) fn submit_derived(&mut self, task: Task, in_flight: bool) {
        self.mark_under_way(&task);
        if in_flight { self.held.push(task) } else { self.give(task) }
    }

    /// The entries in flight are on disk: gives the checkpointer what was held back.
    pub(crate) fn release_held(&mut self) {
        for task in std::mem::take(&mut self.held) {
            self.give(task);
        }
    }

    /// What the checkpointer has finished, the oldest first.
    pub(crate) fn poll(&mut self) -> Option<Done> {
        let done = self.checkpointer.as_mut()?.poll()?;
        self.mark_done(&done);
        Some(done)
    }

    /// The same, but waits for it; `None` if no task is under way.
    pub(crate) fn wait(&mut self) -> Option<Done> {
        assert!(self.held.is_empty(), "a task that is held back would be waited for without end");
        let done = self.checkpointer.as_mut()?.wait()?;
        self.mark_done(&done);
        Some(done)
    }

    /// Notes that entries were appended to the journal.
    pub(crate) fn note_appended(&mut self, bytes: u64) {
        self.appended_bytes += bytes;
    }

    /// Submits the task that moves the journal's WAL into its file, if at least `wal_bytes` were
    /// appended since the last one.
    pub(crate) fn checkpoint_journal(&mut self, wal_bytes: u64) {
        if self.appended_bytes >= wal_bytes && !self.under_way.journal {
            self.submit(Task::JournalCheckpoint);
        }
    }

    /// Decides how the WAL goes on after a checkpoint that left `left` pages in it.
    pub(crate) fn journal_checkpointed(&mut self, left: u64) {
        if left > WAL_REST_PAGES && left < self.wal_pages / 2 {
            self.wal_pages = left;
            self.submit(Task::JournalCheckpoint);
            return;
        }
        // If more is left, a long read needs it: it is tried again after as many further bytes.
        (self.appended_bytes, self.wal_pages) = (0, u64::MAX);
        self.wal_rest |= left <= WAL_REST_PAGES;
    }

    /// The whole WAL was moved.
    pub(crate) fn wal_is_empty(&mut self) {
        self.appended_bytes = 0;
    }

    /// True if the rest of the WAL is to be moved now; the caller does it.
    pub(crate) fn take_wal_rest(&mut self) -> bool {
        std::mem::take(&mut self.wal_rest)
    }

    fn give(&mut self, task: Task) {
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.submit(task);
        }
    }

    fn mark_under_way(&mut self, task: &Task) {
        let under_way = match task {
            Task::Slice(_) => &mut self.under_way.slice,
            Task::Run { .. } => &mut self.under_way.run,
            Task::Merge(_) => &mut self.under_way.merge,
            Task::JournalCheckpoint => &mut self.under_way.journal,
            Task::Drop(_) => return,
        };
        assert!(!*under_way, "one task of a kind is under way at a time");
        *under_way = true;
    }

    fn mark_done(&mut self, done: &Done) {
        let under_way = match done {
            Done::Slice { .. } => &mut self.under_way.slice,
            Done::Run(_) => &mut self.under_way.run,
            Done::Merged(_) => &mut self.under_way.merge,
            Done::JournalCheckpoint { .. } => &mut self.under_way.journal,
            // Everything is loaded again after a failure.
            Done::Failed(_) => return,
        };
        assert!(*under_way, "what is done was under way");
        *under_way = false;
    }
}
