//! The settings of the log and of traces.

use axum::http::{HeaderName, HeaderValue, Uri};

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

/// The most headers of a request to the collector.
const HEADERS_MAX: usize = 8;

/// Where traces go, and how many.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The address that takes traces; without one there are none.
    pub endpoint: Option<Uri>,
    /// Headers of each request to it. Their values are not shown.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How many of a hundred requests are recorded that come without a trace of their caller.
    pub sample_percent: u8,
}

impl Default for TraceSettings {
    fn default() -> TraceSettings {
        TraceSettings { endpoint: None, headers: Vec::new(), sample_percent: 100 }
    }
}

impl TraceSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "otlp_endpoint" => self.endpoint = Some(traces_url(value)?),
            "otlp_headers" => self.headers = headers(value)?,
            "otlp_sample_percent" => {
                self.sample_percent = value.parse().ok().filter(|percent| *percent <= 100)?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// The address of traces at a collector with this base address.
fn traces_url(base: &str) -> Option<Uri> {
    let url: Uri = format!("{}/v1/traces", base.trim_end_matches('/')).parse().ok()?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let host = url.authority().filter(|authority| !authority.as_str().contains('@'))?.host();
    (is_http && !host.is_empty() && !base.contains(['?', '#'])).then_some(url)
}

/// Headers such as `api-key=secret,team=x`.
fn headers(text: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let mut value = HeaderValue::from_str(value.trim()).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some((name.trim().parse().ok()?, value))
    };
    let headers: Option<Vec<_>> = text.split(',').map(header).collect();
    headers.filter(|headers| headers.len() <= HEADERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_traces_follows_from_that_of_the_collector() {
        let of = |base| traces_url(base).map(|url| url.to_string());
        assert_eq!(of("http://localhost:4318").as_deref(), Some("http://localhost:4318/v1/traces"));
        assert_eq!(of("https://x.example/otlp/").as_deref(), Some("https://x.example/otlp/v1/traces"));
        for wrong in
            ["localhost:4318", "grpc://x", "https://", "https://ada:x@y", "https://x?a", "https://x#a"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn headers_of_the_collector_are_not_shown() {
        let mut settings = TraceSettings::default();
        settings.set("otlp_headers", "api-key=top=secret, team=x").expect("two headers");
        assert_eq!(settings.headers[0].1, "top=secret");
        assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
        for wrong in ["", "a", "=b", "a=", "a b=c", "a=b,", &"a=b,".repeat(9)] {
            assert_eq!(settings.set("otlp_headers", wrong), None, "{wrong}");
        }
        assert_eq!(settings.set("otlp_sample_percent", "101"), None);
    }
}
