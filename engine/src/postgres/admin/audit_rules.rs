//! What the audit of a database reads to decide an entry again: the usage that a new limit counts.

use tokio_postgres::Client;
use tollkeeper_ledger::{Entry, EntryBody, Usage, UsageKey, UsageSums};

use super::tables::Stop;
use crate::postgres::database::decode::decode_entry;
use crate::postgres::database::session::column;
use crate::{Error, calendar};

/// How many entries are read together.
const ENTRIES_READ: i64 = 1_000;

/// The usage of a workspace from an hour on, up to the entry before entry `n`, when it had this
/// time zone.
pub(super) async fn usage_since(
    client: &Client,
    (workspace, timezone): (&str, &str),
    n: u64,
    hour: i64,
) -> Result<Vec<(UsageKey, UsageSums)>, Stop> {
    let (mut usage, mut timezone) = (Usage::default(), Box::from(timezone));
    let mut before = n;
    loop {
        let entries = entries_before(client, workspace, before).await?;
        for entry in &entries {
            before = entry.n;
            // The time of a decision is never after that of its entry, and those do not run
            // backwards.
            if entry.at.hour() < hour {
                return Ok(usage.take());
            }
            usage.record(entry, calendar::hour_part(&timezone, entry.decided_at));
            if matches!(entry.body, EntryBody::WorkspaceUpdated(_)) {
                timezone = timezone_before(client, workspace, before).await?;
            }
        }
        if entries.is_empty() {
            return Ok(usage.take());
        }
    }
}

/// The time zone that a workspace had before its entry `n`.
async fn timezone_before(client: &Client, workspace: &str, n: u64) -> Result<Box<str>, Stop> {
    let mut before = n;
    loop {
        let entries = entries_before(client, workspace, before).await?;
        let Some(last) = entries.last() else {
            return Err(Error::damaged(format!("{workspace} has entries but was never created")).into());
        };
        before = last.n;
        for entry in entries {
            if let EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) = entry.body {
                return Ok(profile.timezone);
            }
        }
    }
}

/// The entries before entry `n`, newest first: some of them, none if there are none.
async fn entries_before(client: &Client, workspace: &str, n: u64) -> Result<Vec<Entry>, Stop> {
    let sql = "SELECT data FROM entry WHERE workspace = $1 AND n < $2 ORDER BY n DESC LIMIT $3";
    let rows = client.query(sql, &[&workspace, &(n as i64), &ENTRIES_READ]).await?;
    let entries = rows.iter().map(|row| Ok(decode_entry(column(row, 0)?)?));
    entries.collect()
}
