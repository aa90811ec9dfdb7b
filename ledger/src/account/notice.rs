//! What the admins of a workspace are to know of refusals: a charge was refused for lack of credit,
//! or by a spending limit.
//!
//! A refusal writes nothing, and many may come at once. So a notice is written by a command of its
//! own: for lack of credit once in a cooldown, with the number of refusals, and for a limit once in
//! each of its periods (i09). Here is what was noted. `decide::alerts` decides, and the server
//! sends the command.

use super::alert::is_over;
use super::limit::{read_subject, write_subject};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Limits, Micros, OperationId, Period, Subject, Timestamp, bounds};

/// A charge that was refused because the workspace held too little (P3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCharge {
    /// The operation that was to be paid.
    pub operation: OperationId,
    /// The amount of the charge.
    pub required: Micros,
    /// What could be spent, less than `required`.
    pub available: Micros,
    /// The charges that were refused since the last notice, with this one, as far as the server
    /// counted them.
    pub refusals: u64,
}

/// A spending limit that refused a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedLimit {
    /// Whose spending the limit caps.
    pub subject: Subject,
    /// The period of the limit.
    pub period: Period,
    /// The cap.
    pub amount: Micros,
    /// The end of the period in which it was reached.
    pub resets_at: Timestamp,
}

/// What was noted. A workspace of which nothing was noted has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// The time by which a refused charge was last noted; [`Timestamp::ZERO`] if never.
    pub refused_at: Timestamp,
    /// The limits that were reached, each with the end of the period; at most one for each limit.
    pub reached: Vec<(Subject, Period, Timestamp)>,
}

impl RefusedCharge {
    /// What is missing.
    #[must_use]
    pub fn shortfall(&self) -> Micros {
        self.required - self.available
    }

    /// True if the numbers are those of a refusal.
    pub(crate) fn is_sound(&self) -> bool {
        let RefusedCharge { operation: _, required, available, refusals } = self;
        *available >= Micros::ZERO && available < required && *required <= Micros::MAX && *refusals > 0
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let RefusedCharge { operation, required, available, refusals } = self;
        w.text(operation.as_str());
        w.micros(*required);
        w.micros(*available);
        w.unsigned(*refusals);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<RefusedCharge, Malformed> {
        Ok(RefusedCharge {
            operation: OperationId::known(r.text("an operation")?),
            required: r.micros("a refused charge")?,
            available: r.micros("a refused charge")?,
            refusals: r.unsigned("refused charges")?,
        })
    }
}

impl ReachedLimit {
    pub(crate) fn write(&self, w: &mut Writer) {
        let ReachedLimit { subject, period, amount, resets_at } = self;
        write_subject(w, subject);
        w.byte(period.code());
        w.micros(*amount);
        w.time(*resets_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<ReachedLimit, Malformed> {
        Ok(ReachedLimit {
            subject: read_subject(r)?,
            period: Period::from_code(r.byte("a limit's period")?)?,
            amount: r.micros("a limit's amount")?,
            resets_at: r.time("a limit's period")?,
        })
    }
}

impl Notices {
    /// True if a refused charge may be noted now. A cooldown of less than an hour counts as an
    /// hour, because refusals are free and an entry stays for ever.
    pub(crate) fn may_note_refused(&self, cooldown_seconds: i64, now: Timestamp) -> bool {
        let cooldown_seconds = cooldown_seconds.max(bounds::REFUSED_COOLDOWN_MIN_SECONDS);
        is_over(self.refused_at, cooldown_seconds, now)
    }

    /// True if it was noted that a limit was reached in the period that ends at `resets_at`.
    pub(crate) fn has_reached(&self, subject: &Subject, period: Period, resets_at: Timestamp) -> bool {
        self.reached.iter().any(|(of, per, end)| of == subject && *per == period && *end == resets_at)
    }

    /// Notes a refused charge.
    ///
    /// # Errors
    /// [`Violation`] of i09 if the cooldown is not over.
    pub(crate) fn refuse(
        &mut self,
        refused: &RefusedCharge,
        cooldown_seconds: i64,
        now: Timestamp,
    ) -> Result<(), Violation> {
        ensure(refused.is_sound(), "i09: a refused charge costs no more than is available")?;
        ensure(self.may_note_refused(cooldown_seconds, now), "i09: a refused charge is noted twice")?;
        self.refused_at = now;
        Ok(())
    }

    /// Notes that a limit was reached. Periods that are over are removed.
    ///
    /// # Errors
    /// [`Violation`] of i09 if it was noted in this period, or there is no such limit.
    pub(crate) fn reach(
        &mut self,
        reached: &ReachedLimit,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let ReachedLimit { subject, period, amount, resets_at } = reached;
        let limit = limits.find(subject, *period).filter(|limit| limit.amount == *amount);
        ensure(limit.is_some(), "i09: a limit is reached that is not set")?;
        let is_new = !self.has_reached(subject, *period, *resets_at);
        ensure(is_new, "i09: a limit is reached twice in a period")?;
        ensure(*resets_at > now, "i09: a limit is reached in a period that is over")?;
        self.reached.retain(|(of, per, end)| *end > now && (of, per) != (subject, period));
        self.reached.push((subject.clone(), *period, *resets_at));
        Ok(())
    }

    /// Removes what was noted of limits that are no longer set.
    pub(crate) fn keep_limits(&mut self, limits: &Limits) {
        self.reached.retain(|(subject, period, _)| limits.find(subject, *period).is_some());
        assert!(self.reached.len() <= limits.0.len(), "a limit must be noted once");
    }

    /// True if nothing is noted.
    pub(crate) fn is_blank(&self) -> bool {
        self.refused_at == Timestamp::ZERO && self.reached.is_empty()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.time(self.refused_at);
        w.list(&self.reached, |w, (subject, period, resets_at)| {
            write_subject(w, subject);
            w.byte(period.code());
            w.time(*resets_at);
        });
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Notices, Malformed> {
        let refused_at = r.time("a notice")?;
        let reached = r.list("the reached limits", |r| {
            let subject = read_subject(r)?;
            Ok((subject, Period::from_code(r.byte("a limit's period")?)?, r.time("a limit's period")?))
        })?;
        let notices = Notices { refused_at, reached };
        if notices.is_blank() { Err(Malformed("an empty notice")) } else { Ok(notices) }
    }
}
