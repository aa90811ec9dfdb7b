//! Top-ups that are paid at a payment provider: its words come twice, late and in any order, and
//! credit is granted once, for money and for nothing else.

use super::check;
use super::script::output_of;
use super::world::{Output, World};
use crate::{EntryBody, Kind, PaymentChange, Payments, ProviderCall, ProviderChange, TopUpStatus, Violation};

#[test]
fn a_top_up_is_placed_and_paid_once_with_its_tax() {
    let world = check(
        "
        checkout 2_500 key=a => checkout top-up of 2500 cents
        checkout 2_500 key=a => replay
        top_up 2_500 key=a => replay
        placed t1 cs_1 => placed cs_1
        placed t1 cs_1 => unchanged
        placed t1 cs_2 => unchanged
        balance => 0
        paid t1 pi_1 2_500 tax=475 => granted 2500000, paid with 475 tax
        paid t1 pi_1 2_500 tax=475 => replay
        placed t1 cs_3 => unchanged
        unpaid t1 declined => unchanged
        balance => 2500000
        ",
    );
    let payments = world.account.payments.as_deref().expect("there is a top-up");
    let [top_up] = &payments.top_ups[..] else { panic!("{payments:?}") };
    assert_eq!((top_up.status, top_up.payment.as_deref()), (TopUpStatus::Succeeded, Some("stripe:pi_1")));
    assert_eq!((top_up.at_provider.reference.as_deref(), top_up.at_provider.tax_cents), (Some("cs_1"), 475));
    assert_eq!(payments.top_up_of_reference("cs_1").map(|found| found.id), Some(top_up.id));
    let granted = world.journal.iter().find(|(entry, _)| entry.body.kind() == Kind::Granted);
    let EntryBody::Granted { reason, paid_cents, .. } = &granted.expect("it was granted").0.body else {
        unreachable!("it is of this kind")
    };
    assert_eq!((reason.as_deref(), *paid_cents), (Some(&*format!("top-up {}", top_up.id)), 2_500));
}

#[test]
fn money_that_came_in_is_granted_also_after_a_failure_and_before_the_page_is_known() {
    check(
        "
        checkout 500
        unpaid t1 not_paid => not_paid
        placed t1 cs_1 => unchanged
        paid t1 pi_1 500 => granted 500000, paid
        checkout 500
        paid t2 pi_2 500 => granted 500000, paid
        placed t2 cs_2 => unchanged
        balance => 1000000
        ",
    );
}

#[test]
fn a_page_that_is_over_expires_its_top_up_once_and_money_that_comes_later_grants() {
    let mut world = check(
        "
        checkout 500
        placed t1 cs_1 => placed cs_1
        page_over t1 => expired
        page_over t1 => unchanged
        unpaid t1 not_paid => unchanged
        expire t1 => unchanged
        paid t1 pi_1 500 => granted 500000, paid
        page_over t1 => unchanged
        checkout 500
        page_over t2 => expired
        checkout 500
        unpaid t3 not_paid => not_paid
        page_over t3 => unchanged
        top_up 500
        page_over t4 => unchanged
        page_over t9 => no top_up_not_found
        join ada admin
        page_over t4 by=ada => no forbidden
        balance => 500000
        ",
    );
    let statuses = |world: &World| {
        let payments = world.account.payments.as_deref().expect("there are top-ups");
        payments.top_ups.iter().map(|top_up| top_up.status).collect::<Vec<_>>()
    };
    let expected = [TopUpStatus::Succeeded, TopUpStatus::Expired, TopUpStatus::Failed, TopUpStatus::Pending];
    assert_eq!(statuses(&world), expected);
    // An automatic top-up has no page: only the answer of its payment ends it.
    world = check(
        "
        customer cus_1
        card pm_1
        grant promotional 1_500
        rule 1_000 1 3
        charge message x2
        page_over t1 => unchanged
        expire t1 => unchanged
        ",
    );
    assert_eq!(statuses(&world), [TopUpStatus::Pending]);
}

