//! Decides which customer a workspace is at the payment provider, and which card is saved.
//!
//! The commands say what is. One that changes nothing writes nothing, so the provider may report
//! the same again and in any order. Automatic top-ups stop in the same change in which their card
//! goes.

use super::payments::body;
use crate::{
    Account, AutoTopUp, AutoTopUpChange, Card, CardChange, CardCommand, Customer, EntryBody, PaymentChange,
    Payments, Refusal, StopReason,
};

/// Decides a command about the customer or the card.
///
/// # Errors
/// `InvalidField`.
pub(super) fn decide(account: &Account, command: CardCommand) -> Result<Vec<EntryBody>, Refusal> {
    let payments = account.payments.as_deref();
    match command {
        CardCommand::LinkCustomer { customer, replaces } => link(payments, customer, replaces.as_deref()),
        CardCommand::SaveCard(card) => save(payments, card),
        CardCommand::RemoveCard { id } => {
            let saved = payments.and_then(|payments| payments.card.as_ref());
            let saved = saved.filter(|card| id.as_ref().is_none_or(|id| card.id == *id));
            Ok(saved.map_or_else(Vec::new, |card| {
                let removed = body(PaymentChange::Card(CardChange::Removed(card.id.clone())));
                with_stop(removed, payments)
            }))
        }
    }
}

/// Links a customer if the present one is the one that the caller saw.
///
/// # Errors
/// `InvalidField`.
fn link(
    payments: Option<&Payments>,
    customer: Customer,
    replaces: Option<&str>,
) -> Result<Vec<EntryBody>, Refusal> {
    if !customer.is_well_formed() {
        return Err(Refusal::InvalidField { field: "customer", why: "must be an id of the provider" });
    }
    let present = payments.and_then(|payments| payments.customer.as_ref());
    if present == Some(&customer) || present.map(|present| &*present.id) != replaces {
        return Ok(Vec::new());
    }
    let had_card = payments.is_some_and(|payments| payments.card.is_some());
    let linked = body(PaymentChange::Card(CardChange::Linked(customer)));
    Ok(with_stop(linked, payments.filter(|_| had_card)))
}

/// # Errors
/// `InvalidField`.
fn save(payments: Option<&Payments>, card: Card) -> Result<Vec<EntryBody>, Refusal> {
    if !card.is_well_formed() {
        return Err(Refusal::InvalidField { field: "card", why: "must have the form of a card" });
    }
    let payments = payments.filter(|payments| payments.customer.is_some());
    let why = "needs a customer at the payment provider";
    let payments = payments.ok_or(Refusal::InvalidField { field: "card", why })?;
    if payments.card.as_ref() == Some(&card) {
        return Ok(Vec::new());
    }
    Ok(vec![body(PaymentChange::Card(CardChange::Saved(card)))])
}

/// The entry by which a card goes, and the one by which automatic top-ups stop.
fn with_stop(first: EntryBody, payments: Option<&Payments>) -> Vec<EntryBody> {
    let rule = payments.and_then(|payments| payments.auto_top_up.as_ref());
    let mut bodies = vec![first];
    if rule.is_some_and(AutoTopUp::is_running) {
        let why = StopReason::PaymentMethodRemoved;
        bodies.push(body(PaymentChange::AutoTopUp(AutoTopUpChange::Stopped { why })));
    }
    bodies
}
