//! Clauses about members, API keys and portal sessions.

use tollkeeper_engine::{Output, Page, Reads, personal_text};
use tollkeeper_ledger::{
    Actor, ApiKeyId, ApiKeyRequest, ChargeCommand, ChargeRequest, Command, LinkRequest, Member,
    MemberChanges, MemberRequest, Micros, Period, PortalSession, Role, Scope, SessionId, Subject, Submission,
    TeamChange, TeamCommand, WorkerId,
};

use super::Store;
use super::test_client::{TestClient, acme, awaited, charge, key, member, submission, workspace};
use crate::model::step::unknown_id;
use tollkeeper_testkit::blocking::block_on;

fn add_member(name: &str, role: Role) -> Command {
    let email = personal_text(&format!("{name}@acme.example"), [1; 32]);
    let (id, name) = (member(name), personal_text(name, [2; 32]));
    Command::Team(TeamCommand::AddMember(Box::new(MemberRequest { id, email, name, role })))
}

fn change_role(name: &str, role: Role) -> Command {
    let changes = MemberChanges { role: Some(role), ..MemberChanges::default() };
    Command::Team(TeamCommand::ChangeMember(member(name), Box::new(changes)))
}

fn remove_member(name: &str) -> Command {
    Command::Team(TeamCommand::RemoveMember(member(name)))
}

/// The e-mail address and the name of each member, as they are stored.
fn texts_of(client: &TestClient, members: &[Member]) -> Vec<Option<Box<str>>> {
    let digests = |member: &Member| [member.email, member.name].map(|digest| (member.id.clone(), digest));
    let wanted = members.iter().flat_map(digests).collect();
    block_on(client.engine.personal_texts(&acme(), wanted)).expect("the engine reads")
}

/// A client of a workspace with the admin ada and the member bob.
fn with_team(store: &dyn Store) -> TestClient {
    let client = TestClient::with_credit(store, 100_000);
    client.accepted(add_member("ada", Role::Admin));
    client.accepted(add_member("bob", Role::Member));
    client
}

/// Creates a sign-in link that is valid for ten minutes.
fn link(client: &TestClient, name: &str, secret: u8) -> PortalSession {
    let request = LinkRequest {
        member: member(name),
        hash: [secret; 32],
        return_url: Some("https://acme.example/".into()),
        valid_for_seconds: 600,
    };
    let output = client.accepted(Command::Team(TeamCommand::CreateLink(request)));
    let Output::Team(change) = output else {
        panic!("a link is answered by a team change, not by {output:?}")
    };
    let TeamChange::LinkCreated(link) = *change else { panic!("a link was answered by {change:?}") };
    link
}

/// Follows a link into a session of one hour.
fn sign_in(link: u8, session: u8) -> Command {
    Command::Team(TeamCommand::SignIn { link: [link; 32], session: [session; 32], valid_for_seconds: 3_600 })
}

pub(super) fn a_team_is_shown_as_it_was_created(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 10_000);
    assert!(client.team().is_empty());
    client.accepted(add_member("ada", Role::Admin));
    client.advance_clock(5);
    client.accepted(add_member("bob", Role::Member));
    let tied = ApiKeyRequest {
        scopes: [Scope::Charge, Scope::Read].into_iter().collect(),
        member: Some(member("bob")),
        expires_at: Some(client.now.plus_seconds(600)),
        ..key("the shop")
    };
    let id = client.create_key(tied.clone());
    let made = link(&client, "bob", 7);
    client.accepted(change_role("bob", Role::Admin));
    client.create_workspace(workspace("b"));
    for _ in 0..3 {
        let team = client.team();
        let members = team.members.iter().map(|member| (member.id.as_str(), member.role));
        assert_eq!(members.collect::<Vec<_>>(), [("ada", Role::Admin), ("bob", Role::Admin)]);
        let expected = ["ada@acme.example", "ada", "bob@acme.example", "bob"];
        assert_eq!(texts_of(&client, &team.members), expected.map(|text| Some(text.into())));
        assert_eq!(team.members[1].created_at, client.now);
        let shown = team.keys.iter().find(|key| key.hash == tied.hash).expect("it was made");
        assert_eq!((shown.id, &*shown.name, shown.created_at), (id, "the shop", client.now));
        assert_eq!((shown.scopes, &shown.member, &shown.worker), (tied.scopes, &tied.member, &None));
        assert_eq!((shown.expires_at, shown.last_used_at), (tied.expires_at, None));
        assert_eq!(team.links, std::slice::from_ref(&made));
        let elsewhere =
            block_on(client.engine.team(&workspace("b"))).expect("the engine reads").expect("it exists");
        assert!(elsewhere.is_empty());
        client = client.restarted(store);
    }
    assert_eq!(client.refused(add_member("ada", Role::Member)), "member_exists");
    let before = client.entry_count();
    client.accepted(change_role("bob", Role::Admin));
    assert_eq!(client.entry_count(), before, "an unchanged member writes no entry");
    assert_eq!(client.refused(remove_member("eve")), "member_not_found");
}

