//! Looks daily at the money that went back without us: disputes, and refunds at Stripe's own pages.
//!
//! Events say so too, but Stripe lists them for 30 days. After a longer time without a server, what
//! happened meanwhile is found here. The lists of disputes and refunds of the last 180 days are
//! walked through page by page, and each object is observed as after an event, so nothing is done
//! twice. Refunds of this ledger are left out unless they failed: while they are under way, they
//! are due work. How far a walk came is in memory only, so each start begins one.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tollkeeper_engine::Error;
use tollkeeper_ledger::Timestamp;

use super::polling::Polling;
use crate::app::App;
use crate::payments::stripe::calls::PAYMENT_REFUND;
use crate::payments::stripe::error::StripeError;
use crate::payments::stripe::objects::{Identified, List, ObjectId, Refund};
use crate::payments::stripe::observe::{self, Hint, NotObserved, Subject};
use crate::payments::stripe::provider::Stripe;

const DAY: i64 = 24 * 60 * 60;

/// How far back the lists are read. Holders of cards dispute within 120 days as a rule.
const REACH_SECONDS: i64 = 180 * DAY;

/// When a walk that failed is begun again.
const AGAIN_SECONDS: i64 = 60 * 60;

/// The pause after a page, so that a walk leaves Stripe to others.
const PAUSE: Duration = Duration::from_millis(200);

/// How many objects are observed at the same time.
const AT_ONCE: usize = 4;

/// The job with how far it came.
#[derive(Debug)]
pub struct Losses {
    next_at: Timestamp,
    walk: Option<Walk>,
}

/// A walk that is under way.
#[derive(Debug)]
struct Walk {
    begun_at: Timestamp,
    /// The list that is read: first that of disputes, then that of refunds.
    subject: Subject,
    older_than: Option<ObjectId>,
    has_failed: bool,
}

impl Default for Losses {
    fn default() -> Losses {
        Losses { next_at: Timestamp::ZERO, walk: None }
    }
}

impl Polling for Losses {
    const WHAT: &'static str = "refunds and disputes of payments";

    /// Looks at one page of a list.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let Some(stripe) = &app.stripe else { return Ok(false) };
        let reading = app.read_clocks();
        if !app.clock_watch.lets_timers_run(reading) || !self.is_due(reading.now) {
            return Ok(false);
        }
        let walk = self.walk.take().unwrap_or_else(|| Walk::begun(reading.now));
        match walk.go_on(app, stripe).await {
            Ok(Step::Further(walk)) => {
                self.walk = Some(walk);
                tokio::time::sleep(PAUSE).await;
                Ok(true)
            }
            Ok(Step::Ended(walk)) => {
                let pause = if walk.has_failed { AGAIN_SECONDS } else { DAY };
                self.next_at = walk.begun_at.plus_seconds(pause);
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(%error, "Stripe's refunds and disputes cannot be read now; they are read again");
                self.next_at = reading.now.plus_seconds(AGAIN_SECONDS);
                Ok(false)
            }
        }
    }

    fn note_failing(&self, _app: &App) {}
}

impl Losses {
    fn is_due(&self, now: Timestamp) -> bool {
        // A later time than any was set while a clock was ahead.
        self.walk.is_some() || self.next_at <= now || self.next_at > now.plus_seconds(DAY)
    }
}

/// What comes after a page.
enum Step {
    Further(Walk),
    Ended(Walk),
}

impl Walk {
    fn begun(now: Timestamp) -> Walk {
        Walk { begun_at: now, subject: Subject::Dispute, older_than: None, has_failed: false }
    }

    /// Observes a page.
    async fn go_on(mut self, app: &App, stripe: &Stripe) -> Result<Step, StripeError> {
        let since = self.begun_at.plus_seconds(-REACH_SECONDS).seconds();
        let (client, subject) = (stripe.client()?, self.subject);
        let older_than = self.older_than.as_ref();
        let (wanted, last) = match subject {
            Subject::Dispute => ids_of(&client.disputes_since(since, older_than).await?, |_| true),
            _ => ids_of(&client.refunds_since(since, older_than).await?, is_news),
        };
        let done = stream::iter(wanted).map(async |id| {
            let observed = observe::observe_noting(app, stripe, subject, &id, &Hint::default()).await;
            (id, observed)
        });
        let mut done = std::pin::pin!(done.buffer_unordered(AT_ONCE));
        let mut has_failed = self.has_failed;
        while let Some((id, observed)) = done.next().await {
            match observed {
                Ok((_, has_changed)) => {
                    if has_changed {
                        app.metrics.count_reconciled();
                        let (kind, id) = (subject.as_str(), id.as_str());
                        tracing::warn!(kind, id, "money went back and no event arrived; it was found");
                    }
                }
                // It is of a payment that was never granted here.
                Err(NotObserved::Missing) => {}
                Err(why) => {
                    has_failed = true;
                    let (kind, id) = (subject.as_str(), id.as_str());
                    tracing::warn!(kind, id, %why, "money that went back cannot be looked at now");
                }
            }
        }
        self.has_failed = has_failed;
        self.older_than = last;
        Ok(match (&self.older_than, subject) {
            (Some(_), _) => Step::Further(self),
            (None, Subject::Dispute) => Step::Further(Walk { subject: Subject::Refund, ..self }),
            (None, _) => Step::Ended(self),
        })
    }
}

/// The objects of a page that are wanted, and the last one if another page follows.
fn ids_of<T: Identified>(
    page: &List<T>,
    is_wanted: impl Fn(&T) -> bool,
) -> (Vec<ObjectId>, Option<ObjectId>) {
    let wanted = page.data.iter().filter(|object| is_wanted(object)).map(|object| object.id().clone());
    let last = page.data.last().filter(|_| page.has_more).map(|object| object.id().clone());
    (wanted.collect(), last)
}

/// True if a refund may say what the ledger does not know: it was made elsewhere, or it failed.
fn is_news(refund: &Refund) -> bool {
    !refund.metadata.contains_key(PAYMENT_REFUND) || !refund.takes()
}
