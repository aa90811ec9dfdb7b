//! `tollkeeper completions`: the completion script of a shell, generated from the definition of the
//! command line.

use clap_complete::Shell;

use crate::terminal::failure::Failure;
use crate::terminal::output;

const EXAMPLE: &str = "Examples:
  tollkeeper completions bash > /etc/bash_completion.d/tollkeeper
  tollkeeper completions zsh > ~/.zfunc/_tollkeeper
  tollkeeper completions fish > ~/.config/fish/completions/tollkeeper.fish";

/// Print a script that completes the command line in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script for `definition`, the command line as a whole.
pub fn run(args: Args, mut definition: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "tollkeeper", &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
