//! Subscriptions: plans that run, each month granted once, after its payment.

use super::script;
use super::world::{Output, World};
use super::{check, check_damaged_payments};
use crate::{EntryBody, Source};

/// What a grant of a subscription is for, its credit and its cents.
pub(super) type Line<'a> = (&'a str, i64, i64);

/// The grants of the subscription, as the day of the month, its cause, the credit and the cents.
pub(super) fn grants(world: &World) -> Vec<(String, i64, i64)> {
    let bodies = world.journal.iter().map(|(entry, _)| &entry.body);
    let granted = bodies.filter_map(|body| match body {
        EntryBody::Granted { grant, origin, paid_cents, .. } if grant.source == Source::Subscription => {
            let origin = origin.as_deref().expect("a grant of a subscription has an origin");
            let origin = origin.splitn(3, ':').nth(2).expect("it names the month and the cause");
            Some((origin.replace("T00:00:00.000Z", ""), grant.amount.get(), *paid_cents))
        }
        _ => None,
    });
    granted.collect()
}

pub(super) fn lines(table: &[Line]) -> Vec<(String, i64, i64)> {
    table.iter().map(|(what, credits, cents)| ((*what).to_owned(), *credits, *cents)).collect()
}

pub(super) const PLANS: &str = "
    plans basic=3000/3_000_000/month pro=6000/7_000_000/month free=0/100_000/month year=10000/1_000_000/year years=22000/2_000_000/year
";

/// The months of this table were counted by hand, from a calendar. 2026 and 2027 are common years,
/// 2028 is a leap year.
const TWENTY_SIX_MONTHS: [Line; 27] = [
    ("2026-01-31:period", 3_000_000, 3_000),
    ("2026-02-28:period", 3_000_000, 3_000),
    ("2026-03-31:period", 3_000_000, 3_000),
    ("2026-04-30:period", 3_000_000, 3_000),
    ("2026-05-31:period", 3_000_000, 3_000),
    // Asked for on 10 June: 20 of 30 days are left. 4,000,000 × 20 ÷ 30 and 3,000 × 20 ÷ 30.
    ("2026-05-31:change-1", 2_666_666, 2_000),
    ("2026-06-30:period", 7_000_000, 6_000),
    ("2026-07-31:period", 7_000_000, 6_000),
    ("2026-08-31:period", 7_000_000, 6_000),
    ("2026-09-30:period", 7_000_000, 6_000),
    // Paid on 20 November only.
    ("2026-10-31:period", 7_000_000, 6_000),
    ("2026-11-30:period", 7_000_000, 6_000),
    // The cheaper plan was asked for on 15 December.
    ("2026-12-31:period", 3_000_000, 3_000),
    ("2027-01-31:period", 3_000_000, 3_000),
    ("2027-02-28:period", 3_000_000, 3_000),
    ("2027-03-31:period", 3_000_000, 3_000),
    ("2027-04-30:period", 3_000_000, 3_000),
    ("2027-05-31:period", 3_000_000, 3_000),
    // Nothing ran from 15 June to 15 September.
    ("2027-06-30:period", 3_000_000, 3_000),
    ("2027-07-31:period", 3_000_000, 3_000),
    ("2027-08-31:period", 3_000_000, 3_000),
    ("2027-09-30:period", 3_000_000, 3_000),
    ("2027-10-31:period", 3_000_000, 3_000),
    ("2027-11-30:period", 3_000_000, 3_000),
    ("2027-12-31:period", 3_000_000, 3_000),
    ("2028-01-31:period", 3_000_000, 3_000),
    ("2028-02-29:period", 3_000_000, 3_000),
];

/// A line that pays on a day, and the ticks before it.
fn paid_on(days: &[&str]) -> String {
    let line =
        |day: &&str| format!("on {day}\nticks => past due\npay {day}\nticks => \npay {day} => replay\n");
    days.iter().map(line).collect()
}

