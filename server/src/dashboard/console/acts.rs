//! The pages of an act: the form with its reason, the question, and the act itself.
//!
//! Nothing is done before the question is answered. A form that is sent twice acts once.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::Reads;
use tollkeeper_ledger::{Profile, WorkspaceId};

use super::act::{Act, ActKind, Subject};
use super::frame::{ConsoleFrame, ConsoleTab, ConsoleVisit};
use super::workspaces::path_of;
use crate::access::Rule;
use crate::dashboard::amounts::typed_usd;
use crate::dashboard::fields::{Field, Notice};
use crate::dashboard::form_key;
use crate::dashboard::page::{page, see_other};
use crate::dashboard::words::ConsoleWords;
use crate::http::call::{Call, existing};
use crate::http::problem::{Code, Problem};
use crate::http::refusal::no_such_path;
use crate::http::route::Route;
use crate::reports::local_time::zone;
use crate::wire::read::{ShortText, Word};

/// The path of the page with the form.
const PATH: &str = "/console/workspaces/{workspace}/acts";

/// The problems if what an act is about is not there.
const MISSING: &[Code] = &[
    Code::NotFound,
    Code::ChargeNotFound,
    Code::GrantNotFound,
    Code::TopUpNotFound,
    Code::SubscriptionNotFound,
];

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::Operator, "Begin an act", |call| Box::pin(begin(call)))
        .page()
        .parameters(&["act", "target"])
        .problems(MISSING),
    Route::new(Method::POST, PATH, Rule::Operator, "Act", |call| Box::pin(act(call)))
        .page()
        .redirects()
        .problems(MISSING),
];

/// The page with the form of an act, or with the question before it.
#[derive(Template)]
#[template(path = "dashboard/console/act.html")]
struct ActPage<'a> {
    frame: ConsoleFrame<'a>,
    words: &'static ConsoleWords,
    title: &'static str,
    text: &'static str,
    workspace: &'a str,
    notice: Option<Notice>,
    facts: Vec<(&'static str, String)>,
    action: String,
    back: String,
    kind: &'static str,
    target: &'a str,
    step: Step,
}

/// What the page asks for.
enum Step {
    /// The fields of the form.
    Form(Box<Fields>),
    /// The answer to the question.
    Question {
        facts: Vec<(&'static str, String)>,
        fields: Vec<(&'static str, String)>,
        button: String,
        is_danger: bool,
    },
}

/// The fields of the form of an act.
struct Fields {
    /// Whether the kind of a grant is chosen.
    has_source: bool,
    is_adjustment: bool,
    amount: Option<Field>,
    reason: Field,
}

/// What a request is about.
struct Asked<'a> {
    workspace: WorkspaceId,
    profile: Profile,
    kind: ActKind,
    target: &'a str,
    subject: Subject,
}

impl<'a> Asked<'a> {
    async fn read(call: &'a Call, kind: Option<&str>, target: Option<&'a str>) -> Result<Asked<'a>, Problem> {
        let workspace = call.workspace()?;
        let profile = existing(&workspace, call.app.engine().workspace(&workspace).await?)?;
        let kind = kind.and_then(ActKind::named).ok_or_else(no_such_path)?;
        let target = target.unwrap_or_default();
        let subject = Subject::find(call, &workspace, kind, target).await?;
        Ok(Asked { workspace, profile, kind, target, subject })
    }

    fn visit<'c>(&self, call: &'c Call) -> Result<ConsoleVisit<'c>, Problem> {
        Ok(ConsoleVisit::begin(call)?.in_zone(zone(&self.profile.timezone)))
    }

    fn page<'p>(&'p self, visit: &'p ConsoleVisit<'_>, notice: Option<Notice>, step: Step) -> ActPage<'p> {
        let words = visit.console();
        let (title, text) = (words.act)(self.kind);
        let path = path_of(&self.workspace);
        ActPage {
            frame: visit.frame(ConsoleTab::Workspaces),
            words,
            title,
            text,
            workspace: &self.profile.name,
            notice,
            facts: self.subject.facts(visit),
            action: format!("{path}/acts"),
            back: path,
            kind: self.kind.name(),
            target: self.target,
            step,
        }
    }
}

