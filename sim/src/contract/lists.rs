//! Clauses about reads: pages, filters, past balances, usage, and the hash chain.

use tollkeeper_engine::{BalanceAt, ChargeFilter, EntryRecord, Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::{
    Balance, Charge, ChargeCommand, ChargeRequest, Micros, OperationId, Source, Status, Timestamp, WorkerId,
};

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, awaited, charge, pages, workspace};
use crate::differential::hash_of;
use tollkeeper_testkit::blocking::block_on;

fn charges(client: &TestClient, limit: usize, filter: &ChargeFilter) -> Vec<Charge> {
    pages(limit, |page| {
        block_on(client.engine.charges(&acme(), filter.clone(), page))
            .expect("the engine reads")
            .expect("it exists")
    })
}

fn entries(client: &TestClient, limit: usize) -> Vec<EntryRecord> {
    pages(limit, |page| {
        block_on(client.engine.entries(&acme(), page)).expect("the engine reads").expect("it exists")
    })
}

pub(super) fn lists_come_in_pages(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    for n in 0..20 {
        client.charge(&format!("k{n}"), charge("message", n + 1));
        client.grant(&format!("g{n}"), Source::Promotional, n + 1);
    }
    whole_in_pages(&client);
    whole_in_pages(&client.restarted(store));
}

fn whole_in_pages(client: &TestClient) {
    let mut names: Vec<String> = (0..20).rev().map(|n| format!("g{n}")).collect();
    names.push("opening".to_owned());
    for limit in [1, 7, 20, 200] {
        let listed = charges(client, limit, &ChargeFilter::default());
        let quantities: Vec<i64> = listed.iter().map(|charge| charge.details.quantity.total()).collect();
        assert_eq!(quantities, (1..=20).rev().collect::<Vec<_>>(), "pages of {limit}");
        let numbers: Vec<u64> = entries(client, limit).iter().map(|record| record.entry.n).collect();
        assert_eq!(numbers, (1..=42).rev().collect::<Vec<_>>(), "pages of {limit}");
        let grants = pages(limit, |page| {
            block_on(client.engine.grants(&acme(), page)).expect("the engine reads").expect("it exists")
        });
        let reasons: Vec<String> =
            grants.iter().filter_map(|record| record.reason.as_deref().map(str::to_owned)).collect();
        assert_eq!(reasons, names, "pages of {limit}");
    }
}

pub(super) fn charges_are_filtered(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    let worker = |name: &str| Some(WorkerId::new(name).expect("a name"));
    for n in 0..12 {
        let request = ChargeRequest {
            worker: worker(if n % 3 == 0 { "w1" } else { "w2" }),
            reference: (n % 4 == 0).then(|| "order 7".into()),
            ..if n % 2 == 0 { awaited("message", 1, 600) } else { charge("removal", 1) }
        };
        client.charge(&format!("k{n}"), request);
        client.advance_clock(60);
    }
    let all = charges(&client, 100, &ChargeFilter::default());
    client.accepted(ChargeCommand::Fail { by_system: true, detail: None }.for_charge(all[11].details.id));
    let count = |filter: ChargeFilter| charges(&client, 5, &filter).len();
    let none = ChargeFilter::default;
    let message = OperationId::new("message").expect("a name");
    assert_eq!(count(ChargeFilter { operation: Some(message.clone()), ..none() }), 6);
    assert_eq!(count(ChargeFilter { worker: worker("w1"), ..none() }), 4);
    assert_eq!(count(ChargeFilter { worker: worker("w1"), operation: Some(message), ..none() }), 2);
    assert_eq!(count(ChargeFilter { reference: Some("order 7".into()), ..none() }), 3);
    assert_eq!(count(ChargeFilter { status: Some(Status::Pending), ..none() }), 5);
    assert_eq!(count(ChargeFilter { status: Some(Status::Refunded), ..none() }), 1);
    assert_eq!(count(ChargeFilter { status: Some(Status::Settled), ..none() }), 6);
    let (from, to) = (Some(BEGINNING.plus_seconds(60)), Some(BEGINNING.plus_seconds(180)));
    assert_eq!(count(ChargeFilter { from, to, ..none() }), 2, "from is included, to is not");
    assert_eq!(count(ChargeFilter { from: Some(client.now), ..none() }), 0);
}

pub(super) fn new_rows_do_not_shift_pages(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    for n in 0..10 {
        client.charge(&format!("k{n}"), charge("message", n + 1));
    }
    let page = |cursor| {
        let page = Page { limit: 4, cursor };
        block_on(client.engine.charges(&acme(), ChargeFilter::default(), page))
            .expect("the engine reads")
            .expect("there")
    };
    let first = page(None);
    client.charge("new", charge("message", 99));
    let second = page(first.next);
    let third = page(second.next);
    let rows = first.data.iter().chain(&second.data).chain(&third.data);
    let quantities: Vec<i64> = rows.map(|charge| charge.details.quantity.total()).collect();
    assert_eq!(quantities, (1..=10).rev().collect::<Vec<_>>(), "no row twice and none left out");
}

