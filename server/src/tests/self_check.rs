//! The job that recomputes accounts while the server runs.

use std::sync::Arc;

use tollkeeper_engine::{
    BoxFuture, CommandResult, DuePlace, Engine, EngineStats, Error, Query, QueryResult, Ran, Watch,
};
use tollkeeper_ledger::{ChargeId, Micros, Platform, Submission, Timestamp, WorkspaceId};

use super::{NOW, World, settings, world_with};
use crate::App;
use crate::jobs::polling::Polling;
use crate::jobs::self_check::SelfCheck;

const CHECKED: &str = "tollkeeper_self_checks_total";
const DISAGREEING: &str = "tollkeeper_self_check_disagreements_total";

/// An account with some of everything.
async fn busy() -> World {
    let world = world_with(1_000_000).await;
    let path = |rest: &str| format!("/v1/workspaces/acme/{rest}");
    world.grant("acme", "small", 500).await;
    for n in 0..30 {
        world.charge(&format!("charge-{n}"), r#"{"operation":"product_listing"}"#).await;
    }
    let pending = r#"{"operation":"virtual_try_on","await_outcome":true}"#;
    let charge = world.charge("pending", pending).await.id();
    let failed = r#"{"result":"failed","fault":"system"}"#;
    let outcome = world.post(&path(&format!("charges/{charge}/outcome")), "", failed).await;
    assert_eq!(outcome.status, 200, "{}", outcome.text);
    let limits = r#"{"limits":[{"subject":"workspace","period":"day","amount":900000}]}"#;
    assert_eq!(world.put("PUT", &path("limits"), "", limits).await.status, 200);
    let member = r#"{"id":"ada","email":"ada@example.com","name":"Ada","role":"admin"}"#;
    assert_eq!(world.post(&path("members"), "", member).await.status, 201);
    let top_up = world.post(&path("top-ups"), "top-up", r#"{"amount_usd":"25.00"}"#).await.id();
    let confirmed = world.post(&path(&format!("top-ups/{top_up}/confirm")), "", "{}").await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text);
    assert_eq!(world.post("/v1/workspaces", "", r#"{"id":"empty","name":"Empty"}"#).await.status, 201);
    world
}

#[tokio::test]
async fn sound_accounts_agree_once_a_day() {
    let world = busy().await;
    let mut job = SelfCheck::without_rests();
    job.poll(&world.app).await;
    assert_eq!((world.counted(CHECKED).await, world.counted(DISAGREEING).await), (2, 0));
    job.poll(&world.app).await;
    assert_eq!(world.counted(CHECKED).await, 2, "a day has one round");
    world.pass_seconds(24 * 60 * 60);
    world.charge("next day", r#"{"operation":"product_listing"}"#).await;
    job.poll(&world.app).await;
    assert_eq!((world.counted(CHECKED).await, world.counted(DISAGREEING).await), (4, 0));
}

/// What an engine shows otherwise than its journal says.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Balance,
    Grant,
    Team,
    Payments,
    Limits,
    Profile,
}

/// An engine that shows one thing of `acme` wrongly.
struct Lying {
    engine: Arc<App>,
    wrong: Wrong,
}

#[rustfmt::skip]
impl Engine for Lying {
    fn run(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> { self.engine.engine().run(submission, now) }
    fn run_or_shed(&self, submission: Submission, now: Timestamp) -> BoxFuture<'_, Result<CommandResult, Error>> { self.engine.engine().run_or_shed(submission, now) }
    fn run_each(&self, batch: Vec<Submission>, now: Timestamp) -> BoxFuture<'_, Result<Vec<Ran>, Error>> { self.engine.engine().run_each(batch, now) }
    fn query(&self, query: Query) -> BoxFuture<'_, Result<QueryResult, Error>> {
        Box::pin(async move { Ok(falsified(self.engine.engine().query(query).await?, self.wrong)) })
    }
    fn watch(&self, workspace: &WorkspaceId) -> Watch { self.engine.engine().watch(workspace) }
    fn platform(&self) -> Arc<Platform> { self.engine.engine().platform() }
    fn due(&self, now: Timestamp, most: usize) -> BoxFuture<'_, Result<Vec<(WorkspaceId, ChargeId)>, Error>> { self.engine.engine().due(now, most) }
    fn due_payments(&self, now: Timestamp, after: Option<DuePlace>, most: usize) -> BoxFuture<'_, Result<Vec<DuePlace>, Error>> { self.engine.engine().due_payments(now, after, most) }
    fn stats(&self) -> EngineStats { self.engine.engine().stats() }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> { self.engine.engine().close() }
}

fn falsified(mut result: QueryResult, wrong: Wrong) -> QueryResult {
    match (&mut result, wrong) {
        (QueryResult::Balance(Some(found)), Wrong::Balance) => found.balance.available += Micros::new(1),
        (QueryResult::Grants(Some(found)), Wrong::Grant) => {
            found.data.iter_mut().take(1).for_each(|record| record.grant.remaining += Micros::new(1));
        }
        (QueryResult::Team(team), Wrong::Team) => *team = Some(Arc::default()),
        (QueryResult::Payments(payments), Wrong::Payments) => *payments = Some(Arc::default()),
        (QueryResult::Limits(Some((limits, _))), Wrong::Limits) => *limits = Default::default(),
        (QueryResult::Workspace(Some(profile)), Wrong::Profile) => profile.suspended = !profile.suspended,
        _ => {}
    }
    result
}

#[tokio::test]
async fn an_account_that_is_shown_otherwise_is_counted() {
    let world = busy().await;
    let all = [Wrong::Balance, Wrong::Grant, Wrong::Team, Wrong::Payments, Wrong::Limits, Wrong::Profile];
    for wrong in all {
        let lying = Lying { engine: Arc::clone(&world.app), wrong };
        let clock = Box::new(|| Timestamp::from_millis(NOW));
        let app = App::with_clock(Arc::new(lying), &settings(), clock);
        let mut job = SelfCheck::without_rests();
        job.poll(&app).await;
        let text = app.metrics.text(app.engine().stats(), false, app.message_counts());
        assert!(!text.contains(&format!("{DISAGREEING} 0")), "{wrong:?} is not seen");
    }
}
