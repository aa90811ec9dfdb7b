//! A workspace as a list of facts, and what can be computed from that list.
//!
//! Every fact corresponds to one entry of the journal, so the number of a grant is the position of
//! its fact, counted from one. There is no other state but the texts about persons, which facts
//! name by their digests.

use std::collections::BTreeMap;

use tollkeeper_ledger::{
    Alert, AlertLine, Balance, Card, Charge, ChargeDetails, ChargeState, Customer, Draw, GrantId, Hash, Kind,
    Micros, Outcome, PaymentRefundStatus, Period, Profile, Source, Status, StopReason, Subject, TeamChange,
    Timestamp, TopUpFailure, TopUpWay, WorkspaceChanges, WorkspaceId,
};

use tollkeeper_engine::GrantRecord;
use tollkeeper_ledger::Quantity;

use super::subscriptions::Happened;
use crate::model::step::nth;

/// One thing that happened in a workspace.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The workspace was created with this profile.
    Created(Profile),
    /// The workspace got this profile.
    Updated(Profile),
    /// A grant was made.
    Granted(GrantRecord),
    /// A grant was voided: its unspent credit was taken, perhaps none.
    Voided(Draw),
    /// Credit that went back to voided grants was taken.
    ReturnTaken(Vec<Draw>),
    /// Credit that went back to a disputed grant replaced what was taken from others.
    Exchanged {
        /// The credit that was taken from the disputed grant.
        take: Draw,
        /// The credit that went back to the others.
        returns: Vec<Draw>,
    },
    /// A grant repaid debt.
    Repaid(Draw),
    /// More was lost of a payment than before.
    MoreLost {
        /// The number of the grant that was paid for.
        grant: u64,
        /// What is lost of the payment now.
        lost_cents: i64,
        /// The amount that is owed in addition.
        owed: Micros,
        /// The credit that was taken.
        draws: Vec<Draw>,
    },
    /// Less was lost of a payment than before.
    LessLost {
        /// The number of the grant that was paid for.
        grant: u64,
        /// What is lost of the payment now.
        lost_cents: i64,
        /// The debt that was forgiven.
        forgiven: Micros,
        /// The credit that came back, what was taken last first.
        returns: Vec<Draw>,
    },
    /// A charge was deducted.
    Charged(Box<ChargeDetails>),
    /// A charge was settled.
    Settled {
        /// The index of the charge.
        charge: usize,
        /// The reported outcome.
        outcome: Outcome,
        /// What was used.
        quantity: Quantity,
    },
    /// A charge was refunded, wholly or partly.
    Refunded {
        /// The index of the charge.
        charge: usize,
        /// The refunded amount.
        amount: Micros,
        /// The grants to which it returned.
        returns: Vec<Draw>,
        /// The outcome, if the charge is now refunded in full.
        outcome: Option<Outcome>,
    },
    /// The deadline of a pending charge was moved.
    Extended {
        /// The index of the charge.
        charge: usize,
        /// The new deadline.
        deadline: Timestamp,
    },
    /// The limits were replaced.
    Limits(Vec<(Subject, Period, Micros)>),
    /// The thresholds were replaced.
    Alerts {
        /// The thresholds in ascending order, without duplicates.
        thresholds: Vec<AlertLine>,
        /// The time after an alert in which its threshold fires no other.
        cooldown_seconds: i64,
    },
    /// An alert fired, the balance recovered, or a refusal was noted.
    Alert(Alert),
    /// Members, API keys, links or sessions changed.
    Team(TeamChange),
    /// A top-up was opened.
    TopUpOpened {
        /// What is to be paid.
        cents: i64,
        /// How it is to be paid.
        way: TopUpWay,
        /// The index of the charge that brought it about.
        charge: Option<usize>,
    },
    /// A top-up was paid.
    TopUpPaid {
        /// The index of the top-up.
        top_up: usize,
        /// The number of the grant that it brought.
        grant: u64,
        /// The name of the payment.
        payment: Box<str>,
        /// The tax that was paid with it.
        tax_cents: i64,
    },
    /// Something was made for a top-up at a provider.
    TopUpPlaced {
        /// The index of the top-up.
        top_up: usize,
        /// The provider's id of it.
        reference: Box<str>,
    },
    /// The call of a top-up at a provider was begun anew.
    CallRenewed {
        /// The index of the top-up.
        top_up: usize,
    },
    /// A top-up failed.
    TopUpFailed {
        /// The index of the top-up.
        top_up: usize,
        /// Why.
        failure: TopUpFailure,
    },
    /// The workspace is this customer at the payment provider, without a card.
    CustomerLinked(Customer),
    /// A card was saved.
    CardSaved(Card),
    /// The card was removed.
    CardRemoved,
    /// The rule of automatic top-ups was set.
    RuleSet {
        /// Credit is bought below this.
        threshold: Micros,
        /// What is bought at once.
        cents: i64,
        /// The most that is bought in a month.
        monthly_cap_cents: i64,
    },
    /// Automatic top-ups wait until this time.
    RulePaused(Timestamp),
    /// Automatic top-ups were stopped.
    RuleStopped(StopReason),
    /// Nobody paid the top-up with this index in time.
    TopUpExpired(usize),
    /// Something else was lost of a payment elsewhere.
    PaymentLost {
        /// The name of the payment.
        payment: Box<str>,
        /// What is lost now, besides payment refunds.
        elsewhere_cents: i64,
        /// How much of it is disputed.
        disputed_cents: i64,
    },
    /// A payment refund was requested.
    RefundRequested {
        /// The index of the top-up.
        top_up: usize,
        /// What goes back.
        cents: i64,
        /// The reason.
        reason: Box<str>,
    },
    /// The call of a payment refund was begun anew.
    RefundCallRenewed {
        /// The index of the payment refund.
        refund: usize,
    },
    /// The payment provider took a payment refund over.
    RefundPlaced {
        /// The index of the payment refund.
        refund: usize,
        /// The provider's id.
        reference: Box<str>,
    },
    /// A payment refund succeeded or failed.
    RefundEnded {
        /// The index of the payment refund.
        refund: usize,
        /// What became of it.
        status: PaymentRefundStatus,
    },
    /// Something happened to the subscription.
    Subscription(Happened),
}

