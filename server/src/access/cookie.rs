//! The cookies of sessions in the dashboard and in the console, and the token that their forms
//! carry.
//!
//! Scripts cannot read the cookie (`HttpOnly`), and other sites cannot send it with a form
//! (`SameSite`). If the browser uses HTTPS, the cookie is sent over HTTPS only (`Secure`), and its
//! name begins with `__Host-`. Browsers let no other host set a cookie of such a name, so another
//! site under the same domain cannot replace the session.
//!
//! This file also finds out from the headers whether the browser uses HTTPS and which host it asked
//! for. What a session may do is in `session` and `admit`.

use axum::http::header::{COOKIE, HOST};
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a cookie opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The dashboard, for members.
    Portal,
    /// The console, for operators.
    Console,
}

impl Place {
    /// The name over HTTPS, and the one over plain HTTP, which is meant for development.
    const fn name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Place::Portal, true) => "__Host-tollkeeper_session",
            (Place::Portal, false) => "tollkeeper_session",
            (Place::Console, true) => "__Host-tollkeeper_console",
            (Place::Console, false) => "tollkeeper_console",
        }
    }

    /// The path to which the cookie is limited over plain HTTP.
    const fn path(self) -> &'static str {
        match self {
            Place::Portal => "/portal",
            Place::Console => "/console",
        }
    }

    /// When browsers send the cookie with a request that another site causes: with a link to the
    /// dashboard, and never to the console.
    const fn same_site(self) -> &'static str {
        match self {
            Place::Portal => "Lax",
            Place::Console => "Strict",
        }
    }
}

/// The form field that carries the token.
const TOKEN_FIELD: &str = "token";

/// At most this many cookies of the name are tried. Over plain HTTP other hosts can set some too,
/// and each one costs a look-up.
const COOKIES_MAX: usize = 4;

/// Whether the browser uses HTTPS: by `public_url`, else by the header of a proxy.
pub fn is_secure(public_url: Option<&str>, headers: &HeaderMap) -> bool {
    // Each proxy appends its value; the first one is that of the proxy next to the browser.
    let first = |value: &HeaderValue| {
        let first = value.as_bytes().split(|byte| *byte == b',').next();
        first.is_some_and(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https"))
    };
    let forwarded = || headers.get("x-forwarded-proto").is_some_and(first);
    public_url.map_or_else(forwarded, |url| url.starts_with("https://"))
}

/// The secrets in the cookies of a request, at most [`COOKIES_MAX`].
pub fn secrets(headers: &HeaderMap, place: Place, is_secure: bool) -> impl Iterator<Item = &str> {
    let name = place.name(is_secure).as_bytes();
    // Other cookies in the same header need not be text, so the header is split as bytes.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let values = pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="));
    values.filter_map(|value| std::str::from_utf8(value).ok()).take(COOKIES_MAX)
}

/// The `Set-Cookie` header that gives a browser a session for `seconds`; 0 removes the cookie.
pub fn set(place: Place, secret: &str, seconds: i64, is_secure: bool) -> HeaderValue {
    let (name, same_site) = (place.name(is_secure), place.same_site());
    // Browsers accept the prefix `__Host-` only with the path `/`.
    let (path, secure) = if is_secure { ("/", "; Secure") } else { (place.path(), "") };
    let text =
        format!("{name}={secret}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}");
    HeaderValue::try_from(text).expect("a secret and numbers are ASCII")
}

/// The token that the forms of a session carry, so that no other site can forge one. It is derived
/// from the session's secret, which cannot be computed back from it.
pub fn form_token(secret: &str) -> String {
    let digest = Sha256::new().chain_update(b"a form of the session ").chain_update(secret).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a form carries the token of its session.
pub fn is_own_form(form: &[u8], token: &str) -> bool {
    let mut fields = form_urlencoded::parse(form);
    fields.any(|(name, value)| name == TOKEN_FIELD && bool::from(value.as_bytes().ct_eq(token.as_bytes())))
}

/// The host that the browser asked for, if the header is a well-formed host.
pub fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then_some(host)
}
