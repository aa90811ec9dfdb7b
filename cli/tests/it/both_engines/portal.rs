//! Signing in to the dashboard, as a browser does it: the link, the cookie, the page, signing out.

use std::sync::Barrier;

use serde_json::{Value, json};

use super::store;
use crate::harness::{KEY, Reply, TestClient, TestServer, form_token};

/// Starts a server with a workspace that has an admin, Ada, and a member, Ben.
fn server_with_a_team() -> Option<TestServer> {
    let server = store()?.server();
    server.workspace("acme", 1_234_500);
    server.member("acme", "ada", "admin");
    server.member("acme", "ben", "member");
    Some(server)
}

/// Creates a sign-in link; returns its path on the server.
#[track_caller]
fn link(server: &TestServer, body: Value) -> String {
    let made = server.send("POST", "/v1/workspaces/acme/portal-sessions", body).expect(201);
    let url = made.json["url"].as_str().expect("a link has an address");
    url.strip_prefix(&server.url).expect("the address is this server's").to_owned()
}

/// A browser: it sends headers and perhaps a cookie, and no key.
struct Browser {
    client: TestClient,
    cookie: String,
}

impl Browser {
    fn new(server: &TestServer) -> Browser {
        Browser { client: server.client(), cookie: String::new() }
    }

