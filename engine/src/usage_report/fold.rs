//! Adds up rows of usage by slot and spender.
//!
//! Rows may be millions, and come from several places. So a row is taken by reference: its names
//! become numbers at their first use, and a group is found by five numbers. No text is copied for
//! a row whose names were seen before.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use hashbrown::HashMap;
use tollkeeper_ledger::{
    ApiKeyId, Entry, HourPart, METER_SEPARATOR, MemberId, MeterId, OperationId, Spender, Timestamp, Usage,
    UsageKey, UsageSums, WorkerId,
};

use super::request::{GroupBy, USAGE_ROWS_MAX, UsageFilter, UsageRequest};
use super::{Slots, UsageAnswer, UsageGroup, UsageRefusal, UsageReport};
use crate::Error;

/// The most groups that a fold holds. A period that begins within an hour has up to three slots, so
/// that a group of the answer may be three here.
pub(crate) const GROUPS_MAX: usize = 3 * USAGE_ROWS_MAX;

/// The most hours that are divided for another time zone than the workspace's: those of a month,
/// and the ends of the range.
const UNDIVIDED_HOURS_MAX: usize = 33;

/// The most entries that are read to divide hours.
pub(crate) const ENTRIES_MAX: usize = 100_000;

/// The names of a row, borrowed from where it is stored. A name that is absent is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    pub operation: &'a str,
    pub meter: &'a str,
    pub worker: &'a str,
    pub member: &'a str,
    pub api_key: Option<ApiKeyId>,
}

impl<'a> Names<'a> {
    /// The names of a key.
    pub(crate) fn of(key: &'a UsageKey) -> Names<'a> {
        let spender = &key.spender;
        Names {
            operation: spender.operation.as_str(),
            meter: key.meter.as_ref().map_or("", MeterId::as_str),
            worker: spender.worker.as_ref().map_or("", WorkerId::as_str),
            member: spender.member.as_ref().map_or("", MemberId::as_str),
            api_key: spender.api_key,
        }
    }

    /// The names as they are stored: the operation with its meter, the worker and the member.
    pub(crate) fn read([operation, worker, member]: [&'a str; 3], api_key: Option<ApiKeyId>) -> Names<'a> {
        let (operation, meter) = operation.split_once(METER_SEPARATOR).unwrap_or((operation, ""));
        Names { operation, meter, worker, member, api_key }
    }

    /// The key of a row with these names; `None` if one is none.
    pub(crate) fn key(&self, hour: i64, part: HourPart) -> Option<UsageKey> {
        let optional = |name: &'a str| (!name.is_empty()).then_some(name);
        let spender = Spender {
            operation: OperationId::new(self.operation).ok()?,
            worker: optional(self.worker).map(WorkerId::new).transpose().ok()?,
            member: optional(self.member).map(MemberId::new).transpose().ok()?,
            api_key: self.api_key,
        };
        let meter = optional(self.meter).map(MeterId::new).transpose().ok()?;
        Some(UsageKey { hour, part, spender, meter })
    }
}

/// Distinct values in the order of their first use, each with its number.
#[derive(Debug)]
struct Numbered<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Ord + std::hash::Hash> Numbered<T> {
    fn number<Q>(&mut self, value: &Q, own: impl FnOnce(&Q) -> T) -> u32
    where
        Q: ?Sized + std::hash::Hash + hashbrown::Equivalent<T>,
    {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = self.values.len() as u32;
        let value = own(value);
        self.numbers.insert(value.clone(), number);
        self.values.push(value);
        number
    }

    /// For each number, the place of its value among all values in order.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.values.len() as u32).collect();
        order.sort_unstable_by_key(|number| &self.values[*number as usize]);
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        ranks
    }
}

/// A group: the slot, and the numbers of operation, worker, member, API key and meter, each 0 if
/// rows are not grouped by it.
type GroupKey = [u32; 6];

/// What one entry used: when it was decided, for whom, and how much.
pub(crate) type Used = (Timestamp, UsageKey, UsageSums);

/// What an entry used, in the rows in which it is counted; none for other entries.
pub(crate) fn used_by(entry: &Entry) -> Vec<Used> {
    let mut usage = Usage::default();
    usage.record(entry, HourPart::WHOLE);
    usage.rows().into_iter().map(|(key, sums)| (entry.decided_at, key, sums)).collect()
}

/// The sums of a report so far.
#[derive(Debug)]
pub(crate) struct Fold<'a> {
    slots: &'a Slots,
    group_by: GroupBy,
    filter: &'a UsageFilter,
    operations: Numbered<Box<str>>,
    workers: Numbered<Box<str>>,
    members: Numbered<Box<str>>,
    api_keys: Numbered<Option<ApiKeyId>>,
    meters: Numbered<Box<str>>,
    groups: HashMap<GroupKey, UsageSums>,
    /// The sums of rows that cover more than one slot, under the first of them.
    across: HashMap<GroupKey, UsageSums>,
    /// True once there are more groups than are held. The sums are not complete then.
    has_too_many: bool,
}

impl<'a> Fold<'a> {
    /// A fold without rows.
    pub(crate) fn new(slots: &'a Slots, request: &'a UsageRequest) -> Fold<'a> {
        Fold {
            slots,
            group_by: request.group_by,
            filter: &request.filter,
            operations: Numbered::default(),
            workers: Numbered::default(),
            members: Numbered::default(),
            api_keys: Numbered::default(),
            meters: Numbered::default(),
            groups: HashMap::new(),
            across: HashMap::new(),
            has_too_many: false,
        }
    }

