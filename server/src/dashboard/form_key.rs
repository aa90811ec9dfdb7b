//! The keys of forms: a form that is sent twice acts once.
//!
//! A page puts a random key into a form. What the form does is done under the idempotency key that
//! is made of it.

use tollkeeper_ledger::IdempotencyKey;

use crate::access::secret;
use crate::http::problem::Problem;
use crate::http::refusal;

/// The hexadecimal digits of a key.
const DIGITS: usize = 32;

/// A new key.
///
/// # Errors
/// The operating system gives no random numbers.
pub fn fresh() -> Result<String, Problem> {
    let random: [u8; DIGITS / 2] = secret::random().map_err(|error| refusal::internal(&error))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The idempotency key of what a form with this key does. `what` tells it from other forms, and
/// from another content of a form that a browser kept. `None` if the key was not made by
/// [`fresh`].
pub fn read(key: Option<&str>, what: &str) -> Option<IdempotencyKey> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let key = key.filter(|key| key.len() == DIGITS && key.bytes().all(is_digit))?;
    IdempotencyKey::new(format!("{what}:{key}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_was_made_here_is_read() {
        let key = fresh().expect("the machine has random numbers");
        let read_key = read(Some(&key), "portal:2500").expect("it was made here");
        assert_eq!(read_key.as_str(), format!("portal:2500:{key}"));
        assert_ne!(fresh().ok(), Some(key.clone()), "two forms have two keys");
        for wrong in ["", "x", &key[1..], &key.to_uppercase(), &format!("{}é", &key[2..])] {
            assert_eq!(read(Some(wrong), "portal"), None, "{wrong}");
        }
        assert_eq!(read(None, "portal"), None);
    }
}
