//! The one place where credit is decided: [`decide`] looks at a [`View`] and answers a command with the [`Change`] it
//! makes, with the entry it made before, or with a [`Refusal`].
//!
//! Whoever asks has to be known still (see `actor`). Then replay is looked for before all else (i07), and then the refusals
//! come in the order of [`Refusal`]'s variants. Whoever calls has loaded into the view whatever the command speaks of;
//! nothing is fetched here and nothing is changed.

pub(crate) mod authority;
pub(crate) mod command;
pub(crate) mod quote;
pub(crate) mod refusal;
pub(crate) mod replay;

use self::command::{GrantRequest, WorkspaceChanges};
use crate::account::charge::Verdict;
use crate::account::{charge, invariants};
use crate::{
    Account, Charge, ChargeCommand, Command, Draw, Entry, EntryBody, Grant, GrantId, Id, IdempotencyKey,
    LedgerAccount, Limit, Micros, Operation, OperationPrice, Period, PeriodWindows, PriceBook, PriceVersion,
    Profile, Refusal, Source, Subject, Submission, Timestamp, bounds, team,
};

/// Exactly what a decision may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The pool; `None` if there is no such workspace.
    pub account: Option<&'a Account>,
    /// The prices.
    pub price_book: &'a PriceBook,
    /// The entry that was made under the same key, if there is one.
    pub entry_under_key: Option<&'a Entry>,
    /// The charge the command speaks of, if it exists in this workspace.
    pub charge: Option<&'a Charge>,
    /// For a command with a [`Command::recount`]: what each of its lines has used (net) of the present period, in their
    /// order.
    pub used_by_limit: &'a [Micros],
    /// The day and month around now, as the account's clock has it ([`Account::clock`]), in the workspace's time zone or
    /// that of the [`Command::recount`].
    pub windows: PeriodWindows,
    /// An id nobody has yet.
    pub fresh_id: Id,
    /// For how long after its birth a settled charge may be refunded by a late system failure, in seconds.
    pub refund_window_seconds: i64,
}

/// Exactly what a decision may write: entries, in this order, the first under the request's key.
#[derive(Debug)]
pub struct Change {
    /// What happens first.
    pub first: EntryBody,
    /// What follows from it.
    pub rest: Vec<EntryBody>,
    /// The key of the first entry.
    pub key: Option<IdempotencyKey>,
}

/// A "yes" of the ledger.
#[derive(Debug)]
pub enum Decision {
    /// This is to be written.
    Change(Change),
    /// The same request was answered before, by [`View::entry_under_key`]: give that answer again.
    Replay,
    /// It is so already; there is nothing to write.
    Unchanged,
}

impl<'a> View<'a> {
    /// The pool, or the refusal for want of one.
    pub(crate) fn account(&self) -> Result<&'a Account, Refusal> {
        self.account.filter(|account| account.exists()).ok_or(Refusal::WorkspaceNotFound)
    }

    fn charge(&self) -> Result<&'a Charge, Refusal> {
        self.account()?;
        self.charge.ok_or(Refusal::ChargeNotFound)
    }

    fn windows(&self) -> Option<PeriodWindows> {
        self.account.filter(|account| !account.limits.is_empty()).map(|_| self.windows)
    }
}

