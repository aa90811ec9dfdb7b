//! What concerns no single workspace: the price book and the platform keys. It has a journal of its own (the chain of
//! [`WorkspaceId::platform`](crate::WorkspaceId::platform)), and this is what that journal adds up to.

use crate::{Entry, Hash, PriceBook};

/// The platform as its journal tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// All versions of the prices.
    pub price_book: PriceBook,
    /// SHA-256 of each platform key.
    pub key_hashes: Vec<Hash>,
}

impl Platform {
    /// Adds what an entry of the platform's journal says.
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.body {
            crate::EntryBody::PricesSet(version) => self.price_book.add(version.clone()),
            crate::EntryBody::PlatformKeySet { hash } => self.key_hashes.push(*hash),
            _ => {}
        }
    }
}
