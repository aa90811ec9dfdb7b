//! Short queries: one workspace, a balance now or in the past, a team, one charge with its
//! refunds, due charges and payments. Most of them read a single snapshot of the database.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tollkeeper_ledger::{
    Account, Balance, Charge, ChargeId, GrantId, Hash, Id, MemberId, Micros, Payments, Team, Timestamp,
    WorkspaceId, bounds,
};

use crate::answer::ChargeHistory;
use crate::postgres::batch::texts::stored_text;
use crate::postgres::database::config::Address;
use crate::postgres::database::decode::{
    decode_account, decode_entry, decode_grant, decode_payments_of, decode_team_of,
};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema::Admission;
use crate::postgres::database::session::{
    DbSession, Params, Uuid, begin_snapshot, column, connect, row_position,
};
use crate::postgres::database::sql::Sql;
use crate::postgres::database::sql_text;
use crate::postgres::ids::number_in;
use crate::postgres::platform::PlatformCell;
use crate::postgres::teams_seen::{SeenTeam, TeamsSeen};
use crate::{BalanceAt, ChargeRecord, DuePlace, Error, JournalHead, answer};

/// How many entries one step of a search by time reads: four steps search a million entries.
const PROBES: i64 = 32;

/// How long due charges and payments stay claimed for the server that asked for them.
const CLAIM_SECONDS: i64 = 30;

/// The most rows that one query asks for.
pub(crate) const LIMIT_MAX: usize = 1 << 20;

/// The account of a workspace, without its team. `None` if the workspace does not exist or is the
/// platform.
pub(crate) async fn account(session: &DbSession, id: &WorkspaceId) -> Result<Option<Account>, Failure> {
    if id.is_platform() {
        return Ok(None);
    }
    let rows = session.query_with_timeout(Sql::Account, &[&id.as_str()]).await?;
    let account = rows.first().map(|row| decode_account(column(row, 0)?)).transpose()?;
    Ok(account)
}

/// The team of a workspace. `None` if the workspace does not exist or is the platform.
pub(crate) async fn team(
    session: &DbSession,
    id: &WorkspaceId,
    teams_seen: &TeamsSeen,
) -> Result<Option<Arc<Team>>, Failure> {
    let seen = teams_seen.get(id);
    let seen_version = seen.as_ref().map_or("", |seen| &seen.version);
    let rows = session.query_with_timeout(Sql::Team, &[&id.as_str(), &seen_version]).await?;
    let Some(row) = rows.first().filter(|_| !id.is_platform()) else { return Ok(None) };
    let version: Option<&str> = column(row, 0)?;
    if let Some(seen) = seen.filter(|seen| version == Some(&seen.version)) {
        return Ok(Some(seen.team));
    }
    let team = decode_team_of(column(row, 2)?, column(row, 1)?)?;
    if let Some(version) = version {
        teams_seen.put(id, SeenTeam { version: version.into(), team: Arc::clone(&team) });
    }
    Ok(Some(team))
}

/// The payments of a workspace. `None` if the workspace does not exist or is the platform.
pub(crate) async fn payments(
    session: &DbSession,
    id: &WorkspaceId,
) -> Result<Option<Arc<Payments>>, Failure> {
    let rows = session.query_with_timeout(Sql::Payments, &[&id.as_str()]).await?;
    let Some(row) = rows.first().filter(|_| !id.is_platform()) else { return Ok(None) };
    Ok(Some(decode_payments_of(column(row, 1)?, column(row, 0)?)?.unwrap_or_default()))
}

/// The error for a text that is not what was stored. No rebuilding of the account mends it.
fn damaged_text(member: &MemberId) -> Error {
    Error::unusable(format!("a stored name or e-mail address of member {member} is damaged"))
        .with_hint("set name and e-mail address of the member again, or erase the member")
}

