//! The recipients of the page about warnings: the list, adding and removing one, and the topics of
//! which one gets e-mails.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_ledger::{MailFault, MailTopic, RecipientSubject, bounds};

use super::{Entered, PATH, show};
use crate::actions::recipients::{self, RecipientState, ShownRecipient};
use crate::dashboard::fields::{Field, Notice};
use crate::dashboard::frame::{Frame, Tab, Visit};
use crate::dashboard::names::Names;
use crate::dashboard::page::{page, see_other};
use crate::dashboard::words::AlertsWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::read::{Email, Word};

/// The most rows that are shown. All that can be chosen have room.
const ROWS_MAX: usize = 5 * bounds::RECIPIENTS_MAX;

/// A recipient as it is shown.
pub(super) struct RecipientRow {
    /// The text of the subject, for forms.
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) state: &'static str,
    pub(super) is_good: bool,
    pub(super) muted: String,
    pub(super) can_remove: bool,
    /// The address of the page with the topics.
    pub(super) topics_url: String,
}

/// The list of recipients.
pub(super) struct Listed {
    /// Who gets the e-mails.
    pub(super) text: &'static str,
    pub(super) rows: Vec<RecipientRow>,
    /// That there are more.
    pub(super) more: Option<String>,
}

/// The page with the topics of a recipient.
#[derive(Template)]
#[template(path = "dashboard/topics.html")]
struct TopicsPage<'a> {
    frame: Frame<'a>,
    words: &'static AlertsWords,
    form_token: &'a str,
    title: String,
    subject: String,
    topics: Vec<TopicRow>,
}

/// A topic and whether its e-mails are sent.
struct TopicRow {
    value: &'static str,
    label: &'static str,
    is_sent: bool,
    is_critical: bool,
}

/// The recipients, for an admin.
///
/// # Errors
/// The engine cannot read.
pub(super) async fn list(call: &Call, visit: &Visit<'_>) -> Result<Listed, Problem> {
    let words = &visit.words().alerts;
    let workspace = visit.workspace();
    let team = call.team(workspace).await?;
    let shown = recipients::shown(call, workspace, &team).await?;
    let is_listed = |id: &tollkeeper_ledger::MemberId| {
        shown.iter().any(|one| matches!(&one.subject, RecipientSubject::Member(member) if member == id))
    };
    let names = Names::read(call, workspace, &team, is_listed).await?;
    let more = shown.len().saturating_sub(ROWS_MAX);
    Ok(Listed {
        text: if recipients::has_chosen(&team) {
            words.recipients_are_chosen
        } else {
            words.recipients_are_admins
        },
        rows: shown.iter().take(ROWS_MAX).map(|one| row(words, &names, one)).collect(),
        more: (more > 0).then(|| (words.more_recipients)(more)),
    })
}

fn row(words: &AlertsWords, names: &Names, shown: &ShownRecipient) -> RecipientRow {
    let ShownRecipient { subject, email, is_chosen, state, confirmed_at: _, muted } = shown;
    let email = email.as_deref().unwrap_or(words.erased_address).to_owned();
    let id = subject.to_string();
    let topics: Vec<&str> = muted.iter().map(|topic| (words.topic)(topic)).collect();
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("recipient", &id).finish();
    RecipientRow {
        name: match subject {
            RecipientSubject::Member(member) => names.member(member).to_owned(),
            RecipientSubject::Address(_) => String::new(),
        },
        email,
        state: match state {
            RecipientState::Confirmed => words.state_confirmed,
            RecipientState::Unconfirmed => words.state_unconfirmed,
            RecipientState::Failed(MailFault::Bounced) => words.state_bounced,
            RecipientState::Failed(MailFault::Complained) => words.state_complained,
        },
        is_good: *state == RecipientState::Confirmed,
        muted: if topics.is_empty() { words.nothing_muted.to_owned() } else { topics.join(", ") },
        can_remove: *is_chosen,
        topics_url: format!("/portal/alerts/topics?{query}"),
        subject: id,
    }
}

/// The field for a new address.
pub(super) fn email_field(words: &AlertsWords) -> Field {
    Field::new("email", "email", words.email).with_hint(words.email_hint)
}

/// `POST /portal/alerts/recipients`.
pub(super) async fn add(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().alerts;
    let text = call.form().get("email").unwrap_or_default();
    let (error, notice) = match Email::read(text) {
        Ok(Email(email)) => match recipients::add(&call, visit.workspace(), &email).await {
            Ok(()) => return Ok(see_other(&format!("{PATH}?done=recipients"))),
            Err(problem) => ("", Notice::of_form(problem, visit.words())?),
        },
        Err(_) => (words.email_wrong, Notice::error(words.email_wrong)),
    };
    let email = Some(email_field(words).with_value(text).with_error(error));
    let entered = Entered { email, notice: Some(notice), ..Entered::default() };
    show(&call, &visit, StatusCode::UNPROCESSABLE_ENTITY, entered).await
}

/// `POST /portal/alerts/recipients/remove`.
pub(super) async fn remove(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let subject = subject(call.form().get("recipient"))?;
    recipients::remove(&call, visit.workspace(), subject).await?;
    Ok(see_other(&format!("{PATH}?done=recipients")))
}

/// The recipient that a form or an address names.
fn subject(text: Option<&str>) -> Result<RecipientSubject, Problem> {
    text.and_then(|text| text.parse().ok()).ok_or_else(refusal::recipient_not_found)
}

/// `GET /portal/alerts/topics`.
pub(super) async fn show_topics(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().alerts;
    let subject = subject(call.query().get("recipient"))?;
    let team = call.team(visit.workspace()).await?;
    team.address_of(&subject).ok_or_else(refusal::recipient_not_found)?;
    let shown = recipients::shown(&call, visit.workspace(), &team).await?;
    // A member who has no row and is no admin can be a recipient too.
    let listed = shown.into_iter().find(|one| one.subject == subject);
    let email = listed.as_ref().and_then(|one| one.email.clone());
    let muted = listed.map(|one| one.muted).unwrap_or_default();
    let topics = TopicsPage {
        frame: visit.frame(Tab::Alerts),
        words,
        form_token: &visit.signed_in.form_token,
        title: (words.topics_of)(email.as_deref().unwrap_or(words.erased_address)),
        subject: subject.to_string(),
        topics: MailTopic::ALL
            .into_iter()
            .map(|topic| TopicRow {
                value: topic.as_str(),
                label: (words.topic)(topic),
                is_sent: !muted.contains(topic),
                is_critical: topic.is_critical(),
            })
            .collect(),
    };
    Ok(page(StatusCode::OK, &topics))
}

/// `POST /portal/alerts/topics`. The form names the topics that are sent.
pub(super) async fn set_topics(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let subject = subject(call.form().get("recipient"))?;
    let sent: Vec<MailTopic> = call.form().all("topic").filter_map(MailTopic::named).collect();
    let muted = MailTopic::ALL.into_iter().filter(|topic| !sent.contains(topic)).collect();
    recipients::mute(&call, visit.workspace(), &subject, muted).await?;
    Ok(see_other(&format!("{PATH}?done=topics")))
}
