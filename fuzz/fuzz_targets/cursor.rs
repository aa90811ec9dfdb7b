//! Cursors: the first byte selects a list, the rest is the `cursor` parameter. An arbitrary cursor
//! is refused with a 400 or answered with a page, never a panic; the cursor of that page is then
//! accepted too.

#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use tollkeeper_fuzz::{Answer, Server};

/// The lists with pages.
const LISTS: [&str; 7] = [
    "/v1/workspaces",
    "/v1/workspaces/acme/charges",
    "/v1/workspaces/acme/grants",
    "/v1/workspaces/acme/entries",
    "/v1/workspaces/acme/members",
    "/v1/workspaces/acme/api-keys",
    "/v1/price-book/versions",
];

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    let Some((first, cursor)) = input.split_first() else { return };
    let list = LISTS[usize::from(*first) % LISTS.len()];
    SERVER.with(|server| {
        let server = server.get_or_init(Server::start);
        let answer = page(server, list, cursor);
        if let Some(next) = answer.body["next_cursor"].as_str() {
            let next = page(server, list, next.as_bytes());
            assert_eq!(next.status, 200, "{list}: its own cursor is refused: {}", next.body);
        }
    });
});

/// Two rows of a list from a cursor; the status is 200 or 400.
fn page(server: &Server, list: &str, cursor: &[u8]) -> Answer {
    let cursor: String = form_urlencoded::byte_serialize(cursor).collect();
    let answer = server.send("GET", &format!("{list}?limit=2&cursor={cursor}"), b"");
    assert!(matches!(answer.status, 200 | 400), "{list} {cursor}: {}", answer.body);
    answer
}
