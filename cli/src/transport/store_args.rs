//! Where a command finds the ledger when it asks no server: a data directory or a PostgreSQL database. One option of
//! each, which exclude each other, for every command that has the choice.

use std::path::PathBuf;

use tollkeeper_server::{DatabaseUrl, Store};

use crate::terminal::failure::{Exit, Failure};

/// The options.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Work on this data directory [default: TOLLKEEPER_DATA, else ./tollkeeper-data]
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    data: Option<PathBuf>,

    /// Work on this PostgreSQL database, postgres://… [default: TOLLKEEPER_DATABASE_URL, the place for a password:
    /// arguments are seen by every user of the machine]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Place {
    /// The place that is named: by an option, else by the environment, else the default directory.
    pub fn store(self) -> Result<Store, Failure> {
        if let Some(store) = given(self.data, self.database_url)? {
            return Ok(store);
        }
        let named = Store::in_environment()
            .map_err(|why| Failure::new(Exit::Usage, "the environment names no place").because(why))?;
        Ok(named.unwrap_or_default())
    }
}

/// The place that options name, if they name one.
pub fn given(data: Option<PathBuf>, url: Option<String>) -> Result<Option<Store>, Failure> {
    match (data, url) {
        (_, Some(url)) => database(url).map(Some),
        (Some(data), None) => Ok(Some(Store::Directory(data))),
        (None, None) => Ok(None),
    }
}

/// A database by its address.
pub fn database(url: String) -> Result<Store, Failure> {
    let url = DatabaseUrl::new(url);
    url.map(Store::Database).map_err(|why| {
        Failure::new(Exit::Usage, "--database-url is not the address of a PostgreSQL database")
            .because(why)
            .hint("such as postgres://USER@HOST/DATABASE; several hosts: postgres://a,b/DATABASE?target_session_attrs=read-write")
    })
}
