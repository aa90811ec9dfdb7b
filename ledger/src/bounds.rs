//! The limits of the system, each with its reason.
//!
//! The server publishes most of them in its API description. The spending limits that a customer
//! sets are not here but in `account::limit`.

/// The largest balance, 2^53 − 1 micro-units: every JSON reader holds it exactly. What is available
/// and pending together never exceeds it. It is checked where credit is granted, given back after a
/// won dispute, or refunded of a settled charge.
pub const BALANCE_MAX_MICROS: i64 = (1 << 53) - 1;

/// The most that is ever granted to, or charged from, one workspace: 2^61 micro-units, 23 million
/// million USD. All other sums are parts of the two, so no sum leaves the range of an `i64`.
pub const TOTAL_MAX_MICROS: i64 = 1 << 61;

const _: () = assert!(
    TOTAL_MAX_MICROS <= (i64::MAX - BALANCE_MAX_MICROS) / 3,
    "three totals and a balance must fit into one sum"
);

/// The most grants of one workspace that hold credit when a further one is given for free: each of
/// them is in memory and in the stored account. A grant that was paid for is always accepted; its
/// price bounds their number.
pub const OPEN_GRANTS_MAX: usize = 1_000;

/// The largest quantity of one charge. With [`UNIT_PRICE_MAX_MICROS`] no product leaves the range
/// of a balance.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// The largest unit price, 90,000 USD: times [`QUANTITY_MAX`] it stays below 2^53.
pub const UNIT_PRICE_MAX_MICROS: i64 = 9_000_000_000;

const _: () = assert!(
    UNIT_PRICE_MAX_MICROS <= BALANCE_MAX_MICROS / QUANTITY_MAX,
    "no price times a quantity may leave the range of a balance"
);

/// The largest number of units for which a rate may be: what costs $0.01 for a million million
/// units can be priced.
pub const PER_MAX: u32 = 1_000_000_000;

/// The largest quantity of one charge if a rate is for several units: a thousand million tokens.
pub const METERED_QUANTITY_MAX: i64 = 1_000_000_000;

/// The most meters of one operation: every charge of it names the rate of each.
pub const METERS_MAX: usize = 8;

/// The longest id of a workspace, member, worker, operation, meter or plan: it is in every URL,
/// entry and index.
pub const NAME_MAX_BYTES: usize = 64;

/// The longest idempotency key: room for two UUIDs and a sentence.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

const _: () = assert!(NAME_MAX_BYTES < IDEMPOTENCY_KEY_MAX_BYTES, "a key must have room for a name and more");

/// The longest free text (a workspace's display name, a reason, a reference): it is kept for ever
/// in the journal.
pub const TEXT_MAX_CHARS: usize = 255;

/// The largest metadata document: it is kept for ever and returned with every list row.
pub const METADATA_MAX_BYTES: usize = 4_096;

/// The shortest time a pending charge may wait for its outcome.
pub const TIMEOUT_MIN_SECONDS: u32 = 1;

/// How long the idempotency key of a call at a payment provider is sent, counted from the commit
/// that began the call. Providers forget a key after a day, and would carry the call out again.
pub const CALL_KEY_SECONDS: i64 = 20 * 3_600;

/// How far the clocks of servers may differ and still count as one clock: each may deviate from the
/// database's by [`CLOCK_DEVIATION_MAX_MILLIS`]. Within it the times of decisions do not run
/// backwards, so that a limit does not begin anew at each change of server around midnight.
pub const CLOCK_TOLERANCE_SECONDS: i64 = 10;

/// The largest deviation from the clock of the database with which a server still decides: more
/// than clocks differ that are set by the network, and too little to matter for a deadline.
pub const CLOCK_DEVIATION_MAX_MILLIS: i64 = 5_000;

const _: () = assert!(
    2 * CLOCK_DEVIATION_MAX_MILLIS <= 1_000 * CLOCK_TOLERANCE_SECONDS,
    "two servers that decide must count as one clock"
);

/// A heartbeat moves the deadline by at least one of this many parts of the time that is left, or
/// it changes nothing.
pub const HEARTBEAT_MOVES_ONE_OF: i64 = 4;

/// The most refunds of one charge; the last one returns all that is left. All of them are read to
/// show the charge.
pub const REFUNDS_MAX: u32 = 1_000;

/// The most entries about a charge after the one that opened it, without heartbeats: its refunds, a
/// settlement, and an outcome that is reported later.
pub const CHARGE_CHANGES_MAX: usize = REFUNDS_MAX as usize + 2;

/// The longest time a pending charge may wait, a week from its opening or from a heartbeat.
pub const TIMEOUT_MAX_SECONDS: u32 = 7 * 24 * 3_600;

