//! Saved cards, and the credit that is bought with them by itself.

use super::script::card;
use super::world::World;
use super::{check, script};
use crate::{
    AutoTopUp, AutoTopUpState, Card, CardChange, Customer, PaymentChange, Payments, Provider, StopReason,
    TopUpFailure, TopUpId, TopUpStatus, TopUpWay, Violation,
};

/// A workspace with a card that buys 1,000 micro-units (1 cent) below 1,000, at most 3 cents a
/// month.
const CARD_AND_RULE: &str = "
    customer cus_1
    card pm_1
    grant promotional 1_500
    rule 1_000 1 3 => set
    ";

fn with_rule(script: &str) -> World {
    let world = check(&format!("{CARD_AND_RULE}{script}"));
    world.rebuild();
    world
}

fn payments(world: &World) -> &Payments {
    world.account.payments.as_deref().expect("there is a card")
}

#[test]
fn a_charge_that_ends_below_the_threshold_opens_one_top_up() {
    let world = with_rule(
        "
        charge message => charged 500 g1:500
        charge message => charged 500 g1:500, automatic top-up of 1 cents
        charge message => charged 500 g1:500
        charge message => no insufficient_credits 0 of 500, affords 0
        confirm t1 => no invalid_field top_up
        paid t1 pi_1 1 => granted 1000, paid
        charge message => charged 500 g2:500, automatic top-up of 1 cents
        ",
    );
    let [first, second] = &payments(&world).top_ups[..] else { panic!("two were opened") };
    assert_eq!((first.way, first.status), (TopUpWay::Automatic, TopUpStatus::Succeeded));
    assert_eq!(second.status, TopUpStatus::Pending);
    assert_eq!(first.id.0, world.charges[1].details.id.0, "its id is that of its charge");
}

#[test]
fn a_repeated_charge_opens_no_second_top_up_and_alerts_come_after_it() {
    with_rule(
        "
        alerts 600
        charge message x2 key=a => charged 1000 g1:1000, automatic top-up of 1 cents, low 600
        charge message x2 key=a => replay
        ",
    );
}

#[test]
fn the_sum_of_a_month_stays_within_its_cap_and_begins_anew_with_the_month() {
    // Day 100 is the eleventh of a month of thirty days in UTC.
    with_rule(
        "
        update timezone=UTC+10
        charge message x3 => charged 1500 g1:1500, automatic top-up of 1 cents
        paid t1 pi_1 1
        charge message x2 => charged 1000 g2:1000, automatic top-up of 1 cents
        unpaid t2 declined => declined, paused until in 3600s
        grant promotional 500
        wait 1h
        charge message => charged 500 g3:500, automatic top-up of 1 cents
        paid t3 pi_3 1
        charge message x2 => charged 1000 g4:1000, automatic top-up of 1 cents
        paid t4 pi_4 1
        charge message => charged 500 g5:500
        wait 19d
        charge message => charged 500 g5:500
        grant promotional 1_000
        wait 12h
        charge message => charged 500 g6:500
        wait 1h
        charge message => charged 500 g6:500, automatic top-up of 1 cents
        ",
    );
}

#[test]
fn a_card_that_is_declined_again_and_again_is_charged_three_times() {
    let world = with_rule(
        "
        grant promotional 9_000
        charge message x20 => charged 10000 g1:1500 g2:8500, automatic top-up of 1 cents
        unpaid t1 declined => declined, paused until in 3600s
        unpaid t1 declined => unchanged
        buy => unchanged
        wait 3599s
        buy => unchanged
        wait 1s
        buy => automatic top-up of 1 cents
        buy => unchanged
        unpaid t2 declined => declined, paused until in 86400s
        wait 1d
        charge message => charged 500 g2:500, automatic top-up of 1 cents
        unpaid t3 declined => declined, stopped: declined
        wait 30d
        buy => unchanged
        rule 1_000 1 3 => set
        buy => automatic top-up of 1 cents
        unpaid t4 declined => declined, paused until in 3600s
        ",
    );
    assert_eq!(payments(&world).top_ups.len(), 4);
}

#[test]
fn a_rule_that_is_deleted_and_set_again_keeps_its_pause_and_its_declines() {
    with_rule(
        "
        charge message x3
        unpaid t1 declined => declined, paused until in 3600s
        stop => stopped: requested
        rule 1_000 1 3 => set
        buy => unchanged
        wait 1h
        buy => automatic top-up of 1 cents
        unpaid t2 declined => declined, paused until in 86400s
        stop
        rule 1_000 1 3
        wait 23h
        buy => unchanged
        wait 1h
        buy => automatic top-up of 1 cents
        unpaid t3 declined => declined, stopped: declined
        rule 1_000 1 3
        buy => automatic top-up of 1 cents
        unpaid t4 declined => declined, paused until in 3600s
        ",
    );
}

