//! What a form showed, as a fingerprint that it carries. If it differs when the form comes back,
//! another admin changed the same thing meanwhile, and nothing is overwritten.
//!
//! A form without a fingerprint is not compared: it claims to have seen nothing.

use std::fmt::{Display, Write as _};

use sha2::{Digest, Sha256};
use tollkeeper_ledger::{Alerts, Limit};

/// The field of a form that carries it.
pub const FIELD: &str = "seen";

/// How many bytes of the digest are written.
const BYTES: usize = 8;

/// The fingerprint of some values, in their order.
fn of(values: impl IntoIterator<Item = impl Display>) -> String {
    let mut digest = Sha256::new();
    for value in values {
        digest.update(format!("{value}\n"));
    }
    digest.finalize().iter().take(BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The fingerprint of limits: their caps, and not what was spent.
pub fn of_limits<'l>(limits: impl IntoIterator<Item = &'l Limit>) -> String {
    of(limits.into_iter().map(|limit| {
        let Limit { subject, period, amount, .. } = limit;
        format!("{subject:?} {period:?} {amount}")
    }))
}

/// The fingerprint of the thresholds of a workspace, and not of their states.
pub fn of_alerts(alerts: &Alerts) -> String {
    let lines = alerts.thresholds.iter().map(|threshold| format!("{:?}", threshold.line));
    of(lines.chain([alerts.cooldown_seconds.to_string()]))
}

/// Whether a form showed one of these.
pub fn is_current(sent: Option<&str>, fingerprints: &[String]) -> bool {
    sent.is_none_or(|sent| fingerprints.iter().any(|known| known == sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_values_have_another_fingerprint() {
        let texts = [of(["a", "b"]), of(["b", "a"]), of(["ab"]), of(["a"]), of([""; 0])];
        for (at, text) in texts.iter().enumerate() {
            assert_eq!(text.len(), 2 * BYTES);
            assert!(!texts[..at].contains(text));
            assert!(is_current(Some(text), &texts) && !is_current(Some("x"), &texts));
        }
        assert!(is_current(None, &texts), "it claims to have seen nothing");
    }
}
