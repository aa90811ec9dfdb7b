//! How many units a request is charged for.
//!
//! A JSON pointer needs the body, which is then held in memory up to the bound of the route and
//! passed on unchanged. Whether a number is permitted is decided by the ledger. Units of meters are
//! found in `hold`, calls of tools in `tool_call`.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;

use crate::refusal::Refusal;
use crate::settings::{Quantity, Route};

pub mod hold;
pub mod media_type;
mod members;
mod references;
pub mod tool_call;

/// The number of units, and the body to pass on.
///
/// # Errors
/// The header or the value is missing or no whole number; the body is too large, no JSON, of
/// another media type, or did not arrive completely.
pub async fn find(route: &Route, headers: &HeaderMap, body: Body) -> Result<(i64, Body), Refusal> {
    match &route.quantity {
        Quantity::Constant(units) => Ok((*units, body)),
        Quantity::Header(name) => {
            let mut values = headers.get_all(name).iter();
            let text = values.next().and_then(|value| value.to_str().ok());
            let units = text.and_then(|text| text.trim().parse().ok()).filter(|_| values.next().is_none());
            let units = units.ok_or_else(|| wrong(&format!("The header `{name}` must be one whole number.")));
            Ok((units?, body))
        }
        Quantity::Json(pointer) => {
            media_type::refuse_unreadable(headers)?;
            let bytes = body_of(route, body).await?;
            let json: Value = serde_json::from_slice(&bytes).map_err(|_| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "malformed_json",
                    "Malformed JSON",
                    "The body is not valid JSON.",
                )
            })?;
            let units = json.pointer(pointer).and_then(Value::as_i64);
            let units =
                units.ok_or_else(|| wrong(&format!("The body must have a whole number at `{pointer}`.")));
            Ok((units?, Body::from(bytes)))
        }
        // Their requests are read before this.
        Quantity::Metered(_) | Quantity::ToolCall(_) => Ok((1, body)),
    }
}

/// The body of a request, which must arrive within the time-out of the route and have no more bytes
/// than the route permits.
///
/// # Errors
/// The body is too large, or did not arrive completely.
pub async fn body_of(route: &Route, body: Body) -> Result<Bytes, Refusal> {
    let time = Duration::from_secs(route.timeout_seconds.into());
    timeout(time, read(body, route.body_max_bytes)).await.unwrap_or_else(|_| {
        let detail = "The body took too long to arrive.";
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_incomplete", "Request incomplete", detail))
    })
}

fn wrong(detail: &str) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "Invalid field", detail)
        .with("field", "quantity".into())
}

async fn read(body: Body, max_bytes: usize) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            let detail = "The body did not arrive completely.";
            Refusal::new(StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON", detail)
        })?;
        if bytes.len() + chunk.len() > max_bytes {
            let detail = format!("The body must have at most {max_bytes} bytes.");
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "Body too large",
                &detail,
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;
    use crate::settings::Settings;

    fn route(quantity: Quantity) -> Route {
        let text = "[gate]\nlisten = \"127.0.0.1:0\"\n[[gate.routes]]\nmethod = \"POST\"\npath = \"/*\"\n\
            operation = \"a\"\nupstream = \"http://127.0.0.1:1\"\nbody_max_bytes = 100\n";
        let settings = Settings::parse(text).expect("it is right").expect("there is a gate");
        Route { quantity, ..settings.routes[0].clone() }
    }

    async fn of_body(pointer: &str, body: &str) -> Result<i64, String> {
        let (route, headers) = (route(Quantity::Json(pointer.to_owned())), HeaderMap::new());
        match find(&route, &headers, Body::from(body.to_owned())).await {
            Ok((units, passed_on)) => {
                let bytes = read(passed_on, 100).await.expect("it is in memory");
                assert_eq!(bytes, body.as_bytes(), "the body is passed on unchanged");
                Ok(units)
            }
            Err(refusal) => Err(refusal.code().to_owned()),
        }
    }

    #[tokio::test]
    async fn a_pointer_finds_a_whole_number_in_the_body() {
        assert_eq!(of_body("/items/count", r#"{"items": {"count": 3}}"#).await, Ok(3));
        assert_eq!(of_body("/0", "[-1]").await, Ok(-1), "the ledger refuses it");
        for body in [r#"{"n": 1.5}"#, r#"{"n": "3"}"#, r#"{"n": null}"#, "{}", "[]", r#"{"n": 1e30}"#] {
            assert_eq!(of_body("/n", body).await, Err("invalid_field".to_owned()), "{body}");
        }
        let thirty = format!("{{\"n\": 1{}}}", "0".repeat(30));
        assert_eq!(of_body("/n", &thirty).await, Err("invalid_field".to_owned()));
        for body in ["", "{", "{\"n\": 1} x"] {
            assert_eq!(of_body("/n", body).await, Err("malformed_json".to_owned()), "{body}");
        }
        let long = format!("{{\"n\": 1, \"pad\": \"{}\"}}", "x".repeat(100));
        assert_eq!(of_body("/n", &long).await, Err("body_too_large".to_owned()));
    }

    #[tokio::test]
    async fn a_body_in_another_charset_is_not_read() {
        let route = route(Quantity::Json("/n".to_owned()));
        let of = async |content_type: &'static str| {
            let value = content_type.parse().expect("a value");
            let headers = HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, value)]);
            let found = find(&route, &headers, Body::from(r#"{"n": 2}"#)).await;
            found.map(|(units, _)| units).map_err(|refusal| refusal.code().to_owned())
        };
        assert_eq!(of("application/json; charset=utf-8").await, Ok(2));
        for wrong in ["application/json; charset=utf-16le", "text/plain"] {
            assert_eq!(of(wrong).await, Err("unsupported_media_type".to_owned()), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_header_is_one_whole_number() {
        let name = HeaderName::from_static("x-count");
        let of = async |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&name, value.parse().expect("a value"));
            }
            let found = find(&route(Quantity::Header(name.clone())), &headers, Body::empty()).await;
            found.map(|(units, _)| units).map_err(|refusal| refusal.code().to_owned())
        };
        assert_eq!(of(&["12"]).await, Ok(12));
        for wrong in [&[][..], &["1", "2"], &["1,2"], &["x"], &[""], &["1000000000000000000000000000000"]] {
            assert_eq!(of(wrong).await, Err("invalid_field".to_owned()), "{wrong:?}");
        }
    }
}
