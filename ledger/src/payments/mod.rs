//! The payments of a workspace: its customer and card, its top-ups, its subscription, what went
//! back of them, and what each entry does to them.
//!
//! Money becomes credit once, after it came in, and only then (P5). The grant of a payment is made
//! by the same change as the entry that says so, and its key is derived from the payment, so that
//! no payment can grant twice (i12).
//!
//! Most workspaces have no payments and no charge needs them, so an engine stores their bytes apart
//! from the account's and writes them when they change. What is accepted is decided in
//! `decide::payments`. How a payment is asked for and confirmed at a provider is not here.

pub(crate) mod at_provider;
pub(crate) mod auto_top_up;
pub(crate) mod card;
pub(crate) mod collected;
pub(crate) mod due;
pub(crate) mod paid;
pub(crate) mod payment_refund;
pub(crate) mod subscription;
pub(crate) mod subscription_change;
pub(crate) mod subscription_payment;
pub(crate) mod top_up;
pub(crate) mod unmatched;

use std::sync::Arc;

use self::at_provider::{ProviderChange, ProviderCommand};
use self::auto_top_up::{AutoTopUp, AutoTopUpChange, AutoTopUpCommand, StopReason};
use self::card::{Card, CardChange, CardCommand, Customer};
use self::collected::Collected;
use self::payment_refund::{MoneyBack, PaymentRefundChange, PaymentRefundCommand};
use self::subscription::Subscription;
use self::subscription_change::{SubscriptionChange, SubscriptionCommand};
use self::subscription_payment::SubscriptionPayment;
use self::top_up::{TopUp, TopUpBounds, TopUpFailure, TopUpStatus, TopUpWay};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Grant, GrantId, Kind, Micros, Source, Timestamp, TopUpId, bounds};

/// The format of the bytes; a reader refuses any other.
const FORMAT: u8 = 1;

/// The tags of the sections, which follow the top-ups in ascending order. A section that would say
/// nothing is not written, so the bytes of payments without it stay as they were.
const CUSTOMER: u8 = 1;
const AUTO_TOP_UP: u8 = 2;
const MONEY_BACK: u8 = 3;
const SUBSCRIPTION: u8 = 4;
const AT_PROVIDER: u8 = 5;
const OF_SUBSCRIPTIONS: u8 = 6;
const COLLECTED: u8 = 7;
const REFUND_CALLS: u8 = 8;

/// What can be asked of the payments of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentCommand {
    /// Opens a top-up, which waits for its payment.
    OpenTopUp {
        /// What is to be paid, without tax.
        cents: i64,
        /// How it is to be paid.
        way: TopUpWay,
        /// What the caller's settings allow. A repeated request is not compared with it.
        allowed: TopUpBounds,
    },
    /// Says that a top-up was paid, by a person who saw the money. It grants the credit once.
    ConfirmTopUp(TopUpId),
    /// Gives up a top-up that nobody paid in time; sent by the server's polling job.
    ExpireTopUp(TopUpId),
    /// Says that a top-up that waits will not be paid.
    FailTopUp {
        /// The top-up.
        top_up: TopUpId,
        /// Why not.
        failure: TopUpFailure,
    },
    /// Links a customer of the provider, saves or removes a card.
    Card(CardCommand),
    /// Sets or stops automatic top-ups, or opens one.
    AutoTopUp(AutoTopUpCommand),
    /// Says what a payment provider did about a top-up.
    Provider(ProviderCommand),
    /// Sends money back, or says that it was lost.
    Refund(PaymentRefundCommand),
    /// About the subscription.
    Subscription(SubscriptionCommand),
}

impl PaymentCommand {
    /// True if only the platform, or the system in its name, may say so: what a payment provider
    /// reports, that money came in, and that it goes back.
    pub(crate) fn is_reported(&self) -> bool {
        match self {
            PaymentCommand::ConfirmTopUp(_)
            | PaymentCommand::FailTopUp { .. }
            | PaymentCommand::ExpireTopUp(_)
            | PaymentCommand::Refund(_) => true,
            PaymentCommand::OpenTopUp { .. } => false,
            PaymentCommand::Card(CardCommand::LinkCustomer { .. } | CardCommand::SaveCard(_)) => true,
            PaymentCommand::Card(CardCommand::RemoveCard { .. }) => false,
            PaymentCommand::AutoTopUp(AutoTopUpCommand::Stop { why }) => *why != StopReason::Requested,
            PaymentCommand::AutoTopUp(AutoTopUpCommand::Set { .. } | AutoTopUpCommand::OpenIfLow) => false,
            PaymentCommand::Provider(_) => true,
            PaymentCommand::Subscription(command) => command.is_reported(),
        }
    }
}

