//! Lost payments: what is taken, what is owed, what repays it, and what is given back.

use super::check;

#[test]
fn the_disputed_grant_is_drawn_first_then_the_others_in_draw_order() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant promotional 300
        grant adjustment 300
        charge message => charged 500 g2:300 g3:200
        charge message => charged 500 g3:100 g1:400
        grant promotional 100
        grant top_up 50 origin=pay_2
        lost g1 1_000 => taken g1:600 g4:100 g5:50 owed 250
        balance => 0, debt 250
        ",
    );
}

#[test]
fn later_grants_repay_the_oldest_debt_first() {
    check(
        "
        grant top_up 600 origin=pay_1
        grant top_up 400 origin=pay_2
        charge message x2
        lost g1 600 => taken owed 600
        lost g2 400 => taken owed 400
        balance => 0, debt 1000
        grant promotional 700 => granted 700, repaid g3:700
        charge message => no debt_outstanding 300
        grant subscription 500 origin=sub_1:1 => granted 500, repaid g4:300
        balance => 200
        lost g2 0 => given back g4:300 g3:100
        lost g1 0 => given back g3:600
        grants => g1 0/600, g2 0/400, g3 700/700, g4 500/500
        ",
    );
}

#[test]
fn a_won_dispute_gives_back_exactly_what_was_taken_and_forgives_the_rest() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant promotional 200
        charge message => charged 500 g2:200 g1:300
        lost g1 1_000 => taken g1:700 owed 300
        balance => 0, debt 300
        lost g1 0 => given back g1:700 forgiven 300
        balance => 700
        lost g1 0 => unchanged
        balance => 700
        charge message => charged 500 g1:500
        ",
    );
}

#[test]
fn credit_that_comes_back_repays_debt_first() {
    let world = check(
        "
        grant top_up 1_000 origin=pay_1
        grant top_up 200 origin=pay_2
        charge message x2
        charge message x1 await timeout=60 => no insufficient_credits 200 of 500, affords 0
        lost g1 1_000 => taken g2:200 owed 800
        balance => 0, debt 800
        refund c1 300 => refunded 300 requested g1:300, repaid g1:300
        balance => 0, debt 500
        charge message => no debt_outstanding 500
        refund c1 => refunded 700 requested g1:700, repaid g1:500, exchanged g1:200 for g2:200
        balance => 200
        grants => g1 0/1000, g2 200/200
        lost g1 0 => given back g1:1000
        balance => 1200
        ",
    );
    let refunds = world.journal.iter().filter(|(entry, _)| entry.body.state().is_some());
    let answers = refunds.map(|(entry, _)| entry.balance_after_change());
    let answers: Vec<_> = answers.map(|balance| (balance.available.get(), balance.debt.get())).collect();
    assert_eq!(answers, [(200, 0), (0, 500), (200, 0)]);
}

#[test]
fn a_time_out_and_a_won_dispute_repay_the_debt_of_another_dispute() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant top_up 1_000 origin=pay_2
        charge message x2
        charge message x2 await timeout=60
        lost g1 1_000 => taken owed 1000
        lost g2 1_000 => taken owed 1000
        balance => 0, pending 1000, debt 2000
        wait 1m
        time_out c2 => refunded 1000 timed_out g2:1000, repaid g2:1000
        balance => 0, debt 1000
        lost g1 0 => given back g2:1000, repaid g2:1000
        balance => 0
        lost g2 0 => given back g2:1000
        balance => 1000
        ",
    );
}

#[test]
fn credit_that_goes_back_to_a_disputed_grant_replaces_what_was_taken_from_others() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        charge message x2
        grant promotional 700
        grant adjustment 500
        lost g1 1_000 => taken g2:700 g3:300
        balance => 200
        refund c1 400 => refunded 400 requested g1:400, exchanged g1:400 for g3:300 g2:100
        balance => 600
        grants => g1 0/1000, g2 100/700, g3 500/500
        void g2 => voided g2:100
        refund c1 => refunded 600 requested g1:600
        balance => 1100
        lost g1 0 => given back g1:400 g2:600, return taken g2:600
        grants => g1 1000/1000, g2 0/700, g3 500/500
        ",
    );
}

#[test]
fn a_claw_back_has_one_draw_for_each_grant() {
    let mut commands = String::from(
        "
        grant top_up 50_000 origin=pay_1
        ",
    );
    for _ in 0..100 {
        commands += "charge message await timeout=60\n";
    }
    commands += "lost g1 50_000 => taken owed 50000\nbalance => 0, pending 50000, debt 50000\n";
    for charge in 1..=100 {
        commands += &format!("fail c{charge} system\n");
    }
    commands += "balance => 0\nlost g1 0 => given back g1:50000\nbalance => 50000\n";
    check(&commands);
}

#[test]
fn a_restored_dispute_never_takes_the_balance_beyond_its_bound() {
    check(
        "
        grant top_up 9_007_199_254_740_991 origin=pay_1
        lost g1 9_007_199_254_740_991
        grant promotional 1
        lost g1 0 => no invalid_field amount
        void g2
        lost g1 0
        balance => 9007199254740991
        ",
    );
}
