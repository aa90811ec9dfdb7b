//! How a JSON body is read: fast when it is right, and explained when it is not.
//!
//! A body is parsed straight into its struct. Only when that fails is it parsed a second time, with the path to the
//! fault, to name the field and to tell "not JSON" (400) from "not a field of this request" (400) from "not such a
//! value" (422). Names, words and texts are checked while they are read, so that a struct that was read is well-formed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use tollkeeper_ledger::{
    IdempotencyKey, MemberId, Micros, OperationId, Timestamp, WorkerId, WorkspaceId, bounds,
};

use super::write::read_time;
use crate::http::problem::{Code, Problem};
use crate::settings::is_url;

/// Reads a body, which is one JSON object.
///
/// # Errors
/// The problem with the first fault in it.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(_) => Err(explain::<T>(bytes)),
    }
}

#[cold]
fn explain<T: DeserializeOwned>(bytes: &[u8]) -> Problem {
    // What is no JSON is told before anything in it is, wherever in the body it stops being JSON.
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(bytes)
        && !is_too_large_a_number(&error)
    {
        return malformed(&error);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Err(fault) => {
            let path = fault.path().to_string();
            let error = fault.into_inner();
            let syntax = error.classify() != Category::Data && !is_too_large_a_number(&error);
            if syntax { malformed(&error) } else { at_field(&path, &error.to_string()) }
        }
        Ok(_) => Problem::new(Code::MalformedJson, "The body goes on after its end."),
    }
}

/// A number such as 1e999 is well-formed; it is only too large for any type.
fn is_too_large_a_number(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedJson, format!("The body cannot be read as JSON: {error}."))
}

/// What serde says of a fault, told under the name of the field.
fn at_field(path: &str, message: &str) -> Problem {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    if let Some(name) = named(message, "unknown field `") {
        let field = join(parent_of(path, name, parent), name);
        return Problem::new(Code::UnknownField, format!("`{field}` is not a field of this request."))
            .with("field", field);
    }
    if let Some(name) = named(message, "missing field `") {
        return Problem::field(&join(path, name), "is required");
    }
    if let Some(name) = named(message, "duplicate field `") {
        let field = join(parent_of(path, name, parent), name);
        return Problem::new(Code::MalformedJson, format!("`{field}` is given twice.")).with("field", field);
    }
    let field = if path == "." { "body" } else { path };
    let message = message.replace("expected i64", "expected a whole number");
    let message = message.replace("expected u32", "expected a whole number of 0 to 4294967295");
    Problem::field(field, &format!("is not valid: {message}"))
}

/// The path leads to the field itself or to what holds it, depending on how far the reader came.
fn parent_of<'a>(path: &'a str, name: &str, parent: &'a str) -> &'a str {
    if path == name || path.ends_with(&format!(".{name}")) { parent } else { path }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() || path == "." { name.to_owned() } else { format!("{path}.{name}") }
}

fn named<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(before)?;
    let end = rest.find("`, ").or_else(|| rest.rfind('`'))?;
    Some(&rest[..end])
}

/// A JSON object and nothing else: a derived reader would take an array of the same values too.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// A value that JSON writes as a text.
pub trait Word: Sized {
    /// What a reader should have found, to follow "expected".
    const EXPECTED: &'static str;
    /// Takes the text, or says what is wrong with it.
    ///
    /// # Errors
    /// For people.
    fn read(text: &str) -> Result<Self, String>;
}

/// The one of these that is called so.
///
/// # Errors
/// For people.
pub fn one_of<T: Word + Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| format!("this is not {}", T::EXPECTED))
}

struct Words<T>(PhantomData<T>);

impl<'de, T: Word> Visitor<'de> for Words<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

/// For `deserialize_with`: a word that must be there.
pub fn word<'de, D: Deserializer<'de>, T: Word>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Words(PhantomData))
}

/// For `deserialize_with`, beside `default`: a word that may be absent or null.
pub fn maybe_word<'de, D: Deserializer<'de>, T: Word>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Maybe<T>(PhantomData<T>);
    impl<'de, T: Word> Visitor<'de> for Maybe<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }
        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            word(deserializer).map(Some)
        }
    }
    deserializer.deserialize_option(Maybe(PhantomData))
}

/// For `deserialize_with`, beside `default`: a word that may be absent but not null, because null is no amount.
pub fn given_word<'de, D: Deserializer<'de>, T: Word>(deserializer: D) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

/// For `deserialize_with`, beside `default`: a value that may be absent but not null, because null is no amount.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

macro_rules! names {
    ($($name:ident $expected:literal),+ $(,)?) => {
        $(impl Word for $name {
            const EXPECTED: &'static str = $expected;
            fn read(text: &str) -> Result<Self, String> {
                $name::new(text).map_err(|error| format!("the text {error}"))
            }
        })+
    };
}

names! {
    WorkspaceId "the name of a workspace",
    MemberId "the name of a member",
    WorkerId "the name of a worker",
    OperationId "the name of an operation",
    IdempotencyKey "an idempotency key",
}

