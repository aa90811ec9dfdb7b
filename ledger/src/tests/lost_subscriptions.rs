//! Payments of subscriptions that are lost: what they brought goes, also month by month what they
//! still bring, and it comes back if they are won.

use super::world::World;
use super::{check, check_damaged_payments, script};
use crate::{Micros, Payments};

const PLANS: &str = "
    plans basic=3000/3_000_000/month pro=6000/7_000_000/month year=12000/1_000_000/year years=24000/3_000_000/year cheap=59/1_000/year
    on 2026-01-31
";

fn payments(world: &World) -> &Payments {
    world.account.payments.as_deref().expect("there is a subscription")
}

/// The available credit and the debt.
fn balance(world: &World) -> (i64, i64) {
    let balance = world.account.balance;
    (balance.available.get(), balance.debt.get())
}

/// The day, what happens on it, and the credit and the debt after it. Half of the first month was
/// spent; each month brings a million.
const YEAR_DISPUTED_WON_AND_REFUNDED: [(&str, &str, (i64, i64)); 17] = [
    ("2026-01-31", "pay one", (1_000_000, 0)),
    ("2026-02-10", "charge try_on x25", (500_000, 0)),
    ("2026-02-28", "tick", (1_500_000, 0)),
    ("2026-03-31", "tick", (2_500_000, 0)),
    ("2026-04-10", "loss one 12_000", (0, 500_000)),
    ("2026-04-30", "tick", (0, 500_000)),
    ("2026-05-31", "tick", (0, 500_000)),
    ("2026-06-05", "loss one 0", (4_500_000, 0)),
    ("2026-06-30", "tick", (5_500_000, 0)),
    ("2026-07-31", "tick", (6_500_000, 0)),
    ("2026-08-15", "loss one 12_000", (0, 500_000)),
    ("2026-08-31", "tick", (0, 500_000)),
    ("2026-09-30", "tick", (0, 500_000)),
    ("2026-10-31", "tick", (0, 500_000)),
    ("2026-11-30", "tick", (0, 500_000)),
    ("2026-12-31", "tick", (0, 500_000)),
    ("2027-01-31", "pay two", (500_000, 0)),
];

#[test]
fn a_year_disputed_after_three_months_won_after_five_and_refunded_after_seven_is_exact() {
    let mut world = check(&format!("{PLANS}\nplan year"));
    for (day, line, expected) in YEAR_DISPUTED_WON_AND_REFUNDED {
        script::run(&mut world, &format!("on {day}"));
        let said = script::run(&mut world, line);
        assert!(!said.starts_with("no ") && said != "unchanged", "{day} {line}: {said}");
        assert_eq!(balance(&world), expected, "{day} {line}: {said}");
        if line.starts_with("loss") {
            assert_eq!(script::run(&mut world, line), "unchanged");
        }
    }
    let kept = payments(&world);
    assert_eq!(kept.paid_cents("manual:one"), Some(12_000));
    assert_eq!(kept.paid_parts("manual:one").len(), 12);
    assert_eq!(kept.lost_cents("manual:two"), Some(0));
    world.rebuild();
}

#[test]
fn a_year_of_which_a_part_is_lost_brings_the_rest_month_by_month() {
    let mut world = check(&format!(
        "{PLANS}
        plan year
        pay one
        loss one 4_000 => lost 4000 cents, taken g1:333333
        on 2026-03-31
        ticks => granted 1000000, month 1 for 1000 cents, taken g2:333333; granted 1000000, month 2 for 1000 cents, taken g3:333333
        loss one 8_000 => lost 8000 cents, taken g1:333333, taken g2:333333, taken g3:333333
        balance => 1000002
        loss one 1 => lost 1 cents, given back g1:666583, given back g2:666583, given back g3:666583
        on 2027-01-30
        ticks
        "
    ));
    // A cent of 12,000: 83 micro-units of each month, and the cent is on the last one.
    assert_eq!(balance(&world), (12_000_000 - 12 * 83, 0));
    let lost = payments(&world).lost_parts("manual:one");
    let lost: Vec<i64> = lost.iter().map(|loss| loss.lost_cents).collect();
    assert_eq!(lost, [[0; 11].as_slice(), &[1]].concat());
    script::run(&mut world, "loss one 99_999");
    assert_eq!(balance(&world), (0, 0));
    world.rebuild();
}

