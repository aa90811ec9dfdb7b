//! `tollkeeper demo`: runs a server with the reference prices (P2) and a workspace that has 10 USD,
//! and prints a tour of curl commands.
//!
//! Everything on stdout can be pasted into a shell: a line is a command or a comment. The text of
//! the tour is in `tour`.

mod tour;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollkeeper_server::settings::{MailAddress, RelayUrl, Secret};
use tollkeeper_server::{self as server, App, Settings, Store};

use crate::server_process;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;
use crate::transport::request::{Request, path, random_hex};
use crate::transport::{local, problem};
use tour::Tour;

const EXAMPLE: &str =
    "Paste the output into another terminal. Ctrl-C stops the server; `rm -r tollkeeper-demo` removes its
data.

Example:
  tollkeeper demo";

/// The credit of the sample workspace in micro-units: 10 USD.
const CREDIT: i64 = 1_000_000;

/// The first port that the demo tries on 127.0.0.1.
const FIRST_PORT: u16 = 7070;

/// How many ports it tries before it takes any free port.
const PORTS: u16 = 100;

/// Run a server with a sample workspace and print a tour
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The data directory, created if absent [default: ./tollkeeper-demo]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The address to listen on [default: 127.0.0.1:7070, or the next free port]
    #[arg(long, value_name = "HOST:PORT", value_parser = server_process::address)]
    listen: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut settings = Settings::load(None).map_err(|why| server_process::invalid_setting(&why))?;
    let data = args.data.unwrap_or_else(|| PathBuf::from("tollkeeper-demo"));
    settings.store = Store::Directory(data.clone());
    let key = format!("demo-{}", random_hex()?);
    settings.access.platform_key = Some(Secret::new(key.clone()));
    server::start_log(&settings.log);
    server_process::block_on(async {
        let (listener, address) = listen(args.listen).await?;
        let (url, data) = (format!("http://{address}"), absolute(&data)?);
        let mails = write_mails_to_files(&mut settings, &url, &data);
        let app = App::new(server_process::open(&settings.store, &settings).await?, &settings);
        server_process::prepare(&app, |_| {}).await?;
        let available = prepare_sample(&app, &key).await?;
        let tour = Tour {
            url,
            data,
            mails,
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tollkeeper")),
            run: key[key.len() - 6..].to_owned(),
            key,
            credit: output::amount(available),
        };
        let stop = server_process::stop_signal()?;
        output::data(&tour.to_string())?;
        server_process::serve(app, listener, stop).await
    })
}

/// Sets that mails become files of a folder in the data directory, unless a relay is set. Returns
/// the folder.
fn write_mails_to_files(settings: &mut Settings, url: &str, data: &Path) -> Option<PathBuf> {
    if settings.mail.relay.is_some() {
        return None;
    }
    let folder = data.join("mails");
    settings.mail.relay = Some(RelayUrl::Folder(folder.clone()));
    settings.mail.from = MailAddress::new("Tollkeeper <demo@tollkeeper.example>");
    settings.http.public_url.get_or_insert_with(|| url.to_owned());
    Some(folder)
}

/// Creates the workspace `acme` with an admin unless it exists, and grants what it lacks to 10 USD.
/// Returns its credit.
async fn prepare_sample(app: &Arc<App>, key: &str) -> Result<i64, Failure> {
    let create =
        Request::write("POST", path(&["v1", "workspaces"]), json!({"id": "acme", "name": "Acme Fashion"}));
    let answer = local::call(app.clone(), key, create).await?;
    if answer.status != 201 && answer.status != 409 {
        return Err(problem::failure(&answer));
    }
    let admin = json!({"id": "ada", "email": "ada@example.com", "name": "Ada", "role": "admin"});
    let create = Request::write("POST", path(&["v1", "workspaces", "acme", "members"]), admin);
    let answer = local::call(app.clone(), key, create).await?;
    if answer.status != 201 && answer.status != 409 {
        return Err(problem::failure(&answer));
    }
    let answer =
        local::call(app.clone(), key, Request::get(path(&["v1", "workspaces", "acme", "balance"]))).await?;
    let balance: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let Some(available) = balance["available"].as_i64() else {
        return Err(problem::failure(&answer));
    };
    if available >= CREDIT {
        return Ok(available);
    }
    let body = json!({"source": "promotional", "amount": CREDIT - available, "reason": "credit of the demo"});
    let mut grant = Request::write("POST", path(&["v1", "workspaces", "acme", "grants"]), body);
    grant.key = Some(format!("demo-{}", random_hex()?));
    let answer = local::call(app.clone(), key, grant).await?;
    if answer.status == 201 { Ok(CREDIT) } else { Err(problem::failure(&answer)) }
}

/// Listens at the given address; without one, at the first free port from `FIRST_PORT` on.
async fn listen(given: Option<String>) -> Result<(TcpListener, SocketAddr), Failure> {
    if let Some(address) = given {
        return server_process::listen(&address).await;
    }
    for port in FIRST_PORT..FIRST_PORT + PORTS {
        if let Ok(listening) = server_process::listen(&format!("127.0.0.1:{port}")).await {
            return Ok(listening);
        }
    }
    server_process::listen("127.0.0.1:0").await
}

fn absolute(directory: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(directory)
        .map_err(|why| Failure::new(Exit::Unavailable, "the current directory does not exist").because(why))
}
