//! What forms share: a field with its hint and its error, the sentence above a form, the page that
//! asks once more, and amounts as people type them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use tollkeeper_ledger::Micros;

use super::frame::Frame;
use super::page::page;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::language::{Format, Language};

/// A field of a form that takes one line.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// The id in the page.
    pub id: String,
    /// The name in the form.
    pub name: &'static str,
    /// The type of the input.
    pub kind: &'static str,
    pub label: String,
    pub value: String,
    /// What helps to fill it in; empty for nothing.
    pub hint: String,
    /// What is wrong with the value; empty for nothing.
    pub error: String,
    /// The id of a list of suggestions; empty for none.
    pub list: &'static str,
}

impl Field {
    /// A field without a value.
    pub fn new(name: &'static str, kind: &'static str, label: impl Into<String>) -> Field {
        Field { id: name.to_owned(), name, kind, label: label.into(), ..Field::default() }
    }

    /// The same with this value.
    pub fn with_value(self, value: impl Into<String>) -> Field {
        Field { value: value.into(), ..self }
    }

    /// The same with this hint.
    pub fn with_hint(self, hint: impl Into<String>) -> Field {
        Field { hint: hint.into(), ..self }
    }

    /// The same with another id, for a name that a form has several times.
    pub fn with_id(self, id: String) -> Field {
        Field { id, ..self }
    }

    /// The same with what is wrong with its value.
    pub fn with_error(self, error: impl Into<String>) -> Field {
        Field { error: error.into(), ..self }
    }

    /// The ids of the texts that describe it; empty for none.
    pub fn described_by(&self) -> String {
        let texts = [(&self.error, "error"), (&self.hint, "hint")];
        let ids = texts.iter().filter(|(text, _)| !text.is_empty());
        ids.map(|(_, part)| format!("{}-{part}", self.id)).collect::<Vec<_>>().join(" ")
    }
}

/// The sentence above the content of a page.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Whether something was not done.
    pub is_error: bool,
    pub text: String,
}

impl Notice {
    /// That something was done.
    pub fn done(text: impl Into<String>) -> Notice {
        Notice { is_error: false, text: text.into() }
    }

    /// That something was not done.
    pub fn error(text: impl Into<String>) -> Notice {
        Notice { is_error: true, text: text.into() }
    }

    /// What a problem says of a form.
    ///
    /// # Errors
    /// The problem is not about what was entered: it has a page of its own.
    pub fn of_form(problem: Problem) -> Result<Notice, Problem> {
        match problem.code.status() {
            404 | 409 | 422 | 429 => Ok(Notice::error(problem.detail)),
            _ => Err(problem),
        }
    }
}

/// The page that asks once more, and names what is done.
#[derive(Template)]
#[template(path = "dashboard/confirm.html")]
pub struct Confirm<'a> {
    pub frame: Frame<'a>,
    pub title: String,
    /// What follows from it.
    pub text: String,
    /// What it is about: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// Where the form goes.
    pub action: &'static str,
    /// The fields that it carries.
    pub fields: Vec<(&'static str, String)>,
    /// The text of the button; empty if it cannot be done.
    pub button: String,
    /// The page that a link leads back to.
    pub back: &'static str,
}

impl Confirm<'_> {
    /// The response with the page.
    pub fn response(&self, status: StatusCode) -> Response {
        page(status, self)
    }
}

/// The rows of a page of a list that is in memory.
const PAGE_ROWS: usize = 50;

/// The links to the pages before and after one.
pub struct Paging {
    pub newer: Option<String>,
    pub older: Option<String>,
}

/// The rows of the page that the parameter `page` names, and the links to its neighbours.
pub fn page_of<T>(rows: Vec<T>, call: &Call, path: &str) -> (Vec<T>, Paging) {
    let pages = rows.len().div_ceil(PAGE_ROWS).max(1);
    let asked = call.query().get("page").and_then(|text| text.parse().ok()).unwrap_or(1);
    let page: usize = asked.clamp(1, pages);
    let url = |page: usize| format!("{path}?page={page}");
    let paging =
        Paging { newer: (page > 1).then(|| url(page - 1)), older: (page < pages).then(|| url(page + 1)) };
    (rows.into_iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS).collect(), paging)
}

/// Reads an amount of dollars as people of a language type it; `None` if it is none, or could be
/// two.
pub fn read_usd(language: Language, text: &str) -> Option<Micros> {
    let text = text.trim().trim_start_matches('$').trim_end_matches('$').trim();
    if text.starts_with('.') || text.starts_with(',') {
        return None;
    }
    match language {
        Language::English => Micros::from_usd(text).ok(),
        Language::German if text.contains(',') => {
            Micros::from_usd(&text.replace('.', "_").replace(',', ".")).ok()
        }
        // 1.000 is a thousand to a German reader.
        Language::German if text.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 3) => None,
        Language::German => Micros::from_usd(text).ok(),
    }
}

/// An amount of dollars as it stands in a field.
pub fn typed_usd(format: &Format, amount: Micros) -> String {
    let text = amount.usd().to_string();
    if format.language == Language::German { text.replace('.', ",") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language::{English, German};

    #[test]
    fn amounts_are_read_as_they_are_typed() {
        let read = |language, text: &str| read_usd(language, text).map(Micros::get);
        assert_eq!(read(English, " $12.50 "), Some(1_250_000));
        assert_eq!(read(German, "12,50 $"), Some(1_250_000));
        assert_eq!(read(German, "12.50"), Some(1_250_000));
        for ambiguous in ["1,000", "1.000,00", "-1", "1e3", "", ".5"] {
            assert_eq!(read(English, ambiguous), None, "{ambiguous}");
        }
        for ambiguous in ["1.000", "1.000,00", "-1", "", ",5", "1,2,3"] {
            assert_eq!(read(German, ambiguous), None, "{ambiguous}");
        }
    }

    #[test]
    fn a_field_names_the_texts_that_describe_it() {
        let field = Field::new("amount", "text", "Amount").with_hint("In dollars");
        assert_eq!(field.described_by(), "amount-hint");
        assert_eq!(field.with_error("is wrong").described_by(), "amount-error amount-hint");
    }
}
