//! The rules of charges: opening, outcomes, heartbeats, refunds and time-outs.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    ApiKeyId, Charge, ChargeCommand, ChargeDetails, ChargeId, ChargeRequest, Draw, Micros, Outcome,
    PriceVersion, Quantity, Refusal, Spender, Status, Timestamp, bounds,
};

use super::facts::{Fact, Pool};
use super::metered;
use crate::model::step::{index_of, nth};

/// The longest time to a deadline: one week.
const WAIT_MAX_SECONDS: u32 = 604_800;
/// The time to a deadline if neither the request nor the operation sets one: 15 minutes.
const WAIT_SECONDS: u32 = 900;

impl Pool {
    pub(super) fn charge(
        &mut self,
        request: &ChargeRequest,
        api_key: Option<ApiKeyId>,
        prices: &[PriceVersion],
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        if self.profile().suspended {
            return Err(Refusal::WorkspaceSuspended);
        }
        let balance = self.balance();
        if balance.debt > Micros::ZERO {
            return Err(Refusal::DebtOutstanding { debt: balance.debt });
        }
        let version = in_force(prices, now);
        let version = version.ok_or(Refusal::OperationNotFound)?;
        let operation = version.operations.iter().find(|operation| operation.id == request.operation);
        let operation = operation.ok_or(Refusal::OperationNotFound)?;
        let amount = metered::price(&operation.price, &request.quantity)?;
        let awaits = request.await_outcome || operation.timeout_seconds.is_some();
        let wait = request.timeout_seconds.or(operation.timeout_seconds).unwrap_or(WAIT_SECONDS);
        if awaits && !(1..=WAIT_MAX_SECONDS).contains(&wait) {
            return Err(invalid("timeout_seconds"));
        }
        let details = ChargeDetails {
            id: ChargeId(nth(self.charge_count())),
            spender: Spender {
                operation: request.operation.clone(),
                worker: request.worker.clone(),
                member: request.member.clone(),
                api_key,
            },
            quantity: request.quantity.clone(),
            price: operation.price.clone(),
            amount,
            price_version: version.version,
            reference: request.reference.clone(),
            metadata: request.metadata.clone(),
            await_outcome: request.await_outcome,
            outcome_by_platform: request.outcome_by_platform,
            timeout_seconds: request.timeout_seconds,
            deadline: awaits.then(|| now.plus_seconds(i64::from(wait))),
            draws: Vec::new().into(),
            windows: (!self.limits().is_empty()).then(|| Box::new(self.windows(now))),
        };
        self.check_limits(&details, now)?;
        if balance.available < amount {
            return Err(Refusal::InsufficientCredits {
                required: amount,
                available: balance.available,
                affordable: metered::affordable(&operation.price, &request.quantity, balance.available),
                buys_credit: self.has_room_to_buy() && self.clone().buy_if_low(None, now),
            });
        }
        let draws = draw(&self.draw_order(), amount);
        let has_room = self.has_room_to_buy();
        self.add(now, Fact::Charged(Box::new(ChargeDetails { draws: draws.into(), ..details })));
        let index = self.charge_count() - 1;
        if has_room {
            self.buy_if_low(Some(index), now);
        }
        Ok(self.output(index))
    }

    /// Carries out a command about a charge that exists.
    pub(super) fn change_charge(
        &mut self,
        charge: ChargeId,
        command: &ChargeCommand,
        refund_window_days: u32,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        match command {
            ChargeCommand::Succeed { quantity } => self.succeed(charge, quantity.as_ref(), now),
            ChargeCommand::Fail { by_system, detail: _ } => {
                self.fail(charge, *by_system, refund_window_days, now)
            }
            ChargeCommand::Heartbeat { extend_seconds } => self.heartbeat(charge, *extend_seconds, now),
            ChargeCommand::Refund { amount, reason: _ } => self.refund(charge, *amount, now),
            ChargeCommand::TimeOut => self.time_out(charge, now),
        }
    }

    fn succeed(
        &mut self,
        charge: ChargeId,
        quantity: Option<&Quantity>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (index, charge) = self.find(charge)?;
        let paid = &charge.details.quantity;
        let cost = match quantity {
            Some(used) => metered::price_of_used(&charge.details, used)?,
            None => charge.details.amount,
        };
        let state = charge.state;
        if state.outcome == Some(Outcome::Succeeded)
            && quantity.is_none_or(|used| metered::total(used) == state.quantity)
        {
            return Ok(self.output(index));
        }
        let used = quantity.unwrap_or(paid);
        let late_success = state.status == Status::Settled && state.outcome.is_none() && used == paid;
        if state.status != Status::Pending && !late_success {
            return Err(already_ended(&charge));
        }
        let unused = charge.details.amount - cost;
        if unused > Micros::ZERO {
            self.return_to_grants(index, unused, None, now);
        }
        let used = used.clone();
        self.add(now, Fact::Settled { charge: index, outcome: Outcome::Succeeded, quantity: used });
        Ok(self.output(index))
    }