#[test]
fn twenty_six_months_from_31_january_grant_what_the_calendar_says() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        plan basic => started basic
        subscription => basic pending
        ticks =>
        pay first => granted 3000000, month 0 for 3000 cents
        subscription => basic active 2026-01-31 to 2026-02-28
        {}
        on 2026-06-10
        plan pro => change 1 to pro: 2000 cents for 2666666 until 2026-06-30
        on 2026-06-12
        pay up change => granted 2666666, change 1 for 2000 cents
        subscription => pro active 2026-05-31 to 2026-06-30
        {}
        on 2026-10-31
        ticks => past due
        subscription => pro past_due 2026-10-31 to 2026-11-30
        on 2026-11-20
        ticks =>
        pay late => granted 7000000, month 9 for 6000 cents
        pay none => no nothing_due
        {}
        on 2026-12-15
        plan basic => change 2 to basic planned
        subscription => pro active 2026-11-30 to 2026-12-31, then basic
        {}
        on 2027-09-15
        ticks => past due
        pay a => granted 3000000, month 17 for 3000 cents
        ticks => past due
        pay b => granted 3000000, month 18 for 3000 cents
        ticks => past due
        pay c => granted 3000000, month 19 for 3000 cents
        ticks =>
        pay d => no nothing_due
        {}
        ",
        paid_on(&["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        paid_on(&["2026-06-30", "2026-07-31", "2026-08-31", "2026-09-30"]),
        paid_on(&["2026-11-30"]),
        paid_on(&["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        paid_on(&["2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29"]),
    ));
    assert_eq!(grants(&world), lines(&TWENTY_SIX_MONTHS));
    assert_eq!(world.account.totals.granted.get(), 104_666_666);
}

#[test]
fn periods_that_renew_by_themselves_are_granted_once_each_also_after_months_of_sleep() {
    let mut world = check(&format!(
        "{PLANS}
        on 2026-01-31
        plan basic
        ticks renews =>
        pay first
        on 2026-02-28
        ticks renews => granted 3000000, month 1 for 3000 cents
        ticks renews =>
        on 2029-01-31
        tick renews => granted 3000000, month 2 for 3000 cents
        "
    ));
    // Thirty-four months are left, each of them a change of its own.
    let said = script::run(&mut world, "ticks renews");
    assert_eq!(said.split("; ").count(), 34, "{said}");
    let granted = grants(&world);
    assert_eq!(granted.len(), 37);
    assert_eq!(granted.last().expect("there are grants").0, "2029-01-31:period");
    assert_eq!(script::run(&mut world, "pay none"), "no nothing_due");
    world.rebuild();
}

#[test]
fn a_year_is_granted_month_by_month_and_the_last_month_takes_the_remainder() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        plan year
        pay one => granted 1000000, month 0 for 833 cents
        on 2026-02-27
        ticks =>
        on 2026-02-28
        ticks => granted 1000000, month 1 for 833 cents
        on 2026-12-30
        pay two => no nothing_due
        on 2027-01-31
        tick
        pay two => no invalid_field subscription
        ticks
        subscription => year past_due 2027-01-31 to 2028-01-31
        on 2027-03-05
        pay two => granted 1000000, month 12 for 833 cents
        ticks => granted 1000000, month 13 for 833 cents
        subscription => year active 2027-01-31 to 2028-01-31
        "
    ));
    let granted = grants(&world);
    let first_year = &granted[..12];
    assert_eq!(first_year[0], ("2026-01-31:period".to_owned(), 1_000_000, 833));
    assert_eq!(first_year[11], ("2026-12-31:month".to_owned(), 1_000_000, 837));
    assert_eq!(first_year.iter().map(|line| line.2).sum::<i64>(), 10_000);
    assert_eq!(granted[12].0, "2027-01-31:period");
    assert_eq!(granted.len(), 14);
    // Eleven months are paid and not granted yet, less the one of February.
    let payments = world.account.payments.as_deref().expect("there is a subscription");
    let subscription = payments.subscription.as_deref().expect("it runs");
    assert_eq!((subscription.cents_left, subscription.month_cents), (10_000 - 2 * 833, 833));
}

