//! The network: accepts connections, speaks HTTP/1.1 on each, and shuts down gracefully: every
//! accepted request is answered. It knows only a router, no state of the server.

use std::future::{Future, poll_fn};
use std::pin::Pin;

use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::http::header::EXPECT;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::body::BODY_MAX_BYTES;
/// The longest time for the head of a request, and for the pause between two requests.
const HEAD_MAX_TIME: Duration = Duration::from_secs(60);

/// The longest time for accepted requests to finish after the shutdown began. Their clients can
/// repeat them under the same idempotency key.
const DRAIN_MAX_TIME: Duration = Duration::from_secs(30);

/// The pause if the operating system cannot accept another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a router until `shutdown` completes, then lets the accepted requests finish.
pub async fn until(router: axum::Router, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = shutdown => {}
        () = accept(router, listener, &connections) => {}
    }
    // The listener is closed here: the operating system refuses new connections.
    if tokio::time::timeout(DRAIN_MAX_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("the shutdown ended before all open requests were answered");
    }
}

/// Serves any router on the same kind of connections, until the future is dropped. A benchmark uses
/// it to measure the network alone.
pub async fn answer(router: axum::Router, listener: TcpListener) {
    accept(router, listener, &GracefulShutdown::new()).await;
}

async fn accept(router: axum::Router, listener: TcpListener, connections: &GracefulShutdown) {
    let service = router.map_request(|request: Request<Incoming>| {
        // A client that sends `Expect: 100-continue` sends no body if the response comes first.
        let sends_body = !request.headers().contains_key(EXPECT);
        request.map(|body| if sends_body { Body::new(ReadToEnd(Some(body))) } else { Body::new(body) })
    });
    let mut http = http1::Builder::new();
    // No `pipeline_flush`: with it, the response to a head that cannot be parsed is never sent.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX_TIME);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        disable_delay(&stream);
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        let watched = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

/// A body that is read to its end even if the handler did not read it: dropping it discards the
/// rest in the background, within bounds. If the connection were closed instead, the response could
/// be lost, or the next request on the connection could break.
struct ReadToEnd(Option<Incoming>);

impl HttpBody for ReadToEnd {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for ReadToEnd {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        let discard = async move {
            let mut left = BODY_MAX_BYTES;
            while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        tokio::spawn(tokio::time::timeout(HEAD_MAX_TIME, discard));
    }
}

/// Sends responses at once instead of collecting bytes first (Nagle's algorithm).
fn disable_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY; responses may be delayed");
    }
}
