//! What keeps a page of a signed-in member from being used by others.

use super::markup::tags;
use super::*;
use crate::access::Rule;

/// The kinds of the entries of the journal, by which a change is seen. The use of keys is recorded
/// in the background.
async fn entries(world: &World) -> Vec<String> {
    let list = world.get("/v1/workspaces/acme/entries?limit=200").await.json();
    let rows = list["data"].as_array().expect("a list has rows");
    let kinds = rows.iter().map(|row| row["kind"].as_str().expect("an entry has a kind").to_owned());
    kinds.filter(|kind| kind != "api_key.used").collect()
}

#[tokio::test]
async fn every_form_needs_the_token_of_its_own_session() {
    let full = full("text ").await;
    let other = full.world.sign_in("acme", "ada").await;
    let before = entries(&full.world).await;
    for route in forms() {
        for fields in full.fields(route.path) {
            for token in [None, Some(String::new()), Some(form_token(&other)), Some(form_token(&full.bob))] {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(token.iter().map(|token| ("token", token)));
                form.append_pair("confirmed", "yes").extend_pairs(&fields);
                let refused = full.world.send_form("POST", route.path, &full.ada, form.finish()).await;
                assert_eq!(refused.status, 403, "{} with the token {token:?}", route.path);
            }
            let form = format!("token={}&confirmed=yes", form_token(&full.ada));
            let media = "application/x-www-form-urlencoded";
            let headers = [("accept", "text/html"), ("content-type", media)];
            let anonymous = full.world.ask("POST", route.path, &headers, form).await;
            assert_eq!(anonymous.status, 401, "{} without a session", route.path);
        }
    }
    assert_eq!(entries(&full.world).await, before, "nothing was changed");
}

#[tokio::test]
async fn every_form_of_the_console_needs_the_token_of_its_own_session() {
    let full = full("text ").await;
    let other = full.world.operator("lin", KEY).await;
    let before = entries(&full.world).await;
    let (media, cookie) =
        ("application/x-www-form-urlencoded", format!("tollkeeper_console={}", full.operator));
    for path in forms_of_operators() {
        for token in [String::new(), form_token(&other), form_token(&full.ada)] {
            let form = format!("token={token}&act=suspend&reason=x&confirmed=yes&key={}", "0".repeat(32));
            let headers = [("accept", "text/html"), ("content-type", media), ("cookie", &*cookie)];
            let refused = full.world.ask("POST", &path, &headers, form).await;
            assert_eq!(refused.status, 403, "{path} with the token {token}");
        }
        let own = format!("token={}", form_token(&full.operator));
        let anonymous = full.world.ask("POST", &path, &[("content-type", media)], own).await;
        assert_eq!(anonymous.status, 401, "{path} without a session");
    }
    assert_eq!(entries(&full.world).await, before, "nothing was changed");
}

#[tokio::test]
async fn no_page_can_be_framed_stored_or_run_what_it_does_not_name() {
    let full = full("text ").await;
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let check = |path: &str, reply: &Reply| {
        if is_page(reply) {
            assert_eq!(reply.header("content-security-policy"), Some(policy), "{path}");
        }
        if !path.starts_with("/portal/assets/") || reply.status != 200 {
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        }
        // The path of a file is no secret.
        if !path.starts_with("/portal/assets/") {
            assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        }
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
    };
    let mut pages = 0;
    for route in routes("GET") {
        for path in full.addresses(route.path) {
            for session in [&full.ada, &full.bob, &"ended".to_owned()] {
                let reply = full.ask_as(session, "en", &path).await;
                check(&path, &reply);
                pages += usize::from(is_page(&reply));
            }
        }
    }
    assert!(pages > 60, "{pages} pages");
    for path in ["/portal/none", "/portal/usage?nothing=1", "/portal/charges?cursor=x"] {
        check(path, &full.ask_as(&full.ada, "en", path).await);
    }
    for route in forms() {
        check(route.path, &full.world.send_form("POST", route.path, &full.ada, "token=0".to_owned()).await);
    }
}

#[tokio::test]
async fn a_cookie_from_before_the_sign_in_is_not_adopted() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let known = format!("tk_session_{}_acme", "5a".repeat(32));
    let of_bob = world.sign_in("acme", "bob").await;
    for planted in [&known, &of_bob] {
        let link = world.link("acme", "ada").await;
        let cookie = format!("tollkeeper_session={planted}");
        let looked = world.ask("GET", &link, &[("cookie", &cookie)], Body::empty()).await;
        assert_eq!((looked.status, looked.header("set-cookie")), (200, None));
        let signed_in = world.ask("POST", &link, &[("cookie", &cookie)], Body::empty()).await;
        let set = signed_in.header("set-cookie").expect("a session has a cookie").to_owned();
        assert!(set.contains("; HttpOnly; SameSite=Lax") && !set.contains(planted.as_str()), "{set}");
        let secret = set.trim_start_matches("tollkeeper_session=").split(';').next().expect("a secret");
        let own = world.browse("GET", "/portal/session", secret).await.json();
        assert_eq!(own["member"], "ada", "it is a session of its own");
    }
    assert_eq!(world.browse("GET", "/portal/session", &known).await.status, 401, "nobody signed in with it");
    let still = world.browse("GET", "/portal/session", &of_bob).await.json();
    assert_eq!(still["member"], "bob", "a session does not become that of another member");
}

