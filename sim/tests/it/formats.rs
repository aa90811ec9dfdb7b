//! Data of earlier releases: directories, databases and export streams open, replay, audit and
//! import unchanged.
//!
//! `sim/tests/formats` holds what a release has written, and beside each piece the answers of that
//! release (its README describes the files). Each test copies a piece, lets the current code read
//! it, and compares every answer and every hash. Only a new format adds a fixture; the old ones are
//! never written again.

use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use tollkeeper_engine::embedded::{self, Embedded};
use tollkeeper_engine::postgres::{self, Postgres};
use tollkeeper_engine::{
    AuditReport, ChargeFilter, Engine, Listing, Options, Output, Page, Reads, WorkspaceFilter,
};
use tollkeeper_ledger::{
    Charge, ChargeCommand, ChargeDetails, ChargeRequest, Command, Profile, Subject, Timestamp, WorkspaceId,
};
use tollkeeper_sim::contract::{acme, charge, submission};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{Database, is_missing, shared};
use tollkeeper_testkit::scratch::Scratch;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/2026_11").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).expect("the fixture exists")
}

/// The answers of the release that wrote a fixture, one fact a line.
struct Expected(String);

impl Expected {
    fn of(name: &str) -> Expected {
        Expected(fs::read_to_string(fixture(name)).expect("the fixture exists"))
    }

    /// The words of the one line that begins with `word`.
    fn line(&self, word: &str) -> Vec<&str> {
        let mut lines = self.0.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines.find(|words| words[0] == word).unwrap_or_else(|| panic!("no line {word}"))
    }

    /// The time of the last entry, at which the answers were given.
    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.line("at")[1].parse().expect("milliseconds"))
    }

    /// The lines that [`describe`] and [`audited`] compute; without the requests of [`live_on`].
    fn answers(&self) -> String {
        let is_answer =
            |line: &&str| !["at ", "replay ", "pending "].iter().any(|word| line.starts_with(word));
        self.0.lines().filter(is_answer).map(|line| format!("{line}\n")).collect()
    }
}

fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn all<T>(mut page: impl FnMut(Page) -> Listing<T>) -> Vec<T> {
    let listing = page(Page { limit: 1_000, cursor: None });
    assert!(listing.next.is_none(), "the fixtures are small");
    listing.data
}

/// The audit of a store as a line.
fn audited(report: AuditReport) -> String {
    assert_eq!(report.disagreement.map(|found| found.what), None);
    let totals = report.totals;
    format!(
        "audit entries {} workspaces {} available {} granted {} charged {} refunded {} clawed_back {}\n",
        report.entries,
        report.workspaces,
        report.available.get(),
        totals.granted.get(),
        totals.charged.get(),
        totals.refunded.get(),
        totals.clawed_back.get(),
    )
}

/// Every answer of an engine, in the words of the fixtures.
fn describe(engine: &dyn Engine, at: Timestamp) -> String {
    let mut text = String::new();
    for version in engine.platform().price_book.versions() {
        for operation in &version.operations {
            let (id, price) = (&operation.id, operation.unit_price.get());
            let timeout = or_dash(operation.timeout_seconds);
            writeln!(text, "price {} {id} {price} {timeout}", version.version).expect("a string");
        }
    }
    let filter = WorkspaceFilter::default;
    let mut listed = all(|page| block_on(engine.workspaces(filter(), page)).expect("the engine reads"));
    listed.sort_by(|one, other| one.profile.id.cmp(&other.profile.id));
    for record in listed {
        describe_workspace(engine, &record.profile, at, &mut text);
    }
    text
}

fn describe_workspace(engine: &dyn Engine, profile: &Profile, at: Timestamp, text: &mut String) {
    let Profile { id, timezone, suspended, created_at, name, .. } = profile;
    let state = if *suspended { "suspended" } else { "active" };
    writeln!(text, "workspace {id} {timezone} {state} {} {name}", created_at.millis()).expect("a string");
    let mut balance = |when: Option<Timestamp>| {
        let found = block_on(engine.balance(id, when)).expect("the engine reads").expect("it exists").balance;
        let when = when.map_or_else(|| "now".to_owned(), |when| when.millis().to_string());
        let (available, pending, debt) = (found.available.get(), found.pending.get(), found.debt.get());
        writeln!(text, "balance {id} {when} {available} {pending} {debt}").expect("a string");
    };
    balance(None);
    let page = |page| block_on(engine.entries(id, page)).expect("the engine reads").expect("it exists");
    let mut entries = all(page);
    entries.reverse();
    let mut times: Vec<Timestamp> = entries.iter().step_by(7).map(|record| record.entry.at).collect();
    times.dedup();
    times.into_iter().for_each(|time| balance(Some(time)));
    for record in entries {
        let (n, kind) = (record.entry.n, record.entry.body.kind().as_str());
        let hash: String = record.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "entry {id} {n} {kind} {} {hash}", record.entry.at.millis()).expect("a string");
    }
    describe_credit(engine, id, text);
    describe_team(engine, id, text);
    describe_limits(engine, id, at, text);
}

