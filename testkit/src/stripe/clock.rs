//! The clock: what becomes due while a test moves the time, in the order of time.

use serde_json::Value;

use super::billing;
use super::changes;
use super::checkout;
use super::subscriptions::{self, first_item};
use super::world::{World, int, text};

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    ExpireSession(String),
    ExpirePendingUpdate(String),
    /// A period ends, or the subscription does.
    Renew(String),
    /// A renewal's draft becomes an open invoice and is collected.
    Finalize(String),
    /// An open invoice is tried again.
    Retry(String),
}

/// Moves the clock and carries out what becomes due, each thing at its time.
pub(super) fn advance(world: &mut World, seconds: i64) {
    assert!(seconds >= 0, "the clock never goes back");
    let until = world.now + seconds;
    while let Some((at, due)) = next_due(world).filter(|(at, _)| *at <= until) {
        world.now = world.now.max(at);
        carry_out(world, due);
    }
    world.now = until;
}

fn next_due(world: &World) -> Option<(i64, Due)> {
    let sessions = world.all("checkout.session").filter(|session| text(session, "status") == "open");
    let sessions = sessions.map(|session| (int(session, "expires_at"), Due::ExpireSession(id(session))));
    let living = |subscription: &&Value| {
        matches!(text(subscription, "status"), "active" | "trialing" | "past_due" | "unpaid")
    };
    let subscriptions = world.all("subscription").filter(living).flat_map(of_subscription);
    let invoices = world.all("invoice").filter_map(of_invoice);
    sessions.chain(subscriptions).chain(invoices).min()
}

fn id(value: &Value) -> String {
    text(value, "id").to_owned()
}

fn of_subscription(subscription: &Value) -> Vec<(i64, Due)> {
    let period_end = int(first_item(subscription), "current_period_end");
    let end = subscription["cancel_at"].as_i64().map_or(period_end, |at| at.min(period_end));
    let mut due = vec![(end, Due::Renew(id(subscription)))];
    if let Some(at) = subscription["pending_update"]["expires_at"].as_i64() {
        due.push((at, Due::ExpirePendingUpdate(id(subscription))));
    }
    due
}

fn of_invoice(invoice: &Value) -> Option<(i64, Due)> {
    match text(invoice, "status") {
        "draft" => Some((invoice["automatically_finalizes_at"].as_i64()?, Due::Finalize(id(invoice)))),
        "open" => Some((invoice["next_payment_attempt"].as_i64()?, Due::Retry(id(invoice)))),
        _ => None,
    }
}

fn carry_out(world: &mut World, due: Due) {
    match due {
        Due::ExpireSession(id) => checkout::expire(world, &id),
        Due::ExpirePendingUpdate(id) => changes::expire_pending(world, &id),
        Due::Renew(id) => subscriptions::renew(world, &id),
        Due::Finalize(id) => {
            billing::finalize(world, &id);
            collect(world, &id);
        }
        Due::Retry(id) => collect(world, &id),
    }
}

fn collect(world: &mut World, invoice: &str) {
    let method = subscriptions::default_method(world, world.get(invoice));
    let known = method.filter(|method| world.lookup(method).is_some());
    billing::collect(world, invoice, known.as_deref(), true);
}
