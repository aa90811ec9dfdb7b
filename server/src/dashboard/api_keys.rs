//! API keys: name, scopes, what they are tied to, last use, expiry. Admins create and revoke them;
//! a member sees those that are tied to them.
//!
//! The secret of a key is in one response only, that to the form. No address has it, and no cache
//! keeps it. A form that is sent again creates no second key: a name is taken once here.

mod create;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{ApiKey, MemberId, Role, TeamCommand};

use self::create::CreateForm;
use super::confirm::Confirm;
use super::fields::Notice;
use super::frame::{Frame, Tab, Visit};
use super::links::{PageLinks, page_of};
use super::names::Names;
use super::page::{page, see_other};
use super::words::ApiKeysWords;
use crate::access::Rule;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;

/// The path of the page.
const PATH: &str = "/portal/api-keys";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::SignedIn(Role::Member), "API keys", |call| Box::pin(get(call)))
        .page()
        .parameters(&["done", "page"]),
    Route::new(Method::POST, PATH, Rule::SignedIn(Role::Admin), "Create an API key", |call| {
        Box::pin(create::create(call))
    })
    .page()
    .problems(&[Code::InvalidField]),
    Route::new(
        Method::POST,
        "/portal/api-keys/revoke",
        Rule::SignedIn(Role::Admin),
        "Revoke an API key",
        |call| Box::pin(revoke(call)),
    )
    .page()
    .redirects()
    .problems(&[Code::ApiKeyNotFound]),
];

#[derive(Template)]
#[template(path = "dashboard/api_keys.html")]
struct KeysPage<'a> {
    frame: Frame<'a>,
    words: &'static ApiKeysWords,
    form_token: &'a str,
    notice: Option<Notice>,
    intro: &'static str,
    none: &'static str,
    rows: Vec<Row>,
    links: PageLinks,
    /// The form, for admins.
    form: Option<CreateForm>,
    /// Whom a member asks for a key.
    ask: String,
}

/// A key as the page shows it.
struct Row {
    id: String,
    name: String,
    scopes: String,
    tied: String,
    last: String,
    expires: String,
    is_expired: bool,
    revoke: String,
}

/// `GET /portal/api-keys`.
async fn get(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let is_revoked = call.query().get("done") == Some("revoked");
    let notice = is_revoked.then(|| Notice::done(visit.words().api_keys.revoked));
    show(&call, &visit, StatusCode::OK, notice, None).await
}

/// The page, with what was entered.
async fn show(
    call: &Call,
    visit: &Visit<'_>,
    status: StatusCode,
    notice: Option<Notice>,
    entered: Option<CreateForm>,
) -> Result<Response, Problem> {
    let words = &visit.words().api_keys;
    let team = call.team(visit.workspace()).await?;
    let is_admin = visit.is_admin();
    let own = &visit.signed_in.member.id;
    // The newest key comes first.
    let keys = team.keys.iter().rev().filter(|key| is_admin || key.member.as_ref() == Some(own));
    let (keys, links) = page_of(keys.collect(), call, PATH);
    let is_tied = |id: &MemberId| keys.iter().any(|key: &&ApiKey| key.member.as_ref() == Some(id));
    let names = Names::read(call, visit.workspace(), &team, is_tied).await?;
    let shown = KeysPage {
        frame: visit.frame(Tab::ApiKeys),
        words,
        form_token: &visit.signed_in.form_token,
        notice,
        intro: if is_admin { words.intro } else { words.intro_member },
        none: if is_admin { words.none } else { words.none_member },
        rows: keys.iter().map(|key| row(visit, &names, key)).collect(),
        links,
        form: is_admin.then(|| entered.unwrap_or_else(|| CreateForm::empty(words))),
        ask: if is_admin { String::new() } else { visit.ask_to_change().await? },
    };
    Ok(page(status, &shown))
}

fn row(visit: &Visit<'_>, names: &Names, key: &ApiKey) -> Row {
    let (words, format) = (&visit.words().api_keys, &visit.format);
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| (words.scope)(scope)).collect();
    let member = key.member.as_ref().map(|member| (words.member)(names.member(member)));
    let worker = key.worker.as_ref().map(|worker| (words.worker)(worker.as_str()));
    let tied: Vec<String> = member.into_iter().chain(worker).collect();
    let is_expired = !key.is_valid_at(visit.now());
    Row {
        id: key.id.to_string(),
        name: key.name.to_string(),
        scopes: scopes.join(", "),
        tied: if tied.is_empty() { words.not_tied.to_owned() } else { tied.join(", ") },
        last: key.last_used_at.map_or_else(|| words.never_used.to_owned(), |at| format.time(at)),
        expires: match key.expires_at.map(|at| format.time(at)) {
            None => words.never_expires.to_owned(),
            Some(when) if is_expired => (words.expired)(&when),
            Some(when) => when,
        },
        is_expired,
        revoke: (words.revoke_of)(&key.name),
    }
}

/// `POST /portal/api-keys/revoke`. Without `confirmed` it asks once more.
async fn revoke(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().api_keys;
    let team = call.team(visit.workspace()).await?;
    let id = call.form().get("key").and_then(|id| id.parse().ok());
    let key = id.and_then(|id| team.key(id)).ok_or_else(refusal::api_key_not_found)?;
    if call.form().get("confirmed").is_none() {
        let tied = |id: &MemberId| key.member.as_ref() == Some(id);
        let names = Names::read(&call, visit.workspace(), &team, tied).await?;
        let Row { scopes, tied, last, .. } = row(&visit, &names, key);
        let confirm = Confirm {
            frame: visit.frame(Tab::ApiKeys),
            title: (words.confirm_revoke)(&key.name),
            error: "",
            lines: vec![words.confirm_revoke_text.to_owned()],
            facts: vec![(words.column_scopes, scopes), (words.column_tied, tied), (words.column_last, last)],
            action: "/portal/api-keys/revoke",
            fields: vec![("key", key.id.to_string())],
            button: (words.revoke_of)(&key.name),
            is_danger: true,
            back: PATH,
            back_text: visit.words().frame.cancel,
        };
        return Ok(confirm.respond(StatusCode::OK));
    }
    call.run_team(visit.workspace(), TeamCommand::RevokeKey(key.id)).await?;
    Ok(see_other(&format!("{PATH}?done=revoked")))
}
