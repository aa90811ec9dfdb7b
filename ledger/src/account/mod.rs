//! The account: the credit of a workspace, and what each entry does to it.
//!
//! [`Account::record`] applies what was decided and returns the entry that says so.
//! [`Account::replay`] applies an entry that was written before and compares. Both go through the
//! one `apply`, so an account that is rebuilt from its journal is the account that was there. Every
//! entry is checked by `invariants`, in release builds too: a bug is stopped before the commit, and
//! no credit moves. Nothing here refuses a command; that is `decide`.

pub(crate) mod alert;
pub(crate) mod balance;
pub(crate) mod charge;
pub(crate) mod claw_back;
pub(crate) mod grant;
pub mod invariants;
pub(crate) mod limit;
pub(crate) mod notice;
pub(crate) mod profile;
pub(crate) mod spender;
pub(crate) mod usage;

use std::sync::Arc;

use self::invariants::Sums;
use crate::journal::disagreement::{Violation, assert_no_violation, ensure};
use crate::journal::entry::sum;
use crate::{
    Actor, Alert, Alerts, Balance, ClawBack, ClawBacks, Disagreement, Draw, Entry, EntryBody, Grant, GrantId,
    GrantLoss, Grants, Hash, IdempotencyKey, LedgerAccount, Limit, Limits, LostPart, Micros, PaymentChange,
    Payments, PeriodWindows, Profile, Spender, Team, Timestamp, Totals, WorkspaceId, bounds, hex,
};

/// The end of the hash chain of a journal, to which the next entry is linked (i02).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainEnd {
    /// The number of the last entry; 0 before the first.
    pub n: u64,
    /// The time of the last entry.
    pub at: Timestamp,
    /// The hash of the last entry's canonical bytes.
    pub hash: Hash,
}

/// The account of a workspace: all that its entries add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The description of the workspace.
    pub profile: Box<Profile>,
    /// The end of its journal.
    pub chain: ChainEnd,
    /// The time of the last charge; `None` before the first.
    pub last_used_at: Option<Timestamp>,
    /// What it has.
    pub balance: Balance,
    /// What has moved since it was created.
    pub totals: Totals,
    /// The grants that are in memory.
    pub grants: Grants,
    /// The spending limits and what was used of them.
    pub limits: Limits,
    /// The low-balance thresholds, and what was noted for the admins.
    pub alerts: Alerts,
    /// The lost payments that were not restored.
    pub claw_backs: ClawBacks,
    /// The members, API keys and sessions; shared with the look-up of callers.
    pub team: Arc<Team>,
    /// The payments; `None` if the workspace never had one. A charge reads no more of them.
    pub payments: Option<Arc<Payments>>,
}

impl Account {
    /// The account of a workspace before its first entry.
    #[must_use]
    pub fn new(id: WorkspaceId) -> Account {
        Account {
            profile: Box::new(Profile::blank(id)),
            chain: ChainEnd::default(),
            last_used_at: None,
            balance: Balance::default(),
            totals: Totals::default(),
            grants: Grants::default(),
            limits: Limits::default(),
            alerts: Alerts::default(),
            claw_backs: ClawBacks::default(),
            team: Team::empty(),
            payments: None,
        }
    }

    /// The payments, if they are not the ones that `stored` was cloned from.
    #[must_use]
    pub fn payments_since(&self, stored: Option<&Arc<Payments>>) -> Option<&Payments> {
        let payments = self.payments.as_ref()?;
        let is_stored = stored.is_some_and(|stored| Arc::ptr_eq(stored, payments));
        (!is_stored).then_some(payments)
    }

    /// True if a charge is decided by the day and month: the limits count by them, and so does the
    /// cap of automatic top-ups.
    #[must_use]
    pub fn needs_windows(&self) -> bool {
        let buys = |payments: &Arc<Payments>| payments.auto_top_up.is_some();
        !self.limits.is_empty() || self.payments.as_ref().is_some_and(buys)
    }

