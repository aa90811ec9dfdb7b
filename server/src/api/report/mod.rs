//! The report of a month for finance: what was sold, what of it is earned, and what is owed.
//!
//! The engine computes two positions, all totals at the beginning and at the end of the month. Here
//! their differences become lines. Money is in dollars, credit in micro-units.

mod csv;

use std::collections::BTreeMap;
use std::fmt;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Serialize, Serializer};
use tollkeeper_engine::report::{ACCOUNTS, Aged, Debt, Line, Movement, Unmatched};
use tollkeeper_engine::{Month, Reads, Report, ReportTime};
use tollkeeper_ledger::{Timestamp, bounds};
use utoipa::ToSchema;

use crate::access::Rule::Platform;
use crate::http::call::{Call, json};
use crate::http::csv::wants_csv;
use crate::http::problem::Problem;
use crate::http::route::{Route, of};
use crate::wire::write::{Text, Time};

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/v1/report", Platform, "Read the report of a month", |call| {
        Box::pin(report(call))
    })
    .description(
        "What all workspaces bought, used and are owed in a month in UTC, computed from the journal alone. Credit is in \
         micro-units, money in dollars. Of each grant, recognised is paid × consumed ÷ granted, rounded down to a cent, \
         and deferred is what was paid less what is lost and recognised. An entry counts in the month of its time. A \
         month that is over (`is_final`) never changes, and the next one begins where it ended. The request reads the \
         whole journal, which takes minutes if it has a hundred million entries; only few may wait at a time, others \
         are answered 503. With `Accept: text/csv` the same numbers are one row each.",
    )
    .parameters(&["month"])
    .response(200, of::<ReportJson>, EXAMPLE)];

const EXAMPLE: &str = r#"{"month": "2026-11", "from": "2026-11-01T00:00:00.000Z", "to": "2026-12-01T00:00:00.000Z",
    "is_final": true, "workspaces": 1,
    "revenue": [{"source": "top_up", "provider": "manual", "opening_deferred_usd": "0.00", "sold_usd": "25.00",
                 "tax_usd": "0.00", "refunded_usd": "0.00", "disputed_usd": "0.00", "lost_usd": "0.00",
                 "recognised_usd": "0.20", "closing_deferred_usd": "24.80", "opening_not_granted_usd": "0.00",
                 "closing_not_granted_usd": "0.00"}],
    "revenue_total": {"source": null, "provider": null, "opening_deferred_usd": "0.00", "sold_usd": "25.00",
                      "tax_usd": "0.00", "refunded_usd": "0.00", "disputed_usd": "0.00", "lost_usd": "0.00",
                      "recognised_usd": "0.20", "closing_deferred_usd": "24.80", "opening_not_granted_usd": "0.00",
                      "closing_not_granted_usd": "0.00"},
    "credit": [{"source": "top_up", "provider": "manual", "opening": 0, "granted": 2500000, "consumed": 20000,
                "consumed_free": 0, "taken": 0, "closing": 2480000, "closing_pending": 0}],
    "trial_balance": [{"account": "funding", "opening": 0, "inward": 0, "outward": 2500000, "closing": -2500000}],
    "debt": {"opening": 0, "arisen": 0, "repaid": 0, "forgiven": 0, "closing": 0},
    "ageing": [{"bought": "2026-11", "last_used": "2026-11", "grants": 1, "remaining": 2480000,
                "deferred_usd": "24.80"}],
    "unmatched": [{"currency": "eur", "payments": 1, "amount": "25.00"}]}"#;

/// About the size of a report in JSON.
const REPORT_BYTES: usize = 8_192;

/// Cents, written as dollars with two decimals.
#[derive(Clone, Copy, Debug)]
struct Cents(i128);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The report of a month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub struct ReportJson {
    /// The month in UTC.
    #[schema(value_type = String, example = "2026-11")]
    month: Text<Month>,
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The first instant of the next month.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// True if the month is over: the numbers do not change any more.
    is_final: bool,
    /// The number of workspaces at the end.
    workspaces: u64,
    /// The money, by the source of the grants and by who took it.
    revenue: Vec<RevenueJson>,
    /// The sum of `revenue`.
    revenue_total: RevenueJson,
    /// The credit, by the same.
    credit: Vec<CreditJson>,
    /// What moved between the accounts of all workspaces. Each column sums to zero, `inward` to
    /// `outward`.
    trial_balance: Vec<AccountJson>,
    /// What workspaces owe because a payment was lost whose credit was spent.
    debt: DebtJson,
    /// Money of the month that came in and fits nothing, by currency. It is in no other number.
    unmatched: Vec<UnmatchedJson>,
    /// What is unspent at the end of paid grants, by age. Credit never expires; from this,
    /// finance can estimate what will never be used.
    ageing: Vec<AgedJson>,
}

