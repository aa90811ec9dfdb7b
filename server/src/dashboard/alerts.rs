//! Warnings: at which balances and days of runway, to whom by e-mail, and what was sent (P13).
//!
//! Admins change them. A member sees the thresholds, and neither addresses nor forms.

mod recipients;
mod thresholds;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{EntryBody, Role, TeamChange};

use self::recipients::RecipientRow;
use self::thresholds::{ThresholdForm, ThresholdRow};
use super::activity::EntryWords;
use super::fields::{Field, Notice};
use super::frame::{Frame, Tab, Visit};
use super::page::page;
use super::seen;
use super::words::AlertsWords;
use crate::access::Rule;
use crate::actions::{alerts, test_mail};
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;
use crate::reports::journal_page::{Journal, Place};

/// The path of the page.
const PATH: &str = "/portal/alerts";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::SignedIn(Role::Member), "Warnings", |call| Box::pin(get(call)))
        .page()
        .parameters(&["done"]),
    Route::new(
        Method::POST,
        "/portal/alerts/thresholds",
        Rule::SignedIn(Role::Admin),
        "Set warnings",
        |call| Box::pin(thresholds::set(call)),
    )
    .page()
    .redirects()
    .problems(&[Code::InvalidField]),
    Route::new(
        Method::POST,
        "/portal/alerts/recipients",
        Rule::SignedIn(Role::Admin),
        "Add a recipient of warnings",
        |call| Box::pin(recipients::add(call)),
    )
    .page()
    .redirects()
    .problems(&[Code::InvalidField]),
    Route::new(
        Method::POST,
        "/portal/alerts/recipients/remove",
        Rule::SignedIn(Role::Admin),
        "Remove a recipient of warnings",
        |call| Box::pin(recipients::remove(call)),
    )
    .page()
    .redirects()
    .problems(&[Code::RecipientNotFound]),
    Route::new(
        Method::GET,
        "/portal/alerts/topics",
        Rule::SignedIn(Role::Admin),
        "The topics of a recipient",
        |call| Box::pin(recipients::show_topics(call)),
    )
    .page()
    .parameters(&["recipient"])
    .problems(&[Code::RecipientNotFound]),
    Route::new(
        Method::POST,
        "/portal/alerts/topics",
        Rule::SignedIn(Role::Admin),
        "Choose the topics of a recipient",
        |call| Box::pin(recipients::set_topics(call)),
    )
    .page()
    .redirects()
    .problems(&[Code::RecipientNotFound]),
    Route::new(
        Method::POST,
        "/portal/alerts/test",
        Rule::SignedIn(Role::Admin),
        "Send a test mail to the recipients of warnings",
        |call| Box::pin(test(call)),
    )
    .page()
    .problems(&[Code::MailNotSetUp, Code::RateLimited]),
];

/// The e-mails that the page shows; the activity has all.
const SENT_ROWS: usize = 10;

#[derive(Template)]
#[template(path = "dashboard/alerts.html")]
struct AlertsPage<'a> {
    frame: Frame<'a>,
    words: &'static AlertsWords,
    notice: Option<Notice>,
    sends_no_mail: bool,
    thresholds: Vec<ThresholdRow>,
    /// What only admins see.
    admin: Option<AdminPart>,
    /// Whom a member asks for a change.
    ask: String,
    sent: Vec<SentRow>,
}

/// The forms of an admin.
struct AdminPart {
    form_token: String,
    /// The fingerprint of the thresholds.
    seen: String,
    form: ThresholdForm,
    recipients_text: &'static str,
    recipients: Vec<RecipientRow>,
    more_recipients: Option<String>,
    email: Field,
}

/// An e-mail that was sent, or that an address refused.
struct SentRow {
    when: String,
    about: &'static str,
    to: String,
}

/// What was entered and is shown again, with what is wrong with it.
#[derive(Default)]
struct Entered {
    form: Option<ThresholdForm>,
    email: Option<Field>,
    notice: Option<Notice>,
}

/// `GET /portal/alerts`.
async fn get(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().alerts;
    let done = match call.query().get("done") {
        Some("thresholds") => Some(words.saved_thresholds),
        Some("recipients") => Some(words.saved_recipients),
        Some("topics") => Some(words.saved_topics),
        _ => None,
    };
    let entered = Entered { notice: done.map(Notice::done), ..Entered::default() };
    show(&call, &visit, StatusCode::OK, entered).await
}

