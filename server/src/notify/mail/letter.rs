//! A mail as it leaves: its headers and its two bodies, plain text and HTML.
//!
//! The headers say that a program wrote it (so no holiday note answers), how to unsubscribe with
//! one click (RFC 8058), and which mails belong together. The `Message-ID` comes from the caller
//! and is the same at every attempt, so that a doubled sending is one mail. Texts of customers
//! cannot begin a header: control characters are taken out, and the rest is encoded.
//!
//! What a mail says is in `compose`. Who takes it is in `relay`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, MultiPart, SinglePart};
use sha2::{Digest, Sha256};
use tollkeeper_ledger::{Timestamp, hex};

use super::address::MailAddress;

/// The most characters of a subject.
const SUBJECT_MAX_CHARS: usize = 160;

/// A mail to one recipient.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its id without angle brackets, such as `0123abcd@example.com`; the same at every attempt.
    pub message_id: String,
    /// The id of the thread that it belongs to, without angle brackets.
    pub references: Option<String>,
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same content in HTML.
    pub html: String,
    /// Where a POST stops mails of this kind to this address.
    pub unsubscribe_url: Option<String>,
    /// The time of what it is about.
    pub date: Timestamp,
}

/// Why a letter cannot be sent to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// The recipient's address is none.
    Address,
    /// An id or a URL of it has other characters than it may have, which is a bug.
    Field(&'static str),
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsendable::Address => f.write_str("it is not an e-mail address"),
            Unsendable::Field(name) => write!(f, "the header {name} cannot be written"),
        }
    }
}

/// A letter in the form in which it is sent.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// The recipient.
    pub to: lettre::Address,
    /// Headers and bodies.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// The letter in the form in which it is sent.
    ///
    /// # Errors
    /// The address is none, or a field has characters that no header may have.
    pub(super) fn seal(
        &self,
        from: &MailAddress,
        reply_to: Option<&MailAddress>,
    ) -> Result<Sealed, Unsendable> {
        let to = MailAddress::new(&self.to).ok_or(Unsendable::Address)?;
        let id = angled("Message-ID", &self.message_id)?;
        let boundary = hex(&Sha256::digest(self.message_id.as_bytes()).into());
        let part = |content_type, text: &str| {
            let body = Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable);
            let body = body.map_err(|_| Unsendable::Field("Content-Transfer-Encoding"))?;
            Ok(SinglePart::builder().header(content_type).body(body))
        };
        let parts = MultiPart::alternative().boundary(&boundary[..32]);
        let parts = parts.singlepart(part(ContentType::TEXT_PLAIN, &self.text)?);
        let parts = parts.singlepart(part(ContentType::TEXT_HTML, &self.html)?);
        let mut message = Message::builder()
            .from(from.mailbox())
            .to(to.mailbox())
            .date(system_time(self.date))
            .subject(subject_line(&self.subject));
        if let Some(reply_to) = reply_to {
            message = message.reply_to(reply_to.mailbox());
        }
        let mut headers = vec![("Message-ID", id), ("Auto-Submitted", "auto-generated".to_owned())];
        if let Some(thread) = &self.references {
            let thread = angled("References", thread)?;
            headers.extend([("References", thread.clone()), ("In-Reply-To", thread)]);
        }
        if let Some(url) = &self.unsubscribe_url {
            headers.push(("List-Unsubscribe", angled("List-Unsubscribe", url)?));
            headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        for (name, value) in headers {
            let name = HeaderName::new_from_ascii_str(name);
            let value = HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value);
            message = message.raw_header(value);
        }
        let message = message.multipart(parts).map_err(|_| Unsendable::Address)?;
        Ok(Sealed { to: to.bare(), bytes: message.formatted() })
    }
}

/// An id or a URL in angle brackets. It is written as it is, so its characters are checked: a
/// header that is folded or encoded inside of it would be another one.
fn angled(name: &'static str, text: &str) -> Result<String, Unsendable> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>'));
    let fits = (1..900).contains(&text.len());
    if is_plain && fits { Ok(format!("<{text}>")) } else { Err(Unsendable::Field(name)) }
}

/// A text on one line: control characters and runs of blanks become one blank. Characters that turn
/// the direction of a text are left out, because what follows them would be read backwards.
#[must_use]
pub fn one_line(text: &str) -> String {
    let is_gap = |c: char| c.is_control() || c.is_whitespace() || "\u{2028}\u{2029}".contains(c);
    let is_turn =
        |c: &char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let words = text.split(is_gap).map(|word| word.chars().filter(|c| !is_turn(c)).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<String>>().join(" ")
}

/// A subject on one line, not longer than a list of mails shows.
fn subject_line(text: &str) -> String {
    let line = one_line(text);
    if line.chars().count() <= SUBJECT_MAX_CHARS {
        return line;
    }
    let cut: String = line.chars().take(SUBJECT_MAX_CHARS - 1).collect();
    format!("{}…", cut.trim_end())
}

fn system_time(at: Timestamp) -> SystemTime {
    let millis = u64::try_from(at.millis()).unwrap_or_default();
    // The years that the header can write end with 9999.
    let millis = millis.min(253_402_300_799_000);
    UNIX_EPOCH + Duration::from_millis(millis)
}
