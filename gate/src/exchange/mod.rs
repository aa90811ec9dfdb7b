//! One request to an upstream and its answer, until its end. The end decides about the charge.
//!
//! It runs in a task of its own and is never cancelled by the client: a client that hangs up
//! decides nothing, the answer of the upstream does. Nor does a client that reads too slowly, or
//! breaks its request off after the answer began: else it could read an answer and be refunded.
//!
//! A metered exchange has other rules, which are in `metered`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{Request, Response, StatusCode};
use futures_util::future::poll_fn;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::charging::{BoxFuture, Charging, Opened, ReportError};
use crate::headers;
use crate::outcome::{Failure, Outcome};
use crate::proxy::Upstreams;
use crate::refusal::Refusal;
use crate::relay::{RequestState, Sender, relay};
use crate::shutdown::Phases;

mod content;
mod events;
mod heartbeat;
mod metered;
mod settlement;
mod tool_answer;
mod usage;

pub use metered::MeteredExchange;
pub use settlement::Counts;

use tool_answer::ToolAnswer;

/// The first and the longest pause before an outcome is reported again.
const REPORT_PAUSE: Duration = Duration::from_millis(100);
const REPORT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// One request on its way.
pub struct Exchange {
    pub charging: Arc<dyn Charging>,
    pub upstreams: Upstreams,
    pub charge: Opened,
    /// The time-out of the route.
    pub timeout: Duration,
    /// How long an outcome can be reported beyond it.
    pub grace: Duration,
    /// The connection of the client, if it asks for another protocol.
    pub upgrade: Option<OnUpgrade>,
    /// What the client does with the body of its request.
    pub request_state: Arc<RequestState>,
    /// Whether the request is the call of a tool, whose answer says more than its status.
    pub is_tool_call: bool,
    /// Dropped when the outcome is reported; a shutdown waits for that.
    pub running: mpsc::Sender<()>,
    /// How far a shutdown is.
    pub phases: Phases,
}

impl Exchange {
    /// Sends the request, answers through `answer`, and reports the outcome.
    pub async fn run(self, request: Request<Body>, answer: oneshot::Sender<Result<Response<Body>, Refusal>>) {
        let deadline = Instant::now() + self.timeout;
        let outcome = match timeout_at(deadline, self.upstreams.request(request)).await {
            // Another protocol that nobody asked for is no answer.
            Ok(Ok(response)) if response.status().is_informational() && self.upgrade.is_none() => {
                Outcome::SystemFailed(Failure::Connection)
            }
            Ok(Ok(response)) => return self.pass_on(response, deadline, answer).await,
            Ok(Err(_)) if self.request_state.is_broken() => Outcome::SystemFailed(Failure::Request),
            Ok(Err(why)) => {
                tracing::warn!(charge = %self.charge.id, %why, "an upstream failed");
                Outcome::SystemFailed(Failure::Connection)
            }
            Err(_) => Outcome::SystemFailed(Failure::TimeOut),
        };
        // The refund is made first, so that the client finds it when it gets the answer.
        self.report(outcome, deadline).await;
        let _ = answer.send(Err(failed(outcome, &self.charge)));
    }

