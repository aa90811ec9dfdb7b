//! Audit, backup and restore of a data directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tollkeeper_engine::transfer::StreamWriter;
use tollkeeper_engine::{digest, embedded};
use tollkeeper_ledger::{
    Account, Actor, ChargeDetails, ChargeId, EntryBody, Id, Micros, Operation, OperationId, PriceVersion,
    Profile, Spender, Timestamp, WorkspaceId,
};

use crate::harness::{TestServer, printed, run, tollkeeper};

fn audit(data: &Path, json: bool) -> (Option<i32>, String, String) {
    let mut command = tollkeeper();
    command.arg("audit").arg("--data").arg(data).args(json.then_some("--json"));
    let output = command.output().expect("the audit runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn an_audit_while_a_server_runs_reports_the_sums() {
    let server = TestServer::fresh();
    server.workspace("acme", 1_000_000);
    server.workspace("other", 50_000);
    let charge = server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201).id();
    server.outcome("acme", &charge, json!({"result": "failed", "fault": "system"})).expect(200);
    server.charge("other", "k", json!({"operation": "smart_pricing", "quantity": 3})).expect(201);
    let (code, text, stderr) = audit(&server.data, false);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(text.starts_with("audit        every number agrees with the journal\n"), "{text}");
    assert!(text.contains("\navailable    1,047,000 (10.47 USD)\n"), "{text}");
    let (code, json, _) = audit(&server.data, true);
    let json: Value = serde_json::from_str(&json).expect("the output is JSON");
    assert_eq!((code, &json["ok"], &json["workspaces"]), (Some(0), &json!(true), &json!(2)));
    assert_eq!(
        (&json["granted"], &json["charged"], &json["refunded"]),
        (&json!(1_050_000), &json!(23_000), &json!(20_000))
    );
    assert_eq!((&json["available"], &json["available_usd"]), (&json!(1_047_000), &json!("10.47")));
    assert_eq!(json["disagreement"], Value::Null);
    assert_eq!(json["rules"], Value::Null, "nobody asked for the rules");
    let data = server.data.to_str().expect("the path is UTF-8");
    let output = run(&["audit", "--rules", "--data", data]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).contains("\nfindings     0\n"), "{}", printed(&output));
}

/// A ledger whose numbers agree, with a charge of zero in a suspended workspace.
fn with_a_charge_against_the_rules(directory: &Path) {
    let now = Timestamp::from_millis(1_768_478_400_000);
    let operation = OperationId::new("message").expect("an allowed name");
    let price = Operation { id: operation.clone(), price: Micros::ZERO.into(), timeout_seconds: None };
    let prices = PriceVersion { version: 1, effective_at: now, operations: vec![price] };
    let acme = WorkspaceId::new("acme").expect("an allowed name");
    let blank = Account::new(acme.clone()).profile;
    let suspended = Profile { suspended: true, created_at: now, ..*blank };
    let charge = ChargeDetails {
        id: ChargeId(Id::v7(now.millis(), 0, 2)),
        spender: Spender { operation, worker: None, member: None, api_key: None },
        quantity: 1.into(),
        price: Micros::ZERO.into(),
        amount: Micros::ZERO,
        price_version: 1,
        reference: None,
        metadata: None,
        await_outcome: false,
        outcome_by_platform: false,
        timeout_seconds: None,
        deadline: None,
        draws: Vec::new().into(),
        windows: None,
    };
    let mut stream = StreamWriter::begin(Vec::new()).expect("memory can be written");
    let mut write = |id: WorkspaceId, bodies: Vec<EntryBody>| {
        let mut account = Account::new(id.clone());
        for body in bodies {
            let mut bytes = Vec::new();
            account.record(body, None, Actor::Platform, now).encode(&mut bytes);
            account.link(digest(&bytes));
            stream.entry(&id, &bytes).expect("memory can be written");
        }
    };
    write(WorkspaceId::platform(), vec![EntryBody::PricesSet(prices)]);
    let created = EntryBody::WorkspaceCreated(Box::new(suspended));
    write(acme, vec![created, EntryBody::ChargeOpened(Box::new(charge))]);
    let stream = stream.end().expect("memory can be written").0;
    embedded::import(directory, &stream[..]).expect("every number follows");
}

