//! Mails over SMTP, to a server of other makers: what arrives, and what each answer means.

use std::path::Path;
use std::time::{Duration, Instant};

use tollkeeper_testkit::smtp::{Encryption, SmtpServer, is_missing};

use super::*;
use crate::notify::mail::relay::{Relay, Sent};
use crate::settings::{MailAddress, MailSettings, RelayUrl};

fn settings(url: &str) -> MailSettings {
    let mut settings = MailSettings { relay: RelayUrl::read(url), ..MailSettings::default() };
    assert!(settings.relay.is_some(), "{url} is a relay");
    settings.from = MailAddress::new("Acme Billing <billing@example.com>");
    settings.reply_to = MailAddress::new("help@example.com");
    settings
}

fn relay(url: &str) -> Relay {
    Relay::new(&settings(url)).expect("the settings are complete")
}

fn open_url(server: &SmtpServer) -> String {
    format!("smtp://{}?tls=none", server.address())
}

#[tokio::test]
async fn a_mail_arrives_with_its_headers_and_both_bodies() {
    if is_missing() {
        return;
    }
    let server = SmtpServer::start();
    let letter = letter("low", "ada@example.com");
    assert_eq!(relay(&open_url(&server)).send(&letter).await, Sent::Accepted);
    let mail = server.next_mail();
    assert_eq!((mail.from(), mail.to()), ("billing@example.com", "ada@example.com"));
    for (header, expected) in [
        ("From", "Acme Billing <billing@example.com>"),
        ("Reply-To", "help@example.com"),
        ("To", "ada@example.com"),
        ("Subject", "Credit is low: Acme Fashion"),
        ("Date", "Sun, 29 Nov 2026 14:05:00 +0000"),
        ("Message-ID", "<mail.low@example.com>"),
        ("References", "<episode.1@example.com>"),
        ("In-Reply-To", "<episode.1@example.com>"),
        ("Auto-Submitted", "auto-generated"),
        (
            "List-Unsubscribe",
            "<https://billing.example.com/mail/unsubscribe/acme/ada/balance.low?token=kq3vX0>",
        ),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ] {
        assert_eq!(mail.headers(header), [expected], "{header}");
    }
    assert_eq!(mail.defects(), Vec::<&str>::new(), "Python's parser finds no fault");
    let line_ends = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(line_ends(mail.text()), letter.text.trim_end());
    assert_eq!(line_ends(mail.html()), letter.html.trim_end());
    assert!(!mail.raw().replace("\r\n", "").contains(['\r', '\n']), "every line ends with CR LF");
    assert!(mail.raw().lines().all(|line| line.len() <= 200), "lines are short");
}

