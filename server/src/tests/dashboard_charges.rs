//! The pages of charges: the list with its filters and pages, one charge with its history, and who
//! sees what.

use super::pages::link;
use super::*;
use crate::settings::AccessSettings;

/// An admin `ada` and a member `bob` of `acme`, and their sessions.
async fn people(settings: &Settings) -> (World, [String; 2]) {
    let world = world_of(settings, NOW).await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let sessions = [world.sign_in("acme", "ada").await, world.sign_in("acme", "bob").await];
    (world, sessions)
}

impl World {
    async fn opened(&self, key: &str, body: &str) -> String {
        let reply = self.charge(key, body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.id()
    }

    async fn charge_page(&self, charge: &str, session: &str) -> String {
        let page = self.browse("GET", &format!("/portal/charges/{charge}"), session).await;
        assert_eq!(page.status, 200, "{}", page.text);
        page.text
    }

    async fn report_outcome(&self, charge: &str, body: &str) {
        let path = format!("/v1/workspaces/acme/charges/{charge}/outcome");
        let reply = self.post(&path, "", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

/// The ids of the charges in a page, in order.
fn listed(page: &str) -> Vec<&str> {
    let links = page.split("<td class=\"when number\"><a href=\"/portal/charges/").skip(1);
    links.filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn the_list_is_left_by_the_way_that_led_into_it() {
    let (world, [admin, member]) = people(&settings()).await;
    world.grant("acme", "start", 10_000_000).await;
    let mut charges = Vec::new();
    for n in 0..120 {
        let worker = if n % 2 == 0 { "w-1" } else { "w-2" };
        let body = format!(r#"{{"operation":"support_message","worker":"{worker}"}}"#);
        charges.push(world.opened(&format!("k{n}"), &body).await);
        world.pass_seconds(60);
    }
    charges.reverse();
    for session in [&admin, &member] {
        let mut found = Vec::new();
        let mut path = "/portal/charges".to_owned();
        let mut pages = Vec::new();
        loop {
            let page = world.browse("GET", &path, session).await.text;
            found.extend(listed(&page).into_iter().map(str::to_owned));
            pages.push((path.clone(), page.clone()));
            let Some(older) = link(&page, "Older") else { break };
            path = older;
        }
        assert_eq!((found.len(), pages.len()), (120, 3));
        assert_eq!(found, charges, "newest first, each once");
        for pair in pages.windows(2) {
            let newer = link(&pair[1].1, "Newer").expect("a later page has a newer one");
            assert_eq!(newer, pair[0].0);
        }
        assert_eq!(link(&pages[0].1, "Newer"), None);
    }
    let filtered = world.browse("GET", "/portal/charges?worker=w-1&status=settled", &admin).await.text;
    assert_eq!(listed(&filtered).len(), 50);
    let older = link(&filtered, "Older").expect("there are ten more");
    assert!(older.starts_with("/portal/charges?worker=w-1&status=settled&cursor="), "{older}");
    assert_eq!(listed(&world.browse("GET", &older, &admin).await.text).len(), 10);
    assert_eq!(world.browse("GET", "/portal/charges?cursor=x", &admin).await.status, 400);
}

#[tokio::test]
async fn filters_hold_together() {
    let (world, _) = people(&settings()).await;
    world.grant("acme", "start", 10_000_000).await;
    let first = world
        .opened("a", r#"{"operation":"virtual_try_on","worker":"w-7","member":"ada","reference":"run 1"}"#)
        .await;
    world.pass_seconds(86_400);
    let admin = world.sign_in("acme", "ada").await;
    let second =
        world.opened("b", r#"{"operation":"support_message","member":"bob","timeout_seconds":900}"#).await;
    let both = [second.as_str(), first.as_str()];
    for (query, expected) in [
        ("", &both[..]),
        ("operation=virtual_try_on", &both[1..]),
        ("worker=w-7&member=ada", &both[1..]),
        ("member=bob", &both[..1]),
        ("status=pending", &both[..1]),
        ("status=settled", &both[1..]),
        ("reference=run+1", &both[1..]),
        ("from=2026-11-24", &both[..1]),
        ("to=2026-11-23", &both[1..]),
        ("from=2026-11-23&to=2026-11-24&operation=&worker=&member=&status=&reference=", &both[..]),
        ("member=ada&status=pending", &both[..0]),
    ] {
        let page = world.browse("GET", &format!("/portal/charges?{query}"), &admin).await;
        assert_eq!((page.status, listed(&page.text)), (200, expected.to_vec()), "{query}");
        assert_eq!(page.text.contains("No charge matches these filters."), expected.is_empty(), "{query}");
    }
    for (query, field) in [("operation=a%20b", "operation"), ("from=now", "from"), ("to=2026-02-30", "to")] {
        let page = world.browse("GET", &format!("/portal/charges?{query}"), &admin).await;
        assert_eq!(page.status, 422, "{query}");
        assert!(
            page.text.contains("role=\"alert\"") && page.text.contains("aria-invalid=\"true\""),
            "{query}"
        );
        assert!(page.text.contains(&format!("id=\"{field}\"")) && listed(&page.text).is_empty(), "{query}");
    }
}

#[tokio::test]
async fn a_charge_says_in_a_sentence_what_became_of_it() {
    let (world, [admin, member]) = people(&settings()).await;
    world.grant("acme", "start", 10_000_000).await;
    let pending = r#"{"operation":"smart_pricing","quantity":20,"timeout_seconds":900,"worker":"w-7"}"#;
    let mut charges = Vec::new();
    for n in 0..6 {
        charges.push(world.opened(&format!("k{n}"), pending).await);
    }
    world.report_outcome(&charges[1], r#"{"result":"failed","fault":"system","detail":"no picture"}"#).await;
    world.report_outcome(&charges[2], r#"{"result":"failed","fault":"user"}"#).await;
    world.report_outcome(&charges[3], r#"{"result":"succeeded","quantity":15}"#).await;
    world.report_outcome(&charges[4], r#"{"result":"succeeded"}"#).await;
    let refund = format!("/v1/workspaces/acme/charges/{}/refund", charges[5]);
    world.report_outcome(&charges[5], r#"{"result":"succeeded"}"#).await;
    assert_eq!(world.post(&refund, "r", r#"{"reason":"The result was late."}"#).await.status, 200);
    let expected = [
        "$0.20 (20,000\u{a0}micro-units) were deducted, and the operation runs. If no outcome is reported by \
         23\u{a0}Nov 2026, 15:19, all of it is refunded automatically.",
        "Refunded $0.20 (20,000\u{a0}micro-units): the operation failed by a system error.",
        "Paid $0.20 (20,000\u{a0}micro-units): the operation failed by a fault of the user, which is not refunded.",
        "Paid $0.20 (20,000\u{a0}micro-units). Of that, $0.05 (5,000\u{a0}micro-units) came back.",
        "Paid $0.20 (20,000\u{a0}micro-units): the operation succeeded.",
        "Refunded $0.20 (20,000\u{a0}micro-units): the platform gave it back.",
    ];
    for (charge, sentence) in charges.iter().zip(expected) {
        for session in [&admin, &member] {
            let page = world.charge_page(charge, session).await;
            assert!(page.contains(&format!("<p>{sentence}</p>")), "{sentence}: {page}");
            assert!(page.contains("<h1>smart_pricing</h1>") && page.contains(charge.as_str()));
        }
    }
    let refunded = world.charge_page(&charges[5], &admin).await;
    assert!(refunded.contains("The result was late.") && refunded.contains("Taken back by the platform"));
    let partly = world.charge_page(&charges[3], &admin).await;
    assert!(partly.contains("20, of which 15 were used") && partly.contains("$0.05</td>"), "{partly}");
    assert!(partly.contains("— <span class=\"soft\">(the charge names none)</span>"), "unknown has a reason");
    assert!(!partly.contains("The outcome was reported"), "its refund has the time: {partly}");
    let list = world.browse("GET", "/portal/charges", &member).await.text;
    for status in [
        "Waits for its outcome",
        "Refunded $0.20",
        "Paid: it failed by a fault of the user",
        "Paid, $0.05 refunded",
    ] {
        assert!(list.contains(&format!("{status}</td>")), "{status}: {list}");
    }
}

#[tokio::test]
async fn a_charge_shows_when_its_outcome_was_reported() {
    let (world, [_, member]) = people(&settings()).await;
    world.grant("acme", "start", 10_000_000).await;
    let mut charges = Vec::new();
    for n in 0..40 {
        let waits = r#"{"operation":"smart_pricing","timeout_seconds":900}"#;
        charges.push(world.opened(&format!("k{n}"), waits).await);
        world.pass_seconds(1);
    }
    world.pass_seconds(120);
    for (n, charge) in charges.iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        let fails = r#"{"result":"failed","fault":"user","detail":"no picture"}"#;
        world.report_outcome(charge, if n == 20 { fails } else { r#"{"result":"succeeded"}"# }).await;
        world.pass_seconds(60);
    }
    // 40 seconds, two minutes, and a minute for each of the ten outcomes before it.
    let page = world.charge_page(&charges[20], &member).await;
    let event = "<span class=\"soft number\">23\u{a0}Nov 2026, 15:16</span><span>The outcome was reported: Failed \
                 by a fault of the user.</span><span class=\"soft\">no picture</span>";
    assert!(page.contains(event), "{page}");
    let waits = world.charge_page(&charges[21], &member).await;
    assert!(!waits.contains("The outcome was reported"), "{waits}");
    let refund = format!("/v1/workspaces/acme/charges/{}/refund", charges[38]);
    assert_eq!(world.post(&refund, "r", r#"{"reason":"late"}"#).await.status, 200);
    let refunded = world.charge_page(&charges[38], &member).await;
    let reported = refunded.find("The outcome was reported: Succeeded.").expect("it was reported");
    assert!(
        refunded.find(": the platform gave it back.</span>").is_some_and(|at| at > reported),
        "{refunded}"
    );
    let at_once = world.opened("once", r#"{"operation":"smart_pricing"}"#).await;
    let at_once = world.charge_page(&at_once, &member).await;
    assert!(!at_once.contains("The outcome was reported"), "{at_once}");
}

#[tokio::test]
async fn a_charge_shows_its_grants_and_what_came_back_to_them() {
    let (world, [admin, _]) = people(&settings()).await;
    let grants = [world.grant("acme", "g1", 15_000).await.id(), world.grant("acme", "g2", 10_000).await.id()];
    let charge = world.opened("k", r#"{"operation":"virtual_try_on"}"#).await;
    let refund = format!("/v1/workspaces/acme/charges/{charge}/refund");
    assert_eq!(world.post(&refund, "r", r#"{"reason":"x","amount":6000}"#).await.status, 200);
    let page = world.charge_page(&charge, &admin).await;
    let api = world.get(&format!("/v1/workspaces/acme/charges/{charge}")).await.json();
    for (grant, drawn) in grants.iter().zip(["$0.15", "$0.05"]) {
        let row = page.split(grant.as_str()).nth(1).and_then(|rest| rest.split("</tr>").next());
        let row = row.unwrap_or_else(|| panic!("{grant} is not in {page}"));
        assert!(row.contains(&format!("<td class=\"amount\">{drawn}</td>")), "{row}");
    }
    let remaining: i64 =
        api["draws"].as_array().into_iter().flatten().filter_map(|draw| draw["amount"].as_i64()).sum();
    assert_eq!(remaining, 14_000, "the API shows what is left of the draws");
    assert!(page.contains("$0.06 (6,000\u{a0}micro-units)"), "{page}");
}

#[tokio::test]
async fn a_member_sees_their_own_charges_alone_if_the_settings_say_so() {
    let access = AccessSettings { members_see_others_use: false, ..settings().access };
    let (world, [admin, member]) = people(&Settings { access, ..settings() }).await;
    world.grant("acme", "start", 10_000_000).await;
    let of_ada = world.opened("a", r#"{"operation":"support_message","member":"ada"}"#).await;
    let of_bob = world.opened("b", r#"{"operation":"support_message","member":"bob"}"#).await;
    let of_nobody = world.opened("c", r#"{"operation":"support_message"}"#).await;
    for query in ["", "?member=ada"] {
        let page = world.browse("GET", &format!("/portal/charges{query}"), &member).await.text;
        assert_eq!(listed(&page), [of_bob.as_str()], "{query}");
        assert!(page.contains("You see your own charges.") && !page.contains("id=\"member\""), "{query}");
    }
    for other in [&of_ada, &of_nobody] {
        let path = format!("/portal/charges/{other}");
        assert_eq!(world.browse("GET", &path, &member).await.status, 404);
        assert_eq!(world.browse("GET", &path, &admin).await.status, 200);
    }
    world.charge_page(&of_bob, &member).await;
    assert_eq!(listed(&world.browse("GET", "/portal/charges", &admin).await.text).len(), 3);
}

#[tokio::test]
async fn hostile_texts_are_shown_as_they_are() {
    let (world, [admin, _]) = people(&settings()).await;
    world.grant("acme", "start", 10_000_000).await;
    let hostile = r#""><script>alert(1)</script>"#;
    let body = serde_json::json!({
        "operation": "support_message", "reference": hostile, "metadata": {"a": hostile}, "member": "bob",
    });
    let charge = world.opened("k", &body.to_string()).await;
    let name = serde_json::json!({"name": hostile}).to_string();
    assert_eq!(world.put("PATCH", "/v1/workspaces/acme/members/bob", "", &name).await.status, 200);
    let refund = format!("/v1/workspaces/acme/charges/{charge}/refund");
    let reason = serde_json::json!({"reason": hostile}).to_string();
    assert_eq!(world.post(&refund, "r", &reason).await.status, 200);
    let query = "reference=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let pages = [
        world.charge_page(&charge, &admin).await,
        world.browse("GET", &format!("/portal/charges?{query}"), &admin).await.text,
    ];
    for page in pages {
        assert!(!page.contains("<script>alert") && page.contains("&#60;script&#62;alert(1)"), "{page}");
        assert!(page.contains(charge.as_str()), "{page}");
    }
}

#[tokio::test]
async fn a_charge_that_is_not_there_is_a_page() {
    let (world, [admin, _]) = people(&settings()).await;
    for id in ["ch_01991234-5678-7abc-bfff-0123456789ab", "unknown", "%3Cb%3E"] {
        let page = world.browse("GET", &format!("/portal/charges/{id}"), &admin).await;
        assert_eq!(page.status, 404, "{id}");
        assert!(page.text.contains("<html lang=\"en\">") && !page.text.contains("<b>"), "{}", page.text);
    }
    let page = world.browse("GET", "/portal/charges", &admin).await.text;
    assert!(page.contains("There are no charges yet."), "{page}");
}
