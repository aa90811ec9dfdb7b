//! Every refusal, and which is the answer if several apply.

use super::world::{Output, World};
use super::{check, script};
use crate::Refusal;

/// Runs a script and checks the codes of its refusals, in order. Each refusal must be decided after
/// the one before it: the order of the variants of [`Refusal`] is the order of decisions.
fn check_rising(script: &str, codes: &[&str]) {
    let mut world = World::new();
    let mut refusals: Vec<Refusal> = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("wait ") {
            script::run(&mut world, line);
        } else if let Output::No(refusal) = script::output_of(&mut world, line) {
            refusals.push(refusal);
        }
    }
    assert_eq!(refusals.iter().map(Refusal::code).collect::<Vec<_>>(), codes, "{script}");
    for pair in refusals.windows(2) {
        assert!(pair[0] < pair[1], "{:?} is decided before {:?}", pair[0], pair[1]);
    }
}

#[test]
fn the_refusals_of_a_charge_rise_as_the_first_is_removed() {
    check_rising(
        "
        new_key charge member=ada
        grant top_up 1_000 origin=pay_1
        charge message member=ada by=k1 key=used
        limits workspace/day=100
        lost g1 1_000
        update suspended=true

        elsewhere charge nothing x0 await timeout=0 member=bob key=used
        charge nothing x0 await timeout=0 member=bob key=used by=k9
        charge nothing x0 await timeout=0 member=bob key=used by=k1
        charge nothing x0 await timeout=0 member=ada key=used by=k1
        charge nothing x0 await timeout=0 member=ada key=new by=k1
        update suspended=false
        charge nothing x0 await timeout=0 member=ada key=new by=k1
        lost g1 0
        charge nothing x0 await timeout=0 member=ada key=new by=k1
        charge try_on x0 await timeout=0 member=ada key=new by=k1
        charge try_on await timeout=0 member=ada key=new by=k1
        charge try_on await member=ada key=new by=k1
        limits workspace/day=90_000
        charge try_on await member=ada key=new by=k1
        ",
        &[
            "workspace_not_found",
            "unauthenticated",
            "forbidden",
            "idempotency_key_reused",
            "workspace_suspended",
            "debt_outstanding",
            "operation_not_found",
            "invalid_field",
            "invalid_field",
            "limit_exceeded",
            "insufficient_credits",
        ],
    );
}

#[test]
fn the_refusals_of_commands_about_a_charge_rise() {
    let charges = "
        new_key charge member=ada
        grant promotional 9_000
        charge message x3 key=one
        refund c1 key=back
        charge message x3
        charge message x3 await
        wait 31d
        ";
    let caller = ["workspace_not_found", "unauthenticated", "forbidden"];
    let check = |commands: &str, codes: &[&str]| {
        check_rising(&format!("{charges}{commands}"), &[&caller, codes].concat());
    };
    check(
        "elsewhere succeed c1 x0\nsucceed c1 x0 by=k9\nsucceed c1 x0 by=k1
        succeed c9 x0\nsucceed c1 x0\nsucceed c1 x1",
        &["charge_not_found", "invalid_field", "charge_already_refunded"],
    );
    check(
        "elsewhere fail c1 user\nfail c1 user by=k9\nfail c1 user by=k1
        fail c9 user\nfail c1 user\nfail c2 system",
        &["charge_not_found", "charge_already_refunded", "refund_window_closed"],
    );
    check(
        "elsewhere heartbeat c1 0\nheartbeat c1 0 by=k9\nheartbeat c1 0 by=k1
        heartbeat c9 0\nheartbeat c1 0\nheartbeat c2 0\nheartbeat c3 0",
        &["charge_not_found", "charge_already_refunded", "charge_already_settled", "invalid_field"],
    );
    check(
        "elsewhere refund c1 0\nrefund c1 0 by=k9\nrefund c1 0 by=k1
        refund c9 0 key=back\nrefund c9 0\nrefund c1 0\nrefund c2 0\nrefund c2 1_501",
        &[
            "idempotency_key_reused",
            "charge_not_found",
            "charge_already_refunded",
            "invalid_field",
            "refund_exceeds_charge",
        ],
    );
    check("elsewhere time_out c1\ntime_out c1 by=k9\ntime_out c1 by=k1\ntime_out c9", &["charge_not_found"]);
}

