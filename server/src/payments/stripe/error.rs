//! Why a request to Stripe has no answer that can be used.
//!
//! The kinds are closed, because each asks for another reaction. No kind contains a message of
//! Stripe, a parameter that was sent, an address or a key: those could reach a log.

use std::fmt;

use serde::Deserialize;
use tollkeeper_ledger::TopUpFailure;

use super::objects::{ObjectId, Reference};

/// The code of a key that was used with other parameters.
pub const IDEMPOTENCY_ERROR: &str = "idempotency_error";

/// The most characters of a code that is kept.
const CODE_MAX: usize = 64;

/// Why a request has no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StripeError {
    /// 402: the card was declined. No money moved.
    Declined(Box<Decline>),
    /// 400, 401, 403, 404: the request is wrong, and sending it again changes nothing.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's code, such as `resource_missing`.
        code: Option<Code>,
        /// The parameter that is wrong.
        param: Option<Code>,
    },
    /// 409, 429: nothing was done. The same request can be sent later.
    Busy {
        /// The HTTP status.
        status: u16,
    },
    /// It may have been carried out or not.
    Unknown(Why),
}

/// Why it is unknown whether a request was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No connection was made, so nothing was sent.
    Unreachable,
    /// The answer did not come in time.
    TimedOut,
    /// The connection ended before the answer was complete, or the answer is too long.
    Cut,
    /// An answer with a status that says nothing about the request, such as 500.
    Status(u16),
    /// The answer is not what the API answers.
    Undecodable,
}

/// Why a card was declined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Decline {
    /// Stripe's code, such as `card_declined` or `authentication_required`.
    pub code: Option<Code>,
    /// The reason of the card's bank, such as `insufficient_funds`.
    pub decline_code: Option<Code>,
    /// What to do, such as `try_again_later` or `do_not_try_again`.
    pub advice_code: Option<Code>,
    /// The PaymentIntent that was declined.
    #[serde(skip)]
    pub intent: Option<ObjectId>,
}

/// The codes after which the same card pays no more, or not without its holder.
const HARD: [&str; 21] = [
    "card_not_supported",
    "currency_not_supported",
    "expired_card",
    "fraudulent",
    "incorrect_cvc",
    "incorrect_number",
    "invalid_account",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "lost_card",
    "merchant_blacklist",
    "new_account_information_available",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "stolen_card",
    "stop_payment_order",
];

impl Decline {
    /// What a decline means for automatic top-ups.
    #[must_use]
    pub fn failure(&self) -> TopUpFailure {
        let Decline { code, decline_code, advice_code, intent: _ } = self;
        let says = |one: &Option<Code>, what: &[&str]| {
            one.as_ref().is_some_and(|code| what.contains(&code.as_str()))
        };
        let is_any = |what: &[&str]| says(code, what) || says(decline_code, what);
        if is_any(&["authentication_required", "authentication_not_handled"]) {
            TopUpFailure::AuthenticationNeeded
        } else if is_any(&HARD) || says(advice_code, &["do_not_try_again", "confirm_card_data"]) {
            TopUpFailure::HardDecline
        } else {
            TopUpFailure::SoftDecline
        }
    }
}

/// A code of Stripe: letters, digits, `_`, `.` and brackets, of bounded length. Anything else is
/// `other`, so that no foreign text passes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Code(Box<str>);

impl Code {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Code {
    fn from(text: String) -> Code {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
        let fits = !text.is_empty() && text.len() <= CODE_MAX && text.chars().all(is_plain);
        Code(if fits { text.into() } else { "other".into() })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StripeError {
    /// True if the request was refused with this code.
    pub(super) fn has_code(&self, code: &str) -> bool {
        matches!(self, StripeError::Refused { code: Some(found), .. } if found.as_str() == code)
    }

    /// True if Stripe refused the request because of this parameter.
    pub(super) fn is_about(&self, name: &str) -> bool {
        matches!(self, StripeError::Refused { param: Some(found), .. } if found.as_str() == name)
    }

    /// True if nothing was carried out and the same request may pass a moment later.
    pub(super) fn may_pass_soon(&self) -> bool {
        matches!(self, StripeError::Busy { .. } | StripeError::Unknown(Why::Unreachable))
    }

    /// The error of an answer that is not a success.
    pub(super) fn of_answer(status: u16, body: &[u8]) -> StripeError {
        if !matches!(status, 400..=404 | 409 | 429) {
            return StripeError::Unknown(Why::Status(status));
        }
        if matches!(status, 409 | 429) {
            return StripeError::Busy { status };
        }
        // A page of something between us and Stripe decides nothing.
        let Ok(ErrorBody { error }) = serde_json::from_slice::<ErrorBody>(body) else {
            return StripeError::Unknown(Why::Undecodable);
        };
        let ErrorFields { kind, code, decline_code, advice_code, param, payment_intent } = error;
        let code = code.or(kind.filter(|kind| kind.as_str() == IDEMPOTENCY_ERROR));
        if status == 402 {
            let intent = payment_intent.map(|intent| intent.id().clone());
            return StripeError::Declined(Box::new(Decline { code, decline_code, advice_code, intent }));
        }
        StripeError::Refused { status, code, param }
    }
}

impl fmt::Display for StripeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StripeError::Declined(decline) => {
                f.write_str("the card was declined")?;
                let codes = [&decline.code, &decline.decline_code, &decline.advice_code];
                codes.into_iter().flatten().try_for_each(|code| write!(f, ", {code}"))
            }
            StripeError::Refused { status, code, param } => {
                write!(f, "Stripe refused the request with {status}")?;
                [code, param].into_iter().flatten().try_for_each(|code| write!(f, ", {code}"))
            }
            StripeError::Busy { status } => write!(f, "Stripe asks to send the request later ({status})"),
            StripeError::Unknown(Why::Unreachable) => f.write_str("Stripe could not be reached"),
            StripeError::Unknown(Why::TimedOut) => f.write_str("Stripe did not answer in time"),
            StripeError::Unknown(Why::Cut) => f.write_str("Stripe's answer ended early or is too long"),
            StripeError::Unknown(Why::Status(status)) => write!(f, "Stripe answered with {status}"),
            StripeError::Unknown(Why::Undecodable) => f.write_str("Stripe's answer cannot be read"),
        }
    }
}

