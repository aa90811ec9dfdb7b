//! The life of a charge: it deducts at birth, leaves `pending` once (i06), and never gives back more than it took (i05).
//!
//! `open` decides a new charge; `succeed`, `fail`, `extend`, `refund` and `time_out` decide what becomes of one. They
//! look and answer; what the answer does to the pool is in `account`.

use super::grant::give_back;
use crate::decide::View;
use crate::journal::codec::coded;
use crate::{
    ApiKeyId, ChargeId, ChargeRequest, Draw, Draws, EntryBody, Micros, Operation, PeriodWindows, Refusal,
    Spender, Timestamp, bounds,
};

/// Where a charge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Deducted, its outcome awaited.
    Pending,
    /// Kept.
    Settled,
    /// Given back in full.
    Refunded,
}

coded!(Status, "a charge's status", { Pending = 0 "pending", Settled = 1 "settled", Refunded = 2 "refunded" });

/// What became of the operation, as far as anyone said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It ran.
    Succeeded,
    /// The system failed it: refunded (P9).
    FailedSystem,
    /// The user's fault: kept (P9).
    FailedUser,
    /// Nobody said in time: refunded.
    TimedOut,
    /// The platform gave it back in full.
    Reversed,
}

coded!(Outcome, "a charge's outcome", {
    Succeeded = 1 "succeeded",
    FailedSystem = 2 "failed_system",
    FailedUser = 3 "failed_user",
    TimedOut = 4 "timed_out",
    Reversed = 5 "reversed",
});

/// Why credit of a charge went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundReason {
    /// The system failed the operation.
    FailedSystem,
    /// No outcome by the deadline.
    TimedOut,
    /// Less was used than was paid.
    PartlyUsed,
    /// The platform's decision.
    Requested,
}

coded!(RefundReason, "a refund's reason", {
    FailedSystem = 1 "failed_system",
    TimedOut = 2 "timed_out",
    PartlyUsed = 3 "partly_used",
    Requested = 4 "requested",
});

/// A charge as it was born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeDetails {
    /// Its public name.
    pub id: ChargeId,
    /// The operation, worker, member and API key it is counted under.
    pub spender: Spender,
    /// Units paid for.
    pub quantity: i64,
    /// What one unit cost.
    pub unit_price: Micros,
    /// `unit_price` × `quantity`.
    pub amount: Micros,
    /// The price book's version.
    pub price_version: u32,
    /// The platform's own name for the run.
    pub reference: Option<Box<str>>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
    /// As asked, for comparison with a repeated request.
    pub await_outcome: bool,
    /// As asked, for comparison with a repeated request.
    pub timeout_seconds: Option<u32>,
    /// Until when an outcome is awaited; `None` if it was settled at birth.
    pub deadline: Option<Timestamp>,
    /// What it drew; sums to `amount` (i05).
    pub draws: Draws,
    /// The day and month it counts in, when the workspace has limits.
    pub windows: Option<Box<PeriodWindows>>,
}

/// What is true of a charge at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargeState {
    /// Pending, settled or refunded.
    pub status: Status,
    /// What was said of the operation.
    pub outcome: Option<Outcome>,
    /// What went back so far (i05: never more than the amount).
    pub refunded: Micros,
    /// Units really used.
    pub quantity: i64,
    /// Until when an outcome is awaited, while pending.
    pub deadline: Option<Timestamp>,
}

/// A charge was kept, or said to have succeeded or failed after it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which.
    pub charge: ChargeId,
    /// The number of the entry that opened it.
    pub opened: u64,
    /// What leaves `pending` for good; nothing if it was settled before.
    pub amount: Micros,
    /// What happened, for people.
    pub detail: Option<Box<str>>,
    /// What is true of the charge now.
    pub state: ChargeState,
}

