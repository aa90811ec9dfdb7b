//! The log of the process, on standard error: lines of text for people, or JSON for machines. No
//! secret is ever logged.
//!
//! A line that cannot be written is dropped and counted: a full disk or a closed pipe behind
//! standard error must not end the service.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing_subscriber::filter::LevelFilter;

use super::settings::{LogFormat, LogLevel, LogSettings};

/// Starts the log. A second call has no effect.
pub fn start_log(settings: &LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(|| Lossy(std::io::stderr()));
    let is_terminal = std::io::stderr().is_terminal();
    let lines = lines.with_ansi(uses_color(|name| std::env::var_os(name), is_terminal));
    // A program that embeds the server may have started a log of its own; then that one is used.
    let _ = match settings.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

/// The lines that could not be written, since the start of the process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The number of lines that could not be written, since the start of the process.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Relaxed)
}

/// A writer of lines that never fails: what cannot be written is dropped and counted.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if self.0.write_all(line).is_err() {
            DROPPED.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // The line was counted as written; nobody could act on an error here.
        let _ = self.0.flush();
        Ok(())
    }
}

/// True if the log is colored: on a terminal, or if `CLICOLOR_FORCE` is set. `NO_COLOR` prevents
/// both. A variable that is empty counts as not set; `CLICOLOR_FORCE=0` too.
fn uses_color(variable: impl Fn(&str) -> Option<OsString>, is_terminal: bool) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let is_forced = is_set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    !is_set("NO_COLOR") && (is_forced || is_terminal)
}
