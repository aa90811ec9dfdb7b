//! PostgreSQL and the way to it fail in the middle of the load: nothing acknowledged is lost, nothing is charged twice, and
//! service goes on without a restart of any server.
//!
//! Callers ask again under the same key until they are answered, of whichever server answers; what was acknowledged to
//! them has to be in the journal, once, and nothing else. Where the fault lasts, each server says "not now" in bounded
//! time instead of keeping its callers waiting.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tollkeeper_engine::postgres::{Options, Postgres, audit};
use tollkeeper_engine::{CommandResult, Engine, Error, Reads};
use tollkeeper_ledger::{Command, Micros, Submission};
use tollkeeper_sim::engines::retrying_client::RetryingClient;
use tollkeeper_sim::faults::bank::{self, NOW, PRICE, Tally, check_balances, check_journals, trade};
use tollkeeper_testkit::blocking::block_on;
use tollkeeper_testkit::cuttable_proxy::CuttableProxy;
use tollkeeper_testkit::postgres::{Cluster, NO_CRASH, Pair, Stop, is_missing, shared, two_hosts};

const CALLERS: usize = 64;
const WORKSPACES: usize = 10;
/// What each workspace has at the beginning: enough for a part of what is client.
const EACH: Micros = Micros::new(100_000);

/// Options of a server that soon says "not now".
fn impatient() -> Options {
    Options { retry_for_millis: Some(200), ..Options::default() }
}

fn serve(url: &str, options: Options) -> Arc<dyn Engine> {
    Arc::new(block_on(Postgres::open(url, options)).expect("the database can be used"))
}

/// So many servers at one address, and those who ask them.
fn several(url: &str, servers: usize) -> (Vec<Arc<dyn Engine>>, Arc<RetryingClient>) {
    let servers: Vec<_> = (0..servers).map(|_| serve(url, Options::default())).collect();
    let client = Arc::new(RetryingClient::new(servers.clone()));
    bank::open(&*client, WORKSPACES, EACH);
    (servers, client)
}

/// Lets all callers trade while something fails; gives what was acknowledged to them.
fn trade_while(client: &Arc<RetryingClient>, turns: usize, fault: impl FnOnce()) -> Vec<Tally> {
    thread::scope(|scope| {
        let engine: Arc<dyn Engine> = client.clone();
        let trading = scope.spawn(move || trade(&engine, 7, (CALLERS, turns), WORKSPACES));
        client.wait_for_answers(200);
        fault();
        assert!(!trading.is_finished(), "it failed in the middle of the load");
        trading.join().expect("the callers do not panic")
    })
}

/// Compares what the servers keep with what was acknowledged.
fn reckon(servers: &[Arc<dyn Engine>], url: &str, tallies: &[Tally]) {
    for server in servers {
        check_balances(&**server, EACH, tallies);
    }
    check_journals(&*servers[0], tallies);
    assert!(tallies.iter().all(|tally| tally.accepted > 0), "{tallies:?}");
    audited(url);
}

/// Lets the audit compute everything anew.
#[track_caller]
fn audited(url: &str) {
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
        block_on(engine.balance(&bank::workspace(0), None)).expect("it reads").expect("it is there");
    balance.balance.available.get()
}

#[track_caller]
fn assert_not_now(answer: Result<CommandResult, Error>) {
    let error = answer.expect_err("it cannot be done at present");
    assert!(error.is_unavailable(), "{error}");
    assert!(!error.to_string().contains("tollkeeper@"), "the address is told to nobody: {error}");
}

/// Pays under a key that was told "not now", and once more: it is done once, by whichever of the two.
#[track_caller]
fn assert_paid_once(engine: &dyn Engine, key: &str) {
    let first = pay(engine, key).expect("it can be done again").expect("there is enough");
    let again = pay(engine, key).expect("it can be done again").expect("there is enough");
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
    reckon(&servers, &database.url(), &tallies);
    assert!(tallies.iter().any(|tally| tally.refused > 0), "some were refused: {tallies:?}");
}

#[test]
fn two_servers_let_exactly_as_many_pass_as_can_be_paid() {
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
    // The server that will die has proxies to both hosts; when they are severed it is as good as dead.
    let proxies = [CuttableProxy::to(pair.primary.port()), CuttableProxy::to(pair.standby.port())];
    let doomed = two_hosts((proxies[0].port(), proxies[1].port()), database.name());
    let (doomed, living) = (serve(&doomed, impatient()), serve(&url, Options::default()));
    let client = Arc::new(RetryingClient::new(vec![doomed, living.clone()]));
    bank::open(&*client, WORKSPACES, EACH);
    let tallies = trade_while(&client, 80, || {
        proxies.iter().for_each(CuttableProxy::sever);
        client.switch_to(vec![living.clone()]);
        client.wait_for_answers(200);
        pair.fail_over(Stop::Kill);
        client.wait_for_answers(200);
        // A server that starts now finds the new primary by the same address.
        client.switch_to(vec![living.clone(), serve(&url, Options::default())]);
        client.wait_for_answers(200);
    });
    reckon(&[living], &url, &tallies);
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
    reckon(&servers, &database.url(), &tallies);
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
    reckon(&servers, &database.url(), &tallies);
}

