//! What all pages of the dashboard have in common: their files, their headers, their language.

use super::*;
use crate::access::cookie::form_token;

/// The paths of the files that a page names.
fn files(page: &str) -> Vec<&str> {
    let quoted = page.split('"').filter(|text| text.starts_with("/portal/assets/"));
    quoted.collect()
}

/// The address behind the text of a link.
pub(in crate::tests) fn link(page: &str, text: &str) -> Option<String> {
    let before = page.split(&format!(">{text}</a>")).next().filter(|before| before.len() < page.len())?;
    let address = before.rsplit("href=\"").next()?.split('"').next()?;
    Some(address.replace("&#38;", "&"))
}

#[tokio::test]
async fn a_page_loads_files_of_this_server_alone_which_a_browser_keeps() {
    let world = world_with(1_000).await;
    world.add_member("acme", "ada", "admin").await;
    let session = world.sign_in("acme", "ada").await;
    let page = world.browse("GET", "/portal", &session).await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains(" style=") && !page.text.contains("<style"), "{}", page.text);
    for attribute in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "action=\"http"] {
        assert!(!page.text.contains(attribute), "{attribute} in {}", page.text);
    }
    let files = files(&page.text);
    assert_eq!(files.len(), 3, "{files:?}");
    let mut bytes = page.text.len();
    for path in files {
        let file = world.ask("GET", path, &[], Body::empty()).await;
        assert_eq!((file.status, file.header("x-content-type-options")), (200, Some("nosniff")), "{path}");
        let cache = file.header("cache-control");
        assert_eq!(cache, Some("public, max-age=31536000, immutable"), "{path}");
        bytes += file.text.len();
    }
    assert!(bytes < 100_000, "a page with its files has {bytes} bytes");
    let other = world.ask("GET", "/portal/assets/style-0000000000000000.css", &[], Body::empty()).await;
    assert_eq!((other.status, other.header("cache-control")), (404, Some("no-store")));
}

#[tokio::test]
async fn a_page_has_the_language_of_the_link_of_a_choice_or_of_the_browser() {
    let world = world_with(123_456_789).await;
    world.add_member("acme", "ada", "admin").await;
    let path = "/v1/workspaces/acme/portal-sessions";
    let made = world.post(path, "", r#"{"member":"ada","locale":"de-AT"}"#).await.json();
    let url = made["url"].as_str().expect("a link");
    let link = url.strip_prefix("http://localhost").expect("it leads here");
    assert!(link.ends_with("?locale=de-AT"), "{link}");
    let button = world.browse("GET", link, "").await;
    assert!(button.text.contains("<html lang=\"de\">") && button.text.contains(">Anmelden</button>"));
    let signed_in = world.browse("POST", link, "").await;
    let cookies = signed_in.headers.get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies.filter_map(|cookie| cookie.to_str().ok()).collect();
    let kept = cookies.iter().find(|cookie| cookie.starts_with("tollkeeper_language=de;"));
    assert!(kept.is_some_and(|kept| kept.contains("HttpOnly; SameSite=Lax")), "{cookies:?}");

    let session = world.sign_in("acme", "ada").await;
    let page = async |extra: &str, asked: &str| {
        let cookie = format!("tollkeeper_session={session}{extra}");
        let headers = [("cookie", &*cookie), ("accept", "text/html"), ("accept-language", asked)];
        world.ask("GET", "/portal", &headers, Body::empty()).await.text
    };
    let (german, english) = ("123.456.789", "$1,234.56789");
    assert!(page("", "de,en;q=0.5").await.contains(german));
    assert!(page("", "fr").await.contains(english));
    assert!(page("; tollkeeper_language=de", "en").await.contains(german), "a choice goes before");
    assert!(page("; tollkeeper_language=xx", "en").await.contains(english));
    let form = format!("token={}&language=de", form_token(&session));
    let chosen = world.send_form("POST", "/portal/language", &session, form).await;
    assert_eq!((chosen.status, chosen.header("location")), (303, Some("/portal")));
    for wrong in ["", "\"", "de_AT", "de-", &"a".repeat(36)] {
        let body = format!(r#"{{"member":"ada","locale":{}}}"#, serde_json::json!(wrong));
        world.post(path, "", &body).await.problem(422, "invalid_field");
    }
}

#[tokio::test]
async fn the_first_page_says_once_who_adds_credit_and_that_none_is_left() {
    let world = world_with(40_000).await;
    for (id, role) in [("ada", "admin"), ("bob", "member")] {
        world.add_member("acme", id, role).await;
    }
    let page = async || {
        let session = world.sign_in("acme", "bob").await;
        world.browse("GET", "/portal", &session).await.text
    };
    let first_run = page().await;
    assert!(!first_run.contains("What changed"), "nothing was used: {first_run}");
    world.charge("one", r#"{"operation":"virtual_try_on"}"#).await;
    world.pass_seconds(86_400);
    let (used, asked) = (page().await, "Ask ada to add credits.");
    assert!(used.contains("Runs out on") && !used.contains("used up"), "{used}");
    assert_eq!(used.matches(asked).count(), 1, "{used}");
    assert!(used.contains("What changed") && used.contains("+$0.20"), "{used}");
    world.charge("two", r#"{"operation":"virtual_try_on"}"#).await;
    let empty = page().await;
    assert!(empty.contains("The credit is used up.") && !empty.contains("Runs out on"), "{empty}");
    assert!(empty.contains(&format!("Operations do not run until credit is added. {asked}")), "{empty}");
    assert_eq!(empty.matches(asked).count(), 1, "{empty}");
}
