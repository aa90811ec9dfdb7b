//! Repairs: a damaged account is rebuilt from the entries of its workspace, while the server runs.
//!
//! A lane or a query that meets damage asks for a repair and does not wait for it. Repairs run one
//! after another on the thread of the readers. The commands of the workspace are set aside
//! meanwhile; no other workspace notices. If the entries themselves are damaged, the workspace
//! alone is refused, and tried again after a minute.
//!
//! A repair replays every entry of the workspace as an audit does. It writes the account, the team,
//! the grants, the usage and the deadlines, and changes no number that another server may have in
//! memory. So of the two places of usage one must be right: the table, or the current hour in the
//! account's row.
//!
//! No reader can see that a row of usage or a deadline is wrong or missing; an audit does. An
//! operator then asks for the repair ([`repair`]).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tollkeeper_ledger::{
    Account, ChargeId, Entry, Grant, HourPart, Micros, Timestamp, Usage, UsageKey, UsageSums, WorkspaceId,
};

use super::batch::accounts::ChangedSearch;
use super::batch::columns::PaymentColumns;
use super::batch::current_hour::{CurrentHour, is_not_negative};
use super::batch::search_columns::SearchColumns;
use super::batch::usage_columns::UsageColumns;
use super::database::blocking::block_on;
use super::database::config::{self, Address};
use super::database::decode::{decode_account, decode_current_usage, decode_entry, decode_usage_row};
use super::database::failure::Failure;
use super::database::schema::{self, Admission};
use super::database::seal::{Companions, sealed, sealed_account};
use super::database::session::{DbSession, Uuid, column, connect};
use super::database::sql::{self, Sql};
use super::repairs::Repairs;
use crate::hash::digest;
use crate::workspace_search::SearchRow;
use crate::{Error, calendar, rollups};

/// How many entries one read fetches.
const READ_ENTRIES: i64 = 2_000;

/// How long a repair waits for the lock of the account.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// Rows of hourly usage.
type UsageRows = Vec<(UsageKey, UsageSums)>;

/// Rebuilds everything that derives from the journal of a workspace, also while servers use the
/// database.
///
/// # Errors
/// [`Error::is_damaged`] if the workspace has no journal or its journal is damaged,
/// [`Error::is_unavailable`] or [`Error::is_unusable`] if the database cannot be used.
pub fn repair(url: &str, workspace: &WorkspaceId) -> Result<(), Error> {
    let address = config::parse(url)?;
    block_on(async {
        let rebuilt = async {
            schema::require_version(&connect(&address).await?).await?;
            rebuild(&address, workspace).await
        };
        rebuilt.await.map_err(Failure::into_error)
    })
}

/// Rebuilds the accounts that are asked for, until the future is dropped.
pub(super) async fn run(repairs: &Repairs, address: &Address) {
    loop {
        let workspace = repairs.next().await;
        let rebuilt = AssertUnwindSafe(rebuild(address, &workspace)).catch_unwind().await;
        let rebuilt = rebuilt.unwrap_or_else(|panic| Err(Error::panicked(&*panic).into()));
        repairs.finish(&workspace, rebuilt.map_err(Failure::into_error));
    }
}

/// An account as its entries make it.
struct Rebuilt {
    account: Account,
    grants: Vec<Grant>,
    usage: UsageRows,
    pending: PendingCharges,
}

/// The charges that await an outcome with their deadlines, by the entry that opened them.
#[derive(Default)]
struct PendingCharges(BTreeMap<u64, (ChargeId, Timestamp)>);

impl PendingCharges {
    fn record(&mut self, entry: &Entry) {
        let (Some((charge, opening_entry)), Some(state)) = (entry.body.charge(), entry.body.state()) else {
            return;
        };
        let opening_entry = opening_entry.unwrap_or(entry.n);
        match state.deadline {
            Some(deadline) => self.0.insert(opening_entry, (charge, deadline)),
            None => self.0.remove(&opening_entry),
        };
    }
}

/// The usage of an account as it must be stored.
struct StoredUsage {
    /// The current hour, in the account's row.
    hour: CurrentHour,
    /// The rows of the table; `None` if they are right.
    table: Option<UsageRows>,
}

