//! JSON reader: the first byte selects a request, the rest is its body. Arbitrary bodies are
//! refused with a problem document or accepted, never a panic. The server is read-only, so an
//! accepted command is answered 503.

#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use tollkeeper_fuzz::Server;

/// The requests with a body. `{charge}` and `{grant}` are the ids of a charge and a grant.
const REQUESTS: [(&str, &str); 16] = [
    ("POST", "/v1/workspaces"),
    ("PATCH", "/v1/workspaces/acme"),
    ("POST", "/v1/workspaces/acme/charges"),
    ("POST", "/v1/charges/batch"),
    ("POST", "/v1/workspaces/acme/charges/{charge}/outcome"),
    ("POST", "/v1/workspaces/acme/charges/{charge}/heartbeat"),
    ("POST", "/v1/workspaces/acme/charges/{charge}/refund"),
    ("POST", "/v1/workspaces/acme/quote"),
    ("POST", "/v1/workspaces/acme/grants"),
    ("POST", "/v1/workspaces/acme/members"),
    ("PATCH", "/v1/workspaces/acme/members/m1"),
    ("POST", "/v1/workspaces/acme/api-keys"),
    ("PUT", "/v1/workspaces/acme/limits"),
    ("POST", "/v1/workspaces/acme/portal-sessions"),
    ("PUT", "/v1/price-book"),
    ("POST", "/v1/workspaces/acme/grants/{grant}/void"),
];

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let (method, path) = REQUESTS[usize::from(*first) % REQUESTS.len()];
    SERVER.with(|server| {
        let server = server.get_or_init(Server::start);
        let path = path.replace("{charge}", &server.charge).replace("{grant}", &server.grant);
        let answer = server.send(method, &path, body);
        let status = answer.status;
        assert!(status != 201 && status != 204, "{method} {path}: {status} from a read-only directory");
        if status >= 400 {
            assert_eq!(answer.body["status"], status, "{method} {path}: not a problem document");
            assert!(answer.body["code"].is_string(), "{method} {path}: a problem without a code");
        }
    });
});
