//! Tests of the ledger as scripts: a line is a command, and its answer follows after `=>`.
//!
//! [`check`] runs a script in one workspace, `acme`, created on day 100, with a price book of six
//! operations. A line without `=>` must not be refused. After every line the bytes of each new
//! entry are read back, and the rollups are compared with the totals (i08). After the last line the
//! account is rebuilt from its journal and from its bytes. The words of a script are in `script`,
//! and `world` runs a command. Each family of rules has a file. What an engine adds is not tested
//! here.

mod alerts;
mod at_provider;
mod auto_top_ups;
mod charges;
mod claw_backs;
mod collected;
mod encoding;
mod grants;
mod invariants;
mod limits;
mod lost_payments;
mod lost_subscriptions;
mod metered;
mod old_top_ups;
mod operators;
mod payment_refunds;
mod plans;
mod prices;
mod rebuild;
mod recipients;
mod refusals;
mod replays;
mod script;
mod subscriptions;
mod teams;
mod top_ups;
mod webhook_endpoints;
mod workspaces;
mod world;

use world::World;

use crate::Payments;

/// Checks that damaged bytes of payments are refused or read as other payments, and never panic.
/// `allows_cut` says which cut bytes may be read, and `use_read` uses what was read.
fn check_damaged_payments(
    payments: &Payments,
    allows_cut: impl Fn(usize, &Payments) -> bool,
    use_read: impl Fn(&Payments),
) {
    let mut bytes = Vec::new();
    payments.encode(&mut bytes);
    for index in 0..bytes.len() {
        if let Ok(Some(read)) = Payments::decode(Some(&bytes[..index])) {
            assert!(allows_cut(index, &read), "cut to {index}");
        }
        for flip in [0x01, 0x02, 0x10, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[index] ^= flip;
            if let Ok(Some(read)) = Payments::decode(Some(&damaged)) {
                assert_ne!(&*read, payments, "byte {index} has no effect");
                read.encode(&mut Vec::new());
                use_read(&read);
            }
        }
    }
}

/// Runs a script in a new workspace and checks the answers.
fn check(script: &str) -> World {
    let mut world = World::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = match line.split_once("=>") {
            Some((command, expected)) => (command.trim(), Some(expected.trim())),
            None => (line, None),
        };
        let answer = script::run(&mut world, command);
        match expected {
            Some(expected) => assert_eq!(answer, expected, "{command}\nin the script{script}"),
            None => {
                assert!(!answer.starts_with("no "), "{command} was refused: {answer}\nin the script{script}")
            }
        }
    }
    world.rebuild();
    world
}
