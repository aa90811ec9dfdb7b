//! The server that the HTTP targets call: the real router over a read-only data directory, in this
//! process.
//!
//! Requests pass the same path as in production: admission, query, body, handler, engine. The
//! directory is read-only so that an input cannot change what the next one finds: a command that
//! passes every check is answered 503. The router turns a panic into a 500, so [`Server::send`]
//! fails on a 500.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tollkeeper_engine::{Embedded, Engine, Options};
use tollkeeper_server::settings::Secret;
use tollkeeper_server::{App, Router, Settings, prepare, router};

const KEY: &str = "tk_platform_of_the_fuzzer";

/// Rows in each list, so that a list has more than one page of two.
const ROWS: usize = 5;

/// A server over a read-only directory with a workspace `acme` and a few rows in each of its lists.
pub struct Server {
    runtime: Runtime,
    router: Router,
    /// The id of a settled charge of `acme`.
    pub charge: String,
    /// The id of a grant of `acme`.
    pub grant: String,
    _directory: TempDir,
}

/// An answer of the server.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when there is none.
    pub body: Value,
}

impl Server {
    /// Fills a new directory and opens it read-only.
    pub fn start() -> Server {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let mut settings = Settings::default();
        settings.access.platform_key = Some(Secret::new(KEY));

        let engine: Arc<dyn Engine> =
            Arc::new(Embedded::open(directory.path(), Options::default()).expect("an empty directory opens"));
        let app = App::new(Arc::clone(&engine), &settings);
        runtime.block_on(prepare(&app)).expect("an empty ledger takes the reference prices");
        let (charge, grant) = fill(&runtime, &router(app));
        runtime.block_on(engine.close()).expect("a healthy engine closes");
        drop(engine);

        let engine = Embedded::open_read_only(directory.path()).expect("a closed directory opens");
        let router = router(App::new(Arc::new(engine), &settings));
        Server { runtime, router, charge, grant, _directory: directory }
    }

    /// Sends a request with the platform key and an idempotency key. `path` includes the query.
    ///
    /// Panics on a 500 and on a body that is not JSON: both are bugs of the server.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        send(&self.runtime, &self.router, method, path, "fuzz", body)
    }
}

/// Creates the workspaces and the rows of their lists; returns the ids of a charge and a grant.
fn fill(runtime: &Runtime, router: &Router) -> (String, String) {
    let created = |path: &str, key: &str, body: String| {
        let answer = send(runtime, router, "POST", path, key, body.as_bytes());
        assert_eq!(answer.status, 201, "{path} {body}: {}", answer.body);
        answer.body
    };
    let (mut charge, mut grant) = (String::new(), String::new());
    for n in 0..ROWS {
        let id = if n == 0 { "acme".to_owned() } else { format!("workspace-{n}") };
        created("/v1/workspaces", "", format!(r#"{{"id": "{id}", "name": "Workspace {n}"}}"#));
    }
    for n in 0..ROWS {
        let path = |list: &str| format!("/v1/workspaces/acme/{list}");
        let body = r#"{"source": "promotional", "amount": 100000, "reason": "welcome"}"#.to_owned();
        grant = text(&created(&path("grants"), &format!("grant-{n}"), body)["id"]);
        let body = r#"{"operation": "support_message", "worker": "w1"}"#.to_owned();
        charge = text(&created(&path("charges"), &format!("charge-{n}"), body)["id"]);
        let member = format!(
            r#"{{"id": "m{n}", "email": "m{n}@example.com", "name": "Member {n}", "role": "admin"}}"#
        );
        created(&path("members"), "", member);
        created(&path("api-keys"), "", format!(r#"{{"name": "key {n}", "scopes": ["charge"]}}"#));
    }
    (charge, grant)
}

fn text(value: &Value) -> String {
    value.as_str().expect("an id is a text").to_owned()
}

fn send(runtime: &Runtime, router: &Router, method: &str, path: &str, key: &str, body: &[u8]) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json");
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    let request =
        request.body(Body::from(body.to_vec())).expect("the targets escape what they put into a path");
    runtime.block_on(async {
        let response = router.answer(request).await;
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("the body is in memory");
        let body = if bytes.is_empty() { Value::Null } else { json(&bytes) };
        assert_ne!(status, 500, "{method} {path}: {body}");
        Answer { status, body }
    })
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("every body is JSON")
}
