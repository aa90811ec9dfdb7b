//! A workspace as a list of facts, and the questions that the list answers.
//!
//! Every fact is one entry of the journal, so a grant's number is the place of its fact, counted from one. Nothing is
//! remembered beside the list.

use std::collections::BTreeMap;

use tollkeeper_ledger::{
    Balance, Charge, ChargeDetails, ChargeState, Draw, GrantId, Kind, Micros, Outcome, Period, Profile,
    Source, Status, Subject, TeamChange, Timestamp, UsageKey, Used, WorkspaceChanges, WorkspaceId,
};

use tollkeeper_engine::GrantRecord;

use crate::model::step::nth;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Fact {
    /// The workspace was opened.
    Created(Profile),
    /// The workspace was described anew.
    Updated(Profile),
    /// Credit came in.
    Granted(GrantRecord),
    /// What was unspent of a grant was taken back.
    Voided(Vec<Draw>),
    /// A lost payment was taken back as far as there was credit.
    ClawedBack {
        /// Its dispute.
        dispute: Box<str>,
        /// What was lost.
        amount: Micros,
        /// What was taken.
        draws: Vec<Draw>,
    },
    /// A grant repaid debt.
    Repaid(Draw),
    /// A dispute was won.
    Restored {
        /// Its name.
        dispute: Box<str>,
        /// What came back.
        returns: Vec<Draw>,
    },
    /// A charge was deducted.
    Charged(Box<ChargeDetails>),
    /// A charge was kept.
    Settled {
        /// The place of the charge.
        charge: usize,
        /// What was said of it.
        outcome: Outcome,
        /// Units really used.
        quantity: i64,
    },
    /// Credit of a charge went back.
    Refunded {
        /// The place of the charge.
        charge: usize,
        /// How much.
        amount: Micros,
        /// To which grants.
        returns: Vec<Draw>,
        /// What was said of it, if that made it go back in full.
        outcome: Option<Outcome>,
    },
    /// A pending charge got more time.
    Extended {
        /// The place of the charge.
        charge: usize,
        /// Until when.
        deadline: Timestamp,
    },
    /// The limits were replaced.
    Limits(Vec<(Subject, Period, Micros)>),
    /// The thresholds were replaced.
    Alerts {
        /// In rising order, each once.
        thresholds: Vec<Micros>,
        /// Seconds of quiet.
        cooldown_seconds: i64,
    },
    /// The balance fell below a threshold.
    Low(Micros),
    /// Members, API keys, links or sessions changed.
    Team(TeamChange),
}

/// A fact and its time.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What.
    pub fact: Fact,
}

/// A workspace: all that ever happened in it.
#[derive(Clone, Debug)]
pub struct Pool {
    /// In order.
    pub lines: Vec<Line>,
}

/// Who spends, as limits see it.
#[derive(Clone, Copy)]
pub(super) struct Spending<'a> {
    /// The number of its fact.
    pub n: u64,
    pub at: Timestamp,
    pub details: &'a ChargeDetails,
    pub amount: Micros,
}

impl Fact {
    /// What an engine's journal calls it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Fact::Created(_) => Kind::WorkspaceCreated,
            Fact::Updated(_) => Kind::WorkspaceUpdated,
            Fact::Granted(_) => Kind::Granted,
            Fact::Voided(_) => Kind::GrantVoided,
            Fact::ClawedBack { .. } => Kind::ClawedBack,
            Fact::Repaid(_) => Kind::DebtRepaid,
            Fact::Restored { .. } => Kind::ClawBackRestored,
            Fact::Charged(_) => Kind::ChargeOpened,
            Fact::Settled { .. } => Kind::ChargeSettled,
            Fact::Refunded { .. } => Kind::ChargeRefunded,
            Fact::Extended { .. } => Kind::ChargeExtended,
            Fact::Limits(_) => Kind::LimitsSet,
            Fact::Alerts { .. } => Kind::AlertsSet,
            Fact::Low(_) => Kind::BalanceLow,
            Fact::Team(change) => change.kind(),
        }
    }

    /// What it moved in or out of which grant, below zero for out.
    #[must_use]
    pub fn flows(&self, n: u64) -> Vec<Draw> {
        let out = |draws: &[Draw]| {
            draws.iter().map(|d| Draw { grant: d.grant, amount: Micros::ZERO - d.amount }).collect()
        };
        match self {
            Fact::Granted(record) => vec![Draw { grant: n, amount: record.grant.amount }],
            Fact::Voided(draws) | Fact::ClawedBack { draws, .. } => out(draws),
            Fact::Repaid(take) => out(&[*take]),
            Fact::Charged(details) => out(&details.draws),
            Fact::Restored { returns, .. } | Fact::Refunded { returns, .. } => returns.clone(),
            _ => Vec::new(),
        }
    }
}

impl Pool {
    /// A workspace just opened.
    pub(super) fn open(id: WorkspaceId, changes: &WorkspaceChanges, now: Timestamp) -> Pool {
        let profile = Profile {
            id,
            name: changes.name.clone().unwrap_or_default(),
            timezone: changes.timezone.clone().unwrap_or_else(|| "UTC".into()),
            metadata: changes.metadata.clone(),
            suspended: changes.suspended.unwrap_or(false),
            created_at: now,
        };
        Pool { lines: vec![Line { at: now, fact: Fact::Created(profile) }] }
    }

