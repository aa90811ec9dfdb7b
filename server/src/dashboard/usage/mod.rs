//! The page of use: the total, a chart and a table of a range, by operation, worker, member or API
//! key; and the same as comma-separated values.
//!
//! One question feeds all of them (see `question`). The sums are those of `reports::usage`. If
//! there are too many rows by day, months are shown.

mod filters;
mod question;
mod rows;

use std::collections::BTreeSet;

use askama::Template;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{ChargeFilter, Named, Page, Reads, TimeStep, UsageFilter, UsageGroup};
use tollkeeper_ledger::{MemberId, Role, Timestamp};

use self::filters::{Choice, Filters};
use self::question::{By, Fault, Question, Span};
use self::rows::{Rows, name_of};
use super::charges;
use super::chart::{ChartData, ChartHtml, SERIES_MAX, chart};
use super::frame::{Frame, Tab, Visit};
use super::names::Names;
use super::page::page;
use super::words::UsageWords;
use crate::access::Rule;
use crate::http::call::{Call, existing};
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;
use crate::reports::usage::UsageTable;
use crate::reports::usage::series::net;

/// The path of the page.
const PATH: &str = "/portal/usage";

/// The path of the comma-separated values.
const CSV_PATH: &str = "/portal/usage.csv";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::SignedIn(Role::Member), "The use of a range", |call| {
        Box::pin(show(call))
    })
    .page()
    .parameters(question::PARAMETERS),
    Route::new(
        Method::GET,
        CSV_PATH,
        Rule::SignedIn(Role::Member),
        "The use of a range as comma-separated values",
        |call| Box::pin(csv(call)),
    )
    .page()
    .parameters(question::PARAMETERS)
    .problems(&[Code::TimezoneNotCounted, Code::UsageTooLarge]),
];

#[derive(Template)]
#[template(path = "dashboard/usage.html")]
struct UsagePage<'a> {
    frame: Frame<'a>,
    words: &'static UsageWords,
    /// The title of the table, and of its column of names.
    title: &'static str,
    label: &'static str,
    /// The days of the range.
    range: String,
    /// The time zone of its days.
    zone: String,
    /// Whether the reader sees their own use alone.
    is_own: bool,
    spans: Vec<Choice>,
    groupings: Vec<Choice>,
    filters: Filters,
    /// Why no use is shown.
    reason: Option<&'static str>,
    shown: Option<Shown>,
}

/// What is shown of a range.
struct Shown {
    usd: String,
    credits: String,
    /// How many charges there were, and what was charged and refunded.
    summary: String,
    chart: Option<ChartHtml>,
    rows: Rows,
    /// The same as comma-separated values.
    csv: String,
    /// The charges of the range.
    charges: String,
    /// If there is no use: the last day with charges.
    last_day: Option<Choice>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoAnswer {
    Fault(Fault),
    NotCounted,
    TooLarge,
}

impl NoAnswer {
    fn sentence(self, words: &UsageWords) -> &'static str {
        match self {
            NoAnswer::Fault(Fault::Day(_)) => words.day_wrong,
            NoAnswer::Fault(Fault::Backwards) => words.backwards,
            NoAnswer::Fault(Fault::TooLong) => words.too_long,
            NoAnswer::Fault(Fault::Name(_)) => words.name_wrong,
            NoAnswer::NotCounted => words.not_counted,
            NoAnswer::TooLarge => words.too_large,
        }
    }
}

/// The answer, or why there is none.
type Answer = Result<UsageTable, NoAnswer>;

/// What the parts of the page are made from.
struct Reading<'v> {
    call: &'v Call,
    visit: &'v Visit<'v>,
    question: Question,
    /// The use of the range without filters, by all keys; `None` if it has too many names.
    whole: Option<UsageTable>,
    names: Names,
}

/// The member whose use alone the reader sees; `None` if it is everybody's.
pub fn own_use(visit: &Visit<'_>) -> Option<MemberId> {
    (!visit.sees_others_use()).then(|| visit.signed_in.member.id.clone())
}