#[test]
fn the_refusals_of_other_commands_rise() {
    let team = "join ada admin\njoin bob member\ngrant promotional 10\n";
    let caller = ["workspace_not_found", "unauthenticated", "forbidden"];
    let check = |command: &str, then: &str, codes: &[&str]| {
        let script =
            format!("{team}elsewhere {command}\n{command} by=eve\n{command} by=bob\n{command}\n{then}");
        check_rising(&script, &[&caller, codes].concat());
    };
    check("lost g9 0", "lost g1 0", &["grant_not_found", "invalid_field"]);
    check("void g9", "", &["grant_not_found"]);
    check("grant top_up 0", "", &["invalid_field"]);
    check("join ada admin", "", &["member_exists"]);
    check("change eve role=member", "change ada role=member", &["member_not_found", "last_admin"]);
    check("leave eve", "leave ada", &["member_not_found", "last_admin"]);
    check("revoke k9", "", &["api_key_not_found"]);
    check("link eve", "sign_in l9", &["member_not_found", "portal_link_expired"]);
    check_rising("create", &["workspace_exists"]);
}

#[test]
fn a_charge_is_refused_for_the_first_reason_that_applies() {
    // All reasons hold at once; each line removes the first.
    check(
        "
        grant top_up 1_000 origin=pay_1
        charge removal x0 => no invalid_field quantity
        limits workspace/day=100
        lost g1 1_000 => taken g1:1000
        grant top_up 500 origin=pay_2 => granted 500
        charge message => no limit_exceeded 100 of 100 left, resets in 86400s
        limits workspace/day=600
        charge message => charged 500 g2:500
        lost g2 200 => taken owed 200
        limits workspace/day=600
        update suspended=true

        elsewhere charge nothing x0 => no workspace_not_found
        charge nothing x0 => no workspace_suspended
        update suspended=false
        charge nothing x0 => no debt_outstanding 200
        lost g2 0
        charge nothing x0 => no operation_not_found
        charge try_on x0 => no invalid_field quantity
        charge try_on timeout=0 await => no invalid_field timeout_seconds
        charge try_on => no limit_exceeded 100 of 600 left, resets in 86400s
        limits workspace/day=20_500
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
fn quantities_and_timeouts_have_bounds() {
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
fn a_missing_charge_or_grant_is_not_found() {
    check(
        "
        succeed c1 => no charge_not_found
        fail c1 system => no charge_not_found
        heartbeat c1 60 => no charge_not_found
        refund c1 => no charge_not_found
        time_out c1 => no charge_not_found
        void g1 => no grant_not_found
        lost g1 100 => no grant_not_found
        ",
    );
    for command in [
        "succeed c1",
        "fail c1 user",
        "heartbeat c1 60",
        "refund c1",
        "time_out c1",
        "void g1",
        "lost g1 1",
        "grant promotional 1",
        "update name=New",
        "limits workspace/day=1",
        "alerts 1",
    ] {
        check(&format!("elsewhere {command} => no workspace_not_found"));
    }
}

#[test]
fn a_suspended_workspace_in_debt_still_settles_open_charges() {
    check(
        "
        grant top_up 9_000 origin=pay_1
        charge render x2
        charge render
        update suspended=true
        lost g1 9_000 => taken owed 9000
        balance => 0, pending 9000, debt 9000
        succeed c1 x1 => refunded 3000 partly_used g1:3000, repaid g1:3000, settled 3000
        fail c2 system => refunded 3000 failed_system g1:3000, repaid g1:3000
        charge message => no workspace_suspended
        balance => 0, debt 3000
        ",
    );
}
