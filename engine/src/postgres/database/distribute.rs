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

/// The shards of each table for a worker node. A batch is about one shard, so more of them make
/// batches smaller.
const SHARDS_PER_WORKER: i64 = 2;

/// The reference tables: every node has a full copy.
const REFERENCE: [&str; 3] = ["platform", "migration", "subscriber"];

/// Distributes the tables of a migrated database over `shards` shards, two for each worker node if
/// `None`. Returns the names of the tables distributed by this call. If the first table was
/// distributed before, the number of shards stays.
///
/// # Errors
/// [`Error::is_unusable`] if the database has no Citus or Citus no worker node, or Citus refuses.
pub fn distribute(url: &str, shards: Option<u32>) -> Result<Vec<String>, Error> {
    let config = config::parse(url)?;
    block_on(async {
        let client = connect(&config).await.map_err(Failure::into_error)?;
        require_citus(&client).await?;
        let workers = count_workers(&client).await?;
        let shards = shards.map_or(SHARDS_PER_WORKER * workers, i64::from);
        // The time limits of the role do not apply: a large table takes long to distribute.
        let unlimited = client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await;
        unlimited.map_err(|error| Failure::from(error).into_error())?;
        distribute_all(&client, shards).await.map_err(Failure::into_error)
    })
}

/// The number of nodes that can have shards.
async fn count_workers(client: &Client) -> Result<i64, Error> {
    let sql =
        "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards AND noderole = 'primary'";
    let row = client.query_one(sql, &[]).await.map_err(|error| Failure::from(error).into_error())?;
    match column(&row, 0)? {
        0 => Err(Error::unusable("the tables cannot be distributed: Citus has no worker node").with_hint(
            "run SELECT citus_add_node('host', port) on the coordinator for each worker; its database must have \
             the same name, and the extension citus",
        )),
        workers => Ok(workers),
    }
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
        // They are divided like the older tables.
        distribute_all(client, 0).await?;
    }
    Ok(())
}

/// The names of all distributed tables and reference tables.
async fn distributed_tables(client: &Client) -> Result<Vec<String>, Failure> {
    let rows = client.query("SELECT logicalrelid::regclass::text FROM pg_dist_partition", &[]).await?;
    Ok(rows.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?)
}

async fn distribute_all(client: &Client, shards: i64) -> Result<Vec<String>, Failure> {
    let distributed = distributed_tables(client).await?;
    let missing = |table: &&&str| !distributed.iter().any(|distributed| distributed == **table);
    let mut done = Vec::new();
    for table in BY_WORKSPACE.iter().filter(missing) {
        let with = match *table == BY_WORKSPACE[0] {
            true => format!("colocate_with => 'none', shard_count => {shards}"),
            false => format!("colocate_with => '{}'", BY_WORKSPACE[0]),
        };
        let sql = format!("SELECT create_distributed_table('{table}', 'workspace', {with})");
        client.batch_execute(&sql).await?;
        done.push((*table).to_owned());
    }
    for table in REFERENCE.iter().filter(missing) {
        client.batch_execute(&format!("SELECT create_reference_table('{table}')")).await?;
        done.push((*table).to_owned());
    }
    Ok(done)
}
