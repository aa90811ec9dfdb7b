//! Decides alerts (P13, i09): the thresholds, what follows when the balance moves, the hourly
//! check, and the notices of refusals.
//!
//! What the balance crosses is written in the change that moves it ([`after_change`]), so no alert
//! is lost and none is written twice. [`check`] finds what no change brings about: a cooldown that
//! ended, and days of runway that need more credit than before. The state of each threshold is in
//! `account::alert`, that of the notices in `account::notice`.

use super::moved_available;
use super::view::View;
use crate::account::alert::BalanceMove;
use crate::{
    Account, Alert, AlertLine, EntryBody, Micros, Period, ReachedLimit, Refusal, RefusedCharge, Subject,
    Timestamp, bounds,
};

/// Replaces the thresholds, sorted and each once; no entry if nothing differs.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn set(
    view: &View,
    mut thresholds: Vec<AlertLine>,
    cooldown_seconds: i64,
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if thresholds.len() > bounds::THRESHOLDS_MAX {
        return refuse("thresholds", "must be at most 10");
    }
    for line in &thresholds {
        match line {
            AlertLine::Amount(amount) if *amount <= Micros::ZERO || *amount > Micros::MAX => {
                return refuse("amount", "must be 1 to 2^53 − 1");
            }
            AlertLine::RunwayDays(days) if !(1..=bounds::RUNWAY_DAYS_MAX).contains(days) => {
                return refuse("runway_days", "must be 1 to 365");
            }
            AlertLine::Amount(_) | AlertLine::RunwayDays(_) => {}
        }
    }
    if !(0..=bounds::ALERT_COOLDOWN_MAX_SECONDS).contains(&cooldown_seconds) {
        return refuse("cooldown_hours", "must be 0 to a year");
    }
    thresholds.sort_unstable();
    thresholds.dedup();
    assert!(thresholds.is_sorted_by(|low, high| low < high), "i09: a threshold must be set once");
    let is_set =
        account.alerts.thresholds.iter().map(|threshold| threshold.line).eq(thresholds.iter().copied());
    if is_set && account.alerts.cooldown_seconds == cooldown_seconds {
        return Ok(Vec::new());
    }
    Ok(vec![EntryBody::AlertsSet { thresholds, cooldown_seconds }])
}

/// The alerts and recoveries that follow from a change which begins with `first`. A change of the
/// thresholds fires none: they count from the next change. Nor does a check, which has decided them
/// already.
pub(super) fn after_change(
    account: &Account,
    first: &EntryBody,
    rest: &[EntryBody],
    now: Timestamp,
) -> impl Iterator<Item = EntryBody> {
    let is_decided =
        matches!(first, EntryBody::AlertsSet { .. } | EntryBody::Alert(Alert::Low(_) | Alert::Recovered(_)));
    let bodies = || std::iter::once(first).chain(rest);
    let moved: Micros = bodies().map(|body| moved_available(body.legs())).sum();
    let before = account.balance.available;
    let after = before + moved;
    assert!(after >= Micros::ZERO, "i04: a decision must not take more than is available");
    let is_granted = bodies().any(|body| matches!(body, EntryBody::Granted { .. }));
    let moved = BalanceMove { before, after, is_granted };
    let follows = (!is_decided).then(|| account.alerts.after_move(moved, now));
    follows.into_iter().flatten().map(EntryBody::Alert)
}

/// The alerts and recoveries that are due while nothing moves. `lines` has the credit that days of
/// runway need now; days that are not among them are not checked.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn check(view: &View, lines: &[(u16, Micros)], now: Timestamp) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    if lines.iter().any(|(_, amount)| !(Micros::ZERO..=Micros::MAX).contains(amount)) {
        return Err(Refusal::InvalidField { field: "lines", why: "must be 0 to 2^53 − 1" });
    }
    let available = account.balance.available;
    Ok(account.alerts.after_forecast(available, lines, now).map(EntryBody::Alert).collect())
}

/// The notice of a charge that was refused for lack of credit; none within the cooldown.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn note_refused(
    view: &View,
    refused: RefusedCharge,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    if !refused.is_sound() {
        return Err(Refusal::InvalidField { field: "required", why: "must be more than was available" });
    }
    let alerts = &account.alerts;
    let noted = alerts.notices.as_deref();
    let may_note = noted.is_none_or(|noted| noted.may_note_refused(alerts.cooldown_seconds, now));
    Ok(if may_note { vec![EntryBody::Alert(Alert::Refused(Box::new(refused)))] } else { Vec::new() })
}

/// The notice that a limit refused a charge in the period that ends at `resets_at`; none if it was
/// noted, the period is over, or the limit was removed.
///
/// # Errors
/// `WorkspaceNotFound`.
pub(super) fn note_limit(
    view: &View,
    subject: Subject,
    period: Period,
    (resets_at, now): (Timestamp, Timestamp),
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let Some(limit) = account.limits.find(&subject, period) else { return Ok(Vec::new()) };
    let is_current = view.windows_around(now).of(period).end == resets_at;
    let noted = account.alerts.notices.as_deref();
    let is_noted = noted.is_some_and(|noted| noted.has_reached(&subject, period, resets_at));
    if !is_current || is_noted {
        return Ok(Vec::new());
    }
    let reached = ReachedLimit { subject, period, amount: limit.amount, resets_at };
    Ok(vec![EntryBody::Alert(Alert::LimitReached(Box::new(reached)))])
}
