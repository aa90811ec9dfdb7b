//! The billing portal: configurations and sessions.

use serde_json::{Value, json};

use super::error::StripeError;
use super::lists;
use super::params::Params;
use super::router::{Route, route};
use super::world::{Answer, Call, World, merged};

const PARAMS: &[&str] =
    &["active", "business_profile", "default_return_url", "features", "login_page", "metadata", "name"];

pub(super) const ROUTES: &[Route] = &[
    route("POST", "billing_portal/configurations", PARAMS, create_configuration),
    route("GET", "billing_portal/configurations", &["active", "is_default"], list_configurations),
    route("GET", "billing_portal/configurations/{}", &[], get_configuration),
    route("POST", "billing_portal/configurations/{}", PARAMS, update_configuration),
    route(
        "POST",
        "billing_portal/sessions",
        &["configuration", "customer", "flow_data", "locale", "return_url"],
        create_session,
    ),
];

fn create_configuration(world: &mut World, call: &Call) -> Answer {
    let features = call.params.pairs("features");
    if features.is_empty() {
        return Err(StripeError::missing_parameter("features"));
    }
    let fields = json!({"updated": world.now});
    let id = world.insert("bpc_", include_str!("shapes/portal_configuration.json"), fields);
    change(world, &call.params, &id)?;
    world.emit("billing_portal.configuration.created", &id);
    Ok(world.get(&id).clone())
}

fn change(world: &mut World, params: &Params, id: &str) -> Result<(), StripeError> {
    for name in ["default_return_url", "name"] {
        if params.has(name) {
            world.set(id, json!({name: params.or_null(name)}));
        }
    }
    if params.has("active") {
        let active = params.flag("active")?;
        world.set(id, json!({"active": active}));
    }
    for feature in params.pairs("features").keys() {
        let enabled = format!("features.{feature}.enabled");
        if world.get(id)["features"].get(feature).is_none() {
            return Err(StripeError::unknown_parameter(&format!("features[{feature}]")));
        }
        let enabled = params.flag(&enabled)?;
        world.get_mut(id)["features"][feature.as_str()]["enabled"] = json!(enabled);
    }
    let updates = params.texts("features.customer_update.allowed_updates");
    if !updates.is_empty() {
        world.get_mut(id)["features"]["customer_update"]["allowed_updates"] = json!(updates);
    }
    for name in ["headline", "privacy_policy_url", "terms_of_service_url"] {
        let path = format!("business_profile.{name}");
        if params.has(&path) {
            world.get_mut(id)["business_profile"][name] = params.or_null(&path);
        }
    }
    let metadata = merged(&world.get(id)["metadata"], params.pairs("metadata"));
    world.set(id, json!({"metadata": metadata, "updated": world.now}));
    Ok(())
}

fn get_configuration(world: &mut World, call: &Call) -> Answer {
    world.of_path("billing_portal.configuration", &call.id).cloned()
}

fn list_configurations(world: &mut World, call: &Call) -> Answer {
    let active = call.params.text("active").map(|text| text == "true");
    lists::page_of(world, call, "billing_portal.configuration", |configuration| {
        active.is_none_or(|wanted| configuration["active"] == wanted)
    })
}

fn update_configuration(world: &mut World, call: &Call) -> Answer {
    world.of_path("billing_portal.configuration", &call.id)?;
    change(world, &call.params, &call.id)?;
    world.emit("billing_portal.configuration.updated", &call.id);
    Ok(world.get(&call.id).clone())
}

fn create_session(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let customer = params.required("customer")?.to_owned();
    world.of_parameter("customer", &customer, "customer")?;
    let configuration = params.required("configuration")?.to_owned();
    world.of_parameter("billing_portal.configuration", &configuration, "configuration")?;
    let fields = json!({"customer": customer, "configuration": configuration,
        "locale": params.or_null("locale"), "return_url": params.or_null("return_url"), "flow": Value::Null});
    let id = world.insert("bps_", include_str!("shapes/portal_session.json"), fields);
    let url = world.page(&format!("/p/session/{id}"));
    world.set(&id, json!({"url": url}));
    Ok(world.get(&id).clone())
}
