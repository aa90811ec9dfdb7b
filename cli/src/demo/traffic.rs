//! The charges of the demo: when, for what, by which worker, for which member, and how each ends.
//!
//! They are drawn from a fixed seed, so two demos differ by their dates only. Use follows the hours
//! of a working day, is low at weekends, and grows. Nothing here runs a command; that is in
//! `history`.

use tollkeeper_ledger::Timestamp;

/// The days that the history covers.
pub const DAYS: i64 = 90;

/// A day in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// An hour in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;

/// A minute in milliseconds.
pub const MINUTE: i64 = 60_000;

/// The seed of all that is drawn.
const SEED: u64 = 0x7011_2026;

/// The members who are charged for, as the columns of [`Kind::members`]; `None` is nobody.
pub const MEMBERS: [Option<&str>; 6] =
    [Some("ada"), Some("lin"), Some("noor"), Some("sam"), Some("mia"), None];

/// The key by which a charge is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// What customers of the shop ask for.
    Storefront,
    /// What the shop does by itself.
    BackOffice,
}

/// One operation of the reference prices, with how it is used. Shares are of a thousand charges.
#[derive(Debug)]
pub struct Kind {
    pub operation: &'static str,
    pub unit_price: i64,
    /// The least and the most units of a charge.
    quantity: (i64, i64),
    /// Its share of all charges.
    share: u64,
    pub worker: &'static str,
    pub made_by: MadeBy,
    /// The word before the number in the reference.
    pub reference: &'static str,
    /// The weight of each of [`MEMBERS`].
    members: [u64; 6],
    /// How charges end that do not simply succeed, each with its share.
    ends: &'static [(Fate, u64)],
}

/// How a charge ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The operation succeeds, and nothing is reported.
    Succeeds,
    /// Fewer units are used than were paid for.
    IsPartlyUsed,
    /// The operation fails by the system's fault.
    FailsBySystem,
    /// The operation fails by the user's fault.
    FailsByUser,
    /// No outcome comes until the deadline.
    TimesOut,
    /// The operation succeeds, and the platform refunds a half of it later.
    IsHalfRefunded,
    /// It still waits for its outcome at the end of the history.
    StaysPending,
}

/// The five operations of the reference prices (P2).
pub static KINDS: [Kind; 5] = [
    Kind {
        operation: "support_message",
        unit_price: 500,
        quantity: (1, 1),
        share: 290,
        worker: "support-bot",
        made_by: MadeBy::Storefront,
        reference: "ticket",
        members: [2, 3, 5, 20, 30, 40],
        ends: &[],
    },
    Kind {
        operation: "background_removal",
        unit_price: 2_000,
        quantity: (1, 1),
        share: 240,
        worker: "studio-bot",
        made_by: MadeBy::BackOffice,
        reference: "photo",
        members: [5, 10, 45, 25, 15, 0],
        ends: &[(Fate::FailsBySystem, 6), (Fate::FailsByUser, 6)],
    },
    Kind {
        operation: "product_listing",
        unit_price: 5_000,
        quantity: (1, 1),
        share: 200,
        worker: "catalog-bot",
        made_by: MadeBy::BackOffice,
        reference: "product",
        members: [5, 30, 40, 20, 5, 0],
        ends: &[(Fate::FailsBySystem, 6), (Fate::FailsByUser, 4)],
    },
    Kind {
        operation: "virtual_try_on",
        unit_price: 20_000,
        quantity: (1, 1),
        share: 180,
        worker: "studio-bot",
        made_by: MadeBy::Storefront,
        reference: "look",
        members: [2, 3, 20, 10, 25, 40],
        ends: &[
            (Fate::FailsBySystem, 10),
            (Fate::FailsByUser, 6),
            (Fate::TimesOut, 4),
            (Fate::IsHalfRefunded, 6),
        ],
    },
    Kind {
        operation: "smart_pricing",
        unit_price: 1_000,
        quantity: (8, 60),
        share: 90,
        worker: "pricing-bot",
        made_by: MadeBy::BackOffice,
        reference: "season",
        members: [25, 60, 10, 5, 0, 0],
        ends: &[(Fate::IsPartlyUsed, 60), (Fate::FailsBySystem, 10)],
    },
];

