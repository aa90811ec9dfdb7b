//! Decides charges: a new one, and what becomes of one that exists.
//!
//! [`open`] decides a new charge (P2, P3): every refusal in its order, then the deduction.
//! [`ExistingCharge`] decides outcomes, heartbeats, refunds and timeouts (P8, P9). Both only answer
//! with entries; what the entries do to the account is in `account`. Every answer about an existing
//! charge is checked against i05 and i06 before it is given.

use super::auto_top_up;
use super::grant::check_balance_bound;
use super::view::{Clocks, View};
use crate::account::grant::returns_of;
use crate::account::invariants;
use crate::journal::disagreement::assert_no_violation;
use crate::journal::entry::sum;
use crate::{
    Account, ApiKeyId, Charge, ChargeCommand, ChargeDetails, ChargeId, ChargeRequest, ChargeState, Draw,
    EntryBody, Grants, Limit, MetersUsed, Micros, Operation, Outcome, PeriodWindows, Price, Quantity, Refund,
    RefundReason, Refusal, Settlement, Spender, Status, Timestamp, bounds,
};

/// Decides a new charge.
///
/// # Errors
/// `WorkspaceNotFound`, `WorkspaceSuspended`, `DebtOutstanding`, `OperationNotFound`,
/// `InvalidField`, `QuantityOutOfRange`, `LimitExceeded`, `InsufficientCredits`: the first that
/// applies.
pub(super) fn open(
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
    let prices = view.platform.price_book.in_force(now).ok_or(Refusal::OperationNotFound)?;
    let operation = prices.find(&request.operation).ok_or(Refusal::OperationNotFound)?;
    assert!(
        prices.effective_at <= now || prices.version == 1,
        "a charge must be priced by an effective version"
    );
    assert!(operation.id == request.operation, "a charge must be priced as its own operation");
    let amount = price(&operation.price, &request.quantity)?;
    let deadline = deadline(operation, &request, now)?;
    assert!(
        deadline.is_some() || !request.await_outcome,
        "a charge that awaits an outcome must have a deadline"
    );
    if account.totals.charged + amount > Micros::new(bounds::TOTAL_MAX_MICROS) {
        let why = "would take all that was ever charged beyond 2^61 micro-units";
        return Err(Refusal::InvalidField { field: "quantity", why });
    }
    let windows = view.windows_of_limits(now);
    let ChargeRequest { operation: id, worker, member, .. } = request;
    let spender = Spender { operation: id, worker, member, api_key };
    if let Some(windows) = &windows
        && let Some(limit) = account.limits.tightest_passed(&spender, amount, windows)
    {
        return Err(limit_exceeded(limit, amount, windows));
    }
    let available = account.balance.available;
    if available < amount {
        let affordable = Box::new(operation.price.affordable(&request.quantity, available));
        let buys_credit = auto_top_up::may_buy(view, account, now);
        return Err(Refusal::InsufficientCredits { required: amount, available, affordable, buys_credit });
    }
    let draws = account.grants.plan(amount);
    assert!(
        draws.iter().map(|draw| draw.amount).sum::<Micros>() == amount,
        "i05: the draws must sum to the charge"
    );
    Ok(EntryBody::ChargeOpened(Box::new(ChargeDetails {
        id: ChargeId(view.fresh_id),
        quantity: request.quantity,
        price: operation.price.clone(),
        amount,
        price_version: prices.version,
        spender,
        reference: request.reference,
        metadata: request.metadata,
        await_outcome: request.await_outcome,
        outcome_by_platform: request.outcome_by_platform,
        timeout_seconds: request.timeout_seconds,
        deadline,
        draws,
        windows: windows.map(Box::new),
    })))
}

