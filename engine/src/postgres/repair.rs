//! Repairs: a damaged account is rebuilt from the entries of its workspace, while the server runs.
//!
//! A lane or a query that meets damage asks for a repair and does not wait for it. Repairs run one
//! after another on the thread of the readers. The commands of the workspace are set aside
//! meanwhile; no other workspace notices. If the entries themselves are damaged, the workspace
//! alone is refused, and tried again after a minute.
//!
//! A repair replays every entry of the workspace as an audit does. It writes the account, the team
//! and the grants, and changes no number that another server may have in memory. So it needs the
//! usage table to be right. Deadlines are not repaired; the audit compares them.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tollkeeper_ledger::{Account, Grant, Micros, Usage, UsageKey, UsageSums, WorkspaceId};

use super::batch::current_hour::CurrentHour;
use super::database::config::Address;
use super::database::decode::{decode_entry, decode_usage_row};
use super::database::failure::Failure;
use super::database::schema::Admission;
use super::database::seal::sealed;
use super::database::session::{DbSession, column};
use super::database::sql::{self, Sql};
use super::repairs::Repairs;
use crate::hash::digest;
use crate::{Error, rollups};

/// How many entries one read fetches.
const READ_ENTRIES: i64 = 2_000;

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
    usage: Vec<(UsageKey, UsageSums)>,
}

/// Rebuilds an account in one transaction, under the lock of its row.
async fn rebuild(address: &Address, workspace: &WorkspaceId) -> Result<(), Failure> {
    let session = DbSession::open(address).await?;
    session.batch_execute(&format!("{}; {}", sql::BEGIN, sql::WITHOUT_TIME_LIMITS)).await?;
    session.execute(Sql::LockAccount, &[&workspace.as_str()]).await?;
    // A server that is too old for the tables takes the rows of a newer one for damage.
    Admission::ask(&session).await?.refuse_outdated()?;
    let rebuilt = replay(&session, workspace).await?;
    let hour = current_hour(&session, workspace, rebuilt.usage).await?;
    write(&session, workspace, rebuilt.account, &rebuilt.grants, &hour).await?;
    session.batch_execute("COMMIT").await
}

async fn replay(session: &DbSession, workspace: &WorkspaceId) -> Result<Rebuilt, Failure> {
    let (mut account, mut usage) = (Account::new(workspace.clone()), Usage::default());
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
            usage.record(&entry);
        }
        // Other tasks of the thread go on between two reads.
        tokio::task::yield_now().await;
    }
    if account.chain.n == 0 {
        return Err(Error::damaged(format!("the journal of {workspace} is missing")).into());
    }
    let grants = account.grants.iter().cloned().collect();
    account.grants.release_spent();
    Ok(Rebuilt { account, grants, usage: rollups::folded(usage.take()) })
}

/// The rollups that are not in the usage table. Other servers may have them in memory, so they must
/// be what the row had: few rows of one hour.
async fn current_hour(
    session: &DbSession,
    workspace: &WorkspaceId,
    mut usage: Vec<(UsageKey, UsageSums)>,
) -> Result<CurrentHour, Failure> {
    let rows = session.query(Sql::UsageOf, &[&workspace.as_str(), &i64::MIN, &i64::MAX]).await?;
    for row in &rows {
        if let Some((key, stored)) = decode_usage_row(row)? {
            let UsageSums { runs, quantity, charged, refunded } = stored;
            usage.push((
                key,
                UsageSums {
                    runs: -runs,
                    quantity: -quantity,
                    charged: Micros::ZERO - charged,
                    refunded: Micros::ZERO - refunded,
                },
            ));
        }
    }
    let mut rest = rollups::folded(usage);
    rest.retain(|(_, used)| *used != UsageSums::default());
    let differs = || Error::damaged(format!("i08: the usage table of {workspace} differs from its journal"));
    Ok(CurrentHour::from_rows(rest).ok_or_else(differs)?)
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
    let data = sealed(384, |bytes| account.encode(bytes));
    let usage = sealed(128, |bytes| hour.encode(bytes));
    session.execute(Sql::RebuildAccount, &[&id, &n, &created_at, &data, &usage]).await?;
    if !account.team.is_empty() {
        let team = sealed(512, |bytes| account.team.encode(bytes));
        session.execute(Sql::SetTeams, &[&vec![id], &vec![team]]).await?;
    }
    let numbers: Vec<i64> = grants.iter().map(|grant| grant.n as i64).collect();
    let rows: Vec<Vec<u8>> = grants.iter().map(|grant| sealed(64, |bytes| grant.encode(bytes))).collect();
    session.execute(Sql::SetGrantRows, &[&vec![id; grants.len()], &numbers, &rows]).await
}
