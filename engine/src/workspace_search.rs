//! The operators' search of workspaces: its conditions, and what an engine keeps of each workspace
//! so that a page costs about what it returns.
//!
//! Beside an account an engine keeps a [`SearchRow`] and the words of the name ([`words`]), both
//! derived from the account. Indexes over them *nominate* workspaces. What is listed, and whether
//! all conditions hold, is decided by the account itself ([`WorkspaceFilter::admits`]).
//!
//! Guarantees, on every engine: with any conditions, a list is in the order in which workspaces
//! were created, newest first; one request looks at a bounded number of rows, then it answers with
//! what it has and a cursor; a cursor belongs to the conditions that it was made with.
//!
//! Not here: the tables and their indexes, which each engine has in its own way.

use std::fmt::{Display, Write as _};

use tollkeeper_ledger::{Account, Micros, Profile, Timestamp, bounds};

use crate::{Error, Page};

/// Rows that an index may nominate for one request. If there are more, the list of all workspaces
/// is searched in its order, where such a dense condition soon fills a page.
pub(crate) const NOMINATED_MAX: usize = 4_096;

/// Rows that one request looks at before it answers with what it has.
const LOOKS_MAX: usize = 20_000;

/// The rows that cost as much as one account.
const LOOKS_OF_ACCOUNT: usize = 8;

/// Rows that the first read fetches beyond the length of the page. Each further read fetches twice
/// as many as the one before.
const FIRST_READ_EXTRA: usize = 16;

/// The most rows that one read fetches.
const READ_MAX: usize = 2_048;

/// The words of a name by which it is found.
const WORDS_MAX: usize = 16;

/// The bytes of the name that are kept from the beginning of a word on.
const WORD_MAX_BYTES: usize = 32;

/// Between a position in a list and the mark of its conditions. No workspace id contains it.
const MARK: char = '~';

const MILLIS_PER_DAY: i64 = 86_400_000;

/// What is asked for of the name of a workspace: the beginning of one of its words, and how the
/// name goes on. Upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameQuery(Box<str>);

impl NameQuery {
    /// A query, from what a person typed. `None` if it has no letter or digit, is longer than a
    /// name can be, or has a control character: no name has one.
    #[must_use]
    pub fn new(text: &str) -> Option<NameQuery> {
        let folded = folded(text);
        let folded = folded.trim_start_matches(|c: char| !c.is_alphanumeric()).trim_end();
        let fits = !folded.is_empty() && text.chars().count() <= bounds::TEXT_MAX_CHARS;
        let fits = fits && !text.contains(char::is_control);
        fits.then(|| NameQuery(folded.into()))
    }

    /// True if one of the first words of a name, with what follows it, begins as was asked.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let folded = folded(name);
        word_starts(&folded).any(|start| folded[start..].starts_with(&*self.0))
    }

    /// The words of [`words`] that may match: from the first text up to before the second.
    pub(crate) fn range(&self) -> (String, String) {
        let first = cut(&self.0).to_owned();
        let end = format!("{first}{}", char::MAX);
        (first, end)
    }
}

/// The conditions that a listed workspace meets, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceFilter {
    /// Only workspaces with such a name.
    pub name: Option<NameQuery>,
    /// Only workspaces that are suspended, or only those that are not.
    pub suspended: Option<bool>,
    /// Only workspaces that owe credit, or only those that owe none.
    pub debt: Option<bool>,
    /// Only workspaces without a charge at this instant or later; one that was never charged counts
    /// from its creation.
    pub unused_since: Option<Timestamp>,
}

/// A workspace in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRecord {
    /// Its description.
    pub profile: Profile,
    /// The credit that it owes.
    pub debt: Micros,
    /// The time of its last charge; `None` if it was never charged.
    pub last_used_at: Option<Timestamp>,
}

impl WorkspaceRecord {
    /// What a list shows of an account.
    #[must_use]
    pub fn of(account: &Account) -> WorkspaceRecord {
        let Account { profile, balance, last_used_at, .. } = account;
        WorkspaceRecord { profile: (**profile).clone(), debt: balance.debt, last_used_at: *last_used_at }
    }

    /// The instant from which the workspace counts as unused.
    fn unused_from(&self) -> Timestamp {
        self.last_used_at.unwrap_or(self.profile.created_at)
    }
}

/// Which rows are looked at, if no short list of nominated ones exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    All,
    Suspended,
    Debt,
}

