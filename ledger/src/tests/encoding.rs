//! The encoding: every kind of entry and every account reads back. Damaged bytes give an error or
//! another value, never a panic.

use super::check;
use super::world::World;
use crate::{Account, Actor, ApiKeyId, Entry, Grant, Id, Kind, MemberId, OperatorAct, OperatorId, Team};

/// The script of [`eventful`].
const EVENTFUL: &str = "
update name=Acme timezone=Europe/Berlin metadata={}
join ada admin
join bob member
change bob name=Robert
new_key charge,read member=ada worker=w
new_key manage expires=999_999
note k1
revoke k2
link ada
sign_in l1
link bob
sign_out l1
sign_out_all bob
leave bob
link ada
link ada
sign_in l3
sign_out_all
link ada
sign_in l5
link ada
mail_to ada
mute ada balance.low
mail_to ops@acme.example
confirmed a1
mailed a1 balance.low about=1
mailed a1
fault a1 bounced
mail_to cfo@acme.example
confirmed a2
mail_to old@acme.example
no_mail a3
grant top_up 5_000 origin=pay_1 paid=5 reason=card key=g1
grant promotional 1_000 reason=welcome
limits workspace/day=90_000 member:ada/month=90_000 worker:w/day=90_000 operation:message/day=90_000 api_key:k1/day=90_000
alerts 4_000 2_000
charge message x3 worker=w member=ada by=k1 ref=r meta={} key=c1
refused render 90_000 3_000 x7
reached member:ada/month
alerts 4_000 2_000 7d
check 7d=90_000
check 7d=3_000
charge render await timeout=30
heartbeat c2 60
succeed c2
charge message x2 await
succeed c3 x1
fail c1 system detail=broken
charge message
refund c4 100 reason=courtesy key=r4
void g2 reason=wrong
claw_back g1 5_000 dispute=d1
refund c4 100 reason=again
grant adjustment 9_000
charge message
claw_back g3 100 dispute=d2
refund c4 100 reason=once_more
restore dispute=d1
restore dispute=d2
grant promotional 500
charge message
void g4 reason=wrong
refund c6
grant top_up 3_000 origin=pay_2 paid=30
charge message x26
grant adjustment 3_000
claw_back g5 3_000 dispute=d3
erase bob
refund c7 100
lost g5 9
lost g5 10 evidence=dp_1
top_up 2_500 key=t1
confirm t1
customer cus_1
card pm_1
rule 3_000_000 3_000 6_000
charge listing
unpaid t2 declined
wait 2h
buy
paid t3 pi_3 3_000
no_card
customer cus_2 replaces=cus_1
checkout 1_000
renew t4 0
placed t4 cs_1
paid t4 pi_1 1_000 tax=190
top_up 100
wait 90d
expire t5
loss t1 100
send_back t1 200 key=back
place r1 re_1
sent r1
bounced r1
send_back t1 by_hand
send_back t4 100
renew r3 0
plan starter
pay p1
plan growth
plan starter
plan growth
pay p2 change
cancel
plan growth
wait 40d
tick
cancel
collect starter
stripe placed no
stripe period in_1 1970-06-01 starter 1900 tax=361
";

/// A history in which every kind of entry of a workspace occurs.
pub(super) fn eventful() -> World {
    let mut world = check(EVENTFUL);
    for (index, (entry, _)) in world.journal.iter_mut().enumerate() {
        entry.actor = match index % 5 {
            0 => Actor::Platform,
            1 => Actor::System,
            2 => Actor::ApiKey(ApiKeyId(Id::v7(1, 2, 3))),
            3 => Actor::Operator(Box::new(OperatorAct {
                operator: OperatorId::known("ada"),
                reason: "goodwill".into(),
            })),
            _ => Actor::Member(MemberId::known("ada")),
        };
    }
    world
}

/// The canonical bytes of an entry.
fn encoded(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    bytes
}

