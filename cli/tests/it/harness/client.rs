//! A client of the HTTP API, its replies, and the calls that most tests need.

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http;

use super::TIMEOUT;

/// A client of the HTTP API, with its own connections.
#[derive(Clone)]
pub struct TestClient {
    agent: Agent,
    url: String,
    key: String,
}

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
    pub json: Value,
}

impl TestClient {
    /// A client for the server at `url` that sends `key`.
    pub fn new(url: &str, key: &str) -> TestClient {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let config = config.timeout_global(Some(TIMEOUT));
        TestClient { agent: Agent::new_with_config(config.build()), url: url.into(), key: key.into() }
    }

    /// Sends a request with these headers and this body; an error if the connection breaks. A
    /// header with an empty value is not sent.
    pub fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Reply, ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request of a test is well formed");
        let mut response = self.agent.run(request)?;
        let text = response.body_mut().read_to_string()?;
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        })
    }

    /// Sends a JSON body, with an idempotency key if given; an error if the connection breaks.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Reply, ureq::Error> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.raw(method, path, &headers, body.to_string())
    }

    /// Sends a GET request.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.raw("GET", path, &[], "").expect("the server answers")
    }

    /// Sends a JSON body without an idempotency key.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.try_send(method, path, None, &body).expect("the server answers")
    }

    /// Posts a JSON body with an idempotency key.
    #[track_caller]
    pub fn post(&self, path: &str, key: &str, body: Value) -> Reply {
        self.try_send("POST", path, Some(key), &body).expect("the server answers")
    }

    /// Creates a workspace with this much promotional credit.
    #[track_caller]
    pub fn workspace(&self, id: &str, credit: i64) {
        self.send("POST", "/v1/workspaces", json!({"id": id, "name": id})).expect(201);
        if credit > 0 {
            self.grant(id, "first-credit", "promotional", credit);
        }
    }

    /// Grants credit; returns the id of the grant.
    #[track_caller]
    pub fn grant(&self, workspace: &str, key: &str, source: &str, amount: i64) -> String {
        let body = json!({"source": source, "amount": amount, "reason": "a test"});
        self.post(&format!("/v1/workspaces/{workspace}/grants"), key, body).expect(201).id()
    }

    /// Adds a member.
    #[track_caller]
    pub fn member(&self, workspace: &str, id: &str, role: &str) {
        let body = json!({"id": id, "email": format!("{id}@example.com"), "name": id, "role": role});
        self.send("POST", &format!("/v1/workspaces/{workspace}/members"), body).expect(201);
    }

    /// Creates an API key; returns its id and its secret.
    #[track_caller]
    pub fn api_key(&self, workspace: &str, body: Value) -> (String, String) {
        let made = self.send("POST", &format!("/v1/workspaces/{workspace}/api-keys"), body).expect(201);
        (made.id(), made.json["secret"].as_str().expect("a new key shows its secret").to_owned())
    }

    /// Replaces the limits of a workspace; returns them with their use.
    #[track_caller]
    pub fn limit(&self, workspace: &str, limits: Value) -> Value {
        let path = format!("/v1/workspaces/{workspace}/limits");
        self.send("PUT", &path, json!({ "limits": limits })).expect(200).json["limits"].clone()
    }

    /// The limits of a workspace, with their use.
    #[track_caller]
    pub fn limits(&self, workspace: &str) -> Value {
        self.get(&format!("/v1/workspaces/{workspace}/limits")).expect(200).json["limits"].clone()
    }

    /// Charges with an idempotency key.
    #[track_caller]
    pub fn charge(&self, workspace: &str, key: &str, body: Value) -> Reply {
        self.post(&format!("/v1/workspaces/{workspace}/charges"), key, body)
    }

    /// The current state of a charge.
    #[track_caller]
    pub fn charge_now(&self, workspace: &str, id: &str) -> Reply {
        self.get(&format!("/v1/workspaces/{workspace}/charges/{id}")).expect(200)
    }

    /// Reports an outcome.
    #[track_caller]
    pub fn outcome(&self, workspace: &str, charge: &str, body: Value) -> Reply {
        self.send("POST", &format!("/v1/workspaces/{workspace}/charges/{charge}/outcome"), body)
    }

    /// Refunds a whole charge.
    #[track_caller]
    pub fn refund(&self, workspace: &str, charge: &str) -> Reply {
        let path = format!("/v1/workspaces/{workspace}/charges/{charge}/refund");
        self.post(&path, &format!("refund of {charge}"), json!({"reason": "a test"}))
    }

    /// The available credit of a workspace.
    #[track_caller]
    pub fn available(&self, workspace: &str) -> i64 {
        self.get(&format!("/v1/workspaces/{workspace}/balance")).expect(200).int("/available")
    }

    /// All rows of a list, newest first.
    #[track_caller]
    pub fn all(&self, path: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let next = cursor.map(|cursor: String| format!("&cursor={cursor}")).unwrap_or_default();
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{joint}limit=200{next}")).expect(200);
            rows.extend(page.json["data"].as_array().expect("a list has data").iter().cloned());
            match page.json["next_cursor"].as_str() {
                Some(text) => cursor = Some(text.to_owned()),
                None => return rows,
            }
        }
    }
}

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// True if the answer repeats the first answer to its key.
    pub fn replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Asserts the status; returns the reply.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts that the reply is a well-formed problem with this status and code; returns it.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Reply {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.json["status"], status);
        for text in ["type", "title", "detail"] {
            assert!(self.json[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {}", self.text);
        }
        assert_eq!(self.json["retryable"], status == 429 || status >= 500, "{}", self.text);
        self
    }

    /// The member `id`.
    #[track_caller]
    pub fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.text)).to_owned()
    }

    /// The integer at a JSON pointer.
    #[track_caller]
    pub fn int(&self, pointer: &str) -> i64 {
        let value = self.json.pointer(pointer).and_then(Value::as_i64);
        value.unwrap_or_else(|| panic!("no integer at {pointer}: {}", self.text))
    }
}

/// The hidden token of the forms on a dashboard page, as the body of a form.
#[track_caller]
pub fn form_token(page: &Reply) -> String {
    let value = page.text.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    format!("token={}", value.unwrap_or_else(|| panic!("no form: {}", page.text)).0)
}

/// The sorted member names of a JSON object.
fn members(json: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        json.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// Asserts that a JSON object has exactly these members.
#[track_caller]
pub fn assert_members(json: &Value, expected: &str) {
    let mut expected: Vec<&str> = expected.split_whitespace().collect();
    expected.sort_unstable();
    assert_eq!(members(json), expected, "{json}");
}
