//! `tollkeeper demo`: its output can be pasted into a shell and does what its comments say.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{cleaned, printed, tollkeeper};

/// A running demo and the tour that it printed.
struct Demo {
    child: Child,
    tour: String,
}

impl Demo {
    fn start(directory: &Path) -> Demo {
        let mut command = tollkeeper();
        command.arg("demo").current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
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

#[test]
fn the_tour_works_and_can_be_repeated_after_a_restart() {
    let own = TempDir::new().expect("a temporary directory can be created");
    for start in 0..2 {
        let demo = Demo::start(own.path());
        let shown = demo.pasted(own.path());
        let answers = answers(&shown);
        let statuses: Vec<_> = answers.iter().map(|(status, _, _)| *status).collect();
        assert_eq!(
            statuses,
            [200, 201, 201, 201, 200, 402, 200, 200, 200, 200, 200, 200, 200],
            "start {start}: {shown}"
        );
        let (_, replayed, again) = &answers[2];
        assert!(replayed, "the repeated charge gets its first answer");
        assert_eq!(again, &answers[1].2);
        let before = answers[0].2["available"].as_i64().expect("the balance is a number");
        assert_eq!(before, 1_000_000 + start * (2_500_000 + 1_900_000 - 57_000));
        assert!(demo.tour.contains(if start == 0 {
            "1,000,000 (10.00 USD)"
        } else {
            "5,343,000 (53.43 USD)"
        }));
        assert_eq!((&answers[1].2["amount"], &answers[3].2["amount"]), (&20_000.into(), &37_000.into()));
        assert_eq!(answers[4].2["outcome"], "failed_system");
        assert_eq!(answers[5].2["code"], "insufficient_credits");
        let (paid, again) = (&answers[6], &answers[7]);
        assert_eq!((&paid.2["status"], &paid.2["credits"]), (&"succeeded".into(), &2_500_000.into()));
        assert!(!paid.1 && again.1 && paid.2 == again.2, "a second confirmation changes nothing");
        let (plan, again) = (&answers[9], &answers[10]);
        assert_eq!((&plan.2["plan"], &plan.2["status"]), (&"starter".into(), &"active".into()));
        assert!(plan.1 == (start == 1) && again.1 && plan.2 == again.2, "a month is granted once");
        let plan = if start == 0 { 1_900_000 } else { 0 };
        assert_eq!(
            answers[12].2["available"],
            before - 20_000 - 37_000 + 2_500_000 + plan,
            "the failed charge is refunded, and the top-up and the month are granted once"
        );
        assert!(shown.contains("every number agrees with the journal"), "{shown}");
        wait_for_mail(&own.path().join("tollkeeper-demo/mails"), "Subject: Operations are refused");
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
    let own = TempDir::new().expect("a temporary directory can be created");
    let demo = Demo::start(own.path());
    let mut continued = false;
    for line in demo.tour.lines() {
        let command = ["#", "curl ", "export ", "CHARGE=", "TOP_UP=", "'", "ls "]
            .iter()
            .any(|start| line.starts_with(start));
        assert!(line.is_empty() || command || continued, "{line}");
        continued = line.ends_with('\\');
    }
}
