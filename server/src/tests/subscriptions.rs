//! Subscriptions over HTTP: chosen by the workspace, paid as the platform says, granted once.

use futures_util::future::join_all;

use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::jobs::renewals::Renewals;

const PATH: &str = "/v1/workspaces/acme/subscription";

/// A world with a cheap and a dear plan, a free one and one by the year.
async fn world_with_plans() -> World {
    let world = world().await;
    set_plans(&world).await;
    world
}

pub(super) async fn set_plans(world: &World) {
    let plan = |id: &str, usd: &str, credits: i64, interval: &str| {
        format!(
            r#"{{"id":"{id}","name":"{id}","price_usd":"{usd}","credits":{credits},"interval":"{interval}"}}"#
        )
    };
    let plans = [
        plan("basic", "30.00", 3_000_000, "month"),
        plan("pro", "60.00", 7_000_000, "month"),
        plan("free", "0.00", 100_000, "month"),
        plan("year", "100.00", 1_000_000, "year"),
    ];
    let set = world.put("PUT", "/v1/plans", "", &format!(r#"{{"plans":[{}]}}"#, plans.join(","))).await;
    assert_eq!(set.status, 200, "{}", set.text);
}

impl World {
    async fn choose(&self, plan: &str) -> Reply {
        self.put("PUT", PATH, "", &format!(r#"{{"plan":"{plan}"}}"#)).await
    }

    async fn confirm(&self, key: &str, body: &str) -> Reply {
        self.post(&format!("{PATH}/confirm"), key, body).await
    }

    async fn preview(&self, plan: &str) -> Reply {
        self.post(&format!("{PATH}/preview"), "", &format!(r#"{{"plan":"{plan}"}}"#)).await
    }
}

#[tokio::test]
async fn the_job_grants_the_months_of_a_year_though_nobody_looks() {
    const DAYS: i64 = 24 * 3_600;
    let world = world_with_plans().await;
    world.choose("year").await;
    assert_eq!(world.confirm("one", "").await.status, 200);
    assert_eq!(world.balance().await, (1_000_000, 0));
    let mut due = DuePayments::default();
    due.poll(&world.app).await;
    assert_eq!(world.balance().await, (1_000_000, 0));
    world.pass_seconds(40 * DAYS);
    due.poll(&world.app).await;
    assert_eq!(world.balance().await, (2_000_000, 0));
    // Months of sleep are made up for at once, up to the end of what was paid.
    world.pass_seconds(600 * DAYS);
    due.poll(&world.app).await;
    assert_eq!(world.balance().await, (12_000_000, 0));
    assert_eq!(world.get(PATH).await.json()["status"], "past_due");
}

#[tokio::test]
async fn a_period_is_granted_once_it_is_confirmed() {
    let world = world_with_plans().await;
    world.get(PATH).await.problem(404, "subscription_not_found");
    world.confirm("none", "").await.problem(404, "subscription_not_found");
    let pending = world.choose("basic").await;
    let id = pending.id();
    let expected = format!(r#"{{"id":"{id}","workspace":"acme","plan":"basic","status":"pending","#)
        + r#""period":null,"next_plan":null,"change":null,"cancels_at":null,"#
        + r#""started_at":"2026-11-23T15:04:05.678Z","ended_at":null,"due_usd":"30.00","payment":{"provider":"manual","#
        + r#""instructions":"Contact the platform to pay. Credit is added after the payment was confirmed."}}"#;
    assert_eq!((pending.status, &pending.text), (200, &expected));
    assert!(id.starts_with("sub_"), "{id}");
    assert_eq!(world.choose("basic").await.text, expected);
    assert_eq!(world.balance().await, (0, 0));

    world.pass_seconds(60);
    world.confirm("", "").await.problem(400, "idempotency_key_required");
    let active = world.confirm("one", "").await;
    let expected = format!(r#"{{"id":"{id}","workspace":"acme","plan":"basic","status":"active","#)
        + r#""period":{"start":"2026-11-23T15:05:05.678Z","end":"2026-12-23T15:05:05.678Z"},"#
        + r#""next_plan":null,"change":null,"cancels_at":null,"started_at":"2026-11-23T15:04:05.678Z","#
        + r#""ended_at":null,"due_usd":"0.00","payment":{"provider":"manual"}}"#;
    assert_eq!((active.status, &active.text), (200, &expected));
    assert_eq!(active.header("idempotent-replayed"), None);
    let again = world.confirm("one", r#"{"change":false}"#).await;
    assert_eq!((again.status, &again.text), (200, &expected));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = world.confirm("one", r#"{"change":true}"#).await;
    assert_eq!(other.problem(422, "idempotency_key_reused")["field"], "change");
    world.confirm("two", "").await.problem(409, "nothing_due");
    world.confirm("two", r#"{"change":true}"#).await.problem(409, "nothing_due");
    assert_eq!(world.balance().await, (3_000_000, 0));

    let entries = world.get("/v1/workspaces/acme/entries").await.json();
    let shown = |index: usize, name: &str| entries["data"][index][name].clone();
    assert_eq!(
        [shown(0, "kind"), shown(1, "kind"), shown(2, "kind")],
        ["subscription.renewed", "grant.created", "subscription.started"]
    );
    let details = serde_json::json!({ "month": 0, "payment": "manual:one", "paid_usd": "30.00", "amount_usd": "30.00" });
    assert_eq!(shown(0, "details"), details);
    let grant = shown(0, "grant");
    let void = format!("/v1/workspaces/acme/grants/{}/void", grant.as_str().expect("it names its grant"));
    world.post(&void, "v", "{}").await.problem(409, "grant_was_paid");
}

#[tokio::test]
async fn a_late_confirmation_that_is_sent_again_pays_one_period() {
    let world = world_with_plans().await;
    world.choose("basic").await;
    world.confirm("one", "").await;
    // Two periods have begun since.
    world.pass_seconds(70 * 86_400);
    let late = world.confirm("late", "").await;
    assert_eq!(late.json()["status"], "active", "{}", late.text);
    assert_eq!(world.balance().await, (6_000_000, 0));
    let again = world.confirm("late", "").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["status"], "past_due", "{}", again.text);
    assert_eq!(again.json()["due_usd"], "30.00");
    assert_eq!(world.balance().await, (6_000_000, 0));
    world.confirm("last", "").await;
    assert_eq!(world.balance().await, (9_000_000, 0));
}

#[tokio::test]
async fn requests_that_race_leave_one_subscription_and_one_grant() {
    let world = world_with_plans().await;
    let plans = ["basic", "pro", "free"].iter().cycle().take(24);
    for reply in join_all(plans.map(|plan| world.choose(plan))).await {
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let entries = world.get("/v1/workspaces/acme/entries?limit=200").await.json();
    let rows = entries["data"].as_array().expect("a list has rows");
    let of_kind = |kind: &'static str| rows.iter().filter(move |row| row["kind"] == kind);
    let granted: Vec<_> = of_kind("grant.created").map(|row| row["amount"].clone()).collect();
    assert!(granted.iter().all(|amount| *amount == 100_000), "only the free plan grants: {granted:?}");
    assert!(granted.len() <= 1, "it grants once: {granted:?}");
    // The list begins with the newest.
    let started = of_kind("subscription.started").next().expect("one of them started");
    let running = world.get(PATH).await.json();
    assert_eq!(
        (&running["id"], &running["plan"]),
        (&started["details"]["subscription"], &started["details"]["plan"]),
        "the last that was started runs: {started}"
    );
    let world = world_with_plans().await;
    world.choose("basic").await;
    let keys: Vec<String> = (0..24).map(|key| format!("key {key}")).collect();
    let replies = join_all(keys.iter().map(|key| world.confirm(key, ""))).await;
    let paid = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(paid, 1, "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.problem(409, "nothing_due");
    }
    assert_eq!(world.balance().await, (3_000_000, 0));
    let entries = world.get("/v1/workspaces/acme/entries?limit=200").await.json();
    let rows = entries["data"].as_array().expect("a list has rows");
    let renewed: Vec<_> = rows.iter().filter(|row| row["kind"] == "subscription.renewed").collect();
    let granted = rows.iter().filter(|row| row["kind"] == "grant.created").count();
    assert_eq!((renewed.len(), granted), (1, 1), "the period is paid once: {entries}");
    let key = keys.iter().zip(&replies).find(|(_, reply)| reply.status == 200).map(|(key, _)| key);
    let payment = format!("manual:{}", key.expect("one was paid"));
    assert_eq!(renewed[0]["details"]["payment"], payment.as_str());
}

#[tokio::test]
async fn a_preview_says_what_a_plan_will_cost_and_bring() {
    let world = world_with_plans().await;
    let new = world.preview("basic").await;
    let expected = r#"{"due_now_usd":"30.00","credits_now":3000000,"credits_now_usd":"30.00","#.to_owned()
        + r#""credits_per_month":3000000,"credits_per_month_usd":"30.00","from":"2026-11-23T15:04:05.678Z"}"#;
    assert_eq!((new.status, new.text), (200, expected));
    world.choose("basic").await;
    world.confirm("one", "").await;
    // Ten of thirty days have passed.
    world.pass_seconds(10 * 86_400);
    let up = world.preview("pro").await.json();
    assert_eq!((&up["due_now_usd"], &up["credits_now"]), (&"20.00".into(), &2_666_666.into()), "{up}");
    assert_eq!(up["from"], "2026-12-03T15:04:05.678Z");
    assert_eq!(world.balance().await, (3_000_000, 0), "it moves nothing");
    let change = world.choose("pro").await.json()["change"].clone();
    assert_eq!((&change["due_usd"], &change["credits"]), (&up["due_now_usd"], &up["credits_now"]));
    assert_eq!(world.confirm("up", r#"{"change":true}"#).await.json()["plan"], "pro");
    assert_eq!(world.balance().await, (5_666_666, 0));
    let down = world.preview("basic").await.json();
    assert_eq!((&down["due_now_usd"], &down["credits_now"]), (&"0.00".into(), &0.into()), "{down}");
    assert_eq!(down["from"], "2026-12-23T15:04:05.678Z");
    assert_eq!(world.choose("basic").await.json()["next_plan"], "basic");
    world.preview("year").await.problem(409, "plan_interval_differs");
    world.preview("unknown").await.problem(404, "plan_not_found");
}

#[tokio::test]
async fn a_cancellation_can_be_taken_back_until_the_period_ends() {
    let world = world_with_plans().await;
    world.put("DELETE", PATH, "", "").await.problem(404, "subscription_not_found");
    world.choose("basic").await;
    world.confirm("one", "").await;
    let canceled = world.put("DELETE", PATH, "", "").await;
    assert_eq!(canceled.status, 200);
    let canceled = canceled.json();
    assert_eq!(
        (&canceled["status"], &canceled["cancels_at"]),
        (&"canceled".into(), &canceled["period"]["end"])
    );
    assert_eq!(world.choose("basic").await.json()["status"], "active");
    world.put("DELETE", PATH, "", "").await;
    world.pass_seconds(40 * 86_400);
    world.confirm("two", "").await.problem(409, "nothing_due");
    assert_eq!(world.get(PATH).await.json()["status"], "ended");
    assert_eq!(world.balance().await, (3_000_000, 0), "the credit stays");
    let free = world.choose("free").await.json();
    assert_eq!((&free["status"], &free["plan"]), (&"active".into(), &"free".into()));
    assert_eq!(world.balance().await, (3_100_000, 0), "a free plan grants at once");
}

#[tokio::test]
async fn periods_renew_by_themselves_if_the_settings_say_so() {
    let World { app, clock, _dir: dir } = world_with_plans().await;
    app.engine().close().await.expect("a healthy disk");
    drop(app);
    let mut renewing = settings();
    renewing.payments.plans_renew = true;
    let world = World { app: open(dir.path(), &renewing, &clock).into(), clock, _dir: dir };
    world.choose("basic").await;
    assert_eq!(world.balance().await, (0, 0), "the first period is confirmed");
    world.confirm("one", "").await;
    world.pass_seconds(100 * 86_400);
    // The period is that of a request, without any job.
    assert_eq!(world.choose("basic").await.json()["status"], "active");
    assert_eq!(world.balance().await, (12_000_000, 0));
    world.confirm("two", "").await.problem(409, "nothing_due");
}

#[tokio::test]
async fn what_is_past_due_is_renewed_once_the_settings_say_so_though_nobody_looks() {
    const DAYS: i64 = 24 * 3_600;
    let World { app, clock, _dir: dir } = world_with_plans().await;
    let world = World { app, clock, _dir: dir };
    world.choose("basic").await;
    world.confirm("one", "").await;
    world.pass_seconds(100 * DAYS);
    let mut renewals = Renewals::default();
    let mut due = DuePayments::default();
    due.poll(&world.app).await;
    renewals.poll(&world.app).await;
    assert_eq!(world.get(PATH).await.json()["status"], "past_due");
    assert_eq!(world.balance().await, (3_000_000, 0), "the setting does not say so");

    let World { app, clock, _dir: dir } = world;
    app.engine().close().await.expect("a healthy disk");
    drop(app);
    let mut renewing = settings();
    renewing.payments.plans_renew = true;
    let world = World { app: open(dir.path(), &renewing, &clock).into(), clock, _dir: dir };
    DuePayments::default().poll(&world.app).await;
    assert_eq!(world.balance().await, (3_000_000, 0), "no time brings it");
    let mut renewals = Renewals::default();
    for _ in 0..2 {
        renewals.poll(&world.app).await;
        assert_eq!(world.balance().await, (12_000_000, 0), "each period once");
    }
    world.confirm("two", "").await.problem(409, "nothing_due");
    // From now on the periods are due by time.
    world.pass_seconds(31 * DAYS);
    DuePayments::default().poll(&world.app).await;
    assert_eq!(world.balance().await, (15_000_000, 0));
}

#[tokio::test]
async fn wrong_plans_get_the_documented_answer_and_start_nothing() {
    let world = world_with_plans().await;
    for (body, status, code) in [
        (r#"{"plan":"unknown"}"#, 404, "plan_not_found"),
        (r#"{"plan":""}"#, 422, "invalid_field"),
        (r#"{"plan":"a b"}"#, 422, "invalid_field"),
        (r#"{"plan":7}"#, 422, "invalid_field"),
        (r#"{"plan":null}"#, 422, "invalid_field"),
        ("{}", 422, "invalid_field"),
        (r#"{"plan":"basic","price_usd":"0.00"}"#, 400, "unknown_field"),
        (r#"{"plan":"#, 400, "malformed_json"),
    ] {
        world.put("PUT", PATH, "", body).await.problem(status, code);
        world.post(&format!("{PATH}/preview"), "", body).await.problem(status, code);
    }
    world.get(PATH).await.problem(404, "subscription_not_found");
    world.choose("basic").await;
    world.confirm("k", r#"{"change":1}"#).await.problem(422, "invalid_field");
    world.confirm("k", r#"{"changes":true}"#).await.problem(400, "unknown_field");
    let unknown = "/v1/workspaces/unknown/subscription";
    world.get(unknown).await.problem(404, "workspace_not_found");
    world.put("PUT", unknown, "", r#"{"plan":"basic"}"#).await.problem(404, "workspace_not_found");
    assert_eq!(world.balance().await, (0, 0));
}
