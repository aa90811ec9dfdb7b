//! The plans (P4): what a subscription costs and which credit it brings every month.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Output;
use tollkeeper_ledger::Scope::{Charge, Manage, Read, Settle};
use tollkeeper_ledger::{Command, Interval, Plan, PlanId, PlanVersion, WorkspaceId, bounds};
use utoipa::ToSchema;

use crate::access::Rule::{AnyWorkspace, Platform};
use crate::http::call::{Call, json, wrong_output};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};
use crate::wire::ReadError;
use crate::wire::read::{
    AmountFields, Bounded, DisplayName, Dollars, Object, Word, amount, given, given_word, one_of, word,
};
use crate::wire::write::Usd;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/plans",
        AnyWorkspace(&[Charge, Settle, Read, Manage]),
        "Get the plans",
        |call| Box::pin(get(call)),
    )
    .description(
        "Returns the newest version of the plans. Until the platform has set plans, these are three samples with \
         `sample` true, as version 0.",
    )
    .response(200, of::<PlansJson>, EXAMPLE),
    Route::new(Method::PUT, "/v1/plans", Platform, "Set the plans", |call| Box::pin(put(call)))
        .description(
            "Creates a new version of all plans. A plan that is not in the list is retired: nobody can start it any \
             more. A subscription keeps the terms with which it was started. An empty list offers no plan. The same \
             plans again change nothing.",
        )
        .request(
            of::<PlansIn>,
            r#"{"plans": [
                {"id": "starter", "name": "Starter", "price_usd": "19.00", "credits": 2000000, "interval": "month"},
                {"id": "starter_yearly", "name": "Starter, yearly", "price_usd": "190.00", "credits_usd": "20.00",
                 "interval": "year"}]}"#,
        )
        .response(200, of::<PlansJson>, EXAMPLE),
];

const EXAMPLE: &str = r#"{"version": 1, "plans": [
    {"id": "starter", "name": "Starter", "price_usd": "19.00", "credits": 2000000, "credits_usd": "20.00",
     "interval": "month", "sample": false},
    {"id": "starter_yearly", "name": "Starter, yearly", "price_usd": "190.00", "credits": 2000000,
     "credits_usd": "20.00", "interval": "year", "sample": false}]}"#;

/// About the size of one plan in JSON.
const PLAN_BYTES: usize = 192;

/// A new version of the plans. It replaces all of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlansRequest)]
pub struct PlansIn {
    /// Every plan that can be started.
    #[schema(value_type = Vec<PlanIn>, max_items = 100)]
    plans: Bounded<Object<PlanIn>, { bounds::PLANS_MAX }>,
}

/// A plan and its new terms.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanRequest)]
pub struct PlanIn {
    /// The id by which subscriptions name the plan.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    id: PlanId,
    /// The name, for people.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: DisplayName,
    /// What an interval costs in dollars, in whole cents: `0.00` for a free plan, or `0.50` to
    /// `999999.99`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = r"^[0-9]+(\.[0-9]{1,5})?$", example = "19.00")]
    price_usd: Dollars,
    /// The credit of a month in micro-units, also of a plan that is paid by the year.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 9_000_000_000_000_i64)]
    credits: Option<i64>,
    /// The credit of a month in dollars, as a decimal text; give one of the two.
    #[serde(default, deserialize_with = "given_word")]
    #[schema(value_type = String, required = false, pattern = r"^[0-9]+(\.[0-9]{1,5})?$")]
    credits_usd: Option<Dollars>,
    /// How often the price is paid: `month` or `year`.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = "^(month|year)$", example = "month")]
    interval: Interval,
}

impl Word for Interval {
    const EXPECTED: &'static str = "`month` or `year`";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&[Interval::Month, Interval::Year], Interval::as_str, text)
    }
}

/// A version of the plans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plans)]
pub struct PlansJson<'a> {
    /// The number of the version, which counts from 1; 0 for the samples.
    version: u32,
    /// Every plan that can be started, sorted by id.
    plans: Vec<PlanJson<'a>>,
}

/// The terms of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanJson<'a> {
    /// The id by which subscriptions name the plan.
    id: &'a str,
    /// The name, for people.
    name: &'a str,
    /// What an interval costs in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "19.00")]
    price_usd: Usd,
    /// The credit of a month in micro-units, also of a plan that is paid by the year.
    credits: i64,
    /// `credits` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "20.00")]
    credits_usd: Usd,
    /// How often the price is paid: `month` or `year`.
    interval: &'static str,
    /// True for a sample that stands in because the platform has not set plans yet.
    sample: bool,
}

impl<'a> PlansJson<'a> {
    fn of(version: &'a PlanVersion) -> PlansJson<'a> {
        let plan = |plan: &'a Plan| PlanJson {
            id: plan.id.as_str(),
            name: &plan.name,
            price_usd: Usd(plan.price()),
            credits: plan.credits.get(),
            credits_usd: Usd(plan.credits),
            interval: plan.interval.as_str(),
            sample: version.is_sample(),
        };
        PlansJson { version: version.version, plans: version.plans.iter().map(plan).collect() }
    }
}

/// `GET /v1/plans`.
async fn get(call: Call) -> Result<Response, Problem> {
    Ok(respond(call.app.engine().platform().plans.newest()))
}

/// `PUT /v1/plans`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let PlansIn { plans: Bounded(plans) } = call.json().await?;
    let plans = plans.into_iter().enumerate().map(plan).collect::<Result<Vec<_>, _>>()?;
    match call.run(&WorkspaceId::platform(), None, Command::SetPlans { plans }).await?.output {
        Output::Plans(version) => Ok(respond(&version)),
        _ => Err(wrong_output("plans")),
    }
}

/// A plan of the request, with its index in the list for error messages.
fn plan((index, Object(plan)): (usize, Object<PlanIn>)) -> Result<Plan, ReadError> {
    let PlanIn { id, name: DisplayName(name), price_usd: Dollars(price), credits, credits_usd, interval } =
        plan;
    let field = |name| format!("plans[{index}].{name}");
    let price_cents =
        price.whole_cents().ok_or_else(|| ReadError::field(field("price_usd"), "must be whole cents"))?;
    let (micros, usd) = (field("credits"), field("credits_usd"));
    let credits = amount(AmountFields { micros: &micros, usd: &usd }, credits, credits_usd)?;
    Ok(Plan { id, name, price_cents, credits, interval })
}

fn respond(version: &PlanVersion) -> Response {
    json(StatusCode::OK, PLAN_BYTES * (version.plans.len() + 1), &PlansJson::of(version))
}