    /// A browser that has followed a link for this member.
    fn signed_in(server: &TestServer, member: &str) -> Browser {
        let mut browser = Browser::new(server);
        let reply = browser.follow(&link(server, json!({"member": member}))).expect(303);
        browser.cookie = cookie(&reply).split(';').next().expect("a value").to_owned();
        browser
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(method, path, headers, "")
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let own =
            [("authorization", ""), ("cookie", self.cookie.as_str()), ("accept", "text/html,*/*;q=0.8")];
        let own = own.into_iter().filter(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        let headers: Vec<_> = own.chain(headers.iter().copied()).collect();
        self.client.raw(method, path, &headers, body).expect("the server answers")
    }

    /// Presses the button of the link at this path.
    fn follow(&self, path: &str) -> Reply {
        self.request("POST", path, &[])
    }

    fn visit(&self, path: &str) -> Reply {
        self.request("GET", path, &[])
    }

    /// Submits a form to this path, with the token of the page, also if the page has no such form.
    fn press(&self, path: &str) -> Reply {
        let form = form_token(&self.visit("/portal"));
        self.send_form(path, &form)
    }

    fn send_form(&self, path: &str, form: &str) -> Reply {
        self.send("POST", path, &[("content-type", "application/x-www-form-urlencoded")], form)
    }

    /// The session as JSON.
    fn session(&self) -> Reply {
        self.request("GET", "/portal/session", &[("accept", "application/json")])
    }
}

fn cookie(reply: &Reply) -> &str {
    reply.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {reply:?}"))
}

/// Asserts that the reply is an HTML page that loads files of this server alone and is not cached;
/// returns it.
#[track_caller]
fn page(reply: Reply, status: u16) -> Reply {
    let reply = reply.expect(status);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert!(
        reply.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    let mut scripts = reply.text.split("<script").skip(1);
    assert!(scripts.all(|script| script.starts_with(" src=\"/portal/assets/")), "{}", reply.text);
    reply
}

#[test]
fn a_link_signs_in_once_and_the_page_shows_the_balance_until_sign_out() {
    let Some(server) = server_with_a_team() else { return };
    let path = link(&server, json!({"member": "ada", "return_url": "https://app.example.com/billing"}));
    let mut browser = Browser::new(&server);
    page(browser.visit("/portal"), 401);
    // The link shows a button; as often as it is looked at, it stays good.
    for _ in 0..2 {
        assert!(page(browser.visit(&path), 200).text.contains(">Sign in</button>"));
    }
    let followed = browser.follow(&path).expect(303);
    assert_eq!((followed.header("location"), followed.text.as_str()), (Some("/portal"), ""));
    assert_eq!(followed.header("cache-control"), Some("no-store"));
    let parts: Vec<&str> = cookie(&followed).split("; ").collect();
    assert!(
        parts[0].starts_with("tollkeeper_session=tk_session_") && parts[0].ends_with("_acme"),
        "{parts:?}"
    );
    assert_eq!(parts[1..], ["Path=/portal", "Max-Age=43200", "HttpOnly", "SameSite=Lax"]);
    browser.cookie = parts[0].to_owned();

    let store = page(browser.visit("/portal"), 200);
    for shown in
        ["acme", "Signed in as ada, admin", "$12.345", "1,234,500", "https://app.example.com/billing"]
    {
        assert!(store.text.contains(shown), "{shown}: {}", store.text);
    }
    let session = browser.session().expect(200);
    assert_eq!((&session.json["member"], &session.json["role"]), (&json!("ada"), &json!("admin")));
    assert_eq!(session.json["return_url"], "https://app.example.com/billing");

    // A signed-in browser can load the link again; for every other client it has expired.
    assert_eq!(browser.visit(&path).expect(303).header("location"), Some("/portal"));
    let again = page(Browser::new(&server).visit(&path), 410);
    assert!(again.header("set-cookie").is_none() && again.text.contains("has been used"), "{}", again.text);
    let again = Browser::new(&server).request("GET", &path, &[("accept", "application/json")]);
    again.problem(410, "portal_link_expired");

    let out = page(browser.press("/portal/sign-out"), 200);
    assert!(out.text.contains("signed out") && out.text.contains("https://app.example.com/billing"));
    assert!(cookie(&out).starts_with("tollkeeper_session=; Path=/portal; Max-Age=0;"), "{}", cookie(&out));
    page(browser.visit("/portal"), 401);
    browser.session().problem(401, "unauthenticated");
}

#[test]
fn head_and_prefetch_requests_do_not_use_up_a_link() {
    let Some(server) = server_with_a_team() else { return };
    let path = link(&server, json!({"member": "ben"}));
    let browser = Browser::new(&server);
    for reply in [
        browser.request("HEAD", &path, &[]),
        browser.request("HEAD", &path, &[]),
        browser.request("GET", &path, &[("sec-purpose", "prefetch;prerender")]),
    ] {
        assert!(reply.expect(200).header("set-cookie").is_none());
    }
    assert!(cookie(&browser.follow(&path).expect(303)).contains("tk_session_"));
    browser.request("HEAD", &path, &[]).expect(410);
    // Links that never existed.
    let digits = "0".repeat(64);
    for wrong in ["x".into(), format!("tk_link_{digits}_acme"), format!("tk_link_{digits}_nobody")] {
        page(browser.visit(&format!("/portal/sign-in/{wrong}")), 410);
    }
}

#[test]
fn only_one_of_sixteen_concurrent_browsers_signs_in_by_a_link() {
    let Some(server) = server_with_a_team() else { return };
    let path = link(&server, json!({"member": "ada"}));
    let start = Barrier::new(16);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let follow = || {
            let browser = Browser::new(&server);
            start.wait();
            browser.follow(&path).status
        };
        let running: Vec<_> = (0..16).map(|_| scope.spawn(follow)).collect();
        running.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 303 | 410)), "{statuses:?}");
}

#[test]
fn a_session_has_the_current_role_of_its_member() {
    let Some(server) = server_with_a_team() else { return };
    let (ada, ben) = (Browser::signed_in(&server, "ada"), Browser::signed_in(&server, "ben"));
    assert_eq!(ben.session().expect(200).json["role"], "member");
    let shown = page(ben.visit("/portal"), 200);
    assert!(!shown.text.contains("sign-out-all") && !shown.text.contains("admin"), "{}", shown.text);
    page(ben.press("/portal/sign-out-all"), 403);
    assert_eq!(ada.session().expect(200).json["role"], "admin");

    let change = |member: &str, role: &str| {
        let path = format!("/v1/workspaces/acme/members/{member}");
        server.send("PATCH", &path, json!({"role": role})).expect(200);
    };
    change("ben", "admin");
    change("ada", "member");
    assert_eq!(ben.session().expect(200).json["role"], "admin");
    page(ada.press("/portal/sign-out-all"), 403);
    page(ben.press("/portal/sign-out-all"), 200);
    for browser in [&ada, &ben] {
        page(browser.visit("/portal"), 401);
    }
}