/// The texts with these digests that were not erased.
pub(crate) async fn personal_texts(
    session: &DbSession,
    id: &WorkspaceId,
    wanted: &[(MemberId, Hash)],
) -> Result<Vec<Option<Box<str>>>, Failure> {
    let members: Vec<&str> = wanted.iter().map(|(member, _)| member.as_str()).collect();
    let digests: Vec<&[u8]> = wanted.iter().map(|(_, digest)| &digest[..]).collect();
    let rows = session.query_with_timeout(Sql::Texts, &[&id.as_str(), &members, &digests]).await?;
    let mut texts = vec![None; wanted.len()];
    for row in &rows {
        let position = row_position(row, wanted.len())?;
        let (salt, text): (Option<&[u8]>, Option<&[u8]>) = (column(row, 1)?, column(row, 2)?);
        let found = stored_text(salt, text, &wanted[position].1);
        if found.is_none() && text.is_some() {
            return Err(Failure::Permanent(damaged_text(&wanted[position].0)));
        }
        texts[position] = found.map(|found| found.text);
    }
    Ok(texts)
}

/// The end of all chains: the number of entries, and one hash over the accounts in the order of
/// their workspaces, each of which contains the end of its chain.
pub(crate) async fn journal_head(
    session: &DbSession,
    platform: &PlatformCell,
) -> Result<JournalHead, Failure> {
    platform.refresh(session).await?;
    let epoch = platform.snapshot().platform.epoch;
    head_from(&session.query_with_timeout(Sql::JournalHead, &[]).await?, epoch)
}

/// The same on a connection of its own and without time limits: it reads every account.
pub(crate) async fn journal_head_without_time_limits(
    address: &Address,
    epoch: u64,
) -> Result<JournalHead, Failure> {
    let client = connect(address).await?;
    begin_snapshot(&client).await?;
    head_from(&client.query(sql_text::text(Sql::JournalHead), &[]).await?, epoch)
}

fn head_from(rows: &[Row], epoch: u64) -> Result<JournalHead, Failure> {
    let row = rows.first().ok_or_else(|| Error::damaged("a sum over all accounts has one row"))?;
    let entries = column::<i64>(row, 0)? as u64;
    let hash = Hash::try_from(column::<&[u8]>(row, 1)?);
    let hash = hash.map_err(|_| Error::damaged("a SHA-256 has 32 bytes"))?;
    Ok(JournalHead { epoch, place: entries, hash, entries })
}

/// The balance of a workspace, now or after its last entry up to `at`.
pub(crate) async fn balance(
    session: &DbSession,
    id: &WorkspaceId,
    at: Option<Timestamp>,
) -> Result<Option<BalanceAt>, Failure> {
    let Some(account) = account(session, id).await? else { return Ok(None) };
    let current = BalanceAt { balance: account.balance, last_entry_at: account.chain.at };
    let Some(at) = at.filter(|at| *at < account.chain.at) else { return Ok(Some(current)) };
    let n = last_entry_where(session, id, account.chain.n as i64, |entry_at| entry_at <= at).await?;
    let rows = session.query_with_timeout(Sql::EntriesByNumber, &[&id.as_str(), &vec![n]]).await?;
    let Some(row) = rows.first() else {
        return Ok(Some(BalanceAt { balance: Balance::default(), last_entry_at: Timestamp::ZERO }));
    };
    let entry = decode_entry(column(row, 0)?)?;
    Ok(Some(BalanceAt { balance: entry.balance, last_entry_at: entry.at }))
}

/// The number of the last entry among 1 to `last` whose time satisfies `is_early`; 0 if there is
/// none. Entry times never decrease, so the search narrows a range: the entry `found` is early, the
/// entry `beyond` is not.
pub(crate) async fn last_entry_where(
    session: &DbSession,
    id: &WorkspaceId,
    last: i64,
    is_early: impl Fn(Timestamp) -> bool,
) -> Result<i64, Failure> {
    let (mut found, mut beyond) = (0, last + 1);
    while beyond - found > 1 {
        let step = ((beyond - found) / PROBES).max(1);
        let probes: Vec<i64> =
            (1..=PROBES).map(|probe| found + probe * step).filter(|n| *n < beyond).collect();
        assert!(!probes.is_empty(), "each step of the search narrows the range");
        let rows = session.query_with_timeout(Sql::EntriesByNumber, &[&id.as_str(), &probes]).await?;
        if rows.len() != probes.len() {
            return Err(Error::damaged(format!("the journal of workspace {id} has a gap")).into());
        }
        for (n, row) in probes.into_iter().zip(&rows) {
            if is_early(decode_entry(column(row, 0)?)?.at) {
                found = n;
            } else {
                beyond = n;
                break;
            }
        }
    }
    Ok(found)
}

