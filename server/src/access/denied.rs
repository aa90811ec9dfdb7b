//! Why a request is denied.

use std::borrow::Cow;

use tollkeeper_engine::Error;

use super::rate::RateStatus;

/// The reason why a request is denied. `http::refusal` turns it into a problem document.
#[derive(Debug)]
pub enum Denied {
    /// There is no valid key or session; a sentence that says what to send or do.
    Unauthenticated(&'static str),
    /// The caller is known and may not do this; a sentence that says why.
    Forbidden(Cow<'static, str>),
    /// The workspace of the path is not the key's. The answer is the same as for a workspace that
    /// does not exist, so that a key cannot find out which workspaces exist.
    WorkspaceNotFound(String),
    /// The key has made too many requests.
    RateLimited(RateStatus),
    /// The engine could not read the team.
    Engine(Error),
}

impl From<Error> for Denied {
    fn from(error: Error) -> Denied {
        Denied::Engine(error)
    }
}
