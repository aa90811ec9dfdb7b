//! From the "no" of the ledger and the "not now" of an engine to the problem a client gets: one exhaustive match, so that
//! a new refusal does not compile before it has its status, its sentence and its numbers.

use tollkeeper_engine::Error;
use tollkeeper_ledger::{ChargeState, Micros, Period, Refusal, Subject, Timestamp, WorkspaceId, bounds};

use super::problem::{Code, Problem};
use crate::api::limits;
use crate::app::App;
use crate::wire::write::{Time, Usd};

/// The problem that a refusal is.
pub fn refused(app: &App, workspace: &WorkspaceId, refusal: Refusal) -> Problem {
    told(app, workspace, refusal).decided()
}

fn told(app: &App, workspace: &WorkspaceId, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::KeyReused { field } => Problem::new(
            Code::IdempotencyKeyReused,
            format!("The idempotency key was used for a request with another `{field}`; take a new key for a new request."),
        )
        .with("field", field),
        Refusal::WorkspaceNotFound => workspace_not_found(workspace.as_str()),
        Refusal::ActorUnknown => Problem::new(
            Code::Unauthenticated,
            "The key or session was ended a moment ago.",
        ),
        Refusal::Forbidden { why } => Problem::new(Code::Forbidden, why),
        Refusal::WorkspaceSuspended => Problem::new(
            Code::WorkspaceSuspended,
            "The platform suspended this workspace; it pays for nothing meanwhile.",
        ),
        Refusal::DebtOutstanding { debt } => Problem::new(
            Code::DebtOutstanding,
            format!("{} USD are owed after a lost payment; credit that comes in repays them first.", Usd(debt)),
        )
        .with_amount(["debt", "debt_usd"], debt),
        Refusal::OperationNotFound => Problem::new(
            Code::OperationNotFound,
            "The price book in force has no such operation.",
        ),
        Refusal::QuantityOutOfRange => {
            Problem::field("quantity", &format!("must be 1 to {}", bounds::QUANTITY_MAX))
        }
        Refusal::LimitExceeded { subject, period, required, limit, remaining, resets_at } => {
            limit_exceeded((&subject, period), [required, limit, remaining], resets_at)
        }
        Refusal::InsufficientCredits { required, available, affordable_quantity } => {
            insufficient_credits(app, workspace, required, available, affordable_quantity)
        }
        Refusal::WorkspaceExists => Problem::new(
            Code::WorkspaceExists,
            format!("There is a workspace `{workspace}` already."),
        ),
        Refusal::ChargeNotFound => charge_not_found(),
        Refusal::ChargeAlreadySettled(state) => stands(Code::ChargeAlreadySettled, state),
        Refusal::ChargeAlreadyRefunded(state) => stands(Code::ChargeAlreadyRefunded, state),
        Refusal::RefundExceedsCharge { refundable } => Problem::new(
            Code::RefundExceedsCharge,
            format!("At most {refundable} micro-units of this charge can still go back."),
        )
        .with_amount(["refundable", "refundable_usd"], refundable),
        Refusal::RefundWindowClosed { closed_at } => Problem::new(
            Code::RefundWindowClosed,
            "The charge was settled too long ago for a late failure to refund it; the platform still can, with a reason.",
        )
        .with("closed_at", Time(closed_at).to_string()),
        Refusal::GrantNotFound => grant_not_found(),
        Refusal::DisputeNotFound => {
            Problem::new(Code::DisputeNotFound, "This workspace has no such open dispute.")
        }
        Refusal::MemberNotFound => member_not_found(),
        Refusal::MemberExists => Problem::new(Code::MemberExists, "The workspace has a member of this id already."),
        Refusal::LastAdmin => Problem::new(
            Code::LastAdmin,
            "This is the workspace's last admin, without whom nobody could buy credits; make another member an admin first.",
        ),
        Refusal::ApiKeyNotFound => api_key_not_found(),
        Refusal::PortalLinkExpired => portal_link_expired(),
        Refusal::UsedQuantityOutOfRange => {
            Problem::field("quantity", "must be at least 1 and at most what was paid for")
        }
        Refusal::InvalidField { field, why } => Problem::field(field, why),
    }
}

/// No workspace of this name, or no name that a workspace could have.
pub fn workspace_not_found(name: &str) -> Problem {
    let shown: String = name.chars().take(bounds::NAME_MAX_BYTES).collect();
    Problem::new(Code::WorkspaceNotFound, format!("There is no workspace `{shown}`."))
}

/// No charge of this name in the workspace.
pub fn charge_not_found() -> Problem {
    Problem::new(Code::ChargeNotFound, "This workspace has no such charge.")
}

