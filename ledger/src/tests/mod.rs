//! The ledger's decisions, told as scripts: one command a line, and behind `=>` what it answers.
//!
//! [`check`] runs a script against one workspace, `acme`, opened on day 100, with a price book of
//! six operations. A line without `=>` has to succeed. After every line the bytes of each new entry
//! are read back and the rollups are compared with the totals (i08); after the last the whole
//! account is rebuilt from its journal and from its bytes. What the words of a script mean is in
//! `script`, how a command runs in `world`. Each family of rules has its file. Not here: anything
//! an engine adds.

mod alerts;
mod charges;
mod claw_backs;
mod codes;
mod grants;
mod invariants;
mod limits;
mod prices;
mod rebuild;
mod refusals;
mod replays;
mod script;
mod teams;
mod workspaces;
mod world;

use world::World;

/// Runs a script in a workspace just opened.
fn check(script: &str) -> World {
    let mut world = World::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = match line.split_once("=>") {
            Some((command, expected)) => (command.trim(), Some(expected.trim())),
            None => (line, None),
        };
        let told = script::run(&mut world, command);
        match expected {
            Some(expected) => assert_eq!(told, expected, "{command}\nin the script{script}"),
            None => {
                assert!(!told.starts_with("no "), "{command} was answered: {told}\nin the script{script}")
            }
        }
    }
    world.rebuild();
    world
}
