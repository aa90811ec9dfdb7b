//! Who follows journals: open streams and requests that wait for an entry.
//!
//! Each of them keeps a connection for long, so their number is bounded: on the server, so that
//! most connections stay free for other requests, and for each workspace, so that one does not take
//! the places of others. At a shutdown all end at once, and their clients connect to another
//! server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tollkeeper_ledger::WorkspaceId;

/// The most followers of one server.
pub const FOLLOWERS_MAX: usize = 2_000;

/// The most followers of one workspace.
pub const FOLLOWERS_OF_WORKSPACE_MAX: usize = 20;

/// The followers of one server.
#[derive(Debug)]
pub struct Followers {
    most: usize,
    counts: Mutex<Counts>,
    is_ending: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_workspace: HashMap<WorkspaceId, usize>,
}

/// Why there is no place for another follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The workspace has as many as it may have.
    OfWorkspace,
    /// The server has as many as it may have, or is shutting down.
    OfServer,
}

/// The place of a follower, until it is dropped.
#[derive(Debug)]
pub struct Follower {
    followers: Arc<Followers>,
    workspace: WorkspaceId,
    is_ending: watch::Receiver<bool>,
}

impl Followers {
    /// Places for at most `most` followers, and no more than [`FOLLOWERS_MAX`].
    pub fn new(most: usize) -> Arc<Followers> {
        let is_ending = watch::Sender::new(false);
        Arc::new(Followers { most: most.min(FOLLOWERS_MAX), counts: Mutex::default(), is_ending })
    }

    /// A place for a follower of a workspace.
    ///
    /// # Errors
    /// There is none.
    pub fn enter(self: &Arc<Followers>, workspace: &WorkspaceId) -> Result<Follower, NoPlace> {
        let is_ending = self.is_ending.subscribe();
        let mut counts = self.counts();
        if counts.all >= self.most || *is_ending.borrow() {
            return Err(NoPlace::OfServer);
        }
        let of_workspace = counts.by_workspace.entry(workspace.clone()).or_default();
        if *of_workspace >= FOLLOWERS_OF_WORKSPACE_MAX {
            return Err(NoPlace::OfWorkspace);
        }
        *of_workspace += 1;
        counts.all += 1;
        Ok(Follower { followers: Arc::clone(self), workspace: workspace.clone(), is_ending })
    }

    /// Ends all followers, now and later.
    pub fn end_all(&self) {
        self.is_ending.send_replace(true);
    }

    /// The number of followers.
    pub fn count(&self) -> u64 {
        self.counts().all as u64
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// True if it has to end.
    pub fn is_ending(&self) -> bool {
        *self.is_ending.borrow()
    }

    /// Waits until it has to end.
    pub async fn ending(&mut self) {
        // Without a sender, the server is gone.
        let _ = self.is_ending.wait_for(|is_ending| *is_ending).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut counts = self.followers.counts();
        counts.all -= 1;
        if let Some(of_workspace) = counts.by_workspace.get_mut(&self.workspace) {
            *of_workspace -= 1;
            if *of_workspace == 0 {
                counts.by_workspace.remove(&self.workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_are_bounded_for_the_server_and_for_each_workspace() {
        let followers = Followers::new(FOLLOWERS_OF_WORKSPACE_MAX + 1);
        let [loud, quiet] = ["loud", "quiet"].map(|name| WorkspaceId::new(name).expect("the id is valid"));
        let mut open: Vec<Follower> = (0..FOLLOWERS_OF_WORKSPACE_MAX)
            .map(|_| followers.enter(&loud).expect("there is a place"))
            .collect();
        assert_eq!(followers.enter(&loud).expect_err("it has its places"), NoPlace::OfWorkspace);
        open.push(followers.enter(&quiet).expect("others have places"));
        assert_eq!(followers.enter(&quiet).expect_err("the server is full"), NoPlace::OfServer);
        open.truncate(1);
        assert_eq!(followers.count(), 1);
        let follower = followers.enter(&loud).expect("places were given back");
        assert!(!follower.is_ending());
        followers.end_all();
        assert!(follower.is_ending());
        assert_eq!(followers.enter(&quiet).expect_err("the server ends"), NoPlace::OfServer);
    }
}
