//! The one place where credit is decided: [`decide`] reads a [`View`] and answers a command with
//! the [`Change`] to write, with a replay, or with a [`Refusal`].
//!
//! First the command must fit the journal: the platform's or a workspace's. Then the caller must
//! still be allowed to ask (`authority`). Then a replay is looked for, before the command's own
//! refusals (i07). Then one match sends the command to the file of its family, where the refusals
//! come in the order of [`Refusal`]'s variants. Nothing is loaded here and nothing is changed: the
//! engine has loaded the view, and [`Account::record`](crate::Account::record) applies the change.

mod alerts;
pub(crate) mod at_provider;
mod authority;
mod auto_top_up;
mod cards;
pub(crate) mod charge;
mod collected;
pub(crate) mod command;
mod grant;
pub(crate) mod implied;
mod lost;
mod operators;
mod payment_refunds;
mod payments;
mod plans;
mod platform;
mod prices;
pub(crate) mod quote;
mod recipients;
pub(crate) mod refusal;
mod replay;
mod returns;
pub(crate) mod subscriptions;
mod team;
pub(crate) mod view;
mod webhook_endpoints;
mod workspace;

use self::charge::{ExistingCharge, Transition};
use self::view::{Change, Clocks, Decision, View};
use crate::account::invariants;
use crate::journal::disagreement::assert_no_violation;
use crate::{
    Actor, Command, Draw, EntryBody, IdempotencyKey, LedgerAccount, Legs, Micros, Refusal, Submission,
    Timestamp, WorkspaceId, bounds,
};

/// Decides a command. `server_now` is the clock of the server that received it.
///
/// # Errors
/// The first [`Refusal`] that applies, in the order of its variants. A refusal changes nothing and
/// is not stored: the same request may succeed later under the same key.
///
/// # Panics
/// If the view was not loaded for the command, or an invariant does not hold. Both are bugs; no
/// credit has moved.
///
/// # Examples
/// ```
/// use tollkeeper_ledger::{
///     Account, Actor, Command, Decision, GrantRequest, Id, Micros, Period, PeriodWindow, PeriodWindows,
///     Platform, Refusal, Source, Submission, TextsOfMember, Timestamp, View, WorkspaceId, decide,
/// };
///
/// let workspace = WorkspaceId::new("acme").expect("an allowed name");
/// let account = Account::new(workspace.clone());
/// let now = Timestamp::from_millis(1_767_225_600_000);
/// let never = PeriodWindow { start: Timestamp::ZERO, end: Timestamp::ZERO };
/// let view = View {
///     account: Some(&account),
///     platform: &Platform::default(),
///     entry_under_key: None,
///     charge: None,
///     used_by_limit: &[],
///     texts_of_member: TextsOfMember::Unknown,
///     paid_cents: 0,
///     windows: PeriodWindows { day: never, month: never },
///     fresh_id: Id::v7(now.millis(), 0, 1),
/// };
/// let command = Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(100_000)));
/// let submission = Submission { workspace, key: None, actor: Actor::Platform, command };
/// // The account has no entry yet, so there is no such workspace.
/// assert_eq!(decide(&view, submission, now).err(), Some(Refusal::WorkspaceNotFound));
/// ```
pub fn decide(view: &View, submission: Submission, server_now: Timestamp) -> Result<Decision, Refusal> {
    let Submission { workspace, key, actor, command } = submission;
    let key = command.derived_key().or(key);
    view.assert_loaded_for(&workspace, &command, key.as_ref());
    let clocks = Clocks::new(view.account, server_now);
    let is_platform = workspace.is_platform();
    let decided = decide_loaded(view, workspace, key, &actor, command, clocks);
    match &decided {
        Ok(Decision::Change(change)) => {
            let is_for_platform = change.first.kind().is_for_platform();
            assert!(
                is_for_platform == is_platform,
                "an entry of the platform must be in the platform's journal"
            );
            assert_change(view, change);
        }
        Ok(Decision::Replay) => {
            assert!(view.entry_under_key.is_some(), "i07: a replay must have a stored entry")
        }
        Ok(Decision::Unchanged) => {}
        Err(refusal) => refusal.assert_explained(clocks.present),
    }
    decided
}

