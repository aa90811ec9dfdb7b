//! The embedded engine on damaged files: flipped bits, lost or scrambled sectors, truncated files.
//!
//! The directory of a run is damaged in one place and then *served*: every request that can be
//! repeated is repeated, and every answer and all stored data are compared with the model.
//! - Damage of `state.db` is mended: it is derived, so nothing may be refused or differ.
//! - Damage of `journal.db` is named by the audit, the start or a request, or it is harmless.
//!
//! There must be no panic, and no answer that differs from the model.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tollkeeper_engine::embedded::{Core, audit};
use tollkeeper_engine::{CommandResult, Error, panic_message};
use tollkeeper_ledger::Submission;

use crate::differential::{Difference, Differential, next_batch};
use crate::engines::embedded::{Recorded, compare_stored, record, small};
use crate::model::step::Step;
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::scratch::Scratch;

/// Repeated requests in one batch.
const REPEATED_AT_ONCE: usize = 16;

/// What became of the damages of a run.
#[derive(Clone, Debug, Default)]
pub struct Damages {
    /// Damages that the audit reported before anything was served.
    pub audited: u64,
    /// Damages with which a start or a request was refused.
    pub refused: u64,
    /// Damages after which everything was served as if there were none.
    pub served: u64,
    /// Of these, damages of rows that were not needed: the audit still names the file.
    pub unneeded: u64,
    /// Requests that were repeated and got the answer that the model expects.
    pub repeated: u64,
    /// Wrong answers, unnoticed damages and panics.
    pub wrong: Vec<Difference>,
}

/// Runs `steps` steps of a seed, then damages copies of the directory `count` times, in one place
/// each, and serves them.
///
/// # Errors
/// The first [`Difference`] of the run itself.
pub fn damages(seed: u64, steps: usize, count: usize) -> Result<Damages, Difference> {
    let whole = Scratch::new();
    let run = record(whole.path(), seed, steps)?;
    let mut random = Random::new(seed.rotate_left(48));
    let mut damages = Damages::default();
    for _ in 0..count {
        let files = files_of(whole.path());
        let name = random.pick(&files).clone();
        let mut bytes = fs::read(whole.path().join(&name)).expect("a file of the run");
        let how = damage(&mut bytes, &mut random);
        try_one(whole.path(), (&name, bytes, &how), &run, &mut damages);
    }
    Ok(damages)
}

/// Runs a few steps of a seed. Then flips one bit of every `stride`th byte of a file, one at a
/// time, and cuts it at every page; serves each.
///
/// # Errors
/// As [`damages`].
pub fn every_byte(seed: u64, steps: usize, file: &str, stride: usize) -> Result<Damages, Difference> {
    let whole = Scratch::new();
    let run = record(whole.path(), seed, steps)?;
    let page_bytes = make_pages_small(&whole.path().join(file));
    let bytes = fs::read(whole.path().join(file)).expect("a file of the run");
    let mut damages = Damages::default();
    for at in (seed as usize % stride..bytes.len()).step_by(stride) {
        let mut flipped = bytes.clone();
        let bit = (at + seed as usize) % 8;
        flipped[at] ^= 1 << bit;
        let how = format!("bit {bit} of byte {at}");
        try_one(whole.path(), (file, flipped, &how), &run, &mut damages);
    }
    for length in (0..bytes.len()).step_by(page_bytes) {
        let how = format!("cut to {length} bytes");
        try_one(whole.path(), (file, bytes[..length].to_vec(), &how), &run, &mut damages);
    }
    Ok(damages)
}

/// Rewrites a database with the smallest pages, so that few bytes are unused; returns the size of a
/// page.
fn make_pages_small(path: &Path) -> usize {
    let small = path.with_extension("small");
    let connection = Connection::open(path).expect("a database of the run");
    connection.execute_batch("PRAGMA page_size = 512").expect("SQLite knows the pragma");
    let into = small.to_str().expect("a temporary path is text");
    connection.execute("VACUUM INTO ?1", [into]).expect("a database is copied");
    drop(connection);
    fs::rename(&small, path).expect("a file is replaced");
    for suffix in ["-wal", "-shm"] {
        let beside = format!("{}{suffix}", path.display());
        // It is there only while a reader of the run has not ended.
        let _ = fs::remove_file(beside);
    }
    512
}