/// No grant of this name in the workspace.
pub fn grant_not_found() -> Problem {
    Problem::new(Code::GrantNotFound, "This workspace has no such grant.")
}

/// No member of this name in the workspace.
pub fn member_not_found() -> Problem {
    Problem::new(Code::MemberNotFound, "This workspace has no such member.")
}

/// No API key of this id in the workspace.
pub fn api_key_not_found() -> Problem {
    Problem::new(Code::ApiKeyNotFound, "This workspace has no such API key.")
}

/// A link that signs nobody in (any more).
pub fn portal_link_expired() -> Problem {
    Problem::new(
        Code::PortalLinkExpired,
        "The link signs in once and within ten minutes; ask for a new one where this one came from.",
    )
}

fn insufficient_credits(
    app: &App,
    workspace: &WorkspaceId,
    required: Micros,
    available: Micros,
    affordable_quantity: i64,
) -> Problem {
    let shortfall = required - available;
    let detail = format!(
        "This costs {} USD and {} USD are available; {} USD are missing. Nothing was deducted.",
        Usd(required),
        Usd(available),
        Usd(shortfall)
    );
    Problem::new(Code::InsufficientCredits, detail)
        .with_amount(["required", "required_usd"], required)
        .with_amount(["available", "available_usd"], available)
        .with_amount(["shortfall", "shortfall_usd"], shortfall)
        .with("affordable_quantity", affordable_quantity)
        .with("add_credits_url", app.add_credits_url(workspace))
}

fn limit_exceeded(
    (subject, period): (&Subject, Period),
    [required, limit, remaining]: [Micros; 3],
    resets_at: Timestamp,
) -> Problem {
    let (kind, id) = limits::subject(subject);
    let who = match (subject, &id) {
        (Subject::Workspace, _) => "The workspace".to_owned(),
        (Subject::ApiKey(_), Some(id)) => format!("The API key {id}"),
        (_, Some(id)) => format!("The {kind} {id}"),
        (_, None) => format!("The {kind}"),
    };
    let detail = format!(
        "This costs {} USD. {who} may spend {} USD a {}, of which {} USD are left; the next {} begins at {}. Nothing was deducted.",
        Usd(required),
        Usd(limit),
        period.as_str(),
        Usd(remaining),
        period.as_str(),
        Time(resets_at),
    );
    Problem::new(Code::LimitExceeded, detail)
        .with("subject", kind)
        .with("id", id)
        .with("period", period.as_str())
        .with_amount(["required", "required_usd"], required)
        .with_amount(["limit", "limit_usd"], limit)
        .with_amount(["remaining", "remaining_usd"], remaining)
        .with("resets_at", Time(resets_at).to_string())
}

/// Says what stands of a charge that cannot become what was asked.
fn stands(code: Code, state: ChargeState) -> Problem {
    let ChargeState { status, outcome, refunded, quantity, deadline: _ } = state;
    let said = outcome.map_or("none", |outcome| outcome.as_str());
    let detail =
        format!("The charge stands as {} with the outcome {said}; nothing was changed.", status.as_str());
    Problem::new(code, detail)
        .with("charge_status", status.as_str())
        .with("outcome", outcome.map(|outcome| outcome.as_str()))
        .with("quantity", quantity)
        .with_amount(["refunded_amount", "refunded_amount_usd"], refunded)
}

/// The problem that an engine's error is. Only what the caller can act on is told; the rest goes to the log under an id.
pub fn failed(error: &Error) -> Problem {
    if error.is_overloaded() {
        Problem::new(
            Code::Overloaded,
            "The server has as much to do as it can hold, and did nothing of this; ask again in a moment.",
        )
    } else if error.is_unavailable() || error.is_unusable() {
        tracing::error!(%error, hint = error.hint(), "the store is not available");
        Problem::new(
            Code::StoreUnavailable,
            "The store takes no requests at present; ask again in a moment. Under the same idempotency key it is done once.",
        )
    } else if error.is_bad_cursor() {
        Problem::parameter("cursor", "is not one that this list gave out")
    } else {
        // Damage and bugs: nothing a caller can do about, and nothing that a caller should read.
        internal(&format_args!("{error}"))
    }
}

/// A bug or damage: the id is in the log beside what happened, and nothing else is told.
pub fn internal(what: &dyn std::fmt::Display) -> Problem {
    let mut bytes = [0_u8; 8];
    // Without entropy the id is zeros, and the log still has the time.
    let _ = getrandom::fill(&mut bytes);
    let id = format!("err_{:016x}", u64::from_be_bytes(bytes));
    tracing::error!(id, "{what}");
    let detail = format!(
        "The request could not be answered; the server's log says why under {id}. Under the same idempotency key it is safe to ask again."
    );
    Problem::new(Code::InternalError, detail).with("id", id)
}
