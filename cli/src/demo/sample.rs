//! Fills a new ledger with what a state of the demo shows, before the server starts.
//!
//! What a history begins with is created through the API of a server whose clock stands at its
//! beginning. That server has no mailer: nobody is mailed about the past.

use std::sync::Arc;

use tollkeeper_engine::{Engine, Reads};
use tollkeeper_ledger::{Actor, Command, Submission, Timestamp, WorkspaceChanges, WorkspaceId};
use tollkeeper_server::settings::{AccessSettings, Secret};
use tollkeeper_server::{App, Settings};

use super::failures::{failed, named, refused};
use super::history::History;
use super::people::{self, WORKSPACE};
use super::rules;
use super::state::{Found, State};
use super::traffic::{DAY, DAYS};
use crate::server_process;
use crate::terminal::failure::Failure;

/// Fills an empty ledger. The history ends at `now`.
pub async fn fill(
    engine: &Arc<dyn Engine>,
    state: State,
    charges: u64,
    key: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let is_first_run = state == State::FirstRun;
    let begin = if is_first_run { now } else { Timestamp::from_millis(now.millis() - DAYS * DAY) };
    let app = app_at(engine, key, begin);
    server_process::prepare(&app, |_| {}).await?;
    if is_first_run {
        people::create_workspace(&app, key, &state.metadata()).await?;
        people::add_members(&app, key, "admin", 1).await?;
        return people::add_members(&app, key, "member", 1).await;
    }
    people::create_workspace(&app, key, &State::unfinished()).await?;
    for role in ["admin", "member"] {
        people::add_members(&app, key, role, usize::MAX).await?;
    }
    let keys = people::create_keys(&app, key).await?;
    run(engine, rules::welcome(), begin).await?;
    History::new(Arc::clone(engine), keys, state, charges, now)?.run().await?;
    let metadata = Some(Some(state.metadata().to_string().into()));
    let finished = WorkspaceChanges { metadata, ..WorkspaceChanges::default() };
    run(engine, Command::UpdateWorkspace(finished), now).await
}

/// What the ledger knows of the workspace of the demo; `None` if it has none.
pub async fn find(engine: &dyn Engine) -> Result<Option<Found>, Failure> {
    let workspace = named(WorkspaceId::new(WORKSPACE))?;
    let profile = engine.workspace(&workspace).await;
    let profile = profile.map_err(|why| Failure::of_engine("the workspace cannot be read", &why))?;
    Ok(profile.map(|profile| Found::of(&profile)))
}

/// The state of a server whose clock stands at `at`, with the default settings.
fn app_at(engine: &Arc<dyn Engine>, key: &str, at: Timestamp) -> Arc<App> {
    let access = AccessSettings { platform_key: Some(Secret::new(key)), ..AccessSettings::default() };
    let settings = Settings { access, ..Settings::default() };
    App::with_clock(Arc::clone(engine), &settings, Box::new(move || at))
}

async fn run(engine: &Arc<dyn Engine>, command: Command, at: Timestamp) -> Result<(), Failure> {
    let workspace = named(WorkspaceId::new(WORKSPACE))?;
    let submission = Submission { workspace, key: None, actor: Actor::Platform, command };
    let result = engine.run(submission, at).await;
    let result = result.map_err(|why| failed(&why))?;
    result.map(drop).map_err(|refusal| refused(&refusal))
}
