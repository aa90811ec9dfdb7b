//! The fields of a form that a browser sends.

/// The fields of a form, in their order.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. Every text is a form. What is no UTF-8 is
    /// replaced.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Form {
        Form(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of a field, without blanks around it; `None` if it is absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// Every value of a field that may be given many times, without empty ones.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(known, _)| known == name);
        values.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn fields_are_found_by_their_names() {
        let form = Form::read(b"token=x&amount=+12.50+&empty=&scope=read&scope=charge&name=%C3%A9%20%3C");
        assert_eq!(form.get("amount"), Some("12.50"));
        assert_eq!((form.get("empty"), form.get("absent")), (None, None));
        assert_eq!(form.all("scope").collect::<Vec<_>>(), ["read", "charge"]);
        assert_eq!(form.get("name"), Some("é <"));
        assert_eq!(Form::read(b"\xff=%ff&&=").get("\u{fffd}"), Some("\u{fffd}"));
    }
}
