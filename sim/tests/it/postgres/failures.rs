//! PostgreSQL or the network to it fails under load: nothing acknowledged is lost, nothing is
//! charged twice, and service continues without a restart of any server.
//!
//! Callers retry under the same key, on any server, until they get an answer. The journal must
//! contain what was acknowledged to them, once, and nothing else. While a fault lasts, each server
//! answers "unavailable" within a bounded time.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tollkeeper_engine::postgres::{Options, Postgres, audit};
use tollkeeper_engine::{CommandResult, Engine, Error, Output, Reads};
use tollkeeper_ledger::{ChargeCommand, Command, Micros, Submission};
use tollkeeper_sim::engines::retrying_client::RetryingClient;
use tollkeeper_sim::faults::bank::{self, NOW, PRICE, Tally, check_balances, check_journals, trade};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::cuttable_proxy::CuttableProxy;
use tollkeeper_testkit::postgres::{Cluster, Database, NO_CRASH, Pair, Stop, is_missing, shared, two_hosts};

const CALLERS: usize = 64;
const WORKSPACES: usize = 10;
/// The first grant of each workspace: enough for a part of the charges.
const EACH: Micros = Micros::new(100_000);

/// Options of a server that gives up soon.
fn short_timeout() -> Options {
    Options { retry_for_millis: Some(200), ..Options::default() }
}

fn serve(url: &str, options: Options) -> Arc<dyn Engine> {
    Arc::new(block_on(Postgres::open(url, options)).expect("the database opens"))
}

/// Several servers on one database, and a client of them all.
fn several(url: &str, servers: usize) -> (Vec<Arc<dyn Engine>>, Arc<RetryingClient>) {
    let servers: Vec<_> = (0..servers).map(|_| serve(url, Options::default())).collect();
    let client = Arc::new(RetryingClient::new(servers.clone()));
    bank::open(&*client, WORKSPACES, EACH);
    (servers, client)
}

/// Runs the callers while `fault` happens, and returns what was acknowledged to them.
fn trade_while(client: &Arc<RetryingClient>, turns: usize, fault: impl FnOnce()) -> Vec<Tally> {
    thread::scope(|scope| {
        let engine: Arc<dyn Engine> = client.clone();
        let trading = scope.spawn(move || trade(&engine, 7, (CALLERS, turns), WORKSPACES));
        client.wait_for_answers(200);
        fault();
        assert!(!trading.is_finished(), "the fault happens under load");
        trading.join().expect("the callers do not panic")
    })
}

/// Compares balances and journals with what was acknowledged.
fn check_all(servers: &[Arc<dyn Engine>], url: &str, tallies: &[Tally]) {
    for server in servers {
        check_balances(&**server, EACH, tallies);
    }
    check_journals(&*servers[0], tallies);
    assert!(tallies.iter().all(|tally| tally.accepted > 0), "{tallies:?}");
    check_audit(url);
}

/// Audits the database.
#[track_caller]
fn check_audit(url: &str) {
    let report = audit(url).expect("the database can be read");
    assert_eq!(report.disagreement.map(|found| found.what), None);
}

/// A charge of the first workspace under a key.
fn payment(key: &str) -> Submission {
    bank::ask(bank::workspace(0), Some(key.to_owned()), bank::charge(1, false))
}

fn pay(engine: &dyn Engine, key: &str) -> Result<CommandResult, Error> {
    block_on(engine.run(payment(key), NOW))
}

fn available(engine: &dyn Engine) -> i64 {
    let balance =
        block_on(engine.balance(&bank::workspace(0), None)).expect("the engine reads").expect("it exists");
    balance.balance.available.get()
}

#[track_caller]
fn assert_not_now(answer: Result<CommandResult, Error>) {
    let error = answer.expect_err("the database is not available");
    assert!(error.is_unavailable(), "{error}");
    assert!(!error.to_string().contains("tollkeeper@"), "the message hides the URL: {error}");
}

/// Repeats a charge that got "unavailable", twice: it is executed once.
#[track_caller]
fn assert_paid_once(engine: &dyn Engine, key: &str) {
    let first = pay(engine, key).expect("the database is back").expect("there is enough credit");
    let again = pay(engine, key).expect("the database is back").expect("there is enough credit");
    assert!(again.replayed);
    assert_eq!(first.output, again.output);
}

#[test]
fn two_servers_share_ten_workspaces() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let (servers, client) = several(&database.url(), 2);
    let engine: Arc<dyn Engine> = client.clone();
    let tallies = trade(&engine, 1, (CALLERS, 40), WORKSPACES);
    assert_eq!(client.counts().not_now, 0, "nothing failed");
    check_all(&servers, &database.url(), &tallies);
    assert!(tallies.iter().any(|tally| tally.refused > 0), "some were refused: {tallies:?}");
}

