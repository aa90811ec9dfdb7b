//! The settings of the log.

/// What is logged and in which format.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The least important level that is logged.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
}

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// An operator must act.
    Error,
    /// An operator may have to act.
    Warn,
    /// Normal events, such as start and stop.
    Info,
    /// Details for developers.
    Debug,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text for people.
    Text,
    /// A JSON object in one line.
    Json,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { level: LogLevel::Info, format: LogFormat::Text }
    }
}

impl LogSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match (name, value) {
            ("log_level", "error") => self.level = LogLevel::Error,
            ("log_level", "warn") => self.level = LogLevel::Warn,
            ("log_level", "info") => self.level = LogLevel::Info,
            ("log_level", "debug") => self.level = LogLevel::Debug,
            ("log_format", "text") => self.format = LogFormat::Text,
            ("log_format", "json") => self.format = LogFormat::Json,
            _ => return None,
        }
        Some(())
    }
}
