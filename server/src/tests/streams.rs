//! Streams of server-sent events: what they send, where they go on, and when they end.

use std::time::{Duration, Instant};

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollkeeper_engine::Postgres;
use tollkeeper_engine::postgres::Options as PostgresOptions;
use tollkeeper_testkit::postgres::{is_missing, shared};

use super::follow::begin_epoch;
use super::serving::serving;
use super::*;
use crate::access::followers::FOLLOWERS_OF_WORKSPACE_MAX;

const PATH: &str = "/v1/workspaces/acme/stream";
const CHARGE: &str = r#"{"operation":"support_message"}"#;

/// No test waits this long, unless an event is missing.
const LONGEST: Duration = Duration::from_secs(60);

/// For accepted requests that go on, a shutdown waits longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(20);

/// An event as a client sees it.
#[derive(Debug, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

impl Event {
    /// The number of the entry in its id.
    fn number(&self) -> u64 {
        let (_, number) = self.id.split_once('-').expect("an id has an epoch and a number");
        number.parse().expect("an id ends with a number")
    }
}

/// An open stream.
struct Client {
    body: BodyDataStream,
    text: String,
}

impl Client {
    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = read_event(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let next = tokio::time::timeout(LONGEST, self.body.next()).await.expect("something comes");
            let bytes = next?.expect("a stream does not break");
            self.text.push_str(std::str::from_utf8(&bytes).expect("events are texts"));
        }
    }

    async fn event(&mut self) -> Event {
        self.next().await.expect("the stream goes on")
    }
}

/// The event of a block; `None` for one that has only a comment.
fn read_event(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = field("data")?;
    Some(Event {
        id: field("id").expect("an event has an id").to_owned(),
        name: field("event").expect("an event has a name").to_owned(),
        data: serde_json::from_str(data).expect("the data is JSON"),
    })
}

impl World {
    /// Opens a stream with these headers beside the key.
    async fn stream(&self, path: &str, key: &str, headers: &[(&str, &str)]) -> Client {
        let mut request = Request::get(path).header("authorization", format!("Bearer {key}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("the request is well-formed");
        let response = self.app.answer(request).await;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("content-type"), Some("text/event-stream"), "{response:?}");
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("x-accel-buffering"), Some("no"));
        Client { body: response.into_body().into_data_stream(), text: String::new() }
    }

    async fn stream_of_platform(&self) -> Client {
        self.stream(PATH, KEY, &[]).await
    }
}