#[test]
fn money_that_does_not_fit_grants_nothing() {
    check(
        "
        checkout 500
        checkout 500
        top_up 500
        paid t1 pi_1 499 => no payment_unmatched
        paid t1 pi_1 501 => no payment_unmatched
        paid t1 pi_1 500 tax=-1 => no payment_unmatched
        paid t3 pi_1 500 => no payment_unmatched
        paid t9 pi_1 500 => no top_up_not_found
        placed t9 cs_1 => no top_up_not_found
        balance => 0
        paid t1 pi_1 500 => granted 500000, paid
        paid t1 pi_2 500 => no payment_unmatched
        paid t1 pi_1 501 => no idempotency_key_reused cents
        balance => 500000
        placed t2 cs_1 => placed cs_1
        placed t3 cs_2 => unchanged
        checkout 500
        placed t4 cs_1 => no invalid_field reference
        confirm t2 => no invalid_field top_up
        balance => 500000
        ",
    );
}

#[test]
fn a_call_is_begun_anew_once_for_each_one_that_was_lost() {
    let world = check(
        "
        checkout 500
        renew t1 0 => call 1
        renew t1 0 => unchanged
        renew t1 2 => unchanged
        renew t1 1 => call 2
        placed t1 cs_1 => placed cs_1
        renew t1 2 => unchanged
        top_up 500
        renew t2 0 => unchanged
        renew t9 0 => no top_up_not_found
        ",
    );
    let payments = world.account.payments.as_deref().expect("there are top-ups");
    let known = &payments.top_ups[0].at_provider;
    assert_eq!((known.generation, known.renewed_at), (2, Some(world.now)));
}

#[test]
fn only_the_platform_speaks_for_a_provider() {
    check(
        "
        join ada admin
        new_key manage
        checkout 500 by=ada
        checkout 500 by=k1
        placed t1 cs_1 by=ada => no forbidden
        paid t1 pi_1 500 by=k1 => no forbidden
        renew t1 0 by=ada => no forbidden
        balance => 0
        ",
    );
}

#[test]
fn what_a_provider_says_twice_or_of_nothing_breaks_an_invariant() {
    let world = check("checkout 500\ncheckout 500\nplaced t1 cs_1\ntop_up 500");
    let payments = world.account.payments.as_deref().expect("there are top-ups").clone();
    let [one, two, three] = [0, 1, 2].map(|index| world.top_ups[index]);
    let apply = |change| payments.clone().apply(&PaymentChange::Provider(change), None, world.now);
    let placed =
        |top_up, reference: &str| ProviderChange::TopUpPlaced { top_up, reference: reference.into() };
    let renewed =
        |top_up, generation| ProviderChange::CallRenewed { call: ProviderCall::TopUp(top_up), generation };
    let unexpected = "a top-up is placed that does not wait for it";
    for (change, why) in [
        (placed(one, "cs_2"), unexpected),
        (placed(three, "cs_2"), unexpected),
        (placed(two, "cs_1"), "i12: two top-ups have one reference at the provider"),
        (placed(two, ""), "a top-up has a reference that is none"),
        (renewed(one, 1), unexpected),
        (renewed(two, 0), "i12: a call is begun anew twice, or before it was begun"),
        (renewed(two, 2), "i12: a call is begun anew twice, or before it was begun"),
    ] {
        assert_eq!(apply(change), Err(Violation(why)));
    }
}

#[test]
fn what_is_known_at_a_provider_reads_back_and_damage_never_panics() {
    let mut world = check(
        "checkout 500\nrenew t1 0\nplaced t1 cs_1\ntop_up 500\ncheckout 500\npaid t3 pi_1 500 tax=95\n",
    );
    let payments = world.account.payments.as_deref().expect("there are top-ups").clone();
    let mut bytes = Vec::new();
    payments.encode(&mut bytes);
    for index in 0..bytes.len() {
        for flip in [0x01, 0x02, 0x10, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[index] ^= flip;
            if let Ok(Some(read)) = Payments::decode(Some(&damaged)) {
                assert_ne!(*read, payments, "byte {index} has no effect");
                read.encode(&mut Vec::new());
            }
        }
    }
    assert!(matches!(output_of(&mut world, "paid t1 pi_2 500"), Output::Wrote(_)));
}
