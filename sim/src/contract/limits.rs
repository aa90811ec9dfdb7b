//! Spending limits: that they hold, what they count, and from when on.

use tollkeeper_engine::{Output, Reads};
use tollkeeper_ledger::{
    Actor, ChargeCommand, ChargeRequest, Command, Micros, OperationId, Period, PeriodWindow, Refusal,
    Subject, WorkspaceChanges,
};

use super::Store;
use super::desk::{BEGINNING, Desk, acme, charge, key, member, submission};
use tollkeeper_testkit::blocking::block_on;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn hers(quantity: i64) -> ChargeRequest {
    ChargeRequest { member: Some(member("ada")), ..charge("message", quantity) }
}

fn limits(lines: &[(Subject, Period, i64)]) -> Command {
    let line = |(subject, period, amount): &(_, _, _)| (Clone::clone(subject), *period, Micros::new(*amount));
    Command::SetLimits(lines.iter().map(line).collect())
}

fn moved(zone: &str) -> Command {
    Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(zone.into()), ..Default::default() })
}

pub(super) fn limits_hold(store: &dyn Store) {
    let mut desk = Desk::with_credit(store, 100_000);
    desk.told(Command::Charge(hers(2)));
    let message = OperationId::new("message").expect("a name");
    desk.told(limits(&[
        (Subject::Member(member("ada")), Period::Day, 1_500),
        (Subject::Operation(message), Period::Month, 5_000),
    ]));
    assert_eq!(desk.no(Command::Charge(hers(2))), "limit_exceeded");
    desk.told(Command::Charge(hers(1)));
    desk.advance_clock(HOUR);
    let mut desk = desk.restarted(store);
    assert_eq!(desk.no(Command::Charge(hers(1))), "limit_exceeded");
    desk.told(Command::Charge(charge("message", 1)));
    desk.advance_clock(DAY);
    desk.told(Command::Charge(hers(3)));
    assert_eq!(desk.no(Command::Charge(charge("message", 4))), "limit_exceeded");
    desk.told(Command::Charge(charge("removal", 4)));
}

pub(super) fn limits_show_what_they_counted(store: &dyn Store) {
    let desk = Desk::with_credit(store, 100_000);
    let (first, _) = desk.charge("first", hers(2));
    let hers_a_day = (Subject::Member(member("ada")), Period::Day, 5_000);
    let set = limits(&[(Subject::Workspace, Period::Month, 50_000), hers_a_day.clone()]);
    let Output::Limits(told) = desk.told(set) else { panic!("limits are told as they count") };
    assert_eq!(told.iter().map(|limit| limit.used.get()).collect::<Vec<_>>(), [1_000, 1_000]);
    assert_eq!(desk.used(), [1_000, 1_000]);
    let (second, _) = desk.charge("second", charge("message", 4));
    assert_eq!(desk.used(), [3_000, 1_000]);
    let back = |id, amount| ChargeCommand::Refund { amount, reason: "courtesy".into() }.for_charge(id);
    desk.told(back(second.details.id, Some(Micros::new(500))));
    assert_eq!(desk.used(), [2_500, 1_000]);
    let mut desk = desk.restarted(store);
    assert_eq!(desk.used(), [2_500, 1_000]);
    desk.advance_clock(DAY);
    assert_eq!(desk.used(), [2_500, 0], "a new day, the same month");
    desk.told(back(first.details.id, None));
    assert_eq!(desk.used(), [1_500, -1_000], "a refund counts in the day in which it happens");
    desk.told(limits(&[hers_a_day]));
    assert_eq!(desk.used(), [-1_000], "a limit that stays keeps what it has counted");
    desk.told(limits(&[]));
    assert_eq!(desk.restarted(store).used(), [0; 0]);
}

pub(super) fn a_limit_worth_fifty_lets_fifty_pass(store: &dyn Store) {
    let desk = Desk::with_credit(store, 1_000_000);
    desk.told(limits(&[(Subject::Member(member("ada")), Period::Day, 50 * 500)]));
    let batch = |caller: usize| {
        let line = |n| submission(acme(), Some(&format!("{caller} {n}")), Command::Charge(hers(1)));
        desk.words((0..50).map(line).collect())
    };
    let batch = &batch;
    let words: Vec<&str> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|caller| scope.spawn(move || batch(caller))).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller that ends well")).collect()
    });
    assert_eq!(words.iter().filter(|word| **word == "yes").count(), 50);
    assert_eq!(words.iter().filter(|word| **word == "limit_exceeded").count(), 150);
    assert_eq!((desk.balance().available.get(), desk.used()), (1_000_000 - 50 * 500, vec![50 * 500]));
    let desk = desk.restarted(store);
    assert_eq!(desk.no(Command::Charge(hers(1))), "limit_exceeded");
    desk.told(Command::Charge(charge("message", 1)));
}

pub(super) fn a_new_limit_misses_nothing(store: &dyn Store) {
    let desk = Desk::with_credit(store, 1_000_000);
    let set = |lines: &[_]| submission(acme(), None, limits(lines));
    for n in 1..=200 {
        // While it is counted, what was charged a moment ago may be on its way to where usage is kept.
        desk.charge(&format!("k{n}"), charge("message", 1));
        let forgotten_and_set = vec![set(&[]), set(&[(Subject::Workspace, Period::Month, 1_000_000)])];
        assert_eq!(desk.words(forgotten_and_set), ["yes", "yes"]);
        assert_eq!(desk.used(), [n * 500]);
    }
}