#[tokio::test]
async fn a_stream_begins_with_the_balance_and_sends_each_entry() {
    let world = world_with(100_000).await;
    let mut client = world.stream_of_platform().await;
    let balance = client.event().await;
    assert_eq!((balance.id.as_str(), balance.name.as_str()), ("1-2", "balance"));
    assert_eq!((&balance.data["workspace"], &balance.data["number"]), (&"acme".into(), &2.into()));
    assert_eq!(
        (&balance.data["available"], &balance.data["available_usd"]),
        (&100_000.into(), &"1.00".into())
    );
    let charge = world.charge("k", CHARGE).await.json();
    let event = client.event().await;
    assert_eq!((event.id.as_str(), event.name.as_str()), ("1-3", "charge.opened"));
    assert_eq!((&event.data["charge"], &event.data["balance"]["available"]), (&charge["id"], &99_500.into()));
    let listed = world.get("/v1/workspaces/acme/entries?limit=1").await.json();
    assert_eq!(event.data, listed["data"][0], "the data is the entry as in the list");
    assert_eq!(world.counted("tollkeeper_followers").await, 1);
    drop(client);
    assert_eq!(world.counted("tollkeeper_followers").await, 0);
    world.get("/v1/workspaces/nobody/stream").await.problem(404, "workspace_not_found");
    world.get(&format!("{PATH}?after=x")).await.problem(400, "invalid_parameter");
    world.get(&format!("{PATH}?kinds=x")).await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_stream_of_some_kinds_sends_only_those() {
    let world = world_with(100_000).await;
    let mut client = world.stream(&format!("{PATH}?kinds=grant.created&after=0"), KEY, &[]).await;
    assert_eq!(client.event().await.id, "1-0", "it begins before the first entry");
    assert_eq!(client.event().await.name, "grant.created");
    world.charge("k", CHARGE).await;
    world.grant("acme", "more", 7).await;
    let event = client.event().await;
    assert_eq!((event.id.as_str(), event.name.as_str()), ("1-4", "grant.created"));
}

/// Charges go on while a client loses its connection again and again.
async fn resumes_without_a_gap(charging: &World, streaming: &World) {
    const CHARGES: u64 = 120;
    let charge = async |n: u64| charging.charge(&format!("k{n}"), CHARGE).await;
    let all = async {
        for n in (0..CHARGES).step_by(6) {
            for reply in join_all((n..n + 6).map(charge)).await {
                assert_eq!(reply.status, 201, "{}", reply.text);
            }
        }
    };
    let watch = async {
        let (mut seen, mut last) = (Vec::new(), "1-2".to_owned());
        while (seen.len() as u64) < CHARGES {
            let mut client = streaming.stream(PATH, KEY, &[("last-event-id", &last)]).await;
            let balance = client.event().await;
            assert_eq!((balance.name.as_str(), &balance.id), ("balance", &last));
            for _ in 0..17.min(CHARGES as usize - seen.len()) {
                let event = client.event().await;
                seen.push(event.number());
                last = event.id;
            }
        }
        seen
    };
    let (seen, ()) = tokio::join!(watch, all);
    assert_eq!(seen, (3..CHARGES + 3).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_that_connects_again_sees_every_entry_once() {
    let world = world_with(100_000).await;
    resumes_without_a_gap(&world, &world).await;
}

/// A server on a database that others use too.
pub(super) async fn server_on(url: &str) -> World {
    let options = PostgresOptions { readers: Some(2), ..PostgresOptions::default() };
    let engine = Postgres::open(url, options).await.expect("a database of its own opens");
    let clock = Arc::new(AtomicI64::new(NOW));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_millis(time.load(Ordering::Relaxed));
    let app = App::with_clock(Arc::new(engine), &settings(), Box::new(now));
    prepare(&app).await.expect("an engine takes prices");
    World { app: app.into(), clock, _dir: tempfile::tempdir().expect("a directory can be made") }
}

/// Two servers on one database, with the workspace `acme` and some credit.
async fn two_servers_on(url: &str) -> [World; 2] {
    let (one, other) = (server_on(url).await, server_on(url).await);
    assert_eq!(one.post("/v1/workspaces", "", r#"{"id":"acme","name":"Acme"}"#).await.status, 201);
    one.grant("acme", "start", 100_000).await;
    [one, other]
}

#[tokio::test]
async fn a_stream_shows_what_another_server_on_the_database_commits() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let [one, other] = two_servers_on(&database.url()).await;
    let mut clients = [one.stream_of_platform().await, other.stream_of_platform().await];
    for client in &mut clients {
        assert_eq!(client.event().await.id, "1-2");
    }
    assert_eq!(one.charge("first", CHARGE).await.status, 201);
    for client in &mut clients {
        let event = client.event().await;
        assert_eq!((event.id.as_str(), event.name.as_str()), ("1-3", "charge.opened"));
    }
    let path = "/v1/workspaces/acme/entries?after=3&wait=30";
    let (waited, charged) = tokio::join!(other.get(path), one.charge("second", CHARGE));
    assert_eq!((charged.status, &waited.json()["after"]), (201, &"1-4".into()), "{}", waited.text);
    for server in [one, other] {
        server.app.engine().close().await.expect("the engine closes");
    }
}

#[tokio::test]
async fn a_client_resumes_on_another_server_on_the_database() {
    if is_missing() {
        return;
    }
    let database = shared().database();
    let [one, other] = two_servers_on(&database.url()).await;
    resumes_without_a_gap(&one, &other).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let world = world_with(100_000).await;
    let (id, secret) = world.make_key("acme", r#"{"name":"reader","scopes":["read"]}"#).await;
    let mut client = world.stream(&format!("{PATH}?after=2"), &secret, &[]).await;
    assert_eq!(client.event().await.name, "balance");
    let created = client.event().await;
    assert_eq!((created.name.as_str(), &created.data["details"]), ("api_key.created", &Value::Null));
    assert_eq!(client.event().await.name, "api_key.used", "the use of the key is recorded meanwhile");
    let revoked = world.put("DELETE", &format!("/v1/workspaces/acme/api-keys/{id}"), "", "").await;
    assert_eq!(revoked.status, 204, "{}", revoked.text);
    assert_eq!(client.event().await.name, "api_key.revoked");
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_stream_of_some_kinds_ends_with_its_key() {
    let world = world_with(100_000).await;
    let (id, secret) = world.make_key("acme", r#"{"name":"reader","scopes":["read"]}"#).await;
    let mut client = world.stream(&format!("{PATH}?kinds=charge.opened"), &secret, &[]).await;
    assert_eq!(client.event().await.name, "balance");
    world.put("DELETE", &format!("/v1/workspaces/acme/api-keys/{id}"), "", "").await;
    assert_eq!(client.next().await, None, "the entry that ends the key is read and not sent");
}

#[tokio::test]
async fn a_page_streams_what_members_may_read_until_its_session_ends() {
    let world = world_with(100_000).await;
    world.add_member("acme", "bob", "member").await;
    let session = world.sign_in("acme", "bob").await;
    let cookie = format!("tollkeeper_session={session}");
    let open = async |last: &str| {
        let headers = [("cookie", cookie.as_str()), ("last-event-id", last)];
        world.stream("/portal/stream", "no key", &headers).await
    };
    let mut client = open("1-2").await;
    assert_eq!(client.event().await.name, "balance");
    world.make_key("acme", r#"{"name":"reader","scopes":["read"]}"#).await;
    let charge = world.charge("k", CHARGE).await.json();
    let event = client.event().await;
    assert_eq!((event.name.as_str(), &event.data["charge"]), ("charge.opened", &charge["id"]));
    let mut again = open(&event.id).await;
    assert_eq!(again.event().await.data["available"], 99_500);
    let form = format!("token={}", crate::access::cookie::form_token(&session));
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let signed_out = world.ask("POST", "/portal/sign-out", &headers, form).await;
    assert_eq!(signed_out.status, 200, "{}", signed_out.text);
    assert_eq!((client.next().await, again.next().await), (None, None), "the session was ended");
    world
        .ask("GET", "/portal/stream", &[("cookie", cookie.as_str())], Body::empty())
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_page_streams_of_others_and_of_money_the_balance_alone() {
    let mut settings = settings();
    settings.access.members_see_others_use = false;
    let world = world_of(&settings, NOW).await;
    world.grant("acme", "start", 100_000).await;
    for (member, role) in [("ada", "admin"), ("bob", "member")] {
        world.add_member("acme", member, role).await;
    }
    let open = async |member: &str| {
        let cookie = format!("tollkeeper_session={}", world.sign_in("acme", member).await);
        let mut client = world.stream("/portal/stream", "no key", &[("cookie", &*cookie)]).await;
        assert_eq!(client.event().await.name, "balance");
        client
    };
    let (mut ada, mut bob) = (open("ada").await, open("bob").await);
    let charge = async |key: &str, member: &str| {
        let body =
            format!(r#"{{"operation":"support_message","member":"{member}","reference":"of {member}"}}"#);
        assert_eq!(world.charge(key, &body).await.status, 201);
    };
    charge("one", "ada").await;
    assert_eq!(ada.event().await.name, "charge.opened");
    let event = bob.event().await;
    assert_eq!((event.name.as_str(), &event.data["available"]), ("balance", &99_500.into()));
    assert!(!event.data.to_string().contains("ada"), "{}", event.data);
    charge("two", "bob").await;
    assert_eq!(
        (ada.event().await.name, bob.event().await.name),
        ("charge.opened".into(), "charge.opened".into())
    );
    world.grant("acme", "more", 500).await;
    assert_eq!(ada.event().await.name, "grant.created");
    let event = bob.event().await;
    assert_eq!((event.name.as_str(), &event.data["available"]), ("balance", &99_500.into()));
    assert!(!event.data.to_string().contains("more"), "{}", event.data);
    // A new role counts at once.
    world.put("PATCH", "/v1/workspaces/acme/members/bob", "", r#"{"role":"admin"}"#).await;
    charge("three", "ada").await;
    assert_eq!(bob.event().await.name, "charge.opened");
    let body = r#"{"role":"member"}"#;
    assert_eq!(world.put("PATCH", "/v1/workspaces/acme/members/bob", "", body).await.status, 200);
    charge("four", "ada").await;
    assert_eq!(bob.event().await.name, "balance");
}

#[tokio::test]
async fn a_lost_position_is_said_and_the_stream_begins_at_the_end() {
    let world = world_with(100_000).await;
    let mut open = world.stream_of_platform().await;
    assert_eq!(open.event().await.id, "1-2");
    begin_epoch(&world).await;
    for lost in ["1-2", "2-3", "9-1"] {
        let mut client = world.stream(PATH, KEY, &[("last-event-id", lost)]).await;
        let restored = client.event().await;
        assert_eq!((restored.id.as_str(), restored.name.as_str()), ("2-2", "restored"), "{lost}");
        assert_eq!((&restored.data["epoch"], &restored.data["last"]), (&2.into(), &"2-2".into()));
        assert_eq!(client.event().await.name, "balance");
    }
    // A stream that was open learns of it with the next entry.
    world.charge("k", CHARGE).await;
    let restored = open.event().await;
    assert_eq!((restored.id.as_str(), restored.name.as_str()), ("2-3", "restored"));
    world.charge("k2", CHARGE).await;
    assert_eq!(open.event().await.id, "2-4");
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_server() {
    let world = world_with(100_000).await;
    let mut clients = Vec::new();
    for _ in 0..FOLLOWERS_OF_WORKSPACE_MAX {
        clients.push(world.stream_of_platform().await);
    }
    world.get(PATH).await.problem(429, "too_many_followers");
    world.get("/v1/workspaces/acme/entries?after=2&wait=1").await.problem(429, "too_many_followers");
    assert_eq!(world.get("/v1/workspaces/acme/entries?after=2").await.status, 200, "it does not wait");
    drop(clients.split_off(1));
    let again = world.stream_of_platform().await;
    clients.push(again);
    for client in &mut clients {
        assert_eq!(client.event().await.name, "balance");
    }
    world.app.followers.end_all();
    for client in &mut clients {
        assert_eq!(client.next().await, None);
    }
    world.get(PATH).await.problem(503, "overloaded");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_streams() {
    let world = world_with(100_000).await;
    let (address, stop, serving) = serving(Arc::clone(&world.app)).await;
    let mut sockets = Vec::new();
    for path in [PATH, "/v1/workspaces/acme/entries?after=2&wait=30"] {
        let mut socket = TcpStream::connect(address).await.expect("the server listens");
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.expect("the server reads");
        sockets.push(socket);
    }
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains("event: balance") {
        assert!(sockets[0].read_buf(&mut bytes).await.expect("the server sends") > 0, "the stream goes on");
    }
    while world.app.followers.count() < 2 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    stop.send(()).expect("the server is running");
    serving.await.expect("the server does not panic").expect("the engine closes");
    assert!(began.elapsed() < DRAIN_TIME, "it took {:?}", began.elapsed());
    let mut ends = Vec::new();
    for mut socket in sockets {
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.expect("the server closes the connection");
        ends.push(String::from_utf8_lossy(&rest).into_owned());
    }
    // The last chunk of the stream, and a whole answer.
    assert!(ends[0].ends_with("\r\n0\r\n\r\n") || ends[0] == "0\r\n\r\n", "{}", ends[0]);
    assert!(ends[1].starts_with("HTTP/1.1 200 OK") && ends[1].contains(r#"{"data":[]"#), "{}", ends[1]);
}
