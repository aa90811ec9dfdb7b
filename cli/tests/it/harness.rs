//! What all tests share: servers, clients, and the calls of the API that most tests need.
//!
//! A server is killed when its test ends, and a test fails if its server panicked. Stores are in
//! `store`, time zones in `calendar`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http;

mod calendar;
mod store;

pub use calendar::{next_midnight, next_month, zone_at};
pub use store::{TestStore, files};

/// The platform key of the test servers.
pub const KEY: &str = "tk_test_0123456789abcdef0123456789abcdef";

/// How long a test waits for anything before it fails; much longer than anything takes.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A command that runs the binary, with a clean environment.
pub fn tollkeeper() -> Command {
    cleaned(Command::new(env!("CARGO_BIN_EXE_tollkeeper")))
}

/// Removes the settings of this process from the environment of a command.
pub fn cleaned(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOLLKEEPER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Output {
    tollkeeper().args(args).output().expect("the binary runs")
}

/// Repeats `ask` until it returns an answer; fails after [`TIMEOUT`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < TIMEOUT, "{what}: not within {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running server; killed when it is dropped.
pub struct TestServer {
    child: Child,
    /// The URL of the server.
    pub url: String,
    /// The data directory. For a server on a database, a path that does not exist.
    pub data: PathBuf,
    stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
    client: TestClient,
    /// The store, if it ends with the server.
    /// The store, if it ends with the server.
    own: Option<TestStore>,
}

impl TestServer {
    /// Starts a server on a new data directory, which is removed with it.
    pub fn fresh() -> TestServer {
        TestStore::directory().server()
    }

    /// Starts a server on a data directory.
    pub fn on(data: &Path) -> TestServer {
        TestServer::spawned(TestServer::command(data), data)
    }

    /// The command that serves a data directory on a free port.
    pub fn command(data: &Path) -> Command {
        let mut command = tollkeeper();
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        command.env("TOLLKEEPER_PLATFORM_KEY", KEY);
        command
    }

    /// Starts a server by a command. Its stderr goes to a file next to `data`.
    pub fn spawned(mut command: Command, data: &Path) -> TestServer {
        let stderr = data.with_extension("stderr");
        let log = File::options().create(true).append(true).open(&stderr).expect("a file for stderr");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its stdout is piped"));
        let mut line = String::new();
        if !stdout.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let log = std::fs::read_to_string(&stderr).unwrap_or_default();
            panic!("the server ended before it was ready: {log}");
        }
        let url = line.trim_end().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        let client = TestClient::new(&url, KEY);
        TestServer { child, url, data: data.to_owned(), stdout, stderr, client, own: None }
    }

    /// Waits until the server has ended; returns what it wrote to stdout after it was ready.
    pub fn rest_of_stdout(&mut self) -> String {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("it prints text");
        text
    }

    /// What the server wrote to stderr until now.
    pub fn stderr_text(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client with its own connections.
    pub fn client(&self) -> TestClient {
        TestClient::new(&self.url, KEY)
    }

    /// Sends bytes on a new connection, closes its sending side, and returns what came back.
    pub fn send_bytes(&self, bytes: &[u8]) -> String {
        let address = self.url.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Kills the process (`kill -9`).
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Sends SIGTERM and waits; returns how the process ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        let child = &mut self.child;
        eventually("the server drains", || child.try_wait().expect("the state of a child can be read"))
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Audits the store; returns the exit code and the output of the audit.
    pub fn audit(&self) -> (Option<i32>, String) {
        let mut command = tollkeeper();
        command.arg("audit");
        match &self.own {
            Some(store) => store.add_to(&mut command),
            None => drop(command.arg("--data").arg(&self.data)),
        }
        let output = command.output().expect("the audit runs");
        (output.status.code(), printed(&output))
    }
}

/// What a command printed to stdout and stderr.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl std::ops::Deref for TestServer {
    type Target = TestClient;
    fn deref(&self) -> &TestClient {
        &self.client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.stderr_text();
        if !std::thread::panicking() {
            assert!(!log.contains("panicked"), "the server panicked: {log}");
        }
    }
}

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

/// The sorted member names of a JSON object.
pub fn members(json: &Value) -> Vec<&str> {
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