/// Decides a command.
///
/// # Errors
/// The first [`Refusal`] that holds, in the order of its variants. Nothing is changed and nothing is kept: the same key
/// may succeed later.
pub fn decide(view: &View, submission: Submission, now: Timestamp) -> Result<Decision, Refusal> {
    let clock = view.account.map_or(now, |account| account.clock(now));
    authority::confirm(view, &submission.actor, &submission.command, (clock, now))?;
    if let Some(made) = view.entry_under_key {
        return match replay::first_difference(made, &submission.command) {
            None => Ok(Decision::Replay),
            Some(field) => Err(Refusal::KeyReused { field }),
        };
    }
    let (now, asked_at) = (clock, now);
    let platforms_own =
        matches!(submission.command, Command::SetPrices { .. } | Command::SetPlatformKey { .. });
    if platforms_own != submission.workspace.is_platform() {
        return Err(Refusal::WorkspaceNotFound);
    }
    let key = submission.command.derived_key().or(submission.key);
    let bodies = match submission.command {
        Command::Charge(request) => {
            let opened = charge::open(view, request, submission.actor.api_key(), now)?;
            return Ok(change(view, opened, Vec::new(), key, now));
        }
        Command::Grant(request) => grant(view, request)?,
        Command::ExistingCharge { command, .. } => return decide_existing_charge(view, command, key, now),
        Command::CreateWorkspace(changes) => create_workspace(view, submission.workspace, changes, now)?,
        Command::UpdateWorkspace(changes) => update_workspace(view, changes)?,
        Command::Team(command) => {
            let change = team::decide(view, command, (now, asked_at))?;
            change.into_iter().map(|change| EntryBody::Team(Box::new(change))).collect()
        }
        Command::VoidGrant { grant, reason } => void_grant(view, grant, reason)?,
        Command::ClawBack { grant, dispute, amount } => claw_back(view, grant, dispute, amount)?,
        Command::RestoreClawBack { dispute } => restore(view, dispute)?,
        Command::SetLimits(limits) => set_limits(view, limits)?,
        Command::SetAlerts { thresholds, cooldown_seconds } => {
            set_alerts(view, thresholds, cooldown_seconds)?
        }
        Command::SetPrices { operations, effective_at } => set_prices(view, operations, effective_at, now)?,
        Command::SetPlatformKey { hash } => vec![EntryBody::PlatformKeySet { hash }],
    };
    let mut bodies = bodies.into_iter();
    let Some(first) = bodies.next() else { return Ok(Decision::Unchanged) };
    Ok(change(view, first, bodies.collect(), key, now))
}

/// The change, and the alerts it fires: those whose threshold the available balance crosses downwards (P13).
fn change(
    view: &View,
    first: EntryBody,
    mut rest: Vec<EntryBody>,
    key: Option<IdempotencyKey>,
    now: Timestamp,
) -> Decision {
    if let Some(account) = view.account
        && !account.alerts.thresholds.is_empty()
    {
        let before = account.balance.available;
        let moved: Micros = std::iter::once(&first).chain(&rest).map(moved_available).sum();
        let crossed = account.alerts.crossed(before, before + moved, now);
        rest.extend(crossed.map(|threshold| EntryBody::BalanceLow { threshold }));
    }
    Decision::Change(Change { first, rest, key })
}

fn moved_available(body: &EntryBody) -> Micros {
    match body.legs() {
        Some(legs) if legs.from == LedgerAccount::Available => Micros::ZERO - legs.amount,
        Some(legs) if legs.to == LedgerAccount::Available => legs.amount,
        _ => Micros::ZERO,
    }
}

/// What becomes of an existing charge.
fn decide_existing_charge(
    view: &View,
    command: ChargeCommand,
    key: Option<IdempotencyKey>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let charge = view.charge()?;
    let windows = view.windows();
    let verdict = match command {
        ChargeCommand::Succeed { quantity } => charge.succeed(quantity, windows)?,
        ChargeCommand::Fail { by_system, detail } => {
            charge.fail(by_system, detail, windows, (view.refund_window_seconds, now))?
        }
        ChargeCommand::Heartbeat { extend_seconds } => charge.extend(extend_seconds, now)?,
        ChargeCommand::Refund { amount, reason } => charge.refund(amount, reason, windows)?,
        ChargeCommand::TimeOut => charge.time_out(windows, now),
    };
    let Verdict::Becomes(bodies) = verdict else {
        return Ok(Decision::Unchanged);
    };
    for state in bodies.iter().filter_map(EntryBody::state) {
        invariants::charge_moves_on(charge, state);
    }
    let mut bodies = bodies.into_iter();
    let first = bodies.next().expect("a charge that moves on says how");
    Ok(change(view, first, bodies.collect(), key, now))
}

fn create_workspace(
    view: &View,
    id: crate::WorkspaceId,
    changes: WorkspaceChanges,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    if view.account.is_some_and(Account::exists) {
        return Err(Refusal::WorkspaceExists);
    }
    let blank = Profile { created_at: now, ..*Account::new(id).profile };
    Ok(vec![EntryBody::WorkspaceCreated(Box::new(described(blank, changes)))])
}

