//! The baseline of the embedded engine: appends as many rows of the same size to one SQLite table,
//! in batches of the same size, in WAL mode with `synchronous = FULL`, and does nothing else.
//!
//! There is no ledger, no idempotency key and no index, so this is the most that the disk and
//! SQLite allow with one row per charge.

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use super::failure::failed;
use super::stats::Measurement;
use crate::terminal::failure::Failure;

/// Appends `rows` rows of `row_bytes` bytes in batches of `batch`, and measures how long it takes.
pub fn bare_append(
    directory: &Path,
    row_bytes: usize,
    batch: u64,
    rows: u64,
) -> Result<Measurement, Failure> {
    let path = directory.join("floor.db");
    let measured = append(&path, row_bytes.max(1), batch, rows);
    for suffix in ["", "-wal", "-shm"] {
        // SQLite may have removed the file already.
        let _ = std::fs::remove_file(directory.join(format!("floor.db{suffix}")));
    }
    measured.map_err(|error| failed(format!("{}: {error}", path.display())))
}

fn append(path: &Path, row_bytes: usize, batch: u64, rows: u64) -> rusqlite::Result<Measurement> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA cache_size = -16384; CREATE TABLE row (seq INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    )?;
    // Rows are slices of one buffer at different offsets: their bytes differ and cost no time.
    let noise: Vec<u8> = (0..row_bytes + 4_096).map(|at| (at * 131 + at / 7) as u8).collect();
    let start = Instant::now();
    let mut latencies = Vec::new();
    let mut seq = 0;
    while seq < rows {
        let commit = Instant::now();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO row (seq, data) VALUES (?1, ?2)")?;
            for _ in 0..batch.min(rows - seq) {
                seq += 1;
                let from = seq as usize % 4_096;
                insert.execute((seq as i64, &noise[from..from + row_bytes]))?;
            }
        }
        transaction.commit()?;
        latencies.push(commit.elapsed());
    }
    Ok(Measurement { charges: rows, elapsed: start.elapsed(), latencies, read_latencies: Vec::new() })
}
