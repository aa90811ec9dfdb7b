//! Top-ups that are paid on a page of Stripe's, over HTTP, with the stand-in. Each fault on the way
//! is tried: credit comes once, for money and for nothing else.

use futures_util::future::join_all;
use tollkeeper_testkit::stripe::{Card, Fault, Options, StripeStandIn};

use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;

const PATH: &str = "/v1/workspaces/acme/top-ups";
const BODY: &str = r#"{"amount_usd":"25.00","return_url":"https://app.example.com/billing"}"#;

/// A server that takes payments with Stripe, and the stand-in.
pub(super) struct Paid {
    pub(super) world: World,
    pub(super) stripe: StripeStandIn,
}

/// The settings of a server that takes payments with the stand-in, and more of them.
pub(super) fn stripe_settings(stripe: &StripeStandIn, more: &[(&str, &str)]) -> Settings {
    let mut settings = settings();
    let all = [
        ("payments", "stripe"),
        ("stripe_api_key", "rk_test_standin"),
        ("stripe_webhook_secrets", "whsec_standin"),
        ("stripe_api_base", stripe.base_url()),
    ];
    for (name, value) in all.iter().chain(more) {
        settings.payments.set(name, value).unwrap_or_else(|| panic!("{name} is a setting"));
    }
    settings
}

pub(super) async fn paid_world() -> Paid {
    let stripe = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
    let world = world_of(&stripe_settings(&stripe, &[("tax", "stripe")]), NOW).await;
    Paid { world, stripe }
}

impl Paid {
    pub(super) async fn top_up(&self, id: &str) -> Value {
        self.world.get(&format!("{PATH}/{id}")).await.json()
    }

    pub(super) fn pass_seconds(&self, seconds: i64) {
        self.world.pass_seconds(seconds);
        self.stripe.advance(seconds);
    }

    /// The id of the only page that was made.
    pub(super) fn page(&self) -> String {
        let pages = self.stripe.objects("checkout.session");
        assert_eq!(pages.len(), 1, "one top-up makes one page");
        pages[0]["id"].as_str().expect("an object has an id").to_owned()
    }

    /// Delivers every webhook event that waits; each must be answered with 200.
    pub(super) async fn deliver_all(&self) {
        for webhook in self.stripe.take_events() {
            let headers: Vec<(&str, &str)> =
                webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let reply = self.world.ask("POST", "/webhooks/stripe", &headers, webhook.body.clone()).await;
            assert_eq!(reply.status, 200, "{}: {}", webhook.kind, reply.text);
        }
    }

    pub(super) fn posts(&self, path: &str) -> usize {
        let requests = self.stripe.requests();
        requests.iter().filter(|request| request.method == "POST" && request.path == path).count()
    }
}

#[tokio::test]
async fn a_top_up_is_paid_on_a_page_and_granted_once_without_its_tax() {
    let paid = paid_world().await;
    paid.stripe.set_tax_basis_points(1_900);
    let opened = paid.world.post(PATH, "one", BODY).await;
    let shown = opened.json();
    assert_eq!((opened.status, &shown["status"]), (201, &"pending".into()), "{shown}");
    assert_eq!(shown["payment"]["provider"], "stripe");
    assert_eq!(shown["payment"]["way"], "checkout");
    let url = shown["payment"]["checkout_url"].as_str().expect("it can be paid").to_owned();
    assert!(url.contains(&paid.page()), "{url}");
    let id = opened.id();
    let page = paid.stripe.object(&paid.page(), &[]);
    assert_eq!(
        (&page["client_reference_id"], &page["metadata"]["workspace"]),
        (&id.as_str().into(), &"acme".into())
    );
    assert_eq!(page["success_url"], "https://app.example.com/billing");

    let again = paid.world.post(PATH, "one", BODY).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(again.json(), shown);
    assert_eq!((paid.posts("/v1/customers"), paid.posts("/v1/checkout/sessions")), (1, 1));
    assert_eq!(paid.top_up(&id).await["payment"]["checkout_url"], url.as_str());
    paid.world.post(&format!("{PATH}/{id}/confirm"), "", "").await.problem(422, "invalid_field");
    assert_eq!(paid.world.balance().await, (0, 0));

    paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
    paid.pass_seconds(5);
    let granted = paid.top_up(&id).await;
    assert_eq!(
        (&granted["status"], &granted["payment"]["checkout_url"]),
        (&"succeeded".into(), &Value::Null)
    );
    assert_eq!(paid.world.balance().await, (2_500_000, 0));
    assert_eq!(granted["receipt_url"], Value::Null, "it was not asked for yet");
    paid.pass_seconds(5);
    let asked = paid.stripe.requests().len();
    for _ in 0..2 {
        let receipt = paid.top_up(&id).await["receipt_url"].clone();
        assert!(receipt.as_str().is_some_and(|url| url.contains("/receipts/ch_")), "{receipt}");
    }
    assert_eq!(paid.stripe.requests().len(), asked + 1, "Stripe is asked once in five seconds");
    paid.pass_seconds(5);
    paid.stripe.fail_next("GET", "/v1/payment_intents", Fault::ErrorBefore);
    assert_eq!(paid.top_up(&id).await, granted, "without Stripe there is no receipt");
    let entries = paid.world.get("/v1/workspaces/acme/entries").await.json();
    assert_eq!(entries["data"][0]["details"]["tax_usd"], "4.75");
    let late = paid.world.post(PATH, "one", BODY).await;
    assert_eq!((late.status, &late.json()["status"]), (201, &"succeeded".into()));
}