/// What happened to the payments of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentChange {
    /// A top-up was opened and waits for its payment.
    TopUpOpened {
        /// The id of the top-up.
        top_up: TopUpId,
        /// What is to be paid, without tax.
        cents: i64,
        /// How it is to be paid.
        way: TopUpWay,
    },
    /// A top-up was paid. It follows the entry that grants its credit.
    TopUpSucceeded {
        /// The top-up.
        top_up: TopUpId,
        /// The name of the payment: the provider's, or one that is derived from the top-up.
        payment: Box<str>,
        /// The grant that the payment brought.
        grant: GrantId,
        /// The tax that was paid with it.
        tax_cents: i64,
    },
    /// A top-up failed. Its credit is still granted if it is paid after all.
    TopUpFailed {
        /// The top-up.
        top_up: TopUpId,
        /// Why.
        failure: TopUpFailure,
    },
    /// The customer or the card changed.
    Card(CardChange),
    /// The rule of automatic top-ups changed.
    AutoTopUp(AutoTopUpChange),
    /// Something happened at a payment provider.
    Provider(ProviderChange),
    /// Nobody paid a top-up in time, or its page is over. If its payment comes in after all, it
    /// still grants.
    TopUpExpired(TopUpId),
    /// Money went back, or is lost.
    Refund(PaymentRefundChange),
    /// About the subscription.
    Subscription(Box<SubscriptionChange>),
}

impl PaymentChange {
    /// The grant that the entry names, if it names one. Then it follows the entry that made it.
    #[must_use]
    pub const fn grant(&self) -> Option<GrantId> {
        match self {
            PaymentChange::TopUpSucceeded { grant, .. } => Some(*grant),
            PaymentChange::Subscription(change) => change.grant(),
            PaymentChange::TopUpOpened { .. }
            | PaymentChange::TopUpFailed { .. }
            | PaymentChange::TopUpExpired(_)
            | PaymentChange::Card(_)
            | PaymentChange::AutoTopUp(_)
            | PaymentChange::Provider(_)
            | PaymentChange::Refund(_) => None,
        }
    }
}

/// A grant that a payment brought, and the part of the payment that paid for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidPart {
    /// The grant.
    pub grant: GrantId,
    /// What the payment paid for it, without tax. It may be zero cents of a small payment.
    pub cents: i64,
    /// The credit of the grant that the payment brought: all of it, unless other payments paid for
    /// the grant too.
    pub credits: Micros,
}

/// The payments of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payments {
    /// The top-ups, oldest first. If they are too many, the oldest are kept in the journal only.
    pub top_ups: Vec<TopUp>,
    /// The workspace as a customer of a payment provider.
    pub customer: Option<Customer>,
    /// The saved card of the customer.
    pub card: Option<Card>,
    /// When to buy credit by itself; `None` if it was never set.
    pub auto_top_up: Option<AutoTopUp>,
    /// What went back of payments, or is lost.
    pub back: MoneyBack,
    /// The subscription that runs, or else the last one.
    pub subscription: Option<Box<Subscription>>,
    /// All payments of subscriptions, oldest first.
    pub of_subscriptions: Vec<SubscriptionPayment>,
}

impl Payments {
    /// A top-up by id.
    #[must_use]
    pub fn top_up(&self, id: TopUpId) -> Option<&TopUp> {
        self.top_ups.iter().find(|top_up| top_up.id == id)
    }

