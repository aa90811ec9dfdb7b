//! Starting, changing and ending the subscription of a workspace.
//!
//! With the provider `manual` the platform confirms what was paid. With Stripe the first period is
//! paid on a page of Stripe's, which collects the others. What is to be is written first, then
//! placed at Stripe; a job does that too.

use std::sync::Arc;
use std::time::Duration;

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Command, IdempotencyKey, Micros, PaymentCommand, Payments, PlanId, Preview, Provider, Subscription,
    SubscriptionCommand, SubscriptionId, SubscriptionStatus, WorkspaceId,
};

use super::cards::unavailable;
use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::payments::stripe::customer::Payer;
use crate::payments::stripe::observe::NotObserved;
use crate::payments::stripe::provider::Stripe;
use crate::payments::subscriptions::catch_up;

/// How long a request waits for all its calls at Stripe together.
const CALLS_TIME: Duration = Duration::from_secs(15);

/// The payments of a workspace, after the time was applied to its subscription. With them comes the
/// page on which the first period is paid at Stripe, which is asked at most every few seconds.
///
/// # Errors
/// There is no such workspace, or the engine cannot read or write.
pub async fn look(
    call: &Call,
    workspace: &WorkspaceId,
    return_url: &str,
) -> Result<(Arc<Payments>, Option<String>), Problem> {
    bring_up_to_date(call, workspace).await?;
    let url = recent_page(call, workspace, return_url).await?;
    Ok((payments(call, workspace).await?, url))
}

/// Starts a plan, changes to it, or takes back what is planned. Returns the page on which the first
/// period is paid, from which the payer comes back to `return_url`.
///
/// # Errors
/// The plan cannot be started now, or the payment provider does not answer.
pub async fn start_or_change(
    call: &Call,
    workspace: &WorkspaceId,
    plan: PlanId,
    return_url: &str,
) -> Result<Option<String>, Problem> {
    bring_up_to_date(call, workspace).await?;
    let payments = payments(call, workspace).await?;
    let platform = call.app.engine().platform();
    let terms = platform.plans.newest().find(&plan);
    let waits = payments.subscription.as_deref().filter(|last| last.anchor.is_none());
    if waits.is_some_and(|last| terms.is_some_and(|terms| *terms != last.plan)) {
        close_page(call, workspace).await?;
    }
    settle_change(call, workspace).await.map_err(unavailable)?;
    tell_provider(call, workspace).await;
    let collected_by = call.app.stripe.as_ref().map(|_| Provider::Stripe);
    run(call, workspace, SubscriptionCommand::StartOrChange { plan, collected_by }).await?;
    // A free plan grants its first month at once.
    bring_up_to_date(call, workspace).await?;
    tell_provider(call, workspace).await;
    let url = page(call, workspace, return_url).await.map_err(unavailable)?;
    if let Some((stripe, id)) = waiting(call, workspace).await? {
        stripe.plan_pages().forget(id);
    }
    Ok(url)
}

/// Ends the subscription with the period that is paid; at once if none is.
///
/// # Errors
/// There is no subscription, or the page of one that waits cannot be closed now.
pub async fn cancel(call: &Call, workspace: &WorkspaceId) -> Result<(), Problem> {
    close_page(call, workspace).await?;
    // A plan can be canceled also if Stripe does not answer.
    if let Err(why) = settle_change(call, workspace).await {
        tracing::warn!(%workspace, %why, "a plan is canceled while a change of it waits");
    }
    run(call, workspace, SubscriptionCommand::Cancel).await?;
    tell_provider(call, workspace).await;
    Ok(())
}

/// What a plan would cost and bring if it were asked for now. Moves nothing.
///
/// # Errors
/// The plan cannot be started, or is paid by another interval.
pub async fn preview(call: &Call, workspace: &WorkspaceId, plan: &PlanId) -> Result<Preview, Problem> {
    bring_up_to_date(call, workspace).await?;
    let payments = payments(call, workspace).await?;
    preview_of(call, workspace, &payments, plan)
}

/// The same for payments to which the time was applied.
///
/// # Errors
/// As for [`preview`].
pub fn preview_of(
    call: &Call,
    workspace: &WorkspaceId,
    payments: &Payments,
    plan: &PlanId,
) -> Result<Preview, Problem> {
    let platform = call.app.engine().platform();
    let preview = tollkeeper_ledger::preview(payments, &platform.plans, plan, call.now);
    preview.map_err(|refused| call.refused(workspace, refused))
}

/// What waits to be paid now, without a change: the first period, or the oldest that is past due.
pub fn due(subscription: &Subscription) -> Micros {
    match subscription.status() {
        SubscriptionStatus::Pending | SubscriptionStatus::PastDue => {
            subscription.next_plan.as_ref().unwrap_or(&subscription.plan).price()
        }
        SubscriptionStatus::Active | SubscriptionStatus::Canceled | SubscriptionStatus::Ended => Micros::ZERO,
    }
}

async fn payments(call: &Call, workspace: &WorkspaceId) -> Result<Arc<Payments>, Problem> {
    existing(workspace, call.app.engine().payments(workspace).await?)
}

