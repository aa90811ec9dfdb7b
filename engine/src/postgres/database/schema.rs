//! The schema: numbered migrations inside the binary, and the marker of an unfinished import.
//!
//! The server that starts first runs the migrations; other servers wait on an advisory lock for as
//! long as it takes. A table that is in use is waited for in short tries. A
//! database that is newer than this program is refused, because an older program cannot know what
//! it would break. If the tables are distributed, the tables of a new migration are distributed in
//! the same transaction.

use std::time::Duration;

use tokio_postgres::Client;
use tollkeeper_ledger::{Payments, Timestamp};

use super::config::Address;
use super::decode::decode_payments;
use super::distribute;
use super::failure::Failure;
use super::session::{DbSession, column, connect, with_timeout};
pub(crate) use super::sql::VERSION;
use super::sql::{self, Sql};
use crate::{Error, transfer};

/// The version of the tables of the first release. No program reads those of builds before it.
const FIRST: usize = 4;

/// All migrations, oldest first: the first creates the tables of version [`FIRST`], each of the
/// others upgrades them by one.
const MIGRATIONS: [&str; VERSION + 1 - FIRST] = [
    include_str!("../migrations/0004_tables.sql"),
    include_str!("../migrations/0005_payments.sql"),
    include_str!("../migrations/0006_due_payments.sql"),
    include_str!("../migrations/0007_named_rows.sql"),
    include_str!("../migrations/0008_daily_looks.sql"),
    include_str!("../migrations/0009_usage_minutes.sql"),
    include_str!("../migrations/0010_alerts.sql"),
    include_str!("../migrations/0011_deliveries.sql"),
    include_str!("../migrations/0012_closed_days.sql"),
    include_str!("../migrations/0013_recipients.sql"),
    include_str!("../migrations/0014_unsent_batches.sql"),
    include_str!("../migrations/0015_operators.sql"),
    include_str!("../migrations/0016_metered.sql"),
    include_str!("../migrations/0017_nodes.sql"),
];

/// The last migration that needs the times at which payments are due to be computed anew.
const DUE_PAYMENTS: usize = 8;

/// How many rows of payments are read together.
const PAYMENTS_READ: i64 = 1_000;

/// The key of the advisory lock under which migrations run: an arbitrary number, here "tollkeep" in
/// ASCII.
const MIGRATION_LOCK: i64 = 0x746f_6c6c_6b65_6570;

/// How often a migration is tried when a table is in use.
const TRIES: u32 = 60;

/// How long one try waits for a table. While it waits, no other session can use the table either,
/// so the wait is short.
const TABLE_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// Shuts out the guards of running servers. A guard that has read the row of the platform commits
/// before the tables change, and a later one waits and then reads the new `min_version`.
const FENCE: &str = "LOCK TABLE platform";

/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Creates the tables or upgrades them to [`VERSION`], in one transaction. The time limits of the
/// role do not apply: a migration of a large table takes long, and so does another server's.
/// `further`: the migrations of a later release, for simulations.
pub(crate) async fn migrate(address: &Address, further: &[&str]) -> Result<(), Failure> {
    let client = connect(address).await?;
    let version = with_timeout(version(&client)).await??;
    if version == VERSION + further.len() {
        return Ok(());
    }
    refuse_unknown(version)?;
    let mut tries = 1;
    loop {
        match try_to_migrate(&client, further).await {
            Err(Failure::Locked(_)) if tries < TRIES => {
                tries += 1;
                client.batch_execute("ROLLBACK").await?;
                tokio::time::sleep(PAUSE).await;
            }
            migrated => return migrated,
        }
    }
}

