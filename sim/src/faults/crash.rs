//! The embedded engine after a power failure, and on a disk that refuses writes and syncs.
//!
//! [`crashes`] runs a seed once on a recording disk. After each acknowledged batch it notes how
//! many disk operations there were. Then it simulates a power failure after a disk operation,
//! opens an image that the disk may hold (see [`Survivors`]), and checks:
//! - every batch acknowledged before the failure is there, exactly once;
//! - the batch in flight is there as a whole or not at all, and nothing else is;
//! - the audit passes;
//! - every request that is repeated under its key gets its first answer;
//! - new commands are answered as the model says.
//!
//! [`faults`] makes writes and syncs fail instead. The only permitted error is "unavailable", and a
//! repeated request under the same key shows whether the batch was committed.

use std::sync::atomic::{AtomicU64, Ordering};

use tollkeeper_engine::embedded::{Appender, Core, CoreOptions, Embedded, audit};
use tollkeeper_engine::{CommandResult, Error};
use tollkeeper_ledger::{Actor, Submission, Timestamp};

use crate::differential::{Difference, Differential, next_batch};
use crate::disk::{Disk, Fault, Survivors};
use crate::engines::embedded::{compare_stored, small};
use crate::model::step::Step;
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::scratch::Scratch;

/// What a run of [`crashes`] or [`faults`] went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// Disk operations of the recorded run.
    pub operations: usize,
    /// Crash images that were recovered.
    pub crashes: u64,
    /// Batches in flight at a crash or a fault that were found committed.
    pub in_flight_committed: u64,
    /// Batches in flight at a crash or a fault that were found absent.
    pub in_flight_lost: u64,
    /// Repeated requests that got their first answer.
    pub replays: u64,
    /// Writes and syncs that the disk refused.
    pub refused: u64,
}

/// A batch of the recorded run, with its place in the disk log and the state after it.
struct RecordedBatch {
    /// The number of disk operations before the commit of the batch.
    began: usize,
    /// The number of disk operations when it was acknowledged.
    operations: usize,
    batch: Vec<(Step, Submission)>,
    diff: Differential,
    workload: Workload,
}

impl RecordedBatch {
    /// A decided batch with copies of the model and the workload after it.
    fn of(batch: Vec<(Step, Submission)>, diff: &Differential, workload: &Workload) -> RecordedBatch {
        let (diff, workload) = (diff.clone(), workload.clone());
        RecordedBatch { began: 0, operations: 0, batch, diff, workload }
    }

    /// The same batch after `commit` wrote it to the disk.
    fn committed_by(self, disk: &Disk, commit: impl FnOnce() -> Result<(), Error>) -> RecordedBatch {
        let began = disk.op_count();
        commit().expect("a healthy disk");
        RecordedBatch { began, operations: disk.op_count(), ..self }
    }
}

/// At which disk operations a run is crashed.
#[derive(Clone, Copy, Debug)]
pub enum Density {
    /// After every operation, with every kind of [`Survivors`].
    Everywhere,
    /// After this many operations drawn at random, each with one kind of [`Survivors`] drawn at
    /// random.
    Sampled(usize),
}

fn disk() -> Disk {
    static DISKS: AtomicU64 = AtomicU64::new(0);
    Disk::new(&format!("crash-{}", DISKS.fetch_add(1, Ordering::Relaxed)))
}

