//! `tollkeeper gate`: runs the gate alone, against a server elsewhere.
//!
//! `serve` runs the same gate beside the server, if its settings file has a table `[gate]`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Uri;
use tollkeeper_gate::Remote;

use crate::terminal::failure::{Exit, Failure};
use crate::{gate_process, server_process};

const EXAMPLE: &str =
    "The gate charges each request before it reaches its upstream. Outcomes are reported with the key
in TOLLKEEPER_KEY, else TOLLKEEPER_PLATFORM_KEY: the platform's, or one with the scopes `charge`
and `settle`. When the gate is ready it prints: gate listening on http://HOST:PORT

Example of a settings file:
  [gate]
  listen = \"127.0.0.1:8081\"

  [[gate.routes]]
  method = \"POST\"
  path = \"/v1/images/*\"
  operation = \"virtual_try_on\"
  upstream = \"http://127.0.0.1:9000\"
  quantity = { json = \"/images\" }
  timeout_seconds = 120

Example:
  tollkeeper gate --server https://credits.example.com --config gate.toml";

/// Run the gate alone: a proxy that charges each request before its upstream runs it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The address of the server that keeps the ledger
    #[arg(long, value_name = "URL")]
    server: String,

    /// The settings file with the table `[gate]`, in TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { server, config } = args;
    let settings = gate_process::settings(&config)?.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no gate to run")
            .because(format!("{} has no table `[gate]`", config.display()))
            .hint("`tollkeeper gate --help` shows an example")
    })?;
    let address = server.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.query().is_none()
            && uri.authority().is_some()
    });
    let address = address.ok_or_else(|| {
        Failure::new(Exit::Usage, "the address of the server is not valid")
            .because(format!("`--server` is {server}"))
            .hint("it begins with http:// or https://, such as https://credits.example.com")
    })?;
    let key =
        ["TOLLKEEPER_KEY", "TOLLKEEPER_PLATFORM_KEY"].into_iter().find_map(|name| std::env::var(name).ok());
    let key = key.filter(|key| !key.is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, "the gate has no key to report outcomes with")
            .because("neither TOLLKEEPER_KEY nor TOLLKEEPER_PLATFORM_KEY is set")
            .hint("set one of them to the platform key")
    })?;
    let api = Remote::new(address, &key)
        .map_err(|why| Failure::new(Exit::Usage, "the server cannot be called").because(why))?;
    server_process::block_on(async {
        let stop = server_process::stop_signal()?;
        let gate = gate_process::listen(settings, Arc::new(api)).await?;
        gate.announce()?;
        gate.serve(stop).await;
        Ok(())
    })
}
