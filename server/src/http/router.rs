//! Finds the route of a request in the table, and takes every request through the same steps:
//! admit, check, handle, respond, count.
//!
//! There is no stack of layers. One function does what every request needs. Every failure, also a
//! panic, becomes a problem document.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::{FutureExt, TryFutureExt};
use tollkeeper_engine::panic_message;
use tollkeeper_ledger::{Timestamp, WorkspaceId};

use super::call::{Call, Head};
use super::path::PathParams;
use super::problem::{Code, Problem};
use super::query::Query;
use super::refusal;
use super::route::{Pages, Route, Site};
use crate::access::{Admission, Caller, RateStatus, check_form_token};
use crate::app::App;
use crate::observe::traces::{RequestSpan, SpanContext};

/// Answers every request: those of the table by their routes, all others with a problem. A clone is
/// the same router.
#[derive(Clone)]
pub struct Router {
    app: Arc<App>,
    table: Arc<Table>,
}

/// The routes of a site by their paths.
struct Table {
    paths: matchit::Router<MountedPath>,
    pages: Pages,
}

/// The routes of one path, and the value of the header `Allow`, which lists their methods.
struct MountedPath {
    routes: Vec<MountedRoute>,
    allow: HeaderValue,
}

/// A route of the table, with its index in the metrics.
#[derive(Clone, Copy)]
struct MountedRoute {
    index: usize,
    route: &'static Route,
}

impl Router {
    /// The router of a site.
    ///
    /// # Panics
    /// Two paths of the table contradict each other.
    pub fn new(app: Arc<App>, Site { routes, pages }: Site) -> Router {
        let mut of_path: Vec<(&'static str, Vec<MountedRoute>)> = Vec::new();
        for (index, route) in routes.into_iter().enumerate() {
            let mounted = MountedRoute { index, route };
            match of_path.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, routes)) => routes.push(mounted),
                None => of_path.push((route.path, vec![mounted])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, routes) in of_path {
            let allow = allow(routes.iter().map(|mounted| &mounted.route.method));
            paths.insert(path, MountedPath { routes, allow }).expect("the paths of the table differ");
        }
        Router { app, table: Arc::new(Table { paths, pages }) }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Response {
        let (mounted, params) = match self.find(&request) {
            Ok(found) => found,
            Err(response) => return *response,
        };
        let is_head = request.method() == Method::HEAD;
        let run = |call| (mounted.route.run)(call).map_ok(Err::<Infallible, Response>);
        let response = match self.handle(mounted, params, request, run).await {
            Ok(never) => match never {},
            Err(response) => response,
        };
        if is_head { without_body(response) } else { response }
    }

    /// Takes a request to the route with this method and path through the same steps, with a
    /// handler whose answer may be a value in place of a response. The value stands for a success.
    ///
    /// # Errors
    /// The response, if there is no value.
    pub(crate) async fn answer_with<T, F>(
        &self,
        request: Request,
        (method, path): (Method, &str),
        run: impl FnOnce(Call) -> F,
    ) -> Result<T, Response>
    where
        F: Future<Output = Result<Result<T, Response>, Problem>>,
    {
        let (mounted, params) = self.find(&request).map_err(|response| *response)?;
        if (&mounted.route.method, mounted.route.path) != (&method, path) {
            return Err(unrouted(&self.app, self.table.pages, &request, refusal::no_such_path()));
        }
        self.handle(mounted, params, request, run).await
    }

    /// Everything from the head of a request to its response, or to the value that stands for one.
    async fn handle<T, F>(
        &self,
        MountedRoute { index, route }: MountedRoute,
        params: Result<PathParams, Problem>,
        request: Request,
        run: impl FnOnce(Call) -> F,
    ) -> Result<T, Response>
    where
        F: Future<Output = Result<Result<T, Response>, Problem>>,
    {
        let (app, pages, began) = (&self.app, self.table.pages, Instant::now());
        let as_page = route.is_page && (pages.wants_page)(request.headers());
        // What the page of a problem needs to know of its reader.
        let headers = if as_page { request.headers().clone() } else { HeaderMap::new() };
        let mut span = app.traces.as_ref().and_then(|traces| traces.begin(request.headers()));
        let mut rate = None;
        let responding = respond(Arc::clone(app), route, params, request, (&mut rate, span.as_mut()), run);
        let outcome = AssertUnwindSafe(responding).catch_unwind().await;
        let mut response = match outcome {
            Ok(Ok(Ok(value))) => {
                end(app, route, (index, span), route.success_status(), began);
                return Ok(value);
            }
            Ok(Ok(Err(mut response))) => {
                rate = response.extensions_mut().remove::<RateStatus>().or(rate);
                response
            }
            Ok(Err(problem)) => {
                rate = problem.rate.as_deref().copied().or(rate);
                app.metrics.count_problem(problem.code as usize);
                note_problem(&mut span, problem.code);
                if as_page {
                    (pages.problem)(app, &headers, route.path, &problem)
                } else {
                    problem.into_response()
                }
            }
            Err(panic) => {
                app.metrics.count_problem(Code::InternalError as usize);
                note_problem(&mut span, Code::InternalError);
                refusal::internal(&format_args!("a handler panicked: {}", panic_message(&*panic)))
                    .into_response()
            }
        };
        if route.is_private {
            (pages.protect)(response.headers_mut());
        }
        harden(response.headers_mut());
        if let Some(status) = rate {
            status.write_headers(response.headers_mut());
        }
        end(app, route, (index, span), response.status(), began);
        Err(response)
    }

    /// The route of a request, with the parameters of its path.
    ///
    /// # Errors
    /// The response, if there is none.
    fn find(&self, request: &Request) -> Result<(MountedRoute, Result<PathParams, Problem>), Box<Response>> {
        let (app, pages) = (&self.app, self.table.pages);
        let found = self.table.paths.at(request.uri().path());
        let found = found.map_err(|_| unrouted(app, pages, request, refusal::no_such_path()))?;
        // HEAD is answered where GET is.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let mounted = found.value.routes.iter().find(|mounted| mounted.route.method == *method);
        let mounted = mounted.ok_or_else(|| {
            let mut response = unrouted(app, pages, request, method_not_allowed());
            response.headers_mut().insert(ALLOW, found.value.allow.clone());
            response
        })?;
        Ok((*mounted, PathParams::read(mounted.route.path, &found.params)))
    }
}

impl tower::Service<Request> for Router {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { Ok(router.answer(request).await) })
    }
}

