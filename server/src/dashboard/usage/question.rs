//! What the page of use is asked: a range, a grouping and filters, as its address has them.
//!
//! The page, its chart, its table and its comma-separated values read the same question, so that
//! they show the same numbers.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use tollkeeper_engine::{GroupBy, Named, TimeStep, UsageFilter, UsageGroup, UsageRequest};
use tollkeeper_ledger::{ApiKeyId, MemberId, OperationId, WorkerId};

use crate::dashboard::links::address;
use crate::http::query::Query;
use crate::reports::local_time::{days_after, days_before, read_date, start_of};

/// The query parameters of a question.
pub const PARAMETERS: &[&str] = &["range", "from", "to", "by", "operation", "worker", "member", "key"];

/// The value of a filter for charges without such a name. No name contains it.
pub const WITHOUT: &str = "~";

/// The most days of a range.
pub const DAYS_MAX: u32 = 366;

/// A range of days. All but an own one move with the present day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    Today,
    Week,
    #[default]
    Days30,
    Days90,
    ThisMonth,
    LastMonth,
    /// From the first to the last day, both included.
    Own(Date, Date),
}

impl Span {
    /// Those that move with the present day, in the order in which they are offered.
    pub const MOVING: [Span; 6] =
        [Span::Today, Span::Week, Span::Days30, Span::Days90, Span::ThisMonth, Span::LastMonth];

    /// The value of the parameter; empty for the range of a page without one.
    pub fn name(self) -> &'static str {
        match self {
            Span::Today => "today",
            Span::Week => "7",
            Span::Days90 => "90",
            Span::ThisMonth => "month",
            Span::LastMonth => "last-month",
            Span::Days30 | Span::Own(..) => "",
        }
    }

    /// The first and the last day.
    pub fn days(self, today: Date) -> (Date, Date) {
        match self {
            Span::Today => (today, today),
            Span::Week => (days_before(today, 6), today),
            Span::Days30 => (days_before(today, 29), today),
            Span::Days90 => (days_before(today, 89), today),
            Span::ThisMonth => (today.first_of_month(), today),
            Span::LastMonth => {
                let last = days_before(today.first_of_month(), 1);
                (last.first_of_month(), last)
            }
            Span::Own(first, last) => (first, last),
        }
    }
}

/// What has a row, and a color in the chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Operation,
    Worker,
    Member,
    Key,
}

impl By {
    /// In the order in which they are offered.
    pub const ALL: [By; 4] = [By::Operation, By::Worker, By::Member, By::Key];

    /// The value of the parameter, which is also the name of the filter.
    pub fn name(self) -> &'static str {
        match self {
            By::Operation => "operation",
            By::Worker => "worker",
            By::Member => "member",
            By::Key => "key",
        }
    }

    fn group_by(self, time: Option<TimeStep>) -> GroupBy {
        GroupBy {
            operation: self == By::Operation,
            worker: self == By::Worker,
            member: self == By::Member,
            api_key: self == By::Key,
            time,
            ..GroupBy::default()
        }
    }

    /// The part of a row's keys that it is grouped by.
    pub fn part(self, group: &UsageGroup) -> UsageGroup {
        let UsageGroup { operation, worker, member, api_key, .. } = group.clone();
        UsageGroup {
            operation: operation.filter(|_| self == By::Operation),
            worker: worker.filter(|_| self == By::Worker),
            member: member.filter(|_| self == By::Member),
            api_key: api_key.filter(|_| self == By::Key),
            ..UsageGroup::default()
        }
    }

    /// The value of the filter for a name of such a part.
    pub fn value(self, part: &UsageGroup) -> String {
        let value = match self {
            By::Operation => part.operation.as_ref().map(ToString::to_string),
            By::Worker => part.worker.as_ref().map(ToString::to_string),
            By::Member => part.member.as_ref().map(ToString::to_string),
            By::Key => part.api_key.map(|key| key.to_string()),
        };
        value.unwrap_or_else(|| WITHOUT.to_owned())
    }
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A day of the range is absent or no date; the name of its field.
    Day(&'static str),
    /// The range ends before it begins.
    Backwards,
    /// The range has more than [`DAYS_MAX`] days.
    TooLong,
    /// The text cannot be such a name.
    Name(By),
}

impl Fault {
    /// The name of the field that is at fault.
    pub fn field(self) -> &'static str {
        match self {
            Fault::Day(field) => field,
            Fault::Backwards => "to",
            Fault::TooLong => "from",
            Fault::Name(by) => by.name(),
        }
    }
}

/// A question about use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub span: Span,
    pub by: By,
    pub filter: UsageFilter,
    /// The present day.
    pub today: Date,
    /// The member whose use alone is shown, if it is one who does not see that of others.
    pub own: Option<MemberId>,
}

impl Question {
    /// The question without filters, about the range of a page without parameters.
    pub fn new(today: Date, own: Option<MemberId>) -> Question {
        let member = own.clone().map_or(Named::Any, Named::Is);
        let filter = UsageFilter { member, ..UsageFilter::default() };
        Question { span: Span::default(), by: By::default(), filter, today, own }
    }

