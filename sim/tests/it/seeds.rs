//! Random commands by seed, answered by an engine and by the reference model.
//!
//! A normal run uses a fixed set of seeds; with `TOLLKEEPER_LONG_TESTS=1`, which `./check` sets,
//! four times as many; with `TOLLKEEPER_SEEDS=N` the first N. A seed that ever failed is listed in
//! `sim/seeds.txt`, with the reason, and runs always.

use std::collections::BTreeMap;

use tollkeeper_sim::differential;
use tollkeeper_sim::engines::embedded;
use tollkeeper_sim::engines::memory::Memory;
use tollkeeper_sim::model::Fact;
use tollkeeper_testkit::scratch::Scratch;

/// Steps of one run: about a month of simulated time, and few enough for the slow model.
const STEPS: usize = 300;

/// How many times as many seeds a long run has.
const LONG: u64 = 4;

/// True if tests run everything that they know, not what is worth its time every day.
pub fn is_long() -> bool {
    std::env::var_os("TOLLKEEPER_LONG_TESTS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The seeds to run: the first `count_by_default`, or as many as the environment says, and those
/// that ever failed.
pub fn seeds(count_by_default: u64) -> Vec<u64> {
    let count = match std::env::var("TOLLKEEPER_SEEDS") {
        Ok(count) => count.parse().expect("TOLLKEEPER_SEEDS is a number"),
        Err(_) if is_long() => LONG * count_by_default,
        Err(_) => count_by_default,
    };
    let failed = include_str!("../../seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let failed = failed.filter_map(|line| line.split_whitespace().next());
    let failed = failed.map(|seed| seed.parse().expect("a line of seeds.txt begins with a seed"));
    (0..count).chain(failed).collect()
}

/// All answers that must occur, so that a change of the workload leaves out no rule.
const ANSWERS: [&str; 35] = [
    "api_key_not_found",
    "charge_already_refunded",
    "charge_already_settled",
    "charge_not_found",
    "debt_outstanding",
    "forbidden",
    "grant_not_found",
    "grant_was_paid",
    "idempotency_key_reused",
    "insufficient_credits",
    "invalid_field",
    "last_admin",
    "limit_exceeded",
    "member_exists",
    "member_not_found",
    "nothing_due",
    "nothing_to_refund",
    "operation_not_found",
    "payment_method_required",
    "payment_unmatched",
    "plan_interval_differs",
    "plan_not_found",
    "portal_link_expired",
    "recipient_not_found",
    "refund_exceeds_charge",
    "refund_window_closed",
    "replay",
    "subscription_exists",
    "subscription_not_found",
    "top_up_not_found",
    "unauthenticated",
    "workspace_exists",
    "workspace_not_found",
    "workspace_suspended",
    "yes",
];

#[test]
fn the_ledger_agrees_with_the_model() {
    let mut answers = BTreeMap::<&str, u64>::new();
    let mut kinds = BTreeMap::<&str, u64>::new();
    let mut bought = 0;
    for seed in seeds(150) {
        let batch = 1 + (seed % 3) as usize * 7;
        let diff = differential::run(&Memory::default(), seed, STEPS, batch);
        let diff = diff.unwrap_or_else(|difference| panic!("{difference}"));
        for (answer, count) in diff.answers {
            *answers.entry(answer).or_default() += count;
        }
        for line in diff.model.pools.values().flat_map(|pool| &pool.lines) {
            bought += u64::from(matches!(line.fact, Fact::TopUpOpened { charge: Some(_), .. }));
            *kinds.entry(line.fact.kind().as_str()).or_default() += 1;
        }
    }
    assert_eq!(answers.keys().copied().collect::<Vec<_>>(), ANSWERS, "{answers:?}");
    assert!(bought > 20, "charges bought credit by themselves {bought} times");
    assert_eq!(kinds.len(), 64, "{kinds:?}");
    println!("{answers:?}\n{kinds:?}");
}

#[test]
fn the_embedded_engine_agrees_with_the_model() {
    for seed in seeds(5) {
        let scratch = Scratch::new();
        if let Err(difference) = embedded::run(scratch.path(), seed, STEPS) {
            panic!("{difference}");
        }
    }
}

#[test]
fn the_embedded_engine_with_its_threads_agrees_with_the_model() {
    for seed in seeds(3) {
        let scratch = Scratch::new();
        if let Err(difference) = embedded::run_threaded(scratch.path(), seed, STEPS) {
            panic!("{difference}");
        }
    }
}