    /// True if the workspace was created.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.chain.n > 0
    }

    /// The time of an entry that is made when a server's clock shows `now`: never before the last
    /// entry. It keeps the journal in order. Nothing is decided by it.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        now.max(self.chain.at)
    }

    /// The time by which commands are decided when a server's clock shows `now`: deadlines, days
    /// and months of limits, prices, expiry.
    ///
    /// It is `now`. If the last entry is later by no more than the clocks of servers may differ, it
    /// is that entry's time: so the end of a day is passed once, although many servers decide. If
    /// the last entry is later by more than that, a clock was ahead when it was made. It does not
    /// stop the workspace until that time comes.
    #[must_use]
    pub fn present(&self, now: Timestamp) -> Timestamp {
        if self.is_ahead_of(now) { now } else { self.clock(now) }
    }

    /// True if the last entry was made while a clock was ahead of what `now` shows.
    #[must_use]
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        self.chain.at.is_ahead_of(now)
    }

    /// Applies what was decided and returns the entry that records it, linked to the one before.
    /// The caller writes the entry, hashes its bytes, and passes the hash to [`Account::link`]
    /// before the next.
    ///
    /// # Panics
    /// If an invariant does not hold afterwards, which is a bug. The account must then be
    /// discarded; nothing was written.
    pub fn record(
        &mut self,
        body: EntryBody,
        key: Option<IdempotencyKey>,
        actor: Actor,
        now: Timestamp,
    ) -> Entry {
        let (at, decided_at) = (self.clock(now), self.present(now));
        let n = self.chain.n + 1;
        assert_no_violation(self.check_times(at, decided_at));
        let before = self.totals;
        if let Some((_, Some(opening_entry))) = body.charge() {
            assert!(opening_entry < n, "i02: an entry about a charge must follow the one that opened it");
        }
        if let EntryBody::Alert(Alert::Low(crossing)) = &body {
            let is_low = self.alerts.is_low(crossing.line());
            assert!(!is_low, "i09: an alert fired twice, and the balance did not recover between");
        }
        assert_no_violation(self.apply_checked(&body, n, decided_at));
        assert_no_violation(invariants::payment_once(&body, key.as_ref()));
        let Totals { granted, charged, refunded, .. } = self.totals;
        assert!(granted >= before.granted, "i10: the total granted must not fall");
        assert!(charged >= before.charged, "i10: the total charged must not fall");
        assert!(refunded >= before.refunded, "i10: the total refunded must not fall");
        assert!(refunded <= charged, "i10: the total refunded must not exceed the total charged");
        let kept = charged - refunded;
        assert!(
            self.balance.pending <= kept,
            "i10: pending must not exceed what was charged and not refunded"
        );
        assert!(self.balance.available <= Micros::MAX, "i10: a balance must be exact in every JSON reader");
        assert!(at >= self.chain.at, "i02: the times of entries must not run backwards");
        let previous = self.chain.hash;
        assert!(n == 1 || previous != Hash::default(), "i02: an entry must be linked to the one before it");
        self.chain.n = n;
        self.chain.at = at;
        Entry { n, at, decided_at, actor, key, balance: self.balance, previous, body }
    }

    /// Asserts what holds after the last entry of a change, and not between its entries. The caller
    /// of [`Account::record`] calls it once a change.
    ///
    /// # Panics
    /// If credit is available although debt is owed, or a voided grant holds credit: a bug.
    pub fn finish_change(&self) {
        let Balance { available, debt, .. } = self.balance;
        assert!(
            available == Micros::ZERO || debt == Micros::ZERO,
            "i04: credit must repay debt before it is available"
        );
        assert!(debt == self.claw_backs.owed(), "i04: debt must be what is owed for the claw-backs");
        let holds = |grant: &Grant| grant.voided_at.is_some() && grant.remaining > Micros::ZERO;
        assert!(!self.grants.iter().any(holds), "i03: a voided grant must hold nothing after a change");
    }

    /// Makes the hash of the entry that was just recorded the end of the journal.
    ///
    /// # Panics
    /// If nothing was recorded yet.
    pub fn link(&mut self, hash: Hash) {
        assert!(self.chain.n > 0, "i02: an entry must be recorded before it is linked");
        self.chain.hash = hash;
    }

    /// Applies an entry that was written before, and compares all that follows from the entries
    /// before it.
    ///
    /// # Errors
    /// [`Disagreement`] if its number, link, time, content or balance is not what follows. The
    /// account must then be discarded.
    pub fn replay(&mut self, entry: &Entry, hash: Hash) -> Result<(), Disagreement> {
        Disagreement::check_equal("number", entry.n, self.chain.n + 1)?;
        if entry.previous != self.chain.hash {
            let (stored, computed) = (hex(&entry.previous), hex(&self.chain.hash));
            return Err(Disagreement::Differs { what: "hash of the entry before", stored, computed });
        }
        if entry.at < self.chain.at {
            Disagreement::check_equal("time", entry.at.millis(), self.chain.at.millis())?;
        }
        self.check_times(entry.at, entry.decided_at)?;
        check_amounts(&entry.body)?;
        self.apply_checked(&entry.body, entry.n, entry.decided_at)?;
        Disagreement::check_equal("available", entry.balance.available, self.balance.available)?;
        Disagreement::check_equal("pending", entry.balance.pending, self.balance.pending)?;
        Disagreement::check_equal("debt", entry.balance.debt, self.balance.debt)?;
        self.chain = ChainEnd { n: entry.n, at: entry.at, hash };
        Ok(())
    }

    /// Checks the two times of the next entry: they differ only while the account is ahead of the
    /// clock, and then the entry has the time of the one before it.
    fn check_times(&self, at: Timestamp, decided_at: Timestamp) -> Result<(), Violation> {
        let same = decided_at == at;
        let ahead = at == self.chain.at && at.is_ahead_of(decided_at);
        ensure(same || ahead, "i02: an entry is decided at another time than its own without a clock ahead")
    }

    /// Applies an entry and checks the invariants.
    fn apply_checked(&mut self, body: &EntryBody, n: u64, decided_at: Timestamp) -> Result<(), Violation> {
        let is_for_platform = body.kind().is_for_platform();
        ensure(is_for_platform == self.profile.id.is_platform(), "an entry is of another kind of journal")?;
        if let EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) = body {
            ensure(profile.id == self.profile.id, "an entry describes another workspace")?;
        }
        let before = self.balance;
        self.apply(body, n, decided_at)?;
        let sums = Sums { balance: self.balance, totals: self.totals, grants: &self.grants };
        invariants::after_entry(sums, body, before)
    }

    /// Applies an entry that is being decided, so that the entries after it in the change can be
    /// decided. The account is a copy, and is not written.
    pub(crate) fn foresee(&mut self, body: &EntryBody) -> Result<(), Violation> {
        self.foresee_at(body, self.chain.at)
    }

    /// The same for an entry that depends on the time of the decision.
    pub(crate) fn foresee_at(&mut self, body: &EntryBody, decided_at: Timestamp) -> Result<(), Violation> {
        self.apply(body, self.chain.n + 1, decided_at)
    }

    /// The only place where an entry changes what an account holds.
    fn apply(&mut self, body: &EntryBody, n: u64, decided_at: Timestamp) -> Result<(), Violation> {
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
            EntryBody::GrantVoided { grant, draws, .. } => {
                self.take_back(draws)?;
                self.void(*grant, draws, decided_at)?;
            }
            EntryBody::ReturnTaken { draws } => self.take_return(draws)?,
            EntryBody::ClawedBack { .. }
            | EntryBody::ClawBackIncreased { .. }
            | EntryBody::ClawBackReduced { .. }
            | EntryBody::ClawBackExchanged { .. }
            | EntryBody::ClawBackRestored { .. }
            | EntryBody::DebtRepaid { .. } => self.apply_claw_back(body)?,
            EntryBody::ChargeOpened(details) => {
                self.grants.take(&details.draws)?;
                self.totals.charged += details.amount;
                self.last_used_at = Some(decided_at);
                self.count(&details.spender, details.amount, details.windows.as_deref())?;
            }
            EntryBody::ChargeRefunded(refund) => {
                self.grants.give(&refund.returns)?;
                let voided = self.grants.returned_to_voided(&refund.returns)?;
                ensure(refund.taken == sum(&voided), "i03: a refund keeps what returns to voided grants")?;
                self.totals.refunded += refund.amount;
                self.count(&refund.spender, Micros::ZERO - refund.amount, refund.windows.as_ref())?;
            }
            EntryBody::Team(change) => Arc::make_mut(&mut self.team).apply(change, decided_at)?,
            EntryBody::Payment(change) => self.pay(change, decided_at)?,
            EntryBody::LimitsSet(limits) => self.set_limits(limits)?,
            EntryBody::AlertsSet { thresholds, cooldown_seconds } => {
                self.alerts.set(thresholds, *cooldown_seconds)?;
            }
            EntryBody::Alert(alert) => {
                self.alerts.apply(alert, self.balance.available, &self.limits, decided_at)?;
            }
            EntryBody::ChargeSettled(_)
            | EntryBody::ChargeExtended { .. }
            | EntryBody::PricesSet(_)
            | EntryBody::PlansSet(_)
            | EntryBody::PlatformKeySet { .. }
            | EntryBody::SettingsChanged(_)
            | EntryBody::LedgerRestored { .. }
            | EntryBody::WebhookEndpointSet(_)
            | EntryBody::WebhookEndpointRemoved(_)
            | EntryBody::OperatorSignedIn(_)
            | EntryBody::OperatorSignedOut(_)
            | EntryBody::PaymentUnmatched(_) => {}
        }
        Ok(())
    }

    /// Applies an entry about lost payments and the debt that they leave.
    fn apply_claw_back(&mut self, body: &EntryBody) -> Result<(), Violation> {
        match body {
            EntryBody::ClawedBack { grant, dispute, amount, draws } => {
                self.claw_back(*grant, dispute, *amount, draws)?;
            }
            EntryBody::ClawBackExchanged { dispute, draw, returns } => {
                self.grants.take(std::slice::from_ref(draw))?;
                self.grants.give(returns)?;
                self.claw_backs.exchange(dispute, *draw, returns)?;
            }
            EntryBody::ClawBackIncreased { lost, owed, draws } => {
                self.take_back(draws)?;
                self.claw_backs.increase(lost.grant, draws, *owed)?;
                self.check_lost(lost)?;
            }
            EntryBody::ClawBackReduced { lost, forgiven, returns } => {
                self.grants.give(returns)?;
                self.totals.clawed_back -= sum(returns);
                let reduced = self.claw_backs.reduce(lost.grant, *forgiven + sum(returns))?;
                let follows = reduced.0 == *forgiven && reduced.1 == *returns;
                ensure(follows, "i13: what is forgiven and given back is not what was taken last")?;
                self.check_lost(lost)?;
            }
            EntryBody::DebtRepaid { draw } => {
                self.take_back(std::slice::from_ref(draw))?;
                self.claw_backs.repay(*draw)?;
            }
            EntryBody::ClawBackRestored { dispute, returns } => {
                self.grants.give(returns)?;
                self.totals.clawed_back -= returns.iter().map(|draw| draw.amount).sum();
                self.claw_backs.close(dispute);
            }
            _ => return Err(Violation("i13: the entry is about no claw-back")),
        }
        self.balance.debt = self.claw_backs.owed();
        Ok(())
    }

    /// Applies an entry about a payment, whose grant was recorded just before.
    fn pay(&mut self, change: &PaymentChange, decided_at: Timestamp) -> Result<(), Violation> {
        let granted = change.grant().and_then(|grant| self.grants.find(grant));
        Arc::make_mut(self.payments.get_or_insert_default()).apply(change, granted, decided_at)
    }

    /// Adds an amount, or below zero subtracts it, if the account is one of the balance.
    fn shift(&mut self, account: LedgerAccount, amount: Micros) {
        match account {
            LedgerAccount::Available => self.balance.available += amount,
            LedgerAccount::Pending => self.balance.pending += amount,
            // The others are outside the balance; `totals` has their sums.
            LedgerAccount::Funding | LedgerAccount::Consumed | LedgerAccount::ClawedBack => {}
        }
    }

    /// Counts a charge, or below zero a refund, under the limits. An entry names its day and month
    /// if and only if there are limits.
    fn count(
        &mut self,
        spender: &Spender,
        amount: Micros,
        windows: Option<&PeriodWindows>,
    ) -> Result<(), Violation> {
        match windows {
            Some(windows) if !self.limits.is_empty() => {
                let in_period = !windows.day.is_empty() && !windows.month.is_empty();
                ensure(
                    amount <= Micros::ZERO || in_period,
                    "i08: a charge is not counted in its day and month",
                )?;
                self.limits.count(spender, amount, windows);
            }
            None if self.limits.is_empty() => {}
            _ => {
                return Err(Violation(
                    "an entry has no day and month although there are limits, or has them without limits",
                ));
            }
        }
        Ok(())
    }

    /// Replaces the limits. What a limit has counted is a part of all that was charged.
    fn set_limits(&mut self, limits: &[Limit]) -> Result<(), Violation> {
        let counted = Micros::ZERO..=self.totals.charged;
        let in_range = |limit: &Limit| {
            (Micros::ZERO..=Micros::MAX).contains(&limit.amount) && counted.contains(&limit.used)
        };
        ensure(limits.len() <= bounds::LIMITS_MAX, "a workspace has more limits than it may have")?;
        ensure(limits.iter().all(in_range), "a limit is out of range or counts more than was spent")?;
        self.limits = Limits(limits.to_vec());
        self.alerts.keep_limits(&self.limits);
        Ok(())
    }

    /// Takes what went back to voided grants.
    fn take_return(&mut self, draws: &[Draw]) -> Result<(), Violation> {
        let voided = self.grants.returned_to_voided(draws)?;
        ensure(voided == *draws, "i03: credit is taken from a grant that is not voided")?;
        self.take_back(draws)
    }

    /// Marks the grant as voided from which a void has just taken what was unspent.
    fn void(&mut self, grant: GrantId, draws: &[Draw], decided_at: Timestamp) -> Result<(), Violation> {
        let [draw] = draws else { return Err(Violation("i03: a void does not name its grant by one draw")) };
        let is_it = self.grants.get(draw.grant).is_some_and(|drawn| drawn.id == grant);
        ensure(is_it, "i03: a void takes from another grant than it names")?;
        self.grants.void(draw.grant, decided_at)
    }

    /// Takes credit back after a lost payment; the rest is owed.
    fn claw_back(
        &mut self,
        grant: GrantId,
        dispute: &str,
        amount: Micros,
        draws: &[Draw],
    ) -> Result<(), Violation> {
        ensure(self.claw_backs.find(dispute).is_none(), "i13: a dispute claws back twice")?;
        self.take_back(draws)?;
        let owed = amount - sum(draws);
        ensure(owed >= Micros::ZERO, "i04: debt is negative")?;
        self.claw_backs.open(ClawBack { grant, dispute: dispute.into(), taken: draws.to_vec(), owed });
        let opened = self.claw_backs.find(dispute);
        assert!(
            opened.is_some_and(|it| it.lost() == amount),
            "i13: what is taken and owed must be the lost part"
        );
        let brought = self.grants.find(grant).map(|grant| grant.amount);
        let lost = self.claw_backs.lost_of(grant);
        ensure(
            brought.is_none_or(|brought| lost <= brought),
            "i13: more was lost of a payment than it brought",
        )
    }

    /// Checks that what is taken and owed for a payment is its lost part.
    fn check_lost(&self, lost: &LostPart) -> Result<(), Violation> {
        let is_lost = self.claw_backs.lost_of(lost.grant) == lost.credit;
        ensure(is_lost, "i13: what is taken and owed is not the lost part of the payment")?;
        ensure((0..=lost.paid_cents).contains(&lost.lost_cents), "i13: more is lost than was paid")?;
        if let Some(known) = self.known_loss_of(lost.grant) {
            let said = (lost.lost_cents, lost.paid_cents, lost.credit);
            let is_known = (known.lost_cents, known.paid_cents, known.credit) == said;
            return ensure(is_known, "i13: a lost part is not that of its payment");
        }
        let brought = self.grants.find(lost.grant).map(|grant| grant.amount);
        let share = |brought: Micros| brought.share(lost.lost_cents, lost.paid_cents);
        ensure(
            brought.is_none_or(|brought| share(brought) == Some(lost.credit)),
            "i13: the credit of a lost part is not its share of what the payment brought",
        )
    }

    /// What is lost of a grant, if the workspace keeps what is lost of a payment of it. Entries of
    /// earlier versions say it of the grant instead.
    fn known_loss_of(&self, grant: GrantId) -> Option<GrantLoss> {
        let payments = self.payments.as_deref()?;
        let is_known = payments.payments_of(grant).any(|payment| payments.knows_losses_of(payment));
        let loss = payments.loss_of(grant)?;
        assert!(loss.credit >= Micros::ZERO, "i13: no less than nothing may be lost");
        (is_known || loss.paid_cents == 0).then_some(loss)
    }

    /// Takes credit back from grants.
    fn take_back(&mut self, draws: &[Draw]) -> Result<(), Violation> {
        self.grants.take(draws)?;
        self.totals.clawed_back += draws.iter().map(|draw| draw.amount).sum();
        Ok(())
    }
}

/// Checks that every amount of a stored entry is in range, so that adding them up cannot overflow.
fn check_amounts(body: &EntryBody) -> Result<(), Violation> {
    let in_range = |amount: Micros| amount >= Micros::ZERO && amount <= Micros::MAX;
    let sentence = "i01: an entry moves an amount out of range";
    let mut total = Micros::ZERO;
    for draw in body.draws() {
        let next = total.checked_add(draw.amount).filter(|_| in_range(draw.amount));
        total = next.ok_or(Violation(sentence))?;
    }
    let rest = match body {
        EntryBody::ClawBackIncreased { lost, owed, .. } => [lost.credit, *owed],
        EntryBody::ClawBackReduced { lost, forgiven, .. } => [lost.credit, *forgiven],
        _ => [Micros::ZERO; 2],
    };
    ensure(rest.into_iter().all(in_range), sentence)?;
    // The legs add up the draws, which is safe only now.
    ensure(body.legs().is_none_or(|legs| in_range(legs.amount)), sentence)
}
