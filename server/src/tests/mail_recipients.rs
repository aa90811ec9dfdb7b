//! The recipients of e-mails: choosing and muting them, the links in mails, and what relays report.

use serde_json::json;
use tollkeeper_ledger::{MailTopic, RecipientSubject, WorkspaceId};

use super::teams::team;
use super::*;
use crate::notify::mail_link::{confirm_url, unsubscribe_url};

const PATH: &str = "/v1/workspaces/acme/alerts";

impl World {
    async fn set_emails(&self, emails: &[&str]) -> Reply {
        let body = json!({ "emails": emails });
        self.put("PUT", PATH, "", &body.to_string()).await
    }

    async fn emails(&self) -> Vec<Value> {
        self.get(PATH).await.json()["emails"].as_array().expect("a manager sees them").clone()
    }

    async fn report_mail_events(&self, events: &Value) -> Value {
        let body = json!({ "events": events });
        self.put("POST", "/v1/mail-events", "", &body.to_string()).await.json()
    }

    /// The link in a mail to a typed address, or the one that mutes a topic for a recipient.
    pub(super) async fn mail_link(&self, id: &str, topic: Option<MailTopic>) -> String {
        let acme = WorkspaceId::new("acme").expect("a name");
        let team = self.app.access.team(&acme).await.expect("the engine reads").expect("it exists");
        let subject: RecipientSubject = id.parse().expect("an id");
        let address = team.address_of(&subject).expect("it has an address");
        let secret = self.app.webhooks.secret_or_make().expect("it is made").expect("a directory has one");
        match (&subject, topic) {
            (_, Some(topic)) => unsubscribe_url("", &secret, &acme, (&subject, &address), topic),
            (RecipientSubject::Address(id), None) => confirm_url("", &secret, &acme, (*id, &address)),
            (RecipientSubject::Member(_), None) => panic!("a member's address is confirmed"),
        }
    }

    async fn open_link(&self, method: &str, path: &str) -> Reply {
        self.ask(method, path, &[("accept", "text/html")], String::new()).await
    }
}

/// One field of each row.
fn column(rows: &[Value], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row[name].clone()).collect()
}

#[tokio::test]
async fn recipients_are_chosen_by_their_addresses() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let shown = world.get(PATH).await.json();
    assert_eq!(shown["recipients"], "admins");
    assert_eq!(
        shown["emails"],
        json!([{ "id": "member:ada", "email": "ada@example.com", "member": "ada", "chosen": false,
            "status": "confirmed", "confirmed_at": null, "muted": [] }])
    );

    let set =
        world.set_emails(&["Bob@Example.com", "finance@example.com", "finance@example.com"]).await.json();
    assert_eq!(set["recipients"], "chosen");
    let rows = set["emails"].as_array().expect("rows").clone();
    assert_eq!(column(&rows, "email"), [json!("finance@example.com"), json!("bob@example.com")]);
    assert_eq!(column(&rows, "status"), [json!("unconfirmed"), json!("confirmed")]);
    assert_eq!(column(&rows, "member"), [Value::Null, json!("bob")]);
    let again = world.set_emails(&["FINANCE@example.com", "bob@example.com"]).await.json();
    assert_eq!(again, set, "the same addresses change nothing");

    let thresholds = r#"{"thresholds":[{"amount":5}]}"#;
    let kept = world.put("PUT", PATH, "", thresholds).await.json();
    assert_eq!(kept["emails"], set["emails"], "what is left out stays");
    let kept = world.put("PUT", PATH, "", r#"{"emails":null,"thresholds":[]}"#).await.json();
    assert_eq!(kept["emails"], set["emails"]);
    let fewer = world.set_emails(&["bob@example.com"]).await.json();
    assert_eq!(column(fewer["emails"].as_array().expect("rows"), "id"), [json!("member:bob")]);
    let none = world.set_emails(&[]).await.json();
    assert_eq!((&none["recipients"], &none["emails"][0]["id"]), (&json!("admins"), &json!("member:ada")));
}

