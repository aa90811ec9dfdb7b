//! `tollkeeper serve`: the server on a data directory or a database. Ready means one line on stdout; a key made at the
//! first start is shown once, on stderr.

use std::path::PathBuf;

use tollkeeper_server::{self as server, App, Settings};

use crate::server_process;
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::store_args;

const EXAMPLE: &str = "When it is ready it prints one line on stdout: listening on http://HOST:PORT
At the first start it makes a platform key and shows it once on stderr, unless
TOLLKEEPER_PLATFORM_KEY is set. SIGTERM and SIGINT finish what was accepted and exit 0.

Examples:
  tollkeeper serve --data /var/lib/tollkeeper --listen 127.0.0.1:8080
  tollkeeper serve --listen 127.0.0.1:0
  TOLLKEEPER_DATABASE_URL=postgres://tollkeeper:…@db/tollkeeper tollkeeper serve";

/// Run the server on a data directory or a PostgreSQL database
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The data directory, made if absent [default: TOLLKEEPER_DATA, the configuration, else ./tollkeeper-data]
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    data: Option<PathBuf>,

    /// Where to listen; port 0 takes a free one [default: TOLLKEEPER_LISTEN, the configuration, else 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT", value_parser = server_process::address)]
    listen: Option<String>,

    /// A TOML file of settings; every one is described in docs/OPERATING.md
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A PostgreSQL database instead, postgres://…; any number of servers may share it [default:
    /// TOLLKEEPER_DATABASE_URL, the place for a password: arguments are seen by every user of the machine]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let settings = settings(args)?;
    server::start_log(&settings);
    server_process::block_on(async {
        let app = App::new(server_process::open(&settings.store, &settings).await?, &settings);
        if let Some(key) = server_process::prepare(&app).await? {
            output::remark(&format!(
                "The platform key, shown this once; only its hash is kept:\n\n    {key}\n"
            ));
        }
        let (listener, address) = server_process::listen(&settings.listen).await?;
        let stop = server_process::stop_signal()?;
        output::data(&format!("listening on http://{address}\n"))?;
        server_process::serve(app, listener, stop).await
    })
}

/// The file, then the environment, then the options: what comes later goes before.
fn settings(args: Args) -> Result<Settings, Failure> {
    let Args { data, listen, config, database_url } = args;
    let mut settings =
        Settings::load(config.as_deref()).map_err(|why| server_process::wrong_setting(&why))?;
    if let Some(store) = store_args::given(data, database_url)? {
        settings.store = store;
    }
    if let Some(listen) = listen {
        settings.listen = listen;
    }
    Ok(settings)
}