/// The names of the databases in a directory.
fn files_of(directory: &Path) -> Vec<String> {
    let listed = fs::read_dir(directory).expect("a directory of a run").flatten();
    let paths: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
    let databases = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "db"));
    let mut names: Vec<String> = databases
        .map(|path| path.file_name().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Copies the databases of a directory.
///
/// # Panics
/// When a file cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a temporary directory");
    for name in files_of(from) {
        fs::copy(from.join(&name), to.join(&name)).expect("a copy");
    }
}

/// Damages the bytes of a file in one place; returns a description.
pub(super) fn damage(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    let at = random.index(bytes.len());
    let sector = at / 512 * 512..(at / 512 * 512 + 512).min(bytes.len());
    let how = match random.below(5) {
        0 => {
            bytes[sector].fill(0);
            "lost sector"
        }
        1 => {
            bytes[sector].iter_mut().for_each(|byte| *byte = random.next_u64() as u8);
            "scrambled sector"
        }
        2 => {
            bytes.truncate(at);
            "truncation"
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            "flipped bit"
        }
    };
    format!("{how} at {at}")
}

/// Serves a copy of a directory in which one file is replaced by damaged bytes, and counts what
/// became of it.
fn try_one(whole: &Path, (file, bytes, how): (&str, Vec<u8>, &str), run: &Recorded, damages: &mut Damages) {
    let scratch = Scratch::new();
    let directory = scratch.path().join("data");
    copy(whole, &directory);
    fs::write(directory.join(file), bytes).expect("a copy");
    match audit_and_serve(&directory, run, file == "state.db", &mut damages.audited) {
        Ok(None) => damages.refused += 1,
        Ok(Some(Served { repeated, is_whole })) => {
            damages.served += 1;
            damages.unneeded += u64::from(!is_whole);
            damages.repeated += repeated;
        }
        Err(mut difference) => {
            difference.what = format!("{} ({file}: {how})", difference.what);
            damages.wrong.push(difference);
        }
    }
}

fn audit_and_serve(
    directory: &Path,
    run: &Recorded,
    must_serve: bool,
    audited: &mut u64,
) -> Result<Option<Served>, Difference> {
    let is_audited = match no_panic(&run.diff, "the audit", || audit(directory))? {
        Ok(report) => report.disagreement.is_some(),
        Err(error) => reported_by(&run.diff, "the audit", error).map(|()| true)?,
    };
    *audited += u64::from(is_audited);
    serve(directory, run, must_serve)
}

/// What was served of a damaged directory, without a difference from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The number of repeated requests.
    pub repeated: u64,
    /// False if the audit still names damage of the state file that no request met.
    pub is_whole: bool,
}

/// How often stored data is compared until the state file is mended.
const COMPARISONS: u32 = 50;

/// Serves a damaged directory: repeats every request that can be repeated, and compares everything
/// with the model. `must_serve`: nothing may be refused. `None` if the damage was refused by name.
///
/// # Errors
/// The first [`Difference`].
pub fn serve(directory: &Path, run: &Recorded, must_serve: bool) -> Result<Option<Served>, Difference> {
    let mut diff = run.diff.clone();
    let refused = |diff: &Differential, who: &str, error: Error| match must_serve {
        true => Err(diff.engine_error(who, error)),
        false => reported_by(diff, who, error).map(|()| None),
    };
    let options = small(&mut Random::new(run.diff.seed()), None);
    let mut core = match no_panic(&diff, "the start", || Core::open(directory, options))? {
        Ok(core) => core,
        Err(error) => return refused(&diff, "the start", error),
    };
    let now = diff.now();
    let can_be_repeated = |submission: &Submission| {
        let Submission { key, command, .. } = submission;
        key.is_some() || command.derived_key().is_some() || command.charge().is_some()
    };
    let again: Vec<(Step, Submission)> = run
        .steps
        .iter()
        .filter(|(_, submission)| can_be_repeated(submission))
        .map(|(step, submission)| (Step { now, ..step.clone() }, submission.clone()))
        .collect();
    let mut workload = Workload::new(diff.seed());
    for batch in again.chunks(REPEATED_AT_ONCE) {
        if let Err(error) = run_batch(&mut core, &mut diff, batch)? {
            return refused(&diff, "a repeated request", error);
        }
    }
    for _ in 0..3 {
        let batch = next_batch(&mut diff, &mut workload, 5);
        if let Err(error) = run_batch(&mut core, &mut diff, &batch)? {
            return refused(&diff, "a new request", error);
        }
    }
    drop(core);
    let repeated = again.len() as u64;
    match compare_damaged(directory, &diff, must_serve)? {
        None => Ok(None),
        Some(is_whole) => Ok(Some(Served { repeated, is_whole })),
    }
}

