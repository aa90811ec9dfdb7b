//! Teams and limits on several servers with one database: no server uses a key or a member that
//! another has removed, no change is lost, and recounted limits include the earlier commands of the
//! same batch.

use std::sync::Arc;
use std::thread;

use tollkeeper_engine::postgres::{self, Options, audit};
use tollkeeper_engine::{CommandResult, Output, Reads, personal_text};
use tollkeeper_ledger::{
    Actor, ApiKeyId, ApiKeyRequest, Command, GrantRequest, MemberId, MemberRequest, Micros, OperatorAct,
    OperatorCommand, OperatorId, PaymentCommand, Period, Role, Scope, Source, Subject, Submission,
    TeamChange, TeamCommand, Timestamp, TopUpBounds, TopUpWay, WorkspaceChanges, WorkspaceId,
};
use tollkeeper_sim::contract::{TestClient, charge};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};

fn acme() -> WorkspaceId {
    WorkspaceId::new("acme").expect("a name")
}

fn in_acme(actor: Actor, command: Command) -> Submission {
    Submission { workspace: acme(), key: None, actor, command }
}

fn run_as(client: &TestClient, actor: Actor, command: Command) -> CommandResult {
    block_on(client.engine.run(in_acme(actor, command), client.now)).expect("a healthy engine")
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

pub(crate) fn added(name: &str, role: Role) -> Command {
    let id = MemberId::new(name).expect("a name");
    let email = personal_text(&format!("{name}@acme.test"), [1; 32]);
    let request = MemberRequest { id, email, name: personal_text(name, [2; 32]), role };
    Command::Team(TeamCommand::AddMember(Box::new(request)))
}

fn by_month_and_day(amount: i64) -> Command {
    let line = |period| (Subject::Workspace, period, Micros::new(amount));
    Command::SetLimits(vec![line(Period::Day), line(Period::Month)])
}

fn new_time_zone(timezone: &str) -> Command {
    Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(timezone.into()), ..Default::default() })
}

/// The usage of each limit of `acme`.
pub(crate) fn used(client: &TestClient) -> Vec<i64> {
    let (limits, windows) =
        block_on(client.engine.limits(&acme(), client.now)).expect("the engine reads").expect("it exists");
    limits.0.iter().map(|limit| limit.used_in(&windows).get()).collect()
}

#[track_caller]
pub(crate) fn check_audit(database: &Database) {
    let report = audit(&database.url()).expect("the database can be read");
    assert!(report.disagreement.is_none(), "{report:?}");
}

#[test]
fn an_operator_who_signs_out_on_one_server_is_refused_on_another() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let here = TestClient::with_credit(&store, 1_000);
    let there = TestClient::open(&store, here.now);
    let operator = OperatorId::new("olga").expect("a name");
    let act = OperatorAct { operator: operator.clone(), reason: "goodwill".into() };
    let actor = Actor::Operator(Box::new(act));
    let gift = || Command::Grant(GrantRequest::new(Source::Promotional, Micros::new(1)));
    let found = |client: &TestClient| {
        let platform = block_on(client.engine.current_platform()).expect("the engine reads");
        platform.operators.find(&[1; 32], client.now).is_some()
    };
    let (session, valid_for_seconds) = ([1; 32], 600);
    let sign_in = OperatorCommand::SignIn { operator, session, valid_for_seconds };
    here.accepted_by_platform(Command::Operator(sign_in));
    assert!(found(&there), "the other server finds the session at once");
    run_as(&there, actor.clone(), gift()).expect("the operator has a session");
    here.accepted_by_platform(Command::Operator(OperatorCommand::SignOut(None)));
    assert!(!found(&there), "and its end");
    let refused = run_as(&there, actor, gift()).expect_err("the session was ended on the other server");
    assert_eq!(refused.code(), "unauthenticated");
    check_audit(&store.0);
}

