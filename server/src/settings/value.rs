//! What a setting is, and the error of a wrong one. The message of that error never repeats the
//! value, because it may be a secret.

use std::fmt;

/// A setting, as documents and error messages describe it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the file.
    pub name: &'static str,
    /// What its value must be, to follow "must be".
    pub must: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

impl Setting {
    /// The name of its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("TOLLKEEPER_{}", self.name.to_ascii_uppercase())
    }

    /// The error of a wrong value from `source`, such as `t.toml, line 2`.
    pub(super) fn wrong(&self, source: &str) -> SettingsError {
        SettingsError::new(format!("{source}: `{}` must be {}", self.name, self.must))
    }
}

/// Why the settings cannot be used, as a sentence that names the setting and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(String);

impl SettingsError {
    pub(crate) fn new(message: impl Into<String>) -> SettingsError {
        SettingsError(message.into())
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}
