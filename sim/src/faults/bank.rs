//! The bank test: many callers at once on few workspaces, after which every micro-unit is accounted
//! for.
//!
//! Each caller moves credit at random and tallies the answers it received. At the end, the sum of
//! all tallies must equal the balances exactly. Meanwhile readers check that no balance and no list
//! ever shows an impossible state. The commands are drawn by seed, but the threads run in another
//! order every time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tollkeeper_engine::{ChargeFilter, CommandResult, Engine, Output, Page, Reads};
use tollkeeper_ledger::{
    ChargeCommand, ChargeId, ChargeRequest, Command, Micros, Source, Status, Submission, Timestamp,
    WorkspaceChanges, WorkspaceId,
};

use crate::contract::{self, credit, prices, submission};
use crate::random::Random;
use tollkeeper_testkit::blocking::block_on;

/// The unit price of the only operation.
pub const PRICE: Micros = Micros::new(500);

/// What was acknowledged to the callers, for one workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Micro-units granted.
    pub granted: i64,
    /// Micro-units charged, less refunds.
    pub spent: i64,
    /// The part of `spent` that awaits an outcome.
    pub pending: i64,
    /// Accepted commands.
    pub accepted: u64,
    /// The part of `accepted` that had an idempotency key of its own.
    pub keyed: u64,
    /// Refused commands.
    pub refused: u64,
}

/// The time of all commands.
pub const NOW: Timestamp = Timestamp::from_millis(1_835_420_000_000);

/// The workspace of this number.
#[must_use]
pub fn workspace(place: usize) -> WorkspaceId {
    WorkspaceId::new(format!("bank{place}")).expect("a name")
}

/// A submission of the platform.
#[must_use]
pub fn ask(workspace: WorkspaceId, key: Option<String>, command: Command) -> Submission {
    submission(workspace, key.as_deref(), command)
}

fn run(engine: &dyn Engine, submission: Submission) -> CommandResult {
    block_on(engine.run(submission, NOW)).expect("a healthy engine")
}

/// Publishes the price, creates `workspaces` workspaces, and grants `each` to every one.
pub fn open(engine: &dyn Engine, workspaces: usize, each: Micros) {
    let prices = prices(&[("message", PRICE.get())]);
    run(engine, ask(WorkspaceId::platform(), None, prices)).expect("a price list");
    for place in 0..workspaces {
        let create = Command::CreateWorkspace(WorkspaceChanges::default());
        run(engine, ask(workspace(place), None, create)).expect("a new workspace");
        run(engine, ask(workspace(place), Some("opening".into()), grant(each))).expect("credit");
    }
}

fn grant(amount: Micros) -> Command {
    Command::Grant(credit("trade", Source::Promotional, amount.get()))
}

/// A charge for `quantity` units of the only operation.
#[must_use]
pub fn charge(quantity: i64, await_outcome: bool) -> Command {
    Command::Charge(ChargeRequest { await_outcome, ..contract::charge("message", quantity) })
}

/// Lets `callers` callers charge one workspace until each was refused once, and returns how many
/// charges passed.
#[must_use]
pub fn race(engine: &Arc<dyn Engine>, callers: usize) -> u64 {
    let passed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (engine, passed) = (&**engine, &passed);
            scope.spawn(move || {
                for turn in 0.. {
                    let key = format!("race {caller} {turn}");
                    match run(engine, ask(workspace(0), Some(key), charge(1, false))) {
                        Ok(answer) if !answer.replayed => passed.fetch_add(1, Ordering::Relaxed),
                        Ok(_) => panic!("a new key got the answer of another request"),
                        Err(refusal) => {
                            assert_eq!(refusal.code(), "insufficient_credits");
                            return;
                        }
                    };
                }
            });
        }
    });
    passed.into_inner()
}

