//! The program behind every route: the engine, the clock, and what the settings say. And what must be in place before
//! the first request: prices and a key.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollkeeper_engine::Engine;
use tollkeeper_ledger::{
    Actor, Command, Hash, IdempotencyKey, Micros, OperationId, OperationPrice, Refusal, Submission,
    Timestamp, WorkspaceId,
};

use crate::Settings;
use crate::auth;
use crate::metrics::Metrics;

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
        App::with_clock(engine, settings, Box::new(machine_now))
    }

    /// The program with a clock of the caller's.
    #[must_use]
    pub fn with_clock(engine: Arc<dyn Engine>, settings: &Settings, clock: Clock) -> Arc<App> {
        let hashed = |key: &crate::settings::Secret| auth::hash(key.expose().as_bytes());
        Arc::new(App {
            engine,
            clock,
            key: settings.platform_key.as_ref().map(hashed),
            add_credits_url: settings.add_credits_url.clone(),
            public_url: settings.public_url.clone(),
            tick: Duration::from_millis(settings.tick_ms),
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
    if platform.book.versions().is_empty() {
        let command = Command::SetPrices { operations: reference_prices(), effective_at: None };
        run_once(app, "first start: prices", command).await?;
    }
    if app.key.is_some() || !platform.key_hashes.is_empty() {
        return Ok(None);
    }
    let key = random_key()?;
    let command = Command::SetPlatformKey { hash: auth::hash(key.as_bytes()) };
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

/// 256 random bits, in a spelling that says what they open.
fn random_key() -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("tk_platform_{hex}"))
}
