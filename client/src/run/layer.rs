//! A tower layer that charges before an inner service runs, and settles or refunds by its result.
//!
//! It fits every service of tower, such as the routes of axum or tonic. A [`ChargePolicy`] says
//! what a request costs and what a response means. The outcome is decided when the inner service
//! returns its response; a body that is streamed afterwards does not change it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::charged::{ChargeError, Outcome, RunCharge, run_charged};
use super::fault::Fault;
use crate::client::Client;
use crate::types::Charge;

/// What requests of a service cost, and what its results mean.
pub trait ChargePolicy<Request, Response, Error> {
    /// The charge of a request; `None` if it is free.
    fn charge(&self, request: &Request) -> Option<RunCharge>;

    /// Gives the request its charge before the inner service gets the request, as an extension for
    /// example.
    fn attach(&self, request: &mut Request, charge: &Charge) {
        let _ = (request, charge);
    }

    /// What became of the operation. For statuses of HTTP, [`outcome_of_status`] says it.
    fn outcome(&self, result: Result<&Response, &Error>) -> Outcome;

    /// The result of a request that did not run to its end because of its charge, such as a
    /// response with status 402.
    ///
    /// # Errors
    /// The error of the service, if a refusal is one.
    fn refuse(&self, error: ChargeError) -> Result<Response, Error>;
}

/// What a status of HTTP says about an operation: below 400 it succeeded. From 400 on the user's
/// fault, except 408, 425 and 429, which say that nothing was done. From 500 on the system's.
#[must_use]
pub fn outcome_of_status(status: u16) -> Outcome {
    match status {
        408 | 425 | 429 => Outcome::failed(Fault::System),
        400..=499 => Outcome::failed(Fault::User),
        0..=399 => Outcome::Succeeded,
        _ => Outcome::failed(Fault::System),
    }
}

/// Wraps services in [`ChargeService`].
pub struct ChargeLayer<P> {
    client: Client,
    policy: Arc<P>,
}

impl<P> ChargeLayer<P> {
    /// A layer that charges with this client.
    pub fn new(client: Client, policy: P) -> ChargeLayer<P> {
        ChargeLayer { client, policy: Arc::new(policy) }
    }
}

impl<P> Clone for ChargeLayer<P> {
    fn clone(&self) -> ChargeLayer<P> {
        ChargeLayer { client: self.client.clone(), policy: Arc::clone(&self.policy) }
    }
}

impl<P> fmt::Debug for ChargeLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChargeLayer").field("client", &self.client).finish_non_exhaustive()
    }
}

impl<S, P> Layer<S> for ChargeLayer<P> {
    type Service = ChargeService<S, P>;

    fn layer(&self, inner: S) -> ChargeService<S, P> {
        ChargeService { inner, layer: self.clone() }
    }
}

/// A service whose requests are charged before they run.
pub struct ChargeService<S, P> {
    inner: S,
    layer: ChargeLayer<P>,
}

impl<S: Clone, P> Clone for ChargeService<S, P> {
    fn clone(&self) -> ChargeService<S, P> {
        ChargeService { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for ChargeService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChargeService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, P, Request> Service<Request> for ChargeService<S, P>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    P: ChargePolicy<Request, S::Response, S::Error> + Send + Sync + 'static,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // The instance that was polled is ready; its copy takes its place.
        let copy = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, copy);
        let ChargeLayer { client, policy } = self.layer.clone();
        let Some(charge) = policy.charge(&request) else {
            return Box::pin(inner.call(request));
        };
        Box::pin(async move {
            let start = |running: super::charged::Running| {
                policy.attach(&mut request, running.charge());
                inner.call(request)
            };
            let judge = |result: &Result<S::Response, S::Error>| policy.outcome(result.as_ref());
            match run_charged(&client, charge, start, judge).await {
                Ok(ended) => ended.output,
                Err(error) => policy.refuse(error),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, outcome_of_status};
    use crate::run::fault::Fault;

    #[test]
    fn statuses_say_whose_fault_it_is() {
        for status in [200, 204, 302, 399] {
            assert_eq!(outcome_of_status(status), Outcome::Succeeded, "{status}");
        }
        for status in [400, 404, 422, 499] {
            assert_eq!(outcome_of_status(status), Outcome::failed(Fault::User), "{status}");
        }
        for status in [408, 425, 429, 500, 503, 599] {
            assert_eq!(outcome_of_status(status), Outcome::failed(Fault::System), "{status}");
        }
    }
}