/// The value of the header `Allow` for these methods. `HEAD` is answered where `GET` is.
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> HeaderValue {
    let names = methods.map(|method| if method == Method::GET { "GET,HEAD" } else { method.as_str() });
    let names: Vec<&str> = names.collect();
    HeaderValue::from_str(&names.join(",")).expect("the names of methods are plain text")
}

/// The response to `HEAD`: that to `GET` with its length, and without its body.
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, Body::empty())
}

/// Counts a request that is answered, and ends its span.
fn end(
    app: &App,
    route: &'static Route,
    (index, span): (usize, Option<RequestSpan>),
    status: StatusCode,
    began: Instant,
) {
    app.metrics.count_response(Some(index), status, began.elapsed());
    if let (Some(traces), Some(span)) = (&app.traces, span) {
        traces.end_request(span, route.method.clone(), route.path, status);
    }
}

fn note_problem(span: &mut Option<RequestSpan>, code: Code) {
    if let Some(span) = span {
        span.problem = Some(code.as_str());
    }
}

/// Admits the request and runs the handler.
async fn respond<T, F: Future<Output = Result<T, Problem>>>(
    app: Arc<App>,
    route: &'static Route,
    params: Result<PathParams, Problem>,
    request: Request,
    (rate, mut span): (&mut Option<RateStatus>, Option<&mut RequestSpan>),
    run: impl FnOnce(Call) -> F,
) -> Result<T, Problem> {
    let now = app.now();
    let (parts, body) = request.into_parts();
    let workspace = params.as_ref().ok().and_then(|params| params.get("workspace"));
    if let Some(span) = &mut span {
        span.workspace = workspace.and_then(|workspace| WorkspaceId::new(workspace).ok());
    }
    let admission = Admission {
        rule: route.rule,
        rechecked_at_decision: route.rechecked_at_decision,
        headers: &parts.headers,
        workspace,
        now,
    };
    let caller = app.access.admit(admission, rate).await?;
    let recheck = route.rechecked_at_decision.then(|| caller.clone());
    if let Some(span) = &mut span {
        span.workspace = span.workspace.take().or_else(|| caller.workspace().cloned());
    }
    let admitted = Admitted { caller, now, span: span.map(|span| span.context) };
    let answered = run_checked(&app, route, admitted, params, (parts, body), run).await;
    // A problem that the ledger did not decide is only returned to a key that is still valid.
    let is_undecided = |problem: &Problem| !problem.is_decided && problem.code.status() < 500;
    let must_recheck = answered.as_ref().is_err_and(is_undecided);
    if let Some(caller) = recheck.filter(|_| must_recheck) {
        app.access.recheck(&caller, now).await?;
    }
    answered
}

/// Who was admitted, and when.
struct Admitted {
    caller: Caller,
    now: Timestamp,
    span: Option<SpanContext>,
}

/// Checks query, path and form token, then runs the handler.
async fn run_checked<T, F: Future<Output = Result<T, Problem>>>(
    app: &Arc<App>,
    route: &'static Route,
    Admitted { caller, now, span }: Admitted,
    // A path that names nothing is answered after admission.
    params: Result<PathParams, Problem>,
    (parts, body): (Parts, Body),
    run: impl FnOnce(Call) -> F,
) -> Result<T, Problem> {
    let query = Query::read(&parts.uri, route.parameters)?;
    if route.refuses_idempotency_key && parts.headers.contains_key("idempotency-key") {
        return Err(Problem::parameter(
            "Idempotency-Key",
            "is not taken here: this request keeps no key, so repeating it may do it twice",
        ));
    }
    let head = Head { query, params: params?, headers: parts.headers };
    let mut call = Call::new(Arc::clone(app), caller, now, head, body).in_span(span);
    if route.is_form() {
        let form = call.read_form().await?;
        check_form_token(&call.caller, &form)?;
    }
    run(call).await
}

/// Answers a request that no route takes.
fn unrouted(app: &App, pages: Pages, request: &Request, problem: Problem) -> Response {
    app.metrics.count_problem(problem.code as usize);
    let path = request.uri().path();
    let is_private = pages.roots.iter().any(|root| path.starts_with(root));
    let as_page = is_private && (pages.wants_page)(request.headers());
    let mut response = match as_page {
        true => (pages.problem)(app, request.headers(), path, &problem),
        false => problem.into_response(),
    };
    if is_private {
        (pages.protect)(response.headers_mut());
    }
    harden(response.headers_mut());
    app.metrics.count_response(None, response.status(), Duration::ZERO);
    response
}

/// Adds the headers of every response. It is data of one caller, and some have a secret: no cache
/// may keep it, and no browser may take it for a page.
fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "This path has no such method. The header `Allow` lists its methods.",
    )
}
