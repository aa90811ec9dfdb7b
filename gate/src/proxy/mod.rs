//! The path of a request: match a route, charge, forward.
//!
//! Nothing is sent to an upstream before the charge is durable. A key that was used before is a
//! replay, whose operation has run or may be running: it is refused, since it would run unpaid.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::uri::{PathAndQuery, Scheme, Uri};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::charging::{Charging, Opened};
use crate::exchange::Exchange;
use crate::headers::{self, MEMBER, WORKER, WORKSPACE_KEY};
use crate::refusal::{Refusal, unavailable, unknown};
use crate::settings::{Dialect, Quantity, Route, Settings};
use crate::{quantity, relay, remote};

/// The client of all upstreams, with a pool of connections.
pub type Upstreams = Client<HttpsConnector<HttpConnector>, Body>;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The digits of an API key of a workspace; the workspace follows them.
const KEY_DIGITS: usize = 64;

/// How often a charge is asked for, if the API does not answer.
const CALLS_MAX: u32 = 3;

/// The routes, the API and the client of the upstreams.
pub struct Gate {
    routes: Vec<Route>,
    charging: Arc<dyn Charging>,
    upstreams: Upstreams,
    /// Each exchange has a copy; a shutdown waits until the last one is dropped.
    pub(crate) running: mpsc::Sender<()>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate, and what ends when the last exchange has.
    ///
    /// # Errors
    /// The operating system has no trusted certificate authorities, and an upstream needs them.
    pub fn new(
        settings: Settings,
        charging: Arc<dyn Charging>,
    ) -> std::io::Result<(Gate, mpsc::Receiver<()>)> {
        let is_encrypted =
            settings.routes.iter().any(|route| route.upstream.scheme() == Some(&Scheme::HTTPS));
        let upstreams = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .set_host(true)
            .build(remote::connector(is_encrypted)?);
        let (running, ended) = mpsc::channel(1);
        Ok((Gate { routes: settings.routes, charging, upstreams, running }, ended))
    }

    /// Answers a request of a client.
    pub async fn answer<B>(self: Arc<Gate>, request: Request<B>, client: IpAddr) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let request = request.map(Body::new);
        let Some(route) = self.route(request.method(), request.uri().path()) else {
            let detail = format!("There is no route for {} {}.", request.method(), request.uri().path());
            let refusal = Refusal::new(StatusCode::NOT_FOUND, "not_found", "Not found", &detail);
            return refusal.into_response(Dialect::Problem);
        };
        let dialect = self.routes[route].dialect;
        match self.charge_and_forward(route, request, client).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(dialect),
        }
    }

    /// The index of the route of a request: the longest path that fits.
    fn route(&self, method: &Method, path: &str) -> Option<usize> {
        let fitting = self.routes.iter().enumerate().filter(|(_, route)| route.is_for(method, path));
        let longest = fitting.max_by_key(|(_, route)| (route.path.len(), !route.takes_rest));
        longest.map(|(index, _)| index)
    }

    /// What can be refused without the ledger is refused first. From the charge on everything runs
    /// in a task of its own, so that a client that hangs up leaves no charge without an outcome.
    async fn charge_and_forward(
        self: Arc<Gate>,
        index: usize,
        mut request: Request<Body>,
        client: IpAddr,
    ) -> Result<Response<Body>, Refusal> {
        let route = &self.routes[index];
        let caller = Caller::of(request.headers())?;
        let uri = upstream_uri(&route.upstream, request.uri())?;
        let protocol = headers::upgrade(request.headers());
        let upgrade = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        let (units, body) = quantity::find(route, &head.headers, body).await?;
        let charge = charge_json(route, &head.headers, units)?.to_string();
        head.uri = uri;
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let (sender, answer) = oneshot::channel();
        let gate = Arc::clone(&self);
        tokio::spawn(async move {
            let route = &gate.routes[index];
            let charge = match gate.charge(&caller, Bytes::from(charge)).await {
                Ok(charge) => charge,
                Err(refusal) => return drop(sender.send(Err(refusal))),
            };
            let key = route.upstream_key.as_ref();
            headers::to_upstream(&mut head.headers, client, &charge.header(), protocol, key);
            if let Quantity::Header(name) = &route.quantity {
                // Also if the caller named it as a header of its connection: the upstream runs what
                // was charged.
                head.headers.insert(name.clone(), units.into());
            }
            let (body, request_state) = relay::watched(body);
            let exchange = Exchange {
                charging: Arc::clone(&gate.charging),
                upstreams: gate.upstreams.clone(),
                charge,
                timeout: Duration::from_secs(route.timeout_seconds.into()),
                grace: Duration::from_secs(route.grace_seconds.into()),
                upgrade,
                request_state,
                running: gate.running.clone(),
            };
            // A shutdown waits for the exchange, which says itself when it may end.
            drop(gate);
            exchange.run(Request::from_parts(head, body), sender).await;
        });
        answer.await.map_err(|_| unavailable())?
    }

    /// Charges for the request, as its caller.
    async fn charge(&self, caller: &Caller, charge: Bytes) -> Result<Opened, Refusal> {
        let mut calls = 1;
        let response = loop {
            match self.charging.call(caller.request(charge.clone())?).await {
                Ok(response) => break response,
                // Only the gate knows a key that it made, so the same call again is safe.
                Err(why) if caller.is_key_fresh && calls < CALLS_MAX => {
                    tracing::warn!(%why, "the API did not answer; the same call is made again");
                    calls += 1;
                }
                Err(why) => {
                    tracing::warn!(%why, "the API did not answer");
                    return Err(unknown());
                }
            }
        };
        let (head, body) = response.into_parts();
        if head.status != StatusCode::CREATED {
            return Err(Refusal::of_api(head.status, &head.headers, &body));
        }
        let charge = Opened::read(&head.headers, body).ok_or_else(unavailable)?;
        if charge.is_replay && calls == 1 {
            return Err(already_paid(&charge));
        }
        Ok(charge)
    }
}

