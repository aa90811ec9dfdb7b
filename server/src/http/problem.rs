//! Problem documents (RFC 9457): the one form of every error that a client gets.
//!
//! Every [`Code`] is stable. It has a status, a title, and says whether a retry can help. What
//! explains the single case is in `detail` and in members of its own. Which refusal of the ledger
//! becomes which code is in `refusal`. No stack trace and no internal message gets here.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tollkeeper_ledger::Micros;
use utoipa::ToSchema;

use crate::access::RateStatus;
use crate::wire::ReadError;
use crate::wire::write::Usd;

/// The beginning of the member `type`; the code follows. It is a name and not the address of a
/// page.
const TYPE_PREFIX: &str = "urn:tollkeeper:problem:";

/// The rule for cursors, to follow the parameter's name.
pub const CURSOR_RULE: &str = "is not a `next_cursor` of this list";

macro_rules! codes {
    ($($name:ident = $status:literal $text:literal $title:literal $retryable:literal $when:literal),+ $(,)?) => {
        /// The stable code of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $when] $name),+ }

        impl Code {
            /// Every code, in the order of their numbers, which are indexes in the metrics.
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

            /// The HTTP status as axum's type.
            #[must_use]
            pub fn http_status(self) -> StatusCode {
                StatusCode::from_u16(self.status()).expect("the table has only statuses of HTTP")
            }

            /// The title, for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title),+ }
            }

            /// Whether the same request under the same key may succeed a moment later.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable),+ }
            }

            /// When the problem occurs and what to do, for the documents.
            #[must_use]
            pub const fn when(self) -> &'static str {
                match self { $(Code::$name => $when),+ }
            }
        }
    };
}

