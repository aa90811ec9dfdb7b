//! Usage rollups (P11): runs, quantity, charged and refunded per hour (UTC), operation, worker, member and API key.
//!
//! Counted from entries, one after the other, so that they equal the sum of what they cover (i08). A refund counts in
//! the hour it happens, so that a closed day never changes. An engine takes what has gathered here and adds it to what
//! it keeps. Reports are not here.

use crate::text::Text;
use crate::{ApiKeyId, Entry, EntryBody, MemberId, Micros, OperationId, Spender, WorkerId};

/// What a rollup is counted under.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Whole hours since 1970 in UTC.
    pub hour: i64,
    /// The operation, worker, member and API key. Reports add up over the API key, limits count by it.
    pub spender: Spender,
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Charges opened.
    pub runs: i64,
    /// Units of those.
    pub quantity: i64,
    /// Deducted.
    pub charged: Micros,
    /// Given back.
    pub refunded: Micros,
}

impl Used {
    /// Adds what another count holds.
    pub fn add(&mut self, other: Used) {
        self.runs += other.runs;
        self.quantity += other.quantity;
        self.charged += other.charged;
        self.refunded += other.refunded;
    }
}

/// So many rollups are searched one by one, which is faster than a map and more than most workspaces ever need.
const SEARCHED_MAX: usize = 32;

/// Positions of rows by their hash. Only looked up by key, so its order of iteration does not matter.
#[expect(clippy::disallowed_types, reason = "never iterated over")]
type RowsByHash = std::collections::HashMap<u64, Vec<u32>>;

/// The rollups of one workspace that gathered since they were last taken.
///
/// The charge of a workspace that was not looked at for a while waits for memory, not for arithmetic, so a row is found
/// by its hash in one array, and its names lie in one piece.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The hash of each row's names and hour.
    hashes: Vec<u64>,
    rows: Vec<Row>,
    /// Places in `rows` by hash, once there are more than [`SEARCHED_MAX`].
    /// Boxed: one word instead of six in an account that needs no map.
    places: Option<Box<RowsByHash>>,
}

#[derive(Clone, Debug)]
struct Row {
    hour: i64,
    /// Operation, worker and member, with a byte between them that no name holds; nothing stands for none.
    names: Text<ROW_NAMES_BYTES>,
    api_key: Option<ApiKeyId>,
    used: Used,
}

/// The three names of a row usually fit into so many bytes.
const ROW_NAMES_BYTES: usize = 38;

/// What separates the names of a row.
const BETWEEN: u8 = 0x1f;

/// Names that are borrowed from the entry, so that counting allocates only for a new row.
#[derive(Clone, Copy)]
struct Names<'a>([&'a [u8]; 3], Option<ApiKeyId>);

impl<'a> Names<'a> {
    fn new(spender: &'a Spender) -> Names<'a> {
        let Spender { operation, worker, member, api_key } = spender;
        let worker = worker.as_ref().map_or(&[][..], WorkerId::as_bytes);
        let member = member.as_ref().map_or(&[][..], MemberId::as_bytes);
        Names([operation.as_bytes(), worker, member], *api_key)
    }

    fn are(&self, row: &Row, hour: i64) -> bool {
        let [operation, worker, member] = self.0;
        let names = row.names.as_bytes();
        let (first, second) = (operation.len(), operation.len() + 1 + worker.len());
        row.hour == hour
            && row.api_key == self.1
            && names.len() == second + 1 + member.len()
            && names[..first] == *operation
            && names[first] == BETWEEN
            && names[first + 1..second] == *worker
            && names[second] == BETWEEN
            && names[second + 1..] == *member
    }

    /// Eight bytes at a time, by multiplication: quick for short names. A collision costs a comparison, no more.
    fn hash(&self, hour: i64) -> u64 {
        let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut hash = mix(self.1.map_or(0, |key| key.0.group_b()), hour as u64);
        for name in self.0 {
            let (words, rest) = name.as_chunks::<8>();
            for word in words {
                hash = mix(hash, u64::from_le_bytes(*word));
            }
            let rest = rest.iter().fold(name.len() as u64, |sum, byte| sum << 8 | u64::from(*byte));
            hash = mix(hash, rest);
        }
        hash
    }
}

impl Usage {
    /// Counts what an entry charged or refunded; other kinds of entries use nothing.
    pub fn record(&mut self, entry: &Entry) {
        let hour = entry.at.hour();
        match &entry.body {
            EntryBody::ChargeOpened(details) => {
                let used = self.used(&Names::new(&details.spender), hour);
                used.runs += 1;
                used.quantity += details.quantity;
                used.charged += details.amount;
            }
            EntryBody::ChargeRefunded(refund) => {
                self.used(&Names::new(&refund.spender), hour).refunded += refund.amount;
            }
            _ => {}
        }
    }

