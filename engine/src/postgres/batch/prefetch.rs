//! Loads what a batch needs before it can be decided, for all its commands together. That is
//! accounts that are not in memory, entries recorded under its idempotency keys, charges and grants
//! that its commands name, and spent grants that they may draw from or refund to.
//!
//! [`optimistic`] takes the accounts in memory as they are and every key as new. It needs no round
//! trip if nothing must be loaded. Missing accounts, named charges and grants take one together.
//! Each recount takes one more. So do spent grants, and rows that name other rows.
//!
//! [`pessimistic`] locks the accounts first and reads everything else afterwards, keys included.
//! Nothing that it read of an existing account can change before the end of its transaction. A new
//! workspace and the platform's last entry are checked when the batch is written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::try_join;
use tokio_postgres::Row;
use tollkeeper_ledger::{
    Charge, ChargeId, Command, EntryBody, GrantId, Id, Submission, Timestamp, UsageKey, UsageSums,
    WorkspaceId,
};

use super::accounts::{Accounts, Slot};
use super::limit_usage;
use super::texts::{self, LoadedTexts};
use super::write::{EntryRef, KeyRef, UnknownCommit};
use crate::postgres::database::decode::{decode_entry, decode_grant};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, Params, Uuid, column, row_position, with_timeout};
use crate::postgres::database::sql::{self, Sql};
use crate::postgres::ids::{key_digest, number_in};
use crate::postgres::platform::PlatformSnapshot;
use crate::{Error, GrantRecord, answer};

/// What was loaded for a batch besides its accounts.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The bytes of entries recorded under a key of the batch.
    pub entries_by_key: HashMap<KeyRef, Vec<u8>>,
    pub charges: HashMap<ChargeRef, Charge>,
    pub grants: HashMap<GrantRef, GrantRecord>,
    /// By account: the usage of the hours that a recount of limits may need.
    pub usage: BTreeMap<usize, Vec<(UsageKey, UsageSums)>>,
    /// What is stored of the members that commands name.
    pub texts: LoadedTexts,
}

impl Loaded {
    /// What was paid for the grant that a command names, in cents; 0 for other commands.
    pub(crate) fn paid_cents(&self, account_index: usize, command: &Command) -> i64 {
        let Some(grant) = command.grant() else { return 0 };
        let record = self.grants.get(&GrantRef { account_index, grant });
        record.map_or(0, |record| record.paid_cents)
    }
}

/// A charge of an account, identified within the current batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChargeRef {
    pub account_index: usize,
    pub charge: ChargeId,
}

/// A grant of an account, identified within the current batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrantRef {
    pub account_index: usize,
    pub grant: GrantId,
}

/// What the prefetch found out about one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolved {
    pub account_index: usize,
    /// The digest of the command's idempotency key, if it has one.
    pub key: Option<Uuid>,
}

/// A batch with everything that its decisions need.
#[derive(Debug)]
pub(crate) struct PrefetchedBatch {
    pub loaded: Loaded,
    /// One for each command, in order.
    pub resolved: Vec<Resolved>,
}

/// The result of a prefetch.
pub(crate) enum PrefetchOutcome {
    /// Everything is loaded.
    Ready(Box<PrefetchedBatch>),
    /// The accounts are locked, and the attempt with this index was committed.
    Committed(usize),
    /// The platform's journal has entries that the snapshot does not include.
    PlatformOutdated,
}

/// Loads what a batch needs into `accounts` and a [`PrefetchedBatch`], without locks.
pub(crate) async fn optimistic(
    session: &DbSession,
    accounts: &mut Accounts,
    batch: &[(Submission, Timestamp)],
) -> Result<PrefetchedBatch, Failure> {
    let missing = missing_accounts(accounts, batch);
    let mut prefetch = Prefetch::new(batch, &missing);
    if !missing.is_empty() || !prefetch.named.is_empty() {
        let begin = session.batch_execute(sql::BEGIN);
        let params: Params = &[&missing];
        let rows = session.query(Sql::AccountsOf, params);
        let named = prefetch.load_named(session);
        let end = session.batch_execute("COMMIT");
        let ((), rows, named, ()) = with_timeout(async { try_join!(begin, rows, named, end) }).await??;
        admit_all(accounts, &rows)?;
        prefetch.named_rows = named;
    }
    prefetch.finish(session, accounts, batch, None).await
}

