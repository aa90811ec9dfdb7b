//! Verifies messages that the server sends to webhook endpoints, as Standard Webhooks says.
//!
//! A message is signed with HMAC-SHA-256 over its id, its time and its body as it arrived. For a
//! day after a rotation two secrets sign, so one message has two signatures; one that fits is
//! enough.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::types::Object;

/// How far the time of a message may be from the present: five minutes.
const TOLERANCE: Duration = Duration::from_secs(300);

/// What happened. Types and members of `data` that are not known are to be ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct WebhookMessage {
    /// What happened, such as `charge.settled`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened (RFC 3339).
    pub timestamp: String,
    /// The object that it happened to.
    pub data: Object,
}

/// Why a message is not taken. The endpoint should answer 400.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookError {
    /// A header is missing, or is not as the specification says.
    InvalidHeader(&'static str),
    /// The message is too old, or of the future: it may be a repetition by somebody else.
    WrongTime,
    /// No signature fits the message and the secrets.
    WrongSignature,
    /// The message was sent by the holder of the secret, and is none of Tollkeeper's.
    InvalidBody(String),
    /// A secret is empty or is not Base64.
    InvalidSecret,
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WebhookError::InvalidHeader(name) => write!(f, "the header `{name}` is missing or not valid"),
            WebhookError::WrongTime => f.write_str("the message is too old, or of the future"),
            WebhookError::WrongSignature => f.write_str("no signature fits the message"),
            WebhookError::InvalidBody(why) => write!(f, "the message cannot be read: {why}"),
            WebhookError::InvalidSecret => f.write_str("a secret is empty or is not Base64"),
        }
    }
}

impl std::error::Error for WebhookError {}

/// Returns the message if one of the secrets signed it within the last five minutes.
///
/// `body` is as it arrived, before any parser. `header` returns the value of a header of the
/// request by its name, which is in lower case. `secrets` are one or several, of which one must
/// fit.
///
/// # Errors
/// The message is not to be trusted, or a secret is not valid.
pub fn verify_webhook<'a>(
    body: &[u8],
    header: impl Fn(&str) -> Option<&'a str>,
    secrets: &[&str],
) -> Result<WebhookMessage, WebhookError> {
    verify_webhook_at(body, header, secrets, SystemTime::now())
}

