//! Lists, usage and past balances, read from the files.
//!
//! A page is found by a walk backwards over the chain of a workspace's entries: from the newest,
//! from the cursor, or from the end of the hour with which the filter begins. One request looks at
//! a bounded number of entries; then it answers with what it has and with the cursor at which to
//! continue.
//!
//! A cursor of entries and charges is a sequence number, a cursor of grants an entry number. What
//! the files do not hold yet comes from the core, as an [`AccountDelta`].

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;

use tollkeeper_ledger::{Charge, Entry, Hash, MemberId, Timestamp, UsageKey, UsageSums, WorkspaceId};

use crate::contract::ENTRIES_MAX_BYTES;
use crate::embedded::core::delta::{AccountDelta, DeltaResult, Wanted};
use crate::embedded::core::queries::ChargeChanges;
use crate::embedded::core::recovery::SnapshotFiles;
use crate::embedded::core::texts::texts_on_disk;
use crate::embedded::core_handle::CoreHandle;
use crate::embedded::storage::block::{BLOCK_ENTRIES, Stored};
use crate::embedded::storage::journal::Journal;
use crate::embedded::storage::sqlite::Access;
use crate::embedded::storage::state_db::StateFile;
use crate::{BalanceAt, ChargeFilter, EntryRecord, Error, GrantRecord, Listing, Page, answer, rollups};

/// Entries that one request looks at before it answers with what it has.
const LOOKS_MAX: usize = 20_000;

/// Entries that a search for a past balance walks over before it searches by halving again.
const LOOKS_BEFORE_SEARCH: usize = 512;

/// Neighboring blocks in which a search looks for an entry of the account.
const BLOCKS_SEARCHED: u64 = 4;

/// Charges whose current state is asked of the core at once.
const ASKED_AT_ONCE: usize = 256;

/// How often a delta is asked for until the file is as young as memory expects.
const DELTA_ATTEMPTS: u32 = 100;

/// The connections of one reading thread.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) journal: Journal,
    pub(super) state: StateFile,
    pub(super) core: CoreHandle,
    /// The number of the state file that is open.
    state_file: u64,
    /// True once the rows by which workspaces are found were checked.
    search_is_checked: Cell<bool>,
    /// True if the connections keep one snapshot of the files, with the accounts of the core.
    is_snapshot: bool,
}

impl Reader {
    pub(crate) fn open(directory: &Path, vfs: Option<&str>, core: CoreHandle) -> Result<Reader, Error> {
        let state_file = core.state_files_made();
        let journal = Journal::open(directory, vfs, Access::Read)?;
        let state = StateFile::open(directory, vfs, Access::Read)?;
        Ok(Reader {
            journal,
            state,
            core,
            state_file,
            search_is_checked: Cell::new(false),
            is_snapshot: false,
        })
    }

    /// True if the state file was replaced since it was opened.
    pub(crate) fn is_outdated(&self) -> bool {
        !self.is_snapshot && self.state_file != self.core.state_files_made()
    }

    /// Reports an error that a read met; returns the one for its caller.
    pub(crate) fn report(&self, error: Error) -> Error {
        if error.is_damaged_state() { self.core.report(error, self.state_file) } else { error }
    }

    /// A reader for a core that is open for reading only. The state file shows the same accounts.
    /// The journal's snapshot is later and may hold more entries.
    pub(crate) fn on_snapshot(SnapshotFiles { journal, state }: SnapshotFiles, core: CoreHandle) -> Reader {
        Reader { journal, state, core, state_file: 0, search_is_checked: Cell::new(false), is_snapshot: true }
    }

    /// Runs `read` on one snapshot of the state file, with what is missing in it; `None` if there
    /// is no such workspace. `look` reads in the snapshot first and says what is wanted of what is
    /// missing.
    pub(super) fn with_delta<F, T>(
        &self,
        id: &WorkspaceId,
        look: impl Fn(&Self, u32) -> Result<(Wanted, F), Error>,
        read: impl FnOnce(&Self, AccountDelta, F) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let wanted = id.clone();
        let Some(index) = self.core.blocking_read(move |core| core.account_index(&wanted))? else {
            return Ok(None);
        };
        let mut is_missing = true;
        // The checkpointer may write the file between the look into it and the question.
        for _ in 0..DELTA_ATTEMPTS {
            if !self.is_snapshot {
                self.state.begin_snapshot()?;
            }
            let wanted = id.clone();
            let asked = self.state.account_n(index).and_then(|n| {
                is_missing &= n == 0;
                let (what, found) = look(self, index)?;
                let delta = self.core.blocking_read(move |core| core.delta(&wanted, n, &what))?;
                Ok((delta, found))
            });
            let found = match asked {
                Ok((DeltaResult::FileTooOld, _)) => {
                    self.end_snapshot();
                    continue;
                }
                Ok((DeltaResult::NoWorkspace, _)) => Ok(None),
                Ok((DeltaResult::Delta(delta), found)) => Ok(Some((delta, found))),
                Err(error) => Err(error),
            };
            let value = found.and_then(|all| all.map(|(delta, found)| read(self, delta, found)).transpose());
            self.end_snapshot();
            return value;
        }
        if is_missing {
            return Err(self.state.damaged(format!("the row of workspace {id} is missing")));
        }
        Err(Error::unavailable("the state file changes faster than it can be read"))
    }

