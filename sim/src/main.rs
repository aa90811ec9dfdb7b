//! The command line of the simulator: runs seeds and prints a summary.
//!
//! `cargo run --release -p tollkeeper-sim -- seeds 1000` runs the first 1,000 seeds: every engine
//! beside the model, crashes, hostile tenants and disk faults. `-- seed 17` runs one seed.
//! `-- damage 17` damages every byte of the files of a small run, one at a time, and serves each;
//! `-- damage 17 50` every 50th. At the first difference of a seed it prints how to reproduce it
//! and exits with 1. `-- formats FOLDER` writes data of this release for the tests of later
//! ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use tollkeeper_engine::panic_message;
use tollkeeper_sim::differential::{self, Difference};
use tollkeeper_sim::engines::embedded;
use tollkeeper_sim::engines::memory::Memory;
use tollkeeper_sim::faults::crash::{CrashReport, Density, crashes, faults, hostile_crashes};
use tollkeeper_sim::faults::damage::{Damages, every_byte};
use tollkeeper_testkit::scratch::Scratch;

const USAGE: &str =
    "usage: tollkeeper-sim seeds COUNT | seed NUMBER | damage NUMBER [STRIDE] | formats FOLDER";
/// Steps of a run whose files are damaged in every byte.
const DAMAGED_STEPS: usize = 60;
/// Steps of each run beside the model.
const STEPS: usize = 400;
/// Steps of each run with crashes or disk faults.
const FAULTY_STEPS: usize = 150;
/// Crashes of each run.
const CRASHES: usize = 40;
/// Steps of each run with hostile tenants, and its crashes.
const HOSTILE_STEPS: usize = 400;
const HOSTILE_CRASHES: usize = 10;

/// The sums over all seeds.
#[derive(Debug, Default)]
struct Summary {
    commands: usize,
    operations: usize,
    crashes: u64,
    in_flight_committed: u64,
    in_flight_lost: u64,
    replays: u64,
    refused: u64,
    poisoned: u64,
    not_answered: u64,
    damaged: u64,
}

impl Summary {
    fn add(&mut self, report: CrashReport) {
        self.operations += report.operations;
        self.crashes += report.crashes;
        self.in_flight_committed += report.in_flight_committed;
        self.in_flight_lost += report.in_flight_lost;
        self.replays += report.replays;
        self.refused += report.refused;
        self.poisoned += report.poisoned;
        self.not_answered += report.not_answered;
        self.damaged += report.damaged;
    }
}

fn run_seed(seed: u64, summary: &mut Summary) -> Result<(), Difference> {
    let batch = 1 + (seed % 3) as usize * 7;
    summary.commands += differential::run(&Memory::default(), seed, STEPS, batch)?.steps();
    let scratch = Scratch::new();
    summary.commands += embedded::run(scratch.path(), seed, STEPS)?.steps();
    let scratch = Scratch::new();
    summary.commands += embedded::run_threaded(scratch.path(), seed, STEPS)?.steps();
    summary.add(crashes(seed, FAULTY_STEPS, Density::Sampled(CRASHES))?);
    summary.add(hostile_crashes(seed, HOSTILE_STEPS, HOSTILE_CRASHES)?);
    summary.add(faults(seed, FAULTY_STEPS)?);
    Ok(())
}

/// Flips a bit of every `stride`th byte of both files of a run, cuts them at every page, and serves
/// each.
fn damage(seed: u64, stride: usize) -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    for file in ["state.db", "journal.db"] {
        match every_byte(seed, DAMAGED_STEPS, file, stride) {
            Ok(Damages { audited, refused, served, unneeded, repeated, wrong }) => {
                println!(
                    "{file}: {} damages, audited {audited}, refused by name {refused}, served {served} (of these in \
                     rows that no request needed {unneeded}), repeated requests {repeated}, wrong answers {}",
                    refused + served + wrong.len() as u64,
                    wrong.len()
                );
                for difference in &wrong {
                    eprintln!("{difference}");
                    exit = ExitCode::FAILURE;
                }
            }
            Err(difference) => {
                eprintln!("{difference}");
                return ExitCode::FAILURE;
            }
        }
    }
    exit
}

/// Where the last panic was.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Prints no backtrace for a panic of the ledger or the engine: most are provoked, caught and
/// compared. Its place is kept for [`caught`].
fn hide_provoked_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = place;
        if !file.starts_with("ledger/") && !file.starts_with("engine/") {
            usual(panic);
        }
    }));
}

/// Runs a seed; what it found, for people. A panic that nobody provoked is a finding.
fn caught(run: impl FnOnce() -> Result<(), Difference>) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|difference| difference.to_string()),
        Err(panic) => {
            let place = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            Err(format!("panic: {} at {place}", panic_message(&*panic)))
        }
    }
}

fn main() -> ExitCode {
    hide_provoked_panics();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["formats", folder] = words[..] {
        tollkeeper_sim::formats::write(std::path::Path::new(folder));
        return ExitCode::SUCCESS;
    }
    let number = words.get(1).and_then(|text| text.parse::<u64>().ok());
    let stride = words.get(2).map_or(Some(1), |text| text.parse().ok().filter(|stride| *stride > 0));
    let seeds = match (words.first(), number, stride) {
        (Some(&"seeds"), Some(count), _) => 0..count,
        (Some(&"damage"), Some(seed), Some(stride)) => return damage(seed, stride),
        (Some(&"seed"), Some(seed), _) => seed..seed.saturating_add(1),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let count = seeds.end - seeds.start;
    let mut summary = Summary::default();
    for seed in seeds {
        if let Err(found) = caught(|| run_seed(seed, &mut summary)) {
            eprintln!(
                "seed {seed}: {found}\nreproduce it: cargo run --release -p tollkeeper-sim -- seed {seed}"
            );
            return ExitCode::FAILURE;
        }
    }
    let Summary {
        commands, operations, crashes, in_flight_committed, in_flight_lost, replays, refused, ..
    } = summary;
    println!("seeds {count}, commands beside the model {commands}, disagreements 0");
    println!(
        "crashes {crashes} after {operations} disk operations (batches in flight: {in_flight_committed} committed, \
         {in_flight_lost} lost), refused writes and syncs {refused}"
    );
    println!(
        "accounts made wrong {}, commands refused with them {}, crash images with a damaged state file {}",
        summary.poisoned, summary.not_answered, summary.damaged
    );
    println!("acknowledged and lost 0, charged twice 0, repeated requests with their first answer {replays}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_seed_is_reported_with_its_message_and_place() {
        hide_provoked_panics();
        let found = caught(|| panic!("an invariant does not hold")).expect_err("it panicked");
        assert!(found.starts_with("panic: an invariant does not hold at "), "{found}");
        assert!(found.contains("main.rs:"), "{found}");
        assert!(caught(|| Ok(())).is_ok());
    }
}
