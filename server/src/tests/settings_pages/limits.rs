//! The page about spending limits.

use super::*;

const PATH: &str = "/portal/limits";

fn limit<'a>(kind: &'a str, id: &'a str, period: &'a str, amount: &'a str) -> [(&'a str, &'a str); 4] {
    [("kind", kind), ("id", id), ("period", period), ("amount", amount)]
}

#[tokio::test]
async fn limits_of_every_kind_are_set_changed_and_removed() {
    let pages = pages().await;
    let (key, _) = pages.world.make_key("acme", r#"{"name":"store","scopes":["charge"]}"#).await;
    assert!(pages.see(&pages.ada, PATH).await.contains("No limit is set"));
    for (kind, id, period, amount) in [
        ("workspace", "", "month", "500"),
        ("member", "bob", "day", "0.20"),
        ("worker", "w-7", "day", "25.00"),
        ("operation", "virtual_try_on", "month", "0"),
        ("api_key", "store", "month", "1.00001"),
    ] {
        assert_eq!(pages.accepted(PATH, &limit(kind, id, period, amount)).await, "/portal/limits?done=saved");
    }
    let set = pages.world.get("/v1/workspaces/acme/limits").await.json();
    let rows = set["limits"].as_array().expect("rows");
    let found: Vec<_> = rows.iter().map(|row| (row["id"].as_str(), row["amount"].as_i64())).collect();
    let expected = [
        (None, Some(50_000_000)),
        (Some("bob"), Some(20_000)),
        (Some("w-7"), Some(2_500_000)),
        (Some("virtual_try_on"), Some(0)),
        (Some(key.as_str()), Some(100_001)),
    ];
    assert_eq!(found, expected);
    pages.charge_for("one", "product_listing", "bob").await;
    let page = pages.see(&pages.ada, PATH).await;
    for shown in
        ["Member bob", "$0.20 a day", "$0.05", "$0.15", "Key store", "24\u{a0}Nov 2026, 00:00", "Reached"]
    {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let change = "/portal/limits/change?kind=member&id=bob&period=day";
    assert!(page.contains(&change.replace('&', "&#38;")), "{page}");
    let one = pages.see(&pages.ada, change).await;
    assert!(one.contains("<h1>Member bob, $0.20 a day</h1>") && one.contains("value=\"0.20\""), "{one}");
    pages.accepted(PATH, &limit("member", "bob", "day", "0.30")).await;
    assert!(pages.see(&pages.ada, PATH).await.contains("$0.30 a day"), "it was replaced");
    for expected in ["/portal/limits?done=removed", "/portal/limits?done=gone"] {
        let target = pages.accepted("/portal/limits/remove", &limit("member", "bob", "day", "")).await;
        assert_eq!(target, expected);
    }
    let page = pages.see(&pages.ada, "/portal/limits?done=gone").await;
    assert!(!page.contains("Member bob") && page.contains("role=\"alert\""), "{page}");
    let gone = pages.world.browse("GET", change, &pages.ada).await;
    assert_eq!(gone.header("location"), Some("/portal/limits?done=gone"));
}

#[tokio::test]
async fn a_wrong_limit_is_shown_again_with_what_is_wrong() {
    let pages = pages().await;
    for (form, wrong) in [
        (limit("member", "eve", "day", "1"), "This workspace has no member with this id."),
        (limit("member", "a b", "day", "1"), "Enter an id of 1 to 64"),
        (limit("operation", "x", "day", "1"), "The price list has no operation"),
        (limit("api_key", "x", "day", "1"), "This workspace has no key with this name."),
        (limit("workspace", "x", "day", "1"), "Enter an id"),
        (limit("", "", "day", "1"), "Enter an id"),
        (limit("workspace", "", "day", ""), "Enter an amount in dollars"),
        (limit("workspace", "", "day", "-1"), "Enter an amount in dollars"),
        (limit("worker", "w-9", "day", "<script>alert(1)"), "Enter an amount in dollars"),
    ] {
        let page = pages.refused(PATH, &form, wrong).await;
        assert!(page.contains("aria-invalid=\"true\"") && !page.contains("<script>alert"), "{page}");
    }
    let page = pages.refused(PATH, &limit("worker", "w-9", "day", ""), "Enter an amount").await;
    assert!(page.contains("value=\"w-9\"") && page.contains("value=\"worker\" selected"), "{page}");
    assert_eq!(pages.world.get("/v1/workspaces/acme/limits").await.json()["limits"], serde_json::json!([]));
}

/// What a form of a page showed.
fn seen(page: &str) -> &str {
    let rest = page.split("name=\"seen\" value=\"").nth(1).expect("the form has a fingerprint");
    rest.split('"').next().unwrap_or_default()
}

#[tokio::test]
async fn two_admins_do_not_overwrite_each_other() {
    let pages = pages().await;
    pages.accepted(PATH, &limit("worker", "w-7", "day", "1")).await;
    pages.accepted(PATH, &limit("worker", "w-8", "day", "1")).await;
    let list = pages.see(&pages.ada, PATH).await;
    let change = "/portal/limits/change?kind=worker&id=w-7&period=day";
    let one = pages.see(&pages.ada, change).await;
    let with = |form: [(&'static str, &'static str); 4], seen: &str| {
        let fields = form.into_iter().chain([("seen", seen)]).map(|(name, value)| (name, value.to_owned()));
        fields.collect::<Vec<_>>()
    };
    let submit = async |path: &str, form: Vec<(&str, String)>| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pages.submit(&pages.ada, path, &form).await
    };
    // Another limit was changed: the page of this one is still true, that of all limits is not.
    pages.accepted(PATH, &limit("worker", "w-8", "day", "2")).await;
    let added = submit(PATH, with(limit("worker", "w-9", "day", "3.50"), seen(&list))).await;
    assert_eq!(added.status, 409, "{}", added.text);
    assert!(added.text.contains("role=\"alert\">Somebody changed the limits meanwhile."), "{}", added.text);
    assert!(
        added.text.contains("value=\"w-9\"") && added.text.contains("value=\"3.50\""),
        "it keeps the input"
    );
    assert!(added.text.contains("$2.00 a day"), "it shows what is set now");
    let again = submit(PATH, with(limit("worker", "w-9", "day", "3.50"), seen(&added.text))).await;
    assert_eq!(again.status, 303, "{}", again.text);
    let changed = submit(PATH, with(limit("worker", "w-7", "day", "4"), seen(&one))).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    // The limit itself was changed, and then removed.
    for path in [PATH, "/portal/limits/remove"] {
        let stale = submit(path, with(limit("worker", "w-7", "day", "5"), seen(&one))).await;
        assert_eq!(stale.status, 409, "{path}: {}", stale.text);
    }
    let removed = submit("/portal/limits/remove", with(limit("worker", "w-8", "day", ""), "0")).await;
    assert_eq!(removed.status, 409, "{}", removed.text);
    let set = pages.world.get("/v1/workspaces/acme/limits").await.json();
    let rows = set["limits"].as_array().expect("rows");
    let mut found: Vec<_> = rows.iter().map(|row| (row["id"].as_str(), row["amount"].as_i64())).collect();
    found.sort();
    assert_eq!(
        found,
        [(Some("w-7"), Some(400_000)), (Some("w-8"), Some(200_000)), (Some("w-9"), Some(350_000))]
    );
}

#[tokio::test]
async fn a_member_sees_limits_and_no_form() {
    let mut settings = settings();
    for sees_others in [true, false] {
        settings.access.members_see_others_use = sees_others;
        let pages = pages_of(&settings).await;
        for (kind, id) in [("workspace", ""), ("member", "ada"), ("member", "bob"), ("worker", "w-7")] {
            pages.accepted(PATH, &limit(kind, id, "day", "1")).await;
        }
        let page = pages.see(&pages.bob, PATH).await;
        assert_eq!(forms(&page), 0, "{page}");
        assert!(page.contains("The whole workspace") && page.contains("Member bob"), "{page}");
        assert!(
            page.contains("Ask ada to change this.") && !page.contains("/portal/limits/change"),
            "{page}"
        );
        assert_eq!(page.contains("Member ada") && page.contains("Worker w-7"), sees_others, "{page}");
        for path in [PATH, "/portal/limits/remove"] {
            let denied = pages.submit(&pages.bob, path, &limit("workspace", "", "day", "2")).await;
            assert_eq!(denied.status, 403, "{path}");
        }
        let denied = pages.world.browse("GET", "/portal/limits/change?kind=workspace&period=day", &pages.bob);
        assert_eq!(denied.await.status, 403);
    }
}
