//! Distributes the tables over the nodes of a Citus cluster.
//!
//! Tables with a workspace column are distributed by it and colocated, so that all rows of a
//! workspace are on one node. The tables `platform`, `migration` and `subscriber` are reference
//! tables: every node has a full copy.
//!
//! Each table is distributed by a statement of its own, and a distributed table is skipped. An
//! interrupted distribution can therefore be repeated.

use tokio_postgres::Client;

use super::blocking::block_on;
use super::config;
use super::failure::Failure;
use super::session::{column, connect};
use crate::Error;

/// The tables distributed by workspace. The others are colocated with the first.
const BY_WORKSPACE: [&str; 15] = [
    "entry",
    "account",
    "team",
    "payments",
    "usage",
    "closed_until",
    "closed_day",
    "lot",
    "pending",
    "moved",
    "personal",
    "search",
    "search_word",
    "unsent",
    "owed",
];

/// The reference tables: every node has a full copy.
const REFERENCE: [&str; 3] = ["platform", "migration", "subscriber"];

/// Distributes the tables of a migrated database. Returns the names of the tables distributed by
/// this call.
///
/// # Errors
/// [`Error::is_unusable`] if the database has no Citus, or Citus refuses.
pub fn distribute(url: &str) -> Result<Vec<String>, Error> {
    let config = config::parse(url)?;
    block_on(async {
        let client = connect(&config).await.map_err(Failure::into_error)?;
        require_citus(&client).await?;
        // The time limits of the role do not apply: a large table takes long to distribute.
        let unlimited = client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await;
        unlimited.map_err(|error| Failure::from(error).into_error())?;
        distribute_all(&client).await.map_err(Failure::into_error)
    })
}

/// Refuses a database without Citus; the hint says what is missing.
async fn require_citus(client: &Client) -> Result<(), Error> {
    let sql = "SELECT to_regproc('create_distributed_table') IS NOT NULL
                   AND to_regproc('create_reference_table') IS NOT NULL
                   AND to_regclass('pg_dist_partition') IS NOT NULL,
               EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citus')";
    let row = client.query_one(sql, &[]).await.map_err(|error| Failure::from(error).into_error())?;
    let (created, available): (bool, bool) = (column(&row, 0)?, column(&row, 1)?);
    if created {
        return Ok(());
    }
    let (what, hint) = if available {
        (
            "the extension citus is installed but not created in this database",
            "run CREATE EXTENSION citus in this database on every node (it needs shared_preload_libraries = 'citus'), \
             then SELECT citus_add_node(…) for each worker",
        )
    } else {
        (
            "the extension citus is not installed on this server",
            "install Citus on every node, set shared_preload_libraries = 'citus', restart, and run CREATE EXTENSION \
             citus; PostgreSQL on a single node needs no distribution",
        )
    };
    Err(Error::unusable(format!("the tables cannot be distributed: {what}")).with_hint(hint))
}

/// Distributes the tables that a migration has created, if the older tables are distributed.
pub(crate) async fn distribute_new_tables(client: &Client) -> Result<(), Failure> {
    let catalog = "SELECT to_regclass('pg_dist_partition') IS NOT NULL";
    if column(&client.query_one(catalog, &[]).await?, 0)?
        && distributed_tables(client).await?.iter().any(|table| table == BY_WORKSPACE[0])
    {
        distribute_all(client).await?;
    }
    Ok(())
}

/// The names of all distributed tables and reference tables.
async fn distributed_tables(client: &Client) -> Result<Vec<String>, Failure> {
    let rows = client.query("SELECT logicalrelid::regclass::text FROM pg_dist_partition", &[]).await?;
    Ok(rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?)
}

async fn distribute_all(client: &Client) -> Result<Vec<String>, Failure> {
    let distributed = distributed_tables(client).await?;
    let missing = |table: &&&str| !distributed.iter().any(|distributed| distributed == **table);
    let mut done = Vec::new();
    for table in BY_WORKSPACE.iter().filter(missing) {
        let colocated = if *table == BY_WORKSPACE[0] { "none" } else { BY_WORKSPACE[0] };
        let sql = format!(
            "SELECT create_distributed_table('{table}', 'workspace', colocate_with => '{colocated}')"
        );
        client.batch_execute(&sql).await?;
        done.push((*table).to_owned());
    }
    for table in REFERENCE.iter().filter(missing) {
        client.batch_execute(&format!("SELECT create_reference_table('{table}')")).await?;
        done.push((*table).to_owned());
    }
    Ok(done)
}
