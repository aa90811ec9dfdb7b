//! Export and import: an imported ledger is the same ledger.
//!
//! Keys replay, charges are found by their ids, deadlines stay, and the audits of both sides agree.
//! An interrupted import can be repeated. Two ledgers are never mixed.

use std::path::Path;

use tollkeeper_engine::embedded::{Embedded, audit, audit_with, export, import, import_with_options};
use tollkeeper_engine::transfer::{Imported, StreamEntry, StreamReader, StreamWriter};
use tollkeeper_engine::{AuditOptions, Engine, Options, Output, Page, Postgres, Reads, postgres};
use tollkeeper_ledger::{
    ChargeCommand, Command, Entry, EntryBody, GrantRequest, Micros, PaymentCommand, PaymentRefundCommand,
    Source, TopUp, TopUpBounds, TopUpWay, WorkspaceId,
};
use tollkeeper_sim::contract::{BEGINNING, acme, charge, credit, prices, submission};
use tollkeeper_sim::differential::{Differential, next_batch};
use tollkeeper_sim::engines::embedded::small;
use tollkeeper_sim::random::Random;
use tollkeeper_sim::workload::Workload;
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::scratch::Scratch;

use crate::postgres::divide_into_shards;

/// Steps before and after a transfer.
const STEPS: usize = 150;

/// Runs more steps of the workload on an engine and the model, and compares all stored state.
fn run_on(engine: &dyn Engine, diff: &mut Differential, workload: &mut Workload) {
    let until = diff.steps() + STEPS;
    while diff.steps() < until {
        let batch = next_batch(diff, workload, 7);
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let answers = block_on(engine.run_batch(submissions, now)).expect("a healthy engine");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran).unwrap_or_else(|difference| panic!("{difference}"));
        }
    }
    diff.compare_all(engine).unwrap_or_else(|difference| panic!("{difference}"));
}

fn run_in(directory: &Path, diff: &mut Differential, workload: &mut Workload) {
    let engine = Embedded::open(directory, Options::default()).expect("the store opens");
    run_on(&engine, diff, workload);
    block_on(engine.close()).expect("a healthy engine closes");
}

fn run_on_database(url: &str, diff: &mut Differential, workload: &mut Workload) {
    let engine = block_on(Postgres::open(url, postgres::Options::default())).expect("the store opens");
    run_on(&engine, diff, workload);
    block_on(engine.close()).expect("a healthy engine closes");
}

fn exported(directory: &Path) -> Vec<u8> {
    let mut stream = Vec::new();
    export(directory, &mut stream).expect("the store can be read");
    stream
}

/// The same stream sorted by workspace, as PostgreSQL exports it.
fn by_workspace(stream: &[u8]) -> Vec<u8> {
    let mut incoming = StreamReader::begin(stream).expect("an export stream");
    let mut journals: Vec<Vec<StreamEntry>> = Vec::new();
    while let Some(streamed) = incoming.next_entry().expect("the stream is whole") {
        match journals.iter_mut().find(|journal| journal[0].workspace == streamed.workspace) {
            Some(journal) => journal.push(streamed),
            None => journals.push(vec![streamed]),
        }
    }
    let mut outgoing = StreamWriter::begin(Vec::new()).expect("memory can be written");
    for streamed in journals.iter().flatten() {
        for text in &streamed.texts {
            outgoing.text(text).expect("memory can be written");
        }
        outgoing.entry(&streamed.workspace, &streamed.bytes).expect("memory can be written");
    }
    outgoing.end().expect("memory can be written").0
}

/// The stream with one balance raised by 1.
fn with_a_wrong_balance(stream: &[u8]) -> (u64, Vec<u8>) {
    forged(stream, |entry| {
        entry.balance.available += tollkeeper_ledger::Micros::new(1);
        entry.n == 4 && !entry.body.kind().is_for_platform()
    })
}

