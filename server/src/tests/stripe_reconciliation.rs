//! What Stripe knows and the ledger does not yet, with the stand-in: lost webhook events, pages
//! that end, customers that are deleted at Stripe.

use tollkeeper_ledger::{
    AutoTopUpCommand, Card as SavedCard, CardCommand, Micros, PaymentCommand, TopUpBounds,
};
use tollkeeper_testkit::stripe::{Card, Fault, Options, StripeStandIn};

use super::*;

const TOP_UPS: &str = "/v1/workspaces/acme/top-ups";
const CARD: &str = "/v1/workspaces/acme/payment-method";
const RULE: &str = "/v1/workspaces/acme/auto-top-up";
const BODY: &str = r#"{"amount_usd":"25.00","return_url":"https://app.example.com/billing"}"#;

/// A server that takes payments with the stand-in, and hears of nothing by itself.
struct Deaf {
    world: World,
    stripe: StripeStandIn,
    settings: Settings,
}

async fn deaf() -> Deaf {
    let stripe = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
    let mut settings = settings();
    for (name, value) in [
        ("payments", "stripe"),
        ("stripe_api_key", "rk_test_standin"),
        ("stripe_webhook_secrets", "whsec_standin"),
        ("stripe_api_base", stripe.base_url()),
    ] {
        settings.payments.set(name, value).unwrap_or_else(|| panic!("{name} is a setting"));
    }
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let app = open(dir.path(), &settings, &clock);
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app, clock, _dir: dir };
    assert_eq!(world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await.status, 201);
    Deaf { world, stripe, settings }
}

impl Deaf {
    /// A second server over the same ledger.
    fn second(&self) -> Arc<App> {
        let clock = Arc::clone(&self.world.clock);
        let now = move || Timestamp::from_millis(clock.load(Ordering::Relaxed));
        App::with_clock(Arc::clone(&self.world.app.engine), &self.settings, Box::new(now))
    }

    fn pass_seconds(&self, seconds: i64) {
        self.world.pass_seconds(seconds);
        self.stripe.advance(seconds);
    }

    async fn status(&self, top_up: &str) -> String {
        let shown = self.world.get(&format!("{TOP_UPS}/{top_up}")).await.json();
        shown["status"].as_str().expect("a status").to_owned()
    }

    fn newest(&self, kind: &str) -> String {
        let objects = self.stripe.objects(kind);
        objects.last().and_then(|object| object["id"].as_str()).expect("there is one").to_owned()
    }

    /// Saves a card in the ledger, and a rule that buys with it.
    async fn save_card_and_rule(&self) {
        let (brand, last4) = ("visa".into(), "4242".into());
        let id = self.stripe.save_card(&self.newest("customer"), Card::Good).into();
        let card = SavedCard { id, brand, last4, expires_month: 2, expires_year: 2_030 };
        let rule = AutoTopUpCommand::Set {
            threshold: Micros::new(500_000),
            cents: 2_500,
            monthly_cap_cents: 6_000,
            allowed: TopUpBounds::WIDEST,
        };
        self.world.report("acme", PaymentCommand::Card(CardCommand::SaveCard(card))).await;
        self.world.report("acme", PaymentCommand::AutoTopUp(rule)).await;
    }
}

#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_is_made_anew_once() {
    let deaf = deaf().await;
    let first = deaf.world.post(TOP_UPS, "first", BODY).await;
    assert_eq!(first.status, 201, "{}", first.text);
    deaf.save_card_and_rule().await;
    let deleted = deaf.newest("customer");
    deaf.stripe.delete_customer(&deleted);

    for fault in [Fault::ErrorBefore, Fault::CutBefore, Fault::GarbledAfter] {
        deaf.stripe.fail_next("GET", "/v1/customers", fault);
        let unknown = deaf.world.post(TOP_UPS, "second", BODY).await;
        unknown.problem(503, "payment_provider_unavailable");
        assert_eq!(deaf.stripe.objects("customer").len(), 1, "{fault:?}: what is not known is not replaced");
    }
    let others = World {
        app: deaf.second(),
        clock: Arc::clone(&deaf.world.clock),
        _dir: tempfile::tempdir().expect("a directory can be made"),
    };
    let (one, other) = futures_util::join!(
        deaf.world.post(TOP_UPS, "second", BODY),
        others.post("/v1/workspaces/acme/billing-portal", "", ""),
    );
    assert_eq!((one.status, other.status), (201, 200), "{} {}", one.text, other.text);
    assert_eq!(deaf.stripe.objects("customer").len(), 2, "two servers make one customer");
    assert_eq!(deaf.world.get(CARD).await.status, 404, "the card went with its customer");
    assert_eq!(deaf.world.get(RULE).await.json()["stopped_reason"], "payment_method_removed");

    let page = deaf.newest("checkout.session");
    assert_eq!(deaf.stripe.object(&page, &[])["customer"], deaf.newest("customer").as_str());
    deaf.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    deaf.pass_seconds(5);
    assert_eq!(deaf.status(&one.id()).await, "succeeded");
    assert_eq!(deaf.world.balance().await, (2_500_000, 0));
}

#[tokio::test]
async fn a_customer_of_another_account_is_not_replaced() {
    let deaf = deaf().await;
    assert_eq!(deaf.world.post("/v1/workspaces/acme/billing-portal", "", "").await.status, 200);
    // A stand-in that knows no customer: the key is of another account.
    let other = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
    let mut settings = deaf.settings.clone();
    settings.payments.set("stripe_api_base", other.base_url()).expect("it is an address");
    let clock = Arc::clone(&deaf.world.clock);
    let now = move || Timestamp::from_millis(clock.load(Ordering::Relaxed));
    let app = App::with_clock(Arc::clone(&deaf.world.app.engine), &settings, Box::new(now));
    let World { clock, _dir, .. } = deaf.world;
    let world = World { app, clock, _dir };
    world.post(TOP_UPS, "t", BODY).await.problem(503, "payment_provider_unavailable");
    assert!(other.objects("customer").is_empty());
}
