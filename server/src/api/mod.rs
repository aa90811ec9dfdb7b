//! The table of routes: for each its path, whom it is open to, what it takes and gives, and which handler runs. The
//! router, the authorisation, the metrics and the API's description are all made from it, so a route cannot be without
//! a rule or a description.

mod api_keys;
mod batch;
mod charges;
pub(crate) mod docs;
mod entries;
mod grants;
mod health;
pub mod limits;
mod members;
pub(crate) mod openapi;
mod outcomes;
mod price_book;
mod quote;
mod workspaces;

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::{Listing, Page};
use tollkeeper_ledger::Role;
use tollkeeper_ledger::Scope::{Charge, Manage, Read};
use tollkeeper_ledger::Timestamp;

use crate::access::Rule::{self, AnyWorkspace, Platform, Public, SignedIn, Workspace};
use crate::http::call::Call;

use self::openapi::{Shape, list_of, of};
use crate::dashboard::sign_in;
use crate::http::problem::{Code, Problem};

/// What a handler answers, later.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// A line of the table.
#[derive(Debug)]
pub struct Route {
    /// The method; `HEAD` is answered where `GET` is.
    pub method: Method,
    /// The path, with names in braces.
    pub path: &'static str,
    /// Whom it is open to.
    pub rule: Rule,
    /// Whether whatever it does or tells is a command's in the caller's name: the decision then confirms who asks, and the
    /// edge may go by what it saw last of the team.
    pub confirmed: bool,
    /// Whether people look at its answers in a browser.
    pub page: bool,
    /// What it does, for people.
    pub summary: &'static str,
    /// The handler.
    pub run: fn(Call) -> Answering,
    /// The query parameters it knows.
    pub parameters: &'static [&'static str],
    /// Whether it asks for an `Idempotency-Key`.
    pub keyed: bool,
    /// The body it takes.
    pub body: Option<fn() -> Shape>,
    /// The status of its success, and what it then gives (`None`: no JSON).
    pub answer: (u16, Option<fn() -> Shape>),
    /// The problems of its own, beside those that follow from the rest of the line.
    pub codes: &'static [Code],
}

impl Route {
    const fn new(
        method: Method,
        path: &'static str,
        rule: Rule,
        summary: &'static str,
        run: fn(Call) -> Answering,
    ) -> Route {
        let answer = (200, None);
        Route {
            method,
            path,
            rule,
            confirmed: false,
            page: false,
            summary,
            run,
            parameters: &[],
            keyed: false,
            body: None,
            answer,
            codes: &[],
        }
    }

    const fn confirmed(mut self) -> Route {
        self.confirmed = true;
        self
    }

    const fn page(mut self) -> Route {
        self.page = true;
        self
    }

    const fn parameters(mut self, names: &'static [&'static str]) -> Route {
        self.parameters = names;
        self
    }

    const fn keyed(mut self) -> Route {
        self.keyed = true;
        self
    }

    const fn takes(mut self, body: fn() -> Shape) -> Route {
        self.body = Some(body);
        self
    }

    const fn gives(mut self, status: u16, shape: fn() -> Shape) -> Route {
        self.answer = (status, Some(shape));
        self
    }

    const fn gives_nothing(mut self) -> Route {
        self.answer = (204, None);
        self
    }

    const fn redirects(mut self) -> Route {
        self.answer = (303, None);
        self
    }

    const fn refuses(mut self, codes: &'static [Code]) -> Route {
        self.codes = codes;
        self
    }
}

const PAGE: &[&str] = &["limit", "cursor"];

