//! How large pages are together with their files, with full lists and a year of use; and that
//! nothing of them comes from another host.

use std::collections::BTreeSet;

use super::markup::tags;
use super::*;
use crate::theme::LOGO_MAX_BYTES;

/// The most bytes of a page with its style, script, icon and logo, uncompressed.
const MOST: usize = 100_000;

const DAYS: i64 = 366;

/// As many rows as fill more than one page of a list.
const MANY: usize = 60;

/// A logo of the largest size.
fn logo() -> String {
    let begin = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><path d=\"";
    let end = "\"/></svg>";
    let most = usize::try_from(LOGO_MAX_BYTES).expect("it fits");
    let path = "M4 4h8v8H4z".chars().cycle().take(most - begin.len() - end.len());
    format!("{begin}{}{end}", path.collect::<String>())
}

/// A workspace with long lists, whose year is full of use.
async fn year(dir: &Path) -> Full {
    let file = dir.join("logo.svg");
    std::fs::write(&file, logo()).expect("the folder is writable");
    let mut settings = settings();
    settings.theme.brand_logo = Some(file);
    settings.theme.brand_name = Some("The Platform of Many Shops".to_owned());
    let world = world_of(&settings, NOW - DAYS * 86_400_000).await;
    let operations: Vec<String> = (0..9).map(|n| format!("operation_with_a_name_{n}")).collect();
    let book: Vec<_> = operations.iter().map(|id| serde_json::json!({"id": id, "unit_price": 500})).collect();
    world.made("PUT", "/v1/price-book", "", serde_json::json!({ "operations": book })).await;
    world.grant("acme", "start", 1_000_000_000).await;
    for day in 0..DAYS {
        let of_day: Vec<_> = operations.iter().enumerate().map(|(n, operation)| {
            let number = usize::try_from(day).unwrap_or_default() * operations.len() + n;
            serde_json::json!({"workspace": "acme", "idempotency_key": format!("{day}-{n}"), "operation": operation,
                "worker": format!("worker-of-the-shop-{}", number % 150), "quantity": 1 + number * 7 % 900,
                "member": format!("member-{:02}", number % MANY)})
        }).collect();
        world.made("POST", "/v1/charges/batch", "", serde_json::json!({ "charges": of_day })).await;
        world.pass_seconds(86_400);
    }
    let full = lists(world).await;
    let ada = full.world.sign_in_with_way_back("ada").await;
    let bob = full.world.sign_in_with_way_back("bob").await;
    let operator = full.world.operator("olga", KEY).await;
    Full { ada, bob, operator, ..full }
}

/// Fills the lists of a workspace.
async fn lists(world: World) -> Full {
    let texts = Texts("A text of some forty characters for the ");
    for (id, role) in [("ada", "admin"), ("bob", "member")] {
        world.add_member("acme", id, role).await;
    }
    let (mut key, mut top_up) = (String::new(), String::new());
    for n in 0..MANY {
        world.add_member("acme", &format!("member-{n:02}"), "admin").await;
        let named =
            serde_json::json!({"name": texts.name(&format!("key {n}")), "scopes": ["charge", "read"]});
        key = world.make_key("acme", &named.to_string()).await.0;
        let grant =
            serde_json::json!({"source": "promotional", "amount": 1_000, "reason": texts.text("grant")});
        world.made("POST", "grants", &format!("g{n}"), grant).await;
        let opened =
            world.made("POST", "top-ups", &format!("t{n}"), serde_json::json!({"amount_usd": "25.00"})).await;
        top_up = id_of(&opened);
    }
    let limit = |n| serde_json::json!({"subject": "worker", "id": format!("worker-{n}"), "period": "day", "amount": 1});
    let limits: Vec<_> = (0..190)
        .map(limit)
        .chain([
            serde_json::json!({"subject": "api_key", "id": key, "period": "day", "amount": 1}),
            serde_json::json!({"subject": "member", "id": "bob", "period": "day", "amount": 1}),
            serde_json::json!({"subject": "worker", "id": "-1:1", "period": "day", "amount": 1}),
        ])
        .collect();
    world.made("PUT", "limits", "", serde_json::json!({ "limits": limits })).await;
    let thresholds: Vec<_> = (1..=10).map(|n| serde_json::json!({"amount": n * 100_000})).collect();
    let emails: Vec<_> = (0..19).map(|n| format!("someone-of-the-team-{n}@example.com")).collect();
    world.made("PUT", "alerts", "", serde_json::json!({"thresholds": thresholds, "emails": emails})).await;
    let plan = |n: usize| {
        serde_json::json!({"id": format!("plan-{n}"), "name": format!("Plan {n}"),
        "price_usd": format!("{}.00", n + 1), "credits": 100_000 * (n + 1), "interval": "month"})
    };
    let plans: Vec<_> = (0..50).map(plan).collect();
    world.made("PUT", "/v1/plans", "", serde_json::json!({ "plans": plans })).await;
    world.made("PUT", "subscription", "", serde_json::json!({"plan": "plan-3"})).await;
    world.save_card("acme").await;
    let listed = world.get("/v1/workspaces/acme/charges?limit=3").await.json();
    let charges = [0, 1, 2].map(|at| id_of(&listed["data"][at]));
    let rows = world.get("/v1/workspaces/acme/alerts").await.json()["emails"].clone();
    let typed = rows.as_array().into_iter().flatten().find(|row| row["member"].is_null());
    let address = id_of(typed.expect("it was typed"));
    let confirm = world.mail_link(&address, None).await;
    let stop = world.mail_link("member:ada", Some(MailTopic::Low)).await;
    let none = String::new;
    Full {
        world,
        ada: none(),
        bob: none(),
        operator: none(),
        texts,
        key,
        charges,
        top_up,
        address,
        confirm,
        stop,
    }
}