/// Credit of a charge that went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Which.
    pub charge: ChargeId,
    /// The number of the entry that opened it.
    pub opened: u64,
    /// How much.
    pub amount: Micros,
    /// Why.
    pub reason: RefundReason,
    /// Why, for people.
    pub detail: Option<Box<str>>,
    /// As asked, for comparison with a repeated request.
    pub requested: Option<Micros>,
    /// Whether it was pending before.
    pub from_pending: bool,
    /// To which grants.
    pub returns: Vec<Draw>,
    /// What is true of the charge now.
    pub state: ChargeState,
    /// What the refund is counted under: the charge's own spender.
    pub spender: Spender,
    /// The day and month it counts in, when the workspace has limits.
    pub windows: Option<PeriodWindows>,
}

/// A charge: how it was born and what is true of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// How it was born.
    pub details: Box<ChargeDetails>,
    /// The number of the entry that opened it.
    pub opened: u64,
    /// When.
    pub created_at: Timestamp,
    /// What is true of it now.
    pub state: ChargeState,
}

impl ChargeDetails {
    /// What is true of the charge at birth.
    #[must_use]
    pub fn state(&self) -> ChargeState {
        ChargeState {
            status: if self.deadline.is_some() { Status::Pending } else { Status::Settled },
            outcome: None,
            refunded: Micros::ZERO,
            quantity: self.quantity,
            deadline: self.deadline,
        }
    }
}

/// Decides a new charge: every refusal in its order, then the deduction.
pub(crate) fn open(
    view: &View,
    request: ChargeRequest,
    api_key: Option<ApiKeyId>,
    now: Timestamp,
) -> Result<EntryBody, Refusal> {
    let account = view.account()?;
    if account.profile.suspended {
        return Err(Refusal::WorkspaceSuspended);
    }
    if account.balance.debt > Micros::ZERO {
        return Err(Refusal::DebtOutstanding { debt: account.balance.debt });
    }
    let prices = view.price_book.in_force(now).ok_or(Refusal::OperationNotFound)?;
    let operation = prices.find(&request.operation).ok_or(Refusal::OperationNotFound)?;
    let amount = price(operation, request.quantity)?;
    let deadline = deadline(operation, &request, now)?;
    let windows = (!account.limits.is_empty()).then_some(view.windows);
    let ChargeRequest { operation: id, worker, member, .. } = request;
    let spender = Spender { operation: id, worker, member, api_key };
    if let Some(windows) = &windows {
        account.limits.check(&spender, amount, windows)?;
    }
    let available = account.balance.available;
    if available < amount {
        return Err(Refusal::InsufficientCredits {
            required: amount,
            available,
            affordable_quantity: available.whole_units(operation.unit_price),
        });
    }
    Ok(EntryBody::ChargeOpened(Box::new(ChargeDetails {
        id: ChargeId(view.fresh_id),
        quantity: request.quantity,
        unit_price: operation.unit_price,
        amount,
        price_version: prices.version,
        spender,
        reference: request.reference,
        metadata: request.metadata,
        await_outcome: request.await_outcome,
        timeout_seconds: request.timeout_seconds,
        deadline,
        draws: account.grants.plan(amount),
        windows: windows.map(Box::new),
    })))
}

/// What so many units cost; a quantity outside its range is refused.
pub(crate) fn price(operation: &Operation, quantity: i64) -> Result<Micros, Refusal> {
    if !(1..=bounds::QUANTITY_MAX).contains(&quantity) {
        return Err(Refusal::QuantityOutOfRange);
    }
    operation.unit_price.checked_times(quantity).ok_or(Refusal::QuantityOutOfRange)
}

/// Until when an outcome is awaited: if the caller asks for one or the price book does; the caller's time goes first.
fn deadline(
    operation: &Operation,
    request: &ChargeRequest,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    if !request.await_outcome && operation.timeout_seconds.is_none() {
        return Ok(None);
    }
    let seconds =
        request.timeout_seconds.or(operation.timeout_seconds).unwrap_or(bounds::TIMEOUT_DEFAULT_SECONDS);
    if !(bounds::TIMEOUT_MIN_SECONDS..=bounds::TIMEOUT_MAX_SECONDS).contains(&seconds) {
        return Err(Refusal::InvalidField { field: "timeout_seconds", why: "must be 1 to 604800, a week" });
    }
    Ok(Some(now.plus_seconds(i64::from(seconds))))
}

