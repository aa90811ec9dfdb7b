//! Automatic top-ups: credit that is bought with the saved card once the balance is low (P5).
//!
//! A rule says below which balance, how much, and at most how much in a month. At most one
//! automatic top-up waits for its payment, and those of a month stay within the cap (i14). The
//! month is the calendar's, so the cap is asserted in the decision and recomputed by an audit of
//! the rules; every entry is checked for all else. When a top-up is opened is decided in
//! `decide::auto_top_up`. How the card is charged is not here.

use super::Payments;
use super::top_up::{TopUp, TopUpBounds, TopUpFailure, TopUpStatus, TopUpWay};
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Kind, Micros, PeriodWindow, Timestamp, bounds};

/// When to buy credit by itself, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoTopUp {
    /// Credit is bought when less than this is available.
    pub threshold: Micros,
    /// What is bought at once, in cents, without tax.
    pub cents: i64,
    /// The most that is bought in a month of the workspace's time zone, in cents.
    pub monthly_cap_cents: i64,
    /// Whether it buys.
    pub state: AutoTopUpState,
    /// How often in a row the bank declined the card for now.
    pub soft_declines: u8,
}

/// Whether automatic top-ups are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoTopUpState {
    /// They are.
    Active,
    /// Not before a time, because the last one failed.
    Paused {
        /// The time from which they are opened again.
        until: Timestamp,
    },
    /// Not before the rule is set again.
    Stopped {
        /// The reason.
        why: StopReason,
    },
}

/// Why automatic top-ups were stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The workspace or the platform asked for it.
    Requested,
    /// The saved card was removed.
    PaymentMethodRemoved,
    /// The bank declined the card for good, or too often.
    Declined,
    /// The bank wants the holder of the card to confirm the payment.
    AuthenticationNeeded,
    /// A payment of the workspace is disputed.
    Disputed,
    /// The provider warns of fraud.
    FraudWarning,
}

coded!(StopReason, "why automatic top-ups were stopped", {
    Requested = 0 "requested",
    PaymentMethodRemoved = 1 "payment_method_removed",
    Declined = 2 "declined",
    AuthenticationNeeded = 3 "authentication_needed",
    Disputed = 4 "disputed",
    FraudWarning = 5 "fraud_warning",
});

/// What can be asked about automatic top-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoTopUpCommand {
    /// Sets the rule. One that was stopped is active again; a pause stays.
    Set {
        /// Credit is bought when less than this is available.
        threshold: Micros,
        /// What is bought at once, in cents.
        cents: i64,
        /// The most that is bought in a month, in cents.
        monthly_cap_cents: i64,
        /// What the caller's settings allow a top-up to be.
        allowed: TopUpBounds,
    },
    /// Stops automatic top-ups.
    Stop {
        /// The reason.
        why: StopReason,
    },
    /// Opens an automatic top-up if the balance is low and the rule allows one now, as a charge
    /// does. It is for a rule that was just set, and for a charge that was refused for lack of
    /// credit, which can write nothing itself.
    OpenIfLow,
}

/// What happened to the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoTopUpChange {
    /// It was set.
    Set {
        /// Credit is bought when less than this is available.
        threshold: Micros,
        /// What is bought at once, in cents.
        cents: i64,
        /// The most that is bought in a month, in cents.
        monthly_cap_cents: i64,
    },
    /// It waits, because a top-up failed. It follows the entry that says so.
    Paused {
        /// The time from which top-ups are opened again.
        until: Timestamp,
    },
    /// It was stopped.
    Stopped {
        /// The reason.
        why: StopReason,
    },
}

