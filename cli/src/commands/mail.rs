//! `tollkeeper mail`: checks the settings of mails, and shows how mails look.

use std::path::{Path, PathBuf};

use tollkeeper_server::Settings;
use tollkeeper_server::mail::compose::compose;
use tollkeeper_server::mail::relay::Sent;
use tollkeeper_server::mail::{samples, trial};

use crate::server_process;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;

const TEST: &str = "\
It uses the settings smtp_url and mail_from, and needs no server that runs. Exit code 0 says that
the relay took the mail, 1 that it refused the recipient or the mail, and 3 that it could not be
reached.

Examples:
  tollkeeper mail test ada@example.com --config /etc/tollkeeper.toml
  TOLLKEEPER_SMTP_URL=file:///tmp/mails tollkeeper mail test ada@example.com";

/// Send a test mail, and write a sample of every mail to files
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  tollkeeper mail test ada@example.com --config /etc/tollkeeper.toml
  tollkeeper mail preview ./mails")]
pub enum Command {
    /// Send a mail by the settings, and show what the relay answers
    #[command(after_help = TEST)]
    Test {
        /// The recipient
        #[arg(value_name = "ADDRESS")]
        to: String,
        /// The settings file, in TOML
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Write a sample of every mail to a folder, as HTML and as plain text
    #[command(after_help = "Example:\n  tollkeeper mail preview ./mails")]
    Preview {
        /// The folder, made if absent
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Test { to, config } => test(&to, config.as_deref()),
        Command::Preview { folder } => preview(&folder),
    }
}

fn test(to: &str, config: Option<&Path>) -> Result<(), Failure> {
    let settings = Settings::load(config).map_err(|why| server_process::invalid_setting(&why))?;
    let Some(url) = &settings.mail.relay else {
        let why = "the setting `smtp_url` is missing, so no mail can be sent";
        return Err(server_process::invalid_setting(&why));
    };
    let sent = server_process::block_on(async {
        let sent = trial::send(&settings.mail, to, server_process::now()).await;
        sent.map_err(|why| server_process::invalid_setting(&why))
    })?;
    let exit = match sent {
        Sent::Accepted => return output::data(&format!("{url} took the mail to {to}\n")),
        Sent::AddressRefused { .. } | Sent::Refused { .. } => Exit::No,
        Sent::Later { .. } => Exit::Unavailable,
    };
    Err(Failure::new(exit, format!("{url} did not take the mail")).because(sent))
}

fn preview(folder: &Path) -> Result<(), Failure> {
    let failed = |why: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("{} cannot be written", folder.display())).because(why)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for sample in samples::all() {
        let mail = compose(&sample.about, &sample.context);
        let files = [("html", mail.html), ("txt", format!("Subject: {}\n\n{}", mail.subject, mail.text))];
        for (ending, content) in files {
            std::fs::write(folder.join(format!("{}.{ending}", sample.name)), content).map_err(failed)?;
        }
        output::data(&format!("{:<24} {}\n", sample.name, mail.subject))?;
    }
    Ok(())
}
