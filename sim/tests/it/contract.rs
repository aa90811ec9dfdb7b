//! Every engine is held to the contract, clause by clause.

use std::sync::Arc;

use tollkeeper_engine::embedded::{CoreOptions, Embedded};
use tollkeeper_engine::{Engine, Options};
use tollkeeper_sim::contract::{CLAUSES, Clause, STORE_CLAUSES, Store};
use tollkeeper_sim::engines::embedded::small;
use tollkeeper_sim::engines::memory::Memory;
use tollkeeper_sim::random::Random;
use tollkeeper_testkit::scratch::Scratch;

/// One engine for all openings: what is in memory outlives no process, so a restart is none.
struct InMemory(Arc<Memory>);

impl Store for InMemory {
    fn open(&self) -> Arc<dyn Engine> {
        self.0.clone()
    }
}

/// A data directory, with the options of a server or with ones so small that everything happens often.
struct InDirectory(Scratch, Option<CoreOptions>);

impl Store for InDirectory {
    fn open(&self) -> Arc<dyn Engine> {
        let opened = match &self.1 {
            None => Embedded::open(self.0.path(), Options::default()),
            Some(options) => Embedded::open_tuned(self.0.path(), options.clone(), 64),
        };
        Arc::new(opened.expect("a directory of its own opens"))
    }
}

/// Holds fresh stores to all clauses; the last name that is printed is the one that failed.
pub fn hold(clauses: &[Clause], store: impl Fn() -> Box<dyn Store>) {
    for (name, clause) in clauses {
        println!("{name}");
        clause(&*store());
    }
}

#[test]
fn the_engine_in_memory_keeps_the_contract() {
    hold(CLAUSES, || Box::new(InMemory(Arc::default())));
}

#[test]
fn the_embedded_engine_keeps_the_contract() {
    hold(CLAUSES, || Box::new(InDirectory(Scratch::new(), None)));
    hold(STORE_CLAUSES, || Box::new(InDirectory(Scratch::new(), None)));
}

#[test]
fn the_embedded_engine_keeps_the_contract_while_it_tidies_up() {
    for seed in 0..4 {
        let options = small(&mut Random::new(seed), None);
        hold(CLAUSES, || Box::new(InDirectory(Scratch::new(), Some(options.clone()))));
    }
}