fn describe_credit(engine: &dyn Engine, id: &WorkspaceId, text: &mut String) {
    let page = |page| block_on(engine.charges(id, ChargeFilter::default(), page));
    for Charge { details, state, .. } in all(|p| page(p).expect("the engine reads").expect("it exists")) {
        let ChargeDetails { id: charge, spender, quantity, amount, .. } = &*details;
        let (status, outcome) =
            (state.status.as_str(), or_dash(state.outcome.map(|outcome| outcome.as_str())));
        let (refunded, deadline) = (state.refunded.get(), or_dash(state.deadline.map(Timestamp::millis)));
        let (operation, amount) = (&spender.operation, amount.get());
        writeln!(
            text,
            "charge {id} {charge} {operation} {quantity} {amount} {status} {outcome} {refunded} {deadline}"
        )
        .expect("a string");
    }
    let page = |page| block_on(engine.grants(id, page)).expect("the engine reads").expect("it exists");
    for record in all(page) {
        let (grant, source) = (record.grant.id, record.grant.source.as_str());
        let (amount, remaining) = (record.grant.amount.get(), record.grant.remaining.get());
        let reason = or_dash(record.reason);
        writeln!(text, "grant {id} {grant} {source} {amount} {remaining} {reason}").expect("a string");
    }
}

fn describe_team(engine: &dyn Engine, id: &WorkspaceId, text: &mut String) {
    let team = block_on(engine.team(id)).expect("the engine reads").expect("it exists");
    for member in team.members.iter().rev() {
        let (name, role) = (&member.id, member.role.as_str());
        let email = block_on(engine.personal_texts(id, vec![(name.clone(), member.email)]));
        let email = or_dash(email.expect("the engine reads").remove(0));
        writeln!(text, "member {id} {name} {role} {email}").expect("a string");
    }
    for key in team.keys.iter().rev() {
        let (member, worker) = (or_dash(key.member.as_ref()), or_dash(key.worker.as_ref()));
        let used = or_dash(key.last_used_at.map(Timestamp::millis));
        writeln!(text, "key {id} {} {} {member} {worker} {used}", key.id, key.name).expect("a string");
    }
}

fn describe_limits(engine: &dyn Engine, id: &WorkspaceId, at: Timestamp, text: &mut String) {
    let limits = block_on(engine.limits(id, at)).expect("the engine reads");
    let (limits, windows) = limits.expect("it exists");
    for limit in &limits.0 {
        let (kind, subject) = match &limit.subject {
            Subject::Workspace => ("workspace", "-".to_owned()),
            Subject::Member(member) => ("member", member.to_string()),
            Subject::Worker(worker) => ("worker", worker.to_string()),
            Subject::Operation(operation) => ("operation", operation.to_string()),
            Subject::ApiKey(key) => ("api_key", key.to_string()),
        };
        let (period, amount) = (limit.period.as_str(), limit.amount.get());
        let used = limit.used_in(&windows).get();
        writeln!(text, "limit {id} {kind} {subject} {period} {amount} {used}").expect("a string");
    }
}

/// The ledger continues: an old key gives its first answer, a pending charge times out at its
/// deadline.
fn live_on(engine: &dyn Engine, expected: &Expected) {
    let words = expected.line("replay");
    let (key, operation, quantity, id) = (words[2], words[3], words[4], words[5]);
    let charges = all(|page| {
        block_on(engine.charges(&acme(), ChargeFilter::default(), page))
            .expect("the engine reads")
            .expect("acme exists")
    });
    let details = charges.into_iter().map(|charge| charge.details);
    let details = details.into_iter().find(|details| details.id.to_string() == id).expect("it is listed");
    let request = ChargeRequest {
        worker: details.spender.worker.clone(),
        member: details.spender.member.clone(),
        reference: details.reference.clone(),
        metadata: details.metadata.clone(),
        ..charge(operation, quantity.parse().expect("a number"))
    };
    let again = submission(acme(), Some(key), Command::Charge(request));
    let answer = block_on(engine.run(again, expected.at())).expect("a healthy engine").expect("it was paid");
    let Output::Charge(replayed, _) = answer.output else { panic!("a charge is answered by a charge") };
    assert!(answer.replayed && replayed.details == details, "{replayed:?}");

    let pending = expected.line("pending")[2];
    assert_eq!(block_on(engine.due(expected.at(), 10)).expect("the engine reads"), []);
    let late = expected.at().plus_seconds(7 * 86_400);
    let due = block_on(engine.due(late, 10)).expect("the engine reads");
    assert_eq!(due.iter().map(|(_, charge)| charge.to_string()).collect::<Vec<_>>(), [pending]);
    let before = block_on(engine.balance(&acme(), None)).expect("the engine reads").expect("acme exists");
    let time_out = submission(acme(), None, ChargeCommand::TimeOut.for_charge(due[0].1));
    block_on(engine.run(time_out, late)).expect("a healthy engine").expect("its deadline has passed");
    let after = block_on(engine.balance(&acme(), None)).expect("the engine reads").expect("acme exists");
    assert_eq!(after.balance.available, before.balance.available + before.balance.pending);
}

