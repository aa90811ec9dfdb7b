//! The life of an invoice: draft, finalized, attempted, paid, void or uncollectible.

use serde_json::{Value, json};

use super::cards::Card;
use super::intents::{self, Attempt};
use super::lists::embedded;
use super::world::{World, int, shaped, text};
use super::{catalog, subscriptions};

/// The tax rate that tax amounts name.
const TAX_RATE: &str = "txr_standin";
/// The discount that discount amounts name.
const COUPON: &str = "di_standin";
/// Below this Stripe charges nothing and books the amount on the customer's balance.
const CHARGE_MIN: i64 = 50;
/// How long a renewal's invoice is a draft, in seconds.
pub(super) const DRAFT_SECONDS: i64 = 3600;

/// One line before it has an id.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub amount: i64,
    /// What a coupon takes off.
    pub discount: i64,
    pub description: String,
    pub start: i64,
    pub end: i64,
    pub price: String,
    /// The subscription's item.
    pub item: Option<String>,
    pub proration: bool,
}

/// An invoice before it is stored.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub customer: String,
    pub subscription: Option<String>,
    pub reason: &'static str,
    pub lines: Vec<Line>,
    pub is_taxed: bool,
    pub proration_date: Option<i64>,
}

fn tax_entry(amount: i64, taxable: i64) -> Value {
    json!({"amount": amount, "tax_behavior": "exclusive", "tax_rate_details": {"tax_rate": TAX_RATE},
        "taxability_reason": "standard_rated", "taxable_amount": taxable, "type": "tax_rate_details"})
}

fn line_object(world: &mut World, draft: &Draft, line: &Line, invoice: &str) -> Value {
    let id = world.next_id("il_");
    let product = world.lookup(&line.price).map_or(Value::Null, |price| price["product"].clone());
    let metadata = match &draft.subscription {
        Some(subscription) => world.get(subscription)["metadata"].clone(),
        None => json!({}),
    };
    let details = if line.proration { json!({"credited_items": null}) } else { Value::Null };
    let parent = match &line.item {
        Some(item) => json!({"invoice_item_details": null, "type": "subscription_item_details",
            "subscription_item_details": {"invoice_item": null, "proration": line.proration,
                "proration_details": details, "subscription": draft.subscription, "subscription_item": item}}),
        None if draft.subscription.is_some() => json!({"type": "invoice_item_details",
            "invoice_item_details": {"invoice_item": world.next_id("ii_"), "proration": line.proration,
                "proration_details": details, "subscription": draft.subscription},
            "subscription_item_details": null}),
        None => Value::Null,
    };
    let taxable = line.amount - line.discount;
    let tax = line_tax(world, draft, line);
    let taxes = if tax == 0 { json!([]) } else { json!([tax_entry(tax, taxable)]) };
    let off = json!([{"amount": line.discount, "discount": COUPON}]);
    let pricing = json!({"type": "price_details", "unit_amount_decimal": line.amount.to_string(),
        "price_details": {"price": line.price, "product": product}});
    shaped(
        include_str!("shapes/invoice_line.json"),
        json!({
            "id": id, "amount": line.amount, "currency": "usd", "description": line.description,
            "invoice": invoice, "livemode": world.options.livemode, "metadata": metadata, "parent": parent,
            "period": {"start": line.start, "end": line.end}, "subtotal": line.amount, "taxes": taxes,
            "subscription": draft.subscription,
            "pricing": if line.price.is_empty() { Value::Null } else { pricing },
            "discount_amounts": if line.discount == 0 { json!([]) } else { off },
        }),
    )
}

/// The tax on a line. What an operator adds is not taxed.
fn line_tax(world: &World, draft: &Draft, line: &Line) -> i64 {
    world.tax_on(line.amount - line.discount, draft.is_taxed && !line.price.is_empty())
}

