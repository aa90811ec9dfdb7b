//! Spending limits: whose spending counts, when a period starts, and how refunds count.

use super::check;

#[test]
fn each_limit_counts_the_spending_of_its_subject() {
    check(
        "
        grant promotional 100_000
        new_key charge
        limits workspace/month=10_000 member:ada/day=1_000 worker:w1/day=2_000 operation:message/day=4_000 api_key:k1/day=3_000
        charge message x3 member=ada => no limit_exceeded 1000 of 1000 left, resets in 86400s
        charge message x2 member=ada worker=w1 by=k1
        charge message member=ada => no limit_exceeded 0 of 1000 left, resets in 86400s
        charge message x3 worker=w1 => no limit_exceeded 1000 of 2000 left, resets in 86400s
        charge pricing x3 by=k1 => no limit_exceeded 2000 of 3000 left, resets in 86400s
        charge message x7 => no limit_exceeded 3000 of 4000 left, resets in 86400s
        charge removal x5 => no limit_exceeded 9000 of 10000 left, resets in 1728000s
        charge removal member=bob worker=w2
        spent => 3000, 1000, 1000, 1000, 1000
        ",
    );
}

#[test]
fn a_new_day_or_month_counts_from_zero() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=1_000 workspace/month=2_500
        charge message x2
        wait 23h
        charge message => no limit_exceeded 0 of 1000 left, resets in 3600s
        wait 1h
        charge message x2
        wait 1d
        charge message x2 => no limit_exceeded 500 of 2500 left, resets in 1555200s
        charge message
        wait 18d
        charge message x2
        ",
    );
}

#[test]
fn a_refund_gives_back_only_what_was_counted_in_the_same_period() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=1_000
        charge message x2 await
        charge message => no limit_exceeded 0 of 1000 left, resets in 86400s
        fail c1 system
        spent => 0
        charge message x2
        refund c2 500
        spent => 500
        wait 1d
        refund c2 500
        charge message x3 => no limit_exceeded 1000 of 1000 left, resets in 86400s
        charge message x2 => charged 1000 g1:1000
        spent => 1000
        refund c3 1 => refunded 1 requested g1:1
        spent => 999
        ",
    );
}

#[test]
fn what_comes_back_of_the_day_before_does_not_raise_the_cap() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=1_000 workspace/month=9_000
        wait 86_390s
        charge message x2 await timeout=60 => charged 1000 g1:1000 due in 60s
        wait 60s
        time_out c1 => refunded 1000 timed_out g1:1000
        charge message x3 => no limit_exceeded 1000 of 1000 left, resets in 86350s
        charge message x2
        spent => 1000, 1000
        ",
    );
}

#[test]
fn a_partly_used_charge_counts_what_was_kept() {
    check(
        "
        grant promotional 100_000
        limits operation:message/day=1_000
        charge message x2 await
        succeed c1 x1
        spent => 500
        charge message
        charge message => no limit_exceeded 0 of 1000 left, resets in 86400s
        ",
    );
}

#[test]
fn a_new_limit_counts_what_was_spent_before_it() {
    check(
        "
        grant promotional 100_000
        charge message x2 member=ada
        wait 1d
        charge message member=ada
        charge removal
        refund c2 100
        limits workspace/day=9_000 workspace/month=9_000 member:ada/day=500 operation:message/month=9_000
        spent => 2400, 3400, 400, 1400
        charge message member=ada => no limit_exceeded 100 of 500 left, resets in 86400s
        ",
    );
}

#[test]
fn a_limit_on_an_api_key_counts_what_was_spent_before_and_continues_when_set_again() {
    check(
        "
        grant promotional 100_000
        new_key charge
        new_key charge
        charge message by=k1
        charge message by=k2
        charge message
        limits api_key:k1/day=1_000
        spent => 500
        charge message by=k1
        charge message by=k1 => no limit_exceeded 0 of 1000 left, resets in 86400s
        limits api_key:k1/day=2_000 api_key:k1/month=9_000
        spent => 1000, 1000
        fail c1 system
        spent => 500, 500
        wait 1d
        limits api_key:k1/day=2_000 api_key:k1/month=9_000 => unchanged
        limits api_key:k1/day=2_001 api_key:k1/month=9_000
        spent => 0, 500
        ",
    );
}

#[test]
fn a_new_time_zone_counts_other_days_and_months() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=5_000 member:ada/month=9_000
        charge message
        wait 20h
        charge message x2 member=ada
        spent => 1500, 1000
        update name=Acme => updated
        update timezone=UTC+5 => updated, 2 limits
        spent => 1000, 1000
        charge message x9 => no limit_exceeded 4000 of 5000 left, resets in 82800s
        update timezone=UTC-8 => updated, 2 limits
        spent => 1000, 1000
        charge message x9 => no limit_exceeded 4000 of 5000 left, resets in 43200s
        update timezone=UTC => updated, 2 limits
        spent => 1500, 1000
        charge message x8 => no limit_exceeded 3500 of 5000 left, resets in 14400s
        ",
    );
}

#[test]
fn a_refund_after_a_new_time_zone_counts_in_the_day_of_its_charge() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=5_000 workspace/month=9_000
        charge message await timeout=3600
        wait 20h
        charge message x2 await timeout=3600
        update timezone=UTC+5 => updated, 2 limits
        spent => 1000, 1500
        fail c2 system
        spent => 0, 500
        fail c1 system
        spent => 0, 0
        ",
    );
}

#[test]
fn each_subject_is_capped_once_a_period() {
    check(
        "
        limits workspace/day=1 workspace/month=1 worker:w/day=1 member:w/day=1
        limits workspace/day=1 worker:w/day=1 workspace/day=2 => no invalid_field limits
        ",
    );
}

#[test]
fn limits_are_replaced_together_and_have_bounds() {
    let many: String = (0..201).map(|n| format!(" member:m{n}/day=1")).collect();
    check(&format!(
        "
        grant promotional 100_000
        limits workspace/day=0
        charge message => no limit_exceeded 0 of 0 left, resets in 86400s
        limits workspace/day=-1 => no invalid_field amount
        limits workspace/day=9_007_199_254_740_992 => no invalid_field amount
        limits{many} => no invalid_field limits
        limits workspace/day=0 => unchanged
        limits workspace/day=1 => 1 limits
        limits => 0 limits
        limits => unchanged
        charge message
        "
    ));
}

#[test]
fn a_clock_that_is_seconds_behind_at_midnight_does_not_reset_a_limit() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=1_000
        charge message x2
        back 10s
        charge message => no limit_exceeded 0 of 1000 left, resets in 86410s
        wait 10s
        charge message => no limit_exceeded 0 of 1000 left, resets in 86400s
        ",
    );
}

#[test]
fn a_period_that_was_counted_while_a_clock_was_ahead_does_not_use_up_the_present_one() {
    check(
        "
        grant promotional 100_000
        limits workspace/day=1_000 workspace/month=3_000
        charge message
        wait 80d
        charge message x2
        back 80d
        charge message x2
        charge message => no limit_exceeded 0 of 1000 left, resets in 86400s
        spent => 1000, 1000
        limits workspace/day=1_000 workspace/month=3_000 operation:message/day=2_000
        spent => 1000, 1000, 1500
        wait 1d
        charge message x2
        spent => 1000, 2000, 1000
        ",
    );
}
