//! Checkout sessions: created and read by the merchant, paid by the controls of a test.

use serde_json::{Map, Value, json};

use super::billing::{self, Draft, Line};
use super::cards::{Card, Decline};
use super::catalog::new_price;
use super::error::StripeError;
use super::intents::{self, Attempt, chargeable};
use super::lists;
use super::params::Params;
use super::payment_methods::{PAYER_EMAIL, PAYER_NAME, attach, new_card};
use super::router::{Route, route};
use super::setup;
use super::subscriptions::{self, Start};
use super::world::{Answer, Call, World, int, merged, shaped, text};

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "checkout/sessions",
        &[
            "adaptive_pricing",
            "allow_promotion_codes",
            "allowed_payment_method_types",
            "automatic_tax",
            "billing_address_collection",
            "cancel_url",
            "client_reference_id",
            "currency",
            "customer",
            "customer_email",
            "customer_update",
            "expires_at",
            "invoice_creation",
            "line_items",
            "locale",
            "metadata",
            "mode",
            "payment_intent_data",
            "payment_method_collection",
            "setup_intent_data",
            "subscription_data",
            "success_url",
            "tax_id_collection",
            "ui_mode",
        ],
        create,
    ),
    route(
        "GET",
        "checkout/sessions",
        &["created", "customer", "payment_intent", "status", "subscription"],
        list,
    ),
    route("GET", "checkout/sessions/{}", &[], get),
    route("GET", "checkout/sessions/{}/line_items", &[], line_items),
    route("POST", "checkout/sessions/{}/expire", &[], expire_route),
];

/// The bounds of the time that a session is open, in seconds.
const OPEN_MIN: i64 = 30 * 60;
const OPEN_MAX: i64 = 24 * 3600;

fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let mode = params.required("mode")?.to_owned();
    if !matches!(mode.as_str(), "payment" | "setup" | "subscription") {
        return Err(StripeError::invalid("Invalid mode", "mode"));
    }
    if params.text("ui_mode").is_some_and(|ui| ui != "hosted_page") {
        return Err(StripeError::invalid("The stand-in shows hosted pages", "ui_mode"));
    }
    let success = params.required("success_url")?.to_owned();
    if let Some(customer) = params.text("customer") {
        world.of_parameter("customer", customer, "customer")?;
    } else if mode != "payment" {
        return Err(StripeError::missing_parameter("customer"));
    }
    let expires = params.integer("expires_at")?.unwrap_or(world.now + OPEN_MAX);
    if !(world.now + OPEN_MIN..=world.now + OPEN_MAX).contains(&expires) {
        let message = "expires_at must be between 30 minutes and 24 hours from now";
        return Err(StripeError::invalid(message, "expires_at"));
    }
    let is_taxed = params.flag("automatic_tax.enabled")?;
    let mut fields = common(world, params, &mode, &success, expires)?;
    if mode != "setup" {
        let items = read_line_items(world, params, is_taxed, mode == "subscription")?;
        fields.extend(totals(&items, is_taxed));
        fields.insert("_line_items".to_owned(), lists::embedded(&items, items.len(), &call.path));
        if mode == "payment" {
            chargeable(fields["amount_total"].as_i64().unwrap_or_default(), "line_items")?;
        }
    }
    let prefix = if world.options.livemode { "cs_live_" } else { "cs_test_" };
    let id = world.insert(prefix, include_str!("shapes/checkout_session.json"), Value::Object(fields));
    let url = world.page(&format!("/c/pay/{id}"));
    world.set(&id, json!({"url": url}));
    if mode == "setup" {
        let metadata = merged(&json!({}), params.pairs("setup_intent_data.metadata"));
        let intent = setup::new(world, params.text("customer"), metadata);
        world.set(&id, json!({"setup_intent": intent, "payment_status": "no_payment_required"}));
    }
    Ok(world.get(&id).clone())
}