#[test]
fn a_key_or_member_removed_on_one_server_is_refused_on_another() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let here = TestClient::with_credit(&store, 100_000);
    let there = TestClient::open(&store, here.now);
    let pay = || Command::Charge(charge("message", 1));
    here.accepted(added("ann", Role::Admin));
    here.accepted(added("bob", Role::Admin));
    let (id, valid) = (new_key(&here, "gone"), Actor::ApiKey(new_key(&here, "kept")));
    let gone = Actor::ApiKey(id);
    let ann = Actor::Member(MemberId::new("ann").expect("a name"));
    for actor in [&gone, &valid, &ann] {
        run_as(&there, actor.clone(), pay()).expect("it is valid, and the account is cached from now on");
    }
    here.accepted(Command::Team(TeamCommand::RevokeKey(id)));
    here.accepted(Command::Team(TeamCommand::RemoveMember(MemberId::new("ann").expect("a name"))));
    let before = here.balance();
    for actor in [gone, ann] {
        let refused = run_as(&there, actor.clone(), pay()).expect_err("it was removed on the other server");
        assert_eq!(refused.code(), "unauthenticated", "{actor:?}");
    }
    assert_eq!(here.balance(), before);
    run_as(&there, valid, pay()).expect("it is still valid");
    let newest = Actor::ApiKey(new_key(&here, "newest"));
    run_as(&there, newest, pay()).expect("it was created on the other server");
    let team = |client: &TestClient| {
        block_on(client.engine.team(&acme())).expect("the engine reads").expect("it exists")
    };
    let names: Vec<String> = team(&there).keys.iter().map(|key| key.name.to_string()).collect();
    assert_eq!((team(&there), names), (team(&here), vec!["kept".to_owned(), "newest".to_owned()]));
    check_audit(&store.0);
}

#[test]
fn no_server_loses_a_member_that_another_adds() {
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
    let team = block_on(client.engine.team(&acme())).expect("the engine reads").expect("it exists");
    assert_eq!(team.members.len(), 60);
    check_audit(&store.0);
}

#[test]
fn recounted_limits_include_earlier_commands_of_the_batch() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let mut client = TestClient::with_credit(&store, 100_000);
    let key = new_key(&client, "a key");
    let pay = |quantity| in_acme(Actor::ApiKey(key), Command::Charge(charge("message", quantity)));
    let set = |command| in_acme(Actor::Platform, command);
    let run = |client: &TestClient, batch| {
        for ran in block_on(client.engine.run_batch(batch, client.now)).expect("a healthy engine") {
            ran.expect("within all limits");
        }
    };
    // 2026-01-31 at 23:30 in UTC: February in Kiritimati since ten, January in New York until five.
    client.advance_clock(31 * 86_400 - 1_800);
    run(&client, vec![pay(1)]);
    client.advance_clock(6 * 3_600);
    let batch = vec![set(by_month_and_day(50_000)), pay(2), set(new_time_zone("America/New_York")), pay(4)];
    run(&client, batch);
    assert_eq!(used(&client), [3_000, 3_000], "the charge at 23:30 was in January, there and in UTC");
    // Another server, without cached accounts.
    client = client.restarted(&store);
    let batch = vec![
        set(new_time_zone("UTC")),
        pay(8),
        set(new_time_zone("Pacific/Kiritimati")),
        set(Command::SetLimits(vec![
            (Subject::Workspace, Period::Day, Micros::new(50_000)),
            (Subject::Workspace, Period::Month, Micros::new(50_000)),
            (Subject::ApiKey(key), Period::Month, Micros::new(50_000)),
        ])),
        pay(16),
    ];
    run(&client, batch);
    assert_eq!(used(&client), [15_500, 15_500, 15_500]);
    // After eight hours it is 2 February there.
    client.advance_clock(8 * 3_600);
    run(&client, vec![pay(1), set(new_time_zone("Etc/GMT-13")), set(new_time_zone("Etc/GMT-14")), pay(1)]);
    assert_eq!(used(&client), [1_000, 16_500, 16_500]);
    check_audit(&store.0);
}

#[test]
fn limits_count_within_their_year() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 100_000);
    // Midnight in UTC, which is still the year before in New York.
    client.accepted(Command::Charge(charge("message", 1)));
    let later = TestClient::open(&store, Timestamp::from_millis(client.now.millis() + 6 * 3_600_000));
    let set = |command| in_acme(Actor::Platform, command);
    let pay = |quantity| in_acme(Actor::Platform, Command::Charge(charge("message", quantity)));
    let batch = vec![set(new_time_zone("America/New_York")), pay(2), set(by_month_and_day(50_000)), pay(4)];
    for ran in block_on(later.engine.run_batch(batch, later.now)).expect("a healthy engine") {
        ran.expect("within all limits");
    }
    assert_eq!(used(&later), [3_000, 3_000]);
    later.accepted(new_time_zone("UTC"));
    assert_eq!(used(&client), [3_500, 3_500], "the other server reads the same usage");
    check_audit(&store.0);
}

