//! Two servers on one database, of which one is killed: no mail is lost.

use tollkeeper_engine::Postgres;
use tollkeeper_engine::postgres::Options;
use tollkeeper_testkit::postgres::{is_missing, shared};

use super::*;

/// A server on a database, by the clock of the test.
async fn server(url: &str, settings: &Settings, clock: &Arc<AtomicI64>) -> World {
    let options = Options { lanes: Some(1), readers: Some(2), ..Options::default() };
    let engine = Postgres::open(url, options).await.expect("a database of its own opens");
    let own = Arc::clone(clock);
    let now = move || Timestamp::from_millis(own.load(Ordering::Relaxed));
    let app = App::with_clock(Arc::new(engine), settings, Box::new(now));
    let dir = tempfile::tempdir().expect("a directory");
    World { app: app.into(), clock: Arc::clone(clock), _dir: dir }
}

impl World {
    /// Creates workspaces with an admin and a threshold, and lets the balance of each fall.
    async fn falls(&self, workspaces: std::ops::Range<usize>) {
        for n in workspaces {
            let path = format!("/v1/workspaces/w{n}");
            let body = format!(r#"{{"id":"w{n}","name":"Workspace {n}"}}"#);
            assert_eq!(self.post("/v1/workspaces", "", &body).await.status, 201);
            let body = format!(r#"{{"id":"ada","email":"ada{n}@example.com","name":"Ada","role":"admin"}}"#);
            assert_eq!(self.post(&format!("{path}/members"), "", &body).await.status, 201);
            self.grant(&format!("w{n}"), "start", 100_000).await;
            let body = r#"{"thresholds":[{"amount":90000}]}"#;
            assert_eq!(self.put("PUT", &format!("{path}/alerts"), "", body).await.status, 200);
            let body = r#"{"operation":"virtual_try_on"}"#;
            let reply = self.post(&format!("{path}/charges"), "charge", body).await;
            assert_eq!(reply.status, 201, "{}", reply.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_of_which_one_is_killed_lose_no_mail() {
    if is_missing() || smtp::is_missing() {
        return;
    }
    let mut relay = Relay::start();
    let mut settings = relay.settings();
    settings.mail.step_timeout = Duration::from_millis(300);
    let database = shared().database();
    let clock = Arc::new(AtomicI64::new(NOW));
    let one = server(&database.url(), &settings, &clock).await;
    prepare(&one.app).await.expect("an empty database takes prices");
    let other = server(&database.url(), &settings, &clock).await;
    let (first, second) = (dispatch(&one.app), dispatch(&other.app));
    one.falls(0..5).await;
    other.falls(5..10).await;
    relay.wait(10).await;
    // A mail may come twice, under the same id.
    relay.all().await;
    relay.server.control("all silent");
    one.falls(10..15).await;
    tokio::time::sleep(A_WHILE).await;
    drop(first);
    one.app.engine().close().await.expect("the engine closes");
    drop(one);
    relay.all().await;
    relay.server.control("all");
    other.falls(15..20).await;
    // Its turn ends, and what the silent relay did not take is due again.
    for _ in 0..20 {
        other.pass_seconds(70);
        if relay.all().await.len() >= 20 {
            break;
        }
    }
    relay.wait(20).await;
    other.failed_mails(|failed| waiting(failed) == 0).await;
    relay.all().await;
    let addresses: BTreeSet<&str> = relay.mails.iter().map(ReceivedMail::to).collect();
    assert_eq!((addresses.len(), relay.ids()), (20, 20), "each has its mail: {:?}", relay.subjects());
    drop(second);
}
