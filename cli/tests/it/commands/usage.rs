//! Help, wrong usage, and failures that are not the fault of the program.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use crate::harness::{TestServer, printed, run, tollkeeper};

/// Every subcommand, by its words.
pub const COMMANDS: [&[&str]; 113] = [
    &["gate"],
    &["serve"],
    &["demo"],
    &["workspace"],
    &["workspace", "create"],
    &["workspace", "list"],
    &["workspace", "show"],
    &["workspace", "update"],
    &["member"],
    &["member", "erase"],
    &["member", "add"],
    &["member", "list"],
    &["member", "show"],
    &["member", "change"],
    &["member", "remove"],
    &["key"],
    &["key", "create"],
    &["key", "list"],
    &["key", "revoke"],
    &["limits"],
    &["limits", "show"],
    &["limits", "set"],
    &["limits", "clear"],
    &["alerts"],
    &["alerts", "show"],
    &["alerts", "set"],
    &["alerts", "clear"],
    &["alerts", "emails"],
    &["alerts", "emails", "show"],
    &["alerts", "emails", "set"],
    &["alerts", "emails", "clear"],
    &["alerts", "emails", "mute"],
    &["portal"],
    &["portal", "link"],
    &["portal", "end"],
    &["grant"],
    &["grant", "create"],
    &["grant", "list"],
    &["grant", "void"],
    &["top-up"],
    &["top-up", "open"],
    &["top-up", "list"],
    &["top-up", "show"],
    &["top-up", "confirm"],
    &["top-up", "refund"],
    &["top-up", "unmatched"],
    &["subscription"],
    &["subscription", "show"],
    &["subscription", "start"],
    &["subscription", "preview"],
    &["subscription", "cancel"],
    &["subscription", "confirm"],
    &["auto-top-up"],
    &["auto-top-up", "show"],
    &["auto-top-up", "set"],
    &["auto-top-up", "stop"],
    &["payment-method"],
    &["payment-method", "show"],
    &["payment-method", "remove"],
    &["payment-method", "link"],
    &["payment-method", "portal"],
    &["charge"],
    &["charge", "create"],
    &["charge", "show"],
    &["charge", "list"],
    &["charge", "outcome"],
    &["charge", "heartbeat"],
    &["charge", "refund"],
    &["charge", "quote"],
    &["balance"],
    &["usage"],
    &["burn-rate"],
    &["entries"],
    &["clock"],
    &["clock", "confirm"],
    &["prices"],
    &["prices", "show"],
    &["prices", "set"],
    &["prices", "simulate"],
    &["prices", "versions"],
    &["plans"],
    &["plans", "show"],
    &["plans", "set"],
    &["webhooks"],
    &["webhooks", "list"],
    &["webhooks", "create"],
    &["webhooks", "show"],
    &["webhooks", "update"],
    &["webhooks", "delete"],
    &["webhooks", "rotate-secret"],
    &["webhooks", "ping"],
    &["webhooks", "deliveries"],
    &["webhooks", "resend"],
    &["mail"],
    &["mail", "test"],
    &["mail", "preview"],
    &["settings"],
    &["settings", "show"],
    &["settings", "set"],
    &["audit"],
    &["backup"],
    &["restore"],
    &["mark-restored"],
    &["repair"],
    &["export"],
    &["import"],
    &["migrate"],
    &["operator-password"],
    &["report"],
    &["bench"],
    &["completions"],
    &["man"],
    &[],
];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let output = run(&[command, &["--help"]].concat());
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {text}");
        assert!(output.stderr.is_empty(), "{command:?}: help goes to stdout");
        assert!(text.contains("  tollkeeper "), "{command:?} has an example: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{command:?} fits a terminal: {text}");
    }
    let version = run(&["--version"]);
    assert!(printed(&version).starts_with("tollkeeper 0."), "{}", printed(&version));
}

