//! The attacks of the hostile benchmark: requests that any tenant may send, chosen to cost the
//! server more than they cost the sender.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tollkeeper_server::App;

use super::call;
use crate::bench::credentials::PLATFORM_KEY;
use crate::bench::failure::failed;
use crate::terminal::failure::Failure;
use crate::transport::request::{Request, path};

/// The number of small grants that the hostile workspace has.
const GRANTS: u64 = 500;

/// The size of a small grant, in micro-units.
const GRANT: u64 = 40;

/// The head and the body of a request, as a
/// [`Connection`](crate::bench::connection::Connection) sends them.
pub type HttpRequest<'a> = (String, Cow<'a, [u8]>);

/// An attack.
pub struct Attack {
    /// The name in the report.
    pub name: &'static str,
    pub connections: usize,
    /// The head and body of a request, by its number.
    pub request: fn(&Target, u64) -> HttpRequest<'_>,
    /// How long an attacker waits for an answer before it hangs up.
    pub timeout: Duration,
}

/// The time after which an attacker that wants its answer gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// All attacks, in the order in which they are measured.
pub static ATTACKS: [Attack; 10] = [
    Attack { name: "heartbeats", connections: 16, request: heartbeat, timeout: ANSWER_TIMEOUT },
    Attack { name: "charge-reads", connections: 16, request: read_charge, timeout: ANSWER_TIMEOUT },
    Attack { name: "limits", connections: 4, request: set_limits, timeout: ANSWER_TIMEOUT },
    Attack { name: "names", connections: 16, request: charge_for_many_workers, timeout: ANSWER_TIMEOUT },
    Attack { name: "batches", connections: 256, request: charge_in_batches, timeout: ANSWER_TIMEOUT },
    Attack { name: "empty-items", connections: 4, request: send_empty_items, timeout: ANSWER_TIMEOUT },
    Attack { name: "lists", connections: 64, request: list_charges, timeout: Duration::from_millis(20) },
    Attack { name: "as-of-reads", connections: 16, request: read_past_balance, timeout: ANSWER_TIMEOUT },
    Attack { name: "small-grants", connections: 16, request: charge_over_grants, timeout: ANSWER_TIMEOUT },
    Attack { name: "random-tokens", connections: 64, request: send_random_token, timeout: ANSWER_TIMEOUT },
];

/// What the attacks are aimed at: the workspace of the hostile tenant, and large bodies made once.
pub struct Target {
    workspace: &'static str,
    key: String,
    /// Differs between runs on one store, part of every idempotency key.
    run: String,
    /// A pending charge with a deadline in a week.
    pending: String,
    /// A charge that drew from many small grants.
    divided: String,
    /// When the workspace was created.
    created_at: String,
    limits: Vec<u8>,
    empty_items: Vec<u8>,
}

impl Target {
    /// Makes the grants and charges that the attacks use.
    pub async fn prepare(
        app: &Arc<App>,
        workspace: &'static str,
        key: String,
        run: String,
    ) -> Result<Arc<Target>, Failure> {
        let workspace_path = path(&["v1", "workspaces", workspace]);
        let described = call(app, PLATFORM_KEY, Request::get(workspace_path)).await?;
        let grants = path(&["v1", "workspaces", workspace, "grants"]);
        for number in 0..GRANTS {
            let body = json!({"source": "promotional", "amount": GRANT, "reason": "benchmark"});
            let mut grant = Request::write("POST", grants.clone(), body);
            grant.key = Some(format!("small-{number}"));
            call(app, PLATFORM_KEY, grant).await?;
        }
        let charge = async |name: &str, body: serde_json::Value| {
            let mut charge = Request::write("POST", path(&["v1", "workspaces", workspace, "charges"]), body);
            charge.key = Some(format!("{run}-{name}"));
            let charged = call(app, &key, charge).await?;
            charged["id"].as_str().map(str::to_owned).ok_or_else(|| failed("a charge has no id"))
        };
        let pending = json!({
            "operation": "support_message", "await_outcome": true, "timeout_seconds": 604_800
        });
        let pending = charge("pending", pending).await?;
        let divided = charge("divided", json!({"operation": "virtual_try_on"})).await?;
        let created_at = described["created_at"].as_str().unwrap_or_default().to_owned();
        let limit = |number: u64| json!({"subject": "worker", "id": format!("w{number}"), "period": "day", "amount": 1});
        let limits: Vec<serde_json::Value> = (0..10_000).map(limit).collect();
        let limits = json!({ "limits": limits }).to_string().into_bytes();
        let empty_items = format!("{{\"charges\":[{}{{}}]}}", "{},".repeat(340_000)).into_bytes();
        let target = Target { workspace, key, run, pending, divided, created_at, limits, empty_items };
        Ok(Arc::new(target))
    }

