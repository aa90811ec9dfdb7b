//! Texts about persons beside the journal: an erasure survives a crash, and an audit names a text
//! that is damaged, missing, there although it was erased, or gone although it was not.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tollkeeper_engine::embedded::{Core, CoreOptions, audit};
use tollkeeper_engine::{AuditReport, DisagreementKind, personal_text, postgres};
use tollkeeper_ledger::{
    Actor, Command, MemberChanges, MemberId, MemberRequest, Role, Submission, TeamCommand, Timestamp,
    WorkspaceChanges,
};
use tollkeeper_sim::contract::{TestClient, acme};
use tollkeeper_sim::engines::postgres::InDatabase;
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::scratch::Scratch;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const NAME: &str = "Somebody Unmistakable";

fn member(id: &str) -> MemberId {
    MemberId::new(id).expect("a name")
}

fn added(id: &str, name: &str, salt: u8) -> Command {
    let (email, name) = (personal_text(id, [salt; 32]), personal_text(name, [salt + 1; 32]));
    let request = MemberRequest { id: member(id), email, name, role: Role::Admin };
    Command::Team(TeamCommand::AddMember(Box::new(request)))
}

fn erased(id: &str) -> Command {
    Command::Team(TeamCommand::EraseMember(member(id)))
}

fn run(core: &mut Core, command: Command) {
    let submission = Submission { workspace: acme(), key: None, actor: Actor::Platform, command };
    core.run_batch(vec![submission], NOW).expect("a healthy disk").remove(0).expect("it is accepted");
}

/// Copies all files, as a crash would leave them.
fn copy_all(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("the directory can be read") {
        let file = file.expect("the directory can be read");
        fs::copy(file.path(), to.join(file.file_name())).expect("the file can be copied");
    }
}

/// The files that contain the name.
fn files_with_the_name(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).expect("the directory can be read");
    let files = files.map(|file| file.expect("the directory can be read").path());
    let has_it = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).expect("the file can be read");
        bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes())
    };
    files.filter(has_it).map(|path| path.display().to_string()).collect()
}

#[test]
fn an_erasure_that_a_crash_interrupts_is_finished_by_the_next_start() {
    let (scratch, image) = (Scratch::new(), Scratch::new());
    let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("a directory of its own opens");
    run(&mut core, Command::CreateWorkspace(WorkspaceChanges::default()));
    // Many rows, so that the table has several pages.
    for n in 0..200_u8 {
        run(&mut core, added(&format!("member-{n}"), "Somebody Else", n));
    }
    run(&mut core, added("ada", NAME, 210));
    assert!(!files_with_the_name(scratch.path()).is_empty(), "the search finds it before");
    run(&mut core, erased("ada"));
    copy_all(scratch.path(), image.path());
    assert!(!files_with_the_name(image.path()).is_empty(), "the crash comes before the WAL is emptied");

    let mut restarted = Core::open(image.path(), CoreOptions::default()).expect("it recovers");
    restarted.maintain().expect("a healthy disk");
    assert_eq!(files_with_the_name(image.path()), Vec::<String>::new(), "while it runs");
    core.maintain().expect("a healthy disk");
    assert_eq!(files_with_the_name(scratch.path()), Vec::<String>::new(), "without a crash");
    run(&mut restarted, added("eve", "Eve", 220));
    restarted.checkpoint_all().expect("a healthy disk");
    drop(restarted);
    assert_eq!(finding(audit(image.path()).expect("it can be read")), None);
}

fn finding(report: AuditReport) -> Option<String> {
    let found = report.disagreement?;
    assert_eq!(found.kind, DisagreementKind::Text, "{}", found.what);
    Some(found.what)
}

/// Adds a member, erases it, and gives it a new name, which is there.
fn erase_and_name_again(mut run: impl FnMut(Command)) {
    let name = Some(personal_text("Zoe", [7; 32]));
    let named = MemberChanges { name, ..MemberChanges::default() };
    run(added("zoe", "Zoe", 5));
    run(erased("zoe"));
    run(Command::Team(TeamCommand::ChangeMember(member("zoe"), Box::new(named))));
}

