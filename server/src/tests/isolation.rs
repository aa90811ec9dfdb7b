//! One command or one account at fault stops nobody else: batches and passed deadlines.

use std::sync::atomic::AtomicBool;

use tollkeeper_engine::embedded::{Core, CoreOptions};
use tollkeeper_engine::{
    BoxFuture, CommandResult, DuePlace, Engine, EngineStats, Error, Query, QueryResult, Ran, Watch,
};
use tollkeeper_ledger::{ChargeId, Platform, Submission, WorkspaceId};

use super::*;
use crate::jobs::due_payments::DuePayments;
use crate::jobs::polling::Polling;
use crate::jobs::time_outs::TimeOuts;
use crate::observe::message_counts::MessageCounts;

/// An engine that fails every command of the workspace `poisoned`, or every batch with one.
struct Faulty {
    engine: Embedded,
    fails_whole: AtomicBool,
}

/// The error of a command at fault.
fn fault() -> Error {
    // An engine makes its errors itself, so one is borrowed from a directory that does not exist.
    Core::open_read_only(Path::new("/nonexistent"), CoreOptions::default()).expect_err("there is nothing")
}

fn is_poisoned(submission: &Submission) -> bool {
    submission.workspace.as_str() == "poisoned"
}

impl Engine for Faulty {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> {
        if is_poisoned(&submission) && matches!(submission.actor, tollkeeper_ledger::Actor::System) {
            return Box::pin(async { Err(fault()) });
        }
        self.engine.run(submission, now)
    }