    /// Adds a stored row, if it is in an hour of the range and the filter admits its names.
    pub(crate) fn add_row(&mut self, key: &UsageKey, sums: UsageSums) {
        let names = Names::of(key);
        let last = Timestamp::from_millis(key.end().millis() - 1);
        if self.admits(&names)
            && let (Some(first), Some(last)) = (self.slots.slot_of(key.begin()), self.slots.slot_of(last))
        {
            self.add(first..=last, names, sums);
        }
    }

    /// Adds a sum of rows that the filter admits and that cover these slots.
    pub(crate) fn add(&mut self, slots: RangeInclusive<usize>, names: Names, sums: UsageSums) {
        let key = self.key(*slots.start(), names);
        let is_across = slots.start() != slots.end();
        let groups = if is_across { &mut self.across } else { &mut self.groups };
        if groups.len() >= GROUPS_MAX && !groups.contains_key(&key) {
            self.has_too_many = true;
            return;
        }
        groups.entry(key).or_default().add(sums);
    }

    /// The key of the group of these names in a slot.
    fn key(&mut self, slot: usize, names: Names) -> GroupKey {
        let Names { operation, meter, worker, member, api_key } = names;
        let by = self.group_by;
        let own = |name: &str| name.into();
        [
            slot as u32,
            if by.operation { self.operations.number(operation, own) } else { 0 },
            if by.worker { self.workers.number(worker, own) } else { 0 },
            if by.member { self.members.number(member, own) } else { 0 },
            if by.api_key { self.api_keys.number(&api_key, |key| *key) } else { 0 },
            if by.meter { self.meters.number(meter, own) } else { 0 },
        ]
    }

    /// The hours of which some row covers more than one slot, in a workspace with this time zone.
    /// They were counted whole, because the workspace has or had another time zone than the report.
    /// How their use divides is in the journal.
    ///
    /// # Errors
    /// There are too many of another time zone.
    pub(crate) fn undivided_hours(&self, workspace: &str) -> Result<BTreeSet<i64>, UsageRefusal> {
        let hours: BTreeSet<i64> = self.across.keys().map(|key| self.slots.hour(key[0] as usize)).collect();
        let is_other = *self.slots.timezone != *workspace;
        if is_other && hours.len() > UNDIVIDED_HOURS_MAX {
            Err(self.not_counted(workspace))
        } else {
            Ok(hours)
        }
    }

    /// Why hours cannot be divided: the journal has too much of them.
    pub(crate) fn not_counted(&self, workspace: &str) -> UsageRefusal {
        UsageRefusal::NotCounted { workspace: workspace.into() }
    }

