//! Clauses about operators: a session lets them act, and what they do names them and their reason.

use tollkeeper_engine::{Page, Reads};
use tollkeeper_ledger::{Actor, Command, OperatorAct, OperatorCommand, OperatorId, Source, WorkspaceId};
use tollkeeper_testkit::blocking::block_on;

use super::Store;
use super::test_client::{BEGINNING, TestClient, acme, credit, submission};

fn olga() -> OperatorId {
    OperatorId::new("olga").expect("a name")
}

fn sign_in(secret: u8) -> Command {
    let valid_for_seconds = 3_600;
    Command::Operator(OperatorCommand::SignIn { operator: olga(), session: [secret; 32], valid_for_seconds })
}

fn act(reason: &str) -> Actor {
    Actor::Operator(Box::new(OperatorAct { operator: olga(), reason: reason.into() }))
}

fn gift(client: &TestClient) -> Result<(), &'static str> {
    let command = Command::Grant(credit("gift", Source::Promotional, 500));
    let answer = client.submit_as(act("The outage of Monday"), command);
    answer.map(|_| ()).map_err(|refusal| refusal.code())
}

pub(super) fn an_operator_acts_within_a_session(store: &dyn Store) {
    let mut client = TestClient::with_credit(store, 1_000);
    assert_eq!(gift(&client), Err("unauthenticated"));
    client.accepted_by_platform(sign_in(1));
    assert_eq!(gift(&client), Ok(()));
    client = client.restarted(store);
    assert_eq!(gift(&client), Ok(()), "sessions are stored");
    let page = Page { limit: 1, cursor: None };
    let entries = block_on(client.engine.entries(&acme(), page)).expect("the engine reads");
    let newest = &entries.expect("the workspace exists").data[0].entry;
    assert_eq!(newest.actor, act("The outage of Monday"), "the journal names who acted, and why");
    let renamed = Command::UpdateWorkspace(tollkeeper_ledger::WorkspaceChanges {
        name: Some("Other".into()),
        ..Default::default()
    });
    let refused = client.submit_as(act("A wish"), renamed).expect_err("the console does not rename");
    assert_eq!(refused.code(), "forbidden");
    client.advance_clock(3_600);
    assert_eq!(gift(&client), Err("unauthenticated"), "it has expired");
}

pub(super) fn a_session_of_an_operator_is_found_and_ended(store: &dyn Store) {
    let client = TestClient::open(store, BEGINNING);
    for secret in [1, 2, 3] {
        client.accepted_by_platform(sign_in(secret));
    }
    let find = |client: &TestClient, secret: u8| {
        client.engine.platform().operators.find(&[secret; 32], BEGINNING).map(|session| session.id)
    };
    let current = block_on(client.engine.current_platform()).expect("the engine reads");
    assert_eq!(current, client.engine.platform());
    let second = find(&client, 2).expect("it is valid");
    client.accepted_by_platform(Command::Operator(OperatorCommand::SignOut(Some(second))));
    let client = client.restarted(store);
    assert_eq!([1, 2, 3].map(|secret| find(&client, secret).is_some()), [true, false, true]);
    let all = Command::Operator(OperatorCommand::SignOut(None));
    let batch = vec![
        submission(WorkspaceId::platform(), None, sign_in(4)),
        submission(WorkspaceId::platform(), None, all),
        submission(WorkspaceId::platform(), None, sign_in(5)),
    ];
    assert_eq!(client.codes(batch), ["yes", "yes", "yes"]);
    assert_eq!([1, 3, 4, 5].map(|secret| find(&client, secret).is_some()), [false, false, false, true]);
}
