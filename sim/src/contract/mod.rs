//! The engine contract as a suite: one list of clauses, every engine is held to all of them.
//!
//! A clause gets a [`Store`] nobody has used yet and opens it as often as it likes, so that what has to survive a restart
//! is shown by restarting. Clauses say what the contract promises and no more: not where anything is kept, and not how
//! fast. What is right and wrong about credit is the ledger's matter and only touched here.

mod charges;
mod limits;
mod lists;
mod settings;
mod store;
mod team;
mod test_client;

use std::sync::Arc;

use tollkeeper_engine::Engine;

pub use test_client::{BEGINNING, TestClient, acme, awaited, charge, credit, prices, submission, workspace};

/// Somewhere an engine keeps what it is told, opened again and again.
pub trait Store {
    /// Opens it. The engine opened before was closed and dropped.
    fn open(&self) -> Arc<dyn Engine>;
}

/// A clause and its name.
pub type Clause = (&'static str, fn(&dyn Store));

/// What every engine keeps.
pub const CLAUSES: &[Clause] = &[
    ("a workspace is opened once and described anew", settings::a_workspace_is_opened_once),
    ("what nobody opened is not there", settings::what_nobody_opened_is_not_there),
    ("prices have versions", settings::prices_have_versions),
    ("platform keys are kept by their hash", settings::platform_keys_are_kept),
    ("an alert is an entry of the journal", settings::an_alert_is_an_entry),
    ("limits hold and count what was spent before", limits::limits_hold),
    ("limits show what they have counted, and refunds give back", limits::limits_show_what_they_counted),
    ("a limit worth fifty charges lets fifty pass", limits::a_limit_worth_fifty_lets_fifty_pass),
    ("a new limit misses nothing of what was spent", limits::a_new_limit_misses_nothing),
    ("a limit on a key knows what the key has spent", limits::a_limit_on_a_key_knows_what_it_spent),
    (
        "what went back before the day began lifts no limit",
        limits::what_went_back_before_the_day_began_lifts_no_limit,
    ),
    ("another time zone counts anew", limits::another_time_zone_counts_anew),
    ("what was added to a team is shown", team::what_was_added_is_shown),
    ("a member who leaves takes keys and sessions along", team::a_member_takes_keys_and_sessions_along),
    ("a key that has ended is refused and moves nothing", team::a_key_that_has_ended_is_refused),
    ("a tied key speaks for nobody else", team::a_tied_key_speaks_for_nobody_else),
    ("members see, admins change", team::members_see_and_admins_change),
    ("a link signs in once", team::a_link_signs_in_once),
    ("the use of a key is noted once an hour", team::the_use_of_a_key_is_noted),
    ("a charge takes its price", charges::a_charge_takes_its_price),
    ("the same key is answered the same", charges::the_same_key_is_answered_the_same),
    ("a refusal leaves nothing behind", charges::a_refusal_leaves_nothing),
    ("a batch is decided in order, each alone", charges::a_batch_is_decided_in_order),
    ("an outcome settles or refunds", charges::an_outcome_settles_or_refunds),
    ("a refund returns to its grants", charges::a_refund_returns_to_its_grants),
    ("a deadline that passes is due until it is timed out", charges::a_deadline_is_due),
    ("a grant can be voided", charges::a_grant_can_be_voided),
    ("a lost payment is taken back and restored", charges::a_lost_payment_is_taken_back),
    ("lists come in pages without gaps", lists::lists_come_in_pages),
    ("charges are found by what they are", lists::charges_are_found),
    ("a page stays a page while more happens", lists::a_page_stays_a_page),
    ("a past balance is what it was", lists::a_past_balance_is_what_it_was),
    ("usage is counted by the hour", lists::usage_is_counted_by_the_hour),
    ("the journal is a chain of hashes", lists::the_journal_is_a_chain),
    ("a restart keeps everything", store::a_restart_keeps_everything),
    ("a key used long ago still stands", store::a_key_used_long_ago_still_stands),
    ("a pending charge is due after a restart", store::a_pending_charge_is_due_after_a_restart),
    ("figures say what is kept", store::figures_say_what_is_kept),
    ("large batches at once are each done once", store::large_batches_at_once_are_done_once),
];

/// What an engine keeps besides that has something to read wrongly or to close.
pub const STORE_CLAUSES: &[Clause] = &[
    ("a cursor of another list is told", lists::a_wrong_cursor_is_told),
    ("a closed engine takes no commands", store::a_closed_engine_takes_no_commands),
];
