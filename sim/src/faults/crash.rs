//! Power that fails, and disks that do: the embedded engine on a disk that remembers.
//!
//! [`crashes`] runs a seed once and notes, after every acknowledged batch, how many operations the disk had seen. Then it
//! lets the power fail behind an operation, opens what the disk may hold in one of the ways of [`Survivors`], and asks:
//! is everything acknowledged before there, exactly once, and at most the one batch that was under way besides, whole or
//! not at all? Does the audit pass? Is every request answered again as it was, and does service go on
//! as the model says? [`faults`] lets writes and syncs be refused instead: nothing but a clear "not now" may come of it,
//! and what was in doubt is settled by asking again under the same keys.

use std::sync::atomic::{AtomicU64, Ordering};

use tollkeeper_engine::embedded::{Appender, Core, CoreOptions, Embedded, audit};
use tollkeeper_engine::{CommandResult, Error};
use tollkeeper_ledger::{Actor, Submission, Timestamp};

use crate::differential::{Difference, Differential, next_batch};
use crate::disk::{Disk, Fault, Survivors};
use crate::engines::embedded::{compare_kept, small};
use crate::model::step::Step;
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::scratch::Scratch;

/// What was doubted in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// Operations of the disk.
    pub operations: usize,
    /// Crashes that were recovered from.
    pub crashes: u64,
    /// Batches under way at a crash or a fault that turned out to have happened.
    pub in_flight_committed: u64,
    /// Batches under way at a crash or a fault that turned out not to have happened.
    pub in_flight_lost: u64,
    /// Requests that were sent again and answered as before.
    pub replays: u64,
    /// Writes and syncs that were refused.
    pub refused: u64,
}

/// What was acknowledged when the disk had seen so many operations.
struct RecordedBatch {
    /// The operations before the batch was brought to the disk.
    began: usize,
    /// The operations when it was answered.
    operations: usize,
    batch: Vec<(Step, Submission)>,
    diff: Differential,
    workload: Workload,
}

impl RecordedBatch {
    /// A batch that was decided, after which the model stands so.
    fn of(batch: Vec<(Step, Submission)>, diff: &Differential, workload: &Workload) -> RecordedBatch {
        let (diff, workload) = (diff.clone(), workload.clone());
        RecordedBatch { began: 0, operations: 0, batch, diff, workload }
    }

    /// The same, brought to the disk.
    fn brought(self, disk: &Disk, bring: impl FnOnce() -> Result<(), Error>) -> RecordedBatch {
        let began = disk.op_count();
        bring().expect("a healthy disk");
        RecordedBatch { began, operations: disk.op_count(), ..self }
    }
}

/// How densely a run is crashed.
#[derive(Clone, Copy, Debug)]
pub enum Density {
    /// Behind every operation, in every way.
    Everywhere,
    /// At so many operations, each in a way drawn at random.
    Sampled(usize),
}

fn disk() -> Disk {
    static DISKS: AtomicU64 = AtomicU64::new(0);
    Disk::new(&format!("crash-{}", DISKS.fetch_add(1, Ordering::Relaxed)))
}

/// Runs so many steps of a seed on a disk that remembers, and crashes it.
///
/// # Errors
/// The first [`Difference`]: something acknowledged that is lost or there twice, an audit that does not pass, an answer
/// that is another one than before.
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
            difference.what = format!("{} (crash behind operation {index}, {survivors:?})", difference.what);
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

/// The run that is crashed later.
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
            batches.push(decided.brought(disk, || core.commit()));
            core = between(core, &open, random);
            continue;
        };
        // The next batch is decided, and what is derived is kept, while this one is under way.
        core.maintain().expect("a healthy disk");
        let batch = next_batch(&mut diff, &mut workload, 1 + random.index(12));
        let answers = core.decide_batch(submissions(&batch), batch[0].0.now).expect("a healthy disk");
        compare(&mut diff, &batch, answers)?;
        batches.push(decided.brought(disk, || {
            let appended = appender.append(&in_flight);
            core.append_finished(&appended);
            appended
        }));
        if in_flight.finishes_wal_checkpoint() {
            appender.finish_wal_checkpoint();
        }
        let next = RecordedBatch::of(batch, &diff, &workload);
        batches.push(next.brought(disk, || core.commit()));
        core = between(core, &open, random);
    }
    Ok(batches)
}