/// Loads the same under locks that last until the transaction ends, and also the entries recorded
/// under the batch's keys. `unknown_commits` are earlier attempts to commit the batch.
///
/// The transaction is left open.
pub(crate) async fn pessimistic(
    session: &DbSession,
    accounts: &mut Accounts,
    batch: &[(Submission, Timestamp)],
    unknown_commits: &[UnknownCommit],
    platform: &PlatformSnapshot,
) -> Result<PrefetchOutcome, Failure> {
    for (submission, _) in batch {
        accounts.evict(submission.workspace.as_str());
    }
    let all = missing_accounts(accounts, batch);
    let mut prefetch = Prefetch::new(batch, &all);
    let begin = session.batch_execute(sql::BEGIN);
    let locked = lock_accounts(session, &all);
    let params: Params = &[&all];
    let rows = session.query(Sql::AccountsOf, params);
    let by_key = prefetch.load_by_key(session);
    let named = prefetch.load_named(session);
    let number = session.query(Sql::PlatformNumber, &[]);
    let ((), (), rows, by_key, named, number) =
        with_timeout(async { try_join!(begin, locked, rows, by_key, named, number) }).await??;
    let number: i64 = number.first().map_or(Ok(0), |row| column(row, 0))?;
    let mut committed = None;
    for (index, unknown) in unknown_commits.iter().enumerate() {
        if unknown.was_committed(session).await? {
            committed = Some(index);
        }
    }
    admit_all(accounts, &rows)?;
    prefetch.named_rows = named;
    let prefetched = prefetch.finish(session, accounts, batch, Some(by_key)).await?;
    if number as u64 != platform.n {
        return Ok(PrefetchOutcome::PlatformOutdated);
    }
    Ok(match committed {
        Some(attempt) => PrefetchOutcome::Committed(attempt),
        None => PrefetchOutcome::Ready(Box::new(prefetched)),
    })
}

/// Locks accounts in the order of their workspace ids.
async fn lock_accounts(session: &DbSession, workspaces: &[&str]) -> Result<(), Failure> {
    assert!(
        workspaces.is_sorted_by(|a, b| a < b),
        "accounts are locked once each, in the order of their ids"
    );
    session.execute(Sql::LockAccounts, &[&workspaces]).await
}

/// Those of some workspaces whose accounts no other session has locked. Does not wait, and holds no
/// lock afterwards: the statement is a transaction by itself.
pub(crate) async fn free_accounts(
    session: &DbSession,
    workspaces: &[WorkspaceId],
) -> Result<HashSet<String>, Failure> {
    let workspaces: Vec<&str> = workspaces.iter().map(WorkspaceId::as_str).collect();
    let rows = session.query_with_timeout(Sql::FreeAccounts, &[&workspaces]).await?;
    Ok(rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?)
}

/// The workspaces of a batch whose accounts are not in memory, sorted, each once.
fn missing_accounts<'a>(accounts: &mut Accounts, batch: &'a [(Submission, Timestamp)]) -> Vec<&'a str> {
    let workspaces = batch.iter().map(|(submission, _)| submission.workspace.as_str());
    let mut missing: Vec<&str> = workspaces.filter(|id| accounts.touch(id).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn admit_all(accounts: &mut Accounts, rows: &[Row]) -> Result<(), Failure> {
    for row in rows {
        let slot = match Slot::from_row(row) {
            Ok(slot) => slot,
            Err(error) => return Err(Failure::of_workspace(column(row, 3)?, error)),
        };
        slot.into_iter().for_each(|slot| accounts.admit(slot));
    }
    Ok(())
}

/// Charges and grants named by their ids, as the columns of [`Sql::EntriesById`].
#[derive(Default)]
struct NamedIds<'a> {
    workspaces: Vec<&'a str>,
    numbers: Vec<i64>,
    ids: Vec<Uuid>,
}

