//! Top-ups: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// Money that goes back to the payer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PaymentRefund {
    /// What goes back, in dollars, as an exact decimal text.
    pub amount_usd: String,
    /// The credit that was taken for it, in micro-units.
    pub credits: i64,
    /// The id of the payment refund.
    pub id: String,
    /// `pending` until the money was sent, then `succeeded` or `failed`.
    pub status: String,
}

/// The money to be sent back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PaymentRefundRequest {
    /// What to send back, in whole cents, as a decimal text in dollars; all whose credit is unspent
    /// if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// Why, for people.
    pub reason: String,
}

impl PaymentRefundRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> PaymentRefundRequest {
        PaymentRefundRequest { reason: reason.into(), ..PaymentRefundRequest::default() }
    }
}

/// Credit that is bought once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct TopUp {
    /// What is paid, in dollars, as an exact decimal text, without tax.
    pub amount_usd: String,
    /// When the top-up was opened.
    pub created_at: String,
    /// The credit that it buys, in micro-units.
    pub credits: i64,
    /// `credits` in dollars, as an exact decimal text.
    pub credits_usd: String,
    /// Why it failed: `declined`, `declined_for_good`, `authentication_needed`, `not_paid` or
    /// `refused_by_provider`; null unless it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The id of the grant that the payment brought; null before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The id of the top-up.
    pub id: String,
    /// When the payment was confirmed; null before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<String>,
    /// How it is paid.
    pub payment: TopUpPayment,
    /// The receipt of the payment provider, if it took the money and answers. Only one top-up shows
    /// it, not a list. The provider may end the address after some weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_url: Option<String>,
    /// `pending` until the payment was confirmed, then `succeeded`; `failed` if it was not paid,
    /// `expired` if nobody paid it in time, or before its page was over.
    pub status: String,
    /// The id of the workspace.
    pub workspace: String,
}

/// How a top-up is paid.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct TopUpPayment {
    /// The page to pay on, while it can be paid and the provider answers. Only one top-up shows it,
    /// not a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout_url: Option<String>,
    /// What the payer has to do; absent once it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// `manual`: the platform confirms the payment. Otherwise the payment provider.
    pub provider: String,
    /// `manual`, `checkout` for a page of the provider, or `automatic` if it was opened because the
    /// balance was low.
    pub way: String,
}

/// The credit to be bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TopUpRequest {
    /// What is to be paid, in whole cents, as a decimal text in dollars, without tax.
    pub amount_usd: String,
    /// Where a payer comes back from a page of the payment provider. The provider `manual` has no
    /// page. A repeated request must name the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}

impl TopUpRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(amount_usd: impl Into<String>) -> TopUpRequest {
        TopUpRequest { amount_usd: amount_usd.into(), ..TopUpRequest::default() }
    }
}

/// A payment that fits nothing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UnmatchedPayment {
    /// What came in, in hundredths of the currency.
    pub cents: i64,
    /// When it was noted.
    pub created_at: String,
    /// The currency, in three lower-case letters.
    pub currency: String,
    /// The name of the payment at the provider.
    pub payment: String,
    /// Why it fits nothing, for people.
    pub reason: String,
    /// The id of the workspace that may have paid; null if the provider names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}
