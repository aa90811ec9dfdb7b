//! Start and end of a server: builds the state, writes what the first request needs, serves.
//!
//! The first start on an empty store publishes the reference prices and makes a platform key.
//! Several servers may start on one database at once; idempotency keys let one of them win.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tollkeeper_engine::{Engine, Subscriber};
use tollkeeper_ledger::{
    Actor, Command, IdempotencyKey, Micros, OperationId, OperationPrice, Refusal, Submission, Timestamp,
    WorkspaceId,
};

use crate::access::followers::Followers;
use crate::access::large::LargeBodies;
use crate::access::{Access, MonotonicNanos, secret};
use crate::api;
use crate::app::{App, Clock};
use crate::dashboard;
use crate::http::connection::ClientTimes;
use crate::http::problem::Code;
use crate::http::route::{Resource, Route, Site};
use crate::http::router::Router;
use crate::http::{connections, serve};
use crate::jobs::alert_checks::AlertChecks;
use crate::jobs::closed_days::ClosingDays;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::losses::Losses;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;
use crate::jobs::renewals::Renewals;
use crate::jobs::self_check::SelfCheck;
use crate::jobs::time_outs::TimeOuts;
use crate::notify::mailer::state::Mailer;
use crate::notify::thread as deliveries;
use crate::notify::webhooks::Webhooks;
use crate::observe::clock_watch::{ClockWatch, Reading};
use crate::observe::metrics::{Labels, Metrics, RouteLabel};
use crate::observe::refusals::Refusals;
use crate::observe::traces::Traces;
use crate::payments::stripe::provider::Stripe;
use crate::payments::stripe::webhook;
use crate::settings::{Settings, Store};
use crate::theme::Assets;

/// Why a server on a database that sends mails does not start without the secret.
const NO_SECRET: &str =
    "with `smtp_url`, a server on a database needs `secret_key`: links in mails are signed with it";

/// The prices of the reference policy (P2) in micro-units. They are in force until others are set.
const REFERENCE_PRICES: [(&str, i64); 5] = [
    ("background_removal", 2_000),
    ("product_listing", 5_000),
    ("smart_pricing", 1_000),
    ("support_message", 500),
    ("virtual_try_on", 20_000),
];

/// How long a shutdown waits until the collector has the last traces.
const FLUSH_MAX_TIME: Duration = Duration::from_secs(3);

/// Every route of the server: the API's resources, the webhook endpoint, then the dashboard.
pub(crate) fn site() -> Site {
    let api = api::RESOURCES.iter().flat_map(Resource::routes);
    let pages = dashboard::ROUTES.iter().copied().flatten();
    Site {
        routes: api
            .chain(api::docs::ROUTES)
            .chain(api::stream::PAGE_ROUTES)
            .chain(webhook::ROUTES)
            .chain(pages)
            .collect(),
        pages: dashboard::PAGES,
    }
}

impl App {
    /// The state over an engine, with the clock of the operating system.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, settings: &Settings) -> Arc<App> {
        let start = Instant::now();
        let monotonic = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        App::assemble(engine, settings, Box::new(system_time), Arc::new(monotonic))
    }

    /// The state over an engine, with the caller's clock, which also drives the rate limits.
    #[must_use]
    pub fn with_clock(engine: Arc<dyn Engine>, settings: &Settings, clock: Clock) -> Arc<App> {
        let clock = Arc::new(clock);
        let same = Arc::clone(&clock);
        let monotonic = move || u64::try_from(same().millis()).unwrap_or_default().saturating_mul(1_000_000);
        App::assemble(engine, settings, Box::new(move || clock()), Arc::new(monotonic))
    }

    fn assemble(
        engine: Arc<dyn Engine>,
        settings: &Settings,
        clock: Clock,
        monotonic: MonotonicNanos,
    ) -> Arc<App> {
        let public_url = settings.http.public_url.clone();
        let reading = Reading { now: clock(), monotonic_nanos: monotonic() };
        Arc::new(App {
            clock_watch: ClockWatch::new(engine.trusted_clock(), reading),
            access: Access::new(Arc::clone(&engine), &settings.access, public_url.clone(), &monotonic),
            engine,
            clock,
            monotonic,
            metrics: Metrics::new(labels(&site())),
            refusals: Refusals::default(),
            traces: Traces::new(&settings.traces),
            large_bodies: LargeBodies::new(),
            followers: Followers::new(connections::most() / 2),
            simulations: Semaphore::new(1),
            public_url,
            add_credits_url: settings.http.add_credits_url.clone(),
            stripe: settings.payments.uses_stripe.then(|| Stripe::new(&settings.payments.stripe)),
            payments: settings.payments.clone(),
            webhooks: Webhooks::new(settings.webhooks.clone(), directory_of(&settings.store)),
            mailer: Mailer::new(&settings.mail).map(Arc::new),
            poll_interval: Duration::from_millis(settings.jobs.tick_ms),
            assets: Assets::new(&settings.theme),
            description: OnceLock::new(),
        })
    }
}

/// The data directory, if the ledger is in one.
fn directory_of(store: &Store) -> Option<PathBuf> {
    match store {
        Store::Directory(directory) => Some(directory.clone()),
        Store::Database(_) => None,
    }
}

