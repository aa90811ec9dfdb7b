//! Clauses about payments: top-ups and the credit that they bring.

use std::sync::Arc;

use tollkeeper_engine::{Answer, Output, Reads};
use tollkeeper_ledger::{
    Actor, AtProvider, Command, Id, Kind, Micros, PaymentCommand, Payments, Provider, ProviderCall,
    ProviderCommand, TopUp, TopUpBounds, TopUpId, TopUpStatus, TopUpWay, WorkspaceId,
};

use super::Store;
use super::test_client::{TestClient, acme, charge, key, submission, workspace};
use tollkeeper_testkit::blocking::block_on;

/// Opens a top-up of that many cents.
const fn open(cents: i64) -> Command {
    Command::Payment(PaymentCommand::OpenTopUp { cents, way: TopUpWay::Manual, allowed: TopUpBounds::WIDEST })
}

/// Confirms a top-up.
const fn confirm(top_up: TopUpId) -> Command {
    Command::Payment(PaymentCommand::ConfirmTopUp(top_up))
}

/// Gives up a top-up.
const fn expire(top_up: TopUpId) -> Command {
    Command::Payment(PaymentCommand::ExpireTopUp(top_up))
}

fn opened(answer: Answer) -> TopUp {
    match answer.output {
        Output::TopUp(top_up) => *top_up,
        other => panic!("a top-up was answered by {other:?}"),
    }
}

fn payments(client: &TestClient) -> Arc<Payments> {
    block_on(client.engine.payments(&acme())).expect("the engine reads").expect("the workspace exists")
}

pub(super) fn a_top_up_grants_its_credit_once(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    assert_eq!(payments(&client).top_ups, []);
    assert!(block_on(client.engine.payments(&workspace("unknown"))).expect("the engine reads").is_none());
    let top_up = opened(client.submit_keyed("one", open(2_500)).expect("it is accepted"));
    assert_eq!((top_up.cents, top_up.status, top_up.opened_at), (2_500, TopUpStatus::Pending, client.now));
    assert_eq!(client.balance().available, Micros::new(500));
    assert_eq!(payments(&client).top_ups, std::slice::from_ref(&top_up));

    client.advance_clock(60);
    let again = client.submit_keyed("one", open(2_500)).expect("it is repeated");
    assert!(again.replayed);
    assert_eq!(opened(again), top_up, "a repeated request gets the first answer");
    assert_eq!(
        client.submit_keyed("one", open(1)).expect_err("another request").code(),
        "idempotency_key_reused"
    );

    let paid = client.submit(acme(), None, confirm(top_up.id)).expect("the platform confirms");
    let Output::Grant(record, balance) = &paid.output else { panic!("a payment is answered by its grant") };
    assert_eq!((record.grant.amount, record.paid_cents), (Micros::new(2_500_000), 2_500));
    assert_eq!(balance.available, Micros::new(2_500_500));
    let entries = client.entry_count();
    let twice = client.submit_keyed("other", confirm(top_up.id)).expect("it is repeated");
    assert!(twice.replayed && twice.output == paid.output, "{twice:?}");
    assert_eq!(client.entry_count(), entries, "a second confirmation writes no entry");

    let expected = TopUp {
        status: TopUpStatus::Succeeded,
        ended_at: Some(client.now),
        payment: record.origin.clone(),
        grant: Some(record.grant.id),
        ..top_up
    };
    assert_eq!(payments(&client).top_ups, std::slice::from_ref(&expected));
    client.charge("spend", charge("message", 1));
    let client = client.restarted(store);
    assert_eq!(payments(&client).top_ups, [expected], "a restart loses no payment");
    assert!(client.submit(acme(), None, confirm(top_up.id)).expect("it is repeated").replayed);
    let page = |page| {
        block_on(client.engine.entries(&acme(), page)).expect("the engine reads").expect("it is there")
    };
    let entries = super::test_client::pages(10, page);
    let kinds: Vec<Kind> = entries.iter().rev().map(|record| record.entry.body.kind()).collect();
    let of_payments = [Kind::TopUpOpened, Kind::Granted, Kind::TopUpSucceeded, Kind::ChargeOpened];
    assert!(kinds.ends_with(&of_payments), "{kinds:?}");
}

