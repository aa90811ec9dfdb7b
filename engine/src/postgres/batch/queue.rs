//! The commands that wait for a lane, each with its reply.
//!
//! The queue is bounded in commands and in bytes, for each workspace and for all together. A
//! request finds room if what waits already is below the bounds, so a request of many commands is
//! taken whole. The commands of a workspace keep their order. Workspaces take turns: a workspace
//! that sends much fills its own line and delays others by one turn only. A workspace whose account
//! is locked by another session is parked: it has no turn for a while.
//!
//! What a lane leaves behind when it ends is answered with an error. The queue of the embedded
//! engine has another order of turns (`request_queue`); the replies of both are in `reply`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hashbrown::HashMap;
use tokio::sync::{Notify, oneshot};
use tollkeeper_ledger::{Actor, Submission, Timestamp, WorkspaceId};

use crate::reply::{Gathered, Reply};
use crate::request_queue::bytes_of;
use crate::{Error, Ran};

/// How many commands a workspace runs before it is the turn of the next one.
const TURN: usize = 64;

/// How many workspaces can fill the queue: the bound of all lines, in lines.
const LINES: usize = 8;

/// The most bytes of one workspace's commands that may wait.
const LINE_BYTES_MAX: usize = 16 << 20;

/// A command that waits for its lane.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub submission: Submission,
    /// The time at which the caller sent it.
    pub now: Timestamp,
    pub reply: Reply,
    /// When it was set aside for the first time.
    pub aside_since: Option<Instant>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    commands: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, submission: &Submission) {
        self.commands += 1;
        self.bytes += bytes_of(submission);
    }

    fn remove(&mut self, submission: &Submission) {
        self.commands -= 1;
        self.bytes -= bytes_of(submission);
    }

    fn has_room(self, bound: Load) -> bool {
        self.commands < bound.commands && self.bytes < bound.bytes
    }
}

/// The commands of one workspace that wait, in their order.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    load: Load,
    /// While the line is parked: until when.
    parked_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: HashMap<WorkspaceId, Line>,
    /// The workspaces that have commands waiting, each once, in the order of their turns.
    turns: VecDeque<WorkspaceId>,
    /// The workspaces that are parked.
    parked: Vec<WorkspaceId>,
    load: Load,
    closed: bool,
    ended: bool,
}

impl Lines {
    fn push(&mut self, waiting: Waiting) {
        self.load.add(&waiting.submission);
        let workspace = &waiting.submission.workspace;
        if !self.lines.contains_key(workspace) {
            self.lines.insert(workspace.clone(), Line::default());
            self.turns.push_back(workspace.clone());
        }
        let line = self.lines.get_mut(workspace).expect("the line was added above");
        line.load.add(&waiting.submission);
        line.waiting.push_back(waiting);
    }

    /// Moves at most `most` commands into `batch`, turn by turn.
    fn take(&mut self, most: usize, batch: &mut Vec<Waiting>) {
        while batch.len() < most {
            let Some(workspace) = self.turns.pop_front() else { break };
            let line = self.lines.get_mut(&workspace).expect("only a workspace with a line has a turn");
            for waiting in line.waiting.drain(..line.waiting.len().min(TURN).min(most - batch.len())) {
                line.load.remove(&waiting.submission);
                self.load.remove(&waiting.submission);
                batch.push(waiting);
            }
            if line.waiting.is_empty() {
                assert_eq!(line.load, Load::default(), "an empty line weighs nothing");
                self.lines.remove(&workspace);
            } else {
                self.turns.push_back(workspace);
            }
        }
        let waiting = self.turns.len() + self.parked.len();
        assert_eq!(waiting, self.lines.len(), "each workspace that waits has one turn or is parked");
    }

    /// Puts commands back to the beginning of their lines and parks these.
    fn park(&mut self, commands: Vec<Waiting>, until: Instant) {
        for waiting in commands.into_iter().rev() {
            self.load.add(&waiting.submission);
            let workspace = &waiting.submission.workspace;
            let line = self.lines.entry(workspace.clone()).or_default();
            if line.parked_until.replace(until).is_none() {
                self.turns.retain(|other| other != workspace);
                self.parked.push(workspace.clone());
            }
            line.load.add(&waiting.submission);
            line.waiting.push_front(waiting);
        }
    }

