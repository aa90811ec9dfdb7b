//! Sends spans to the collector: some hundred at a time, by OTLP over HTTP.
//!
//! A batch that cannot be sent is tried three times, then dropped and counted. Meanwhile new spans
//! wait in the queue, which is bounded. When the server ends, a batch is tried once more at once.
//! That the collector fails is logged once, and so is that it takes spans again.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderName, HeaderValue, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::protobuf::export_request;
use super::{Counts, Span};
use crate::tls;

/// The most spans of a request.
const BATCH_MAX: usize = 512;

/// The longest time that a span waits for others.
const GATHER_TIME: Duration = Duration::from_secs(1);

/// How long the collector may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses after attempts that failed.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The statuses after which the protocol repeats a request.
const REPEATED: [u16; 4] = [429, 502, 503, 504];

/// The name of this program in the header `User-Agent`.
const AGENT: &str = concat!("tollkeeper/", env!("CARGO_PKG_VERSION"));

type Http = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// What sends the spans of a server.
#[derive(Debug)]
pub struct Exporter {
    pub(super) endpoint: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) spans: mpsc::Receiver<Span>,
    pub(super) ending: watch::Receiver<bool>,
    pub(super) counts: Arc<Counts>,
}

/// Why a batch was not accepted, and whether it is sent again.
struct Failure {
    why: String,
    is_repeated: bool,
}

impl Exporter {
    /// Sends spans until the server ends, then what waits.
    pub async fn run(mut self) {
        let http = match client(&self.endpoint) {
            Ok(http) => http,
            Err(error) => {
                // Spans are dropped and counted, because nobody receives them.
                tracing::error!(%error, "traces cannot be sent");
                return;
            }
        };
        let mut is_failing = false;
        loop {
            let (batch, is_last) = self.gather().await;
            if !batch.is_empty() {
                let sent = self.send(&http, &batch).await;
                let counter = if sent.is_ok() { &self.counts.exported } else { &self.counts.dropped };
                counter.fetch_add(batch.len() as u64, Relaxed);
                let was_failing = std::mem::replace(&mut is_failing, sent.is_err());
                match sent {
                    Err(failure) if !was_failing => {
                        tracing::warn!(
                            why = failure.why,
                            "the collector does not take traces; they are dropped"
                        );
                    }
                    Ok(()) if was_failing => tracing::info!("the collector takes traces again"),
                    _ => {}
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// The next spans, and whether they are the last ones.
    async fn gather(&mut self) -> (Vec<Span>, bool) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut until = pin!(sleep(Duration::MAX));
        while batch.len() < BATCH_MAX {
            let (room, is_first) = (BATCH_MAX - batch.len(), batch.is_empty());
            tokio::select! {
                count = self.spans.recv_many(&mut batch, room) => {
                    if count == 0 {
                        return (batch, true);
                    }
                    if is_first {
                        until.as_mut().reset(Instant::now() + GATHER_TIME);
                    }
                }
                () = until.as_mut(), if !is_first => break,
                () = ending(&mut self.ending), if !self.spans.is_closed() => self.spans.close(),
            }
        }
        (batch, false)
    }

    async fn send(&mut self, http: &Http, batch: &[Span]) -> Result<(), Failure> {
        let body = axum::body::Bytes::from(export_request(batch));
        for pause in PAUSES {
            match self.try_once(http, body.clone()).await {
                Err(failure) if failure.is_repeated => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = ending(&mut self.ending) => return self.try_once(http, body).await,
                    }
                }
                result => return result,
            }
        }
        self.try_once(http, body).await
    }

    async fn try_once(&self, http: &Http, body: axum::body::Bytes) -> Result<(), Failure> {
        let mut request = Request::post(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, AGENT);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let failure = |why: String, is_repeated| Failure { why, is_repeated };
        let request = request.body(Body::from(body)).map_err(|error| failure(error.to_string(), false))?;
        let response = match timeout(ANSWER_TIMEOUT, http.request(request)).await {
            Err(_) => return Err(failure("it did not answer in time".to_owned(), true)),
            Ok(Err(error)) => return Err(failure(error.to_string(), true)),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(failure(format!("it answered {}", status.as_u16()), REPEATED.contains(&status.as_u16())))
    }
}

/// Waits until the server ends.
async fn ending(ending: &mut watch::Receiver<bool>) {
    // Without a sender, the server is gone.
    let _ = ending.wait_for(|is_ending| *is_ending).await;
}

fn client(endpoint: &Uri) -> std::io::Result<Http> {
    let tls = tls::client(endpoint.scheme_str() == Some("https"))?;
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    let mut http = legacy::Client::builder(TokioExecutor::new());
    http.pool_timer(TokioTimer::new()).pool_max_idle_per_host(1);
    Ok(http.build(connector))
}
