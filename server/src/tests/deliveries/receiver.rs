//! A receiver of messages: a web server on a port of its own, which answers as it is set.

use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Response, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;

/// How the receiver answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this status.
    Status(u16),
    /// With a status and the header `Retry-After`.
    RetryAfter(u16, &'static str),
    /// With a redirect to another address.
    Redirect(String),
    /// Never.
    Hang,
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub timestamp: i64,
    pub signatures: String,
    pub body: String,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a message is JSON")
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a message has a type").to_owned()
    }
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<Answer>,
    received: Mutex<Vec<Received>>,
    more: Notify,
}

/// The receiver. It ends with the test.
#[derive(Debug)]
pub struct Receiver {
    pub url: String,
    pub port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (answer, received) = (Mutex::new(Answer::Status(204)), Mutex::default());
        let shared = Arc::new(Shared { answer, received, more: Notify::new() });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Receiver { url: format!("http://127.0.0.1:{port}/hook?x=1"), port, shared, serving }
    }

    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().expect("no test panics with it") = answer;
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no test panics with it").clone()
    }

    /// The ids of what has arrived so far, each once.
    pub fn ids(&self) -> BTreeSet<String> {
        self.received().into_iter().map(|received| received.id).collect()
    }

    /// Waits until this many messages have arrived.
    pub async fn wait(&self, count: usize) -> Vec<Received> {
        self.wait_until(|received| received.len() >= count).await
    }

    /// Waits until this many different messages have arrived.
    pub async fn wait_for_ids(&self, count: usize) {
        let ids = |received: &[Received]| received.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
        self.wait_until(|received| ids(received).len() >= count).await;
    }

    async fn wait_until(&self, is_it: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let waited = async {
            loop {
                let more = self.shared.more.notified();
                let received = self.received();
                if is_it(&received) {
                    return received;
                }
                more.await;
            }
        };
        let timeout = tokio::time::timeout(Duration::from_secs(20), waited).await;
        timeout.unwrap_or_else(|_| panic!("only these arrived: {:?}", self.received()))
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    assert_eq!((method.as_str(), uri.query()), ("POST", Some("x=1")));
    assert!(body.len() <= 20 * 1024, "a message is short");
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).unwrap_or_else(|| panic!("a message has the header {name}"))
    };
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("tollkeeper/"));
    let (id, timestamp, signatures) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let timestamp = timestamp.parse().expect("a time is seconds");
    let body = String::from_utf8(body.to_vec()).expect("a message is a text");
    let answer = shared.answer.lock().expect("no test panics with it").clone();
    shared.received.lock().expect("no test panics with it").push(Received {
        id,
        timestamp,
        signatures,
        body,
    });
    shared.more.notify_one();
    let (status, header) = match answer {
        Answer::Status(status) => (status, None),
        Answer::RetryAfter(status, seconds) => (status, Some(("retry-after", seconds.to_owned()))),
        Answer::Redirect(url) => (307, Some(("location", url))),
        Answer::Hang => std::future::pending().await,
    };
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    // More than is read of an answer.
    response.body(Body::from("x".repeat(if status == 204 { 0 } else { 100_000 }))).expect("a response")
}
