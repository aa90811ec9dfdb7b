//! A secret is shown once, by the answer that creates it. After every use and misuse, it is in no
//! stored file or row, no backup or export, no log and no other answer.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::store;
use crate::harness::{Reply, TestClient, TestServer, TestStore, files, form_token, printed, tollkeeper};

/// The platform key of the second start, which a setting provides.
const SET_KEY: &str = "tk_test_fedcba9876543210fedcba9876543210";

/// The requests of the test: collects all answers and all secrets.
struct Recorder {
    client: TestClient,
    /// The secrets, each with a description.
    secrets: Vec<(&'static str, String)>,
    /// The answers, each with a description of its request, without the secret that it may show.
    answers: Vec<(String, String)>,
}

impl Recorder {
    fn new(server: &TestServer) -> Recorder {
        Recorder { client: server.client(), secrets: Vec::new(), answers: Vec::new() }
    }

    /// Sends a request with these headers and collects the whole answer.
    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let none = [("authorization", ""), ("content-type", "application/json")];
        let none = none.into_iter().filter(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        let headers: Vec<_> = none.chain(headers.iter().copied()).collect();
        let reply = self.client.raw(method, path, &headers, body).expect("the server answers");
        let head = reply.headers.iter().map(|(name, value)| format!("{name}: {value:?}\n"));
        let whole = format!("{}\n{}\n{}", reply.status, head.collect::<String>(), reply.text);
        self.answers.push((format!("the answer to {method} of {} bytes", path.len()), whole));
        reply
    }

    /// Sends a request with a key.
    fn send_with(&mut self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let (bearer, body) = (format!("Bearer {key}"), body.to_string());
        let idempotency_key = format!("request {}", self.answers.len());
        // Only what moves credit takes a key.
        let moves = path.ends_with("/charges") || path.ends_with("/grants");
        let keyed = moves.then_some(("idempotency-key", idempotency_key.as_str()));
        let headers: Vec<_> = std::iter::once(("authorization", bearer.as_str())).chain(keyed).collect();
        self.send(method, path, &headers, if body == "null" { "" } else { &body })
    }

    /// Notes that the last answer shows this secret, and removes it there once.
    fn shown(&mut self, what: &'static str, secret: &str) -> String {
        let (_, answer) = self.answers.last_mut().expect("there was an answer");
        *answer = answer.replacen(secret, "(shown)", 1);
        self.secrets.push((what, secret.to_owned()));
        secret.to_owned()
    }

    /// Creates an API key; returns its secret.
    fn api_key(&mut self, platform: &str, what: &'static str, scopes: &[&str]) -> String {
        let body = json!({"name": what, "scopes": scopes, "member": "ada"});
        let made = self.send_with(platform, "POST", "/v1/workspaces/acme/api-keys", body).expect(201);
        self.shown(what, made.json["secret"].as_str().expect("the answer has a secret"))
    }

    /// Creates a sign-in link to the dashboard; returns its path.
    fn link(&mut self, platform: &str, what: &'static str) -> String {
        let body = json!({"member": "ada"});
        let made = self.send_with(platform, "POST", "/v1/workspaces/acme/portal-sessions", body).expect(201);
        let (_, secret) = made.json["url"].as_str().and_then(|url| url.rsplit_once('/')).expect("an address");
        self.shown(what, secret);
        format!("/portal/sign-in/{secret}")
    }