    /// Passes an answer on while it arrives.
    async fn pass_on(
        mut self,
        mut response: Response<Incoming>,
        deadline: Instant,
        answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    ) {
        let outcome = Outcome::of(response.status());
        let upgraded = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| self.upgrade.take().map(|client| (client, hyper::upgrade::on(&mut response))))
            .flatten();
        let (mut head, mut body) = response.into_parts();
        let Opened { amount, balance, .. } = self.charge;
        headers::to_client(&mut head.headers, &self.charge.header(), amount, balance, upgraded.is_some());
        if upgraded.is_some() || body.is_end_stream() {
            let _ = answer.send(Ok(Response::from_parts(head, Body::empty())));
            self.report(outcome, deadline).await;
            // A shutdown does not wait for a tunnel, whose charge is settled.
            drop(self.running);
            if let Some((client, upstream)) = upgraded {
                tunnel(client, upstream).await;
            }
            return;
        }
        let (sender, relayed) = relay();
        let mut tool = self.is_tool_call.then(|| ToolAnswer::new(&head.headers));
        let _ = answer.send(Ok(Response::from_parts(head, relayed)));
        match outcome {
            Outcome::Succeeded => {
                let outcome = copy(&mut body, sender, deadline, &self, tool.as_mut()).await;
                let outcome = tool.map_or(outcome, |answer| answer.outcome(outcome));
                self.report(outcome, deadline).await;
            }
            // The status has decided. The rest is for the client alone.
            failed => {
                tokio::join!(self.report(failed, deadline), copy(&mut body, sender, deadline, &self, None));
            }
        }
    }

    /// Reports the outcome until it is taken. After the deadline of the charge the report is given
    /// up: then the charge was refunded by its deadline.
    async fn report(&self, outcome: Outcome, deadline: Instant) {
        self.report_until(outcome, deadline + self.grace).await;
    }

    async fn report_until(&self, outcome: Outcome, given_up: Instant) {
        let report = || self.charging.report(&self.charge, outcome);
        if let Err(ReportError::Quantities(why)) = self.repeat(&outcome, given_up, report).await {
            tracing::error!(charge = %self.charge.id, ?outcome, %why, "an outcome was refused");
        }
    }

    /// Sends a report until it is taken or refused, or is given up. What is refused because of its
    /// quantities is for the caller.
    async fn repeat<'a>(
        &'a self,
        what: &(dyn fmt::Debug + Sync),
        given_up: Instant,
        report: impl Fn() -> BoxFuture<'a, Result<(), ReportError>>,
    ) -> Result<(), ReportError> {
        let mut pause = REPORT_PAUSE;
        loop {
            let failed = match report().await {
                Err(failed) => failed,
                taken => return taken,
            };
            match &failed {
                ReportError::Quantities(_) => return Err(failed),
                ReportError::Refused(why) => {
                    tracing::error!(charge = %self.charge.id, outcome = ?what, %why, "an outcome was refused");
                    return Err(failed);
                }
                ReportError::Later(why) if Instant::now() + pause >= given_up => {
                    tracing::error!(charge = %self.charge.id, outcome = ?what, %why, "an outcome was never reported");
                    return Err(failed);
                }
                ReportError::Later(_) => sleep(pause).await,
            }
            pause = (2 * pause).min(REPORT_PAUSE_MAX);
        }
    }
}

/// Copies an answer to the client until its end. Returns what its end means if its status is that
/// of a success.
async fn copy(
    body: &mut Incoming,
    sender: Sender,
    deadline: Instant,
    exchange: &Exchange,
    mut tool: Option<&mut ToolAnswer>,
) -> Outcome {
    let mut client = Some(sender);
    let mut waited_for_client = Duration::ZERO;
    let mut heard = Instant::now();
    let end = |client: Option<Sender>| {
        if let Some(client) = client {
            client.end();
        }
        Outcome::Succeeded
    };
    loop {
        // The last frame is known as such when it comes: its successor may never be polled.
        if body.is_end_stream() {
            return end(client);
        }
        let frame =
            timeout_at(deadline, poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context))).await;
        let failure = match frame {
            Ok(None) => return end(client),
            Ok(Some(Ok(frame))) => {
                if let (Some(tool), Some(part)) = (&mut tool, frame.data_ref()) {
                    tool.read(part);
                }
                let began = Instant::now();
                if let Some(sender) = &client
                    && !matches!(timeout_at(deadline, sender.send(frame)).await, Ok(true))
                {
                    client = None;
                }
                waited_for_client += began.elapsed();
                heard = Instant::now();
                continue;
            }
            Ok(Some(Err(_))) => Failure::Connection,
            Err(_) => Failure::TimeOut,
        };
        // A client that holds its request back, or takes the answer slower than the upstream sends
        // it, used up the time itself.
        let is_slow = exchange.request_state.is_awaited() || waited_for_client > heard.elapsed();
        let is_of_client = exchange.request_state.is_broken() || (failure == Failure::TimeOut && is_slow);
        return if is_of_client { Outcome::Succeeded } else { Outcome::SystemFailed(failure) };
    }
}

/// Passes bytes on in both directions until both sides have ended.
async fn tunnel(client: OnUpgrade, upstream: OnUpgrade) {
    let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else { return };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    // A side that breaks off ends the tunnel. The charge was settled when it began.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
}

/// The answer of the gate to a failure, whose charge was refunded.
fn failed(outcome: Outcome, charge: &Opened) -> Refusal {
    let refusal = match outcome {
        Outcome::SystemFailed(Failure::TimeOut) => Refusal::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timed_out",
            "Upstream timed out",
            "The operation took too long. Its charge was refunded.",
        ),
        Outcome::SystemFailed(Failure::Request) => Refusal::new(
            StatusCode::BAD_REQUEST,
            "request_incomplete",
            "Request incomplete",
            "The request did not arrive completely. Its charge was refunded.",
        ),
        Outcome::SystemFailed(Failure::Misconfigured) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "route_misconfigured",
            "Route misconfigured",
            "The operation has no price for a meter of this route. Its charge was refunded.",
        )
        .lasting(),
        _ => Refusal::new(
            StatusCode::BAD_GATEWAY,
            "upstream_failed",
            "Upstream failed",
            "The operation could not run. Its charge was refunded.",
        ),
    };
    refusal.with("charge", charge.id.clone().into())
}
