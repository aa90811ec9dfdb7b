//! Why a call has no answer: a problem that the server reports, a broken connection, a deadline.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::code::Code;
use crate::types::Object;

/// Why a call failed, after the last attempt.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the request, or could not do it.
    Problem(Box<Problem>),
    /// There was no connection, or it broke before the whole answer had arrived.
    Connection {
        /// Whether the request may have reached the server.
        may_have_arrived: bool,
        /// What the connection reported.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer arrived in time. The request may have been carried out.
    TimedOut {
        /// The deadline that passed: of an attempt, or of the whole call.
        after: Duration,
    },
    /// Something between client and server answered, or a server of another kind.
    UnexpectedAnswer {
        /// The HTTP status.
        status: u16,
        /// Why the answer cannot be used, or how it begins.
        detail: String,
        /// How long the answer asks to wait, in `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The request cannot be sent: an address, key or field that is not valid.
    InvalidRequest(String),
}

impl Error {
    /// The problem that the server reported, if it was one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The code of the problem that the server reported, if it was one.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        self.problem().map(|problem| &problem.code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Problem(problem) => problem.fmt(f),
            Error::Connection { source, .. } => {
                write!(f, "no connection to the server")?;
                causes(source.as_ref()).try_for_each(|cause| write!(f, ": {cause}"))
            }
            Error::TimedOut { after } => write!(f, "no answer within {} ms", after.as_millis()),
            Error::UnexpectedAnswer { status, detail, .. } => {
                write!(f, "the answer with status {status} cannot be used: {detail}")
            }
            Error::InvalidRequest(reason) => write!(f, "the request cannot be sent: {reason}"),
        }
    }
}

// The text of a broken connection has all its causes, so none is returned as a source.
impl std::error::Error for Error {}

/// An error and its causes, outermost first.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// An error that the server reports (RFC 9457). Programs compare [`Problem::code`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// The HTTP status.
    pub status: u16,
    /// The title of the kind of problem, for people.
    pub title: String,
    /// What happened in this case, in a sentence for people.
    pub detail: String,
    /// Whether the same request under the same key may succeed a moment later.
    pub retryable: bool,
    /// How long the server asks to wait, in `Retry-After`.
    pub retry_after: Option<Duration>,
    /// All fields of the problem, also those of its code, such as `shortfall`.
    pub fields: Object,
}

impl Problem {
    /// The problem with these fields. `None` if the fields are not those of a problem.
    pub(crate) fn of_fields(fields: Object) -> Option<Problem> {
        let text = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
        let status = fields.get("status")?.as_u64()?;
        Some(Problem {
            code: Code::from(text("code")?.as_str()),
            status: u16::try_from(status).ok()?,
            title: text("title").unwrap_or_default(),
            detail: text("detail").unwrap_or_default(),
            retryable: fields.get("retryable").and_then(Value::as_bool).unwrap_or(false),
            retry_after: None,
            fields,
        })
    }

    /// A field of the problem that is an integer, such as `shortfall` in micro-units.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.fields.get(name)?.as_i64()
    }

    /// A field of the problem that is a text, such as `add_credits_url`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code.as_str(), self.status, self.detail)
    }
}

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Problem, D::Error> {
        let fields = Object::deserialize(input)?;
        Problem::of_fields(fields)
            .ok_or_else(|| serde::de::Error::custom("a problem has a code and a status"))
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(output)
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use crate::code::Code;

    #[test]
    fn unknown_codes_and_fields_are_kept() {
        let text = r#"{"code":"too_early","status":425,"retryable":true,"detail":"Wait.","moon":3}"#;
        let problem: Problem = serde_json::from_str(text).expect("it is a problem");
        assert_eq!(problem.code, Code::Other("too_early".into()));
        assert_eq!((problem.status, problem.integer("moon"), problem.retryable), (425, Some(3), true));
        assert!(serde_json::from_str::<Problem>(r#"{"status": 500}"#).is_err());
    }
}
