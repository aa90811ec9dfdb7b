//! Every refusal of the ledger: a closed, ordered enum.
//!
//! The order of the variants is the order in which they are decided: if several apply, the first is
//! the answer, so `a < b` means that `a` is decided before `b`. `tests/refusals.rs` checks the
//! order. Each variant has a stable code and carries the numbers that explain it. A `why` is passed
//! on to the caller as it is; the server writes all other sentences.

use crate::{ChargeState, Micros, Period, Quantity, Subject, Timestamp, TopUpBounds};

/// Why a command was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd)]
pub enum Refusal {
    /// There is no such workspace, or the command belongs to another kind of workspace than the one
    /// named.
    WorkspaceNotFound,
    /// The API key or member that asks does not exist, was removed or has expired.
    Unauthenticated,
    /// The API key or member that asks may not do this.
    Forbidden {
        /// A sentence for people.
        why: &'static str,
    },
    /// The idempotency key was used for another request (i07).
    IdempotencyKeyReused {
        /// The first field that differs, as the API spells it.
        field: &'static str,
    },
    /// The id of the workspace is taken.
    WorkspaceExists,
    /// There is no such charge in this workspace.
    ChargeNotFound,
    /// There is no such grant in this workspace.
    GrantNotFound,
    /// A payment paid for the grant, so it cannot be voided; the payment can be refunded.
    GrantWasPaid,
    /// There is no such top-up in this workspace.
    TopUpNotFound,
    /// The money does not fit the top-up: another sum, or a second payment.
    PaymentUnmatched,
    /// Nothing of the payment can go back: its credit is spent, or it went back before.
    NothingToRefund,
    /// There is no such plan, or it is retired.
    PlanNotFound,
    /// The workspace has no subscription, or the last one has ended.
    SubscriptionNotFound,
    /// The subscription is paid by another interval than the plan.
    PlanIntervalDiffers,
    /// The subscription that there is must end or change first, which takes a moment or a period.
    SubscriptionExists {
        /// A sentence for people, about the subscription.
        why: &'static str,
    },
    /// No period has begun that was not paid, or no change waits for a payment.
    NothingDue,
    /// There is no such member in this workspace.
    MemberNotFound,
    /// The id of the member is taken.
    MemberExists,
    /// The last admin can neither leave nor be demoted.
    LastAdmin,
    /// There is no such API key in this workspace.
    ApiKeyNotFound,
    /// There is no such recipient of mails in this workspace.
    RecipientNotFound,
    /// There is no such link: it was followed before, or it has expired.
    PortalLinkExpired,
    /// The platform suspended the workspace.
    WorkspaceSuspended,
    /// Credit is owed after a lost payment.
    DebtOutstanding {
        /// The sum that is owed.
        debt: Micros,
    },
    /// The operation is not in the price version in force.
    OperationNotFound,
    /// What was reported as used costs nothing or more than was paid, or is not 1 to the number of
    /// units that were paid for.
    UsedQuantityOutOfRange,
    /// The charge was refunded; carries its state.
    ChargeAlreadyRefunded(ChargeState),
    /// The charge was settled; carries its state.
    ChargeAlreadySettled(ChargeState),
    /// It needs a saved card, and none is saved.
    PaymentMethodRequired,
    /// The quantity of a charge is not 1 to [`crate::Rate::quantity_max`], or costs more than a
    /// balance can hold.
    QuantityOutOfRange,
    /// A value that is not allowed, or not allowed in the current state.
    InvalidField {
        /// The field, as the API spells it.
        field: &'static str,
        /// The rest of a sentence that begins with the field.
        why: &'static str,
    },
    /// A top-up of another size than is allowed.
    TopUpOutOfBounds {
        /// The sizes that are allowed.
        allowed: TopUpBounds,
    },
    /// A payment refund of nothing, or of more than what can go back.
    RefundOutOfBounds {
        /// What can go back.
        refundable_cents: i64,
    },
    /// A refund of more than what is left of the charge.
    RefundExceedsCharge {
        /// What is left.
        refundable: Micros,
    },
    /// A failure of the system was reported too late for an automatic refund.
    RefundWindowClosed {
        /// The end of the refund window.
        closed_at: Timestamp,
    },
    /// A spending limit would be passed. If several would, this is the one with the least left.
    LimitExceeded {
        /// Whose spending the limit caps.
        subject: Subject,
        /// The period of the limit.
        period: Period,
        /// The amount of the charge.
        required: Micros,
        /// The cap.
        limit: Micros,
        /// What may still be spent in the period.
        remaining: Micros,
        /// The end of the period.
        resets_at: Timestamp,
    },
    /// The workspace holds less than the charge costs (P3, P8).
    InsufficientCredits {
        /// The amount of the charge.
        required: Micros,
        /// What can be spent.
        available: Micros,
        /// What `available` pays for.
        affordable: Box<Quantity>,
        /// True if an automatic top-up may be opened now. A refusal writes nothing, so the caller
        /// then sends [`AutoTopUpCommand::OpenIfLow`](crate::AutoTopUpCommand::OpenIfLow).
        buys_credit: bool,
    },
}

