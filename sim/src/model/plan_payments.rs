//! The payments of subscriptions, as facts about what each has brought.
//!
//! What a payment brings in the months to come is a list here, from which each month takes the
//! first sum. All that is lost of a grant is the sum of what is lost of its payments.

use tollkeeper_ledger::{Micros, PaidPart, SubscriptionId, SubscriptionPayment, Timestamp};

use super::collected::PaidPeriod;
use super::facts::{Fact, Pool};
use super::step::nth;
use super::subscriptions::{Happened, Running, length, split};

/// A payment for a period or for a change.
#[derive(Clone, Debug)]
struct PlanPayment {
    name: Box<str>,
    cents: i64,
    subscription: SubscriptionId,
    start: Timestamp,
    /// The number of each grant, its cents and its credit.
    parts: Vec<(u64, i64, i64)>,
    /// The cents of each month to come.
    to_come: Vec<i64>,
    /// The credit of each of them.
    more: i64,
}

/// A part of a whole, rounded down.
fn part_of(amount: i64, part: i64, whole: i64) -> i64 {
    i64::try_from(i128::from(amount) * i128::from(part) / i128::from(whole)).expect("a part")
}

impl Pool {
    fn plan_payments(&self) -> Vec<PlanPayment> {
        let mut payments: Vec<PlanPayment> = Vec::new();
        let mut granted = None;
        self.walk_subscriptions(|fact, before, after| match fact {
            Fact::Granted(record) => {
                granted = Some((record.grant.n, record.paid_cents, record.grant.amount.get()));
            }
            Fact::Subscription(Happened::Month { month, paid: Some(name), .. }) => {
                let after: &Running = after.expect("it runs");
                payments.push(PlanPayment {
                    name: name.clone(),
                    cents: after.plan.price_cents,
                    subscription: SubscriptionId(nth(after.index)),
                    start: after.start_of(*month).expect("it runs"),
                    parts: vec![granted.expect("a grant comes before")],
                    to_come: split(after.plan.price_cents, length(&after.plan)).split_off(1),
                    more: after.plan.credits.get(),
                });
            }
            Fact::Subscription(Happened::PeriodPaid(period)) if period.cents > 0 => {
                let PaidPeriod { month: _, start, plan, cents, tax_cents: _, payment } = period;
                let part: (u64, i64, i64) = granted.expect("a grant comes before");
                let is_whole = part.2 != plan.credits.get() || length(plan) == 1;
                payments.push(PlanPayment {
                    name: payment.clone(),
                    cents: *cents,
                    subscription: SubscriptionId(nth(after.expect("it runs").index)),
                    start: *start,
                    parts: vec![part],
                    to_come: if is_whole { Vec::new() } else { split(*cents, length(plan)).split_off(1) },
                    more: plan.credits.get(),
                });
            }
            Fact::Subscription(Happened::Changed { paid_cents, cents, payment: name, tax_cents: _ })
                if *paid_cents > 0 =>
            {
                let (before, after): (&Running, &Running) =
                    (before.expect("it ran"), after.expect("it runs"));
                let months = after.paid - after.granted;
                let first = if before.is_past_due { before.paid } else { before.paid - length(&before.plan) };
                payments.push(PlanPayment {
                    name: name.clone(),
                    cents: *paid_cents,
                    subscription: SubscriptionId(nth(after.index)),
                    start: after.start_of(first).expect("it runs"),
                    parts: vec![granted.expect("a grant comes before")],
                    to_come: if months == 0 { Vec::new() } else { split(paid_cents - cents, months) },
                    more: (after.plan.credits - before.plan.credits).get(),
                });
            }
            Fact::Subscription(Happened::Month { paid: None, is_granted: true, .. }) => {
                let (n, _, _) = granted.expect("a grant comes before");
                for payment in payments.iter_mut().filter(|payment| !payment.to_come.is_empty()) {
                    let cents = payment.to_come.remove(0);
                    payment.parts.push((n, cents, payment.more));
                }
            }
            _ => {}
        });
        payments
    }

    /// The payments of subscriptions as the ledger keeps them, without the cents of further months:
    /// the grants show them.
    #[must_use]
    pub fn payments_of_subscriptions(&self) -> Vec<SubscriptionPayment> {
        let id = |n: u64| {
            let record = self.grants().into_iter().find(|record| record.grant.n == n);
            record.expect("the grant was made").grant.id
        };
        let kept = self.plan_payments().into_iter().map(|payment| SubscriptionPayment {
            parts: payment
                .parts
                .iter()
                .map(|(n, cents, credits)| PaidPart {
                    grant: id(*n),
                    cents: *cents,
                    credits: Micros::new(*credits),
                })
                .collect(),
            months_left: payment.to_come.len() as u32,
            payment: payment.name,
            cents: payment.cents,
            subscription: payment.subscription,
            start: payment.start,
            month_cents: 0,
            month_credits: Micros::new(payment.more),
        });
        kept.collect()
    }

    /// The number of the grants that a payment for a plan has brought; `None` if there is no such
    /// payment.
    pub(super) fn grants_of_plan_payment(&self, name: &str) -> Option<Vec<u64>> {
        let payment = self.plan_payments().into_iter().find(|payment| &*payment.name == name)?;
        Some(payment.parts.iter().map(|(n, _, _)| *n).collect())
    }

    /// True if a payment for a plan brought a grant.
    pub(super) fn is_of_plan_payment(&self, grant: u64) -> bool {
        self.plan_payments().iter().any(|payment| payment.parts.iter().any(|(n, _, _)| *n == grant))
    }

    /// What is lost of a grant of a plan: in cents and in credit.
    pub(super) fn lost_of_plan_grant(&self, grant: u64) -> (i64, Micros) {
        let (losses, mut lost_cents, mut credit) = (self.lost_elsewhere(), 0, 0);
        for payment in self.plan_payments() {
            let lost = losses.get(&payment.name).copied().unwrap_or(0).min(payment.cents);
            let mut sum = 0;
            for (n, cents, credits) in payment.parts {
                let before = part_of(lost, sum, payment.cents);
                sum += cents;
                if n == grant {
                    lost_cents += part_of(lost, sum, payment.cents) - before;
                    credit += part_of(credits, lost, payment.cents);
                }
            }
        }
        (lost_cents, Micros::new(credit))
    }

    /// What was paid for months to come, by payment, and what is lost of that.
    pub(super) fn money_to_come(&self) -> Vec<(Box<str>, i64, i64)> {
        let losses = self.lost_elsewhere();
        let open = self.plan_payments().into_iter().filter(|payment| !payment.to_come.is_empty());
        let money = open.map(|payment| {
            let lost = losses.get(&payment.name).copied().unwrap_or(0).min(payment.cents);
            let granted = payment.parts.iter().map(|(_, cents, _)| cents).sum();
            let left = lost - part_of(lost, granted, payment.cents);
            (payment.name, payment.to_come.iter().sum(), left)
        });
        money.collect()
    }
}
