//! The first page of the console: the search for a workspace.
//!
//! A text is looked for as an id, then in the names. Without a session the page is the form to sign
//! in.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::{NameQuery, Page, Reads, WorkspaceFilter, WorkspaceRecord};
use tollkeeper_ledger::bounds::PAGE_DEFAULT;
use tollkeeper_ledger::{Micros, Profile, WorkspaceId};

use super::frame::{ConsoleFrame, ConsoleTab, ConsoleVisit};
use super::sign_in;
use crate::access::Rule;
use crate::dashboard::links::{CURSOR, PageLinks, TRAIL};
use crate::dashboard::page::{CONSOLE, page};
use crate::dashboard::words::ConsoleWords;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, CONSOLE, Rule::Public, "Workspaces, or the sign-in", |call| {
        Box::pin(show(call))
    })
    .page()
    .parameters(&["q", "only", CURSOR, TRAIL])
    .problems(&[Code::StoreUnavailable])];

/// The most times that a page asks the engine. Each looks at thousands of workspaces.
const ROUNDS_MAX: usize = 4;

#[derive(Template)]
#[template(path = "dashboard/console/workspaces.html")]
struct Workspaces<'a> {
    frame: ConsoleFrame<'a>,
    words: &'static ConsoleWords,
    query: &'a str,
    choices: [Choice; 3],
    rows: Vec<Row>,
    links: PageLinks,
}

/// Which workspaces are listed.
struct Choice {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

struct Row {
    path: String,
    name: String,
    id: String,
    is_suspended: bool,
    /// What is owed; `None` if nothing is.
    debt: Option<String>,
    last_used: String,
    created: String,
}

/// The path of the page of a workspace.
pub fn path_of(workspace: &WorkspaceId) -> String {
    format!("{CONSOLE}/workspaces/{workspace}")
}

/// `GET /console`.
async fn show(call: Call) -> Result<Response, Problem> {
    let Some(operator) = call.app.access.operator_session(call.headers(), call.now).await? else {
        return Ok(sign_in::form(&call));
    };
    let visit = ConsoleVisit::of(&call, &operator);
    let words = visit.console();
    let text = |name: &str| call.query().get(name).map(str::trim).filter(|text| !text.is_empty());
    let (query, only) = (text("q").unwrap_or_default(), text("only").unwrap_or_default());
    let choice = |value, label| Choice { value, label, is_chosen: value == only };
    let cursor = text(CURSOR).map(str::to_owned);
    let is_first = cursor.is_none() && only.is_empty();
    let named = if is_first { of_id(&call, query).await? } else { None };
    let (listed, next) = list(&call, query, only, cursor).await?;
    let unknown = || words.use_unknown.to_owned();
    let rows = named.iter().map(|(profile, debt)| row(&visit, profile, *debt, unknown()));
    let is_new =
        |record: &&WorkspaceRecord| named.as_ref().is_none_or(|(profile, _)| profile.id != record.profile.id);
    let listed = listed.iter().filter(is_new).map(|WorkspaceRecord { profile, debt, last_used_at }| {
        let used = last_used_at.map_or_else(|| words.never_used.to_owned(), |at| visit.format.time(at));
        row(&visit, profile, *debt, used)
    });
    let parameters = [("q", query), ("only", only)];
    let shown = Workspaces {
        frame: visit.frame(ConsoleTab::Workspaces),
        words,
        query,
        choices: [
            choice("", words.all),
            choice("suspended", words.only_suspended),
            choice("debt", words.only_in_debt),
        ],
        rows: rows.chain(listed).collect(),
        links: PageLinks::of(CONSOLE, &parameters, call.query(), next.as_deref()),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// The workspace with this id.
async fn of_id(call: &Call, text: &str) -> Result<Option<(Profile, Micros)>, Problem> {
    let Ok(id) = WorkspaceId::new(text) else { return Ok(None) };
    let engine = call.app.engine();
    let Some(profile) = engine.workspace(&id).await? else { return Ok(None) };
    let debt = engine.balance(&id, None).await?.map_or(Micros::ZERO, |balance| balance.balance.debt);
    Ok(Some((profile, debt)))
}

/// A page of the workspaces with this text in their names, and the cursor of the next one.
async fn list(
    call: &Call,
    query: &str,
    only: &str,
    mut cursor: Option<String>,
) -> Result<(Vec<WorkspaceRecord>, Option<String>), Problem> {
    let name = match (query, NameQuery::new(query)) {
        ("", _) => None,
        (_, Some(name)) => Some(name),
        // A text without a letter or a digit is in no name.
        (_, None) => return Ok((Vec::new(), None)),
    };
    let mut rows = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let filter = WorkspaceFilter {
            name: name.clone(),
            suspended: (only == "suspended").then_some(true),
            debt: (only == "debt").then_some(true),
            unused_since: None,
        };
        let page = Page { limit: PAGE_DEFAULT - rows.len(), cursor };
        let listing = call.app.engine().workspaces(filter, page).await?;
        rows.extend(listing.data);
        cursor = listing.next;
        if cursor.is_none() || rows.len() == PAGE_DEFAULT {
            break;
        }
    }
    Ok((rows, cursor))
}

fn row(visit: &ConsoleVisit<'_>, profile: &Profile, debt: Micros, last_used: String) -> Row {
    let format = &visit.format;
    Row {
        path: path_of(&profile.id),
        name: profile.name.to_string(),
        id: profile.id.to_string(),
        is_suspended: profile.suspended,
        debt: (debt > Micros::ZERO).then(|| format.usd(debt)),
        last_used,
        created: format.date(format.date_at(profile.created_at)),
    }
}
