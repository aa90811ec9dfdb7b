//! The options that name a store: a data directory (`--data`) or a PostgreSQL database
//! (`--database-url`). They exclude each other.
//!
//! Precedence: option, then environment, then `./tollkeeper-data`.

use std::path::PathBuf;

use tollkeeper_server::{DatabaseUrl, Store};

use crate::terminal::failure::{Exit, Failure};

/// The store options of a command that works without a server.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreArgs {
    /// Use this data directory [default: TOLLKEEPER_DATA, else ./tollkeeper-data]
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    data: Option<PathBuf>,

    /// Use this PostgreSQL database, postgres://… [default: TOLLKEEPER_DATABASE_URL; put a password
    /// there, because every user of the machine can see arguments]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl StoreArgs {
    /// Returns the store of the options, else of the environment, else the default directory.
    pub fn store(&self) -> Result<Store, Failure> {
        if let Some(store) = from_options(self.data.clone(), self.database_url.clone())? {
            return Ok(store);
        }
        let named = Store::in_environment()
            .map_err(|why| Failure::new(Exit::Usage, "the environment names no usable store").because(why))?;
        Ok(named.unwrap_or_default())
    }
}

/// Returns the store that the options name, or `None` if neither is given.
pub fn from_options(data: Option<PathBuf>, url: Option<String>) -> Result<Option<Store>, Failure> {
    match (data, url) {
        (_, Some(url)) => database(url).map(Some),
        (Some(data), None) => Ok(Some(Store::Directory(data))),
        (None, None) => Ok(None),
    }
}

/// Returns the database at an address; a failure of wrong usage if the address is malformed.
pub fn database(url: String) -> Result<Store, Failure> {
    let url = DatabaseUrl::new(url);
    url.map(Store::Database).map_err(|why| {
        Failure::new(Exit::Usage, "--database-url is not the address of a PostgreSQL database")
            .because(why)
            .hint("for example postgres://USER@HOST/DATABASE, or with several hosts postgres://a,b/DATABASE?target_session_attrs=read-write")
    })
}
