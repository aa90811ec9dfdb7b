//! Random commands by seed: few workspaces with little credit, so that every refusal is frequent.
//!
//! The seed first draws the shape of the run: the number of workspaces, the share of the busiest
//! one, the size of grants, the pace of the clock. Then it draws the commands step by step. It
//! reads the model, to name pending charges and existing grants, and knows nothing about the
//! engine. So every engine gets the same commands for the same seed.
//!
//! One kind of request is never drawn, because the rules leave its answer open: an idempotency key
//! on a request that moves no credit.

use tollkeeper_ledger::{
    AutoTopUp, AutoTopUpState, ChargeCommand, ChargeId, ChargeRequest, Command, GrantId, GrantRequest, Hash,
    IdempotencyKey, Micros, OperationId, OperationPrice, PaymentCommand, PaymentRefundCommand, Period,
    PlatformSettings, Source, Status, Subject, Submission, Timestamp, WorkspaceChanges, WorkspaceId, bounds,
};

use crate::model::step::{Step, nth, unknown_id};
use crate::model::{Fact, Model, Pool, gives_up_at, unheard_at};
use crate::random::Random;

mod alerts;
mod hostile;
mod metered;
mod payments;
mod platform;
mod recipients;
mod team;

use hostile::Burst;
use team::{member, worker};

const OPERATIONS: [&str; 5] =
    ["virtual_try_on", "product_listing", "background_removal", "support_message", "smart_pricing"];
const PRICES: [i64; 5] = [20_000, 5_000, 2_000, 500, 1_000];
const MEMBERS: [&str; 4] = ["ada", "bob", "eve", "dan"];
const WORKERS: [&str; 2] = ["w1", "w2"];
/// Zones east and west, with and without summer time, with offsets of half and quarter hours. In
/// one of them, summer time skips midnight.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Africa/Cairo",
];

/// The shape of a run; shares are per thousand.
#[derive(Clone, Debug)]
struct Shape {
    workspaces: usize,
    /// The share of steps for the first workspace.
    hot: u64,
    /// Grants are smaller than this, in micro-units.
    richness: u64,
    /// The clock advances by at most this many seconds between steps.
    pace: u64,
    /// The share of steps that repeat an earlier request.
    repeats: u64,
    /// The share of steps before which the clock jumps back.
    backwards: u64,
    /// The share of charges that await an outcome.
    awaits: u64,
    /// The share of commands about the team.
    team: u64,
    /// The share of commands about payments.
    payments: u64,
    /// The share of commands about the subscription.
    subscription: u64,
    /// The share of workspace updates that change the time zone.
    zone_changes: u64,
}

/// A stream of steps.
#[derive(Clone, Debug)]
pub struct Workload {
    random: Random,
    shape: Shape,
    now: Timestamp,
    /// The right time while the caller's clock is ahead for one step.
    present: Option<Timestamp>,
    keys: u64,
    payments: u64,
    secrets: u64,
    /// The hash of the link that was followed last.
    followed: Hash,
    /// The submissions that can be repeated.
    repeatable: Vec<Submission>,
    /// True if bursts are drawn.
    hostile: bool,
    burst: Option<Burst>,
}

