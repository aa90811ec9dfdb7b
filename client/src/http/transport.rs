//! Connections to the server: one HTTP/1.1 exchange at a time on each, reused afterwards.
//!
//! TLS is rustls with the certificate authorities that the operating system trusts; for a private
//! one, the variable `SSL_CERT_FILE` names a file. This file knows no problems and repeats nothing.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// The most bytes of an answer. The server's pages end at about a megabyte; reports are larger.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long a connection without a request is kept. The server keeps it for longer.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// The bytes of a request, sent in one frame.
#[derive(Debug)]
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// A request, which can be sent any number of times.
#[derive(Clone, Debug)]
pub struct Message {
    pub method: Method,
    /// Path and query, below the address of the server.
    pub target: String,
    pub body: Option<Bytes>,
    pub idempotency_key: Option<String>,
    pub accept: &'static str,
}

/// A whole answer.
#[derive(Debug)]
pub struct Received {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The connections to one server, with the key that opens it.
pub struct Transport {
    http: legacy::Client<HttpsConnector<HttpConnector>, Whole>,
    base: String,
    authorization: HeaderValue,
    user_agent: HeaderValue,
}

impl fmt::Debug for Transport {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("base", &self.base).finish_non_exhaustive()
    }
}

fn tls(is_encrypted: bool) -> Result<ClientConfig, Error> {
    let invalid = |error: &dyn fmt::Display| Error::InvalidRequest(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| invalid(&error))?;
    let builder = if is_encrypted {
        builder.with_native_roots().map_err(|error| invalid(&error))?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

impl Transport {
    /// # Errors
    /// The address or the key is not valid, or the system trusts no certificate authority.
    pub fn new(url: &str, key: &str, user_agent: &str) -> Result<Transport, Error> {
        let invalid = |what: &str| Error::InvalidRequest(what.to_owned());
        let uri: Uri = url.parse().map_err(|_| invalid("the address of the server is not a URL"))?;
        let is_encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("the address of the server begins with neither http: nor https:")),
        };
        if uri.query().is_some() {
            return Err(invalid("the address of the server has a query"));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| invalid("the key has characters that no header can have"))?;
        authorization.set_sensitive(true);
        let user_agent =
            HeaderValue::from_str(user_agent).map_err(|_| invalid("the user agent is no header"))?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(is_encrypted)?);
        let connector = connector.https_or_http().enable_http1().build();
        let mut http = legacy::Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIME);
        let base = url.trim_end_matches('/').to_owned();
        Ok(Transport { http: http.build(connector), base, authorization, user_agent })
    }

    fn request(&self, message: &Message) -> Result<Request<Whole>, Error> {
        let mut request = Request::builder()
            .method(message.method.clone())
            .uri(format!("{}{}", self.base, message.target))
            .header(AUTHORIZATION, &self.authorization)
            .header(USER_AGENT, &self.user_agent)
            .header(ACCEPT, message.accept);
        if let Some(key) = &message.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if message.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Whole(message.body.clone()));
        request.map_err(|error| Error::InvalidRequest(error.to_string()))
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn open(&self, message: &Message) -> Result<Response<Incoming>, Error> {
        let request = self.request(message)?;
        self.http.request(request).await.map_err(|error| Error::Connection {
            may_have_arrived: !error.is_connect(),
            source: Box::new(error),
        })
    }

    /// Sends a request and waits for its whole answer.
    pub async fn exchange(&self, message: &Message) -> Result<Received, Error> {
        receive(self.open(message).await?).await
    }
}

/// Reads an answer to its end.
pub async fn receive(response: Response<Incoming>) -> Result<Received, Error> {
    let (head, mut body) = response.into_parts();
    let status = head.status.as_u16();
    let mut bytes = Vec::new();
    while let Some(data) = next_data(&mut body).await? {
        bytes.extend_from_slice(&data);
        if bytes.len() > ANSWER_BYTES_MAX {
            let detail = format!("it has more than {ANSWER_BYTES_MAX} bytes");
            return Err(Error::UnexpectedAnswer { status, detail, retry_after: None });
        }
    }
    Ok(Received { status, headers: head.headers, body: bytes.into() })
}

/// The next bytes of an answer; `None` at its end.
pub async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let frame =
            frame.map_err(|error| Error::Connection { may_have_arrived: true, source: Box::new(error) })?;
        // What is not data are trailers, which the server does not send.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
