//! Deliveries of the embedded engine while the disk of their file fails, and after the file was
//! lost or damaged.

use tollkeeper_sim::faults::deliveries::{DeliveryReport, deliveries};

use crate::seeds::seeds;

#[test]
fn nothing_is_lost_by_a_failing_disk_and_charges_never_depend_on_deliveries() {
    let mut total = DeliveryReport::default();
    for seed in seeds(8) {
        let report = deliveries(seed, 60);
        total.noted += report.noted;
        total.again += report.again;
        total.refused += report.refused;
        total.power_failures += report.power_failures;
        total.lost += report.lost;
        total.went_on += report.went_on;
        total.set_aside += report.set_aside;
    }
    assert!(total.noted > 300 && total.again > 10, "{total:?}");
    assert!(total.refused > 5 && total.power_failures > 15 && total.lost > 5, "{total:?}");
    assert!(total.went_on > 5 && total.set_aside > 5, "{total:?}");
}