/// The files that a page names.
fn files(page: &str) -> BTreeSet<&str> {
    let tags = tags(page);
    let named = tags.iter().filter(|tag| ["link", "script", "img"].contains(&tag.name));
    named.filter_map(|tag| tag.value("src").or_else(|| tag.value("href"))).collect()
}

#[tokio::test]
async fn every_page_with_its_files_is_small_with_full_lists_and_a_year_of_use() {
    let scratch = tempfile::tempdir().expect("a directory can be made");
    let full = year(scratch.path()).await;
    let year = "from=2025-11-23&to=2026-11-23";
    let mut addresses: Vec<String> = routes("GET").flat_map(|route| full.addresses(route.path)).collect();
    for by in ["operation", "worker", "member", "key"] {
        addresses.push(format!("/portal/usage?by={by}&{year}"));
        addresses.push(format!("/portal/usage?by={by}&range=90"));
        addresses.push(format!("/portal/usage?by={by}&range=last-month"));
    }
    for list in ["charges", "activity", "limits", "team", "api-keys"] {
        addresses.push(format!("/portal/{list}"));
    }
    let (mut sizes, mut of_files) = (Vec::new(), std::collections::BTreeMap::new());
    for path in addresses {
        for (session, language) in [(&full.ada, "en"), (&full.ada, "de"), (&full.bob, "en")] {
            let page = full.ask_as(session, language, &path).await;
            if !is_page(&page) {
                continue;
            }
            let mut bytes = page.text.len();
            for file in files(&page.text) {
                if !of_files.contains_key(file) {
                    let found = full.world.ask("GET", file, &[], Body::empty()).await;
                    assert_eq!(found.status, 200, "{path} names {file}");
                    of_files.insert(file.to_owned(), found.text.len());
                }
                bytes += of_files[file];
            }
            sizes.push((bytes, page.text.len(), path.clone()));
        }
    }
    assert!(of_files.len() == 4 && of_files.keys().any(|file| file.contains("/logo-")), "{of_files:?}");
    sizes.sort();
    let largest = sizes.iter().rev().take(8);
    largest.for_each(|(bytes, page, path)| println!("{bytes} bytes, {page} of them the page: {path}"));
    let (bytes, _, path) = sizes.last().expect("there are pages");
    assert!(*bytes < MOST, "{path} has {bytes} bytes with its files {of_files:?}");
    assert!(sizes.len() > 100, "{} pages", sizes.len());
}

#[tokio::test]
async fn no_file_of_a_page_names_another_host() {
    let world = world().await;
    world.add_member("acme", "ada", "admin").await;
    let session = world.sign_in("acme", "ada").await;
    let page = world.browse("GET", "/portal", &session).await.text;
    let files = files(&page);
    assert_eq!(files.len(), 3, "{files:?}");
    for path in files {
        let file = world.ask("GET", path, &[], Body::empty()).await;
        let text = file.text.replace("http://www.w3.org/2000/svg", "");
        for part in ["http:", "https:", "@import", "url(", "ws://", "wss://", "eval(", "innerHTML"] {
            assert!(!text.contains(part), "{part} in {path}");
        }
        let policy = file.header("content-security-policy");
        assert_eq!(
            policy,
            Some("default-src 'none'; sandbox"),
            "{path} runs nothing if it is opened by itself"
        );
    }
}
