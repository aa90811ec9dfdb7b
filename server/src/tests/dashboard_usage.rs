//! The page of use and its comma-separated values: what they show of a range, to whom, and that
//! they agree with the API.

use std::collections::BTreeMap;

use tollkeeper_testkit::random::Random;

use super::*;
use crate::settings::AccessSettings;

/// The day of [`NOW`].
const TODAY: &str = "2026-11-23";

impl World {
    /// Charges `acme`; `more` are further members of the request.
    async fn use_operation(&self, key: &str, operation: &str, more: &str) -> Reply {
        let reply = self.charge(key, &format!(r#"{{"operation":"{operation}"{more}}}"#)).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply
    }

    async fn usage_page(&self, path: &str, session: &str) -> String {
        let page = self.browse("GET", path, session).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        page.text
    }
}

/// An admin and a member, and charges of three days by both and by nobody. Returns the sessions of
/// the admin and of the member.
async fn three_days(settings: &Settings) -> (World, [String; 2]) {
    let world = world_of(settings, NOW).await;
    world.grant("acme", "start", 10_000_000).await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let first = world.use_operation("a", "virtual_try_on", r#","member":"ada","worker":"w-7""#).await;
    world.use_operation("b", "support_message", r#","member":"bob","worker":"w-8","quantity":3"#).await;
    world.pass_seconds(86_400);
    world.use_operation("c", "product_listing", r#","member":"bob""#).await;
    let refund = format!("/v1/workspaces/acme/charges/{}/refund", first.id());
    assert_eq!(world.post(&refund, "r", r#"{"reason":"courtesy","amount":15000}"#).await.status, 200);
    world.pass_seconds(86_400);
    world.use_operation("d", "support_message", "").await;
    let sessions = [world.sign_in("acme", "ada").await, world.sign_in("acme", "bob").await];
    (world, sessions)
}

/// Members do not see the use of others.
fn own_use_only() -> Settings {
    let settings = settings();
    Settings { access: AccessSettings { members_see_others_use: false, ..settings.access }, ..settings }
}

/// The row of a table that begins with this name.
fn row<'t>(page: &'t str, name: &str) -> Vec<&'t str> {
    let table = page.split("<caption id=\"use-table\">").nth(1).unwrap_or_default();
    let rows = table.split("<tr>").filter(|row| row.starts_with("<th scope=\"row\">"));
    let rows = rows.filter_map(|row| row.split("</tr>").next());
    let cells = |row: &'t str| -> Vec<&'t str> {
        let cells = row.split('<').filter_map(|part| part.split_once('>').map(|(_, text)| text.trim()));
        cells.filter(|text| !text.is_empty()).collect()
    };
    let found = rows.map(cells).find(|cells| cells.first() == Some(&name));
    found.unwrap_or_else(|| panic!("there is no row {name} in {table}"))
}

#[tokio::test]
async fn the_page_the_csv_and_the_api_agree() {
    let (world, [admin, member]) = three_days(&settings()).await;
    for session in [&admin, &member] {
        let page = world.usage_page("/portal/usage", session).await;
        assert_eq!(row(&page, "support_message"), ["support_message", "2", "4", "$0.02", "$0.00", "$0.02"]);
        assert_eq!(row(&page, "virtual_try_on"), ["virtual_try_on", "1", "1", "$0.20", "$0.15", "$0.05"]);
        assert_eq!(row(&page, "Total"), ["Total", "4", "6", "$0.27", "$0.15", "$0.12"]);
        assert!(page.contains("<p class=\"figure\">$0.12</p>"), "{page}");
        assert!(page.contains("12,000\u{a0}micro-units") && page.contains("(days in UTC)"), "{page}");
        assert!(page.contains("27\u{a0}October 2026 to 25\u{a0}November 2026, so far"), "{page}");
        assert!(page.contains("<svg viewBox=\"0 0 30 1000\""), "a bar for each day");
        assert!(page.contains("aria-current=\"page\">Usage</a>"));
    }
    for by in ["operation", "worker", "member", "key"] {
        let path = format!("/portal/usage.csv?by={by}&range=7");
        let csv = world.browse("GET", &path, &admin).await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        let name = csv.header("content-disposition");
        assert_eq!(name, Some("attachment; filename=\"usage-2026-11-19-2026-11-25.csv\""));
        let group = if by == "key" { "api_key" } else { by };
        let query = format!("group_by={group},day&from=2026-11-19&to=2026-11-26");
        assert_eq!(csv.text, world.csv(&format!("/v1/workspaces/acme/usage?{query}")).await, "{by}");
        let page = world.usage_page(&format!("/portal/usage?by={by}&range=7"), &admin).await;
        assert_eq!(row(&page, "Total").last(), Some(&"$0.12"), "{by}");
    }
}

/// Charges and refunds of up to a month, by nine workers.
async fn random_use(seed: u64) -> World {
    let mut random = Random::new(seed);
    let world = world_with(1_000_000_000).await;
    world.add_member("acme", "ada", "admin").await;
    for n in 0..60 {
        let operation =
            *random.pick(&["virtual_try_on", "background_removal", "support_message", "smart_pricing"]);
        let (worker, quantity) = (random.below(9), random.below(5) + 1);
        let more = format!(r#","worker":"w-{worker}","quantity":{quantity}"#);
        let charge = world.use_operation(&format!("k{n}"), operation, &more).await.id();
        world.pass_seconds(i64::try_from(random.below(40_000)).expect("it is small"));
        if random.percent(30) {
            let refund = format!("/v1/workspaces/acme/charges/{charge}/refund");
            let body = format!(r#"{{"reason":"x","amount":{}}}"#, random.below(500) + 1);
            assert_eq!(world.post(&refund, &format!("r{n}"), &body).await.status, 200);
        }
    }
    world
}

#[tokio::test]
async fn chart_table_csv_and_api_agree_on_random_use() {
    for seed in 0..3 {
        let world = random_use(seed).await;
        let session = world.sign_in("acme", "ada").await;
        for by in ["operation", "worker"] {
            let query = format!("/v1/workspaces/acme/usage?group_by={by}&from=2026-11-01&to=2027-01-15");
            let api = world.get(&query).await.json();
            let asked = format!("by={by}&from=2026-11-01&to=2027-01-14");
            let page = world.usage_page(&format!("/portal/usage?{asked}"), &session).await;
            let csv = world.browse("GET", &format!("/portal/usage.csv?{asked}"), &session).await.text;
            let mut nets: BTreeMap<&str, i64> = BTreeMap::new();
            for line in csv.lines().skip(1) {
                let fields: Vec<&str> = line.split(',').collect();
                *nets.entry(fields[1]).or_default() += fields[8].parse::<i64>().expect("a number");
            }
            for counted in api["rows"].as_array().expect("rows") {
                let name = counted[by].as_str().expect("a name");
                assert_eq!(counted["net"], nets[name], "seed {seed}, {name}");
                let usd = format!("${}", counted["net_usd"].as_str().expect("an amount"));
                assert_eq!(row(&page, name).last(), Some(&usd.as_str()), "seed {seed}, {name}");
            }
            let total = format!("${}", api["total"]["net_usd"].as_str().expect("an amount"));
            assert_eq!(row(&page, "Total").last(), Some(&total.as_str()), "seed {seed}");
            assert!(page.contains(&format!("<p class=\"figure\">{total}</p>")), "seed {seed}: {page}");
            let chart = format!("<tfoot><tr><th scope=\"row\">Total<td>{total}");
            assert!(page.contains(&chart), "seed {seed}: the chart has the same total");
        }
    }
}

#[tokio::test]
async fn names_are_shown_and_lead_to_their_own_use() {
    let (world, [admin, _]) = three_days(&settings()).await;
    let page = world.usage_page("/portal/usage?by=member", &admin).await;
    assert_eq!(row(&page, "bob"), ["bob", "2", "4", "$0.065", "$0.00", "$0.065"]);
    assert!(page.contains("<a href=\"/portal/usage?by=member&#38;member=bob\">bob</a>"), "{page}");
    assert_eq!(row(&page, "Without a member").first(), Some(&"Without a member"));
    let without = world.usage_page("/portal/usage?by=worker&worker=%7E", &admin).await;
    assert_eq!(row(&without, "Total"), ["Total", "2", "2", "$0.055", "$0.00", "$0.055"]);
    assert!(without.contains("<option value=\"~\" selected>Without a worker</option>"), "{without}");
    let both = world.usage_page("/portal/usage?operation=support_message&worker=w-8", &admin).await;
    assert_eq!(row(&both, "Total").last(), Some(&"$0.015"));
    assert!(both.contains("href=\"/portal/usage\">Remove the filters</a>"), "{both}");
    assert!(both.contains("/portal/usage.csv?operation=support_message&#38;worker=w-8"), "{both}");
}

#[tokio::test]
async fn a_day_is_shown_by_hours_and_a_year_by_weeks() {
    let (world, [admin, _]) = three_days(&settings()).await;
    let today = world.usage_page("/portal/usage?range=today", &admin).await;
    assert!(today.contains("25\u{a0}November 2026, so far") && today.contains("viewBox=\"0 0 24 1000\""));
    let year = world.usage_page("/portal/usage?from=2025-11-25", &admin).await;
    assert_eq!(row(&year, "Total").last(), Some(&"$0.12"));
    assert!(year.contains("viewBox=\"0 0 53 1000\""), "{year}");
    let month = world.usage_page("/portal/usage?range=last-month", &admin).await;
    assert!(month.contains("1\u{a0}October 2026 to 31\u{a0}October 2026 <"), "{month}");
}

#[tokio::test]
async fn an_empty_range_leads_to_the_last_day_with_charges() {
    let (world, [admin, member]) = three_days(&settings()).await;
    let range = "from=2026-01-01&to=2026-01-31";
    let page = world
        .usage_page(&format!("/portal/usage?{range}&operation=support_message&worker=w-8"), &admin)
        .await;
    assert!(page.contains("Nothing was used in this range."), "{page}");
    let last = "/portal/usage?from=2026-11-23&#38;to=2026-11-23&#38;operation=support_message&#38;worker=w-8";
    assert!(page.contains(last) && page.contains("charges, 23\u{a0}November 2026"), "{page}");
    // No charge fits the filter: the link leads to the last day of all.
    let page = world.usage_page(&format!("/portal/usage?{range}&worker=nobody"), &member).await;
    assert!(page.contains("/portal/usage?from=2026-11-25&#38;to=2026-11-25\""), "{page}");
    assert!(!page.contains("<table") && !page.contains("usage.csv"), "there is nothing to show");

    let empty = world_with(1_000).await;
    empty.add_member("acme", "ada", "admin").await;
    let session = empty.sign_in("acme", "ada").await;
    let page = empty.usage_page("/portal/usage", &session).await;
    assert!(page.contains("There are no charges yet."), "{page}");
}

#[tokio::test]
async fn a_wrong_field_is_named_and_keeps_its_text() {
    let (world, [admin, _]) = three_days(&settings()).await;
    for (query, field, sentence) in [
        ("from=23.11.2026", "from", "Enter a date"),
        ("from=2026-11-02&to=2026-11-01", "to", "must not be before"),
        ("from=2025-01-01&to=2026-11-01", "from", "at most 366 days"),
        ("worker=a%22%3E%3Cb%3E", "worker", "There can be no such name"),
    ] {
        let page = world.browse("GET", &format!("/portal/usage?{query}"), &admin).await;
        assert_eq!(page.status, 422, "{query}");
        let input = format!("id=\"{field}\" name=\"{field}\"");
        let input =
            page.text.split(&input).nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_default();
        assert!(input.contains("aria-invalid=\"true\" aria-describedby=\"wrong\""), "{query}: {}", page.text);
        assert!(page.text.contains(sentence) && page.text.contains("role=\"alert\""), "{query}");
        assert!(!page.text.contains("<b>\""), "{query}: {}", page.text);
        let marked = page.text.matches(" aria-current=\"true\"").count();
        assert_eq!(marked, 1, "{query}: the grouping is marked, and no range");
        let csv = world.browse("GET", &format!("/portal/usage.csv?{query}"), &admin).await;
        assert_eq!(csv.status, 400, "{query}");
    }
    let page = world.usage_page("/portal/usage", &admin).await;
    assert_eq!(page.matches(" aria-current=\"true\"").count(), 2, "the range is marked, too");
    let kept = world.browse("GET", "/portal/usage?from=2026-11-02&to=2026-11-01&by=worker", &admin).await;
    assert!(kept.text.contains("value=\"2026-11-02\"") && kept.text.contains("name=\"by\" value=\"worker\""));
}

#[tokio::test]
async fn a_member_sees_their_own_use_alone_if_the_settings_say_so() {
    let (world, [admin, member]) = three_days(&own_use_only()).await;
    for query in ["", "?member=ada", "?by=member&member=%7E"] {
        let page = world.usage_page(&format!("/portal/usage{query}"), &member).await;
        assert_eq!(row(&page, "Total"), ["Total", "2", "4", "$0.065", "$0.00", "$0.065"], "{query}");
        assert!(page.contains("You see your own use.") && !page.contains(">ada<") && !page.contains("w-7"));
        let csv = world.browse("GET", &format!("/portal/usage.csv{query}"), &member).await.text;
        assert!(csv.contains("product_listing") && !csv.contains("virtual_try_on"), "{query}: {csv}");
    }
    let page = world.usage_page("/portal/usage", &admin).await;
    assert_eq!(row(&page, "Total").last(), Some(&"$0.12"));
    assert!(!page.contains("You see your own use."));
}

#[tokio::test]
async fn hostile_names_are_shown_as_they_are_and_are_no_formulas() {
    let world = world_with(10_000_000).await;
    let name = r#"<script>alert("1")</script>"#;
    let body = serde_json::json!({"id": "eve", "email": "eve@example.com", "name": name, "role": "admin"});
    assert_eq!(world.post("/v1/workspaces/acme/members", "", &body.to_string()).await.status, 201);
    let key = serde_json::json!({"name": "<img src=x onerror=alert(1)>", "scopes": ["charge"]}).to_string();
    let (_, secret) = world.make_key("acme", &key).await;
    world.charge_with(&secret, "k", r#","member":"eve","worker":"-1:1""#).await;
    let session = world.sign_in("acme", "eve").await;
    for by in ["operation", "worker", "member", "key"] {
        let page = world.usage_page(&format!("/portal/usage?by={by}"), &session).await;
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{by}: {page}");
        assert!(page.contains("&#60;script&#62;alert") && page.contains("&#60;img src=x"), "{by}");
    }
    let csv = world.browse("GET", "/portal/usage.csv?by=worker", &session).await.text;
    assert!(csv.contains(&format!("{TODAY},'-1:1,1,")), "{csv}");
}

#[tokio::test]
async fn a_page_with_very_many_names_is_short() {
    let world = world_with(1_000_000_000).await;
    world.add_member("acme", "ada", "admin").await;
    for day in 0..3 {
        for worker in 0..50 {
            let (key, worker) = (format!("{day}-{worker}"), format!("worker-{day}-{worker}"));
            world.use_operation(&key, "support_message", &format!(r#","worker":"{worker}""#)).await;
        }
        world.pass_seconds(86_400);
    }
    let session = world.sign_in("acme", "ada").await;
    let page = world.usage_page("/portal/usage?by=worker&range=90", &session).await;
    assert!(page.len() < 80_000, "the page has {} bytes", page.len());
    assert_eq!(row(&page, "Other (100)"), ["Other (100)", "100", "100", "$0.50", "$0.00", "$0.50"]);
    assert_eq!(row(&page, "Total").last(), Some(&"$0.75"));
    assert!(page.contains("list=\"worker-list\""), "a field with suggestions instead of a long list");
    let csv = world.browse("GET", "/portal/usage.csv?by=worker&range=90", &session).await.text;
    assert_eq!(csv.lines().count(), 151, "all names are in the comma-separated values");
}

#[tokio::test]
async fn the_page_is_in_the_language_of_its_reader() {
    let (world, [admin, _]) = three_days(&settings()).await;
    let cookie = format!("tollkeeper_session={admin}; tollkeeper_language=de");
    let headers = [("cookie", &*cookie), ("accept", "text/html")];
    let page = world.ask("GET", "/portal/usage", &headers, Body::empty()).await.text;
    assert!(page.contains("Verbrauch nach Vorgang") && page.contains("0,12\u{a0}$"), "{page}");
    assert!(page.contains("27.\u{a0}Oktober 2026 bis 25.\u{a0}November 2026, bis jetzt"), "{page}");
}
