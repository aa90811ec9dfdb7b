//! Credit as an integer: micro-units, 100,000 to the US dollar (P1), and dollars read and written
//! without rounding.
//!
//! Not a millionth: one micro-unit is 1/100,000 of a US dollar, so five decimals write every amount
//! exactly. A text in dollars with more than five decimals is refused instead of rounded. There are
//! no floats and no decimal type.

use std::fmt;

use crate::bounds::BALANCE_MAX_MICROS;

/// Micro-units in one US dollar (P1).
pub const MICROS_PER_USD: i64 = 100_000;

const _: () = assert!(MICROS_PER_USD == 10_i64.pow(5), "five decimals must write every amount exactly");

/// Micro-units in one cent.
const MICROS_PER_CENT: i64 = MICROS_PER_USD / 100;

const _: () =
    assert!(MICROS_PER_CENT * 100 == MICROS_PER_USD, "a cent must be a whole number of micro-units");

/// An amount of credit in micro-units, above or below zero. Arithmetic is checked: it never wraps.
///
/// ```
/// use tollkeeper_ledger::Micros;
///
/// let price = Micros::new(20_000);
/// assert_eq!(price.checked_times(3), Some(Micros::new(60_000)));
/// assert_eq!(Micros::new(50_000).whole_units(price), 2);
/// assert_eq!(price.usd().to_string(), "0.20");
/// assert_eq!(Micros::from_usd("0.20"), Ok(price));
/// assert!(Micros::from_usd("0.000001").is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(i64);

impl Micros {
    /// No credit.
    pub const ZERO: Micros = Micros(0);
    /// The largest balance, see [`BALANCE_MAX_MICROS`].
    pub const MAX: Micros = Micros(BALANCE_MAX_MICROS);

    /// The amount of `micros` micro-units.
    #[must_use]
    pub const fn new(micros: i64) -> Micros {
        Micros(micros)
    }

    /// The number of micro-units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum; `None` if it leaves the range of an `i64`.
    #[must_use]
    pub const fn checked_add(self, other: Micros) -> Option<Micros> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Micros(sum)),
            None => None,
        }
    }

    /// The product with a quantity; `None` if it leaves the range of an `i64`.
    #[must_use]
    pub const fn checked_times(self, quantity: i64) -> Option<Micros> {
        match self.0.checked_mul(quantity) {
            Some(product) => Some(Micros(product)),
            None => None,
        }
    }

    /// The part of the amount that `part` is of `whole`, rounded down; `None` unless `part` is 0 to
    /// `whole`, and `whole` and the amount are not negative.
    #[must_use]
    pub fn share(self, part: i64, whole: i64) -> Option<Micros> {
        if whole <= 0 || !(0..=whole).contains(&part) || self < Micros::ZERO {
            return None;
        }
        let share = i128::from(self.0) * i128::from(part) / i128::from(whole);
        let share = Micros(i64::try_from(share).expect("a part of an i64 is one"));
        assert!(share <= self, "a share must not exceed the whole");
        Some(share)
    }

    /// The number of units that the amount pays for at the price `unit`, rounded down; 0 if either
    /// is not positive.
    #[must_use]
    pub const fn whole_units(self, unit: Micros) -> i64 {
        if unit.0 <= 0 || self.0 <= 0 {
            return 0;
        }
        let units = self.0 / unit.0;
        assert!(units.saturating_mul(unit.0) <= self.0, "whole units must not cost more than the amount");
        units
    }

    /// The credit that a number of cents buys (P5).
    ///
    /// # Panics
    /// If it leaves the range of an `i64`; prices have bounds far below.
    #[must_use]
    pub const fn from_cents(cents: i64) -> Micros {
        let micros = cents.checked_mul(MICROS_PER_CENT);
        Micros(micros.expect("a price must be within its bounds"))
    }

    /// The number of cents; `None` if the amount is not one of whole cents.
    #[must_use]
    pub const fn whole_cents(self) -> Option<i64> {
        let cents = self.0 / MICROS_PER_CENT;
        if cents * MICROS_PER_CENT == self.0 { Some(cents) } else { None }
    }

    /// The amount, to be written in dollars.
    #[must_use]
    pub const fn usd(self) -> Usd {
        Usd(self)
    }

    /// Reads an exact decimal number of dollars: digits, and at most five of them after a point.
    ///
    /// # Errors
    /// [`AmountError`] for a sign, an exponent, a blank, a sixth decimal, or more than a balance
    /// can hold.
    pub fn from_usd(text: &str) -> Result<Micros, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(AmountError::NotADecimal);
        }
        if fraction.len() > 5 {
            return Err(AmountError::TooFine);
        }
        let whole: i64 = whole.parse().map_err(|_| AmountError::TooLarge)?;
        let scale = 10_i64.pow(5 - fraction.len() as u32);
        let fraction: i64 = fraction.parse().map_err(|_| AmountError::TooLarge)?;
        assert!(fraction * scale < MICROS_PER_USD, "five decimals must be less than a dollar");
        whole
            .checked_mul(MICROS_PER_USD)
            .and_then(|micros| micros.checked_add(fraction * scale))
            .filter(|micros| *micros <= BALANCE_MAX_MICROS)
            .map(Micros)
            .ok_or(AmountError::TooLarge)
    }
}

