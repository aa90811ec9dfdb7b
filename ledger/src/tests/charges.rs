//! The life of a charge: opened, settled or refunded once, partly or late, and the exact credit
//! that each step moves.

use super::check;

#[test]
fn the_reference_prices_are_deducted_before_the_operation_runs() {
    check(
        "
        grant promotional 100_000
        charge try_on => charged 20000 g1:20000
        charge listing => charged 5000 g1:5000
        charge removal => charged 2000 g1:2000
        charge message => charged 500 g1:500
        charge pricing x37 => charged 37000 g1:37000
        balance => 35500
        show c5 => settled x37
        ",
    );
}

#[test]
fn a_charge_awaits_an_outcome_if_asked_or_if_the_price_book_says_so() {
    check(
        "
        grant promotional 100_000
        charge message => charged 500 g1:500
        charge message await => charged 500 g1:500 due in 900s
        charge message await timeout=30 => charged 500 g1:500 due in 30s
        charge message timeout=30 => charged 500 g1:500
        charge render => charged 3000 g1:3000 due in 60s
        charge render timeout=5 => charged 3000 g1:3000 due in 5s
        balance => 92000, pending 7000
        ",
    );
}

#[test]
fn a_success_settles() {
    check(
        "
        grant promotional 10_000
        charge message x10 await
        succeed c1 => settled 5000
        show c1 => settled x10, succeeded
        balance => 5000
        succeed c1 => unchanged
        succeed c1 x10 => unchanged
        succeed c1 x9 => no charge_already_settled: settled x10, succeeded
        fail c1 user => no charge_already_settled: settled x10, succeeded
        heartbeat c1 60 => no charge_already_settled: settled x10, succeeded
        time_out c1 => unchanged
        ",
    );
}

#[test]
fn a_success_with_fewer_units_refunds_the_difference() {
    check(
        "
        grant promotional 10_000
        charge message x10 await
        succeed c1 x0 => no invalid_field quantity
        succeed c1 x11 => no invalid_field quantity
        succeed c1 x4 => refunded 3000 partly_used g1:3000, settled 2000
        show c1 => settled x4, succeeded, 3000 back
        balance => 8000
        succeed c1 x4 => unchanged
        succeed c1 => unchanged
        succeed c1 x10 => no charge_already_settled: settled x4, succeeded, 3000 back
        succeed c1 x5 => no charge_already_settled: settled x4, succeeded, 3000 back
        ",
    );
}

#[test]
fn a_failure_by_the_system_is_refunded_once() {
    check(
        "
        grant promotional 10_000
        charge message x10 await
        fail c1 system => refunded 5000 failed_system g1:5000
        show c1 => refunded x10, failed_system, 5000 back
        balance => 10000
        fail c1 system => unchanged
        fail c1 user => no charge_already_refunded: refunded x10, failed_system, 5000 back
        succeed c1 => no charge_already_refunded: refunded x10, failed_system, 5000 back
        refund c1 => no charge_already_refunded: refunded x10, failed_system, 5000 back
        heartbeat c1 9 => no charge_already_refunded: refunded x10, failed_system, 5000 back
        time_out c1 => unchanged
        balance => 10000
        ",
    );
}

#[test]
fn a_failure_by_the_user_is_settled() {
    check(
        "
        grant promotional 10_000
        charge message x10 await
        fail c1 user => settled 5000
        show c1 => settled x10, failed_user
        fail c1 user => unchanged
        succeed c1 => no charge_already_settled: settled x10, failed_user
        balance => 5000
        fail c1 system => refunded 5000 failed_system g1:5000
        balance => 10000
        ",
    );
}

#[test]
fn an_outcome_can_be_reported_for_a_charge_that_was_settled_when_opened() {
    check(
        "
        grant promotional 10_000
        charge message
        charge message x2
        charge message
        succeed c1 => settled 0
        succeed c2 x1 => no charge_already_settled: settled x2
        succeed c2 x2 => settled 0
        fail c3 user => settled 0
        balance => 8000
        ",
    );
}

#[test]
fn a_late_failure_is_refunded_only_inside_the_window() {
    check(
        "
        grant promotional 10_000
        charge message
        charge message
        wait 30d
        fail c1 system => refunded 500 failed_system g1:500
        wait 1s
        fail c2 system => no refund_window_closed in -1s
        fail c1 system => unchanged
        refund c2 => refunded 500 requested g1:500
        ",
    );
    check(
        "
        grant promotional 10_000
        charge message await timeout=604_800
        wait 7d
        heartbeat c1 604_800
        wait 7d
        heartbeat c1 604_800
        wait 7d
        heartbeat c1 604_800
        wait 7d
        heartbeat c1 604_800
        wait 7d
        fail c1 system => refunded 500 failed_system g1:500
        ",
    );
}

#[test]
fn a_late_failure_after_partial_refunds_refunds_the_rest() {
    check(
        "
        grant promotional 10_000
        charge message x10 await
        succeed c1 x6 => refunded 2000 partly_used g1:2000, settled 3000
        refund c1 500 => refunded 500 requested g1:500
        fail c1 system => refunded 2500 failed_system g1:2500
        show c1 => refunded x6, failed_system, 5000 back
        balance => 10000
        ",
    );
}

#[test]
fn a_charge_without_an_outcome_by_the_deadline_is_refunded() {
    check(
        "
        grant promotional 10_000
        charge render
        wait 59s
        time_out c1 => unchanged
        heartbeat c1 1 => unchanged
        heartbeat c1 30 => due in 30s
        wait 29s
        time_out c1 => unchanged
        wait 1s
        time_out c1 => refunded 3000 timed_out g1:3000
        show c1 => refunded x1, timed_out, 3000 back
        time_out c1 => unchanged
        succeed c1 => no charge_already_refunded: refunded x1, timed_out, 3000 back
        fail c1 system => no charge_already_refunded: refunded x1, timed_out, 3000 back
        balance => 10000
        ",
    );
}

