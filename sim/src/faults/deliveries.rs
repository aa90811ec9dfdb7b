//! Deliveries of the embedded engine while the file `delivery.db` fails.
//!
//! A subscriber follows a journal that grows. It takes portions, notes how far it came, and keeps
//! some messages as exceptions. Meanwhile the disk of `delivery.db` refuses writes, the power fails
//! behind any of its operations, or the file is lost or damaged. Checked:
//! - every command is accepted, and the audit passes: charges never depend on the file;
//! - refused writes and power failures lose nothing: each entry is handed out again until it is
//!   noted, and an exception is kept until it is done;
//! - after a file that is lost, or was set aside because of damage, everything that is committed
//!   from then on is handed out;
//! - the only error of deliveries is "unavailable", and "unusable" for a file whose header is that
//!   of another program; no panic occurs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollkeeper_engine::embedded::{CoreOptions, Embedded, audit};
use tollkeeper_engine::{
    Deliveries, DeliveryException, DeliveryNotes, Engine, Error, FollowedEntry, Subscriber, SubscriberState,
};
use tollkeeper_ledger::{
    Actor, Command, GrantRequest, MessageTypes, Micros, Source, Submission, Timestamp, WorkspaceId,
};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::scratch::Scratch;

use super::damage::damage;
use crate::contract::endpoint;
use crate::disk::{Disk, Fault};
use crate::random::Random;

/// The name of the file.
const FILE: &str = "delivery.db";

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The most entries of a portion.
const PORTION: usize = 7;

/// What a run went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Entries that were handed out and noted.
    pub noted: u64,
    /// Entries that were handed out again after they were noted.
    pub again: u64,
    /// Notes that the disk refused.
    pub refused: u64,
    /// Power failures.
    pub power_failures: u64,
    /// Files that were lost.
    pub lost: u64,
    /// Damaged files with which deliveries went on.
    pub went_on: u64,
    /// Damaged files that were set aside.
    pub set_aside: u64,
    /// Damaged files that looked like those of another program.
    pub refused_to_open: u64,
}

/// What happens to the file between two starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    Nothing,
    PowerFailure,
    Lost,
    Damage,
}

/// An entry, by its workspace and number.
type Name = (String, u64);

/// A ledger whose `delivery.db` is on a recording disk.
struct World {
    scratch: Scratch,
    /// How often the directory was moved: a disk serves one directory.
    moves: u32,
    seed: u64,
    disk: Disk,
    /// `None` while it is closed.
    engine: Option<Embedded>,
    subscriber: Subscriber,
    /// The grants that were committed since the subscriber began, or began anew.
    owed: BTreeSet<Name>,
    /// What was handed out and accepted.
    accepted: BTreeSet<Name>,
    granted: i64,
    report: DeliveryReport,
}

/// Runs `rounds` rounds of a seed.
///
/// # Panics
/// When something is checked that does not hold.
#[must_use]
pub fn deliveries(seed: u64, rounds: usize) -> DeliveryReport {
    let mut random = Random::new(seed.rotate_left(16));
    let mut world = World::new(seed);
    for round in 0..rounds {
        for _ in 0..random.below(6) {
            world.grant();
        }
        match random.below(10) {
            0 => {
                let after_writes = random.below(3);
                let full = Fault::DiskFull { after_writes };
                world.disk.fail(if random.chance(500) { full } else { Fault::WriteError { after_writes } });
                world.follow(&mut random);
                world.grant();
                world.disk.heal();
            }
            1..=6 => world.follow(&mut random),
            7 => world.restart(Between::PowerFailure, &mut random),
            8 => world.restart(Between::Nothing, &mut random),
            _ => {
                let is_lost = random.chance(400);
                world.restart(if is_lost { Between::Lost } else { Between::Damage }, &mut random);
            }
        }
        if round % 8 == 7 {
            world.check_all(&mut random);
        }
    }
    world.check_all(&mut random);
    world.close();
    audit(&world.directory()).expect("the journal is as it was written");
    world.report
}

fn acme() -> WorkspaceId {
    WorkspaceId::new("acme").expect("a name")
}

fn name(followed: &FollowedEntry) -> Name {
    (followed.place.workspace.to_string(), followed.place.n)
}

/// The id of the message about an entry.
fn message(name: &Name) -> Box<str> {
    format!("{}/{}", name.0, name.1).into()
}

