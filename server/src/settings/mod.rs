//! The settings: one TOML file, then the environment, which goes before it. Every setting has a default, a sentence in
//! [`SETTINGS`], and one check for both sources; a wrong one stops the start and says which, from where, and what it must
//! be. The command line's flags go before both and are not here.

pub mod store;

use std::fmt;
use std::path::Path;

use tollkeeper_ledger::bounds::REFUND_WINDOW_DEFAULT_SECONDS;
use toml::de::{DeTable, DeValue};

use self::store::{DatabaseUrl, Store, both};

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the ledger is kept, by `data` or `database_url`; what goes before names it alone.
    pub store: Store,
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// The platform key; when set it is the only one that opens anything.
    pub platform_key: Option<Secret>,
    /// Where customers add credits, told with a 402; `{workspace}` in it becomes the workspace's name.
    pub add_credits_url: Option<String>,
    /// For how many days a settled charge may be refunded by a late system failure.
    pub refund_window_days: u32,
    /// How many requests may wait for the engine before more are shed.
    pub queue: usize,
    /// How often passed deadlines are looked for, in milliseconds.
    pub tick_ms: u64,
    /// How many requests a second a platform key may make; 0 for no limit.
    pub platform_key_requests_per_second: u32,
    /// How many requests a second each key of a workspace may make; 0 for no limit.
    pub workspace_key_requests_per_second: u32,
    /// For how many hours a member who signed in to the dashboard stays so.
    pub portal_session_hours: u32,
    /// The address under which the API is reached from outside, told in its description.
    pub public_url: Option<String>,
    /// What is logged.
    pub log_level: LogLevel,
    /// How it is written.
    pub log_format: LogFormat,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            store: Store::default(),
            listen: "127.0.0.1:8080".to_owned(),
            platform_key: None,
            add_credits_url: None,
            refund_window_days: 30,
            queue: 8_192,
            tick_ms: 250,
            platform_key_requests_per_second: 0,
            workspace_key_requests_per_second: 1_000,
            portal_session_hours: 12,
            public_url: None,
            log_level: LogLevel::Info,
            log_format: LogFormat::Text,
        }
    }
}

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// From which importance on lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What an operator likes to know.
    Info,
    /// What a developer looks for.
    Debug,
}

/// How lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A setting as documents and error messages tell it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the file; in the environment it is this in capitals after `TOLLKEEPER_`.
    pub name: &'static str,
    /// What it must be.
    pub must: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

/// Every setting there is, in the order in which they are documented.
pub const SETTINGS: &[Setting] = &[
    setting("data", "the path of a directory", "the data directory of the embedded engine"),
    setting("listen", "HOST:PORT", "the address to listen on; port 0 takes a free one"),
    setting("database_url", "a URL that begins with postgres://", "a PostgreSQL database instead of `data`"),
    setting("platform_key", "1 to 255 printable characters without blanks", "the only platform key"),
    setting("add_credits_url", "a URL; `{workspace}` in it is replaced", "where customers add credits"),
    setting("refund_window_days", "a whole number, 0 to 3650", "how long a late system failure refunds"),
    setting("queue", "a whole number, 1 to 1000000", "requests that may wait before more are shed"),
    setting("tick_ms", "a whole number of milliseconds, 10 to 60000", "how often deadlines are looked at"),
    setting(
        "platform_key_requests_per_second",
        "a whole number, 0 to 1000000",
        "how often a platform key may ask; 0 for no limit",
    ),
    setting(
        "workspace_key_requests_per_second",
        "a whole number, 0 to 1000000",
        "how often each API key may ask; 0 for no limit",
    ),
    setting("portal_session_hours", "a whole number, 1 to 720", "how long a sign-in to the dashboard holds"),
    setting("public_url", "a URL without a path", "the address of the API from outside"),
    setting("log_level", "error, warn, info or debug", "what is logged"),
    setting("log_format", "text or json", "how it is written"),
];

const fn setting(name: &'static str, must: &'static str, meaning: &'static str) -> Setting {
    Setting { name, must, meaning }
}

impl Setting {
    /// Its name in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("TOLLKEEPER_{}", self.name.to_ascii_uppercase())
    }
}

/// Why the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(String);

