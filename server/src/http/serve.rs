//! The network: accepts connections, speaks HTTP/1.1 on each, and shuts down gracefully: every
//! accepted request is answered. It knows only a router, no state of the server.
//!
//! A request is accepted once it has arrived completely. At a shutdown, nobody waits for clients
//! that send nothing, half a request, or do not take their answer.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{EXPECT, HOST};
use axum::http::{HeaderMap, Method, Request, Response, Version};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::{Service, ServiceExt};

use super::body::BODY_MAX_BYTES;
use super::connection::{ClientTimes, Connection, Stream};
use super::connections::{Connections, Place};
use super::problem::Problem;

/// The longest time in which the rest of a body that nobody reads is discarded.
const DISCARD_MAX_TIME: Duration = Duration::from_secs(75);

/// The most that a connection buffers of a head or of a part of a body. It bounds the memory of a
/// connection that is idle, and is larger than the longest head.
const BUFFER_MAX_BYTES: usize = 128 << 10;

/// The longest time for accepted requests to finish after the shutdown began. Their clients can
/// repeat them under the same idempotency key.
const DRAIN_MAX_TIME: Duration = Duration::from_secs(30);

/// How long after the last accepted request a shutdown waits for connections to close.
const DRAIN_QUIET_TIME: Duration = Duration::from_millis(500);

/// Between two looks at the connections during a shutdown.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// The pause if the operating system cannot accept another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers the requests.
pub trait HttpService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The stages of the server, which its connections watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    /// Answer what was accepted, take no further request.
    Draining,
    /// End at once.
    Ended,
}

/// Serves a router until `shutdown` completes, then lets the accepted requests finish.
pub async fn until(
    router: impl HttpService,
    listener: TcpListener,
    times: ClientTimes,
    shutdown: impl Future<Output = ()>,
) {
    let connections = Connections::new();
    let (stage, stages) = watch::channel(Stage::Serving);
    tokio::select! {
        () = shutdown => {}
        () = accept(router, listener, times, &connections, &stages) => {}
    }
    // The listener is closed here: the operating system refuses new connections.
    stage.send_replace(Stage::Draining);
    drain(&connections).await;
    stage.send_replace(Stage::Ended);
}

/// Serves any router on the same kind of connections, until the future is dropped. A benchmark uses
/// it to measure the network alone.
pub async fn answer(router: impl HttpService, listener: TcpListener) {
    let (_stage, stages) = watch::channel(Stage::Serving);
    accept(router, listener, ClientTimes::default(), &Connections::new(), &stages).await;
}

/// Waits until all connections are closed, or none of them has an accepted request.
async fn drain(connections: &Connections) {
    let began = Instant::now();
    let mut busy_at = began;
    while !connections.is_empty() && busy_at.elapsed() < DRAIN_QUIET_TIME {
        if connections.are_busy(DRAIN_QUIET_TIME) {
            busy_at = Instant::now();
        }
        if began.elapsed() >= DRAIN_MAX_TIME {
            tracing::warn!("the shutdown ended before all open requests were answered");
            return;
        }
        tokio::time::sleep(DRAIN_STEP).await;
    }
}

async fn accept(
    router: impl HttpService,
    listener: TcpListener,
    times: ClientTimes,
    connections: &Arc<Connections>,
    stages: &watch::Receiver<Stage>,
) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if connections.may_log() {
                    tracing::warn!(%error, "could not accept a connection; the one that is idle longest ends");
                }
                connections.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without a place, the stream is dropped here, which closes it.
        if let Some(place) = connections.take(address.ip()) {
            disable_delay(&stream);
            tokio::spawn(serve(router.clone(), (stream, times), place, stages.clone()));
        }
    }
}

/// Serves one connection to its end.
async fn serve(
    router: impl HttpService,
    (stream, times): (TcpStream, ClientTimes),
    place: Place,
    mut stages: watch::Receiver<Stage>,
) {
    let connection = &place.connection;
    let service = service_fn(|request: Request<Incoming>| {
        // Noted before anything more is read, so that the end of the stream finds a request.
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        connection.begin(is_read, request.body().is_end_stream());
        handle(router.clone(), Arc::clone(connection), request)
    });
    let mut http = http1::Builder::new();
    // No `pipeline_flush`: with it, the response to a head that cannot be parsed is never sent.
    http.timer(TokioTimer::new()).header_read_timeout(times.head).max_buf_size(BUFFER_MAX_BYTES);
    let stream = TokioIo::new(Stream::new(stream, Arc::clone(connection), times.write));
    let mut serving = pin!(http.serve_connection(stream, service));
    let mut is_draining = false;
    loop {
        let next = if is_draining { Stage::Ended } else { Stage::Draining };
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = connection.end.notified() => {
                // A request may have begun since the connection was chosen as an idle one.
                if connection.is_idle() {
                    return;
                }
            }
            stage = stages.wait_for(|stage| *stage >= next) => {
                // Without a sender, the server is gone.
                if is_draining || stage.map_or(true, |stage| *stage == Stage::Ended) {
                    return;
                }
                is_draining = true;
            }
        }
        serving.as_mut().graceful_shutdown();
    }
}

/// Takes a request to the router, and notes on the connection how far it is.
async fn handle(
    router: impl HttpService,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if request.version() == Version::HTTP_11 && !has_one_host(request.headers()) {
        connection.answered();
        return Ok(Problem::parameter("Host", "must be given once").into_response());
    }
    // A client that sends `Expect: 100-continue` sends no body if the response comes first.
    let drains = !request.headers().contains_key(EXPECT);
    let of_body = Arc::clone(&connection);
    let request =
        request.map(|body| Body::new(WatchedBody { body: Some(body), drains, connection: of_body }));
    let response = router.oneshot(request).await;
    connection.answered();
    response
}

fn has_one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    hosts.next().is_some() && hosts.next().is_none()
}

/// A body that tells its connection when it has arrived. If `drains` is set, it is read to its end
/// even if the handler did not read it: dropping it discards the rest in the background, within
/// bounds. If the connection were closed instead, the response could be lost, or the next request
/// on the connection could break.
struct WatchedBody {
    body: Option<Incoming>,
    drains: bool,
    connection: Arc<Connection>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || (polled.is_ready() && body.is_end_stream()) {
            self.connection.arrived();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| self.drains && !body.is_end_stream());
        let Some(mut body) = rest else { return };
        let discard = async move {
            let mut left = BODY_MAX_BYTES;
            while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        tokio::spawn(tokio::time::timeout(DISCARD_MAX_TIME, discard));
    }
}

/// Sends responses at once instead of collecting bytes first (Nagle's algorithm).
fn disable_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY; responses may be delayed");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_has_to_end_answers_the_request_that_has_just_begun() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let (stream, from) = listener.accept().await.expect("a client has come");
        let place = Connections::bounded(4).take(from.ip()).expect("all places are free");
        let connection = Arc::clone(&place.connection);
        let answer = async move || {
            connection.end.notify_one();
            tokio::task::yield_now().await;
            "done"
        };
        let router = axum::Router::new().route("/", axum::routing::get(answer));
        let (_stage, stages) = watch::channel(Stage::Serving);
        tokio::spawn(serve(router, (stream, ClientTimes::default()), place, stages));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("the server reads");
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(60), client.read_to_string(&mut answer)).await;
        read.expect("the server closes").expect("the server answers");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("done"), "{answer}");
    }
}