/// The workspace as described anew; nothing if nothing differs. In a new time zone other days and months are under way, so
/// that the limits count anew what was used of those.
fn update_workspace(view: &View, changes: WorkspaceChanges) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let profile = described(account.profile.as_ref().clone(), changes);
    if profile == *account.profile {
        return Ok(Vec::new());
    }
    let moves = profile.timezone != account.profile.timezone && !account.limits.is_empty();
    let mut bodies = vec![EntryBody::WorkspaceUpdated(Box::new(profile))];
    if moves {
        assert_eq!(account.limits.0.len(), view.used_by_limit.len(), "what every limit has used was counted");
        let lines = account.limits.0.iter().zip(view.used_by_limit);
        let limits = lines.map(|(limit, used)| Limit {
            since: view.windows.of(limit.period).start,
            used: *used,
            ..limit.clone()
        });
        bodies.push(EntryBody::LimitsSet(limits.collect()));
    }
    Ok(bodies)
}

fn described(profile: Profile, changes: WorkspaceChanges) -> Profile {
    let WorkspaceChanges { name, timezone, metadata, suspended } = changes;
    Profile {
        name: name.unwrap_or(profile.name),
        timezone: timezone.unwrap_or(profile.timezone),
        metadata: metadata.or(profile.metadata),
        suspended: suspended.unwrap_or(profile.suspended),
        ..profile
    }
}

fn grant(view: &View, request: GrantRequest) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let GrantRequest { source, amount, reason, origin, paid_cents } = request;
    if amount <= Micros::ZERO {
        return Err(Refusal::InvalidField { field: "amount", why: "must be more than zero" });
    }
    if matches!(source, Source::Subscription | Source::TopUp) && origin.is_none() {
        return Err(Refusal::InvalidField { field: "source", why: "comes with a payment only" });
    }
    room_for(account, amount)?;
    let n = account.chain.n + 1;
    let grant = Grant { id: GrantId(view.fresh_id), n, source, amount, remaining: amount };
    let mut bodies = vec![EntryBody::Granted { grant, reason, origin, paid_cents }];
    let repaid = account.balance.debt.min(amount);
    if repaid > Micros::ZERO {
        bodies.push(EntryBody::DebtRepaid { draw: Draw { grant: n, amount: repaid } });
    }
    Ok(bodies)
}

/// Guards the bound of a balance where credit comes in, so that no refund can pass it later.
fn room_for(account: &Account, amount: Micros) -> Result<(), Refusal> {
    let held = account.totals.granted - account.totals.clawed_back;
    if held.checked_add(amount).is_none_or(|sum| sum > Micros::MAX) {
        let why = "would take the balance beyond 2^53 − 1 micro-units";
        return Err(Refusal::InvalidField { field: "amount", why });
    }
    Ok(())
}

fn void_grant(view: &View, id: GrantId, reason: Option<Box<str>>) -> Result<Vec<EntryBody>, Refusal> {
    let grant = view.account()?.grants.find(id).ok_or(Refusal::GrantNotFound)?;
    let draws = if grant.remaining > Micros::ZERO {
        vec![Draw { grant: grant.n, amount: grant.remaining }]
    } else {
        Vec::new()
    };
    Ok(vec![EntryBody::GrantVoided { grant: id, draws, reason }])
}

fn claw_back(view: &View, id: GrantId, dispute: Box<str>, amount: Micros) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let grant = account.grants.find(id).ok_or(Refusal::GrantNotFound)?;
    if amount <= Micros::ZERO || amount > grant.amount {
        return Err(Refusal::InvalidField {
            field: "amount",
            why: "must be more than zero and at most what the grant brought",
        });
    }
    let taken = amount.min(account.balance.available);
    let draws = account.grants.plan_from(Some(grant.n), taken);
    Ok(vec![EntryBody::ClawedBack { grant: id, dispute, amount, draws }])
}