/// What a decision about an existing charge answers.
pub(crate) enum Verdict {
    /// It was so already; nothing changes.
    Stands,
    /// These entries say what changes.
    Becomes(Vec<EntryBody>),
}

impl Charge {
    fn refusal(&self) -> Refusal {
        match self.state.status {
            Status::Refunded => Refusal::ChargeAlreadyRefunded(self.state),
            Status::Pending | Status::Settled => Refusal::ChargeAlreadySettled(self.state),
        }
    }

    fn is_pending(&self) -> bool {
        self.state.status == Status::Pending
    }

    /// The operation ran; with a smaller quantity the difference goes back.
    pub(crate) fn succeed(
        &self,
        quantity: Option<i64>,
        windows: Option<PeriodWindows>,
    ) -> Result<Verdict, Refusal> {
        if let Some(quantity) = quantity
            && !(1..=self.details.quantity).contains(&quantity)
        {
            return Err(Refusal::InvalidField {
                field: "quantity",
                why: "must be at least 1 and at most what was paid for",
            });
        }
        let said = self.state.outcome;
        if said == Some(Outcome::Succeeded) && quantity.is_none_or(|q| q == self.state.quantity) {
            return Ok(Verdict::Stands);
        }
        let settled_whole = said.is_none() && quantity.is_none_or(|q| q == self.details.quantity);
        let may_settle = self.is_pending() || (self.state.status == Status::Settled && settled_whole);
        if !may_settle {
            return Err(self.refusal());
        }
        let quantity = quantity.unwrap_or(self.details.quantity);
        let kept = self.details.unit_price.checked_times(quantity);
        let unused = self.details.amount - kept.expect("fewer units than were priced at birth");
        let mut bodies = Vec::with_capacity(2);
        let mut state = self.state;
        if unused > Micros::ZERO {
            state.refunded += unused;
            bodies.push(self.refunded(unused, RefundReason::PartlyUsed, state, windows));
        }
        state = ChargeState {
            status: Status::Settled,
            outcome: Some(Outcome::Succeeded),
            quantity,
            deadline: None,
            ..state
        };
        bodies.push(self.settled(state, None));
        Ok(Verdict::Becomes(bodies))
    }

    /// The operation failed: the system's fault refunds, also late; the user's does not.
    pub(crate) fn fail(
        &self,
        by_system: bool,
        detail: Option<Box<str>>,
        windows: Option<PeriodWindows>,
        (window_seconds, now): (i64, Timestamp),
    ) -> Result<Verdict, Refusal> {
        let outcome = if by_system { Outcome::FailedSystem } else { Outcome::FailedUser };
        if self.state.outcome == Some(outcome) {
            return Ok(Verdict::Stands);
        }
        match self.state.status {
            Status::Refunded => Err(self.refusal()),
            Status::Settled if !by_system && self.state.outcome.is_some() => Err(self.refusal()),
            Status::Pending | Status::Settled if !by_system => {
                let state = ChargeState {
                    status: Status::Settled,
                    outcome: Some(outcome),
                    deadline: None,
                    ..self.state
                };
                Ok(Verdict::Becomes(vec![self.settled(state, detail)]))
            }
            Status::Pending | Status::Settled => {
                let closed_at = self.created_at.plus_seconds(window_seconds);
                if !self.is_pending() && now > closed_at {
                    return Err(Refusal::RefundWindowClosed { closed_at });
                }
                let left = self.refundable();
                let mut body = self.refunded_whole(left, RefundReason::FailedSystem, outcome, windows);
                set_detail(&mut body, detail, None);
                Ok(Verdict::Becomes(vec![body]))
            }
        }
    }

