//! The burn rate of a workspace: its average use, and how long its credit lasts (P12).
//!
//! Days are those of the workspace's time zone. An average counts complete days only, as many as
//! were asked for, and fewer if the workspace is younger; the day of its creation counts. Whether
//! credit comes in meanwhile is not forecast; the next grant of the subscription is named.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use tollkeeper_engine::{GroupBy, Reads, TimeStep, UsageFilter, UsageGroup, UsageReport, UsageRequest};
use tollkeeper_ledger::{ApiKeyId, MemberId, Micros, OperationId, Timestamp, UsageSums, WorkerId};
use utoipa::ToSchema;

use super::forecast::{Averages, DayUse, Forecast, Reason, WEEKDAY_DAYS};
use super::local_time::{LocalDate, date_of, days_after, days_before, start_of, zone};
use super::usage::{UsageSource, read_group_by};
use crate::http::call::existing;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::wire::write::{Text, Usd};

/// The query parameters of a question about the burn rate.
pub const PARAMETERS: &[&str] = &["window_days", "group_by"];

/// The days that an average counts unless another number is asked for.
const WINDOW_DEFAULT_DAYS: u32 = 30;

/// The most days that an average can count.
const WINDOW_MAX_DAYS: u32 = 90;

/// A question about the burn rate of a workspace.
#[derive(Clone, Copy, Debug)]
pub struct BurnRateQuery {
    window_days: u32,
    /// The keys whose parts are shown; never a time.
    group_by: GroupBy,
}

impl Default for BurnRateQuery {
    fn default() -> BurnRateQuery {
        BurnRateQuery { window_days: WINDOW_DEFAULT_DAYS, group_by: GroupBy::default() }
    }
}

impl BurnRateQuery {
    /// The question with the part of each operation.
    #[must_use]
    pub fn by_operation() -> BurnRateQuery {
        let group_by = GroupBy { operation: true, ..GroupBy::default() };
        BurnRateQuery { group_by, ..BurnRateQuery::default() }
    }

    /// Reads the question from query parameters.
    ///
    /// # Errors
    /// A parameter is not valid.
    pub fn read(query: &Query) -> Result<BurnRateQuery, Problem> {
        let in_range = |text: &str| text.parse().ok().filter(|days| (1..=WINDOW_MAX_DAYS).contains(days));
        let window_days = query.value("window_days", in_range, &format!("must be 1 to {WINDOW_MAX_DAYS}"))?;
        let window_days = window_days.unwrap_or(WINDOW_DEFAULT_DAYS);
        Ok(BurnRateQuery { window_days, group_by: read_group_by(query, &[])? })
    }

    /// The rate that answers it.
    ///
    /// # Errors
    /// There is no such workspace, there are too many groups, or the engine cannot read.
    pub async fn run(self, source: &UsageSource<'_>, now: Timestamp) -> Result<BurnRate, Problem> {
        let BurnRateQuery { window_days, group_by } = self;
        let UsageSource { engine, workspace, .. } = source;
        let profile = existing(workspace, engine.workspace(workspace).await?)?;
        let balance = existing(workspace, engine.balance(workspace, None).await?)?;
        let payments = existing(workspace, engine.payments(workspace).await?)?;
        let zone = zone(&profile.timezone);
        let today = date_of(&zone, now);
        let window = window_days as usize;
        let dates =
            complete_dates(&zone, today, date_of(&zone, profile.created_at), window.max(WEEKDAY_DAYS));
        let in_window = &dates[dates.len().saturating_sub(window)..];
        let request = |from: Option<&Date>, to, group_by| {
            let (from, filter) = (start_of(&zone, *from.unwrap_or(&today)), UsageFilter::default());
            UsageRequest { from, to, timezone: Some(profile.timezone.clone()), group_by, filter }
        };
        let by_day = GroupBy { time: Some(TimeStep::Day), ..GroupBy::default() };
        let after_now = Timestamp::from_millis(now.millis() + 1);
        let by_day = source.report(request(dates.first(), after_now, by_day)).await?;
        let net_of = |date: Date| {
            let start = start_of(&zone, date);
            let row = by_day.rows.iter().find(|(group, _)| group.time == Some(start));
            row.map_or(0, |(_, sums)| net(sums))
        };
        let days: Vec<DayUse> = dates.iter().map(|date| DayUse { date: *date, net: net_of(*date) }).collect();
        let groups = match in_window.first() {
            Some(first) if group_by != GroupBy::default() => {
                let asked = request(Some(first), start_of(&zone, today), group_by);
                Some(source.report(asked).await?)
            }
            _ => None,
        };
        let next_grant = payments.subscription.as_deref().and_then(|plan| plan.next_grant_at());
        Ok(BurnRate {
            timezone: profile.timezone.clone(),
            available: balance.balance.available,
            today,
            days_in_window: in_window.len(),
            net_in_window: days[days.len() - in_window.len()..].iter().map(|day| day.net).sum(),
            forecast: Forecast::of(&days, window, today, net_of(today)),
            next_grant_on: next_grant.map(|at| date_of(&zone, at).max(today)),
            group_by,
            groups,
        })
    }
}

