//! The embedded engine beside the model, with maintenance, checkpoints and restarts between
//! batches.
//!
//! The core runs step by step, with options so small that everything happens often: checkpoint
//! rounds, key index runs and their merges, evicted accounts that are loaded again. At the end the
//! public engine opens the directory, all stored state is compared with the model, and the audit
//! must pass. Not here: crashes (`faults/crash.rs`).

use std::path::Path;

use tollkeeper_engine::embedded::{AuditOptions, Core, CoreOptions, Embedded, audit, audit_with};
use tollkeeper_engine::{Engine, Options};
use tollkeeper_ledger::Submission;

use crate::differential::{Difference, Differential, next_batch};
use crate::model::step::Step;
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::blocking::block_on;

/// Options so small that a few hundred entries reach every path.
#[must_use]
pub fn small(random: &mut Random, vfs: Option<&str>) -> CoreOptions {
    CoreOptions {
        vfs: vfs.map(str::to_owned),
        directory_id: Some([7; 16]),
        round_entries: *random.pick(&[1, 20, 100]),
        chunk_accounts: *random.pick(&[1, 3]),
        run_pairs: *random.pick(&[8, 32, 100]),
        accounts_in_memory: *random.pick(&[1, 2, 100]),
        recent_bytes: *random.pick(&[0, 1_000, 20_000]),
        wal_bytes: *random.pick(&[1, 4_000, 40_000]),
        ..CoreOptions::default()
    }
}

/// A run of a seed: the model after it, and every step with its submission, in order.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The model after the run.
    pub diff: Differential,
    /// What was asked.
    pub steps: Vec<(Step, Submission)>,
}

/// Runs `steps` steps of a seed on a core in `directory` and on the model.
///
/// # Errors
/// The first [`Difference`].
pub fn run(directory: &Path, seed: u64, steps: usize) -> Result<Differential, Difference> {
    record(directory, seed, steps).map(|recorded| recorded.diff)
}

/// The same, and keeps what was asked.
///
/// # Errors
/// The first [`Difference`].
pub fn record(directory: &Path, seed: u64, steps: usize) -> Result<Recorded, Difference> {
    let mut random = Random::new(!seed);
    let options = small(&mut random, None);
    let open = || Core::open(directory, options.clone()).expect("a directory of its own opens");
    let mut core = open();
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    let mut asked = Vec::new();
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(20));
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let answers = core.run_batch(submissions, now).expect("a healthy disk");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran)?;
        }
        asked.extend(batch);
        match random.below(100) {
            0..60 => core.maintain().expect("a healthy disk"),
            60..65 => core.checkpoint_all().expect("a healthy disk"),
            65..70 => {
                // The directory is locked by one core at a time, so the old one is dropped first.
                drop(core);
                core = open();
            }
            _ => {}
        }
    }
    drop(core);
    compare_stored(directory, &mut diff)?;
    Ok(Recorded { diff, steps: asked })
}

/// Runs `steps` steps of a seed on the public engine with its threads, with the same small options.
///
/// # Errors
/// The first [`Difference`].
pub fn run_threaded(directory: &Path, seed: u64, steps: usize) -> Result<Differential, Difference> {
    let options = small(&mut Random::new(!seed), None);
    let engine = Embedded::open_with_options(directory, options, 16).expect("a directory of its own opens");
    let mut diff = crate::differential::run(&engine, seed, steps, 7)?;
    block_on(engine.close()).expect("a healthy disk");
    drop(engine);
    compare_stored(directory, &mut diff)?;
    Ok(diff)
}

/// Opens a directory with the public engine, compares all stored state, closes the engine, and
/// audits the directory.
///
/// # Errors
/// The first [`Difference`].
pub fn compare_stored(directory: &Path, diff: &mut Differential) -> Result<(), Difference> {
    let engine_error = |what: &str, diff: &Differential, error| diff.engine_error(what, error);
    let engine = Embedded::open(directory, Options::default());
    let engine = engine.map_err(|error| engine_error("the start", diff, error))?;
    diff.compare_all(&engine)?;
    block_on(engine.close()).map_err(|error| engine_error("the end", diff, error))?;
    drop(engine);
    let report = audit(directory).map_err(|error| engine_error("the audit", diff, error))?;
    let entries =
        diff.model.pools.values().map(|pool| pool.lines.len()).sum::<usize>() + diff.model.platform_entries();
    diff.expect_equal("the audit", report.disagreement.map(|found| found.what), None)?;
    diff.expect_equal("the number of entries", report.entries, entries as u64)?;
    diff.expect_equal("the number of workspaces", report.workspaces, diff.model.pools.len() as u64)?;
    // Again in ranges of few workspaces, with every entry decided again by the rules.
    let options = AuditOptions { rules: true, memory_bytes: 8_000 };
    let again = audit_with(directory, None, options);
    let again = again.map_err(|error| engine_error("the audit in ranges", diff, error))?;
    diff.expect_equal("the audit in ranges", again.disagreement.map(|found| found.what), None)?;
    diff.expect_equal("the entries of all ranges", again.entries, report.entries)?;
    diff.expect_equal("the workspaces of all ranges", again.workspaces, report.workspaces)?;
    diff.expect_equal("the totals of all ranges", again.totals, report.totals)?;
    let findings = again.rules.unwrap_or_default().first;
    let findings = findings.iter().map(|found| format!("{found:?}")).collect::<Vec<_>>();
    diff.expect_equal("what the rules decide otherwise", findings, Vec::new())
}
