//! Webhook events of Stripe against the stand-in: twice, late, in every order, or never; and what
//! is no event of Stripe.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    Actor, CardCommand, Command, Customer, IdempotencyKey, PaymentCommand, Provider, Submission, TopUpBounds,
    TopUpWay, WorkspaceId,
};
use tollkeeper_testkit::stripe::{Card, Fault, Options, StripeStandIn, Webhook};

use super::*;
use crate::payments::stripe::calls::{Marks, NewCheckout, NewPayment, TOP_UP};
use crate::payments::stripe::client::{CallKey, Client};
use crate::payments::stripe::error::StripeError;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::provider::ledger_name;
use crate::settings::PaymentSettings;

const PATH: &str = "/webhooks/stripe";
const SECRET: &str = "whsec_standin";
const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";
const RULE: &str = r#"{"threshold_usd":"5.00","amount_usd":"25.00","monthly_cap_usd":"60.00"}"#;

/// A server that takes payments by the stand-in, where `acme` is a customer.
struct Shop {
    world: World,
    stripe: StripeStandIn,
    ledger: String,
    customer: ObjectId,
    calls: AtomicI64,
}

fn with_stripe(base: &str) -> Settings {
    let mut payments = PaymentSettings::default();
    for (name, value) in [
        ("payments", "stripe"),
        ("stripe_api_key", "rk_test_standin"),
        ("stripe_api_base", base),
        ("stripe_webhook_secrets", "whsec_former,whsec_standin"),
    ] {
        payments.set(name, value).expect("the setting is right");
    }
    Settings { payments, ..settings() }
}

async fn shop() -> Shop {
    let stripe = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
    let world = world_of(&with_stripe(stripe.base_url()), NOW).await;
    let provider = world.app.stripe.as_ref().expect("the settings name it");
    let ledger = ledger_name(&world.app.engine().platform());
    let marks = Marks { ledger: &ledger, workspace: "acme", subject: None };
    let client = provider.client().expect("it has a key");
    let made = client.make_customer("Acme", &marks, &CallKey::new("customer")).await;
    let customer = made.expect("the stand-in is well").id;
    let shop = Shop { world, stripe, ledger, customer, calls: AtomicI64::new(0) };
    let linked = Customer { provider: Provider::Stripe, id: shop.customer.as_str().into() };
    let link = CardCommand::LinkCustomer { customer: linked, replaces: None };
    shop.run("", PaymentCommand::Card(link)).await;
    shop.stripe.take_events();
    shop
}

impl Shop {
    fn client(&self) -> &Client {
        let provider = self.world.app.stripe.as_ref().expect("the settings name it");
        provider.client().expect("it has a key")
    }

    fn key(&self) -> CallKey {
        CallKey::new(&format!("call-{}", self.calls.fetch_add(1, Ordering::Relaxed)))
    }

    async fn run(&self, key: &str, command: PaymentCommand) -> Output {
        let workspace = WorkspaceId::new("acme").expect("it is a name");
        let key = (!key.is_empty()).then(|| IdempotencyKey::new(key).expect("it is printable"));
        let submission =
            Submission { workspace, key, actor: Actor::System, command: Command::Payment(command) };
        let ran = self.world.app.engine().run(submission, Timestamp::from_millis(NOW)).await;
        ran.expect("a healthy disk").expect("it is accepted").output
    }

    /// Opens a top-up of 25.00 that is paid on a page; returns its id.
    async fn top_up(&self, key: &str) -> String {
        let (way, allowed) = (TopUpWay::Checkout, TopUpBounds::WIDEST);
        let opened = self.run(key, PaymentCommand::OpenTopUp { cents: 2_500, way, allowed }).await;
        let Output::TopUp(top_up) = opened else { panic!("{opened:?}") };
        top_up.id.to_string()
    }

    async fn page_for(&self, ledger: &str, workspace: &str, top_up: &str, cents: i64) -> String {
        let new = NewCheckout {
            customer: &self.customer,
            cents,
            description: "Credit",
            expires_at: self.stripe.now() + 3_600,
            return_url: "https://app.example.com/billing",
            adds_tax: true,
            marks: Marks { ledger, workspace, subject: Some((TOP_UP, top_up)) },
        };
        let opened = self.client().open_checkout(&new, &self.key()).await;
        opened.expect("the stand-in is well").id.as_str().to_owned()
    }

