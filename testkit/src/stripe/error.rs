//! Errors in the shape of Stripe: status, type, code, parameter.

use serde_json::{Value, json};

use super::cards::Decline;

/// An answer other than 200.
#[derive(Debug, Clone)]
pub(super) struct StripeError {
    pub status: u16,
    pub body: Value,
}

impl StripeError {
    fn new(status: u16, kind: &str, message: &str) -> StripeError {
        StripeError { status, body: json!({"error": {"type": kind, "message": message}}) }
    }

    /// 400: a parameter is wrong.
    pub(super) fn invalid(message: &str, param: &str) -> StripeError {
        StripeError::new(400, "invalid_request_error", message).with("param", json!(param))
    }

    /// 400: the object is in a state that does not allow this.
    pub(super) fn state(code: &str, message: &str) -> StripeError {
        StripeError::new(400, "invalid_request_error", message).with_code(code)
    }

    pub(super) fn missing_parameter(param: &str) -> StripeError {
        StripeError::invalid(&format!("Missing required param: {param}."), param)
            .with_code("parameter_missing")
    }

    pub(super) fn unknown_parameter(param: &str) -> StripeError {
        StripeError::invalid(&format!("Received unknown parameter: {param}"), param)
            .with_code("parameter_unknown")
    }

    /// 404 for the object of the path.
    pub(super) fn no_such(kind: &str, id: &str) -> StripeError {
        let message = format!("No such {kind}: '{id}'");
        let mut error = StripeError::invalid(&message, "id").with_code("resource_missing");
        error.status = 404;
        error
    }

    /// 400 for an object that a parameter names.
    pub(super) fn no_such_parameter(kind: &str, id: &str, param: &str) -> StripeError {
        StripeError::invalid(&format!("No such {kind}: '{id}'"), param).with_code("resource_missing")
    }

    pub(super) fn unknown_path(method: &str, path: &str) -> StripeError {
        StripeError::new(
            404,
            "invalid_request_error",
            &format!("Unrecognized request URL ({method}: {path})."),
        )
    }

    pub(super) fn unauthorized() -> StripeError {
        StripeError::new(401, "invalid_request_error", "Invalid API Key provided")
    }

    pub(super) fn version(asked: &str) -> StripeError {
        StripeError::new(400, "invalid_request_error", &format!("Invalid Stripe API version: {asked}"))
    }

    /// 400: the idempotency key was used with other parameters.
    pub(super) fn key_reused() -> StripeError {
        StripeError::new(
            400,
            "idempotency_error",
            "Keys for idempotent requests can only be used with the same parameters they were first used with.",
        )
    }

    /// 409: a request with this key is under way.
    pub(super) fn key_in_use() -> StripeError {
        let message = "There is currently another in-progress request using this Idempotent Key.";
        StripeError::new(409, "idempotency_error", message).with_code("idempotency_key_in_use")
    }

    pub(super) fn rate_limited() -> StripeError {
        StripeError::new(429, "invalid_request_error", "Request rate limit exceeded.").with_code("rate_limit")
    }

    pub(super) fn internal() -> StripeError {
        StripeError::new(500, "api_error", "Sorry! There was an error while talking to one of our backends.")
    }

    /// 402: the card was declined. `intent` is the whole PaymentIntent or SetupIntent.
    pub(super) fn card(decline: &Decline, intent: Option<(&str, Value)>, charge: Value) -> StripeError {
        let mut error = StripeError::new(402, "card_error", decline.message).with_code(decline.code);
        error = error.with("decline_code", decline.decline_code.map_or(Value::Null, Value::from));
        if let Some(advice) = decline.advice_code {
            error = error.with("advice_code", json!(advice));
        }
        if !charge.is_null() {
            error = error.with("charge", charge);
        }
        match intent {
            Some((name, value)) => error.with(name, value),
            None => error,
        }
    }

    pub(super) fn with_code(self, code: &str) -> StripeError {
        let url = format!("https://stripe.invalid/docs/error-codes/{}", code.replace('_', "-"));
        self.with("code", json!(code)).with("doc_url", json!(url))
    }

    fn with(mut self, name: &str, value: Value) -> StripeError {
        self.body["error"][name] = value;
        self
    }

    /// True if Stripe keeps this answer for the idempotency key: not if a parameter was refused
    /// before the endpoint began.
    pub(super) fn is_kept(&self) -> bool {
        self.status != 400 || self.body["error"]["param"].is_null()
    }
}
