//! Spending limits: what is used and left of each, and when it counts from zero again. Admins add,
//! change and remove them.

mod changes;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{ApiKey, Limit, MemberId, Micros, Period, PeriodWindows, Role, Subject, Team};

use self::changes::AddForm;
use super::fields::Notice;
use super::frame::{Frame, Tab, Visit};
use super::links::{PageLinks, page_of};
use super::names::Names;
use super::page::page;
use super::seen;
use super::words::LimitsWords;
use crate::access::Rule;
use crate::actions::limits;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;
use crate::wire::subject::SubjectFields;

/// The path of the page.
const PATH: &str = "/portal/limits";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::SignedIn(Role::Member), "Spending limits", |call| {
        Box::pin(get(call))
    })
    .page()
    .parameters(&["done", "page"]),
    Route::new(Method::GET, "/portal/limits/change", Rule::SignedIn(Role::Admin), "A limit", |call| {
        Box::pin(changes::show_one(call))
    })
    .page()
    .redirects()
    .parameters(&["kind", "id", "period"]),
    Route::new(Method::POST, PATH, Rule::SignedIn(Role::Admin), "Set a limit", |call| {
        Box::pin(changes::set(call))
    })
    .page()
    .redirects()
    .problems(&[Code::InvalidField]),
    Route::new(
        Method::POST,
        "/portal/limits/remove",
        Rule::SignedIn(Role::Admin),
        "Remove a limit",
        |call| Box::pin(changes::remove(call)),
    )
    .page()
    .redirects(),
];

/// The most suggestions of each sort for the id of a new limit.
const SUGGESTED_MAX: usize = 50;

#[derive(Template)]
#[template(path = "dashboard/limits.html")]
struct LimitsPage<'a> {
    frame: Frame<'a>,
    words: &'static LimitsWords,
    notice: Option<Notice>,
    sees_own_only: bool,
    rows: Vec<Row>,
    links: PageLinks,
    /// The forms, for admins.
    admin: Option<AdminPart>,
    /// Whom a member asks for a change.
    ask: String,
}

/// What only admins see.
struct AdminPart {
    form_token: String,
    /// The fingerprint of all limits.
    seen: String,
    form: AddForm,
    suggestions: Vec<(String, String)>,
}

/// A limit as it is shown.
struct Row {
    subject: String,
    /// The cap with its period.
    cap: String,
    used: String,
    left: String,
    is_reached: bool,
    resets: String,
    /// The address of the page that changes it.
    url: String,
}

/// `GET /portal/limits`.
async fn get(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().limits;
    let notice = match call.query().get("done") {
        Some("saved") => Some(Notice::done(words.saved)),
        Some("removed") => Some(Notice::done(words.removed)),
        Some("gone") => Some(Notice::error(words.gone)),
        _ => None,
    };
    show(&call, &visit, StatusCode::OK, notice, None).await
}

/// The page, with what was entered.
async fn show(
    call: &Call,
    visit: &Visit<'_>,
    status: StatusCode,
    notice: Option<Notice>,
    entered: Option<AddForm>,
) -> Result<Response, Problem> {
    let words = &visit.words().limits;
    let workspace = visit.workspace();
    let (limits, windows) = limits::read(call, workspace).await?;
    let team = call.team(workspace).await?;
    let sees_others_use = call.app.access.sees_others_use(&visit.signed_in.member);
    let own = &visit.signed_in.member.id;
    let listed: Vec<&Limit> =
        limits.0.iter().filter(|limit| sees_others_use || is_own(&limit.subject, own, &team)).collect();
    let is_named = |id: &MemberId| {
        let is_limited =
            listed.iter().any(|limit| matches!(&limit.subject, Subject::Member(one) if one == id));
        is_limited || (visit.is_admin() && team.members.iter().take(SUGGESTED_MAX).any(|one| one.id == *id))
    };
    let names = Names::read(call, workspace, &team, is_named).await?;
    let (admin, ask) = match visit.is_admin() {
        true => {
            let form = entered.unwrap_or_else(|| AddForm::empty(words));
            let suggestions = suggestions(call, &team, &names);
            let form_token = visit.signed_in.form_token.clone();
            let seen = seen::of_limits(&limits.0);
            (Some(AdminPart { form_token, seen, form, suggestions }), String::new())
        }
        false => (None, visit.ask_to_change().await?),
    };
    let (listed, links) = page_of(listed, call, PATH);
    let rows = listed.into_iter().map(|limit| row(visit, &names, limit, &windows)).collect();
    let frame = visit.frame(Tab::Limits);
    let sees_own_only = !sees_others_use;
    Ok(page(status, &LimitsPage { frame, words, notice, sees_own_only, rows, links, admin, ask }))
}

/// Whether a limit is shown to a member who does not see the use of others.
fn is_own(subject: &Subject, own: &MemberId, team: &Team) -> bool {
    match subject {
        Subject::Workspace | Subject::Operation(_) => true,
        Subject::Member(member) => member == own,
        Subject::Worker(_) => false,
        Subject::ApiKey(key) => {
            team.key(*key).is_some_and(|ApiKey { member, .. }| member.as_ref() == Some(own))
        }
    }
}

fn row(visit: &Visit<'_>, names: &Names, limit: &Limit, windows: &PeriodWindows) -> Row {
    let (words, format) = (&visit.words().limits, &visit.format);
    let (used, left) = (limit.used_in(windows), limit.left_in(windows).max(Micros::ZERO));
    let SubjectFields { kind, id } = SubjectFields::from(&limit.subject);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("kind", kind).append_pair("id", id.as_deref().unwrap_or_default());
    query.append_pair("period", limit.period.as_str());
    Row {
        subject: subject_words(words, names, &limit.subject),
        cap: cap_words(visit, limit),
        used: format.usd(used),
        left: format.usd(left),
        is_reached: left == Micros::ZERO,
        resets: format.time(windows.of(limit.period).end),
        url: format!("/portal/limits/change?{}", query.finish()),
    }
}

/// The cap with its period: "$25.00 a day".
fn cap_words(visit: &Visit<'_>, limit: &Limit) -> String {
    let words = &visit.words().limits;
    let a_period = match limit.period {
        Period::Day => words.a_day,
        Period::Month => words.a_month,
    };
    a_period(&visit.format.usd(limit.amount))
}

/// Whose spending a limit caps, in words.
fn subject_words(words: &LimitsWords, names: &Names, subject: &Subject) -> String {
    match subject {
        Subject::Workspace => words.whole_workspace.to_owned(),
        Subject::Member(member) => (words.member)(names.member(member)),
        Subject::Worker(worker) => (words.worker)(worker.as_str()),
        Subject::Operation(operation) => (words.operation)(operation.as_str()),
        Subject::ApiKey(key) => (words.api_key)(&names.key(*key)),
    }
}

/// What can be entered as the id of a new limit: the value and what it is.
fn suggestions(call: &Call, team: &Team, names: &Names) -> Vec<(String, String)> {
    let platform = call.app.engine().platform();
    let prices = platform.price_book.in_force(call.now);
    let operations = prices.into_iter().flat_map(|version| &version.operations).take(SUGGESTED_MAX);
    let operations = operations.map(|operation| (operation.id.to_string(), String::new()));
    let members = team.members.iter().take(SUGGESTED_MAX);
    let members = members.map(|member| (member.id.to_string(), names.member(&member.id).to_owned()));
    let keys = team.keys.iter().take(SUGGESTED_MAX).map(|key| (key.name.to_string(), String::new()));
    operations.chain(members).chain(keys).collect()
}
