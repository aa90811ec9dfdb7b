//! Short reads: a workspace, all workspaces, a balance now or in the past, a charge with all that happened to it, and what
//! is due. Each looks at one moment of the database. Long lists are in `lists`.

use std::sync::Arc;

use tokio_postgres::Row;
use tollkeeper_ledger::{Balance, Charge, ChargeId, EntryBody, Id, Profile, Team, Timestamp, WorkspaceId};

use crate::postgres::batch::prefetch::{decoded, decoded_account, decoded_grant, decoded_team};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{Session, Uuid, column};
use crate::postgres::database::sql::Sql;
use crate::postgres::ids::number_in;
use crate::{BalanceAt, ChargeRecord, Error, Listing, Page, RefundRecord, answer};

/// How many entries are looked at in one step of a search by time: four steps for a million entries.
const PROBES: i64 = 32;

/// For how long a server that asked what is due has it in hand.
const CLAIMED_SECONDS: i64 = 30;

/// The account of a workspace that exists, without its team.
pub(crate) async fn account(
    session: &Session,
    id: &WorkspaceId,
) -> Result<Option<tollkeeper_ledger::Account>, Failure> {
    if id.is_platform() {
        return Ok(None);
    }
    let rows = session.ask(Sql::Balance, &[&id.as_str()]).await?;
    let account = rows.first().map(|row| decoded_account(column(row, 0)?, None)).transpose()?;
    Ok(account)
}

/// The team of a workspace that exists.
pub(crate) async fn team(session: &Session, id: &WorkspaceId) -> Result<Option<Arc<Team>>, Failure> {
    let rows = session.ask(Sql::Team, &[&id.as_str()]).await?;
    let Some(row) = rows.first().filter(|_| !id.is_platform()) else { return Ok(None) };
    Ok(Some(decoded_team(column(row, 0)?)?))
}

/// All workspaces, newest first.
pub(crate) async fn workspaces(session: &Session, page: &Page) -> Result<Listing<Profile>, Failure> {
    let (created_at, before) = match &page.cursor {
        // No name sorts behind this one.
        None => (i64::MAX, "\u{7f}".to_owned()),
        Some(cursor) => {
            let (millis, name) = cursor.split_once('/').ok_or_else(Error::bad_cursor)?;
            (millis.parse().map_err(|_| Error::bad_cursor())?, name.to_owned())
        }
    };
    let platform = WorkspaceId::platform();
    let limit = page.limit.min(LIMIT_MAX) as i64;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&created_at, &before, &platform.as_str(), &(limit + 1)];
    let rows = session.ask(Sql::Workspaces, &params).await?;
    let mut data = Vec::with_capacity(rows.len());
    for row in rows.iter().take(page.limit) {
        data.push(*decoded_account(column(row, 0)?, None)?.profile);
    }
    let last = data.last().filter(|_| rows.len() > page.limit);
    let next = last.map(|profile| format!("{}/{}", profile.created_at.millis(), profile.id));
    Ok(Listing { data, next })
}

/// More rows than that are never asked for at once.
pub(crate) const LIMIT_MAX: usize = 1 << 20;

/// What a workspace has, or had at an instant.
pub(crate) async fn balance(
    session: &Session,
    id: &WorkspaceId,
    at: Option<Timestamp>,
) -> Result<Option<BalanceAt>, Failure> {
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let present = BalanceAt { balance: account.balance, last_entry_at: account.chain.at };
    let Some(at) = at.filter(|at| *at < account.chain.at) else { return Ok(Some(present)) };
    let n = last_at(session, id, account.chain.n as i64, |entry_at| entry_at <= at).await?;
    let rows = session.ask(Sql::EntriesAt, &[&id.as_str(), &vec![n]]).await?;
    let Some(row) = rows.first() else {
        return Ok(Some(BalanceAt { balance: Balance::default(), last_entry_at: Timestamp::ZERO }));
    };
    let entry = decoded(column(row, 0)?)?;
    Ok(Some(BalanceAt { balance: entry.balance, last_entry_at: entry.at }))
}

