//! The rows of the state file and their checksums.
//!
//! Nothing that is read from the state file is believed unchecked. Each row carries a CRC-32 of its
//! table and of all its columns. A row that is missing is found as well, because another row names
//! it: an account names its team, its newest grant and its last hour; a grant names the grant
//! before it, an hour names the hour before it and the sum of its usage.
//!
//! Usage rows are added to and never read back by the checkpointer. So their checksum is linear:
//! the checksum of a sum is the sum of the checksums, and damage stays visible however often a row
//! is added to. The same sum over all rows of an hour is in the row of the hour, and over all rows
//! of an account in the row of the account.
//!
//! Not here: the tables and their queries (`state_db`, `state_lists`), the writes (`checkpointer`).

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use tollkeeper_ledger::{Timestamp, UsageKey, UsageSums};

use super::key_index::RunHead;

/// The checksum of a row while its columns are added.
pub(crate) struct RowCrc(crc32fast::Hasher);

impl RowCrc {
    /// The checksum of a row of this table without columns.
    pub(crate) fn of(table: &str) -> RowCrc {
        RowCrc(crc32fast::Hasher::new()).bytes(table.as_bytes())
    }

    /// Adds a number.
    pub(crate) fn number(mut self, value: i64) -> RowCrc {
        self.0.update(&value.to_le_bytes());
        self
    }

    /// Adds a number that may be absent.
    pub(crate) fn optional(self, value: Option<i64>) -> RowCrc {
        self.number(i64::from(value.is_some())).number(value.unwrap_or(0))
    }

    /// Adds bytes and their number.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> RowCrc {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The checksum, as it is stored.
    pub(crate) fn finish(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

/// What the row of an account says about the account's other rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Linked {
    /// The checksum of the row of its team; `None` if there is no such row.
    pub team: Option<i64>,
    /// The checksum of the row of its payments; `None` if there is no such row.
    pub payments: Option<i64>,
    /// The number of its newest grant; 0 if it has none.
    pub newest_lot: u64,
    /// The last hour in which it has entries.
    pub last_hour: Option<LastHour>,
    /// The linear checksum of all its usage.
    pub usage: i64,
    /// True if usage was ever counted in another hour than its entry has, because a clock was
    /// ahead. Then the sums of hours do not hold all of it, and only the sum of all is compared.
    pub has_displaced_usage: bool,
}

/// The last hour in which an account has entries, without the sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastHour {
    /// Whole hours since 1970.
    pub hour: i64,
    /// The hour with entries before it, if any.
    pub before: Option<i64>,
    /// The linear checksum of all usage in the hour.
    pub usage: i64,
}

/// A row of the account table.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub account_index: u32,
    /// The workspace id.
    pub id: Box<str>,
    /// The sequence number of the account's last entry.
    pub head: u64,
    /// The number of that entry in its workspace.
    pub n: u64,
    /// The encoded account, without its team and payments.
    pub data: Vec<u8>,
    pub linked: Linked,
}

impl AccountRow {
    pub(crate) fn crc(&self) -> i64 {
        account_crc((self.account_index, self.id.as_bytes()), (self.head, self.n), &self.data, &self.linked)
    }
}

/// The checksum of a row of the account table.
pub(crate) fn account_crc(
    (account_index, id): (u32, &[u8]),
    (head, n): (u64, u64),
    data: &[u8],
    linked: &Linked,
) -> i64 {
    let Linked { team, payments, newest_lot, last_hour, usage, has_displaced_usage } = linked;
    RowCrc::of("account")
        .number(i64::from(account_index))
        .bytes(id)
        .number(head as i64)
        .number(n as i64)
        .bytes(data)
        .optional(*team)
        .number(*newest_lot as i64)
        .optional(last_hour.map(|last| last.hour))
        .optional(last_hour.and_then(|last| last.before))
        .optional(last_hour.map(|last| last.usage))
        .number(*usage)
        .number(i64::from(*has_displaced_usage))
        .optional(*payments)
        .finish()
}