pub(super) fn the_texts_of_a_member_are_erased_and_the_journal_stays(store: &dyn Store) {
    let client = with_team(store);
    let name = |text: &str, salt| MemberChanges {
        name: Some(personal_text(text, [salt; 32])),
        ..Default::default()
    };
    let change = |changes| Command::Team(TeamCommand::ChangeMember(member("bob"), Box::new(changes)));
    let erase = |name: &str| Command::Team(TeamCommand::EraseMember(member(name)));
    let first = client.team().members[1].clone();
    let before = client.entry_count();
    client.accepted(change(name("bob", 3)));
    assert_eq!(client.entry_count(), before, "the same name with another salt writes no entry");
    client.accepted(change(name("Robert", 4)));
    client.accepted(remove_member("bob"));
    client.accepted(add_member("eve", Role::Member));
    let second = personal_text("Robert", [4; 32]).digest;
    let both = [first.clone(), Member { name: second, ..first }];
    let client = client.restarted(store);
    let address: Option<Box<str>> = Some("bob@acme.example".into());
    let kept = [address.clone(), Some("bob".into()), address, Some("Robert".into())];
    assert_eq!(texts_of(&client, &both), kept, "a removed member's texts are there until they are erased");
    client.accepted(erase("bob"));
    let written = client.entry_count();
    for _ in 0..2 {
        assert_eq!(texts_of(&client, &both), [const { None }; 4]);
        client.accepted(erase("bob"));
        assert_eq!(client.entry_count(), written, "what was erased is not erased again");
    }
    assert_eq!(client.refused(erase("nobody")), "member_not_found");
    let client = client.restarted(store);
    assert_eq!(texts_of(&client, &both), [const { None }; 4]);
    let others = client.team().members.clone();
    assert!(texts_of(&client, &others).iter().all(Option::is_some), "the others keep theirs");
    // In one batch: added, erased, added again.
    let again = |salt| {
        let (email, name) =
            (personal_text("new@acme.example", [salt; 32]), personal_text("New", [salt + 1; 32]));
        let request = MemberRequest { id: member("bob"), email, name, role: Role::Member };
        submission(acme(), None, Command::Team(TeamCommand::AddMember(Box::new(request))))
    };
    let [erased, removed] =
        [erase("bob"), remove_member("bob")].map(|command| submission(acme(), None, command));
    let batch = vec![
        again(10),
        erased.clone(),
        removed,
        again(20),
        submission(acme(), None, change(name("New", 30))),
    ];
    assert_eq!(client.codes(batch), ["yes"; 5]);
    let client = client.restarted(store);
    let bob = client.team().member(&member("bob")).expect("he was added again").clone();
    assert_eq!(bob.name, personal_text("New", [21; 32]).digest, "the equal name changed nothing");
    let shown = texts_of(&client, std::slice::from_ref(&bob));
    assert_eq!(shown, [Some("new@acme.example".into()), Some("New".into())]);
    // A member who stays is erased, and may get texts again.
    assert_eq!(client.codes(vec![erased]), ["yes"]);
    client.accepted(change(name("New", 40)));
    let bob = client.team().member(&member("bob")).expect("he stays").clone();
    assert_eq!(texts_of(&client, &[bob]), [None, Some("New".into())]);
}

pub(super) fn a_removed_member_loses_keys_and_sessions(store: &dyn Store) {
    let client = with_team(store);
    let his = client.create_key(ApiKeyRequest { member: Some(member("bob")), ..key("his") });
    let hers = client.create_key(ApiKeyRequest { member: Some(member("ada")), ..key("hers") });
    for (name, secret) in [("ada", 1), ("bob", 2), ("bob", 3)] {
        link(&client, name, secret);
    }
    client.accepted(sign_in(1, 11));
    client.accepted(sign_in(2, 12));
    let client = client.restarted(store);
    client.accepted(remove_member("bob"));
    client.accepted(add_member("bob", Role::Member));
    let check = |client: &TestClient| {
        let team = client.team();
        assert_eq!(team.keys.iter().map(|key| key.id).collect::<Vec<_>>(), [hers]);
        assert_eq!(team.sessions.iter().map(|session| session.hash[0]).collect::<Vec<_>>(), [11]);
        assert_eq!(team.links, []);
        let pay = Command::Charge(ChargeRequest { member: Some(member("bob")), ..charge("message", 1) });
        assert_eq!(client.submit_as(Actor::ApiKey(his), pay).expect_err("his key").code(), "unauthenticated");
        assert_eq!(client.refused(sign_in(3, 13)), "portal_link_expired");
    };
    check(&client);
    check(&client.restarted(store));
}

