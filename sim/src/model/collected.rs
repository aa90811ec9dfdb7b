//! The rules of a subscription that a provider collects: what the provider says it knows, and the
//! periods and changes that it says were paid.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{CollectedCommand, Ends, Micros, Plan, Refusal, Terms, Timestamp};

use super::charges::invalid;
use super::facts::Pool;
use super::subscriptions::{Happened, Running, length, months_later, split};

const HOUR_SECONDS: i64 = 3_600;

/// A period that was paid.
#[derive(Clone, Debug)]
pub struct PaidPeriod {
    /// Its first month.
    pub month: u32,
    /// When it began.
    pub start: Timestamp,
    /// What was paid for.
    pub plan: Plan,
    /// What was paid.
    pub cents: i64,
    /// The tax that was paid besides.
    pub tax_cents: i64,
    /// The name of the payment.
    pub payment: Box<str>,
}

impl Running {
    pub(super) fn apply_paid_period(&mut self, period: &PaidPeriod, at: Timestamp) {
        let PaidPeriod { month, start, plan, cents, tax_cents: _, payment: _ } = period;
        self.granted_at = Some(at);
        if *month < self.paid {
            self.missing.retain(|missing| missing != month);
            return;
        }
        let length = length(plan);
        self.missing.extend((self.paid..*month).filter(|passed| passed % length == 0));
        self.first.get_or_insert(*start);
        self.paid = month + length;
        let is_whole = length == 1 || self.ended_at.is_some();
        self.granted = if is_whole { self.paid } else { month + 1 };
        self.to_come = if is_whole { Vec::new() } else { split(*cents, length).split_off(1) };
        self.next = self.next.take().filter(|next| !is_same(next, plan));
        (self.plan, self.upgrade, self.is_past_due) = (plan.clone(), None, false);
    }

    /// The period that begins at about this time; `None` if there is none, or it was paid.
    fn unpaid_period(&self, plan: &Plan, at: Timestamp) -> Option<(u32, Timestamp)> {
        let (month, start) = match self.first {
            None => (0, at),
            Some(first) => {
                let is_near =
                    |start: &Timestamp| (start.millis() - at.millis()).abs() <= 6 * HOUR_SECONDS * 1_000;
                let months = (0..).map(|month| (month, months_later(first, month)));
                let limit = at.plus_seconds(12 * HOUR_SECONDS);
                let mut months = months.take_while(|(_, start)| *start <= limit);
                months.find(|(_, start)| is_near(start))?
            }
        };
        let is_unpaid = month >= self.paid || self.missing.contains(&month);
        (is_unpaid && month % length(plan) == 0 && length(plan) == length(&self.plan))
            .then_some((month, start))
    }

    /// The plan with these terms; `None` if no plan may have them.
    fn plan_of(&self, terms: &Terms) -> Option<Plan> {
        let Terms { plan: id, price_cents, credits, interval } = terms.clone();
        let waits = self.upgrade.as_ref().map(|upgrade| &upgrade.plan);
        let own = [Some(&self.plan), self.next.as_ref(), waits].into_iter().flatten();
        let plan = Plan { name: id.as_str().into(), id, price_cents, credits, interval };
        let known = own.into_iter().find(|own| is_same(own, &plan)).cloned();
        known.or((price_cents >= 50 && credits > Micros::ZERO).then_some(plan))
    }
}

fn is_same(one: &Plan, other: &Plan) -> bool {
    Plan { name: other.name.clone(), ..one.clone() } == *other
}

fn is_at_provider(payment: &str) -> bool {
    payment.strip_prefix("stripe:").is_some_and(|id| !id.is_empty())
}

