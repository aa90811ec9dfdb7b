//! Creating an API key: the form, and the page that shows the secret once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_ledger::{ApiKey, MemberId, Scope, Scopes, Team, Timestamp, WorkerId, bounds};

use super::show;
use crate::actions::api_keys::{self, NewKey};
use crate::dashboard::commands;
use crate::dashboard::fields::{Field, Notice};
use crate::dashboard::frame::{Frame, Tab, Visit};
use crate::dashboard::page::page;
use crate::dashboard::words::ApiKeysWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::reports::local_time::{days_after, read_date, start_of};
use crate::wire::read::{DisplayName, Word};

/// The scopes that an admin can give. `settle` gives credit back, so only the platform grants it.
const OFFERED: [Scope; 3] = [Scope::Charge, Scope::Read, Scope::Manage];

/// The form for a new key.
pub(super) struct CreateForm {
    pub(super) name: Field,
    pub(super) scopes: Vec<ScopeChoice>,
    pub(super) scopes_error: &'static str,
    pub(super) member: Field,
    pub(super) worker: Field,
    pub(super) expires: Field,
}

/// A scope that can be chosen.
pub(super) struct ScopeChoice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) is_chosen: bool,
}

/// The page with the secret.
#[derive(Template)]
#[template(path = "dashboard/new_key.html")]
struct NewKeyPage<'a> {
    frame: Frame<'a>,
    words: &'static ApiKeysWords,
    title: String,
    secret: &'a str,
    /// A command that uses the key.
    command: String,
}

impl CreateForm {
    /// The form before anything was entered.
    pub(super) fn empty(words: &ApiKeysWords) -> CreateForm {
        let chosen = Scopes::from_iter([Scope::Charge]);
        CreateForm {
            name: Field::new("name", "text", words.name).with_hint(words.name_hint),
            scopes: choices(words, chosen),
            scopes_error: "",
            member: Field::new("member", "text", words.tied_member).with_hint(words.tied_member_hint),
            worker: Field::new("worker", "text", words.tied_worker).with_hint(words.tied_worker_hint),
            expires: Field::new("expires", "date", words.expires).with_hint(words.expires_hint),
        }
    }

    /// Reads what was entered. If something is wrong, the form says what.
    fn read(call: &Call, visit: &Visit<'_>, team: &Team) -> Result<NewKey, Box<CreateForm>> {
        let words = &visit.words().api_keys;
        let sent = call.form();
        let text = |name: &str| sent.get(name).unwrap_or_default();
        let scopes: Scopes = OFFERED
            .into_iter()
            .filter(|scope| sent.all("scope").any(|name| name == scope.as_str()))
            .collect();
        let member = id_of(sent.get("member"), |id| MemberId::new(id).ok()).ok_or(words.id_wrong);
        let member = match member {
            Ok(Some(member)) if team.member(&member).is_none() => Err(words.no_such_member),
            other => other,
        };
        let name = match DisplayName::read(text("name")) {
            Ok(DisplayName(name)) if team.keys.iter().any(|key| key.name == name) => Err(words.name_taken),
            Ok(DisplayName(name)) => Ok(name),
            Err(_) => Err(words.name_wrong),
        };
        let worker = id_of(sent.get("worker"), |id| WorkerId::new(id).ok()).ok_or(words.id_wrong);
        let expires = read_end(visit, sent.get("expires")).ok_or(words.expires_wrong);
        let empty = CreateForm::empty(words);
        let form = CreateForm {
            name: empty
                .name
                .with_value(text("name"))
                .with_error(name.as_ref().err().copied().unwrap_or_default()),
            scopes: choices(words, scopes),
            scopes_error: if scopes.is_empty() { words.scopes_wrong } else { "" },
            member: empty
                .member
                .with_value(text("member"))
                .with_error(member.as_ref().err().copied().unwrap_or_default()),
            worker: empty
                .worker
                .with_value(text("worker"))
                .with_error(worker.as_ref().err().copied().unwrap_or_default()),
            expires: empty.expires.with_value(text("expires")).with_error(expires.err().unwrap_or_default()),
        };
        match (name, member, worker, expires) {
            (Ok(name), Ok(member), Ok(worker), Ok(expires_at)) if !scopes.is_empty() => {
                Ok(NewKey { name, scopes, member, worker, expires_at })
            }
            _ => Err(Box::new(form)),
        }
    }

    /// What is wrong first.
    fn first_error(&self) -> &str {
        let fields = [&self.name, &self.member, &self.worker, &self.expires];
        let errors = fields.map(|field| field.error.as_str());
        errors.into_iter().chain([self.scopes_error]).find(|error| !error.is_empty()).unwrap_or_default()
    }
}

fn choices(words: &ApiKeysWords, chosen: Scopes) -> Vec<ScopeChoice> {
    let choice = |scope: Scope| ScopeChoice {
        value: scope.as_str(),
        label: (words.scope)(scope),
        is_chosen: chosen.contains(scope),
    };
    OFFERED.into_iter().map(choice).collect()
}

/// An id that may be left out; `None` if the text cannot be one.
fn id_of<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => read(text).map(Some),
    }
}

/// The end of the last day of a key; `None` if the text is no day, or one that is over.
fn read_end(visit: &Visit<'_>, text: Option<&str>) -> Option<Option<Timestamp>> {
    let Some(text) = text else { return Some(None) };
    let end = start_of(&visit.format.zone, days_after(read_date(text)?, 1));
    (end > visit.now()).then_some(Some(end))
}

/// `POST /portal/api-keys`.
pub(super) async fn create(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().api_keys;
    let team = call.team(visit.workspace()).await?;
    let (notice, form) = match CreateForm::read(&call, &visit, &team) {
        Err(form) => (Notice::error(form.first_error()), *form),
        Ok(_) if team.keys.len() >= bounds::API_KEYS_MAX => {
            (Notice::error(words.too_many), CreateForm::empty(words))
        }
        Ok(new) => match api_keys::create(&call, visit.workspace(), new).await {
            Ok((key, secret)) => return Ok(show_secret(&call, &visit, &key, &secret)),
            Err(problem) => (Notice::of_form(problem, visit.words())?, CreateForm::empty(words)),
        },
    };
    show(&call, &visit, StatusCode::UNPROCESSABLE_ENTITY, Some(notice), Some(form)).await
}

/// The page with the secret of a new key.
fn show_secret(call: &Call, visit: &Visit<'_>, key: &ApiKey, secret: &str) -> Response {
    let words = &visit.words().api_keys;
    let shown = NewKeyPage {
        frame: visit.frame(Tab::ApiKeys),
        words,
        title: (words.created)(&key.name),
        secret,
        command: command(call, visit, key, secret),
    };
    page(StatusCode::OK, &shown)
}

/// A command line that uses a key for what it may do first.
fn command(call: &Call, visit: &Visit<'_>, key: &ApiKey, secret: &str) -> String {
    let bearer = format!("'Authorization: Bearer {secret}'");
    let charge = commands::first_charge(call, visit.workspace(), &bearer);
    charge.filter(|_| key.scopes.contains(Scope::Charge)).unwrap_or_else(|| {
        let shown = if key.scopes.contains(Scope::Manage) { "members" } else { "balance" };
        format!("curl '{}/{shown}' \\\n  -H {bearer}", commands::base(call, visit.workspace()))
    })
}