    /// The grants that a payment has brought so far, oldest first; none if there is no such
    /// payment.
    #[must_use]
    pub fn paid_parts(&self, payment: &str) -> Vec<PaidPart> {
        let of_payment = |top_up: &&TopUp| top_up.payment.as_deref() == Some(payment);
        let top_ups = self.top_ups.iter().filter(of_payment);
        let part = |top_up: &TopUp| {
            Some(PaidPart { grant: top_up.grant?, cents: top_up.cents, credits: top_up.credits() })
        };
        let of_period = self.of_subscriptions.iter().find(|it| &*it.payment == payment);
        let of_period = of_period.into_iter().flat_map(|payment| payment.parts.iter().copied());
        top_ups.filter_map(part).chain(of_period).collect()
    }

    /// What was paid, without tax, also for months that are to come; `None` if there is no such
    /// payment.
    #[must_use]
    pub fn paid_cents(&self, payment: &str) -> Option<i64> {
        let parts = self.paid_parts(payment);
        let of_period = self.of_subscriptions.iter().find(|it| &*it.payment == payment);
        let to_come = of_period.map_or(0, SubscriptionPayment::cents_left);
        let cents = parts.iter().map(|part| part.cents).sum::<i64>() + to_come;
        assert!(parts.is_empty() || cents > 0, "i12: a payment must have paid something");
        (!parts.is_empty()).then_some(cents)
    }

    /// The names of the payments that brought a grant: one of a top-up, one or more of a
    /// subscription, none of a free grant.
    pub fn payments_of(&self, grant: GrantId) -> impl Iterator<Item = &str> {
        let top_ups = self.top_ups.iter().filter(move |top_up| top_up.grant == Some(grant));
        let brought = move |part: &PaidPart| part.grant == grant;
        let periods = self.of_subscriptions.iter().filter(move |it| it.parts.iter().any(brought));
        let top_ups = top_ups.filter_map(|top_up| top_up.payment.as_deref());
        top_ups.chain(periods.map(|payment| &*payment.payment))
    }

