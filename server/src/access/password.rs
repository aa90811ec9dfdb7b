//! The password of operators: how it is hashed for the settings, and how it is compared.
//!
//! The hash is Argon2id in the PHC string format, with the parameters that its authors recommend.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use super::secret::{self, Secret};

/// The shortest password. Shorter ones are guessed.
pub const PASSWORD_MIN_CHARS: usize = 12;

/// The bytes of a salt.
const SALT_BYTES: usize = 16;

/// The hash of a password for the setting `operator_password_hash`.
///
/// # Errors
/// The password is too short, or the operating system gives no random numbers.
pub fn hash_password(password: &str) -> Result<String, String> {
    if password.chars().count() < PASSWORD_MIN_CHARS {
        return Err(format!("the password must have at least {PASSWORD_MIN_CHARS} characters"));
    }
    let salt: [u8; SALT_BYTES] = secret::random().map_err(|error| error.to_string())?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Whether a text is a hash that [`is_password`] can compare with.
pub(super) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        let is_argon2 = hash.algorithm.as_str().starts_with("argon2");
        is_argon2 && hash.salt.is_some() && hash.hash.is_some()
    })
}

/// Whether a text is the password with this hash. The work takes a noticeable time, so it is not
/// done on the threads of the network.
pub(super) async fn is_password(hash: &Secret, text: &str) -> bool {
    let (hash, text) = (hash.clone(), text.to_owned());
    let compared = tokio::task::spawn_blocking(move || {
        let hash = PasswordHash::new(hash.expose());
        hash.is_ok_and(|hash| Argon2::default().verify_password(text.as_bytes(), &hash).is_ok())
    });
    compared.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_compared_with_its_hash() {
        let hash = hash_password("correct horse battery").expect("it is long enough");
        assert!(is_hash(&hash) && hash.starts_with("$argon2id$"), "{hash}");
        let hash = Secret::new(hash);
        assert!(is_password(&hash, "correct horse battery").await);
        assert!(!is_password(&hash, "correct horse batterz").await);
        assert!(!is_password(&hash, "").await);
        assert!(hash_password("eleven char").is_err());
    }

    #[test]
    fn another_text_is_no_hash() {
        for text in
            ["", "secret", "$2b$12$abc", "$argon2id$v=19$m=8,t=1,p=1", "$pbkdf2$i=1$c2FsdHNhbHQ$aGFzaA"]
        {
            assert!(!is_hash(text), "{text}");
        }
    }
}
