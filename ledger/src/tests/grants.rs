//! Grants: the order in which they are drawn, how refunds return to them, and what grants credit
//! only once.

use super::check;

#[test]
fn promotional_credit_is_drawn_first_and_bought_credit_last() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant subscription 1_000 origin=sub_1:2026-01
        grant adjustment 1_000
        grant promotional 1_000
        grant subscription 1_000 origin=sub_1:2026-02
        grant promotional 1_000
        charge message x3 => charged 1500 g4:1000 g6:500
        charge message x4 => charged 2000 g6:500 g3:1000 g2:500
        charge message x5 => charged 2500 g2:500 g5:1000 g1:1000
        balance => 0
        ",
    );
}

#[test]
fn refunds_return_to_their_grants_and_bought_credit_first() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant subscription 1_000 origin=sub_1:2026-01
        grant promotional 1_000
        charge message x5 => charged 2500 g3:1000 g2:1000 g1:500
        grant promotional 9_000
        refund c1 200 => refunded 200 requested g1:200
        refund c1 700 => refunded 700 requested g1:300 g2:400
        fail c1 system => refunded 1600 failed_system g2:600 g3:1000
        grants => g1 1000/1000, g2 1000/1000, g3 1000/1000, g4 9000/9000
        ",
    );
}

#[test]
fn a_partly_used_charge_keeps_the_first_draws() {
    check(
        "
        grant top_up 1_000 origin=pay_1
        grant promotional 1_000
        charge message x4 await => charged 2000 g2:1000 g1:1000 due in 900s
        succeed c1 x1 => refunded 1500 partly_used g1:1000 g2:500, settled 500
        grants => g1 1000/1000, g2 500/1000
        ",
    );
}

#[test]
fn a_payment_or_period_grants_credit_once() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=1
        grant top_up 1_000 origin=pay_1 paid=1 => replay
        grant top_up 1_000 origin=pay_1 paid=1 key=another => replay
        grant top_up 2_000 origin=pay_1 => no idempotency_key_reused amount
        grant subscription 1_000 origin=pay_1 => granted 1000
        grant subscription 1_000 origin=sub_1:2026-01
        grant subscription 1_000 origin=sub_1:2026-01 => replay
        grant subscription 1_000 origin=sub_1:2026-02 => granted 1000
        grant top_up 1_000 => no invalid_field source
        grant subscription 1_000 => no invalid_field source
        balance => 4000
        ",
    );
}

#[test]
fn a_balance_stays_exact_in_every_json_reader() {
    check(
        "
        grant promotional 0 => no invalid_field amount
        grant promotional -1 => no invalid_field amount
        grant promotional 9_007_199_254_740_992 => no invalid_field amount
        grant promotional 9_223_372_036_854_775_807 => no invalid_field amount
        grant promotional 9_007_199_254_740_991
        grant promotional 1 => no invalid_field amount
        charge message
        charge message await => charged 500 g1:500 due in 900s
        grant promotional 501 => no invalid_field amount
        grant promotional 500 => granted 500
        refund c1 => no invalid_field amount
        fail c1 system => no invalid_field amount
        fail c2 system => refunded 500 failed_system g1:500
        void g2
        refund c1 => refunded 500 requested g1:500
        void g1
        grant promotional 9_007_199_254_740_991
        balance => 9007199254740991
        ",
    );
}

#[test]
fn voiding_takes_back_what_is_unspent() {
    check(
        "
        grant promotional 1_000
        grant top_up 500 origin=pay_1
        charge message
        void g1 => voided g1:500
        balance => 500
        void g1 => unchanged
        void g2 => no grant_was_paid
        balance => 500
        ",
    );
}

#[test]
fn credit_that_goes_back_to_a_voided_grant_is_taken_at_once() {
    let world = check(
        "
        grant promotional 700
        grant adjustment 1_000
        charge message x2 await timeout=60 => charged 1000 g1:700 g2:300 due in 60s
        charge message x1 await => charged 500 g2:500 due in 900s
        wait 1s
        void g1 key=v => voided g1:0
        grants => g1 0/700, g2 200/1000
        refund c2 key=r
        balance => 700, pending 1000
        wait 1m
        time_out c1 => refunded 1000 timed_out g2:300 g1:700, return taken g1:700
        balance => 1000
        grants => g1 0/700, g2 1000/1000
        void g1 key=v => replay
        void g1 key=w => unchanged
        ",
    );
    let refund = world.journal.iter().map(|(entry, _)| entry).rfind(|entry| entry.body.state().is_some());
    let refund = refund.expect("the charge was refunded");
    assert_eq!(refund.balance.available.get(), 1_700, "after the refund's own entry");
    assert_eq!(refund.balance_after_change(), world.account.balance, "what the refund answers");
}

#[test]
fn a_partly_used_charge_gives_nothing_back_to_a_voided_grant() {
    check(
        "
        grant promotional 1_000
        charge message x2 await
        void g1 => voided g1:0
        succeed c1 x1 => refunded 500 partly_used g1:500, return taken g1:500, settled 500
        balance => 0
        refund c1 => refunded 500 requested g1:500, return taken g1:500
        balance => 0
        ",
    );
}

#[test]
fn totals_are_bounded_and_never_overflow() {
    let mut world = check("prices dear=9_000_000_000");
    let run = |world: &mut crate::tests::World, line: &str| super::script::run(world, line);
    for turn in 0..600 {
        let granted = run(&mut world, "grant promotional 9_000_000_000_000_000");
        if granted.starts_with("no ") {
            assert_eq!((granted.as_str(), turn), ("no invalid_field amount", 256));
            return;
        }
        let charged = run(&mut world, "charge dear x1000000");
        assert!(charged.starts_with("charged"), "{charged}");
    }
    panic!("the totals have no bound");
}

#[test]
fn refunds_do_not_make_a_total_overflow() {
    let mut world = check("prices dear=9_000_000_000\ngrant promotional 9_000_000_000_000_000");
    for turn in 1..1_100 {
        let charged = super::script::run(&mut world, "charge dear x1000000");
        if charged.starts_with("no ") {
            assert_eq!((charged.as_str(), turn), ("no invalid_field quantity", 257));
            return;
        }
        let refunded = super::script::run(&mut world, &format!("refund c{turn}"));
        assert!(refunded.starts_with("refunded"), "{refunded}");
    }
    panic!("the totals have no bound");
}

#[test]
fn a_workspace_holds_at_most_a_thousand_open_grants_for_free() {
    let mut world = check("grant top_up 1 origin=pay_0");
    for _ in 1..1_000 {
        super::script::run(&mut world, "grant promotional 1");
    }
    let refused = "no invalid_field source";
    assert_eq!(super::script::run(&mut world, "grant promotional 1"), refused);
    assert_eq!(super::script::run(&mut world, "grant adjustment 1"), refused);
    assert_eq!(super::script::run(&mut world, "grant top_up 1 origin=pay_1"), "granted 1");
    assert_eq!(super::script::run(&mut world, "charge message"), "charged 500".to_owned() + &draws(500));
    assert_eq!(super::script::run(&mut world, "grant promotional 1"), "granted 1");
}

/// The draws of one micro-unit each from the grants after the first.
fn draws(count: usize) -> String {
    (2..count + 2).map(|number| format!(" g{number}:1")).collect()
}