/// Compares everything that a damaged directory holds with the model. True if the audit passes,
/// false if it still names damage of the state file that nobody met, `None` if the damage was
/// refused by name.
///
/// # Errors
/// The first [`Difference`].
pub(super) fn compare_damaged(
    directory: &Path,
    diff: &Differential,
    must_serve: bool,
) -> Result<Option<bool>, Difference> {
    let mut last = None;
    for _ in 0..COMPARISONS {
        let compared = no_panic(diff, "a read", || compare_stored(directory, &mut diff.clone()))?;
        let Err(difference) = compared else { return Ok(Some(true)) };
        match &difference.error {
            // It is being mended.
            Some(error) if error.is_unavailable() => last = Some(difference),
            Some(error) if must_serve => {
                return Err(diff.engine_error(&difference.what, (**error).clone()));
            }
            Some(error) => return reported_by(diff, &difference.what, (**error).clone()).map(|()| None),
            None if difference.what == "the audit" && difference.engine.contains("state.db") => {
                return Ok(Some(false));
            }
            None if difference.what == "the audit" && !must_serve => return Ok(None),
            None => return Err(difference),
        }
    }
    Err(last.expect("every comparison failed"))
}

/// Damages the state file of a directory in one place; returns a description.
pub(super) fn damage_state(directory: &Path, random: &mut Random) -> String {
    let path = directory.join("state.db");
    let mut bytes = fs::read(&path).expect("a directory that was opened has a state file");
    let how = damage(&mut bytes, random);
    fs::write(&path, bytes).expect("a copy");
    how
}

/// Runs a batch and compares the answers. A state file that is being mended asks to send it again.
pub(super) fn run_batch(
    core: &mut Core,
    diff: &mut Differential,
    batch: &[(Step, Submission)],
) -> Result<Result<(), Error>, Difference> {
    let Some((first, _)) = batch.first() else { return Ok(Ok(())) };
    let submissions: Vec<Submission> = batch.iter().map(|(_, submission)| submission.clone()).collect();
    let mut run = || -> Result<Vec<CommandResult>, Error> {
        let answers = core.run_batch(submissions.clone(), first.now)?;
        // A failure of the maintenance shows at the next batch.
        let _ = core.maintain();
        Ok(answers)
    };
    let mut ran = no_panic(diff, "a batch", &mut run)?;
    for _ in 0..3 {
        if ran.as_ref().is_err_and(Error::is_unavailable) {
            ran = no_panic(diff, "a batch", &mut run)?;
        }
    }
    match ran {
        Ok(answers) => {
            for ((step, _), answer) in batch.iter().zip(answers) {
                diff.compare(step, answer)?;
            }
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Checks that an error of a damaged directory is of the right kind.
fn reported_by(diff: &Differential, who: &str, error: Error) -> Result<(), Difference> {
    let is_named = error.is_damaged() || error.is_account_refused() || error.is_unusable();
    if is_named { Ok(()) } else { Err(diff.engine_error(who, error)) }
}

fn no_panic<T>(diff: &Differential, who: &str, act: impl FnOnce() -> T) -> Result<T, Difference> {
    catch_unwind(AssertUnwindSafe(act))
        .map_err(|panic| diff.difference(format!("a panic in {who}"), &panic_message(&*panic), &"no panic"))
}
