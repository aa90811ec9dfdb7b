//! Clauses about automatic top-ups: one purchase for many racing charges, the cap of a month in the
//! workspace's time zone, and what becomes of a card that is declined.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    AutoTopUp, AutoTopUpCommand, AutoTopUpState, Card, CardCommand, Command, Customer, Kind, Micros,
    PaymentCommand, Payments, Provider, ProviderCommand, StopReason, TopUp, TopUpBounds, TopUpFailure,
    TopUpId, TopUpStatus, TopUpWay, WorkspaceChanges,
};

use super::Store;
use super::test_client::{TestClient, acme, charge, submission};
use tollkeeper_testkit::blocking::block_on;

const HOUR: i64 = 3_600;

const fn card(command: CardCommand) -> Command {
    Command::Payment(PaymentCommand::Card(command))
}

const fn rule(command: AutoTopUpCommand) -> Command {
    Command::Payment(PaymentCommand::AutoTopUp(command))
}

const fn fail(top_up: TopUpId, failure: TopUpFailure) -> Command {
    Command::Payment(PaymentCommand::FailTopUp { top_up, failure })
}

/// The card was charged for a top-up.
fn paid(top_up: &TopUp) -> Command {
    let payment = TopUp::provider_payment(Provider::Stripe, &format!("pi_{}", top_up.id)).into();
    let (top_up, cents) = (top_up.id, top_up.cents);
    let succeeded = ProviderCommand::SucceedTopUp { top_up, payment, cents, tax_cents: 0 };
    Command::Payment(PaymentCommand::Provider(succeeded))
}

fn visa() -> Card {
    Card {
        id: "pm_1".into(),
        brand: "visa".into(),
        last4: "4242".into(),
        expires_month: 2,
        expires_year: 2_031,
    }
}

/// A workspace with that much credit and a card, which buys 20,000 micro-units below 20,000.
fn with_rule(store: &dyn Store, amount: i64, monthly_cap_cents: i64) -> TestClient {
    let client = TestClient::with_credit(store, amount);
    let set = AutoTopUpCommand::Set {
        threshold: Micros::new(20_000),
        cents: 20,
        monthly_cap_cents,
        allowed: TopUpBounds::WIDEST,
    };
    assert_eq!(client.refused(rule(set.clone())), "payment_method_required");
    let customer = Customer { provider: Provider::Stripe, id: "cus_1".into() };
    client.accepted(card(CardCommand::LinkCustomer { customer, replaces: None }));
    client.accepted(card(CardCommand::SaveCard(visa())));
    client.accepted(rule(set));
    client
}

fn payments(client: &TestClient) -> Payments {
    let payments = block_on(client.engine.payments(&acme())).expect("the engine reads");
    payments.expect("the workspace exists").as_ref().clone()
}

fn pending(client: &TestClient) -> Option<TopUp> {
    payments(client).pending_automatic().cloned()
}

fn state(client: &TestClient) -> AutoTopUpState {
    payments(client).auto_top_up.expect("the rule was set").state
}

pub(super) fn racing_charges_buy_credit_once(store: &dyn Store) {
    let client = with_rule(store, 100_000, 1_000);
    let race = |client: &TestClient, round: &str| {
        let run = |caller: usize| {
            let key = format!("{round} {caller}");
            let submission = submission(acme(), Some(&key), Command::Charge(charge("message", 3)));
            block_on(client.engine.run(submission, client.now)).expect("a healthy engine").is_ok()
        };
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..64).map(|caller| scope.spawn(move || run(caller))).collect();
            let paid = callers.into_iter().map(|caller| caller.join().expect("a caller does not panic"));
            paid.filter(|paid| *paid).count()
        })
    };
    // 64 charges of 1,500: the balance falls below the threshold with the 54th.
    assert_eq!(race(&client, "first"), 64);
    let all = payments(&client).top_ups;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].way, all[0].status, all[0].cents), (TopUpWay::Automatic, TopUpStatus::Pending, 20));
    assert_eq!(client.balance().available, Micros::new(4_000));
    // The next two find it pending, the others no credit.
    assert_eq!(race(&client, "second"), 2);
    assert_eq!(payments(&client).top_ups, all);
    let confirm = Command::Payment(PaymentCommand::ConfirmTopUp(all[0].id));
    assert_eq!(client.refused(confirm), "invalid_field", "a card is charged by the provider alone");
    assert_eq!(client.due_payments(), [acme()], "the card is to be charged");
    client.accepted(paid(&all[0]));
    assert_eq!(client.due_payments(), []);
    assert_eq!(race(&client, "third"), 14, "20,000 came to the 1,000 that were left");
    assert_eq!(payments(&client).top_ups.len(), 2, "its credit is spent, so one more is bought");
    let client = client.restarted(store);
    assert_eq!(payments(&client).top_ups.len(), 2);
    assert_eq!(payments(&client).card, Some(visa()));
}

