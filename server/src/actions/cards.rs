//! The saved card of a workspace, and the pages of the payment provider for it.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{CardCommand, Command, PaymentCommand, WorkspaceId};

use crate::http::call::{Call, existing};
use crate::http::problem::{Code, Problem};
use crate::payments::stripe::customer::Payer;
use crate::payments::stripe::observe::NotObserved;

/// Removes the saved card, and stops automatic top-ups. If no card is saved, nothing changes.
///
/// # Errors
/// There is no such workspace, or the payment provider does not answer.
pub async fn remove(call: &Call, workspace: &WorkspaceId) -> Result<(), Problem> {
    let payments = existing(workspace, call.app.engine().payments(workspace).await?)?;
    // First at Stripe: a late event about a card that is still there would save it again.
    if let (Some(stripe), Some(card)) = (&call.app.stripe, &payments.card) {
        let payer = Payer::new(&call.app, stripe, workspace).map_err(unavailable)?;
        payer.remove_card(&card.id).await.map_err(unavailable)?;
    }
    // The card that was read: another one may have been saved meanwhile. No card has an empty id.
    let id = payments.card.as_ref().map_or("", |card| &card.id).into();
    let command = Command::Payment(PaymentCommand::Card(CardCommand::RemoveCard { id: Some(id) }));
    call.run(workspace, None, command).await?;
    Ok(())
}

/// The address of a page on which a payer saves a card, and comes back to `return_url`.
///
/// # Errors
/// There is no such workspace, the provider has no pages, or it does not answer.
pub async fn card_page(call: &Call, workspace: &WorkspaceId, return_url: &str) -> Result<String, Problem> {
    let payer = payer(call, workspace).await?;
    let url = payer.card_page(return_url).await.map_err(unavailable)?;
    url.ok_or_else(|| unavailable(NotObserved::Missing))
}

/// The address of a page for cards, addresses and invoices.
///
/// # Errors
/// As for [`card_page`].
pub async fn billing_portal(
    call: &Call,
    workspace: &WorkspaceId,
    return_url: &str,
) -> Result<String, Problem> {
    let payer = payer(call, workspace).await?;
    payer.billing_portal(return_url).await.map_err(unavailable)
}

/// The workspace as a payer at a provider that has pages.
async fn payer<'a>(call: &'a Call, workspace: &'a WorkspaceId) -> Result<Payer<'a>, Problem> {
    existing(workspace, call.app.engine().payments(workspace).await?)?;
    let no_such_page = || Problem::new(Code::NotFound, "The payment provider `manual` has no pages.");
    let stripe = call.app.stripe.as_ref().ok_or_else(no_such_page)?;
    Payer::new(&call.app, stripe, workspace).map_err(unavailable)
}

/// Where a payer comes back if the request names no address: where credit is added, else the
/// dashboard.
pub fn billing_url(call: &Call, workspace: &WorkspaceId) -> String {
    call.app.add_credits_url(workspace).unwrap_or_else(|| format!("{}/portal", call.origin()))
}

/// The payment provider gave no answer that can be used.
pub fn unavailable(why: NotObserved) -> Problem {
    if let NotObserved::Store(error) = why {
        return error.into();
    }
    tracing::warn!(%why, "a call to the payment provider brought nothing");
    let detail =
        "The payment provider gave no answer that can be used. Send the same request again in a moment.";
    Problem::new(Code::PaymentProviderUnavailable, detail)
}