#[tokio::test]
async fn every_mail_is_small_and_without_fault_and_hostile_names_add_no_header() {
    if is_missing() {
        return;
    }
    let server = SmtpServer::start();
    let relay = relay(&open_url(&server));
    let mut letters: Vec<Letter> =
        all().iter().map(|sample| letter(sample.name, "ada@example.com")).collect();
    for name in ["Acme\r\nBcc: eve@example.com\r\n\r\nbody", "=?utf-8?q?x?=\u{202e}", "Ünïcödé 株式会社 🧵"]
    {
        let Sample { about, mut context, .. } = sample("low");
        context.workspace.as_mut().expect("it is about a workspace").name = name.repeat(20);
        let mail = compose(&about, &context);
        let base = letter("low", "ada@example.com");
        letters.push(Letter { subject: mail.subject, text: mail.text, html: mail.html, ..base });
        // Also a subject that was not composed.
        let base = letter("low", "ada@example.com");
        letters.push(Letter { subject: name.to_owned(), ..base });
    }
    for letter in letters {
        assert_eq!(relay.send(&letter).await, Sent::Accepted, "{}", letter.subject);
        let mail = server.next_mail();
        assert_eq!(mail.defects(), Vec::<&str>::new(), "{}", letter.subject);
        assert!(mail.raw().len() < 20 * 1024, "{} has {} bytes", letter.subject, mail.raw().len());
        assert_eq!(mail.to(), "ada@example.com");
        assert!(mail.headers("Bcc").is_empty() && !mail.header("Subject").contains('\n'));
        let names = mail.header_names();
        let unknown: Vec<_> = names.iter().filter(|name| !HEADERS.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[tokio::test]
async fn each_answer_says_whose_fault_it_is() {
    if is_missing() {
        return;
    }
    let mut server = SmtpServer::start();
    let url = open_url(&server);
    let sender = relay(&url);
    for (to, expected) in [
        ("refused550@example.com", "the recipient was refused: 550 5.1.1 No such user here"),
        ("plain550@example.com", "the recipient was refused: 550 No such user here"),
        ("missing554@example.com", "the recipient was refused: 554 5.1.1 No such user after all"),
        ("not an address", "the recipient was refused: 553 it is not an e-mail address"),
        ("relay554@example.com", "not now: 554 5.7.1 Relay access denied"),
        ("later451@example.com", "not now: 451 4.7.1 Greylisted, come back later"),
        ("content452@example.com", "not now: 452 4.3.1 Out of space"),
        ("content554@example.com", "the mail was refused: 554 5.6.0 This looks like spam"),
        ("ada@example.com", "accepted"),
        ("grüße@example.com", "accepted"),
    ] {
        assert_eq!(sender.send(&letter("low", to)).await.to_string(), expected, "{to}");
    }
    let taken = [server.next_mail(), server.next_mail()].map(|mail| mail.to().to_owned());
    assert_eq!(taken, ["ada@example.com", "grüße@example.com"]);
    server.control("all 451 4.3.0 Come back later");
    let later = sender.send(&letter("low", "ada@example.com")).await;
    assert_eq!(later.to_string(), "not now: 451 4.3.0 Come back later");
    server.control("all 550 5.7.26 Not authenticated");
    let later = sender.send(&letter("low", "ada@example.com")).await;
    assert_eq!(later.to_string(), "not now: 550 5.7.26 Not authenticated", "the sender is at fault");

    let mut strange = settings(&url);
    strange.from = MailAddress::new("sender550@example.com");
    server.control("all");
    let refused = Relay::new(&strange).expect("it is complete").send(&letter("low", "ada@example.com")).await;
    assert!(matches!(refused, Sent::Later { code: Some(550), .. }), "{refused}");
}

#[tokio::test]
async fn a_silent_relay_ends_after_the_time_out() {
    if is_missing() {
        return;
    }
    let mut server = SmtpServer::start();
    let mut brisk = settings(&open_url(&server));
    brisk.step_timeout = Duration::from_millis(300);
    let sender = Relay::new(&brisk).expect("it is complete");
    let begun = Instant::now();
    let sent = sender.send(&letter("low", "silent@example.com")).await;
    assert_eq!(sent.to_string(), "not now: the relay did not answer in time (RCPT)");
    brisk.step_timeout = Duration::from_secs(60);
    brisk.attempt_timeout = Duration::from_millis(300);
    server.control("all silent");
    let sender = Relay::new(&brisk).expect("it is complete");
    let sent = sender.send(&letter("low", "ada@example.com")).await;
    assert_eq!(sent.to_string(), "not now: the relay did not take the mail in time");
    // A listener that never says a word, as a port that somebody else has taken.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    brisk.relay = RelayUrl::read(&format!("smtp://{}?tls=none", deaf.local_addr().expect("it listens")));
    brisk.step_timeout = Duration::from_millis(300);
    brisk.attempt_timeout = Duration::from_secs(60);
    let sent = Relay::new(&brisk).expect("it is complete").send(&letter("low", "ada@example.com")).await;
    assert_eq!(sent.to_string(), "not now: the relay did not answer in time (connecting)");
    assert!(begun.elapsed() < Duration::from_secs(30), "no attempt waits for the system's time-out");
}

#[tokio::test]
async fn connections_are_used_again_and_a_closed_one_is_no_failure() {
    if is_missing() {
        return;
    }
    let mut server = SmtpServer::start();
    let sender = relay(&open_url(&server));
    let mut connections = Vec::new();
    for round in 0..4 {
        if round == 2 {
            server.control("hang up");
        }
        assert_eq!(sender.send(&letter("low", "ada@example.com")).await, Sent::Accepted);
        connections.push(server.next_mail().connection().to_owned());
    }
    assert_eq!(connections[0], connections[1]);
    assert_ne!(connections[1], connections[2], "the server had closed it");
    assert_eq!(connections[2], connections[3]);
    // The server accepted the mail, and the answer was lost: it is sent again under the same id.
    let lost = sender.send(&letter("low", "lost@example.com")).await;
    assert!(matches!(lost, Sent::Later { code: None, .. }), "{lost}");
    assert_eq!(server.next_mail().header("Message-ID"), "<mail.low@example.com>");
    drop(server);
    let gone = sender.send(&letter("low", "ada@example.com")).await;
    assert!(matches!(gone, Sent::Later { code: None, .. }), "{gone}");
}

#[tokio::test]
async fn encryption_and_passwords_are_as_the_url_says() {
    if is_missing() {
        return;
    }
    let ada = || letter("low", "ada@example.com");
    for (encryption, scheme) in [(Encryption::Offered, "smtp"), (Encryption::Immediate, "smtps")] {
        let server = SmtpServer::start_with(encryption, Some(("ada@example.com", "p:w")));
        let authority = server.certificate().display().to_string();
        let url = format!("{scheme}://ada%40example.com:p%3Aw@{}?ca={authority}", server.address());
        assert_eq!(relay(&url).send(&ada()).await, Sent::Accepted, "{scheme}");
        let mail = server.next_mail();
        assert!(mail.is_encrypted());
        assert_eq!(mail.user(), Some("ada@example.com"));

        let stranger = format!("{scheme}://ada%40example.com:p%3Aw@{}", server.address());
        let refused = relay(&stranger).send(&ada()).await;
        assert!(matches!(refused, Sent::Later { code: None, .. }), "nobody vouches for it: {refused}");
        let wrong = format!("{scheme}://ada%40example.com:other@{}?ca={authority}", server.address());
        let refused = relay(&wrong).send(&ada()).await;
        assert!(matches!(refused, Sent::Later { code: Some(535), .. }), "{refused}");
        assert!(!refused.to_string().contains("other") && !format!("{:?}", relay(&wrong)).contains("other"));
        assert!(server.mails().is_empty());
    }
    let open = SmtpServer::start();
    let refused = relay(&format!("smtp://{}", open.address())).send(&ada()).await;
    assert_eq!(refused.to_string(), "not now: the relay does not offer STARTTLS");
    let sender = relay(&format!("smtp://{}?tls=opportunistic", open.address()));
    assert_eq!(sender.send(&ada()).await, Sent::Accepted);
    assert!(!open.next_mail().is_encrypted());
}

#[tokio::test]
async fn a_folder_has_one_file_for_each_mail() {
    let scratch = tempfile::tempdir().expect("a directory");
    let folder = scratch.path().join("mails");
    let sender = relay(&format!("file://{}", folder.display()));
    for name in ["low", "refused", "low"] {
        assert_eq!(sender.send(&letter(name, "ada@example.com")).await, Sent::Accepted);
    }
    let files = |folder: &Path| {
        std::fs::read_dir(folder).expect("it was made").flatten().map(|file| file.path()).collect::<Vec<_>>()
    };
    let found = files(&folder);
    assert_eq!(found.len(), 2, "a mail that is sent again replaces itself: {found:?}");
    let text = std::fs::read_to_string(&found[0]).expect("it is a text");
    assert!(text.contains("Message-ID: <mail.") && text.contains("To: ada@example.com"));
    std::fs::remove_dir_all(&folder).expect("it is there");
    let failed = sender.send(&letter("low", "ada@example.com")).await;
    assert!(matches!(failed, Sent::Later { code: None, .. }), "{failed}");
}
