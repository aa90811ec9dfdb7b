//! The table of routes: for each its path, whom it is open to, what it takes and gives, and which handler runs. The
//! router, the authorisation, the metrics and the API's description are all made from it, so a route cannot be without
//! a rule or a description.

mod batch;
mod charges;
mod entries;
mod grants;
mod health;
mod outcomes;
mod price_book;
mod quote;
mod workspaces;

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::Listing;

use crate::auth::Rule::{self, Platform, Public};
use crate::call::Call;
use crate::docs;
use crate::openapi::{Shape, list_of, of};
use crate::problem::{Code, Problem};

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
            summary,
            run,
            parameters: &[],
            keyed: false,
            body: None,
            answer,
            codes: &[],
        }
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
    Route::new(Method::GET, "/v1/workspaces/{workspace}", Platform, "Describe a workspace", |call| {
        Box::pin(workspaces::get(call))
    })
    .gives(200, of::<workspaces::WorkspaceJson>),
    Route::new(Method::PATCH, "/v1/workspaces/{workspace}", Platform, "Change a workspace", |call| {
        Box::pin(workspaces::change(call))
    })
    .takes(of::<workspaces::WorkspaceChangesIn>)
    .gives(200, of::<workspaces::WorkspaceJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/balance",
        Platform,
        "Tell the balance, now or then",
        |call| Box::pin(workspaces::balance(call)),
    )
    .parameters(&["at"])
    .gives(200, of::<workspaces::BalanceJson>),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges",
        Platform,
        "Pay for an operation before it runs",
        |call| Box::pin(charges::open(call)),
    )
    .keyed()
    .takes(of::<charges::ChargeIn>)
    .gives(201, of::<charges::ChargeJson>)
    .refuses(CHARGE_CODES),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/charges",
        Platform,
        "List charges, newest first",
        |call| Box::pin(charges::list(call)),
    )
    .parameters(charges::FILTERS)
    .gives(200, list_of::<charges::ChargeJson>),
    Route::new(
        Method::POST,
        "/v1/charges/batch",
        Platform,
        "Pay for up to 1,000 operations, each decided alone",
        |call| Box::pin(batch::open(call)),
    )
    .takes(of::<batch::BatchIn>)
    .gives(200, of::<batch::BatchJson>),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/charges/{charge}",
        Platform,
        "Tell all of a charge",
        |call| Box::pin(charges::get(call)),
    )
    .gives(200, of::<charges::ChargeJson>),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/outcome",
        Platform,
        "Say what became of the operation",
        |call| Box::pin(outcomes::report(call)),
    )
    .takes(of::<outcomes::OutcomeIn>)
    .gives(200, of::<charges::ChargeJson>)
    .refuses(&[Code::ChargeAlreadySettled, Code::ChargeAlreadyRefunded, Code::RefundWindowClosed]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/charges/{charge}/heartbeat",
        Platform,
        "Move the deadline of a pending charge",
        |call| Box::pin(outcomes::heartbeat(call)),
    )
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
        Platform,
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
        Platform,
        "Read the journal, newest first",
        |call| Box::pin(entries::list(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<entries::EntryJson>),
    Route::new(Method::GET, "/v1/price-book", Platform, "Tell the prices in force", |call| {
        Box::pin(price_book::get(call))
    })
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
        Platform,
        "List the versions of the prices, newest first",
        |call| Box::pin(price_book::versions(call)),
    )
    .parameters(PAGE)
    .gives(200, list_of::<price_book::PricesJson>),
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
