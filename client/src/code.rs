//! The codes of problems, which never change their meaning.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

/// Why the server refuses a request. A code that this version does not know is `Other`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The account of the workspace did not pass a check and is being rebuilt. Other workspaces are
    /// served. Repeat the request under the same idempotency key; if it does not succeed in a
    /// minute, the operator must look at the log.
    AccountUnavailable,
    /// The workspace has no API key with this id, or it was revoked.
    ApiKeyNotFound,
    /// Automatic top-ups were never set for the workspace.
    AutoTopUpNotFound,
    /// The body has more bytes than `max_bytes`.
    BodyTooLarge,
    /// The charge is refunded in full, so nothing of it can change.
    ChargeAlreadyRefunded,
    /// The charge is settled, and another outcome was reported. `outcome` says which one counts.
    ChargeAlreadySettled,
    /// The workspace has no charge with this id.
    ChargeNotFound,
    /// The workspace owes credit after a lost payment, so it cannot be charged. Credit that is
    /// added repays the debt first.
    DebtOutstanding,
    /// The message is not among those that are kept of the webhook endpoint.
    DeliveryNotFound,
    /// The key is valid and does not have the scope, or is tied to another member or worker.
    Forbidden,
    /// The workspace has no grant with this id.
    GrantNotFound,
    /// A payment paid for the grant. Such a grant is not voided; its payment can be refunded.
    GrantWasPaid,
    /// The request moves credit and has no `Idempotency-Key` header, or an item of a batch has no
    /// `idempotency_key`.
    IdempotencyKeyRequired,
    /// The key was used for a different request. `field` names the first field that differs. Use a
    /// new key.
    IdempotencyKeyReused,
    /// The available credit does not cover the charge. Nothing was deducted. After credit is added,
    /// the same request under the same key can succeed.
    InsufficientCredits,
    /// The server has an error. Its log has the details under `id`. A request with an idempotency
    /// key can be repeated safely.
    InternalError,
    /// A field of the body is missing, has the wrong type, or a value out of range. `field` names
    /// it.
    InvalidField,
    /// A query parameter or header is unknown, given twice, or not valid. `parameter` names it.
    InvalidParameter,
    /// The last admin of a workspace cannot be removed or become a plain member.
    LastAdmin,
    /// The charge would exceed a spending limit. Nothing was deducted. `resets_at` says when the
    /// next period begins.
    LimitExceeded,
    /// The setting `smtp_url` is not set, so no mail is sent. What would be mailed is in the
    /// journal, and goes to webhook endpoints.
    MailNotSetUp,
    /// The body is not well-formed JSON, has one field twice, or did not arrive completely.
    MalformedJson,
    /// The workspace has a member with this id already.
    MemberExists,
    /// The workspace has no member with this id.
    MemberNotFound,
    /// There is no such path, or no price book is in force.
    NotFound,
    /// No period of the subscription has begun that was not paid, or no change waits for a payment.
    NothingDue,
    /// The top-up was not paid, its credit is spent, or its money went back before.
    NothingToRefund,
    /// The price book in force has no operation with this id.
    OperationNotFound,
    /// Too much is waiting, or the workspace asks too often for something expensive, so the request
    /// was not processed. Repeat it after the seconds in the header `Retry-After`.
    Overloaded,
    /// No card is saved for the workspace.
    PaymentMethodNotFound,
    /// Automatic top-ups need a saved card, and none is saved.
    PaymentMethodRequired,
    /// The payment provider did not answer, or its answer cannot be used. Repeat the request in a
    /// moment; under the same idempotency key it is done once.
    PaymentProviderUnavailable,
    /// A subscription by the month does not change to a plan by the year, nor the other way. Cancel
    /// it and start anew.
    PlanIntervalDiffers,
    /// The newest version of the plans has no plan with this id.
    PlanNotFound,
    /// The position is of an earlier epoch, or behind the last entry: the ledger was restored from
    /// a copy, or the position is of another workspace. `last` is the position of the last entry.
    /// Read the list again, and compare the hashes of entries with those that you know.
    PositionLost,
    /// The key, or all keys of the workspace together, made too many requests; each item of a batch
    /// counts. Wait for the seconds in the header `Retry-After`.
    RateLimited,
    /// The workspace has no recipient of mails with this id.
    RecipientNotFound,
    /// The refund is larger than what is left of the charge. `refundable` says how much is left.
    RefundExceedsCharge,
    /// The charge was settled too long ago to be refunded by a late failure. The platform can still
    /// refund it by hand.
    RefundWindowClosed,
    /// The body did not arrive within 30 seconds. Nothing was done. Send the request again.
    RequestTimeout,
    /// Servers on a database need the setting `secret_key`, the same on all, before webhook
    /// endpoints can be created.
    SecretKeyMissing,
    /// The database or disk cannot be used at the moment. Repeat the request; under the same
    /// idempotency key it is done once.
    StoreUnavailable,
    /// The workspace has no subscription, or the last one has ended.
    SubscriptionNotFound,
    /// Days of the time zone begin within hours that were counted whole, and there are too many of
    /// them. Ask for at most 31 days, or in the workspace's time zone, which `timezone` names.
    TimezoneNotCounted,
    /// The workspace has as many open streams and waiting requests as it may have. Close one of
    /// them.
    TooManyFollowers,
    /// The workspace has no top-up with this id.
    TopUpNotFound,
    /// The request has no key, or the key is unknown, was revoked or has expired.
    Unauthenticated,
    /// The body has a field that the request does not have. `field` names it.
    UnknownField,
    /// The header `Content-Type` is not `application/json`, or the body has a `Content-Encoding`.
    UnsupportedMediaType,
    /// The answer would have more rows than `max_rows`. Ask for a shorter range, for longer
    /// periods, or for fewer keys.
    UsageTooLarge,
    /// There is no webhook endpoint with this id.
    WebhookEndpointNotFound,
    /// There is a workspace with this id already.
    WorkspaceExists,
    /// There is no workspace with this id, or the API key belongs to another one.
    WorkspaceNotFound,
    /// The platform suspended the workspace. It cannot be charged until the platform ends that.
    WorkspaceSuspended,
    /// A code of a newer server.
    Other(String),
}

