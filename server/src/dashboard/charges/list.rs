//! The list of charges, newest first, fifty a page, with its filters.
//!
//! The filters are those of the API; days are those of the workspace's time zone. A search looks at
//! a bounded number of charges at a time, so a page may have fewer rows although there are more.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_engine::{ChargeFilter, Listing, Page, Reads};
use tollkeeper_ledger::bounds::PAGE_DEFAULT;
use tollkeeper_ledger::{Charge, MemberId, OperationId, Status, WorkerId, WorkspaceId};

use super::PATH;
use super::row::ChargeRow;
use crate::dashboard::frame::{Frame, Tab, Visit};
use crate::dashboard::links::{CURSOR, PageLinks, TRAIL};
use crate::dashboard::names::Names;
use crate::dashboard::page::page;
use crate::dashboard::usage::own_use;
use crate::dashboard::words::ChargeWords;
use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::reports::local_time::{days_after, read_date, start_of};
use crate::wire::read::{ShortText, Word};

/// The query parameters of the list.
pub const PARAMETERS: &[&str] =
    &["operation", "worker", "member", "status", "reference", "from", "to", CURSOR, TRAIL];

/// The filters among them.
const FILTERS: [&str; 7] = ["operation", "worker", "member", "status", "reference", "from", "to"];

/// The most times that a page asks the engine. Each looks at thousands of charges.
const ROUNDS_MAX: usize = 4;

#[derive(Template)]
#[template(path = "dashboard/charges.html")]
struct ChargesPage<'a> {
    frame: Frame<'a>,
    words: &'static ChargeWords,
    /// The time zone of times and days.
    zone: String,
    /// Whether the reader sees their own charges alone.
    is_own: bool,
    fields: Vec<Field>,
    statuses: Vec<StatusOption>,
    /// Whether any filter is set.
    is_filtered: bool,
    /// Why no charges are shown.
    reason: Option<&'static str>,
    rows: Vec<ChargeRow>,
    /// What is said if there are no rows.
    nothing: &'static str,
    links: PageLinks,
}

/// A field of the form, with what was entered.
struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    is_wrong: bool,
    suggestions: Vec<String>,
}

/// A status that can be chosen.
struct StatusOption {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

/// A text of the query that is not empty.
fn given<'q>(query: &'q Query, name: &str) -> Option<&'q str> {
    query.get(name).map(str::trim).filter(|text| !text.is_empty())
}

