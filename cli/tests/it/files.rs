//! The files of a data directory: their rights, and what becomes of a server whose files are moved,
//! removed or replaced.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{KEY, TestServer, cleaned, eventually, printed, run};

const MISSING: &str = "is not the file that this process has open";

fn temporary() -> TempDir {
    TempDir::new().expect("a temporary directory can be created")
}

/// A command that runs the binary without a umask.
fn without_umask(args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tollkeeper")]).args(args);
    cleaned(command)
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("the file is there").permissions().mode() & 0o777
}

/// Checks the rights of a directory and of all files in it; returns their names.
fn assert_private(directory: &Path) -> Vec<String> {
    assert_eq!(mode(directory), 0o700, "{}", directory.display());
    let listed = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = listed
        .map(|file| {
            let path = file.expect("the file can be used").path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            path.file_name().expect("a file has a name").to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}

#[track_caller]
fn done(output: &Output) {
    assert!(output.status.success(), "{}", printed(output));
}

/// Starts a second server, which must be refused; returns its output.
#[track_caller]
fn refuses_to_serve(data: &Path) -> String {
    let output = TestServer::command(data).output().expect("the binary runs");
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    text
}

#[test]
fn files_are_for_their_owner_alone_with_any_umask() {
    let own = temporary();
    let at = |name: &str| own.path().join(name);
    let text = |name: &str| at(name).to_str().expect("the path is UTF-8").to_owned();
    let data = at("data");
    let mut command = without_umask(&["serve", "--data", &text("data"), "--listen", "127.0.0.1:0"]);
    command.env("TOLLKEEPER_PLATFORM_KEY", KEY);
    let mut server = TestServer::spawned(command, &data);
    server.workspace("acme", 1_000_000);
    let names = assert_private(&data);
    let expected = [
        "journal.db",
        "journal.db-shm",
        "journal.db-wal",
        "lock",
        "state.db",
        "state.db-shm",
        "state.db-wal",
    ];
    assert_eq!(names, expected);
    // An interrupted export has left its part, which others may read.
    fs::write(at("export.part"), "the half of a ledger").expect("the file can be written");
    fs::set_permissions(at("export.part"), fs::Permissions::from_mode(0o644)).expect("a file of our own");
    for args in [
        &["backup", "--data", &text("data"), "--to", &text("backup")],
        &["restore", "--from", &text("backup"), "--to", &text("restored")],
        &["export", "--data", &text("data"), "--to", &text("export")],
        &["import", "--data", &text("imported"), "--from", &text("export")],
    ] {
        done(&without_umask(args).output().expect("the binary runs"));
    }
    for directory in ["backup", "restored", "imported"] {
        assert!(assert_private(&at(directory)).contains(&"journal.db".to_owned()));
    }
    assert_eq!(mode(&at("export")), 0o600);
    // A state file that is replaced keeps its rights, and the new one has them too.
    assert_eq!(server.stop().code(), Some(0));
    fs::write(data.join("state.db"), "damaged").expect("the file can be written");
    let mut command = without_umask(&["serve", "--data", &text("data"), "--listen", "127.0.0.1:0"]);
    command.env("TOLLKEEPER_PLATFORM_KEY", KEY);
    let server = TestServer::spawned(command, &data);
    assert!(assert_private(&data).contains(&"state.db.damaged".to_owned()));
    assert_eq!(server.available("acme"), 1_000_000);
    assert!(!server.stderr_text().contains("is open to other users"));
}

#[test]
fn a_directory_that_others_can_read_is_named_and_left_as_it_is() {
    let own = temporary();
    let data = own.path().join("data");
    fs::DirBuilder::new().mode(0o755).create(&data).expect("a temporary directory takes another");
    let mut server = TestServer::on(&data);
    server.workspace("acme", 1_000);
    assert_eq!(mode(&data.join("journal.db")), 0o600, "the file is closed although the directory is not");
    assert!(!server.stderr_text().contains("is open to other users"));
    assert_eq!(server.stop().code(), Some(0));
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("the directory is our own");
    fs::set_permissions(data.join("journal.db"), fs::Permissions::from_mode(0o644))
        .expect("a file of our own");
    let server = TestServer::on(&data);
    let log = server.stderr_text();
    assert!(log.contains("is open to other users of this machine; chmod 700"), "{log}");
    assert_eq!((mode(&data), mode(&data.join("journal.db"))), (0o755, 0o644));
}

#[test]
fn a_server_whose_directory_is_moved_acknowledges_nothing_until_it_is_back() {
    let own = temporary();
    let [data, moved] = ["data", "moved"].map(|name| own.path().join(name));
    let mut server = TestServer::on(&data);
    server.workspace("acme", 1_000_000);
    fs::rename(&data, &moved).expect("a directory can be moved");
    let body = json!({"operation": "virtual_try_on"});
    let refused = server.charge("acme", "z", body.clone()).problem(503, "store_unavailable");
    assert!(refused.header("retry-after").is_some());
    server.charge("acme", "y", body.clone()).problem(503, "store_unavailable");
    server.get("/readyz").problem(503, "store_unavailable");
    let log = server.stderr_text();
    assert!(log.contains(MISSING) && log.contains("put the directory back"), "{log}");
    assert!(refuses_to_serve(&moved).contains(&format!("is held by process {}", server.pid())));
    // Another ledger under the name of the first is not touched by the first.
    fs::rename(other_ledger(own.path()), &data).expect("a directory can be moved");
    let mut other = TestServer::on(&data);
    server.charge("acme", "x", body.clone()).problem(503, "store_unavailable");
    assert_eq!(other.available("other"), 5_000);
    assert_eq!(other.stop().code(), Some(0));
    fs::remove_dir_all(&data).expect("nobody uses it");
    server.get("/readyz").problem(503, "store_unavailable");
    fs::rename(&moved, &data).expect("a directory can be moved");
    eventually("the server is ready again", || (server.get("/readyz").status == 200).then_some(()));
    assert!(!own.path().join("data.missing").exists(), "the journal is there again");
    server.charge("acme", "z", body.clone()).expect(201);
    let spent = 1_000_000 - server.available("acme");
    let charges = server.all("/v1/workspaces/acme/charges");
    assert_eq!(spent, 20_000 * i64::try_from(charges.len()).expect("a few"), "each key is charged once");
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(server.audit().0, Some(0));
}

#[test]
fn a_server_that_ends_while_its_directory_is_away_leaves_another_one_alone() {
    let own = temporary();
    let [data, moved] = ["data", "moved"].map(|name| own.path().join(name));
    let mut server = TestServer::on(&data);
    server.workspace("acme", 1_000_000);
    let other = other_ledger(own.path());
    fs::rename(&data, &moved).expect("a directory can be moved");
    fs::rename(other, &data).expect("a directory can be moved");
    let other = TestServer::on(&data);
    eventually("the server notices without a charge", || (server.get("/readyz").status == 503).then_some(()));
    assert_eq!(server.stop().code(), Some(3), "it does not end as if all were well");
    other.charge("other", "k", json!({"operation": "support_message"})).expect(201);
    assert!(data.join("journal.db-wal").exists(), "the WAL of the other server is still there");
    assert_eq!(other.available("other"), 4_500);
    assert_eq!(TestServer::on(&moved).available("acme"), 1_000_000);
}

/// A data directory with the workspace `other`, which no process uses.
fn other_ledger(own: &Path) -> PathBuf {
    let path = own.join("other");
    let mut server = TestServer::on(&path);
    server.workspace("other", 5_000);
    assert_eq!(server.stop().code(), Some(0));
    path
}

#[test]
fn no_ledger_begins_under_the_name_of_a_directory_that_went_away() {
    let own = temporary();
    let at = |name: &str| own.path().join(name);
    let text = |name: &str| at(name).to_str().expect("the path is UTF-8").to_owned();
    let [data, moved, note] = ["data", "moved", "data.missing"].map(at);
    let mut server = TestServer::on(&data);
    server.workspace("acme", 1_000_000);
    done(&run(&["backup", "--data", &text("data"), "--to", &text("backup")]));
    done(&run(&["export", "--data", &text("data"), "--to", &text("export")]));
    fs::rename(&data, &moved).expect("a directory can be moved");
    eventually("the server notices", || (server.get("/readyz").status == 503).then_some(()));
    assert_eq!(server.stop().code(), Some(3));
    assert_eq!(mode(&note), 0o600);
    let said = fs::read_to_string(&note).expect("the note is there");
    assert!(said.contains(MISSING) && said.contains("remove this file"), "{said}");
    for made in [false, true] {
        // A volume that is not mounted leaves an empty directory.
        if made {
            fs::create_dir(&data).expect("the name is free");
        }
        let refused = refuses_to_serve(&data);
        assert!(refused.contains("was moved or removed") && refused.contains("data.missing"), "{refused}");
        assert_eq!(data.exists(), made, "nothing is made");
    }
    let refused = run(&["import", "--data", &text("data"), "--from", &text("export")]);
    assert!(printed(&refused).contains("data.missing"), "{}", printed(&refused));
    // What is restored is a ledger again, as the directory that comes back is.
    done(&run(&["restore", "--from", &text("backup"), "--to", &text("data")]));
    assert!(!note.exists());
    let mut restored = TestServer::on(&data);
    assert_eq!(restored.available("acme"), 1_000_000);
    assert_eq!(restored.stop().code(), Some(0));
    fs::remove_dir_all(&data).expect("nobody uses it");
    fs::write(&note, "left by a server").expect("the file can be written");
    fs::rename(&moved, &data).expect("a directory can be moved");
    assert_eq!(TestServer::on(&data).available("acme"), 1_000_000);
    assert!(!note.exists());
}

#[test]
fn a_lock_file_that_is_removed_lets_nobody_in() {
    let server = TestServer::fresh();
    server.workspace("acme", 1_000_000);
    fs::remove_file(server.data.join("lock")).expect("the file is there");
    refuses_to_serve(&server.data);
    eventually("the file is made again", || server.data.join("lock").exists().then_some(()));
    let text = refuses_to_serve(&server.data);
    assert!(text.contains(&format!("is held by process {}", server.pid())), "{text}");
    assert!(server.stderr_text().contains("was removed or replaced; the directory stays locked"));
    server.charge("acme", "k", json!({"operation": "virtual_try_on"})).expect(201);
    assert_eq!(server.available("acme"), 980_000);
}

#[test]
fn a_journal_or_wal_that_is_removed_is_noticed_before_anything_is_acknowledged() {
    let body = json!({"operation": "virtual_try_on"});
    for (name, starts_again) in [("journal.db-wal", true), ("journal.db", false)] {
        let own = temporary();
        let data = own.path().join("data");
        let mut server = TestServer::on(&data);
        server.workspace("acme", 1_000_000);
        server.charge("acme", "before", body.clone()).expect(201);
        fs::remove_file(data.join(name)).expect("the file is there");
        server.charge("acme", "after", body.clone()).problem(503, "store_unavailable");
        server.get("/readyz").problem(503, "store_unavailable");
        assert!(server.stderr_text().contains(MISSING), "{}", server.stderr_text());
        assert_eq!(server.stop().code(), Some(3));
        if !starts_again {
            let text = refuses_to_serve(&data);
            assert!(text.contains("it is missing, but"), "{text}");
            continue;
        }
        // What only the removed WAL held was moved into the journal.
        let again = TestServer::on(&data);
        let replayed = again.charge("acme", "before", body.clone()).expect(201);
        assert!(replayed.replayed());
        again.charge("acme", "after", body.clone()).expect(201);
        assert_eq!(again.available("acme"), 960_000);
        let audit = run(&["audit", "--data", data.to_str().expect("the path is UTF-8")]);
        done(&audit);
    }
}
