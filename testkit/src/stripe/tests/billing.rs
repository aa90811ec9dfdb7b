//! Subscriptions over time: renewals, changes, missed payments, the end.

use jiff::Timestamp;
use serde_json::Value;

use super::super::{AfterRetries, Card, Options};
use super::{Client, id};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn date(seconds: &Value) -> String {
    let at = Timestamp::from_second(seconds.as_i64().expect("it is a time")).expect("it is a time");
    at.to_string()[..10].to_owned()
}

/// The invoices of a subscription, oldest first: reason, status, cents, begin and end of its last
/// line.
fn invoices(client: &Client, subscription: &str) -> Vec<(String, String, i64, String, String)> {
    let listed = client.get(&format!("invoices?subscription={subscription}&limit=100"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<_> = listed["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|invoice| {
            let lines = invoice["lines"]["data"].as_array().expect("an invoice has lines");
            let period = &lines.last().expect("it has a line")["period"];
            let total = invoice["total"].as_i64().unwrap_or_default();
            (
                text(&invoice["billing_reason"]),
                text(&invoice["status"]),
                total,
                date(&period["start"]),
                date(&period["end"]),
            )
        })
        .collect();
    rows.reverse();
    rows
}

fn method_of(client: &Client, subscription: &str) -> String {
    let read = client.get(&format!("subscriptions/{subscription}"));
    read["default_payment_method"].as_str().expect("Checkout has saved the card").to_owned()
}

fn status(client: &Client, subscription: &str) -> Value {
    client.get(&format!("subscriptions/{subscription}"))["status"].clone()
}

/// The form of a change to another price.
fn change(client: &Client, subscription: &str, price: &str, rest: &str) -> String {
    let read = client.get(&format!("subscriptions/{subscription}"));
    format!("items[0][id]={}&items[0][price]={price}&{rest}", id(&read["items"]["data"][0]))
}

const UP: &str = "proration_behavior=always_invoice&payment_behavior=pending_if_incomplete";

#[test]
fn a_subscription_from_the_last_of_january_renews_by_its_anchor() {
    let client = Client::start();
    let price = client.price(1000);
    let (customer, subscription) = client.subscribe(&price);
    client.stripe.advance(91 * DAY);
    let row = |reason: &str, start: &str, end: &str| {
        (reason.to_owned(), "paid".to_owned(), 1000, start.to_owned(), end.to_owned())
    };
    assert_eq!(
        invoices(&client, &subscription),
        [
            row("subscription_create", "2026-01-31", "2026-02-28"),
            row("subscription_cycle", "2026-02-28", "2026-03-31"),
            row("subscription_cycle", "2026-03-31", "2026-04-30"),
            row("subscription_cycle", "2026-04-30", "2026-05-31"),
        ]
    );
    assert_eq!(client.stripe.payments_succeeded(&customer), 4);
    let latest = client.get(&format!("subscriptions/{subscription}"))["latest_invoice"].clone();
    let path = format!("invoices/{}?expand[]=payments", latest.as_str().expect("it has an invoice"));
    let invoice = client.get(&path);
    let line = &invoice["lines"]["data"][0];
    assert_eq!(line["parent"]["subscription_item_details"]["proration"], false);
    assert_eq!(line["pricing"]["price_details"]["price"], price.as_str());
    let details = &invoice["parent"]["subscription_details"];
    assert_eq!(
        (&details["subscription"], &details["metadata"]["workspace"]),
        (&subscription.into(), &"acme".into())
    );
    let intent = invoice["payments"]["data"][0]["payment"]["payment_intent"].as_str().expect("it was paid");
    assert_eq!(client.get(&format!("payment_intents/{intent}"))["status"], "succeeded");
}

#[test]
fn an_upgrade_pays_the_difference_of_the_seconds_left() {
    let client = Client::start();
    let (small, large) = (client.price(1000), client.price(3000));
    let (_, subscription) = client.subscribe(&small);
    client.stripe.advance(14 * DAY);
    let item = id(&client.get(&format!("subscriptions/{subscription}"))["items"]["data"][0]);
    let form = format!(
        "subscription={subscription}&subscription_details[items][0][id]={item}\
         &subscription_details[items][0][price]={large}\
         &subscription_details[proration_behavior]=always_invoice"
    );
    let preview = client.post("invoices/create_preview", &form);
    assert_eq!(preview["total"], 1000, "half of the period is left");
    let form = change(&client, &subscription, &large, UP);
    let changed = client.post(&format!("subscriptions/{subscription}"), &form);
    assert_eq!(changed["pending_update"], Value::Null);
    assert_eq!(changed["items"]["data"][0]["price"]["id"], large.as_str());
    let invoice =
        client.get(&format!("invoices/{}", changed["latest_invoice"].as_str().expect("an invoice")));
    let amounts: Vec<_> = invoice["lines"]["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| {
            assert_eq!(line["parent"]["subscription_item_details"]["proration"], true);
            line["amount"].as_i64().unwrap_or_default()
        })
        .collect();
    assert_eq!(amounts, [-500, 1500]);
    assert_eq!(
        (&invoice["billing_reason"], &invoice["status"]),
        (&"subscription_update".into(), &"paid".into())
    );
}