fn common(
    world: &World,
    params: &Params,
    mode: &str,
    success: &str,
    expires: i64,
) -> Result<Map<String, Value>, StripeError> {
    let types = params.texts("allowed_payment_method_types");
    let is_taxed = params.flag("automatic_tax.enabled")?;
    let intent = json!({
        "metadata": merged(&json!({}), params.pairs("payment_intent_data.metadata")),
        "setup_future_usage": params.or_null("payment_intent_data.setup_future_usage"),
        "description": params.or_null("payment_intent_data.description"),
        "receipt_email": params.or_null("payment_intent_data.receipt_email"),
    });
    let email = params.text("customer").map_or(Value::Null, |id| world.get(id)["email"].clone());
    let fields = json!({
        "mode": mode, "success_url": success, "cancel_url": params.or_null("cancel_url"),
        "customer": params.or_null("customer"), "customer_email": params.or_null("customer_email"),
        "client_reference_id": params.or_null("client_reference_id"), "expires_at": expires,
        "metadata": merged(&json!({}), params.pairs("metadata")),
        "allow_promotion_codes": params.flag("allow_promotion_codes")?,
        "adaptive_pricing": {"enabled": params.flag("adaptive_pricing.enabled")?},
        "allowed_payment_method_types": if types.is_empty() { Value::Null } else { json!(types) },
        "automatic_tax": {"enabled": is_taxed, "provider": if is_taxed { json!("stripe") } else { Value::Null },
            "liability": if is_taxed { json!({"type": "self"}) } else { Value::Null },
            "status": if is_taxed { json!("complete") } else { Value::Null }},
        "customer_details": {"address": null, "business_name": null, "email": email, "individual_name": null,
            "name": null, "phone": null, "tax_exempt": "none", "tax_ids": []},
        "tax_id_collection": {"enabled": params.flag("tax_id_collection.enabled")?, "required": "never"},
        "currency": if mode == "setup" { Value::Null } else { json!("usd") },
        "payment_method_collection": if mode == "payment" { "if_required" } else { "always" },
        "_payment_intent_data": intent,
        "_subscription_metadata": params.pairs("subscription_data.metadata"),
        "_trial_days": params.integer("subscription_data.trial_period_days")?.unwrap_or_default(),
        "_invoice_creation": params.flag("invoice_creation.enabled")?,
    });
    let Value::Object(fields) = fields else { unreachable!("it was written as an object") };
    Ok(fields)
}

fn read_line_items(
    world: &mut World,
    params: &Params,
    is_taxed: bool,
    recurs: bool,
) -> Result<Vec<Value>, StripeError> {
    let mut items = Vec::new();
    for (number, asked) in params.list("line_items").iter().enumerate() {
        let name = |field: &str| format!("line_items[{number}][{field}]");
        let price = match asked.text("price") {
            Some(price) => text(world.of_parameter("price", price, &name("price"))?, "id").to_owned(),
            None => new_price(world, &asked.below("price_data"))?,
        };
        let price = world.get(&price).clone();
        if recurs == price["recurring"].is_null() {
            return Err(StripeError::invalid("The price does not fit the mode", &name("price")));
        }
        let quantity = asked.integer("quantity")?.unwrap_or(1);
        if quantity < 1 {
            return Err(StripeError::invalid("Quantity must be at least 1", &name("quantity")));
        }
        let subtotal = int(&price, "unit_amount") * quantity;
        let tax = world.tax_on(subtotal, is_taxed);
        let id = world.next_id("li_");
        let description = world.get(text(&price, "product"))["name"].clone();
        items.push(shaped(
            include_str!("shapes/line_item.json"),
            json!({"id": id, "amount_subtotal": subtotal, "amount_tax": tax, "amount_total": subtotal + tax,
                "currency": price["currency"], "description": description, "metadata": {},
                "price": price, "quantity": quantity}),
        ));
    }
    match items.len() {
        0 => Err(StripeError::missing_parameter("line_items")),
        1 => Ok(items),
        _ => Err(StripeError::invalid("The stand-in sells one line item", "line_items")),
    }
}

