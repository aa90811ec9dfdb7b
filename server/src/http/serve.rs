//! The network: accepts connections, speaks HTTP/1.1 on each, and ends in order. What was accepted is answered; only
//! then is the engine closed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
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
use super::router::router;
use crate::app::{App, Error};
use crate::jobs::time_outs;

/// For how long a connection may take to send the head of a request, or idle between two.
const HEAD_MAX_TIME: Duration = Duration::from_secs(60);

/// How long accepted requests may take to finish after the shutdown began; their clients ask again under the same key.
const DRAIN_MAX_TIME: Duration = Duration::from_secs(30);

/// How long to wait when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the API until `shutdown`, then finishes what was accepted and closes the engine. Deadlines that passed while
/// nobody served are looked at before the first request.
///
/// # Errors
/// When the engine cannot be closed in order.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    time_outs::tick(&app).await;
    let connections = GracefulShutdown::new();
    {
        let ticking = time_outs::run(&app);
        let accepting = accept(router(Arc::clone(&app)), listener, &connections);
        tokio::select! {
            () = shutdown => {}
            () = ticking => {}
            () = accepting => {}
        }
        // The listener is gone by now: a new connection is refused by the system.
    }
    if tokio::time::timeout(DRAIN_MAX_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still open when the time to finish them was over");
    }
    app.engine().close().await?;
    Ok(())
}

/// Answers with any router on the very connections that [`serve`] uses, until it is dropped: what a benchmark compares.
pub async fn answer(router: axum::Router, listener: TcpListener) {
    accept(router, listener, &GracefulShutdown::new()).await;
}

async fn accept(router: axum::Router, listener: TcpListener, connections: &GracefulShutdown) {
    let service = router.map_request(|request: Request<Incoming>| {
        // Who asks first whether the body is welcome does not send one that was refused.
        let comes = !request.headers().contains_key(EXPECT);
        request.map(|body| if comes { Body::new(ReadToEnd(Some(body))) } else { Body::new(body) })
    });
    let mut http = http1::Builder::new();
    // No `pipeline_flush`: with it the answer to a head that cannot be parsed would never leave.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX_TIME);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        prompt(&stream);
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

/// The body of a request. Who refuses a request before its body has come leaves the rest to be taken in here, within
/// bounds: closing the connection instead could take the answer with it, or break the next request on it.
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
        let take_in = async move {
            let mut left = BODY_MAX_BYTES;
            while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        tokio::spawn(tokio::time::timeout(HEAD_MAX_TIME, take_in));
    }
}

/// Answers leave at once instead of waiting for more to send.
fn prompt(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection will answer late");
    }
}