impl Workload {
    /// The stream of steps of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Workload {
        let mut random = Random::new(seed);
        let shape = Shape {
            workspaces: 1 + random.index(6),
            hot: *random.pick(&[0, 300, 800]),
            richness: *random.pick(&[3_000, 30_000, 300_000]),
            pace: *random.pick(&[1, 60, 3_600, 40_000]),
            repeats: *random.pick(&[20, 150, 300]),
            backwards: *random.pick(&[0, 0, 30]),
            awaits: *random.pick(&[100, 500, 900]),
            team: *random.pick(&[30, 100, 350]),
            payments: *random.pick(&[30, 100, 300]),
            subscription: *random.pick(&[0, 40, 400]),
            zone_changes: *random.pick(&[0, 300, 800]),
        };
        // Between the leap day of 2028 and the changes to summer time in the weeks after it.
        let now = Timestamp::from_millis(1_835_420_000_000).plus_seconds(random.below(2_000_000) as i64);
        let (keys, payments, secrets) = (0, 0, 0);
        let (followed, repeatable) = ([0; 32], Vec::new());
        Workload {
            random,
            shape,
            now,
            present: None,
            keys,
            payments,
            secrets,
            followed,
            repeatable,
            hostile: false,
            burst: None,
        }
    }

    /// The same of hostile tenants, with bursts of requests, whose callers' clocks often jump.
    #[must_use]
    pub fn hostile(seed: u64) -> Workload {
        let mut workload = Workload::new(seed);
        workload.hostile = true;
        workload.shape.backwards = 60;
        workload
    }

    /// The next step, given the state of the model.
    pub fn next(&mut self, model: &Model) -> Step {
        self.advance_clock(model);
        if model.prices.is_empty() {
            return self.step(None, WorkspaceId::platform(), None, first_prices());
        }
        if model.plans.is_empty() && self.random.chance(100) {
            let command = self.plans();
            return self.step(None, WorkspaceId::platform(), None, command);
        }
        if let Some(step) = self.burst_step(model) {
            return step;
        }
        if self.random.chance(self.shape.repeats) && !self.repeatable.is_empty() {
            let submission = self.repeated(model);
            return Step { now: self.now, submission };
        }
        if self.random.chance(20) {
            let command = self.platform_command(model);
            return self.step(None, WorkspaceId::platform(), None, command);
        }
        let workspace = self.workspace();
        let pool = model.pools.get(&workspace);
        match pool {
            Some(known) => {
                let command = self.command(known);
                let key = self.key_for(&command);
                self.step(pool, workspace, key, command)
            }
            None if self.random.chance(900) => {
                let changes = WorkspaceChanges {
                    name: Some("The Workspace".into()),
                    timezone: Some((*self.random.pick(&ZONES)).into()),
                    metadata: self.random.chance(200).then(|| Some("{}".into())),
                    suspended: None,
                };
                self.step(pool, workspace, None, Command::CreateWorkspace(changes))
            }
            None => {
                let command = Command::Charge(self.charge());
                let key = self.key_for(&command);
                self.step(pool, workspace, key, command)
            }
        }
    }

    /// Moves the caller's clock: mostly forward a little, at times a day or months, at times to the
    /// very instant at which something changes, rarely back.
    fn advance_clock(&mut self, model: &Model) {
        let seconds = match self.random.below(1_000) {
            roll if roll < self.shape.backwards => -(self.random.below(200_000) as i64),
            roll if roll > 998 => 86_400 * (60 + self.random.below(40) as i64),
            roll if roll > 995 => 86_400 * (1 + self.random.below(40) as i64),
            roll if roll > 890 => {
                let turns = if roll > 970 { beginnings(model, self.now) } else { turns(model, self.now) };
                self.turn_to(&turns);
                0
            }
            _ => self.random.below(self.shape.pace + 1) as i64,
        };
        let millis = if self.random.chance(300) { self.random.below(1_000) as i64 } else { 0 };
        self.now = Timestamp::from_millis(self.now.plus_seconds(seconds).millis() + millis);
        if let Some(present) = self.present.take() {
            // The clock that was ahead is set right.
            self.now = present;
        } else if self.random.chance(self.shape.backwards / 3) {
            self.present = Some(self.now);
            self.now = self.now.plus_seconds(self.random.below(400 * 86_400) as i64);
        }
    }

    /// Sets the clock to one of these times, or a little before.
    fn turn_to(&mut self, turns: &[Timestamp]) {
        if !turns.is_empty() {
            // Also one millisecond and 25 minutes before, so that both sides of the boundary and
            // its hour are reached.
            let before = *self.random.pick(&[0, 0, 1, 1_500_000]);
            let turn = self.random.pick(turns).millis() - before;
            self.now = self.now.max(Timestamp::from_millis(turn));
        }
    }

    fn step(
        &mut self,
        pool: Option<&Pool>,
        workspace: WorkspaceId,
        key: Option<IdempotencyKey>,
        mut command: Command,
    ) -> Step {
        let actor = self.actor(pool, &command);
        if let Some(pool) = pool {
            self.tie(pool, &actor, &mut command);
        }
        let submission = Submission { workspace, key, actor, command };
        let repeatable = submission.key.is_some() || submission.command.derived_key().is_some();
        if repeatable {
            self.repeatable.push(submission.clone());
        }
        Step { now: self.now, submission }
    }

    /// An earlier request, unchanged or with one field changed, from the same actor or from
    /// another.
    fn repeated(&mut self, model: &Model) -> Submission {
        // Mostly one of the last few, at times one from long ago.
        let count = self.repeatable.len();
        let back =
            if self.random.chance(700) { self.random.index(count.min(8)) } else { self.random.index(count) };
        let mut submission = self.repeatable[count - 1 - back].clone();
        if self.random.chance(300) {
            match &mut submission.command {
                Command::Charge(request) => match self.random.below(5) {
                    0 => request.quantity = metered::one_more(&request.quantity),
                    1 => request.member = None,
                    2 => request.await_outcome = !request.await_outcome,
                    3 if request.timeout_seconds.is_some() => {
                        request.outcome_by_platform = !request.outcome_by_platform;
                    }
                    3 => request.reference = Some("other".into()),
                    _ => request.operation = self.operation(),
                },
                Command::Grant(request) if self.random.chance(500) => request.paid_cents += 1,
                Command::Grant(request) => request.amount += Micros::new(1),
                Command::ExistingCharge { command: ChargeCommand::Refund { amount, .. }, .. } => {
                    *amount = Some(Micros::new(7))
                }
                Command::VoidGrant { reason, .. } => *reason = Some("other".into()),
                Command::Payment(PaymentCommand::OpenTopUp { cents, allowed, .. }) => {
                    match self.random.below(2) {
                        0 => *cents += 1,
                        _ => allowed.min_cents = *cents + 1,
                    }
                }
                Command::SetLost { lost_cents, .. } => *lost_cents += 1,
                Command::Payment(PaymentCommand::Refund(PaymentRefundCommand::Request {
                    cents,
                    reason,
                    by_hand,
                    ..
                })) => match self.random.below(3) {
                    0 => *cents = Some(cents.unwrap_or(0) + 1),
                    1 => *reason = "other".into(),
                    _ => *by_hand = !*by_hand,
                },
                Command::ReportUnmatched(payment) => payment.cents += 1,
                _ => {}
            }
        }
        if self.random.chance(30) {
            submission.command = Command::Charge(self.charge());
        }
        if self.random.chance(400) {
            submission.actor = self.actor(model.pools.get(&submission.workspace), &submission.command);
        }
        submission
    }

    fn workspace(&mut self) -> WorkspaceId {
        let number =
            if self.random.chance(self.shape.hot) { 0 } else { self.random.index(self.shape.workspaces) };
        WorkspaceId::new(format!("w{number}")).expect("a name")
    }

    /// A new idempotency key for a request that moves credit; `None` for other requests.
    fn key_for(&mut self, command: &Command) -> Option<IdempotencyKey> {
        match command {
            Command::Charge(_) | Command::ExistingCharge { command: ChargeCommand::Refund { .. }, .. } => {}
            Command::Grant(_)
            | Command::VoidGrant { .. }
            | Command::SetLost { .. }
            | Command::Payment(
                PaymentCommand::OpenTopUp { .. }
                | PaymentCommand::Refund(PaymentRefundCommand::Request { .. }),
            ) if self.random.chance(700) => {}
            _ => return None,
        }
        self.keys += 1;
        Some(IdempotencyKey::new(format!("key {}", self.keys)).expect("printable"))
    }

    fn command(&mut self, pool: &Pool) -> Command {
        if self.random.chance(self.shape.team) {
            return Command::Team(self.team_command(pool));
        }
        if self.random.chance(self.shape.payments) {
            return self.payment(pool);
        }
        if self.random.chance(self.shape.subscription) {
            return Command::Payment(PaymentCommand::Subscription(self.subscription(pool)));
        }
        match self.random.below(1_000) {
            0..400 => Command::Charge(self.charge()),
            400..540 => self.grant(),
            540..750 => self.existing_charge(pool),
            750..800 => ChargeCommand::TimeOut.for_charge(self.some_charge(pool)),
            800..855 => self.lost(pool),
            855..875 => Command::VoidGrant { grant: self.some_grant(pool), reason: None },
            875..920 => self.limits(pool),
            920..950 => self.alerts(pool),
            _ => self.update(),
        }
    }

    fn operation(&mut self) -> OperationId {
        let name = if self.random.chance(15) { "unknown" } else { *self.random.pick(&OPERATIONS) };
        OperationId::new(name).expect("a name")
    }

    fn charge(&mut self) -> ChargeRequest {
        let mut metered = None;
        let quantity = match self.random.below(100) {
            0 => 0,
            1 => -1,
            2 => 1_000_001,
            3 => i64::MAX,
            roll @ 4..20 => {
                let count = 1 + self.random.below(40) as i64;
                metered = metered::asked(roll, count);
                count
            }
            _ => 1,
        };
        let maybe =
            |random: &mut Random, names: &[&str]| random.chance(600).then(|| random.pick(names).to_string());
        let of_worker = maybe(&mut self.random, &WORKERS);
        let for_member = maybe(&mut self.random, &MEMBERS);
        let operation = self.operation();
        let (operation, quantity) = metered.unwrap_or((operation, quantity.into()));
        let mut request = ChargeRequest {
            worker: of_worker.map(|name| worker(&name)),
            member: for_member.map(|name| member(&name)),
            await_outcome: self.random.chance(self.shape.awaits),
            timeout_seconds: self
                .random
                .chance(300)
                .then(|| *self.random.pick(&[0, 1, 30, 3_600, 604_800, 604_801])),
            reference: maybe(&mut self.random, &["run 1", "run 2"]).map(Into::into),
            metadata: self.random.chance(50).then(|| "{\"shop\":1}".into()),
            ..ChargeRequest::new(operation, quantity)
        };
        request.outcome_by_platform = request.timeout_seconds.is_some() && request.reference.is_some();
        request
    }

    fn grant(&mut self) -> Command {
        let source = *self.random.pick(&[
            Source::Promotional,
            Source::Adjustment,
            Source::Subscription,
            Source::TopUp,
        ]);
        let bought = matches!(source, Source::Subscription | Source::TopUp);
        let origin = (bought && !self.random.chance(20)).then(|| {
            // At times a payment that was reported before.
            self.payments += u64::from(self.random.chance(850));
            format!("pay_{}", self.payments).into()
        });
        let amount = match self.random.below(100) {
            0 => 0,
            1 => -1,
            2 => 9_007_199_254_740_992,
            // Mostly multiples of 500, so that balances meet prices and thresholds exactly.
            3..70 => 500 * (1 + self.random.below(self.shape.richness / 500) as i64),
            _ => 1 + self.random.below(self.shape.richness) as i64,
        };
        let reason = self.random.chance(500).then(|| "welcome".into());
        let paid_cents = if origin.is_some() { amount / 1_000 } else { 0 };
        Command::Grant(GrantRequest { source, amount: Micros::new(amount), reason, origin, paid_cents })
    }

    /// Mostly a pending charge, at times any charge, at times an unknown id.
    fn some_charge(&mut self, pool: &Pool) -> ChargeId {
        let charges = pool.charges();
        let pending: Vec<_> = charges.iter().filter(|c| c.state.status == Status::Pending).collect();
        if !pending.is_empty() && self.random.chance(600) {
            return self.random.pick(&pending).details.id;
        }
        if charges.is_empty() || self.random.chance(15) {
            return ChargeId(unknown_id());
        }
        self.random.pick(&charges).details.id
    }

    fn some_grant(&mut self, pool: &Pool) -> GrantId {
        let count = pool.grants().len();
        if count == 0 || self.random.chance(30) {
            GrantId(unknown_id())
        } else {
            GrantId(nth(self.random.index(count)))
        }
    }

    fn existing_charge(&mut self, pool: &Pool) -> Command {
        let charge = self.some_charge(pool);
        match self.random.below(100) {
            0..25 => ChargeCommand::Succeed { quantity: None }.for_charge(charge),
            25..40 => {
                let count = self.random.below(12) as i64;
                let of = pool.charges().into_iter().find(|known| known.details.id == charge);
                let used = metered::used(of.as_ref().map(|charge| &charge.details.price), count);
                ChargeCommand::Succeed { quantity: Some(used) }.for_charge(charge)
            }
            40..60 => {
                ChargeCommand::Fail { by_system: true, detail: Some("broken".into()) }.for_charge(charge)
            }
            60..70 => ChargeCommand::Fail { by_system: false, detail: None }.for_charge(charge),
            70..80 => {
                let extend_seconds = *self.random.pick(&[0, 1, 30, 60, 3_600, 604_800, 604_801]);
                ChargeCommand::Heartbeat { extend_seconds }.for_charge(charge)
            }
            roll => {
                let part = Micros::new(self.random.below(2_000) as i64);
                ChargeCommand::Refund { amount: (roll < 93).then_some(part), reason: "courtesy".into() }
                    .for_charge(charge)
            }
        }
    }

    fn limits(&mut self, pool: &Pool) -> Command {
        let count = self.random.index(5);
        let limits = (0..count).map(|_| {
            let subject = match self.random.below(5) {
                0 => Subject::Workspace,
                1 => Subject::Member(member(self.random.pick::<&str>(&MEMBERS[..2]))),
                2 => Subject::Worker(worker("w1")),
                3 => Subject::ApiKey(self.some_key(pool)),
                _ => Subject::Operation(self.operation()),
            };
            let period = *self.random.pick(&[Period::Day, Period::Month]);
            let cap = if self.random.chance(30) { -1 } else { 500 * self.random.below(80) as i64 };
            (subject, period, Micros::new(cap))
        });
        Command::SetLimits(limits.collect())
    }

    fn update(&mut self) -> Command {
        let zone = self.random.chance(self.shape.zone_changes).then(|| (*self.random.pick(&ZONES)).into());
        Command::UpdateWorkspace(WorkspaceChanges {
            name: self.random.chance(300).then(|| "Renamed Store".into()),
            timezone: zone,
            metadata: (self.random.chance(200))
                .then(|| self.random.chance(700).then(|| "{\"tier\":2}".into())),
            // Mostly `false`, so that a suspended workspace is soon active again.
            suspended: self.random.chance(700).then(|| self.random.chance(300)),
        })
    }

    fn platform_command(&mut self, model: &Model) -> Command {
        if self.random.chance(150) {
            return self.endpoint(model.endpoints());
        }
        if self.random.chance(300) {
            return self.operator_command();
        }
        if self.random.chance(100) {
            return Command::SetPlatformKey { hash: [self.random.below(256) as u8; 32] };
        }
        if self.random.chance(250) {
            let refund_window_days = *self.random.pick(&[0, 1, 2, 30, 30, 3_650, 3_651]);
            return Command::SetSettings(PlatformSettings { refund_window_days });
        }
        if self.random.chance(30) {
            return Command::MarkRestored;
        }
        if self.random.chance(200) {
            return self.plans();
        }
        if self.random.chance(100) {
            return self.unmatched();
        }
        let mut operations = price_list();
        for operation in &mut operations {
            let dearer = *self.random.pick(&[0, 0, 0, 500, 7]);
            metered::raise(&mut operation.price, dearer);
            operation.timeout_seconds = self.random.chance(200).then(|| *self.random.pick(&[1, 60, 600]));
        }
        if self.random.chance(200) {
            operations.pop();
        }
        if self.random.chance(200) {
            operations[0].price = Micros::ZERO.into();
        }
        operations.extend(metered::price_list());
        if self.random.chance(50) {
            let twice = operations[0].clone();
            operations.push(twice);
        }
        let later = *self.random.pick(&[-1, 0, 60, 86_400]);
        let effective_at = self.random.chance(500).then(|| self.now.plus_seconds(later));
        Command::SetPrices { operations, effective_at }
    }
}