/// The page, with what was entered.
async fn show(
    call: &Call,
    visit: &Visit<'_>,
    status: StatusCode,
    entered: Entered,
) -> Result<Response, Problem> {
    let words = &visit.words().alerts;
    let found = alerts::read(call, visit.workspace()).await?;
    let Entered { form, email, notice } = entered;
    let (admin, ask) = match visit.is_admin() {
        true => {
            let form = match form {
                Some(form) => form,
                None => ThresholdForm::of(call, visit, &found).await?,
            };
            let listed = recipients::list(call, visit).await?;
            let email = email.unwrap_or_else(|| recipients::email_field(words));
            let form_token = visit.signed_in.form_token.clone();
            let recipients::Listed { text: recipients_text, rows: recipients, more: more_recipients } =
                listed;
            let seen = seen::of_alerts(&found);
            let part =
                AdminPart { form_token, seen, form, recipients_text, recipients, more_recipients, email };
            (Some(part), String::new())
        }
        false => (None, visit.ask_to_change().await?),
    };
    let alerts = AlertsPage {
        frame: visit.frame(Tab::Alerts),
        words,
        notice,
        sends_no_mail: call.app.mailer.is_none(),
        thresholds: found.thresholds.iter().map(|threshold| ThresholdRow::of(visit, threshold)).collect(),
        admin,
        ask,
        sent: sent(call, visit).await?,
    };
    Ok(page(status, &alerts))
}

/// The newest e-mails. A member sees of a typed address nothing but that it is one.
async fn sent(call: &Call, visit: &Visit<'_>) -> Result<Vec<SentRow>, Problem> {
    let journal = Journal { engine: call.app.engine(), workspace: visit.workspace(), limit: SENT_ROWS };
    let is_mail = |body: &EntryBody| match body {
        EntryBody::Team(change) => match &**change {
            TeamChange::Recipient(change) => Mail::of(change).is_some(),
            _ => false,
        },
        _ => false,
    };
    let found = journal.page(Place::Newest, |entry| is_mail(&entry.body)).await?;
    let team = call.team(visit.workspace()).await?;
    let entry_words = EntryWords::read(call, visit, &team, &found.records, 0).await?;
    let words = &visit.words().alerts;
    let row = |record: &tollkeeper_engine::EntryRecord| {
        let EntryBody::Team(change) = &record.entry.body else { return None };
        let TeamChange::Recipient(change) = &**change else { return None };
        Some(SentRow {
            when: visit.format.time(record.entry.at),
            about: match Mail::of(change)? {
                Mail::Sent(Some(topic)) => entry_words.topic(topic),
                Mail::Sent(None) => words.to_confirm,
                Mail::Refused => words.refused_by_address,
            },
            to: entry_words.recipient(&change.subject()),
        })
    };
    Ok(found.records.iter().filter_map(row).collect())
}

/// What an entry says of an e-mail.
enum Mail {
    Sent(Option<tollkeeper_ledger::MailTopic>),
    Refused,
}

impl Mail {
    fn of(change: &tollkeeper_ledger::RecipientChange) -> Option<Mail> {
        use tollkeeper_ledger::RecipientChange;
        match change {
            RecipientChange::MailSent { topic, .. } => Some(Mail::Sent(*topic)),
            RecipientChange::Failed { .. } => Some(Mail::Refused),
            _ => None,
        }
    }
}

/// `POST /portal/alerts/test`.
async fn test(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().alerts;
    let (status, notice) = match test_mail::send(&call, visit.workspace()).await {
        Ok(outcomes) if outcomes.is_empty() => (StatusCode::OK, Notice::error(words.test_nobody)),
        Ok(outcomes) => {
            let accepted = outcomes.iter().filter(|outcome| outcome.is_accepted).count();
            let mut text = (words.test_result)(accepted, outcomes.len());
            for refused in outcomes.iter().filter(|outcome| !outcome.is_accepted) {
                text.push_str(&format!(" {}: {}.", refused.address, refused.outcome));
            }
            let is_error = accepted < outcomes.len();
            (StatusCode::OK, Notice { is_error, text })
        }
        Err(problem) if problem.code == Code::MailNotSetUp => {
            (problem.code.http_status(), Notice::error(words.no_relay))
        }
        Err(problem) => (problem.code.http_status(), Notice::of_form(problem, visit.words())?),
    };
    show(&call, &visit, status, Entered { notice: Some(notice), ..Entered::default() }).await
}
