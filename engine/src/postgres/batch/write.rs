//! What a batch is about to write, table by table, and how it is sent: in one go, the transaction's end included.
//!
//! Keeps i02 and i07 without a lock: an account is changed only if it is where the decision saw it, and numbers and keys
//! are unique, so whatever another server wrote meanwhile makes the whole transaction fail. Accounts come first and in the
//! order of their names, so that two servers wait for each other in one direction only: whoever has changed an account has
//! its team, its usage and its lots to itself.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::{ChargeId, MemberId, Spender, Timestamp, UsageKey, Used, WorkerId};

use super::accounts::Accounts;
use crate::Error;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{Session, Uuid, within};
use crate::postgres::database::sql::{self, Sql};

/// An entry that is to be written.
#[derive(Debug)]
pub(crate) struct EntryRow {
    /// Whose, by its number in memory.
    pub no: usize,
    pub n: u64,
    pub key: Option<Uuid>,
    pub opened: Option<u64>,
    /// Where its bytes end; they begin where those of the entry before end.
    pub end: usize,
}

/// What a batch is about to write, and what it relied on without writing it.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub bytes: Vec<u8>,
    pub entries: Vec<EntryRow>,
    /// Charges by their account and the number of their opening, with their deadline while they are pending.
    pub pending: BTreeMap<(usize, u64), (ChargeId, Option<Timestamp>)>,
    /// How many more charges are pending afterwards.
    pub pending_change: i64,
    /// Grants that came or were spent, by their account and number.
    pub lots: BTreeMap<(usize, u64), Vec<u8>>,
    pub usage: Vec<(usize, UsageKey, Used)>,
    /// Keys under which nothing was written, because the answer was no: it counts only if they do not stand.
    pub unused_keys: Vec<(usize, Uuid)>,
    /// The platform's number before and after.
    pub platform: (u64, u64),
}

/// The last entries of a batch: when they are in the database byte by byte, the batch was committed.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    workspaces: Vec<String>,
    numbers: Vec<i64>,
    data: Vec<Vec<u8>>,
}

impl Rows {
    /// The bytes of an entry.
    pub(crate) fn entry(&self, place: usize) -> &[u8] {
        let begin = place.checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.bytes[begin..self.entries[place].end]
    }

    /// Brings each account into the form in which it is stored: the rollups of hours that are over and grants that are
    /// spent leave it.
    pub(crate) fn gather(&mut self, accounts: &mut Accounts) {
        for no in accounts.touched().to_vec() {
            let slot = accounts.get_mut(no);
            let changed = slot.is_changed();
            for grant in slot.account.grants.release_spent().into_iter().filter(|_| changed) {
                let mut bytes = Vec::with_capacity(48);
                grant.encode(&mut bytes);
                self.lots.insert((no, grant.n), bytes);
            }
            slot.assert_usage();
            let over = slot.hour.add(slot.gathered.take());
            self.usage.extend(over.into_iter().map(|(key, used)| (no, key, used)));
        }
    }

    /// What has to be looked for when the end of the transaction is not heard.
    pub(crate) fn attempt(&self, accounts: &Accounts) -> Attempt {
        let mut attempt = Attempt::default();
        for (place, entry) in self.entries.iter().enumerate() {
            let account = &accounts.get(entry.no).account;
            if entry.n == account.chain.n {
                attempt.workspaces.push(account.profile.id.as_str().to_owned());
                attempt.numbers.push(entry.n as i64);
                attempt.data.push(self.entry(place).to_vec());
            }
        }
        attempt
    }
}

impl Attempt {
    /// Whether the batch was committed after all. Right only while its accounts are locked: nothing of it is under way
    /// any more then.
    pub(crate) async fn was_committed(&self, session: &Session) -> Result<bool, Failure> {
        let rows = session.query(Sql::Present, &[&self.workspaces, &self.numbers, &self.data]).await?;
        let present: i64 =
            rows.first().map_or(Ok(0), |row| crate::postgres::database::session::column(row, 0))?;
        Ok(!self.data.is_empty() && present == self.data.len() as i64)
    }
}