    /// Gives a turn to each workspace that was parked until now. Returns when the next one gets it.
    fn unpark(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for workspace in std::mem::take(&mut self.parked) {
            let line = self.lines.get_mut(&workspace).expect("a parked workspace has a line");
            let until = line.parked_until.expect("its line is parked");
            if until <= now {
                line.parked_until = None;
                self.turns.push_back(workspace);
            } else {
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
                self.parked.push(workspace);
            }
        }
        next
    }
}

/// The queue of one lane.
#[derive(Debug)]
pub(crate) struct LaneQueue {
    lines: Mutex<Lines>,
    line_bound: Load,
    /// Notified when commands arrive, and when the queue closes.
    arrived: Notify,
    /// Notified when there may be room, and when the lane has ended.
    changed: Notify,
}

impl LaneQueue {
    /// A queue in which `commands` of one workspace may wait.
    pub(crate) fn new(commands: usize) -> LaneQueue {
        assert!(commands > 0, "a lane has room in its queue");
        LaneQueue {
            lines: Mutex::default(),
            line_bound: Load { commands, bytes: LINE_BYTES_MAX },
            arrived: Notify::new(),
            changed: Notify::new(),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in, or fails with [`Error::is_overloaded`] if one of `workspaces` has no
    /// room.
    fn push(
        &self,
        request: impl IntoIterator<Item = Waiting>,
        workspaces: &[&WorkspaceId],
    ) -> Result<(), Error> {
        let all = Load { commands: LINES * self.line_bound.commands, bytes: LINES * self.line_bound.bytes };
        let mut lines = self.lines();
        if lines.closed {
            return Err(Error::engine_closed());
        }
        let has_room = |workspace: &&WorkspaceId| {
            lines.lines.get(*workspace).is_none_or(|line| line.load.has_room(self.line_bound))
        };
        let is_bounded = !workspaces.is_empty();
        let is_full = !lines.load.has_room(all) || !workspaces.iter().all(has_room);
        if is_bounded && is_full {
            return Err(Error::overloaded());
        }
        request.into_iter().for_each(|waiting| lines.push(waiting));
        drop(lines);
        self.arrived.notify_one();
        Ok(())
    }

    /// Runs one command, or fails at once with [`Error::is_overloaded`] if there is no room.
    pub(crate) async fn run_or_shed(&self, submission: Submission, now: Timestamp) -> Ran {
        let (reply, answer) = oneshot::channel();
        let workspace = submission.workspace.clone();
        self.push([Waiting { submission, now, reply: Reply::One(reply), aside_since: None }], &[&workspace])?;
        answer.await.map_err(|_| Error::engine_closed())?
    }

    /// Runs one command; waits for room.
    pub(crate) async fn run(&self, submission: Submission, now: Timestamp) -> Ran {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.run_or_shed(submission.clone(), now).await {
                Err(error) if error.is_overloaded() => changed.await,
                ran => return ran,
            }
        }
    }

    /// Runs commands that one caller sends together, each decided alone. Fails at once with
    /// [`Error::is_overloaded`] if there is no room; then none of them is run.
    pub(crate) async fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> Result<Vec<Ran>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let count = batch.len();
        let (gathered, answers) = Gathered::new(count, Vec::new());
        // The server's own commands always find room: it sends few at a time, and a workspace
        // without room must not keep the time-outs of others.
        let of_callers = batch.iter().filter(|one| one.actor != Actor::System);
        let mut workspaces: Vec<WorkspaceId> = of_callers.map(|one| one.workspace.clone()).collect();
        workspaces.sort_unstable();
        workspaces.dedup();
        let waiting = batch.into_iter().enumerate().map(|(place, submission)| Waiting {
            submission,
            now,
            reply: Reply::Portion { gathered: Arc::clone(&gathered), place, commands: 1 },
            aside_since: None,
        });
        self.push(waiting, &workspaces.iter().collect::<Vec<_>>())?;
        drop(gathered);
        let answers = answers.await.map_err(|_| Error::engine_closed())?;
        assert_eq!(answers.len(), count, "every command has one answer");
        Ok(answers)
    }

