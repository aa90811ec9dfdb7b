//! Decides about operators of the console: their sessions, and what they may do.
//!
//! A session begins by the clock of the server, as the cookie of a browser does. An act is decided
//! by the present time of its workspace, as that of an API key is. The secret that lets an operator
//! sign in is checked before, by the server.

use super::view::{Clocks, View};
use crate::{
    ChargeCommand, Command, EntryBody, OperatorAct, OperatorCommand, OperatorSession, OperatorSessionId,
    PaymentCommand, PaymentRefundCommand, Refusal, SubscriptionCommand, WorkspaceChanges, bounds,
};

const NOT_AN_ACT: &str = "Operators cannot do this in the console.";

/// Decides a command about sessions; none if it would change nothing.
///
/// # Errors
/// `InvalidField`.
pub(super) fn decide(
    view: &View,
    command: OperatorCommand,
    clocks: Clocks,
) -> Result<Vec<EntryBody>, Refusal> {
    match command {
        OperatorCommand::SignIn { operator, session: hash, valid_for_seconds } => {
            if !(1..=bounds::OPERATOR_SESSION_MAX_SECONDS).contains(&valid_for_seconds) {
                return Err(Refusal::InvalidField { field: "valid_for_seconds", why: "must be 1 to 86400" });
            }
            let (created_at, expires_at) = (clocks.server, clocks.server.plus_seconds(valid_for_seconds));
            let id = OperatorSessionId(view.fresh_id);
            let session = OperatorSession { id, operator, hash, created_at, expires_at };
            assert!(session.is_valid_at(clocks.server), "a session must be valid when it begins");
            Ok(vec![EntryBody::OperatorSignedIn(Box::new(session))])
        }
        OperatorCommand::SignOut(ended) => {
            let is_concerned = view.platform.operators.is_concerned(ended);
            Ok(if is_concerned { vec![EntryBody::OperatorSignedOut(ended)] } else { Vec::new() })
        }
    }
}

/// Refuses an act in a workspace that does not exist, by someone without a session, without a
/// reason, or beyond what the console does.
///
/// # Errors
/// `WorkspaceNotFound`, `Unauthenticated`, `Forbidden`, `InvalidField`.
pub(super) fn check(
    view: &View,
    act: &OperatorAct,
    command: &Command,
    clocks: Clocks,
) -> Result<(), Refusal> {
    let account = view.account()?;
    if !view.platform.operators.has(&act.operator, clocks.present) {
        return Err(Refusal::Unauthenticated);
    }
    if !is_act(command) {
        return Err(Refusal::Forbidden { why: NOT_AN_ACT });
    }
    let is_reason = !act.reason.trim().is_empty() && act.reason.chars().count() <= bounds::TEXT_MAX_CHARS;
    if !is_reason {
        return Err(Refusal::InvalidField { field: "reason", why: "must have 1 to 255 characters" });
    }
    assert!(!account.profile.id.is_platform(), "an operator must act in a workspace");
    Ok(())
}

/// What operators do: grant and take back credit, refund, suspend, and confirm payments.
fn is_act(command: &Command) -> bool {
    match command {
        Command::Grant(_)
        | Command::VoidGrant { .. }
        | Command::ExistingCharge { command: ChargeCommand::Refund { .. }, .. } => true,
        Command::UpdateWorkspace(changes) => {
            let WorkspaceChanges { name, timezone, metadata, suspended } = changes;
            name.is_none() && timezone.is_none() && metadata.is_none() && suspended.is_some()
        }
        Command::Payment(command) => matches!(
            command,
            PaymentCommand::ConfirmTopUp(_)
                | PaymentCommand::Refund(PaymentRefundCommand::Request { .. })
                | PaymentCommand::Subscription(SubscriptionCommand::Confirm { .. })
        ),
        _ => false,
    }
}
