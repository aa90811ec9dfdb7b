//! Personal data: the names and e-mail addresses of members can be erased. Afterwards they are in
//! no stored file or row, and the journal, audits, exports and imports stay whole.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::store;
use crate::harness::{TestServer, TestStore, printed, tollkeeper};

/// What is erased: names and addresses of two members, before and after a change.
const ERASED: [&str; 5] = [
    "Ada Erasable",
    "ada.erasable@example.com",
    "Augusta Erasable",
    "Ben Erasable",
    "ben.erasable@example.com",
];

/// Runs a command on a store; returns its JSON.
#[track_caller]
fn command(store: &TestStore, args: &[&str]) -> Value {
    let mut command = tollkeeper();
    command.args(args).arg("--json");
    store.add_to(&mut command);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Where the texts are still found: in the files of a directory, or in the rows of a database and
/// in a dump of it. Old versions of rows are removed by VACUUM and by the recycling of the WAL.
fn places_of(store: &TestStore, texts: &[&str]) -> Vec<String> {
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let rows_only = store.url().is_some();
    let is_row = |name: &str| !rows_only || name.starts_with("table ") || name == "a dump";
    let mut places = Vec::new();
    for (name, bytes) in store.contents().into_iter().filter(|(name, _)| is_row(name)) {
        for text in texts {
            let [plain, hex] = [(*text).to_owned(), hex(text)];
            let has = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            if has(&plain) || has(&hex) {
                places.push(format!("{text} in {name}"));
            }
        }
    }
    places
}

/// Adds an admin and two members who are to be erased; one changes the name, one leaves.
fn fill(server: &TestServer) {
    server.workspace("acme", 1_000_000);
    server.member("acme", "root", "admin");
    for (id, name) in [("ada", "Ada Erasable"), ("ben", "Ben Erasable")] {
        let email = format!("{id}.erasable@example.com");
        let body = json!({"id": id, "email": email, "name": name, "role": "member"});
        let added = server.send("POST", "/v1/workspaces/acme/members", body).expect(201);
        assert_eq!((&added.json["name"], &added.json["email"]), (&json!(name), &json!(email)));
    }
    let renamed = json!({"name": "Augusta Erasable"});
    for _ in 0..2 {
        let changed = server.send("PATCH", "/v1/workspaces/acme/members/ada", renamed.clone()).expect(200);
        assert_eq!(changed.json["name"], "Augusta Erasable");
        assert_eq!(changed.json["email"], "ada.erasable@example.com");
    }
    server.send("DELETE", "/v1/workspaces/acme/members/ben", Value::Null).expect(204);
    server.charge("acme", "paid", json!({"operation": "support_message", "member": "ada"})).expect(201);
}

/// Asserts what the API shows of the two members after they were erased.
fn assert_erased(server: &TestServer) {
    let ada = server.get("/v1/workspaces/acme/members/ada").expect(200).json;
    let shown = ["id", "name", "email", "role"].map(|field| ada[field].clone());
    assert_eq!(shown, [json!("ada"), Value::Null, Value::Null, json!("member")]);
    let root = server.get("/v1/workspaces/acme/members/root").expect(200).json;
    assert_eq!((&root["name"], &root["email"]), (&json!("root"), &json!("root@example.com")));
    let entries = server.all("/v1/workspaces/acme/entries");
    let of = |kind: &str, member: &str| {
        entries.iter().filter(|entry| entry["kind"] == kind && entry["member"] == member).count()
    };
    assert_eq!((of("member.erased", "ada"), of("member.erased", "ben")), (1, 1));
    let added = entries.iter().filter(|entry| entry["kind"] == "member.added");
    let names = added.map(|entry| entry["details"]["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names, [Value::Null, Value::Null, json!("root")], "newest first");
    let mut after: Vec<&Value> = entries.iter().collect();
    after.reverse();
    for pair in after.windows(2) {
        assert_eq!(pair[0]["hash"], pair[1]["previous_hash"], "the chain is whole");
    }
}

/// Exports a store and imports it into a new store of the same kind.
fn moved(from: &TestStore, own: &Path) -> TestStore {
    let file = own.join("export");
    let file = file.to_str().expect("the path is UTF-8");
    command(from, &["export", "--to", file]);
    let to = if from.url().is_some() { TestStore::database() } else { TestStore::directory() };
    command(&to, &["import", "--from", file]);
    let bytes = std::fs::read(file).expect("the export exists");
    for text in ERASED {
        let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found, "{text} is not in the export");
    }
    to
}

/// Audits a store; returns the numbers of texts and of erased ones.
fn audit(store: &TestStore) -> (Value, Value) {
    let report = command(store, &["audit"]);
    assert_eq!(report["ok"], true, "{report}");
    (report["personal_texts"].clone(), report["personal_texts_erased"].clone())
}

#[test]
fn erased_members_are_in_no_stored_place_and_the_ledger_stays_whole() {
    let Some(store) = store() else { return };
    let own = TempDir::new().expect("a temporary directory can be created");
    let mut server = store.start_server(store.command());
    fill(&server);
    assert!(places_of(&store, &ERASED).len() >= ERASED.len(), "the search finds them before");
    assert_eq!(audit(&store), (json!(7), json!(0)));

    for (id, status) in [("ada", 204), ("ada", 204), ("ben", 204), ("nobody", 404)] {
        let path = format!("/v1/workspaces/acme/members/{id}/personal-data");
        assert_eq!(server.send("DELETE", &path, Value::Null).status, status, "{id}");
    }
    assert_erased(&server);
    // The WAL is emptied soon after; a read beside it may be in its way for a moment.
    crate::harness::eventually("the texts are gone while the server runs", || {
        places_of(&store, &ERASED).is_empty().then_some(())
    });
    assert_eq!(audit(&store), (json!(2), json!(5)));
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(places_of(&store, &ERASED), Vec::<String>::new());

    let imported = moved(&store, own.path());
    assert_eq!(audit(&imported), (json!(2), json!(5)));
    let mut server = imported.start_server(imported.command());
    assert_erased(&server);
    assert_eq!(
        server.send("DELETE", "/v1/workspaces/acme/members/ben/personal-data", Value::Null).status,
        204,
        "what was erased before is known to be"
    );
    // An erased member may be described again.
    let again = json!({"name": "New Name", "email": "new@example.com"});
    let changed = server.send("PATCH", "/v1/workspaces/acme/members/ada", again).expect(200);
    assert_eq!(
        (&changed.json["name"], &changed.json["email"]),
        (&json!("New Name"), &json!("new@example.com"))
    );
    assert_eq!(server.stop().code(), Some(0));
    command(&imported, &["member", "erase", "acme", "ada"]);
    assert_eq!(audit(&imported), (json!(2), json!(7)));
}
