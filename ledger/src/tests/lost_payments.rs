//! What is lost of a payment: in any order of reports, what is taken and owed is the lost
//! part of what the payment brought.

use super::world::World;
use super::{check, script};
use crate::Micros;

#[test]
fn credit_of_a_pending_charge_that_returns_after_its_payment_was_lost_goes_to_the_shortfall() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=1_000
        charge message x2 await timeout=60
        lost g1 1_000 => taken owed 1000
        balance => 0, pending 1000, debt 1000
        fail c1 system => refunded 1000 failed_system g1:1000, repaid g1:1000
        balance => 0
        lost g1 400 => given back g1:600
        balance => 600
        ",
    );
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=1_000
        charge message x2 await timeout=60
        grant promotional 700
        lost g1 600 => taken g2:600
        wait 1m
        time_out c1 => refunded 1000 timed_out g1:1000, exchanged g1:600 for g2:600
        grants => g1 400/1000, g2 700/700
        ",
    );
}

#[test]
fn the_target_is_a_share_of_the_grant_rounded_down() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=3
        lost g1 1 => taken g1:333
        lost g1 1 => unchanged
        lost g1 2 => taken g1:333
        lost g1 3 => taken g1:334
        balance => 0
        lost g1 0 => given back g1:1000
        grant subscription 1 origin=sub_1 paid=500
        lost g2 499 => unchanged
        lost g2 500 => taken g2:1
        ",
    );
    let largest = Micros::MAX.share(i64::MAX - 1, i64::MAX);
    assert_eq!(largest, Some(Micros::MAX - Micros::new(1)), "nothing overflows");
}

#[test]
fn no_more_is_lost_than_was_paid_and_nothing_of_a_grant_that_nobody_paid_for() {
    check(
        "
        lost g1 1 => no grant_not_found
        grant top_up 1_000 origin=pay_1 paid=100
        lost g1 -1 => no invalid_field lost_cents
        lost g1 101 => no invalid_field lost_cents
        lost g1 9223372036854775807 => no invalid_field lost_cents
        lost g1 -9223372036854775808 => no invalid_field lost_cents
        grant promotional 500
        lost g2 0 => no invalid_field grant
        grant subscription 500 origin=free:1 paid=0
        lost g3 1 => no invalid_field grant
        balance => 2000
        ",
    );
}

#[test]
fn the_same_request_under_a_key_is_answered_once() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=100
        lost g1 50 key=a => taken g1:500
        lost g1 0 => given back g1:500
        lost g1 50 key=a => replay
        lost g1 51 key=a => no idempotency_key_reused lost_cents
        lost g1 50 key=a evidence=re_1 => no idempotency_key_reused evidence
        grant top_up 1_000 origin=pay_2 paid=100
        lost g2 50 key=a => no idempotency_key_reused grant
        balance => 2000
        ",
    );
}

#[test]
fn what_is_owed_is_forgiven_first_then_what_was_taken_last_is_given_back() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=1_000
        charge message
        grant promotional 100
        grant adjustment 200
        lost g1 900 => taken g1:500 g2:100 g3:200 owed 100
        lost g1 850 => given back forgiven 50
        balance => 0, debt 50
        lost g1 700 => given back g3:100 forgiven 50
        lost g1 550 => given back g3:100 g2:50
        lost g1 500 => given back g2:50
        grants => g1 0/1000, g2 100/100, g3 200/200
        lost g1 0 => given back g1:500
        balance => 800
        ",
    );
}

#[test]
fn what_is_given_back_serves_voided_grants_and_other_debt_first() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=1_000
        grant top_up 1_000 origin=pay_2 paid=1_000
        charge message x2
        grant promotional 300
        lost g1 1_000 => taken g3:300 g2:700
        void g3 => voided g3:0
        lost g2 1_000 => taken g2:300 owed 700
        balance => 0, debt 700
        lost g1 800 => given back g2:200, repaid g2:200
        balance => 0, debt 500
        lost g1 0 => given back g2:500 g3:300, return taken g3:300, repaid g2:500
        balance => 0
        lost g2 0 => given back g2:1000
        balance => 1000
        ",
    );
}

#[test]
fn a_ledger_that_took_back_per_dispute_goes_on_by_targets() {
    check(
        "
        grant top_up 1_000 origin=pay_1 paid=100
        charge message
        claw_back g1 300 dispute=d1 => taken g1:300
        claw_back g1 400 dispute=d2 => taken g1:200
        balance => 0, debt 200
        lost g1 70 => unchanged
        lost g1 80 => taken owed 100
        lost g1 50 => given back forgiven 300
        lost g1 20 => given back g1:200 g1:100
        restore dispute=d1 => restored g1:200
        lost g1 0 => unchanged
        balance => 500
        ",
    );
}

