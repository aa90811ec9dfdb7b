//! Runs the stand-in for Stripe for a program in another language, such as the official SDK.
//!
//! The first line on standard output is the address as JSON. Each line on standard input is one
//! control, its words separated by spaces; the answer is one line of JSON. It ends with the input.

use std::io::{BufRead, Write};

use serde_json::{Value, json};
use tollkeeper_testkit::stripe::{Card, Fault, Options, StripeStandIn};

fn main() {
    let stripe = StripeStandIn::start(Options::default());
    answer(&json!({"base_url": stripe.base_url(), "now": stripe.now()}));
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("the input is text");
        let words: Vec<&str> = line.split(' ').collect();
        let (control, words) = words.split_first().expect("a line has a word");
        answer(&carry_out(&stripe, control, words));
    }
}

/// Writes one line. A reader that is gone ends the program.
fn answer(value: &Value) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{value}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

fn number(word: &str) -> i64 {
    word.parse().expect("the control names a number")
}

fn card(word: &str) -> Card {
    Card::by_number(word).expect("the control names a test card by its number")
}

fn fault(word: &str) -> Fault {
    match word {
        "error_before" => Fault::ErrorBefore,
        "error_after" => Fault::ErrorAfter,
        "saved_error" => Fault::SavedError,
        "rate_limited" => Fault::RateLimited,
        "cut_after" => Fault::CutAfter,
        other => panic!("there is no fault {other}"),
    }
}

fn carry_out(stripe: &StripeStandIn, control: &str, words: &[&str]) -> Value {
    match (control, words) {
        ("advance", [seconds]) => stripe.advance(number(seconds)),
        ("pay_checkout", [session, number]) => {
            let paid = stripe.pay_checkout(session, card(number));
            return json!({"declined": paid.err().map(|decline| decline.code)});
        }
        ("pay_checkout_delayed", [session]) => return json!(stripe.pay_checkout_delayed(session)),
        ("settle_delayed", [intent, succeeds]) => stripe.settle_delayed(intent, *succeeds == "true"),
        ("authenticate", [intent]) => stripe.authenticate(intent),
        ("set_card", [method, number]) => stripe.set_card(method, card(number)),
        ("set_tax", [basis_points]) => stripe.set_tax_basis_points(number(basis_points)),
        ("pending_refunds", []) => stripe.set_refund_status("pending"),
        ("refunds_need_action", []) => stripe.set_refund_status("requires_action"),
        ("finish_refund", [refund, status]) => stripe.finish_refund(refund, status),
        ("open_dispute", [intent, cents, status]) => {
            return json!(stripe.open_dispute(intent, number(cents), status));
        }
        ("set_dispute_status", [dispute, status]) => stripe.set_dispute_status(dispute, status),
        ("warn_of_fraud", [intent]) => return json!(stripe.warn_of_fraud(intent)),
        ("fail_next", [method, path, name]) => stripe.fail_next(method, path, fault(name)),
        ("objects", [kind]) => return json!(stripe.objects(kind)),
        ("events", []) => {
            let webhooks = stripe.pending_events().into_iter().map(|webhook| {
                let body = String::from_utf8(webhook.body).expect("a body is JSON");
                json!({"kind": webhook.kind, "headers": webhook.headers, "body": body})
            });
            return json!(webhooks.collect::<Vec<_>>());
        }
        ("endpoints", []) => return json!(StripeStandIn::endpoints()),
        ("requests", []) => {
            let lines = stripe.requests().into_iter().map(|request| {
                json!({"method": request.method, "path": request.path, "status": request.status,
                    "replayed": request.replayed, "key": request.idempotency_key()})
            });
            return json!(lines.collect::<Vec<_>>());
        }
        _ => panic!("there is no control {control} with {} words", words.len()),
    }
    Value::Null
}
