//! Subscriptions that a payment provider collects: what it says was paid is granted once.

use super::subscriptions::{Line, PLANS, grants, lines};
use super::{check, check_damaged_payments};
use crate::journal::codec::{Reader, Writer};
use crate::{Ends, Paid, PaymentChange, Placement, SubscriptionChange, Violation, Work, bounds};

/// The months of this table were counted by hand, from a calendar.
const PAID: [Line; 7] = [
    ("2026-01-31:period", 3_000_000, 3_000),
    ("2026-02-28:period", 3_000_000, 3_000),
    // March was not paid until June.
    ("2026-04-30:period", 7_000_000, 6_000),
    ("2026-05-31:period", 7_000_000, 4_500),
    ("2026-03-31:period", 3_000_000, 3_000),
    ("2026-06-30:period", 3_000_000, 3_000),
    // Asked for on 10 July: 21 of 31 days are left. The provider rounded otherwise.
    ("2026-06-30:change-2", 2_709_677, 2_034),
];

#[test]
fn each_period_that_was_paid_grants_once_also_late_and_out_of_order() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic => started basic
        pay by_hand => no invalid_field subscription
        stripe period in_0 2026-01-31 year 10000 => no payment_unmatched
        stripe period in_1 2026-01-31 basic 3000 => granted 3000000, period 0 for 3000 cents
        stripe placed no => placed
        stripe placed no => unchanged
        subscription => basic active 2026-01-31 to 2026-02-28
        stripe period in_1 2026-01-31 basic 3000 => replay
        stripe period in_2 2026-01-31 basic 3000 => no payment_unmatched
        stripe period in_2 2026-02-15 basic 3000 => no payment_unmatched
        on 2026-02-28
        stripe lapse => unchanged
        ticks renews =>
        stripe period in_2 2026-02-28 basic 3000 => granted 3000000, period 1 for 3000 cents
        on 2026-03-31
        wait 3h
        stripe lapse => past due
        stripe lapse => unchanged
        subscription => basic past_due 2026-03-31 to 2026-04-30
        collect pro => change 1 to pro planned
        stripe period in_4 2026-04-30 pro 6000 => no payment_unmatched
        on 2026-04-30
        stripe period in_4 2026-04-30 pro 6000 => granted 7000000, period 3 for 6000 cents
        subscription => pro active 2026-04-30 to 2026-05-31
        on 2026-05-31
        stripe period in_5 2026-05-31 pro 4500 => granted 7000000, period 4 for 4500 cents
        stripe period in_3 2026-03-31 basic 3000 => granted 3000000, period 2 for 3000 cents
        stripe period in_3b 2026-03-31 basic 3000 => no payment_unmatched
        on 2026-06-30
        stripe period in_6 2026-06-30 basic 3000 tax=100_000_000 => no payment_unmatched
        stripe period in_6 2026-06-30 basic 3000 tax=570 => granted 3000000, period 5 for 3000 cents and 570 tax
        on 2026-07-10
        collect pro => change 2 to pro: 2033 cents for 2709677 until 2026-07-31
        stripe change in_7 2034 number=1 => no payment_unmatched
        stripe change in_7 100_000_001 => no payment_unmatched
        stripe change in_7 2034 tax=-1 => no payment_unmatched
        stripe change in_7 2034 tax=386 => granted 2709677, change 2 for 2034 cents and 386 tax
        stripe change in_7 2034 => replay
        stripe change in_8 2034 => no payment_unmatched
        "
    ));
    assert_eq!(grants(&world), lines(&PAID));
}

#[test]
fn a_period_that_begins_more_than_a_day_ahead_is_not_granted() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000 => granted 3000000, period 0 for 3000 cents
        on 2026-02-26
        wait 23h
        stripe period in_2 2026-02-28 basic 3000 earlier=3h => no payment_unmatched
        wait 1h
        stripe period in_2 2026-02-28 basic 3000 earlier=3h => granted 3000000, period 1 for 3000 cents
        "
    ));
    assert_eq!(grants(&world).len(), 2);
}

#[test]
fn a_period_takes_its_price_at_the_most() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 6000 => no payment_unmatched
        stripe period in_1 2026-01-31 basic 3001 => no payment_unmatched
        stripe period in_1 2026-01-31 basic 3000 => granted 3000000, period 0 for 3000 cents
        on 2026-02-28
        stripe period in_2 2026-02-28 basic 3001 => no payment_unmatched
        stripe period in_2 2026-02-28 pro 6000 => granted 7000000, period 1 for 6000 cents
        on 2026-03-31
        stripe period in_4 2026-03-31 basic 3000
        "
    ));
    assert_eq!(grants(&world).len(), 3);
}

