//! Restarts of a server on a directory, and two servers on one database of which one is killed.

use tollkeeper_engine::Postgres;
use tollkeeper_engine::postgres::Options;
use tollkeeper_testkit::postgres::{is_missing, shared};

use super::*;

#[tokio::test]
async fn a_server_that_starts_again_goes_on_where_it_was() {
    let receiver = Receiver::start().await;
    let settings = settings_for(&[&receiver]);
    let (world, dispatching) = dispatching(&settings).await;
    let endpoint = world.endpoint(&receiver, r#"["charge.settled"]"#).await;
    world.charges(0, 3).await;
    receiver.wait(3).await;
    world.deliveries_until(id(&endpoint), |kept| kept["attempts"][2].is_object()).await;
    drop(dispatching);
    world.charges(3, 2).await;
    let World { app, clock, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let world = World { app: open(_dir.path(), &settings, &clock).into(), clock, _dir };
    assert_eq!(receiver.received().len(), 3);
    let _dispatching = dispatch(&world.app);
    receiver.wait_for_ids(5).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(receiver.received().len(), 5, "none is sent twice");
}

/// A server on a database, by the clock of the test.
async fn server(url: &str, settings: &Settings, clock: &Arc<AtomicI64>) -> Arc<App> {
    let options = Options { lanes: Some(1), readers: Some(2), ..Options::default() };
    let engine = Postgres::open(url, options).await.expect("a database of its own opens");
    let clock = Arc::clone(clock);
    let now = move || Timestamp::from_millis(clock.load(Ordering::Relaxed));
    App::with_clock(Arc::new(engine), settings, Box::new(now))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_of_which_one_is_killed_lose_nothing() {
    if is_missing() {
        return;
    }
    let receiver = Receiver::start().await;
    let settings = settings_for(&[&receiver]);
    let database = shared().database();
    let clock = Arc::new(AtomicI64::new(NOW));
    let one = server(&database.url(), &settings, &clock).await;
    prepare(&one).await.expect("an empty database takes prices");
    let other = server(&database.url(), &settings, &clock).await;
    let dir = || tempfile::tempdir().expect("a directory");
    let [one, other] =
        [one, other].map(|app| World { app: app.into(), clock: Arc::clone(&clock), _dir: dir() });
    assert_eq!(one.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await.status, 201);
    one.grant("acme", "start", 100_000_000).await;
    let endpoint = one.endpoint(&receiver, r#"["charge.settled"]"#).await;
    let (first, second) = (dispatch(&one.app), dispatch(&other.app));
    one.charges(0, 20).await;
    other.charges(20, 20).await;
    receiver.wait_for_ids(40).await;
    // A server is killed while it waits for answers.
    receiver.answers(Answer::Hang);
    one.charges(40, 20).await;
    receiver.wait_for_ids(41).await;
    drop(first);
    one.app.engine().close().await.expect("the engine closes");
    drop(one);
    receiver.answers(Answer::Status(200));
    other.charges(60, 20).await;
    // Its turn ends.
    other.pass_seconds(70);
    receiver.wait_for_ids(80).await;
    other.deliveries_until(id(&endpoint), |kept| waiting(kept) == 0).await;
    assert_eq!(receiver.ids().len(), 80, "every id is of one message");
    for _ in 0..500 {
        if database.sql("SELECT count(*) FROM owed") == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(database.sql("SELECT count(*) FROM unsent"), "0");
    assert_eq!(database.sql("SELECT count(*) FROM owed"), "0", "nothing is kept of what was sent");
    drop(second);
}
