//! The rules of grants, voided grants and claw-backs.

use tollkeeper_engine::{GrantRecord, Output};
use tollkeeper_ledger::{Draw, Grant, GrantId, GrantRequest, Micros, Refusal, Source, Timestamp};

use super::charges::{draw, invalid};
use super::facts::{Fact, Pool};
use crate::model::step::{index_of, nth};

/// The largest balance, 2^53 − 1.
const BALANCE_MAX: Micros = Micros::new(9_007_199_254_740_991);

impl Pool {
    pub(super) fn grant(&mut self, request: &GrantRequest, now: Timestamp) -> Result<Output, Refusal> {
        if request.amount <= Micros::ZERO {
            return Err(invalid("amount"));
        }
        let bought = matches!(request.source, Source::Subscription | Source::TopUp);
        if bought && request.origin.is_none() {
            return Err(invalid("source"));
        }
        self.check_balance_bound(request.amount)?;
        let grant = Grant {
            id: GrantId(nth(self.grants().len())),
            n: self.next_n(),
            source: request.source,
            amount: request.amount,
            remaining: request.amount,
        };
        let record = GrantRecord {
            grant,
            reason: request.reason.clone(),
            origin: request.origin.clone(),
            paid_cents: request.paid_cents,
            created_at: self.at(now),
        };
        let n = record.grant.n;
        self.add(now, Fact::Granted(record.clone()));
        let answer = Output::Grant(Box::new(record), self.balance());
        let repaid = self.balance().debt.min(request.amount);
        if repaid > Micros::ZERO {
            self.add(now, Fact::Repaid(Draw { grant: n, amount: repaid }));
        }
        Ok(answer)
    }

    /// Checks that all granted credit together stays within the largest balance, so that every
    /// refund fits.
    fn check_balance_bound(&self, amount: Micros) -> Result<(), Refusal> {
        let mut granted = Micros::ZERO;
        for (n, line) in (1..).zip(&self.lines) {
            let moved: Micros = line.fact.flows(n).iter().map(|flow| flow.amount).sum();
            match line.fact {
                Fact::Charged(_) | Fact::Refunded { .. } => {}
                _ => granted += moved,
            }
        }
        let fits = amount <= BALANCE_MAX && granted + amount <= BALANCE_MAX;
        if fits { Ok(()) } else { Err(invalid("amount")) }
    }

    pub(super) fn void(&mut self, grant: GrantId, now: Timestamp) -> Result<Output, Refusal> {
        let index = index_of(grant.0);
        let record = self.grants().get(index).cloned().ok_or(Refusal::GrantNotFound)?;
        let left = record.grant.remaining;
        let draws = Some(Draw { grant: record.grant.n, amount: left }).filter(|_| left > Micros::ZERO);
        self.add(now, Fact::Voided(draws.into_iter().collect()));
        Ok(Output::Grant(Box::new(self.grants()[index].clone()), self.balance()))
    }

    pub(super) fn claw_back(
        &mut self,
        grant: GrantId,
        dispute: &str,
        amount: Micros,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let record = self.grants().get(index_of(grant.0)).cloned().ok_or(Refusal::GrantNotFound)?;
        if amount <= Micros::ZERO || amount > record.grant.amount {
            return Err(invalid("amount"));
        }
        let mut order = self.draw_order();
        order.sort_by_key(|(n, _)| *n != record.grant.n);
        let draws = draw(&order, amount.min(self.balance().available));
        self.add(now, Fact::ClawedBack { dispute: dispute.into(), amount, draws });
        Ok(Output::Done)
    }

    pub(super) fn restore(&mut self, dispute: &str, now: Timestamp) -> Result<Output, Refusal> {
        let disputes = self.disputes();
        let open = disputes.iter().find(|((_, name), _)| &**name == dispute);
        let (_, taken) = open.map(|(_, state)| state.clone()).ok_or(Refusal::DisputeNotFound)?;
        self.check_balance_bound(taken.iter().map(|take| take.amount).sum())?;
        self.add(now, Fact::Restored { dispute: dispute.into(), returns: taken });
        Ok(Output::Done)
    }
}