pub(super) fn payments_are_due_until_their_work_is_done(store: &dyn Store) {
    const DAYS: i64 = 24 * 3_600;
    let mut client = TestClient::with_credit(store, 500);
    client.create_workspace(workspace("without"));
    let one = opened(client.submit_keyed("one", open(100)).expect("it is accepted"));
    client.advance_clock(DAYS);
    let two = opened(client.submit_keyed("two", open(200)).expect("it is accepted"));
    let three = opened(client.submit_keyed("three", open(300)).expect("it is accepted"));
    client.submit(acme(), None, confirm(three.id)).expect("the platform confirms");
    client.advance_clock(89 * DAYS - 1);
    assert_eq!(client.due_payments(), []);
    let early = client.submit_as(Actor::System, expire(one.id)).expect("it is accepted");
    assert_eq!((early.output, payments(&client).pending_top_ups()), (Output::Done, 2));
    let mut client = client.restarted(store);
    client.advance_clock(1);
    assert_eq!(client.due_payments(), [acme()]);
    assert_eq!(client.do_due_work(), 1);
    assert_eq!(client.due_payments(), [], "the second has another day");
    client.charge("meanwhile", charge("message", 1));
    let mut client = client.restarted(store);
    assert_eq!(client.due_payments(), []);
    // Months of sleep.
    client.advance_clock(200 * DAYS);
    assert_eq!(client.due_payments(), [acme()]);
    let client = client.restarted(store);
    assert_eq!(client.do_due_work(), 1);
    assert_eq!((client.do_due_work(), client.due_payments()), (0, vec![]));
    let statuses =
        |client: &TestClient| payments(client).top_ups.iter().map(|top_up| top_up.status).collect::<Vec<_>>();
    assert_eq!(statuses(&client), [TopUpStatus::Expired, TopUpStatus::Expired, TopUpStatus::Succeeded]);
    let late = client.submit(acme(), None, confirm(two.id)).expect("its payment came in after all");
    let Output::Grant(record, _) = late.output else { panic!("a payment is answered by its grant") };
    assert_eq!(record.paid_cents, 200);
    let client = client.restarted(store);
    assert_eq!(statuses(&client), [TopUpStatus::Expired, TopUpStatus::Succeeded, TopUpStatus::Succeeded]);
    assert_eq!(client.due_payments(), []);
}

pub(super) fn due_payments_are_listed_page_by_page(store: &dyn Store) {
    const DAYS: i64 = 24 * 3_600;
    let mut client = TestClient::with_credit(store, 500);
    let names = ["initech", "globex", "umbrella", "hooli"].map(workspace);
    names.iter().for_each(|name| client.create_workspace(name.clone()));
    let open_for = |client: &TestClient, name: &WorkspaceId| {
        client.submit(name.clone(), None, open(100)).expect("it is accepted");
    };
    // Four are due at one time, and the one that was created last after them.
    [&names[2], &acme(), &names[0], &names[1]].into_iter().for_each(|name| open_for(&client, name));
    client.advance_clock(1);
    open_for(&client, &names[3]);
    client.advance_clock(90 * DAYS - 1);
    assert_eq!(client.due_places(1).len(), 4);
    client.advance_clock(1);
    let all = client.due_places(100);
    assert!(all.is_sorted_by_key(|place| place.due_at) && all.iter().all(|place| place.due_at <= client.now));
    assert_eq!((all.len(), &all[4].workspace), (5, &names[3]));
    for most in 1..=5 {
        assert_eq!(client.due_places(most), all, "in pages of {most}");
    }
    let client = client.restarted(store);
    assert_eq!(client.due_places(2), all, "the order stays");
    // A place from which the list goes on may be gone.
    let gone = all.iter().position(|place| place.workspace == acme()).expect("it is due");
    assert_eq!(client.do_due_work(), 1);
    for most in 1..=5 {
        let page = client.engine.due_payments(client.now, Some(all[gone].clone()), most);
        let page = block_on(page).expect("the engine reads");
        assert_eq!(page, all[gone + 1..].iter().take(most).cloned().collect::<Vec<_>>());
    }
    assert_eq!(client.due_places(2), [&all[..gone], &all[gone + 1..]].concat());
}

pub(super) fn only_the_platform_says_that_money_came_in(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let top_up = opened(client.submit_keyed("one", open(100)).expect("it is accepted"));
    let unknown = TopUpId(Id::v7(0, 0, 7));
    assert_eq!(client.refused(confirm(unknown)), "top_up_not_found");
    let key = client.create_key(key("manager"));
    let refused = client.submit_as(Actor::ApiKey(key), confirm(top_up.id));
    assert_eq!(refused.expect_err("a key says so").code(), "forbidden");
    assert_eq!(client.balance().available, Micros::new(500));
    // A batch that confirms it twice, and opens one more between.
    let batch = vec![
        submission(acme(), None, confirm(top_up.id)),
        submission(acme(), Some("two"), open(100)),
        submission(acme(), None, confirm(top_up.id)),
    ];
    assert_eq!(client.codes(batch), ["yes", "yes", "replay"]);
    assert_eq!(client.balance().available, Micros::new(100_500));
    assert_eq!(payments(&client).top_ups.len(), 2);
}