    /// Divides the use of an hour by what its entries used. Returns false and changes nothing if
    /// they are not what was counted in the hour.
    pub(crate) fn divide(&mut self, hour: i64, used: &[Used]) -> bool {
        let used: Vec<&Used> = used.iter().filter(|(_, key, _)| self.admits(&Names::of(key))).collect();
        let sum = |all: &mut dyn Iterator<Item = UsageSums>| {
            let mut sum = UsageSums::default();
            all.for_each(|sums| sum.add(sums));
            sum
        };
        let slots = self.slots;
        let is_of_hour = |key: &GroupKey| slots.hour(key[0] as usize) == hour;
        let rows = self.groups.iter().chain(&self.across).filter(|(key, _)| is_of_hour(key));
        let counted = sum(&mut rows.map(|(_, sums)| *sums));
        if counted != sum(&mut used.iter().map(|(_, _, sums)| *sums)) {
            return false;
        }
        self.groups.retain(|key, _| !is_of_hour(key));
        self.across.retain(|key, _| !is_of_hour(key));
        for (at, key, sums) in used {
            let slot = self.slots.slot_of(*at).expect("what was used in the hour is in one of its slots");
            self.add(slot..=slot, Names::of(key), *sums);
        }
        true
    }

    /// True if the filter admits the names.
    pub(crate) fn admits(&self, names: &Names) -> bool {
        let UsageFilter { operation, worker, member, api_key } = self.filter;
        let fits = |required: Option<&str>, name: &str| required.is_none_or(|required| required == name);
        fits(operation.required("", OperationId::as_str), names.operation)
            && fits(worker.required("", WorkerId::as_str), names.worker)
            && fits(member.required("", MemberId::as_str), names.member)
            && api_key.required(None, |key| Some(*key)).is_none_or(|required| required == names.api_key)
    }

    /// The answer: the sums by period instead of slot, in order. A row that still covers more than
    /// one slot counts in the first.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if a name is none.
    pub(crate) fn finish(mut self) -> Result<UsageAnswer, Error> {
        for (key, sums) in std::mem::take(&mut self.across) {
            self.groups.entry(key).or_default().add(sums);
        }
        if self.has_too_many {
            return Ok(Err(UsageRefusal::TooManyRows));
        }
        let ranks = [
            self.operations.ranks(),
            self.workers.ranks(),
            self.members.ranks(),
            self.api_keys.ranks(),
            self.meters.ranks(),
        ];
        let rank = |key: &GroupKey, column: usize| {
            ranks[column].get(key[column + 1] as usize).copied().unwrap_or_default()
        };
        let mut groups: Vec<_> = self
            .groups
            .iter()
            .filter_map(|(key, sums)| {
                let time = self.slots.period(key[0] as usize)?;
                Some((time, [0, 1, 2, 3, 4].map(|column| rank(key, column)), key, sums))
            })
            .collect();
        groups.sort_unstable_by_key(|(time, ranks, key, _)| (*time, *ranks, key[0]));
        let mut report: UsageReport = self.slots.empty_report();
        let mut last = None;
        for (time, ranks, key, sums) in groups {
            report.total.add(*sums);
            match report.rows.last_mut() {
                Some((_, of_period)) if last == Some((time, ranks)) => of_period.add(*sums),
                _ => report.rows.push((self.group(time, key)?, *sums)),
            }
            last = Some((time, ranks));
        }
        if report.rows.len() > USAGE_ROWS_MAX {
            return Ok(Err(UsageRefusal::TooManyRows));
        }
        Ok(Ok(report))
    }

