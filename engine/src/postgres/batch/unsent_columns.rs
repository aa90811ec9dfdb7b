//! The row of the table `unsent` of a batch: the workspaces with entries that somebody follows.

use super::accounts::Accounts;
use super::search_columns::assert_lengths;
use super::write::BatchWrites;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::DbSession;
use crate::postgres::database::sql::Sql;

/// The lists of a row of the table `unsent`.
#[derive(Default)]
pub(crate) struct UnsentColumns<'a> {
    workspace: Vec<&'a str>,
    after_n: Vec<i64>,
    n: Vec<i64>,
}

impl<'a> UnsentColumns<'a> {
    /// The row of a batch that has touched these accounts.
    pub(super) fn new(writes: &BatchWrites, accounts: &'a Accounts, touched: &[usize]) -> UnsentColumns<'a> {
        let mut columns = UnsentColumns::default();
        for account_index in touched.iter().filter(|index| writes.followed.contains(index)) {
            let slot = accounts.get(*account_index);
            columns.workspace.push(slot.account.profile.id.as_str());
            columns.after_n.push(slot.stored_n as i64);
            columns.n.push(slot.account.chain.n as i64);
        }
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workspace.is_empty()
    }

    pub(super) fn assert_lengths(&self) {
        assert_lengths("unsent", [self.workspace.len(), self.after_n.len(), self.n.len()]);
    }

    pub(super) async fn add(&self, session: &DbSession) -> Result<(), Failure> {
        let first = self.workspace[0];
        session.execute(Sql::AddUnsent, &[&first, &self.workspace, &self.after_n, &self.n]).await
    }
}