#[test]
fn two_servers_accept_exactly_the_charges_that_can_be_paid() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let (one, other) =
        (serve(&database.url(), Options::default()), serve(&database.url(), Options::default()));
    let both: Arc<dyn Engine> = Arc::new(RetryingClient::new(vec![one.clone(), other]));
    bank::open(&*both, 1, Micros::new(100 * PRICE.get()));
    assert_eq!(bank::race(&both, CALLERS), 100);
    assert_eq!(available(&*one), 0);
}

#[test]
fn a_server_dies_and_the_primary_fails_over_to_its_standby() {
    if is_missing() {
        return;
    }
    let pair = Pair::start(&[]);
    let database = pair.primary.database();
    let url = two_hosts((pair.primary.port(), pair.standby.port()), database.name());
    // The first server has proxies to both hosts. When they are severed, it can reach no database.
    let proxies = [CuttableProxy::to(pair.primary.port()), CuttableProxy::to(pair.standby.port())];
    let doomed = two_hosts((proxies[0].port(), proxies[1].port()), database.name());
    let (doomed, living) = (serve(&doomed, short_timeout()), serve(&url, Options::default()));
    let client = Arc::new(RetryingClient::new(vec![doomed, living.clone()]));
    bank::open(&*client, WORKSPACES, EACH);
    let tallies = trade_while(&client, 80, || {
        proxies.iter().for_each(CuttableProxy::sever);
        client.switch_to(vec![living.clone()]);
        client.wait_for_answers(200);
        pair.fail_over(Stop::Kill);
        client.wait_for_answers(200);
        // A server that starts now finds the new primary by the same URL.
        client.switch_to(vec![living.clone(), serve(&url, Options::default())]);
        client.wait_for_answers(200);
    });
    check_all(&[living], &url, &tallies);
}

#[test]
fn connections_are_cut_over_and_over() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let proxy = CuttableProxy::to(shared().port());
    let behind = format!("postgres://tollkeeper@127.0.0.1:{}/{}", proxy.port(), database.name());
    let (servers, client) = several(&behind, 2);
    let mut cut = 0;
    let tallies = trade_while(&client, 60, || {
        for round in 0..20 {
            if round % 2 == 0 {
                cut += proxy.cut();
            } else {
                cut += database.end_sessions();
            }
            client.wait_for_answers(20);
        }
    });
    assert!(cut > 20, "{cut} were cut");
    check_all(&servers, &database.url(), &tallies);
}

#[test]
fn the_database_server_restarts() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start(&[]);
    let database = cluster.database();
    let (servers, client) = several(&database.url(), 2);
    let tallies = trade_while(&client, 80, || {
        for how in [Stop::Fast, Stop::Immediate, Stop::Kill] {
            cluster.stop(how);
            cluster.restart();
            client.wait_for_answers(200);
        }
    });
    check_all(&servers, &database.url(), &tallies);
}

#[test]
fn a_stopped_database_is_unavailable_until_it_restarts() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start(NO_CRASH);
    let database = cluster.database();
    let timeout = Duration::from_secs(1);
    let server = serve(&database.url(), Options { retry_for_millis: Some(1_000), ..Options::default() });
    bank::open(&*server, 1, EACH);
    cluster.stop(Stop::Fast);
    let begun = Instant::now();
    assert_not_now(pay(&*server, "while it is down"));
    assert!(begun.elapsed() >= timeout, "the first attempt waits");
    let begun = Instant::now();
    assert_not_now(pay(&*server, "while it is down"));
    assert!(begun.elapsed() < timeout, "a known outage is answered at once");
    assert!(!server.stats().writable);
    let balance = block_on(server.balance(&bank::workspace(0), None));
    assert!(balance.expect_err("the database is stopped").is_unavailable());
    let late = block_on(Postgres::open(&database.url(), short_timeout()));
    assert!(late.expect_err("the database is stopped").is_unavailable());
    cluster.restart();
    assert_paid_once(&*server, "while it is down");
    assert!(server.stats().writable);
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    check_audit(&database.url());
}

#[test]
fn the_tables_are_locked_by_another_session() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = serve(&database.url(), short_timeout());
    bank::open(&*server, 1, EACH);
    let lock = database.open_transaction("LOCK TABLE account");
    assert_not_now(pay(&*server, "while it is locked"));
    drop(lock);
    assert_paid_once(&*server, "while it is locked");
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    check_audit(&database.url());
}

