//! Faults of the environment: a data directory that is in use, read-only, damaged or of a newer
//! version, and a full disk. The program reports a clear message or 503, leaves nothing half-done,
//! and works again when the fault is gone.
//!
//! Full and read-only disks are mounts in a mount namespace of the server, which needs `unshare` as
//! root, or user namespaces. Where neither is allowed, these tests fail and say what is missing.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{KEY, TestServer, cleaned, eventually, printed, run, tollkeeper};

const EXIT_NOT_NOW: Option<i32> = Some(3);

fn temporary() -> TempDir {
    TempDir::new().expect("a temporary directory can be created")
}

/// Starts a server, which must fail; returns its output.
#[track_caller]
fn refuses_to_serve(data: &Path) -> String {
    let output = TestServer::command(data).output().expect("the binary runs");
    refused(&output)
}

#[track_caller]
fn refused(output: &Output) -> String {
    let text = printed(output);
    assert_eq!(output.status.code(), EXIT_NOT_NOW, "{text}");
    assert!(output.stdout.is_empty(), "it must not report that it is ready: {text}");
    assert!(text.contains("error: ") && !text.contains("panicked"), "{text}");
    text
}

/// Creates a data directory with a workspace and some charges; no process uses it afterwards.
fn filled(data: &Path) {
    let mut server = TestServer::on(data);
    server.workspace("acme", 1_000_000);
    for n in 0..20 {
        let body = json!({"operation": "support_message", "reference": format!("reference-{n:04}")});
        server.charge("acme", &n.to_string(), body).expect(201);
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_log_line_that_cannot_be_written_and_a_closed_terminal_end_nothing() {
    let own = temporary();
    let data = own.path().join("data");
    let mut command = TestServer::command(&data);
    command.env("TOLLKEEPER_LOG_LEVEL", "debug");
    let full = File::options().write(true).open("/dev/full").expect("Linux has a device that is full");
    let mut server = TestServer::spawned_with(command, &data, full);
    server.workspace("acme", 1_000_000);
    server.signal("HUP");
    eventually("a line is dropped", || {
        // The connection breaks in the middle of a head, which is logged.
        server.send_bytes(b"GET /heal");
        let metrics = server.get("/metrics").expect(200).text;
        let dropped =
            metrics.lines().find_map(|line| line.strip_prefix("tollkeeper_log_lines_dropped_total "));
        dropped.filter(|count| *count != "0").map(|_| ())
    });
    server.charge("acme", "k", json!({"operation": "support_message"})).expect(201);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn clients_get_in_although_more_idle_connections_are_open_than_there_are_descriptors() {
    let own = temporary();
    let data = own.path().join("data");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 256; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tollkeeper"), "serve"]);
    command.arg("--data").arg(&data).args(["--listen", "127.0.0.1:0"]);
    let mut command = cleaned(command);
    command.env("TOLLKEEPER_PLATFORM_KEY", KEY);
    let mut server = TestServer::spawned(command, &data);
    server.workspace("acme", 1_000_000);
    let address = server.url.strip_prefix("http://").expect("an address");
    let idle: Vec<TcpStream> =
        (0..400).map(|_| TcpStream::connect(address).expect("the server listens")).collect();
    for n in 0..10 {
        let client = server.client();
        client.charge("acme", &n.to_string(), json!({"operation": "support_message"})).expect(201);
        client.get("/v1/workspaces/acme/charges").expect(200);
    }
    let log = server.stderr_text();
    let lines = log.lines().filter(|line| line.contains("connection")).count();
    assert_eq!(lines, 1, "one line says that places are rare: {log}");
    drop(idle);
    assert_eq!(server.stop().code(), Some(0));
}

/// The paths of the SQLite files in a directory.
fn databases(data: &Path) -> Vec<PathBuf> {
    let files =
        fs::read_dir(data).expect("a data directory").map(|file| file.expect("the file can be used").path());
    let found: Vec<_> = files
        .filter(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0")))
        .collect();
    assert!(!found.is_empty(), "there is a database in {}", data.display());
    found
}

#[test]
fn a_second_process_on_a_directory_is_refused_and_names_the_first() {
    let server = TestServer::fresh();
    server.workspace("acme", 1_000);
    let stderr = refuses_to_serve(&server.data);
    assert!(stderr.contains(&server.pid().to_string()), "{stderr}");
    let data = server.data.to_str().expect("the path is UTF-8");
    let output = run(&["grant", "create", "acme", "--usd", "1", "--reason", "r", "--data", data]);
    let stderr = refused(&output);
    assert!(stderr.contains(&server.pid().to_string()) && stderr.contains("--server"), "{stderr}");
    // A command that only reads works at the same time and sees committed data.
    let output = run(&["balance", "acme", "--json", "--data", data]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let balance: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
    assert_eq!(balance["available"], 1_000);
    assert_eq!(server.available("acme"), 1_000);
}

#[test]
fn a_directory_of_a_newer_version_is_not_changed() {
    let own = temporary();
    let data = own.path().join("data");
    filled(&data);
    let kept: Vec<_> = databases(&data)
        .into_iter()
        .map(|path| {
            let mut bytes = fs::read(&path).expect("the file can be used");
            // These bytes of the first page hold the user version of a SQLite file.
            bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
            fs::write(&path, &bytes).expect("the file can be used");
            (path, bytes)
        })
        .collect();
    let stderr = refuses_to_serve(&data);
    assert!(stderr.contains("newer") && stderr.contains("hint: "), "{stderr}");
    for (path, bytes) in kept {
        assert!(fs::read(&path).expect("the file can be used") == bytes, "{} was changed", path.display());
    }
}

#[test]
fn a_damaged_database_is_reported_and_not_served() {
    for damage in ["head", "garbage", "cut"] {
        let own = temporary();
        let data = own.path().join("data");
        filled(&data);
        for path in databases(&data) {
            let mut bytes = fs::read(&path).expect("the file can be used");
            let middle = bytes.len() / 2;
            match damage {
                "head" => bytes[..16].fill(b'x'),
                "garbage" => bytes[100..].fill(0x5a),
                _ => bytes.truncate(middle + 1),
            }
            fs::write(&path, &bytes).expect("the file can be used");
        }
        let stderr = refuses_to_serve(&data);
        assert!(stderr.contains("cause: "), "{damage}: {stderr}");
        let output = tollkeeper().arg("audit").arg("--data").arg(&data).output().expect("the audit runs");
        assert!(matches!(output.status.code(), Some(1 | 3)), "{damage}: {}", printed(&output));
        assert!(!printed(&output).contains("panicked"), "{damage}: {}", printed(&output));
    }
}

#[test]
fn a_lost_or_damaged_state_file_loses_nothing() {
    for damage in ["lost", "garbage", "newer"] {
        let own = temporary();
        let data = own.path().join("data");
        filled(&data);
        let state = data.join("state.db");
        let mut bytes = fs::read(&state).expect("a file of derived state");
        match damage {
            "lost" => fs::remove_file(&state).expect("the file can be used"),
            "garbage" => fs::write(&state, vec![0x5a; bytes.len()]).expect("the file can be used"),
            _ => {
                bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
                fs::write(&state, &bytes).expect("the file can be used");
            }
        }
        let mut server = TestServer::on(&data);
        assert_eq!(server.available("acme"), 1_000_000 - 20 * 500, "{damage}");
        let body = json!({"operation": "support_message", "reference": "reference-0007"});
        assert!(
            server.charge("acme", "7", body).expect(201).replayed(),
            "{damage}: idempotency keys are known"
        );
        assert_eq!(server.stop().code(), Some(0));
        let (code, report) = server.audit();
        assert_eq!(code, Some(0), "{damage}: {report}");
    }
}

#[test]
fn a_path_that_cannot_be_a_data_directory_is_refused() {
    let own = temporary();
    let file = own.path().join("file");
    fs::write(&file, "not a directory").expect("the file can be used");
    for path in [file.as_path(), Path::new("/proc/tollkeeper"), Path::new("/dev/null/data")] {
        let own_log = temporary();
        let mut command = TestServer::command(path);
        let output = command.current_dir(own_log.path()).output().expect("the binary runs");
        let stderr = refused(&output);
        assert!(stderr.contains(&path.display().to_string()), "{stderr}");
    }
    assert_eq!(fs::read_to_string(&file).expect("the file can be used"), "not a directory");
}

/// A command that runs the binary in a new mount namespace, after a shell command `mount` on
/// `directory`.
fn mounted(mount: &str, directory: &Path) -> Command {
    let root = ["-m", "--propagation", "private"];
    let user = ["-r", "-m", "--propagation", "private"];
    let allowed = |options: &[&str]| {
        let probe =
            Command::new("unshare").args(options).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    let options: &[&str] = if allowed(&root) {
        &root
    } else if allowed(&user) {
        &user
    } else {
        panic!(
            "this test needs mount namespaces: `unshare` of util-linux, as root or where users may have them"
        );
    };
    let mut command = cleaned(Command::new("unshare"));
    command.args(options).args(["sh", "-c", &format!("{mount} && exec \"$@\"")]).arg(directory);
    command.arg(env!("CARGO_BIN_EXE_tollkeeper")).env("TOLLKEEPER_PLATFORM_KEY", KEY);
    command
}

/// A command that runs the binary in the mount namespace of a server.
fn in_namespace_of(server: &TestServer) -> Command {
    let mut command = cleaned(Command::new("nsenter"));
    command.args(["--target", &server.pid().to_string(), "--mount"]);
    let user =
        |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).expect("a process has a user namespace");
    if user("self") != user(&server.pid().to_string()) {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.arg(env!("CARGO_BIN_EXE_tollkeeper"));
    command
}

#[test]
fn a_read_only_directory_is_refused_with_a_clear_message() {
    let own = temporary();
    let data = own.path().join("data");
    filled(&data);
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
    let mut command = mounted(mount, own.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let stderr = refused(&command.output().expect("the binary runs"));
    assert!(stderr.contains("data directory") && stderr.contains("cause: "), "{stderr}");
    // Without the read-only mount, the server works and nothing is lost.
    let server = TestServer::on(&data);
    assert_eq!(server.available("acme"), 1_000_000 - 20 * 500);
}

/// A batch of charges that writes about half a megabyte to the journal.
fn bulky_batch(round: usize) -> Value {
    let charge = |n: usize| {
        json!({
            "workspace": "acme", "idempotency_key": format!("bulk-{round}-{n}"),
            "operation": "support_message", "metadata": {"padding": "x".repeat(4_000)},
        })
    };
    json!({"charges": (0..128).map(charge).collect::<Vec<_>>()})
}

#[test]
fn a_full_disk_answers_503_and_loses_nothing() {
    let own = temporary();
    let mut command = mounted("mount -t tmpfs -o size=24m tmpfs \"$0\"", own.path());
    let data = own.path().join("data");
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let server = TestServer::spawned(command, &data);
    server.workspace("acme", 1_000_000_000);
    let first = server.charge("acme", "first", json!({"operation": "virtual_try_on"})).expect(201);

    // The path of the small disk as seen from outside the namespace.
    let disk = PathBuf::from(format!("/proc/{}/root{}", server.pid(), own.path().display()));
    let ballast = disk.join("ballast");
    fill(&ballast);
    let mut paid = vec![(1, first.clone())];
    let full_at = (0..).find(|round| {
        let reply = server.send("POST", "/v1/charges/batch", bulky_batch(*round));
        let full = reply.status == 503;
        if full {
            let reply = reply.clone().problem(503, "store_unavailable");
            assert!(reply.header("retry-after").is_some());
        } else {
            paid.push((128, reply.expect(200)));
        }
        assert!(*round < 200, "the disk is not full after {round} batches");
        full
    });
    let full_at = full_at.expect("the loop above ends");
    let spent = |paid: &[(i64, _)]| 20_000 + 500 * paid.iter().skip(1).map(|(n, _)| n).sum::<i64>();
    assert_eq!(
        server.available("acme"),
        1_000_000_000 - spent(&paid),
        "reads work, and no part of the refused batch is charged"
    );
    server.get("/healthz").expect(200);

    fs::remove_file(&ballast).expect("the ballast can be removed");
    let again = eventually("a charge after space was freed", || {
        let reply = server.send("POST", "/v1/charges/batch", bulky_batch(full_at));
        (reply.status != 503).then_some(reply)
    });
    paid.push((128, again.expect(200)));
    assert_eq!(server.available("acme"), 1_000_000_000 - spent(&paid), "the refused batch is charged once");
    let replay = server.charge("acme", "first", json!({"operation": "virtual_try_on"})).expect(201);
    assert!(replay.replayed() && replay.text == first.text);
    let audit =
        in_namespace_of(&server).arg("audit").arg("--data").arg(&data).output().expect("the audit runs");
    assert_eq!(audit.status.code(), Some(0), "{}", printed(&audit));
}

/// Fills the disk.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).expect("a file on the small disk");
    let mut block = vec![0_u8; 1 << 20];
    while !block.is_empty() {
        if file.write_all(&block).is_err() {
            block.truncate(block.len() / 2);
        }
    }
}