pub(super) fn a_revoked_or_expired_key_is_refused(store: &dyn Store) {
    let mut client = with_team(store);
    let (revoked, batched) = (client.create_key(key("one")), client.create_key(key("two")));
    let expired =
        client.create_key(ApiKeyRequest { expires_at: Some(client.now.plus_seconds(60)), ..key("three") });
    let pay = |id, name: &str| Submission {
        actor: Actor::ApiKey(id),
        ..submission(acme(), Some(name), Command::Charge(charge("message", 1)))
    };
    assert_eq!(client.codes(vec![pay(revoked, "a"), pay(expired, "b")]), ["yes", "yes"]);
    client.accepted(Command::Team(TeamCommand::RevokeKey(revoked)));
    let revoke = submission(acme(), None, Command::Team(TeamCommand::RevokeKey(batched)));
    assert_eq!(
        client.codes(vec![pay(batched, "c"), revoke, pay(batched, "d")]),
        ["yes", "yes", "unauthenticated"]
    );
    client.advance_clock(59);
    assert_eq!(client.codes(vec![pay(expired, "e")]), ["yes"]);
    client.advance_clock(1);
    let (before, balance) = (client.entry_count(), client.balance());
    for _ in 0..2 {
        let again = vec![pay(revoked, "f"), pay(expired, "f"), pay(revoked, "a"), pay(expired, "b")];
        assert_eq!(client.codes(again), ["unauthenticated"; 4]);
        let other = Command::Team(TeamCommand::CreateKey(key("four")));
        let refused = client.submit_as(Actor::ApiKey(expired), other).expect_err("the key has expired");
        assert_eq!(refused.code(), "unauthenticated");
        assert_eq!((client.entry_count(), client.balance()), (before, balance));
        client = client.restarted(store);
    }
    assert_eq!(client.refused(Command::Team(TeamCommand::RevokeKey(revoked))), "api_key_not_found");
    let by_platform =
        client.submit_keyed("a", Command::Charge(charge("message", 1))).expect("the command is accepted");
    assert!(by_platform.replayed, "the actor is not compared with the first request");
}

pub(super) fn a_tied_key_charges_only_for_its_member_and_worker(store: &dyn Store) {
    let client = with_team(store);
    let worker = |name: &str| WorkerId::new(name).expect("a name");
    let tied = client.create_key(ApiKeyRequest {
        member: Some(member("bob")),
        worker: Some(worker("w1")),
        ..key("the worker")
    });
    let names = |of_member: Option<&str>, of_worker: Option<&str>| ChargeRequest {
        member: of_member.map(member),
        worker: of_worker.map(worker),
        ..awaited("message", 1, 600)
    };
    let word = |command| {
        client.submit_as(Actor::ApiKey(tied), command).map_or_else(|refusal| refusal.code(), |_| "yes")
    };
    for (of_member, of_worker, expected) in [
        (Some("bob"), Some("w1"), "yes"),
        (Some("bob"), Some("w2"), "forbidden"),
        (Some("ada"), Some("w1"), "forbidden"),
        (Some("bob"), None, "forbidden"),
        (None, None, "forbidden"),
    ] {
        assert_eq!(word(Command::Charge(names(of_member, of_worker))), expected);
    }
    let (own, _) = client.charge("own", names(Some("bob"), Some("w1")));
    let (foreign, _) = client.charge("foreign", names(Some("ada"), Some("w1")));
    assert_eq!(word(ChargeCommand::Succeed { quantity: None }.for_charge(own.details.id)), "yes");
    assert_eq!(word(ChargeCommand::Succeed { quantity: None }.for_charge(foreign.details.id)), "forbidden");
}

pub(super) fn only_the_platform_and_a_key_with_settle_give_back_credit(store: &dyn Store) {
    let client = TestClient::with_credit(store, 10_000);
    let [pays, settles] = [Scope::Charge, Scope::Settle].map(|scope| {
        client.create_key(ApiKeyRequest { scopes: [scope].into_iter().collect(), ..key(scope.as_str()) })
    });
    let failed = ChargeCommand::Fail { by_system: true, detail: None };
    let word = |by: ApiKeyId, command| {
        client.submit_as(Actor::ApiKey(by), command).map_or_else(|refusal| refusal.code(), |_| "yes")
    };
    let (pending, _) = client.charge("pending", awaited("message", 1, 600));
    let (settled, _) = client.charge("settled", charge("message", 1));
    let [pending, settled] = [pending, settled].map(|charge| charge.details.id);
    assert_eq!(word(pays, failed.clone().for_charge(pending)), "forbidden");
    assert_eq!(word(settles, ChargeCommand::Succeed { quantity: None }.for_charge(pending)), "forbidden");
    assert_eq!(word(settles, failed.clone().for_charge(settled)), "forbidden");
    for _ in 0..2 {
        assert_eq!(word(settles, failed.clone().for_charge(pending)), "yes");
    }
    assert_eq!(client.balance().available.get(), 9_500);
    client.accepted(failed.for_charge(settled));
    let more = TeamCommand::CreateKey(ApiKeyRequest { hash: [9; 32], ..key("more") });
    assert_eq!(word(pays, Command::Team(more)), "forbidden");
}

