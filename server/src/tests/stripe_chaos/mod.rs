//! The proof of the payments: servers are led through bad days with Stripe, and at the end their
//! books must be those of Stripe.
//!
//! ```text
//! books         the comparison of what the stand-in received and lost with what the ledger holds
//! plan_books    the same of invoices and subscriptions
//! histories     random days: payers, banks, faults, lost and doubled webhooks, restarts, sleep
//! deaths        servers that die in the middle of their work, in them
//! plan_actions  what people do with plans in them
//! flows         one fault at each request of each flow, all of them
//! plan_flows    the flows of plans
//! servers       servers over a directory, and two of them on one database
//! secrets       what must be found nowhere
//! ```
//!
//! Every check is made after the end of all faults, when all that is repeated was repeated. A
//! normal run is short. With `TOLLKEEPER_LONG_TESTS=1` everything runs, with `TOLLKEEPER_SEEDS=N`
//! the first N histories, with `TOLLKEEPER_SEED=N` this one, which is printed, and with
//! `TOLLKEEPER_FLOW=text` the runs whose names hold the text.

mod books;
mod deaths;
mod flows;
mod histories;
mod plan_actions;
mod plan_books;
mod plan_flows;
mod secrets;
mod servers;

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tollkeeper_testkit::stripe::{AfterRetries, Options, StripeStandIn, Webhook};

use self::servers::{Jobs, Place};
use super::stripe_top_ups::stripe_settings;
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;
use crate::payments::stripe::provider::ledger_name;
use crate::payments::stripe::settings::Times;

/// How long an answer is waited for where requests hang. Others come within milliseconds.
const HANGING: Duration = Duration::from_millis(600);

/// How many servers run side by side. Most of the time they wait for what hangs.
const AT_ONCE: usize = 6;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The plans: id, price in dollars, credit of a month in micro-units, interval.
const PLANS: [(&str, &str, i64, &str); 6] = [
    ("basic", "30.00", 3_000_000, "month"),
    ("pro", "60.00", 7_000_000, "month"),
    ("max", "199.99", 25_000_000, "month"),
    ("year", "100.00", 1_000_000, "year"),
    ("decade", "250.00", 2_500_001, "year"),
    ("free", "0.00", 100_000, "month"),
];

