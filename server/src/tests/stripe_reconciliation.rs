//! What Stripe knows and the ledger does not yet, with the stand-in: lost webhook events, pages
//! that end, customers that are deleted at Stripe.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    AutoTopUpCommand, Card as SavedCard, CardCommand, Micros, PaymentCommand, TopUpBounds, WorkspaceId,
};
use tollkeeper_testkit::stripe::{Card, Fault, Options, StripeStandIn};

use super::stripe_top_ups::stripe_settings;
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::losses::Losses;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;

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
    let settings = stripe_settings(&stripe, &[]);
    let world = world_of(&settings, NOW).await;
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

    /// A top-up of 25.00 whose page was paid; returns its id and the payment.
    async fn paid(&self, key: &str) -> (String, String) {
        let opened = self.world.post(TOP_UPS, key, BODY).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        self.stripe.pay_checkout(&self.newest("checkout.session"), Card::Good).expect("the card is good");
        (opened.id(), self.newest("payment_intent"))
    }

    async fn counted(&self, name: &str) -> u64 {
        self.world.counted(name).await
    }

    async fn reconciled(&self) -> u64 {
        self.counted("tollkeeper_stripe_reconciled_total").await
    }

    /// How often an object was fetched, so far.
    fn fetched(&self) -> usize {
        let requests = self.stripe.requests();
        requests.iter().filter(|request| request.method == "GET" && request.path != "/v1/events").count()
    }

    async fn deliver_all(&self) {
        for webhook in self.stripe.take_events() {
            let headers: Vec<(&str, &str)> =
                webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer = self.world.ask("POST", "/webhooks/stripe", &headers, webhook.body.clone()).await;
            assert_eq!(answer.status, 200, "{}", webhook.kind);
        }
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
        self.world.report("acme", PaymentCommand::Card(CardCommand::SaveCard(card))).await;
        self.set_rule().await;
    }

    async fn set_rule(&self) {
        let rule = AutoTopUpCommand::Set {
            threshold: Micros::new(500_000),
            cents: 2_500,
            monthly_cap_cents: 6_000,
            allowed: TopUpBounds::WIDEST,
        };
        self.world.report("acme", PaymentCommand::AutoTopUp(rule)).await;
    }

    /// Why the rule stopped, or that it runs.
    async fn rule(&self) -> String {
        let rule = self.world.get(RULE).await.json();
        rule["stopped_reason"].as_str().unwrap_or("runs").to_owned()
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
        app: deaf.second().into(),
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
    let world = World { app: app.into(), clock, _dir };
    world.post(TOP_UPS, "t", BODY).await.problem(503, "payment_provider_unavailable");
    assert!(other.objects("customer").is_empty());
}

#[tokio::test]
async fn what_lost_webhook_events_would_have_said_is_found_within_a_walk() {
    let deaf = deaf().await;
    let mut walks = Reconciliation::default();
    walks.poll(&deaf.world.app).await;
    assert_eq!(deaf.counted("tollkeeper_stripe_walks_total").await, 3);

    let (_, payment) = deaf.paid("one").await;
    deaf.pass_seconds(59);
    walks.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await.0, 0, "an event is left to its webhook for a minute");
    deaf.pass_seconds(241);
    walks.poll(&deaf.world.app).await;
    assert_eq!((deaf.world.balance().await.0, deaf.reconciled().await), (2_500_000, 1));
    let fetched = deaf.fetched();
    for _ in 0..15 {
        deaf.pass_seconds(300);
        walks.poll(&deaf.world.app).await;
    }
    assert_eq!((deaf.fetched(), deaf.reconciled().await), (fetched, 1), "what is known is not fetched");

    let refund = deaf.stripe.refund_elsewhere(&payment, 1_000);
    deaf.pass_seconds(300);
    walks.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await.0, 1_500_000);
    deaf.stripe.finish_refund(&refund, "failed");
    deaf.save_card_and_rule().await;
    deaf.stripe.delete_customer(&deaf.newest("customer"));
    deaf.pass_seconds(300);
    walks.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await.0, 2_500_000);
    assert_eq!(deaf.world.get(CARD).await.status, 404);
    assert_eq!(deaf.reconciled().await, 4);

    // The next one arrives, so no walk finds anything.
    deaf.stripe.take_events();
    deaf.paid("two").await;
    deaf.deliver_all().await;
    assert_eq!(deaf.world.balance().await.0, 5_000_000);
    let fetched = deaf.fetched();
    deaf.pass_seconds(300);
    walks.poll(&deaf.world.app).await;
    assert_eq!((deaf.fetched(), deaf.reconciled().await), (fetched, 4), "what was heard of is not fetched");
}

