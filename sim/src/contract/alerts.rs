//! Clauses about alerts: what crosses a threshold is an entry of its change, a check finds what no
//! change brings about, and notices are bounded.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Alert, AlertLine, Command, Crossing, EntryBody, GrantRequest, Kind, Micros, OperationId, Period,
    RefusedCharge, Source, Subject, Threshold, Timestamp,
};
use tollkeeper_testkit::blocking::block_on;

use super::Store;
use super::test_client::{TestClient, acme, charge, pages};

impl TestClient {
    /// The entries of alerts and notices, oldest first, each with its number.
    fn alert_entries(&self) -> Vec<(u64, Alert)> {
        let entries = pages(50, |page| {
            block_on(self.engine.entries(&acme(), page)).expect("the engine reads").expect("it exists")
        });
        let alerts = entries.into_iter().rev().filter_map(|record| match record.entry.body {
            EntryBody::Alert(alert) => Some((record.entry.n, alert)),
            _ => None,
        });
        alerts.collect()
    }

    fn thresholds(&self) -> Vec<Threshold> {
        block_on(self.engine.alerts(&acme())).expect("the engine reads").expect("it exists").thresholds
    }

    fn grant_free(&self, amount: i64) {
        self.accepted(Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(amount))));
    }
}

fn amounts<const N: usize>(amounts: [i64; N]) -> Vec<AlertLine> {
    amounts.map(|amount| AlertLine::Amount(Micros::new(amount))).to_vec()
}

fn crossing(amount: i64, runway_days: Option<u16>) -> Crossing {
    Crossing { amount: Micros::new(amount), runway_days }
}

pub(super) fn an_alert_is_an_entry(store: &dyn Store) {
    let client = TestClient::with_credit(store, 2_000);
    client.accepted(Command::SetAlerts { thresholds: amounts([1_000, 1_600]), cooldown_seconds: 3_600 });
    client.charge("one", charge("message", 1));
    client.charge("two", charge("message", 2));
    let low = |n, amount| (n, Alert::Low(crossing(amount, None)));
    assert_eq!(client.alert_entries(), [low(5, 1_600), low(7, 1_000)], "one after each charge");
}

pub(super) fn a_balance_recovers_and_falls_again(store: &dyn Store) {
    let client = TestClient::with_credit(store, 2_000);
    client.accepted(Command::SetAlerts { thresholds: amounts([1_600]), cooldown_seconds: 3_600 });
    client.charge("one", charge("message", 1));
    client.grant_free(500);
    client.charge("two", charge("message", 1));
    let known = client.alert_entries();
    let low = Alert::Low(crossing(1_600, None));
    let kinds: Vec<&Alert> = known.iter().map(|(_, alert)| alert).collect();
    assert_eq!(kinds, [&low, &Alert::Recovered(crossing(1_600, None))], "the cooldown silences the second");
    let mut client = client.restarted(store);
    let armed = client.thresholds()[0];
    assert!(!armed.is_low && armed.fired_at != Timestamp::ZERO, "{armed:?}");
    client.advance_clock(3_600);
    let check = || Command::CheckAlerts { lines: Vec::new() };
    client.accepted(check());
    client.accepted(check());
    let entries = client.alert_entries();
    assert_eq!((entries.len(), &entries[2].1), (3, &low), "one when the cooldown has ended");
    assert!(client.thresholds()[0].is_low);
}

pub(super) fn days_of_runway_are_checked(store: &dyn Store) {
    let client = TestClient::with_credit(store, 2_000);
    let thresholds = vec![AlertLine::RunwayDays(7), AlertLine::RunwayDays(30)];
    client.accepted(Command::SetAlerts { thresholds, cooldown_seconds: 0 });
    let check = |week: i64, month: i64| {
        let lines = vec![(7, Micros::new(week)), (30, Micros::new(month))];
        client.accepted(Command::CheckAlerts { lines });
    };
    check(500, 2_000);
    assert_eq!(client.alert_entries().len(), 0, "nothing is written if nothing fires");
    check(2_001, 9_000);
    let entries = client.alert_entries();
    let low = |n, amount, days| (n, Alert::Low(crossing(amount, Some(days))));
    assert_eq!(entries, [low(4, 2_001, 7), low(5, 9_000, 30)]);
    let client = client.restarted(store);
    let lines = vec![(7, Micros::new(1_904)), (30, Micros::new(9_000))];
    client.accepted(Command::CheckAlerts { lines });
    assert_eq!(client.alert_entries()[2], (6, Alert::Recovered(crossing(1_904, Some(7)))));
    assert_eq!(client.thresholds().iter().map(|known| known.is_low).collect::<Vec<_>>(), [false, true]);
}

pub(super) fn refused_charges_are_noted_once_a_cooldown(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100);
    let note = |client: &TestClient, refusals| {
        client.accepted(Command::NoteRefused(RefusedCharge {
            operation: OperationId::new("message").expect("a name"),
            required: Micros::new(500),
            available: Micros::new(100),
            refusals,
        }));
    };
    (1..=50).for_each(|refusals| note(&client, refusals));
    assert_eq!(client.alert_entries().len(), 1);
    client.advance_clock(86_400);
    let client = client.restarted(store);
    note(&client, 50);
    let entries = client.alert_entries();
    let Alert::Refused(refused) = &entries[1].1 else { panic!("{entries:?}") };
    assert_eq!((entries.len(), refused.refusals, refused.shortfall()), (2, 50, Micros::new(400)));
}

pub(super) fn a_reached_limit_is_noted_once_a_period(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    client.accepted(Command::SetLimits(vec![(Subject::Workspace, Period::Day, Micros::new(400))]));
    let note = |client: &TestClient| {
        let found = block_on(client.engine.limits(&acme(), client.now)).expect("the engine reads");
        let (_, windows) = found.expect("it exists");
        let resets_at = windows.day.end;
        client.accepted(Command::NoteLimit { subject: Subject::Workspace, period: Period::Day, resets_at });
    };
    note(&client);
    note(&client);
    client.advance_clock(86_400);
    let client = client.restarted(store);
    note(&client);
    note(&client);
    let kinds: Vec<Kind> = client.alert_entries().iter().map(|(_, alert)| alert.kind()).collect();
    assert_eq!(kinds, [Kind::LimitReached; 2]);
}