impl AutoTopUp {
    /// True unless it was stopped.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !matches!(self.state, AutoTopUpState::Stopped { .. })
    }

    /// True if a top-up may be opened at `now`: it runs, and no pause is under way. A pause that is
    /// longer than any was begun while a clock was ahead, and does not count.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        match self.state {
            AutoTopUpState::Active => true,
            AutoTopUpState::Paused { until } => {
                let longest = now.plus_seconds(bounds::NEXT_DECLINE_PAUSE_SECONDS);
                until <= now || until.is_ahead_of(longest)
            }
            AutoTopUpState::Stopped { .. } => false,
        }
    }

    /// True if one purchase closes the gap and fits the cap.
    fn is_consistent(&self) -> bool {
        let AutoTopUp { threshold, cents, monthly_cap_cents, state: _, soft_declines } = self;
        *threshold > Micros::ZERO
            && TopUpBounds::WIDEST.allow(*cents)
            && *threshold <= Micros::from_cents(*cents)
            && (*cents..=bounds::MONTHLY_CAP_MAX_CENTS).contains(monthly_cap_cents)
            && *soft_declines <= bounds::SOFT_DECLINES_MAX
    }

    /// What becomes of the rule after a top-up of it failed, by the declines before it.
    pub(crate) fn after_failure(&self, failure: TopUpFailure, now: Timestamp) -> AutoTopUpChange {
        let pause = |seconds| AutoTopUpChange::Paused { until: now.plus_seconds(seconds) };
        match failure {
            TopUpFailure::SoftDecline => match self.soft_declines {
                0 => pause(bounds::FIRST_DECLINE_PAUSE_SECONDS),
                1 => pause(bounds::NEXT_DECLINE_PAUSE_SECONDS),
                _ => AutoTopUpChange::Stopped { why: StopReason::Declined },
            },
            // No decline of the card: it does not count, and must not be repeated with each charge.
            TopUpFailure::NotPaid | TopUpFailure::RefusedByProvider => {
                pause(bounds::NEXT_DECLINE_PAUSE_SECONDS)
            }
            TopUpFailure::HardDecline => AutoTopUpChange::Stopped { why: StopReason::Declined },
            TopUpFailure::AuthenticationNeeded => {
                AutoTopUpChange::Stopped { why: StopReason::AuthenticationNeeded }
            }
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        let AutoTopUp { threshold, cents, monthly_cap_cents, state, soft_declines } = self;
        w.micros(*threshold);
        w.signed(*cents);
        w.signed(*monthly_cap_cents);
        w.byte(*soft_declines);
        match state {
            AutoTopUpState::Active => w.byte(0),
            AutoTopUpState::Paused { until } => {
                w.byte(1);
                w.time(*until);
            }
            AutoTopUpState::Stopped { why } => {
                w.byte(2);
                w.byte(why.code());
            }
        }
    }

    pub(super) fn read(r: &mut Reader) -> Result<AutoTopUp, Malformed> {
        const STATE: &str = "the state of automatic top-ups";
        let rule = AutoTopUp {
            threshold: r.micros("a threshold")?,
            cents: r.signed("a top-up's cents")?,
            monthly_cap_cents: r.signed("a monthly cap")?,
            soft_declines: r.byte("the declines of a card")?,
            state: match r.byte(STATE)? {
                0 => AutoTopUpState::Active,
                1 => AutoTopUpState::Paused { until: r.time(STATE)? },
                2 => AutoTopUpState::Stopped { why: StopReason::from_code(r.byte(STATE)?)? },
                _ => return Err(Malformed(STATE)),
            },
        };
        if rule.is_consistent() { Ok(rule) } else { Err(Malformed("the rule of automatic top-ups")) }
    }
}

impl AutoTopUpChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            AutoTopUpChange::Set { .. } => Kind::AutoTopUpSet,
            AutoTopUpChange::Paused { .. } => Kind::AutoTopUpPaused,
            AutoTopUpChange::Stopped { .. } => Kind::AutoTopUpStopped,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            AutoTopUpChange::Set { threshold, cents, monthly_cap_cents } => {
                w.micros(*threshold);
                w.signed(*cents);
                w.signed(*monthly_cap_cents);
            }
            AutoTopUpChange::Paused { until } => w.time(*until),
            AutoTopUpChange::Stopped { why } => w.byte(why.code()),
        }
    }

    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<AutoTopUpChange, Malformed> {
        Ok(match kind {
            Kind::AutoTopUpSet => {
                let threshold = r.micros("a threshold")?;
                let (cents, monthly_cap_cents) = (r.signed("a top-up's cents")?, r.signed("a monthly cap")?);
                let state = AutoTopUpState::Active;
                let rule = AutoTopUp { threshold, cents, monthly_cap_cents, state, soft_declines: 0 };
                if !rule.is_consistent() {
                    return Err(Malformed("the rule of automatic top-ups"));
                }
                AutoTopUpChange::Set { threshold, cents, monthly_cap_cents }
            }
            Kind::AutoTopUpPaused => AutoTopUpChange::Paused { until: r.time("the end of a pause")? },
            Kind::AutoTopUpStopped => AutoTopUpChange::Stopped {
                why: StopReason::from_code(r.byte("why automatic top-ups were stopped")?)?,
            },
            _ => return Err(Malformed("a change of automatic top-ups")),
        })
    }
}

impl Payments {
    /// The automatic top-up that waits for its payment; there is at most one (i14).
    #[must_use]
    pub fn pending_automatic(&self) -> Option<&TopUp> {
        self.top_ups.iter().rev().find(|top_up| top_up.is_pending_automatic())
    }

    /// What was bought automatically in a month, or may still be: all but what was not paid.
    #[must_use]
    pub fn automatic_cents(&self, month: PeriodWindow) -> i64 {
        let counts = |top_up: &&TopUp| {
            let may_be_paid = matches!(top_up.status, TopUpStatus::Pending | TopUpStatus::Succeeded);
            top_up.way == TopUpWay::Automatic && may_be_paid && month.contains(top_up.opened_at)
        };
        self.top_ups.iter().filter(counts).map(|top_up| top_up.cents).sum()
    }