/// What the provider may report of a top-up of 100.00: a part of 30.00 is refunded; the other 70.00
/// are disputed; the dispute is won; the 70.00 are refunded; that refund fails.
const EVENTS: usize = 5;
const PART: usize = 0;
const DISPUTED: usize = 1;
const WON: usize = 2;
const REST: usize = 3;
const FAILED: usize = 4;

/// The cents that are lost when these events have happened.
fn lost_cents(happened: [bool; EVENTS]) -> i64 {
    let mut lost = 0;
    if happened[PART] {
        lost += 3_000;
    }
    if happened[DISPUTED] && !happened[WON] {
        lost += 7_000;
    }
    if happened[REST] && !happened[FAILED] {
        lost += 7_000;
    }
    lost.min(10_000)
}

/// Available and debt in cents while 50.00 of the 100.00 are spent, worked out by hand.
fn by_hand(lost_cents: i64) -> (i64, i64) {
    match lost_cents {
        0 => (5_000, 0),
        3_000 => (2_000, 0),
        7_000 => (0, 2_000),
        10_000 => (0, 5_000),
        other => panic!("{other} cents cannot be lost"),
    }
}

fn orders(left: &[usize]) -> Vec<Vec<usize>> {
    if left.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: &usize| {
        let rest: Vec<usize> = left.iter().copied().filter(|event| event != first).collect();
        orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat()).collect::<Vec<_>>()
    };
    left.iter().flat_map(with_first).collect()
}

#[test]
fn a_half_spent_top_up_is_exact_after_each_report_in_every_order() {
    let orders = orders(&[PART, DISPUTED, WON, REST, FAILED]);
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut world = World::new();
        script::run(&mut world, "grant top_up 10_000_000 origin=pay_1 paid=10_000");
        assert_eq!(script::run(&mut world, "charge try_on x250"), "charged 5000000 g1:5000000");
        let mut happened = [false; EVENTS];
        for event in &order {
            happened[*event] = true;
            let lost = lost_cents(happened);
            // Each report comes twice.
            script::run(&mut world, &format!("lost g1 {lost}"));
            assert_eq!(script::run(&mut world, &format!("lost g1 {lost}")), "unchanged");
            let balance = world.account.balance;
            let cents = (balance.available.get() / 1_000, balance.debt.get() / 1_000);
            assert_eq!(cents, by_hand(lost), "{order:?} after {event}");
            let id = world.grants[0].id;
            assert_eq!(world.account.claw_backs.lost_of(id).get(), lost * 1_000, "{order:?}");
        }
        world.rebuild();
    }
}

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A random command; what is paid for a grant is not a divisor of what it brings.
fn random_command(numbers: &mut Numbers, world: &World, targets: &mut [i64]) -> String {
    let charge = 1 + numbers.below(world.charges.len().max(1) as u64);
    match numbers.below(10) {
        0 => format!("grant promotional {}", 1 + numbers.below(900)),
        1 | 2 => format!("charge message x{}", 1 + numbers.below(4)),
        3 => format!("charge message x{} await timeout=60", 1 + numbers.below(4)),
        4 => format!("refund c{charge} {}", 1 + numbers.below(700)),
        5 => format!("fail c{charge} system"),
        _ => {
            let grant = numbers.below(targets.len() as u64) as usize;
            targets[grant] = numbers.below(301) as i64;
            format!("lost g{} {}", grant + 1, targets[grant])
        }
    }
}

#[test]
fn random_reports_among_charges_and_refunds_end_at_the_targets() {
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        let mut world = World::new();
        let mut targets = [0_i64; 3];
        for grant in 1..=targets.len() {
            script::run(&mut world, &format!("grant top_up 1_999 origin=pay_{grant} paid=300"));
        }
        for _ in 0..60 {
            let command = random_command(&mut numbers, &world, &mut targets);
            script::run(&mut world, &command);
            let mut lost_in_all = Micros::ZERO;
            for (grant, target) in world.grants.iter().zip(targets) {
                let lost = world.account.claw_backs.lost_of(grant.id);
                assert_eq!(lost.get(), 1_999 * target / 300, "seed {seed} after {command}");
                assert!(lost <= grant.amount);
                lost_in_all += lost;
            }
            let (balance, totals) = (world.account.balance, world.account.totals);
            let kept = totals.granted + totals.refunded - totals.charged - lost_in_all;
            assert_eq!(balance.available - balance.debt, kept, "seed {seed} after {command}");
        }
        world.rebuild();
    }
}
