//! The client of Stripe against the stand-in: each call, each way in which it can go wrong.

use std::time::Duration;

use tollkeeper_testkit::stripe::{Card, Fault, Options, StripeStandIn};

use crate::payments::stripe::calls::{Marks, NewCheckout, NewPayment, TOP_UP};
use crate::payments::stripe::client::{CallKey, Client};
use crate::payments::stripe::error::{StripeError, Why};
use crate::payments::stripe::objects::{
    CheckoutSession, Customer, DisputeStatus, IntentStatus, ObjectId, RefundStatus, SessionStatus,
};
use crate::payments::stripe::settings::{StripeSettings, Times};
use crate::payments::stripe::{API_VERSION, signature};
use crate::settings::Secret;
use tollkeeper_ledger::Timestamp;

const API_KEY: &str = "rk_test_standin";

const MARKS: Marks<'static> =
    Marks { ledger: "ledger-1", workspace: "acme", subject: Some((TOP_UP, "tu_1")) };

/// A stand-in and a client of it.
struct Stripe {
    stand_in: StripeStandIn,
    client: Client,
}

fn client(base: &str, times: Times) -> Client {
    let mut settings = StripeSettings::default();
    settings.set("stripe_api_key", API_KEY).expect("it is a key");
    settings.set("stripe_api_base", base).expect("it is an address of this machine");
    settings.times = times;
    Client::new(&settings).expect("the settings have a key")
}

fn start_with(times: Times) -> Stripe {
    let stand_in = StripeStandIn::start(Options::default());
    let client = client(stand_in.base_url(), times);
    Stripe { stand_in, client }
}

fn start() -> Stripe {
    start_with(Times::default())
}

fn key(text: &str) -> CallKey {
    CallKey::new(text)
}

impl Stripe {
    async fn customer(&self) -> ObjectId {
        let made = self.client.make_customer("Acme", &MARKS, &key("customer")).await;
        made.expect("the stand-in is well").id
    }

    async fn checkout(&self, customer: &ObjectId, name: &str) -> Result<CheckoutSession, StripeError> {
        let new = NewCheckout {
            customer,
            cents: 2_500,
            description: "Credit",
            expires_at: self.stand_in.now() + 3_600,
            return_url: "https://app.example.com/billing",
            adds_tax: true,
            marks: MARKS,
        };
        self.client.open_checkout(&new, &key(name)).await
    }

    /// A payment with a saved card.
    async fn pay(&self, card: Card, name: &str) -> Result<ObjectId, StripeError> {
        let customer = self.customer().await;
        let method = ObjectId::new(&self.stand_in.save_card(customer.as_str(), card)).expect("it is an id");
        let new = NewPayment {
            customer: &customer,
            payment_method: &method,
            cents: 2_500,
            description: "Credit",
            marks: MARKS,
        };
        self.client.pay(&new, &key(name)).await.map(|intent| intent.id)
    }
}

#[tokio::test]
async fn a_checkout_is_opened_paid_and_read() {
    let stripe = start();
    stripe.stand_in.set_tax_basis_points(1_900);
    let customer = stripe.customer().await;
    let opened = stripe.checkout(&customer, "one").await.expect("the stand-in is well");
    assert_eq!(opened.status, Some(SessionStatus::Open));
    assert!(opened.url.is_some_and(|url| url.starts_with("http")));
    assert_eq!(opened.client_reference_id.as_deref(), Some("tu_1"));
    stripe.stand_in.pay_checkout(opened.id.as_str(), Card::Good).expect("the card is good");

    let paid = stripe.client.checkout(&opened.id).await.expect("the stand-in is well");
    assert_eq!((paid.status, paid.url.as_deref()), (Some(SessionStatus::Complete), None));
    assert_eq!(
        (paid.amount_total, paid.tax_cents(), paid.currency.as_deref()),
        (Some(2_975), 475, Some("usd"))
    );
    assert_eq!(paid.metadata.get("workspace").map(String::as_str), Some("acme"));
    let intent = paid.payment_intent.as_ref().and_then(|intent| intent.whole()).expect("it is expanded");
    assert_eq!((intent.status, intent.amount_received), (IntentStatus::Succeeded, 2_975));
    assert_eq!(intent.metadata.get("top_up").map(String::as_str), Some("tu_1"));
    let receipt = intent.latest_charge.as_ref().and_then(|charge| charge.whole());
    assert!(receipt.is_some_and(|receipt| receipt.receipt_url.is_some()));
    let card = intent.payment_method.as_ref().and_then(|method| method.whole()?.card.clone());
    assert_eq!(card.map(|card| (card.brand, card.last4)), Some(("visa".to_owned(), "4242".to_owned())));
    let listed = stripe.client.checkouts_of(&customer).await.expect("the stand-in is well");
    assert_eq!((listed.data.len(), listed.has_more), (1, false));

    let requests = stripe.stand_in.requests();
    assert!(requests.iter().all(|request| request.header("stripe-version") == Some(API_VERSION)));
    let keyed = requests.iter().filter(|request| request.idempotency_key().is_some());
    assert!(keyed.clone().all(|request| request.method == "POST"));
    assert_eq!(keyed.count(), 2);
}