codes! {
    MalformedJson = 400 "malformed_json" "The body is not valid JSON" false
        "The body is not well-formed JSON, has one field twice, or did not arrive completely.",
    MalformedRequest = 400 "malformed_request" "The request is not HTTP" false
        "The head of the request is not well-formed HTTP/1.1.",
    UnknownField = 400 "unknown_field" "The body has an unknown field" false
        "The body has a field that the request does not have. `field` names it.",
    IdempotencyKeyRequired = 400 "idempotency_key_required" "An idempotency key is required" false
        "The request moves credit and has no `Idempotency-Key` header, or an item of a batch has no `idempotency_key`.",
    InvalidParameter = 400 "invalid_parameter" "A parameter or header is not valid" false
        "A query parameter or header is unknown, given twice, or not valid. `parameter` names it.",
    Unauthenticated = 401 "unauthenticated" "No valid key or session" false
        "The request has no key, or the key is unknown, was revoked or has expired.",
    InsufficientCredits = 402 "insufficient_credits" "Not enough credits" false
        "The available credit does not cover the charge. Nothing was deducted. After credit is added, the same request under the same key can succeed.",
    LimitExceeded = 402 "limit_exceeded" "A spending limit would be exceeded" false
        "The charge would exceed a spending limit. Nothing was deducted. `resets_at` says when the next period begins.",
    DebtOutstanding = 402 "debt_outstanding" "The workspace owes credit" false
        "The workspace owes credit after a lost payment, so it cannot be charged. Credit that is added repays the debt first.",
    Forbidden = 403 "forbidden" "Not allowed" false
        "The key is valid and does not have the scope, or is tied to another member or worker.",
    WorkspaceSuspended = 403 "workspace_suspended" "The workspace is suspended" false
        "The platform suspended the workspace. It cannot be charged until the platform ends that.",
    NotFound = 404 "not_found" "Not found" false
        "There is no such path, or no price book is in force.",
    WorkspaceNotFound = 404 "workspace_not_found" "No such workspace" false
        "There is no workspace with this id, or the API key belongs to another one.",
    ChargeNotFound = 404 "charge_not_found" "No such charge" false
        "The workspace has no charge with this id.",
    OperationNotFound = 404 "operation_not_found" "No such operation" false
        "The price book in force has no operation with this id.",
    GrantNotFound = 404 "grant_not_found" "No such grant" false
        "The workspace has no grant with this id.",
    TopUpNotFound = 404 "top_up_not_found" "No such top-up" false
        "The workspace has no top-up with this id.",
    PaymentMethodNotFound = 404 "payment_method_not_found" "No saved card" false
        "No card is saved for the workspace.",
    AutoTopUpNotFound = 404 "auto_top_up_not_found" "No automatic top-ups" false
        "Automatic top-ups were never set for the workspace.",
    PlanNotFound = 404 "plan_not_found" "No such plan" false
        "The newest version of the plans has no plan with this id.",
    SubscriptionNotFound = 404 "subscription_not_found" "No subscription" false
        "The workspace has no subscription, or the last one has ended.",
    MemberNotFound = 404 "member_not_found" "No such member" false
        "The workspace has no member with this id.",
    RecipientNotFound = 404 "recipient_not_found" "No such recipient" false
        "The workspace has no recipient of mails with this id.",
    MailLinkInvalid = 404 "mail_link_invalid" "This link does not work" false
        "The link is not complete, or its address or recipient has changed since the mail was sent.",
    WebhookEndpointNotFound = 404 "webhook_endpoint_not_found" "No such webhook endpoint" false
        "There is no webhook endpoint with this id.",
    DeliveryNotFound = 404 "delivery_not_found" "No such delivery" false
        "The message is not among those that are kept of the webhook endpoint.",
    ApiKeyNotFound = 404 "api_key_not_found" "No such API key" false
        "The workspace has no API key with this id, or it was revoked.",
    MethodNotAllowed = 405 "method_not_allowed" "The path does not have this method" false
        "The path exists without this method. The header `Allow` lists its methods.",
    RequestTimeout = 408 "request_timeout" "The body came too slowly" true
        "The body did not arrive within 30 seconds. Nothing was done. Send the request again.",
    WorkspaceExists = 409 "workspace_exists" "The workspace exists already" false
        "There is a workspace with this id already.",
    MemberExists = 409 "member_exists" "The member exists already" false
        "The workspace has a member with this id already.",
    LastAdmin = 409 "last_admin" "The workspace needs an admin" false
        "The last admin of a workspace cannot be removed or become a plain member.",
    PaymentMethodRequired = 409 "payment_method_required" "A saved card is required" false
        "Automatic top-ups need a saved card, and none is saved.",
    GrantWasPaid = 409 "grant_was_paid" "The grant was paid for" false
        "A payment paid for the grant. Such a grant is not voided; its payment can be refunded.",
    NothingToRefund = 409 "nothing_to_refund" "Nothing can go back" false
        "The top-up was not paid, its credit is spent, or its money went back before.",
    PlanIntervalDiffers = 409 "plan_interval_differs" "The plan is paid by another interval" false
        "A subscription by the month does not change to a plan by the year, nor the other way. Cancel it and start anew.",
    SubscriptionExists = 409 "subscription_exists" "There is a subscription" true
        "The last subscription is being ended at the payment provider, or its last change is asked for there. Try again in a moment.",
    SecretKeyMissing = 409 "secret_key_missing" "The setting `secret_key` is missing" false
        "Servers on a database need the setting `secret_key`, the same on all, before webhook endpoints can be created.",
    MailNotSetUp = 409 "mail_not_set_up" "This server sends no mails" false
        "The setting `smtp_url` is not set, so no mail is sent. What would be mailed is in the journal, and goes to webhook endpoints.",
    NothingDue = 409 "nothing_due" "Nothing is due" false
        "No period of the subscription has begun that was not paid, or no change waits for a payment.",
    ChargeAlreadySettled = 409 "charge_already_settled" "The charge is settled already" false
        "The charge is settled, and another outcome was reported. `outcome` says which one counts.",
    ChargeAlreadyRefunded = 409 "charge_already_refunded" "The charge is refunded already" false
        "The charge is refunded in full, so nothing of it can change.",
    RefundExceedsCharge = 409 "refund_exceeds_charge" "The refund exceeds the charge" false
        "The refund is larger than what is left of the charge. `refundable` says how much is left.",
    RefundWindowClosed = 409 "refund_window_closed" "Too late for an automatic refund" false
        "The charge was settled too long ago to be refunded by a late failure. The platform can still refund it by hand.",
    PositionLost = 409 "position_lost" "The position is not in the journal" false
        "The position is of an earlier epoch, or behind the last entry: the ledger was restored from a copy, or the position is of another workspace. `last` is the position of the last entry. Read the list again, and compare the hashes of entries with those that you know.",
    PortalLinkExpired = 410 "portal_link_expired" "The link has been used or has expired" false
        "A sign-in link works once and for ten minutes. Ask for a new one.",
    BodyTooLarge = 413 "body_too_large" "The body is too large" false
        "The body has more bytes than `max_bytes`.",
    UriTooLong = 414 "uri_too_long" "The path is too long" false
        "The path with its query is longer than the server reads.",
    UnsupportedMediaType = 415 "unsupported_media_type" "The body has another media type" false
        "The header `Content-Type` is not `application/json`, or the body has a `Content-Encoding`.",
    InvalidField = 422 "invalid_field" "A field is not valid" false
        "A field of the body is missing, has the wrong type, or a value out of range. `field` names it.",
    IdempotencyKeyReused = 422 "idempotency_key_reused" "The idempotency key belongs to another request" false
        "The key was used for a different request. `field` names the first field that differs. Use a new key.",
    TimezoneNotCounted = 422 "timezone_not_counted" "Use is not counted by the days of this time zone" false
        "Days of the time zone begin within hours that were counted whole, and there are too many of them. Ask for at most 31 days, or in the workspace's time zone, which `timezone` names.",
    UsageTooLarge = 422 "usage_too_large" "The answer has too many rows" false
        "The answer would have more rows than `max_rows`. Ask for a shorter range, for longer periods, or for fewer keys.",
    HeadersTooLarge = 431 "headers_too_large" "The headers are too large" false
        "The request has more headers, or longer ones, than the server reads.",
    RateLimited = 429 "rate_limited" "Too many requests" true
        "The key, or all keys of the workspace together, made too many requests; each item of a batch counts. Wait for the seconds in the header `Retry-After`.",
    TooManyFollowers = 429 "too_many_followers" "Too many streams of the workspace" true
        "The workspace has as many open streams and waiting requests as it may have. Close one of them.",
    InternalError = 500 "internal_error" "Internal error" true
        "The server has an error. Its log has the details under `id`. A request with an idempotency key can be repeated safely.",
    Overloaded = 503 "overloaded" "The server is overloaded" true
        "Too much is waiting, or the workspace asks too often for something expensive, so the request was not processed. Repeat it after the seconds in the header `Retry-After`.",
    AccountUnavailable = 503 "account_unavailable" "The account is not available" true
        "The account of the workspace did not pass a check and is being rebuilt. Other workspaces are served. Repeat the request under the same idempotency key; if it does not succeed in a minute, the operator must look at the log.",
    PaymentProviderUnavailable = 503 "payment_provider_unavailable" "The payment provider is not available" true
        "The payment provider did not answer, or its answer cannot be used. Repeat the request in a moment; under the same idempotency key it is done once.",
    StoreUnavailable = 503 "store_unavailable" "The store is not available" true
        "The database or disk cannot be used at the moment. Repeat the request; under the same idempotency key it is done once.",
}