    /// Reads the question. An unknown range or grouping is the one of a page without parameters. If
    /// a field is at fault, the question has what can be read of the others.
    pub fn read(query: &Query, today: Date, own: Option<MemberId>) -> (Question, Option<Fault>) {
        let mut question = Question::new(today, own);
        let given = |name| query.get(name).map(str::trim).filter(|text| !text.is_empty());
        let span = Span::MOVING.into_iter().find(|span| given("range") == Some(span.name()));
        question.span = span.unwrap_or_default();
        let by = question.groupings().find(|by| given("by") == Some(by.name()));
        question.by = by.unwrap_or_default();
        let mut fault = None;
        match own_span(given("from"), given("to"), today) {
            Ok(span) => question.span = span.unwrap_or(question.span),
            Err(of_range) => fault = Some(of_range),
        }
        for by in By::ALL {
            let Some(text) = given(by.name()) else { continue };
            if question.set(by, text).is_none() {
                fault = fault.or(Some(Fault::Name(by)));
            }
        }
        (question, fault)
    }

    /// Sets a filter; `None` if the text cannot be such a name. The member stays the one whose use
    /// alone is shown.
    #[must_use]
    pub fn set(&mut self, by: By, text: &str) -> Option<()> {
        fn named<T>(text: &str, name: impl FnOnce(&str) -> Option<T>) -> Option<Named<T>> {
            if text == WITHOUT { Some(Named::Absent) } else { name(text).map(Named::Is) }
        }
        let filter = &mut self.filter;
        match by {
            By::Operation => filter.operation = Named::Is(OperationId::new(text).ok()?),
            By::Worker => filter.worker = named(text, |text| WorkerId::new(text).ok())?,
            By::Member => {
                let member = named(text, |text| MemberId::new(text).ok())?;
                if self.own.is_none() {
                    filter.member = member;
                }
            }
            By::Key => filter.api_key = named(text, |text| text.parse::<ApiKeyId>().ok())?,
        }
        Some(())
    }

    /// The value of a filter; empty without one.
    pub fn value(&self, by: By) -> String {
        fn text<T: ToString>(named: &Named<T>) -> String {
            match named {
                Named::Any => String::new(),
                Named::Absent => WITHOUT.to_owned(),
                Named::Is(name) => name.to_string(),
            }
        }
        let UsageFilter { operation, worker, member, api_key } = &self.filter;
        match by {
            By::Operation => text(operation),
            By::Worker => text(worker),
            By::Member if self.own.is_some() => String::new(),
            By::Member => text(member),
            By::Key => text(api_key),
        }
    }

    /// Whether any filter is set that can be taken away.
    pub fn is_filtered(&self) -> bool {
        By::ALL.into_iter().any(|by| !self.value(by).is_empty())
    }

    /// The same question without filters.
    pub fn unfiltered(&self) -> Question {
        Question { span: self.span, by: self.by, ..Question::new(self.today, self.own.clone()) }
    }

    /// The groupings that show more than one row.
    pub fn groupings(&self) -> impl Iterator<Item = By> {
        let is_own = self.own.is_some();
        By::ALL.into_iter().filter(move |by| !(is_own && *by == By::Member))
    }

    /// The first and the last day.
    pub fn days(&self) -> (Date, Date) {
        self.span.days(self.today)
    }

    /// Whether the range has not ended.
    pub fn is_so_far(&self) -> bool {
        let (first, last) = self.days();
        (first..=last).contains(&self.today)
    }

    /// The periods of the chart: hours of a single day, else days.
    pub fn step(&self) -> TimeStep {
        let (first, last) = self.days();
        if first == last { TimeStep::Hour } else { TimeStep::Day }
    }

    /// The question to the engine, by periods.
    pub fn request(&self, zone: &TimeZone, step: TimeStep) -> UsageRequest {
        self.request_by(zone, self.by.group_by(Some(step)), self.filter.clone())
    }

    /// The question which names are used in the range, without filters and periods.
    pub fn request_of_names(&self, zone: &TimeZone) -> UsageRequest {
        let group_by =
            GroupBy { operation: true, worker: true, member: true, api_key: true, ..GroupBy::default() };
        self.request_by(zone, group_by, self.unfiltered().filter)
    }

    fn request_by(&self, zone: &TimeZone, group_by: GroupBy, filter: UsageFilter) -> UsageRequest {
        let (first, last) = self.days();
        let (from, to) = (start_of(zone, first), start_of(zone, days_after(last, 1)));
        UsageRequest { from, to, timezone: None, group_by, filter }
    }

