//! Spending limits over HTTP: set, shown, exceeded, given back by refunds, reset by a new day or
//! month in the time zone of the workspace.
//!
//! How a count resets at midnight needs a simulated clock; the simulator tests it.

use serde_json::{Value, json};

use super::{server, store};
use crate::harness::{TestClient, TestServer, assert_members, next_midnight, next_month, zone_at};

/// Creates a workspace in a time zone where it is noon, so that no day or month ends during a test.
fn workspace_at_noon(client: &TestClient, workspace: &str) {
    client.workspace(workspace, 10_000_000);
    set_timezone(client, workspace, &zone_at(12));
}

/// Changes the time zone of a workspace.
fn set_timezone(client: &TestClient, workspace: &str, zone: &str) {
    let path = format!("/v1/workspaces/{workspace}");
    assert_eq!(client.send("PATCH", &path, json!({"timezone": zone})).expect(200).json["timezone"], zone);
}

/// Checks a limit that allows two charges: a third is refused, except for another subject and after
/// a refund.
fn check(server: &TestServer, subject: &str, period: &str) {
    let workspace = format!("{subject}-{period}");
    let platform: &TestClient = server;
    workspace_at_noon(platform, &workspace);
    let (id, secret) = platform.api_key(&workspace, json!({"name": "k", "scopes": ["charge"]}));
    let with_key = TestClient::new(&server.url, &secret);
    let try_on = json!({"operation": "virtual_try_on"});
    let of = |name: &str, value: &str| json!({"operation": "virtual_try_on", name: value});
    let (id, paying, paid, other) = match subject {
        "workspace" => (Value::Null, platform, try_on, None),
        "member" => (json!("ada"), platform, of("member", "ada"), Some(of("member", "ben"))),
        "worker" => (json!("w-1"), platform, of("worker", "w-1"), Some(try_on)),
        "operation" => {
            (json!("virtual_try_on"), platform, try_on, Some(json!({"operation": "smart_pricing"})))
        }
        _ => (json!(id), &with_key, try_on.clone(), Some(try_on)),
    };
    let mut limit = json!({"subject": subject, "period": period, "amount_usd": "0.40"});
    if !id.is_null() {
        limit["id"] = id.clone();
    }
    let stands_at = |used: i64| {
        let limit = &platform.limits(&workspace)[0];
        assert_members(
            limit,
            "subject id period amount amount_usd used used_usd remaining remaining_usd resets_at",
        );
        assert_eq!(
            (&limit["subject"], &limit["id"], &limit["amount"]),
            (&json!(subject), &id, &json!(40_000))
        );
        assert_eq!(
            (&limit["used"], &limit["remaining"]),
            (&json!(used), &json!(40_000 - used)),
            "{workspace}"
        );
        limit.clone()
    };
    assert_eq!(platform.limit(&workspace, json!([limit]))[0], stands_at(0));
    let charge = |key: &str| paying.charge(&workspace, key, paid.clone());
    let first = charge("first").expect(201).id();
    stands_at(20_000);
    charge("second").expect(201);
    let refused = charge("third").problem(402, "limit_exceeded");
    assert_members(
        &refused.json,
        "type title status detail code retryable subject id period required required_usd limit limit_usd remaining remaining_usd resets_at",
    );
    if let Some(other) = other {
        platform.charge(&workspace, "other", other).expect(201);
    }
    // Refused charges and charges of another subject are not counted.
    let limit = stands_at(40_000);
    for field in ["subject", "id", "period", "remaining", "remaining_usd", "resets_at"] {
        assert_eq!(refused.json[field], limit[field], "{workspace}: {field}");
    }
    assert_eq!((refused.int("/limit"), &refused.json["limit_usd"]), (40_000, &json!("0.40")));

    // A refund makes room for another charge, also with a key that was refused before.
    platform.refund(&workspace, &first).expect(200);
    stands_at(20_000);
    charge("third").expect(201);
    charge("fourth").problem(402, "limit_exceeded");
    assert!(charge("second").expect(201).replayed(), "a repeated request is not refused");
    stands_at(40_000);
}