#[test]
fn a_month_that_two_payments_paid_for_loses_what_the_lost_one_brought() {
    // At the beginning of the year, the change costs 12,000 more and brings 2,000,000 more a month.
    let world = check(&format!(
        "{PLANS}
        plan year
        pay one
        plan years => change 1 to years: 12000 cents for 2000000 until 2027-01-31
        pay up change => granted 2000000, change 1 for 1000 cents
        on 2026-02-28
        ticks => granted 3000000, month 1 for 2000 cents
        loss up 12_000 => lost 12000 cents, taken g2:2000000, taken g3:2000000
        balance => 2000000
        on 2026-03-31
        ticks => granted 3000000, month 2 for 2000 cents, taken g4:2000000
        balance => 3000000
        loss one 6_000 => lost 6000 cents, taken g1:500000, taken g3:500000, taken g4:500000
        balance => 1500000
        loss up 0 => lost 0 cents, given back g2:2000000, given back g3:2000000, given back g4:2000000
        balance => 7500000
        on 2026-04-30
        ticks => granted 3000000, month 3 for 2000 cents, taken g5:500000
        loss one 0
        balance => 12000000
        "
    ));
    let payments = payments(&world);
    let of_grant: Vec<&str> = payments.payments_of(world.grants[2].id).collect();
    assert_eq!(of_grant, ["manual:one", "manual:up"]);
    let left: Vec<i64> = payments.of_subscriptions.iter().map(|payment| payment.cents_left()).collect();
    assert_eq!(left, [8_000, 8_000], "i15");
}

#[test]
fn the_credit_of_a_free_year_is_of_no_payment() {
    check(&format!(
        "{PLANS}
        plans gift=0/100_000/year year=12000/1_000_000/year
        plan gift
        ticks => granted 100000, month 0 for 0 cents
        plan year
        pay up change => granted 900000, change 1 for 1000 cents
        loss up 12_000 => lost 12000 cents, taken g2:900000
        on 2026-02-28
        ticks => granted 1000000, month 1 for 1000 cents, taken g3:900000
        balance => 200000
        "
    ));
}

#[test]
fn all_credit_of_a_lost_payment_goes_also_where_a_month_took_no_cent() {
    // 59 cents for a year: each month takes 4, the last one 15.
    let world = check(&format!(
        "{PLANS}
        plan cheap
        pay one => granted 1000, month 0 for 4 cents
        loss one 1 => lost 1 cents, taken g1:16
        loss one 58 => lost 58 cents, taken g1:967
        loss one 59 => lost 59 cents, taken g1:17
        on 2026-02-28
        ticks => granted 1000, month 1 for 4 cents, taken g2:1000
        balance => 0
        "
    ));
    assert_eq!(payments(&world).paid_cents("manual:one"), Some(59));
}

#[test]
fn a_monthly_period_is_lost_and_won_like_a_top_up_also_after_the_subscription_ended() {
    let world = check(&format!(
        "{PLANS}
        loss one 1 => no invalid_field payment
        plan basic
        pay one
        charge try_on x100
        loss one 3_000 => lost 3000 cents, taken g1:1000000 owed 2000000
        on 2026-02-28
        pay two => granted 3000000, month 1 for 3000 cents, repaid g2:2000000
        cancel
        on 2026-03-31
        ticks => ended
        plan pro
        pay three
        loss two 1_500 disputed=1_501 => no invalid_field disputed_cents
        loss two 1_500 disputed=-1 => no invalid_field disputed_cents
        loss two 1_500 disputed=500 => lost 1500 cents, taken g2:1000000 g3:500000
        loss one 0 => lost 0 cents, given back g2:2000000 g1:1000000, exchanged g2:500000 for g3:500000
        balance => 9500000
        lost g1 0 => no invalid_field grant
        "
    ));
    assert_eq!(payments(&world).of_subscriptions.len(), 3);
}

#[test]
fn a_payment_has_one_name_over_top_ups_and_subscriptions() {
    let mut world = check(&format!("{PLANS}\nplan basic\ntop_up 500\ncheckout 500\npaid t2 pi_1 500"));
    let (top_up, subscription) =
        (world.top_ups[0], payments(&world).subscription.as_deref().expect("it waits").id);
    for taken in [format!("{top_up}"), format!("{subscription}:2026-02-28T00:00:00.000Z")] {
        assert_eq!(script::run(&mut world, &format!("pay {taken}")), "no invalid_field payment");
    }
    script::run(&mut world, "pay one");
    assert_eq!(script::run(&mut world, "confirm t1"), "granted 500000, paid");
    let mut twice = payments(&world).clone();
    let paid = twice.of_subscriptions[0].payment.clone();
    let change = crate::PaymentChange::TopUpSucceeded {
        top_up: world.top_ups[0],
        payment: paid,
        grant: world.grants[0].id,
        tax_cents: 0,
    };
    let refused = twice.apply(&change, world.grants.first(), world.now);
    assert_eq!(refused, Err(crate::Violation("i12: a payment pays twice")));
}

#[test]
fn damaged_payments_of_subscriptions_never_panic() {
    let world = check(&format!(
        "{PLANS}\nplan year\npay one\nplan years\npay up change\non 2026-02-28\nticks\nloss up 5_000\nloss one 7"
    ));
    let kept = payments(&world);
    assert_eq!(kept.of_subscriptions.len(), 2);
    check_damaged_payments(
        kept,
        |_, read| read.subscription.is_none(),
        |read| {
            for payment in &read.of_subscriptions {
                let parts = read.lost_parts(&payment.payment);
                assert!(parts.iter().all(|part| part.credit >= Micros::ZERO));
                assert!(parts.iter().all(|part| read.loss_of(part.grant).is_some()));
            }
        },
    );
}