/// The money of grants of one source, or of all.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportRevenue)]
pub struct RevenueJson {
    /// `promotional`, `adjustment`, `subscription` or `top_up`; null in the total.
    #[schema(required)]
    source: Option<&'static str>,
    /// Who took the money: `manual`, `stripe`, or `platform` if the platform made the grant itself;
    /// null in the total.
    #[schema(required)]
    provider: Option<&'static str>,
    /// What was paid and neither recognised nor lost, at the beginning.
    #[schema(value_type = String, example = "0.00")]
    opening_deferred_usd: Cents,
    /// What was paid, without tax, also for months to come.
    #[schema(value_type = String, example = "25.00")]
    sold_usd: Cents,
    /// The tax that was paid besides. It is in no other number.
    #[schema(value_type = String, example = "0.00")]
    tax_usd: Cents,
    /// What was refunded to payers, by payment refunds or at the provider, less what came back.
    #[schema(value_type = String, example = "0.00")]
    refunded_usd: Cents,
    /// What payers disputed, less what was won.
    #[schema(value_type = String, example = "0.00")]
    disputed_usd: Cents,
    /// Refunded + disputed.
    #[schema(value_type = String, example = "0.00")]
    lost_usd: Cents,
    /// What was earned, less refunds of charges.
    #[schema(value_type = String, example = "0.20")]
    recognised_usd: Cents,
    /// Opening + sold − lost − recognised. Below zero where payments were lost whose credit was
    /// consumed.
    #[schema(value_type = String, example = "24.80")]
    closing_deferred_usd: Cents,
    /// The part of the opening that was paid for months to come.
    #[schema(value_type = String, example = "0.00")]
    opening_not_granted_usd: Cents,
    /// The part of the closing that was paid for months to come.
    #[schema(value_type = String, example = "0.00")]
    closing_not_granted_usd: Cents,
}

/// The credit of grants of one source, in micro-units.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportCredit)]
pub struct CreditJson {
    /// As in `revenue`.
    source: &'static str,
    /// As in `revenue`.
    provider: &'static str,
    /// What was unspent or held by pending charges at the beginning.
    #[schema(value_type = i64)]
    opening: i128,
    /// What was granted.
    #[schema(value_type = i64)]
    granted: i128,
    /// What settled charges took, less refunds.
    #[schema(value_type = i64)]
    consumed: i128,
    /// The part of it for which nothing was paid.
    #[schema(value_type = i64)]
    consumed_free: i128,
    /// What was taken back for lost payments, debt and voided grants, less what was given back.
    #[schema(value_type = i64)]
    taken: i128,
    /// Opening + granted − consumed − taken.
    #[schema(value_type = i64)]
    closing: i128,
    /// The part of it that pending charges hold.
    #[schema(value_type = i64)]
    closing_pending: i128,
}

/// An account of the trial balance, in micro-units.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportAccount)]
pub struct AccountJson {
    /// `funding`, `available`, `pending`, `consumed` or `clawed_back`.
    account: &'static str,
    /// What was in it at the beginning; for `funding`, below zero, what it gave.
    #[schema(value_type = i64)]
    opening: i128,
    /// What came in.
    #[schema(value_type = i64)]
    inward: i128,
    /// What left.
    #[schema(value_type = i64)]
    outward: i128,
    /// Opening + inward − outward.
    #[schema(value_type = i64)]
    closing: i128,
}

/// Debt, in micro-units.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportDebt)]
pub struct DebtJson {
    /// What was owed at the beginning.
    #[schema(value_type = i64)]
    opening: i128,
    /// What was owed in addition.
    #[schema(value_type = i64)]
    arisen: i128,
    /// What later credit repaid.
    #[schema(value_type = i64)]
    repaid: i128,
    /// What was forgiven because the money came back.
    #[schema(value_type = i64)]
    forgiven: i128,
    /// Opening + arisen − repaid − forgiven.
    #[schema(value_type = i64)]
    closing: i128,
}

/// Money of one currency that came in and fits nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportUnmatched)]
pub struct UnmatchedJson {
    /// The code of the currency.
    #[schema(value_type = String, example = "eur")]
    currency: Box<str>,
    /// The number of payments.
    payments: u64,
    /// What came in, in the currency with two decimals.
    #[schema(value_type = String, example = "25.00")]
    amount: Cents,
}

/// Paid grants with unspent credit of one age.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportAgeing)]
pub struct AgedJson {
    /// The month in which they were granted.
    #[schema(value_type = String, example = "2026-11")]
    bought: Text<Month>,
    /// The month in which their workspaces were charged last; null if never.
    #[schema(required, value_type = Option<String>)]
    last_used: Option<Text<Month>>,
    /// The number of grants.
    grants: u64,
    /// Their unspent credit in micro-units.
    #[schema(value_type = i64)]
    remaining: i128,
    /// What was paid for them and is neither recognised nor lost.
    #[schema(value_type = String, example = "24.80")]
    deferred_usd: Cents,
}

