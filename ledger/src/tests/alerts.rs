//! Low-balance alerts: they fire once per crossing, not again within the cooldown, and again after
//! the balance was at or above the threshold (i09).

use super::check;

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
        lost g1 0 => given back g1:1000
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
