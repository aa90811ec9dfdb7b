//! Numbers, amounts and times in a language and a time zone. An amount is exact: with two decimals,
//! and up to five where it needs them, so that no positive amount is shown as zero.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use tollkeeper_ledger::{Micros, Timestamp};

use super::Language;

/// A minus as wide as a digit.
const MINUS: char = '\u{2212}';

/// A blank at which no line ends.
const NO_BREAK: char = '\u{a0}';

/// How values are written for a reader.
#[derive(Clone, Debug)]
pub struct Format {
    /// The language.
    pub language: Language,
    /// The time zone of times and dates.
    pub zone: TimeZone,
}

const MONTHS: [[&str; 12]; 2] = [
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
];

/// How many letters a month has where there is little room.
const SHORT_MONTH_CHARS: usize = 3;

impl Format {
    /// The character between groups of three digits, and the one before decimals.
    const fn marks(&self) -> (char, char) {
        match self.language {
            Language::English => (',', '.'),
            Language::German => ('.', ','),
        }
    }

    /// A whole number: `1,250,000`.
    #[must_use]
    pub fn number(&self, number: i64) -> String {
        let (group, _) = self.marks();
        let digits = number.unsigned_abs().to_string();
        let mut text = String::with_capacity(digits.len() * 2);
        if number < 0 {
            text.push(MINUS);
        }
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(group);
            }
            text.push(digit);
        }
        text
    }

    /// An amount in dollars: `$12.50`, `12,50 $`.
    #[must_use]
    pub fn usd(&self, amount: Micros) -> String {
        let size = Micros::new(amount.get().saturating_abs());
        let exact = size.usd().to_string();
        let (whole, decimals) = exact.split_once('.').unwrap_or((&exact, "00"));
        let (_, point) = self.marks();
        let whole = self.number(whole.parse().unwrap_or_default());
        let minus = if amount < Micros::ZERO { MINUS.to_string() } else { String::new() };
        match self.language {
            Language::English => format!("{minus}${whole}{point}{decimals}"),
            Language::German => format!("{minus}{whole}{point}{decimals}{NO_BREAK}$"),
        }
    }

    /// An amount of money: `$25.00`.
    #[must_use]
    pub fn cents(&self, cents: i64) -> String {
        self.usd(Micros::from_cents(cents))
    }

    /// An amount of credit: `1,250,000 micro-units`.
    #[must_use]
    pub fn micro_units(&self, amount: Micros) -> String {
        let unit = match self.language {
            Language::English => "micro-units",
            Language::German => "Mikroeinheiten",
        };
        format!("{}{NO_BREAK}{unit}", self.number(amount.get()))
    }

    /// An amount of credit in both units: `$12.50 (1,250,000 micro-units)`.
    #[must_use]
    pub fn both_units(&self, amount: Micros) -> String {
        format!("{} ({})", self.usd(amount), self.micro_units(amount))
    }

    fn month(&self, month: i8, is_short: bool) -> &'static str {
        let names = &MONTHS[usize::from(self.language == Language::German)];
        let name = names[usize::try_from(month - 1).unwrap_or_default() % names.len()];
        let end = name.char_indices().nth(SHORT_MONTH_CHARS).map_or(name.len(), |(at, _)| at);
        if is_short { &name[..end] } else { name }
    }

    fn day_and_month(&self, date: Date, is_short: bool) -> String {
        let (day, month) = (date.day(), self.month(date.month(), is_short));
        match self.language {
            Language::English => format!("{day}{NO_BREAK}{month}"),
            Language::German => format!("{day}.{NO_BREAK}{month}"),
        }
    }

    /// A date: `12 November 2026`.
    #[must_use]
    pub fn date(&self, date: Date) -> String {
        format!("{} {}", self.day_and_month(date, false), date.year())
    }

    /// A date without its year: `12 November`.
    #[must_use]
    pub fn long_day(&self, date: Date) -> String {
        self.day_and_month(date, false)
    }

    /// A date without its year, where there is little room: `12 Nov`.
    #[must_use]
    pub fn short_date(&self, date: Date) -> String {
        self.day_and_month(date, true)
    }

    /// A month: `November 2026`.
    #[must_use]
    pub fn month_of(&self, date: Date) -> String {
        format!("{} {}", self.month(date.month(), false), date.year())
    }

    /// The date of an instant.
    #[must_use]
    pub fn date_at(&self, at: Timestamp) -> Date {
        self.local(at).date()
    }

    /// An instant to the minute: `12 Nov 2026, 14:05`.
    #[must_use]
    pub fn time(&self, at: Timestamp) -> String {
        let date = self.local(at).date();
        format!("{} {}, {}", self.day_and_month(date, true), date.year(), self.clock_time(at))
    }

    /// An instant to the minute, without its year if that is the present one: `12 Nov, 14:05`.
    #[must_use]
    pub fn recent_time(&self, at: Timestamp, now: Timestamp) -> String {
        let date = self.local(at).date();
        match date.year() == self.local(now).year() {
            true => format!("{}, {}", self.short_date(date), self.clock_time(at)),
            false => self.time(at),
        }
    }

    /// The time of day of an instant: `14:05`.
    #[must_use]
    pub fn clock_time(&self, at: Timestamp) -> String {
        let local = self.local(at);
        format!("{:02}:{:02}", local.hour(), local.minute())
    }

    fn local(&self, at: Timestamp) -> DateTime {
        let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
        let millis = at.millis().clamp(first.as_millisecond(), last.as_millisecond());
        let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or(last);
        self.zone.to_datetime(instant)
    }

    /// The offset of the time zone at an instant: `UTC+05:45`.
    #[must_use]
    pub fn offset(&self, at: Timestamp) -> String {
        let instant = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let seconds = self.zone.to_offset(instant).seconds();
        let (sign, minutes) = (if seconds < 0 { MINUS } else { '+' }, seconds.unsigned_abs() / 60);
        format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn of(language: Language, zone: &str) -> Format {
        Format { language, zone: TimeZone::get(zone).expect("a known zone") }
    }

    #[test]
    fn values_are_written_as_a_reader_expects() {
        let (english, german) = (of(Language::English, "UTC"), of(Language::German, "UTC"));
        for (micros, in_english, in_german) in [
            (0, "$0.00", "0,00\u{a0}$"),
            (1, "$0.00001", "0,00001\u{a0}$"),
            (500, "$0.005", "0,005\u{a0}$"),
            (20_000, "$0.20", "0,20\u{a0}$"),
            (-20_000, "\u{2212}$0.20", "\u{2212}0,20\u{a0}$"),
            (123_456_789_000, "$1,234,567.89", "1.234.567,89\u{a0}$"),
        ] {
            assert_eq!(english.usd(Micros::new(micros)), in_english);
            assert_eq!(german.usd(Micros::new(micros)), in_german);
        }
        assert_eq!(english.number(i64::MIN), "\u{2212}9,223,372,036,854,775,808");
        assert_eq!(german.number(-1_000), "\u{2212}1.000");
        assert_eq!(english.micro_units(Micros::new(1_250_000)), "1,250,000\u{a0}micro-units");
        let day = date(2026, 3, 5);
        assert_eq!(
            (english.date(day), german.date(day)),
            ("5\u{a0}March 2026".into(), "5.\u{a0}März 2026".into())
        );
        assert_eq!(
            (english.short_date(day), german.short_date(day)),
            ("5\u{a0}Mar".into(), "5.\u{a0}Mär".into())
        );
    }

    #[test]
    fn an_amount_is_exact_and_no_positive_one_is_shown_as_zero() {
        let mut state = 7_u64;
        let large = (1..=53).flat_map(|bits| [(1_i64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        let random = (0..20_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> (11 + state % 43)).unwrap_or(1)
        });
        for micros in
            (1..=2_000).chain(large).chain(random).filter(|micros| (1..=Micros::MAX.get()).contains(micros))
        {
            for language in Language::ALL {
                let text = of(language, "UTC").usd(Micros::new(micros));
                let (group, point) = of(language, "UTC").marks();
                let plain = text.replace(['$', '\u{a0}', group], "").replace(point, ".");
                assert_eq!(Micros::from_usd(&plain).ok(), Some(Micros::new(micros)), "{text}");
                assert!(text.contains(|c: char| ('1'..='9').contains(&c)), "{text} looks like zero");
            }
        }
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let at = Timestamp::from_millis(1_795_961_100_000);
        assert_eq!(of(Language::English, "Asia/Kathmandu").time(at), "29\u{a0}Nov 2026, 19:50");
        assert_eq!(of(Language::German, "Europe/Berlin").time(at), "29.\u{a0}Nov 2026, 15:05");
        let english = of(Language::English, "UTC");
        assert_eq!(english.recent_time(at, at), "29\u{a0}Nov, 14:05");
        let next_year = at.plus_seconds(60 * 24 * 3_600);
        assert_eq!(english.recent_time(at, next_year), "29\u{a0}Nov 2026, 14:05");
        assert_eq!(of(Language::English, "Asia/Kathmandu").offset(at), "UTC+05:45");
        assert_eq!(of(Language::English, "America/New_York").offset(at), "UTC\u{2212}05:00");
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(
            of(Language::English, "UTC").time(last),
            "30\u{a0}Dec 9999, 22:00",
            "the last that there is"
        );
    }
}
