//! `tollkeeper bench --follower`: what a webhook endpoint that is sent a message about each charge
//! costs the charges.
//!
//! Rounds with the endpoint and rounds without it take turns. The endpoint begins anew with each of
//! its rounds, so it is never sent the charges of a round without it. The receiver runs in this
//! process, on threads of its own, and accepts everything. Server, receiver and clients share the
//! machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::json;
use tollkeeper_engine::Engine;
use tollkeeper_server::settings::{AccessSettings, Secret, WebhookSettings};
use tollkeeper_server::{App, Settings};

use super::credentials::PLATFORM_KEY;
use super::failure::failed;
use super::hostile::call;
use crate::terminal::failure::Failure;
use crate::transport::request::{Request, path};

/// The secret of the instance, which signs for this measurement only.
const SECRET_KEY: &str = "5ec4e7";

/// An endpoint that follows every charge, and a server that sends to it.
pub struct Follower {
    app: Arc<App>,
    endpoint: String,
    received: Arc<AtomicU64>,
}

impl Follower {
    /// Starts a server with its jobs, and a receiver; the endpoint is disabled at first.
    pub async fn start(engine: Arc<dyn Engine>) -> Result<Follower, Failure> {
        let io = |error: std::io::Error| failed(error.to_string());
        let receiver = TcpListener::bind("127.0.0.1:0").map_err(io)?;
        let port = receiver.local_addr().map_err(io)?.port();
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        std::thread::spawn(move || accept(&receiver, &count));
        let mut webhooks = WebhookSettings { allow_http: true, allow_private: true, ..Default::default() };
        let secret = format!("{SECRET_KEY:0<64}");
        let are_set =
            webhooks.set("webhooks_ports", &port.to_string()).and(webhooks.set("secret_key", &secret));
        are_set.ok_or_else(|| failed("the settings of the follower are wrong"))?;
        let access =
            AccessSettings { platform_key: Some(Secret::new(PLATFORM_KEY)), ..AccessSettings::default() };
        let app = App::new(engine, &Settings { access, webhooks, ..Settings::default() });
        tollkeeper_server::prepare(&app).await.map_err(|error| failed(error.to_string()))?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
        tokio::spawn(tollkeeper_server::serve(Arc::clone(&app), listener, std::future::pending()));
        let body = json!({"url": format!("http://127.0.0.1:{port}/"), "kinds": ["charge.settled"]});
        let made = call(&app, PLATFORM_KEY, Request::write("POST", path(&["v1", "webhook-endpoints"]), body))
            .await?;
        let endpoint = made["id"].as_str().ok_or_else(|| failed("the endpoint has no id"))?.to_owned();
        let follower = Follower { app, endpoint, received };
        follower.disable().await?;
        Ok(follower)
    }

    /// Sends messages about the charges from now on.
    pub async fn enable(&self) -> Result<(), Failure> {
        self.change(json!({"enabled": true, "from": "now"})).await
    }

    /// Sends no more messages.
    pub async fn disable(&self) -> Result<(), Failure> {
        self.change(json!({"enabled": false})).await
    }

    /// The messages that the receiver has accepted.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    async fn change(&self, changes: serde_json::Value) -> Result<(), Failure> {
        let path = path(&["v1", "webhook-endpoints", &self.endpoint]);
        call(&self.app, PLATFORM_KEY, Request::write("PATCH", path, changes)).await.map(|_| ())
    }
}

/// Accepts connections until the process ends, each on a thread of its own.
fn accept(listener: &TcpListener, received: &Arc<AtomicU64>) {
    for socket in listener.incoming().flatten() {
        let received = Arc::clone(received);
        // A connection that breaks is opened again by the sender.
        std::thread::spawn(move || receive(&socket, &received));
    }
}

/// Answers each message of a connection.
fn receive(socket: &TcpStream, received: &AtomicU64) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(socket), socket);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        received.fetch_add(1, Relaxed);
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
