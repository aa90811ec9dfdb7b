//! What an audit must remember of many charges, grants, keys and erasures: in memory while it is
//! little, else in a temporary file.
//!
//! The file is a private database of SQLite. SQLite makes it in the directory for temporary files
//! (`TMPDIR`) when its cache is full, and removes its name at once. So nothing is left behind,
//! also after a crash. It may grow to a part of the size of the journal.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};
use tollkeeper_ledger::{ChargeState, Grant, GrantId, Micros, Outcome, Status, Timestamp};

use crate::Error;

const TABLES: &str = "
    PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
    CREATE TABLE charge (key INTEGER PRIMARY KEY, status TEXT NOT NULL, outcome TEXT, refunded INTEGER NOT NULL,
        refunds INTEGER NOT NULL, quantity INTEGER NOT NULL, deadline INTEGER, opening BLOB NOT NULL);
    CREATE TABLE spent (owner INTEGER NOT NULL, n INTEGER NOT NULL, id BLOB NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (owner, n)) WITHOUT ROWID;
    CREATE INDEX spent_id ON spent (owner, id);
    CREATE TABLE pairs (part INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE INDEX pairs_part ON pairs (part);
    CREATE TABLE erasure (account INTEGER NOT NULL, member TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (account, member)) WITHOUT ROWID;
";

/// Pairs are sorted part by part. Fingerprints are uniform, so the parts are equally large.
const PARTS: usize = 256;

/// How many pairs of a part are written together.
const PAIRS_WRITTEN: usize = 2_048;

/// About what a charge in memory takes besides its opening entry.
const CHARGE_BYTES: usize = 160;

/// The fingerprint of a name and the sequence number of its entry.
pub(crate) type Pair = (u64, u64);

/// A charge that may still change.
#[derive(Clone, Debug)]
pub(crate) struct ChargeLife {
    /// Its state after the last entry about it.
    pub state: ChargeState,
    /// The canonical bytes of the entry that opened it, if they are not at hand elsewhere.
    pub opening: Box<[u8]>,
}

/// The memory of an audit.
#[derive(Debug)]
pub(crate) struct Scratch {
    connection: Connection,
    /// The charges that were changed last, by a key that the engine chooses.
    charges: HashMap<u64, ChargeLife>,
    charge_bytes: usize,
    charge_bytes_max: usize,
    has_stored_charges: bool,
    has_spent: bool,
    pairs: Vec<Vec<Pair>>,
}

impl Scratch {
    /// An empty memory that holds at most about `memory_bytes` of charges before it uses the file.
    pub(crate) fn new(memory_bytes: usize) -> Result<Scratch, Error> {
        let connection = Connection::open("").map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(16);
        connection.execute_batch(TABLES).map_err(failed)?;
        connection.execute_batch("PRAGMA cache_size = -32768; BEGIN").map_err(failed)?;
        Ok(Scratch {
            connection,
            charges: HashMap::new(),
            charge_bytes: 0,
            charge_bytes_max: memory_bytes,
            has_stored_charges: false,
            has_spent: false,
            pairs: vec![Vec::new(); PARTS],
        })
    }

    /// The charge under a key.
    pub(crate) fn charge(&self, key: u64) -> Result<Option<ChargeLife>, Error> {
        if let Some(charge) = self.charges.get(&key) {
            return Ok(Some(charge.clone()));
        }
        if !self.has_stored_charges {
            return Ok(None);
        }
        let sql = "SELECT status, outcome, refunded, refunds, quantity, deadline, opening FROM charge WHERE key = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        statement.query_row([key as i64], read_charge).optional().map_err(failed)
    }

    /// Replaces the charge under a key.
    pub(crate) fn put_charge(&mut self, key: u64, charge: ChargeLife) -> Result<(), Error> {
        self.charge_bytes += CHARGE_BYTES + charge.opening.len();
        if let Some(old) = self.charges.insert(key, charge) {
            self.charge_bytes -= CHARGE_BYTES + old.opening.len();
        }
        if self.charge_bytes > self.charge_bytes_max { self.store_charges() } else { Ok(()) }
    }

    fn store_charges(&mut self) -> Result<(), Error> {
        let mut charges: Vec<(u64, ChargeLife)> = std::mem::take(&mut self.charges).into_iter().collect();
        charges.sort_unstable_by_key(|(key, _)| *key);
        let sql =
            "INSERT OR REPLACE INTO charge (key, status, outcome, refunded, refunds, quantity, deadline, opening)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut insert = self.connection.prepare_cached(sql).map_err(failed)?;
        for (key, ChargeLife { state, opening }) in charges {
            let ChargeState { status, outcome, refunded, refunds, quantity, deadline } = state;
            let (status, outcome) = (status.as_str(), outcome.map(Outcome::as_str));
            let deadline = deadline.map(Timestamp::millis);
            let row = (key as i64, status, outcome, refunded.get(), refunds, quantity, deadline, &opening);
            insert.execute(row).map_err(failed)?;
        }
        self.charge_bytes = 0;
        self.has_stored_charges = true;
        Ok(())
    }

    /// Forgets all charges and all spent grants.
    pub(crate) fn forget(&mut self) -> Result<(), Error> {
        self.charges = HashMap::new();
        self.charge_bytes = 0;
        if std::mem::take(&mut self.has_stored_charges) {
            self.connection.execute("DELETE FROM charge", []).map_err(failed)?;
        }
        if std::mem::take(&mut self.has_spent) {
            self.connection.execute("DELETE FROM spent", []).map_err(failed)?;
        }
        Ok(())
    }

    /// Keeps spent grants of a workspace.
    pub(crate) fn put_spent(&mut self, owner: u32, grants: &[Grant]) -> Result<(), Error> {
        if grants.is_empty() {
            return Ok(());
        }
        self.has_spent = true;
        let sql = "INSERT OR REPLACE INTO spent (owner, n, id, data) VALUES (?1, ?2, ?3, ?4)";
        let mut insert = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut data = Vec::new();
        for grant in grants {
            data.clear();
            grant.encode(&mut data);
            insert.execute((owner, grant.n as i64, grant.id.0.to_bytes(), &data)).map_err(failed)?;
        }
        Ok(())
    }

    /// The spent grant with this number.
    pub(crate) fn spent(&self, owner: u32, n: u64) -> Result<Option<Grant>, Error> {
        let number = i64::try_from(n).unwrap_or(i64::MAX);
        self.one_spent("SELECT data FROM spent WHERE owner = ?1 AND n = ?2", (owner, number))
    }

    /// The spent grant with this id.
    pub(crate) fn spent_with_id(&self, owner: u32, id: GrantId) -> Result<Option<Grant>, Error> {
        self.one_spent("SELECT data FROM spent WHERE owner = ?1 AND id = ?2", (owner, id.0.to_bytes()))
    }

    fn one_spent(&self, sql: &str, params: impl rusqlite::Params) -> Result<Option<Grant>, Error> {
        if !self.has_spent {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let data: Option<Vec<u8>> =
            statement.query_row(params, |row| row.get(0)).optional().map_err(failed)?;
        let grant = data.map(|data| Grant::decode(&data)).transpose();
        grant.map_err(|error| Error::bug(format!("a spent grant must read back: {error}")))
    }

    /// Notes that an entry erased the texts of a member, in place of an earlier erasure.
    pub(crate) fn put_erasure(&self, account: u32, member: &str, seq: u64) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO erasure (account, member, seq) VALUES (?1, ?2, ?3)";
        let mut insert = self.connection.prepare_cached(sql).map_err(failed)?;
        insert.execute((account, member, seq as i64)).map(|_| ()).map_err(failed)
    }

    /// The entry that erased the texts of a member last.
    pub(crate) fn last_erasure(&self, account: u32, member: &str) -> Result<Option<u64>, Error> {
        let sql = "SELECT seq FROM erasure WHERE account = ?1 AND member = ?2";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let found = statement.query_row((account, member), |row| row.get::<_, i64>(0)).optional();
        Ok(found.map_err(failed)?.map(|seq| seq as u64))
    }

    /// Keeps a pair.
    pub(crate) fn put_pair(&mut self, pair: Pair) -> Result<(), Error> {
        let part = (pair.0 >> 56) as usize;
        self.pairs[part].push(pair);
        if self.pairs[part].len() < PAIRS_WRITTEN {
            return Ok(());
        }
        let bytes: Vec<u8> = self.pairs[part]
            .drain(..)
            .flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()])
            .flatten()
            .collect();
        let sql = "INSERT INTO pairs (part, data) VALUES (?1, ?2)";
        let mut insert = self.connection.prepare_cached(sql).map_err(failed)?;
        insert.execute((part as i64, bytes)).map(|_| ()).map_err(failed)
    }

    /// Calls `found` for each two pairs that follow each other in the order of all pairs and have
    /// the same fingerprint.
    pub(crate) fn equal_pairs(
        &mut self,
        mut found: impl FnMut(Pair, Pair) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for part in 0..PARTS {
            let mut pairs = std::mem::take(&mut self.pairs[part]);
            let mut statement =
                self.connection.prepare_cached("SELECT data FROM pairs WHERE part = ?1").map_err(failed)?;
            let mut rows = statement.query([part as i64]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let bytes =
                    row.get_ref(0).map_err(failed)?.as_blob().map_err(|error| failed(error.into()))?;
                let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
                let words: Vec<u64> = words.collect();
                pairs.extend(words.as_chunks::<2>().0.iter().map(|[fingerprint, seq]| (*fingerprint, *seq)));
            }
            pairs.sort_unstable();
            for two in pairs.windows(2).filter(|two| two[0].0 == two[1].0) {
                found(two[0], two[1])?;
            }
        }
        Ok(())
    }
}

