//! Whether a webhook event comes from Stripe: HMAC-SHA-256 over its time and body.
//!
//! The header is `t=SECONDS,v1=HEX,v1=HEX`. While a secret is exchanged, Stripe signs with both and
//! this server may know both, so one match is enough. An old event is refused, because somebody may
//! have recorded it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tollkeeper_ledger::{Timestamp, hex};

use crate::access::secret::Secret;

/// How far the time of a signature may be from ours, in seconds, before and after.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The most signatures of one event that are compared.
const SIGNATURES_MAX: usize = 16;

/// Why an event is not believed. Each reason is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSigned {
    /// The header is absent or not of the form above.
    Malformed,
    /// No signature fits the body and a secret.
    Wrong,
    /// A signature fits, and its time is too far from ours.
    Stale,
}

/// Checks the header `Stripe-Signature` of a body.
///
/// # Errors
/// Why the event is not believed.
pub fn verify(header: &str, body: &[u8], secrets: &[Secret], now: Timestamp) -> Result<(), NotSigned> {
    let (time, signatures) = parse(header).ok_or(NotSigned::Malformed)?;
    let fits = secrets.iter().any(|secret| {
        let expected = sign(secret, time, body);
        // Every signature is compared, so that the time says nothing about which one fits.
        let equal = signatures.iter().map(|given| given.as_bytes().ct_eq(expected.as_bytes()));
        equal.fold(subtle::Choice::from(0), |any, one| any | one).into()
    });
    if !fits {
        return Err(NotSigned::Wrong);
    }
    let seconds: i64 = time.parse().map_err(|_| NotSigned::Malformed)?;
    let apart = now.seconds().abs_diff(seconds);
    if apart > TOLERANCE_SECONDS.unsigned_abs() { Err(NotSigned::Stale) } else { Ok(()) }
}

/// The time as it is written, and the signatures of the scheme `v1`.
fn parse(header: &str) -> Option<(&str, Vec<&str>)> {
    let (mut time, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", value) => time = Some(value),
            ("v1", value) if signatures.len() < SIGNATURES_MAX => signatures.push(value),
            // Another scheme, such as `v0` of test events, is not believed.
            _ => {}
        }
    }
    time.filter(|_| !signatures.is_empty()).map(|time| (time, signatures))
}

fn sign(secret: &Secret, time: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let mut mac = mac.expect("HMAC takes a key of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex(&mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::{NotSigned, Secret, Timestamp, sign, verify};

    const BODY: &[u8] = b"{\"id\":\"evt_test_webhook\"}";

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text)).collect()
    }

    #[test]
    fn a_signature_fits_its_time_its_body_and_one_of_the_secrets() {
        let now = Timestamp::from_millis(1_700_000_000_999);
        // Computed by another implementation of HMAC.
        let good = "93d85910fbd4e5f0d205d471af43a39fff612fa10cf5cab7c283da061b0c1024";
        assert_eq!(sign(&Secret::new("whsec_a"), "1700000000", BODY), good);
        let known = secrets(&["whsec_b", "whsec_a"]);
        let header = format!("t=1700000000,v1={},v1={good},v0=x", "0".repeat(64));
        assert_eq!(verify(&header, BODY, &known, now), Ok(()));
        assert_eq!(verify(&header, b"{}", &known, now), Err(NotSigned::Wrong));
        assert_eq!(verify(&header, BODY, &secrets(&["whsec_c"]), now), Err(NotSigned::Wrong));
        assert_eq!(verify(&header, BODY, &[], now), Err(NotSigned::Wrong));
        let other_time = header.replace("t=1700000000", "t=1700000001");
        assert_eq!(verify(&other_time, BODY, &known, now), Err(NotSigned::Wrong));
        assert_eq!(verify(&good[1..], BODY, &known, now), Err(NotSigned::Malformed));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_before_and_after() {
        let good = sign(&Secret::new("s"), "1700000000", BODY);
        let header = format!("t=1700000000,v1={good}");
        let at = |seconds: i64| {
            let now = Timestamp::from_millis((1_700_000_000 + seconds) * 1_000);
            verify(&header, BODY, &secrets(&["s"]), now)
        };
        assert_eq!([at(-300), at(300)], [Ok(()); 2]);
        assert_eq!([at(-301), at(301)], [Err(NotSigned::Stale); 2]);
    }

    #[test]
    fn a_header_of_another_form_is_malformed() {
        let now = Timestamp::from_millis(0);
        let overflow = sign(&Secret::new("s"), "9999999999999999999", BODY);
        let overflow = format!("t=9999999999999999999,v1={overflow}");
        for header in ["", "t=1", "v1=a", "t", "t=1;v1=a", "t=1,v0=a", &overflow] {
            assert_eq!(verify(header, BODY, &secrets(&["s"]), now), Err(NotSigned::Malformed), "{header}");
        }
        assert_eq!(verify("t=x,v1=a", BODY, &secrets(&["s"]), now), Err(NotSigned::Wrong));
    }
}
