//! The use of a workspace and its burn rate over HTTP: JSON, comma-separated values, filters, time
//! zones and refusals.

use serde_json::json;

use super::*;

const USAGE: &str = "/v1/workspaces/acme/usage";

const BURN_RATE: &str = "/v1/workspaces/acme/burn-rate";

impl World {
    pub(super) async fn csv(&self, path: &str) -> String {
        let headers = [("authorization", &*format!("Bearer {KEY}")), ("accept", "text/csv")];
        let reply = self.ask("GET", path, &headers, Body::empty()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        reply.text
    }

    /// Charges `acme` for messages, with more members of the request.
    async fn use_messages(&self, key: &str, quantity: i64, more: &str) -> Reply {
        let body = format!(r#"{{"operation":"support_message","quantity":{quantity}{more}}}"#);
        let reply = self.charge(key, &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply
    }
}

/// Two messages of worker w-7 on the 23rd, one of nobody on the 24th, of which the first are
/// refunded.
async fn two_days() -> World {
    let world = world_with(1_000_000).await;
    let first = world.use_messages("a", 2, r#","worker":"w-7","member":"ada""#).await;
    world.pass_seconds(12 * 3_600);
    world.use_messages("b", 1, "").await;
    let refund = format!("/v1/workspaces/acme/charges/{}/refund", first.id());
    assert_eq!(world.post(&refund, "r", r#"{"reason":"courtesy"}"#).await.status, 200);
    world
}

fn sums([runs, quantity, charged, refunded, net]: [i64; 5], usd: [&str; 3]) -> Value {
    json!({
        "runs": runs, "quantity": quantity, "charged": charged, "charged_usd": usd[0], "refunded": refunded,
        "refunded_usd": usd[1], "net": net, "net_usd": usd[2],
    })
}

fn with(mut keys: Value, sums: Value) -> Value {
    let (Value::Object(keys_of), Value::Object(sums)) = (&mut keys, sums) else { panic!("both are objects") };
    keys_of.extend(sums);
    keys
}

#[tokio::test]
async fn use_is_added_up_by_day_and_worker() {
    let world = two_days().await;
    let answer = world.get(&format!("{USAGE}?group_by=worker,day&from=2026-11-23&to=2026-11-25")).await;
    let expected = json!({
        "timezone": "UTC", "from": "2026-11-23T00:00:00.000Z", "to": "2026-11-25T00:00:00.000Z",
        "rebuilding": false,
        "rows": [
            with(json!({"day": "2026-11-23", "worker": "w-7"}), sums([1, 2, 1_000, 0, 1_000], ["0.01", "0.00", "0.01"])),
            with(json!({"day": "2026-11-24", "worker": null}), sums([1, 1, 500, 0, 500], ["0.005", "0.00", "0.005"])),
            with(json!({"day": "2026-11-24", "worker": "w-7"}), sums([0, 0, 0, 1_000, -1_000], ["0.00", "0.01", "-0.01"])),
        ],
        "total": sums([2, 3, 1_500, 1_000, 500], ["0.015", "0.01", "0.005"]),
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
    let csv = world.csv(&format!("{USAGE}?group_by=worker,day&from=2026-11-23&to=2026-11-25")).await;
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        [
            "day,worker,runs,quantity,charged,charged_usd,refunded,refunded_usd,net,net_usd",
            "2026-11-23,w-7,1,2,1000,0.01,0,0.00,1000,0.01",
            "2026-11-24,,1,1,500,0.005,0,0.00,500,0.005",
            "2026-11-24,w-7,0,0,0,0.00,1000,0.01,-1000,-0.01",
        ]
    );
}

#[tokio::test]
async fn use_without_keys_is_one_row_and_by_default_of_thirty_days() {
    let world = two_days().await;
    let answer = world.get(USAGE).await.json();
    let total = sums([2, 3, 1_500, 1_000, 500], ["0.015", "0.01", "0.005"]);
    assert_eq!(answer["rows"], json!([total]));
    assert_eq!(
        (&answer["from"], &answer["to"]),
        (&"2026-10-25T00:00:00.000Z".into(), &"2026-11-24T04:00:00.000Z".into())
    );
    let before = world.get(&format!("{USAGE}?to=2026-11-01&group_by=month")).await.json();
    assert_eq!((&before["rows"], &before["from"]), (&json!([]), &"2026-10-02T00:00:00.000Z".into()));
}

#[tokio::test]
async fn filters_hold_together_and_an_empty_text_means_without() {
    let world = two_days().await;
    let charged =
        async |filter: &str| world.get(&format!("{USAGE}?{filter}")).await.json()["total"]["charged"].clone();
    assert_eq!(charged("worker=w-7").await, 1_000);
    assert_eq!(charged("worker=").await, 500);
    assert_eq!(charged("member=ada&worker=").await, 0);
    assert_eq!(charged("member=ada&operation=support_message").await, 1_000);
    assert_eq!(charged("operation=virtual_try_on").await, 0);
    assert_eq!(charged("api_key=").await, 1_500, "the platform's key is none of the workspace");
    assert_eq!(charged("api_key=ak_01991234-5678-7abc-bfff-0123456789ab").await, 0);
}

#[tokio::test]
async fn hours_days_and_months_are_those_of_the_time_zone() {
    let world = two_days().await;
    let first = async |query: &str, key: &str| {
        world.get(&format!("{USAGE}?{query}")).await.json()["rows"][0][key].clone()
    };
    assert_eq!(first("group_by=hour", "hour").await, "2026-11-23T15:00:00+00:00");
    assert_eq!(first("group_by=hour&timezone=Asia/Tokyo", "hour").await, "2026-11-24T00:00:00+09:00");
    assert_eq!(first("group_by=day&timezone=Asia/Tokyo", "day").await, "2026-11-24");
    assert_eq!(first("group_by=month&timezone=Asia/Tokyo", "month").await, "2026-11");
    world.put("PATCH", "/v1/workspaces/acme", "", r#"{"timezone":"America/New_York"}"#).await;
    let answer = world.get(&format!("{USAGE}?group_by=day&from=2026-11-23&to=2026-11-24")).await.json();
    assert_eq!(answer["timezone"], "America/New_York");
    assert_eq!(answer["from"], "2026-11-23T05:00:00.000Z");
    assert_eq!(answer["total"]["runs"], 2, "in New York both are on one day");
}

#[tokio::test]
async fn texts_are_guarded_against_spreadsheets_unless_asked_otherwise() {
    let world = world_with(10_000).await;
    world.use_messages("a", 1, r#","worker":"-1:1","member":"@ada""#).await;
    let guarded = world.csv(&format!("{USAGE}?group_by=worker,member")).await;
    assert!(guarded.contains("\r\n'-1:1,'@ada,1,"), "{guarded}");
    let raw = world.csv(&format!("{USAGE}?group_by=worker,member&raw=true")).await;
    assert!(raw.contains("\r\n-1:1,@ada,1,"), "{raw}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let world = world_with(10_000).await;
    let refused = async |path: &str, parameter: &str| {
        let problem = world.get(path).await.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter, "{path}: {problem}");
    };
    for (query, parameter) in [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-11-02&to=2026-11-01", "to"),
        ("from=2026-11-01&to=2026-11-01", "to"),
        ("from=2010-01-01", "from"),
        ("timezone=Mars/Olympus", "timezone"),
        ("group_by=colour", "group_by"),
        ("group_by=day,month", "group_by"),
        ("group_by=day,day", "group_by"),
        ("group_by=worker,worker", "group_by"),
        ("group_by=worker,", "group_by"),
        ("operation=", "operation"),
        ("worker=a%20b", "worker"),
        ("member=..", "member"),
        ("api_key=secret", "api_key"),
        ("raw=1", "raw"),
        ("limit=5", "limit"),
    ] {
        refused(&format!("{USAGE}?{query}"), parameter).await;
    }
    for (query, parameter) in
        [("window_days=0", "window_days"), ("window_days=91", "window_days"), ("group_by=day", "group_by")]
    {
        refused(&format!("{BURN_RATE}?{query}"), parameter).await;
    }
    for path in ["/v1/workspaces/none/usage", "/v1/workspaces/none/burn-rate"] {
        world.get(path).await.problem(404, "workspace_not_found");
    }
}

#[tokio::test]
async fn days_that_begin_within_an_hour_are_read_from_the_journal() {
    let world = world_with(1_000_000).await;
    // Midnight in Kathmandu is 18:15 in UTC. It is 15:04.
    for (n, seconds) in [3 * 3_600 + 500, 200, 3_000].into_iter().enumerate() {
        world.pass_seconds(seconds);
        world.use_messages(&format!("k{n}"), 1, "").await;
    }
    let days = async |path: &str| {
        let answer = world.get(path).await.json();
        let rows = answer["rows"].as_array().expect("a table has rows").clone();
        let row = |row: &Value| format!("{} {}", row["day"].as_str().unwrap_or_default(), row["runs"]);
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let path = format!("{USAGE}?group_by=day&timezone=Asia/Kathmandu");
    assert_eq!(days(&path).await, ["2026-11-23 1", "2026-11-24 2"]);
    let from_the_day_on = format!("{path}&from=2026-11-24");
    assert_eq!(days(&from_the_day_on).await, ["2026-11-24 2"]);
    world.pass_seconds(-3_000);
    for day in 0..40 {
        world.pass_seconds(86_400);
        world.use_messages(&format!("d{day}"), 1, "").await;
    }
    let problem = world.get(&path.replace("Kathmandu", "Kathmandu&from=2026-11-01")).await;
    assert_eq!(problem.problem(422, "timezone_not_counted")["timezone"], "UTC");
    assert_eq!(days(&from_the_day_on.replace("11-24", "12-10")).await.len(), 25);
    let whole_hours = format!("{USAGE}?group_by=operation&timezone=Asia/Kathmandu&from=2026-11-01T00:00:00Z");
    let by_operation = world.get(&whole_hours);
    assert_eq!(by_operation.await.json()["total"]["runs"], 43, "whole hours need no days");
}

#[tokio::test]
async fn the_burn_rate_says_how_long_credit_lasts() {
    let world = world_with(100_000).await;
    let none = world.get(BURN_RATE).await.json();
    assert_eq!(
        none,
        json!({
            "timezone": "UTC", "days": 0, "available": 100_000, "available_usd": "1.00", "daily_average": 0,
            "daily_average_usd": "0.00", "monthly_average": 0, "monthly_average_usd": "0.00",
            "next_30_days": 0, "next_30_days_usd": "0.00",
            "runway_days": null, "depletes_on": null, "next_grant_on": null, "lasts_until_next_grant": null,
            "basis": "none", "reason": "no_recent_use",
        })
    );
    for day in 0..3 {
        world.use_messages(&format!("a{day}"), 10, r#","worker":"w-7""#).await;
        world.use_messages(&format!("b{day}"), 1, "").await;
        world.pass_seconds(86_400);
    }
    world.use_messages("today", 4, "").await;
    let rate = world.get(&format!("{BURN_RATE}?group_by=worker")).await.json();
    let row = |worker: Value, net: i64, net_usd: &str, daily: i64, daily_usd: &str, share: &str| {
        json!({
            "worker": worker, "net": net, "net_usd": net_usd, "daily_average": daily,
            "daily_average_usd": daily_usd, "share_percent": share,
        })
    };
    let expected = json!({
        "timezone": "UTC", "days": 3, "available": 81_500, "available_usd": "0.815", "daily_average": 5_500,
        "daily_average_usd": "0.055", "monthly_average": 165_000, "monthly_average_usd": "1.65",
        "next_30_days": 163_000, "next_30_days_usd": "1.63",
        // The rest of today is 3,500, and 78,000 last 14.2 days more.
        "runway_days": 15, "depletes_on": "2026-12-11", "next_grant_on": null, "lasts_until_next_grant": null,
        "basis": "average", "reason": null,
        "rows": [row(Value::Null, 1_500, "0.015", 500, "0.005", "9.09"),
                 row("w-7".into(), 15_000, "0.15", 5_000, "0.05", "90.91")],
    });
    assert_eq!(rate, expected);
    let yesterday = world.get(&format!("{BURN_RATE}?window_days=1")).await.json();
    assert_eq!((&yesterday["days"], &yesterday["daily_average"]), (&1.into(), &5_500.into()));
}

#[tokio::test]
async fn the_burn_rate_names_the_next_grant_of_the_subscription() {
    let world = world_with(100).await;
    let path = "/v1/workspaces/acme/subscription";
    let plan = world.get("/v1/plans").await.json()["plans"][0]["id"].as_str().expect("a sample").to_owned();
    let started = world.put("PUT", path, "", &format!(r#"{{"plan":"{plan}"}}"#)).await;
    assert!(started.status < 300, "{}", started.text);
    assert_eq!(world.get(BURN_RATE).await.json()["next_grant_on"], Value::Null, "it is not paid");
    assert_eq!(world.post(&format!("{path}/confirm"), "pay", "").await.status, 200);
    world.use_messages("a", 1, "").await;
    world.pass_seconds(86_400);
    let rate = world.get(BURN_RATE).await.json();
    assert_eq!(rate["next_grant_on"], "2026-12-23");
    assert_eq!((&rate["lasts_until_next_grant"], &rate["basis"]), (&true.into(), &"average".into()));
    let credit = rate["available"].as_i64().expect("an amount");
    world.use_messages("b", credit / 500 - 2, "").await;
    let rate = world.get(BURN_RATE).await.json();
    assert_eq!((&rate["runway_days"], &rate["lasts_until_next_grant"]), (&3.into(), &false.into()), "{rate}");
}
