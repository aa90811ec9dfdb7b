//! Commands on a database: wrong addresses, passwords that are never shown, commands that databases
//! do not support.

use std::process::Output;

use serde_json::{Value, json};
use tollkeeper_testkit::postgres::{is_missing, shared};

use crate::harness::{TestStore, printed, run, tollkeeper};

/// A password that no output may contain.
const PASSWORD: &str = "hunter2-of-the-tests";

fn with_url(args: &[&str], url: &str) -> Output {
    tollkeeper().args(args).env("TOLLKEEPER_DATABASE_URL", url).output().expect("the binary runs")
}

#[test]
fn an_invalid_address_is_reported_without_its_password() {
    if is_missing() {
        return;
    }
    let port = shared().port();
    for (url, exit) in [
        (format!("mysql://ada:{PASSWORD}@127.0.0.1/x"), 2),
        (format!("postgres://ada:{PASSWORD}@127.0.0.1:port/x"), 2),
        (format!("postgres://ada:{PASSWORD}@127.0.0.1/x?password={PASSWORD}&nonsense=1"), 2),
        (format!("postgres://ada:{PASSWORD}@127.0.0.1:1/x"), 3),
        (format!("postgres://ada:{PASSWORD}@127.0.0.1:{port}/not_there"), 3),
        (format!("postgres://nobody:{PASSWORD}@127.0.0.1:1,127.0.0.1:{port}/postgres?connect_timeout=1"), 3),
    ] {
        for args in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["balance", "acme"],
            &["audit"],
            &["export", "--to", "/nonexistent/x"],
            &["migrate"],
            &["bench", "--engine", "postgres", "--charges", "1"],
        ] {
            // From the environment and from an option.
            let by_option = run(&[args, &["--database-url", &url]].concat());
            for output in [with_url(args, &url), by_option] {
                let text = printed(&output);
                assert_eq!(output.status.code(), Some(exit), "{args:?} {url}: {text}");
                assert!(text.contains("error: ") && output.stdout.is_empty(), "{args:?}: {text}");
                assert!(!text.contains(PASSWORD) && !text.contains("panicked"), "{args:?}: {text}");
            }
        }
    }
}

#[test]
fn a_served_database_shows_its_password_nowhere() {
    if is_missing() {
        return;
    }
    let store = TestStore::database();
    let url = store
        .url()
        .expect("the store is a database")
        .replace("tollkeeper@", &format!("tollkeeper:{PASSWORD}@"));
    let mut command = store.command();
    command.env("TOLLKEEPER_DATABASE_URL", &url).env("TOLLKEEPER_LOG_LEVEL", "debug");
    let mut server = store.server_with(command);
    server.workspace("acme", 1_000);
    server.get("/readyz").expect(200);
    let metrics = server.get("/metrics").expect(200).text;
    let has_metric = |name: &str| metrics.lines().any(|line| line == name);
    assert!(has_metric("tollkeeper_store_writable 1"), "{metrics}");
    let description = server.get("/openapi.json").expect(200).text;
    let help = printed(&with_url(&["serve", "--help"], &url));
    assert_eq!(server.stop().code(), Some(0));
    for shown in [metrics, description, help, server.stderr_text()] {
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[test]
fn an_unreachable_database_and_an_invalid_setting_have_a_hint() {
    // Only services of the system may listen on port 1.
    let output = with_url(&["audit"], "postgres://x@127.0.0.1:1/x");
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("hint: check that the database is running"), "{}", printed(&output));
    let mut command = tollkeeper();
    command.args(["balance", "acme"]).env("TOLLKEEPER_QUEUE", "many");
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(
        printed(&output).contains("hint: docs/OPERATING.md describes every setting"),
        "{}",
        printed(&output)
    );
}

#[test]
fn a_directory_and_a_database_exclude_each_other() {
    if is_missing() {
        return;
    }
    let url = shared().url("postgres");
    let mut command = tollkeeper();
    command.args(["balance", "acme"]).env("TOLLKEEPER_DATA", "x").env("TOLLKEEPER_DATABASE_URL", url);
    let output = command.output().expect("the binary runs");
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("TOLLKEEPER_DATA and TOLLKEEPER_DATABASE_URL exclude each other"), "{text}");
    let text = printed(&run(&["serve", "--data", "x", "--database-url", "postgres://h/x"]));
    assert!(text.contains("cannot be used with"), "{text}");
}

