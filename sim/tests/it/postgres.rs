//! The PostgreSQL engine: the contract clause by clause, random histories beside the model.

use tollkeeper_engine::postgres::Options;
use tollkeeper_sim::cluster::shared;
use tollkeeper_sim::contract::{CLAUSES, CLAUSES_OF_STORES};
use tollkeeper_sim::postgres::{self, InDatabase, small};
use tollkeeper_sim::random::Random;

use crate::contract::hold;
use crate::seeds::seeds;

/// Steps of one run.
const STEPS: usize = 300;

#[test]
fn the_postgres_engine_keeps_the_contract() {
    hold(CLAUSES, || Box::new(InDatabase(shared().database(), Options::default())));
    hold(CLAUSES_OF_STORES, || Box::new(InDatabase(shared().database(), Options::default())));
}

#[test]
fn the_postgres_engine_keeps_the_contract_with_little_memory() {
    for seed in 0..2 {
        let options = small(&mut Random::new(seed));
        hold(CLAUSES, || Box::new(InDatabase(shared().database(), options.clone())));
    }
}

#[test]
fn the_postgres_engine_agrees_with_the_model() {
    for seed in seeds(8) {
        if let Err(difference) = postgres::run(&shared().database(), 1, seed, STEPS) {
            panic!("{difference}");
        }
    }
}

#[test]
fn two_servers_on_one_database_agree_with_the_model() {
    for seed in seeds(8) {
        if let Err(difference) = postgres::run(&shared().database(), 2, seed, STEPS) {
            panic!("{difference}");
        }
    }
}