#[test]
fn an_entry_of_an_earlier_version_that_took_more_than_the_price_is_applied() {
    let world = check(&format!("{PLANS}\non 2026-01-31\ncollect basic"));
    let last = world.account.payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    let last = last.expect("a subscription was started");
    let paid = last.paid_period(&last.plan, world.now, 6_000).expect("it is the first period");
    assert_eq!((paid.brings.credits, paid.brings.cents), (last.plan.credits, 6_000));
}

#[test]
fn tax_that_no_provider_took_or_out_of_range_breaks_an_invariant() {
    let too_much = bounds::PLAN_PRICE_MAX_CENTS + 1;
    for (start, tax_cents, why) in [
        ("plan basic", 1, "i15: tax is on a payment that no provider took"),
        ("collect basic", -1, "i15: the tax on a payment is out of range"),
        ("collect basic", too_much, "i15: the tax on a payment is out of range"),
    ] {
        let world = check(&format!("{PLANS}\non 2026-01-31\n{start}"));
        let mut payments = world.account.payments.as_deref().expect("there is a subscription").clone();
        let paid = Some(Paid { payment: "manual:one".into(), cents: 3_000, tax_cents });
        let renewed = SubscriptionChange::Renewed { month: 0, paid, cents: 3_000, grant: None };
        let change = PaymentChange::Subscription(Box::new(renewed));
        assert_eq!(payments.apply(&change, None, world.now), Err(Violation(why)));
    }
}

#[test]
fn what_is_to_be_placed_is_due_at_once_also_if_a_clock_was_ahead() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000
        stripe placed no
        cancel
        "
    ));
    let mut payments = world.account.payments.as_deref().expect("there is a subscription").clone();
    let last = payments.subscription.as_deref_mut().expect("it was started");
    last.started_at = world.now.plus_seconds(86_400);
    assert_eq!(payments.due_work(world.now), [Work::PlaceSubscription]);
}

#[test]
fn a_provider_is_asked_daily_about_a_subscription_that_is_past_due() {
    let begin = format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000
        stripe placed no
        on 2026-02-28
        wait 3h
        "
    );
    for (last, is_daily) in [("", false), ("stripe lapse", true), ("stripe end", false)] {
        let world = check(&format!("{begin}{last}"));
        let payments = world.account.payments.as_deref().expect("there is a subscription");
        assert_eq!(payments.is_looked_at_daily(Work::LookAtSubscription), is_daily, "after {last:?}");
        let looks = payments.due_work(world.now).contains(&Work::LookAtSubscription);
        assert_eq!(looks, last.is_empty(), "after {last:?}");
        let later = payments.due_work(world.now.plus_seconds(23 * 3_600));
        assert_eq!(later.contains(&Work::LookAtSubscription), last != "stripe end", "after {last:?}");
    }
}

#[test]
fn a_change_that_is_not_paid_takes_no_cancellation_back() {
    let start = format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000
        stripe placed no
        on 2026-02-14
        cancel => ends 2026-02-28
        collect pro => change 1 to pro: 1500 cents for 2000000 until 2026-02-28
        subscription => basic canceled 2026-01-31 to 2026-02-28
        collect pro => unchanged
        collect basic => no subscription_exists
        "
    );
    check(&format!(
        "{start}
        stripe change up 1500 => granted 2000000, change 1 for 1500 cents
        subscription => pro active 2026-01-31 to 2026-02-28
        "
    ));
    check(&format!(
        "{start}
        stripe drop 2 => unchanged
        stripe drop 1 => change 1 dropped
        subscription => basic canceled 2026-01-31 to 2026-02-28
        on 2026-02-28
        ticks =>
        collect basic => no subscription_exists
        stripe placed with_period => placed
        ticks =>
        wait 3h
        stripe lapse => unchanged
        stripe end => ended
        collect basic => started basic
        "
    ));
}

#[test]
fn what_a_provider_knows_reads_back_with_and_without_a_mark() {
    let bytes_of = |placement: &Placement| {
        let mut bytes = Vec::new();
        placement.write(&mut Writer(&mut bytes));
        bytes
    };
    let plain = Placement { ends: Ends::WithPeriod, ..Placement::default() };
    // Written by an earlier version: no page, no generation, no reference, no terms, no change.
    assert_eq!(bytes_of(&plain), [0, 0, 0, 0, 0, 0, 2]);
    let marked = Placement { mark: Some("m1".into()), ..plain.clone() };
    assert_eq!(bytes_of(&marked), [0, 0, 0, 0, 0, 0, 0, 2, b'm', b'1', 2]);
    for placement in [plain, marked] {
        let bytes = bytes_of(&placement);
        let mut r = Reader(&bytes);
        assert_eq!(Placement::read(&mut r), Ok(placement));
        assert!(r.0.is_empty(), "all is read");
    }
    let mut nameless = Reader(&[0, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert!(Placement::read(&mut nameless).is_err(), "a mark is not empty");
}

#[test]
fn a_change_that_a_discount_makes_cheaper_brings_what_was_fixed() {
    check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 2400
        on 2026-02-14
        collect pro => change 1 to pro: 1500 cents for 2000000 until 2026-02-28
        stripe change up -1 => no payment_unmatched
        stripe change up 1200 basic => no payment_unmatched
        stripe change up 1200 => granted 2000000, change 1 for 1200 cents
        "
    ));
}