impl SettingsError {
    pub(crate) fn new(what: impl Into<String>) -> SettingsError {
        SettingsError(what.into())
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads the file, if there is to be one, then the environment.
    ///
    /// # Errors
    /// When the file cannot be read, names a setting that does not exist, or a value is not what it must be.
    pub fn load(config: Option<&Path>) -> Result<Settings, SettingsError> {
        let file = match config {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| SettingsError(format!("{}: {error}", path.display())))?;
                Some((path.display().to_string(), text))
            }
        };
        let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
        Settings::read(file, |variable| std::env::var_os(variable).map(|value| value.into_string().ok()))
    }

    /// How the embedded engine is to be opened.
    #[must_use]
    pub fn engine_options(&self) -> tollkeeper_engine::Options {
        let seconds = self.refund_window_seconds();
        tollkeeper_engine::Options { refund_window_seconds: Some(seconds), queue: Some(self.queue) }
    }

    /// How the PostgreSQL engine is to be opened.
    #[must_use]
    pub fn postgres_options(&self) -> tollkeeper_engine::postgres::Options {
        tollkeeper_engine::postgres::Options {
            refund_window_seconds: Some(self.refund_window_seconds()),
            queue: Some(self.queue),
            ..tollkeeper_engine::postgres::Options::default()
        }
    }

    fn refund_window_seconds(&self) -> i64 {
        i64::from(self.refund_window_days) * (REFUND_WINDOW_DEFAULT_SECONDS / 30)
    }

    /// `environment` gives `None` for a variable that is not set, and `Some(None)` for one that is no text.
    fn read(
        file: Option<(&str, &str)>,
        environment: impl Fn(&str) -> Option<Option<String>>,
    ) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        if let Some((name, text)) = file {
            settings.read_file(name, text)?;
        }
        let mut places = 0;
        for setting in SETTINGS {
            let variable = setting.variable();
            if let Some(value) = environment(&variable) {
                let source = format!("the environment variable {variable}");
                settings.set(setting, &value.unwrap_or_default(), &source)?;
                places += u32::from(PLACES.contains(&setting.name));
            }
        }
        if places > 1 {
            return Err(both(["TOLLKEEPER_DATA", "TOLLKEEPER_DATABASE_URL"]));
        }
        Ok(settings)
    }

    fn read_file(&mut self, name: &str, text: &str) -> Result<(), SettingsError> {
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            SettingsError(format!("{name}, line {}: {}", line(at), error.message()))
        })?;
        if PLACES.iter().all(|place| table.get_ref().contains_key(*place)) {
            return Err(SettingsError(format!("{name}: {}", both(PLACES))));
        }
        for (key, value) in table.get_ref() {
            let source = format!("{name}, line {}", line(key.span().start));
            let key = key.get_ref();
            let setting = SETTINGS.iter().find(|setting| setting.name == &**key).ok_or_else(|| {
                let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
                SettingsError(format!(
                    "{source}: there is no setting `{key}`; there are {}",
                    known.join(", ")
                ))
            })?;
            match value.get_ref() {
                DeValue::String(text) => self.set(setting, text, &source)?,
                DeValue::Integer(number) if number.radix() == 10 => {
                    self.set(setting, number.as_str(), &source)?;
                }
                _ => return Err(wrong(setting, &source)),
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: &Setting, value: &str, source: &str) -> Result<(), SettingsError> {
        self.take(setting.name, value).ok_or_else(|| wrong(setting, source))
    }

    /// Takes a value, or nothing when it is not what [`SETTINGS`] says it must be.
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        let text = (!value.is_empty()).then(|| value.to_owned());
        match name {
            "data" => self.store = Store::Directory(text?.into()),
            "listen" => self.listen = text.filter(|text| is_address(text))?,
            "database_url" => self.store = Store::Database(DatabaseUrl::new(text?).ok()?),
            "platform_key" => self.platform_key = Some(Secret(text.filter(|text| is_key(text))?)),
            "add_credits_url" => {
                self.add_credits_url = Some(text.filter(|text| is_url(text, &["http", "https"]))?)
            }
            "refund_window_days" => self.refund_window_days = number(value, 0, 3_650)?.try_into().ok()?,
            "queue" => self.queue = number(value, 1, 1_000_000)?.try_into().ok()?,
            "tick_ms" => self.tick_ms = number(value, 10, 60_000)?,
            "platform_key_requests_per_second" => {
                self.platform_key_requests_per_second = number(value, 0, 1_000_000)?.try_into().ok()?;
            }
            "workspace_key_requests_per_second" => {
                self.workspace_key_requests_per_second = number(value, 0, 1_000_000)?.try_into().ok()?;
            }
            "portal_session_hours" => self.portal_session_hours = number(value, 1, 720)?.try_into().ok()?,
            "public_url" => self.public_url = Some(text.filter(|text| is_origin(text))?),
            "log_level" => {
                self.log_level = match value {
                    "error" => LogLevel::Error,
                    "warn" => LogLevel::Warn,
                    "info" => LogLevel::Info,
                    "debug" => LogLevel::Debug,
                    _ => return None,
                }
            }
            "log_format" => {
                self.log_format = match value {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// The settings that name where the ledger is kept.
const PLACES: [&str; 2] = ["data", "database_url"];

/// The value itself is not repeated: it may be a secret.
fn wrong(setting: &Setting, source: &str) -> SettingsError {
    SettingsError(format!("{source}: `{}` must be {}", setting.name, setting.must))
}

fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Whether this is an absolute URL of one of these schemes.
pub(crate) fn is_url(text: &str, schemes: &[&str]) -> bool {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let rest = text.split_once("://").filter(|(scheme, _)| schemes.contains(scheme));
    printable && rest.is_some_and(|(_, rest)| !rest.is_empty())
}

/// Whether this is a URL of a whole server: what leads to the dashboard begins with `/portal` there.
fn is_origin(text: &str) -> bool {
    let host = text.trim_end_matches('/').split_once("://").map_or("", |(_, host)| host);
    is_url(text, &["http", "https"]) && !host.is_empty() && !host.contains(['/', '?', '#', '@'])
}

fn is_key(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| Some((*value).to_owned()))
        };
        Settings::read(Some(("t.toml", file)), variable).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_goes_before_the_file_and_the_file_before_the_defaults() {
        let settings = read(
            "tick_ms = 20\nlisten = \"0.0.0.0:0\"\nlog_format = \"json\"",
            &[("TOLLKEEPER_LISTEN", "[::1]:80"), ("TOLLKEEPER_PLATFORM_KEY", "k"), ("TOLLKEEPER_OTHER", "x")],
        )
        .expect("all of these are right");
        assert_eq!((settings.tick_ms, settings.listen.as_str()), (20, "[::1]:80"));
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!(settings.refund_window_days, 30);
        assert_eq!(settings.platform_key.as_ref().map(Secret::expose), Some("k"));
        assert!(!format!("{settings:?}").contains("\"k\""), "a secret is not shown");
        assert_eq!(
            settings.engine_options().refund_window_seconds,
            Some(REFUND_WINDOW_DEFAULT_SECONDS),
            "thirty days are thirty days"
        );
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_place_and_what_it_must_be() {
        let check = |file: &str, environment: &[(&str, &str)], expected: &str| {
            let message = read(file, environment).map(|_| ()).expect_err("this must not start");
            assert!(message.starts_with(expected), "{message}");
        };
        check("\nspeed = 1", &[], "t.toml, line 2: there is no setting `speed`; there are data, listen");
        check("tick_ms = 1.5", &[], "t.toml, line 1: `tick_ms` must be a whole number");
        check("tick_ms = -1", &[], "t.toml, line 1: `tick_ms` must be a whole number");
        check("listen = 80", &[], "t.toml, line 1: `listen` must be HOST:PORT");
        check("a = \n", &[], "t.toml, line 1: ");
        check("", &[("TOLLKEEPER_QUEUE", "many")], "the environment variable TOLLKEEPER_QUEUE: `queue` must");
        check("", &[("TOLLKEEPER_PLATFORM_KEY", "")], "the environment variable TOLLKEEPER_PLATFORM_KEY");
        check(
            "",
            &[("TOLLKEEPER_DATABASE_URL", "mysql://x/y")],
            "the environment variable TOLLKEEPER_DATABASE",
        );
        let url = ("TOLLKEEPER_DATABASE_URL", "postgres://x/y");
        check(
            "",
            &[("TOLLKEEPER_DATA", "x"), url],
            "TOLLKEEPER_DATA and TOLLKEEPER_DATABASE_URL exclude each",
        );
        check(
            "data = \"x\"\ndatabase_url = \"postgres://x/y\"",
            &[],
            "t.toml: data and database_url exclude",
        );
        for url in ["example.com", "https://example.com/billing", "https://x?a", "ftp://x", "https:///"] {
            let file = format!("public_url = \"{url}\"");
            check(&file, &[], "t.toml, line 1: `public_url` must be a URL without a path");
        }
    }

    #[test]
    fn what_goes_before_names_the_store_alone() {
        let url = ("TOLLKEEPER_DATABASE_URL", "postgres://ada:secret@a,b/d?target_session_attrs=read-write");
        let settings = read("data = \"x\"", &[url]).expect("the environment goes before the file");
        assert_eq!(settings.store.to_string(), "the database postgres://ada@a,b/d");
        assert!(!format!("{settings:?}").contains("secret"), "a password is not shown");
        let settings = read("database_url = \"postgres://h/d\"", &[("TOLLKEEPER_DATA", "x")]);
        assert_eq!(settings.expect("as above").store.to_string(), "the data directory x");
    }

    #[test]
    fn every_setting_can_be_set() {
        for setting in SETTINGS {
            let right = [
                "/tmp/x",
                "localhost:1",
                "postgres://h/d",
                "https://h/{workspace}",
                "https://h",
                "20",
                "info",
                "json",
            ];
            let taken = right.iter().filter(|value| Settings::default().take(setting.name, value).is_some());
            assert!(taken.count() > 0, "{}", setting.name);
            assert!(Settings::default().take(setting.name, "").is_none(), "{}", setting.name);
        }
    }
}
