//! Money that goes back: losses by payment, and payment refunds. In any order of what is said, what
//! is taken and owed is the lost part of what the payment brought.

use super::script::{command_of, output_of};
use super::world::{Output, World};
use super::{check, check_damaged_payments, script};
use crate::account::invariants;
use crate::{
    Balance, EntryBody, GrantId, Id, IdempotencyKey, LostPart, Micros, PaymentChange, PaymentRefundStatus,
    Payments, ProviderCall, ProviderChange, Timestamp, TopUp, TopUpId, Violation, Work, bounds,
};

#[test]
fn a_refund_at_a_provider_is_a_call_until_it_is_taken_over() {
    let mut world = check(
        "
        checkout 100
        paid t1 pi_1 100
        top_up 100
        confirm t2
        send_back t1 40 => 40 cents back, taken g1:40000
        send_back t2 40 => 40 cents back, taken g2:40000
        wait 1h
        renew r1 1 => unchanged
        renew r1 0 => call 1
        renew r1 0 => unchanged
        renew r2 0 => unchanged
        renew r9 0 => no invalid_field refund
        ",
    );
    let one = world.refunds[0];
    let payments = |world: &World| world.account.payments.as_deref().expect("there are refunds").clone();
    let due = [Work::CallRefund(one)];
    assert_eq!(payments(&world).due_work(world.now), due, "money that a person sends is no call");
    let kept = payments(&world).back.refunds[0].clone();
    assert_eq!((kept.generation, kept.renewed_at), (1, Some(world.now)));
    check_damaged_payments(&payments(&world), |_, read| read.back.refunds.is_empty(), |_| {});
    world.rebuild();
    script::run(&mut world, "place r1 re_1");
    assert_eq!(payments(&world).due_work(world.now), []);
    assert_eq!(script::run(&mut world, "renew r1 1"), "unchanged");
    world.rebuild();
    // Nobody may say what became of it, so the provider is asked a day later, and daily.
    let look_at = world.now.plus_seconds(86_400);
    let look = Work::LookAtRefund(one);
    assert_eq!(payments(&world).due_at(), Some(look_at));
    assert_eq!(payments(&world).due_work(look_at), [look]);
    assert!(payments(&world).is_looked_at_daily(look) && payments(&world).is_at_provider(look));
    script::run(&mut world, "place r2 re_2");
    assert_eq!(payments(&world).due_work(look_at), [look], "the other is a person's");
    script::run(&mut world, "sent r1");
    assert_eq!(payments(&world).due_at(), None);
}

#[test]
fn money_that_was_paid_at_a_provider_is_not_sent_by_hand() {
    let world = check(
        "
        checkout 100
        paid t1 pi_1 100
        send_back t1 40 by_hand => 40 cents back, taken g1:40000
        ",
    );
    let payments = world.account.payments.as_deref().expect("there is a refund");
    assert_eq!(payments.back.refunds[0].status, PaymentRefundStatus::Pending);
    assert_eq!(payments.due_work(world.now), [Work::CallRefund(world.refunds[0])]);
}

#[test]
fn a_call_is_due_at_once_although_a_clock_was_ahead() {
    let world = check("checkout 100\npaid t1 pi_1 100\nsend_back t1 40\nrenew r1 0 => call 1");
    let payments = world.account.payments.as_deref().expect("there is a refund");
    let set_right = Timestamp::from_millis(world.now.millis() - 86_400_000);
    assert_eq!(payments.due_work(set_right), [Work::CallRefund(world.refunds[0])]);
}

