//! The program's log, on the standard error: lines for people, or JSON for machines. No secret is ever in it.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;

use crate::Settings;
use crate::settings::{LogFormat, LogLevel};

/// Starts the log. Once is enough: later calls change nothing.
pub fn start_log(settings: &Settings) {
    let level = match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    // Colours are for terminals, not for files.
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    // A program that embeds the server may have a log of its own already: then that one is used.
    let _ = match settings.log_format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
