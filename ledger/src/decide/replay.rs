//! Same key, same answer (i07): whether a repeated request is the one that wrote the entry under
//! its key, and if not, in which field they differ.
//!
//! This file only compares. The first answer is read from the entry, by the engine.

use crate::payments::subscription::Cause;
use crate::{
    ChargeCommand, ChargeDetails, ChargeRequest, Command, Entry, EntryBody, GrantRequest, PaymentChange,
    PaymentCommand, PaymentRefundCommand, ProviderCommand, Subscription, SubscriptionCommand, TopUp,
};

/// The first field, as the API spells it, in which the command differs from the one that wrote the
/// entry; `None` if it is the same request. A key that was used for another kind of request differs
/// in the `path`. So does every repeated command that cannot be replayed. Those that can are a
/// charge, a grant, a void, a lost part, a top-up, a webhook endpoint, and a refund of a charge or
/// payment.
pub(super) fn first_difference(entry: &Entry, command: &Command) -> Option<&'static str> {
    assert!(entry.key.is_some(), "i07: an entry that is repeated must have a key");
    match (&entry.body, command) {
        (EntryBody::ChargeOpened(details), Command::Charge(request)) => charge(details, request),
        (EntryBody::Granted { grant, reason, origin, paid_cents }, Command::Grant(request)) => {
            let GrantRequest { source, amount, reason: asked, origin: from, paid_cents: paid } = request;
            first(&[
                ("source", grant.source == *source),
                ("amount", grant.amount == *amount),
                ("reason", reason == asked),
                ("origin", origin == from),
                ("paid_cents", paid_cents == paid),
            ])
        }
        (EntryBody::GrantVoided { grant, reason, .. }, Command::VoidGrant { grant: asked, reason: why }) => {
            first(&[("grant", grant == asked), ("reason", reason == why)])
        }
        (
            EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. },
            Command::SetLost { grant, lost_cents, evidence },
        ) => first(&[
            ("grant", lost.grant == *grant),
            ("lost_cents", lost.lost_cents == *lost_cents),
            ("evidence", lost.evidence == *evidence),
        ]),
        (EntryBody::Payment(change), Command::Payment(PaymentCommand::OpenTopUp { cents, .. })) => {
            match &**change {
                // The way is the server's setting, not the caller's wish.
                PaymentChange::TopUpOpened { cents: opened, .. } => first(&[("amount_usd", opened == cents)]),
                _ => Some("path"),
            }
        }
        (EntryBody::Payment(change), Command::Payment(PaymentCommand::Refund(command))) => {
            payment_refund(change, command)
        }
        (EntryBody::WebhookEndpointSet(endpoint), Command::SetWebhookEndpoint(request)) => first(&[
            ("path", endpoint.version == 1 && request.version == 1),
            ("url", endpoint.url == request.url),
            ("kinds", endpoint.types == request.types),
            ("workspace", endpoint.workspace == request.workspace),
        ]),
        // There is one entry for a payment.
        (EntryBody::PaymentUnmatched(_), Command::ReportUnmatched(_)) => None,
        (EntryBody::Granted { origin, .. }, Command::Payment(PaymentCommand::ConfirmTopUp(top_up))) => {
            let confirmed = origin.as_deref().and_then(TopUp::of_manual_payment);
            first(&[("path", confirmed == Some(*top_up))])
        }
        (
            EntryBody::Granted { origin, paid_cents, .. },
            Command::Payment(PaymentCommand::Provider(ProviderCommand::SucceedTopUp {
                payment, cents, ..
            })),
        ) => first(&[("path", origin.as_ref() == Some(payment)), ("cents", paid_cents == cents)]),
        (EntryBody::Granted { origin, .. }, Command::Payment(PaymentCommand::Subscription(command))) => {
            paid_subscription(origin.as_deref(), command)
        }
        (EntryBody::ChargeRefunded(refund), Command::ExistingCharge { charge, command }) => match command {
            ChargeCommand::Refund { amount, reason } => first(&[
                ("charge", refund.charge == *charge),
                ("amount", refund.requested == *amount),
                ("reason", refund.detail.as_ref() == Some(reason)),
            ]),
            ChargeCommand::Succeed { .. }
            | ChargeCommand::Fail { .. }
            | ChargeCommand::Heartbeat { .. }
            | ChargeCommand::TimeOut => Some("path"),
        },
        _ => Some("path"),
    }
}

/// The member and worker come first: a key that is tied to one member learns nothing
/// about the charges of another. The caller is not compared: a rotated key may repeat the request.
fn charge(details: &ChargeDetails, request: &ChargeRequest) -> Option<&'static str> {
    let ChargeRequest {
        operation,
        quantity,
        worker,
        member,
        await_outcome,
        outcome_by_platform,
        timeout_seconds,
        reference,
        metadata,
    } = request;
    first(&[
        ("member", details.spender.member == *member),
        ("worker", details.spender.worker == *worker),
        ("operation", details.spender.operation == *operation),
        (if quantity.meters().is_some() { "quantities" } else { "quantity" }, details.quantity == *quantity),
        ("await_outcome", details.await_outcome == *await_outcome),
        ("outcome_by_platform", details.outcome_by_platform == *outcome_by_platform),
        ("timeout_seconds", details.timeout_seconds == *timeout_seconds),
        ("reference", details.reference == *reference),
        ("metadata", details.metadata == *metadata),
    ])
}

/// What was paid for a subscription. A provider says so once, so the same payment is the same
/// request.
fn paid_subscription(origin: Option<&str>, command: &SubscriptionCommand) -> Option<&'static str> {
    match command {
        SubscriptionCommand::Confirm { change, .. } => {
            let cause = origin.and_then(Cause::of_origin);
            let is_change = cause.map(|cause| matches!(cause, Cause::Change(_)));
            first(&[("path", is_change.is_some()), ("change", is_change == Some(*change))])
        }
        SubscriptionCommand::Collected { subscription, .. } => {
            let of = origin.and_then(Subscription::of_origin);
            first(&[("path", of.is_some_and(|(id, _)| id == *subscription))])
        }
        _ => Some("path"),
    }
}

fn payment_refund(change: &PaymentChange, command: &PaymentRefundCommand) -> Option<&'static str> {
    let PaymentChange::Refund(change) = change else { return Some("path") };
    match (change.command(), command) {
        (
            PaymentRefundCommand::Request { top_up, cents, reason, by_hand: _ },
            PaymentRefundCommand::Request { top_up: again, cents: asked, reason: why, by_hand: _ },
        ) => {
            first(&[("path", top_up == *again), ("amount_usd", cents == *asked), ("reason", reason == *why)])
        }
        (first, again) if first == *again => None,
        _ => Some("path"),
    }
}

/// The first field that is not the same.
fn first(fields: &[(&'static str, bool)]) -> Option<&'static str> {
    fields.iter().find(|(_, same)| !same).map(|(field, _)| *field)
}
