//! A workspace as an audit recomputes it, entry by entry.
//!
//! Its account is as an engine has it in memory: with the grants that hold credit. Spent grants lie
//! in the [`Scratch`] and are loaded for the entries that name them. Usage and grants are summed up
//! as [`Sketch`]es, to be compared with the stored rows.

use tollkeeper_ledger::{
    Account, Alert, Charge, Disagreement, Entry, EntryBody, Grant, GrantId, Hash, Micros, PaymentChange,
    Usage, WorkspaceId,
};

use super::rules::Follower;
use super::scratch::Scratch;
use super::sketch::{Sketch, Sketcher};
use crate::{Error, calendar};

/// About what the account of a workspace takes besides its lists.
const ACCOUNT_BYTES: usize = 1_500;

/// A workspace as it is recomputed.
#[derive(Debug)]
pub(crate) struct Recomputed {
    /// Its number in the scratch memory.
    owner: u32,
    pub account: Account,
    /// The sums of its usage.
    pub usage: Sketch,
    grants: GrantRows,
    /// Decides its entries again, if the audit asks for it.
    pub rules: Option<Follower>,
}

/// The rows of the grants of a workspace, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrantRows {
    count: u64,
    /// All grants as they were granted.
    granted: Sketch,
    /// The ones that are spent, with the time at which they were voided.
    spent: Sketch,
}

impl GrantRows {
    /// Adds the stored row of a grant whose entry has the sequence number `seq`. False if what
    /// remains in it is wrong. `open`: the grant now, if it holds credit.
    pub(crate) fn add(&mut self, sketcher: &Sketcher, seq: u64, row: &Grant, open: Option<&Grant>) -> bool {
        self.count += 1;
        self.granted.add(granted_row(sketcher, seq, row));
        if open.is_some() {
            // The row of a grant that holds credit is as it was once stored.
            return row.voided_at.is_none() && (Micros::ZERO..=row.amount).contains(&row.remaining);
        }
        self.spent.add(spent_row(sketcher, row));
        row.remaining == Micros::ZERO
    }
}

fn granted_row(sketcher: &Sketcher, seq: u64, grant: &Grant) -> u128 {
    sketcher.row(&("granted", seq, grant.id, grant.n, grant.source, grant.amount))
}

fn spent_row(sketcher: &Sketcher, grant: &Grant) -> u128 {
    sketcher.row(&("spent", grant.n, grant.voided_at))
}