#[test]
fn an_outcome_after_the_deadline_but_before_the_timer_counts() {
    check(
        "
        grant promotional 10_000
        charge render
        wait 61s
        succeed c1 => settled 3000
        time_out c1 => unchanged
        charge render
        wait 61s
        heartbeat c2 10 => due in 10s
        time_out c2 => unchanged
        ",
    );
}

#[test]
fn the_platform_refunds_in_parts_and_never_more_than_was_charged() {
    check(
        "
        grant promotional 10_000
        charge message x10
        refund c1 0 => no invalid_field amount
        refund c1 -5 => no invalid_field amount
        refund c1 5_001 => no refund_exceeds_charge 5000
        refund c1 2_000 => refunded 2000 requested g1:2000
        show c1 => settled x10, 2000 back
        refund c1 3_001 => no refund_exceeds_charge 3000
        refund c1 1_000 => refunded 1000 requested g1:1000
        refund c1 => refunded 2000 requested g1:2000
        show c1 => refunded x10, reversed, 5000 back
        refund c1 1 => no charge_already_refunded: refunded x10, reversed, 5000 back
        balance => 10000
        ",
    );
}

#[test]
fn the_last_refund_of_many_returns_all_that_is_left() {
    let mut script = String::from("grant promotional 9_000\ncharge message x6\n");
    script += &"refund c1 1 => refunded 1 requested g1:1\n".repeat(999);
    script += "refund c1 1 => no invalid_field amount\nrefund c1 => refunded 2001 requested g1:2001\n";
    let world = check(&script);
    let state = world.charges[0].state;
    assert_eq!((state.refunds, state.refunded), (crate::bounds::REFUNDS_MAX, crate::Micros::new(3_000)));
}

#[test]
fn a_pending_charge_is_refunded_whole() {
    check(
        "
        grant promotional 10_000
        charge render
        refund c1 1_000 => no invalid_field amount
        refund c1 3_001 => no refund_exceeds_charge 3000
        refund c1 3_000 => refunded 3000 requested g1:3000
        balance => 10000
        succeed c1 => no charge_already_refunded: refunded x1, reversed, 3000 back
        ",
    );
}

#[test]
fn an_entry_made_while_a_clock_was_ahead_does_not_freeze_the_workspace() {
    let world = check(
        "
        grant promotional 100_000
        new_key charge expires=172_800
        wait 366d
        charge message => charged 500 g1:500
        new_key charge expires=60
        back 366d
        prices message=700 render=3_000/60 in=36_000 => prices 2
        charge message by=k1 => charged 500 g1:500
        charge render => charged 3000 g1:3000 due in 60s
        wait 59s
        time_out c3 => unchanged
        heartbeat c3 60
        wait 1s
        time_out c3 => unchanged
        wait 59s
        time_out c3 => refunded 3000 timed_out g1:3000
        new_key charge expires=1
        wait 10h
        charge message => charged 700 g1:700
        wait 2d
        charge message by=k1 => no unauthenticated
        wait 28d
        fail c4 system => refunded 700 failed_system g1:700
        fail c2 system => no refund_window_closed in -36119s
        ",
    );
    let times: Vec<_> = world.journal.iter().map(|(entry, _)| entry.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let last = &world.journal.last().expect("the script writes").0;
    assert!(last.at.is_ahead_of(last.decided_at), "{last:?}");
}

#[test]
fn a_program_that_runs_an_operation_learns_that_another_caller_has_ended_its_charge() {
    check(
        "
        grant promotional 100_000
        new_key charge
        charge message x10 await by=k1
        succeed c1 x1 by=k1 => refunded 4500 partly_used g1:4500, settled 500
        succeed c1 x10 => no charge_already_settled: settled x1, succeeded, 4500 back
        charge message x10 await timeout=1 by=k1
        wait 1s
        time_out c2 => refunded 5000 timed_out g1:5000
        succeed c2 x10 => no charge_already_refunded: refunded x10, timed_out, 5000 back
        charge message x10 await by=k1
        succeed c3 x10 => settled 5000
        succeed c3 x1 by=k1 => no charge_already_settled: settled x10, succeeded
        fail c3 user by=k1 => no charge_already_settled: settled x10, succeeded
        ",
    );
}

#[test]
fn the_refund_window_of_the_platform_decides_about_a_late_failure() {
    let world = check(
        "
        grant promotional 10_000
        charge message
        charge message
        wait 2d
        settings 1 => window 1d
        settings 1 => unchanged
        fail c1 system => no refund_window_closed in -86400s
        settings 3 => window 3d
        fail c1 system => refunded 500 failed_system g1:500
        settings 3_651 => no invalid_field refund_window_days
        settings 0 => window 0d
        fail c2 system => no refund_window_closed in -172800s
        settings 3_650 => window 3650d
        fail c2 system => refunded 500 failed_system g1:500
        restored => epoch 2
        restored => epoch 3
        ",
    );
    assert_eq!(world.platform.settings.refund_window_days, 3_650, "a restore keeps the settings");
    assert_eq!(world.platform.epoch, 3);
}

#[test]
fn a_clock_that_is_set_back_does_not_reverse_the_times_of_entries() {
    let world = check(
        "
        grant promotional 10_000
        wait 1h
        charge message
        back 2h
        charge message
        refund c1
        ",
    );
    let times: Vec<_> = world.journal.iter().map(|(entry, _)| entry.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(world.charges[0].created_at, world.charges[1].created_at);
}