/// The stream with the first entry changed for which `change` returns true, and correct checksums;
/// and the number of the changed record.
fn forged(stream: &[u8], change: impl Fn(&mut Entry) -> bool) -> (u64, Vec<u8>) {
    let mut incoming = StreamReader::begin(stream).expect("an export stream");
    let mut outgoing = StreamWriter::begin(Vec::new()).expect("memory can be written");
    let mut forged = 0;
    while let Some(streamed) = incoming.next_entry().expect("the stream is whole") {
        for text in &streamed.texts {
            outgoing.text(text).expect("memory can be written");
        }
        let mut entry = streamed.entry;
        if forged == 0 {
            let original = entry.clone();
            match change(&mut entry) {
                true => forged = streamed.position.record,
                false => entry = original,
            }
        }
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        outgoing.entry(&streamed.workspace, &bytes).expect("memory can be written");
    }
    (forged, outgoing.end().expect("memory can be written").0)
}

/// The number of entries before a record. Texts about persons are records too.
fn entries_before(stream: &[u8], record: u64) -> u64 {
    let mut incoming = StreamReader::begin(stream).expect("an export stream");
    let mut before = 0;
    while let Some(streamed) = incoming.next_entry().expect("the stream is whole") {
        before += u64::from(streamed.position.record < record);
    }
    before
}

/// True if an entry says that an earlier one of its journal was made while a clock was ahead.
fn had_a_clock_ahead(directory: &Path) -> bool {
    let stream = exported(directory);
    let mut incoming = StreamReader::begin(&stream[..]).expect("an export stream");
    let mut entries = std::iter::from_fn(|| incoming.next_entry().expect("the stream is whole"));
    entries.any(|streamed| streamed.entry.decided_at < streamed.entry.at)
}

/// Audits both directories; both must pass with the same sums, and by the rules.
///
/// In a directory that took in one journal after the other, an audit finds the prices of an entry
/// by its time. So it may find the wrong ones where a clock was ahead.
fn audits_agree(one: &Path, other: &Path) {
    let sums = |directory| {
        let options = AuditOptions { rules: true, ..AuditOptions::default() };
        let report = audit_with(directory, None, options).expect("the store can be read");
        assert_eq!(report.disagreement.map(|found| found.what), None);
        let findings = report.rules.expect("the audit was asked for them").first;
        assert!(findings.is_empty() || had_a_clock_ahead(directory), "{findings:?}");
        let texts = (report.texts, report.texts_erased);
        (report.entries, report.workspaces, report.available, report.totals, texts)
    };
    assert_eq!(sums(one), sums(other));
}

#[test]
fn a_ledger_is_transferred_between_directories_and_back() {
    for seed in 0..8 {
        let (old, new) = (Scratch::new(), Scratch::new());
        let (mut diff, mut workload) = (Differential::new(seed), Workload::new(seed));
        run_in(old.path(), &mut diff, &mut workload);
        let stream = exported(old.path());
        let stream = if seed % 2 == 0 { by_workspace(&stream) } else { stream };
        let options = || small(&mut Random::new(seed), None);
        let import_new = |stream: &[u8]| import_with_options(new.path(), stream, options());

        // A truncated import, then the whole stream, then the whole stream again.
        let cut = import_new(&stream[..stream.len() * 2 / 3]).expect_err("the stream is truncated");
        assert!(cut.is_damaged() && cut.to_string().contains("cut off at byte"), "{cut}");
        let half = Embedded::open(new.path(), Options::default()).expect_err("the import is not finished");
        assert!(half.is_unusable() && half.to_string().contains("not finished"), "{half}");
        let Imported { stream: all, written } = import_new(&stream).expect("the import continues");
        assert!(written > 0 && written < all.entries, "{written} of {}", all.entries);
        assert_eq!(import_new(&stream).expect("everything is imported").written, 0);
        audits_agree(old.path(), new.path());

        run_in(new.path(), &mut diff, &mut workload);
        assert!(import_new(&stream).expect_err("the ledger has new entries").is_import_conflict());
        run_in(new.path(), &mut diff, &mut workload);
        let newer = exported(new.path());
        let back = import(old.path(), &newer[..]).expect("the old ledger is a prefix of the new one");
        assert!(back.written > 0 && back.written < back.stream.entries);
        audits_agree(old.path(), new.path());
        run_in(old.path(), &mut diff, &mut workload);
    }
}