    /// Checks the rows by which workspaces are found, before the first search.
    pub(super) fn check_search_once(&self) -> Result<(), Error> {
        if self.search_is_checked.get() {
            return Ok(());
        }
        if !self.is_snapshot {
            self.state.begin_snapshot()?;
        }
        let checked = self.state.check_search();
        self.end_snapshot();
        self.search_is_checked.set(checked.is_ok());
        checked
    }

    fn end_snapshot(&self) {
        if !self.is_snapshot {
            self.state.end_snapshot();
        }
    }

    /// Answers [`Query::PersonalTexts`](crate::Query::PersonalTexts). What an answer named is in
    /// the file.
    pub(crate) fn personal_texts(
        &self,
        id: &WorkspaceId,
        wanted: &[(MemberId, Hash)],
    ) -> Result<Vec<Option<Box<str>>>, Error> {
        let asked = id.clone();
        match self.core.blocking_read(move |core| core.account_index(&asked))? {
            Some(index) => texts_on_disk(&self.journal, index, wanted),
            None => Ok(vec![None; wanted.len()]),
        }
    }

    /// True if it shows the files as they were when it was opened.
    pub(super) fn is_snapshot(&self) -> bool {
        self.is_snapshot
    }

    /// Reads entry `seq`, which must exist.
    pub(super) fn stored<T>(
        &self,
        seq: u64,
        read: impl FnMut(Stored) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let found = self.journal.read(seq, read)?;
        found.ok_or_else(|| Error::damaged(format!("journal entry {seq} is missing")))
    }

    /// The same for a read of entries that begins with the last one up to `at`, or with the newest:
    /// `read` gets the number of that entry, 0 if there is none.
    fn with_entries<T>(
        &self,
        id: &WorkspaceId,
        at: Option<Timestamp>,
        read: impl FnOnce(&Self, AccountDelta, u64) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let up_to = at.map(Timestamp::hour);
        let look = |_: &Self, _| Ok((Wanted::Entries { up_to }, ()));
        self.with_delta(id, look, |reader, delta, ()| {
            let seq = match (delta.up_to_hour, up_to) {
                (Some(seq), _) => seq,
                (None, None) => delta.head,
                (None, Some(hour)) => reader.state.hour(delta.account_index, hour)?.map_or(0, |(_, seq)| seq),
            };
            assert!(seq <= delta.head, "a walk begins at an entry of the account");
            read(reader, delta, seq)
        })
    }

    /// Searches an account's entries from `seq` back to its first for an entry that is later than
    /// `at` and as old as can be found quickly; `seq` if none was found.
    fn search_later_than(&self, at: Timestamp, account_index: u32, seq: u64) -> Result<u64, Error> {
        self.search_back(account_index, (0, seq), |stored| Ok(stored.entry()?.at > at))
    }

    /// Searches an account's entries between two sequence numbers for the first that is beyond
    /// something, as all after it are. Returns the sequence number of one that is as old as can be
    /// found quickly; the higher of the two if none was found. It halves the journal as long as it
    /// finds entries of the account there. Where they are sparse, there are few to walk over.
    pub(super) fn search_back(
        &self,
        account_index: u32,
        (mut low, seq): (u64, u64),
        mut is_beyond: impl FnMut(&Stored) -> Result<bool, Error>,
    ) -> Result<u64, Error> {
        let mut high = seq;
        let near = BLOCK_ENTRIES as u64;
        while high - low > 2 * near {
            let middle = low + (high - low) / 2;
            let mut found = None;
            for block in 0..BLOCKS_SEARCHED {
                let seen = |stored: Stored| Ok((stored.header.seq, is_beyond(&stored)?));
                found = self.journal.first_of_account(middle + block * near, account_index, seen)?;
                if found.is_some() {
                    break;
                }
            }
            match found {
                Some((seq, true)) if seq < high => high = seq,
                Some((seq, false)) if seq > low => low = seq,
                _ => break,
            }
        }
        assert!(high <= seq, "a search goes back");
        Ok(high)
    }

