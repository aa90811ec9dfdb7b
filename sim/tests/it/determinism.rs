//! Same seed, same bytes: two runs of a seed write the same entries with the same hashes.

use tollkeeper_engine::embedded::Embedded;
use tollkeeper_engine::{Engine, Options, Page, Reads};
use tollkeeper_ledger::Hash;
use tollkeeper_sim::differential::{self, Differential};
use tollkeeper_sim::engines::embedded;
use tollkeeper_sim::engines::memory::Memory;
use tollkeeper_sim::faults::crash::{Density, crashes};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::scratch::Scratch;

/// The last hash of every workspace after a run. Each covers all earlier entries, with ids and
/// times.
fn head_hashes(engine: &dyn Engine, diff: &Differential) -> Vec<(String, Hash)> {
    let end = |id| {
        let newest = Page { limit: 1, cursor: None };
        let listing =
            block_on(engine.entries(id, newest)).expect("the engine reads").expect("the workspace exists");
        (id.to_string(), listing.data[0].hash)
    };
    diff.model.pools.keys().map(end).collect()
}

fn in_memory(seed: u64) -> Vec<(String, Hash)> {
    let engine = Memory::default();
    let diff = differential::run(&engine, seed, 200, 5).unwrap_or_else(|difference| panic!("{difference}"));
    head_hashes(&engine, &diff)
}

fn in_directory(seed: u64) -> Vec<(String, Hash)> {
    let scratch = Scratch::new();
    let diff = embedded::run(scratch.path(), seed, 200).unwrap_or_else(|difference| panic!("{difference}"));
    let engine = Embedded::open(scratch.path(), Options::default()).expect("the directory opens again");
    head_hashes(&engine, &diff)
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    for seed in 100..104 {
        let first = in_memory(seed);
        assert!(!first.is_empty());
        assert_eq!(first, in_memory(seed), "seed {seed}");
        assert_eq!(in_directory(seed), in_directory(seed), "seed {seed}");
    }
    assert_ne!(in_memory(100), in_memory(101));
}

#[test]
fn the_same_seed_crashes_the_same_way() {
    let report = |seed| crashes(seed, 60, Density::Sampled(10)).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(report(3), report(3));
    assert_ne!(report(3), report(4));
}
