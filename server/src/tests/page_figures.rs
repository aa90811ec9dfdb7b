//! Random histories on both engines: what the first page, the page about credits and the page about
//! limits show are the figures that the API answers with, to the last micro-unit.
//!
//! Figures are written here by a formatter of this file, from the decimal texts of the API.

use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::random::Random;

use super::streams::server_on;
use super::*;

/// The steps of a history, and after how many the pages are compared.
const STEPS: usize = 90;
const COMPARED_EVERY: usize = 9;

/// Amounts of credit: the smallest, some with five decimals, large ones.
const AMOUNTS: [i64; 8] = [1, 7, 499, 1_001, 20_000, 1_234_567, 99_999_999, 8_000_000_000_001];

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount as a page writes it, from the decimal text of the API.
fn usd(api: &Value) -> String {
    let text = api.as_str().unwrap_or_else(|| panic!("{api} is an amount"));
    let (minus, text) = text.strip_prefix('-').map_or(("", text), |text| ("\u{2212}", text));
    let (whole, decimals) = text.split_once('.').expect("it has decimals");
    format!("{minus}${}.{decimals}", grouped(whole))
}

fn micro_units(api: &Value) -> String {
    let number = api.as_i64().unwrap_or_else(|| panic!("{api} is a whole number"));
    let minus = if number < 0 { "\u{2212}" } else { "" };
    format!("{minus}{}\u{a0}micro-units", grouped(&number.unsigned_abs().to_string()))
}

fn both(amount: &Value, amount_usd: &Value) -> String {
    format!("{} ({})", usd(amount_usd), micro_units(amount))
}

/// A date such as `2026-11-05` as a page writes it.
fn date(api: &Value) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let date: jiff::civil::Date = api.as_str().and_then(|text| text.parse().ok()).expect("a date");
    let month = MONTHS[usize::try_from(date.month() - 1).expect("a month")];
    format!("{}\u{a0}{month} {}", date.day(), date.year())
}

/// The part of a page between two texts.
fn part<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let rest = page.split_once(from).unwrap_or_else(|| panic!("{from} is not in {page}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("{to} is not behind {from}")).0
}

/// The texts between tags.
fn texts(html: &str) -> Vec<&str> {
    let pieces = html.split('<').filter_map(|piece| piece.split_once('>').map(|(_, text)| text.trim()));
    pieces.filter(|text| !text.is_empty()).collect()
}

/// The rows of the body of the first table behind a text.
fn rows<'p>(page: &'p str, behind: &str) -> Vec<Vec<&'p str>> {
    let section = part(page, behind, "</section>");
    let Some((_, body)) = section.split_once("<tbody>") else { return Vec::new() };
    body.split("<tr>").skip(1).map(texts).collect()
}

/// The value of a fact.
fn fact<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(&format!("<dt>{name}</dt><dd"))?;
    rest.split_once('>')?.1.split('<').next()
}

/// A workspace whose history happens.
struct History {
    world: World,
    random: Random,
    step: usize,
    waiting: Vec<String>,
    charges: Vec<String>,
    grants: Vec<String>,
    top_ups: Vec<String>,
}