/// A free text, neither empty nor longer than [`bounds::TEXT_MAX_BYTES`].
#[derive(Debug)]
pub struct Line(pub Box<str>);

impl Word for Line {
    const EXPECTED: &'static str = "a text";
    fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the text must not be empty".into());
        }
        if text.len() > bounds::TEXT_MAX_BYTES {
            return Err(format!("the text is longer than {} bytes", bounds::TEXT_MAX_BYTES));
        }
        Ok(Line(text.into()))
    }
}

/// A display name: a text that shows as it is, in a message's head too.
#[derive(Debug)]
pub struct DisplayName(pub Box<str>);

impl Word for DisplayName {
    const EXPECTED: &'static str = "a name";
    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("the text must not have control characters".into());
        }
        Line::read(text).map(|Line(text)| DisplayName(text))
    }
}

/// An e-mail address: a name, an `@` and a host, without blanks. Whether anybody reads it shows when something is sent.
#[derive(Debug)]
pub struct Email(pub Box<str>);

impl Word for Email {
    const EXPECTED: &'static str = "an e-mail address such as \"ada@example.com\"";
    fn read(text: &str) -> Result<Self, String> {
        let plain =
            |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | ',' | ';' | '(' | ')' | '\\');
        let host = |host: &str| !host.is_empty() && !host.starts_with('.') && !host.ends_with('.');
        let parts = text.split_once('@').filter(|(name, rest)| !name.is_empty() && !rest.contains('@'));
        let right = text.len() <= bounds::EMAIL_MAX_BYTES
            && text.chars().all(plain)
            && parts.is_some_and(|(_, rest)| host(rest));
        if right { Ok(Email(text.into())) } else { Err(format!("this is not {}", Self::EXPECTED)) }
    }
}

/// A URL that a browser can be sent to.
#[derive(Debug)]
pub struct WebUrl(pub Box<str>);

impl Word for WebUrl {
    const EXPECTED: &'static str = "an absolute URL that begins with http:// or https://";
    fn read(text: &str) -> Result<Self, String> {
        let right = text.len() <= bounds::URL_MAX_BYTES && is_url(text, &["http", "https"]);
        if right { Ok(WebUrl(text.into())) } else { Err(format!("this is not {}", Self::EXPECTED)) }
    }
}

/// A word in a list.
#[derive(Debug)]
pub struct Each<T>(pub T);

impl<'de, T: Word> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer).map(Each)
    }
}

/// A time zone that the calendar knows.
#[derive(Debug)]
pub struct Timezone(pub Box<str>);

impl Word for Timezone {
    const EXPECTED: &'static str = "a time zone of the IANA database such as \"Europe/Berlin\"";
    fn read(text: &str) -> Result<Self, String> {
        // The engine keeps it in every profile; the longest name of the database has 32 characters.
        if text.len() <= bounds::NAME_MAX_BYTES && tollkeeper_engine::is_known_timezone(text) {
            Ok(Timezone(text.into()))
        } else {
            Err(format!("this is not {}", Self::EXPECTED))
        }
    }
}

/// An amount given as an exact decimal text of dollars.
#[derive(Clone, Copy, Debug)]
pub struct Dollars(pub Micros);

impl Word for Dollars {
    const EXPECTED: &'static str = "a decimal text of dollars such as \"12.50\"";
    fn read(text: &str) -> Result<Self, String> {
        Micros::from_usd(text).map(Dollars).map_err(|error| format!("the text is {error}"))
    }
}

/// An instant in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Instant(pub Timestamp);

impl Word for Instant {
    const EXPECTED: &'static str = "a time such as \"2026-11-23T15:04:05Z\"";
    fn read(text: &str) -> Result<Self, String> {
        read_time(text).map(Instant).ok_or_else(|| format!("this is not {}", Self::EXPECTED))
    }
}

/// The amount that was given in one of two ways; `None` if in neither.
///
/// # Errors
/// When it was given in both.
pub fn one_amount(
    names: [&str; 2],
    micros: Option<i64>,
    dollars: Option<Dollars>,
) -> Result<Option<Micros>, Problem> {
    match (micros, dollars) {
        (Some(_), Some(_)) => Err(Problem::field(
            names[1],
            &format!("cannot be given beside `{}`; give one of the two", names[0]),
        )),
        (Some(micros), None) => Ok(Some(Micros::new(micros))),
        (None, Some(Dollars(amount))) => Ok(Some(amount)),
        (None, None) => Ok(None),
    }
}

/// Like [`one_amount`], for an amount that must be there.
///
/// # Errors
/// When it was given in both ways or in neither.
pub fn amount(names: [&str; 2], micros: Option<i64>, dollars: Option<Dollars>) -> Result<Micros, Problem> {
    one_amount(names, micros, dollars)?
        .ok_or_else(|| Problem::field(names[0], &format!("is required (or `{}`)", names[1])))
}