/// A fact with its time.
#[derive(Clone, Debug)]
pub struct Line {
    /// The time of the fact; never before that of the one before.
    pub at: Timestamp,
    /// The time by which it was decided; before `at` after a clock was ahead.
    pub decided_at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// A workspace with everything that ever happened in it.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The facts in the order in which they happened.
    pub lines: Vec<Line>,
    /// The texts about persons that commands brought, by their digests.
    pub(super) texts: BTreeMap<Hash, Box<str>>,
}

/// What is taken and owed for the payment for one grant.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    /// The place of the fact that began it.
    since: usize,
    pub owed: Micros,
    /// The credit that was taken, by grant, the one that was first taken from first.
    pub taken: Vec<Draw>,
}

impl Lost {
    fn take(&mut self, take: Draw) {
        match self.taken.iter_mut().find(|taken| taken.grant == take.grant) {
            Some(taken) => taken.amount += take.amount,
            None if take.amount > Micros::ZERO => self.taken.push(take),
            None => {}
        }
    }

    fn give(&mut self, returns: &[Draw]) {
        for given in returns {
            for old in self.taken.iter_mut().filter(|old| old.grant == given.grant) {
                old.amount -= given.amount;
            }
        }
        self.taken.retain(|old| old.amount > Micros::ZERO);
    }
}

/// True if a time is later than the clocks of servers may differ: a clock was ahead.
pub(super) fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.millis() - now.millis() > 10_000
}