#[test]
fn a_call_of_a_refund_that_is_begun_anew_out_of_turn_breaks_an_invariant() {
    let world = check("checkout 100\npaid t1 pi_1 100\nsend_back t1 40\nsend_back t1 10\nplace r2 re_2");
    let payments = world.account.payments.as_deref().expect("there are refunds");
    let renew = |index: usize, generation| {
        let call = ProviderCall::PaymentRefund(world.refunds[index]);
        let change = ProviderChange::CallRenewed { call, generation };
        payments.clone().apply(&PaymentChange::Provider(change), None, world.now)
    };
    let twice = "i13: a payment refund is sent anew twice, or before it was sent";
    assert_eq!(renew(0, 0), Err(Violation(twice)));
    assert_eq!(renew(0, 2), Err(Violation(twice)));
    assert_eq!(renew(1, 1), Err(Violation("a payment refund is sent anew that does not wait")));
    assert_eq!(renew(0, 1), Ok(()));
}

#[test]
fn credit_of_a_pending_charge_that_returns_after_its_payment_was_refunded_goes_to_the_shortfall() {
    check(
        "
        top_up 100
        confirm t1
        charge message x120 await timeout=60
        send_back t1 => 40 cents back, taken g1:40000
        balance => 0, pending 60000
        loss t1 50 => lost 50 cents, taken owed 50000
        balance => 0, pending 60000, debt 50000
        fail c1 system => refunded 60000 failed_system g1:60000, repaid g1:50000
        balance => 10000
        bounced r1 => bounced, given back g1:40000
        grants => g1 50000/100000
        ",
    );
    check(
        "
        top_up 100
        confirm t1
        charge message x120 await timeout=60
        grant promotional 45_000
        loss t1 90 => lost 90 cents, taken g1:40000 g2:45000 owed 5000
        wait 1m
        time_out c1 => refunded 60000 timed_out g1:60000, repaid g1:5000, exchanged g1:45000 for g2:45000
        grants => g1 10000/100000, g2 45000/45000
        ",
    );
}

#[test]
fn a_refund_takes_the_credit_first_and_gives_it_back_if_it_fails() {
    let world = check(
        "
        top_up 1_000
        confirm t1
        charge try_on x10
        charge message
        send_back t1 300 key=a => 300 cents back, taken g1:300000
        balance => 499500
        send_back t1 300 key=a => replay
        place r1 re_1 => placed
        place r1 re_1 => unchanged
        send_back t1 => 499 cents back, taken g1:499000
        balance => 500
        send_back t1 => no nothing_to_refund
        sent r1 => sent
        sent r1 => unchanged
        bounced r2 => bounced, given back g1:499000
        bounced r2 => unchanged
        bounced r1 => bounced, given back g1:300000
        balance => 799500
        sent r1 => sent, taken g1:300000
        balance => 499500
        ",
    );
    let payments = world.account.payments.as_deref().expect("there is a top-up");
    let [first, second] = &payments.back.refunds[..] else { panic!("{payments:?}") };
    assert_eq!((first.status, second.status), (PaymentRefundStatus::Succeeded, PaymentRefundStatus::Failed));
    assert_eq!((first.placed.as_deref(), second.placed.as_deref()), (Some("re_1"), None));
    assert_eq!((first.ended_at, &*first.reason), (Some(world.now), "asked"));
    assert_eq!(payments.lost_cents(&first.payment), Some(300));
}

#[test]
fn a_refund_that_a_person_sends_has_succeeded_at_once() {
    check(
        "
        alerts 60_000
        top_up 100
        confirm t1
        send_back t1 60 by_hand key=a => 60 cents back, taken g1:60000, sent, low 60000
        send_back t1 60 key=a => replay
        send_back t1 61 by_hand key=a => no idempotency_key_reused amount_usd
        send_back t1 by_hand key=a => no idempotency_key_reused amount_usd
        send_back t1 60 by_hand reason=other key=a => no idempotency_key_reused reason
        top_up 60
        send_back t2 60 by_hand key=a => no idempotency_key_reused path
        loss t1 0 key=a => no idempotency_key_reused path
        top_up 60 key=a => no idempotency_key_reused path
        balance => 40000
        bounced r1 => bounced, given back g1:60000, recovered 60000
        ",
    );
}

