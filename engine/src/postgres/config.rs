//! How the database is reached: the address as it is given, and what is added to it.
//!
//! The address may hold a password, so it is never shown: not in an error, not in a log.

use std::time::Duration;

use tokio_postgres::Config;

use super::failure::chain;
use crate::Error;

/// How long one host may take to accept a connection, unless the address says otherwise.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How long the network may stay silent about what was sent.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// Reads an address: `postgres://user:password@host:port,host:port/database?target_session_attrs=read-write`.
pub(super) fn parse(url: &str) -> Result<Config, Error> {
    let malformed = |what: String| {
        Error::unusable(format!("the address of the database cannot be read: {what}"))
            .with_hint("it looks like postgres://user:password@host:port/database")
    };
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(malformed("it does not begin with postgres://".to_owned()));
    }
    let mut config: Config = url.parse().map_err(|error| malformed(chain(&error)))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_WITHIN);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(ACKNOWLEDGED_WITHIN);
    }
    if config.get_application_name().is_none() {
        config.application_name("tollkeeper");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_its_password_never_told() {
        let url = "postgres://toll:s3cret@one:5432,two:5433/ledger?target_session_attrs=read-write";
        let config = parse(url).expect("an address");
        assert_eq!((config.get_hosts().len(), config.get_dbname()), (2, Some("ledger")));
        for wrong in ["mysql://toll:s3cret@one/ledger", "postgres://toll:s3cret@one:port/ledger", "s3cret"] {
            let told = parse(wrong).expect_err("no address");
            assert!(told.is_unusable() && !told.to_string().contains("s3cret"), "{told}");
        }
    }
}
