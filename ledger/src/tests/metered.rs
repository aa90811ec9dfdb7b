//! Metered prices: exact below a micro-unit, rounded up once, settled by what was used of each
//! meter, and never more than was deducted.

use super::check;
use super::world::World;
use crate::{Entry, EntryBody, HourPart, Usage};

/// Tokens at $0.15 for a million of input and $0.60 for a million of output, and requests of a
/// search at $0.001 for a thousand.
const PRICES: &str = "
    prices chat=input:15_000:6+output:60_000:6 search=100:3 message=500
    grant promotional 1_000
";

fn check_metered(script: &str) -> World {
    check(&format!("{PRICES}{script}"))
}

#[test]
fn a_price_for_many_units_is_rounded_up_once_for_a_charge() {
    check_metered(
        "
        charge search => charged 1 g1:1
        charge search x10 => charged 1 g1:1
        charge search x11 => charged 2 g1:2
        charge chat xinput:1 => charged 1 g1:1
        charge chat xinput:1_200,output:800 => charged 66 g1:66
        succeed c5 => settled 0
        charge chat xinput:1_201,output:800 => charged 67 g1:67
        balance => 862
        ",
    );
}

#[test]
fn a_quantity_must_have_the_shape_of_the_price() {
    check_metered(
        "
        charge chat x3 => no invalid_field quantity
        charge message xinput:3 => no invalid_field quantities
        charge search xinput:3 => no invalid_field quantities
        charge chat xinput:3,other:1 => no invalid_field quantities
        charge chat xinput:0,output:0 => no invalid_field quantity
        charge chat xinput:-1,output:9 => no invalid_field quantity
        charge chat xinput:1000000001 => no invalid_field quantity
        charge search x1000000000 => no insufficient_credits 1000 of 100000000, affords 10000
        charge search x1000000001 => no invalid_field quantity
        charge message x1000001 => no invalid_field quantity
        ",
    );
}

#[test]
fn what_was_used_costs_less_and_the_difference_goes_back() {
    check_metered(
        "
        charge chat xinput:4_000,output:4_000 await => charged 300 g1:300 due in 900s
        balance => 700, pending 300
        succeed c1 xinput:1_200,output:800 => refunded 234 partly_used g1:234, settled 66
        show c1 => settled x2000, succeeded, 234 back
        balance => 934
        succeed c1 xinput:1_200,output:800 => unchanged
        succeed c1 => unchanged
        succeed c1 xinput:1_200,output:801 => no charge_already_settled: settled x2000, succeeded, 234 back
        refund c1 66 reason=bad => refunded 66 requested g1:66
        balance => 1000
        ",
    );
}

#[test]
fn a_meter_may_use_more_than_was_held_if_all_costs_no_more() {
    check_metered(
        "
        charge chat xinput:1_000,output:1_000 await => charged 75 g1:75 due in 900s
        succeed c1 xinput:5_001 => no invalid_field quantity
        succeed c1 xinput:5_000 => settled 75
        show c1 => settled x5000, succeeded
        charge chat xinput:1_000,output:1_000 await => charged 75 g1:75 due in 900s
        succeed c2 x3 => no invalid_field quantity
        succeed c2 xother:3 => no invalid_field quantities
        succeed c2 => settled 75
        show c2 => settled x2000, succeeded
        ",
    );
}

#[test]
fn units_of_a_price_for_many_settle_exactly() {
    check_metered(
        "
        charge search x9000 await => charged 900 g1:900 due in 900s
        succeed c1 x9001 => no invalid_field quantity
        succeed c1 x1 => refunded 899 partly_used g1:899, settled 1
        show c1 => settled x1, succeeded, 899 back
        succeed c1 x1 => unchanged
        ",
    );
}

#[test]
fn failures_and_timeouts_move_the_whole_charge() {
    check_metered(
        "
        charge chat xinput:4_000,output:4_000 await => charged 300 g1:300 due in 900s
        fail c1 system => refunded 300 failed_system g1:300
        charge chat xinput:4_000,output:4_000 await => charged 300 g1:300 due in 900s
        fail c2 user => settled 300
        charge chat xinput:4_000,output:4_000 await => charged 300 g1:300 due in 900s
        wait 15m
        time_out c3 => refunded 300 timed_out g1:300
        balance => 700
        ",
    );
}