#[tokio::test]
async fn wrong_addresses_and_too_many_are_refused() {
    let world = world().await;
    for wrong in ["", "ada", "ada@", "a b@example.com", "ada@example.com\r\nBcc: eve@example.com"] {
        let problem = world.set_emails(&["ok@example.com", wrong]).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], "emails[1]", "{wrong}");
    }
    let many: Vec<String> = (0..21).map(|n| format!("r{n}@example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(world.set_emails(&many).await.problem(422, "invalid_field")["field"], "emails");
    assert_eq!(world.set_emails(&many[..20]).await.status, 200);
    // Twenty others, at once.
    let others: Vec<String> = (0..20).map(|n| format!("s{n}@example.com")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let set = world.set_emails(&others).await.json();
    assert_eq!(column(set["emails"].as_array().expect("rows"), "email"), others);
    for body in ["{}", r#"{"emails":null}"#, r#"{"emails":[],"cooldown_hours":1}"#] {
        let problem = world.put("PUT", PATH, "", body).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], "thresholds", "{body}");
    }
}

#[tokio::test]
async fn only_managers_see_addresses() {
    let world = world_with(1_000).await;
    let team = team(&world).await;
    world.set_emails(&["finance@example.com"]).await;
    let key = |scope| format!("Bearer {}", team.key(&[scope]));
    let reads = key(tollkeeper_ledger::Scope::Read);
    let reply = world.ask("GET", PATH, &[("authorization", &reads)], String::new()).await;
    let shown = reply.json();
    assert_eq!((&shown["emails"], &shown["recipients"]), (&Value::Null, &json!("chosen")));
    assert!(!reply.text.contains("example.com"));
    let entries =
        world.ask("GET", "/v1/workspaces/acme/entries", &[("authorization", &reads)], String::new()).await;
    assert!(entries.text.contains("recipient.added") && !entries.text.contains("finance@"));
    let manages = key(tollkeeper_ledger::Scope::Manage);
    let reply = world.ask("GET", PATH, &[("authorization", &manages)], String::new()).await;
    assert!(reply.text.contains("finance@example.com"));
    let entries = world.get("/v1/workspaces/acme/entries").await.json();
    let added = entries["data"].as_array().expect("rows").iter().find(|row| row["kind"] == "recipient.added");
    assert_eq!(added.expect("it is an entry")["details"]["email"], "finance@example.com");
}

#[tokio::test]
async fn topics_are_muted_for_a_recipient() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let path = |id: &str| format!("{PATH}/recipients/{id}");
    let mute = async |id: &str, topics: &[&str]| {
        world.put("PUT", &path(id), "", &json!({ "muted": topics }).to_string()).await
    };
    let set = mute("member:ada", &["top_up", "balance.low"]).await.json();
    assert_eq!(set["emails"][0]["muted"], json!(["balance.low", "top_up"]));
    let set = mute("member:ada", &["debt"]).await.json();
    assert_eq!(set["emails"][0]["muted"], json!(["debt"]));
    assert_eq!(mute("member:ada", &[]).await.json()["emails"][0]["muted"], json!([]));
    for unknown in ["member:eve", "rcp_01991234-5678-7abc-bfff-0123456789ab", "ada", "member:"] {
        mute(unknown, &["debt"]).await.problem(404, "recipient_not_found");
    }
    let problem = mute("member:ada", &["debt", "weather"]).await.problem(422, "invalid_field");
    assert_eq!(problem["field"], "muted[1]");
}

#[tokio::test]
async fn an_address_is_confirmed_by_a_button_and_not_by_a_look() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let set = world.set_emails(&["ops@example.com"]).await.json();
    let id = set["emails"][0]["id"].as_str().expect("an id").to_owned();
    let link = world.mail_link(&id, None).await;
    for _ in 0..2 {
        let page = world.open_link("GET", &link).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("ops@example.com") && page.text.contains("<button"), "{}", page.text);
        assert_eq!(world.emails().await[0]["status"], "unconfirmed");
    }
    for _ in 0..2 {
        let page = world.open_link("POST", &link).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("Your address is confirmed"), "{}", page.text);
        let row = world.emails().await[0].clone();
        assert_eq!(row["status"], "confirmed");
        assert!(row["confirmed_at"].is_string());
    }
    // It was removed, so the link has ended.
    world.set_emails(&[]).await;
    assert_eq!(world.open_link("POST", &link).await.status, 404);
    world.set_emails(&["ops@example.com"]).await;
    assert_eq!(world.open_link("POST", &link).await.status, 404);
}

