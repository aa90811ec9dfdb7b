//! Recomputes one account after another from its journal, and compares it with the account that
//! decides.
//!
//! The replay checks the chain of hashes, the balance after each entry and the invariants of the
//! ledger. Then the profile, the balance, the grants, the limits, the team and the payments must be
//! those that the engine shows. An audit checks more, and reads the whole store at once. This job
//! rests [`REST_FACTOR`] times as long as it works, so that charges do not notice it.
//!
//! A disagreement is logged and counted, and changes nothing. Not compared: an account that gets
//! entries faster than the job reads them, usage, and deadlines.

use std::time::Instant;

use tollkeeper_engine::{Error, Follow, Page, Reads};
use tollkeeper_ledger::{Account, Grant, Micros, WorkspaceId};

use super::polling::Polling;
use super::rounds::Rounds;
use crate::app::App;

/// How many entries are read at a time.
const ENTRIES: usize = 1_000;

/// How many grants are read at a time.
const ROWS: usize = 100;

/// How often an account is compared that gets entries meanwhile.
const ATTEMPTS: u32 = 5;

/// How many times as long as it works the job rests.
const REST_FACTOR: u32 = 50;

/// From the beginning of one round over all workspaces to that of the next.
const ROUND_SECONDS: i64 = 24 * 60 * 60;

/// The job with how far it came.
#[derive(Debug)]
pub struct SelfCheck {
    rounds: Rounds,
    replay: Option<Replay>,
}

/// An account that is recomputed.
#[derive(Debug)]
struct Replay {
    account: Account,
    attempts: u32,
}

/// What became of a step of a replay.
enum Step {
    /// There is more to read, or to compare again.
    Further(Box<Replay>),
    /// The account is as it should be.
    Agrees,
    /// The account got entries each time it was compared.
    Busy,
    Disagrees(String),
}

impl Default for SelfCheck {
    fn default() -> SelfCheck {
        SelfCheck { rounds: Rounds::new(ROUND_SECONDS, REST_FACTOR), replay: None }
    }
}

impl Polling for SelfCheck {
    const WHAT: &'static str = "checks of accounts";

    /// Reads entries of a workspace, or compares one account.
    async fn do_batch(&mut self, app: &App) -> Result<bool, Error> {
        let started = Instant::now();
        let replay = match self.replay.take() {
            Some(replay) => replay,
            None => match self.rounds.next(app, app.now()).await? {
                Some(workspace) => Replay { account: Account::new(workspace), attempts: 0 },
                None => return Ok(false),
            },
        };
        let workspace = replay.account.profile.id.clone();
        match replay.go_on(app).await {
            Ok(Step::Further(replay)) => self.replay = Some(*replay),
            Ok(Step::Agrees) => app.metrics.count_self_check(),
            Ok(Step::Busy) => {}
            Ok(Step::Disagrees(what)) => note(app, &workspace, &what),
            // The engine refuses the account, or its rows are damaged.
            Err(error) if error.is_of_one_command() || error.is_damaged() => {
                note(app, &workspace, &error.to_string());
            }
            Err(error) => return Err(error),
        }
        self.rounds.rest_after(started).await;
        Ok(true)
    }

    fn note_failing(&self, _: &App) {}
}

impl SelfCheck {
    /// The same without rests.
    #[cfg(test)]
    pub(crate) fn without_rests() -> SelfCheck {
        SelfCheck { rounds: SelfCheck::default().rounds.without_rests(), ..SelfCheck::default() }
    }
}

fn note(app: &App, workspace: &WorkspaceId, what: &str) {
    app.metrics.count_self_check();
    app.metrics.count_self_check_disagreement();
    tracing::error!(%workspace, what, "an account does not follow from its journal; run `tollkeeper audit`");
}

impl Replay {
    async fn go_on(mut self, app: &App) -> Result<Step, Error> {
        let workspace = self.account.profile.id.clone();
        let read = self.read(app).await?;
        match read {
            Err(what) => return Ok(Step::Disagrees(what)),
            Ok(0) => {}
            Ok(_) => return Ok(Step::Further(Box::new(self))),
        }
        let difference = self.difference(app, &workspace).await?;
        // What was compared is of one moment only if no entry came meanwhile.
        match (self.read(app).await?, difference) {
            (Err(what), _) => Ok(Step::Disagrees(what)),
            (Ok(0), Some(what)) => Ok(Step::Disagrees(what.to_owned())),
            (Ok(0), None) => Ok(Step::Agrees),
            (Ok(_), _) if self.attempts + 1 == ATTEMPTS => Ok(Step::Busy),
            (Ok(_), _) => Ok(Step::Further(Box::new(Replay { attempts: self.attempts + 1, ..self }))),
        }
    }

    /// Replays the entries that follow; returns how many, or what disagrees.
    async fn read(&mut self, app: &App) -> Result<Result<usize, String>, Error> {
        let n = self.account.chain.n;
        let follow = Follow { after: n, kinds: None, limit: ENTRIES };
        let Some(followed) = app.engine().entries_after(&self.account.profile.id, follow).await? else {
            return Ok(Err("its journal is missing".to_owned()));
        };
        if followed.last < n {
            return Ok(Err(format!("its journal ends with entry {} and had {n}", followed.last)));
        }
        for record in &followed.data {
            if let Err(why) = self.account.replay(&record.entry, record.hash) {
                return Ok(Err(format!("entry {} does not follow: {why}", record.entry.n)));
            }
        }
        Ok(Ok(followed.data.len()))
    }

    /// The first part of the account that the engine shows otherwise.
    async fn difference(&self, app: &App, workspace: &WorkspaceId) -> Result<Option<&'static str>, Error> {
        let (engine, account) = (app.engine(), &self.account);
        if engine.workspace(workspace).await?.as_ref() != Some(&*account.profile) {
            return Ok(Some("its profile differs"));
        }
        if engine.balance(workspace, None).await?.map(|found| found.balance) != Some(account.balance) {
            return Ok(Some("its balance differs"));
        }
        if engine.team(workspace).await?.as_deref() != Some(&*account.team) {
            return Ok(Some("its team differs"));
        }
        let payments = engine.payments(workspace).await?;
        let is_same = match &account.payments {
            Some(own) => payments.as_ref() == Some(own),
            None => payments.is_some_and(|payments| *payments == Default::default()),
        };
        if !is_same {
            return Ok(Some("its payments differ"));
        }
        let limits = engine.limits(workspace, app.now()).await?;
        if limits.map(|(limits, _)| limits).as_ref() != Some(&account.limits) {
            return Ok(Some("its limits differ"));
        }
        self.grants_difference(app, workspace).await
    }

    async fn grants_difference(
        &self,
        app: &App,
        workspace: &WorkspaceId,
    ) -> Result<Option<&'static str>, Error> {
        let (mut cursor, mut count, mut remaining) = (None, 0, Micros::ZERO);
        loop {
            let page = Page { limit: ROWS, cursor };
            let Some(listing) = app.engine().grants(workspace, page).await? else {
                return Ok(Some("its grants are missing"));
            };
            for record in &listing.data {
                let own: Option<&Grant> = self.account.grants.get(record.grant.n);
                if own != Some(&record.grant) {
                    return Ok(Some("a grant differs"));
                }
                count += 1;
                remaining += record.grant.remaining;
            }
            match listing.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let is_whole = count == self.account.grants.iter().count();
        Ok((!is_whole || remaining != self.account.balance.available).then_some("its grants differ"))
    }
}
