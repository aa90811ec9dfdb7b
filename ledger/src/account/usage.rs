//! Usage rollups (P11): runs, quantity, charged and refunded per hour (UTC), operation, worker,
//! member and API key.
//!
//! They are counted from entries, so that they equal the sum of the entries they cover (i08). A
//! refund counts in the hour in which it happens, so that a past day never changes. An hour in
//! which a day of the workspace begins has two rows for one spender, so that a row belongs to one
//! day. The ledger has no calendar, so the engine says which part of its hour an entry counts in.
//! The engine takes the rows that were counted here and adds them to the stored ones. Reports are
//! not here.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;

use crate::text::Text;
use crate::{
    ApiKeyId, Entry, EntryBody, MemberId, MeterId, MeterQuantities, Micros, NameError, OperationId, Quantity,
    Settlement, Spender, Timestamp, WorkerId,
};

/// The minutes of an hour that a rollup covers: `begin <= minute < end`.
///
/// It is the whole hour, unless a day begins within the hour in the time zone that the workspace
/// had then. In such an hour one part ends at that minute and the other begins at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HourPart {
    /// The first minute.
    pub begin: u8,
    /// The minute after the last one.
    pub end: u8,
}

impl HourPart {
    /// All minutes of an hour.
    pub const WHOLE: HourPart = HourPart { begin: 0, end: 60 };

    /// The part from `begin` to `end`; `None` if no hour has it.
    #[must_use]
    pub fn new(begin: u8, end: u8) -> Option<HourPart> {
        (begin < end && end <= HourPart::WHOLE.end).then_some(HourPart { begin, end })
    }

    /// True if an instant lies in these minutes of its hour.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self == HourPart::WHOLE || (self.begin..self.end).contains(&at.minute())
    }
}

/// The time and the spender of a rollup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Whole hours since 1970 in UTC ([`Timestamp::hour`]).
    pub hour: i64,
    /// The minutes of the hour.
    pub part: HourPart,
    /// The operation, worker, member and API key. Reports add up over API keys, limits count each.
    pub spender: Spender,
    /// The meter of the operation, if the row counts only the units of one.
    pub meter: Option<MeterId>,
}

impl UsageKey {
    /// The first instant that the rollup covers.
    #[must_use]
    pub fn begin(&self) -> Timestamp {
        Timestamp::of_minute(self.hour, self.part.begin)
    }

    /// The operation and the meter in one text, as engines store it.
    #[must_use]
    pub fn operation_and_meter(&self) -> Cow<'_, str> {
        let operation = self.spender.operation.as_str();
        match &self.meter {
            None => operation.into(),
            Some(meter) => format!("{operation}{METER_SEPARATOR}{meter}").into(),
        }
    }

    /// The operation and the meter of such a text.
    ///
    /// # Errors
    /// [`NameError`] if one of them is no name.
    pub fn split_operation(text: &str) -> Result<(OperationId, Option<MeterId>), NameError> {
        match text.split_once(METER_SEPARATOR) {
            None => Ok((OperationId::new(text)?, None)),
            Some((operation, meter)) => Ok((OperationId::new(operation)?, Some(MeterId::new(meter)?))),
        }
    }

    /// The instant at which it ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        Timestamp::of_minute(self.hour, self.part.end)
    }
}

/// Stands between an operation and its meter; no name has it.
pub const METER_SEPARATOR: char = '/';

/// The sums of a rollup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSums {
    /// The number of charges that were opened.
    pub runs: i64,
    /// The number of units that they paid for. Those of meters are what was used, and are counted
    /// in the hour of the settlement, in a row for each meter.
    pub quantity: i64,
    /// The credit that they deducted.
    pub charged: Micros,
    /// The credit that was refunded in the hour.
    pub refunded: Micros,
}

impl UsageSums {
    /// Adds the sums of another rollup.
    ///
    /// # Panics
    /// If a sum leaves the range of an `i64`.
    pub fn add(&mut self, other: UsageSums) {
        self.runs += other.runs;
        self.quantity += other.quantity;
        self.charged += other.charged;
        self.refunded += other.refunded;
    }
}

/// Up to this number, rows are searched one by one. That is faster than a map, and most workspaces
/// have fewer.
const SEARCHED_MAX: usize = 32;

/// Indexes of rows by a hash that the map's own hasher makes of their content: SipHash with a key
/// that the standard library draws at random. The names in a row are a tenant's, and under a hash
/// without a key they could be chosen to collide, so that each charge compares with all rows.
/// The map is only looked up by key, so neither its order nor the random key matters.
#[expect(clippy::disallowed_types, reason = "never iterated over")]
type RowsByHash = std::collections::HashMap<u64, Vec<u32>>;

/// The rollups of one workspace since they were last taken.
///
/// A charge of a workspace that is not in the processor's cache waits for memory, not for
/// arithmetic. So a row is found by its hash in one array, and its names are stored in one piece.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// The hash of the names and the time of each row, in the order of `rows`.
    hashes: Vec<u64>,
    rows: Vec<Row>,
    /// Indexes in `rows` by another hash, once there are more than [`SEARCHED_MAX`]. Boxed, because
    /// most accounts have no map and a box is one word instead of six.
    indexes: Option<Box<RowsByHash>>,
}

