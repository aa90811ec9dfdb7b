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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tollkeeper_engine::{Embedded, Options, Page};
    use tollkeeper_ledger::{Entry, EntryBody, Kind, Micros, PaymentChange};

    use super::*;
    use crate::demo::traffic::HOUR;

    /// Sunday, 3 January 2027, 00:20 UTC.
    const SUNDAY: i64 = 1_798_935_600_000;

    async fn all_entries(engine: &dyn Engine) -> Vec<Entry> {
        let acme = WorkspaceId::new(WORKSPACE).expect("a valid id");
        let mut entries = Vec::new();
        let mut page = Page { limit: 1_000, cursor: None };
        loop {
            let listed = engine.entries(&acme, page.clone()).await.expect("the engine reads");
            let listed = listed.expect("the workspace exists");
            entries.extend(listed.data.into_iter().map(|record| record.entry));
            page.cursor = listed.next;
            if page.cursor.is_none() {
                return entries;
            }
        }
    }

    #[tokio::test]
    async fn a_history_can_end_at_any_time_of_the_week() {
        for (number, state) in [State::Normal, State::ZeroBalance].into_iter().cycle().take(4).enumerate() {
            let end = Timestamp::from_millis(SUNDAY + number as i64 * (2 * DAY + 7 * HOUR));
            let own = TempDir::new().expect("a temporary directory can be created");
            let engine = Embedded::open(own.path(), Options::default()).expect("the engine opens");
            let engine: Arc<dyn Engine> = Arc::new(engine);
            fill(&engine, state, 2_000, "demo-0123456789abcdef", end).await.expect("the demo is filled");

            assert_eq!(engine.stats().entries_decided_ahead, 0, "commands are in the order of their times");
            let entries = all_entries(&*engine).await;
            let begin = Timestamp::from_millis(end.millis() - DAYS * DAY);
            assert!(entries.iter().all(|entry| (begin..=end).contains(&entry.at)));
            let balance = entries[0].balance;
            assert_eq!(balance.debt, Micros::ZERO);
            assert_eq!(balance.available == Micros::ZERO, state == State::ZeroBalance, "{balance:?}");
            let count = |kind: Kind| entries.iter().filter(|entry| entry.body.kind() == kind).count();
            assert!(count(Kind::ChargeRefunded) > 5 && count(Kind::ChargeSettled) > 5);
            assert!(count(Kind::BalanceRefused) > 0 && count(Kind::BalanceLow) > 0, "{state:?} {number}");
            let is_paid = |entry: &&Entry| {
                let EntryBody::Payment(change) = &entry.body else { return false };
                matches!(**change, PaymentChange::TopUpSucceeded { .. })
            };
            let paid = entries.iter().filter(is_paid).count();
            assert!(paid >= 3, "several top-ups were paid: {paid}");
            engine.close().await.expect("the engine closes");
        }
    }
}
