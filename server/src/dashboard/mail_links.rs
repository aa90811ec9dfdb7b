//! The pages behind the links in mails: to confirm an address, and to stop the mails of a topic.
//!
//! Looking at a page changes nothing, because scanners of mails open every link. A button does it,
//! by a POST to the same URL. A mail program that offers to unsubscribe sends that POST by itself
//! (RFC 8058). A link that is wrong in any part is answered in one way, and only some look-ups of
//! wrong ones run at a time. The tokens are in `notify::mail_link`.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Actor, Command, Hash, MailTopic, RecipientCommand, RecipientSubject, Refusal, Submission, Team,
    TeamCommand, WorkspaceId,
};

use super::frame::Frame;
use super::page::{Message, page};
use crate::access::Rule;
use crate::http::call::{Call, personal_texts};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;
use crate::language::Language;
use crate::notify::mail_link::{MailAction, MailLink};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/mail/confirm/{workspace}/{recipient}",
        Rule::Public,
        "Look at a link that confirms an address",
        |call| Box::pin(show_confirm(call)),
    )
    .page()
    .parameters(TOKEN)
    .problems(PROBLEMS),
    Route::new(
        Method::POST,
        "/mail/confirm/{workspace}/{recipient}",
        Rule::Public,
        "Confirm an address",
        |call| Box::pin(confirm(call)),
    )
    .page()
    .parameters(TOKEN)
    .problems(PROBLEMS),
    Route::new(
        Method::GET,
        "/mail/unsubscribe/{workspace}/{recipient}/{topic}",
        Rule::Public,
        "Look at a link that stops the mails of a topic",
        |call| Box::pin(show_unsubscribe(call)),
    )
    .page()
    .parameters(TOKEN)
    .problems(PROBLEMS),
    Route::new(
        Method::POST,
        "/mail/unsubscribe/{workspace}/{recipient}/{topic}",
        Rule::Public,
        "Stop the mails of a topic",
        |call| Box::pin(unsubscribe(call)),
    )
    .page()
    .parameters(TOKEN)
    .problems(PROBLEMS),
];

const TOKEN: &[&str] = &["token"];

const PROBLEMS: &[Code] = &[Code::MailLinkInvalid, Code::StoreUnavailable];

/// The page with the button.
#[derive(Template)]
#[template(path = "dashboard/mail_link.html")]
struct Button<'a> {
    frame: Frame<'a>,
    title: &'a str,
    text: &'a str,
    button: &'a str,
}

/// A link whose token is right.
struct Link {
    workspace: WorkspaceId,
    subject: RecipientSubject,
    address: Hash,
}

impl Link {
    /// The link in the path.
    async fn find(call: &Call, action: MailAction) -> Result<Link, Problem> {
        let token = call.query().get("token").unwrap_or_default();
        let workspace =
            WorkspaceId::new(call.param("workspace")).map_err(|_| refusal::mail_link_invalid())?;
        let subject = call.param("recipient").parse().map_err(|()| refusal::mail_link_invalid())?;
        let secret = call.app.webhooks.secret().map_err(|error| refusal::internal(&error))?;
        let secret = secret.ok_or_else(refusal::mail_link_invalid)?;
        let right = |team: &Team| {
            let address = team.address_of(&subject)?;
            let link = MailLink { workspace: &workspace, subject: &subject, address: &address, action };
            link.has_token(&secret, token).then_some(address)
        };
        let team = call.app.access.team_for(&workspace, |team| right(team).is_some()).await?;
        let address = team.and_then(|team| right(&team)).ok_or_else(refusal::mail_link_invalid)?;
        Ok(Link { workspace, subject, address })
    }

    /// The name of the workspace, and the address as it is written.
    async fn words(&self, call: &Call) -> Result<(Box<str>, Box<str>), Problem> {
        let found = call.app.engine().workspace(&self.workspace).await?;
        let name = found.map(|profile| profile.name);
        let wanted = vec![(self.subject.owner(), self.address)];
        let texts = personal_texts(&call.app, &self.workspace, wanted).await?;
        let address = texts.get(&self.address).cloned();
        Ok((
            name.unwrap_or_else(|| self.workspace.as_str().into()),
            address.unwrap_or_else(|| "this address".into()),
        ))
    }