fn disk(seed: u64, moves: u32) -> Disk {
    Disk::new(&format!("delivery-{seed}-{moves}"))
}

fn open(directory: &Path, disk: &Disk) -> Embedded {
    let options = CoreOptions { delivery_vfs: Some(disk.name().to_owned()), ..CoreOptions::default() };
    Embedded::open_with_options(directory, options, 64).expect("the directory opens")
}

impl World {
    fn new(seed: u64) -> World {
        let (scratch, disk) = (Scratch::new(), disk(seed, 0));
        let engine = open(&scratch.path().join("0"), &disk);
        block_on(engine.prepare()).expect("a healthy disk");
        let world = World {
            scratch,
            moves: 0,
            seed,
            disk,
            engine: Some(engine),
            subscriber: Subscriber::Endpoint(Arc::new(endpoint(1, MessageTypes::All, None))),
            owed: BTreeSet::new(),
            accepted: BTreeSet::new(),
            granted: 0,
            report: DeliveryReport::default(),
        };
        world.run(acme(), Command::CreateWorkspace(Default::default()));
        world.run(
            WorkspaceId::platform(),
            Command::SetWebhookEndpoint(Box::new(endpoint(1, MessageTypes::All, None))),
        );
        world
    }

    fn directory(&self) -> PathBuf {
        self.scratch.path().join(self.moves.to_string())
    }

    fn engine(&self) -> &Embedded {
        self.engine.as_ref().expect("it is open")
    }

    fn run(&self, workspace: WorkspaceId, command: Command) {
        let submission = Submission { workspace, key: None, actor: Actor::Platform, command };
        let ran = block_on(self.engine().run(submission, NOW));
        ran.expect("commands never depend on deliveries").expect("it is accepted");
    }

    /// Commits an entry that is owed to the subscriber.
    fn grant(&mut self) {
        self.granted += 1;
        let grant = GrantRequest::new(Source::Promotional, Micros::new(self.granted));
        self.run(acme(), Command::Grant(grant));
        // The first entry creates the workspace.
        self.owed.insert((acme().to_string(), self.granted as u64 + 1));
    }

    /// Takes a portion and notes a part of it. The disk may refuse.
    fn follow(&mut self, random: &mut Random) {
        if let Err(error) = self.try_to_follow(random) {
            assert!(error.is_unavailable(), "seed {}: {error}", self.seed);
            self.report.refused += 1;
        }
    }

    /// Returns true if there may be more.
    fn try_to_follow(&mut self, random: &mut Random) -> Result<bool, Error> {
        let (engine, subscriber) = (self.engine(), || self.subscriber.clone());
        block_on(engine.distribute())?;
        block_on(engine.take_turn(subscriber(), NOW))?.expect("there is no other server");
        let portion = block_on(engine.portion(subscriber(), PORTION))?;
        let mut notes = DeliveryNotes { reached: portion.end, ..DeliveryNotes::default() };
        let (mut accepted, mut reached_all) = (Vec::new(), true);
        for followed in &portion.entries {
            if random.chance(100) {
                // The server ends its work here.
                notes.reached =
                    accepted.last().map(|(_, place)| vec![Clone::clone(place)]).unwrap_or_default();
                reached_all = false;
                break;
            }
            if random.chance(150) {
                notes.exceptions.push(exception(&name(followed), followed));
            }
            accepted.push((name(followed), followed.place.clone()));
        }
        let is_order_kept = accepted.is_sorted_by_key(|(_, place)| place.seq);
        assert!(is_order_kept, "seed {}: entries come in their order", self.seed);
        let noted = block_on(engine.note(subscriber(), notes.clone(), NOW));
        // They were sent before the note, also if it fails. A refused note may be kept after all.
        for (name, _) in accepted {
            let is_exception = notes.exceptions.iter().any(|exception| exception.message == message(&name));
            let is_again = !is_exception && !self.accepted.insert(name);
            if noted.is_ok() {
                self.report.noted += 1;
                self.report.again += u64::from(is_again);
            }
        }
        noted.map(|_| portion.more || !reached_all)
    }

