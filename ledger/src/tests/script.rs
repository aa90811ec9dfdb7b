//! The language of the test scripts: a line is parsed into a command, and an answer is printed.
//!
//! ```text
//! grant SOURCE AMOUNT [origin= reason= paid= key=]      void gN [reason= key=]
//! charge OPERATION [xN await by_platform timeout= worker= member= ref= meta= key=]
//! succeed cN [xN]   fail cN system|user [detail=]   heartbeat cN SECONDS   time_out cN
//! refund cN [AMOUNT] [reason= key=]                      lost gN CENTS [evidence= key=]
//! limits SUBJECT/PERIOD=AMOUNT …           alerts AMOUNT|DAYSd … [cooldown=SECONDS]
//! check [DAYSd=AMOUNT …]    refused OPERATION REQUIRED AVAILABLE [xN]    reached SUBJECT/PERIOD
//! prices OPERATION=PRICE[/TIMEOUT] … [in=SECONDS]       platform_key BYTE
//! plans ID=CENTS/CREDITS/month|year[/NAME] …            settings DAYS          restored
//! top_up CENTS [min= max= key=]       confirm tN            unpaid tN FAILURE
//! checkout CENTS [min= max= key=]     placed tN REFERENCE    paid tN PAYMENT CENTS [tax=]
//! renew tN LOST
//! customer ID [replaces=]              card ID               no_card [ID]
//! rule THRESHOLD CENTS CAP [min= max=]                      stop [WHY]            buy
//! loss tN|NAME CENTS [disputed= evidence= key=]    send_back tN [CENTS] [by_hand reason= key=]
//! place rN REFERENCE    sent rN    bounced rN [reason=]    unmatched PAYMENT CENTS [currency=]
//! plan ID    pay NAME [change]    cancel    tick [renews]    ticks [renews]    subscription
//! collect PLAN    stripe placed ENDS | period NAME DATE PLAN CENTS [earlier=] | change NAME CENTS [number=]
//!     | drop N | lapse | end
//! create | update [name= timezone= metadata= suspended=]
//! join NAME admin|member    change NAME [role= email= name=]    leave NAME    erase NAME
//! new_key SCOPE,… [member= worker= expires=SECONDS]    revoke kN    note kN
//! mail_to NAME|ADDRESS    no_mail WHO    confirmed aN    mute|unmute WHO TOPIC    mails TOPIC
//! fault WHO bounced|complained [of=ADDRESS]    mailed WHO [TOPIC] [about=N]
//! link NAME [expires=SECONDS]    sign_in lN [expires=]    sign_out lN    sign_out_all [NAME]
//! operator NAME [secret=BYTE expires=SECONDS]           operator_out N|all
//! wait 10s|3h|2d     back 10s|3h|2d     on 2026-01-31       elsewhere COMMAND
//! balance    show cN    grants    spent    team
//! ```
//! `claw_back gN AMOUNT dispute=` and `restore dispute=` write an entry as earlier versions did.
//! What is paid for a top-up or a subscription is its amount, unless `paid=` says otherwise.
//!
//! `cN`, `gN`, `kN`, `lN`, `rN` and `tN` are the charges, grants, keys, links, payment refunds and
//! top-ups in the order in which they were made; a session has the name of its link. Digits may be
//! grouped by `_`. Any command may have `by=kN`, `by=NAME` or `by=op:NAME [why=]`, the caller;
//! without it the platform is the caller.

mod alerts;
mod endpoints;
mod operators;
mod payments;
mod recipients;
pub(super) mod subscriptions;
mod teams;

pub(super) use payments::card;

use super::world::{Output, World};
use crate::{
    Actor, ApiKeyId, ChargeCommand, ChargeRequest, ChargeState, Command, Draw, Entry, EntryBody, GrantId,
    GrantRequest, Id, Interval, MemberId, Meter, MeterId, MeterQuantities, Micros, OperationId,
    OperationPrice, PaymentCommand, Period, Plan, PlanId, PlatformSettings, Price, Quantity, Rate, Refusal,
    Scope, Source, Subject, Timestamp, UnmatchedPayment, WorkerId, WorkspaceChanges,
};

