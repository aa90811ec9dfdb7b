//! A secret is shown once, by the answer that makes it, and is nowhere else: not in what is kept, not in a backup or an
//! export, not in the log, and in no other answer, whatever was done with it, in its place or where it does not belong.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::store;
use crate::harness::{Reply, TestClient, TestServer, TestStore, files, form_token, printed, tollkeeper};

/// The platform key of the second start: set, not made.
const SET_KEY: &str = "tk_test_fedcba9876543210fedcba9876543210";

/// What is spoken in a test, and every secret in it.
struct Visit {
    client: TestClient,
    /// Each with what it is.
    secrets: Vec<(&'static str, String)>,
    /// Each answer with what was asked; without the secret that it shows.
    answers: Vec<(String, String)>,
}

impl Visit {
    fn new(server: &TestServer) -> Visit {
        Visit { client: server.client(), secrets: Vec::new(), answers: Vec::new() }
    }

    /// Asks with these headers and keeps the whole answer.
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let none = [("authorization", ""), ("content-type", "application/json")];
        let none = none.into_iter().filter(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        let headers: Vec<_> = none.chain(headers.iter().copied()).collect();
        let reply = self.client.raw(method, path, &headers, body).expect("the server answers");
        let head = reply.headers.iter().map(|(name, value)| format!("{name}: {value:?}\n"));
        let whole = format!("{}\n{}\n{}", reply.status, head.collect::<String>(), reply.text);
        self.answers.push((format!("the answer to {method} of {} bytes", path.len()), whole));
        reply
    }

    /// Asks with a key.
    fn with(&mut self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let (bearer, body) = (format!("Bearer {key}"), body.to_string());
        let idempotency_key = format!("request {}", self.answers.len());
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", idempotency_key.as_str())];
        self.ask(method, path, &headers, if body == "null" { "" } else { &body })
    }

    /// The last answer showed this secret; it must not show it twice.
    fn shown(&mut self, what: &'static str, secret: &str) -> String {
        let (_, answer) = self.answers.last_mut().expect("there was an answer");
        *answer = answer.replacen(secret, "(shown)", 1);
        self.secrets.push((what, secret.to_owned()));
        secret.to_owned()
    }

    /// Makes an API key.
    fn api_key(&mut self, platform: &str, what: &'static str, scopes: &[&str]) -> String {
        let body = json!({"name": what, "scopes": scopes, "member": "ada"});
        let made = self.with(platform, "POST", "/v1/workspaces/acme/api-keys", body).expect(201);
        self.shown(what, made.json["secret"].as_str().expect("a secret"))
    }

    /// Makes a link into the dashboard; its path.
    fn link(&mut self, platform: &str, what: &'static str) -> String {
        let body = json!({"member": "ada"});
        let made = self.with(platform, "POST", "/v1/workspaces/acme/portal-sessions", body).expect(201);
        let (_, secret) = made.json["url"].as_str().and_then(|url| url.rsplit_once('/')).expect("an address");
        self.shown(what, secret);
        format!("/portal/sign-in/{secret}")
    }

