//! Top-ups: credit that is bought once, granted after its payment and never before.

use super::script::{command_of, output_of};
use super::world::{Output, World};
use super::{check, check_damaged_payments, script};
use crate::{
    EntryBody, Id, Kind, Micros, PaymentChange, Payments, Refusal, Source, Timestamp, TopUp, TopUpId,
    TopUpStatus, TopUpWay, Violation, Work, bounds,
};

#[test]
fn a_top_up_grants_once_it_is_confirmed_and_only_once() {
    let world = check(
        "
        top_up 2_500 key=a => top-up of 2500 cents
        balance => 0
        charge message => no insufficient_credits 0 of 500, affords 0
        confirm t1 => granted 2500000, paid
        balance => 2500000
        charge message => charged 500 g1:500
        confirm t1 => replay
        confirm t1 key=other => replay
        balance => 2499500
        ",
    );
    let payments = world.account.payments.as_deref().expect("there is a top-up");
    let [top_up] = &payments.top_ups[..] else { panic!("{payments:?}") };
    assert_eq!(
        (top_up.status, top_up.cents, top_up.credits().get()),
        (TopUpStatus::Succeeded, 2_500, 2_500_000)
    );
    assert_eq!(top_up.grant, Some(world.grants[0].id));
    let paid = world.journal.iter().find(|(entry, _)| entry.body.kind() == Kind::Granted);
    let EntryBody::Granted { grant, origin, paid_cents, .. } = &paid.expect("it was granted").0.body else {
        unreachable!("it is of this kind")
    };
    assert_eq!((grant.source, *paid_cents), (Source::TopUp, 2_500));
    assert_eq!(origin.as_deref(), top_up.payment.as_deref());
}

#[test]
fn a_repeated_request_opens_one_top_up_and_another_one_under_its_key_is_refused() {
    let world = check(
        "
        top_up 500 key=a => top-up of 500 cents
        top_up 500 key=a => replay
        top_up 501 key=a => no idempotency_key_reused amount_usd
        grant promotional 500 key=a => no idempotency_key_reused path
        top_up 500 key=b => top-up of 500 cents
        confirm t2 => granted 500000, paid
        confirm t1 => granted 500000, paid
        balance => 1000000
        ",
    );
    assert_eq!(world.top_ups.len(), 2);
}

#[test]
fn a_repeated_request_is_answered_although_the_settings_allow_its_amount_no_more() {
    check(
        "
        top_up 500 key=a => top-up of 500 cents
        top_up 500 key=a min=1_000 max=2_000 => replay
        top_up 500 key=b min=1_000 max=2_000 => no invalid_field 1000 to 2000 cents
        top_up 2_001 min=1_000 max=2_000 => no invalid_field 1000 to 2000 cents
        top_up 1_000 min=1_000 max=2_000 => top-up of 1000 cents
        top_up 2_000 min=1_000 max=2_000 => top-up of 2000 cents
        top_up 100_000_000 max=200_000_000 => no invalid_field 1 to 200000000 cents
        ",
    );
}

#[test]
fn a_top_up_repays_debt_before_its_credit_is_available() {
    check(
        "
        grant top_up 3_000 origin=pay_1 paid=3
        charge message x4 => charged 2000 g1:2000
        claw_back g1 3_000 dispute=d1 => taken g1:1000
        top_up 1
        confirm t1 => granted 1000, paid, repaid g2:1000
        balance => 0, debt 1000
        charge message => no debt_outstanding 1000
        top_up 5
        confirm t2 => granted 5000, paid, repaid g3:1000
        balance => 4000
        ",
    );
}

#[test]
fn a_paid_grant_is_not_voided() {
    check(
        "
        top_up 100
        confirm t1
        void g1 => no grant_was_paid
        balance => 100000
        ",
    );
}

#[test]
fn a_member_or_key_opens_a_top_up_and_only_the_platform_confirms_it() {
    check(
        "
        join ada admin
        join bob member
        new_key manage
        top_up 100 by=ada
        top_up 100 by=k1
        top_up 100 by=bob => no forbidden
        confirm t1 by=ada => no forbidden
        confirm t1 by=k1 => no forbidden
        balance => 0
        confirm t1 => granted 100000, paid
        ",
    );
}

#[test]
fn amounts_out_of_range_and_unknown_top_ups_are_refused() {
    check(
        "
        top_up 0 => no invalid_field 1 to 99999999 cents
        top_up -1 => no invalid_field 1 to 99999999 cents
        top_up 100_000_000 => no invalid_field 1 to 99999999 cents
        top_up 99_999_999 => top-up of 99999999 cents
        confirm t2 => no top_up_not_found
        elsewhere top_up 100 => no workspace_not_found
        elsewhere confirm t1 => no workspace_not_found
        ",
    );
}

