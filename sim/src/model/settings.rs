//! The rules of profiles, plans, and price lists.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    Interval, Micros, Operation, OperationPrice, Plan, PlanId, Profile, Refusal, Timestamp, UnmatchedPayment,
    WorkspaceChanges,
};

use super::charges::invalid;
use super::facts::{Fact, Pool};
use super::metered;

/// The largest amount in a request, 2^53 − 1.
pub(super) const AMOUNT_MAX: Micros = Micros::new(9_007_199_254_740_991);

impl Pool {
    pub(super) fn update(&mut self, changes: &WorkspaceChanges, now: Timestamp) -> Output {
        let old = self.profile();
        let new = Profile {
            name: changes.name.clone().unwrap_or_else(|| old.name.clone()),
            timezone: changes.timezone.clone().unwrap_or_else(|| old.timezone.clone()),
            metadata: changes.metadata.clone().unwrap_or_else(|| old.metadata.clone()),
            suspended: changes.suspended.unwrap_or(old.suspended),
            ..old.clone()
        };
        if new != old {
            self.add(now, Fact::Updated(new.clone()));
        }
        let state = self.limits().to_vec();
        if new.timezone != old.timezone && !state.is_empty() {
            self.add(now, Fact::Limits(state));
        }
        Output::Workspace(Box::new(new))
    }
}

/// The rules of a list of plans.
pub(super) fn check_plans(plans: &[Plan]) -> Result<(), Refusal> {
    if plans.len() > 100 {
        return Err(invalid("plans"));
    }
    for plan in plans {
        let length = plan.name.chars().count();
        if plan.name.trim().is_empty() || length > 100 {
            return Err(invalid("name"));
        }
        if plan.price_cents != 0 && !(50..=99_999_999).contains(&plan.price_cents) {
            return Err(invalid("price_usd"));
        }
        if !(1..=9_000_000_000_000).contains(&plan.credits.get()) {
            return Err(invalid("credits"));
        }
    }
    let named_twice = |(index, plan): (usize, &Plan)| plans[..index].iter().any(|other| other.id == plan.id);
    if plans.iter().enumerate().any(named_twice) {
        return Err(invalid("plans"));
    }
    Ok(())
}

pub(super) fn check_prices(
    operations: &[OperationPrice],
    effective_at: Timestamp,
    now: Timestamp,
) -> Result<(), Refusal> {
    if operations.is_empty() || operations.len() > 1_000 {
        return Err(invalid("operations"));
    }
    if effective_at.plus_seconds(60) < now {
        return Err(invalid("effective_at"));
    }
    for operation in operations {
        metered::check(operation)?;
        if operation.timeout_seconds.is_some_and(|seconds| !(1..=604_800).contains(&seconds)) {
            return Err(invalid("timeout_seconds"));
        }
    }
    let named_twice = |(index, operation): (usize, &OperationPrice)| {
        operations[..index].iter().any(|earlier| earlier.id == operation.id)
    };
    if operations.iter().enumerate().any(named_twice) {
        return Err(invalid("operations"));
    }
    Ok(())
}

pub(super) fn sorted(operations: &[OperationPrice]) -> Vec<Operation> {
    let mut list: Vec<Operation> = operations
        .iter()
        .map(|OperationPrice { id, price, timeout_seconds }| Operation {
            id: id.clone(),
            price: metered::sorted(price),
            timeout_seconds: *timeout_seconds,
        })
        .collect();
    list.sort_by(|a, b| a.id.cmp(&b.id));
    list
}

/// Checks the form of a payment that fits nothing.
pub(super) fn check_unmatched(payment: &UnmatchedPayment) -> Result<(), Refusal> {
    let UnmatchedPayment { payment, cents, currency, workspace: _, why } = payment;
    let fits = |text: &str| (1..=255).contains(&text.chars().count());
    let is_currency = currency.len() == 3 && currency.chars().all(|letter| letter.is_ascii_lowercase());
    match () {
        () if !fits(payment) => Err(invalid("payment")),
        () if *cents < 0 => Err(invalid("cents")),
        () if !is_currency => Err(invalid("currency")),
        () if !fits(why) => Err(invalid("why")),
        () => Ok(()),
    }
}

/// The plans that can be started until some are set.
pub(super) fn sample_plans() -> Vec<Plan> {
    let sample = |(id, name, cents): (&str, &str, i64)| Plan {
        id: PlanId::new(id).expect("a name"),
        name: name.into(),
        price_cents: cents,
        credits: Micros::new(cents * 1_000),
        interval: Interval::Month,
    };
    [("growth", "Growth", 9_900), ("scale", "Scale", 29_900), ("starter", "Starter", 1_900)]
        .map(sample)
        .into()
}