#[test]
fn an_audit_detects_changed_payments_and_a_repair_mends_them() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 100_000);
    let open =
        PaymentCommand::OpenTopUp { cents: 2_500, way: TopUpWay::Manual, allowed: TopUpBounds::WIDEST };
    client.accepted(Command::Payment(open));
    check_audit(&store.0);
    let valid = store.0.sql("SELECT data FROM payments");
    let bytes: usize = store.0.sql("SELECT length(data) FROM payments").parse().expect("a number");
    let flips = (0..bytes)
        .step_by(3)
        .map(|at| format!("UPDATE payments SET data = set_byte(data, {at}, get_byte(data, {at}) # 1)"));
    let deleted = "DELETE FROM payments".to_owned();
    for damage in flips.chain([deleted]) {
        store.0.sql(&damage);
        let found = audit(&store.0.url()).expect("the database can be read").disagreement;
        let found = found.unwrap_or_else(|| panic!("the audit passed after {damage}"));
        assert_eq!(found.workspace, Some(acme()), "{damage}: {}", found.what);
        postgres::repair(&store.0.url(), &acme()).expect("the journal is whole");
        check_audit(&store.0);
        assert_eq!(store.0.sql("SELECT data FROM payments"), valid, "{damage}");
    }
    // A row of a workspace whose journal has no payment.
    client.create_workspace(WorkspaceId::new("globex").expect("a name"));
    store.0.sql("INSERT INTO payments SELECT 'globex', data FROM payments");
    let found = audit(&store.0.url()).expect("the database can be read").disagreement;
    let globex = found.and_then(|found| found.workspace).expect("the row is of no entry");
    postgres::repair(&store.0.url(), &globex).expect("the journal is whole");
    check_audit(&store.0);
    assert_eq!(store.0.sql("SELECT workspace FROM payments"), "acme");
}

#[test]
fn an_audit_detects_a_changed_team() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let client = TestClient::with_credit(&store, 100_000);
    client.accepted(added("ann", Role::Admin));
    new_key(&client, "a key");
    check_audit(&store.0);
    let bytes: usize = store.0.sql("SELECT length(data) FROM team").parse().expect("a number");
    assert!(bytes > 60, "a member and a key take more than {bytes} bytes");
    let flips = (0..bytes).step_by(5).map(|at| {
        let flip = format!("UPDATE team SET data = set_byte(data, {at}, get_byte(data, {at}) # 1)");
        (flip.clone(), flip)
    });
    let valid = store.0.sql("SELECT data FROM team");
    let deleted = ("DELETE FROM team".to_owned(), format!("INSERT INTO team VALUES ('acme', '{valid}')"));
    for (damage, repair) in flips.chain([deleted]) {
        store.0.sql(&damage);
        let found = audit(&store.0.url()).expect("the database can be read").disagreement;
        let found = found.unwrap_or_else(|| panic!("the audit passed after {damage}"));
        assert_eq!(found.workspace, Some(acme()), "{damage}: {}", found.what);
        store.0.sql(&repair);
    }
    check_audit(&store.0);
    store.0.sql("INSERT INTO team SELECT 'nobody', data FROM team");
    let found = audit(&store.0.url())
        .expect("the database can be read")
        .disagreement
        .expect("a team without workspace");
    assert!(found.what.contains("account is missing"), "{}", found.what);
}

#[test]
fn a_team_that_has_not_changed_is_not_read_again() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let here = TestClient::with_credit(&store, 100_000);
    new_key(&here, "the first");
    let there = TestClient::open(&store, here.now);
    let first = here.team();
    assert!(Arc::ptr_eq(&first, &here.team()));
    new_key(&there, "the second");
    let second = here.team();
    assert_eq!((first.keys.len(), second.keys.len()), (1, 2));
    assert!(Arc::ptr_eq(&second, &here.team()));
}

#[test]
fn limits_are_set_beside_a_server_in_the_next_hour() {
    if is_missing() {
        return;
    }
    let store = InDatabase(shared().database(), Options::default());
    let mut here = TestClient::with_credit(&store, 100_000);
    here.charge("a", charge("message", 1));
    here.advance_clock(3_600);
    let there = TestClient::open(&store, here.now);
    // Its first charge of the hour moves the hour before, which the first server has in memory.
    there.charge("b", charge("message", 2));
    let limit = (Subject::Workspace, Period::Day, Micros::new(50_000));
    here.accepted(Command::SetLimits(vec![limit]));
    assert_eq!(used(&here), [1_500]);
    check_audit(&store.0);
}
