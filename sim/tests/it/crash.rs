//! The embedded engine after power failures after any disk operation, and on a disk that refuses
//! operations.

use tollkeeper_sim::faults::crash::{CrashReport, Density, crashes, faults, hostile_crashes};

use crate::seeds::seeds;

#[test]
fn after_a_power_failure_nothing_acknowledged_is_lost_or_doubled() {
    let mut total = 0;
    for seed in seeds(2) {
        let report = crashes(seed, 120, Density::Sampled(25)).unwrap_or_else(|found| panic!("{found}"));
        assert!(report.crashes == 25 && report.replays > 0, "{report:?}");
        total += report.in_flight_committed;
    }
    assert!(total > 0, "some crash hits a commit of a batch in flight");
}

/// Bursts, clocks that jump, and accounts that become wrong, before a power failure and a damaged
/// state file.
#[test]
fn hostile_tenants_and_poisoned_accounts_change_no_answer_of_others() {
    let mut total = CrashReport::default();
    for seed in seeds(4) {
        let report = hostile_crashes(seed, 250, 6).unwrap_or_else(|found| panic!("{found}"));
        total.poisoned += report.poisoned;
        total.not_answered += report.not_answered;
        total.damaged += report.damaged;
    }
    assert!(total.poisoned > 5 && total.damaged > 5, "{total:?}");
    assert!(total.not_answered > total.poisoned, "each refuses a command at least: {total:?}");
}

#[test]
fn a_short_run_survives_a_crash_behind_every_operation() {
    let report = crashes(1, 12, Density::Everywhere).unwrap_or_else(|found| panic!("{found}"));
    assert!(report.in_flight_committed > 0 && report.in_flight_lost > 0, "{report:?}");
}

#[test]
fn a_failing_disk_gives_unavailable_and_service_continues() {
    let mut refused = 0;
    for seed in seeds(6) {
        let report = faults(seed, 150).unwrap_or_else(|found| panic!("{found}"));
        refused += report.refused;
    }
    assert!(refused > 20, "{refused} refusals are too few to show anything");
}
