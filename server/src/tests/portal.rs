//! The dashboard: sign-in links, sessions and their end, and what the pages show.

use futures_util::FutureExt;

use super::*;
use crate::access::cookie::form_token;
use crate::dashboard::problem_page;
use crate::http::problem::{Code, Problem};

impl World {
    /// Sends a request as a signed-in browser does: for a page, or with a form of a page.
    pub(super) async fn browse(&self, method: &str, path: &str, session: &str) -> Reply {
        let form = if method == "POST" { format!("token={}", form_token(session)) } else { String::new() };
        self.send_form(method, path, session, form).await
    }

    pub(super) async fn send_form(&self, method: &str, path: &str, session: &str, form: String) -> Reply {
        let cookie = format!("tollkeeper_session={session}");
        let headers = [
            ("cookie", cookie.as_str()),
            ("accept", "text/html,*/*"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.ask(method, path, &headers, form).await
    }
}

#[tokio::test]
async fn a_link_signs_in_once_with_the_present_role_of_the_member() {
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
    // Requests that only look at the link do not use it up.
    let head = world.ask("HEAD", link, &[], Body::empty()).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let ahead = world.ask("GET", link, &[("sec-purpose", "prefetch;prerender")], Body::empty()).await;
    assert_eq!(ahead.status, 200);
    for _ in 0..2 {
        let button = world.browse("GET", link, "").await;
        assert!(button.status == 200 && button.text.contains(">Sign in</button>"), "{}", button.text);
    }
    let came = world.ask("POST", link, &[], Body::empty()).await;
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
    let reloaded = world.browse("GET", link, session).await;
    assert_eq!(
        (reloaded.status, reloaded.header("location")),
        (303, Some("/portal")),
        "a browser with a session is redirected"
    );
    let page = world.browse("GET", "/portal", session).await;
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    for shown in
        ["Acme", "bob", "1,234,567", "$12.34567", "https://shop.example/settings?a=1&#38;b=&#60;2&#62;"]
    {
        assert!(page.text.contains(shown), "{shown} is not in {}", page.text);
    }
    assert!(!page.text.contains("all members"), "a member cannot sign out others");
    let shown = world.browse("GET", "/portal/session", session).await.json();
    assert_eq!(
        (&shown["workspace"], &shown["member"], &shown["role"]),
        (&"acme".into(), &"bob".into(), &"member".into())
    );
    assert_eq!(shown["expires_at"], "2026-11-24T03:04:05.678Z");
    // A changed role counts at once.
    world.put("PATCH", "/v1/workspaces/acme/members/bob", "", r#"{"role":"admin"}"#).await;
    assert_eq!(world.browse("GET", "/portal/session", session).await.json()["role"], "admin");
    assert!(world.browse("GET", "/portal/team", session).await.text.contains("all members"));
}

#[tokio::test]
async fn a_session_ends_by_sign_out_by_time_and_with_the_member() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let is_in = async |session: &str| world.browse("GET", "/portal/session", session).await.status == 200;
    let bobs = world.sign_in("acme", "bob").await;
    let other = world.sign_in("acme", "bob").await;
    let out = world.browse("POST", "/portal/sign-out", &bobs).await;
    assert_eq!((out.status, is_in(&bobs).await, is_in(&other).await), (200, false, true));
    let cookie = out.header("set-cookie").expect("the cookie is removed");
    assert!(cookie.starts_with("tollkeeper_session=; Path=/portal; Max-Age=0;"), "{cookie}");
    assert!(out.text.contains("signed out"), "{}", out.text);
    world.pass_seconds(12 * 3_600 - 1);
    assert!(is_in(&other).await);
    world.pass_seconds(1);
    assert!(!is_in(&other).await, "a session ends after twelve hours");
    let page = world.browse("GET", "/portal", &other).await;
    assert_eq!((page.status, page.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("<h1>You are not signed in</h1>"), "{}", page.text);
    let link = world.link("acme", "bob").await;
    world.pass_seconds(600);
    world.ask("GET", &link, &[], Body::empty()).await.problem(410, "portal_link_expired");
    let bobs = world.sign_in("acme", "bob").await;
    let waiting = world.link("acme", "bob").await;
    assert_eq!(world.put("DELETE", "/v1/workspaces/acme/members/bob", "", "").await.status, 204);
    assert!(!is_in(&bobs).await, "the member was removed");
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
    assert!(is_in(&adas).await && is_in(&bobs).await, "a member cannot sign out others");
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
    assert_eq!(
        world.put("DELETE", path, "", "").await.status,
        204,
        "an unchanged member is returned as it is"
    );
}

#[tokio::test]
async fn signing_out_ends_a_session_although_another_server_has_a_later_clock() {
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
async fn forms_of_other_sites_are_refused() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let session = world.sign_in("acme", "ada").await;
    let cookie = format!("tollkeeper_session={session}");
    let page = world.browse("GET", "/portal", &session).await;
    assert_eq!(page.text.matches(&format!("value=\"{}\"", form_token(&session))).count(), 2, "in each form");
    let other = form_token(&world.sign_in("acme", "ada").await);
    for form in
        ["", "token=", "token", &format!("token={other}"), &format!("token={}", form_token("")), "token=%00"]
    {
        let refused = world.send_form("POST", "/portal/sign-out", &session, form.to_owned()).await;
        assert_eq!(refused.status, 403, "{form}: {}", refused.text);
        assert!(refused.text.contains("reload the page"), "{}", refused.text);
    }
    let json = [("cookie", cookie.as_str()), ("content-type", "application/json")];
    world.ask("POST", "/portal/sign-out", &json, "{}").await.problem(415, "unsupported_media_type");
    let long = world.send_form("POST", "/portal/sign-out", &session, "x".repeat(1 << 21)).await;
    assert_eq!(long.status, 413);
    assert_eq!(world.browse("GET", "/portal", &session).await.status, 200, "the session is still valid");
    let tossed = format!("tollkeeper_session=junk; a=b; tollkeeper_session={session}");
    let tossed = world.ask("GET", "/portal/session", &[("cookie", &tossed)], Body::empty()).await;
    let beside = format!("name=é; tollkeeper_session={session}");
    let beside = world.ask("GET", "/portal/session", &[("cookie", &beside)], Body::empty()).await;
    assert_eq!(beside.status, 200, "another cookie that is not text does no harm");
    assert_eq!((tossed.status, tossed.header("cache-control")), (200, Some("no-store")), "{}", tossed.text);
    for wrong in ["", "x", &session[1..], &session.replace("_acme", "_other"), "tk_session__acme"] {
        let reply = world.browse("GET", "/portal/session", wrong).await;
        reply.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_invalid_sign_in_link_is_refused() {
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
async fn over_https_the_cookie_is_secure_and_bound_to_its_host() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let mut settings = settings();
    settings.http.public_url = Some("https://credits.example/".to_owned());
    let app = open(dir.path(), &settings, &clock);
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app: app.into(), clock, _dir: dir };
    world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await;
    world.add_member("acme", "ada", "admin").await;
    let made = world.post("/v1/workspaces/acme/portal-sessions", "", r#"{"member":"ada"}"#).await.json();
    let url = made["url"].as_str().expect("a link");
    let link = url.strip_prefix("https://credits.example").expect("it leads to the public address");
    assert!(link.starts_with("/portal/sign-in/tk_link_"), "{link}");
    let cookie = world.ask("POST", link, &[], Body::empty()).await;
    let cookie = cookie.header("set-cookie").expect("a cookie");
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    // Only the name that other hosts cannot set is accepted.
    let secret = cookie.strip_prefix("__Host-tollkeeper_session=").and_then(|rest| rest.split(';').next());
    let status_of = async |name: &str| {
        let cookie = format!("{name}={}", secret.expect("a session"));
        world.ask("GET", "/portal/session", &[("cookie", &cookie)], Body::empty()).await
    };
    assert_eq!(status_of("__Host-tollkeeper_session").await.status, 200);
    status_of("tollkeeper_session").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_link_has_the_host_of_the_request() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let link_by = async |more: &[(&str, &str)]| {
        let bearer = format!("Bearer {KEY}");
        let own = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers: Vec<_> = own.iter().chain(more).copied().collect();
        let made =
            world.ask("POST", "/v1/workspaces/acme/portal-sessions", &headers, r#"{"member":"ada"}"#).await;
        let url = made.json()["url"].as_str().expect("a link").to_owned();
        url.split_once("/portal/").expect("the link is under /portal").0.to_owned()
    };
    assert_eq!(link_by(&[("host", "10.0.0.7:8080")]).await, "http://10.0.0.7:8080");
    assert_eq!(link_by(&[("host", "[::1]:8080")]).await, "http://[::1]:8080");
    assert_eq!(link_by(&[("host", "toll_keeper:8080")]).await, "http://toll_keeper:8080");
    assert_eq!(
        link_by(&[("host", "pay.example"), ("x-forwarded-proto", "https, http")]).await,
        "https://pay.example"
    );
    for host in ["", "a b", "evil.example/x?y=", "a@b", "<b>"] {
        assert_eq!(link_by(&[("host", host)]).await, "http://localhost", "{host}");
    }
}

#[tokio::test]
async fn a_browser_gets_a_page_for_a_problem() {
    let world = world().await;
    for (method, path, status) in
        [("GET", "/portal/", 404), ("GET", "/portal/sign-out", 405), ("GET", "/portal", 401)]
    {
        let page = world.browse(method, path, "").await;
        assert_eq!(
            (page.status, page.header("content-type"), page.header("cache-control")),
            (status, Some("text/html; charset=utf-8"), Some("no-store")),
            "{path}"
        );
    }
    world.ask("GET", "/portal/", &[], Body::empty()).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_page_of_a_server_problem_has_retry_after_and_no_technical_detail() {
    let world = world().await;
    let problem = Problem::new(Code::StoreUnavailable, "Ask again under the same key.");
    let page = problem_page(&world.app, &HeaderMap::new(), "/portal", &problem);
    assert_eq!((page.status().as_u16(), page.headers()["retry-after"].to_str().ok()), (503, Some("1")));
    let text = axum::body::to_bytes(page.into_body(), usize::MAX).now_or_never().and_then(Result::ok);
    let text = String::from_utf8(text.expect("a page is in memory").to_vec()).expect("a page is text");
    assert!(text.contains("try again in a moment") && text.contains("store_unavailable"), "{text}");
    assert!(!text.contains("same key"), "{text}");
}

#[tokio::test]
async fn the_page_of_a_problem_leads_back_who_is_signed_in() {
    let world = world().await;
    world.add_member("acme", "bob", "member").await;
    let session = world.sign_in("acme", "bob").await;
    let link = "href=\"/portal\">Go to the overview</a>";
    for (path, status) in [("/portal/nothing", 404), ("/portal/credits", 403)] {
        let page = world.browse("GET", path, &session).await;
        assert_eq!((page.status, page.text.contains(link)), (status, true), "{}", page.text);
        assert!(!page.text.contains("openapi"), "a person reads no list of paths: {}", page.text);
    }
    for session in ["", "ended"] {
        let page = world.browse("GET", "/portal", session).await;
        assert_eq!((page.status, page.text.contains(link)), (401, false), "{}", page.text);
    }
}
