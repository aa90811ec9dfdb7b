//! The binary `tollkeeper`: parses the command line and runs one subcommand.
//!
//! ```text
//! args             the command line as a whole: subcommands, help, exit codes, environment
//! commands/        one file per subcommand
//! transport/       sends a request of the HTTP API to a server, or to a store in this process
//! terminal/        what users and scripts see: tables, JSON, failures with their exit codes
//! server_process   opens a store and serves it until a signal arrives
//! gate_process     runs a gate beside a server, or alone
//! demo/            a server with a workspace that has 90 days of use, and a printed tour
//! bench/           measures how many charges per second this machine takes
//! ```
//!
//! Every data command is one request of the HTTP API, so the command line adds no rule of its own:
//! prices, limits, refusals and JSON come from the server crate, also without a running server.

mod args;
mod bench;
mod commands;
mod demo;
mod gate_process;
mod server_process;
mod terminal;
mod transport;

use std::process::ExitCode;

use clap::Parser;

// A request makes many small allocations on several threads, which mimalloc serves fast.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