/// Says that what is due was paid: the oldest period that was not, or the change that waits. The
/// same key again pays for nothing more. Returns whether it was repeated.
///
/// # Errors
/// There is no subscription, or nothing is due.
pub async fn confirm(
    call: &Call,
    workspace: &WorkspaceId,
    key: &IdempotencyKey,
    change: bool,
) -> Result<bool, Problem> {
    // The payment has the name of the request, so that a repeated request pays for one period.
    let payment = format!("manual:{}", key.as_str()).into();
    run(call, workspace, SubscriptionCommand::Confirm { change, payment }).await
}

/// Runs a command on a subscription that is up to date. Returns whether it was repeated.
///
/// # Errors
/// Those of the command.
pub async fn run(
    call: &Call,
    workspace: &WorkspaceId,
    command: SubscriptionCommand,
) -> Result<bool, Problem> {
    bring_up_to_date(call, workspace).await?;
    let command = Command::Payment(PaymentCommand::Subscription(command));
    Ok(call.run(workspace, None, command).await?.replayed)
}

/// Writes what the time makes true of the subscription, unless the timers are held.
async fn bring_up_to_date(call: &Call, workspace: &WorkspaceId) -> Result<(), Problem> {
    if !call.app.clock_watch.holds_timers() {
        // A step that is refused stays due, and the job reports it.
        drop(catch_up(call.app.engine(), workspace, call.app.payments.plans_renew, call.now).await?);
    }
    Ok(())
}

/// The subscription that waits for its first payment at Stripe.
async fn waiting<'a>(
    call: &'a Call,
    workspace: &WorkspaceId,
) -> Result<Option<(&'a Stripe, SubscriptionId)>, Problem> {
    let payments = call.app.engine().payments(workspace).await?;
    let last = payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    let waits =
        |last: &&Subscription| last.status() == SubscriptionStatus::Pending && last.collected.is_some();
    Ok(call.app.stripe.as_ref().zip(last.filter(waits).map(|last| last.id)))
}

/// The page on which the first period is paid at Stripe, which is asked at most every few seconds.
/// Without an answer of Stripe what is known here is shown.
async fn recent_page(
    call: &Call,
    workspace: &WorkspaceId,
    return_url: &str,
) -> Result<Option<String>, Problem> {
    let Some((stripe, id)) = waiting(call, workspace).await? else { return Ok(None) };
    let asked = async {
        page(call, workspace, return_url).await.unwrap_or_else(|why| {
            tracing::warn!(%workspace, %why, "a subscription is shown without its page");
            None
        })
    };
    Ok(stripe.plan_pages().once(id, call.now, Box::pin(asked)).await)
}

/// The page on which the first period is paid at Stripe.
async fn page(call: &Call, workspace: &WorkspaceId, return_url: &str) -> Result<Option<String>, NotObserved> {
    let Some(stripe) = &call.app.stripe else { return Ok(None) };
    let payer = Payer::new(&call.app, stripe, workspace)?;
    in_time(payer.subscription_page(return_url)).await
}

/// Closes the page of a subscription that waits, so that it cannot be paid any more.
///
/// # Errors
/// Stripe does not say whether the page can be paid.
async fn close_page(call: &Call, workspace: &WorkspaceId) -> Result<(), Problem> {
    let Some(stripe) = &call.app.stripe else { return Ok(()) };
    let payer = Payer::new(&call.app, stripe, workspace).map_err(unavailable)?;
    in_time(payer.close_subscription_page()).await.map_err(unavailable)
}

/// Asks Stripe for the change that waits, and what became of it, before another one takes its
/// place: one that was paid unheard would bring nothing.
///
/// # Errors
/// Stripe does not say.
async fn settle_change(call: &Call, workspace: &WorkspaceId) -> Result<(), NotObserved> {
    let payments = call.app.engine().payments(workspace).await?;
    let last = payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    let waits = last.is_some_and(|last| last.upgrade.is_some() && last.collected.is_some());
    let Some(stripe) = call.app.stripe.as_ref().filter(|_| waits) else { return Ok(()) };
    let payer = Payer::new(&call.app, stripe, workspace)?;
    in_time(async {
        payer.place_subscription().await?;
        payer.look_at_subscription().await
    })
    .await
}

/// What comes of calls at Stripe. They may be ended at any point, and are made again.
///
/// # Errors
/// Those of the calls, and `Unanswered` if they take too long for a request.
async fn in_time<T>(calls: impl Future<Output = Result<T, NotObserved>>) -> Result<T, NotObserved> {
    tokio::time::timeout(CALLS_TIME, calls).await.unwrap_or(Err(NotObserved::Unanswered))
}

/// Tells the provider at once what it is to know. If it does not answer, the job does so later.
async fn tell_provider(call: &Call, workspace: &WorkspaceId) {
    let Some(stripe) = &call.app.stripe else { return };
    let placed = async { Payer::new(&call.app, stripe, workspace)?.place_subscription().await };
    if let Err(why) = in_time(placed).await {
        tracing::warn!(%workspace, %why, "a subscription is placed at Stripe later");
    }
}
