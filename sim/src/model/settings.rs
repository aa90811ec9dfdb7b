//! The rules of profiles, thresholds with their alerts, plans, and price lists.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    Interval, Micros, Operation, OperationPrice, Plan, PlanId, Profile, Refusal, Timestamp, UnmatchedPayment,
    WorkspaceChanges,
};

use super::charges::invalid;
use super::facts::{Fact, Pool, is_ahead};

/// The largest amount in a request, 2^53 − 1.
pub(super) const AMOUNT_MAX: Micros = Micros::new(9_007_199_254_740_991);
const YEAR_SECONDS: i64 = 366 * 86_400;

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

    pub(super) fn set_alerts(
        &mut self,
        thresholds: &[Micros],
        cooldown_seconds: i64,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if thresholds.len() > 10 {
            return Err(invalid("thresholds"));
        }
        if thresholds.iter().any(|line| *line <= Micros::ZERO || *line > AMOUNT_MAX) {
            return Err(invalid("amount"));
        }
        if !(0..=YEAR_SECONDS).contains(&cooldown_seconds) {
            return Err(invalid("cooldown_hours"));
        }
        let mut thresholds = thresholds.to_vec();
        thresholds.sort();
        thresholds.dedup();
        if self.alerts().unwrap_or((Vec::new(), 86_400)) != (thresholds.clone(), cooldown_seconds) {
            self.add(now, Fact::Alerts { thresholds, cooldown_seconds });
        }
        Ok(Output::Done)
    }

    /// Fires an alert for each threshold that the command has crossed downwards; `before` is the
    /// balance before it.
    pub(super) fn fire_alerts(&mut self, before: Micros, now: Timestamp) {
        let after = self.balance().available;
        let Some((thresholds, cooldown_seconds)) = self.alerts() else {
            return;
        };
        for threshold in thresholds {
            let crossed = before >= threshold && after < threshold;
            let quiet = |last: Timestamp| now < last.plus_seconds(cooldown_seconds) && !is_ahead(last, now);
            if crossed && !self.last_alert(threshold).is_some_and(quiet) {
                self.add(now, Fact::Low(threshold));
            }
        }
    }

    /// The thresholds in force, and the seconds after an alert in which its threshold fires no
    /// other.
    pub(crate) fn alerts(&self) -> Option<(Vec<Micros>, i64)> {
        self.lines.iter().rev().find_map(|line| match &line.fact {
            Fact::Alerts { thresholds, cooldown_seconds } => Some((thresholds.clone(), *cooldown_seconds)),
            _ => None,
        })
    }

    /// The time of a threshold's last alert; `None` if the threshold was removed since.
    fn last_alert(&self, threshold: Micros) -> Option<Timestamp> {
        let mut last = None;
        for line in &self.lines {
            match &line.fact {
                Fact::Low(fired) if *fired == threshold => last = Some(line.decided_at),
                Fact::Alerts { thresholds, .. } if !thresholds.contains(&threshold) => last = None,
                _ => {}
            }
        }
        last
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
        if !(0..=9_000_000_000).contains(&operation.unit_price.get()) {
            return Err(invalid("unit_price"));
        }
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
        .map(|OperationPrice { id, unit_price, timeout_seconds }| Operation {
            id: id.clone(),
            unit_price: *unit_price,
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
