//! The entries that a subscriber is sent next, read forward from its place in the journal.
//!
//! A place is a sequence number and the hash of the entry there. If the journal holds another entry
//! there, it was restored from a copy: the subscriber goes back to the entry before the one that
//! says so.

use tollkeeper_ledger::{Entry, EntryBody, Hash, WebhookEndpoint, WorkspaceId};

use super::lists::Reader;
use crate::embedded::delivery::store::Cursor;
use crate::embedded::storage::block::Stored;
use crate::{DeliveryPortion, EntryRecord, Error, FollowedEntry, JournalPlace, Subscriber};

/// The most entries that one portion looks at.
const LOOKS_MAX: u64 = 8_192;

/// The byte of an entry that is the code of its kind.
const KIND_BYTE: usize = 1;

/// An entry about which a message is sent, with the index of its account.
struct Found {
    seq: u64,
    account_index: u32,
    record: EntryRecord,
}

impl Reader {
    /// The end of the journal.
    pub(crate) fn journal_end(&self) -> Result<Cursor, Error> {
        let seq = self.journal.last()?;
        Ok(Cursor { seq, hash: self.hash_at(seq)?.unwrap_or_default() })
    }

    /// The next entries of a subscriber behind its place, at most `most`.
    pub(crate) fn followed(
        &self,
        subscriber: &Subscriber,
        at: Cursor,
        most: usize,
    ) -> Result<DeliveryPortion, Error> {
        let last = self.journal.last()?;
        let through = last.min(at.seq.saturating_add(LOOKS_MAX));
        if through == at.seq {
            return Ok(DeliveryPortion::default());
        }
        let Some(only) = self.followed_account(subscriber)? else {
            // The workspace that is followed does not exist yet, so there is nothing of it.
            return self.portion(Vec::new(), through, through < last);
        };
        let kinds = subscriber.kinds();
        let (mut found, mut end) = (Vec::new(), at.seq);
        self.journal.read_range(at.seq + 1, through, |stored| {
            if found.len() == most {
                return Ok(false);
            }
            end = stored.header.seq;
            let account_index = stored.header.account_index;
            let is_of_kind = stored.bytes.get(KIND_BYTE).is_some_and(|code| kinds.contains_code(*code));
            if is_of_kind && only.is_none_or(|only| only == account_index) {
                let entry = stored.entry()?;
                if subscriber.follows(&entry) {
                    let record = EntryRecord { entry, hash: stored.hash() };
                    found.push(Found { seq: end, account_index, record });
                }
            }
            Ok(true)
        })?;
        assert!((at.seq..=through).contains(&end), "a portion ends where it was read to");
        self.portion(found, end, end < last)
    }

    /// The index of the account that is followed, if it is one; `None` if there is no such account.
    fn followed_account(&self, subscriber: &Subscriber) -> Result<Option<Option<u32>>, Error> {
        let Some(workspace) = subscriber.workspace().cloned() else { return Ok(Some(None)) };
        let found = self.core.blocking_read(move |core| core.account_index(&workspace))?;
        Ok(found.map(Some))
    }

    fn portion(&self, found: Vec<Found>, end: u64, more: bool) -> Result<DeliveryPortion, Error> {
        let indices = found.iter().map(|found| found.account_index).collect();
        let ids = self.core.blocking_read(move |core| core.workspaces_at(indices))?;
        let entry = |Found { seq, account_index, record }| {
            let workspace = ids.get(&account_index).cloned();
            let workspace =
                workspace.ok_or_else(|| Error::damaged(format!("journal entry {seq} is of no workspace")))?;
            let place = JournalPlace { workspace, n: record.entry.n, seq, hash: record.hash };
            Ok(FollowedEntry { place, record })
        };
        let entries = found.into_iter().map(entry).collect::<Result<_, Error>>()?;
        let hash = self.hash_at(end)?.unwrap_or_default();
        let end = JournalPlace { workspace: WorkspaceId::platform(), n: 0, seq: end, hash };
        Ok(DeliveryPortion { entries, end: vec![end], more })
    }

