//! A charge: the deduction for one run of an operation, and its state from then on.
//!
//! A charge deducts when it is opened, leaves `pending` once (i06), and never gives back more than
//! it took (i05). Here are the types; what is decided about a charge is in `decide::charge`, what
//! an entry does to the account in `account`.

use crate::journal::codec::coded;
use crate::{
    ChargeId, Draw, Draws, MeterQuantities, Micros, PeriodWindows, Price, Quantity, Spender, Timestamp,
};

/// The status of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Deducted; an outcome is awaited until the deadline.
    Pending,
    /// Deducted for good, unless it is refunded later.
    Settled,
    /// Refunded in full.
    Refunded,
}

coded!(Status, "a charge's status", { Pending = 0 "pending", Settled = 1 "settled", Refunded = 2 "refunded" });

/// What was reported of the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The operation succeeded.
    Succeeded,
    /// The operation failed through the system's fault; the charge was refunded (P9).
    FailedSystem,
    /// The operation failed through the user's fault; the charge was settled (P9).
    FailedUser,
    /// No outcome was reported by the deadline; the charge was refunded.
    TimedOut,
    /// The platform refunded the charge in full.
    Reversed,
}

coded!(Outcome, "a charge's outcome", {
    Succeeded = 1 "succeeded",
    FailedSystem = 2 "failed_system",
    FailedUser = 3 "failed_user",
    TimedOut = 4 "timed_out",
    Reversed = 5 "reversed",
});

/// Why credit of a charge was refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundReason {
    /// The operation failed through the system's fault.
    FailedSystem,
    /// No outcome was reported by the deadline.
    TimedOut,
    /// Fewer units were used than were paid for.
    PartlyUsed,
    /// The platform asked for the refund.
    Requested,
}

coded!(RefundReason, "a refund's reason", {
    FailedSystem = 1 "failed_system",
    TimedOut = 2 "timed_out",
    PartlyUsed = 3 "partly_used",
    Requested = 4 "requested",
});

/// A charge as it was opened. Nothing in it changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeDetails {
    /// The id of the charge.
    pub id: ChargeId,
    /// The operation, worker, member and API key it is counted under.
    pub spender: Spender,
    /// What was paid for.
    pub quantity: Quantity,
    /// The price by which it was paid.
    pub price: Price,
    /// What the quantity costs by the price.
    pub amount: Micros,
    /// The number of the price version that priced it.
    pub price_version: u32,
    /// The platform's own name for the run.
    pub reference: Option<Box<str>>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
    /// As requested; a repeated request is compared with it (i07).
    pub await_outcome: bool,
    /// True if only the platform, or a key with the scope `settle`, reports the outcome.
    pub outcome_by_platform: bool,
    /// As requested; a repeated request is compared with it (i07).
    pub timeout_seconds: Option<u32>,
    /// The time until which an outcome is awaited; `None` if the charge was settled when it was
    /// opened.
    pub deadline: Option<Timestamp>,
    /// What was drawn from which grant; sums to `amount` (i05).
    pub draws: Draws,
    /// The day and month in which the limits count it; `None` if the workspace has no limits.
    pub windows: Option<Box<PeriodWindows>>,
}

/// The part of a charge that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct ChargeState {
    /// Pending, settled or refunded.
    pub status: Status,
    /// What was reported of the operation, if anything.
    pub outcome: Option<Outcome>,
    /// What was refunded so far; at most the amount (i05).
    pub refunded: Micros,
    /// How many refunds returned that credit.
    pub refunds: u32,
    /// The number of units that were used, as far as is known; of all meters together.
    pub quantity: i64,
    /// The time until which an outcome is awaited; set if and only if the charge is pending.
    pub deadline: Option<Timestamp>,
}

/// A charge was settled, or an outcome was reported after it was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The charge.
    pub charge: ChargeId,
    /// The number of the entry that opened the charge.
    pub opening_entry: u64,
    /// What moves from pending to consumed; zero if the charge was settled before.
    pub amount: Micros,
    /// What happened, for people.
    pub detail: Option<Box<str>>,
    /// The state of the charge after the entry.
    pub state: ChargeState,
    /// What was used of each meter, if the operation has meters and the charge was pending.
    pub used: Option<Box<MetersUsed>>,
}

/// What a charge used of its meters, with the spender under which it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetersUsed {
    /// The spender of the charge.
    pub spender: Spender,
    /// The units of each meter.
    pub quantities: MeterQuantities,
}

/// Credit of a charge was refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The charge.
    pub charge: ChargeId,
    /// The number of the entry that opened the charge.
    pub opening_entry: u64,
    /// The refunded amount.
    pub amount: Micros,
    /// The reason, one of a closed set.
    pub reason: RefundReason,
    /// The reason, for people.
    pub detail: Option<Box<str>>,
    /// The amount as requested; a repeated request is compared with it (i07).
    pub requested: Option<Micros>,
    /// True if the charge was pending before the entry.
    pub from_pending: bool,
    /// What returns to which grant; sums to `amount` (i05).
    pub returns: Vec<Draw>,
    /// What of it returns to voided grants; an entry that follows takes it at once.
    pub taken: Micros,
    /// The state of the charge after the entry.
    pub state: ChargeState,
    /// The spender of the charge, under which the refund is counted.
    pub spender: Spender,
    /// The day and month in which the limits count it; `None` if the workspace has no limits.
    pub windows: Option<PeriodWindows>,
    /// What was used, if fewer units were used than paid for and their number does not follow from
    /// the amount: the price is not one for a single unit.
    pub used: Option<Box<Quantity>>,
}

/// A charge: how it was opened, and its state now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The charge as it was opened.
    pub details: Box<ChargeDetails>,
    /// The number of the entry that opened it.
    pub opening_entry: u64,
    /// The time of that entry.
    pub created_at: Timestamp,
    /// The time by which it was opened: earlier than `created_at` after a clock was ahead. The
    /// refund window begins with it.
    pub decided_at: Timestamp,
    /// The state now.
    pub state: ChargeState,
}

impl ChargeDetails {
    /// The state of the charge when it was opened.
    #[must_use]
    pub fn state(&self) -> ChargeState {
        ChargeState {
            status: if self.deadline.is_some() { Status::Pending } else { Status::Settled },
            outcome: None,
            refunded: Micros::ZERO,
            refunds: 0,
            quantity: self.quantity.total(),
            deadline: self.deadline,
        }
    }
}

impl ChargeState {
    /// The state after a further refund. The refund of a free run returns nothing and is not
    /// counted; it is the only one.
    #[must_use]
    pub fn after_refund(self, amount: Micros) -> ChargeState {
        assert!(amount >= Micros::ZERO, "i05: a refund must not take credit");
        let refunds = self.refunds + u32::from(amount > Micros::ZERO);
        ChargeState { refunded: self.refunded + amount, refunds, ..self }
    }
}

impl Charge {
    /// What can still be refunded.
    #[must_use]
    pub fn refundable(&self) -> Micros {
        let refundable = self.details.amount - self.state.refunded;
        assert!(refundable >= Micros::ZERO, "i05: a charge must not be refunded more than it took");
        refundable
    }
}
