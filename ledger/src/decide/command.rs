//! What can be asked of the ledger. A command is words already checked for form (names, lengths), never yet for right:
//! that is decided in `decide`.

use crate::account::limit::Subject;
use crate::{
    Account, Actor, ChargeId, GrantId, Hash, IdempotencyKey, MemberId, Micros, OperationId, Period, Source,
    TeamCommand, Timestamp, WorkerId, WorkspaceId,
};

/// A command, for whom, by whom, and under which key it may be repeated.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose pool it concerns; [`WorkspaceId::platform`] for the price book and platform keys.
    pub workspace: WorkspaceId,
    /// Makes it safe to repeat. Commands that carry a name of their own ([`Command::derived_key`]) ignore it.
    pub key: Option<IdempotencyKey>,
    /// Who asks.
    pub actor: Actor,
    /// What is asked.
    pub command: Command,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Opens a workspace with an empty pool.
    CreateWorkspace(WorkspaceChanges),
    /// Changes what is given; the rest stays.
    UpdateWorkspace(WorkspaceChanges),
    /// Brings credit in.
    Grant(GrantRequest),
    /// Takes back what is unspent of a grant.
    VoidGrant {
        /// Which.
        grant: GrantId,
        /// Why.
        reason: Option<Box<str>>,
    },
    /// Takes credit back after a lost payment.
    ClawBack {
        /// What the lost payment had brought.
        grant: GrantId,
        /// The dispute's name at the payment provider; one claw-back each.
        dispute: Box<str>,
        /// How much of it was lost.
        amount: Micros,
    },
    /// Gives back what a dispute took, because it was won.
    RestoreClawBack {
        /// The dispute's name at the payment provider.
        dispute: Box<str>,
    },
    /// Pays for one run of an operation.
    Charge(ChargeRequest),
    /// Settles, extends, refunds or times out a charge that was opened before.
    ExistingCharge {
        /// The charge, which may not exist.
        charge: ChargeId,
        /// What to do with it.
        command: ChargeCommand,
    },
    /// Replaces the spending limits.
    SetLimits(Vec<(Subject, Period, Micros)>),
    /// Replaces the low-balance thresholds.
    SetAlerts {
        /// The lines.
        thresholds: Vec<Micros>,
        /// Seconds of quiet after an alert.
        cooldown_seconds: i64,
    },
    /// Changes members, API keys or portal sessions.
    Team(TeamCommand),
    /// Makes a new version of the price book.
    SetPrices {
        /// The whole list; what is not in it is retired.
        operations: Vec<OperationPrice>,
        /// From when on; now when not said.
        effective_at: Option<Timestamp>,
    },
    /// Keeps the hash of a platform key; the key itself never reaches the ledger.
    SetPlatformKey {
        /// SHA-256 of the key.
        hash: Hash,
    },
}

/// What can be asked about a charge that was opened before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeCommand {
    /// Reports that the operation succeeded.
    Succeed {
        /// Units used, if fewer than were paid for; the price of the others is refunded.
        quantity: Option<i64>,
    },
    /// Reports that the operation failed.
    Fail {
        /// A failure by the system is refunded, a failure by the user is not (P9).
        by_system: bool,
        /// What happened, for people.
        detail: Option<Box<str>>,
    },
    /// Moves the deadline of a pending charge to `extend_seconds` from now, never nearer.
    Heartbeat {
        /// Seconds from now to the new deadline.
        extend_seconds: u32,
    },
    /// Refunds a charge, wholly or partly.
    Refund {
        /// The amount to refund; all that is left if `None`.
        amount: Option<Micros>,
        /// Why, for people.
        reason: Box<str>,
    },
    /// Refunds a pending charge whose deadline has passed; sent by a timer.
    TimeOut,
}

impl ChargeCommand {
    /// The command about this charge.
    #[must_use]
    pub const fn for_charge(self, charge: ChargeId) -> Command {
        Command::ExistingCharge { charge, command: self }
    }
}