/// The same at a time of the caller's.
///
/// # Errors
/// As for [`verify_webhook`].
pub fn verify_webhook_at<'a>(
    body: &[u8],
    header: impl Fn(&str) -> Option<&'a str>,
    secrets: &[&str],
    now: SystemTime,
) -> Result<WebhookMessage, WebhookError> {
    let read = |name: &'static str| header(name).ok_or(WebhookError::InvalidHeader(name));
    let (id, sent_at) = (read("webhook-id")?, read("webhook-timestamp")?);
    let signatures = read("webhook-signature")?;
    let is_number = !sent_at.is_empty() && sent_at.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = sent_at.parse().ok().filter(|_| is_number);
    let sent = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let sent = sent.ok_or(WebhookError::InvalidHeader("webhook-timestamp"))?;
    let age = now.duration_since(sent).unwrap_or_else(|of_future| of_future.duration());
    if age > TOLERANCE {
        return Err(WebhookError::WrongTime);
    }
    let given: Vec<Vec<u8>> =
        signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok()).collect();
    let mut is_signed = false;
    for secret in secrets {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
        let key = key.ok().filter(|key| !key.is_empty()).ok_or(WebhookError::InvalidSecret)?;
        let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| WebhookError::InvalidSecret)?;
        let mac = mac.chain_update(id).chain_update(".").chain_update(sent_at).chain_update(".");
        let mac = mac.chain_update(body);
        // Every pair is compared, so that the time says nothing about the place of the one that
        // fits.
        for signature in &given {
            is_signed |= mac.clone().verify_slice(signature).is_ok();
        }
    }
    if !is_signed {
        return Err(WebhookError::WrongSignature);
    }
    serde_json::from_slice(body).map_err(|why| WebhookError::InvalidBody(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the libraries of Standard Webhooks.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT_AT: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn verify(
        (id, sent_at, signature): (&str, &str, &str),
        body: &[u8],
        secrets: &[&str],
        now: u64,
    ) -> Result<WebhookMessage, WebhookError> {
        let header = |name: &str| match name {
            "webhook-id" => Some(id),
            "webhook-timestamp" => Some(sent_at),
            "webhook-signature" => Some(signature).filter(|text| !text.is_empty()),
            _ => None,
        };
        verify_webhook_at(body, header, secrets, at(now))
    }

    #[test]
    fn the_signature_of_the_specification_fits() {
        let sent_at = SENT_AT.to_string();
        let is_signed = |signature: &str, secrets: &[&str]| {
            let checked = verify((ID, &sent_at, signature), BODY, secrets, SENT_AT);
            // The vector is signed, and is no message of Tollkeeper.
            matches!(checked, Err(WebhookError::InvalidBody(_)))
        };
        assert!(is_signed(SIGNATURE, &[SECRET]));
        assert!(is_signed(SIGNATURE, &["whsec_AAAA", SECRET]), "one secret of several");
        assert!(is_signed(SIGNATURE, &[SECRET.trim_start_matches("whsec_")]));
        assert!(is_signed(&format!("v1,AAAA v1a,b {SIGNATURE} v2,c"), &[SECRET]), "one of several");
        assert!(!is_signed(SIGNATURE, &["whsec_AAAA"]));
        assert!(!is_signed(&SIGNATURE.replacen("v1,", "v2,", 1), &[SECRET]), "another scheme");
        assert!(!is_signed(SIGNATURE, &[]));
    }

    #[test]
    fn what_was_changed_on_the_way_is_not_taken() {
        let (sent_at, later) = (SENT_AT.to_string(), (SENT_AT + 1).to_string());
        for (head, body) in [
            (("msg_other", &*sent_at, SIGNATURE), BODY),
            ((ID, &*later, SIGNATURE), BODY),
            ((ID, &*sent_at, SIGNATURE), &BODY[1..]),
            ((ID, &*sent_at, &SIGNATURE[..40]), BODY),
        ] {
            let refused = verify(head, body, &[SECRET], SENT_AT);
            assert_eq!(refused, Err(WebhookError::WrongSignature), "{head:?}");
        }
    }

    #[test]
    fn a_message_of_another_time_is_not_taken() {
        let sent_at = SENT_AT.to_string();
        let at = |now| verify((ID, &sent_at, SIGNATURE), BODY, &[SECRET], now);
        for now in [SENT_AT - 300, SENT_AT + 300] {
            assert!(matches!(at(now), Err(WebhookError::InvalidBody(_))), "{now}");
        }
        for now in [SENT_AT - 301, SENT_AT + 301, 0] {
            assert_eq!(at(now), Err(WebhookError::WrongTime), "{now}");
        }
    }

    #[test]
    fn headers_and_secrets_that_are_not_valid_are_named() {
        for sent_at in ["", "-1", "+1614265330", "1.5", "soon", "99999999999999999999999"] {
            let refused = verify((ID, sent_at, SIGNATURE), BODY, &[SECRET], SENT_AT);
            assert_eq!(refused, Err(WebhookError::InvalidHeader("webhook-timestamp")), "{sent_at}");
        }
        let sent_at = SENT_AT.to_string();
        let missing = verify((ID, &sent_at, ""), BODY, &[SECRET], SENT_AT);
        assert_eq!(missing, Err(WebhookError::InvalidHeader("webhook-signature")));
        for secret in ["", "whsec_", "whsec_%", "whsec_AAA"] {
            let refused = verify((ID, &sent_at, SIGNATURE), BODY, &[secret], SENT_AT);
            assert_eq!(refused, Err(WebhookError::InvalidSecret), "{secret}");
        }
    }
}
