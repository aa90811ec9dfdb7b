//! Accepts connections, answers their requests, and shuts down gracefully: every request whose
//! charge was made is answered, and its outcome is reported.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::proxy::Gate;
use crate::shutdown::Phase;

/// The longest time for the head of a request to arrive, and for a connection to wait for one.
/// Longer than proxies keep idle connections, which is a minute, so that none sends into a closed
/// one.
const HEAD_MAX_TIME: Duration = Duration::from_secs(75);

/// The most connections of clients. Others wait in the queue of the operating system.
const CONNECTIONS_MAX: usize = 10_000;

/// The most that a connection buffers of a head; longer ones are refused.
const HEAD_MAX_BYTES: usize = 64 << 10;

/// The pause if the operating system cannot accept another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The longest time for exchanges to end after the shutdown began. Charges that are open then are
/// refunded by their deadlines.
const DRAIN_MAX_TIME: Duration = Duration::from_secs(30);

/// How long after the shutdown began metered answers are broken off, so that they are settled by
/// what came and not refunded by their deadlines.
const END_TIME: Duration = Duration::from_secs(25);

/// Serves the gate until `shutdown` completes, then lets the exchanges end.
pub async fn serve(
    gate: (Gate, mpsc::Receiver<()>),
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    serve_and_end(gate, listener, shutdown, END_TIME).await;
}

/// Serves the gate, and breaks metered answers off this long after the shutdown began.
pub(crate) async fn serve_and_end(
    (gate, ended): (Gate, mpsc::Receiver<()>),
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    end_time: Duration,
) {
    let phase = gate.phase.clone();
    let running = gate.running.clone();
    let is_metered = gate.is_metered();
    let gate = Arc::new(gate);
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?, place))
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let ((stream, client), place) = match accepted {
            Ok(accepted) => accepted,
            Err(why) => {
                tracing::warn!(%why, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let gate = Arc::clone(&gate);
        let service = service_fn(move |request| {
            let gate = Arc::clone(&gate);
            async move { Ok::<_, Infallible>(gate.answer(request, client.ip()).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX_TIME)
            .max_buf_size(HEAD_MAX_BYTES)
            // A client that has sent its request may close its half, and gets its answer. Only then
            // a client that is gone is noticed late, which a metered upstream would work for.
            .half_close(!is_metered)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (mut stopped, running) = (stopped.clone(), running.clone());
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            // A client that breaks off is no failure of the gate.
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop((running, place));
        });
    }
    drop(listener);
    phase.send_replace(Phase::Draining);
    drop((stop, gate, running));
    drain(ended, &phase, end_time).await;
}

/// Waits until all exchanges have ended, and makes them end if that takes long.
async fn drain(mut ended: mpsc::Receiver<()>, phase: &watch::Sender<Phase>, end_time: Duration) {
    // Nothing is sent; it ends when the last connection and exchange have dropped their sender.
    let drained = async { while ended.recv().await.is_some() {} };
    let drained = async {
        let mut drained = pin!(drained);
        if timeout(end_time, drained.as_mut()).await.is_err() {
            phase.send_replace(Phase::Ending);
            drained.await;
        }
    };
    if timeout(DRAIN_MAX_TIME, drained).await.is_err() {
        tracing::warn!("the gate ended before all requests were answered; their deadlines refund them");
    }
}