/// The next beginnings of a day and of a month in workspaces with limits or automatic top-ups.
fn beginnings(model: &Model, now: Timestamp) -> Vec<Timestamp> {
    let counts = |pool: &&Pool| !pool.limits().is_empty() || pool.rule().is_some();
    let limited = model.pools.values().filter(counts);
    let windows = limited.map(|pool| pool.windows(pool.present(now)));
    windows.flat_map(|windows| [windows.day.end, windows.day.end, windows.month.end]).collect()
}

/// The times after `now` at which something ends: deadlines, refund windows, cooldowns, pauses,
/// keys, links, sessions and top-ups.
fn turns(model: &Model, now: Timestamp) -> Vec<Timestamp> {
    let window = i64::from(model.refund_window_days) * bounds::DAY_SECONDS;
    let of_pool = |pool: &Pool| {
        let charges = pool.charges().into_iter();
        let closes = |decided_at: Timestamp| decided_at.plus_seconds(window);
        let mut turns: Vec<Timestamp> = charges
            .flat_map(|charge| [Some(closes(charge.decided_at)), charge.state.deadline])
            .flatten()
            .collect();
        let cooldown = pool.alerts().map_or(0, |(_, cooldown_seconds)| cooldown_seconds);
        let fired = pool.lines.iter().filter(|line| matches!(line.fact, Fact::Alert(_)));
        turns.extend(fired.map(|line| line.decided_at.plus_seconds(cooldown)));
        if let Some(AutoTopUp { state: AutoTopUpState::Paused { until }, .. }) = pool.rule() {
            turns.push(until);
        }
        for key in pool.keys() {
            turns.extend(key.expires_at);
            turns.extend(key.last_used_at.map(|used| used.plus_seconds(bounds::KEY_USE_INTERVAL_SECONDS)));
        }
        turns.extend(pool.top_ups().iter().map(gives_up_at).chain(pool.refunds().iter().map(unheard_at)));
        let times = pool.subscription().map(|last| [last.due_at(), last.look_at()]);
        turns.extend(times.into_iter().flatten().flatten());
        turns.extend([pool.links(now), pool.sessions(now)].concat().iter().map(|session| session.expires_at));
        turns
    };
    let all = model.pools.values().flat_map(of_pool);
    // A time far ahead would make the clock skip all nearer ones.
    all.filter(|turn| *turn > now && *turn < now.plus_seconds(31 * 86_400)).collect()
}

fn price_list() -> Vec<OperationPrice> {
    let line = |(name, price): (&&str, &i64)| OperationPrice {
        id: OperationId::new(*name).expect("a name"),
        price: Micros::new(*price).into(),
        timeout_seconds: None,
    };
    OPERATIONS.iter().zip(&PRICES).map(line).collect()
}

/// The reference price list.
fn first_prices() -> Command {
    let operations = price_list().into_iter().chain(metered::price_list()).collect();
    Command::SetPrices { operations, effective_at: None }
}
