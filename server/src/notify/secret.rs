//! The secret of the instance, the secrets of endpoints, and signatures.
//!
//! An endpoint's secret is derived from that of the instance, the endpoint's id and its generation.
//! So no secret is in the journal, and every server with the instance's secret signs alike. The
//! instance's is the setting `secret_key`, or else the file `secret.key` in the data directory,
//! which is made when it is first needed. It is in no export and in no backup.
//!
//! A message is signed as Standard Webhooks says: HMAC-SHA-256 over id, time and body.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tollkeeper_ledger::{Hash, WebhookEndpointId, hex};

/// The name of the file in a data directory.
pub const FILE: &str = "secret.key";

/// What the derivation begins with, so that the secret can serve other purposes too.
const PURPOSE: &[u8] = b"tollkeeper webhook endpoint\0";

/// The secret of the instance; `Debug` does not show it.
#[derive(Clone)]
pub struct InstanceSecret([u8; 32]);

impl fmt::Debug for InstanceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceSecret")
    }
}

impl InstanceSecret {
    /// The secret that 64 hexadecimal digits name.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<InstanceSecret> {
        let is_hex = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)).filter(|_| is_hex) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        is_hex.then_some(InstanceSecret(bytes))
    }

    /// Reads the file of a data directory; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is no secret.
    pub fn read(directory: &Path) -> std::io::Result<Option<InstanceSecret>> {
        let path = directory.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let secret = InstanceSecret::from_hex(text.trim());
                let wrong = || std::io::Error::other(format!("{} has no 64 hex digits", path.display()));
                secret.map(Some).ok_or_else(wrong)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the file of a data directory with a new secret, for its owner alone. If another
    /// process was faster, its secret counts.
    ///
    /// # Errors
    /// The file cannot be written, or there are no random numbers.
    pub fn make(directory: &Path) -> std::io::Result<InstanceSecret> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let path = directory.join(FILE);
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made {
            Ok(mut file) => {
                writeln!(file, "{}", hex(&bytes))?;
                file.sync_all()?;
                std::fs::File::open(directory)?.sync_all()?;
                Ok(InstanceSecret(bytes))
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let other = InstanceSecret::read(directory)?;
                other.ok_or_else(|| std::io::Error::other(format!("{} is gone again", path.display())))
            }
            Err(error) => Err(error),
        }
    }

    /// SHA-256 of the secret, by which a ledger knows it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Sha256::digest(self.0).into()
    }

    /// An HMAC of bytes that begin with a purpose of their own.
    pub(super) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        mac(&self.0, bytes)
    }

    /// The secret of a generation of an endpoint.
    #[must_use]
    pub fn of_endpoint(&self, id: WebhookEndpointId, generation: u32) -> EndpointSecret {
        let parts = [PURPOSE, id.to_string().as_bytes(), b"\0", generation.to_string().as_bytes()].concat();
        EndpointSecret(mac(&self.0, &parts))
    }
}

/// The secret with which the messages to an endpoint are signed.
#[derive(Clone)]
pub struct EndpointSecret([u8; 32]);

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecret")
    }
}

impl EndpointSecret {
    /// The secret as its owner is shown it.
    #[must_use]
    pub fn text(&self) -> String {
        format!("whsec_{}", BASE64.encode(self.0))
    }

    /// The signature of a message, with its scheme.
    #[must_use]
    pub fn sign(&self, message: &str, seconds: i64, body: &str) -> String {
        signature(&self.0, message, seconds, body)
    }
}

fn signature(key: &[u8], message: &str, seconds: i64, body: &str) -> String {
    format!("v1,{}", BASE64.encode(mac(key, format!("{message}.{seconds}.{body}").as_bytes())))
}

fn mac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::Id;

    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The test vector of the libraries of Standard Webhooks: the secret
        // whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw.
        let key = [
            0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
            0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
        ];
        assert_eq!(BASE64.encode(key), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_endpoint_and_generation_has_a_secret_of_its_own() {
        let instance = InstanceSecret::from_hex(&"a1".repeat(32)).expect("64 digits");
        let of = |id: u64, generation| {
            instance.of_endpoint(WebhookEndpointId(Id::v7(1, 0, id)), generation).text()
        };
        assert_eq!(of(1, 1), of(1, 1));
        assert!(of(1, 1).starts_with("whsec_") && of(1, 1).len() == 6 + 44);
        assert!(of(1, 1) != of(1, 2) && of(1, 1) != of(2, 1) && of(1, 11) != of(1, 1));
        let other = InstanceSecret::from_hex(&"a2".repeat(32)).expect("64 digits");
        assert_ne!(instance.digest(), other.digest());
        for wrong in ["", "a1", &"a1".repeat(33), &"g1".repeat(32), &"ä".repeat(32)] {
            assert!(InstanceSecret::from_hex(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{instance:?}"), "InstanceSecret");
    }

    #[test]
    fn the_file_of_a_directory_is_made_once_and_for_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().expect("a directory");
        assert!(InstanceSecret::read(scratch.path()).expect("it reads").is_none());
        let made = InstanceSecret::make(scratch.path()).expect("it is made");
        let again = InstanceSecret::make(scratch.path()).expect("it is there");
        assert_eq!(made.digest(), again.digest());
        let path = scratch.path().join(FILE);
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "no secret").expect("it is written");
        assert!(InstanceSecret::read(scratch.path()).is_err());
    }
}