/// What may happen between two commits: a little is kept, or everything, or the core is opened anew.
fn between(mut core: Core, open: &dyn Fn() -> Core, random: &mut Random) -> Core {
    match random.below(100) {
        0..60 => core.maintain().expect("a healthy disk"),
        60..65 => core.checkpoint_all().expect("a healthy disk"),
        65..68 => {
            // One process holds a directory at a time, so the old core goes first.
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

/// Opens what a crash left and holds it against what was acknowledged.
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
    diff.same("the audit of the crash", report.disagreement.map(|found| found.what), None)?;
    diff.same("the entries after the crash", report.entries, entries(&diff))?;

    // What was acknowledged, and what was under way, is asked again: the one is answered as it was, the other done.
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
    compare_kept(&directory, &mut diff)
}

/// How many entries the journal of a history has.
fn entries(diff: &Differential) -> u64 {
    let model = &diff.model;
    let lines: usize = model.pools.values().map(|pool| pool.lines.len()).sum();
    (lines + model.prices.len() + model.platform_keys) as u64
}

fn is_keyed(submission: &Submission) -> bool {
    submission.key.is_some() || submission.command.derived_key().is_some()
}

/// Sends what was asked under a key once more; says how many answers were replays.
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

/// Runs so many steps of a seed on a disk that refuses writes and syncs now and then.
///
/// # Errors
/// The first [`Difference`]: an answer that is neither right nor "not now", something lost or there twice.
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
        match run_somehow(&mut core, &mut appender, &batch, &mut random) {
            Ok(ran) => compare(&mut diff, &batch, ran)?,
            Err(error) => {
                clear(&diff, &error)?;
                if random.chance(300) {
                    // It may still be broken, or pass: both are told by the answer.
                    let _ = core.run_batch(Vec::new(), now);
                }
                disk.heal();
                mark_committed(&mut core, &mut diff, (&batch, now), live.path(), &mut counts)?;
            }
        }
        if random.chance(600)
            && let Err(error) = core.maintain()
        {
            clear(&diff, &error)?;
        }
        disk.heal();
    }
    drop(core);
    counts.refused = disk.refused();
    counts.operations = disk.op_count();
    compare_kept(live.path(), &mut diff)?;
    Ok(counts)
}

/// Commits a batch in one of the two ways: at once, or as a batch in flight. Whoever asks again while it is under way is answered
/// the same, from what is not on disk yet.
fn run_somehow(
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
    // By somebody who may ask still, whatever the batch has done to the first.
    let again = |submission: &Submission| Submission { actor: Actor::Platform, ..submission.clone() };
    let (again, first): (Vec<Submission>, Vec<&CommandResult>) =
        keyed.map(|((_, submission), ran)| (again(submission), ran)).unzip();
    for (ran, first) in core.decide_batch(again, now)?.iter().zip(first) {
        let told = |ran: &CommandResult| ran.as_ref().map(|answer| answer.output.clone()).ok();
        assert_eq!(told(ran), told(first), "a request that is repeated is answered the same");
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

/// A disk that fails is "not now", nothing else.
fn clear(diff: &Differential, error: &Error) -> Result<(), Difference> {
    if error.is_unavailable() {
        return Ok(());
    }
    Err(diff.difference("the error of a failing disk", error, &"unavailable"))
}

/// Finds out whether the batch in doubt has happened, and asks for it again.
fn mark_committed(
    core: &mut Core,
    diff: &mut Differential,
    (batch, now): (&[(Step, Submission)], Timestamp),
    directory: &std::path::Path,
    counts: &mut CrashReport,
) -> Result<(), Difference> {
    // An empty batch makes the core read the disk anew, which settles what is there.
    core.run_batch(Vec::new(), now).expect("a disk that is whole again");
    let kept = audit(directory).expect("an opened directory can be audited").entries;
    let mut happened = diff.clone();
    for (step, _) in batch {
        // The answers were never told.
        let _ = happened.model.step(step);
    }
    if entries(&happened) > entries(diff) && kept == entries(&happened) {
        counts.in_flight_committed += 1;
        *diff = happened;
        let reader = Embedded::open_read_only(directory).map_err(|error| diff.unable("a reader", error))?;
        diff.learn(&reader)?;
    } else {
        counts.in_flight_lost += 1;
        diff.same("the entries after a fault", kept, entries(diff))?;
    }
    let before = diff.replays();
    let ran = core.run_batch(submissions(batch), now).expect("a disk that is whole again");
    compare(diff, batch, ran)?;
    counts.replays += diff.replays() - before;
    Ok(())
}
