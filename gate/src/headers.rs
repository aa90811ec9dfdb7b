//! Headers that are passed on, and those that are not.
//!
//! Headers of one connection only are removed in both directions (RFC 9110, 7.6.1), as are those
//! of the gate: a client cannot forge a charge, and the upstream never gets a key of Tollkeeper.
//!
//! Clients of model APIs can set one key only. They send their API key of Tollkeeper as that key,
//! and the gate replaces it by the one of the upstream.

use std::net::IpAddr;

use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The API key of the caller, beside a key of the upstream.
const KEY: HeaderName = HeaderName::from_static("tollkeeper-key");
/// The member for whom a request is charged.
pub const MEMBER: HeaderName = HeaderName::from_static("tollkeeper-member");
/// The worker that a request is charged to.
pub const WORKER: HeaderName = HeaderName::from_static("tollkeeper-worker");
/// The id of the charge.
pub const CHARGE: HeaderName = HeaderName::from_static("tollkeeper-charge");
/// What was deducted, in micro-units.
pub const AMOUNT: HeaderName = HeaderName::from_static("tollkeeper-amount");
/// What was left after the charge, in micro-units.
pub const BALANCE: HeaderName = HeaderName::from_static("tollkeeper-balance");

/// The limit of the output, if it was lowered to what is affordable.
pub const FITTED: HeaderName = HeaderName::from_static("tollkeeper-fitted");

const OWN_PREFIX: &str = "tollkeeper-";

/// Where clients of Anthropic's API put their key; others put it into `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The beginning of every key of Tollkeeper.
const TOLLKEEPER_KEY: &str = "tk_";

/// The beginning of every API key of a workspace.
pub const WORKSPACE_KEY: &str = "tk_workspace_";

const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The WebSocket that a message wants to change to, if it does. Another protocol such as `h2c`
/// would carry further requests over the connection, which nobody would charge.
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = listed(headers).any(|name| name.eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(UPGRADE).filter(|_| wants)?;
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket").then(|| protocol.clone())
}

