//! The embedded engine when the power fails behind any operation of the disk, and when the disk refuses.

use tollkeeper_sim::faults::crash::{Density, crashes, faults};

use crate::seeds::seeds;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_happens_twice_wherever_the_power_fails() {
    let mut total = 0;
    for seed in seeds(6) {
        let report = crashes(seed, 120, Density::Sampled(25)).unwrap_or_else(|found| panic!("{found}"));
        assert!(report.crashes == 25 && report.replays > 0, "{report:?}");
        total += report.in_flight_committed;
    }
    assert!(total > 0, "no batch under way ever in_flight_committed: the crashes miss the commits");
}

#[test]
fn a_short_run_is_crashed_everywhere_and_in_every_way() {
    let report = crashes(1, 12, Density::Everywhere).unwrap_or_else(|found| panic!("{found}"));
    assert!(report.in_flight_committed > 0 && report.in_flight_lost > 0, "{report:?}");
}

#[test]
fn a_disk_that_refuses_is_not_now_and_service_goes_on() {
    let mut refused = 0;
    for seed in seeds(12) {
        let report = faults(seed, 150).unwrap_or_else(|found| panic!("{found}"));
        refused += report.refused;
    }
    assert!(refused > 20, "{refused} refusals are too few to show anything");
}
