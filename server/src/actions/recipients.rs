//! Who gets the e-mails of a workspace: shown, chosen, removed, muted.
//!
//! A caller gives addresses. An address that a member has stands for that member, whose address
//! needs no confirmation. So a change of the member's address changes where mails go. All other
//! addresses are typed ones. Who gets a mail of a topic is decided in the ledger's team.

use std::collections::{HashMap, HashSet};

use tollkeeper_engine::personal_text;
use tollkeeper_ledger::{
    Command, Hash, MailFault, MailTopic, MailTopics, MemberId, Recipient, RecipientCommand, RecipientRequest,
    RecipientSubject, Role, Team, TeamCommand, Timestamp, WorkspaceId,
};

use crate::access::secret;
use crate::http::call::{Call, PersonalTexts, personal_texts};
use crate::http::problem::Problem;
use crate::http::refusal;

/// Somebody who gets e-mails, has muted some, or refuses them.
#[derive(Clone, Debug)]
pub struct ShownRecipient {
    /// The member or the typed address.
    pub subject: RecipientSubject,
    /// The address; `None` if it was erased.
    pub email: Option<Box<str>>,
    /// Whether the recipient was chosen. If nobody is, the admins get the e-mails.
    pub is_chosen: bool,
    /// Whether mails can go there.
    pub state: RecipientState,
    /// When the owner of a typed address confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// The topics of which the recipient gets no e-mail.
    pub muted: MailTopics,
}

/// Whether mails can go to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// They can: it is a member's, or its owner confirmed it.
    Confirmed,
    /// Its owner has not confirmed it.
    Unconfirmed,
    /// It refused a mail, or its owner complained.
    Failed(MailFault),
}

impl RecipientState {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            RecipientState::Confirmed => "confirmed",
            RecipientState::Unconfirmed => "unconfirmed",
            RecipientState::Failed(fault) => fault.as_str(),
        }
    }

    fn of(row: Option<&Recipient>) -> RecipientState {
        match row {
            Some(Recipient { fault: Some((fault, _)), .. }) => RecipientState::Failed(*fault),
            Some(row) if !row.is_confirmed() => RecipientState::Unconfirmed,
            _ => RecipientState::Confirmed,
        }
    }
}

/// Whether somebody was chosen. If not, the admins get the e-mails.
pub fn has_chosen(team: &Team) -> bool {
    team.recipients.iter().any(|row| row.is_chosen)
}

/// The recipients that were chosen, and all who have muted a topic or refuse mail; if nobody was
/// chosen, all admins too.
///
/// # Errors
/// The engine cannot read.
pub async fn shown(
    call: &Call,
    workspace: &WorkspaceId,
    team: &Team,
) -> Result<Vec<ShownRecipient>, Problem> {
    let has_row = |id: &MemberId| team.recipient(&RecipientSubject::Member(id.clone())).is_some();
    let admins = team.members.iter().filter(|member| member.role == Role::Admin && !has_row(&member.id));
    let admins = admins.filter(|_| !has_chosen(team));
    let admins = admins.map(|member| (RecipientSubject::Member(member.id.clone()), None));
    let rows = team.recipients.iter().map(|row| (row.subject.clone(), Some(row)));
    let listed: Vec<(RecipientSubject, Option<&Recipient>)> = rows.chain(admins).collect();
    let addresses =
        listed.iter().filter_map(|(subject, _)| Some((subject.owner(), team.address_of(subject)?)));
    let texts = personal_texts(&call.app, workspace, addresses.collect()).await?;
    let show = |(subject, row): (RecipientSubject, Option<&Recipient>)| ShownRecipient {
        email: team.address_of(&subject).and_then(|address| texts.get(&address).cloned()),
        is_chosen: row.is_some_and(|row| row.is_chosen),
        state: RecipientState::of(row),
        confirmed_at: row.and_then(|row| row.confirmed_at),
        muted: row.map(|row| row.muted).unwrap_or_default(),
        subject,
    };
    Ok(listed.into_iter().map(show).collect())
}

/// Makes the recipients at these addresses the chosen ones, in one batch; none: the admins get the
/// e-mails.
///
/// # Errors
/// The refusal of the ledger or the error of the engine.
pub async fn replace(call: &Call, workspace: &WorkspaceId, emails: Vec<Box<str>>) -> Result<(), Problem> {
    let team = call.team(workspace).await?;
    let texts =
        if emails.is_empty() { PersonalTexts::new() } else { addresses(call, workspace, &team).await? };
    let known = KnownAddresses::of(&team, &texts);
    let mut kept: Vec<RecipientSubject> = Vec::new();
    let mut commands = Vec::new();
    let mut given = HashSet::new();
    for email in emails {
        match known.find(&email) {
            _ if !given.insert(email.to_ascii_lowercase()) => {}
            Some(subject) => kept.push(subject.clone()),
            None => commands.push(RecipientCommand::Choose(typed(&email)?)),
        }
    }
    for subject in &kept {
        let is_chosen = team.recipient(subject).is_some_and(|row| row.is_chosen);
        if let (RecipientSubject::Member(member), false) = (subject, is_chosen) {
            commands.push(RecipientCommand::Choose(RecipientRequest::Member(member.clone())));
        }
    }
    // Those who leave come first, so that there is room for the new ones.
    let leaving = team.recipients.iter().filter(|row| row.is_chosen && !kept.contains(&row.subject));
    let leaving = leaving.map(|row| RecipientCommand::Remove(row.subject.clone()));
    run(call, workspace, leaving.chain(commands).collect()).await
}

