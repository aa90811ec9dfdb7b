//! What an answer of the upstream means for the charge.

use axum::http::StatusCode;

/// What becomes of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The operation ran. The credit is kept.
    Succeeded,
    /// The operation failed because of what was asked. The credit is kept.
    UserFailed(u16),
    /// The operation failed because of the system. The credit goes back.
    SystemFailed(Failure),
}

/// Why an operation failed because of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The upstream answered with this status.
    Status(u16),
    /// The upstream could not be reached, or broke the connection.
    Connection,
    /// The answer was not complete within the time-out of the route.
    TimeOut,
    /// The request of the client did not arrive completely.
    Request,
    /// The client hung up before it had a byte of a metered answer.
    Client,
    /// A metered answer has no usage.
    NoUsage,
    /// A metered operation used nothing that has a price.
    NothingUsed,
    /// The answer says that the operation failed.
    Answer,
    /// The operation has no price for a meter of its route.
    Misconfigured,
}

impl Outcome {
    /// The outcome of an answer with this status, if it arrives completely. Failures of a client
    /// that a retry mends count as those of the system: 408, 425 and 429.
    #[must_use]
    pub fn of(status: StatusCode) -> Outcome {
        match status.as_u16() {
            408 | 425 | 429 => Outcome::SystemFailed(Failure::Status(status.as_u16())),
            400..=499 => Outcome::UserFailed(status.as_u16()),
            100..=399 => Outcome::Succeeded,
            _ => Outcome::SystemFailed(Failure::Status(status.as_u16())),
        }
    }

    /// The text that the journal keeps with a failure.
    #[must_use]
    pub fn detail(self) -> Option<String> {
        let text = match self {
            Outcome::Succeeded => return None,
            Outcome::UserFailed(status) | Outcome::SystemFailed(Failure::Status(status)) => {
                return Some(format!("The upstream answered {status}."));
            }
            Outcome::SystemFailed(Failure::Connection) => "The connection to the upstream failed.",
            Outcome::SystemFailed(Failure::TimeOut) => "The upstream took longer than the time-out.",
            Outcome::SystemFailed(Failure::Request) => "The request did not arrive completely.",
            Outcome::SystemFailed(Failure::Client) => "The client hung up before the answer began.",
            Outcome::SystemFailed(Failure::NoUsage) => "The answer of the upstream has no usage.",
            Outcome::SystemFailed(Failure::NothingUsed) => "The upstream used nothing that has a price.",
            Outcome::SystemFailed(Failure::Answer) => "The answer of the upstream is an error.",
            Outcome::SystemFailed(Failure::Misconfigured) => {
                "The price book has no price for a meter of the route."
            }
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_about_the_charge() {
        let of = |status: u16| Outcome::of(StatusCode::from_u16(status).expect("a status"));
        for status in [101, 200, 201, 204, 206, 301, 304] {
            assert_eq!(of(status), Outcome::Succeeded, "{status}");
        }
        for status in [400, 401, 403, 404, 409, 413, 422, 451] {
            assert_eq!(of(status), Outcome::UserFailed(status), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599, 600] {
            assert_eq!(of(status), Outcome::SystemFailed(Failure::Status(status)), "{status}");
        }
    }

    #[test]
    fn a_failure_is_explained_in_the_journal() {
        assert_eq!(Outcome::Succeeded.detail(), None);
        assert_eq!(Outcome::UserFailed(422).detail().as_deref(), Some("The upstream answered 422."));
        let time_out = Outcome::SystemFailed(Failure::TimeOut).detail().expect("it failed");
        assert!(time_out.contains("time-out"), "{time_out}");
    }
}