/// A part of an account that is stored in a table of its own, because no charge writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Team,
    Payments,
}

impl Part {
    /// The name of its table.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Part::Team => "team",
            Part::Payments => "payments",
        }
    }

    /// The checksum of a row of its table.
    pub(crate) fn crc(self, account_index: u32, data: &[u8]) -> i64 {
        RowCrc::of(self.table()).number(i64::from(account_index)).bytes(data).finish()
    }
}

/// A row of the table of grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LotRow {
    pub account_index: u32,
    /// The number of the `Granted` entry in its workspace.
    pub n: u64,
    /// The sequence number of that entry.
    pub seq: u64,
    /// The number of the grant before it in its workspace; 0 if it is the first.
    pub before: u64,
    /// The encoded grant.
    pub data: Vec<u8>,
}

impl LotRow {
    pub(crate) fn crc(&self) -> i64 {
        RowCrc::of("lot")
            .number(i64::from(self.account_index))
            .number(self.n as i64)
            .number(self.seq as i64)
            .number(self.before as i64)
            .bytes(&self.data)
            .finish()
    }
}

/// A row of the table of hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HourRow {
    pub account_index: u32,
    pub last: LastHour,
    /// The sequence number of the account's last entry in the hour.
    pub seq: u64,
}

impl HourRow {
    pub(crate) fn crc(&self) -> i64 {
        RowCrc::of("hour")
            .number(i64::from(self.account_index))
            .number(self.last.hour)
            .number(self.seq as i64)
            .optional(self.last.before)
            .number(self.last.usage)
            .finish()
    }
}

/// What waits for a time: the subject of a row of the table `pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Awaits {
    /// A pending charge, by the sequence number of the entry that opened it.
    Charge(u64),
    /// The payments of an account.
    Payments,
}

impl Awaits {
    /// The key of its row. Sequence numbers are positive, so other keys are free for payments.
    pub(crate) fn key(self, account_index: u32) -> i64 {
        match self {
            Awaits::Charge(opening_seq) => opening_seq as i64,
            Awaits::Payments => -i64::from(account_index),
        }
    }

    /// What the row with this key is about.
    pub(crate) fn of_key(key: i64) -> Awaits {
        u64::try_from(key).map_or(Awaits::Payments, Awaits::Charge)
    }
}

/// The checksum of a row of the table `pending`.
pub(crate) fn pending_crc(key: i64, account_index: u32, deadline: Timestamp) -> i64 {
    let crc = RowCrc::of("pending").number(key);
    crc.number(i64::from(account_index)).number(deadline.millis()).finish()
}

/// The checksum of a run: its description and its fences. `fences`: the stored bytes.
pub(crate) fn run_crc(head: &RunHead, fences: &[u8]) -> i64 {
    RowCrc::of("run")
        .number(head.id)
        .number(i64::from(head.tier))
        .number(head.covers.first as i64)
        .number(head.covers.last as i64)
        .number(head.pairs as i64)
        .number(head.pages as i64)
        .bytes(fences)
        .finish()
}

/// The checksum of a part of a run's filter.
pub(crate) fn filter_crc(run: i64, part: usize, data: &[u8]) -> i64 {
    RowCrc::of("run_filter").number(run).number(part as i64).bytes(data).finish()
}

/// The checksum of a page of a run.
pub(crate) fn page_crc(run: i64, page: usize, data: &[u8]) -> i64 {
    RowCrc::of("run_page").number(run).number(page as i64).bytes(data).finish()
}

/// Linear checksums are numbers below this prime, so that no change of one bit is a multiple of it.
pub(crate) const USAGE_MODULUS: i64 = (1 << 61) - 1;

const MODULUS: u64 = USAGE_MODULUS as u64;

