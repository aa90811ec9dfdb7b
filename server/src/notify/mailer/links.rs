//! The links of a letter: to confirm an address, to stop mails, and to where mails are set. What a
//! link is made of is in `notify::mail_link`.

use tollkeeper_ledger::{MailTo, MailTopic, RecipientSubject, WorkspaceId};

use crate::app::App;
use crate::notify::mail_link::{confirm_url, unsubscribe_url};
use crate::notify::secret::InstanceSecret;

/// The links of a letter to a recipient.
#[derive(Debug)]
pub(super) struct Links<'a> {
    origin: &'a str,
    secret: InstanceSecret,
}

impl Links<'_> {
    /// The links of this server; `None` if it lacks its address or its secret, with which it does
    /// not start.
    pub(super) fn of(app: &App) -> Option<Links<'_>> {
        let origin = app.public_url.as_deref()?;
        match app.webhooks.secret() {
            Ok(secret) => Some(Links { origin, secret: secret? }),
            Err(error) => {
                tracing::warn!(%error, "the secret of the instance cannot be read: mails have no links");
                None
            }
        }
    }

    /// The page on which the owner of an address agrees; `None` for a member, whose address needs
    /// no confirmation.
    pub(super) fn confirm(&self, workspace: &WorkspaceId, to: &MailTo) -> Option<String> {
        match &to.subject {
            RecipientSubject::Address(id) => {
                Some(confirm_url(self.origin, &self.secret, workspace, (*id, &to.address)))
            }
            RecipientSubject::Member(_) => None,
        }
    }

    /// The page that stops mails of a topic to a recipient.
    pub(super) fn unsubscribe(&self, workspace: &WorkspaceId, to: &MailTo, topic: MailTopic) -> String {
        unsubscribe_url(self.origin, &self.secret, workspace, (&to.subject, &to.address), topic)
    }

    /// The page where an admin changes who gets mails.
    pub(super) fn manage(&self) -> String {
        format!("{}/portal", self.origin)
    }
}
