//! The writes of a batch as one array per column, and the statements that send them.
//!
//! Each group of arrays belongs to one statement. Its arrays have one length, which is asserted
//! before sending: `unnest` would otherwise pad the shorter arrays with NULL.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::{Payments, Timestamp};

use super::accounts::Accounts;
use super::search_columns::{SearchColumns, assert_lengths};
use super::texts::TextRow;
use super::unsent_columns::UnsentColumns;
use super::usage_columns::{TimezoneColumns, UsageColumns};
use super::write::{BatchWrites, UsageWrite};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::seal::{sealed, sealed_account};
use crate::postgres::database::session::{DbSession, Uuid, column, with_timeout};
use crate::postgres::database::sql::Sql;

pub(super) type Param<'p> = &'p (dyn ToSql + Sync);

/// Rows of the table `account`.
#[derive(Default)]
struct AccountColumns<'a> {
    workspace: Vec<&'a str>,
    /// The number of the last entry that the decision saw.
    before: Vec<i64>,
    n: Vec<i64>,
    created_at: Vec<i64>,
    data: Vec<Vec<u8>>,
    usage: Vec<Vec<u8>>,
}

/// Accounts that the batch does not write, but that its decisions relied on: they must still be at
/// these entry numbers.
#[derive(Default)]
struct CheckedColumns<'a> {
    workspace: Vec<&'a str>,
    n: Vec<i64>,
}

/// Idempotency keys that must still be free.
#[derive(Default)]
struct UnusedKeyColumns<'a> {
    workspace: Vec<&'a str>,
    key: Vec<Uuid>,
}

/// Rows of the table `entry`.
#[derive(Default)]
struct EntryColumns<'a> {
    workspace: Vec<&'a str>,
    n: Vec<i64>,
    key: Vec<Option<Uuid>>,
    opening_entry: Vec<Option<i64>>,
    data: Vec<&'a [u8]>,
}

/// Rows of the table `lot`, which holds grants.
#[derive(Default)]
struct GrantColumns<'a> {
    workspace: Vec<&'a str>,
    n: Vec<i64>,
    data: Vec<&'a [u8]>,
}

/// Rows of the table `pending` to insert or update.
#[derive(Default)]
struct PendingColumns<'a> {
    workspace: Vec<&'a str>,
    n: Vec<i64>,
    charge: Vec<Uuid>,
    deadline: Vec<i64>,
}

/// Rows of the table `pending` to delete.
#[derive(Default)]
struct EndedColumns<'a> {
    workspace: Vec<&'a str>,
    n: Vec<i64>,
}

/// Rows of the table `team`.
#[derive(Default)]
struct TeamColumns<'a> {
    workspace: Vec<&'a str>,
    data: Vec<Vec<u8>>,
}

/// Rows of the table `payments`.
#[derive(Default)]
pub(crate) struct PaymentColumns<'a> {
    workspace: Vec<&'a str>,
    data: Vec<Vec<u8>>,
    due_at: Vec<Option<i64>>,
}

/// Rows of the table `personal` to insert.
#[derive(Default)]
struct TextColumns<'a> {
    workspace: Vec<&'a str>,
    member: Vec<&'a str>,
    digest: Vec<&'a [u8]>,
    n: Vec<i64>,
    salt: Vec<Option<&'a [u8]>>,
    text: Vec<Option<&'a [u8]>>,
}

/// Members whose rows of the table `personal` are erased.
#[derive(Default)]
struct ErasedColumns<'a> {
    workspace: Vec<&'a str>,
    member: Vec<&'a str>,
}

/// The platform's entry number before and after the batch.
#[derive(Default)]
struct PlatformColumns {
    before: i64,
    after: i64,
}

/// Everything that a batch sends.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    updated: AccountColumns<'a>,
    added: AccountColumns<'a>,
    checked_only: CheckedColumns<'a>,
    unused: UnusedKeyColumns<'a>,
    entries: EntryColumns<'a>,
    grant_rows: GrantColumns<'a>,
    pending: PendingColumns<'a>,
    ended: EndedColumns<'a>,
    usage: UsageColumns<'a>,
    timezones: TimezoneColumns<'a>,
    teams: TeamColumns<'a>,
    payments: PaymentColumns<'a>,
    texts: TextColumns<'a>,
    erased: ErasedColumns<'a>,
    search: SearchColumns<'a>,
    unsent: UnsentColumns<'a>,
    platform: PlatformColumns,
    accepts: bool,
}

