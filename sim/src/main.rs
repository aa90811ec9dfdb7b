//! Runs the simulator for as many seeds as one likes and prints what it found.
//!
//! `cargo run --release -p tollkeeper-sim -- seeds 1000` report decisions, crashes and faults for
//! the first 1,000 seeds; `-- seed 17` for one. It ends with 1 at the first difference, and says
//! how to see it again.

use std::process::ExitCode;

use tollkeeper_sim::differential::{self, Difference};
use tollkeeper_sim::engines::embedded;
use tollkeeper_sim::engines::memory::Memory;
use tollkeeper_sim::faults::crash::{CrashReport, Density, crashes, faults};
use tollkeeper_testkit::scratch::Scratch;

const USAGE: &str = "usage: tollkeeper-sim seeds COUNT | seed NUMBER";
/// Steps of each run beside the model, and of each run that is crashed or hindered.
const STEPS: usize = 400;
const DOUBTED_STEPS: usize = 150;
/// Crashes of each run.
const CRASHES: usize = 40;

/// What all seeds together came to.
#[derive(Debug, Default)]
struct Found {
    commands: usize,
    operations: usize,
    crashes: u64,
    in_flight_committed: u64,
    in_flight_lost: u64,
    replays: u64,
    refused: u64,
}

impl Found {
    fn add(&mut self, report: CrashReport) {
        self.operations += report.operations;
        self.crashes += report.crashes;
        self.in_flight_committed += report.in_flight_committed;
        self.in_flight_lost += report.in_flight_lost;
        self.replays += report.replays;
        self.refused += report.refused;
    }
}

fn doubt(seed: u64, found: &mut Found) -> Result<(), Difference> {
    let batch = 1 + (seed % 3) as usize * 7;
    found.commands += differential::run(&Memory::default(), seed, STEPS, batch)?.steps();
    let scratch = Scratch::new();
    found.commands += embedded::run(scratch.path(), seed, STEPS)?.steps();
    let scratch = Scratch::new();
    found.commands += embedded::run_threaded(scratch.path(), seed, STEPS)?.steps();
    found.add(crashes(seed, DOUBTED_STEPS, Density::Sampled(CRASHES))?);
    found.add(faults(seed, DOUBTED_STEPS)?);
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = words.get(1).and_then(|text| text.parse::<u64>().ok());
    let seeds = match (words.first(), number) {
        (Some(&"seeds"), Some(count)) => 0..count,
        (Some(&"seed"), Some(seed)) => seed..seed.saturating_add(1),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let count = seeds.end - seeds.start;
    let mut found = Found::default();
    for seed in seeds {
        if let Err(difference) = doubt(seed, &mut found) {
            eprintln!("{difference}\nsee it again: cargo run --release -p tollkeeper-sim -- seed {seed}");
            return ExitCode::FAILURE;
        }
    }
    let Found { commands, operations, crashes, in_flight_committed, in_flight_lost, replays, refused } =
        found;
    println!("seeds {count}, commands beside the model {commands}, disagreements 0");
    println!(
        "crashes {crashes} behind {operations} disk operations (of the batch under way {in_flight_committed} had in_flight_committed, \
         {in_flight_lost} had not), refused writes and syncs {refused}"
    );
    println!(
        "acknowledged and lost 0, charged twice 0, requests asked again and answered as before {replays}"
    );
    ExitCode::SUCCESS
}
