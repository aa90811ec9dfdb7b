//! Disputes and early fraud warnings: read by the merchant, moved by the controls of a test.

use serde_json::json;

use super::lists;
use super::router::{Route, route};
use super::world::{Answer, Call, World, text};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "disputes", &["charge", "created", "payment_intent"], list),
    route("GET", "disputes/{}", &[], get),
    route("GET", "radar/early_fraud_warnings", &["charge", "created", "payment_intent"], list_warnings),
    route("GET", "radar/early_fraud_warnings/{}", &[], get_warning),
];

const DAY_SECONDS: i64 = 24 * 3600;

/// True for an inquiry, which takes no money.
fn is_inquiry(status: &str) -> bool {
    status.starts_with("warning_") || status == "prevented"
}

/// Opens a dispute on the charge of a PaymentIntent.
pub(super) fn open(world: &mut World, intent: &str, cents: i64, status: &str) -> String {
    let intent = world.get(intent).clone();
    let charge = text(&intent, "latest_charge").to_owned();
    let fields = json!({
        "amount": cents, "charge": charge, "currency": intent["currency"], "payment_intent": intent["id"],
        "status": status, "is_charge_refundable": is_inquiry(status), "network_reason_code": "10.4",
    });
    let id = world.insert("dp_", include_str!("shapes/dispute.json"), fields);
    let due = world.now + 7 * DAY_SECONDS;
    world.get_mut(&id)["evidence_details"]["due_by"] = json!(due);
    if is_inquiry(status) {
        world.get_mut(&id)["payment_method_details"]["card"]["case_type"] = json!("inquiry");
    }
    world.set(&charge, json!({"disputed": true}));
    world.emit("charge.dispute.created", &id);
    if !is_inquiry(status) {
        world.emit("charge.dispute.funds_withdrawn", &id);
    }
    id
}

/// Changes the amount of a dispute.
pub(super) fn set_amount(world: &mut World, id: &str, cents: i64) {
    world.set(id, json!({"amount": cents}));
    world.emit("charge.dispute.updated", id);
}

/// Moves a dispute to another status, with the events that Stripe sends.
pub(super) fn set_status(world: &mut World, id: &str, status: &str) {
    let before = text(world.get(id), "status").to_owned();
    let takes = |status: &str| !is_inquiry(status) && status != "won";
    world.set(id, json!({"status": status, "is_charge_refundable": is_inquiry(status)}));
    match (takes(&before), takes(status)) {
        (false, true) => world.emit("charge.dispute.funds_withdrawn", id),
        (true, false) => world.emit("charge.dispute.funds_reinstated", id),
        _ => {}
    }
    let is_closed = matches!(status, "won" | "lost" | "warning_closed" | "prevented");
    world.emit(if is_closed { "charge.dispute.closed" } else { "charge.dispute.updated" }, id);
}

/// Reports a payment as probably fraudulent.
pub(super) fn warn(world: &mut World, intent: &str) -> String {
    let intent = world.get(intent).clone();
    let fields = json!({"charge": intent["latest_charge"], "payment_intent": intent["id"]});
    let id = world.insert("issfr_", include_str!("shapes/early_fraud_warning.json"), fields);
    world.emit("radar.early_fraud_warning.created", &id);
    id
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("dispute", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "dispute", |dispute| {
        lists::fits(call, "payment_intent", dispute, "payment_intent")
            && lists::fits(call, "charge", dispute, "charge")
    })
}

fn get_warning(world: &mut World, call: &Call) -> Answer {
    world.of_path("radar.early_fraud_warning", &call.id).cloned()
}

fn list_warnings(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "radar.early_fraud_warning", |warning| {
        lists::fits(call, "payment_intent", warning, "payment_intent")
            && lists::fits(call, "charge", warning, "charge")
    })
}