/// The last complete dates before today, oldest first, that are not before the creation of the
/// workspace. A date that the zone left out is none.
fn complete_dates(zone: &TimeZone, today: Date, created: Date, most: usize) -> Vec<Date> {
    let dates = (1..=most as u32).map(|days| days_before(today, days));
    let dates = dates.take_while(|date| *date >= created && *date < today);
    let mut dates: Vec<Date> = dates.filter(|date| date_of(zone, start_of(zone, *date)) == *date).collect();
    dates.reverse();
    dates
}

fn net(sums: &UsageSums) -> i64 {
    (sums.charged - sums.refunded).get()
}

/// The burn rate of a workspace.
#[derive(Debug)]
pub struct BurnRate {
    timezone: Box<str>,
    available: Micros,
    today: Date,
    /// The complete days that the average counts.
    days_in_window: usize,
    /// Their use.
    net_in_window: i64,
    /// The use of the days to come.
    pub forecast: Forecast,
    next_grant_on: Option<Date>,
    group_by: GroupBy,
    /// The use of these days by group; `None` if no groups were asked for, or there is no day.
    groups: Option<UsageReport>,
}

impl BurnRate {
    /// The complete days that the average counts.
    pub fn days(&self) -> usize {
        self.days_in_window
    }

    /// The average use of a day.
    pub fn daily_average(&self) -> Micros {
        Micros::new(Averages::of(self.net_in_window, self.days_in_window).daily)
    }

    /// The average use of thirty days.
    pub fn monthly_average(&self) -> Micros {
        Micros::new(Averages::of(self.net_in_window, self.days_in_window).monthly)
    }

    /// The days that the credit lasts, and the day on which it is used up.
    ///
    /// # Errors
    /// Why there is no such day.
    pub fn runway(&self) -> Result<(u32, Date), Reason> {
        let days = self.forecast.runway_days(self.available)?;
        Ok((days, days_after(self.today, days)))
    }

    /// The day on which the subscription brings credit the next time.
    pub fn next_grant_on(&self) -> Option<Date> {
        self.next_grant_on
    }

    /// The operations with their average use of a day, those that use the most first. Empty unless
    /// the question asked for operations.
    pub fn operations(&self) -> Vec<(String, Micros)> {
        let rows = self.groups.iter().flat_map(|report| &report.rows);
        let mut found: Vec<(String, i64)> = rows
            .filter_map(|(group, sums)| Some((group.operation.as_ref()?.as_str().to_owned(), net(sums))))
            .filter(|(_, net)| *net > 0)
            .collect();
        found.sort_by(|(a, a_net), (b, b_net)| (b_net, a).cmp(&(a_net, b)));
        let daily = |net| Micros::new(Averages::of(net, self.days_in_window).daily);
        found.into_iter().map(|(operation, net)| (operation, daily(net))).collect()
    }

