//! Clauses about money that goes back: payment refunds, losses by payment, and payments that fit
//! nothing.

use std::sync::Arc;

use tollkeeper_engine::{Answer, Output, Reads};
use tollkeeper_ledger::{
    Actor, ChargeCommand, Command, Micros, PaymentCommand, PaymentRefund, PaymentRefundCommand,
    PaymentRefundStatus, Payments, Provider, ProviderCall, ProviderCommand, TopUp, TopUpBounds, TopUpId,
    TopUpWay, UnmatchedPayment, WorkspaceId,
};

use super::Store;
use super::test_client::{TestClient, acme, charge, key};
use tollkeeper_testkit::blocking::block_on;

const fn refund(command: PaymentRefundCommand) -> Command {
    Command::Payment(PaymentCommand::Refund(command))
}

fn request(top_up: TopUpId, cents: Option<i64>, by_hand: bool) -> Command {
    refund(PaymentRefundCommand::Request { top_up, cents, reason: "asked".into(), by_hand })
}

fn loss(top_up: TopUpId, elsewhere_cents: i64) -> Command {
    let payment = TopUp::manual_payment(top_up).into();
    let (disputed_cents, evidence) = (0, "dp_1".into());
    refund(PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence })
}

/// A top-up of that many cents that was paid.
fn paid(client: &TestClient, cents: i64) -> TopUpId {
    let open = PaymentCommand::OpenTopUp { cents, way: TopUpWay::Manual, allowed: TopUpBounds::WIDEST };
    let Output::TopUp(top_up) = client.accepted(Command::Payment(open)) else { panic!("it is opened") };
    client.accepted(Command::Payment(PaymentCommand::ConfirmTopUp(top_up.id)));
    top_up.id
}

fn refunded(answer: &Answer) -> (&PaymentRefund, i64) {
    let Output::PaymentRefund(refund, balance) = &answer.output else { panic!("{answer:?}") };
    assert_eq!(balance.debt, Micros::ZERO);
    (refund, balance.available.get())
}

fn payments(client: &TestClient) -> Arc<Payments> {
    block_on(client.engine.payments(&acme())).expect("the engine reads").expect("the workspace exists")
}

fn balance(client: &TestClient) -> (i64, i64) {
    (client.balance().available.get(), client.balance().debt.get())
}

pub(super) fn a_payment_refund_takes_its_credit_first(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 500);
    let top_up = paid(&client, 100);
    client.charge("k", charge("message", 40));
    assert_eq!(balance(&client), (80_500, 0));
    let first = client.submit_keyed("back", request(top_up, Some(30), false)).expect("it is accepted");
    let (refund_of, available) = refunded(&first);
    assert_eq!((refund_of.cents, refund_of.status), (30, PaymentRefundStatus::Pending));
    assert_eq!((available, balance(&client)), (50_500, (50_500, 0)));
    let id = refund_of.id;

    client.advance_clock(60);
    let client = client.restarted(store);
    let again = client.submit_keyed("back", request(top_up, Some(30), true)).expect("it is repeated");
    assert!(again.replayed && again.output == first.output, "{again:?}");
    client.accepted(refund(PaymentRefundCommand::Place { refund: id, reference: "re_1".into() }));
    client.accepted(refund(PaymentRefundCommand::Succeed(id)));
    let rest = client.submit_keyed("rest", request(top_up, None, true)).expect("it is accepted");
    assert_eq!((refunded(&rest).0.cents, refunded(&rest).0.status), (50, PaymentRefundStatus::Succeeded));
    assert_eq!(balance(&client), (500, 0));
    assert_eq!(client.refused(request(top_up, None, true)), "nothing_to_refund");
    // The grant is spent, so another process has to load it.
    let client = client.restarted(store);
    client.accepted(refund(PaymentRefundCommand::Fail { refund: id, reason: "closed".into() }));
    assert_eq!(balance(&client), (30_500, 0));
    assert_eq!(client.refused(request(top_up, Some(31), false)), "invalid_field");
    let kept = payments(&client).back.refunds.clone();
    assert_eq!(kept.iter().map(|refund| refund.status.as_str()).collect::<Vec<_>>(), ["failed", "succeeded"]);
    assert_eq!((kept[0].placed.as_deref(), kept[0].ended_at), (Some("re_1"), Some(client.now)));
    let client = client.restarted(store);
    assert_eq!(payments(&client).back.refunds, kept, "a restart loses no payment refund");
    assert_eq!(
        refunded(&client.submit_keyed("back", request(top_up, Some(30), false)).expect("a replay")).1,
        50_500
    );
}