/// The words of one line: bare words in order, and `name=value` pairs.
struct Words<'a> {
    bare: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Words<'a> {
        let (named, bare) = line.split_whitespace().partition::<Vec<_>, _>(|word| word.contains('='));
        let named = named.into_iter().filter_map(|word| word.split_once('=')).collect();
        Words { bare, named }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.named.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    fn boxed(&self, name: &str) -> Option<Box<str>> {
        self.text(name).map(Into::into)
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        self.text(name).map(|text| T::try_from(number(text)).ok().expect("a script's numbers are in range"))
    }

    /// Removes a pair and returns its value.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let index = self.named.iter().position(|(n, _)| *n == name)?;
        Some(self.named.remove(index).1)
    }

    /// The quantity, written `x37`, or `xinput:1200,output:800` of meters.
    fn times(&self) -> Option<Quantity> {
        self.bare.iter().find_map(|word| {
            let word = word.strip_prefix('x')?;
            if let Ok(units) = word.parse::<i64>() {
                return Some(units.into());
            }
            let meters = word.split(',').map(|part| part.split_once(':'));
            let meters = meters.collect::<Option<Vec<_>>>()?.into_iter();
            MeterQuantities::new(meters.map(|(meter, units)| (MeterId::known(meter), number(units))))
                .map(Quantity::Meters)
        })
    }
}