#[test]
fn the_answer_of_a_refund_has_the_balance_after_its_change() {
    let mut world = check("top_up 100\nconfirm t1\ngrant promotional 700");
    let Output::Wrote(entries) = output_of(&mut world, "send_back t1 60 by_hand") else {
        panic!("it is accepted")
    };
    let last = entries.last().expect("there are entries").balance;
    assert_eq!(entries[0].balance_after_change(), last);
    assert_eq!(last, Balance { available: Micros::new(40_700), ..Balance::default() });
}

#[test]
fn what_can_go_back_is_whole_cents_of_unspent_credit_of_this_top_up() {
    check(
        "
        send_back t1 => no top_up_not_found
        top_up 100
        send_back t1 => no nothing_to_refund
        confirm t1
        top_up 100
        confirm t2
        charge message
        send_back t1 100 => no invalid_field 1 to 99 cents
        send_back t1 0 => no invalid_field 1 to 99 cents
        send_back t1 -1 => no invalid_field 1 to 99 cents
        send_back t1 9223372036854775807 => no invalid_field 1 to 99 cents
        loss t1 40 => lost 40 cents, taken g1:40000
        send_back t1 60 => no invalid_field 1 to 59 cents
        send_back t1 => 59 cents back, taken g1:59000
        grants => g1 500/100000, g2 100000/100000
        elsewhere send_back t1 => no workspace_not_found
        ",
    );
    // More is unspent than was not lost: credit of a lost charge came back to the grant.
    check(
        "
        top_up 100
        confirm t1
        charge message x100
        loss t1 70 => lost 70 cents, taken g1:50000 owed 20000
        grant promotional 20_000 => granted 20000, repaid g2:20000
        refund c1 50_000 => refunded 50000 requested g1:50000, exchanged g1:20000 for g2:20000
        balance => 50000
        send_back t1 31 => no invalid_field 1 to 30 cents
        send_back t1 => 30 cents back, taken g1:30000
        ",
    );
}

#[test]
fn more_than_was_paid_may_be_lost_elsewhere_and_the_payment_is_then_lost_whole() {
    check(
        "
        top_up 100
        confirm t1
        loss t1 150 => lost 150 cents, taken g1:100000
        loss t1 150 => unchanged
        loss t1 120 => lost 120 cents
        loss t1 60 => lost 60 cents, given back g1:40000
        send_back t1 => 40 cents back, taken g1:40000
        loss t1 100 => lost 100 cents
        bounced r1 => bounced
        loss t1 9223372036854775807 => lost 9223372036854775807 cents
        sent r1 => sent
        loss t1 0 => lost 0 cents, given back g1:60000
        bounced r1 => bounced, given back g1:40000
        balance => 100000
        loss t1 -1 => no invalid_field elsewhere_cents
        loss t2 1 => no invalid_field payment
        ",
    );
}

#[test]
fn only_the_platform_sends_money_back_and_reports_losses() {
    check(
        "
        join ada admin
        new_key manage
        top_up 100
        confirm t1
        send_back t1 by=ada => no forbidden
        send_back t1 by=k1 => no forbidden
        loss t1 1 by=ada => no forbidden
        send_back t1 40
        sent r1 by=k1 => no forbidden
        bounced r1 by=ada => no forbidden
        place r1 re_1 by=k1 => no forbidden
        balance => 60000
        ",
    );
}

#[test]
fn a_refund_of_the_provider_belongs_to_one_refund() {
    check(
        "
        top_up 100
        confirm t1
        send_back t1 40
        send_back t1 40
        place r1 re_1
        place r1 re_2 => no invalid_field reference
        place r2 re_1 => no invalid_field reference
        place r2 re_2 => placed
        place r3 re_3 => no invalid_field refund
        sent r3 => no invalid_field refund
        bounced r3 => no invalid_field refund
        ",
    );
}

#[test]
fn the_evidence_of_a_loss_is_bounded() {
    let mut world = check("top_up 100\nconfirm t1");
    let long = "x".repeat(bounds::EVIDENCE_MAX_BYTES);
    assert_eq!(script::run(&mut world, &format!("loss t1 1 evidence={long}x")), "no invalid_field evidence");
    assert!(script::run(&mut world, &format!("loss t1 1 evidence={long}")).starts_with("lost 1 cents"));
}

