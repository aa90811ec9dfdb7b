//! A JSON object whose members keep their order and their text.
//!
//! The gate changes a few members of a body and passes all others on as they came: the order of
//! members in the schema of a tool matters to a model, and a number keeps its digits.
//!
//! A body that two parsers read differently would be charged as one thing and run as another. So a
//! member that is there twice is refused. [`Members::other_spelling`] finds names that a lenient
//! parser takes for another one: Go ignores case, other parsers ignore underscores.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order.
#[derive(Debug)]
pub struct Members(Vec<(String, Box<RawValue>)>);

/// Why a text is not read as an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no JSON.
    Malformed,
    /// It is JSON, and no object.
    NotObject,
    /// A member is there twice.
    Twice(String),
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl Members {
    /// Reads an object.
    ///
    /// # Errors
    /// It is none, or has a member twice.
    pub fn read(json: &[u8]) -> Result<Members, Unreadable> {
        let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            let is_json = serde_json::from_slice::<&RawValue>(json).is_ok();
            return Err(if is_json { Unreadable::NotObject } else { Unreadable::Malformed });
        }
        let members: Members = serde_json::from_slice(json).map_err(|_| Unreadable::Malformed)?;
        let mut seen = HashSet::with_capacity(members.0.len());
        if let Some((name, _)) = members.0.iter().find(|(name, _)| !seen.insert(name)) {
            return Err(Unreadable::Twice(name.clone()));
        }
        Ok(members)
    }

    /// The JSON text of a member; `None` if it is absent or null.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.get()).filter(|text| *text != "null")
    }

    /// A member whose name is written otherwise than one of `names`, and may be read as it.
    pub fn other_spelling(&self, names: &[&str]) -> Option<&str> {
        let names: Vec<(&str, String)> = names.iter().map(|name| (*name, folded(name))).collect();
        let is_other = |member: &str| {
            let folded = folded(member);
            names.iter().any(|(name, other)| folded == *other && member != *name)
                && !names.iter().any(|(name, _)| member == *name)
        };
        self.0.iter().map(|(name, _)| &**name).find(|name| is_other(name))
    }

    /// A member that is one of `names`, in any spelling, and is not null.
    pub fn any_of(&self, names: &[String]) -> Option<&str> {
        let names: Vec<String> = names.iter().map(|name| folded(name)).collect();
        let is_named = |member: &str| names.contains(&folded(member));
        let given = self.0.iter().filter(|(_, value)| value.get() != "null");
        given.map(|(name, _)| &**name).find(|name| is_named(name))
    }

    /// Sets a member, in its place if it is there, else at the end.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Removes a member.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// The object as JSON.
    pub fn to_json(&self) -> String {
        let length = self.0.iter().map(|(name, value)| name.len() + value.get().len() + 6).sum::<usize>();
        let mut json = String::with_capacity(length + 2);
        json.push('{');
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(&serde_json::Value::from(&**name).to_string());
            json.push(':');
            json.push_str(value.get());
        }
        json.push('}');
        json
    }
}

/// A value that the gate writes.
pub fn raw(value: impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(&value).expect("numbers, booleans and texts are JSON")
}

/// A name without what lenient parsers ignore: case and underscores. Two letters outside of ASCII
/// have an ASCII letter as their other case.
pub fn folded(name: &str) -> String {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().filter(|letter| !matches!(letter, '_' | '-')).map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_text() {
        let text = r#"{"z":1e30,"a":{"b": [1,  2.50]},"\"q":"\u00e4","n":123456789012345678901234567890}"#;
        let mut members = Members::read(text.as_bytes()).expect("an object");
        let expected =
            r#"{"z":1e30,"a":{"b": [1,  2.50]},"\"q":"\u00e4","n":123456789012345678901234567890}"#;
        assert_eq!(members.to_json(), expected);
        members.set("a", raw(7));
        members.set("new", raw(true));
        members.remove("n");
        assert_eq!(members.to_json(), r#"{"z":1e30,"a":7,"\"q":"\u00e4","new":true}"#);
    }

    #[test]
    fn what_is_no_object_with_single_members_is_refused() {
        let of = |text: &str| Members::read(text.as_bytes()).expect_err(text);
        for text in
            ["", "{", "{\"a\":1} x", "{\"a\":01}", "{'a':1}", "{\"a\":NaN}", "\u{feff}{}", "{\"a\":1,}"]
        {
            assert_eq!(of(text), Unreadable::Malformed, "{text}");
        }
        for text in ["[]", "1", "null", "\"x\"", "[{\"a\":1}]"] {
            assert_eq!(of(text), Unreadable::NotObject, "{text}");
        }
        assert_eq!(of(r#"{"n":1,"b":2,"n":3}"#), Unreadable::Twice("n".to_owned()));
        assert_eq!(
            of(r#"{"n":1,"\u006e":3}"#),
            Unreadable::Twice("n".to_owned()),
            "an escape of the same name"
        );
        assert_eq!(Members::read(b"{\"a\":\"\xff\"}").expect_err("no UTF-8"), Unreadable::Malformed);
    }

    #[test]
    fn a_deeply_nested_value_takes_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let members = Members::read(deep.as_bytes()).expect("it is JSON");
        assert_eq!(members.to_json(), deep);
        let open = format!("{{\"a\":{}", "[".repeat(200_000));
        assert_eq!(Members::read(open.as_bytes()).expect_err("it is open"), Unreadable::Malformed);
    }

    #[test]
    fn a_null_counts_as_absent() {
        let members = Members::read(br#"{"n":null,"m": 3}"#).expect("an object");
        assert_eq!((members.get("n"), members.get("m"), members.get("o")), (None, Some("3"), None));
    }

    #[test]
    fn a_name_that_may_be_read_as_another_one_is_found() {
        let names = ["max_tokens", "n", "stream"];
        for other in
            ["Max_Tokens", "MAX_TOKENS", "maxTokens", "max-tokens", "N", "max_to\u{212a}ens", "\u{17f}tream"]
        {
            let body = format!("{{\"max_tokens\":1,{}:2}}", serde_json::Value::from(other));
            let members = Members::read(body.as_bytes()).expect("an object");
            assert_eq!(members.other_spelling(&names), Some(other));
        }
        let plain = Members::read(br#"{"max_tokens":1,"n":2,"model":"m","top_n":3}"#).expect("an object");
        assert_eq!(plain.other_spelling(&names), None);
    }
}
