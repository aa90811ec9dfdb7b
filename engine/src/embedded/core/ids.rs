//! From an id to the entry that made it. An id made here says the place of its entry. One that came with another ledger
//! does not, unless all entries came in the order in which they were first written; the key index finds it by name.

use tollkeeper_ledger::{Entry, EntryBody, Id};

use super::state_machine::{Mind, place_of};
use crate::Error;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::Name;

/// The id that an entry makes.
fn made_id(entry: &Entry) -> Option<Id> {
    match &entry.body {
        EntryBody::ChargeOpened(details) => Some(details.id.0),
        EntryBody::Granted { grant, .. } => Some(grant.id.0),
        _ => None,
    }
}

/// The id that an entry makes, if it does not say the entry's place by itself.
pub(crate) fn foreign_id(entry: &Entry, place: u64) -> Option<Id> {
    made_id(entry).filter(|id| place_of(*id) != place)
}

impl Mind {
    /// The entry of a workspace that made an id, and its place.
    pub(crate) fn maker_of(&mut self, no: u32, id: Id) -> Result<Option<(u64, Entry)>, Error> {
        let made = |stored: Stored| {
            if stored.envelope.no != no {
                return Ok(None);
            }
            let entry = stored.entry()?;
            Ok((made_id(&entry) == Some(id)).then_some(entry))
        };
        let place = place_of(id);
        if let Some(entry) = self.read(place, made)?.flatten() {
            return Ok(Some((place, entry)));
        }
        let fingerprint = self.fingerprints.of(no, Name::Id(id.to_bytes()));
        for place in self.places_of(fingerprint, true)? {
            if let Some(entry) = self.read(place, made)?.flatten() {
                return Ok(Some((place, entry)));
            }
        }
        Ok(None)
    }
}