fn number(text: &str) -> i64 {
    text.replace('_', "").parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

fn micros(text: &str) -> Micros {
    Micros::new(number(text))
}

fn seconds(text: &str) -> i64 {
    let (count, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => panic!("{other} is not a unit of time"),
    };
    number(count) * unit
}

/// The zero-based index of `c3` or `g3`.
fn index(word: &str) -> usize {
    word[1..].parse::<usize>().expect("a charge or grant is named by its number") - 1
}

/// Runs one line and says the answer in words.
pub(super) fn run(world: &mut World, line: &str) -> String {
    let words = Words::of(line);
    match words.bare[0] {
        "wait" => world.now = world.now.plus_seconds(seconds(words.bare[1])),
        "back" => world.now = world.now.plus_seconds(-seconds(words.bare[1])),
        "on" => world.now = Timestamp::midnight(words.bare[1]),
        "ticks" => return subscriptions::ticks(world, line),
        "subscription" => return subscriptions::show(world),
        "next" => return subscriptions::next_grant(world),
        "balance" => return balance(world),
        "show" => return show(world.charges[index(words.bare[1])].state, world.now),
        "grants" => return grants(world),
        "spent" => return used(world),
        "team" => return team(world),
        "mails" => return recipients::mails(world, words.bare[1]),
        _ => {
            let output = output_of(world, line);
            return say(world, output);
        }
    }
    String::new()
}

/// Runs a line that is a command.
pub(super) fn output_of(world: &mut World, line: &str) -> Output {
    let mut words = Words::of(line);
    if words.bare[0] == "elsewhere" {
        words.bare.remove(0);
        let command = command(world, &words);
        return world.run_elsewhere(command);
    }
    if let Some(body) = retired(world, &words) {
        return Output::Wrote(world.write_alone(body));
    }
    let by = words.take("by").map_or(Actor::Platform, |name| match name.strip_prefix("op:") {
        Some(operator) => operators::actor(operator, words.take("why")),
        None => actor(world, name),
    });
    let command = command(world, &words);
    world.run_by(by, command, words.text("key"))
}

/// The command that a line asks for.
pub(super) fn command_of(world: &World, line: &str) -> Command {
    command(world, &Words::of(line))
}

/// The entry of an earlier version that a line asks for.
fn retired(world: &World, words: &Words) -> Option<EntryBody> {
    let dispute = || words.boxed("dispute").expect("a dispute has a name");
    match words.bare[0] {
        "claw_back" => {
            let grant = &world.grants[index(words.bare[1])];
            let amount = micros(words.bare[2]);
            let taken = amount.min(world.account.balance.available);
            let draws = world.account.grants.plan_from(Some(grant.n), taken);
            Some(EntryBody::ClawedBack { grant: grant.id, dispute: dispute(), amount, draws })
        }
        "restore" => {
            let claw_back = world.account.claw_backs.find(&dispute()).expect("the dispute is open");
            let returns = claw_back.taken.clone();
            Some(EntryBody::ClawBackRestored { dispute: dispute(), returns })
        }
        _ => None,
    }
}

fn command(world: &World, words: &Words) -> Command {
    let charge = || world.charge_id(index(words.bare[1]));
    let grant = || world.grants.get(index(words.bare[1])).map_or(GrantId(Id::v7(0, 0, 0)), |grant| grant.id);
    match words.bare[0] {
        "create" => Command::CreateWorkspace(changes(words)),
        "update" => Command::UpdateWorkspace(changes(words)),
        "grant" => Command::Grant(grant_request(words)),
        "top_up" | "checkout" | "placed" | "paid" | "renew" | "confirm" | "unpaid" | "expire"
        | "page_over" | "customer" | "card" | "no_card" | "rule" | "stop" | "buy" => {
            Command::Payment(payments::payment_command(world, words))
        }
        "plan" | "pay" | "cancel" | "tick" | "collect" => subscriptions::command(&words.bare),
        "stripe" => subscriptions::collected(world, words),
        "void" => Command::VoidGrant { grant: grant(), reason: words.boxed("reason") },
        "lost" => Command::SetLost {
            grant: grant(),
            lost_cents: number(words.bare[2]),
            evidence: words.text("evidence").unwrap_or("dp_1").into(),
        },
        "charge" => Command::Charge(charge_request(words)),
        "succeed" => ChargeCommand::Succeed { quantity: words.times() }.for_charge(charge()),
        "fail" => ChargeCommand::Fail { by_system: words.bare[2] == "system", detail: words.boxed("detail") }
            .for_charge(charge()),
        "heartbeat" => {
            let extend_seconds = number(words.bare[2]).try_into().expect("a script's seconds fit");
            ChargeCommand::Heartbeat { extend_seconds }.for_charge(charge())
        }
        "refund" => ChargeCommand::Refund {
            amount: words.bare.get(2).map(|word| micros(word)),
            reason: words.text("reason").unwrap_or("courtesy").into(),
        }
        .for_charge(charge()),
        "time_out" => ChargeCommand::TimeOut.for_charge(charge()),
        "limits" => {
            let lines = words.named.iter().map(|(line, cap)| limit(world, line, cap));
            Command::SetLimits(lines.collect())
        }
        "alerts" | "check" | "refused" | "reached" => alerts::command(world, words),
        "prices" => prices(world, words),
        "plans" => plans(words),
        "platform_key" => Command::SetPlatformKey {
            hash: [number(words.bare[1]).try_into().expect("a script's byte fits"); 32],
        },
        "settings" => Command::SetSettings(PlatformSettings {
            refund_window_days: number(words.bare[1]).try_into().expect("a script's days fit"),
        }),
        "restored" => Command::MarkRestored,
        "endpoint" => endpoints::set(world, words),
        "operator" | "operator_out" => operators::command(world, words),
        "no_endpoint" => Command::RemoveWebhookEndpoint(endpoints::id(number(words.bare[1]))),
        "loss" | "send_back" | "place" | "sent" | "bounced" => {
            Command::Payment(PaymentCommand::Refund(payments::payment_refund(world, words)))
        }
        "unmatched" => Command::ReportUnmatched(UnmatchedPayment {
            payment: words.bare[1].into(),
            cents: number(words.bare[2]),
            currency: words.text("currency").unwrap_or("eur").into(),
            workspace: None,
            why: words.text("why").unwrap_or("another_currency").into(),
        }),
        word if recipients::is_one(word) => Command::Team(recipients::command(world, words)),
        _ => Command::Team(teams::command(world, words)),
    }
}

fn actor(world: &World, name: &str) -> Actor {
    let key = name.strip_prefix('k').filter(|number| number.parse::<u32>().is_ok());
    key.map_or_else(|| Actor::Member(MemberId::known(name)), |_| Actor::ApiKey(api_key(world, name)))
}

/// The id of the key `kN`, or one that no key has.
fn api_key(world: &World, name: &str) -> ApiKeyId {
    world.keys.get(index(name)).copied().unwrap_or(ApiKeyId(Id::v7(0, 0, 0)))
}

fn changes(words: &Words) -> WorkspaceChanges {
    WorkspaceChanges {
        name: words.boxed("name"),
        timezone: words.boxed("timezone"),
        metadata: words.boxed("metadata").map(Some),
        suspended: words.text("suspended").map(|text| text == "true"),
    }
}

fn grant_request(words: &Words) -> GrantRequest {
    let source = match words.bare[1] {
        "promotional" => Source::Promotional,
        "adjustment" => Source::Adjustment,
        "subscription" => Source::Subscription,
        "top_up" => Source::TopUp,
        other => panic!("{other} is not a source"),
    };
    let paid = if source.is_paid_for() { number(words.bare[2]) } else { 0 };
    GrantRequest {
        source,
        amount: micros(words.bare[2]),
        reason: words.boxed("reason"),
        origin: words.boxed("origin"),
        paid_cents: words.number("paid").unwrap_or(paid),
    }
}

fn charge_request(words: &Words) -> ChargeRequest {
    ChargeRequest {
        operation: OperationId::known(words.bare[1]),
        quantity: words.times().unwrap_or(Quantity::Units(1)),
        worker: words.text("worker").map(WorkerId::known),
        member: words.text("member").map(MemberId::known),
        await_outcome: words.bare.contains(&"await"),
        outcome_by_platform: words.bare.contains(&"by_platform"),
        timeout_seconds: words.number("timeout"),
        reference: words.boxed("ref"),
        metadata: words.boxed("meta"),
    }
}

fn limit(world: &World, line: &str, cap: &str) -> (Subject, Period, Micros) {
    let (subject, period) = line.split_once('/').expect("a limit has a subject and a period");
    let (kind, id) = subject.split_once(':').unwrap_or((subject, ""));
    let subject = match kind {
        "workspace" => Subject::Workspace,
        "member" => Subject::Member(MemberId::known(id)),
        "worker" => Subject::Worker(WorkerId::known(id)),
        "operation" => Subject::Operation(OperationId::known(id)),
        "api_key" => Subject::ApiKey(api_key(world, id)),
        other => panic!("{other} is not a subject"),
    };
    let period = if period == "day" { Period::Day } else { Period::Month };
    (subject, period, micros(cap))
}

fn prices(world: &World, words: &Words) -> Command {
    let lines = words.named.iter().filter(|(name, _)| *name != "in");
    let operations = lines.map(|(id, line)| {
        let (price, timeout) = line.split_once('/').map_or((*line, None), |(p, t)| (p, Some(t)));
        OperationPrice {
            id: OperationId::known(id),
            price: price_of(price),
            timeout_seconds: timeout.map(|text| number(text).try_into().expect("a script's seconds fit")),
        }
    });
    let effective_at = words.number::<i64>("in").map(|later| world.now.plus_seconds(later));
    Command::SetPrices { operations: operations.collect(), effective_at }
}

/// `500`, `15000:6` for 10^6 units, or of meters `input:15000:6+output:60000:6`.
fn price_of(text: &str) -> Price {
    let per = |digits: &str| 10_u32.pow(digits.parse().expect("the digits of a power of ten"));
    let rate = |text: &str| match text.split_once(':') {
        None => Rate::of_unit(micros(text)),
        Some((price, digits)) => Rate { unit_price: micros(price), per: per(digits) },
    };
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let meter = |text: &str| {
            let (id, text) = text.split_once(':').expect("a meter has a rate");
            Meter { id: MeterId::known(id), rate: rate(text) }
        };
        return Price::Meters(text.split('+').map(meter).collect());
    }
    Price::Units(rate(text))
}

