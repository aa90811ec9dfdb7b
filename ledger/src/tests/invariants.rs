//! Each invariant is broken once: an account or entry that was made wrong by hand panics before it
//! could be committed.

use super::world::{World, acme};
use crate::account::invariants;
use crate::{
    Account, Actor, Alert, ChargeState, Crossing, Draw, Entry, EntryBody, Grant, GrantId, Id, IdempotencyKey,
    Micros, Outcome, Refund, Source, Status, Timestamp, Totals, UsageSums,
};

fn micros(amount: i64) -> Micros {
    Micros::new(amount)
}

/// A workspace with one promotional grant of 1,000 and one pending charge of 500.
fn acme_with_a_charge() -> World {
    super::check("grant promotional 1_000\ncharge message await")
}

fn record(account: &mut Account, body: EntryBody) -> Entry {
    account.record(body, None, Actor::Platform, Timestamp::ZERO)
}

fn refund(world: &World, amount: i64) -> Refund {
    let charge = &world.charges[0];
    Refund {
        charge: charge.details.id,
        opening_entry: charge.opening_entry,
        amount: micros(amount),
        reason: crate::RefundReason::Requested,
        detail: None,
        requested: None,
        from_pending: true,
        returns: vec![Draw { grant: 2, amount: micros(amount) }],
        taken: Micros::ZERO,
        state: charge.state,
        spender: charge.details.spender.clone(),
        windows: None,
        used: None,
    }
}

#[test]
#[should_panic(expected = "i01: an entry moves an amount below zero")]
fn i01_an_entry_moves_no_negative_amount() {
    let mut world = acme_with_a_charge();
    let body = EntryBody::ChargeRefunded(Box::new(refund(&world, -1)));
    record(&mut world.account, body);
}

#[test]
#[should_panic(expected = "i03: a grant gave more than it had")]
fn i03_a_grant_gives_what_it_has() {
    let mut world = acme_with_a_charge();
    let take = Draw { grant: 2, amount: micros(501) };
    record(
        &mut world.account,
        EntryBody::GrantVoided { grant: GrantId(Id::v7(0, 0, 0)), draws: vec![take], reason: None },
    );
}

#[test]
#[should_panic(expected = "i03: a grant got back more than its amount")]
fn i03_a_grant_gets_back_at_most_its_amount() {
    let mut world = acme_with_a_charge();
    let body = EntryBody::ChargeRefunded(Box::new(refund(&world, 501)));
    record(&mut world.account, body);
}

#[test]
#[should_panic(expected = "i03: what remains of a grant is negative or more than its amount")]
fn i03_a_new_grant_is_in_range() {
    let mut account = Account::new(acme());
    let grant = Grant {
        id: GrantId(Id::v7(0, 0, 0)),
        n: 1,
        source: Source::Promotional,
        amount: micros(5),
        remaining: micros(6),
        voided_at: None,
    };
    record(&mut account, EntryBody::Granted { grant, reason: None, origin: None, paid_cents: 0 });
}

#[test]
#[should_panic(expected = "i04: the available balance is not what remains in the grants")]
fn i04_available_is_what_remains_in_the_grants() {
    let mut world = acme_with_a_charge();
    world.account.balance.available += micros(1);
    record(&mut world.account, EntryBody::AlertsSet { thresholds: Vec::new(), cooldown_seconds: 0 });
}

#[test]
#[should_panic(expected = "i04: the available balance is negative")]
fn i04_available_is_never_negative() {
    let mut world = acme_with_a_charge();
    world.account.balance.available = micros(-1);
    record(&mut world.account, EntryBody::AlertsSet { thresholds: Vec::new(), cooldown_seconds: 0 });
}

#[test]
#[should_panic(expected = "i04: the pending balance is negative")]
fn i04_pending_is_never_negative() {
    let mut world = acme_with_a_charge();
    world.account.balance.pending = micros(499);
    let body = EntryBody::ChargeRefunded(Box::new(refund(&world, 500)));
    record(&mut world.account, body);
}

#[test]
#[should_panic(expected = "i04: the grants must hold the available balance")]
fn i04_a_charge_cannot_draw_what_is_not_there() {
    let mut world = acme_with_a_charge();
    world.account.balance.available += micros(500);
    let command = super::script::command_of(&world, "charge pricing");
    world.run(command, None);
}

