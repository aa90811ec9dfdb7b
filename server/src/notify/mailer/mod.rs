//! Sends e-mails: a subscriber of the journal that is always there once a relay is set (P13).
//!
//! ```text
//! facts      what an entry is mailed about, and to whom
//! context    the workspace and its credit, as the reports show them
//! letters    whom a mail goes to now, and the letter to each
//! links      the links of a letter
//! ids        the ids of mails
//! state      the relay, counters, and what is remembered for a while
//! outlet     sends the mails about an entry, and what follows from the answer
//! trial      a mail that somebody asks for, to see whether mails arrive
//! failing    mails about webhook endpoints that accept nothing
//! ```
//!
//! What a mail says and how it leaves is in `notify::mail`. Who gets it is decided in the ledger's
//! team.

mod context;
mod facts;
mod failing;
mod ids;
mod letters;
mod links;
pub(super) mod outlet;
pub(crate) mod state;
pub(crate) mod trial;

use tollkeeper_engine::Error;
use tollkeeper_ledger::{Actor, Command, MailFault, RecipientCommand, Submission, TeamCommand, WorkspaceId};

use self::letters::{Addressee, Mail};
use self::state::Mailer;
use super::mail::context::WorkspaceFacts;
use super::mail::relay::Sent;
use crate::app::App;

impl Mailer {
    /// Hands a mail to the relay once, and notes what became of it in the journal of the
    /// recipient's workspace.
    ///
    /// # Errors
    /// The engine cannot note that the address is at fault.
    async fn deliver(
        &self,
        app: &App,
        mail: &Mail<'_>,
        to: &Addressee,
        workspace: Option<&WorkspaceFacts>,
    ) -> Result<Sent, Error> {
        if self.has_accepted(mail.id) {
            return Ok(Sent::Accepted);
        }
        let sent = match self.relay() {
            Ok(relay) => relay.send(&letters::write(app, self, mail, to, workspace)).await,
            Err(error) => Sent::Later { code: None, text: error.to_string() },
        };
        self.note_sent(mail.id, &sent);
        let Some((workspace, recipient)) = &to.recipient else { return Ok(sent) };
        let (subject, address) = (recipient.subject.clone(), recipient.address);
        match &sent {
            Sent::Accepted => {
                let topic = mail.about.topic();
                let noted =
                    note(app, workspace, RecipientCommand::NoteMail { about: mail.entry, topic, subject });
                if let Err(error) = noted.await {
                    // It was sent, so it must not be sent again because of its note.
                    tracing::warn!(%workspace, %error, "a mail was sent and could not be noted");
                }
            }
            Sent::AddressRefused { .. } => {
                tracing::info!(%workspace, recipient = %subject, "an address takes no mails any more");
                let fault = MailFault::Bounced;
                note(app, workspace, RecipientCommand::NoteFault { subject, address, fault }).await?;
            }
            Sent::Refused { .. } | Sent::Later { .. } => {}
        }
        Ok(sent)
    }
}

/// Notes what became of a mail in the journal of a workspace.
async fn note(app: &App, workspace: &WorkspaceId, command: RecipientCommand) -> Result<(), Error> {
    let command = Command::Team(TeamCommand::Recipient(command));
    let submission = Submission { workspace: workspace.clone(), key: None, actor: Actor::System, command };
    if let Err(refusal) = app.engine().run(submission, app.now()).await? {
        // The recipient may be gone since.
        tracing::debug!(%workspace, why = refusal.code(), "what became of a mail was not noted");
    }
    Ok(())
}
