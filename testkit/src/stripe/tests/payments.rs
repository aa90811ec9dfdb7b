//! Payments, saved cards, refunds and disputes.

use super::super::Card;
use super::{Client, id, top_up_form};

/// The types of the events since the last look.
fn events(client: &Client) -> Vec<String> {
    client.stripe.take_events().into_iter().map(|webhook| webhook.kind).collect()
}

#[test]
fn a_top_up_is_paid_and_saves_the_card() {
    let client = Client::start();
    client.stripe.set_tax_basis_points(1900);
    let customer = client.customer();
    let session = client.post("checkout/sessions", &top_up_form(&customer, 1001));
    let session = id(&session);
    assert_eq!(
        client.stripe.pay_checkout(&session, Card::InsufficientFunds).map_err(|d| d.decline_code),
        Err(Some("insufficient_funds"))
    );
    assert_eq!(client.get(&format!("checkout/sessions/{session}"))["status"], "open");
    events(&client);
    client.stripe.pay_checkout(&session, Card::Good).expect("the card is good");
    let kinds = [
        "charge.succeeded",
        "payment_intent.succeeded",
        "payment_method.attached",
        "checkout.session.completed",
    ];
    assert_eq!(events(&client), kinds);
    let path = format!("checkout/sessions/{session}?expand[]=payment_intent.latest_charge");
    let paid = client.get(&path);
    assert_eq!((&paid["status"], &paid["payment_status"]), (&"complete".into(), &"paid".into()));
    assert_eq!(paid["total_details"]["amount_tax"], 190);
    assert_eq!((&paid["amount_subtotal"], &paid["amount_total"]), (&1001.into(), &1191.into()));
    let intent = &paid["payment_intent"];
    assert_eq!((&intent["amount_received"], &intent["metadata"]["top_up"]), (&1191.into(), &"t1".into()));
    assert_eq!(intent["latest_charge"]["payment_method_details"]["card"]["last4"], "4242");
    let saved = client.get(&format!("customers/{customer}/payment_methods"));
    assert_eq!(saved["data"][0]["id"], intent["payment_method"]);
    assert_eq!(client.stripe.payments_succeeded(&customer), 1);
}

#[test]
fn a_delayed_payment_arrives_or_fails_later() {
    for succeeds in [true, false] {
        let client = Client::start();
        let customer = client.customer();
        let session = id(&client.post("checkout/sessions", &top_up_form(&customer, 1000)));
        let intent = client.stripe.pay_checkout_delayed(&session);
        let read = || client.get(&format!("checkout/sessions/{session}"));
        assert_eq!((&read()["status"], &read()["payment_status"]), (&"complete".into(), &"unpaid".into()));
        client.stripe.settle_delayed(&intent, succeeds);
        assert_eq!(read()["payment_status"], if succeeds { "paid" } else { "unpaid" });
        assert_eq!(client.stripe.payments_succeeded(&customer), usize::from(succeeds));
        let last = if succeeds { "async_payment_succeeded" } else { "async_payment_failed" };
        assert!(events(&client).contains(&format!("checkout.session.{last}")));
    }
}

#[test]
fn an_open_session_expires() {
    let client = Client::start();
    let customer = client.customer();
    let session = id(&client.post("checkout/sessions", &top_up_form(&customer, 1000)));
    client.stripe.advance(24 * 3600);
    assert_eq!(client.get(&format!("checkout/sessions/{session}"))["status"], "expired");
    let path = format!("checkout/sessions/{session}/expire");
    assert_eq!(client.refused("POST", &path, "").0, 400);
}

#[test]
fn a_saved_card_is_declined_by_its_kind() {
    let client = Client::start();
    let expected = [
        (Card::InsufficientFunds, "card_declined", "insufficient_funds", "try_again_later"),
        (Card::Stolen, "card_declined", "stolen_card", "do_not_try_again"),
        (Card::NeedsAuthentication, "authentication_required", "authentication_required", ""),
        (Card::Expired, "expired_card", "", "confirm_card_data"),
    ];
    for (card, code, decline_code, advice_code) in expected {
        let customer = client.customer();
        let method = client.stripe.save_card(&customer, card);
        let form = format!(
            "amount=1000&currency=usd&customer={customer}&payment_method={method}&confirm=true\
             &off_session=true&error_on_requires_action=true&allowed_payment_method_types[]=card"
        );
        let answer = client.send("POST", "payment_intents", &form, Some(card.number()));
        let (status, body) = answer.expect("it is answered");
        let error = &body["error"];
        assert_eq!((status, error["code"].as_str()), (402, Some(code)));
        assert_eq!(error["decline_code"].as_str().unwrap_or_default(), decline_code);
        assert_eq!(error["advice_code"].as_str().unwrap_or_default(), advice_code);
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        assert_eq!(client.stripe.payments_succeeded(&customer), 0);
    }
}

