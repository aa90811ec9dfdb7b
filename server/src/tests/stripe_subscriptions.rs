//! Subscriptions that Stripe collects, over HTTP, with the stand-in: each period that was paid
//! grants once, also if its webhook events are lost or doubled.

use tollkeeper_engine::{Page, Reads};
use tollkeeper_ledger::{Actor, Command, PaymentCommand, Submission, SubscriptionCommand, WorkspaceId};
use tollkeeper_testkit::stripe::{AfterRetries, Card, Fault, Options, StripeStandIn, Webhook};

use super::stripe_top_ups::stripe_settings;
use super::subscriptions::set_plans;
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::payments::stripe::calls::Marks;
use crate::payments::stripe::calls::subscriptions::{NewSubscription, SUBSCRIPTION};
use crate::payments::stripe::client::CallKey;
use crate::payments::stripe::objects::ObjectId;

pub(super) const PATH: &str = "/v1/workspaces/acme/subscription";
pub(super) const DAY: i64 = 86_400;

/// 2026-01-31T10:00:00Z, where the clock of the stand-in begins.
pub(super) const START: i64 = 1_769_853_600;

/// A server whose subscriptions are collected by the stand-in.
pub(super) struct Plans {
    pub world: World,
    pub stripe: StripeStandIn,
    pub due: DuePayments,
}

pub(super) async fn plans() -> Plans {
    let options =
        Options { after_retries: AfterRetries::PastDue, invoice_lines_page: 1, ..Options::default() };
    let stripe = StripeStandIn::start(options);
    let world = world_of(&stripe_settings(&stripe, &[("tax", "stripe")]), START * 1_000).await;
    set_plans(&world).await;
    Plans { world, stripe, due: DuePayments::default() }
}

