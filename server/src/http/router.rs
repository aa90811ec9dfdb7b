//! From the table of routes to a router, and the edge that every request passes: let in, checked, answered, counted.
//!
//! There is no stack of layers: what every request needs is done in one function, and what it does not need is not done.
//! Whatever goes wrong, a panic included, leaves as a problem document.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt;
use tollkeeper_ledger::Timestamp;

use super::call::Call;
use super::problem::{Code, Problem};
use super::query::Query;
use super::refusal;
use crate::access::rate::RateStatus;
use crate::access::{self, Caller};
use crate::api::{ROUTES, Route};
use crate::app::App;
use crate::dashboard::sign_in;
use crate::observe::metrics::UNROUTED;

/// The API of a program: every route of the table, and a problem for whatever is none.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (index, route) in ROUTES.iter().enumerate() {
        let app = Arc::clone(&app);
        let endpoint = move |request: Request| edge(Arc::clone(&app), index, route, request);
        router = router.route(route.path, on(filter(&route.method), endpoint));
    }
    let elsewhere = Arc::clone(&app);
    router
        .fallback(move |request: Request| unrouted(Arc::clone(&elsewhere), request, not_found()))
        .method_not_allowed_fallback(move |request: Request| {
            unrouted(Arc::clone(&app), request, method_not_allowed())
        })
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("the table names methods of HTTP")
}

async fn edge(app: Arc<App>, index: usize, route: &'static Route, request: Request) -> Response {
    let began = Instant::now();
    let as_page = route.page && sign_in::wants_page(request.headers());
    let mut rate = None;
    let responding = respond(Arc::clone(&app), route, request, &mut rate);
    let outcome = AssertUnwindSafe(responding).catch_unwind().await;
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => {
            app.metrics.refused(problem.code);
            if as_page { sign_in::problem_page(&problem) } else { problem.into_response() }
        }
        Err(panic) => {
            app.metrics.refused(Code::InternalError);
            refusal::internal(&format_args!("a handler panicked: {}", message(&*panic))).into_response()
        }
    };
    if route.path.starts_with("/portal") {
        sign_in::protect(response.headers_mut());
    }
    if let Some(standing) = rate {
        standing.tell(response.headers_mut());
    }
    app.metrics.answered(index, response.status(), began.elapsed());
    response
}

async fn respond(
    app: Arc<App>,
    route: &'static Route,
    request: Request,
    rate: &mut Option<RateStatus>,
) -> Result<Response, Problem> {
    let now = app.now();
    let (mut parts, body) = request.into_parts();
    // A path that is no text names nothing.
    let params = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| not_found());
    let named = params.as_ref().ok().and_then(|params| params.iter().find(|(name, _)| *name == "workspace"));
    let workspace = named.map(|(_, workspace)| workspace);
    let caller = access::admit(&app, route, (&parts.headers, workspace), now, rate).await?;
    let doubted = route.confirmed.then(|| caller.clone());
    let answered = answer(&app, route, (caller, now), params, (parts, body)).await;
    // What was said without a decision is only said to a key that still holds.
    let is_undecided = |problem: &Problem| !problem.is_decided && problem.code.status() < 500;
    let undecided = answered.as_ref().is_err_and(is_undecided);
    if let Some(caller) = doubted.filter(|_| undecided) {
        access::confirm(&app, &caller, now).await?;
    }
    answered
}

async fn answer(
    app: &Arc<App>,
    route: &'static Route,
    (caller, now): (Caller, Timestamp),
    params: Result<RawPathParams, Problem>,
    (parts, body): (Parts, Body),
) -> Result<Response, Problem> {
    let query = Query::read(&parts.uri, route.parameters)?;
    let is_head = parts.method == Method::HEAD;
    let mut call = Call::new(Arc::clone(app), (caller, now), is_head, query, params?, (parts.headers, body));
    if access::is_form(route) {
        let form = call.form().await?;
        access::confirm_form(&call.caller, &form)?;
    }
    (route.run)(call).await
}

async fn unrouted(app: Arc<App>, request: Request, problem: Problem) -> Response {
    app.metrics.refused(problem.code);
    let in_portal = request.uri().path().starts_with("/portal");
    let as_page = in_portal && sign_in::wants_page(request.headers());
    let mut response = if as_page { sign_in::problem_page(&problem) } else { problem.into_response() };
    if in_portal {
        sign_in::protect(response.headers_mut());
    }
    app.metrics.answered(UNROUTED, response.status(), std::time::Duration::ZERO);
    response
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such path; /openapi.json lists them all.")
}

fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "This path takes other methods; the header `Allow` lists them.")
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
