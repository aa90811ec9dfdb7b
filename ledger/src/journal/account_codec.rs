//! The bytes of an account and of a grant, as an engine stores them beside the journal.
//!
//! They are derived data. A reader refuses an unknown format. With a new format, raise the version
//! of the state file too: the embedded engine then rebuilds that file from the journal. On
//! PostgreSQL a new format needs a migration. The engine stores spent grants, the team and the
//! payments apart, because most charges need none of them (see `team`, `payments`).

use std::sync::Arc;

use super::codec::{Malformed, Reader, Writer};
use super::entry_codec::{read_profile, write_profile};
use crate::{
    Account, Alerts, Balance, ChainEnd, ClawBacks, Grant, GrantId, Grants, Limit, Limits, Micros, Payments,
    Source, Team, Threshold, Timestamp, Totals, bounds,
};

/// The format of the bytes.
const FORMAT: u8 = 3;

/// The format of earlier versions, which knew no recoveries and no notices. A reader refuses any
/// other.
const WITHOUT_RECOVERIES: u8 = 2;

impl Account {
    /// Appends the bytes of all but the spent grants, the team and the payments.
    ///
    /// # Panics
    /// If an invariant does not hold: an account that is wrong must not be stored.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        assert!(self.balance.available >= Micros::ZERO, "i04: available must not be negative");
        assert!(self.balance.pending >= Micros::ZERO, "i04: pending must not be negative");
        assert!(
            self.balance.debt == self.claw_backs.owed(),
            "i04: debt must be the sum of what is owed for the claw-backs"
        );
        assert!(self.limits.0.len() <= bounds::LIMITS_MAX, "a workspace must have at most 200 limits");
        assert!(
            self.chain.n > 0 || self.totals == Totals::default(),
            "i02: an account without entries must have totals of zero"
        );
        assert!(
            self.totals.refunded <= self.totals.charged,
            "i10: the total refunded must not exceed the total charged"
        );
        assert!(
            self.last_used_at.is_none_or(|used| used <= self.chain.at),
            "i02: the last charge must not be later than the last entry"
        );
        assert!(
            self.last_used_at.is_some() || self.totals.charged == Micros::ZERO,
            "i10: an account that was charged must know its last charge"
        );
        let w = &mut Writer(bytes);
        let Account {
            profile,
            chain,
            last_used_at,
            balance,
            totals,
            grants,
            limits,
            alerts,
            claw_backs,
            team: _,
            payments: _,
        } = self;
        w.byte(FORMAT);
        write_profile(w, profile);
        w.unsigned(chain.n);
        w.time(chain.at);
        w.raw(&chain.hash);
        w.maybe_signed(last_used_at.map(Timestamp::millis));
        for amount in [balance.available, balance.pending, balance.debt] {
            w.micros(amount);
        }
        for amount in [totals.granted, totals.charged, totals.refunded, totals.clawed_back] {
            w.micros(amount);
        }
        let mut open = Vec::new();
        let mut remaining = Micros::ZERO;
        for grant in grants.iter().filter(|grant| grant.remaining > Micros::ZERO) {
            assert!(grant.n <= chain.n, "i02: a grant must not be newer than the last entry");
            assert!(grant.voided_at.is_none(), "i03: a voided grant must not hold credit");
            remaining += grant.remaining;
            open.push(grant);
        }
        assert!(
            balance.available == remaining,
            "i04: available must be the sum of what remains in the grants"
        );
        w.list(&open, |w, grant| grant.write(w));
        w.list(&limits.0, |w, limit| limit.write(w));
        alerts.write(w);
        claw_backs.write(w);
    }

    /// Reads the bytes and joins the team and the payments, which were stored apart.
    ///
    /// # Errors
    /// [`Malformed`] with the part that could not be read.
    pub fn decode(
        bytes: &[u8],
        team: Arc<Team>,
        payments: Option<Arc<Payments>>,
    ) -> Result<Account, Malformed> {
        let mut r = Reader(bytes);
        let format = r.byte("an account's format")?;
        if !matches!(format, FORMAT | WITHOUT_RECOVERIES) {
            return Err(Malformed("an account of another format"));
        }
        let profile = Box::new(read_profile(&mut r)?);
        let chain = ChainEnd { n: r.unsigned("a chain")?, at: r.time("a chain")?, hash: r.hash("a chain")? };
        let last_used_at = r.maybe_signed("the last charge")?.map(Timestamp::from_millis);
        let mut micros = || r.micros("an account's amounts");
        let balance = Balance { available: micros()?, pending: micros()?, debt: micros()? };
        let totals =
            Totals { granted: micros()?, charged: micros()?, refunded: micros()?, clawed_back: micros()? };
        let mut grants = Grants::default();
        for grant in r.list("the grants", Grant::read)? {
            if !grants.try_insert(grant) {
                return Err(Malformed("a grant that stands twice"));
            }
        }
        let limits = Limits(r.list("the limits", Limit::read)?);
        let alerts = match format {
            WITHOUT_RECOVERIES => Alerts::read_without_recoveries(&mut r)?,
            _ => Alerts::read(&mut r)?,
        };
        let claw_backs = ClawBacks::read(&mut r)?;
        r.end("an account")?;
        let account = Account {
            profile,
            chain,
            last_used_at,
            balance,
            totals,
            grants,
            limits,
            alerts,
            claw_backs,
            team,
            payments,
        };
        account.check_stored()?;
        Ok(account)
    }

    /// Refuses bytes that [`Account::encode`] never writes, so that damage is reported where it is
    /// read and does not break an assertion later.
    fn check_stored(&self) -> Result<(), Malformed> {
        let Account { chain, last_used_at, balance, totals, grants, limits, alerts, claw_backs, .. } = self;
        let mut remaining = grants.iter().map(|grant| grant.remaining);
        let mut owed = claw_backs.iter().map(|claw_back| claw_back.owed);
        // Damaged amounts may not fit into a sum.
        let checked = |sum: Micros, amount: Micros| sum.checked_add(amount);
        let is_sound = balance.available >= Micros::ZERO
            && balance.pending >= Micros::ZERO
            && remaining.try_fold(Micros::ZERO, checked) == Some(balance.available)
            && claw_backs.iter().all(|claw_back| claw_back.owed >= Micros::ZERO)
            && owed.try_fold(Micros::ZERO, checked) == Some(balance.debt)
            && totals.refunded <= totals.charged
            && (chain.n > 0 || *totals == Totals::default())
            && last_used_at.is_none_or(|used| used <= chain.at)
            && (last_used_at.is_some() || totals.charged == Micros::ZERO);
        if !is_sound {
            return Err(Malformed("an account whose sums do not agree"));
        }
        if grants.iter().any(|grant| grant.n > chain.n) {
            return Err(Malformed("a grant newer than the last entry"));
        }
        let thresholds = &alerts.thresholds;
        if limits.0.len() > bounds::LIMITS_MAX || thresholds.len() > bounds::THRESHOLDS_MAX {
            return Err(Malformed("more limits or thresholds than a workspace can have"));
        }
        let fired_later = thresholds.iter().any(|threshold| threshold.fired_at > chain.at);
        let noted = alerts.notices.as_deref();
        let noted_later = noted.is_some_and(|noted| noted.refused_at > chain.at);
        if fired_later || noted_later || alerts.cooldown_seconds < 0 {
            return Err(Malformed("an alert in the future, or a negative cooldown"));
        }
        let in_range = |threshold: &Threshold| (Micros::ZERO..=Micros::MAX).contains(&threshold.amount);
        let low_without_alert =
            |threshold: &Threshold| threshold.is_low && threshold.fired_at == Timestamp::ZERO;
        if !thresholds.iter().all(in_range) || thresholds.iter().any(low_without_alert) {
            return Err(Malformed("a threshold"));
        }
        if noted.is_some_and(|noted| noted.reached.len() > limits.0.len()) {
            return Err(Malformed("more limits that were reached than there are"));
        }
        Ok(())
    }
}

