//! Damaged files are told or harmless, and never a panic.

use tollkeeper_sim::damage::damages;

use crate::seeds::seeds;

#[test]
fn damage_is_told_or_harmless() {
    let mut told = 0;
    for seed in seeds(4) {
        told += damages(seed, 200, 30).unwrap_or_else(|found| panic!("{found}")).told;
    }
    assert!(told > 20, "{told} are too few: much of a file counts");
}