#[test]
fn removing_a_member_and_the_platform_end_sessions_and_links() {
    let Some(server) = server_with_a_team() else { return };
    let (ada, ben) = (Browser::signed_in(&server, "ada"), Browser::signed_in(&server, "ben"));
    let unused = link(&server, json!({"member": "ben"}));
    server.send("DELETE", "/v1/workspaces/acme/members/ben", json!({})).expect(204);
    page(ben.visit("/portal"), 401);
    page(ben.visit(&unused), 410);
    page(ada.visit("/portal"), 200);

    server.member("acme", "cem", "member");
    let (cem, unused) = (Browser::signed_in(&server, "cem"), link(&server, json!({"member": "cem"})));
    let end = |query: &str| {
        server.send("DELETE", &format!("/v1/workspaces/acme/portal-sessions{query}"), json!({}))
    };
    end("?member=zoe").problem(404, "member_not_found");
    end("?member=cem").expect(204);
    page(cem.visit("/portal"), 401);
    page(cem.visit(&unused), 410);
    page(ada.visit("/portal"), 200);
    end("").expect(204);
    page(ada.visit("/portal"), 401);
}

#[test]
fn a_cookie_is_valid_only_for_the_dashboard_and_a_key_only_for_the_api() {
    let Some(server) = server_with_a_team() else { return };
    let ada = Browser::signed_in(&server, "ada");
    let secret = ada.cookie.strip_prefix("tollkeeper_session=").expect("the name of the cookie");
    for path in ["/v1/workspaces/acme/balance", "/v1/workspaces/acme/members", "/v1/workspaces"] {
        ada.request("GET", path, &[]).problem(401, "unauthenticated");
        TestClient::new(&server.url, secret).get(path).problem(401, "unauthenticated");
    }
    let (_, key) = server.api_key("acme", json!({"name": "k", "scopes": ["charge", "read", "manage"]}));
    for key in [key.as_str(), KEY] {
        let bearer = format!("Bearer {key}");
        let cookie = format!("tollkeeper_session={key}");
        for header in [("authorization", bearer.as_str()), ("cookie", cookie.as_str())] {
            page(Browser::new(&server).request("GET", "/portal", &[header]), 401);
        }
    }
    TestClient::new(&server.url, &key)
        .send("POST", "/v1/workspaces/acme/portal-sessions", json!({"member": "ada"}))
        .problem(403, "forbidden");

    // A form must carry the token of its own session.
    let others = form_token(&Browser::signed_in(&server, "ada").visit("/portal"));
    for form in ["", "token=", "token=x", &others] {
        page(ada.send_form("/portal/sign-out", form), 403);
    }
    page(ada.visit("/portal"), 200);
}

#[test]
fn links_and_cookies_follow_the_settings() {
    let Some(store) = store() else { return };
    let mut command = store.command();
    command
        .env("TOLLKEEPER_PUBLIC_URL", "https://billing.example.com/")
        .env("TOLLKEEPER_PORTAL_SESSION_HOURS", "1");
    let server = store.server_with(command);
    server.workspace("acme", 0);
    server.member("acme", "ada", "admin");
    let made =
        server.send("POST", "/v1/workspaces/acme/portal-sessions", json!({"member": "ada"})).expect(201);
    let url = made.json["url"].as_str().expect("an address");
    let path = url.strip_prefix("https://billing.example.com").expect("the address from outside");
    let followed = Browser::new(&server).follow(path).expect(303);
    assert!(cookie(&followed).ends_with("; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"), "{followed:?}");

    for (body, field) in [
        (json!({"member": "no blanks"}), "member"),
        (json!({}), "member"),
        (json!({"member": "ada", "return_url": "javascript:alert(1)"}), "return_url"),
        (json!({"member": "ada", "return_url": "/billing"}), "return_url"),
    ] {
        let refused = server.send("POST", "/v1/workspaces/acme/portal-sessions", body);
        assert_eq!(refused.problem(422, "invalid_field").json["field"], field);
    }
    let refused = server.send("POST", "/v1/workspaces/acme/portal-sessions", json!({"member": "zoe"}));
    refused.problem(404, "member_not_found");
}