/// Waits for the migration of another server, then runs what is missing.
async fn try_to_migrate(client: &Client, further: &[&str]) -> Result<(), Failure> {
    let locked = format!(
        "BEGIN; {}; SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); {TABLE_LOCK_TIMEOUT};
        CREATE TABLE IF NOT EXISTS migration (
        version bigint NOT NULL PRIMARY KEY, run_at timestamptz NOT NULL DEFAULT now())",
        sql::WITHOUT_TIME_LIMITS
    );
    client.batch_execute(&locked).await?;
    let version = self::version(client).await?;
    refuse_unknown(version)?;
    if version > 0 {
        client.batch_execute(FENCE).await?;
    }
    let migrations = MIGRATIONS.iter().chain(further);
    for (made, migration) in (FIRST..).zip(migrations).filter(|(made, _)| *made > version) {
        for statement in statements(migration) {
            client.batch_execute(&statement).await?;
        }
        client.execute("INSERT INTO migration (version) VALUES ($1)", &[&(made as i64)]).await?;
        if made == DUE_PAYMENTS && version > 0 {
            set_due_times(client).await?;
        }
    }
    if version > 0 {
        distribute::distribute_new_tables(client).await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// The statements of a migration. Citus passes the whole text that contains a statement about a
/// distributed table on to the nodes, so each is sent by itself.
fn statements(migration: &str) -> Vec<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("--");
    let code: Vec<&str> = migration.lines().filter(is_code).collect();
    let statements = code.join("\n");
    let statements = statements.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

/// Computes when the payments of each workspace are due. Payments that cannot be read are left out:
/// their repair writes the time too.
async fn set_due_times(client: &Client) -> Result<(), Failure> {
    let page = "SELECT workspace, data FROM payments WHERE workspace > $1 ORDER BY workspace LIMIT $2";
    let set = "UPDATE payments AS p SET due_at = v.due_at FROM unnest($1::text[], $2::bigint[]) AS v (workspace, due_at)
               WHERE p.workspace = v.workspace AND p.due_at IS DISTINCT FROM v.due_at";
    let mut after = String::new();
    loop {
        let rows = client.query(page, &[&after, &PAYMENTS_READ]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = column::<&str>(last, 0)?.to_owned();
        let (mut workspaces, mut times) = (Vec::<&str>::new(), Vec::<Option<i64>>::new());
        for row in &rows {
            let workspace = column(row, 0)?;
            match decode_payments(Some(column(row, 1)?)) {
                Ok(payments) => {
                    workspaces.push(workspace);
                    times.push(payments.as_deref().and_then(Payments::due_at).map(Timestamp::millis));
                }
                Err(error) => {
                    tracing::error!(workspace, %error, "the payments are damaged; repair the workspace")
                }
            }
        }
        client.execute(set, &[&workspaces, &times]).await?;
    }
}

/// The schema version of a database; 0 if it has no tables.
async fn version(client: &Client) -> Result<usize, Failure> {
    let exists = client.query_one("SELECT to_regclass('migration') IS NOT NULL", &[]).await?;
    if !column::<bool>(&exists, 0)? {
        return Ok(0);
    }
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM migration", &[]).await?;
    let version: i64 = column(&row, 0)?;
    Ok(usize::try_from(version).unwrap_or_default())
}

/// Refuses a database whose version is not [`VERSION`]. For callers that only read and do not
/// migrate.
pub(crate) async fn require_version(client: &Client) -> Result<(), Failure> {
    let version = with_timeout(version(client)).await??;
    refuse_unknown(version)?;
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

/// Refuses a database whose tables this program cannot upgrade.
fn refuse_unknown(version: usize) -> Result<(), Error> {
    match version {
        0 | FIRST..=VERSION => Ok(()),
        1..FIRST => Err(Error::unusable(format!(
            "the database has tables of version {version}, of a build before the first release"
        ))
        .with_hint("give an empty database: no program reads the data of such a build")),
        _ => Err(Error::unusable(format!(
            "the database has tables of version {version}, this program knows up to {VERSION}"
        ))
        .with_hint("run a newer tollkeeper")),
    }
}

/// What the database lets this server do now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    /// The database is neither a standby nor set to read-only.
    takes_writes: bool,
    /// The tables were not migrated to a version that this program is too old for.
    is_current: bool,
}

impl Admission {
    pub(crate) async fn ask(session: &DbSession) -> Result<Admission, Failure> {
        let rows = session.query_with_timeout(Sql::Admission, &[]).await?;
        let row = rows.first().ok_or_else(|| Error::damaged("the table `platform` has no row"))?;
        Ok(Admission { takes_writes: column(row, 0)?, is_current: column(row, 1)? })
    }

    /// True if this server can write now.
    pub(crate) fn may_write(self) -> bool {
        self.takes_writes && self.is_current
    }

    /// Refuses the work of a server that is too old for the tables.
    pub(crate) fn refuse_outdated(self) -> Result<(), Error> {
        if self.is_current {
            return Ok(());
        }
        let what = format!(
            "a newer tollkeeper has migrated the tables: this server of version {VERSION} is too old"
        );
        Err(Error::unavailable(what).with_hint("stop this server and start the newer one"))
    }
}

/// Refuses to serve a database that holds only part of a ledger, because an import has not
/// finished.
pub(crate) async fn refuse_unfinished_import(session: &DbSession) -> Result<(), Failure> {
    if is_importing(session).await? { Err(transfer::unfinished().into()) } else { Ok(()) }
}

/// True if an import has begun and not finished.
pub(crate) async fn is_importing(session: &DbSession) -> Result<bool, Failure> {
    let rows = session.query_with_timeout(Sql::IsImporting, &[]).await?;
    Ok(rows.first().map_or(Ok(false), |row| column(row, 0))?)
}

/// Sets or clears the marker of an unfinished import.
pub(crate) async fn set_importing(session: &DbSession, importing: bool) -> Result<(), Failure> {
    with_timeout(session.execute(Sql::SetImporting, &[&importing])).await?
}
