//! The PostgreSQL engine beside the model, and as a store of the contract's clauses.
//!
//! The options are so small that a short run reaches every path: accounts are evicted and loaded
//! again, and several lanes work at once. With two engines on one database, each batch goes to one
//! of them at random. So the accounts that an engine has in memory are stale most of the time, as
//! on two servers behind a load balancer.

use std::sync::Arc;

use tollkeeper_engine::AuditOptions;
use tollkeeper_engine::Engine;
use tollkeeper_engine::postgres::{Options, Postgres, audit_with};

use crate::contract::Store;
use crate::differential::{Difference, Differential, next_batch};
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::Database;

/// Options so small that a few hundred entries reach every path.
#[must_use]
pub fn small(random: &mut Random) -> Options {
    Options {
        lanes: Some(*random.pick(&[1, 2, 3])),
        readers: Some(*random.pick(&[1, 2])),
        accounts_in_memory: Some(*random.pick(&[1, 4, 100])),
        ..Options::default()
    }
}

/// Opens the engine on the database at `url`.
#[must_use]
pub fn open(url: &str, options: Options) -> Postgres {
    block_on(Postgres::open(url, options)).expect("a database of its own opens")
}

/// A database as a store, with the options of each opening.
pub struct InDatabase(pub Database<'static>, pub Options);

impl Store for InDatabase {
    fn open(&self) -> Arc<dyn Engine> {
        Arc::new(open(&self.0.url(), self.1.clone()))
    }
}

/// Runs `steps` steps of a seed on the model and on `engines` engines that share the database at
/// `url`.
///
/// # Errors
/// The first [`Difference`].
pub fn run(url: &str, engines: usize, seed: u64, steps: usize) -> Result<Differential, Difference> {
    let mut random = Random::new(!seed);
    let mut servers: Vec<Postgres> = (0..engines).map(|_| open(url, small(&mut random))).collect();
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(20));
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let server = random.index(servers.len());
        let answers = block_on(servers[server].run_batch(submissions, now)).expect("a healthy database");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran)?;
        }
        if random.chance(30) {
            let fresh = open(url, small(&mut random));
            servers[server] = fresh;
        }
    }
    drop(servers);
    diff.compare_all(&open(url, Options::default()))?;
    // In little memory, with every entry decided again by the rules.
    let options = AuditOptions { rules: true, memory_bytes: 2_000 };
    let report = audit_with(url, options);
    let report = report.map_err(|error| diff.engine_error("the audit", error))?;
    diff.expect_equal("the audit", report.disagreement.map(|found| found.what), None)?;
    let findings = report.rules.unwrap_or_default().first;
    // A database has no order of the entries of two journals, so the audit finds prices and plans
    // by time. It may find the wrong ones where a clock was ahead, which a real database never is.
    let lines = diff.model.pools.values().flat_map(|pool| &pool.lines);
    let was_ahead = lines.into_iter().any(|line| line.decided_at < line.at);
    let wrong_platform = [
        "the rules would price it by another version",
        "the rules would refuse it: operation_not_found",
        "the rules would refuse it: plan_not_found",
    ];
    let is_excused = |what: &str| was_ahead && wrong_platform.contains(&what);
    let findings = findings.iter().filter(|found| !is_excused(&found.what));
    let findings = findings.map(|found| format!("{found:?}")).collect::<Vec<_>>();
    diff.expect_equal("what the rules decide otherwise", findings, Vec::new())?;
    diff.expect_equal("the number of workspaces", report.workspaces, diff.model.pools.len() as u64)?;
    Ok(diff)
}
