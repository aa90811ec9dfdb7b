//! The parameters of a request: bracketed form names as a tree.
//!
//! `items[0][price]=p` is read as `items.0.price`. An empty value means "unset", as it does at
//! Stripe. Values stay text until an endpoint asks for a type.

use serde_json::{Map, Value};

use super::error::StripeError;

/// The tree of parameters; each leaf is text.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Reads pairs of a form or a query.
    pub(super) fn parse(pairs: &[(String, String)]) -> Params {
        let mut root = Map::new();
        for (name, value) in pairs {
            let mut parts = name.split('[').map(|part| part.trim_end_matches(']'));
            let first = parts.next().unwrap_or_default();
            insert(&mut root, first, &parts.collect::<Vec<_>>(), value);
        }
        Params(root)
    }

    /// The names at the top level.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn at(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let mut value = self.0.get(parts.next()?)?;
        for part in parts {
            value = value.get(part)?;
        }
        Some(value)
    }

    /// True if the parameter was sent, also if it is empty.
    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).is_some()
    }

    /// The text of a parameter that is not empty.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str().filter(|text| !text.is_empty())
    }

    /// The text of a parameter, or null.
    pub(super) fn or_null(&self, path: &str) -> Value {
        self.text(path).map_or(Value::Null, Value::from)
    }

    /// The text of a parameter that must be sent.
    pub(super) fn required(&self, path: &str) -> Result<&str, StripeError> {
        self.text(path).ok_or_else(|| StripeError::missing_parameter(&bracketed(path)))
    }

    /// A whole number.
    pub(super) fn integer(&self, path: &str) -> Result<Option<i64>, StripeError> {
        let Some(text) = self.text(path) else { return Ok(None) };
        let number = text.parse::<i64>();
        number.map(Some).map_err(|_| {
            StripeError::invalid(&format!("Invalid integer: {text}"), &bracketed(path))
                .with_code("parameter_invalid_integer")
        })
    }

    /// `true` or `false`; false if it was not sent.
    pub(super) fn flag(&self, path: &str) -> Result<bool, StripeError> {
        match self.text(path) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(StripeError::invalid(&format!("Invalid boolean: {other}"), &bracketed(path))),
        }
    }

    /// The pairs below a name, such as `metadata`.
    pub(super) fn pairs(&self, path: &str) -> Map<String, Value> {
        self.at(path).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The parameters below a name, such as `price_data`.
    pub(super) fn below(&self, path: &str) -> Params {
        Params(self.pairs(path))
    }

    /// The elements of an array of objects, in the order of their numbers.
    pub(super) fn list(&self, path: &str) -> Vec<Params> {
        let elements = ordered(self.at(path)).into_iter().filter_map(Value::as_object);
        elements.map(|element| Params(element.clone())).collect()
    }

    /// The elements of an array of texts.
    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        let elements = ordered(self.at(path)).into_iter().filter_map(Value::as_str);
        elements.map(str::to_owned).collect()
    }
}

fn ordered(array: Option<&Value>) -> Vec<&Value> {
    let Some(elements) = array.and_then(Value::as_object) else { return Vec::new() };
    let mut numbered: Vec<(usize, &Value)> =
        elements.iter().filter_map(|(number, value)| Some((number.parse().ok()?, value))).collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, value)| value).collect()
}

/// `a.b.c` as Stripe writes it: `a[b][c]`.
fn bracketed(path: &str) -> String {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| format!("{name}[{part}]"))
}

fn insert(into: &mut Map<String, Value>, name: &str, rest: &[&str], value: &str) {
    // `name[]` appends.
    let name = if name.is_empty() { into.len().to_string() } else { name.to_owned() };
    let Some((next, rest)) = rest.split_first() else {
        into.insert(name, Value::from(value));
        return;
    };
    let child = into.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    if let Some(child) = child.as_object_mut() {
        insert(child, next, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Params;

    fn parsed(pairs: &[(&str, &str)]) -> Params {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Params::parse(&pairs)
    }

    #[test]
    fn bracketed_names_form_a_tree() {
        let params = parsed(&[
            ("items[1][price]", "second"),
            ("items[0][price]", "first"),
            ("expand[]", "a"),
            ("expand[]", "b"),
            ("metadata[workspace]", "acme"),
            ("email", ""),
        ]);
        let prices: Vec<_> =
            params.list("items").iter().map(|i| i.text("price").unwrap_or_default().to_owned()).collect();
        assert_eq!(prices, ["first", "second"]);
        assert_eq!(params.texts("expand"), ["a", "b"]);
        assert_eq!(params.text("metadata.workspace"), Some("acme"));
        assert!(params.has("email") && params.text("email").is_none());
    }

    #[test]
    fn a_wrong_type_names_its_parameter() {
        let params = parsed(&[("a[b]", "1e3")]);
        let refused = params.integer("a.b").expect_err("not an integer");
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body["error"]["param"], "a[b]");
    }
}
