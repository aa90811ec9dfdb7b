//! Floor A, the bare append: the same number of rows of the same bytes into one SQLite table keyed by its sequence, in
//! the same batches, in WAL mode with `synchronous = FULL`, and nothing else. No ledger, no key, no index: what the disk
//! and SQLite allow at the most, one row a charge.

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use super::failed;
use super::stats::Measured;
use crate::terminal::failure::Failure;

/// Appends so many rows and says how long it took.
pub fn bare_append(directory: &Path, row_bytes: usize, batch: u64, rows: u64) -> Result<Measured, Failure> {
    let path = directory.join("floor.db");
    let measured = append(&path, row_bytes.max(1), batch, rows);
    for suffix in ["", "-wal", "-shm"] {
        // A file that is not there need not be removed.
        let _ = std::fs::remove_file(directory.join(format!("floor.db{suffix}")));
    }
    measured.map_err(|error| failed(format!("{}: {error}", path.display())))
}

fn append(path: &Path, row_bytes: usize, batch: u64, rows: u64) -> rusqlite::Result<Measured> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA cache_size = -16384; CREATE TABLE row (seq INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    )?;
    // Bytes that differ from row to row, cut from one buffer so that making them costs nothing.
    let noise: Vec<u8> = (0..row_bytes + 4_096).map(|at| (at * 131 + at / 7) as u8).collect();
    let began = Instant::now();
    let mut waited = Vec::new();
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
        waited.push(commit.elapsed());
    }
    Ok(Measured { charges: rows, elapsed: began.elapsed(), waited, reads: Vec::new() })
}
