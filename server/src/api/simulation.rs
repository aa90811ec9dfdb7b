//! A draft of the price book under charges of the past: what they would have brought.
//!
//! The use of each workspace by operation is priced anew: quantity × the price of the draft. Of
//! that goes back the part that went back of what was charged, rounded down. So an operation that
//! fails as often as before is refunded as often. Nobody can say whether customers would have used
//! as much. An operation that the draft does not have brings nothing.
//!
//! The sums are those of the usage report, so a refund counts in the hour in which it happened. One
//! simulation runs on a server at a time: it reads the use of every workspace. Nothing is stored.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::{Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::{
    MeterId, MeterQuantities, Micros, OperationId, Price, Quantity, UsageSums, WorkspaceId, bounds,
};
use utoipa::ToSchema;

use super::price_book::{OperationIn, price};
use crate::access::Rule::Platform;
use crate::app::App;
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::quantity::PriceFields;
use crate::wire::read::{Bounded, Instant, Object, word};
use crate::wire::write::{Time, Usd};

/// The route.
pub const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/v1/price-book/simulate",
    Platform,
    "Simulate prices",
    |call| Box::pin(simulate(call)),
)
.description(
    "Prices the use of past hours by a draft of the price book, and compares the result with what was charged, net of \
     refunds. Nothing is published. Of each workspace and operation, the draft brings quantity × its price, less the \
     same part that was refunded of what was charged. Operations that are not in the draft bring nothing. It is not \
     foreseen that customers use more or less at other prices.\n\n\
     All operations are in the answer, and the workspaces with the largest change. The use of every workspace is read, \
     which takes a while if there are many; a server computes one simulation at a time.",
)
.request(
    of::<SimulationIn>,
    r#"{"operations": [{"id": "virtual_try_on", "unit_price": 25000}, {"id": "support_message", "unit_price": 500}],
        "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}"#,
)
.response(
    200,
    of::<SimulationJson>,
    r#"{"from": "2026-11-01T00:00:00.000Z", "to": "2026-12-01T00:00:00.000Z", "used_workspaces": 1,
        "total": {"runs": 12, "quantity": 12, "net": 220000, "net_usd": "2.20", "simulated": 275000,
            "simulated_usd": "2.75", "change": 55000, "change_usd": "0.55"},
        "operations": [{"operation": "virtual_try_on", "unit_price": 25000, "unit_price_usd": "0.25", "runs": 12,
            "quantity": 12, "net": 220000, "net_usd": "2.20", "simulated": 275000, "simulated_usd": "2.75",
            "change": 55000, "change_usd": "0.55"}],
        "workspaces": [{"workspace": "acme", "runs": 12, "quantity": 12, "net": 220000, "net_usd": "2.20",
            "simulated": 275000, "simulated_usd": "2.75", "change": 55000, "change_usd": "0.55"}]}"#,
)];

/// The longest time that is simulated: a leap year.
const DAYS_MAX: i64 = 366;

/// The most workspaces of the answer.
const WORKSPACES_SHOWN: usize = 100;

/// Workspaces whose use is read at the same time.
const READ_AT_ONCE: usize = 8;

const HOUR_MILLIS: i64 = 3_600_000;

/// A draft of the price book, and the time whose use it prices.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceSimulationRequest)]
pub struct SimulationIn {
    /// Every operation of the draft.
    #[schema(value_type = Vec<OperationIn>, min_items = 1, max_items = 1_000)]
    operations: Bounded<Object<OperationIn>, { bounds::OPERATIONS_MAX }>,
    /// The beginning of the first hour, in UTC.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, format = DateTime)]
    from: Instant,
    /// The end of the last hour, at most 366 days later.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, format = DateTime)]
    to: Instant,
}

/// What a draft of the price book would have brought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceSimulation)]
pub struct SimulationJson {
    /// The beginning of the time.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The end of the time.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// The number of workspaces that were charged or refunded in the time.
    used_workspaces: usize,
    /// All workspaces and operations.
    total: RowJson,
    /// Each operation of the draft, and each that was used and is not in the draft.
    operations: Vec<RowJson>,
    /// The workspaces with the largest change, at most 100.
    workspaces: Vec<RowJson>,
}

/// What was used and brought, and what the draft would have brought: in all, of an operation, or of
/// a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceSimulationRow)]
pub struct RowJson {
    /// The id of the operation, in a row of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Box<str>>,
    /// The price of the draft in micro-units, in a row of an operation; null if the operation is
    /// not in the draft, or has meters there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    unit_price: Option<Option<i64>>,
    /// `unit_price` in dollars, as an exact decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.25")]
    unit_price_usd: Option<Option<Usd>>,
    /// The id of the workspace, in a row of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<Box<str>>,
    /// The number of charges.
    runs: i64,
    /// The units that they paid for.
    quantity: i64,
    /// What they deducted, less what was refunded, in micro-units.
    net: i64,
    /// `net` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "2.20")]
    net_usd: Usd,
    /// What the draft would have brought, in micro-units.
    simulated: i64,
    /// `simulated` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "2.75")]
    simulated_usd: Usd,
    /// `simulated` less `net`.
    change: i64,
    /// `change` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.55")]
    change_usd: Usd,
}