impl Code {
    /// The code as the server writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Code::AccountUnavailable => "account_unavailable",
            Code::ApiKeyNotFound => "api_key_not_found",
            Code::AutoTopUpNotFound => "auto_top_up_not_found",
            Code::BodyTooLarge => "body_too_large",
            Code::ChargeAlreadyRefunded => "charge_already_refunded",
            Code::ChargeAlreadySettled => "charge_already_settled",
            Code::ChargeNotFound => "charge_not_found",
            Code::DebtOutstanding => "debt_outstanding",
            Code::DeliveryNotFound => "delivery_not_found",
            Code::Forbidden => "forbidden",
            Code::GrantNotFound => "grant_not_found",
            Code::GrantWasPaid => "grant_was_paid",
            Code::IdempotencyKeyRequired => "idempotency_key_required",
            Code::IdempotencyKeyReused => "idempotency_key_reused",
            Code::InsufficientCredits => "insufficient_credits",
            Code::InternalError => "internal_error",
            Code::InvalidField => "invalid_field",
            Code::InvalidParameter => "invalid_parameter",
            Code::LastAdmin => "last_admin",
            Code::LimitExceeded => "limit_exceeded",
            Code::MailNotSetUp => "mail_not_set_up",
            Code::MalformedJson => "malformed_json",
            Code::MemberExists => "member_exists",
            Code::MemberNotFound => "member_not_found",
            Code::NotFound => "not_found",
            Code::NothingDue => "nothing_due",
            Code::NothingToRefund => "nothing_to_refund",
            Code::OperationNotFound => "operation_not_found",
            Code::Overloaded => "overloaded",
            Code::PaymentMethodNotFound => "payment_method_not_found",
            Code::PaymentMethodRequired => "payment_method_required",
            Code::PaymentProviderUnavailable => "payment_provider_unavailable",
            Code::PlanIntervalDiffers => "plan_interval_differs",
            Code::PlanNotFound => "plan_not_found",
            Code::PositionLost => "position_lost",
            Code::RateLimited => "rate_limited",
            Code::RecipientNotFound => "recipient_not_found",
            Code::RefundExceedsCharge => "refund_exceeds_charge",
            Code::RefundWindowClosed => "refund_window_closed",
            Code::RequestTimeout => "request_timeout",
            Code::SecretKeyMissing => "secret_key_missing",
            Code::StoreUnavailable => "store_unavailable",
            Code::SubscriptionNotFound => "subscription_not_found",
            Code::TimezoneNotCounted => "timezone_not_counted",
            Code::TooManyFollowers => "too_many_followers",
            Code::TopUpNotFound => "top_up_not_found",
            Code::Unauthenticated => "unauthenticated",
            Code::UnknownField => "unknown_field",
            Code::UnsupportedMediaType => "unsupported_media_type",
            Code::UsageTooLarge => "usage_too_large",
            Code::WebhookEndpointNotFound => "webhook_endpoint_not_found",
            Code::WorkspaceExists => "workspace_exists",
            Code::WorkspaceNotFound => "workspace_not_found",
            Code::WorkspaceSuspended => "workspace_suspended",
            Code::Other(code) => code,
        }
    }
}

