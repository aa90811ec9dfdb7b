//! The page about API keys.

use super::*;

const PATH: &str = "/portal/api-keys";

/// The secret on the page that shows it.
fn secret(page: &str) -> &str {
    let at = page.find("value=\"tk_workspace_").expect("the secret is shown") + "value=\"".len();
    page[at..].split('"').next().unwrap_or_default()
}

#[tokio::test]
async fn a_key_is_created_shown_once_and_works() {
    let pages = pages().await;
    assert!(pages.see(&pages.ada, PATH).await.contains("There is no key yet"));
    let form = [
        ("name", "store"),
        ("scope", "charge"),
        ("scope", "read"),
        ("worker", "w-7"),
        ("expires", "2026-12-31"),
    ];
    let made = pages.submit(&pages.ada, PATH, &form).await;
    assert_eq!((made.status, made.header("cache-control")), (200, Some("no-store")), "{}", made.text);
    let secret = secret(&made.text).to_owned();
    assert!(made.text.contains("curl -X POST") && made.text.matches(&secret).count() == 2, "{}", made.text);
    let charged = pages.world.charge_with(&secret, "first", r#","worker":"w-7""#).await;
    assert_eq!(charged.status, 201, "{}", charged.text);
    let again = pages.refused(PATH, &form, "There is a key with this name already").await;
    assert!(!again.contains(&secret), "the secret is shown once");
    let list = pages.world.get("/v1/workspaces/acme/api-keys").await.json();
    assert_eq!(
        list["data"].as_array().map(Vec::len),
        Some(1),
        "a form that is sent again makes no second key"
    );
    assert_eq!(list["data"][0]["scopes"], serde_json::json!(["charge", "read"]));
    assert_eq!(list["data"][0]["expires_at"], "2027-01-01T00:00:00.000Z");
    let page = pages.see(&pages.ada, PATH).await;
    assert!(page.contains("store") && page.contains("Worker w-7") && !page.contains(&secret), "{page}");
}

#[tokio::test]
async fn a_wrong_key_is_shown_again_with_what_is_wrong() {
    let pages = pages().await;
    let good = [("name", "k"), ("scope", "read")];
    for (field, value, wrong) in [
        ("name", "", "Enter a name"),
        ("scope", "settle", "Choose at least one."),
        ("scope", "", "Choose at least one."),
        ("member", "eve", "This workspace has no member"),
        ("member", "a b", "Enter an id"),
        ("worker", "<b>", "Enter an id"),
        ("expires", "2026-11-22", "Enter a day that is not over"),
        ("expires", "soon", "Enter a day that is not over"),
    ] {
        let mut form: Vec<_> = good.into_iter().filter(|(name, _)| *name != field).collect();
        form.push((field, value));
        let page = pages.refused(PATH, &form, wrong).await;
        assert!(field == "scope" || page.contains("aria-invalid=\"true\""), "{page}");
        assert!(!page.contains("value=\"<b>"), "{page}");
    }
    let list = pages.world.get("/v1/workspaces/acme/api-keys").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_key_is_revoked_after_it_was_confirmed() {
    let pages = pages().await;
    let (id, secret) = pages.world.make_key("acme", r#"{"name":"old","scopes":["charge"]}"#).await;
    let asked = pages.submit(&pages.ada, "/portal/api-keys/revoke", &[("key", &id)]).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text.contains("Revoke the key “old”?") && asked.text.contains(">Never<"), "{}", asked.text);
    assert_eq!(pages.world.charge_with(&secret, "before", "").await.status, 201, "asking changes nothing");
    let form = [("key", id.as_str()), ("confirmed", "yes")];
    assert_eq!(pages.accepted("/portal/api-keys/revoke", &form).await, "/portal/api-keys?done=revoked");
    pages.world.charge_with(&secret, "after", "").await.problem(401, "unauthenticated");
    for form in [form.as_slice(), &[("key", "x")], &[]] {
        let gone = pages.submit(&pages.ada, "/portal/api-keys/revoke", form).await;
        assert_eq!(gone.status, 404, "{}", gone.text);
    }
}

#[tokio::test]
async fn a_member_sees_own_keys_and_no_form() {
    let pages = pages().await;
    assert!(pages.see(&pages.bob, PATH).await.contains("No key is tied to you."));
    let (id, _) =
        pages.world.make_key("acme", r#"{"name":"of bob","scopes":["charge"],"member":"bob"}"#).await;
    pages.world.make_key("acme", r#"{"name":"of ada","scopes":["charge"],"member":"ada"}"#).await;
    pages.world.make_key("acme", r#"{"name":"of all","scopes":["charge"]}"#).await;
    let page = pages.see(&pages.bob, PATH).await;
    assert!(page.contains("of bob") && !page.contains("of ada") && !page.contains("of all"), "{page}");
    assert_eq!(forms(&page), 0, "{page}");
    let form = [("name", "x"), ("scope", "read"), ("key", id.as_str()), ("confirmed", "yes")];
    for path in [PATH, "/portal/api-keys/revoke"] {
        assert_eq!(pages.submit(&pages.bob, path, &form).await.status, 403, "{path}");
    }
}