impl WorkspaceFilter {
    /// True if a workspace meets all conditions.
    #[must_use]
    pub fn admits(&self, record: &WorkspaceRecord) -> bool {
        let WorkspaceFilter { name, suspended, debt, unused_since } = self;
        suspended.is_none_or(|suspended| suspended == record.profile.suspended)
            && debt.is_none_or(|debt| debt == (record.debt > Micros::ZERO))
            && unused_since.is_none_or(|since| record.unused_from() < since)
            && name.as_ref().is_none_or(|name| name.matches(&record.profile.name))
    }

    /// True if the workspace of a row may meet all conditions. The row knows the day of the last
    /// charge only.
    pub(crate) fn may_admit(&self, row: &SearchRow) -> bool {
        let WorkspaceFilter { name, suspended, debt, .. } = self;
        suspended.is_none_or(|suspended| suspended == row.suspended)
            && debt.is_none_or(|debt| debt == row.has_debt)
            && self.unused_up_to_day().is_none_or(|day| row.used_day <= day)
            && name.as_ref().is_none_or(|name| name.matches(&row.name))
    }

    /// The last day on which a workspace that meets the conditions may have been used.
    pub(crate) fn unused_up_to_day(&self) -> Option<i64> {
        self.unused_since.map(day)
    }

    /// The rows to look at.
    pub(crate) fn walk(&self) -> Walk {
        match (self.debt, self.suspended) {
            (Some(true), _) => Walk::Debt,
            (_, Some(true)) => Walk::Suspended,
            _ => Walk::All,
        }
    }

    /// The cursor of a position in the list.
    pub(crate) fn cursor(&self, position: impl Display) -> String {
        let mut cursor = position.to_string();
        if let Some(mark) = self.mark() {
            write!(cursor, "{MARK}{mark:08x}").expect("a string takes all text");
        }
        cursor
    }

    /// The position in a page's cursor; `None` for the first page. [`Error::is_bad_cursor`] if the
    /// cursor was made with other conditions.
    pub(crate) fn position<'p>(&self, page: &'p Page) -> Result<Option<&'p str>, Error> {
        let Some(cursor) = page.cursor.as_deref() else { return Ok(None) };
        let (position, mark) = match cursor.rsplit_once(MARK) {
            None => (cursor, None),
            Some((position, mark)) => (position, u32::from_str_radix(mark, 16).ok()),
        };
        if mark != self.mark() || (mark.is_none() && cursor.contains(MARK)) {
            return Err(Error::bad_cursor());
        }
        Ok(Some(position))
    }

    /// A checksum of the conditions; `None` if there are none.
    fn mark(&self) -> Option<u32> {
        if *self == WorkspaceFilter::default() {
            return None;
        }
        let WorkspaceFilter { name, suspended, debt, unused_since } = self;
        let name = name.as_ref().map_or("", |name| &name.0);
        let since = unused_since.map(Timestamp::millis);
        Some(crc32fast::hash(format!("{suspended:?} {debt:?} {since:?} {name}").as_bytes()))
    }
}

/// How many rows a request reads at a time, and when it ends although its page is not full.
#[derive(Debug)]
pub(crate) struct Looks {
    next_read: usize,
    looked_at: usize,
}

impl Looks {
    pub(crate) fn for_page(limit: usize) -> Looks {
        Looks { next_read: FIRST_READ_EXTRA + limit.min(READ_MAX - FIRST_READ_EXTRA), looked_at: 0 }
    }

    /// How many rows to read next; `None` if enough were looked at.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if self.looked_at >= LOOKS_MAX {
            return None;
        }
        let read = self.next_read;
        self.next_read = READ_MAX.min(2 * read);
        self.looked_at += read;
        Some(read)
    }

    /// Counts accounts that were looked at too.
    pub(crate) fn count_accounts(&mut self, accounts: usize) {
        self.looked_at += LOOKS_OF_ACCOUNT * accounts;
    }
}

/// What is kept of a workspace beside its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchRow {
    pub name: Box<str>,
    pub suspended: bool,
    pub has_debt: bool,
    /// Whole days since 1970 at the last charge, or at the creation if it was never charged. So a
    /// workspace has at most one new row a day, however often it is charged.
    pub used_day: i64,
}

impl SearchRow {
    pub(crate) fn of(account: &Account) -> SearchRow {
        let Account { profile, balance, .. } = account;
        SearchRow {
            name: profile.name.clone(),
            suspended: profile.suspended,
            has_debt: balance.debt > Micros::ZERO,
            used_day: used_day(account),
        }
    }

    /// True if it is the row of the account as it is now.
    pub(crate) fn is_of(&self, account: &Account) -> bool {
        let Account { profile, balance, .. } = account;
        self.used_day == used_day(account)
            && self.suspended == profile.suspended
            && self.has_debt == (balance.debt > Micros::ZERO)
            && self.name == profile.name
    }
}

