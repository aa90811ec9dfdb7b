//! What is typed: the binary `tollkeeper`, a file per subcommand.
//!
//! ```text
//! args       the command line as a whole
//! serve      the server              demo     the same with a sample workspace and a tour
//! workspace, member, key, limits, portal, grant, charge, balance, entries, prices
//!            data commands: each is one request of the HTTP API,
//!            sent by `target` to a server (`remote`) or to a data directory in this process (`local`)
//! audit, backup     beside a running server or not    moving    export and import of a whole ledger
//! migrate    the tables of a database     place     which directory or database
//! bench      how fast this machine charges
//! output     lines, tables, JSON     failure, problem     how a command ends badly
//! ```
//!
//! Nothing here decides anything about credit, and nothing here knows the database.

mod args;
mod bench;
mod commands;
mod demo;
mod server_process;
mod terminal;
mod transport;

use std::process::ExitCode;

use clap::Parser;

// Many small allocations per request, on several threads: what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