/// The accounts of a batch as columns.
#[derive(Default)]
struct AccountColumns<'a> {
    workspace: Vec<&'a str>,
    before: Vec<i64>,
    n: Vec<i64>,
    created_at: Vec<i64>,
    data: Vec<Vec<u8>>,
    usage: Vec<Vec<u8>>,
}

/// Everything as columns, in the order in which it is written.
#[derive(Default)]
struct Columns<'a> {
    moved: AccountColumns<'a>,
    added: AccountColumns<'a>,
    relied: (Vec<&'a str>, Vec<i64>),
    unused: (Vec<&'a str>, Vec<Uuid>),
    entries: EntryColumns<'a>,
    lots: (Vec<&'a str>, Vec<i64>, Vec<&'a [u8]>),
    set: (Vec<&'a str>, Vec<i64>, Vec<Uuid>, Vec<i64>),
    ended: (Vec<&'a str>, Vec<i64>),
    usage: UsageColumns<'a>,
    teams: (Vec<&'a str>, Vec<Vec<u8>>),
    platform: (i64, i64),
}

#[derive(Default)]
struct EntryColumns<'a> {
    workspace: Vec<&'a str>,
    n: Vec<i64>,
    key: Vec<Option<Uuid>>,
    opened: Vec<Option<i64>>,
    data: Vec<&'a [u8]>,
}

#[derive(Default)]
struct UsageColumns<'a> {
    workspace: Vec<&'a str>,
    hour: Vec<i64>,
    names: [Vec<&'a str>; 3],
    api_key: Vec<Uuid>,
    numbers: [Vec<i64>; 4],
}

impl<'a> Columns<'a> {
    fn of(rows: &'a Rows, accounts: &'a Accounts, touched: &[usize]) -> Columns<'a> {
        let mut columns =
            Columns { platform: (rows.platform.0 as i64, rows.platform.1 as i64), ..Columns::default() };
        for no in touched {
            columns.account(accounts, *no);
        }
        columns.entries(rows, accounts, touched);
        let id = |no: usize| accounts.get(no).account.profile.id.as_str();
        for (no, key) in &rows.unused_keys {
            columns.unused.0.push(id(*no));
            columns.unused.1.push(*key);
        }
        for ((no, n), bytes) in &rows.lots {
            columns.lots.0.push(id(*no));
            columns.lots.1.push(*n as i64);
            columns.lots.2.push(bytes);
        }
        for ((no, opened), (charge, deadline)) in &rows.pending {
            match deadline {
                Some(deadline) => {
                    columns.set.0.push(id(*no));
                    columns.set.1.push(*opened as i64);
                    columns.set.2.push(Uuid(charge.0.to_bytes()));
                    columns.set.3.push(deadline.millis());
                }
                None => {
                    columns.ended.0.push(id(*no));
                    columns.ended.1.push(*opened as i64);
                }
            }
        }
        for (no, key, used) in &rows.usage {
            columns.usage.push(id(*no), key, used);
        }
        columns
    }

    fn account(&mut self, accounts: &'a Accounts, no: usize) {
        let slot = accounts.get(no);
        let account = &slot.account;
        let id = account.profile.id.as_str();
        if !slot.is_changed() {
            if account.exists() {
                self.relied.0.push(id);
                self.relied.1.push(account.chain.n as i64);
            }
            return;
        }
        let table = if slot.n_stored == 0 { &mut self.added } else { &mut self.moved };
        let (mut data, mut usage) = (Vec::with_capacity(384), Vec::with_capacity(128));
        account.encode(&mut data);
        slot.hour.encode(&mut usage);
        table.workspace.push(id);
        table.before.push(slot.n_stored as i64);
        table.n.push(account.chain.n as i64);
        table.created_at.push(account.profile.created_at.millis());
        table.data.push(data);
        table.usage.push(usage);
        if let Some(team) = slot.changed_team() {
            let mut data = Vec::with_capacity(512);
            team.encode(&mut data);
            self.teams.0.push(id);
            self.teams.1.push(data);
        }
    }

    /// Entries by workspace, in the order of the accounts, and by number within each.
    fn entries(&mut self, rows: &'a Rows, accounts: &'a Accounts, touched: &[usize]) {
        let rank = |no: usize| {
            let id = accounts.get(no).account.profile.id.as_str();
            touched.partition_point(|other| accounts.get(*other).account.profile.id.as_str() < id)
        };
        let mut order: Vec<(usize, usize)> =
            rows.entries.iter().enumerate().map(|(place, entry)| (rank(entry.no), place)).collect();
        order.sort_unstable();
        for (_, place) in order {
            let entry = &rows.entries[place];
            self.entries.workspace.push(accounts.get(entry.no).account.profile.id.as_str());
            self.entries.n.push(entry.n as i64);
            self.entries.key.push(entry.key);
            self.entries.opened.push(entry.opened.map(|opened| opened as i64));
            self.entries.data.push(rows.entry(place));
        }
    }
}

impl<'a> UsageColumns<'a> {
    fn push(&mut self, workspace: &'a str, key: &'a UsageKey, used: &Used) {
        let UsageKey { hour, spender: Spender { operation, worker, member, api_key } } = key;
        let Used { runs, quantity, charged, refunded } = used;
        self.workspace.push(workspace);
        self.hour.push(*hour);
        let worker = worker.as_ref().map_or("", WorkerId::as_str);
        let member = member.as_ref().map_or("", MemberId::as_str);
        for (column, name) in self.names.iter_mut().zip([operation.as_str(), worker, member]) {
            column.push(name);
        }
        self.api_key.push(Uuid::of_api_key(*api_key));
        for (column, number) in self.numbers.iter_mut().zip([*runs, *quantity, charged.get(), refunded.get()])
        {
            column.push(number);
        }
    }
}

/// Sends everything and the end of the transaction in one go; when this returns, it is committed. `begun` says that the
/// transaction is under way and holds the locks of all accounts.
pub(crate) async fn send(
    session: &Session,
    rows: &Rows,
    accounts: &mut Accounts,
    begun: bool,
) -> Result<(), Failure> {
    let touched = accounts.touched().to_vec();
    let columns = Columns::of(rows, accounts, &touched);
    let writes = !rows.entries.is_empty();
    let relies = !columns.relied.0.is_empty() || !columns.unused.0.is_empty();
    if !writes && !begun {
        if relies {
            let guard = columns.guard(session);
            within(guard).await??;
        }
        return Ok(());
    }
    if !begun && !relies && columns.are_plain() {
        within(columns.send_plain(session)).await??;
    } else {
        let mut flight: Vec<BoxFuture<'_, Result<(), Failure>>> = Vec::with_capacity(8);
        if !begun {
            flight.push(session.say(sql::BEGIN).boxed());
        }
        columns.statements(session, &mut flight, relies && !begun);
        flight.push(session.say("COMMIT").boxed());
        let ended = within(join_all(flight)).await?;
        // The first failure is the cause; those behind it only say that the transaction had failed.
        ended.into_iter().collect::<Result<(), _>>()?;
    }
    if session.was_warned() {
        // Perhaps it is on the primary's disk alone.
        return Err(Failure::Lost(Error::unavailable("the database does not vouch for the commit")));
    }
    Ok(())
}

impl Columns<'_> {
    /// Whether there is nothing but entries of accounts that were there before: so it is with nearly every batch.
    fn are_plain(&self) -> bool {
        let Columns { moved, added, lots, set, ended, usage, teams, platform, .. } = self;
        !moved.workspace.is_empty()
            && added.workspace.is_empty()
            && lots.0.is_empty()
            && set.0.is_empty()
            && ended.0.is_empty()
            && usage.workspace.is_empty()
            && teams.0.is_empty()
            && platform.0 == platform.1
    }

    /// Sends accounts and entries as one statement, which is a transaction by itself.
    async fn send_plain(&self, session: &Session) -> Result<(), Failure> {
        let AccountColumns { workspace, before, n, data, usage, .. } = &self.moved;
        let EntryColumns { workspace: of, n: number, key, opened, data: bytes } = &self.entries;
        let params: [&(dyn ToSql + Sync); 11] =
            [workspace, before, n, data, usage, &self.platform.0, of, number, key, opened, bytes];
        session.query(Sql::MoveAndAdd, &params).await?;
        Ok(())
    }

    async fn guard(&self, session: &Session) -> Result<(), Failure> {
        let Columns { relied, unused, platform, .. } = self;
        session.query(Sql::Guard, &[&relied.0, &relied.1, &unused.0, &unused.1, &platform.0]).await?;
        Ok(())
    }

    /// Adds what there is to write to a flight, table by table.
    fn statements<'s>(
        &'s self,
        session: &'s Session,
        flight: &mut Vec<BoxFuture<'s, Result<(), Failure>>>,
        relies: bool,
    ) {
        let Columns { moved, added, entries, lots, set, ended, usage, teams, platform, .. } = self;
        if relies || (moved.workspace.is_empty() && !entries.workspace.is_empty()) {
            flight.push(self.guard(session).boxed());
        }
        if !moved.workspace.is_empty() {
            flight.push(moved.send(session, platform.0).boxed());
        }
        if !added.workspace.is_empty() {
            flight.push(added.send_new(session).boxed());
        }
        if !entries.workspace.is_empty() {
            flight.push(self.send_entries(session).boxed());
        }
        if !usage.workspace.is_empty() {
            flight.push(usage.send(session).boxed());
        }
        if !teams.0.is_empty() {
            flight.push(self.send_teams(session).boxed());
        }
        if !lots.0.is_empty() {
            flight.push(self.send_lots(session).boxed());
        }
        if !set.0.is_empty() || !ended.0.is_empty() {
            flight.push(self.send_pending(session).boxed());
        }
        if platform.0 != platform.1 {
            flight.push(self.send_platform(session).boxed());
        }
    }

    async fn send_entries(&self, session: &Session) -> Result<(), Failure> {
        let EntryColumns { workspace, n, key, opened, data } = &self.entries;
        session.execute(Sql::AddEntries, &[workspace, n, key, opened, data]).await
    }

    async fn send_teams(&self, session: &Session) -> Result<(), Failure> {
        let (workspace, data) = &self.teams;
        session.execute(Sql::SetTeams, &[workspace, data]).await
    }

    async fn send_lots(&self, session: &Session) -> Result<(), Failure> {
        let (workspace, n, data) = &self.lots;
        session.execute(Sql::SetLots, &[workspace, n, data]).await
    }

    async fn send_pending(&self, session: &Session) -> Result<(), Failure> {
        let (workspace, n, charge, deadline) = &self.set;
        let set: [&(dyn ToSql + Sync); 4] = [workspace, n, charge, deadline];
        let (ended_of, ended) = &self.ended;
        let end: [&(dyn ToSql + Sync); 2] = [ended_of, ended];
        let set = session.execute(Sql::SetPending, &set);
        let end = session.execute(Sql::EndPending, &end);
        let (set, end) = futures_util::join!(set, end);
        set.and(end)
    }

    async fn send_platform(&self, session: &Session) -> Result<(), Failure> {
        let (before, after) = &self.platform;
        session.execute(Sql::MovePlatform, &[before, after]).await
    }
}

impl AccountColumns<'_> {
    async fn send(&self, session: &Session, platform: i64) -> Result<(), Failure> {
        let AccountColumns { workspace, before, n, data, usage, .. } = self;
        session.query(Sql::MoveAccounts, &[workspace, before, n, data, usage, &platform]).await?;
        Ok(())
    }

    async fn send_new(&self, session: &Session) -> Result<(), Failure> {
        let AccountColumns { workspace, n, created_at, data, usage, .. } = self;
        session.execute(Sql::AddAccounts, &[workspace, n, created_at, data, usage]).await
    }
}

impl UsageColumns<'_> {
    async fn send(&self, session: &Session) -> Result<(), Failure> {
        let UsageColumns { workspace, hour, names: [operation, worker, member], api_key, numbers } = self;
        let [runs, quantity, charged, refunded] = numbers;
        let params: [&(dyn ToSql + Sync); 10] =
            [workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded];
        session.execute(Sql::AddUsage, &params).await
    }
}