#[test]
fn a_success_ends_a_row_of_declines_and_a_late_payment_still_grants() {
    with_rule(
        "
        charge message x3
        unpaid t1 declined
        wait 1h
        buy
        unpaid t2 declined => declined, paused until in 86400s
        paid t2 pi_2 1 => granted 1000, paid
        charge message => charged 500 g2:500, automatic top-up of 1 cents
        unpaid t3 declined => declined, paused until in 3600s
        paid t1 pi_1 1 => granted 1000, paid
        unpaid t1 declined => unchanged
        unpaid t9 declined => no top_up_not_found
        ",
    );
}

#[test]
fn what_a_card_cannot_pay_at_all_stops_automatic_top_ups_at_once() {
    for (failure, then) in [
        ("declined_for_good", "stopped: declined"),
        ("authentication_needed", "stopped: authentication_needed"),
        ("not_paid", "paused until in 86400s"),
        ("refused_by_provider", "paused until in 86400s"),
    ] {
        with_rule(&format!("charge message x3\nunpaid t1 {failure} => {failure}, {then}\nbuy => unchanged"));
    }
}

#[test]
fn a_card_that_goes_takes_automatic_top_ups_with_it() {
    let world = with_rule(
        "
        no_card pm_2 => unchanged
        no_card pm_1 => payment_method.removed, stopped: payment_method_removed
        no_card => unchanged
        charge message x3 => charged 1500 g1:1500
        rule 1_000 1 3 => no payment_method_required
        card pm_1 => payment_method.saved
        buy => unchanged
        rule 1_000 1 3 => set
        card pm_1 => unchanged
        card pm_2 => payment_method.saved
        buy => automatic top-up of 1 cents
        customer cus_2 replaces=cus_1 => customer.linked, stopped: payment_method_removed
        ",
    );
    assert_eq!(payments(&world).card, None, "a card of another customer is gone");
}

#[test]
fn two_callers_that_create_a_customer_link_one() {
    let world = check(
        "
        card pm_1 => no invalid_field card
        no_card => unchanged
        customer cus_2 replaces=cus_1 => unchanged
        customer cus_1 => customer.linked
        customer cus_2 => unchanged
        customer cus_1 => unchanged
        customer cus_3 replaces=cus_2 => unchanged
        customer cus_3 replaces=cus_1 => customer.linked
        ",
    );
    let customer = Customer { provider: Provider::Stripe, id: "cus_3".into() };
    assert_eq!(payments(&world).customer.as_ref(), Some(&customer));
}

#[test]
fn a_charge_that_is_refused_for_lack_of_credit_says_that_credit_can_be_bought() {
    with_rule(
        "
        charge message x4 => no insufficient_credits 1500 of 2000, affords 3
        charge message x3 => charged 1500 g1:1500, automatic top-up of 1 cents
        charge message => no insufficient_credits 0 of 500, affords 0
        unpaid t1 not_paid
        charge message => no insufficient_credits 0 of 500, affords 0
        wait 1d
        charge message => no insufficient_credits 0 of 500, affords 0, buys
        buy => automatic top-up of 1 cents
        charge message => no insufficient_credits 0 of 500, affords 0
        ",
    );
}

#[test]
fn debt_suspension_and_a_stop_keep_the_card_from_being_charged() {
    with_rule(
        "
        grant top_up 1_000 origin=pay_1 paid=1
        charge message x3 => charged 1500 g1:1500
        lost g2 1
        buy => automatic top-up of 1 cents
        paid t1 pi_1 1
        charge message x2 => charged 1000 g3:1000, automatic top-up of 1 cents
        unpaid t2 not_paid
        wait 1d
        loss t1 1 => lost 1 cents, taken owed 1000
        buy => unchanged
        loss t1 0
        update suspended=true
        buy => unchanged
        update suspended=false
        stop disputed => stopped: disputed
        stop => unchanged
        buy => unchanged
        ",
    );
}

#[test]
fn a_rule_that_cannot_close_its_gap_is_refused() {
    with_rule(
        "
        rule 1_001 1 3 => no invalid_field amount_usd
        rule 0 1 3 => no invalid_field threshold
        rule 1_000 2 1 => no invalid_field monthly_cap_usd
        rule 1_000 1 9_007_199_254_741 => no invalid_field monthly_cap_usd
        rule 1_000 0 3 => no invalid_field 1 to 99999999 cents
        rule 1_000 4 9 min=5 max=7 => no invalid_field 5 to 7 cents
        rule 1_000 1 3 => unchanged
        rule 2_000 2 3 => set
        elsewhere rule 1_000 1 3 => no workspace_not_found
        elsewhere buy => no workspace_not_found
        ",
    );
}

