//! Same key, same answer (i07): a replay is looked for after the authorization of the caller and
//! before all other refusals. If the request differs, the refusal names the field.

use super::check;

#[test]
fn a_repeated_request_is_a_replay_after_any_other_change() {
    check(
        "
        grant promotional 500 key=g
        charge message key=c
        charge message key=c => replay
        charge message key=d => no insufficient_credits 0 of 500, affords 0
        refund c1 key=r
        refund c1 key=r => replay
        charge message key=c => replay
        void g1 key=v
        void g1 key=v => replay
        update suspended=true
        prices other=1
        wait 40d
        charge message key=c => replay
        grant promotional 500 key=g => replay
        charge message key=d => no workspace_suspended
        balance => 0
        ",
    );
}

#[test]
fn a_refused_request_may_succeed_later() {
    check(
        "
        charge message key=c => no insufficient_credits 0 of 500, affords 0
        grant promotional 500
        charge message key=c => charged 500 g1:500
        charge message key=c => replay
        ",
    );
}

#[test]
fn a_key_belongs_to_one_request_and_the_field_that_differs_is_named() {
    let asked = "message x2 worker=w member=m await timeout=9 ref=r meta={} key=k";
    let check_differs = |words: &str, field: &str| {
        check(&format!(
            "
            grant promotional 100_000
            new_key charge
            charge {asked}
            charge {asked} => replay
            charge {asked} by=k1 => replay
            charge {words} key=k => no idempotency_key_reused {field}
            "
        ));
    };
    check_differs("nothing x0", "member");
    check_differs("nothing x2 worker=w member=m await timeout=9 ref=r meta={}", "operation");
    check_differs("message x3 worker=w member=m await timeout=9 ref=r meta={}", "quantity");
    check_differs("message x2 member=m await timeout=9 ref=r meta={}", "worker");
    check_differs("message x2 worker=w member=n await timeout=9 ref=r meta={}", "member");
    check_differs("message x2 worker=w member=m timeout=9 ref=r meta={}", "await_outcome");
    check_differs(
        "message x2 worker=w member=m await by_platform timeout=9 ref=r meta={}",
        "outcome_by_platform",
    );
    check_differs("message x2 worker=w member=m await ref=r meta={}", "timeout_seconds");
    check_differs("message x2 worker=w member=m await timeout=9 meta={}", "reference");
    check_differs("message x2 worker=w member=m await timeout=9 ref=r", "metadata");
}

#[test]
fn grants_voids_and_refunds_name_the_field_that_differs() {
    check(
        "
        grant promotional 1_000 reason=welcome key=g
        grant adjustment 1_000 reason=welcome key=g => no idempotency_key_reused source
        grant promotional 1_001 reason=welcome key=g => no idempotency_key_reused amount
        grant promotional 1_000 key=g => no idempotency_key_reused reason
        grant promotional 1_000 reason=welcome key=g => replay

        grant promotional 1_000
        void g1 reason=wrong key=v
        void g2 reason=wrong key=v => no idempotency_key_reused grant
        void g1 reason=other key=v => no idempotency_key_reused reason
        void g1 reason=wrong key=v => replay

        charge message
        charge message
        refund c1 100 key=r
        refund c2 100 key=r => no idempotency_key_reused charge
        refund c1 101 key=r => no idempotency_key_reused amount
        refund c1 key=r => no idempotency_key_reused amount
        refund c1 100 reason=other key=r => no idempotency_key_reused reason
        refund c1 100 key=r => replay

        grant top_up 1_000 origin=pay_1 paid=10
        grant top_up 1_000 origin=pay_1 paid=11 => no idempotency_key_reused paid_cents
        grant top_up 1_000 origin=pay_1 paid=10 => replay
        ",
    );
}

#[test]
fn a_key_used_for_another_kind_of_request_is_refused() {
    check(
        "
        grant promotional 1_000 key=k
        charge message key=k => no idempotency_key_reused path
        void g1 key=k => no idempotency_key_reused path
        charge message key=c
        refund c1 key=c => no idempotency_key_reused path
        grant promotional 1_000 key=c => no idempotency_key_reused path
        ",
    );
}

#[test]
fn a_caller_cannot_choose_a_derived_key() {
    use crate::{IdempotencyKey, NameError};
    let taken = IdempotencyKey::new("\u{1}top_up:pay_1");
    assert_eq!(taken, Err(NameError::Character('\u{1}')));
}
