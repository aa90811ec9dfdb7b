//! Long reads: lists, usage, past balances. They walk a workspace's chain of entries on connections and threads of their
//! own ([`Reader`]) and ask the heart only for what is not in the files yet, so that no report makes a charge wait.
//!
//! A page is found by walking backwards from the newest entry, or from the cursor, or from the end of the hour that the
//! filter begins with. One request looks at a bounded number of entries and then says where to go on.

use std::path::Path;

use tollkeeper_ledger::{Charge, Timestamp, UsageKey, Used, WorkspaceId};

use crate::embedded::core::queries::AccountSnapshot;
use crate::embedded::queue::CoreHandle;
use crate::embedded::storage::block::Stored;
use crate::embedded::storage::journal::Journal;
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::State;
use crate::{BalanceAt, ChargeFilter, EntryRecord, Error, GrantRecord, Listing, Page, answer, rollups};

/// Entries that one request looks at before it answers with what it has.
const LOOKS_MAX: usize = 20_000;

/// Charges whose present state is asked of the heart at once.
const ASKED_AT_ONCE: usize = 256;

/// Connections for reading, one set a thread.
#[derive(Debug)]
pub(crate) struct Reader {
    journal: Journal,
    state: State,
    core: CoreHandle,
    /// Whether the connections hold one state of the files for good, the heart's own.
    held: bool,
}

impl Reader {
    pub(crate) fn open(directory: &Path, vfs: Option<&str>, core: CoreHandle) -> Result<Reader, Error> {
        let journal = Journal::open(directory, vfs, Access::Read)?;
        let state = State::open(directory, vfs, Access::Read)?;
        Ok(Reader { journal, state, core, held: false })
    }

    /// A reader that shares the state of the files that the heart itself holds.
    pub(crate) fn held((journal, state): (Journal, State), core: CoreHandle) -> Reader {
        Reader { journal, state, core, held: true }
    }

    /// Runs `read` on a state of the file that does not change meanwhile, with what is missing in it.
    fn with_snapshot<T>(
        &self,
        id: &WorkspaceId,
        read: impl FnOnce(&Self, AccountSnapshot) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let wanted = id.clone();
        let Some(account_index) = self.core.ask(move |core| core.number(&wanted))? else { return Ok(None) };
        // The file may be written anew between looking and asking; soon a look is young enough.
        for _ in 0..100 {
            if !self.held {
                self.state.hold()?;
            }
            let wanted = id.clone();
            let asked = self
                .state
                .account_n(account_index)
                .and_then(|n| self.core.ask(move |core| core.snapshot(&wanted, n)));
            let result = match asked {
                Ok(Some(None)) => None,
                Ok(None) => {
                    self.release();
                    return Ok(None);
                }
                Ok(Some(Some(snapshot))) => Some(Ok(snapshot)),
                Err(error) => Some(Err(error)),
            };
            if let Some(snapshot) = result {
                let value = snapshot.and_then(|snapshot| read(self, snapshot));
                self.release();
                return value.map(Some);
            }
            self.release();
        }
        Err(Error::unavailable("the state file changes faster than it can be read"))
    }

    fn release(&self) {
        if !self.held {
            self.state.release();
        }
    }

    fn stored<T>(&self, seq: u64, then: impl FnMut(Stored) -> Result<T, Error>) -> Result<T, Error> {
        let read = self.journal.read(seq, then)?;
        read.ok_or_else(|| Error::damaged(format!("journal line {seq} is missing")))
    }

    /// Where to begin a walk backwards so that nothing at or before `at` is missed.
    fn begin(&self, snapshot: &AccountSnapshot, at: Option<Timestamp>) -> Result<u64, Error> {
        let Some(at) = at else { return Ok(snapshot.head) };
        let unpersisted = snapshot.hours.iter().rev().find(|(hour, _)| *hour <= at.hour());
        match unpersisted {
            Some((_, seq)) => Ok(*seq),
            None => Ok(self.state.hour(snapshot.account_index, at.hour())?.map_or(0, |(_, seq)| seq)),
        }
    }

    /// What a workspace had at an instant.
    pub(crate) fn balance_at(&self, id: &WorkspaceId, at: Timestamp) -> Result<Option<BalanceAt>, Error> {
        self.with_snapshot(id, |reader, snapshot| {
            let mut seq = reader.begin(&snapshot, Some(at))?;
            while seq != 0 {
                let (entry, previous) =
                    reader.stored(seq, |stored| Ok((stored.entry()?, stored.envelope.previous)))?;
                if entry.at <= at {
                    return Ok(BalanceAt { balance: entry.balance, last_entry_at: entry.at });
                }
                seq = previous;
            }
            Ok(BalanceAt { balance: Default::default(), last_entry_at: Timestamp::ZERO })
        })
    }

    /// The journal of a workspace, newest first.
    pub(crate) fn entries(
        &self,
        id: &WorkspaceId,
        page: &Page,
    ) -> Result<Option<Listing<EntryRecord>>, Error> {
        let cursor = place_in(page)?;
        self.with_snapshot(id, |reader, snapshot| {
            let mut seq = within(cursor, &snapshot)?.unwrap_or(snapshot.head);
            let mut data = Vec::new();
            while seq != 0 && data.len() < page.limit {
                let (record, previous) = reader.stored(seq, |stored| {
                    own(&stored, snapshot.account_index)?;
                    let record = EntryRecord { entry: stored.entry()?, hash: stored.hash() };
                    Ok((record, stored.envelope.previous))
                })?;
                data.push(record);
                seq = previous;
            }
            Ok(Listing { data, next: (seq != 0).then(|| seq.to_string()) })
        })
    }