#[test]
fn the_number_of_top_ups_that_wait_is_bounded() {
    let mut world = World::new();
    for _ in 0..bounds::TOP_UPS_PENDING_MAX {
        assert!(matches!(output_of(&mut world, "top_up 100"), Output::Wrote(_)));
    }
    let refused = output_of(&mut world, "top_up 100");
    assert!(matches!(refused, Output::No(Refusal::InvalidField { field: "top_ups", .. })));
    assert_eq!(script::run(&mut world, "confirm t1"), "granted 100000, paid");
    assert!(matches!(output_of(&mut world, "top_up 100"), Output::Wrote(_)));
    world.rebuild();
}

#[test]
fn a_top_up_that_would_pass_the_bound_of_a_balance_is_refused_before_it_is_paid() {
    let mut world = check("grant promotional 9_007_199_254_000_000");
    let refused = output_of(&mut world, "top_up 1_000");
    assert!(matches!(refused, Output::No(Refusal::InvalidField { field: "amount", .. })));
}

/// The payments of the world.
fn payments(world: &World) -> &Payments {
    world.account.payments.as_deref().expect("there are top-ups")
}

#[test]
fn a_top_up_that_nobody_paid_expires_after_90_days_and_still_grants_if_it_is_paid_after_all() {
    let world = check(
        "
        join ada admin
        top_up 100
        wait 1d
        top_up 200
        wait 88d
        expire t1 => unchanged
        wait 1d
        expire t1 by=ada => no forbidden
        expire t1 => expired
        expire t1 => unchanged
        expire t2 => unchanged
        balance => 0
        confirm t1 => granted 100000, paid
        expire t1 => unchanged
        confirm t1 => replay
        balance => 100000
        ",
    );
    let [one, two] = &payments(&world).top_ups[..] else { panic!("there are two") };
    assert_eq!((one.status, two.status), (TopUpStatus::Succeeded, TopUpStatus::Pending));
    assert_eq!(one.ended_at, Some(world.now));
}

#[test]
fn what_is_due_follows_from_the_top_ups_that_wait() {
    let mut world = check("top_up 100\nwait 1d\ntop_up 200\ntop_up 300\nconfirm t3\nwait 100d");
    let [one, two] = [0, 1].map(|index| world.top_ups[index]);
    let opened: Vec<_> = payments(&world).top_ups.iter().map(|top_up| top_up.opened_at).collect();
    let due_at = |opened: Timestamp| opened.plus_seconds(bounds::TOP_UP_PENDING_SECONDS);
    assert_eq!(payments(&world).due_at(), Some(due_at(opened[0])));
    assert_eq!(payments(&world).due_work(due_at(opened[0])), [Work::ExpireTopUp(one)]);
    let both = [one, two].map(Work::ExpireTopUp);
    assert_eq!(payments(&world).due_work(world.now), both, "the longest overdue comes first");
    assert_eq!(payments(&world).due_work(Timestamp::ZERO), []);
    script::run(&mut world, "expire t1");
    assert_eq!(payments(&world).due_at(), Some(due_at(opened[1])));
    script::run(&mut world, "expire t2");
    assert_eq!((payments(&world).due_at(), payments(&world).due_work(world.now)), (None, Vec::new()));
    world.rebuild();
}

#[test]
fn a_call_is_due_at_once_and_a_page_that_nobody_knows_is_given_up() {
    let mut world = check("checkout 100\ntop_up 200");
    let one = world.top_ups[0];
    let opened_at = world.now;
    let given_up_at = |began: Timestamp| began.plus_seconds(bounds::CALL_KEY_SECONDS);
    assert_eq!(payments(&world).due_at(), Some(given_up_at(opened_at)));
    script::run(&mut world, "wait 1h");
    assert_eq!(script::run(&mut world, "renew t1 0"), "call 1");
    let renewed_at = world.now;
    assert_eq!(payments(&world).due_at(), Some(given_up_at(renewed_at)), "a new call has a day of its own");
    assert_eq!(payments(&world).due_work(given_up_at(renewed_at)), [Work::GiveUpTopUp(one)]);
    script::run(&mut world, "placed t1 cs_1");
    let expires_at = opened_at.plus_seconds(bounds::TOP_UP_PENDING_SECONDS);
    assert_eq!(payments(&world).due_at(), Some(expires_at), "a page that is known can be paid");
    world.rebuild();
}