#[test]
#[should_panic(expected = "i05: the draws do not sum to the charge")]
fn i05_the_draws_sum_to_the_charge() {
    let mut world = acme_with_a_charge();
    let mut details = world.charges[0].details.clone();
    details.price = micros(400).into();
    details.amount = micros(400);
    details.draws = vec![Draw { grant: 2, amount: micros(500) }].into();
    world.account.balance.available -= micros(100);
    world.account.totals.charged += micros(100);
    record(&mut world.account, EntryBody::ChargeOpened(details));
}

#[test]
#[should_panic(expected = "i05: a charge is not the price of its quantity")]
fn i05_a_charge_is_the_price_of_its_quantity() {
    let mut world = acme_with_a_charge();
    let mut details = world.charges[0].details.clone();
    details.price = micros(501).into();
    record(&mut world.account, EntryBody::ChargeOpened(details));
}

fn state(status: Status, refunded: i64) -> ChargeState {
    let deadline = (status == Status::Pending).then_some(Timestamp::ZERO);
    let outcome = Some(Outcome::Succeeded);
    let refunds = u32::from(refunded > 0);
    ChargeState { status, outcome, refunded: micros(refunded), refunds, quantity: 1, deadline }
}

/// Why a charge of 500 cannot go from one state to another by a refund of `amount`.
fn violation(before: ChargeState, amount: i64, next: ChargeState) -> String {
    violation_of(before, amount, ChargeState { refunds: before.refunds + u32::from(amount > 0), ..next })
}

/// The same with the number of refunds as it is.
fn violation_of(before: ChargeState, amount: i64, next: ChargeState) -> String {
    let refund = Refund { state: next, ..refund(&acme_with_a_charge(), amount) };
    let body = EntryBody::ChargeRefunded(Box::new(refund));
    let violation = invariants::charge_transition(micros(500), before, &body);
    violation.map(|_| "none".to_owned()).unwrap_or_else(|violation| violation.to_string())
}

#[test]
fn i05_refunds_add_up_and_stay_below_the_amount() {
    let settled = |refunded| state(Status::Settled, refunded);
    assert_eq!(violation(settled(100), 50, settled(150)), "none");
    assert_eq!(violation(settled(100), 400, state(Status::Refunded, 500)), "none");
    assert_eq!(violation(settled(100), -1, settled(99)), "i05: a refund is negative");
    let sum = "i05: the refunds of a charge do not add up";
    assert_eq!(violation(settled(100), 0, settled(99)), sum);
    assert_eq!(violation(settled(100), 50, settled(100)), sum);
    assert_eq!(violation(settled(100), i64::MAX, settled(100)), sum);
    let more = "i05: a charge gives back more than it took";
    assert_eq!(violation(settled(100), 401, state(Status::Refunded, 501)), more);
    let in_full = "i05: the status of a charge does not match its refunds";
    assert_eq!(violation(settled(0), 499, state(Status::Refunded, 499)), in_full);
    assert_eq!(violation(settled(0), 500, settled(500)), in_full);
}

#[test]
fn i05_the_refunds_of_a_charge_are_counted_and_bounded() {
    let settled = |refunded, refunds| ChargeState { refunds, ..state(Status::Settled, refunded) };
    assert_eq!(violation_of(settled(100, 999), 1, settled(101, 1_000)), "none");
    let wrong = "i05: the number of a charge's refunds is wrong";
    assert_eq!(violation_of(settled(100, 7), 1, settled(101, 7)), wrong);
    assert_eq!(violation_of(settled(100, 7), 0, settled(100, 8)), wrong);
    let many = "i05: a charge has too many refunds";
    assert_eq!(violation_of(settled(100, 1_000), 1, settled(101, 1_001)), many);
}

#[test]
fn i06_a_charge_leaves_pending_once_and_its_deadline_with_it() {
    let (pending, settled) = (state(Status::Pending, 0), state(Status::Settled, 0));
    assert_eq!(violation(pending, 0, settled), "none");
    assert_eq!(violation(settled, 0, pending), "i06: a charge became pending again");
    let mismatch = "i06: the deadline of a charge does not match its status";
    let late = ChargeState { deadline: Some(Timestamp::ZERO), ..settled };
    assert_eq!(violation(pending, 0, late), mismatch);
    assert_eq!(violation(pending, 0, ChargeState { deadline: None, ..pending }), mismatch);
    let about_none = EntryBody::LimitsSet(Vec::new());
    let about_none = invariants::charge_transition(micros(500), pending, &about_none);
    assert_eq!(about_none, Err(crate::Violation("i06: the entry is about no charge")));
}