#[tokio::test]
async fn stripe_is_asked_about_a_top_up_once_in_five_seconds() {
    let paid = paid_world().await;
    let id = paid.world.post(PATH, "one", BODY).await.id();
    let asked = || paid.stripe.requests().iter().filter(|request| request.method == "GET").count();
    let before = asked();
    for _ in 0..3 {
        assert!(paid.top_up(&id).await["payment"]["checkout_url"].is_string());
    }
    assert_eq!(asked(), before + 1);
    paid.pass_seconds(5);
    paid.top_up(&id).await;
    assert_eq!(asked(), before + 2);
    paid.stripe.fail_next("GET", "/v1/checkout", Fault::ErrorBefore);
    paid.pass_seconds(5);
    let known = paid.top_up(&id).await;
    assert_eq!((&known["status"], &known["payment"]["checkout_url"]), (&"pending".into(), &Value::Null));
}

#[tokio::test]
async fn readers_at_once_ask_stripe_once() {
    let paid = paid_world().await;
    let id = paid.world.post(PATH, "one", BODY).await.id();
    let asked = || paid.stripe.requests().iter().filter(|request| request.method == "GET").count();
    let read_at_once = async || join_all((0..16).map(|_| paid.top_up(&id))).await;
    let before = asked();
    for shown in read_at_once().await {
        assert!(shown["payment"]["checkout_url"].is_string(), "all wait for the answer: {shown}");
    }
    assert_eq!(asked(), before + 1);
    paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
    paid.deliver_all().await;
    let before = asked();
    for shown in read_at_once().await {
        assert!(shown["receipt_url"].is_string(), "{shown}");
    }
    assert_eq!(asked(), before + 1, "the receipt is asked for once");
    // A page that was paid unheard is fetched, and fetched again to be observed.
    let other = paid_world().await;
    let id = other.world.post(PATH, "one", BODY).await.id();
    other.stripe.pay_checkout(&other.page(), Card::Good).expect("the card is good");
    let before = other.stripe.requests().len();
    for shown in join_all((0..16).map(|_| other.top_up(&id))).await {
        assert_eq!(shown["status"], "succeeded", "{shown}");
    }
    assert_eq!(other.stripe.requests().len(), before + 2);
    assert_eq!(other.world.balance().await, (2_500_000, 0));
}