    /// Waits for commands and moves at most `most` of them into `batch`. Returns `false` if the
    /// queue is closed and empty.
    pub(crate) async fn take(&self, most: usize, batch: &mut Vec<Waiting>) -> bool {
        assert!(most > 0 && batch.is_empty(), "a lane takes a new batch");
        loop {
            let (next, is_over) = {
                let mut lines = self.lines();
                let next = lines.unpark(Instant::now());
                lines.take(most, batch);
                (next, lines.closed && lines.lines.is_empty())
            };
            if !batch.is_empty() {
                self.changed.notify_waiters();
                return true;
            }
            if is_over {
                return false;
            }
            match next {
                Some(next) => drop(tokio::time::timeout_at(next.into(), self.arrived.notified()).await),
                None => self.arrived.notified().await,
            }
        }
    }

    /// Puts commands back, in their order, until their accounts may be free.
    pub(crate) fn park(&self, commands: Vec<Waiting>, until: Instant) {
        self.lines().park(commands, until);
    }

    /// How many commands wait.
    pub(crate) fn queued(&self) -> usize {
        self.lines().load.commands
    }

    /// Accepts nothing more. The lane ends after it has answered what waits.
    pub(crate) fn close(&self) {
        self.lines().closed = true;
        self.arrived.notify_one();
        self.changed.notify_waiters();
    }