/// How long a pending charge waits if neither the caller nor the price book says: longer than any
/// interactive operation.
pub const TIMEOUT_DEFAULT_SECONDS: u32 = 15 * 60;

const _: () = assert!(
    TIMEOUT_MIN_SECONDS <= TIMEOUT_DEFAULT_SECONDS && TIMEOUT_DEFAULT_SECONDS <= TIMEOUT_MAX_SECONDS,
    "the default timeout must be an allowed one"
);

/// The seconds of a day of 24 hours.
pub const DAY_SECONDS: i64 = 24 * 3_600;

/// How many days after its opening a settled charge may still be refunded by a late failure of the
/// system, unless the platform sets another number.
pub const REFUND_WINDOW_DEFAULT_DAYS: u32 = 30;

/// The longest refund window, ten years: longer than accounts are kept open.
pub const REFUND_WINDOW_MAX_DAYS: u32 = 3_650;

const _: () = assert!(
    REFUND_WINDOW_DEFAULT_DAYS <= REFUND_WINDOW_MAX_DAYS,
    "the default refund window must be an allowed one"
);

const _: () = assert!(
    REFUND_WINDOW_DEFAULT_DAYS as i64 * DAY_SECONDS > TIMEOUT_MAX_SECONDS as i64,
    "the refund window must be longer than the longest timeout"
);

/// The most operations in one version of the price book: a version is one entry and is held in
/// memory whole.
pub const OPERATIONS_MAX: usize = 1_000;

/// The most plans in one version: a version is one entry, is held in memory whole, and is shown on
/// one page.
pub const PLANS_MAX: usize = 100;

/// The longest name of a plan: it stands in tables, on the provider's page and on receipts.
pub const PLAN_NAME_MAX_CHARS: usize = 100;

/// The lowest price of a plan that is not free, 0.50 USD: payment providers charge no less.
pub const PLAN_PRICE_MIN_CENTS: i64 = 50;

/// The highest price of a plan, 999,999.99 USD: payment providers charge no more at once.
pub const PLAN_PRICE_MAX_CENTS: i64 = 99_999_999;

/// The most credit of a plan in a month: what 1,000 months bring still fits a balance, so a month
/// that was paid for can be granted.
pub const PLAN_CREDITS_MAX_MICROS: i64 = 9_000_000_000_000;

const _: () = assert!(
    PLAN_CREDITS_MAX_MICROS <= BALANCE_MAX_MICROS / 1_000,
    "the credit of 1,000 months must fit a balance"
);

const _: () = assert!(
    0 < PLAN_PRICE_MIN_CENTS && PLAN_PRICE_MIN_CENTS <= PLAN_PRICE_MAX_CENTS,
    "a plan must have an allowed price"
);

/// The most months of one subscription, 1,000 years: so its months can be counted from its anchor.
pub const SUBSCRIPTION_MONTHS_MAX: u32 = 12_000;

/// How late the time of a new price version may be and still mean now: the clocks of caller and
/// server differ, and the request takes its time.
pub const PRICE_LATENESS_SECONDS: i64 = 60;

/// The most spending limits of one workspace: every charge checks each of them.
pub const LIMITS_MAX: usize = 200;

/// The most members of one workspace: they are in memory together and on one page of the dashboard.
pub const MEMBERS_MAX: usize = 1_000;

/// The most recipients of mails that one workspace chooses: a mail to more readers goes to a list.
pub const RECIPIENTS_MAX: usize = 20;

/// The most API keys of one workspace: a request searches them for its own.
pub const API_KEYS_MAX: usize = 100;

/// The shortest time between two recorded uses of a key: often enough to find unused keys, too
/// seldom to fill the journal.
pub const KEY_USE_INTERVAL_SECONDS: i64 = 3_600;

/// The most portal sessions of one workspace, and the most links to begin one; a further one
/// removes the oldest.
pub const PORTAL_SESSIONS_MAX: usize = 1_000;

/// How long a link to the dashboard is valid: it is created when a person clicks, and followed at
/// once.
pub const PORTAL_LINK_SECONDS: i64 = 10 * 60;

/// The longest e-mail address (RFC 5321, 4.5.3.1.3, less its brackets).
pub const EMAIL_MAX_BYTES: usize = 254;

/// The longest URL to return to: every browser takes that much.
pub const URL_MAX_BYTES: usize = 2_000;

/// The largest top-up, 999,999.99 USD: the largest charge of a card at the payment provider.
pub const TOP_UP_MAX_CENTS: i64 = 99_999_999;