#[tokio::test]
async fn a_card_is_saved_charged_refunded_disputed_and_removed() {
    let stripe = start();
    let customer = stripe.customer().await;
    let page = stripe.client.open_card_page(&customer, "https://a.example/", &MARKS, &key("card")).await;
    let page = page.expect("the stand-in is well").id;
    stripe.stand_in.pay_checkout(page.as_str(), Card::GoodMastercard).expect("the card is good");
    let saved = stripe.client.checkout(&page).await.expect("the stand-in is well").setup_intent;
    let method = saved.and_then(|intent| intent.whole()?.payment_method.clone()).expect("it is expanded");
    let new = NewPayment {
        customer: &customer,
        payment_method: method.id(),
        cents: 1_000,
        description: "Credit",
        marks: MARKS,
    };
    let paid = stripe.client.pay(&new, &key("pay")).await.expect("the card is good");
    assert_eq!((paid.status, paid.amount_received), (IntentStatus::Succeeded, 1_000));
    let read = stripe.client.payment(&paid.id).await.expect("the stand-in is well");
    assert_eq!(read.customer.map(|customer| customer.id().clone()), Some(customer.clone()));

    let refund = stripe.client.refund(&paid.id, 300, &MARKS, &key("refund")).await;
    assert_eq!(refund.map(|refund| (refund.status, refund.amount)), Ok((RefundStatus::Succeeded, 300)));
    let _ = stripe.stand_in.refund_elsewhere(paid.id.as_str(), 200);
    let refunds = stripe.client.refunds_of(&paid.id).await.expect("the stand-in is well");
    assert_eq!(refunds.iter().map(|refund| refund.amount).collect::<Vec<_>>(), [200, 300]);
    let _ = stripe.stand_in.open_dispute(paid.id.as_str(), 500, "needs_response");
    let disputes = stripe.client.disputes_of(&paid.id).await.expect("the stand-in is well");
    let disputed = disputes.first().map(|dispute| (dispute.status.clone(), dispute.amount));
    assert_eq!(disputed, Some((DisputeStatus::Takes, 500)));

    stripe.client.remove_payment_method(method.id(), &key("remove")).await.expect("it is saved");
    let removed = stripe.client.payment_method(method.id()).await.expect("the stand-in is well");
    assert!(removed.customer.is_none() && removed.card.is_some());
}

#[tokio::test]
async fn a_portal_is_set_up_without_cancelling_and_events_are_listed() {
    let stripe = start();
    let customer = stripe.customer().await;
    let made = stripe.client.make_portal("ledger-1", &key("portal")).await.expect("the stand-in is well");
    let known = stripe.client.portals().await.expect("the stand-in is well").data;
    assert_eq!(known.first().map(|portal| portal.id.clone()), Some(made.id.clone()));
    let shown = stripe.stand_in.object(made.id.as_str(), &[]);
    assert_eq!(shown["features"]["subscription_cancel"]["enabled"], false);
    let page = stripe.client.open_portal(&customer, &made.id, None, &key("page")).await;
    assert!(page.is_ok_and(|page| page.url.starts_with("http")));

    let opened = stripe.checkout(&customer, "one").await.expect("the stand-in is well");
    let expired = stripe.client.expire_checkout(&opened.id, &key("expire")).await;
    assert_eq!(expired.map(|session| session.status), Ok(Some(SessionStatus::Expired)));
    let events = stripe.client.events(stripe.stand_in.now() - 60, None).await.expect("the stand-in is well");
    let newest = events.data.first().expect("something happened");
    assert_eq!((newest.kind.as_str(), newest.livemode), ("checkout.session.expired", false));
    assert_eq!(newest.data.object.id.as_ref(), Some(&opened.id));
    let older = stripe.client.events(0, Some(&newest.id)).await.expect("the stand-in is well");
    assert_eq!(older.data.len() + 1, events.data.len());
}

