//! Usage rollups (P11): runs, quantity, charged and refunded per hour (UTC), operation, worker and member.
//!
//! Counted from entries, one after the other, so that they equal the sum of what they cover (i08). A refund counts in
//! the hour it happens, so that a closed day never changes. An engine takes what has gathered here and adds it to what
//! it keeps. Reports are not here.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::{Body, Entry, MemberId, Micros, OperationId, WorkerId};

/// What a rollup is counted under.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// Whole hours since 1970 in UTC.
    pub hour: i64,
    /// What ran.
    pub operation: OperationId,
    /// Which worker ran it.
    pub worker: Option<WorkerId>,
    /// For which person.
    pub member: Option<MemberId>,
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

/// Few rollups are searched one by one, which is faster than hashing and what most workspaces ever need.
const SEARCHED_MAX: usize = 8;

/// The rollups of one workspace that gathered since they were last taken.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    rows: Vec<(UsageKey, Used)>,
    /// Places in `rows` by hash of the key, once there are more than [`SEARCHED_MAX`].
    places: HashMap<u64, Vec<u32>>,
}

/// A key that borrows its names from the entry, so that counting allocates only for a new row.
#[derive(Clone, Copy)]
struct Row<'a> {
    hour: i64,
    operation: &'a OperationId,
    worker: Option<&'a WorkerId>,
    member: Option<&'a MemberId>,
}

impl Row<'_> {
    fn is(&self, key: &UsageKey) -> bool {
        self.hour == key.hour
            && self.operation == &key.operation
            && self.worker == key.worker.as_ref()
            && self.member == key.member.as_ref()
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.hour, self.operation, self.worker, self.member).hash(&mut hasher);
        hasher.finish()
    }
}

impl Usage {
    /// Counts what an entry charged or refunded; other kinds of entries use nothing.
    pub fn record(&mut self, entry: &Entry) {
        let hour = entry.at.hour();
        match &entry.body {
            Body::ChargeOpened(opening) => {
                let row = Row {
                    hour,
                    operation: &opening.operation,
                    worker: opening.worker.as_ref(),
                    member: opening.member.as_ref(),
                };
                let used = self.used(row);
                used.runs += 1;
                used.quantity += opening.quantity;
                used.charged += opening.amount;
            }
            Body::ChargeRefunded(refund) => {
                let row = Row {
                    hour,
                    operation: &refund.operation,
                    worker: refund.worker.as_ref(),
                    member: refund.member.as_ref(),
                };
                self.used(row).refunded += refund.amount;
            }
            _ => {}
        }
    }

    fn used(&mut self, row: Row) -> &mut Used {
        let place = match self.place(row) {
            Some(place) => place,
            None => self.insert(row),
        };
        &mut self.rows[place].1
    }

    fn place(&self, row: Row) -> Option<usize> {
        if self.rows.len() <= SEARCHED_MAX {
            return self.rows.iter().position(|(key, _)| row.is(key));
        }
        let places = self.places.get(&row.hash())?;
        places.iter().map(|place| *place as usize).find(|place| row.is(&self.rows[*place].0))
    }

    fn insert(&mut self, row: Row) -> usize {
        let key = UsageKey {
            hour: row.hour,
            operation: row.operation.clone(),
            worker: row.worker.cloned(),
            member: row.member.cloned(),
        };
        self.rows.push((key, Used::default()));
        let from = match self.rows.len() {
            short if short <= SEARCHED_MAX => return short - 1,
            // The first row too many brings all the earlier ones into the map with it.
            short if short == SEARCHED_MAX + 1 => 0,
            long => long - 1,
        };
        for place in from..self.rows.len() {
            let (key, _) = &self.rows[place];
            let row = Row {
                hour: key.hour,
                operation: &key.operation,
                worker: key.worker.as_ref(),
                member: key.member.as_ref(),
            };
            self.places.entry(row.hash()).or_default().push(place as u32);
        }
        self.rows.len() - 1
    }

    /// What has gathered, in the order it first appeared.
    #[must_use]
    pub fn rows(&self) -> &[(UsageKey, Used)] {
        &self.rows
    }

    /// Whether nothing has gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes what has gathered and begins anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<(UsageKey, Used)> {
        self.places = HashMap::new();
        std::mem::take(&mut self.rows)
    }

    /// The sum over all rows.
    #[must_use]
    pub fn total(&self) -> Used {
        let mut total = Used::default();
        for (_, used) in &self.rows {
            total.add(*used);
        }
        total
    }
}
