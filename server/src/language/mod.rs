//! The languages of pages: which one a reader gets, and how numbers, amounts and dates are written
//! in it, on pages and in mails. The sentences are with the pages and mails.

mod format;

pub use self::format::Format;

/// A language that pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, for those who ask for no other.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// The tag of BCP 47.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }

    /// Its name in itself.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::German => "Deutsch",
        }
    }

    /// The language of a tag such as `de` or `de-AT`; `None` if pages are not written in it.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Language> {
        let primary = tag.split('-').next().unwrap_or_default();
        Language::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The best language for the header `Accept-Language`: the first of those with the highest
    /// weight (RFC 9110, 12.5.4).
    #[must_use]
    pub fn negotiate(header: &str) -> Language {
        let mut best: Option<(u32, Language)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';');
            let language = Language::of_tag(parts.next().unwrap_or_default().trim());
            let weight =
                parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Some(1_000), thousandths);
            if let (Some(language), Some(weight)) = (language, weight)
                && weight > best.map_or(0, |(weight, _)| weight)
            {
                best = Some((weight, language));
            }
        }
        best.map_or_else(Language::default, |(_, language)| language)
    }
}

/// A weight of 0 to 1 with at most three decimals, in thousandths.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let has_digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u32 = if has_digits { format!("{decimals:0<3}").parse().ok()? } else { return None };
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{self, English, German};

    #[test]
    fn the_language_with_the_highest_weight_is_chosen() {
        for (header, expected) in [
            ("", English),
            ("fr", English),
            ("de", German),
            ("de-AT", German),
            ("DE-at,en;q=0.9", German),
            ("en,de", English),
            ("en;q=0.5, de;q=0.8", German),
            ("fr, de;q=0.3, en;q=0.25", German),
            ("de;q=0, en;q=0.1", English),
            ("de;q=2, en", English),
            ("de;q=0.1234", English),
            (";;;,=,q=1", English),
        ] {
            assert_eq!(Language::negotiate(header), expected, "{header}");
        }
    }
}
