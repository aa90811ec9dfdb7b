//! Parses the address of the database and adds timeouts and TLS to it.
//!
//! The address may contain a password, so no error and no log message contains the address.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::error_chain;
use super::tls::{self, Trust};
use crate::Error;

/// The timeout for connecting to one host, unless the address sets `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long sent data may stay unacknowledged by TCP, unless the address sets `tcp_user_timeout`.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// After how much silence TCP asks whether the other side is still there, unless the address sets
/// `keepalives_idle`. The driver's default is two hours. Firewalls forget a silent connection much
/// earlier.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);

/// How long TCP waits before it asks again, unless the address sets `keepalives_interval`.
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(5);

/// After how many unanswered questions a connection is lost, unless the address sets
/// `keepalives_retries`.
const KEEPALIVES_RETRIES: u32 = 3;

/// The hosts of the database with all connection options, and the TLS connector for them.
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
    /// The hosts one by one, each with its connection timeout. The driver's own timeout ends when a
    /// host accepts the TCP connection. Without a timeout of ours, a host that accepts and stays
    /// silent would block the others.
    pub(crate) fn hosts(&self) -> Vec<(Config, Duration)> {
        let all = &self.config;
        let count = all.get_hosts().len().max(all.get_hostaddrs().len());
        let hosts = (0..count).map(|index| {
            let mut one = without_hosts_and_ports(all);
            if let Some(host) = all.get_hosts().get(index) {
                match host {
                    Host::Tcp(name) => one.host(name),
                    #[cfg(unix)]
                    Host::Unix(path) => one.host_path(path),
                };
            }
            if let Some(address) = all.get_hostaddrs().get(index) {
                one.hostaddr(*address);
            }
            // A single port applies to all hosts.
            if let Some(port) = all.get_ports().get(index).or(all.get_ports().first()) {
                one.port(*port);
            }
            (one, all.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT))
        });
        hosts.collect()
    }
}

/// Copies every option of a configuration except hosts and ports.
fn without_hosts_and_ports(all: &Config) -> Config {
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

/// Parses an address such as
/// `postgres://user:password@host:port,host:port/database?target_session_attrs=read-write`.
///
/// # Errors
/// [`Error::is_unusable`] if the text is no such address. The message does not repeat the text.
pub(crate) fn parse(url: &str) -> Result<Address, Error> {
    let (url, trust) = split_trust(url)?;
    Ok(Address { config: parse_config(&url)?, tls: tls::connector(&trust)? })
}

/// Splits an address into the part that the driver parses and the certificate policy, which the
/// driver does not know: `sslmode=verify-full` and `sslrootcert`.
fn split_trust(url: &str) -> Result<(String, Trust), Error> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), Trust::Any)) };
    let (mut verify, mut file, mut rest) = (false, None, Vec::new());
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", "verify-full")) => {
                verify = true;
                rest.push("sslmode=require");
            }
            Some(("sslmode", "verify-ca" | "allow")) => {
                return Err(Error::unusable("sslmode must be disable, prefer, require or verify-full")
                    .with_hint("verify-full checks the certificate authority and the host name"));
            }
            Some(("sslrootcert", path)) => {
                let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
                file = Some(std::path::PathBuf::from(path));
            }
            _ => rest.push(parameter),
        }
    }
    let trust = match (verify, file) {
        (true, Some(file)) => Trust::File(file),
        (true, None) => Trust::System,
        (false, None) => Trust::Any,
        (false, Some(_)) => {
            return Err(Error::unusable("sslrootcert needs sslmode=verify-full"));
        }
    };
    Ok((format!("{base}?{}", rest.join("&")), trust))
}