/// The linear checksum of usage: the sums, each times a number that depends on the key. The
/// checksum of two sums that are added is the sum of theirs, modulo [`USAGE_MODULUS`].
pub(crate) fn usage_crc(account_index: u32, key: &UsageKey, sums: UsageSums) -> i64 {
    let mut hasher = SipHasher13::new_with_keys(0x746f_6c6c_6b65_6570, 0x7573_6167_6520_726f);
    hasher.write_u32(account_index);
    hasher.write_i64(key.hour);
    hasher.write(&[key.part.begin, key.part.end]);
    let spender = &key.spender;
    let worker = spender.worker.as_ref().map_or(&[][..], |worker| worker.as_bytes());
    let member = spender.member.as_ref().map_or(&[][..], |member| member.as_bytes());
    for name in [key.operation_and_meter().as_bytes(), worker, member] {
        hasher.write_u8(name.len() as u8);
        hasher.write(name);
    }
    hasher.write(&spender.api_key.map_or([0; 16], |key| key.0.to_bytes()));
    let mut state = hasher.finish();
    let mut sum = 0;
    for value in [sums.runs, sums.quantity, sums.charged.get(), sums.refunded.get()] {
        // A step of SplitMix64 makes the next factor; it is never zero.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let factor = mixed % (MODULUS - 1) + 1;
        let value = value.rem_euclid(USAGE_MODULUS) as u64;
        sum += folded(u128::from(factor) * u128::from(value));
    }
    let sum = u64::try_from(folded(sum)).expect("four numbers below 2^62 are folded to one");
    (sum % MODULUS) as i64
}

/// A number below 2^62 that equals `value` modulo [`USAGE_MODULUS`], for a value below 2^122: as
/// the modulus is 2^61 - 1, the upper bits are added to the lower ones.
fn folded(value: u128) -> u128 {
    (value & u128::from(MODULUS)) + (value >> 61)
}

/// The sum of two linear checksums.
pub(crate) fn usage_crc_sum(one: i64, other: i64) -> i64 {
    assert!(
        (0..USAGE_MODULUS).contains(&one) && (0..USAGE_MODULUS).contains(&other),
        "a linear checksum is below its modulus"
    );
    (one + other) % USAGE_MODULUS
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{HourPart, Micros, OperationId, Spender};

    use super::*;

    fn key(hour: i64) -> UsageKey {
        let operation = OperationId::new("message").expect("an allowed name");
        let spender = Spender { operation, worker: None, member: None, api_key: None };
        UsageKey { hour, part: HourPart::WHOLE, spender, meter: None }
    }

    fn sums(runs: i64, charged: i64) -> UsageSums {
        let (charged, refunded) = (Micros::new(charged), Micros::new(7));
        UsageSums { runs, quantity: runs, charged, refunded }
    }

    #[test]
    fn the_checksum_of_added_usage_is_the_sum_of_the_checksums() {
        let (one, other) = (sums(1, 500), sums(9_000_000, 4_500_000_000_000_000));
        let mut both = one;
        both.add(other);
        let added = usage_crc_sum(usage_crc(3, &key(7), one), usage_crc(3, &key(7), other));
        assert_eq!(added, usage_crc(3, &key(7), both));
    }

    #[test]
    fn every_flipped_bit_of_usage_changes_its_checksum() {
        let whole = usage_crc(3, &key(7), sums(5, 500));
        for bit in 0..62 {
            let flipped = [sums(5 ^ (1 << bit), 500), sums(5, 500 ^ (1 << bit))];
            assert!(flipped.iter().all(|sums| usage_crc(3, &key(7), *sums) != whole), "bit {bit}");
        }
        assert_ne!(usage_crc(3, &key(6), sums(5, 500)), whole);
        assert_ne!(usage_crc(2, &key(7), sums(5, 500)), whole);
        let part = HourPart { begin: 15, ..HourPart::WHOLE };
        assert_ne!(usage_crc(3, &UsageKey { part, ..key(7) }, sums(5, 500)), whole);
    }
}
