//! Names of customers that try to become headers, markup or another text.

use super::*;
use crate::notify::mail::about::About;
use crate::notify::mail::context::Context;
use crate::notify::mail::letter::one_line;
use crate::notify::mail::relay::{Relay, Sent};
use crate::settings::{MailAddress, MailSettings, RelayUrl};

const NAMES: [&str; 11] = [
    "Acme\r\nBcc: eve@example.com",
    "Acme\n\n<script>alert(1)</script>",
    "\u{202e}moc.live\u{202c} <b>bold</b> & \"quoted\" 'x'",
    "=?utf-8?q?Bcc=3A_eve?=",
    "Ünïcödé 株式会社 🧵",
    "\u{0}\u{7}\u{2028}",
    "{{ page.why }} {% include \"x\" %}",
    "\"><script>alert(1)</script>",
    "' onmouseover='alert(1)' x='",
    "</title></style></td></table><img src=x onerror=alert(1)>&amp;&lt;b&gt;",
    "=1+1\t@SUM(A1)",
];

/// The mail with this text wherever a customer, a member or another server has a word in it.
fn with_texts(about: About, context: &mut Context, text: &str) -> About {
    let text = text.to_owned();
    if let Some(workspace) = &mut context.workspace {
        workspace.name = text.clone();
        if let Some(burn) = &mut workspace.burn {
            burn.top.iter_mut().for_each(|(operation, _)| operation.clone_from(&text));
        }
    }
    match about {
        About::SubscriptionRenewed { credits, .. } => About::SubscriptionRenewed { plan: text, credits },
        About::SubscriptionPastDue { .. } => About::SubscriptionPastDue { plan: text },
        About::SubscriptionEnded { .. } => About::SubscriptionEnded { plan: text },
        About::Refused { required, available, refusals, .. } => {
            About::Refused { operation: text, required, available, refusals }
        }
        About::AddressRefused { how, .. } => About::AddressRefused { address: text, how },
        About::EndpointDisabled { fault, .. } => About::EndpointDisabled { url: text, fault },
        About::EndpointFailing { hours, .. } => {
            About::EndpointFailing { url: text.clone(), hours, last_outcome: text }
        }
        // They have no texts but ids, of which ledger and engine allow few characters.
        about @ (About::Low { .. }
        | About::Recovered { .. }
        | About::Limit { .. }
        | About::TopUpSucceeded { .. }
        | About::TopUpFailed { .. }
        | About::TopUpRefunded { .. }
        | About::AutoTopUpPaused { .. }
        | About::AutoTopUpStopped { .. }
        | About::Dispute { .. }
        | About::Debt { .. }
        | About::ConfirmAddress { .. }
        | About::Test) => about,
    }
}

/// The start tags of a mail: their number, and those with attributes of events.
fn tags(html: &str) -> (usize, usize) {
    let tags = html.split('<').skip(1).filter(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic()));
    let tags: Vec<&str> = tags.filter_map(|tag| tag.split('>').next()).collect();
    let events = tags.iter().filter(|tag| tag.contains(" on")).count();
    (tags.len(), events)
}

#[test]
fn a_name_cannot_become_a_header_or_markup() {
    for name in NAMES.map(str::to_owned).into_iter().chain(["long ".repeat(500), "x".repeat(3_000)]) {
        for Sample { name: sample, about, mut context } in all() {
            let harmless = with_texts(about.clone(), &mut context, "Acme");
            let expected = tags(&compose(&harmless, &context).html);
            let about = with_texts(about, &mut context, &name);
            let mail = compose(&about, &context);
            assert_eq!(tags(&mail.html), expected, "{sample}: {name:?} adds no tag: {}", mail.html);
            assert_eq!(expected.1, 0, "{sample}");
            assert!(!mail.subject.contains(char::is_control), "{sample}: {:?}", mail.subject);
            let parts = ["<script", "<b>", "\u{202e}", "\u{0}"];
            for part in parts {
                assert!(!mail.html.contains(part), "{sample}: {part:?} of {name:?} is in the page");
                assert!(!mail.text.contains("\u{202e}") && !mail.subject.contains("\u{202e}"), "{sample}");
            }
        }
    }
}

#[tokio::test]
async fn no_text_adds_a_header_or_a_part() {
    let scratch = tempfile::tempdir().expect("a directory");
    for (at, name) in NAMES.into_iter().enumerate() {
        for Sample { name: sample, about, mut context } in all() {
            let folder = scratch.path().join(format!("{at}-{sample}"));
            let url = format!("file://{}", folder.display());
            let mut settings = MailSettings { relay: RelayUrl::read(&url), ..MailSettings::default() };
            settings.from = MailAddress::new("billing@example.com");
            context.amount_in_subject = true;
            let about = with_texts(about, &mut context, name);
            let mail = compose(&about, &context);
            let base = letter(sample, "ada@example.com");
            let sent = Letter { subject: mail.subject, text: mail.text, html: mail.html, ..base };
            let relay = Relay::new(&settings).expect("the settings are complete");
            assert_eq!(relay.send(&sent).await, Sent::Accepted, "{sample}");
            let file = std::fs::read_dir(&folder).expect("it was made").flatten().next().expect("a mail");
            let raw = std::fs::read_to_string(file.path()).expect("a mail is ASCII").replace("\r\n", "\n");
            let head = raw.split("\n\n").next().unwrap_or_default();
            for line in head.lines().filter(|line| !line.starts_with([' ', '\t'])) {
                let header = line.split(':').next().unwrap_or_default();
                assert!(HEADERS.contains(&header), "{sample}: {line}");
            }
            assert!(raw.is_ascii() && raw.lines().all(|line| line.len() < 998), "{sample}");
            assert_eq!(raw.matches("\nContent-Type: text/").count(), 2, "{sample}: {raw}");
        }
    }
}

#[test]
fn a_text_on_one_line_keeps_its_words() {
    for (text, line) in [
        ("a\r\nb", "a b"),
        ("  a \t b  ", "a b"),
        ("\u{202e}abc\u{2069}", "abc"),
        ("株式会社", "株式会社"),
        ("\u{0}", ""),
    ] {
        assert_eq!(one_line(text), line);
    }
}
