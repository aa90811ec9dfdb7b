//! Lost payments: what is taken, what is owed, what repays it, and what a won dispute gives back.

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
        claw_back g1 1_000 dispute=d1 => taken g1:600 g4:100 g5:50
        balance => 0, debt 250
        ",
    );
}

#[test]
fn no_more_is_clawed_back_than_the_grants_amount() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        claw_back g1 0 dispute=d1 => no invalid_field amount
        claw_back g1 -1 dispute=d1 => no invalid_field amount
        claw_back g1 1_001 dispute=d1 => no invalid_field amount
        claw_back g1 400 dispute=d1 => taken g1:400
        claw_back g1 400 dispute=d1 => replay
        claw_back g1 401 dispute=d1 => no idempotency_key_reused amount
        claw_back g1 600 dispute=d2 => taken g1:600
        balance => 0
        ",
    );
}

#[test]
fn later_grants_repay_the_oldest_debt_first() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        charge message x2
        claw_back g1 600 dispute=d1 => taken
        claw_back g1 400 dispute=d2 => taken
        balance => 0, debt 1000
        grant promotional 700 => granted 700, repaid g2:700
        charge message => no debt_outstanding 300
        grant subscription 500 origin=sub_1:1 => granted 500, repaid g3:300
        balance => 200
        restore dispute=d2 => restored g2:100 g3:300
        restore dispute=d1 => restored g2:600
        grants => g1 0/1000, g2 700/700, g3 500/500
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
        claw_back g1 1_000 dispute=d1 => taken g1:700
        balance => 0, debt 300
        restore dispute=d1 => restored g1:700
        balance => 700
        restore dispute=d1 => replay
        claw_back g1 1_000 dispute=d1 => replay
        balance => 700
        charge message => charged 500 g1:500
        ",
    );
}

#[test]
fn a_refund_while_in_debt_is_available_but_not_spendable() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        charge message x2
        claw_back g1 1_000 dispute=d1 => taken
        refund c1
        balance => 1000, debt 1000
        charge message => no debt_outstanding 1000
        restore dispute=d1 => restored
        charge message => charged 500 g1:500
        ",
    );
}

#[test]
fn a_restored_dispute_never_takes_the_balance_beyond_its_bound() {
    check(
        "
        grant top_up 9_007_199_254_740_991 origin=pay_1
        claw_back g1 9_007_199_254_740_991 dispute=d1
        grant promotional 1
        restore dispute=d1 => no invalid_field amount
        void g2
        restore dispute=d1
        balance => 9007199254740991
        ",
    );
}