#[tokio::test]
async fn a_mail_program_unsubscribes_with_one_request() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let link = world.mail_link("member:ada", Some(MailTopic::Low)).await;
    assert_eq!(world.open_link("GET", &link).await.status, 200);
    assert_eq!(world.emails().await[0]["muted"], json!([]), "a look changes nothing");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let reply = world.ask("POST", &link, &headers, "List-Unsubscribe=One-Click".to_owned()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(world.emails().await[0]["muted"], json!(["balance.low"]));
    let critical = world.mail_link("member:ada", Some(MailTopic::Debt)).await;
    assert!(world.open_link("POST", &critical).await.text.contains("still sent if nobody else"));

    // A new address ends the links of the one before.
    let body = r#"{"email":"augusta@example.com"}"#;
    assert_eq!(world.put("PATCH", "/v1/workspaces/acme/members/ada", "", body).await.status, 200);
    assert_eq!(world.open_link("POST", &critical).await.status, 404);
}

#[tokio::test]
async fn a_wrong_link_is_answered_in_one_way() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "admin").await;
    let link = world.mail_link("member:ada", Some(MailTopic::Low)).await;
    let (path, token) = link.split_once('?').expect("a token");
    let wrong = [
        path.to_owned(),
        format!("{path}?token="),
        format!("{path}?token=AAAA"),
        format!("{}?{token}", path.replace("balance.low", "debt")),
        format!("{}?{token}", path.replace("balance.low", "weather")),
        format!("{}?{token}", path.replace("member:ada", "member:bob")),
        format!("{}?{token}", path.replace("member:ada", "member:eve")),
        format!("{}?{token}", path.replace("member:ada", "nobody")),
        format!("{}?{token}", path.replace("acme", "nobody")),
        format!("{}?{token}", path.replace("acme", "..%2f")),
        format!("/mail/confirm/acme/member:ada?{token}"),
    ];
    let mut answers = Vec::new();
    for link in &wrong {
        for method in ["GET", "POST"] {
            let page = world.open_link(method, link).await;
            assert_eq!(page.status, 404, "{method} {link}: {}", page.text);
            answers.push(page.text);
        }
    }
    assert!(answers.iter().all(|text| *text == answers[0]), "no answer tells which part is wrong");
    assert_eq!(world.emails().await[0]["muted"], json!([]));
}

#[tokio::test]
async fn a_hostile_name_is_shown_as_text() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let name = json!({ "name": "<script>alert(1)</script> & \"Co\"" }).to_string();
    assert_eq!(world.put("PATCH", "/v1/workspaces/acme", "", &name).await.status, 200);
    let link = world.mail_link("member:ada", Some(MailTopic::Low)).await;
    let page = world.open_link("GET", &link).await;
    assert!(page.text.contains("&#60;script&#62;") && !page.text.contains("<script>"), "{}", page.text);
}

#[tokio::test]
async fn a_relay_reports_bounces_and_complaints() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.set_emails(&["ops@example.com"]).await;
    let event = |kind: &str, email: &str| json!({ "type": kind, "workspace": "acme", "email": email });
    let temporary =
        json!([{ "type": "bounce", "workspace": "acme", "email": "ada@example.com", "permanent": false }]);
    assert_eq!(world.report_mail_events(&temporary).await, json!({ "matched": 1, "unmatched": 0 }));
    assert_eq!(column(&world.emails().await, "status"), [json!("unconfirmed")], "ada has no row");
    let unknown = json!([
        event("bounce", "eve@example.com"),
        { "type": "bounce", "workspace": "nobody", "email": "ada@example.com" },
    ]);
    assert_eq!(world.report_mail_events(&unknown).await, json!({ "matched": 0, "unmatched": 2 }));
    let events = json!([
        event("bounce", "ADA@example.com"),
        event("complaint", "ops@example.com"),
        event("complaint", "ada@example.com"),
    ]);
    assert_eq!(world.report_mail_events(&events).await, json!({ "matched": 3, "unmatched": 0 }));
    let rows = world.emails().await;
    assert_eq!(column(&rows, "status"), [json!("complained"), json!("bounced")]);
    let entries = world.get("/v1/workspaces/acme/entries").await.json();
    let failed = entries["data"].as_array().expect("rows").iter();
    let failed: Vec<&Value> = failed.filter(|row| row["kind"] == "recipient.failed").collect();
    assert_eq!(failed.len(), 2, "a second fault of an address is no entry");
    assert_eq!(failed[1]["details"], json!({ "recipient": "member:ada", "status": "bounced" }));
    let wrong = json!([event("bounced", "ada@example.com")]);
    assert_eq!(world.report_mail_events(&wrong).await["field"], "events[0].type");
}