/// Lets `callers` callers move credit at random, `turns` times each, and returns one tally for each
/// workspace.
#[must_use]
pub fn trade(
    engine: &Arc<dyn Engine>,
    seed: u64,
    (callers, turns): (usize, usize),
    workspaces: usize,
) -> Vec<Tally> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = (0..2).map(|_| scope.spawn(|| watch(&**engine, workspaces, &done)));
        let readers: Vec<_> = readers.collect();
        let callers = (0..callers).map(|caller| {
            let engine = &**engine;
            scope.spawn(move || trade_alone(engine, seed, caller, turns, workspaces))
        });
        let callers: Vec<_> = callers.collect();
        let mut sums = vec![Tally::default(); workspaces];
        for caller in callers {
            for (sum, tally) in sums.iter_mut().zip(caller.join().expect("a caller does not panic")) {
                sum.granted += tally.granted;
                sum.spent += tally.spent;
                sum.pending += tally.pending;
                sum.accepted += tally.accepted;
                sum.keyed += tally.keyed;
                sum.refused += tally.refused;
            }
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader does not panic"));
        sums
    })
}

fn trade_alone(engine: &dyn Engine, seed: u64, caller: usize, turns: usize, workspaces: usize) -> Vec<Tally> {
    let mut random = Random::new(seed ^ ((caller as u64 + 1) << 32));
    let mut tallies = vec![Tally::default(); workspaces];
    // Charges of this caller that await their outcome: workspace, id, quantity.
    let mut open: Vec<(usize, ChargeId, i64)> = Vec::new();
    for turn in 0..turns {
        let key = Some(format!("trade {caller} {turn}"));
        let place = if random.chance(500) { 0 } else { random.index(workspaces) };
        if !open.is_empty() && random.chance(400) {
            let (place, id, quantity) = open.swap_remove(random.index(open.len()));
            finish(engine, &mut random, (workspace(place), id, quantity), &mut tallies[place]);
            continue;
        }
        let tally = &mut tallies[place];
        let (quantity, awaits) = (1 + random.below(9) as i64, random.chance(400));
        let amount = PRICE.get() * quantity;
        let command = if random.chance(150) { grant(Micros::new(amount)) } else { charge(quantity, awaits) };
        let first = run(engine, ask(workspace(place), key.clone(), command.clone()));
        if first.is_ok() && random.chance(200) {
            // A caller who lost the answer repeats the request.
            let again = run(engine, ask(workspace(place), key, command));
            let again = again.expect("a repeated request is accepted again");
            assert!(again.replayed, "a repeated request was executed twice");
            assert_eq!(Some(&again.output), first.as_ref().ok().map(|answer| &answer.output));
        }
        match first.map(|answer| answer.output) {
            Ok(Output::Grant(..)) => tally.granted += amount,
            Ok(Output::Charge(charge, _)) => {
                tally.spent += amount;
                if awaits {
                    tally.pending += amount;
                    open.push((place, charge.details.id, quantity));
                }
            }
            Ok(other) => panic!("neither a charge nor a grant: {other:?}"),
            Err(refusal) => {
                assert_eq!(refusal.code(), "insufficient_credits");
                tally.refused += 1;
                continue;
            }
        }
        tally.accepted += 1;
        tally.keyed += 1;
    }
    tallies
}

/// Reports a random outcome of a pending charge.
fn finish(
    engine: &dyn Engine,
    random: &mut Random,
    (workspace, charge, quantity): (WorkspaceId, ChargeId, i64),
    tally: &mut Tally,
) {
    let used = 1 + random.below(quantity as u64) as i64;
    let (command, back) = match random.below(4) {
        0 => (ChargeCommand::Succeed { quantity: None }.for_charge(charge), 0),
        1 => (ChargeCommand::Succeed { quantity: Some(used.into()) }.for_charge(charge), quantity - used),
        2 => (ChargeCommand::Fail { by_system: false, detail: None }.for_charge(charge), 0),
        _ => (ChargeCommand::Fail { by_system: true, detail: None }.for_charge(charge), quantity),
    };
    for _ in 0..2 {
        // Twice, because a repeated outcome must change nothing.
        run(engine, ask(workspace.clone(), None, command.clone())).expect("an open charge");
    }
    tally.spent -= PRICE.get() * back;
    tally.pending -= PRICE.get() * quantity;
    tally.accepted += 1;
}