    /// The entry at a place; `None` if another one is there.
    pub(crate) fn followed_at(&self, place: &JournalPlace) -> Result<Option<FollowedEntry>, Error> {
        let read = |stored: Stored| Ok(EntryRecord { entry: stored.entry()?, hash: stored.hash() });
        let found = self.journal.read(place.seq, read)?.filter(|record| record.hash == place.hash);
        Ok(found.map(|record| FollowedEntry { place: place.clone(), record }))
    }

    fn hash_at(&self, seq: u64) -> Result<Option<Hash>, Error> {
        self.journal.read(seq, |stored| Ok(stored.hash()))
    }

    /// The place from which a subscriber goes on: its own, if the journal still holds the entry
    /// there. `origin`: where the journal ended when places began to be kept.
    pub(crate) fn place_to_go_on(
        &self,
        subscriber: &Subscriber,
        own: Option<Cursor>,
        origin: Cursor,
    ) -> Result<Cursor, Error> {
        let Some(own) = own else {
            let begins = self.beginning(subscriber)?;
            // An origin that is not in the journal is one of a ledger that was restored.
            let is_known = origin.seq > begins.seq && self.hash_at(origin.seq)? == Some(origin.hash);
            return Ok(if is_known { origin } else { begins });
        };
        if own.seq == 0 || self.hash_at(own.seq)? == Some(own.hash) {
            return Ok(own);
        }
        let name = subscriber.name();
        tracing::warn!(subscriber = name, "the journal was restored: a subscriber goes back");
        match self.before_restore()? {
            Some(common) if common.seq < own.seq => Ok(common),
            _ => self.beginning(subscriber),
        }
    }

    /// The entry with which a subscriber begins.
    fn beginning(&self, subscriber: &Subscriber) -> Result<Cursor, Error> {
        match subscriber {
            Subscriber::Endpoint(endpoint) => self.beginning_of(endpoint),
            Subscriber::Mail => self.journal_end(),
        }
    }

    /// The entry with which the present beginning of an endpoint begins.
    fn beginning_of(&self, endpoint: &WebhookEndpoint) -> Result<Cursor, Error> {
        let mut begins = Cursor::default();
        self.walk_platform(|seq, entry, hash| {
            let EntryBody::WebhookEndpointSet(set) = &entry.body else { return true };
            if set.id != endpoint.id {
                return true;
            }
            if set.beginning == endpoint.beginning {
                begins = Cursor { seq, hash };
            }
            set.beginning >= endpoint.beginning && set.version > 1
        })?;
        Ok(begins)
    }

    /// The last entry before the newest one that says that the journal was restored.
    fn before_restore(&self) -> Result<Option<Cursor>, Error> {
        let mut restored = None;
        self.walk_platform(|seq, entry, _| {
            let is_it = matches!(entry.body, EntryBody::LedgerRestored { .. });
            restored = is_it.then_some(seq);
            !is_it
        })?;
        let Some(seq) = restored.map(|seq| seq - 1) else { return Ok(None) };
        Ok(Some(Cursor { seq, hash: self.hash_at(seq)?.unwrap_or_default() }))
    }

    /// Walks back over the platform's entries as long as `look` returns true.
    fn walk_platform(&self, mut look: impl FnMut(u64, &Entry, Hash) -> bool) -> Result<(), Error> {
        let mut seq = self.core.blocking_read(|core| core.platform_end())?;
        while seq != 0 {
            let read = |stored: Stored| Ok((stored.entry()?, stored.hash(), stored.header.previous));
            let (entry, hash, previous) = self.stored(seq, read)?;
            assert!(previous < seq, "a chain leads back");
            if !look(seq, &entry, hash) {
                return Ok(());
            }
            seq = previous;
        }
        Ok(())
    }
}
