//! The words of a script about the subscription: its commands, its state, and its entries.

use super::{Words, output_of, say};
use crate::tests::world::{Output, World};
use crate::{
    AtOnce, CollectedCommand, Command, Ends, Paid, PaymentCommand, Placement, PlanId, Provider,
    SubscriptionChange, SubscriptionCommand, Terms, Timestamp,
};

/// The command of a line about the subscription.
pub(super) fn command(words: &[&str]) -> Command {
    let command = match words[0] {
        "plan" => SubscriptionCommand::StartOrChange { plan: PlanId::known(words[1]), collected_by: None },
        "collect" => SubscriptionCommand::StartOrChange {
            plan: PlanId::known(words[1]),
            collected_by: Some(Provider::Stripe),
        },
        "pay" => SubscriptionCommand::Confirm {
            change: words.get(2) == Some(&"change"),
            payment: format!("manual:{}", words[1]).into(),
        },
        "cancel" => SubscriptionCommand::Cancel,
        _ => SubscriptionCommand::Tick { renews: words.get(1) == Some(&"renews") },
    };
    Command::Payment(PaymentCommand::Subscription(command))
}

/// The command of a line about what the provider says of the subscription.
pub(super) fn collected(world: &World, words: &Words) -> Command {
    let (tax_cents, number) = (words.number("tax").unwrap_or(0), words.number::<u32>("number"));
    let earlier = words.text("earlier").map_or(0, super::seconds);
    let words = &words.bare;
    let last = world.account.payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    let last = last.expect("a subscription was started");
    let known = || last.collected.as_deref().map_or_else(Placement::default, |known| known.placement.clone());
    let payment = || format!("stripe:{}", words[2]).into();
    let command = match words[1] {
        "placed" => {
            let (terms, change, _) = last.wanted();
            let ends = [Ends::No, Ends::WithPeriod, Ends::Now];
            let ends = ends.into_iter().find(|ends| ends.as_str() == words[2]).expect("it is an end");
            let reference = Some("sub_1".into());
            let is = Placement { reference, terms: Some(terms), change, ends, ..known() };
            CollectedCommand::Place { was: Box::new(known()), is: Box::new(is) }
        }
        "period" => {
            let plan = world.platform.plans.newest().find(&PlanId::known(words[4])).expect("it is a plan");
            let start = Timestamp::midnight(words[3]).plus_seconds(-earlier);
            let cents = super::number(words[5]);
            let (payment, terms) = (payment(), Terms::of(plan));
            CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents }
        }
        "change" => {
            let named = words.get(4).map(|id| world.platform.plans.newest().find(&PlanId::known(id)));
            let waits = last.upgrade.as_ref().map_or(&last.plan, |upgrade| &upgrade.plan);
            let terms = Terms::of(named.map_or(waits, |plan| plan.expect("it is a plan")));
            CollectedCommand::PayChange {
                number: number.unwrap_or(last.changes),
                payment: payment(),
                terms,
                cents: super::number(words[3]),
                tax_cents,
            }
        }
        "drop" => CollectedCommand::DropChange(words[2].parse().expect("a change has a number")),
        "lapse" => CollectedCommand::Lapse,
        _ => CollectedCommand::End,
    };
    let subscription = last.id;
    Command::Payment(PaymentCommand::Subscription(SubscriptionCommand::Collected { subscription, command }))
}

/// Ticks until nothing is written.
pub(super) fn ticks(world: &mut World, line: &str) -> String {
    let mut said = Vec::new();
    loop {
        let output = output_of(world, &line.replacen("ticks", "tick", 1));
        if matches!(output, Output::Unchanged) {
            return said.join("; ");
        }
        said.push(say(world, output));
        assert!(said.len() < 100, "each tick is one step, and the steps end");
    }
}

/// The subscription: its plan, its status, and its period.
pub(super) fn show(world: &World) -> String {
    let payments = world.account.payments.as_deref();
    let Some(subscription) = payments.and_then(|payments| payments.subscription.as_deref()) else {
        return "none".to_owned();
    };
    let (plan, status) = (&subscription.plan.id, subscription.status().as_str());
    let mut text = format!("{plan} {status}");
    if let Some((start, end)) = subscription.period() {
        text += &format!(" {} to {}", date(start), date(end));
    }
    if let Some(plan) = &subscription.next_plan {
        text += &format!(", then {}", plan.id);
    }
    text
}

/// When the subscription brings credit the next time.
pub(super) fn next_grant(world: &World) -> String {
    let payments = world.account.payments.as_deref();
    let subscription = payments.and_then(|payments| payments.subscription.as_deref());
    subscription.and_then(|subscription| subscription.next_grant_at()).map_or("none".to_owned(), date)
}

/// The day of a time, without the time if it is midnight.
fn date(at: Timestamp) -> String {
    at.rfc3339().trim_end_matches("T00:00:00.000Z").to_owned()
}

/// What an entry about the subscription says.
pub(super) fn happened(change: &SubscriptionChange) -> String {
    match change {
        SubscriptionChange::Started { plan, .. } => format!("started {}", plan.id),
        SubscriptionChange::ChangeAsked { number, plan, at_once: None } => {
            format!("change {number} to {} planned", plan.id)
        }
        SubscriptionChange::ChangeAsked { number, plan, at_once: Some(at_once) } => {
            let AtOnce { due_cents, credits, drop_at } = at_once;
            format!(
                "change {number} to {}: {due_cents} cents for {credits} until {}",
                plan.id,
                date(*drop_at)
            )
        }
        SubscriptionChange::Changed { number, paid, cents, .. } => {
            format!("change {number} for {cents} cents{}", taxed(paid))
        }
        SubscriptionChange::ChangeDropped { number } => format!("change {number} dropped"),
        SubscriptionChange::Renewed { month, grant: None, .. } => format!("month {month} skipped"),
        SubscriptionChange::Renewed { month, cents, .. } => format!("month {month} for {cents} cents"),
        SubscriptionChange::PastDue => "past due".to_owned(),
        SubscriptionChange::CancelAsked { cancels_at } => format!("ends {}", date(*cancels_at)),
        SubscriptionChange::Resumed => "resumed".to_owned(),
        SubscriptionChange::Ended => "ended".to_owned(),
        SubscriptionChange::Placed(_) => "placed".to_owned(),
        SubscriptionChange::PeriodPaid { month, paid, cents, .. } => {
            format!("period {month} for {cents} cents{}", taxed(paid))
        }
    }
}

/// The tax on a payment, if there is any.
fn taxed(paid: &Paid) -> String {
    if paid.tax_cents == 0 { String::new() } else { format!(" and {} tax", paid.tax_cents) }
}
