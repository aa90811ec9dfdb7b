//! Distribution over the nodes of a Citus cluster: every table by workspace, all of them colocated, so that whatever
//! belongs to a workspace is on one node; the platform's number and the migrations on every node.
//!
//! Each table is distributed for itself and one that is already distributed is left as it is, so that what was
//! interrupted is repeated.

use tokio_postgres::Client;

use super::config;
use super::failure::Failure;
use super::session::{column, connect};
use crate::Error;

/// The tables by workspace. The first makes the group in which the others are.
const BY_WORKSPACE: [&str; 7] = ["entry", "account", "team", "usage", "lot", "pending", "moved"];

/// The tables that every node has whole.
const EVERYWHERE: [&str; 2] = ["platform", "migration"];

/// Distributes the tables of a migrated database; says which it did now.
///
/// # Errors
/// [`Error::is_unusable`] when the database has no Citus, or Citus refuses.
pub fn distribute(url: &str) -> Result<Vec<String>, Error> {
    let config = config::parse(url)?;
    crate::postgres::block_on(async {
        let (client, _) = connect(&config).await.map_err(Failure::into_error)?;
        require_citus(&client).await?;
        distribute_all(&client).await.map_err(Failure::into_error)
    })
}

/// Says what is missing, if something is.
async fn require_citus(client: &Client) -> Result<(), Error> {
    let sql = "SELECT to_regproc('create_distributed_table') IS NOT NULL
                   AND to_regproc('create_reference_table') IS NOT NULL
                   AND to_regclass('pg_dist_partition') IS NOT NULL,
               EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citus')";
    let row = client.query_one(sql, &[]).await.map_err(|error| Failure::from(error).into_error())?;
    let (made, available): (bool, bool) = (column(&row, 0)?, column(&row, 1)?);
    if made {
        return Ok(());
    }
    let (what, hint) = if available {
        (
            "the extension citus is installed but not made in this database",
            "run CREATE EXTENSION citus in this database on every node (it needs shared_preload_libraries = 'citus'), \
             then SELECT citus_add_node(…) for each worker",
        )
    } else {
        (
            "the extension citus is not installed on this server",
            "install Citus on every node, set shared_preload_libraries = 'citus', restart, and run CREATE EXTENSION \
             citus; on a PostgreSQL of one node nothing needs to be distributed",
        )
    };
    Err(Error::unusable(format!("the tables cannot be distributed: {what}")).with_hint(hint))
}

/// Distributes the tables that a migration has brought, if those before it are distributed.
pub(crate) async fn follow(client: &Client) -> Result<(), Failure> {
    let catalog = "SELECT to_regclass('pg_dist_partition') IS NOT NULL";
    if column(&client.query_one(catalog, &[]).await?, 0)?
        && distributed(client).await?.iter().any(|table| table == BY_WORKSPACE[0])
    {
        distribute_all(client).await?;
    }
    Ok(())
}

/// The tables that are distributed.
async fn distributed(client: &Client) -> Result<Vec<String>, Failure> {
    let known = client.query("SELECT logicalrelid::regclass::text FROM pg_dist_partition", &[]).await?;
    Ok(known.iter().map(|row| column(row, 0)).collect::<Result<_, Error>>()?)
}

async fn distribute_all(client: &Client) -> Result<Vec<String>, Failure> {
    let known = distributed(client).await?;
    let missing = |table: &&&str| !known.iter().any(|known| known == **table);
    let mut done = Vec::new();
    for table in BY_WORKSPACE.iter().filter(missing) {
        let with = if *table == BY_WORKSPACE[0] { "none" } else { BY_WORKSPACE[0] };
        let sql =
            format!("SELECT create_distributed_table('{table}', 'workspace', colocate_with => '{with}')");
        client.batch_execute(&sql).await?;
        done.push((*table).to_owned());
    }
    for table in EVERYWHERE.iter().filter(missing) {
        client.batch_execute(&format!("SELECT create_reference_table('{table}')")).await?;
        done.push((*table).to_owned());
    }
    Ok(done)
}
