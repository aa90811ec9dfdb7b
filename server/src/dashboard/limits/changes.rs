//! Setting and removing one limit. All others stay as they are.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_ledger::{
    ApiKeyId, Limit, Limits, MemberId, OperationId, Period, Subject, Team, WorkerId, bounds,
};

use super::{PATH, cap_words, show, subject_words};
use crate::actions::limits;
use crate::dashboard::amounts::{read_usd, typed_usd};
use crate::dashboard::fields::{Field, Notice};
use crate::dashboard::frame::{Frame, Tab, Visit};
use crate::dashboard::names::Names;
use crate::dashboard::page::{page, see_other};
use crate::dashboard::seen;
use crate::dashboard::words::LimitsWords;
use crate::http::call::Call;
use crate::http::problem::Problem;

/// The kinds of subjects, in the order in which they are offered.
const KINDS: [&str; 5] = ["workspace", "member", "worker", "operation", "api_key"];

/// The form for a new limit.
pub(super) struct AddForm {
    pub(super) kinds: Vec<(&'static str, &'static str)>,
    /// The kind that is chosen.
    pub(super) kind: String,
    pub(super) id: Field,
    pub(super) is_day: bool,
    pub(super) amount: Field,
}

impl AddForm {
    /// The form before anything was entered.
    pub(super) fn empty(words: &LimitsWords) -> AddForm {
        let labels = [
            words.kind_workspace,
            words.kind_member,
            words.kind_worker,
            words.kind_operation,
            words.kind_api_key,
        ];
        let id = Field { list: "subjects", ..Field::new("id", "text", words.id).with_hint(words.id_hint) };
        AddForm {
            kinds: KINDS.into_iter().zip(labels).collect(),
            kind: KINDS[0].to_owned(),
            id,
            is_day: false,
            amount: Field::new("amount", "text", words.amount).with_hint(words.amount_hint),
        }
    }

    /// What was entered, as it is shown again.
    fn of(call: &Call, words: &LimitsWords) -> AddForm {
        let sent = call.form();
        let empty = AddForm::empty(words);
        let kind = sent.get("kind").unwrap_or_default();
        AddForm {
            kind: KINDS.into_iter().find(|known| *known == kind).unwrap_or(KINDS[0]).to_owned(),
            id: empty.id.with_value(sent.get("id").unwrap_or_default()),
            is_day: sent.get("period") == Some(Period::Day.as_str()),
            amount: empty.amount.with_value(sent.get("amount").unwrap_or_default()),
            kinds: empty.kinds,
        }
    }
}

/// Which limit a form or an address names.
struct Named<'a> {
    kind: &'a str,
    id: &'a str,
    period: Period,
}

impl<'a> Named<'a> {
    fn of(value: impl Fn(&str) -> Option<&'a str>) -> Named<'a> {
        Named {
            kind: value("kind").unwrap_or_default(),
            id: value("id").unwrap_or_default(),
            period: value("period").and_then(Period::named).unwrap_or(Period::Month),
        }
    }
}

/// The subject of a limit. `is_new`: what has the limit must exist.
///
/// # Errors
/// What is wrong with the id.
fn read_subject(
    call: &Call,
    words: &LimitsWords,
    team: &Team,
    named: &Named<'_>,
    is_new: bool,
) -> Result<Subject, &'static str> {
    let (id, wrong) = (named.id, words.id_wrong);
    match named.kind {
        "workspace" if id.is_empty() => Ok(Subject::Workspace),
        "member" => {
            let member = MemberId::new(id).map_err(|_| wrong)?;
            let is_known = !is_new || team.member(&member).is_some();
            if is_known { Ok(Subject::Member(member)) } else { Err(words.no_such_member) }
        }
        "worker" => WorkerId::new(id).map(Subject::Worker).map_err(|_| wrong),
        "operation" => {
            let operation = OperationId::new(id).map_err(|_| wrong)?;
            let platform = call.app.engine().platform();
            let prices = platform.price_book.in_force(call.now);
            let is_known = !is_new || prices.is_some_and(|version| version.find(&operation).is_some());
            if is_known { Ok(Subject::Operation(operation)) } else { Err(words.no_such_operation) }
        }
        "api_key" => {
            let mut found = team.keys.iter().filter(|key| *key.name == *id).map(|key| key.id);
            let only = match (found.next(), found.next()) {
                (Some(key), None) => Some(key),
                _ => None,
            };
            let by_id = id.parse::<ApiKeyId>().ok().filter(|key| !is_new || team.key(*key).is_some());
            by_id.or(only).map(Subject::ApiKey).ok_or(words.no_such_key)
        }
        _ => Err(wrong),
    }
}

/// The page that changes one limit.
#[derive(Template)]
#[template(path = "dashboard/limit.html")]
struct LimitPage<'a> {
    frame: Frame<'a>,
    words: &'static LimitsWords,
    form_token: &'a str,
    /// The fingerprint of the limit.
    seen: String,
    title: String,
    kind: &'a str,
    id: &'a str,
    period: &'static str,
    amount: Field,
    save: String,
    remove: String,
}