/// The question of a call.
fn asked(call: &Call, visit: &Visit<'_>) -> (Question, Option<Fault>) {
    Question::read(call.query(), visit.format.date_at(call.now), own_use(visit))
}

/// Asks the engine by these periods.
async fn ask(visit: &Visit<'_>, question: &Question, step: TimeStep) -> Result<UsageTable, Problem> {
    let request = question.request(&visit.format.zone, step);
    let group_by = request.group_by;
    let report = visit.usage().report(request).await?;
    Ok(UsageTable::new(report, group_by))
}

/// Asks the engine, by months if there are too many rows by day.
async fn answer(visit: &Visit<'_>, question: &Question) -> Result<UsageTable, Problem> {
    match ask(visit, question, question.step()).await {
        Err(problem) if problem.code == Code::UsageTooLarge => ask(visit, question, TimeStep::Month).await,
        answered => answered,
    }
}

/// Separates what a page says of a question from what is no answer to any question.
fn or_reason(answered: Result<UsageTable, Problem>) -> Result<Answer, Problem> {
    match answered {
        Ok(table) => Ok(Ok(table)),
        Err(problem) => match problem.code {
            Code::TimezoneNotCounted => Ok(Err(NoAnswer::NotCounted)),
            Code::UsageTooLarge => Ok(Err(NoAnswer::TooLarge)),
            _ => Err(problem),
        },
    }
}

/// The use of the range without filters, by all keys.
async fn whole(visit: &Visit<'_>, question: &Question) -> Result<Answer, Problem> {
    let request = question.request_of_names(&visit.format.zone);
    let group_by = request.group_by;
    let report = visit.usage().report(request).await;
    or_reason(report.map(|report| UsageTable::new(report, group_by)))
}

/// The names of the members in some tables and in the filter.
async fn names(
    call: &Call,
    visit: &Visit<'_>,
    tables: [Option<&UsageTable>; 2],
    question: &Question,
) -> Result<Names, Problem> {
    let parts =
        tables.into_iter().flatten().flat_map(|table| table.totals_by(|group| By::Member.part(group)));
    let mut members: BTreeSet<MemberId> = parts.filter_map(|(part, _)| part.member).collect();
    if let Named::Is(member) = &question.filter.member {
        members.insert(member.clone());
    }
    Names::of(call, visit.workspace(), members).await
}

/// `GET /portal/usage`.
async fn show(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().usage;
    let (question, fault) = asked(&call, &visit);
    let whole = whole(&visit, &question).await?.ok();
    let answered = match fault {
        Some(fault) => Err(NoAnswer::Fault(fault)),
        None => or_reason(answer(&visit, &question).await)?,
    };
    let names = names(&call, &visit, [whole.as_ref(), answered.as_ref().ok()], &question).await?;
    let reading = Reading { call: &call, visit: &visit, question, whole, names };
    let reason = answered.as_ref().err().map(|reason| reason.sentence(words));
    let shown = match answered {
        Ok(table) => Some(reading.shown(&table).await?),
        Err(_) => None,
    };
    let template = UsagePage {
        frame: visit.frame(Tab::Usage),
        words,
        title: (words.title)(reading.question.by.name()),
        label: (words.label)(reading.question.by.name()),
        range: reading.range(),
        zone: (words.zone)(&visit.zone(call.now)),
        is_own: own_use(&visit).is_some(),
        spans: filters::spans(&reading.question, words, fault.is_none()),
        groupings: filters::groupings(&reading.question, words),
        filters: Filters::of(
            call.query(),
            &reading.question,
            reading.whole.as_ref(),
            &reading.names,
            words,
            fault,
        ),
        reason,
        shown,
    };
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(page(status, &template))
}

