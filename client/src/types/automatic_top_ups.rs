//! Automatic top-ups: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// When credit is bought, how much, and whether it is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct AutoTopUp {
    /// What is bought at once, in dollars, as an exact decimal text, without tax.
    pub amount_usd: String,
    /// What was bought this month, or waits for its payment, in dollars.
    pub bought_this_month_usd: String,
    /// The most that is bought in a month of the workspace's time zone, in dollars.
    pub monthly_cap_usd: String,
    /// When the pause ends; null unless it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
    /// `active`, `paused` after a declined payment, or `stopped`.
    pub state: String,
    /// Why it was stopped: `requested`, `payment_method_removed`, `declined`,
    /// `authentication_needed`, `disputed` or `fraud_warning`; null unless it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// Credit is bought when less than this is available, in micro-units.
    pub threshold: i64,
    /// `threshold` in dollars, as an exact decimal text.
    pub threshold_usd: String,
}

/// When to buy credit, and how much.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AutoTopUpRequest {
    /// What is bought at once, in whole cents, as a decimal text in dollars, without tax. It buys
    /// at least the threshold.
    pub amount_usd: String,
    /// The most that is bought in a month of the workspace's time zone, in whole cents, as a
    /// decimal text in dollars.
    pub monthly_cap_usd: String,
    /// Credit is bought when less than this is available, in micro-units, more than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
    /// The threshold in dollars, as a decimal text; give one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_usd: Option<String>,
}

impl AutoTopUpRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(amount_usd: impl Into<String>, monthly_cap_usd: impl Into<String>) -> AutoTopUpRequest {
        AutoTopUpRequest {
            amount_usd: amount_usd.into(),
            monthly_cap_usd: monthly_cap_usd.into(),
            ..AutoTopUpRequest::default()
        }
    }
}

/// A saved card.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PaymentMethod {
    /// The brand, as the payment provider spells it.
    pub brand: String,
    /// The month in which it expires.
    pub expires: String,
    /// The last four digits of the number.
    pub last4: String,
}

/// A page of the payment provider.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct PaymentPage {
    /// The address of the page, for one visit.
    pub url: String,
}

/// A page to be made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PaymentPageRequest {
    /// Where the payer comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}
