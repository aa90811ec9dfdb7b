//! Sends one request to Stripe and waits for its answer, within bounds.
//!
//! Every request names the version of the API. A POST has an idempotency key that its caller fixed
//! before. A request is sent again at once, at most twice, only if nothing was carried out:
//! Stripe was not reached, or asks to come later. After an unknown answer the caller decides. The
//! key of the API is in no error and in no `Debug`.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tollkeeper_engine::digest;
use tollkeeper_ledger::hex;

use super::API_VERSION;
use super::error::{StripeError, Why};
use super::form::Form;
use super::settings::{StripeSettings, Times};
use crate::tls;

/// The most bytes of an answer. A page of 100 invoices with their lines has less.
const ANSWER_MAX_BYTES: usize = 8 << 20;

/// How often a request is sent that was not carried out.
const TRIES: u32 = 3;

/// How long a connection that nobody uses is kept: less than Stripe keeps it.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// The most characters of an idempotency key at Stripe.
const KEY_MAX: usize = 255;

/// The idempotency key of a call at Stripe: the same key is the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallKey(HeaderValue);

impl CallKey {
    /// A key from its text. Stripe takes 1 to 255 printable characters; of any other text the key
    /// is the digest.
    #[must_use]
    pub fn new(text: &str) -> CallKey {
        let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = is_printable && (1..=KEY_MAX).contains(&text.len());
        let digested = (!fits).then(|| format!("sha256:{}", hex(&digest(text.as_bytes()))));
        let key = HeaderValue::from_str(digested.as_deref().unwrap_or(text));
        CallKey(key.expect("printable characters are a header"))
    }

    /// The key of a call of a ledger: one for its name, its id and its generation.
    #[must_use]
    pub fn of(ledger: &str, call: &str, id: &str, generation: u32) -> CallKey {
        CallKey::new(&format!("{ledger}:{call}:{id}:{generation}"))
    }
}

/// The connections to Stripe, with the key of the API.
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Body>,
    base: String,
    authorization: HeaderValue,
    times: Times,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with these settings, which name a key. Nothing is sent yet.
    ///
    /// # Errors
    /// There is no key, or the operating system has no trusted certificate authorities.
    pub fn new(settings: &StripeSettings) -> std::io::Result<Client> {
        let key =
            settings.api_key.as_ref().ok_or_else(|| std::io::Error::other("`stripe_api_key` is missing"))?;
        let authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let mut authorization = authorization.map_err(std::io::Error::other)?;
        authorization.set_sensitive(true);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(settings.times.connect));
        tcp.set_nodelay(true);
        let is_encrypted = settings.api_base.starts_with("https://");
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls::client(is_encrypted)?);
        let scheme = if is_encrypted { tls.https_only() } else { tls.https_or_http() };
        let connector = scheme.enable_http1().wrap_connector(tcp);
        let mut http = legacy::Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIME);
        let (base, times) = (settings.api_base.clone(), settings.times);
        Ok(Client { http: http.build(connector), base, authorization, times })
    }

    /// Reads an object or a list. `path` follows `/v1/`.
    ///
    /// # Errors
    /// Why there is no answer that can be used.
    pub fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Form,
    ) -> impl Future<Output = Result<T, StripeError>> + Send {
        let query = query.encode();
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("{path}{mark}{query}");
        self.send(Sent { method: Method::GET, path, form: None, key: None })
    }

    /// Carries out a call once for its key. `path` follows `/v1/`.
    ///
    /// # Errors
    /// Why there is no answer that can be used.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: Form,
        key: &CallKey,
    ) -> impl Future<Output = Result<T, StripeError>> + Send {
        let form = Some(Bytes::from(form.encode()));
        self.send(Sent { method: Method::POST, path: path.to_owned(), form, key: Some(key.0.clone()) })
    }

    /// Ends an object. Doing so again does nothing more. `path` follows `/v1/`.
    ///
    /// # Errors
    /// Why there is no answer that can be used.
    pub fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<T, StripeError>> + Send {
        self.send(Sent { method: Method::DELETE, path: path.to_owned(), form: None, key: None })
    }

    async fn send<T: DeserializeOwned>(&self, sent: Sent) -> Result<T, StripeError> {
        let answer = tokio::time::timeout(self.times.answer, self.try_repeatedly(&sent)).await;
        let bytes = answer.unwrap_or(Err(StripeError::Unknown(Why::TimedOut)))?;
        serde_json::from_slice(&bytes).map_err(|_| StripeError::Unknown(Why::Undecodable))
    }

    async fn try_repeatedly(&self, sent: &Sent) -> Result<Bytes, StripeError> {
        let mut pause = self.times.first_pause;
        for _ in 1..TRIES {
            match self.try_once(sent).await {
                Err(error) if error.may_pass_soon() => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        self.try_once(sent).await
    }

    async fn try_once(&self, sent: &Sent) -> Result<Bytes, StripeError> {
        let response = self.http.request(self.request(sent)).await.map_err(|error| {
            StripeError::Unknown(if error.is_connect() { Why::Unreachable } else { Why::Cut })
        })?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), ANSWER_MAX_BYTES).await;
        let body = body.map_err(|_| StripeError::Unknown(Why::Cut))?;
        if status.is_success() { Ok(body) } else { Err(StripeError::of_answer(status.as_u16(), &body)) }
    }

    fn request(&self, Sent { method, path, form, key }: &Sent) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            .header("stripe-version", API_VERSION);
        if let Some(key) = key {
            request = request.header("idempotency-key", key.clone());
        }
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = form.clone().map_or_else(Body::empty, Body::from);
        request.body(body).expect("paths are made of names and ids, and queries are encoded")
    }
}