#[test]
fn a_locked_account_delays_its_own_workspace_only() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    // With one lane, all workspaces share batches.
    let lane = |retry_for_millis| Options { lanes: Some(1), retry_for_millis, ..Options::default() };
    let server = serve(&database.url(), lane(Some(600_000)));
    let short = serve(&database.url(), lane(Some(1)));
    bank::open(&*server, 2, EACH);
    let lock = format!(
        "DO 'BEGIN PERFORM 1 FROM account WHERE workspace = ''{}'' FOR UPDATE; END'",
        bank::workspace(0)
    );
    let lock = database.open_transaction(&lock);
    thread::scope(|scope| {
        let locked = scope.spawn(|| pay(&*server, "locked"));
        database.wait_for_lock();
        for place in 0..20 {
            let other = bank::ask(bank::workspace(1), Some(format!("free {place}")), bank::charge(1, false));
            block_on(server.run(other, NOW)).expect("its account is free").expect("there is enough credit");
        }
        assert!(!locked.is_finished(), "the locked workspace waits");
        assert_not_now(pay(&*short, "locked"));
        drop(lock);
        locked
            .join()
            .expect("the thread does not panic")
            .expect("the lock is gone")
            .expect("there is credit");
    });
    let again = pay(&*server, "locked").expect("the lock is gone").expect("there is enough credit");
    assert!(again.replayed);
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    check_audit(&database.url());
}

#[test]
fn a_batch_that_takes_too_long_is_run_in_parts() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = serve(&database.url(), Options { lanes: Some(1), ..Options::default() });
    bank::open(&*server, 3, Micros::new(10_000_000));
    // It stands in for a statement that takes longer than its timeout when it has much to do.
    database.sql(
        "SET ROLE tollkeeper;
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
             IF (SELECT count(*) FROM added) > 100 THEN
                 RAISE EXCEPTION ''too much'' USING ERRCODE = ''query_canceled'';
             END IF; RETURN NULL; END';
         CREATE TRIGGER slow AFTER INSERT ON entry REFERENCING NEW TABLE AS added
             FOR EACH STATEMENT EXECUTE FUNCTION slow()",
    );
    let payments = (0..900).map(|place| {
        bank::ask(bank::workspace(place % 3), Some(format!("part {place}")), bank::charge(1, false))
    });
    let answers = block_on(server.run_batch(payments.collect(), NOW)).expect("each part is quick");
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| !answer.replayed)));
    assert_eq!((answers.len(), available(&*server)), (900, 10_000_000 - 300 * PRICE.get()));
    check_audit(&database.url());
}

#[test]
fn no_connection_is_left() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = serve(&database.url(), short_timeout());
    bank::open(&*server, 1, EACH);
    let name = database.name();
    let limit = |connections: i32| format!("ALTER DATABASE {name} CONNECTION LIMIT {connections}");
    database.sql(&limit(0));
    database.end_sessions();
    assert_not_now(pay(&*server, "without a connection"));
    database.sql(&limit(-1));
    assert_paid_once(&*server, "without a connection");
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    check_audit(&database.url());
}

#[test]
fn the_disk_of_the_database_is_full() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start_on_small_disk(48, NO_CRASH);
    let database = cluster.database();
    let server = serve(&database.url(), short_timeout());
    bank::open(&*server, 1, Micros::new(1_000_000_000));
    database.fill_disk();
    let bulky = |key: String| {
        let mut submission = payment(&key);
        let Command::Charge(request) = &mut submission.command else { panic!("a payment is a charge") };
        request.metadata = Some(format!("{{\"padding\":\"{}\"}}", "x".repeat(3_000)).into());
        submission
    };
    let run = |round: usize| {
        let batch = (0..50).map(|place| bulky(format!("bulky {round} {place}"))).collect();
        block_on(server.run_batch(batch, NOW))
    };
    let full_at = (0..100).find(|round| match run(*round) {
        Ok(answers) => {
            assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| !answer.replayed)));
            false
        }
        Err(error) => {
            assert!(error.is_unavailable(), "{error}");
            true
        }
    });
    let full_at = full_at.expect("the disk gets full");
    let spent = |rounds: usize| 1_000_000_000 - rounds as i64 * 50 * PRICE.get();
    assert_eq!(available(&*server), spent(full_at), "reads work, and no batch is half written");
    database.free_disk();
    let answers = run(full_at).expect("the disk has space");
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(available(&*server), spent(full_at + 1));
    check_audit(&database.url());
}

#[test]
fn a_host_that_accepts_and_never_answers_is_skipped() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    // The system accepts connections for this listener, and no one reads them: a host that hangs.
    let silent = TcpListener::bind("127.0.0.1:0").expect("the system has a free port");
    let silent_port = silent.local_addr().expect("it is bound").port();
    let url = two_hosts((silent_port, shared().port()), database.name());
    let server = serve(&format!("{url}&connect_timeout=1"), Options::default());
    bank::open(&*server, 1, EACH);
    assert_paid_once(&*server, "beside a silent host");
}

