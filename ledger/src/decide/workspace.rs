//! Decides what an admin or the platform sets on a workspace: its profile and spending limits.
//!
//! A new limit needs what was spent before it was set, and a new time zone has other days and
//! months. The use of both is counted by the engine from the rollups and is handed in as
//! [`View::used_by_limit`].

use super::view::View;
use crate::{
    Account, Balance, EntryBody, Limit, Micros, Period, Profile, Refusal, Subject, Timestamp, Totals,
    WorkspaceChanges, WorkspaceId, bounds,
};

/// Creates a workspace with an empty account.
///
/// # Errors
/// `WorkspaceExists`.
pub(super) fn create(
    view: &View,
    id: WorkspaceId,
    changes: WorkspaceChanges,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    if let Some(account) = view.account {
        if account.exists() {
            return Err(Refusal::WorkspaceExists);
        }
        assert!(account.balance == Balance::default(), "i10: a new workspace must have no credit");
        assert!(account.totals == Totals::default(), "i10: a new workspace must have totals of zero");
        assert!(account.limits.is_empty(), "a new workspace must have no limits");
        assert!(account.team.is_empty(), "a new workspace must have no team");
    }
    assert!(!id.is_platform(), "a workspace must not have the id of the platform's journal");
    let blank = Profile { created_at: now, ..Profile::blank(id) };
    Ok(vec![EntryBody::WorkspaceCreated(Box::new(with_changes(blank, changes)))])
}

/// Changes the profile; no entry if nothing differs. A new time zone sets the limits again, because
/// they count other days and months from then on.
///
/// # Errors
/// `WorkspaceNotFound`.
pub(super) fn update(
    view: &View,
    changes: WorkspaceChanges,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    let profile = with_changes(account.profile.as_ref().clone(), changes);
    assert!(profile.id == account.profile.id, "a workspace must keep its id");
    assert!(profile.created_at == account.profile.created_at, "a workspace must keep its time of creation");
    if profile == *account.profile {
        return Ok(Vec::new());
    }
    let moves = profile.timezone != account.profile.timezone && !account.limits.is_empty();
    let mut bodies = vec![EntryBody::WorkspaceUpdated(Box::new(profile))];
    if moves {
        let windows = view.windows_around(now);
        assert_eq!(
            account.limits.0.len(),
            view.used_by_limit.len(),
            "a view must count the use of every limit"
        );
        assert_counted(account, view.used_by_limit);
        let lines = account.limits.0.iter().zip(view.used_by_limit);
        let limits = lines.map(|(limit, used)| Limit {
            since: windows.of(limit.period).start,
            used: *used,
            ..limit.clone()
        });
        bodies.push(EntryBody::LimitsSet(limits.collect()));
    }
    Ok(bodies)
}

/// The profile with the given changes; what is `None` stays.
fn with_changes(profile: Profile, changes: WorkspaceChanges) -> Profile {
    let WorkspaceChanges { name, timezone, metadata, suspended } = changes;
    Profile {
        name: name.unwrap_or(profile.name),
        timezone: timezone.unwrap_or(profile.timezone),
        metadata: metadata.unwrap_or(profile.metadata),
        suspended: suspended.unwrap_or(profile.suspended),
        ..profile
    }
}

/// Replaces the spending limits; no entry if they are set like that already. A limit that stays
/// keeps its count, which is exact; the rollups count by whole hours.
///
/// # Errors
/// `WorkspaceNotFound`, `InvalidField`.
pub(super) fn set_limits(
    view: &View,
    limits: Vec<(Subject, Period, Micros)>,
    now: Timestamp,
) -> Result<Vec<EntryBody>, Refusal> {
    let account = view.account()?;
    check_limits(&limits)?;
    let lines = |limit: &Limit| (limit.subject.clone(), limit.period, limit.amount);
    if account.limits.0.iter().map(lines).eq(limits.iter().cloned()) {
        return Ok(Vec::new());
    }
    if limits.is_empty() {
        return Ok(vec![EntryBody::LimitsSet(Vec::new())]);
    }
    let kept = limits.iter().filter(|(subject, period, _)| account.limits.find(subject, *period).is_some());
    let new = limits.len() - kept.count();
    assert!(view.used_by_limit.len() == new, "a view must count the use of every new limit");
    assert_counted(account, view.used_by_limit);
    let windows = view.windows_around(now);
    let mut used_by_limit = view.used_by_limit.iter();
    let limits = limits.into_iter().map(|(subject, period, amount)| {
        let (since, used) = match account.limits.find(&subject, period) {
            Some(limit) => (limit.since_in(&windows), limit.used_in(&windows)),
            None => {
                let used = *used_by_limit.next().expect("the use of every new limit was counted");
                (windows.of(period).start, used)
            }
        };
        Limit { subject, period, amount, since, used }
    });
    Ok(vec![EntryBody::LimitsSet(limits.collect())])
}

/// Checks the form of limits, before anything is counted for them.
///
/// # Errors
/// `InvalidField`.
pub(super) fn check_limits(limits: &[(Subject, Period, Micros)]) -> Result<(), Refusal> {
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
    Ok(())
}

/// Asserts that what the engine counted for limits is a part of all that was charged.
fn assert_counted(account: &Account, used_by_limit: &[Micros]) {
    let Totals { charged, .. } = account.totals;
    for used in used_by_limit {
        assert!(*used <= charged, "i08: a limit must not count more than was charged");
        assert!(*used >= Micros::ZERO, "i08: what was used of a limit must not be negative");
    }
}