impl From<&str> for Code {
    fn from(code: &str) -> Code {
        match code {
            "account_unavailable" => Code::AccountUnavailable,
            "api_key_not_found" => Code::ApiKeyNotFound,
            "auto_top_up_not_found" => Code::AutoTopUpNotFound,
            "body_too_large" => Code::BodyTooLarge,
            "charge_already_refunded" => Code::ChargeAlreadyRefunded,
            "charge_already_settled" => Code::ChargeAlreadySettled,
            "charge_not_found" => Code::ChargeNotFound,
            "debt_outstanding" => Code::DebtOutstanding,
            "delivery_not_found" => Code::DeliveryNotFound,
            "forbidden" => Code::Forbidden,
            "grant_not_found" => Code::GrantNotFound,
            "grant_was_paid" => Code::GrantWasPaid,
            "idempotency_key_required" => Code::IdempotencyKeyRequired,
            "idempotency_key_reused" => Code::IdempotencyKeyReused,
            "insufficient_credits" => Code::InsufficientCredits,
            "internal_error" => Code::InternalError,
            "invalid_field" => Code::InvalidField,
            "invalid_parameter" => Code::InvalidParameter,
            "last_admin" => Code::LastAdmin,
            "limit_exceeded" => Code::LimitExceeded,
            "mail_not_set_up" => Code::MailNotSetUp,
            "malformed_json" => Code::MalformedJson,
            "member_exists" => Code::MemberExists,
            "member_not_found" => Code::MemberNotFound,
            "not_found" => Code::NotFound,
            "nothing_due" => Code::NothingDue,
            "nothing_to_refund" => Code::NothingToRefund,
            "operation_not_found" => Code::OperationNotFound,
            "overloaded" => Code::Overloaded,
            "payment_method_not_found" => Code::PaymentMethodNotFound,
            "payment_method_required" => Code::PaymentMethodRequired,
            "payment_provider_unavailable" => Code::PaymentProviderUnavailable,
            "plan_interval_differs" => Code::PlanIntervalDiffers,
            "plan_not_found" => Code::PlanNotFound,
            "position_lost" => Code::PositionLost,
            "rate_limited" => Code::RateLimited,
            "recipient_not_found" => Code::RecipientNotFound,
            "refund_exceeds_charge" => Code::RefundExceedsCharge,
            "refund_window_closed" => Code::RefundWindowClosed,
            "request_timeout" => Code::RequestTimeout,
            "secret_key_missing" => Code::SecretKeyMissing,
            "store_unavailable" => Code::StoreUnavailable,
            "subscription_not_found" => Code::SubscriptionNotFound,
            "timezone_not_counted" => Code::TimezoneNotCounted,
            "too_many_followers" => Code::TooManyFollowers,
            "top_up_not_found" => Code::TopUpNotFound,
            "unauthenticated" => Code::Unauthenticated,
            "unknown_field" => Code::UnknownField,
            "unsupported_media_type" => Code::UnsupportedMediaType,
            "usage_too_large" => Code::UsageTooLarge,
            "webhook_endpoint_not_found" => Code::WebhookEndpointNotFound,
            "workspace_exists" => Code::WorkspaceExists,
            "workspace_not_found" => Code::WorkspaceNotFound,
            "workspace_suspended" => Code::WorkspaceSuspended,
            other => Code::Other(other.to_owned()),
        }
    }
}
