//! Which bodies the gate reads: JSON in UTF-8 without a content coding.
//!
//! A body that the upstream decodes in another way than the gate would run as something that was
//! not charged. So another media type, charset or content coding is refused, and the upstream gets
//! `application/json`.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::refusal::Refusal;

/// Refuses a body that the upstream could read differently from the gate.
///
/// # Errors
/// The request has a content coding, or a media type that is not JSON in UTF-8.
pub fn refuse_unreadable(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported("The body must be JSON without a content coding."));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.to_str().is_ok_and(is_json_in_utf8) => Ok(()),
        _ => Err(unsupported("The content type must be application/json, in UTF-8.")),
    }
}

/// Says what the gate has read.
pub fn write(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// Whether a media type without parameters is one of JSON.
pub fn is_json(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    name == "application/json" || (name.contains('/') && name.ends_with("+json"))
}

fn is_json_in_utf8(content_type: &str) -> bool {
    let mut parts = content_type.split(';');
    let is_utf8 = |parameter: &str| {
        let Some((name, value)) = parameter.split_once('=') else {
            return !parameter.to_ascii_lowercase().contains("charset");
        };
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8")
    };
    parts.next().is_some_and(is_json) && parts.all(is_utf8)
}

fn unsupported(detail: &str) -> Refusal {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Refusal::new(status, "unsupported_media_type", "Unsupported media type", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read(values: &[&'static str]) -> bool {
        let values = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, value);
        }
        refuse_unreadable(&headers).is_ok()
    }

    #[test]
    fn only_json_in_utf8_is_read() {
        assert!(is_read(&[]));
        for right in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/problem+json ; charset = utf-8; profile=a",
        ] {
            assert!(is_read(&[right]), "{right}");
        }
        for wrong in [
            "",
            "json",
            "+json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=a",
            "application/jsonl",
            "application/json; charset=utf-16",
            "application/json; charset=utf-7",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json; charset",
            "application/json, text/plain",
        ] {
            assert!(!is_read(&[wrong]), "{wrong}");
        }
        assert!(!is_read(&["application/json", "text/plain"]));
    }
}