/// The fields of a draft invoice with this id.
pub(super) fn invoice_fields(world: &mut World, draft: &Draft, id: &str) -> Value {
    let lines: Vec<Value> = draft.lines.iter().map(|line| line_object(world, draft, line, id)).collect();
    let subtotal: i64 = draft.lines.iter().map(|line| line.amount).sum();
    let off: i64 = draft.lines.iter().map(|line| line.discount).sum();
    let net = subtotal - off;
    let tax: i64 = draft.lines.iter().map(|line| line_tax(world, draft, line)).sum();
    let total = net + tax;
    let customer = world.get(&draft.customer).clone();
    let parent = draft.subscription.as_ref().map(|subscription| {
        let mut details =
            json!({"metadata": world.get(subscription)["metadata"], "subscription": subscription});
        if let Some(date) = draft.proration_date {
            details["subscription_proration_date"] = json!(date);
        }
        json!({"quote_details": null, "type": "subscription_details", "subscription_details": details})
    });
    let url = format!("/v1/invoices/{id}/lines");
    json!({
        "lines": embedded(&lines, world.options.invoice_lines_page, &url), "_lines": lines,
        "customer": draft.customer, "customer_email": customer["email"], "customer_name": customer["name"],
        "customer_address": customer["address"], "billing_reason": draft.reason, "currency": "usd",
        "parent": parent, "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "total": total,
        "total_excluding_tax": net, "amount_due": total.max(0), "amount_remaining": total.max(0),
        "total_taxes": if tax == 0 { json!([]) } else { json!([tax_entry(tax, net)]) },
        "total_discount_amounts": if off == 0 { json!([]) } else { json!([{"amount": off, "discount": COUPON}]) },
        "automatic_tax": {"disabled_reason": null, "enabled": draft.is_taxed, "provider": null,
            "liability": if draft.is_taxed { json!({"type": "self"}) } else { Value::Null },
            "status": if draft.is_taxed { json!("complete") } else { Value::Null }},
        "period_start": world.now, "period_end": world.now, "metadata": {},
        "starting_balance": customer["balance"], "_tax": tax,
    })
}

/// Stores a draft invoice, and names it as the subscription's latest.
pub(super) fn new_invoice(world: &mut World, draft: &Draft) -> String {
    let id = world.insert("in_", include_str!("shapes/invoice.json"), json!({}));
    let fields = invoice_fields(world, draft, &id);
    world.set(&id, fields);
    if let Some(subscription) = &draft.subscription {
        world.set(subscription, json!({"latest_invoice": id}));
    }
    world.emit("invoice.created", &id);
    id
}

/// Finalizes a draft: a number, the amount due after the customer's balance, a PaymentIntent.
pub(super) fn finalize(world: &mut World, id: &str) {
    let invoice = world.get(id).clone();
    assert_eq!(text(&invoice, "status"), "draft", "an invoice is finalized once");
    let customer = text(&invoice, "customer").to_owned();
    let balance = int(world.get(&customer), "balance");
    let owed = int(&invoice, "total") + balance;
    let due = if owed < CHARGE_MIN { 0 } else { owed };
    let after = owed - due;
    world.set(&customer, json!({"balance": after}));
    show_pages(world, id);
    world.set(
        id,
        json!({
            "status": "open", "starting_balance": balance, "ending_balance": after,
            "amount_due": due, "amount_remaining": due,
            "automatically_finalizes_at": null, "attempted": false,
        }),
    );
    if due > 0 {
        let intent = intents::new(
            world,
            json!({"amount": due, "currency": "usd", "customer": customer, "_invoice": id,
                "receipt_email": invoice["customer_email"], "description": "Subscription"}),
        );
        let payment = json!({"amount_requested": due, "currency": "usd", "invoice": id,
            "payment": {"type": "payment_intent", "payment_intent": intent}});
        world.insert("inpay_", include_str!("shapes/invoice_payment.json"), payment);
        world.set(id, json!({"_intent": intent}));
    }
    world.emit("invoice.finalized", id);
}

