//! The journal in words: what happened, who did it, what moved, the balance after it, and the
//! beginning of the hash. Fifty entries a page, with a filter by kind and by actor.
//!
//! A member sees no entry about money that comes in or goes back. If the settings say that members
//! do not see the use of others, neither are the charges of others shown.

mod entry_words;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::EntryRecord;
use tollkeeper_ledger::{Actor, Entry, Role, Team, hex};

pub use self::entry_words::EntryWords;
use super::frame::{Frame, Tab, Visit};
use super::links::{PageLinks, address};
use super::names::Names;
use super::page::page;
use super::words::ActivityWords;
use crate::access::Rule;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::Route;
use crate::reports::journal_group::Group;
use crate::reports::journal_page::{Journal, JournalPage, Place};
use crate::reports::journal_sight::Sight;

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/portal/activity", Rule::SignedIn(Role::Member), "The journal", |call| {
        Box::pin(activity(call))
    })
    .page()
    .parameters(&["kind", "actor", "before", "after"])];

/// The entries of a page.
const PAGE_ROWS: usize = 50;

/// How many characters of a hash are shown.
const HASH_CHARS: usize = 12;

/// The most members that the filter offers.
const OFFERED_MAX: usize = 100;

#[derive(Template)]
#[template(path = "dashboard/activity.html")]
struct Activity<'a> {
    frame: Frame<'a>,
    words: &'static ActivityWords,
    intro: &'static str,
    sees_own_only: bool,
    kinds: Vec<Choice>,
    actors: Vec<Choice>,
    is_filtered: bool,
    rows: Vec<Row>,
    /// What is said if there are no rows.
    nothing: &'static str,
    looked_until: Option<String>,
    links: PageLinks,
}

/// A choice of a filter.
struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
}

/// An entry as it is shown.
struct Row {
    when: String,
    what: &'static str,
    details: String,
    who: String,
    amount: String,
    balance: String,
    number: String,
    hash: String,
}

/// What is asked for.
struct Filter {
    group: Option<Group>,
    /// The actor as the filter writes it; empty for all.
    actor: String,
}

impl Filter {
    fn read(call: &Call) -> Filter {
        let group = call.query().get("kind").and_then(Group::named);
        Filter { group, actor: call.query().get("actor").unwrap_or_default().to_owned() }
    }

    fn admits(&self, entry: &Entry) -> bool {
        self.group.is_none_or(|group| Group::of(entry.body.kind()) == group)
            && (self.actor.is_empty() || actor_value(&entry.actor) == self.actor)
    }

    /// The address of a page with this filter, at a place.
    fn url(&self, place: &str, n: u64) -> String {
        let kind = self.group.map(Group::as_str).unwrap_or_default();
        address("/portal/activity", [("kind", kind), ("actor", &*self.actor), (place, &*n.to_string())])
    }
}

/// All operators of the platform, as the filter writes them.
const OPERATORS: &str = "operators";

/// An actor as the filter writes it.
fn actor_value(actor: &Actor) -> String {
    match actor {
        Actor::Platform => "platform".to_owned(),
        Actor::System => "system".to_owned(),
        Actor::ApiKey(key) => key.to_string(),
        Actor::Member(member) => format!("member:{member}"),
        Actor::Operator(_) => OPERATORS.to_owned(),
    }
}

/// The place that the parameters name. A text that is no number is the newest place.
fn place(call: &Call) -> Place {
    let number = |name: &str| call.query().get(name).and_then(|text| text.parse::<u64>().ok());
    match (number("before"), number("after")) {
        (Some(n), _) => Place::Before(n.max(1)),
        (None, Some(n)) => Place::After(n),
        (None, None) => Place::Newest,
    }
}

