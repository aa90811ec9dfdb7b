//! The page about the journal.

use super::*;
use crate::tests::pages::link;

const PATH: &str = "/portal/activity";

/// The rows of the table.
fn rows(page: &str) -> Vec<&str> {
    let table = page.split("<tbody>").nth(1).unwrap_or_default().split("</tbody>").next().unwrap_or_default();
    table.split("<tr>").skip(1).collect()
}

#[tokio::test]
async fn entries_are_in_words_with_actor_amount_balance_and_hash() {
    let pages = pages().await;
    pages.charge_for("one", "virtual_try_on", "bob").await;
    pages.world.put("PUT", "/v1/workspaces/acme/alerts", "", r#"{"thresholds":[{"amount":5}]}"#).await;
    let page = pages.see(&pages.ada, PATH).await;
    let rows = rows(&page);
    assert!(rows[0].contains("Warnings set") && rows[0].contains("The platform"), "{}", rows[0]);
    for shown in ["Charged", "virtual_try_on · for bob · by w-7", "\u{2212}$0.20", "$9.80"] {
        assert!(rows[1].contains(shown), "{shown} is not in {}", rows[1]);
    }
    let newest = pages.world.get("/v1/workspaces/acme/entries?limit=1").await.json();
    let hash = newest["data"][0]["hash"].as_str().expect("a hash");
    assert!(rows[0].contains(&format!("<code>{}</code>", &hash[..12])), "{}", rows[0]);
    assert!(page.contains("Credit granted") && page.contains("+$10.00") && page.contains("hello"), "{page}");
}

#[tokio::test]
async fn a_member_sees_no_money_that_comes_in() {
    let pages = pages().await;
    pages.world.open_top_up("acme").await;
    pages.charge_for("one", "virtual_try_on", "bob").await;
    let (admins, members) = (pages.see(&pages.ada, PATH).await, pages.see(&pages.bob, PATH).await);
    assert!(admins.contains("Top-up begun") && admins.contains("$25.00"), "{admins}");
    for hidden in ["Top-up", "Credit granted", "$25.00", "Payments", "value=\"credit\"", "@example.com"] {
        assert!(!members.contains(hidden), "{hidden} is in {members}");
    }
    assert!(members.contains("Charged"), "{members}");
    let asked = pages.see(&pages.bob, "/portal/activity?kind=payments").await;
    assert!(rows(&asked).is_empty() && asked.contains("Nothing of this kind was found."), "{asked}");
}

#[tokio::test]
async fn a_member_who_does_not_see_others_sees_own_charges_only() {
    let mut settings = settings();
    settings.access.members_see_others_use = false;
    let pages = pages_of(&settings).await;
    pages.charge_for("one", "virtual_try_on", "bob").await;
    pages.charge_for("two", "support_message", "ada").await;
    let page = pages.see(&pages.bob, PATH).await;
    assert!(page.contains("virtual_try_on") && !page.contains("support_message"), "{page}");
    assert!(page.contains("those of others are not shown"), "{page}");
    let page = pages.see(&pages.ada, PATH).await;
    assert!(page.contains("virtual_try_on") && page.contains("support_message"), "{page}");
}

#[tokio::test]
async fn the_filter_shows_a_kind_or_an_actor() {
    let pages = pages().await;
    let (key, secret) = pages.world.make_key("acme", r#"{"name":"store","scopes":["charge"]}"#).await;
    pages.charge_for("one", "virtual_try_on", "bob").await;
    assert_eq!(pages.world.charge_with(&secret, "two", "").await.status, 201);
    pages.accepted("/portal/limits", &[("kind", "workspace"), ("period", "day"), ("amount", "1")]).await;
    let found = async |query: &str| {
        let page = pages.see(&pages.ada, &format!("{PATH}?{query}")).await;
        rows(&page).iter().map(|row| row.to_string()).collect::<Vec<_>>()
    };
    let charges = found("kind=charges&actor=").await;
    assert!(charges.len() == 2 && charges.iter().all(|row| row.contains("Charged")), "{charges:?}");
    let by_key = found(&format!("kind=charges&actor={key}")).await;
    assert!(by_key.len() == 1 && by_key[0].contains("Key store"), "{by_key:?}");
    let by_ada = found("actor=member%3Aada").await;
    assert!(by_ada[0].contains("Limits set") && by_ada[0].contains("1 in force"), "{by_ada:?}");
    assert!(found("kind=plan").await.is_empty());
    assert_eq!(found("kind=nonsense").await.len(), found("").await.len(), "an unknown kind is no filter");
    let odd = pages.see(&pages.ada, "/portal/activity?actor=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(rows(&odd).is_empty() && !odd.contains("<script>alert"), "{odd}");
}

#[tokio::test]
async fn pages_are_turned_in_both_directions_without_a_gap() {
    let pages = pages().await;
    for n in 0..120 {
        pages.charge_for(&n.to_string(), "support_message", "bob").await;
    }
    for filter in ["", "?kind=charges"] {
        let mut url = format!("{PATH}{filter}");
        let mut seen = Vec::new();
        let mut visited = Vec::new();
        loop {
            let page = pages.see(&pages.ada, &url).await;
            let found = rows(&page);
            assert!(found.len() == 50 || link(&page, "Older").is_none(), "{} rows at {url}", found.len());
            seen.extend(found.iter().map(|row| row.to_string()));
            visited.push(found.first().map(|row| row.to_string()));
            match link(&page, "Older") {
                Some(older) => url = older,
                None => break,
            }
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        let all = pages.world.get("/v1/workspaces/acme/entries?limit=200").await.json();
        let entries = all["data"].as_array().expect("rows");
        let expected =
            entries.iter().filter(|row| filter.is_empty() || row["kind"] == "charge.opened").count();
        assert_eq!((seen.len(), distinct.len()), (expected, expected), "every entry once");
        // Back to the newest page.
        let mut turns = 0;
        while let Some(newer) = link(&pages.see(&pages.ada, &url).await, "Newer") {
            (url, turns) = (newer, turns + 1);
            assert!(turns < 5, "turning ends");
        }
        let page = pages.see(&pages.ada, &url).await;
        assert_eq!(rows(&page).first().map(|row| row.to_string()), visited[0]);
    }
    for odd in
        ["before=0", "before=1", "after=99999999999999999999", "before=18446744073709551615", "after=0"]
    {
        pages.see(&pages.ada, &format!("{PATH}?{odd}")).await;
    }
}