impl Plans {
    pub(super) async fn choose(&self, plan: &str) -> Reply {
        self.world.put("PUT", PATH, "", &format!(r#"{{"plan":"{plan}"}}"#)).await
    }

    pub(super) async fn cancel(&self) -> Reply {
        self.world.put("DELETE", PATH, "", "").await
    }

    pub(super) async fn shown(&self) -> Value {
        self.world.get(PATH).await.json()
    }

    pub(super) async fn status(&self) -> String {
        self.shown().await["status"].as_str().expect("it has a status").to_owned()
    }

    pub(super) fn pass_seconds(&self, seconds: i64) {
        self.world.pass_seconds(seconds);
        self.stripe.advance(seconds);
    }

    pub(super) async fn deliver(&self, webhook: &Webhook) -> u16 {
        let headers: Vec<(&str, &str)> =
            webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.world.ask("POST", "/webhooks/stripe", &headers, webhook.body.clone()).await.status
    }

    pub(super) async fn deliver_all(&self) {
        for webhook in self.stripe.take_events() {
            assert_eq!(self.deliver(&webhook).await, 200, "{}", webhook.kind);
        }
    }

    /// Lets days pass on which the server runs.
    pub(super) async fn run_days(&mut self, days: i64) {
        for _ in 0..days {
            self.pass_seconds(DAY);
            self.deliver_all().await;
            self.due.poll(&self.world.app).await;
        }
    }

    pub(super) async fn run_until(&mut self, day: &str) {
        let end: jiff::Timestamp = format!("{day}T10:00:00Z").parse().expect("it is a day");
        let days = (end.as_second() - self.stripe.now()) / DAY;
        self.run_days(days).await;
    }

    /// The open page on which a subscription begins.
    pub(super) fn page(&self) -> String {
        let pages = self.stripe.objects("checkout.session");
        let open = pages.iter().filter(|page| page["status"] == "open");
        let ids: Vec<&str> = open.map(|page| page["id"].as_str().expect("an object has an id")).collect();
        assert_eq!(ids.len(), 1, "one page can be paid");
        ids[0].to_owned()
    }

    /// Starts a plan and pays its first period, of which no webhook event is heard yet.
    pub(super) async fn start(&self, plan: &str) {
        let chosen = self.choose(plan).await;
        assert_eq!(chosen.status, 200, "{}", chosen.text);
        self.stripe.pay_checkout(&self.page(), Card::Good).expect("the card is good");
    }

    pub(super) fn newest(&self, kind: &str) -> Value {
        self.stripe.objects(kind).pop().expect("there is one")
    }

    pub(super) fn id_of_newest(&self, kind: &str) -> String {
        self.newest(kind)["id"].as_str().expect("an object has an id").to_owned()
    }

    pub(super) fn set_card(&self, card: Card) {
        let method = self.newest("subscription")["default_payment_method"].clone();
        self.stripe.set_card(method.as_str().expect("it has a card"), card);
    }

    /// The grants of the subscription, oldest first: day and cause, credit, cents.
    pub(super) async fn grants(&self) -> Vec<(String, i64, i64)> {
        let workspace = WorkspaceId::new("acme").expect("it is a name");
        let page = Page { limit: 200, cursor: None };
        let grants = self.world.app.engine().grants(&workspace, page).await;
        let grants = grants.expect("a healthy disk").expect("it exists").data;
        let line = |grant: tollkeeper_engine::GrantRecord| {
            let origin = grant.origin.expect("a grant of a subscription has an origin");
            let what = origin.splitn(3, ':').nth(2).expect("it names the period").to_owned();
            (what.replace("T10:00:00.000Z", ""), grant.grant.amount.get(), grant.paid_cents)
        };
        grants.into_iter().rev().map(line).collect()
    }

    pub(super) async fn balance(&self) -> i64 {
        self.world.balance().await.0
    }

    pub(super) async fn unmatched(&self) -> usize {
        let listed = self.world.get("/v1/payments/unmatched").await.json();
        listed["data"].as_array().expect("a list has rows").len()
    }

    /// The subscription ends here, and Stripe hears nothing of it.
    pub(super) async fn end_here(&self) {
        let cancel = Command::Payment(PaymentCommand::Subscription(SubscriptionCommand::Cancel));
        let workspace = WorkspaceId::new("acme").expect("it is a name");
        let submission = Submission { workspace, key: None, actor: Actor::System, command: cancel };
        let now = self.world.app.now();
        self.world.app.engine().run(submission, now).await.expect("a healthy disk").expect("it waits");
    }
}

/// Worked out by hand, from a calendar. 2026 and 2027 are common years, 2028 is a leap year.
const TWENTY_SIX_MONTHS: [(&str, i64, i64); 27] = [
    ("2026-01-31:period", 3_000_000, 3_000),
    ("2026-02-28:period", 3_000_000, 3_000),
    ("2026-03-31:period", 3_000_000, 3_000),
    ("2026-04-30:period", 3_000_000, 3_000),
    ("2026-05-31:period", 3_000_000, 3_000),
    // Asked for on 10 June: 20 of 30 days are left. 4,000,000 × 20 ÷ 30 and 3,000 × 20 ÷ 30.
    ("2026-05-31:change-1", 2_666_666, 2_000),
    ("2026-06-30:period", 7_000_000, 6_000),
    ("2026-07-31:period", 7_000_000, 6_000),
    ("2026-08-31:period", 7_000_000, 6_000),
    ("2026-09-30:period", 7_000_000, 6_000),
    // Declined until 20 November.
    ("2026-10-31:period", 7_000_000, 6_000),
    ("2026-11-30:period", 7_000_000, 6_000),
    // The cheaper plan was asked for on 15 December.
    ("2026-12-31:period", 3_000_000, 3_000),
    ("2027-01-31:period", 3_000_000, 3_000),
    ("2027-02-28:period", 3_000_000, 3_000),
    ("2027-03-31:period", 3_000_000, 3_000),
    ("2027-04-30:period", 3_000_000, 3_000),
    ("2027-05-31:period", 3_000_000, 3_000),
    // The server was down from 15 June to 15 September, and every webhook event of it was lost.
    ("2027-06-30:period", 3_000_000, 3_000),
    ("2027-07-31:period", 3_000_000, 3_000),
    ("2027-08-31:period", 3_000_000, 3_000),
    ("2027-09-30:period", 3_000_000, 3_000),
    ("2027-10-31:period", 3_000_000, 3_000),
    ("2027-11-30:period", 3_000_000, 3_000),
    ("2027-12-31:period", 3_000_000, 3_000),
    ("2028-01-31:period", 3_000_000, 3_000),
    ("2028-02-29:period", 3_000_000, 3_000),
];

#[tokio::test]
async fn twenty_six_months_grant_what_was_paid() {
    let mut plans = plans().await;
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.run_until("2026-06-10").await;
    assert_eq!(plans.choose("pro").await.json()["plan"], "pro", "it was paid at once");
    plans.run_until("2026-10-30").await;
    plans.set_card(Card::InsufficientFunds);
    plans.run_until("2026-11-20").await;
    assert_eq!(plans.status().await, "past_due");
    plans.stripe.pay_invoice(&plans.id_of_newest("invoice"), Card::Good).expect("the card is good");
    plans.set_card(Card::Good);
    plans.run_until("2026-12-15").await;
    assert_eq!(plans.choose("basic").await.json()["next_plan"], "basic");
    plans.run_until("2027-06-15").await;
    plans.pass_seconds(92 * DAY);
    drop(plans.stripe.take_events());
    plans.run_until("2028-03-01").await;
    let expected = TWENTY_SIX_MONTHS.map(|(what, credits, cents)| (what.to_owned(), credits, cents));
    assert_eq!(plans.grants().await, expected);
    assert_eq!((plans.unmatched().await, plans.status().await.as_str()), (0, "active"));
}

#[tokio::test]
async fn a_plan_begins_once_its_first_period_is_paid_with_and_without_events() {
    for heard in ["never", "once", "twice", "before"] {
        let mut plans = plans().await;
        plans.stripe.set_tax_basis_points(1_900);
        let chosen = plans.choose("basic").await;
        let shown = chosen.json();
        assert_eq!((chosen.status, &shown["status"]), (200, &"pending".into()), "{shown}");
        assert_eq!(shown["payment"], serde_json::json!({ "provider": "stripe" }));
        let url = shown["checkout_url"].as_str().expect("it can be paid").to_owned();
        assert!(url.contains(&plans.page()), "{url}");
        for again in [plans.choose("basic").await.json(), plans.shown().await] {
            assert_eq!(again["checkout_url"], url.as_str());
        }
        plans.world.post(&format!("{PATH}/confirm"), "k", "").await.problem(422, "invalid_field");
        let asked = plans.stripe.requests().into_iter().find(|it| it.path == "/v1/checkout/sessions");
        let asked = asked.expect("a page was made");
        assert_eq!(asked.parameter("adaptive_pricing[enabled]"), Some("false"), "only dollars are paid");
        plans.stripe.pay_checkout(&plans.page_of(&url), Card::Good).expect("the card is good");
        match heard {
            "never" => {
                plans.pass_seconds(25 * 3_600);
                plans.due.poll(&plans.world.app).await;
            }
            "before" => {
                plans.pass_seconds(5);
                assert_eq!(plans.status().await, "active");
            }
            _ => {
                let events = plans.stripe.take_events();
                for _ in 0..if heard == "twice" { 2 } else { 1 } {
                    for webhook in events.iter().rev() {
                        assert_eq!(plans.deliver(webhook).await, 200, "{}", webhook.kind);
                    }
                }
            }
        }
        plans.deliver_all().await;
        let granted = vec![("2026-01-31:period".to_owned(), 3_000_000, 3_000)];
        assert_eq!(plans.grants().await, granted, "heard {heard}");
        let shown = plans.shown().await;
        assert_eq!((&shown["status"], &shown["checkout_url"]), (&"active".into(), &Value::Null), "{shown}");
        assert_eq!((plans.balance().await, plans.unmatched().await), (3_000_000, 0));
        let report = plans.world.get("/v1/report").await.json();
        let line = &report["revenue"][0];
        assert_eq!((&line["source"], &line["provider"]), (&"subscription".into(), &"stripe".into()));
        assert_eq!((&line["sold_usd"], &line["tax_usd"]), (&"30.00".into(), &"5.70".into()), "{report}");
        assert_eq!(plans.details("subscription.period_paid").await["tax_usd"], "5.70");
    }
}

impl Plans {
    /// The details of the newest entry of a kind.
    async fn details(&self, kind: &str) -> Value {
        let entries = self.world.get("/v1/workspaces/acme/entries").await.json();
        let rows = entries["data"].as_array().expect("a list has rows");
        rows.iter().find(|row| row["kind"] == kind).expect("there is one")["details"].clone()
    }

    fn page_of(&self, url: &str) -> String {
        let pages = self.stripe.objects("checkout.session");
        let page = pages.iter().find(|page| page["url"] == url).expect("the page is there");
        page["id"].as_str().expect("an object has an id").to_owned()
    }
}

#[tokio::test]
async fn an_end_can_be_taken_back_and_comes_with_the_period() {
    let mut plans = plans().await;
    plans.start("basic").await;
    plans.deliver_all().await;
    let canceled = plans.cancel().await.json();
    assert_eq!(
        (&canceled["status"], &canceled["cancels_at"]),
        (&"canceled".into(), &canceled["period"]["end"])
    );
    assert_eq!(plans.newest("subscription")["cancel_at_period_end"], true);
    plans.deliver_all().await;
    assert_eq!(plans.choose("basic").await.json()["status"], "active");
    assert_eq!(plans.newest("subscription")["cancel_at_period_end"], false);
    // Somebody cancels at Stripe's own pages.
    plans.stripe.cancel_in_portal(&plans.id_of_newest("subscription"));
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "canceled");
    plans.run_days(40).await;
    assert_eq!((plans.status().await.as_str(), plans.balance().await), ("ended", 3_000_000));
    assert_eq!(plans.newest("subscription")["status"], "canceled");
    plans.start("pro").await;
    plans.deliver_all().await;
    assert_eq!((plans.status().await.as_str(), plans.balance().await), ("active", 10_000_000));
    // Stripe does not answer: the job tells it later.
    plans.stripe.fail_next("POST", "/v1/subscriptions", Fault::ErrorBefore);
    assert_eq!(plans.cancel().await.json()["status"], "canceled");
    plans.run_days(1).await;
    assert_eq!(plans.newest("subscription")["cancel_at_period_end"], true);
    // An operator ends it at once.
    plans.stripe.end_subscription(&plans.id_of_newest("subscription"));
    plans.deliver_all().await;
    assert_eq!(plans.status().await, "ended");
}

#[tokio::test]
async fn a_surplus_subscription_is_ended_and_paid_back() {
    let mut plans = plans().await;
    plans.choose("basic").await;
    let old = plans.page();
    let url = plans.choose("pro").await.json()["checkout_url"].clone();
    assert_eq!(plans.stripe.object(&old, &[])["status"], "expired", "one page can be paid");
    plans.stripe.pay_checkout(&plans.page(), Card::Good).expect("the card is good");
    plans.deliver_all().await;
    assert_eq!((plans.status().await.as_str(), plans.balance().await), ("active", 7_000_000));
    assert!(url.is_string());
    // It was canceled while it waited, and its page was paid all the same.
    let other = self::plans().await;
    other.choose("basic").await;
    let page = other.page();
    other.stripe.fail_next("POST", "/v1/checkout/sessions", Fault::ErrorBefore);
    other.cancel().await.problem(503, "payment_provider_unavailable");
    other.stripe.pay_checkout(&page, Card::Good).expect("the card is good");
    other.cancel().await;
    assert_eq!(other.status().await, "canceled", "what was paid is granted, and it ends with its period");
    other.deliver_all().await;
    assert_eq!((other.balance().await, other.unmatched().await), (3_000_000, 0));
    // It ended here while nobody could close its page, and its page was paid then.
    let late = self::plans().await;
    late.choose("basic").await;
    late.end_here().await;
    late.stripe.pay_checkout(&late.page(), Card::Good).expect("the card is good");
    for _ in 0..2 {
        let events = late.stripe.take_events();
        for webhook in events.iter().chain(&events) {
            assert_eq!(late.deliver(webhook).await, 200, "{}", webhook.kind);
        }
    }
    assert_eq!((late.balance().await, late.unmatched().await), (0, 1));
    assert_eq!(late.newest("subscription")["status"], "canceled");
    let refunds = late.stripe.objects("refund");
    assert_eq!((refunds.len(), &refunds[0]["amount"]), (1, &3_000.into()));
    plans.run_days(1).await;
}

#[tokio::test]
async fn a_change_that_is_not_paid_is_dropped_and_one_that_is_taken_back_costs_nothing() {
    let mut plans = plans().await;
    plans.start("basic").await;
    plans.deliver_all().await;
    plans.pass_seconds(DAY);
    plans.set_card(Card::InsufficientFunds);
    let waits = plans.choose("pro").await.json();
    assert_eq!((&waits["plan"], &waits["change"]["plan"]), (&"basic".into(), &"pro".into()), "{waits}");
    assert!(plans.newest("subscription")["pending_update"].is_object());
    // The current plan takes it back.
    assert_eq!(plans.choose("basic").await.json()["change"], Value::Null);
    assert_eq!(plans.newest("invoice")["status"], "void");
    assert!(plans.newest("subscription")["pending_update"].is_null());
    plans.deliver_all().await;
    // A cancellation drops it, and Stripe is asked to end with the period.
    plans.choose("pro").await;
    assert_eq!(plans.cancel().await.json()["change"], Value::Null);
    assert_eq!(plans.newest("invoice")["status"], "void");
    assert_eq!(plans.newest("subscription")["cancel_at_period_end"], true);
    assert_eq!(plans.choose("basic").await.json()["status"], "active");
    plans.deliver_all().await;
    // Another one waits until Stripe gives it up.
    plans.choose("pro").await;
    plans.run_days(3).await;
    let shown = plans.shown().await;
    assert_eq!((&shown["plan"], &shown["change"]), (&"basic".into(), &Value::Null), "{shown}");
    assert_eq!(plans.balance().await, 3_000_000);
    // A third one is paid on its page, before its time is over.
    plans.choose("pro").await;
    plans.stripe.pay_invoice(&plans.id_of_newest("invoice"), Card::Good).expect("the card is good");
    plans.deliver_all().await;
    let shown = plans.shown().await;
    assert_eq!((&shown["plan"], &shown["change"]), (&"pro".into(), &Value::Null), "{shown}");
    assert_eq!(plans.unmatched().await, 0);
    let received =
        plans.stripe.objects("payment_intent").iter().filter(|one| one["status"] == "succeeded").count();
    assert_eq!(received, 2, "the first period and the change");
}

#[tokio::test]
async fn a_year_is_paid_at_once_and_granted_month_by_month() {
    let mut plans = plans().await;
    plans.start("year").await;
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 1_000_000);
    plans.run_days(400).await;
    let grants = plans.grants().await;
    assert_eq!(grants.len(), 14, "{grants:?}");
    assert_eq!(grants[12], ("2027-01-31:period".to_owned(), 1_000_000, 833));
    let of_first_year: i64 = grants[..12].iter().map(|(_, _, cents)| cents).sum();
    assert_eq!((of_first_year, plans.unmatched().await), (10_000, 0));
    plans.choose("basic").await.problem(409, "plan_interval_differs");
}