#[test]
fn no_subcommand_is_missing_from_the_list_above() {
    let listed = |args: &[&str]| -> Vec<String> {
        let text = printed(&run(&[args, &["--help"]].concat()));
        let after = text.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = after.lines().take_while(|line| line.starts_with("  "));
        // A description goes on in further lines, which begin with more blanks.
        let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    for first in listed(&[]).into_iter().filter(|name| name != "help") {
        assert!(COMMANDS.contains(&&[first.as_str()][..]), "{first}");
        for second in listed(&[&first]).iter().filter(|name| *name != "help") {
            assert!(COMMANDS.contains(&&[first.as_str(), second.as_str()][..]), "{first} {second}");
        }
    }
}

#[test]
fn the_help_documents_the_exit_codes() {
    let text = printed(&run(&["--help"]));
    for line in ["  0  done", "  1  refused", "  2  wrong usage", "  3  unavailable"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn wrong_usage_exits_2_with_a_message_on_stderr() {
    for args in [
        &["fly"][..],
        &[],
        &["balance"],
        &["balance", "acme", "--colour"],
        &["grant", "create", "acme", "--reason", "r"],
        &["grant", "create", "acme", "--usd", "1", "--amount", "5", "--reason", "r"],
        &["grant", "create", "acme", "--amount", "1.5", "--reason", "r"],
        &["top-up", "open", "acme"],
        &["top-up", "confirm", "acme"],
        &["auto-top-up", "set", "acme", "--usd", "25"],
        &["charge", "create", "acme"],
        &["charge", "create", "acme", "video", "--quantity", "many"],
        &["charge", "create", "acme", "video", "--metadata", "{"],
        &["charge", "outcome", "acme", "ch_1", "lost"],
        &["charge", "outcome", "acme", "ch_1", "failed"],
        &["workspace", "update", "acme"],
        &["workspace", "update", "acme", "--suspend", "--resume"],
        &["member", "add", "acme", "ada", "--email", "ada@example.com"],
        &["member", "add", "acme", "ada", "--email", "a@b.c", "--name", "Ada", "--role", "owner"],
        &["member", "change", "acme", "ada"],
        &["key", "create", "acme", "--name", "n"],
        &["key", "create", "acme", "--name", "n", "--scope", "charge,spend"],
        &["key", "revoke", "acme"],
        &["limits", "set", "acme"],
        &["alerts", "set", "acme"],
        &["alerts", "emails", "set", "acme"],
        &["alerts", "emails", "mute", "acme"],
        &["limits", "set", "acme", "member:ada=5"],
        &["limits", "set", "acme", "member:ada/month"],
        &["portal", "link", "acme"],
        &["bench", "--credential", "workspace"],
        &["bench", "--http", "--credential", "workspace"],
        &["balance", "acme", "--server", "http://127.0.0.1:1", "--data", "x"],
        &["balance", "acme", "--server", "ftp://127.0.0.1:1"],
        &["balance", "acme", "--server", "http://127.0.0.1:1"],
        &["completions"],
        &["completions", "tcsh"],
        &["prices", "set", "/nonexistent/prices.json"],
        &["plans", "set", "/nonexistent/plans.json"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--config", "/nonexistent/tollkeeper.toml"],
        &["serve", "--database-url", "mysql://localhost/x"],
        &["serve", "--database-url", "postgres://localhost/x", "--data", "x"],
        &["balance", "acme", "--database-url", "postgres://localhost/x", "--data", "x"],
        &["balance", "acme", "--database-url", "postgres://localhost/x", "--server", "http://127.0.0.1:1"],
        &["bench", "--engine", "postgres"],
        &["bench", "--rate", "100"],
        &["migrate", "--data", "x"],
        &["repair", "acme", "--data", "x"],
        &["backup"],
        &["restore", "--from", "x"],
    ] {
        let output = run(args);
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?}: stdout is empty");
        assert!(text.contains("error: ") || text.contains("Usage: "), "{args:?}: {text}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
}

#[test]
fn an_invalid_setting_prevents_the_start_and_is_named() {
    for (variable, value) in [
        ("TOLLKEEPER_LISTEN", "nowhere"),
        ("TOLLKEEPER_TICK_MS", "soon"),
        ("TOLLKEEPER_QUEUE", "0"),
        ("TOLLKEEPER_DATABASE_URL", "mysql://localhost/x"),
        ("TOLLKEEPER_PAYMENTS", "stripe"),
    ] {
        let output = tollkeeper().arg("serve").env(variable, value).output().expect("the binary runs");
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let setting = variable.trim_start_matches("TOLLKEEPER_").to_lowercase();
        assert!(text.contains(&setting) && text.contains("hint: "), "{text}");
    }
    let own = tempfile::TempDir::new().expect("a temporary directory can be created");
    let file = own.path().join("tollkeeper.toml");
    std::fs::write(&file, "tick_ms = 100\nspeed = 11\n").expect("the file can be used");
    let output = tollkeeper().args(["serve", "--config"]).arg(&file).output().expect("the binary runs");
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("line 2") && text.contains("speed"), "{text}");
}

#[test]
fn an_unreachable_server_exits_3_with_a_hint() {
    // One server closes every connection after the request; on port 1, nothing listens.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let there = format!("http://{}", silent.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        silent.incoming().flatten().for_each(|mut stream| drop(stream.read(&mut [0; 1 << 12])))
    });
    let unknown = "the command may have taken effect: check";
    for (args, hint) in [
        (&["balance", "acme"][..], "try again"),
        (
            &["charge", "create", "acme", "virtual_try_on", "--key", "k"],
            "repeat the command with the same --key",
        ),
        (&["charge", "outcome", "acme", "ch_x", "succeeded"], "the command may have taken effect; repeat it"),
        (&["top-up", "confirm", "acme", "tu_x"], "the command may have taken effect; repeat it"),
        (&["limits", "clear", "acme"], "the command may have taken effect; repeat it"),
        (&["key", "create", "acme", "--name", "k", "--scope", "read"], unknown),
    ] {
        for (url, hint) in
            [(there.as_str(), hint), ("http://127.0.0.1:1", "check that the server is running")]
        {
            let mut command = tollkeeper();
            command.args(args).args(["--server", url]).env("TOLLKEEPER_KEY", crate::harness::KEY);
            let output = command.output().expect("the binary runs");
            let text = printed(&output);
            assert_eq!(output.status.code(), Some(3), "{text}");
            assert!(text.contains(url) && text.contains(&format!("hint: {hint}")), "{text}");
        }
    }
}

#[test]
fn a_password_in_the_address_of_a_server_is_not_repeated() {
    for (url, exit) in [
        ("http://ada:s3cret@127.0.0.1:1", 3),
        ("http://ada:s3cret@127.0.0.1:1/", 3),
        ("http://ada:s3cret@", 2),
        ("http://ada:s3cret@not a host", 2),
        ("ada:s3cret@127.0.0.1", 2),
    ] {
        let mut command = tollkeeper();
        command.args(["balance", "acme", "--server", url]).env("TOLLKEEPER_KEY", crate::harness::KEY);
        let output = command.output().expect("the binary runs");
        let text = printed(&output);
        assert_eq!(output.status.code(), Some(exit), "{url}: {text}");
        assert!(text.contains("error: ") && !text.contains("s3cret"), "{url}: {text}");
    }
}

#[test]
fn a_port_in_use_exits_3() {
    let server = TestServer::fresh();
    let own = tempfile::TempDir::new().expect("a temporary directory can be created");
    let address = server.url.trim_start_matches("http://");
    let mut command = tollkeeper();
    command.args(["serve", "--listen", address, "--data"]).arg(own.path().join("data"));
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains(&format!("cannot listen on {address}")), "{}", printed(&output));
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_error() {
    let server = TestServer::fresh();
    server.workspace("acme", 1_000_000);
    let data = server.data.to_str().expect("the path is UTF-8");
    for args in [&["entries", "acme", "--data", data][..], &["charge", "--help"], &["audit", "--data", data]]
    {
        let mut child = tollkeeper()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the process ends");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
        assert!(output.stderr.is_empty(), "{args:?}: {}", printed(&output));
    }
}
