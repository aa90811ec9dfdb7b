//! Does what a time brings to payments: it gives up a top-up that nobody paid, takes the steps of a
//! subscription, and makes the calls at the payment provider that the state waits for.
//!
//! The engine says which workspaces have work that is due; the ledger says what it is
//! ([`Payments::due_work`]). Each piece changes the payments once it is done, so work that comes
//! late, twice, or from two servers does no harm. A piece that fails stops no other
//! ([`BackOff`]), neither of its workspace nor of another.
//!
//! Deadlines of charges are not here (`time_outs`): they are many, and are done in large batches.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_engine::{Error, Reads};
use tollkeeper_ledger::{
    Actor, Command, PaymentCommand, Payments, Submission, Timestamp, TopUpFailure, TopUpId, Work, WorkspaceId,
};

use super::back_off::BackOff;
use super::polling::Polling;
use super::refused;
use crate::app::App;
use crate::payments::stripe::customer::Payer;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::observe::{self, Hint, NotObserved, Subject};
use crate::payments::subscriptions::catch_up;

/// The most workspaces whose work is done together.
const BATCH: usize = 100;

/// How many pieces of work are done at the same time. Their commands share commits.
const AT_ONCE: usize = 16;

/// How long calls at the payment provider are begun. Those that are left stay due.
const CALLS_TIME: Duration = Duration::from_secs(5);

/// A piece of work by its workspace; without one, reading the payments of the workspace.
type Item = (WorkspaceId, Option<Work>);

/// The job with what it remembers between polls.
#[derive(Debug, Default)]
pub struct DuePayments {
    failing: BackOff<Item>,
}

impl Polling for DuePayments {
    const WHAT: &'static str = "work of payments";

    /// Does the work of at most [`BATCH`] workspaces.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) {
            return Ok(false);
        }
        let now = reading.now;
        self.failing.forget(now);
        let wanted = BATCH + self.failing.len();
        let due = app.engine().due_payments(now, wanted).await?;
        let is_full = due.len() == wanted;
        let mut items = Vec::with_capacity(due.len());
        for workspace in due {
            items.extend(self.items_of(app, workspace, now).await);
        }
        // A call may take long, so all that needs none comes first.
        let (calls, own): (Vec<_>, Vec<_>) = items.into_iter().partition(|(_, work)| is_call(*work));
        let ends_at = Instant::now() + CALLS_TIME;
        let done = stream::iter(own.into_iter().chain(calls)).map(async |(workspace, work)| {
            let is_left = is_call(work) && Instant::now() >= ends_at;
            let done = if is_left { None } else { Some(do_work(app, &workspace, work).await) };
            ((workspace, Some(work)), done)
        });
        let mut done = std::pin::pin!(done.buffer_unordered(AT_ONCE));
        let mut count = 0;
        while let Some((item, done)) = done.next().await {
            if let Some(done) = done {
                count += usize::from(self.note(app, item, done, app.now()));
            }
        }
        Ok(is_full && count > 0)
    }

    fn note_failing(&self, app: &App) {
        app.metrics.set_failing_payment_work(self.failing.len());
    }
}