/// `GET /console/workspaces/{workspace}/acts`.
async fn begin(call: Call) -> Result<Response, Problem> {
    let asked = Asked::read(&call, call.query().get("act"), call.query().get("target")).await?;
    let visit = asked.visit(&call)?;
    let usual = asked.subject.usual_amount().map(|amount| typed_usd(&visit.format, amount));
    let fields = form(&call, &visit, asked.kind, &usual.unwrap_or_default());
    Ok(page(StatusCode::OK, &asked.page(&visit, None, Step::Form(Box::new(fields)))))
}

/// The fields, with what was typed in them.
fn form(call: &Call, visit: &ConsoleVisit<'_>, kind: ActKind, amount: &str) -> Fields {
    let words = visit.console();
    let typed = |name: &str| call.form().get(name).unwrap_or_default().to_owned();
    Fields {
        has_source: kind == ActKind::Grant,
        is_adjustment: typed("source") == "adjustment",
        amount: kind.has_amount().then(|| Field::new("amount", "text", words.amount_usd).with_value(amount)),
        reason: Field::new("reason", "text", words.reason)
            .with_value(typed("reason"))
            .with_hint(words.reason_hint),
    }
}

/// `POST /console/workspaces/{workspace}/acts`. Without `confirmed` it asks once more.
async fn act(call: Call) -> Result<Response, Problem> {
    let (call, reason) = match call.form().get("reason").map(ShortText::read) {
        Some(Ok(ShortText(reason))) => (call.with_reason(reason.clone()), Some(reason)),
        _ => (call, None),
    };
    let asked = Asked::read(&call, call.form().get("act"), call.form().get("target")).await?;
    let visit = asked.visit(&call)?;
    let words = visit.console();
    let again = |status: StatusCode, notice: Notice, amount_error: &str, reason_error: &str| {
        let mut fields = form(&call, &visit, asked.kind, call.form().get("amount").unwrap_or_default());
        if let Some(amount) = &mut fields.amount {
            amount.error = amount_error.to_owned();
        }
        fields.reason.error = reason_error.to_owned();
        Ok(page(status, &asked.page(&visit, Some(notice), Step::Form(Box::new(fields)))))
    };
    let (act, reason) = match (Act::read(&call, &visit, asked.kind, &asked.subject), reason) {
        (Some(act), Some(reason)) => (act, reason),
        (act, reason) => {
            let amount_error = if act.is_none() { words.not_an_amount } else { "" };
            let reason_error = if reason.is_none() { words.wrong_reason } else { "" };
            let notice = Notice::error(words.nothing_done);
            return again(StatusCode::UNPROCESSABLE_ENTITY, notice, amount_error, reason_error);
        }
    };
    let key = form_key::read(call.form().get("key"), &format!("console:{}", act.content()));
    let is_confirmed = call.form().get("confirmed") == Some("yes");
    let Some(key) = key.filter(|_| is_confirmed) else {
        return Ok(page(StatusCode::OK, &asked.page(&visit, None, question(&call, &visit, &asked, &act)?)));
    };
    let Err(problem) = act.run(&call, &asked.workspace, key, reason).await else {
        return Ok(see_other(&format!("{}?done={}", path_of(&asked.workspace), asked.kind.name())));
    };
    let status = problem.code.http_status();
    let notice = Notice::of_form(problem, visit.words())?;
    let amount_error = if asked.kind.has_amount() { notice.text.clone() } else { String::new() };
    again(status, notice, &amount_error, "")
}

/// The question before an act.
fn question(call: &Call, visit: &ConsoleVisit<'_>, asked: &Asked<'_>, act: &Act) -> Result<Step, Problem> {
    let typed = |name: &'static str| Some((name, call.form().get(name)?.to_owned()));
    let mut fields: Vec<_> = ["source", "amount", "reason"].into_iter().filter_map(typed).collect();
    fields.push(("key", form_key::fresh()?));
    let mut facts = act.facts(visit);
    facts.push((visit.console().reason, call.form().get("reason").unwrap_or_default().to_owned()));
    Ok(Step::Question {
        facts,
        fields,
        button: act.button(visit, &asked.profile.name),
        is_danger: asked.kind.is_danger(),
    })
}
