//! The report of a time, from the facts alone.

use std::collections::BTreeMap;

use tollkeeper_engine::report::{ACCOUNTS, Aged, Movement, Position, Provider, Unmatched};
use tollkeeper_engine::{GrantRecord, Month, Report, ReportTime};
use tollkeeper_ledger::{Draw, LedgerAccount, Micros, Source, Status, Timestamp};

use super::Model;
use super::facts::{Fact, Pool};
use super::subscriptions::Happened;

impl Model {
    /// The numbers of all workspaces at the beginning and at the end of a time.
    #[must_use]
    pub fn report(&self, time: ReportTime) -> Report {
        Report { opening: self.position(time.from), closing: self.position(time.to) }
    }

    fn position(&self, before: Timestamp) -> Position {
        let mut position = Position::default();
        for pool in self.pools.values() {
            let count = pool.lines.iter().take_while(|line| line.at < before).count();
            if count > 0 {
                pool.after(count).add_to(&mut position);
            }
        }
        for (_, payment) in self.unmatched.iter().filter(|(at, _)| *at < before) {
            let of_currency = position.unmatched.entry(payment.currency.clone()).or_default();
            *of_currency = Unmatched {
                payments: of_currency.payments + 1,
                cents: of_currency.cents + i128::from(payment.cents),
            };
        }
        position
    }
}

fn number(amount: Micros) -> i128 {
    amount.get().into()
}

fn sum(draws: &[Draw]) -> Micros {
    draws.iter().map(|draw| draw.amount).sum()
}

impl Pool {
    fn add_to(&self, position: &mut Position) {
        position.workspaces += 1;
        for (from, to, amount) in self.legs() {
            let of = |account| ACCOUNTS.iter().position(|other| *other == account).expect("it is one");
            let Movement { outward, .. } = &mut position.movements[of(from)];
            *outward += number(amount);
            position.movements[of(to)].inward += number(amount);
        }
        for line in &self.lines {
            match &line.fact {
                Fact::MoreLost { owed, .. } => position.debt.arisen += number(*owed),
                Fact::LessLost { forgiven, .. } => position.debt.forgiven += number(*forgiven),
                Fact::Repaid(take) => position.debt.repaid += number(take.amount),
                _ => {}
            }
        }
        let charged = self.lines.iter().rev().find(|line| matches!(line.fact, Fact::Charged(_)));
        let last_used = charged.map(|line| Month::containing(line.at));
        for record in self.grants() {
            self.add_grant(&record, last_used, position);
        }
        let provider = |name: &str| {
            if name.starts_with("manual:") { Provider::Manual } else { Provider::Stripe }
        };
        for (name, to_come, lost) in self.money_to_come() {
            let line = position.lines.entry((Source::Subscription, provider(&name))).or_default();
            line.sold_cents += i128::from(to_come);
            line.not_granted_cents += i128::from(to_come - lost);
            line.lost_cents += i128::from(lost);
        }
        for (name, is_of_plan, cents) in self.refunded_to_payers() {
            let source = if is_of_plan { Source::Subscription } else { Source::TopUp };
            position.lines.entry((source, provider(&name))).or_default().refunded_cents += i128::from(cents);
        }
    }

    fn add_grant(&self, record: &GrantRecord, last_used: Option<Month>, position: &mut Position) {
        let GrantRecord { grant, paid_cents, created_at, .. } = record;
        let (pending, taken) = (self.pending_of(grant.n), self.taken_of(grant.n));
        let consumed = grant.amount - grant.remaining - pending - taken;
        let lost_cents = i128::from(self.lost_cents(grant.n));
        let paid = i128::from(*paid_cents);
        let recognised = paid * number(consumed) / number(grant.amount);
        let paid_by = self.lines.iter().find_map(|line| match &line.fact {
            Fact::TopUpPaid { grant: of, payment, tax_cents, .. } if *of == grant.n => {
                Some((payment.starts_with("manual:"), *tax_cents))
            }
            _ => None,
        });
        let is_of_plan = record.origin.as_ref().is_some_and(|name| name.starts_with("subscription:"));
        let (provider, tax_cents) = match paid_by {
            Some((true, tax_cents)) => (Provider::Manual, tax_cents),
            Some((false, tax_cents)) => (Provider::Stripe, tax_cents),
            None => {
                let tax_cents = self.plan_tax(grant.n);
                let is_paid = is_of_plan && (*paid_cents > 0 || tax_cents > 0);
                (if is_paid { self.plan_provider(grant.n) } else { Provider::Platform }, tax_cents)
            }
        };
        let line = position.lines.entry((grant.source, provider)).or_default();
        line.grants += 1;
        line.granted += number(grant.amount);
        line.pending += number(pending);
        line.consumed += number(consumed);
        line.consumed_free += if paid == 0 { number(consumed) } else { 0 };
        line.taken += number(taken);
        line.sold_cents += paid;
        line.tax_cents += i128::from(tax_cents);
        line.lost_cents += lost_cents;
        line.recognised_cents += recognised;
        if paid > 0 && grant.remaining > Micros::ZERO {
            let bought = Month::containing(*created_at);
            let aged: &mut Aged = position.ageing.entry((bought, last_used)).or_default();
            aged.grants += 1;
            aged.remaining += number(grant.remaining);
            aged.deferred_cents += paid - lost_cents - recognised;
        }
    }