/// `GET /portal/activity`.
async fn activity(call: Call) -> Result<Response, Problem> {
    let visit = Visit::begin(&call).await?;
    let words = &visit.words().activity;
    let member = &visit.signed_in.member;
    let sight = Sight::of(&call.app.access, member);
    let filter = Filter::read(&call);
    let journal = Journal { engine: call.app.engine(), workspace: visit.workspace(), limit: PAGE_ROWS };
    let admits = |entry: &Entry| sight.admits(entry) && filter.admits(entry);
    let JournalPage { records, older, newer } = journal.page(place(&call), admits).await?;
    let team = call.team(visit.workspace()).await?;
    let entry_words = EntryWords::read(&call, &visit, &team, &records, PAGE_ROWS).await?;
    let is_filtered = filter.group.is_some() || !filter.actor.is_empty();
    let until = older.filter(|_| records.len() < PAGE_ROWS);
    let activity = Activity {
        frame: visit.frame(Tab::Activity),
        words,
        intro: if sight.is_admin { words.intro } else { words.intro_member },
        sees_own_only: !sight.sees_others_use,
        kinds: kinds(words, &filter, sight.is_admin),
        actors: actors(words, &filter, &team, &entry_words.names),
        is_filtered,
        rows: records.iter().map(|record| row(&visit, &entry_words, record)).collect(),
        nothing: if is_filtered { words.nothing_found } else { words.nothing },
        looked_until: until.map(|n| (words.looked_until)(&visit.format.number(n.cast_signed()))),
        links: PageLinks {
            newer: newer.map(|n| filter.url("after", n)),
            older: older.map(|n| filter.url("before", n)),
        },
    };
    Ok(page(StatusCode::OK, &activity))
}

fn row(visit: &Visit<'_>, words: &EntryWords<'_>, EntryRecord { entry, hash }: &EntryRecord) -> Row {
    let short: String = hex(hash).chars().take(HASH_CHARS).collect();
    Row {
        when: visit.format.recent_time(entry.at, visit.now()),
        what: words.what(entry),
        details: words.details_and_reason(entry),
        who: words.who(&entry.actor),
        amount: words.amount(entry),
        balance: visit.format.usd(entry.balance.available),
        number: visit.format.number(entry.n.cast_signed()),
        hash: short,
    }
}

/// The choices of the filter by kind.
fn kinds(words: &ActivityWords, filter: &Filter, is_admin: bool) -> Vec<Choice> {
    let all =
        Choice { value: String::new(), label: words.all_kinds.to_owned(), is_chosen: filter.group.is_none() };
    let open = Group::ALL.into_iter().filter(|group| is_admin || !group.is_money());
    let groups = open.map(|group| Choice {
        value: group.as_str().to_owned(),
        label: label(group, words).to_owned(),
        is_chosen: filter.group == Some(group),
    });
    std::iter::once(all).chain(groups).collect()
}

/// The name of a group for people.
fn label(group: Group, words: &ActivityWords) -> &'static str {
    match group {
        Group::Charges => words.charges,
        Group::Credit => words.credit,
        Group::Payments => words.payments,
        Group::Plan => words.plan,
        Group::Warnings => words.warnings,
        Group::Settings => words.settings,
        Group::Team => words.team,
        Group::Keys => words.keys,
        Group::Mails => words.mails,
    }
}

/// The choices of the filter by actor.
fn actors(words: &ActivityWords, filter: &Filter, team: &Team, names: &Names) -> Vec<Choice> {
    let choice = |value: String, label: String| Choice { is_chosen: value == filter.actor, value, label };
    let mut choices = vec![
        choice(String::new(), words.everybody.to_owned()),
        choice(actor_value(&Actor::Platform), words.platform.to_owned()),
        choice(OPERATORS.to_owned(), words.operators.to_owned()),
        choice(actor_value(&Actor::System), words.system.to_owned()),
    ];
    let members = team.members.iter().take(OFFERED_MAX);
    choices.extend(members.map(|member| {
        choice(actor_value(&Actor::Member(member.id.clone())), names.member(&member.id).to_owned())
    }));
    let keys = team.keys.iter();
    choices.extend(keys.map(|key| choice(key.id.to_string(), (words.key)(&key.name))));
    if !choices.iter().any(|choice| choice.is_chosen) {
        // Somebody who left, or a key that was revoked.
        choices.push(Choice { value: filter.actor.clone(), label: filter.actor.clone(), is_chosen: true });
    }
    choices
}