#[tokio::test]
async fn after_weeks_of_downtime_all_is_found_once_by_two_servers() {
    let deaf = deaf().await;
    let (top_up, payment) = deaf.paid("one").await;
    let other = deaf.second();
    deaf.pass_seconds(29 * 86_400);
    let mut one = Reconciliation::default();
    let mut two = Reconciliation::default();
    futures_util::join!(one.poll(&deaf.world.app), two.poll(&other));
    assert_eq!(deaf.world.balance().await, (2_500_000, 0));
    assert_eq!(deaf.status(&top_up).await, "succeeded");
    let grants = deaf.world.get("/v1/workspaces/acme/grants").await.json();
    assert_eq!(grants["data"].as_array().map(Vec::len), Some(1));

    // A server that starts later fetches nothing that the ledger knows.
    let fetched = deaf.fetched();
    let third = World {
        app: deaf.second().into(),
        clock: Arc::clone(&deaf.world.clock),
        _dir: tempfile::tempdir().expect("a directory can be made"),
    };
    Reconciliation::default().poll(&third.app).await;
    assert_eq!(deaf.fetched(), fetched);
    let _ = deaf.stripe.open_dispute(&payment, 2_500, "needs_response");
    deaf.pass_seconds(300);
    one.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await, (0, 0));

    drop((other, third));
    deaf.pass_seconds(401 * 86_400);
    let Deaf { world: World { app, clock, _dir }, stripe, settings } = deaf;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let late = open(_dir.path(), &settings, &clock);
    let asked = stripe.requests().len();
    Reconciliation::default().poll(&late).await;
    assert!(late.clock_watch.holds_timers(), "the clock is far from the newest entry");
    assert_eq!(stripe.requests().len(), asked, "walks wait with the timers for an operator");
}

#[tokio::test]
async fn what_went_back_while_no_server_ran_for_months_is_found() {
    const MONTHS: i64 = 40 * 86_400;
    let deaf = deaf().await;
    let (_, payment) = deaf.paid("one").await;
    deaf.pass_seconds(300);
    Reconciliation::default().poll(&deaf.world.app).await;
    let after_months = async || {
        deaf.stripe.take_events();
        deaf.pass_seconds(MONTHS);
        Reconciliation::default().poll(&deaf.world.app).await;
        let by_events = deaf.world.balance().await.0;
        Losses::default().poll(&deaf.world.app).await;
        (by_events, deaf.world.balance().await.0)
    };
    let dispute = deaf.stripe.open_dispute(&payment, 2_500, "needs_response");
    assert_eq!(after_months().await, (2_500_000, 0), "Stripe lists no event of it any more");
    deaf.stripe.set_dispute_status(&dispute, "won");
    assert_eq!(after_months().await, (0, 2_500_000));
    let refund = deaf.stripe.refund_elsewhere(&payment, 1_000);
    assert_eq!(after_months().await, (2_500_000, 1_500_000));
    deaf.stripe.finish_refund(&refund, "failed");
    assert_eq!(after_months().await, (1_500_000, 2_500_000));
}