#[test]
fn a_pause_stays_although_the_rule_is_set_again() {
    let world = with_rule(
        "
        charge message x3
        unpaid t1 declined
        rule 2_000 2 3 => set
        buy => unchanged
        ",
    );
    let rule = payments(&world).auto_top_up.as_ref().expect("it was set");
    assert_eq!((rule.soft_declines, rule.is_ready(world.now)), (1, false));
    assert!(rule.is_ready(world.now.plus_seconds(3_600)));
}

#[test]
fn only_the_platform_reports_what_the_provider_says() {
    check(
        "
        join ada admin
        new_key manage
        customer cus_1 by=k1 => no forbidden
        customer cus_1
        card pm_1 by=ada => no forbidden
        card pm_1
        rule 1_000 1 3 by=k1 => set
        buy by=ada => automatic top-up of 1 cents
        unpaid t1 declined by=ada => no forbidden
        stop declined by=k1 => no forbidden
        stop by=k1 => stopped: requested
        no_card pm_2 by=ada => unchanged
        no_card by=ada => payment_method.removed
        ",
    );
}

#[test]
fn entries_that_buy_more_than_the_rule_break_an_invariant() {
    let world = with_rule("");
    let rule = payments(&world);
    let opened = |cents| PaymentChange::TopUpOpened {
        top_up: TopUpId(world.grants[0].id.0),
        cents,
        way: TopUpWay::Automatic,
    };
    let apply = |payments: &Payments, cents| payments.clone().apply(&opened(cents), None, world.now);
    assert_eq!(apply(rule, 1), Ok(()));
    let refused = |payments: Payments, cents, why| {
        assert_eq!(apply(&payments, cents), Err(Violation(why)));
    };
    refused(rule.clone(), 2, "i14: an automatic top-up is of another size than the rule's");
    refused(Payments { card: None, ..rule.clone() }, 1, "i14: an automatic top-up is opened without a card");
    refused(
        Payments { auto_top_up: None, ..rule.clone() },
        1,
        "i14: an automatic top-up is opened without a rule",
    );
    let in_state = |state| {
        let auto_top_up = rule.auto_top_up.clone().map(|rule| AutoTopUp { state, ..rule });
        Payments { auto_top_up, ..rule.clone() }
    };
    let paused = in_state(AutoTopUpState::Paused { until: world.now.plus_seconds(1) });
    refused(paused, 1, "i14: an automatic top-up is opened in a pause");
    let stopped = in_state(AutoTopUpState::Stopped { why: StopReason::Disputed });
    refused(stopped, 1, "i14: an automatic top-up is opened without a rule");
    let pending = with_rule("charge message x3");
    refused(
        payments(&pending).clone(),
        1,
        "i14: a second automatic top-up is opened before the first was paid",
    );
    let failed = PaymentChange::TopUpFailed { top_up: pending.top_ups[0], failure: TopUpFailure::NotPaid };
    let mut twice = payments(&pending).clone();
    assert_eq!(twice.apply(&failed, None, pending.now), Ok(()));
    assert!(twice.apply(&failed, None, pending.now).is_err(), "it failed already");
}

#[test]
fn payments_that_contradict_each_other_are_neither_stored_nor_read() {
    let world = with_rule("");
    let without_card = Payments { card: None, ..payments(&world).clone() };
    assert!(std::panic::catch_unwind(|| without_card.encode(&mut Vec::new())).is_err());
    let mut bytes = Vec::new();
    payments(&world).encode(&mut bytes);
    for damaged in
        [[&bytes[..], &[1]].concat(), [&bytes[..], &[9]].concat(), bytes[..bytes.len() - 1].to_vec()]
    {
        assert!(Payments::decode(Some(&damaged)).is_err(), "{damaged:?}");
    }
    let no_payments = Payments::default();
    bytes.clear();
    no_payments.encode(&mut bytes);
    assert_eq!(bytes, [1, 0], "a section that says nothing is not written");
}

#[test]
fn a_card_is_what_a_person_recognises_it_by_and_no_number() {
    let mut world = check("customer cus_1");
    let wrong = [
        Card { last4: "4242424242424242".into(), ..card("pm_1") },
        Card { last4: "42x2".into(), ..card("pm_1") },
        Card { expires_month: 13, ..card("pm_1") },
        Card { expires_year: 30, ..card("pm_1") },
        Card { brand: "v".repeat(33).into(), ..card("pm_1") },
        card(""),
        card("pm 1\n"),
    ];
    for card in wrong {
        assert!(!card.is_well_formed(), "{card:?}");
        let change = PaymentChange::Card(CardChange::Saved(card.clone()));
        assert!(payments(&world).clone().apply(&change, None, world.now).is_ok(), "only its form is wrong");
        let command =
            crate::Command::Payment(crate::PaymentCommand::Card(crate::CardCommand::SaveCard(card)));
        let refused = world.run(command, None);
        assert!(matches!(
            refused,
            super::world::Output::No(crate::Refusal::InvalidField { field: "card", .. })
        ));
    }
    assert_eq!(script::run(&mut world, "card pm_1"), "payment_method.saved");
}