fn labels(site: &Site) -> Labels {
    let route = |route: &&Route| RouteLabel { method: route.method.to_string(), path: route.path };
    Labels {
        routes: site.routes.iter().map(route).collect(),
        codes: Code::ALL.iter().map(|code| code.as_str()).collect(),
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Why the server could not start or could not continue.
#[derive(Debug)]
pub enum Error {
    /// The engine failed.
    Engine(tollkeeper_engine::Error),
    /// The ledger refused a command of the first start.
    Refused(Refusal),
    /// The network failed, or the operating system gave no random numbers or no certificate
    /// authorities.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Engine(error) => match error.hint() {
                Some(hint) => write!(f, "{error} ({hint})"),
                None => write!(f, "{error}"),
            },
            Error::Refused(refusal) => {
                write!(f, "the ledger refused the first prices or the first key: {}", refusal.code())
            }
            Error::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<tollkeeper_engine::Error> for Error {
    fn from(error: tollkeeper_engine::Error) -> Error {
        Error::Engine(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Io(error)
    }
}

/// The router with every route of the server.
pub fn router(app: Arc<App>) -> Router {
    Router::new(app, site())
}

/// Serves until `shutdown` completes, then answers the accepted requests and closes the engine.
/// Charges whose deadline passed while no server ran are refunded before the first request.
///
/// # Errors
/// The engine cannot be closed.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut time_outs = TimeOuts::default();
    time_outs.poll(&app).await;
    let exporter = app.traces.as_ref().and_then(Traces::take_exporter);
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run()));
    let until = async {
        tokio::select! {
            () = shutdown => {}
            () = time_outs.run(&app, app.poll_interval) => {}
            () = DuePayments::default().run(&app, app.poll_interval) => {}
            () = Renewals::default().run(&app, app.poll_interval) => {}
            () = Reconciliation::default().run(&app, app.poll_interval) => {}
            () = Losses::default().run(&app, app.poll_interval) => {}
            () = deliveries::run(&app) => {}
            () = AlertChecks::default().run(&app, app.poll_interval) => {}
            () = SelfCheck::default().run(&app, app.poll_interval) => {}
            () = ClosingDays::default().run(&app, app.poll_interval) => {}
        }
        app.followers.end_all();
    };
    serve::until(router(Arc::clone(&app)), listener, ClientTimes::default(), until).await;
    let closed = app.engine().close().await;
    if let (Some(traces), Some(exporting)) = (&app.traces, exporting) {
        traces.end();
        if tokio::time::timeout(FLUSH_MAX_TIME, exporting).await.is_err() {
            tracing::warn!("the collector did not take the last traces in time");
        }
    }
    Ok(closed?)
}

/// Checks that this server has the secret with which the webhook endpoints of the ledger were made.
/// A server with another one would sign what no receiver believes.
///
/// # Errors
/// It has none or another one.
pub fn check_secret(app: &App) -> Result<(), Error> {
    Ok(app.webhooks.check_secret(&app.engine.platform())?)
}

/// Writes what the first request needs: the reference prices if there are no prices, and a platform
/// key if there is none. Returns the key if one was made; only its hash is stored.
///
/// # Errors
/// The engine cannot write.
pub async fn prepare(app: &App) -> Result<Option<String>, Error> {
    prepare_showing(app, |_| {}).await
}

/// The same, and shows a key before it is stored: a process that ends between the two leaves a key
/// that opens nothing, and not a ledger whose only key nobody has seen. Returns `None` after a key
/// was shown if another server on the same database stored one first.
///
/// # Errors
/// The engine cannot write, Stripe cannot be reached safely, or the relay of mails cannot be used
/// as it is set.
pub async fn prepare_showing(app: &App, show: impl FnOnce(&str)) -> Result<Option<String>, Error> {
    if let Some(stripe) = &app.stripe {
        stripe.check()?;
    }
    if let Some(mailer) = &app.mailer {
        mailer.relay()?;
        if app.webhooks.secret_or_make()?.is_none() {
            return Err(std::io::Error::other(NO_SECRET).into());
        }
        // Mails begin with what happens from now on, unless they began at an earlier start.
        app.engine.deliveries().take_turn(Subscriber::Mail, app.now()).await?;
    }
    let platform = app.engine.platform();
    if platform.price_book.versions().is_empty() {
        let command = Command::SetPrices { operations: reference_prices(), effective_at: None };
        run_once(app, "first start: prices", command).await?;
    }
    if app.access.configured_key_is_short() {
        tracing::warn!(
            "the platform key has fewer than 16 characters; choose a longer one, because it may do everything"
        );
    }
    if app.access.has_configured_key() || !platform.key_hashes.is_empty() {
        return Ok(None);
    }
    let key = secret::make(secret::Kind::Platform, None)?;
    show(&key);
    let command = Command::SetPlatformKey { hash: secret::hash(key.as_bytes()) };
    let was_run = run_once(app, "first start: key", command).await?;
    Ok(was_run.then_some(key))
}

/// Runs a command of the first start under a fixed idempotency key. Returns false if another server
/// on the same database has run it.
async fn run_once(app: &App, key: &str, command: Command) -> Result<bool, Error> {
    let key = IdempotencyKey::new(key).expect("the keys of the first start are printable");
    let workspace = WorkspaceId::platform();
    let submission = Submission { workspace, key: Some(key), actor: Actor::System, command };
    match app.engine.run(submission, app.now()).await? {
        Ok(answer) => Ok(!answer.replayed),
        Err(Refusal::IdempotencyKeyReused { .. }) => Ok(false),
        Err(refusal) => Err(Error::Refused(refusal)),
    }
}

fn reference_prices() -> Vec<OperationPrice> {
    let price = |(id, micros)| OperationPrice {
        id: OperationId::new(id).expect("the reference ids are well-formed"),
        price: Micros::new(micros).into(),
        timeout_seconds: None,
    };
    REFERENCE_PRICES.map(price).into()
}
