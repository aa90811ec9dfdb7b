//! Mails about a webhook endpoint that accepts nothing: after an hour, and after a day. That it was
//! disabled is an entry, and mailed as one.
//!
//! What was mailed is remembered in memory. A server that starts in the hours after such a time
//! mails again, with the same ids, so it is the same mail.

use std::sync::PoisonError;

use tollkeeper_engine::{Error, SubscriberState};
use tollkeeper_ledger::{Timestamp, WebhookEndpoint, WebhookEndpointId};

use super::letters::{self, Mail};
use super::state::{Mailer, Warning};
use super::{context, facts, ids};
use crate::app::App;
use crate::notify::mail::about::About;
use crate::notify::mail::relay::Sent;

/// After how many hours without one success a mail is sent.
const HOURS: [u32; 2] = [1, 24];

/// How long after these hours the mail still makes sense, in seconds.
const LATE_MAX_SECONDS: i64 = 2 * 3_600;

/// The pause after a mail that the relay did not take, in seconds.
const RETRY_SECONDS: i64 = 60;

impl Mailer {
    /// The warning about an endpoint that is to be sent now.
    fn due_warning(
        &self,
        id: WebhookEndpointId,
        failing_since: Timestamp,
        now: Timestamp,
    ) -> Option<Warning> {
        let is_time = |hours: &u32| {
            let since = failing_since.plus_seconds(i64::from(*hours) * 3_600);
            since <= now && now < since.plus_seconds(LATE_MAX_SECONDS)
        };
        let hours = HOURS.into_iter().rev().find(is_time)?;
        let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = |last: &&Warning| (last.failing_since, last.hours) == (failing_since, hours);
        if known.get(&id).filter(of_this).is_some_and(|last| last.again_at.is_none_or(|at| now < at)) {
            return None;
        }
        let warning = Warning { failing_since, hours, again_at: Some(now.plus_seconds(RETRY_SECONDS)) };
        known.insert(id, warning);
        Some(warning)
    }

    fn note_warning_sent(&self, id: WebhookEndpointId, warning: Warning) {
        let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, Warning { again_at: None, ..warning });
    }

    /// Mails that an endpoint accepts nothing, if it is time.
    ///
    /// # Errors
    /// The engine cannot read the recipients.
    pub(in crate::notify) async fn warn_of_endpoint(
        &self,
        app: &App,
        endpoint: &WebhookEndpoint,
        state: &SubscriberState,
    ) -> Result<(), Error> {
        let Some(failing_since) = state.failing_since else { return Ok(()) };
        let now = app.now();
        let Some(warning) = self.due_warning(endpoint.id, failing_since, now) else { return Ok(()) };
        let audience = facts::of_endpoint(endpoint);
        let last_outcome = state.attempts.last().map(|attempt| attempt.outcome.to_string());
        let about = About::EndpointFailing {
            url: endpoint.url.to_string(),
            hours: warning.hours,
            last_outcome: last_outcome.unwrap_or_default(),
        };
        let facts = context::of_audience(app, &audience).await?;
        let what = format!("{} {} {}", endpoint.id, failing_since.millis(), warning.hours);
        let mut is_sent = true;
        for to in letters::addressees(app.engine(), self, &audience).await? {
            let id = ids::of_other(&what, &to.name());
            let mail = Mail { id: &id, about: &about, thread: None, date: now, entry: 0 };
            let sent = self.deliver(app, &mail, &to, facts.as_ref()).await?;
            is_sent &= !matches!(sent, Sent::Later { .. });
        }
        if is_sent {
            self.note_warning_sent(endpoint.id, warning);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::Id;

    use super::*;
    use crate::notify::mail::settings::MailSettings;

    #[test]
    fn a_fault_is_mailed_after_an_hour_and_after_a_day_and_tried_again_until_it_was_sent() {
        let mut settings = MailSettings::default();
        settings.set("smtp_url", "smtp://relay.example").expect("a URL");
        let mailer = Mailer::new(&settings).expect("a relay is set");
        let (id, since) = (WebhookEndpointId(Id::v7(1, 0, 1)), Timestamp::from_millis(1_000));
        let due = |seconds: i64| {
            let warning = mailer.due_warning(id, since, since.plus_seconds(seconds));
            warning.map(|warning| warning.hours)
        };
        assert_eq!(due(3_599), None);
        assert_eq!(due(3_600), Some(1));
        assert_eq!((due(3_601), due(3_660)), (None, Some(1)), "it was not sent");
        let sent = Warning { failing_since: since, hours: 1, again_at: None };
        mailer.note_warning_sent(id, sent);
        assert_eq!((due(4_000), due(20_000)), (None, None));
        assert_eq!(due(86_400), Some(24));
        mailer.note_warning_sent(id, Warning { hours: 24, ..sent });
        assert_eq!((due(86_500), due(200_000)), (None, None));
        let later = since.plus_seconds(300_000);
        assert!(mailer.due_warning(id, later, later.plus_seconds(3_700)).is_some(), "another fault");
    }
}
