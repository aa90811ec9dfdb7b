//! The engine contract as a test suite: one list of clauses that every engine must pass.
//!
//! A clause gets a fresh [`Store`] and opens it as often as it needs, so a clause about restarts
//! really restarts. Clauses test what the contract promises, not where data is stored or how fast
//! it is. The rules of credit are tested in the ledger and beside the model; here they are only
//! touched.

mod alerts;
mod auto_top_ups;
mod charges;
mod clocks;
mod closed_days;
mod deliveries;
mod following;
mod limits;
mod lists;
mod operators;
mod payment_refunds;
mod payments;
mod recipients;
mod report;
mod search;
mod settings;
mod store;
mod subscriptions;
mod team;
mod test_client;
mod usage_days;
mod usage_reports;

use std::sync::Arc;

use tollkeeper_engine::Engine;

pub use deliveries::endpoint;
pub use test_client::{BEGINNING, TestClient, acme, awaited, charge, credit, prices, submission, workspace};

/// A place where an engine stores its data, such as a directory or a database.
pub trait Store {
    /// Opens an engine on it. An engine opened before was closed and dropped.
    fn open(&self) -> Arc<dyn Engine>;
}

/// A clause with its name.
pub type Clause = (&'static str, fn(&dyn Store));

/// The clauses for every engine.
pub const CLAUSES: &[Clause] = &[
    ("a workspace is created once and can be updated", settings::a_workspace_is_created_once),
    ("an unknown workspace is not found", settings::an_unknown_workspace_is_not_found),
    ("prices have versions", settings::prices_have_versions),
    ("plans have versions", settings::plans_have_versions),
    ("platform keys are stored by their hash", settings::platform_keys_are_stored),
    (
        "the refund window is a setting of the platform",
        settings::the_refund_window_is_a_setting_of_the_platform,
    ),
    ("an epoch is an entry of the platform", settings::an_epoch_is_an_entry_of_the_platform),
    ("an alert is an entry of the journal", alerts::an_alert_is_an_entry),
    ("a balance recovers, and falls again", alerts::a_balance_recovers_and_falls_again),
    ("days of runway are checked by a command", alerts::days_of_runway_are_checked),
    ("refused charges are noted once a cooldown", alerts::refused_charges_are_noted_once_a_cooldown),
    ("a reached limit is noted once a period", alerts::a_reached_limit_is_noted_once_a_period),
    ("limits are enforced and count earlier charges", limits::limits_are_enforced),
    ("limits show their usage, and refunds reduce it", limits::limits_show_their_usage),
    ("a limit worth fifty charges lets fifty pass", limits::a_limit_worth_fifty_lets_fifty_pass),
    ("a new limit counts all earlier charges", limits::a_new_limit_counts_all_earlier_charges),
    ("a limit on a key counts the charges of that key", limits::a_limit_on_a_key_counts_its_charges),
    (
        "a refund before the day does not reduce its usage",
        limits::a_refund_before_the_day_does_not_reduce_its_usage,
    ),
    ("a new time zone recounts the limits", limits::a_new_time_zone_recounts_the_limits),
    ("a day that begins within an hour is exact", usage_days::a_day_that_begins_within_an_hour_is_exact),
    ("days of 23 and 25 hours are exact", usage_days::days_of_23_and_25_hours_are_exact),
    (
        "days with half an hour of summer time are exact",
        usage_days::days_with_half_an_hour_of_summer_time_are_exact,
    ),
    ("a day without a midnight is exact", usage_days::a_day_without_a_midnight_is_exact),
    ("a report is the same with closed days", closed_days::a_report_is_the_same_with_closed_days),
    ("days that begin within hours are closed", closed_days::days_that_begin_within_hours_are_closed),
    ("a new time zone takes back closed days", closed_days::a_new_time_zone_takes_back_closed_days),
    ("rows follow the time zone of their time", usage_days::rows_follow_the_time_zone_of_their_time),
    ("a team is shown as it was created", team::a_team_is_shown_as_it_was_created),
    (
        "the texts of a member are erased and the journal stays",
        team::the_texts_of_a_member_are_erased_and_the_journal_stays,
    ),
    ("a removed member loses keys and sessions", team::a_removed_member_loses_keys_and_sessions),
    ("a revoked or expired key is refused and changes nothing", team::a_revoked_or_expired_key_is_refused),
    (
        "a tied key charges only for its member and worker",
        team::a_tied_key_charges_only_for_its_member_and_worker,
    ),
    (
        "only the platform and a key with settle give back credit",
        team::only_the_platform_and_a_key_with_settle_give_back_credit,
    ),
    ("only admins change settings", team::only_admins_change_settings),
    ("an operator acts within a session", operators::an_operator_acts_within_a_session),
    ("a session of an operator is found and ended", operators::a_session_of_an_operator_is_found_and_ended),
    ("a link signs in once", team::a_link_signs_in_once),
    ("the use of a key is recorded once an hour", team::the_use_of_a_key_is_recorded),
    (
        "a typed address is there once and goes with its text",
        recipients::a_typed_address_is_there_once_and_goes_with_its_text,
    ),
    ("recipients change within one batch", recipients::recipients_change_within_one_batch),
    ("what became of mails is noted", recipients::what_became_of_mails_is_noted),
    ("a charge deducts its price", charges::a_charge_deducts_its_price),
    ("a repeated key gets the first answer", charges::a_repeated_key_gets_the_first_answer),
    ("a refusal changes nothing", charges::a_refusal_changes_nothing),
    ("the commands of a batch are decided in order, each alone", charges::a_batch_is_decided_in_order),
    ("an outcome settles or refunds", charges::an_outcome_settles_or_refunds),
    ("a refund returns to its grants", charges::a_refund_returns_to_its_grants),
    ("a charge takes a bounded number of refunds", charges::a_charge_takes_a_bounded_number_of_refunds),
    ("a charge with a passed deadline is due until it is timed out", charges::a_passed_deadline_is_due),
    (
        "a heartbeat that moves the deadline by less than a quarter changes nothing",
        charges::a_heartbeat_that_moves_the_deadline_little_changes_nothing,
    ),
    ("a grant can be voided", charges::a_grant_can_be_voided),
    (
        "credit that goes back to a voided grant is taken",
        charges::credit_that_goes_back_to_a_voided_grant_is_taken,
    ),
    ("a top-up grants its credit once, after it was confirmed", payments::a_top_up_grants_its_credit_once),
    ("only the platform says that money came in", payments::only_the_platform_says_that_money_came_in),
    (
        "a top-up expires with its page and still grants",
        payments::a_top_up_expires_with_its_page_and_still_grants,
    ),
    (
        "a top-up is placed and paid at a provider once",
        payments::a_top_up_is_placed_and_paid_at_a_provider_once,
    ),
    ("racing charges buy credit once", auto_top_ups::racing_charges_buy_credit_once),
    (
        "automatic top-ups of a month of the time zone stay within its cap",
        auto_top_ups::a_month_of_the_time_zone_stays_within_its_cap,
    ),
    ("a declined card is charged three times", auto_top_ups::a_declined_card_is_charged_three_times),
    (
        "a removed card stops automatic top-ups in one change",
        auto_top_ups::a_removed_card_stops_automatic_top_ups_in_one_change,
    ),
    (
        "a payment refund takes its credit before the money is sent",
        payment_refunds::a_payment_refund_takes_its_credit_first,
    ),
    (
        "what is lost of a payment is taken from its grant",
        payment_refunds::what_is_lost_of_a_payment_is_taken_from_its_grant,
    ),
    (
        "a refund at a provider is due until it is taken over",
        payment_refunds::a_refund_at_a_provider_is_due_until_it_is_taken_over,
    ),
    ("only the platform sends money back", payment_refunds::only_the_platform_sends_money_back),
    ("a payment that fits nothing is noted once", payment_refunds::a_payment_that_fits_nothing_is_noted_once),
    ("a period grants once it is paid", subscriptions::a_period_grants_once_it_is_paid),
    ("plans that race leave one subscription", subscriptions::plans_that_race_leave_one_subscription),
    ("a year is granted month by month", subscriptions::a_year_is_granted_month_by_month),
    (
        "a grant of a free plan is voided, and a paid one is not",
        subscriptions::a_grant_of_a_free_plan_is_voided_and_a_paid_one_is_not,
    ),
    (
        "a lost payment of a year takes its months as they come",
        subscriptions::a_lost_payment_of_a_year_takes_its_months_as_they_come,
    ),
    ("a lost payment is clawed back and restored", charges::a_lost_payment_is_clawed_back),
    ("what is lost of a payment is a target", charges::what_is_lost_of_a_payment_is_a_target),
    ("a report adds up a month", report::a_report_adds_up_a_month),
    ("a report shows the tax on a subscription", report::a_report_shows_the_tax_on_a_subscription),
    ("a report shows what is paid and not granted", report::a_report_shows_what_is_paid_and_not_granted),
    ("lists come in pages without gaps", lists::lists_come_in_pages),
    ("charges are filtered by each of their fields", lists::charges_are_filtered),
    ("new rows do not shift pages", lists::new_rows_do_not_shift_pages),
    ("a past balance does not change", lists::a_past_balance_does_not_change),
    ("usage is counted by the hour", lists::usage_is_counted_by_the_hour),
    ("use is added up by each key", usage_reports::use_is_added_up_by_each_key),
    ("a range of use is widened to whole hours", usage_reports::a_range_is_widened_to_whole_hours),
    ("a day has the hours of its time zone", usage_reports::a_day_has_the_hours_of_its_time_zone),
    ("days of use are those of the time zone now", usage_reports::days_are_those_of_the_time_zone_now),
    (
        "a day of use that begins within an hour is exact",
        usage_reports::a_day_that_begins_within_an_hour_is_exact,
    ),
    (
        "a request for use that cannot be answered says why",
        usage_reports::a_request_that_cannot_be_answered_says_why,
    ),
    ("workspaces are found by the words of their names", search::workspaces_are_found_by_name),
    ("workspaces are found by suspension and debt", search::workspaces_are_found_by_suspension_and_debt),
    ("workspaces are found by their last use", search::workspaces_are_found_by_their_last_use),
    ("a journal is followed without a gap", following::a_journal_is_followed_without_a_gap),
    ("only entries of some kinds are followed", following::only_some_kinds_are_followed),
    ("a position that is not in the journal is named", following::a_position_that_is_not_there_is_named),
    ("a commit wakes those who watch", following::a_commit_wakes_those_who_watch),
    ("the journal is a hash chain", lists::the_journal_is_a_hash_chain),
    ("a clock that was ahead freezes nothing", clocks::a_clock_that_was_ahead_freezes_nothing),
    ("usage is counted by the present hour", clocks::usage_is_counted_by_the_present_hour),
    ("a price rise waits for the present time", clocks::a_price_rise_waits_for_the_present_time),
    ("a restart loses nothing", store::a_restart_loses_nothing),
    ("the head of the journal moves with each entry", store::the_head_of_the_journal_moves_with_each_entry),
    ("a key used long ago is still known", store::an_old_key_is_still_known),
    ("a pending charge is due after a restart", store::a_pending_charge_is_due_after_a_restart),
    (
        "payments are due at their time, also after a restart, until their work is done",
        payments::payments_are_due_until_their_work_is_done,
    ),
    ("due payments are listed page by page", payments::due_payments_are_listed_page_by_page),
    ("an endpoint is handed what follows it", deliveries::an_endpoint_is_handed_what_follows_it),
    ("what was noted is not handed out again", deliveries::what_was_noted_is_not_handed_out_again),
    (
        "a place of deliveries survives a restart",
        deliveries::a_place_survives_a_restart_and_a_part_of_a_portion_counts,
    ),
    (
        "an endpoint of a workspace is handed its own",
        deliveries::an_endpoint_of_a_workspace_is_handed_its_own,
    ),
    ("an endpoint can begin again where it stopped, or now", deliveries::an_endpoint_can_begin_again),
    (
        "the sender of e-mail begins when it is first served",
        deliveries::the_sender_of_mail_begins_when_it_is_first_served,
    ),
    ("stats count entries, commands and pending charges", store::stats_count_entries_and_commands),
    ("concurrent large batches run each key once", store::concurrent_large_batches_run_each_key_once),
];

/// The further clauses for engines with durable storage: cursors that can be wrong, work that is
/// bounded, and closing.
pub const STORE_CLAUSES: &[Clause] = &[
    ("a wrong cursor is an error", lists::a_wrong_cursor_is_an_error),
    (
        "a workspace with much usage waits between two recounts of its limits",
        limits::a_workspace_with_much_usage_waits_between_two_recounts,
    ),
    ("a cursor of a search belongs to its conditions", search::a_cursor_belongs_to_its_conditions),
    (
        "a search looks at a bounded number of workspaces",
        search::a_search_looks_at_a_bounded_number_of_workspaces,
    ),
    ("a closed engine takes no commands", store::a_closed_engine_takes_no_commands),
];
