//! Amounts that people type in forms: `25`, `12.50`, `12,50`.
//!
//! A comma is a decimal mark, as in German. A group of three digits after it is refused: `1,000`
//! would be a thousand to one reader and one to another.

use tollkeeper_ledger::Micros;

/// The most digits before the decimal mark.
const DIGITS_MAX: usize = 12;

/// A field of a form: what was typed, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Field {
    pub value: String,
    pub error: Option<String>,
}

impl Field {
    /// A field with a value.
    pub fn of(value: impl Into<String>) -> Field {
        Field { value: value.into(), error: None }
    }
}

/// A sum of whole cents; `None` if the text is none.
pub fn whole_cents(text: &str) -> Option<i64> {
    let (whole, cents) = text.trim().split_once(['.', ',']).unwrap_or((text.trim(), "00"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = whole.len() <= DIGITS_MAX && cents.len() <= 2;
    let digits = (are_digits(whole) && are_digits(cents) && fits).then(|| format!("{whole}{cents:0<2}"))?;
    digits.parse().ok()
}

/// An amount of credit in dollars, also finer than a cent; `None` if the text is none.
pub fn dollars(text: &str) -> Option<Micros> {
    match whole_cents(text) {
        Some(cents) => Micros::from_usd(&format!("{}.{:02}", cents / 100, cents % 100)).ok(),
        None => Micros::from_usd(text.trim()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_type_them() {
        for (text, cents) in [
            ("25", Some(2_500)),
            (" 12.5 ", Some(1_250)),
            ("12,50", Some(1_250)),
            ("0.01", Some(1)),
            ("999999999999.99", Some(99_999_999_999_999)),
            ("1,000", None),
            ("1.000,00", None),
            ("12.", None),
            (".5", None),
            ("-5", None),
            ("1e3", None),
            ("$5", None),
            ("\u{0665}", None),
            ("9999999999999", None),
            ("", None),
        ] {
            assert_eq!(whole_cents(text), cents, "{text}");
        }
        assert_eq!(dollars("0.00005"), Some(Micros::new(5)));
        assert_eq!(dollars("5,25"), Some(Micros::new(525_000)));
        assert_eq!((dollars("1,000"), dollars("x")), (None, None));
        assert_eq!(dollars("999999999999.99"), None, "more than an amount can be");
    }
}