fn restore(view: &View, dispute: Box<str>) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let claw_back = account.claw_backs.find(&dispute).ok_or(Refusal::DisputeNotFound)?;
    room_for(account, claw_back.taken.iter().map(|draw| draw.amount).sum())?;
    Ok(vec![EntryBody::ClawBackRestored { dispute, returns: claw_back.taken.clone() }])
}

fn set_limits(view: &View, limits: Vec<(Subject, Period, Micros)>) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    if limits.len() > bounds::LIMITS_MAX {
        return Err(Refusal::InvalidField { field: "limits", why: "must be at most 200" });
    }
    if limits.iter().any(|(_, _, amount)| *amount < Micros::ZERO || *amount > Micros::MAX) {
        return Err(Refusal::InvalidField { field: "amount", why: "must be 0 to 2^53 − 1" });
    }
    let mut named: Vec<_> = limits.iter().map(|(subject, period, _)| (subject, period)).collect();
    named.sort_unstable();
    if named.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::InvalidField { field: "limits", why: "must name each subject once a period" });
    }
    let mut spent = view.used_by_limit.iter();
    let limits = limits.into_iter().map(|(subject, period, amount)| {
        // What a limit has counted itself is exact; the rollups count by whole hours.
        let counted = account.limits.counted(&subject, period, &view.windows);
        let (since, used) = counted.unwrap_or_else(|| {
            let used = *spent.next().expect("what every new limit has used was counted");
            (view.windows.of(period).start, used)
        });
        Limit { subject, period, amount, since, used }
    });
    Ok(vec![EntryBody::LimitsSet(limits.collect())])
}

fn set_alerts(
    view: &View,
    thresholds: Vec<Micros>,
    cooldown_seconds: i64,
) -> Result<Vec<EntryBody>, Refusal> {
    view.account()?;
    if thresholds.len() > bounds::THRESHOLDS_MAX {
        return Err(Refusal::InvalidField { field: "thresholds", why: "must be at most 10" });
    }
    if thresholds.iter().any(|line| *line <= Micros::ZERO || *line > Micros::MAX) {
        return Err(Refusal::InvalidField { field: "amount", why: "must be 1 to 2^53 − 1" });
    }
    if !(0..=366 * 24 * 3_600).contains(&cooldown_seconds) {
        return Err(Refusal::InvalidField { field: "cooldown_hours", why: "must be 0 to a year" });
    }
    let mut thresholds = thresholds;
    thresholds.sort_unstable();
    thresholds.dedup();
    Ok(vec![EntryBody::AlertsSet { thresholds, cooldown_seconds }])
}

fn set_prices(
    view: &View,
    operations: Vec<OperationPrice>,
    effective_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if operations.is_empty() || operations.len() > bounds::OPERATIONS_MAX {
        return refuse("operations", "must be 1 to 1,000");
    }
    let effective_at = effective_at.unwrap_or(now);
    if effective_at < now {
        return refuse("effective_at", "must not be in the past: what was charged stays as it was");
    }
    let mut list = Vec::with_capacity(operations.len());
    for OperationPrice { id, unit_price, timeout_seconds } in operations {
        if !(1..=bounds::UNIT_PRICE_MAX_MICROS).contains(&unit_price.get()) {
            return refuse("unit_price", "must be 1 to 9,000,000,000 micro-units");
        }
        let range = bounds::TIMEOUT_MIN_SECONDS..=bounds::TIMEOUT_MAX_SECONDS;
        if timeout_seconds.is_some_and(|seconds| !range.contains(&seconds)) {
            return refuse("timeout_seconds", "must be 1 to 604800, a week");
        }
        list.push(Operation { id, unit_price, timeout_seconds });
    }
    list.sort_by(|a, b| a.id.cmp(&b.id));
    if list.windows(2).any(|pair| pair[0].id == pair[1].id) {
        return refuse("operations", "must name each operation once");
    }
    let version = u32::try_from(view.price_book.versions().len() + 1);
    let version = version.expect("four thousand million price versions do not fit in memory");
    Ok(vec![EntryBody::PricesSet(PriceVersion { version, effective_at, operations: list })])
}
