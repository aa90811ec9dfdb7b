//! Teams and limits where several servers share a database: none acts on what another has ended, none loses what another
//! wrote, and limits that are counted anew count what earlier commands of the same batch have done.

use std::thread;

use tollkeeper_engine::postgres::{Options, audit};
use tollkeeper_engine::{CommandResult, Output, Reads};
use tollkeeper_ledger::{
    Actor, ApiKeyId, ApiKeyRequest, Command, MemberId, MemberRequest, Micros, Period, Role, Scope, Subject,
    Submission, TeamChange, TeamCommand, Timestamp, WorkspaceChanges, WorkspaceId,
};
use tollkeeper_sim::contract::{TestClient, charge};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};

fn acme() -> WorkspaceId {
    WorkspaceId::new("acme").expect("a name")
}

fn acmes(actor: Actor, command: Command) -> Submission {
    Submission { workspace: acme(), key: None, actor, command }
}

fn asked_by(client: &TestClient, actor: Actor, command: Command) -> CommandResult {
    block_on(client.engine.run(acmes(actor, command), client.now)).expect("a healthy engine")
}

pub(crate) fn new_key(client: &TestClient, name: &str) -> ApiKeyId {
    let request = ApiKeyRequest {
        name: name.into(),
        scopes: [Scope::Charge].into_iter().collect(),
        member: None,
        worker: None,
        expires_at: None,
        hash: [7; 32],
    };
    match client.accepted(Command::Team(TeamCommand::CreateKey(request))) {
        Output::Team(change) => match *change {
            TeamChange::KeyCreated(key) => key.id,
            other => panic!("a key was answered by {other:?}"),
        },
        other => panic!("a key was answered by {other:?}"),
    }
}

fn added(name: &str, role: Role) -> Command {
    let id = MemberId::new(name).expect("a name");
    let request = MemberRequest { id, email: format!("{name}@acme.test").into(), name: name.into(), role };
    Command::Team(TeamCommand::AddMember(request))
}

fn by_month_and_day(amount: i64) -> Command {
    let line = |period| (Subject::Workspace, period, Micros::new(amount));
    Command::SetLimits(vec![line(Period::Day), line(Period::Month)])
}

fn moved_to(timezone: &str) -> Command {
    Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(timezone.into()), ..Default::default() })
}

/// What the limits of `acme` have counted, line by line.
pub(crate) fn used(client: &TestClient) -> Vec<i64> {
    let (limits, windows) =
        block_on(client.engine.limits(&acme(), client.now)).expect("it reads").expect("it is there");
    limits.0.iter().map(|limit| limit.used_in(&windows).get()).collect()
}

#[track_caller]
pub(crate) fn agrees(database: &Database) {
    let report = audit(&database.url()).expect("it reads");
    assert!(report.disagreement.is_none(), "{report:?}");
}

#[test]
fn what_one_server_has_ended_does_nothing_on_another() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let here = TestClient::with_credit(&store, 100_000);
    let there = TestClient::open(&store, here.now);
    let pay = || Command::Charge(charge("message", 1));
    here.accepted(added("ann", Role::Admin));
    here.accepted(added("bob", Role::Admin));
    let (id, kept) = (new_key(&here, "gone"), Actor::ApiKey(new_key(&here, "kept")));
    let gone = Actor::ApiKey(id);
    let ann = Actor::Member(MemberId::new("ann").expect("a name"));
    for actor in [&gone, &kept, &ann] {
        asked_by(&there, actor.clone(), pay()).expect("it holds, and the account is in memory from now on");
    }
    here.accepted(Command::Team(TeamCommand::RevokeKey(id)));
    here.accepted(Command::Team(TeamCommand::RemoveMember(MemberId::new("ann").expect("a name"))));
    let before = here.balance();
    for actor in [gone, ann] {
        let refused = asked_by(&there, actor.clone(), pay()).expect_err("it was ended elsewhere");
        assert_eq!(refused.code(), "unauthenticated", "{actor:?}");
    }
    assert_eq!(here.balance(), before);
    asked_by(&there, kept, pay()).expect("it still holds");
    let newest = Actor::ApiKey(new_key(&here, "newest"));
    asked_by(&there, newest, pay()).expect("it was made elsewhere just now");
    let team =
        |client: &TestClient| block_on(client.engine.team(&acme())).expect("it reads").expect("it is there");
    let names: Vec<String> = team(&there).keys.iter().map(|key| key.name.to_string()).collect();
    assert_eq!((team(&there), names), (team(&here), vec!["kept".to_owned(), "newest".to_owned()]));
    agrees(&store.0);
}