fn plans(words: &Words) -> Command {
    let plan = |(id, terms): &(&str, &str)| {
        let mut terms = terms.split('/');
        let mut next = || terms.next().expect("a plan has a price, credits and an interval");
        Plan {
            id: PlanId::known(id),
            price_cents: number(next()),
            credits: micros(next()),
            interval: if next() == "month" { Interval::Month } else { Interval::Year },
            name: terms.next().unwrap_or("Some plan").into(),
        }
    };
    Command::SetPlans { plans: words.named.iter().map(plan).collect() }
}

fn balance(world: &World) -> String {
    let balance = world.account.balance;
    let mut text = balance.available.to_string();
    for (name, amount) in [("pending", balance.pending), ("debt", balance.debt)] {
        if amount > Micros::ZERO {
            text += &format!(", {name} {amount}");
        }
    }
    text
}

fn later(at: Timestamp, now: Timestamp) -> String {
    format!("in {}s", (at.millis() - now.millis()) / 1_000)
}

fn show(state: ChargeState, now: Timestamp) -> String {
    let ChargeState { status, outcome, refunded, refunds: _, quantity, deadline } = state;
    let mut text = format!("{} x{quantity}", status.as_str());
    if let Some(outcome) = outcome {
        text += &format!(", {}", outcome.as_str());
    }
    if refunded > Micros::ZERO {
        text += &format!(", {refunded} back");
    }
    if let Some(deadline) = deadline {
        text += &format!(", due {}", later(deadline, now));
    }
    text
}