    /// Follows a link; returns the cookie.
    fn sign_in(&mut self, path: &str, what: &'static str) -> String {
        let followed = self.send("POST", path, &[("accept", "text/html")], "").expect(303);
        let cookie = followed.header("set-cookie").and_then(|line| line.split(';').next()).expect("a cookie");
        self.shown(what, cookie.strip_prefix("tollkeeper_session=").expect("the session"));
        cookie.to_owned()
    }
}

/// Uses each key for requests that it may send and for requests that it may not.
fn use_keys(recorder: &mut Recorder, [pays, sees, manages]: [&str; 3]) {
    let charges = "/v1/workspaces/acme/charges";
    let paid =
        recorder.send_with(pays, "POST", charges, json!({"operation": "virtual_try_on"})).expect(201).id();
    recorder
        .send_with(pays, "POST", charges, json!({"operation": "virtual_try_on", "member": "ben"}))
        .expect(403);
    recorder
        .send_with(pays, "POST", charges, json!({"operation": "virtual_try_on", "quantity": 999_999}))
        .expect(402);
    recorder.send_with(pays, "POST", charges, json!({"operation": "teleport"})).expect(404);
    recorder.send_with(pays, "POST", charges, json!({"operation": 7})).expect(422);
    let failed = json!({"result": "failed", "fault": "system"});
    recorder.send_with(pays, "POST", &format!("{charges}/{paid}/outcome"), failed).expect(403);
    let batch = json!({"charges": [
        {"workspace": "acme", "idempotency_key": "b", "operation": "support_message"},
        {"workspace": "other", "idempotency_key": "b", "operation": "support_message"},
    ]});
    recorder.send_with(pays, "POST", "/v1/charges/batch", batch).expect(200);
    recorder.send_with(pays, "GET", charges, Value::Null).expect(403);
    for path in ["", "/balance", "/charges", "/entries?limit=200", "/limits", "/alerts"] {
        recorder.send_with(sees, "GET", &format!("/v1/workspaces/acme{path}"), Value::Null).expect(200);
    }
    recorder.send_with(sees, "GET", "/v1/workspaces/other/balance", Value::Null).expect(404);
    for path in ["/members", "/members/ada", "/api-keys", "/limits", "/alerts"] {
        recorder.send_with(manages, "GET", &format!("/v1/workspaces/acme{path}"), Value::Null).expect(200);
    }
    let limits = json!({"limits": [{"subject": "member", "id": "ada", "period": "day", "amount": 1}]});
    recorder.send_with(manages, "PUT", "/v1/workspaces/acme/limits", limits).expect(200);
    recorder.send_with(pays, "POST", charges, json!({"operation": "virtual_try_on"})).expect(402);
    recorder.send_with(manages, "PUT", "/v1/workspaces/acme/limits", json!({"limits": []})).expect(200);
    recorder.send_with(manages, "DELETE", "/v1/workspaces/acme", Value::Null).expect(405);
}

/// Sends every secret in wrong places of a request; every request is refused.
fn misuse(recorder: &mut Recorder, server: &TestServer) {
    for (_, secret) in recorder.secrets.clone() {
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
            recorder.send("GET", path, &[header], "").expect(401);
        }
        recorder.send("GET", &format!("/portal/sign-in/{secret}x"), &[], "").expect(410);
        recorder.send("GET", &format!("/v1/{secret}"), &[], "").expect(404);
        recorder.send("GET", &format!("/healthz?access_token={secret}"), &[], "").expect(400);
        recorder.send("POST", "/v1/workspaces", &[("authorization", bearer.as_str())], &secret).expect(401);
        // Requests that are not HTTP, which the log reports.
        for broken in [
            format!("GET /portal/sign-in/{secret} HTTP/9.9\r\nHost: x\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nAuthorization: Bearer {secret}\r\nno header\r\n\r\n"),
            format!(
                "POST / HTTP/1.1\r\nAuthorization: Bearer {secret}\r\nContent-Length: 999\r\n\r\n{secret}"
            ),
            secret.clone(),
        ] {
            let answer = server.send_bytes(broken.as_bytes());
            recorder.answers.push(("the answer to a request that is not HTTP".to_owned(), answer));
        }
    }
}

/// Sends keys that do not exist: with one wrong digit, of the right form, and of another form.
fn wrong_keys(recorder: &mut Recorder, right: &str) {
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
        recorder.send_with(&wrong, "GET", "/v1/workspaces/acme/balance", Value::Null).expect(401);
        let cookie = format!("tollkeeper_session={wrong}");
        recorder.send("GET", "/portal", &[("cookie", &cookie), ("accept", "text/html")], "").expect(401);
        recorder.send("GET", &format!("/portal/sign-in/{wrong}"), &[("accept", "text/html")], "").expect(410);
        recorder.secrets.push(("a wrong key", wrong));
    }
}

/// Signs in and out of the dashboard, twice; one session stays open, one link is never followed.
fn use_the_dashboard(recorder: &mut Recorder, platform: &str) {
    let first = recorder.link(platform, "a link that was followed");
    let cookie = recorder.sign_in(&first, "a session that was ended");
    let page = [("cookie", cookie.as_str()), ("accept", "text/html")];
    let shown = recorder.send("GET", "/portal", &page, "").expect(200);
    recorder.send("GET", "/portal/session", &page, "").expect(200);
    recorder.send("GET", &first, &page, "").expect(303);
    recorder.send("GET", &first, &page[1..], "").expect(410);
    let form = [page[0], page[1], ("content-type", "application/x-www-form-urlencoded")];
    recorder.send("POST", "/portal/sign-out", &form, "token=wrong").expect(403);
    recorder.send("POST", "/portal/sign-out", &form, &form_token(&shown)).expect(200);
    recorder.send("GET", "/portal", &page, "").expect(401);
    let second = recorder.link(platform, "another link that was followed");
    let cookie = recorder.sign_in(&second, "a session that is open");
    recorder.send("GET", "/portal", &[("cookie", &cookie)], "").expect(200);
    let third = recorder.link(platform, "a link that was not followed");
    recorder.send("HEAD", &third, &[], "").expect(200);
}

