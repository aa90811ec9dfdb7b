//! Import: takes in a stream (see `moving`), some entries at a time, each verified by a replay and written byte by byte as
//! it was, with everything that is derived from it in the same transaction. An import that was interrupted is repeated
//! and goes on where it ended.
//!
//! Ids that another engine made do not carry the number of their entry here: they are kept in the table `moved`. Such
//! rows are written before their entries; without an entry they mean nothing.

use std::collections::HashMap;
use std::io::Read;

use tollkeeper_ledger::{Chain, Entry, EntryBody, Id, WorkspaceId};

use crate::Error;
use crate::postgres::batch::accounts::Accounts;
use crate::postgres::batch::prefetch::{decoded_grant, slot};
use crate::postgres::batch::state_machine::digest;
use crate::postgres::batch::write::{self, EntryRow, Rows};
use crate::postgres::database::config;
use crate::postgres::database::config::Address;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema;
use crate::postgres::database::session::{Session, Uuid, column, connect, within};
use crate::postgres::database::sql::Sql;
use crate::postgres::ids::{fingerprint, number_in};
use crate::transfer::{self, Comparison, Counts, Imported, Line, StreamReader};

/// Entries that are written in one transaction.
const BATCH_ENTRIES: usize = 4_096;

/// Accounts kept in memory between two transactions, about a kilobyte each.
const ACCOUNTS_IN_MEMORY: usize = 65_536;

/// Takes a stream into a database: an empty one, or one that an earlier import of it has begun.
///
/// # Errors
/// [`Error::is_damaged`] with the place when the stream is not what was written or an entry does not follow from those
/// before it, [`Error::is_conflict`] when another ledger is there or others write to it; what came before is taken in and
/// stays.
pub fn import(url: &str, from: impl Read) -> Result<Imported, Error> {
    let config = config::parse(url)?;
    crate::postgres::block_on(take_all(&config, from))
}