    /// The address of the question under a path.
    pub fn address(&self, path: &str) -> String {
        let days = match self.span {
            Span::Own(first, last) => [first.to_string(), last.to_string()],
            _ => Default::default(),
        };
        let by = if self.by == By::default() { "" } else { self.by.name() };
        let filters = By::ALL.map(|by| self.value(by));
        let fixed =
            [("range", self.span.name()), ("from", days[0].as_str()), ("to", days[1].as_str()), ("by", by)];
        let filters = By::ALL.into_iter().zip(&filters).map(|(by, value)| (by.name(), value.as_str()));
        address(path, fixed.into_iter().chain(filters))
    }

    /// The address of the list of the charges in the range. It has no filter for an API key, and
    /// none for the absence of a name.
    pub fn address_of_charges(&self, path: &str) -> String {
        let (first, last) = self.days();
        let days = [first.to_string(), last.to_string()];
        let names = [By::Operation, By::Worker, By::Member].map(|by| (by.name(), self.value(by)));
        let names =
            names.iter().filter(|(_, value)| value != WITHOUT).map(|(name, value)| (*name, value.as_str()));
        address(path, names.chain([("from", days[0].as_str()), ("to", days[1].as_str())]))
    }
}

/// The own range of two days; `None` if neither is given. Without a last day it ends today.
fn own_span(from: Option<&str>, to: Option<&str>, today: Date) -> Result<Option<Span>, Fault> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let first = from.and_then(read_date).ok_or(Fault::Day("from"))?;
    let last = match to {
        None => today,
        Some(to) => read_date(to).ok_or(Fault::Day("to"))?,
    };
    if last < first {
        return Err(Fault::Backwards);
    }
    if days_after(first, DAYS_MAX - 1) < last {
        return Err(Fault::TooLong);
    }
    Ok(Some(Span::Own(first, last)))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2026, 3, 1);

    fn read(query: &str, own: Option<&str>) -> (Question, Option<Fault>) {
        let uri = format!("/portal/usage?{query}").parse().expect("an address");
        let query = Query::read(&uri, PARAMETERS).expect("known parameters");
        Question::read(&query, TODAY, own.and_then(|own| MemberId::new(own).ok()))
    }

    #[test]
    fn a_range_moves_with_the_day() {
        for (query, first, last) in [
            ("", date(2026, 1, 31), TODAY),
            ("range=today", TODAY, TODAY),
            ("range=7", date(2026, 2, 23), TODAY),
            ("range=90", date(2025, 12, 2), TODAY),
            ("range=month", TODAY, TODAY),
            ("range=last-month", date(2026, 2, 1), date(2026, 2, 28)),
            ("range=unknown", date(2026, 1, 31), TODAY),
            ("range=7&from=2026-01-02&to=2026-01-03", date(2026, 1, 2), date(2026, 1, 3)),
            ("from=2026-02-01", date(2026, 2, 1), TODAY),
        ] {
            let (question, fault) = read(query, None);
            assert_eq!((question.days(), fault), ((first, last), None), "{query}");
        }
    }

    #[test]
    fn an_address_asks_the_same_question() {
        for query in [
            "",
            "range=90&by=worker",
            "range=last-month&worker=w-7&member=%7E",
            "from=2026-01-02&to=2026-01-03&operation=support_message&key=ak_01991234-5678-7abc-bfff-0123456789ab",
        ] {
            let (question, fault) = read(query, None);
            assert_eq!(fault, None, "{query}");
            let address = question.address("/portal/usage");
            assert_eq!(address.trim_start_matches("/portal/usage").trim_start_matches('?'), query);
        }
    }

    #[test]
    fn a_fault_names_its_field_and_the_rest_is_read() {
        for (query, fault) in [
            ("from=yesterday", Fault::Day("from")),
            ("to=2026-01-01", Fault::Day("from")),
            ("from=2026-01-01&to=2026-13-01", Fault::Day("to")),
            ("from=2026-01-02&to=2026-01-01", Fault::Backwards),
            ("from=2025-02-28&to=2026-03-01", Fault::TooLong),
            ("worker=a%20b", Fault::Name(By::Worker)),
            ("operation=%7E", Fault::Name(By::Operation)),
            ("member=..", Fault::Name(By::Member)),
            ("key=secret", Fault::Name(By::Key)),
        ] {
            let (question, found) = read(&format!("{query}&by=member"), None);
            assert_eq!((found, question.by), (Some(fault), By::Member), "{query}");
        }
        assert_eq!(read("from=2025-03-01&to=2026-03-01", None).1, None, "366 days");
    }

    #[test]
    fn a_member_who_sees_no_others_asks_about_their_own_use_alone() {
        for query in ["", "member=ada", "member=%7E", "member=bob"] {
            let (question, _) = read(query, Some("bob"));
            assert_eq!(question.filter.member, Named::Is(MemberId::new("bob").expect("an id")), "{query}");
            assert_eq!(question.unfiltered().filter.member, question.filter.member);
            assert_eq!(question.address("/portal/usage"), "/portal/usage", "the address does not say it");
            assert!(!question.groupings().any(|by| by == By::Member) && !question.is_filtered());
        }
    }
}
