//! One connection: what it is doing, and the stream under it.
//!
//! The stream ends what can make no progress. A write that the client does not take for
//! [`ClientTimes::write`] fails. A client that closed its sending side still gets its whole
//! answer, but a read that nobody may be waiting for ends after [`HANGUP_TIME`]. The answers that
//! hyper gives by itself to a head that it cannot read become problem documents here, because they
//! never reach the router.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Sleep;

use super::problem::{Code, Problem};

/// How long a connection waits for its client.
#[derive(Clone, Copy, Debug)]
pub struct ClientTimes {
    /// The longest time for the head of a request, and for the pause between two requests.
    pub head: Duration,
    /// The longest time in which a client takes nothing of its answer.
    pub write: Duration,
}

impl Default for ClientTimes {
    /// A pause may be longer than the minute after which many proxies close an idle connection, so
    /// that they close it first.
    fn default() -> ClientTimes {
        ClientTimes { head: Duration::from_secs(75), write: Duration::from_secs(30) }
    }
}

/// How long a read still runs after its client closed the sending side. Many clients close it when
/// they hang up, and look like those that wait.
const HANGUP_TIME: Duration = Duration::from_secs(1);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It waits for a request, or for the rest of its head.
    Idle = 0,
    /// The request is being handled, and its body has not arrived completely.
    Receiving = 1,
    /// The request has arrived and is being handled.
    Running = 2,
    /// The answer is being written, or was written.
    Answered = 3,
}

/// The state of one connection, for those that decide which connections end.
#[derive(Debug)]
pub struct Connection {
    /// The address of the client.
    pub address: IpAddr,
    /// Notified when the connection has to end at once.
    pub end: Notify,
    opened_at: Instant,
    phase: AtomicU8,
    /// Whether the request only reads.
    is_read: AtomicBool,
    /// The last progress, in milliseconds since `opened_at`.
    active_at: AtomicU64,
}

impl Connection {
    /// A new connection.
    pub fn new(address: IpAddr) -> Arc<Connection> {
        Arc::new(Connection {
            address,
            end: Notify::new(),
            opened_at: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            is_read: AtomicBool::new(false),
            active_at: AtomicU64::new(0),
        })
    }

    /// Notes the beginning of a request.
    pub fn begin(&self, is_read: bool, has_arrived: bool) {
        self.is_read.store(is_read, Relaxed);
        self.set(if has_arrived { Phase::Running } else { Phase::Receiving });
    }

    /// Notes that the body of the request has arrived.
    pub fn arrived(&self) {
        // The rest of a body that nobody reads may arrive after the answer.
        let (from, to) = (Phase::Receiving as u8, Phase::Running as u8);
        let _ = self.phase.compare_exchange(from, to, Relaxed, Relaxed);
    }

    /// Notes that the request was handled.
    pub fn answered(&self) {
        self.set(Phase::Answered);
    }

    /// Whether an accepted request is not answered yet: it is being handled, or its answer made
    /// progress within `within`.
    pub fn is_busy(&self, within: Duration) -> bool {
        let phase = self.phase.load(Relaxed);
        phase == Phase::Running as u8 || (phase == Phase::Answered as u8 && self.quiet_for() < within)
    }

    /// Whether no request is being handled.
    pub fn is_idle(&self) -> bool {
        let phase = self.phase.load(Relaxed);
        phase == Phase::Idle as u8 || phase == Phase::Answered as u8
    }

    /// The time since the last progress.
    pub fn quiet_for(&self) -> Duration {
        let active = Duration::from_millis(self.active_at.load(Relaxed));
        self.opened_at.elapsed().saturating_sub(active)
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.touch();
    }

    fn touch(&self) {
        let active = u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active_at.store(active, Relaxed);
    }
}

/// The stream of a connection.
pub struct Stream {
    inner: TcpStream,
    connection: Arc<Connection>,
    /// The longest time in which the client takes nothing of what is written.
    write_max_time: Duration,
    /// Runs while the client takes nothing of what is written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs after the client closed its sending side while a read is handled.
    hung_up: Option<Pin<Box<Sleep>>>,
    /// What is written instead of an answer of hyper, and how much of it was.
    own: Option<(Vec<u8>, usize)>,
}

impl Stream {
    /// The stream of a connection.
    pub fn new(inner: TcpStream, connection: Arc<Connection>, write_max_time: Duration) -> Stream {
        Stream { inner, connection, write_max_time, stalled: None, hung_up: None, own: None }
    }

    /// Passes on what a write returned; fails if the client took nothing for too long.
    fn progress<T>(&mut self, context: &mut Context<'_>, polled: Poll<Result<T>>) -> Poll<Result<T>> {
        if polled.is_ready() {
            if self.stalled.take().is_some() {
                // A read of the end may have waited for this.
                context.waker().wake_by_ref();
            }
            self.connection.touch();
            return polled;
        }
        let most = self.write_max_time;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }

    /// Takes an answer of hyper and keeps the problem document that replaces it. Only hyper gives
    /// these statuses without a body.
    fn replaces(&mut self, head: &[u8]) -> bool {
        if !head.starts_with(b"HTTP/1.1 4") || self.own.is_some() {
            return false;
        }
        let is_empty = head.windows(19).any(|part| part.eq_ignore_ascii_case(b"content-length: 0\r\n"));
        let problem = match head.get(9..12) {
            Some(b"400") if is_empty => malformed_head(),
            Some(b"414") if is_empty => {
                Problem::new(Code::UriTooLong, "The path with its query is too long.")
            }
            Some(b"431") if is_empty => Problem::new(
                Code::HeadersTooLarge,
                "The request has too many or too long headers; at most 100 are read.",
            ),
            _ => return false,
        };
        self.own = Some((problem.into_last_bytes(), 0));
        true
    }

    /// Writes what replaces an answer of hyper.
    fn write_own(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some((bytes, written)) = &mut self.own {
            if *written == bytes.len() {
                return Poll::Ready(Ok(()));
            }
            let polled = Pin::new(&mut self.inner).poll_write(context, &bytes[*written..]);
            if let Poll::Ready(Ok(more)) = &polled {
                *written += more;
            }
            ready!(self.progress(context, polled))?;
        }
        Poll::Ready(Ok(()))
    }
}

fn malformed_head() -> Problem {
    Problem::new(Code::MalformedRequest, "The request is not well-formed HTTP/1.1.")
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        if is_end && self.stalled.is_some() {
            // With the end, the rest of the answer would be given up.
            return Poll::Pending;
        }
        if !is_end || self.connection.is_idle() {
            self.hung_up = None;
            return Poll::Ready(Ok(()));
        }
        let has_arrived = self.connection.phase.load(Relaxed) == Phase::Running as u8;
        let is_read = self.connection.is_read.load(Relaxed);
        if has_arrived && !is_read {
            // The answer wakes the connection, which then reads the end.
            return Poll::Pending;
        }
        let timer = self.hung_up.get_or_insert_with(|| Box::pin(tokio::time::sleep(HANGUP_TIME)));
        ready!(timer.as_mut().poll(context));
        if is_read {
            return Poll::Ready(Err(Error::new(ErrorKind::ConnectionAborted, "the client has hung up")));
        }
        // The rest of the body does not come.
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.progress(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if parts.first().is_some_and(|head| self.replaces(head)) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.progress(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.write_own(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.write_own(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