/// Runs `steps` steps of a seed on a recording disk, then crashes that run as `density` says.
///
/// # Errors
/// The first [`Difference`]: an acknowledged entry that is lost or doubled, an audit that fails, or
/// a repeated request with another answer than its first.
pub fn crashes(seed: u64, steps: usize, density: Density) -> Result<CrashReport, Difference> {
    let mut random = Random::new(seed.rotate_left(32));
    let (disk, live) = (disk(), Scratch::new());
    let options = small(&mut random, Some(disk.name()));
    let batches = record(&disk, &live, seed, steps, (&options, &mut random))?;
    let operations = disk.op_count();
    let mut counts = CrashReport { operations, ..CrashReport::default() };
    let mut crash = |index: usize, survivors: Survivors, random: &mut Random| {
        let image = disk.crash_with(index, survivors, random);
        let scratch = Scratch::new();
        image.write_to(&scratch.path().join("data")).expect("a temporary directory takes an image");
        let recovered = recover(&scratch, index, &batches, (&options, random), &mut counts);
        recovered.map_err(|mut difference| {
            difference.what = format!("{} (crash after operation {index}, {survivors:?})", difference.what);
            difference
        })
    };
    match density {
        Density::Everywhere => {
            for index in 0..=operations {
                for survivors in Survivors::EACH {
                    crash(index, survivors, &mut random)?;
                }
            }
        }
        Density::Sampled(count) => {
            let mut indices: Vec<usize> = (0..count).map(|_| random.index(operations + 1)).collect();
            indices.sort_unstable();
            for index in indices {
                let survivors = *random.pick(&Survivors::EACH);
                crash(index, survivors, &mut random)?;
            }
        }
    }
    Ok(counts)
}

/// The run without crashes, batch by batch.
fn record(
    disk: &Disk,
    live: &Scratch,
    seed: u64,
    steps: usize,
    (options, random): (&CoreOptions, &mut Random),
) -> Result<Vec<RecordedBatch>, Difference> {
    let open = || Core::open(live.path(), options.clone()).expect("a directory of its own opens");
    let mut core = open();
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    let mut batches: Vec<RecordedBatch> = Vec::new();
    let mut appender = core.appender().expect("a journal opens twice");
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(12));
        let answers = core.decide_batch(submissions(&batch), batch[0].0.now).expect("a healthy disk");
        compare(&mut diff, &batch, answers)?;
        let decided = RecordedBatch::of(batch, &diff, &workload);
        let in_flight = if random.chance(400) { core.begin_append() } else { None };
        let Some(in_flight) = in_flight else {
            batches.push(decided.committed_by(disk, || core.commit()));
            core = between(core, &open, random);
            continue;
        };
        // While this batch is in flight, maintenance runs and the next batch is decided.
        core.maintain().expect("a healthy disk");
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(12));
        let answers = core.decide_batch(submissions(&batch), batch[0].0.now).expect("a healthy disk");
        compare(&mut diff, &batch, answers)?;
        batches.push(decided.committed_by(disk, || {
            let appended = appender.append(&in_flight);
            core.append_finished(&appended);
            appended
        }));
        if in_flight.finishes_wal_checkpoint() {
            appender.finish_wal_checkpoint();
        }
        let next = RecordedBatch::of(batch, &diff, &workload);
        batches.push(next.committed_by(disk, || core.commit()));
        core = between(core, &open, random);
    }
    Ok(batches)
}

/// What may happen between two commits: maintenance, a full checkpoint, or a restart of the core.
fn between(mut core: Core, open: &dyn Fn() -> Core, random: &mut Random) -> Core {
    match random.below(100) {
        0..60 => core.maintain().expect("a healthy disk"),
        60..65 => core.checkpoint_all().expect("a healthy disk"),
        65..68 => {
            // The directory is locked by one core at a time, so the old one is dropped first.
            drop(core);
            return open();
        }
        _ => {}
    }
    core
}

fn submissions(batch: &[(Step, Submission)]) -> Vec<Submission> {
    batch.iter().map(|(_, submission)| submission.clone()).collect()
}

fn compare(
    diff: &mut Differential,
    batch: &[(Step, Submission)],
    ran: Vec<CommandResult>,
) -> Result<(), Difference> {
    batch.iter().zip(ran).try_for_each(|((step, _), ran)| diff.compare(step, ran))
}

