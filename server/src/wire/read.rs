//! How a JSON body is read: fast if it is right, and with a precise error if it is not.
//!
//! A body is parsed directly into its struct. Only if that fails, it is parsed a second time with a
//! path to the error. The second pass names the field and separates three kinds: not JSON, an
//! unknown field, a wrong value. Ids and texts are checked while they are read, so every struct
//! that was read holds valid values.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;
use tollkeeper_ledger::{
    IdempotencyKey, MemberId, MeterId, Micros, OperationId, PlanId, Timestamp, WorkerId, WorkspaceId, bounds,
};

use super::ReadError;
use super::url::is_url;
use super::write::read_time;

/// The rule for ids that a caller may choose, to follow a field's or parameter's name.
pub const ID_RULE: &str = "must be 1 to 64 of A-Z a-z 0-9 . _ : @ - and not only dots";

/// How much of a text that a client sent is shown in a message.
const SHOWN_MAX_CHARS: usize = 200;

/// Reads a body, which is one JSON object.
///
/// # Errors
/// The first error in it.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(_) => Err(explain::<T>(bytes)),
    }
}

#[cold]
fn explain<T: DeserializeOwned>(bytes: &[u8]) -> ReadError {
    // If the body is not JSON, that is the error, even if a wrong field comes before that point.
    // Nothing is kept of what is read here, so a large body costs no memory.
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
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
        Ok(_) => malformed_at(None, "The body has more bytes after the end of its JSON value.".into()),
    }
}

/// A number such as 1e999 is well-formed JSON; it is a value out of range.
fn is_too_large_a_number(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

fn malformed(error: &serde_json::Error) -> ReadError {
    malformed_at(None, format!("The body cannot be read as JSON: {error}."))
}

fn malformed_at(field: Option<String>, detail: String) -> ReadError {
    ReadError::Malformed { detail, field }
}

/// The error of one field, from serde's message about it.
fn at_field(path: &str, message: &str) -> ReadError {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let (path, message) = (cut(path), cut(message));
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    if let Some(name) = named(message, "unknown field `") {
        return ReadError::UnknownField { field: join(parent_of(path, name, parent), name) };
    }
    if let Some(name) = named(message, "missing field `") {
        return ReadError::field(join(path, name), "is required");
    }
    if let Some(name) = named(message, "duplicate field `") {
        let field = join(parent_of(path, name, parent), name);
        let detail = format!("`{field}` is given twice.");
        return malformed_at(Some(field), detail);
    }
    let field = if path == "." { "body" } else { path };
    let message = message.replace("expected i64", "expected a whole number");
    let message = message.replace("expected u32", "expected a whole number of 0 to 4294967295");
    ReadError::field(field, format!("is not valid: {message}"))
}

/// The beginning of a text that a client sent, for a message: an error must not be as long as the
/// body that it is about.
fn cut(text: &str) -> &str {
    text.char_indices().nth(SHOWN_MAX_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// The path of the object that holds the field. serde's path ends at the field or at that object,
/// depending on how far the parser came.
fn parent_of<'a>(path: &'a str, name: &str, parent: &'a str) -> &'a str {
    if path == name || path.ends_with(&format!(".{name}")) { parent } else { path }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() || path == "." { name.to_owned() } else { format!("{path}.{name}") }
}

/// The name that follows `before` in a message; all of the rest if the message was cut in the name.
fn named<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(before)?;
    let end = rest.find("`, ").or_else(|| rest.rfind('`')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// A JSON object and nothing else. A derived reader alone would also accept an array of the values.
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

/// A list of at most `MAX` items. Reading ends at the first item too many, so that a body of a
/// million items costs no more than a list.
#[derive(Debug)]
pub struct Bounded<T, const MAX: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = Bounded<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    if all.len() == MAX {
                        return Err(A::Error::custom(format_args!("more than {MAX} items")));
                    }
                    all.push(item);
                }
                Ok(Bounded(all))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A value that JSON writes as a string.
pub trait Word: Sized {
    /// What the value must be, to follow "expected" in a message.
    const EXPECTED: &'static str;
    /// Reads the value from the text of the string.
    ///
    /// # Errors
    /// What is wrong with the text, as part of a sentence for people.
    fn read(text: &str) -> Result<Self, String>;
}

/// The value among `all` whose name is `text`.
///
/// # Errors
/// What the text must be, as part of a sentence for people.
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

/// For `deserialize_with`: a word that is required.
pub fn word<'de, D: Deserializer<'de>, T: Word>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Words(PhantomData))
}

/// For `deserialize_with`, together with `default`: a word that may be absent or null.
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

/// For `deserialize_with`, together with `default`: a word that may be absent but not null, because
/// null is no amount.
pub fn given_word<'de, D: Deserializer<'de>, T: Word>(deserializer: D) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

/// For `deserialize_with`, together with `default`: a value that may be absent but not null,
/// because null is no amount.
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
    WorkspaceId "the id of a workspace",
    MemberId "the id of a member",
    WorkerId "the id of a worker",
    OperationId "the id of an operation",
    MeterId "the id of a meter",
    PlanId "the id of a plan",
    IdempotencyKey "an idempotency key",
}

/// A free text: not blank, at most [`bounds::TEXT_MAX_CHARS`] characters long.
#[derive(Debug)]
pub struct ShortText(pub Box<str>);

