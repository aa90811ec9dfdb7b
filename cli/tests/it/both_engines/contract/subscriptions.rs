//! Subscriptions with the provider `manual`: chosen, confirmed, granted once, audited.

use serde_json::{Value, json};

use super::{server, store};
use crate::harness::{TestServer, assert_members, printed, tollkeeper};

const PATH: &str = "/v1/workspaces/acme/subscription";

fn choose(server: &TestServer, plan: &str) -> Value {
    server.send("PUT", PATH, json!({ "plan": plan })).expect(200).json
}

fn confirm(server: &TestServer, key: &str, change: bool) -> crate::harness::Reply {
    server.post(&format!("{PATH}/confirm"), key, json!({ "change": change }))
}

#[test]
fn a_plan_is_chosen_confirmed_and_granted_once() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    server.get(PATH).problem(404, "subscription_not_found");
    let preview = server.send("POST", &format!("{PATH}/preview"), json!({"plan": "starter"})).expect(200);
    assert_members(
        &preview.json,
        "due_now_usd credits_now credits_now_usd credits_per_month credits_per_month_usd from",
    );
    assert_eq!((&preview.json["due_now_usd"], preview.int("/credits_now")), (&json!("19.00"), 1_900_000));
    let pending = choose(&server, "starter");
    assert_members(
        &pending,
        "id workspace plan status period next_plan change cancels_at started_at ended_at due_usd payment",
    );
    assert_eq!((&pending["status"], &pending["period"]), (&json!("pending"), &Value::Null));
    assert_eq!(server.available("acme"), 0);

    let active = confirm(&server, "one", false).expect(200);
    assert_eq!(active.json["status"], "active");
    assert_members(&active.json["period"], "start end");
    let again = confirm(&server, "one", false).expect(200);
    assert!(again.replayed() && again.text == active.text);
    confirm(&server, "two", false).problem(409, "nothing_due");
    assert_eq!(server.available("acme"), 1_900_000);

    let change = choose(&server, "growth")["change"].clone();
    assert_members(&change, "plan due_usd credits credits_usd until");
    assert_eq!(confirm(&server, "up", true).expect(200).json["plan"], "growth");
    let brought = change["credits"].as_i64().expect("a number");
    assert_eq!(server.available("acme"), 1_900_000 + brought);
    assert_eq!(choose(&server, "starter")["next_plan"], "starter");
    let canceled = server.send("DELETE", PATH, Value::Null).expect(200).json;
    assert_eq!((&canceled["status"], &canceled["next_plan"]), (&json!("canceled"), &Value::Null));
    assert_eq!(canceled["cancels_at"], canceled["period"]["end"]);
    assert_eq!(choose(&server, "growth")["status"], "active");
}

#[test]
fn a_subscription_outlives_a_restart_and_an_audit_finds_it_right() {
    let Some(store) = store() else { return };
    let mut first = store.start_server(store.command());
    first.workspace("acme", 0);
    choose(&first, "starter");
    let active = confirm(&first, "one", false).expect(200);
    assert_eq!(first.stop().code(), Some(0));
    let second = store.start_server(store.command());
    assert_eq!(second.get(PATH).expect(200).text, active.text);
    let again = confirm(&second, "one", false).expect(200);
    assert!(again.replayed() && again.text == active.text);
    let mut audit = tollkeeper();
    store.add_to(audit.args(["audit", "--rules"]));
    let audit = audit.output().expect("the binary runs");
    assert_eq!(audit.status.code(), Some(0), "{}", printed(&audit));
}
