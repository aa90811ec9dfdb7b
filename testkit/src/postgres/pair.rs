//! A primary and its synchronous standby: the standby has every commit that the primary
//! acknowledges.
//!
//! The test promotes the standby, as an operator or a failover tool would. Clients find the new
//! primary by themselves, because their URL names both hosts and asks for the one that takes
//! writes.

use std::time::Duration;

use super::binaries::{command, program, run};
use super::{Cluster, Setting, Stop};
use crate::retry::retry_for;

/// How long the standby may take until it follows the primary.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(60);

/// A primary and a standby that follows it synchronously.
#[derive(Debug)]
pub struct Pair {
    /// Takes writes until it is stopped.
    pub primary: Cluster,
    /// Follows, and takes writes once it is promoted.
    pub standby: Cluster,
}

impl Pair {
    /// Starts both and returns when the primary acknowledges no commit without the standby.
    #[must_use]
    #[track_caller]
    pub fn start(settings: &[Setting<'_>]) -> Pair {
        let primary = Cluster::start(settings);
        let standby = Cluster::empty();
        let mut copy = command(program("pg_basebackup"));
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
        retry_for(FOLLOW_TIMEOUT, "the standby follows the primary", || {
            (!primary.sql("postgres", followed).is_empty()).then_some(())
        });
        Pair { primary, standby }
    }

    /// The URL of a database on the server that takes writes.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        two_hosts((self.primary.port(), self.standby.port()), database)
    }

    /// Stops the primary, promotes the standby and returns when it takes writes.
    #[track_caller]
    pub fn fail_over(&self, how: Stop) {
        self.primary.stop(how);
        self.promote();
    }

    /// Promotes the standby after the primary was stopped and returns when it takes writes.
    #[track_caller]
    pub fn promote(&self) {
        run(&mut self.standby.pg_ctl("promote"));
    }
}

/// The URL of a database on the one of two local ports that takes writes.
#[must_use]
pub fn two_hosts((one, other): (u16, u16), database: &str) -> String {
    format!(
        "postgres://tollkeeper@127.0.0.1:{one},127.0.0.1:{other}/{database}?target_session_attrs=read-write"
    )
}

#[cfg(test)]
mod tests {
    use super::super::is_missing;
    use super::{Pair, Stop};

    #[test]
    fn a_promoted_standby_has_every_acknowledged_commit() {
        if is_missing() {
            return;
        }
        let pair = Pair::start(&[]);
        pair.primary.sql("postgres", "CREATE TABLE paid (amount bigint); INSERT INTO paid VALUES (500)");
        assert!(
            pair.standby.try_sql("postgres", "INSERT INTO paid VALUES (1)").is_err(),
            "a standby takes no writes"
        );
        pair.fail_over(Stop::Kill);
        assert_eq!(pair.standby.sql("postgres", "INSERT INTO paid VALUES (1)"), "");
        assert_eq!(pair.standby.sql("postgres", "SELECT sum(amount) FROM paid"), "501");
        assert!(pair.primary.try_sql("postgres", "SELECT 1").is_err());
    }
}