pub(super) fn only_admins_change_settings(store: &dyn Store) {
    let client = with_team(store);
    let word = |client: &TestClient, name: &str| {
        // Another limit for each, because equal limits write nothing.
        let amount = Micros::new(i64::from(name.as_bytes()[0]));
        let limits = Command::SetLimits(vec![(Subject::Workspace, Period::Month, amount)]);
        let ran = client.submit_as(Actor::Member(member(name)), limits);
        ran.map_or_else(|refusal| refusal.code(), |_| "yes")
    };
    assert_eq!(
        ["ada", "bob", "eve"].map(|name| word(&client, name)),
        ["yes", "forbidden", "unauthenticated"]
    );
    client.accepted(change_role("bob", Role::Admin));
    assert_eq!(word(&client, "bob"), "yes");
    let newest = Page { limit: 1, cursor: None };
    let entries =
        block_on(client.engine.entries(&acme(), newest)).expect("the engine reads").expect("it exists");
    assert_eq!(entries.data[0].entry.actor, Actor::Member(member("bob")), "the journal names the actor");
    client.accepted(change_role("ada", Role::Member));
    let client = client.restarted(store);
    assert_eq!(["ada", "bob"].map(|name| word(&client, name)), ["forbidden", "yes"]);
    assert_eq!(client.refused(change_role("bob", Role::Member)), "last_admin");
    assert_eq!(client.refused(remove_member("bob")), "last_admin");
    client.accepted(remove_member("ada"));
    assert_eq!(word(&client, "ada"), "unauthenticated");
}

pub(super) fn a_link_signs_in_once(store: &dyn Store) {
    let mut client = with_team(store);
    let made = link(&client, "bob", 1);
    let follow = |session| submission(acme(), None, sign_in(1, session));
    assert_eq!(client.codes(vec![follow(11), follow(12)]), ["yes", "portal_link_expired"]);
    link(&client, "bob", 2);
    client.advance_clock(599);
    let mut client = client.restarted(store);
    assert_eq!(client.refused(sign_in(1, 13)), "portal_link_expired");
    let team = client.team();
    let session = team.session(&[11; 32], client.now).expect("the session is valid");
    assert_eq!((session.id, session.member.as_str()), (made.id, "bob"));
    assert_eq!(session.return_url, made.return_url);
    assert!(team.session(&[12; 32], client.now).is_none());
    assert!(team.link(&[1; 32], client.now).is_none() && team.link(&[2; 32], client.now).is_some());
    client.advance_clock(1);
    assert_eq!(client.refused(sign_in(2, 14)), "portal_link_expired");

    let out = |id| Command::Team(TeamCommand::SignOut(id));
    client.accepted(out(made.id));
    assert!(client.team().session(&[11; 32], client.now).is_none());
    let before = client.entry_count();
    client.accepted(out(made.id));
    client.accepted(out(SessionId(unknown_id())));
    assert_eq!(client.entry_count(), before, "a second sign-out writes no entry");
    link(&client, "ada", 3);
    client.accepted(sign_in(3, 15));
    link(&client, "bob", 4);
    client.accepted(Command::Team(TeamCommand::SignOutAll(None)));
    let client = client.restarted(store);
    assert!(client.team().sessions.is_empty() && client.team().links.is_empty());
}

pub(super) fn the_use_of_a_key_is_recorded(store: &dyn Store) {
    let mut client = with_team(store);
    let id = client.create_key(key("the shop"));
    let note = || Command::Team(TeamCommand::RecordKeyUse(id));
    let beginning = client.now;
    let before = client.entry_count();
    client.accepted(note());
    client.advance_clock(3_599);
    client.accepted(note());
    let mut client = client.restarted(store);
    let noted = |client: &TestClient| (client.team().keys[0].last_used_at, client.entry_count() - before);
    assert_eq!(noted(&client), (Some(beginning), 1));
    client.advance_clock(1);
    client.accepted(note());
    assert_eq!(noted(&client), (Some(client.now), 2));
    let now = client.now;
    assert_eq!(noted(&client.restarted(store)), (Some(now), 2));
}
