//! The account: a workspace's credit pool, and what each entry does to it.
//!
//! [`Account::record`] applies what was decided and gives the entry that says so; [`Account::replay`] applies an entry
//! that was written before and compares. Both go through the one `apply`, so that what is rebuilt from the journal is
//! what was there. Every application ends in the assertions of `invariants`, in release builds too: a bug stops before
//! the commit, and no credit moves. Nothing here refuses: that was `decide`.

pub(crate) mod alert;
pub(crate) mod charge;
pub(crate) mod claw_back;
pub(crate) mod grant;
pub mod invariants;
pub(crate) mod limit;
pub(crate) mod spender;
pub(crate) mod usage;

use std::fmt;
use std::sync::Arc;

use self::invariants::{Violation, holds};
use crate::{
    Actor, Alerts, ClawBack, ClawBacks, Draw, Entry, EntryBody, Grants, Hash, IdempotencyKey, LedgerAccount,
    Limit, Limits, Micros, PeriodWindows, Spender, Team, Threshold, Timestamp, WorkspaceId, bounds,
};

/// What is said of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name in every URL.
    pub id: WorkspaceId,
    /// Its display name.
    pub name: Box<str>,
    /// An IANA time zone.
    pub timezone: Box<str>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
    /// Whether charges are refused.
    pub suspended: bool,
    /// When it was opened.
    pub created_at: Timestamp,
}

/// What a workspace has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Can be spent; never negative (i04).
    pub available: Micros,
    /// Deducted for charges that await an outcome.
    pub pending: Micros,
    /// Owed after a lost payment.
    pub debt: Micros,
}

/// What has moved since the beginning; i10 ties them to the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Came in by grants.
    pub granted: Micros,
    /// Deducted by charges.
    pub charged: Micros,
    /// Went back from charges.
    pub refunded: Micros,
    /// Taken back from grants, less what was restored.
    pub clawed_back: Micros,
}

/// The end of the hash chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last entry; 0 before the first.
    pub n: u64,
    /// Its time.
    pub at: Timestamp,
    /// Its hash.
    pub hash: Hash,
}

/// A workspace's credit pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What is said of it.
    pub profile: Box<Profile>,
    /// The end of its journal.
    pub chain: Chain,
    /// What it has.
    pub balance: Balance,
    /// What has moved.
    pub totals: Totals,
    /// Its lots of credit.
    pub grants: Grants,
    /// Its spending limits.
    pub limits: Limits,
    /// Its low-balance thresholds.
    pub alerts: Alerts,
    /// Its lost payments.
    pub claw_backs: ClawBacks,
    /// Who belongs to it; shared with whoever looks up who may act in its name.
    pub team: Arc<Team>,
}

