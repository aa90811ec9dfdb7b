//! A message as it is sent: its id, its type and its body; and what is kept of an attempt.
//!
//! The id is made from the hash of the entry and the endpoint, so it is the same at every attempt
//! and after a crash. What a message says about an entry is in `message`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollkeeper_engine::{DeliveryAttempt, JournalPlace, delivery_outcome};
use tollkeeper_ledger::{Hash, Timestamp, WebhookEndpointId, WorkspaceId, hex};

use super::sender::Sent;
use crate::wire::write::Time;

/// How many hexadecimal digits of the digest an id has.
const ID_DIGITS: usize = 32;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The id.
    pub id: String,
    /// The type.
    pub kind: &'static str,
    /// The body, as it is signed and sent.
    pub body: String,
}

impl Message {
    /// A message that only tests the way. `random`: what makes its id its own.
    #[must_use]
    pub fn ping(endpoint: WebhookEndpointId, random: &[u8], now: Timestamp) -> Message {
        let hash: Hash = Sha256::digest(random).into();
        let data = json!({ "webhook_endpoint": endpoint.to_string() });
        Message { id: id(&hash, endpoint), kind: "ping", body: body("ping", now, data) }
    }

    /// What is kept of an attempt to send it.
    #[must_use]
    pub fn attempt(&self, place: JournalPlace, at: Timestamp, sent: &Sent) -> DeliveryAttempt {
        DeliveryAttempt {
            message: self.id.as_str().into(),
            kind: self.kind.into(),
            place,
            at,
            millis: u32::try_from(sent.took.as_millis()).unwrap_or(u32::MAX),
            status: sent.status,
            accepted: sent.is_accepted(),
            outcome: delivery_outcome(&sent.outcome),
        }
    }
}

/// The place of a message that is about no entry.
#[must_use]
pub fn nowhere() -> JournalPlace {
    JournalPlace { workspace: WorkspaceId::platform(), n: 0, seq: 0, hash: [0; 32] }
}

/// The id of the message about the entry with this hash.
#[must_use]
pub fn id(hash: &Hash, endpoint: WebhookEndpointId) -> String {
    let mut digest = Sha256::new();
    digest.update(hash);
    digest.update(endpoint.to_string());
    let digest: Hash = digest.finalize().into();
    format!("msg_{}", &hex(&digest)[..ID_DIGITS])
}

/// The body of a message.
#[must_use]
pub fn body(kind: &str, at: Timestamp, data: Value) -> String {
    json!({ "type": kind, "timestamp": Time(at).to_string(), "data": data }).to_string()
}
