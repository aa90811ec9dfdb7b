//! Versions of the price book: which one prices a charge, and that an old charge keeps its version.

use super::check;

#[test]
fn the_latest_version_that_is_effective_prices_a_charge() {
    let world = check(
        "
        grant promotional 100_000
        charge message => charged 500 g1:500
        prices message=700 in=3_600 => prices 2
        charge message => charged 500 g1:500
        charge try_on => charged 20000 g1:20000
        wait 1h
        charge message => charged 700 g1:700
        charge try_on => no operation_not_found
        prices message=900 => prices 3
        charge message => charged 900 g1:900
        prices message=950/30 in=10 => prices 4
        prices message=100 => prices 5
        charge message => charged 100 g1:100
        wait 10s
        charge message => charged 950 g1:950 due in 30s
        refund c1 => refunded 500 requested g1:500
        ",
    );
    let versions: Vec<_> = world.charges.iter().map(|charge| charge.details.price_version).collect();
    assert_eq!(versions, [1, 1, 1, 2, 3, 5, 4]);
}

#[test]
fn a_planned_version_comes_at_its_time_in_any_order_of_planning() {
    let world = check(
        "
        grant promotional 100_000
        prices message=300 in=20 => prices 2
        prices message=200 in=10 => prices 3
        prices message=310 in=20 => prices 4
        charge message => charged 500 g1:500
        wait 10s
        charge message => charged 200 g1:200
        wait 10s
        charge message => charged 310 g1:310
        ",
    );
    let book = &world.platform.price_book;
    let numbers = |list: Vec<&crate::PriceVersion>| list.iter().map(|v| v.version).collect::<Vec<_>>();
    let version = |n: usize| &book.versions()[n - 1];
    assert_eq!(numbers(book.replaced_by(version(4)).collect()), [2]);
    assert_eq!(numbers(book.replaced_by(version(3)).collect()), []);
    assert_eq!(numbers([1, 2, 3, 4].iter().filter_map(|n| book.successor(version(*n))).collect()), [3, 4, 2]);
}

#[test]
fn the_same_prices_again_and_a_time_just_past_change_no_more_than_they_say() {
    check(
        "
        prices message=700 in=-60 => prices 2
        prices message=700 => unchanged
        prices message=700 in=-61 => no invalid_field effective_at
        prices message=900 in=60 => prices 3
        prices message=700 in=59 => unchanged
        prices message=700 in=60 => prices 4
        prices message=700/1 => prices 5
        ",
    );
}

#[test]
fn a_free_run_is_recorded_and_takes_nothing() {
    check(
        "
        prices message=0 free=0/60 => prices 2
        charge message x9 => charged 0
        charge free => charged 0 due in 60s
        charge free => charged 0 due in 60s
        fail c1 system => refunded 0 failed_system
        succeed c2 => settled 0
        refund c2 => no invalid_field amount
        wait 60s
        time_out c3 => refunded 0 timed_out
        show c3 => refunded x1, timed_out
        time_out c3 => unchanged
        limits workspace/day=0
        charge message => charged 0
        balance => 0
        ",
    );
}

#[test]
fn the_first_prices_are_in_force_from_the_beginning_of_time() {
    check(
        "
        back 2d
        grant promotional 100_000
        charge message => charged 500 g1:500
        prices message=700 => prices 2
        charge message => charged 700 g1:700
        ",
    );
}

#[test]
fn a_version_that_changes_the_timeout_does_not_change_pending_charges() {
    check(
        "
        grant promotional 100_000
        charge render
        prices render=9_000/600
        charge render => charged 9000 g1:9000 due in 600s
        wait 60s
        time_out c1 => refunded 3000 timed_out g1:3000
        time_out c2 => unchanged
        ",
    );
}

#[test]
fn a_price_list_has_bounds() {
    let many: String = (0..1_001).map(|n| format!(" op{n}=1")).collect();
    check(&format!(
        "
        prices => no invalid_field operations
        prices{many} => no invalid_field operations
        prices a=1 b=2 a=3 => no invalid_field operations
        prices a=-1 => no invalid_field unit_price
        prices a=9_000_000_001 => no invalid_field unit_price
        prices a=1/0 => no invalid_field timeout_seconds
        prices a=1/604_801 => no invalid_field timeout_seconds
        prices a=1 in=-61 => no invalid_field effective_at
        prices a=9_000_000_000/604_800 in=0 => prices 2
        "
    ));
}

#[test]
fn the_largest_charge_fits_a_balance() {
    check(
        "
        prices dear=9_000_000_000
        grant promotional 9_007_199_254_740_991
        charge dear x1000000 => charged 9000000000000000 g1:9000000000000000
        balance => 7199254740991
        ",
    );
}

#[test]
fn platform_keys_are_stored_as_hashes() {
    let world = check("platform_key 7 => platform key");
    assert_eq!(world.platform.key_hashes, [[7; 32]]);
}