pub(super) fn a_past_balance_does_not_change(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    let mut seen: Vec<(Timestamp, Balance)> = vec![(client.now, client.balance())];
    for n in 0..10 {
        client.advance_clock(1_700);
        let request = if n % 2 == 0 { charge("message", 1) } else { awaited("message", 1, 600_000) };
        client.charge(&format!("k{n}"), request);
        seen.push((client.now, client.balance()));
    }
    let client = client.restarted(store);
    let at = |at| {
        block_on(client.engine.balance(&acme(), Some(at))).expect("the engine reads").expect("it exists")
    };
    for (then, balance) in &seen {
        let expected = BalanceAt { balance: *balance, last_entry_at: *then };
        assert_eq!(at(*then), expected);
        assert_eq!(at(then.plus_seconds(1_699)), expected, "until the next entry");
    }
    assert_eq!(
        at(BEGINNING.plus_seconds(-1)).balance,
        Balance::default(),
        "before the workspace was created"
    );
    assert_eq!(at(BEGINNING.plus_seconds(1_000_000)).balance, client.balance());
}

pub(super) fn usage_is_counted_by_the_hour(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 100_000);
    let hour = BEGINNING.hour();
    let (early, _) = client.charge("a", charge("message", 2));
    client.charge("b", ChargeRequest { worker: WorkerId::new("w1").ok(), ..charge("message", 1) });
    client.advance_clock(3_600);
    client.charge("c", charge("message", 3));
    let refund =
        ChargeCommand::Refund { amount: None, reason: "courtesy".into() }.for_charge(early.details.id);
    client.accepted(refund);
    let rows = |client: &TestClient, from, to| {
        let mut rows = block_on(client.engine.usage(&acme(), from..to)).expect("the engine reads");
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let row = |(key, used): &(tollkeeper_ledger::UsageKey, tollkeeper_ledger::UsageSums)| {
            let numbers = (used.runs, used.quantity, used.charged.get(), used.refunded.get());
            (key.hour - hour, key.spender.worker.is_some(), numbers)
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let expected =
        [(0, false, (1, 2, 1_000, 0)), (0, true, (1, 1, 500, 0)), (1, false, (1, 3, 1_500, 1_000))];
    assert_eq!(rows(&client, hour, hour + 2), expected);
    assert_eq!(rows(&client, hour, hour + 1), expected[..2], "the last hour is not included");
    let client = client.restarted(store);
    assert_eq!(rows(&client, hour, hour + 2), expected);
    client.charge("d", charge("message", 1));
    assert_eq!(rows(&client, hour + 1, hour + 2), [(1, false, (2, 4, 2_000, 1_000))]);
}

pub(super) fn the_journal_is_a_hash_chain(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    for n in 0..10 {
        client.charge(&format!("k{n}"), charge("message", 1));
    }
    let client = client.restarted(store);
    let (paid, balance) = client.charge("last", charge("message", 1));
    let mut chain = entries(&client, 5);
    assert_eq!(chain[0].entry.body.charge().map(|(id, _)| id), Some(paid.details.id));
    assert_eq!(
        (chain[0].entry.balance, chain[0].entry.key.as_ref().map(|k| k.as_str())),
        (balance, Some("last"))
    );
    chain.reverse();
    let mut previous = [0; 32];
    for (place, record) in chain.iter().enumerate() {
        assert_eq!((record.entry.n, record.entry.previous), (place as u64 + 1, previous));
        assert_eq!(record.hash, hash_of(&record.entry));
        previous = record.hash;
    }
    let sum: Micros =
        chain.iter().filter_map(|record| record.entry.body.legs()).map(|legs| legs.amount).sum();
    assert_eq!(sum.get(), 100_000 + 11 * 500);
}

pub(super) fn a_wrong_cursor_is_an_error(store: &dyn Store) {
    let client = TestClient::with_credit(store, 100_000);
    client.create_workspace(workspace("b"));
    let page = || Page { limit: 5, cursor: Some("no cursor".to_owned()) };
    let all = ChargeFilter::default;
    assert!(
        block_on(client.engine.charges(&acme(), all(), page())).expect_err("a wrong cursor").is_bad_cursor()
    );
    assert!(block_on(client.engine.grants(&acme(), page())).expect_err("a wrong cursor").is_bad_cursor());
    assert!(block_on(client.engine.entries(&acme(), page())).expect_err("a wrong cursor").is_bad_cursor());
    assert!(
        block_on(client.engine.workspaces(WorkspaceFilter::default(), page()))
            .expect_err("a wrong cursor")
            .is_bad_cursor()
    );
    for cursor in ["18446744073709551615", "9223372036854775808", "-1", "0", "", "17/a\0", "\0"] {
        // A number that is no cursor of this list gives an error or a page, and nothing else.
        let page = || Page { limit: 5, cursor: Some(cursor.to_owned()) };
        let output = block_on(client.engine.entries(&acme(), page()));
        assert!(output.as_ref().map_or_else(|error| error.is_bad_cursor(), |_| true), "{cursor}: {output:?}");
        let output = block_on(client.engine.workspaces(WorkspaceFilter::default(), page()));
        assert!(output.as_ref().map_or_else(|error| error.is_bad_cursor(), |_| true), "{cursor}: {output:?}");
        let output = block_on(client.engine.charges(&acme(), all(), page()));
        assert!(output.as_ref().map_or_else(|error| error.is_bad_cursor(), |_| true), "{cursor}: {output:?}");
    }
}