#[test]
fn an_import_in_the_original_order_gives_the_same_stream() {
    let (old, new) = (Scratch::new(), Scratch::new());
    let (mut diff, mut workload) = (Differential::new(1), Workload::new(1));
    run_in(old.path(), &mut diff, &mut workload);
    let stream = exported(old.path());
    import(new.path(), &stream[..]).expect("an empty directory");
    assert_eq!(exported(new.path()), stream);
    assert_ne!(by_workspace(&stream), stream, "the two orders differ");
}

#[test]
fn two_ledgers_are_never_mixed() {
    let (one, other) = (Scratch::new(), Scratch::new());
    for (seed, directory) in [(1, one.path()), (2, other.path())] {
        run_in(directory, &mut Differential::new(seed), &mut Workload::new(seed));
    }
    let before = exported(one.path());
    let refused = import(one.path(), &exported(other.path())[..]).expect_err("another ledger is there");
    assert!(refused.is_import_conflict(), "{refused}");
    assert_eq!(exported(one.path()), before, "nothing was written");
}

#[test]
fn an_entry_that_contradicts_the_journal_is_refused_with_its_position() {
    let (old, new) = (Scratch::new(), Scratch::new());
    run_in(old.path(), &mut Differential::new(3), &mut Workload::new(3));
    let (forged, stream) = with_a_wrong_balance(&exported(old.path()));
    let refused = import(new.path(), &stream[..]).expect_err("the balance is wrong");
    let message = refused.to_string();
    assert!(refused.is_damaged() && message.starts_with(&format!("record {forged}, at byte ")), "{message}");
    assert!(message.contains("available: the journal says "), "{message}");
    assert_eq!(
        audit(new.path()).expect("the directory can be read").entries,
        entries_before(&stream, forged),
        "the entries before it are imported"
    );
}

#[test]
fn an_entry_that_contradicts_its_charge_is_refused() {
    let (old, new) = (Scratch::new(), Scratch::new());
    run_in(old.path(), &mut Differential::new(3), &mut Workload::new(3));
    let (forged, stream) = with_a_wrong_state(&exported(old.path()));
    let refused = import(new.path(), &stream[..]).expect_err("nothing was refunded");
    refuses_the_state(&refused, forged);
}

#[test]
fn a_database_refuses_an_entry_that_contradicts_its_charge() {
    if is_missing() {
        return;
    }
    let (old, database) = (Scratch::new(), shared().database());
    run_in(old.path(), &mut Differential::new(3), &mut Workload::new(3));
    let stream = exported(old.path());
    let (forged, with_a_wrong_state) = with_a_wrong_state(&stream);
    let refused =
        postgres::import(&database.url(), &with_a_wrong_state[..]).expect_err("nothing was refunded");
    refuses_the_state(&refused, forged);
    assert_eq!(
        database.sql("SELECT count(*) FROM entry"),
        entries_before(&stream, forged).to_string(),
        "the entries before it are imported"
    );

    // Its charge was opened by an earlier transaction now.
    let refused =
        postgres::import(&database.url(), &with_a_wrong_state[..]).expect_err("it is as wrong as before");
    refuses_the_state(&refused, forged);
    postgres::import(&database.url(), &stream[..]).expect("the true stream goes on where the other ended");
}

