//! The entries of a workspace behind a number, and how watches learn what other servers commit.
//!
//! A lane wakes the watches of the workspaces that it commits. What other servers commit is found
//! by one query twice a second, over the numbers of the last entries of all watched workspaces.
//! `LISTEN` would take a lock of the whole database at each commit.

use std::sync::Arc;
use std::time::Duration;

use tollkeeper_ledger::WorkspaceId;

use super::readers::Readers;
use crate::follow::Collected;
use crate::hash::digest;
use crate::postgres::database::decode::decode_entry;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, column};
use crate::postgres::database::sql::Sql;
use crate::{EntryRecord, Error, Follow, Followed};

/// How often the numbers of watched workspaces are read.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The most entries that one statement reads.
const READ_MAX: u64 = 256;

/// The entries of a workspace behind a number, oldest first.
pub(crate) async fn entries_after(
    session: &DbSession,
    id: &WorkspaceId,
    follow: &Follow,
) -> Result<Option<Followed>, Failure> {
    if id.is_platform() {
        return Ok(None);
    }
    let numbers = numbers(session, vec![id.as_str().to_owned()]).await?;
    let Some(last) = numbers.first().map(|(_, n)| *n) else { return Ok(None) };
    let through = follow.through(last);
    let mut collected = Collected::new(follow, through);
    let mut after = follow.after;
    while after < through {
        let most = READ_MAX.min(through - after);
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&id.as_str(), &(after as i64), &(most as i64)];
        let rows = session.query_with_timeout(Sql::EntriesAfter, &params).await?;
        let gap = || Error::damaged(format!("the journal of workspace {id} has a gap"));
        if rows.is_empty() {
            return Err(gap().into());
        }
        for row in &rows {
            let bytes: &[u8] = column(row, 0)?;
            let record = EntryRecord { entry: decode_entry(bytes)?, hash: digest(bytes) };
            if record.entry.n != after + 1 {
                return Err(gap().into());
            }
            after = record.entry.n;
            if follow.admits(record.entry.body.kind()) && !collected.push_newer(record, bytes.len()) {
                return Ok(Some(collected.into_followed(last)));
            }
        }
    }
    Ok(Some(collected.into_followed(last)))
}

/// The numbers of the last entries of workspaces.
async fn numbers(session: &DbSession, ids: Vec<String>) -> Result<Vec<(WorkspaceId, u64)>, Failure> {
    let rows = session.query_with_timeout(Sql::EntryNumbers, &[&ids]).await?;
    let number = |row| {
        let id = WorkspaceId::new(column::<&str>(row, 0)?)
            .map_err(|_| Error::damaged("an account has an id that is none"))?;
        Ok((id, column::<i64>(row, 1)? as u64))
    };
    rows.iter().map(number).collect()
}

/// Wakes the watches of workspaces to which other servers have added entries, until the future is
/// dropped. While the database cannot be read, nothing new is found.
pub(crate) async fn wake_after_others(readers: &Arc<Readers>) {
    let watchers = &readers.shared.watchers;
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if watchers.is_empty() {
            continue;
        }
        let ids: Vec<String> =
            watchers.workspaces().iter().map(|workspace| workspace.as_str().to_owned()).collect();
        let read = |session: Arc<DbSession>| {
            let ids = ids.clone();
            async move { numbers(&session, ids).await }
        };
        match readers.read(read).await {
            Ok(numbers) => watchers.note_numbers(numbers.into_iter()),
            Err(error) => tracing::debug!(%error, "the watched workspaces could not be read"),
        }
    }
}