#[test]
fn what_is_lost_of_a_kept_payment_is_not_said_of_its_grant() {
    let world = check(
        "
        top_up 100
        confirm t1
        lost g1 10 => no invalid_field grant
        grant top_up 1_000 origin=pay_1 paid=1
        lost g2 1 => taken g2:1000
        ",
    );
    let payments = world.account.payments.as_deref();
    let lost = |grant: usize| LostPart {
        grant: world.grants[grant].id,
        lost_cents: 1,
        paid_cents: 1,
        credit: Micros::new(1),
        evidence: "dp_1".into(),
    };
    let [kept, other] = [0, 1].map(|grant| EntryBody::ClawBackReduced {
        lost: lost(grant),
        forgiven: Micros::ZERO,
        returns: vec![],
    });
    assert!(kept.is_retired(payments), "earlier versions wrote it");
    assert!(!other.is_retired(payments) && !kept.is_retired(None));
}

/// A ledger of an earlier version may have taken credit for a grant whose payment is kept.
#[test]
fn a_loss_that_an_earlier_version_kept_is_first_reported_for_its_payment() {
    let mut world = check("top_up 100\nconfirm t1");
    let (grant, n) = (world.grants[0].id, world.grants[0].n);
    let lost = LostPart {
        grant,
        lost_cents: 30,
        paid_cents: 100,
        credit: Micros::new(30_000),
        evidence: "dp_1".into(),
    };
    let draws = vec![crate::Draw { grant: n, amount: Micros::new(30_000) }];
    world.write_alone(EntryBody::ClawBackIncreased { lost, owed: Micros::ZERO, draws });
    assert_eq!(script::run(&mut world, "send_back t1"), "no invalid_field top_up");
    assert_eq!(script::run(&mut world, "loss t1 0"), "lost 0 cents, given back g1:30000");
    assert_eq!(script::run(&mut world, "loss t1 0"), "unchanged");
    assert_eq!(script::run(&mut world, "loss t1 30"), "lost 30 cents, taken g1:30000");
    assert_eq!(script::run(&mut world, "send_back t1"), "70 cents back, taken g1:70000");
    world.rebuild();
}

#[test]
fn the_parts_of_several_grants_of_a_payment_sum_to_what_is_lost() {
    let mut payments = Payments::default();
    for (index, cents) in [3_333, 3_333, 3_334, 1].into_iter().enumerate() {
        let id = TopUpId(Id::v7(0, 0, index as u64));
        let now = crate::Timestamp::ZERO;
        let mut top_up = TopUp::opened(id, cents, crate::TopUpWay::Manual, now);
        top_up.succeed("annual".into(), GrantId(Id::v7(0, 1, index as u64)), now);
        payments.top_ups.push(top_up);
    }
    assert_eq!(payments.paid_cents("annual"), Some(10_001));
    assert_eq!(payments.lost_parts("monthly"), []);
    for elsewhere_cents in [1, 2, 3, 4, 3_333, 3_334, 5_000, 9_999, 10_000, 10_001, 20_000] {
        payments.back.losses = vec![crate::Loss { payment: "annual".into(), elsewhere_cents }];
        let parts = payments.lost_parts("annual");
        let sum: i64 = parts.iter().map(|part| part.lost_cents).sum();
        assert_eq!(sum, elsewhere_cents.min(10_001));
        assert!(parts.iter().all(|part| (0..=part.paid_cents).contains(&part.lost_cents)));
    }
}