    /// Follows to the end of the journal, and checks that nothing is missing.
    fn check_all(&mut self, random: &mut Random) {
        let mut follows = 0;
        while self.try_to_follow(random).expect("a healthy disk") {
            follows += 1;
            assert!(follows < 10_000, "seed {}: there is an end", self.seed);
        }
        let state = self.state();
        let kept: BTreeSet<&str> = state.exceptions.iter().map(|exception| &*exception.message).collect();
        for name in &self.owed {
            let is_there = self.accepted.contains(name) || kept.contains(&*message(name));
            assert!(
                is_there,
                "seed {}: {name:?} was neither handed out nor kept: {:?}",
                self.seed, self.report
            );
        }
        // What is kept is sent at last, so that the next messages find room.
        let done: Vec<Box<str>> =
            state.exceptions.iter().map(|exception| exception.message.clone()).collect();
        let owed = self.owed.iter().filter(|name| done.contains(&message(name)));
        self.accepted.extend(owed.cloned());
        let notes = DeliveryNotes { done, ..DeliveryNotes::default() };
        block_on(self.engine().note(self.subscriber.clone(), notes, NOW)).expect("a healthy disk");
    }

    fn state(&self) -> SubscriberState {
        block_on(self.engine().state(self.subscriber.clone())).expect("a healthy disk")
    }

    fn close(&mut self) {
        if let Some(engine) = self.engine.take() {
            block_on(engine.close()).expect("a healthy disk");
        }
    }

    /// Closes the ledger and opens it in another directory, after something happened to the file.
    fn restart(&mut self, between: Between, random: &mut Random) {
        let operations = self.disk.op_count();
        // A power failure comes before the file is closed.
        let image = (between == Between::PowerFailure).then(|| self.disk.crash_at(operations, random));
        self.close();
        let from = self.directory();
        self.moves += 1;
        let to = self.directory();
        super::damage::copy(&from, &to);
        let (file, wal) = (to.join(FILE), format!("{FILE}-wal"));
        if between == Between::Nothing && from.join(&wal).exists() {
            std::fs::copy(from.join(&wal), to.join(&wal)).expect("a copy");
        }
        match between {
            Between::Nothing => {}
            Between::PowerFailure => {
                self.report.power_failures += 1;
                let image = image.expect("it was taken above");
                std::fs::remove_file(&file).expect("it was copied");
                for name in image.names() {
                    let bytes = image.file(name).expect("it is named");
                    std::fs::write(to.join(name), bytes).expect("a file is written");
                }
            }
            Between::Lost => {
                self.report.lost += 1;
                std::fs::remove_file(&file).expect("it was copied");
                self.begin_anew();
            }
            Between::Damage => {
                let mut bytes = std::fs::read(&file).expect("it was copied");
                damage(&mut bytes, random);
                std::fs::write(&file, bytes).expect("a file is written");
            }
        }
        self.disk = disk(self.seed, self.moves);
        self.engine = Some(open(&to, &self.disk));
        if between == Between::Damage {
            self.after_damage(random);
        } else {
            block_on(self.engine().prepare()).expect("a healthy disk");
        }
    }

    /// What was not handed out yet is not owed any more.
    fn begin_anew(&mut self) {
        self.owed.clear();
    }

    /// Lets the engine find the damage. It may be harmless, cost what was kept, or end the file.
    fn after_damage(&mut self, random: &mut Random) {
        self.begin_anew();
        self.grant();
        let mut followed = self.try_to_follow(random);
        for _ in 0..3 {
            // Damage that is found while the file is open makes one call fail.
            if followed.as_ref().is_err_and(Error::is_unavailable) {
                followed = self.try_to_follow(random);
            }
        }
        match followed {
            Ok(_) if self.directory().join(format!("{FILE}.damaged")).exists() => self.report.set_aside += 1,
            Ok(_) => self.report.went_on += 1,
            // It looks like the file of another or a newer program, which nobody but an operator
            // removes.
            Err(error) => {
                assert!(error.is_unusable(), "seed {}: {error}", self.seed);
                self.report.refused_to_open += 1;
                self.restart(Between::Lost, random);
            }
        }
        self.begin_anew();
    }
}

fn exception(name: &Name, followed: &FollowedEntry) -> DeliveryException {
    DeliveryException {
        message: message(name),
        place: followed.place.clone(),
        attempts: 1,
        first_at: NOW,
        next_at: Some(NOW.plus_seconds(5)),
        outcome: "the receiver answered 500".into(),
    }
}
