//! How the database is reached: the address as it is given, and what is added to it.
//!
//! The address may hold a password, so it is never shown: not in an error, not in a log.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::chain;
use super::tls::{self, Trust};
use crate::Error;

/// How long one host may take until a session stands, unless the address says otherwise.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long the network may stay silent about what was sent.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// Where the database is, and how the way to it is encrypted.
#[derive(Clone)]
pub(crate) struct Address {
    pub config: Config,
    pub tls: MakeRustlsConnect,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.config).finish()
    }
}

impl Address {
    /// The hosts one by one, each with the time it may take. The driver counts only until a host accepts a connection; one
    /// that accepts and then keeps silent must not stand before the others for ever.
    pub(crate) fn hosts(&self) -> Vec<(Config, Duration)> {
        let all = &self.config;
        let each = 0..all.get_hosts().len().max(all.get_hostaddrs().len());
        let each = each.map(|place| {
            let mut one = with_neither_host_nor_port(all);
            if let Some(host) = all.get_hosts().get(place) {
                match host {
                    Host::Tcp(name) => one.host(name),
                    #[cfg(unix)]
                    Host::Unix(path) => one.host_path(path),
                };
            }
            if let Some(address) = all.get_hostaddrs().get(place) {
                one.hostaddr(*address);
            }
            // One port is for all hosts.
            if let Some(port) = all.get_ports().get(place).or(all.get_ports().first()) {
                one.port(*port);
            }
            (one, all.get_connect_timeout().copied().unwrap_or(CONNECT_WITHIN))
        });
        each.collect()
    }
}

fn with_neither_host_nor_port(all: &Config) -> Config {
    let mut one = Config::new();
    all.get_user().map(|user| one.user(user));
    all.get_password().map(|password| one.password(password));
    all.get_dbname().map(|name| one.dbname(name));
    all.get_options().map(|options| one.options(options));
    all.get_application_name().map(|name| one.application_name(name));
    all.get_connect_timeout().map(|time| one.connect_timeout(*time));
    all.get_tcp_user_timeout().map(|time| one.tcp_user_timeout(*time));
    all.get_keepalives_interval().map(|time| one.keepalives_interval(time));
    all.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.keepalives(all.get_keepalives()).keepalives_idle(all.get_keepalives_idle());
    one.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
    one.channel_binding(all.get_channel_binding()).target_session_attrs(all.get_target_session_attrs());
    one
}

/// Reads an address: `postgres://user:password@host:port,host:port/database?target_session_attrs=read-write`.
pub(crate) fn parse(url: &str) -> Result<Address, Error> {
    let (url, trust) = trust(url)?;
    Ok(Address { config: without_tls(&url)?, tls: tls::connector(&trust)? })
}

/// Takes out of an address what says whose certificates are taken, which is not the driver's.
fn trust(url: &str) -> Result<(String, Trust), Error> {
    let Some((place, query)) = url.split_once('?') else { return Ok((url.to_owned(), Trust::Any)) };
    let (mut verified, mut file, mut rest) = (false, None, Vec::new());
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", "verify-full")) => {
                verified = true;
                rest.push("sslmode=require");
            }
            Some(("sslmode", "verify-ca" | "allow")) => {
                return Err(Error::unusable("sslmode must be disable, prefer, require or verify-full")
                    .with_hint("verify-full checks the authority and the host's name"));
            }
            Some(("sslrootcert", path)) => {
                let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
                file = Some(std::path::PathBuf::from(path));
            }
            _ => rest.push(parameter),
        }
    }
    let trust = match (verified, file) {
        (true, Some(file)) => Trust::File(file),
        (true, None) => Trust::System,
        (false, None) => Trust::Any,
        (false, Some(_)) => {
            return Err(Error::unusable("sslrootcert is of use with sslmode=verify-full only"));
        }
    };
    Ok((format!("{place}?{}", rest.join("&")), trust))
}

fn without_tls(url: &str) -> Result<Config, Error> {
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
    use tokio_postgres::config::TargetSessionAttrs;

    #[test]
    fn an_address_is_read_and_its_password_never_told() {
        let url = "postgres://toll:s3cret@one:5432,two:5433/ledger?target_session_attrs=read-write";
        let Address { config, .. } = parse(url).expect("an address");
        assert_eq!((config.get_hosts().len(), config.get_dbname()), (2, Some("ledger")));
        for wrong in ["mysql://toll:s3cret@one/ledger", "postgres://toll:s3cret@one:port/ledger", "s3cret"] {
            let told = parse(wrong).expect_err("no address");
            assert!(told.is_unusable() && !told.to_string().contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn each_host_is_asked_by_itself_and_as_all_are() {
        let url = "postgres://toll:s3cret@one:5432,two:5433/ledger?target_session_attrs=read-write&options=-cjit%3Doff";
        let hosts = parse(url).expect("an address").hosts();
        let names: Vec<_> =
            hosts.iter().map(|(host, _)| (host.get_hosts().to_vec(), host.get_ports())).collect();
        let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(names, [(tcp("one"), &[5432][..]), (tcp("two"), &[5433])]);
        for (host, within) in &hosts {
            assert_eq!(host.get_password(), Some(&b"s3cret"[..]));
            assert_eq!(host.get_options(), Some("-cjit=off"));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!(*within, CONNECT_WITHIN);
        }
        let one_port = parse("postgres://one,two:7000/ledger?connect_timeout=1").expect("an address").hosts();
        assert_eq!(one_port.iter().map(|(host, _)| host.get_ports()[0]).collect::<Vec<_>>(), [5432, 7000]);
        assert_eq!(one_port[0].1, Duration::from_secs(1));
    }

    #[test]
    fn whose_certificates_are_taken_stands_in_the_address() {
        let of = |query: &str| trust(&format!("postgres://one/ledger{query}")).map(|(_, trust)| trust);
        assert_eq!(of("").expect("an address"), Trust::Any);
        assert_eq!(of("?sslmode=require").expect("an address"), Trust::Any);
        assert_eq!(of("?sslmode=verify-full").expect("an address"), Trust::System);
        let file =
            of("?sslmode=verify-full&connect_timeout=2&sslrootcert=/etc/a%20b.pem").expect("an address");
        assert_eq!(file, Trust::File("/etc/a b.pem".into()));
        for wrong in ["?sslmode=verify-ca", "?sslrootcert=/etc/a.pem"] {
            assert!(of(wrong).expect_err("half a promise").is_unusable());
        }
        let (url, _) =
            trust("postgres://one/ledger?sslmode=verify-full&connect_timeout=2").expect("an address");
        assert_eq!(url, "postgres://one/ledger?sslmode=require&connect_timeout=2");
    }
}