/// A copy of a directory that a release has written.
fn directory(name: &str) -> Scratch {
    let scratch = Scratch::new();
    for file in fs::read_dir(fixture(name)).expect("the fixture exists").flatten() {
        fs::copy(file.path(), scratch.path().join(file.file_name())).expect("a temporary directory");
    }
    scratch
}

/// A directory that a release has written: its state file may be of an older version, which a
/// server builds again and a reader refuses.
fn check_old_directory(path: &Path, expected: &Expected) {
    let reader = Embedded::open_read_only(path).expect_err("its state file is of an older version");
    assert!(reader.is_unusable() && reader.to_string().contains("another version"), "{reader}");
    assert_eq!(
        embedded::audit(path).expect("the directory can be read").disagreement.map(|it| it.what),
        None
    );
    let engine = Embedded::open(path, Options::default()).expect("the directory opens");
    block_on(engine.close()).expect("a healthy disk");
    drop(engine);
    check_directory(path, expected);
}

fn check_directory(path: &Path, expected: &Expected) {
    let audit = || audited(embedded::audit(path).expect("the directory can be read"));
    let answers = |engine: &Embedded| audit() + &describe(engine, expected.at());
    let reader = Embedded::open_read_only(path).expect("the directory opens beside a server");
    assert_eq!(answers(&reader), expected.answers());
    drop(reader);
    let engine = Embedded::open(path, Options::default()).expect("the directory opens");
    assert_eq!(answers(&engine), expected.answers());
    live_on(&engine, expected);
    block_on(engine.close()).expect("a healthy disk");
    audit();
}

#[test]
fn a_directory_of_an_earlier_release_gives_the_same_answers() {
    let (scratch, expected) = (directory("directory/closed"), Expected::of("directory/closed.txt"));
    let mut stream = Vec::new();
    embedded::export(scratch.path(), &mut stream).expect("the directory can be read");
    assert!(stream == bytes("directory/ledger.export"), "the export stream has changed");
    check_old_directory(scratch.path(), &expected);
}

#[test]
fn a_directory_of_a_killed_process_is_recovered() {
    let (scratch, expected) = (directory("directory/killed"), Expected::of("directory/killed.txt"));
    check_old_directory(scratch.path(), &expected);
}

#[test]
fn an_export_of_an_earlier_release_is_imported_into_a_directory() {
    for (stream, answers) in [
        ("directory/ledger.export", "directory/closed.txt"),
        ("database/ledger.export", "database/expected.txt"),
    ] {
        let (scratch, expected) = (Scratch::new(), Expected::of(answers));
        let imported = embedded::import(scratch.path(), &bytes(stream)[..]).expect("an empty directory");
        assert_eq!(imported.written, imported.stream.entries);
        let mut again = Vec::new();
        embedded::export(scratch.path(), &mut again).expect("the directory can be read");
        assert!(again == bytes(stream), "{stream}: the export stream has changed");
        check_directory(scratch.path(), &expected);
    }
}

fn check_database(database: &Database, expected: &Expected) {
    let url = database.url();
    let audit = || audited(postgres::audit(&url).expect("the database can be read"));
    let open = || block_on(Postgres::open(&url, postgres::Options::default())).expect("the database opens");
    let engine = open();
    assert_eq!(audit() + &describe(&engine, expected.at()), expected.answers());
    live_on(&engine, expected);
    block_on(engine.close()).expect("a healthy database");
    audit();
}

#[test]
fn a_database_of_an_earlier_release_gives_the_same_answers() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let dump = fs::read_to_string(fixture("database/dump.sql")).expect("the fixture exists");
    database.load(&format!("SET ROLE tollkeeper;\n{dump}"));
    let mut stream = Vec::new();
    postgres::export(&database.url(), &mut stream).expect("the database can be read");
    assert!(stream == bytes("database/ledger.export"), "the export stream has changed");
    check_database(&database, &Expected::of("database/expected.txt"));
}

#[test]
fn an_export_of_an_earlier_release_is_imported_into_a_database() {
    if is_missing() {
        return;
    }
    for (stream, answers) in [
        ("directory/ledger.export", "directory/closed.txt"),
        ("database/ledger.export", "database/expected.txt"),
    ] {
        let database = shared().database();
        let imported = postgres::import(&database.url(), &bytes(stream)[..]).expect("an empty database");
        assert_eq!(imported.written, imported.stream.entries);
        check_database(&database, &Expected::of(answers));
    }
}