/// Sums of any number of workspaces; wider than an amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    runs: i128,
    quantity: i128,
    net: i128,
    simulated: i128,
}

impl Sums {
    /// The use of one operation by one workspace, at the price of the draft; without a price it
    /// brings nothing. Units of meters are those that were used, so what was not used is not in
    /// them. What was refunded later, for another reason, is not known of them.
    fn of(used: &Used, price: Option<&Price>) -> Sums {
        let Used { sums: used, meters } = used;
        let [quantity, charged, refunded] =
            [used.quantity, used.charged.get(), used.refunded.get()].map(i128::from);
        let units = match meters.is_empty() {
            true => Some(Quantity::Units(used.quantity)),
            false => MeterQuantities::new(meters.clone()).map(Quantity::Meters),
        };
        let gross = price.zip(units).map_or(0, |(price, units)| {
            let gross = price.gross_micros(&units);
            // Each charge is rounded up, so one that costs something costs at least a micro-unit.
            let least = if price.unit_price().is_none() && gross > 0 { used.runs.into() } else { 0 };
            gross.max(least)
        });
        let given_back = match price {
            None => 0,
            Some(_) if !meters.is_empty() => 0,
            // Refunds of charges that were made before: their prices are not those of the draft.
            Some(_) if charged == 0 => refunded,
            Some(_) => refunded.saturating_mul(gross / charged) + refunded * (gross % charged) / charged,
        };
        Sums {
            runs: used.runs.into(),
            quantity,
            net: charged - refunded,
            simulated: gross.saturating_sub(given_back),
        }
    }

    fn add(&mut self, other: Sums) {
        let Sums { runs, quantity, net, simulated } = other;
        self.runs += runs;
        self.quantity += quantity;
        self.net += net;
        self.simulated += simulated;
    }

    fn change(&self) -> i128 {
        self.simulated - self.net
    }
}

impl From<Sums> for RowJson {
    /// A sum beyond the range of an amount, which no ledger reaches, is shown as its end.
    fn from(sums: Sums) -> RowJson {
        let shown = |sum: i128| i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
        let usd = |sum: i128| Usd(Micros::new(shown(sum)));
        RowJson {
            operation: None,
            unit_price: None,
            unit_price_usd: None,
            workspace: None,
            runs: shown(sums.runs),
            quantity: shown(sums.quantity),
            net: shown(sums.net),
            net_usd: usd(sums.net),
            simulated: shown(sums.simulated),
            simulated_usd: usd(sums.simulated),
            change: shown(sums.change()),
            change_usd: usd(sums.change()),
        }
    }
}

/// The use of one operation by one workspace.
#[derive(Clone, Debug, Default)]
struct Used {
    sums: UsageSums,
    /// The units of each meter.
    meters: BTreeMap<MeterId, i64>,
}

/// A simulation under way.
struct Simulation {
    draft: BTreeMap<OperationId, Price>,
    operations: BTreeMap<OperationId, Sums>,
    /// The workspaces with the largest change so far.
    workspaces: Vec<(WorkspaceId, Sums)>,
    used_workspaces: usize,
    total: Sums,
}

impl Simulation {
    fn new(draft: BTreeMap<OperationId, Price>) -> Simulation {
        let operations = draft.keys().map(|id| (id.clone(), Sums::default())).collect();
        let (workspaces, total) = Default::default();
        Simulation { draft, operations, workspaces, used_workspaces: 0, total }
    }

    /// Adds the use of a workspace by operation.
    fn add(&mut self, workspace: WorkspaceId, used: BTreeMap<OperationId, Used>) {
        if used.is_empty() {
            return;
        }
        let mut of_workspace = Sums::default();
        for (operation, used) in used {
            let sums = Sums::of(&used, self.draft.get(&operation));
            of_workspace.add(sums);
            self.operations.entry(operation).or_default().add(sums);
        }
        self.total.add(of_workspace);
        self.used_workspaces += 1;
        self.workspaces.push((workspace, of_workspace));
        if self.workspaces.len() >= 2 * WORKSPACES_SHOWN {
            self.keep_largest();
        }
    }

    fn keep_largest(&mut self) {
        self.workspaces.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.change().unsigned_abs()));
        self.workspaces.truncate(WORKSPACES_SHOWN);
    }

    fn into_json(mut self, from: Time, to: Time) -> SimulationJson {
        self.keep_largest();
        let Simulation { draft, operations, workspaces, used_workspaces, total } = self;
        let operation = |(id, sums): (OperationId, Sums)| {
            let PriceFields { unit_price, .. } = draft.get(&id).map(PriceFields::of).unwrap_or_default();
            RowJson {
                operation: Some(id.as_str().into()),
                unit_price: Some(unit_price.map(Micros::get)),
                unit_price_usd: Some(unit_price.map(Usd)),
                ..sums.into()
            }
        };
        let workspace =
            |(id, sums): (WorkspaceId, Sums)| RowJson { workspace: Some(id.as_str().into()), ..sums.into() };
        SimulationJson {
            from,
            to,
            used_workspaces,
            total: total.into(),
            operations: operations.into_iter().map(operation).collect(),
            workspaces: workspaces.into_iter().map(workspace).collect(),
        }
    }
}

