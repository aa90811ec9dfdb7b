//! What the entries of one workspace say for a report: of each grant, who paid what for it and
//! where its credit is.
//!
//! The credit of a grant is in one of four places: it remains, a pending charge holds it, it was
//! consumed, or it was taken back. Each place adds up to a ledger account of the workspace, which
//! [`Facts::check`] compares with the balance that the last entry states.

use std::collections::{BTreeMap, BTreeSet};

use tollkeeper_ledger::{
    Balance, Draw, Entry, EntryBody, Grant, GrantId, GrantLoss, LedgerAccount, LostPart, Micros,
    PaymentChange, PaymentRefundChange, Payments, Source, SubscriptionChange, Timestamp, TopUp,
};

use super::month::Month;
use super::movement::place_of;
use crate::Error;

/// Who took the money for a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Nobody: the platform made the grant by itself, free or with a payment that it named.
    Platform,
    /// A person confirmed the payment.
    Manual,
    /// Stripe said that it was paid.
    Stripe,
}

impl Provider {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Provider::Platform => "platform",
            Provider::Manual => "manual",
            Provider::Stripe => "stripe",
        }
    }

    /// The one that took a payment, by its name.
    fn of_payment(name: &str) -> Provider {
        if name.starts_with(TopUp::MANUAL) { Provider::Manual } else { Provider::Stripe }
    }
}

/// A grant and where its credit is.
#[derive(Clone, Debug)]
pub(super) struct GrantFacts {
    /// The number of its entry.
    pub n: u64,
    id: GrantId,
    pub source: Source,
    pub provider: Provider,
    /// The month in which it was granted.
    pub bought: Month,
    pub amount: Micros,
    pub paid_cents: i64,
    /// The tax that was paid besides.
    pub tax_cents: i64,
    /// What is lost of the payment.
    pub lost_cents: i64,
    /// What pending charges hold.
    pub pending: Micros,
    /// What settled charges took and did not give back.
    pub consumed: Micros,
    /// What was taken back and not given back.
    pub taken: Micros,
}

impl GrantFacts {
    /// The grant as it was granted.
    fn as_granted(&self) -> Grant {
        let GrantFacts { id, n, source, amount, .. } = *self;
        Grant { id, n, source, amount, remaining: amount, voided_at: None }
    }

    /// What is unspent.
    pub fn remaining(&self) -> Micros {
        self.amount - self.pending - self.consumed - self.taken
    }

    /// The part of the payment that is earned: paid × consumed ÷ granted, rounded down.
    pub fn recognised_cents(&self) -> i64 {
        let share = Micros::new(self.paid_cents).share(self.consumed.get(), self.amount.get());
        share.map_or(0, Micros::get)
    }

    /// The part of the payment that is not earned yet. It is below zero if more is lost than was
    /// left to earn.
    pub fn deferred_cents(&self) -> i64 {
        self.paid_cents - self.lost_cents - self.recognised_cents()
    }
}

/// What a payment adds to what its grants say.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaymentFacts {
    pub source: Source,
    pub provider: Provider,
    /// What was paid and is for months to come.
    pub to_come_cents: i64,
    /// What is lost of that.
    pub to_come_lost_cents: i64,
    /// How much of all that is lost was refunded to the payer.
    pub refunded_cents: i64,
}

impl PaymentFacts {
    const fn new(source: Source, provider: Provider) -> PaymentFacts {
        PaymentFacts { source, provider, to_come_cents: 0, to_come_lost_cents: 0, refunded_cents: 0 }
    }
}

/// A claw-back of an earlier version, which has a name instead of a target.
#[derive(Clone, Debug)]
struct Dispute {
    name: Box<str>,
    grant: GrantId,
    cents: i64,
}

/// What came into an account of the workspace and left it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub inward: Micros,
    pub outward: Micros,
}

/// The debt of a workspace since its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DebtFacts {
    pub arisen: Micros,
    pub repaid: Micros,
    pub forgiven: Micros,
}

/// What the entries of a workspace say, up to one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The number of the last entry.
    n: u64,
    /// By number.
    pub grants: Vec<GrantFacts>,
    /// What pending charges hold, by the number of the entry that opened the charge.
    pending: BTreeMap<u64, Vec<Draw>>,
    disputes: Vec<Dispute>,
    /// What is known of the payments, as far as entries name them.
    payments: Option<Box<Payments>>,
    /// How much of the loss of each payment is disputed.
    disputed: BTreeMap<Box<str>, i64>,
    /// Who took the last payment for the subscription.
    subscription_provider: Option<Provider>,
    /// In the order of [`ACCOUNTS`](super::movement::ACCOUNTS).
    pub moved: [Moved; 5],
    pub balance: Balance,
    pub debt: DebtFacts,
    /// The time of the last charge.
    pub last_used_at: Option<Timestamp>,
}

