//! The command line as a whole: the subcommands, and the part of `--help` that holds for all of
//! them. The options of a subcommand are in its own file.

use clap::CommandFactory;

use crate::commands::{
    alerts, audit, auto_top_up, backup, balance, burn_rate, charge, clock, completions, entries, gate, grant,
    key, limits, mail, man, mark_restored, member, migrate, operator_password, payment_method, plans, portal,
    prices, repair, report, serve, settings, subscription, top_up, transfer, usage, webhooks, workspace,
};
use crate::terminal::failure::Failure;
use crate::{bench, demo};

const EPILOGUE: &str = "\
A data command (workspace to clock) works on a data directory (--data DIR) or on a PostgreSQL
database (--database-url URL), or asks a running server (--server URL). While a server uses a data
directory, commands that only read still work on it; send the others to the server.

Data goes to stdout, messages go to stderr. --json prints the JSON of the API.

Exit codes:
  0  done
  1  refused: the API refuses the request, or an audit finds a disagreement
  2  wrong usage: the command line or a setting is invalid
  3  unavailable: the store cannot be used, or the server cannot be reached
  4  findings: `audit --rules` found what the rules of today would decide otherwise

Environment:
  TOLLKEEPER_DATA            the data directory [default: ./tollkeeper-data]
  TOLLKEEPER_DATABASE_URL    a PostgreSQL database instead, postgres://USER:PASSWORD@HOST/DATABASE
  TOLLKEEPER_LISTEN          the address where `serve` listens [default: 127.0.0.1:8080]
  TOLLKEEPER_PLATFORM_KEY    the platform key of `serve`, also used with --server
  TOLLKEEPER_KEY             the key used with --server, of the platform or of a workspace
  NO_COLOR                   if not empty, the log of `serve` has no colors
  CLICOLOR_FORCE             if set and not 0, the log of `serve` has colors also in a file

Precedence: flag, then environment, then file.

Start with:
  tollkeeper demo";

/// Prepaid-credit billing: every AI operation is charged to its workspace's credit before it runs
#[derive(Debug, clap::Parser)]
#[command(name = "tollkeeper", version, after_help = EPILOGUE, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Args),
    Gate(gate::Args),
    Demo(demo::Args),
    #[command(subcommand)]
    Workspace(workspace::Command),
    #[command(subcommand)]
    Member(member::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Limits(limits::Command),
    #[command(subcommand)]
    Alerts(alerts::Command),
    #[command(subcommand)]
    Portal(portal::Command),
    #[command(subcommand)]
    Grant(grant::Command),
    #[command(subcommand)]
    TopUp(top_up::Command),
    #[command(subcommand)]
    AutoTopUp(auto_top_up::Command),
    #[command(subcommand)]
    PaymentMethod(payment_method::Command),
    #[command(subcommand)]
    Subscription(subscription::Command),
    #[command(subcommand)]
    Charge(charge::Command),
    Balance(balance::Args),
    Usage(usage::Args),
    BurnRate(burn_rate::Args),
    Entries(entries::Args),
    Report(report::Args),
    #[command(subcommand)]
    Prices(prices::Command),
    #[command(subcommand)]
    Plans(plans::Command),
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    #[command(subcommand)]
    Mail(mail::Command),
    #[command(subcommand)]
    Settings(settings::Command),
    #[command(subcommand)]
    Clock(clock::Command),
    Audit(audit::Args),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    MarkRestored(mark_restored::Args),
    Repair(repair::Args),
    Export(transfer::ExportArgs),
    Import(transfer::ImportArgs),
    Migrate(migrate::Args),
    OperatorPassword(operator_password::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Runs the subcommand.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Gate(args) => gate::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Workspace(command) => workspace::run(command),
            Command::Member(command) => member::run(command),
            Command::Key(command) => key::run(command),
            Command::Limits(command) => limits::run(command),
            Command::Alerts(command) => alerts::run(command),
            Command::Portal(command) => portal::run(command),
            Command::Grant(command) => grant::run(command),
            Command::TopUp(command) => top_up::run(command),
            Command::AutoTopUp(command) => auto_top_up::run(command),
            Command::PaymentMethod(command) => payment_method::run(command),
            Command::Subscription(command) => subscription::run(command),
            Command::Charge(command) => charge::run(command),
            Command::Balance(args) => balance::run(args),
            Command::Usage(args) => usage::run(args),
            Command::BurnRate(args) => burn_rate::run(args),
            Command::Entries(args) => entries::run(args),
            Command::Report(args) => report::run(args),
            Command::Prices(command) => prices::run(command),
            Command::Plans(command) => plans::run(command),
            Command::Webhooks(command) => webhooks::run(command),
            Command::Mail(command) => mail::run(command),
            Command::Settings(command) => settings::run(command),
            Command::Clock(command) => clock::run(command),
            Command::Audit(args) => audit::run(args),
            Command::Backup(args) => backup::backup(args),
            Command::Restore(args) => backup::restore(args),
            Command::MarkRestored(args) => mark_restored::run(args),
            Command::Repair(args) => repair::run(args),
            Command::Export(args) => transfer::export(args),
            Command::Import(args) => transfer::import(args),
            Command::Migrate(args) => migrate::run(args),
            Command::OperatorPassword(args) => operator_password::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Completions(args) => completions::run(args, Cli::command()),
            Command::Man(args) => man::run(args, Cli::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn no_line_after_the_options_is_broken_where_there_is_no_terminal() {
        const COLUMNS: usize = 100;
        let mut commands = vec![super::Cli::command()];
        while let Some(command) = commands.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > COLUMNS).collect();
            assert_eq!(long, Vec::<&str>::new(), "{}", command.get_name());
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