impl History {
    async fn of(seed: u64, world: World) -> History {
        world.add_member("acme", "ada", "admin").await;
        let book = r#"{"operations":[{"id":"tiny","unit_price":1},{"id":"odd","unit_price":1237},
            {"id":"large","unit_price":250000}]}"#;
        assert_eq!(world.put("PUT", "/v1/price-book", "", book).await.status, 200);
        let (waiting, charges, grants, top_ups) = Default::default();
        let history =
            History { world, random: Random::new(seed), step: 0, waiting, charges, grants, top_ups };
        history.compare().await;
        history
    }

    /// Sends what may be refused; returns the answer if it was accepted.
    async fn try_to(&self, method: &str, path: &str, body: String) -> Option<Value> {
        let key = format!("k{}", self.step);
        let key = if method == "POST" && !path.ends_with("/outcome") { key.as_str() } else { "" };
        let reply = self.world.put(method, &format!("/v1/workspaces/acme/{path}"), key, &body).await;
        assert!(reply.status < 500 && !matches!(reply.status, 400 | 404), "{path} {body}: {}", reply.text);
        (reply.status < 300).then(|| reply.json())
    }

    async fn step(&mut self) {
        self.step += 1;
        match self.random.below(12) {
            0 | 1 => {
                let amount = self.random.pick(&AMOUNTS);
                let body = format!(r#"{{"source":"promotional","amount":{amount},"reason":"gift"}}"#);
                let granted = self.try_to("POST", "grants", body).await;
                self.grants.extend(granted.and_then(|grant| grant["id"].as_str().map(str::to_owned)));
            }
            2..=5 => self.charge().await,
            6 => {
                let Some(charge) = self.waiting.pop() else { return };
                let result = self.random.pick(&[
                    r#"{"result":"succeeded"}"#,
                    r#"{"result":"succeeded","quantity":1}"#,
                    r#"{"result":"failed","fault":"system"}"#,
                    r#"{"result":"failed","fault":"user"}"#,
                ]);
                let result = (*result).to_owned();
                self.try_to("POST", &format!("charges/{charge}/outcome"), result).await;
            }
            7 if !self.charges.is_empty() => {
                let charge = self.random.pick(&self.charges).clone();
                let body = format!(r#"{{"reason":"courtesy","amount":{}}}"#, 1 + self.random.below(3));
                self.try_to("POST", &format!("charges/{charge}/refund"), body).await;
            }
            8 if !self.grants.is_empty() => {
                let grant = self.random.pick(&self.grants).clone();
                self.try_to("POST", &format!("grants/{grant}/void"), "{}".to_owned()).await;
            }
            9 => self.pay().await,
            10 => {
                let amount = self.random.pick(&AMOUNTS);
                let body = format!(
                    r#"{{"limits":[{{"subject":"workspace","period":"month","amount":9000000000000}},
                    {{"subject":"member","id":"ada","period":"day","amount":{amount}}},
                    {{"subject":"operation","id":"tiny","period":"month","amount":{}}}]}}"#,
                    self.random.below(40)
                );
                self.try_to("PUT", "limits", body).await;
            }
            _ => {
                let hours = self.random.below(60);
                self.world.pass_seconds(i64::try_from(hours * 3_600).expect("some days"));
            }
        }
    }

    async fn charge(&mut self) {
        let operation = *self.random.pick(&["tiny", "odd", "large"]);
        let quantity = 1 + self.random.below(if operation == "large" { 3 } else { 9 });
        let more = *self.random.pick(&["", r#","member":"ada""#, r#","timeout_seconds":600000"#]);
        let body = format!(r#"{{"operation":"{operation}","quantity":{quantity}{more}}}"#);
        let Some(made) = self.try_to("POST", "charges", body).await else { return };
        let id = made["id"].as_str().expect("a charge has an id").to_owned();
        if made["status"] == "pending" { self.waiting.push(id) } else { self.charges.push(id) }
    }

    /// Opens a top-up, confirms one, or sends money back.
    async fn pay(&mut self) {
        match self.random.below(3) {
            0 => {
                let body = format!(r#"{{"amount_usd":"{}.{:02}"}}"#, 5 + self.random.below(5_000), self.step);
                let opened = self.try_to("POST", "top-ups", body).await;
                self.top_ups.extend(opened.and_then(|top_up| top_up["id"].as_str().map(str::to_owned)));
            }
            choice => {
                let Some(top_up) = self.top_ups.last().cloned() else { return };
                if choice == 1 {
                    self.try_to("POST", &format!("top-ups/{top_up}/confirm"), String::new()).await;
                } else {
                    let body = r#"{"amount_usd":"0.01","reason":"asked"}"#.to_owned();
                    self.try_to("POST", &format!("top-ups/{top_up}/refund"), body).await;
                }
            }
        }
    }

    async fn api(&self, path: &str) -> Value {
        let reply = self.world.get(&format!("/v1/workspaces/acme/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    }

    /// Compares the three pages with the API.
    async fn compare(&self) {
        let session = self.world.sign_in("acme", "ada").await;
        let page = async |path: &str| {
            let page = self.world.browse("GET", path, &session).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            page.text
        };
        self.compare_overview(&page("/portal").await).await;
        self.compare_credits(&page("/portal/credits").await).await;
        self.compare_limits(&page("/portal/limits").await).await;
    }

    async fn compare_overview(&self, page: &str) {
        let balance = self.api("balance").await;
        assert_eq!(
            part(page, "<p class=\"figure\" data-live=\"available_usd\">", "<"),
            usd(&balance["available_usd"])
        );
        let credits = format!("{}\u{a0}micro-units", part(page, "<span data-live=\"available\">", "<"));
        assert_eq!(credits, micro_units(&balance["available"]));
        for (name, label) in [("pending", "In pending operations"), ("debt", "Owed")] {
            let amount = &balance[name];
            let shown = (*amount != 0).then(|| both(amount, &balance[format!("{name}_usd")]));
            assert_eq!(fact(page, label).map(str::to_owned), shown, "step {}", self.step);
        }
        let burn = self.api("burn-rate?group_by=operation").await;
        let average = |name: &str| if burn["days"] == 0 { "—".to_owned() } else { usd(&burn[name]) };
        assert_eq!(fact(page, "Used a day, on average"), Some(average("daily_average_usd").as_str()));
        assert_eq!(fact(page, "Used a month, on average"), Some(average("monthly_average_usd").as_str()));
        let lasts = part(page, "<h2 id=\"lasts\">", "</section>");
        let figure = part(lasts, "<p class=\"figure\">", "<");
        match burn["runway_days"].as_i64() {
            Some(days) => {
                let unit = if days == 1 { "day" } else { "days" };
                assert_eq!(figure, format!("{days} {unit}"));
                assert!(lasts.contains(&format!("Runs out on {}", date(&burn["depletes_on"]))), "{lasts}");
            }
            None => {
                let reason = match burn["reason"].as_str() {
                    Some("no_recent_use") => "No complete day with use lately, so there is no forecast.",
                    Some("over_a_year") => "It lasts for more than a year at the present use.",
                    Some("credit_grows") => "More was refunded than charged lately, so there is no forecast.",
                    other => panic!("{other:?} is no reason"),
                };
                assert_eq!(figure, "—", "unknown is no number");
                assert!(lasts.contains(reason), "{reason} is not in {lasts}");
            }
        }
        let of = |name: &str| {
            let rows = burn["rows"].as_array().into_iter().flatten();
            rows.clone().find(|row| row["operation"] == name).map(|row| usd(&row["daily_average_usd"]))
        };
        for operation in ["tiny", "odd", "large"] {
            if let Some(shown) = fact(lasts, operation) {
                assert_eq!(Some(shown), of(operation).map(|daily| format!("{daily} a day")).as_deref());
            }
        }
        self.compare_chart(page).await;
    }

    /// The chart of 30 days has the total of the report.
    async fn compare_chart(&self, page: &str) {
        let now =
            jiff::Timestamp::from_millisecond(self.world.clock.load(Ordering::Relaxed)).expect("a time");
        let today = jiff::tz::TimeZone::UTC.to_datetime(now).date();
        let days = |days: i64| today.saturating_add(jiff::ToSpan::days(days));
        let used = self.api(&format!("usage?group_by=operation&from={}&to={}", days(-29), days(1))).await;
        let is_empty = used["rows"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(page.contains("<figure class=\"chart\""), !is_empty, "an empty chart is not drawn");
        if !is_empty {
            let total = part(page, "<tfoot><tr><th scope=\"row\">Total<td>", "<");
            assert_eq!(total.trim(), usd(&used["total"]["net_usd"]), "step {}", self.step);
        }
    }

    async fn compare_credits(&self, page: &str) {
        let grants = self.api("grants?limit=50").await;
        let shown = rows(page, "<h2 id=\"grants\">");
        let listed = grants["data"].as_array().expect("rows");
        assert_eq!(shown.len(), listed.len());
        for (shown, grant) in shown.iter().zip(listed) {
            let expected = [
                usd(&grant["amount_usd"]),
                micro_units(&grant["amount"]),
                usd(&grant["remaining_usd"]),
                micro_units(&grant["remaining"]),
            ];
            assert_eq!(shown[shown.len() - 4..], expected, "{grant}");
        }
        let top_ups = self.api("top-ups?limit=50").await;
        let shown = rows(page, "<h2 id=\"payments\">");
        let listed = top_ups["data"].as_array().expect("rows");
        assert_eq!(shown.len(), listed.len());
        for (shown, top_up) in shown.iter().zip(listed) {
            let status = match top_up["status"].as_str() {
                Some("pending") => "Waiting",
                Some("succeeded") => "Paid",
                Some("expired") => "Expired",
                other => panic!("{other:?} is not in this history"),
            };
            // Credit that did not come is no zero.
            let is_granted = !top_up["grant"].is_null();
            let credits = if is_granted { micro_units(&top_up["credits"]) } else { "—".to_owned() };
            assert_eq!(shown[shown.len() - 2..], [credits, usd(&top_up["amount_usd"])], "{top_up}");
            assert!(shown.contains(&status), "{shown:?} is {status}");
        }
    }

    async fn compare_limits(&self, page: &str) {
        let limits = self.api("limits").await;
        let shown = rows(page, "<h2 id=\"limits\"");
        let listed = limits["limits"].as_array().expect("rows");
        assert_eq!(shown.len(), listed.len());
        for (shown, limit) in shown.iter().zip(listed) {
            let period = limit["period"].as_str().expect("a period");
            assert_eq!(shown[1], format!("{} a {period}", usd(&limit["amount_usd"])));
            assert_eq!(shown[2..4], [usd(&limit["used_usd"]), usd(&limit["remaining_usd"])], "{limit}");
            let is_reached = shown.iter().any(|text| text.starts_with("Reached"));
            assert_eq!(is_reached, limit["remaining"] == 0, "{limit}: {shown:?}");
        }
    }
}

async fn check(seed: u64, world: World) {
    let mut history = History::of(seed, world).await;
    for _ in 0..STEPS / COMPARED_EVERY {
        for _ in 0..COMPARED_EVERY {
            history.step().await;
        }
        history.compare().await;
    }
    assert!(history.charges.len() > 5 && !history.grants.is_empty(), "seed {seed} did something");
}

#[tokio::test]
async fn pages_show_the_figures_of_the_api() {
    for seed in 0..6 {
        check(seed, world().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_the_figures_of_the_api_on_postgresql() {
    if is_missing() {
        return;
    }
    for seed in 10..12 {
        let database = shared().database();
        let world = server_on(&database.url()).await;
        assert_eq!(world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await.status, 201);
        check(seed, world).await;
    }
}