/// A charge of the history.
#[derive(Debug)]
pub struct PlannedCharge {
    pub at: Timestamp,
    pub kind: &'static Kind,
    pub quantity: i64,
    pub member: Option<&'static str>,
    pub fate: Fate,
    /// From the charge to its end, in milliseconds, if its fate is reported.
    pub ends_after: i64,
}

impl PlannedCharge {
    /// What it costs.
    pub fn amount(&self) -> i64 {
        self.kind.unit_price * self.quantity
    }
}

/// Plans `count` charges of the days before `end`, oldest first.
pub fn plan(count: u64, end: Timestamp) -> Vec<PlannedCharge> {
    let mut random = Random(SEED);
    let times = times(count, end, &mut Random(!SEED));
    let mut planned: Vec<_> = times.into_iter().map(|at| draw(at, &mut random)).collect();
    // The last ones wait for their outcome, however few charges there are.
    for (kind, minutes) in [(&KINDS[3], 7), (&KINDS[2], 4), (&KINDS[3], 2)] {
        let at = Timestamp::from_millis(end.millis() - minutes * MINUTE);
        let member = Some(if minutes == 4 { "lin" } else { "noor" });
        planned.push(PlannedCharge {
            at,
            kind,
            quantity: 1,
            member,
            fate: Fate::StaysPending,
            ends_after: 0,
        });
    }
    planned.sort_by_key(|charge| charge.at);
    planned
}

fn draw(at: Timestamp, random: &mut Random) -> PlannedCharge {
    let kind = &KINDS[random.weighted(KINDS.iter().map(|kind| kind.share))];
    let (least, most) = kind.quantity;
    let quantity = least + random.below((most - least + 1).unsigned_abs()).cast_signed();
    let member = MEMBERS[random.weighted(kind.members)];
    let special: u64 = kind.ends.iter().map(|(_, share)| share).sum();
    let shares = kind.ends.iter().map(|(_, share)| *share).chain([1_000 - special]);
    let fate = kind.ends.get(random.weighted(shares)).map_or(Fate::Succeeds, |(fate, _)| *fate);
    let minutes = random.below(18).cast_signed();
    let ends_after = match fate {
        Fate::IsHalfRefunded => DAY + minutes * HOUR,
        Fate::TimesOut => i64::from(DEADLINE_SECONDS) * 1_000 + 5_000,
        _ => (1 + minutes) * MINUTE + random.below(60_000).cast_signed(),
    };
    PlannedCharge { at, kind, quantity, member, fate, ends_after }
}

/// The seconds until a charge times out that waits for an outcome.
pub const DEADLINE_SECONDS: u32 = 1_800;

/// The times of `count` charges, ascending: as dense in each hour as [`weight`] says.
fn times(count: u64, end: Timestamp, random: &mut Random) -> Vec<Timestamp> {
    let begin = end.millis() - DAYS * DAY;
    let by_day: Vec<u64> = (0..DAYS).map(|_| 85 + random.below(31)).collect();
    let mut ends_of_hours = Vec::with_capacity((DAYS * 24) as usize);
    let mut total = 0;
    for hour in 0..DAYS * 24 {
        total += weight(begin + hour * HOUR, hour / 24) * by_day[(hour / 24) as usize];
        ends_of_hours.push(total);
    }
    let place = |number: u64, random: &mut Random| {
        // Each charge has a part of the whole weight, and a random place in its part.
        let part = total / count;
        let place = (number * part + random.below(part.max(1))).min(total - 1);
        let hour = ends_of_hours.partition_point(|end| *end <= place);
        let before = hour.checked_sub(1).map_or(0, |hour| ends_of_hours[hour]);
        let within = (place - before) * HOUR.unsigned_abs() / (ends_of_hours[hour] - before);
        let millis = begin + hour as i64 * HOUR + within.cast_signed();
        // The first hour is for the preparations, and the end for what closes the history.
        Timestamp::from_millis(millis.clamp(begin + HOUR, end.millis() - MINUTE))
    };
    (0..count).map(|number| place(number, random)).collect()
}