    /// Waits until the lane has ended.
    pub(crate) async fn ended(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.lines().ended {
                return;
            }
            changed.await;
        }
    }

    /// The lane ends: what it leaves behind is answered with an error, because its senders are
    /// dropped.
    pub(crate) fn end(&self) {
        *self.lines() = Lines { closed: true, ended: true, ..Lines::default() };
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{ChargeRequest, Command, OperationId, Refusal};

    use super::*;
    use crate::postgres::database::blocking::single_thread_runtime;

    fn command(workspace: &str) -> Submission {
        let workspace = WorkspaceId::new(workspace).expect("the id is valid");
        Submission { workspace, key: None, actor: Actor::System, command: Command::SetLimits(Vec::new()) }
    }

    /// Puts `count` commands of a workspace into the queue, as one request.
    fn push(queue: &LaneQueue, workspace: &str, count: usize) -> Result<(), Error> {
        let waiting = (0..count).map(|_| Waiting {
            submission: command(workspace),
            now: Timestamp::from_millis(0),
            reply: Reply::One(oneshot::channel().0),
            aside_since: None,
        });
        queue.push(waiting, &[&command(workspace).workspace])
    }

    fn taken(queue: &LaneQueue, most: usize) -> Vec<String> {
        let mut batch = Vec::new();
        queue.lines().take(most, &mut batch);
        batch.into_iter().map(|waiting| waiting.submission.workspace.to_string()).collect()
    }

    #[test]
    fn a_workspace_that_sends_much_delays_another_by_one_turn() {
        let queue = LaneQueue::new(1_000);
        push(&queue, "loud", 500).expect("there is room");
        push(&queue, "quiet", 1).expect("there is room");
        let batch = taken(&queue, 100);
        assert_eq!((batch.len(), batch.iter().position(|name| name == "quiet")), (100, Some(TURN)));
        assert_eq!(queue.queued(), 401);
        assert!(taken(&queue, 1_000).iter().all(|name| name == "loud"));
        assert_eq!((queue.queued(), taken(&queue, 1).len()), (0, 0));
    }

    #[test]
    fn a_full_line_sheds_its_workspace_alone_until_all_lines_are_full() {
        let queue = LaneQueue::new(10);
        push(&queue, "loud", 15).expect("a request is taken whole");
        assert!(push(&queue, "loud", 1).expect_err("its line is full").is_overloaded());
        push(&queue, "quiet", 1).expect("the other line is empty");
        for other in 0..LINES {
            push(&queue, &format!("other{other}"), 9).expect("there is room for all lines");
        }
        assert!(push(&queue, "late", 1).expect_err("the queue is full").is_overloaded());
        taken(&queue, 1_000);
        push(&queue, "late", 1).expect("there is room again");
    }

    #[test]
    fn a_parked_workspace_keeps_its_order_and_others_do_not_wait_for_it() {
        let queue = LaneQueue::new(10);
        push(&queue, "locked", 3).expect("there is room");
        push(&queue, "free", 1).expect("there is room");
        let mut batch = Vec::new();
        queue.lines().take(2, &mut batch);
        batch.iter_mut().zip(1..).for_each(|(waiting, place)| waiting.now = Timestamp::from_millis(place));
        let until = Instant::now() + std::time::Duration::from_secs(3_600);
        queue.park(batch, until);
        push(&queue, "locked", 1).expect("there is room");
        assert_eq!((taken(&queue, 10), queue.queued()), (vec!["free".to_owned()], 4));
        assert_eq!(queue.lines().unpark(Instant::now()), Some(until));
        assert_eq!(queue.lines().unpark(until), None);
        let mut batch = Vec::new();
        queue.lines().take(10, &mut batch);
        assert_eq!(batch.iter().map(|waiting| waiting.now.millis()).collect::<Vec<_>>(), [1, 2, 0, 0]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = LaneQueue::new(usize::MAX / LINES);
        let long = || {
            let mut submission = command("loud");
            let operation = OperationId::new("message").expect("the id is valid");
            let metadata = Some("x".repeat(LINE_BYTES_MAX).into());
            submission.command =
                Command::Charge(ChargeRequest { metadata, ..ChargeRequest::new(operation, 1) });
            let reply = Reply::One(oneshot::channel().0);
            Waiting { submission, now: Timestamp::from_millis(0), reply, aside_since: None }
        };
        let workspace = command("loud").workspace;
        queue.push([long()], &[&workspace]).expect("the line is empty");
        assert!(queue.push([long()], &[&workspace]).expect_err("its line is full").is_overloaded());
    }

    #[test]
    fn each_caller_gets_its_own_results_and_an_error_stands_for_its_command_alone() {
        let queue = LaneQueue::new(10);
        let now = Timestamp::from_millis(0);
        let calls = async {
            let failing = queue.run_each(vec![command("a"), command("b")], now);
            let other = queue.run_each(vec![command("b"), command("a")], now);
            let lane = async {
                let mut batch = Vec::new();
                assert!(queue.take(10, &mut batch).await);
                for (place, waiting) in batch.into_iter().enumerate() {
                    let failed = Err(Error::unavailable("it could not be decided"));
                    let ran = if place == 0 { failed } else { Ok(Err(Refusal::WorkspaceSuspended)) };
                    waiting.reply.send(&mut std::iter::once(ran));
                }
            };
            tokio::join!(failing, other, lane)
        };
        let runtime = single_thread_runtime().expect("a runtime starts");
        let (failing, other, ()) = runtime.block_on(calls);
        let failed: Vec<bool> = failing.expect("it is answered").iter().map(Result::is_err).collect();
        assert_eq!(failed, [true, false]);
        assert_eq!(other.expect("its commands were run").len(), 2);
    }

    #[test]
    fn a_lane_that_ends_leaves_no_caller_waiting() {
        let queue = LaneQueue::new(10);
        let now = Timestamp::from_millis(0);
        let calls = async {
            let end = async { queue.end() };
            tokio::join!(
                queue.run(command("a"), now),
                queue.run_each(vec![command("a")], now),
                end,
                queue.ended()
            )
        };
        let runtime = single_thread_runtime().expect("a runtime starts");
        let (one, many, ..) = runtime.block_on(calls);
        assert!(one.expect_err("the lane has ended").is_unavailable());
        assert!(many.expect_err("the lane has ended").is_unavailable());
        assert!(push(&queue, "a", 1).expect_err("the queue is closed").is_unavailable());
    }
}
