//! One call: a request with its idempotency key and deadlines, sent until there is an answer.
//!
//! The key is made before the first attempt, and every attempt carries the same one. So a charge
//! whose answer was lost is not deducted twice.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::RETRY_AFTER;
use hyper::{HeaderMap, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::Connection;
use super::retry::{Limits, pause};
use super::route::{Route, query_string};
use super::transport::{Message, Received};
use crate::error::{Error, Problem};

/// The most characters of an answer that cannot be used which are shown.
const EXCERPT_CHARS: usize = 200;

/// What a call expects as its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Json,
    Text,
}

/// A call that is not sent yet. Awaiting it gives the answer's value.
///
/// ```no_run
/// # use std::time::Duration;
/// # use tollkeeper_client::{Client, Error, types::ChargeRequest};
/// # async fn example(client: &Client) -> Result<(), Error> {
/// let request = ChargeRequest::new("virtual_try_on");
/// let charge = client
///     .charges("acme")
///     .create(&request)
///     .idempotency_key("order-17")
///     .total_timeout(Duration::from_secs(5))
///     .await?;
/// assert_eq!(charge.amount, 20_000);
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is sent when it is awaited"]
pub struct Call<T> {
    connection: Arc<Connection>,
    limits: Limits,
    message: Message,
    expected: Expected,
    is_repeatable: bool,
    answer: PhantomData<fn() -> T>,
}

/// The value of an answer, and what its headers say about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// Whether the request was a repeated one, which got its first answer again.
    pub is_replayed: bool,
    /// With a first answer again that is about a charge: the status that the charge has now.
    pub charge_status: Option<String>,
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("message", &self.message).finish_non_exhaustive()
    }
}

/// A random idempotency key.
fn random_key() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("without random numbers there is no key, and no TLS either");
    format!("client-{:032x}", u128::from_be_bytes(bytes))
}

impl<T> Call<T> {
    /// The call of a route. A route that needs an idempotency key gets a random one.
    pub(crate) fn new(connection: &Arc<Connection>, route: &Route, parameters: &[&str]) -> Call<T> {
        Call::of_target(connection, route, route.path(parameters))
    }

    /// The call of a route whose path and query are made.
    pub(crate) fn of_target(connection: &Arc<Connection>, route: &Route, target: String) -> Call<T> {
        let message = Message {
            method: route.method.clone(),
            target,
            body: None,
            idempotency_key: route.is_keyed.then(random_key),
            accept: "application/json",
        };
        Call {
            connection: Arc::clone(connection),
            limits: connection.limits.clone(),
            is_repeatable: route.is_keyed || route.method != Method::POST,
            message,
            expected: Expected::Json,
            answer: PhantomData,
        }
    }

    pub(crate) fn query(mut self, query: &impl Serialize) -> Call<T> {
        self.message.target.push_str(&query_string(query, &[]));
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Call<T> {
        let bytes = serde_json::to_vec(body).expect("requests are objects with texts as names");
        self.message.body = Some(bytes.into());
        self
    }

    /// Says whether the request can be carried out twice without harm. Otherwise that follows from
    /// the method and the key.
    pub(crate) fn repeatable(mut self, is_repeatable: bool) -> Call<T> {
        self.is_repeatable = is_repeatable;
        self
    }

    /// Uses this idempotency key instead of a random one. A key of your own, such as the id of an
    /// order, also protects against a repetition by another process.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Call<T> {
        self.message.idempotency_key = Some(key.into());
        self
    }

    /// The deadline of one attempt. After it, the request is sent again if it is safe to repeat.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Call<T> {
        self.limits.attempt_timeout = timeout;
        self
    }

    /// The deadline of the whole call, with all attempts and the pauses between them.
    pub fn total_timeout(mut self, timeout: Duration) -> Call<T> {
        self.limits.total_timeout = timeout;
        self
    }

    /// How often the request is sent again at most.
    pub fn retries(mut self, retries: u32) -> Call<T> {
        self.limits.retries = retries;
        self
    }

    /// Sends the request until there is an answer, an error that no repetition helps, or the
    /// deadline of the call.
    async fn exchange(&self) -> Result<Received, Error> {
        let begun = Instant::now();
        let total = self.limits.total_timeout;
        let mut retry = 0;
        loop {
            let left = total.saturating_sub(begun.elapsed());
            let attempt = left.min(self.limits.attempt_timeout);
            let result = timeout(attempt, self.connection.transport.exchange(&self.message)).await;
            let error = match result {
                Ok(Ok(received)) if (200..300).contains(&received.status) => return Ok(received),
                Ok(Ok(received)) => error_of(received),
                Ok(Err(error)) => error,
                Err(_) if attempt == left => return Err(Error::TimedOut { after: total }),
                Err(_) => Error::TimedOut { after: attempt },
            };
            match pause(&error, retry, self.is_repeatable, &self.limits) {
                Some(pause) if begun.elapsed() + pause < total => sleep(pause).await,
                _ => return Err(error),
            }
            retry += 1;
        }
    }
}

impl Call<String> {
    /// Expects a text of this media type.
    pub(crate) fn text(mut self, media_type: &'static str) -> Call<String> {
        self.message.accept = media_type;
        self.expected = Expected::Text;
        self
    }
}

impl<T: DeserializeOwned> Call<T> {
    /// Sends the request, and returns the value with what the headers say about it.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub async fn send(self) -> Result<Answer<T>, Error> {
        let received = self.exchange().await?;
        let header = |name: &str| received.headers.get(name)?.to_str().ok();
        let is_replayed = header("idempotent-replayed") == Some("true");
        let charge_status = header("tollkeeper-charge-status").map(str::to_owned);
        let value = decode(&received, self.expected)?;
        Ok(Answer { value, is_replayed, charge_status })
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for Call<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.value) })
    }
}

fn decode<T: DeserializeOwned>(received: &Received, expected: Expected) -> Result<T, Error> {
    let value = match expected {
        // An answer without content is the value of `()`.
        Expected::Json if received.body.is_empty() => serde_json::from_value(Value::Null),
        Expected::Json => serde_json::from_slice(&received.body),
        Expected::Text => {
            let text = String::from_utf8_lossy(&received.body).into_owned();
            serde_json::from_value(Value::String(text))
        }
    };
    value.map_err(|error| Error::UnexpectedAnswer {
        status: received.status,
        detail: error.to_string(),
        retry_after: None,
    })
}

/// The seconds of the header `Retry-After`. The server sends no date there.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The error that an answer without success is.
pub fn error_of(received: Received) -> Error {
    let retry_after = retry_after(&received.headers);
    let fields = serde_json::from_slice(&received.body).ok();
    match fields.and_then(Problem::of_fields) {
        Some(problem) => Error::Problem(Box::new(Problem { retry_after, ..problem })),
        None => {
            let text = String::from_utf8_lossy(&received.body);
            let detail = text.chars().take(EXCERPT_CHARS).collect();
            Error::UnexpectedAnswer { status: received.status, detail, retry_after }
        }
    }
}
