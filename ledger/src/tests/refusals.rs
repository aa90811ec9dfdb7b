//! Every "no", and which comes first when several hold.

use super::check;

#[test]
fn a_charge_is_refused_for_the_first_reason_that_holds() {
    // All reasons hold at once; each line takes the first one away.
    check(
        "
        grant top_up 1_000 origin=pay_1
        charge removal x0 => no invalid_field quantity
        limits workspace/day=100
        claw_back g1 1_000 dispute=d1 => taken g1:1000
        grant promotional 500 => granted 500
        charge message => no limit_exceeded 100 of 100 left, resets in 86400s
        claw_back g2 500 dispute=d2
        claw_back g2 200 dispute=d3
        update suspended=true

        elsewhere charge nothing x0 => no workspace_not_found
        charge nothing x0 => no workspace_suspended
        update suspended=false
        charge nothing x0 => no debt_outstanding 200
        restore dispute=d3
        charge nothing x0 => no operation_not_found
        charge try_on x0 => no invalid_field quantity
        charge try_on timeout=0 await => no invalid_field timeout_seconds
        charge try_on => no limit_exceeded 100 of 100 left, resets in 86400s
        limits workspace/day=20_000
        charge try_on => no insufficient_credits 0 of 20000, affords 0
        grant adjustment 20_000
        charge try_on => charged 20000 g3:20000
        ",
    );
}

#[test]
fn a_refusal_names_the_numbers_that_explain_it() {
    check(
        "
        grant promotional 30_000
        charge try_on x2 => no insufficient_credits 30000 of 40000, affords 1
        charge message x61 => no insufficient_credits 30000 of 30500, affords 60
        charge pricing x1000000 => no insufficient_credits 30000 of 1000000000, affords 30
        balance => 30000
        ",
    );
}

#[test]
fn quantities_and_times_have_bounds() {
    check(
        "
        grant promotional 2_000_000_000
        charge message x-1 => no invalid_field quantity
        charge message x0 => no invalid_field quantity
        charge message x1000001 => no invalid_field quantity
        charge message x9223372036854775807 => no invalid_field quantity
        charge message x1000000 => charged 500000000 g1:500000000
        charge message await timeout=604801 => no invalid_field timeout_seconds
        charge message await timeout=604800 => charged 500 g1:500 due in 604800s
        heartbeat c2 604801 => no invalid_field extend_seconds
        heartbeat c2 0 => no invalid_field extend_seconds
        ",
    );
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    check(
        "
        succeed c1 => no charge_not_found
        fail c1 system => no charge_not_found
        heartbeat c1 60 => no charge_not_found
        refund c1 => no charge_not_found
        time_out c1 => no charge_not_found
        void g1 => no grant_not_found
        claw_back g1 100 dispute=d1 => no grant_not_found
        restore dispute=d1 => no dispute_not_found
        ",
    );
    for command in [
        "succeed c1",
        "fail c1 user",
        "heartbeat c1 60",
        "refund c1",
        "time_out c1",
        "void g1",
        "claw_back g1 1 dispute=d1",
        "restore dispute=d1",
        "grant promotional 1",
        "update name=New",
        "limits workspace/day=1",
        "alerts 1",
    ] {
        check(&format!("elsewhere {command} => no workspace_not_found"));
    }
}

#[test]
fn a_suspended_or_indebted_workspace_still_settles_what_it_started() {
    check(
        "
        grant top_up 9_000 origin=pay_1
        charge render x2
        charge render
        update suspended=true
        claw_back g1 9_000 dispute=d1 => taken
        balance => 0, pending 9000, debt 9000
        succeed c1 x1 => refunded 3000 partly_used g1:3000, settled 3000
        fail c2 system => refunded 3000 failed_system g1:3000
        charge message => no workspace_suspended
        balance => 6000, debt 9000
        ",
    );
}