#[tokio::test]
async fn losses_are_looked_at_daily_and_after_a_fault_within_an_hour() {
    let deaf = deaf().await;
    let (_, payment) = deaf.paid("one").await;
    deaf.pass_seconds(300);
    Reconciliation::default().poll(&deaf.world.app).await;
    let _ = deaf.stripe.open_dispute(&payment, 1_000, "needs_response");
    let mut losses = Losses::default();
    deaf.stripe.fail_next("GET", "/v1/disputes", Fault::ErrorBefore);
    losses.poll(&deaf.world.app).await;
    deaf.pass_seconds(1_800);
    losses.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await.0, 2_500_000);
    deaf.pass_seconds(1_800);
    losses.poll(&deaf.world.app).await;
    assert_eq!((deaf.world.balance().await.0, deaf.reconciled().await), (1_500_000, 2));
    let fetched = deaf.fetched();
    deaf.pass_seconds(86_399);
    losses.poll(&deaf.world.app).await;
    assert_eq!(deaf.fetched(), fetched, "a walk a day");
    deaf.pass_seconds(1);
    losses.poll(&deaf.world.app).await;
    assert!(deaf.fetched() > fetched);
}

#[tokio::test]
async fn a_walk_goes_on_after_faults_and_what_fails_is_tried_again() {
    for fault in [Fault::ErrorBefore, Fault::CutBefore, Fault::GarbledAfter] {
        let deaf = deaf().await;
        deaf.paid("one").await;
        deaf.pass_seconds(61);
        let mut walks = Reconciliation::default();
        for _ in 0..3 {
            deaf.stripe.fail_next("GET", "/v1/events", fault);
        }
        walks.poll(&deaf.world.app).await;
        assert_eq!(deaf.counted("tollkeeper_stripe_walk_failures_total").await, 3, "{fault:?}");
        walks.poll(&deaf.world.app).await;
        assert_eq!(deaf.world.balance().await.0, 0, "Stripe is not asked again at once");
        deaf.stripe.fail_next("GET", "/v1/checkout/sessions", fault);
        deaf.stripe.fail_next("GET", "/v1/payment_intents", fault);
        // The short walk meets the faults, so the longer ones find the payment.
        deaf.pass_seconds(60);
        walks.poll(&deaf.world.app).await;
        assert_eq!(deaf.world.balance().await.0, 2_500_000, "{fault:?}");
    }
    let deaf = deaf().await;
    let mut walks = Reconciliation::default();
    walks.poll(&deaf.world.app).await;
    deaf.paid("one").await;
    deaf.pass_seconds(300);
    deaf.stripe.fail_next("GET", "/v1/checkout/sessions", Fault::CutBefore);
    deaf.stripe.fail_next("GET", "/v1/payment_intents", Fault::CutBefore);
    walks.poll(&deaf.world.app).await;
    assert_eq!(deaf.counted("tollkeeper_stripe_events_failing").await, 2);
    deaf.pass_seconds(300);
    walks.poll(&deaf.world.app).await;
    assert_eq!((deaf.world.balance().await.0, deaf.reconciled().await), (2_500_000, 1));
    assert_eq!(deaf.counted("tollkeeper_stripe_events_failing").await, 0);
}

#[tokio::test]
async fn money_whose_top_up_is_not_there_is_shown_to_an_operator() {
    let deaf = deaf().await;
    deaf.paid("one").await;
    // The directory is lost, and a backup from before the top-up was opened is served.
    let World { app, clock, _dir } = deaf.world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let dir = tempfile::tempdir().expect("a directory can be made");
    let begun = Arc::new(AtomicI64::new(NOW));
    let app = open(dir.path(), &deaf.settings, &begun);
    prepare(&app).await.expect("an empty engine takes prices");
    begun.store(clock.load(Ordering::Relaxed), Ordering::Relaxed);
    let deaf = Deaf { world: World { app: app.into(), clock: begun, _dir: dir }, ..deaf };
    assert_eq!(deaf.world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await.status, 201);

    let mut walks = Reconciliation::default();
    deaf.pass_seconds(300);
    walks.poll(&deaf.world.app).await;
    let unmatched = async || deaf.world.get("/v1/payments/unmatched").await.json()["data"].clone();
    assert_eq!(unmatched().await.as_array().map(Vec::len), Some(0), "it may be under way");
    for _ in 0..26 {
        deaf.pass_seconds(3_600);
        walks.poll(&deaf.world.app).await;
    }
    let noted = unmatched().await;
    assert_eq!(noted.as_array().map(Vec::len), Some(1), "{noted}");
    assert_eq!((&noted[0]["workspace"], &noted[0]["cents"]), (&"acme".into(), &2_500.into()), "{noted}");
    assert_eq!(deaf.world.balance().await, (0, 0));
}

