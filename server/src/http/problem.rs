//! Problem documents (RFC 9457): the one shape in which a client is told "no".
//!
//! Every [`Code`] is stable and has its status, its title and whether asking again can help; what explains the single
//! case is in `detail` and in members of its own. Which refusal of the ledger gets which code is in `refusal`. No
//! stack trace and no HTML ever get here.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tollkeeper_ledger::Micros;

use crate::wire::write::Usd;

/// Where the `type` of a problem begins; the code follows. A name, not an address: nothing need be reachable there.
pub const TYPE_PREFIX: &str = "urn:tollkeeper:problem:";

macro_rules! codes {
    ($($name:ident = $status:literal $text:literal $title:literal $retryable:literal),+ $(,)?) => {
        /// The stable name of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($name),+ }

        impl Code {
            /// All of them.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// The code as clients compare it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),+ }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status),+ }
            }

            /// The same for an answer.
            #[must_use]
            pub fn http_status(self) -> StatusCode {
                StatusCode::from_u16(self.status()).expect("the statuses of the table are HTTP's")
            }

            /// The title for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title),+ }
            }

            /// Whether the same request, under the same key, may succeed a moment later without anything else done.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable),+ }
            }
        }
    };
}

codes! {
    MalformedJson = 400 "malformed_json" "The body is not JSON" false,
    UnknownField = 400 "unknown_field" "The body has a field that is not known here" false,
    IdempotencyKeyRequired = 400 "idempotency_key_required" "An idempotency key is required" false,
    InvalidParameter = 400 "invalid_parameter" "A parameter or header is not valid" false,
    Unauthenticated = 401 "unauthenticated" "No valid key or session" false,
    InsufficientCredits = 402 "insufficient_credits" "Not enough credits" false,
    LimitExceeded = 402 "limit_exceeded" "A spending limit would be passed" false,
    DebtOutstanding = 402 "debt_outstanding" "Credit is owed after a lost payment" false,
    Forbidden = 403 "forbidden" "This is not yours to do" false,
    WorkspaceSuspended = 403 "workspace_suspended" "The workspace is suspended" false,
    NotFound = 404 "not_found" "There is nothing here" false,
    WorkspaceNotFound = 404 "workspace_not_found" "No such workspace" false,
    ChargeNotFound = 404 "charge_not_found" "No such charge" false,
    OperationNotFound = 404 "operation_not_found" "No such operation" false,
    GrantNotFound = 404 "grant_not_found" "No such grant" false,
    DisputeNotFound = 404 "dispute_not_found" "No such dispute" false,
    MemberNotFound = 404 "member_not_found" "No such member" false,
    ApiKeyNotFound = 404 "api_key_not_found" "No such API key" false,
    MethodNotAllowed = 405 "method_not_allowed" "This method is not offered here" false,
    WorkspaceExists = 409 "workspace_exists" "The workspace exists" false,
    MemberExists = 409 "member_exists" "The member exists" false,
    LastAdmin = 409 "last_admin" "A workspace keeps an admin" false,
    ChargeAlreadySettled = 409 "charge_already_settled" "The charge was settled" false,
    ChargeAlreadyRefunded = 409 "charge_already_refunded" "The charge was refunded" false,
    RefundExceedsCharge = 409 "refund_exceeds_charge" "More than what is left of the charge" false,
    RefundWindowClosed = 409 "refund_window_closed" "Too late for an automatic refund" false,
    PortalLinkExpired = 410 "portal_link_expired" "The link has been used or is over" false,
    BodyTooLarge = 413 "body_too_large" "The body is too large" false,
    UnsupportedMediaType = 415 "unsupported_media_type" "The body is of another media type" false,
    InvalidField = 422 "invalid_field" "A field is not valid" false,
    IdempotencyKeyReused = 422 "idempotency_key_reused" "The key stands for another request" false,
    RateLimited = 429 "rate_limited" "Too many requests of this key" true,
    InternalError = 500 "internal_error" "Something is wrong on our side" true,
    Overloaded = 503 "overloaded" "Too many requests at once" true,
    StoreUnavailable = 503 "store_unavailable" "The store is not available" true,
}

/// A "no" as a client gets it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Which.
    pub code: Code,
    /// This case, in a sentence.
    pub detail: Cow<'static, str>,
    /// What explains it to a program.
    pub members: Vec<(&'static str, Value)>,
    /// Whether the ledger said so, after it had looked who asks.
    pub is_decided: bool,
}

impl Problem {
    /// A problem with a sentence and no members.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { code, detail: detail.into(), members: Vec::new(), is_decided: false }
    }

    /// The same as a decision of the ledger.
    #[must_use]
    pub fn decided(mut self) -> Problem {
        self.is_decided = true;
        self
    }

    /// A field of the body that is not valid.
    pub fn field(field: &str, why: &str) -> Problem {
        Problem::new(Code::InvalidField, format!("`{field}` {why}.")).with("field", field)
    }

    /// A query parameter or header that is not valid.
    pub fn parameter(parameter: &str, why: &str) -> Problem {
        Problem::new(Code::InvalidParameter, format!("`{parameter}` {why}.")).with("parameter", parameter)
    }

    /// The same with a member more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Problem {
        self.members.push((name, value.into()));
        self
    }

    /// The same with an amount more, in micro-units and in dollars.
    #[must_use]
    pub fn with_amount(self, names: [&'static str; 2], amount: Micros) -> Problem {
        self.with(names[0], amount.get()).with(names[1], Usd(amount).to_string())
    }

    /// The answer that carries it.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, &self).expect("a problem is made of texts and integers");
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = self.code.http_status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code.status() == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        self.say_when(headers);
        response
    }

    /// Says in the headers of an answer when to ask again, if that is soon.
    pub fn say_when(&self, headers: &mut HeaderMap) {
        if self.code.status() == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Problem { code, detail, members, is_decided: _ } = self;
        let mut map = serializer.serialize_map(Some(6 + members.len()))?;
        map.serialize_entry("type", &format_args!("{TYPE_PREFIX}{}", code.as_str()))?;
        map.serialize_entry("title", code.title())?;
        map.serialize_entry("status", &code.status())?;
        map.serialize_entry("detail", detail)?;
        map.serialize_entry("code", code.as_str())?;
        map.serialize_entry("retryable", &code.retryable())?;
        for (name, value) in members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
