//! Answers of the gate itself: its own refusals and those of the API, in the dialect of a route.
//!
//! A refusal for lack of credit is always 402 and says `x-should-retry: false`, because the clients
//! of OpenAI and Anthropic send 409, 429 and 5xx again.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::settings::Dialect;

/// A refusal, as a problem document.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    members: Map<String, Value>,
    retry_after: Option<HeaderValue>,
    /// Whether the client must not send the request again, although its status invites that.
    is_final: bool,
}

impl Refusal {
    /// A refusal of the gate.
    pub fn new(status: StatusCode, code: &str, title: &str, detail: &str) -> Refusal {
        let mut members = Map::new();
        members.insert("type".to_owned(), format!("urn:tollkeeper:problem:{code}").into());
        members.insert("title".to_owned(), title.into());
        members.insert("status".to_owned(), status.as_u16().into());
        members.insert("detail".to_owned(), detail.into());
        members.insert("code".to_owned(), code.into());
        members.insert("retryable".to_owned(), false.into());
        Refusal { status, members, retry_after: None, is_final: false }
    }

    /// The refusal with one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Refusal {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// The refusal of something that may succeed in a second.
    #[must_use]
    pub fn retryable(self) -> Refusal {
        let retry_after = Some(HeaderValue::from_static("1"));
        Refusal { retry_after, ..self.with("retryable", true.into()) }
    }

    /// The refusal of something that fails again until a person changes the settings.
    #[must_use]
    pub fn lasting(self) -> Refusal {
        Refusal { is_final: true, ..self }
    }

    /// The refusal that the API answered; one of the gate if it is no problem document.
    pub fn of_api(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Refusal {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) if status.is_client_error() || status.is_server_error() => {
                Refusal { status, members, retry_after: headers.get(RETRY_AFTER).cloned(), is_final: false }
            }
            _ => unavailable(),
        }
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        self.members.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the API takes questions from the caller, and refuses only what was asked.
    pub fn is_of_question(&self) -> bool {
        self.status == StatusCode::UNPROCESSABLE_ENTITY || self.code() == "operation_not_found"
    }

    /// Whether the caller is not known, or may not do this.
    pub fn is_of_caller(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED || self.status == StatusCode::FORBIDDEN
    }

    /// What happened, for people, and all members of the problem.
    pub fn into_parts(self) -> (Value, Map<String, Value>) {
        let text = self.members.get("detail").or_else(|| self.members.get("title"));
        (text.cloned().unwrap_or_default(), self.members)
    }

    /// The response that a client gets.
    pub fn into_response(self, dialect: Dialect) -> Response<Body> {
        let content_type = match dialect {
            Dialect::Problem => "application/problem+json",
            Dialect::Openai | Dialect::Anthropic => "application/json",
        };
        let is_unpaid = self.status == StatusCode::PAYMENT_REQUIRED;
        let (status, is_final, retry_after) = (self.status, self.is_final, self.retry_after.clone());
        let mut response = Response::new(Body::from(self.into_json(dialect).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds);
        }
        let is_retryable = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if is_unpaid || is_final || !is_retryable {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }

    fn into_json(self, dialect: Dialect) -> Value {
        let code = self.code().to_owned();
        let is_unpaid = self.status == StatusCode::PAYMENT_REQUIRED;
        let message =
            self.members.get("detail").or_else(|| self.members.get("title")).cloned().unwrap_or_default();
        let kind = match (dialect, self.status.as_u16()) {
            (Dialect::Problem, _) => return Value::Object(self.members),
            (Dialect::Openai, 402) => "insufficient_quota",
            (Dialect::Anthropic, 402) => "billing_error",
            (_, 401) => "authentication_error",
            (_, 403) => "permission_error",
            (_, 404) => "not_found_error",
            (_, 429) => "rate_limit_error",
            (_, 400..=499) => "invalid_request_error",
            (Dialect::Openai, _) => "server_error",
            (Dialect::Anthropic, _) => "api_error",
        };
        match dialect {
            Dialect::Anthropic => json!({
                "type": "error",
                "error": { "type": kind, "message": message, "code": code, "tollkeeper": self.members },
            }),
            _ => json!({ "error": {
                "type": kind,
                "code": if is_unpaid { "insufficient_credits" } else { code.as_str() },
                "message": message,
                "param": null,
                "tollkeeper": self.members,
            } }),
        }
    }
}

/// The API cannot be reached, so nothing is charged and nothing runs.
pub fn unavailable() -> Refusal {
    let detail = "The charge could not be made, so the operation did not run. Try again.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "Store unavailable", detail)
        .retryable()
}

/// The API did not answer, so whether the charge was made is not known.
pub fn unknown() -> Refusal {
    let detail = "The ledger did not answer, so the operation did not run. If the charge was made all the same, it \
                  is refunded at its deadline. Try again under a new idempotency key.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "Store unavailable", detail)
        .retryable()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpaid() -> Refusal {
        let body =
            json!({"code": "insufficient_credits", "detail": "Add credits.", "status": 402, "shortfall": 5});
        Refusal::of_api(StatusCode::PAYMENT_REQUIRED, &HeaderMap::new(), &Bytes::from(body.to_string()))
    }

    #[test]
    fn a_refusal_of_the_api_is_passed_on() {
        let response = unpaid().into_response(Dialect::Problem);
        assert_eq!(response.status(), 402);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-should-retry"], "false");
        assert_eq!(unpaid().into_json(Dialect::Problem)["shortfall"], 5);
    }

    #[test]
    fn a_lack_of_credit_is_said_in_each_dialect() {
        let openai = unpaid().into_json(Dialect::Openai);
        assert_eq!(openai["error"]["type"], "insufficient_quota");
        assert_eq!(openai["error"]["code"], "insufficient_credits");
        assert_eq!(openai["error"]["message"], "Add credits.");
        let anthropic = unpaid().into_json(Dialect::Anthropic);
        assert_eq!(
            (&anthropic["type"], &anthropic["error"]["type"]),
            (&json!("error"), &json!("billing_error"))
        );
    }

    #[test]
    fn what_is_no_problem_document_is_a_failure_of_the_api() {
        for (status, body) in [(200, "{}"), (302, "{}"), (500, "<html>"), (402, "[]")] {
            let status = StatusCode::from_u16(status).expect("a status");
            let refusal = Refusal::of_api(status, &HeaderMap::new(), &Bytes::from(body));
            assert_eq!(refusal.code(), "store_unavailable", "{status} {body}");
            let response = refusal.into_response(Dialect::Problem);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (503, &HeaderValue::from_static("1"))
            );
        }
    }
}