#[test]
fn a_limit_of_each_kind_counts_its_subject() {
    let Some(server) = server() else { return };
    for subject in ["workspace", "member", "worker", "operation", "api_key"] {
        for period in ["day", "month"] {
            check(&server, subject, period);
        }
    }
}

#[test]
fn a_system_failure_is_subtracted_from_a_limit_and_a_user_failure_is_not() {
    let Some(server) = server() else { return };
    workspace_at_noon(&server, "acme");
    server.limit("acme", json!([{"subject": "workspace", "period": "day", "amount": 60_000}]));
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true});
    let pending = |key| server.charge("acme", key, awaited.clone()).expect(201).id();
    let charges = [pending("1"), pending("2"), pending("3")];
    server.charge("acme", "4", awaited.clone()).problem(402, "limit_exceeded");
    let used = || server.limits("acme")[0]["used"].clone();
    server.outcome("acme", &charges[0], json!({"result": "failed", "fault": "user"})).expect(200);
    assert_eq!(used(), 60_000);
    server.outcome("acme", &charges[1], json!({"result": "failed", "fault": "system"})).expect(200);
    assert_eq!(used(), 40_000);
    server.outcome("acme", &charges[2], json!({"result": "succeeded"})).expect(200);
    assert_eq!(used(), 40_000);
    server.charge("acme", "4", awaited).expect(201);
}

#[test]
fn a_key_that_exceeds_its_rate_is_refused_with_the_time_to_wait() {
    let Some(store) = store() else { return };
    let mut command = store.command();
    command.env("TOLLKEEPER_WORKSPACE_KEY_REQUESTS_PER_SECOND", "1");
    let server = store.server_with(command);
    server.workspace("acme", 0);
    let (_, secret) = server.api_key("acme", json!({"name": "k", "scopes": ["read"]}));
    let client = TestClient::new(&server.url, &secret);
    let first = client.get("/v1/workspaces/acme").expect(200);
    assert_eq!(first.header("ratelimit-limit"), Some("10"));
    let refused = (0..100).map(|_| client.get("/v1/workspaces/acme")).find(|reply| reply.status == 429);
    let refused = refused.expect("a hundred requests exceed the rate").problem(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let seconds = refused.header("retry-after").and_then(|text| text.parse::<i64>().ok()).expect("seconds");
    assert!(seconds >= 1 && refused.json["retry_after_seconds"] == seconds, "{}", refused.text);
    // The platform key has its own rate.
    server.get("/v1/workspaces/acme").expect(200);
}

#[test]
fn the_tightest_limit_is_reported_and_a_limit_of_0_refuses_everything() {
    let Some(server) = server() else { return };
    workspace_at_noon(&server, "acme");
    server.limit(
        "acme",
        json!([
            {"subject": "workspace", "period": "month", "amount": 100_000},
            {"subject": "member", "id": "ada", "period": "day", "amount": 5_000},
            {"subject": "worker", "id": "banned", "period": "day", "amount": 0},
        ]),
    );
    let charge = |key: &str, operation: &str, member: &str, worker: &str| {
        server.charge("acme", key, json!({"operation": operation, "member": member, "worker": worker}))
    };
    let refused = charge("1", "virtual_try_on", "ada", "w").problem(402, "limit_exceeded");
    assert_eq!((&refused.json["subject"], refused.int("/remaining")), (&json!("member"), 5_000));
    let refused = charge("2", "virtual_try_on", "ada", "banned").problem(402, "limit_exceeded");
    assert_eq!((&refused.json["subject"], refused.int("/limit")), (&json!("worker"), 0));
    charge("3", "product_listing", "ada", "w").expect(201);
    for n in 0..4 {
        charge(&format!("ben {n}"), "virtual_try_on", "ben", "w").expect(201);
    }
    let refused = charge("4", "virtual_try_on", "ben", "w").problem(402, "limit_exceeded");
    assert_eq!((&refused.json["subject"], refused.int("/remaining")), (&json!("workspace"), 15_000));
    // A limit is checked before the balance, and each charge of a batch is decided on its own.
    let batch = json!({"charges": [
        {"workspace": "acme", "idempotency_key": "b1", "operation": "product_listing", "member": "ben"},
        {"workspace": "acme", "idempotency_key": "b2", "operation": "virtual_try_on", "quantity": 1_000_000},
        {"workspace": "acme", "idempotency_key": "b3", "operation": "product_listing", "member": "ben"},
        {"workspace": "acme", "idempotency_key": "b4", "operation": "product_listing", "member": "ben"},
        {"workspace": "acme", "idempotency_key": "b5", "operation": "product_listing", "member": "ben"},
    ]});
    let results = server.send("POST", "/v1/charges/batch", batch).expect(200).json["results"].clone();
    let statuses: Vec<_> =
        results.as_array().expect("the answer has results").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [201, 402, 201, 201, 402], "{results}");
    assert_eq!(results[1]["problem"]["code"], "limit_exceeded");
    assert_eq!(server.limits("acme")[0]["remaining"], 0);
}