    /// A clock that jumps back stands still at the last fact.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        self.lines.last().map_or(now, |line| now.max(line.at))
    }

    pub(super) fn add(&mut self, at: Timestamp, fact: Fact) {
        self.lines.push(Line { at, fact });
    }

    /// The number that the next fact gets.
    pub(super) fn next_n(&self) -> u64 {
        self.lines.len() as u64 + 1
    }

    /// The list as it was after its first `n` facts.
    #[must_use]
    pub fn after(&self, n: usize) -> Pool {
        Pool { lines: self.lines[..n].to_vec() }
    }

    /// The facts with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &Line)> {
        (1..).zip(&self.lines)
    }

    /// What is said of the workspace.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let mut described = self.lines.iter().rev().filter_map(|line| match &line.fact {
            Fact::Created(profile) | Fact::Updated(profile) => Some(profile),
            _ => None,
        });
        described.next().expect("the first fact describes the workspace").clone()
    }

    /// What is left of a grant.
    #[must_use]
    pub fn remaining(&self, grant: u64) -> Micros {
        let flows = self.numbered().flat_map(|(n, line)| line.fact.flows(n));
        flows.filter(|flow| flow.grant == grant).map(|flow| flow.amount).sum()
    }

    /// The grants in the order they came, with what is left of each.
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
        for (place, record) in grants.iter_mut().enumerate() {
            record.grant.id = GrantId(nth(place));
            record.grant.remaining = self.remaining(record.grant.n);
        }
        grants
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
            debt: self.disputes().values().map(|(owed, _)| *owed).sum(),
        }
    }

    /// The open disputes in the order they came: what each is still owed, and what it took.
    pub(super) fn disputes(&self) -> BTreeMap<(usize, Box<str>), (Micros, Vec<Draw>)> {
        let mut open: BTreeMap<(usize, Box<str>), (Micros, Vec<Draw>)> = BTreeMap::new();
        for (place, line) in self.lines.iter().enumerate() {
            match &line.fact {
                Fact::ClawedBack { dispute, amount, draws } => {
                    let taken: Micros = draws.iter().map(|take| take.amount).sum();
                    open.insert((place, dispute.clone()), (*amount - taken, draws.clone()));
                }
                Fact::Repaid(take) => {
                    let mut left = take.amount;
                    for (owed, taken) in open.values_mut() {
                        let paid = left.min(*owed);
                        *owed -= paid;
                        left -= paid;
                        taken.push(Draw { grant: take.grant, amount: paid });
                    }
                }
                Fact::Restored { dispute, .. } => open.retain(|(_, name), _| name != dispute),
                _ => {}
            }
        }
        open
    }

    /// How many charges there are.
    #[must_use]
    pub fn charge_count(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.fact, Fact::Charged(_))).count()
    }

    /// All charges as they stand, in the order they came.
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
                        quantity: details.quantity,
                        deadline: details.deadline,
                    },
                    details: details.clone(),
                    opening_entry: n,
                    created_at: line.at,
                }),
                Fact::Settled { charge, outcome, quantity } => {
                    let state = &mut charges[*charge].state;
                    state.status = Status::Settled;
                    state.outcome = Some(*outcome);
                    state.quantity = *quantity;
                    state.deadline = None;
                }
                Fact::Refunded { charge, amount, outcome, .. } => {
                    let state = &mut charges[*charge].state;
                    state.refunded += *amount;
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

    /// How one charge stands.
    #[must_use]
    pub fn state(&self, place: usize) -> ChargeState {
        self.charges()[place].state
    }

    /// What of a charge went back to which grant so far.
    pub(super) fn given_back(&self, place: usize, grant: u64) -> Micros {
        let returns = self.lines.iter().filter_map(|line| match &line.fact {
            Fact::Refunded { charge, returns, .. } if *charge == place => Some(returns),
            _ => None,
        });
        returns.flatten().filter(|give| give.grant == grant).map(|give| give.amount).sum()
    }

    /// Everything that was charged, and, below zero, refunded.
    pub(super) fn spendings(&self) -> Vec<Spending<'_>> {
        let mut openings = Vec::new();
        let mut spendings = Vec::new();
        for (n, line) in self.numbered() {
            match &line.fact {
                Fact::Charged(details) => {
                    openings.push(details.as_ref());
                    spendings.push(Spending { n, at: line.at, details, amount: details.amount });
                }
                Fact::Refunded { charge, amount, .. } => {
                    let (details, amount) = (openings[*charge], Micros::ZERO - *amount);
                    spendings.push(Spending { n, at: line.at, details, amount });
                }
                _ => {}
            }
        }
        spendings
    }

    /// Usage by hour, operation, worker, member and API key.
    #[must_use]
    pub fn usage(&self) -> BTreeMap<UsageKey, Used> {
        let mut usage: BTreeMap<UsageKey, Used> = BTreeMap::new();
        for Spending { n: _, at, details, amount } in self.spendings() {
            let key = UsageKey { hour: at.millis().div_euclid(3_600_000), spender: details.spender.clone() };
            let used = usage.entry(key).or_default();
            if amount > Micros::ZERO {
                used.runs += 1;
                used.quantity += details.quantity;
                used.charged += amount;
            } else {
                used.refunded -= amount;
            }
        }
        usage
    }
}