#[test]
fn an_audit_of_the_rules_has_an_exit_code_of_its_own() {
    let own = TempDir::new().expect("a temporary directory can be created");
    with_a_charge_against_the_rules(own.path());
    assert_eq!(audit(own.path(), false).0, Some(0), "every number agrees");
    let data = own.path().to_str().expect("the path is UTF-8");
    let output = run(&["audit", "--rules", "--data", data]);
    assert_eq!(output.status.code(), Some(4), "{}", printed(&output));
    let finding = "workspace acme, entry 2, the rules would refuse it: workspace_suspended";
    let shown = printed(&output);
    assert!(shown.contains("every number agrees with the journal"), "{shown}");
    assert!(shown.contains(&format!("findings     1\n  {finding}\n")), "{shown}");
    let output = run(&["audit", "--rules", "--json", "--data", data]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
    assert_eq!((output.status.code(), &json["ok"]), (Some(4), &json!(true)));
    assert_eq!((&json["rules"]["findings"], &json["rules"]["first"][0]["entry"]), (&json!(1), &json!(2)));
}

#[test]
fn an_audit_names_the_first_entry_that_disagrees_after_a_bit_flip() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data");
    let mut server = TestServer::on(&data);
    server.workspace("acme", 1_000_000);
    for n in 0..10 {
        let body =
            json!({"operation": "support_message", "reference": format!("reference-{n:04}-of-the-tests")});
        server.charge("acme", &n.to_string(), body).expect(201);
    }
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(audit(&data, false).0, Some(0));
    // Entry 1 sets the prices, entry 2 creates the workspace, entry 3 grants the credit. So charge
    // 4, counted from 0, is entry 8.
    let flipped = flip(&data, b"reference-0004-of-the-tests");
    assert!(flipped > 0, "the reference is in the journal");
    let (code, text, stderr) = audit(&data, false);
    assert_eq!(code, Some(1), "{text}{stderr}");
    assert!(text.contains("DISAGREES: journal entry 8 "), "{text}");
    assert!(stderr.contains("cause: journal entry 8 ") && stderr.contains("hint: "), "{stderr}");
    let (code, json, _) = audit(&data, true);
    let json: Value = serde_json::from_str(&json).expect("the output is JSON");
    assert_eq!((code, &json["ok"]), (Some(1), &json!(false)));
    assert_eq!(json["disagreement"]["kind"], "journal");
    assert!(json["disagreement"]["what"].as_str().is_some_and(|what| what.contains("entry 8")), "{json}");
    // A backup that fails its audit is not restored.
    let output = run(&[
        "restore",
        "--from",
        data.to_str().expect("the path is UTF-8"),
        "--to",
        own.path().join("new").to_str().expect("the path is UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
}

/// Flips a bit in the first byte of every occurrence of `text` in the files of a directory; returns
/// the number of occurrences.
fn flip(data: &Path, text: &[u8]) -> usize {
    let mut flipped = 0;
    for path in
        fs::read_dir(data).expect("a data directory").map(|file| file.expect("the file can be used").path())
    {
        let mut bytes = fs::read(&path).unwrap_or_default();
        let places: Vec<usize> =
            (0..bytes.len().saturating_sub(text.len())).filter(|at| bytes[*at..].starts_with(text)).collect();
        for place in &places {
            bytes[*place] ^= 1;
        }
        if !places.is_empty() {
            fs::write(&path, bytes).expect("the file can be used");
        }
        flipped += places.len();
    }
    flipped
}

#[test]
fn a_backup_of_a_build_before_the_first_release_is_refused_and_left_as_it_is() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let at = |name: &str| own.path().join(name).to_str().expect("the path is UTF-8").to_owned();
    let server = TestServer::fresh();
    server.workspace("acme", 1_000_000);
    let data = server.data.to_str().expect("the path is UTF-8");
    let output = run(&["backup", "--data", data, "--to", &at("backup")]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    // Bytes 60 to 63 of a SQLite file hold its user version.
    let file = Path::new(&at("backup")).join("journal.db");
    let mut bytes = fs::read(&file).expect("the backup reads");
    assert!(bytes[63] > 1, "no released program wrote version 1");
    bytes[63] = 1;
    fs::write(&file, &bytes).expect("the backup can be written");
    for args in [
        &["audit", "--data", &at("backup")][..],
        &["export", "--data", &at("backup"), "--to", &at("export")],
        &["backup", "--data", &at("backup"), "--to", &at("another")],
        &["restore", "--from", &at("backup"), "--to", &at("restored")],
        &["serve", "--data", &at("backup"), "--listen", "127.0.0.1:0"],
    ] {
        let output = run(args);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {text}");
        assert!(text.contains("before the first release") && text.contains("hint: "), "{args:?}: {text}");
    }
    assert!(fs::read(&file).expect("the backup reads") == bytes, "the backup is unchanged");
}

#[test]
fn a_backup_is_made_while_a_server_runs_and_restored() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let at = |name: &str| -> PathBuf { own.path().join(name) };
    let text = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
    let (backup, restored) = (at("backup"), at("restored"));
    let server = TestServer::fresh();
    server.workspace("acme", 1_000_000);
    let before = server.charge("acme", "before", json!({"operation": "virtual_try_on"})).expect(201);
    let charging = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        let (client, charging) = (server.client(), &charging);
        scope.spawn(move || {
            for n in 0.. {
                client.charge("acme", &format!("meanwhile-{n}"), json!({"operation": "support_message"}));
                if !charging.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        let output = run(&["backup", "--data", &text(&server.data), "--to", &text(&backup), "--json"]);
        charging.store(false, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let json: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
        assert!(json["entries"].as_i64().is_some_and(|entries| entries >= 4), "{json}");
    });
    let after = server.charge("acme", "after", json!({"operation": "virtual_try_on"})).expect(201).id();

    let output = run(&["restore", "--from", &text(&backup), "--to", &text(&restored)]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).starts_with("restored "), "{}", printed(&output));
    let copy = TestServer::on(&restored);
    let epoch = |server: &TestServer| server.get("/v1/journal/head").int("/epoch");
    assert_eq!((epoch(&server), epoch(&copy)), (1, 2), "a restored copy is another epoch");
    let again = copy.charge("acme", "before", json!({"operation": "virtual_try_on"})).expect(201);
    assert!(again.replayed() && again.text == before.text, "keys are part of the backup");
    copy.get(&format!("/v1/workspaces/acme/charges/{after}")).problem(404, "charge_not_found");
    let spent = 1_000_000 - copy.available("acme");
    let kept = copy.all("/v1/workspaces/acme/charges");
    let charged: i64 = kept.iter().filter_map(|charge| charge["amount"].as_i64()).sum();
    assert_eq!(spent, charged, "the copy agrees with itself");

    // A backup and a restore never overwrite.
    for args in [
        ["backup", "--data", &text(&server.data), "--to", &text(&backup)],
        ["restore", "--from", &text(&backup), "--to", &text(&restored)],
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    }
    assert_eq!(copy.available("acme"), 1_000_000 - spent);
}
