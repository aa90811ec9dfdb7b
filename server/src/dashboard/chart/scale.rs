//! The axis of a chart: round values in dollars, and the place of an amount between them.

use tollkeeper_ledger::Micros;

/// The height of a chart in its own units, from the bottom of the axis to its top.
pub const HEIGHT: i128 = 1_000;

/// The least number of steps of an axis above zero, if its values allow it.
const STEPS: i128 = 4;

/// The step of the axis of a chart without any amount: a dollar.
const STEP_OF_NOTHING: i128 = 100_000;

/// An axis. Its ends and its steps are round, and zero is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    low: i128,
    high: i128,
    step: i128,
}

impl Scale {
    /// An axis that contains all amounts from the lowest to the highest, and zero.
    pub fn of(lowest: i128, highest: i128) -> Scale {
        let (lowest, highest) = (lowest.min(0), highest.max(0));
        if lowest == highest {
            return Scale { low: 0, high: STEP_OF_NOTHING, step: STEP_OF_NOTHING };
        }
        let step = round_up(div_ceil(highest - lowest, STEPS));
        let scale =
            Scale { low: -div_ceil(-lowest, step) * step, high: div_ceil(highest, step) * step, step };
        assert!(scale.low <= lowest && highest <= scale.high, "an axis contains its amounts");
        scale
    }

    /// The distance of an amount from the top of the chart, rounded to the nearest unit.
    pub fn y(&self, amount: i128) -> i128 {
        assert!((self.low..=self.high).contains(&amount), "the axis contains the amount");
        let length = self.high - self.low;
        (2 * HEIGHT * (self.high - amount) + length) / (2 * length)
    }

    /// The values beside the axis, from the highest to the lowest.
    pub fn values(&self) -> Vec<Micros> {
        let count = (self.high - self.low) / self.step;
        let value = |index| self.high - index * self.step;
        let micros = |value: i128| i64::try_from(value).map_or(Micros::MAX, Micros::new);
        (0..=count).map(|index| micros(value(index))).collect()
    }
}

/// The quotient of two numbers of zero or more, rounded up.
fn div_ceil(number: i128, divisor: i128) -> i128 {
    (number + divisor - 1) / divisor
}

/// The smallest of 1, 2, 5, 10, 20, 50, … micro-units that is not below a positive number.
fn round_up(number: i128) -> i128 {
    let mut power = 1;
    while power * 10 < number {
        power *= 10;
    }
    [1, 2, 5, 10].into_iter().map(|digit| digit * power).find(|step| *step >= number).unwrap_or(power * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lowest: i128, highest: i128, expected: &[i64]) {
        let values: Vec<i64> = Scale::of(lowest, highest).values().iter().map(|value| value.get()).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn the_values_of_an_axis_are_round() {
        check(0, 320_000, &[400_000, 300_000, 200_000, 100_000, 0]);
        check(0, 100_001, &[150_000, 100_000, 50_000, 0]);
        check(0, 999_999, &[1_000_000, 500_000, 0]);
        check(0, 3, &[3, 2, 1, 0]);
        check(-40, 190, &[200, 100, 0, -100]);
        check(-500, 0, &[0, -200, -400, -600]);
        check(0, 0, &[100_000, 0]);
        check(
            0,
            1 << 61,
            &[3_000_000_000_000_000_000, 2_000_000_000_000_000_000, 1_000_000_000_000_000_000, 0],
        );
    }

    #[test]
    fn an_amount_has_its_place() {
        let scale = Scale::of(-40, 190);
        assert_eq!([200, 50, 0, -100].map(|amount| scale.y(amount)), [0, 500, 667, 1_000]);
    }
}