/// A charge of a workspace with its draws, its refunds and the current balance.
pub(crate) async fn charge(
    session: &DbSession,
    id: &WorkspaceId,
    charge: ChargeId,
) -> Result<Option<ChargeRecord>, Failure> {
    let uuid = Uuid(charge.0.to_bytes());
    let changes = bounds::CHARGE_CHANGES_MAX as i64;
    let params: [&(dyn ToSql + Sync); 4] = [&id.as_str(), &number_in(charge.0), &uuid, &changes];
    let rows = session.query_with_timeout(Sql::ChargeWithEntries, &params).await?;
    assert!(rows.len() <= 2 + bounds::CHARGE_CHANGES_MAX, "a bounded number of entries is read");
    let (mut account, mut opened) = (None, None::<(ChargeHistory, Charge)>);
    for row in &rows {
        let bytes: &[u8] = column(row, 2)?;
        match column::<i32>(row, 0)? {
            0 => account = Some(decode_account(bytes)?),
            1 => {
                let found = answer::charge_opened_by(decode_entry(bytes)?);
                let found = found.filter(|found| found.details.id == charge);
                opened = found.map(|charge| (ChargeHistory::of(&charge), charge));
            }
            _ => {
                let entry = decode_entry(bytes)?;
                if let Some((history, charge)) = &mut opened {
                    charge.state = entry.body.state().unwrap_or(charge.state);
                    history.add(entry);
                }
            }
        }
    }
    let (Some(account), Some((history, charge))) = (account.filter(|_| !id.is_platform()), opened) else {
        return Ok(None);
    };
    let ChargeHistory { refunds, used } = history;
    let draws = draws_by_id(session, &account, &charge).await?;
    Ok(Some(ChargeRecord { charge, draws, refunds, used, balance: account.balance }))
}

/// The draws of a charge with the ids of their grants. A spent grant is not in the account and is
/// read from its row.
async fn draws_by_id(
    session: &DbSession,
    account: &Account,
    charge: &Charge,
) -> Result<Vec<(GrantId, Micros)>, Failure> {
    let mut draws = Vec::with_capacity(charge.details.draws.len());
    for draw in charge.details.draws.iter() {
        let grant = match account.grants.get(draw.grant) {
            Some(grant) => grant.id,
            None => spent_grant(session, &account.profile.id, draw.grant).await?,
        };
        draws.push((grant, draw.amount));
    }
    Ok(draws)
}

/// The id of a spent grant, by the number of the entry that created it.
async fn spent_grant(session: &DbSession, id: &WorkspaceId, n: u64) -> Result<GrantId, Failure> {
    let (ids, numbers) = (vec![id.as_str()], vec![n as i64]);
    let rows = session.query_with_timeout(Sql::GrantRows, &[&ids, &numbers]).await?;
    let missing = || Error::damaged(format!("grant {n} of workspace {id} is missing"));
    let row = rows.first().ok_or_else(missing)?;
    Ok(decode_grant(column(row, 1)?)?.id)
}

