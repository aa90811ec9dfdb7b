//! Payment refunds: money that goes back to the payer of a top-up. The credit is taken first, then
//! the money is sent: by the platform itself, or by the provider that took it.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::{Micros, PaymentRefund, PaymentRefundId};
use utoipa::ToSchema;

use crate::access::Rule::Platform;
use crate::actions::payment_refunds;
use crate::http::call::{Call, json, mark_replayed};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::ReadError;
use crate::wire::read::{Dollars, ShortText, maybe_word, word};
use crate::wire::write::{Text, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/v1/workspaces/{workspace}/top-ups/{top_up}/refund",
    Platform,
    "Refund a top-up",
    |call| Box::pin(refund(call)),
)
.description(
    "Sends money back to the payer of a top-up: the given amount, or all whose credit is unspent. The credit is taken \
     first. The money of a top-up that the platform confirmed is sent by the platform itself, so the refund has \
     succeeded at once. Stripe sends the money of a top-up that was paid there, with its part of the tax. Until it \
     did, the refund is pending; if it fails, also later, the credit comes back. A repeated request shows the refund \
     as it is now.",
)
.idempotency_key()
.request(of::<PaymentRefundIn>, r#"{"amount_usd": "10.00", "reason": "The customer asked for it."}"#)
.response(
    201,
    of::<PaymentRefundJson>,
    r#"{"id": "pr_01991234-5678-7abc-bfff-0123456789ab", "status": "succeeded", "amount_usd": "10.00",
        "credits": 1000000}"#,
)
.problems(&[Code::NothingToRefund])];

/// The money to be sent back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentRefundRequest)]
pub struct PaymentRefundIn {
    /// What to send back, in whole cents, as a decimal text in dollars; all whose credit is unspent
    /// if absent.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, pattern = r"^[0-9]+(\.[0-9]{1,2}0{0,3})?$", example = "10.00")]
    amount_usd: Option<Dollars>,
    /// Why, for people.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    reason: ShortText,
}

/// Money that goes back to the payer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentRefund)]
pub struct PaymentRefundJson {
    /// The id of the payment refund.
    #[schema(value_type = String, example = "pr_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<PaymentRefundId>,
    /// `pending` until the money was sent, then `succeeded` or `failed`.
    status: &'static str,
    /// What goes back, in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "10.00")]
    amount_usd: Usd,
    /// The credit that was taken for it, in micro-units.
    credits: i64,
}

impl PaymentRefundJson {
    fn of(refund: &PaymentRefund) -> PaymentRefundJson {
        let credits = Micros::from_cents(refund.cents);
        PaymentRefundJson {
            id: Text(refund.id),
            status: refund.status.as_str(),
            amount_usd: Usd(credits),
            credits: credits.get(),
        }
    }
}

/// `POST /v1/workspaces/{workspace}/top-ups/{top_up}/refund`.
async fn refund(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let top_up = call.top_up(&workspace).await?;
    let key = call.idempotency_key()?;
    let PaymentRefundIn { amount_usd, reason: ShortText(reason) } = call.json().await?;
    let cents = amount_usd.map(|Dollars(amount)| {
        amount.whole_cents().ok_or_else(|| ReadError::field("amount_usd", "must be a number of whole cents"))
    });
    let cents = cents.transpose()?;
    let (refund, is_replayed) =
        payment_refunds::request(&call, &workspace, key, top_up, (cents, reason)).await?;
    let mut response = json(StatusCode::CREATED, 128, &PaymentRefundJson::of(&refund));
    mark_replayed(&mut response, is_replayed);
    Ok(response)
}