/// The place in which the credit of a grant is counted, apart from what remains.
#[derive(Clone, Copy)]
enum Place {
    Pending,
    Consumed,
    Taken,
}

/// Adds an amount to a sum of a workspace.
fn add(sum: &mut Micros, amount: Micros) -> Result<(), &'static str> {
    *sum = sum.checked_add(amount).ok_or("its amounts are out of range")?;
    Ok(())
}

const UNKNOWN_GRANT: &str = "it names a grant that does not exist";

impl Facts {
    /// Adds the next entry.
    ///
    /// # Errors
    /// What of the entry does not follow from those before it.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if entry.n != self.n + 1 {
            return Err("the entry before it is missing");
        }
        self.n = entry.n;
        if let Some(legs) = entry.body.legs() {
            add(&mut self.moved[place_of(legs.from)].outward, legs.amount)?;
            add(&mut self.moved[place_of(legs.to)].inward, legs.amount)?;
        }
        self.count_debt(entry)?;
        self.balance = entry.balance;
        match &entry.body {
            EntryBody::Granted { grant, paid_cents, .. } => self.add_grant(GrantFacts {
                n: grant.n,
                id: grant.id,
                source: grant.source,
                provider: Provider::Platform,
                bought: Month::containing(entry.at),
                amount: grant.amount,
                paid_cents: *paid_cents,
                tax_cents: 0,
                lost_cents: 0,
                pending: Micros::ZERO,
                consumed: Micros::ZERO,
                taken: Micros::ZERO,
            }),
            EntryBody::ChargeOpened(details) => {
                self.last_used_at = Some(entry.at);
                if details.deadline.is_some() {
                    self.put(Place::Pending, &details.draws)?;
                    self.pending.insert(entry.n, details.draws.to_vec());
                } else {
                    self.put(Place::Consumed, &details.draws)?;
                }
            }
            EntryBody::ChargeSettled(settlement) => {
                let held = self.pending.remove(&settlement.opening_entry).unwrap_or_default();
                self.back(Place::Pending, &held)?;
                self.put(Place::Consumed, &held)?;
            }
            EntryBody::ChargeRefunded(refund) if refund.from_pending => {
                self.back(Place::Pending, &refund.returns)?;
                self.return_pending(refund.opening_entry, &refund.returns)?;
            }
            EntryBody::ChargeRefunded(refund) => self.back(Place::Consumed, &refund.returns)?,
            EntryBody::Payment(change) => {
                self.follow(change, entry)?;
                self.pay(change)?;
            }
            body => self.take_back(body)?,
        }
        Ok(())
    }

    fn add_grant(&mut self, grant: GrantFacts) {
        const FEW: usize = 8;
        if self.grants.len() < FEW {
            // Most workspaces have few grants, and there are many workspaces: no room in advance.
            self.grants.reserve_exact(1);
        }
        self.grants.push(grant);
    }

    /// Counts what was owed, repaid and forgiven, by the change of the debt.
    fn count_debt(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let (before, after) = (self.balance.debt, entry.balance.debt);
        let sum = match &entry.body {
            EntryBody::DebtRepaid { draw } if draw.amount != before - after => {
                return Err("the debt did not fall by what repaid it");
            }
            EntryBody::DebtRepaid { .. } => &mut self.debt.repaid,
            _ if after > before => {
                self.debt.arisen += after - before;
                return Ok(());
            }
            _ => &mut self.debt.forgiven,
        };
        *sum += before - after;
        Ok(())
    }

    /// Counts an entry that takes credit back, or gives back what was taken.
    fn take_back(&mut self, body: &EntryBody) -> Result<(), &'static str> {
        match body {
            EntryBody::GrantVoided { draws, .. } | EntryBody::ReturnTaken { draws } => {
                self.put(Place::Taken, draws)
            }
            EntryBody::DebtRepaid { draw } => self.put(Place::Taken, &[*draw]),
            EntryBody::ClawBackExchanged { draw, returns, .. } => {
                self.put(Place::Taken, &[*draw])?;
                self.back(Place::Taken, returns)
            }
            EntryBody::ClawBackIncreased { lost, draws, .. } => {
                self.lose(lost)?;
                self.put(Place::Taken, draws)
            }
            EntryBody::ClawBackReduced { lost, returns, .. } => {
                self.lose(lost)?;
                self.back(Place::Taken, returns)
            }
            EntryBody::ClawedBack { grant, dispute, amount, draws } => {
                let of = self.with_id(*grant)?;
                let cents = Micros::new(of.paid_cents).share(amount.get(), of.amount.get());
                let cents = cents.ok_or("more is lost of a payment than it brought")?.get();
                of.lost_cents += cents;
                self.disputes.push(Dispute { name: dispute.clone(), grant: *grant, cents });
                self.put(Place::Taken, draws)
            }
            EntryBody::ClawBackRestored { dispute, returns } => {
                let place = self.disputes.iter().position(|of| of.name == *dispute);
                let of = self.disputes.remove(place.ok_or("a dispute is won that was not open")?);
                self.with_id(of.grant)?.lost_cents -= of.cents;
                self.back(Place::Taken, returns)
            }
            _ => Ok(()),
        }
    }

    /// Applies an entry about a payment as the ledger does, and sets what is lost of the grants of
    /// that payment.
    fn follow(&mut self, change: &PaymentChange, entry: &Entry) -> Result<(), &'static str> {
        let granted = change.grant().map(|id| self.with_id(id).map(|of| of.as_granted())).transpose()?;
        let payments = self.payments.get_or_insert_default();
        payments.apply(change, granted.as_ref(), entry.decided_at).map_err(|violation| violation.0)?;
        let mut parts = Vec::new();
        match change {
            PaymentChange::Refund(change) => {
                if let PaymentRefundChange::Lost { payment, disputed_cents, .. } = change {
                    self.disputed.insert(payment.clone(), *disputed_cents);
                }
                parts = change.grants(payments);
            }
            // A month of a payment that was lost before.
            PaymentChange::Subscription(_) if !payments.back.is_empty() => parts.extend(change.grant()),
            _ => {}
        }
        let losses: Vec<GrantLoss> = parts.into_iter().filter_map(|grant| payments.loss_of(grant)).collect();
        for loss in losses {
            self.with_id(loss.grant)?.lost_cents = loss.lost_cents;
        }
        Ok(())
    }

    /// What each payment of a subscription that is kept adds to what is on grants, and what was
    /// refunded of each payment that is lost.
    pub fn payments(&self) -> Vec<PaymentFacts> {
        let Some(payments) = self.payments.as_deref() else { return Vec::new() };
        let mut all: BTreeMap<&str, PaymentFacts> = BTreeMap::new();
        let facts = |name: &str, source| PaymentFacts::new(source, Provider::of_payment(name));
        for payment in payments.of_subscriptions.iter().filter(|payment| payment.months_left > 0) {
            let of = all.entry(&payment.payment);
            of.or_insert_with(|| facts(&payment.payment, Source::Subscription)).to_come_cents =
                payment.cents_left();
        }
        let losses = payments.back.losses.iter().map(|loss| &*loss.payment);
        let lost: BTreeSet<&str> =
            losses.chain(payments.back.refunds.iter().map(|refund| &*refund.payment)).collect();
        for name in lost {
            let is_of_plan = payments.of_subscriptions.iter().any(|payment| &*payment.payment == name);
            let source = if is_of_plan { Source::Subscription } else { Source::TopUp };
            let of = all.entry(name).or_insert_with(|| facts(name, source));
            let lost = payments.lost_cents(name).unwrap_or(0);
            let on_grants: i64 = payments.lost_parts(name).iter().map(|part| part.lost_cents).sum();
            of.to_come_lost_cents = lost - on_grants;
            let elsewhere = payments.back.elsewhere_cents(name);
            let disputed = self.disputed.get(name).copied().unwrap_or(0).min(elsewhere);
            let refunds = payments.back.refunds.iter();
            let own = refunds.filter(|refund| refund.counts() && &*refund.payment == name);
            let own = own.fold(0_i64, |sum, refund| sum.saturating_add(refund.cents));
            of.refunded_cents = own.saturating_add(elsewhere - disputed).min(lost);
        }
        all.into_values().collect()
    }

    /// Counts an entry about a payment.
    fn pay(&mut self, change: &PaymentChange) -> Result<(), &'static str> {
        match change {
            PaymentChange::TopUpSucceeded { payment, grant, tax_cents, .. } => {
                let grant = self.with_id(*grant)?;
                (grant.provider, grant.tax_cents) = (Provider::of_payment(payment), *tax_cents);
            }
            PaymentChange::Subscription(change) => self.pay_plan(change)?,
            _ => {}
        }
        Ok(())
    }

    /// Counts an entry about the subscription. The months of a year have no payment of their own;
    /// those of a free plan have none at all.
    fn pay_plan(&mut self, change: &SubscriptionChange) -> Result<(), &'static str> {
        let paid = change.paid();
        if let Some(paid) = paid {
            self.subscription_provider = Some(Provider::of_payment(&paid.payment));
        }
        if let (Some(grant), Some(provider)) = (change.grant(), self.subscription_provider) {
            let of = self.with_id(grant)?;
            of.tax_cents = paid.map_or(0, |paid| paid.tax_cents);
            if of.paid_cents > 0 || of.tax_cents > 0 {
                of.provider = provider;
            }
        }
        Ok(())
    }

    /// Sets what is lost of a payment. It includes what disputes of an earlier version took.
    fn lose(&mut self, lost: &LostPart) -> Result<(), &'static str> {
        self.disputes.retain(|dispute| dispute.grant != lost.grant);
        self.with_id(lost.grant)?.lost_cents = lost.lost_cents;
        Ok(())
    }

    /// Moves credit of grants from what remains to a place.
    fn put(&mut self, place: Place, draws: &[Draw]) -> Result<(), &'static str> {
        for draw in draws {
            add(self.sum(place, draw.grant)?, draw.amount)?;
        }
        Ok(())
    }

    /// Moves credit of grants from a place back to what remains.
    fn back(&mut self, place: Place, returns: &[Draw]) -> Result<(), &'static str> {
        for draw in returns {
            let sum = self.sum(place, draw.grant)?;
            if draw.amount > *sum {
                return Err("a grant gets back more than it gave");
            }
            *sum -= draw.amount;
        }
        Ok(())
    }

    fn sum(&mut self, place: Place, n: u64) -> Result<&mut Micros, &'static str> {
        let index = self.grants.binary_search_by_key(&n, |grant| grant.n).map_err(|_| UNKNOWN_GRANT)?;
        let grant = &mut self.grants[index];
        Ok(match place {
            Place::Pending => &mut grant.pending,
            Place::Consumed => &mut grant.consumed,
            Place::Taken => &mut grant.taken,
        })
    }

    /// Takes what returned to grants from what a pending charge holds.
    fn return_pending(&mut self, opening_entry: u64, returns: &[Draw]) -> Result<(), &'static str> {
        let held = self.pending.get_mut(&opening_entry).ok_or("a charge is not pending")?;
        for given in returns {
            let of = held.iter_mut().find(|held| held.grant == given.grant && held.amount >= given.amount);
            of.ok_or("a charge gives back more than it holds")?.amount -= given.amount;
        }
        held.retain(|held| held.amount > Micros::ZERO);
        if held.is_empty() {
            self.pending.remove(&opening_entry);
        }
        Ok(())
    }

    fn with_id(&mut self, id: GrantId) -> Result<&mut GrantFacts, &'static str> {
        self.grants.iter_mut().find(|grant| grant.id == id).ok_or(UNKNOWN_GRANT)
    }

    /// Compares the grants with the balance of the last entry, and with what moved.
    ///
    /// # Errors
    /// [`Error::is_damaged`] if they do not add up to it.
    pub fn check(&self) -> Result<(), Error> {
        let total = |place: fn(&GrantFacts) -> Micros| -> i128 {
            self.grants.iter().map(|grant| i128::from(place(grant).get())).sum()
        };
        let in_range = |grant: &GrantFacts| grant.remaining() >= Micros::ZERO;
        let account = |account| {
            let Moved { inward, outward } = self.moved[place_of(account)];
            i128::from((inward - outward).get())
        };
        let holds = [
            (total(GrantFacts::remaining), account(LedgerAccount::Available)),
            (total(|grant| grant.pending), account(LedgerAccount::Pending)),
            (total(|grant| grant.consumed), account(LedgerAccount::Consumed)),
            (total(|grant| grant.taken), account(LedgerAccount::ClawedBack)),
            (account(LedgerAccount::Available), self.balance.available.get().into()),
            (account(LedgerAccount::Pending), self.balance.pending.get().into()),
            (
                (self.debt.arisen - self.debt.repaid - self.debt.forgiven).get().into(),
                self.balance.debt.get().into(),
            ),
        ];
        if self.grants.iter().all(in_range) && holds.iter().all(|(one, other)| one == other) {
            return Ok(());
        }
        Err(Error::damaged(format!("the grants do not add up to the balance of entry {}", self.n)))
    }

    /// True before the first entry.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        const PENDING_BYTES: usize = 96;
        size_of::<Facts>()
            + self.grants.capacity() * size_of::<GrantFacts>()
            + self.pending.len() * PENDING_BYTES
            + self.payments.as_deref().map_or(0, Payments::memory_bytes)
    }
}
