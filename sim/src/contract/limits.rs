//! Clauses about spending limits: enforcement, counted usage, and time zones.

use tollkeeper_engine::{Output, Reads};
use tollkeeper_ledger::{
    Actor, ChargeCommand, ChargeRequest, Command, Micros, OperationId, Period, PeriodWindow, Refusal,
    Subject, WorkerId, WorkspaceChanges, WorkspaceId,
};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, charge, key, member, submission, workspace};
use tollkeeper_testkit::blocking::block_on;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn of_ada(quantity: i64) -> ChargeRequest {
    ChargeRequest { member: Some(member("ada")), ..charge("message", quantity) }
}

fn limits(lines: &[(Subject, Period, i64)]) -> Command {
    let line = |(subject, period, amount): &(_, _, _)| (Clone::clone(subject), *period, Micros::new(*amount));
    Command::SetLimits(lines.iter().map(line).collect())
}

fn new_time_zone(zone: &str) -> Command {
    Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(zone.into()), ..Default::default() })
}

pub(super) fn limits_are_enforced(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    client.accepted(Command::Charge(of_ada(2)));
    let message = OperationId::new("message").expect("a name");
    client.accepted(limits(&[
        (Subject::Member(member("ada")), Period::Day, 1_500),
        (Subject::Operation(message), Period::Month, 5_000),
    ]));
    assert_eq!(client.refused(Command::Charge(of_ada(2))), "limit_exceeded");
    client.accepted(Command::Charge(of_ada(1)));
    client.advance_clock(HOUR);
    let mut client = client.restarted(store);
    assert_eq!(client.refused(Command::Charge(of_ada(1))), "limit_exceeded");
    client.accepted(Command::Charge(charge("message", 1)));
    client.advance_clock(DAY);
    client.accepted(Command::Charge(of_ada(3)));
    assert_eq!(client.refused(Command::Charge(charge("message", 4))), "limit_exceeded");
    client.accepted(Command::Charge(charge("removal", 4)));
}

pub(super) fn limits_show_their_usage(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    let (first, _) = client.charge("first", of_ada(2));
    let adas_day = (Subject::Member(member("ada")), Period::Day, 5_000);
    let set = limits(&[(Subject::Workspace, Period::Month, 50_000), adas_day.clone()]);
    let Output::Limits(output) = client.accepted(set) else { panic!("limits are answered by limits") };
    assert_eq!(output.iter().map(|limit| limit.used.get()).collect::<Vec<_>>(), [1_000, 1_000]);
    assert_eq!(client.used(), [1_000, 1_000]);
    let (second, _) = client.charge("second", charge("message", 4));
    assert_eq!(client.used(), [3_000, 1_000]);
    let back = |id, amount| ChargeCommand::Refund { amount, reason: "courtesy".into() }.for_charge(id);
    client.accepted(back(second.details.id, Some(Micros::new(500))));
    assert_eq!(client.used(), [2_500, 1_000]);
    let mut client = client.restarted(store);
    assert_eq!(client.used(), [2_500, 1_000]);
    client.advance_clock(DAY);
    assert_eq!(client.used(), [2_500, 0], "a new day, the same month");
    client.accepted(back(first.details.id, None));
    assert_eq!(client.used(), [1_500, 0], "a refund gives back what was counted in the same period");
    let entries = client.entry_count();
    let set = || limits(std::slice::from_ref(&adas_day));
    client.accepted(set());
    assert_eq!(client.used(), [0], "a limit that is set again keeps its usage");
    let Output::Limits(output) = client.accepted(set()) else { panic!("limits are answered by limits") };
    assert_eq!(output.iter().map(|limit| limit.used.get()).collect::<Vec<_>>(), [0]);
    assert_eq!(client.entry_count(), entries + 1, "equal limits write nothing");
    client.accepted(limits(&[]));
    assert_eq!(client.restarted(store).used(), [0; 0]);
}

