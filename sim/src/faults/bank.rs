//! The bank test: many callers at once, few workspaces, and afterwards every micro-unit is accounted for.
//!
//! Each caller moves credit at random and keeps a tally of what was acknowledged to it. When all are done, the tallies of
//! all callers together have to be the balances, exactly. Meanwhile readers look at balances and lists, which must never
//! show what cannot be. Threads make the order of things different in every run; what is asked is drawn by seed.

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

/// The price of the one operation.
pub const PRICE: Micros = Micros::new(500);

/// What was acknowledged, by workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Came in, less what was taken back.
    pub granted: i64,
    /// Deducted, less what went back.
    pub spent: i64,
    /// Of that, what still awaits an outcome.
    pub pending: i64,
    /// Answers that were "yes".
    pub yes: u64,
    /// Of those, answers to requests under a key of their own.
    pub keyed: u64,
    /// Answers that were "no".
    pub no: u64,
}

/// The time at which everything happens: the bank has no clock.
pub const NOW: Timestamp = Timestamp::from_millis(1_835_420_000_000);

/// A workspace of the bank.
#[must_use]
pub fn workspace(place: usize) -> WorkspaceId {
    WorkspaceId::new(format!("bank{place}")).expect("a name")
}

/// A request of the platform.
#[must_use]
pub fn ask(workspace: WorkspaceId, key: Option<String>, command: Command) -> Submission {
    submission(workspace, key.as_deref(), command)
}

fn run(engine: &dyn Engine, submission: Submission) -> CommandResult {
    block_on(engine.run(submission, NOW)).expect("a healthy engine")
}

/// Sets the price, opens so many workspaces, and gives each so much.
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

/// A charge for so many of the one operation.
#[must_use]
pub fn charge(quantity: i64, await_outcome: bool) -> Command {
    Command::Charge(ChargeRequest { await_outcome, ..contract::charge("message", quantity) })
}

/// Lets so many callers race for one workspace until each was refused once; says how many charges passed.
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
                        Ok(_) => panic!("a new key was answered as an old one"),
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

/// Lets so many callers move credit at random, so many times each; gives what was acknowledged, by workspace.
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
                sum.yes += tally.yes;
                sum.keyed += tally.keyed;
                sum.no += tally.no;
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
            // A caller who lost the answer asks again.
            let again = run(engine, ask(workspace(place), key, command));
            let again = again.expect("what was answered is answered again");
            assert!(again.replayed, "a repeated request was run anew");
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
                tally.no += 1;
                continue;
            }
        }
        tally.yes += 1;
        tally.keyed += 1;
    }
    tallies
}

/// Says what became of a charge.
fn finish(
    engine: &dyn Engine,
    random: &mut Random,
    (workspace, charge, quantity): (WorkspaceId, ChargeId, i64),
    tally: &mut Tally,
) {
    let used = 1 + random.below(quantity as u64) as i64;
    let (command, back) = match random.below(4) {
        0 => (ChargeCommand::Succeed { quantity: None }.for_charge(charge), 0),
        1 => (ChargeCommand::Succeed { quantity: Some(used) }.for_charge(charge), quantity - used),
        2 => (ChargeCommand::Fail { by_system: false, detail: None }.for_charge(charge), 0),
        _ => (ChargeCommand::Fail { by_system: true, detail: None }.for_charge(charge), quantity),
    };
    for _ in 0..2 {
        // Twice: repeating an outcome is harmless.
        run(engine, ask(workspace.clone(), None, command.clone())).expect("an open charge");
    }
    tally.spent -= PRICE.get() * back;
    tally.pending -= PRICE.get() * quantity;
    tally.yes += 1;
}

/// Looks at what is kept while it changes: nothing may ever show what cannot be.
fn watch(engine: &dyn Engine, workspaces: usize, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for place in 0..workspaces {
            let id = workspace(place);
            let balance =
                block_on(engine.balance(&id, None)).expect("it reads").expect("it is there").balance;
            assert!(balance.available >= Micros::ZERO && balance.pending >= Micros::ZERO, "{balance:?}");
            let page = || Page { limit: 20, cursor: None };
            let entries = block_on(engine.entries(&id, page())).expect("it reads").expect("it is there");
            let linked = entries
                .data
                .windows(2)
                .all(|pair| pair[0].entry.n == pair[1].entry.n + 1 && pair[0].entry.previous == pair[1].hash);
            assert!(linked, "the newest entries of {id} do not hang together");
            let pending = ChargeFilter { status: Some(Status::Pending), ..ChargeFilter::default() };
            let charges =
                block_on(engine.charges(&id, pending, page())).expect("it reads").expect("it is there");
            assert!(charges.data.iter().all(|charge| charge.state.status == Status::Pending));
            let usage = block_on(engine.usage(&id, i64::MIN..i64::MAX)).expect("it reads");
            assert!(usage.iter().all(|(_, used)| used.refunded <= used.charged));
        }
    }
}

/// Compares the balances with what was acknowledged.
pub fn settle(engine: &dyn Engine, details: Micros, tallies: &[Tally]) {
    for (place, tally) in tallies.iter().enumerate() {
        let id = workspace(place);
        let balance = block_on(engine.balance(&id, None)).expect("it reads").expect("it is there").balance;
        assert_eq!(balance.available.get(), details.get() + tally.granted - tally.spent, "{id}: {tally:?}");
        assert_eq!(balance.pending.get(), tally.pending, "{id}: {tally:?}");
        let usage = block_on(engine.usage(&id, i64::MIN..i64::MAX)).expect("it reads");
        let net: i64 = usage.iter().map(|(_, used)| used.charged.get() - used.refunded.get()).sum();
        assert_eq!(net, tally.spent, "{id}: {tally:?}");
    }
}

/// Reads every journal to its beginning: a chain without gaps, in which each key that was acknowledged stands once and no
/// other does.
pub fn recount(engine: &dyn Engine, tallies: &[Tally]) {
    for (place, tally) in tallies.iter().enumerate() {
        let id = workspace(place);
        let (mut keys, mut cursor, mut newer) = (HashSet::new(), None, None);
        loop {
            let page = Page { limit: 200, cursor };
            let entries = block_on(engine.entries(&id, page)).expect("it reads").expect("it is there");
            for record in entries.data {
                let linked =
                    newer.is_none_or(|(n, previous)| n == record.entry.n + 1 && previous == record.hash);
                assert!(linked, "{id}: the journal breaks after entry {}", record.entry.n);
                newer = Some((record.entry.n, record.entry.previous));
                if let Some(key) = record.entry.key {
                    assert!(keys.insert(key.clone()), "{id}: the key {key} stands twice");
                }
            }
            cursor = entries.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(newer.map(|(n, _)| n), Some(1), "{id}: the journal begins with its first entry");
        let details = 1;
        assert_eq!(keys.len() as u64, details + tally.keyed, "{id}: {tally:?}");
    }
}