/// Who is charged, and under which idempotency key.
struct Caller {
    path: String,
    bearer: HeaderValue,
    key: HeaderValue,
    /// Whether the gate made the idempotency key.
    is_key_fresh: bool,
}

impl Caller {
    fn of(headers: &HeaderMap) -> Result<Caller, Refusal> {
        let key = headers::key(headers)
            .ok_or_else(|| unauthenticated("Send an API key in the header `Tollkeeper-Key`."))?;
        let workspace =
            workspace_of(key).ok_or_else(|| unauthenticated("The key is not an API key of a workspace."))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| unauthenticated("The key is not valid."))?;
        bearer.set_sensitive(true);
        let path = format!("/v1/workspaces/{workspace}/charges");
        let (key, is_key_fresh) = match headers.get(IDEMPOTENCY_KEY) {
            Some(key) => (key.clone(), false),
            None => (fresh_key()?, true),
        };
        Ok(Caller { path, bearer, key, is_key_fresh })
    }

    /// The request that opens a charge.
    fn request(&self, charge: Bytes) -> Result<Request<Bytes>, Refusal> {
        Request::post(&*self.path)
            .header(AUTHORIZATION, self.bearer.clone())
            .header(IDEMPOTENCY_KEY, self.key.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(charge)
            .map_err(|_| unauthenticated("The key is not valid."))
    }
}

/// The body of the request that opens a charge.
fn charge_json(route: &Route, headers: &HeaderMap, units: i64) -> Result<Value, Refusal> {
    let mut charge = Map::new();
    charge.insert("operation".to_owned(), route.operation.clone().into());
    charge.insert("quantity".to_owned(), units.into());
    charge.insert("await_outcome".to_owned(), true.into());
    charge.insert("timeout_seconds".to_owned(), (route.timeout_seconds + route.grace_seconds).into());
    for (field, header) in [("member", MEMBER), ("worker", WORKER)] {
        if let Some(id) = headers.get(&header) {
            let id = id.to_str().map_err(|_| {
                let detail = format!("The header `{header}` must be an id.");
                Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "Invalid field", &detail)
                    .with("field", field.into())
            })?;
            charge.insert(field.to_owned(), id.into());
        }
    }
    Ok(Value::Object(charge))
}

/// The workspace of an API key.
fn workspace_of(key: &str) -> Option<&str> {
    let (digits, rest) = key.strip_prefix(WORKSPACE_KEY)?.split_at_checked(KEY_DIGITS)?;
    let workspace = rest.strip_prefix('_')?;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    let is_key = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_key && !workspace.is_empty() && workspace.bytes().all(is_id)).then_some(workspace)
}

/// The address of the request at the upstream: the path of the request below that of the upstream.
fn upstream_uri(upstream: &Uri, request: &Uri) -> Result<Uri, Refusal> {
    let own = upstream.path().trim_end_matches('/');
    let path = request.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut parts = upstream.clone().into_parts();
    let invalid =
        || Refusal::new(StatusCode::BAD_REQUEST, "not_found", "Not found", "The path is not valid.");
    parts.path_and_query = Some(format!("{own}{path}").parse().map_err(|_| invalid())?);
    Uri::from_parts(parts).map_err(|_| invalid())
}

/// A key for a request that has none, so that each such request is charged by itself.
fn fresh_key() -> Result<HeaderValue, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| unavailable())?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("gate-{digits}")).map_err(|_| unavailable())
}

fn unauthenticated(detail: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthenticated", detail)
}

fn already_paid(charge: &Opened) -> Refusal {
    let detail =
        "This idempotency key was used before. The operation has run or is running, and does not run again.";
    let json = serde_json::from_slice(&charge.json).unwrap_or(Value::Null);
    Refusal::new(StatusCode::CONFLICT, "operation_already_paid", "Operation already paid", detail)
        .with("charge", json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_workspace() {
        let digits = "0a".repeat(32);
        assert_eq!(workspace_of(&format!("tk_workspace_{digits}_acme:eu")), Some("acme:eu"));
        for wrong in [
            format!("tk_workspace_{digits}"),
            format!("tk_workspace_{digits}_"),
            format!("tk_workspace_{digits}_a/b"),
            format!("tk_workspace_{digits}_a?b"),
            format!("tk_link_{digits}_acme"),
            format!("tk_workspace_{}_acme", &digits[1..]),
            String::new(),
        ] {
            assert_eq!(workspace_of(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_path_of_a_request_is_added_to_that_of_the_upstream() {
        let of = |upstream: &str, request: &str| {
            let uri = upstream_uri(&upstream.parse().expect("a URL"), &request.parse().expect("a path"));
            uri.expect("it is valid").to_string()
        };
        assert_eq!(of("http://a:9000", "/v1/x?q=1"), "http://a:9000/v1/x?q=1");
        assert_eq!(of("http://a:9000/", "/v1/x"), "http://a:9000/v1/x");
        assert_eq!(of("https://a/models/", "/v1/x"), "https://a/models/v1/x");
        assert_eq!(of("http://a", "http://other.example/v1/x"), "http://a/v1/x");
        assert_eq!(of("http://a", "/%2e%2e/b"), "http://a/%2e%2e/b");
    }
}
