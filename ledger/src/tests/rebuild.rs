//! Replay: a journal rebuilds its account, and an altered journal is refused with the field that
//! disagrees.

use super::check;
use super::world::{World, acme, toy_hash};
use crate::TeamChange::{self, KeyRevoked, KeyUsed, MemberAdded, MemberChanged, MemberRemoved, SignedOut};
use crate::{
    Account, Actor, ApiKeyId, Balance, Disagreement, Draw, Entry, EntryBody, Id, Interval, Limit, LostPart,
    MailFault, MailTopic, MailTopics, Member, MemberId, Micros, Plan, PlanId, PlanVersion, Platform,
    PriceVersion, RecipientChange, RecipientId, RecipientSubject, SessionId, Timestamp, Violation,
    WorkspaceId, bounds,
};

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

/// Replays the journal with one entry altered, with the old hashes or with recomputed ones.
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

/// Checks why the journal of a script is refused after its last entry was altered and rehashed.
fn check_refused(script: &str, instead: impl Fn(&mut EntryBody), sentence: &str) {
    let mut world = check(script);
    let (last, hash) = world.journal.last_mut().expect("the script writes");
    instead(&mut last.body);
    *hash = toy_hash(last);
    let mut account = Account::new(acme());
    let refused = world.journal.iter().find_map(|(entry, hash)| account.replay(entry, *hash).err());
    let refused = refused.unwrap_or_else(|| panic!("accepted, although {sentence}"));
    assert_eq!(refused.to_string(), sentence);
}

fn check_altered(n: usize, alter: impl Fn(&mut Entry), expected: &str) {
    let disagreement = replayed(n, alter, true).expect_err(expected);
    assert_eq!(disagreement.to_string(), expected);
}

