//! How the commands of a batch pass through memory: each is decided on what was loaded and on what those before it in the
//! batch have done, and its entries become rows that are about to be written. Nothing here waits and nothing here is
//! committed.

use std::collections::HashMap;

use tollkeeper_ledger::{
    Actor, Change, Charge, Decision, Entry, EntryBody, Hash, Micros, PeriodWindows, Recount, Submission,
    Timestamp, View, decide,
};

use super::accounts::Accounts;
use super::prefetch::{Loaded, Resolved, decoded};
use super::write::{EntryRow, Rows};
use crate::answer::{self, About};
use crate::postgres::database::session::Uuid;
use crate::postgres::ids::Ids;
use crate::postgres::platform::Known;
use crate::{Answer, CommandResult, Error, calendar, rollups};

/// A batch on its way through memory.
pub(crate) struct Mind<'a> {
    pub accounts: &'a mut Accounts,
    pub ids: &'a mut Ids,
    pub known: Known,
    pub rows: Rows,
    refund_window_seconds: i64,
    loaded: Loaded,
    /// Keys of this batch, with the places of their entries.
    made: HashMap<(usize, Uuid), usize>,
}

impl<'a> Mind<'a> {
    pub(crate) fn new(
        (accounts, ids): (&'a mut Accounts, &'a mut Ids),
        known: Known,
        refund_window_seconds: i64,
        loaded: Loaded,
    ) -> Mind<'a> {
        let rows = Rows { platform: (known.n, known.n), ..Rows::default() };
        Mind { accounts, ids, known, rows, refund_window_seconds, loaded, made: HashMap::new() }
    }

    /// Decides all commands in order; `at` says which one is on.
    pub(crate) fn decide_all(
        &mut self,
        batch: &[(Submission, Timestamp)],
        resolved: &[Resolved],
        at: &mut Option<usize>,
    ) -> Result<Vec<CommandResult>, Error> {
        self.rows.bytes.reserve(512 * batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for ((submission, now), resolved) in batch.iter().zip(resolved) {
            *at = Some(answers.len());
            answers.push(self.run_one(submission.clone(), *now, *resolved)?);
        }
        *at = None;
        self.rows.gather(self.accounts);
        Ok(answers)
    }

    fn run_one(
        &mut self,
        submission: Submission,
        now: Timestamp,
        Resolved { no, key }: Resolved,
    ) -> Result<CommandResult, Error> {
        let made = self.find_made(&submission, no, key)?;
        let id = submission.command.charge();
        let charge = id.and_then(|id| self.loaded.charges.get(&(no, id))).cloned();
        let account = &self.accounts.get(no).account;
        let recount = submission.command.recount(account);
        let windows = calendar::windows_for(account, recount.as_ref(), account.clock(now));
        let spent = recount.map_or_else(Vec::new, |recount| self.spent(no, &recount, &windows));
        let actor = submission.actor.clone();
        let view = View {
            account: Some(account),
            price_book: &self.known.platform.price_book,
            entry_under_key: made.as_ref(),
            charge: charge.as_ref(),
            used_by_limit: &spent,
            windows,
            fresh_id: self.ids.fresh(now, account.chain.n + 1),
            refund_window_seconds: self.refund_window_seconds,
        };
        let decided = decide(&view, submission, now);
        if let (Some(key), None) = (key, &made)
            && !matches!(decided, Ok(Decision::Change(_)))
        {
            self.rows.unused_keys.push((no, key));
        }
        let ran = match decided {
            Ok(Decision::Change(change)) => Ok(self.write(no, change, (actor, now), (charge, key))),
            Ok(Decision::Replay) => {
                let made = made.expect("only what was made before is replayed");
                Ok(self.tell_again(no, made))
            }
            Ok(Decision::Unchanged) => Ok(answer::unchanged(&self.accounts.get(no).account, charge)),
            Err(refusal) => Err(refusal),
        };
        Ok(ran)
    }

    /// The entry that was made under the command's key in this workspace.
    fn find_made(
        &self,
        submission: &Submission,
        no: usize,
        key: Option<Uuid>,
    ) -> Result<Option<Entry>, Error> {
        let Some(name) = key.map(|key| (no, key)) else { return Ok(None) };
        let here = self.made.get(&name).map(|place| self.rows.entry(*place));
        let Some(bytes) = here.or_else(|| self.loaded.made.get(&name).map(Vec::as_slice)) else {
            return Ok(None);
        };
        let entry = decoded(bytes)?;
        let own = submission.command.derived_key();
        if entry.key.as_ref() == own.as_ref().or(submission.key.as_ref()) {
            return Ok(Some(entry));
        }
        // It would take as many attempts as there are atoms in a star to find two such keys by chance.
        Err(Error::damaged("two idempotency keys have one digest"))
    }

    /// What each line of a recount has used (net) of the present period.
    fn spent(&self, no: usize, recount: &Recount, windows: &PeriodWindows) -> Vec<Micros> {
        let slot = self.accounts.get(no);
        let mut rows = self.loaded.usage.get(&no).cloned().unwrap_or_default();
        rows.extend(slot.hour.rows().iter().cloned());
        rows.extend(slot.gathered.rows());
        rollups::spent(recount, windows, &rows)
    }

    /// Makes rows of a change: records, encodes and links its entries, and says what they answer.
    fn write(
        &mut self,
        no: usize,
        change: Change,
        (actor, now): (Actor, Timestamp),
        (charge, fingerprint): (Option<Charge>, Option<Uuid>),
    ) -> Answer {
        let Change { first, rest, mut key } = change;
        let mut fingerprint = fingerprint.filter(|_| key.is_some());
        let mut answer: Option<Entry> = None;
        for body in std::iter::once(first).chain(rest) {
            let about_charge = body.state().is_some();
            let slot = self.accounts.get_mut(no);
            let entry = slot.account.record(body, key.take(), actor.clone(), now);
            let begin = self.rows.bytes.len();
            entry.encode(&mut self.rows.bytes);
            slot.account.link(digest(&self.rows.bytes[begin..]));
            slot.gathered.record(&entry);
            let key = fingerprint.take();
            if let Some(key) = key {
                self.made.insert((no, key), self.rows.entries.len());
            }
            let opened = entry.body.charge().and_then(|(_, opened)| opened);
            let end = self.rows.bytes.len();
            self.rows.entries.push(EntryRow { no, n: entry.n, key, opened, end });
            self.absorb(no, &entry);
            if answer.is_none() || about_charge {
                answer = Some(entry);
            }
        }
        let entry = answer.expect("a change has at least one entry");
        let about = self.about(no, &entry.body, charge);
        answer::answer(entry, about)
    }

    /// Takes an entry into what is kept beside the journal, and into what later commands of the batch look at.
    fn absorb(&mut self, no: usize, entry: &Entry) {
        match &entry.body {
            EntryBody::Granted { grant, .. } => {
                let mut bytes = Vec::with_capacity(48);
                grant.encode(&mut bytes);
                self.rows.lots.insert((no, grant.n), bytes);
            }
            EntryBody::ChargeOpened(details) => {
                if let Some(deadline) = details.deadline {
                    self.rows.pending.insert((no, entry.n), (details.id, Some(deadline)));
                    self.rows.pending_change += 1;
                }
            }
            EntryBody::PricesSet(_) | EntryBody::PlatformKeySet { .. } => {
                self.known.apply(entry);
                self.rows.platform.1 = entry.n;
            }
            body => {
                if let (Some((id, Some(opened))), Some(state)) = (body.charge(), body.state())
                    && let Some(charge) = self.loaded.charges.get_mut(&(no, id))
                {
                    if charge.state.deadline.is_some() {
                        self.rows.pending.insert((no, opened), (id, state.deadline));
                        self.rows.pending_change -= i64::from(state.deadline.is_none());
                    }
                    charge.state = state;
                }
            }
        }
    }

    /// The first answer again.
    fn tell_again(&self, no: usize, made: Entry) -> Answer {
        let charge = match &made.body {
            EntryBody::ChargeRefunded(refund) => self.loaded.charges.get(&(no, refund.charge)).cloned(),
            _ => None,
        };
        let about = self.about(no, &made.body, charge);
        Answer { replayed: true, ..answer::answer(made, about) }
    }

    /// What an answer needs that its entry does not hold.
    fn about(&self, no: usize, body: &EntryBody, charge: Option<Charge>) -> About {
        if let EntryBody::GrantVoided { grant, .. } = body {
            let record = self.loaded.grants.get(&(no, *grant)).cloned();
            return record.map_or(About::Nothing, |record| About::Grant(Box::new(record)));
        }
        charge.map_or(About::Nothing, |charge| About::Charge(Box::new(charge)))
    }
}

/// The digest of the hash chain: SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> Hash {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
