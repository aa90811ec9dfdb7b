//! Whom a mail goes to, and the letter to each of them.
//!
//! Who gets mails of a topic is decided in the ledger's team. The texts of addresses stand beside
//! the journal; an address that was erased gets no mail.

use tollkeeper_engine::{Engine, Error, Reads};
use tollkeeper_ledger::{MailTo, RecipientSubject, Team, Timestamp, WorkspaceId};

use super::facts::Audience;
use super::links::Links;
use super::state::Mailer;
use crate::app::App;
use crate::notify::mail::about::About;
use crate::notify::mail::compose::compose;
use crate::notify::mail::context::{Context, WhyYou, WorkspaceFacts};
use crate::notify::mail::letter::Letter;

/// Where a mail goes.
#[derive(Clone, Debug)]
pub(super) struct Addressee {
    /// The workspace and its recipient; `None` for an address of the platform.
    pub recipient: Option<(WorkspaceId, MailTo)>,
    /// The address.
    pub address: String,
    why: WhyYou,
}

impl Addressee {
    /// What makes the ids of mails to it its own. It has no text about a person, except for an
    /// address of the platform, which is in the settings.
    pub(super) fn name(&self) -> String {
        match &self.recipient {
            Some((workspace, to)) => format!("{workspace}/{}", to.subject),
            None => self.address.clone(),
        }
    }

    /// The workspace of the recipient.
    pub(super) fn workspace(&self) -> Option<&WorkspaceId> {
        self.recipient.as_ref().map(|(workspace, _)| workspace)
    }
}

/// A mail before it is written for a recipient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail<'a> {
    /// Its id, without the domain.
    pub id: &'a str,
    pub about: &'a About,
    /// The name of its thread.
    pub thread: Option<&'a str>,
    /// The time of what it is about.
    pub date: Timestamp,
    /// The number of the entry that it is about, in the journal of the recipient's workspace; 0 if
    /// there is none.
    pub entry: u64,
}

/// Whom a mail goes to now.
///
/// # Errors
/// The engine cannot read the team or the addresses.
pub(super) async fn addressees(
    engine: &dyn Engine,
    mailer: &Mailer,
    audience: &Audience,
) -> Result<Vec<Addressee>, Error> {
    let workspace = match audience {
        Audience::Topic(workspace, _) | Audience::Owner(workspace, _) => workspace,
        Audience::Platform => {
            let addresses = mailer.settings.platform.iter().map(ToString::to_string);
            let of = |address| Addressee { recipient: None, address, why: WhyYou::Platform };
            return Ok(addresses.map(of).collect());
        }
    };
    let Some(team) = engine.team(workspace).await? else { return Ok(Vec::new()) };
    let to = match audience {
        Audience::Topic(_, topic) => team.mail_recipients(*topic),
        Audience::Owner(_, subject) => unconfirmed(&team, subject).into_iter().collect(),
        Audience::Platform => Vec::new(),
    };
    let wanted = to.iter().map(|to| (to.owner.clone(), to.address)).collect();
    let texts = engine.personal_texts(workspace, wanted).await?;
    let addressee = |(to, text): (MailTo, Option<Box<str>>)| {
        let why = why(&team, &to.subject);
        Some(Addressee { recipient: Some((workspace.clone(), to)), address: text?.into(), why })
    };
    Ok(to.into_iter().zip(texts).filter_map(addressee).collect())
}

/// The owner of an address that waits to be confirmed.
fn unconfirmed(team: &Team, subject: &RecipientSubject) -> Option<MailTo> {
    let row = team.recipient(subject).filter(|row| !row.is_confirmed() && row.fault.is_none())?;
    Some(MailTo { subject: row.subject.clone(), address: row.address?, owner: row.subject.owner() })
}

fn why(team: &Team, subject: &RecipientSubject) -> WhyYou {
    let row = team.recipient(subject);
    match subject {
        RecipientSubject::Member(_) if row.is_some_and(|row| row.is_chosen) => WhyYou::ChosenMember,
        RecipientSubject::Member(_) => WhyYou::Admin,
        RecipientSubject::Address(_) if row.is_some_and(|row| !row.is_confirmed()) => WhyYou::Unconfirmed,
        RecipientSubject::Address(_) => WhyYou::ChosenAddress,
    }
}

/// The letter to a recipient.
pub(super) fn write(
    app: &App,
    mailer: &Mailer,
    mail: &Mail,
    to: &Addressee,
    workspace: Option<&WorkspaceFacts>,
) -> Letter {
    let mut about = mail.about.clone();
    let links = Links::of(app);
    let linked = links.as_ref().zip(to.recipient.as_ref());
    if let About::ConfirmAddress { confirm_url } = &mut about
        && let Some((links, (workspace, to))) = linked
    {
        *confirm_url = links.confirm(workspace, to).unwrap_or_default();
    }
    let unsubscribe_url = linked
        .zip(mail.about.topic())
        .map(|((links, (workspace, to)), topic)| links.unsubscribe(workspace, to, topic));
    let context = Context {
        workspace: workspace.cloned(),
        manage_url: linked.map(|(links, _)| links.manage()),
        unsubscribe_url: unsubscribe_url.clone(),
        why_you: to.why,
        amount_in_subject: mailer.settings.amount_in_subject,
    };
    let composed = compose(&about, &context);
    let domain = mailer.domain();
    Letter {
        message_id: format!("{}@{domain}", mail.id),
        references: mail.thread.map(|thread| format!("{thread}@{domain}")),
        to: to.address.clone(),
        subject: composed.subject,
        text: composed.text,
        html: composed.html,
        unsubscribe_url,
        date: mail.date,
    }
}