impl RevenueJson {
    fn of(names: Option<[&'static str; 2]>, opening: &Line, closing: &Line) -> RevenueJson {
        let change = closing.since(opening);
        let Line { sold_cents, tax_cents, refunded_cents, lost_cents, recognised_cents, .. } = change;
        RevenueJson {
            source: names.map(|[source, _]| source),
            provider: names.map(|[_, provider]| provider),
            opening_deferred_usd: Cents(opening.deferred_cents()),
            sold_usd: Cents(sold_cents),
            tax_usd: Cents(tax_cents),
            refunded_usd: Cents(refunded_cents),
            disputed_usd: Cents(change.disputed_cents()),
            lost_usd: Cents(lost_cents),
            recognised_usd: Cents(recognised_cents),
            closing_deferred_usd: Cents(closing.deferred_cents()),
            opening_not_granted_usd: Cents(opening.not_granted_cents),
            closing_not_granted_usd: Cents(closing.not_granted_cents),
        }
    }
}

impl ReportJson {
    fn of(month: Month, is_final: bool, report: &Report) -> ReportJson {
        let Report { opening, closing } = report;
        let mut json = ReportJson {
            month: Text(month),
            from: Time(month.start()),
            to: Time(month.end()),
            is_final,
            workspaces: closing.workspaces,
            revenue: Vec::new(),
            revenue_total: RevenueJson::of(None, &opening.total(), &closing.total()),
            credit: Vec::new(),
            trial_balance: Vec::new(),
            debt: debt(&opening.debt, &closing.debt),
            unmatched: unmatched(&opening.unmatched, &closing.unmatched),
            ageing: Vec::new(),
        };
        for ((source, provider), line) in &closing.lines {
            let before = opening.lines.get(&(*source, *provider)).copied().unwrap_or_default();
            let (source, provider) = (source.as_str(), provider.as_str());
            json.revenue.push(RevenueJson::of(Some([source, provider]), &before, line));
            let Line { granted, consumed, consumed_free, taken, .. } = line.since(&before);
            json.credit.push(CreditJson {
                source,
                provider,
                opening: before.remaining() + before.pending,
                granted,
                consumed,
                consumed_free,
                taken,
                closing: line.remaining() + line.pending,
                closing_pending: line.pending,
            });
        }
        json.trial_balance.extend(ACCOUNTS.iter().map(|account| {
            let of = |movements| Movement::get(movements, *account);
            let (before, after) = (of(&opening.movements), of(&closing.movements));
            AccountJson {
                account: account.as_str(),
                opening: before.balance(),
                inward: after.inward - before.inward,
                outward: after.outward - before.outward,
                closing: after.balance(),
            }
        }));
        json.ageing.extend(closing.ageing.iter().map(|((bought, last_used), aged)| {
            let Aged { grants, remaining, deferred_cents } = *aged;
            let (bought, last_used) = (Text(*bought), last_used.map(Text));
            AgedJson { bought, last_used, grants, remaining, deferred_usd: Cents(deferred_cents) }
        }));
        json
    }
}

fn debt(before: &Debt, after: &Debt) -> DebtJson {
    DebtJson {
        opening: before.owed(),
        arisen: after.arisen - before.arisen,
        repaid: after.repaid - before.repaid,
        forgiven: after.forgiven - before.forgiven,
        closing: after.owed(),
    }
}

fn unmatched(
    before: &BTreeMap<Box<str>, Unmatched>,
    after: &BTreeMap<Box<str>, Unmatched>,
) -> Vec<UnmatchedJson> {
    let lines = after.iter().map(|(currency, after)| {
        let before = before.get(currency).copied().unwrap_or_default();
        UnmatchedJson {
            currency: currency.clone(),
            payments: after.payments - before.payments,
            amount: Cents(after.cents - before.cents),
        }
    });
    lines.filter(|line| line.payments > 0).collect()
}

/// `GET /v1/report`.
async fn report(call: Call) -> Result<Response, Problem> {
    let given =
        call.query().value("month", |text| text.parse::<Month>().ok(), "must be a month such as 2026-11")?;
    let month = given.unwrap_or_else(|| Month::containing(call.now));
    if month.start() > call.now {
        return Err(Problem::parameter("month", "has not begun yet"));
    }
    let report = call.app.engine().report(ReportTime { from: month.start(), to: month.end() }).await?;
    // A clock that is ahead says nothing about the month.
    let is_final = is_over(month, call.now) && !call.app.clock_watch.holds_timers();
    let report = ReportJson::of(month, is_final, &report);
    if !wants_csv(call.headers()) {
        return Ok(json(StatusCode::OK, REPORT_BYTES, &report));
    }
    Ok(csv::csv(&report).into_response())
}

/// True if no server can write an entry of the month any more, as far as their clocks may differ.
fn is_over(month: Month, now: Timestamp) -> bool {
    month.end().plus_seconds(bounds::CLOCK_TOLERANCE_SECONDS) <= now
}