#[tokio::test]
async fn every_cookie_is_kept_from_scripts_and_other_sites_and_over_https_from_other_hosts() {
    let mut https = settings();
    https.http.public_url = Some("https://credits.example".to_owned());
    for (settings, origin, is_secure) in
        [(settings(), "http://localhost", false), (https, "https://credits.example", true)]
    {
        let world = world_of(&settings, NOW).await;
        world.add_member("acme", "ada", "admin").await;
        let body = r#"{"member":"ada","locale":"de"}"#;
        let made = world.post("/v1/workspaces/acme/portal-sessions", "", body).await.json();
        let link = made["url"].as_str().and_then(|url| url.strip_prefix(origin)).expect("it leads here");
        let cookies = |reply: &Reply| -> Vec<String> {
            let all = reply.headers.get_all("set-cookie").iter();
            all.filter_map(|cookie| cookie.to_str().ok()).map(str::to_owned).collect()
        };
        let signed_in = cookies(&world.ask("POST", link, &[], Body::empty()).await);
        assert_eq!(signed_in.len(), 2, "the session and the language: {signed_in:?}");
        let pair = signed_in[0].split(';').next().expect("a cookie has a pair").to_owned();
        let secret = pair.split_once('=').expect("a pair").1.to_owned();
        let media = "application/x-www-form-urlencoded";
        let headers = [("cookie", pair.as_str()), ("content-type", media)];
        let form = |more: &str| format!("token={}{more}", form_token(&secret));
        let chosen = cookies(&world.ask("POST", "/portal/language", &headers, form("&language=en")).await);
        let signed_out = cookies(&world.ask("POST", "/portal/sign-out", &headers, form("")).await);
        assert_eq!((chosen.len(), signed_out.len()), (1, 1));
        for cookie in signed_in.iter().chain(&chosen).chain(&signed_out) {
            assert!(cookie.contains("; HttpOnly; SameSite=Lax") && !cookie.contains("Domain"), "{cookie}");
            assert_eq!(cookie.ends_with("; Secure"), is_secure, "{cookie}");
            let of_session = cookie.contains("tollkeeper_session=");
            let is_bound = cookie.starts_with("__Host-tollkeeper_session=") && cookie.contains("; Path=/;");
            assert!(!of_session || is_bound == is_secure, "{cookie}");
        }
        assert!(signed_out[0].contains("; Max-Age=0;"), "{signed_out:?}");
    }
}

#[tokio::test]
async fn a_page_of_a_member_leads_nowhere_that_only_admins_may_go() {
    let full = full("text ").await;
    let mut followed = 0;
    for route in routes("GET").filter(|route| route.rule == Rule::SignedIn(tollkeeper_ledger::Role::Member)) {
        for path in full.addresses(route.path) {
            let page = full.ask_as(&full.bob, "en", &path).await;
            assert_eq!(page.status, 200, "{path} is open to members: {}", page.text);
            if !is_page(&page) {
                continue;
            }
            for tag in tags(&page.text) {
                let method = if tag.name == "form" { tag.value("method").unwrap_or("get") } else { "get" };
                let target = tag.value(if tag.name == "form" { "action" } else { "href" });
                let Some(target) = target.filter(|target| target.starts_with("/portal")) else { continue };
                let served = served_by(target, &method.to_uppercase());
                let served = served.unwrap_or_else(|| panic!("{path} leads to {target}, which is not there"));
                let is_open = !matches!(served.rule, Rule::SignedIn(tollkeeper_ledger::Role::Admin));
                assert!(is_open, "{path} leads a member to {method} {target}");
                followed += 1;
            }
        }
    }
    assert!(followed > 200, "{followed} links and forms");
}

#[tokio::test]
async fn a_member_opens_no_page_and_sends_no_form_of_admins() {
    let full = full("text ").await;
    let before = entries(&full.world).await;
    let of_admins = |route: &&Route| route.rule == Rule::SignedIn(tollkeeper_ledger::Role::Admin);
    let mut denied = 0;
    for route in routes("GET").filter(of_admins) {
        for path in full.addresses(route.path) {
            let reply = full.ask_as(&full.bob, "en", &path).await;
            assert_eq!(reply.status, 403, "{path}");
            for secret in ["text grant", "text key", "text plan", "example.com", "4242"] {
                assert!(!reply.text.contains(secret), "{path}: {}", reply.text);
            }
            denied += 1;
        }
    }
    for route in forms().iter().filter(|route| of_admins(route)) {
        for mut fields in full.fields(route.path) {
            fields.push(("confirmed", "yes".to_owned()));
            assert_eq!(full.send(&full.bob, route.path, &fields).await.status, 403, "{}", route.path);
            denied += 1;
        }
    }
    assert!(denied > 30, "{denied} were denied");
    assert_eq!(entries(&full.world).await, before, "nothing was changed");
}
