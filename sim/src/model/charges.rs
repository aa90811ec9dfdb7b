//! What may become of a charge, as the rules of its life say it.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    ApiKeyId, Charge, ChargeDetails, ChargeId, ChargeRequest, Draw, Micros, Outcome, PriceVersion, Refusal,
    Spender, Status, Timestamp,
};

use super::facts::{Fact, Pool};
use crate::model::step::{index_of, nth};

/// A week: no charge waits longer at once.
const WAIT_MAX_SECONDS: u32 = 604_800;
/// A quarter of an hour: how long a charge waits when nobody said.
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
        let version = prices.iter().rev().find(|version| version.effective_at <= now);
        let version = version.ok_or(Refusal::OperationNotFound)?;
        let operation = version.operations.iter().find(|operation| operation.id == request.operation);
        let operation = operation.ok_or(Refusal::OperationNotFound)?;
        if request.quantity < 1 || request.quantity > 1_000_000 {
            return Err(Refusal::QuantityOutOfRange);
        }
        let amount = Micros::new(operation.unit_price.get() * request.quantity);
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
            quantity: request.quantity,
            unit_price: operation.unit_price,
            amount,
            price_version: version.version,
            reference: request.reference.clone(),
            metadata: request.metadata.clone(),
            await_outcome: request.await_outcome,
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
                affordable_quantity: balance.available.get() / operation.unit_price.get(),
            });
        }
        let draws = draw(&self.draw_order(), amount);
        self.add(now, Fact::Charged(Box::new(ChargeDetails { draws: draws.into(), ..details })));
        Ok(self.tell(self.charge_count() - 1))
    }

    pub(super) fn succeed(
        &mut self,
        charge: ChargeId,
        quantity: Option<i64>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (place, charge) = self.find(charge)?;
        let bought = charge.details.quantity;
        if quantity.is_some_and(|used| used < 1 || used > bought) {
            return Err(Refusal::UsedQuantityOutOfRange);
        }
        let state = charge.state;
        if state.outcome == Some(Outcome::Succeeded) && quantity.is_none_or(|q| q == state.quantity) {
            return Ok(self.tell(place));
        }
        let used = quantity.unwrap_or(bought);
        let late_word = state.status == Status::Settled && state.outcome.is_none() && used == bought;
        if state.status != Status::Pending && !late_word {
            return Err(stands(&charge));
        }
        let unused = Micros::new(charge.details.unit_price.get() * (bought - used));
        if unused > Micros::ZERO {
            self.give_back(place, unused, None, now);
        }
        self.add(now, Fact::Settled { charge: place, outcome: Outcome::Succeeded, quantity: used });
        Ok(self.tell(place))
    }

    pub(super) fn fail(
        &mut self,
        charge: ChargeId,
        by_system: bool,
        refund_window_seconds: i64,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (place, charge) = self.find(charge)?;
        let state = charge.state;
        let outcome = if by_system { Outcome::FailedSystem } else { Outcome::FailedUser };
        if state.outcome == Some(outcome) {
            return Ok(self.tell(place));
        }
        if state.status == Status::Refunded {
            return Err(stands(&charge));
        }
        if by_system {
            let closed_at = charge.created_at.plus_seconds(refund_window_seconds);
            if state.status == Status::Settled && now > closed_at {
                return Err(Refusal::RefundWindowClosed { closed_at });
            }
            self.give_back(place, charge.details.amount - state.refunded, Some(outcome), now);
        } else {
            if state.outcome.is_some() {
                return Err(stands(&charge));
            }
            self.add(now, Fact::Settled { charge: place, outcome, quantity: state.quantity });
        }
        Ok(self.tell(place))
    }

    pub(super) fn heartbeat(
        &mut self,
        charge: ChargeId,
        seconds: u32,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (place, charge) = self.find(charge)?;
        if charge.state.status != Status::Pending {
            return Err(stands(&charge));
        }
        if !(1..=WAIT_MAX_SECONDS).contains(&seconds) {
            return Err(invalid("extend_seconds"));
        }
        let deadline = now.plus_seconds(i64::from(seconds));
        if Some(deadline) > charge.state.deadline {
            self.add(now, Fact::Extended { charge: place, deadline });
        }
        Ok(self.tell(place))
    }

    pub(super) fn refund(
        &mut self,
        charge: ChargeId,
        amount: Option<Micros>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let (place, charge) = self.find(charge)?;
        if charge.state.status == Status::Refunded {
            return Err(stands(&charge));
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
        self.give_back(place, amount, whole.then_some(Outcome::Reversed), now);
        Ok(self.tell(place))
    }

    pub(super) fn time_out(&mut self, charge: ChargeId, now: Timestamp) -> Result<Output, Refusal> {
        let (place, charge) = self.find(charge)?;
        if charge.state.deadline.is_some_and(|deadline| deadline <= now) {
            let left = charge.details.amount - charge.state.refunded;
            self.give_back(place, left, Some(Outcome::TimedOut), now);
        }
        Ok(self.tell(place))
    }

    /// What was drawn last returns first, to the grant it came from.
    fn give_back(&mut self, place: usize, amount: Micros, outcome: Option<Outcome>, now: Timestamp) {
        let mut missing = amount;
        let mut returns = Vec::new();
        for drawn in self.charges()[place].details.draws.iter().rev() {
            let out = drawn.amount - self.given_back(place, drawn.grant);
            let give = out.min(missing);
            if give > Micros::ZERO {
                returns.push(Draw { grant: drawn.grant, amount: give });
                missing -= give;
            }
        }
        assert!(missing == Micros::ZERO, "the model gave back more than was drawn");
        self.add(now, Fact::Refunded { charge: place, amount, returns, outcome });
    }

    fn find(&self, charge: ChargeId) -> Result<(usize, Charge), Refusal> {
        let place = index_of(charge.0);
        self.charges().get(place).map(|charge| (place, charge.clone())).ok_or(Refusal::ChargeNotFound)
    }

    fn tell(&self, place: usize) -> Output {
        Output::Charge(self.charges()[place].clone(), self.balance())
    }
}

/// What taking `amount` takes from each grant, in the order given; the caller has seen that there is enough.
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
    assert!(missing == Micros::ZERO, "the model drew more than there is");
    draws
}

/// What can never be right; the model has no words for people.
pub(super) fn invalid(field: &'static str) -> Refusal {
    Refusal::InvalidField { field, why: "" }
}

fn stands(charge: &Charge) -> Refusal {
    match charge.state.status {
        Status::Refunded => Refusal::ChargeAlreadyRefunded(charge.state),
        Status::Pending | Status::Settled => Refusal::ChargeAlreadySettled(charge.state),
    }
}
