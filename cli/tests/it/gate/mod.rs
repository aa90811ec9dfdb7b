//! The gate: what each answer of an upstream means for the credit, and that nothing reaches an
//! upstream unpaid. Beside a server and alone.

mod hostile;
mod metered;
mod outcomes;
mod streams;
mod upstream;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use self::upstream::Upstream;
use super::harness::{KEY, Reply, TestClient, TestServer, eventually, tollkeeper};

/// The price of a run of the operation of all routes.
const PRICE: i64 = 500;

/// The key that some routes send to the upstream.
const KEY_OF_UPSTREAM: &str = "sk-of-the-upstream";

/// A server with a gate, an upstream, and a workspace with credit for ten runs.
struct World {
    server: TestServer,
    /// A gate that runs alone; it ends with the test.
    alone: Option<Child>,
    gate: TestClient,
    gate_url: String,
    upstream: Upstream,
    key: String,
    _scratch: tempfile::TempDir,
}

/// Where the gate runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BesideServer,
    Alone,
}

const PLACES: [Place; 2] = [Place::BesideServer, Place::Alone];

fn config(upstream: &str) -> String {
    let route = |method: &str, path: &str, more: &str| {
        format!(
            "[[gate.routes]]\nmethod = \"{method}\"\npath = \"{path}\"\noperation = \"support_message\"\n\
             upstream = \"{upstream}\"\n{more}\n"
        )
    };
    // Nothing listens at the address of the second route.
    let refused = "[[gate.routes]]\nmethod = \"GET\"\npath = \"/refused\"\noperation = \"support_message\"\n\
        upstream = \"http://127.0.0.1:1\"\n";
    [
        "[gate]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
        route("GET", "/*", ""),
        refused.to_owned(),
        route("HEAD", "/*", ""),
        route("POST", "/echo", ""),
        route("POST", "/flow", ""),
        route("POST", "/flow/soon", "timeout_seconds = 2"),
        route("POST", "/echo/*", "quantity = { json = \"/items/count\" }\nbody_max_bytes = 1000"),
        route("PUT", "/echo", "quantity = { header = \"X-Count\" }"),
        route("GET", "/hang", "timeout_seconds = 1"),
        // Longer than it takes to kill a gate while the upstream has the request.
        route("GET", "/stall", "timeout_seconds = 5\ngrace_seconds = 1"),
        route("POST", "/openai/*", "dialect = \"openai\""),
        route("DELETE", "/echo", "dialect = \"anthropic\"\nupstream_key_env = \"KEY_OF_UPSTREAM\""),
        route("OPTIONS", "/echo", "dialect = \"openai\"\nupstream_key_env = \"KEY_OF_UPSTREAM\""),
    ]
    .concat()
}

impl World {
    fn new(place: Place) -> World {
        let scratch = tempfile::tempdir().expect("a directory can be made");
        let upstream = Upstream::start();
        let file = scratch.path().join("gate.toml");
        std::fs::write(&file, config(&upstream.url)).expect("the directory is writable");
        let data = scratch.path().join("data");
        let mut command = TestServer::command(&data);
        command.env("TOLLKEEPER_TICK_MS", "20").env("KEY_OF_UPSTREAM", KEY_OF_UPSTREAM);
        // One key sends a thousand requests at once.
        command.env("TOLLKEEPER_WORKSPACE_KEY_REQUESTS_PER_SECOND", "0");
        command.env("TOLLKEEPER_WORKSPACE_REQUESTS_PER_SECOND", "0");
        let (server, gate_url, alone) = start(place, command, &data, &file);
        server.workspace("acme", 10 * PRICE);
        server.member("acme", "dan", "member");
        let (_, key) = server.api_key("acme", json!({"name": "of the gate", "scopes": ["charge"]}));
        let gate = TestClient::new(&gate_url, "of-the-upstream");
        World { server, alone, gate, gate_url, upstream, key, _scratch: scratch }
    }

    /// Sends a request through the gate with the key of the workspace.
    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, ureq::Error> {
        let mut all = vec![("tollkeeper-key", self.key.as_str())];
        all.extend(headers);
        self.gate.raw(method, path, &all, body)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").expect("the gate answers")
    }

    /// The charges of the workspace, newest first.
    fn charges(&self) -> Vec<Value> {
        self.server.all("/v1/workspaces/acme/charges")
    }

    /// Waits until the newest charge is not pending any more; returns its status and outcome.
    #[track_caller]
    fn outcome(&self) -> (String, String) {
        eventually("the charge has an outcome", || {
            let charge = self.charges().first()?.clone();
            let text = |name: &str| charge[name].as_str().map(str::to_owned);
            Some((text("status").filter(|status| status != "pending")?, text("outcome")?))
        })
    }

    /// Asserts what is left of the credit, after all outcomes.
    #[track_caller]
    fn assert_paid(&self, runs: i64) {
        eventually("all charges have outcomes", || {
            self.charges().iter().all(|charge| charge["status"] != "pending").then_some(())
        });
        assert_eq!(self.server.available("acme"), (10 - runs) * PRICE, "{:?}", self.charges());
        let (code, text) = self.server.audit();
        assert_eq!(code, Some(0), "{text}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(alone) = &mut self.alone {
            // It may have ended already.
            let _ = alone.kill();
            let _ = alone.wait();
        }
    }
}

/// Starts a server and a gate with these settings; returns the address of the gate too, and its
/// process if it runs alone.
fn start(place: Place, mut server: Command, data: &Path, file: &Path) -> (TestServer, String, Option<Child>) {
    if place == Place::BesideServer {
        server.arg("--config").arg(file);
    }
    let mut server = TestServer::spawned(server, data);
    let (line, alone) = match place {
        Place::BesideServer => (server.next_line_of_stdout(), None),
        Place::Alone => start_alone(&server.url, file),
    };
    let url = line.trim_end().strip_prefix("gate listening on ").expect("it is ready").to_owned();
    (server, url, alone)
}

/// Starts a gate alone; returns the line that it prints.
fn start_alone(server: &str, file: &Path) -> (String, Option<Child>) {
    let mut command = tollkeeper();
    command.arg("gate").args(["--server", server]).arg("--config").arg(file);
    command
        .env("TOLLKEEPER_PLATFORM_KEY", KEY)
        .env("KEY_OF_UPSTREAM", KEY_OF_UPSTREAM)
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("the gate starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("its stdout is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it prints text");
    (line, Some(child))
}