    /// The burn rate as JSON.
    pub fn json(&self) -> BurnRateJson<'_> {
        let Averages { daily, monthly } = Averages::of(self.net_in_window, self.days_in_window);
        let (daily, monthly) = (Micros::new(daily), Micros::new(monthly));
        let next = self.forecast.use_of_next_days(30);
        let runway = self.forecast.runway_days(self.available);
        let depletes_on = runway.ok().map(|days| days_after(self.today, days));
        let lasts = |grant: Date| depletes_on.is_none_or(|depletes_on| depletes_on > grant);
        let rows = self.groups.as_ref().map(|report| {
            let total = net(&report.total);
            report.rows.iter().map(|(group, sums)| self.row(group, net(sums), total)).collect()
        });
        let is_grouped = self.group_by != GroupBy::default();
        BurnRateJson {
            timezone: &self.timezone,
            days: self.days_in_window,
            available: self.available.get(),
            available_usd: Usd(self.available),
            daily_average: daily.get(),
            daily_average_usd: Usd(daily),
            monthly_average: monthly.get(),
            monthly_average_usd: Usd(monthly),
            next_30_days: next.get(),
            next_30_days_usd: Usd(next),
            runway_days: runway.ok(),
            depletes_on: depletes_on.map(LocalDate),
            next_grant_on: self.next_grant_on.map(LocalDate),
            lasts_until_next_grant: self.next_grant_on.map(lasts),
            basis: self.forecast.basis.as_str(),
            reason: runway.err().map(|reason| reason.as_str()),
            rows: is_grouped.then(|| rows.unwrap_or_default()),
        }
    }

    fn row<'a>(&self, group: &'a UsageGroup, net: i64, total: i64) -> BurnRateRowJson<'a> {
        let UsageGroup { operation, worker, member, api_key, .. } = group;
        let daily = Micros::new(Averages::of(net, self.days_in_window).daily);
        BurnRateRowJson {
            operation: operation.as_ref().map(OperationId::as_str),
            worker: self.group_by.worker.then(|| worker.as_ref().map(WorkerId::as_str)),
            member: self.group_by.member.then(|| member.as_ref().map(MemberId::as_str)),
            api_key: self.group_by.api_key.then_some(api_key.map(Text)),
            net,
            net_usd: Usd(Micros::new(net)),
            daily_average: daily.get(),
            daily_average_usd: Usd(daily),
            share_percent: share_percent(net, total),
        }
    }
}

/// A part of a sum in percent with two decimals, rounded to the nearest; `None` without a sum.
fn share_percent(part: i64, total: i64) -> Option<String> {
    let (part, total) = (i128::from(part), i128::from(total));
    if total <= 0 {
        return None;
    }
    let hundredths = (part * 20_000 + total).div_euclid(2 * total);
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    Some(format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100))
}

