//! Export: all entries as a stream (see [`crate::transfer`]), from one snapshot of the database.
//!
//! Servers may run meanwhile. The journal of the platform comes first, then the journals of the
//! workspaces, oldest first. An import therefore lists the workspaces in the same order.

use std::io::Write;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Client;
use tollkeeper_ledger::WorkspaceId;

use crate::Error;
use crate::postgres::database::blocking::block_on;
use crate::postgres::database::config;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{begin_snapshot, column, connect};
use crate::transfer::{Counts, StreamWriter};

const JOURNALS: &str = "SELECT workspace, n FROM account ORDER BY workspace <> $1, created_at, workspace";

const ENTRIES: &str = "SELECT n, data FROM entry WHERE workspace = $1 ORDER BY n";

/// Writes all entries of a database as a stream.
///
/// # Errors
/// [`Error::is_unavailable`] if the database cannot be read or the stream cannot be written,
/// [`Error::is_damaged`] if a journal has a gap.
pub fn export(url: &str, to: impl Write) -> Result<Counts, Error> {
    let config = config::parse(url)?;
    block_on(async {
        let client = connect(&config).await.map_err(Failure::into_error)?;
        let mut stream = StreamWriter::begin(to)?;
        write_all(&client, &mut stream).await.map_err(Failure::into_error)?;
        Ok(stream.end()?.1)
    })
}

async fn write_all<W: Write>(client: &Client, stream: &mut StreamWriter<W>) -> Result<(), Failure> {
    begin_snapshot(client).await?;
    let entries = client.prepare(ENTRIES).await?;
    let platform = WorkspaceId::platform();
    for journal in client.query(JOURNALS, &[&platform.as_str()]).await? {
        let (name, last): (&str, i64) = (column(&journal, 0)?, column(&journal, 1)?);
        let workspace = match name == platform.as_str() {
            true => platform.clone(),
            false => WorkspaceId::new(name)
                .map_err(|_| Error::damaged("an account has an invalid workspace id"))?,
        };
        // Row by row: a journal may be larger than memory.
        let mut rows = pin!(client.query_raw(&entries, [name]).await?);
        let mut n = 0;
        while let Some(row) = rows.try_next().await? {
            n += 1;
            if column::<i64>(&row, 0)? != n {
                return Err(missing_entry(&workspace, n).into());
            }
            stream.entry(&workspace, column(&row, 1)?)?;
        }
        if n != last {
            return Err(missing_entry(&workspace, n + 1).into());
        }
    }
    Ok(client.batch_execute("COMMIT").await?)
}

fn missing_entry(workspace: &WorkspaceId, n: i64) -> Error {
    Error::damaged(format!("entry {n} of {workspace} is missing"))
        .with_hint("run `tollkeeper audit` to learn how far the journal can be trusted")
}