    /// The number of top-ups that wait for their payment.
    #[must_use]
    pub fn pending_top_ups(&self) -> usize {
        self.top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Pending).count()
    }

    /// True if a top-up may be opened at `now`: there are not too many, or an old one may leave.
    #[must_use]
    pub(crate) fn has_room_for_top_up(&self, now: Timestamp) -> bool {
        self.top_ups.len() < bounds::TOP_UPS_MAX || self.top_up_to_leave(now).is_some()
    }

    /// The place of the top-up that leaves for a new one if they are too many: the oldest that may,
    /// and of whose payment nothing went back and nothing is lost.
    fn top_up_to_leave(&self, now: Timestamp) -> Option<usize> {
        let is_kept = |payment: &str| self.knows_losses_of(payment);
        self.top_ups
            .iter()
            .position(|top_up| top_up.may_leave(now) && !top_up.payment.as_deref().is_some_and(is_kept))
    }

    /// About how much memory they take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Payments>()
            + self.top_ups.len() * 192
            + (self.back.refunds.len() + self.back.losses.len()) * 256
            + self.of_subscriptions.iter().map(|payment| 192 + 32 * payment.parts.len()).sum::<usize>()
    }

    /// Appends the bytes.
    ///
    /// # Panics
    /// If they are too many, contradict each other, or do not read back as they are: payments that
    /// are wrong must not be stored.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        assert!(self.is_within_bounds(), "payments must be within their bounds");
        let start = bytes.len();
        let w = &mut Writer(bytes);
        w.byte(FORMAT);
        w.list(&self.top_ups, |w, top_up| top_up.write(w));
        if let Some(customer) = &self.customer {
            w.byte(CUSTOMER);
            self.write_customer(w, customer);
        }
        if let Some(rule) = &self.auto_top_up {
            w.byte(AUTO_TOP_UP);
            rule.write(w);
        }
        if !self.back.is_empty() {
            w.byte(MONEY_BACK);
            self.back.write(w);
        }
        if let Some(subscription) = &self.subscription {
            w.byte(SUBSCRIPTION);
            subscription.write(w);
        }
        self.write_at_provider(w, AT_PROVIDER);
        if !self.of_subscriptions.is_empty() {
            w.byte(OF_SUBSCRIPTIONS);
            self.write_of_subscriptions(w);
        }
        if let Some(collected) = self.subscription.as_deref().and_then(|last| last.collected.as_deref()) {
            w.byte(COLLECTED);
            collected.write(w);
        }
        self.write_refund_calls(w, REFUND_CALLS);
        assert!(
            Payments::decode(Some(&bytes[start..])).is_ok_and(|read| read.as_deref() == Some(self)),
            "payments must read back as they are"
        );
    }

    /// Reads the bytes; `None` are those of a workspace that never had a payment.
    ///
    /// # Errors
    /// [`Malformed`] with the part that could not be read.
    pub fn decode(bytes: Option<&[u8]>) -> Result<Option<Arc<Payments>>, Malformed> {
        let Some(bytes) = bytes else { return Ok(None) };
        let mut r = Reader(bytes);
        if r.byte("the payments' format")? != FORMAT {
            return Err(Malformed("payments of another format"));
        }
        let top_ups = r.list("the top-ups", TopUp::read)?;
        let mut payments = Payments { top_ups, ..Payments::default() };
        let mut last = 0;
        while !r.is_at_end() {
            const WHAT: &str = "a section of the payments";
            let tag = r.byte(WHAT)?;
            match tag {
                _ if tag <= last => return Err(Malformed(WHAT)),
                CUSTOMER => payments.read_customer(&mut r)?,
                AUTO_TOP_UP => payments.auto_top_up = Some(AutoTopUp::read(&mut r)?),
                MONEY_BACK => payments.back = MoneyBack::read(&mut r)?,
                SUBSCRIPTION => payments.subscription = Some(Box::new(Subscription::read(&mut r)?)),
                AT_PROVIDER => payments.read_at_provider(&mut r)?,
                OF_SUBSCRIPTIONS => payments.read_of_subscriptions(&mut r)?,
                COLLECTED => {
                    let last = payments.subscription.as_deref_mut().ok_or(Malformed(WHAT))?;
                    let collected = Collected::read(&mut r)?;
                    if !collected.fits(last) {
                        return Err(Malformed(WHAT));
                    }
                    last.collected = Some(Box::new(collected));
                }
                REFUND_CALLS => payments.read_refund_calls(&mut r)?,
                _ => return Err(Malformed(WHAT)),
            }
            last = tag;
        }
        if !payments.is_within_bounds() {
            return Err(Malformed("payments that are too many"));
        }
        if !payments.are_refund_calls_consistent() {
            return Err(Malformed("payment refunds whose calls do not agree"));
        }
        if !payments.is_automatic_consistent() {
            return Err(Malformed("automatic top-ups that contradict each other"));
        }
        if !payments.are_months_paid() {
            return Err(Malformed("a subscription without its payments"));
        }
        Ok(Some(Arc::new(payments)))
    }

    fn is_within_bounds(&self) -> bool {
        self.top_ups.len() <= bounds::TOP_UPS_MAX
            && self.pending_top_ups() <= bounds::TOP_UPS_PENDING_MAX
            && self.back.refunds.len() <= bounds::PAYMENT_REFUNDS_MAX
            && self.of_subscriptions.len() <= bounds::SUBSCRIPTION_PAYMENTS_MAX
    }

    /// Applies an entry about a payment, also for those who only add up entries. `granted` is the
    /// grant that it names, if it names one.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the payments as they are.
    pub fn apply(
        &mut self,
        change: &PaymentChange,
        granted: Option<&Grant>,
        decided_at: Timestamp,
    ) -> Result<(), Violation> {
        match change {
            PaymentChange::TopUpOpened { top_up, cents, way } => self.open(*top_up, *cents, *way, decided_at),
            PaymentChange::TopUpSucceeded { top_up: id, payment, grant, tax_cents } => {
                ensure(!self.is_payment(payment), "i12: a payment pays twice")?;
                let top_up = self.top_ups.iter_mut().find(|top_up| top_up.id == *id);
                let top_up = top_up.ok_or(Violation("i12: a top-up is paid that does not exist"))?;
                ensure(top_up.status != TopUpStatus::Succeeded, "i12: a top-up is paid twice")?;
                let granted = granted.filter(|granted| granted.id == *grant);
                let granted = granted.ok_or(Violation("i12: a payment names a grant that is not there"))?;
                ensure(granted.source == Source::TopUp, "i12: a top-up pays for a grant of another kind")?;
                ensure(granted.amount == top_up.credits(), "i12: a top-up grants another sum than was paid")?;
                let is_tax = (0..=bounds::TOP_UP_MAX_CENTS).contains(tax_cents);
                ensure(is_tax, "i15: the tax on a top-up is out of range")?;
                top_up.succeed(payment.clone(), *grant, decided_at);
                top_up.at_provider.tax_cents = *tax_cents;
                let way = top_up.way;
                if way == TopUpWay::Automatic {
                    self.count_automatic(None);
                }
                Ok(())
            }
            PaymentChange::TopUpFailed { top_up: id, failure } => {
                let top_up = self.top_ups.iter_mut().find(|top_up| top_up.id == *id);
                let top_up = top_up.ok_or(Violation("a top-up fails that does not exist"))?;
                ensure(top_up.status == TopUpStatus::Pending, "a top-up fails that does not wait")?;
                top_up.fail(*failure, decided_at);
                let way = top_up.way;
                if way == TopUpWay::Automatic {
                    self.count_automatic(Some(*failure));
                }
                Ok(())
            }
            PaymentChange::Card(change) => self.apply_card(change),
            PaymentChange::AutoTopUp(change) => self.apply_auto_top_up(change, decided_at),
            PaymentChange::Provider(change) => self.apply_at_provider(change, decided_at),
            PaymentChange::TopUpExpired(id) => {
                let top_up = self.top_ups.iter_mut().find(|top_up| top_up.id == *id);
                let top_up = top_up.ok_or(Violation("a top-up expires that does not exist"))?;
                ensure(top_up.status == TopUpStatus::Pending, "a top-up expires that does not wait")?;
                ensure(top_up.may_expire(decided_at), "a top-up expires before its time")?;
                top_up.expire(decided_at);
                Ok(())
            }
            PaymentChange::Refund(change) => self.apply_refund(change, decided_at),
            PaymentChange::Subscription(change) => {
                let before = self.subscription.as_deref().map_or(Micros::ZERO, |it| it.plan.credits);
                change.apply(&mut self.subscription, granted, decided_at)?;
                self.keep_payment(change, before, granted.filter(|it| change.grant() == Some(it.id)))?;
                ensure(self.is_within_bounds(), "a workspace has more payments than it may have")
            }
        }
    }

    /// Adds a top-up. If they are too many, an old one leaves for it.
    fn open(
        &mut self,
        id: TopUpId,
        cents: i64,
        way: TopUpWay,
        decided_at: Timestamp,
    ) -> Result<(), Violation> {
        ensure(self.top_up(id).is_none(), "a top-up is opened that exists already")?;
        ensure(TopUpBounds::WIDEST.allow(cents), "a top-up is out of range")?;
        if way == TopUpWay::Automatic {
            self.open_automatic(cents, decided_at)?;
        }
        if self.top_ups.len() >= bounds::TOP_UPS_MAX
            && let Some(oldest) = self.top_up_to_leave(decided_at)
        {
            self.top_ups.remove(oldest);
        }
        self.top_ups.push(TopUp::opened(id, cents, way, decided_at));
        ensure(self.is_within_bounds(), "a workspace has more top-ups than it may have")
    }
}

impl PaymentChange {
    /// The credit that the next entry of the change takes.
    pub(crate) const fn taken_at_once(&self) -> Micros {
        match self {
            PaymentChange::Refund(PaymentRefundChange::Requested { cents, .. }) => Micros::from_cents(*cents),
            _ => Micros::ZERO,
        }
    }

    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            PaymentChange::TopUpOpened { .. } => Kind::TopUpOpened,
            PaymentChange::TopUpSucceeded { .. } => Kind::TopUpSucceeded,
            PaymentChange::TopUpExpired(_) => Kind::TopUpExpired,
            PaymentChange::TopUpFailed { .. } => Kind::TopUpFailed,
            PaymentChange::Card(change) => change.kind(),
            PaymentChange::AutoTopUp(change) => change.kind(),
            PaymentChange::Provider(change) => change.kind(),
            PaymentChange::Refund(change) => change.kind(),
            PaymentChange::Subscription(change) => change.kind(),
        }
    }
}