    async fn page(&self, top_up: &str) -> String {
        self.page_for(&self.ledger, "acme", top_up, 2_500).await
    }

    /// A top-up that was paid; returns its id and the payment.
    async fn paid(&self, key: &str) -> (String, String) {
        let top_up = self.top_up(key).await;
        let page = self.page(&top_up).await;
        self.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
        let intent = self.stripe.object(&page, &[])["payment_intent"].as_str().expect("an id").to_owned();
        (top_up, intent)
    }

    async fn deliver(&self, webhook: &Webhook) -> Reply {
        let headers: Vec<(&str, &str)> =
            webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.world.ask("POST", PATH, &headers, webhook.body.clone()).await
    }

    /// Delivers everything that waits; each must be answered with 200.
    async fn deliver_all(&self) {
        for webhook in self.stripe.take_events() {
            let reply = self.deliver(&webhook).await;
            assert_eq!(reply.status, 200, "{}: {}", webhook.kind, reply.text);
        }
    }

    /// Sends a body with a signature of now.
    async fn send_signed(&self, body: &[u8], secret: &str, at: i64) -> Reply {
        let signature = StripeStandIn::signature(&[secret], at, body);
        let headers = [("content-type", "application/json"), ("stripe-signature", signature.as_str())];
        self.world.ask("POST", PATH, &headers, body.to_vec()).await
    }

    async fn available(&self) -> i64 {
        self.world.balance().await.0
    }

    async fn shown(&self, top_up: &str) -> (String, Value) {
        let shown = self.world.get(&format!("{TOP_UPS}/{top_up}")).await.json();
        (shown["status"].as_str().expect("a status").to_owned(), shown["failure"].clone())
    }