    fn run_or_shed(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<CommandResult, Error>> {
        self.engine.run_or_shed(submission, now)
    }

    fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> {
        Box::pin(async move {
            if self.fails_whole.load(Ordering::Relaxed) && batch.iter().any(is_poisoned) {
                return Err(fault());
            }
            let mut results = Vec::new();
            for submission in batch {
                let failed = is_poisoned(&submission);
                results.push(if failed { Err(fault()) } else { self.engine.run(submission, now).await });
            }
            Ok(results)
        })
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        self.engine.query(query)
    }

    fn watch(&self, workspace: &WorkspaceId) -> Watch {
        self.engine.watch(workspace)
    }

    fn platform(&self) -> Arc<Platform> {
        self.engine.platform()
    }

    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> {
        self.engine.due(now, most)
    }

    fn due_payments(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        most: usize,
    ) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> {
        self.engine.due_payments(now, after, most)
    }

    fn stats(&self) -> EngineStats {
        self.engine.stats()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.engine.close()
    }
}

/// The workspaces `poisoned` and `acme` with credit, on an engine that fails for the first.
async fn faulty_world(fails_whole: bool) -> World {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let data = dir.path().join("data");
    let engine = Embedded::open(&data, settings().engine_options()).expect("an empty directory opens");
    let engine = Faulty { engine, fails_whole: AtomicBool::new(fails_whole) };
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_millis(time.load(Ordering::Relaxed));
    let app = App::with_clock(Arc::new(engine), &settings(), Box::new(now));
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app: app.into(), clock, _dir: dir };
    for name in ["poisoned", "acme"] {
        let body = format!(r#"{{"id":"{name}","name":"A workspace"}}"#);
        assert_eq!(world.post("/v1/workspaces", "", &body).await.status, 201);
        world.grant(name, "start", 100_000).await;
    }
    world
}

/// A charge that awaits its outcome for ten seconds; returns its path.
async fn pending(world: &World, workspace: &str) -> String {
    let path = format!("/v1/workspaces/{workspace}/charges");
    let body = r#"{"operation":"support_message","await_outcome":true,"timeout_seconds":10}"#;
    let reply = world.post(&path, "pending", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    format!("{path}/{}", reply.id())
}

async fn metric(world: &World, name: &str) -> u64 {
    let text = world.app.metrics.text(EngineStats::default(), false, MessageCounts::default());
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the metric is there");
    line.trim().parse().expect("a number")
}

#[tokio::test]
async fn a_charge_that_cannot_be_timed_out_stops_no_other_and_is_tried_after_a_pause() {
    for fails_whole in [false, true] {
        let world = faulty_world(fails_whole).await;
        let (bad, good) = (pending(&world, "poisoned").await, pending(&world, "acme").await);
        world.pass_seconds(11);
        let mut time_outs = TimeOuts::default();
        time_outs.poll(&world.app).await;
        assert_eq!(world.get(&good).await.json()["outcome"], "timed_out");
        assert_eq!(world.get(&bad).await.json()["status"], "pending");
        let counts = async || {
            let failures = metric(&world, "tollkeeper_time_out_failures_total ").await;
            (failures, metric(&world, "tollkeeper_time_outs_failing ").await)
        };
        assert_eq!(counts().await, (1, 1));
        time_outs.poll(&world.app).await;
        assert_eq!(counts().await, (1, 1), "it waits for a second");
        world.pass_seconds(1);
        time_outs.poll(&world.app).await;
        world.pass_seconds(1);
        time_outs.poll(&world.app).await;
        assert_eq!(counts().await, (2, 1), "the second pause is longer");
        let later = pending_again(&world).await;
        world.pass_seconds(11);
        time_outs.poll(&world.app).await;
        assert_eq!(world.get(&later).await.json()["outcome"], "timed_out");
    }
}

/// Another charge of `acme` that awaits its outcome.
async fn pending_again(world: &World) -> String {
    let path = "/v1/workspaces/acme/charges";
    let body = r#"{"operation":"support_message","await_outcome":true,"timeout_seconds":10}"#;
    format!("{path}/{}", world.post(path, "later", body).await.id())
}

#[tokio::test]
async fn work_of_payments_that_cannot_be_done_stops_no_other_and_is_tried_after_a_pause() {
    let world = faulty_world(false).await;
    let mut paths = Vec::new();
    for workspace in ["poisoned", "acme"] {
        let path = format!("/v1/workspaces/{workspace}/top-ups");
        paths.push(format!("{path}/{}", world.post(&path, "one", r#"{"amount_usd":"5.00"}"#).await.id()));
    }
    world.pass_seconds(90 * 86_400);
    let mut due = DuePayments::default();
    let counts = async || {
        let failures = metric(&world, "tollkeeper_payment_work_failures_total ").await;
        (failures, metric(&world, "tollkeeper_payment_work_failing ").await)
    };
    due.poll(&world.app).await;
    assert_eq!(world.get(&paths[0]).await.json()["status"], "pending");
    assert_eq!(world.get(&paths[1]).await.json()["status"], "expired");
    assert_eq!(counts().await, (1, 1));
    due.poll(&world.app).await;
    assert_eq!(counts().await, (1, 1), "it waits for a second");
    world.pass_seconds(1);
    due.poll(&world.app).await;
    world.pass_seconds(1);
    due.poll(&world.app).await;
    assert_eq!(counts().await, (2, 1), "the second pause is longer");
}

#[tokio::test]
async fn an_item_of_a_batch_that_cannot_be_run_has_its_own_problem() {
    let world = faulty_world(false).await;
    let item = |workspace: &str| {
        format!(r#"{{"workspace":"{workspace}","idempotency_key":"k","operation":"support_message"}}"#)
    };
    let batch = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|workspace| item(workspace)).collect();
        format!(r#"{{"charges":[{}]}}"#, items.join(","))
    };
    let reply = world.post("/v1/charges/batch", "", &batch(&["poisoned", "acme"])).await;
    let results = reply.json()["results"].clone();
    assert_eq!((reply.status, &results[0]["status"], &results[1]["status"]), (200, &503.into(), &201.into()));
    let none = world.post("/v1/charges/batch", "", &batch(&["poisoned"])).await;
    none.problem(503, "store_unavailable");
}
