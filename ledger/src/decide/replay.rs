//! Same key, same answer (i07): whether a request is the one that an entry was made from, and if not, in which field
//! they differ. What the first answer was is read from the entry; this file only compares.

use crate::{ChargeCommand, ChargeDetails, ChargeRequest, Command, Entry, EntryBody, GrantRequest};

/// The first field, as the API spells it, in which the command differs from the one that made the entry.
pub(crate) fn first_difference(made: &Entry, command: &Command) -> Option<&'static str> {
    match (&made.body, command) {
        (EntryBody::ChargeOpened(details), Command::Charge(request)) => charge(details, request),
        (EntryBody::Granted { grant, reason, .. }, Command::Grant(request)) => {
            let GrantRequest { source, amount, reason: asked, origin: _, paid_cents: _ } = request;
            first(&[
                ("source", grant.source == *source),
                ("amount", grant.amount == *amount),
                ("reason", reason == asked),
            ])
        }
        (EntryBody::GrantVoided { grant, reason, .. }, Command::VoidGrant { grant: asked, reason: why }) => {
            first(&[("grant", grant == asked), ("reason", reason == why)])
        }
        (
            EntryBody::ClawedBack { grant, amount, .. },
            Command::ClawBack { grant: asked, amount: sum, .. },
        ) => first(&[("grant", grant == asked), ("amount", amount == sum)]),
        (EntryBody::ClawBackRestored { .. }, Command::RestoreClawBack { .. }) => None,
        (
            EntryBody::ChargeRefunded(refund),
            Command::ExistingCharge { charge, command: ChargeCommand::Refund { amount, reason } },
        ) => first(&[
            ("charge", refund.charge == *charge),
            ("amount", refund.requested == *amount),
            ("reason", refund.detail.as_ref() == Some(reason)),
        ]),
        // The key was used for another kind of request altogether.
        _ => Some("path"),
    }
}

/// Who asks is no part of what is asked: a rotated key may repeat the request.
fn charge(details: &ChargeDetails, request: &ChargeRequest) -> Option<&'static str> {
    let ChargeRequest {
        operation,
        quantity,
        worker,
        member,
        await_outcome,
        timeout_seconds,
        reference,
        metadata,
    } = request;
    // Whose it is comes first: a key that speaks for one member learns nothing of what another has charged.
    first(&[
        ("member", details.spender.member == *member),
        ("worker", details.spender.worker == *worker),
        ("operation", details.spender.operation == *operation),
        ("quantity", details.quantity == *quantity),
        ("await_outcome", details.await_outcome == *await_outcome),
        ("timeout_seconds", details.timeout_seconds == *timeout_seconds),
        ("reference", details.reference == *reference),
        ("metadata", details.metadata == *metadata),
    ])
}

fn first(fields: &[(&'static str, bool)]) -> Option<&'static str> {
    fields.iter().find(|(_, same)| !same).map(|(field, _)| *field)
}
