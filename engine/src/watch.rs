//! Who waits for new entries of a workspace, and how a commit wakes them.
//!
//! A wake-up carries nothing: the journal has the entries, and a reader reads what it has not seen.
//! So nothing is buffered for a slow reader. A caller first watches, then reads, then waits: an
//! entry that is committed after the read wakes it. Wake-ups without a new entry happen.
//!
//! Guarantee: while nobody watches, a commit pays one load of an atomic number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tollkeeper_ledger::WorkspaceId;

/// What wakes the watches of one workspace.
pub(crate) type Waker = Arc<watch::Sender<()>>;

/// The watched workspaces of one engine.
#[derive(Debug, Default)]
pub struct Watchers {
    /// The number of watches, read by every commit.
    count: AtomicUsize,
    by_workspace: Mutex<HashMap<WorkspaceId, Watched>>,
}

#[derive(Debug)]
struct Watched {
    waker: Waker,
    watches: usize,
    /// The number of the last entry that was seen in the database.
    seen: u64,
}

/// A watch over the journal of one workspace, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    watchers: Arc<Watchers>,
    workspace: WorkspaceId,
    changes: watch::Receiver<()>,
}

impl Watch {
    /// Waits until entries may have been committed since this was last called, or since the watch
    /// began.
    pub async fn changed(&mut self) {
        // The sender is dropped after all of its watches.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.watchers.locked();
        if let Some(of_workspace) = watched.get_mut(&self.workspace) {
            of_workspace.watches -= 1;
            if of_workspace.watches == 0 {
                watched.remove(&self.workspace);
            }
        }
        self.watchers.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Watchers {
    /// Begins a watch. The workspace need not exist.
    #[must_use]
    pub fn watch(self: &Arc<Watchers>, workspace: &WorkspaceId) -> Watch {
        let mut watched = self.locked();
        let of_workspace = watched.entry(workspace.clone()).or_insert_with(|| Watched {
            waker: Arc::new(watch::Sender::new(())),
            watches: 0,
            seen: 0,
        });
        of_workspace.watches += 1;
        let changes = of_workspace.waker.subscribe();
        drop(watched);
        self.count.fetch_add(1, Ordering::SeqCst);
        Watch { watchers: Arc::clone(self), workspace: workspace.clone(), changes }
    }

    /// True if nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Wakes the watches of some workspaces.
    pub fn wake<'a>(&self, workspaces: impl Iterator<Item = &'a WorkspaceId>) {
        wake_all(&self.wakers_of(workspaces));
    }

    /// What wakes the watches of some workspaces, to be used after a commit.
    pub(crate) fn wakers_of<'a>(&self, workspaces: impl Iterator<Item = &'a WorkspaceId>) -> Vec<Waker> {
        let watched = self.locked();
        let mut before: Option<&WorkspaceId> = None;
        let mut wakers = Vec::new();
        for workspace in workspaces {
            if before.replace(workspace) != Some(workspace)
                && let Some(of_workspace) = watched.get(workspace)
            {
                wakers.push(Arc::clone(&of_workspace.waker));
            }
        }
        wakers
    }

    /// The workspaces that somebody watches.
    pub(crate) fn workspaces(&self) -> Vec<WorkspaceId> {
        self.locked().keys().cloned().collect()
    }

    /// Takes the numbers of the last entries as they are in the database, and wakes the watches of
    /// workspaces whose number is another one than before.
    pub(crate) fn note_numbers(&self, numbers: impl Iterator<Item = (WorkspaceId, u64)>) {
        let mut watched = self.locked();
        for (workspace, n) in numbers {
            if let Some(of_workspace) = watched.get_mut(&workspace)
                && std::mem::replace(&mut of_workspace.seen, n) != n
            {
                of_workspace.waker.send_replace(());
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Watched>> {
        self.by_workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the watches that these wakers are of.
pub(crate) fn wake_all(wakers: &[Waker]) {
    for waker in wakers {
        waker.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn workspace(name: &str) -> WorkspaceId {
        WorkspaceId::new(name).expect("the id is valid")
    }

    #[test]
    fn a_watch_is_woken_for_its_workspace_and_once_for_what_was_missed() {
        let watchers = Arc::new(Watchers::default());
        let [loud, quiet] = ["loud", "quiet"].map(workspace);
        assert!(watchers.is_empty());
        let mut watches = [watchers.watch(&loud), watchers.watch(&loud), watchers.watch(&quiet)];
        assert!(!watchers.is_empty());
        let woken = |watches: &mut [Watch; 3]| {
            let now: Vec<bool> =
                watches.iter_mut().map(|watch| watch.changed().now_or_never().is_some()).collect();
            now
        };
        assert_eq!(woken(&mut watches), [false, false, false]);
        watchers.wake([&loud, &loud].into_iter());
        watchers.wake([&loud].into_iter());
        assert_eq!(woken(&mut watches), [true, true, false]);
        assert_eq!(woken(&mut watches), [false, false, false]);
        watchers.note_numbers([(loud.clone(), 7), (quiet.clone(), 2)].into_iter());
        assert_eq!(woken(&mut watches), [true, true, true], "what happened before is not known");
        watchers.note_numbers([(loud.clone(), 7), (quiet, 3)].into_iter());
        assert_eq!(woken(&mut watches), [false, false, true]);
        drop(watches);
        assert!(watchers.is_empty() && watchers.workspaces().is_empty());
        watchers.wake([&loud].into_iter());
    }
}
