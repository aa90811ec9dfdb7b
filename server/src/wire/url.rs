//! Checks of URLs that come from requests and settings. Nothing is resolved or fetched.

/// Whether `text` is an absolute URL with one of these schemes: printable ASCII without blanks, and
/// something after `://`.
pub fn is_url(text: &str, schemes: &[&str]) -> bool {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let rest = text.split_once("://").filter(|(scheme, _)| schemes.contains(scheme));
    printable && rest.is_some_and(|(_, rest)| !rest.is_empty())
}

/// Whether `text` is an HTTP URL of a host without path, query or user. Paths such as `/portal` are
/// appended to it.
pub fn is_origin(text: &str) -> bool {
    let host = text.trim_end_matches('/').split_once("://").map_or("", |(_, host)| host);
    is_url(text, &["http", "https"]) && !host.is_empty() && !host.contains(['/', '?', '#', '@'])
}