/// Starts a server that logs everything, as JSON.
fn server_with_debug_log(store: &TestStore, key: Option<&str>) -> TestServer {
    let mut command = store.command_without_key();
    command.env("TOLLKEEPER_LOG_LEVEL", "debug").env("TOLLKEEPER_LOG_FORMAT", "json");
    command.envs(key.map(|key| ("TOLLKEEPER_PLATFORM_KEY", key)));
    command.env("TOLLKEEPER_WORKSPACE_KEY_REQUESTS_PER_SECOND", "2");
    store.start_server(command)
}

/// Runs a command on the store, which must succeed; returns its output.
fn command(store: &TestStore, args: &[&str]) -> String {
    let mut command = tollkeeper();
    command.args(args);
    store.add_to(&mut command);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
    printed(&output)
}

#[test]
fn a_secret_is_shown_once_and_found_nowhere_else() {
    let Some(store) = store() else { return };
    let own = TempDir::new().expect("a temporary directory can be created");
    let mut server = server_with_debug_log(&store, None);
    let mut recorder = Recorder::new(&server);
    let log = server.stderr_text();
    let made = log.split_whitespace().find(|word| word.starts_with("tk_platform_")).expect("a key is shown");
    recorder.secrets.push(("the platform key of the first start", made.to_owned()));
    let platform = made.to_owned();
    for id in ["acme", "other"] {
        recorder.send_with(&platform, "POST", "/v1/workspaces", json!({"id": id, "name": id})).expect(201);
    }
    let ada = json!({"id": "ada", "email": "ada@example.com", "name": "Ada", "role": "admin"});
    recorder.send_with(&platform, "POST", "/v1/workspaces/acme/members", ada).expect(201);
    let grant = json!({"source": "promotional", "amount": 1_000_000, "reason": "a test"});
    recorder.send_with(&platform, "POST", "/v1/workspaces/acme/grants", grant).expect(201);
    let pays = recorder.api_key(&platform, "a key with scope charge", &["charge"]);
    let sees = recorder.api_key(&platform, "a key with scope read", &["read"]);
    let manages = recorder.api_key(&platform, "a key with scope manage", &["manage"]);
    use_keys(&mut recorder, [&pays, &sees, &manages]);
    use_the_dashboard(&mut recorder, &platform);
    wrong_keys(&mut recorder, &pays);

    // Restart with another platform key, which replaces the first; revoke a key; exceed a rate
    // limit.
    let mut logs = vec![("what the first start printed".to_owned(), stop(&mut server))];
    let mut server = server_with_debug_log(&store, Some(SET_KEY));
    recorder.client = server.client();
    recorder.secrets.push(("the platform key that is set", SET_KEY.to_owned()));
    recorder.send_with(&platform, "GET", "/v1/workspaces", Value::Null).expect(401);
    recorder.send_with(SET_KEY, "GET", "/v1/workspaces", Value::Null).expect(200);
    let list = recorder.send_with(SET_KEY, "GET", "/v1/workspaces/acme/api-keys", Value::Null).expect(200);
    let statuses =
        (0..60).map(|_| recorder.send_with(&sees, "GET", "/v1/workspaces/acme/balance", Value::Null).status);
    assert!(statuses.collect::<Vec<_>>().contains(&429));
    let id = list.json["data"][0]["id"].as_str().expect("the answer has an id");
    recorder
        .send_with(SET_KEY, "DELETE", &format!("/v1/workspaces/acme/api-keys/{id}"), Value::Null)
        .expect(204);
    recorder.send_with(&manages, "GET", "/v1/workspaces/acme/members", Value::Null).expect(401);
    misuse(&mut recorder, &server);
    for path in ["/metrics", "/openapi.json", "/docs", "/healthz", "/readyz", "/v1/nothing"] {
        recorder.send("GET", path, &[], "");
    }
    recorder.send_with(SET_KEY, "GET", "/v1/workspaces/acme/entries?limit=200", Value::Null).expect(200);

    let mut places = store.contents();
    places.extend(copies(&store, own.path()));
    logs.push(("what the second start printed".to_owned(), stop(&mut server)));
    let log = server.stderr_text();
    assert!(log.lines().filter(|line| line.starts_with('{')).count() > 0, "there is a log: {log}");
    assert_eq!(log.matches(&platform).count(), 1, "the first start shows its key");
    logs.push(("the log".to_owned(), log.replacen(&platform, "(shown)", 1)));
    places.extend(store.contents());
    logs.append(&mut recorder.answers);
    places.extend(logs.into_iter().map(|(name, text)| (name, text.into_bytes())));
    search(&places, &recorder.secrets);
}

