//! Loads the settings: defaults, then one TOML file, then the environment.
//!
//! Precedence: flag, then environment, then file. Flags are applied by the command line and are not
//! here. Each folder owns the struct of its settings, with the defaults and the check of each
//! value; this folder composes them. [`SETTINGS`] describes every setting. A wrong value stops the
//! start with a message that names the setting, where it was read, and what it must be.

mod store;
mod value;

use std::path::Path;

use toml::de::{DeTable, DeValue};

use self::store::{VARIABLES, both};

pub use self::store::{DatabaseUrl, Store};
pub use self::value::{Setting, SettingsError};
pub use crate::access::secret::Secret;
pub use crate::access::settings::AccessSettings;
pub use crate::http::settings::HttpSettings;
pub use crate::jobs::settings::JobSettings;
pub use crate::notify::mail::address::MailAddress;
pub use crate::notify::mail::settings::{Login, MailSettings, RelayUrl, SmtpRelay, Tls};
pub use crate::notify::settings::WebhookSettings;
pub use crate::observe::settings::{LogFormat, LogLevel, LogSettings, TraceSettings};
pub use crate::payments::settings::PaymentSettings;
pub use crate::theme::ThemeSettings;

/// All settings of the server.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the ledger is stored, from `data` or `database_url`. The source with precedence
    /// decides alone.
    pub store: Store,
    /// How the engine is opened.
    pub engine: EngineSettings,
    /// Where the server listens and how it is reached.
    pub http: HttpSettings,
    /// Who may use the API and how often.
    pub access: AccessSettings,
    /// How often the polling job runs.
    pub jobs: JobSettings,
    /// How top-ups are paid.
    pub payments: PaymentSettings,
    /// How messages to webhook endpoints are signed, and where they may go.
    pub webhooks: WebhookSettings,
    /// How mails leave.
    pub mail: MailSettings,
    /// What is logged.
    pub log: LogSettings,
    /// Where traces go.
    pub traces: TraceSettings,
    /// How pages look.
    pub theme: ThemeSettings,
}

/// The settings that are passed to the engine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// How many requests may wait for the engine; further ones are shed.
    pub queue: usize,
    /// Serve a data directory that has lost acknowledged entries. No setting of a file, because it
    /// is meant for one start.
    pub accept_loss: bool,
    /// Make a ledger where there is none; else the start is refused.
    pub create_ledger: bool,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings { queue: 8_192, accept_loss: false, create_ledger: true }
    }
}

