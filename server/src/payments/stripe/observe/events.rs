//! Events of Stripe's list: whether the ledger knows already what one says.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{Provider, TopUp, TopUpStatus, WorkspaceId};

use super::{NotObserved, Subject, top_up_of};
use crate::app::App;
use crate::payments::stripe::calls::{LEDGER, WORKSPACE};
use crate::payments::stripe::objects::{Event, ObjectId};
use crate::payments::stripe::provider::ledger_name;

/// True if nothing must be fetched: the object of the event is another ledger's, or the ledger has
/// the end of the top-up that it is about. Only pages and payments carry our own words from their
/// beginning, so other objects are fetched.
///
/// # Errors
/// The payments of the workspace cannot be read, or are not there.
pub async fn is_known(
    app: &App,
    subject: Subject,
    id: &ObjectId,
    event: &Event,
) -> Result<bool, NotObserved> {
    if !matches!(subject, Subject::Checkout | Subject::Payment) {
        return Ok(false);
    }
    let metadata = &event.data.object.metadata;
    if metadata.get(LEDGER) != Some(&ledger_name(&app.engine().platform())) {
        return Ok(true);
    }
    let workspace = metadata.get(WORKSPACE).and_then(|text| WorkspaceId::new(text).ok());
    let workspace = workspace.ok_or(NotObserved::Missing)?;
    let Some(top_up) = top_up_of(metadata)? else { return Ok(false) };
    let payments = app.engine().payments(&workspace).await?.ok_or(NotObserved::Missing)?;
    let top_up = payments.top_up(top_up).ok_or(NotObserved::Missing)?;
    let brings_money = event.kind.ends_with("succeeded") || event.kind.ends_with("completed");
    Ok(match top_up.status {
        TopUpStatus::Pending => false,
        TopUpStatus::Failed | TopUpStatus::Expired => !brings_money,
        TopUpStatus::Succeeded => !brings_money || is_paid_by(top_up, subject, id),
    })
}

/// True if the top-up was paid by this object. Money of another one is a second payment.
fn is_paid_by(top_up: &TopUp, subject: Subject, id: &ObjectId) -> bool {
    match subject {
        Subject::Payment => {
            let payment = TopUp::provider_payment(Provider::Stripe, id.as_str());
            top_up.payment.as_deref() == Some(payment.as_str())
        }
        _ => top_up.at_provider.reference.as_deref() == Some(id.as_str()),
    }
}