    /// Answers [`Query::Balance`](crate::Query::Balance) for a past instant.
    pub(crate) fn balance_at(&self, id: &WorkspaceId, at: Timestamp) -> Result<Option<BalanceAt>, Error> {
        self.with_entries(id, Some(at), |reader, delta, mut seq| {
            let mut looks = 0;
            while seq != 0 {
                if looks % LOOKS_BEFORE_SEARCH == 0 {
                    seq = reader.search_later_than(at, delta.account_index, seq)?;
                }
                looks += 1;
                let (entry, previous) =
                    reader.stored(seq, |stored| Ok((stored.entry()?, stored.header.previous)))?;
                if entry.at <= at {
                    return Ok(BalanceAt { balance: entry.balance, last_entry_at: entry.at });
                }
                seq = previous;
            }
            Ok(BalanceAt { balance: Default::default(), last_entry_at: Timestamp::ZERO })
        })
    }

    /// Answers [`Query::Entries`](crate::Query::Entries).
    pub(crate) fn entries(
        &self,
        id: &WorkspaceId,
        page: &Page,
    ) -> Result<Option<Listing<EntryRecord>>, Error> {
        let cursor = cursor_of(page)?;
        self.with_entries(id, None, |reader, delta, newest| {
            let mut seq = check_cursor(cursor, &delta)?.unwrap_or(newest);
            let (mut data, mut bytes) = (Vec::new(), 0);
            while seq != 0 && data.len() < page.limit && bytes < ENTRIES_MAX_BYTES {
                seq = reader.stored(seq, |stored| {
                    check_workspace(&stored, delta.account_index)?;
                    data.push(EntryRecord { entry: stored.entry()?, hash: stored.hash() });
                    bytes += stored.bytes.len();
                    Ok(stored.header.previous)
                })?;
            }
            Ok(Listing { data, next: (seq != 0).then(|| seq.to_string()) })
        })
    }

    /// Answers [`Query::Charges`](crate::Query::Charges).
    pub(crate) fn charges(
        &self,
        id: &WorkspaceId,
        filter: &ChargeFilter,
        page: &Page,
    ) -> Result<Option<Listing<Charge>>, Error> {
        let cursor = cursor_of(page)?;
        // A cursor is within the filter already.
        let to = filter.to.filter(|_| cursor.is_none());
        self.with_entries(id, to, |reader, delta, newest| {
            let mut seq = check_cursor(cursor, &delta)?.unwrap_or(newest);
            let (mut data, mut looks) = (Vec::new(), 0);
            while seq != 0 && data.len() < page.limit && looks < LOOKS_MAX {
                let mut found: Vec<(u64, Charge)> = Vec::new();
                let wanted = ASKED_AT_ONCE.min(page.limit - data.len());
                while seq != 0 && found.len() < wanted && looks < LOOKS_MAX {
                    looks += 1;
                    let look = reader.stored(seq, |stored| look_at(&stored, &delta, filter))?;
                    found.extend(look.charge.map(|charge| (seq, charge)));
                    seq = if look.is_too_early { 0 } else { look.previous };
                }
                for charge in reader.in_current_state(delta.account_index, found)? {
                    if filter.status.is_none_or(|status| charge.state.status == status) {
                        data.push(charge);
                    }
                }
            }
            assert!(data.len() <= page.limit, "a page holds at most as many rows as were asked for");
            Ok(Listing { data, next: (seq != 0).then(|| seq.to_string()) })
        })
    }

    /// Brings charges from their first state to their current one. `charges`: each with the
    /// sequence number of its opening entry.
    fn in_current_state(&self, index: u32, charges: Vec<(u64, Charge)>) -> Result<Vec<Charge>, Error> {
        let seqs: Vec<u64> = charges.iter().map(|(seq, _)| *seq).collect();
        let changes = self.core.blocking_read(move |core| core.changes_of(index, &seqs))?;
        assert_eq!(changes.len(), charges.len(), "the core answers for every charge");
        let mut current = Vec::with_capacity(charges.len());
        for ((_, mut charge), changes) in charges.into_iter().zip(changes) {
            self.bring_up_to_date(&mut charge, changes, |_| false)?;
            current.push(charge);
        }
        Ok(current)
    }