/// What a quantity costs (P2).
///
/// # Errors
/// [`Refusal::InvalidField`] if the quantity is of the other shape than the price,
/// [`Refusal::QuantityOutOfRange`].
pub(super) fn price(price: &Price, quantity: &Quantity) -> Result<Micros, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    match (price, quantity) {
        (Price::Units(_), Quantity::Units(_)) => {}
        (Price::Units(_), Quantity::Meters(_)) => {
            return refuse("quantities", "is for operations with meters; this one needs `quantity`");
        }
        (Price::Meters(_), Quantity::Units(_)) => {
            return refuse("quantity", "is for operations without meters; this one needs `quantities`");
        }
        (Price::Meters(_), Quantity::Meters(quantities)) => {
            if quantities.iter().any(|(meter, _)| price.meter(meter).is_none()) {
                return refuse("quantities", "names a meter that the operation does not have");
            }
        }
    }
    let amount = price.amount(quantity).ok_or(Refusal::QuantityOutOfRange)?;
    assert!(amount >= Micros::ZERO, "a price must not be negative, or a charge would add credit");
    Ok(amount)
}

/// The deadline of a new charge: `None` if neither the caller nor the price book asks for an
/// outcome. The timeout of the caller takes precedence, then that of the price book, then the
/// default.
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
    let deadline = now.plus_seconds(i64::from(seconds));
    assert!(deadline > now, "the deadline of a new charge must be in the future");
    Ok(Some(deadline))
}

fn limit_exceeded(limit: &Limit, required: Micros, windows: &PeriodWindows) -> Refusal {
    Refusal::LimitExceeded {
        subject: limit.subject.clone(),
        period: limit.period,
        required,
        limit: limit.amount,
        remaining: limit.left_in(windows).max(Micros::ZERO),
        resets_at: windows.of(limit.period).end,
    }
}

/// What a decision about an existing charge leads to.
pub(super) enum Transition {
    /// The charge is in the requested state already; nothing is written.
    Unchanged,
    /// At least one entry, in the order in which they are written.
    Entries(Vec<EntryBody>),
}

/// An existing charge with what a decision about it depends on.
pub(super) struct ExistingCharge<'a> {
    charge: &'a Charge,
    account: &'a Account,
    grants: &'a Grants,
    /// The windows in which a refund counts; `None` if the workspace has no limits.
    windows: Option<PeriodWindows>,
    refund_window_seconds: i64,
    now: Timestamp,
}

