//! A limit on everything, each with its reason, in one place.
//!
//! The server publishes most of these in its API description. What is not here: the limits a customer sets on
//! spending, which are in `limit`.

/// The largest balance, 2^53 − 1 micro-units: every JSON reader holds it exactly. Guarded at the way in: what was
/// granted and not taken back never exceeds it, so no refund can either.
pub const BALANCE_MAX_MICROS: i64 = (1 << 53) - 1;

/// The largest quantity of one charge. With [`UNIT_PRICE_MAX_MICROS`] no product leaves the range of a balance.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// The largest unit price, 90,000 USD: times [`QUANTITY_MAX`] it stays below 2^53.
pub const UNIT_PRICE_MAX_MICROS: i64 = 9_000_000_000;

/// The longest name of a workspace, member, worker or operation: it is in every URL, entry and index.
pub const NAME_MAX_BYTES: usize = 64;

/// The longest idempotency key: room for two UUIDs and a sentence; longer ones are somebody's whole request.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

/// The longest free text (a workspace's display name, a reason, a reference): it is kept for ever in the journal.
pub const TEXT_MAX_BYTES: usize = 255;

/// The largest metadata document: it is kept for ever and returned with every list row.
pub const METADATA_MAX_BYTES: usize = 4_096;

/// The shortest time a pending charge may wait for its outcome.
pub const TIMEOUT_MIN_SECONDS: u32 = 1;

/// The longest time a pending charge may wait at once, a week; a heartbeat extends it by as much again.
pub const TIMEOUT_MAX_SECONDS: u32 = 7 * 24 * 3_600;

/// How long a pending charge waits when nobody said: a quarter of an hour outlasts any interactive operation.
pub const TIMEOUT_DEFAULT_SECONDS: u32 = 15 * 60;

/// How long after its birth a settled charge may still be refunded by a late system failure: 30 days.
pub const REFUND_WINDOW_DEFAULT_SECONDS: i64 = 30 * 24 * 3_600;

/// The most operations in one version of the price book: a version is one entry and is held in memory whole.
pub const OPERATIONS_MAX: usize = 1_000;

/// The most spending limits on one workspace: each is looked at with every charge.
pub const LIMITS_MAX: usize = 200;

/// The most members of one workspace: they are in memory together and a page of the dashboard.
pub const MEMBERS_MAX: usize = 1_000;

/// The most API keys of one workspace: a request looks through them for its own.
pub const API_KEYS_MAX: usize = 100;

/// How often the use of a key is noted: often enough to find keys that nobody uses, too seldom to fill the journal.
pub const KEY_USE_NOTED_SECONDS: i64 = 3_600;

/// The most portal sessions of one workspace, and links to begin one: the oldest give way.
pub const PORTAL_SESSIONS_MAX: usize = 1_000;

/// How long a link to the dashboard waits to be followed: it is made when somebody clicks.
pub const PORTAL_LINK_SECONDS: i64 = 10 * 60;

/// The longest e-mail address (RFC 5321, 4.5.3.1.3, less its brackets).
pub const EMAIL_MAX_BYTES: usize = 254;

/// The longest URL to lead back to: as much as every browser takes.
pub const URL_MAX_BYTES: usize = 2_000;

/// The most low-balance thresholds of one workspace: each is looked at with every charge.
pub const THRESHOLDS_MAX: usize = 10;

/// How long an alert stays quiet after it fired, unless the workspace chose otherwise.
pub const ALERT_COOLDOWN_DEFAULT_SECONDS: i64 = 24 * 3_600;

/// The most charges in one batch request.
pub const BATCH_MAX: usize = 1_000;

/// The default and the largest page of a list.
pub const PAGE_DEFAULT: usize = 50;
/// See [`PAGE_DEFAULT`]: a page is built in memory.
pub const PAGE_MAX: usize = 200;