    async fn counted(&self, result: &str) -> u64 {
        let text = self.world.get("/metrics").await.text;
        let start = format!("tollkeeper_stripe_webhooks_total{{result=\"{result}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&start)).expect("the line is there");
        count.parse().expect("a count")
    }

    async fn save_a_card(&self, card: Card) -> String {
        let marks = Marks { ledger: &self.ledger, workspace: "acme", subject: None };
        let url = "https://app.example.com/";
        let page = self.client().open_card_page(&self.customer, url, &marks, &self.key()).await;
        let page = page.expect("the stand-in is well").id;
        self.stripe.pay_checkout(page.as_str(), card).expect("the card can be saved");
        let setup = self.stripe.object(page.as_str(), &["setup_intent"])["setup_intent"].clone();
        setup["payment_method"].as_str().expect("a card was saved").to_owned()
    }

    async fn last4(&self) -> Option<String> {
        let card = self.world.get("/v1/workspaces/acme/payment-method").await;
        (card.status == 200).then(|| card.json()["last4"].as_str().unwrap_or_default().to_owned())
    }

    async fn set_rule(&self) {
        let set = self.world.put("PUT", "/v1/workspaces/acme/auto-top-up", "", RULE).await;
        assert_eq!(set.status, 200, "{}", set.text);
    }

    async fn rule(&self) -> (String, Value) {
        let rule = self.world.get("/v1/workspaces/acme/auto-top-up").await.json();
        (rule["state"].as_str().unwrap_or_default().to_owned(), rule["stopped_reason"].clone())
    }
}

#[tokio::test]
async fn a_paid_top_up_grants_once_however_its_events_come() {
    for order in 0..4 {
        let shop = shop().await;
        shop.stripe.set_tax_basis_points(1_900);
        let (top_up, _) = shop.paid("t").await;
        assert_eq!(shop.available().await, 0, "credit comes after the money was heard of");
        let mut events = shop.stripe.take_events();
        match order {
            0 => events.extend(events.clone()),
            1 => events.reverse(),
            2 => events.retain(|event| event.kind == "checkout.session.completed"),
            _ => events.retain(|event| event.kind == "payment_intent.succeeded"),
        }
        for event in &events {
            assert_eq!(shop.deliver(event).await.status, 200, "{}", event.kind);
        }
        assert_eq!(shop.available().await, 2_500_000, "tax buys no credit");
        assert_eq!(shop.shown(&top_up).await, ("succeeded".to_owned(), Value::Null));

        // The server dies before Stripe reads its answer, and the events come a day later again.
        let Shop { world, stripe, ledger, customer, calls } = shop;
        let World { app, clock, _dir } = world;
        app.engine().close().await.expect("the engine closes");
        drop(app);
        clock.fetch_add(86_400_000, Ordering::Relaxed);
        let app = open(_dir.path(), &with_stripe(stripe.base_url()), &clock);
        let shop = Shop { world: World { app: app.into(), clock, _dir }, stripe, ledger, customer, calls };
        for event in events {
            let again = shop.stripe.webhook_at(&event.id, NOW / 1_000 + 86_400);
            assert_eq!(shop.deliver(&again).await.status, 200);
        }
        assert_eq!(shop.available().await, 2_500_000);
        let grants = shop.world.get("/v1/workspaces/acme/grants").await.json();
        assert_eq!(grants["data"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn what_is_no_event_of_stripe_changes_nothing() {
    let shop = shop().await;
    shop.paid("t").await;
    let paid = shop.stripe.take_events();
    let paid = paid.iter().find(|event| event.kind == "checkout.session.completed").expect("it was paid");
    let now = NOW / 1_000;

    let no_signature = [("content-type", "application/json")];
    let unsigned = shop.world.ask("POST", PATH, &no_signature, paid.body.clone()).await;
    assert_eq!(unsigned.problem(400, "invalid_parameter")["parameter"], "Stripe-Signature");
    shop.send_signed(&paid.body, "whsec_other", now).await.problem(400, "invalid_parameter");
    shop.send_signed(&paid.body, SECRET, now - 301).await.problem(400, "invalid_parameter");
    shop.send_signed(&paid.body, SECRET, now + 301).await.problem(400, "invalid_parameter");
    for body in [b"\xff{}".as_slice(), b"{\"id\":\"evt_1\",\"x\":\"\xff\"}", b"{}", b"[]", b"", b"nul"] {
        shop.send_signed(body, SECRET, now).await.problem(400, "malformed_json");
    }
    shop.send_signed(&vec![b' '; 2 << 20], SECRET, now).await.problem(413, "body_too_large");
    let live = String::from_utf8(paid.body.clone()).expect("it is text");
    let live = live.replace(r#""livemode":false"#, r#""livemode":true"#);
    let refused = shop.send_signed(live.as_bytes(), SECRET, now).await;
    assert_eq!(refused.problem(422, "invalid_field")["field"], "livemode");
    assert_eq!(shop.available().await, 0);
    let counts = ["not_signed", "wrong_signature", "stale_signature", "malformed", "other_mode", "done"];
    let mut counted = Vec::new();
    for result in counts {
        counted.push(shop.counted(result).await);
    }
    assert_eq!(counted, [1, 1, 2, 7, 1, 0]);

    assert_eq!(shop.send_signed(&paid.body, "whsec_former", now).await.status, 200, "each secret counts");
    assert_eq!(shop.available().await, 2_500_000);
    let without = world().await;
    without.ask("POST", PATH, &no_signature, "{}").await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_foreign_is_answered_and_what_is_missing_is_sent_again() {
    let shop = shop().await;
    let top_up = shop.top_up("t").await;
    let unknown = "tu_01991234-5678-7abc-bfff-0123456789ab";
    for (ledger, workspace, id, status) in [
        ("another", "acme", top_up.as_str(), 200),
        (&shop.ledger, "acme", unknown, 503),
        (&shop.ledger, "nobody", unknown, 503),
        (&shop.ledger, "acme", "no id", 503),
    ] {
        let page = shop.page_for(ledger, workspace, id, 2_500).await;
        shop.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
        for event in shop.stripe.take_events() {
            let asked =
                event.kind == "checkout.session.completed" || event.kind == "payment_intent.succeeded";
            let expected = if asked { status } else { 200 };
            assert_eq!(shop.deliver(&event).await.status, expected, "{ledger} {workspace} {id}");
        }
        assert_eq!(shop.available().await, 0);
    }
    assert_eq!((shop.counted("foreign").await, shop.counted("failed").await), (2, 6));

    let page = shop.page(&top_up).await;
    shop.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    let events = shop.stripe.take_events();
    let event = events.iter().find(|event| event.kind == "checkout.session.completed").expect("it was paid");
    for fault in [Fault::ErrorBefore, Fault::CutBefore] {
        shop.stripe.fail_next("GET", "/v1/checkout/sessions", fault);
        shop.deliver(event).await.problem(503, "payment_provider_unavailable");
    }
    assert_eq!(shop.available().await, 0);
    assert_eq!(shop.deliver(event).await.status, 200);
    assert_eq!(shop.available().await, 2_500_000);
}

#[tokio::test]
async fn only_money_that_came_in_and_fits_grants() {
    let shop = shop().await;
    let other_sum = shop.top_up("sum").await;
    let page = shop.page_for(&shop.ledger, "acme", &other_sum, 2_400).await;
    shop.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    shop.deliver_all().await;
    assert_eq!((shop.available().await, shop.counted("unmatched").await), (0, 2));
    assert_eq!(shop.shown(&other_sum).await.0, "pending");
    let unmatched = shop.world.get("/v1/payments/unmatched").await.json()["data"].clone();
    assert_eq!(unmatched.as_array().map(Vec::len), Some(1), "two events are one payment: {unmatched}");
    assert_eq!((&unmatched[0]["workspace"], &unmatched[0]["currency"]), (&"acme".into(), &"usd".into()));

    let slow = shop.top_up("slow").await;
    let intent = shop.stripe.pay_checkout_delayed(&shop.page(&slow).await);
    shop.deliver_all().await;
    assert_eq!((shop.available().await, shop.shown(&slow).await.0), (0, "pending".to_owned()));
    shop.stripe.settle_delayed(&intent, true);
    shop.deliver_all().await;
    assert_eq!((shop.available().await, shop.shown(&slow).await.0), (2_500_000, "succeeded".to_owned()));

    let failed = shop.top_up("failed").await;
    let intent = shop.stripe.pay_checkout_delayed(&shop.page(&failed).await);
    shop.stripe.settle_delayed(&intent, false);
    shop.deliver_all().await;
    assert_eq!(shop.shown(&failed).await, ("failed".to_owned(), "not_paid".into()));

    let tried = shop.top_up("tried").await;
    let page = shop.page(&tried).await;
    shop.stripe.pay_checkout(&page, Card::Stolen).expect_err("the card is declined");
    shop.deliver_all().await;
    assert_eq!(shop.shown(&tried).await.0, "pending", "the payer may try another card");
    shop.stripe.advance(3_700);
    shop.world.pass_seconds(3_700);
    shop.deliver_all().await;
    assert_eq!(shop.shown(&tried).await, ("expired".to_owned(), Value::Null));
    assert_eq!(shop.available().await, 2_500_000);

    let other = shop.page_for(&shop.ledger, "acme", &tried, 2_500).await;
    shop.stripe.pay_checkout(&other, Card::Good).expect("the card is good");
    shop.deliver_all().await;
    assert_eq!(shop.shown(&tried).await, ("succeeded".to_owned(), Value::Null), "money came after all");
    assert_eq!(shop.available().await, 5_000_000);
}

#[tokio::test]
async fn a_card_is_saved_renewed_and_removed_at_stripe() {
    let shop = shop().await;
    shop.save_a_card(Card::Good).await;
    let first = shop.stripe.take_events();
    shop.stripe.advance(60);
    shop.world.pass_seconds(60);
    let second = shop.save_a_card(Card::GoodMastercard).await;
    shop.deliver_all().await;
    assert_eq!(shop.last4().await.as_deref(), Some("4444"));
    for event in &first {
        assert_eq!(shop.deliver(event).await.status, 200);
    }
    assert_eq!(shop.last4().await.as_deref(), Some("4444"), "an older page comes late");

    shop.stripe.renew_card(&second, 2_041);
    shop.deliver_all().await;
    let card = shop.world.get("/v1/workspaces/acme/payment-method").await.json();
    assert_eq!(card["expires"].as_str().and_then(|text| text.get(..4)), Some("2041"));
    shop.set_rule().await;
    shop.stripe.remove_card(&second);
    shop.deliver_all().await;
    assert_eq!(shop.last4().await, None);
    assert_eq!(shop.rule().await, ("stopped".to_owned(), "payment_method_removed".into()));

    shop.save_a_card(Card::Good).await;
    shop.deliver_all().await;
    assert_eq!(shop.last4().await.as_deref(), Some("4242"));
    shop.stripe.delete_customer(shop.customer.as_str());
    shop.deliver_all().await;
    assert_eq!(shop.last4().await, None);
}

#[tokio::test]
async fn money_that_goes_back_takes_its_credit_in_any_order() {
    let shop = shop().await;
    let (_, payment) = shop.paid("t").await;
    // The news of the refund comes first.
    let refund = shop.stripe.refund_elsewhere(&payment, 1_000);
    let mut events = shop.stripe.take_events();
    events.reverse();
    for event in events.iter().chain(&events) {
        assert_eq!(shop.deliver(event).await.status, 200, "{}", event.kind);
    }
    assert_eq!(shop.available().await, 1_500_000);
    let dispute = shop.stripe.open_dispute(&payment, 1_500, "warning_needs_response");
    shop.deliver_all().await;
    assert_eq!(shop.available().await, 1_500_000, "an inquiry takes nothing");

    shop.save_a_card(Card::Good).await;
    shop.deliver_all().await;
    shop.set_rule().await;
    shop.stripe.set_dispute_status(&dispute, "needs_response");
    shop.deliver_all().await;
    assert_eq!(shop.available().await, 0);
    assert_eq!(shop.rule().await, ("stopped".to_owned(), "disputed".into()));
    shop.stripe.set_dispute_status(&dispute, "won");
    shop.deliver_all().await;
    assert_eq!(shop.available().await, 1_500_000);
    shop.stripe.finish_refund(&refund, "failed");
    shop.deliver_all().await;
    assert_eq!(shop.available().await, 2_500_000);

    shop.set_rule().await;
    let _ = shop.stripe.warn_of_fraud(&payment);
    shop.deliver_all().await;
    assert_eq!(shop.rule().await, ("stopped".to_owned(), "fraud_warning".into()));
}

#[tokio::test]
async fn a_loss_that_stripe_does_not_list_yet_counts_and_is_looked_at_again() {
    let shop = shop().await;
    let (_, payment) = shop.paid("t").await;
    shop.deliver_all().await;
    shop.stripe.advance(60);
    shop.world.pass_seconds(60);
    shop.stripe.set_list_lag(20);
    let refund = shop.stripe.refund_elsewhere(&payment, 500);
    let dispute = shop.stripe.open_dispute(&payment, 900, "needs_response");
    let events = shop.stripe.take_events();
    let about = |id: &str| events.iter().find(|event| event.object == id).expect("it was announced");
    for (event, available) in [(about(&refund), 2_000_000), (about(&dispute), 1_600_000)] {
        shop.deliver(event).await.problem(503, "payment_provider_unavailable");
        assert_eq!(shop.available().await, available, "{}", event.kind);
    }
    shop.stripe.advance(20);
    shop.world.pass_seconds(20);
    assert_eq!(shop.deliver(about(&refund)).await.status, 200);
    assert_eq!(shop.available().await, 1_100_000);
}

#[tokio::test]
async fn a_payment_with_the_saved_card_grants_or_fails_its_top_up() {
    for (card, status, failure, available) in [
        (Card::Good, "succeeded", Value::Null, 2_500_000),
        (Card::InsufficientFunds, "failed", "declined".into(), 0),
        (Card::Stolen, "failed", "declined_for_good".into(), 0),
        (Card::NeedsAuthentication, "failed", "authentication_needed".into(), 0),
    ] {
        let shop = shop().await;
        let method = shop.save_a_card(Card::Good).await;
        shop.deliver_all().await;
        shop.set_rule().await;
        let top_up = shop.world.get(TOP_UPS).await.json()["data"][0]["id"].clone();
        let top_up = top_up.as_str().expect("the balance is low").to_owned();
        shop.stripe.set_card(&method, card);
        let method = ObjectId::new(&method).expect("it is an id");
        let marks = Marks { ledger: &shop.ledger, workspace: "acme", subject: Some((TOP_UP, &top_up)) };
        let new = NewPayment {
            customer: &shop.customer,
            payment_method: &method,
            cents: 2_500,
            description: "Credit",
            marks,
        };
        let paid = shop.client().pay(&new, &shop.key()).await;
        assert!(matches!(paid, Ok(_) | Err(StripeError::Declined(_))), "{paid:?}");
        shop.deliver_all().await;
        assert_eq!(shop.shown(&top_up).await, (status.to_owned(), failure), "{card:?}");
        assert_eq!(shop.available().await, available, "{card:?}");
    }
}
