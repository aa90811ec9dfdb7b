//! What time makes of the subscription of a workspace: its months, its periods that begin, its end.
//!
//! The ledger decides each step ([`SubscriptionCommand::Tick`]); here the steps are repeated until
//! the subscription is up to date. The job does so when a step is due. A route that shows or
//! changes the subscription does so first, so that nobody waits for the job.

use tollkeeper_engine::{Engine, Error, Reads};
use tollkeeper_ledger::{
    Actor, Command, PaymentCommand, Refusal, Submission, SubscriptionCommand, Timestamp, WorkspaceId,
};

/// The most steps at once, five years of months. What is left is done the next time.
const STEPS_MAX: usize = 64;

/// Writes what `now` makes true of the subscription of a workspace. With `renews`, a period counts
/// as paid when it begins, also one that is past due. Returns the refusal of a step whose credit
/// does not fit; it stays due.
///
/// # Errors
/// The engine cannot read or write.
pub async fn catch_up(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    renews: bool,
    now: Timestamp,
) -> Result<Option<Refusal>, Error> {
    for _ in 0..STEPS_MAX {
        let Some(payments) = engine.payments(workspace).await? else { return Ok(None) };
        let Some(subscription) = payments.subscription.as_deref() else { return Ok(None) };
        let is_due = subscription.due_at().is_some_and(|at| at <= now);
        let is_up_to_date = !is_due && (!renews || !subscription.waits_to_renew());
        if is_up_to_date {
            return Ok(None);
        }
        let command = Command::Payment(PaymentCommand::Subscription(SubscriptionCommand::Tick { renews }));
        let (workspace, actor) = (workspace.clone(), Actor::System);
        let submission = Submission { workspace, key: None, actor, command };
        if let Err(refusal) = engine.run(submission, now).await? {
            return Ok(Some(refusal));
        }
    }
    Ok(None)
}
