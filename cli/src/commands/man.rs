//! `tollkeeper man`: the manual pages, generated from the definition of the command line, which is
//! also the source of `--help`.

use std::path::PathBuf;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;

const EXAMPLE: &str = "Examples:
  tollkeeper man | man -l -
  tollkeeper man --to /usr/local/share/man/man1";

/// Print the manual page, or write the pages of all subcommands
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Write a page for tollkeeper and one for each subcommand to this directory, which must exist
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Prints the page of `definition`, the command line as a whole, or writes all pages.
pub fn run(args: Args, definition: clap::Command) -> Result<(), Failure> {
    let Some(directory) = args.to else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(definition).render(&mut page);
        rendered
            .map_err(|why| Failure::new(Exit::Unavailable, "the page cannot be rendered").because(why))?;
        return output::data(&String::from_utf8_lossy(&page));
    };
    clap_mangen::generate_to(definition, &directory).map_err(|why| {
        Failure::new(Exit::Unavailable, format!("the pages cannot be written to {}", directory.display()))
            .because(why)
            .hint("name an existing directory that you may write to")
    })
}
