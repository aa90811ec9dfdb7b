//! Messages to webhook endpoints, sent over real connections to a receiver of the test.
//!
//! The receiver answers as a test wants: with a status, late, never, or with a redirect. Time
//! passes by the clock of the test, so an hour takes no time.

mod api;
mod failures;
mod receiver;
mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinHandle;

use self::receiver::{Answer, Receiver};
use super::*;
use crate::notify::thread;

/// The secret of the instance of the tests.
const SECRET: [&str; 2] = [
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

/// Settings with which messages may go to the receivers of the test.
fn settings_for(receivers: &[&Receiver]) -> Settings {
    let mut settings = settings();
    settings.jobs.tick_ms = 10;
    settings.webhooks = WebhookSettings {
        secret_key: InstanceSecret::from_hex(SECRET[0]),
        allow_http: true,
        allow_private: true,
        ports: receivers.iter().map(|receiver| receiver.port).collect(),
        attempt_timeout: Duration::from_secs(5),
    };
    settings
}

/// A dispatcher that runs until this is dropped, as in a process that is killed.
pub(super) struct Dispatching(JoinHandle<()>);

impl Drop for Dispatching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn dispatch(app: &Arc<App>) -> Dispatching {
    let app = Arc::clone(app);
    Dispatching(tokio::spawn(async move { thread::run(&app).await }))
}

/// A world with credit whose dispatcher runs.
async fn dispatching(settings: &Settings) -> (World, Dispatching) {
    let world = world_of(settings, NOW).await;
    world.grant("acme", "start", 100_000_000).await;
    let dispatching = dispatch(&world.app);
    (world, dispatching)
}

impl World {
    /// Creates an endpoint and returns it with its secret.
    async fn endpoint(&self, receiver: &Receiver, kinds: &str) -> Value {
        let kinds = if kinds.is_empty() { String::new() } else { format!(r#","kinds":{kinds}"#) };
        let body = format!(r#"{{"url":"{}"{kinds}}}"#, receiver.url);
        let made = self.post("/v1/webhook-endpoints", "", &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()
    }

    /// Makes charges that are born settled.
    async fn charges(&self, from: usize, count: usize) {
        for n in from..from + count {
            let reply = self.charge(&format!("charge-{n}"), r#"{"operation":"support_message"}"#).await;
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }

    async fn deliveries(&self, endpoint: &str) -> Value {
        self.get(&format!("/v1/webhook-endpoints/{endpoint}/deliveries")).await.json()
    }

    /// Waits until what is kept of an endpoint is as wanted.
    async fn deliveries_until(&self, endpoint: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_000 {
            let deliveries = self.deliveries(endpoint).await;
            if is_it(&deliveries) {
                return deliveries;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not in time: {}", self.deliveries(endpoint).await);
    }
}

fn id(endpoint: &Value) -> &str {
    endpoint["id"].as_str().expect("an endpoint has an id")
}

fn waiting(deliveries: &Value) -> usize {
    let exceptions = deliveries["exceptions"].as_array().expect("a list");
    exceptions.iter().filter(|exception| exception["status"] == "waiting").count()
}
