//! Amounts of dollars as people type them in forms: `25`, `12.50`, `12,50`.
//!
//! Both a point and a comma are decimal marks. Three digits after the mark of the other language
//! are refused: `1,000` would be a thousand to one reader and one to another.

use tollkeeper_ledger::Micros;

use crate::language::{Format, Language};

/// The most digits before the decimal mark of a sum of cents.
const DIGITS_MAX: usize = 12;

/// The digits before the decimal mark and behind it; `None` if it could be another mark. Whether
/// they are digits is not checked.
fn parts(language: Language, text: &str) -> Option<(&str, &str)> {
    let text = text.trim().trim_start_matches('$').trim_end_matches('$').trim();
    let (own, other) = match language {
        Language::English => ('.', ','),
        Language::German => (',', '.'),
    };
    match text.split_once(other) {
        Some((whole, decimals)) => (decimals.len() <= 2).then_some((whole, decimals)),
        None => Some(text.split_once(own).unwrap_or((text, "00"))),
    }
}

/// Reads an amount of credit; `None` if the text is none, could be two, or is more than a balance
/// can hold.
pub fn read_usd(language: Language, text: &str) -> Option<Micros> {
    let (whole, decimals) = parts(language, text)?;
    Micros::from_usd(&format!("{whole}.{decimals}")).ok()
}

/// Reads a sum of whole cents, also one that is more than a balance can hold; `None` if the text is
/// none, or could be two.
pub fn read_cents(language: Language, text: &str) -> Option<i64> {
    let (whole, cents) = parts(language, text)?;
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = whole.len() <= DIGITS_MAX && cents.len() <= 2;
    let digits = (are_digits(whole) && are_digits(cents) && fits).then(|| format!("{whole}{cents:0<2}"))?;
    digits.parse().ok()
}

/// An amount as it stands in a field.
pub fn typed_usd(format: &Format, amount: Micros) -> String {
    let text = amount.usd().to_string();
    if format.language == Language::German { text.replace('.', ",") } else { text }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::language::Language::{English, German};

    #[test]
    fn amounts_are_read_as_people_type_them() {
        for (text, micros) in [
            ("25", Some(2_500_000)),
            (" 12.5 ", Some(1_250_000)),
            ("12,50", Some(1_250_000)),
            ("$12.50", Some(1_250_000)),
            ("12,50 $", Some(1_250_000)),
            ("0.01", Some(1_000)),
            ("1.000,00", None),
            ("1,000.00", None),
            ("12.", None),
            (".5", None),
            (",5", None),
            ("-5", None),
            ("1e3", None),
            ("1,2,3", None),
            ("\u{0665}", None),
            ("99999999999999999999", None),
            ("", None),
        ] {
            for language in [English, German] {
                assert_eq!(read_usd(language, text).map(Micros::get), micros, "{text} in {language:?}");
            }
        }
        assert_eq!(
            (read_usd(English, "1,000"), read_usd(German, "1.000")),
            (None, None),
            "a thousand, or one"
        );
        assert_eq!(read_usd(English, "0.00005"), Some(Micros::new(5)));
        assert_eq!(read_usd(German, "0,005"), Some(Micros::new(500)));
        assert_eq!((read_cents(English, "12.5"), read_cents(English, "0.005")), (Some(1_250), None));
        assert_eq!(read_cents(German, "999999999999,99"), Some(99_999_999_999_999));
        for none in ["9999999999999", "12.", ".5", "-5", "1e3", "1,000", "\u{0665}", ""] {
            assert_eq!(read_cents(English, none), None, "{none}");
        }
    }

    #[test]
    fn a_field_is_read_back_as_it_was_filled() {
        for language in Language::ALL {
            let format = Format { language, zone: TimeZone::UTC };
            for micros in [1, 500, 20_000, 1_250_000, 123_456_789] {
                let amount = Micros::new(micros);
                assert_eq!(read_usd(language, &typed_usd(&format, amount)), Some(amount));
            }
        }
    }
}