impl Fact {
    /// The kind of the corresponding journal entry.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Fact::Created(_) => Kind::WorkspaceCreated,
            Fact::Updated(_) => Kind::WorkspaceUpdated,
            Fact::Granted(_) => Kind::Granted,
            Fact::Voided(_) => Kind::GrantVoided,
            Fact::Repaid(_) => Kind::DebtRepaid,
            Fact::ReturnTaken(_) => Kind::ReturnTaken,
            Fact::Exchanged { .. } => Kind::ClawBackExchanged,
            Fact::MoreLost { .. } => Kind::ClawBackIncreased,
            Fact::LessLost { .. } => Kind::ClawBackReduced,
            Fact::Charged(_) => Kind::ChargeOpened,
            Fact::Settled { .. } => Kind::ChargeSettled,
            Fact::Refunded { .. } => Kind::ChargeRefunded,
            Fact::Extended { .. } => Kind::ChargeExtended,
            Fact::Limits(_) => Kind::LimitsSet,
            Fact::Alerts { .. } => Kind::AlertsSet,
            Fact::Alert(alert) => alert.kind(),
            Fact::Team(change) => change.kind(),
            Fact::TopUpOpened { .. } => Kind::TopUpOpened,
            Fact::TopUpPaid { .. } => Kind::TopUpSucceeded,
            Fact::TopUpFailed { .. } => Kind::TopUpFailed,
            Fact::TopUpPlaced { .. } => Kind::TopUpPlaced,
            Fact::CallRenewed { .. } | Fact::RefundCallRenewed { .. } => Kind::CallRenewed,
            Fact::CustomerLinked(_) => Kind::CustomerLinked,
            Fact::CardSaved(_) => Kind::CardSaved,
            Fact::CardRemoved => Kind::CardRemoved,
            Fact::RuleSet { .. } => Kind::AutoTopUpSet,
            Fact::RulePaused(_) => Kind::AutoTopUpPaused,
            Fact::RuleStopped(_) => Kind::AutoTopUpStopped,
            Fact::TopUpExpired(_) => Kind::TopUpExpired,
            Fact::PaymentLost { .. } => Kind::PaymentLost,
            Fact::RefundRequested { .. } => Kind::PaymentRefundRequested,
            Fact::RefundPlaced { .. } => Kind::PaymentRefundPlaced,
            Fact::RefundEnded { status: PaymentRefundStatus::Failed, .. } => Kind::PaymentRefundFailed,
            Fact::RefundEnded { .. } => Kind::PaymentRefundSucceeded,
            Fact::Subscription(happened) => happened.kind(),
        }
    }

    /// The change of each grant by this fact, negative for a draw; `n` is the number of the fact.
    #[must_use]
    pub fn flows(&self, n: u64) -> Vec<Draw> {
        let out = |draws: &[Draw]| {
            draws.iter().map(|d| Draw { grant: d.grant, amount: Micros::ZERO - d.amount }).collect()
        };
        match self {
            Fact::Granted(record) => vec![Draw { grant: n, amount: record.grant.amount }],
            Fact::ReturnTaken(draws) | Fact::MoreLost { draws, .. } => out(draws),
            Fact::Repaid(take) | Fact::Voided(take) => out(&[*take]),
            Fact::Exchanged { take, returns, .. } => [out(&[*take]), returns.clone()].concat(),
            Fact::Charged(details) => out(&details.draws),
            Fact::LessLost { returns, .. } | Fact::Refunded { returns, .. } => returns.clone(),
            _ => Vec::new(),
        }
    }
}

impl Pool {
    /// A workspace that was just created.
    pub(super) fn open(id: WorkspaceId, changes: &WorkspaceChanges, now: Timestamp) -> Pool {
        let profile = Profile {
            id,
            name: changes.name.clone().unwrap_or_default(),
            timezone: changes.timezone.clone().unwrap_or_else(|| "UTC".into()),
            metadata: changes.metadata.clone().flatten(),
            suspended: changes.suspended.unwrap_or(false),
            created_at: now,
        };
        let lines = vec![Line { at: now, decided_at: now, fact: Fact::Created(profile) }];
        Pool { lines, texts: BTreeMap::new() }
    }

