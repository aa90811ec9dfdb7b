//! Members and API keys, what keys may do, and the callers of the matrix.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tollkeeper_engine::{
    BoxFuture, CommandResult, DuePlace, Engine, EngineStats, Error, Query, QueryResult, Ran, Watch,
};
use tollkeeper_ledger::{ChargeId, Platform, Scope, Submission, WorkspaceId};

use super::*;

/// A workspace `acme` with every object that a route can name and every kind of credential, and a
/// workspace `other`.
pub(super) struct Team {
    pub charge: String,
    pub grant: String,
    pub top_up: String,
    pub key_id: String,
    pub expired: String,
    pub revoked: String,
    keys: Vec<(Vec<Scope>, String)>,
    pub other_key: String,
    pub other_charge: String,
    pub other_grant: String,
    pub other_top_up: String,
    pub other_key_id: String,
    pub member_session: String,
    pub admin_session: String,
    pub ended_session: String,
    pub operator_session: String,
}

impl Team {
    /// The secret of the key with exactly these scopes.
    pub fn key(&self, scopes: &[Scope]) -> &str {
        let found = self.keys.iter().find(|(has, _)| has == scopes);
        &found.expect("there is a key for each combination of scopes").1
    }
}

impl World {
    pub(super) async fn add_member(&self, workspace: &str, id: &str, role: &str) -> Reply {
        let body = format!(r#"{{"id":"{id}","email":"{id}@example.com","name":"{id}","role":"{role}"}}"#);
        self.post(&format!("/v1/workspaces/{workspace}/members"), "", &body).await
    }

    /// Creates a key; returns its id and its secret.
    pub(super) async fn make_key(&self, workspace: &str, body: &str) -> (String, String) {
        let made = self.post(&format!("/v1/workspaces/{workspace}/api-keys"), "", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        (made.id(), made.json()["secret"].as_str().expect("a secret is shown once").to_owned())
    }

    /// Sends JSON with any key, and with an idempotency key unless that is empty.
    pub(super) async fn ask_with(
        &self,
        secret: &str,
        (method, path): (&str, &str),
        key: &str,
        body: &str,
    ) -> Reply {
        let bearer = format!("Bearer {secret}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        self.ask(method, path, &headers, body.to_owned()).await
    }

    /// Charges a support message, 500 micro-units, with any key.
    pub(super) async fn charge_with(&self, secret: &str, key: &str, more: &str) -> Reply {
        let body = format!(r#"{{"operation":"support_message"{more}}}"#);
        self.ask_with(secret, ("POST", "/v1/workspaces/acme/charges"), key, &body).await
    }

    /// Opens a top-up; returns its id.
    pub(super) async fn open_top_up(&self, workspace: &str) -> String {
        let path = format!("/v1/workspaces/{workspace}/top-ups");
        let made = self.post(&path, "t", r#"{"amount_usd":"25.00"}"#).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.id()
    }

    /// The path of a new sign-in link of a member.
    pub(super) async fn link(&self, workspace: &str, member: &str) -> String {
        let path = format!("/v1/workspaces/{workspace}/portal-sessions");
        let made = self.post(&path, "", &format!(r#"{{"member":"{member}"}}"#)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let url = made.json()["url"].as_str().expect("a link has an address").to_owned();
        url.strip_prefix("http://localhost").expect("the request has no host").to_owned()
    }

    /// Follows a new sign-in link; returns the secret of the session.
    pub(super) async fn sign_in(&self, workspace: &str, member: &str) -> String {
        let link = self.link(workspace, member).await;
        let reply = self.ask("POST", &link, &[], Body::empty()).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/portal")), "{}", reply.text);
        let cookie = reply.header("set-cookie").expect("a session has a cookie");
        let secret = cookie.strip_prefix("tollkeeper_session=").and_then(|rest| rest.split(';').next());
        secret.expect("the cookie has our name").to_owned()
    }
}

pub(super) async fn team(world: &World) -> Team {
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let all = [Scope::Charge, Scope::Read, Scope::Manage];
    let wanted: [&[Scope]; 6] = [&all[..1], &all[1..2], &all[2..], &[Scope::Settle], &all[..2], &all];
    let mut keys = Vec::new();
    for scopes in wanted {
        let names: Vec<String> = scopes.iter().map(|scope| format!("\"{}\"", scope.as_str())).collect();
        let body = format!(r#"{{"name":"k","scopes":[{}]}}"#, names.join(","));
        keys.push((scopes.to_vec(), world.make_key("acme", &body).await.1));
    }
    let every = r#""scopes":["charge","read","manage"]"#;
    let ends = crate::wire::write::Time(Timestamp::from_millis(NOW + 60_000));
    let expiring = format!(r#"{{"name":"k","expires_at":"{ends}",{every}}}"#);
    let expired = world.make_key("acme", &expiring).await.1;
    let (revoked_id, revoked) = world.make_key("acme", &format!(r#"{{"name":"k",{every}}}"#)).await;
    let gone = world.put("DELETE", &format!("/v1/workspaces/acme/api-keys/{revoked_id}"), "", "").await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let key_id = world.make_key("acme", r#"{"name":"k","scopes":["read"]}"#).await.0;
    world.pass_seconds(60);
    let charge = r#"{"operation":"support_message"}"#;
    let charge_id = world.charge("of the team", charge).await.id();
    let grant = world.get("/v1/workspaces/acme/grants").await.json()["data"][0]["id"].clone();
    let top_up = world.open_top_up("acme").await;
    world.post("/v1/workspaces", "", r#"{"id":"other","name":"Other"}"#).await;
    let other_top_up = world.open_top_up("other").await;
    let other_grant = world.grant("other", "g", 10_000).await.id();
    let other_charge = world.post("/v1/workspaces/other/charges", "c", charge).await.id();
    world.add_member("other", "eve", "admin").await;
    let (other_key_id, other_key) = world.make_key("other", &format!(r#"{{"name":"k",{every}}}"#)).await;
    let ended_session = world.sign_in("acme", "bob").await;
    let operator_session = world.operator("olga", KEY).await;
    let ended = world.put("DELETE", "/v1/workspaces/acme/portal-sessions", "", "").await;
    assert_eq!(ended.status, 204, "{}", ended.text);
    Team {
        charge: charge_id,
        grant: grant.as_str().expect("an id").to_owned(),
        top_up,
        key_id,
        expired,
        revoked,
        keys,
        other_key,
        other_charge,
        other_grant,
        other_top_up,
        other_key_id,
        member_session: world.sign_in("acme", "bob").await,
        admin_session: world.sign_in("acme", "ada").await,
        ended_session,
        operator_session,
    }
}

#[tokio::test]
async fn members_are_added_changed_and_removed() {
    let world = world().await;
    let path = "/v1/workspaces/acme/members";
    let ada = world.add_member("acme", "ada", "admin").await;
    assert_eq!(
        (ada.status, ada.text.as_str()),
        (
            201,
            r#"{"id":"ada","email":"ada@example.com","name":"ada","role":"admin","created_at":"2026-11-23T15:04:05.678Z"}"#
        )
    );
    world.add_member("acme", "ada", "member").await.problem(409, "member_exists");
    world.pass_seconds(1);
    assert_eq!(world.add_member("acme", "bob", "member").await.status, 201);
    world.put("DELETE", &format!("{path}/ada"), "", "").await.problem(409, "last_admin");
    world.put("PATCH", &format!("{path}/ada"), "", r#"{"role":"member"}"#).await.problem(409, "last_admin");
    let bob = world.put("PATCH", &format!("{path}/bob"), "", r#"{"role":"admin","name":"Bob B."}"#).await;
    assert_eq!(
        (bob.status, &bob.json()["role"], &bob.json()["name"]),
        (200, &"admin".into(), &"Bob B.".into())
    );
    let same = world.put("PATCH", &format!("{path}/bob"), "", r#"{"role":"admin"}"#).await;
    assert_eq!((same.status, &same.text), (200, &bob.text), "an unchanged member is returned as it is");
    let listed = world.get(path).await.json();
    let ids: Vec<_> = listed["data"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["bob", "ada"], "newest first");
    let first = world.get(&format!("{path}?limit=1")).await.json();
    let next = first["next_cursor"].as_str().expect("there is another page");
    let second = world.get(&format!("{path}?limit=1&cursor={next}")).await.json();
    assert_eq!((&second["data"][0]["id"], &second["next_cursor"]), (&"ada".into(), &Value::Null));
    for cursor in ["x", "1x.2", "1.", "1.-1", "%20"] {
        world.get(&format!("{path}?cursor={cursor}")).await.problem(400, "invalid_parameter");
    }
    assert_eq!(world.put("DELETE", &format!("{path}/ada"), "", "").await.status, 204);
    world.get(&format!("{path}/ada")).await.problem(404, "member_not_found");
    world.put("DELETE", &format!("{path}/ada"), "", "").await.problem(404, "member_not_found");
    world.get(&format!("{path}/no%20name")).await.problem(404, "member_not_found");
    assert_eq!(world.get(&format!("{path}/bob")).await.json()["email"], "bob@example.com");
    world.get("/v1/workspaces/none/members").await.problem(404, "workspace_not_found");
}

#[tokio::test]
async fn rows_with_the_same_time_are_listed_newest_first() {
    let world = world().await;
    let names = ["d", "a", "c", "e", "b"];
    for name in names {
        world.add_member("acme", name, "member").await;
        world.make_key("acme", &format!(r#"{{"name":"{name}","scopes":["read"]}}"#)).await;
    }
    let lists: [(&str, &str, &[&str]); 2] =
        [("members", "id", &["b", "e", "c", "a"]), ("api-keys", "name", &["b", "e", "c", "a", "d"])];
    for (list, name, expected) in lists {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("/v1/workspaces/acme/{list}?limit=2{cursor}")).await.json();
            let rows = page["data"].as_array().expect("rows");
            found.extend(rows.iter().map(|row| row[name].as_str().expect("a name").to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            // The oldest member is removed between two pages: a row may be repeated, but none is
            // skipped.
            if found.len() == 2 && list == "members" {
                let gone = world.put("DELETE", "/v1/workspaces/acme/members/d", "", "").await;
                assert_eq!(gone.status, 204, "{}", gone.text);
            }
        }
        found.dedup();
        assert_eq!(found, expected, "{list}");
    }
}

#[tokio::test]
async fn an_invalid_member_is_refused_by_field() {
    let world = world().await;
    let check = async |body: &str, code: &str, field: &str| {
        let status = if code == "unknown_field" { 400 } else { 422 };
        let problem = world.post("/v1/workspaces/acme/members", "", body).await.problem(status, code);
        assert_eq!(problem["field"], field, "{body}");
    };
    check(r#"{"email":"a@b","name":"A","role":"member"}"#, "invalid_field", "id").await;
    check(r#"{"id":"a b","email":"a@b","name":"A","role":"member"}"#, "invalid_field", "id").await;
    check(r#"{"id":"a","email":"a@b","name":" ","role":"member"}"#, "invalid_field", "name").await;
    check(r#"{"id":"a","email":"a@b","name":"A\r\nBcc: x@y","role":"member"}"#, "invalid_field", "name")
        .await;
    check(r#"{"id":"a","email":"a@b","name":"A","role":"owner"}"#, "invalid_field", "role").await;
    check(r#"{"id":"a","email":"a@b","name":"A"}"#, "invalid_field", "role").await;
    check(r#"{"id":"a","email":"a@b","name":"A","role":"admin","admin":1}"#, "unknown_field", "admin").await;
    for email in
        ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\\nBcc: x@y", "<a@b>", "a@.b", "ä@b", &"a@b".repeat(99)]
    {
        let body = format!(r#"{{"id":"a","email":"{email}","name":"A","role":"member"}}"#);
        check(&body, "invalid_field", "email").await;
    }
    assert_eq!(world.get("/v1/workspaces/acme/members").await.json()["data"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let world = world_with(10_000).await;
    let (id, secret) = world.make_key("acme", r#"{"name":"shop","scopes":["charge"]}"#).await;
    assert!(secret.starts_with("tk_workspace_") && secret.ends_with("_acme") && secret.len() == 13 + 64 + 5);
    let charged = world.charge_with(&secret, "k", "").await;
    assert_eq!((charged.status, &charged.json()["member"]), (201, &Value::Null), "{}", charged.text);
    let again = world.charge_with(&secret, "k", "").await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &charged.text));
    world.ask_with(&secret, ("GET", "/v1/workspaces/acme/balance"), "", "").await.problem(403, "forbidden");
    let listed = world.get("/v1/workspaces/acme/api-keys").await;
    assert!(!listed.text.contains("secret"), "{}", listed.text);
    assert_eq!(listed.json()["data"][0]["id"], id);
    let journal = world.get("/v1/workspaces/acme/entries").await.text;
    assert!(journal.contains(&id) && !journal.contains(&secret), "{journal}");
    let gone = format!("/v1/workspaces/acme/api-keys/{id}");
    assert_eq!(world.put("DELETE", &gone, "", "").await.status, 204);
    world.put("DELETE", &gone, "", "").await.problem(404, "api_key_not_found");
    world.put("DELETE", "/v1/workspaces/acme/api-keys/x", "", "").await.problem(404, "api_key_not_found");
    world.charge_with(&secret, "k", "").await.problem(401, "unauthenticated");
    world.charge_with(&secret, "new", "").await.problem(401, "unauthenticated");
    assert_eq!(world.balance().await, (9_500, 0));
}

#[tokio::test]
async fn a_revoked_key_that_was_used_opens_no_route() {
    let world = world_with(100_000).await;
    let charges = "/v1/workspaces/acme/charges";
    let item = r#"{"workspace":"acme","idempotency_key":"b","operation":"support_message"}"#;
    let elsewhere = item.replace("acme", "other");
    let asks = [
        ("POST", charges.to_owned(), r#"{"operation":"support_message"}"#.to_owned()),
        ("POST", charges.to_owned(), r#"{"operation":7}"#.to_owned()),
        ("POST", charges.to_owned(), "{".to_owned()),
        ("POST", format!("{charges}?x=1"), "{}".to_owned()),
        ("POST", format!("{charges}/ch_x/outcome"), r#"{"result":"succeeded"}"#.to_owned()),
        ("POST", format!("{charges}/ch_x/heartbeat"), r#"{"extend_seconds":1}"#.to_owned()),
        ("POST", "/v1/workspaces/other/charges".to_owned(), r#"{"operation":"support_message"}"#.to_owned()),
        ("POST", "/v1/workspaces/other/charges/ch_x/outcome".to_owned(), "{}".to_owned()),
        ("POST", "/v1/charges/batch".to_owned(), format!(r#"{{"charges":[{item}]}}"#)),
        ("POST", "/v1/charges/batch".to_owned(), format!(r#"{{"charges":[{elsewhere}]}}"#)),
        ("POST", "/v1/charges/batch".to_owned(), format!(r#"{{"charges":[{elsewhere},{item}]}}"#)),
        ("POST", "/v1/charges/batch".to_owned(), r#"{"charges":[]}"#.to_owned()),
        ("GET", "/v1/workspaces/acme/balance".to_owned(), String::new()),
    ];
    // Revoked by this server, and by another one: then the cached team is out of date.
    for here in [true, false] {
        for (number, (method, path, body)) in asks.iter().enumerate() {
            let (id, secret) = world.make_key("acme", r#"{"name":"k","scopes":["charge"]}"#).await;
            let paid = world.charge_with(&secret, &format!("{here} {number}"), "").await;
            assert_eq!(paid.status, 201, "{}", paid.text);
            let acme = WorkspaceId::new("acme").expect("a name");
            let seen = world.app.access.cached_team(&acme).expect("the key was looked up");
            let gone = format!("/v1/workspaces/acme/api-keys/{id}");
            assert_eq!(world.put("DELETE", &gone, "", "").await.status, 204);
            if !here {
                world.app.access.cache_team(&acme, &seen);
            }
            let refused = world.ask_with(&secret, (method, path), "revoked", body).await;
            assert_eq!(refused.status, 401, "{method} {path} {body}: {}", refused.text);
            refused.problem(401, "unauthenticated");
        }
    }
    assert_eq!(world.balance().await, (100_000 - 26 * 500, 0));
}

#[tokio::test]
async fn a_tied_key_charges_for_its_member_and_worker_only() {
    let world = world_with(10_000).await;
    let tied = r#"{"name":"k","scopes":["charge","manage"],"member":"ada","worker":"w1"}"#;
    let (id, secret) = world.make_key("acme", tied).await;
    let charged = world.charge_with(&secret, "a", r#","await_outcome":true"#).await.json();
    assert_eq!((&charged["member"], &charged["worker"]), (&"ada".into(), &"w1".into()));
    assert_eq!(world.charge_with(&secret, "b", r#","member":"ada","worker":"w1""#).await.status, 201);
    world.charge_with(&secret, "c", r#","member":"bob""#).await.problem(403, "forbidden");
    world.charge_with(&secret, "d", r#","worker":"w2""#).await.problem(403, "forbidden");
    let batch = r#"{"charges":[
        {"workspace":"acme","idempotency_key":"e","operation":"support_message"},
        {"workspace":"acme","idempotency_key":"f","operation":"support_message","member":"bob"},
        {"workspace":"other","idempotency_key":"g","operation":"support_message"}]}"#;
    let results =
        world.ask_with(&secret, ("POST", "/v1/charges/batch"), "", batch).await.json()["results"].clone();
    let statuses: Vec<_> = (0..3).map(|place| results[place]["status"].clone()).collect();
    assert_eq!(statuses, [201, 403, 404]);
    assert_eq!(results[0]["charge"]["member"], "ada");
    assert_eq!(results[2]["problem"]["code"], "workspace_not_found");
    // A tied key may not report the outcome of a charge that it did not make.
    let theirs = world.charge("theirs", r#"{"operation":"support_message","await_outcome":true}"#).await.id();
    let outcome = r#"{"result":"succeeded"}"#;
    let path = |charge: &str| format!("/v1/workspaces/acme/charges/{charge}/outcome");
    world.ask_with(&secret, ("POST", &path(&theirs)), "", outcome).await.problem(403, "forbidden");
    let own = charged["id"].as_str().expect("an id");
    assert_eq!(world.ask_with(&secret, ("POST", &path(own)), "", outcome).await.json()["status"], "settled");
    // A key made with a tied key is tied the same way.
    let keys = ("POST", "/v1/workspaces/acme/api-keys");
    let made = world.ask_with(&secret, keys, "", r#"{"name":"child","scopes":["charge"]}"#).await.json();
    assert_eq!((&made["member"], &made["worker"]), (&"ada".into(), &"w1".into()));
    let other = r#"{"name":"child","scopes":["charge"],"member":"bob"}"#;
    world.ask_with(&secret, keys, "", other).await.problem(403, "forbidden");
    // The key ends when its member is removed.
    world.add_member("acme", "ada", "member").await;
    assert_eq!(world.put("DELETE", "/v1/workspaces/acme/members/ada", "", "").await.status, 204);
    world.charge_with(&secret, "z", "").await.problem(401, "unauthenticated");
    world
        .put("DELETE", &format!("/v1/workspaces/acme/api-keys/{id}"), "", "")
        .await
        .problem(404, "api_key_not_found");
}

#[tokio::test]
async fn only_the_platform_and_a_key_with_settle_refund_a_failure_of_the_system() {
    let world = world_with(100_000).await;
    let (_, pays) = world.make_key("acme", r#"{"name":"k","scopes":["charge","read","manage"]}"#).await;
    let (_, settles) = world.make_key("acme", r#"{"name":"k","scopes":["settle"]}"#).await;
    let failed = r#"{"result":"failed","fault":"system"}"#;
    let report = async |secret: &str, charge: &str, body: &str| {
        let path = format!("/v1/workspaces/acme/charges/{charge}/outcome");
        world.ask_with(secret, ("POST", &path), "", body).await
    };
    let awaited = world.charge_with(&pays, "a", r#","await_outcome":true"#).await.id();
    report(&pays, &awaited, failed).await.problem(403, "forbidden");
    report(&settles, &awaited, r#"{"result":"succeeded"}"#).await.problem(403, "forbidden");
    assert_eq!(world.balance().await, (99_500, 500));
    for _ in 0..2 {
        assert_eq!(report(&settles, &awaited, failed).await.json()["status"], "refunded");
    }
    // After a charge is settled, only the platform refunds it.
    let settled = world.charge_with(&pays, "b", "").await.id();
    for secret in [&pays, &settles] {
        report(secret, &settled, failed).await.problem(403, "forbidden");
    }
    assert_eq!(world.balance().await, (99_500, 0));
    assert_eq!(report(KEY, &settled, failed).await.json()["status"], "refunded");
    assert_eq!(world.balance().await, (100_000, 0));
    // A key that manages the workspace cannot grant the scope.
    let keys = ("POST", "/v1/workspaces/acme/api-keys");
    let wanted = r#"{"name":"child","scopes":["charge","settle"]}"#;
    world.ask_with(&pays, keys, "", wanted).await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_invalid_key_is_refused_by_field() {
    let world = world().await;
    let check = async |body: &str, field: &str| {
        let problem =
            world.post("/v1/workspaces/acme/api-keys", "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{body}");
    };
    check(r#"{"scopes":["read"]}"#, "name").await;
    check(r#"{"name":"k"}"#, "scopes").await;
    check(r#"{"name":"k","scopes":[]}"#, "scopes").await;
    check(r#"{"name":"k","scopes":["read","write"]}"#, "scopes[1]").await;
    check(r#"{"name":"k","scopes":["read"],"member":"a b"}"#, "member").await;
    check(r#"{"name":"k","scopes":["read"],"expires_at":"tomorrow"}"#, "expires_at").await;
    check(r#"{"name":"k","scopes":["read"],"expires_at":"2026-11-23T15:04:05Z"}"#, "expires_at").await;
    world
        .post("/v1/workspaces/none/api-keys", "", r#"{"name":"k","scopes":["read"]}"#)
        .await
        .problem(404, "workspace_not_found");
}

#[tokio::test]
async fn the_use_of_a_key_is_recorded_once_an_hour() {
    let world = world_with(10_000).await;
    let (_, secret) = world.make_key("acme", r#"{"name":"k","scopes":["read","manage"]}"#).await;
    let used = async || {
        let listed = world.ask_with(&secret, ("GET", "/v1/workspaces/acme/api-keys"), "", "").await.json();
        listed["data"][0]["last_used_at"].as_str().map(str::to_owned)
    };
    // It is recorded in the background: ask until it is there, for at most a minute.
    let used_at = async |at: &str| {
        let asking = async {
            while used().await.as_deref() != Some(at) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asking).await.expect("the use is recorded");
    };
    let first = "2026-11-23T15:04:05.678Z";
    used_at(first).await;
    world.pass_seconds(3_599);
    assert_eq!(used().await.as_deref(), Some(first), "recorded at most once an hour");
    world.pass_seconds(1);
    used_at("2026-11-23T16:04:05.678Z").await;
    let journal = world.get("/v1/workspaces/acme/entries").await.text;
    assert_eq!(journal.matches("api_key.used").count(), 2, "{journal}");
}

#[tokio::test]
async fn the_journal_shows_who_changed_what() {
    let world = world().await;
    let (id, secret) = world.make_key("acme", r#"{"name":"ops","scopes":["manage","read"]}"#).await;
    let member = r#"{"id":"ada","email":"ada@example.com","name":"Ada","role":"admin"}"#;
    assert_eq!(
        world.ask_with(&secret, ("POST", "/v1/workspaces/acme/members"), "", member).await.status,
        201
    );
    world.put("PATCH", "/v1/workspaces/acme", "", r#"{"metadata":{"plan":"gold"}}"#).await;
    let rows = world.get("/v1/workspaces/acme/entries").await.json()["data"].clone();
    let rows = rows.as_array().expect("rows");
    let row = |kind: &str| rows.iter().find(|row| row["kind"] == kind).expect("it happened").clone();
    let added = row("member.added");
    assert_eq!(added["actor"], serde_json::json!({"kind": "api_key", "id": id}));
    assert_eq!((&added["member"], &added["details"]["role"]), (&"ada".into(), &"admin".into()));
    assert_eq!(row("workspace.updated")["details"]["metadata"], serde_json::json!({"plan": "gold"}));
    let made = row("api_key.created");
    assert_eq!(made["actor"]["kind"], "platform");
    assert_eq!(
        (&made["api_key"], &made["details"]["scopes"]),
        (&id.into(), &serde_json::json!(["read", "manage"]))
    );
    assert!(!made.to_string().contains(&secret));
    let (_, reader) = world.make_key("acme", r#"{"name":"report","scopes":["read"]}"#).await;
    let seen = world.ask_with(&reader, ("GET", "/v1/workspaces/acme/entries"), "", "").await;
    assert_eq!(seen.status, 200);
    assert!(seen.text.contains("member.added") && !seen.text.contains("ada@example.com"), "{}", seen.text);
}

#[tokio::test]
async fn only_the_platform_may_suspend() {
    let world = world().await;
    let (_, secret) = world.make_key("acme", r#"{"name":"ops","scopes":["manage"]}"#).await;
    let workspace = ("PATCH", "/v1/workspaces/acme");
    world.ask_with(&secret, workspace, "", r#"{"suspended":true}"#).await.problem(403, "forbidden");
    let renamed = world.ask_with(&secret, workspace, "", r#"{"name":"Renamed"}"#).await;
    assert_eq!(renamed.json()["name"], "Renamed");
    assert_eq!(world.put("PATCH", workspace.1, "", r#"{"suspended":true}"#).await.json()["suspended"], true);
}

/// An engine that reads no names and e-mail addresses while `refuses` is set.
struct WithoutTexts {
    inner: Embedded,
    closed: Embedded,
    refuses: Arc<AtomicBool>,
}

#[rustfmt::skip]
impl Engine for WithoutTexts {
    fn run(&self, what: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> { self.inner.run(what, now) }
    fn run_or_shed(&self, what: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> { self.inner.run_or_shed(what, now) }
    fn run_each(&self, all: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> { self.inner.run_each(all, now) }
    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        let is_refused = matches!(query, Query::PersonalTexts { .. }) && self.refuses.load(Ordering::Relaxed);
        if is_refused { self.closed.query(query) } else { self.inner.query(query) }
    }
    fn watch(&self, workspace: &WorkspaceId) -> Watch { self.inner.watch(workspace) }
    fn platform(&self) -> Arc<Platform> { self.inner.platform() }
    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> { self.inner.due(now, most) }
    fn due_payments(&self, now: Timestamp, after: Option<DuePlace>, most: usize) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> { self.inner.due_payments(now, after, most) }
    fn stats(&self) -> EngineStats { self.inner.stats() }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> { self.inner.close() }
}

#[tokio::test]
async fn a_member_that_was_written_is_never_answered_as_if_it_was_not() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let open = |name: &str| {
        Embedded::open(&dir.path().join(name), settings().engine_options()).expect("an empty directory opens")
    };
    let (inner, closed, refuses) = (open("data"), open("closed"), Arc::new(AtomicBool::new(false)));
    closed.close().await.expect("the engine closes");
    let engine = WithoutTexts { inner, closed, refuses: Arc::clone(&refuses) };
    let app = App::new(Arc::new(engine), &settings());
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app: app.into(), clock: Arc::new(AtomicI64::new(NOW)), _dir: dir };
    assert_eq!(world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await.status, 201);
    refuses.store(true, Ordering::Relaxed);
    let added = world.add_member("acme", "ada", "admin").await;
    assert_eq!((added.status, &added.json()["email"]), (201, &"ada@example.com".into()), "{}", added.text);
    let path = "/v1/workspaces/acme/members/ada";
    let body = r#"{"name":"Ada L."}"#;
    world.put("PATCH", path, "", body).await.problem(503, "store_unavailable");
    refuses.store(false, Ordering::Relaxed);
    assert_eq!(world.get(path).await.json()["name"], "ada", "the refused change was not made");
    let changed = world.put("PATCH", path, "", body).await.json();
    assert_eq!((&changed["name"], &changed["email"]), (&"Ada L.".into(), &"ada@example.com".into()));
    // An equal text keeps the digest that it has.
    let changed = world.put("PATCH", path, "", r#"{"name":"Ada L.","email":"a@example.com"}"#).await.json();
    assert_eq!((&changed["name"], &changed["email"]), (&"Ada L.".into(), &"a@example.com".into()));
}
