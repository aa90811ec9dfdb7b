//! A top-up: credit that is bought once, granted after its payment and never before (P5).

use super::at_provider::AtProvider;
use super::card::{Provider, is_provider_id};
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{GrantId, Micros, Timestamp, TopUpId, bounds};

/// How a top-up is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpWay {
    /// Outside the system, by bank transfer or invoice. The platform confirms it.
    Manual,
    /// On a page of a payment provider.
    Checkout,
    /// With the saved card, because the balance was low.
    Automatic,
}

coded!(TopUpWay, "the way of a top-up", {
    Manual = 0 "manual",
    Checkout = 1 "checkout",
    Automatic = 2 "automatic",
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
    /// It was not paid. If it is paid after all, its credit is granted.
    Failed,
    /// Nobody paid it in time, or on its page. It is still granted if its payment comes in after
    /// all.
    Expired,
}

coded!(TopUpStatus, "the status of a top-up", {
    Pending = 0 "pending",
    Succeeded = 1 "succeeded",
    Failed = 2 "failed",
    Expired = 3 "expired",
});

/// Why a top-up failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpFailure {
    /// The bank declined the card for now; the same card may pay later.
    SoftDecline,
    /// The bank declined the card for good: it is lost, stolen, closed or expired.
    HardDecline,
    /// The bank wants the holder of the card to confirm the payment.
    AuthenticationNeeded,
    /// The payment was cancelled, or a slow method of payment brought no money.
    NotPaid,
    /// The provider refused the request itself, which an operator must look at.
    RefusedByProvider,
}