#[test]
fn a_new_limit_counts_earlier_charges() {
    let Some(server) = server() else { return };
    workspace_at_noon(&server, "acme");
    let (id, secret) = server.api_key("acme", json!({"name": "k", "scopes": ["charge"]}));
    let body = json!({"operation": "virtual_try_on", "member": "ada", "worker": "w-1"});
    let with_key = TestClient::new(&server.url, &secret);
    let first = with_key.charge("acme", "1", body.clone()).expect(201).id();
    with_key.charge("acme", "2", body.clone()).expect(201);
    server.charge("acme", "3", body).expect(201);
    server.refund("acme", &first).expect(200);
    let line =
        |subject: &str, id: &str| json!({"subject": subject, "id": id, "period": "month", "amount": 90_000});
    let lines = [
        json!({"subject": "workspace", "period": "day", "amount": 90_000}),
        line("member", "ada"),
        line("worker", "w-1"),
        line("operation", "virtual_try_on"),
        line("api_key", &id),
        line("member", "ben"),
    ];
    let used = |limits: Value| -> Vec<i64> {
        limits
            .as_array()
            .expect("the answer has limits")
            .iter()
            .filter_map(|limit| limit["used"].as_i64())
            .collect()
    };
    assert_eq!(used(server.limit("acme", json!(lines))), [40_000, 40_000, 40_000, 40_000, 20_000, 0]);
    // The count is the same in another order, and after a time without limits.
    server.limit("acme", json!([]));
    with_key.charge("acme", "4", json!({"operation": "smart_pricing"})).expect(201);
    let lines = json!([lines[4], lines[5], lines[0], lines[3]]);
    assert_eq!(used(server.limit("acme", lines)), [21_000, 0, 41_000, 40_000]);
}

#[test]
fn limits_reset_in_the_time_zone_of_the_workspace() {
    let Some(server) = server() else { return };
    server.workspace("acme", 10_000);
    let lines = json!([
        {"subject": "workspace", "period": "day", "amount": 5_000},
        {"subject": "workspace", "period": "month", "amount": 100_000},
    ]);
    server.limit("acme", lines);
    for zone in [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "America/Havana",
        "Africa/Cairo",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
    ] {
        let before = [next_midnight(zone), next_month(zone)];
        set_timezone(&server, "acme", zone);
        let limits = server.limits("acme");
        let after = [next_midnight(zone), next_month(zone)];
        for (index, resets_at) in [&limits[0]["resets_at"], &limits[1]["resets_at"]].into_iter().enumerate() {
            let expected = [&before[index], &after[index]];
            assert!(expected.iter().any(|time| resets_at == *time), "{zone}: {resets_at}, not {expected:?}");
        }
    }
}