/// True if tests run everything that they know, not what is worth its time every day.
fn is_long() -> bool {
    std::env::var_os("TOLLKEEPER_LONG_TESTS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The texts of answers.
type Answers = RefCell<Vec<String>>;

/// A server that takes payments by the stand-in, and what it needs to start again.
struct Shop {
    world: World,
    stripe: StripeStandIn,
    settings: Settings,
    jobs: Jobs,
    place: Place,
    /// The texts of all answers, if they are kept.
    answers: Option<Answers>,
    /// How many requests and events at the stand-in were printed, if they are.
    printed: Option<Cell<(usize, usize)>>,
}

impl Shop {
    /// Servers with plans and without workspaces, which wait so long for an answer of Stripe. What
    /// follows if a renewal is not paid is a setting of the account at Stripe.
    async fn open(answer: Duration, after_retries: AfterRetries, mut place: Place) -> Shop {
        let options = Options { now: NOW / 1_000, after_retries, ..Options::default() };
        let stripe = StripeStandIn::start(options);
        let mut settings = stripe_settings(&stripe, &[("tax", "stripe")]);
        let times = Times { answer, first_pause: Duration::from_millis(1), ..Times::default() };
        settings.payments.stripe.times = times;
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let dir = tempfile::tempdir_in(parent).expect("a directory can be made");
        let clock = Arc::new(AtomicI64::new(NOW));
        let app = place.open(dir.path(), &settings, &clock).await;
        prepare(&app).await.expect("an empty engine takes prices");
        let world = World { app: app.into(), clock, _dir: dir };
        let plans = PLANS.map(|(id, usd, credits, interval)| {
            format!(
                r#"{{"id":"{id}","name":"{id}","price_usd":"{usd}","credits":{credits},"interval":"{interval}"}}"#
            )
        });
        let set = world.put("PUT", "/v1/plans", "", &format!(r#"{{"plans":[{}]}}"#, plans.join(","))).await;
        assert_eq!(set.status, 200, "{}", set.text);
        place.open_other(world._dir.path(), &settings, &world.clock).await;
        Shop { world, stripe, settings, jobs: Jobs::default(), place, answers: None, printed: None }
    }

    /// The server ends and starts again from what it has kept.
    async fn restart(self) -> Shop {
        self.world.app.engine().close().await.expect("the engine closes");
        let Shop { world: World { app, clock, _dir }, settings, .. } = self;
        // A directory has one server at a time.
        drop(app);
        let app = self.place.open(_dir.path(), &settings, &clock).await;
        Shop { world: World { app: app.into(), clock, _dir }, settings, jobs: Jobs::default(), ..self }
    }

    /// Prints what happened since the last time, for a person who looks for a fault.
    fn tell(&self, what: &str) {
        let Some(printed) = &self.printed else { return };
        let (requests, events) = (self.stripe.requests(), self.stripe.objects("event"));
        for it in requests.iter().skip(printed.get().0) {
            let (method, path, status, fault) = (&it.method, &it.path, it.status, it.fault);
            println!("    {method} {path} {status:?} {fault:?} {:?}", it.form);
        }
        for event in events.iter().skip(printed.get().1) {
            let object = text(&event["data"]["object"], "id");
            println!("  {} {object} at {}", text(event, "type"), int(event, "created"));
        }
        printed.set((requests.len(), events.len()));
        println!("{what} at {}", self.stripe.now());
    }

    /// Sends a request with the platform key. No answer is an error of ours.
    async fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> Reply {
        let reply = self.world.put(method, path, key, body).await;
        assert_ne!(reply.status, 500, "{method} {path} {body}: {}", reply.text);
        self.tell(&format!("{method} {path} {body}: {} {}", reply.status, reply.text));
        if let Some(answers) = &self.answers {
            answers.borrow_mut().push(reply.text.clone());
        }
        reply
    }

    async fn add_workspace(&self, name: &str) {
        let body = format!(r#"{{"id":"{name}","name":"{name}"}}"#);
        assert_eq!(self.ask("POST", "/v1/workspaces", "", &body).await.status, 201);
    }

    fn pass_seconds(&self, seconds: i64) {
        self.stripe.advance(seconds);
        self.world.pass_seconds(seconds);
    }

    async fn hear(&self, webhook: &Webhook) -> u16 {
        let headers: Vec<(&str, &str)> =
            webhook.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reply = self.world.ask("POST", "/webhooks/stripe", &headers, webhook.body.clone()).await;
        assert!(matches!(reply.status, 200 | 503), "{}: {}", webhook.kind, reply.text);
        if let Some(answers) = &self.answers {
            answers.borrow_mut().push(reply.text);
        }
        reply.status
    }

    /// Sends every webhook that is due.
    async fn deliver_due(&self) {
        self.stripe.deliver_due_to(async |webhook| self.hear(&webhook).await).await;
        self.tell("webhooks");
    }

    async fn poll(&self) {
        self.jobs.poll(&self.world.app).await;
        self.tell("due work");
    }

    async fn walk(&self) {
        self.jobs.walk(&self.world.app).await;
        self.tell("a walk");
    }

    /// Ends all faults, and lets everything that repeats itself do so.
    async fn settle(&self) {
        self.stripe.clear_faults();
        self.stripe.treat_webhooks_well();
        self.stripe.release_hanging();
        self.stripe.set_list_lag(0);
        for payment in self.stripe.objects("payment_intent") {
            if payment["status"] == "processing" {
                let succeeds = payment["amount"].as_i64().is_some_and(|cents| cents % 2 == 0);
                self.stripe.settle_delayed(payment["id"].as_str().expect("an object has an id"), succeeds);
            }
        }
        self.stripe.set_refund_status("succeeded");
        for refund in self.stripe.objects("refund") {
            if refund["status"] == "pending" || refund["status"] == "requires_action" {
                self.stripe.finish_refund(text(&refund, "id"), "succeeded");
            }
        }
        for hours in [0, 1, 1, 2, 4, 8, 24, 24, 24] {
            self.pass_seconds(hours * HOUR);
            self.deliver_due().await;
            // What is absent is looked for again some minutes later, and then begun anew.
            for _ in 0..3 {
                self.poll().await;
                self.pass_seconds(150);
            }
        }
        self.deliver_due().await;
    }

    /// Lets all be heard that is on its way, while no time passes that brings anything new.
    async fn listen(&self) {
        for _ in 0..3 {
            self.deliver_due().await;
            self.poll().await;
            self.pass_seconds(10);
        }
    }

    fn ledger(&self) -> String {
        ledger_name(&self.world.app.engine().platform())
    }
}

/// Runs a test case; returns its name if it panics, so that the others go on.
async fn named<T>(name: String, case: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(case).catch_unwind().await.map_err(|_| name)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}
