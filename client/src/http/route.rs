//! A route of the server, and how its path is filled in.

use std::fmt::Write as _;

use hyper::Method;
use serde::Serialize;
use serde_json::Value;

/// Method and path of a call.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    /// The path, with the name of each parameter in braces.
    pub template: &'static str,
    /// Whether the server needs an idempotency key.
    pub is_keyed: bool,
}

impl Route {
    pub const fn plain(method: Method, template: &'static str) -> Route {
        Route { method, template, is_keyed: false }
    }

    pub const fn keyed(method: Method, template: &'static str) -> Route {
        Route { method, template, is_keyed: true }
    }

    /// The path with its parameters, in the order in which the template names them.
    pub fn path(&self, parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        let mut path = String::with_capacity(self.template.len());
        for part in self.template.split('/').skip(1) {
            path.push('/');
            if part.starts_with('{') {
                let value = parameters.next().expect("a call has a value for each parameter of its path");
                encode(value, &mut path);
            } else {
                path.push_str(part);
            }
        }
        assert!(parameters.next().is_none(), "a call has as many values as its path has parameters");
        path
    }
}

/// Appends a text as one part of a path, or as a name or value of a query.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// The fields of a query that are set, as they follow a path: `?limit=50`, or nothing.
pub fn query_string(query: &impl Serialize, more: &[(&str, &str)]) -> String {
    let value = serde_json::to_value(query).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten().map(|(name, value)| match value {
        Value::String(text) => (name.as_str(), text.clone()),
        other => (name.as_str(), other.to_string()),
    });
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let mut text = String::new();
    for (name, value) in fields.chain(more) {
        text.push(if text.is_empty() { '?' } else { '&' });
        encode(name, &mut text);
        text.push('=');
        encode(&value, &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Route, query_string};
    use hyper::Method;
    use serde_json::json;

    #[test]
    fn parameters_are_one_part_of_the_path() {
        let route = Route::plain(Method::GET, "/v1/workspaces/{workspace}/charges/{charge}");
        assert_eq!(route.path(&["acme:eu@1", "../x y?"]), "/v1/workspaces/acme:eu@1/charges/..%2Fx%20y%3F");
    }

    #[test]
    fn queries_hold_what_is_set() {
        assert_eq!(query_string(&json!({}), &[]), "");
        let query = json!({"group_by": "operation,day", "raw": true});
        assert_eq!(query_string(&query, &[("limit", "7")]), "?group_by=operation%2Cday&raw=true&limit=7");
    }
}