fn decide_loaded(
    view: &View,
    workspace: WorkspaceId,
    key: Option<IdempotencyKey>,
    actor: &Actor,
    command: Command,
    clocks: Clocks,
) -> Result<Decision, Refusal> {
    if command.is_for_platform() != workspace.is_platform() {
        return Err(Refusal::WorkspaceNotFound);
    }
    authority::check(view, actor, &command, clocks)?;
    if let Some(entry) = view.entry_under_key {
        return match replay::first_difference(entry, &command) {
            None => Ok(Decision::Replay),
            Some(field) => Err(Refusal::IdempotencyKeyReused { field }),
        };
    }
    let now = clocks.present;
    let bodies = match command {
        // The most frequent command needs no list.
        Command::Charge(request) => {
            let opened = charge::open(view, request, actor.api_key(), now)?;
            let bought = auto_top_up::after_charge(view, &opened, now);
            return Ok(with_alerts(view, opened, bought, key, now));
        }
        Command::ExistingCharge { command, .. } => decide_existing_charge(view, command, clocks)?,
        Command::Grant(request) => grant::ask(view, request)?,
        Command::VoidGrant { grant, reason } => grant::void(view, grant, reason)?,
        Command::SetLost { grant, lost_cents, evidence } => {
            returns::with_consequences(view.account, lost::set_lost(view, grant, lost_cents, evidence)?)
        }
        Command::CreateWorkspace(changes) => workspace::create(view, workspace, changes, now)?,
        Command::UpdateWorkspace(changes) => workspace::update(view, changes, now)?,
        Command::SetLimits(limits) => workspace::set_limits(view, limits, now)?,
        Command::SetAlerts { thresholds, cooldown_seconds } => {
            alerts::set(view, thresholds, cooldown_seconds)?
        }
        Command::CheckAlerts { lines } => alerts::check(view, &lines, now)?,
        Command::NoteRefused(refused) => alerts::note_refused(view, refused, now)?,
        Command::NoteLimit { subject, period, resets_at } => {
            alerts::note_limit(view, subject, period, (resets_at, now))?
        }
        Command::Team(command) => {
            let change = team::decide(view, command, clocks)?;
            change.into_iter().map(|change| EntryBody::Team(Box::new(change))).collect()
        }
        Command::Payment(command) => {
            payments::check_key(&command, key.as_ref())?;
            payments::decide(view, command, now)?
        }
        Command::SetPrices { operations, effective_at } => {
            prices::set_prices(view, operations, effective_at, now)?
        }
        Command::SetPlans { plans } => plans::set_plans(view, plans)?,
        Command::SetPlatformKey { hash } => vec![EntryBody::PlatformKeySet { hash }],
        Command::SetSettings(settings) => platform::set_settings(view, settings)?,
        Command::MarkRestored => platform::mark_restored(view),
        Command::ReportUnmatched(payment) => platform::report_unmatched(payment)?,
        Command::SetWebhookEndpoint(endpoint) => webhook_endpoints::set(view, endpoint)?,
        Command::RemoveWebhookEndpoint(id) => webhook_endpoints::remove(view, id),
        Command::Operator(command) => operators::decide(view, command, clocks)?,
    };
    let mut bodies = bodies.into_iter();
    let Some(first) = bodies.next() else { return Ok(Decision::Unchanged) };
    Ok(with_alerts(view, first, bodies.collect(), key, now))
}

