//! A real SMTP server of a test's own: aiosmtpd from PyPI, as `testkit/partners/smtp_server.py`.
//!
//! It speaks the protocol and reads mails with other code than ours. Each test starts one and
//! scripts it by the addresses of its mails. Python and the package are found or fetched by
//! `python`; a test begins with
//!
//! ```text
//! if smtp::is_missing() {
//!     return;
//! }
//! ```

mod python;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

pub use python::is_missing;

use crate::scratch::Scratch;

/// How long a test waits for a mail or for an answer of the server.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How the server takes mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// In the open.
    None,
    /// After STARTTLS.
    Offered,
    /// From the first byte.
    Immediate,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct SmtpServer {
    child: Child,
    control: ChildStdin,
    lines: Receiver<Value>,
    port: u16,
    scratch: Scratch,
}

/// A mail that the server accepted, as Python reads it.
#[derive(Clone, Debug)]
pub struct ReceivedMail(Value);

impl SmtpServer {
    /// Starts a server without encryption and without users.
    #[must_use]
    pub fn start() -> SmtpServer {
        SmtpServer::start_with(Encryption::None, None)
    }

    /// Starts a server. `user`: the name and the password that it wants.
    #[must_use]
    pub fn start_with(encryption: Encryption, user: Option<(&str, &str)>) -> SmtpServer {
        let scratch = Scratch::new();
        let mut command = python::command("smtp_server.py");
        if encryption != Encryption::None {
            let [certificate, key] = make_certificate(&scratch);
            command.arg("--tls").args([certificate, key]);
        }
        if encryption == Encryption::Immediate {
            command.arg("--wrapped");
        }
        if let Some((name, password)) = user {
            command.args(["--user", name, password]);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("Python runs the server");
        let control = child.stdin.take().expect("it has a pipe");
        let output = BufReader::new(child.stdout.take().expect("it has a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("the server prints JSON");
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let first: Value = lines.recv_timeout(TIMEOUT).expect("the server prints its port");
        let port = first["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        SmtpServer { child, control, lines, port: port.expect("a port is a number"), scratch }
    }

    /// The place where it listens, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file with the certificate that proves who it is.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.scratch.path().join("certificate.pem")
    }

    /// Sends a line of control, such as `all 451 Later`, and waits until it is in force.
    ///
    /// # Panics
    /// A mail arrived meanwhile, or the server is gone.
    pub fn control(&mut self, line: &str) {
        writeln!(self.control, "{line}").expect("the server reads");
        let answer = self.lines.recv_timeout(TIMEOUT).expect("the server answers");
        assert_eq!(answer["control"], line.trim(), "a line of control comes when all mails were read");
    }

    /// Waits for the next mail.
    ///
    /// # Panics
    /// None arrives.
    #[must_use]
    pub fn next_mail(&self) -> ReceivedMail {
        ReceivedMail(self.lines.recv_timeout(TIMEOUT).expect("a mail arrives"))
    }

    /// The mails that have arrived and were not read yet.
    #[must_use]
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.lines.try_iter().map(ReceivedMail).collect()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ReceivedMail {
    /// A header as text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_default()
    }

    /// All headers of this name.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let all = self.0["headers"].as_array().into_iter().flatten();
        let named = all.filter(|pair| pair[0].as_str().is_some_and(|other| other.eq_ignore_ascii_case(name)));
        named.filter_map(|pair| pair[1].as_str()).collect()
    }

    /// The names of all headers, in their order.
    #[must_use]
    pub fn header_names(&self) -> Vec<&str> {
        self.0["headers"].as_array().into_iter().flatten().filter_map(|pair| pair[0].as_str()).collect()
    }

    /// The sender of the envelope.
    #[must_use]
    pub fn from(&self) -> &str {
        self.0["from"].as_str().unwrap_or_default()
    }

    /// The only recipient of the envelope.
    #[must_use]
    pub fn to(&self) -> &str {
        assert_eq!(self.0["to"].as_array().map(Vec::len), Some(1), "a mail has one recipient");
        self.0["to"][0].as_str().unwrap_or_default()
    }

    /// The plain text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0["text"].as_str().unwrap_or_default()
    }

    /// The HTML.
    #[must_use]
    pub fn html(&self) -> &str {
        self.0["html"].as_str().unwrap_or_default()
    }

    /// The bytes as they came, with one character for each.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.0["raw"].as_str().unwrap_or_default()
    }

    /// What Python's parser found wrong.
    #[must_use]
    pub fn defects(&self) -> Vec<&str> {
        self.0["defects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// True if the connection was encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0["encrypted"] == true
    }

    /// The user who was signed in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0["user"].as_str()
    }

    /// A name of the connection over which it came.
    #[must_use]
    pub fn connection(&self) -> &str {
        self.0["connection"].as_str().unwrap_or_default()
    }
}

/// A certificate for 127.0.0.1 and its key, made by openssl.
fn make_certificate(scratch: &Scratch) -> [PathBuf; 2] {
    let files = ["certificate.pem", "key.pem"].map(|name| scratch.path().join(name));
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=relay.test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .arg("-out")
        .arg(&files[0])
        .arg("-keyout")
        .arg(&files[1])
        .output();
    let made = made.expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    files
}