#[test]
fn an_unpaid_upgrade_waits_and_is_paid_or_dropped() {
    for is_paid in [true, false] {
        let client = Client::start();
        let (small, large) = (client.price(1000), client.price(3000));
        let (_, subscription) = client.subscribe(&small);
        client.stripe.set_card(&method_of(&client, &subscription), Card::InsufficientFunds);
        let form = change(&client, &subscription, &large, UP);
        let changed = client.post(&format!("subscriptions/{subscription}"), &form);
        assert_eq!(
            (&changed["status"], &changed["items"]["data"][0]["price"]["id"]),
            (&"active".into(), &small.as_str().into())
        );
        assert_eq!(changed["pending_update"]["expires_at"], client.stripe.now() + 23 * HOUR);
        let invoice = changed["latest_invoice"].as_str().expect("an invoice").to_owned();
        client.stripe.take_events();
        if is_paid {
            client.stripe.pay_invoice(&invoice, Card::Good).expect("the card is good");
        }
        client.stripe.advance(23 * HOUR);
        let read = client.get(&format!("subscriptions/{subscription}"));
        assert_eq!(read["pending_update"], Value::Null);
        let (price, state, kind) =
            if is_paid { (&large, "paid", "applied") } else { (&small, "void", "expired") };
        assert_eq!(read["items"]["data"][0]["price"]["id"], price.as_str());
        assert_eq!(client.get(&format!("invoices/{invoice}"))["status"], state);
        let kind = format!("customer.subscription.pending_update_{kind}");
        assert!(client.stripe.take_events().iter().any(|webhook| webhook.kind == kind));
    }
}

#[test]
fn a_downgrade_counts_from_the_next_invoice() {
    let client = Client::start();
    let (small, large) = (client.price(1000), client.price(3000));
    let (_, subscription) = client.subscribe(&large);
    client.stripe.advance(10 * DAY);
    let form = change(&client, &subscription, &small, "proration_behavior=none");
    client.post(&format!("subscriptions/{subscription}"), &form);
    client.stripe.advance(20 * DAY);
    let totals: Vec<_> = invoices(&client, &subscription).into_iter().map(|row| row.2).collect();
    assert_eq!(totals, [3000, 1000]);
}

#[test]
fn a_missed_payment_is_retried_and_paid_late() {
    let client = Client::with(Options { after_retries: AfterRetries::PastDue, ..Options::default() });
    let price = client.price(1000);
    let (customer, subscription) = client.subscribe(&price);
    let card = method_of(&client, &subscription);
    client.stripe.set_card(&card, Card::InsufficientFunds);
    client.stripe.advance(28 * DAY + HOUR);
    assert_eq!(status(&client, &subscription), "past_due");
    let latest = client.get(&format!("subscriptions/{subscription}"))["latest_invoice"].clone();
    let invoice = latest.as_str().expect("an invoice").to_owned();
    client.stripe.advance(20 * DAY);
    let read = client.get(&format!("invoices/{invoice}"));
    assert_eq!((&read["attempt_count"], &read["next_payment_attempt"]), (&4.into(), &Value::Null));
    client.stripe.set_card(&card, Card::Good);
    client.stripe.advance(20 * DAY);
    assert_eq!(client.stripe.payments_succeeded(&customer), 2, "the next period is paid");
    assert_eq!(status(&client, &subscription), "past_due", "one period is still owed");
    client.stripe.pay_invoice(&invoice, Card::Good).expect("the card is good");
    assert_eq!(status(&client, &subscription), "active");
    assert_eq!(client.stripe.cents_received(&customer), 3000);
}

#[test]
fn retries_in_vain_end_as_the_option_says() {
    let ends = [(AfterRetries::Cancel, "canceled"), (AfterRetries::Unpaid, "unpaid")];
    for (after_retries, expected) in ends {
        let client = Client::with(Options { after_retries, ..Options::default() });
        let price = client.price(1000);
        let (_, subscription) = client.subscribe(&price);
        client.stripe.set_card(&method_of(&client, &subscription), Card::Stolen);
        client.stripe.advance(44 * DAY);
        assert_eq!(status(&client, &subscription), expected);
    }
}

