//! Does what a time brings to payments: it gives up a top-up that nobody paid, takes the steps of a
//! subscription, and makes the calls at the payment provider that the state waits for.
//!
//! The engine lists the workspaces with work that is due; the ledger says what it is
//! ([`Payments::due_work`]). Each piece changes the payments once it is done, so work that comes
//! late, twice, or from two servers does no harm. A piece that fails stops no other ([`BackOff`]),
//! neither of its workspace nor of another.
//!
//! The job has two parts. Each walks over the list of due workspaces by itself, page by page, and
//! begins again behind its end. So calls that hang hold up no work that needs none, and work that
//! cannot be done holds up none behind it. A poll that gets nothing done costs a bounded number of
//! reads, however much is due. Calls are claimed, because two servers that make one each cost the
//! provider two. Other work is not: a command that a second server sends changes nothing.
//!
//! What each piece does is in `due_work`. Deadlines of charges are not here (`time_outs`): they are
//! many, and are done in large batches.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_engine::{DuePlace, Error, Reads};
use tollkeeper_ledger::{Timestamp, Work, WorkspaceId};

use super::back_off::BackOff;
use super::due_work::{Done, do_work};
use super::polling::Polling;
use crate::app::App;
use crate::observe::metrics::PaymentWork;

/// How many workspaces of the list are asked for at once.
const PAGE: usize = 1_000;

/// The most workspaces whose payments are read for one batch.
const READS: usize = 100;

/// The work of how many workspaces is done at the same time. Their commands share commits.
const AT_ONCE: usize = 16;

/// How long calls at the payment provider are begun. Those that are left come first in the next
/// batch.
const CALLS_TIME: Duration = Duration::from_secs(5);

/// How long the payments of a workspace are not read again that have no work to be done now. A
/// workspace whose earliest work changes is read at once.
const QUIET_SECONDS: i64 = 30;

/// How long a look at the provider rests that brought no news.
const LOOK_SECONDS: i64 = 24 * 3_600;

/// The job with what it remembers between polls.
#[derive(Debug)]
pub struct DuePayments {
    /// The work that needs nobody else.
    pub(crate) own: Part,
    /// The work at the payment provider.
    pub(crate) calls: Part,
}

/// A part of the job.
#[derive(Debug)]
pub(crate) struct Part {
    kind: PaymentWork,
    /// How far it came in the list; `None` at the beginning.
    after: Option<DuePlace>,
    pieces: BackOff<(WorkspaceId, Work)>,
    /// Workspaces whose payments could not be read, or have nothing to be done now.
    places: BackOff<DuePlace>,
}

/// The work of a workspace that is to be done.
struct Task {
    /// How far the part came before it.
    before: Option<DuePlace>,
    place: DuePlace,
    pieces: Vec<Work>,
}

/// What became of the work of a workspace.
enum Ran {
    /// It was not begun, because others took too long.
    Left,
    /// Another server does it, or this one did a moment ago.
    Claimed,
    /// What became of each piece that was begun.
    Done(Vec<(Work, Result<Done, String>)>),
}

impl Default for DuePayments {
    fn default() -> DuePayments {
        DuePayments { own: Part::new(PaymentWork::Own), calls: Part::new(PaymentWork::Calls) }
    }
}

impl Polling for DuePayments {
    const WHAT: &'static str = "work of payments";

    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let (own, calls) = (self.own.do_batch(app).await, self.calls.do_batch(app).await);
        Ok(own? | calls?)
    }

    fn note_failing(&self, app: &App) {
        self.own.note_failing(app);
        self.calls.note_failing(app);
    }

    /// Each part polls by itself, so that neither waits for the other.
    async fn run(self, app: &App, interval: Duration) {
        let DuePayments { own, calls } = self;
        futures_util::join!(own.run(app, interval), calls.run(app, interval));
    }
}

impl Polling for Part {
    const WHAT: &'static str = "work of payments";

    /// Does the work of at most [`READS`] workspaces.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) {
            return Ok(false);
        }
        let now = reading.now;
        self.pieces.forget(now);
        self.places.forget(now);
        let (tasks, mut has_more) = self.next_tasks(app, now).await?;
        let (kind, ends_at) = (self.kind, Instant::now() + CALLS_TIME);
        let done = stream::iter(tasks.into_iter().enumerate()).map(async |(number, task)| {
            let ran = task.run(app, kind, ends_at).await;
            (number, task, ran)
        });
        let mut done = std::pin::pin!(done.buffer_unordered(AT_ONCE));
        let mut count = 0;
        let mut first_left: Option<(usize, Option<DuePlace>)> = None;
        while let Some((number, Task { before, place, .. }, ran)) = done.next().await {
            match ran {
                Ran::Left if first_left.as_ref().is_none_or(|(first, _)| number < *first) => {
                    first_left = Some((number, before));
                }
                Ran::Left => {}
                Ran::Claimed => self.places.rest(place, now.plus_seconds(QUIET_SECONDS)),
                Ran::Done(pieces) => {
                    for (work, done) in pieces {
                        let piece = (place.workspace.clone(), work);
                        count += usize::from(self.note(app, piece, done, app.now()));
                    }
                }
            }
        }
        if let Some((_, before)) = first_left {
            self.after = before;
            has_more = true;
        }
        Ok(has_more && count > 0)
    }

    fn note_failing(&self, app: &App) {
        // Both parts read the same payments.
        let unread = if self.kind == PaymentWork::Own { self.places.len() } else { 0 };
        app.metrics.set_failing_payment_work(self.kind, self.pieces.len() + unread);
    }
}