#[tokio::test]
async fn a_call_that_goes_wrong_leaves_the_top_up_pending_and_its_repetition_makes_one_page() {
    for path in ["/v1/customers", "/v1/checkout/sessions"] {
        for fault in [
            Fault::ErrorBefore,
            Fault::ErrorAfter,
            Fault::SavedErrorAfter,
            Fault::CutBefore,
            Fault::CutAfter,
            Fault::GarbledAfter,
        ] {
            // A customer moves no money: what a saved error left is not found, and never used.
            let is_lost = path == "/v1/customers" && fault == Fault::SavedErrorAfter;
            let paid = paid_world().await;
            paid.stripe.fail_next("POST", path, fault);
            let answer = paid.world.post(PATH, "one", BODY).await;
            if answer.status != 201 {
                answer.problem(503, "payment_provider_unavailable");
            }
            let listed = paid.world.get(PATH).await.json();
            assert_eq!(listed["data"][0]["status"], "pending", "{path} {fault:?}");
            let again = paid.world.post(PATH, "one", BODY).await;
            assert_eq!(again.status, 201, "{path} {fault:?}: {}", again.text);
            assert!(again.json()["payment"]["checkout_url"].is_string(), "{path} {fault:?}: {}", again.text);
            let customers = paid.stripe.objects("customer").len();
            assert_eq!(customers, 1 + usize::from(is_lost), "{path} {fault:?}");
            paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
            paid.pass_seconds(5);
            assert_eq!(paid.top_up(&again.id()).await["status"], "succeeded");
            assert_eq!(paid.world.balance().await, (2_500_000, 0), "{path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_error_that_is_saved_for_the_key_begins_the_call_anew() {
    let paid = paid_world().await;
    paid.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::SavedError);
    paid.world.post(PATH, "one", BODY).await.problem(503, "payment_provider_unavailable");
    let again = paid.world.post(PATH, "one", BODY).await;
    assert_eq!(again.status, 201, "{}", again.text);
    let requests = paid.stripe.requests();
    let keys = requests.iter().filter(|request| request.path == "/v1/checkout/sessions");
    let keys: Vec<_> = keys.filter_map(|request| request.idempotency_key()).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys[0].ends_with(":0") && keys[1].ends_with(":1"), "{keys:?}");
    let entries = paid.world.get("/v1/workspaces/acme/entries").await.json();
    let kinds: Vec<_> = entries["data"].as_array().expect("a list").iter().map(|row| &row["kind"]).collect();
    assert_eq!(kinds[..4], ["top_up.placed", "call.renewed", "customer.linked", "top_up.opened"]);
}

#[tokio::test]
async fn a_page_that_nobody_knows_is_given_up_and_still_grants_if_it_is_paid() {
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        let paid = paid_world().await;
        paid.stripe.fail_next("POST", "/v1/checkout/sessions", fault);
        paid.world.post(PATH, "one", BODY).await.problem(503, "payment_provider_unavailable");
        let mut job = DuePayments::default();
        job.poll(&paid.world.app).await;
        let listed = async || paid.world.get(PATH).await.json()["data"][0].clone();
        assert_eq!(listed().await["status"], "pending");
        paid.pass_seconds(20 * 3_600);
        if fault == Fault::CutAfter {
            job.poll(&paid.world.app).await;
        }
        let late = paid.world.post(PATH, "one", BODY).await;
        assert_eq!((late.status, &late.json()["failure"]), (201, &"not_paid".into()), "{}", late.text);
        assert_eq!(listed().await["status"], "failed");
        assert_eq!(paid.posts("/v1/checkout/sessions"), 1, "an old key is not sent again");
        if fault == Fault::CutAfter {
            paid.stripe.pay_checkout(&paid.page(), Card::Good).expect("the card is good");
            paid.deliver_all().await;
            assert_eq!(paid.world.balance().await, (2_500_000, 0));
        }
    }
}

#[tokio::test]
async fn a_page_that_expires_or_is_declined_grants_nothing() {
    let paid = paid_world().await;
    let id = paid.world.post(PATH, "one", BODY).await.id();
    assert!(paid.stripe.pay_checkout(&paid.page(), Card::InsufficientFunds).is_err());
    paid.pass_seconds(5);
    let declined = paid.top_up(&id).await;
    assert_eq!(declined["status"], "pending", "the payer may try another card");
    assert!(declined["payment"]["checkout_url"].is_string());
    paid.pass_seconds(24 * 3_600);
    let expired = paid.top_up(&id).await;
    assert_eq!((&expired["status"], &expired["failure"]), (&"expired".into(), &Value::Null));
    assert_eq!(paid.world.balance().await, (0, 0));
}

#[tokio::test]
async fn a_top_up_whose_customer_was_deleted_after_a_lost_answer_gets_another_page() {
    let paid = paid_world().await;
    paid.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::CutAfter);
    paid.world.post(PATH, "one", BODY).await.problem(503, "payment_provider_unavailable");
    let customer = paid.stripe.objects("customer")[0]["id"].clone();
    paid.stripe.delete_customer(customer.as_str().expect("an object has an id"));
    let again = paid.world.post(PATH, "one", BODY).await;
    assert_eq!(again.status, 201, "{}", again.text);
    let shown = again.json();
    let url = shown["payment"]["checkout_url"].as_str().expect("it can be paid");
    let (_, page) = url.rsplit_once('/').expect("an address has a path");
    paid.stripe.pay_checkout(page, Card::Good).expect("the card is good");
    paid.pass_seconds(5);
    assert_eq!(paid.top_up(&again.id()).await["status"], "succeeded");
    assert_eq!(paid.world.balance().await, (2_500_000, 0));
}