#[test]
#[should_panic(expected = "i05: a refund must not exceed what the charge drew")]
fn i05_a_refund_returns_what_was_drawn() {
    let mut world = acme_with_a_charge();
    world.charges[0].details.draws = Vec::new().into();
    let command = super::script::command_of(&world, "fail c1 system");
    world.run(command, None);
}

#[test]
#[should_panic(expected = "i08: the usage rollups must count every charge")]
fn i08_rollups_cover_every_charge() {
    let after = Totals { charged: micros(1), ..Totals::default() };
    invariants::i08_usage_covers(UsageSums::default(), Totals::default(), after);
}

#[test]
#[should_panic(expected = "i08: the usage rollups must count every refund")]
fn i08_rollups_cover_every_refund() {
    let after = Totals { refunded: micros(1), ..Totals::default() };
    invariants::i08_usage_covers(UsageSums::default(), Totals::default(), after);
}

#[test]
#[should_panic(expected = "i09: an alert fired twice")]
fn i09_an_alert_fires_once() {
    let mut world =
        super::check("grant promotional 1_000\nalerts 800\ncharge message => charged 500 g1:500, low 800");
    let low = EntryBody::Alert(Alert::Low(Crossing { amount: micros(800), runway_days: None }));
    world.account.record(low, None, Actor::System, world.now);
}

#[test]
#[should_panic(expected = "i09: an alert fires for a threshold that is not set")]
fn i09_an_alert_has_its_threshold() {
    let low = Alert::Low(Crossing { amount: micros(7), runway_days: None });
    record(&mut acme_with_a_charge().account, EntryBody::Alert(low));
}

#[test]
#[should_panic(expected = "i10: credit appeared or vanished")]
fn i10_no_credit_appears() {
    let mut world = acme_with_a_charge();
    world.account.totals.granted += micros(1);
    record(&mut world.account, EntryBody::AlertsSet { thresholds: Vec::new(), cooldown_seconds: 0 });
}

#[test]
#[should_panic(expected = "i10: more was refunded than was charged")]
fn i10_no_more_is_refunded_than_was_charged() {
    let mut world = acme_with_a_charge();
    world.account.totals.clawed_back += micros(1_000);
    world.account.totals.refunded += micros(1_000);
    record(&mut world.account, EntryBody::AlertsSet { thresholds: Vec::new(), cooldown_seconds: 0 });
}

#[test]
#[should_panic(expected = "i10: a workspace holds more than a balance can")]
fn i10_what_is_held_fits_a_balance() {
    let mut world = acme_with_a_charge();
    world.account.balance.pending = Micros::MAX;
    record(&mut world.account, EntryBody::AlertsSet { thresholds: Vec::new(), cooldown_seconds: 0 });
}

#[test]
#[should_panic(expected = "i10: a total is out of range")]
fn i10_totals_are_in_range() {
    let mut world = acme_with_a_charge();
    world.account.totals.granted += micros(crate::bounds::TOTAL_MAX_MICROS);
    world.account.totals.charged += micros(crate::bounds::TOTAL_MAX_MICROS);
    record(&mut world.account, EntryBody::AlertsSet { thresholds: Vec::new(), cooldown_seconds: 0 });
}

#[test]
#[should_panic(expected = "i10: more was repaid than was owed")]
fn i10_no_more_is_repaid_than_is_owed() {
    let draw = Draw { grant: 2, amount: micros(1) };
    record(&mut acme_with_a_charge().account, EntryBody::DebtRepaid { draw });
}

/// Records a top-up grant with this origin under this key.
fn bought(origin: Option<&str>, key: Option<&str>) {
    let mut account = Account::new(acme());
    let id = GrantId(Id::v7(0, 0, 0));
    let grant =
        Grant { id, n: 1, source: Source::TopUp, amount: micros(5), remaining: micros(5), voided_at: None };
    let body = EntryBody::Granted { grant, reason: None, origin: origin.map(Into::into), paid_cents: 1 };
    account.record(body, key.map(IdempotencyKey::known), Actor::Platform, Timestamp::ZERO);
}

#[test]
#[should_panic(expected = "i12: a grant without its payment")]
fn i12_a_top_up_has_a_payment() {
    bought(None, None);
}

#[test]
#[should_panic(expected = "i11, i12: a payment that could be granted twice")]
fn i11_the_key_of_a_bought_grant_is_its_payment() {
    bought(Some("pay_1"), Some("a key of the caller's"));
}