#[tokio::test]
async fn a_decline_says_why_and_names_the_payment() {
    for (card, code, decline_code, advice) in [
        (Card::InsufficientFunds, "card_declined", Some("insufficient_funds"), Some("try_again_later")),
        (Card::Stolen, "card_declined", Some("stolen_card"), Some("do_not_try_again")),
        (Card::Expired, "expired_card", None, Some("confirm_card_data")),
        (Card::NeedsAuthentication, "authentication_required", Some("authentication_required"), None),
    ] {
        let stripe = start();
        let declined = stripe.pay(card, "pay").await.expect_err("the card is declined");
        let StripeError::Declined(decline) = declined else { panic!("{declined:?}") };
        let text = |code: &Option<crate::payments::stripe::error::Code>| {
            code.as_ref().map(|code| code.as_str().to_owned())
        };
        assert_eq!(text(&decline.code).as_deref(), Some(code));
        assert_eq!(text(&decline.decline_code).as_deref(), decline_code);
        assert_eq!(text(&decline.advice_code).as_deref(), advice);
        let intent = decline.intent.expect("it names the payment");
        let read = stripe.client.payment(&intent).await.expect("it exists");
        assert_eq!((read.status, read.amount_received), (IntentStatus::RequiresPaymentMethod, 0));
    }
}

#[tokio::test]
async fn what_was_not_carried_out_is_sent_again() {
    for fault in [Fault::RateLimited, Fault::KeyInUse] {
        let stripe = start();
        stripe.stand_in.fail_next("POST", "/v1/customers", fault);
        stripe.stand_in.fail_next("POST", "/v1/customers", fault);
        stripe.customer().await;
        assert_eq!(stripe.stand_in.requests().len(), 3);
        let keys = stripe.stand_in.requests();
        assert!(keys.iter().all(|request| request.idempotency_key() == Some("customer")));
        (0..3).for_each(|_| stripe.stand_in.fail_next("POST", "/v1/customers", fault));
        let busy = stripe.client.make_customer("Acme", &MARKS, &key("other")).await;
        assert!(matches!(busy, Err(StripeError::Busy { .. })), "{busy:?}");
        assert_eq!(stripe.stand_in.requests().len(), 6);
    }
}