    /// Runs a command for the recipient, whom the token proves.
    async fn run(&self, call: &Call, command: RecipientCommand) -> Result<(), Problem> {
        let submission = Submission {
            workspace: self.workspace.clone(),
            key: None,
            actor: Actor::System,
            command: Command::Team(TeamCommand::Recipient(command)),
        };
        match call.app.engine().run(submission, call.now).await? {
            Ok(_) => Ok(()),
            // Removed since the token was checked.
            Err(Refusal::RecipientNotFound | Refusal::MemberNotFound) => Err(refusal::mail_link_invalid()),
            Err(refused) => Err(call.refused(&self.workspace, refused)),
        }
    }
}

/// The topic in the path.
fn topic(call: &Call) -> Result<MailTopic, Problem> {
    MailTopic::named(call.param("topic")).ok_or_else(refusal::mail_link_invalid)
}

/// What mails of a topic are about, to follow "e-mails about".
fn words_of(topic: MailTopic) -> &'static str {
    match topic {
        MailTopic::Low => "low balances",
        MailTopic::Recovered => "recovered balances",
        MailTopic::Refused => "refused charges",
        MailTopic::Limit => "spending limits that are reached",
        MailTopic::TopUp => "top-ups",
        MailTopic::AutoTopUp => "automatic top-ups",
        MailTopic::Subscription => "the subscription",
        MailTopic::Debt => "debt after a lost payment",
        MailTopic::Endpoint => "webhook endpoints",
        MailTopic::Recipient => "addresses that refuse mail",
    }
}

/// The page with the button. It is in English, as the mail is.
fn ask(call: &Call, title: &str, text: &str, button: &str) -> Result<Response, Problem> {
    let frame = Frame::in_language(&call.app, Language::English);
    Ok(page(StatusCode::OK, &Button { frame, title, text, button }))
}

/// The page that says what was done.
fn say(call: &Call, title: &str, text: &str) -> Response {
    let frame = Frame::in_language(&call.app, Language::English);
    page(StatusCode::OK, &Message { frame, title, text, note: "", return_url: None, leads_inside: false })
}

/// `GET /mail/confirm/{workspace}/{recipient}`.
async fn show_confirm(call: Call) -> Result<Response, Problem> {
    let link = Link::find(&call, MailAction::Confirm).await?;
    let (workspace, address) = link.words(&call).await?;
    let text = format!("Send e-mails about the credits of {workspace} to {address}?");
    ask(&call, "Confirm your address", &text, "Confirm")
}

/// `POST /mail/confirm/{workspace}/{recipient}`.
async fn confirm(call: Call) -> Result<Response, Problem> {
    let link = Link::find(&call, MailAction::Confirm).await?;
    let RecipientSubject::Address(id) = link.subject else { return Err(refusal::mail_link_invalid()) };
    link.run(&call, RecipientCommand::Confirm(id)).await?;
    let (workspace, address) = link.words(&call).await?;
    let text = format!("E-mails about the credits of {workspace} are sent to {address}.");
    Ok(say(&call, "Your address is confirmed", &text))
}

/// `GET /mail/unsubscribe/{workspace}/{recipient}/{topic}`.
async fn show_unsubscribe(call: Call) -> Result<Response, Problem> {
    let topic = topic(&call)?;
    let link = Link::find(&call, MailAction::Mute(topic)).await?;
    let (workspace, address) = link.words(&call).await?;
    let text = format!(
        "If you unsubscribe, e-mails about {} of {workspace} are no longer sent to {address}.",
        words_of(topic)
    );
    ask(&call, "Stop these e-mails?", &text, "Unsubscribe")
}

/// `POST /mail/unsubscribe/{workspace}/{recipient}/{topic}`. The body says nothing that the path
/// does not.
async fn unsubscribe(call: Call) -> Result<Response, Problem> {
    let topic = topic(&call)?;
    let link = Link::find(&call, MailAction::Mute(topic)).await?;
    let subject = link.subject.clone();
    link.run(&call, RecipientCommand::Mute { subject, topic, muted: true }).await?;
    let (workspace, address) = link.words(&call).await?;
    let exception = match topic.is_critical() {
        true => " They are still sent if nobody else of the workspace gets them.",
        false => "",
    };
    let text = format!(
        "E-mails about {} of {workspace} are no longer sent to {address}.{exception} An admin of the \
         workspace can undo this.",
        words_of(topic)
    );
    Ok(say(&call, "You are unsubscribed", &text))
}
