//! Low-balance alerts: they fire once per crossing, not again within the cooldown, and again after
//! the balance has recovered (i09). Refused charges are noted once a cooldown, and reached limits
//! once a period.

use super::check;
use super::world::{Output, World};
use crate::{Alert, Command, EntryBody, Kind, Micros, OperationId, RefusedCharge};

#[test]
fn an_alert_fires_when_the_balance_falls_below_its_threshold() {
    check(
        "
        grant promotional 3_000
        alerts 2_500 1_000 2_500 => alerts 1000 2500
        alerts 1_000 2_500 => unchanged
        alerts 1_000 2_500 cooldown=1 => alerts 1000 2500
        alerts 1_000 2_500 => alerts 1000 2500
        charge message => charged 500 g1:500
        charge message => charged 500 g1:500, low 2500
        charge message => charged 500 g1:500
        charge message x2 => charged 1000 g1:1000, low 1000
        ",
    );
}

#[test]
fn an_alert_that_fired_while_a_clock_was_ahead_silences_no_other() {
    check(
        "
        grant promotional 10_000
        alerts 9_800 cooldown=3_600
        wait 400d
        charge message => charged 500 g1:500, low 9800
        back 400d
        grant promotional 1_000
        charge message x2 => charged 1000 g1:1000, low 9800
        grant promotional 1_000
        charge message x2 => charged 1000 g1:1000
        wait 1h
        grant promotional 1_000
        charge message x2 => charged 1000 g1:1000, low 9800
        ",
    );
}

#[test]
fn one_decision_may_cross_several_thresholds() {
    check(
        "
        grant promotional 3_000
        alerts 2_500 1_000
        charge render => charged 3000 g1:3000 due in 60s, low 1000, low 2500
        ",
    );
}

#[test]
fn an_alert_fires_again_after_a_new_crossing_and_the_cooldown() {
    check(
        "
        grant promotional 1_000
        alerts 1_000 cooldown=3_600
        charge message => charged 500 g1:500, low 1000
        refund c1
        charge message => charged 500 g1:500
        wait 1h
        charge message => charged 500 g1:500
        grant promotional 1_000
        charge message => charged 500 g2:500, low 1000
        wait 3599s
        grant promotional 500
        charge message => charged 500 g2:500
        wait 1s
        grant promotional 1_000
        charge message => charged 500 g3:500
        charge message => charged 500 g4:500, low 1000
        ",
    );
}

#[test]
fn every_command_that_takes_credit_can_fire_an_alert() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant promotional 1_000
        alerts 500 1_500 cooldown=0
        void g2 => voided g2:1000, low 1500
        lost g1 1_000 => taken g1:1000, low 500
        lost g1 0 => given back g1:1000, recovered 500
        lost g1 1_000 => taken g1:1000, low 500
        ",
    );
}

#[test]
fn a_grant_that_repays_debt_moves_only_the_rest() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        charge message x2
        lost g1 1_000
        alerts 500 cooldown=0
        grant promotional 1_000 => granted 1000, repaid g2:1000
        grant promotional 700 => granted 700
        charge message => charged 500 g3:500, low 500
        ",
    );
}

#[test]
fn a_threshold_that_stays_keeps_the_time_of_its_alert() {
    check(
        "
        grant promotional 1_000
        alerts 1_000
        charge message => charged 500 g1:500, low 1000
        alerts 1_000 800
        refund c1
        charge message => charged 500 g1:500, low 800
        alerts 800
        alerts 1_000
        refund c2
        charge message => charged 500 g1:500, low 1000
        ",
    );
}

#[test]
fn thresholds_have_bounds() {
    check(
        "
        alerts 0 => no invalid_field amount
        alerts -1 => no invalid_field amount
        alerts 9_007_199_254_740_992 => no invalid_field amount
        alerts 1 2 3 4 5 6 7 8 9 10 11 => no invalid_field thresholds
        alerts 1 cooldown=-1 => no invalid_field cooldown_hours
        alerts 1 cooldown=31_622_401 => no invalid_field cooldown_hours
        alerts 1 2 3 4 5 6 7 8 9 10 cooldown=31_622_400
        alerts => alerts
        ",
    );
}

