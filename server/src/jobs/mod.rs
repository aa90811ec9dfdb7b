//! Work that no request starts: the polling jobs, which run at a fixed interval.
//!
//! ```text
//! time_outs      refunds pending charges whose deadline has passed
//! due_payments   does what a time brings to payments, in two parts
//! due_work       what is done for each kind of that work
//! renewals       renews what was past due before plans renewed by themselves
//! reconciliation finds what lost webhook events would have said
//! losses         looks daily at refunds and disputes
//! closed_days    adds up days of usage that are over
//! alert_checks   checks low-balance thresholds each hour
//! self_check     recomputes accounts while the server runs
//! rounds         rounds over all workspaces
//! polling        how all poll, batch after batch
//! back_off       when what failed is tried again
//! ```
//!
//! They run beside each other, so that a call of one never delays another.

pub(crate) mod alert_checks;
pub(crate) mod back_off;
pub(crate) mod closed_days;
pub(crate) mod due_payments;
mod due_work;
pub(crate) mod losses;
pub(crate) mod polling;
pub(crate) mod reconciliation;
pub(crate) mod renewals;
mod rounds;
pub(crate) mod self_check;
pub(crate) mod settings;
pub(crate) mod time_outs;

use tollkeeper_ledger::Refusal;

/// Why the command of a job was not accepted, for the log.
fn refused(refusal: &Refusal) -> String {
    format!("the ledger refused it: {}", refusal.code())
}
