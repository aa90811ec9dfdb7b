//! What each mail says, as plain text and as HTML, compared with what it was.
//!
//! With `TOLLKEEPER_WRITE_DOCS=1` the test writes the files instead.

use std::collections::BTreeSet;
use std::path::Path;

use tollkeeper_ledger::MailTopic;

use super::*;
use crate::notify::mail::about::{About, Severity};
use crate::notify::mail::compose::Composed;
use crate::notify::mail::context::Context;

/// The most bytes of a mail with its headers. Some programs cut longer ones.
const MAIL_MAX_BYTES: usize = 20 * 1024;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/mails"))
}

#[test]
fn every_mail_looks_as_it_was() {
    let writes = std::env::var_os("TOLLKEEPER_WRITE_DOCS").is_some_and(|value| value == "1");
    let mut expected = BTreeSet::new();
    for Sample { name, about, context } in all() {
        let Composed { subject, text, html, .. } = compose(&about, &context);
        for (ending, content) in [("txt", format!("Subject: {subject}\n\n{text}")), ("html", html)] {
            let file = folder().join(format!("{name}.{ending}"));
            if writes {
                std::fs::write(&file, &content).expect("the folder is writable");
            }
            let kept = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(
                content,
                kept,
                "{} differs; look at it, and write it with TOLLKEEPER_WRITE_DOCS=1",
                file.display()
            );
            expected.insert(file);
        }
    }
    let files = std::fs::read_dir(folder()).expect("the folder is there").flatten();
    let found: BTreeSet<_> = files.map(|file| file.path()).collect();
    assert_eq!(found, expected, "a file without a sample is left over");
}

#[test]
fn both_forms_say_the_same_and_are_short() {
    for Sample { name, about, context } in all() {
        let Composed { subject, text, html, .. } = compose(&about, &context);
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (text, page) = (flat(&text), flat(&html));
        for link in page.split("href=\"").skip(1) {
            let url = link.split('"').next().unwrap_or_default().replace("&#38;", "&");
            assert!(text.contains(&url), "{name}: the text lacks {url}");
        }
        for paragraph in page.split("<p class=\"ink\"").skip(1) {
            let words = paragraph.split_once('>').and_then(|(_, rest)| rest.split_once('<'));
            let words = words.expect("a paragraph ends").0.replace("&#39;", "'");
            assert!(text.contains(&words), "{name}: the text lacks: {words}");
        }
        assert!(page.matches("class=\"button\"").count() <= 1, "{name} has one thing to do");
        assert!(html.len() + text.len() < MAIL_MAX_BYTES - 2_048, "{name} has {} bytes", html.len());
        assert!(html.lines().all(|line| line.len() < 900), "{name}: SMTP has lines below 1,000 bytes");
        assert!(!html.contains("http://") && !html.contains("src="), "{name} loads nothing");
        assert!(subject.chars().count() < 80, "{name}: {subject}");
    }
}

#[test]
fn a_subject_has_no_amount_unless_the_settings_say_so() {
    let mut with_amount = 0;
    for Sample { name, about, context } in all() {
        let without = compose(&about, &context);
        assert!(!without.subject.contains(|c: char| c.is_ascii_digit()), "{name}: {}", without.subject);
        let context = Context { amount_in_subject: true, ..context };
        let with = compose(&about, &context);
        with_amount += usize::from(with.subject.contains('$'));
        assert_eq!((without.text, without.html), (with.text, with.html), "{name}: the rest is the same");
    }
    assert!(with_amount >= 12, "{with_amount} subjects can have an amount");
    let Sample { about, context, .. } = sample("low");
    let context = Context { amount_in_subject: true, ..context };
    assert_eq!(compose(&about, &context).subject, "Credit is low ($4.20 left): Acme Fashion");
}

#[test]
fn an_address_that_is_not_confirmed_sees_no_figures() {
    for name in ["confirm_address", "address_bounced", "endpoint_disabled"] {
        let Sample { about, context, .. } = sample(name);
        let mail = compose(&about, &context);
        assert!(!mail.text.contains('$') && !mail.html.contains('$'), "{name}");
    }
    let Sample { about, context, .. } = sample("confirm_address");
    let mail = compose(&about, &context);
    assert!(about.topic().is_none() && !mail.text.contains("Stop mails"), "there is nothing to stop yet");
}

#[test]
fn a_mail_is_as_urgent_as_its_event() {
    let severity = |name: &str| sample(name).about.severity();
    for name in ["used_up", "refused", "debt", "dispute", "auto_top_up_stopped"] {
        assert_eq!(severity(name), Severity::Critical, "{name}");
    }
    for name in ["low", "low_several", "limit_worker", "subscription_past_due", "endpoint_failing"] {
        assert_eq!(severity(name), Severity::Warning, "{name}");
    }
    for name in ["low_runway", "recovered", "top_up", "test"] {
        assert_eq!(severity(name), Severity::Info, "{name}");
    }
}

#[test]
fn every_kind_of_mails_that_can_be_muted_has_a_sample() {
    let topics: BTreeSet<_> = all().into_iter().filter_map(|sample| sample.about.topic()).collect();
    assert_eq!(topics, MailTopic::ALL.into_iter().collect());
}

#[test]
fn what_is_not_known_is_left_out() {
    let Sample { context, .. } = sample("low");
    let mut workspace = context.workspace.clone().expect("it is about a workspace");
    workspace.burn = None;
    workspace.next_grant_on = None;
    workspace.add_credits_url = None;
    let context = Context { workspace: Some(workspace), manage_url: None, unsubscribe_url: None, ..context };
    let mail = compose(&About::Test, &context);
    for absent in ["Used a day", "Used up on", "Next credit", "Most is used", "http"] {
        assert!(!mail.text.contains(absent) && !mail.html.contains(absent), "{absent}: {}", mail.text);
    }
    assert!(mail.text.contains("Available now"));
}
