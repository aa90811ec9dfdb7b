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
//! [`hostile_crashes`] does the same in the worst company: bursts of hostile tenants, clocks that
//! jump, accounts whose numbers in memory become wrong, and images whose state file is damaged too.
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
use crate::faults::damage::{compare_damaged, damage_state, run_batch};
use crate::faults::poison::Poison;
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
    /// Accounts that were made wrong in memory.
    pub poisoned: u64,
    /// Commands that were refused because of such an account, and answered later.
    pub not_answered: u64,
    /// Crash images whose state file was damaged too.
    pub damaged: u64,
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
    let history = History { seed, steps, hostile: false };
    crash_history(history, density)
}

/// The same with hostile tenants, wrong clocks, poisoned accounts and damaged state files; crashes
/// `count` times.
///
/// # Errors
/// As [`crashes`]; also when a fault of one account shows in another one.
pub fn hostile_crashes(seed: u64, steps: usize, count: usize) -> Result<CrashReport, Difference> {
    let history = History { seed, steps, hostile: true };
    crash_history(history, Density::Sampled(count))
}

/// What is run before the crashes.
#[derive(Clone, Copy, Debug)]
struct History {
    seed: u64,
    steps: usize,
    hostile: bool,
}

impl History {
    fn workload(self) -> Workload {
        if self.hostile { Workload::hostile(self.seed) } else { Workload::new(self.seed) }
    }
}

fn crash_history(history: History, density: Density) -> Result<CrashReport, Difference> {
    let mut random = Random::new(history.seed.rotate_left(32));
    let (disk, live) = (disk(), Scratch::new());
    let options = small(&mut random, Some(disk.name()));
    let mut recorder = Recorder::new(&disk, &live, options.clone(), history);
    recorder.record(&mut random)?;
    let Recorder { batches, poison, .. } = recorder;
    let operations = disk.op_count();
    let (poisoned, not_answered) = (poison.strikes, poison.refused);
    let mut counts = CrashReport { operations, poisoned, not_answered, ..CrashReport::default() };
    let mut crash = |index: usize, survivors: Survivors, random: &mut Random| {
        let image = disk.crash_with(index, survivors, random);
        let scratch = Scratch::new();
        image.write_to(&scratch.path().join("data")).expect("a temporary directory takes an image");
        let recovered = recover(&scratch, index, &batches, (&options, history, random), &mut counts);
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
struct Recorder<'a> {
    disk: &'a Disk,
    live: &'a Scratch,
    options: CoreOptions,
    history: History,
    diff: Differential,
    workload: Workload,
    poison: Poison,
    batches: Vec<RecordedBatch>,
}

impl<'a> Recorder<'a> {
    fn new(disk: &'a Disk, live: &'a Scratch, options: CoreOptions, history: History) -> Recorder<'a> {
        let diff = Differential::new(history.seed);
        let (workload, poison, batches) = (history.workload(), Poison::default(), Vec::new());
        Recorder { disk, live, options, history, diff, workload, poison, batches }
    }

    fn open(&self) -> Core {
        Core::open(self.live.path(), self.options.clone()).expect("a directory of its own opens")
    }

    fn record(&mut self, random: &mut Random) -> Result<(), Difference> {
        let mut core = self.open();
        let mut appender = core.appender().expect("a journal opens twice");
        while self.diff.steps() < self.history.steps {
            let decided = self.decide(&mut core, random)?;
            let in_flight = if random.chance(400) { core.begin_append() } else { None };
            let Some(in_flight) = in_flight else {
                self.batches.push(decided.committed_by(self.disk, || core.commit()));
                core = self.between(core, random);
                continue;
            };
            // While this batch is in flight, maintenance runs and the next batch is decided.
            core.maintain().expect("a healthy disk");
            let next = self.decide(&mut core, random)?;
            self.batches.push(decided.committed_by(self.disk, || {
                let appended = appender.append(&in_flight);
                core.append_finished(&appended);
                appended
            }));
            if in_flight.finishes_wal_checkpoint() {
                appender.finish_wal_checkpoint();
            }
            self.batches.push(next.committed_by(self.disk, || core.commit()));
            core = self.between(core, random);
        }
        self.answer_all(&mut core)
    }

    /// Decides the next batch, and compares the answers. At times it is what was refused before, at
    /// times an account becomes wrong just before it.
    fn decide(&mut self, core: &mut Core, random: &mut Random) -> Result<RecordedBatch, Difference> {
        if self.poison.is_waiting() && random.chance(300) {
            let again = self.poison.take_unanswered(&self.diff);
            return self.decide_batch(core, again);
        }
        let size = 1 + random.index(12);
        let size = if self.history.hostile && random.chance(60) { size * 20 } else { size };
        let mut batch = next_batch(&mut self.diff, &mut self.workload, size);
        if self.history.hostile && random.chance(80) {
            self.poison.strike(core, &self.diff, random, &mut batch);
        }
        self.decide_batch(core, batch)
    }

    fn decide_batch(
        &mut self,
        core: &mut Core,
        batch: Vec<(Step, Submission)>,
    ) -> Result<RecordedBatch, Difference> {
        let now = batch.first().map_or(self.diff.now(), |(step, _)| step.now);
        let results = core.decide_each(submissions(&batch), now).expect("a healthy disk");
        let answered = self.poison.compare(&mut self.diff, batch, results)?;
        Ok(RecordedBatch::of(answered, &self.diff, &self.workload))
    }

    /// What may happen between two commits: maintenance, a full checkpoint, or a restart of the
    /// core.
    fn between(&self, mut core: Core, random: &mut Random) -> Core {
        match random.below(100) {
            0..60 => core.maintain().expect("a healthy disk"),
            60..65 => core.checkpoint_all().expect("a healthy disk"),
            65..68 => {
                // The directory is locked by one core at a time, so the old one is dropped first.
                drop(core);
                return self.open();
            }
            _ => {}
        }
        core
    }

    /// Sends everything again that was refused, until nothing is.
    fn answer_all(&mut self, core: &mut Core) -> Result<(), Difference> {
        self.poison.heal(core, &self.diff)?;
        let again = self.poison.take_unanswered(&self.diff);
        if !again.is_empty() {
            let decided = self.decide_batch(core, again)?;
            self.batches.push(decided.committed_by(self.disk, || core.commit()));
        }
        let waits = self.poison.is_waiting();
        self.diff.expect_equal("commands that are refused after everything was rebuilt", waits, false)
    }
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
    (options, history, random): (&CoreOptions, History, &mut Random),
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
    let open = || {
        let opened = Core::open(&directory, options.clone());
        opened.map_err(|error| acknowledged.difference("the start", &error, &"starts"))
    };
    let mut core = open()?;
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
    let mut damaged = None;
    if history.hostile && random.chance(400) {
        drop(core);
        damaged = Some(damage_state(&directory, random));
        core = open()?;
        counts.damaged += 1;
    }
    let resumed = resume(core, &mut diff, (batches, next, in_flight_batch), (history, random));
    let compared = resumed.and_then(|replays| {
        counts.replays += replays;
        match damaged {
            None => compare_stored(&directory, &mut diff),
            Some(_) => compare_damaged(&directory, &diff, true).map(|_| ()),
        }
    });
    counts.crashes += 1;
    compared.map_err(|mut difference| {
        let damage = damaged.map(|how| format!(" (state.db: {how})")).unwrap_or_default();
        difference.what.push_str(&damage);
        difference
    })
}

