//! Export and import: a ledger that moves between a directory, a file and a database stays the
//! same.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tollkeeper_testkit::postgres::{is_missing, shared};

use crate::harness::{TestServer, TestStore, printed, run, tollkeeper};

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

#[track_caller]
fn ran(output: &Output, exit: i32) -> Value {
    assert_eq!(output.status.code(), Some(exit), "{}", printed(output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Audits a store, which must pass; returns the JSON of the audit.
#[track_caller]
fn audit(place: &[&str]) -> Value {
    ran(&run(&[&["audit", "--json"], place].concat()), 0)
}

/// Fills a ledger with a settled charge, a pending charge and new prices; returns id and answer of
/// the charges.
fn filled(server: &TestServer) -> [(String, String); 2] {
    server.workspace("acme", 1_000_000);
    server.workspace("other", 50_000);
    let prices = json!({"operations": [{"id": "virtual_try_on", "unit_price": 30_000}]});
    server.send("PUT", "/v1/price-book", prices).expect(200);
    let paid = server.charge("acme", "paid", json!({"operation": "virtual_try_on"})).expect(201);
    let awaited = json!({"operation": "virtual_try_on", "await_outcome": true, "timeout_seconds": 600});
    let pending = server.charge("acme", "pending", awaited).expect(201);
    [(paid.id(), paid.text), (pending.id(), pending.text)]
}

/// Asserts that the charges are found by key and by id, and that the pending one can be refunded.
fn assert_usable(server: &TestServer, [paid, pending]: &[(String, String); 2]) {
    let again = server.charge("acme", "paid", json!({"operation": "virtual_try_on"})).expect(201);
    assert!(again.replayed() && again.text == paid.1, "{}", again.text);
    assert_eq!(server.charge_now("acme", &paid.0).json["status"], "settled");
    let deadline = server.charge_now("acme", &pending.0).json["deadline"].clone();
    assert_eq!(serde_json::from_str::<Value>(&pending.1).expect("the output is JSON")["deadline"], deadline);
    assert_eq!(server.available("acme"), 940_000);
    server.outcome("acme", &pending.0, json!({"result": "failed", "fault": "system"})).expect(200);
    assert_eq!(server.available("acme"), 970_000);
    let grant =
        server.all("/v1/workspaces/acme/grants")[0]["id"].as_str().expect("the answer has an id").to_owned();
    let voided =
        server.post(&format!("/v1/workspaces/acme/grants/{grant}/void"), "void", json!({"reason": "r"}));
    assert_eq!(voided.expect(200).json["remaining"], 0);
}

#[test]
fn a_ledger_moves_from_a_directory_to_a_database_and_back() {
    if is_missing() {
        return;
    }
    let own = TempDir::new().expect("a temporary directory can be created");
    let (data, file, back) =
        (own.path().join("data"), own.path().join("ledger.export"), own.path().join("back"));
    let mut server = TestServer::on(&data);
    let charges = filled(&server);
    // An export while a server runs is complete.
    let exported = ran(&run(&["export", "--data", text(&data), "--to", text(&file), "--json"]), 0);
    assert_eq!(server.stop().code(), Some(0));
    let before = audit(&["--data", text(&data)]);
    assert_eq!((&exported["entries"], &exported["journals"]), (&before["entries"], &json!(3)));

    let database = TestStore::database();
    let url = database.url().expect("the store is a database");
    let import = || run(&["import", "--database-url", &url, "--from", text(&file), "--json"]);
    assert_eq!(ran(&import(), 0)["written"], before["entries"]);
    assert_eq!(ran(&import(), 0)["written"], 0, "an import can be repeated");
    assert_eq!(audit(&["--database-url", &url]), before);
    let server = database.start_server(database.command());
    assert_usable(&server, &charges);
    drop(server);

    // Back to a directory, through a pipe.
    let mut export = tollkeeper();
    export.args(["export", "--database-url", &url]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut export = export.spawn().expect("the binary runs");
    let stream = export.stdout.take().expect("its output is piped");
    let imported = tollkeeper().args(["import", "--data", text(&back)]).stdin(stream).output();
    let imported = imported.expect("the binary runs");
    ran(&imported, 0);
    assert!(printed(&imported).starts_with("imported "), "{}", printed(&imported));
    let output = export.wait_with_output().expect("the process ends");
    assert!(printed(&output).starts_with("exported "), "{}", printed(&output));
    assert_eq!(audit(&["--data", text(&back)]), audit(&["--database-url", &url]));
    let server = TestServer::on(&back);
    assert_eq!(server.available("acme"), 0);
    let again = server.charge("acme", "paid", json!({"operation": "virtual_try_on"})).expect(201);
    assert_eq!(again.text, charges[0].1);
    assert_eq!(server.charge_now("acme", &charges[1].0).json["status"], "refunded");
}

#[test]
fn a_damaged_export_is_refused_with_its_position_and_a_repeat_completes_the_import() {
    if is_missing() {
        return;
    }
    let own = TempDir::new().expect("a temporary directory can be created");
    let at = |name: &str| own.path().join(name);
    let mut server = TestServer::on(&at("data"));
    filled(&server);
    assert_eq!(server.stop().code(), Some(0));
    let (data, file, new) = (at("data"), at("ledger.export"), at("new"));
    ran(&run(&["export", "--data", text(&data), "--to", text(&file)]), 0);
    let whole = fs::read(&file).expect("the export");
    let import = |bytes: &[u8]| {
        fs::write(at("damaged"), bytes).expect("the file can be used");
        run(&["import", "--data", text(&new), "--from", text(&at("damaged")), "--json"])
    };
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (bytes, expected) in [
        (&whole[..whole.len() / 2], "cut off at byte"),
        (&flipped[..], "is damaged"),
        (b"not a ledger at all, but long enough", "not an exported ledger"),
        (b"", "cut off at byte 0"),
    ] {
        let output = import(bytes);
        ran(&output, 1);
        assert!(
            printed(&output).contains(expected) && printed(&output).contains("hint: "),
            "{}",
            printed(&output)
        );
    }
    assert!(ran(&import(&whole), 0)["written"].as_u64().is_some_and(|written| written > 0));
    ran(&import(&whole[..whole.len() - 1]), 1);
    assert_eq!(audit(&["--data", text(&new)]), audit(&["--data", text(&data)]));

    // An import into a store with another ledger is refused.
    let mut other = TestServer::on(&at("other"));
    other.workspace("acme", 5);
    assert_eq!(other.stop().code(), Some(0));
    let output = run(&["import", "--data", text(&at("other")), "--from", text(&file)]);
    ran(&output, 1);
    assert!(printed(&output).contains("another ledger is here"), "{}", printed(&output));
    let database = shared().database();
    ran(&run(&["workspace", "create", "acme", "--name", "A", "--database-url", &database.url()]), 0);
    let output = run(&["import", "--database-url", &database.url(), "--from", text(&file)]);
    ran(&output, 1);
    assert!(printed(&output).contains("another ledger is here"), "{}", printed(&output));
}

#[test]
fn an_export_overwrites_nothing_and_leaves_no_partial_file() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let (data, file) = (own.path().join("data"), own.path().join("ledger.export"));
    ran(&run(&["workspace", "create", "acme", "--name", "A", "--data", text(&data)]), 0);
    fs::write(&file, "mine").expect("the file can be used");
    let output = run(&["export", "--data", text(&data), "--to", text(&file)]);
    ran(&output, 3);
    assert!(printed(&output).contains("exists already"), "{}", printed(&output));
    assert_eq!(fs::read(&file).expect("the file can be used"), b"mine");
    let output =
        run(&["export", "--data", text(&own.path().join("none")), "--to", text(&own.path().join("x"))]);
    ran(&output, 3);
    let mut left: Vec<_> =
        fs::read_dir(own.path()).expect("a directory").flatten().map(|f| f.file_name()).collect();
    left.sort();
    assert_eq!(left, ["data", "ledger.export"]);
}