/// Reads balances, entries, charges and usage until `done`, and checks that each state is a
/// possible one.
fn watch(engine: &dyn Engine, workspaces: usize, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for place in 0..workspaces {
            let id = workspace(place);
            let balance = block_on(engine.balance(&id, None))
                .expect("the engine reads")
                .expect("the workspace exists")
                .balance;
            assert!(balance.available >= Micros::ZERO && balance.pending >= Micros::ZERO, "{balance:?}");
            let page = || Page { limit: 20, cursor: None };
            let entries = block_on(engine.entries(&id, page()))
                .expect("the engine reads")
                .expect("the workspace exists");
            let linked = entries
                .data
                .windows(2)
                .all(|pair| pair[0].entry.n == pair[1].entry.n + 1 && pair[0].entry.previous == pair[1].hash);
            assert!(linked, "the newest entries of {id} are not chained");
            let pending = ChargeFilter { status: Some(Status::Pending), ..ChargeFilter::default() };
            let charges = block_on(engine.charges(&id, pending, page()))
                .expect("the engine reads")
                .expect("the workspace exists");
            assert!(charges.data.iter().all(|charge| charge.state.status == Status::Pending));
            let usage = block_on(engine.usage(&id, i64::MIN..i64::MAX)).expect("the engine reads");
            assert!(usage.iter().all(|(_, used)| used.refunded <= used.charged));
        }
    }
}

/// Checks the balance and the usage of each workspace against its tally; `granted` is its first
/// grant.
pub fn check_balances(engine: &dyn Engine, granted: Micros, tallies: &[Tally]) {
    for (place, tally) in tallies.iter().enumerate() {
        let id = workspace(place);
        let balance = block_on(engine.balance(&id, None))
            .expect("the engine reads")
            .expect("the workspace exists")
            .balance;
        assert_eq!(balance.available.get(), granted.get() + tally.granted - tally.spent, "{id}: {tally:?}");
        assert_eq!(balance.pending.get(), tally.pending, "{id}: {tally:?}");
        let usage = block_on(engine.usage(&id, i64::MIN..i64::MAX)).expect("the engine reads");
        let net: i64 = usage.iter().map(|(_, used)| used.charged.get() - used.refunded.get()).sum();
        assert_eq!(net, tally.spent, "{id}: {tally:?}");
    }
}

/// Reads every journal back to its first entry: the chain has no gaps, and holds each acknowledged
/// key once and no other.
pub fn check_journals(engine: &dyn Engine, tallies: &[Tally]) {
    for (place, tally) in tallies.iter().enumerate() {
        let id = workspace(place);
        let (mut keys, mut cursor, mut newer) = (HashSet::new(), None, None);
        loop {
            let page = Page { limit: 200, cursor };
            let entries =
                block_on(engine.entries(&id, page)).expect("the engine reads").expect("the workspace exists");
            for record in entries.data {
                let linked =
                    newer.is_none_or(|(n, previous)| n == record.entry.n + 1 && previous == record.hash);
                assert!(linked, "{id}: the journal breaks after entry {}", record.entry.n);
                newer = Some((record.entry.n, record.entry.previous));
                if let Some(key) = record.entry.key {
                    assert!(keys.insert(key.clone()), "{id}: the key {key} occurs twice");
                }
            }
            cursor = entries.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(newer.map(|(n, _)| n), Some(1), "{id}: the journal begins with its first entry");
        let first_grant = 1;
        assert_eq!(keys.len() as u64, first_grant + tally.keyed, "{id}: {tally:?}");
    }
}
