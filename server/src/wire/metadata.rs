//! Metadata: a JSON object that the platform chooses, stored as canonical text.
//!
//! Canonical means sorted keys and no blanks. The same object in another notation is therefore the
//! same request under one idempotency key. An object with one key twice is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;
use tollkeeper_ledger::bounds;

use super::read::Object;

/// The canonical text of a JSON object, at most [`bounds::METADATA_MAX_BYTES`] long.
#[derive(Debug)]
pub struct Metadata(pub Box<str>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object(value) = Object::<Canonical>::deserialize(deserializer)?;
        let text = serde_json::to_string(&value).map_err(D::Error::custom)?;
        if text.len() > bounds::METADATA_MAX_BYTES {
            let max = bounds::METADATA_MAX_BYTES;
            return Err(D::Error::custom(format_args!("the object is longer than {max} bytes")));
        }
        Ok(Metadata(text.into()))
    }
}

/// Any JSON value; the keys of its objects are sorted.
#[derive(Debug)]
enum Canonical {
    Null,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Canonical>),
    Map(BTreeMap<String, Canonical>),
}

impl Serialize for Canonical {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Canonical::Null => serializer.serialize_unit(),
            Canonical::Flag(flag) => flag.serialize(serializer),
            Canonical::Number(number) => number.serialize(serializer),
            Canonical::Text(text) => text.serialize(serializer),
            Canonical::List(list) => list.serialize(serializer),
            Canonical::Map(map) => map.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Canonical {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Canonical;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Canonical, E> {
        Ok(Canonical::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Canonical, E> {
        Ok(Canonical::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Canonical, E> {
        Ok(Canonical::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Canonical, E> {
        Ok(Canonical::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Canonical, E> {
        // These numbers are the platform's, never credit, so a float is allowed here.
        Number::from_f64(number).map(Canonical::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Canonical, E> {
        Ok(Canonical::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Canonical, E> {
        Ok(Canonical::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Canonical, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Canonical::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Canonical, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Canonical>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            map.insert(name, value);
        }
        Ok(Canonical::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_one_canonical_text() {
        let text = |json: &str| serde_json::from_str::<Metadata>(json).map(|metadata| metadata.0);
        let canonical = r#"{"a":[1,-2,2.5,null,true],"b":{"x":"ä","y":""}}"#;
        for spelling in [canonical, r#" { "b" : {"y":"", "x":"\u00e4"}, "a" : [1, -2, 2.50, null, true ] } "#]
        {
            assert_eq!(text(spelling).ok().as_deref(), Some(canonical));
        }
        for wrong in ["[]", "1", "\"x\"", r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
        let long = |n: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(n));
        assert!(text(&long(bounds::METADATA_MAX_BYTES - 8)).is_ok());
        assert!(text(&long(bounds::METADATA_MAX_BYTES - 7)).is_err());
    }
}
