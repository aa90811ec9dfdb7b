//! `tollkeeper operator-password`: the hash of a password for the console, for the setting
//! `operator_password_hash`. The password comes from stdin, so that no list of processes and no
//! history of a shell has it. A terminal does not show it.

use std::io::{IsTerminal, Stdin, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;

const EXAMPLE: &str = "Examples:
  tollkeeper operator-password
  tollkeeper operator-password < password.txt";

/// Print the hash of a password with which operators sign in to the console
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {}

/// Reads the password from stdin and prints its hash.
pub fn run(_: Args) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, "no hash was made").because(why).hint("enter the password in one line")
    };
    let line = read_line(&std::io::stdin()).map_err(|error| failed(&error))?;
    let password = line.trim_end_matches(['\n', '\r']);
    let hash = tollkeeper_server::hash_password(password).map_err(|why| failed(&why))?;
    output::data(&format!("{hash}\n"))
}

/// Reads a line, which a terminal does not show.
fn read_line(stdin: &Stdin) -> std::io::Result<String> {
    let mut line = String::new();
    if !stdin.is_terminal() {
        stdin.read_line(&mut line)?;
        return Ok(line);
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "Password: ")?;
    let shown = tcgetattr(stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin, OptionalActions::Now, &hidden)?;
    let read = stdin.read_line(&mut line);
    tcsetattr(stdin, OptionalActions::Now, &shown)?;
    writeln!(stderr)?;
    read.map(|_| line)
}
