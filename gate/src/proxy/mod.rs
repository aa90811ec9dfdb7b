//! The path of a request: match a route, charge, forward.
//!
//! Nothing is sent to an upstream before the charge is durable. A key that was used before is a
//! replay, whose operation has run or may be running: it is refused, since it would run unpaid.
//!
//! This is the path of a route with a fixed price. That of a metered route is in `metered`, that of
//! calls of tools in `tool_call`; `caller` opens the charges of all.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::request::Parts;
use axum::http::uri::{PathAndQuery, Scheme, Uri};
use axum::http::{Method, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{mpsc, oneshot, watch};

use self::caller::{Caller, Units, charge_json};
use crate::charging::{Charging, Opened};
use crate::exchange::{Counts, Exchange};
use crate::headers;
use crate::quantity::media_type;
use crate::refusal::{Refusal, unavailable};
use crate::relay::RequestState;
use crate::settings::{Dialect, Quantity, Route, Settings};
use crate::shutdown::{Phase, Phases, phases};
use crate::{quantity, relay, remote};

mod caller;
mod metered;
mod tool_call;

/// The client of all upstreams, with a pool of connections.
pub type Upstreams = Client<HttpsConnector<HttpConnector>, Body>;

/// The routes, the API and the client of the upstreams.
pub struct Gate {
    routes: Vec<Route>,
    charging: Arc<dyn Charging>,
    upstreams: Upstreams,
    /// Each exchange has a copy; a shutdown waits until the last one is dropped.
    pub(crate) running: mpsc::Sender<()>,
    counts: Arc<Counts>,
    /// Set by a shutdown.
    pub(crate) phase: watch::Sender<Phase>,
    phases: Phases,
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
        let (counts, routes) = (Arc::default(), settings.routes);
        let (phase, phases) = phases();
        Ok((Gate { routes, charging, upstreams, running, counts, phase, phases }, ended))
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
        let answered = match &self.routes[route].quantity {
            Quantity::Metered(metering) => {
                let metering = Arc::clone(metering);
                Box::pin(self.charge_by_meters(route, metering, request, client)).await
            }
            Quantity::ToolCall(tools) => {
                let tools = Arc::clone(tools);
                return Box::pin(self.answer_message(route, tools, request, client)).await;
            }
            _ => self.charge_and_forward(route, request, client).await,
        };
        answered.unwrap_or_else(|refusal| refusal.into_response(dialect))
    }

    /// What the gate counted since it began.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Whether a client that hangs up must be noticed at once: a metered upstream then stops.
    pub(crate) fn is_metered(&self) -> bool {
        self.routes.iter().any(|route| matches!(route.quantity, Quantity::Metered(_)))
    }

    /// The index of the route of a request: the longest path that fits.
    fn route(&self, method: &Method, path: &str) -> Option<usize> {
        let fitting = self.routes.iter().enumerate().filter(|(_, route)| route.is_for(method, path));
        let longest =
            fitting.max_by_key(|(_, route)| (route.path.len(), !route.takes_rest, route.method == *method));
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
        let charge = charge_json(route, &route.operation, &head.headers, Units::Quantity(units))?;
        address(&mut head, uri);
        let (sender, answer) = oneshot::channel();
        let gate = Arc::clone(&self);
        tokio::spawn(async move {
            let route = &gate.routes[index];
            let charge = match gate.charge(&caller, charge).await {
                Ok(charge) => charge,
                Err(refusal) => return drop(sender.send(Err(refusal))),
            };
            let key = route.upstream_key.as_ref();
            headers::to_upstream(&mut head.headers, client, &charge.header(), protocol, key);
            match &route.quantity {
                // Also if the caller named it as a header of its connection: the upstream runs what
                // was charged.
                Quantity::Header(name) => drop(head.headers.insert(name.clone(), units.into())),
                Quantity::Json(_) => media_type::write(&mut head.headers),
                _ => {}
            }
            let (body, request_state) = relay::watched(body);
            let exchange = gate.exchange(route, charge, upgrade, request_state);
            // A shutdown waits for the exchange, which says itself when it may end.
            drop(gate);
            exchange.run(Request::from_parts(head, body), sender).await;
        });
        answer.await.map_err(|_| unavailable())?
    }

    fn exchange(
        &self,
        route: &Route,
        charge: Opened,
        upgrade: Option<OnUpgrade>,
        request_state: Arc<RequestState>,
    ) -> Exchange {
        Exchange {
            charging: Arc::clone(&self.charging),
            upstreams: self.upstreams.clone(),
            charge,
            timeout: Duration::from_secs(route.timeout_seconds.into()),
            grace: Duration::from_secs(route.grace_seconds.into()),
            upgrade,
            request_state,
            is_tool_call: matches!(route.quantity, Quantity::ToolCall(_)),
            running: self.running.clone(),
            phases: self.phases.clone(),
        }
    }
}

/// Gives a request the address of the upstream, and takes what is of the client's connection.
fn address(head: &mut Parts, uri: Uri) {
    head.uri = uri;
    head.version = Version::HTTP_11;
    head.extensions.clear();
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

#[cfg(test)]
mod tests {
    use super::*;

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
