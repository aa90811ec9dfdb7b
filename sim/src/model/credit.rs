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
        self.grant_with(request, None, now)
    }

    /// Grants credit; `paid` is the fact that a payment brought it.
    pub(super) fn grant_with(
        &mut self,
        request: &GrantRequest,
        paid: Option<Fact>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if request.amount <= Micros::ZERO {
            return Err(invalid("amount"));
        }
        let bought = matches!(request.source, Source::Subscription | Source::TopUp);
        if bought && request.origin.is_none() {
            return Err(invalid("source"));
        }
        self.check_balance_bound(request.amount)?;
        let open = self.grants().iter().filter(|record| record.grant.remaining > Micros::ZERO).count();
        if !bought && open >= 1_000 {
            return Err(invalid("source"));
        }
        let grant = Grant {
            id: GrantId(nth(self.grants().len())),
            n: self.next_n(),
            source: request.source,
            amount: request.amount,
            remaining: request.amount,
            voided_at: None,
        };
        let record = GrantRecord {
            grant,
            reason: request.reason.clone(),
            origin: request.origin.clone(),
            paid_cents: request.paid_cents,
            created_at: self.at(now),
        };
        let n = record.grant.n;
        self.add(now, Fact::Granted(record));
        if let Some(paid) = paid {
            self.add(now, paid);
        }
        let repaid = self.balance().debt.min(request.amount);
        if repaid > Micros::ZERO {
            self.add(now, Fact::Repaid(Draw { grant: n, amount: repaid }));
        }
        let record = self.grants().into_iter().find(|record| record.grant.n == n);
        Ok(Output::Grant(Box::new(record.expect("the grant was just made")), self.balance()))
    }

    /// What becomes at once of credit that went back to these grants: what a voided grant got is
    /// taken, the rest repays debt, and what is left of a grant whose payment was lost replaces
    /// what was taken from others for it.
    pub(super) fn use_returns(&mut self, returns: &[Draw], now: Timestamp) {
        let voided = |draw: &&Draw| self.voided_at(draw.grant).is_some();
        let (voided, live): (Vec<&Draw>, Vec<&Draw>) = returns.iter().partition(voided);
        let voided: Vec<Draw> = voided.into_iter().copied().collect();
        if !voided.is_empty() {
            self.add(now, Fact::ReturnTaken(voided));
        }
        for draw in live {
            let repaid = self.balance().debt.min(draw.amount);
            if repaid > Micros::ZERO {
                self.add(now, Fact::Repaid(Draw { grant: draw.grant, amount: repaid }));
            }
            let Some(lost) = self.lost().remove(&draw.grant) else { continue };
            let returns = self.replaced(&lost.taken, draw.grant, draw.amount - repaid);
            let amount: Micros = returns.iter().map(|draw| draw.amount).sum();
            if amount > Micros::ZERO {
                let take = Draw { grant: draw.grant, amount };
                self.add(now, Fact::Exchanged { take, returns });
            }
        }
    }

    /// At most `left` of what was taken from other grants than `grant`, the latest first. Voided
    /// and disputed grants are left out.
    fn replaced(&self, taken: &[Draw], grant: u64, mut left: Micros) -> Vec<Draw> {
        let lost = self.lost();
        let disputed = |grant: u64| lost.contains_key(&grant);
        let mut returns = Vec::new();
        for old in taken.iter().rev() {
            let free = old.grant != grant && self.voided_at(old.grant).is_none() && !disputed(old.grant);
            let amount = old.amount.min(left);
            if free && amount > Micros::ZERO {
                returns.push(Draw { grant: old.grant, amount });
                left -= amount;
            }
        }
        returns
    }

    /// Checks that what is available and pending stays within the largest balance.
    pub(super) fn check_balance_bound(&self, amount: Micros) -> Result<(), Refusal> {
        let held = self.balance().available + self.balance().pending;
        let fits = amount <= BALANCE_MAX && held + amount <= BALANCE_MAX;
        if fits { Ok(()) } else { Err(invalid("amount")) }
    }

    pub(super) fn void(&mut self, grant: GrantId, now: Timestamp) -> Result<Output, Refusal> {
        let index = index_of(grant.0);
        let record = self.grants().get(index).cloned().ok_or(Refusal::GrantNotFound)?;
        let is_bought = matches!(record.grant.source, Source::Subscription | Source::TopUp);
        if is_bought && (record.paid_cents > 0 || self.is_of_plan_payment(record.grant.n)) {
            return Err(Refusal::GrantWasPaid);
        }
        if record.grant.voided_at.is_none() {
            self.add(now, Fact::Voided(Draw { grant: record.grant.n, amount: record.grant.remaining }));
        }
        Ok(Output::Grant(Box::new(self.grants()[index].clone()), self.balance()))
    }

    /// Takes or gives back what is lost of a payment more or less than before.
    pub(super) fn set_lost(
        &mut self,
        grant: GrantId,
        lost_cents: i64,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let record = self.grants().get(index_of(grant.0)).cloned().ok_or(Refusal::GrantNotFound)?;
        if record.paid_cents <= 0 {
            return Err(invalid("grant"));
        }
        let is_of_top_up = self.top_ups().iter().any(|top_up| top_up.grant == Some(grant));
        if is_of_top_up || self.is_of_plan_payment(record.grant.n) {
            return Err(invalid("grant"));
        }
        if lost_cents < 0 || lost_cents > record.paid_cents {
            return Err(invalid("lost_cents"));
        }
        self.go_towards(&record, (lost_cents, share(&record, lost_cents)), now)
    }

    /// Takes or gives back the credit of what is lost of what was paid for a grant: the cents and
    /// their credit.
    pub(super) fn go_towards(
        &mut self,
        record: &GrantRecord,
        (lost_cents, target): (i64, Micros),
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let grant = record.grant.n;
        let (owed, given) =
            self.lost().get(&grant).map_or_else(Default::default, |lost| (lost.owed, lost.taken.clone()));
        let before = owed + given.iter().map(|take| take.amount).sum();
        if target > before {
            let mut order = self.draw_order();
            order.sort_by_key(|(n, _)| *n != grant);
            let taken = (target - before).min(self.balance().available);
            let owed = target - before - taken;
            self.add(now, Fact::MoreLost { grant, lost_cents, owed, draws: draw(&order, taken) });
            return Ok(Output::Done);
        }
        if target == before {
            return Ok(Output::Done);
        }
        let forgiven = owed.min(before - target);
        let mut left = before - target - forgiven;
        let mut returns = Vec::new();
        for old in given.iter().rev() {
            let amount = old.amount.min(left);
            left -= amount;
            if amount > Micros::ZERO {
                returns.push(Draw { grant: old.grant, amount });
            }
        }
        self.check_balance_bound(before - target - forgiven)?;
        self.add(now, Fact::LessLost { grant, lost_cents, forgiven, returns: returns.clone() });
        self.use_returns(&returns, now);
        Ok(Output::Done)
    }
}

/// The credit of a part of what was paid for a grant, rounded down.
pub(super) fn share(record: &GrantRecord, cents: i64) -> Micros {
    let share = i128::from(record.grant.amount.get()) * i128::from(cents) / i128::from(record.paid_cents);
    Micros::new(i64::try_from(share).expect("a part of an amount"))
}
