//! The use of each day to come, from the use of the days before (P12).
//!
//! A forecast is the mean of each weekday over the last 28 complete days, once there are 14 of
//! them; before, it is the average of all days. It is walked forward from today, of which only the
//! share counts that is not used yet. All figures are integers. Use is rounded up, so that credit
//! never lasts shorter than was said.
//!
//! Everything that speaks of how long credit lasts uses [`Forecast`].

use jiff::civil::{Date, Weekday};
use tollkeeper_ledger::Micros;

/// The complete days from which weekdays are taken: four of each.
pub const WEEKDAY_DAYS: usize = 28;

/// The complete days from which on each weekday has a mean of its own: two of each.
const WEEKDAYS_FROM_DAYS: usize = 14;

/// The most days that a forecast looks ahead. What lasts longer has no figure.
pub const AHEAD_MAX_DAYS: u32 = 365;

/// What was used on one day: what was charged less what was refunded, in micro-units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayUse {
    /// The day.
    pub date: Date,
    /// Its use; below zero if more was refunded than charged.
    pub net: i64,
}

/// What a forecast is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The mean of each weekday.
    Weekday,
    /// The average of all days.
    Average,
    /// There is no forecast.
    None,
}

impl Basis {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Weekday => "weekday",
            Basis::Average => "average",
            Basis::None => "none",
        }
    }
}

/// Why there is no figure for how long credit lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was used on the complete days.
    NoRecentUse,
    /// It lasts longer than [`AHEAD_MAX_DAYS`].
    OverAYear,
    /// More was refunded than charged.
    CreditGrows,
}

impl Reason {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NoRecentUse => "no_recent_use",
            Reason::OverAYear => "over_a_year",
            Reason::CreditGrows => "credit_grows",
        }
    }
}

/// The average use of days, and of thirty of them, in micro-units, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Averages {
    /// Of one day.
    pub daily: i64,
    /// Thirty times that.
    pub monthly: i64,
}

impl Averages {
    /// The averages of a sum over some days; zero over none.
    pub fn of(net: i64, days: usize) -> Averages {
        let daily = mean(net.into(), days);
        Averages { daily: bounded(daily), monthly: bounded(daily * 30) }
    }
}

/// The use that is expected of each day to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// What the forecast is made from.
    pub basis: Basis,
    /// Why there is none.
    none_because: Option<Reason>,
    /// Today's weekday.
    today: Weekday,
    /// What is expected of each weekday, Monday first; never below zero.
    by_weekday: [i64; 7],
    /// The part of today's use that is still to come.
    rest_of_today: i64,
}

impl Forecast {
    /// The forecast on `today`, of which `used_today` is used. `days`: complete days before today,
    /// oldest first, of which at most `average_days` count for an average.
    pub fn of(days: &[DayUse], average_days: usize, today: Date, used_today: i64) -> Forecast {
        assert!(days.iter().all(|day| day.date < today), "only days that are over are complete");
        let last = |count: usize| &days[days.len().saturating_sub(count)..];
        let (basis, taken) = match days.len() {
            few if few < WEEKDAYS_FROM_DAYS => (Basis::Average, last(average_days)),
            _ => (Basis::Weekday, last(WEEKDAY_DAYS)),
        };
        let sum: i128 = taken.iter().map(|day| i128::from(day.net)).sum();
        let none_because = match sum {
            0 => Some(Reason::NoRecentUse),
            1.. => None,
            _ => Some(Reason::CreditGrows),
        };
        let mut by_weekday = [0; 7];
        for (place, use_of) in by_weekday.iter_mut().enumerate() {
            let of_day = |day: &&DayUse| basis == Basis::Average || place_of(day.date.weekday()) == place;
            let of_day: Vec<&DayUse> = taken.iter().filter(of_day).collect();
            let sum = of_day.iter().map(|day| i128::from(day.net)).sum();
            // A weekday on which more was refunded than charged is expected to use nothing.
            *use_of = bounded(mean(sum, of_day.len())).max(0);
        }
        let today = today.weekday();
        let rest_of_today = by_weekday[place_of(today)].saturating_sub(used_today.max(0)).max(0);
        let basis = if none_because.is_some() { Basis::None } else { basis };
        Forecast { basis, none_because, today, by_weekday, rest_of_today }
    }

