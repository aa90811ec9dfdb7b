//! The PostgreSQL engine beside the model, and as a store that is opened again and again.
//!
//! Its options are so small that a short history walks every path: accounts are let go and loaded again, several lanes
//! work at once. Two engines on one database take turns, as two servers do whose clients go now to one and now to the
//! other, so that what each has in memory is old most of the time.

use std::sync::Arc;

use tollkeeper_engine::Engine;
use tollkeeper_engine::postgres::{Options, Postgres, audit};

use crate::contract::Store;
use crate::differential::{Difference, Differential, next_batch};
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::Database;

/// Options so small that a few hundred entries walk every path.
#[must_use]
pub fn small(random: &mut Random) -> Options {
    Options {
        lanes: Some(*random.pick(&[1, 2, 3])),
        readers: Some(*random.pick(&[1, 2])),
        accounts_in_memory: Some(*random.pick(&[1, 4, 100])),
        ..Options::default()
    }
}

/// Opens the engine on a database that is there.
#[must_use]
pub fn open(database: &Database, options: Options) -> Postgres {
    block_on(Postgres::open(&database.url(), options)).expect("a database of its own opens")
}

/// A database as a store.
pub struct InDatabase(pub Database<'static>, pub Options);

impl Store for InDatabase {
    fn open(&self) -> Arc<dyn Engine> {
        Arc::new(open(&self.0, self.1.clone()))
    }
}

/// Drives so many engines on one database, in turns, through so many steps of a seed beside the model.
///
/// # Errors
/// The first [`Difference`].
pub fn run(database: &Database, engines: usize, seed: u64, steps: usize) -> Result<Differential, Difference> {
    let mut random = Random::new(!seed);
    let mut servers: Vec<Postgres> = (0..engines).map(|_| open(database, small(&mut random))).collect();
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(20));
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let place = random.index(servers.len());
        let answers = block_on(servers[place].run_batch(submissions, now)).expect("a healthy database");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran)?;
        }
        if random.chance(30) {
            let fresh = open(database, small(&mut random));
            servers[place] = fresh;
        }
    }
    drop(servers);
    diff.compare_all(&open(database, Options::default()))?;
    let report = audit(&database.url()).map_err(|error| diff.unable("the audit", error))?;
    diff.same("the audit", report.disagreement.map(|found| found.what), None)?;
    diff.same("the number of workspaces", report.workspaces, diff.model.pools.len() as u64)?;
    Ok(diff)
}
