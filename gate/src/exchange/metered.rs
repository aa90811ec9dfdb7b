//! A metered exchange: one request to an upstream, whose answer is settled by the usage in it.
//!
//! | what happens | the charge |
//! |---|---|
//! | a whole 2xx with usage | settled by the usage, at most the hold |
//! | a whole 2xx without usage | as the route says: an estimate, the hold, or refunded |
//! | another status; no answer in time; a broken connection before a byte | refunded |
//! | the client is gone before a byte | refunded; the connection to the upstream is closed |
//! | the client is gone after bytes | the connection is closed; settled by the last usage seen |
//! | the upstream breaks off or is silent after bytes | settled by the last usage seen |
//!
//! A client that hangs up could avoid an event with usage, which comes last. So its answer costs at
//! least what the events that it got suggest, and is not refunded for missing usage.
//!
//! The time-out of a metered route is for silence: a stream may last longer, and moves the deadline
//! of its charge while bytes arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Request, Response};
use futures_util::future::poll_fn;
use hyper::body::{Frame, Incoming};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::usage::{UsageReader, quantities};
use super::{Exchange, copy, failed};
use crate::charging::{Quantities, ReportError};
use crate::headers::{self, FITTED};
use crate::outcome::{Failure, Outcome};
use crate::refusal::Refusal;
use crate::relay::{Sender, relay};
use crate::settings::{INPUT, Metering, OUTPUT, OnMissing};

/// The longest time of a metered answer. What is left then is cut off.
const ANSWER_MAX_TIME: Duration = Duration::from_secs(24 * 3_600);

/// The latest deadline that a charge can be moved to, from now.
const EXTEND_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The bytes of a token of text, roughly. Only estimates use it.
const BYTES_OF_TOKEN: i64 = 4;

/// What a gate counted since it began.
#[derive(Debug, Default)]
pub struct Counts {
    overruns: AtomicU64,
    without_usage: AtomicU64,
}

impl Counts {
    /// The answers that used more than was held, and were settled at the hold.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// The answers with a status of success and without usage.
    #[must_use]
    pub fn without_usage(&self) -> u64 {
        self.without_usage.load(Ordering::Relaxed)
    }
}

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

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// The upstream broke off.
    Broken,
    /// The upstream was silent for the time-out.
    Silent,
    /// The client is gone.
    ClientGone,
}

/// The times by which something must happen.
struct Deadlines {
    /// The upstream must send a part, which moves this time.
    silence: Instant,
    /// The outcome must be reported.
    charge: Instant,
}

/// What becomes of the charge.
#[derive(Debug, PartialEq, Eq)]
enum Settlement {
    Used(Quantities),
    /// All that was held.
    Whole,
    Refund(Failure),
}

