//! `tollkeeper demo`: its output can be pasted into a shell and does what its comments say, its
//! links sign in, and its history is plausible and agrees with the journal.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{cleaned, printed, run, tollkeeper};

/// Fewer charges than by default, so that the tests are quick.
const FEW: [&str; 2] = ["--charges", "2000"];

/// A running demo and the tour that it printed.
struct Demo {
    child: Child,
    tour: String,
}

impl Demo {
    fn start(directory: &Path, more: &[&str]) -> Demo {
        let mut command = tollkeeper();
        command.arg("demo").args(more).current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the demo starts");
        let mut tour = String::new();
        let mut reader = BufReader::new(child.stdout.take().expect("its stdout is piped"));
        while !tour.contains("/docs\n") {
            if reader.read_line(&mut tour).expect("the output has lines") == 0 {
                let mut stderr = String::new();
                child
                    .stderr
                    .take()
                    .expect("its output is piped")
                    .read_to_string(&mut stderr)
                    .expect("the output is text");
                panic!("the demo ended: {tour}{stderr}");
            }
        }
        Demo { child, tour }
    }

    /// Runs the tour in a shell; returns its output.
    fn pasted(&self, directory: &Path) -> String {
        let mut shell = cleaned(Command::new("bash"));
        shell.args(["-e", "-u", "-o", "pipefail", "-c", &self.tour]).current_dir(directory);
        let output = shell.output().expect("bash is installed");
        assert!(output.status.success(), "{}", printed(&output));
        String::from_utf8(output.stdout).expect("the output is text")
    }
}

impl Demo {
    /// The links by which members sign in, by role.
    fn link(&self, role: &str) -> &str {
        let line = self.tour.lines().find(|line| line.contains(&format!(", {role}: http")));
        line.and_then(|line| line.split_once(": ")).expect("each role has a link").1
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The HTTP answers in the output, in order: status, whether it is the first answer again, body.
fn answers(shown: &str) -> Vec<(u16, bool, serde_json::Value)> {
    let shown = shown.replace('\r', "");
    let answer = |text: &str| {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let status = head.split_whitespace().next().and_then(|code| code.parse().ok()).expect("a status");
        let replayed = head.to_lowercase().contains("idempotent-replayed: true");
        let body = body.lines().next().unwrap_or_default();
        (status, replayed, serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body}")))
    };
    shown.split("HTTP/1.1 ").skip(1).map(answer).collect()
}

/// What a command says about the data of a demo that runs, as JSON.
fn of_data(directory: &Path, words: &[&str]) -> Value {
    let data = directory.join("tollkeeper-demo");
    let data = data.to_str().expect("the path is text");
    let output = run(&[words, &["--json", "--data", data]].concat());
    assert!(output.status.success(), "{words:?}: {}", printed(&output));
    serde_json::from_slice(&output.stdout).expect("the output is JSON")
}

fn audit(directory: &Path) {
    let data = directory.join("tollkeeper-demo");
    let output = run(&["audit", "--data", data.to_str().expect("the path is text")]);
    assert!(output.status.success(), "{}", printed(&output));
    assert!(printed(&output).contains("every number agrees with the journal"), "{}", printed(&output));
}

/// The rows of a list or a report.
fn rows<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().unwrap_or_else(|| panic!("no {field}: {of}"))
}

#[test]
fn the_tour_works_and_can_be_repeated_after_a_restart() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let mut left = None;
    for is_second in [false, true] {
        let demo = Demo::start(own.path(), &FEW);
        let shown = demo.pasted(own.path());
        let answers = answers(&shown);
        let statuses: Vec<_> = answers.iter().map(|(status, _, _)| *status).collect();
        assert_eq!(
            statuses,
            [200, 201, 201, 201, 200, 402, 200, 200, 200, 200, 200, 200, 200],
            "again: {is_second}: {shown}"
        );
        let (_, replayed, again) = &answers[2];
        assert!(replayed, "the repeated charge gets its first answer");
        assert_eq!(again, &answers[1].2);
        let before = answers[0].2["available"].as_i64().expect("the balance is a number");
        assert!(before > 57_000, "the credit pays for the tour: {before}");
        assert_eq!(before, left.unwrap_or(before), "a second start fills nothing");
        assert_eq!((&answers[1].2["amount"], &answers[3].2["amount"]), (&20_000.into(), &37_000.into()));
        assert_eq!(answers[4].2["outcome"], "failed_system");
        assert_eq!(answers[5].2["code"], "insufficient_credits");
        let (paid, again) = (&answers[6], &answers[7]);
        assert_eq!((&paid.2["status"], &paid.2["credits"]), (&"succeeded".into(), &2_500_000.into()));
        assert!(!paid.1 && again.1 && paid.2 == again.2, "a second confirmation changes nothing");
        let change = answers[8].2["change"]["credits"].as_i64().unwrap_or_default();
        assert_eq!(change > 0, !is_second, "the change waits for its payment once");
        let (plan, again) = (&answers[9], &answers[10]);
        assert_eq!((&plan.2["plan"], &plan.2["status"]), (&"growth".into(), &"active".into()));
        assert!(plan.1 == is_second && again.1 && plan.2 == again.2, "a change is granted once");
        assert_eq!(
            answers[12].2["available"],
            before - 20_000 - 37_000 + 2_500_000 + change,
            "the failed charge is refunded, and the top-up and the change are granted once"
        );
        assert!(shown.contains("every number agrees with the journal"), "{shown}");
        assert!(shown.contains("/portal/sign-in/"), "another link is made: {shown}");
        wait_for_mail(&own.path().join("tollkeeper-demo/mails"), "Subject: Operations are refused");
        left = answers[12].2["available"].as_i64();
    }
}