/// The average use of a workspace, and how long its credit lasts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BurnRate)]
pub struct BurnRateJson<'a> {
    /// The workspace's time zone, whose days are counted.
    #[schema(example = "Europe/Berlin")]
    timezone: &'a str,
    /// The complete days that the average counts; fewer than were asked for if the workspace is
    /// younger.
    days: usize,
    /// The available credit, in micro-units.
    available: i64,
    /// `available` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.30")]
    available_usd: Usd,
    /// What was charged less what was refunded on these days, divided by their number and rounded
    /// up, in micro-units. It is below zero if more was refunded.
    daily_average: i64,
    /// `daily_average` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    daily_average_usd: Usd,
    /// Thirty times `daily_average`.
    monthly_average: i64,
    /// `monthly_average` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "6.00")]
    monthly_average_usd: Usd,
    /// What is expected to be used in the next thirty days, of which the rest of today is the
    /// first; 0 if there is no forecast.
    next_30_days: i64,
    /// `next_30_days` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "6.00")]
    next_30_days_usd: Usd,
    /// The days from today to the one on which the available credit is used up; 0 is today, null if
    /// there is no such day.
    #[schema(required)]
    runway_days: Option<u32>,
    /// The day on which the available credit is used up; null if there is none.
    #[schema(required, value_type = Option<String>, format = Date, example = "2027-01-24")]
    depletes_on: Option<LocalDate>,
    /// The day on which the subscription brings credit the next time; null if that is not known.
    #[schema(required, value_type = Option<String>, format = Date, example = "2026-12-23")]
    next_grant_on: Option<LocalDate>,
    /// Whether the credit lasts longer than to `next_grant_on`; null without such a day.
    #[schema(required)]
    lasts_until_next_grant: Option<bool>,
    /// What the forecast is made from: `weekday`, the mean of each weekday over the last 28 days;
    /// `average`, while there are less than 14 days; `none` if there is no forecast.
    #[schema(example = "weekday")]
    basis: &'static str,
    /// Why `runway_days` is null: `no_recent_use`, `over_a_year` or `credit_grows`; else null.
    #[schema(required, example = "over_a_year")]
    reason: Option<&'static str>,
    /// The parts of the average by the keys in `group_by`; absent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<BurnRateRowJson<'a>>>,
}

/// The part of a group in the average use. A key is present if rows are grouped by it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BurnRateRow)]
pub struct BurnRateRowJson<'a> {
    /// The operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "virtual_try_on")]
    operation: Option<&'a str>,
    /// The worker; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "w-7")]
    worker: Option<Option<&'a str>>,
    /// The member; null for charges without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ada")]
    member: Option<Option<&'a str>>,
    /// The API key that opened the charges; null for those that a platform key opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ak_01991234-5678-7abc-bfff-0123456789ab")]
    api_key: Option<Option<Text<ApiKeyId>>>,
    /// What it used on the days of the average, less refunds, in micro-units.
    net: i64,
    /// `net` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "6.00")]
    net_usd: Usd,
    /// Its average use of a day, rounded up, so that all rows together may exceed the average of
    /// the workspace.
    daily_average: i64,
    /// `daily_average` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    daily_average_usd: Usd,
    /// Its part of the use of all rows in percent, with two decimals; null if nothing was used on
    /// the whole.
    #[schema(required, example = "100.00")]
    share_percent: Option<String>,
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn complete_days_begin_with_the_creation_and_leave_out_what_the_zone_left_out() {
        let today = date(2026, 11, 23);
        let utc = TimeZone::UTC;
        let days = |created, most| complete_dates(&utc, today, created, most);
        assert_eq!(days(today, 30), [], "today is not complete");
        assert_eq!(days(date(2026, 11, 21), 30), [date(2026, 11, 21), date(2026, 11, 22)]);
        assert_eq!(days(date(2026, 1, 1), 30).len(), 30);
        assert_eq!(days(date(2027, 1, 1), 30), [], "a clock was ahead");
        let after_the_gap = date(2012, 1, 1);
        let around = complete_dates(&zone("Pacific/Apia"), after_the_gap, date(2011, 1, 1), 3);
        assert_eq!(around, [date(2011, 12, 29), date(2011, 12, 31)]);
    }

    #[test]
    fn shares_are_in_percent() {
        assert_eq!(share_percent(1, 3).as_deref(), Some("33.33"));
        assert_eq!(share_percent(2, 3).as_deref(), Some("66.67"));
        assert_eq!(share_percent(5, 5).as_deref(), Some("100.00"));
        assert_eq!(share_percent(-1, 4).as_deref(), Some("-25.00"));
        assert_eq!(share_percent(i64::MAX, i64::MAX).as_deref(), Some("100.00"));
        assert_eq!((share_percent(0, 0), share_percent(5, -1)), (None, None));
    }
}
