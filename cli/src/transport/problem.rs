//! Turns a refusal of the API (a problem document, RFC 9457) into a failure: its detail as the
//! message, its code and members as the cause, and a hint what to do.

use serde_json::Value;

use super::request::Answer;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{cell, plain};

/// Members that every problem has. The others explain this refusal and are shown in the cause.
const COMMON: [&str; 6] = ["type", "title", "status", "detail", "code", "retryable"];

/// Returns the failure for an answer whose status is 300 or more.
pub fn failure(answer: &Answer) -> Failure {
    let Some(problem) = serde_json::from_str::<Value>(&answer.text).ok().filter(Value::is_object) else {
        return Failure::new(Exit::Unavailable, "the answer does not come from a Tollkeeper server")
            .because(format!("HTTP status {}", answer.status))
            .hint("check that the address is that of a Tollkeeper server");
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

/// The exit code of a refusal.
fn exit(status: u16, code: &str) -> Exit {
    match (status, code) {
        (400 | 413 | 415, _) | (_, "invalid_field") => Exit::Usage,
        (429 | 500.., _) => Exit::Unavailable,
        _ => Exit::No,
    }
}

/// Formats the code and the members of a problem, such as
/// `insufficient_credits: required 20,000 (0.20 USD), …`.
fn cause(problem: &Value, code: &str) -> String {
    let members = problem.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let own =
        members.filter(|name| !COMMON.contains(name) && !name.ends_with("_usd") && !problem[*name].is_null());
    let own: Vec<String> = own.map(|name| format!("{name} {}", cell(problem, name))).collect();
    if own.is_empty() { code.into() } else { format!("{code}: {}", own.join(", ")) }
}

/// What the user can do about a refusal, by its code.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "insufficient_credits" => "add credit: tollkeeper grant create WORKSPACE --usd 10 --reason TEXT",
        "debt_outstanding" => "charges are accepted again when a grant has repaid the debt",
        "workspace_suspended" => "accept charges again: tollkeeper workspace update WORKSPACE --resume",
        "workspace_not_found" => "tollkeeper workspace list shows all workspaces",
        "workspace_exists" => "change it with tollkeeper workspace update WORKSPACE",
        "operation_not_found" => "tollkeeper prices show lists the operations",
        "charge_not_found" => "tollkeeper charge list WORKSPACE shows the charges",
        "charge_already_settled" | "charge_already_refunded" | "refund_exceeds_charge" => {
            "tollkeeper charge show WORKSPACE CHARGE shows its status and refunds"
        }
        "refund_window_closed" => {
            "the platform can still refund it: tollkeeper charge refund WORKSPACE CHARGE --reason TEXT"
        }
        "grant_not_found" => "tollkeeper grant list WORKSPACE shows the grants",
        "top_up_not_found" => "tollkeeper top-up list WORKSPACE shows the top-ups",
        "plan_not_found" => "tollkeeper plans show lists the plans",
        "subscription_not_found" => "start one with tollkeeper subscription start WORKSPACE PLAN",
        "plan_interval_differs" => {
            "cancel it with tollkeeper subscription cancel WORKSPACE, and start the plan after its end"
        }
        "subscription_exists" => {
            "repeat the command in a moment; tollkeeper subscription show WORKSPACE shows it"
        }
        "position_lost" => {
            "tollkeeper entries WORKSPACE shows the journal; compare the hashes with those you know"
        }
        "too_many_followers" => "end another stream or waiting request of the workspace",
        "nothing_due" => {
            "tollkeeper subscription show WORKSPACE shows what waits; --change confirms a change"
        }
        "payment_method_required" | "payment_method_not_found" => {
            "tollkeeper payment-method link WORKSPACE makes a page on which a card is saved"
        }
        "auto_top_up_not_found" => "set them with tollkeeper auto-top-up set WORKSPACE",
        "nothing_to_refund" => "tollkeeper top-up show WORKSPACE TOP_UP shows whether it was paid",
        "grant_was_paid" => {
            "its credit goes back with its money: tollkeeper top-up refund WORKSPACE TOP_UP --reason TEXT"
        }
        "payment_provider_unavailable" => "repeat the command in a moment, with the same --key if it had one",
        "limit_exceeded" => "tollkeeper limits show WORKSPACE shows what is used and when each limit resets",
        "member_not_found" => "tollkeeper member list WORKSPACE shows the members",
        "recipient_not_found" => "tollkeeper alerts emails show WORKSPACE shows the recipients",
        "member_exists" => "change the member with tollkeeper member change WORKSPACE MEMBER",
        "last_admin" => {
            "make another member an admin first: tollkeeper member change WORKSPACE MEMBER --role admin"
        }
        "api_key_not_found" => "tollkeeper key list WORKSPACE shows the keys",
        "idempotency_key_reused" => {
            "this key was used for another request: choose another --key, or repeat the first request unchanged"
        }
        "unauthenticated" => "set TOLLKEEPER_KEY or TOLLKEEPER_PLATFORM_KEY to a valid key",
        "forbidden" => {
            "tollkeeper key list WORKSPACE shows the scopes of each key and the member or worker it is bound to"
        }
        "usage_too_large" => "ask for a shorter range (--from, --to) or for fewer keys (--by)",
        "timezone_not_counted" => "leave out --timezone, or name one whose days begin at a full hour of UTC",
        "rate_limited" => "nothing was done: wait that long, then repeat the command",
        "overloaded" => "nothing was done: try again in a few seconds",
        "not_found" => {
            "check that the address is that of a Tollkeeper server, without a path; pages to pay on need Stripe"
        }
        "invalid_field" | "invalid_parameter" | "unknown_field" | "malformed_json" | "body_too_large" => {
            "the --help of the command lists the allowed values"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_that_a_command_can_get_has_a_hint() {
        let codes = "insufficient_credits limit_exceeded debt_outstanding workspace_suspended workspace_not_found \
                   workspace_exists charge_not_found charge_already_settled charge_already_refunded \
                   refund_exceeds_charge refund_window_closed operation_not_found grant_not_found grant_was_paid nothing_to_refund top_up_not_found \
                   plan_not_found subscription_not_found subscription_exists plan_interval_differs nothing_due \
                   position_lost too_many_followers payment_method_required payment_method_not_found auto_top_up_not_found member_not_found recipient_not_found \
                   member_exists last_admin usage_too_large timezone_not_counted api_key_not_found idempotency_key_reused unauthenticated forbidden \
                   rate_limited overloaded payment_provider_unavailable invalid_field invalid_parameter unknown_field malformed_json \
                   body_too_large not_found";
        let without_hint: Vec<&str> = codes.split_whitespace().filter(|code| hint(code).is_none()).collect();
        assert_eq!(without_hint, Vec::<&str>::new());
    }

    #[test]
    fn the_exit_code_separates_refusals_from_temporary_failures() {
        assert_eq!(exit(402, "insufficient_credits"), Exit::No);
        assert_eq!(exit(404, "workspace_not_found"), Exit::No);
        assert_eq!(exit(422, "idempotency_key_reused"), Exit::No);
        assert_eq!(exit(422, "invalid_field"), Exit::Usage);
        assert_eq!(exit(400, "unknown_field"), Exit::Usage);
        assert_eq!(exit(402, "limit_exceeded"), Exit::No);
        assert_eq!(exit(429, "rate_limited"), Exit::Unavailable);
        assert_eq!(exit(503, "store_unavailable"), Exit::Unavailable);
        assert_eq!(exit(500, "internal"), Exit::Unavailable);
    }
}