impl<'a> ExistingCharge<'a> {
    /// The charge that the view's command names.
    pub fn new(view: &View<'a>, clocks: Clocks) -> Result<ExistingCharge<'a>, Refusal> {
        let charge = view.charge()?;
        let account = view.account()?;
        let grants = &account.grants;
        assert!(charge.opening_entry > 0, "i02: a charge must have the number of the entry that opened it");
        let chain = view.account()?.chain;
        assert!(charge.created_at <= chain.at, "i02: a charge must not be opened after the last entry");
        assert!(charge.decided_at <= charge.created_at, "a charge must not be decided after its entry");
        assert!(charge.opening_entry <= chain.n, "i02: a charge must be opened by an entry of its journal");
        let ChargeDetails { price, quantity: paid, amount, .. } = &*charge.details;
        assert!(price.amount(paid) == Some(*amount), "a charge must cost the price of its quantity");
        let ChargeState { status, refunded, quantity, deadline, .. } = charge.state;
        // Of a meter more may be used than was paid for, if all together costs no more.
        let is_within = paid.meters().is_some() || quantity <= paid.total();
        assert!(is_within && quantity > 0, "a charge must not use more units than it paid for");
        assert!(refunded >= Micros::ZERO, "i05: what was refunded must not be negative");
        let is_free = *amount == Micros::ZERO;
        assert!(
            is_free || (status == Status::Refunded) == (refunded == charge.details.amount),
            "i05: a charge must be refunded in full if and only if its status is refunded"
        );
        assert!(
            (status == Status::Pending) == deadline.is_some(),
            "i06: a charge must have a deadline if and only if it is pending"
        );
        let windows = view.windows_of_limits(clocks.present);
        // Limits count a charge at the time by which it was decided. That is not always the time of
        // its entry: a clock may have been ahead. The windows stored in the charge are not used,
        // because a change of the time zone counts the limits anew, in the new days.
        let windows = windows.map(|windows| windows.for_refund(charge.decided_at));
        let refund_window_seconds = view.platform.settings.refund_window_seconds();
        Ok(ExistingCharge { charge, account, grants, windows, refund_window_seconds, now: clocks.present })
    }

    /// Decides a command about the charge.
    ///
    /// # Errors
    /// What each command may be refused for is said at its function.
    pub fn decide(&self, command: ChargeCommand) -> Result<Transition, Refusal> {
        let transition = match command {
            ChargeCommand::Succeed { quantity } => self.succeed(quantity)?,
            ChargeCommand::Fail { by_system, detail } => self.fail(by_system, detail)?,
            ChargeCommand::Heartbeat { extend_seconds } => self.extend(extend_seconds)?,
            ChargeCommand::Refund { amount, reason } => self.refund(amount, reason)?,
            ChargeCommand::TimeOut => self.time_out(),
        };
        if let Transition::Entries(bodies) = &transition {
            self.assert_transition(bodies);
        }
        Ok(transition)
    }

    /// Asserts that the entries lead from the state of the charge to a lawful one (i05, i06).
    fn assert_transition(&self, bodies: &[EntryBody]) {
        assert!(!bodies.is_empty(), "a charge must not change without an entry");
        let amount = self.charge.details.amount;
        let mut state = self.charge.state;
        let name = Some((self.charge.details.id, Some(self.charge.opening_entry)));
        for body in bodies {
            assert!(
                body.charge() == name,
                "an entry about a charge must name it and the entry that opened it"
            );
            state = assert_no_violation(invariants::charge_transition(amount, state, body));
        }
        assert!(state != self.charge.state, "an entry about a charge must change its state");
    }

    /// The operation succeeded. If what was used costs less than what was paid for, the rest is
    /// refunded (P9). A second report of as many units changes nothing, also if it divides them
    /// differently over meters: the first report counts.
    ///
    /// # Errors
    /// `InvalidField`, `UsedQuantityOutOfRange`, `ChargeAlreadyRefunded`, `ChargeAlreadySettled` by
    /// another outcome.
    fn succeed(&self, used: Option<Quantity>) -> Result<Transition, Refusal> {
        let Charge { details, state, .. } = self.charge;
        let kept = used.as_ref().map(|used| self.price_of_used(used)).transpose()?;
        let reported = state.outcome;
        let is_same = used.as_ref().is_none_or(|used| used.total() == state.quantity);
        if reported == Some(Outcome::Succeeded) && is_same {
            return Ok(Transition::Unchanged);
        }
        let reports_whole = reported.is_none() && used.as_ref().is_none_or(|used| *used == details.quantity);
        let may_settle = self.is_pending() || (state.status == Status::Settled && reports_whole);
        if !may_settle {
            return Err(self.already_ended());
        }
        let quantity = used.as_ref().unwrap_or(&details.quantity);
        let unused = details.amount - kept.unwrap_or(details.amount);
        assert!(unused >= Micros::ZERO, "i05: what was used must not cost more than was paid");
        let mut bodies = Vec::with_capacity(2);
        let mut state = *state;
        if unused > Micros::ZERO {
            assert!(self.is_pending(), "i06: a charge that is partly used must be pending");
            state = state.after_refund(unused);
            let mut refund = self.refund_of(unused, RefundReason::PartlyUsed, state);
            refund.used = details.price.unit_price().is_none().then(|| Box::new(quantity.clone()));
            bodies.push(EntryBody::ChargeRefunded(Box::new(refund)));
        }
        state = ChargeState {
            status: Status::Settled,
            outcome: Some(Outcome::Succeeded),
            quantity: quantity.total(),
            deadline: None,
            ..state
        };
        bodies.push(self.settled(state, quantity, None));
        Ok(Transition::Entries(bodies))
    }

    /// What was used costs; no more than was paid, and nothing only if nothing was paid: a charge
    /// of which all goes back is refunded by a failure of the system.
    ///
    /// # Errors
    /// `InvalidField`, `UsedQuantityOutOfRange`.
    fn price_of_used(&self, used: &Quantity) -> Result<Micros, Refusal> {
        let ChargeDetails { quantity: paid, price: of, amount, .. } = &*self.charge.details;
        let kept = price(of, used).map_err(|refusal| match refusal {
            Refusal::QuantityOutOfRange => Refusal::UsedQuantityOutOfRange,
            other => other,
        })?;
        let is_within = paid.meters().is_some() || used.total() <= paid.total();
        let is_nothing = kept == Micros::ZERO && *amount > Micros::ZERO;
        if !is_within || is_nothing || kept > *amount {
            return Err(Refusal::UsedQuantityOutOfRange);
        }
        assert!(kept <= *amount, "i05: what was used must not cost more than was paid");
        Ok(kept)
    }

    /// The operation failed. A failure of the system is refunded in full, a failure of the user is
    /// not (P9).
    ///
    /// # Errors
    /// `ChargeAlreadyRefunded`, `ChargeAlreadySettled` by another outcome, `RefundWindowClosed` for
    /// a failure of the system that is reported too late.
    fn fail(&self, by_system: bool, detail: Option<Box<str>>) -> Result<Transition, Refusal> {
        let state = self.charge.state;
        let outcome = if by_system { Outcome::FailedSystem } else { Outcome::FailedUser };
        if state.outcome == Some(outcome) {
            return Ok(Transition::Unchanged);
        }
        if state.status == Status::Refunded || (!by_system && !self.is_pending() && state.outcome.is_some()) {
            return Err(self.already_ended());
        }
        if !by_system {
            let state =
                ChargeState { status: Status::Settled, outcome: Some(outcome), deadline: None, ..state };
            let paid = &self.charge.details.quantity;
            return Ok(Transition::Entries(vec![self.settled(state, paid, detail)]));
        }
        let closed_at = self.charge.decided_at.plus_seconds(self.refund_window_seconds);
        if !self.is_pending() && self.now > closed_at {
            return Err(Refusal::RefundWindowClosed { closed_at });
        }
        let mut refund = self.refunded_in_full(RefundReason::FailedSystem, outcome);
        self.check_room(refund.amount)?;
        refund.detail = detail;
        Ok(Transition::Entries(vec![EntryBody::ChargeRefunded(Box::new(refund))]))
    }

    /// Moves the deadline to `seconds` from now, never nearer. A small move changes nothing: each
    /// entry stays in the journal for ever, and heartbeats are free.
    ///
    /// # Errors
    /// `ChargeAlreadyRefunded`, `ChargeAlreadySettled`, `InvalidField`.
    fn extend(&self, seconds: u32) -> Result<Transition, Refusal> {
        let Some(deadline) = self.charge.state.deadline else {
            return Err(self.already_ended());
        };
        assert!(self.is_pending(), "i06: a charge must have a deadline if and only if it is pending");
        if !(bounds::TIMEOUT_MIN_SECONDS..=bounds::TIMEOUT_MAX_SECONDS).contains(&seconds) {
            return Err(Refusal::InvalidField {
                field: "extend_seconds",
                why: "must be 1 to 604800, a week",
            });
        }
        let later = self.now.plus_seconds(i64::from(seconds));
        assert!(later > self.now, "a heartbeat must move the deadline into the future");
        let left = (deadline.millis() - self.now.millis()).max(0);
        let moved = later.millis() - deadline.millis();
        if moved <= 0 || moved < left / bounds::HEARTBEAT_MOVES_ONE_OF {
            return Ok(Transition::Unchanged);
        }
        assert!(later > deadline, "a heartbeat must not move the deadline nearer");
        assert!(
            later.millis() - self.now.millis() <= i64::from(bounds::TIMEOUT_MAX_SECONDS) * 1_000,
            "a heartbeat must not hold credit for longer than a week"
        );
        Ok(Transition::Entries(vec![EntryBody::ChargeExtended {
            charge: self.charge.details.id,
            opening_entry: self.charge.opening_entry,
            state: ChargeState { deadline: Some(later), ..self.charge.state },
        }]))
    }

    /// The platform refunds `requested`, or all that is left. A pending charge is refunded whole or
    /// not at all.
    ///
    /// # Errors
    /// `ChargeAlreadyRefunded`, `InvalidField`, `RefundExceedsCharge`.
    fn refund(&self, requested: Option<Micros>, reason: Box<str>) -> Result<Transition, Refusal> {
        if self.charge.state.status == Status::Refunded {
            return Err(self.already_ended());
        }
        let refundable = self.charge.refundable();
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
        self.check_room(amount)?;
        let mut refund = if amount == refundable {
            self.refunded_in_full(RefundReason::Requested, Outcome::Reversed)
        } else {
            let state = self.charge.state.after_refund(amount);
            if state.refunds >= bounds::REFUNDS_MAX {
                let why =
                    "leaves a rest, and the charge has 999 refunds; the last one returns all that is left";
                return Err(Refusal::InvalidField { field: "amount", why });
            }
            self.refund_of(amount, RefundReason::Requested, state)
        };
        refund.detail = Some(reason);
        refund.requested = requested;
        Ok(Transition::Entries(vec![EntryBody::ChargeRefunded(Box::new(refund))]))
    }

    /// Refuses a refund of a settled charge for which the balance has no room. What is pending is
    /// in the balance already.
    ///
    /// # Errors
    /// `InvalidField`.
    fn check_room(&self, amount: Micros) -> Result<(), Refusal> {
        if self.is_pending() { Ok(()) } else { check_balance_bound(self.account, amount) }
    }

    /// Refunds a pending charge whose deadline has passed. If an outcome or a heartbeat came
    /// before the server's polling job, nothing changes.
    fn time_out(&self) -> Transition {
        match self.charge.state.deadline {
            Some(deadline) if deadline <= self.now => {
                let refund = self.refunded_in_full(RefundReason::TimedOut, Outcome::TimedOut);
                assert!(refund.from_pending, "i06: a charge that times out must be pending");
                Transition::Entries(vec![EntryBody::ChargeRefunded(Box::new(refund))])
            }
            Some(_) | None => Transition::Unchanged,
        }
    }

    fn is_pending(&self) -> bool {
        self.charge.state.status == Status::Pending
    }

    /// The refusal that names the state in which the charge ended.
    fn already_ended(&self) -> Refusal {
        match self.charge.state.status {
            Status::Refunded => Refusal::ChargeAlreadyRefunded(self.charge.state),
            Status::Pending | Status::Settled => Refusal::ChargeAlreadySettled(self.charge.state),
        }
    }

    fn settled(&self, state: ChargeState, used: &Quantity, detail: Option<Box<str>>) -> EntryBody {
        assert!(state.status == Status::Settled, "a settlement must leave the charge settled");
        let kept = self.charge.details.amount - state.refunded;
        assert!(kept >= Micros::ZERO, "i05: a charge must not be refunded more than it took");
        let amount = if self.is_pending() { kept } else { Micros::ZERO };
        EntryBody::ChargeSettled(Settlement {
            charge: self.charge.details.id,
            opening_entry: self.charge.opening_entry,
            amount,
            detail,
            state,
            used: used.meters().filter(|_| self.is_pending()).map(|quantities| {
                let spender = self.charge.details.spender.clone();
                Box::new(MetersUsed { spender, quantities: quantities.clone() })
            }),
        })
    }

    /// The refund of all that is left, which ends the charge.
    fn refunded_in_full(&self, reason: RefundReason, outcome: Outcome) -> Refund {
        let amount = self.charge.refundable();
        let after = self.charge.state.after_refund(amount);
        assert!(
            after.refunded == self.charge.details.amount,
            "i05: a full refund must leave nothing to refund"
        );
        assert!(
            after.refunds <= bounds::REFUNDS_MAX,
            "i05: there must be room for the refund of all that is left"
        );
        let state = ChargeState { status: Status::Refunded, outcome: Some(outcome), deadline: None, ..after };
        self.refund_of(amount, reason, state)
    }

    fn refund_of(&self, amount: Micros, reason: RefundReason, state: ChargeState) -> Refund {
        let is_free = self.charge.details.amount == Micros::ZERO;
        assert!(amount > Micros::ZERO || is_free, "a refund must move credit unless the run was free");
        let returns = returns_of(&self.charge.details.draws, self.charge.state.refunded, amount);
        let loaded = |draw: &Draw| self.grants.get(draw.grant).is_some();
        assert!(returns.iter().all(loaded), "i03: a view must hold the grants that a refund returns to");
        let voided = assert_no_violation(self.grants.returned_to_voided(&returns));
        Refund {
            charge: self.charge.details.id,
            opening_entry: self.charge.opening_entry,
            amount,
            reason,
            detail: None,
            requested: None,
            from_pending: self.is_pending(),
            returns,
            taken: sum(&voided),
            state,
            spender: self.charge.details.spender.clone(),
            windows: self.windows,
            used: None,
        }
    }
}