#[tokio::test]
async fn an_unknown_answer_is_not_sent_again_and_the_same_key_finds_what_it_did() {
    for (fault, why, made) in [
        (Fault::ErrorBefore, Why::Status(500), 0),
        (Fault::ErrorAfter, Why::Status(500), 1),
        (Fault::CutBefore, Why::Cut, 0),
        (Fault::CutAfter, Why::Cut, 1),
        (Fault::GarbledAfter, Why::Undecodable, 1),
    ] {
        let stripe = start();
        stripe.stand_in.fail_next("POST", "/v1/customers", fault);
        let unknown = stripe.client.make_customer("Acme", &MARKS, &key("c")).await;
        assert_eq!(unknown.map(|customer| customer.id), Err(StripeError::Unknown(why)), "{fault:?}");
        assert_eq!((stripe.stand_in.requests().len(), stripe.stand_in.objects("customer").len()), (1, made));
        let again = stripe.client.make_customer("Acme", &MARKS, &key("c")).await;
        assert!(again.is_ok(), "{fault:?}: {again:?}");
        assert_eq!(stripe.stand_in.objects("customer").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_saved_error_stays_unknown_for_its_key() {
    for (fault, made) in [(Fault::SavedError, 0), (Fault::SavedErrorAfter, 1)] {
        let stripe = start();
        stripe.stand_in.fail_next("POST", "/v1/customers", fault);
        for _ in 0..2 {
            let unknown = stripe.client.make_customer("Acme", &MARKS, &key("c")).await;
            let why = StripeError::Unknown(Why::Status(500));
            assert_eq!(unknown.map(|customer| customer.id), Err(why));
        }
        assert_eq!(stripe.stand_in.objects("customer").len(), made);
    }
}

#[tokio::test]
async fn an_answer_that_hangs_is_given_up() {
    for (fault, made) in [(Fault::HangBefore, 0), (Fault::HangAfter, 1)] {
        let short = Times { answer: Duration::from_millis(200), ..Times::default() };
        let stripe = start_with(short);
        stripe.stand_in.fail_next("POST", "/v1/customers", fault);
        let hung = stripe.client.make_customer("Acme", &MARKS, &key("c")).await;
        let why = StripeError::Unknown(Why::TimedOut);
        assert_eq!(hung.map(|customer| customer.id), Err(why));
        assert_eq!(stripe.stand_in.objects("customer").len(), made);
        stripe.stand_in.release_hanging();
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable_and_one_that_is_not_stripe_decides_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let away = client(&base, Times::default()).make_customer("Acme", &MARKS, &key("c")).await;
    let why = StripeError::Unknown(Why::Unreachable);
    assert_eq!(away.map(|customer| customer.id), Err(why));

    let stripe = start();
    let missing = ObjectId::new("cus_unknown").expect("it is an id");
    let refused = stripe.client.checkout(&missing).await.map(|session| session.id);
    assert!(matches!(refused, Err(StripeError::Refused { status: 404, .. })), "{refused:?}");
    let other: Result<Customer, _> = stripe.client.get("nothing", Default::default()).await;
    assert!(matches!(other, Err(StripeError::Refused { status: 404, .. })), "{other:?}");
    stripe.checkout(&stripe.customer().await, "one").await.expect("the stand-in is well");
    let reused = stripe.client.make_customer("Globex", &MARKS, &key("customer")).await.map(|made| made.id);
    assert!(matches!(reused, Err(StripeError::Refused { status: 400, .. })), "{reused:?}");
}

#[tokio::test]
async fn no_error_and_no_client_shows_a_secret() {
    let mut settings = StripeSettings::default();
    settings.set("stripe_api_key", "rk_test_hidden").expect("it is a key");
    let stand_in = StripeStandIn::start(Options::default());
    settings.set("stripe_api_base", stand_in.base_url()).expect("it is an address of this machine");
    let client = Client::new(&settings).expect("the settings have a key");
    let refused = client.make_customer("Ada", &MARKS, &key("c")).await.expect_err("the key is unknown");
    let missing = Client::new(&StripeSettings::default());
    let shown = format!("{client:?} {refused:?} {refused} {missing:?} {settings:?}");
    assert!(!shown.contains("hidden") && !shown.contains("Ada"), "{shown}");
    assert!(matches!(refused, StripeError::Refused { status: 401, .. }), "{refused:?}");
}

#[tokio::test]
async fn the_stand_in_signs_as_is_checked() {
    let stripe = start();
    stripe.stand_in.set_webhook_secrets(&["whsec_old", "whsec_new"]);
    stripe.customer().await;
    let webhook = stripe.stand_in.take_events().remove(0);
    let header =
        &webhook.headers.iter().find(|(name, _)| name == "stripe-signature").expect("it is signed").1;
    let now = Timestamp::from_millis(stripe.stand_in.now() * 1_000);
    for secret in ["whsec_old", "whsec_new"] {
        let known = [Secret::new("whsec_other"), Secret::new(secret)];
        assert_eq!(signature::verify(header, &webhook.body, &known, now), Ok(()));
    }
    let wrong = signature::verify(header, &webhook.body, &[Secret::new("whsec_other")], now);
    assert_eq!(wrong, Err(signature::NotSigned::Wrong));
    let late = signature::verify(header, &webhook.body, &[Secret::new("whsec_old")], now.plus_seconds(301));
    assert_eq!(late, Err(signature::NotSigned::Stale));
}
