//! Clauses about following a journal: what is behind an entry, and who is woken by a commit.

use tollkeeper_engine::{Follow, Followed, Reads};
use tollkeeper_ledger::{Kind, Source};

use super::Store;
use super::test_client::{TestClient, acme, awaited, charge, workspace};
use crate::differential::hash_of;
use tollkeeper_testkit::blocking::block_on;

fn follow(client: &TestClient, follow: Follow) -> Followed {
    let followed = block_on(client.engine.entries_after(&acme(), follow));
    followed.expect("the engine reads").expect("it exists")
}

fn all_after(after: u64, limit: usize) -> Follow {
    Follow { after, kinds: None, limit }
}

pub(super) fn a_journal_is_followed_without_a_gap(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    for n in 0..12 {
        client.charge(&format!("k{n}"), charge("message", 1));
        client.grant(&format!("g{n}"), Source::Promotional, 1);
    }
    in_steps(&client);
    let client = client.restarted(store);
    client.charge("after the restart", charge("message", 1));
    in_steps(&client);
}

fn in_steps(client: &TestClient) {
    for limit in [1, 5, 200] {
        let (mut after, mut previous) = (0, [0; 32]);
        loop {
            let Followed { data, through, last } = follow(client, all_after(after, limit));
            assert_eq!(through, after + data.len() as u64);
            for record in data {
                after += 1;
                assert_eq!((record.entry.n, record.entry.previous), (after, previous), "steps of {limit}");
                assert_eq!(record.hash, hash_of(&record.entry));
                previous = record.hash;
            }
            if through == last {
                break;
            }
        }
        assert!(after >= 26, "a creation, a grant, and what was added");
    }
    let unknown = block_on(client.engine.entries_after(&workspace("unknown"), all_after(0, 5)));
    assert_eq!(unknown.expect("the engine reads"), None);
}

pub(super) fn only_some_kinds_are_followed(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000_000);
    for n in 0..9 {
        client.charge(&format!("k{n}"), charge("message", 1));
        client.grant(&format!("g{n}"), Source::Promotional, 1);
    }
    let numbers = |kinds: &[Kind], after, limit| {
        let followed = follow(&client, Follow { after, kinds: Some(kinds.to_vec()), limit });
        (followed.data.iter().map(|record| record.entry.n).collect::<Vec<_>>(), followed.through)
    };
    // The workspace and its first grant are 1 and 2.
    assert_eq!(numbers(&[Kind::ChargeOpened], 0, 3), (vec![3, 5, 7], 8));
    assert_eq!(numbers(&[Kind::ChargeOpened], 8, 200), (vec![9, 11, 13, 15, 17, 19], 20));
    assert_eq!(numbers(&[Kind::Granted, Kind::WorkspaceCreated], 0, 3), (vec![1, 2, 4], 5));
    assert_eq!(numbers(&[Kind::BalanceLow], 3, 3), (vec![], 20), "all were looked at");
    assert_eq!(numbers(&[], 0, 3), (vec![], 20));
}

pub(super) fn a_position_that_is_not_there_is_named(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000);
    for after in [2, 3, u64::MAX / 4] {
        let nothing = Followed { data: Vec::new(), through: after, last: 2 };
        assert_eq!(follow(&client, all_after(after, 5)), nothing);
    }
}

pub(super) fn a_commit_wakes_those_who_watch(store: &dyn Store) {
    let client = TestClient::with_credit(store, 1_000_000);
    client.create_workspace(workspace("other"));
    let begin = follow(&client, all_after(0, 200)).last;
    let mut watches = [client.engine.watch(&acme()), client.engine.watch(&acme())];
    for after in begin..begin + 3 {
        client.charge(&format!("k{after}"), awaited("message", 1, 60));
        for watch in &mut watches {
            block_on(watch.changed());
        }
        let followed = follow(&client, all_after(after, 5));
        assert_eq!((followed.data.len(), followed.through), (1, after + 1), "it was committed before");
    }
}
