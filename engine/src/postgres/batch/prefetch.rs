//! What a batch needs from the database before it can be decided, loaded for all its commands together: accounts that are
//! not in memory, entries made under its keys, charges and grants it speaks of, spent grants that it may give back to.
//!
//! Loading is one round trip, two when something turns out to be needed by what was loaded. A careful loading locks the
//! accounts first and looks at everything else afterwards, so that nothing can change before the end of its transaction.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::try_join;
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::{
    Account, Charge, ChargeId, Command, Entry, EntryBody, Grant, GrantId, Id, Submission, Team, Timestamp,
    UsageKey, Used, WorkspaceId,
};

use super::accounts::{Accounts, Slot};
use super::current_hour::OpenHour;
use super::write::Attempt;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{Params, Session, Uuid, column, within};
use crate::postgres::database::sql::{self, Sql};
use crate::postgres::ids::{fingerprint, number_in};
use crate::postgres::platform::Known;
use crate::{Error, GrantRecord, answer, calendar};

/// What was loaded for a batch besides its accounts, by the number of the account and its name.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The bytes of entries by their key.
    pub made: HashMap<(usize, Uuid), Vec<u8>>,
    pub charges: HashMap<(usize, ChargeId), Charge>,
    pub grants: HashMap<(usize, GrantId), GrantRecord>,
    /// Where limits may be counted anew: what was used in the hours that may count.
    pub usage: HashMap<usize, Vec<(UsageKey, Used)>>,
}

/// What is known of a command before its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolved {
    pub no: usize,
    pub key: Option<Uuid>,
}

/// A batch that was loaded.
#[derive(Debug)]
pub(crate) struct Scene {
    pub loaded: Loaded,
    pub resolved: Vec<Resolved>,
    /// Which of the attempts before was committed after all.
    pub committed: Option<usize>,
}

/// Loads what a batch needs into `accounts` and a [`Scene`].
pub(crate) async fn optimistic(
    session: &Session,
    accounts: &mut Accounts,
    batch: &[(Submission, Timestamp)],
) -> Result<Scene, Failure> {
    let missing = missing(accounts, batch);
    let mut loading = Loading::new(batch, &missing);
    if !missing.is_empty() || !loading.named.is_empty() {
        let begin = session.say(sql::BEGIN);
        let params: Params = &[&missing];
        let rows = session.query(Sql::AccountsOf, params);
        let named = loading.load_named(session);
        let end = session.say("COMMIT");
        let ((), rows, named, ()) = within(async { try_join!(begin, rows, named, end) }).await??;
        admit(accounts, rows)?;
        loading.named_rows = named;
    }
    loading.finish(session, accounts, batch, None).await
}

/// The same under locks that last until the transaction ends; keys are looked up too, and whether one of the attempts
/// before was committed.
pub(crate) async fn careful(
    session: &Session,
    accounts: &mut Accounts,
    batch: &[(Submission, Timestamp)],
    attempts: &[Attempt],
    known: &Known,
) -> Result<(Scene, bool), Failure> {
    for (submission, _) in batch {
        accounts.evict(submission.workspace.as_str());
    }
    let all = missing(accounts, batch);
    let mut loading = Loading::new(batch, &all);
    let begin = session.say(sql::BEGIN);
    let locked = lock(session, &all);
    let params: Params = &[&all];
    let rows = session.query(Sql::AccountsOf, params);
    let made = loading.load_made(session);
    let named = loading.load_named(session);
    let number = session.query(Sql::PlatformNumber, &[]);
    let (_, (), rows, made, named, number) =
        within(async { try_join!(begin, locked, rows, made, named, number) }).await??;
    let number: i64 = number.first().map_or(Ok(0), |row| column(row, 0))?;
    let mut committed = None;
    for (place, attempt) in attempts.iter().enumerate() {
        if within(attempt.was_committed(session)).await?? {
            committed = Some(place);
        }
    }
    admit(accounts, rows)?;
    loading.named_rows = named;
    let mut scene = loading.finish(session, accounts, batch, Some(made)).await?;
    scene.committed = committed;
    Ok((scene, number as u64 == known.n))
}

