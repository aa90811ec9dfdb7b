//! Renews what was past due before the settings said that plans renew by themselves.
//!
//! A period that is past due waits for its payment, so no time brings it back (`due_payments`).
//! Settings are read at the start. So after a start with `plans_renew_automatically` this job looks
//! at every workspace once, a page at each poll, and takes the steps that the setting allows. The
//! periods that begin later are renewed when they are due.

use tollkeeper_engine::{Error, Page, Reads, WorkspaceFilter};
use tollkeeper_ledger::{Subscription, WorkspaceId};

use super::polling::Polling;
use super::refused;
use crate::app::App;
use crate::payments::subscriptions::catch_up;

/// How many workspaces are looked at in one poll, which other work waits for.
const PAGE: usize = 100;

/// The job with how far it came.
#[derive(Debug, Default)]
pub struct Renewals {
    /// The next page; `None` at the beginning.
    cursor: Option<String>,
    is_done: bool,
    failed: usize,
}

impl Polling for Renewals {
    const WHAT: &'static str = "plans that renew by themselves";

    /// Looks at one page of workspaces. Only the next poll goes on.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        if self.is_done || !app.payments.plans_renew || !app.clock_watch.lets_timers_run(app.read_clocks()) {
            return Ok(false);
        }
        let page = Page { limit: PAGE, cursor: self.cursor.clone() };
        let listing = app.engine().workspaces(WorkspaceFilter::default(), page).await?;
        for record in &listing.data {
            match renew(app, &record.profile.id).await {
                Ok(()) => {}
                // The same page is looked at again: what was renewed is past due no more.
                Err(error) if error.is_unavailable() || error.is_overloaded() => return Err(error),
                Err(error) => {
                    self.failed += 1;
                    tracing::error!(workspace = %record.profile.id, %error, "its plan is not renewed before the next start");
                }
            }
        }
        self.is_done = listing.next.is_none();
        self.cursor = listing.next;
        if self.is_done && self.failed > 0 {
            tracing::error!(workspaces = self.failed, "plans that were past due are not renewed");
        }
        Ok(false)
    }

    fn note_failing(&self, _: &App) {}
}

/// Renews the plan of a workspace if it is past due.
async fn renew(app: &App, workspace: &WorkspaceId) -> Result<(), Error> {
    let payments = app.engine().payments(workspace).await?;
    let last = payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    if !last.is_some_and(Subscription::waits_to_renew) {
        return Ok(());
    }
    if let Some(refusal) = catch_up(app.engine(), workspace, true, app.now()).await? {
        tracing::error!(%workspace, why = refused(&refusal), "a plan that is past due is not renewed");
    }
    Ok(())
}
