//! A mail that says nothing but that mails arrive, to try the settings.

use tollkeeper_ledger::{Timestamp, hex};

use super::about::About;
use super::compose::compose;
use super::context::{Context, WhyYou};
use super::letter::Letter;
use super::relay::{Relay, Sent};
use super::settings::MailSettings;
use crate::access::secret::random;

/// Sends a test mail to an address by these settings.
///
/// # Errors
/// The settings name no relay or no sender, or the operating system gives no random numbers or no
/// certificate authorities.
pub async fn send(settings: &MailSettings, to: &str, now: Timestamp) -> std::io::Result<Sent> {
    let relay = Relay::new(settings)?;
    let context = Context {
        workspace: None,
        manage_url: None,
        unsubscribe_url: None,
        why_you: WhyYou::Tester,
        amount_in_subject: false,
    };
    let mail = compose(&About::Test, &context);
    let letter = Letter {
        message_id: format!("test.{}@{}", hex(&random()?), relay.domain()),
        references: None,
        to: to.to_owned(),
        subject: mail.subject,
        text: mail.text,
        html: mail.html,
        unsubscribe_url: None,
        date: now,
    };
    Ok(relay.send(&letter).await)
}