pub(super) fn a_limit_worth_fifty_lets_fifty_pass(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000_000);
    client.accepted(limits(&[(Subject::Member(member("ada")), Period::Day, 50 * 500)]));
    let batch = |caller: usize| {
        let line = |n| submission(acme(), Some(&format!("{caller} {n}")), Command::Charge(of_ada(1)));
        client.codes((0..50).map(line).collect())
    };
    let batch = &batch;
    let words: Vec<&str> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|caller| scope.spawn(move || batch(caller))).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller does not panic")).collect()
    });
    assert_eq!(words.iter().filter(|word| **word == "yes").count(), 50);
    assert_eq!(words.iter().filter(|word| **word == "limit_exceeded").count(), 150);
    assert_eq!((client.balance().available.get(), client.used()), (1_000_000 - 50 * 500, vec![50 * 500]));
    let client = client.restarted(store);
    assert_eq!(client.refused(Command::Charge(of_ada(1))), "limit_exceeded");
    client.accepted(Command::Charge(charge("message", 1)));
}

pub(super) fn a_new_limit_counts_all_earlier_charges(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000_000);
    let set = |lines: &[_]| submission(acme(), None, limits(lines));
    for n in 1..=200 {
        // The last charge may not have reached the stored usage yet when the limit is set.
        client.charge(&format!("k{n}"), charge("message", 1));
        let removed_and_set = vec![set(&[]), set(&[(Subject::Workspace, Period::Month, 1_000_000)])];
        assert_eq!(client.codes(removed_and_set), ["yes", "yes"]);
        assert_eq!(client.used(), [n * 500]);
    }
}

pub(super) fn a_limit_on_a_key_counts_its_charges(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let (one, other) = (client.create_key(key("one")), client.create_key(key("other")));
    let pay = |client: &TestClient, id, quantity| {
        let paid = client.submit_as(Actor::ApiKey(id), Command::Charge(charge("message", quantity)));
        paid.map_err(|refusal| refusal.code())
    };
    let paid = pay(&client, one, 3).expect("credit");
    pay(&client, other, 5).expect("credit");
    client.advance_clock(2 * HOUR);
    pay(&client, one, 1).expect("credit");
    let client = client.restarted(store);
    let both = [one, other].map(|id| (Subject::ApiKey(id), Period::Day, 2_500));
    client.accepted(limits(&both));
    assert_eq!(client.used(), [2_000, 2_500], "the charges before the limit count");
    assert_eq!(pay(&client, one, 2), Err("limit_exceeded"));
    pay(&client, one, 1).expect("the last");
    assert_eq!(pay(&client, one, 1), Err("limit_exceeded"));
    client.accepted(Command::Charge(charge("message", 9)));
    let Output::Charge(first, _) = paid.output else { panic!("a charge is answered by a charge") };
    assert_eq!(first.details.spender.api_key, Some(one));
    client.accepted(
        ChargeCommand::Refund { amount: None, reason: "courtesy".into() }.for_charge(first.details.id),
    );
    let client = client.restarted(store);
    assert_eq!(client.used(), [1_000, 2_500]);
    pay(&client, one, 3).expect("the refund lowered the usage");
}

pub(super) fn a_refund_before_the_day_does_not_reduce_its_usage(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let (charged, _) = client.charge("yesterday", charge("message", 4));
    client.advance_clock(18 * HOUR + 600);
    let charge_id = charged.details.id;
    client.accepted(ChargeCommand::Refund { amount: None, reason: "courtesy".into() }.for_charge(charge_id));
    client.advance_clock(30 * 60);
    // The day in Kolkata began at 18:30 UTC, between charge and refund on one side and the new
    // limit on the other.
    client.accepted(new_time_zone("Asia/Kolkata"));
    client.charge("today", charge("message", 1));
    client.accepted(limits(&[(Subject::Workspace, Period::Day, 1_000)]));
    assert_eq!(client.used(), [500]);
}

