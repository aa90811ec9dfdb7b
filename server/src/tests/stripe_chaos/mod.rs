//! The proof of the payments: servers are led through bad days with Stripe, and at the end their
//! books must be those of Stripe.
//!
//! ```text
//! books      the comparison: what Stripe's stand-in received and lost, and what the ledger holds
//! histories  random days: payers, banks, faults, lost and doubled webhooks, restarts, sleep
//! flows      one fault at each request of each flow, all of them
//! secrets    what must be found nowhere
//! ```
//!
//! Every check is made after the end of all faults, when all that is repeated was repeated. A
//! normal run is short. With `TOLLKEEPER_LONG_TESTS=1` everything runs, with `TOLLKEEPER_SEEDS=N`
//! the first N histories, with `TOLLKEEPER_SEED=N` this one.

mod books;
mod flows;
mod histories;
mod secrets;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use tollkeeper_testkit::stripe::{Options, StripeStandIn, Webhook};

use super::stripe_top_ups::stripe_settings;
use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::jobs::reconciliation::Reconciliation;
use crate::payments::stripe::provider::ledger_name;
use crate::payments::stripe::settings::Times;

/// How long an answer is waited for where requests hang. Others come within milliseconds.
const HANGING: Duration = Duration::from_millis(150);

/// How many servers run side by side. Most of the time they wait for what hangs.
const AT_ONCE: usize = 6;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

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
    due: RefCell<DuePayments>,
    walks: RefCell<Reconciliation>,
    /// The texts of all answers, if they are kept.
    answers: Option<Answers>,
}

impl Shop {
    /// A server without workspaces, which waits so long for an answer of Stripe.
    async fn open(answer: Duration) -> Shop {
        let stripe = StripeStandIn::start(Options { now: NOW / 1_000, ..Options::default() });
        let mut settings = stripe_settings(&stripe, &[("tax", "stripe")]);
        let times = Times { answer, first_pause: Duration::from_millis(1), ..Times::default() };
        settings.payments.stripe.times = times;
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let dir = tempfile::tempdir_in(parent).expect("a directory can be made");
        let clock = Arc::new(AtomicI64::new(NOW));
        let app = super::open(dir.path(), &settings, &clock);
        prepare(&app).await.expect("an empty engine takes prices");
        let world = World { app, clock, _dir: dir };
        Shop::of(world, stripe, settings, None)
    }

    /// The server ends and starts again from its directory.
    async fn restart(self) -> Shop {
        let Shop { world: World { app, clock, _dir }, stripe, settings, due: _, walks: _, answers } = self;
        app.engine().close().await.expect("the engine closes");
        drop(app);
        let app = super::open(_dir.path(), &settings, &clock);
        let world = World { app, clock, _dir };
        Shop::of(world, stripe, settings, answers)
    }

    fn of(world: World, stripe: StripeStandIn, settings: Settings, answers: Option<Answers>) -> Shop {
        Shop { world, stripe, settings, due: RefCell::default(), walks: RefCell::default(), answers }
    }

    /// Sends a request with the platform key. No answer is an error of ours.
    async fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> Reply {
        let reply = self.world.put(method, path, key, body).await;
        assert_ne!(reply.status, 500, "{method} {path} {body}: {}", reply.text);
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
    }

    async fn poll(&self) {
        // A job of its own for the time of the poll: no borrow is held while it waits.
        let mut due = self.due.take();
        due.poll(&self.world.app).await;
        self.due.replace(due);
    }

    /// Walks over the events of Stripe, of which some were lost on the way.
    async fn walk(&self) {
        let mut walks = self.walks.take();
        walks.poll(&self.world.app).await;
        self.walks.replace(walks);
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

    fn ledger(&self) -> String {
        ledger_name(&self.world.app.engine().platform())
    }
}

/// Runs a test case; a panic in it is preceded by its name.
async fn named<T>(name: &str, case: impl Future<Output = T>) -> T {
    match AssertUnwindSafe(case).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            eprintln!("{name} failed");
            resume_unwind(panic)
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}