#[test]
fn a_dearer_year_is_paid_for_the_rest_of_the_year_and_brings_more_every_month() {
    // A year from 1 January 2026: 365 days. On 11 January 355 are left, and 21 of 31 in the month.
    let world = check(&format!(
        "{PLANS}
        on 2026-01-01
        plan year
        pay one
        on 2026-01-11
        plan years => change 1 to years: 11672 cents for 677419 until 2027-01-01
        on 2026-03-01
        ticks => granted 1000000, month 1 for 833 cents; granted 1000000, month 2 for 833 cents
        pay up change => granted 2677419, change 1 for 2676 cents
        subscription => years active 2026-01-01 to 2027-01-01
        on 2026-04-01
        ticks => granted 2000000, month 3 for 1832 cents
        on 2027-01-01
        ticks
        "
    ));
    let granted = grants(&world);
    // 12,000 × 355 ÷ 365 rounded up is 11,672; with the first price 21,672 cents were paid. The
    // change brings 677,419 for January and 2,000,000 for two months; 9,000,000 are to come. So its
    // grant takes 11,672 × 2,677,419 ÷ 11,677,419 cents, and each month to come 8,996 ÷ 9 more.
    assert_eq!(granted.iter().map(|line| line.2).sum::<i64>(), 21_672, "i15: {granted:?}");
    assert_eq!(granted.last(), Some(&("2026-12-01:month".to_owned(), 2_000_000, 1_841)));
    assert_eq!(granted.len(), 13);
}

#[test]
fn a_free_year_ends_before_the_next_one_is_paid() {
    check(
        "
        plans free=0/100_000/year year=10000/1_000_000/year
        on 2026-01-31
        plan free => started free
        ticks => granted 100000, month 0 for 0 cents
        on 2027-02-01
        plan year => change 1 to year planned
        pay one => no invalid_field subscription
        tick => month 11 skipped
        pay one => granted 1000000, month 12 for 833 cents
        ",
    );
}

#[test]
fn a_free_plan_grants_at_once_and_then_only_while_it_is_used() {
    let world = check(&format!(
        "{PLANS}
        on 2026-01-31
        plan free => started free
        subscription => free active 2026-01-31 to 2026-02-28
        ticks => granted 100000, month 0 for 0 cents
        pay none => no nothing_due
        on 2026-02-28
        ticks => month 1 skipped
        charge message
        void g1 => voided g1:99500
        on 2026-03-31
        ticks => granted 100000, month 2 for 0 cents
        charge message
        on 2026-09-01
        ticks => granted 100000, month 7 for 0 cents
        ticks =>
        on 2027-09-01
        ticks => month 19 skipped
        cancel => ends 2027-09-30
        plan free => resumed
        cancel
        on 2027-09-30
        ticks => ended
        ticks =>
        "
    ));
    let expected = [
        ("2026-01-31:month", 100_000, 0),
        ("2026-03-31:month", 100_000, 0),
        ("2026-08-31:month", 100_000, 0),
    ];
    assert_eq!(grants(&world), lines(&expected));
}

#[test]
fn up_and_down_again_mints_nothing() {
    let world = check(&format!(
        "{PLANS}
        on 2026-04-01
        plan basic
        pay one => granted 3000000, month 0 for 3000 cents
        on 2026-04-16
        plan pro => change 1 to pro: 1500 cents for 2000000 until 2026-05-01
        plan pro => unchanged
        plan basic => change 1 dropped
        plan basic => unchanged
        pay up change => no nothing_due
        plan pro => change 2 to pro: 1500 cents for 2000000 until 2026-05-01
        pay up change => granted 2000000, change 2 for 1500 cents
        pay up change => replay
        pay up => no idempotency_key_reused change
        pay again change => no nothing_due
        plan basic => change 3 to basic planned
        plan basic => unchanged
        plan pro => change 3 dropped
        plan free => change 4 to free planned
        on 2026-05-01
        ticks => month 1 skipped
        subscription => free active 2026-05-01 to 2026-06-01
        plan basic => change 5 to basic: 3000 cents for 2900000 until 2026-06-01
        on 2026-06-01
        ticks => change 5 dropped; month 2 skipped
        pay up2 change => no nothing_due
        charge message
        on 2026-07-01
        ticks => granted 100000, month 3 for 0 cents
        plan pro
        pay up3 change => granted 6900000, change 6 for 6000 cents
        on 2026-08-01
        ticks => past due
        "
    ));
    let expected = [
        ("2026-04-01:period", 3_000_000, 3_000),
        ("2026-04-01:change-2", 2_000_000, 1_500),
        ("2026-07-01:month", 100_000, 0),
        ("2026-07-01:change-6", 6_900_000, 6_000),
    ];
    assert_eq!(grants(&world), lines(&expected));
}