/// Pending charges whose deadline has passed, the longest overdue first, at most `limit`. They are
/// claimed for [`CLAIM_SECONDS`], so that several servers share the work and a charge of a stopped
/// server is not lost. A server that cannot write claims none: it could not time them out.
pub(crate) async fn due(
    session: &DbSession,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(WorkspaceId, ChargeId)>, Failure> {
    if !Admission::ask(session).await?.may_write() {
        return Ok(Vec::new());
    }
    let claim = Claim {
        now: now.millis(),
        claimed_until: now.plus_seconds(CLAIM_SECONDS).millis(),
        limit: limit.min(LIMIT_MAX) as i64,
    };
    let rows = claim.run(session).await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in &rows {
        let workspace = WorkspaceId::new(column::<&str>(row, 0)?);
        let charge = ChargeId(Id::from_bytes(column::<Uuid>(row, 1)?.0));
        let Ok(workspace) = workspace else {
            tracing::error!(%charge, "a due charge has an invalid workspace id; it stays pending");
            continue;
        };
        due.push((column::<i64>(row, 2)?, workspace, charge));
    }
    due.sort();
    Ok(due.into_iter().map(|(_, workspace, charge)| (workspace, charge)).collect())
}

/// A page of the workspaces with work of payments that is due, at most `limit`, behind a place in
/// the list of them. A server that cannot write has none: it could not do the work.
pub(crate) async fn due_payments(
    session: &DbSession,
    now: Timestamp,
    after: Option<DuePlace>,
    limit: usize,
) -> Result<Vec<DuePlace>, Failure> {
    let (millis, limit) = (now.millis(), limit.min(LIMIT_MAX) as i64);
    // No workspace has an empty id, so before the first one is before all of its time.
    let (due_at, workspace) = match &after {
        Some(DuePlace { due_at, workspace }) => (due_at.millis(), workspace.as_str()),
        None => (i64::MIN, ""),
    };
    let params: Params<'_> = &[&millis, &due_at, &workspace, &limit];
    let rows = session.query_with_timeout(Sql::DuePayments, params).await?;
    if rows.is_empty() || !Admission::ask(session).await?.may_write() {
        return Ok(Vec::new());
    }
    let mut due = Vec::with_capacity(rows.len());
    for row in &rows {
        match WorkspaceId::new(column::<&str>(row, 0)?) {
            Ok(workspace) => {
                due.push(DuePlace { due_at: Timestamp::from_millis(column(row, 1)?), workspace });
            }
            Err(_) => tracing::error!("due payments have an invalid workspace id; they stay due"),
        }
    }
    Ok(due)
}

/// Claims workspaces with work of payments, as due charges are claimed; returns those that no other
/// server has claimed.
pub(crate) async fn claim_payments(
    session: &DbSession,
    now: Timestamp,
    mut workspaces: Vec<WorkspaceId>,
) -> Result<Vec<WorkspaceId>, Failure> {
    // Batches lock the rows in this order too.
    workspaces.sort_unstable();
    let claimed_until = now.plus_seconds(CLAIM_SECONDS).millis();
    let mut claimed = BTreeSet::new();
    for part in session.shards().divide(workspaces.iter().collect(), |workspace| workspace.as_str()) {
        let ids: Vec<&str> = part.into_iter().map(WorkspaceId::as_str).collect();
        let params: [&(dyn ToSql + Sync); 3] = [&now.millis(), &claimed_until, &ids];
        for row in session.query_with_timeout(Sql::ClaimPayments, &params).await? {
            claimed.insert(column::<String>(&row, 0)?);
        }
    }
    workspaces.retain(|workspace| claimed.contains(workspace.as_str()));
    Ok(workspaces)
}

/// A claim of due charges. Times are milliseconds since 1970.
struct Claim {
    now: i64,
    claimed_until: i64,
    limit: i64,
}

impl Claim {
    /// Claims charges and returns their rows: workspace, charge, deadline.
    async fn run(&self, session: &DbSession) -> Result<Vec<Row>, Failure> {
        let Claim { now, claimed_until, limit } = self;
        if !session.is_distributed() {
            return session.query_with_timeout(Sql::ClaimDueCharges, &[now, claimed_until, limit]).await;
        }
        // One statement cannot lock rows of several nodes, so this claims in two steps, shard by
        // shard. A server that comes second finds the rows claimed, and gets others when it asks
        // again.
        let due = session.query_with_timeout(Sql::DueCharges, &[now, limit]).await?;
        let due = due.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?)));
        let due = due.collect::<Result<Vec<(&str, i64)>, Error>>()?;
        let mut claimed = Vec::new();
        for part in session.shards().divide(due, |(workspace, _)| workspace) {
            let (workspaces, numbers): (Vec<&str>, Vec<i64>) = part.into_iter().unzip();
            let params: [&(dyn ToSql + Sync); 4] = [now, claimed_until, &workspaces, &numbers];
            claimed.extend(session.query_with_timeout(Sql::ClaimCharges, &params).await?);
        }
        Ok(claimed)
    }
}