fn read_charge(row: &Row) -> rusqlite::Result<ChargeLife> {
    let (status, outcome) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str_or_null()?);
    let statuses = [Status::Pending, Status::Settled, Status::Refunded];
    let status = statuses.into_iter().find(|known| known.as_str() == status);
    let outcomes = [
        Outcome::Succeeded,
        Outcome::FailedSystem,
        Outcome::FailedUser,
        Outcome::TimedOut,
        Outcome::Reversed,
    ];
    let state = ChargeState {
        status: status.expect("only statuses were written"),
        outcome: outcome.map(|outcome| {
            let known = outcomes.into_iter().find(|known| known.as_str() == outcome);
            known.expect("only outcomes were written")
        }),
        refunded: Micros::new(row.get(2)?),
        refunds: row.get(3)?,
        quantity: row.get(4)?,
        deadline: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
    };
    Ok(ChargeLife { state, opening: row.get::<_, Vec<u8>>(6)?.into() })
}

/// The error of the temporary file: no reason to distrust the ledger.
fn failed(error: rusqlite::Error) -> Error {
    Error::unavailable(format!("the temporary file of the audit: {error}"))
        .with_hint("make room in the directory for temporary files, or set TMPDIR to another one")
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Id, Source};

    use super::*;

    fn state(refunded: i64) -> ChargeState {
        ChargeState {
            status: Status::Settled,
            outcome: (refunded % 2 == 1).then_some(Outcome::FailedUser),
            refunded: Micros::new(refunded),
            refunds: refunded as u32 % 5,
            quantity: 7,
            deadline: (refunded % 3 == 0).then(|| Timestamp::from_millis(refunded)),
        }
    }

    #[test]
    fn charges_that_do_not_fit_into_memory_read_back() {
        let mut scratch = Scratch::new(10 * CHARGE_BYTES).expect("a temporary file can be made");
        let charge = |n: u64| ChargeLife { state: state(n as i64), opening: vec![n as u8; 3].into() };
        for n in 1..=100 {
            scratch.put_charge(n, charge(n)).expect("there is room");
        }
        scratch.put_charge(5, charge(105)).expect("there is room");
        assert!(scratch.charges.len() <= 10, "the others are in the file");
        for (key, n) in (1..=100).map(|n| (n, if n == 5 { 105 } else { n })) {
            let found = scratch.charge(key).expect("it reads").expect("it was kept");
            assert_eq!((found.state, found.opening), (state(n as i64), vec![n as u8; 3].into()));
        }
        assert!(scratch.charge(101).expect("it reads").is_none());
        scratch.forget().expect("it can be emptied");
        assert!(scratch.charge(1).expect("it reads").is_none());
    }

    #[test]
    fn spent_grants_are_found_by_number_and_by_id() {
        let mut scratch = Scratch::new(0).expect("a temporary file can be made");
        let grant = |n: u64| Grant {
            id: GrantId(Id::v7(1, 0, n)),
            n,
            source: Source::Promotional,
            amount: Micros::new(5),
            remaining: Micros::ZERO,
            voided_at: None,
        };
        assert!(scratch.spent(1, 2).expect("it reads").is_none());
        scratch.put_spent(1, &[grant(2), grant(3)]).expect("there is room");
        assert_eq!(scratch.spent(1, 3).expect("it reads"), Some(grant(3)));
        assert_eq!(scratch.spent_with_id(1, grant(2).id).expect("it reads"), Some(grant(2)));
        assert!(scratch.spent(2, 3).expect("it reads").is_none(), "another workspace");
    }

    #[test]
    fn equal_fingerprints_are_found_wherever_they_lie() {
        let mut scratch = Scratch::new(0).expect("a temporary file can be made");
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for seq in 1..=1_000_000 {
            scratch.put_pair((spread(seq), seq)).expect("there is room");
        }
        for seq in [7, 500_000, 999_999] {
            scratch.put_pair((spread(seq), 1_000_000 + seq)).expect("there is room");
        }
        let mut found = Vec::new();
        let read = scratch.equal_pairs(|one, other| {
            found.push((one.1, other.1));
            Ok(())
        });
        read.expect("it reads");
        found.sort_unstable();
        assert_eq!(found, [(7, 1_000_007), (500_000, 1_500_000), (999_999, 1_999_999)]);
    }
}