#[test]
fn an_entry_that_sends_back_more_than_is_left_breaks_an_invariant() {
    let world = check(
        "
        top_up 100
        top_up 100
        confirm t1
        confirm t2
        send_back t1 60
        place r1 re_1
        ",
    );
    let payments = world.account.payments.as_deref().expect("there are top-ups").clone();
    let [one, two] = [0, 1].map(|index| world.top_ups[index]);
    let refund = |number| crate::PaymentRefundId(Id::v7(0, 0, number));
    let name = |top_up| TopUp::manual_payment(top_up).into_boxed_str();
    let requested = |number, top_up, payment: Box<str>, cents| crate::PaymentRefundChange::Requested {
        refund: refund(number),
        top_up,
        payment,
        cents,
        asked: None,
        reason: "asked".into(),
        by_hand: false,
    };
    let again = crate::PaymentRefundChange::Requested {
        refund: world.refunds[0],
        top_up: two,
        payment: name(two),
        cents: 1,
        asked: None,
        reason: "asked".into(),
        by_hand: false,
    };
    let lost = |payment: Box<str>, elsewhere_cents| crate::PaymentRefundChange::Lost {
        payment,
        elsewhere_cents,
        disputed_cents: 0,
        evidence: "dp_1".into(),
    };
    let placed =
        |refund, reference: &str| crate::PaymentRefundChange::Placed { refund, reference: reference.into() };
    for (change, why) in [
        (requested(9, one, name(one), 41), "i13: more goes back than is left of a payment"),
        (requested(9, one, name(one), 0), "i13: more goes back than is left of a payment"),
        (requested(9, one, name(two), 1), "i13: a payment refund is of another payment"),
        (again, "i13: a payment refund is requested twice"),
        (lost(name(one), -1), "i13: less than nothing is lost"),
        (lost("pay_9".into(), 1), "i13: a payment is lost that does not exist"),
        (placed(world.refunds[0], "re_2"), "a payment refund is placed twice"),
        (placed(world.refunds[0], "re_1"), "a refund of the provider is placed twice"),
        (
            crate::PaymentRefundChange::Succeeded { refund: refund(9) },
            "i13: an entry names a payment refund that does not exist",
        ),
    ] {
        let change = crate::PaymentChange::Refund(change);
        assert_eq!(payments.clone().apply(&change, None, world.now), Err(Violation(why)));
    }
}

#[test]
fn a_claw_back_of_another_part_than_its_payment_lost_breaks_an_invariant() {
    let world = check("top_up 100\nconfirm t1\nsend_back t1 60");
    let mut account = world.account.clone();
    let lost = LostPart {
        grant: world.grants[0].id,
        lost_cents: 61,
        paid_cents: 100,
        credit: Micros::new(61_000),
        evidence: "dp_1".into(),
    };
    let draws = vec![crate::Draw { grant: world.grants[0].n, amount: Micros::new(1_000) }];
    let body = EntryBody::ClawBackIncreased { lost, owed: Micros::ZERO, draws };
    let why = "i13: a lost part is not that of its payment";
    assert_eq!(account.foresee(&body), Err(Violation(why)));
}

#[test]
fn damaged_payments_with_refunds_never_panic() {
    let world = check(
        "
        top_up 100
        confirm t1
        send_back t1 20
        loss t1 30
        send_back t1 20 by_hand
        place r1 re_1
        bounced r2
        ",
    );
    let payments = world.account.payments.as_deref().expect("there are top-ups");
    assert_eq!((payments.back.refunds.len(), payments.back.losses.len()), (2, 1));
    // The bytes of an earlier version end before what went back.
    let is_earlier = |_, read: &Payments| read.back.is_empty();
    check_damaged_payments(payments, is_earlier, |read| {
        for refund in &read.back.refunds {
            let _ = read.lost_parts(&refund.payment);
        }
    });
}

/// What may be said of a top-up of 100.00, half of which is spent: a part of 30.00 is refunded
/// elsewhere; 70.00 are disputed; the dispute is won; what is left is refunded in full; that refund
/// fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    PartElsewhere,
    Disputed,
    Won,
    SentBack,
    Bounced,
}

/// What was said so far, and the payment refund as the test computes it.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    part: bool,
    disputed: bool,
    won: bool,
    own: Option<i64>,
    bounced: bool,
}

impl History {
    fn elsewhere(&self) -> i64 {
        let dispute = if self.disputed && !self.won { 7_000 } else { 0 };
        dispute + if self.part { 3_000 } else { 0 }
    }

