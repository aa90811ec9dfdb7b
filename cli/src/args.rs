//! The command line as a whole: the subcommands, and what holds for all of them. Each has a file of its own.

use crate::commands::{
    audit, backup, balance, charge, entries, grant, key, limits, member, migrate, portal, prices, serve,
    transfer, workspace,
};
use crate::terminal::failure::Failure;
use crate::{bench, demo};

const EPILOGUE: &str = "\
Data commands work in this process on a data directory (--data DIR, reading also beside a running
server) or on a PostgreSQL database (--database-url URL), or ask a running server (--server URL).
Data goes to stdout, messages to stderr; --json prints the API's JSON.

Exit codes:
  0  done
  1  the answer is no: refused, or the audit disagrees
  2  wrong usage: the command or a value can never work
  3  not now: the store cannot be used, the server cannot be reached

Environment:
  TOLLKEEPER_DATA            the data directory
  TOLLKEEPER_DATABASE_URL    the PostgreSQL database instead, postgres://USER:PASSWORD@HOST/DATABASE
  TOLLKEEPER_LISTEN          where `serve` listens
  TOLLKEEPER_PLATFORM_KEY    the platform key: of `serve`, and for --server
  TOLLKEEPER_KEY             the key for --server, before that: the platform's or a workspace's

Begin with:
  tollkeeper demo";

/// Prepaid-credit billing: every AI operation is paid from its workspace's credit before it runs
#[derive(Debug, clap::Parser)]
#[command(name = "tollkeeper", version, after_help = EPILOGUE, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Workspace(workspace::Args),
    Member(member::Args),
    Key(key::Args),
    Limits(limits::Args),
    Portal(portal::Args),
    Grant(grant::Args),
    Charge(charge::Args),
    Balance(balance::Args),
    Entries(entries::Args),
    Prices(prices::Args),
    Audit(audit::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Export(transfer::ExportArgs),
    Import(transfer::ImportArgs),
    Migrate(migrate::Args),
    Bench(bench::Args),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Workspace(args) => workspace::run(args),
            Command::Member(args) => member::run(args),
            Command::Key(args) => key::run(args),
            Command::Limits(args) => limits::run(args),
            Command::Portal(args) => portal::run(args),
            Command::Grant(args) => grant::run(args),
            Command::Charge(args) => charge::run(args),
            Command::Balance(args) => balance::run(args),
            Command::Entries(args) => entries::run(args),
            Command::Prices(args) => prices::run(args),
            Command::Audit(args) => audit::run(args),
            Command::Backup(args) => backup::backup(args),
            Command::Restore(args) => backup::restore(args),
            Command::Export(args) => transfer::export(args),
            Command::Import(args) => transfer::import(args),
            Command::Migrate(args) => migrate::run(args),
            Command::Bench(args) => bench::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_options_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