    /// Applies an entry about the rule.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the payments as they are.
    pub(super) fn apply_auto_top_up(
        &mut self,
        change: &AutoTopUpChange,
        decided_at: Timestamp,
    ) -> Result<(), Violation> {
        const NO_RULE: Violation = Violation("automatic top-ups change that do not run");
        match *change {
            AutoTopUpChange::Set { threshold, cents, monthly_cap_cents } => {
                ensure(self.card.is_some(), "automatic top-ups are set without a card")?;
                let (state, soft_declines) = match &self.auto_top_up {
                    Some(rule) if rule.is_running() => (rule.state, rule.soft_declines),
                    // One that a person stopped goes on where it was.
                    Some(rule) if rule.state == (AutoTopUpState::Stopped { why: StopReason::Requested }) => {
                        (self.pause_of_last(), rule.soft_declines)
                    }
                    _ => (AutoTopUpState::Active, 0),
                };
                let rule = AutoTopUp { threshold, cents, monthly_cap_cents, state, soft_declines };
                ensure(rule.is_consistent(), "the rule of automatic top-ups is out of range")?;
                self.auto_top_up = Some(rule);
                Ok(())
            }
            AutoTopUpChange::Paused { until } => {
                ensure(until > decided_at, "a pause of automatic top-ups ends before it begins")?;
                self.running_rule(NO_RULE)?.state = AutoTopUpState::Paused { until };
                Ok(())
            }
            AutoTopUpChange::Stopped { why } => {
                self.running_rule(NO_RULE)?.state = AutoTopUpState::Stopped { why };
                Ok(())
            }
        }
    }

    /// Checks that the rule opens a top-up, which is about to be added (i14). A pause that is over
    /// ends with it.
    pub(super) fn open_automatic(&mut self, cents: i64, decided_at: Timestamp) -> Result<(), Violation> {
        let waits = self.pending_automatic().is_some();
        ensure(!waits, "i14: a second automatic top-up is opened before the first was paid")?;
        ensure(self.card.is_some(), "i14: an automatic top-up is opened without a card")?;
        let rule = self.running_rule(Violation("i14: an automatic top-up is opened without a rule"))?;
        ensure(rule.is_ready(decided_at), "i14: an automatic top-up is opened in a pause")?;
        ensure(rule.cents == cents, "i14: an automatic top-up is of another size than the rule's")?;
        rule.state = AutoTopUpState::Active;
        Ok(())
    }

    /// Counts what became of an automatic top-up: a success ends a row of declines, and a pause.
    pub(super) fn count_automatic(&mut self, failure: Option<TopUpFailure>) {
        let Some(rule) = self.auto_top_up.as_mut().filter(|rule| rule.is_running()) else { return };
        match failure {
            None => (rule.state, rule.soft_declines) = (AutoTopUpState::Active, 0),
            Some(TopUpFailure::SoftDecline) => {
                rule.soft_declines = bounds::SOFT_DECLINES_MAX.min(rule.soft_declines + 1);
            }
            Some(_) => {}
        }
        assert!(rule.is_consistent(), "the rule of automatic top-ups must stay within its bounds");
    }

    /// The pause after the last automatic top-up, if it failed; it may be over.
    fn pause_of_last(&self) -> AutoTopUpState {
        let last = self.top_ups.iter().rev().find(|top_up| top_up.way == TopUpWay::Automatic);
        let declines = self.auto_top_up.as_ref().map_or(0, |rule| rule.soft_declines);
        let until = last.and_then(|top_up| {
            let seconds = match top_up.failure? {
                TopUpFailure::SoftDecline if declines <= 1 => bounds::FIRST_DECLINE_PAUSE_SECONDS,
                TopUpFailure::SoftDecline | TopUpFailure::NotPaid | TopUpFailure::RefusedByProvider => {
                    bounds::NEXT_DECLINE_PAUSE_SECONDS
                }
                TopUpFailure::HardDecline | TopUpFailure::AuthenticationNeeded => return None,
            };
            Some(top_up.ended_at?.plus_seconds(seconds))
        });
        until.map_or(AutoTopUpState::Active, |until| AutoTopUpState::Paused { until })
    }

    fn running_rule(&mut self, otherwise: Violation) -> Result<&mut AutoTopUp, Violation> {
        self.auto_top_up.as_mut().filter(|rule| rule.is_running()).ok_or(otherwise)
    }

    /// True if a rule that runs has its card, and at most one automatic top-up waits (i14). It
    /// holds after every change, and not between its entries.
    pub(super) fn is_automatic_consistent(&self) -> bool {
        let waiting = self.top_ups.iter().filter(|top_up| top_up.is_pending_automatic());
        let runs = self.auto_top_up.as_ref().is_some_and(AutoTopUp::is_running);
        (self.card.is_some() || !runs) && waiting.count() <= 1
    }
}
