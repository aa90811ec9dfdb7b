//! Signing in to the dashboard: links, sessions, their ends, and what the pages show.

use super::*;

impl World {
    /// Asks as a browser does that is signed in.
    async fn browse(&self, method: &str, path: &str, session: &str) -> Reply {
        let cookie = format!("tollkeeper_session={session}");
        let headers =
            [("cookie", cookie.as_str()), ("accept", "text/html,*/*"), ("sec-fetch-site", "same-origin")];
        self.ask(method, path, &headers, Body::empty()).await
    }
}

#[tokio::test]
async fn a_link_signs_in_once_with_the_members_role() {
    let world = world_with(1_234_567).await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let path = "/v1/workspaces/acme/portal-sessions";
    let body = r#"{"member":"bob","return_url":"https://shop.example/settings?a=1&b=<2>"}"#;
    let made = world.post(path, "", body).await;
    assert_eq!((made.status, &made.json()["member"]), (201, &"bob".into()));
    assert_eq!(made.json()["expires_at"], "2026-11-23T15:14:05.678Z");
    let url = made.json()["url"].as_str().expect("a link").to_owned();
    let link = url.strip_prefix("http://localhost").expect("it leads here");
    // Whoever only looks does not use it up.
    assert_eq!(world.ask("HEAD", link, &[], Body::empty()).await.status, 204);
    assert_eq!(world.ask("GET", link, &[("sec-purpose", "prefetch")], Body::empty()).await.status, 204);
    let came = world.ask("GET", link, &[], Body::empty()).await;
    assert_eq!((came.status, came.header("location")), (303, Some("/portal")));
    assert_eq!(
        (came.header("cache-control"), came.header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    let cookie = came.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.ends_with("_acme; Path=/portal; Max-Age=43200; HttpOnly; SameSite=Lax"), "{cookie}");
    world.ask("GET", link, &[], Body::empty()).await.problem(410, "portal_link_expired");
    let again = world.browse("GET", link, "").await;
    assert_eq!((again.status, again.header("content-type")), (410, Some("text/html; charset=utf-8")));
    assert!(again.text.contains("ask for a new one"), "{}", again.text);
    let session = cookie.trim_start_matches("tollkeeper_session=").split(';').next().expect("a secret");
    let page = world.browse("GET", "/portal", session).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    for shown in
        ["Acme", "bob", "1,234,567", "12.34567 USD", "https://shop.example/settings?a=1&#38;b=&#60;2&#62;"]
    {
        assert!(page.text.contains(shown), "{shown} is not in {}", page.text);
    }
    assert!(!page.text.contains("everybody"), "a member does not sign others out");
    let told = world.browse("GET", "/portal/session", session).await.json();
    assert_eq!(
        (&told["workspace"], &told["member"], &told["role"]),
        (&"acme".into(), &"bob".into(), &"member".into())
    );
    assert_eq!(told["expires_at"], "2026-11-24T03:04:05.678Z");
    // The role is that of the moment.
    world.put("PATCH", "/v1/workspaces/acme/members/bob", "", r#"{"role":"admin"}"#).await;
    assert_eq!(world.browse("GET", "/portal/session", session).await.json()["role"], "admin");
    assert!(world.browse("GET", "/portal", session).await.text.contains("everybody"));
}

#[tokio::test]
async fn a_session_ends_by_signing_out_by_time_and_with_the_member() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let is_in = async |session: &str| world.browse("GET", "/portal/session", session).await.status == 200;
    let bobs = world.sign_in("acme", "bob").await;
    let other = world.sign_in("acme", "bob").await;
    let out = world.browse("POST", "/portal/sign-out", &bobs).await;
    assert_eq!((out.status, is_in(&bobs).await, is_in(&other).await), (200, false, true));
    let cookie = out.header("set-cookie").expect("the cookie is taken away");
    assert!(cookie.starts_with("tollkeeper_session=; Path=/portal; Max-Age=0;"), "{cookie}");
    assert!(out.text.contains("signed out"), "{}", out.text);
    world.pass_seconds(12 * 3_600 - 1);
    assert!(is_in(&other).await);
    world.pass_seconds(1);
    assert!(!is_in(&other).await, "over after twelve hours");
    let page = world.browse("GET", "/portal", &other).await;
    assert_eq!((page.status, page.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("<h1>You are not signed in</h1>"), "{}", page.text);
    let link = world.link("acme", "bob").await;
    world.pass_seconds(600);
    world.ask("GET", &link, &[], Body::empty()).await.problem(410, "portal_link_expired");
    let bobs = world.sign_in("acme", "bob").await;
    let waiting = world.link("acme", "bob").await;
    assert_eq!(world.put("DELETE", "/v1/workspaces/acme/members/bob", "", "").await.status, 204);
    assert!(!is_in(&bobs).await, "the member has left");
    world.ask("GET", &waiting, &[], Body::empty()).await.problem(410, "portal_link_expired");
}

#[tokio::test]
async fn an_admin_ends_all_sessions() {
    let world = world().await;
    for (id, role) in [("ada", "admin"), ("bob", "member")] {
        world.add_member("acme", id, role).await;
    }
    let is_in = async |session: &str| world.browse("GET", "/portal/session", session).await.status == 200;
    let (adas, bobs) = (world.sign_in("acme", "ada").await, world.sign_in("acme", "bob").await);
    world.browse("POST", "/portal/sign-out-all", &bobs).await;
    assert!(is_in(&adas).await && is_in(&bobs).await, "a member does not sign others out");
    assert_eq!(world.browse("POST", "/portal/sign-out-all", &adas).await.status, 200);
    assert!(!is_in(&adas).await && !is_in(&bobs).await);
    let (adas, bobs) = (world.sign_in("acme", "ada").await, world.sign_in("acme", "bob").await);
    let path = "/v1/workspaces/acme/portal-sessions";
    assert_eq!(world.put("DELETE", &format!("{path}?member=bob"), "", "").await.status, 204);
    assert!(is_in(&adas).await && !is_in(&bobs).await);
    world.put("DELETE", &format!("{path}?member=eve"), "", "").await.problem(404, "member_not_found");
    world.put("DELETE", &format!("{path}?member=a%20b"), "", "").await.problem(400, "invalid_parameter");
    assert_eq!(world.put("DELETE", path, "", "").await.status, 204);
    assert!(!is_in(&adas).await);
    assert_eq!(world.put("DELETE", path, "", "").await.status, 204, "what is so already stays");
}

#[tokio::test]
async fn signing_out_ends_a_session_that_only_the_account_thinks_over() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let (session, other) = (world.sign_in("acme", "ada").await, world.sign_in("acme", "ada").await);
    // Another server's clock is a day ahead, and it writes.
    world.pass_seconds(86_400);
    world.grant("acme", "ahead", 1_000).await;
    world.pass_seconds(-86_400);
    assert_eq!(world.browse("GET", "/portal/session", &session).await.status, 200);
    assert_eq!(world.browse("POST", "/portal/sign-out", &session).await.status, 200);
    assert_eq!(world.browse("GET", "/portal/session", &session).await.status, 401);
    assert_eq!(world.put("DELETE", "/v1/workspaces/acme/portal-sessions", "", "").await.status, 204);
    assert_eq!(world.browse("GET", "/portal/session", &other).await.status, 401);
}

#[tokio::test]
async fn other_sites_change_nothing_with_the_cookie() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let session = world.sign_in("acme", "ada").await;
    let cookie = format!("tollkeeper_session={session}");
    for site in ["cross-site", "same-site"] {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site)];
        world.ask("POST", "/portal/sign-out", &headers, Body::empty()).await.problem(403, "forbidden");
        assert_eq!(
            world.ask("GET", "/portal", &headers, Body::empty()).await.status,
            200,
            "a link to it leads in"
        );
    }
    for (origin, host, status) in [
        ("http://evil.example", "shop.example", 403),
        ("http://shop.example:81", "shop.example", 403),
        ("null", "x", 403),
        ("http://shop.example", "shop.example", 200),
    ] {
        let headers = [("cookie", cookie.as_str()), ("origin", origin), ("host", host)];
        let reply = world.ask("POST", "/portal/sign-out", &headers, Body::empty()).await;
        assert_eq!(reply.status, status, "{origin}");
    }
    let session = world.sign_in("acme", "ada").await;
    let tossed = format!("tollkeeper_session=junk; a=b; tollkeeper_session={session}");
    let told = world.ask("GET", "/portal/session", &[("cookie", &tossed)], Body::empty()).await;
    assert_eq!((told.status, told.header("cache-control")), (200, Some("no-store")), "{}", told.text);
    for wrong in ["", "x", &session[1..], &session.replace("_acme", "_other"), "tk_session__acme"] {
        let reply = world.browse("GET", "/portal/session", wrong).await;
        reply.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_link_is_asked_for_well_or_not_at_all() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let path = "/v1/workspaces/acme/portal-sessions";
    world.post(path, "", r#"{"member":"eve"}"#).await.problem(404, "member_not_found");
    for url in [
        "javascript:alert(1)",
        "/settings",
        "ftp://x/y",
        "https://",
        "https://a b",
        &format!("https://{}", "x".repeat(2_000)),
    ] {
        let body = format!(r#"{{"member":"ada","return_url":"{url}"}}"#);
        assert_eq!(
            world.post(path, "", &body).await.problem(422, "invalid_field")["field"],
            "return_url",
            "{url}"
        );
    }
    for link in [
        "x",
        "tk_link_x",
        &format!("tk_link_{}_nobodys", "0".repeat(64)),
        &format!("tk_link_{}_acme", "0".repeat(64)),
    ] {
        let reply = world.ask("GET", &format!("/portal/sign-in/{link}"), &[], Body::empty()).await;
        reply.problem(410, "portal_link_expired");
    }
}

#[tokio::test]
async fn behind_https_the_cookie_says_so() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let settings = Settings { public_url: Some("https://credits.example/".to_owned()), ..settings() };
    let app = open(dir.path(), &settings, &clock);
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app, clock, _dir: dir };
    world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await;
    world.add_member("acme", "ada", "admin").await;
    let made = world.post("/v1/workspaces/acme/portal-sessions", "", r#"{"member":"ada"}"#).await.json();
    let url = made["url"].as_str().expect("a link");
    let link = url.strip_prefix("https://credits.example").expect("it leads to the public address");
    assert!(link.starts_with("/portal/sign-in/tk_link_"), "{link}");
    let cookie = world.ask("GET", link, &[], Body::empty()).await;
    assert!(cookie.header("set-cookie").is_some_and(|cookie| cookie.ends_with("; SameSite=Lax; Secure")));
}
