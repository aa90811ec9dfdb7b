//! The tables and their migrations: numbered, in the binary, run by whichever server starts first while the others wait.
//!
//! A database that is newer than this program is refused: an older program does not know what it would break. Where the
//! tables are distributed already, those that a migration brings are distributed with them, in the same transaction.

use tokio_postgres::Client;

use super::config::Address;
use super::distribute;
use super::failure::Failure;
use super::session::{column, connect, within};
use crate::Error;

/// All migrations, oldest first; a database has the first so many of them.
const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_tables.sql"), include_str!("../migrations/0002_teams.sql")];

/// The version of the tables that this program knows.
pub(crate) const VERSION: usize = MIGRATIONS.len();

/// Keeps two servers from migrating at once: any number that nobody else uses, here the first letters of the name.
const LOCK: i64 = 0x746f_6c6c_6b65_6570;

/// Brings the tables to the form that this program knows.
pub(crate) async fn migrate(address: &Address) -> Result<(), Failure> {
    let (client, _) = connect(address).await?;
    let version = within(version(&client)).await??;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    newer(version)?;
    // Whoever is second waits for the lock as long as the first needs.
    let locked = format!(
        "BEGIN; SELECT pg_advisory_xact_lock({LOCK}); CREATE TABLE IF NOT EXISTS migration (
        version bigint NOT NULL PRIMARY KEY, run_at timestamptz NOT NULL DEFAULT now())"
    );
    client.batch_execute(&locked).await?;
    let version = self::version(&client).await?;
    newer(version)?;
    for (place, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        client.batch_execute(migration).await?;
        client.execute("INSERT INTO migration (version) VALUES ($1)", &[&(place as i64 + 1)]).await?;
    }
    if version > 0 {
        distribute::follow(&client).await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// How many migrations a database has.
async fn version(client: &Client) -> Result<usize, Failure> {
    let there = client.query_one("SELECT to_regclass('migration') IS NOT NULL", &[]).await?;
    if !column::<bool>(&there, 0)? {
        return Ok(0);
    }
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM migration", &[]).await?;
    let version: i64 = column(&row, 0)?;
    Ok(usize::try_from(version).unwrap_or_default())
}

/// Refuses a database of other tables than this program's, for those who only read.
pub(crate) async fn known(client: &Client) -> Result<(), Failure> {
    let version = within(version(client)).await??;
    newer(version)?;
    Ok(match version {
        0 => Err(Error::unusable("the database holds no ledger")
            .with_hint("point --database-url at the database of a ledger")),
        VERSION => Ok(()),
        older => Err(Error::unusable(format!(
            "the database has tables of version {older}, this program reads those of version {VERSION}"
        ))
        .with_hint("stop older servers, then run `tollkeeper migrate` or start a server")),
    }?)
}

fn newer(version: usize) -> Result<(), Error> {
    if version <= MIGRATIONS.len() {
        return Ok(());
    }
    let known = MIGRATIONS.len();
    Err(Error::unusable(format!(
        "the database has tables of version {version}, this program knows up to {known}"
    ))
    .with_hint("run a newer tollkeeper"))
}