/// The conditions that charges meet.
///
/// # Errors
/// The name of the first field that is at fault.
fn filter(query: &Query, visit: &Visit<'_>, own: Option<MemberId>) -> Result<ChargeFilter, &'static str> {
    fn read<T>(
        query: &Query,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, &'static str> {
        match given(query, name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or(name),
        }
    }
    let zone = &visit.format.zone;
    let member = read(query, "member", |text| MemberId::new(text).ok())?;
    Ok(ChargeFilter {
        operation: read(query, "operation", |text| OperationId::new(text).ok())?,
        worker: read(query, "worker", |text| WorkerId::new(text).ok())?,
        member: own.or(member),
        status: read(query, "status", Status::named)?,
        reference: read(query, "reference", |text| ShortText::read(text).ok().map(|ShortText(text)| text))?,
        from: read(query, "from", read_date)?.map(|first| start_of(zone, first)),
        to: read(query, "to", read_date)?.map(|last| start_of(zone, days_after(last, 1))),
    })
}

/// A page of charges. It is filled by further questions while a filter finds few.
async fn charges(
    call: &Call,
    workspace: &WorkspaceId,
    filter: ChargeFilter,
    page: Page,
) -> Result<Listing<Charge>, Problem> {
    let engine = call.app.engine();
    let mut listing = Listing { data: Vec::new(), next: page.cursor.clone() };
    for _ in 0..ROUNDS_MAX {
        let part = Page { limit: page.limit - listing.data.len(), cursor: listing.next.take() };
        let found = existing(workspace, engine.charges(workspace, filter.clone(), part).await?)?;
        listing.data.extend(found.data);
        listing.next = found.next;
        if listing.next.is_none() || listing.data.len() >= page.limit {
            break;
        }
    }
    Ok(listing)
}

/// `GET /portal/charges`.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().charges;
    let query = call.query();
    let own = own_use(&visit);
    let is_own = own.is_some();
    let (listing, wrong) = match filter(query, &visit, own) {
        Ok(filter) => {
            // An empty cursor asks for the first page.
            let page = Page { limit: PAGE_DEFAULT, cursor: given(query, CURSOR).map(str::to_owned) };
            (charges(&call, visit.workspace(), filter, page).await?, None)
        }
        Err(field) => (Listing { data: Vec::new(), next: None }, Some(field)),
    };
    let members = listing.data.iter().filter_map(|charge| charge.details.spender.member.clone()).collect();
    let names = Names::of(&call, visit.workspace(), members).await?;
    let parameters = FILTERS.map(|name| (name, given(query, name).unwrap_or_default()));
    let is_filtered = parameters.iter().any(|(_, value)| !value.is_empty());
    let nothing = match (&listing.next, is_filtered || given(query, CURSOR).is_some()) {
        (Some(_), _) => words.none_so_far,
        (None, true) => words.none_fits,
        (None, false) => words.none_ever,
    };
    let rows = listing.data.iter();
    let template = ChargesPage {
        frame: visit.frame(Tab::Charges),
        words,
        zone: (words.zone)(&visit.zone(call.now)),
        is_own,
        fields: fields(&call, words, is_own, wrong),
        statuses: statuses(query, words),
        is_filtered,
        reason: wrong
            .map(|field| if matches!(field, "from" | "to") { words.day_wrong } else { words.name_wrong }),
        rows: rows.map(|charge| ChargeRow::of(charge, &names, words, &visit.format, call.now)).collect(),
        nothing,
        links: PageLinks::of(PATH, &parameters, query, listing.next.as_deref()),
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(page(status, &template))
}

/// The fields of the form. Operations are suggested from the prices in force.
fn fields(call: &Call, words: &ChargeWords, is_own: bool, wrong: Option<&'static str>) -> Vec<Field> {
    let platform = call.app.engine().platform();
    let in_force = platform.price_book.in_force(call.now).map(|version| &version.operations[..]);
    let operations = in_force.unwrap_or_default().iter().map(|operation| operation.id.to_string());
    let mut operations: Vec<String> = operations.take(SUGGESTIONS_MAX).collect();
    let all = [
        ("operation", words.operation, "text"),
        ("worker", words.worker, "text"),
        ("member", words.member, "text"),
        ("reference", words.reference, "text"),
        ("from", words.from, "date"),
        ("to", words.to, "date"),
    ];
    let shown = all.into_iter().filter(|(name, ..)| !(is_own && *name == "member"));
    let field = |(name, label, kind)| Field {
        name,
        label,
        kind,
        value: given(call.query(), name).unwrap_or_default().to_owned(),
        is_wrong: wrong == Some(name),
        suggestions: if name == "operation" { std::mem::take(&mut operations) } else { Vec::new() },
    };
    shown.map(field).collect()
}

/// The most operations that are suggested.
const SUGGESTIONS_MAX: usize = 100;

/// The statuses that can be chosen.
fn statuses(query: &Query, words: &ChargeWords) -> Vec<StatusOption> {
    let option = |(status, text): (Status, &'static str)| StatusOption {
        value: status.as_str(),
        text,
        is_chosen: given(query, "status") == Some(status.as_str()),
    };
    let all = [
        (Status::Pending, words.status_pending),
        (Status::Settled, words.status_settled),
        (Status::Refunded, words.status_refunded),
    ];
    all.into_iter().map(option).collect()
}