/// Parses the driver's part of an address and adds the default timeouts.
fn parse_config(url: &str) -> Result<Config, Error> {
    let malformed = |what: String| {
        Error::unusable(format!("the address of the database is malformed: {what}"))
            .with_hint("use the form postgres://user:password@host:port/database")
    };
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(malformed("it does not start with postgres://".to_owned()));
    }
    let mut config: Config = url.parse().map_err(|error| malformed(error_chain(&error)))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    // The driver does not tell its default from the same time in the address.
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(KEEPALIVES_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVES_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVES_RETRIES);
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
    fn an_address_is_parsed_and_errors_never_contain_its_password() {
        let url = "postgres://toll:s3cret@one:5432,two:5433/ledger?target_session_attrs=read-write";
        let Address { config, .. } = parse(url).expect("the address is valid");
        assert_eq!((config.get_hosts().len(), config.get_dbname()), (2, Some("ledger")));
        for wrong in ["mysql://toll:s3cret@one/ledger", "postgres://toll:s3cret@one:port/ledger", "s3cret"] {
            let error = parse(wrong).expect_err("the address is malformed");
            assert!(error.is_unusable() && !error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn each_host_gets_the_options_of_the_whole_address() {
        let url = "postgres://toll:s3cret@one:5432,two:5433/ledger?target_session_attrs=read-write&options=-cjit%3Doff";
        let hosts = parse(url).expect("the address is valid").hosts();
        let names: Vec<_> =
            hosts.iter().map(|(host, _)| (host.get_hosts().to_vec(), host.get_ports())).collect();
        let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(names, [(tcp("one"), &[5432][..]), (tcp("two"), &[5433])]);
        for (host, timeout) in &hosts {
            assert_eq!(host.get_password(), Some(&b"s3cret"[..]));
            assert_eq!(host.get_options(), Some("-cjit=off"));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!(*timeout, CONNECT_TIMEOUT);
        }
        let one_port =
            parse("postgres://one,two:7000/ledger?connect_timeout=1").expect("the address is valid").hosts();
        assert_eq!(one_port.iter().map(|(host, _)| host.get_ports()[0]).collect::<Vec<_>>(), [5432, 7000]);
        assert_eq!(one_port[0].1, Duration::from_secs(1));
    }

    #[test]
    fn the_address_may_set_how_soon_a_silent_host_is_noticed() {
        let of = |query: &str| {
            let (host, _) = parse(&format!("postgres://one/ledger{query}"))
                .expect("the address is valid")
                .hosts()
                .remove(0);
            assert!(host.get_keepalives());
            let seconds = |time: Duration| time.as_secs();
            let interval = host.get_keepalives_interval().map(seconds);
            (seconds(host.get_keepalives_idle()), interval, host.get_keepalives_retries())
        };
        assert_eq!(of(""), (10, Some(5), Some(3)));
        assert_eq!(of("?keepalives_idle=60"), (60, Some(5), Some(3)));
        assert_eq!(of("?keepalives_interval=7&keepalives_retries=9"), (10, Some(7), Some(9)));
    }

    #[test]
    fn the_address_selects_the_certificate_policy() {
        let of = |query: &str| split_trust(&format!("postgres://one/ledger{query}")).map(|(_, trust)| trust);
        assert_eq!(of("").expect("the address is valid"), Trust::Any);
        assert_eq!(of("?sslmode=require").expect("the address is valid"), Trust::Any);
        assert_eq!(of("?sslmode=verify-full").expect("the address is valid"), Trust::System);
        let file = of("?sslmode=verify-full&connect_timeout=2&sslrootcert=/etc/a%20b.pem")
            .expect("the address is valid");
        assert_eq!(file, Trust::File("/etc/a b.pem".into()));
        for wrong in ["?sslmode=verify-ca", "?sslrootcert=/etc/a.pem"] {
            assert!(of(wrong).expect_err("the options contradict each other").is_unusable());
        }
        let (url, _) = split_trust("postgres://one/ledger?sslmode=verify-full&connect_timeout=2")
            .expect("the address is valid");
        assert_eq!(url, "postgres://one/ledger?sslmode=require&connect_timeout=2");
    }
}