#[test]
fn a_balance_recovers_five_percent_above_the_threshold_or_by_new_credit() {
    check(
        "
        grant promotional 20_000
        alerts 19_001 cooldown=0
        charge message => charged 500 g1:500
        charge message => charged 500 g1:500, low 19001
        refund c1 => refunded 500 requested g1:500
        charge message => charged 500 g1:500
        refund c2 => refunded 500 requested g1:500
        refund c3 451 => refunded 451 requested g1:451
        refund c3 1 => refunded 1 requested g1:1, recovered 19001
        ",
    );
    check(
        "
        grant promotional 2_000
        alerts 1_000 cooldown=0
        charge message x3 => charged 1500 g1:1500, low 1000
        refund c1 549
        balance => 1049
        grant promotional 1 => granted 1, recovered 1000
        charge message => charged 500 g1:500, low 1000
        grant promotional 449 => granted 449
        grant promotional 1 => granted 1, recovered 1000
        ",
    );
}

#[test]
fn a_recovery_is_written_once_and_only_after_an_alert() {
    check(
        "
        grant promotional 2_000
        alerts 1_000 2_500
        grant promotional 1_000 => granted 1000
        charge message x5 => charged 2500 g1:2000 g2:500, low 1000, low 2500
        grant promotional 600 => granted 600, recovered 1000
        grant promotional 1_400 => granted 1400, recovered 2500
        grant promotional 1_000 => granted 1000
        ",
    );
}

#[test]
fn a_threshold_above_the_balance_waits_until_the_balance_was_above_it() {
    check(
        "
        grant promotional 2_000
        alerts 5_000
        charge message => charged 500 g1:500
        check => unchanged
        grant promotional 4_000 => granted 4000
        charge message x2 => charged 1000 g1:1000, low 5000
        ",
    );
}

#[test]
fn a_fall_that_the_cooldown_silenced_fires_after_it() {
    check(
        "
        grant promotional 1_000
        alerts 1_000 cooldown=3_600
        charge message => charged 500 g1:500, low 1000
        grant promotional 1_000 => granted 1000, recovered 1000
        charge message x2 => charged 1000 g1:500 g2:500
        wait 3599s
        check => unchanged
        wait 1s
        check => low 1000
        check => unchanged
        ",
    );
    check(
        "
        grant promotional 1_000
        alerts 1_000 cooldown=3_600
        charge message => charged 500 g1:500, low 1000
        grant promotional 1_500 => granted 1500, recovered 1000
        charge message x3 => charged 1500 g1:500 g2:1000
        wait 1h
        charge message => charged 500 g2:500, low 1000
        ",
    );
}

#[test]
fn a_fall_that_the_cooldown_silenced_does_not_fire_if_credit_came() {
    check(
        "
        grant promotional 1_000
        alerts 1_000 cooldown=3_600
        charge message => charged 500 g1:500, low 1000
        grant promotional 1_000 => granted 1000, recovered 1000
        charge message x2 => charged 1000 g1:500 g2:500
        grant promotional 1_000 => granted 1000
        wait 1h
        charge message => charged 500 g2:500
        charge message => charged 500 g3:500, low 1000
        ",
    );
}

#[test]
fn days_of_runway_are_checked_against_what_they_need() {
    check(
        "
        grant promotional 10_000
        alerts 30d 7d 500 => alerts 500 7d 30d
        check 7d=9_000 30d=10_000 => unchanged
        charge message => charged 500 g1:500
        check 7d=9_500 30d=9_501 => low 30d=9501
        check 7d=9_500 30d=9_800 => unchanged
        check 30d=9_048 => unchanged
        check 30d=9_047 => recovered 30d=9047
        check 30d=9_501 => unchanged
        wait 1d
        check 30d=9_501 7d=9_600 => low 7d=9600, low 30d=9501
        grant promotional 50 => granted 50, recovered 30d=9501
        grant promotional 50 => granted 50, recovered 7d=9600
        ",
    );
}

#[test]
fn a_refund_is_no_new_credit_for_days_of_runway() {
    check(
        "
        grant promotional 10_000
        alerts 7d
        charge message x10
        check 7d=6_000 => low 7d=6000
        refund c1 4_000
        check 7d=8_600 => unchanged
        check 7d=8_572 => unchanged
        check 7d=8_571 => recovered 7d=8571
        ",
    );
}

