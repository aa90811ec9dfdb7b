//! The report of a month over HTTP: as JSON, as CSV, and which months can be asked for.

use serde_json::json;

use super::*;

/// 2026-12-01T00:00:00Z, a week after the tests begin.
const DECEMBER: i64 = 1_796_083_200_000;

/// A top-up of 25 dollars, of which 20,000 micro-units are used, and a gift that is used up.
async fn world_in_november() -> World {
    let world = world_with(500).await;
    let top_ups = "/v1/workspaces/acme/top-ups";
    let opened = world.post(top_ups, "pay", r#"{"amount_usd":"25"}"#).await;
    let paid = world.post(&format!("{top_ups}/{}/confirm", opened.id()), "", "").await;
    assert_eq!(paid.status, 200, "{}", paid.text);
    for (key, body) in [
        ("one", r#"{"operation":"support_message","quantity":1}"#),
        ("two", r#"{"operation":"virtual_try_on","quantity":1}"#),
    ] {
        assert_eq!(world.charge(key, body).await.status, 201);
    }
    world
}

#[tokio::test]
async fn a_month_shows_what_was_sold_and_earned_and_stays() {
    let world = world_in_november().await;
    let open = world.get("/v1/report").await;
    assert_eq!((open.status, open.json()["is_final"].clone()), (200, false.into()), "{}", open.text);
    world.clock.store(DECEMBER + 10_000, Ordering::Relaxed);
    let november = world.get("/v1/report?month=2026-11").await;
    let report = november.json();
    assert_eq!((&report["month"], &report["is_final"]), (&"2026-11".into(), &true.into()));
    let line = |source: &str, provider: &str, [sold, recognised, deferred]: [&str; 3]| {
        json!({
            "source": source, "provider": provider, "opening_deferred_usd": "0.00", "sold_usd": sold, "tax_usd": "0.00",
            "refunded_usd": "0.00", "disputed_usd": "0.00", "lost_usd": "0.00", "recognised_usd": recognised,
            "closing_deferred_usd": deferred, "opening_not_granted_usd": "0.00", "closing_not_granted_usd": "0.00",
        })
    };
    let gift = line("promotional", "platform", ["0.00"; 3]);
    let top_up = line("top_up", "manual", ["25.00", "0.20", "24.80"]);
    assert_eq!(report["revenue"], json!([gift, top_up]));
    let line = |source: &str, provider: &str, [granted, consumed, free]: [i64; 3]| {
        json!({
            "source": source, "provider": provider, "opening": 0, "granted": granted, "consumed": consumed,
            "consumed_free": free, "taken": 0, "closing": granted - consumed, "closing_pending": 0,
        })
    };
    let gift = line("promotional", "platform", [500; 3]);
    assert_eq!(report["credit"], json!([gift, line("top_up", "manual", [2_500_000, 20_000, 0])]));
    world.charge("three", r#"{"operation":"virtual_try_on","quantity":1}"#).await;
    assert_eq!(world.get("/v1/report?month=2026-11").await.text, november.text, "a month that is over stays");
    let december = world.get("/v1/report?month=2026-12").await.json();
    assert_eq!(december["revenue_total"]["opening_deferred_usd"], "24.80");
    assert_eq!(december["revenue_total"]["recognised_usd"], "0.20");
    let aged = json!({
        "bought": "2026-11", "last_used": "2026-12", "grants": 1, "remaining": 2_460_000, "deferred_usd": "24.60",
    });
    assert_eq!(december["ageing"], json!([aged]));
}

#[tokio::test]
async fn a_report_is_also_a_table() {
    let world = world_in_november().await;
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("accept", "text/csv, */*;q=0.1")];
    let reply = world.ask("GET", "/v1/report?month=2026-11", &headers, Body::empty()).await;
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let rows: Vec<&str> = reply.text.lines().collect();
    assert_eq!(rows[0], "month,section,name,detail,item,value,unit");
    assert!(rows.iter().all(|row| row.split(',').count() == 7), "{}", reply.text);
    for row in [
        "2026-11,revenue,top_up,manual,recognised,0.20,USD",
        "2026-11,revenue_total,,,closing_deferred,24.80,USD",
        "2026-11,credit,promotional,platform,consumed_free,500,micro-units",
        "2026-11,trial_balance,funding,,closing,-2500500,micro-units",
        "2026-11,ageing,2026-11,2026-11,grants,1,grants",
    ] {
        assert!(rows.contains(&row), "{row} is not in {}", reply.text);
    }
}

#[tokio::test]
async fn only_a_month_that_has_begun_has_a_report() {
    let world = world().await;
    for month in ["2026-12", "2026-13", "november", "2026-11-01", ""] {
        let refused = world.get(&format!("/v1/report?month={month}")).await;
        assert_eq!(refused.problem(400, "invalid_parameter")["parameter"], "month", "{month}");
    }
    let empty = world.get("/v1/report?month=1999-01").await.json();
    assert_eq!((&empty["workspaces"], empty["revenue"].to_string()), (&0.into(), "[]".to_owned()));
}