    /// Brings a charge from its first state to its current one. Entries about it are read from the
    /// newest to the oldest, as long as `take`, which gets each of them, returns true.
    pub(super) fn bring_up_to_date(
        &self,
        charge: &mut Charge,
        changes: ChargeChanges,
        mut take: impl FnMut(Entry) -> bool,
    ) -> Result<(), Error> {
        let seqs = match changes {
            ChargeChanges::Pending(deadline) => {
                charge.state.deadline = Some(deadline);
                return Ok(());
            }
            ChargeChanges::Entries(seqs) => seqs,
        };
        let mut is_newest = true;
        for seq in seqs {
            // It may be newer than the snapshot; it is committed all the same.
            let entry = self.stored(seq, |stored| stored.entry())?;
            let about = entry.body.charge().is_some_and(|(id, _)| id == charge.details.id);
            let Some(state) = entry.body.state().filter(|_| about) else { continue };
            if is_newest {
                charge.state = state;
                is_newest = false;
            }
            if !take(entry) {
                break;
            }
        }
        Ok(())
    }

    /// Answers [`Query::Grants`](crate::Query::Grants).
    pub(crate) fn grants(
        &self,
        id: &WorkspaceId,
        page: &Page,
    ) -> Result<Option<Listing<GrantRecord>>, Error> {
        let before = cursor_of(page)?.unwrap_or(u64::MAX);
        // One more than asked for says whether another page follows.
        let most = page.limit + 1;
        let look = |reader: &Self, account_index| {
            let lots = reader.state.lots(account_index, before, most)?;
            let in_file = lots.iter().map(|(_, grant)| grant.n).collect();
            Ok((Wanted::Grants { before, most, in_file }, lots))
        };
        self.with_delta(id, look, |reader, mut delta, in_file| {
            delta.new_grants.reverse();
            let mut lots = delta.new_grants;
            lots.extend(in_file);
            let more = lots.len() > page.limit;
            lots.truncate(page.limit);
            let next = lots.last().filter(|_| more).map(|(_, grant)| grant.n.to_string());
            let mut data = Vec::with_capacity(lots.len());
            for (seq, lot) in lots {
                let record = reader.stored(seq, |stored| Ok(answer::granted_by(stored.entry()?)))?;
                let current = delta.changed_grants.iter().find(|grant| grant.n == lot.n);
                let grant = current.cloned().unwrap_or(lot);
                data.extend(record.map(|record| GrantRecord { grant, ..record }));
            }
            Ok(Listing { data, next })
        })
    }

    /// Answers [`Query::Usage`](crate::Query::Usage).
    pub(crate) fn usage(
        &self,
        id: &WorkspaceId,
        hours: Range<i64>,
    ) -> Result<Vec<(UsageKey, UsageSums)>, Error> {
        let look = |_: &Self, _| Ok((Wanted::Usage { hours: hours.clone() }, ()));
        let rows = self.with_delta(id, look, |reader, delta, ()| {
            let mut rows = reader.state.usage(delta.account_index, hours.clone())?;
            rows.extend(delta.usage.of(hours.clone()));
            Ok(rollups::folded(rows))
        })?;
        Ok(rows.unwrap_or_default())
    }
}

fn cursor_of(page: &Page) -> Result<Option<u64>, Error> {
    page.cursor.as_ref().map(|cursor| cursor.parse().map_err(|_| Error::bad_cursor())).transpose()
}

/// Refuses a cursor beyond the newest entry: no page ended with it.
fn check_cursor(cursor: Option<u64>, delta: &AccountDelta) -> Result<Option<u64>, Error> {
    if cursor.is_some_and(|seq| seq > delta.head) { Err(Error::bad_cursor()) } else { Ok(cursor) }
}

/// Refuses a cursor that points to an entry of another workspace.
fn check_workspace(stored: &Stored, account_index: u32) -> Result<(), Error> {
    if stored.header.account_index == account_index { Ok(()) } else { Err(Error::bad_cursor()) }
}

/// What a walk over charges finds at one entry.
struct Look {
    /// The charge that the entry opens, if the filter admits it.
    charge: Option<Charge>,
    /// The workspace's previous entry.
    previous: u64,
    /// True if the entry, and so all before it, is earlier than the filter begins.
    is_too_early: bool,
}

fn look_at(stored: &Stored, delta: &AccountDelta, filter: &ChargeFilter) -> Result<Look, Error> {
    check_workspace(stored, delta.account_index)?;
    let entry = stored.entry()?;
    let is_too_early = filter.from.is_some_and(|from| entry.at < from);
    let charge = answer::charge_opened_by(entry).filter(|charge| filter.admits(charge));
    Ok(Look { charge, previous: stored.header.previous, is_too_early })
}
