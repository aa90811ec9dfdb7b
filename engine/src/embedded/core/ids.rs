//! From an id to the entry that made it. An id made here says the place of its entry. One that came with another ledger
//! does not, unless all entries came in the order in which they were first written; the key index finds it by name.

use tollkeeper_ledger::{Entry, EntryBody, Id};

use super::state_machine::{StateMachine, seq_of_id};
use crate::Error;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::key_index::Name;

/// The id that an entry makes.
fn id_made_by(entry: &Entry) -> Option<Id> {
    match &entry.body {
        EntryBody::ChargeOpened(details) => Some(details.id.0),
        EntryBody::Granted { grant, .. } => Some(grant.id.0),
        _ => None,
    }
}

/// The id that an entry makes, if it does not say the entry's place by itself.
pub(crate) fn foreign_id(entry: &Entry, seq: u64) -> Option<Id> {
    id_made_by(entry).filter(|id| seq_of_id(*id) != seq)
}

impl StateMachine {
    /// The entry of a workspace that made an id, and its place.
    pub(crate) fn entry_of_id(&mut self, account_index: u32, id: Id) -> Result<Option<(u64, Entry)>, Error> {
        let made = |stored: Stored| {
            if stored.envelope.account_index != account_index {
                return Ok(None);
            }
            let entry = stored.entry()?;
            Ok((id_made_by(&entry) == Some(id)).then_some(entry))
        };
        let seq = seq_of_id(id);
        if let Some(entry) = self.read(seq, made)?.flatten() {
            return Ok(Some((seq, entry)));
        }
        let fingerprint = self.fingerprints.of(account_index, Name::Id(id.to_bytes()));
        for seq in self.seqs_of(fingerprint, true)? {
            if let Some(entry) = self.read(seq, made)?.flatten() {
                return Ok(Some((seq, entry)));
            }
        }
        Ok(None)
    }
}