#[test]
fn a_database_that_is_down_is_told_and_comes_back() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start(NO_CRASH);
    let database = cluster.database();
    let patience = Duration::from_secs(1);
    let server = serve(&database.url(), Options { retry_for_millis: Some(1_000), ..Options::default() });
    bank::open(&*server, 1, EACH);
    cluster.stop(Stop::Fast);
    let begun = Instant::now();
    assert_not_now(pay(&*server, "while it is down"));
    assert!(begun.elapsed() >= patience, "it tries for a while");
    let begun = Instant::now();
    assert_not_now(pay(&*server, "while it is down"));
    assert!(begun.elapsed() < patience, "what is known is told at once");
    assert!(!server.stats().writable);
    let balance = block_on(server.balance(&bank::workspace(0), None));
    assert!(balance.expect_err("there is nothing to read").is_unavailable());
    let late = block_on(Postgres::open(&database.url(), impatient()));
    assert!(late.expect_err("there is nothing to open").is_unavailable());
    cluster.restart();
    assert_paid_once(&*server, "while it is down");
    assert!(server.stats().writable);
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    audited(&database.url());
}

#[test]
fn somebody_holds_the_locks() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = serve(&database.url(), impatient());
    bank::open(&*server, 1, EACH);
    let held = database.open_transaction("LOCK TABLE account");
    assert_not_now(pay(&*server, "while it is locked"));
    drop(held);
    assert_paid_once(&*server, "while it is locked");
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    audited(&database.url());
}

#[test]
fn there_are_no_connections_left() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let server = serve(&database.url(), impatient());
    bank::open(&*server, 1, EACH);
    let name = database.name();
    let limit = |connections: i32| format!("ALTER DATABASE {name} CONNECTION LIMIT {connections}");
    database.sql(&limit(0));
    database.end_sessions();
    assert_not_now(pay(&*server, "without a connection"));
    database.sql(&limit(-1));
    assert_paid_once(&*server, "without a connection");
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    audited(&database.url());
}

#[test]
fn the_disk_of_the_database_is_full() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start_on_small_disk(48, NO_CRASH);
    let database = cluster.database();
    let server = serve(&database.url(), impatient());
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
    let full_at = full_at.expect("the disk is full in the end");
    let spent = |rounds: usize| 1_000_000_000 - rounds as i64 * 50 * PRICE.get();
    assert_eq!(available(&*server), spent(full_at), "it can still be read, and nothing is half-done");
    database.free_disk();
    let answers = run(full_at).expect("there is room");
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(available(&*server), spent(full_at + 1));
    audited(&database.url());
}

#[test]
fn a_host_that_accepts_and_keeps_silent_is_passed_over() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    // The system accepts for it, and it never looks: a host that hangs.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let silent_port = silent.local_addr().expect("it is bound").port();
    let url = two_hosts((silent_port, shared().port()), database.name());
    let server = serve(&format!("{url}&connect_timeout=1"), Options::default());
    bank::open(&*server, 1, EACH);
    assert_paid_once(&*server, "beside a silent host");
}

#[test]
fn a_commit_that_did_not_wait_for_the_standby_is_not_acknowledged() {
    if is_missing() {
        return;
    }
    let pair = Pair::start(&[]);
    let database = pair.primary.database();
    let url = pair.url(database.name());
    let server = serve(&url, impatient());
    bank::open(&*server, 1, EACH);
    pair.standby.freeze();
    let told = thread::scope(|scope| {
        let paying = scope.spawn(|| pay(&*server, "on one disk alone"));
        // Whoever is impatient cuts the wait short, again and again; PostgreSQL then says success, with a warning.
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let mut cancelled = 0;
        while !paying.is_finished() {
            cancelled += usize::from(database.sql(cancel) == "t");
        }
        assert!(cancelled > 0, "it waited for the standby");
        paying.join().expect("it does not panic")
    });
    assert_not_now(told);
    // The only disk that has it is lost.
    pair.primary.stop(Stop::Kill);
    pair.standby.thaw();
    pair.promote();
    assert_paid_once(&*server, "on one disk alone");
    assert_eq!(available(&*server), EACH.get() - PRICE.get());
    audited(&url);
}
