//! The cookie of a session in the dashboard: its name and flags, where it is read, and the token that forms carry.
//!
//! Scripts cannot read it and other sites cannot send it with a form (`HttpOnly`, `SameSite`). Where browsers come by HTTPS, it
//! goes over nothing else and bears the prefix with which browsers let nobody else set it (`__Host-`), so that another site
//! under the same domain cannot put a session of its own in its place.
//!
//! Here is also what is known of the way on which a browser comes: by HTTPS or not, and to which host. What a session opens is
//! not here but in `auth`.

use axum::http::header::{COOKIE, HOST};
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The name over plain HTTP, which is for one's own machine.
const PLAIN: &str = "tollkeeper_session";

/// The name over HTTPS.
const SECURE: &str = "__Host-tollkeeper_session";

/// The field of a form that carries the token.
pub const TOKEN_FIELD: &str = "token";

/// So many cookies of the name are looked at: over plain HTTP others may have set some.
const COOKIES_MAX: usize = 4;

/// Whether a browser comes by HTTPS, as far as the settings or a proxy say.
pub fn is_secure(public_url: Option<&str>, headers: &HeaderMap) -> bool {
    // The first of several proxies is the one that browsers talk to.
    let first = |value: &HeaderValue| {
        let first = value.as_bytes().split(|byte| *byte == b',').next();
        first.is_some_and(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https"))
    };
    let forwarded = || headers.get("x-forwarded-proto").is_some_and(first);
    public_url.map_or_else(forwarded, |url| url.starts_with("https://"))
}

/// The name of the cookie.
pub const fn name(is_secure: bool) -> &'static str {
    if is_secure { SECURE } else { PLAIN }
}

/// The sessions of a request.
pub fn sessions(headers: &HeaderMap, is_secure: bool) -> impl Iterator<Item = &str> {
    let name = name(is_secure).as_bytes();
    // Pair by pair: what others have put beside it need not be text.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let values = pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="));
    values.filter_map(|value| std::str::from_utf8(value).ok()).take(COOKIES_MAX)
}

/// Gives a browser a session for so many seconds; none at all takes it away.
pub fn set(secret: &str, seconds: i64, is_secure: bool) -> HeaderValue {
    let name = name(is_secure);
    // The prefix asks for the whole host.
    let (path, secure) = if is_secure { ("/", "; Secure") } else { ("/portal", "") };
    let text = format!("{name}={secret}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).expect("a secret and numbers are ASCII")
}

/// What the forms of a session's pages carry, so that no other site can make one up. It does not lead back to the session.
pub fn form_token(secret: &str) -> String {
    let digest = Sha256::new().chain_update(b"a form of the session ").chain_update(secret).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a form carries the token of its session.
pub fn is_own_form(form: &[u8], token: &str) -> bool {
    let mut fields = form_urlencoded::parse(form);
    fields.any(|(name, value)| name == TOKEN_FIELD && bool::from(value.as_bytes().ct_eq(token.as_bytes())))
}

/// The host that a browser asked for, if it is spelled as one.
pub fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then_some(host)
}