#[derive(Clone, Debug)]
struct Row {
    time: RowTime,
    /// Operation, worker and member, separated by a byte that no name has; a name that is absent is
    /// empty.
    names: Text<ROW_NAMES_BYTES>,
    api_key: Option<ApiKeyId>,
    sums: UsageSums,
}

/// The hour of a row and the part of it, in one word: the hour, then eight bits each for the first
/// minute and the end. So a row stays small, and times compare as they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RowTime(i64);

impl RowTime {
    fn new(hour: i64, part: HourPart) -> RowTime {
        let time = RowTime(hour << 16 | i64::from(part.begin) << 8 | i64::from(part.end));
        assert!(time.hour() == hour, "an hour must fit beside its part");
        time
    }

    fn hour(self) -> i64 {
        self.0 >> 16
    }

    fn part(self) -> HourPart {
        let [end, begin, ..] = self.0.to_le_bytes();
        HourPart { begin, end }
    }
}

/// The three names of a row usually fit into this number of bytes.
const ROW_NAMES_BYTES: usize = 38;

/// Separates the names of a row.
const SEPARATOR: u8 = 0x1f;

/// The names of a spender, borrowed from the entry, so that counting allocates only for a new row.
#[derive(Clone, Copy)]
struct Names<'a> {
    /// Operation, worker and member; empty if absent.
    names: [&'a [u8]; 3],
    api_key: Option<ApiKeyId>,
}

