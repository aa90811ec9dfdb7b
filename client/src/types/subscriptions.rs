//! Subscriptions: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// A plan that runs, waits for its first payment, or has ended.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Subscription {
    /// When it ends; null unless it was canceled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancels_at: Option<String>,
    /// The change to a dearer plan that waits for its payment; null if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<SubscriptionChange>,
    /// The page on which the first period is paid; absent unless it waits for that at Stripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout_url: Option<String>,
    /// What waits to be paid now in dollars, without a change: the first period, or the oldest that
    /// is past due.
    pub due_usd: String,
    /// When it ended; null before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The id of the subscription.
    pub id: String,
    /// The id of the plan that begins with the next period; null if it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_plan: Option<String>,
    /// How it is paid.
    pub payment: SubscriptionPayment,
    /// The period that it is in; of one that is past due, the oldest that was not paid. Null if
    /// none has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<SubscriptionPeriod>,
    /// The id of its plan.
    pub plan: String,
    /// When it was started.
    pub started_at: String,
    /// `pending` until the first payment, then `active`; `past_due` when a period has begun that
    /// was not paid; `canceled` when it ends with its period; then `ended`.
    pub status: String,
    /// The id of the workspace.
    pub workspace: String,
}

/// A change to a dearer plan that waits for its payment.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SubscriptionChange {
    /// The credit that it brings for the rest of the month, in micro-units.
    pub credits: i64,
    /// `credits` in dollars, as an exact decimal text.
    pub credits_usd: String,
    /// What it costs for the rest of the period, in dollars.
    pub due_usd: String,
    /// The id of the plan.
    pub plan: String,
    /// When it is dropped if it is not paid.
    pub until: String,
}

/// What was paid.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SubscriptionConfirmRequest {
    /// True if the change that waits was paid; false if a period was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<bool>,
}

/// How a subscription is paid.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SubscriptionPayment {
    /// What the payer has to do; absent if nothing waits for a payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// `manual`: the platform confirms each payment; `stripe`: Stripe collects them.
    pub provider: String,
}

/// A period of a subscription.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SubscriptionPeriod {
    /// The first instant after it.
    pub end: String,
    /// Its first instant.
    pub start: String,
}

/// What a plan would cost and bring.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SubscriptionPreview {
    /// The credit that it brings once that is paid, in micro-units.
    pub credits_now: i64,
    /// `credits_now` in dollars, as an exact decimal text.
    pub credits_now_usd: String,
    /// The credit of each month from then on, in micro-units.
    pub credits_per_month: i64,
    /// `credits_per_month` in dollars, as an exact decimal text.
    pub credits_per_month_usd: String,
    /// What is to be paid now, in dollars.
    pub due_now_usd: String,
    /// When the plan begins.
    pub from: String,
}

/// A plan to start or to change to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SubscriptionRequest {
    /// The id of the plan.
    pub plan: String,
}

impl SubscriptionRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(plan: impl Into<String>) -> SubscriptionRequest {
        SubscriptionRequest { plan: plan.into() }
    }
}
