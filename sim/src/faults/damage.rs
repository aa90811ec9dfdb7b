//! Files that are not what was written: bits that flipped, sectors that were lost, files that were cut.
//!
//! A directory of a run is damaged in one place. Whoever asks then has to be told, by the audit or by the start; or the
//! damage was in nothing that counts, and everything still agrees with the model. No panic in either case, and no credit
//! that nobody granted.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tollkeeper_engine::Error;
use tollkeeper_engine::embedded::{Core, audit};

use crate::differential::{Difference, Differential, next_batch};
use crate::engines::embedded::{compare_kept, run, small};
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::scratch::Scratch;

/// What became of the damages of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damages {
    /// The audit or the start told them.
    pub told: u64,
    /// The audit found nothing, but a read told them.
    pub told_late: u64,
    /// They were in nothing that counts.
    pub harmless: u64,
}

/// Runs so many steps of a seed and damages what they left in so many ways, one at a time.
///
/// # Errors
/// The first [`Difference`]: damage that nobody tells and that is not harmless, or a panic.
pub fn damages(seed: u64, steps: usize, count: usize) -> Result<Damages, Difference> {
    let whole = Scratch::new();
    let diff = run(whole.path(), seed, steps)?;
    let mut random = Random::new(seed.rotate_left(48));
    let mut damages = Damages::default();
    for _ in 0..count {
        let scratch = Scratch::new();
        let directory = scratch.path().join("data");
        let damage = damage(whole.path(), &directory, &mut random);
        let told = told(&directory, &diff, &mut random).map_err(|mut difference| {
            difference.what = format!("{} ({damage})", difference.what);
            difference
        })?;
        match told {
            Output::AtOnce => damages.told += 1,
            Output::Late => damages.told_late += 1,
            Output::Not => damages.harmless += 1,
        }
    }
    Ok(damages)
}

/// Copies a directory and damages one of its files; says how.
fn damage(from: &Path, to: &Path, random: &mut Random) -> String {
    fs::create_dir_all(to).expect("a temporary directory");
    let listed = fs::read_dir(from).expect("a directory of a run").flatten();
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().expect("a file has a name").to_owned();
    for file in &files {
        fs::copy(file, to.join(name(file))).expect("a copy");
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "db"));
    let file = to.join(name(random.pick(&files)));
    let mut bytes = fs::read(&file).expect("a copy");
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
            "cut"
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            "flipped bit"
        }
    };
    fs::write(&file, bytes).expect("a copy");
    format!("{how} at {at} of {}", file.file_name().expect("a file has a name").display())
}

/// When somebody was told of a damage.
enum Output {
    AtOnce,
    Late,
    Not,
}

/// When somebody is told of the damage; if never, everything has to agree.
fn told(directory: &Path, diff: &Differential, random: &mut Random) -> Result<Output, Difference> {
    let audited = no_panic(diff, "the audit", || audit(directory))?;
    let mut told = match audited {
        Ok(report) if report.disagreement.is_none() => Output::Not,
        Ok(_) => Output::AtOnce,
        Err(error) => told_by(diff, "the audit", error)?,
    };
    if matches!(told, Output::Not)
        && let Err(difference) = compare_kept(directory, &mut diff.clone())
    {
        match &difference.error {
            Some(error) if error.is_damaged() => told = Output::Late,
            _ => return Err(difference),
        }
    }
    let options = small(random, None);
    match no_panic(diff, "the start", || Core::open(directory, options))? {
        Err(error) => told = told_by(diff, "the start", error)?,
        Ok(core) => go_on(core, diff.clone())?,
    }
    Ok(told)
}

/// Service goes on as far as it can: with answers, or with errors that say what is damaged.
fn go_on(mut core: Core, mut diff: Differential) -> Result<(), Difference> {
    let mut workload = Workload::new(diff.seed());
    for _ in 0..5 {
        let batch = next_batch(&mut diff, &mut workload, 5);
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let now = diff.now();
        let _ = no_panic(&diff, "a batch", || core.run_batch(submissions, now))?;
        let _ = no_panic(&diff, "the keeping", || core.maintain())?;
    }
    Ok(())
}

fn told_by(diff: &Differential, who: &str, error: Error) -> Result<Output, Difference> {
    if error.is_damaged() || error.is_unusable() { Ok(Output::AtOnce) } else { Err(diff.unable(who, error)) }
}

fn no_panic<T>(diff: &Differential, who: &str, act: impl FnOnce() -> T) -> Result<T, Difference> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        diff.difference(format!("a panic in {who}"), &what.unwrap_or_default(), &"no panic")
    })
}