    /// Moves the deadline to so many seconds from now, never nearer.
    pub(crate) fn extend(&self, seconds: u32, now: Timestamp) -> Result<Verdict, Refusal> {
        let Some(deadline) = self.state.deadline else {
            return Err(self.refusal());
        };
        if !(bounds::TIMEOUT_MIN_SECONDS..=bounds::TIMEOUT_MAX_SECONDS).contains(&seconds) {
            return Err(Refusal::InvalidField {
                field: "extend_seconds",
                why: "must be 1 to 604800, a week",
            });
        }
        let later = now.plus_seconds(i64::from(seconds));
        if later <= deadline {
            return Ok(Verdict::Stands);
        }
        Ok(Verdict::Becomes(vec![EntryBody::ChargeExtended {
            charge: self.details.id,
            opened: self.opened,
            state: ChargeState { deadline: Some(later), ..self.state },
        }]))
    }

    /// The platform gives back `amount`, or all that is left. A pending charge goes back whole or not at all.
    pub(crate) fn refund(
        &self,
        requested: Option<Micros>,
        reason: Box<str>,
        windows: Option<PeriodWindows>,
    ) -> Result<Verdict, Refusal> {
        if self.state.status == Status::Refunded {
            return Err(self.refusal());
        }
        let refundable = self.refundable();
        let amount = requested.unwrap_or(refundable);
        if amount <= Micros::ZERO {
            return Err(Refusal::InvalidField { field: "amount", why: "must be more than zero" });
        }
        if amount > refundable {
            return Err(Refusal::RefundExceedsCharge { refundable });
        }
        if self.is_pending() && amount < refundable {
            return Err(Refusal::InvalidField {
                field: "amount",
                why: "a pending charge goes back whole; report an outcome with the smaller quantity instead",
            });
        }
        let mut body = if amount == refundable {
            self.refunded_whole(amount, RefundReason::Requested, Outcome::Reversed, windows)
        } else {
            let state = ChargeState { refunded: self.state.refunded + amount, ..self.state };
            self.refunded(amount, RefundReason::Requested, state, windows)
        };
        set_detail(&mut body, Some(reason), requested);
        Ok(Verdict::Becomes(vec![body]))
    }

    /// The deadline has passed without an outcome.
    pub(crate) fn time_out(&self, windows: Option<PeriodWindows>, now: Timestamp) -> Verdict {
        match self.state.deadline {
            Some(deadline) if deadline <= now => {
                let (reason, outcome) = (RefundReason::TimedOut, Outcome::TimedOut);
                Verdict::Becomes(vec![self.refunded_whole(self.refundable(), reason, outcome, windows)])
            }
            // An outcome or a heartbeat was faster than the timer.
            Some(_) | None => Verdict::Stands,
        }
    }

    /// What could still go back.
    #[must_use]
    pub fn refundable(&self) -> Micros {
        self.details.amount - self.state.refunded
    }

    fn settled(&self, state: ChargeState, detail: Option<Box<str>>) -> EntryBody {
        let pending = self.is_pending();
        let amount = if pending { self.details.amount - state.refunded } else { Micros::ZERO };
        EntryBody::ChargeSettled(Settlement {
            charge: self.details.id,
            opened: self.opened,
            amount,
            detail,
            state,
        })
    }

    fn refunded_whole(
        &self,
        amount: Micros,
        reason: RefundReason,
        outcome: Outcome,
        windows: Option<PeriodWindows>,
    ) -> EntryBody {
        let state = ChargeState {
            status: Status::Refunded,
            outcome: Some(outcome),
            refunded: self.state.refunded + amount,
            deadline: None,
            ..self.state
        };
        self.refunded(amount, reason, state, windows)
    }

    fn refunded(
        &self,
        amount: Micros,
        reason: RefundReason,
        state: ChargeState,
        windows: Option<PeriodWindows>,
    ) -> EntryBody {
        EntryBody::ChargeRefunded(Box::new(Refund {
            charge: self.details.id,
            opened: self.opened,
            amount,
            reason,
            detail: None,
            requested: None,
            from_pending: self.is_pending(),
            returns: give_back(&self.details.draws, self.state.refunded, amount),
            state,
            spender: self.details.spender.clone(),
            windows,
        }))
    }
}

fn set_detail(body: &mut EntryBody, detail: Option<Box<str>>, requested: Option<Micros>) {
    if let EntryBody::ChargeRefunded(refund) = body {
        refund.detail = detail;
        refund.requested = requested;
    }
}