    /// What is expected to be used in `days` days, of which the rest of today is the first.
    pub fn use_of_next_days(&self, days: u32) -> Micros {
        let ahead = (0..days).map(|day| i128::from(self.use_of_day(day)));
        Micros::new(bounded(ahead.sum()))
    }

    /// The days from today to the one on which `available` is used up: 0 is today.
    ///
    /// # Errors
    /// Why there is no such day.
    pub fn runway_days(&self, available: Micros) -> Result<u32, Reason> {
        if let Some(reason) = self.none_because {
            return Err(reason);
        }
        let mut used = 0_i128;
        for day in 0..=AHEAD_MAX_DAYS {
            used += i128::from(self.use_of_day(day));
            if used >= i128::from(available.get()) {
                return Ok(day);
            }
        }
        Err(Reason::OverAYear)
    }

    /// What is expected of the day that comes `day` days after today; of today, the rest.
    fn use_of_day(&self, day: u32) -> i64 {
        if self.none_because.is_some() {
            return 0;
        }
        match day {
            0 => self.rest_of_today,
            _ => self.by_weekday[(place_of(self.today) + day as usize % 7) % 7],
        }
    }
}

/// The place of a weekday in a week that begins with Monday.
fn place_of(weekday: Weekday) -> usize {
    weekday.to_monday_zero_offset().unsigned_abs().into()
}

/// A sum divided by a number of days, rounded up; zero for no days.
fn mean(sum: i128, days: usize) -> i128 {
    let Some(days) = i128::try_from(days).ok().filter(|days| *days > 0) else { return 0 };
    let (quotient, rest) = (sum.div_euclid(days), sum.rem_euclid(days));
    quotient + i128::from(rest > 0)
}