/// What is said of a workspace at its opening or at a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceChanges {
    /// Its display name.
    pub name: Option<Box<str>>,
    /// An IANA time zone.
    pub timezone: Option<Box<str>>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
    /// Whether charges are refused.
    pub suspended: Option<bool>,
}

/// Credit that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    /// Where it comes from.
    pub source: Source,
    /// How much.
    pub amount: Micros,
    /// Why, for people.
    pub reason: Option<Box<str>>,
    /// For a top-up the payment, for a subscription its name and period: whatever may bring credit once only (i11, i12).
    pub origin: Option<Box<str>>,
    /// What was paid for it, in cents.
    pub paid_cents: i64,
}

/// One run of an operation, to be paid before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// What will run.
    pub operation: OperationId,
    /// How many units.
    pub quantity: i64,
    /// Which AI worker runs it.
    pub worker: Option<WorkerId>,
    /// For which person.
    pub member: Option<MemberId>,
    /// Whether the charge waits for an outcome.
    pub await_outcome: bool,
    /// For how long.
    pub timeout_seconds: Option<u32>,
    /// The platform's own name for the run.
    pub reference: Option<Box<str>>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
}

/// Limits whose use has to be counted from the rollups before a decision: new ones, or all of them in a new time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The time zone in which their days and months are counted.
    pub timezone: Box<str>,
    /// What is counted, and for how long.
    pub lines: Vec<(Subject, Period)>,
}

/// A line of a new price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationPrice {
    /// Its name.
    pub id: OperationId,
    /// What one unit costs.
    pub unit_price: Micros,
    /// If set, every charge awaits an outcome for so long.
    pub timeout_seconds: Option<u32>,
}

impl Command {
    /// The key of commands that can happen once only, whoever sends them however often: derived from what they are
    /// about, and spelled so that no caller's key can be equal to it.
    #[must_use]
    pub fn derived_key(&self) -> Option<IdempotencyKey> {
        let derived = |text: String| Some(IdempotencyKey::known(&format!("\u{1}{text}")));
        match self {
            Command::Grant(GrantRequest { source, origin: Some(origin), .. }) => {
                derived(format!("{}:{origin}", source.as_str()))
            }
            Command::ClawBack { dispute, .. } => derived(format!("claw_back:{dispute}")),
            Command::RestoreClawBack { dispute } => derived(format!("restored:{dispute}")),
            _ => None,
        }
    }

    /// The limits whose use the decision must see counted ([`View::used_by_limit`](crate::View::used_by_limit)).
    #[must_use]
    pub fn recount(&self, account: &Account) -> Option<Recount> {
        match self {
            Command::SetLimits(limits) => {
                // A limit that is there already has counted for itself.
                let new = limits.iter().filter(|(subject, period, _)| !account.limits.has(subject, *period));
                let lines: Vec<_> = new.map(|(subject, period, _)| (subject.clone(), *period)).collect();
                let timezone = account.profile.timezone.clone();
                (!lines.is_empty()).then_some(Recount { timezone, lines })
            }
            Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(timezone), .. })
                if !account.limits.is_empty() && *timezone != account.profile.timezone =>
            {
                let lines = account.limits.0.iter().map(|limit| (limit.subject.clone(), limit.period));
                Some(Recount { timezone: timezone.clone(), lines: lines.collect() })
            }
            _ => None,
        }
    }

    /// Whether [`Command::recount`] may ask for a count, whatever the account is by then.
    #[must_use]
    pub fn may_recount(&self) -> bool {
        let moves = |changes: &WorkspaceChanges| changes.timezone.is_some();
        matches!(self, Command::SetLimits(_))
            || matches!(self, Command::UpdateWorkspace(changes) if moves(changes))
    }

    /// The charge that the decision must see.
    #[must_use]
    pub fn charge(&self) -> Option<ChargeId> {
        match self {
            Command::ExistingCharge { charge, .. } => Some(*charge),
            _ => None,
        }
    }

    /// The grant that the decision must see.
    #[must_use]
    pub fn grant(&self) -> Option<GrantId> {
        match self {
            Command::VoidGrant { grant, .. } | Command::ClawBack { grant, .. } => Some(*grant),
            _ => None,
        }
    }
}