#[test]
fn a_setup_session_saves_a_card_that_can_be_detached() {
    let client = Client::start();
    let customer = client.customer();
    let form = format!(
        "mode=setup&customer={customer}&success_url=http%3A%2F%2Fa.example%2F\
         &allowed_payment_method_types[]=card"
    );
    let session = id(&client.post("checkout/sessions", &form));
    client.stripe.pay_checkout(&session, Card::GoodMastercard).expect("the card is good");
    let path = format!("checkout/sessions/{session}?expand[]=setup_intent.payment_method");
    let saved = client.get(&path)["setup_intent"].clone();
    assert_eq!(
        (&saved["status"], &saved["payment_method"]["card"]["last4"]),
        (&"succeeded".into(), &"4444".into())
    );
    let method = id(&saved["payment_method"]);
    events(&client);
    client.post(&format!("payment_methods/{method}/detach"), "");
    assert_eq!(events(&client), ["payment_method.detached"]);
    assert_eq!(client.get(&format!("payment_methods/{method}"))["customer"], serde_json::Value::Null);
}

#[test]
fn a_refund_counts_until_it_fails() {
    let client = Client::start();
    let (_, intent) = client.top_up(1000);
    client.stripe.set_refund_status("pending");
    let form = format!("payment_intent={intent}&amount=600&metadata[refund]=r1");
    let refund = client.post("refunds", &form);
    assert_eq!((&refund["status"], &refund["metadata"]["refund"]), (&"pending".into(), &"r1".into()));
    let too_much = client.refused("POST", "refunds", &format!("payment_intent={intent}&amount=401"));
    assert_eq!(too_much.0, 400);
    client.stripe.finish_refund(&id(&refund), "failed");
    client.stripe.set_refund_status("succeeded");
    let elsewhere = client.stripe.refund_elsewhere(&intent, 1000);
    let listed = client.get(&format!("refunds?payment_intent={intent}"));
    let statuses: Vec<_> =
        listed["data"].as_array().into_iter().flatten().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
    assert_eq!(listed["data"][0]["id"], elsewhere.as_str());
    let again = client.refused("POST", "refunds", &format!("payment_intent={intent}"));
    assert_eq!(again, (400, "charge_already_refunded".to_owned()));
}

#[test]
fn a_dispute_is_lost_and_its_appeal_won() {
    let client = Client::start();
    let (_, intent) = client.top_up(1000);
    events(&client);
    let dispute = client.stripe.open_dispute(&intent, 1000, "needs_response");
    assert_eq!(client.refused("POST", "refunds", &format!("payment_intent={intent}")).1, "charge_disputed");
    client.stripe.set_dispute_status(&dispute, "lost");
    client.stripe.set_dispute_status(&dispute, "appeal_under_review");
    client.stripe.set_dispute_status(&dispute, "won");
    let kinds = ["created", "funds_withdrawn", "closed", "updated", "funds_reinstated", "closed"];
    assert_eq!(events(&client), kinds.map(|kind| format!("charge.dispute.{kind}")));
    let listed = client.get(&format!("disputes?payment_intent={intent}"));
    assert_eq!((&listed["data"][0]["status"], &listed["data"][0]["amount"]), (&"won".into(), &1000.into()));
    let inquiry = client.stripe.open_dispute(&intent, 500, "warning_needs_response");
    assert_eq!(client.get(&format!("disputes/{inquiry}"))["is_charge_refundable"], true);
    client.post("refunds", &format!("payment_intent={intent}"));
}

#[test]
fn a_deleted_customer_cannot_be_used() {
    let client = Client::start();
    let price = client.price(1000);
    let (customer, subscription) = client.subscribe(&price);
    let (status, gone) =
        client.send("DELETE", &format!("customers/{customer}"), "", None).expect("it is answered");
    assert_eq!((status, &gone["deleted"]), (200, &true.into()));
    assert_eq!(client.get(&format!("customers/{customer}"))["deleted"], true);
    assert_eq!(client.get(&format!("subscriptions/{subscription}"))["status"], "canceled");
    let form = format!("amount=1000&currency=usd&customer={customer}");
    assert_eq!(client.refused("POST", "payment_intents", &form), (400, "resource_missing".to_owned()));
}