fn totals(items: &[Value], is_taxed: bool) -> Map<String, Value> {
    let sum = |name: &str| items.iter().map(|item| int(item, name)).sum::<i64>();
    let currency = items.first().map_or(Value::Null, |item| item["currency"].clone());
    let tax = sum("amount_tax");
    assert!(is_taxed || tax == 0, "tax is added where it is asked for");
    let totals = json!({
        "amount_subtotal": sum("amount_subtotal"), "amount_total": sum("amount_total"), "currency": currency,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": tax},
    });
    totals.as_object().cloned().unwrap_or_default()
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("checkout.session", &call.id).cloned()
}

fn list(world: &mut World, call: &Call) -> Answer {
    lists::page_of(world, call, "checkout.session", |session| {
        ["customer", "payment_intent", "status", "subscription"]
            .iter()
            .all(|name| lists::fits(call, name, session, name))
    })
}

fn line_items(world: &mut World, call: &Call) -> Answer {
    let session = world.of_path("checkout.session", &call.id)?;
    let items = session["_line_items"]["data"].as_array().cloned().unwrap_or_default();
    lists::page(call, &items.iter().collect::<Vec<_>>())
}

fn expire_route(world: &mut World, call: &Call) -> Answer {
    let session = world.of_path("checkout.session", &call.id)?;
    if text(session, "status") != "open" {
        return Err(StripeError::state("resource_invalid_state", "Only open sessions can be expired."));
    }
    expire(world, &call.id);
    Ok(world.get(&call.id).clone())
}

/// Closes an open session.
pub(super) fn expire(world: &mut World, id: &str) {
    world.set(id, json!({"status": "expired", "url": null}));
    let setup = world.get(id)["setup_intent"].as_str().map(str::to_owned);
    if let Some(setup) = setup {
        world.set(&setup, json!({"status": "canceled", "cancellation_reason": "abandoned"}));
    }
    world.emit("checkout.session.expired", id);
}

fn complete(world: &mut World, id: &str, fields: Value) {
    world.set(id, fields);
    world.set(id, json!({"status": "complete", "url": null}));
    let payer = &mut world.get_mut(id)["customer_details"];
    (payer["email"], payer["name"]) = (json!(PAYER_EMAIL), json!(PAYER_NAME));
    world.emit("checkout.session.completed", id);
}

/// The payer fills in this card. A card that needs authentication passes it here.
pub(super) fn pay(world: &mut World, id: &str, card: Card) -> Result<(), Decline> {
    let session = world.get(id).clone();
    assert_eq!(text(&session, "status"), "open", "a payer sees open sessions only");
    let method = new_card(world, card);
    match text(&session, "mode") {
        "setup" => {
            setup::save(world, text(&session, "setup_intent"), &method)?;
            complete(world, id, json!({}));
            Ok(())
        }
        "payment" => pay_once(world, &session, &method, card),
        _ => subscribe(world, &session, &method, card),
    }
}

fn intent_of(world: &mut World, session: &Value) -> String {
    if let Some(intent) = session["payment_intent"].as_str() {
        return intent.to_owned();
    }
    let data = &session["_payment_intent_data"];
    let intent = intents::new(
        world,
        json!({"amount": session["amount_total"], "currency": session["currency"],
            "customer": session["customer"], "metadata": data["metadata"],
            "setup_future_usage": data["setup_future_usage"], "description": data["description"],
            "receipt_email": data["receipt_email"], "_session": session["id"]}),
    );
    world.set(text(session, "id"), json!({"payment_intent": intent}));
    intent
}

