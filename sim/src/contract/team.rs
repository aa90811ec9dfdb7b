//! Members, API keys and portal sessions: that they are shown as they were made, and that who has gone does nothing more.

use tollkeeper_engine::{Output, Page, Reads};
use tollkeeper_ledger::{
    Actor, ApiKeyRequest, ChargeCommand, ChargeRequest, Command, LinkRequest, MemberChanges, MemberRequest,
    PortalSession, Role, Scope, SessionId, Submission, TeamChange, TeamCommand, WorkerId,
};

use super::Store;
use super::desk::{Desk, acme, awaited, charge, key, member, submission, workspace};
use crate::step::nothing;
use tollkeeper_testkit::blocking::block_on;

fn somebody(name: &str, role: Role) -> Command {
    let email = format!("{name}@acme.example").into();
    Command::Team(TeamCommand::AddMember(MemberRequest { id: member(name), email, name: name.into(), role }))
}

fn changed(name: &str, role: Role) -> Command {
    let changes = MemberChanges { role: Some(role), ..MemberChanges::default() };
    Command::Team(TeamCommand::ChangeMember(member(name), changes))
}

fn removed(name: &str) -> Command {
    Command::Team(TeamCommand::RemoveMember(member(name)))
}

/// A desk with an admin, ada, and a member, bob.
fn with_team(store: &dyn Store) -> Desk {
    let desk = Desk::with_credit(store, 100_000);
    desk.told(somebody("ada", Role::Admin));
    desk.told(somebody("bob", Role::Member));
    desk
}

/// A link for somebody, good for ten minutes.
fn link(desk: &Desk, name: &str, secret: u8) -> PortalSession {
    let request = LinkRequest {
        member: member(name),
        hash: [secret; 32],
        return_url: Some("https://acme.example/".into()),
        lasts_seconds: 600,
    };
    let told = desk.told(Command::Team(TeamCommand::MakeLink(request)));
    let Output::Team(change) = told else { panic!("a link was answered by {told:?}") };
    let TeamChange::LinkMade(link) = *change else { panic!("a link was answered by {change:?}") };
    link
}

/// Follows a link into a session of an hour.
fn sign_in(link: u8, session: u8) -> Command {
    Command::Team(TeamCommand::SignIn { link: [link; 32], session: [session; 32], lasts_seconds: 3_600 })
}

pub(super) fn what_was_added_is_shown(store: &dyn Store) {
    let mut desk = Desk::with_credit(store, 10_000);
    assert!(desk.team().is_empty());
    desk.told(somebody("ada", Role::Admin));
    desk.advance_clock(5);
    desk.told(somebody("bob", Role::Member));
    let tied = ApiKeyRequest {
        scopes: [Scope::Charge, Scope::Read].into_iter().collect(),
        member: Some(member("bob")),
        expires_at: Some(desk.now.plus_seconds(600)),
        ..key("the shop")
    };
    let id = desk.key(tied.clone());
    let made = link(&desk, "bob", 7);
    desk.told(changed("bob", Role::Admin));
    desk.open(workspace("b"));
    for _ in 0..3 {
        let team = desk.team();
        let members = team.members.iter().map(|member| (member.id.as_str(), &*member.email, member.role));
        let expected = [("ada", "ada@acme.example", Role::Admin), ("bob", "bob@acme.example", Role::Admin)];
        assert_eq!(members.collect::<Vec<_>>(), expected);
        assert_eq!(team.members[1].created_at, desk.now);
        let shown = team.keys.iter().find(|key| key.hash == tied.hash).expect("it was made");
        assert_eq!((shown.id, &*shown.name, shown.created_at), (id, "the shop", desk.now));
        assert_eq!((shown.scopes, &shown.member, &shown.worker), (tied.scopes, &tied.member, &None));
        assert_eq!((shown.expires_at, shown.last_used_at), (tied.expires_at, None));
        assert_eq!(team.links, std::slice::from_ref(&made));
        let elsewhere = block_on(desk.engine.team(&workspace("b"))).expect("it reads").expect("it is there");
        assert!(elsewhere.is_empty());
        desk = desk.restarted(store);
    }
    assert_eq!(desk.no(somebody("ada", Role::Member)), "member_exists");
    let before = desk.entry_count();
    desk.told(changed("bob", Role::Admin));
    assert_eq!(desk.entry_count(), before, "what is so already is not written again");
    assert_eq!(desk.no(removed("eve")), "member_not_found");
}

