//! An upstream of the tests: a real HTTP server whose paths say how it answers, on raw sockets, so
//! that it can break off wherever a test needs it.
//!
//! ```text
//! /status/N     answers with this status
//! /echo         answers with the body of the request
//! /steps        sends a chunk, and a further one each time the test says so
//! /idle         sends a chunk, and ends once the test releases it
//! /flow         sends the body of the request back while it arrives
//! /cut          sends a chunk, and closes once the test says so
//! /half         says that ten bytes follow, sends five, and closes
//! /silent       closes without an answer
//! /hang, /stall never answers
//! /socket       changes to another protocol and sends every byte back
//! ```

use std::io::{Read, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

use super::super::harness::TIMEOUT;

/// A request that reached the upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A running upstream; its threads end with the test process.
pub struct Upstream {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    steps: Sender<()>,
    released: Arc<Released>,
    connections: Arc<AtomicUsize>,
}

/// Whether the idle answers may end.
#[derive(Default)]
struct Released {
    is_so: Mutex<bool>,
    changed: Condvar,
}

impl Upstream {
    pub fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (steps, of_test) = channel();
        let (requests, of_test) = (Arc::clone(&seen), Arc::new(Mutex::new(of_test)));
        let released = Arc::new(Released::default());
        let release = Arc::clone(&released);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, steps) = (Arc::clone(&requests), Arc::clone(&of_test));
                let release = Arc::clone(&release);
                accepted.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(stream, &requests, &steps, &release));
            }
        });
        Upstream { url, seen, steps, released, connections }
    }

    /// Lets `/steps` send its next chunk, or `/cut` close.
    pub fn step(&self) {
        self.steps.send(()).expect("the upstream runs");
    }

    /// The connections that were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Lets every `/idle` end.
    pub fn release(&self) {
        *self.released.is_so.lock().expect("no thread panicked") = true;
        self.released.changed.notify_all();
    }

    /// The requests that reached it.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

/// Answers the requests of a connection until it breaks off.
fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    steps: &Mutex<Receiver<()>>,
    released: &Released,
) -> Option<()> {
    stream.set_read_timeout(Some(2 * TIMEOUT)).ok()?;
    loop {
        let mut request = read_head(&mut stream)?;
        if request.line.starts_with("POST /flow") {
            let length: u64 = request.header("content-length")?.parse().ok()?;
            seen.lock().ok()?.push(request);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").ok()?;
            copy(&mut stream.try_clone().ok()?.take(length), &mut stream).ok()?;
            continue;
        }
        read_body(&mut stream, &mut request)?;
        seen.lock().ok()?.push(request.clone());
        let path = request.line.split(' ').nth(1)?.split('?').next()?;
        let is_head = request.line.starts_with("HEAD ");
        if let Some(status) = path.strip_prefix("/status/") {
            let has_body = !is_head && !["204", "304"].contains(&status);
            let (length, body) = if has_body { ("Content-Length: 4\r\n", "done") } else { ("", "") };
            write!(stream, "HTTP/1.1 {status} Said\r\n{length}Tollkeeper-Balance: 1\r\n\r\n{body}").ok()?;
            continue;
        }
        match path {
            "/echo" => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()).ok()?;
                stream.write_all(&request.body).ok()?;
            }
            "/steps" => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
                    .ok()?;
                let steps = steps.lock().ok()?;
                steps.recv_timeout(TIMEOUT).ok()?;
                stream.write_all(b"3\r\ntwo\r\n").ok()?;
                steps.recv_timeout(TIMEOUT).ok()?;
                stream.write_all(b"0\r\n\r\n").ok()?;
            }
            "/idle" => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
                    .ok()?;
                let is_so = released.is_so.lock().ok()?;
                drop(released.changed.wait_while(is_so, |is_so| !*is_so).ok()?);
                stream.write_all(b"0\r\n\r\n").ok()?;
            }
            "/cut" => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
                    .ok()?;
                steps.lock().ok()?.recv_timeout(TIMEOUT).ok()?;
                return None;
            }
            "/half" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").ok()?;
                return None;
            }
            "/hang" | "/stall" => return stream.read(&mut [0]).map(drop).ok(),
            "/socket" => return serve_socket(stream),
            _ => return None,
        }
    }
}

/// Changes to another protocol, and sends every byte back.
fn serve_socket(mut stream: TcpStream) -> Option<()> {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(head).ok()?;
    let mut from = stream.try_clone().ok()?;
    copy(&mut from, &mut stream).map(drop).ok()
}

/// Reads the head of a request; `None` if the connection ends before it is complete.
fn read_head(stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.trim_end().split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Seen { line, headers, body: Vec::new() })
}

/// Reads the body of a request; `None` if the connection ends before it is complete.
fn read_body(stream: &mut TcpStream, request: &mut Seen) -> Option<()> {
    if let Some(length) = request.header("content-length").and_then(|text| text.parse::<usize>().ok()) {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).ok()?;
    } else if request.header("transfer-encoding") == Some("chunked") {
        while let Some(mut chunk) = read_chunk(stream) {
            request.body.append(&mut chunk);
        }
    }
    Some(())
}

/// Reads a chunk; `None` at the last one.
fn read_chunk(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    let length = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
    let mut chunk = vec![0; length + 2];
    stream.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    (length > 0).then_some(chunk)
}