impl<'a> Columns<'a> {
    /// Builds the columns. `touched` are the accounts of the batch in the order in which they are
    /// locked.
    pub(crate) fn new(writes: &'a BatchWrites, accounts: &'a Accounts, touched: &[usize]) -> Columns<'a> {
        let id = |account_index: usize| accounts.get(account_index).account.profile.id.as_str();
        assert!(
            touched.is_sorted_by(|a, b| id(*a) < id(*b)),
            "accounts are locked once each, in the order of their workspace ids"
        );
        let platform = &writes.platform;
        let platform = PlatformColumns { before: platform.before as i64, after: platform.after as i64 };
        let mut columns = Columns { platform, accepts: writes.accepts, ..Columns::default() };
        for account_index in touched {
            columns.push_account(accounts, *account_index);
        }
        columns.push_entries(writes, accounts, touched);
        columns.push_pending(writes, accounts);
        for key in &writes.unused_keys {
            columns.unused.workspace.push(id(key.account_index));
            columns.unused.key.push(key.key_digest);
        }
        for (entry, bytes) in &writes.grant_rows {
            columns.grant_rows.workspace.push(id(entry.account_index));
            columns.grant_rows.n.push(entry.n as i64);
            columns.grant_rows.data.push(bytes);
        }
        for UsageWrite { account_index, key, used } in &writes.usage {
            columns.usage.push(id(*account_index), key, used);
        }
        for account_index in &writes.updated_profiles {
            columns.timezones.push(&accounts.get(*account_index).account.profile);
        }
        columns.push_texts(writes, accounts);
        columns.unsent = UnsentColumns::new(writes, accounts, touched);
        columns.assert_lengths();
        columns
    }

    /// Adds an account to the table it belongs to: new, changed, or only checked.
    fn push_account(&mut self, accounts: &'a Accounts, account_index: usize) {
        let slot = accounts.get(account_index);
        let account = &slot.account;
        let id = account.profile.id.as_str();
        if !slot.is_changed() {
            if account.exists() {
                self.checked_only.workspace.push(id);
                self.checked_only.n.push(account.chain.n as i64);
            }
            return;
        }
        assert!(account.chain.n > slot.stored_n, "i02: an account only ever gains entries");
        let table = if slot.stored_n == 0 { &mut self.added } else { &mut self.updated };
        let (team, payments) = (slot.changed_team_row(), slot.changed_payments_row());
        let companions = slot.companions(team.as_deref(), payments.as_deref());
        let data = sealed_account(384, companions, |bytes| account.encode(bytes));
        let usage = sealed(128, |bytes| slot.hour.encode(bytes));
        table.workspace.push(id);
        table.before.push(slot.stored_n as i64);
        table.n.push(account.chain.n as i64);
        table.created_at.push(account.profile.created_at.millis());
        table.data.push(data);
        table.usage.push(usage);
        if let Some(team) = team {
            self.teams.workspace.push(id);
            self.teams.data.push(team);
        }
        if let (Some(payments), Some(row)) = (slot.changed_payments(), payments) {
            self.payments.push(id, payments, row);
        }
        if let Some(changed) = slot.changed_search() {
            self.search.push(account, changed);
        }
    }

    /// Adds the entries in the order of the accounts, and by number within each.
    fn push_entries(&mut self, writes: &'a BatchWrites, accounts: &'a Accounts, touched: &[usize]) {
        let id = |account_index: usize| accounts.get(account_index).account.profile.id.as_str();
        let rank = |account_index: usize| {
            let workspace = id(account_index);
            touched.partition_point(|other| id(*other) < workspace)
        };
        // The entries of one account are recorded in the order of their numbers, so the index
        // orders them.
        let entries = writes.entries.iter().enumerate();
        let mut order: Vec<(usize, usize)> =
            entries.map(|(index, entry)| (rank(entry.account_index), index)).collect();
        order.sort_unstable();
        let mut last: Option<(usize, u64)> = None;
        for (_, index) in order {
            let entry = &writes.entries[index];
            let before = match last {
                Some((account_index, n)) if account_index == entry.account_index => n,
                _ => accounts.get(entry.account_index).stored_n,
            };
            assert_eq!(entry.n, before + 1, "i02: entries are numbered without gaps");
            last = Some((entry.account_index, entry.n));
            self.entries.workspace.push(id(entry.account_index));
            self.entries.n.push(entry.n as i64);
            self.entries.key.push(entry.key);
            self.entries.opening_entry.push(entry.opening_entry.map(|n| n as i64));
            self.entries.data.push(writes.entry_bytes(index));
        }
    }

    fn push_pending(&mut self, writes: &'a BatchWrites, accounts: &'a Accounts) {
        for (entry, write) in &writes.pending {
            let workspace = accounts.get(entry.account_index).account.profile.id.as_str();
            match write.deadline {
                Some(deadline) => {
                    self.pending.workspace.push(workspace);
                    self.pending.n.push(entry.n as i64);
                    self.pending.charge.push(Uuid(write.charge.0.to_bytes()));
                    self.pending.deadline.push(deadline.millis());
                }
                None => {
                    self.ended.workspace.push(workspace);
                    self.ended.n.push(entry.n as i64);
                }
            }
        }
    }

    fn push_texts(&mut self, writes: &'a BatchWrites, accounts: &'a Accounts) {
        let id = |account_index: usize| accounts.get(account_index).account.profile.id.as_str();
        for (account_index, member) in &writes.texts.erased {
            self.erased.workspace.push(id(*account_index));
            self.erased.member.push(member.as_str());
        }
        for (((account_index, member), digest), TextRow { n, text }) in &writes.texts.added {
            self.texts.workspace.push(id(*account_index));
            self.texts.member.push(member.as_str());
            self.texts.digest.push(digest);
            self.texts.n.push(*n as i64);
            self.texts.salt.push(text.as_ref().map(|text| &text.salt[..]));
            self.texts.text.push(text.as_ref().map(|text| text.text.as_bytes()));
        }
    }

    fn assert_lengths(&self) {
        for accounts in [&self.updated, &self.added] {
            let AccountColumns { workspace, before, n, created_at, data, usage } = accounts;
            let lengths = [workspace.len(), before.len(), n.len(), created_at.len(), data.len(), usage.len()];
            assert_lengths("account", lengths);
        }
        let EntryColumns { workspace, n, key, opening_entry, data } = &self.entries;
        assert_lengths("entry", [workspace.len(), n.len(), key.len(), opening_entry.len(), data.len()]);
        assert_lengths(
            "lot",
            [self.grant_rows.workspace.len(), self.grant_rows.n.len(), self.grant_rows.data.len()],
        );
        let PendingColumns { workspace, n, charge, deadline } = &self.pending;
        assert_lengths("pending", [workspace.len(), n.len(), charge.len(), deadline.len()]);
        self.usage.assert_lengths();
        self.search.assert_lengths();
        self.unsent.assert_lengths();
        assert_lengths("team", [self.teams.workspace.len(), self.teams.data.len()]);
        let PaymentColumns { workspace, data, due_at } = &self.payments;
        assert_lengths("payments", [workspace.len(), data.len(), due_at.len()]);
        let TextColumns { workspace, member, digest, n, salt, text } = &self.texts;
        let lengths = [workspace.len(), member.len(), digest.len(), n.len(), salt.len(), text.len()];
        assert_lengths("personal", lengths);
        assert_lengths("personal", [self.erased.workspace.len(), self.erased.member.len()]);
    }

    /// True if the decisions relied on something that the batch does not write.
    pub(super) fn relies_on_unwritten(&self) -> bool {
        !self.checked_only.workspace.is_empty() || !self.unused.workspace.is_empty()
    }

    /// True if an answer says that a command was accepted.
    pub(super) fn accept_a_command(&self) -> bool {
        self.accepts
    }

    /// True if the batch writes nothing.
    pub(super) fn have_no_entries(&self) -> bool {
        self.entries.workspace.is_empty()
    }

    /// True if the batch only updates accounts and adds entries, as nearly every batch does.
    pub(super) fn only_update_accounts_and_add_entries(&self) -> bool {
        let Columns { updated, added, grant_rows, pending, ended, usage, teams, platform, .. } = self;
        let Columns { payments, texts, erased, search, unsent, timezones, .. } = self;
        !updated.workspace.is_empty()
            && added.workspace.is_empty()
            && grant_rows.workspace.is_empty()
            && pending.workspace.is_empty()
            && ended.workspace.is_empty()
            && usage.is_empty()
            && timezones.is_empty()
            && teams.workspace.is_empty()
            && payments.workspace.is_empty()
            && texts.workspace.is_empty()
            && erased.workspace.is_empty()
            && search.is_empty()
            && unsent.is_empty()
            && platform.before == platform.after
    }

    /// Sends accounts and entries as one statement, which is a transaction by itself.
    pub(super) async fn update_accounts_and_add_entries(&self, session: &DbSession) -> Result<(), Failure> {
        let AccountColumns { workspace, before, n, data, usage, .. } = &self.updated;
        let EntryColumns { workspace: entry_workspace, n: entry_n, key, opening_entry, data: entry_data } =
            &self.entries;
        let platform = &self.platform.before;
        let params: [Param<'_>; 11] = [
            workspace,
            before,
            n,
            data,
            usage,
            platform,
            entry_workspace,
            entry_n,
            key,
            opening_entry,
            entry_data,
        ];
        session.query(Sql::UpdateAccountsAndAddEntries, &params).await?;
        Ok(())
    }

    /// Fails with a conflict unless everything that the decisions relied on is unchanged. Returns
    /// whether commits wait for a standby.
    pub(super) async fn check_guard(&self, session: &DbSession) -> Result<bool, Failure> {
        let Columns { checked_only, unused, platform, .. } = self;
        let params: [Param<'_>; 5] =
            [&checked_only.workspace, &checked_only.n, &unused.workspace, &unused.key, &platform.before];
        let rows = session.query(Sql::CheckGuard, &params).await?;
        let waits = rows.first().map_or(Ok(false), |row| column(row, 0))?;
        // The setting is that of the node which was asked, and each node may have standbys.
        Ok(waits || session.is_distributed())
    }

    /// Waits until the standby has everything that the answers rely on. A row lock writes a WAL
    /// record, so its commit waits. The standby confirms WAL positions in order, and what was read
    /// has an earlier one. One account is enough, except where accounts are on several nodes.
    pub(super) async fn wait_for_standby(&self, session: &DbSession) -> Result<(), Failure> {
        let accounts = if session.is_distributed() { usize::MAX } else { 1 };
        for workspace in self.checked_only.workspace.iter().take(accounts) {
            with_timeout(session.execute(Sql::LockAccount, &[workspace])).await??;
        }
        Ok(())
    }

    /// Adds the statements of the batch, in the order in which they are sent: the guard if it is
    /// needed, then the accounts.
    pub(super) fn push_statements<'s>(
        &'s self,
        session: &'s DbSession,
        statements: &mut Vec<BoxFuture<'s, Result<(), Failure>>>,
        with_guard: bool,
    ) {
        let Columns { updated, added, entries, grant_rows, pending, ended, usage, teams, platform, .. } =
            self;
        let Columns { payments, texts, erased, search, unsent, timezones, .. } = self;
        // Updating accounts checks the platform's number too; a batch that only adds accounts needs
        // the guard.
        if with_guard || (updated.workspace.is_empty() && !entries.workspace.is_empty()) {
            statements.push(self.check_guard(session).map_ok(drop).boxed());
        }
        if !updated.workspace.is_empty() {
            statements.push(updated.update(session, &platform.before).boxed());
        }
        if !added.workspace.is_empty() {
            statements.push(added.add(session).boxed());
        }
        if !entries.workspace.is_empty() {
            statements.push(entries.add(session).boxed());
        }
        if !timezones.is_empty() {
            statements.push(timezones.forget_others(session).boxed());
        }
        if !usage.is_empty() {
            statements.push(usage.reopen_days(session).boxed());
            statements.push(usage.add(session).boxed());
        }
        if !teams.workspace.is_empty() {
            statements.push(teams.set(session).boxed());
        }
        if !payments.workspace.is_empty() {
            statements.push(payments.set(session).boxed());
        }
        if !search.is_empty() {
            statements.push(search.set(session).boxed());
        }
        if !unsent.is_empty() {
            statements.push(unsent.add(session).boxed());
        }
        if !erased.workspace.is_empty() {
            statements.push(erased.erase(session).boxed());
        }
        if !texts.workspace.is_empty() {
            statements.push(texts.add(session).boxed());
        }
        if !grant_rows.workspace.is_empty() {
            statements.push(grant_rows.set(session).boxed());
        }
        if !pending.workspace.is_empty() || !ended.workspace.is_empty() {
            statements.push(self.set_and_remove_pending(session).boxed());
        }
        if platform.before != platform.after {
            statements.push(platform.update(session).boxed());
        }
    }

    async fn set_and_remove_pending(&self, session: &DbSession) -> Result<(), Failure> {
        let PendingColumns { workspace, n, charge, deadline } = &self.pending;
        let set: [Param<'_>; 4] = [workspace, n, charge, deadline];
        let remove: [Param<'_>; 2] = [&self.ended.workspace, &self.ended.n];
        let set = session.execute(Sql::SetPending, &set);
        let remove = session.execute(Sql::RemovePending, &remove);
        let (set, remove) = futures_util::join!(set, remove);
        set.and(remove)
    }
}

impl TextColumns<'_> {
    async fn add(&self, session: &DbSession) -> Result<(), Failure> {
        let TextColumns { workspace, member, digest, n, salt, text } = self;
        session.execute(Sql::AddTexts, &[workspace, member, digest, n, salt, text]).await
    }
}