/// Opens a crash image and compares it with what was acknowledged.
fn recover(
    scratch: &Scratch,
    index: usize,
    batches: &[RecordedBatch],
    (options, random): (&CoreOptions, &mut Random),
    counts: &mut CrashReport,
) -> Result<(), Difference> {
    let directory = scratch.path().join("data");
    let seed = batches[0].diff.seed();
    let last = batches.iter().rposition(|recorded| recorded.operations <= index);
    let next = last.map_or(0, |last| last + 1);
    let in_flight_batch = batches.get(next).filter(|recorded| recorded.began < index);
    let nothing = Differential::new(seed);
    let acknowledged = last.map_or(&nothing, |last| &batches[last].diff);

    let options = CoreOptions { vfs: None, ..options.clone() };
    let mut core = match Core::open(&directory, options) {
        Ok(core) => core,
        Err(error) => return Err(acknowledged.difference("the start", &error, &"starts")),
    };
    let report = audit(&directory).expect("an opened directory can be audited");
    let mut diff = match in_flight_batch {
        Some(recorded)
            if entries(&recorded.diff) > entries(acknowledged)
                && report.entries == entries(&recorded.diff) =>
        {
            counts.in_flight_committed += 1;
            recorded.diff.clone()
        }
        Some(_) => {
            counts.in_flight_lost += 1;
            acknowledged.clone()
        }
        None => acknowledged.clone(),
    };
    diff.expect_equal("the audit of the crash", report.disagreement.map(|found| found.what), None)?;
    diff.expect_equal("the entries after the crash", report.entries, entries(&diff))?;

    // All requests are repeated: acknowledged ones get their first answers, those in flight are
    // executed if absent.
    let now = diff.now();
    for recorded in &batches[..next] {
        counts.replays += retry(&mut core, &mut diff, &recorded.batch, now)?;
    }
    if let Some(recorded) = in_flight_batch {
        let now = recorded.diff.now();
        counts.replays += retry(&mut core, &mut diff, &recorded.batch, now)?;
    }
    let mut workload = last.map_or_else(|| Workload::new(seed), |last| batches[last].workload.clone());
    for _ in 0..3 {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(5));
        let ran = core.run_batch(submissions(&batch), batch[0].0.now).expect("a healthy disk");
        compare(&mut diff, &batch, ran)?;
        core.maintain().expect("a healthy disk");
    }
    drop(core);
    counts.crashes += 1;
    compare_stored(&directory, &mut diff)
}

/// The number of entries in the journal, as the model says.
fn entries(diff: &Differential) -> u64 {
    let model = &diff.model;
    let lines: usize = model.pools.values().map(|pool| pool.lines.len()).sum();
    (lines + model.prices.len() + model.platform_keys) as u64
}

fn is_keyed(submission: &Submission) -> bool {
    submission.key.is_some() || submission.command.derived_key().is_some()
}

/// Repeats the requests that have a key and returns how many of them got their first answer again.
fn retry(
    core: &mut Core,
    diff: &mut Differential,
    batch: &[(Step, Submission)],
    now: Timestamp,
) -> Result<u64, Difference> {
    let again: Vec<(Step, Submission)> = batch
        .iter()
        .filter(|(_, submission)| is_keyed(submission))
        .map(|(step, submission)| (Step { now, ..step.clone() }, submission.clone()))
        .collect();
    let before = diff.replays();
    let ran = core.run_batch(submissions(&again), now).expect("a healthy disk");
    compare(diff, &again, ran)?;
    Ok(diff.replays() - before)
}

/// Runs `steps` steps of a seed on a disk that refuses writes and syncs at random.
///
/// # Errors
/// The first [`Difference`]: an error other than "unavailable", or an entry that is lost or
/// doubled.
pub fn faults(seed: u64, steps: usize) -> Result<CrashReport, Difference> {
    let mut random = Random::new(seed.rotate_left(16));
    let (disk, live) = (disk(), Scratch::new());
    let options = small(&mut random, Some(disk.name()));
    let mut core = Core::open(live.path(), options).expect("a healthy disk");
    let mut appender = core.appender().expect("a journal opens twice");
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    let mut counts = CrashReport::default();
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(12));
        let now = batch[0].0.now;
        if random.chance(300) {
            disk.fail(fault(&mut random));
        }
        match commit_somehow(&mut core, &mut appender, &batch, &mut random) {
            Ok(ran) => compare(&mut diff, &batch, ran)?,
            Err(error) => {
                expect_unavailable(&diff, &error)?;
                if random.chance(300) {
                    // The core must survive a batch on the broken disk; it may fail or succeed.
                    let _ = core.run_batch(Vec::new(), now);
                }
                disk.heal();
                mark_committed(&mut core, &mut diff, (&batch, now), live.path(), &mut counts)?;
            }
        }
        if random.chance(600)
            && let Err(error) = core.maintain()
        {
            expect_unavailable(&diff, &error)?;
        }
        disk.heal();
    }
    drop(core);
    counts.refused = disk.refused();
    counts.operations = disk.op_count();
    compare_stored(live.path(), &mut diff)?;
    Ok(counts)
}