/// The number of the last of the entries 1 to `last` whose time is early enough; 0 if none is. Time never decreases from
/// one entry to the next, so it is found by narrowing down.
pub(crate) async fn last_at(
    session: &Session,
    id: &WorkspaceId,
    last: i64,
    early: impl Fn(Timestamp) -> bool,
) -> Result<i64, Failure> {
    let (mut found, mut beyond) = (0, last + 1);
    while beyond - found > 1 {
        let step = ((beyond - found) / PROBES).max(1);
        let probes: Vec<i64> =
            (1..=PROBES).map(|probe| found + probe * step).filter(|n| *n < beyond).collect();
        let rows = session.ask(Sql::EntriesAt, &[&id.as_str(), &probes]).await?;
        if rows.len() != probes.len() {
            return Err(Error::damaged(format!("the journal of workspace {id} has a gap")).into());
        }
        for (n, row) in probes.into_iter().zip(&rows) {
            if early(decoded(column(row, 0)?)?.at) {
                found = n;
            } else {
                beyond = n;
                break;
            }
        }
    }
    Ok(found)
}

/// A charge of a workspace with all that happened to it.
pub(crate) async fn charge(
    session: &Session,
    id: &WorkspaceId,
    charge: ChargeId,
) -> Result<Option<ChargeRecord>, Failure> {
    let uuid = Uuid(charge.0.to_bytes());
    let rows = session.ask(Sql::ChargeWhole, &[&id.as_str(), &number_in(charge.0), &uuid]).await?;
    let (mut account, mut born, mut refunds) = (None, None::<Charge>, Vec::new());
    for row in &rows {
        let bytes: &[u8] = column(row, 2)?;
        match column::<i32>(row, 0)? {
            0 => account = Some(decoded_account(bytes, None)?),
            1 => born = answer::charge_of(decoded(bytes)?).filter(|found| found.details.id == charge),
            _ => {
                let entry = decoded(bytes)?;
                if let (Some(charge), Some(state)) = (&mut born, entry.body.state()) {
                    charge.state = state;
                }
                if let EntryBody::ChargeRefunded(refund) = entry.body {
                    refunds.push(RefundRecord { at: entry.at, refund: *refund });
                }
            }
        }
    }
    let (Some(account), Some(charge)) = (account.filter(|_| !id.is_platform()), born) else {
        return Ok(None);
    };
    let mut draws = Vec::with_capacity(charge.details.draws.len());
    for draw in charge.details.draws.iter() {
        let grant = match account.grants.get(draw.grant) {
            Some(grant) => grant.id,
            None => spent_grant(session, id, draw.grant).await?,
        };
        draws.push((grant, draw.amount));
    }
    Ok(Some(ChargeRecord { charge, draws, refunds, balance: account.balance }))
}

/// The id of a grant that is not in the account any more.
async fn spent_grant(
    session: &Session,
    id: &WorkspaceId,
    n: u64,
) -> Result<tollkeeper_ledger::GrantId, Failure> {
    let (ids, numbers) = (vec![id.as_str()], vec![n as i64]);
    let rows = session.ask(Sql::Lots, &[&ids, &numbers]).await?;
    let missing = || Error::damaged(format!("grant {n} of workspace {id} is missing"));
    let row = rows.first().ok_or_else(missing)?;
    Ok(decoded_grant(column(row, 1)?)?.id)
}

async fn claim(session: &Session, (now, until): (i64, i64), most: i64) -> Result<Vec<Row>, Failure> {
    if !session.is_distributed() {
        return session.ask(Sql::Claim, &[&now, &until, &most]).await;
    }
    // Whoever comes second finds them claimed, and looks again at its next turn.
    let due = session.ask(Sql::Due, &[&now, &most]).await?;
    let mut names: (Vec<&str>, Vec<i64>) = Default::default();
    for row in &due {
        names.0.push(column(row, 0)?);
        names.1.push(column(row, 1)?);
    }
    session.ask(Sql::ClaimThese, &[&now, &until, &names.0, &names.1]).await
}

/// Pending charges whose deadline has passed, the longest overdue first, at most so many. Whoever is given them has them in
/// hand for half a minute, so that several servers share the work.
pub(crate) async fn due(
    session: &Session,
    now: Timestamp,
    most: usize,
) -> Result<Vec<(WorkspaceId, ChargeId)>, Failure> {
    let until = now.plus_seconds(CLAIMED_SECONDS).millis();
    let most = most.min(LIMIT_MAX) as i64;
    let rows = claim(session, (now.millis(), until), most).await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in &rows {
        let workspace = WorkspaceId::new(column::<&str>(row, 0)?);
        let workspace = workspace.map_err(|_| Error::damaged("a pending charge of no workspace"))?;
        let charge = ChargeId(Id::from_bytes(column::<Uuid>(row, 1)?.0));
        due.push((column::<i64>(row, 2)?, workspace, charge));
    }
    due.sort();
    Ok(due.into_iter().map(|(_, workspace, charge)| (workspace, charge)).collect())
}