pub(super) fn a_refund_at_a_provider_is_due_until_it_is_taken_over(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let says = |command| Command::Payment(PaymentCommand::Provider(command));
    let open =
        PaymentCommand::OpenTopUp { cents: 100, way: TopUpWay::Checkout, allowed: TopUpBounds::WIDEST };
    let Output::TopUp(top_up) = client.accepted(Command::Payment(open)) else { panic!("it is opened") };
    let payment = TopUp::provider_payment(Provider::Stripe, "pi_1").into();
    let (top_up, cents, tax_cents) = (top_up.id, 100, 0);
    client.accepted(says(ProviderCommand::SucceedTopUp { top_up, payment, cents, tax_cents }));
    assert_eq!(client.due_payments(), []);
    client.accepted(request(top_up, Some(30), false));
    assert_eq!(client.due_payments(), [acme()], "its money is to be sent");
    let id = payments(&client).back.refunds[0].id;

    let mut client = client.restarted(store);
    client.advance_clock(60);
    let renew = says(ProviderCommand::RenewCall { call: ProviderCall::PaymentRefund(id), lost: 0 });
    client.accepted(renew.clone());
    let entries = client.entry_count();
    client.accepted(renew);
    assert_eq!(client.entry_count(), entries, "a call is begun anew once");
    let kept = payments(&client).back.refunds.clone();
    assert_eq!((kept[0].generation, kept[0].renewed_at), (1, Some(client.now)));
    let client = client.restarted(store);
    assert_eq!(payments(&client).back.refunds, kept, "a restart loses nothing of it");
    assert_eq!((client.due_payments(), client.do_due_work()), (vec![acme()], 1));
    assert_eq!(client.due_payments(), [], "the provider took it over");
    let mut client = client.restarted(store);
    client.advance_clock(24 * 3_600);
    assert_eq!(client.due_payments(), [acme()], "it says nothing of it for a day");
    assert_eq!((client.do_due_work(), client.due_payments()), (1, vec![]));
}

pub(super) fn what_is_lost_of_a_payment_is_taken_from_its_grant(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let top_up = paid(&client, 100);
    let (spent, _) = client.charge("k", charge("message", 101));
    let (awaited, _) = client.charge("w", super::test_client::awaited("message", 20, 600));
    assert_eq!(balance(&client), (40_000, 0));
    client.accepted(loss(top_up, 70));
    assert_eq!(balance(&client), (0, 30_000));
    client.accepted(loss(top_up, 500));
    assert_eq!(balance(&client), (0, 60_000), "more than was paid is not lost");
    // The grant is spent, so another process has to load it.
    let client = client.restarted(store);
    client.accepted(loss(top_up, 70));
    client.accepted(loss(top_up, 70));
    assert_eq!(balance(&client), (0, 30_000));
    let fail = ChargeCommand::Fail { by_system: true, detail: None }.for_charge(awaited.details.id);
    client.accepted(fail);
    assert_eq!(balance(&client), (0, 20_000), "what comes back goes to the shortfall");
    let back = ChargeCommand::Refund { amount: None, reason: "broken".into() }.for_charge(spent.details.id);
    client.submit_keyed("r", back).expect("the command is accepted");
    let grant = payments(&client).top_ups[0].grant.expect("it was paid");
    let set = Command::SetLost { grant, lost_cents: 0, evidence: "won".into() };
    assert_eq!(client.refused(set), "invalid_field", "the workspace keeps the payment");
    let client = client.restarted(store);
    client.accepted(loss(top_up, 0));
    assert_eq!(balance(&client), (100_500, 0));
    assert_eq!(payments(&client).back.losses, []);
    assert_eq!(client.refused(loss(TopUpId(tollkeeper_ledger::Id::v7(0, 0, 7)), 1)), "invalid_field");
}

pub(super) fn only_the_platform_sends_money_back(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let top_up = paid(&client, 100);
    let manager = Actor::ApiKey(client.create_key(key("manager")));
    for command in [request(top_up, None, false), loss(top_up, 1)] {
        let refused = client.submit_as(manager.clone(), command);
        assert_eq!(refused.expect_err("a key says so").code(), "forbidden");
    }
    assert_eq!(balance(&client), (100_500, 0));
}

pub(super) fn a_payment_that_fits_nothing_is_noted_once(store: &dyn Store) {
    let client = TestClient::with_credit(store, 500);
    let unmatched = |payment: &str, cents| {
        Command::ReportUnmatched(UnmatchedPayment {
            payment: payment.into(),
            cents,
            currency: "eur".into(),
            workspace: Some(acme()),
            why: "The currency is not usd.".into(),
        })
    };
    let noted = |client: &TestClient| -> Vec<Box<str>> {
        let platform = client.engine.platform();
        platform.unmatched.iter().map(|noted| noted.payment.payment.clone()).collect()
    };
    let run = |client: &TestClient, command| client.submit(WorkspaceId::platform(), None, command);
    assert!(!run(&client, unmatched("pi_1", 500)).expect("it is noted").replayed);
    assert!(run(&client, unmatched("pi_1", 900)).expect("it is repeated").replayed);
    let client = client.restarted(store);
    assert!(run(&client, unmatched("pi_1", 500)).expect("it is repeated").replayed);
    assert_eq!(noted(&client), ["pi_1".into()]);
    // A note without a reason asks whether one was made.
    let asked = |payment: &str| match unmatched(payment, 0) {
        Command::ReportUnmatched(note) => {
            Command::ReportUnmatched(UnmatchedPayment { why: Box::default(), ..note })
        }
        command => command,
    };
    assert!(run(&client, asked("pi_1")).expect("it was noted").replayed);
    assert_eq!(run(&client, asked("pi_2")).expect_err("it was not").code(), "invalid_field");
    assert_eq!(noted(&client), ["pi_1".into()]);
    run(&client, unmatched("pi_2", 0)).expect("it is noted");
    assert_eq!(run(&client, unmatched("pi_3", -1)).expect_err("less than nothing").code(), "invalid_field");
    assert_eq!(client.refused(unmatched("pi_3", 1)), "workspace_not_found", "it is of the platform");
    assert_eq!(noted(&client), [Box::from("pi_1"), Box::from("pi_2")]);
    assert_eq!(balance(&client), (500, 0), "it grants nothing");
}
