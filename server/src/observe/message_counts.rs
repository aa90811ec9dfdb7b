//! The metrics of what the server sends by itself: messages to webhook endpoints, and mails.

use std::fmt::Write;

use super::metrics::head;
use crate::notify::mailer::state::MailCounts;
use crate::notify::webhooks::WebhookCounts;

/// The numbers of what is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageCounts {
    /// Messages to webhook endpoints.
    pub webhooks: WebhookCounts,
    /// Mails.
    pub mails: MailCounts,
}

impl MessageCounts {
    /// The metrics in the text format of Prometheus.
    pub fn write(&self, text: &mut String) -> std::fmt::Result {
        let WebhookCounts { sent, failed, down, lag_seconds } = self.webhooks;
        for (name, kind, help, value) in [
            (
                "tollkeeper_webhook_messages_total",
                "counter",
                "Messages that webhook endpoints accepted.",
                sent,
            ),
            (
                "tollkeeper_webhook_failures_total",
                "counter",
                "Attempts to send a message to a webhook endpoint that failed.",
                failed,
            ),
            (
                "tollkeeper_webhook_endpoints_down",
                "gauge",
                "Webhook endpoints to which nothing new is sent, because too much has failed.",
                down,
            ),
            (
                "tollkeeper_webhook_lag_seconds",
                "gauge",
                "Age of the oldest entry that a webhook endpoint has not been sent.",
                lag_seconds,
            ),
        ] {
            head(text, name, kind, help)?;
            writeln!(text, "{name} {value}")?;
        }
        let MailCounts { sent, failed, waiting, lag } = self.mails;
        for (name, kind, help, value) in [
            ("tollkeeper_mails_total", "counter", "Mails that the relay took over.", sent),
            ("tollkeeper_mail_failures_total", "counter", "Attempts to send a mail that failed.", failed),
            ("tollkeeper_mails_waiting", "gauge", "Mails that failed and are sent again.", waiting),
            (
                "tollkeeper_mailer_down",
                "gauge",
                "1 if no new mail is sent, because too many have failed, else 0.",
                u64::from(lag.is_down),
            ),
            (
                "tollkeeper_mail_lag_seconds",
                "gauge",
                "Age of the oldest entry that is to be mailed and was not tried yet.",
                lag.seconds,
            ),
        ] {
            head(text, name, kind, help)?;
            writeln!(text, "{name} {value}")?;
        }
        Ok(())
    }
}