#[tokio::test]
async fn another_way_back_under_the_same_key_is_refused() {
    let paid = paid_world().await;
    paid.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::CutAfter);
    paid.world.post(PATH, "one", BODY).await.problem(503, "payment_provider_unavailable");
    let other = r#"{"amount_usd":"25.00","return_url":"https://other.example.com/"}"#;
    let refused = paid.world.post(PATH, "one", other).await.problem(422, "idempotency_key_reused");
    assert_eq!(refused["field"], "return_url");
    assert_eq!(paid.world.post(PATH, "one", BODY).await.status, 201);
}

#[tokio::test]
async fn a_request_that_stripe_refuses_fails_the_top_up() {
    let paid = paid_world().await;
    // The clock of this server is two days behind, so the page would have expired already.
    paid.stripe.advance(2 * 86_400);
    let opened = paid.world.post(PATH, "one", BODY).await;
    let shown = opened.json();
    assert_eq!((opened.status, &shown["status"]), (201, &"failed".into()), "{shown}");
    assert_eq!(shown["failure"], "refused_by_provider");
}

#[tokio::test]
async fn an_error_that_is_saved_for_its_key_does_not_block_the_portal() {
    const PORTAL: &str = "/v1/workspaces/acme/billing-portal";
    const CONFIGURATIONS: &str = "/v1/billing_portal/configurations";
    for (fault, made) in
        [(Fault::ErrorBefore, 1), (Fault::ErrorAfter, 1), (Fault::SavedError, 1), (Fault::SavedErrorAfter, 2)]
    {
        let paid = paid_world().await;
        paid.stripe.fail_next("POST", CONFIGURATIONS, fault);
        let opened = paid.world.post(PORTAL, "", "").await;
        assert_eq!(opened.status, 200, "{fault:?}: {}", opened.text);
        assert_eq!(paid.stripe.objects("billing_portal.configuration").len(), made, "{fault:?}");
        let requests = paid.stripe.requests();
        let keys =
            requests.iter().filter(|request| request.method == "POST" && request.path == CONFIGURATIONS);
        let keys: Vec<_> = keys.filter_map(|request| request.idempotency_key()).collect();
        assert_eq!(keys[0], keys[1], "{fault:?}: the same call first");
        let is_anew = matches!(fault, Fault::SavedError | Fault::SavedErrorAfter);
        assert_eq!(keys.get(2).is_some_and(|key| *key != keys[0]), is_anew, "{fault:?}");
        assert_eq!(paid.world.post(PORTAL, "", "").await.status, 200, "{fault:?}");
    }
    // What lasts is an error, and is over with its cause.
    let paid = paid_world().await;
    (0..3).for_each(|_| paid.stripe.fail_next("POST", CONFIGURATIONS, Fault::ErrorBefore));
    paid.world.post(PORTAL, "", "").await.problem(503, "payment_provider_unavailable");
    assert_eq!(paid.world.post(PORTAL, "", "").await.status, 200);
    assert_eq!(paid.stripe.objects("billing_portal.configuration").len(), 1);
}

#[tokio::test]
async fn pages_for_cards_and_invoices_are_made_for_one_customer() {
    let paid = paid_world().await;
    let card = paid.world.post("/v1/workspaces/acme/payment-method", "", "{}").await;
    assert_eq!(card.status, 200, "{}", card.text);
    assert!(card.json()["url"].as_str().is_some_and(|url| url.contains(&paid.page())));
    let back = paid.stripe.object(&paid.page(), &[])["success_url"].clone();
    assert_eq!(back, "https://shop.example/acme/credits");
    for _ in 0..2 {
        let portal = paid.world.post("/v1/workspaces/acme/billing-portal", "", "").await;
        assert!(portal.json()["url"].is_string(), "{}", portal.text);
    }
    assert_eq!(paid.stripe.objects("billing_portal.configuration").len(), 1);
    assert_eq!(paid.stripe.objects("customer").len(), 1);
    paid.world.post("/v1/workspaces/none/billing-portal", "", "").await.problem(404, "workspace_not_found");
    let world = world().await;
    for path in ["payment-method", "billing-portal"] {
        world.post(&format!("/v1/workspaces/acme/{path}"), "", "").await.problem(404, "not_found");
    }
}
