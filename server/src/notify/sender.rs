//! Sends one message to an endpoint and reads the answer, within bounds.
//!
//! No redirect is followed and no proxy is used. At most 4 kB of an answer are read. The connector
//! resolves a name, checks every address, and dials what it checked, also if the address is written
//! as numbers. Connections are kept for a moment, so that many messages share one.

use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use axum::http::{Request, Uri};
use futures_util::future::poll_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::address::{first_refused, host_and_port};
use super::schedule::{Asked, retry_after};
use super::settings::WebhookSettings;
use crate::tls;

/// The most bytes of an answer that are read.
const ANSWER_MAX_BYTES: usize = 4_096;

/// How long a connection that nobody uses is kept.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of this program in the header `User-Agent`.
const AGENT: &str = concat!("tollkeeper/", env!("CARGO_PKG_VERSION"));

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What happened, for people.
    pub outcome: String,
    /// What the answer says about the next attempt.
    pub asked: Asked,
    /// How long it took.
    pub took: Duration,
}

impl Sent {
    /// True if the message was accepted.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// True if the receiver says that there is no endpoint any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// A message as it is sent.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The id, which is the same at every attempt.
    pub message: String,
    /// The time of the attempt, in seconds since 1970.
    pub seconds: i64,
    /// The signatures, separated by blanks.
    pub signatures: String,
    /// The body.
    pub body: String,
}

/// An address that is not dialed.
#[derive(Debug)]
struct Refused(IpAddr);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in a network to which no message is sent", self.0)
    }
}

impl std::error::Error for Refused {}

/// Dials hosts whose addresses are all allowed.
#[derive(Clone, Debug)]
struct CheckedConnector(Arc<WebhookSettings>);

type ConnectError = Box<dyn std::error::Error + Send + Sync>;

impl tower::Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let settings = Arc::clone(&self.0);
        Box::pin(async move { connect(&uri.to_string(), &settings).await })
    }
}

async fn connect(url: &str, settings: &WebhookSettings) -> Result<TokioIo<TcpStream>, ConnectError> {
    let (host, port) = host_and_port(url, settings)?;
    let resolved: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host.as_str(), port)).await?.collect(),
    };
    let addresses: Vec<IpAddr> = resolved.iter().map(SocketAddr::ip).collect();
    if let Some(refused) = first_refused(&addresses, settings) {
        return Err(Box::new(Refused(refused)));
    }
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&resolved[..])).await??;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

/// The connections to receivers.
pub struct Sender {
    http: legacy::Client<HttpsConnector<CheckedConnector>, Body>,
    attempt_timeout: Duration,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender with these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// The operating system has no trusted certificate authorities.
    pub fn new(settings: &WebhookSettings) -> std::io::Result<Sender> {
        let tls =
            HttpsConnectorBuilder::new().with_tls_config(tls::client(true)?).https_or_http().enable_http1();
        let connector = tls.wrap_connector(CheckedConnector(Arc::new(settings.clone())));
        let mut http = legacy::Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIME).pool_max_idle_per_host(8);
        Ok(Sender { http: http.build(connector), attempt_timeout: settings.attempt_timeout })
    }

    /// Sends a message to an address and waits for the answer.
    pub async fn send(&self, url: &str, envelope: &Envelope) -> Sent {
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.attempt_timeout, self.try_once(url, envelope)).await;
        let sent = answer.unwrap_or_else(|_| failed("the receiver did not answer in time".to_owned()));
        Sent { took: begun.elapsed(), ..sent }
    }

    async fn try_once(&self, url: &str, envelope: &Envelope) -> Sent {
        let Envelope { message, seconds, signatures, body } = envelope;
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header("webhook-id", message)
            .header("webhook-timestamp", *seconds)
            .header("webhook-signature", signatures)
            .body(Body::from(body.clone()));
        let Ok(request) = request else { return failed("the address cannot be used".to_owned()) };
        let response = match self.http.request(request).await {
            Ok(response) => response,
            Err(error) => return failed(why(&error)),
        };
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = Asked {
            retry_after_seconds: header.and_then(|header| retry_after(header, *seconds)),
            slow_down: matches!(status, 429 | 502 | 504),
        };
        read_some(response.into_body()).await;
        let outcome = match status {
            200..300 => "accepted".to_owned(),
            300..400 => format!("the receiver answered {status}; redirects are not followed"),
            _ => format!("the receiver answered {status}"),
        };
        Sent { status: Some(status), outcome, asked, took: Duration::ZERO }
    }
}

/// Reads an answer up to its bound. The status says all, so it does not matter where it ends.
async fn read_some(body: hyper::body::Incoming) {
    let mut body = Body::new(body);
    let mut read = 0;
    while read < ANSWER_MAX_BYTES {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| data.len()),
            Some(Err(_)) | None => return,
        }
    }
}

fn failed(outcome: String) -> Sent {
    Sent { status: None, outcome, asked: Asked::default(), took: Duration::ZERO }
}

/// Why there is no answer. Of the network it says no more than the owner of the endpoint can see.
fn why(error: &legacy::Error) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return refused.to_string();
        }
        source = cause.source();
    }
    let what = if error.is_connect() { "cannot be reached" } else { "closed the connection" };
    format!("the receiver {what}")
}