#[test]
fn a_gap_in_the_price_versions_is_refused_where_it_is() {
    let (old, new) = (Scratch::new(), Scratch::new());
    run_in(old.path(), &mut Differential::new(3), &mut Workload::new(3));
    let stream = exported(old.path());
    let (forged, with_a_gap) = forged(&stream, |entry| match &mut entry.body {
        EntryBody::PricesSet(prices) => {
            prices.version += 1;
            true
        }
        _ => false,
    });
    let refuses = |refused: &tollkeeper_engine::Error| {
        let message = refused.to_string();
        assert!(refused.is_damaged(), "{message}");
        assert!(message.starts_with(&format!("record {forged}, at byte ")), "{message}");
        assert!(message.contains("a price version is not numbered by the one before it"), "{message}");
    };
    refuses(&import(new.path(), &with_a_gap[..]).expect_err("there is no version before it"));
    if is_missing() {
        return;
    }
    let database = shared().database();
    refuses(&postgres::import(&database.url(), &with_a_gap[..]).expect_err("no version is before it"));
    assert_eq!(database.sql("SELECT count(*) FROM entry"), (forged - 1).to_string());
    postgres::import(&database.url(), &stream[..]).expect("the true stream goes on where the other ended");
}

/// A stream in which the state of a settled charge is wrong, and the number of that record. The
/// sums of the account stay right: only the state of the charge shows that it is wrong.
fn with_a_wrong_state(stream: &[u8]) -> (u64, Vec<u8>) {
    let (forged, stream) = forged(stream, |entry| match &mut entry.body {
        EntryBody::ChargeSettled(settlement) => {
            settlement.state.refunded += tollkeeper_ledger::Micros::new(1);
            true
        }
        _ => false,
    });
    assert!(forged > 0, "the workload settles a charge");
    (forged, stream)
}

fn refuses_the_state(refused: &tollkeeper_engine::Error, forged: u64) {
    let message = refused.to_string();
    assert!(refused.is_damaged() && message.starts_with(&format!("record {forged}, at byte ")), "{message}");
    assert!(message.contains("i05: the refunds of a charge do not add up"), "{message}");
}

#[test]
fn a_ledger_is_transferred_to_a_database_and_back() {
    if is_missing() {
        return;
    }
    for seed in 10..14 {
        let (old, new, database) = (Scratch::new(), Scratch::new(), shared().database());
        let (mut diff, mut workload) = (Differential::new(seed), Workload::new(seed));
        run_in(old.path(), &mut diff, &mut workload);
        let stream = exported(old.path());
        let stream = if seed % 2 == 0 { by_workspace(&stream) } else { stream };

        if seed >= 12 {
            divide_into_shards(&database);
        }
        // A truncated import, then the whole stream, then the whole stream again.
        let url = database.url();
        let cut =
            postgres::import(&url, &stream[..stream.len() * 2 / 3]).expect_err("the stream is truncated");
        assert!(cut.is_damaged() && cut.to_string().contains("cut off at byte"), "{cut}");
        let half = block_on(Postgres::open(&url, postgres::Options::default()))
            .expect_err("the import is not finished");
        assert!(half.is_unusable() && half.to_string().contains("not finished"), "{half}");
        let Imported { stream: all, written } =
            postgres::import(&url, &stream[..]).expect("the import continues");
        assert!(written > 0 && written < all.entries, "{written} of {}", all.entries);
        assert_eq!(postgres::import(&url, &stream[..]).expect("everything is imported").written, 0);

        run_on_database(&url, &mut diff, &mut workload);
        assert!(
            postgres::import(&url, &stream[..]).expect_err("the ledger has new entries").is_import_conflict()
        );
        let mut newer = Vec::new();
        let counts = postgres::export(&url, &mut newer).expect("the store can be read");
        let imported = import(new.path(), &newer[..]).expect("an empty directory");
        assert_eq!((imported.stream, imported.written), (counts, counts.entries));
        let back = import(old.path(), &newer[..]).expect("the old ledger is a prefix of the new one");
        assert!(back.written > 0 && back.written < back.stream.entries);
        audits_agree(old.path(), new.path());
        run_in(new.path(), &mut diff, &mut workload);

        // The newest stream, in the original order, extends what the database has.
        let newest = exported(new.path());
        assert!(postgres::import(&url, &newest[..]).expect("the import continues").written > 0);
        run_on_database(&url, &mut diff, &mut workload);
    }
}