/// What an audit must name: a change of the rows, and a part of the message.
const CHANGES: [(&str, &str); 4] = [
    ("UPDATE personal SET member = 'bob' WHERE member = 'ada'", "a text of member ada is missing"),
    ("DELETE FROM personal WHERE member = 'eve'", "a text of member eve is missing"),
    ("UPDATE personal SET member = 'eve2' WHERE member = 'eve'", "a text of member eve is missing"),
    ("", ""),
];

#[test]
fn an_audit_of_a_directory_names_a_wrong_text() {
    let wrong = "is not the one that the entry names";
    let own = [
        ("UPDATE personal SET data = CAST(data || x'41' AS BLOB) WHERE member = 'ada'", wrong),
        ("UPDATE personal SET data = zeroblob(40) WHERE member = 'ada'", wrong),
        ("UPDATE personal SET kept = 1, data = zeroblob(40) WHERE member = 'eve'", wrong),
        (
            "UPDATE personal SET kept = 0, data = zeroblob(length(data)) WHERE member = 'ada'",
            "a text of member ada is gone, and no entry erased it",
        ),
        ("UPDATE personal SET kept = 0, data = x'' WHERE member = 'zoe'", "a text of member zoe is gone"),
        (
            "INSERT INTO personal SELECT 1, account, 'kim', digest, kept, data FROM personal WHERE member = 'ada' LIMIT 1",
            "that no entry names",
        ),
    ];
    for (change, what) in CHANGES.into_iter().chain(own) {
        let scratch = Scratch::new();
        let mut core = Core::open(scratch.path(), CoreOptions::default()).expect("it opens");
        run(&mut core, Command::CreateWorkspace(WorkspaceChanges::default()));
        run(&mut core, added("ada", "Ada", 1));
        run(&mut core, added("eve", "Eve", 3));
        run(&mut core, erased("eve"));
        erase_and_name_again(|command| run(&mut core, command));
        core.checkpoint_all().expect("a healthy disk");
        drop(core);
        let journal = Connection::open(scratch.path().join("journal.db")).expect("the file opens");
        journal.execute_batch(change).expect("the rows can be changed");
        drop(journal);
        let found = finding(audit(scratch.path()).expect("it can be read"));
        let is_named = found.as_ref().is_some_and(|found| found.contains(what));
        assert!(is_named || (what.is_empty() && found.is_none()), "{change}: {found:?}");
    }
}

#[test]
fn an_audit_of_a_database_names_a_wrong_text() {
    if is_missing() {
        return;
    }
    let wrong = "is not the one that the entry names";
    let own = [
        ("UPDATE personal SET text = text || '\\x41' WHERE member = 'ada'", wrong),
        ("UPDATE personal SET n = n + 1 WHERE member = 'ada'", wrong),
        ("UPDATE personal SET text = '\\x41', salt = '\\x42' WHERE member = 'eve'", wrong),
        (
            "UPDATE personal SET text = NULL, salt = NULL WHERE member = 'ada'",
            "a text of member ada is gone, and no entry erased it",
        ),
        ("UPDATE personal SET text = NULL, salt = NULL WHERE member = 'zoe'", "a text of member zoe is gone"),
        (
            "INSERT INTO personal SELECT workspace, 'kim', digest, n, salt, text FROM personal",
            "that no entry names",
        ),
    ];
    for (change, what) in CHANGES.into_iter().chain(own) {
        let store = InDatabase(shared().database(), postgres::Options::default());
        let client = TestClient::with_credit(&store, 1_000);
        for command in [added("ada", "Ada", 1), added("eve", "Eve", 3), erased("eve")] {
            client.accepted(command);
        }
        erase_and_name_again(|command| _ = client.accepted(command));
        drop(client);
        store.0.sql(change);
        let found = finding(postgres::audit(&store.0.url()).expect("it can be read"));
        let is_named = found.as_ref().is_some_and(|found| found.contains(what));
        assert!(is_named || (what.is_empty() && found.is_none()), "{change}: {found:?}");
    }
}
