//! The parameters of a request to Stripe, with names in brackets:
//! `line_items[0][price_data][currency]`.

use std::fmt::Display;

use form_urlencoded::Serializer;

/// Parameters, in the body of a POST or in the query of a GET.
#[derive(Default)]
pub struct Form(String);

impl Form {
    /// Adds a parameter.
    #[must_use]
    pub fn with(self, name: &str, value: impl Display) -> Form {
        // The serializer is not kept: it cannot cross threads.
        let mut text = Serializer::for_suffix(self.0, 0);
        text.append_pair(name, &value.to_string());
        Form(text.finish())
    }

    /// Adds a parameter if it has a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl Display>) -> Form {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The encoded text.
    #[must_use]
    pub fn encode(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn names_and_values_are_encoded_and_read_back() {
        let form = Form::default()
            .with("line_items[0][price_data][unit_amount]", 2_500)
            .with("metadata[note]", "a & b = ü+")
            .maybe("email", None::<&str>)
            .maybe("name", Some("Acme"));
        let text = form.encode();
        let read: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("line_items[0][price_data][unit_amount]", "2500"),
            pair("metadata[note]", "a & b = ü+"),
            pair("name", "Acme"),
        ];
        assert_eq!(read, expected);
        assert_eq!(Form::default().encode(), "");
    }
}