impl std::ops::Add for Micros {
    type Output = Micros;
    /// Panics on overflow, which the bounds make impossible: every balance and product stays below
    /// 2^53.
    fn add(self, other: Micros) -> Micros {
        self.checked_add(other).expect("amounts stay below 2^53, see bounds")
    }
}

impl std::ops::Sub for Micros {
    type Output = Micros;
    /// Panics on overflow, which the bounds make impossible: every balance and product stays below
    /// 2^53.
    fn sub(self, other: Micros) -> Micros {
        Micros(self.0.checked_sub(other.0).expect("amounts stay below 2^53, see bounds"))
    }
}

impl std::ops::AddAssign for Micros {
    fn add_assign(&mut self, other: Micros) {
        *self = *self + other;
    }
}

impl std::ops::SubAssign for Micros {
    fn sub_assign(&mut self, other: Micros) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Micros {
    fn sum<I: Iterator<Item = Micros>>(amounts: I) -> Micros {
        amounts.fold(Micros::ZERO, |sum, amount| sum + amount)
    }
}

/// The bare number of micro-units.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An amount written in dollars, exact: two to five decimals (`0.02`, `0.005`, `12.00`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usd(Micros);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.get();
        let (whole, rest) =
            (micros.unsigned_abs() / MICROS_PER_USD as u64, micros.unsigned_abs() % MICROS_PER_USD as u64);
        let sign = if micros < 0 { "-" } else { "" };
        match rest {
            rest if rest % 1_000 == 0 => write!(f, "{sign}{whole}.{:02}", rest / 1_000),
            rest if rest % 100 == 0 => write!(f, "{sign}{whole}.{:03}", rest / 100),
            rest if rest % 10 == 0 => write!(f, "{sign}{whole}.{:04}", rest / 10),
            rest => write!(f, "{sign}{whole}.{rest:05}"),
        }
    }
}

/// Why a text is no amount in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// The text has other characters than digits and one point.
    NotADecimal,
    /// The text has more than five decimals, which is finer than a micro-unit.
    TooFine,
    /// The amount is more than 2^53 − 1 micro-units.
    TooLarge,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AmountError::NotADecimal => "not a decimal number of dollars such as \"12.50\"",
            AmountError::TooFine => "more than five decimals: a micro-unit is 0.00001 USD",
            AmountError::TooLarge => "more than a balance can hold (2^53 − 1 micro-units)",
        })
    }
}

impl std::error::Error for AmountError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_written_exactly() {
        let check = |micros: i64, expected: &str| {
            assert_eq!(Micros::new(micros).usd().to_string(), expected);
        };
        check(0, "0.00");
        check(100_000, "1.00");
        check(20_000, "0.20");
        check(2_000, "0.02");
        check(500, "0.005");
        check(1, "0.00001");
        check(10, "0.0001");
        check(-150_000, "-1.50");
        check(BALANCE_MAX_MICROS, "90071992547.40991");
    }

    #[test]
    fn dollars_are_read_exactly_or_refused() {
        let check = |text: &str, expected: Result<i64, AmountError>| {
            assert_eq!(Micros::from_usd(text).map(Micros::get), expected, "{text}");
        };
        check("1", Ok(100_000));
        check("0.005", Ok(500));
        check("0.00001", Ok(1));
        check("90071992547.40991", Ok(BALANCE_MAX_MICROS));
        check("90071992547.40992", Err(AmountError::TooLarge));
        check("99999999999999999999", Err(AmountError::TooLarge));
        check("0.000001", Err(AmountError::TooFine));
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1,5", "NaN", "１"] {
            check(text, Err(AmountError::NotADecimal));
        }
    }

    #[test]
    fn cents_are_converted_exactly_or_not_at_all() {
        assert_eq!(Micros::from_cents(1_950), Micros::new(1_950_000));
        assert_eq!(Micros::from_cents(-1), Micros::new(-1_000));
        for cents in [0, 1, -1, 99_999_999] {
            assert_eq!(Micros::from_cents(cents).whole_cents(), Some(cents));
        }
        for micros in [1, -1, 999, 1_001, i64::MAX] {
            assert_eq!(Micros::new(micros).whole_cents(), None);
        }
    }

    #[test]
    fn a_written_amount_reads_back() {
        for micros in (0..2_000_000).step_by(37) {
            let text = Micros::new(micros).usd().to_string();
            assert_eq!(Micros::from_usd(&text), Ok(Micros::new(micros)));
        }
    }
}