#[test]
fn a_cancellation_takes_effect_with_the_period_and_can_be_taken_back_until_then() {
    let world = check(&format!(
        "{PLANS}
        cancel => no subscription_not_found
        pay one => no subscription_not_found
        tick => unchanged
        on 2026-04-01
        plan basic
        plan pro => started pro
        plan pro => unchanged
        cancel => ended
        cancel => no subscription_not_found
        pay one => no nothing_due
        plan basic => started basic
        pay one => granted 3000000, month 0 for 3000 cents
        plan pro => change 1 to pro: 3000 cents for 4000000 until 2026-05-01
        cancel => ends 2026-05-01
        cancel => unchanged
        subscription => basic canceled 2026-04-01 to 2026-05-01
        plan basic => resumed
        pay up change => no nothing_due
        plan pro
        cancel => ends 2026-05-01
        pay up change => no nothing_due
        plan pro => change 3 to pro: 3000 cents for 4000000 until 2026-05-01
        pay up change => granted 4000000, change 3 for 3000 cents
        plan basic => change 4 to basic planned
        subscription => pro active 2026-04-01 to 2026-05-01, then basic
        cancel => ends 2026-05-01
        on 2026-05-01
        pay two => no nothing_due
        ticks => ended
        subscription => pro ended 2026-04-01 to 2026-05-01
        ticks renews =>
        plan basic => started basic
        pay two => granted 3000000, month 0 for 3000 cents
        on 2026-06-15
        tick => past due
        cancel => ended
        pay three => no nothing_due
        "
    ));
    // Credit stays.
    assert_eq!(world.account.balance.available.get(), 10_000_000);
}

#[test]
fn a_change_keeps_the_interval_and_a_plan_must_be_on_sale() {
    check(&format!(
        "{PLANS}
        plan nothing => no plan_not_found
        on 2026-04-01
        plan basic
        plan year => started year
        plan basic => started basic
        pay one
        plan year => no plan_interval_differs
        plan nothing => no plan_not_found
        plans pro=9000/9_000_000/month
        plan basic => unchanged
        cancel
        plan basic => resumed
        subscription => basic active 2026-04-01 to 2026-05-01
        on 2026-05-01
        pay two => granted 3000000, month 1 for 3000 cents
        cancel
        on 2026-06-01
        ticks => ended
        plan basic => no plan_not_found
        plan pro => started pro
        "
    ));
}

#[test]
fn a_plan_that_is_past_due_or_brings_no_more_changes_with_the_next_period() {
    check(&format!(
        "{PLANS}
        plans basic=3000/3_000_000/month pro=6000/7_000_000/month dear=9000/3_000_000/month
        on 2026-04-01
        plan basic
        pay one
        plan dear => change 1 to dear planned
        on 2026-05-20
        ticks => past due
        plan pro => change 2 to pro planned
        pay two => granted 7000000, month 1 for 6000 cents
        subscription => pro active 2026-05-01 to 2026-06-01
        "
    ));
}

#[test]
fn a_period_repays_debt_before_its_credit_is_available() {
    check(&format!(
        "{PLANS}
        on 2026-04-01
        grant top_up 30_000 origin=pay_1 paid=30
        charge message x60
        lost g1 30
        plan basic
        pay one => granted 3000000, month 0 for 3000 cents, repaid g2:30000
        balance => 2970000
        void g2 => no grant_was_paid
        lost g2 1_500 => no invalid_field grant
        loss one 1_500 => lost 1500 cents, taken g2:1500000
        "
    ));
}