#[test]
fn a_spent_grant_that_many_entries_of_an_import_name_takes_all_that_they_do_to_it() {
    if is_missing() {
        return;
    }
    let (directory, database) = (Scratch::new(), shared().database());
    let engine = || Embedded::open(directory.path(), Options::default()).expect("the store opens");
    let run = |engine: &Embedded, key: &str, command: Command| {
        let workspace = if command.is_for_platform() { WorkspaceId::platform() } else { acme() };
        let ran = block_on(engine.run(submission(workspace, Some(key), command), BEGINNING));
        ran.expect("a healthy engine").expect("it is accepted").output
    };
    let first = engine();
    run(&first, "prices", prices(&[("message", 500)]));
    run(&first, "create", Command::CreateWorkspace(Default::default()));
    let Output::Grant(granted, _) =
        run(&first, "grant", Command::Grant(credit("g", Source::Promotional, 500)))
    else {
        panic!("a grant is answered by a grant");
    };
    let Output::Charge(spent, _) = run(&first, "spend", Command::Charge(charge("message", 1))) else {
        panic!("a charge is answered by a charge");
    };
    block_on(first.close()).expect("a healthy disk");
    drop(first);
    postgres::import(&database.url(), &exported(directory.path())[..]).expect("an empty database");

    // Two refunds and a void name the grant, which is spent in the database.
    let then = engine();
    for key in ["one", "two"] {
        let refund = ChargeCommand::Refund { amount: Some(Micros::new(100)), reason: "courtesy".into() };
        run(&then, key, refund.for_charge(spent.details.id));
    }
    run(&then, "void", Command::VoidGrant { grant: granted.grant.id, reason: None });
    block_on(then.close()).expect("a healthy disk");
    drop(then);
    postgres::import(&database.url(), &exported(directory.path())[..]).expect("it continues");
    let report = postgres::audit(&database.url()).expect("the database can be read");
    assert_eq!(report.disagreement.map(|found| found.what), None);
    let imported = block_on(Postgres::open(&database.url(), postgres::Options::default()));
    let imported = imported.expect("the import is finished");
    let page = Page { limit: 10, cursor: None };
    let grants = block_on(imported.grants(&acme(), page)).expect("the engine reads").expect("it exists");
    assert_eq!(grants.data[0].grant.voided_at, Some(BEGINNING));
    block_on(imported.close()).expect("a healthy database");
}

/// A ledger in which two payments of 50 cents were spent before an export, and are lost after it:
/// one of a grant, the other of a top-up that the workspace keeps. Returns both exports.
fn with_losses_of_spent_grants(directory: &Path) -> [Vec<u8>; 2] {
    let engine = || Embedded::open(directory, Options::default()).expect("the store opens");
    let run = |engine: &Embedded, key: Option<&str>, command: Command| {
        let workspace = if command.is_for_platform() { WorkspaceId::platform() } else { acme() };
        let ran = block_on(engine.run(submission(workspace, key, command), BEGINNING));
        ran.expect("a healthy engine").expect("it is accepted").output
    };
    let first = engine();
    run(&first, Some("prices"), prices(&[("message", 1_000)]));
    run(&first, Some("create"), Command::CreateWorkspace(Default::default()));
    let paid = GrantRequest { paid_cents: 50, ..credit("g", Source::TopUp, 50_000) };
    let Output::Grant(granted, _) = run(&first, None, Command::Grant(paid)) else {
        panic!("a grant is answered by a grant");
    };
    let (way, allowed) = (TopUpWay::Manual, TopUpBounds::WIDEST);
    let open = Command::Payment(PaymentCommand::OpenTopUp { cents: 50, way, allowed });
    let Output::TopUp(top_up) = run(&first, Some("top-up"), open) else {
        panic!("a top-up is answered by a top-up");
    };
    run(&first, None, Command::Payment(PaymentCommand::ConfirmTopUp(top_up.id)));
    run(&first, Some("spend"), Command::Charge(charge("message", 100)));
    block_on(first.close()).expect("a healthy disk");
    drop(first);
    let before = exported(directory);

    let then = engine();
    let loss = PaymentRefundCommand::ReportLoss {
        payment: TopUp::manual_payment(top_up.id).into(),
        elsewhere_cents: 10,
        disputed_cents: 10,
        evidence: "dp_1".into(),
    };
    run(&then, None, Command::Payment(PaymentCommand::Refund(loss)));
    let (grant, evidence) = (granted.grant.id, "dp_2".into());
    run(&then, None, Command::SetLost { grant, lost_cents: 20, evidence });
    block_on(then.close()).expect("a healthy disk");
    drop(then);
    [before, exported(directory)]
}