#[test]
fn what_costs_nothing_is_no_use_of_a_charge_that_was_paid() {
    check(
        "
        prices chat=cached:0+output:10
        grant promotional 1_000
        charge chat xcached:50,output:20 await => charged 200 g1:200 due in 900s
        succeed c1 xcached:50 => no invalid_field quantity
        fail c1 system => refunded 200 failed_system g1:200
        charge chat xcached:50 await => charged 0 due in 900s
        succeed c2 xcached:7 => settled 0
        ",
    );
}

#[test]
fn a_refusal_says_what_is_affordable_of_each_meter() {
    check_metered(
        "
        charge chat xinput:4_000,output:90_000 => no insufficient_credits 1000 of 5460, affords input:0,output:15666
        charge chat xinput:4_000,output:15_666 => charged 1000 g1:1000
        ",
    );
}

#[test]
fn limits_count_what_is_left_of_a_metered_charge() {
    check_metered(
        "
        limits operation:chat/day=100
        charge chat xinput:1_200,output:1_200 await => charged 90 g1:90 due in 900s
        spent => 90
        charge chat xoutput:1_000 => no limit_exceeded 10 of 100 left, resets in 86400s
        succeed c1 xinput:1_200,output:200
        spent => 30
        charge chat xoutput:1_000 => charged 60 g1:60
        ",
    );
}

#[test]
fn prices_with_wrong_rates_are_refused() {
    check(
        "
        prices a=input:-1 => no invalid_field unit_price
        prices a=5:9 => prices 2
        prices a=a:1+b:1+c:1+d:1+e:1+f:1+g:1+h:1 => prices 3
        prices a=a:1+b:1+c:1+d:1+e:1+f:1+g:1+h:1+i:1 => no invalid_field meters
        prices a=a:1+a:2 => no invalid_field meters
        ",
    );
}

/// The units that each row of usage counts: `operation/meter=units`.
fn usage(world: &World) -> Vec<String> {
    let mut usage = Usage::default();
    world.journal.iter().for_each(|(entry, _)| usage.record(entry, HourPart::WHOLE));
    let mut rows: Vec<_> = usage
        .rows()
        .into_iter()
        .map(|(key, sums)| format!("{}={} x{}", key.operation_and_meter(), sums.quantity, sums.runs))
        .collect();
    rows.sort();
    rows
}

#[test]
fn usage_counts_the_units_of_meters_when_they_are_known() {
    let script = "
        charge chat xinput:4_000,output:4_000 await
        charge chat xinput:10
        charge search x7
    ";
    assert_eq!(usage(&check_metered(script)), ["chat/input=10 x0", "chat=0 x2", "search=7 x1"]);
    let settled = usage(&check_metered(&format!("{script}succeed c1 xinput:1_200,output:800")));
    assert_eq!(settled, ["chat/input=1210 x0", "chat/output=800 x0", "chat=0 x2", "search=7 x1"]);
    let failed = usage(&check_metered(&format!("{script}fail c1 user")));
    assert_eq!(failed, ["chat/input=4010 x0", "chat/output=4000 x0", "chat=0 x2", "search=7 x1"]);
    let refunded = usage(&check_metered(&format!("{script}fail c1 system")));
    assert_eq!(refunded, ["chat/input=10 x0", "chat=0 x2", "search=7 x1"]);
}

#[test]
fn metered_entries_read_back_and_plain_ones_have_no_new_bytes() {
    let world = check_metered(
        "
        charge chat xinput:4_000,output:4_000 await
        succeed c1 xinput:1_200,output:800
        charge search x500 await timeout=30
        succeed c2 x20
        charge message
        ",
    );
    let mut metered = 0;
    for (entry, _) in &world.journal {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(Entry::decode(&bytes).as_ref(), Ok(entry));
        for length in 0..bytes.len() {
            // Cut off where an earlier version ends, an entry lacks what was used, and no more.
            if let Ok(shorter) = Entry::decode(&bytes[..length]) {
                assert!(matches!(&shorter.body, EntryBody::ChargeSettled(_) | EntryBody::ChargeRefunded(_)));
                metered += 1;
            }
        }
    }
    assert_eq!(metered, 3, "two refunds of what was not used, and one settlement of meters");
}