/// Every route there is.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/v1/workspaces", Platform, "Open a workspace", |call| {
        Box::pin(workspaces::create(call))
    })
    .takes(of::<workspaces::WorkspaceIn>)
    .gives(201, of::<workspaces::WorkspaceJson>)
    .refuses(&[Code::WorkspaceExists]),
    Route::new(Method::GET, "/v1/workspaces", Platform, "List workspaces", |call| {
        Box::pin(workspaces::list(call))
    })
    .parameters(PAGE)
    .gives(200, list_of::<workspaces::WorkspaceJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}",
        Workspace(&[Read]),
        "Describe a workspace",
        |call| Box::pin(workspaces::get(call)),
    )
    .gives(200, of::<workspaces::WorkspaceJson>),
    Route::new(
        Method::PATCH,
        "/v1/workspaces/{workspace}",
        Workspace(&[Manage]),
        "Change a workspace",
        |call| Box::pin(workspaces::change(call)),
    )
    .takes(of::<workspaces::WorkspaceChangesIn>)
    .gives(200, of::<workspaces::WorkspaceJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/balance",
        Workspace(&[Read]),
        "Tell the balance, now or then",
        |call| Box::pin(workspaces::balance(call)),
    )
    .parameters(&["at"])
    .gives(200, of::<workspaces::BalanceJson>),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges",
        Workspace(&[Charge]),
        "Pay for an operation before it runs",
        |call| Box::pin(charges::open(call)),
    )
    .confirmed()
    .keyed()
    .takes(of::<charges::ChargeIn>)
    .gives(201, of::<charges::ChargeJson>)
    .refuses(CHARGE_CODES),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/charges",
        Workspace(&[Read]),
        "List charges, newest first",
        |call| Box::pin(charges::list(call)),
    )
    .parameters(charges::FILTERS)
    .gives(200, list_of::<charges::ChargeJson>),
    Route::new(
        Method::POST,
        "/v1/charges/batch",
        AnyWorkspace(&[Charge]),
        "Pay for up to 1,000 operations, each decided alone",
        |call| Box::pin(batch::open(call)),
    )
    .confirmed()
    .takes(of::<batch::BatchIn>)
    .gives(200, of::<batch::BatchJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/charges/{charge}",
        Workspace(&[Read]),
        "Tell all of a charge",
        |call| Box::pin(charges::get(call)),
    )
    .gives(200, of::<charges::ChargeJson>),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/outcome",
        Workspace(&[Charge]),
        "Say what became of the operation",
        |call| Box::pin(outcomes::report(call)),
    )
    .confirmed()
    .takes(of::<outcomes::OutcomeIn>)
    .gives(200, of::<charges::ChargeJson>)
    .refuses(&[Code::ChargeAlreadySettled, Code::ChargeAlreadyRefunded, Code::RefundWindowClosed]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/heartbeat",
        Workspace(&[Charge]),
        "Move the deadline of a pending charge",
        |call| Box::pin(outcomes::heartbeat(call)),
    )
    .confirmed()
    .takes(of::<outcomes::HeartbeatIn>)
    .gives(200, of::<charges::ChargeJson>)
    .refuses(&[Code::ChargeAlreadySettled, Code::ChargeAlreadyRefunded]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/refund",
        Platform,
        "Give a charge back, wholly or partly",
        |call| Box::pin(outcomes::refund(call)),
    )
    .keyed()
    .takes(of::<outcomes::RefundIn>)
    .gives(200, of::<charges::ChargeJson>)
    .refuses(&[Code::ChargeAlreadyRefunded, Code::RefundExceedsCharge]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/quote",
        Workspace(&[Charge, Read]),
        "Tell what a charge would cost; moves nothing",
        |call| Box::pin(quote::quote(call)),
    )
    .takes(of::<quote::QuoteIn>)
    .gives(200, of::<quote::QuoteJson>)
    .refuses(&[Code::OperationNotFound]),
    Route::new(Method::POST, "/v1/workspaces/{workspace}/grants", Platform, "Bring credit in", |call| {
        Box::pin(grants::create(call))
    })
    .keyed()
    .takes(of::<grants::GrantIn>)
    .gives(201, of::<grants::GrantJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/grants",
        Platform,
        "List grants, newest first",
        |call| Box::pin(grants::list(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<grants::GrantJson>),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/grants/{grant}/void",
        Platform,
        "Take back what is unspent of a grant",
        |call| Box::pin(grants::void(call)),
    )
    .keyed()
    .takes(of::<grants::VoidIn>)
    .gives(200, of::<grants::GrantJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/entries",
        Workspace(&[Read]),
        "Read the journal, newest first",
        |call| Box::pin(entries::list(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<entries::EntryJson>),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/members",
        Workspace(&[Manage]),
        "Bring a member in",
        |call| Box::pin(members::add(call)),
    )
    .takes(of::<members::MemberIn>)
    .gives(201, of::<members::MemberJson>)
    .refuses(&[Code::MemberExists]),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/members",
        Workspace(&[Manage]),
        "List members, newest first",
        |call| Box::pin(members::list(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<members::MemberJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/members/{member}",
        Workspace(&[Manage]),
        "Describe a member",
        |call| Box::pin(members::get(call)),
    )
    .gives(200, of::<members::MemberJson>),
    Route::new(
        Method::PATCH,
        "/v1/workspaces/{workspace}/members/{member}",
        Workspace(&[Manage]),
        "Change a member",
        |call| Box::pin(members::change(call)),
    )
    .takes(of::<members::MemberChangesIn>)
    .gives(200, of::<members::MemberJson>)
    .refuses(&[Code::LastAdmin]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/members/{member}",
        Workspace(&[Manage]),
        "Take a member out, with the keys and sessions that act in that name",
        |call| Box::pin(members::remove(call)),
    )
    .gives_nothing()
    .refuses(&[Code::LastAdmin]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/api-keys",
        Workspace(&[Manage]),
        "Make an API key",
        |call| Box::pin(api_keys::create(call)),
    )
    .takes(of::<api_keys::ApiKeyIn>)
    .gives(201, of::<api_keys::ApiKeyJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/api-keys",
        Workspace(&[Manage]),
        "List API keys, newest first",
        |call| Box::pin(api_keys::list(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<api_keys::ApiKeyJson>),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/api-keys/{key}",
        Workspace(&[Manage]),
        "Revoke an API key",
        |call| Box::pin(api_keys::revoke(call)),
    )
    .gives_nothing(),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/portal-sessions",
        Platform,
        "Make a link that signs a member in to the dashboard, once",
        |call| Box::pin(sign_in::make_link(call)),
    )
    .takes(of::<sign_in::PortalSessionIn>)
    .gives(201, of::<sign_in::PortalSessionJson>)
    .refuses(&[Code::MemberNotFound]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/portal-sessions",
        Workspace(&[Manage]),
        "End all sessions and links, of one member or of all",
        |call| Box::pin(sign_in::end_all(call)),
    )
    .parameters(&["member"])
    .gives_nothing()
    .refuses(&[Code::MemberNotFound]),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/limits",
        Workspace(&[Read, Manage]),
        "Tell the spending limits and where they stand",
        |call| Box::pin(limits::get(call)),
    )
    .gives(200, of::<limits::LimitsJson>),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/limits",
        Workspace(&[Manage]),
        "Replace the spending limits",
        |call| Box::pin(limits::put(call)),
    )
    .takes(of::<limits::LimitsIn>)
    .gives(200, of::<limits::LimitsJson>),
    Route::new(
        Method::GET,
        "/v1/price-book",
        AnyWorkspace(&[Charge, Read, Manage]),
        "Tell the prices in force",
        |call| Box::pin(price_book::get(call)),
    )
    .gives(200, of::<price_book::PricesJson>)
    .refuses(&[Code::NotFound]),
    Route::new(Method::PUT, "/v1/price-book", Platform, "Make a new version of the prices", |call| {
        Box::pin(price_book::put(call))
    })
    .takes(of::<price_book::PricesIn>)
    .gives(200, of::<price_book::PricesJson>),
    Route::new(
        Method::GET,
        "/v1/price-book/versions",
        AnyWorkspace(&[Charge, Read, Manage]),
        "List the versions of the prices, newest first",
        |call| Box::pin(price_book::versions(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<price_book::PricesJson>),
    Route::new(Method::GET, "/portal/sign-in/{link}", Public, "Follow a link that signs in", |call| {
        Box::pin(sign_in::sign_in(call))
    })
    .page()
    .redirects()
    .refuses(&[Code::PortalLinkExpired, Code::StoreUnavailable]),
    Route::new(Method::GET, "/portal", SignedIn(Role::Member), "The dashboard", |call| {
        Box::pin(sign_in::home(call))
    })
    .page(),
    Route::new(Method::GET, "/portal/session", SignedIn(Role::Member), "Tell who is signed in", |call| {
        Box::pin(sign_in::session(call))
    })
    .gives(200, of::<sign_in::SignedInJson>),
    Route::new(Method::POST, "/portal/sign-out", SignedIn(Role::Member), "Sign out", |call| {
        Box::pin(sign_in::sign_out(call))
    })
    .page(),
    Route::new(
        Method::POST,
        "/portal/sign-out-all",
        SignedIn(Role::Admin),
        "Sign everybody of the workspace out",
        |call| Box::pin(sign_in::sign_out_all(call)),
    )
    .page(),
    Route::new(Method::GET, "/healthz", Public, "Whether the process lives", |call| {
        Box::pin(health::alive(call))
    })
    .gives(200, of::<health::HealthJson>),
    Route::new(Method::GET, "/readyz", Public, "Whether requests can be taken", |call| {
        Box::pin(health::ready(call))
    })
    .gives(200, of::<health::HealthJson>)
    .refuses(&[Code::StoreUnavailable]),
    Route::new(Method::GET, "/metrics", Public, "Figures for Prometheus", |call| {
        Box::pin(health::metrics(call))
    }),
    Route::new(Method::GET, "/openapi.json", Public, "This description", |call| {
        Box::pin(docs::description(call))
    }),
    Route::new(Method::GET, "/docs", Public, "This description, to browse", |call| {
        Box::pin(docs::page(call))
    }),
    Route::new(Method::GET, "/docs/{file}", Public, "What the pages to browse are made of", |call| {
        Box::pin(docs::file(call))
    })
    .refuses(&[Code::NotFound]),
];

/// Why a charge is refused, in the order in which it is.
const CHARGE_CODES: &[Code] = &[
    Code::WorkspaceSuspended,
    Code::DebtOutstanding,
    Code::OperationNotFound,
    Code::LimitExceeded,
    Code::InsufficientCredits,
];

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct ListJson<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> ListJson<T> {
    /// The rows, each as JSON.
    fn of<'a, R>(listing: &'a Listing<R>, row: impl Fn(&'a R) -> T) -> ListJson<T> {
        ListJson { data: listing.data.iter().map(row).collect(), next_cursor: listing.next.clone() }
    }
}

/// A page of rows that are all in memory, the oldest first: the newest first, those of one instant too. A row's place is its
/// instant and how many older ones that has: so a row that leaves between two pages lets no other be passed over.
///
/// # Errors
/// A cursor that no such list gave out.
fn paged<'a, T>(rows: &'a [T], at: impl Fn(&T) -> Timestamp, page: &Page) -> Result<Listing<&'a T>, Problem> {
    let before = page.cursor.as_deref().map(place).transpose()?;
    let mut placed: Vec<((i64, u32), &T)> = Vec::with_capacity(rows.len());
    for row in rows {
        let at = at(row).millis();
        let older = placed.last().filter(|((last, _), _)| *last == at).map_or(0, |((_, older), _)| older + 1);
        placed.push(((at, older), row));
    }
    let mut rest =
        placed.into_iter().rev().skip_while(|(place, _)| before.is_some_and(|before| *place >= before));
    let rows: Vec<_> = rest.by_ref().take(page.limit).collect();
    let last = rows.last().filter(|_| rest.next().is_some());
    let next = last.map(|((at, older), _)| format!("{at}.{older}"));
    Ok(Listing { data: rows.into_iter().map(|(_, row)| row).collect(), next })
}

/// The place in a cursor of [`paged`].
fn place(cursor: &str) -> Result<(i64, u32), Problem> {
    let place = cursor.split_once('.').and_then(|(at, older)| Some((at.parse().ok()?, older.parse().ok()?)));
    place.ok_or_else(|| Problem::parameter("cursor", "is not one that this list gave out"))
}
