//! All these pages in every state: first run, used, no credit, hostile names, full lists; in each
//! language, for admins and members.

use super::*;

/// The pages, and whether members see them.
const PAGES: [(&str, bool); 5] = [
    ("/portal/alerts", true),
    ("/portal/limits", true),
    ("/portal/team", false),
    ("/portal/api-keys", true),
    ("/portal/activity", true),
];

/// What every page keeps.
fn check(path: &str, page: &Reply) {
    let text = &page.text;
    assert_eq!(page.status, 200, "{path}: {text}");
    assert!(text.len() < 70_000, "{path} has {} bytes", text.len());
    assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains("onclick"), "{path}");
    assert_eq!(text.matches("<h1>").count(), 1, "{path}");
    assert!(!text.contains("<script>alert"), "{path}: {text}");
    // Every label is of a field, and every field of a form has a label.
    for label in text.split("<label for=\"").skip(1) {
        let id = label.split('"').next().unwrap_or_default();
        assert_eq!(text.matches(&format!(" id=\"{id}\"")).count(), 1, "{path}: {id}");
    }
    let posts = text.matches("method=\"post\"").count();
    assert_eq!(text.matches("name=\"token\"").count(), posts, "{path}: each form has a token");
}

impl Pages {
    async fn check_all(&self) {
        for (session, is_admin) in [(&self.ada, true), (&self.bob, false)] {
            for language in ["en", "de"] {
                let cookie = format!("tollkeeper_session={session}; tollkeeper_language={language}");
                let headers = [("cookie", cookie.as_str()), ("accept", "text/html")];
                for (path, _) in PAGES.into_iter().filter(|(_, for_members)| is_admin || *for_members) {
                    let page = self.world.ask("GET", path, &headers, Body::empty()).await;
                    check(path, &page);
                    assert!(page.text.contains(&format!("<html lang=\"{language}\">")), "{path}");
                    let current = format!("href=\"{path}\" aria-current=\"page\"");
                    assert!(page.text.contains(&current), "{path} is not in the navigation");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_pages_open_at_the_first_run_and_without_credit() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let (ada, bob) = (world.sign_in("acme", "ada").await, world.sign_in("acme", "bob").await);
    let pages = Pages { world, ada, bob };
    pages.check_all().await;
    pages.world.grant("acme", "start", 20_000).await;
    pages.charge_for("all", "virtual_try_on", "bob").await;
    assert_eq!(pages.world.balance().await.0, 0);
    pages.check_all().await;
}

#[tokio::test]
async fn hostile_names_are_texts_on_every_page() {
    let pages = pages().await;
    let hostile = "<script>alert(1)</script>\\\"'&<img src=x onerror=alert(1)>=1+1";
    let world = &pages.world;
    let name = format!(r#"{{"name":"{hostile}"}}"#);
    assert_eq!(world.put("PATCH", "/v1/workspaces/acme", "", &name).await.status, 200);
    let eve = format!(r#"{{"id":"eve","email":"eve@example.com","name":"{hostile}","role":"admin"}}"#);
    assert_eq!(world.post("/v1/workspaces/acme/members", "", &eve).await.status, 201);
    let key = format!(r#"{{"name":"{hostile}","scopes":["charge"],"member":"bob"}}"#);
    let (key, secret) = world.make_key("acme", &key).await;
    let charge = format!(r#","member":"bob","reference":"{hostile}""#);
    let charged = world.charge_with(&secret, "one", &charge).await;
    assert_eq!(charged.status, 201, "{}", charged.text);
    let limit = [("kind", "api_key"), ("id", key.as_str()), ("period", "day"), ("amount", "1")];
    pages.accepted("/portal/limits", &limit).await;
    pages.check_all().await;
    let asked = pages.submit(&pages.ada, "/portal/api-keys/revoke", &[("key", &key)]).await;
    check("/portal/api-keys/revoke", &asked);
    let asked = pages.submit(&pages.ada, "/portal/team/role", &[("member", "eve"), ("role", "member")]).await;
    check("/portal/team/role", &asked);
    let change = format!("/portal/limits/change?kind=api_key&id={key}&period=day");
    check(&change, &world.browse("GET", &change, &pages.ada).await);
    check("topics", &world.browse("GET", "/portal/alerts/topics?recipient=member%3Aeve", &pages.ada).await);
}

#[tokio::test]
async fn full_lists_are_paged_and_small() {
    let pages = pages().await;
    for n in 0..60 {
        pages.world.add_member("acme", &format!("member-{n:02}"), "member").await;
    }
    for n in 0..60 {
        let body = format!(r#"{{"name":"key {n:02}","scopes":["charge","read"]}}"#);
        pages.world.make_key("acme", &body).await;
    }
    let limits: Vec<Value> = (0..200)
        .map(|n| serde_json::json!({ "subject": "worker", "id": format!("w-{n:03}"), "period": "day", "amount": 1 }))
        .collect();
    let body = serde_json::json!({ "limits": limits }).to_string();
    assert_eq!(pages.world.put("PUT", "/v1/workspaces/acme/limits", "", &body).await.status, 200);
    pages.check_all().await;
    for (path, last, of_last) in
        [("/portal/team", 2, "ada"), ("/portal/api-keys", 2, "key 00"), ("/portal/limits", 4, "Worker w-199")]
    {
        let first = pages.see(&pages.ada, path).await;
        assert!(first.contains(&format!("{path}?page=2\" rel=\"next\">Older</a>")), "{path}: {first}");
        let end = pages.see(&pages.ada, &format!("{path}?page={last}")).await;
        assert!(end.contains(of_last) && !end.contains(">Older</a>"), "{path}: {end}");
        assert_eq!(pages.see(&pages.ada, &format!("{path}?page=99")).await, end, "{path}");
    }
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let pages = pages().await;
    let routes = crate::startup::site().routes;
    let forms = routes.iter().filter(|route| route.is_form() && route.path.starts_with("/portal/"));
    let mut count = 0;
    let before = pages.world.get("/v1/workspaces/acme/entries?limit=200").await.text;
    for route in forms {
        let form = "token=0&kind=workspace&amount=1&confirmed=yes&name=x&scope=read&email=x@example.com";
        let refused = pages.world.send_form("POST", route.path, &pages.ada, form.to_owned()).await;
        assert_eq!(refused.status, 403, "{}", route.path);
        count += 1;
    }
    assert!(count > 10, "{count} forms");
    assert_eq!(pages.world.get("/v1/workspaces/acme/entries?limit=200").await.text, before);
}