/// Waits until a folder has a mail with these words.
fn wait_for_mail(folder: &Path, words: &str) {
    for _ in 0..200 {
        let files = std::fs::read_dir(folder).expect("the folder is there");
        let paths = files.map(|file| file.expect("it lists").path());
        let mut mails = paths.filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
        if mails.any(|mail| std::fs::read_to_string(mail).is_ok_and(|text| text.contains(words))) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("no mail says {words}");
}

#[test]
fn every_line_of_the_tour_is_a_command_or_a_comment() {
    for state in ["first-run", "normal", "zero-balance"] {
        let own = TempDir::new().expect("a temporary directory can be created");
        let demo = Demo::start(own.path(), &["--charges", "100", "--state", state]);
        let mut continued = false;
        for line in demo.tour.lines() {
            let command = ["#", "curl ", "export ", "CHARGE=", "TOP_UP=", "'", "ls "]
                .iter()
                .any(|start| line.starts_with(start));
            assert!(line.is_empty() || command || continued, "{state}: {line}");
            continued = line.ends_with('\\');
        }
        let shown = demo.pasted(own.path());
        assert!(shown.contains("every number agrees with the journal"), "{state}: {shown}");
    }
}

#[test]
fn the_links_sign_an_admin_and_a_member_in() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let demo = Demo::start(own.path(), &["--state", "first-run"]);
    for (role, name) in [("admin", "Ada Okafor"), ("member", "Noor Haddad")] {
        // The page of the link has a button, which sends this form.
        let press = r#"curl -sSf -o page -c jar -X POST "$1"; curl -sSf -b jar "${1%%/sign-in/*}/session""#;
        let mut shell = cleaned(Command::new("bash"));
        shell.args(["-e", "-u", "-c", press, "press", demo.link(role)]).current_dir(own.path());
        let output = shell.output().expect("bash is installed");
        assert!(output.status.success(), "{role}: {}", printed(&output));
        let session: Value = serde_json::from_slice(&output.stdout).expect("the session is JSON");
        assert_eq!((&session["role"], &session["name"]), (&role.into(), &name.into()));
    }
}

