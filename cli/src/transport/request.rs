//! One request of the HTTP API, and its answer, wherever it goes: over the network (`remote`) or to a data directory in
//! this process (`local`). Every data command is such a request, so that words, refusals and JSON are the same.

use serde_json::{Map, Value};

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::remark;

/// What the request does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads: works beside a running server.
    Reads,
    /// Writes into what exists.
    Writes,
    /// Writes, and may begin a new data directory.
    Begins,
}

/// A request of the API.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: &'static str,
    /// With its query; every part that a user gave is encoded.
    pub path: String,
    /// JSON.
    pub body: Option<Value>,
    /// The idempotency key.
    pub key: Option<String>,
    /// What it does to the data.
    pub access: Access,
}

/// The answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// Whether it is the first answer again.
    pub replayed: bool,
    /// JSON, as it came.
    pub text: String,
}

impl Request {
    /// Reads something.
    pub fn get(path: String) -> Request {
        Request { method: "GET", path, body: None, key: None, access: Access::Reads }
    }

    /// Writes something.
    pub fn write(method: &'static str, path: String, body: Value) -> Request {
        Request { method, path, body: Some(body), key: None, access: Access::Writes }
    }

    /// Ends something.
    pub fn delete(path: String) -> Request {
        Request { method: "DELETE", path, body: None, key: None, access: Access::Writes }
    }

    /// Says what it does to the data, where the method does not.
    pub fn that(mut self, access: Access) -> Request {
        self.access = access;
        self
    }

    /// What to do when it is not known whether it was done.
    pub fn again(&self) -> &'static str {
        let same_twice = self.method != "POST" || self.path.ends_with("/outcome");
        match &self.key {
            _ if self.access == Access::Reads => "try again in a moment",
            Some(_) => "repeat it under the same key: whether it was done or not, it is done once",
            None if same_twice => "it may or may not have been done; repeat it: twice is the same as once",
            None => "it may or may not have been done: look at what is there before you repeat it",
        }
    }

    /// Makes it safe to repeat: under the given key, or one of our own, which is said before anything is sent.
    pub fn under(mut self, key: Option<String>) -> Result<Request, Failure> {
        let key = match key {
            Some(key) => key,
            None => {
                let key = format!("cli-{}", random_hex()?);
                remark(&format!("idempotency key: {key} (repeat safely with --key {key})"));
                key
            }
        };
        self.key = Some(key);
        Ok(self)
    }
}

/// 128 bits of chance as 32 hexadecimal digits.
pub fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|why| Failure::new(Exit::NotNow, "the system gives no random numbers").because(why))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A path of segments, each encoded, so that no name can reach another resource.
pub fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", encoded(segment))).collect()
}

/// The query of the parameters that were given.
pub fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Reads JSON given as an option.
pub fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// A JSON object of the fields that were given.
pub fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // "." and ".." as whole segments would be taken for directions.
    let dots = text.bytes().all(|byte| byte == b'.');
    for byte in text.bytes() {
        let stays = byte.is_ascii_alphanumeric() || b"-_~:@".contains(&byte) || (byte == b'.' && !dots);
        if stays {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_reach_another_resource() {
        assert_eq!(path(&["v1", "workspaces", "a/../b?c#d"]), "/v1/workspaces/a%2F..%2Fb%3Fc%23d");
        assert_eq!(path(&["v1", ".."]), "/v1/%2E%2E");
        assert_eq!(path(&["acme.shop_1:eu@x-Y"]), "/acme.shop_1:eu@x-Y");
    }

    #[test]
    fn only_what_was_given_is_asked() {
        assert_eq!(query(&[("limit", None), ("cursor", None)]), "");
        assert_eq!(
            query(&[("limit", Some("5".into())), ("cursor", Some("a b".into()))]),
            "?limit=5&cursor=a%20b"
        );
    }
}