/// Rebuilds an account in one transaction, under the lock of its row.
async fn rebuild(address: &Address, workspace: &WorkspaceId) -> Result<(), Failure> {
    let session = DbSession::open(address).await?;
    // Reading a long journal may take its time. Waiting for the row may not: repairs run one after
    // another, and a forgotten transaction would hold up all of them.
    session.batch_execute(&format!("{}; {}; {LOCK_TIMEOUT}", sql::BEGIN, sql::WITHOUT_TIME_LIMITS)).await?;
    session.execute(Sql::LockAccount, &[&workspace.as_str()]).await?;
    // A server that is too old for the tables takes the rows of a newer one for damage.
    Admission::ask(&session).await?.refuse_outdated()?;
    let Rebuilt { account, grants, usage, pending } = replay(&session, workspace).await?;
    let is_current = is_current(&session, workspace, &account).await?;
    let usage = stored_usage(&session, workspace, usage, is_current).await?;
    write(&session, workspace, account, &grants, &usage.hour).await?;
    if let Some(rows) = usage.table {
        write_usage(&session, workspace, &rows).await?;
    }
    // Closed days may be what is damaged. They are made again from the table.
    session.execute(Sql::ForgetDays, &[&workspace.as_str()]).await?;
    write_pending(&session, workspace, &pending).await?;
    session.batch_execute("COMMIT").await
}

/// True if the stored account can be read and ends as the journal does. No later entry carries the
/// hash of the last one, so only the account shows that it was changed.
async fn is_current(
    session: &DbSession,
    workspace: &WorkspaceId,
    rebuilt: &Account,
) -> Result<bool, Failure> {
    let rows = session.query(Sql::Account, &[&workspace.as_str()]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    // A row that cannot be read is what is repaired.
    let Ok(stored) = decode_account(column(row, 0)?) else { return Ok(false) };
    let (n, stored_n) = (rebuilt.chain.n, stored.chain.n);
    if stored_n < n {
        return Ok(false);
    }
    if stored_n == n && stored.chain.hash == rebuilt.chain.hash {
        return Ok(true);
    }
    let what =
        format!("entry {n} of {workspace} is not the one with which its account ends (entry {stored_n})");
    Err(Error::damaged(what).with_hint("the journal itself is damaged: run `tollkeeper audit`").into())
}

async fn replay(session: &DbSession, workspace: &WorkspaceId) -> Result<Rebuilt, Failure> {
    let (mut account, mut usage) = (Account::new(workspace.clone()), Usage::default());
    let mut pending = PendingCharges::default();
    loop {
        let after = account.chain.n as i64;
        let rows = session.query(Sql::EntriesAfter, &[&workspace.as_str(), &after, &READ_ENTRIES]).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let bytes: &[u8] = column(row, 0)?;
            let entry = decode_entry(bytes)?;
            account.replay(&entry, digest(bytes)).map_err(|wrong| {
                let n = account.chain.n + 1;
                Error::damaged(format!("entry {n} of {workspace} does not follow: {wrong}"))
                    .with_hint("the journal itself is damaged: run `tollkeeper audit`")
            })?;
            usage.record(&entry, calendar::hour_part(&account.profile.timezone, entry.decided_at));
            pending.record(&entry);
        }
        // Other tasks of the thread go on between two reads.
        tokio::task::yield_now().await;
    }
    if account.chain.n == 0 {
        return Err(Error::damaged(format!("the journal of {workspace} is missing")).into());
    }
    let grants = account.grants.iter().cloned().collect();
    account.grants.release_spent();
    Ok(Rebuilt { account, grants, usage: rollups::folded(usage.take()), pending })
}

/// Splits the usage of a workspace into the table and the current hour. Other servers may have the
/// current hour in memory and write it with the next charge. If the account is current, that is the
/// hour that is stored. If it is not, such as an old row that was restored, it is what the table
/// does not have. If that cannot be, the other place is wrong and is written anew.
async fn stored_usage(
    session: &DbSession,
    workspace: &WorkspaceId,
    all: UsageRows,
    is_current: bool,
) -> Result<StoredUsage, Failure> {
    let rows = session.query(Sql::UsageOf, &[&workspace.as_str(), &i64::MIN, &i64::MAX]).await?;
    let mut hour = None;
    let mut table = Some(UsageRows::new());
    for row in &rows {
        match decode_usage_row(row) {
            Ok(None) => hour = decode_current_usage(column(row, 0)?).ok().and_then(CurrentHour::from_rows),
            Ok(Some(stored)) => {
                if let Some(table) = &mut table {
                    table.push(stored);
                }
            }
            Err(_) => table = None,
        }
    }
    let newest = all.iter().map(|(key, _)| key.hour).max();
    let of_table = table.as_ref().and_then(|table| {
        let [all, table] = [&all, table].map(|rows| with_whole_hours(rows, newest));
        CurrentHour::from_rows(less(all, &table))
    });
    let hour = match hour {
        // An hour with more than the entries sum up to is wrong.
        Some(hour) if is_current && less(all.clone(), hour.rows()).iter().all(is_not_negative) => hour,
        stored => of_table.or(stored).ok_or_else(|| {
            Error::damaged(format!(
                "i08: both the usage table and the current hour of {workspace} are damaged"
            ))
        })?,
    };
    let right = less(all, hour.rows());
    if table.is_some_and(|table| less(table, &[]) == right) {
        return Ok(StoredUsage { hour, table: None });
    }
    tracing::warn!(%workspace, rows = right.len(), "the usage is written anew from the journal");
    Ok(StoredUsage { hour, table: Some(right) })
}

