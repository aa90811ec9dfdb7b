//! The engine contract, clause by clause, for the engine in memory and the embedded engine.

use std::sync::{Arc, Mutex};
use std::thread;

use tollkeeper_engine::embedded::{CoreOptions, Embedded};
use tollkeeper_engine::{Engine, Options};
use tollkeeper_sim::contract::{CLAUSES, Clause, STORE_CLAUSES, Store};
use tollkeeper_sim::engines::embedded::small;
use tollkeeper_sim::engines::memory::Memory;
use tollkeeper_sim::random::Random;
use tollkeeper_testkit::scratch::Scratch;

use crate::seeds::is_long;

/// One engine for all openings, because its data ends with the engine.
struct InMemory(Arc<Memory>);

impl Store for InMemory {
    fn open(&self) -> Arc<dyn Engine> {
        self.0.clone()
    }
}

/// A data directory, opened with the options of a server or with small ones.
struct InDirectory(Scratch, Option<CoreOptions>);

impl Store for InDirectory {
    fn open(&self) -> Arc<dyn Engine> {
        let opened = match &self.1 {
            None => Embedded::open(self.0.path(), Options::default()),
            Some(options) => Embedded::open_with_options(self.0.path(), options.clone(), 64),
        };
        Arc::new(opened.expect("a fresh directory opens"))
    }
}

/// The clauses that run at the same time: a clause waits for the disk or the database mostly.
const AT_ONCE: usize = 4;

/// Runs each clause on a fresh store, in a thread with the name of the clause.
pub fn check_contract(clauses: &[Clause], store: impl Fn() -> Box<dyn Store> + Sync) {
    let next = Mutex::new(clauses.iter());
    let take = || next.lock().expect("taking a clause fails nowhere").next();
    let run_in_turn = || {
        while let Some((name, clause)) = take() {
            thread::scope(|scope| {
                let thread = thread::Builder::new().name((*name).to_owned());
                thread.spawn_scoped(scope, || clause(&*store())).expect("a thread starts");
            });
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(run_in_turn);
        }
    });
}

#[test]
fn the_engine_in_memory_meets_the_contract() {
    check_contract(CLAUSES, || Box::new(InMemory(Arc::default())));
}

#[test]
fn the_embedded_engine_meets_the_contract() {
    check_contract(CLAUSES, || Box::new(InDirectory(Scratch::new(), None)));
    check_contract(STORE_CLAUSES, || Box::new(InDirectory(Scratch::new(), None)));
}

#[test]
fn the_embedded_engine_meets_the_contract_under_constant_maintenance() {
    for seed in 0..if is_long() { 4 } else { 1 } {
        let options = small(&mut Random::new(seed), None);
        check_contract(CLAUSES, || Box::new(InDirectory(Scratch::new(), Some(options.clone()))));
    }
}