/// The entries of [`eventful`] and the kinds of the platform's own journal.
fn entries() -> Vec<Entry> {
    let mut world = eventful();
    let mut entries: Vec<Entry> = world.journal.iter().map(|(entry, _)| entry.clone()).collect();
    for line in [
        "prices a=1 b=2/60 in=9",
        "plans a=0/1/month b=99/9/year",
        "platform_key 9",
        "settings 3650",
        "restored",
        "unmatched pi_1 500",
        "endpoint 1",
        "endpoint 2 url=https://b.example kinds=charge.settled,balance.low workspace=acme",
        "endpoint 2 fault=gone until=9",
        "no_endpoint 1",
        "operator ada",
        "operator_out 1",
        "operator ada",
        "operator_out all",
    ] {
        let command = super::script::command_of(&world, line);
        let super::world::Output::Wrote(written) = world.run(command, None) else {
            panic!("{line} is refused");
        };
        entries.extend(written);
    }
    entries
}

#[test]
fn every_kind_of_entry_reads_back() {
    let entries = entries();
    for kind in (0..=u8::MAX).filter_map(|code| Kind::from_code(code).ok()) {
        assert!(entries.iter().any(|entry| entry.body.kind() == kind), "{} does not occur", kind.as_str());
    }
    for entry in entries {
        assert_eq!(Entry::decode(&encoded(&entry)), Ok(entry));
    }
}

#[test]
fn a_cut_or_lengthened_entry_is_malformed() {
    for entry in entries() {
        let mut bytes = encoded(&entry);
        for length in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..length]).is_err(), "{:?} cut to {length}", entry.body.kind());
        }
        bytes.push(0);
        assert!(Entry::decode(&bytes).is_err(), "{:?} with a byte too many", entry.body.kind());
    }
}

#[test]
fn a_changed_byte_is_malformed_or_another_entry() {
    for entry in entries() {
        let bytes = encoded(&entry);
        for index in 0..bytes.len() {
            for flip in [0x01, 0x02, 0x10, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[index] ^= flip;
                if let Ok(read) = Entry::decode(&damaged) {
                    assert_ne!(read, entry, "byte {index} of {:?} has no effect", entry.body.kind());
                }
            }
        }
    }
}

#[test]
fn accounts_read_back_and_damaged_bytes_never_panic() {
    let mut world = eventful();
    world.run(super::script::command_of(&world, "lost g1 5"), None);
    let account = &Account { team: Team::empty(), payments: None, ..world.account };
    let decode = |bytes: &[u8]| Account::decode(bytes, Team::empty(), None);
    let mut bytes = Vec::new();
    account.encode(&mut bytes);
    assert_eq!(decode(&bytes).as_ref(), Ok(account));
    for index in 0..bytes.len() {
        assert!(decode(&bytes[..index]).is_err(), "cut to {index}");
        for flip in [0x01, 0x02, 0x10, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[index] ^= flip;
            if let Ok(read) = decode(&damaged) {
                assert_ne!(&read, account, "byte {index} has no effect");
                // What is read can be stored again: no assertion of `encode` is left to damage.
                read.encode(&mut Vec::new());
            }
        }
    }
}

#[test]
fn teams_read_back_and_damaged_bytes_never_panic() {
    let team = eventful().account.team;
    assert!(
        !team.members.is_empty()
            && !team.keys.is_empty()
            && !team.links.is_empty()
            && !team.sessions.is_empty()
            && !team.recipients.is_empty()
    );
    let mut bytes = Vec::new();
    team.encode(&mut bytes);
    assert_eq!(Team::decode(Some(&bytes)).as_ref(), Ok(&team));
    assert!(Team::decode(None).is_ok_and(|team| team.is_empty()));
    for index in 0..bytes.len() {
        assert!(Team::decode(Some(&bytes[..index])).is_err(), "cut to {index}");
        for flip in [0x01, 0x02, 0x10, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[index] ^= flip;
            if let Ok(read) = Team::decode(Some(&damaged)) {
                assert_ne!(read, team, "byte {index} has no effect");
                read.encode(&mut Vec::new());
            }
        }
    }
}

#[test]
fn grants_that_are_stored_apart_read_back() {
    let world = eventful();
    for grant in &world.grants {
        let mut bytes = Vec::new();
        grant.encode(&mut bytes);
        assert_eq!(Grant::decode(&bytes).as_ref(), Ok(grant));
        assert!(Grant::decode(&bytes[..bytes.len() - 2]).is_err());
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x7f;
            if let Ok(read) = Grant::decode(&damaged) {
                read.encode(&mut Vec::new());
            }
        }
        bytes.push(0);
        assert!(Grant::decode(&bytes).is_err());
    }
}