/// How much is used in the hour that begins at `millis`, on a day of the history.
fn weight(millis: i64, day: i64) -> u64 {
    // 1 January 1970 was a Thursday; Monday is 0.
    let weekday = (millis.div_euclid(DAY) + 3).rem_euclid(7);
    let of_weekday = [112, 118, 110, 108, 97, 36, 28][weekday as usize];
    let of_hour = match millis.rem_euclid(DAY) / HOUR {
        0..5 | 23 => 8,
        5..7 => 30,
        7 => 70,
        8..12 | 13..17 => 110,
        12 => 85,
        17..20 => 60,
        _ => 25,
    };
    let growth = (60 + 60 * day / DAYS).unsigned_abs();
    of_weekday * of_hour * growth
}

/// SplitMix64, which is good enough to vary a sample.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// The index of one of the weights.
    fn weighted(&mut self, weights: impl IntoIterator<Item = u64>) -> usize {
        let weights: Vec<u64> = weights.into_iter().collect();
        let mut place = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            match place.checked_sub(*weight) {
                Some(rest) => place = rest,
                None => return index,
            }
        }
        weights.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 30 November 2026, 15:00 UTC.
    const END: Timestamp = Timestamp::from_millis(1_796_050_800_000);

    #[test]
    fn the_same_charges_are_planned_each_time_within_the_days() {
        let (one, other) = (plan(2_000, END), plan(2_000, END));
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        assert_eq!(one.len(), 2_003);
        assert!(one.is_sorted_by_key(|charge| charge.at));
        let begin = END.millis() - DAYS * DAY;
        assert!(one.iter().all(|charge| charge.at.millis() > begin && charge.at < END));
        let last_day = one.iter().filter(|charge| charge.at.millis() > END.millis() - DAY).count();
        assert!(last_day > 10, "there is use until the end: {last_day}");
    }

    #[test]
    fn use_grows_and_rests_at_weekends() {
        let planned = plan(20_000, END);
        let count =
            |wanted: &dyn Fn(i64) -> bool| planned.iter().filter(|charge| wanted(charge.at.millis())).count();
        let begin = END.millis() - DAYS * DAY;
        let first = count(&|at| at < begin + 28 * DAY);
        let last = count(&|at| at >= END.millis() - 28 * DAY);
        assert!(first * 5 < last * 4, "{first} charges in the first weeks, {last} in the last");
        let weekday = |at: i64| (at.div_euclid(DAY) + 3).rem_euclid(7);
        assert!(count(&|at| weekday(at) == 6) * 2 < count(&|at| weekday(at) == 2));
    }

    #[test]
    fn every_operation_member_and_fate_occurs() {
        let (planned, many) = (plan(2_000, END), plan(20_000, END));
        for kind in &KINDS {
            assert!(planned.iter().any(|charge| charge.kind.operation == kind.operation));
            assert!(kind.ends.iter().map(|(_, share)| share).sum::<u64>() < 1_000);
            for (fate, _) in kind.ends {
                assert!(many.iter().any(|charge| charge.fate == *fate), "{fate:?}");
            }
        }
        for member in MEMBERS {
            assert!(planned.iter().any(|charge| charge.member == member), "{member:?}");
        }
        assert_eq!(planned.iter().filter(|charge| charge.fate == Fate::StaysPending).count(), 3);
    }

    #[test]
    fn few_charges_are_planned_too() {
        for count in [1, 2, 100] {
            assert_eq!(plan(count, END).len() as u64, count + 3);
        }
    }
}