#[test]
fn no_server_loses_a_member_that_another_brings_in() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 100_000);
    thread::scope(|scope| {
        for server in ["a", "b", "c"] {
            let client = TestClient::open(&store, client.now);
            scope.spawn(move || {
                for number in 0..20 {
                    client.accepted(added(&format!("{server}{number}"), Role::Member));
                    client.accepted(Command::Charge(charge("message", 1)));
                }
            });
        }
    });
    let team = block_on(client.engine.team(&acme())).expect("it reads").expect("it is there");
    assert_eq!(team.members.len(), 60);
    agrees(&store.0);
}

#[test]
fn limits_count_what_earlier_commands_of_their_batch_did() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let mut client = TestClient::with_credit(&store, 100_000);
    let key = new_key(&client, "a key");
    let pay = |quantity| acmes(Actor::ApiKey(key), Command::Charge(charge("message", quantity)));
    let set = |command| acmes(Actor::Platform, command);
    let run = |client: &TestClient, batch| {
        for ran in block_on(client.engine.run_batch(batch, client.now)).expect("a healthy engine") {
            ran.expect("within all limits");
        }
    };
    // 2026-01-31 at 23:30 in UTC: February in Kiritimati since ten, January in New York until five.
    client.advance_clock(31 * 86_400 - 1_800);
    run(&client, vec![pay(1)]);
    client.advance_clock(6 * 3_600);
    let batch = vec![set(by_month_and_day(50_000)), pay(2), set(moved_to("America/New_York")), pay(4)];
    run(&client, batch);
    assert_eq!(used(&client), [3_000, 3_000], "what was paid at 23:30 was paid in January, there and in UTC");
    // Another server, which has nothing in memory.
    client = client.restarted(&store);
    let batch = vec![
        set(moved_to("UTC")),
        pay(8),
        set(moved_to("Pacific/Kiritimati")),
        set(Command::SetLimits(vec![
            (Subject::Workspace, Period::Day, Micros::new(50_000)),
            (Subject::Workspace, Period::Month, Micros::new(50_000)),
            (Subject::ApiKey(key), Period::Month, Micros::new(50_000)),
        ])),
        pay(16),
    ];
    run(&client, batch);
    assert_eq!(used(&client), [15_500, 15_500, 15_500]);
    // In the evening it is the second of February there.
    client.advance_clock(8 * 3_600);
    run(&client, vec![pay(1), set(moved_to("Etc/GMT-13")), set(moved_to("Etc/GMT-14")), pay(1)]);
    assert_eq!(used(&client), [1_000, 16_500, 16_500]);
    agrees(&store.0);
}

#[test]
fn limits_count_from_the_year_in_which_they_are() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 100_000);
    // Midnight in UTC, which is still the year before in New York.
    client.accepted(Command::Charge(charge("message", 1)));
    let later = TestClient::open(&store, Timestamp::from_millis(client.now.millis() + 6 * 3_600_000));
    let set = |command| acmes(Actor::Platform, command);
    let pay = |quantity| acmes(Actor::Platform, Command::Charge(charge("message", quantity)));
    let moved = vec![set(moved_to("America/New_York")), pay(2), set(by_month_and_day(50_000)), pay(4)];
    for ran in block_on(later.engine.run_batch(moved, later.now)).expect("a healthy engine") {
        ran.expect("within all limits");
    }
    assert_eq!(used(&later), [3_000, 3_000]);
    later.accepted(moved_to("UTC"));
    assert_eq!(used(&client), [3_500, 3_500], "the other server reads it too");
    agrees(&store.0);
}

#[test]
fn an_audit_finds_a_team_that_was_changed_by_hand() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 100_000);
    client.accepted(added("ann", Role::Admin));
    new_key(&client, "a key");
    agrees(&store.0);
    let bytes: usize = store.0.sql("SELECT length(data) FROM team").parse().expect("a number");
    assert!(bytes > 60, "a member and a key take more than {bytes} bytes");
    let flips = (0..bytes).step_by(5).map(|at| {
        let flip = format!("UPDATE team SET data = set_byte(data, {at}, get_byte(data, {at}) # 1)");
        (flip.clone(), flip)
    });
    let kept = store.0.sql("SELECT data FROM team");
    let deleted = ("DELETE FROM team".to_owned(), format!("INSERT INTO team VALUES ('acme', '{kept}')"));
    for (damage, repair) in flips.chain([deleted]) {
        store.0.sql(&damage);
        let found = audit(&store.0.url()).expect("it reads").disagreement;
        let found = found.unwrap_or_else(|| panic!("nothing was found after {damage}"));
        assert_eq!(found.workspace, Some(acme()), "{damage}: {}", found.what);
        store.0.sql(&repair);
    }
    agrees(&store.0);
    store.0.sql("INSERT INTO team SELECT 'nobody', data FROM team");
    let found = audit(&store.0.url()).expect("it reads").disagreement.expect("a team of no workspace");
    assert!(found.what.contains("account is missing"), "{}", found.what);
}
