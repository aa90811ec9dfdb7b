//! Opening a top-up, the page on which it is paid, and what became of it.

use std::sync::Arc;

use tollkeeper_engine::{Output, Reads};
use tollkeeper_ledger::{
    Command, IdempotencyKey, PaymentCommand, Payments, TopUp, TopUpId, TopUpStatus, TopUpWay, WorkspaceId,
};

use super::cards::unavailable;
use crate::http::call::{Call, existing, wrong_output};
use crate::http::problem::{Code, Problem};
use crate::http::refusal::top_up_not_found;
use crate::payments::stripe::customer::Payer;
use crate::payments::stripe::place::{self, NotPlaced};
use crate::payments::stripe::receipts;

/// A top-up as it is now, with the addresses that the payment provider gives for it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The top-up.
    pub top_up: TopUp,
    /// The page to pay on, while it can be paid and the provider answers.
    pub checkout_url: Option<String>,
    /// The receipt, if the provider took the money and answers.
    pub receipt_url: Option<String>,
}

/// Opens a top-up, which waits for its payment. The same key again gives the same top-up. The
/// second value says whether it was opened before.
///
/// # Errors
/// The amount is out of its bounds, the key was used for another request, or the ledger refuses.
pub async fn open(
    call: &Call,
    workspace: &WorkspaceId,
    key: IdempotencyKey,
    cents: i64,
) -> Result<(TopUp, bool), Problem> {
    // A repeated request gets its first answer, also if the settings allow its amount no more. So
    // the ledger compares the amount, after it looked for the first answer.
    let allowed = call.app.payments.top_up_bounds;
    let way = if call.app.stripe.is_some() { TopUpWay::Checkout } else { TopUpWay::Manual };
    let command = Command::Payment(PaymentCommand::OpenTopUp { cents, way, allowed });
    let answer = call.run(workspace, Some(key), command).await?;
    match answer.output {
        Output::TopUp(top_up) => Ok((*top_up, answer.replayed)),
        _ => Err(wrong_output("a top-up")),
    }
}

/// The page of the payment provider on which a top-up is paid; it is made if there is none yet. The
/// payer comes back to `return_url`. `None` if there is no page, or it can be paid no more.
///
/// # Errors
/// The provider does not answer, or the page was asked for with another `return_url`.
pub async fn checkout_page(
    call: &Call,
    workspace: &WorkspaceId,
    id: TopUpId,
    return_url: &str,
) -> Result<Option<String>, Problem> {
    let Some(stripe) = &call.app.stripe else { return Ok(None) };
    let payer = Payer::new(&call.app, stripe, workspace).map_err(unavailable)?;
    payer.page(id, return_url).await.map_err(|why| match why {
        NotPlaced::Later(why) => unavailable(why),
        NotPlaced::OtherReturnUrl => {
            let detail = "The key was used for the same top-up with another `return_url`.";
            Problem::new(Code::IdempotencyKeyReused, detail).with("field", "return_url")
        }
    })
}

/// A top-up as it is now. If it waits on a page of Stripe's, or was paid at Stripe, Stripe is asked
/// about it first, at most every few seconds.
///
/// # Errors
/// The workspace has no such top-up, or the engine cannot read.
pub async fn look(call: &Call, workspace: &WorkspaceId, id: TopUpId) -> Result<Known, Problem> {
    let known = find(call, workspace, id).await?;
    let none = Known { top_up: known, checkout_url: None, receipt_url: None };
    let Some(stripe) = &call.app.stripe else { return Ok(none) };
    if none.top_up.status != TopUpStatus::Pending || none.top_up.way != TopUpWay::Checkout {
        let receipt_url = receipts::ask(&call.app, stripe, &none.top_up).await;
        return Ok(Known { receipt_url, ..none });
    }
    let checkout_url = place::ask(&call.app, stripe, &none.top_up).await;
    Ok(Known { top_up: find(call, workspace, id).await?, checkout_url, receipt_url: None })
}

/// A top-up as it is known here.
///
/// # Errors
/// The workspace has no such top-up, or the engine cannot read.
pub async fn find(call: &Call, workspace: &WorkspaceId, id: TopUpId) -> Result<TopUp, Problem> {
    payments(call, workspace).await?.top_up(id).cloned().ok_or_else(top_up_not_found)
}

/// The payments of a workspace.
///
/// # Errors
/// There is no such workspace, or the engine cannot read.
pub async fn payments(call: &Call, workspace: &WorkspaceId) -> Result<Arc<Payments>, Problem> {
    existing(workspace, call.app.engine().payments(workspace).await?)
}