async fn take_all(address: &Address, from: impl Read) -> Result<Imported, Error> {
    let mut stream = StreamReader::begin(from)?;
    schema::migrate(address).await.map_err(Failure::into_error)?;
    let session = Session::open(address).await.map_err(Failure::into_error)?;
    let hashes = platform_hashes(&session).await.map_err(Failure::into_error)?;
    let platform = hashes.len() as u64;
    let overlap = Comparison::new(hashes);
    let was_importing = is_importing(&session).await.map_err(Failure::into_error)?;
    let mut import = Import { session, accounts: Accounts::default(), overlap, platform, written: 0 };
    let whole = import.take_stream(address, &mut stream).await;
    match whole {
        Ok(()) => import.begins(false).await.map_err(Failure::into_error)?,
        // A ledger that was whole before somebody brought another one goes on.
        Err(error) if error.is_conflict() => {
            import.begins(was_importing).await.map_err(Failure::into_error)?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    Ok(Imported { stream: stream.counts(), written: import.written })
}

/// Refuses to serve a part of a ledger.
pub(crate) async fn refuse_half(session: &Session) -> Result<(), Failure> {
    if is_importing(session).await? { Err(transfer::unfinished().into()) } else { Ok(()) }
}

async fn is_importing(session: &Session) -> Result<bool, Failure> {
    let rows = within(session.query(Sql::Importing, &[])).await??;
    Ok(rows.first().map_or(Ok(false), |row| column(row, 0))?)
}

/// The hashes of the platform's own entries, the first one first.
async fn platform_hashes(session: &Session) -> Result<Vec<[u8; 32]>, Failure> {
    let platform = WorkspaceId::platform();
    let rows = within(session.query(Sql::PlatformEntries, &[&platform.as_str(), &0_i64])).await??;
    rows.iter().map(|row| Ok(digest(column(row, 0)?))).collect()
}

async fn counts(client: &tokio_postgres::Client) -> Result<Counts, Failure> {
    let row = client.query_one("SELECT coalesce(sum(n), 0)::bigint, count(*) FROM account", &[]).await?;
    Ok(Counts { entries: column::<i64>(&row, 0)? as u64, journals: column::<i64>(&row, 1)? as u64 })
}

/// An import under way.
struct Import {
    session: Session,
    accounts: Accounts,
    overlap: Comparison,
    /// The number of the platform's last entry.
    platform: u64,
    written: u64,
}

/// A line that cannot be taken in: what came before it in its batch can.
struct Wrong(usize, Error);

impl Import {
    /// Takes in a whole stream, and compares the ends.
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
                match stream.next_line() {
                    Ok(Some(line)) => lines.push(line),
                    Ok(None) => more = false,
                    Err(error) => read = Err(error),
                }
            }
            // What came before a damaged record is good.
            self.take_in(lines).await?;
            read?;
        }
        let (client, _) = connect(address).await.map_err(Failure::into_error)?;
        let there = counts(&client).await.map_err(Failure::into_error)?;
        self.overlap.finish(stream.counts(), there)
    }

    async fn take_in(&mut self, lines: Vec<Line>) -> Result<(), Error> {
        self.load(&lines).await.map_err(Failure::into_error)?;
        let (new, refused) = self.new_lines(lines);
        self.load_grants(&new).await.map_err(Failure::into_error)?;
        if self.written == 0 && !new.is_empty() {
            self.begins(true).await.map_err(Failure::into_error)?;
        }
        if let Err(Wrong(good, error)) = self.write(&new).await {
            if good > 0 && good < new.len() {
                let before = &new[..good];
                self.load(before).await.map_err(Failure::into_error)?;
                self.load_grants(before).await.map_err(Failure::into_error)?;
                self.write(before).await.map_err(|Wrong(_, error)| error)?;
            }
            return Err(error);
        }
        refused.map_or(Ok(()), Err)
    }

    /// Notes that a part of a ledger is here from now on, or that it is whole.
    async fn begins(&self, importing: bool) -> Result<(), Failure> {
        within(self.session.execute(Sql::SetImporting, &[&importing])).await?
    }

    /// Brings the accounts of some lines into memory, and begins the batch that speaks of them.
    async fn load(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let mut missing: Vec<&str> = lines.iter().map(|line| line.workspace.as_str()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|id| self.accounts.touch(id).is_none());
        if missing.is_empty() {
            return Ok(());
        }
        for row in &within(self.session.query(Sql::AccountsOf, &[&missing])).await?? {
            self.accounts.admit(slot(row)?);
        }
        for line in lines {
            if self.accounts.touch(line.workspace.as_str()).is_none() {
                self.accounts.admit_new(line.workspace.clone());
                self.accounts.touch(line.workspace.as_str());
            }
        }
        Ok(())
    }

    /// The lines that are not there yet, up to one that must not be.
    fn new_lines(&mut self, lines: Vec<Line>) -> (Vec<Line>, Option<Error>) {
        let mut ends = HashMap::<usize, Chain>::new();
        let mut new = Vec::with_capacity(lines.len());
        for line in lines {
            let no = self.no(&line.workspace);
            let end = ends.entry(no).or_insert_with(|| self.accounts.get(no).account.chain);
            match self.overlap.is_new(&line, end) {
                Ok(true) => {
                    *end = Chain { n: line.entry.n, at: line.entry.at, hash: line.hash };
                    new.push(line);
                }
                Ok(false) => {}
                Err(error) => return (new, Some(error)),
            }
        }
        (new, None)
    }

    fn no(&mut self, workspace: &WorkspaceId) -> usize {
        self.accounts.touch(workspace.as_str()).expect("loaded for this batch")
    }

    /// Brings spent grants back that some lines take from or give to.
    async fn load_grants(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        for line in lines {
            let no = self.no(&line.workspace);
            let grants = &self.accounts.get(no).account.grants;
            for draw in line.entry.body.draws().iter().filter(|draw| grants.get(draw.grant).is_none()) {
                ids.push(line.workspace.as_str());
                numbers.push(draw.grant as i64);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        for row in &within(self.session.query(Sql::Lots, &[&ids, &numbers])).await?? {
            // What comes in this very batch is not there yet.
            let place = column::<i64>(row, 0)? as usize - 1;
            let no = self.accounts.touch(ids[place]).expect("loaded for this batch");
            self.accounts.get_mut(no).account.grants.insert(decoded_grant(column(row, 1)?)?);
        }
        Ok(())
    }

    /// Replays lines and writes them with all that follows from them, in one transaction.
    async fn write(&mut self, lines: &[Line]) -> Result<(), Wrong> {
        let mut rows = Rows { platform: (self.platform, self.platform), ..Rows::default() };
        let mut moved = (Vec::new(), Vec::new(), Vec::new());
        for (at, line) in lines.iter().enumerate() {
            let no = self.no(&line.workspace);
            if let Err(what) = self.replay(no, line, &mut rows) {
                self.accounts.forget_touched();
                return Err(Wrong(at, line.position.damaged(&what)));
            }
            if let Some(id) = foreign_id(&line.entry) {
                moved.0.push(line.workspace.as_str());
                moved.1.push(Uuid(id.to_bytes()));
                moved.2.push(line.entry.n as i64);
            }
        }
        rows.gather(&mut self.accounts);
        let written = self.send(&rows, &moved).await;
        if let Err(failure) = written {
            self.accounts.forget_touched();
            return Err(Wrong(0, told(failure)));
        }
        self.accounts.settle();
        self.accounts.let_go(ACCOUNTS_IN_MEMORY);
        self.platform = rows.platform.1;
        self.written += lines.len() as u64;
        Ok(())
    }

    async fn send(&mut self, rows: &Rows, moved: &(Vec<&str>, Vec<Uuid>, Vec<i64>)) -> Result<(), Failure> {
        if !moved.0.is_empty() {
            within(self.session.execute(Sql::AddMoved, &[&moved.0, &moved.1, &moved.2])).await??;
        }
        write::send(&self.session, rows, &mut self.accounts, false).await
    }

    /// Applies an entry to its account and makes its rows.
    fn replay(&mut self, no: usize, line: &Line, rows: &mut Rows) -> Result<(), String> {
        let Line { workspace, entry, bytes, hash, .. } = line;
        let slot = self.accounts.get_mut(no);
        let creates = matches!(&entry.body, EntryBody::WorkspaceCreated(profile) if profile.id == *workspace);
        if !slot.account.exists() && !creates && !workspace.is_platform() {
            return Err(format!("workspace {workspace} was never created"));
        }
        slot.account.replay(entry, *hash).map_err(|disagreement| disagreement.to_string())?;
        slot.gathered.record(entry);
        rows.bytes.extend_from_slice(bytes);
        let opened = entry.body.charge().and_then(|(_, opened)| opened);
        let key = entry.key.as_ref().map(fingerprint);
        rows.entries.push(EntryRow { no, n: entry.n, key, opened, end: rows.bytes.len() });
        if workspace.is_platform() {
            rows.platform.1 = entry.n;
        }
        match &entry.body {
            EntryBody::Granted { grant, .. } => {
                let mut bytes = Vec::with_capacity(48);
                grant.encode(&mut bytes);
                rows.lots.insert((no, grant.n), bytes);
            }
            EntryBody::ChargeOpened(details) if details.deadline.is_none() => {}
            body => {
                if let (Some((id, opened)), Some(state)) = (body.charge(), body.state()) {
                    rows.pending.insert((no, opened.unwrap_or(entry.n)), (id, state.deadline));
                }
            }
        }
        Ok(())
    }
}

/// The id that an entry makes, if it does not carry the entry's number.
fn foreign_id(entry: &Entry) -> Option<Id> {
    let id = match &entry.body {
        EntryBody::ChargeOpened(details) => details.id.0,
        EntryBody::Granted { grant, .. } => grant.id.0,
        _ => return None,
    };
    (number_in(id) != entry.n as i64).then_some(id)
}

fn told(failure: Failure) -> Error {
    match failure {
        Failure::Conflict => Error::conflict("others write to the database while it is being imported into")
            .with_hint("stop the servers on it and repeat the import; it goes on where it ended"),
        other => other.into_error(),
    }
}
