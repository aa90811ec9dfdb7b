//! `tollkeeper serve`: runs the server on a data directory or a PostgreSQL database.
//!
//! When it is ready, it prints one line to stdout. A platform key that the first start makes is
//! printed once, to stderr.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tollkeeper_server::{self as server, App, Settings};

use crate::gate_process::LocalApi;
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::store_args;
use crate::{gate_process, server_process};

const EXAMPLE: &str = "When the server is ready it prints one line to stdout: listening on http://HOST:PORT
The first start makes a platform key and prints it once to stderr, unless TOLLKEEPER_PLATFORM_KEY
is set. On SIGTERM or SIGINT the server finishes the accepted requests and exits with code 0.
If the settings file has a table `[gate]`, the gate runs beside the server and prints a line, too.

Examples:
  tollkeeper serve --data /var/lib/tollkeeper --listen 127.0.0.1:8080
  tollkeeper serve --listen 127.0.0.1:0
  TOLLKEEPER_DATABASE_URL=postgres://tollkeeper:…@db/tollkeeper tollkeeper serve";

/// Run the server on a data directory or a PostgreSQL database
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The data directory, created if absent [default: TOLLKEEPER_DATA, the settings file, else
    /// ./tollkeeper-data]
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    data: Option<PathBuf>,

    /// The address to listen on; port 0 takes a free port [default: TOLLKEEPER_LISTEN, the settings
    /// file, else 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT", value_parser = server_process::address)]
    listen: Option<String>,

    /// The settings file, in TOML; docs/OPERATING.md describes every setting
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A PostgreSQL database instead, postgres://…; any number of servers may share it [default:
    /// TOLLKEEPER_DATABASE_URL; put a password there, because every user of the machine can see
    /// arguments]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,

    /// Serve a data directory whose journal has lost acknowledged entries, without them. What
    /// proves the loss is kept in the directory
    #[arg(long, conflicts_with = "database_url")]
    accept_loss: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let gate = args.config.as_deref().map_or(Ok(None), gate_process::settings)?;
    let settings = settings(args)?;
    server::start_log(&settings.log);
    server_process::block_on(async {
        let app = App::new(server_process::open(&settings.store, &settings).await?, &settings);
        let mut shown = false;
        let show = |key: &str| {
            shown = true;
            output::remark(&format!(
                "The platform key, printed once; only its hash is stored:\n\n    {key}\n"
            ));
        };
        if server_process::prepare(&app, show).await?.is_none() && shown {
            output::remark(
                "Another server has stored its platform key first. The key above opens nothing.\n",
            );
        }
        server_process::check_secret(&app)?;
        let (listener, address) = server_process::listen(&settings.http.listen).await?;
        let stop = server_process::stop_signal()?;
        let gate = match gate {
            Some(gate) => Some(gate_process::listen(gate, Arc::new(LocalApi::new(&app))).await?),
            None => None,
        };
        // Said once every port is taken, so that a process that says it does not end because of
        // one.
        output::data(&format!("listening on http://{address}\n"))?;
        let Some(gate) = gate else { return server_process::serve(app, listener, stop).await };
        gate.announce()?;
        // The gate ends first, so that the outcomes of its last requests are reported.
        let (gate_ended, ended) = oneshot::channel::<()>();
        let serving_gate = async {
            gate.serve(stop).await;
            drop(gate_ended);
        };
        let stop = async { drop(ended.await) };
        tokio::join!(serving_gate, server_process::serve(app, listener, stop)).1
    })
}

/// Loads the settings. Precedence: flag, then environment, then file.
fn settings(args: Args) -> Result<Settings, Failure> {
    let Args { data, listen, config, database_url, accept_loss } = args;
    let mut settings =
        Settings::load(config.as_deref()).map_err(|why| server_process::invalid_setting(&why))?;
    if let Some(store) = store_args::from_options(data, database_url)? {
        settings.store = store;
    }
    settings.engine.accept_loss = accept_loss;
    if let Some(listen) = listen {
        settings.http.listen = listen;
    }
    Ok(settings)
}
