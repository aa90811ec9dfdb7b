//! Top-ups with the provider `manual`: opened, confirmed, granted once, audited.

use std::thread;

use serde_json::{Value, json};

use super::{server, store};
use crate::harness::{TestServer, assert_members, printed, tollkeeper};

const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";
const FIELDS: &str =
    "id workspace status credits credits_usd amount_usd created_at paid_at grant failure payment";

fn open(server: &TestServer, key: &str, usd: &str) -> String {
    server.post(TOP_UPS, key, json!({ "amount_usd": usd })).expect(201).id()
}

fn confirm(server: &TestServer, id: &str) -> crate::harness::Reply {
    server.send("POST", &format!("{TOP_UPS}/{id}/confirm"), json!({}))
}

#[test]
fn credit_appears_once_after_the_payment_of_a_top_up() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let body = json!({"amount_usd": "25.00", "return_url": "https://app.example.com/billing"});
    let opened = server.post(TOP_UPS, "k", body.clone()).expect(201);
    assert_members(&opened.json, FIELDS);
    assert_members(&opened.json["payment"], "provider way instructions");
    assert_eq!((&opened.json["status"], opened.int("/credits")), (&json!("pending"), 2_500_000));
    assert_eq!(server.available("acme"), 0, "an open top-up brings nothing");

    let paid = confirm(&server, &opened.id()).expect(200);
    assert_members(&paid.json, FIELDS);
    assert_eq!(paid.json["status"], "succeeded");
    assert!(paid.json["paid_at"].is_string() && paid.json["payment"]["provider"] == "manual");
    let again = server.post(TOP_UPS, "k", body).expect(201);
    assert!(again.replayed() && again.text == opened.text, "the first answer again, as it was");
    assert!(confirm(&server, &opened.id()).expect(200).text == paid.text);
    assert_eq!(server.get(&format!("{TOP_UPS}/{}", opened.id())).expect(200).text, paid.text);
    assert_eq!(server.available("acme"), 2_500_000);

    let grants = server.all("/v1/workspaces/acme/grants");
    assert_eq!((grants.len(), &grants[0]["source"]), (1, &json!("top_up")));
    assert_eq!(grants[0]["id"], paid.json["grant"]);
    let void = format!("/v1/workspaces/acme/grants/{}/void", grants[0]["id"].as_str().expect("an id"));
    server.post(&void, "v", json!({})).problem(409, "grant_was_paid");
    let entries = server.all("/v1/workspaces/acme/entries");
    let kinds: Vec<&Value> = entries.iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["top_up.succeeded", "grant.created", "top_up.opened", "workspace.created"]);
    assert_eq!(entries[0]["balance"], entries[1]["balance"], "the grant moved the credit");
}

#[test]
fn callers_that_confirm_at_once_grant_once() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let id = open(&server, "k", "10.00");
    let answers: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> =
            (0..16).map(|_| scope.spawn(|| confirm(&server, &id).expect(200).text)).collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller does not panic")).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(server.available("acme"), 1_000_000);
    assert_eq!(server.all("/v1/workspaces/acme/grants").len(), 1);
}

#[test]
fn a_key_of_the_workspace_opens_a_top_up_and_cannot_confirm_it() {
    let Some(server) = server() else { return };
    server.workspace("acme", 0);
    let (_, manage) = server.api_key("acme", json!({"name": "billing", "scopes": ["manage"]}));
    let (_, charge) = server.api_key("acme", json!({"name": "shop", "scopes": ["charge", "read"]}));
    let client = |key: &str| crate::harness::TestClient::new(&server.url, key);
    let body = json!({"amount_usd": "10.00"});
    client(&charge).post(TOP_UPS, "k", body.clone()).problem(403, "forbidden");
    client(&charge).get(TOP_UPS).problem(403, "forbidden");
    let id = client(&manage).post(TOP_UPS, "k", body).expect(201).id();
    assert_eq!(client(&manage).get(TOP_UPS).expect(200).json["data"][0]["id"], json!(id));
    client(&manage).send("POST", &format!("{TOP_UPS}/{id}/confirm"), json!({})).problem(403, "forbidden");
    assert_eq!(server.available("acme"), 0);
}

#[test]
fn top_ups_outlive_a_restart_and_an_audit_finds_them_right() {
    let Some(store) = store() else { return };
    let mut first = store.start_server(store.command());
    first.workspace("acme", 0);
    let (paid, waits) = (open(&first, "a", "5.00"), open(&first, "b", "10000.00"));
    confirm(&first, &paid).expect(200);
    assert_eq!(first.stop().code(), Some(0));

    let mut with_instructions = store.command();
    with_instructions.env("TOLLKEEPER_PAYMENT_INSTRUCTIONS", "Pay to account 1, and name the top-up.");
    let second = store.start_server(with_instructions);
    let list = second.all(TOP_UPS);
    let shown: Vec<_> = list.iter().map(|row| (row["id"].clone(), row["status"].clone())).collect();
    assert_eq!(
        shown,
        [(json!(waits), json!("pending")), (json!(paid), json!("succeeded"))],
        "newest first, as before the restart"
    );
    assert_eq!(list[0]["payment"]["instructions"], "Pay to account 1, and name the top-up.");
    assert!(list[1]["payment"].get("instructions").is_none(), "nothing is left to pay");
    confirm(&second, &waits).expect(200);
    assert_eq!(second.available("acme"), 500_000 + 1_000_000_000);
    let mut audit = tollkeeper();
    store.add_to(audit.arg("audit"));
    let audit = audit.output().expect("the binary runs");
    assert_eq!(audit.status.code(), Some(0), "{}", printed(&audit));
}
