//! Servers whose clocks differ from the database's: a wrong one decides nothing, and a right one
//! notices nothing of it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tollkeeper_engine::postgres::Options;
use tollkeeper_engine::{Engine, TrustedClock};
use tollkeeper_ledger::{ChargeCommand, Command, OperationPrice, Timestamp, WorkspaceId};
use tollkeeper_sim::contract::{Store, TestClient, acme, awaited, charge, credit, prices, submission};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};

const HOUR: i64 = 3_600;

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("the clock is before the year 9999"))
}

/// A client of an engine, with a clock that is ahead of the system's.
fn client(engine: &Arc<dyn Engine>, ahead: i64) -> TestClient {
    TestClient { engine: Arc::clone(engine), now: system_time().plus_seconds(ahead) }
}

#[test]
fn a_server_whose_clock_is_a_day_ahead_decides_nothing() {
    if is_missing() {
        return;
    }
    let options = Options { compare_clocks: true, ..Options::default() };
    let store = InDatabase(shared().database(), options);
    let (right, wrong) = (store.open(), store.open());
    assert_eq!(right.trusted_clock(), TrustedClock::Database);
    let now = client(&right, 0);
    now.accepted_by_platform(prices(&[("message", 500)]));
    now.create_workspace(acme());
    now.submit_keyed("credit", Command::Grant(credit("c", tollkeeper_ledger::Source::Promotional, 9_000)))
        .expect("credit");
    let (open, _) = now.charge("open", awaited("message", 1, 3_600));
    let Command::SetPrices { operations, .. } = prices(&[("message", 900)]) else { unreachable!() };
    let operations: Vec<OperationPrice> = operations;
    let effective_at = Some(now.now.plus_seconds(10 * HOUR));
    now.submit(WorkspaceId::platform(), None, Command::SetPrices { operations, effective_at })
        .expect("a planned rise");

    for hours in [25, -25] {
        let late = client(&wrong, hours * HOUR);
        assert_eq!(late.due(), [], "nothing is due by a wrong clock");
        let one = submission(acme(), Some("one"), Command::Charge(charge("message", 1)));
        let errors = [
            block_on(wrong.run(one.clone(), late.now)).expect_err("it decides nothing"),
            block_on(wrong.run_or_shed(one.clone(), late.now)).expect_err("it decides nothing"),
            block_on(wrong.run_batch(vec![one], late.now)).expect_err("it decides nothing"),
        ];
        for error in errors {
            assert!(error.is_unavailable() && error.is_clock_wrong(), "{error}");
        }
        let deviation = wrong.stats().clock_deviation_millis - hours * HOUR * 1_000;
        assert!(wrong.stats().clock_is_wrong() && deviation.abs() < 2_000, "{deviation}");
    }

    // The clock is set right: it serves at once.
    let again = client(&wrong, 0);
    let (cheap, _) = again.charge("two", charge("message", 1));
    assert_eq!(cheap.details.price.unit_price().map(|price| price.get()), Some(500), "the rise has not come");
    assert!(!wrong.stats().clock_is_wrong());
    let now = client(&right, 0);
    let (later, _) = now.charge("later", awaited("message", 1, 60));
    let deadline = later.state.deadline.expect("it awaits an outcome");
    assert!((deadline.millis() - system_time().millis() - 60_000).abs() < 5_000, "{deadline:?}");
    now.accepted(ChargeCommand::Succeed { quantity: None }.for_charge(open.details.id));
}
