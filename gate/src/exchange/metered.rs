//! A metered exchange: one request to an upstream, whose answer is settled by the usage in it.
//!
//! | what happens | the charge |
//! |---|---|
//! | a whole 2xx with usage | settled by the usage, at most the hold |
//! | a whole 2xx without usage | as the route says: an estimate, the hold, or refunded |
//! | a whole 2xx that cannot be read | the same, but the hold instead of a refund |
//! | a stream with an error, without output and usage | refunded |
//! | another status; no answer in time; a broken connection before a byte | refunded |
//! | the client is gone before a byte | refunded; the connection to the upstream is closed |
//! | the client is gone after bytes | the connection is closed; settled by what came |
//! | a JSON answer breaks off or is silent | refunded |
//! | another answer breaks off or is silent after bytes | settled by what came |
//!
//! A client that hangs up could avoid an event with usage, which comes last. So its answer costs at
//! least what the events that it got suggest, and is not refunded for missing usage.
//!
//! The time-out of a metered route is for silence: a stream may last longer, and moves the deadline
//! of its charge while bytes arrive. A shutdown breaks an answer off in time for its settlement.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Request, Response};
use futures_util::future::poll_fn;
use hyper::body::{Frame, Incoming};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::heartbeat::{Deadlines, keep_open};
use super::settlement::{Counts, End};
use super::usage::UsageReader;
use super::{Exchange, copy, failed};
use crate::charging::Quantities;
use crate::headers::{self, FITTED};
use crate::outcome::{Failure, Outcome};
use crate::refusal::Refusal;
use crate::relay::{Sender, relay};
use crate::settings::Metering;
use crate::shutdown::Phase;

/// The longest time of a metered answer. What is left then is cut off.
const ANSWER_MAX_TIME: Duration = Duration::from_secs(24 * 3_600);

/// A client that an answer waited for so long may be the reason why the upstream broke off.
const SLOW: Duration = Duration::from_secs(1);

/// One metered request on its way.
pub struct MeteredExchange {
    pub exchange: Exchange,
    pub metering: Arc<Metering>,
    /// What the charge holds.
    pub held: Quantities,
    /// The bytes of the body as the client sent it.
    pub body_bytes: i64,
    /// Whether the answer gets an event with usage that the client did not ask for.
    pub strips_usage: bool,
    /// The limit of the output, if it was lowered to what is affordable.
    pub fitted: Option<i64>,
    pub counts: Arc<Counts>,
}

impl MeteredExchange {
    /// Sends the request, answers through `answer`, and reports the outcome.
    pub async fn run(
        self,
        request: Request<Body>,
        mut answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    ) {
        let deadline = Instant::now() + self.exchange.timeout;
        if !self.metering.meters.iter().all(|meter| self.exchange.charge.has_meter(&meter.id)) {
            return self.refuse(Failure::Misconfigured, deadline, answer).await;
        }
        let ending = self.exchange.phases.clone().reached(Phase::Ending);
        let answered = tokio::select! {
            answered = timeout_at(deadline, self.exchange.upstreams.request(request)) => answered,
            // The request is dropped, which closes the connection to the upstream.
            () = answer.closed() => {
                let outcome = Outcome::SystemFailed(Failure::Client);
                return self.exchange.report(outcome, deadline).await;
            }
            () = ending => return self.refuse(Failure::Connection, deadline, answer).await,
        };
        let failure = match answered {
            Ok(Ok(response)) if response.status().is_success() => {
                return self.pass_on(response, deadline, answer).await;
            }
            Ok(Ok(response)) if !response.status().is_informational() => {
                return self.pass_on_unused(response, deadline, answer).await;
            }
            Ok(Ok(_)) => Failure::Connection,
            Ok(Err(why)) => {
                tracing::warn!(charge = %self.exchange.charge.id, %why, "an upstream failed");
                Failure::Connection
            }
            Err(_) => Failure::TimeOut,
        };
        self.refuse(failure, deadline, answer).await;
    }

    /// Answers that the operation could not run.
    async fn refuse(
        self,
        failure: Failure,
        deadline: Instant,
        answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    ) {
        let charge = &self.exchange.charge;
        if failure == Failure::Misconfigured {
            tracing::error!(charge = %charge.id, "the operation has no price for a meter of its route");
        }
        let outcome = Outcome::SystemFailed(failure);
        // The refund is made first, so that the client finds it when it gets the answer.
        self.exchange.report(outcome, deadline).await;
        let _ = answer.send(Err(failed(outcome, charge)));
    }

