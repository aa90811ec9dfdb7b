//! Runs a server in this process: opens the store, prepares a first start, listens, and drains on
//! SIGTERM or SIGINT.
//!
//! `serve` and `demo` run servers; `transport::local` opens stores the same way. The HTTP protocol
//! itself is in the server crate.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tollkeeper_engine::{Embedded, Engine, Postgres, embedded};
use tollkeeper_ledger::Timestamp;
use tollkeeper_server::{self as server, App, Settings, Store};

use crate::terminal::failure::{Exit, Failure};

/// Runs a future to its end on a new runtime with one thread per core.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|why| {
            Failure::new(Exit::Unavailable, "the threads of the server cannot start").because(why)
        })?
        .block_on(work)
}

/// The current time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Opens a store for reading and writing. A data directory is locked for this process; a database
/// may have other servers.
pub async fn open(store: &Store, settings: &Settings) -> Result<Arc<dyn Engine>, Failure> {
    let failed = |why| cannot_open(store, &why);
    let creates = settings.engine.create_ledger;
    match store {
        Store::Directory(path) => {
            if !creates && !embedded::holds_ledger(path) {
                return Err(no_ledger(store));
            }
            let engine = Embedded::open(path, settings.engine_options()).map_err(failed)?;
            Ok(Arc::new(engine))
        }
        Store::Database(url) => {
            let engine = Postgres::open(url.expose(), settings.postgres_options()).await.map_err(failed)?;
            if !creates && engine.platform().price_book.versions().is_empty() {
                return Err(no_ledger(store));
            }
            Ok(Arc::new(engine))
        }
    }
}

/// The failure where a ledger must exist and does not.
fn no_ledger(store: &Store) -> Failure {
    Failure::new(Exit::Unavailable, format!("{store} cannot be used"))
        .because("it holds no ledger, and the setting `create_ledger` forbids to make one")
        .hint(
            "name the right store, or mount its volume; for a first start, set TOLLKEEPER_CREATE_LEDGER=true",
        )
}

/// The failure when the settings file or a variable of the environment is invalid.
pub fn invalid_setting(why: &dyn Display) -> Failure {
    Failure::new(Exit::Usage, "a setting is invalid")
        .because(why)
        .hint("docs/OPERATING.md describes every setting")
}

/// The failure when a store cannot be opened.
pub fn cannot_open(store: &Store, why: &tollkeeper_engine::Error) -> Failure {
    Failure::of_engine(format!("{store} cannot be used"), why)
}

/// Prepares a store for its first start: the reference prices and the platform key. A key is shown
/// before it is stored; it cannot be read again, because only its hash is stored. Returns `None`
/// after a key was shown if another server stored one first.
pub async fn prepare(app: &Arc<App>, show: impl FnOnce(&str)) -> Result<Option<String>, Failure> {
    server::prepare_showing(app, show)
        .await
        .map_err(|why| Failure::new(Exit::Unavailable, "the first start cannot be completed").because(why))
}

/// Checks that this server can sign for the webhook endpoints of the ledger.
pub fn check_secret(app: &App) -> Result<(), Failure> {
    server::check_secret(app)
        .map_err(|why| Failure::new(Exit::Usage, "the server cannot sign messages").because(why))
}

/// Checks the value of `--listen`, which must be `HOST:PORT`.
pub fn address(text: &str) -> Result<String, &'static str> {
    let host_and_port =
        text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    host_and_port.map(|_| text.to_owned()).ok_or("it must be HOST:PORT, such as 127.0.0.1:8080")
}

/// Listens at `HOST:PORT`; port 0 takes a free port. Returns the listener and its address.
pub async fn listen(address: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |why: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot listen on {address}"))
            .because(why)
            .hint("choose another address with --listen; port 0 takes a free port")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves until `stop` resolves, finishes the accepted requests, and closes the store.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let served = server::serve(app, listener, stop).await;
    served.map_err(|why| Failure::new(Exit::Unavailable, "the server did not shut down cleanly").because(why))
}

/// Returns a future that resolves on SIGTERM or SIGINT. The handlers are installed when this
/// function returns: call it before the program reports that it is ready. SIGHUP, which a closed
/// terminal sends, is ignored from then on.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let handler = |kind| {
        signal(kind).map_err(|why| Failure::new(Exit::Unavailable, "signals cannot be handled").because(why))
    };
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hang_up = handler(SignalKind::hangup())?;
    tokio::spawn(async move { while hang_up.recv().await.is_some() {} });
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
