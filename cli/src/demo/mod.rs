//! `tollkeeper demo`: a server with the reference prices (P2), a workspace with 10 USD, and a tour of curl commands that
//! work as printed. All that it prints on stdout can be pasted into a shell: what is not a command is a comment.
//!
//! The tour itself is in `tour`.

mod tour;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollkeeper_server::settings::Secret;
use tollkeeper_server::{self as server, App, Settings, Store};

use crate::server_process;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;
use crate::transport::request::{Request, path, random_hex};
use crate::transport::{local, problem};
use tour::Tour;

const EXAMPLE: &str =
    "Paste what it prints into another terminal. Ctrl-C stops it; `rm -r tollkeeper-demo` forgets it.

Example:
  tollkeeper demo";

/// The credit that the sample workspace starts with, in micro-units: 10 USD.
const CREDIT: i64 = 1_000_000;

/// The first address that is tried, and how many ports after it.
const PORT: u16 = 7070;
const PORTS: u16 = 100;

/// Run a server with a sample workspace and print a tour
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The data directory, made if absent [default: ./tollkeeper-demo]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where to listen [default: 127.0.0.1:7070, or the next free port]
    #[arg(long, value_name = "HOST:PORT", value_parser = server_process::address)]
    listen: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut settings = Settings::load(None).map_err(|why| server_process::wrong_setting(&why))?;
    let data = args.data.unwrap_or_else(|| PathBuf::from("tollkeeper-demo"));
    settings.store = Store::Directory(data.clone());
    let key = format!("demo-{}", random_hex()?);
    settings.platform_key = Some(Secret::new(key.clone()));
    server::start_log(&settings);
    server_process::block_on(async {
        let app = App::new(server_process::open(&settings.store, &settings).await?, &settings);
        server_process::prepare(&app).await?;
        fill(&app, &key).await?;
        let (listener, address) = listen(args.listen).await?;
        let tour = Tour {
            url: format!("http://{address}"),
            data: absolute(&data)?,
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tollkeeper")),
            run: key[key.len() - 6..].to_owned(),
            key,
        };
        let stop = server_process::stop_signal()?;
        output::data(&tour.to_string())?;
        server_process::serve(app, listener, stop).await
    })
}

/// Opens the workspace `acme` unless it is there, and brings its credit (back) to 10 USD.
async fn fill(app: &Arc<App>, key: &str) -> Result<(), Failure> {
    let opened =
        Request::write("POST", path(&["v1", "workspaces"]), json!({"id": "acme", "name": "Acme Fashion"}));
    let answer = local::ask(app.clone(), key, opened).await?;
    if answer.status != 201 && answer.status != 409 {
        return Err(problem::failure(&answer));
    }
    let answer =
        local::ask(app.clone(), key, Request::get(path(&["v1", "workspaces", "acme", "balance"]))).await?;
    let balance: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let Some(available) = balance["available"].as_i64() else {
        return Err(problem::failure(&answer));
    };
    if available >= CREDIT {
        return Ok(());
    }
    let body =
        json!({"source": "promotional", "amount": CREDIT - available, "reason": "credit to try things with"});
    let mut grant = Request::write("POST", path(&["v1", "workspaces", "acme", "grants"]), body);
    grant.key = Some(format!("demo-{}", random_hex()?));
    let answer = local::ask(app.clone(), key, grant).await?;
    if answer.status == 201 { Ok(()) } else { Err(problem::failure(&answer)) }
}

/// Listens at the given address, or at the first free port from the usual one on.
async fn listen(given: Option<String>) -> Result<(TcpListener, SocketAddr), Failure> {
    if let Some(address) = given {
        return server_process::listen(&address).await;
    }
    for port in PORT..PORT + PORTS {
        if let Ok(listening) = server_process::listen(&format!("127.0.0.1:{port}")).await {
            return Ok(listening);
        }
    }
    server_process::listen("127.0.0.1:0").await
}

fn absolute(directory: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(directory)
        .map_err(|why| Failure::new(Exit::NotNow, "the current directory is not there").because(why))
}