    /// Passes on an answer that says that nothing ran.
    async fn pass_on_unused(
        self,
        response: Response<Incoming>,
        deadline: Instant,
        answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    ) {
        let outcome = Outcome::SystemFailed(Failure::Status(response.status().as_u16()));
        let (mut head, mut body) = response.into_parts();
        self.head_to_client(&mut head.headers);
        if body.is_end_stream() {
            let _ = answer.send(Ok(Response::from_parts(head, Body::empty())));
            return self.exchange.report(outcome, deadline).await;
        }
        let (sender, relayed) = relay();
        let _ = answer.send(Ok(Response::from_parts(head, relayed)));
        let copied = copy(&mut body, sender, deadline, &self.exchange, None);
        tokio::join!(self.exchange.report(outcome, deadline), copied);
    }

    /// Passes on a metered answer while it arrives, then settles by its usage.
    async fn pass_on(
        self,
        response: Response<Incoming>,
        deadline: Instant,
        answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    ) {
        let (mut head, mut body) = response.into_parts();
        self.head_to_client(&mut head.headers);
        let deadlines = Deadlines::new(deadline, deadline + self.exchange.grace);
        let mut reader = UsageReader::new(&self.metering, &head.headers, self.strips_usage);
        if body.is_end_stream() {
            let _ = answer.send(Ok(Response::from_parts(head, Body::empty())));
            return self.settle(End::Whole, &reader, deadlines.charge()).await;
        }
        if reader.may_strip() {
            head.headers.remove(CONTENT_LENGTH);
        }
        let (sender, relayed) = relay();
        if answer.send(Ok(Response::from_parts(head, relayed))).is_err() {
            drop(body);
            return self.settle(End::ClientGone, &reader, deadlines.charge()).await;
        }
        let end = tokio::select! {
            end = self.copy(&mut body, &sender, &mut reader, &deadlines) => end,
            () = keep_open(&self.exchange, &deadlines) => End::Broken,
            () = self.exchange.phases.clone().reached(Phase::Ending) => End::Broken,
        };
        // A connection that is not read to its end is closed.
        drop(body);
        let rest = reader.end(&self.metering, end == End::Whole);
        let to_client = async {
            if !rest.is_empty() {
                let _ = timeout_at(deadlines.silence(), sender.send(Frame::data(rest))).await;
            }
            match end {
                End::Whole => sender.end(),
                End::Broken | End::Silent | End::ClientGone => drop(sender),
            }
        };
        tokio::join!(to_client, self.settle(end, &reader, deadlines.charge()));
    }

    fn head_to_client(&self, head: &mut axum::http::HeaderMap) {
        let charge = &self.exchange.charge;
        headers::to_client(head, &charge.header(), charge.amount, charge.balance, false);
        if let Some(limit) = self.fitted {
            head.insert(FITTED, limit.into());
        }
    }

    /// Copies an answer to the client until its end.
    async fn copy(
        &self,
        body: &mut Incoming,
        sender: &Sender,
        reader: &mut UsageReader,
        deadlines: &Deadlines,
    ) -> End {
        let timeout = self.exchange.timeout;
        let (began, mut waited) = (Instant::now(), Duration::ZERO);
        loop {
            // The last frame is known as such when it comes: its successor may never be polled.
            if body.is_end_stream() {
                return End::Whole;
            }
            let frame = tokio::select! {
                frame = timeout_at(deadlines.silence(), poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context))) => frame,
                () = sender.closed() => return End::ClientGone,
            };
            let frame = match frame {
                Ok(None) => return End::Whole,
                Ok(Some(Ok(frame))) => frame,
                _ if reader.is_json && waited >= SLOW => return End::ClientGone,
                Ok(Some(Err(_))) => return End::Broken,
                Err(_) => return End::Silent,
            };
            let heard = Instant::now();
            deadlines.move_silence(heard + timeout);
            let passed = match frame.into_data() {
                Ok(part) => reader.read(&self.metering, part),
                // Trailers.
                Err(_) => Bytes::new(),
            };
            let is_sent = passed.is_empty()
                || matches!(
                    timeout_at(deadlines.silence(), sender.send(Frame::data(passed))).await,
                    Ok(true)
                );
            if !is_sent {
                return End::ClientGone;
            }
            if began.elapsed() > ANSWER_MAX_TIME {
                return End::Silent;
            }
            // The time that the client took counts for it.
            waited += heard.elapsed();
            deadlines.move_silence(Instant::now() + timeout);
        }
    }
}
