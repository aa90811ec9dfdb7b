//! A journal rebuilds its account, and one that was altered is caught, with the field that disagrees.

use super::check;
use super::world::{World, acme, toy_hash};
use crate::{Account, Body, Disagreement, Entry, Micros, Timestamp};

fn journal() -> World {
    check(
        "
        grant top_up 5_000 origin=pay_1
        alerts 4_900
        charge render
        succeed c1
        claw_back g1 5_000 dispute=d1
        grant promotional 500
        ",
    )
}

/// Replays the journal with one entry altered, its hashes as they were or made anew.
fn replayed(n: usize, alter: impl Fn(&mut Entry), rehashed: bool) -> Result<(), Disagreement> {
    let mut world = journal();
    alter(&mut world.journal[n - 1].0);
    let mut account = Account::new(acme());
    for (entry, hash) in &mut world.journal {
        if rehashed {
            if entry.n as usize > n {
                entry.previous = account.chain.hash;
            }
            *hash = toy_hash(entry);
        }
        account.replay(entry, *hash)?;
    }
    Ok(())
}

fn check_altered(n: usize, alter: impl Fn(&mut Entry), expected: &str) {
    let disagreement = replayed(n, alter, true).expect_err(expected);
    assert_eq!(disagreement.to_string(), expected);
}

#[test]
fn an_altered_journal_disagrees_in_the_field_that_was_altered() {
    check_altered(3, |entry| entry.n = 4, "number: the journal says 4, but 3 follows");
    check_altered(
        4,
        |entry| entry.at = Timestamp::from_millis(5),
        "time: the journal says 5, but 8640000000 follows",
    );
    check_altered(
        4,
        |entry| entry.balance.available += Micros::new(1),
        "available: the journal says 2001, but 2000 follows",
    );
    check_altered(
        4,
        |entry| entry.balance.pending = Micros::ZERO,
        "pending: the journal says 0, but 3000 follows",
    );
    check_altered(7, |entry| entry.balance.debt = Micros::ZERO, "debt: the journal says 0, but 3000 follows");
}

#[test]
fn an_altered_amount_disagrees_with_the_balance() {
    let amount = |entry: &mut Entry| {
        if let Body::Granted { grant, .. } = &mut entry.body {
            grant.amount += Micros::new(1);
            grant.remaining += Micros::new(1);
        }
    };
    check_altered(2, amount, "available: the journal says 5000, but 5001 follows");
    let settlement = |entry: &mut Entry| {
        if let Body::ChargeSettled(settlement) = &mut entry.body {
            settlement.amount = Micros::new(2_999);
        }
    };
    check_altered(6, settlement, "pending: the journal says 0, but 1 follows");
}

#[test]
fn an_entry_that_is_missing_or_moved_disagrees() {
    let mut world = journal();
    world.journal.remove(3);
    let mut account = Account::new(acme());
    let first = world.journal.iter().find_map(|(entry, hash)| account.replay(entry, *hash).err());
    assert_eq!(first.expect("a gap").to_string(), "number: the journal says 5, but 4 follows");
}

#[test]
fn a_broken_link_disagrees() {
    let disagreement = replayed(5, |entry| entry.previous[0] ^= 1, true).expect_err("a broken link");
    assert_eq!(disagreement.what, "hash of the entry before");
    assert_eq!((disagreement.stored.len(), disagreement.computed.len()), (64, 64));
    assert!(replayed(5, |_| {}, true).is_ok());
}

#[test]
fn a_draw_that_its_grants_cannot_give_disagrees_instead_of_panicking() {
    let drawn = |alter: fn(&mut crate::Draw)| {
        move |entry: &mut Entry| {
            if let Body::ChargeOpened(opening) = &mut entry.body {
                let mut draws = opening.draws.to_vec();
                alter(&mut draws[0]);
                opening.draws = draws.into();
            }
        }
    };
    for alter in [
        (|draw| draw.grant = 9) as fn(&mut crate::Draw),
        |draw| draw.amount = Micros::new(9_000),
        |draw| draw.amount = Micros::new(1),
        |draw| draw.amount = Micros::new(i64::MIN),
    ] {
        replayed(4, drawn(alter), true).expect_err("draws that cannot be");
    }
}

#[test]
fn an_entry_with_any_byte_changed_never_panics_the_replay() {
    let world = super::codes::eventful();
    let mut disagreements = 0;
    for (place, (entry, _)) in world.journal.iter().enumerate() {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        for at in 0..bytes.len() {
            for flip in [0x01, 0x02, 0x40, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Ok(read) = Entry::decode(&damaged) {
                    let mut journal = world.journal.clone();
                    journal[place].0 = read;
                    disagreements += usize::from(replay_rehashed(&mut journal).is_err());
                }
            }
        }
    }
    assert!(disagreements > 1_000, "{disagreements}");
}

/// Replays a journal whose links and hashes are made anew, as somebody would who covers up his traces.
fn replay_rehashed(journal: &mut [(Entry, crate::Hash)]) -> Result<(), Disagreement> {
    let mut account = Account::new(acme());
    for (entry, hash) in journal {
        entry.previous = account.chain.hash;
        *hash = toy_hash(entry);
        account.replay(entry, *hash)?;
    }
    Ok(())
}