/// A request as it is sent, once or again.
struct Sent {
    method: Method,
    /// After `/v1/`, with the query.
    path: String,
    form: Option<Bytes>,
    key: Option<HeaderValue>,
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Id, TopUpId, bounds};

    use super::{CallKey, KEY_MAX};

    #[test]
    fn a_key_of_the_longest_names_is_bounded_and_of_one_call() {
        let ledger = i64::MIN.to_string();
        let name = "n".repeat(bounds::NAME_MAX_BYTES);
        let (customer, other) = ("c".repeat(KEY_MAX), "d".repeat(KEY_MAX));
        let top_up = TopUpId(Id::v7(i64::MAX >> 16, 0, u64::MAX >> 2)).to_string();
        let of_page = |customer: &str| format!("{top_up}:{customer}");
        let price = format!("price:{ledger}:{name}:{0}:{0}:month", i64::MAX);
        let mut keys = vec![
            CallKey::of(&ledger, "customer", &name, u32::MAX),
            CallKey::of(&ledger, "customer_after", &customer, u32::MAX),
            CallKey::of(&ledger, "top_up", &of_page(&customer), u32::MAX),
            CallKey::of(&ledger, "top_up", &of_page(&other), u32::MAX),
            CallKey::of(&ledger, "top_up", &of_page(&customer), 0),
            CallKey::of(&ledger, "remove_card", &customer, 0),
            CallKey::of(&ledger, "portal", "", 0),
            CallKey::new(&price),
            CallKey::new(""),
            CallKey::new("not printable\u{0}\n"),
            CallKey::new("n\u{e4}me"),
        ];
        for CallKey(key) in &keys {
            let text = key.to_str().expect("it is printable");
            assert!((1..=KEY_MAX).contains(&text.len()), "{text}");
        }
        let count = keys.len();
        keys.sort_by(|CallKey(one), CallKey(other)| one.as_bytes().cmp(other.as_bytes()));
        keys.dedup();
        assert_eq!(keys.len(), count, "two calls have two keys");
        let again = CallKey::of(&ledger, "top_up", &of_page(&customer), u32::MAX);
        assert!(keys.contains(&again), "a call that is made again has the same key");
    }

    #[test]
    fn a_key_that_fits_is_its_text() {
        assert_eq!(CallKey::of("1", "top_up", "tu_1", 2).0, "1:top_up:tu_1:2");
        let longest = "k".repeat(KEY_MAX);
        assert_eq!(CallKey::new(&longest).0, longest.as_str());
        assert_ne!(CallKey::new(&format!("{longest}k")).0, longest.as_str());
    }
}
