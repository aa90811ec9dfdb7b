//! The bank test on the embedded engine: many callers at once on few workspaces.

use std::sync::Arc;

use tollkeeper_engine::embedded::{Embedded, audit};
use tollkeeper_engine::{Engine, Options};
use tollkeeper_ledger::Micros;
use tollkeeper_sim::engines::embedded::small;
use tollkeeper_sim::faults::bank::{PRICE, check_balances, check_journals, open, race, trade};
use tollkeeper_sim::random::Random;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::scratch::Scratch;

#[test]
fn a_balance_worth_a_hundred_charges_pays_for_exactly_a_hundred() {
    let scratch = Scratch::new();
    let engine = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
    let engine: Arc<dyn Engine> = Arc::new(engine);
    open(&*engine, 1, Micros::new(100 * PRICE.get()));
    assert_eq!(race(&engine, 64), 100);
    block_on(engine.close()).expect("a healthy disk");
    let report = audit(scratch.path()).expect("a healthy disk");
    assert_eq!((report.disagreement.map(|found| found.what), report.available), (None, Micros::ZERO));
}

#[test]
fn every_micro_unit_is_accounted_for_after_many_callers() {
    for seed in 0..3 {
        let scratch = Scratch::new();
        // With these options, checkpoints and evictions run all the time on the engine's threads.
        let options = small(&mut Random::new(seed), None);
        let engine =
            Embedded::open_with_options(scratch.path(), options, 64).expect("a fresh directory opens");
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let (workspaces, each) = (3, Micros::new(20_000));
        open(&*engine, workspaces, each);
        let tallies = trade(&engine, seed, (64, 200), workspaces);
        check_balances(&*engine, each, &tallies);
        check_journals(&*engine, &tallies);
        assert!(tallies.iter().all(|tally| tally.accepted > 500 && tally.refused > 50), "{tallies:?}");
        block_on(engine.close()).expect("a healthy disk");
        drop(engine);
        let report = audit(scratch.path()).expect("a healthy disk");
        assert_eq!(report.disagreement.map(|found| found.what), None);
        let again = Embedded::open(scratch.path(), Options::default()).expect("a fresh directory opens");
        check_balances(&again, each, &tallies);
    }
}
