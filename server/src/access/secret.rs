//! Secrets: how keys, links and sessions are made, spelled and hashed. Only their SHA-256 is
//! stored.
//!
//! ```text
//! tk_platform_HEX                 a platform key, made at the first start
//! tk_workspace_HEX_WORKSPACE      an API key
//! tk_link_HEX_WORKSPACE           a sign-in link of the dashboard
//! tk_session_HEX_WORKSPACE        a session in the dashboard
//! tk_operator_HEX                 a session of an operator in the console
//! tk_view_HEX_WORKSPACE           the same session, to look at the pages of a workspace
//! ```
//! HEX is 256 random bits. The prefix lets a scanner find a leaked secret in code and logs. The
//! workspace says which team has the hash, so that no table of all keys is needed; the hash covers
//! the workspace too.

use std::fmt;

use sha2::{Digest, Sha256};
use tollkeeper_ledger::{Hash, WorkspaceId};

/// A secret text that `Debug` does not show.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the code that must use it.
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

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A platform key, which opens every route of the API.
    Platform,
    /// An API key, which opens one workspace within its scopes.
    ApiKey,
    /// A link that signs a member in to the dashboard once.
    Link,
    /// A session of a member in the dashboard.
    Session,
    /// A session of an operator in the console.
    Operator,
    /// A session of an operator who looks at the pages of a workspace.
    View,
}

/// The number of hexadecimal digits in a secret.
const DIGITS: usize = 64;

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Kind::Platform => "tk_platform_",
            Kind::ApiKey => "tk_workspace_",
            Kind::Link => "tk_link_",
            Kind::Session => "tk_session_",
            Kind::Operator => "tk_operator_",
            Kind::View => "tk_view_",
        }
    }
}

/// Random bytes.
///
/// # Errors
/// The operating system gives none.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut random = [0; N];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(random)
}

/// Makes a secret. Every kind has a workspace, except a platform key and an operator's session.
///
/// # Errors
/// The operating system gives no random numbers.
pub fn make(kind: Kind, workspace: Option<&WorkspaceId>) -> std::io::Result<String> {
    let random: [u8; DIGITS / 2] = random()?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(of_digits(kind, &digits, workspace))
}

/// The secret with these digits.
#[must_use]
pub fn of_digits(kind: Kind, digits: &str, workspace: Option<&WorkspaceId>) -> String {
    match workspace {
        Some(workspace) => format!("{}{digits}_{workspace}", kind.prefix()),
        None => format!("{}{digits}", kind.prefix()),
    }
}

/// The digits in the text of a secret; `None` if the text is not a secret of this kind.
#[must_use]
pub fn digits_of(kind: Kind, text: &str) -> Option<&str> {
    let (digits, rest) = text.strip_prefix(kind.prefix())?.split_at_checked(DIGITS)?;
    let are_digits = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let ends = rest.is_empty() || rest.starts_with('_');
    (are_digits && ends).then_some(digits)
}

/// The workspace in the text of a secret; `None` if the text is not a secret of this kind.
#[must_use]
pub fn workspace_of(kind: Kind, text: &str) -> Option<WorkspaceId> {
    let digits = digits_of(kind, text)?;
    let (_, workspace) = text.split_at_checked(kind.prefix().len() + digits.len())?;
    WorkspaceId::new(workspace.strip_prefix('_')?).ok()
}

/// The hash that is stored instead of a secret: its SHA-256.
#[must_use]
pub fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_secret_has_a_workspace() {
        let acme = WorkspaceId::new("acme_2:eu").expect("a name");
        let secret = make(Kind::ApiKey, Some(&acme)).expect("the machine has random numbers");
        assert_eq!(workspace_of(Kind::ApiKey, &secret), Some(acme));
        assert_eq!(workspace_of(Kind::Link, &secret), None);
        let digits = "0".repeat(DIGITS);
        for wrong in [
            String::new(),
            format!("tk_workspace_{digits}"),
            format!("tk_workspace_{digits}_"),
            format!("tk_workspace_{digits}acme"),
            format!("tk_workspace_{}_acme", &digits[1..]),
            format!("tk_workspace_{}A_acme", &digits[1..]),
            format!("tk_workspace_{digits}_*"),
            format!("tk_workspace_{}é_acme", &digits[1..]),
        ] {
            assert_eq!(workspace_of(Kind::ApiKey, &wrong), None, "{wrong}");
        }
        let platform = make(Kind::Platform, None).expect("the machine has random numbers");
        assert_eq!((platform.len(), workspace_of(Kind::Platform, &platform)), (76, None));
    }
}
