//! Report: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The report of a month.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What is unspent at the end of paid grants, by age. Credit never expires; from this, finance
    /// can estimate what will never be used.
    pub ageing: Vec<ReportAgeing>,
    /// The credit, by the same.
    pub credit: Vec<ReportCredit>,
    /// What workspaces owe because a payment was lost whose credit was spent.
    pub debt: ReportDebt,
    /// Its first instant.
    pub from: String,
    /// True if the month is over: the numbers do not change any more.
    pub is_final: bool,
    /// The month in UTC.
    pub month: String,
    /// The money, by the source of the grants and by who took it.
    pub revenue: Vec<ReportRevenue>,
    /// The sum of `revenue`.
    pub revenue_total: ReportRevenue,
    /// The first instant of the next month.
    pub to: String,
    /// What moved between the accounts of all workspaces. Each column sums to zero, `inward` to
    /// `outward`.
    pub trial_balance: Vec<ReportAccount>,
    /// Money of the month that came in and fits nothing, by currency. It is in no other number.
    pub unmatched: Vec<ReportUnmatched>,
    /// The number of workspaces at the end.
    pub workspaces: i64,
}

/// An account of the trial balance, in micro-units.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ReportAccount {
    /// `funding`, `available`, `pending`, `consumed` or `clawed_back`.
    pub account: String,
    /// Opening + inward − outward.
    pub closing: i64,
    /// What came in.
    pub inward: i64,
    /// What was in it at the beginning; for `funding`, below zero, what it gave.
    pub opening: i64,
    /// What left.
    pub outward: i64,
}

/// Paid grants with unspent credit of one age.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ReportAgeing {
    /// The month in which they were granted.
    pub bought: String,
    /// What was paid for them and is neither recognised nor lost.
    pub deferred_usd: String,
    /// The number of grants.
    pub grants: i64,
    /// The month in which their workspaces were charged last; null if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// Their unspent credit in micro-units.
    pub remaining: i64,
}

/// The credit of grants of one source, in micro-units.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ReportCredit {
    /// Opening + granted − consumed − taken.
    pub closing: i64,
    /// The part of it that pending charges hold.
    pub closing_pending: i64,
    /// What settled charges took, less refunds.
    pub consumed: i64,
    /// The part of it for which nothing was paid.
    pub consumed_free: i64,
    /// What was granted.
    pub granted: i64,
    /// What was unspent or held by pending charges at the beginning.
    pub opening: i64,
    /// As in `revenue`.
    pub provider: String,
    /// As in `revenue`.
    pub source: String,
    /// What was taken back for lost payments, debt and voided grants, less what was given back.
    pub taken: i64,
}

/// Debt, in micro-units.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ReportDebt {
    /// What was owed in addition.
    pub arisen: i64,
    /// Opening + arisen − repaid − forgiven.
    pub closing: i64,
    /// What was forgiven because the money came back.
    pub forgiven: i64,
    /// What was owed at the beginning.
    pub opening: i64,
    /// What later credit repaid.
    pub repaid: i64,
}

/// The money of grants of one source, or of all.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ReportRevenue {
    /// Opening + sold − lost − recognised. Below zero where payments were lost whose credit was
    /// consumed.
    pub closing_deferred_usd: String,
    /// The part of the closing that was paid for months to come.
    pub closing_not_granted_usd: String,
    /// What payers disputed, less what was won.
    pub disputed_usd: String,
    /// Refunded + disputed.
    pub lost_usd: String,
    /// What was paid and neither recognised nor lost, at the beginning.
    pub opening_deferred_usd: String,
    /// The part of the opening that was paid for months to come.
    pub opening_not_granted_usd: String,
    /// Who took the money: `manual`, `stripe`, or `platform` if the platform made the grant itself;
    /// null in the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What was earned, less refunds of charges.
    pub recognised_usd: String,
    /// What was refunded to payers, by payment refunds or at the provider, less what came back.
    pub refunded_usd: String,
    /// What was paid, without tax, also for months to come.
    pub sold_usd: String,
    /// `promotional`, `adjustment`, `subscription` or `top_up`; null in the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The tax that was paid besides. It is in no other number.
    pub tax_usd: String,
}

/// Money of one currency that came in and fits nothing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ReportUnmatched {
    /// What came in, in the currency with two decimals.
    pub amount: String,
    /// The code of the currency.
    pub currency: String,
    /// The number of payments.
    pub payments: i64,
}

/// The query of `GET /v1/report`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReportQuery {
    /// The month in UTC; the current one if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
}
