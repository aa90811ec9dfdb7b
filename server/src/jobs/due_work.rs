//! One piece of the due work of payments: what is done for each kind of it.
//!
//! A command states what is, so a piece may be done late, again, and by two servers. When a piece
//! is done, and what follows if it fails, is in `due_payments`.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Actor, Command, PaymentCommand, PaymentRefundId, Payments, Submission, TopUpFailure, TopUpId, Work,
    WorkspaceId,
};

use super::refused;
use crate::app::App;
use crate::payments::stripe::customer::Payer;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::observe::{self, Hint, NotObserved, Subject};
use crate::payments::stripe::provider::Stripe;
use crate::payments::subscriptions::catch_up;

/// What became of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is due no more.
    Whole,
    /// The provider was asked and has no news, so it stays due.
    NoNews,
}

/// Does one piece of work.
///
/// # Errors
/// Why it is not done, for people.
pub(super) async fn do_work(app: &App, workspace: &WorkspaceId, work: Work) -> Result<Done, String> {
    match work {
        Work::ExpireTopUp(top_up) => {
            // Stripe lists events for 30 days, and no server may have run meanwhile.
            if let Some(stripe) = &app.stripe {
                look_at_top_up(app, stripe, workspace, (top_up, Subject::Checkout)).await?;
            }
            run(app, workspace, PaymentCommand::ExpireTopUp(top_up)).await
        }
        Work::LookAtTopUp(top_up) => {
            look_at_top_up(app, stripe_of(app)?, workspace, (top_up, Subject::Payment)).await?;
            check_known(app, workspace, work).await
        }
        Work::GiveUpTopUp(top_up) => run(app, workspace, not_paid(top_up)).await,
        Work::CallTopUp(top_up) => match &app.stripe {
            Some(stripe) => {
                let called = async { Payer::new(app, stripe, workspace)?.charge_card(top_up).await };
                whole(called.await)
            }
            // Nothing charges a card any more. The next charge would wait for it for ever.
            None => run(app, workspace, not_paid(top_up)).await,
        },
        Work::CallRefund(refund) => {
            let stripe = stripe_of(app)?;
            whole(async { Payer::new(app, stripe, workspace)?.send_back(refund).await }.await)
        }
        Work::LookAtRefund(refund) => {
            look_at_refund(app, stripe_of(app)?, workspace, refund).await?;
            check_known(app, workspace, work).await
        }
        Work::TickSubscription => {
            match catch_up(app.engine(), workspace, app.payments.plans_renew, app.now()).await {
                Ok(None) => Ok(Done::Whole),
                Ok(Some(refusal)) => Err(refused(&refusal)),
                Err(error) => Err(error.to_string()),
            }
        }
        Work::PlaceSubscription | Work::LookAtSubscription => {
            let payer = Payer::new(app, stripe_of(app)?, workspace).map_err(|why| why.to_string())?;
            let done = match work {
                Work::PlaceSubscription => payer.place_subscription().await,
                _ => payer.look_at_subscription().await,
            };
            done.map_err(|why| why.to_string())?;
            check_known(app, workspace, work).await
        }
    }
}

/// Stripe, where the work is to be done.
fn stripe_of(app: &App) -> Result<&Stripe, String> {
    app.stripe.as_ref().ok_or_else(|| "it is at Stripe, which the settings do not name".to_owned())
}

/// What comes of calls that did all of the work.
fn whole(called: Result<(), NotObserved>) -> Result<Done, String> {
    called.map(|()| Done::Whole).map_err(|why| why.to_string())
}

/// Checks that work is due no more. What Stripe does not know yet waits like a failure, unless it
/// may have no news for weeks.
async fn check_known(app: &App, workspace: &WorkspaceId, work: Work) -> Result<Done, String> {
    let payments = app.engine().payments(workspace).await.map_err(|error| error.to_string())?;
    let is_due = |payments: &&Payments| payments.due_work(app.now()).contains(&work);
    match payments.as_deref().filter(is_due) {
        None => Ok(Done::Whole),
        Some(payments) if payments.is_looked_at_daily(work) => Ok(Done::NoNews),
        Some(_) => Err("Stripe does not say yet what became of it".to_owned()),
    }
}

/// Looks what became of the page or the payment of a top-up.
async fn look_at_top_up(
    app: &App,
    stripe: &Stripe,
    workspace: &WorkspaceId,
    (top_up, subject): (TopUpId, Subject),
) -> Result<(), String> {
    let payments = app.engine().payments(workspace).await.map_err(|error| error.to_string())?;
    let top_up = payments.as_ref().and_then(|payments| payments.top_up(top_up));
    look_at(app, stripe, subject, top_up.and_then(|top_up| top_up.at_provider.reference.as_deref())).await
}

/// Looks what became of a payment refund that Stripe took over.
async fn look_at_refund(
    app: &App,
    stripe: &Stripe,
    workspace: &WorkspaceId,
    refund: PaymentRefundId,
) -> Result<(), String> {
    let payments = app.engine().payments(workspace).await.map_err(|error| error.to_string())?;
    let refund = payments.as_ref().and_then(|payments| payments.back.refund(refund));
    look_at(app, stripe, Subject::Refund, refund.and_then(|refund| refund.placed.as_deref())).await
}

/// Looks at an object at Stripe, if there is one.
async fn look_at(app: &App, stripe: &Stripe, subject: Subject, made: Option<&str>) -> Result<(), String> {
    let Some(made) = made.and_then(ObjectId::new) else { return Ok(()) };
    let looked = observe::observe(app, stripe, subject, &made, &Hint::default()).await;
    looked.map(|_| ()).map_err(|why| why.to_string())
}

const fn not_paid(top_up: TopUpId) -> PaymentCommand {
    PaymentCommand::FailTopUp { top_up, failure: TopUpFailure::NotPaid }
}

async fn run(app: &App, workspace: &WorkspaceId, command: PaymentCommand) -> Result<Done, String> {
    let command = Command::Payment(command);
    let submission = Submission { workspace: workspace.clone(), key: None, actor: Actor::System, command };
    match app.engine().run(submission, app.now()).await {
        Ok(Ok(_)) => Ok(Done::Whole),
        Ok(Err(refusal)) => Err(refused(&refusal)),
        Err(error) => Err(error.to_string()),
    }
}