#[test]
fn an_altered_journal_disagrees_in_the_altered_field() {
    check_altered(3, |entry| entry.n = 4, "number: the journal says 4, but 3 follows");
    check_altered(
        4,
        |entry| (entry.at, entry.decided_at) = (Timestamp::from_millis(5), Timestamp::from_millis(5)),
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
fn an_entry_that_is_decided_before_its_time_disagrees_unless_a_clock_was_ahead() {
    let sentence = "i02: an entry is decided at another time than its own without a clock ahead";
    let earlier = |seconds: i64| {
        move |entry: &mut Entry| {
            let at = entry.at;
            (entry.at, entry.decided_at) = (at.plus_seconds(100), at.plus_seconds(100 - seconds));
        }
    };
    check_altered(4, earlier(5), sentence);
    check_altered(4, earlier(50), sentence);
    check_altered(4, |entry| entry.decided_at = entry.at.plus_seconds(-10), sentence);
    assert!(replayed(4, |entry| entry.decided_at = entry.at.plus_seconds(-11), true).is_ok());
}

#[test]
fn an_altered_amount_disagrees_with_the_balance() {
    let amount = |entry: &mut Entry| {
        if let EntryBody::Granted { grant, .. } = &mut entry.body {
            grant.amount += Micros::new(1);
            grant.remaining += Micros::new(1);
        }
    };
    check_altered(2, amount, "available: the journal says 5000, but 5001 follows");
    let settlement = |entry: &mut Entry| {
        if let EntryBody::ChargeSettled(settlement) = &mut entry.body {
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
    let Disagreement::Differs { what, stored, computed } = disagreement else { panic!("{disagreement}") };
    assert_eq!((what, stored.len(), computed.len()), ("hash of the entry before", 64, 64));
    assert!(replayed(5, |_| {}, true).is_ok());
}

#[test]
fn a_draw_that_its_grant_cannot_give_disagrees_without_a_panic() {
    let drawn = |alter: fn(&mut crate::Draw)| {
        move |entry: &mut Entry| {
            if let EntryBody::ChargeOpened(details) = &mut entry.body {
                let mut draws = details.draws.to_vec();
                alter(&mut draws[0]);
                details.draws = draws.into();
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
    let world = super::encoding::eventful();
    let mut disagreements = 0;
    for (index, (entry, _)) in world.journal.iter().enumerate() {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        for at in 0..bytes.len() {
            for flip in [0x01, 0x02, 0x40, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let Ok(read) = Entry::decode(&damaged) {
                    let mut journal = world.journal.clone();
                    journal[index].0 = read;
                    disagreements += usize::from(replay_rehashed(&mut journal).is_err());
                }
            }
        }
    }
    assert!(disagreements > 1_000, "{disagreements}");
}

/// Replays a journal whose links and hashes are recomputed, as an attacker would do it.
fn replay_rehashed(journal: &mut [(Entry, crate::Hash)]) -> Result<(), Disagreement> {
    let mut account = Account::new(acme());
    for (entry, hash) in journal {
        entry.previous = account.chain.hash;
        *hash = toy_hash(entry);
        account.replay(entry, *hash)?;
    }
    Ok(())
}

/// The team change of the last entry of a script.
fn last_change(script: &str) -> TeamChange {
    match &check(script).journal.last().expect("the script writes").0.body {
        EntryBody::Team(change) => change.as_ref().clone(),
        other => panic!("{other:?} is not about the team"),
    }
}

#[test]
fn a_team_change_that_does_not_follow_is_refused() {
    let refused = |instead: TeamChange, sentence| {
        let script = "new_key read\njoin ada admin\njoin bob member";
        check_refused(script, |body| *body = EntryBody::Team(Box::new(instead.clone())), sentence);
    };
    let joined = last_change("join ada member");
    let MemberAdded(ada) = joined.clone() else { panic!("{joined:?}") };
    let eve = Member { id: MemberId::known("eve"), ..ada.clone() };
    refused(joined, "a member is added who is in the team already");
    refused(MemberRemoved(ada.id.clone()), "the last admin is removed or demoted");
    refused(MemberChanged(ada), "the last admin is removed or demoted");
    refused(MemberRemoved(eve.id.clone()), "a member is removed who is not in the team");
    refused(MemberChanged(eve), "a member is changed who is not in the team");
    refused(last_change("new_key read"), "an API key is created that exists already");
    refused(KeyRevoked(ApiKeyId(Id::v7(1, 2, 3))), "an API key is revoked that does not exist");
    refused(KeyUsed(ApiKeyId(Id::v7(1, 2, 3))), "an API key is used that does not exist");
    refused(SignedOut(SessionId(Id::v7(1, 2, 3))), "a session is ended that does not exist");
    refused(last_change("join ada admin\nlink ada\nsign_in l1"), "a link is followed that does not exist");
}

#[test]
fn limits_that_do_not_follow_are_refused() {
    let spends = "grant promotional 5_000\ncharge message\nlimits workspace/day=900";
    let first = |alter: fn(&mut Limit)| {
        move |body: &mut EntryBody| match body {
            EntryBody::LimitsSet(limits) => alter(&mut limits[0]),
            other => panic!("{other:?} sets no limits"),
        }
    };
    let sentence = "a limit is out of range or counts more than was spent";
    check_refused(spends, first(|limit| limit.used = Micros::new(i64::MAX)), sentence);
    check_refused(spends, first(|limit| limit.used = Micros::new(501)), sentence);
    check_refused(spends, first(|limit| limit.used = Micros::new(-1)), sentence);
    check_refused(spends, first(|limit| limit.amount = Micros::new(-1)), sentence);
    let many = |body: &mut EntryBody| match body {
        EntryBody::LimitsSet(limits) => *limits = vec![limits[0].clone(); bounds::LIMITS_MAX + 1],
        other => panic!("{other:?} sets no limits"),
    };
    check_refused(spends, many, "a workspace has more limits than it may have");
    let dayless = |body: &mut EntryBody| match body {
        EntryBody::ChargeOpened(details) => details.windows = None,
        other => panic!("{other:?} is no charge"),
    };
    let capped = "grant promotional 5_000\nlimits workspace/day=900\ncharge message";
    check_refused(
        capped,
        dayless,
        "an entry has no day and month although there are limits, or has them without limits",
    );
}

/// The first entry of a journal with this body.
fn first_entry(body: EntryBody) -> Entry {
    Entry {
        n: 1,
        at: Timestamp::ZERO,
        decided_at: Timestamp::ZERO,
        actor: Actor::Platform,
        key: None,
        balance: Balance::default(),
        previous: [0; 32],
        body,
    }
}

#[test]
fn a_kind_of_another_journal_is_refused() {
    let wrong = |account: &mut Account, body| account.replay(&first_entry(body), [1; 32]);
    let expected = Disagreement::Impossible(Violation("an entry is of another kind of journal"));
    let key = EntryBody::PlatformKeySet { hash: [7; 32] };
    assert_eq!(wrong(&mut Account::new(acme()), key.clone()), Err(expected.clone()));
    assert_eq!(wrong(&mut Account::new(WorkspaceId::platform()), key), Ok(()));
    let limits = EntryBody::LimitsSet(Vec::new());
    assert_eq!(wrong(&mut Account::new(WorkspaceId::platform()), limits), Err(expected));
}

#[test]
fn a_price_version_with_a_gap_is_a_violation() {
    let version = |version| PriceVersion { version, effective_at: Timestamp::ZERO, operations: Vec::new() };
    let mut platform = Platform::default();
    assert_eq!(platform.apply(&first_entry(EntryBody::PricesSet(version(1)))), Ok(()));
    let gap = platform.apply(&first_entry(EntryBody::PricesSet(version(3))));
    assert_eq!(gap, Err(Violation("a price version is not numbered by the one before it")));
}

#[test]
fn plans_that_do_not_follow_or_cannot_be_set_are_a_violation() {
    let plan = |id: &str| Plan {
        id: PlanId::known(id),
        name: "Some plan".into(),
        price_cents: 1_900,
        credits: Micros::new(5),
        interval: Interval::Month,
    };
    let mut platform = Platform::default();
    let mut set =
        |version, plans| platform.apply(&first_entry(EntryBody::PlansSet(PlanVersion { version, plans })));
    let gap = Err(Violation("a plan version is not numbered by the one before it"));
    assert_eq!(set(0, vec![plan("a")]), gap, "the samples are no entry");
    assert_eq!(set(2, vec![plan("a")]), gap);
    let unsorted = Err(Violation("the plans of a version are not sorted, each once"));
    assert_eq!(set(1, vec![plan("b"), plan("a")]), unsorted);
    assert_eq!(set(1, vec![plan("a"), plan("a")]), unsorted);
    let many = (0..=bounds::PLANS_MAX).map(|n| plan(&format!("plan-{n:03}"))).collect();
    assert_eq!(set(1, many), Err(Violation("a version has more plans than it may have")));
    let terms = Err(Violation("a plan's terms are out of range"));
    assert_eq!(set(1, vec![Plan { price_cents: 1, ..plan("a") }]), terms);
    assert_eq!(set(1, vec![Plan { credits: Micros::ZERO, ..plan("a") }]), terms);
    assert_eq!(set(1, vec![plan("a"), plan("b")]), Ok(()));
    assert_eq!(set(1, vec![plan("a")]), gap);
    assert_eq!(set(2, Vec::new()), Ok(()));
    assert_eq!(platform.plans.versions().len(), 2);
}

#[test]
fn an_epoch_with_a_gap_is_a_violation() {
    let mut platform = Platform::default();
    let restored = |epoch| first_entry(EntryBody::LedgerRestored { epoch });
    let gap = Err(Violation("an epoch is not the one after the last"));
    assert_eq!(platform.apply(&restored(1)), gap);
    assert_eq!(platform.apply(&restored(2)), Ok(()));
    assert_eq!(platform.apply(&restored(4)), gap);
    assert_eq!(platform.epoch, 2);
}

#[test]
fn a_lost_part_that_is_not_taken_and_owed_is_a_violation() {
    let lost = "
        grant top_up 1_000 origin=pay_1 paid=100
        charge message
        lost g1 70";
    let increased = |alter: fn(&mut LostPart, &mut Micros, &mut Vec<Draw>), sentence| {
        let instead = |body: &mut EntryBody| {
            let EntryBody::ClawBackIncreased { lost, owed, draws } = body else { panic!("{body:?}") };
            alter(lost, owed, draws);
        };
        check_refused(lost, instead, sentence);
    };
    let not_lost = "i13: what is taken and owed is not the lost part of the payment";
    let no_share = "i13: the credit of a lost part is not its share of what the payment brought";
    increased(|lost, _, _| lost.credit += Micros::new(1), not_lost);
    increased(|_, owed, _| *owed += Micros::new(1), not_lost);
    increased(|lost, _, _| lost.lost_cents = 71, no_share);
    increased(|lost, _, _| lost.paid_cents = 101, no_share);
    increased(|lost, _, _| lost.lost_cents = 101, "i13: more is lost than was paid");
    increased(|_, owed, _| *owed = Micros::new(-1), "i01: an entry moves an amount out of range");
    increased(|lost, _, _| lost.credit = Micros::new(i64::MAX), "i01: an entry moves an amount out of range");
    increased(
        |_, owed, draws| {
            let part = Micros::new(100);
            draws[0].amount -= part;
            *owed += part;
        },
        "i04: debt grows although credit is available",
    );
    increased(
        |lost, owed, draws| {
            (lost.lost_cents, lost.credit, *owed) = (0, Micros::ZERO, Micros::ZERO);
            draws.clear();
        },
        "i13: a claw-back grows by nothing",
    );
    let given_back = "
        grant top_up 1_000 origin=pay_1 paid=100
        grant promotional 500
        charge message
        lost g1 100
        grant promotional 300
        lost g1 90";
    let reduced = |alter: fn(&mut Micros, &mut Vec<Draw>), sentence| {
        let instead = |body: &mut EntryBody| {
            let EntryBody::ClawBackReduced { forgiven, returns, .. } = body else { panic!("{body:?}") };
            alter(forgiven, returns);
        };
        check_refused(given_back, instead, sentence);
    };
    reduced(|_, returns| returns[0].amount -= Micros::new(1), not_lost);
    reduced(
        |forgiven, returns| {
            *forgiven += Micros::new(1);
            returns[0].amount -= Micros::new(1);
        },
        "i13: what is forgiven and given back is not what was taken last",
    );
    reduced(|forgiven, _| *forgiven += Micros::new(10_000), "i13: more is given back than was taken or owed");
}

#[test]
fn a_claw_back_that_moves_nothing_or_comes_twice_is_a_violation() {
    let exchanged = "
        grant top_up 1_000 origin=pay_1
        charge message x2
        grant promotional 700
        claw_back g1 1_000 dispute=d1
        refund c1 400";
    check_refused(
        exchanged,
        |body| {
            let EntryBody::ClawBackExchanged { draw, returns, .. } = body else { panic!("{body:?}") };
            draw.amount = Micros::ZERO;
            returns.clear();
        },
        "i13: an exchange moves no credit",
    );
    let twice = "
        grant top_up 1_000 origin=pay_1
        claw_back g1 400 dispute=d1
        claw_back g1 400 dispute=d2";
    check_refused(
        twice,
        |body| {
            let EntryBody::ClawedBack { dispute, .. } = body else { panic!("{body:?}") };
            *dispute = "d1".into();
        },
        "i13: a dispute claws back twice",
    );
}

#[test]
fn a_change_of_recipients_that_does_not_follow_is_a_violation() {
    let script = "
        join ada admin
        mail_to ada
        mail_to ops@acme.example
        confirmed a1
        fault ada bounced
        mute ada debt";
    let id = check(script).addresses[0];
    let (ada, typed) = (RecipientSubject::Member(MemberId::known("ada")), RecipientSubject::Address(id));
    let eve = RecipientSubject::Member(MemberId::known("eve"));
    let none = MailTopics::default();
    let fault = MailFault::Complained;
    let missing = "a recipient is changed that does not exist";
    for (change, sentence) in [
        (RecipientChange::MemberAdded(MemberId::known("ada")), "a recipient is chosen twice"),
        (RecipientChange::MemberAdded(MemberId::known("eve")), missing),
        (RecipientChange::AddressAdded { id, address: [7; 32] }, "a recipient is added that exists already"),
        (RecipientChange::Removed(eve.clone()), missing),
        (RecipientChange::Confirmed(id), "an address is confirmed twice"),
        (RecipientChange::Confirmed(RecipientId(Id::v7(0, 0, 0))), missing),
        (
            RecipientChange::Muted { subject: ada.clone(), muted: none },
            "the muted topics are changed to what they were",
        ),
        (
            RecipientChange::Muted { subject: typed, muted: none },
            "the muted topics are changed to what they were",
        ),
        (RecipientChange::Muted { subject: eve.clone(), muted: none.with(MailTopic::Low, true) }, missing),
        (RecipientChange::Failed { subject: ada, fault }, "an address is at fault twice"),
        (RecipientChange::Failed { subject: eve, fault }, missing),
    ] {
        let instead = |body: &mut EntryBody| {
            *body = EntryBody::Team(Box::new(TeamChange::Recipient(change.clone())));
        };
        check_refused(script, instead, sentence);
    }
    let mut many: String = (0..21).map(|n| format!("mail_to r{n}@acme.example\n")).collect();
    many = many.replace("mail_to r20@acme.example", "mailed a1");
    let too_many = |body: &mut EntryBody| {
        let added = RecipientChange::AddressAdded { id: RecipientId(Id::v7(0, 0, 0)), address: [7; 32] };
        *body = EntryBody::Team(Box::new(TeamChange::Recipient(added)));
    };
    check_refused(&many, too_many, "a team has more chosen recipients than it may have");
}