impl ErasedColumns<'_> {
    async fn erase(&self, session: &DbSession) -> Result<(), Failure> {
        session.execute(Sql::EraseTexts, &[&self.workspace, &self.member]).await
    }
}

impl AccountColumns<'_> {
    async fn update(&self, session: &DbSession, platform: &i64) -> Result<(), Failure> {
        let AccountColumns { workspace, before, n, data, usage, .. } = self;
        let params: [Param<'_>; 6] = [workspace, before, n, data, usage, platform];
        // The statement itself fails with a conflict if an account is not at `before`.
        session.query(Sql::UpdateAccounts, &params).await?;
        Ok(())
    }

    async fn add(&self, session: &DbSession) -> Result<(), Failure> {
        let AccountColumns { workspace, n, created_at, data, usage, .. } = self;
        session.execute(Sql::AddAccounts, &[workspace, n, created_at, data, usage]).await
    }
}

impl EntryColumns<'_> {
    async fn add(&self, session: &DbSession) -> Result<(), Failure> {
        let EntryColumns { workspace, n, key, opening_entry, data } = self;
        session.execute_for(Sql::AddEntries, &[workspace, n, key, opening_entry, data], workspace.len()).await
    }
}

impl GrantColumns<'_> {
    async fn set(&self, session: &DbSession) -> Result<(), Failure> {
        let GrantColumns { workspace, n, data } = self;
        session.execute(Sql::SetGrantRows, &[workspace, n, data]).await
    }
}

impl TeamColumns<'_> {
    async fn set(&self, session: &DbSession) -> Result<(), Failure> {
        let TeamColumns { workspace, data } = self;
        session.execute(Sql::SetTeams, &[workspace, data]).await
    }
}

impl<'a> PaymentColumns<'a> {
    /// Adds the row of the payments of a workspace, with the time at which they need attention.
    pub(crate) fn push(&mut self, workspace: &'a str, payments: &Payments, row: Vec<u8>) {
        self.workspace.push(workspace);
        self.data.push(row);
        self.due_at.push(payments.due_at().map(Timestamp::millis));
    }

    pub(crate) async fn set(&self, session: &DbSession) -> Result<(), Failure> {
        let PaymentColumns { workspace, data, due_at } = self;
        session.execute(Sql::SetPayments, &[workspace, data, due_at]).await
    }
}

impl PlatformColumns {
    async fn update(&self, session: &DbSession) -> Result<(), Failure> {
        let PlatformColumns { before, after } = self;
        session.execute(Sql::UpdatePlatform, &[before, after]).await
    }
}