#[test]
fn nothing_is_written_if_the_transaction_of_a_batch_does_not_begin() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let proxy = CuttableProxy::to(shared().port());
    let behind = format!("postgres://tollkeeper@127.0.0.1:{}/{}", proxy.port(), database.name());
    let server = serve(&behind, short_timeout());
    bank::open(&*server, 1, EACH);
    pay(&*server, "before").expect("the database is there").expect("there is enough credit");
    let before = available(&*server);
    // A charge that awaits its outcome writes to a third table, so it needs a transaction.
    let awaited = || {
        let charge = bank::charge(1, true);
        block_on(server.run(bank::ask(bank::workspace(0), Some("awaited".to_owned()), charge), NOW))
    };
    proxy.garble_next("BEGIN ISOLATION");
    awaited().expect_err("the database refuses BEGIN");
    assert!(proxy.has_garbled());
    assert_eq!(available(&*server), before, "no part of the batch is written");
    let answer = awaited().expect("the database is there").expect("there is enough credit");
    assert!(!answer.replayed);
    assert_eq!(available(&*server), before - PRICE.get());
    check_audit(&database.url());
}

/// Runs a command while the standby is frozen, and cancels each wait for it: the answer does not
/// come without the standby.
#[track_caller]
fn assert_waits_for_standby(server: &dyn Engine, database: &Database<'_>, command: &Submission) {
    let answer = thread::scope(|scope| {
        let running = scope.spawn(|| block_on(server.run(command.clone(), NOW)));
        // A cancelled wait for the standby ends the COMMIT with success and a warning.
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let mut cancelled = 0;
        while !running.is_finished() {
            cancelled += usize::from(database.sql(cancel) == "t");
        }
        assert!(cancelled > 0, "the COMMIT waited for the standby");
        running.join().expect("the thread does not panic")
    });
    assert_not_now(answer);
}

#[test]
fn an_answer_that_relies_on_an_entry_of_one_disk_alone_waits_for_the_standby() {
    if is_missing() {
        return;
    }
    let pair = Pair::start(&[]);
    let database = pair.primary.database();
    let url = pair.url(database.name());
    // A busy machine takes longer than `short_timeout` to commit, and then nothing waits.
    let second_long = || Options { retry_for_millis: Some(1_000), ..Options::default() };
    let server = serve(&url, second_long());
    bank::open(&*server, 1, EACH);
    let run = |server: &dyn Engine, command: &Submission| {
        block_on(server.run(command.clone(), NOW)).expect("the database is there")
    };
    let opened = bank::ask(bank::workspace(0), Some("open".to_owned()), bank::charge(1, true));
    let Output::Charge(charge, _) = run(&*server, &opened).expect("there is enough credit").output else {
        panic!("a charge answers with a charge");
    };
    let outcome = ChargeCommand::Succeed { quantity: None }.for_charge(charge.details.id);
    let outcome = bank::ask(bank::workspace(0), None, outcome);
    let too_much = bank::ask(bank::workspace(0), Some("too much".to_owned()), bank::charge(1_000, false));
    let servers: Vec<_> = (0..2).map(|_| serve(&url, second_long())).collect();
    pair.standby.freeze();
    assert_waits_for_standby(&*server, &database, &outcome);
    // A refusal acknowledges nothing.
    run(&*servers[0], &too_much).expect_err("there is less credit");
    // Another server reads the entry and would answer that there is nothing left to do.
    assert_waits_for_standby(&*servers[0], &database, &outcome);
    assert_waits_for_standby(&*servers[1], &database, &opened);
    pair.standby.thaw();
    for server in &servers {
        run(&**server, &outcome).expect("the charge has this outcome");
        assert!(run(&**server, &opened).expect("it was opened").replayed);
    }
    check_audit(&url);
}

#[test]
fn a_commit_that_did_not_wait_for_the_standby_is_not_acknowledged() {
    if is_missing() {
        return;
    }
    let pair = Pair::start(&[]);
    let database = pair.primary.database();
    let url = pair.url(database.name());
    let server = serve(&url, short_timeout());
    bank::open(&*server, 1, EACH);
    pair.standby.freeze();
    assert_waits_for_standby(&*server, &database, &payment("on one disk alone"));
    // The only copy of the commit is lost.
    pair.primary.stop(Stop::Kill);
    pair.standby.thaw();
    pair.promote();
    assert_paid_once(&*server, "on one disk alone");
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    check_audit(&url);
}
