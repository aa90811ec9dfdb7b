//! Import: takes in a stream (see [`crate::transfer`]) in transactions of a bounded number of
//! entries.
//!
//! Each entry is verified by a replay and stored byte for byte as it is in the stream. Everything
//! derived from it is stored in the same transaction. An interrupted import can be repeated and
//! goes on where it ended. Until it has finished, a marker keeps servers from serving part of a
//! ledger.
//!
//! Ids that another engine made (*foreign ids*) do not contain the number of their entry. They are
//! stored in the table `moved`, before the transaction with their entries. A row of `moved` without
//! an entry has no effect.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use tollkeeper_ledger::{ChainEnd, Charge, ChargeState, Entry, EntryBody, Id, Micros, WorkspaceId};

use crate::audit::life_disagrees;
use crate::hash::digest;
use crate::postgres::batch::accounts::{Accounts, Slot};
use crate::postgres::batch::columns::Columns;
use crate::postgres::batch::commit;
use crate::postgres::batch::prefetch::{self, ChargeRef};
use crate::postgres::batch::write::{BatchWrites, EntryRef, EntryRow, PendingWrite, PlatformNumbers};
use crate::postgres::database::blocking::block_on;
use crate::postgres::database::config::{self, Address};
use crate::postgres::database::decode::{decode_entry, decode_grant};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema;
use crate::postgres::database::session::{DbSession, Uuid, column, connect, with_timeout};
use crate::postgres::database::sql::Sql;
use crate::postgres::ids::{key_digest, number_in};
use crate::postgres::platform::PlatformSnapshot;
use crate::transfer::{Comparison, Counts, Imported, StreamEntry, StreamReader};
use crate::{Error, calendar};

/// The most entries in one transaction.
const BATCH_ENTRIES: usize = 4_096;

/// Accounts kept in memory between two transactions, about one kilobyte each.
const ACCOUNTS_IN_MEMORY: usize = 65_536;

/// Takes a stream into a database that is empty, or into which an earlier import of the same stream
/// has begun.
///
/// # Errors
/// [`Error::is_damaged`] with the position in the stream if the stream is damaged or an entry does
/// not follow from those before it. [`Error::is_import_conflict`] if the database holds another
/// ledger or servers write to it. In both cases the entries before the error are stored and stay.
pub fn import(url: &str, from: impl Read) -> Result<Imported, Error> {
    let config = config::parse(url)?;
    block_on(import_stream(&config, from))
}