/// The most payments of subscriptions of one workspace, those of the longest subscription: they are
/// written together with its top-ups.
pub const SUBSCRIPTION_PAYMENTS_MAX: usize = SUBSCRIPTION_MONTHS_MAX as usize;

/// The most top-ups that are kept of one workspace: they are in memory together and are written
/// together when one changes. For a further one the oldest leaves, unless it is recent.
pub const TOP_UPS_MAX: usize = 10_000;

/// How long a top-up is kept in any case, 120 days: so long the holder of a card may dispute its
/// payment, and an automatic one counts in its month.
pub const TOP_UP_KEPT_SECONDS: i64 = 120 * DAY_SECONDS;

/// The most top-ups of one workspace that wait for their payment: more than a person opens, too few
/// to fill the list.
pub const TOP_UPS_PENDING_MAX: usize = 100;

/// The longest id at a payment provider, whose own are at most that long.
pub const PROVIDER_ID_MAX_BYTES: usize = 255;

/// The longest name of a card's brand; the known ones have at most sixteen characters.
pub const CARD_BRAND_MAX_BYTES: usize = 32;

/// The most that automatic top-ups may buy in a month: no more fits a balance.
pub const MONTHLY_CAP_MAX_CENTS: i64 = BALANCE_MAX_MICROS / 1_000;

/// The most declines of a card in a row, counting the one that stops automatic top-ups.
pub const SOFT_DECLINES_MAX: u8 = 3;

/// How long automatic top-ups wait after the first decline: a payer can add money to the account.
pub const FIRST_DECLINE_PAUSE_SECONDS: i64 = 3_600;

/// How long they wait after the next one. Banks take offence at cards that are tried more often.
pub const NEXT_DECLINE_PAUSE_SECONDS: i64 = DAY_SECONDS;
/// How long a top-up waits for a payment that the platform confirms, 90 days: an invoice is often
/// due after 30 or 60 days, and is paid late. Then it frees its place among those that wait.
pub const TOP_UP_PENDING_SECONDS: i64 = 90 * DAY_SECONDS;

/// The most payment refunds of one workspace, one a day for 27 years: they are written together
/// with its top-ups.
pub const PAYMENT_REFUNDS_MAX: usize = 10_000;

/// How many of the newest payments that fit nothing are in memory, to be listed.
pub const UNMATCHED_KEPT: usize = 1_000;

/// The longest evidence of a loss: the ids and states of some dozens of disputes and refunds.
pub const EVIDENCE_MAX_BYTES: usize = 2_000;

/// The most low-balance thresholds of one workspace: every charge checks each of them.
pub const THRESHOLDS_MAX: usize = 10;

/// The longest runway that a threshold may ask for: a year of the forecast.
pub const RUNWAY_DAYS_MAX: u16 = 365;

/// A balance that was low has recovered at one of this many parts above its threshold, so 5 %.
/// Without the margin a balance that hovers at the line would recover again and again.
pub const RECOVERY_ONE_OF: i64 = 20;

/// The shortest time between two notices of refused charges, also with a shorter cooldown: a
/// refusal costs the caller nothing, and an entry stays for ever.
pub const REFUSED_COOLDOWN_MIN_SECONDS: i64 = 3_600;

/// How long an alert stays quiet after it fired, unless the workspace chose otherwise.
pub const ALERT_COOLDOWN_DEFAULT_SECONDS: i64 = 24 * 3_600;

/// The longest time an alert may stay quiet, a leap year.
pub const ALERT_COOLDOWN_MAX_SECONDS: i64 = 366 * 24 * 3_600;

const _: () = assert!(
    ALERT_COOLDOWN_DEFAULT_SECONDS <= ALERT_COOLDOWN_MAX_SECONDS,
    "the default cooldown must be an allowed one"
);

/// The most charges in one batch request.
pub const BATCH_MAX: usize = 1_000;

/// The page size of a list if the caller names none.
pub const PAGE_DEFAULT: usize = 50;

/// The largest page of a list: a page is built in memory.
pub const PAGE_MAX: usize = 200;

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX, "the default page must be an allowed one");

/// The most webhook endpoints: every one of them reads the journal for itself.
pub const WEBHOOK_ENDPOINTS_MAX: usize = 100;

/// The most sessions of operators at a time: a platform has few operators. Beyond it the oldest
/// session ends.
pub const OPERATOR_SESSIONS_MAX: usize = 100;

/// The longest session of an operator, a day: it opens every workspace.
pub const OPERATOR_SESSION_MAX_SECONDS: i64 = DAY_SECONDS;

/// The longest address of a webhook endpoint.
pub const WEBHOOK_URL_MAX_BYTES: usize = 500;
