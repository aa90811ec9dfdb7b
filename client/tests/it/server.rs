//! A running server for the tests: the real program with a data directory of its own.
//!
//! `TOLLKEEPER_BIN` names the program. Without it, the program of this build is used, which
//! `cargo test --workspace` or `cargo build` makes. A missing program fails the tests.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tollkeeper_client::Client;
use tollkeeper_client::types::{GrantRequest, WorkspaceRequest};

pub const PLATFORM_KEY: &str = "tk_platform_of_the_client_tests";

/// The server; it is killed when this is dropped.
pub struct Server {
    pub url: String,
    _child: Child,
    _directory: TempDir,
}

/// The program: `target/debug/deps/it-1234` lies one folder below `target/debug/tollkeeper`.
fn program() -> PathBuf {
    let given = std::env::var_os("TOLLKEEPER_BIN").map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let own = std::env::current_exe().expect("a test knows its own program");
        own.ancestors().nth(2).expect("tests are built into a folder").join("tollkeeper")
    });
    assert!(
        path.is_file(),
        "there is no server at {}: build it with `cargo build`, or name it in TOLLKEEPER_BIN",
        path.display()
    );
    path
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with(&[]).await
    }

    /// A server with further settings in its environment.
    pub async fn start_with(settings: &[(&str, &str)]) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let mut command = Command::new(program());
        command.arg("serve").arg("--data").arg(directory.path().join("data"));
        command.args(["--listen", "127.0.0.1:0"]);
        command.env("TOLLKEEPER_PLATFORM_KEY", PLATFORM_KEY).env("TOLLKEEPER_PAYMENTS", "manual");
        command.envs(settings.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("the output is a pipe")).lines();
        let url = loop {
            let line = lines.next_line().await.expect("the output can be read");
            let line = line.expect("the server says where it listens before it ends");
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        Server { url, _child: child, _directory: directory }
    }

    /// The host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A client with the platform's key.
    pub fn client(&self) -> Client {
        Client::builder(&self.url, PLATFORM_KEY).build().expect("address and key are valid")
    }

    /// A client, and a new workspace `acme` with credit.
    pub async fn client_with_credit(&self, usd: &str) -> Client {
        let client = self.client();
        let request = WorkspaceRequest { id: Some("acme".into()), ..WorkspaceRequest::new("Acme Shop") };
        client.workspaces().create(&request).await.expect("the workspace is new");
        let grant =
            GrantRequest { amount_usd: Some(usd.into()), ..GrantRequest::new("promotional", "welcome") };
        client.grants("acme").create(&grant).await.expect("the platform grants credit");
        client
    }

    /// The body of a page that needs no key.
    pub async fn get_text(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.expect("the server accepts");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address());
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the answer is text");
        answer.split_once("\r\n\r\n").expect("an answer has a head and a body").1.to_owned()
    }
}