/// The rows without the divisions of hours, except in the newest hour: the table may have rows from
/// before hours were divided.
fn with_whole_hours(rows: &[(UsageKey, UsageSums)], newest: Option<i64>) -> UsageRows {
    let mut rows = rows.to_vec();
    for (key, _) in rows.iter_mut().filter(|(key, _)| Some(key.hour) != newest) {
        key.part = HourPart::WHOLE;
    }
    rows
}

/// What is left of usage after some of it is subtracted.
fn less(mut usage: UsageRows, subtracted: &[(UsageKey, UsageSums)]) -> UsageRows {
    for (key, UsageSums { runs, quantity, charged, refunded }) in subtracted {
        let negative = UsageSums {
            runs: -runs,
            quantity: -quantity,
            charged: Micros::ZERO - *charged,
            refunded: Micros::ZERO - *refunded,
        };
        usage.push((key.clone(), negative));
    }
    let mut rest = rollups::folded(usage);
    rest.retain(|(_, used)| *used != UsageSums::default());
    rest
}

async fn write_usage(
    session: &DbSession,
    workspace: &WorkspaceId,
    rows: &[(UsageKey, UsageSums)],
) -> Result<(), Failure> {
    session.execute(Sql::RemoveUsage, &[&workspace.as_str()]).await?;
    let mut columns = UsageColumns::default();
    for (key, used) in rows {
        columns.push(workspace.as_str(), key, used);
    }
    columns.add(session).await
}

/// Writes the deadlines anew. A charge that a server is timing out may be claimed once more, which
/// changes nothing: a charge leaves pending once.
async fn write_pending(
    session: &DbSession,
    workspace: &WorkspaceId,
    pending: &PendingCharges,
) -> Result<(), Failure> {
    let workspaces = vec![workspace.as_str(); pending.0.len()];
    let numbers: Vec<i64> = pending.0.keys().map(|n| *n as i64).collect();
    let charges: Vec<Uuid> = pending.0.values().map(|(charge, _)| Uuid(charge.0.to_bytes())).collect();
    let deadlines: Vec<i64> = pending.0.values().map(|(_, deadline)| deadline.millis()).collect();
    session.execute(Sql::RemoveDeadlines, &[&workspace.as_str()]).await?;
    session.execute(Sql::SetPending, &[&workspaces, &numbers, &charges, &deadlines]).await
}

async fn write(
    session: &DbSession,
    workspace: &WorkspaceId,
    account: Account,
    grants: &[Grant],
    hour: &CurrentHour,
) -> Result<(), Failure> {
    let id = workspace.as_str();
    let (n, created_at) = (account.chain.n as i64, account.profile.created_at.millis());
    // A team that is empty again has a row too.
    let team = (!workspace.is_platform()).then(|| sealed(512, |bytes| account.team.encode(bytes)));
    let payments = account.payments.as_deref().map(|payments| sealed(256, |bytes| payments.encode(bytes)));
    let companions = Companions::of_rows(team.as_deref(), payments.as_deref());
    let data = sealed_account(384, companions, |bytes| account.encode(bytes));
    let usage = sealed(128, |bytes| hour.encode(bytes));
    session.execute(Sql::RebuildAccount, &[&id, &n, &created_at, &data, &usage]).await?;
    if let Some(team) = team {
        let mut search = SearchColumns::default();
        search.push(&account, ChangedSearch { row: SearchRow::of(&account), is_renamed: true });
        search.set(session).await?;
        session.execute(Sql::SetTeams, &[&vec![id], &vec![team]]).await?;
        match account.payments.as_deref().zip(payments) {
            Some((payments, row)) => {
                let mut columns = PaymentColumns::default();
                columns.push(id, payments, row);
                columns.set(session).await?;
            }
            // A row that the journal does not have is damage too.
            None => session.execute(Sql::DeletePayments, &[&id]).await?,
        }
    }
    let numbers: Vec<i64> = grants.iter().map(|grant| grant.n as i64).collect();
    let rows: Vec<Vec<u8>> = grants.iter().map(|grant| sealed(64, |bytes| grant.encode(bytes))).collect();
    session.execute(Sql::SetGrantRows, &[&vec![id; grants.len()], &numbers, &rows]).await
}