/// The stream in which more credit is lost of the spent grant than its share.
fn with_a_wrong_loss(stream: &[u8]) -> (u64, Vec<u8>) {
    forged(stream, |entry| match &mut entry.body {
        EntryBody::ClawBackIncreased { lost, owed, .. } if lost.lost_cents == 20 => {
            let more = Micros::new(1_000);
            lost.credit += more;
            *owed += more;
            entry.balance.debt += more;
            true
        }
        _ => false,
    })
}

#[test]
fn a_loss_of_a_spent_grant_is_imported_and_compared_with_it() {
    let (old, new, other) = (Scratch::new(), Scratch::new(), Scratch::new());
    let [before, after] = with_losses_of_spent_grants(old.path());
    let (forged, wrong) = with_a_wrong_loss(&after);
    for directory in [new.path(), other.path()] {
        import(directory, &before[..]).expect("an empty directory");
    }
    assert_eq!(import(new.path(), &after[..]).expect("it continues").written, 3);
    audits_agree(old.path(), new.path());
    assert_eq!(exported(new.path()), after);
    let refused = import(other.path(), &wrong[..]).expect_err("more is lost than its share");
    refuses_the_loss(&refused, forged);
}

#[test]
fn a_database_compares_a_loss_with_its_spent_grant() {
    if is_missing() {
        return;
    }
    let (old, database, other) = (Scratch::new(), shared().database(), shared().database());
    let [before, after] = with_losses_of_spent_grants(old.path());
    let (forged, wrong) = with_a_wrong_loss(&after);
    for database in [&database, &other] {
        postgres::import(&database.url(), &before[..]).expect("an empty database");
    }
    assert_eq!(postgres::import(&database.url(), &after[..]).expect("it continues").written, 3);
    let report = postgres::audit(&database.url()).expect("the database can be read");
    assert_eq!(report.disagreement.map(|found| found.what), None);
    let refused = postgres::import(&other.url(), &wrong[..]).expect_err("more is lost than its share");
    refuses_the_loss(&refused, forged);
}

fn refuses_the_loss(refused: &tollkeeper_engine::Error, forged: u64) {
    let message = refused.to_string();
    assert!(refused.is_damaged() && message.starts_with(&format!("record {forged}, at byte ")), "{message}");
    assert!(message.contains("i13: the credit of a lost part is not its share"), "{message}");
}