/// The API key of the caller: in the gate's header, or where a client has the key of its upstream.
pub fn key(headers: &HeaderMap) -> Option<&str> {
    if let Some(own) = headers.get(KEY) {
        return Some(own.to_str().unwrap_or_default());
    }
    let places = [headers.get(AUTHORIZATION).and_then(bearer), headers.get(X_API_KEY).and_then(text)];
    places.into_iter().flatten().find(|key| key.starts_with(TOLLKEEPER_KEY))
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

/// The key in a value of `Authorization`.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = text(value)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Removes every header with a key of Tollkeeper, however it is written.
fn remove_keys(headers: &mut HeaderMap) {
    let has = |value: &HeaderValue, key: &str| {
        value.as_bytes().windows(key.len()).any(|window| window == key.as_bytes())
    };
    let is_ours = |name: &HeaderName, value: &HeaderValue| {
        let is_place_of_key = *name == AUTHORIZATION || *name == X_API_KEY;
        has(value, WORKSPACE_KEY) || (is_place_of_key && has(value, TOLLKEEPER_KEY))
    };
    let ours: Vec<HeaderName> =
        headers.iter().filter(|(name, value)| is_ours(name, value)).map(|(name, _)| name.clone()).collect();
    for name in ours {
        headers.remove(name);
    }
}

fn listed(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether a header never reaches an upstream as it came, so that it can say nothing to both.
pub fn is_not_passed_on(name: &HeaderName) -> bool {
    let others = [HOST, EXPECT, CONTENT_LENGTH, AUTHORIZATION, X_API_KEY];
    name.as_str().starts_with(OWN_PREFIX) || OF_CONNECTION.contains(name) || others.contains(name)
}

/// Removes what belongs to one connection only, and what belongs to the gate. A body that is sent
/// in chunks has no length.
fn clean(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let named: Vec<HeaderName> = listed(headers).filter_map(|name| name.parse().ok()).collect();
    let own = headers.keys().filter(|name| name.as_str().starts_with(OWN_PREFIX)).cloned();
    let removed: Vec<HeaderName> = named.into_iter().chain(own).collect();
    for name in removed.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

/// Makes the headers of a request those that the upstream gets. `key`: its key, if the gate has it.
pub fn to_upstream(
    headers: &mut HeaderMap,
    client: IpAddr,
    charge: &HeaderValue,
    protocol: Option<HeaderValue>,
    key: Option<&(HeaderName, HeaderValue)>,
) {
    clean(headers);
    remove_keys(headers);
    if let Some((name, key)) = key {
        headers.insert(name.clone(), key.clone());
    }
    headers.remove(EXPECT);
    headers.remove("x-forwarded-host");
    if let Some(host) = headers.remove(HOST) {
        headers.insert("x-forwarded-host", host);
    }
    let forwarded = HeaderName::from_static("x-forwarded-for");
    let before: Vec<&str> =
        headers.get_all(&forwarded).iter().filter_map(|value| value.to_str().ok()).collect();
    let all =
        before.into_iter().map(str::to_owned).chain([client.to_string()]).collect::<Vec<_>>().join(", ");
    if let Ok(all) = all.parse() {
        headers.insert(forwarded, all);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.insert(CHARGE, charge.clone());
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// Makes the headers of a request fit a body that the gate has read and written. The answer must
/// not be compressed, because the gate reads it.
pub fn of_written_body(headers: &mut HeaderMap, bytes: usize) {
    for name in ["content-digest", "content-encoding", "content-md5", "digest"] {
        headers.remove(name);
    }
    headers.insert(CONTENT_LENGTH, bytes.into());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Makes the headers of a request that is passed on without a charge those that the upstream gets.
pub fn to_upstream_free(headers: &mut HeaderMap, client: IpAddr, key: Option<&(HeaderName, HeaderValue)>) {
    to_upstream(headers, client, &HeaderValue::from_static("none"), None, key);
    headers.remove(CHARGE);
}

/// Makes the headers of an answer without a charge those that the client gets.
pub fn to_client_free(headers: &mut HeaderMap) {
    clean(headers);
}

/// Makes the headers of an answer those that the client gets. `is_upgraded`: whether the connection
/// changes its protocol with it.
pub fn to_client(
    headers: &mut HeaderMap,
    charge: &HeaderValue,
    amount: i64,
    balance: i64,
    is_upgraded: bool,
) {
    let protocol = upgrade(headers).filter(|_| is_upgraded);
    clean(headers);
    headers.insert(CHARGE, charge.clone());
    headers.insert(AMOUNT, amount.into());
    headers.insert(BALANCE, balance.into());
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_upstream_gets_neither_the_key_nor_what_belongs_to_a_connection() {
        let mut of_request = headers(&[
            ("host", "gate.example"),
            ("authorization", "Bearer of-the-upstream"),
            ("tollkeeper-key", "tk_secret"),
            ("tollkeeper-charge", "ch_forged"),
            ("tollkeeper-unknown", "x"),
            ("connection", "close, X-Hop"),
            ("connection", "keep-alive"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("proxy-authorization", "p"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-other", "tk_workspace_secret"),
            ("x-plain", "3"),
            ("content-length", "3"),
            ("upgrade", "h2c"),
        ]);
        let charge = HeaderValue::from_static("ch_1");
        to_upstream(&mut of_request, IpAddr::from([192, 0, 2, 7]), &charge, None, None);
        assert_eq!(
            names(&of_request),
            [
                "authorization",
                "tollkeeper-charge",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto",
                "x-plain",
            ]
        );
        assert_eq!(of_request["tollkeeper-charge"], "ch_1");
        assert_eq!(of_request["x-forwarded-for"], "10.0.0.1, 192.0.2.7");
        assert_eq!(of_request["x-forwarded-host"], "gate.example");
    }

    #[test]
    fn a_key_of_tollkeeper_is_replaced_by_that_of_the_upstream() {
        let of = |lines: &[(&'static str, &'static str)]| key(&headers(lines)).map(str::to_owned);
        assert_eq!(of(&[("authorization", "Bearer tk_a")]).as_deref(), Some("tk_a"));
        assert_eq!(of(&[("authorization", "bearer  tk_a")]).as_deref(), Some("tk_a"));
        assert_eq!(of(&[("x-api-key", "tk_b")]).as_deref(), Some("tk_b"));
        assert_eq!(
            of(&[("authorization", "Bearer tk_a"), ("tollkeeper-key", "tk_c")]).as_deref(),
            Some("tk_c")
        );
        for none in [("authorization", "Bearer sk-1"), ("authorization", "tk_a"), ("x-api-key", "sk-1")] {
            assert_eq!(of(&[none]), None, "{none:?}");
        }
        let charge = HeaderValue::from_static("ch_1");
        let of_upstream = (AUTHORIZATION, HeaderValue::from_static("Bearer sk-1"));
        for (lines, key, expected) in [
            (&[("authorization", "Bearer tk_a")][..], None, None),
            (&[("authorization", "Bearer other"), ("authorization", "Bearer tk_a")], None, None),
            (&[("authorization", "Bearer other")], None, Some("Bearer other")),
            (&[("authorization", "Bearer tk_a")], Some(&of_upstream), Some("Bearer sk-1")),
            (&[("x-api-key", "tk_a")], Some(&of_upstream), Some("Bearer sk-1")),
            (&[("authorization", "tk_a")], None, None),
            (&[("authorization", "Token tk_a")], None, None),
        ] {
            let mut sent = headers(lines);
            to_upstream(&mut sent, IpAddr::from([192, 0, 2, 7]), &charge, None, key);
            let authorization = sent.get(AUTHORIZATION).and_then(text);
            assert_eq!((authorization, sent.get(X_API_KEY)), (expected, None), "{lines:?}");
        }
    }

    #[test]
    fn an_upgrade_is_passed_on_only_if_the_connection_asks_for_it() {
        assert_eq!(upgrade(&headers(&[("upgrade", "websocket")])), None);
        let asked = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let protocol = upgrade(&asked);
        assert_eq!(protocol, Some(HeaderValue::from_static("websocket")));
        let http_2 = headers(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")]);
        assert_eq!(upgrade(&http_2), None, "it would carry requests that nobody charges");
        let mut asked = asked;
        let charge = HeaderValue::from_static("ch_1");
        to_upstream(&mut asked, IpAddr::from([192, 0, 2, 7]), &charge, protocol, None);
        assert_eq!(
            (&asked["connection"], &asked["upgrade"]),
            (&"upgrade".parse().expect("a value"), &"websocket".parse().expect("a value"))
        );
    }

    #[test]
    fn a_body_that_the_gate_wrote_has_its_own_length() {
        let mut sent =
            headers(&[("content-length", "3"), ("content-digest", "x"), ("accept-encoding", "gzip")]);
        of_written_body(&mut sent, 7);
        assert_eq!(names(&sent), ["accept-encoding", "content-length"]);
        assert_eq!(
            (&sent["content-length"], &sent["accept-encoding"]),
            (&7.into(), &"identity".parse().expect("a value"))
        );
        let mut free = headers(&[("tollkeeper-charge", "ch_forged"), ("tollkeeper-key", "tk_workspace_x")]);
        to_upstream_free(&mut free, IpAddr::from([192, 0, 2, 7]), None);
        assert_eq!(names(&free), ["x-forwarded-for", "x-forwarded-proto"]);
    }

    #[test]
    fn the_client_gets_the_charge_of_the_gate_only() {
        let mut of_answer = headers(&[
            ("content-type", "text/plain"),
            ("connection", "close"),
            ("tollkeeper-charge", "ch_forged"),
            ("tollkeeper-balance", "9"),
            ("transfer-encoding", "chunked"),
        ]);
        to_client(&mut of_answer, &HeaderValue::from_static("ch_1"), 500, 1_500, false);
        assert_eq!(
            names(&of_answer),
            ["content-type", "tollkeeper-amount", "tollkeeper-balance", "tollkeeper-charge"]
        );
        assert_eq!(of_answer["tollkeeper-charge"], "ch_1");
        assert_eq!(
            (&of_answer["tollkeeper-amount"], &of_answer["tollkeeper-balance"]),
            (&500.into(), &1_500.into())
        );
    }
}