impl Part {
    fn new(kind: PaymentWork) -> Part {
        Part { kind, after: None, pieces: BackOff::default(), places: BackOff::default() }
    }

    /// Goes on in the list, and returns the work of the next workspaces that can be done now, and
    /// whether the list goes on behind them.
    async fn next_tasks(&mut self, app: &App, now: Timestamp) -> Result<(Vec<Task>, bool), Error> {
        let mut page = app.engine().due_payments(now, self.after.clone(), PAGE).await?;
        if page.is_empty() && self.after.take().is_some() {
            page = app.engine().due_payments(now, None, PAGE).await?;
        }
        let mut room = self.pieces.room_to_rest();
        let (mut tasks, mut reads, mut has_more) = (Vec::new(), 0, page.len() == PAGE);
        for place in page {
            if !self.places.waits(&place, now) {
                if reads == READS {
                    has_more = true;
                    break;
                }
                reads += 1;
                let pieces = self.pieces_of(app, &place, &mut room, now).await;
                if !pieces.is_empty() {
                    tasks.push(Task { before: self.after.clone(), place: place.clone(), pieces });
                }
            }
            self.after = Some(place);
        }
        Ok((tasks, has_more))
    }

    /// The work of a workspace that is due, is of this part, and does not wait. No more looks are
    /// begun than may rest afterwards: they would be made again at every poll.
    async fn pieces_of(
        &mut self,
        app: &App,
        place: &DuePlace,
        room: &mut usize,
        now: Timestamp,
    ) -> Vec<Work> {
        let workspace = &place.workspace;
        let payments = match app.engine().payments(workspace).await {
            Ok(payments) => payments.unwrap_or_default(),
            Err(error) => {
                app.metrics.count_failed_payment_work();
                if self.places.note_failure(place.clone(), now) {
                    tracing::error!(%workspace, %error, "payments with due work cannot be read; they are read again");
                }
                return Vec::new();
            }
        };
        let mut quiet_until = now.plus_seconds(QUIET_SECONDS);
        let mut pieces = Vec::new();
        let is_of_part = |work: &Work| payments.is_at_provider(*work) == (self.kind == PaymentWork::Calls);
        for work in payments.due_work(now).into_iter().filter(is_of_part) {
            if let Some(again_at) = self.pieces.waits_until(&(workspace.clone(), work), now) {
                quiet_until = quiet_until.min(again_at);
            } else if !payments.is_looked_at_daily(work) {
                pieces.push(work);
            } else if *room > 0 {
                *room -= 1;
                pieces.push(work);
            }
        }
        if pieces.is_empty() {
            self.places.rest(place.clone(), quiet_until);
        } else {
            self.places.note_done(place);
        }
        pieces
    }

    /// Notes what became of a piece of work; returns true if it is due no more.
    fn note(
        &mut self,
        app: &App,
        piece: (WorkspaceId, Work),
        done: Result<Done, String>,
        now: Timestamp,
    ) -> bool {
        let why = match done {
            Ok(Done::Whole) => {
                self.pieces.note_done(&piece);
                return true;
            }
            Ok(Done::NoNews) => {
                self.pieces.rest(piece, now.plus_seconds(LOOK_SECONDS));
                return false;
            }
            Err(why) => why,
        };
        app.metrics.count_failed_payment_work();
        let (workspace, work) = piece.clone();
        if self.pieces.note_failure(piece, now) {
            tracing::error!(%workspace, ?work, why, "due work of payments cannot be done; it is tried again");
        }
        false
    }
}

impl Task {
    /// Does the work, one piece after the other. Calls are not begun after `ends_at`, nor if
    /// another server makes them.
    async fn run(&self, app: &App, kind: PaymentWork, ends_at: Instant) -> Ran {
        let Task { before: _, place: DuePlace { workspace, .. }, pieces } = self;
        let mut done = Vec::with_capacity(pieces.len());
        let is_over = || kind == PaymentWork::Calls && Instant::now() >= ends_at;
        if is_over() {
            return Ran::Left;
        }
        if kind == PaymentWork::Calls {
            match app.engine().claim_payments(app.now(), vec![workspace.clone()]).await {
                Ok(claimed) if claimed.is_empty() => return Ran::Claimed,
                Ok(_) => {}
                Err(error) => {
                    done.extend(pieces.first().map(|work| (*work, Err(error.to_string()))));
                    return Ran::Done(done);
                }
            }
        }
        for work in pieces {
            if !done.is_empty() && is_over() {
                break;
            }
            done.push((*work, do_work(app, workspace, *work).await));
        }
        Ran::Done(done)
    }
}
