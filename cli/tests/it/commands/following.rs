//! `tollkeeper entries` with `--after`, `--kinds` and `--follow`, from a store and from a server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::target::{Target, everywhere};

fn numbers(list: &Value) -> Vec<i64> {
    let rows = list["data"].as_array().expect("the answer is a list");
    rows.iter().map(|row| row["number"].as_i64().expect("an entry has a number")).collect()
}

fn begin(target: &Target) {
    target.json(&["workspace", "create", "acme", "--name", "Acme"]);
    target.json(&["grant", "create", "acme", "--usd", "1", "--reason", "welcome"]);
    charge(target, "first");
}

fn charge(target: &Target, key: &str) {
    target.json(&["charge", "create", "acme", "support_message", "--key", key]);
}

#[test]
fn entries_behind_a_position_are_shown_oldest_first() {
    everywhere(|target| {
        begin(target);
        let all = target.json(&["entries", "acme", "--after", "0"]);
        assert_eq!((numbers(&all), &all["after"]), (vec![1, 2, 3], &json!("1-3")));
        let some = target.json(&["entries", "acme", "--after", "1-1", "--limit", "1"]);
        assert_eq!((numbers(&some), &some["after"]), (vec![2], &json!("1-2")));
        let charges = target.json(&["entries", "acme", "--after", "0", "--kinds", "charge.opened"]);
        assert_eq!(numbers(&charges), [3]);
    });
}

/// Ends a command when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn entries_are_followed_as_they_are_committed() {
    everywhere(|target| {
        begin(target);
        let mut command = target.command(&["entries", "acme", "--after", "2", "--follow", "--json"]);
        let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("the program starts"));
        let stdout = running.0.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let mut next = || {
            let line = lines.next().expect("the command goes on").expect("a line of text");
            let entry: Value = serde_json::from_str(&line).expect("each line is JSON");
            entry["number"].as_i64()
        };
        assert_eq!(next(), Some(3));
        for (key, number) in [("second", 4), ("third", 5)] {
            charge(target, key);
            assert_eq!(next(), Some(number));
        }
    });
}
