//! Payment methods: cards, and one delayed method for Checkout.

use serde_json::{Value, json};

use super::cards::Card;
use super::error::StripeError;
use super::lists;
use super::router::{Route, route};
use super::world::{Answer, Call, World, merged, text};

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "payment_methods",
        &["type", "card", "billing_details", "metadata", "allow_redisplay"],
        create,
    ),
    route("GET", "payment_methods", &["customer", "type"], list),
    route("GET", "customers/{}/payment_methods", &["type"], list_of_customer),
    route("GET", "payment_methods/{}", &[], get),
    route("POST", "payment_methods/{}/attach", &["customer"], attach_route),
    route("POST", "payment_methods/{}/detach", &[], detach),
];

/// Every payer is this person: a test can look for what must not be kept.
pub(super) const PAYER_NAME: &str = "Pat Payer";
pub(super) const PAYER_EMAIL: &str = "pat@payer.example";

fn create(world: &mut World, call: &Call) -> Answer {
    if call.params.required("type")? != "card" {
        return Err(StripeError::invalid("The stand-in creates cards only", "type"));
    }
    let number = call.params.text("card.number").and_then(Card::by_number);
    let card = number.or_else(|| call.params.text("card.token").and_then(Card::by_token));
    let Some(card) = card else {
        return Err(StripeError::invalid("Your card number is incorrect.", "card[number]"));
    };
    let id = new_card(world, card);
    let metadata = merged(&json!({}), call.params.pairs("metadata"));
    world.set(&id, json!({"metadata": metadata}));
    Ok(world.get(&id).clone())
}

/// Adds a card that belongs to no customer.
pub(super) fn new_card(world: &mut World, card: Card) -> String {
    let holder =
        json!({"address": null, "email": PAYER_EMAIL, "name": PAYER_NAME, "phone": null, "tax_id": null});
    let fields = json!({"billing_details": holder});
    let id = world.insert("pm_", include_str!("shapes/payment_method.json"), fields);
    set_card(world, &id, card);
    id
}

/// Makes a payment method behave as this card.
pub(super) fn set_card(world: &mut World, id: &str, card: Card) {
    world.set(id, json!({"_number": card.number()}));
    let shown = &mut world.get_mut(id)["card"];
    shown["brand"] = json!(card.brand());
    shown["display_brand"] = json!(card.brand());
    shown["networks"]["available"] = json!([card.brand()]);
    shown["last4"] = json!(card.last4());
}

/// The card of a payment method.
pub(super) fn card_of(world: &World, id: &str) -> Card {
    let number = world.lookup(id).map(|method| text(method, "_number")).unwrap_or_default();
    Card::by_number(number).unwrap_or(Card::Good)
}

fn get(world: &mut World, call: &Call) -> Answer {
    match Card::by_token(&call.id) {
        Some(card) => {
            let id = new_card(world, card);
            Ok(world.get(&id).clone())
        }
        None => world.of_path("payment_method", &call.id).cloned(),
    }
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "payment_method", |method| {
        lists::fits(call, "customer", method, "customer") && lists::fits(call, "type", method, "type")
    })
}

fn list_of_customer(world: &mut World, call: &Call) -> Answer {
    world.of_path("customer", &call.id)?;
    lists::page_of(world, call, "payment_method", |method| {
        text(method, "customer") == call.id && lists::fits(call, "type", method, "type")
    })
}

/// The id of a payment method that a parameter names. A test token becomes a new card.
pub(super) fn named(world: &mut World, id: &str, param: &str) -> Result<String, StripeError> {
    match Card::by_token(id) {
        Some(card) => Ok(new_card(world, card)),
        None => world.of_parameter("payment_method", id, param).map(|_| id.to_owned()),
    }
}

fn attach_route(world: &mut World, call: &Call) -> Answer {
    let customer = call.params.required("customer")?.to_owned();
    world.of_parameter("customer", &customer, "customer")?;
    let id = named(world, &call.id, "payment_method")?;
    let card = card_of(world, &id);
    if let Some(decline) = card.decline().filter(|_| card != Card::DeclinedAfterSaving) {
        return Err(StripeError::card(&decline, None, Value::Null));
    }
    attach(world, &id, &customer);
    Ok(world.get(&id).clone())
}

/// Refuses a payment method that was removed from its customer: it can be used no more.
pub(super) fn usable(world: &World, id: &str) -> Result<(), StripeError> {
    if world.get(id)["_removed"] != true {
        return Ok(());
    }
    let message = "The provided PaymentMethod was detached from a Customer. It may not be used again.";
    Err(StripeError::invalid(message, "payment_method"))
}

/// Saves the payment method with the customer.
pub(super) fn attach(world: &mut World, id: &str, customer: &str) {
    world.set(id, json!({"customer": customer}));
    world.emit("payment_method.attached", id);
}

fn detach(world: &mut World, call: &Call) -> Answer {
    let customer = text(world.of_path("payment_method", &call.id)?, "customer").to_owned();
    if customer.is_empty() {
        return Err(StripeError::state(
            "payment_method_unexpected_state",
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    remove(world, &call.id);
    Ok(world.get(&call.id).clone())
}

/// Takes the payment method from its customer.
pub(super) fn remove(world: &mut World, id: &str) {
    let customer = text(world.get(id), "customer").to_owned();
    let default = &mut world.get_mut(&customer)["invoice_settings"]["default_payment_method"];
    if default == id {
        *default = Value::Null;
    }
    world.set(id, json!({"customer": null, "_removed": true}));
    world.emit_with("payment_method.detached", id, Some(json!({"customer": customer})));
}
