//! Secrets that open something: how they are made, spelled and kept. Only their SHA-256 is ever kept.
//!
//! ```text
//! tk_platform_HEX                 a platform key, made at the first start
//! tk_workspace_HEX_WORKSPACE      an API key
//! tk_link_HEX_WORKSPACE           a link to the dashboard
//! tk_session_HEX_WORKSPACE        a session in it
//! ```
//! The digits are 256 random bits; the prefix is for whoever searches code and logs for what should not be there. The
//! workspace tells where the hash is kept, so that no table of all keys is needed; it is covered by the hash too.

use sha2::{Digest, Sha256};
use tollkeeper_ledger::{Hash, WorkspaceId};

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything.
    Platform,
    /// One workspace, within scopes.
    ApiKey,
    /// The dashboard, once.
    Link,
    /// The dashboard, as a member.
    Session,
}

/// Digits of a secret.
const DIGITS: usize = 64;

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Kind::Platform => "tk_platform_",
            Kind::ApiKey => "tk_workspace_",
            Kind::Link => "tk_link_",
            Kind::Session => "tk_session_",
        }
    }
}

/// Makes a secret; all but a platform key belong to a workspace.
///
/// # Errors
/// When the machine has no random numbers.
pub fn make(kind: Kind, workspace: Option<&WorkspaceId>) -> std::io::Result<String> {
    let mut chance = [0_u8; DIGITS / 2];
    getrandom::fill(&mut chance).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut text = kind.prefix().to_owned();
    text.extend(chance.iter().map(|byte| format!("{byte:02x}")));
    if let Some(workspace) = workspace {
        text.push('_');
        text.push_str(workspace.as_str());
    }
    Ok(text)
}

/// The workspace of a secret that is spelled as one of this kind.
#[must_use]
pub fn workspace_of(kind: Kind, text: &str) -> Option<WorkspaceId> {
    let (digits, workspace) = text.strip_prefix(kind.prefix())?.split_at_checked(DIGITS)?;
    let digits = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    WorkspaceId::new(workspace.strip_prefix('_')?).ok().filter(|_| digits)
}

/// The hash under which a secret is kept.
#[must_use]
pub fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_tells_its_workspace_and_nothing_else_does() {
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
