//! A top-up: credit that is bought once, granted after its payment and never before (P5).

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{GrantId, Micros, Timestamp, TopUpId, bounds};

/// How a top-up is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpWay {
    /// Outside the system, by bank transfer or invoice. The platform confirms it.
    Manual,
}

coded!(TopUpWay, "the way of a top-up", {
    Manual = 0 "manual",
});

/// The smallest and the largest top-up that may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct TopUpBounds {
    /// The smallest, in cents.
    pub min_cents: i64,
    /// The largest, in cents.
    pub max_cents: i64,
}

impl TopUpBounds {
    /// What the ledger can hold: from one cent to the largest charge of a card.
    pub const WIDEST: TopUpBounds = TopUpBounds { min_cents: 1, max_cents: bounds::TOP_UP_MAX_CENTS };

    /// True if a top-up may be of this size.
    #[must_use]
    pub fn allow(&self, cents: i64) -> bool {
        (self.min_cents..=self.max_cents).contains(&cents)
    }
}

/// What became of a top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpStatus {
    /// It waits for its payment.
    Pending,
    /// It was paid, and its credit was granted.
    Succeeded,
}

coded!(TopUpStatus, "the status of a top-up", {
    Pending = 0 "pending",
    Succeeded = 1 "succeeded",
});

/// Credit that is bought once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// The id of the top-up.
    pub id: TopUpId,
    /// What is paid, in cents, without tax.
    pub cents: i64,
    /// How it is paid.
    pub way: TopUpWay,
    /// What became of it.
    pub status: TopUpStatus,
    /// The time at which it was opened.
    pub opened_at: Timestamp,
    /// The time at which it stopped being pending.
    pub ended_at: Option<Timestamp>,
    /// The name of the payment, once there is one.
    pub payment: Option<Box<str>>,
    /// The grant, once there is one.
    pub grant: Option<GrantId>,
}

impl TopUp {
    /// A top-up that was just opened.
    ///
    /// # Panics
    /// If it buys nothing.
    #[must_use]
    pub fn opened(id: TopUpId, cents: i64, way: TopUpWay, opened_at: Timestamp) -> TopUp {
        assert!(cents > 0, "a top-up must buy something");
        let status = TopUpStatus::Pending;
        TopUp { id, cents, way, status, opened_at, ended_at: None, payment: None, grant: None }
    }

    /// The credit that it buys: 1,000 micro-units a cent.
    #[must_use]
    pub fn credits(&self) -> Micros {
        Micros::from_cents(self.cents)
    }

    /// The name of the payment of a top-up that is confirmed by a person. It is derived, so that a
    /// second confirmation is the same payment.
    #[must_use]
    pub fn manual_payment(id: TopUpId) -> String {
        format!("{MANUAL}{id}")
    }

    /// The top-up of a payment that was confirmed by a person.
    pub(crate) fn of_manual_payment(payment: &str) -> Option<TopUpId> {
        payment.strip_prefix(MANUAL)?.parse().ok()
    }

    pub(crate) fn succeed(&mut self, payment: Box<str>, grant: GrantId, at: Timestamp) {
        assert!(self.grant.is_none(), "i12: a top-up must not grant twice");
        assert!(self.payment.is_none(), "i12: a top-up must not have two payments");
        self.status = TopUpStatus::Succeeded;
        (self.payment, self.grant, self.ended_at) = (Some(payment), Some(grant), Some(at));
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let TopUp { id, cents, way, status, opened_at, ended_at, payment, grant } = self;
        w.id(id.0);
        w.signed(*cents);
        w.byte(way.code());
        w.byte(status.code());
        w.time(*opened_at);
        w.maybe_signed(ended_at.map(Timestamp::millis));
        w.maybe_text(payment.as_deref());
        w.flag(grant.is_some());
        if let Some(grant) = grant {
            w.id(grant.0);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<TopUp, Malformed> {
        let top_up = TopUp {
            id: TopUpId(r.id("a top-up")?),
            cents: r.signed("a top-up's cents")?,
            way: TopUpWay::from_code(r.byte("a top-up's way")?)?,
            status: TopUpStatus::from_code(r.byte("a top-up's status")?)?,
            opened_at: r.time("a top-up's time")?,
            ended_at: r.maybe_signed("a top-up's end")?.map(Timestamp::from_millis),
            payment: r.maybe_text("a top-up's payment")?.map(Into::into),
            grant: if r.flag("a top-up's grant")? { Some(GrantId(r.id("a top-up's grant")?)) } else { None },
        };
        let is_paid = top_up.status == TopUpStatus::Succeeded;
        let agrees = is_paid == top_up.grant.is_some()
            && is_paid == top_up.payment.is_some()
            && is_paid == top_up.ended_at.is_some();
        if !agrees || !TopUpBounds::WIDEST.allow(top_up.cents) {
            return Err(Malformed("a top-up whose parts do not agree"));
        }
        Ok(top_up)
    }
}

/// Begins the name of a payment that a person confirmed.
const MANUAL: &str = "manual:";