#[test]
fn a_database_refuses_another_ledger_and_a_wrong_entry() {
    if is_missing() {
        return;
    }
    let (one, other, database) = (Scratch::new(), Scratch::new(), shared().database());
    for (seed, directory) in [(1, one.path()), (2, other.path())] {
        run_in(directory, &mut Differential::new(seed), &mut Workload::new(seed));
    }
    let url = database.url();
    postgres::import(&url, &exported(one.path())[..]).expect("an empty database");
    let count = || database.sql("SELECT count(*) FROM entry");
    let before = count();
    let refused = postgres::import(&url, &exported(other.path())[..]).expect_err("another ledger is there");
    assert!(refused.is_import_conflict(), "{refused}");
    assert_eq!(count(), before, "nothing was written");

    let (forged, stream) = with_a_wrong_balance(&exported(other.path()));
    let empty = shared().database();
    let refused = postgres::import(&empty.url(), &stream[..]).expect_err("the balance is wrong");
    let message = refused.to_string();
    assert!(refused.is_damaged() && message.starts_with(&format!("record {forged}, at byte ")), "{message}");
    assert_eq!(
        empty.sql("SELECT count(*) FROM entry"),
        entries_before(&stream, forged).to_string(),
        "the entries before it are imported"
    );
}

#[test]
fn distribution_names_a_missing_extension_and_can_be_repeated() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let url = database.url();
    assert_eq!(postgres::migrate(&url).expect("an empty database"), 17);
    let refused = postgres::distribute(&url, None).expect_err("a plain PostgreSQL");
    assert!(refused.is_unusable() && refused.to_string().contains("citus is not installed"), "{refused}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("shared_preload_libraries")), "{refused:?}");

    // A stand-in for Citus that records the calls of its functions.
    database.sql(
        "CREATE TABLE pg_dist_partition (logicalrelid regclass, by text, beside text, shards int);
         CREATE TABLE pg_dist_node (isactive bool, shouldhaveshards bool, noderole text);
         GRANT ALL ON pg_dist_partition, pg_dist_node TO tollkeeper;
         CREATE FUNCTION create_distributed_table(regclass, text, colocate_with text, shard_count int DEFAULT NULL)
             RETURNS void LANGUAGE sql AS 'INSERT INTO pg_dist_partition VALUES ($1, $2, $3, $4)';
         CREATE FUNCTION create_reference_table(regclass) RETURNS void LANGUAGE sql
             AS 'INSERT INTO pg_dist_partition VALUES ($1)'",
    );
    let refused = postgres::distribute(&url, None).expect_err("a cluster without workers");
    assert!(refused.hint().is_some_and(|hint| hint.contains("citus_add_node")), "{refused:?}");
    database.sql("INSERT INTO pg_dist_node VALUES (true, true, 'primary'), (true, true, 'primary')");
    let done = postgres::distribute(&url, None).expect("the stand-in accepts it");
    assert_eq!(database.sql("SELECT shards FROM pg_dist_partition WHERE beside = 'none'"), "4");
    let by_workspace = [
        "entry",
        "account",
        "team",
        "payments",
        "usage",
        "closed_until",
        "closed_day",
        "lot",
        "pending",
        "moved",
        "personal",
        "search",
        "search_word",
        "unsent",
        "owed",
    ];
    assert_eq!(done, [&by_workspace[..], &["platform", "migration", "subscriber"]].concat());
    assert_eq!(postgres::distribute(&url, None).expect("everything is distributed"), [""; 0]);
    let by_workspace = database
        .sql("SELECT count(*) FROM pg_dist_partition WHERE by = 'workspace' AND beside IN ('none', 'entry')");
    assert_eq!(by_workspace, "15");
    let tables = database.sql(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN
         (SELECT logicalrelid::text FROM pg_dist_partition) AND tablename NOT LIKE 'pg_dist_%'",
    );
    assert_eq!(tables, "0", "every table is distributed");
    let immovable = database.sql(
        "SELECT relname FROM pg_class AS c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
         AND relname NOT LIKE 'pg_dist_%' AND relreplident <> 'f'
         AND NOT EXISTS (SELECT 1 FROM pg_index WHERE indrelid = c.oid AND indisprimary)",
    );
    assert_eq!(immovable, "", "the rows of every table have an identity, so its shards can be moved");
}