    /// The time by which a command is decided: the caller's clock, or the time of the last fact if
    /// that is later by ten seconds at most.
    #[must_use]
    pub fn present(&self, now: Timestamp) -> Timestamp {
        let last = self.lines.last().map_or(now, |line| line.at);
        if is_ahead(last, now) { now } else { now.max(last) }
    }

    /// The time of a fact that is decided at `now`.
    pub(super) fn at(&self, now: Timestamp) -> Timestamp {
        self.lines.last().map_or(now, |line| now.max(line.at))
    }

    pub(super) fn add(&mut self, decided_at: Timestamp, fact: Fact) {
        let at = self.at(decided_at);
        self.lines.push(Line { at, decided_at, fact });
    }

    /// The number of the next fact.
    pub fn next_n(&self) -> u64 {
        self.lines.len() as u64 + 1
    }

    /// The workspace after its first `n` facts.
    #[must_use]
    pub fn after(&self, n: usize) -> Pool {
        Pool { lines: self.lines[..n].to_vec(), texts: self.texts.clone() }
    }

    /// The facts with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &Line)> {
        (1..).zip(&self.lines)
    }

    /// The current profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let mut described = self.lines.iter().rev().filter_map(|line| match &line.fact {
            Fact::Created(profile) | Fact::Updated(profile) => Some(profile),
            _ => None,
        });
        described.next().expect("the first fact creates the profile").clone()
    }

    /// The unspent credit of a grant.
    #[must_use]
    pub fn remaining(&self, grant: u64) -> Micros {
        let flows = self.numbered().flat_map(|(n, line)| line.fact.flows(n));
        flows.filter(|flow| flow.grant == grant).map(|flow| flow.amount).sum()
    }

    /// The grants in the order of their creation, with the unspent credit of each.
    #[must_use]
    pub fn grants(&self) -> Vec<GrantRecord> {
        let mut grants: Vec<GrantRecord> = self
            .lines
            .iter()
            .filter_map(|line| match &line.fact {
                Fact::Granted(record) => Some(record.clone()),
                _ => None,
            })
            .collect();
        for (index, record) in grants.iter_mut().enumerate() {
            record.grant.id = GrantId(nth(index));
            record.grant.remaining = self.remaining(record.grant.n);
            record.grant.voided_at = self.voided_at(record.grant.n);
        }
        grants
    }

    /// The time at which a grant was voided.
    pub(super) fn voided_at(&self, grant: u64) -> Option<Timestamp> {
        let voids = |line: &&Line| matches!(&line.fact, Fact::Voided(take) if take.grant == grant);
        self.lines.iter().find(voids).map(|line| line.decided_at)
    }

    /// The numbers of the grants in the order in which charges draw from them.
    pub(super) fn draw_order(&self) -> Vec<(u64, Micros)> {
        let mut grants = self.grants();
        grants.sort_by_key(|record| {
            let rank = match record.grant.source {
                Source::Promotional => 0,
                Source::Adjustment => 1,
                Source::Subscription => 2,
                Source::TopUp => 3,
            };
            (rank, record.grant.n)
        });
        grants.into_iter().map(|record| (record.grant.n, record.grant.remaining)).collect()
    }

    /// Available, pending and owed.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let flows = self.numbered().flat_map(|(n, line)| line.fact.flows(n));
        let held = |charge: Charge| match charge.state.status {
            Status::Pending => charge.details.amount - charge.state.refunded,
            Status::Settled | Status::Refunded => Micros::ZERO,
        };
        Balance {
            available: flows.map(|flow| flow.amount).sum(),
            pending: self.charges().into_iter().map(held).sum(),
            debt: self.lost().values().map(|lost| lost.owed).sum(),
        }
    }

    /// What is taken and owed for lost payments, by the number of the grant.
    pub(super) fn lost(&self) -> BTreeMap<u64, Lost> {
        let mut all: BTreeMap<u64, Lost> = BTreeMap::new();
        for (since, line) in self.lines.iter().enumerate() {
            match &line.fact {
                Fact::MoreLost { grant, owed, draws, .. } => {
                    let lost = all.entry(*grant).or_insert(Lost { since, ..Lost::default() });
                    lost.owed += *owed;
                    draws.iter().for_each(|take| lost.take(*take));
                }
                Fact::LessLost { grant, forgiven, returns, .. } => {
                    let lost = all.get_mut(grant).expect("something was lost");
                    lost.owed -= *forgiven;
                    lost.give(returns);
                }
                Fact::Repaid(take) => {
                    let mut left = take.amount;
                    let mut oldest_first: Vec<&mut Lost> = all.values_mut().collect();
                    oldest_first.sort_by_key(|lost| lost.since);
                    for lost in oldest_first {
                        let paid = left.min(lost.owed);
                        lost.owed -= paid;
                        left -= paid;
                        lost.take(Draw { grant: take.grant, amount: paid });
                    }
                }
                Fact::Exchanged { take, returns } => {
                    let lost = all.get_mut(&take.grant).expect("an exchange is for a lost payment");
                    lost.give(returns);
                    lost.take(*take);
                }
                _ => {}
            }
            all.retain(|_, lost| lost.owed > Micros::ZERO || !lost.taken.is_empty());
        }
        all
    }

    /// The number of charges.
    #[must_use]
    pub fn charge_count(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.fact, Fact::Charged(_))).count()
    }

    /// All charges with their current state, in the order of their creation.
    #[must_use]
    pub fn charges(&self) -> Vec<Charge> {
        let mut charges: Vec<Charge> = Vec::new();
        for (n, line) in self.numbered() {
            match &line.fact {
                Fact::Charged(details) => charges.push(Charge {
                    state: ChargeState {
                        status: if details.deadline.is_some() { Status::Pending } else { Status::Settled },
                        outcome: None,
                        refunded: Micros::ZERO,
                        refunds: 0,
                        quantity: details.quantity.total(),
                        deadline: details.deadline,
                    },
                    details: details.clone(),
                    opening_entry: n,
                    created_at: line.at,
                    decided_at: line.decided_at,
                }),
                Fact::Settled { charge, outcome, quantity } => {
                    let state = &mut charges[*charge].state;
                    state.status = Status::Settled;
                    state.outcome = Some(*outcome);
                    state.quantity = quantity.total();
                    state.deadline = None;
                }
                Fact::Refunded { charge, amount, outcome, .. } => {
                    let state = &mut charges[*charge].state;
                    state.refunded += *amount;
                    state.refunds += u32::from(*amount > Micros::ZERO);
                    if outcome.is_some() {
                        state.status = Status::Refunded;
                        state.outcome = *outcome;
                        state.deadline = None;
                    }
                }
                Fact::Extended { charge, deadline } => charges[*charge].state.deadline = Some(*deadline),
                _ => {}
            }
        }
        charges
    }

    /// The current state of one charge.
    #[must_use]
    pub fn state(&self, index: usize) -> ChargeState {
        self.charges()[index].state
    }

    /// The credit of a charge that has returned to a grant so far.
    pub(super) fn returned(&self, index: usize, grant: u64) -> Micros {
        let returns = self.lines.iter().filter_map(|line| match &line.fact {
            Fact::Refunded { charge, returns, .. } if *charge == index => Some(returns),
            _ => None,
        });
        returns.flatten().filter(|draw| draw.grant == grant).map(|draw| draw.amount).sum()
    }
}