async fn import_stream(address: &Address, from: impl Read) -> Result<Imported, Error> {
    let mut stream = StreamReader::begin(from)?;
    schema::migrate(address, &[]).await.map_err(Failure::into_error)?;
    let session = DbSession::open(address).await.map_err(Failure::into_error)?;
    let (platform, hashes) = stored_platform(&session).await.map_err(Failure::into_error)?;
    let comparison = Comparison::new(hashes);
    let was_importing = schema::is_importing(&session).await.map_err(Failure::into_error)?;
    let accounts = Accounts::default();
    let mut import = Import { session, accounts, comparison, platform, entries_written: 0 };
    match import.take_stream(address, &mut stream).await {
        Ok(()) => import.set_importing(false).await?,
        // A complete ledger stays usable if the stream turns out to be of another ledger.
        Err(error) if error.is_import_conflict() => {
            import.set_importing(was_importing).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    Ok(Imported { stream: stream.counts(), written: import.entries_written })
}

/// The platform as the database has it, with the hashes of its entries in order.
async fn stored_platform(session: &DbSession) -> Result<(PlatformSnapshot, Vec<[u8; 32]>), Failure> {
    let id = WorkspaceId::platform();
    let mut platform = PlatformSnapshot::default();
    let mut hashes = Vec::new();
    for row in &session.query_with_timeout(Sql::PlatformEntries, &[&id.as_str(), &0_i64]).await? {
        let bytes = column(row, 0)?;
        platform.apply(&decode_entry(bytes)?)?;
        hashes.push(digest(bytes));
    }
    Ok((platform, hashes))
}

/// How many entries and journals the database holds.
async fn counts(client: &tokio_postgres::Client) -> Result<Counts, Failure> {
    let row = client.query_one("SELECT coalesce(sum(n), 0)::bigint, count(*) FROM account", &[]).await?;
    Ok(Counts { entries: column::<i64>(&row, 0)? as u64, journals: column::<i64>(&row, 1)? as u64 })
}

/// An import under way.
struct Import {
    session: DbSession,
    accounts: Accounts,
    comparison: Comparison,
    /// The platform after its last entry in the database.
    platform: PlatformSnapshot,
    entries_written: u64,
}

/// What the lines of a batch are checked against: a charge that was opened before them or by one of
/// them.
struct OpenedCharge {
    /// The number of the entry that opened it.
    opening_entry: u64,
    amount: Micros,
    /// Its state after the latest line.
    state: ChargeState,
}

/// The charges that the lines of a batch are about.
type OpenedCharges = HashMap<ChargeRef, OpenedCharge>;

/// A line that cannot be taken in, by its index in the batch. The lines before it are good.
struct RefusedLine {
    index: usize,
    error: Error,
}

/// Foreign ids: rows of the table `moved`, as columns.
#[derive(Default)]
struct ForeignIds<'a> {
    workspaces: Vec<&'a str>,
    ids: Vec<Uuid>,
    numbers: Vec<i64>,
}

impl<'a> ForeignIds<'a> {
    fn push(&mut self, line: &'a StreamEntry, id: Id) {
        self.workspaces.push(line.workspace.as_str());
        self.ids.push(Uuid(id.to_bytes()));
        self.numbers.push(line.entry.n as i64);
    }
}

impl Import {
    /// Takes in a whole stream, then compares its counts with those of the database.
    async fn take_stream<R: Read>(
        &mut self,
        address: &Address,
        stream: &mut StreamReader<R>,
    ) -> Result<(), Error> {
        let mut more = true;
        while more {
            let mut lines = Vec::with_capacity(BATCH_ENTRIES);
            let mut read = Ok(());
            while lines.len() < BATCH_ENTRIES && more && read.is_ok() {
                match stream.next_entry() {
                    Ok(Some(line)) => lines.push(line),
                    Ok(None) => more = false,
                    Err(error) => read = Err(error),
                }
            }
            // The lines before a damaged record are good and are taken in.
            for part in self.of_one_shard_each(lines) {
                self.take_in(part).await?;
            }
            read?;
        }
        let client = connect(address).await.map_err(Failure::into_error)?;
        let stored = counts(&client).await.map_err(Failure::into_error)?;
        self.comparison.finish(stream.counts(), stored)
    }

    /// Lines in parts that are each of one shard, in the order of the lines.
    fn of_one_shard_each(&self, lines: Vec<StreamEntry>) -> Vec<Vec<StreamEntry>> {
        let (shards, mut last) = (self.session.shards(), None);
        let mut parts: Vec<Vec<StreamEntry>> = Vec::new();
        for line in lines {
            let shard = Some(shards.of(line.workspace.as_str()));
            match parts.last_mut() {
                Some(part) if shard == last => part.push(line),
                _ => parts.push(vec![line]),
            }
            last = shard;
        }
        parts
    }

    /// Takes in a batch of lines. If a line is refused, the lines before it are stored.
    async fn take_in(&mut self, lines: Vec<StreamEntry>) -> Result<(), Error> {
        self.load(&lines).await.map_err(Failure::into_error)?;
        let (new, refused) = self.new_lines(lines);
        self.load_spent_grants(&new).await.map_err(Failure::into_error)?;
        if self.entries_written == 0 && !new.is_empty() {
            self.set_importing(true).await?;
        }
        if let Err(RefusedLine { index, error }) = self.write(&new).await {
            if index > 0 && index < new.len() {
                let good = &new[..index];
                self.load(good).await.map_err(Failure::into_error)?;
                self.load_spent_grants(good).await.map_err(Failure::into_error)?;
                self.write(good).await.map_err(|refused| refused.error)?;
            }
            return Err(error);
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sets or clears the marker of an unfinished import.
    async fn set_importing(&self, importing: bool) -> Result<(), Error> {
        schema::set_importing(&self.session, importing).await.map_err(Failure::into_error)
    }

    /// Brings the accounts of some lines into memory and marks them as used by the batch.
    async fn load(&mut self, lines: &[StreamEntry]) -> Result<(), Failure> {
        let mut missing: Vec<&str> = lines.iter().map(|line| line.workspace.as_str()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|id| self.accounts.touch(id).is_none());
        if missing.is_empty() {
            return Ok(());
        }
        for row in &self.session.query_with_timeout(Sql::AccountsOf, &[&missing]).await? {
            Slot::from_row(row)?.into_iter().for_each(|slot| self.accounts.admit(slot));
        }
        for line in lines {
            if self.accounts.touch(line.workspace.as_str()).is_none() {
                self.accounts.admit_new(line.workspace.clone());
                self.accounts.touch(line.workspace.as_str());
            }
        }
        Ok(())
    }

    /// The lines that the database does not have yet, up to the first one that conflicts with what
    /// it has.
    fn new_lines(&mut self, lines: Vec<StreamEntry>) -> (Vec<StreamEntry>, Option<Error>) {
        let mut ends = HashMap::<usize, ChainEnd>::new();
        let mut new = Vec::with_capacity(lines.len());
        for line in lines {
            let account_index = self.account_index(&line.workspace);
            let end =
                ends.entry(account_index).or_insert_with(|| self.accounts.get(account_index).account.chain);
            match self.comparison.is_new(&line, end) {
                Ok(true) => {
                    *end = ChainEnd { n: line.entry.n, at: line.entry.at, hash: line.hash };
                    new.push(line);
                }
                Ok(false) => {}
                Err(error) => return (new, Some(error)),
            }
        }
        (new, None)
    }

    fn account_index(&mut self, workspace: &WorkspaceId) -> usize {
        self.accounts.touch(workspace.as_str()).expect("the accounts of all lines are loaded first")
    }

    /// Brings the spent grants into memory that some lines draw from, refund to or lose. A grant
    /// that the same lines create is not in the database yet, and the query returns no row for it.
    /// A grant that several lines name is loaded once: the account would hold it twice, and one of
    /// the two would miss what the lines do to it.
    async fn load_spent_grants(&mut self, lines: &[StreamEntry]) -> Result<(), Failure> {
        let mut wanted: BTreeSet<EntryRef> = self.lost_grants(lines).await?.into_iter().collect();
        for line in lines {
            let account_index = self.account_index(&line.workspace);
            wanted.extend(line.entry.body.draws().map(|draw| EntryRef { account_index, n: draw.grant }));
        }
        wanted.retain(|EntryRef { account_index, n }| {
            self.accounts.get(*account_index).account.grants.get(*n).is_none()
        });
        let (mut workspaces, mut numbers, mut account_indexes) = (Vec::new(), Vec::new(), Vec::new());
        for EntryRef { account_index, n } in wanted {
            workspaces.push(self.accounts.get(account_index).account.profile.id.as_str().to_owned());
            numbers.push(n as i64);
            account_indexes.push(account_index);
        }
        if workspaces.is_empty() {
            return Ok(());
        }
        for row in &self.session.query_with_timeout(Sql::GrantRows, &[&workspaces, &numbers]).await? {
            let index = usize::try_from(column::<i64>(row, 0)? - 1).ok();
            let account_index = index.and_then(|index| account_indexes.get(index).copied());
            let account_index = account_index
                .ok_or_else(|| Error::damaged("the database gave a grant that was not asked for"))?;
            let grant = decode_grant(column(row, 1)?)?;
            self.accounts.get_mut(account_index).account.grants.insert(grant);
        }
        Ok(())
    }

    /// The grants of the database that some lines lose: what is lost of one is compared with what
    /// it brought, also if it is spent.
    async fn lost_grants(&mut self, lines: &[StreamEntry]) -> Result<Vec<EntryRef>, Failure> {
        let mut named = Vec::new();
        for line in lines {
            let account_index = self.account_index(&line.workspace);
            let grants = &self.accounts.get(account_index).account.grants;
            let lost = line.entry.body.lost_grant().filter(|lost| grants.find(*lost).is_none());
            named.extend(lost.map(|lost| (line.workspace.as_str(), lost)));
        }
        named.sort_unstable();
        named.dedup();
        prefetch::grant_numbers_by_id(&self.session, &mut self.accounts, named.into_iter()).await
    }

    /// The charges of the database that some lines are about.
    async fn load_charges(&mut self, lines: &[StreamEntry]) -> Result<OpenedCharges, Failure> {
        let mut named = Vec::new();
        for line in lines {
            let account_index = self.account_index(&line.workspace);
            let stored_n = self.accounts.get(account_index).account.chain.n;
            match line.entry.body.charge() {
                Some((charge, Some(opening_entry))) if opening_entry <= stored_n => {
                    named.push((line.workspace.as_str(), charge));
                }
                _ => {}
            }
        }
        named.sort_unstable();
        named.dedup();
        let named = named.into_iter();
        let charges = prefetch::charges_by_id(&self.session, &mut self.accounts, named).await?;
        let opened = charges.into_iter().map(|(key, Charge { details, opening_entry, state, .. })| {
            (key, OpenedCharge { opening_entry, amount: details.amount, state })
        });
        Ok(opened.collect())
    }

    /// Replays lines and writes them with everything derived from them, in one transaction.
    async fn write(&mut self, lines: &[StreamEntry]) -> Result<(), RefusedLine> {
        let loaded = self.load_charges(lines).await;
        let mut charges = loaded.map_err(|failure| RefusedLine { index: 0, error: into_error(failure) })?;
        let mut platform = self.platform.clone();
        let mut writes =
            BatchWrites { platform: PlatformNumbers::unchanged(platform.n), ..BatchWrites::default() };
        let mut foreign_ids = ForeignIds::default();
        for (index, line) in lines.iter().enumerate() {
            let account_index = self.account_index(&line.workspace);
            let follows = check_charge(&mut charges, account_index, &line.entry)
                .and_then(|()| check_platform(&mut platform, line))
                .and_then(|()| self.replay(account_index, line, &mut writes));
            if let Err(what) = follows {
                self.accounts.discard_touched();
                return Err(RefusedLine { index, error: line.position.damaged(&what) });
            }
            if let Some(id) = foreign_id(&line.entry) {
                foreign_ids.push(line, id);
            }
        }
        writes.finish(&mut self.accounts);
        let sent = self.send(&writes, &foreign_ids).await;
        if let Err(failure) = sent {
            self.accounts.discard_touched();
            return Err(RefusedLine { index: 0, error: into_error(failure) });
        }
        self.accounts.mark_committed();
        self.accounts.evict_idle(ACCOUNTS_IN_MEMORY);
        assert_eq!(platform.n, writes.platform.after, "the platform is the one that was written");
        self.platform = platform;
        self.entries_written += lines.len() as u64;
        Ok(())
    }

    async fn send(&mut self, writes: &BatchWrites, foreign_ids: &ForeignIds<'_>) -> Result<(), Failure> {
        let ForeignIds { workspaces, ids, numbers } = foreign_ids;
        if !workspaces.is_empty() {
            with_timeout(self.session.execute(Sql::AddForeignIds, &[workspaces, ids, numbers])).await??;
        }
        let touched = self.accounts.touched().to_vec();
        let columns = Columns::new(writes, &self.accounts, &touched);
        commit::commit(&self.session, &columns, false).await
    }

    /// Applies an entry to its account and adds its rows.
    fn replay(
        &mut self,
        account_index: usize,
        line: &StreamEntry,
        writes: &mut BatchWrites,
    ) -> Result<(), String> {
        let StreamEntry { workspace, entry, bytes, hash, texts, .. } = line;
        let slot = self.accounts.get_mut(account_index);
        let creates = matches!(&entry.body, EntryBody::WorkspaceCreated(profile) if profile.id == *workspace);
        if !slot.account.exists() && !creates && !workspace.is_platform() {
            return Err(format!("workspace {workspace} was never created"));
        }
        slot.account.replay(entry, *hash).map_err(|disagreement| disagreement.to_string())?;
        let part = calendar::hour_part(&slot.account.profile.timezone, entry.decided_at);
        slot.batch_usage.record(entry, part);
        writes.bytes.extend_from_slice(bytes);
        let opening_entry = entry.body.charge().and_then(|(_, opening_entry)| opening_entry);
        let key = entry.key.as_ref().map(key_digest);
        writes.entries.push(EntryRow {
            account_index,
            n: entry.n,
            key,
            opening_entry,
            end: writes.bytes.len(),
        });
        if workspace.is_platform() {
            writes.platform.after = entry.n;
        }
        writes.texts.note_imported(account_index, (entry.n, &entry.body), texts);
        match &entry.body {
            EntryBody::Granted { grant, .. } => writes.put_grant_row(account_index, grant),
            EntryBody::WorkspaceUpdated(_) => drop(writes.updated_profiles.insert(account_index)),
            EntryBody::ChargeOpened(details) if details.deadline.is_none() => {}
            body => {
                if let (Some((charge, opening_entry)), Some(state)) = (body.charge(), body.state()) {
                    let opening_entry = EntryRef { account_index, n: opening_entry.unwrap_or(entry.n) };
                    writes.pending.insert(opening_entry, PendingWrite { charge, deadline: state.deadline });
                }
            }
        }
        Ok(())
    }
}

/// Applies an entry of the platform's journal to the platform, so that a gap in the price versions
/// or epochs is noticed before servers read it.
fn check_platform(platform: &mut PlatformSnapshot, line: &StreamEntry) -> Result<(), String> {
    if !line.workspace.is_platform() {
        return Ok(());
    }
    platform.apply(&line.entry).map_err(|error| error.to_string())
}

/// Checks that an entry about a charge follows from the state of the charge (i05, i06), and keeps
/// the state after it.
fn check_charge(charges: &mut OpenedCharges, account_index: usize, entry: &Entry) -> Result<(), String> {
    let (Some((id, opening_entry)), Some(state)) = (entry.body.charge(), entry.body.state()) else {
        return Ok(());
    };
    let key = ChargeRef { account_index, charge: id };
    if let EntryBody::ChargeOpened(details) = &entry.body {
        charges.insert(key, OpenedCharge { opening_entry: entry.n, amount: details.amount, state });
        return Ok(());
    }
    let charge = charges.get_mut(&key).filter(|charge| Some(charge.opening_entry) == opening_entry);
    let charge = charge.ok_or_else(|| format!("charge {id} was never opened"))?;
    match life_disagrees(entry, (id, charge.amount), charge.state) {
        Some(what) => Err(what),
        None => {
            charge.state = state;
            Ok(())
        }
    }
}

/// The id that an entry creates, if it does not contain the entry's number.
fn foreign_id(entry: &Entry) -> Option<Id> {
    let id = match &entry.body {
        EntryBody::ChargeOpened(details) => details.id.0,
        EntryBody::Granted { grant, .. } => grant.id.0,
        _ => return None,
    };
    (number_in(id) != entry.n as i64).then_some(id)
}

/// The error for a failed transaction: during an import, a conflict means that a server is running.
fn into_error(failure: Failure) -> Error {
    match failure {
        Failure::Conflict => {
            Error::import_conflict("servers write to the database while it is being imported into")
                .with_hint("stop the servers on it and repeat the import; it goes on where it ended")
        }
        other => other.into_error(),
    }
}
