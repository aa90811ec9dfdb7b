//! What forms share: a field with its hint and its error, and the sentence above a form.

use super::words::Words;
use crate::http::problem::Problem;

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
    pub fn of_form(problem: Problem, words: &Words) -> Result<Notice, Problem> {
        match problem.code.status() {
            404 | 409 | 422 | 429 => Ok(Notice::error((words.refusals.text)(&problem))),
            _ => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_names_the_texts_that_describe_it() {
        let field = Field::new("amount", "text", "Amount").with_hint("In dollars");
        assert_eq!(field.described_by(), "amount-hint");
        assert_eq!(field.with_error("is wrong").described_by(), "amount-error amount-hint");
    }
}