fn used_day(account: &Account) -> i64 {
    day(account.last_used_at.unwrap_or(account.profile.created_at))
}

fn day(at: Timestamp) -> i64 {
    at.millis().div_euclid(MILLIS_PER_DAY)
}

/// The words of a name by which it is found, each with the beginning of what follows it; sorted,
/// none twice.
pub(crate) fn words(name: &str) -> Vec<String> {
    let folded = folded(name);
    let mut words: Vec<String> = word_starts(&folded).map(|start| cut(&folded[start..]).to_owned()).collect();
    words.sort_unstable();
    words.dedup();
    assert!(words.len() <= WORDS_MAX, "a name has a bounded number of rows");
    words
}

/// A text in lower case. The small sigma has another form at the end of a word, which a query that
/// ends earlier has not.
fn folded(text: &str) -> String {
    text.to_lowercase().replace('\u{3c2}', "\u{3c3}")
}

/// Where the first words of a text begin. A script without blanks has a word at each character.
fn word_starts(folded: &str) -> impl Iterator<Item = usize> {
    let mut was_in_word = false;
    let starts = folded.char_indices().filter(move |(_, c)| {
        let is_in_word = c.is_alphanumeric();
        let starts = is_in_word && (!was_in_word || *c >= '\u{2e80}');
        was_in_word = is_in_word;
        starts
    });
    starts.map(|(start, _)| start).take(WORDS_MAX)
}

/// At most the first [`WORD_MAX_BYTES`] bytes of a text, in whole characters.
fn cut(text: &str) -> &str {
    let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = ends.take_while(|end| *end <= WORD_MAX_BYTES).last();
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(name: &str, query: &str) -> bool {
        let query = NameQuery::new(query).expect("it has a letter");
        let (first, end) = query.range();
        let is_nominated = words(name).iter().any(|word| (&first..&end).contains(&word));
        let is_match = query.matches(name);
        assert!(is_nominated || !is_match, "the index nominates each name that matches: {name}");
        is_match
    }

    #[test]
    fn a_name_is_found_by_the_beginning_of_its_words_in_any_case() {
        let name = "Müller & Söhne Fashion-Store GmbH";
        for query in ["mü", "MÜLLER", "söhne fash", "store", "store gmbh", "& söhne", " gmbh "] {
            assert!(is_found(name, query), "{query}");
        }
        for query in ["üller", "ashion", "fashion store", "gmbhx"] {
            assert!(!is_found(name, query), "{query}");
        }
        assert!(is_found("東京商店", "商店") && is_found("Shop 東京", "東"));
        let greek = "ΟΔΥΣΣΕΑΣ Shop";
        assert!(["ΟΔΥΣ", "οδυς", "οδυσσεας", "ΟΔΥΣΣΕΑΣ SH"].iter().all(|query| is_found(greek, query)));
    }

    #[test]
    fn long_names_have_few_short_rows_and_are_found_alike() {
        let name = "ab ".repeat(85);
        assert!(words(&name).len() <= WORDS_MAX);
        let long = format!("{} end", "ä".repeat(200));
        assert!(words(&long).iter().all(|word| word.len() <= WORD_MAX_BYTES));
        assert!(is_found(&long, &"Ä".repeat(200)));
        assert!(!is_found(&long, &"ä".repeat(201)));
        for query in ["", " ", "&!", "a\0", &"a".repeat(256)] {
            assert!(NameQuery::new(query).is_none(), "{query}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_conditions() {
        let page = |cursor: String| Page { limit: 1, cursor: Some(cursor) };
        let all = WorkspaceFilter::default();
        let owing = WorkspaceFilter { debt: Some(true), ..WorkspaceFilter::default() };
        let suspended = WorkspaceFilter { suspended: Some(true), ..WorkspaceFilter::default() };
        for filter in [&all, &owing, &suspended] {
            let cursor = page(filter.cursor("17/a.b"));
            for other in [&all, &owing, &suspended] {
                let position = other.position(&cursor);
                if other == filter {
                    assert_eq!(position.expect("its own cursor"), Some("17/a.b"));
                } else {
                    assert!(position.expect_err("another's cursor").is_bad_cursor());
                }
            }
        }
        assert!(all.position(&page("17~zz".into())).expect_err("no mark").is_bad_cursor());
    }

    #[test]
    fn a_request_looks_at_a_bounded_number_of_rows() {
        for limit in [1, 50, 200, usize::MAX] {
            let mut looks = Looks::for_page(limit);
            let read: usize = std::iter::from_fn(|| looks.next()).sum();
            assert!((LOOKS_MAX..LOOKS_MAX + READ_MAX).contains(&read), "{read}");
        }
    }
}
