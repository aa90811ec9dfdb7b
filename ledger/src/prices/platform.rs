//! What concerns no single workspace: the price book and the hashes of the platform keys.
//!
//! The platform has a journal of its own (that of
//! [`WorkspaceId::platform`](crate::WorkspaceId::platform)). This is the state that its entries add
//! up to.

use crate::{Entry, EntryBody, Hash, PriceBook, Violation};

/// The state of the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// All versions of the prices.
    pub price_book: PriceBook,
    /// SHA-256 of each platform key, oldest first.
    pub key_hashes: Vec<Hash>,
}

impl Platform {
    /// Applies an entry of the platform's journal. Kinds of other journals change nothing.
    ///
    /// # Errors
    /// [`Violation`] if a price version does not follow from the ones before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Violation> {
        match &entry.body {
            EntryBody::PricesSet(version) => self.price_book.add(version.clone())?,
            EntryBody::PlatformKeySet { hash } => self.key_hashes.push(*hash),
            _ => {}
        }
        Ok(())
    }
}