/// An error as RFC 9457 describes it. Some codes have further members, such as `required`,
/// `available` and `shortfall` for `insufficient_credits`.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "it describes the JSON of `Problem`, whose members depend on the code")]
pub struct ProblemJson {
    /// The name of the kind of problem: `urn:tollkeeper:problem:` and the code.
    #[schema(example = "urn:tollkeeper:problem:insufficient_credits")]
    r#type: String,
    /// The title of the kind of problem, for people.
    #[schema(example = "Not enough credits")]
    title: String,
    /// The HTTP status.
    #[schema(example = 402)]
    status: u16,
    /// What happened in this case, in a sentence for people.
    #[schema(
        example = "This costs 0.20 USD and 0.05 USD are available; 0.15 USD are missing. Nothing was deducted."
    )]
    detail: String,
    /// The stable code. Programs compare this.
    #[schema(example = "insufficient_credits")]
    code: String,
    /// Whether the same request under the same key may succeed a moment later.
    #[schema(example = false)]
    retryable: bool,
}

/// An error that is returned to a client.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The kind of problem.
    pub code: Code,
    /// What happened in this case, in a sentence for people.
    pub detail: Cow<'static, str>,
    /// Further members for programs, by name.
    pub members: Vec<(&'static str, Value)>,
    /// Whether the ledger decided it, after it had checked the caller. It is not written.
    pub is_decided: bool,
    /// The rate limit that denied the request, for the headers of the response.
    pub rate: Option<Box<RateStatus>>,
}

impl Problem {
    /// A problem without further members.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { code, detail: detail.into(), members: Vec::new(), is_decided: false, rate: None }
    }

    /// Marks it as a decision of the ledger.
    #[must_use]
    pub fn decided(mut self) -> Problem {
        self.is_decided = true;
        self
    }

    /// A field of the body that is not valid. `why` follows the name in the sentence.
    pub fn field(field: &str, why: &str) -> Problem {
        Problem::new(Code::InvalidField, format!("`{field}` {why}.")).with("field", field)
    }

    /// A query parameter or header that is not valid. `why` follows the name in the sentence.
    pub fn parameter(parameter: &str, why: &str) -> Problem {
        Problem::new(Code::InvalidParameter, format!("`{parameter}` {why}.")).with("parameter", parameter)
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Problem {
        self.members.push((name, value.into()));
        self
    }

    /// Adds an amount as two members: in micro-units and in dollars.
    #[must_use]
    pub fn with_amount(self, micros_name: &'static str, usd_name: &'static str, amount: Micros) -> Problem {
        self.with(micros_name, amount.get()).with(usd_name, Usd(amount).to_string())
    }

    /// The response that carries it.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, &self).expect("a problem has string keys and is written to memory");
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = self.code.http_status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.write_headers(headers);
        response
    }

    /// The bytes of a response after which the connection ends, for a request that no router saw.
    pub fn into_last_bytes(self) -> Vec<u8> {
        let body = serde_json::to_vec(&self).expect("a problem has string keys and is written to memory");
        let status = self.code.http_status();
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            body.len(),
        )
        .into_bytes();
        bytes.extend(body);
        bytes
    }

    /// Adds what HTTP asks for beside some statuses: how to authenticate, and when to try again.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        if self.code.status() == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.code.status() == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Problem { code, detail, members, is_decided: _, rate: _ } = self;
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

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Problem {
        match error {
            ReadError::Malformed { detail, field } => {
                let problem = Problem::new(Code::MalformedJson, detail);
                match field {
                    Some(field) => problem.with("field", field),
                    None => problem,
                }
            }
            ReadError::UnknownField { field } => {
                Problem::new(Code::UnknownField, format!("`{field}` is not a field of this request."))
                    .with("field", field)
            }
            ReadError::InvalidField { field, why } => Problem::field(&field, &why),
            ReadError::InvalidCursor => Problem::parameter("cursor", CURSOR_RULE),
        }
    }
}
