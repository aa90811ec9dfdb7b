//! Clauses about clocks: what is decided by time goes by the present time, although an entry was
//! made while a clock was ahead.

use tollkeeper_engine::{Output, Page, Reads};
use tollkeeper_ledger::{
    ApiKeyRequest, ChargeCommand, Command, Micros, OperationPrice, Period, Refusal, Subject, TeamCommand,
};

use super::Store;
use super::test_client::{TestClient, acme, awaited, charge, charged, key, prices};
use tollkeeper_testkit::blocking::block_on;

const DAY: i64 = 86_400;

fn daily(amount: i64) -> Command {
    Command::SetLimits(vec![(Subject::Workspace, Period::Day, Micros::new(amount))])
}

pub(super) fn a_clock_that_was_ahead_freezes_nothing(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    client.accepted(daily(30_000));
    client.advance_clock(366 * DAY);
    let (ahead, _) = client.charge("ahead", charge("try_on", 1));
    client.advance_clock(-366 * DAY);
    let mut client = client.restarted(store);

    let (open, _) = client.charge("open", awaited("message", 1, 60));
    assert_eq!(open.state.deadline, Some(client.now.plus_seconds(60)));
    assert!(open.created_at >= ahead.created_at, "the times of entries do not run backwards");
    assert_eq!(client.used(), [500], "a day that lies ahead does not count in the present one");
    let too_much = client.submit(acme(), None, Command::Charge(charge("try_on", 2)));
    let Err(Refusal::LimitExceeded { resets_at, remaining, .. }) = too_much else { panic!("{too_much:?}") };
    assert_eq!((resets_at, remaining.get()), (client.now.plus_seconds(DAY), 29_500));
    let expires_at = Some(client.now.plus_seconds(30 * DAY));
    let _ = client.create_key(ApiKeyRequest { expires_at, ..key("one") });
    let expired = ApiKeyRequest { expires_at: Some(client.now), ..key("other") };
    assert_eq!(client.refused(Command::Team(TeamCommand::CreateKey(expired))), "invalid_field");

    client.advance_clock(60);
    let client = client.restarted(store);
    assert_eq!(client.due(), [(acme(), open.details.id)]);
    client.accepted(ChargeCommand::TimeOut.for_charge(open.details.id));
    assert_eq!(client.used(), [0]);
    let mut client = client;
    client.advance_clock(2 * DAY);
    client.charge("two days later", charge("try_on", 1));
    assert_eq!(client.used(), [20_000]);
    let listing = block_on(client.engine.entries(&acme(), Page { limit: 9, cursor: None }));
    let newest = &listing.expect("the engine reads").expect("it exists").data[0].entry;
    assert_eq!((newest.at, newest.decided_at), (ahead.created_at, client.now));
}

pub(super) fn usage_is_counted_by_the_present_hour(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let present = client.now.hour();
    client.charge("before", charge("message", 1));
    client.advance_clock(40 * DAY);
    let ahead = client.now.hour();
    client.charge("ahead", charge("message", 2));
    client.advance_clock(-40 * DAY);
    client.charge("after", charge("message", 4));
    let mut client = client.restarted(store);
    client.charge("after a restart", charge("message", 8));
    let runs = |client: &TestClient, hour: i64| {
        let rows = block_on(client.engine.usage(&acme(), hour..hour + 1)).expect("the engine reads");
        rows.iter().map(|(_, used)| used.quantity).sum::<i64>()
    };
    assert_eq!((runs(&client, present), runs(&client, ahead)), (13, 2));
    client.accepted(Command::SetLimits(vec![(Subject::Workspace, Period::Month, Micros::new(10_000))]));
    assert_eq!(client.used(), [6_500], "a new limit counts the present month only");
    client.advance_clock(3_600);
    client.charge("an hour later", charge("message", 1));
    assert_eq!((runs(&client, present), runs(&client, present + 1)), (13, 1));
    assert_eq!(client.used(), [7_000]);
}

pub(super) fn a_price_rise_waits_for_the_present_time(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let Command::SetPrices { operations, .. } = prices(&[("message", 900)]) else { unreachable!() };
    let effective_at = Some(client.now.plus_seconds(10 * 3_600));
    let operations: Vec<OperationPrice> = operations;
    client.accepted_by_platform(Command::SetPrices { operations, effective_at });
    let (waiting, _) = client.charge("waiting", awaited("message", 1, 3_600));
    client.advance_clock(25 * 3_600);
    let (ahead, _) = client.charge("ahead", charge("message", 1));
    client.advance_clock(-25 * 3_600);
    assert_eq!(ahead.details.price.unit_price().map_or(0, Micros::get), 900);

    let (now, _) = client.charge("now", charge("message", 1));
    assert_eq!(now.details.price.unit_price().map_or(0, Micros::get), 500, "the rise has not come yet");
    let output = client.accepted(ChargeCommand::TimeOut.for_charge(waiting.details.id));
    let Output::Charge(unchanged, _) = output else { panic!("a time-out is answered by a charge") };
    assert_eq!(unchanged.state, waiting.state, "the deadline has not passed");
    let settled = ChargeCommand::Succeed { quantity: None }.for_charge(waiting.details.id);
    charged(client.submit(acme(), None, settled));
    client.advance_clock(86_400);
    let (later, _) = client.charge("later", charge("message", 1));
    assert_eq!(later.details.price.unit_price().map_or(0, Micros::get), 900);
}
