//! Same seed, same bytes: two runs of a seed write the same entries with the same hashes.

use tollkeeper_engine::{Engine, Page};
use tollkeeper_ledger::Hash;
use tollkeeper_sim::history;
use tollkeeper_sim::memory::Memory;
use tollkeeper_sim::patience::wait;

/// The last hash of every workspace after a run: each covers all the bytes before it.
fn ends(seed: u64) -> Vec<(String, Hash)> {
    let engine = Memory::default();
    let history = history::run(&engine, seed, 200, 5).unwrap_or_else(|difference| panic!("{difference}"));
    let end = |id| {
        let newest = Page { limit: 1, cursor: None };
        let listing = wait(engine.entries(id, newest)).expect("it reads").expect("it was opened");
        (id.to_string(), listing.data[0].hash)
    };
    history.model.pools.keys().map(end).collect()
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    for seed in 100..105 {
        let first = ends(seed);
        assert!(!first.is_empty());
        assert_eq!(first, ends(seed), "seed {seed}");
    }
    assert_ne!(ends(100), ends(101));
}