impl std::error::Error for StripeError {}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Deserialize)]
struct ErrorFields {
    #[serde(rename = "type")]
    kind: Option<Code>,
    code: Option<Code>,
    decline_code: Option<Code>,
    advice_code: Option<Code>,
    param: Option<Code>,
    payment_intent: Option<Reference<OnlyId>>,
}

/// Any object, of which the id is read.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct OnlyId {
    /// Its id.
    pub id: ObjectId,
}

impl super::objects::Identified for OnlyId {
    fn id(&self) -> &ObjectId {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Decline, StripeError, TopUpFailure, Why};

    #[test]
    fn a_decline_is_soft_unless_a_code_says_more() {
        let failure = |codes: [&str; 3]| {
            let [code, decline_code, advice_code] =
                codes.map(|text| (!text.is_empty()).then(|| Code::from(text.to_owned())));
            Decline { code, decline_code, advice_code, intent: None }.failure()
        };
        for soft in [
            ["card_declined", "insufficient_funds", "try_again_later"],
            ["card_declined", "generic_decline", ""],
            ["processing_error", "", "try_again_later"],
            ["", "", ""],
        ] {
            assert_eq!(failure(soft), TopUpFailure::SoftDecline, "{soft:?}");
        }
        for hard in [
            ["card_declined", "stolen_card", ""],
            ["card_declined", "generic_decline", "do_not_try_again"],
            ["expired_card", "", ""],
        ] {
            assert_eq!(failure(hard), TopUpFailure::HardDecline, "{hard:?}");
        }
        for code in [["authentication_required", "", ""], ["card_declined", "authentication_required", ""]] {
            assert_eq!(failure(code), TopUpFailure::AuthenticationNeeded);
        }
    }

    #[test]
    fn each_status_asks_for_its_own_reaction() {
        let of = |status, body: &str| StripeError::of_answer(status, body.as_bytes());
        let message = r#"{"error":{"message":"No such key: sk_live_x","code":"resource_missing"}}"#;
        let refused = of(404, message);
        assert_eq!(refused.to_string(), "Stripe refused the request with 404, resource_missing");
        assert!(!format!("{refused:?}").contains("sk_live"), "{refused:?}");
        assert_eq!(of(409, "x"), StripeError::Busy { status: 409 });
        assert_eq!(of(429, ""), StripeError::Busy { status: 429 });
        for status in [300, 405, 500, 502, 599] {
            assert_eq!(of(status, message), StripeError::Unknown(Why::Status(status)));
        }
        for page in ["<html>", "{}", "[]", ""] {
            assert_eq!(of(402, page), StripeError::Unknown(Why::Undecodable), "a page declines no card");
            assert_eq!(of(400, page), StripeError::Unknown(Why::Undecodable));
        }
        let declined = of(402, r#"{"error":{"code":"card_declined","payment_intent":{"id":"pi_1","x":{}}}}"#);
        let StripeError::Declined(decline) = declined else { panic!("{declined:?}") };
        assert_eq!(decline.intent.as_ref().map(|id| id.as_str()), Some("pi_1"));
    }

    #[test]
    fn a_code_is_no_foreign_text() {
        let code = |text: &str| Code::from(text.to_owned()).as_str().to_owned();
        assert_eq!(code("line_items[0][price]"), "line_items[0][price]");
        for foreign in ["", "ada@example.com", "4242 4242", "ü", &"a".repeat(65)] {
            assert_eq!(code(foreign), "other");
        }
    }
}