#[test]
fn an_expired_top_up_frees_its_place() {
    let mut world = World::new();
    for _ in 0..bounds::TOP_UPS_PENDING_MAX {
        assert!(matches!(output_of(&mut world, "top_up 100"), Output::Wrote(_)));
    }
    script::run(&mut world, "wait 90d");
    assert!(matches!(output_of(&mut world, "top_up 100"), Output::No(_)));
    assert_eq!(script::run(&mut world, "expire t1"), "expired");
    assert!(matches!(output_of(&mut world, "top_up 100"), Output::Wrote(_)));
    // All places are taken again. The money that came in grants all the same.
    assert_eq!(script::run(&mut world, "confirm t1"), "granted 100000, paid");
}

#[test]
fn an_entry_that_gives_up_a_top_up_that_may_still_be_paid_breaks_a_rule() {
    let world = check("top_up 100\ntop_up 200\nconfirm t2\nwait 1d");
    let [one, two] = [0, 1].map(|index| world.top_ups[index]);
    let apply = |id, at| payments(&world).clone().apply(&PaymentChange::TopUpExpired(id), None, at);
    let late = world.now.plus_seconds(bounds::TOP_UP_PENDING_SECONDS);
    let unknown = TopUpId(Id::v7(0, 0, 0));
    for (id, at, why) in [
        (one, world.now, "a top-up expires before its time"),
        (two, late, "a top-up expires that does not wait"),
        (unknown, late, "a top-up expires that does not exist"),
    ] {
        assert_eq!(apply(id, at), Err(Violation(why)));
    }
    assert_eq!(apply(one, late), Ok(()));
}

#[test]
fn an_entry_that_pays_without_its_grant_breaks_an_invariant() {
    let mut world = check(
        "
        top_up 100
        top_up 100
        confirm t1
        grant promotional 100_000
        grant top_up 99_000 origin=pay_9 paid=99
        ",
    );
    let payments = world.account.payments.as_deref().expect("there are top-ups").clone();
    let [one, two] = [0, 1].map(|index| world.top_ups[index]);
    let apply = |top_up, payment: &str, grant: usize| -> Result<(), Violation> {
        let grant = world.account.grants.find(world.grants[grant].id).expect("it is unspent");
        let change =
            PaymentChange::TopUpSucceeded { top_up, payment: payment.into(), grant: grant.id, tax_cents: 0 };
        payments.clone().apply(&change, Some(grant), world.now)
    };
    let confirmed = payments.top_ups[0].payment.as_deref().expect("it was paid").to_owned();
    for (top_up, payment, grant, why) in [
        (one, "pay_2", 0, "i12: a top-up is paid twice"),
        (two, &*confirmed, 0, "i12: a payment pays twice"),
        (two, "pay_2", 1, "i12: a top-up pays for a grant of another kind"),
        (two, "pay_2", 2, "i12: a top-up grants another sum than was paid"),
    ] {
        assert_eq!(apply(top_up, payment, grant), Err(Violation(why)));
    }
    let unpaid = PaymentChange::TopUpSucceeded {
        top_up: two,
        payment: "pay_2".into(),
        grant: world.grants[0].id,
        tax_cents: 0,
    };
    let without = payments.clone().apply(&unpaid, None, world.now);
    assert_eq!(without, Err(Violation("i12: a payment names a grant that is not there")));
    // Nothing of this reached the account.
    let output = world.run(command_of(&world, "confirm t2"), None);
    assert!(matches!(output, Output::Wrote(entries) if entries[0].balance.available == Micros::new(399_000)));
}

#[test]
fn an_entry_of_a_top_up_that_buys_nothing_or_too_much_is_malformed() {
    let world = check("top_up 100");
    let (entry, _) = world.journal.last().expect("it was opened");
    for cents in [0, -1, bounds::TOP_UP_MAX_CENTS + 1, i64::MAX] {
        let mut damaged = entry.clone();
        let change = PaymentChange::TopUpOpened { top_up: world.top_ups[0], cents, way: TopUpWay::Manual };
        damaged.body = EntryBody::Payment(Box::new(change));
        let encoded = std::panic::catch_unwind(|| {
            let mut bytes = Vec::new();
            damaged.encode(&mut bytes);
        });
        assert!(encoded.is_err(), "{cents} cents do not read back, so they are not written");
    }
}

#[test]
fn a_grant_does_not_take_the_place_of_a_confirmation() {
    let mut world = check("top_up 2_500");
    let payment = TopUp::manual_payment(payments(&world).top_ups[0].id);
    let taken = script::run(&mut world, &format!("grant top_up 1 origin={payment} paid=1"));
    assert_eq!(taken, "no invalid_field origin");
    assert_eq!(script::run(&mut world, "confirm t1"), "granted 2500000, paid");
}

#[test]
fn damaged_payments_never_panic() {
    let world = check("top_up 100\ntop_up 2_500\nconfirm t1\nwait 90d\nexpire t2");
    check_damaged_payments(payments(&world), |_, _| false, |_| {});
}