#[tokio::test]
async fn what_another_ledger_sells_is_left_alone() {
    let plans = plans().await;
    plans.choose("basic").await;
    let ours = plans.newest("checkout.session");
    let text = |value: &Value| ObjectId::new(value.as_str().expect("it is an id")).expect("it is an id");
    let (customer, price) = (text(&ours["customer"]), text(&plans.newest("price")["id"]));
    let new = NewSubscription {
        customer: &customer,
        price: &price,
        expires_at: START + 3_600,
        return_url: "https://app.example.com/",
        adds_tax: false,
        marks: Marks { ledger: "other", workspace: "acme", subject: Some((SUBSCRIPTION, "sub_1")) },
    };
    let stripe = plans.world.app.stripe.as_ref().expect("the settings name it");
    let client = stripe.client().expect("it has a key");
    let page = client.open_subscription_page(&new, &CallKey::new("other")).await.expect("it is well").id;
    plans.stripe.pay_checkout(page.as_str(), Card::Good).expect("the card is good");
    plans.deliver_all().await;
    assert_eq!(plans.newest("subscription")["status"], "active");
    assert_eq!((plans.balance().await, plans.unmatched().await), (0, 0));
    assert_eq!(plans.status().await, "pending");
}

#[tokio::test]
async fn a_lost_payment_of_a_period_takes_its_credit_and_a_won_dispute_gives_it_back() {
    let plans = plans().await;
    plans.stripe.set_tax_basis_points(2_000);
    plans.start("basic").await;
    let intent = plans.id_of_newest("payment_intent");
    let back = plans.stripe.refund_elsewhere(&intent, 900);
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 2_250_000, "a quarter went back, with a quarter of the tax");
    let dispute = plans.stripe.open_dispute(&intent, 2_700, "needs_response");
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 0);
    plans.stripe.set_dispute_status(&dispute, "won");
    plans.deliver_all().await;
    assert_eq!(plans.balance().await, 2_250_000);
    plans.stripe.finish_refund(&back, "failed");
    plans.deliver_all().await;
    assert_eq!((plans.balance().await, plans.unmatched().await), (3_000_000, 0));
}

#[tokio::test]
async fn a_fault_at_any_call_starts_one_subscription() {
    for path in ["/v1/customers", "/v1/prices", "/v1/checkout/sessions"] {
        for fault in [
            Fault::ErrorBefore,
            Fault::ErrorAfter,
            Fault::SavedError,
            Fault::SavedErrorAfter,
            Fault::CutBefore,
            Fault::CutAfter,
            Fault::GarbledAfter,
        ] {
            let plans = plans().await;
            plans.stripe.fail_next("POST", path, fault);
            // What was made is found at once after some faults; else the request is repeated.
            let first = plans.choose("basic").await;
            assert!(matches!(first.status, 200 | 503), "{path} {fault:?}: {}", first.text);
            let url = plans.choose("basic").await.json()["checkout_url"].clone();
            let url = url.as_str().unwrap_or_else(|| panic!("{path} {fault:?}"));
            plans.stripe.pay_checkout(&plans.page_of(url), Card::Good).expect("the card is good");
            plans.deliver_all().await;
            assert_eq!((plans.balance().await, plans.unmatched().await), (3_000_000, 0), "{path} {fault:?}");
            assert_eq!(plans.stripe.objects("price").len(), 1, "{path} {fault:?}");
        }
    }
}