    fn fail(
        &mut self,
        charge: ChargeId,
        by_system: bool,
        refund_window_days: u32,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (index, charge) = self.find(charge)?;
        let state = charge.state;
        let outcome = if by_system { Outcome::FailedSystem } else { Outcome::FailedUser };
        if state.outcome == Some(outcome) {
            return Ok(self.output(index));
        }
        if state.status == Status::Refunded {
            return Err(already_ended(&charge));
        }
        if by_system {
            let closed_at = charge.decided_at.plus_seconds(i64::from(refund_window_days) * 86_400);
            if state.status == Status::Settled && now > closed_at {
                return Err(Refusal::RefundWindowClosed { closed_at });
            }
            self.check_room(&charge, charge.details.amount - state.refunded)?;
            self.return_to_grants(index, charge.details.amount - state.refunded, Some(outcome), now);
        } else {
            if state.outcome.is_some() {
                return Err(already_ended(&charge));
            }
            self.add(
                now,
                Fact::Settled { charge: index, outcome, quantity: charge.details.quantity.clone() },
            );
        }
        Ok(self.output(index))
    }

    fn heartbeat(&mut self, charge: ChargeId, seconds: u32, now: Timestamp) -> Result<Output, Refusal> {
        let (index, charge) = self.find(charge)?;
        if charge.state.status != Status::Pending {
            return Err(already_ended(&charge));
        }
        if !(1..=WAIT_MAX_SECONDS).contains(&seconds) {
            return Err(invalid("extend_seconds"));
        }
        let deadline = now.plus_seconds(i64::from(seconds));
        let before = charge.state.deadline.map_or(0, Timestamp::millis);
        let moved = deadline.millis() - before;
        // A quarter of what is left, in whole milliseconds.
        if moved > 0 && moved >= (before - now.millis()).max(0) / 4 {
            self.add(now, Fact::Extended { charge: index, deadline });
        }
        Ok(self.output(index))
    }

    fn refund(
        &mut self,
        charge: ChargeId,
        amount: Option<Micros>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (index, charge) = self.find(charge)?;
        if charge.state.status == Status::Refunded {
            return Err(already_ended(&charge));
        }
        let left = charge.details.amount - charge.state.refunded;
        let amount = amount.unwrap_or(left);
        if amount <= Micros::ZERO {
            return Err(invalid("amount"));
        }
        if amount > left {
            return Err(Refusal::RefundExceedsCharge { refundable: left });
        }
        let whole = amount == left;
        if !whole && charge.state.status == Status::Pending {
            return Err(invalid("amount"));
        }
        if !whole && charge.state.refunds + 1 >= bounds::REFUNDS_MAX {
            return Err(invalid("amount"));
        }
        self.check_room(&charge, amount)?;
        self.return_to_grants(index, amount, whole.then_some(Outcome::Reversed), now);
        Ok(self.output(index))
    }

    fn time_out(&mut self, charge: ChargeId, now: Timestamp) -> Result<Output, Refusal> {
        let (index, charge) = self.find(charge)?;
        if charge.state.deadline.is_some_and(|deadline| deadline <= now) {
            let left = charge.details.amount - charge.state.refunded;
            self.return_to_grants(index, left, Some(Outcome::TimedOut), now);
        }
        Ok(self.output(index))
    }

    /// Returns credit to the grants of a charge, in the reverse order of its draws.
    fn return_to_grants(&mut self, index: usize, amount: Micros, outcome: Option<Outcome>, now: Timestamp) {
        let mut missing = amount;
        let mut returns = Vec::new();
        for drawn in self.charges()[index].details.draws.iter().rev() {
            let outstanding = drawn.amount - self.returned(index, drawn.grant);
            let part = outstanding.min(missing);
            if part > Micros::ZERO {
                returns.push(Draw { grant: drawn.grant, amount: part });
                missing -= part;
            }
        }
        assert!(missing == Micros::ZERO, "a refund returns no more than was drawn");
        self.add(now, Fact::Refunded { charge: index, amount, returns: returns.clone(), outcome });
        self.use_returns(&returns, now);
    }

    /// Checks that a refund of a settled charge fits the largest balance.
    fn check_room(&self, charge: &Charge, amount: Micros) -> Result<(), Refusal> {
        if charge.state.status == Status::Pending { Ok(()) } else { self.check_balance_bound(amount) }
    }

    fn find(&self, charge: ChargeId) -> Result<(usize, Charge), Refusal> {
        let index = index_of(charge.0);
        self.charges().get(index).map(|charge| (index, charge.clone())).ok_or(Refusal::ChargeNotFound)
    }

    fn output(&self, index: usize) -> Output {
        Output::Charge(self.charges()[index].clone(), self.balance())
    }
}

/// The version that came into force last, the later number of two that did at once.
pub(super) fn in_force(prices: &[PriceVersion], now: Timestamp) -> Option<&PriceVersion> {
    let come = prices.iter().filter(|version| version.effective_at <= now);
    come.max_by_key(|version| (version.effective_at, version.version)).or(prices.first())
}

/// Draws `amount` from grants in the given order. The caller has checked that there is enough.
pub(super) fn draw(order: &[(u64, Micros)], amount: Micros) -> Vec<Draw> {
    let mut draws = Vec::new();
    let mut missing = amount;
    for &(grant, remaining) in order {
        let taken = remaining.min(missing);
        if taken > Micros::ZERO {
            draws.push(Draw { grant, amount: taken });
            missing -= taken;
        }
    }
    assert!(missing == Micros::ZERO, "a draw takes no more than there is");
    draws
}

/// The refusal of an invalid field, without an explanation.
pub(super) fn invalid(field: &'static str) -> Refusal {
    Refusal::InvalidField { field, why: "" }
}

fn already_ended(charge: &Charge) -> Refusal {
    match charge.state.status {
        Status::Refunded => Refusal::ChargeAlreadyRefunded(charge.state),
        Status::Pending | Status::Settled => Refusal::ChargeAlreadySettled(charge.state),
    }
}
