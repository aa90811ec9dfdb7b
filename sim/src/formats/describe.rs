//! The answers of an engine as text, one fact a line, to compare them with those of an earlier
//! release.
//!
//! Times are milliseconds since 1970, amounts are micro-units, `-` is an absent value.

use std::fmt::{Display, Write as _};

use tollkeeper_engine::{
    AuditReport, ChargeFilter, Engine, Listing, Page, Reads, WorkspaceFilter, WorkspaceRecord,
};
use tollkeeper_ledger::{
    Charge, ChargeDetails, MailTopic, Price, Profile, Rate, Subject, Timestamp, WorkspaceId, hex,
};
use tollkeeper_testkit::blocking::block_on;

fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A list whole, from its first page: the histories are short.
pub fn all<T>(mut page: impl FnMut(Page) -> Listing<T>) -> Vec<T> {
    let listing = page(Page { limit: 1_000, cursor: None });
    assert!(listing.next.is_none(), "the history is short");
    listing.data
}

/// The audit of a store as a line.
#[must_use]
pub fn audited(report: AuditReport) -> String {
    assert_eq!(report.disagreement.map(|found| found.what), None);
    let totals = report.totals;
    format!(
        "audit entries {} workspaces {} available {} granted {} charged {} refunded {} clawed_back {}\n",
        report.entries,
        report.workspaces,
        report.available.get(),
        totals.granted.get(),
        totals.charged.get(),
        totals.refunded.get(),
        totals.clawed_back.get(),
    )
}

/// Every answer of an engine, in the words of the fixtures.
#[must_use]
pub fn describe(engine: &dyn Engine, at: Timestamp) -> String {
    let mut text = String::new();
    let platform = engine.platform();
    let (keys, days) = (platform.key_hashes.len(), platform.settings.refund_window_days);
    writeln!(text, "platform keys {keys} epoch {} refund_window_days {days}", platform.epoch)
        .expect("a string");
    for version in platform.price_book.versions() {
        for operation in &version.operations {
            let (id, price) = (&operation.id, price_text(&operation.price));
            let timeout = or_dash(operation.timeout_seconds);
            writeln!(text, "price {} {id} {price} {timeout}", version.version).expect("a string");
        }
    }
    for version in platform.plans.versions() {
        for plan in &version.plans {
            let (cents, credits, interval) = (plan.price_cents, plan.credits.get(), plan.interval.as_str());
            writeln!(text, "plan {} {} {cents} {credits} {interval} {}", version.version, plan.id, plan.name)
                .expect("a string");
        }
    }
    let filter = WorkspaceFilter::default;
    let mut listed = all(|page| block_on(engine.workspaces(filter(), page)).expect("the engine reads"));
    listed.sort_by(|one, other| one.profile.id.cmp(&other.profile.id));
    for WorkspaceRecord { profile, last_used_at, .. } in listed {
        let used = or_dash(last_used_at.map(Timestamp::millis));
        writeln!(text, "used {} {used}", profile.id).expect("a string");
        describe_workspace(engine, &profile, at, &mut text);
    }
    text
}

fn describe_workspace(engine: &dyn Engine, profile: &Profile, at: Timestamp, text: &mut String) {
    let Profile { id, timezone, suspended, created_at, name, .. } = profile;
    let state = if *suspended { "suspended" } else { "active" };
    writeln!(text, "workspace {id} {timezone} {state} {} {name}", created_at.millis()).expect("a string");
    let mut balance = |when: Option<Timestamp>| {
        let found = block_on(engine.balance(id, when)).expect("the engine reads").expect("it exists").balance;
        let when = when.map_or_else(|| "now".to_owned(), |when| when.millis().to_string());
        let (available, pending, debt) = (found.available.get(), found.pending.get(), found.debt.get());
        writeln!(text, "balance {id} {when} {available} {pending} {debt}").expect("a string");
    };
    balance(None);
    let page = |page| block_on(engine.entries(id, page)).expect("the engine reads").expect("it exists");
    let mut entries = all(page);
    entries.reverse();
    let mut times: Vec<Timestamp> = entries.iter().step_by(7).map(|record| record.entry.at).collect();
    times.dedup();
    times.into_iter().for_each(|time| balance(Some(time)));
    for record in entries {
        let (n, kind) = (record.entry.n, record.entry.body.kind().as_str());
        let hash = hex(&record.hash);
        writeln!(text, "entry {id} {n} {kind} {} {hash}", record.entry.at.millis()).expect("a string");
    }
    describe_credit(engine, id, text);
    describe_team(engine, id, text);
    describe_limits(engine, id, at, text);
}