/// A number as an `i64`; one that does not fit is the nearest that does.
fn bounded(number: i128) -> i64 {
    let nearest = if number < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(number).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;

    use super::*;

    /// A Monday.
    const TODAY: Date = date(2026, 11, 23);

    /// Complete days up to yesterday with this use, oldest first.
    fn days(nets: &[i64]) -> Vec<DayUse> {
        let date = |place: usize| TODAY - ((nets.len() - place) as i64).days();
        nets.iter().enumerate().map(|(place, net)| DayUse { date: date(place), net: *net }).collect()
    }

    fn forecast(nets: &[i64], used_today: i64) -> Forecast {
        Forecast::of(&days(nets), 30, TODAY, used_today)
    }

    fn runway(forecast: &Forecast, available: i64) -> Result<u32, Reason> {
        forecast.runway_days(Micros::new(available))
    }

    #[test]
    fn a_young_workspace_is_forecast_by_its_average_rounded_up() {
        let forecast = forecast(&[100, 0, 1], 0);
        assert_eq!(forecast.basis, Basis::Average);
        assert_eq!(Averages::of(101, 3), Averages { daily: 34, monthly: 1_020 });
        assert_eq!(forecast.use_of_next_days(1), Micros::new(34));
        assert_eq!(forecast.use_of_next_days(3), Micros::new(102));
        assert_eq!(runway(&forecast, 34), Ok(0), "used up at the end of today");
        assert_eq!(runway(&forecast, 35), Ok(1));
        assert_eq!(runway(&forecast, 0), Ok(0));
    }

    #[test]
    fn weekdays_differ_from_two_weeks_on() {
        // Only Sundays are used, from Monday to Sunday.
        let week = [0, 0, 0, 0, 0, 0, 70];
        let by_average = forecast(&[&week[1..], &week[..]].concat(), 0);
        assert_eq!(by_average.basis, Basis::Average, "thirteen days");
        let by_weekday = forecast(&[week, week].concat(), 0);
        assert_eq!(by_weekday.basis, Basis::Weekday, "fourteen days");
        assert_eq!(by_weekday.use_of_next_days(6), Micros::ZERO, "Monday to Saturday");
        assert_eq!(by_weekday.use_of_next_days(7), Micros::new(70));
        assert_eq!(runway(&by_weekday, 70), Ok(6));
        assert_eq!(runway(&by_weekday, 71), Ok(13));
    }

    #[test]
    fn only_the_last_four_weeks_count() {
        let forecast = forecast(&[&[1_000; 7][..], &[10; 28][..]].concat(), 0);
        assert_eq!(forecast.use_of_next_days(7), Micros::new(70));
        let no_longer_used = Forecast::of(&days(&[&[1_000; 50][..], &[0; 28][..]].concat()), 90, TODAY, 0);
        assert_eq!(runway(&no_longer_used, 1), Err(Reason::NoRecentUse));
    }

    #[test]
    fn an_average_takes_as_many_days_as_asked() {
        let ten = Forecast::of(&days(&[100, 100, 10, 10]), 2, TODAY, 0);
        assert_eq!((ten.basis, ten.use_of_next_days(1)), (Basis::Average, Micros::new(10)));
    }

    #[test]
    fn what_was_used_today_is_not_expected_again() {
        let nets = [50; 14];
        assert_eq!(forecast(&nets, 20).use_of_next_days(1), Micros::new(30));
        assert_eq!(forecast(&nets, 80).use_of_next_days(1), Micros::ZERO, "more than expected");
        assert_eq!(forecast(&nets, -10).use_of_next_days(1), Micros::new(50), "refunds promise no use");
        assert_eq!(runway(&forecast(&nets, 80), 100), Ok(2));
        assert_eq!(forecast(&nets, 80).use_of_next_days(0), Micros::ZERO);
    }

    #[test]
    fn without_use_there_is_no_figure() {
        for nets in [&[][..], &[0; 5], &[0; 28], &[50, -50]] {
            let forecast = forecast(nets, 10);
            assert_eq!(forecast.basis, Basis::None);
            assert_eq!(runway(&forecast, 0), Err(Reason::NoRecentUse));
            assert_eq!(forecast.use_of_next_days(30), Micros::ZERO);
        }
        assert_eq!(Averages::of(0, 0), Averages { daily: 0, monthly: 0 });
    }

    #[test]
    fn credit_that_grows_has_no_end() {
        for nets in [&[-5][..], &[10, -30], &[-1; 28]] {
            let forecast = forecast(nets, 0);
            assert_eq!((forecast.basis, runway(&forecast, 7)), (Basis::None, Err(Reason::CreditGrows)));
            assert_eq!(forecast.use_of_next_days(9), Micros::ZERO);
        }
        assert_eq!(Averages::of(-31, 30), Averages { daily: -1, monthly: -30 });
        assert_eq!(Averages::of(-29, 30), Averages { daily: 0, monthly: 0 });
    }

    #[test]
    fn a_weekday_of_refunds_is_expected_to_use_nothing() {
        let week = [70, 0, 0, -100, 0, 0, 70];
        let forecast = forecast(&[week, week].concat(), 70);
        assert_eq!(forecast.use_of_next_days(8), Micros::new(140), "Sunday and the next Monday");
    }

    #[test]
    fn what_lasts_longer_than_a_year_has_no_figure() {
        let forecast = forecast(&[1; 28], 0);
        assert_eq!(runway(&forecast, 366), Ok(365));
        assert_eq!(runway(&forecast, 367), Err(Reason::OverAYear));
    }

    #[test]
    fn the_largest_sums_do_not_overflow() {
        let forecast = forecast(&[i64::MAX; 28], 0);
        assert_eq!(forecast.use_of_next_days(1), Micros::new(i64::MAX));
        assert_eq!(forecast.use_of_next_days(u32::from(u16::MAX)), Micros::new(i64::MAX));
        assert_eq!(runway(&forecast, i64::MAX), Ok(0));
        assert_eq!(Averages::of(i64::MAX, 1), Averages { daily: i64::MAX, monthly: i64::MAX });
        let _ = super::Forecast::of(&days(&[i64::MIN; 28]), 30, TODAY, i64::MIN);
    }

    #[test]
    fn the_use_of_days_to_come_says_when_credit_runs_out() {
        let forecast = forecast(&[&[3, 0, 7, 1, 0, 0, 2][..], &[5, 5, 0, 9, 1, 0, 0]].concat(), 1);
        for available in 0..60 {
            let days = runway(&forecast, available).expect("there is use");
            assert!(forecast.use_of_next_days(days + 1).get() >= available);
            assert!(days == 0 || forecast.use_of_next_days(days).get() < available);
        }
    }
}
