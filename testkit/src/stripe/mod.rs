//! A stateful stand-in for Stripe: an HTTP server on this machine with a clock of its own.
//!
//! A test starts it, gives its address to the program under test, and plays the payer, the banks
//! and the passage of time by the methods of [`StripeStandIn`]. It answers in the shapes of API
//! version 2026-10-28.endive; the official SDK drives every endpoint of it and its payloads are
//! checked against the official types (`testkit/partners`).
//!
//! ```text
//! http           the server; faults on the way     router      method and path to an endpoint
//! world          the state behind one mutex        params      bracketed forms
//! lists          pages, filters, lag               error       Stripe's errors
//! idempotency    keys, kept for a day              recorded    every request, for assertions
//! faults         what goes wrong, and when         clock       what becomes due
//! cards          test cards and their declines
//! customers payment_methods intents setup catalog checkout subscriptions changes billing
//! invoices refunds disputes portal events          one kind of object each
//! webhooks       signatures, queue, retries        controls    what a test does
//! shapes/        each object with all its fields and their defaults, as JSON
//! ```
//!
//! One currency (USD), one item per subscription, one line per session. What it does not know, it
//! refuses with 400 and a message that begins with "The stand-in". Renewals follow Stripe: a draft
//! invoice for an hour, then an attempt, then three more after 3, 5 and 7 days. Coupons are a
//! control of a test. Not here: bank transfers, test clocks, Connect, and the permissions of
//! restricted keys.

mod billing;
mod cards;
mod catalog;
mod changes;
mod checkout;
mod clock;
mod controls;
mod customers;
mod disputes;
mod error;
mod events;
mod faults;
mod http;
mod idempotency;
mod intents;
mod invoices;
mod lists;
mod params;
mod payment_methods;
mod periods;
mod portal;
mod recorded;
mod refunds;
mod router;
mod setup;
mod subscriptions;
#[cfg(test)]
mod tests;
mod webhooks;
mod world;

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::retry::retry_for;

pub use cards::{Card, Decline};
pub use faults::Fault;
pub use recorded::RecordedRequest;
pub use webhooks::{Delivered, Disorder, Webhook};

use http::{Server, Shared};
use world::World;

/// The API version that the stand-in speaks.
pub const API_VERSION: &str = "2026-10-28.endive";

/// What becomes of a subscription whose renewal is not paid after all retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRetries {
    /// It is canceled.
    Cancel,
    /// It becomes `unpaid`, and its next invoices stay drafts.
    Unpaid,
    /// It stays `past_due`, and each period is invoiced.
    PastDue,
}

/// How the stand-in begins.
#[derive(Debug, Clone)]
pub struct Options {
    /// The clock at the start, in seconds since 1970.
    pub now: i64,
    /// The API keys that are accepted.
    pub api_keys: Vec<String>,
    /// The version that `Stripe-Version` must name.
    pub api_version: String,
    /// The version that events carry: the endpoint of a merchant is often pinned to an old one.
    pub event_api_version: String,
    /// The secrets that sign webhooks.
    pub webhook_secrets: Vec<String>,
    /// The mode that every object and event shows.
    pub livemode: bool,
    /// How many lines an invoice shows before `has_more`.
    pub invoice_lines_page: usize,
    /// What follows the last retry of a renewal.
    pub after_retries: AfterRetries,
    /// A part of every id, so that two stand-ins give different ones.
    pub id_salt: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            // 2026-01-31 10:00:00 UTC: the last day of a month.
            now: 1_769_853_600,
            api_keys: vec!["sk_test_standin".to_owned(), "rk_test_standin".to_owned()],
            api_version: API_VERSION.to_owned(),
            event_api_version: API_VERSION.to_owned(),
            webhook_secrets: vec!["whsec_standin".to_owned()],
            livemode: false,
            invoice_lines_page: 10,
            after_retries: AfterRetries::Cancel,
            id_salt: "standin".to_owned(),
        }
    }
}

/// The running stand-in. It stops when it is dropped.
#[derive(Debug)]
pub struct StripeStandIn {
    shared: Arc<Shared>,
    base_url: String,
    _server: Server,
}

impl StripeStandIn {
    /// Starts the server on a free port of this machine.
    #[must_use]
    pub fn start(options: Options) -> StripeStandIn {
        let (address, listener) = http::bind();
        let base_url = format!("http://{address}");
        let shared = Arc::new(Shared::new(World::new(options, base_url.clone())));
        let server = http::start(listener, Arc::clone(&shared));
        StripeStandIn { shared, base_url, _server: server }
    }

    /// The address without a path: `http://127.0.0.1:40123`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }

    /// Every endpoint as "METHOD path", with `{}` for an id.
    #[must_use]
    pub fn endpoints() -> Vec<String> {
        router::endpoints()
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.world().requests.clone()
    }

    /// Plays a fault on the next request with this method and beginning of the path; an empty
    /// method fits each. Faults for the same request are played one after the other.
    pub fn fail_next(&self, method: &str, path_prefix: &str, fault: Fault) {
        self.world().faults.order(method, path_prefix, fault);
    }

    /// Plays a fault on the request with this number; the first that was ever sent has number 0.
    pub fn fail_request(&self, number: usize, fault: Fault) {
        self.world().faults.order_for(number, fault);
    }

    /// Plays one of these faults, by chance, on this percentage of the requests. The seed decides.
    pub fn fail_randomly(&self, seed: u64, percent: u64, faults: &[Fault]) {
        self.world().faults.schedule(seed, percent, faults);
    }

    /// Forgets every fault that was ordered, and the schedule.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// How many ordered faults wait for their request.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.world().faults.left()
    }

    /// How many requests hang now.
    #[must_use]
    pub fn hanging(&self) -> u64 {
        *self.shared.hanging.borrow()
    }

    /// Waits until nothing more arrives from clients that are gone: no connection is open, and each
    /// request was answered or hangs.
    ///
    /// # Panics
    /// If this machine has no more connections.
    pub async fn wait_for_silence(&self) {
        // Connections are accepted in order. When this one was closed, those before it are counted.
        let address = self.base_url.trim_start_matches("http://");
        let mut last = TcpStream::connect(address).expect("the stand-in accepts connections");
        last.shutdown(Shutdown::Write).expect("the connection is open");
        let read = last.read_to_end(&mut Vec::new());
        assert_eq!(read.ok(), Some(0), "nothing is answered where nothing was asked");
        drop(last);
        while *self.shared.open.borrow() > self.hanging() {
            // A client's own tasks close its connections.
            tokio::task::yield_now().await;
        }
    }

    /// Waits until this many requests hang.
    pub fn wait_for_hanging(&self, count: u64) {
        retry_for(Duration::from_secs(60), "requests hang", || (self.hanging() >= count).then_some(()));
    }

    /// Lets every request that hangs go on.
    pub fn release_hanging(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }
}

impl Drop for StripeStandIn {
    fn drop(&mut self) {
        recorded::append(&self.world().requests);
    }
}
