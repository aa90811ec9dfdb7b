//! Decides a new version of the plans (P4).
//!
//! A version is checked whole before it is written, so that a subscription can take over the terms
//! of a plan without further checks. Subscriptions that run are not changed by it.

use super::view::View;
use crate::{EntryBody, Plan, PlanVersion, Refusal, bounds};

/// Creates a new version of the plans; none if they are set like that already. A plan that is not
/// in it is retired; without any plan, none can be started. The samples count as set only once they
/// are.
///
/// # Errors
/// `InvalidField`.
pub(super) fn set_plans(view: &View, mut plans: Vec<Plan>) -> Result<Vec<EntryBody>, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    if plans.len() > bounds::PLANS_MAX {
        return refuse("plans", "must be at most 100");
    }
    if let Some((field, why)) = plans.iter().find_map(Plan::fault) {
        return refuse(field, why);
    }
    plans.sort_by(|a, b| a.id.cmp(&b.id));
    if plans.windows(2).any(|pair| pair[0].id == pair[1].id) {
        return refuse("plans", "must name each plan once");
    }
    let newest = view.platform.plans.newest();
    if !newest.is_sample() && newest.plans == plans {
        return Ok(Vec::new());
    }
    let version = newest.version.checked_add(1).expect("so many plan versions do not fit in memory");
    let version = PlanVersion { version, plans };
    assert!(version.check().is_ok(), "a plan version must be one that a replay accepts");
    assert!(!version.is_sample(), "plans that are set must not be samples");
    Ok(vec![EntryBody::PlansSet(version)])
}
