//! The program behind every route: the engine, the clock, and what the settings say. And what must be in place before
//! the first request: prices and a key.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tollkeeper_engine::Engine;
use tollkeeper_ledger::{
    Actor, ApiKeyId, Command, Hash, IdempotencyKey, Micros, OperationId, OperationPrice, Refusal, Submission,
    TeamCommand, Timestamp, WorkspaceId,
};

use crate::Settings;
use crate::access::rate::{Rate, RateStatus, Ticks};
use crate::access::secret;
use crate::access::team_cache::Teams;
use crate::access::{Caller, KeyHolder};
use crate::observe::metrics::Metrics;

/// The prices of the reference policy (P2), in force until others are set.
const REFERENCE_PRICES: [(&str, i64); 5] = [
    ("background_removal", 2_000),
    ("product_listing", 5_000),
    ("smart_pricing", 1_000),
    ("support_message", 500),
    ("virtual_try_on", 20_000),
];

/// What tells the time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The program: one for all connections.
pub struct App {
    engine: Arc<dyn Engine>,
    clock: Clock,
    key: Option<Hash>,
    add_credits_url: Option<String>,
    public_url: Option<String>,
    tick: Duration,
    portal_session_seconds: i64,
    /// Of platform keys and of workspace keys.
    rates: [Option<Rate>; 2],
    /// Keys whose use is being noted.
    noting: Mutex<HashSet<ApiKeyId>>,
    pub(crate) teams: Teams,
    pub(crate) metrics: Metrics,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl App {
    /// The program over an engine, with the clock of the machine.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, settings: &Settings) -> Arc<App> {
        let start = Instant::now();
        let ticks = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        App::assemble(engine, settings, Box::new(machine_now), Arc::new(ticks))
    }

    /// The program with a clock of the caller's.
    #[must_use]
    pub fn with_clock(engine: Arc<dyn Engine>, settings: &Settings, clock: Clock) -> Arc<App> {
        let clock = Arc::new(clock);
        let same = Arc::clone(&clock);
        let ticks = move || u64::try_from(same().millis()).unwrap_or_default().saturating_mul(1_000_000);
        App::assemble(engine, settings, Box::new(move || clock()), Arc::new(ticks))
    }

    fn assemble(engine: Arc<dyn Engine>, settings: &Settings, clock: Clock, ticks: Ticks) -> Arc<App> {
        let hashed = |key: &crate::settings::Secret| secret::hash(key.expose().as_bytes());
        let requests =
            [settings.platform_key_requests_per_second, settings.workspace_key_requests_per_second];
        Arc::new(App {
            engine,
            key: settings.platform_key.as_ref().map(hashed),
            add_credits_url: settings.add_credits_url.clone(),
            public_url: settings.public_url.clone(),
            tick: Duration::from_millis(settings.tick_ms),
            portal_session_seconds: i64::from(settings.portal_session_hours) * 3_600,
            rates: requests.map(|requests| Rate::per_second(requests, Arc::clone(&ticks))),
            noting: Mutex::default(),
            teams: Teams::default(),
            clock,
            metrics: Metrics::new(),
        })
    }

    /// What is kept, and runs commands.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The one clock of the server, read once per request and once per tick.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The hash of the platform key that the settings name.
    pub(crate) fn configured_key(&self) -> Option<&Hash> {
        self.key.as_ref()
    }

    /// Where a customer of this workspace adds credits, if the settings say.
    pub(crate) fn add_credits_url(&self, workspace: &WorkspaceId) -> Option<String> {
        self.add_credits_url.as_ref().map(|url| url.replace("{workspace}", workspace.as_str()))
    }

    /// Under which address the API is reached from outside, if the settings say.
    pub(crate) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// For how long a session in the dashboard holds.
    pub(crate) fn portal_session_seconds(&self) -> i64 {
        self.portal_session_seconds
    }