#[test]
fn a_check_needs_amounts_in_range_and_knows_only_the_days_that_are_set() {
    check(
        "
        check => unchanged
        alerts 0d => no invalid_field runway_days
        alerts 366d => no invalid_field runway_days
        alerts 365d 1d
        check 7d=5_000 => unchanged
        check 365d=-1 => no invalid_field lines
        check 365d=9_007_199_254_740_992 => no invalid_field lines
        check 1d=0 365d=9_007_199_254_740_991 => low 365d=9007199254740991
        join ada admin
        new_key manage
        check 1d=9 by=k1 => no forbidden
        refused message 500 0 by=ada => no forbidden
        reached workspace/day by=ada => no forbidden
        ",
    );
}

#[test]
fn a_balance_that_hovers_gives_one_alert_per_cooldown() {
    let mut world = check("grant promotional 100_000\nalerts 50_000 cooldown=86_400\ncharge message x100");
    let line = 50_000;
    let mut alerts = 0;
    for step in 0..1_000_u64 {
        world.now = world.now.plus_seconds(600);
        let available = world.account.balance.available.get();
        // A walk around the line, with small grants and refunds back and forth.
        let command = match step % 7 {
            _ if available >= line => "charge message x2",
            0..=2 => "grant promotional 700",
            _ => "refund c1 10",
        };
        let Output::Wrote(entries) = world.run(super::script::command_of(&world, command), None) else {
            panic!("{command} is accepted");
        };
        alerts += entries.iter().filter(|entry| entry.body.kind() == Kind::BalanceLow).count();
    }
    let days = 1_000 * 600 / 86_400;
    assert!((days..=days + 1).contains(&alerts), "{alerts} alerts in {days} days");
    world.rebuild();
}

fn notices(world: &World) -> Vec<&RefusedCharge> {
    let notices = world.journal.iter().filter_map(|(entry, _)| match &entry.body {
        EntryBody::Alert(Alert::Refused(refused)) => Some(&**refused),
        _ => None,
    });
    notices.collect()
}

#[test]
fn ten_thousand_refusals_are_one_entry_a_cooldown() {
    let mut world = check("grant promotional 100");
    let operation = OperationId::known("message");
    let (required, available) = (Micros::new(500), Micros::new(100));
    for refusals in 1..=10_000 {
        let refused = RefusedCharge { operation: operation.clone(), required, available, refusals };
        world.run(Command::NoteRefused(refused), None);
    }
    assert_eq!(notices(&world).len(), 1);
    assert_eq!(notices(&world)[0].shortfall(), Micros::new(400));
    world.now = world.now.plus_seconds(86_400);
    let refused = RefusedCharge { operation, required, available, refusals: 10_000 };
    world.run(Command::NoteRefused(refused), None);
    assert_eq!(notices(&world).last().map(|refused| refused.refusals), Some(10_000));
    world.rebuild();
}

#[test]
fn a_refused_charge_is_noted_once_an_hour_at_the_most() {
    check(
        "
        alerts cooldown=0
        refused message 500 499 => refused message lacks 1 x1
        wait 3599s
        refused message 500 499 => unchanged
        wait 1s
        refused render 3_000 0 x8 => refused render lacks 3000 x8
        alerts cooldown=7_200
        wait 1h
        refused message 500 0 => unchanged
        wait 1h
        refused message 500 0 => refused message lacks 500 x1
        refused message 500 500 => no invalid_field required
        refused message 500 -1 => no invalid_field required
        refused message 500 0 x0 => no invalid_field required
        ",
    );
}

#[test]
fn a_limit_is_noted_once_a_period() {
    check(
        "
        grant promotional 9_000
        limits workspace/day=1_000 worker:w/month=500
        reached workspace/day => reached 1000 until in 86400s
        reached workspace/day => unchanged
        reached worker:w/month => reached 500 until in 1728000s
        reached member:ada/day => unchanged
        wait 1d
        reached workspace/day => reached 1000 until in 86400s
        reached worker:w/month => unchanged
        limits workspace/day=2_000
        reached workspace/day => unchanged
        limits
        limits workspace/day=2_000
        reached workspace/day => reached 2000 until in 86400s
        ",
    );
}

#[test]
fn a_notice_is_followed_by_an_alert_whose_cooldown_has_ended() {
    check(
        "
        grant promotional 1_000
        alerts 1_000 cooldown=3_600
        charge message => charged 500 g1:500, low 1000
        grant promotional 500 => granted 500, recovered 1000
        charge message x2 => charged 1000 g1:500 g2:500
        wait 1h
        refused message 500 0 => refused message lacks 500 x1, low 1000
        ",
    );
}