pub(super) fn a_member_takes_keys_and_sessions_along(store: &dyn Store) {
    let desk = with_team(store);
    let his = desk.key(ApiKeyRequest { member: Some(member("bob")), ..key("his") });
    let hers = desk.key(ApiKeyRequest { member: Some(member("ada")), ..key("hers") });
    for (name, secret) in [("ada", 1), ("bob", 2), ("bob", 3)] {
        link(&desk, name, secret);
    }
    desk.told(sign_in(1, 11));
    desk.told(sign_in(2, 12));
    let desk = desk.restarted(store);
    desk.told(removed("bob"));
    desk.told(somebody("bob", Role::Member));
    let gone = |desk: &Desk| {
        let team = desk.team();
        assert_eq!(team.keys.iter().map(|key| key.id).collect::<Vec<_>>(), [hers]);
        assert_eq!(team.sessions.iter().map(|session| session.hash[0]).collect::<Vec<_>>(), [11]);
        assert_eq!(team.links, []);
        let pay = Command::Charge(ChargeRequest { member: Some(member("bob")), ..charge("message", 1) });
        assert_eq!(desk.ask_as(Actor::ApiKey(his), pay).expect_err("his key").code(), "unauthenticated");
        assert_eq!(desk.no(sign_in(3, 13)), "portal_link_expired");
    };
    gone(&desk);
    gone(&desk.restarted(store));
}

pub(super) fn a_key_that_has_ended_is_refused(store: &dyn Store) {
    let mut desk = with_team(store);
    let (revoked, batched) = (desk.key(key("one")), desk.key(key("two")));
    let expired = desk.key(ApiKeyRequest { expires_at: Some(desk.now.plus_seconds(60)), ..key("three") });
    let pay = |id, name: &str| Submission {
        actor: Actor::ApiKey(id),
        ..submission(acme(), Some(name), Command::Charge(charge("message", 1)))
    };
    assert_eq!(desk.words(vec![pay(revoked, "a"), pay(expired, "b")]), ["yes", "yes"]);
    desk.told(Command::Team(TeamCommand::RevokeKey(revoked)));
    let revoke = submission(acme(), None, Command::Team(TeamCommand::RevokeKey(batched)));
    assert_eq!(
        desk.words(vec![pay(batched, "c"), revoke, pay(batched, "d")]),
        ["yes", "yes", "unauthenticated"]
    );
    desk.advance_clock(59);
    assert_eq!(desk.words(vec![pay(expired, "e")]), ["yes"]);
    desk.advance_clock(1);
    let (before, balance) = (desk.entry_count(), desk.balance());
    for _ in 0..2 {
        let again = vec![pay(revoked, "f"), pay(expired, "f"), pay(revoked, "a"), pay(expired, "b")];
        assert_eq!(desk.words(again), ["unauthenticated"; 4]);
        let other = Command::Team(TeamCommand::CreateKey(key("four")));
        let refused = desk.ask_as(Actor::ApiKey(expired), other).expect_err("it has ended");
        assert_eq!(refused.code(), "unauthenticated");
        assert_eq!((desk.entry_count(), desk.balance()), (before, balance));
        desk = desk.restarted(store);
    }
    assert_eq!(desk.no(Command::Team(TeamCommand::RevokeKey(revoked))), "api_key_not_found");
    let by_platform = desk.keyed("a", Command::Charge(charge("message", 1))).expect("yes");
    assert!(by_platform.replayed, "who asks is no part of what is asked");
}

pub(super) fn a_tied_key_speaks_for_nobody_else(store: &dyn Store) {
    let desk = with_team(store);
    let worker = |name: &str| WorkerId::new(name).expect("a name");
    let tied = desk.key(ApiKeyRequest {
        member: Some(member("bob")),
        worker: Some(worker("w1")),
        ..key("the worker")
    });
    let names = |of_member: Option<&str>, of_worker: Option<&str>| ChargeRequest {
        member: of_member.map(member),
        worker: of_worker.map(worker),
        ..awaited("message", 1, 600)
    };
    let word =
        |command| desk.ask_as(Actor::ApiKey(tied), command).map_or_else(|refusal| refusal.code(), |_| "yes");
    for (of_member, of_worker, expected) in [
        (Some("bob"), Some("w1"), "yes"),
        (Some("bob"), Some("w2"), "forbidden"),
        (Some("ada"), Some("w1"), "forbidden"),
        (Some("bob"), None, "forbidden"),
        (None, None, "forbidden"),
    ] {
        assert_eq!(word(Command::Charge(names(of_member, of_worker))), expected);
    }
    let (own, _) = desk.charge("own", names(Some("bob"), Some("w1")));
    let (foreign, _) = desk.charge("foreign", names(Some("ada"), Some("w1")));
    assert_eq!(word(ChargeCommand::Succeed { quantity: None }.for_charge(own.details.id)), "yes");
    assert_eq!(word(ChargeCommand::Succeed { quantity: None }.for_charge(foreign.details.id)), "forbidden");
}

