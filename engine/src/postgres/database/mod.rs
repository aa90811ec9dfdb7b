//! Access to the database: connections, statements, the meaning of failures, decoding, and the
//! schema.
//!
//! This is the lowest folder of the engine. It imports nothing from `batch`, `query` or `admin`.
//!
//! ```text
//! config       parses the address                  tls          encryption and certificates
//! session      a connection with its statements    sql          the prepared statements
//! failure      what a database error means         blocking     runtimes of one thread
//! decode       rows to ledger types                usage_codec  the bytes of `account.usage`
//! schema       migrations and the import marker    distribute   tables over a Citus cluster
//! closed_days_sql  the statements about closed days
//! notices      what warnings of the database mean  seal         checksums of derived data
//! shards       which workspaces a node stores together
//! sql_text     the statements as a database gets them
//! ```

pub(crate) mod blocking;
mod closed_days_sql;
pub(crate) mod config;
pub(crate) mod decode;
pub(crate) mod distribute;
pub(crate) mod failure;
mod notices;
pub(crate) mod schema;
pub(crate) mod seal;
pub(crate) mod session;
pub(crate) mod shards;
pub(crate) mod sql;
pub(crate) mod sql_text;
pub(crate) mod tls;
pub(crate) mod usage_codec;
