//! What the audit of a database reads to decide an entry again: the usage that a new limit counts.

use tokio_postgres::Client;
use tollkeeper_ledger::{Usage, UsageKey, UsageSums};

use super::tables::Stop;
use crate::postgres::database::decode::decode_entry;
use crate::postgres::database::session::column;

/// How many entries are read together.
const ENTRIES_READ: i64 = 1_000;

/// The usage of a workspace from an hour on, up to the entry before entry `n`.
pub(super) async fn usage_since(
    client: &Client,
    workspace: &str,
    n: u64,
    hour: i64,
) -> Result<Vec<(UsageKey, UsageSums)>, Stop> {
    let sql = "SELECT n, data FROM entry WHERE workspace = $1 AND n < $2 ORDER BY n DESC LIMIT $3";
    let mut usage = Usage::default();
    let mut before = n as i64;
    loop {
        let rows = client.query(sql, &[&workspace, &before, &ENTRIES_READ]).await?;
        for row in &rows {
            before = column(row, 0)?;
            let entry = decode_entry(column(row, 1)?)?;
            // The time of a decision is never after that of its entry, and those do not run
            // backwards.
            if entry.at.hour() < hour {
                return Ok(usage.take());
            }
            usage.record(&entry);
        }
        if rows.len() < ENTRIES_READ as usize {
            return Ok(usage.take());
        }
    }
}