impl Recomputed {
    /// The workspace before its first entry.
    pub(crate) fn new(owner: u32, id: WorkspaceId, rules: bool) -> Recomputed {
        Recomputed {
            owner,
            account: Account::new(id),
            usage: Sketch::default(),
            grants: GrantRows::default(),
            rules: rules.then(Follower::default),
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let Account { grants, limits, claw_backs, team, payments, .. } = &self.account;
        let sessions = team.links.len() + team.sessions.len();
        ACCOUNT_BYTES
            + grants.iter().len() * size_of::<Grant>()
            + limits.0.len() * 128
            + claw_backs.iter().map(|claw_back| 128 + 16 * claw_back.taken.len()).sum::<usize>()
            + team.members.len() * 256
            + (team.keys.len() + sessions) * 384
            + payments.as_ref().map_or(0, |payments| payments.memory_bytes())
    }

    /// True if an entry may change [`Recomputed::bytes`] by much.
    pub(crate) fn is_growth(body: &EntryBody) -> bool {
        !matches!(
            body,
            EntryBody::ChargeOpened(_)
                | EntryBody::ChargeSettled(_)
                | EntryBody::ChargeRefunded(_)
                | EntryBody::ChargeExtended { .. }
                | EntryBody::Alert(Alert::Low(_) | Alert::Recovered(_))
        )
    }

    /// Loads the spent grants that the next entry needs, or its decision. `charge`: the charge that
    /// the entry is about.
    pub(crate) fn load_grants(
        &mut self,
        scratch: &Scratch,
        entry: &Entry,
        charge: Option<&Charge>,
    ) -> Result<(), Error> {
        let mut numbers: Vec<u64> = entry.body.draws().map(|draw| draw.grant).collect();
        match &entry.body {
            EntryBody::GrantVoided { grant, .. } | EntryBody::ClawedBack { grant, .. } => {
                self.load_spent(scratch, &[*grant])?;
            }
            EntryBody::ChargeRefunded(_) => {
                numbers.extend(
                    charge.iter().flat_map(|charge| charge.details.draws.iter()).map(|draw| draw.grant),
                );
                numbers.extend(self.account.claw_backs.drawn_grants());
            }
            EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
                self.load_spent(scratch, &[lost.grant])?;
                numbers.extend(self.account.claw_backs.drawn_grants());
            }
            EntryBody::Payment(change) if let PaymentChange::Refund(change) = &**change => {
                let payments = self.account.payments.as_deref();
                let grants = payments.map_or_else(Vec::new, |payments| change.grants(payments));
                self.load_spent(scratch, &grants)?;
                numbers.extend(self.account.claw_backs.drawn_grants());
            }
            EntryBody::ClawBackRestored { .. } => numbers.extend(self.account.claw_backs.drawn_grants()),
            _ => {}
        }
        numbers.sort_unstable();
        numbers.dedup();
        for n in numbers {
            if self.account.grants.get(n).is_none()
                && let Some(grant) = scratch.spent(self.owner, n)?
            {
                self.account.grants.insert(grant);
            }
        }
        Ok(())
    }

    /// Loads those of some grants that are spent.
    fn load_spent(&mut self, scratch: &Scratch, grants: &[GrantId]) -> Result<(), Error> {
        for grant in grants {
            if self.account.grants.find(*grant).is_none()
                && let Some(grant) = scratch.spent_with_id(self.owner, *grant)?
            {
                self.account.grants.insert(grant);
            }
        }
        Ok(())
    }

    /// Replays an entry and adds it to the sums.
    pub(crate) fn apply(
        &mut self,
        (sketcher, scratch): (&Sketcher, &mut Scratch),
        seq: u64,
        entry: &Entry,
        hash: Hash,
    ) -> Result<Result<(), Disagreement>, Error> {
        let mut touched: Vec<u64> = entry.body.draws().map(|draw| draw.grant).collect();
        if let EntryBody::Granted { grant, .. } = &entry.body {
            self.grants.count += 1;
            self.grants.granted.add(granted_row(sketcher, seq, grant));
            touched.push(entry.n);
        }
        touched.sort_unstable();
        touched.dedup();
        self.spent(&touched, |spent, grant| spent.remove(spent_row(sketcher, grant)));
        let replayed = self.account.replay(entry, hash);
        if replayed.is_ok() {
            self.spent(&touched, |spent, grant| spent.add(spent_row(sketcher, grant)));
            let mut usage = Usage::default();
            usage.record(entry, calendar::hour_part(&self.account.profile.timezone, entry.decided_at));
            for (key, sums) in usage.take() {
                self.usage.add(sketcher.usage(&key, sums));
            }
            scratch.put_spent(self.owner, &self.account.grants.release_spent())?;
        }
        Ok(replayed)
    }

    fn spent(&mut self, numbers: &[u64], mut each: impl FnMut(&mut Sketch, &Grant)) {
        for n in numbers {
            let grant = self.account.grants.get(*n);
            if let Some(grant) = grant.filter(|grant| grant.remaining == Micros::ZERO) {
                each(&mut self.grants.spent, grant);
            }
        }
    }

    /// What is wrong with the stored rows of the grants, if anything.
    pub(crate) fn grants_differ(&self, rows: &GrantRows) -> Option<&'static str> {
        if rows.count < self.grants.count {
            return Some("a grant is not stored");
        }
        (self.grants != *rows).then_some("the stored grants differ from the journal")
    }
}