    fn used(&mut self, names: &Names, hour: i64) -> &mut Used {
        let hash = names.hash(hour);
        let place = match self.place(names, hour, hash) {
            Some(place) => place,
            None => self.insert(names, hour, hash),
        };
        &mut self.rows[place].used
    }

    fn place(&self, names: &Names, hour: i64, hash: u64) -> Option<usize> {
        let is = |place: &usize| names.are(&self.rows[*place], hour);
        if self.rows.len() <= SEARCHED_MAX {
            let same = self.hashes.iter().enumerate().filter(|(_, other)| **other == hash);
            return same.map(|(place, _)| place).find(is);
        }
        self.places.as_ref()?.get(&hash)?.iter().map(|place| *place as usize).find(is)
    }

    fn insert(&mut self, names: &Names, hour: i64, hash: u64) -> usize {
        let api_key = names.1;
        let names = names.0.join(&BETWEEN);
        let names = Text::new(std::str::from_utf8(&names).expect("names are ASCII"));
        if self.rows.len() < SEARCHED_MAX {
            // A workspace has a few rows and there are many workspaces: no room for rows that never come.
            self.rows.reserve_exact(1);
            self.hashes.reserve_exact(1);
        }
        self.rows.push(Row { hour, names, api_key, used: Used::default() });
        self.hashes.push(hash);
        let from = match self.rows.len() {
            few if few <= SEARCHED_MAX => few,
            // The first row too many brings all the earlier ones into the map with it.
            few if few == SEARCHED_MAX + 1 => 0,
            many => many - 1,
        };
        for place in from..self.rows.len() {
            let places = self.places.get_or_insert_default();
            places.entry(self.hashes[place]).or_default().push(place as u32);
        }
        self.rows.len() - 1
    }

    /// What has gathered, in the order it first appeared.
    #[must_use]
    pub fn rows(&self) -> Vec<(UsageKey, Used)> {
        self.rows.iter().map(|row| (row.key(), row.used)).collect()
    }

    /// The hash of the first row, for whoever wants the rows fetched before they are needed.
    #[must_use]
    pub fn first_hash(&self) -> u64 {
        self.hashes.first().copied().unwrap_or(0) ^ self.rows.first().map_or(0, |row| row.hour as u64)
    }

    /// Whether nothing has gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes what has gathered and begins anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<(UsageKey, Used)> {
        std::mem::take(self).rows()
    }

    /// The sum over all rows.
    #[must_use]
    pub fn total(&self) -> Used {
        let mut total = Used::default();
        for row in &self.rows {
            total.add(row.used);
        }
        total
    }
}

impl Row {
    fn key(&self) -> UsageKey {
        let mut names = self.names.as_str().split(char::from(BETWEEN));
        let mut name = || names.next().unwrap_or_default();
        let (operation, worker, member) = (name(), name(), name());
        let spender = Spender {
            operation: OperationId::known(operation),
            worker: (!worker.is_empty()).then(|| WorkerId::known(worker)),
            member: (!member.is_empty()).then(|| MemberId::known(member)),
            api_key: self.api_key,
        };
        UsageKey { hour: self.hour, spender }
    }
}