impl EngineSettings {
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "queue" => self.queue = value.parse().ok().filter(|size| (1..=1_000_000).contains(size))?,
            "create_ledger" => self.create_ledger = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

/// What a setting must be that is on or off.
const FLAG: &str = "true or false";

/// What a setting must be that is an amount of money.
const DOLLARS: &str = "dollars in quotes, in whole cents, from \"0.01\" to \"999999.99\"";

/// Every setting, in the order in which they are documented.
pub const SETTINGS: &[Setting] = &[
    setting("data", "the path of a directory", "the data directory of the embedded engine"),
    setting("listen", "HOST:PORT", "the address to listen on; port 0 takes a free one"),
    setting("database_url", "a URL that begins with postgres://", "a PostgreSQL database instead of `data`"),
    setting("create_ledger", FLAG, "whether a ledger is made where there is none; else the start is refused"),
    setting("platform_key", "1 to 255 printable characters without blanks", "the only platform key"),
    setting("add_credits_url", "a URL; `{workspace}` in it is replaced", "where customers add credits"),
    setting("queue", "a whole number, 1 to 1000000", "requests that may wait before more are shed"),
    setting("tick_ms", "a whole number of milliseconds, 10 to 60000", "how often deadlines are checked"),
    setting(
        "platform_key_requests_per_second",
        "a whole number, 0 to 1000000",
        "the rate limit of platform keys; 0 for no limit",
    ),
    setting(
        "workspace_key_requests_per_second",
        "a whole number, 0 to 1000000",
        "the rate limit of each API key; 0 for no limit",
    ),
    setting(
        "workspace_requests_per_second",
        "a whole number, 0 to 1000000",
        "the rate limit of all API keys of a workspace together; 0 for no limit",
    ),
    setting(
        "payments",
        "manual or stripe",
        "who takes payments: with `manual` the platform confirms them, with `stripe` Stripe does",
    ),
    setting("payment_instructions", "a text of 1 to 2,000 characters", "what a payer reads about a top-up"),
    setting(
        "plans_renew_automatically",
        FLAG,
        "whether a period of a plan counts as paid when it begins; else each is confirmed",
    ),
    setting("top_up_min_usd", DOLLARS, "the smallest top-up; 5.00 if unset"),
    setting("top_up_max_usd", DOLLARS, "the largest top-up; 10000.00 if unset"),
    setting(
        "stripe_api_key",
        "a key of Stripe that begins with rk_test_, rk_live_, sk_test_ or sk_live_",
        "the key of Stripe's API, better a restricted one",
    ),
    setting(
        WEBHOOK_SECRETS,
        "1 to 8 secrets that begin with whsec_; in the environment with commas between them",
        "the secrets of the webhook endpoint at Stripe",
    ),
    setting(
        "stripe_api_base",
        "a URL without a path, with https unless the host is this machine",
        "the address of Stripe's API; for tests",
    ),
    setting("tax", "none or stripe", "who computes tax, which is added to what is paid; nobody if unset"),
    setting(
        "secret_key",
        "64 hexadecimal digits",
        "the secret from which those of webhook endpoints are derived",
    ),
    setting("webhooks_allow_http", FLAG, "whether webhook endpoints may have addresses without TLS"),
    setting(
        "webhooks_allow_private",
        FLAG,
        "whether messages may go to private networks and to this machine",
    ),
    setting(
        "webhooks_ports",
        "1 to 32 port numbers with commas between them",
        "ports of webhook endpoints besides 443",
    ),
    setting(
        "smtp_url",
        "a URL that begins with smtps://, smtp:// or file:///; a password only if the way is encrypted",
        "the relay that takes mails, or a folder for trials; no mail is sent if unset",
    ),
    setting("mail_from", "an e-mail address, with or without a name", "the sender of every mail"),
    setting("mail_reply_to", "an e-mail address, with or without a name", "where answers to mails go"),
    setting("mail_amount_in_subject", FLAG, "whether the subject of a mail may contain an amount"),
    setting(
        "mail_platform",
        "1 to 20 e-mail addresses with commas between them",
        "who gets mails about the platform itself",
    ),
    setting("portal_session_hours", "a whole number, 1 to 720", "how long a dashboard session lasts"),
    setting("operator_session_minutes", "a whole number, 5 to 1440", "how long a console session lasts"),
    setting(
        "operator_password_hash",
        "a hash that `tollkeeper operator-password` prints",
        "the password of the console; without it a platform key opens the console",
    ),
    setting("members_see_others_use", FLAG, "whether members see the use of other members on pages"),
    setting("brand_name", "a text of 1 to 40 characters", "the name of your product on pages"),
    setting("brand_logo", "the path of an SVG or PNG file of at most 12 KiB", "your logo on pages"),
    setting(
        "brand_accent",
        "a color such as #1f5fd0 on which white text can be read",
        "the color of buttons and links on pages",
    ),
    setting("public_url", "a URL without a path", "the address of the server from outside"),
    setting("log_level", "error, warn, info or debug", "the least important level that is logged"),
    setting("log_format", "text or json", "the format of a log line"),
    setting(
        "otlp_endpoint",
        "a URL that begins with http:// or https://",
        "the address of an OpenTelemetry collector, for traces",
    ),
    setting(
        "otlp_headers",
        "1 to 8 headers such as api-key=secret, with commas between them",
        "headers of the requests to the collector",
    ),
    setting(
        "otlp_sample_percent",
        "a whole number, 0 to 100",
        "how many of a hundred requests are traced, unless their callers decide",
    ),
];

const fn setting(name: &'static str, must: &'static str, meaning: &'static str) -> Setting {
    Setting { name, must, meaning }
}

/// The setting that is a list.
const WEBHOOK_SECRETS: &str = "stripe_webhook_secrets";

/// The table of the gate in a settings file.
const GATE: &str = "gate";

/// The settings that name a store.
const STORE_SETTINGS: [&str; 2] = ["data", "database_url"];

impl Settings {
    /// Reads the file, if `config` names one, then the environment.
    ///
    /// # Errors
    /// The file cannot be read, names an unknown setting, or a value is not what it must be.
    pub fn load(config: Option<&Path>) -> Result<Settings, SettingsError> {
        let file = match config {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| SettingsError::new(format!("{}: {error}", path.display())))?;
                Some((path.display().to_string(), text))
            }
        };
        let file = file.as_ref().map(|(name, text)| ConfigFile { name, text });
        Settings::read(file, |variable| std::env::var_os(variable).map(|value| value.into_string().ok()))
    }

    /// The options to open the embedded engine with.
    #[must_use]
    pub fn engine_options(&self) -> tollkeeper_engine::Options {
        tollkeeper_engine::Options { queue: Some(self.engine.queue), accept_loss: self.engine.accept_loss }
    }

    /// The options to open the PostgreSQL engine with.
    #[must_use]
    pub fn postgres_options(&self) -> tollkeeper_engine::postgres::Options {
        tollkeeper_engine::postgres::Options {
            queue: Some(self.engine.queue),
            compare_clocks: true,
            ..tollkeeper_engine::postgres::Options::default()
        }
    }

    /// `environment` returns `None` for a variable that is not set, and `Some(None)` for one whose
    /// value is not UTF-8.
    fn read(
        file: Option<ConfigFile<'_>>,
        environment: impl Fn(&str) -> Option<Option<String>>,
    ) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        if let Some(file) = file {
            settings.read_file(file)?;
        }
        let mut stores = 0;
        for setting in SETTINGS {
            let variable = setting.variable();
            if let Some(value) = environment(&variable) {
                let source = format!("the environment variable {variable}");
                settings.set(setting, &value.unwrap_or_default(), &source)?;
                stores += u32::from(STORE_SETTINGS.contains(&setting.name));
            }
        }
        if stores > 1 {
            return Err(both(VARIABLES));
        }
        if !settings.payments.allows_some() {
            let why = "`top_up_min_usd` is more than `top_up_max_usd`, so no top-up is possible";
            return Err(SettingsError::new(why));
        }
        if !settings.payments.fits_stripe() {
            let why = "with `payments` = `stripe`, `top_up_min_usd` must be at least 0.50, the least that Stripe takes";
            return Err(SettingsError::new(why));
        }
        if !settings.payments.has_keys() {
            let why =
                "with `payments` = `stripe`, `stripe_api_key` and `stripe_webhook_secrets` are required";
            return Err(SettingsError::new(why));
        }
        match settings.mail.contradiction(settings.http.public_url.as_deref()) {
            Some(why) => Err(SettingsError::new(why)),
            None => Ok(settings),
        }
    }

    fn read_file(&mut self, ConfigFile { name, text }: ConfigFile<'_>) -> Result<(), SettingsError> {
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            SettingsError::new(format!("{name}, line {}: {}", line(at), error.message()))
        })?;
        if STORE_SETTINGS.iter().all(|store| table.get_ref().contains_key(*store)) {
            return Err(SettingsError::new(format!("{name}: {}", both(STORE_SETTINGS))));
        }
        for (key, value) in table.get_ref() {
            // The gate reads its table by itself.
            if &**key.get_ref() == GATE {
                continue;
            }
            let source = format!("{name}, line {}", line(key.span().start));
            let key = key.get_ref();
            let setting = SETTINGS.iter().find(|setting| setting.name == &**key);
            let setting = setting.ok_or_else(|| unknown(key, &source))?;
            match value.get_ref() {
                DeValue::String(text) => self.set(setting, text, &source)?,
                DeValue::Integer(number) if number.radix() == 10 => {
                    self.set(setting, number.as_str(), &source)?;
                }
                DeValue::Boolean(flag) if setting.must == FLAG => {
                    self.set(setting, &flag.to_string(), &source)?;
                }
                DeValue::Array(values) if setting.name == WEBHOOK_SECRETS => {
                    let texts: Option<Vec<&str>> =
                        values.iter().map(|value| value.get_ref().as_str()).collect();
                    let texts = texts.ok_or_else(|| setting.wrong(&source))?;
                    self.set(setting, &texts.join(","), &source)?;
                }
                _ => return Err(setting.wrong(&source)),
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: &Setting, value: &str, source: &str) -> Result<(), SettingsError> {
        self.set_value(setting.name, value).ok_or_else(|| setting.wrong(source))
    }

    /// Sets one value; `None` if it is not what [`SETTINGS`] says it must be. No value may be
    /// empty.
    fn set_value(&mut self, name: &str, value: &str) -> Option<()> {
        if value.is_empty() {
            return None;
        }
        match name {
            "data" => self.store = Store::Directory(value.into()),
            "database_url" => self.store = Store::Database(DatabaseUrl::new(value).ok()?),
            "queue" | "create_ledger" => self.engine.set(name, value)?,
            "listen" | "add_credits_url" | "public_url" => self.http.set(name, value)?,
            "tick_ms" => self.jobs.set(name, value)?,
            "payments"
            | "payment_instructions"
            | "plans_renew_automatically"
            | "top_up_min_usd"
            | "top_up_max_usd"
            | "stripe_api_key"
            | WEBHOOK_SECRETS
            | "stripe_api_base"
            | "tax" => self.payments.set(name, value)?,
            "secret_key" | "webhooks_allow_http" | "webhooks_allow_private" | "webhooks_ports" => {
                self.webhooks.set(name, value)?;
            }
            "smtp_url" | "mail_from" | "mail_reply_to" | "mail_amount_in_subject" | "mail_platform" => {
                self.mail.set(name, value)?;
            }
            "brand_name" | "brand_logo" | "brand_accent" => self.theme.set(name, value)?,
            "log_level" | "log_format" => self.log.set(name, value)?,
            "otlp_endpoint" | "otlp_headers" | "otlp_sample_percent" => self.traces.set(name, value)?,
            _ => self.access.set(name, value)?,
        }
        Some(())
    }
}