#[test]
fn a_subscription_ends_with_its_period_unless_it_is_resumed() {
    let client = Client::start();
    let price = client.price(1000);
    let (customer, subscription) = client.subscribe(&price);
    let path = format!("subscriptions/{subscription}");
    let asked = client.post(&path, "cancel_at_period_end=true");
    assert_eq!(asked["cancel_at"], asked["items"]["data"][0]["current_period_end"]);
    client.post(&path, "cancel_at_period_end=false");
    client.stripe.advance(30 * DAY);
    assert_eq!(status(&client, &subscription), "active");
    client.stripe.cancel_in_portal(&subscription);
    let read = client.get(&path);
    assert_eq!((&read["cancel_at_period_end"], read["cancel_at"].is_null()), (&false.into(), false));
    client.stripe.advance(31 * DAY);
    assert_eq!(status(&client, &subscription), "canceled");
    assert_eq!(client.stripe.payments_succeeded(&customer), 2);
}

#[test]
fn a_balance_pays_an_invoice_without_a_charge() {
    let client = Client::start();
    let price = client.price(1000);
    let (customer, subscription) = client.subscribe(&price);
    client.stripe.set_customer_balance(&customer, -1500);
    client.stripe.advance(30 * DAY);
    let latest = client.get(&format!("subscriptions/{subscription}"))["latest_invoice"].clone();
    let invoice = client.get(&format!("invoices/{}", latest.as_str().expect("an invoice")));
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&"paid".into(), &0.into()));
    assert_eq!((&invoice["starting_balance"], &invoice["ending_balance"]), (&(-1500).into(), &(-500).into()));
    assert_eq!(invoice["lines"]["data"][0]["amount"], 1000);
    assert_eq!(client.stripe.payments_succeeded(&customer), 1);
}

#[test]
fn a_trial_begins_with_an_invoice_of_nothing() {
    let client = Client::start();
    let (price, customer) = (client.price(1000), client.customer());
    let form = format!(
        "mode=subscription&customer={customer}&success_url=http%3A%2F%2Fa.example%2F\
         &line_items[0][price]={price}&line_items[0][quantity]=1&subscription_data[trial_period_days]=7"
    );
    let session = id(&client.post("checkout/sessions", &form));
    client.stripe.pay_checkout(&session, Card::Good).expect("the card is good");
    let read = client.get(&format!("checkout/sessions/{session}"));
    let subscription = read["subscription"].as_str().expect("it has started").to_owned();
    assert_eq!(status(&client, &subscription), "trialing");
    client.stripe.advance(8 * DAY);
    assert_eq!(status(&client, &subscription), "active");
    let totals: Vec<_> = invoices(&client, &subscription).into_iter().map(|row| row.2).collect();
    assert_eq!(totals, [0, 1000]);
}

#[test]
fn lines_beyond_the_first_page_are_read_by_pages() {
    let client = Client::with(Options { invoice_lines_page: 1, ..Options::default() });
    let (small, large) = (client.price(1000), client.price(3000));
    let (_, subscription) = client.subscribe(&small);
    let form = change(&client, &subscription, &large, UP);
    let changed = client.post(&format!("subscriptions/{subscription}"), &form);
    let invoice = changed["latest_invoice"].as_str().expect("an invoice").to_owned();
    let lines = client.get(&format!("invoices/{invoice}"))["lines"].clone();
    assert_eq!((&lines["has_more"], lines["data"].as_array().map(Vec::len)), (&true.into(), Some(1)));
    let after = id(&lines["data"][0]);
    let rest = client.get(&format!("invoices/{invoice}/lines?starting_after={after}"));
    assert_eq!((&rest["has_more"], &rest["data"][0]["amount"]), (&false.into(), &3000.into()));
}

#[test]
fn a_coupon_once_and_an_item_are_on_the_next_invoice_alone() {
    let client = Client::start();
    let (small, large) = (client.price(1000), client.price(3000));
    let (_, subscription) = client.subscribe(&small);
    client.stripe.set_coupon_once(&subscription, 50);
    client.stripe.add_to_next_invoice(&subscription, 250);
    client.stripe.advance(28 * DAY + 2 * HOUR);
    let renewed = client.get(&format!("subscriptions/{subscription}"))["latest_invoice"].clone();
    let renewed = client.get(&format!("invoices/{}", renewed.as_str().expect("an invoice")));
    assert_eq!((&renewed["total"], &renewed["subtotal"]), (&750.into(), &1_250.into()));
    let lines = &renewed["lines"]["data"];
    assert_eq!(lines[0]["discount_amounts"][0]["amount"], 500);
    assert_eq!(lines[1]["parent"]["type"], "invoice_item_details");
    assert!(lines[1]["pricing"].is_null() && lines[2].is_null());
    // Half of the price was paid, so half of it is credited. The new price has no coupon.
    client.stripe.advance(15 * DAY + 10 * HOUR);
    let changed = client
        .post(&format!("subscriptions/{subscription}"), &change(&client, &subscription, &large, UP))
        ["latest_invoice"]
        .clone();
    let changed = client.get(&format!("invoices/{}", changed.as_str().expect("an invoice")));
    assert_eq!((&changed["lines"]["data"][0]["amount"], &changed["total"]), (&(-250).into(), &1_250.into()));
}