/// Closes the invoice of a payment that Checkout has received.
pub(super) fn paid_by_checkout(world: &mut World, id: &str, intent: &str) {
    let total = int(world.get(id), "total");
    let payment = json!({"amount_requested": total, "currency": "usd", "invoice": id,
        "payment": {"type": "payment_intent", "payment_intent": intent}});
    world.insert("inpay_", include_str!("shapes/invoice_payment.json"), payment);
    show_pages(world, id);
    world.set(id, json!({"status": "open", "_intent": intent}));
    world.emit("invoice.finalized", id);
    mark_paid(world, id, Some(intent));
}

fn show_pages(world: &mut World, id: &str) {
    let number = format!("STANDIN-{}", &id[id.len() - 8..]);
    let url = format!("{}/i/{id}", world.base_url);
    let (pdf, now) = (format!("{url}/pdf"), world.now);
    world.set(
        id,
        json!({"number": number, "effective_at": now, "hosted_invoice_url": url, "invoice_pdf": pdf}),
    );
    world.get_mut(id)["status_transitions"]["finalized_at"] = json!(now);
}

/// Tries to collect an open invoice.
pub(super) fn collect(world: &mut World, id: &str, method: Option<&str>, off_session: bool) -> Attempt {
    let invoice = world.get(id).clone();
    assert_eq!(text(&invoice, "status"), "open", "an open invoice is collected");
    let attempts = int(&invoice, "attempt_count") + 1;
    world.set(id, json!({"attempted": true, "attempt_count": attempts, "next_payment_attempt": null}));
    if int(&invoice, "amount_due") == 0 {
        mark_paid(world, id, None);
        return Attempt::Succeeded;
    }
    let intent = text(&invoice, "_intent").to_owned();
    let attempt = match method {
        Some(method) => intents::attempt(world, &intent, method, off_session),
        None => Attempt::Declined(Card::GenericDecline.decline().expect("this card is declined")),
    };
    if attempt == Attempt::Succeeded {
        return attempt;
    }
    let needs_action = attempt == Attempt::NeedsAction
        || matches!(attempt, Attempt::Declined(decline) if decline == Card::authentication_required());
    if needs_action {
        world.emit("invoice.payment_action_required", id);
    }
    subscriptions::payment_failed(world, id);
    world.emit("invoice.payment_failed", id);
    attempt
}

/// Pays a part of an open invoice with a payment of its own; the invoice's payment takes the rest.
pub(super) fn pay_part(world: &mut World, id: &str, cents: i64, method: &str) {
    let invoice = world.get(id).clone();
    assert_eq!(text(&invoice, "status"), "open", "an open invoice is paid in parts");
    let left = int(&invoice, "amount_remaining") - cents;
    assert!(cents > 0 && left > 0, "a part is less than what remains");
    let rest = text(&invoice, "_intent").to_owned();
    world.set(&rest, json!({"amount": left}));
    let intent = intents::new(
        world,
        json!({"amount": cents, "currency": "usd", "customer": invoice["customer"],
            "payment_method": method, "description": "Subscription"}),
    );
    intents::succeed(world, &intent);
    let payment = json!({"amount_requested": cents, "amount_paid": cents, "currency": "usd", "invoice": id,
        "status": "paid", "payment": {"type": "payment_intent", "payment_intent": intent}});
    world.insert("inpay_", include_str!("shapes/invoice_payment.json"), payment);
    world.set(id, json!({"amount_paid": cents, "amount_remaining": left}));
}