/// `GET /portal/limits/change`.
pub(super) async fn show_one(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().limits;
    let team = call.team(visit.workspace()).await?;
    let (present, _) = limits::read(&call, visit.workspace()).await?;
    let named = Named::of(|name| call.query().get(name));
    let subject = read_subject(&call, words, &team, &named, false).ok();
    let limit = subject.as_ref().and_then(|subject| present.find(subject, named.period));
    let Some(limit) = limit else { return Ok(see_other(&format!("{PATH}?done=gone"))) };
    let is_wanted = |id: &MemberId| matches!(&limit.subject, Subject::Member(member) if member == id);
    let names = Names::read(&call, visit.workspace(), &team, is_wanted).await?;
    let whole = format!("{}, {}", subject_words(words, &names, &limit.subject), cap_words(&visit, limit));
    let amount = Field::new("amount", "text", words.amount).with_hint(words.amount_hint);
    let limit = LimitPage {
        frame: visit.frame(Tab::Limits),
        words,
        form_token: &visit.signed_in.form_token,
        seen: seen::of_limits([limit]),
        kind: named.kind,
        id: named.id,
        period: named.period.as_str(),
        amount: amount.with_value(typed_usd(&visit.format, limit.amount)),
        save: (words.save)(&whole),
        remove: (words.remove)(&whole),
        title: whole,
    };
    Ok(page(StatusCode::OK, &limit))
}

/// Whether a form showed all limits, or the one that it changes, as they are.
fn is_current(call: &Call, present: &Limits, one: Option<&Limit>) -> bool {
    let fingerprints = [seen::of_limits(&present.0), seen::of_limits(one)];
    seen::is_current(call.form().get(seen::FIELD), &fingerprints)
}

/// `POST /portal/limits`. It adds a limit, or replaces the one for the same subject and period.
pub(super) async fn set(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().limits;
    let team = call.team(visit.workspace()).await?;
    let (present, _) = limits::read(&call, visit.workspace()).await?;
    let mut form = AddForm::of(&call, words);
    let named = Named::of(|name| call.form().get(name));
    let period = named.period;
    // A limit that is there may be changed although its subject is gone.
    let known = read_subject(&call, words, &team, &named, false).ok();
    let is_new = known.as_ref().is_none_or(|subject| present.find(subject, period).is_none());
    let subject = read_subject(&call, words, &team, &named, is_new);
    let amount = read_usd(visit.format.language, &form.amount.value);
    if let Err(error) = &subject {
        (*error).clone_into(&mut form.id.error);
    }
    if amount.is_none() {
        words.amount_wrong.clone_into(&mut form.amount.error);
    }
    let one = known.as_ref().and_then(|subject| present.find(subject, period));
    if !is_current(&call, &present, one) {
        let notice = Notice::error(words.changed_meanwhile);
        return show(&call, &visit, StatusCode::CONFLICT, Some(notice), Some(form)).await;
    }
    let notice = match (subject, amount) {
        (Ok(_), Some(_)) if is_new && present.0.len() >= bounds::LIMITS_MAX => Notice::error(words.too_many),
        (Ok(subject), Some(amount)) => {
            let others = present.0.iter().filter(|limit| limit.subject != subject || limit.period != period);
            let mut all: Vec<_> =
                others.map(|limit| (limit.subject.clone(), limit.period, limit.amount)).collect();
            all.push((subject, period, amount));
            match limits::replace(&call, visit.workspace(), all).await {
                Ok(()) => return Ok(see_other(&format!("{PATH}?done=saved"))),
                Err(problem) => Notice::of_form(problem, visit.words())?,
            }
        }
        (Err(error), _) => Notice::error(error),
        (Ok(_), None) => Notice::error(words.amount_wrong),
    };
    show(&call, &visit, StatusCode::UNPROCESSABLE_ENTITY, Some(notice), Some(form)).await
}

/// `POST /portal/limits/remove`.
pub(super) async fn remove(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().limits;
    let team = call.team(visit.workspace()).await?;
    let (present, _) = limits::read(&call, visit.workspace()).await?;
    let named = Named::of(|name| call.form().get(name));
    let period = named.period;
    let subject = read_subject(&call, words, &team, &named, false).ok();
    let Some(subject) = subject.filter(|subject| present.find(subject, period).is_some()) else {
        return Ok(see_other(&format!("{PATH}?done=gone")));
    };
    if !is_current(&call, &present, present.find(&subject, period)) {
        let notice = Notice::error(words.changed_meanwhile);
        return show(&call, &visit, StatusCode::CONFLICT, Some(notice), None).await;
    }
    let others = present.0.iter().filter(|limit| limit.subject != subject || limit.period != period);
    let all = others.map(|limit| (limit.subject.clone(), limit.period, limit.amount)).collect();
    limits::replace(&call, visit.workspace(), all).await?;
    Ok(see_other(&format!("{PATH}?done=removed")))
}