/// A configuration file: its name for messages, and its text.
#[derive(Clone, Copy)]
struct ConfigFile<'a> {
    name: &'a str,
    text: &'a str,
}

fn unknown(key: &str, source: &str) -> SettingsError {
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    SettingsError::new(format!("{source}: there is no setting `{key}`; there are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| Some((*value).to_owned()))
        };
        Settings::read(Some(ConfigFile { name: "t.toml", text: file }), variable)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_file_the_defaults() {
        let settings = read(
            "tick_ms = 20\nlisten = \"0.0.0.0:0\"\nlog_format = \"json\"\ncreate_ledger = false",
            &[("TOLLKEEPER_LISTEN", "[::1]:80"), ("TOLLKEEPER_PLATFORM_KEY", "k"), ("TOLLKEEPER_OTHER", "x")],
        )
        .expect("all values are right");
        assert_eq!((settings.jobs.tick_ms, settings.http.listen.as_str()), (20, "[::1]:80"));
        assert_eq!((settings.log.format, settings.engine.create_ledger), (LogFormat::Json, false));
        assert_eq!(settings.access.platform_key.as_ref().map(Secret::expose), Some("k"));
        assert!(!format!("{settings:?}").contains("\"k\""), "a secret is not shown");
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_source_and_what_it_must_be() {
        let check = |file: &str, environment: &[(&str, &str)], expected: &str| {
            let message = read(file, environment).map(|_| ()).expect_err("this must not start");
            assert!(message.starts_with(expected), "{message}");
        };
        check("\nspeed = 1", &[], "t.toml, line 2: there is no setting `speed`; there are data, listen");
        check("tick_ms = 1.5", &[], "t.toml, line 1: `tick_ms` must be a whole number");
        check("tick_ms = -1", &[], "t.toml, line 1: `tick_ms` must be a whole number");
        check("queue = true", &[], "t.toml, line 1: `queue` must be a whole number");
        check("create_ledger = 0", &[], "t.toml, line 1: `create_ledger` must be true or false");
        check("listen = 80", &[], "t.toml, line 1: `listen` must be HOST:PORT");
        check("a = \n", &[], "t.toml, line 1: ");
        check("", &[("TOLLKEEPER_QUEUE", "many")], "the environment variable TOLLKEEPER_QUEUE: `queue` must");
        check("", &[("TOLLKEEPER_PLATFORM_KEY", "")], "the environment variable TOLLKEEPER_PLATFORM_KEY");
        check(
            "",
            &[("TOLLKEEPER_DATABASE_URL", "mysql://x/y")],
            "the environment variable TOLLKEEPER_DATABASE",
        );
        check("payments = \"cash\"", &[], "t.toml, line 1: `payments` must be manual or stripe");
        let keys = "with `payments` = `stripe`, `stripe_api_key` and `stripe_webhook_secrets` are required";
        check("payments = \"stripe\"", &[], keys);
        check("payments = \"stripe\"", &[("TOLLKEEPER_STRIPE_API_KEY", "rk_test_x")], keys);
        check("payment_instructions = \" \"", &[], "t.toml, line 1: `payment_instructions` must be a text");
        for wrong in ["5.00", "\"0.00\"", "\"-5\"", "\"5.001\"", "\"1e3\"", "\"1000000\"", "\"5 USD\""] {
            let file = format!("top_up_min_usd = {wrong}");
            check(&file, &[], "t.toml, line 1: `top_up_min_usd` must be dollars in quotes");
        }
        let stripe =
            "payments = \"stripe\"\nstripe_api_key = \"rk_test_1\"\nstripe_webhook_secrets = \"whsec_1\"\n";
        let least = "with `payments` = `stripe`, `top_up_min_usd` must be at least 0.50";
        check(&format!("{stripe}top_up_min_usd = \"0.49\""), &[], least);
        assert!(read(&format!("{stripe}top_up_min_usd = \"0.50\""), &[]).is_ok());
        check("top_up_max_usd = \"4.99\"", &[], "`top_up_min_usd` is more than `top_up_max_usd`");
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
    fn a_top_up_has_bounds_in_whole_cents() {
        let bounds = |file: &str| {
            let bounds = read(file, &[]).expect("all values are right").payments.top_up_bounds;
            (bounds.min_cents, bounds.max_cents)
        };
        assert_eq!(bounds(""), (500, 1_000_000));
        assert_eq!(bounds("top_up_min_usd = 20\ntop_up_max_usd = \"20.5\""), (2_000, 2_050));
        let one = read("top_up_min_usd = \"7.00\"\ntop_up_max_usd = \"7.00\"", &[]);
        let one = one.expect("one amount is enough").payments.top_up_bounds;
        assert!(one.allow(700) && !one.allow(699) && !one.allow(701));
    }

    #[test]
    fn webhook_secrets_are_a_list_in_the_file_and_separated_by_commas_in_the_environment() {
        let secrets = |file: &str, environment: &[(&str, &str)]| {
            let settings = read(file, environment)?;
            let secrets = settings.payments.stripe.webhook_secrets.iter();
            Ok::<_, String>(secrets.map(|secret| secret.expose().to_owned()).collect::<Vec<_>>())
        };
        let file = "stripe_webhook_secrets = [\"whsec_a\", \"whsec_b\"]";
        assert_eq!(secrets(file, &[]), Ok(vec!["whsec_a".to_owned(), "whsec_b".to_owned()]));
        let variable = ("TOLLKEEPER_STRIPE_WEBHOOK_SECRETS", "whsec_c,whsec_d");
        assert_eq!(secrets(file, &[variable]), Ok(vec!["whsec_c".to_owned(), "whsec_d".to_owned()]));
        for wrong in ["[]", "[1]", "[\"whsec_a\", \"secret\"]", "[[\"whsec_a\"]]", "[\"whsec_a,b\"]"] {
            let message = secrets(&format!("stripe_webhook_secrets = {wrong}"), &[]);
            let message = message.expect_err("this must not start");
            let expected = "t.toml, line 1: `stripe_webhook_secrets` must be 1 to 8 secrets";
            assert!(message.starts_with(expected) && !message.contains("whsec_a"), "{message}");
        }
        let list = read("payments = [\"manual\"]", &[]).map(|_| ());
        assert!(list.is_err_and(|message| message.contains("`payments` must be")));
    }

    #[test]
    fn the_source_with_precedence_names_the_store_alone() {
        let url = ("TOLLKEEPER_DATABASE_URL", "postgres://ada:hidden@a,b/d?target_session_attrs=read-write");
        let settings = read("data = \"x\"", &[url]).expect("the environment overrides the file");
        assert_eq!(settings.store.to_string(), "the database postgres://ada@a,b/d");
        assert!(!format!("{settings:?}").contains("hidden"), "a password is not shown");
        let settings = read("database_url = \"postgres://h/d\"", &[("TOLLKEEPER_DATA", "x")]);
        assert_eq!(
            settings.expect("the environment overrides the file").store.to_string(),
            "the data directory x"
        );
    }

    #[test]
    fn every_setting_can_be_set() {
        let secret = "5a".repeat(32);
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
                "false",
                "manual",
                "rk_test_x",
                "whsec_x",
                "none",
                "api-key=x",
                secret.as_str(),
                "smtps://h",
                "ada@example.com",
                "#1f5fd0",
                "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzYWx0c2FsdA$59wFGUXK1esBE3rTYxE7Gn+df9oHYkIWvKcSm3T5Y9U",
                concat!(env!("CARGO_MANIFEST_DIR"), "/assets/icon.svg"),
            ];
            let accepted =
                right.iter().filter(|value| Settings::default().set_value(setting.name, value).is_some());
            assert!(accepted.count() > 0, "{}", setting.name);
            assert!(Settings::default().set_value(setting.name, "").is_none(), "{}", setting.name);
        }
    }
}
