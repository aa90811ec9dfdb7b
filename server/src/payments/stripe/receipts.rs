//! The address of the receipt of a payment. It is fetched when it is asked for, and never stored:
//! Stripe lets addresses end.

use std::time::Duration;

use tollkeeper_ledger::TopUp;

use super::objects::{ObjectId, Reference};
use super::observe::NotObserved;
use super::provider::Stripe;
use crate::app::App;

/// How long is waited for it. A top-up is shown without it rather than late.
const WAIT: Duration = Duration::from_secs(5);

/// The address of the receipt of a top-up that was paid at Stripe, which is asked at most every few
/// seconds. `None` if there is none, or Stripe does not answer.
pub async fn ask(app: &App, stripe: &Stripe, top_up: &TopUp) -> Option<String> {
    let payment = ObjectId::new(TopUp::of_provider_payment(top_up.payment.as_deref()?)?)?;
    let fetched = async {
        let intent = stripe.client()?.payment(&payment).await?;
        let charge = intent.latest_charge.as_ref().and_then(Reference::whole);
        Ok::<_, NotObserved>(charge.and_then(|charge| charge.receipt_url.clone()))
    };
    let call = async {
        match tokio::time::timeout(WAIT, fetched).await {
            Ok(Ok(url)) => url,
            Ok(Err(why)) => {
                tracing::warn!(top_up = %top_up.id, %why, "a top-up is shown without its receipt");
                None
            }
            Err(_) => None,
        }
    };
    stripe.receipts().once(top_up.id, app.now(), Box::pin(call)).await
}
