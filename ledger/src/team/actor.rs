//! Who acts: every entry names its actor, so that the journal is the audit log.
//!
//! An actor is a caller that is known. A caller without a key or session has none; what such a
//! caller asks for never reaches the ledger. Whether an actor may still act is decided in
//! `decide::authority`.

use crate::{ApiKeyId, MemberId, OperatorAct};

/// The caller of a command, as the entries keep it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The holder of a platform key.
    Platform,
    /// The program itself: the server's polling job and the first start. Never a caller from
    /// outside.
    System,
    /// A workspace's API key.
    ApiKey(ApiKeyId),
    /// A member who uses the dashboard.
    Member(MemberId),
    /// An operator of the platform who acts in the console.
    Operator(Box<OperatorAct>),
}

impl Actor {
    /// The API key, if the actor is one.
    #[must_use]
    pub fn api_key(&self) -> Option<ApiKeyId> {
        match self {
            Actor::ApiKey(id) => Some(*id),
            Actor::Platform | Actor::System | Actor::Member(_) | Actor::Operator(_) => None,
        }
    }
}
