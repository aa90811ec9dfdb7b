//! Tests of the whole server over the embedded engine, in process, with a clock of their own.
//!
//! Each test opens a world: a data directory, a server and one workspace. It sends requests as a
//! client does, and checks what a client sees.

mod alerts;
mod anonymous;
mod api_page;
mod auto_top_ups;
mod batch;
mod charges;
mod clock;
mod console;
mod conventions;
mod credit;
mod dashboard_charges;
mod dashboard_credits;
mod dashboard_plan;
mod dashboard_usage;
mod deliveries;
mod description;
mod every_page;
mod examples;
mod follow;
mod isolation;
mod limits;
mod mail_recipients;
mod mailer;
mod mails;
mod matrix;
mod outcomes;
mod page_figures;
mod pages;
mod payment_refunds;
mod plans;
mod portal;
mod prices;
mod rates;
mod reading;
mod report;
mod self_check;
mod serving;
mod settings;
mod settings_pages;
mod streams;
mod stripe;
mod stripe_automatic;
mod stripe_chaos;
mod stripe_currencies;
mod stripe_discounts;
mod stripe_due;
mod stripe_half_spent;
mod stripe_hostile;
mod stripe_losses;
mod stripe_plan_calls;
mod stripe_races;
mod stripe_reconciliation;
mod stripe_refunds;
mod stripe_subscriptions;
mod stripe_sums;
mod stripe_top_ups;
mod subscriptions;
mod teams;
mod top_ups;
mod traces;
mod usage;
mod usage_changes;
mod usage_histories;
mod webhooks;

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;
use tempfile::TempDir;
use tollkeeper_engine::Embedded;
use tollkeeper_ledger::Timestamp;

use crate::notify::secret::InstanceSecret;
use crate::settings::{AccessSettings, HttpSettings, Secret, WebhookSettings};
use crate::{App, Router, Settings, prepare, router};

const KEY: &str = "tk_platform_of_the_tests";

/// The time at which a test begins: 2026-11-23T15:04:05.678Z.
const NOW: i64 = 1_795_446_245_678;

/// A server that answers requests. Its routes are built once, and released with it.
struct Served {
    app: Arc<App>,
    router: OnceLock<Router>,
}

impl From<Arc<App>> for Served {
    fn from(app: Arc<App>) -> Served {
        Served { app, router: OnceLock::new() }
    }
}

impl Deref for Served {
    type Target = Arc<App>;

    fn deref(&self) -> &Arc<App> {
        &self.app
    }
}

impl Served {
    async fn answer(&self, request: Request<Body>) -> Response {
        let router = self.router.get_or_init(|| router(Arc::clone(&self.app)));
        router.answer(request).await
    }
}

/// The server of one test.
struct World {
    app: Served,
    clock: Arc<AtomicI64>,
    _dir: TempDir,
}

/// A response as a client sees it.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The id of the object that was created.
    fn id(&self) -> String {
        self.json()["id"].as_str().expect("a created object has an id").to_owned()
    }

    /// Asserts that this is a well-formed problem with this code; returns its members.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:tollkeeper:problem:{code}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert_eq!(problem["retryable"], matches!(status, 408 | 429 | 500..));
        problem
    }
}

fn settings() -> Settings {
    Settings {
        access: AccessSettings { platform_key: Some(Secret::new(KEY)), ..AccessSettings::default() },
        http: HttpSettings {
            add_credits_url: Some("https://shop.example/{workspace}/credits".to_owned()),
            ..HttpSettings::default()
        },
        webhooks: WebhookSettings {
            secret_key: InstanceSecret::from_hex(&"5a".repeat(32)),
            ..WebhookSettings::default()
        },
        ..Settings::default()
    }
}

/// The directory of the engine lies within `dir`, and so does what the engine leaves beside it.
fn open(dir: &Path, settings: &Settings, clock: &Arc<AtomicI64>) -> Arc<App> {
    let engine =
        Embedded::open(&dir.join("data"), settings.engine_options()).expect("an empty directory opens");
    let clock = Arc::clone(clock);
    let now = move || Timestamp::from_millis(clock.load(Ordering::Relaxed));
    App::with_clock(Arc::new(engine), settings, Box::new(now))
}

/// A world with the reference prices and the workspace `acme`, which has no credit.
async fn world() -> World {
    world_of(&settings(), NOW).await
}

/// The same with other settings, at this time.
async fn world_of(settings: &Settings, now: i64) -> World {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(now));
    let app = open(dir.path(), settings, &clock);
    assert_eq!(prepare(&app).await.expect("an empty engine takes prices"), None);
    let world = World { app: app.into(), clock, _dir: dir };
    let opened = world.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    world
}

/// The same, and `acme` has this much credit.
async fn world_with(micros: i64) -> World {
    let world = world().await;
    world.grant("acme", "start", micros).await;
    world
}

impl World {
    /// The value of a metric.
    async fn counted(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.text;
        let count = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{name} is a number"))
    }

    fn pass_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.app.answer(request).await;
        let (parts, body) = response.into_parts();
        let is_stream = parts.headers.get("content-type").is_some_and(|media| media == "text/event-stream");
        let bytes = if is_stream {
            // It has no end: its beginning is enough.
            let first = body.into_data_stream().next().await.expect("a stream begins with an event");
            first.expect("a stream does not break")
        } else {
            axum::body::to_bytes(body, usize::MAX).await.expect("the body is in memory")
        };
        let text = String::from_utf8(bytes.to_vec()).expect("answers are texts");
        Reply { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("the request is well-formed")).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[("authorization", &format!("Bearer {KEY}"))], Body::empty()).await
    }

    /// Sends JSON with the platform key, and with an idempotency key unless that is empty.
    async fn put(&self, method: &str, path: &str, key: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {KEY}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        self.ask(method, path, &headers, body.to_owned()).await
    }

    async fn post(&self, path: &str, key: &str, body: &str) -> Reply {
        self.put("POST", path, key, body).await
    }

    async fn grant(&self, workspace: &str, key: &str, micros: i64) -> Reply {
        let path = format!("/v1/workspaces/{workspace}/grants");
        let body = format!(r#"{{"source":"promotional","amount":{micros},"reason":"hello"}}"#);
        let reply = self.post(&path, key, &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply
    }

    async fn charge(&self, key: &str, body: &str) -> Reply {
        self.post("/v1/workspaces/acme/charges", key, body).await
    }

    /// The available and the pending credit of `acme`.
    async fn balance(&self) -> (i64, i64) {
        let balance = self.get("/v1/workspaces/acme/balance").await.json();
        let amount = |name: &str| balance[name].as_i64().expect("balances are integers");
        (amount("available"), amount("pending"))
    }
}
