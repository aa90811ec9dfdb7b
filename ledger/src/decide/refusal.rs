//! Every "no" of the ledger, closed and ordered: the order of the variants of a charge is the order in which it is
//! refused. Each carries the numbers that explain it and has a stable code; words for people are made outside.

use crate::account::charge::ChargeState;
use crate::{Micros, Period, Subject, Timestamp};

/// A "no" of the ledger. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key stands for another request; names the first field that differs.
    KeyReused {
        /// As the API spells it.
        field: &'static str,
    },
    /// No such workspace.
    WorkspaceNotFound,
    /// Whoever asks is not known here, or not any more.
    ActorUnknown,
    /// Whoever asks may not do this.
    Forbidden {
        /// For people.
        why: &'static str,
    },
    /// The platform suspended the workspace.
    WorkspaceSuspended,
    /// Credit is owed after a lost payment.
    DebtOutstanding {
        /// How much.
        debt: Micros,
    },
    /// Unknown, or retired by the price book in force.
    OperationNotFound,
    /// Not 1 to [`crate::bounds::QUANTITY_MAX`].
    QuantityOutOfRange,
    /// A spending limit would be passed.
    LimitExceeded {
        /// Whose.
        subject: Subject,
        /// Which period.
        period: Period,
        /// What the charge would take.
        required: Micros,
        /// The cap.
        limit: Micros,
        /// What may still be spent.
        remaining: Micros,
        /// When it starts again.
        resets_at: Timestamp,
    },
    /// The pool holds less than the charge costs (P3, P8).
    InsufficientCredits {
        /// What it costs.
        required: Micros,
        /// What there is.
        available: Micros,
        /// How many units there is enough for.
        affordable_quantity: i64,
    },
    /// The name is taken.
    WorkspaceExists,
    /// No such charge in this workspace.
    ChargeNotFound,
    /// The charge was settled; says what stands.
    ChargeAlreadySettled(ChargeState),
    /// The charge was refunded; says what stands.
    ChargeAlreadyRefunded(ChargeState),
    /// More than what is left of the charge.
    RefundExceedsCharge {
        /// What is left.
        refundable: Micros,
    },
    /// Too late for a system failure to refund by itself.
    RefundWindowClosed {
        /// Since when.
        closed_at: Timestamp,
    },
    /// No such grant in this workspace.
    GrantNotFound,
    /// No such open dispute in this workspace.
    DisputeNotFound,
    /// No such member in this workspace.
    MemberNotFound,
    /// The name of a member is taken.
    MemberExists,
    /// The last admin can neither leave nor be demoted.
    LastAdmin,
    /// No such API key in this workspace.
    ApiKeyNotFound,
    /// The link was followed before, or waited too long.
    PortalLinkExpired,
    /// A value that can never be right; names the field and says why.
    InvalidField {
        /// As the API spells it.
        field: &'static str,
        /// For people.
        why: &'static str,
    },
}

impl Refusal {
    /// The stable name of the refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::KeyReused { .. } => "idempotency_key_reused",
            Refusal::WorkspaceNotFound => "workspace_not_found",
            Refusal::ActorUnknown => "unauthenticated",
            Refusal::Forbidden { .. } => "forbidden",
            Refusal::WorkspaceSuspended => "workspace_suspended",
            Refusal::DebtOutstanding { .. } => "debt_outstanding",
            Refusal::OperationNotFound => "operation_not_found",
            Refusal::LimitExceeded { .. } => "limit_exceeded",
            Refusal::InsufficientCredits { .. } => "insufficient_credits",
            Refusal::WorkspaceExists => "workspace_exists",
            Refusal::ChargeNotFound => "charge_not_found",
            Refusal::ChargeAlreadySettled(_) => "charge_already_settled",
            Refusal::ChargeAlreadyRefunded(_) => "charge_already_refunded",
            Refusal::RefundExceedsCharge { .. } => "refund_exceeds_charge",
            Refusal::RefundWindowClosed { .. } => "refund_window_closed",
            Refusal::GrantNotFound => "grant_not_found",
            Refusal::DisputeNotFound => "dispute_not_found",
            Refusal::MemberNotFound => "member_not_found",
            Refusal::MemberExists => "member_exists",
            Refusal::LastAdmin => "last_admin",
            Refusal::ApiKeyNotFound => "api_key_not_found",
            Refusal::PortalLinkExpired => "portal_link_expired",
            Refusal::QuantityOutOfRange | Refusal::InvalidField { .. } => "invalid_field",
        }
    }
}