/// Locks accounts in the order of their names.
async fn lock(session: &Session, names: &[&str]) -> Result<(), Failure> {
    if !session.is_distributed() {
        return session.execute(Sql::LockAccounts, &[&names]).await;
    }
    let each: Vec<[&(dyn ToSql + Sync); 1]> = names.iter().map(|name| [name as _]).collect();
    let locked = each.iter().map(|name| session.execute(Sql::LockAccount, name));
    try_join_all(locked).await?;
    Ok(())
}

/// The workspaces of a batch that are not in memory, each once, in order.
fn missing<'a>(accounts: &mut Accounts, batch: &'a [(Submission, Timestamp)]) -> Vec<&'a str> {
    let names = batch.iter().map(|(submission, _)| submission.workspace.as_str());
    let mut missing: Vec<&str> = names.filter(|id| accounts.touch(id).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn admit(accounts: &mut Accounts, rows: Vec<tokio_postgres::Row>) -> Result<(), Failure> {
    for row in &rows {
        accounts.admit(slot(row)?);
    }
    Ok(())
}

/// An account as it is stored: its bytes, those of its present hour, and its team's.
pub(crate) fn slot(row: &tokio_postgres::Row) -> Result<Slot, Error> {
    let account = decoded_account(column(row, 0)?, column(row, 2)?)?;
    Ok(Slot::stored(account, OpenHour::decode(column(row, 1)?)?))
}

/// An account out of its bytes and its team's: none where there is no team, or where it makes no difference.
pub(crate) fn decoded_account(bytes: &[u8], team: Option<&[u8]>) -> Result<Account, Error> {
    let team = decoded_team(team)?;
    Account::decode(bytes, team).map_err(|error| Error::damaged(format!("an account: {error}")))
}

/// A team out of its bytes, if there are any.
pub(crate) fn decoded_team(bytes: Option<&[u8]>) -> Result<Arc<Team>, Error> {
    Team::decode(bytes).map_err(|error| Error::damaged(format!("a team: {error}")))
}

/// An entry out of its bytes.
pub(crate) fn decoded(bytes: &[u8]) -> Result<Entry, Error> {
    Entry::decode(bytes).map_err(|error| Error::damaged(format!("an entry: {error}")))
}

/// Names as columns of a question.
#[derive(Default)]
struct Names<'a> {
    workspaces: Vec<&'a str>,
    numbers: Vec<i64>,
    ids: Vec<Uuid>,
}