/// Repeats all requests: acknowledged ones get their first answers, those in flight are executed if
/// absent. Then some new ones. Returns how many got their first answer again.
fn resume(
    mut core: Core,
    diff: &mut Differential,
    (batches, next, in_flight): (&[RecordedBatch], usize, Option<&RecordedBatch>),
    (history, random): (History, &mut Random),
) -> Result<u64, Difference> {
    let now = diff.now();
    let mut replays = 0;
    for recorded in &batches[..next] {
        replays += retry(&mut core, diff, &recorded.batch, now)?;
    }
    if let Some(recorded) = in_flight {
        replays += retry(&mut core, diff, &recorded.batch, recorded.diff.now())?;
    }
    let mut workload =
        next.checked_sub(1).map_or_else(|| history.workload(), |last| batches[last].workload.clone());
    for _ in 0..3 {
        let batch = next_batch(diff, &mut workload, 1 + random.index(5));
        run_mended(&mut core, diff, &batch)?;
        // A failure of the maintenance shows at the next batch.
        let _ = core.maintain();
    }
    Ok(replays)
}

/// Runs a batch; a state file that is mended meanwhile refuses nothing.
fn run_mended(
    core: &mut Core,
    diff: &mut Differential,
    batch: &[(Step, Submission)],
) -> Result<(), Difference> {
    run_batch(core, diff, batch)?.map_err(|error| diff.engine_error("a request after the crash", error))
}

/// The number of entries in the journal, as the model says.
fn entries(diff: &Differential) -> u64 {
    let model = &diff.model;
    let lines: usize = model.pools.values().map(|pool| pool.lines.len()).sum();
    (lines + model.platform_entries()) as u64
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
    run_mended(core, diff, &again)?;
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
    // What changed nothing leaves its key free, so its repetition is a new request.
    let is_kept = |ran: &CommandResult| ran.as_ref().is_ok_and(|answer| answer.changed || answer.replayed);
    let keyed = batch.iter().zip(&ran).filter(|((_, submission), ran)| is_keyed(submission) && is_kept(ran));
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