/// Records that an invoice is paid, by a PaymentIntent or without one.
pub(super) fn mark_paid(world: &mut World, id: &str, intent: Option<&str>) {
    let invoice = world.get(id).clone();
    assert_ne!(text(&invoice, "status"), "paid", "an invoice is paid once");
    let (due, now) = (int(&invoice, "amount_due"), world.now);
    world.set(
        id,
        json!({"status": "paid", "amount_paid": due, "amount_remaining": 0, "attempted": true,
            "next_payment_attempt": null, "auto_advance": false}),
    );
    world.get_mut(id)["status_transitions"]["paid_at"] = json!(now);
    if let Some(intent) = intent {
        let paid = int(world.get(intent), "amount");
        close_payment(world, id, "paid", paid);
    }
    subscriptions::invoice_paid(world, id);
    world.emit("invoice.paid", id);
    world.emit("invoice.payment_succeeded", id);
}

fn close_payment(world: &mut World, invoice: &str, status: &str, paid: i64) {
    let of_invoice = |payment: &&Value| text(payment, "invoice") == invoice && payment["status"] == "open";
    let Some(payment) = world.all("invoice_payment").find(of_invoice) else { return };
    let (id, now) = (text(payment, "id").to_owned(), world.now);
    let when = if status == "paid" { "paid_at" } else { "canceled_at" };
    world.set(
        &id,
        json!({"status": status, "amount_paid": if status == "paid" { json!(paid) } else { Value::Null }}),
    );
    world.get_mut(&id)["status_transitions"][when] = json!(now);
}

/// Closes an unpaid invoice as `void` or `uncollectible`. Only a void one cannot be paid later.
pub(super) fn close(world: &mut World, id: &str, status: &str) {
    let now = world.now;
    let when = if status == "void" { "voided_at" } else { "marked_uncollectible_at" };
    world.set(id, json!({"status": status, "next_payment_attempt": null, "auto_advance": false}));
    world.get_mut(id)["status_transitions"][when] = json!(now);
    let intent = text(world.get(id), "_intent").to_owned();
    if status == "void" && !intent.is_empty() {
        close_payment(world, id, "canceled", 0);
        intents::cancel(world, &intent, "void_invoice");
    }
    subscriptions::invoice_closed(world, id);
    world.emit(if status == "void" { "invoice.voided" } else { "invoice.marked_uncollectible" }, id);
}

/// The line of a whole period at a price.
pub(super) fn period_line(world: &World, item: &str, price: &str, bounds: (i64, i64)) -> Line {
    let price = world.get(price);
    let description = format!("1 × {}", text(world.get(text(price, "product")), "name"));
    let (start, end) = bounds;
    let item = Some(item.to_owned());
    let amount = int(price, "unit_amount");
    let price = text(price, "id").to_owned();
    Line { amount, discount: 0, description, start, end, price, item, proration: false }
}

/// The lines of the next invoice of a subscription: with what an operator added to it, and with
/// what a coupon takes off.
pub(super) fn with_extras(world: &World, subscription: &Value, lines: Vec<Line>) -> Vec<Line> {
    let percent = int(subscription, "_coupon_percent");
    let mut all = lines;
    for line in all.iter_mut().filter(|line| line.amount > 0) {
        line.discount = line.amount * percent / 100;
    }
    let added = subscription["_added"].as_array().into_iter().flatten();
    all.extend(added.map(|added| Line {
        amount: added.as_i64().unwrap_or_default(),
        discount: 0,
        description: "Setup".to_owned(),
        start: world.now,
        end: world.now,
        price: String::new(),
        item: None,
        proration: false,
    }));
    all
}

/// Uses up what [`with_extras`] added. What is paid for the present price is what its coupon left.
pub(super) fn use_up_extras(world: &mut World, subscription: &str) {
    let percent = int(world.get(subscription), "_coupon_percent");
    world.set(subscription, json!({"_coupon_percent": 0, "_paid_off_percent": percent, "_added": []}));
}

/// Shows an item at a price, with the old `plan` beside it.
pub(super) fn set_price(item: &mut Value, price: &Value) {
    item["price"] = price.clone();
    item["plan"] = catalog::plan_of(price);
}