impl Pool {
    /// What the provider of the last subscription says.
    pub(super) fn hear_of_subscription(
        &mut self,
        last: &Running,
        command: &CollectedCommand,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let runs = last.ended_at.is_none();
        let happened = match command {
            CollectedCommand::Place { was, is } => {
                if is.page.as_deref() == Some("") || is.reference.as_deref() == Some("") {
                    return Err(invalid("reference"));
                }
                let changes = last.known.as_ref() == Some(was) && was != is;
                changes.then(|| Happened::Placed(is.as_ref().clone()))
            }
            CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents } => {
                let is_possible = is_at_provider(payment) && *cents >= 0 && *tax_cents >= 0;
                let period = last.plan_of(terms).filter(|_| is_possible).and_then(|plan| {
                    let (month, start) = last.unpaid_period(&plan, *start)?;
                    let (cents, tax_cents) = (*cents, *tax_cents);
                    Some(PaidPeriod { month, start, plan, cents, tax_cents, payment: payment.clone() })
                });
                let latest = now.plus_seconds(24 * HOUR_SECONDS);
                let period = period.filter(|period| period.start <= latest);
                let period = period.ok_or(Refusal::PaymentUnmatched)?;
                return self.pay_collected_period(last, period, now);
            }
            CollectedCommand::PayChange { number, payment, terms, cents, tax_cents } => {
                let waits = last.upgrade.as_ref().map(|upgrade| (upgrade.number, Terms::of(&upgrade.plan)));
                let is_paid = waits.is_some_and(|waits| waits == (*number, terms.clone()));
                if !is_at_provider(payment) || *tax_cents < 0 || !is_paid {
                    return Err(Refusal::PaymentUnmatched);
                }
                return self.pay_collected_change(last, payment, (*cents, *tax_cents), now);
            }
            CollectedCommand::DropChange(number) => {
                let waits = last.upgrade.as_ref().is_some_and(|upgrade| upgrade.number == *number);
                (runs && waits).then_some(Happened::Dropped)
            }
            CollectedCommand::Lapse => {
                let is_late = last.end().is_some_and(|end| end.plus_seconds(2 * HOUR_SECONDS) <= now);
                (runs && !last.is_past_due && !last.is_canceled && is_late).then_some(Happened::PastDue)
            }
            CollectedCommand::End => match last.end() {
                _ if !runs => None,
                Some(_) if last.granted < last.paid => (!last.is_canceled).then_some(Happened::CancelAsked),
                _ => Some(Happened::Ended),
            },
        };
        self.note(happened, now);
        Ok(Output::Done)
    }

    fn pay_collected_period(
        &mut self,
        last: &Running,
        period: PaidPeriod,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let PaidPeriod { month, start, plan, cents, tax_cents: _, payment: _ } = &period;
        if *cents > plan.price_cents {
            return Err(Refusal::PaymentUnmatched);
        }
        let is_late = *month < last.paid;
        if !is_late && last.granted < last.paid {
            let owes = last.ended_at.is_none() && last.owes(now);
            return Err(if owes { invalid("subscription") } else { Refusal::PaymentUnmatched });
        }
        let is_whole = is_late || last.ended_at.is_some();
        let months = if is_whole { length(plan) } else { 1 };
        let credits = Micros::new(plan.credits.get() * i64::from(months));
        let first_cents = if is_whole { *cents } else { split(*cents, length(plan))[0] };
        let (price, interval, brings) = (plan.price_cents, plan.interval.as_str(), plan.credits.get());
        let reason =
            format!("plan {} at {price} cents per {interval} for {brings} paid with {cents} cents", plan.id);
        let origin = last.origin(*start, "period");
        self.grant_because(
            credits,
            first_cents,
            (origin, Some(reason.into())),
            Happened::PeriodPaid(period),
            now,
        )
    }

    fn pay_collected_change(
        &mut self,
        last: &Running,
        payment: &str,
        (cents, tax_cents): (i64, i64),
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let upgrade = last.upgrade.as_ref().ok_or(Refusal::PaymentUnmatched)?;
        if cents < 0 {
            return Err(Refusal::PaymentUnmatched);
        }
        let reason = format!("change of a plan paid with {cents} cents").into();
        self.grant_change(last, upgrade, (payment, cents, tax_cents, Some(reason)), now)
    }

    /// True if the provider of the subscription is to learn or say something.
    pub(super) fn has_work_at_provider(&self, now: Timestamp) -> bool {
        let Some(last) = self.running() else { return false };
        let Some(known) = &last.known else { return false };
        let is_late = |at: Timestamp, hours: i64| at.plus_seconds(hours * HOUR_SECONDS) <= now;
        let has_ended = last.ended_at.is_some();
        let ends = match (has_ended, last.is_canceled) {
            (true, _) => Ends::Now,
            (false, true) => Ends::WithPeriod,
            (false, false) => Ends::No,
        };
        let change = last.upgrade.as_ref().map_or(0, |upgrade| upgrade.number);
        let differs =
            known.terms != Some(Terms::of(last.next_plan())) || known.change != change || known.ends != ends;
        let is_known = known.reference.is_none()
            || known.ends == Ends::Now
            || if has_ended { known.ends != Ends::No } else { !differs };
        let asks = match last.end() {
            _ if has_ended => {
                known.ends == Ends::WithPeriod && last.ended_at.is_some_and(|ended_at| is_late(ended_at, 2))
            }
            None => {
                let begun_at = known.renewed_at.unwrap_or(last.started_at);
                (known.page.is_some() || known.reference.is_some()) && is_late(begun_at, 24)
            }
            Some(end) => {
                let change = last.upgrade.as_ref();
                is_late(end, if last.is_past_due { 26 } else { 2 })
                    || change.is_some_and(|upgrade| is_late(upgrade.asked_at, 24))
            }
        };
        !is_known || asks
    }
}