impl DuePayments {
    /// The work of a workspace that is due and does not wait after a failure.
    async fn items_of(
        &mut self,
        app: &App,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Vec<(WorkspaceId, Work)> {
        let unread = (workspace, None);
        if self.failing.waits(&unread, now) {
            return Vec::new();
        }
        let payments = match app.engine().payments(&unread.0).await {
            Ok(payments) => payments.unwrap_or_default(),
            Err(error) => {
                self.note(app, unread, Err(error.to_string()), now);
                return Vec::new();
            }
        };
        self.failing.note_done(&unread);
        let (workspace, _) = unread;
        let work = Payments::due_work(&payments, now).into_iter().map(|work| (workspace.clone(), work));
        work.filter(|(workspace, work)| !self.failing.waits(&(workspace.clone(), Some(*work)), now)).collect()
    }

    /// Notes what became of a piece of work; returns true if it was done.
    fn note(&mut self, app: &App, item: Item, done: Result<(), String>, now: Timestamp) -> bool {
        let Err(why) = done else {
            self.failing.note_done(&item);
            return true;
        };
        app.metrics.count_failed_payment_work();
        let (workspace, work) = item.clone();
        if self.failing.note_failure(item, now) {
            tracing::error!(%workspace, ?work, why, "due work of payments cannot be done; it is tried again");
        }
        false
    }
}

/// True if the work is done at the payment provider.
const fn is_call(work: Work) -> bool {
    match work {
        Work::CallTopUp(_)
        | Work::CallRefund(_)
        | Work::ExpireTopUp(_)
        | Work::LookAtTopUp(_)
        | Work::PlaceSubscription
        | Work::LookAtSubscription => true,
        Work::GiveUpTopUp(_) | Work::TickSubscription => false,
    }
}

/// Does one piece of work.
///
/// # Errors
/// Why it is not done, for people.
async fn do_work(app: &App, workspace: &WorkspaceId, work: Work) -> Result<(), String> {
    match work {
        Work::ExpireTopUp(top_up) => {
            // Stripe lists events for 30 days, and no server may have run meanwhile.
            look_at(app, workspace, top_up, Subject::Checkout).await?;
            run(app, workspace, PaymentCommand::ExpireTopUp(top_up)).await
        }
        Work::LookAtTopUp(top_up) if app.stripe.is_some() => {
            look_at(app, workspace, top_up, Subject::Payment).await?;
            check_known(app, workspace, work).await
        }
        Work::LookAtTopUp(_) => Err(NOT_NAMED.to_owned()),
        Work::GiveUpTopUp(top_up) => run(app, workspace, not_paid(top_up)).await,
        Work::CallTopUp(top_up) => match &app.stripe {
            Some(stripe) => {
                let called = async { Payer::new(app, stripe, workspace)?.charge_card(top_up).await };
                called.await.map_err(|why: NotObserved| why.to_string())
            }
            // Nothing charges a card any more. The next charge would wait for it for ever.
            None => run(app, workspace, not_paid(top_up)).await,
        },
        Work::CallRefund(refund) => match &app.stripe {
            Some(stripe) => {
                let called = async { Payer::new(app, stripe, workspace)?.send_back(refund).await };
                called.await.map_err(|why: NotObserved| why.to_string())
            }
            None => Err(NOT_NAMED.to_owned()),
        },
        Work::TickSubscription => {
            match catch_up(app.engine(), workspace, app.payments.plans_renew, app.now()).await {
                Ok(None) => Ok(()),
                Ok(Some(refusal)) => Err(refused(&refusal)),
                Err(error) => Err(error.to_string()),
            }
        }
        Work::PlaceSubscription | Work::LookAtSubscription => {
            let stripe = app.stripe.as_ref().ok_or("Stripe collects it, and the settings do not name it")?;
            let payer = Payer::new(app, stripe, workspace).map_err(|why| why.to_string())?;
            let done = match work {
                Work::PlaceSubscription => payer.place_subscription().await,
                _ => payer.look_at_subscription().await,
            };
            done.map_err(|why| why.to_string())?;
            check_known(app, workspace, work).await
        }
    }
}

const NOT_NAMED: &str = "its payment was made at Stripe, which the settings do not name";

/// Checks that work is due no more. What Stripe does not know yet waits like a failure.
async fn check_known(app: &App, workspace: &WorkspaceId, work: Work) -> Result<(), String> {
    let payments = app.engine().payments(workspace).await.map_err(|error| error.to_string())?;
    let is_due = payments.is_some_and(|payments| payments.due_work(app.now()).contains(&work));
    if is_due { Err("Stripe does not say yet what became of it".to_owned()) } else { Ok(()) }
}

/// Looks what became of the page or the payment of a top-up.
async fn look_at(
    app: &App,
    workspace: &WorkspaceId,
    top_up: TopUpId,
    subject: Subject,
) -> Result<(), String> {
    let Some(stripe) = &app.stripe else { return Ok(()) };
    let payments = app.engine().payments(workspace).await.map_err(|error| error.to_string())?;
    let top_up = payments.as_ref().and_then(|payments| payments.top_up(top_up));
    let Some(made) = top_up.and_then(|top_up| ObjectId::new(top_up.at_provider.reference.as_deref()?)) else {
        return Ok(());
    };
    let looked = observe::observe(app, stripe, subject, &made, &Hint::default()).await;
    looked.map(|_| ()).map_err(|why| why.to_string())
}

const fn not_paid(top_up: TopUpId) -> PaymentCommand {
    PaymentCommand::FailTopUp { top_up, failure: TopUpFailure::NotPaid }
}

async fn run(app: &App, workspace: &WorkspaceId, command: PaymentCommand) -> Result<(), String> {
    let command = Command::Payment(command);
    let submission = Submission { workspace: workspace.clone(), key: None, actor: Actor::System, command };
    match app.engine().run(submission, app.now()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(refused(&refusal)),
        Err(error) => Err(error.to_string()),
    }
}