impl MeteredExchange {
    /// Sends the request, answers through `answer`, and reports the outcome.
    pub async fn run(
        self,
        request: Request<Body>,
        mut answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    ) {
        let deadline = Instant::now() + self.exchange.timeout;
        let answered = tokio::select! {
            answered = timeout_at(deadline, self.exchange.upstreams.request(request)) => answered,
            // The request is dropped, which closes the connection to the upstream.
            () = answer.closed() => {
                let outcome = Outcome::SystemFailed(Failure::Client);
                return self.exchange.report(outcome, deadline).await;
            }
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
        let outcome = Outcome::SystemFailed(failure);
        // The refund is made first, so that the client finds it when it gets the answer.
        self.exchange.report(outcome, deadline).await;
        let _ = answer.send(Err(failed(outcome, &self.exchange.charge)));
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
        let copied = copy(&mut body, sender, deadline, &self.exchange);
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
        let mut deadlines = Deadlines { silence: deadline, charge: deadline + self.exchange.grace };
        let mut reader = UsageReader::new(&self.metering, &head.headers, self.strips_usage);
        if body.is_end_stream() {
            let _ = answer.send(Ok(Response::from_parts(head, Body::empty())));
            return self.settle(End::Whole, &reader, deadlines.charge).await;
        }
        if reader.may_strip() {
            head.headers.remove(CONTENT_LENGTH);
        }
        let (sender, relayed) = relay();
        if answer.send(Ok(Response::from_parts(head, relayed))).is_err() {
            drop(body);
            return self.settle(End::ClientGone, &reader, deadlines.charge).await;
        }
        let end = self.copy(&mut body, &sender, &mut reader, &mut deadlines).await;
        // A connection that is not read to its end is closed.
        drop(body);
        let rest = reader.end(&self.metering, end == End::Whole);
        if !rest.is_empty() {
            let _ = timeout_at(deadlines.silence, sender.send(Frame::data(rest))).await;
        }
        match end {
            End::Whole => sender.end(),
            End::Broken | End::Silent | End::ClientGone => drop(sender),
        }
        self.settle(end, &reader, deadlines.charge).await;
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
        deadlines: &mut Deadlines,
    ) -> End {
        let Exchange { timeout, grace, .. } = self.exchange;
        let began = Instant::now();
        loop {
            // The last frame is known as such when it comes: its successor may never be polled.
            if body.is_end_stream() {
                return End::Whole;
            }
            let frame = tokio::select! {
                frame = timeout_at(deadlines.silence, poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context))) => frame,
                () = sender.closed() => return End::ClientGone,
            };
            let frame = match frame {
                Ok(None) => return End::Whole,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return End::Broken,
                Err(_) => return End::Silent,
            };
            deadlines.silence = Instant::now() + timeout;
            let passed = match frame.into_data() {
                Ok(part) => reader.read(&self.metering, part),
                // Trailers.
                Err(_) => Bytes::new(),
            };
            let is_sent = passed.is_empty()
                || matches!(timeout_at(deadlines.silence, sender.send(Frame::data(passed))).await, Ok(true));
            if !is_sent {
                return End::ClientGone;
            }
            if began.elapsed() > ANSWER_MAX_TIME {
                return End::Silent;
            }
            // The time that the client took counts for it.
            let now = Instant::now();
            deadlines.silence = now + timeout;
            if deadlines.charge < deadlines.silence + grace / 2 {
                deadlines.charge = now + self.extend();
            }
        }
    }

    /// Moves the deadline of the charge in the background; returns how far from now.
    fn extend(&self) -> Duration {
        let extension = (2 * (self.exchange.timeout + self.exchange.grace)).min(EXTEND_MAX);
        let seconds = u32::try_from(extension.as_secs()).unwrap_or(u32::MAX);
        let (charging, charge) = (Arc::clone(&self.exchange.charging), self.exchange.charge.clone());
        tokio::spawn(async move {
            if let Err(why) = charging.extend(&charge, seconds).await {
                tracing::warn!(charge = %charge.id, %why, "the deadline of a charge was not moved");
            }
        });
        extension
    }

    /// Reports what the answer used.
    async fn settle(&self, end: End, reader: &UsageReader, given_up: Instant) {
        let Exchange { charge, charging, .. } = &self.exchange;
        let used = match self.settlement(end, reader) {
            Settlement::Used(used) => used,
            Settlement::Whole => return self.exchange.report_until(Outcome::Succeeded, given_up).await,
            Settlement::Refund(failure) => {
                return self.exchange.report_until(Outcome::SystemFailed(failure), given_up).await;
            }
        };
        let settled = self.exchange.repeat(&used, given_up, || charging.settle(charge, &used)).await;
        if let Err(ReportError::Quantities(why)) = settled {
            let overruns = self.counts.overruns.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(
                charge = %charge.id, ?used, held = ?self.held, %why, overruns,
                "Tollkeeper-Overrun: an answer used more than was held, and is settled at the hold"
            );
            self.exchange.report_until(Outcome::Succeeded, given_up).await;
        }
    }

    /// What the end of an answer means for the charge.
    fn settlement(&self, end: End, reader: &UsageReader) -> Settlement {
        match end {
            End::Broken if reader.bytes == 0 => return Settlement::Refund(Failure::Connection),
            End::Silent if reader.bytes == 0 => return Settlement::Refund(Failure::TimeOut),
            End::ClientGone if reader.bytes == 0 => return Settlement::Refund(Failure::Client),
            _ => {}
        }
        let on_missing = match (self.metering.on_missing, end) {
            (OnMissing::Refund, End::ClientGone) => OnMissing::Estimate,
            (on_missing, _) => on_missing,
        };
        if reader.seen().iter().all(Option::is_none) {
            let without_usage = self.counts.without_usage.fetch_add(1, Ordering::Relaxed) + 1;
            let charge = &self.exchange.charge.id;
            tracing::warn!(%charge, ?end, ?on_missing, without_usage, "an answer has no usage");
            match on_missing {
                OnMissing::Refund => return Settlement::Refund(Failure::NoUsage),
                OnMissing::Hold => return Settlement::Whole,
                OnMissing::Estimate => {}
            }
        }
        let meters = self.metering.meters.iter().zip(reader.seen());
        let units: Vec<i64> = meters
            .map(|(meter, seen)| {
                let estimate = self.estimate(&meter.id, reader);
                match (*seen, on_missing) {
                    (Some(units), _) if end == End::ClientGone && meter.id == OUTPUT => units.max(estimate),
                    (Some(units), _) => units,
                    (None, OnMissing::Estimate) => estimate,
                    (None, OnMissing::Hold) => self.held.get(&meter.id).copied().unwrap_or_default(),
                    (None, OnMissing::Refund) => 0,
                }
            })
            .collect();
        let used = quantities(&self.metering, &units);
        let charge = &self.exchange.charge;
        match charge.is_free(&used) {
            // A report must cost something, if anything was deducted.
            true if charge.amount > 0 => Settlement::Refund(Failure::NothingUsed),
            true => Settlement::Whole,
            false => Settlement::Used(used),
        }
    }

    /// The units of a meter that the sizes of request and answer suggest, at most what was held. In
    /// a stream, most servers send an event for each token.
    fn estimate(&self, meter: &str, reader: &UsageReader) -> i64 {
        let units = match meter {
            INPUT => (self.body_bytes + BYTES_OF_TOKEN - 1) / BYTES_OF_TOKEN,
            OUTPUT => reader.events.unwrap_or((reader.bytes + BYTES_OF_TOKEN - 1) / BYTES_OF_TOKEN),
            _ => 0,
        };
        units.min(self.held.get(meter).copied().unwrap_or_default())
    }
}
