//! Metadata: a JSON object that the platform chooses, stored as canonical text.
//!
//! Canonical means sorted keys and no blanks. The same object in another notation is therefore the
//! same request under one idempotency key. Numbers keep their digits: they are text that no part of
//! the program computes with. An object with one key twice is refused.
//!
//! serde checks that the text is JSON and finds its end. The walk here ends at the first byte
//! beyond the bound, so a large object costs no more than a small one.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use tollkeeper_ledger::bounds;

/// How deep lists and objects may be nested.
const DEPTH_MAX: usize = 64;

/// The beginning of the keys by which serde_json marks values of its own. Read back, such a key
/// would not be a key.
const RESERVED: &str = "$serde_json::";

/// The canonical text of a JSON object, at most [`bounds::METADATA_MAX_BYTES`] long.
#[derive(Debug)]
pub struct Metadata(pub Box<str>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        canonical(raw.get()).map(|text| Metadata(text.into())).map_err(D::Error::custom)
    }
}

/// The canonical text of an object. `text` is JSON.
///
/// # Errors
/// What is wrong, as part of a sentence.
fn canonical(text: &str) -> Result<String, String> {
    if !text.starts_with('{') {
        return Err("invalid type, expected an object".into());
    }
    let mut walk = Walk { rest: text, left: bounds::METADATA_MAX_BYTES };
    let object = walk.value(0)?;
    let mut canonical = String::with_capacity(bounds::METADATA_MAX_BYTES - walk.left);
    object.write(&mut canonical);
    assert!(canonical.len() <= bounds::METADATA_MAX_BYTES, "canonical metadata must be within its bound");
    Ok(canonical)
}

/// A JSON value with the keys of its objects sorted.
enum Canonical<'a> {
    /// A number, `true`, `false` or `null`, as it was sent.
    Token(&'a str),
    /// A text with its quotes and escapes.
    Text(String),
    List(Vec<Canonical<'a>>),
    /// By the decoded key; with it the key as it is written.
    Map(BTreeMap<String, (String, Canonical<'a>)>),
}

impl Canonical<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Canonical::Token(token) => out.push_str(token),
            Canonical::Text(text) => out.push_str(text),
            Canonical::List(list) => {
                out.push('[');
                for (index, item) in list.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Canonical::Map(map) => {
                out.push('{');
                for (index, (key, value)) in map.values().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A walk over the text of a JSON value. The text was checked: it is well-formed.
struct Walk<'a> {
    rest: &'a str,
    /// How many bytes the canonical text may still have.
    left: usize,
}

impl<'a> Walk<'a> {
    fn value(&mut self, depth: usize) -> Result<Canonical<'a>, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the object is nested more than {DEPTH_MAX} levels deep"));
        }
        match self.peek() {
            Some('{') => self.map(depth).map(Canonical::Map),
            Some('[') => self.list(depth).map(Canonical::List),
            Some('"') => self.text().map(|(_, text)| Canonical::Text(text)),
            _ => {
                let is_end = |c: char| matches!(c, ',' | ']' | '}' | ' ' | '\t' | '\n' | '\r');
                let token = self.advance(self.rest.find(is_end).unwrap_or(self.rest.len()));
                assert!(!token.is_empty(), "well-formed JSON must have a value here");
                self.spend(token.len())?;
                Ok(Canonical::Token(token))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Canonical<'a>>, String> {
        let mut list = Vec::new();
        self.bracket()?;
        while self.peek().is_some_and(|next| next != ']') {
            list.push(self.value(depth + 1)?);
            self.comma()?;
        }
        self.bracket()?;
        Ok(list)
    }

    fn map(&mut self, depth: usize) -> Result<BTreeMap<String, (String, Canonical<'a>)>, String> {
        let mut map = BTreeMap::new();
        self.bracket()?;
        while self.peek().is_some_and(|next| next != '}') {
            let (key, written) = self.text()?;
            if key.starts_with(RESERVED) {
                return Err(format!("a key must not begin with `{RESERVED}`"));
            }
            self.peek();
            self.bracket()?; // The colon.
            let value = self.value(depth + 1)?;
            if map.contains_key(&key) {
                return Err(format!("duplicate field `{key}`"));
            }
            map.insert(key, (written, value));
            self.comma()?;
        }
        self.bracket()?;
        Ok(map)
    }

    /// A text: decoded, and as it is written.
    fn text(&mut self) -> Result<(String, String), String> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let quoted = self.advance((end + 1).min(bytes.len()));
        let text: String = serde_json::from_str(quoted).map_err(|_| "a text is not Unicode".to_owned())?;
        let written = serde_json::to_string(&text).map_err(|error| error.to_string())?;
        self.spend(written.len())?;
        Ok((text, written))
    }

    /// The next character that is no blank, which is not consumed.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Consumes one character of punctuation, which the canonical text has too.
    fn bracket(&mut self) -> Result<(), String> {
        self.advance(1.min(self.rest.len()));
        self.spend(1)
    }

    /// Consumes a comma, if one is next.
    fn comma(&mut self) -> Result<(), String> {
        if self.peek() == Some(',') { self.bracket() } else { Ok(()) }
    }

    /// Consumes `bytes`, which end between two characters.
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let too_long = || format!("the object is longer than {} bytes", bounds::METADATA_MAX_BYTES);
        self.left = self.left.checked_sub(bytes).ok_or_else(too_long)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<Box<str>, String> {
        serde_json::from_str::<Metadata>(json).map(|metadata| metadata.0).map_err(|error| error.to_string())
    }

    #[test]
    fn an_object_has_one_canonical_text() {
        let canonical = r#"{"a":[1,-2,2.5,null,true],"b":{"x":"ä","y":"\"\\"}}"#;
        for spelling in
            [canonical, r#" { "b" : {"y":"\"\u005c", "x":"\u00e4"}, "a" : [1, -2, 2.5, null, true ] } "#]
        {
            assert_eq!(text(spelling).as_deref(), Ok(canonical));
        }
        for empty in ["{}", r#"{"a":{},"b":[]}"#] {
            assert_eq!(text(empty).as_deref(), Ok(empty));
        }
        for wrong in ["[]", "1", "\"x\"", r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"\u0062":2}}"#] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
        assert!(text(r#"{"$serde_json::private::Number":"x"}"#).is_err());
    }

    #[test]
    fn a_number_keeps_its_digits() {
        for number in [
            "12345678901234567890123",
            "18446744073709551616",
            "0.1234567890123456789",
            "-0",
            "1E2",
            "1.50",
            "1e999",
        ] {
            let object = format!(r#"{{"n":{number}}}"#);
            assert_eq!(text(&object).as_deref(), Ok(object.as_str()));
        }
    }

    #[test]
    fn metadata_is_bounded_in_bytes_and_depth() {
        let long = |n: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(n));
        assert!(text(&long(bounds::METADATA_MAX_BYTES - 8)).is_ok());
        assert!(text(&long(bounds::METADATA_MAX_BYTES - 7)).is_err());
        let deep = |n: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(text(&deep(DEPTH_MAX)).is_ok());
        assert!(text(&deep(DEPTH_MAX + 1)).is_err());
        let many = format!(r#"{{"a":[{}0]}}"#, "[[]],".repeat(100_000));
        assert!(text(&many).is_err_and(|why| why.contains("longer than 4096 bytes")));
    }
}