/// Chooses one more recipient. One that is chosen already stays as it is.
///
/// # Errors
/// As for [`replace`].
pub async fn add(call: &Call, workspace: &WorkspaceId, email: &str) -> Result<(), Problem> {
    let team = call.team(workspace).await?;
    let texts = addresses(call, workspace, &team).await?;
    let request = match KnownAddresses::of(&team, &texts).find(email) {
        Some(RecipientSubject::Member(member)) => RecipientRequest::Member(member.clone()),
        Some(RecipientSubject::Address(_)) => return Ok(()),
        None => typed(email)?,
    };
    run(call, workspace, vec![RecipientCommand::Choose(request)]).await
}

/// Removes a recipient from those that were chosen; a typed address is erased.
///
/// # Errors
/// There is no such recipient; or as for [`replace`].
pub async fn remove(call: &Call, workspace: &WorkspaceId, subject: RecipientSubject) -> Result<(), Problem> {
    run(call, workspace, vec![RecipientCommand::Remove(subject)]).await
}

/// Replaces the topics of which a recipient gets no e-mail.
///
/// # Errors
/// There is no such recipient; or as for [`replace`].
pub async fn mute(
    call: &Call,
    workspace: &WorkspaceId,
    subject: &RecipientSubject,
    muted: MailTopics,
) -> Result<(), Problem> {
    call.team(workspace).await?.address_of(subject).ok_or_else(refusal::recipient_not_found)?;
    let topics = MailTopic::ALL.into_iter().map(|topic| RecipientCommand::Mute {
        subject: subject.clone(),
        topic,
        muted: muted.contains(topic),
    });
    run(call, workspace, topics.collect()).await
}

/// The request for a typed address, with a salt of its own.
fn typed(email: &str) -> Result<RecipientRequest, Problem> {
    let salt = secret::random().map_err(|error| refusal::internal(&error))?;
    Ok(RecipientRequest::Address(personal_text(email, salt)))
}

/// The texts of all addresses of a team, also of those who get no mail.
///
/// # Errors
/// The engine cannot read.
pub async fn addresses(call: &Call, workspace: &WorkspaceId, team: &Team) -> Result<PersonalTexts, Problem> {
    let members = team.members.iter().map(|member| (member.id.clone(), member.email));
    let typed = team.recipients.iter().filter_map(|row| Some((row.subject.owner(), row.address?)));
    personal_texts(&call.app, workspace, members.chain(typed).collect()).await
}

/// The recipients of a team by their addresses, in lower case.
pub struct KnownAddresses(HashMap<String, Vec<(RecipientSubject, Hash)>>);

impl KnownAddresses {
    /// The recipients of a team; `texts` are all its addresses.
    pub fn of(team: &Team, texts: &PersonalTexts) -> KnownAddresses {
        let typed = team.recipients.iter().filter_map(|row| Some((row.subject.clone(), row.address?)));
        let members = team.members.iter();
        let members = members.map(|member| (RecipientSubject::Member(member.id.clone()), member.email));
        let mut known: HashMap<String, Vec<(RecipientSubject, Hash)>> = HashMap::new();
        for (subject, address) in typed.chain(members) {
            if let Some(text) = texts.get(&address) {
                known.entry(text.to_ascii_lowercase()).or_default().push((subject, address));
            }
        }
        KnownAddresses(known)
    }

    /// All who have an address, typed ones first, each with the digest of the address.
    pub fn all(&self, email: &str) -> &[(RecipientSubject, Hash)] {
        self.0.get(&email.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The recipient for an address.
    fn find(&self, email: &str) -> Option<&RecipientSubject> {
        self.all(email).first().map(|(subject, _)| subject)
    }
}

/// Runs commands in the caller's name, in one batch.
///
/// # Errors
/// The first refusal of the ledger, or the error of the engine.
async fn run(call: &Call, workspace: &WorkspaceId, commands: Vec<RecipientCommand>) -> Result<(), Problem> {
    if commands.is_empty() {
        return Ok(());
    }
    let command = |command| Command::Team(TeamCommand::Recipient(command));
    let submissions = commands.into_iter().map(|one| call.submission(workspace.clone(), None, command(one)));
    let submissions = submissions.collect::<Result<Vec<_>, Problem>>()?;
    let results = call.app.engine().run_batch(submissions, call.now).await?;
    match results.into_iter().find_map(Result::err) {
        Some(refused) => Err(call.refused(workspace, refused)),
        None => Ok(()),
    }
}