    /// Who took the payments of the subscription that brought a grant.
    fn plan_provider(&self, grant: u64) -> Provider {
        let before = self.lines.iter().take(usize::try_from(grant).expect("few facts"));
        let started = before.rev().find_map(|line| match &line.fact {
            Fact::Subscription(Happened::Started(_, provider)) => Some(provider.is_some()),
            _ => None,
        });
        if started == Some(true) { Provider::Stripe } else { Provider::Manual }
    }

    /// The tax of the payment for the subscription that brought a grant. Its fact is the next one.
    fn plan_tax(&self, grant: u64) -> i64 {
        match self.lines.get(usize::try_from(grant).expect("few facts")).map(|line| &line.fact) {
            Some(Fact::Subscription(Happened::PeriodPaid(period))) => period.tax_cents,
            Some(Fact::Subscription(Happened::Changed { tax_cents, .. })) => *tax_cents,
            _ => 0,
        }
    }

    /// What pending charges hold of a grant.
    fn pending_of(&self, grant: u64) -> Micros {
        let charges = self.charges().into_iter().enumerate();
        let pending = charges.filter(|(_, charge)| charge.state.status == Status::Pending);
        let held = pending.map(|(index, charge)| {
            let drawn = charge.details.draws.iter().filter(|draw| draw.grant == grant);
            drawn.map(|draw| draw.amount).sum::<Micros>() - self.returned(index, grant)
        });
        held.sum()
    }

    /// What was taken back from a grant, by other facts than charges.
    fn taken_of(&self, grant: u64) -> Micros {
        let lines = self.numbered().filter(|(_, line)| {
            !matches!(line.fact, Fact::Granted(_) | Fact::Charged(_) | Fact::Refunded { .. })
        });
        let flows = lines.flat_map(|(n, line)| line.fact.flows(n));
        Micros::ZERO - flows.filter(|flow| flow.grant == grant).map(|flow| flow.amount).sum()
    }

    /// What is lost of the payment for a grant.
    fn lost_cents(&self, grant: u64) -> i64 {
        if self.is_of_plan_payment(grant) {
            return self.lost_of_plan_grant(grant).0;
        }
        let lost = self.lines.iter().rev().find_map(|line| match &line.fact {
            Fact::MoreLost { grant: of, lost_cents, .. } | Fact::LessLost { grant: of, lost_cents, .. }
                if *of == grant =>
            {
                Some(*lost_cents)
            }
            _ => None,
        });
        lost.unwrap_or(0)
    }

    /// What moved from which account to which.
    fn legs(&self) -> Vec<(LedgerAccount, LedgerAccount, Micros)> {
        use LedgerAccount::{Available, ClawedBack, Consumed, Funding, Pending};
        let mut legs = Vec::new();
        // What each pending charge holds, by its index.
        let mut held: BTreeMap<usize, Micros> = BTreeMap::new();
        let mut charges = 0;
        for line in &self.lines {
            match &line.fact {
                Fact::Granted(record) => legs.push((Funding, Available, record.grant.amount)),
                Fact::Voided(take) | Fact::Repaid(take) => legs.push((Available, ClawedBack, take.amount)),
                Fact::ReturnTaken(draws) | Fact::MoreLost { draws, .. } => {
                    legs.push((Available, ClawedBack, sum(draws)));
                }
                Fact::LessLost { returns, .. } => legs.push((ClawedBack, Available, sum(returns))),
                Fact::Charged(details) => {
                    let to = if details.deadline.is_some() { Pending } else { Consumed };
                    legs.push((Available, to, details.amount));
                    if to == Pending {
                        held.insert(charges, details.amount);
                    }
                    charges += 1;
                }
                Fact::Settled { charge, .. } => {
                    legs.push((Pending, Consumed, held.remove(charge).unwrap_or(Micros::ZERO)));
                }
                Fact::Refunded { charge, amount, outcome, .. } => {
                    let from = if held.contains_key(charge) { Pending } else { Consumed };
                    legs.push((from, Available, *amount));
                    if let Some(left) = held.get_mut(charge) {
                        *left -= *amount;
                    }
                    if outcome.is_some() {
                        held.remove(charge);
                    }
                }
                _ => {}
            }
        }
        legs
    }
}