#[test]
fn a_change_that_was_paid_brings_what_was_fixed_also_for_more_or_for_nothing() {
    for paid in ["4000", "0"] {
        let world = check(&format!(
            "{PLANS}
            on 2026-01-31
            collect basic
            stripe period in_1 2026-01-31 basic 2400
            on 2026-02-14
            collect pro => change 1 to pro: 1500 cents for 2000000 until 2026-02-28
            stripe change up {paid} => granted 2000000, change 1 for {paid} cents
            subscription => pro active 2026-01-31 to 2026-02-28
            stripe change other 1500 => no payment_unmatched
            "
        ));
        let payments = world.account.payments.as_deref().expect("there is a subscription");
        let kept = payments.paid_cents("stripe:up").map(|cents| cents.to_string());
        assert_eq!(kept.as_deref(), Some(paid).filter(|paid| *paid != "0"));
        world.rebuild();
    }
    // Each further month of a year brings the dearer plan's credit, of which nothing was paid.
    check(&format!(
        "{PLANS}
        on 2026-01-31
        collect year
        stripe period in_1 2026-01-31 year 10000 => granted 1000000, period 0 for 833 cents
        on 2026-02-14
        collect years
        stripe change up 0
        on 2026-02-28
        ticks => granted 2000000, month 1 for 833 cents
        "
    ))
    .rebuild();
}

#[test]
fn only_the_provider_says_that_a_subscription_ended_which_it_collects() {
    let start = format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000
        cancel => ends 2026-02-28
        stripe placed with_period
        on 2026-02-28
        ticks renews =>
        "
    );
    // Its end was taken back there, and one more period was paid.
    check(&format!(
        "{start}
        stripe period in_2 2026-02-28 basic 3000 => granted 3000000, period 1 for 3000 cents
        subscription => basic canceled 2026-02-28 to 2026-03-31
        collect basic => resumed
        "
    ));
    check(&format!(
        "{start}
        stripe end => ended
        subscription => basic ended 2026-01-31 to 2026-02-28
        "
    ));
    // Another one may begin before the provider was asked.
    check(&format!(
        "{start}
collect pro => started pro"
    ));
}

#[test]
fn a_cancellation_drops_a_change_that_waits() {
    check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000
        on 2026-02-14
        collect pro => change 1 to pro: 1500 cents for 2000000 until 2026-02-28
        cancel => ends 2026-02-28
        stripe change up 1500 => no payment_unmatched
        subscription => basic canceled 2026-01-31 to 2026-02-28
        "
    ));
}

#[test]
fn what_ended_at_the_provider_grants_what_is_paid_late_and_the_months_of_a_year() {
    check(&format!(
        "{PLANS}
        on 2026-01-31
        collect basic
        stripe period in_1 2026-01-31 basic 3000
        stripe placed no
        on 2026-02-28
        wait 3h
        stripe lapse => past due
        stripe end => ended
        stripe end => unchanged
        stripe placed now => placed
        stripe period in_2 2026-02-28 basic 3000 => granted 3000000, period 1 for 3000 cents
        stripe period in_3 2026-02-28 basic 3000 => no payment_unmatched
        subscription => basic ended 2026-02-28 to 2026-03-31
        collect free => started free
        collect basic => no invalid_field plan
        "
    ));
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        collect year
        stripe period in_1 2026-01-31 year 10000 => granted 1000000, period 0 for 833 cents
        stripe placed no
        collect free => no plan_interval_differs
        on 2026-06-01
        ticks => granted 1000000, month 1 for 833 cents; granted 1000000, month 2 for 833 cents; \
             granted 1000000, month 3 for 833 cents; granted 1000000, month 4 for 833 cents
        stripe end => ends 2027-01-31
        stripe end => unchanged
        stripe placed now
        collect year => no subscription_exists
        on 2028-02-01
        ticks
        stripe period in_3 2028-01-31 year 10000 => granted 12000000, period 24 for 10000 cents
        stripe period in_2 2027-01-31 year 9000 => granted 12000000, period 12 for 9000 cents
        "
    ));
    let payments = world.account.payments.as_deref().expect("there is a subscription");
    check_damaged_payments(
        payments,
        |_, _| true,
        |read| {
            let _ = (read.due_at(), read.subscription.as_deref().map(crate::Subscription::wanted));
        },
    );
}