pub(super) fn members_see_and_admins_change(store: &dyn Store) {
    let desk = with_team(store);
    let word = |desk: &Desk, name: &str| {
        let ran = desk.ask_as(Actor::Member(member(name)), Command::SetLimits(Vec::new()));
        ran.map_or_else(|refusal| refusal.code(), |_| "yes")
    };
    assert_eq!(["ada", "bob", "eve"].map(|name| word(&desk, name)), ["yes", "forbidden", "unauthenticated"]);
    desk.told(changed("bob", Role::Admin));
    assert_eq!(word(&desk, "bob"), "yes");
    let newest = Page { limit: 1, cursor: None };
    let entries = block_on(desk.engine.entries(&acme(), newest)).expect("it reads").expect("it is there");
    assert_eq!(entries.data[0].entry.actor, Actor::Member(member("bob")), "the journal says who it was");
    desk.told(changed("ada", Role::Member));
    let desk = desk.restarted(store);
    assert_eq!(["ada", "bob"].map(|name| word(&desk, name)), ["forbidden", "yes"]);
    assert_eq!(desk.no(changed("bob", Role::Member)), "last_admin");
    assert_eq!(desk.no(removed("bob")), "last_admin");
    desk.told(removed("ada"));
    assert_eq!(word(&desk, "ada"), "unauthenticated");
}

pub(super) fn a_link_signs_in_once(store: &dyn Store) {
    let mut desk = with_team(store);
    let made = link(&desk, "bob", 1);
    let follow = |session| submission(acme(), None, sign_in(1, session));
    assert_eq!(desk.words(vec![follow(11), follow(12)]), ["yes", "portal_link_expired"]);
    link(&desk, "bob", 2);
    desk.advance_clock(599);
    let mut desk = desk.restarted(store);
    assert_eq!(desk.no(sign_in(1, 13)), "portal_link_expired");
    let team = desk.team();
    let session = team.session(&[11; 32], desk.now).expect("it is under way");
    assert_eq!((session.id, session.member.as_str()), (made.id, "bob"));
    assert_eq!(session.return_url, made.return_url);
    assert!(team.session(&[12; 32], desk.now).is_none());
    assert!(team.link(&[1; 32], desk.now).is_none() && team.link(&[2; 32], desk.now).is_some());
    desk.advance_clock(1);
    assert_eq!(desk.no(sign_in(2, 14)), "portal_link_expired");

    let out = |id| Command::Team(TeamCommand::SignOut(id));
    desk.told(out(made.id));
    assert!(desk.team().session(&[11; 32], desk.now).is_none());
    let before = desk.entry_count();
    desk.told(out(made.id));
    desk.told(out(SessionId(nothing())));
    assert_eq!(desk.entry_count(), before, "who has signed out is out");
    link(&desk, "ada", 3);
    desk.told(sign_in(3, 15));
    link(&desk, "bob", 4);
    desk.told(Command::Team(TeamCommand::SignOutAll(None)));
    let desk = desk.restarted(store);
    assert!(desk.team().sessions.is_empty() && desk.team().links.is_empty());
}

pub(super) fn the_use_of_a_key_is_noted(store: &dyn Store) {
    let mut desk = with_team(store);
    let id = desk.key(key("the shop"));
    let note = || Command::Team(TeamCommand::NoteKeyUse(id));
    let beginning = desk.now;
    let before = desk.entry_count();
    desk.told(note());
    desk.advance_clock(3_599);
    desk.told(note());
    let mut desk = desk.restarted(store);
    let noted = |desk: &Desk| (desk.team().keys[0].last_used_at, desk.entry_count() - before);
    assert_eq!(noted(&desk), (Some(beginning), 1));
    desk.advance_clock(1);
    desk.told(note());
    assert_eq!(noted(&desk), (Some(desk.now), 2));
    let now = desk.now;
    assert_eq!(noted(&desk.restarted(store)), (Some(now), 2));
}