impl Grant {
    /// Appends the bytes of one grant, for spent grants, which are stored apart.
    ///
    /// # Panics
    /// If the grant breaks i03: a grant that is wrong must not be stored.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        assert!(self.n > 0, "i02: a grant must have the number of its entry");
        assert!(self.remaining >= Micros::ZERO, "i03: what remains of a grant must not be negative");
        assert!(self.remaining <= self.amount, "i03: what remains of a grant must not exceed its amount");
        assert!(
            self.voided_at.is_none() || self.remaining == Micros::ZERO,
            "i03: a voided grant must not hold credit"
        );
        let w = &mut Writer(bytes);
        self.write(w);
        w.maybe_signed(self.voided_at.map(Timestamp::millis));
    }

    /// Reads the bytes of one grant.
    ///
    /// # Errors
    /// [`Malformed`] with the part that could not be read.
    pub fn decode(bytes: &[u8]) -> Result<Grant, Malformed> {
        let mut r = Reader(bytes);
        let mut grant = Grant::read(&mut r)?;
        // A grant of an earlier release ends here.
        if !r.is_at_end() {
            grant.voided_at = r.maybe_signed("a grant's end")?.map(Timestamp::from_millis);
        }
        if grant.voided_at.is_some() && grant.remaining != Micros::ZERO {
            return Err(Malformed("a voided grant that holds credit"));
        }
        r.end("a grant")?;
        Ok(grant)
    }

    fn write(&self, w: &mut Writer) {
        w.id(self.id.0);
        w.unsigned(self.n);
        w.byte(self.source.code());
        w.micros(self.amount);
        w.micros(self.remaining);
    }

    fn read(r: &mut Reader) -> Result<Grant, Malformed> {
        let grant = Grant {
            id: GrantId(r.id("a grant")?),
            n: r.unsigned("a grant")?,
            source: Source::from_code(r.byte("a grant's source")?)?,
            amount: r.micros("a grant")?,
            remaining: r.micros("a grant")?,
            voided_at: None,
        };
        if grant.n == 0 || !(Micros::ZERO..=grant.amount).contains(&grant.remaining) {
            return Err(Malformed("a grant with more or less than it can hold"));
        }
        Ok(grant)
    }
}