#[test]
fn the_history_is_plausible() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let demo = Demo::start(own.path(), &FEW);
    let used = |by: &str, name: &str| -> Vec<String> {
        let report = of_data(own.path(), &["usage", "acme", "--by", by]);
        let rows = rows(&report, "rows").iter().filter(|row| row["net"].as_i64() > Some(0));
        rows.filter_map(|row| row[name].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(
        used("operation", "operation"),
        ["background_removal", "product_listing", "smart_pricing", "support_message", "virtual_try_on"]
    );
    assert_eq!(used("worker", "worker"), ["catalog-bot", "pricing-bot", "studio-bot", "support-bot"]);
    assert_eq!(used("member", "member"), ["ada", "lin", "mia", "noor", "sam"]);
    assert_eq!(used("api_key", "api_key").len(), 2);

    let balance = of_data(own.path(), &["balance", "acme"]);
    assert_eq!(balance["debt"], 0);
    assert!(balance["pending"].as_i64() > Some(0), "charges wait for their outcome: {balance}");
    let rate = of_data(own.path(), &["burn-rate", "acme"]);
    let days = rate["runway_days"].as_i64().unwrap_or_else(|| panic!("no runway: {rate}"));
    assert!((3..60).contains(&days), "{rate}");
    let kinds = kinds_of_entries(own.path());
    for kind in [
        "charge.refunded",
        "charge.settled",
        "balance.refused",
        "balance.low",
        "balance.recovered",
        "top_up.succeeded",
        "limits.set",
        "alerts.set",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}");
    }
    let paid = kinds.iter().filter(|kind| *kind == "top_up.succeeded").count();
    assert!(paid >= 3, "several top-ups: {paid}");
    audit(own.path());
    drop(demo);
}

/// The kind of every entry of the workspace.
fn kinds_of_entries(directory: &Path) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut cursor = None;
    loop {
        let mut words = vec!["entries".to_owned(), "acme".to_owned(), "--limit".to_owned(), "200".to_owned()];
        words.extend(cursor.into_iter().flat_map(|cursor| ["--cursor".to_owned(), cursor]));
        let page = of_data(directory, &words.iter().map(String::as_str).collect::<Vec<_>>());
        kinds.extend(rows(&page, "data").iter().filter_map(|row| row["kind"].as_str().map(str::to_owned)));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return kinds;
        }
    }
}

#[test]
fn a_state_has_what_its_name_says() {
    for (state, charges, available) in [("first-run", false, 0), ("zero-balance", true, 0)] {
        let own = TempDir::new().expect("a temporary directory can be created");
        let demo = Demo::start(own.path(), &[&FEW[..], &["--state", state]].concat());
        let balance = of_data(own.path(), &["balance", "acme"]);
        assert_eq!((&balance["available"], &balance["debt"]), (&available.into(), &0.into()), "{state}");
        let used = of_data(own.path(), &["usage", "acme"]);
        assert_eq!(used["total"]["net"].as_i64() > Some(0), charges, "{state}: {used}");
        let grants = of_data(own.path(), &["grant", "list", "acme"]);
        assert_eq!(rows(&grants, "data").is_empty(), !charges, "{state}");
        let newest = of_data(own.path(), &["entries", "acme", "--limit", "50"]);
        let is_refused = rows(&newest, "data").iter().any(|row| row["kind"] == "balance.refused");
        assert_eq!(is_refused, charges, "{state}: {newest}");
        audit(own.path());
        drop(demo);
    }
}

#[test]
fn a_directory_that_holds_something_else_is_left_as_it_is() {
    let own = TempDir::new().expect("a temporary directory can be created");
    drop(Demo::start(own.path(), &["--state", "first-run"]));
    let refused = |more: &[&str]| {
        let mut command = tollkeeper();
        let output =
            command.arg("demo").args(more).current_dir(own.path()).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        printed(&output)
    };
    let text = refused(&["--state", "normal"]);
    assert!(text.contains("it was filled with the state `first-run`"), "{text}");
    let other = own.path().join("other");
    let other = other.to_str().expect("the path is text");
    let made = run(&["workspace", "create", "beta", "--name", "Beta", "--data", other]);
    assert!(made.status.success(), "{}", printed(&made));
    let text = refused(&["--data", other]);
    assert!(text.contains("it holds another ledger"), "{text}");
}
