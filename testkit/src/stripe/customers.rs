//! Customers: create, read, update, delete.

use serde_json::json;

use super::error::StripeError;
use super::router::{Route, route};
use super::world::{Answer, Call, World, int, merged, text};
use super::{lists, payment_methods, subscriptions};

const PARAMS: &[&str] = &[
    "address",
    "balance",
    "description",
    "email",
    "invoice_settings",
    "metadata",
    "name",
    "payment_method",
    "phone",
    "preferred_locales",
    "tax_exempt",
];

pub(super) const ROUTES: &[Route] = &[
    route("POST", "customers", PARAMS, create),
    route("GET", "customers", &["email", "created"], list),
    route("GET", "customers/{}", &[], get),
    route("POST", "customers/{}", PARAMS, update),
    route("DELETE", "customers/{}", &[], delete),
];

fn create(world: &mut World, call: &Call) -> Answer {
    let id = world.insert("cus_", include_str!("shapes/customer.json"), json!({}));
    change(world, call, &id)?;
    world.emit("customer.created", &id);
    Ok(world.get(&id).clone())
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("customer", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "customer", |customer| {
        customer.get("deleted").is_none() && lists::fits(call, "email", customer, "email")
    })
}

fn update(world: &mut World, call: &Call) -> Answer {
    let found = world.of_path("customer", &call.id)?;
    if found.get("deleted").is_some() {
        return Err(StripeError::no_such("customer", &call.id));
    }
    change(world, call, &call.id)?;
    world.emit("customer.updated", &call.id);
    Ok(world.get(&call.id).clone())
}

fn change(world: &mut World, call: &Call, id: &str) -> Result<(), StripeError> {
    let params = &call.params;
    if let Some(method) = params.text("payment_method") {
        world.of_parameter("payment_method", method, "payment_method")?;
        payment_methods::attach(world, method, id);
    }
    let default = "invoice_settings.default_payment_method";
    if params.has(default) {
        if let Some(method) = params.text(default) {
            world.of_parameter("payment_method", method, "invoice_settings[default_payment_method]")?;
        }
        world.get_mut(id)["invoice_settings"]["default_payment_method"] = params.or_null(default);
    }
    for name in ["description", "email", "name", "phone", "tax_exempt"] {
        if params.has(name) {
            world.set(id, json!({name: params.or_null(name)}));
        }
    }
    if let Some(balance) = params.integer("balance")? {
        world.set(id, json!({"balance": balance}));
    }
    if params.has("address") {
        let mut address = json!({"city": null, "country": null, "line1": null, "line2": null,
            "postal_code": null, "state": null});
        for (name, value) in params.pairs("address") {
            address[name] = value;
        }
        world.set(id, json!({"address": address}));
    }
    let metadata = merged(&world.get(id)["metadata"], params.pairs("metadata"));
    world.set(id, json!({"metadata": metadata}));
    Ok(())
}

fn delete(world: &mut World, call: &Call) -> Answer {
    let customer = world.of_path("customer", &call.id)?.clone();
    if customer.get("deleted").is_some() {
        return Err(StripeError::no_such("customer", &call.id));
    }
    remove(world, &call.id);
    Ok(world.get(&call.id).clone())
}

/// Deletes a customer with its cards and subscriptions; only its id is left.
pub(super) fn remove(world: &mut World, id: &str) {
    let made_at = int(world.get(id), "_at");
    let of_customer = |value: &&serde_json::Value| text(value, "customer") == id;
    let living =
        |value: &&serde_json::Value| !matches!(text(value, "status"), "canceled" | "incomplete_expired");
    let ids = |found: Vec<&serde_json::Value>| -> Vec<String> {
        found.into_iter().map(|value| text(value, "id").to_owned()).collect()
    };
    let subscriptions = ids(world.all("subscription").filter(of_customer).filter(living).collect());
    let methods = ids(world.all("payment_method").filter(of_customer).collect());
    for subscription in subscriptions {
        subscriptions::end(world, &subscription, "cancellation_requested");
    }
    for method in methods {
        world.set(&method, json!({"customer": null, "_removed": true}));
    }
    world.emit("customer.deleted", id);
    world.replace(id, json!({"id": id, "object": "customer", "deleted": true, "_at": made_at}));
}
