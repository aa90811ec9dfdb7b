//! A body that is passed on while it arrives.
//!
//! The exchange with the upstream runs in a task of its own, so that it goes on when the client
//! hangs up. Frames go from there to the client one by one: a slow client slows the upstream down,
//! and no more than a few frames are in memory.

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

/// A part of an answer.
pub type Part = Result<Frame<Bytes>, io::Error>;

/// The body that the client gets.
pub struct Relay {
    parts: mpsc::Receiver<Part>,
}

/// A body for the client, and where its parts are sent.
pub fn relay() -> (mpsc::Sender<Part>, Body) {
    let (sender, parts) = mpsc::channel(FRAMES);
    (sender, Body::new(Relay { parts }))
}

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        self.parts.poll_recv(context)
    }
}

/// The body of a request on its way to the upstream, which remembers that it broke off.
pub struct Watched {
    body: Body,
    is_broken: Arc<AtomicBool>,
}

/// The body, and whether the client broke off while it was sent.
pub fn watched(body: Body) -> (Body, Arc<AtomicBool>) {
    let is_broken = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_broken);
    // An empty body stays one, so that no chunked body is made of it.
    if body.is_end_stream() {
        return (body, flag);
    }
    (Body::new(Watched { body, is_broken }), flag)
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if matches!(frame, Some(Err(_))) {
            self.is_broken.store(true, Ordering::Relaxed);
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