fn pay_once(world: &mut World, session: &Value, method: &str, card: Card) -> Result<(), Decline> {
    let intent = intent_of(world, session);
    if card == Card::NeedsAuthentication {
        world.set(&intent, json!({"payment_method": method}));
        intents::succeed(world, &intent);
        return Ok(());
    }
    match intents::attempt(world, &intent, method, false) {
        Attempt::Declined(decline) => Err(decline),
        Attempt::Succeeded | Attempt::NeedsAction => Ok(()),
    }
}

fn subscribe(world: &mut World, session: &Value, method: &str, card: Card) -> Result<(), Decline> {
    let id = text(session, "id");
    if let Some(decline) = card.decline().filter(|_| card != Card::DeclinedAfterSaving) {
        return Err(decline);
    }
    let customer = text(session, "customer");
    attach(world, method, customer);
    let start = Start {
        customer,
        price: text(&session["_line_items"]["data"][0]["price"], "id"),
        method,
        metadata: session["_subscription_metadata"].clone(),
        is_taxed: session["automatic_tax"]["enabled"] == true,
        trial_days: int(session, "_trial_days"),
    };
    let (subscription, invoice) = subscriptions::start(world, &start);
    subscriptions::pay_on_page(world, &invoice, method);
    let done = json!({"subscription": subscription, "invoice": invoice, "payment_status": "paid"});
    complete(world, id, done);
    Ok(())
}

/// The payer chooses a method that takes days. Returns the PaymentIntent, which is processing.
pub(super) fn pay_later(world: &mut World, id: &str) -> String {
    let session = world.get(id).clone();
    assert_eq!(text(&session, "status"), "open", "a payer sees open sessions only");
    assert_eq!(text(&session, "mode"), "payment", "the delayed method is for payments");
    let intent = intent_of(world, &session);
    let method = world.insert("pm_", include_str!("shapes/payment_method.json"), json!({}));
    let details = json!({"account_holder_type": "individual", "account_type": "checking",
        "bank_name": "Stand-in", "financial_connections_account": null, "fingerprint": null, "last4": "6789",
        "networks": null, "routing_number": "110000000", "status_details": null});
    world.set(&method, json!({"type": "us_bank_account", "us_bank_account": details, "_number": null}));
    if let Some(fields) = world.get_mut(&method).as_object_mut() {
        fields.remove("card");
    }
    world.set(&intent, json!({"status": "processing", "payment_method": method}));
    world.emit("payment_intent.processing", &intent);
    complete(world, id, json!({"payment_status": "unpaid"}));
    intent
}

/// The money of a session has arrived: at once, or days after its completion.
pub(super) fn money_arrived(world: &mut World, id: &str, intent: &str) {
    let session = world.get(id).clone();
    let invoice = if session["_invoice_creation"] == true {
        one_time_invoice(world, &session, intent)
    } else {
        Value::Null
    };
    let fields = json!({"payment_status": "paid", "payment_intent": intent, "invoice": invoice});
    if text(&session, "status") == "open" {
        complete(world, id, fields);
    } else {
        world.set(id, fields);
        world.emit("checkout.session.async_payment_succeeded", id);
    }
}

/// The paid invoice of a payment without a subscription.
fn one_time_invoice(world: &mut World, session: &Value, intent: &str) -> Value {
    let customer = text(session, "customer");
    if customer.is_empty() {
        return Value::Null;
    }
    let item = &session["_line_items"]["data"][0];
    let line = Line {
        amount: int(session, "amount_subtotal"),
        discount: 0,
        description: text(item, "description").to_owned(),
        start: world.now,
        end: world.now,
        price: text(&item["price"], "id").to_owned(),
        item: None,
        proration: false,
    };
    let draft = Draft {
        customer: customer.to_owned(),
        subscription: None,
        reason: "manual",
        lines: vec![line],
        is_taxed: session["automatic_tax"]["enabled"] == true,
        proration_date: None,
    };
    let id = billing::new_invoice(world, &draft);
    billing::paid_by_checkout(world, &id, intent);
    json!(id)
}
