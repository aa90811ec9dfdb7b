//! Commands that are set aside or refused, so that the others of their batch can go on: those of an
//! account that another session has locked, those of an account that is damaged, and recounts that
//! come too soon.

use std::collections::BTreeSet;

use tollkeeper_ledger::{Submission, WorkspaceId};

use super::lane::Lane;
use super::open_batch::OpenBatch;
use super::prefetch;
use crate::Error;
use crate::postgres::database::failure::{DamagedWorkspace, Failure};
use crate::postgres::repairs::Repairs;

impl Lane {
    /// Finds out which accounts another session has locked, without waiting, and sets their
    /// commands aside. Returns whether there were any.
    pub(super) async fn set_aside_locked(&mut self, batch: &mut OpenBatch) -> bool {
        if !batch.can_shrink() {
            return false;
        }
        // The connection may be in a transaction that has failed.
        self.session = None;
        let mut workspaces: Vec<WorkspaceId> =
            batch.commands.iter().map(|(submission, _)| submission.workspace.clone()).collect();
        workspaces.sort_unstable();
        workspaces.dedup();
        let Ok(locked) = self.locked_among(&workspaces).await else { return false };
        batch.set_aside(&locked);
        self.locked.extend(locked.iter().cloned());
        !locked.is_empty()
    }

    /// Refuses commands that would count the limits of a workspace anew which has to wait for that.
    pub(super) fn refuse_early_recounts(&self, batch: &mut OpenBatch) {
        for place in (0..batch.commands.len()).rev().filter(|_| batch.can_shrink()).collect::<Vec<_>>() {
            let Submission { workspace, command, .. } = &batch.commands[place].0;
            let recounts = || {
                let account = self.accounts.in_memory_of(workspace);
                account.is_none_or(|account| command.recount(account).is_some())
            };
            if command.may_recount() && self.accounts.recount_pauses.contains(workspace) && recounts() {
                batch.remove(place, Error::recount_too_soon());
            }
        }
    }

    /// Refuses the commands of workspaces whose repair has failed, and sets those aside whose
    /// account is being rebuilt. Their accounts are not read.
    pub(super) fn refuse_damaged(&self, batch: &mut OpenBatch) {
        if !batch.can_shrink() {
            return;
        }
        let workspaces = batch.commands.iter().map(|(submission, _)| &submission.workspace);
        for (workspace, refused) in self.shared.repairs.not_served(workspaces) {
            match refused {
                Some(error) => batch.remove_all_of(&workspace, &error),
                None => batch.set_aside(&[workspace]),
            }
        }
    }

    /// Asks for the repair of a damaged account, and sets its commands aside until then. If a
    /// repair has failed, they get its error. Other workspaces go on.
    pub(super) fn set_aside_damaged(&self, batch: &mut OpenBatch, damaged: &DamagedWorkspace) {
        let DamagedWorkspace { workspace, error } = damaged;
        match self.shared.repairs.ask(workspace, error) {
            Ok(()) => batch.set_aside(std::slice::from_ref(workspace)),
            Err(error) => batch.remove_all_of(workspace, &error),
        }
    }

    /// The error for a command that was set aside for too long.
    pub(super) fn why_aside(&self, workspace: &WorkspaceId) -> Error {
        let mut not_served = self.shared.repairs.not_served(std::iter::once(workspace));
        match not_served.pop() {
            Some((_, refused)) => refused.unwrap_or_else(Repairs::being_rebuilt),
            None => Error::unavailable("another session locks the account"),
        }
    }

    /// The workspaces whose accounts another session has locked now. Both are sorted by id.
    async fn locked_among(&mut self, workspaces: &[WorkspaceId]) -> Result<Vec<WorkspaceId>, Failure> {
        let session = self.open_session().await?;
        let free = prefetch::free_accounts(session, workspaces).await?;
        let is_locked = |workspace: &&WorkspaceId| !free.contains(workspace.as_str());
        Ok(workspaces.iter().filter(is_locked).cloned().collect())
    }

    /// Sets aside the commands of those workspaces that were locked before and still are.
    pub(super) async fn set_aside_still_locked(&mut self, batch: &mut OpenBatch) -> Result<(), Failure> {
        let workspaces: BTreeSet<WorkspaceId> = batch
            .commands
            .iter()
            .map(|(submission, _)| &submission.workspace)
            .filter(|workspace| self.locked.contains(*workspace))
            .cloned()
            .collect();
        if workspaces.is_empty() || !batch.can_shrink() {
            return Ok(());
        }
        let workspaces: Vec<WorkspaceId> = workspaces.into_iter().collect();
        let locked = self.locked_among(&workspaces).await?;
        for workspace in workspaces.iter().filter(|workspace| locked.binary_search(workspace).is_err()) {
            self.locked.remove(workspace);
        }
        batch.set_aside(&locked);
        Ok(())
    }
}