impl Word for ShortText {
    const EXPECTED: &'static str = "a text";
    fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the text must not be empty".into());
        }
        if text.chars().nth(bounds::TEXT_MAX_CHARS).is_some() {
            return Err(format!("the text is longer than {} characters", bounds::TEXT_MAX_CHARS));
        }
        Ok(ShortText(text.into()))
    }
}

/// A display name: a free text without control characters, so that it can stand in an e-mail
/// header, and without characters that are invisible or change the direction of the text, so that
/// it is read as it is written.
#[derive(Debug)]
pub struct DisplayName(pub Box<str>);

impl Word for DisplayName {
    const EXPECTED: &'static str = "a name";
    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("the text must not have control characters".into());
        }
        if text.chars().any(is_format) {
            return Err("the text must not have invisible characters or marks of direction".into());
        }
        ShortText::read(text).map(|ShortText(text)| DisplayName(text))
    }
}

/// Whether a character formats the text around it. The two joiners are allowed, because words of
/// several scripts and many emoji need them.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    )
}

/// An e-mail address: a name, one `@` and a host, without blanks. Only the form is checked here.
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

/// An absolute HTTP URL, at most [`bounds::URL_MAX_BYTES`] long, that a browser can be sent to.
#[derive(Debug)]
pub struct WebUrl(pub Box<str>);

impl Word for WebUrl {
    const EXPECTED: &'static str = "an absolute URL that begins with http:// or https://";
    fn read(text: &str) -> Result<Self, String> {
        let right = text.len() <= bounds::URL_MAX_BYTES && is_url(text, &["http", "https"]);
        if right { Ok(WebUrl(text.into())) } else { Err(format!("this is not {}", Self::EXPECTED)) }
    }
}

/// The longest tag of a language.
const LOCALE_MAX_BYTES: usize = 35;

/// The tag of a language (BCP 47), such as `de` or `en-GB`.
#[derive(Debug)]
pub struct Locale(pub Box<str>);

impl Word for Locale {
    const EXPECTED: &'static str = "the tag of a language such as \"de\" or \"en-GB\"";
    fn read(text: &str) -> Result<Self, String> {
        let is_part = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let right = text.len() <= LOCALE_MAX_BYTES && text.split('-').all(is_part);
        if right { Ok(Locale(text.into())) } else { Err(format!("this is not {}", Self::EXPECTED)) }
    }
}

/// A word that is an item of a list.
#[derive(Debug)]
pub struct Each<T>(pub T);

impl<'de, T: Word> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer).map(Each)
    }
}

/// An IANA time zone that the engine's calendar knows.
#[derive(Debug)]
pub struct Timezone(pub Box<str>);

impl Word for Timezone {
    const EXPECTED: &'static str = "a time zone of the IANA database such as \"Europe/Berlin\"";
    fn read(text: &str) -> Result<Self, String> {
        // The longest name in the IANA database has 32 characters, so this bound excludes none.
        if text.len() <= bounds::NAME_MAX_BYTES && tollkeeper_engine::is_known_timezone(text) {
            Ok(Timezone(text.into()))
        } else {
            Err(format!("this is not {}", Self::EXPECTED))
        }
    }
}

/// An amount that is given as an exact decimal text of dollars.
#[derive(Clone, Copy, Debug)]
pub struct Dollars(pub Micros);

impl Word for Dollars {
    const EXPECTED: &'static str = "a decimal text of dollars such as \"12.50\"";
    fn read(text: &str) -> Result<Self, String> {
        Micros::from_usd(text).map(Dollars).map_err(|error| format!("the text is {error}"))
    }
}

/// A time in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Instant(pub Timestamp);

impl Word for Instant {
    const EXPECTED: &'static str = "a time such as \"2026-11-23T15:04:05Z\"";
    fn read(text: &str) -> Result<Self, String> {
        read_time(text).map(Instant).ok_or_else(|| format!("this is not {}", Self::EXPECTED))
    }
}

/// The names of the two fields that can give one amount.
#[derive(Clone, Copy, Debug)]
pub struct AmountFields<'a> {
    /// The field in micro-units.
    pub micros: &'a str,
    /// The field in dollars.
    pub usd: &'a str,
}

/// `amount` and `amount_usd`, the usual names.
pub const AMOUNT: AmountFields<'static> = AmountFields { micros: "amount", usd: "amount_usd" };

/// The amount that is given in one of two fields; `None` if it is given in neither.
///
/// # Errors
/// The amount is given in both fields.
pub fn optional_amount(
    fields: AmountFields<'_>,
    micros: Option<i64>,
    dollars: Option<Dollars>,
) -> Result<Option<Micros>, ReadError> {
    match (micros, dollars) {
        (Some(_), Some(_)) => Err(ReadError::field(
            fields.usd,
            format!("cannot be given together with `{}`; give one of the two", fields.micros),
        )),
        (Some(micros), None) => Ok(Some(Micros::new(micros))),
        (None, Some(Dollars(amount))) => Ok(Some(amount)),
        (None, None) => Ok(None),
    }
}

/// Like [`optional_amount`], for an amount that is required.
///
/// # Errors
/// The amount is given in both fields or in neither.
pub fn amount(
    fields: AmountFields<'_>,
    micros: Option<i64>,
    dollars: Option<Dollars>,
) -> Result<Micros, ReadError> {
    optional_amount(fields, micros, dollars)?
        .ok_or_else(|| ReadError::field(fields.micros, format!("is required (or `{}`)", fields.usd)))
}
