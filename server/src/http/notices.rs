//! What follows a refused charge: credit may be bought, and the refusal may be noted in the
//! journal.
//!
//! The caller gets the refusal in any case. A notice is sent on a task of its own and is dropped if
//! the engine's queue is full, so it never delays a refusal.

use std::sync::Arc;

use tollkeeper_ledger::{
    Actor, AutoTopUpCommand, Command, OperationId, PaymentCommand, Refusal, RefusedCharge, Submission,
    Timestamp, WorkspaceId,
};

use super::call::Call;
use crate::app::App;
use crate::observe::refusals::Cause;

/// Charges of one workspace that were refused for the same reason.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The workspace that was to be charged.
    pub workspace: &'a WorkspaceId,
    /// The operation of one of them.
    pub operation: &'a OperationId,
    /// The refusal of that one.
    pub refusal: &'a Refusal,
    /// How many there were.
    pub count: u64,
}

impl<'a> Refused<'a> {
    /// Adds a charge that was refused for the same reason. One that may buy credit counts for all.
    pub fn add(&mut self, operation: &'a OperationId, refusal: &'a Refusal) {
        self.count += 1;
        if buys_credit(refusal) {
            (self.operation, self.refusal) = (operation, refusal);
        }
    }
}

/// True if an automatic top-up may be opened after the refusal.
fn buys_credit(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::InsufficientCredits { buys_credit: true, .. })
}

/// Why a charge was refused, if the admins are to know of it.
pub fn cause(refusal: &Refusal) -> Option<Cause> {
    match refusal {
        Refusal::InsufficientCredits { .. } => Some(Cause::Credit),
        Refusal::LimitExceeded { subject, period, .. } => Some(Cause::Limit(subject.clone(), *period)),
        _ => None,
    }
}

impl Call {
    /// Does what follows from refused charges.
    pub async fn after_refusal(&self, refused: Refused<'_>) {
        self.note(refused);
        self.buy_credit(refused.workspace, refused.refusal).await;
    }

    /// Sends the command that notes refused charges, if one is due.
    fn note(&self, refused: Refused<'_>) {
        let Some(cause) = cause(refused.refusal) else { return };
        let Refused { workspace, operation, refusal, count } = refused;
        let Some(refusals) = self.app.refusals.count(workspace, cause.clone(), count, self.now) else {
            return;
        };
        let command = match refusal {
            Refusal::InsufficientCredits { required, available, .. } => {
                let (operation, required, available) = (operation.clone(), *required, *available);
                Command::NoteRefused(RefusedCharge { operation, required, available, refusals })
            }
            Refusal::LimitExceeded { subject, period, resets_at, .. } => {
                Command::NoteLimit { subject: subject.clone(), period: *period, resets_at: *resets_at }
            }
            _ => return,
        };
        let submission =
            Submission { workspace: workspace.clone(), key: None, actor: Actor::System, command };
        tokio::spawn(send(Arc::clone(&self.app), submission, cause, refusals, self.now));
    }

    /// Buys credit for a charge that was refused for lack of it, if the rule of the workspace
    /// allows it now. The refusal stands in any case; the next one asks again.
    async fn buy_credit(&self, workspace: &WorkspaceId, refused: &Refusal) {
        if !buys_credit(refused) {
            return;
        }
        let command = Command::Payment(PaymentCommand::AutoTopUp(AutoTopUpCommand::OpenIfLow));
        let workspace = workspace.clone();
        let submission = Submission { workspace, key: None, actor: Actor::System, command };
        if let Err(error) = self.app.engine().run(submission, self.now).await {
            tracing::warn!(%error, "an automatic top-up could not be opened");
        }
    }
}

/// Sends a notice. If it is dropped, its refusals stay counted for the next one.
async fn send(app: Arc<App>, submission: Submission, cause: Cause, refusals: u64, now: Timestamp) {
    let workspace = submission.workspace.clone();
    match app.engine().run_or_shed(submission, now).await {
        Ok(Ok(answer)) if answer.changed => app.refusals.noted(&workspace, cause, refusals),
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => tracing::debug!(code = refusal.code(), "a refused charge was not noted"),
        Err(error) => tracing::debug!(%error, "a refused charge was not noted"),
    }
}
