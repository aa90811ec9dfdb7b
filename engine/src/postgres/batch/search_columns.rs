//! Rows of the tables `search` and `search_word`, by which workspaces are found.
//!
//! A batch writes them only for workspaces that are new, renamed, suspended or resumed, that begin
//! or cease to owe credit, or that are charged for the first time on a day. So nearly every batch
//! of charges writes none.

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::Account;

use super::accounts::ChangedSearch;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::DbSession;
use crate::postgres::database::sql::Sql;
use crate::workspace_search::{SearchRow, words};

/// Asserts that the columns of one statement have one length.
pub(super) fn assert_lengths<const N: usize>(table: &str, lengths: [usize; N]) {
    assert!(lengths.iter().all(|length| *length == lengths[0]), "columns of `{table}` differ in length");
}

/// One array per column.
#[derive(Debug, Default)]
pub(crate) struct SearchColumns<'a> {
    workspace: Vec<&'a str>,
    created_at: Vec<i64>,
    name: Vec<Box<str>>,
    suspended: Vec<bool>,
    debt: Vec<bool>,
    used_day: Vec<i64>,
    /// The workspaces whose older words are removed.
    renamed: Vec<&'a str>,
    word_workspace: Vec<&'a str>,
    word: Vec<String>,
    word_created_at: Vec<i64>,
}

impl<'a> SearchColumns<'a> {
    /// Adds the row of a workspace.
    pub(crate) fn push(&mut self, account: &'a Account, ChangedSearch { row, is_renamed }: ChangedSearch) {
        let (id, created_at) = (account.profile.id.as_str(), account.profile.created_at.millis());
        if is_renamed {
            self.renamed.push(id);
            for word in words(&row.name) {
                self.word_workspace.push(id);
                self.word.push(word);
                self.word_created_at.push(created_at);
            }
        }
        let SearchRow { name, suspended, has_debt, used_day } = row;
        self.workspace.push(id);
        self.created_at.push(created_at);
        self.name.push(name);
        self.suspended.push(suspended);
        self.debt.push(has_debt);
        self.used_day.push(used_day);
    }

    /// True if nothing is written.
    pub(super) fn is_empty(&self) -> bool {
        self.workspace.is_empty()
    }

    pub(super) fn assert_lengths(&self) {
        let SearchColumns { workspace, created_at, name, suspended, debt, used_day, .. } = self;
        let lengths =
            [workspace.len(), created_at.len(), name.len(), suspended.len(), debt.len(), used_day.len()];
        assert_lengths("search", lengths);
        let SearchColumns { word_workspace, word, word_created_at, .. } = self;
        assert_lengths("search_word", [word_workspace.len(), word.len(), word_created_at.len()]);
    }

    /// Sends the rows. The statements are sent at once and run in this order.
    pub(crate) async fn set(&self, session: &DbSession) -> Result<(), Failure> {
        let SearchColumns { workspace, created_at, name, suspended, debt, used_day, .. } = self;
        let rows: [&(dyn ToSql + Sync); 6] = [workspace, created_at, name, suspended, debt, used_day];
        let renamed: [&(dyn ToSql + Sync); 1] = [&self.renamed];
        let words: [&(dyn ToSql + Sync); 3] = [&self.word_workspace, &self.word, &self.word_created_at];
        let mut statements = vec![session.execute(Sql::SetSearchRows, &rows).boxed()];
        if !self.renamed.is_empty() {
            statements.push(session.execute(Sql::RemoveSearchWords, &renamed).boxed());
            statements.push(session.execute(Sql::AddSearchWords, &words).boxed());
        }
        try_join_all(statements).await.map(|_| ())
    }
}