    /// Follows a link; the cookie.
    fn sign_in(&mut self, path: &str, what: &'static str) -> String {
        let followed = self.ask("GET", path, &[("accept", "text/html")], "").expect(303);
        let cookie = followed.header("set-cookie").and_then(|line| line.split(';').next()).expect("a cookie");
        self.shown(what, cookie.strip_prefix("tollkeeper_session=").expect("the session"));
        cookie.to_owned()
    }
}

/// Does with an open key what it is for, and what it is not for.
fn use_keys(visit: &mut Visit, [pays, sees, manages]: [&str; 3]) {
    let charges = "/v1/workspaces/acme/charges";
    let paid = visit.with(pays, "POST", charges, json!({"operation": "virtual_try_on"})).expect(201).id();
    visit.with(pays, "POST", charges, json!({"operation": "virtual_try_on", "member": "ben"})).expect(403);
    visit
        .with(pays, "POST", charges, json!({"operation": "virtual_try_on", "quantity": 999_999}))
        .expect(402);
    visit.with(pays, "POST", charges, json!({"operation": "teleport"})).expect(404);
    visit.with(pays, "POST", charges, json!({"operation": 7})).expect(422);
    let failed = json!({"result": "failed", "fault": "system"});
    visit.with(pays, "POST", &format!("{charges}/{paid}/outcome"), failed).expect(200);
    let batch = json!({"charges": [
        {"workspace": "acme", "idempotency_key": "b", "operation": "support_message"},
        {"workspace": "other", "idempotency_key": "b", "operation": "support_message"},
    ]});
    visit.with(pays, "POST", "/v1/charges/batch", batch).expect(200);
    visit.with(pays, "GET", charges, Value::Null).expect(403);
    for path in ["", "/balance", "/charges", "/entries?limit=200", "/limits"] {
        visit.with(sees, "GET", &format!("/v1/workspaces/acme{path}"), Value::Null).expect(200);
    }
    visit.with(sees, "GET", "/v1/workspaces/other/balance", Value::Null).expect(404);
    for path in ["/members", "/members/ada", "/api-keys", "/limits"] {
        visit.with(manages, "GET", &format!("/v1/workspaces/acme{path}"), Value::Null).expect(200);
    }
    let limits = json!({"limits": [{"subject": "member", "id": "ada", "period": "day", "amount": 1}]});
    visit.with(manages, "PUT", "/v1/workspaces/acme/limits", limits).expect(200);
    visit.with(pays, "POST", charges, json!({"operation": "virtual_try_on"})).expect(402);
    visit.with(manages, "PUT", "/v1/workspaces/acme/limits", json!({"limits": []})).expect(200);
    visit.with(manages, "DELETE", "/v1/workspaces/acme", Value::Null).expect(405);
}

/// Shows every secret where it does not belong; each time the answer is a no, if there is one.
fn misuse(visit: &mut Visit, server: &TestServer) {
    for (_, secret) in visit.secrets.clone() {
        let (bearer, basic) = (format!("Bearer {secret}x"), format!("Basic {secret}"));
        let cookie = format!("tollkeeper_session={secret}x; other={secret}");
        let read = "/v1/workspaces/acme/balance";
        for (path, header) in [
            (read, ("authorization", bearer.as_str())),
            (read, ("authorization", basic.as_str())),
            (read, ("authorization", secret.as_str())),
            (read, ("cookie", cookie.as_str())),
            ("/portal", ("cookie", cookie.as_str())),
        ] {
            visit.ask("GET", path, &[header], "").expect(401);
        }
        visit.ask("GET", &format!("/portal/sign-in/{secret}x"), &[], "").expect(410);
        visit.ask("GET", &format!("/v1/{secret}"), &[], "").expect(404);
        visit.ask("GET", &format!("/healthz?access_token={secret}"), &[], "").expect(400);
        visit.ask("POST", "/v1/workspaces", &[("authorization", bearer.as_str())], &secret).expect(401);
        // Connections that break, of which the log tells.
        for broken in [
            format!("GET /portal/sign-in/{secret} HTTP/9.9\r\nHost: x\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nAuthorization: Bearer {secret}\r\nno header\r\n\r\n"),
            format!(
                "POST / HTTP/1.1\r\nAuthorization: Bearer {secret}\r\nContent-Length: 999\r\n\r\n{secret}"
            ),
            secret.clone(),
        ] {
            let answer = server.send_bytes(broken.as_bytes());
            visit.answers.push(("the answer to what is not HTTP".to_owned(), answer));
        }
    }
}

/// Keys that never were: of the right form, one digit off, and of another form.
fn wrong_keys(visit: &mut Visit, right: &str) {
    let digits = "0123456789abcdef".repeat(4);
    let last = right.rfind("_acme").expect("a key of acme") - 1;
    let other = if right.as_bytes()[last] == b'0' { "1" } else { "0" };
    let near = format!("{}{other}_acme", &right[..last]);
    for wrong in [
        near,
        format!("tk_workspace_{digits}_acme"),
        format!("tk_workspace_{digits}_nobody"),
        format!("tk_platform_{digits}"),
        format!("tk_session_{digits}_acme"),
        "sk_live_of_another_service".to_owned(),
    ] {
        visit.with(&wrong, "GET", "/v1/workspaces/acme/balance", Value::Null).expect(401);
        let cookie = format!("tollkeeper_session={wrong}");
        visit.ask("GET", "/portal", &[("cookie", &cookie), ("accept", "text/html")], "").expect(401);
        visit.ask("GET", &format!("/portal/sign-in/{wrong}"), &[("accept", "text/html")], "").expect(410);
        visit.secrets.push(("a wrong key", wrong));
    }
}

/// Through the portal and out again, twice; one session stays open, one link is never followed.
fn through_the_portal(visit: &mut Visit, platform: &str) {
    let first = visit.link(platform, "a link that was followed");
    let cookie = visit.sign_in(&first, "a session that was ended");
    let page = [("cookie", cookie.as_str()), ("accept", "text/html")];
    let shown = visit.ask("GET", "/portal", &page, "").expect(200);
    visit.ask("GET", "/portal/session", &page, "").expect(200);
    visit.ask("GET", &first, &page, "").expect(303);
    visit.ask("GET", &first, &page[1..], "").expect(410);
    let form = [page[0], page[1], ("content-type", "application/x-www-form-urlencoded")];
    visit.ask("POST", "/portal/sign-out", &form, "token=wrong").expect(403);
    visit.ask("POST", "/portal/sign-out", &form, &form_token(&shown)).expect(200);
    visit.ask("GET", "/portal", &page, "").expect(401);
    let second = visit.link(platform, "another link that was followed");
    let cookie = visit.sign_in(&second, "a session that is open");
    visit.ask("GET", "/portal", &[("cookie", &cookie)], "").expect(200);
    let third = visit.link(platform, "a link that was not followed");
    visit.ask("HEAD", &third, &[], "").expect(204);
}

/// A server that says all it can say, as JSON.
fn talkative(store: &TestStore, key: Option<&str>) -> TestServer {
    let mut command = store.command_without_key();
    command.env("TOLLKEEPER_LOG_LEVEL", "debug").env("TOLLKEEPER_LOG_FORMAT", "json");
    command.envs(key.map(|key| ("TOLLKEEPER_PLATFORM_KEY", key)));
    command.env("TOLLKEEPER_WORKSPACE_KEY_REQUESTS_PER_SECOND", "2");
    store.start_server(command)
}

/// The output of a command on what is kept, which succeeds.
fn command(store: &TestStore, args: &[&str]) -> String {
    let mut command = tollkeeper();
    command.args(args);
    store.add_to(&mut command);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
    printed(&output)
}

#[test]
fn a_secret_is_shown_once_and_found_nowhere() {
    let Some(store) = store() else { return };
    let own = TempDir::new().expect("a temporary directory");
    let mut server = talkative(&store, None);
    let mut visit = Visit::new(&server);
    let log = server.stderr_text();
    let made = log.split_whitespace().find(|word| word.starts_with("tk_platform_")).expect("a key is shown");
    visit.secrets.push(("the platform key of the first start", made.to_owned()));
    let platform = made.to_owned();
    for id in ["acme", "other"] {
        visit.with(&platform, "POST", "/v1/workspaces", json!({"id": id, "name": id})).expect(201);
    }
    let ada = json!({"id": "ada", "email": "ada@example.com", "name": "Ada", "role": "admin"});
    visit.with(&platform, "POST", "/v1/workspaces/acme/members", ada).expect(201);
    let grant = json!({"source": "promotional", "amount": 1_000_000, "reason": "a test"});
    visit.with(&platform, "POST", "/v1/workspaces/acme/grants", grant).expect(201);
    let pays = visit.api_key(&platform, "a key that pays", &["charge"]);
    let sees = visit.api_key(&platform, "a key that sees", &["read"]);
    let manages = visit.api_key(&platform, "a key that manages", &["manage"]);
    use_keys(&mut visit, [&pays, &sees, &manages]);
    through_the_portal(&mut visit, &platform);
    wrong_keys(&mut visit, &pays);

    // A start with another platform key, which shuts the first one out; and a key that is revoked, and asks too often.
    let mut logs = vec![("what the first start printed".to_owned(), ended(&mut server))];
    let mut server = talkative(&store, Some(SET_KEY));
    visit.client = server.client();
    visit.secrets.push(("the platform key that is set", SET_KEY.to_owned()));
    visit.with(&platform, "GET", "/v1/workspaces", Value::Null).expect(401);
    visit.with(SET_KEY, "GET", "/v1/workspaces", Value::Null).expect(200);
    let list = visit.with(SET_KEY, "GET", "/v1/workspaces/acme/api-keys", Value::Null).expect(200);
    let asks = (0..60).map(|_| visit.with(&sees, "GET", "/v1/workspaces/acme/balance", Value::Null).status);
    assert!(asks.collect::<Vec<_>>().contains(&429));
    let id = list.json["data"][0]["id"].as_str().expect("an id");
    visit.with(SET_KEY, "DELETE", &format!("/v1/workspaces/acme/api-keys/{id}"), Value::Null).expect(204);
    visit.with(&manages, "GET", "/v1/workspaces/acme/members", Value::Null).expect(401);
    misuse(&mut visit, &server);
    for path in ["/metrics", "/openapi.json", "/docs", "/healthz", "/readyz", "/v1/nothing"] {
        visit.ask("GET", path, &[], "");
    }
    visit.with(SET_KEY, "GET", "/v1/workspaces/acme/entries?limit=200", Value::Null).expect(200);

    let mut places = store.contents();
    places.extend(copies(&store, own.path()));
    logs.push(("what the second start printed".to_owned(), ended(&mut server)));
    let log = server.stderr_text();
    assert!(log.lines().filter(|line| line.starts_with('{')).count() > 0, "there is a log: {log}");
    assert_eq!(log.matches(&platform).count(), 1, "the first start shows its key");
    logs.push(("the log".to_owned(), log.replacen(&platform, "(shown)", 1)));
    places.extend(store.contents());
    logs.append(&mut visit.answers);
    places.extend(logs.into_iter().map(|(name, text)| (name, text.into_bytes())));
    search(&places, &visit.secrets);
}

/// Stops a server; what it printed.
fn ended(server: &mut TestServer) -> String {
    assert_eq!(server.stop().code(), Some(0));
    server.rest_of_stdout()
}

/// What leaves the place: an export, a backup where there is one, and what commands say.
fn copies(store: &TestStore, own: &Path) -> Vec<(String, Vec<u8>)> {
    let text = |name: &str| own.join(name).to_str().expect("a plain path").to_owned();
    let mut told = vec![
        ("what an export says", command(store, &["export", "--to", &text("export")])),
        ("what an audit says", command(store, &["audit", "--json"])),
        ("the list of keys", command(store, &["key", "list", "acme", "--json"])),
        ("the journal", command(store, &["entries", "acme", "--json", "--limit", "200"])),
    ];
    let mut copies = files(own);
    assert_eq!(copies.len(), 1, "there is an export");
    if store.url().is_none() {
        told.push(("what a backup says", command(store, &["backup", "--to", &text("backup")])));
        copies.extend(files(&own.join("backup")));
    }
    copies.extend(told.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())));
    copies
}

