//! The oldest top-up leaves the list when there are too many. Its payment grants no second time.

use std::sync::Arc;

use super::check;
use super::script::{self, output_of};
use super::world::{Output, World};
use crate::{
    Id, PaymentChange, Payments, Refusal, TopUp, TopUpFailure, TopUpId, TopUpWay, Violation, bounds,
};

/// A world with 10,000 top-ups. The first was paid, the second was paid and is lost in part.
fn full() -> World {
    let mut world = check(
        "
        top_up 100
        top_up 200
        confirm t1 => granted 100000, paid
        confirm t2 => granted 200000, paid
        loss t2 50 => lost 50 cents, taken g2:50000
        ",
    );
    let now = world.now;
    change(&mut world, |payments| {
        for index in payments.top_ups.len()..bounds::TOP_UPS_MAX {
            let id = TopUpId(Id::v7(1, 0, index as u64));
            let mut top_up = TopUp::opened(id, 1, TopUpWay::Automatic, now);
            top_up.fail(TopUpFailure::NotPaid, now);
            payments.top_ups.push(top_up);
        }
    });
    world
}

/// Changes the payments without entries, to others that may be stored.
fn change(world: &mut World, change: impl FnOnce(&mut Payments)) {
    let payments = Arc::make_mut(world.account.payments.as_mut().expect("there are top-ups"));
    change(payments);
    payments.encode(&mut Vec::new());
}

fn payments(world: &World) -> &Payments {
    world.account.payments.as_deref().expect("there are top-ups")
}

fn is_full(output: &Output) -> bool {
    matches!(output, Output::No(Refusal::InvalidField { field: "top_ups", .. }))
}

#[test]
fn the_oldest_top_up_leaves_for_a_new_one_once_its_time_has_passed() {
    let mut world = full();
    let ids = world.top_ups.clone();
    script::run(&mut world, "wait 119d");
    assert!(is_full(&output_of(&mut world, "top_up 100")));
    assert!(payments(&world).top_up(ids[0]).is_some(), "a refused command changes nothing");
    script::run(&mut world, "wait 1d");
    assert_eq!(script::run(&mut world, "top_up 300"), "top-up of 300 cents");
    let kept = payments(&world);
    assert_eq!(kept.top_ups.len(), bounds::TOP_UPS_MAX);
    assert_eq!((kept.top_up(ids[0]), kept.top_ups[0].id), (None, ids[1]), "the lost one is kept");
    assert_eq!(script::run(&mut world, "loss t2 0"), "lost 0 cents, given back g2:50000");
    assert_eq!(script::run(&mut world, "top_up 400"), "top-up of 400 cents");
    assert_eq!(payments(&world).top_up(ids[1]), None, "nothing of it is lost any more");
}

#[test]
fn the_payment_of_a_top_up_that_left_grants_no_second_time_and_can_be_clawed_back() {
    let mut world = full();
    script::run(&mut world, "wait 120d");
    assert_eq!(script::run(&mut world, "top_up 300"), "top-up of 300 cents");
    assert_eq!(script::run(&mut world, "confirm t1"), "replay");
    assert_eq!(script::run(&mut world, "balance"), "250000");
    assert_eq!(script::run(&mut world, "void g1"), "no grant_was_paid");
    assert_eq!(script::run(&mut world, "loss t1 100"), "no invalid_field payment");
    assert_eq!(script::run(&mut world, "lost g1 100"), "taken g1:100000");
    assert_eq!(script::run(&mut world, "balance"), "150000");
}

#[test]
fn an_automatic_top_up_is_opened_although_there_were_10_000() {
    let mut world = full();
    for line in ["customer cus_1", "card pm_1", "rule 300_000 500 10_000"] {
        script::run(&mut world, line);
    }
    assert!(matches!(output_of(&mut world, "buy"), Output::Unchanged), "all are recent");
    script::run(&mut world, "wait 120d");
    assert_eq!(script::run(&mut world, "buy"), "automatic top-up of 500 cents");
    assert_eq!(payments(&world).top_ups.len(), bounds::TOP_UPS_MAX);
}

#[test]
fn a_top_up_that_waits_or_is_recent_does_not_leave() {
    let mut world = full();
    let (now, old) = (world.now, world.now.plus_seconds(bounds::TOP_UP_KEPT_SECONDS));
    let opened =
        PaymentChange::TopUpOpened { top_up: TopUpId(Id::v7(2, 0, 0)), cents: 100, way: TopUpWay::Checkout };
    let apply = |world: &World, at| {
        let mut payments = payments(world).clone();
        payments.apply(&opened, None, at).map(|()| payments)
    };
    let too_many = Violation("a workspace has more top-ups than it may have");
    assert_eq!(apply(&world, old.plus_seconds(-1)), Err(too_many));
    assert!(apply(&world, old).is_ok());
    change(&mut world, |payments| {
        payments.top_ups[0] = TopUp::opened(payments.top_ups[0].id, 100, TopUpWay::Checkout, now);
        // All others ended only now.
        for top_up in payments.top_ups.iter_mut().skip(2) {
            top_up.ended_at = Some(now.plus_seconds(1));
        }
    });
    assert_eq!(apply(&world, old), Err(too_many), "one waits, one is lost in part, all others are recent");
    let left = apply(&world, old.plus_seconds(1)).expect("the third may leave");
    assert_eq!((left.top_ups[0].id, left.top_ups[1].id), (world.top_ups[0], world.top_ups[1]));
    assert_eq!(left.top_ups.len(), bounds::TOP_UPS_MAX);
}
