//! Export: all entries as a stream (see [`crate::transfer`]), from one snapshot of the database.
//!
//! Servers may run meanwhile. The journal of the platform comes first, then the journals of the
//! workspaces, oldest first. An import therefore lists the workspaces in the same order.

use std::io::Write;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::Client;
use tollkeeper_ledger::{PersonalText, WorkspaceId};

use crate::Error;
use crate::postgres::batch::texts::{digest_of, stored_text};
use crate::postgres::database::blocking::block_on;
use crate::postgres::database::config;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{begin_snapshot, column, connect};
use crate::transfer::{Counts, StreamWriter};

const JOURNALS: &str = "SELECT workspace, n FROM account ORDER BY workspace <> $1, created_at, workspace";

/// A journal that [`JOURNALS`] would leave out.
const JOURNAL_WITHOUT_ACCOUNT: &str = "SELECT e.workspace FROM entry AS e WHERE e.n = 1
     AND NOT EXISTS (SELECT FROM account AS a WHERE a.workspace = e.workspace) LIMIT 1";

const ENTRIES: &str = "SELECT n, data FROM entry WHERE workspace = $1 ORDER BY n";

const TEXTS: &str =
    "SELECT n, digest, salt, text FROM personal WHERE workspace = $1 AND text IS NOT NULL ORDER BY n, digest";

/// Writes all entries of a database as a stream.
///
/// # Errors
/// [`Error::is_unavailable`] if the database cannot be read or the stream cannot be written,
/// [`Error::is_damaged`] if a journal has a gap or no account.
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
    if let Some(row) = client.query_opt(JOURNAL_WITHOUT_ACCOUNT, &[]).await? {
        let workspace: &str = column(&row, 0)?;
        let missing = Error::damaged(format!("the account of {workspace} is missing"));
        return Err(missing.with_hint("run `tollkeeper repair` for this workspace").into());
    }
    let entries = client.prepare(ENTRIES).await?;
    let platform = WorkspaceId::platform();
    for journal in client.query(JOURNALS, &[&platform.as_str()]).await? {
        let (name, last): (&str, i64) = (column(&journal, 0)?, column(&journal, 1)?);
        let workspace = match name == platform.as_str() {
            true => platform.clone(),
            false => WorkspaceId::new(name)
                .map_err(|_| Error::damaged("an account has an invalid workspace id"))?,
        };
        let mut texts = texts_of(client, &workspace).await?.into_iter().peekable();
        // Row by row: a journal may be larger than memory.
        let mut rows = pin!(client.query_raw(&entries, [name]).await?);
        let mut n = 0;
        while let Some(row) = rows.try_next().await? {
            n += 1;
            if column::<i64>(&row, 0)? != n {
                return Err(missing_entry(&workspace, n).into());
            }
            while let Some((_, text)) = texts.next_if(|(of, _)| *of == n) {
                stream.text(&text)?;
            }
            stream.entry(&workspace, column(&row, 1)?)?;
        }
        if n != last {
            return Err(missing_entry(&workspace, n + 1).into());
        }
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// The texts about persons of a workspace, each with the number of the entry that names it first.
async fn texts_of(client: &Client, workspace: &WorkspaceId) -> Result<Vec<(i64, PersonalText)>, Failure> {
    let mut texts = Vec::new();
    for row in client.query(TEXTS, &[&workspace.as_str()]).await? {
        let digest = digest_of(column(&row, 1)?)?;
        let text = stored_text(column(&row, 2)?, column(&row, 3)?, &digest);
        let n: i64 = column(&row, 0)?;
        let damaged = || Error::damaged(format!("entry {n} of {workspace}: a text of its member is damaged"));
        texts.push((n, text.ok_or_else(damaged)?));
    }
    Ok(texts)
}

fn missing_entry(workspace: &WorkspaceId, n: i64) -> Error {
    Error::damaged(format!("entry {n} of {workspace} is missing"))
        .with_hint("run `tollkeeper audit` to learn how far the journal can be trusted")
}