#[tokio::test]
async fn a_rule_that_was_set_anew_is_stopped_by_news_alone() {
    let deaf = deaf().await;
    let (_, payment) = deaf.paid("one").await;
    deaf.save_card_and_rule().await;
    let mut walks = Reconciliation::default();
    let mut found = async |seconds: i64| {
        deaf.pass_seconds(seconds);
        walks.poll(&deaf.world.app).await;
    };
    let dispute = deaf.stripe.open_dispute(&payment, 1_000, "needs_response");
    found(300).await;
    assert_eq!(deaf.rule().await, "disputed");
    deaf.set_rule().await;
    deaf.stripe.set_dispute_status(&dispute, "under_review");
    found(300).await;
    assert_eq!(deaf.rule().await, "runs", "the dispute is known");
    let _ = deaf.stripe.warn_of_fraud(&payment);
    found(300).await;
    assert_eq!(deaf.rule().await, "fraud_warning");
    deaf.set_rule().await;
    found(4 * 86_400).await;
    // A server that starts walks over all of it again.
    Reconciliation::default().poll(&deaf.second()).await;
    assert_eq!(deaf.rule().await, "runs", "both are old");
    let _ = deaf.stripe.open_dispute(&payment, 500, "needs_response");
    found(300).await;
    assert_eq!(deaf.rule().await, "disputed", "it is a new one");
    assert_eq!(deaf.world.balance().await.0, 1_000_000);
}

#[tokio::test]
async fn a_page_that_was_paid_before_months_of_downtime_is_granted() {
    let deaf = deaf().await;
    let (paid, _) = deaf.paid("one").await;
    let left = deaf.world.post(TOP_UPS, "two", BODY).await.id();
    deaf.pass_seconds(91 * 86_400);
    let mut walks = Reconciliation::default();
    walks.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await.0, 0, "Stripe lists 30 days");
    let mut due = DuePayments::default();
    deaf.stripe.fail_next("GET", "/v1/checkout", Fault::CutBefore);
    deaf.stripe.fail_next("GET", "/v1/checkout", Fault::CutBefore);
    due.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await.0, 0);
    deaf.pass_seconds(2);
    due.poll(&deaf.world.app).await;
    assert_eq!(deaf.world.balance().await, (2_500_000, 0));
    assert_eq!([deaf.status(&paid).await, deaf.status(&left).await], ["succeeded", "expired"]);
}

#[tokio::test]
async fn a_server_walks_by_itself() {
    let deaf = deaf().await;
    deaf.paid("one").await;
    deaf.pass_seconds(121);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let workspace = WorkspaceId::new("acme").expect("it is a name");
    let granted = async {
        let is_granted = async || {
            let balance = deaf.world.app.engine().balance(&workspace, None).await.expect("a healthy disk");
            balance.is_some_and(|at| at.balance.available == Micros::new(2_500_000))
        };
        while !is_granted().await {
            tokio::task::yield_now().await;
        }
    };
    let serving = crate::serve(Arc::clone(&deaf.world.app), listener, granted);
    let served = tokio::time::timeout(std::time::Duration::from_secs(60), serving).await;
    served.expect("the credit comes").expect("the engine closes");
}
