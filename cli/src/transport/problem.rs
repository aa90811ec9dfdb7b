//! The API's refusals in a terminal: what the problem document says, its numbers in both units, and what to do about it.

use serde_json::Value;

use super::request::Answer;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{cell, plain};

/// Members every problem has; the others are its own and are shown.
const COMMON: [&str; 6] = ["type", "title", "status", "detail", "code", "retryable"];

/// The failure that a refusing answer stands for.
pub fn failure(answer: &Answer) -> Failure {
    let Some(problem) = serde_json::from_str::<Value>(&answer.text).ok().filter(Value::is_object) else {
        return Failure::new(Exit::NotNow, "the answer is not one of Tollkeeper's")
            .because(format!("HTTP status {}", answer.status))
            .hint("is the address that of a Tollkeeper server?");
    };
    let code = problem["code"].as_str().unwrap_or("unknown");
    let said = ["detail", "title", "code"].iter().find_map(|name| problem[*name].as_str());
    let error = plain(said.unwrap_or("refused").trim_end_matches('.'));
    let failure = Failure::new(exit(answer.status, code), error).because(cause(&problem, code));
    match hint(code) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn exit(status: u16, code: &str) -> Exit {
    match (status, code) {
        (400 | 413 | 415, _) | (_, "invalid_field") => Exit::Usage,
        (429 | 500.., _) => Exit::NotNow,
        _ => Exit::No,
    }
}

/// The code and the problem's own members: `insufficient_credits: required 20,000 (0.20 USD), …`.
fn cause(problem: &Value, code: &str) -> String {
    let members = problem.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let own =
        members.filter(|name| !COMMON.contains(name) && !name.ends_with("_usd") && !problem[*name].is_null());
    let own: Vec<String> = own.map(|name| format!("{name} {}", cell(problem, name))).collect();
    if own.is_empty() { code.into() } else { format!("{code}: {}", own.join(", ")) }
}

fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "insufficient_credits" => "add credits: tollkeeper grant create WORKSPACE --usd 10 --reason TEXT",
        "debt_outstanding" => "the next grant repays the debt first; then charges pass again",
        "workspace_suspended" => "tollkeeper workspace update WORKSPACE --resume",
        "workspace_not_found" => "tollkeeper workspace list shows what there is",
        "workspace_exists" => "tollkeeper workspace update WORKSPACE describes it anew",
        "operation_not_found" => "tollkeeper prices show lists the operations",
        "charge_not_found" => "tollkeeper charge list WORKSPACE shows what there is",
        "charge_already_settled" | "charge_already_refunded" | "refund_exceeds_charge" => {
            "tollkeeper charge show WORKSPACE CHARGE says what stands"
        }
        "refund_window_closed" => "tollkeeper charge refund WORKSPACE CHARGE --reason TEXT still can",
        "grant_not_found" => "tollkeeper grant list WORKSPACE shows what there is",
        "limit_exceeded" => "tollkeeper limits show WORKSPACE says what is used and when it begins anew",
        "member_not_found" => "tollkeeper member list WORKSPACE shows who there is",
        "member_exists" => "tollkeeper member change WORKSPACE MEMBER describes a member anew",
        "last_admin" => "tollkeeper member change WORKSPACE MEMBER --role admin makes another one",
        "api_key_not_found" => "tollkeeper key list WORKSPACE shows what there is",
        "idempotency_key_reused" => {
            "the key stands for another request: choose another --key, or repeat the first request as it was"
        }
        "unauthenticated" => "TOLLKEEPER_KEY (or TOLLKEEPER_PLATFORM_KEY) must hold a key that opens this",
        "forbidden" => "`tollkeeper key list WORKSPACE` shows the scopes of each key, and whom it is tied to",
        "rate_limited" => "nothing was done: wait so long and repeat it",
        "overloaded" => "nothing was done: try again in a moment",
        "not_found" => "is the address that of a Tollkeeper server, without a path?",
        "invalid_field" | "invalid_parameter" | "unknown_field" | "malformed_json" | "body_too_large" => {
            "the command's --help says what is allowed"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_that_a_command_can_meet_says_what_helps() {
        let met = "insufficient_credits limit_exceeded debt_outstanding workspace_suspended workspace_not_found \
                   workspace_exists charge_not_found charge_already_settled charge_already_refunded \
                   refund_exceeds_charge refund_window_closed operation_not_found grant_not_found member_not_found \
                   member_exists last_admin api_key_not_found idempotency_key_reused unauthenticated forbidden \
                   rate_limited overloaded invalid_field invalid_parameter unknown_field malformed_json \
                   body_too_large not_found";
        let silent: Vec<&str> = met.split_whitespace().filter(|code| hint(code).is_none()).collect();
        assert_eq!(silent, Vec::<&str>::new());
    }

    #[test]
    fn the_exit_code_tells_a_no_from_a_not_now() {
        assert_eq!(exit(402, "insufficient_credits"), Exit::No);
        assert_eq!(exit(404, "workspace_not_found"), Exit::No);
        assert_eq!(exit(422, "idempotency_key_reused"), Exit::No);
        assert_eq!(exit(422, "invalid_field"), Exit::Usage);
        assert_eq!(exit(400, "unknown_field"), Exit::Usage);
        assert_eq!(exit(402, "limit_exceeded"), Exit::No);
        assert_eq!(exit(429, "rate_limited"), Exit::NotNow);
        assert_eq!(exit(503, "store_unavailable"), Exit::NotNow);
        assert_eq!(exit(500, "internal"), Exit::NotNow);
    }
}
