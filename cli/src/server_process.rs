//! The server in this process: opens the store, makes what a first start needs, listens, and drains on a signal. Shared by
//! `serve` and `demo`; what is spoken is in the server crate.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tollkeeper_engine::{Embedded, Engine, Postgres};
use tollkeeper_server::{self as server, App, Settings, Store};

use crate::terminal::failure::{Exit, Failure};

/// Runs a future on a runtime with a thread per core.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|why| Failure::new(Exit::NotNow, "no threads can be started").because(why))?
        .block_on(work)
}

/// Opens a data directory for this process alone, or a database beside whoever else uses it.
pub async fn open(store: &Store, settings: &Settings) -> Result<Arc<dyn Engine>, Failure> {
    let failed = |why| unusable(store, &why);
    match store {
        Store::Directory(path) => {
            let engine = Embedded::open(path, settings.engine_options()).map_err(failed)?;
            Ok(Arc::new(engine))
        }
        Store::Database(url) => {
            let engine = Postgres::open(url.expose(), settings.postgres_options()).await.map_err(failed)?;
            Ok(Arc::new(engine))
        }
    }
}

/// The failure to read the settings.
pub fn wrong_setting(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, "a setting is wrong")
        .because(why)
        .hint("docs/OPERATING.md describes every setting")
}

/// The failure to open what is kept.
pub fn unusable(store: &Store, why: &tollkeeper_engine::Error) -> Failure {
    Failure::of_engine(format!("{store} cannot be used"), why)
}

/// Makes what a first start needs; gives the platform key if one was made, which is shown this once.
pub async fn prepare(app: &Arc<App>) -> Result<Option<String>, Failure> {
    server::prepare(app)
        .await
        .map_err(|why| Failure::new(Exit::NotNow, "the first start cannot be finished").because(why))
}

/// Reads an address to listen at, as an option.
pub fn address(text: &str) -> Result<String, &'static str> {
    let host_and_port =
        text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    host_and_port.map(|_| text.to_owned()).ok_or("it must be HOST:PORT, such as 127.0.0.1:8080")
}

/// Listens at an address, `HOST:PORT`; port 0 takes a free one.
pub async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let refused = |why: std::io::Error| {
        Failure::new(Exit::NotNow, format!("cannot listen on {address}"))
            .because(why)
            .hint("choose another address with --listen; port 0 takes a free one")
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Serves until the signal to stop, finishes what was accepted, and leaves the store in order.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let served = server::serve(app, listener, stop).await;
    served.map_err(|why| Failure::new(Exit::NotNow, "the server did not end in order").because(why))
}

/// Resolves when the process is asked to stop, by SIGTERM or SIGINT. The handlers are in place when this returns: to be called
/// before anybody is told that the server is ready, so that no signal is missed.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let handler = |kind| {
        signal(kind).map_err(|why| Failure::new(Exit::NotNow, "signals cannot be received").because(why))
    };
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
