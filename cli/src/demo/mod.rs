//! `tollkeeper demo`: runs a server with the reference prices (P2) and a workspace that has 90 days
//! of use, and prints links into its dashboard and a tour of curl commands.
//!
//! Everything on stdout can be pasted into a shell: a line is a command or a comment.
//!
//! ```text
//! tour            what is printed
//! sample          fills an empty ledger with what a state shows
//! state           first run, normal, zero balance
//! people          the workspace, its members, its keys
//! rules           thresholds, limits, the plan
//! traffic         the charges: when, for what, by which worker, how each ends
//! history         runs them with their payments, at times of the past
//! command_batch   many commands with their own times in few commits
//! failures        why an empty ledger cannot be filled
//! ```

mod command_batch;
mod failures;
mod history;
mod people;
mod rules;
mod sample;
mod state;
mod tour;
mod traffic;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tollkeeper_engine::{Engine, embedded};
use tollkeeper_server::settings::{MailAddress, RelayUrl, Secret};
use tollkeeper_server::{self as server, App, Settings, Store};

use crate::server_process;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;
use crate::transport::request::random_hex;
use state::{Found, State};
use tour::{SignIn, Tour};

const EXAMPLE: &str =
    "Open the links in a browser, and paste the output into another terminal. Ctrl-C stops the server;
`rm -r tollkeeper-demo` removes its data. A directory that holds data is not filled again. The state
`zero-balance` has no tour, because its charges are refused; `first-run` has none, because it has no
credit.

Examples:
  tollkeeper demo
  tollkeeper demo --state zero-balance --data tollkeeper-demo-empty";

/// The first port that the demo tries on 127.0.0.1.
const FIRST_PORT: u16 = 7070;

/// How many ports it tries before it takes any free port.
const PORTS: u16 = 100;

/// Run a server with a sample workspace and print links into its dashboard and a tour
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The data directory, created if absent [default: ./tollkeeper-demo]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The address to listen on [default: 127.0.0.1:7070, or the next free port]
    #[arg(long, value_name = "HOST:PORT", value_parser = server_process::address)]
    listen: Option<String>,

    /// What a new directory is filled with [default: normal]
    #[arg(long, value_name = "STATE")]
    state: Option<State>,

    /// The number of charges in the 90 days of a new directory
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    charges: u64,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut settings = Settings::load(None).map_err(|why| server_process::invalid_setting(&why))?;
    let Args { data, listen: address, state: asked, charges } = args;
    let data = absolute(&data.unwrap_or_else(|| PathBuf::from("tollkeeper-demo")))?;
    settings.store = Store::Directory(data.clone());
    let key = format!("demo-{}", random_hex()?);
    settings.access.platform_key = Some(Secret::new(key.clone()));
    server::start_log(&settings.log);
    server_process::block_on(async {
        let (listener, address) = listen(address).await?;
        let url = format!("http://{address}");
        settings.http.public_url.get_or_insert_with(|| url.clone());
        let mails = write_mails_to_files(&mut settings, &data);
        let is_new = !embedded::holds_ledger(&data);
        let engine = server_process::open(&settings.store, &settings).await?;
        let state = if is_new {
            let state = asked.unwrap_or(State::Normal);
            sample::fill(&engine, state, charges, &key, server_process::now()).await?;
            state
        } else {
            existing_state(&*engine, &data, asked).await?
        };
        let app = App::new(engine, &settings);
        server_process::prepare(&app, |_| {}).await?;
        let tour = Tour {
            url,
            data,
            mails,
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tollkeeper")),
            run: key[key.len() - 6..].to_owned(),
            credit: output::amount(people::available(&app, &key).await?),
            sign_ins: sign_ins(&app, &key).await?,
            key,
            state,
        };
        let stop = server_process::stop_signal()?;
        output::data(&tour.to_string())?;
        server_process::serve(app, listener, stop).await
    })
}

/// The state of a directory that holds data. It must be the one that was asked for, if one was.
async fn existing_state(engine: &dyn Engine, data: &Path, asked: Option<State>) -> Result<State, Failure> {
    let cannot = |why: &str| {
        Failure::new(Exit::Usage, format!("the demo cannot run in {}", data.display())).because(why)
    };
    let another = "name another directory with --data";
    match sample::find(engine).await? {
        None => Err(cannot("it holds another ledger").hint(another)),
        Some(Found::Unfinished) => {
            let why = "the demo was interrupted while it filled the directory";
            Err(cannot(why).hint("remove the directory, and start the demo again"))
        }
        Some(Found::Complete(found)) => {
            let found = found.unwrap_or(State::Normal);
            if asked.is_some_and(|asked| asked != found) {
                let why = format!("it was filled with the state `{}`", found.name());
                return Err(cannot(&why).hint(another));
            }
            Ok(found)
        }
    }
}

/// A link for the first admin and one for the first other member, as far as there are any.
async fn sign_ins(app: &Arc<App>, key: &str) -> Result<Vec<SignIn>, Failure> {
    let mut sign_ins = Vec::new();
    for role in ["admin", "member"] {
        if let Some((id, name)) = people::first_member(app, key, role).await? {
            let link = people::sign_in_link(app, key, &id).await?;
            sign_ins.push(SignIn { role, id, name, link });
        }
    }
    Ok(sign_ins)
}

/// Sets that mails become files of a folder in the data directory, unless a relay is set. Returns
/// the folder.
fn write_mails_to_files(settings: &mut Settings, data: &Path) -> Option<PathBuf> {
    if settings.mail.relay.is_some() {
        return None;
    }
    let folder = data.join("mails");
    settings.mail.relay = Some(RelayUrl::Folder(folder.clone()));
    settings.mail.from = MailAddress::new("Tollkeeper <demo@tollkeeper.example>");
    Some(folder)
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