/// Looks for every secret in every place, in each way in which it could be written there.
fn search(places: &[(String, Vec<u8>)], secrets: &[(&str, String)]) {
    let needles: Vec<(&str, Vec<u8>)> = secrets
        .iter()
        .flat_map(|(what, secret)| spellings(secret).into_iter().map(|needle| (*what, needle)))
        .collect();
    let finder = Finder::new(needles.iter().map(|(_, needle)| needle.as_slice()));
    let found = places.iter().flat_map(|(place, bytes)| {
        finder
            .found(bytes)
            .into_iter()
            .map(|index| format!("{} in {place}", needles[index].0))
            .collect::<Vec<_>>()
    });
    assert_eq!(found.collect::<Vec<_>>(), Vec::<String>::new());
    // What is kept can be found in this way: an address of a member is in the journal, as it is and in hexadecimals.
    let known = spellings("ada@example.com");
    let finder = Finder::new(known.iter().map(Vec::as_slice));
    let with_it = places.iter().filter(|(_, bytes)| !finder.found(bytes).is_empty()).count();
    assert!(with_it >= 4, "kept, exported and told: {with_it}");
    let bytes: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
    println!(
        "searched {} places, {bytes} bytes, for {} secrets in {} spellings",
        places.len(),
        secrets.len(),
        needles.len()
    );
}

