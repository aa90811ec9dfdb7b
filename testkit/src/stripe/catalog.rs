//! Products and prices: create, read, list.

use serde_json::{Value, json};

use super::error::StripeError;
use super::lists;
use super::params::Params;
use super::router::{Route, route};
use super::world::{Answer, Call, World, int, merged, shaped, text};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "products", &["name", "description", "metadata", "tax_code", "active"], create_product),
    route("GET", "products", &["active", "created"], list_products),
    route("GET", "products/{}", &[], get_product),
    route(
        "POST",
        "prices",
        &[
            "currency",
            "lookup_key",
            "metadata",
            "nickname",
            "product",
            "product_data",
            "recurring",
            "tax_behavior",
            "unit_amount",
        ],
        create_price,
    ),
    route("GET", "prices", &["active", "product", "type", "created", "lookup_keys"], list_prices),
    route("GET", "prices/{}", &[], get_price),
];

fn create_product(world: &mut World, call: &Call) -> Answer {
    let name = call.params.required("name")?;
    let fields = json!({
        "name": name, "description": call.params.or_null("description"), "updated": world.now,
        "metadata": merged(&json!({}), call.params.pairs("metadata")),
        "tax_code": call.params.or_null("tax_code"),
    });
    let id = world.insert("prod_", include_str!("shapes/product.json"), fields);
    world.emit("product.created", &id);
    Ok(world.get(&id).clone())
}

fn list_products(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "product", |_| true)
}

fn get_product(world: &mut World, call: &Call) -> Answer {
    world.of_path("product", &call.id).cloned()
}

fn create_price(world: &mut World, call: &Call) -> Answer {
    let id = new_price(world, &call.params)?;
    world.emit("price.created", &id);
    Ok(world.get(&id).clone())
}

/// Adds a price, from the parameters of a price or of `price_data`.
pub(super) fn new_price(world: &mut World, params: &Params) -> Result<String, StripeError> {
    let currency = params.required("currency")?.to_owned();
    let amount =
        params.integer("unit_amount")?.ok_or_else(|| StripeError::missing_parameter("unit_amount"))?;
    if amount < 0 {
        return Err(StripeError::invalid("This value must be greater than or equal to 0.", "unit_amount"));
    }
    let recurring = recurring(params)?;
    if let Some(name) = params.text("lookup_key")
        && let Some(other) = world.all("price").find(|price| text(price, "lookup_key") == name)
    {
        let message = format!("A price (`{}`) already uses that lookup key.", text(other, "id"));
        return Err(StripeError::invalid(&message, "lookup_key").with_code("resource_already_exists"));
    }
    let product = match params.text("product") {
        Some(product) => text(world.of_parameter("product", product, "product")?, "id").to_owned(),
        None => {
            let name = params.required("product_data.name")?.to_owned();
            let fields = json!({"name": name, "updated": world.now,
                "metadata": params.pairs("product_data.metadata")});
            world.insert("prod_", include_str!("shapes/product.json"), fields)
        }
    };
    let fields = json!({
        "currency": currency, "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
        "product": product, "nickname": params.or_null("nickname"),
        "lookup_key": params.or_null("lookup_key"),
        "type": if recurring.is_null() { "one_time" } else { "recurring" },
        "recurring": recurring, "metadata": merged(&json!({}), params.pairs("metadata")),
        "tax_behavior": params.text("tax_behavior").unwrap_or("unspecified"),
    });
    Ok(world.insert("price_", include_str!("shapes/price.json"), fields))
}

fn recurring(params: &Params) -> Result<Value, StripeError> {
    let Some(interval) = params.text("recurring.interval") else { return Ok(Value::Null) };
    if !matches!(interval, "day" | "week" | "month" | "year") {
        return Err(StripeError::invalid("Invalid interval", "recurring[interval]"));
    }
    let count = params.integer("recurring.interval_count")?.unwrap_or(1);
    if count < 1 {
        return Err(StripeError::invalid("Invalid interval_count", "recurring[interval_count]"));
    }
    Ok(json!({"interval": interval, "interval_count": count, "meter": null, "trial_period_days": null,
        "usage_type": "licensed"}))
}

fn list_prices(world: &mut World, call: &Call) -> Answer {
    let keys = call.params.texts("lookup_keys");
    lists::page_of(world, call, "price", |price| {
        lists::fits(call, "product", price, "product")
            && lists::fits(call, "type", price, "type")
            && (keys.is_empty() || keys.iter().any(|key| text(price, "lookup_key") == key))
    })
}

fn get_price(world: &mut World, call: &Call) -> Answer {
    world.of_path("price", &call.id).cloned()
}

/// The old `plan` that stands beside the price of a subscription's item.
pub(super) fn plan_of(price: &Value) -> Value {
    shaped(
        include_str!("shapes/plan.json"),
        json!({
            "id": price["id"], "amount": price["unit_amount"], "amount_decimal": price["unit_amount_decimal"],
            "created": price["created"], "currency": price["currency"], "livemode": price["livemode"],
            "interval": price["recurring"]["interval"], "metadata": price["metadata"],
            "interval_count": int(&price["recurring"], "interval_count"), "product": price["product"],
        }),
    )
}
