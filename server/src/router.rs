//! From the table of routes to a router, and the edge that every request passes: let in, checked, answered, counted.
//!
//! There is no stack of layers: what every request needs is done in one function, and what it does not need is not done.
//! Whatever goes wrong, a panic included, leaves as a problem document.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt;

use crate::api::{ROUTES, Route};
use crate::app::App;
use crate::auth;
use crate::call::Call;
use crate::metrics::UNROUTED;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::refusal;

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
        .fallback(move || unrouted(Arc::clone(&elsewhere), not_found()))
        .method_not_allowed_fallback(move || unrouted(Arc::clone(&app), method_not_allowed()))
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("the table names methods of HTTP")
}

async fn edge(app: Arc<App>, index: usize, route: &'static Route, request: Request) -> Response {
    let began = Instant::now();
    let outcome = AssertUnwindSafe(respond(Arc::clone(&app), route, request)).catch_unwind().await;
    let response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => {
            app.metrics.refused(problem.code);
            problem.into_response()
        }
        Err(panic) => {
            app.metrics.refused(Code::InternalError);
            refusal::internal(&format_args!("a handler panicked: {}", message(&*panic))).into_response()
        }
    };
    app.metrics.answered(index, response.status(), began.elapsed());
    response
}

async fn respond(app: Arc<App>, route: &'static Route, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let actor = auth::admit(&app, route.rule, &parts.headers)?;
    let query = Query::read(&parts.uri, route.parameters)?;
    // A path that is no text names nothing.
    let params = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| not_found())?;
    (route.run)(Call::new(app, actor, query, params, (parts.headers, body))).await
}

async fn unrouted(app: Arc<App>, problem: Problem) -> Response {
    app.metrics.refused(problem.code);
    let response = problem.into_response();
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
