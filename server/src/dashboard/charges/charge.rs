//! One charge: its status in a sentence, what it cost, who used it, what happened to it, and the
//! grants that it drew from.
//!
//! The times of refunds are known; when a charge was settled is found in the journal.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_engine::{ChargeRecord, Reads};
use tollkeeper_ledger::{MeterQuantities, Outcome, Price, Quantity, Rate, RefundReason, Spender, Timestamp};

use super::PATH;
use super::status::{ShortStatus, in_full, in_short, outcome, refund_reason};
use crate::dashboard::frame::{Frame, Tab, Visit};
use crate::dashboard::names::Names;
use crate::dashboard::page::page;
use crate::dashboard::usage::own_use;
use crate::dashboard::words::ChargeWords;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::language::Format;
use crate::reports::draws::{GrantIds, drawn_parts};
use crate::reports::settling::{self, Settling};

#[derive(Template)]
#[template(path = "dashboard/charge.html")]
struct ChargePage<'a> {
    frame: Frame<'a>,
    words: &'static ChargeWords,
    list: &'static str,
    operation: String,
    status: ShortStatus,
    sentence: String,
    cost: String,
    credits: String,
    facts: Vec<Fact>,
    metadata: Option<&'a str>,
    /// The time zone of times.
    zone: String,
    events: Vec<Event>,
    draws: Vec<DrawView>,
}

/// Stands where a time is not known.
const UNKNOWN: &str = "—";

/// A line of facts; a value that is absent has a reason.
struct Fact {
    label: &'static str,
    value: Result<String, &'static str>,
}

/// Something that happened to the charge.
struct Event {
    at: String,
    text: String,
    /// The words of the platform about it.
    detail: Option<String>,
}

/// A grant that the charge drew from.
struct DrawView {
    grant: String,
    drawn: String,
    returned: String,
}

/// `GET /portal/charges/{charge}`.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().charges;
    let workspace = visit.workspace();
    let id = call.charge(workspace).await?;
    let found = call.app.engine().charge(workspace, id).await?;
    let own = own_use(&visit);
    let is_shown = |record: &ChargeRecord| own.is_none() || record.charge.details.spender.member == own;
    let record = found.filter(is_shown).ok_or_else(refusal::charge_not_found)?;
    let member = record.charge.details.spender.member.iter().cloned().collect();
    let names = Names::of(&call, workspace, member).await?;
    let (charge, format) = (&record.charge, &visit.format);
    let settled = match may_be_settled_later(&record) {
        true => settling::find(&call, workspace, charge).await?,
        false => None,
    };
    let template = ChargePage {
        frame: visit.frame(Tab::Charges),
        words,
        list: PATH,
        operation: charge.details.spender.operation.to_string(),
        status: in_short(charge, words, format),
        sentence: in_full(charge, words, format),
        cost: format.usd(charge.details.amount),
        credits: format.micro_units(charge.details.amount),
        facts: facts(&record, &names, words, format),
        metadata: charge.details.metadata.as_deref(),
        zone: (words.zone)(&visit.zone(charge.created_at)),
        events: events(&record, settled, words, format),
        draws: draws(&record, format),
    };
    Ok(page(StatusCode::OK, &template))
}

