//! The endpoints of invoices: read, list, lines, preview, pay, void, mark uncollectible.

use serde_json::{Value, json};

use super::billing::{self, Draft};
use super::changes::Change;
use super::error::StripeError;
use super::intents::Attempt;
use super::lists;
use super::payment_methods::named;
use super::router::{Route, rendered, route};
use super::subscriptions;
use super::world::{Answer, Call, World, shaped, text};

pub(super) use super::billing::mark_paid;

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "invoices/create_preview",
        &["automatic_tax", "customer", "subscription", "subscription_details"],
        create_preview,
    ),
    route("GET", "invoices", &["created", "customer", "status", "subscription"], list),
    route("GET", "invoices/{}", &[], get),
    route("GET", "invoices/{}/lines", &[], lines),
    route("POST", "invoices/{}/pay", &["off_session", "paid_out_of_band", "payment_method"], pay),
    route("POST", "invoices/{}/void", &[], void),
    route("POST", "invoices/{}/mark_uncollectible", &[], mark_uncollectible),
    route("GET", "invoice_payments", &["created", "invoice", "payment", "status"], list_payments),
    route("GET", "invoice_payments/{}", &[], get_payment),
];

/// The list of payments that `expand[]=payments` reveals.
pub(super) fn payments_of(world: &World, invoice: &str) -> Value {
    let payments: Vec<Value> =
        world.all("invoice_payment").filter(|payment| text(payment, "invoice") == invoice).cloned().collect();
    lists::embedded(&payments, payments.len(), "/v1/invoice_payments")
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("invoice", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "invoice", |invoice| {
        let subscription = text(&invoice["parent"]["subscription_details"], "subscription");
        lists::fits(call, "customer", invoice, "customer")
            && lists::fits(call, "status", invoice, "status")
            && call.params.text("subscription").is_none_or(|wanted| wanted == subscription)
    })
}

fn lines(world: &mut World, call: &Call) -> Answer {
    let invoice = world.of_path("invoice", &call.id)?;
    let lines: Vec<&Value> =
        invoice["_lines"].as_array().map(|lines| lines.iter().collect()).unwrap_or_default();
    lists::page(call, &lines)
}

fn list_payments(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "invoice_payment", |payment| {
        let intent = text(&payment["payment"], "payment_intent");
        lists::fits(call, "invoice", payment, "invoice")
            && lists::fits(call, "status", payment, "status")
            && call.params.text("payment.payment_intent").is_none_or(|wanted| wanted == intent)
    })
}

fn get_payment(world: &mut World, call: &Call) -> Answer {
    world.of_path("invoice_payment", &call.id).cloned()
}

fn create_preview(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let subscription = params.required("subscription")?.to_owned();
    let found = world.of_parameter("subscription", &subscription, "subscription")?.clone();
    let change = Change::read(world, params, "subscription_details.", &found)?;
    let behavior = params.text("subscription_details.proration_behavior").unwrap_or("create_prorations");
    let mut lines = Vec::new();
    if let Some(change) = change.as_ref().filter(|_| behavior != "none") {
        lines.extend(change.proration_lines(world, &found));
    }
    if behavior != "always_invoice" {
        lines.push(subscriptions::next_line(world, &found, change.as_ref()));
    }
    let lines = billing::with_extras(world, &found, lines);
    let draft = Draft {
        customer: text(&found, "customer").to_owned(),
        subscription: Some(subscription),
        reason: if behavior == "always_invoice" { "subscription_update" } else { "upcoming" },
        lines,
        is_taxed: found["automatic_tax"]["enabled"] == true,
        proration_date: change.map(|change| change.at),
    };
    let id = world.next_id("upcoming_in_");
    let fields = billing::invoice_fields(world, &draft, &id);
    let mut preview = shaped(include_str!("shapes/invoice.json"), fields);
    preview["id"] = json!(id);
    preview["created"] = json!(world.now);
    Ok(preview)
}

fn unpayable(invoice: &Value) -> StripeError {
    let code =
        if text(invoice, "status") == "paid" { "invoice_already_paid" } else { "invoice_not_editable" };
    StripeError::state(code, &format!("The invoice is {}.", text(invoice, "status")))
}

fn pay(world: &mut World, call: &Call) -> Answer {
    let invoice = world.of_path("invoice", &call.id)?.clone();
    match text(&invoice, "status") {
        "draft" => billing::finalize(world, &call.id),
        "open" => {}
        "uncollectible" => world.set(&call.id, json!({"status": "open"})),
        _ => return Err(unpayable(&invoice)),
    }
    if call.params.flag("paid_out_of_band")? {
        billing::mark_paid(world, &call.id, None);
        return Ok(world.get(&call.id).clone());
    }
    let method = match call.params.text("payment_method") {
        Some(method) => Some(named(world, method, "payment_method")?),
        None => subscriptions::default_method(world, &invoice),
    };
    let off_session = call.params.flag("off_session")?;
    match billing::collect(world, &call.id, method.as_deref(), off_session) {
        Attempt::Declined(decline) => {
            let intent = text(world.get(&call.id), "_intent").to_owned();
            let intent = rendered(world, world.get(&intent).clone(), &[]);
            let charge = intent["latest_charge"].clone();
            Err(StripeError::card(&decline, Some(("payment_intent", intent)), charge))
        }
        Attempt::Succeeded | Attempt::NeedsAction => Ok(world.get(&call.id).clone()),
    }
}

fn void(world: &mut World, call: &Call) -> Answer {
    let invoice = world.of_path("invoice", &call.id)?.clone();
    if !matches!(text(&invoice, "status"), "open" | "uncollectible") {
        return Err(unpayable(&invoice));
    }
    billing::close(world, &call.id, "void");
    Ok(world.get(&call.id).clone())
}

fn mark_uncollectible(world: &mut World, call: &Call) -> Answer {
    let invoice = world.of_path("invoice", &call.id)?.clone();
    if text(&invoice, "status") != "open" {
        return Err(unpayable(&invoice));
    }
    billing::close(world, &call.id, "uncollectible");
    Ok(world.get(&call.id).clone())
}