    /// The closed formula.
    fn lost(&self) -> i64 {
        let own = self.own.filter(|_| !self.bounced).unwrap_or(0);
        (self.elsewhere() + own).min(10_000)
    }
}

fn orders(left: &[Said]) -> Vec<Vec<Said>> {
    if left.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: &Said| {
        let rest: Vec<Said> = left.iter().copied().filter(|said| said != first).collect();
        orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat()).collect::<Vec<_>>()
    };
    left.iter().flat_map(with_first).collect()
}

/// Says one of the events; the answer is checked where it is not the claw-back.
fn say(world: &mut World, history: &mut History, said: Said) {
    match said {
        Said::PartElsewhere => history.part = true,
        Said::Disputed => history.disputed = true,
        Said::Won => history.won = true,
        Said::SentBack => {
            let (unspent, left) = ((10_000 - history.lost() - 5_000).max(0), 10_000 - history.lost());
            let refundable = unspent.min(left);
            let answer = script::run(world, "send_back t1");
            if refundable == 0 {
                assert_eq!(answer, "no nothing_to_refund", "{history:?}");
            } else {
                history.own = Some(refundable);
                assert!(answer.starts_with(&format!("{refundable} cents back, taken")), "{answer}");
                assert_eq!(script::run(world, "sent r1"), "sent");
            }
        }
        Said::Bounced => {
            history.bounced = history.own.is_some();
            let answer = script::run(world, "bounced r1");
            assert_eq!(answer.starts_with("no "), history.own.is_none(), "{answer}");
        }
    }
    let elsewhere = history.elsewhere();
    script::run(world, &format!("loss t1 {elsewhere}"));
    // Each report comes twice.
    assert_eq!(script::run(world, &format!("loss t1 {elsewhere}")), "unchanged");
}

#[test]
fn a_half_spent_top_up_is_exact_after_each_event_in_every_order() {
    let all = [Said::PartElsewhere, Said::Disputed, Said::Won, Said::SentBack, Said::Bounced];
    let orders = orders(&all);
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut world = World::new();
        for line in ["top_up 10_000", "confirm t1", "charge try_on x250"] {
            script::run(&mut world, line);
        }
        let mut history = History::default();
        for (place, said) in order.iter().enumerate() {
            say(&mut world, &mut history, *said);
            let lost = history.lost();
            let Balance { available, pending, debt } = world.account.balance;
            let expected = (5_000 - lost).max(0) * 1_000;
            assert_eq!(available.get(), expected, "{:?} {history:?}", &order[..=place]);
            assert_eq!(debt.get(), (lost - 5_000).max(0) * 1_000, "{:?} {history:?}", &order[..=place]);
            assert_eq!(pending, Micros::ZERO);
            let taken_and_owed = world.account.claw_backs.lost_of(world.grants[0].id);
            assert_eq!(taken_and_owed.get(), lost * 1_000, "i13 {:?} {history:?}", &order[..=place]);
        }
        world.rebuild();
    }
}

#[test]
fn money_that_fits_nothing_is_noted_once_and_grants_nothing() {
    let world = check(
        "
        unmatched pi_1 500 => unmatched pi_1
        unmatched pi_1 500 => replay
        unmatched pi_1 900 currency=gbp key=other => replay
        unmatched pi_2 0 => unmatched pi_2
        unmatched pi_3 -1 => no invalid_field cents
        unmatched pi_3 1 currency=EUR => no invalid_field currency
        unmatched pi_3 1 currency=euro => no invalid_field currency
        balance => 0
        ",
    );
    let command = command_of(&world, "unmatched pi_1 500");
    let key = command.derived_key().expect("it is noted once");
    assert!(IdempotencyKey::new(key.as_str()).is_err(), "no caller chooses such a key");
    let granted = EntryBody::PlatformKeySet { hash: [0; 32] };
    assert!(invariants::payment_once(&granted, None).is_ok());
}