/// `POST /v1/price-book/simulate`.
async fn simulate(mut call: Call) -> Result<Response, Problem> {
    let SimulationIn { operations: Bounded(operations), from: Instant(from), to: Instant(to) } =
        call.json().await?;
    let mut draft = BTreeMap::new();
    for (index, operation) in operations.into_iter().enumerate() {
        let operation = price((index, operation))?;
        if draft.insert(operation.id, operation.price).is_some() {
            return Err(Problem::field(&format!("operations[{index}].id"), "is there twice"));
        }
    }
    for (name, at) in [("from", from), ("to", to)] {
        if at.millis() % HOUR_MILLIS != 0 {
            return Err(Problem::field(name, "must be a whole hour"));
        }
    }
    if from >= to || to > from.plus_seconds(DAYS_MAX * 86_400) {
        return Err(Problem::field("to", &format!("must be after `from`, by at most {DAYS_MAX} days")));
    }
    let _turn = call.app.simulations.try_acquire().map_err(|_| {
        Problem::new(Code::Overloaded, "Another simulation runs. Repeat the request when it is done.")
    })?;
    let hours = (from.hour(), to.hour());
    let simulation = run(&call.app, Simulation::new(draft), hours).await?;
    let answer = simulation.into_json(Time(from), Time(to));
    let rows = answer.operations.len() + answer.workspaces.len();
    Ok(json(StatusCode::OK, 256 * (rows + 1), &answer))
}

/// Adds the use of every workspace in these hours, page by page.
async fn run(app: &App, mut simulation: Simulation, hours: (i64, i64)) -> Result<Simulation, Problem> {
    let mut cursor = None;
    loop {
        let page = Page { limit: bounds::PAGE_MAX, cursor };
        let listing = app.engine().workspaces(WorkspaceFilter::default(), page).await?;
        let ids: Vec<WorkspaceId> = listing.data.into_iter().map(|record| record.profile.id).collect();
        for ids in ids.chunks(READ_AT_ONCE) {
            for (id, used) in try_join_all(ids.iter().map(|id| used(app, id, hours))).await? {
                simulation.add(id, used);
            }
        }
        match listing.next {
            Some(next) => cursor = Some(next),
            None => return Ok(simulation),
        }
    }
}

/// The use of a workspace by operation.
async fn used(
    app: &App,
    id: &WorkspaceId,
    (from, to): (i64, i64),
) -> Result<(WorkspaceId, BTreeMap<OperationId, Used>), Problem> {
    let mut used: BTreeMap<OperationId, Used> = BTreeMap::new();
    for (key, sums) in app.engine().usage(id, from..to).await? {
        let used = used.entry(key.spender.operation).or_default();
        used.sums.add(sums);
        if let Some(meter) = key.meter {
            *used.meters.entry(meter).or_default() += sums.quantity;
        }
    }
    Ok((id.clone(), used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(quantity: i64, charged: i64, refunded: i64, price: Option<i64>) -> (i128, i128) {
        let [charged, refunded] = [charged, refunded].map(Micros::new);
        let sums = UsageSums { runs: 1, quantity, charged, refunded };
        let used = Used { sums, meters: BTreeMap::new() };
        let sums = Sums::of(&used, price.map(|price| Price::from(Micros::new(price))).as_ref());
        (sums.simulated, sums.change())
    }

    #[test]
    fn the_refunded_part_goes_back_of_the_simulated_amount_too() {
        assert_eq!(sums(10, 1_000, 0, Some(150)), (1_500, 500));
        assert_eq!(sums(10, 1_000, 300, Some(150)), (1_050, 350));
        assert_eq!(sums(10, 1_000, 1_000, Some(150)), (0, 0));
        assert_eq!(sums(3, 7, 2, Some(5)), (11, 6), "30 ÷ 7 is rounded down");
        assert_eq!(sums(10, 1_000, 300, Some(0)), (0, -700), "a free operation refunds nothing");
        assert_eq!(sums(10, 1_000, 300, None), (0, -700), "so does one that is retired");
        assert_eq!(sums(10, 0, 0, Some(7)), (70, 70), "it was free before");
        assert_eq!(sums(0, 0, 300, Some(7)), (-300, 0), "an earlier charge was refunded");
        let largest = sums(i64::MAX, i64::MAX, i64::MAX, Some(i64::MAX));
        assert_eq!(largest, (0, 0), "nothing overflows");
    }
}