fn grants(world: &World) -> String {
    let line =
        |index: usize| format!("g{} {}/{}", index + 1, world.remaining(index), world.grants[index].amount);
    (0..world.grants.len()).map(line).collect::<Vec<_>>().join(", ")
}

fn used(world: &World) -> String {
    world.account.limits.0.iter().map(|limit| limit.used.to_string()).collect::<Vec<_>>().join(", ")
}

/// The members with their roles, and the keys, links and sessions by name.
fn team(world: &World) -> String {
    let team = &world.account.team;
    let members = team.members.iter().map(|member| format!("{} {}", member.id, member.role.as_str()));
    let keys = team.keys.iter().map(|key| {
        let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
        let used = key.last_used_at.map_or(String::new(), |at| format!(" used {}", later(at, world.now)));
        let name =
            world.keys.iter().position(|id| *id == key.id).expect("every key was made by the script") + 1;
        format!("k{name} {}{used}", scopes.join("+"))
    });
    let named = |sessions: &[crate::PortalSession], what: &str| {
        let name = |id| {
            world.links.iter().position(|link| *link == id).expect("every link was made by the script") + 1
        };
        let line =
            |session: &crate::PortalSession| format!("{what} l{} {}", name(session.id), session.member);
        sessions.iter().map(line).collect::<Vec<_>>()
    };
    let (links, sessions) = (named(&team.links, "link"), named(&team.sessions, "session"));
    members.chain(keys).chain(links).chain(sessions).collect::<Vec<_>>().join(", ")
}

pub(super) fn say(world: &World, output: Output) -> String {
    match output {
        Output::Wrote(entries) => {
            entries.iter().map(|entry| happened(world, entry)).collect::<Vec<_>>().join(", ")
        }
        Output::Replay => "replay".to_owned(),
        Output::Unchanged => "unchanged".to_owned(),
        Output::No(refusal) => format!("no {}", no(world, &refusal)),
    }
}