pub(super) fn a_new_time_zone_recounts_the_limits(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let month = (Subject::Workspace, Period::Month, 3_000);
    let day = (Subject::Workspace, Period::Day, 50_000);
    client.charge("new year", charge("message", 3));
    client.advance_clock(30 * DAY + 18 * HOUR + 600);
    client.charge("at ten past six", charge("message", 1));
    client.advance_clock(30 * 60);
    client.charge("at twenty to seven", charge("message", 2));
    client.accepted(limits(&[month, day]));
    assert_eq!(client.used(), [3_000, 1_500]);
    assert_eq!(client.refused(Command::Charge(charge("message", 1))), "limit_exceeded");

    // In Kolkata it is February since 18:30 UTC. Charges before the change count by the hour, so
    // the whole hour from 18:00 counts.
    let before = client.entry_count();
    client.accepted(new_time_zone("Asia/Kolkata"));
    assert_eq!((client.used(), client.entry_count()), (vec![1_500, 1_500], before + 2));
    let half_past_six = BEGINNING.plus_seconds(30 * DAY + 18 * HOUR + 30 * 60);
    let windows = |client: &TestClient| {
        let limits = block_on(client.engine.limits(&acme(), client.now)).expect("the engine reads");
        limits.expect("it exists").1
    };
    let from_half_past_six =
        |days: i64| PeriodWindow { start: half_past_six, end: half_past_six.plus_seconds(days * DAY) };
    assert_eq!(windows(&client).day, from_half_past_six(1));
    assert_eq!(windows(&client).month, from_half_past_six(28));
    client.charge("in february", charge("message", 1));
    client.accepted(new_time_zone("Asia/Kolkata"));
    assert_eq!((client.used(), client.entry_count()), (vec![2_000, 2_000], before + 3));

    // In New York the year began five hours later, after the first charge.
    let client = client.restarted(store);
    client.accepted(new_time_zone("America/New_York"));
    assert_eq!(client.used(), [2_000, 2_000]);
    let mut client = client.restarted(store);
    client.accepted(new_time_zone("UTC"));
    assert_eq!(
        client.used(),
        [3_500, 2_000],
        "more than the limit, because the limit did not count them before"
    );
    assert_eq!(client.refused(Command::Charge(charge("message", 1))), "limit_exceeded");

    // In Berlin, 29 March 2026 has 23 hours.
    client.accepted(new_time_zone("Europe/Berlin"));
    client.now = BEGINNING.plus_seconds(87 * DAY);
    assert_eq!(client.used(), [0, 0]);
    let refused = client.submit(acme(), None, Command::Charge(charge("try_on", 3))).expect_err("too much");
    let Refusal::LimitExceeded { resets_at, .. } = refused else { panic!("{refused:?}") };
    let midnight = |days: i64, hours: i64| BEGINNING.plus_seconds(days * DAY - hours * HOUR);
    assert_eq!(resets_at, midnight(90, 2), "of the two exceeded limits, the month has less left");
    assert_eq!(windows(&client).day, PeriodWindow { start: midnight(87, 1), end: midnight(88, 2) });
}

pub(super) fn a_workspace_with_much_usage_waits_between_two_recounts(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 3_000_000);
    let worker = |n: usize| WorkerId::new(format!("w{n}")).expect("a name");
    let by_worker = |n: usize| {
        let request = ChargeRequest { worker: Some(worker(n)), ..charge("message", 1) };
        submission(acme(), None, Command::Charge(request))
    };
    let charges = block_on(client.engine.run_each((0..5_000).map(by_worker).collect(), client.now));
    assert!(charges.expect("a healthy engine").iter().all(|ran| ran.as_ref().is_ok_and(Result::is_ok)));
    client.advance_clock(HOUR);
    client.charge("the next hour", charge("message", 1));
    let other = workspace("other");
    client.create_workspace(other.clone());
    let limit = |of: &WorkspaceId, n| {
        let line = (Subject::Worker(worker(n)), Period::Month, 1_000);
        submission(of.clone(), None, limits(&[line]))
    };
    let pay = || submission(acme(), None, Command::Charge(charge("message", 1)));
    let batch = vec![limit(&acme(), 1), limit(&other, 1)];
    let ran = block_on(client.engine.run_each(batch, client.now)).expect("a healthy engine");
    assert!(ran.iter().all(|ran| ran.as_ref().is_ok_and(Result::is_ok)));
    let batch = vec![limit(&acme(), 2), limit(&acme(), 1), limit(&other, 2), pay()];
    let ran = block_on(client.engine.run_each(batch, client.now)).expect("a healthy engine");
    assert!(ran[0].as_ref().expect_err("it comes too soon").is_overloaded());
    assert!(ran[1..].iter().all(|ran| ran.as_ref().is_ok_and(Result::is_ok)), "{:?}", &ran[1..]);
}