/// Stops a server; returns what it printed to stdout.
fn stop(server: &mut TestServer) -> String {
    assert_eq!(server.stop().code(), Some(0));
    server.rest_of_stdout()
}

/// Copies of the store: an export, a backup of a data directory, and the output of commands.
fn copies(store: &TestStore, own: &Path) -> Vec<(String, Vec<u8>)> {
    let text = |name: &str| own.join(name).to_str().expect("the path is UTF-8").to_owned();
    let mut outputs = vec![
        ("the output of export", command(store, &["export", "--to", &text("export")])),
        ("the output of audit", command(store, &["audit", "--json"])),
        ("the list of keys", command(store, &["key", "list", "acme", "--json"])),
        ("the journal", command(store, &["entries", "acme", "--json", "--limit", "200"])),
    ];
    let mut copies = files(own);
    assert_eq!(copies.len(), 1, "there is an export");
    if store.url().is_none() {
        outputs.push(("the output of backup", command(store, &["backup", "--to", &text("backup")])));
        copies.extend(files(&own.join("backup")));
    }
    copies.extend(outputs.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())));
    copies
}

/// Searches every place for every secret, in every encoding.
fn search(places: &[(String, Vec<u8>)], secrets: &[(&str, String)]) {
    let needles: Vec<(&str, Vec<u8>)> = secrets
        .iter()
        .flat_map(|(what, secret)| encodings(secret).into_iter().map(|needle| (*what, needle)))
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
    // The search itself works: the address of a member is in the store, plain or in hexadecimal.
    let present = encodings("ada@example.com");
    let finder = Finder::new(present.iter().map(Vec::as_slice));
    let with_it = places.iter().filter(|(_, bytes)| !finder.found(bytes).is_empty()).count();
    assert!(with_it >= 4, "found in {with_it} places only");
    let bytes: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
    println!(
        "searched {} places, {bytes} bytes, for {} secrets in {} encodings",
        places.len(),
        secrets.len(),
        needles.len()
    );
}

/// The encodings of a secret: plain, its digits alone, the bytes of the digits, and all of it in
/// hexadecimal, as a database shows bytes.
fn encodings(secret: &str) -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    let mut encodings = vec![secret.as_bytes().to_vec(), hex(secret.as_bytes())];
    if let Some(digits) = secret.split('_').find(|part| part.len() == 64) {
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
        encodings.push(digits.as_bytes().to_vec());
        encodings.push((0..64).step_by(2).map(byte).collect());
        encodings.push(hex(digits.as_bytes()));
    }
    encodings
}

/// Searches for many texts at once, by an index of their first two bytes.
struct Finder<'a> {
    needles: Vec<&'a [u8]>,
    /// The texts that begin with two bytes, by those bytes.
    by_first_two: Vec<Vec<usize>>,
}

impl<'a> Finder<'a> {
    fn new(needles: impl Iterator<Item = &'a [u8]>) -> Finder<'a> {
        let needles: Vec<&[u8]> = needles.collect();
        let mut by_first_two = vec![Vec::new(); 1 << 16];
        for (index, needle) in needles.iter().enumerate() {
            by_first_two[usize::from(u16::from_be_bytes([needle[0], needle[1]]))].push(index);
        }
        Finder { needles, by_first_two }
    }

    /// The indexes of the texts that `bytes` contains.
    fn found(&self, bytes: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        for (at, pair) in bytes.windows(2).enumerate() {
            let begins = &self.by_first_two[usize::from(u16::from_be_bytes([pair[0], pair[1]]))];
            found.extend(begins.iter().filter(|index| bytes[at..].starts_with(self.needles[**index])));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
