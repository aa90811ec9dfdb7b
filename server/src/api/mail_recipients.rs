//! The recipients of a workspace's e-mails, as a part of its alerts: shown, replaced, muted.
//!
//! A request gives addresses. An address that a member has stands for that member, whose address
//! needs no confirmation. So a change of the member's address changes where mails go. All other
//! addresses are typed ones. Who gets a mail of a topic is decided in the ledger's team.

use std::collections::{HashMap, HashSet};

use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::personal_text;
use tollkeeper_ledger::{
    Command, Hash, MailTopic, MemberId, Recipient, RecipientCommand, RecipientRequest, RecipientSubject,
    Role, Team, TeamCommand, WorkspaceId, bounds,
};
use utoipa::ToSchema;

use super::alerts;
use crate::access::secret;
use crate::http::call::{Call, PersonalTexts, personal_texts};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{Bounded, Each, Email, Word, one_of};
use crate::wire::write::Time;

/// The addresses of a request.
pub(super) type Emails = Bounded<Each<Email>, { bounds::RECIPIENTS_MAX }>;

/// Somebody who gets e-mails, has muted some, or refuses them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EmailRecipient)]
pub struct RecipientJson {
    /// The id: `member:` and the id of a member, or that of a typed address.
    #[schema(example = "member:ada")]
    id: String,
    /// The address; null if it was erased.
    #[schema(required, example = "ada@example.com")]
    email: Option<Box<str>>,
    /// The id of the member; null for a typed address.
    #[schema(required, example = "ada")]
    member: Option<String>,
    /// Whether the recipient was chosen. If nobody is, the admins get the e-mails.
    chosen: bool,
    /// `confirmed`, or why no e-mail is sent: `unconfirmed`, `bounced` or `complained`. Of the last
    /// two, an admin can enter the address again: with the member, or once a typed one was removed.
    status: &'static str,
    /// When the owner of a typed address confirmed it; null before that, and for a member.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    confirmed_at: Option<Time>,
    /// The topics of which the recipient gets no e-mail.
    #[schema(example = json!(["balance.low"]))]
    muted: Vec<&'static str>,
}

/// The topics that a recipient mutes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MutedTopics)]
pub struct MutedIn {
    /// All topics that are muted from now on; an empty list mutes none.
    #[schema(value_type = Vec<String>, max_items = 16, example = json!(["balance.low"]))]
    muted: Bounded<Each<MailTopic>, 16>,
}

impl Word for MailTopic {
    const EXPECTED: &'static str = "a topic such as \"balance.low\"";
    fn read(text: &str) -> Result<Self, String> {
        one_of(&MailTopic::ALL, MailTopic::as_str, text)
    }
}

/// Who gets the e-mails: `chosen`, if somebody was chosen, else `admins`.
pub(super) fn kind_of(team: &Team) -> &'static str {
    if team.recipients.iter().any(|row| row.is_chosen) { "chosen" } else { "admins" }
}

/// The recipients that were chosen, and all who have muted a topic or refuse mail; if nobody was
/// chosen, all admins too.
///
/// # Errors
/// The engine cannot read.
pub(super) async fn shown(
    call: &Call,
    workspace: &WorkspaceId,
    team: &Team,
) -> Result<Vec<RecipientJson>, Problem> {
    let has_row = |id: &MemberId| team.recipient(&RecipientSubject::Member(id.clone())).is_some();
    let admins = team.members.iter().filter(|member| member.role == Role::Admin && !has_row(&member.id));
    let admins = admins.filter(|_| kind_of(team) == "admins");
    let admins = admins.map(|member| (RecipientSubject::Member(member.id.clone()), None));
    let rows = team.recipients.iter().map(|row| (row.subject.clone(), Some(row)));
    let listed: Vec<(RecipientSubject, Option<&Recipient>)> = rows.chain(admins).collect();
    let addresses =
        listed.iter().filter_map(|(subject, _)| Some((subject.owner(), team.address_of(subject)?)));
    let texts = personal_texts(&call.app, workspace, addresses.collect()).await?;
    let json = |(subject, row): (RecipientSubject, Option<&Recipient>)| RecipientJson {
        id: subject.to_string(),
        email: team.address_of(&subject).and_then(|address| texts.get(&address).cloned()),
        member: match &subject {
            RecipientSubject::Member(member) => Some(member.to_string()),
            RecipientSubject::Address(_) => None,
        },
        chosen: row.is_some_and(|row| row.is_chosen),
        status: match row {
            Some(Recipient { fault: Some((fault, _)), .. }) => fault.as_str(),
            Some(row) if !row.is_confirmed() => "unconfirmed",
            _ => "confirmed",
        },
        confirmed_at: row.and_then(|row| row.confirmed_at).map(Time),
        muted: row.into_iter().flat_map(|row| row.muted.iter()).map(MailTopic::as_str).collect(),
    };
    Ok(listed.into_iter().map(json).collect())
}

/// Makes the recipients at these addresses the chosen ones, in one batch; none: the admins get the
/// e-mails.
///
/// # Errors
/// The refusal of the ledger or the error of the engine.
pub(super) async fn replace(call: &Call, workspace: &WorkspaceId, emails: Emails) -> Result<(), Problem> {
    let Bounded(emails) = emails;
    let team = call.team(workspace).await?;
    let texts =
        if emails.is_empty() { PersonalTexts::new() } else { addresses(call, workspace, &team).await? };
    let known = KnownAddresses::of(&team, &texts);
    let mut kept: Vec<RecipientSubject> = Vec::new();
    let mut commands = Vec::new();
    let mut given = HashSet::new();
    for Each(Email(email)) in emails {
        match known.find(&email) {
            _ if !given.insert(email.to_ascii_lowercase()) => {}
            Some(subject) => kept.push(subject.clone()),
            None => {
                let salt = secret::random().map_err(|error| refusal::internal(&error))?;
                let address = RecipientRequest::Address(personal_text(&email, salt));
                commands.push(RecipientCommand::Choose(address));
            }
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

/// The texts of all addresses of a team, also of those who get no mail.
pub(super) async fn addresses(
    call: &Call,
    workspace: &WorkspaceId,
    team: &Team,
) -> Result<PersonalTexts, Problem> {
    let members = team.members.iter().map(|member| (member.id.clone(), member.email));
    let typed = team.recipients.iter().filter_map(|row| Some((row.subject.owner(), row.address?)));
    personal_texts(&call.app, workspace, members.chain(typed).collect()).await
}

/// The recipients of a team by their addresses, in lower case.
pub(super) struct KnownAddresses(HashMap<String, Vec<(RecipientSubject, Hash)>>);

impl KnownAddresses {
    pub(super) fn of(team: &Team, texts: &PersonalTexts) -> KnownAddresses {
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
    pub(super) fn all(&self, email: &str) -> &[(RecipientSubject, Hash)] {
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

/// `PUT /v1/workspaces/{workspace}/alerts/recipients/{recipient}`.
pub(super) async fn mute(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let subject: RecipientSubject = match call.param("recipient").parse() {
        Ok(subject) => subject,
        Err(()) => return Err(call.missing(&workspace, refusal::recipient_not_found()).await),
    };
    let MutedIn { muted: Bounded(muted) } = call.json().await?;
    call.team(&workspace).await?.address_of(&subject).ok_or_else(refusal::recipient_not_found)?;
    let topics = MailTopic::ALL.into_iter().map(|topic| RecipientCommand::Mute {
        subject: subject.clone(),
        topic,
        muted: muted.iter().any(|Each(one)| *one == topic),
    });
    run(&call, &workspace, topics.collect()).await?;
    alerts::respond(&call, &workspace).await
}
