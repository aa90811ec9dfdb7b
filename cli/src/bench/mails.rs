//! `tollkeeper bench --mails`: how soon the relay has the mail about a low balance.
//!
//! Charges at a fixed rate bring each of some workspaces below its threshold. A mail is measured
//! from the answer to its charge, which the client gets after the commit, until the relay has read
//! its content. The relay is a small one in this process, which takes everything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tollkeeper_engine::Engine;
use tollkeeper_server::settings::{AccessSettings, Secret};
use tollkeeper_server::{App, Settings};

use super::credentials::PLATFORM_KEY;
use super::failure::failed;
use super::options::Args;
use super::stats::{percentile, sorted};
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::request::{Request, path};
use crate::transport::{local, problem};

/// How many charges are made in a second.
const CHARGES_PER_SECOND: u32 = 50;

/// How long the relay waits for the last mails.
const LAST_MAILS: Duration = Duration::from_secs(30);

/// A recipient whose mail was read, and when.
type Read = (String, Instant);

/// Measures mails on an engine, prints the report and closes the engine.
pub async fn run(args: &Args, mails: u64, engine: Arc<dyn Engine>) -> Result<(), Failure> {
    let io_failed = |error: std::io::Error| failed(error.to_string());
    let relay = TcpListener::bind("127.0.0.1:0").await.map_err(io_failed)?;
    let app = App::new(Arc::clone(&engine), &settings(relay.local_addr().map_err(io_failed)?.port())?);
    tollkeeper_server::prepare(&app).await.map_err(|error| failed(error.to_string()))?;
    let (reads, mut read) = mpsc::unbounded_channel();
    let relaying = tokio::spawn(take_mails(relay, reads));
    for n in 0..mails {
        workspace(&app, n).await?;
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io_failed)?;
    let stopped = async { drop(stopped.await) };
    let serving = tokio::spawn(tollkeeper_server::serve(Arc::clone(&app), listener, stopped));
    let mut answered: HashMap<String, Instant> = HashMap::new();
    let mut charges = Vec::with_capacity(mails as usize);
    let mut timer = tokio::time::interval(Duration::from_secs(1) / CHARGES_PER_SECOND);
    for n in 0..mails {
        timer.tick().await;
        let body = json!({"operation": "virtual_try_on"});
        let mut request = Request::write("POST", path(&["v1", "workspaces", &name(n), "charges"]), body);
        request.key = Some("fall".to_owned());
        let begun = Instant::now();
        call(&app, request).await?;
        charges.push(begun.elapsed());
        answered.insert(address(n), Instant::now());
    }
    let mut latencies: Vec<Duration> = Vec::with_capacity(mails as usize);
    let all = async {
        while let Some((recipient, at)) = read.recv().await {
            let answered = answered.remove(&recipient);
            latencies.extend(answered.map(|answered| at.saturating_duration_since(answered)));
            if answered.is_some() && latencies.len() as u64 == mails {
                return;
            }
        }
    };
    // What is missing then is in the report.
    let _ = tokio::time::timeout(LAST_MAILS, all).await;
    drop(stop);
    let served = serving.await.map_err(|error| failed(error.to_string()))?;
    served.map_err(|error| failed(error.to_string()))?;
    relaying.abort();
    let (charges, sent) = (sorted(charges.iter()), sorted(latencies.iter()));
    let report = json!({
        "engine": args.engine().name(),
        "charges": mails,
        "rate": CHARGES_PER_SECOND,
        "charge_p50_ms": percentile(&charges, 50),
        "charge_p99_ms": percentile(&charges, 99),
        "mails": sent.len(),
        "mails_missing": mails - sent.len() as u64,
        "mail_p50_ms": percentile(&sent, 50),
        "mail_p99_ms": percentile(&sent, 99),
        "mail_max_ms": percentile(&sent, 100),
    });
    if args.json {
        return output::data(&format!("{report}\n"));
    }
    let fields = report.as_object().into_iter().flatten();
    output::data(&fields.map(|(name, value)| format!("{name:<22}{value}\n")).collect::<String>())
}

fn settings(relay: u16) -> Result<Settings, Failure> {
    let access = AccessSettings {
        platform_key: Some(Secret::new(PLATFORM_KEY)),
        platform_key_requests_per_second: 0,
        ..AccessSettings::default()
    };
    let mut settings = Settings { access, ..Settings::default() };
    settings.http.public_url = Some("http://127.0.0.1".to_owned());
    let wrong = || failed("a setting of the benchmark is not valid".to_owned());
    settings.webhooks.set("secret_key", &"5a".repeat(32)).ok_or_else(wrong)?;
    settings.mail.set("smtp_url", &format!("smtp://127.0.0.1:{relay}?tls=none")).ok_or_else(wrong)?;
    settings.mail.set("mail_from", "bench@tollkeeper.example").ok_or_else(wrong)?;
    Ok(settings)
}

fn name(n: u64) -> String {
    format!("mails-{n}")
}

fn address(n: u64) -> String {
    format!("ada-{n}@example.com")
}

/// Creates a workspace with an admin that the next charge brings below its threshold.
async fn workspace(app: &Arc<App>, n: u64) -> Result<(), Failure> {
    let of = |rest: &[&str]| path(&[&["v1", "workspaces", &*name(n)], rest].concat());
    let body = json!({"id": name(n), "name": name(n)});
    call(app, Request::write("POST", path(&["v1", "workspaces"]), body)).await?;
    let body = json!({"id": "ada", "email": address(n), "name": "Ada", "role": "admin"});
    call(app, Request::write("POST", of(&["members"]), body)).await?;
    let body = json!({"source": "promotional", "amount": 100_000, "reason": "benchmark"});
    let mut grant = Request::write("POST", of(&["grants"]), body);
    grant.key = Some("benchmark".to_owned());
    call(app, grant).await?;
    let body = json!({"thresholds": [{"amount": 90_000}]});
    call(app, Request::write("PUT", of(&["alerts"]), body)).await.map(drop)
}

async fn call(app: &Arc<App>, request: Request) -> Result<Value, Failure> {
    let answer = local::call(Arc::clone(app), PLATFORM_KEY, request).await?;
    if !(200..300).contains(&answer.status) {
        return Err(problem::failure(&answer));
    }
    serde_json::from_str(&answer.text).map_err(|error| failed(error.to_string()))
}

/// Takes mails on all connections.
async fn take_mails(relay: TcpListener, reads: mpsc::UnboundedSender<Read>) {
    while let Ok((socket, _)) = relay.accept().await {
        tokio::spawn(converse(socket, reads.clone()));
    }
}

/// One conversation. It ends when the other side does.
async fn converse(socket: TcpStream, reads: mpsc::UnboundedSender<Read>) -> Option<()> {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 bench\r\n").await.ok()?;
    let mut recipient = String::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer = match &*verb {
            "RCPT" => {
                recipient = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                "250 OK\r\n"
            }
            "DATA" => {
                write.write_all(b"354 Go on\r\n").await.ok()?;
                while lines.next_line().await.ok()?? != "." {}
                reads.send((recipient.clone(), Instant::now())).ok()?;
                "250 Queued\r\n"
            }
            "QUIT" => return write.write_all(b"221 Bye\r\n").await.ok(),
            _ => "250 OK\r\n",
        };
        write.write_all(answer.as_bytes()).await.ok()?;
    }
    None
}