pub(super) fn a_top_up_expires_with_its_page_and_still_grants(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    let open =
        PaymentCommand::OpenTopUp { cents: 2_500, way: TopUpWay::Checkout, allowed: TopUpBounds::WIDEST };
    let top_up = opened(client.submit_keyed("one", Command::Payment(open)).expect("it is accepted")).id;
    let says = |command| Command::Payment(PaymentCommand::Provider(command));
    let is_over = || says(ProviderCommand::ExpireTopUp { top_up });
    client.accepted(says(ProviderCommand::PlaceTopUp { top_up, reference: "cs_1".into() }));
    client.advance_clock(60);
    client.accepted(is_over());
    let (entries, ended_at) = (client.entry_count(), client.now);
    client.accepted(is_over());
    assert_eq!(client.entry_count(), entries, "it expires once");
    let client = client.restarted(store);
    let stored = &payments(&client).top_ups[0];
    assert_eq!((stored.status, stored.ended_at), (TopUpStatus::Expired, Some(ended_at)));
    let payment = TopUp::provider_payment(Provider::Stripe, "pi_1").into();
    client.accepted(says(ProviderCommand::SucceedTopUp { top_up, payment, cents: 2_500, tax_cents: 0 }));
    assert_eq!(client.balance().available, Micros::new(2_500_500));
    assert_eq!(payments(&client).top_ups[0].status, TopUpStatus::Succeeded);
}

pub(super) fn a_top_up_is_placed_and_paid_at_a_provider_once(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    let open =
        PaymentCommand::OpenTopUp { cents: 2_500, way: TopUpWay::Checkout, allowed: TopUpBounds::WIDEST };
    let opened = opened(client.submit_keyed("one", Command::Payment(open)).expect("it is accepted"));
    let top_up = opened.id;
    let says = |command| Command::Payment(PaymentCommand::Provider(command));
    let place = |reference: &str| says(ProviderCommand::PlaceTopUp { top_up, reference: reference.into() });
    let pay = |payment: &str, cents| {
        let payment = TopUp::provider_payment(Provider::Stripe, payment).into();
        says(ProviderCommand::SucceedTopUp { top_up, payment, cents, tax_cents: 475 })
    };
    client.accepted(says(ProviderCommand::RenewCall { call: ProviderCall::TopUp(top_up), lost: 0 }));
    let renewed_at = client.now;
    client.advance_clock(60);
    client.accepted(place("cs_1"));
    let entries = client.entry_count();
    client.accepted(place("cs_2"));
    assert_eq!(client.entry_count(), entries, "the first page counts");
    assert_eq!(client.refused(pay("pi_1", 2_499)), "payment_unmatched");
    assert_eq!(client.refused(confirm(top_up)), "invalid_field");
    let key = client.create_key(key("manager"));
    let refused = client.submit_as(Actor::ApiKey(key), pay("pi_1", 2_500));
    assert_eq!(refused.expect_err("a key says so").code(), "forbidden");
    assert_eq!(client.balance().available, Micros::new(500));

    client.accepted(pay("pi_1", 2_500));
    let again = client.submit(acme(), None, pay("pi_1", 2_500)).expect("it is repeated");
    assert!(again.replayed, "one payment grants once for ever");
    assert_eq!(client.refused(pay("pi_2", 2_500)), "payment_unmatched");
    assert_eq!(client.balance().available, Micros::new(2_500_500));
    let paid_at = client.now;
    let client = client.restarted(store);
    let at_provider = AtProvider {
        reference: Some("cs_1".into()),
        generation: 1,
        renewed_at: Some(renewed_at),
        tax_cents: 475,
    };
    let stored = payments(&client).top_ups.clone();
    let expected = TopUp {
        status: TopUpStatus::Succeeded,
        ended_at: Some(paid_at),
        payment: Some("stripe:pi_1".into()),
        grant: stored[0].grant,
        at_provider,
        ..opened
    };
    assert_eq!(stored, [expected], "a restart loses nothing of it");
    assert!(stored[0].grant.is_some());
}
