//! A server process of a test: started, stopped, killed, audited.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use super::{KEY, TIMEOUT, TestClient, TestStore, eventually, printed, tollkeeper};

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
    pub(super) own: Option<TestStore>,
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
    pub fn spawned(command: Command, data: &Path) -> TestServer {
        let stderr = data.with_extension("stderr");
        let log = File::options().create(true).append(true).open(stderr).expect("a file for stderr");
        TestServer::spawned_with(command, data, log)
    }

    /// The same, with another file for its stderr.
    pub fn spawned_with(mut command: Command, data: &Path, log: File) -> TestServer {
        let stderr = data.with_extension("stderr");
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

    /// The next line that the server writes to stdout.
    pub fn next_line_of_stdout(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it prints text");
        line
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
        assert!(sent.expect("kill is installed").success());
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
