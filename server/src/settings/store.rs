//! Where a ledger is kept: in a directory of its own, or in a PostgreSQL database that servers share. The address of a
//! database holds a password, so it is shown without it, everywhere.

use std::fmt;
use std::path::PathBuf;

use super::{Secret, SettingsError};

/// The directory when nothing is said.
const DIRECTORY_DEFAULT: &str = "tollkeeper-data";

/// Why two places at once are no place.
const EXCLUDE: &str = "exclude each other: a ledger is in a directory or in a database";

/// The two settings that name a place, in the environment.
const VARIABLES: [&str; 2] = ["TOLLKEEPER_DATA", "TOLLKEEPER_DATABASE_URL"];

/// Where a ledger is kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// A data directory, which one process holds.
    Directory(PathBuf),
    /// A PostgreSQL database.
    Database(DatabaseUrl),
}

impl Default for Store {
    fn default() -> Store {
        Store::Directory(PathBuf::from(DIRECTORY_DEFAULT))
    }
}

impl Store {
    /// What the environment names, if it names one.
    ///
    /// # Errors
    /// When it names both, or the address is none of a database.
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

/// Two names of a place at once.
pub(crate) fn both([one, other]: [&str; 2]) -> SettingsError {
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

/// The address of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…`, with several hosts too. Shown
/// without its password and its parameters, which may hold one.
#[derive(Clone)]
pub struct DatabaseUrl(Secret);

impl DatabaseUrl {
    /// Takes an address.
    ///
    /// # Errors
    /// When it is none of a PostgreSQL database: in words that do not repeat it.
    pub fn new(text: impl Into<String>) -> Result<DatabaseUrl, SettingsError> {
        let text = text.into();
        let checked = tollkeeper_engine::postgres::check_url(&text);
        checked.map_err(|why| SettingsError::new(why.to_string()))?;
        Ok(DatabaseUrl(Secret::new(text)))
    }

    /// The whole address, for the one place that connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
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

/// The address as far as it may be shown: scheme, user, hosts and database. Where it is not clear what is what, less is
/// shown rather than more.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    // A password may hold any character that is not an @, written as it is.
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (user.split([':', '/', '?']).next(), place),
        None => (None, rest),
    };
    let place = place.split('?').next().unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{user}@{place}"),
        None => format!("{scheme}://{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
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
            // What cannot be told apart is rather not shown.
            ("postgres://h/d?password=secret@x", "postgres://h@x"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn the_environment_names_one_place() {
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
        let both = named("/a", "postgres://u:p@h/d").expect_err("one of both");
        assert_eq!(
            both,
            "TOLLKEEPER_DATA and TOLLKEEPER_DATABASE_URL exclude each other: a ledger is in a directory or in a database"
        );
        let wrong = named("", "mysql://u:secret@h/d").expect_err("another database");
        assert!(wrong.starts_with("TOLLKEEPER_DATABASE_URL: ") && !wrong.contains("secret"), "{wrong}");
    }
}