fn happened(world: &World, entry: &Entry) -> String {
    match &entry.body {
        EntryBody::WorkspaceCreated(_) => "created".to_owned(),
        EntryBody::WorkspaceUpdated(_) => "updated".to_owned(),
        EntryBody::Granted { grant, .. } => format!("granted {}", grant.amount),
        EntryBody::GrantVoided { draws: taken, .. } => format!("voided{}", draws(world, taken)),
        EntryBody::ClawedBack { draws: taken, .. } => format!("taken{}", draws(world, taken)),
        EntryBody::DebtRepaid { draw } => format!("repaid{}", draws(world, &[*draw])),
        EntryBody::ReturnTaken { draws: taken } => format!("return taken{}", draws(world, taken)),
        EntryBody::ClawBackExchanged { draw, returns, .. } => {
            format!("exchanged{} for{}", draws(world, &[*draw]), draws(world, returns))
        }
        EntryBody::ClawBackRestored { returns, .. } => format!("restored{}", draws(world, returns)),
        EntryBody::ClawBackIncreased { owed, draws: taken, .. } => {
            let owed = (*owed > Micros::ZERO).then(|| format!(" owed {owed}"));
            format!("taken{}{}", draws(world, taken), owed.unwrap_or_default())
        }
        EntryBody::ClawBackReduced { forgiven, returns, .. } => {
            let forgiven = (*forgiven > Micros::ZERO).then(|| format!(" forgiven {forgiven}"));
            format!("given back{}{}", draws(world, returns), forgiven.unwrap_or_default())
        }
        EntryBody::ChargeOpened(details) => match details.deadline {
            None => format!("charged {}{}", details.amount, draws(world, &details.draws)),
            Some(deadline) => format!(
                "charged {}{} due {}",
                details.amount,
                draws(world, &details.draws),
                later(deadline, world.now)
            ),
        },
        EntryBody::ChargeSettled(settlement) => format!("settled {}", settlement.amount),
        EntryBody::ChargeRefunded(refund) => {
            format!("refunded {} {}{}", refund.amount, refund.reason.as_str(), draws(world, &refund.returns))
        }
        EntryBody::ChargeExtended { state, .. } => {
            format!("due {}", later(state.deadline.expect("an extended charge is pending"), world.now))
        }
        EntryBody::LimitsSet(limits) => format!("{} limits", limits.len()),
        EntryBody::AlertsSet { thresholds, .. } => alerts::set(thresholds),
        EntryBody::Alert(alert) => alerts::happened(world, alert),
        EntryBody::PricesSet(version) => format!("prices {}", version.version),
        EntryBody::PlansSet(version) => format!("plans {}", version.version),
        EntryBody::PlatformKeySet { .. } => "platform key".to_owned(),
        EntryBody::SettingsChanged(settings) => format!("window {}d", settings.refund_window_days),
        EntryBody::WebhookEndpointSet(endpoint) => format!("endpoint {}", endpoint.version),
        EntryBody::WebhookEndpointRemoved(_) => "endpoint removed".to_owned(),
        EntryBody::OperatorSignedIn(session) => format!("operator {}", session.operator),
        EntryBody::OperatorSignedOut(Some(_)) => "operator out".to_owned(),
        EntryBody::OperatorSignedOut(None) => "operators out".to_owned(),
        EntryBody::LedgerRestored { epoch } => format!("epoch {epoch}"),
        EntryBody::Team(change) => change.kind().as_str().to_owned(),
        EntryBody::Payment(change) => payments::happened(world, change),
        EntryBody::PaymentUnmatched(payment) => format!("unmatched {}", payment.payment),
    }
}

fn draws(world: &World, draws: &[Draw]) -> String {
    let name = |n| {
        world.grants.iter().position(|grant| grant.n == n).expect("every grant was made by the script") + 1
    };
    draws.iter().map(|draw| format!(" g{}:{}", name(draw.grant), draw.amount)).collect()
}

/// A quantity as the script writes it.
fn units(quantity: &Quantity) -> String {
    let Quantity::Meters(quantities) = quantity else { return quantity.total().to_string() };
    quantities.iter().map(|(meter, units)| format!("{meter}:{units}")).collect::<Vec<_>>().join(",")
}

fn no(world: &World, refusal: &Refusal) -> String {
    let code = refusal.code();
    match refusal {
        Refusal::IdempotencyKeyReused { field } | Refusal::InvalidField { field, .. } => {
            format!("{code} {field}")
        }
        Refusal::QuantityOutOfRange | Refusal::UsedQuantityOutOfRange => format!("{code} quantity"),
        Refusal::DebtOutstanding { debt } => format!("{code} {debt}"),
        Refusal::LimitExceeded { limit, remaining, resets_at, .. } => {
            format!("{code} {remaining} of {limit} left, resets {}", later(*resets_at, world.now))
        }
        Refusal::InsufficientCredits { required, available, affordable, buys_credit } => {
            let buys = if *buys_credit { ", buys" } else { "" };
            format!("{code} {available} of {required}, affords {}{buys}", units(affordable))
        }
        Refusal::ChargeAlreadySettled(state) | Refusal::ChargeAlreadyRefunded(state) => {
            format!("{code}: {}", show(*state, world.now))
        }
        Refusal::TopUpOutOfBounds { allowed } => {
            format!("{code} {} to {} cents", allowed.min_cents, allowed.max_cents)
        }
        Refusal::RefundOutOfBounds { refundable_cents } => format!("{code} 1 to {refundable_cents} cents"),
        Refusal::RefundExceedsCharge { refundable } => format!("{code} {refundable}"),
        Refusal::RefundWindowClosed { closed_at } => format!("{code} {}", later(*closed_at, world.now)),
        _ => code.to_owned(),
    }
}