/// Commits a batch at once or as a batch in flight. While it is in flight, repeated requests must
/// get the same answers, although the entries are not on disk yet.
fn commit_somehow(
    core: &mut Core,
    appender: &mut Appender,
    batch: &[(Step, Submission)],
    random: &mut Random,
) -> Result<Vec<CommandResult>, Error> {
    let now = batch[0].0.now;
    let ran = core.decide_batch(submissions(batch), now)?;
    let in_flight = if random.chance(500) { core.begin_append() } else { None };
    let Some(in_flight) = in_flight else {
        return core.commit().map(|()| ran);
    };
    let keyed = batch.iter().zip(&ran).filter(|((_, submission), ran)| is_keyed(submission) && ran.is_ok());
    // The platform repeats them, because the batch may have removed the member or key that asked
    // first.
    let again = |submission: &Submission| Submission { actor: Actor::Platform, ..submission.clone() };
    let (again, first): (Vec<Submission>, Vec<&CommandResult>) =
        keyed.map(|((_, submission), ran)| (again(submission), ran)).unzip();
    for (ran, first) in core.decide_batch(again, now)?.iter().zip(first) {
        let output = |ran: &CommandResult| ran.as_ref().map(|answer| answer.output.clone()).ok();
        assert_eq!(output(ran), output(first), "a repeated request gets the first answer");
    }
    let appended = appender.append(&in_flight);
    core.append_finished(&appended);
    appended.map(|()| ran)
}

fn fault(random: &mut Random) -> Fault {
    let after = random.below(6);
    match random.below(3) {
        0 => Fault::DiskFull { after_writes: after },
        1 => Fault::WriteError { after_writes: after },
        _ => Fault::SyncError { after_syncs: after % 2 },
    }
}

/// The only permitted error of a failing disk is "unavailable".
fn expect_unavailable(diff: &Differential, error: &Error) -> Result<(), Difference> {
    if error.is_unavailable() {
        return Ok(());
    }
    Err(diff.difference("the error of a failing disk", error, &"unavailable"))
}

/// Finds out whether the failed batch was committed, updates the model if so, and repeats its
/// requests.
fn mark_committed(
    core: &mut Core,
    diff: &mut Differential,
    (batch, now): (&[(Step, Submission)], Timestamp),
    directory: &std::path::Path,
    counts: &mut CrashReport,
) -> Result<(), Difference> {
    // An empty batch makes the core read the end of the journal again.
    core.run_batch(Vec::new(), now).expect("the disk works again");
    let found = audit(directory).expect("an opened directory can be audited").entries;
    let mut committed = diff.clone();
    for (step, _) in batch {
        // The callers never received these answers.
        let _ = committed.model.step(step);
    }
    if entries(&committed) > entries(diff) && found == entries(&committed) {
        counts.in_flight_committed += 1;
        *diff = committed;
        let reader =
            Embedded::open_read_only(directory).map_err(|error| diff.engine_error("a reader", error))?;
        diff.learn(&reader)?;
    } else {
        counts.in_flight_lost += 1;
        diff.expect_equal("the entries after a fault", found, entries(diff))?;
    }
    let before = diff.replays();
    let ran = core.run_batch(submissions(batch), now).expect("the disk works again");
    compare(diff, batch, ran)?;
    counts.replays += diff.replays() - before;
    Ok(())
}