impl<'a> NamedIds<'a> {
    fn push(&mut self, workspace: &'a str, id: Id) {
        self.workspaces.push(workspace);
        self.numbers.push(number_in(id));
        self.ids.push(Uuid(id.to_bytes()));
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    async fn load(&self, session: &DbSession) -> Result<Vec<Row>, Failure> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        session.query(Sql::EntriesById, &[&self.workspaces, &self.numbers, &self.ids]).await
    }
}

/// The idempotency keys of a batch, as the columns of [`Sql::EntriesByKey`].
#[derive(Default)]
struct Keys<'a> {
    workspaces: Vec<&'a str>,
    key_digests: Vec<Uuid>,
}

/// A prefetch under way.
struct Prefetch<'a> {
    /// Workspaces whose accounts were not in memory.
    missing: &'a [&'a str],
    named: NamedIds<'a>,
    named_rows: Vec<Row>,
    keys: Keys<'a>,
    /// The digest of each command's key.
    key_digests: Vec<Option<Uuid>>,
}

impl<'a> Prefetch<'a> {
    fn new(batch: &'a [(Submission, Timestamp)], missing: &'a [&'a str]) -> Prefetch<'a> {
        let mut prefetch = Prefetch {
            missing,
            named: NamedIds::default(),
            named_rows: Vec::new(),
            keys: Keys::default(),
            key_digests: Vec::with_capacity(batch.len()),
        };
        for (submission, _) in batch {
            let workspace = submission.workspace.as_str();
            let charge = submission.command.charge().map(|charge| charge.0);
            if let Some(id) = charge.or(submission.command.grant().map(|grant| grant.0)) {
                prefetch.named.push(workspace, id);
            }
            let own = submission.command.derived_key();
            let key = own.as_ref().or(submission.key.as_ref()).map(key_digest);
            if let Some(key) = key {
                prefetch.keys.workspaces.push(workspace);
                prefetch.keys.key_digests.push(key);
            }
            prefetch.key_digests.push(key);
        }
        prefetch
    }

    async fn load_by_key(&self, session: &DbSession) -> Result<Vec<Row>, Failure> {
        session.query(Sql::EntriesByKey, &[&self.keys.workspaces, &self.keys.key_digests]).await
    }

    async fn load_named(&self, session: &DbSession) -> Result<Vec<Row>, Failure> {
        self.named.load(session).await
    }

    /// Takes over the loaded rows and loads what they turn out to need. `by_key` are the entries
    /// made under keys of the batch, if they were looked up.
    async fn finish(
        self,
        session: &DbSession,
        accounts: &mut Accounts,
        batch: &[(Submission, Timestamp)],
        by_key: Option<Vec<Row>>,
    ) -> Result<PrefetchedBatch, Failure> {
        self.admit_new_workspaces(accounts, batch);
        let mut loaded = Loaded::default();
        take_named(accounts, &mut loaded, &self.named, &self.named_rows)?;
        if let Some(rows) = by_key {
            let named = self.take_by_key(accounts, &mut loaded, &rows)?;
            if !named.is_empty() {
                let rows = with_timeout(named.load(session)).await??;
                take_named(accounts, &mut loaded, &named, &rows)?;
            }
        }
        load_grants_of_payments(session, accounts, &mut loaded, batch).await?;
        load_spent_grants(session, accounts, &loaded, batch).await?;
        loaded.usage = limit_usage::load(session, accounts, batch).await?;
        loaded.texts = texts::load(session, accounts, batch).await?;
        assert_eq!(self.key_digests.len(), batch.len(), "the prefetch resolves every command of the batch");
        let resolved = batch.iter().zip(self.key_digests).map(|((submission, _), key)| {
            let account_index = accounts.touch(submission.workspace.as_str());
            let account_index = account_index.expect("all accounts of the batch were loaded or admitted");
            Resolved { account_index, key }
        });
        Ok(PrefetchedBatch { resolved: resolved.collect(), loaded })
    }

    /// Admits an empty account for each workspace that the database does not have.
    fn admit_new_workspaces(&self, accounts: &mut Accounts, batch: &[(Submission, Timestamp)]) {
        for id in self.missing {
            if accounts.touch(id).is_none() {
                let mut workspaces = batch.iter().map(|(submission, _)| &submission.workspace);
                let new: Option<&WorkspaceId> = workspaces.find(|workspace| workspace.as_str() == *id);
                accounts.admit_new(new.expect("a missing workspace is one of the batch").clone());
                accounts.touch(id);
            }
        }
    }

    /// Takes over entries recorded under keys of the batch. Returns the charges and grants that a
    /// replay of their answers needs.
    fn take_by_key(
        &self,
        accounts: &mut Accounts,
        loaded: &mut Loaded,
        rows: &[Row],
    ) -> Result<NamedIds<'a>, Failure> {
        let mut named = NamedIds::default();
        for row in rows {
            let index = row_position(row, self.keys.workspaces.len())?;
            let (workspace, key_digest) = (self.keys.workspaces[index], self.keys.key_digests[index]);
            let bytes: &[u8] = column(row, 1)?;
            let entry = decode_entry(bytes).map_err(|error| Failure::of_workspace(workspace, error))?;
            match entry.body {
                EntryBody::ChargeRefunded(refund) => named.push(workspace, refund.charge.0),
                EntryBody::GrantVoided { grant, .. } => named.push(workspace, grant.0),
                _ => {}
            }
            if let Some(account_index) = accounts.touch(workspace) {
                loaded.entries_by_key.insert(KeyRef { account_index, key_digest }, bytes.to_vec());
            }
        }
        Ok(named)
    }
}

/// Takes over charges and grants that were loaded by id. An entry that did not create the id is
/// ignored, because the number in an id of another ledger may be that of any entry.
fn take_named(
    accounts: &mut Accounts,
    loaded: &mut Loaded,
    named: &NamedIds<'_>,
    rows: &[Row],
) -> Result<(), Failure> {
    for row in rows {
        let index = row_position(row, named.ids.len())?;
        let id = Id::from_bytes(named.ids[index].0);
        let Some(account_index) = accounts.touch(named.workspaces[index]) else { continue };
        accounts.check_same_moment(account_index, column(row, 3)?)?;
        let of_workspace = |error| Failure::of_workspace(named.workspaces[index], error);
        let entry = decode_entry(column(row, 1)?).map_err(of_workspace)?;
        match &entry.body {
            EntryBody::ChargeOpened(details) if details.id.0 == id => {
                let last: Option<&[u8]> = column(row, 2)?;
                let last = last
                    .map(decode_entry)
                    .transpose()
                    .map_err(of_workspace)?
                    .and_then(|entry| entry.body.state());
                if let Some(charge) = answer::charge_opened_by(entry) {
                    let state = last.unwrap_or(charge.state);
                    let key = ChargeRef { account_index, charge: ChargeId(id) };
                    loaded.charges.insert(key, Charge { state, ..charge });
                }
            }
            EntryBody::Granted { grant, .. } if grant.id.0 == id => {
                let key = GrantRef { account_index, grant: GrantId(id) };
                loaded.grants.extend(answer::granted_by(entry).map(|record| (key, record)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The charges that some entries are about, with their latest states. `named`: workspaces whose
/// accounts are in memory, each with the id of a charge. A charge that does not exist is missing.
pub(crate) async fn charges_by_id<'a>(
    session: &DbSession,
    accounts: &mut Accounts,
    named: impl Iterator<Item = (&'a str, ChargeId)>,
) -> Result<HashMap<ChargeRef, Charge>, Failure> {
    let mut ids = NamedIds::default();
    named.for_each(|(workspace, charge)| ids.push(workspace, charge.0));
    let rows = with_timeout(ids.load(session)).await??;
    let mut loaded = Loaded::default();
    take_named(accounts, &mut loaded, &ids, &rows)?;
    Ok(loaded.charges)
}

/// The numbers of grants that are named by their ids, as [`charges_by_id`] finds charges.
pub(crate) async fn grant_numbers_by_id<'a>(
    session: &DbSession,
    accounts: &mut Accounts,
    named: impl Iterator<Item = (&'a str, GrantId)>,
) -> Result<Vec<EntryRef>, Failure> {
    let mut ids = NamedIds::default();
    named.for_each(|(workspace, grant)| ids.push(workspace, grant.0));
    let rows = with_timeout(ids.load(session)).await??;
    let mut loaded = Loaded::default();
    take_named(accounts, &mut loaded, &ids, &rows)?;
    let number = |(key, record): (GrantRef, GrantRecord)| EntryRef {
        account_index: key.account_index,
        n: record.grant.n,
    };
    Ok(loaded.grants.into_iter().map(number).collect())
}

/// Loads the spent grants of the payments that commands are about. Only the account tells their
/// ids.
async fn load_grants_of_payments(
    session: &DbSession,
    accounts: &mut Accounts,
    loaded: &mut Loaded,
    batch: &[(Submission, Timestamp)],
) -> Result<(), Failure> {
    let mut named = NamedIds::default();
    for (submission, _) in batch {
        let workspace = submission.workspace.as_str();
        let Some(account_index) = accounts.touch(workspace) else { continue };
        let account = &accounts.get(account_index).account;
        let grants = submission.command.grants_of_payment(account);
        let spent = grants.into_iter().filter(|grant| account.grants.find(*grant).is_none());
        spent.for_each(|grant| named.push(workspace, grant.0));
    }
    if named.is_empty() {
        return Ok(());
    }
    let rows = with_timeout(named.load(session)).await??;
    take_named(accounts, loaded, &named, &rows)
}

/// Brings the spent grants into memory that a command may draw from or refund to.
async fn load_spent_grants(
    session: &DbSession,
    accounts: &mut Accounts,
    loaded: &Loaded,
    batch: &[(Submission, Timestamp)],
) -> Result<(), Failure> {
    let mut wanted: Vec<EntryRef> = Vec::new();
    for (submission, _) in batch {
        let Some(account_index) = accounts.touch(submission.workspace.as_str()) else { continue };
        let numbers = grants_of(accounts, loaded, account_index, &submission.command);
        let account = &accounts.get(account_index).account;
        let missing = numbers.into_iter().filter(|n| account.grants.get(*n).is_none());
        wanted.extend(missing.map(|n| EntryRef { account_index, n }));
    }
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    let id = |wanted: &EntryRef| accounts.get(wanted.account_index).account.profile.id.as_str().to_owned();
    let workspaces: Vec<String> = wanted.iter().map(id).collect();
    let numbers: Vec<i64> = wanted.iter().map(|wanted| wanted.n as i64).collect();
    let rows = session.query_with_timeout(Sql::GrantRows, &[&workspaces, &numbers]).await?;
    let mut missing: BTreeSet<usize> = (0..wanted.len()).collect();
    for row in &rows {
        let position = row_position(row, wanted.len())?;
        let EntryRef { account_index, .. } = wanted[position];
        accounts.check_same_moment(account_index, column(row, 2)?)?;
        let grant = decode_grant(column(row, 1)?);
        let grant = grant.map_err(|error| Failure::of_workspace(&workspaces[position], error))?;
        accounts.get_mut(account_index).account.grants.insert(grant);
        missing.remove(&position);
    }
    match missing.first() {
        None => Ok(()),
        Some(position) => {
            let error = Error::damaged("a spent grant is missing");
            Err(Failure::of_workspace(&workspaces[*position], error))
        }
    }
}

/// The numbers of the grants that a command may draw from or refund to.
fn grants_of(accounts: &Accounts, loaded: &Loaded, account_index: usize, command: &Command) -> Vec<u64> {
    let charge = command.charge().map(|charge| ChargeRef { account_index, charge });
    let mut numbers = Vec::new();
    if command.may_give_back() {
        numbers.extend(accounts.get(account_index).account.claw_backs.drawn_grants());
    }
    if let Some(charge) = charge.and_then(|key| loaded.charges.get(&key)) {
        numbers.extend(charge.details.draws.iter().map(|draw| draw.grant));
    }
    let of_payment = command.grants_of_payment(&accounts.get(account_index).account);
    let named = command.grant().into_iter().chain(of_payment).map(|grant| GrantRef { account_index, grant });
    numbers.extend(named.filter_map(|key| loaded.grants.get(&key)).map(|record| record.grant.n));
    numbers
}
