//! A primary and its synchronous standby: what the primary acknowledges, the standby has.
//!
//! The standby is promoted by whoever runs the test, as an operator or a failover tool would; clients find the new primary
//! by themselves, because their address names both hosts and asks for one that takes writes.

use std::time::{Duration, Instant};

use super::binaries::{binary, command, run};
use super::{Cluster, Setting, Stop};

/// How long the standby may take until it follows.
const PATIENCE: Duration = Duration::from_secs(60);

/// A primary and a standby that follows it synchronously.
#[derive(Debug)]
pub struct Pair {
    /// Takes writes until it is stopped.
    pub primary: Cluster,
    /// Follows, and takes writes once it is promoted.
    pub standby: Cluster,
}

impl Pair {
    /// Starts both; returns when no commit of the primary is acknowledged without the standby.
    #[must_use]
    #[track_caller]
    pub fn start(settings: &[Setting<'_>]) -> Pair {
        let primary = Cluster::start(settings);
        let standby = Cluster::home();
        let mut copy = command(binary("pg_basebackup"));
        copy.arg("-h").arg(primary.path()).args(["-p", &primary.port().to_string(), "-U", "postgres"]);
        copy.args([
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
            "--create-slot",
            "--slot=standby",
        ]);
        run(copy.arg("-D").arg(standby.data()));
        let standby = standby.first_start(&[]);
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
        let followed = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        let begun = Instant::now();
        while primary.sql("postgres", followed).is_empty() {
            assert!(begun.elapsed() < PATIENCE, "the standby does not follow");
        }
        Pair { primary, standby }
    }

    /// The address of a database, wherever it takes writes.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        two_hosts((self.primary.port(), self.standby.port()), database)
    }

    /// Takes the primary away and lets the standby go on in its place; returns when it takes writes.
    #[track_caller]
    pub fn fail_over(&self, how: Stop) {
        self.primary.stop(how);
        self.promote();
    }

    /// Lets the standby go on in place of a primary that is gone; returns when it takes writes.
    #[track_caller]
    pub fn promote(&self) {
        run(&mut self.standby.pg_ctl("promote"));
    }
}

/// The address of a database behind whichever of two ports takes writes.
#[must_use]
pub fn two_hosts((one, other): (u16, u16), database: &str) -> String {
    format!(
        "postgres://tollkeeper@127.0.0.1:{one},127.0.0.1:{other}/{database}?target_session_attrs=read-write"
    )
}

#[cfg(test)]
mod tests {
    use super::{Pair, Stop};

    #[test]
    fn the_standby_goes_on_with_what_was_acknowledged() {
        let pair = Pair::start(&[]);
        pair.primary.sql("postgres", "CREATE TABLE paid (amount bigint); INSERT INTO paid VALUES (500)");
        assert!(pair.standby.try_sql("postgres", "INSERT INTO paid VALUES (1)").is_err(), "it only follows");
        pair.fail_over(Stop::Kill);
        assert_eq!(pair.standby.sql("postgres", "INSERT INTO paid VALUES (1)"), "");
        assert_eq!(pair.standby.sql("postgres", "SELECT sum(amount) FROM paid"), "501");
        assert!(pair.primary.try_sql("postgres", "SELECT 1").is_err());
    }
}