impl<'a> Names<'a> {
    fn push(&mut self, workspace: &'a str, id: Id) {
        self.workspaces.push(workspace);
        self.numbers.push(number_in(id));
        self.ids.push(Uuid(id.to_bytes()));
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A batch on its way to being loaded.
struct Loading<'a> {
    absent: &'a [&'a str],
    named: Names<'a>,
    named_rows: Vec<tokio_postgres::Row>,
    keys: (Vec<&'a str>, Vec<Uuid>),
    resolved: Vec<Option<Uuid>>,
}

impl<'a> Loading<'a> {
    fn new(batch: &'a [(Submission, Timestamp)], absent: &'a [&'a str]) -> Loading<'a> {
        let mut loading = Loading {
            absent,
            named: Names::default(),
            named_rows: Vec::new(),
            keys: Default::default(),
            resolved: Vec::with_capacity(batch.len()),
        };
        for (submission, _) in batch {
            let workspace = submission.workspace.as_str();
            let charge = submission.command.charge().map(|charge| charge.0);
            if let Some(id) = charge.or(submission.command.grant().map(|grant| grant.0)) {
                loading.named.push(workspace, id);
            }
            let own = submission.command.derived_key();
            let key = own.as_ref().or(submission.key.as_ref()).map(fingerprint);
            if let Some(key) = key {
                loading.keys.0.push(workspace);
                loading.keys.1.push(key);
            }
            loading.resolved.push(key);
        }
        loading
    }

    async fn load_made(&self, session: &Session) -> Result<Vec<tokio_postgres::Row>, Failure> {
        session.query(Sql::Made, &[&self.keys.0, &self.keys.1]).await
    }

    async fn load_named(&self, session: &Session) -> Result<Vec<tokio_postgres::Row>, Failure> {
        named_rows(session, &self.named).await
    }

    /// Makes the scene of what was loaded, and loads what turns out to be needed besides.
    async fn finish(
        self,
        session: &Session,
        accounts: &mut Accounts,
        batch: &[(Submission, Timestamp)],
        made: Option<Vec<tokio_postgres::Row>>,
    ) -> Result<Scene, Failure> {
        for id in self.absent {
            if accounts.touch(id).is_none() {
                let new = batch.iter().map(|(submission, _)| &submission.workspace);
                let new: Option<&WorkspaceId> = new.into_iter().find(|workspace| workspace.as_str() == *id);
                accounts.admit_new(new.expect("an absent workspace is one of the batch").clone());
                accounts.touch(id);
            }
        }
        let mut loaded = Loaded::default();
        take_named(accounts, &mut loaded, &self.named, &self.named_rows)?;
        if let Some(made) = made {
            let also = self.take_made(accounts, &mut loaded, &made)?;
            if !also.is_empty() {
                let rows = within(named_rows(session, &also)).await??;
                take_named(accounts, &mut loaded, &also, &rows)?;
            }
        }
        load_lots(session, accounts, &loaded, batch).await?;
        load_usage(session, accounts, &mut loaded, batch).await?;
        let resolved = batch.iter().zip(self.resolved).map(|((submission, _), key)| {
            let no = accounts.touch(submission.workspace.as_str());
            Resolved { no: no.expect("all accounts of the batch were loaded"), key }
        });
        Ok(Scene { resolved: resolved.collect(), loaded, committed: None })
    }

    /// Takes entries made under the keys of the batch; gives the charges and grants that their answers speak of.
    fn take_made(
        &self,
        accounts: &mut Accounts,
        loaded: &mut Loaded,
        rows: &[tokio_postgres::Row],
    ) -> Result<Names<'a>, Error> {
        let mut also = Names::default();
        for row in rows {
            let place = place(row)?;
            let (workspace, key) = (self.keys.0[place], self.keys.1[place]);
            let bytes: &[u8] = column(row, 1)?;
            match decoded(bytes)?.body {
                EntryBody::ChargeRefunded(refund) => also.push(workspace, refund.charge.0),
                EntryBody::GrantVoided { grant, .. } => also.push(workspace, grant.0),
                _ => {}
            }
            if let Some(no) = accounts.touch(workspace) {
                loaded.made.insert((no, key), bytes.to_vec());
            }
        }
        Ok(also)
    }
}

async fn named_rows(session: &Session, names: &Names<'_>) -> Result<Vec<tokio_postgres::Row>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    session.query(Sql::Named, &[&names.workspaces, &names.numbers, &names.ids]).await
}

/// The place of a row's question among those that were asked together; they count from 1.
fn place(row: &tokio_postgres::Row) -> Result<usize, Error> {
    let place: i64 = column(row, 0)?;
    usize::try_from(place - 1).map_err(|_| Error::damaged("the database counts from below 1"))
}

/// Takes charges and grants that were asked for by their ids, if what was found is what was named.
fn take_named(
    accounts: &mut Accounts,
    loaded: &mut Loaded,
    names: &Names,
    rows: &[tokio_postgres::Row],
) -> Result<(), Failure> {
    for row in rows {
        let place = place(row)?;
        let id = Id::from_bytes(names.ids[place].0);
        let Some(no) = accounts.touch(names.workspaces[place]) else { continue };
        in_step(accounts, no, column(row, 3)?)?;
        let entry = decoded(column(row, 1)?)?;
        match &entry.body {
            EntryBody::ChargeOpened(details) if details.id.0 == id => {
                let last: Option<&[u8]> = column(row, 2)?;
                let last = last.map(decoded).transpose()?.and_then(|entry| entry.body.state());
                if let Some(charge) = answer::charge_of(entry) {
                    let state = last.unwrap_or(charge.state);
                    loaded.charges.insert((no, ChargeId(id)), Charge { state, ..charge });
                }
            }
            EntryBody::Granted { grant, .. } if grant.id.0 == id => {
                loaded.grants.extend(answer::record_of(entry).map(|record| ((no, GrantId(id)), record)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Brings the spent grants into memory that a command may take from or give to.
async fn load_lots(
    session: &Session,
    accounts: &mut Accounts,
    loaded: &Loaded,
    batch: &[(Submission, Timestamp)],
) -> Result<(), Failure> {
    let mut wanted: Vec<(usize, i64)> = Vec::new();
    for (submission, _) in batch {
        let Some(no) = accounts.touch(submission.workspace.as_str()) else { continue };
        let numbers = grants_of(accounts, loaded, no, &submission.command);
        let account = &accounts.get(no).account;
        let missing = numbers.into_iter().filter(|n| account.grants.get(*n).is_none());
        wanted.extend(missing.map(|n| (no, n as i64)));
    }
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    let names = wanted.iter().map(|(no, _)| accounts.get(*no).account.profile.id.as_str().to_owned());
    let (names, numbers): (Vec<String>, Vec<i64>) = names.zip(wanted.iter().map(|(_, n)| *n)).unzip();
    let rows = session.ask(Sql::Lots, &[&names, &numbers]).await?;
    if rows.len() != wanted.len() {
        return Err(Error::damaged("a spent grant is missing").into());
    }
    for row in &rows {
        let (no, _) = wanted[place(row)?];
        in_step(accounts, no, column(row, 2)?)?;
        accounts.get_mut(no).account.grants.insert(decoded_grant(column(row, 1)?)?);
    }
    Ok(())
}

/// What is loaded beside an account in memory has to be of the same moment: together they would make no sense.
fn in_step(accounts: &Accounts, no: usize, n: i64) -> Result<(), Failure> {
    if accounts.get(no).account.chain.n as i64 == n { Ok(()) } else { Err(Failure::Conflict) }
}

/// A grant out of its bytes.
pub(crate) fn decoded_grant(bytes: &[u8]) -> Result<Grant, Error> {
    Grant::decode(bytes).map_err(|error| Error::damaged(format!("a grant: {error}")))
}

/// The grants that a command may take from or give to, by their numbers.
fn grants_of(accounts: &Accounts, loaded: &Loaded, no: usize, command: &Command) -> Vec<u64> {
    if let Some(charge) = command.charge().and_then(|id| loaded.charges.get(&(no, id))) {
        return charge.details.draws.iter().map(|draw| draw.grant).collect();
    }
    if let Some(record) = command.grant().and_then(|id| loaded.grants.get(&(no, id))) {
        return vec![record.grant.n];
    }
    if let Command::RestoreClawBack { dispute } = command {
        let claw_backs = accounts.get(no).account.claw_backs.iter();
        let taken = claw_backs.filter(|claw_back| claw_back.dispute == *dispute);
        return taken.flat_map(|claw_back| claw_back.taken.iter().map(|draw| draw.grant)).collect();
    }
    Vec::new()
}

/// Loads what was used where limits may be counted anew. In which time zone is not known before the command's turn, as an
/// earlier one may change it.
async fn load_usage(
    session: &Session,
    accounts: &mut Accounts,
    loaded: &mut Loaded,
    batch: &[(Submission, Timestamp)],
) -> Result<(), Failure> {
    let mut wanted: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for (submission, now) in batch.iter().filter(|(submission, _)| submission.command.may_recount()) {
        let id = submission.workspace.as_str();
        let Some(no) = accounts.touch(id) else { continue };
        let from = calendar::earliest_hour(accounts.get(no).account.clock(*now));
        let earliest = wanted.entry(id).or_insert((no, from));
        earliest.1 = earliest.1.min(from);
    }
    for (id, (no, from)) in wanted {
        let rows = session.ask(Sql::UsageOf, &[&id, &from, &i64::MAX]).await?;
        let rows = rows.iter().filter_map(|row| crate::postgres::query::lists::usage_row(row).transpose());
        loaded.usage.insert(no, rows.collect::<Result<_, _>>()?);
    }
    Ok(())
}
