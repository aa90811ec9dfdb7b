//! The suite that both engines keep, on a PostgreSQL database.

use crate::harness::{Client, Home};

#[path = "bad_input.rs"]
mod bad_input;
#[path = "contract/mod.rs"]
mod contract;
#[path = "race.rs"]
mod race;
#[path = "reference.rs"]
mod reference;

#[test]
fn servers_that_start_at_once_make_prices_and_a_key_once() {
    let home = home();
    let servers: Vec<_> = std::thread::scope(|scope| {
        let start = || home.shared_server(home.keyless_command());
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        starting.into_iter().map(|server| server.join().expect("it starts")).collect()
    });
    // They share one file for what they say.
    let said = servers[0].said();
    let keys: Vec<&str> = said.match_indices("tk_platform_").map(|(at, _)| &said[at..at + 76]).collect();
    assert_eq!(keys.len(), 1, "{said}");
    for server in &servers {
        let client = Client::new(&server.url, keys[0]);
        assert_eq!(client.get("/v1/price-book").expect(200).int("/version"), 1);
    }
}

/// Where a test keeps its ledger.
fn home() -> Home {
    Home::database()
}