pub(super) fn a_month_of_the_time_zone_stays_within_its_cap(store: &dyn Store) {
    let mut client = with_rule(store, 20_000, 50);
    let timezone = Some("Pacific/Auckland".into());
    client.accepted(Command::UpdateWorkspace(WorkspaceChanges { timezone, ..WorkspaceChanges::default() }));
    let windows = |client: &TestClient| tollkeeper_engine::period_windows("Pacific/Auckland", client.now);
    // The last millisecond of the month, in which it is another day in UTC.
    let end = windows(&client).month.end;
    client.now = tollkeeper_ledger::Timestamp::from_millis(end.millis() - 1);
    for round in 0..2 {
        client.charge(&format!("spend {round}"), charge("try_on", 1));
        let bought = pending(&client).expect("there is room for it within the cap");
        client.accepted(paid(&bought));
    }
    client.charge("spend 2", charge("try_on", 1));
    assert_eq!(pending(&client), None, "60 cents would pass the cap of 50");
    assert_eq!(payments(&client).automatic_cents(windows(&client).month), 40);
    client.accepted(rule(AutoTopUpCommand::OpenIfLow));
    assert_eq!(pending(&client), None);
    client.now = end;
    client.accepted(rule(AutoTopUpCommand::OpenIfLow));
    let bought = pending(&client).expect("a month begins with its first millisecond");
    assert_eq!(bought.opened_at, end);
    client.accepted(paid(&bought));
    client.charge("spend 3", charge("try_on", 1));
    let last = pending(&client).expect("the month has room for one more");
    client.accepted(fail(last.id, TopUpFailure::NotPaid));
    assert_eq!(payments(&client).automatic_cents(windows(&client).month), 20, "what failed does not count");
}

pub(super) fn a_declined_card_is_charged_three_times(store: &dyn Store) {
    let mut client = with_rule(store, 100_000, 1_000);
    let mut keys = 0;
    let mut spend = |client: &TestClient| {
        keys += 1;
        client.charge(&format!("spend {keys}"), charge("message", 1));
    };
    client.charge("most", charge("try_on", 4));
    let mut attempts = 0;
    // A charge every half hour until nothing is left, and a bank that declines each attempt.
    for _ in 0..40 {
        spend(&client);
        if let Some(top_up) = pending(&client) {
            client.accepted(fail(top_up.id, TopUpFailure::SoftDecline));
            attempts += 1;
        }
        client.advance_clock(HOUR / 2);
    }
    assert_eq!(attempts, 2, "the third comes a day after the second");
    assert_eq!(client.balance().available, Micros::ZERO);
    client.advance_clock(24 * HOUR);
    client.accepted(rule(AutoTopUpCommand::OpenIfLow));
    client.accepted(fail(pending(&client).expect("the pause is over").id, TopUpFailure::SoftDecline));
    assert_eq!(state(&client), AutoTopUpState::Stopped { why: StopReason::Declined });
    client.advance_clock(30 * 24 * HOUR);
    client.accepted(rule(AutoTopUpCommand::OpenIfLow));
    assert_eq!(payments(&client).top_ups.len(), 3, "three attempts, then off");
}

pub(super) fn a_removed_card_stops_automatic_top_ups_in_one_change(store: &dyn Store) {
    let client = with_rule(store, 20_000, 50);
    let before = client.entry_count();
    client.accepted(card(CardCommand::RemoveCard { id: Some("pm_2".into()) }));
    assert_eq!(client.entry_count(), before, "another card was removed");
    client.accepted(card(CardCommand::RemoveCard { id: None }));
    client.charge("spend", charge("try_on", 1));
    let Payments { card, auto_top_up, top_ups, .. } = payments(&client);
    assert_eq!((card, top_ups), (None, Vec::new()));
    let why = StopReason::PaymentMethodRemoved;
    let stopped = auto_top_up.map(|AutoTopUp { state, .. }| state);
    assert_eq!(stopped, Some(AutoTopUpState::Stopped { why }));
    let page = |page| {
        block_on(client.engine.entries(&acme(), page)).expect("the engine reads").expect("it is there")
    };
    let entries = super::test_client::pages(10, page);
    let kinds: Vec<Kind> = entries.iter().rev().map(|record| record.entry.body.kind()).collect();
    assert!(kinds.ends_with(&[Kind::CardRemoved, Kind::AutoTopUpStopped, Kind::ChargeOpened]), "{kinds:?}");
}
