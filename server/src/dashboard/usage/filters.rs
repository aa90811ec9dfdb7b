//! The choices of the page of use: ranges and groupings as links, own ranges and filters as a form.
//!
//! A filter is a list of the names that are used in the range. If there are very many, it is a
//! field with suggestions.

use tollkeeper_engine::UsageGroup;
use tollkeeper_ledger::UsageSums;

use super::question::{By, Fault, Question, Span, WITHOUT};
use super::rows::name_of;
use crate::dashboard::names::Names;
use crate::dashboard::words::UsageWords;
use crate::http::query::Query;
use crate::reports::usage::UsageTable;

/// The most names of a list, and the most suggestions.
const OPTIONS_MAX: usize = 100;

/// A link to another question.
#[derive(Clone, Debug)]
pub struct Choice {
    pub href: String,
    pub text: String,
    /// Whether it is the question that is shown.
    pub is_current: bool,
}

/// The form of own ranges and filters, with what was entered.
pub struct Filters {
    /// The range and the grouping, which the form keeps.
    pub kept: Vec<(&'static str, &'static str)>,
    pub from: String,
    pub to: String,
    /// The field that is at fault.
    pub wrong: &'static str,
    pub fields: Vec<Field>,
    /// Whether the form is open at first.
    pub is_open: bool,
    /// The same question without filters, if it has any.
    pub clear: Option<String>,
}

/// A filter.
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    /// What was entered.
    pub value: String,
    /// Whether any text can be entered, and the options are suggestions.
    pub is_text: bool,
    pub options: Vec<FieldOption>,
}

/// A name that can be chosen.
pub struct FieldOption {
    pub value: String,
    pub text: String,
    pub is_chosen: bool,
}

/// The ranges that move with the day. `is_shown`: whether the use of one is shown; else none is
/// marked.
pub fn spans(question: &Question, words: &UsageWords, is_shown: bool) -> Vec<Choice> {
    let choice = |(span, text): (Span, &&'static str)| Choice {
        href: Question { span, ..question.clone() }.address(super::PATH),
        text: (*text).to_owned(),
        is_current: is_shown && span == question.span,
    };
    Span::MOVING.into_iter().zip(words.spans.iter()).map(choice).collect()
}

/// The groupings.
pub fn groupings(question: &Question, words: &UsageWords) -> Vec<Choice> {
    let choice = |by: By| Choice {
        href: Question { by, ..question.clone() }.address(super::PATH),
        text: (words.by)(by.name()).to_owned(),
        is_current: by == question.by,
    };
    question.groupings().map(choice).collect()
}

impl Filters {
    /// The form. `whole` is the use of the range without filters.
    pub fn of(
        query: &Query,
        question: &Question,
        whole: Option<&UsageTable>,
        names: &Names,
        words: &UsageWords,
        fault: Option<Fault>,
    ) -> Filters {
        let given = |name| query.get(name).unwrap_or_default().trim().to_owned();
        let by = if question.by == By::default() { "" } else { question.by.name() };
        let kept = [("range", question.span.name()), ("by", by)];
        let field = |by: By| {
            let value = given(by.name());
            let mut options = options(by, whole, names, words, &value);
            let is_text = whole.is_none() || options.len() > OPTIONS_MAX;
            options.truncate(OPTIONS_MAX);
            if !is_text {
                options.sort_by(|one, other| one.text.cmp(&other.text));
            }
            Field { name: by.name(), label: (words.label)(by.name()), value, is_text, options }
        };
        Filters {
            kept: kept.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            from: given("from"),
            to: given("to"),
            wrong: fault.map_or("", Fault::field),
            fields: question.groupings().map(field).collect(),
            is_open: fault.is_some() || question.is_filtered() || matches!(question.span, Span::Own(..)),
            clear: question.is_filtered().then(|| question.unfiltered().address(super::PATH)),
        }
    }
}

/// The names that a filter offers, the largest first; the chosen one is always among them.
fn options(
    by: By,
    whole: Option<&UsageTable>,
    names: &Names,
    words: &UsageWords,
    value: &str,
) -> Vec<FieldOption> {
    let used = whole.map(|whole| whole.totals_by(|group| by.part(group))).unwrap_or_default();
    let option = |(part, _): &(UsageGroup, UsageSums)| {
        let value_of = by.value(part);
        let is_chosen = value_of == value;
        FieldOption { text: name_of(by, part, names, words), value: value_of, is_chosen }
    };
    let mut options: Vec<FieldOption> = used.iter().map(option).collect();
    if !value.is_empty() && !options.iter().any(|option| option.is_chosen) {
        let text = if value == WITHOUT {
            name_of(by, &UsageGroup::default(), names, words)
        } else {
            value.to_owned()
        };
        options.insert(0, FieldOption { value: value.to_owned(), text, is_chosen: true });
    }
    options
}