    /// A request line with the hostile tenant's key. `rest`: the path below the workspace.
    fn head(&self, method: &str, rest: &str) -> String {
        let Target { workspace, key, .. } = self;
        format!("{method} /v1/workspaces/{workspace}/{rest} HTTP/1.1\r\nauthorization: Bearer {key}\r\n")
    }

    /// A batch of charges, each for a worker named by `worker`.
    fn batch(&self, number: u64, worker: impl Fn(u64) -> String) -> HttpRequest<'_> {
        let Target { workspace, key, run, .. } = self;
        let mut body = String::from("{\"charges\":[");
        for item in 0..1_000 {
            let separator = if item == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(
                body,
                r#"{separator}{{"workspace":"{workspace}","idempotency_key":"{run}-{number}-{item}","operation":"support_message","worker":"{}"}}"#,
                worker(item)
            );
        }
        body.push_str("]}");
        let head = format!("POST /v1/charges/batch HTTP/1.1\r\nauthorization: Bearer {key}\r\n");
        (head, Cow::Owned(body.into_bytes()))
    }
}

/// Moves the deadline of one charge again and again.
fn heartbeat(target: &Target, number: u64) -> HttpRequest<'_> {
    let head = target.head("POST", &format!("charges/{}/heartbeat", target.pending));
    let body = format!("{{\"extend_seconds\":{}}}", 604_000 + number % 800);
    (head, Cow::Owned(body.into_bytes()))
}

/// Reads the charge that received the heartbeats.
fn read_charge(target: &Target, _number: u64) -> HttpRequest<'_> {
    (target.head("GET", &format!("charges/{}", target.pending)), Cow::Borrowed(b""))
}

/// Sets 10,000 limits at once, which is refused.
fn set_limits(target: &Target, _number: u64) -> HttpRequest<'_> {
    (target.head("PUT", "limits"), Cow::Borrowed(&target.limits))
}

/// A usage row for each charge.
fn charge_for_many_workers(target: &Target, number: u64) -> HttpRequest<'_> {
    target.batch(number, |item| format!("worker-{number}-{item}"))
}

/// Full batches on many connections.
fn charge_in_batches(target: &Target, number: u64) -> HttpRequest<'_> {
    target.batch(number, |_| "worker".to_owned())
}

/// The most items that fit into a body.
fn send_empty_items(target: &Target, _number: u64) -> HttpRequest<'_> {
    let head = format!("POST /v1/charges/batch HTTP/1.1\r\nauthorization: Bearer {}\r\n", target.key);
    (head, Cow::Borrowed(&target.empty_items))
}

/// A list that finds nothing, so that all charges are read; the client hangs up.
fn list_charges(target: &Target, _number: u64) -> HttpRequest<'_> {
    (target.head("GET", "charges?status=refunded&limit=200"), Cow::Borrowed(b""))
}

/// The balance at the beginning of the workspace.
fn read_past_balance(target: &Target, _number: u64) -> HttpRequest<'_> {
    (target.head("GET", &format!("balance?at={}", target.created_at)), Cow::Borrowed(b""))
}

/// Reads a charge that drew from many small grants.
fn charge_over_grants(target: &Target, _number: u64) -> HttpRequest<'_> {
    (target.head("GET", &format!("charges/{}", target.divided)), Cow::Borrowed(b""))
}

/// A key that does not exist, another one each time.
fn send_random_token(target: &Target, number: u64) -> HttpRequest<'_> {
    let Target { workspace, run, .. } = target;
    let head = format!(
        "GET /v1/workspaces/{workspace}/balance HTTP/1.1\r\nauthorization: Bearer tk_{run}{number:032x}\r\n"
    );
    (head, Cow::Borrowed(b""))
}
