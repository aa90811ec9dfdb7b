//! One request of the HTTP API and its answer, before it is known who answers it: a server over the
//! network (`remote`) or a store in this process (`local`).

use axum::http::HeaderMap;
use serde_json::{Map, Value};
use tollkeeper_ledger::IdempotencyKey;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::remark;

/// How a request uses a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It only reads, which also works while a server uses the same data directory.
    Reads,
    /// It writes to a store that exists.
    Writes,
    /// It writes, and creates the data directory if there is none.
    Creates,
}

/// A request of the API.
#[derive(Debug)]
pub struct Request {
    /// The HTTP method, such as `POST`.
    pub method: &'static str,
    /// The path with its query; every part that the user gave is percent-encoded.
    pub path: String,
    /// The body, `None` for a request without one.
    pub body: Option<Value>,
    /// The idempotency key, for a request that moves credit.
    pub key: Option<String>,
    /// How it uses the store.
    pub access: Access,
    /// The media type of the answer.
    pub accept: &'static str,
    /// True if the answer may take as long as reading the whole journal.
    pub is_long: bool,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// True if the answer repeats the first answer to the same idempotency key.
    pub replayed: bool,
    /// The status that the charge of a repeated answer has now.
    pub charge_status: Option<String>,
    /// The body, which is JSON unless the request accepts another type.
    pub text: String,
}

impl Answer {
    /// An answer, with what its headers say of a repeated request.
    pub fn new(status: u16, headers: &HeaderMap, text: String) -> Answer {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let replayed = header("idempotent-replayed") == Some("true");
        let charge_status = header("tollkeeper-charge-status").map(str::to_owned);
        Answer { status, replayed, charge_status, text }
    }
}

impl Request {
    fn new(method: &'static str, path: String, body: Option<Value>, access: Access) -> Request {
        Request { method, path, body, key: None, access, accept: "application/json", is_long: false }
    }

    /// A GET request, which only reads.
    pub fn get(path: String) -> Request {
        Request::new("GET", path, None, Access::Reads)
    }

    /// A request that writes, with a JSON body.
    pub fn write(method: &'static str, path: String, body: Value) -> Request {
        Request::new(method, path, Some(body), Access::Writes)
    }

    /// A DELETE request, which writes and has no body.
    pub fn delete(path: String) -> Request {
        Request::new("DELETE", path, None, Access::Writes)
    }

    /// Sets how the request uses the store, where it does not follow from the method.
    pub fn with_access(mut self, access: Access) -> Request {
        self.access = access;
        self
    }

    /// What the user can do if it is unknown whether the request was executed.
    pub fn repeat_hint(&self) -> &'static str {
        let is_idempotent =
            self.method != "POST" || self.path.ends_with("/outcome") || self.path.ends_with("/confirm");
        match &self.key {
            _ if self.access == Access::Reads => "try again in a moment",
            Some(_) => "repeat the command with the same --key: it takes effect exactly once",
            None if is_idempotent => {
                "the command may have taken effect; repeat it: a second time changes nothing"
            }
            None => "the command may have taken effect: check that before you repeat it",
        }
    }

    /// Sets the idempotency key. Without one, makes a random key and prints it before the request
    /// is sent, so that the user can repeat the command.
    pub fn with_key(mut self, key: Option<String>) -> Result<Request, Failure> {
        let key = match key {
            // Checked here too: on the way to a server, HTTP would take blanks off its ends.
            Some(key) => match IdempotencyKey::new(&key) {
                Ok(_) => key,
                Err(why) => {
                    return Err(Failure::new(Exit::Usage, "--key is not an idempotency key").because(why));
                }
            },
            None => {
                let key = format!("cli-{}", random_hex()?);
                remark(&format!("idempotency key: {key} (to repeat this command safely, add --key {key})"));
                key
            }
        };
        self.key = Some(key);
        Ok(self)
    }
}

/// Returns 128 random bits as 32 hexadecimal digits.
pub fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|why| {
        Failure::new(Exit::Unavailable, "the system cannot provide random numbers").because(why)
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Joins percent-encoded segments to a path, so that a name cannot address another resource.
pub fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", encoded(segment))).collect()
}

/// Joins the given parameters to a query string with `?`; empty if none is given.
pub fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Parses an option whose value is JSON.
pub fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// Makes a JSON object of the fields that have a value.
pub fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // As a whole segment, "." or ".." would change the path.
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
    fn a_name_cannot_address_another_resource() {
        assert_eq!(path(&["v1", "workspaces", "a/../b?c#d"]), "/v1/workspaces/a%2F..%2Fb%3Fc%23d");
        assert_eq!(path(&["v1", ".."]), "/v1/%2E%2E");
        assert_eq!(path(&["acme.shop_1:eu@x-Y"]), "/acme.shop_1:eu@x-Y");
    }

    #[test]
    fn a_query_holds_only_the_given_parameters() {
        assert_eq!(query(&[("limit", None), ("cursor", None)]), "");
        assert_eq!(
            query(&[("limit", Some("5".into())), ("cursor", Some("a b".into()))]),
            "?limit=5&cursor=a%20b"
        );
    }
}