/// What is known of a charge besides its status.
fn facts(record: &ChargeRecord, names: &Names, words: &ChargeWords, format: &Format) -> Vec<Fact> {
    let (details, state) = (&record.charge.details, &record.charge.state);
    let Spender { operation: _, worker, member, api_key } = &details.spender;
    let units = match (&details.quantity, &record.used) {
        (Quantity::Meters(paid), Some(used)) if used != paid => {
            (words.units_used)(&of_meters(paid, format), &of_meters(used, format))
        }
        (Quantity::Meters(paid), _) => of_meters(paid, format),
        (Quantity::Units(paid), _) if state.quantity != *paid => {
            (words.units_used)(&format.number(*paid), &format.number(state.quantity))
        }
        (Quantity::Units(paid), _) => format.number(*paid),
    };
    let named = |value: Option<String>| value.ok_or(words.not_named);
    let facts = [
        (words.units, Ok(units)),
        (words.unit_price, Ok(price_text(&details.price, format))),
        (words.refunded_so_far, Ok(format.both_units(state.refunded))),
        (words.outcome, Ok(outcome(state.outcome, words).to_owned())),
        (words.price_version, Ok(details.price_version.to_string())),
        (words.member, named(member.as_ref().map(|member| names.member(member).to_owned()))),
        (words.worker, named(worker.as_ref().map(ToString::to_string))),
        (words.api_key, api_key.map(|key| names.key(key)).ok_or(words.no_key)),
        (words.reference, named(details.reference.as_deref().map(str::to_owned))),
        (words.id, Ok(details.id.to_string())),
    ];
    facts.into_iter().map(|(label, value)| Fact { label, value }).collect()
}

/// The units of each meter.
fn of_meters(quantities: &MeterQuantities, format: &Format) -> String {
    let units = quantities.iter().map(|(meter, units)| format!("{meter}: {}", format.number(*units)));
    units.collect::<Vec<_>>().join("; ")
}

/// What was charged for a unit, or for the units of each meter.
fn price_text(price: &Price, format: &Format) -> String {
    let rate = |Rate { unit_price, per }: Rate| match per {
        1 => format.both_units(unit_price),
        per => format!("{} / {}", format.both_units(unit_price), format.number(per.into())),
    };
    match price {
        Price::Units(of) => rate(*of),
        Price::Meters(meters) => {
            let meters = meters.iter().map(|meter| format!("{}: {}", meter.id, rate(meter.rate)));
            meters.collect::<Vec<_>>().join("; ")
        }
    }
}

/// Whether an entry of its own may have settled the charge. A use in part is a refund.
fn may_be_settled_later(record: &ChargeRecord) -> bool {
    let is_refund = record.refunds.iter().any(|record| record.refund.reason == RefundReason::PartlyUsed);
    let outcome = record.charge.state.outcome;
    !is_refund && matches!(outcome, Some(Outcome::Succeeded | Outcome::FailedUser | Outcome::Reversed))
}

/// What happened to a charge, the oldest first.
fn events(
    record: &ChargeRecord,
    settled: Option<Settling>,
    words: &ChargeWords,
    format: &Format,
) -> Vec<Event> {
    let charge = &record.charge;
    let event = |at: Timestamp, text: String, detail: Option<&str>| {
        (at, Event { at: format.time(at), text, detail: detail.map(str::to_owned) })
    };
    let opened = (words.was_deducted)(&format.both_units(charge.details.amount));
    let mut events = vec![event(charge.created_at, opened, None)];
    let reported = |of| (words.reported)(outcome(of, words));
    if let Some(Settling { at, outcome, detail }) = settled {
        events.push(event(at, reported(outcome), detail.as_deref()));
    } else if may_be_settled_later(record) && charge.state.outcome != Some(Outcome::Reversed) {
        let (text, detail) = (reported(charge.state.outcome), Some(words.time_unknown.to_owned()));
        events.push((charge.created_at, Event { at: UNKNOWN.to_owned(), text, detail }));
    }
    events.extend(record.refunds.iter().map(|record| {
        let reason = refund_reason(record.refund.reason, words);
        let text = (words.refunded_because)(&format.both_units(record.refund.amount), reason);
        event(record.at, text, record.refund.detail.as_deref())
    }));
    events.extend(charge.state.deadline.map(|deadline| event(deadline, words.deadline.to_owned(), None)));
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

/// The grants that a charge drew from.
fn draws(record: &ChargeRecord, format: &Format) -> Vec<DrawView> {
    let parts = drawn_parts(record, &GrantIds::of(record)).into_iter();
    let view = parts.map(|part| DrawView {
        grant: part.grant.to_string(),
        drawn: format.usd(part.drawn),
        returned: format.usd(part.returned),
    });
    view.collect()
}