    /// Counts a request of a key; `None` if there is no limit on it.
    pub(crate) fn count_request(&self, caller: &Caller) -> Option<RateStatus> {
        let [platform, workspace] = &self.rates;
        match caller {
            // Whoever holds one of several platform keys is the platform.
            Caller::Platform => platform.as_ref().map(|rate| rate.count(0)),
            Caller::Key(holder) => {
                let name = u128::from_be_bytes(holder.key().id.0.to_bytes());
                workspace.as_ref().map(|rate| rate.count(name))
            }
            Caller::Anybody | Caller::Member(_) => None,
        }
    }

    /// Notes that a key is in use, if that was not noted for a while, without letting the request wait for it.
    pub(crate) fn note_use(self: &Arc<App>, holder: &KeyHolder, now: Timestamp) {
        let key = holder.key();
        if !key.is_use_due(now) || !self.noting().insert(key.id) {
            return;
        }
        let (app, workspace, key) = (Arc::clone(self), holder.workspace.clone(), key.id);
        tokio::spawn(async move {
            let submission = Submission {
                workspace: workspace.clone(),
                key: None,
                actor: Actor::ApiKey(key),
                command: Command::Team(TeamCommand::NoteKeyUse(key)),
            };
            let noted = app.engine.run(submission, now).await.map(|_| ());
            let seen = app.teams.look(&*app.engine, &workspace).await.map(|_| ());
            if let Err(error) = noted.and(seen) {
                tracing::debug!(%error, "the use of a key could not be noted; the next request tries again");
            }
            app.noting().remove(&key);
        });
    }

    fn noting(&self) -> std::sync::MutexGuard<'_, HashSet<ApiKeyId>> {
        self.noting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the timers are looked at.
    pub(crate) fn tick(&self) -> Duration {
        self.tick
    }
}

fn machine_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Why the server could not start or go on.
#[derive(Debug)]
pub enum Error {
    /// The engine could not do what was asked.
    Engine(tollkeeper_engine::Error),
    /// The ledger refused what the server itself asked.
    Refused(Refusal),
    /// The network, or the machine's source of random numbers.
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
                write!(f, "the ledger refused the first prices or key: {}", refusal.code())
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

/// Puts in place what the first request needs: the reference prices if there are none, and a platform key if there is
/// none. A key that was made is returned, to be shown once; only its hash is kept.
///
/// # Errors
/// When the engine cannot write.
pub async fn prepare(app: &App) -> Result<Option<String>, Error> {
    let platform = app.engine.platform();
    if platform.price_book.versions().is_empty() {
        let command = Command::SetPrices { operations: reference_prices(), effective_at: None };
        run_once(app, "first start: prices", command).await?;
    }
    if app.key.is_some() || !platform.key_hashes.is_empty() {
        return Ok(None);
    }
    let key = secret::make(secret::Kind::Platform, None)?;
    let command = Command::SetPlatformKey { hash: secret::hash(key.as_bytes()) };
    Ok(run_once(app, "first start: key", command).await?.then_some(key))
}

/// Does what a first start does, unless another server on the same database was first; says whether it did.
async fn run_once(app: &App, what: &str, command: Command) -> Result<bool, Error> {
    let key = IdempotencyKey::new(what).expect("the names above are printable");
    let workspace = WorkspaceId::platform();
    let submission = Submission { workspace, key: Some(key), actor: Actor::System, command };
    match app.engine.run(submission, app.now()).await? {
        Ok(answer) => Ok(!answer.replayed),
        Err(Refusal::KeyReused { .. }) => Ok(false),
        Err(refusal) => Err(Error::Refused(refusal)),
    }
}

fn reference_prices() -> Vec<OperationPrice> {
    let price = |(name, micros)| OperationPrice {
        id: OperationId::new(name).expect("the names above keep to the alphabet"),
        unit_price: Micros::new(micros),
        timeout_seconds: None,
    };
    REFERENCE_PRICES.map(price).into()
}
