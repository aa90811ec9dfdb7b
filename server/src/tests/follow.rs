//! The entries behind a position: lists, kinds, waiting, and positions that are lost.

use std::time::Duration;

use tollkeeper_ledger::{Actor, Command, Submission, WorkspaceId};

use super::*;

const PATH: &str = "/v1/workspaces/acme/entries";
const CHARGE: &str = r#"{"operation":"support_message"}"#;

/// The numbers of the entries of an answer.
fn numbers(reply: &Reply) -> Vec<i64> {
    let json = reply.json();
    assert_eq!((reply.status, &json["next_cursor"]), (200, &Value::Null), "{}", reply.text);
    let rows = json["data"].as_array().expect("a list has rows");
    rows.iter().map(|row| row["number"].as_i64().expect("an entry has a number")).collect()
}

/// A world whose workspace has the entries 1 to 7: created, granted, five charges.
async fn world_with_charges() -> World {
    let world = world_with(100_000).await;
    for n in 0..5 {
        assert_eq!(world.charge(&format!("k{n}"), CHARGE).await.status, 201);
    }
    world
}

/// Begins the next epoch, as a restore does.
pub(super) async fn begin_epoch(world: &World) {
    let (workspace, command) = (WorkspaceId::platform(), Command::MarkRestored);
    let submission = Submission { workspace, key: None, actor: Actor::System, command };
    let result = world.app.engine().run(submission, Timestamp::from_millis(NOW)).await;
    result.expect("a healthy disk").expect("it is accepted");
}

#[tokio::test]
async fn entries_behind_a_position_are_listed_oldest_first() {
    let world = world_with_charges().await;
    let after = async |query: &str| world.get(&format!("{PATH}?after={query}")).await;
    let all = after("0").await;
    assert_eq!((numbers(&all), &all.json()["after"]), ((1..=7).collect(), &"1-7".into()));
    let some = after("2&limit=3").await;
    assert_eq!((numbers(&some), &some.json()["after"]), (vec![3, 4, 5], &"1-5".into()));
    let rest = after("1-5").await;
    assert_eq!((numbers(&rest), &rest.json()["after"]), (vec![6, 7], &"1-7".into()));
    let none = after("7").await;
    assert_eq!((numbers(&none), &none.json()["after"]), (vec![], &"1-7".into()));
    let newest_first = world.get(PATH).await.json();
    assert_eq!(newest_first["data"][0], rest.json()["data"][1], "an entry is the same in both lists");
    assert_eq!(newest_first["after"], Value::Null);
    let charges = after("0&kinds=charge.settled,grant.created,charge.opened&limit=2").await;
    assert_eq!((numbers(&charges), &charges.json()["after"]), (vec![2, 3], &"1-3".into()));
    let none = after("0&kinds=balance.low").await;
    assert_eq!((numbers(&none), &none.json()["after"]), (vec![], &"1-7".into()), "all were looked at");
}

#[tokio::test]
async fn a_query_that_cannot_be_followed_is_refused() {
    let world = world_with_charges().await;
    for (query, parameter) in [
        ("after=x", "after"),
        ("after=1-", "after"),
        ("after=0&kinds=", "kinds"),
        ("after=0&kinds=charge.opened,no.kind", "kinds"),
        ("after=0&wait=31", "wait"),
        ("after=0&wait=-1", "wait"),
        ("after=0&cursor=3", "cursor"),
        ("kinds=charge.opened", "kinds"),
        ("wait=1", "wait"),
    ] {
        let problem = world.get(&format!("{PATH}?{query}")).await.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
    world.get("/v1/workspaces/nobody/entries?after=0").await.problem(404, "workspace_not_found");
}

#[tokio::test]
async fn a_position_of_another_epoch_or_beyond_the_end_is_lost() {
    let world = world_with_charges().await;
    let lost = async |query: &str| {
        let problem = world.get(&format!("{PATH}?after={query}")).await.problem(409, "position_lost");
        (problem["epoch"].as_i64(), problem["last"].as_str().map(str::to_owned))
    };
    assert_eq!(lost("8").await, (Some(1), Some("1-7".to_owned())));
    assert_eq!(lost("2-3").await, (Some(1), Some("1-7".to_owned())));
    begin_epoch(&world).await;
    assert_eq!(lost("1-3").await, (Some(2), Some("2-7".to_owned())));
    assert_eq!(lost("1-3&wait=30").await, (Some(2), Some("2-7".to_owned())), "it is not waited for");
    let current = world.get(&format!("{PATH}?after=3")).await;
    assert_eq!((numbers(&current), &current.json()["after"]), (vec![4, 5, 6, 7], &"2-7".into()));
}

#[tokio::test]
async fn a_request_waits_for_the_next_entry_of_its_kinds() {
    let world = world_with_charges().await;
    let path = format!("{PATH}?after=1-7&wait=30&kinds=grant.created");
    let charging = async {
        assert_eq!(world.charge("another", CHARGE).await.status, 201);
        world.grant("acme", "more", 500).await;
    };
    let (waited, ()) = tokio::join!(world.get(&path), charging);
    assert_eq!((numbers(&waited), &waited.json()["after"]), (vec![9], &"1-9".into()));
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_said_and_ends_with_the_server() {
    let world = world_with_charges().await;
    let path = format!("{PATH}?after=7&wait=1");
    let waited = tokio::time::timeout(Duration::from_secs(60), world.get(&path));
    let waited = waited.await.expect("it is answered");
    assert_eq!((numbers(&waited), &waited.json()["after"]), (vec![], &"1-7".into()));
    let path = format!("{PATH}?after=7&wait=30");
    let waiting = world.get(&path);
    let end = async { world.app.followers.end_all() };
    let (ended, ()) = tokio::join!(waiting, end);
    assert_eq!(numbers(&ended), Vec::<i64>::new(), "at a shutdown it is answered at once");
    world.get(&path).await.problem(503, "overloaded");
    assert_eq!(numbers(&world.get(&format!("{PATH}?after=6")).await), [7], "without waiting it is served");
}

#[tokio::test]
async fn a_key_that_was_revoked_while_it_waited_learns_nothing() {
    let world = world_with_charges().await;
    let (id, secret) = world.make_key("acme", r#"{"name":"reader","scopes":["read"]}"#).await;
    let bearer = format!("Bearer {secret}");
    let path = format!("{PATH}?after=9&wait=30");
    let headers = [("authorization", bearer.as_str())];
    let waiting = async {
        // The use of the key is recorded as one more entry.
        let used = world.ask("GET", &format!("{PATH}?after=8&wait=30"), &headers, Body::empty()).await;
        assert_eq!(numbers(&used), [9]);
        let key = format!("/v1/workspaces/acme/api-keys/{id}");
        let revoking = world.put("DELETE", &key, "", "");
        let (waited, revoked) = tokio::join!(world.ask("GET", &path, &headers, Body::empty()), revoking);
        assert_eq!(revoked.status, 204, "{}", revoked.text);
        waited
    };
    waiting.await.problem(401, "unauthenticated");
}
