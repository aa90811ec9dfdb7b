//! A body that is passed on while it arrives.
//!
//! The exchange with the upstream runs in a task of its own, so that it goes on when the client
//! hangs up. Frames go from there to the client one by one: a slow client slows the upstream down,
//! and no more than a few frames are in memory.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// Frames that wait for the client.
const FRAMES: usize = 2;

/// A part of an answer, or that it broke off.
type Part = Result<Frame<Bytes>, io::Error>;

/// The body that the client gets. It breaks off unless its sender said that it is whole.
struct Relay {
    parts: mpsc::Receiver<Part>,
    is_whole: Arc<AtomicBool>,
}

/// Where the parts of an answer are sent.
pub struct Sender {
    parts: mpsc::Sender<Part>,
    is_whole: Arc<AtomicBool>,
}

impl Sender {
    /// Sends a part, and waits until there is room; false if the client is gone.
    pub async fn send(&self, frame: Frame<Bytes>) -> bool {
        self.parts.send(Ok(frame)).await.is_ok()
    }

    /// Waits until the client is gone.
    pub async fn closed(&self) {
        self.parts.closed().await;
    }

    /// Ends the answer. Without this call the client sees that it is not complete.
    pub fn end(self) {
        self.is_whole.store(true, Ordering::Release);
    }
}

/// A body for the client, and where its parts are sent.
pub fn relay() -> (Sender, Body) {
    let (sender, parts) = mpsc::channel(FRAMES);
    let is_whole = Arc::new(AtomicBool::new(false));
    let relay = Relay { parts, is_whole: Arc::clone(&is_whole) };
    (Sender { parts: sender, is_whole }, Body::new(relay))
}

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        match ready!(self.parts.poll_recv(context)) {
            // Said once: the error ends the connection.
            None if !self.is_whole.swap(true, Ordering::Acquire) => {
                Poll::Ready(Some(Err(io::Error::other("the answer broke off"))))
            }
            part => Poll::Ready(part),
        }
    }
}

/// A body that ends early, when something is over.
struct Until<F> {
    body: Body,
    over: Pin<Box<F>>,
    is_over: bool,
}

/// A body that ends when `over` does.
pub fn until(body: Body, over: impl Future<Output = ()> + Send + 'static) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Until { body, over: Box::pin(over), is_over: false })
}

impl<F: Future<Output = ()>> HttpBody for Until<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.is_over && self.over.as_mut().poll(context).is_ready() {
            self.is_over = true;
            self.body = Body::empty();
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the client does with the body of its request.
#[derive(Default)]
pub struct RequestState {
    is_broken: AtomicBool,
    is_awaited: AtomicBool,
}

impl RequestState {
    /// Whether the client broke off.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Whether the upstream waits for more that the client does not send.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }
}

/// The body of a request on its way to the upstream, which remembers what the client does.
struct Watched {
    body: Body,
    state: Arc<RequestState>,
}

/// The body, and what the client does while it is sent.
pub fn watched(body: Body) -> (Body, Arc<RequestState>) {
    let state = Arc::new(RequestState::default());
    let watcher = Arc::clone(&state);
    // An empty body stays one, so that no chunked body is made of it.
    if body.is_end_stream() {
        return (body, watcher);
    }
    (Body::new(Watched { body, state }), watcher)
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.state.is_awaited.store(polled.is_pending(), Ordering::Relaxed);
        let frame = ready!(polled);
        if matches!(frame, Some(Err(_))) {
            self.state.is_broken.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
