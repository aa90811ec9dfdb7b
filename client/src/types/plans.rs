//! Plans: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The terms of a plan.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The credit of a month in micro-units, also of a plan that is paid by the year.
    pub credits: i64,
    /// `credits` in dollars, as an exact decimal text.
    pub credits_usd: String,
    /// The id by which subscriptions name the plan.
    pub id: String,
    /// How often the price is paid: `month` or `year`.
    pub interval: String,
    /// The name, for people.
    pub name: String,
    /// What an interval costs in dollars, as an exact decimal text.
    pub price_usd: String,
    /// True for a sample that stands in because the platform has not set plans yet.
    pub sample: bool,
}

/// A plan and its new terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlanRequest {
    /// The credit of a month in micro-units, also of a plan that is paid by the year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<i64>,
    /// The credit of a month in dollars, as a decimal text; give one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits_usd: Option<String>,
    /// The id by which subscriptions name the plan.
    pub id: String,
    /// How often the price is paid: `month` or `year`.
    pub interval: String,
    /// The name, for people.
    pub name: String,
    /// What an interval costs in dollars, in whole cents: `0.00` for a free plan, or `0.50` to
    /// `999999.99`.
    pub price_usd: String,
}

impl PlanRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        price_usd: impl Into<String>,
        interval: impl Into<String>,
    ) -> PlanRequest {
        PlanRequest {
            id: id.into(),
            name: name.into(),
            price_usd: price_usd.into(),
            interval: interval.into(),
            ..PlanRequest::default()
        }
    }
}

/// A version of the plans.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Plans {
    /// Every plan that can be started, sorted by id.
    pub plans: Vec<Plan>,
    /// The number of the version, which counts from 1; 0 for the samples.
    pub version: u32,
}

/// A new version of the plans. It replaces all of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlansRequest {
    /// Every plan that can be started.
    pub plans: Vec<PlanRequest>,
}

impl PlansRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(plans: Vec<PlanRequest>) -> PlansRequest {
        PlansRequest { plans }
    }
}
