//! The embedded engine on damaged files: flipped bits, lost or scrambled sectors, truncated files.
//!
//! The directory of a run is damaged in one place. Then the audit, the start or a read must report
//! the damage, or all data still agrees with the model because the damaged bytes were unused. There
//! must be no panic in either case, and no answer that differs from the model.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tollkeeper_engine::embedded::{Core, audit};
use tollkeeper_engine::{Error, panic_message};

use crate::differential::{Difference, Differential, next_batch};
use crate::engines::embedded::{compare_stored, run, small};
use crate::random::Random;
use crate::workload::Workload;
use tollkeeper_testkit::scratch::Scratch;

/// How the damages of a run were noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damages {
    /// Damages that the audit or the start reported.
    pub detected: u64,
    /// Damages that the audit missed and a read reported.
    pub detected_late: u64,
    /// Damages of unused bytes: everything still agrees with the model.
    pub harmless: u64,
}

/// Runs `steps` steps of a seed, then damages copies of the directory `count` times, in one place
/// each.
///
/// # Errors
/// The first [`Difference`]: damage that is neither detected nor harmless, or a panic.
pub fn damages(seed: u64, steps: usize, count: usize) -> Result<Damages, Difference> {
    let whole = Scratch::new();
    let diff = run(whole.path(), seed, steps)?;
    let mut random = Random::new(seed.rotate_left(48));
    let mut damages = Damages::default();
    for _ in 0..count {
        let scratch = Scratch::new();
        let directory = scratch.path().join("data");
        let damage = damage(whole.path(), &directory, &mut random);
        let detection = detect(&directory, &diff, &mut random).map_err(|mut difference| {
            difference.what = format!("{} ({damage})", difference.what);
            difference
        })?;
        match detection {
            Detection::AtOnce => damages.detected += 1,
            Detection::Late => damages.detected_late += 1,
            Detection::None => damages.harmless += 1,
        }
    }
    Ok(damages)
}

/// Copies a directory, damages one of its files, and returns a description of the damage.
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
            "truncation"
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            "flipped bit"
        }
    };
    fs::write(&file, bytes).expect("a copy");
    format!("{how} at {at} of {}", file.file_name().expect("a file has a name").display())
}

/// When a damage was noticed.
enum Detection {
    /// By the audit or by the start.
    AtOnce,
    /// By a read.
    Late,
    /// Never: no bytes in use were damaged.
    None,
}

/// When the damage is noticed; if it is not, all data must agree with the model.
fn detect(directory: &Path, diff: &Differential, random: &mut Random) -> Result<Detection, Difference> {
    let audited = no_panic(diff, "the audit", || audit(directory))?;
    let mut detection = match audited {
        Ok(report) if report.disagreement.is_none() => Detection::None,
        Ok(_) => Detection::AtOnce,
        Err(error) => reported_by(diff, "the audit", error)?,
    };
    if matches!(detection, Detection::None)
        && let Err(difference) = compare_stored(directory, &mut diff.clone())
    {
        match &difference.error {
            Some(error) if error.is_damaged() => detection = Detection::Late,
            _ => return Err(difference),
        }
    }
    let options = small(random, None);
    match no_panic(diff, "the start", || Core::open(directory, options))? {
        Err(error) => detection = reported_by(diff, "the start", error)?,
        Ok(core) => run_more(core, diff.clone())?,
    }
    Ok(detection)
}

/// Runs more commands, which must end in answers or errors, never in a panic.
fn run_more(mut core: Core, mut diff: Differential) -> Result<(), Difference> {
    let mut workload = Workload::new(diff.seed());
    for _ in 0..5 {
        let batch = next_batch(&mut diff, &mut workload, 5);
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let now = diff.now();
        let _ = no_panic(&diff, "a batch", || core.run_batch(submissions, now))?;
        let _ = no_panic(&diff, "the maintenance", || core.maintain())?;
    }
    Ok(())
}

/// Checks that an error of a damaged directory is of the right kind.
fn reported_by(diff: &Differential, who: &str, error: Error) -> Result<Detection, Difference> {
    if error.is_damaged() || error.is_unusable() {
        Ok(Detection::AtOnce)
    } else {
        Err(diff.engine_error(who, error))
    }
}

fn no_panic<T>(diff: &Differential, who: &str, act: impl FnOnce() -> T) -> Result<T, Difference> {
    catch_unwind(AssertUnwindSafe(act))
        .map_err(|panic| diff.difference(format!("a panic in {who}"), &panic_message(&*panic), &"no panic"))
}
