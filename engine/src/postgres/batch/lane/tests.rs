//! Tests of what a lane answers when something fails.

use tollkeeper_ledger::{Actor, Command};

use super::*;
use crate::postgres::clock::DatabaseClock;
use crate::postgres::counters::Counters;
use crate::postgres::database::blocking::single_thread_runtime;
use crate::postgres::database::config;
use crate::postgres::delivery::connection::DeliveryShared;
use crate::postgres::long_reads::LongReads;
use crate::postgres::platform::PlatformCell;
use crate::postgres::repairs::Repairs;
use crate::postgres::teams_seen::TeamsSeen;

/// A lane whose database refuses connections.
fn lane_without_database() -> Lane {
    let shared = SharedState {
        address: config::parse("postgres://127.0.0.1:1/none").expect("the address is well-formed"),
        platform: PlatformCell::default(),
        counters: Counters::default(),
        repairs: Repairs::default(),
        clock: DatabaseClock::new(false),
        teams_seen: TeamsSeen::default(),
        long_reads: LongReads::default(),
        watchers: Arc::default(),
        deliveries: DeliveryShared::new().expect("the operating system gives random bytes"),
        retry_for: Duration::ZERO,
        accounts_in_memory: 1,
    };
    Lane::new(Arc::new(shared), 1, Shards::default()).expect("the operating system gives random bytes")
}

fn submission() -> Submission {
    let workspace = WorkspaceId::new("acme").expect("the id is valid");
    let command = Command::SetLimits(Vec::new());
    Submission { workspace, key: None, actor: Actor::System, command }
}

#[test]
fn a_panic_outside_deciding_fails_the_batch_and_not_the_lane() {
    let mut lane = lane_without_database();
    lane.accounts.touch_missing_slot();
    let queue = Arc::new(LaneQueue::new(4));
    let calls = async {
        let now = Timestamp::from_millis(0);
        let panicked = queue.run(submission(), now).await.expect_err("the batch panics");
        assert!(panicked.is_bug(), "nothing was sent: {panicked}");
        let next = queue.run(submission(), now).await.expect_err("there is no database");
        assert!(next.is_unavailable() && next.to_string().contains("database"), "{next}");
        queue.close();
        queue.ended().await;
    };
    let runtime = single_thread_runtime().expect("a runtime starts");
    runtime.block_on(async { tokio::join!(lane.work(Arc::clone(&queue)), calls) });
}

#[test]
fn the_error_of_a_batch_that_may_be_committed_does_not_say_that_it_was_not() {
    let mut lane = lane_without_database();
    assert!(lane.batch_error(Error::panicked(&"an assertion failed")).is_bug());
    lane.may_be_committed = true;
    let error = lane.batch_error(Error::panicked(&"an assertion failed"));
    assert!(error.is_unavailable() && !error.is_bug(), "the caller may retry: {error}");
    assert!(error.to_string().contains("it is not known whether"), "{error}");
}