/// A stored entry that does not follow from the ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// It says something else than what follows.
    Differs {
        /// What differs.
        what: &'static str,
        /// What the journal says.
        stored: String,
        /// What follows from the entries before.
        computed: String,
    },
    /// What it says cannot happen after them; the sentence that tells why.
    Impossible(&'static str),
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disagreement::Differs { what, stored, computed } => {
                write!(f, "{what}: the journal says {stored}, but {computed} follows")
            }
            Disagreement::Impossible(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Disagreement {}

impl Account {
    /// A pool before its first entry.
    #[must_use]
    pub fn new(id: WorkspaceId) -> Account {
        let profile = Profile {
            id,
            name: "".into(),
            timezone: "UTC".into(),
            metadata: None,
            suspended: false,
            created_at: Timestamp::ZERO,
        };
        Account {
            profile: Box::new(profile),
            chain: Chain::default(),
            balance: Balance::default(),
            totals: Totals::default(),
            grants: Grants::default(),
            limits: Limits::default(),
            alerts: Alerts::default(),
            claw_backs: ClawBacks::default(),
            team: Team::nobody(),
        }
    }

    /// Whether it was opened.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.chain.n > 0
    }

    /// What time it is for this account: a clock that jumps backwards must neither make history run backwards nor open
    /// a day's limits anew, so it stands still at the last entry until the other has caught up.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        now.max(self.chain.at)
    }

    /// Applies what was decided and gives the entry that records it, linked to the one before. The caller writes it,
    /// hashes its bytes, and hands the hash to [`Account::link`] before the next.
    pub fn record(
        &mut self,
        body: EntryBody,
        key: Option<IdempotencyKey>,
        actor: Actor,
        now: Timestamp,
    ) -> Entry {
        let at = self.clock(now);
        let n = self.chain.n + 1;
        let before = self.balance;
        let applied = self.apply(&body, n, at).and_then(|()| invariants::after_entry(self, &body, before));
        if let Err(Violation(sentence)) = applied {
            panic!("{sentence}");
        }
        invariants::payment_once(&body, key.as_ref());
        let previous = self.chain.hash;
        self.chain.n = n;
        self.chain.at = at;
        Entry { n, at, actor, key, balance: self.balance, previous, body }
    }

    /// Makes the hash of the entry just recorded the end of the chain.
    pub fn link(&mut self, hash: Hash) {
        self.chain.hash = hash;
    }

    /// Applies an entry that was written before, and compares all that follows from the ones before it.
    ///
    /// # Errors
    /// [`Disagreement`] if its number, link, time or balance is not what follows; the account is then of no more use.
    pub fn replay(&mut self, entry: &Entry, hash: Hash) -> Result<(), Disagreement> {
        differs("number", entry.n, self.chain.n + 1)?;
        if entry.previous != self.chain.hash {
            let (stored, computed) = (hex(&entry.previous), hex(&self.chain.hash));
            return Err(Disagreement::Differs { what: "hash of the entry before", stored, computed });
        }
        if entry.at < self.chain.at {
            differs("time", entry.at.millis(), self.chain.at.millis())?;
        }
        self.apply_stored(&entry.body, entry.n, entry.at)?;
        differs("available", entry.balance.available, self.balance.available)?;
        differs("pending", entry.balance.pending, self.balance.pending)?;
        differs("debt", entry.balance.debt, self.balance.debt)?;
        self.chain = Chain { n: entry.n, at: entry.at, hash };
        Ok(())
    }

    /// Applies what was read back: what does not hold is damage, not a bug.
    fn apply_stored(&mut self, body: &EntryBody, n: u64, at: Timestamp) -> Result<(), Disagreement> {
        let violated = |Violation(sentence)| Disagreement::Impossible(sentence);
        let in_range = |amount: Micros| amount >= Micros::ZERO && amount <= Micros::MAX;
        let amounts = body.draws().iter().map(|draw| draw.amount).chain(body.legs().map(|legs| legs.amount));
        if !amounts.into_iter().all(in_range) {
            return Err(violated(Violation("i01: an entry moves an amount out of range")));
        }
        let before = self.balance;
        self.apply(body, n, at).and_then(|()| invariants::after_entry(self, body, before)).map_err(violated)
    }

    fn apply(&mut self, body: &EntryBody, n: u64, at: Timestamp) -> Result<(), Violation> {
        if let Some(legs) = body.legs() {
            self.shift(legs.from, Micros::ZERO - legs.amount);
            self.shift(legs.to, legs.amount);
        }
        match body {
            EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => {
                self.profile = profile.clone();
            }
            EntryBody::Granted { grant, .. } => {
                if grant.n != n {
                    return Err(Violation("i03: a grant is not numbered by its entry"));
                }
                self.grants.insert(grant.clone());
                self.totals.granted += grant.amount;
            }
            EntryBody::GrantVoided { draws, .. } => self.take_back(draws)?,
            EntryBody::ClawedBack { dispute, amount, draws, .. } => {
                self.take_back(draws)?;
                let taken: Micros = draws.iter().map(|take| take.amount).sum();
                let owed = *amount - taken;
                let (dispute, taken) = (dispute.clone(), draws.clone());
                self.claw_backs.open(ClawBack { dispute, taken, owed });
            }
            EntryBody::DebtRepaid { draw } => {
                self.take_back(std::slice::from_ref(draw))?;
                self.claw_backs.repay(*draw)?;
            }
            EntryBody::ClawBackRestored { dispute, returns } => {
                self.grants.give(returns)?;
                self.totals.clawed_back -= returns.iter().map(|give| give.amount).sum();
                self.claw_backs.close(dispute);
            }
            EntryBody::ChargeOpened(details) => {
                self.grants.take(&details.draws)?;
                self.totals.charged += details.amount;
                self.count(&details.spender, details.amount, details.windows.as_deref())?;
            }
            EntryBody::ChargeRefunded(refund) => {
                self.grants.give(&refund.returns)?;
                self.totals.refunded += refund.amount;
                self.count(&refund.spender, Micros::ZERO - refund.amount, refund.windows.as_ref())?;
            }
            EntryBody::Team(change) => Arc::make_mut(&mut self.team).apply(change, at)?,
            EntryBody::LimitsSet(limits) => self.set_limits(limits)?,
            EntryBody::AlertsSet { thresholds, cooldown_seconds } => {
                self.set_alerts(thresholds, *cooldown_seconds);
            }
            EntryBody::BalanceLow { threshold } => self.alerts.fire(*threshold, at)?,
            EntryBody::ChargeSettled(_)
            | EntryBody::ChargeExtended { .. }
            | EntryBody::PricesSet(_)
            | EntryBody::PlatformKeySet { .. } => {}
        }
        self.balance.debt = self.claw_backs.owed();
        Ok(())
    }

    fn shift(&mut self, account: LedgerAccount, amount: Micros) {
        match account {
            LedgerAccount::Available => self.balance.available += amount,
            LedgerAccount::Pending => self.balance.pending += amount,
            // The rest is outside the balance; `totals` counts it.
            LedgerAccount::Funding | LedgerAccount::Consumed | LedgerAccount::ClawedBack => {}
        }
    }

    /// Counts a charge or, below zero, a refund under the limits; an entry names its day and month when there are any.
    fn count(
        &mut self,
        spender: &Spender,
        amount: Micros,
        windows: Option<&PeriodWindows>,
    ) -> Result<(), Violation> {
        match windows {
            Some(windows) if !self.limits.is_empty() => self.limits.count(spender, amount, windows),
            None if self.limits.is_empty() => {}
            _ => {
                return Err(Violation(
                    "an entry does not say in which day it counts, or says it for no limit",
                ));
            }
        }
        Ok(())
    }

    /// What a limit has counted is a part of all that was ever charged and refunded.
    fn set_limits(&mut self, limits: &[Limit]) -> Result<(), Violation> {
        let counted = Micros::ZERO - self.totals.refunded..=self.totals.charged;
        let holds_all = |limit: &Limit| {
            (Micros::ZERO..=Micros::MAX).contains(&limit.amount) && counted.contains(&limit.used)
        };
        holds(limits.len() <= bounds::LIMITS_MAX, "more limits are set than there may be")?;
        holds(limits.iter().all(holds_all), "a limit is out of range, or has counted what was never spent")?;
        self.limits = Limits(limits.to_vec());
        Ok(())
    }

    fn take_back(&mut self, draws: &[Draw]) -> Result<(), Violation> {
        self.grants.take(draws)?;
        self.totals.clawed_back += draws.iter().map(|take| take.amount).sum();
        Ok(())
    }

    /// A threshold that stays remembers when it fired, so that saving the settings again does not repeat an alert.
    fn set_alerts(&mut self, amounts: &[Micros], cooldown_seconds: i64) {
        let fired_at = |amount| {
            let old = self.alerts.thresholds.iter().find(|line| line.amount == amount);
            old.map_or(Timestamp::ZERO, |line| line.fired_at)
        };
        let thresholds =
            amounts.iter().map(|&amount| Threshold { amount, fired_at: fired_at(amount) }).collect();
        self.alerts = Alerts { thresholds, cooldown_seconds };
    }
}

fn differs<T: PartialEq + fmt::Display>(
    what: &'static str,
    stored: T,
    computed: T,
) -> Result<(), Disagreement> {
    if stored == computed {
        return Ok(());
    }
    Err(Disagreement::Differs { what, stored: stored.to_string(), computed: computed.to_string() })
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
