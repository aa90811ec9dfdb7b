//! Where the ledger is stored: in a data directory, or in a PostgreSQL database that several
//! servers share. The URL of a database contains a password; it is never shown with it.

use std::fmt;
use std::path::PathBuf;

use super::value::SettingsError;

/// The data directory if no setting names a store.
const DIRECTORY_DEFAULT: &str = "tollkeeper-data";

/// The end of the message for two stores at once.
const EXCLUDE: &str = "exclude each other: a ledger is in a directory or in a database";

/// The environment variables that name a store: the directory, then the database.
pub(super) const VARIABLES: [&str; 2] = ["TOLLKEEPER_DATA", "TOLLKEEPER_DATABASE_URL"];

/// Where the ledger is stored.
#[derive(Clone, Debug)]
pub enum Store {
    /// A data directory, which one process opens at a time.
    Directory(PathBuf),
    /// A PostgreSQL database, which several servers may share.
    Database(DatabaseUrl),
}

impl Default for Store {
    fn default() -> Store {
        Store::Directory(PathBuf::from(DIRECTORY_DEFAULT))
    }
}

impl Store {
    /// The store that the environment names; `None` if it names none.
    ///
    /// # Errors
    /// It names a directory and a database, or the URL is not one of a PostgreSQL database.
    pub fn in_environment() -> Result<Option<Store>, SettingsError> {
        Store::named(|variable| std::env::var_os(variable).map(|value| value.into_string().ok()))
    }

    fn named(environment: impl Fn(&str) -> Option<Option<String>>) -> Result<Option<Store>, SettingsError> {
        let [data, url] = VARIABLES.map(|variable| {
            let value = environment(variable).flatten();
            value.filter(|value| !value.is_empty())
        });
        match (data, url) {
            (Some(_), Some(_)) => Err(both(VARIABLES)),
            (Some(data), None) => Ok(Some(Store::Directory(data.into()))),
            (None, Some(url)) => {
                let url = DatabaseUrl::new(url);
                let url = url.map_err(|why| SettingsError::new(format!("{}: {why}", VARIABLES[1])))?;
                Ok(Some(Store::Database(url)))
            }
            (None, None) => Ok(None),
        }
    }
}

/// The error of two settings that both name a store.
pub(super) fn both([one, other]: [&str; 2]) -> SettingsError {
    SettingsError::new(format!("{one} and {other} {EXCLUDE}"))
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Store::Directory(path) => write!(f, "the data directory {}", path.display()),
            Store::Database(url) => write!(f, "the database {url}"),
        }
    }
}

/// The URL of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…`; several hosts
/// are allowed. `Display` and `Debug` leave out the password and the parameters, which may contain
/// one.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Checks a URL.
    ///
    /// # Errors
    /// It is not one of a PostgreSQL database. The message does not repeat the URL.
    pub fn new(text: impl Into<String>) -> Result<DatabaseUrl, SettingsError> {
        let text = text.into();
        let checked = tollkeeper_engine::postgres::check_url(&text);
        checked.map_err(|why| SettingsError::new(why.to_string()))?;
        Ok(DatabaseUrl(text))
    }

    /// The whole URL with its password, for the code that connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self.expose()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URL with scheme, user, hosts and database only. If the parts are ambiguous, less is shown
/// rather than more.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    // A password may contain any character except an @ without escaping.
    let (user, hosts) = match rest.rsplit_once('@') {
        Some((user, hosts)) => (user.split([':', '/', '?']).next(), hosts),
        None => (None, rest),
    };
    let hosts = hosts.split('?').next().unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{user}@{hosts}"),
        None => format!("{scheme}://{hosts}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://ada@h:5433/d", "postgres://ada@h:5433/d"),
            ("postgres://ada:secret@h/d", "postgres://ada@h/d"),
            ("postgres://ada:se/cr?et@h/d", "postgres://ada@h/d"),
            (
                "postgresql://ada:secret@a:1,b:2/d?target_session_attrs=read-write",
                "postgresql://ada@a:1,b:2/d",
            ),
            ("postgres://h/d?user=ada&password=secret", "postgres://h/d"),
            // Ambiguous parts are left out.
            ("postgres://h/d?password=secret@x", "postgres://h@x"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn the_environment_names_at_most_one_store() {
        let named = |data: &str, url: &str| {
            let value = |variable: &str| {
                let value = if variable == VARIABLES[0] { data } else { url };
                Some(Some(value.to_owned()))
            };
            let named = Store::named(value).map_err(|error| error.to_string());
            named.map(|store| store.map(|store| store.to_string()))
        };
        assert_eq!(named("", ""), Ok(None));
        assert_eq!(named("/a", ""), Ok(Some("the data directory /a".to_owned())));
        assert_eq!(named("", "postgres://u:p@h/d"), Ok(Some("the database postgres://u@h/d".to_owned())));
        let both = named("/a", "postgres://u:p@h/d").expect_err("two stores are an error");
        assert_eq!(
            both,
            "TOLLKEEPER_DATA and TOLLKEEPER_DATABASE_URL exclude each other: a ledger is in a directory or in a database"
        );
        let wrong = named("", "mysql://u:secret@h/d").expect_err("MySQL is not supported");
        assert!(wrong.starts_with("TOLLKEEPER_DATABASE_URL: ") && !wrong.contains("secret"), "{wrong}");
    }
}
