//! The warnings of the database: which of them make a commit doubtful, and a log line for the
//! others.
//!
//! When a commit waits for a synchronous standby and the wait is cancelled, PostgreSQL reports
//! success with a *warning*. The commit is then on the primary's disk only, and a failover would
//! lose it. Its SQLSTATE says nothing: it is that of every warning, or that of a shutdown. The text
//! depends on the language of the database. The name of the C function that reports it depends on
//! neither.
//!
//! Every other warning comes from a trigger, an extension or the upkeep of the database. It is
//! logged, and the commit counts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tokio_postgres::error::{DbError, Severity};

/// The function of PostgreSQL in which a commit waits for its standbys. It reports both the wait
/// that a user cancelled and the wait that ended with the connection.
const WAIT_FOR_STANDBY: &str = "SyncRepWaitForLSN";

/// How the English text names the wait. Citus passes on the texts of its nodes and reports them
/// from a function of its own.
const STANDBY_TEXT: &str = "synchronous replication";

/// The most kinds of warnings that are logged: beyond that, the log says no more about warnings.
const LOGGED_MAX: usize = 64;

/// What the database has warned of on one connection.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    standby: AtomicBool,
    any: AtomicBool,
}

impl Warnings {
    /// Takes note of a warning, and logs it unless it concerns a standby.
    pub(super) fn record(&self, notice: &DbError) {
        if notice.parsed_severity() != Some(Severity::Warning) {
            return;
        }
        self.any.store(true, Relaxed);
        if is_about_standby(notice.routine(), notice.message()) {
            self.standby.store(true, Relaxed);
        } else {
            log_once(notice.message(), notice.code().code());
        }
    }

    /// True if a commit did not wait for its standby. Citus reports a node that did not confirm a
    /// commit by a warning too, with various texts. On a distributed database every warning
    /// therefore counts.
    pub(super) fn make_commit_doubtful(&self, is_distributed: bool) -> bool {
        self.standby.load(Relaxed) || (is_distributed && self.any.load(Relaxed))
    }

    /// Forgets the warnings so far.
    pub(super) fn clear(&self) {
        self.standby.store(false, Relaxed);
        self.any.store(false, Relaxed);
    }
}

fn is_about_standby(routine: Option<&str>, text: &str) -> bool {
    routine == Some(WAIT_FOR_STANDBY) || text.contains(STANDBY_TEXT)
}

/// Logs a warning, once in the life of the process for each kind.
pub(super) fn log_once(text: &str, code: &str) {
    /// The kinds that were logged.
    static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_new = {
        let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < LOGGED_MAX && logged.insert(kind(text, code))
    };
    if is_new {
        tracing::warn!(code, "the database warns: {text}");
    }
}

/// A warning without its numbers: it may count something down with each transaction.
fn kind(text: &str, code: &str) -> String {
    let text = text.chars().filter(|letter| !letter.is_ascii_digit());
    format!("{code} {}", text.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wait_for_a_standby_that_ended_early_is_about_a_standby() {
        assert!(is_about_standby(Some("SyncRepWaitForLSN"), "annulation de l'attente"));
        assert!(is_about_standby(
            Some("DefaultCitusNoticeReceiver"),
            "canceling wait for synchronous replication due to user request"
        ));
        assert!(!is_about_standby(Some("exec_stmt_raise"), "the department is over its budget"));
        assert!(!is_about_standby(None, "database \"ledger\" must be vacuumed within 4711 transactions"));
    }

    #[test]
    fn a_warning_that_counts_down_is_one_kind() {
        let kinds =
            ["30000000", "29999999"].map(|left| kind(&format!("vacuum within {left} transactions"), "01000"));
        assert_eq!(kinds[0], kinds[1]);
        assert_ne!(kind("stop", "01000"), kind("stop", "57P01"));
    }
}