#[test]
fn another_time_zone_keeps_the_use_of_today() {
    let Some(server) = server() else { return };
    workspace_at_noon(&server, "acme");
    server.limit(
        "acme",
        json!([
            {"subject": "workspace", "period": "day", "amount": 40_000},
            {"subject": "member", "id": "ada", "period": "month", "amount": 25_000},
        ]),
    );
    let charge =
        |key: &str| server.charge("acme", key, json!({"operation": "virtual_try_on", "member": "ada"}));
    charge("1").expect(201);
    // In each of these hours, it is the same day an hour earlier and an hour later.
    for hour in [8, 16, 12] {
        let zone = zone_at(hour);
        set_timezone(&server, "acme", &zone);
        let limits = server.limits("acme");
        assert_eq!((&limits[0]["used"], &limits[1]["used"]), (&json!(20_000), &json!(20_000)), "{zone}");
        assert_eq!(limits[0]["resets_at"], next_midnight(&zone));
        assert_eq!(limits[1]["resets_at"], next_month(&zone));
        let refused = charge("2").problem(402, "limit_exceeded");
        assert_eq!((refused.int("/remaining"), &refused.json["resets_at"]), (5_000, &limits[1]["resets_at"]));
    }
    let entries = server.all("/v1/workspaces/acme/entries");
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds[..4], ["limits.set", "workspace.updated", "limits.set", "workspace.updated"]);
    // A time zone that does not exist changes nothing.
    let wrong = server.send("PATCH", "/v1/workspaces/acme", json!({"timezone": "Mars/Olympus"}));
    assert_eq!(wrong.problem(422, "invalid_field").json["field"], "timezone");
    assert_eq!(server.all("/v1/workspaces/acme/entries"), entries);
}

#[test]
fn invalid_limits_are_refused_by_field_and_change_nothing() {
    let Some(server) = server() else { return };
    workspace_at_noon(&server, "acme");
    let kept = server.limit("acme", json!([{"subject": "workspace", "period": "day", "amount": 1}]));
    let line = |field: &str, value: Value| {
        let mut line = json!({"subject": "member", "id": "ada", "period": "day", "amount": 1});
        line[field] = value;
        line
    };
    for (line, field) in [
        (line("subject", json!("team")), "limits[0].subject"),
        (line("subject", json!("workspace")), "limits[0].id"),
        (line("subject", json!("api_key")), "limits[0].id"),
        (line("id", json!("no blanks")), "limits[0].id"),
        (line("id", json!(7)), "limits[0].id"),
        (json!({"subject": "member", "period": "day", "amount": 1}), "limits[0].id"),
        (line("period", json!("week")), "limits[0].period"),
        (line("amount", json!(-1)), "limits[0].amount"),
        (line("amount", json!(1.5)), "limits[0].amount"),
        (line("amount", json!(9_007_199_254_740_992_i64)), "limits[0].amount"),
        (line("amount_usd", json!("1.00")), "limits[0].amount_usd"),
        (json!({"subject": "workspace", "period": "day"}), "limits[0].amount"),
    ] {
        let refused = server.send("PUT", "/v1/workspaces/acme/limits", json!({"limits": [line]}));
        assert_eq!(refused.problem(422, "invalid_field").json["field"], field, "{line}");
    }
    let many: Vec<_> = (0..201).map(|n| line("id", json!(format!("m{n}")))).collect();
    let twice = [line("amount", json!(1)), line("amount", json!(2))];
    for limits in [json!(many), json!(twice), json!({}), json!(null)] {
        let refused = server.send("PUT", "/v1/workspaces/acme/limits", json!({"limits": limits}));
        assert_eq!(refused.problem(422, "invalid_field").json["field"], "limits", "{limits}");
    }
    let unknown = json!({"limits": [line("cap", json!(1))]});
    server.send("PUT", "/v1/workspaces/acme/limits", unknown).problem(400, "unknown_field");
    server
        .send("PUT", "/v1/workspaces/nobody/limits", json!({"limits": []}))
        .problem(404, "workspace_not_found");
    assert_eq!(server.limits("acme"), kept);
}