#[test]
fn a_database_is_backed_up_by_its_own_tools() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let url = database.url();
    for args in [
        &["backup", "--to", "x", "--database-url", &url][..],
        &["restore", "--from", "x", "--database-url", &url],
    ] {
        let text = printed(&run(args));
        assert!(text.contains("pg_dump") && text.contains("point-in-time recovery"), "{text}");
    }
    let output = with_url(&["backup", "--to", "x"], &url);
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(printed(&output).contains("pg_dump"), "{}", printed(&output));
}

#[test]
fn a_store_that_other_tools_restored_is_marked() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let url = database.url();
    let own = tempfile::TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data").display().to_string();
    for store in [["--database-url", &url], ["--data", &data]] {
        let made = run(&[&["workspace", "create", "acme", "--name", "Acme"], &store[..]].concat());
        assert_eq!(made.status.code(), Some(0), "{}", printed(&made));
        for epoch in [2, 3] {
            let output = run(&[&["mark-restored", "--json"], &store[..]].concat());
            assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
            let json: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
            assert_eq!(json["epoch"], json!(epoch), "{json}");
        }
        let audit = run(&[&["audit"], &store[..]].concat());
        assert_eq!(audit.status.code(), Some(0), "{}", printed(&audit));
    }
    let nowhere = own.path().join("nowhere").display().to_string();
    let output = run(&["mark-restored", "--data", &nowhere]);
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(!std::path::Path::new(&nowhere).exists(), "nothing is made");
}

#[test]
fn tables_are_migrated_and_not_distributed_without_citus() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let url = database.url();
    for _ in 0..2 {
        let output = run(&["migrate", "--database-url", &url, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let json: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
        assert_eq!(json, json!({"version": 17, "distributed": null}));
    }
    let output = run(&["migrate", "--database-url", &url]);
    assert!(printed(&output).ends_with(" have version 17\n"), "{}", printed(&output));
    let output = run(&["migrate", "--distribute", "--database-url", &url]);
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("the extension citus is not installed"), "{}", printed(&output));
    // A database of a newer version is refused.
    database.sql("INSERT INTO migration (version) VALUES (1000)");
    let output = run(&["balance", "acme", "--database-url", &url]);
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("version 1000"), "{}", printed(&output));
}

#[test]
fn a_benchmark_on_a_database_reports_its_options_and_its_baseline() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let url = database.url();
    let bench = |more: &[&str]| -> Value {
        let args = ["bench", "--json", "--engine", "postgres", "--database-url", &url, "--workspaces", "50"];
        let output = run(&[&args, more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    };
    let with_baseline = bench(&["--charges", "400", "--callers", "8", "--floor"]);
    assert_eq!((&with_baseline["engine"], &with_baseline["callers"]), (&json!("postgres"), &json!(8)));
    assert!(with_baseline["floor_per_second"].as_u64().is_some_and(|rate| rate > 0), "{with_baseline}");
    assert!(
        with_baseline["ratio"].is_number()
            && with_baseline["floor"].as_str().is_some_and(|name| name.contains("pgbench"))
    );
    assert_eq!(
        database.sql("SELECT to_regnamespace('tollkeeper_floor') IS NULL"),
        "t",
        "the schema of the baseline is dropped"
    );
    let paced = bench(&["--charges", "50", "--callers", "4", "--rate", "500", "--http"]);
    assert_eq!((&paced["rate"], &paced["http"]), (&json!(500), &json!(true)));
    assert!(paced["p99_ms"].is_number(), "{paced}");
    let whole = database.sql("SELECT sum(n) FROM account WHERE workspace LIKE 'bench-%'");
    assert_eq!(whole, (50 * 2 + 400 + 50).to_string(), "every charge was made once");

    let keyed = bench(&["--charges", "40", "--callers", "4", "--http", "--credential", "workspace"]);
    assert_eq!((&paced["credential"], &keyed["credential"]), (&json!("platform"), &json!("workspace")));
    let made = database.sql("SELECT sum(n) FROM account WHERE workspace LIKE 'bench-%'");
    assert!(
        made.parse::<i64>().is_ok_and(|made| made >= 50 * 2 + 400 + 50 + 50 + 40),
        "{made}: one key for each workspace"
    );

    let mut command = tollkeeper();
    command.args(["bench", "--engine", "postgres", "--database-url", &url, "--floor", "--charges", "1"]);
    if !std::path::Path::new("/usr/lib/postgresql").exists() {
        let output = command.env("PATH", "").output().expect("the binary runs");
        assert!(printed(&output).contains("the baseline needs pgbench"), "{}", printed(&output));
    }
}