/// `GET /portal/usage.csv`.
async fn csv(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let (question, fault) = asked(&call, &visit);
    if let Some(fault) = fault {
        return Err(Problem::parameter(fault.field(), "is not valid"));
    }
    let table = answer(&visit, &question).await?;
    let (first, last) = question.days();
    let name = format!("attachment; filename=\"usage-{first}-{last}.csv\"");
    let bytes = table.bytes();
    let mut response = call.work(bytes, move || table.csv(true).into_response()).await;
    let name = HeaderValue::try_from(name).expect("dates are ASCII");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

impl Reading<'_> {
    fn words(&self) -> &'static UsageWords {
        &self.visit.words().usage
    }

    /// The days of the range.
    fn range(&self) -> String {
        let (first, last) = self.question.days();
        let format = &self.visit.format;
        let text = match first == last {
            true => format.date(first),
            false => (self.words().from_to)(&format.date(first), &format.date(last)),
        };
        if self.question.is_so_far() { (self.words().so_far)(&text) } else { text }
    }

    /// How a name is shown.
    fn name(&self, part: &UsageGroup) -> String {
        name_of(self.question.by, part, &self.names, self.words())
    }

    /// The chart; `None` if nothing was used.
    fn chart(&self, table: &UsageTable) -> Option<ChartHtml> {
        let by = self.question.by;
        let series = table.series(SERIES_MAX).filter(|series| !series.series.is_empty())?;
        let whole = match &self.whole {
            Some(whole) => {
                whole.totals_by(|group| by.part(group)).into_iter().map(|(part, _)| part).collect()
            }
            None => table.names(),
        };
        let words = &self.visit.words().chart;
        let data = ChartData::of(series, self.call.now, &whole, &|part: &UsageGroup| self.name(part), words);
        Some(chart("use", (self.words().title)(by.name()), &data, words))
    }

    /// What is shown of the range.
    async fn shown(&self, table: &UsageTable) -> Result<Shown, Problem> {
        let format = &self.visit.format;
        let total = table.total();
        let used = net(total);
        let is_empty = table.is_empty();
        Ok(Shown {
            usd: format.usd(used),
            credits: format.micro_units(used),
            summary: (self.words().summary)(
                &format.number(total.runs),
                &format.usd(total.charged),
                &format.usd(total.refunded),
            ),
            chart: self.chart(table),
            rows: Rows::of(table, &self.question, &self.names, self.words(), format),
            csv: self.question.address(CSV_PATH),
            charges: self.question.address_of_charges(charges::PATH),
            last_day: if is_empty { self.last_day().await? } else { None },
        })
    }

    /// The last day with charges that fit the filters; if there is none, without the filters.
    async fn last_day(&self) -> Result<Option<Choice>, Problem> {
        fn is<T: Clone>(named: &Named<T>) -> Named<T> {
            if let Named::Is(name) = named { Named::Is(name.clone()) } else { Named::Any }
        }
        let UsageFilter { operation, worker, member, api_key: _ } = &self.question.filter;
        // The list of charges has no filter for an API key, and none for the absence of a name.
        let filtered = UsageFilter {
            operation: is(operation),
            worker: is(worker),
            member: is(member),
            api_key: Named::Any,
        };
        for filter in [filtered, self.question.unfiltered().filter] {
            if let Some(at) = self.newest(&filter).await? {
                let day = self.visit.format.date_at(at);
                let question = Question { span: Span::Own(day, day), filter, ..self.question.clone() };
                let text = (self.words().last_day)(&self.visit.format.date(day));
                return Ok(Some(Choice { href: question.address(PATH), text, is_current: false }));
            }
        }
        Ok(None)
    }

    /// The time of the newest charge that fits.
    async fn newest(&self, filter: &UsageFilter) -> Result<Option<Timestamp>, Problem> {
        fn name<T: Clone>(named: &Named<T>) -> Option<T> {
            if let Named::Is(name) = named { Some(name.clone()) } else { None }
        }
        let filter = ChargeFilter {
            operation: name(&filter.operation),
            worker: name(&filter.worker),
            member: name(&filter.member),
            ..ChargeFilter::default()
        };
        let workspace = self.visit.workspace();
        let newest = Page { limit: 1, cursor: None };
        let found = existing(workspace, self.call.app.engine().charges(workspace, filter, newest).await?)?;
        Ok(found.data.first().map(|charge| charge.created_at))
    }
}
