//! Who may call: the rule of every route is checked here and nowhere else.
//!
//! A platform key opens everything. When the settings name one, it is the only one, so that setting a key also shuts out
//! the one made at the first start; else the keys whose hashes the platform's journal keeps open it. Keys are compared
//! by their SHA-256, in constant time; a key itself is never kept.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tollkeeper_ledger::{Actor, Hash};

use crate::app::App;
use crate::problem::{Code, Problem};

/// Whom a route is open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody, without a key.
    Public,
    /// The holder of a platform key.
    Platform,
}

/// Lets a request in, or says why not.
///
/// # Errors
/// When the rule asks for a key and the request has none that is right.
pub fn admit(app: &App, rule: Rule, headers: &HeaderMap) -> Result<Actor, Problem> {
    match rule {
        Rule::Public => Ok(Actor::System),
        Rule::Platform => {
            let key = bearer(headers)
                .ok_or_else(|| unauthenticated("Send the platform key as `Authorization: Bearer KEY`."))?;
            if is_platform_key(app, &hash(key)) {
                Ok(Actor::Platform)
            } else {
                Err(unauthenticated("The key is not one that opens anything here."))
            }
        }
    }
}

/// The hash under which a key is kept.
#[must_use]
pub fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

fn is_platform_key(app: &App, presented: &Hash) -> bool {
    let any = |hashes: &[Hash]| {
        // Every hash is compared, whichever is right, so that the time says nothing.
        bool::from(hashes.iter().fold(Choice::from(0), |found, hash| found | hash.ct_eq(presented)))
    };
    match app.configured_key() {
        Some(hash) => any(std::slice::from_ref(hash)),
        None => any(&app.engine().platform().key_hashes),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then(|| key.trim_ascii())
}

fn unauthenticated(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}
