//! A mail that an admin asks for, to see whether mails arrive. It goes to those who would get a
//! warning now, at once and not by the journal.

use tollkeeper_engine::Error;
use tollkeeper_ledger::{MailTopic, WorkspaceId};

use super::facts::Audience;
use super::letters::{self, Mail};
use super::state::Mailer;
use super::{context, ids};
use crate::app::App;
use crate::notify::mail::about::About;
use crate::notify::mail::relay::Sent;

/// What became of the mail to one recipient.
#[derive(Clone, Debug)]
pub(crate) struct TrialOutcome {
    /// The address.
    pub address: String,
    /// True if the relay took it over.
    pub is_accepted: bool,
    /// What the relay answered, for people.
    pub outcome: String,
}

impl Mailer {
    /// Sends a mail to the recipients of a workspace. `random`: what makes its ids its own.
    ///
    /// # Errors
    /// The engine cannot read the recipients, or note what became of a mail.
    pub(crate) async fn try_out(
        &self,
        app: &App,
        workspace: &WorkspaceId,
        random: &str,
    ) -> Result<Vec<TrialOutcome>, Error> {
        // Those of a topic that reaches somebody, also if all have muted it.
        let audience = Audience::Topic(workspace.clone(), MailTopic::Refused);
        let addressees = letters::addressees(app.engine(), self, &audience).await?;
        let facts = context::of_audience(app, &audience).await?;
        let mut outcomes = Vec::with_capacity(addressees.len());
        for to in addressees {
            let id = ids::of_other(random, &to.name());
            let mail = Mail { id: &id, about: &About::Test, thread: None, date: app.now(), entry: 0 };
            let sent = self.deliver(app, &mail, &to, facts.as_ref()).await?;
            outcomes.push(TrialOutcome {
                address: to.address,
                is_accepted: sent == Sent::Accepted,
                outcome: sent.to_string(),
            });
        }
        Ok(outcomes)
    }
}