impl<'a> Names<'a> {
    fn new(spender: &'a Spender) -> Names<'a> {
        let Spender { operation, worker, member, api_key } = spender;
        let worker = worker.as_ref().map_or(&[][..], WorkerId::as_bytes);
        let member = member.as_ref().map_or(&[][..], MemberId::as_bytes);
        Names { names: [operation.as_bytes(), worker, member], api_key: *api_key }
    }

    fn are_of(&self, row: &Row, time: RowTime) -> bool {
        let [operation, worker, member] = self.names;
        let names = row.names.as_bytes();
        let (first, second) = (operation.len(), operation.len() + 1 + worker.len());
        row.time == time
            && row.api_key == self.api_key
            && names.len() == second + 1 + member.len()
            && names[..first] == *operation
            && names[first] == SEPARATOR
            && names[first + 1..second] == *worker
            && names[second] == SEPARATOR
            && names[second + 1..] == *member
    }

    /// Mixes eight bytes at a time by multiplication, which is fast for short names. It is used
    /// for few rows only, so chosen names that collide cost at most [`SEARCHED_MAX`] comparisons.
    fn hash(&self, time: RowTime) -> u64 {
        let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut hash = mix(self.api_key.map_or(0, |key| key.0.rand_b()), time.0 as u64);
        for name in self.names {
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

/// The hash of a row's content under the key of the map.
fn keyed_hash<'a>(
    indexes: &RowsByHash,
    time: RowTime,
    api_key: Option<ApiKeyId>,
    names: impl IntoIterator<Item = &'a [u8]>,
) -> u64 {
    let mut hasher = indexes.hasher().build_hasher();
    (time, api_key).hash(&mut hasher);
    names.into_iter().for_each(|name| name.hash(&mut hasher));
    hasher.finish()
}

impl Usage {
    /// Counts what an entry charged, used of meters, or refunded. Other kinds of entries change
    /// nothing. `part`: the part of its hour that the rollup covers.
    ///
    /// # Panics
    /// If the entry was not decided in that part of its hour.
    pub fn record(&mut self, entry: &Entry, part: HourPart) {
        let time = RowTime::new(entry.decided_at.hour(), part);
        assert!(part.contains(entry.decided_at), "i08: a rollup must cover its entries");
        match &entry.body {
            EntryBody::ChargeOpened(details) => {
                let sums = self.sums_of(&Names::new(&details.spender), time);
                sums.runs += 1;
                sums.charged += details.amount;
                match &details.quantity {
                    Quantity::Units(units) => sums.quantity += units,
                    Quantity::Meters(quantities) if details.deadline.is_none() => {
                        self.record_meters(&details.spender, quantities, time);
                    }
                    Quantity::Meters(_) => {}
                }
            }
            EntryBody::ChargeSettled(Settlement { used: Some(used), .. }) => {
                self.record_meters(&used.spender, &used.quantities, time);
            }
            EntryBody::ChargeRefunded(refund) => {
                self.sums_of(&Names::new(&refund.spender), time).refunded += refund.amount;
            }
            _ => {}
        }
    }

    /// Counts units of meters, each in a row of its own that has no runs and no credit.
    fn record_meters(&mut self, spender: &Spender, quantities: &MeterQuantities, time: RowTime) {
        for (meter, units) in quantities.iter() {
            let operation = format!("{}{METER_SEPARATOR}{meter}", spender.operation);
            let mut names = Names::new(spender);
            names.names[0] = operation.as_bytes();
            self.sums_of(&names, time).quantity += units;
        }
    }

    fn sums_of(&mut self, names: &Names, time: RowTime) -> &mut UsageSums {
        let hash = names.hash(time);
        let index = match self.find(names, time, hash) {
            Some(index) => index,
            None => self.insert(names, time, hash),
        };
        &mut self.rows[index].sums
    }

    fn find(&self, names: &Names, time: RowTime, hash: u64) -> Option<usize> {
        assert!(self.hashes.len() == self.rows.len(), "every row must have its hash");
        let is_it = |index: &usize| names.are_of(&self.rows[*index], time);
        if self.rows.len() <= SEARCHED_MAX {
            let same = self.hashes.iter().enumerate().filter(|(_, other)| **other == hash);
            return same.map(|(index, _)| index).find(is_it);
        }
        let indexes = self.indexes.as_ref()?;
        let keyed = keyed_hash(indexes, time, names.api_key, names.names);
        indexes.get(&keyed)?.iter().map(|index| *index as usize).find(is_it)
    }

    fn insert(&mut self, names: &Names, time: RowTime, hash: u64) -> usize {
        let api_key = names.api_key;
        let names = names.names.join(&SEPARATOR);
        let names = Text::new(std::str::from_utf8(&names).expect("names are ASCII"));
        if self.rows.len() < SEARCHED_MAX {
            // A workspace has few rows, and there are many workspaces: no room in advance.
            self.rows.reserve_exact(1);
            self.hashes.reserve_exact(1);
        }
        self.rows.push(Row { time, names, api_key, sums: UsageSums::default() });
        self.hashes.push(hash);
        let from = match self.rows.len() {
            few if few <= SEARCHED_MAX => few,
            // The first row that is too many takes all the earlier ones into the map.
            few if few == SEARCHED_MAX + 1 => 0,
            many => many - 1,
        };
        for index in from..self.rows.len() {
            let indexes = self.indexes.get_or_insert_default();
            let Row { time, names, api_key, .. } = &self.rows[index];
            let names = names.as_bytes().split(|byte| *byte == SEPARATOR);
            let keyed = keyed_hash(indexes, *time, *api_key, names);
            indexes.entry(keyed).or_default().push(index as u32);
        }
        self.rows.len() - 1
    }

    /// The rows, in the order in which they first appeared.
    #[must_use]
    pub fn rows(&self) -> Vec<(UsageKey, UsageSums)> {
        self.rows.iter().map(|row| (row.key(), row.sums)).collect()
    }

    /// The rows of a range of hours, in the order in which they first appeared.
    #[must_use]
    pub fn rows_in(&self, hours: &Range<i64>) -> Vec<(UsageKey, UsageSums)> {
        let rows = self.rows.iter().filter(|row| hours.contains(&row.time.hour()));
        rows.map(|row| (row.key(), row.sums)).collect()
    }

    /// Where the earliest row begins.
    #[must_use]
    pub fn begin(&self) -> Option<Timestamp> {
        let earliest = self.rows.iter().map(|row| row.time).min()?;
        Some(Timestamp::of_minute(earliest.hour(), earliest.part().begin))
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// A number that depends on the first row. An engine reads it to load the rows into the
    /// processor's cache before they are needed.
    #[must_use]
    pub fn first_hash(&self) -> u64 {
        self.hashes.first().copied().unwrap_or(0) ^ self.rows.first().map_or(0, |row| row.time.0 as u64)
    }

    /// True if there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the rows and begins without any.
    #[must_use]
    pub fn take(&mut self) -> Vec<(UsageKey, UsageSums)> {
        std::mem::take(self).rows()
    }

    /// The sum over all rows.
    #[must_use]
    pub fn total(&self) -> UsageSums {
        let mut total = UsageSums::default();
        for row in &self.rows {
            total.add(row.sums);
        }
        assert!(
            total.refunded >= Micros::ZERO && total.charged >= Micros::ZERO,
            "i08: usage must not be negative"
        );
        total
    }
}

impl Row {
    /// The time and the spender, from the names in one piece.
    fn key(&self) -> UsageKey {
        let mut names = self.names.as_str().split(char::from(SEPARATOR));
        let mut name = || names.next().unwrap_or_default();
        let (operation, worker, member) = (name(), name(), name());
        assert!(names.next().is_none(), "a row must have three names");
        let (operation, meter) = match operation.split_once(METER_SEPARATOR) {
            None => (operation, None),
            Some((operation, meter)) => (operation, Some(MeterId::known(meter))),
        };
        let spender = Spender {
            operation: OperationId::known(operation),
            worker: (!worker.is_empty()).then(|| WorkerId::known(worker)),
            member: (!member.is_empty()).then(|| MemberId::known(member)),
            api_key: self.api_key,
        };
        UsageKey { hour: self.time.hour(), part: self.time.part(), spender, meter }
    }
}