coded!(TopUpFailure, "why a top-up failed", {
    SoftDecline = 0 "declined",
    HardDecline = 1 "declined_for_good",
    AuthenticationNeeded = 2 "authentication_needed",
    NotPaid = 3 "not_paid",
    RefusedByProvider = 4 "refused_by_provider",
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
    /// Why it failed, if it did and was not paid after all.
    pub failure: Option<TopUpFailure>,
    /// What is known of it at a payment provider.
    pub at_provider: AtProvider,
}

impl TopUp {
    /// Begins the name of a payment that a person confirmed.
    pub const MANUAL: &str = "manual:";

    /// A top-up that was just opened.
    ///
    /// # Panics
    /// If it buys nothing.
    #[must_use]
    pub fn opened(id: TopUpId, cents: i64, way: TopUpWay, opened_at: Timestamp) -> TopUp {
        assert!(cents > 0, "a top-up must buy something");
        let status = TopUpStatus::Pending;
        let (ended_at, payment, grant, failure) = (None, None, None, None);
        let at_provider = AtProvider::default();
        TopUp { id, cents, way, status, opened_at, ended_at, payment, grant, failure, at_provider }
    }

    /// True if it waits for a charge of the saved card (i14).
    #[must_use]
    pub fn is_pending_automatic(&self) -> bool {
        self.way == TopUpWay::Automatic && self.status == TopUpStatus::Pending
    }

    /// The credit that it buys: 1,000 micro-units a cent.
    #[must_use]
    pub fn credits(&self) -> Micros {
        Micros::from_cents(self.cents)
    }

    /// The time from which it is given up if nobody has paid it; `None` if only the provider ends
    /// it. A checkout page ends long before: the time frees its place if nobody hears of that.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.way {
            TopUpWay::Manual | TopUpWay::Checkout => {
                Some(self.opened_at.plus_seconds(bounds::TOP_UP_PENDING_SECONDS))
            }
            TopUpWay::Automatic => None,
        }
    }

    /// True if it waits and its time has passed.
    #[must_use]
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        self.status == TopUpStatus::Pending && self.expires_at().is_some_and(|at| at <= now)
    }

    /// True if it waits for a payer on a page of the provider, which says when the page is over.
    #[must_use]
    pub(crate) fn waits_on_a_page(&self) -> bool {
        self.status == TopUpStatus::Pending && self.way == TopUpWay::Checkout
    }

    /// True if it may be given up: its time has passed, or its provider ends it before.
    #[must_use]
    pub(crate) fn may_expire(&self, now: Timestamp) -> bool {
        self.waits_on_a_page() || self.is_late(now)
    }

    /// True if it ended, and is so old that it need not be kept.
    #[must_use]
    pub(crate) fn may_leave(&self, now: Timestamp) -> bool {
        let is_old = |at: Timestamp| at.plus_seconds(bounds::TOP_UP_KEPT_SECONDS) <= now;
        is_old(self.opened_at) && self.ended_at.is_some_and(is_old)
    }

    /// The name of the payment of a top-up that is confirmed by a person. It is derived, so that a
    /// second confirmation is the same payment.
    #[must_use]
    pub fn manual_payment(id: TopUpId) -> String {
        format!("{}{id}", TopUp::MANUAL)
    }

    /// The name of a payment at a provider, which may grant credit once.
    #[must_use]
    pub fn provider_payment(provider: Provider, id: &str) -> String {
        format!("{}:{id}", provider.as_str())
    }

    /// True if the text is the name of a payment at a provider.
    #[must_use]
    pub(crate) fn is_provider_payment(payment: &str) -> bool {
        TopUp::of_provider_payment(payment).is_some()
    }

    /// The provider's id of a payment; `None` if the payment was not made at a provider.
    #[must_use]
    pub fn of_provider_payment(payment: &str) -> Option<&str> {
        let (provider, id) = payment.split_once(':')?;
        (provider == Provider::Stripe.as_str() && is_provider_id(id)).then_some(id)
    }

    /// The reason of a grant that was paid at a provider. It names the top-up.
    pub(crate) fn reason_of(id: TopUpId) -> String {
        format!("{REASON}{id}")
    }

    /// The top-up that the reason of a grant names.
    pub(crate) fn of_reason(reason: &str) -> Option<TopUpId> {
        reason.strip_prefix(REASON)?.parse().ok()
    }

    /// The top-up of a payment that was confirmed by a person.
    #[must_use]
    pub fn of_manual_payment(payment: &str) -> Option<TopUpId> {
        payment.strip_prefix(TopUp::MANUAL)?.parse().ok()
    }

    pub(crate) fn succeed(&mut self, payment: Box<str>, grant: GrantId, at: Timestamp) {
        assert!(self.grant.is_none(), "i12: a top-up must not grant twice");
        assert!(self.payment.is_none(), "i12: a top-up must not have two payments");
        (self.status, self.failure) = (TopUpStatus::Succeeded, None);
        (self.payment, self.grant, self.ended_at) = (Some(payment), Some(grant), Some(at));
    }

    pub(crate) fn fail(&mut self, failure: TopUpFailure, at: Timestamp) {
        assert!(self.grant.is_none(), "i12: a top-up that was paid must not fail");
        (self.status, self.failure, self.ended_at) = (TopUpStatus::Failed, Some(failure), Some(at));
    }

    pub(crate) fn expire(&mut self, at: Timestamp) {
        assert!(self.may_expire(at), "a top-up must not expire before its time");
        assert!(self.payment.is_none(), "i12: a top-up that was paid must not expire");
        (self.status, self.ended_at) = (TopUpStatus::Expired, Some(at));
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        // What is known at a provider has a section of its own.
        let TopUp { id, cents, way, status, opened_at, ended_at, payment, grant, failure, at_provider: _ } =
            self;
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
        // Its status says that it follows.
        if let Some(failure) = failure {
            w.byte(failure.code());
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<TopUp, Malformed> {
        let mut top_up = TopUp {
            id: TopUpId(r.id("a top-up")?),
            cents: r.signed("a top-up's cents")?,
            way: TopUpWay::from_code(r.byte("a top-up's way")?)?,
            status: TopUpStatus::from_code(r.byte("a top-up's status")?)?,
            opened_at: r.time("a top-up's time")?,
            ended_at: r.maybe_signed("a top-up's end")?.map(Timestamp::from_millis),
            payment: r.maybe_text("a top-up's payment")?.map(Into::into),
            grant: if r.flag("a top-up's grant")? { Some(GrantId(r.id("a top-up's grant")?)) } else { None },
            failure: None,
            at_provider: AtProvider::default(),
        };
        if top_up.status == TopUpStatus::Failed {
            top_up.failure = Some(TopUpFailure::from_code(r.byte("why a top-up failed")?)?);
        }
        let is_paid = top_up.status == TopUpStatus::Succeeded;
        let agrees = is_paid == top_up.grant.is_some()
            && is_paid == top_up.payment.is_some()
            && (top_up.status == TopUpStatus::Pending) == top_up.ended_at.is_none();
        if !agrees || !TopUpBounds::WIDEST.allow(top_up.cents) {
            return Err(Malformed("a top-up whose parts do not agree"));
        }
        Ok(top_up)
    }
}

/// Begins the reason of a grant that was paid at a provider.
const REASON: &str = "top-up ";
