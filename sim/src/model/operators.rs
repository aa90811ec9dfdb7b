//! The rules of operators: their sessions, and what they may do.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    ChargeCommand, Command, Hash, OperatorAct, OperatorCommand, OperatorId, OperatorSession, PaymentCommand,
    PaymentRefundCommand, Refusal, SubscriptionCommand, Timestamp, WorkspaceChanges,
};

use super::Model;
use super::charges::invalid;

/// A session of an operator, without its id: the engine chooses that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who acts in it.
    pub operator: OperatorId,
    /// The hash of its secret.
    pub hash: Hash,
    /// The time of its beginning.
    pub created_at: Timestamp,
    /// The first instant at which it is no longer valid.
    pub expires_at: Timestamp,
}

impl From<&OperatorSession> for Session {
    fn from(session: &OperatorSession) -> Session {
        let OperatorSession { id: _, operator, hash, created_at, expires_at } = session.clone();
        Session { operator, hash, created_at, expires_at }
    }
}

impl Model {
    pub(super) fn run_operator(
        &mut self,
        command: &OperatorCommand,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        match command {
            OperatorCommand::SignIn { operator, session, valid_for_seconds } => {
                if *valid_for_seconds < 1 || *valid_for_seconds > 86_400 {
                    return Err(invalid("valid_for_seconds"));
                }
                self.operators.retain(|session| session.expires_at > now);
                if self.operators.len() == 100 {
                    self.operators.remove(0);
                }
                self.operators.push(Session {
                    operator: operator.clone(),
                    hash: *session,
                    created_at: now,
                    expires_at: now.plus_seconds(*valid_for_seconds),
                });
            }
            // A session in particular is ended by its id, which the model does not know.
            OperatorCommand::SignOut(Some(_)) => return Ok(Output::Done),
            OperatorCommand::SignOut(None) if self.operators.is_empty() => return Ok(Output::Done),
            OperatorCommand::SignOut(None) => self.operators.clear(),
        }
        self.operator_changes += 1;
        self.platform_at = self.platform_at.max(now);
        Ok(Output::Done)
    }

    /// Whether an operator may do this in a workspace whose present time is `present`.
    pub(super) fn admit_operator(
        &self,
        act: &OperatorAct,
        command: &Command,
        present: Timestamp,
    ) -> Result<(), Refusal> {
        let is_valid = |session: &&Session| session.operator == act.operator && session.expires_at > present;
        if !self.operators.iter().any(|session| is_valid(&session)) {
            return Err(Refusal::Unauthenticated);
        }
        let suspends = WorkspaceChanges { suspended: Some(true), ..WorkspaceChanges::default() };
        let resumes = WorkspaceChanges { suspended: Some(false), ..WorkspaceChanges::default() };
        let may = match command {
            Command::Grant(_) | Command::VoidGrant { .. } => true,
            Command::UpdateWorkspace(changes) => *changes == suspends || *changes == resumes,
            Command::ExistingCharge { command, .. } => matches!(command, ChargeCommand::Refund { .. }),
            Command::Payment(PaymentCommand::ConfirmTopUp(_)) => true,
            Command::Payment(PaymentCommand::Refund(command)) => {
                matches!(command, PaymentRefundCommand::Request { .. })
            }
            Command::Payment(PaymentCommand::Subscription(command)) => {
                matches!(command, SubscriptionCommand::Confirm { .. })
            }
            _ => false,
        };
        if !may {
            return Err(Refusal::Forbidden { why: "" });
        }
        let characters = act.reason.chars().count();
        if act.reason.trim().is_empty() || characters > 255 { Err(invalid("reason")) } else { Ok(()) }
    }

    /// The sessions of operators, oldest first.
    #[must_use]
    pub fn operators(&self) -> &[Session] {
        &self.operators
    }
}
