//! What was used and how long credit lasts: the same from a directory, a database and a server, and
//! the same in JSON, as a table and as comma-separated values.

use serde_json::{Value, json};

use super::target::{Target, everywhere};
use crate::harness::zone_at;

fn charge(target: &Target, key: &str, more: &[&str]) {
    let create = ["charge", "create", "acme", "smart_pricing", "--key", key];
    target.json(&[&create[..], more].concat());
}

/// What the journal says was charged and refunded.
fn of_journal(target: &Target) -> [i64; 2] {
    let entries = target.json(&["entries", "acme", "--limit", "200"]);
    let amounts = |kind: &str| {
        let rows = entries["data"].as_array().expect("a list has rows");
        let rows = rows.iter().filter(|row| row["kind"] == kind);
        rows.filter_map(|row| row["amount"].as_i64()).sum()
    };
    [amounts("charge.opened"), amounts("charge.refunded")]
}

#[test]
fn use_is_shown_as_json_as_a_table_and_as_csv() {
    everywhere(|target| {
        target.json(&["workspace", "create", "acme", "--name", "Acme", "--timezone", "Asia/Tokyo"]);
        target.json(&["grant", "create", "acme", "--usd", "10", "--reason", "welcome"]);
        assert!(
            target.text(&["usage", "acme", "--by", "day"]).starts_with("timezone  Asia/Tokyo\nfrom      ")
        );
        charge(target, "a", &["--quantity", "7", "--worker=-w1", "--member", "ada"]);
        charge(target, "b", &["--quantity", "5"]);
        let failed = target.json(&["charge", "create", "acme", "virtual_try_on", "--await-outcome"]);
        let id = failed["id"].as_str().expect("the answer has an id");
        target.json(&["charge", "outcome", "acme", id, "failed", "--fault", "system"]);

        let by_worker = ["usage", "acme", "--by", "worker,operation"];
        let shown = target.json(&by_worker);
        let [charged, refunded] = of_journal(target);
        assert_eq!([charged, refunded], [32_000, 20_000]);
        let total = &shown["total"];
        assert_eq!((&total["charged"], &total["refunded"]), (&json!(charged), &json!(refunded)));
        assert_eq!((&total["net"], &total["net_usd"]), (&json!(12_000), &json!("0.12")));
        let rows = shown["rows"].as_array().expect("a table has rows");
        let of = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<Value>>();
        assert_eq!(of("worker"), [Value::Null, json!("-w1"), Value::Null]);
        assert_eq!(of("operation"), ["smart_pricing", "smart_pricing", "virtual_try_on"]);
        assert_eq!(of("net"), [5_000, 7_000, 0]);

        let csv = target.text(&[&by_worker[..], &["--csv"]].concat());
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[0],
            "operation,worker,runs,quantity,charged,charged_usd,refunded,refunded_usd,net,net_usd"
        );
        assert_eq!(lines[2], "smart_pricing,'-w1,1,7,7000,0.07,0,0.00,7000,0.07");
        assert_eq!(lines[3], "virtual_try_on,,1,1,20000,0.20,20000,0.20,0,0.00");
        let raw = target.text(&[&by_worker[..], &["--csv", "--raw"]].concat());
        assert!(raw.contains("smart_pricing,-w1,"), "{raw}");

        let table = target.text(&[&by_worker[..], &["--member", "ada"]].concat());
        let rows: Vec<&str> = table.lines().skip_while(|line| !line.is_empty()).skip(1).collect();
        assert_eq!(
            rows,
            [
                "OPERATION      WORKER  RUNS  QUANTITY           CHARGED      REFUNDED               NET",
                "smart_pricing  -w1        1         7  7,000 (0.07 USD)  0 (0.00 USD)  7,000 (0.07 USD)",
                "total          -          1         7  7,000 (0.07 USD)  0 (0.00 USD)  7,000 (0.07 USD)",
            ]
        );
        let without = target.json(&["usage", "acme", "--worker", "", "--operation", "smart_pricing"]);
        assert_eq!(without["total"]["net"], 5_000);
        let refused = target.refused(&["usage", "acme", "--by", "colour"], 2);
        assert!(refused.contains("group_by") && refused.contains("operation, worker, member"), "{refused}");
        assert!(target.refused(&["usage", "nobody"], 1).contains("workspace_not_found"));
    });
}

#[test]
fn what_changed_in_the_use_is_shown() {
    everywhere(|target| {
        target.json(&["workspace", "create", "acme", "--name", "Acme"]);
        target.json(&["grant", "create", "acme", "--usd", "10", "--reason", "welcome"]);
        charge(target, "a", &["--quantity", "7"]);
        let changes = ["usage", "acme", "--changes", "--by", "operation"];
        let shown = target.json(&changes);
        let parts = ["change", "by_quantity", "by_price", "by_refunds"].map(|name| &shown["total"][name]);
        assert_eq!(parts, [&json!(7_000), &json!(7_000), &json!(0), &json!(0)]);
        assert_eq!(shown["before"]["to"], shown["after"]["from"]);
        let text = target.text(&changes);
        assert!(text.starts_with("timezone     UTC\nbefore.from  "), "{text}");
        assert!(
            text.contains("  7,000 (0.07 USD)  7,000 (0.07 USD)  0 (0.00 USD)  0 (0.00 USD)\n"),
            "{text}"
        );
        let last_year = target.json(&["usage", "acme", "--changes", "--before-from", "2025-01-01"]);
        assert_eq!(last_year["before"]["from"], "2025-01-01T00:00:00.000Z");
        let csv = target.text(&[&changes[..], &["--csv"]].concat());
        assert!(csv.starts_with("operation,before_runs,"), "{csv}");
        assert!(target.refused(&["usage", "acme", "--changes", "--by", "day"], 2).contains("group_by"));
        let alone = target.refused(&["usage", "acme", "--before-from", "2025-01-01"], 2);
        assert!(alone.contains("--changes"), "{alone}");
    });
}

#[test]
fn the_burn_rate_is_shown() {
    everywhere(|target| {
        // No day ends during the test.
        let zone = zone_at(12);
        target.json(&["workspace", "create", "acme", "--name", "Acme", "--timezone", &zone]);
        target.json(&["grant", "create", "acme", "--usd", "10", "--reason", "welcome"]);
        charge(target, "a", &[]);
        let shown = target.json(&["burn-rate", "acme", "--by", "operation"]);
        assert_eq!((&shown["available"], &shown["reason"]), (&json!(999_000), &json!("no_recent_use")));
        assert_eq!((&shown["basis"], &shown["rows"]), (&json!("none"), &json!([])));
        let text = target.text(&["burn-rate", "acme", "--window-days", "7"]);
        assert!(
            text.starts_with(
                "available               999,000 (9.99 USD)\ndaily_average           0 (0.00 USD)\n"
            ),
            "{text}"
        );
        assert!(target.refused(&["burn-rate", "acme", "--by", "day"], 2).contains("group_by"));
    });
}