/// The entries that a command about an existing charge leads to; none if the charge is in that
/// state already.
fn decide_existing_charge(
    view: &View,
    command: crate::ChargeCommand,
    clocks: Clocks,
) -> Result<Vec<EntryBody>, Refusal> {
    match ExistingCharge::new(view, clocks)?.decide(command)? {
        Transition::Unchanged => Ok(Vec::new()),
        Transition::Entries(bodies) => Ok(returns::with_consequences(view.account, bodies)),
    }
}

/// The change, and the alerts and recoveries that follow from it. A workspace without thresholds
/// pays for one test.
fn with_alerts(
    view: &View,
    first: EntryBody,
    mut rest: Vec<EntryBody>,
    key: Option<IdempotencyKey>,
    now: Timestamp,
) -> Decision {
    if let Some(account) = view.account
        && !account.alerts.thresholds.is_empty()
    {
        let follows = alerts::after_change(account, &first, &rest, now);
        let follows: Vec<EntryBody> = follows.collect();
        rest.extend(follows);
    }
    Decision::Change(Change { first, rest, key })
}

/// What the legs of an entry add to the available balance; below zero if they take.
fn moved_available(legs: Option<Legs>) -> Micros {
    match legs {
        Some(legs) if legs.from == LedgerAccount::Available => Micros::ZERO - legs.amount,
        Some(legs) if legs.to == LedgerAccount::Available => legs.amount,
        _ => Micros::ZERO,
    }
}

/// Asserts what holds for the change of every command.
fn assert_change(view: &View, change: &Change) {
    let legs = change.first.legs();
    if let Some(legs) = legs {
        assert!(legs.amount >= Micros::ZERO, "i01: an entry must not move a negative amount");
        assert!(legs.amount <= Micros::MAX, "i01: an entry must not move more than a balance can hold");
    }
    if let Some(account) = view.account {
        let available = account.balance.available + moved_available(legs);
        assert!(available >= Micros::ZERO, "i04: a decision must not take more than is available");
    }
    assert_no_violation(invariants::payment_once(&change.first, change.key.as_ref()));
    assert!(!change.first.only_follows(), "a change must not begin with an entry that only follows");
    if !change.rest.is_empty() {
        assert_consequences(change);
    }
}

/// Asserts what holds for the entries that follow the first one of a change.
fn assert_consequences(change: &Change) {
    assert_repaid_from_what_came(change);
    let came_back = std::iter::once(&change.first).chain(&change.rest).flat_map(EntryBody::draws).count();
    // A claw-back of which all is owed draws nothing; a payment has one for each of its grants.
    let increases = change.rest.iter().filter(|body| matches!(body, EntryBody::ClawBackIncreased { .. }));
    let parts = increases.count();
    assert!(
        change.rest.len() <= bounds::THRESHOLDS_MAX + 2 + 2 * came_back + parts,
        "a change must not have more entries than one command can cause"
    );
    let opens = |body: &EntryBody| matches!(body, EntryBody::ChargeOpened(_) | EntryBody::Granted { .. });
    assert!(!change.rest.iter().any(opens), "i07: an entry that opens a charge or a grant must have the key");
}

/// Asserts that debt is repaid from credit that came in or back in the same change, and from no
/// other.
fn assert_repaid_from_what_came(change: &Change) {
    let mut came: Vec<Draw> = Vec::new();
    for body in std::iter::once(&change.first).chain(&change.rest) {
        match body {
            EntryBody::Granted { grant, .. } => came.push(Draw { grant: grant.n, amount: grant.amount }),
            EntryBody::ChargeRefunded(refund) => came.extend(&refund.returns),
            EntryBody::ClawBackReduced { returns, .. } => came.extend(returns),
            EntryBody::DebtRepaid { draw } | EntryBody::ClawBackExchanged { draw, .. } => {
                let of_grant = came.iter().filter(|came| came.grant == draw.grant).map(|came| came.amount);
                assert!(draw.amount > Micros::ZERO, "i04: a repayment must move credit");
                assert!(draw.amount <= of_grant.sum(), "debt must be repaid from credit that came");
            }
            _ => {}
        }
    }
}