/// How a secret could be written: as it is; its digits alone, or the bytes they stand for; all of it in hexadecimals, as a
/// database shows bytes.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    let mut spellings = vec![secret.as_bytes().to_vec(), hex(secret.as_bytes())];
    if let Some(digits) = secret.split('_').find(|part| part.len() == 64) {
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
        spellings.push(digits.as_bytes().to_vec());
        spellings.push((0..64).step_by(2).map(byte).collect());
        spellings.push(hex(digits.as_bytes()));
    }
    spellings
}

/// Looks for many texts at once: only where two bytes could begin one, they are compared.
struct Finder<'a> {
    needles: Vec<&'a [u8]>,
    begins: Vec<Vec<usize>>,
}

impl<'a> Finder<'a> {
    fn new(needles: impl Iterator<Item = &'a [u8]>) -> Finder<'a> {
        let needles: Vec<&[u8]> = needles.collect();
        let mut begins = vec![Vec::new(); 1 << 16];
        for (index, needle) in needles.iter().enumerate() {
            begins[usize::from(u16::from_be_bytes([needle[0], needle[1]]))].push(index);
        }
        Finder { needles, begins }
    }

    /// Which of them are there.
    fn found(&self, bytes: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        for (at, pair) in bytes.windows(2).enumerate() {
            let begins = &self.begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))];
            found.extend(begins.iter().filter(|index| bytes[at..].starts_with(self.needles[**index])));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