#[test]
fn an_admin_or_key_chooses_a_plan_and_only_the_platform_confirms_it() {
    check(&format!(
        "{PLANS}
        join ada admin
        join bob member
        new_key manage
        plan basic by=bob => no forbidden
        plan basic by=ada => started basic
        plan pro by=k1 => started pro
        pay one by=ada => no forbidden
        pay one by=k1 => no forbidden
        tick by=k1 => no forbidden
        tick key=a => no invalid_field idempotency_key
        cancel by=bob => no forbidden
        cancel by=ada => ended
        elsewhere plan basic => no workspace_not_found
        elsewhere pay one => no workspace_not_found
        elsewhere tick => no workspace_not_found
        "
    ));
}

#[test]
fn nobody_else_grants_for_a_subscription_that_runs_here() {
    let mut world = check(&format!("{PLANS}\non 2026-04-01\nplan basic\npay one"));
    let origin = world.journal.iter().find_map(|(entry, _)| match &entry.body {
        EntryBody::Granted { origin, .. } => origin.clone(),
        _ => None,
    });
    let origin = origin.expect("it was granted").replace("2026-04", "2026-05");
    let output = script::run(&mut world, &format!("grant subscription 500 origin={origin}"));
    assert_eq!(output, "no invalid_field origin");
    assert_eq!(script::run(&mut world, "grant subscription 500 origin=sub_1:2026-05"), "granted 500");
    for source in ["subscription", "top_up"] {
        let output = script::run(&mut world, &format!("grant {source} 500 origin=stripe:pi_1"));
        assert_eq!(output, "no invalid_field origin", "a payment at the provider has that key");
    }
}

#[test]
fn due_at_is_the_first_time_at_which_a_tick_writes() {
    let mut world = check(&format!("{PLANS}\non 2026-01-31\nplan year\npay one"));
    let mut times = Vec::new();
    while let Some(at) = {
        let payments = world.account.payments.as_deref().expect("there is a subscription");
        payments.subscription.as_deref().expect("it runs").due_at()
    } {
        world.now = crate::Timestamp::from_millis(at.millis() - 1);
        assert_eq!(script::run(&mut world, "tick"), "unchanged", "before {}", at.rfc3339());
        world.now = at;
        let output = script::output_of(&mut world, "tick");
        assert!(matches!(output, Output::Wrote(_)), "at {}", at.rfc3339());
        times.push(at);
    }
    assert_eq!(times.len(), 12, "eleven months and the period that is past due");
    assert_eq!(script::run(&mut world, "subscription"), "year past_due 2027-01-31 to 2028-01-31");
}

#[test]
fn the_next_grant_is_known_unless_it_waits_for_a_payment_or_the_end_comes_first() {
    check(&format!(
        "{PLANS}
        on 2026-01-31
        plan year => started year
        next grant => none
        pay first => granted 1000000, month 0 for 833 cents
        next grant => 2026-02-28
        on 2026-02-28
        next grant => 2026-02-28
        ticks => granted 1000000, month 1 for 833 cents
        next grant => 2026-03-31
        cancel => ends 2027-01-31
        next grant => 2026-03-31
        "
    ));
    check(&format!(
        "{PLANS}
        on 2026-01-31
        plan basic => started basic
        pay first => granted 3000000, month 0 for 3000 cents
        next grant => 2026-02-28
        cancel => ends 2026-02-28
        next grant => none
        plan basic => resumed
        next grant => 2026-02-28
        on 2026-02-28
        ticks => past due
        next grant => none
        pay second => granted 3000000, month 1 for 3000 cents
        next grant => 2026-03-31
        "
    ));
    check(&format!(
        "{PLANS}
        on 2026-01-31
        plan free => started free
        next grant => 2026-01-31
        ticks => granted 100000, month 0 for 0 cents
        next grant => 2026-02-28
        cancel => ends 2026-02-28
        next grant => none
        "
    ));
}

#[test]
fn damaged_subscriptions_never_panic() {
    for script in
        ["plan year\npay one\nplan years", "plan basic\npay one\nplan free", "plan free\nticks\ncancel"]
    {
        let world = check(&format!("{PLANS}\non 2026-01-31\n{script}"));
        let payments = world.account.payments.as_deref().expect("there is a subscription");
        // Cut after the list of top-ups, the bytes are those of earlier versions.
        check_damaged_payments(
            payments,
            |index, _| index == 2,
            |read| {
                let _ = read.subscription.as_deref().and_then(crate::Subscription::due_at);
            },
        );
    }
}
