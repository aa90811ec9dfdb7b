//! Refunds of payments, and how they end later: paid out, failed or canceled.

use serde_json::{Value, json};

use super::error::StripeError;
use super::lists;
use super::router::{Route, route};
use super::world::{Answer, Call, World, int, merged, text};

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "refunds",
        &["amount", "charge", "instructions_email", "metadata", "payment_intent", "reason"],
        create,
    ),
    route("GET", "refunds", &["charge", "created", "payment_intent"], list),
    route("GET", "refunds/{}", &[], get),
    route("POST", "refunds/{}/cancel", &[], cancel),
];

fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let charge = match params.text("payment_intent") {
        Some(intent) => {
            let intent = world.of_parameter("payment_intent", intent, "payment_intent")?;
            let received = text(intent, "status") == "succeeded";
            received.then(|| text(intent, "latest_charge").to_owned()).ok_or_else(|| {
                StripeError::state(
                    "payment_intent_unexpected_state",
                    "This PaymentIntent has no charge to refund.",
                )
            })?
        }
        None => params.required("charge")?.to_owned(),
    };
    let found = world.of_parameter("charge", &charge, "charge")?.clone();
    let left = int(&found, "amount") - int(&found, "amount_refunded");
    let amount = params.integer("amount")?.unwrap_or(left);
    if left == 0 {
        return Err(StripeError::state("charge_already_refunded", "The charge has already been refunded."));
    }
    if amount < 1 {
        return Err(
            StripeError::invalid("Invalid positive integer", "amount").with_code("parameter_invalid_integer")
        );
    }
    if amount > left {
        let message =
            format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
        return Err(StripeError::invalid(&message, "amount"));
    }
    if blocks_refunds(world, &charge) {
        return Err(StripeError::state("charge_disputed", "The charge has been charged back."));
    }
    let id = new(world, &found, amount, params.or_null("reason"));
    let metadata = merged(&json!({}), params.pairs("metadata"));
    world.set(&id, json!({"metadata": metadata}));
    announce(world, &id, &charge);
    Ok(world.get(&id).clone())
}

fn blocks_refunds(world: &World, charge: &str) -> bool {
    let mut disputes = world.all("dispute").filter(|dispute| text(dispute, "charge") == charge);
    disputes.any(|dispute| dispute["is_charge_refundable"] == false && text(dispute, "status") != "won")
}

/// Adds a refund of a charge.
pub(super) fn new(world: &mut World, charge: &Value, amount: i64, reason: Value) -> String {
    let status = world.refund_status;
    let mut fields = json!({
        "amount": amount, "charge": charge["id"], "currency": charge["currency"], "metadata": {},
        "customer": charge["customer"], "payment_intent": charge["payment_intent"], "reason": reason,
        "payment_method": charge["payment_method"], "status": status,
    });
    if status == "pending" {
        fields["pending_reason"] = json!("processing");
    }
    let id = world.insert("re_", include_str!("shapes/refund.json"), fields);
    count(world, text(charge, "id"), amount);
    id
}

/// Sends the events of a new refund.
pub(super) fn announce(world: &mut World, id: &str, charge: &str) {
    world.emit("refund.created", id);
    world.emit("charge.refunded", charge);
}

fn count(world: &mut World, charge: &str, cents: i64) {
    let found = world.get(charge);
    let (amount, refunded) = (int(found, "amount"), int(found, "amount_refunded") + cents);
    assert!((0..=amount).contains(&refunded), "{refunded} of {amount} are refunded");
    world.set(charge, json!({"amount_refunded": refunded, "refunded": refunded == amount}));
}

/// Moves a refund to another status. `failed` and `canceled` give the money back to the merchant.
pub(super) fn set_status(world: &mut World, id: &str, status: &str) {
    let refund = world.get(id).clone();
    let is_lost = |status: &str| matches!(status, "failed" | "canceled");
    let cents = int(&refund, "amount");
    match (is_lost(text(&refund, "status")), is_lost(status)) {
        (false, true) => count(world, text(&refund, "charge"), -cents),
        (true, false) => count(world, text(&refund, "charge"), cents),
        _ => {}
    }
    world.set(id, json!({"status": status}));
    if let Some(fields) = world.get_mut(id).as_object_mut() {
        fields.remove("pending_reason");
    }
    if status == "failed" {
        world.set(id, json!({"failure_reason": "lost_or_stolen_card"}));
    }
    world.emit("refund.updated", id);
    if status == "failed" {
        world.emit("refund.failed", id);
    }
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("refund", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "refund", |refund| {
        lists::fits(call, "payment_intent", refund, "payment_intent")
            && lists::fits(call, "charge", refund, "charge")
    })
}

fn cancel(world: &mut World, call: &Call) -> Answer {
    let refund = world.of_path("refund", &call.id)?;
    if text(refund, "status") != "requires_action" {
        return Err(StripeError::state(
            "refund_not_cancelable",
            "Only a refund that needs action can be canceled.",
        ));
    }
    set_status(world, &call.id, "canceled");
    Ok(world.get(&call.id).clone())
}