impl Refusal {
    /// The stable code of the refusal, as the API returns it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::WorkspaceNotFound => "workspace_not_found",
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::Forbidden { .. } => "forbidden",
            Refusal::IdempotencyKeyReused { .. } => "idempotency_key_reused",
            Refusal::WorkspaceExists => "workspace_exists",
            Refusal::ChargeNotFound => "charge_not_found",
            Refusal::GrantNotFound => "grant_not_found",
            Refusal::GrantWasPaid => "grant_was_paid",
            Refusal::TopUpNotFound => "top_up_not_found",
            Refusal::PaymentUnmatched => "payment_unmatched",
            Refusal::NothingToRefund => "nothing_to_refund",
            Refusal::PlanNotFound => "plan_not_found",
            Refusal::SubscriptionNotFound => "subscription_not_found",
            Refusal::PlanIntervalDiffers => "plan_interval_differs",
            Refusal::SubscriptionExists { .. } => "subscription_exists",
            Refusal::NothingDue => "nothing_due",
            Refusal::MemberNotFound => "member_not_found",
            Refusal::MemberExists => "member_exists",
            Refusal::LastAdmin => "last_admin",
            Refusal::ApiKeyNotFound => "api_key_not_found",
            Refusal::RecipientNotFound => "recipient_not_found",
            Refusal::PortalLinkExpired => "portal_link_expired",
            Refusal::WorkspaceSuspended => "workspace_suspended",
            Refusal::DebtOutstanding { .. } => "debt_outstanding",
            Refusal::OperationNotFound => "operation_not_found",
            Refusal::ChargeAlreadyRefunded(_) => "charge_already_refunded",
            Refusal::ChargeAlreadySettled(_) => "charge_already_settled",
            Refusal::PaymentMethodRequired => "payment_method_required",
            Refusal::UsedQuantityOutOfRange
            | Refusal::QuantityOutOfRange
            | Refusal::InvalidField { .. }
            | Refusal::TopUpOutOfBounds { .. }
            | Refusal::RefundOutOfBounds { .. } => "invalid_field",
            Refusal::RefundExceedsCharge { .. } => "refund_exceeds_charge",
            Refusal::RefundWindowClosed { .. } => "refund_window_closed",
            Refusal::LimitExceeded { .. } => "limit_exceeded",
            Refusal::InsufficientCredits { .. } => "insufficient_credits",
        }
    }

    /// Asserts that the numbers of the refusal explain it. A refusal that contradicts itself is a
    /// bug.
    pub(crate) fn assert_explained(&self, now: Timestamp) {
        match self {
            Refusal::DebtOutstanding { debt } => {
                assert!(*debt > Micros::ZERO, "a refusal for debt must name a debt");
            }
            Refusal::ChargeAlreadyRefunded(state) => {
                assert!(state.deadline.is_none(), "i06: a refunded charge must not have a deadline");
            }
            Refusal::ChargeAlreadySettled(state) => {
                assert!(state.deadline.is_none(), "i06: a settled charge must not have a deadline");
            }
            Refusal::RefundOutOfBounds { refundable_cents } => {
                assert!(*refundable_cents > 0, "a payment refund that is out of bounds must have some");
            }
            Refusal::RefundExceedsCharge { refundable } => {
                assert!(*refundable >= Micros::ZERO, "i05: what is left of a charge must not be negative");
            }
            Refusal::RefundWindowClosed { closed_at } => {
                assert!(*closed_at < now, "a refund window that is closed must have ended");
            }
            Refusal::LimitExceeded { required, limit, remaining, resets_at, .. } => {
                assert!(
                    remaining <= required,
                    "a limit that is exceeded must leave less than the charge needs"
                );
                assert!(*limit >= Micros::ZERO, "a limit must not be negative");
                assert!(*resets_at > now, "the period of a limit that is exceeded must not have ended");
            }
            Refusal::InsufficientCredits { required, available, affordable, buys_credit: _ } => {
                assert!(available < required, "credits that are insufficient must be below the price");
                assert!(affordable.total() >= 0, "an affordable quantity must not be negative");
            }
            Refusal::WorkspaceNotFound
            | Refusal::Unauthenticated
            | Refusal::Forbidden { .. }
            | Refusal::IdempotencyKeyReused { .. }
            | Refusal::WorkspaceExists
            | Refusal::ChargeNotFound
            | Refusal::GrantNotFound
            | Refusal::GrantWasPaid
            | Refusal::TopUpNotFound
            | Refusal::PaymentUnmatched
            | Refusal::NothingToRefund
            | Refusal::PlanNotFound
            | Refusal::SubscriptionNotFound
            | Refusal::PlanIntervalDiffers
            | Refusal::SubscriptionExists { .. }
            | Refusal::NothingDue
            | Refusal::MemberNotFound
            | Refusal::MemberExists
            | Refusal::LastAdmin
            | Refusal::ApiKeyNotFound
            | Refusal::RecipientNotFound
            | Refusal::PortalLinkExpired
            | Refusal::WorkspaceSuspended
            | Refusal::OperationNotFound
            | Refusal::UsedQuantityOutOfRange
            | Refusal::PaymentMethodRequired
            | Refusal::QuantityOutOfRange
            | Refusal::TopUpOutOfBounds { .. }
            | Refusal::InvalidField { .. } => {}
        }
    }
}