    /// The keys of a group.
    fn group(&self, time: Timestamp, key: &GroupKey) -> Result<UsageGroup, Error> {
        let malformed = |_| Error::damaged("a row of usage holds a malformed name");
        let name = |names: &Numbered<Box<str>>, number: u32| {
            names.values.get(number as usize).filter(|name| !name.is_empty()).cloned()
        };
        let [_, operation, worker, member, api_key, meter] = *key;
        Ok(UsageGroup {
            time: self.group_by.time.map(|_| time),
            operation: name(&self.operations, operation)
                .map(OperationId::new)
                .transpose()
                .map_err(malformed)?,
            worker: name(&self.workers, worker).map(WorkerId::new).transpose().map_err(malformed)?,
            member: name(&self.members, member).map(MemberId::new).transpose().map_err(malformed)?,
            api_key: self.api_keys.values.get(api_key as usize).copied().flatten(),
            meter: name(&self.meters, meter).map(MeterId::new).transpose().map_err(malformed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::Micros;

    use super::*;
    use crate::usage_report::{Named, TimeStep};

    /// The hour at which 2026 begins. In 1970, days of Kathmandu began at another minute.
    const FIRST: i64 = 490_896;

    /// A key in an hour that is counted from the beginning of 2026.
    fn key(hour: i64, operation: &str, worker: &str) -> UsageKey {
        let operation = OperationId::new(operation).expect("an allowed name");
        let worker = WorkerId::new(worker).ok();
        let part = HourPart::WHOLE;
        UsageKey {
            hour: FIRST + hour,
            part,
            spender: Spender { operation, worker, member: None, api_key: None },
            meter: None,
        }
    }

    fn sums(charged: i64) -> UsageSums {
        UsageSums { runs: 1, quantity: 1, charged: Micros::new(charged), refunded: Micros::ZERO }
    }

    fn request(group_by: GroupBy) -> UsageRequest {
        let [from, to] = [0, 48].map(|hour| Timestamp::from_millis((FIRST + hour) * 3_600_000));
        UsageRequest { from, to, timezone: None, group_by, filter: UsageFilter::default() }
    }

    fn fold_all(request: &UsageRequest, rows: &[(UsageKey, UsageSums)]) -> UsageAnswer {
        let slots = Slots::of(request, "Asia/Kathmandu").expect("the range is right");
        let mut fold = Fold::new(&slots, request);
        rows.iter().for_each(|(key, sums)| fold.add_row(key, *sums));
        fold.finish().expect("the names are right")
    }

    /// The text of the rows: operation, worker and what was charged.
    fn text(answer: &UsageAnswer) -> Vec<String> {
        let report = answer.as_ref().expect("there is an answer");
        let row = |(group, sums): &(UsageGroup, UsageSums)| {
            let operation = group.operation.as_ref().map_or("-", OperationId::as_str);
            let worker = group.worker.as_ref().map_or("-", WorkerId::as_str);
            format!("{operation} {worker} {}", sums.charged)
        };
        report.rows.iter().map(row).collect()
    }

    #[test]
    fn rows_are_added_up_and_sorted_with_absent_names_first() {
        let rows = [
            (key(5, "b", "w2"), sums(1)),
            (key(1, "b", ""), sums(10)),
            (key(9, "a", "w1"), sums(100)),
            (key(1, "b", "w2"), sums(1_000)),
            (key(60, "a", "w1"), sums(7)),
        ];
        let by = |operation, worker| request(GroupBy { operation, worker, ..GroupBy::default() });
        let all = fold_all(&by(true, true), &rows);
        assert_eq!(text(&all), ["a w1 100", "b - 10", "b w2 1001"]);
        assert_eq!(all.map(|report| report.total.charged), Ok(Micros::new(1_111)));
        assert_eq!(text(&fold_all(&by(false, true), &rows)), ["- - 10", "- w1 100", "- w2 1001"]);
        assert_eq!(text(&fold_all(&by(false, false), &rows)), ["- - 1111"]);
        assert_eq!(text(&fold_all(&by(true, true), &[])), [""; 0]);
    }

    /// A row of the part of hour 18 from a minute to another.
    fn part_of_18([begin, end]: [u8; 2], charged: i64) -> (UsageKey, UsageSums) {
        let part = HourPart::new(begin, end).expect("it is a part");
        (UsageKey { part, ..key(18, "a", "") }, sums(charged))
    }

    #[test]
    fn the_pieces_of_a_day_are_one_row() {
        // A day of Kathmandu begins at 18:15, so hour 18 is divided and hour 19 comes after it.
        let days = request(GroupBy { time: Some(TimeStep::Day), ..GroupBy::default() });
        let around = [(key(17, "a", ""), sums(1)), (key(19, "a", ""), sums(4))];
        let divided = [part_of_18([0, 15], 10), part_of_18([15, 60], 100)];
        assert_eq!(text(&fold_all(&days, &[&around[..], &divided].concat())), ["- - 11", "- - 104"]);
        let whole = [part_of_18([0, 60], 2)];
        assert_eq!(text(&fold_all(&days, &[&around[..], &whole].concat())), ["- - 3", "- - 4"]);
        let of_another_zone = [part_of_18([0, 30], 10), part_of_18([30, 60], 100)];
        assert_eq!(text(&fold_all(&days, &[&around[..], &of_another_zone].concat())), ["- - 11", "- - 104"]);
    }

    #[test]
    fn an_hour_is_divided_by_its_entries_if_they_are_what_it_counted() {
        let days = request(GroupBy { time: Some(TimeStep::Day), ..GroupBy::default() });
        let slots = Slots::of(&days, "Asia/Kathmandu").expect("the range is right");
        let divided = |used: &[(i64, i64)]| {
            let mut fold = Fold::new(&slots, &days);
            let rows = [(key(17, "a", ""), sums(1)), part_of_18([0, 30], 20), part_of_18([30, 60], 300)];
            rows.iter().for_each(|(key, sums)| fold.add_row(key, *sums));
            let undivided = fold.undivided_hours("Asia/Kathmandu").expect("there are few");
            assert_eq!(undivided.into_iter().collect::<Vec<_>>(), [FIRST + 18]);
            let entry = |(minute, charged): &(i64, i64)| {
                let at = Timestamp::from_millis(((FIRST + 18) * 60 + minute) * 60_000);
                (at, key(18, "a", ""), sums(*charged))
            };
            let used: Vec<Used> = used.iter().map(entry).collect();
            (fold.divide(FIRST + 18, &used), text(&fold.finish().expect("the names are right")))
        };
        let texts = |all: [&str; 2]| all.map(str::to_owned).to_vec();
        assert_eq!(divided(&[(14, 7), (15, 313)]), (true, texts(["- - 8", "- - 313"])));
        assert_eq!(divided(&[(14, 7), (15, 13)]), (false, texts(["- - 21", "- - 300"])));
        assert_eq!(divided(&[]), (false, texts(["- - 21", "- - 300"])), "totals stay in any case");
    }

    #[test]
    fn a_filter_admits_rows_before_they_are_grouped() {
        let rows =
            [(key(1, "a", "w1"), sums(1)), (key(1, "a", ""), sums(10)), (key(1, "b", "w1"), sums(100))];
        let charged = |filter: UsageFilter| {
            let request = UsageRequest { filter, ..request(GroupBy::default()) };
            fold_all(&request, &rows).map(|report| report.total.charged.get())
        };
        let none = UsageFilter::default;
        let worker = || Named::Is(WorkerId::new("w1").expect("an allowed name"));
        let operation = Named::Is(OperationId::new("a").expect("an allowed name"));
        assert_eq!(charged(none()), Ok(111));
        assert_eq!(charged(UsageFilter { worker: worker(), ..none() }), Ok(101));
        assert_eq!(charged(UsageFilter { worker: Named::Absent, ..none() }), Ok(10));
        assert_eq!(charged(UsageFilter { worker: worker(), operation, ..none() }), Ok(1));
        assert_eq!(charged(UsageFilter { api_key: Named::Absent, ..none() }), Ok(111));
    }

    #[test]
    fn an_answer_with_too_many_rows_is_refused() {
        let by_worker = request(GroupBy { worker: true, ..GroupBy::default() });
        let rows =
            |count: usize| (0..count).map(|n| (key(1, "a", &format!("w{n}")), sums(1))).collect::<Vec<_>>();
        let most = fold_all(&by_worker, &rows(USAGE_ROWS_MAX));
        assert_eq!(most.map(|report| report.rows.len()), Ok(USAGE_ROWS_MAX));
        let too_many = Err(UsageRefusal::TooManyRows);
        assert_eq!(fold_all(&by_worker, &rows(USAGE_ROWS_MAX + 1)), too_many);
        assert_eq!(fold_all(&by_worker, &rows(GROUPS_MAX + 1)), too_many);
    }
}