    /// The charges of a workspace, newest first.
    pub(crate) fn charges(
        &self,
        id: &WorkspaceId,
        filter: &ChargeFilter,
        page: &Page,
    ) -> Result<Option<Listing<Charge>>, Error> {
        let cursor = place_in(page)?;
        self.with_snapshot(id, |reader, snapshot| {
            let mut seq = match within(cursor, &snapshot)? {
                Some(seq) => seq,
                None => reader.begin(&snapshot, filter.to)?,
            };
            let (mut data, mut looks) = (Vec::new(), 0);
            while seq != 0 && data.len() < page.limit && looks < LOOKS_MAX {
                let mut found: Vec<(u64, Charge)> = Vec::new();
                let wanted = ASKED_AT_ONCE.min(page.limit - data.len());
                while seq != 0 && found.len() < wanted && looks < LOOKS_MAX {
                    looks += 1;
                    let at = seq;
                    let (charge, previous, early) =
                        reader.stored(at, |stored| opening(&stored, &snapshot, filter))?;
                    found.extend(charge.map(|charge| (at, charge)));
                    seq = if early { 0 } else { previous };
                }
                for charge in reader.as_they_stand(snapshot.account_index, found)? {
                    if filter.status.is_none_or(|status| charge.state.status == status) {
                        data.push(charge);
                    }
                }
            }
            Ok(Listing { data, next: (seq != 0).then(|| seq.to_string()) })
        })
    }

    /// Brings charges from their opening to their present state.
    fn as_they_stand(&self, account_index: u32, opened: Vec<(u64, Charge)>) -> Result<Vec<Charge>, Error> {
        let seqs: Vec<u64> = opened.iter().map(|(seq, _)| *seq).collect();
        let touches = self.core.ask(move |core| core.touches_of(account_index, &seqs))?;
        let mut charges = Vec::with_capacity(opened.len());
        for ((_, mut charge), touches) in opened.into_iter().zip(touches) {
            for seq in touches {
                // An entry that was committed after the heart answered may be there already; it is as true.
                let entry = self.stored(seq, |stored| stored.entry())?;
                let about = entry.body.charge().is_some_and(|(id, _)| id == charge.details.id);
                if let Some(state) = entry.body.state().filter(|_| about) {
                    charge.state = state;
                    break;
                }
            }
            charges.push(charge);
        }
        Ok(charges)
    }

    /// The grants of a workspace, newest first.
    pub(crate) fn grants(
        &self,
        id: &WorkspaceId,
        page: &Page,
    ) -> Result<Option<Listing<GrantRecord>>, Error> {
        let before = place_in(page)?.unwrap_or(u64::MAX);
        self.with_snapshot(id, |reader, snapshot| {
            let unpersisted = snapshot.lots.iter().rev().filter(|(_, grant)| grant.n < before).cloned();
            let mut lots: Vec<_> = unpersisted.take(page.limit + 1).collect();
            let oldest = lots.last().map_or(before, |(_, grant)| grant.n);
            let missing = page.limit + 1 - lots.len();
            lots.extend(reader.state.lots(snapshot.account_index, oldest, missing)?);
            let more = lots.len() > page.limit;
            lots.truncate(page.limit);
            let next = lots.last().filter(|_| more).map(|(_, grant)| grant.n.to_string());
            let mut data = Vec::with_capacity(lots.len());
            for (seq, lot) in lots {
                let record = reader.stored(seq, |stored| Ok(answer::record_of(stored.entry()?)))?;
                let now = snapshot.grants.iter().find(|grant| grant.n == lot.n);
                let grant = now.cloned().unwrap_or(lot);
                data.extend(record.map(|record| GrantRecord { grant, ..record }));
            }
            Ok(Listing { data, next })
        })
    }

    /// The usage of a workspace by hour.
    pub(crate) fn usage(&self, id: &WorkspaceId, hours: (i64, i64)) -> Result<Vec<(UsageKey, Used)>, Error> {
        let rows = self.with_snapshot(id, |reader, snapshot| {
            let mut rows = reader.state.usage(snapshot.account_index, hours)?;
            let unpersisted =
                snapshot.usage.into_iter().filter(|(key, _)| key.hour >= hours.0 && key.hour < hours.1);
            rows.extend(unpersisted);
            Ok(rollups::folded(rows))
        })?;
        Ok(rows.unwrap_or_default())
    }
}

fn place_in(page: &Page) -> Result<Option<u64>, Error> {
    page.cursor.as_ref().map(|cursor| cursor.parse().map_err(|_| Error::bad_cursor())).transpose()
}

/// A cursor beyond the newest entry was never handed out.
fn within(cursor: Option<u64>, snapshot: &AccountSnapshot) -> Result<Option<u64>, Error> {
    if cursor.is_some_and(|seq| seq > snapshot.head) { Err(Error::bad_cursor()) } else { Ok(cursor) }
}

/// A cursor that points into another workspace's journal is none of this list.
fn own(stored: &Stored, account_index: u32) -> Result<(), Error> {
    if stored.envelope.account_index == account_index { Ok(()) } else { Err(Error::bad_cursor()) }
}

/// The charge an entry opens, if it is wanted; the place of the entry before; and whether all before are too early.
fn opening(
    stored: &Stored,
    snapshot: &AccountSnapshot,
    filter: &ChargeFilter,
) -> Result<(Option<Charge>, u64, bool), Error> {
    own(stored, snapshot.account_index)?;
    let entry = stored.entry()?;
    let previous = stored.envelope.previous;
    let early = filter.from.is_some_and(|from| entry.at < from);
    let charge = answer::charge_of(entry).filter(|charge| filter.admits(charge));
    Ok((charge, previous, early))
}
