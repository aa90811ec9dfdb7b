//! From a method and a path to an endpoint, and from its object to the JSON that is sent.

use serde_json::Value;

use super::error::StripeError;
use super::invoices::payments_of;
use super::world::{Answer, Call, World, text};
use super::{
    catalog, checkout, customers, disputes, events, intents, invoices, payment_methods, portal, refunds,
    setup, subscriptions,
};

/// One endpoint.
pub(super) struct Route {
    pub method: &'static str,
    /// The path below `/v1/`; `{}` stands for an id.
    pub path: &'static str,
    /// The parameters at the top level; any other is refused.
    pub params: &'static [&'static str],
    pub handler: fn(&mut World, &Call) -> Answer,
}

/// An entry of a table of endpoints.
pub(super) const fn route(
    method: &'static str,
    path: &'static str,
    params: &'static [&'static str],
    handler: fn(&mut World, &Call) -> Answer,
) -> Route {
    Route { method, path, params, handler }
}

const TABLES: [&[Route]; 12] = [
    customers::ROUTES,
    payment_methods::ROUTES,
    intents::ROUTES,
    setup::ROUTES,
    catalog::ROUTES,
    checkout::ROUTES,
    subscriptions::ROUTES,
    invoices::ROUTES,
    refunds::ROUTES,
    disputes::ROUTES,
    portal::ROUTES,
    events::ROUTES,
];

/// Parameters that every endpoint or every list knows.
const COMMON: [&str; 4] = ["expand", "limit", "starting_after", "ending_before"];

/// Every endpoint as "METHOD path", for a test that counts what it has called.
pub(super) fn endpoints() -> Vec<String> {
    let routes = TABLES.iter().flat_map(|table| table.iter());
    routes.map(|route| format!("{} /v1/{}", route.method, route.path)).collect()
}

/// Runs the endpoint of a request and returns what is sent.
pub(super) fn answer(world: &mut World, method: &str, call: &mut Call) -> Answer {
    let (route, id) = find(method, &call.path)?;
    let is_list = method == "GET";
    let known =
        |name: &str| route.params.contains(&name) || name == "expand" || (is_list && COMMON.contains(&name));
    if let Some(unknown) = call.params.names().find(|name| !known(name)) {
        return Err(StripeError::unknown_parameter(unknown));
    }
    call.id = id;
    let answer = (route.handler)(world, call)?;
    Ok(rendered(world, answer, &call.params.texts("expand")))
}

fn find(method: &str, path: &str) -> Result<(&'static Route, String), StripeError> {
    let below: Vec<&str> = path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
    // A literal part wins over an id: `invoices/create_preview`.
    let mut routes: Vec<&Route> = TABLES.iter().flat_map(|table| table.iter()).collect();
    routes.sort_by_key(|route| route.path.contains('{'));
    for route in routes {
        let parts: Vec<&str> = route.path.split('/').collect();
        let fits = parts.len() == below.len()
            && parts.iter().zip(&below).all(|(part, given)| *part == "{}" || part == given);
        if fits && route.method == method {
            let id = parts.iter().zip(&below).find(|(part, _)| **part == "{}");
            return Ok((route, id.map(|(_, id)| (*id).to_owned()).unwrap_or_default()));
        }
    }
    Err(StripeError::unknown_path(method, path))
}

/// An object as it is sent: expanded, without hidden fields.
pub(super) fn rendered(world: &World, mut value: Value, expand: &[String]) -> Value {
    for path in expand {
        let parts: Vec<&str> = path.split('.').collect();
        expanded(world, &mut value, &parts);
    }
    strip(&mut value);
    value
}

fn expanded(world: &World, value: &mut Value, path: &[&str]) {
    let Some((name, rest)) = path.split_first() else { return };
    if let Value::Array(elements) = value {
        elements.iter_mut().for_each(|element| expanded(world, element, path));
        return;
    }
    if *name == "payments" && text(value, "object") == "invoice" {
        value["payments"] = payments_of(world, text(value, "id"));
    }
    let hidden = value.get(format!("_{name}")).cloned();
    let Some(object) = value.as_object_mut() else { return };
    if let Some(hidden) = hidden {
        object.insert((*name).to_owned(), hidden);
    }
    let Some(child) = object.get_mut(*name) else { return };
    let kinds = child.as_str().and_then(|id| world.lookup(id));
    if let Some(whole) = kinds {
        *child = whole.clone();
    }
    expanded(world, child, rest);
}

fn strip(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        Value::Object(fields) => {
            fields.retain(|name, _| !name.starts_with('_'));
            fields.iter_mut().filter(|(name, _)| *name != "metadata").for_each(|(_, field)| strip(field));
        }
        _ => {}
    }
}
