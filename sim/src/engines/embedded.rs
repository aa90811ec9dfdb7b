//! The embedded engine beside the model, tended, restarted and read as it goes.
//!
//! Its core is driven step by step with options so small that everything happens often: rounds of keeping, runs of the
//! key index and their merges, accounts let go and loaded again. Between batches the seed may keep everything, or drop
//! the core and open it anew. At the end the public engine opens the directory, everything it keeps is compared, and an
//! audit has to find nothing. Not here: crashes (`crash`).

use std::path::Path;

use tollkeeper_engine::embedded::{Core, CoreOptions, Embedded, audit};
use tollkeeper_engine::{Engine, Options};

use crate::differential::{Difference, Differential, next_batch};
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::blocking::block_on;

/// Options so small that a few hundred entries walk every path.
#[must_use]
pub fn small(random: &mut Random, vfs: Option<&str>) -> CoreOptions {
    CoreOptions {
        vfs: vfs.map(str::to_owned),
        directory_id: Some([7; 16]),
        round_entries: *random.pick(&[1, 20, 100]),
        slice_accounts: *random.pick(&[1, 3]),
        run_pairs: *random.pick(&[8, 32, 100]),
        accounts_in_memory: *random.pick(&[1, 2, 100]),
        wal_bytes: *random.pick(&[1, 4_000, 40_000]),
        ..CoreOptions::default()
    }
}

/// Drives a core in `directory` through so many steps of a seed beside the model.
///
/// # Errors
/// The first [`Difference`].
pub fn run(directory: &Path, seed: u64, steps: usize) -> Result<Differential, Difference> {
    let mut random = Random::new(!seed);
    let options = small(&mut random, None);
    let open = || Core::open(directory, options.clone()).expect("a directory of its own opens");
    let mut core = open();
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(20));
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let answers = core.run_batch(submissions, now).expect("a healthy disk");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran)?;
        }
        match random.below(100) {
            0..60 => core.maintain().expect("a healthy disk"),
            60..65 => core.checkpoint_all().expect("a healthy disk"),
            65..70 => {
                // One process holds a directory at a time, so the old core goes first.
                drop(core);
                core = open();
            }
            _ => {}
        }
    }
    drop(core);
    compare_kept(directory, &mut diff)?;
    Ok(diff)
}

/// Drives the public engine, with its threads and with options as small, through so many steps of a seed beside the model.
///
/// # Errors
/// The first [`Difference`].
pub fn run_threaded(directory: &Path, seed: u64, steps: usize) -> Result<Differential, Difference> {
    let options = small(&mut Random::new(!seed), None);
    let engine = Embedded::open_tuned(directory, options, 16).expect("a directory of its own opens");
    let mut diff = crate::differential::run(&engine, seed, steps, 7)?;
    block_on(engine.close()).expect("a healthy disk");
    drop(engine);
    compare_kept(directory, &mut diff)?;
    Ok(diff)
}

/// Opens a directory with the public engine, compares everything it keeps, closes it, and audits.
///
/// # Errors
/// The first [`Difference`].
pub fn compare_kept(directory: &Path, diff: &mut Differential) -> Result<(), Difference> {
    let unable = |what: &str, diff: &Differential, error| diff.unable(what, error);
    let engine = Embedded::open(directory, Options::default());
    let engine = engine.map_err(|error| unable("the start", diff, error))?;
    diff.compare_all(&engine)?;
    block_on(engine.close()).map_err(|error| unable("the end", diff, error))?;
    drop(engine);
    let report = audit(directory).map_err(|error| unable("the audit", diff, error))?;
    let entries = diff.model.pools.values().map(|pool| pool.lines.len()).sum::<usize>()
        + diff.model.prices.len()
        + diff.model.platform_keys;
    diff.same("the audit", report.disagreement.map(|found| found.what), None)?;
    diff.same("the number of entries", report.entries, entries as u64)?;
    diff.same("the number of workspaces", report.workspaces, diff.model.pools.len() as u64)
}
