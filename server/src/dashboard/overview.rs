//! The first page of the dashboard: the balance, how long it lasts, what used it, what changed.
//!
//! Every figure comes from the reports and lists that the API answers with. Nothing is added up
//! here.

mod parts;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{ChargeFilter, GroupBy, Named, Page, Reads, TimeStep, UsageFilter, UsageGroup};
use tollkeeper_ledger::{MemberId, Micros, Role};

use self::parts::{Banner, Lasts, PlanLine};
use super::charges::row::ChargeRow;
use super::chart::{ChartData, ChartHtml, SERIES_MAX, chart, sparkline};
use super::commands;
use super::frame::{Frame, Tab, Visit};
use super::names::Names;
use super::page::{ROOT, page};
use super::words::{ChargeWords, OverviewWords};
use crate::access::Rule;
use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::http::route::Route;
use crate::language::Format;
use crate::reports::burn_rate::BurnRateQuery;
use crate::reports::changes::ChangesQuery;
use crate::reports::usage::{UsageQuery, UsageSource};

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, ROOT, Rule::SignedIn(Role::Member), "The first page", |call| {
        Box::pin(overview(call))
    })
    .page()];

/// The newest charges that are shown.
const CHARGES_SHOWN: usize = 10;

/// The complete days whose use is read: those that the burn rate counts.
const READ_DAYS: u32 = 30;

/// The complete days whose use is drawn, before today.
const DRAWN_DAYS: u32 = 29;

/// The days of which changes are shown.
const CHANGED_DAYS: u32 = 7;

/// The operations whose changes are shown.
const CHANGES_SHOWN: usize = 5;

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct Overview<'a> {
    frame: Frame<'a>,
    words: &'static OverviewWords,
    is_admin: bool,
    /// Whom a member asks to add credits; empty for an admin, and if a banner says it.
    ask: String,
    banners: Vec<Banner>,
    /// The available credit in dollars.
    usd: String,
    /// The same in micro-units.
    credits: String,
    /// What waits for outcomes; `None` if nothing does.
    pending: Option<String>,
    /// What is owed; `None` if nothing is.
    debt: Option<String>,
    lasts: Lasts,
    changes: Vec<ChangeLine>,
    /// The use of thirty days; `None` if nothing was used.
    drawn: Option<Drawn>,
    /// The newest charges.
    rows: Vec<ChargeRow>,
    charge_words: &'static ChargeWords,
    plan: PlanLine,
    /// Whether the workspace never had credit.
    needs_credits: bool,
    /// Whether it has no API key.
    needs_key: bool,
    /// A command that makes the first charge; `None` once there is a charge.
    first_charge: Option<String>,
}

/// The use of an operation in two weeks.
struct ChangeLine {
    operation: String,
    before: String,
    after: String,
    difference: String,
}

/// `GET /portal`.
async fn overview(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let (engine, workspace) = (call.app.engine(), visit.workspace());
    // Who does not see the use of others sees their own alone.
    let only: Option<MemberId> = (!visit.sees_others_use()).then(|| visit.signed_in.member.id.clone());
    let filter = ChargeFilter { member: only.clone(), ..ChargeFilter::default() };
    let newest = Page { limit: CHARGES_SHOWN, cursor: None };
    let charges = existing(workspace, engine.charges(workspace, filter, newest).await?)?;
    let payments = existing(workspace, engine.payments(workspace).await?)?;
    let alerts = existing(workspace, engine.alerts(workspace).await?)?;
    let last_days = |filter| UsageSource::with_last_days(engine, workspace, READ_DAYS, filter, call.now);
    let seen = UsageFilter { member: only.map_or(Named::Any, Named::Is), ..UsageFilter::default() };
    let own = async {
        match seen.member {
            Named::Any => Ok(None),
            _ => last_days(seen.clone()).await.map(Some),
        }
    };
    let (whole, own) = futures_util::try_join!(last_days(UsageFilter::default()), own)?;
    let rate = BurnRateQuery::by_operation().run(&whole, call.now).await?;
    let source = own.as_ref().unwrap_or(&whole);
    let changes = ChangesQuery::by_operation(CHANGED_DAYS, seen.clone()).run(source, call.now).await?;
    let members = charges.data.iter().filter_map(|charge| charge.details.spender.member.clone());
    let names = Names::of(&call, workspace, members.collect()).await?;
    let is_admin = visit.is_admin();
    let format = &visit.format;
    let words = &visit.words().overview;
    let charge_words = &visit.words().charges;
    let positive = |amount: Micros| (amount > Micros::ZERO).then(|| format.both_units(amount));
    let is_first_run = charges.data.is_empty();
    let changed = changes.of_operations().take(CHANGES_SHOWN).map(|(operation, before, after)| ChangeLine {
        operation: operation.to_owned(),
        before: format.usd(before),
        after: format.usd(after),
        difference: signed(after - before, format),
    });
    let first_charge = match is_first_run {
        true => commands::first_charge(&call, workspace, "\"Authorization: Bearer $KEY\""),
        false => None,
    };
    let ask = if is_admin { String::new() } else { visit.ask_for_credits().await? };
    let banners = parts::banners(&visit, &payments, &alerts, is_first_run, &ask);
    let overview = Overview {
        frame: visit.frame(Tab::Overview),
        words,
        is_admin,
        banners,
        ask: if parts::is_used_up(&visit, is_first_run) { String::new() } else { ask },
        usd: format.usd(visit.balance.available),
        credits: format.number(visit.balance.available.get()),
        pending: positive(visit.balance.pending),
        debt: positive(visit.balance.debt),
        lasts: Lasts::of(&rate, visit.balance.available, format, words),
        changes: changed.collect(),
        drawn: draw(&visit, source, seen).await?,
        rows: charges
            .data
            .iter()
            .map(|charge| ChargeRow::of(charge, &names, charge_words, format, call.now))
            .collect(),
        charge_words,
        plan: PlanLine::of(&payments, format, words),
        needs_credits: visit.balance.available == Micros::ZERO,
        needs_key: is_first_run && call.team(workspace).await?.keys.is_empty(),
        first_charge,
    };
    Ok(page(StatusCode::OK, &overview))
}

/// A difference in dollars with its sign.
fn signed(difference: Micros, format: &Format) -> String {
    let plus = if difference > Micros::ZERO { "+" } else { "" };
    format!("{plus}{}", format.usd(difference))
}

/// The use of the last days: as a chart by operation, and small, beside figures.
struct Drawn {
    chart: ChartHtml,
    sparkline: ChartHtml,
}

/// Draws the use of the last days; `None` if nothing was used.
async fn draw(
    visit: &Visit<'_>,
    source: &UsageSource<'_>,
    filter: UsageFilter,
) -> Result<Option<Drawn>, Problem> {
    let group_by = GroupBy { operation: true, time: Some(TimeStep::Day), ..GroupBy::default() };
    let table = UsageQuery::last_days(DRAWN_DAYS, group_by, filter).run(source, visit.now()).await?;
    let Some(series) = table.series(SERIES_MAX).filter(|series| !series.series.is_empty()) else {
        return Ok(None);
    };
    let name = |part: &UsageGroup| part.operation.as_ref().map(ToString::to_string).unwrap_or_default();
    let words = visit.words();
    let data = ChartData::of(series, visit.now(), &table.names(), &name, &words.chart);
    Ok(Some(Drawn {
        chart: chart("use", words.overview.use_of_30_days, &data, &words.chart),
        sparkline: sparkline(&data, &words.chart),
    }))
}