fn describe_credit(engine: &dyn Engine, id: &WorkspaceId, text: &mut String) {
    let page = |page| block_on(engine.charges(id, ChargeFilter::default(), page));
    for Charge { details, state, .. } in all(|p| page(p).expect("the engine reads").expect("it exists")) {
        let ChargeDetails { id: charge, spender, quantity, amount, .. } = &*details;
        let (status, outcome) =
            (state.status.as_str(), or_dash(state.outcome.map(|outcome| outcome.as_str())));
        let (refunded, deadline) = (state.refunded.get(), or_dash(state.deadline.map(Timestamp::millis)));
        let (operation, amount, quantity) = (&spender.operation, amount.get(), quantity.total());
        writeln!(
            text,
            "charge {id} {charge} {operation} {quantity} {amount} {status} {outcome} {refunded} {deadline}"
        )
        .expect("a string");
    }
    let page = |page| block_on(engine.grants(id, page)).expect("the engine reads").expect("it exists");
    for record in all(page) {
        let (grant, source) = (record.grant.id, record.grant.source.as_str());
        let (amount, remaining) = (record.grant.amount.get(), record.grant.remaining.get());
        let reason = or_dash(record.reason);
        writeln!(text, "grant {id} {grant} {source} {amount} {remaining} {reason}").expect("a string");
    }
}

fn describe_team(engine: &dyn Engine, id: &WorkspaceId, text: &mut String) {
    let team = block_on(engine.team(id)).expect("the engine reads").expect("it exists");
    for member in team.members.iter().rev() {
        let (name, role) = (&member.id, member.role.as_str());
        let email = block_on(engine.personal_texts(id, vec![(name.clone(), member.email)]));
        let email = or_dash(email.expect("the engine reads").remove(0));
        writeln!(text, "member {id} {name} {role} {email}").expect("a string");
    }
    for key in team.keys.iter().rev() {
        let (member, worker) = (or_dash(key.member.as_ref()), or_dash(key.worker.as_ref()));
        let used = or_dash(key.last_used_at.map(Timestamp::millis));
        writeln!(text, "key {id} {} {} {member} {worker} {used}", key.id, key.name).expect("a string");
    }
    for row in &team.recipients {
        let (subject, confirmed) = (&row.subject, or_dash(row.confirmed_at.map(Timestamp::millis)));
        let address = row.address.map(|address| vec![(subject.owner(), address)]).unwrap_or_default();
        let email = block_on(engine.personal_texts(id, address)).expect("the engine reads");
        let email = or_dash(email.into_iter().next().flatten());
        let (chosen, fault) = (row.is_chosen, or_dash(row.fault.map(|(fault, _)| fault.as_str())));
        let muted: Vec<&str> = row.muted.iter().map(MailTopic::as_str).collect();
        let muted = muted.join(",");
        writeln!(text, "recipient {id} {subject} {email} {chosen} {confirmed} {fault} {muted}")
            .expect("a string");
    }
}

fn describe_limits(engine: &dyn Engine, id: &WorkspaceId, at: Timestamp, text: &mut String) {
    let limits = block_on(engine.limits(id, at)).expect("the engine reads");
    let (limits, windows) = limits.expect("it exists");
    for limit in &limits.0 {
        let (kind, subject) = match &limit.subject {
            Subject::Workspace => ("workspace", "-".to_owned()),
            Subject::Member(member) => ("member", member.to_string()),
            Subject::Worker(worker) => ("worker", worker.to_string()),
            Subject::Operation(operation) => ("operation", operation.to_string()),
            Subject::ApiKey(key) => ("api_key", key.to_string()),
        };
        let (period, amount) = (limit.period.as_str(), limit.amount.get());
        let used = limit.used_in(&windows).get();
        writeln!(text, "limit {id} {kind} {subject} {period} {amount} {used}").expect("a string");
    }
}

/// A price: of one unit, or its rates.
fn price_text(price: &Price) -> String {
    let rate = |rate: Rate| match rate.per {
        1 => rate.unit_price.get().to_string(),
        per => format!("{}/{per}", rate.unit_price.get()),
    };
    match price {
        Price::Units(of) => rate(*of),
        Price::Meters(meters) => {
            let meters = meters.iter().map(|meter| format!("{}={}", meter.id, rate(meter.rate)));
            meters.collect::<Vec<_>>().join(",")
        }
    }
}
