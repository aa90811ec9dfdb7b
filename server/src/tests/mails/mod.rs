//! Mails: what each says and how it looks, and that a real SMTP server takes them.

mod hostile;
mod looks;
mod smtp;

use tollkeeper_ledger::Timestamp;

use crate::notify::mail::compose::compose;
use crate::notify::mail::letter::Letter;
use crate::notify::mail::samples::{Sample, all};

/// The headers that a mail may have.
const HEADERS: [&str; 13] = [
    "From",
    "To",
    "Date",
    "Subject",
    "Reply-To",
    "Message-ID",
    "Auto-Submitted",
    "References",
    "In-Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
];

/// 2026-11-29T14:05:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_961_100_000);

/// The sample of this name.
fn sample(name: &str) -> Sample {
    let mut samples = all().into_iter();
    samples.find(|sample| sample.name == name).unwrap_or_else(|| panic!("there is no sample {name}"))
}

/// The letter with a sample, as it goes to an address.
fn letter(name: &str, to: &str) -> Letter {
    let Sample { name, about, context } = sample(name);
    let mail = compose(&about, &context);
    Letter {
        message_id: format!("mail.{name}@example.com"),
        references: Some("episode.1@example.com".to_owned()),
        to: to.to_owned(),
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        unsubscribe_url: context.unsubscribe_url,
        date: NOW,
    }
}
