//! The API of a server elsewhere, for a gate that runs alone.
//!
//! Charges are made with the key of the caller. Outcomes are reported with a key of the gate: the
//! platform's, or one with the scopes `charge` and `settle` for a single workspace.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Request, Response, Uri};
use futures_util::StreamExt;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::charging::{
    BoxFuture, Charging, Opened, Quantities, ReportError, Unavailable, report_taken, settlement_json,
};
use crate::outcome::Outcome;
use crate::proxy::Upstreams;

/// The longest time for an answer of the API.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer of the API.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to upstreams and to the API. Without encryption, certificate authorities are not
/// read.
pub fn connector(is_encrypted: bool) -> std::io::Result<HttpsConnector<HttpConnector>> {
    let builder =
        ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(std::io::Error::other)?;
    let builder = if is_encrypted {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let tls = builder.with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http))
}

/// The API of a server elsewhere.
pub struct Remote {
    client: Upstreams,
    server: Uri,
    authorization: HeaderValue,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Remote {
    /// The server at an address such as `https://billing.example.com`, and the key of the gate.
    ///
    /// # Errors
    /// The key has characters that no header may have, or the operating system has no trusted
    /// certificate authorities.
    pub fn new(server: Uri, key: &str) -> std::io::Result<Remote> {
        let is_encrypted = server.scheme_str() == Some("https");
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(std::io::Error::other)?;
        authorization.set_sensitive(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector(is_encrypted)?);
        Ok(Remote { client, server, authorization })
    }

    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Unavailable> {
        let mut parts = self.server.clone().into_parts();
        let own = self.server.path().trim_end_matches('/');
        let path = format!("{own}{}", request.uri().path());
        parts.path_and_query =
            Some(path.parse().map_err(|_| Unavailable("the path is not valid".to_owned()))?);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|why| Unavailable(why.to_string()))?;
        let answered = async {
            let response = self.client.request(request.map(Body::from)).await;
            let response = response.map_err(|why| Unavailable(why.to_string()))?;
            let (head, body) = response.into_parts();
            Ok(Response::from_parts(head, read(body).await?))
        };
        timeout(CALL_TIMEOUT, answered)
            .await
            .unwrap_or_else(|_| Err(Unavailable("no answer in time".to_owned())))
    }
}

impl Remote {
    /// Sends something about a charge with the key of the gate.
    async fn send_about(&self, charge: &Opened, about: &str, body: &Value) -> Result<(), ReportError> {
        let request = charge.request(about, &self.authorization, body)?;
        let response = self.send(request).await.map_err(|why| ReportError::Later(why.to_string()))?;
        report_taken(&response)
    }
}

async fn read(body: Incoming) -> Result<Bytes, Unavailable> {
    let mut bytes = Vec::with_capacity(body.size_hint().lower().min(ANSWER_MAX_BYTES as u64) as usize);
    let mut chunks = Body::new(body).into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|why| Unavailable(why.to_string()))?;
        if bytes.len() + chunk.len() > ANSWER_MAX_BYTES {
            return Err(Unavailable("the answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(bytes))
}

impl Charging for Remote {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Unavailable>> {
        Box::pin(self.send(request))
    }

    fn report<'a>(&'a self, charge: &'a Opened, outcome: Outcome) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(async move {
            let body = match outcome {
                Outcome::Succeeded => json!({ "result": "succeeded" }),
                Outcome::UserFailed(_) => {
                    json!({ "result": "failed", "fault": "user", "detail": outcome.detail() })
                }
                Outcome::SystemFailed(_) => {
                    json!({ "result": "failed", "fault": "system", "detail": outcome.detail() })
                }
            };
            // Without quantities it is a refusal like others.
            match self.send_about(charge, "outcome", &body).await {
                Err(ReportError::Quantities(why)) => Err(ReportError::Refused(why)),
                other => other,
            }
        })
    }

    fn settle<'a>(
        &'a self,
        charge: &'a Opened,
        used: &'a Quantities,
    ) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(async move { self.send_about(charge, "outcome", &settlement_json(used)).await })
    }

    fn extend<'a>(&'a self, charge: &'a Opened, seconds: u32) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(
            async move { self.send_about(charge, "heartbeat", &json!({ "extend_seconds": seconds })).await },
        )
    }
}