pub(super) fn a_limit_on_a_key_knows_what_it_spent(store: &dyn Store) {
    let mut desk = Desk::with_credit(store, 100_000);
    let (one, other) = (desk.key(key("one")), desk.key(key("other")));
    let pay = |desk: &Desk, id, quantity| {
        let paid = desk.ask_as(Actor::ApiKey(id), Command::Charge(charge("message", quantity)));
        paid.map_err(|refusal| refusal.code())
    };
    let paid = pay(&desk, one, 3).expect("credit");
    pay(&desk, other, 5).expect("credit");
    desk.advance_clock(2 * HOUR);
    pay(&desk, one, 1).expect("credit");
    let desk = desk.restarted(store);
    let both = [one, other].map(|id| (Subject::ApiKey(id), Period::Day, 2_500));
    desk.told(limits(&both));
    assert_eq!(desk.used(), [2_000, 2_500], "spent before anybody set a limit");
    assert_eq!(pay(&desk, one, 2), Err("limit_exceeded"));
    pay(&desk, one, 1).expect("the last");
    assert_eq!(pay(&desk, one, 1), Err("limit_exceeded"));
    desk.told(Command::Charge(charge("message", 9)));
    let Output::Charge(first, _) = paid.output else { panic!("a charge is told") };
    assert_eq!(first.details.spender.api_key, Some(one));
    desk.told(ChargeCommand::Refund { amount: None, reason: "courtesy".into() }.for_charge(first.details.id));
    let desk = desk.restarted(store);
    assert_eq!(desk.used(), [1_000, 2_500]);
    pay(&desk, one, 3).expect("what was given back");
}

pub(super) fn what_went_back_before_the_day_began_lifts_no_limit(store: &dyn Store) {
    let mut desk = Desk::with_credit(store, 100_000);
    let (charged, _) = desk.charge("yesterday", charge("message", 4));
    desk.advance_clock(18 * HOUR + 600);
    let charge_id = charged.details.id;
    desk.told(ChargeCommand::Refund { amount: None, reason: "courtesy".into() }.for_charge(charge_id));
    desk.advance_clock(30 * 60);
    // In Kolkata the day began at half past six, between the two.
    desk.told(moved("Asia/Kolkata"));
    desk.charge("today", charge("message", 1));
    desk.told(limits(&[(Subject::Workspace, Period::Day, 1_000)]));
    assert_eq!(desk.used(), [500]);
}

pub(super) fn another_time_zone_counts_anew(store: &dyn Store) {
    let mut desk = Desk::with_credit(store, 100_000);
    let month = (Subject::Workspace, Period::Month, 3_000);
    let day = (Subject::Workspace, Period::Day, 50_000);
    desk.charge("new year", charge("message", 3));
    desk.advance_clock(30 * DAY + 18 * HOUR + 600);
    desk.charge("at ten past six", charge("message", 1));
    desk.advance_clock(30 * 60);
    desk.charge("at twenty to seven", charge("message", 2));
    desk.told(limits(&[month, day]));
    assert_eq!(desk.used(), [3_000, 1_500]);
    assert_eq!(desk.no(Command::Charge(charge("message", 1))), "limit_exceeded");

    // In Kolkata it is February since half past six, and of the hour in which that was, the whole counts.
    let before = desk.entry_count();
    desk.told(moved("Asia/Kolkata"));
    assert_eq!((desk.used(), desk.entry_count()), (vec![1_500, 1_500], before + 2));
    let half_past_six = BEGINNING.plus_seconds(30 * DAY + 18 * HOUR + 30 * 60);
    let windows = |desk: &Desk| {
        let limits = block_on(desk.engine.limits(&acme(), desk.now)).expect("it reads");
        limits.expect("it is there").1
    };
    let from_half_past_six =
        |days: i64| PeriodWindow { start: half_past_six, end: half_past_six.plus_seconds(days * DAY) };
    assert_eq!(windows(&desk).day, from_half_past_six(1));
    assert_eq!(windows(&desk).month, from_half_past_six(28));
    desk.charge("in february", charge("message", 1));
    desk.told(moved("Asia/Kolkata"));
    assert_eq!((desk.used(), desk.entry_count()), (vec![2_000, 2_000], before + 3));

    // In New York the year began five hours later, after the first charge.
    let desk = desk.restarted(store);
    desk.told(moved("America/New_York"));
    assert_eq!(desk.used(), [2_000, 2_000]);
    let mut desk = desk.restarted(store);
    desk.told(moved("UTC"));
    assert_eq!(desk.used(), [3_500, 2_000], "more than the limit, because nobody could know");
    assert_eq!(desk.no(Command::Charge(charge("message", 1))), "limit_exceeded");

    // The 29th of March 2026 has twenty-three hours in Berlin.
    desk.told(moved("Europe/Berlin"));
    desk.now = BEGINNING.plus_seconds(87 * DAY);
    assert_eq!(desk.used(), [0, 0]);
    let refused = desk.ask(acme(), None, Command::Charge(charge("try_on", 3))).expect_err("too much");
    let Refusal::LimitExceeded { resets_at, .. } = refused else { panic!("{refused:?}") };
    let midnight = |days: i64, hours: i64| BEGINNING.plus_seconds(days * DAY - hours * HOUR);
    assert_eq!(resets_at, midnight(90, 2), "of the two that are passed, the month leaves less");
    assert_eq!(windows(&desk).day, PeriodWindow { start: midnight(87, 1), end: midnight(88, 2) });
}
