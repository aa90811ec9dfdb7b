//! What can be asked of the ledger.
//!
//! A command was checked for form before (names, lengths); whether it is accepted is decided in
//! `decide`. This file also says what an engine must load for a command: its derived key, its
//! charge, its grant and what to count.

use super::workspace::check_limits;
use crate::account::grant::payment_key;
use crate::payments::top_up::TopUp;
use crate::{
    Account, Actor, AlertLine, ChargeId, CollectedCommand, GrantId, Hash, IdempotencyKey, MemberId, Micros,
    OperationId, OperatorCommand, PaymentCommand, Period, PersonalText, Plan, PlatformSettings, Price,
    ProviderCommand, Quantity, RefusedCharge, Source, Subject, SubscriptionCommand, TeamCommand, Timestamp,
    UnmatchedPayment, WebhookEndpoint, WebhookEndpointId, WorkerId, WorkspaceId,
};

/// A command with the workspace, the caller and the idempotency key.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The workspace whose account is concerned; [`WorkspaceId::platform`] for the price book,
    /// plans, platform keys, settings, epochs and operators.
    pub workspace: WorkspaceId,
    /// Makes the command safe to repeat (i07). A command with a [`Command::derived_key`] ignores
    /// it.
    pub key: Option<IdempotencyKey>,
    /// The caller.
    pub actor: Actor,
    /// What the caller asks for.
    pub command: Command,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Creates a workspace with an empty account.
    CreateWorkspace(WorkspaceChanges),
    /// Changes the given fields of a workspace's profile.
    UpdateWorkspace(WorkspaceChanges),
    /// Grants credit.
    Grant(GrantRequest),
    /// Takes back what is unspent of a grant.
    VoidGrant {
        /// The grant, which may not exist.
        grant: GrantId,
        /// The reason, for people.
        reason: Option<Box<str>>,
    },
    /// Says what is lost of the payment for a grant, if the workspace does not keep the payment:
    /// the caller does. What was said before counts no more, so the losses of a payment may be
    /// reported in any order and again.
    SetLost {
        /// The grant that was paid for.
        grant: GrantId,
        /// What is lost now, 0 to what was paid.
        lost_cents: i64,
        /// What shows the loss, such as the refunds and disputes at the payment provider.
        evidence: Box<str>,
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
    /// Replaces the spending limits: whose spending, in which period, up to which sum.
    SetLimits(Vec<(Subject, Period, Micros)>),
    /// Replaces the low-balance thresholds.
    SetAlerts {
        /// The lines below which an alert fires.
        thresholds: Vec<AlertLine>,
        /// Seconds after an alert in which its threshold does not fire again.
        cooldown_seconds: i64,
    },
    /// Fires the alerts that are due while the balance does not move; sent by the server.
    CheckAlerts {
        /// Days of runway, and the credit that they need by the forecast of now.
        lines: Vec<(u16, Micros)>,
    },
    /// Notes that charges were refused for lack of credit; sent by the server after a refusal.
    NoteRefused(RefusedCharge),
    /// Notes that a limit refused a charge; sent by the server after a refusal.
    NoteLimit {
        /// Whose spending the limit caps.
        subject: Subject,
        /// The period of the limit.
        period: Period,
        /// The end of the period in which it refused.
        resets_at: Timestamp,
    },
    /// Changes members, API keys or portal sessions.
    Team(TeamCommand),
    /// Opens, pays or refunds a top-up, or changes the subscription.
    Payment(PaymentCommand),
    /// Creates a new version of the price book.
    SetPrices {
        /// All operations; one that is not among them is retired.
        operations: Vec<OperationPrice>,
        /// The instant from which the version prices charges; now if `None`.
        effective_at: Option<Timestamp>,
    },
    /// Creates a new version of the plans.
    SetPlans {
        /// All plans; one that is not among them is retired.
        plans: Vec<Plan>,
    },
    /// Stores the hash of a platform key; the key itself never reaches the ledger.
    SetPlatformKey {
        /// SHA-256 of the key.
        hash: Hash,
    },
    /// Replaces the settings that decide money.
    SetSettings(PlatformSettings),
    /// Begins the next epoch, because this ledger is a restored copy.
    MarkRestored,
    /// Notes money that came in and fits nothing; once for a payment.
    ReportUnmatched(UnmatchedPayment),
    /// Creates a webhook endpoint or changes one: the record that is to be.
    SetWebhookEndpoint(Box<WebhookEndpoint>),
    /// Removes a webhook endpoint.
    RemoveWebhookEndpoint(WebhookEndpointId),
    /// Begins or ends sessions of operators.
    Operator(OperatorCommand),
}

/// What can be asked about a charge that was opened before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeCommand {
    /// Reports that the operation succeeded.
    Succeed {
        /// What was used, if it was less than what was paid for; the rest is refunded.
        quantity: Option<Quantity>,
    },
    /// Reports that the operation failed.
    Fail {
        /// True if the system is at fault: such a failure is refunded, one of the user's is not
        /// (P9).
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
        /// The reason, for people.
        reason: Box<str>,
    },
    /// Refunds a pending charge whose deadline has passed; sent by the server's polling job.
    TimeOut,
}

impl ChargeCommand {
    /// The command about this charge.
    #[must_use]
    pub const fn for_charge(self, charge: ChargeId) -> Command {
        Command::ExistingCharge { charge, command: self }
    }
}

/// The fields of a profile that a command sets; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceChanges {
    /// The display name.
    pub name: Option<Box<str>>,
    /// The IANA time zone in which its days and months are counted.
    pub timezone: Option<Box<str>>,
    /// A JSON object of the platform's own; `Some(None)` removes it.
    pub metadata: Option<Option<Box<str>>>,
    /// True to refuse charges.
    pub suspended: Option<bool>,
}

/// A grant to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    /// The kind of grant, which decides when it is drawn.
    pub source: Source,
    /// The credit, in micro-units.
    pub amount: Micros,
    /// The reason, for people.
    pub reason: Option<Box<str>>,
    /// What may grant credit only once (i11, i12): the payment of a top-up, or a subscription with
    /// its period.
    pub origin: Option<Box<str>>,
    /// What was paid for it, in cents.
    pub paid_cents: i64,
}

/// One run of an operation, to be paid before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// The operation.
    pub operation: OperationId,
    /// How much of it: a number of units, or of each of its meters ([`Rate::quantity_max`]).
    ///
    /// [`Rate::quantity_max`]: crate::Rate::quantity_max
    pub quantity: Quantity,
    /// The AI worker that runs it.
    pub worker: Option<WorkerId>,
    /// The member it runs for.
    pub member: Option<MemberId>,
    /// True if the charge stays pending until an outcome is reported. If false, the price book
    /// decides.
    pub await_outcome: bool,
    /// True if only the platform, or a key with the scope [`Scope::Settle`], may report an outcome.
    /// A proxy that charges its callers sets it: otherwise a caller could report for itself that
    /// little was used.
    ///
    /// [`Scope::Settle`]: crate::Scope::Settle
    pub outcome_by_platform: bool,
    /// Seconds until a pending charge times out; the price book's or the default if `None`.
    pub timeout_seconds: Option<u32>,
    /// The platform's own name for the run.
    pub reference: Option<Box<str>>,
    /// A JSON object of the platform's own.
    pub metadata: Option<Box<str>>,
}

impl GrantRequest {
    /// A grant of `amount` that nothing was paid for, without a reason or an origin.
    #[must_use]
    pub const fn new(source: Source, amount: Micros) -> GrantRequest {
        GrantRequest { source, amount, reason: None, origin: None, paid_cents: 0 }
    }
}

impl ChargeRequest {
    /// A charge for `quantity` units that asks for no outcome; it is pending all the same if its
    /// operation has a timeout. It has no worker, member, reference or metadata.
    #[must_use]
    pub fn new(operation: OperationId, quantity: impl Into<Quantity>) -> ChargeRequest {
        ChargeRequest {
            operation,
            quantity: quantity.into(),
            worker: None,
            member: None,
            await_outcome: false,
            outcome_by_platform: false,
            timeout_seconds: None,
            reference: None,
            metadata: None,
        }
    }
}

/// The limits to count from rollups: new ones, or all if the time zone changes. The engine counts
/// them before the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// The IANA time zone in which the days and months are counted.
    pub timezone: Box<str>,
    /// Whose spending to count, and over which period.
    pub limits: Vec<(Subject, Period)>,
}

/// One operation of a new price version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationPrice {
    /// The id of the operation, chosen by the platform.
    pub id: OperationId,
    /// What it costs.
    pub price: Price,
    /// If set, every charge stays pending for this many seconds unless an outcome comes.
    pub timeout_seconds: Option<u32>,
}

impl Command {
    /// The idempotency key of a command that can happen only once, from any caller: derived from
    /// its content (i11, i12), and never equal to a key that a caller chose.
    #[must_use]
    pub fn derived_key(&self) -> Option<IdempotencyKey> {
        match self {
            Command::Grant(GrantRequest { source, origin: Some(origin), .. }) => {
                Some(payment_key(*source, origin))
            }
            Command::Payment(PaymentCommand::ConfirmTopUp(id)) => {
                Some(payment_key(Source::TopUp, &TopUp::manual_payment(*id)))
            }
            Command::Payment(PaymentCommand::Provider(ProviderCommand::SucceedTopUp { payment, .. })) => {
                Some(payment_key(Source::TopUp, payment))
            }
            Command::ReportUnmatched(payment) => Some(payment.key()),
            Command::Payment(PaymentCommand::Subscription(
                SubscriptionCommand::Confirm { payment, .. }
                | SubscriptionCommand::Collected {
                    command:
                        CollectedCommand::PayPeriod { payment, .. } | CollectedCommand::PayChange { payment, .. },
                    ..
                },
            )) => Some(payment_key(Source::Subscription, payment)),
            _ => None,
        }
    }

    /// The limits whose use the decision needs
    /// ([`View::used_by_limit`](crate::View::used_by_limit)). Counting is expensive, so limits that
    /// will be refused for their form need none.
    #[must_use]
    pub fn recount(&self, account: &Account) -> Option<Recount> {
        let recount = match self {
            Command::SetLimits(limits) if check_limits(limits).is_ok() => {
                // A limit that stays has counted its own use.
                let stays = |subject: &Subject, period| account.limits.find(subject, period).is_some();
                let new = limits.iter().filter(|(subject, period, _)| !stays(subject, *period));
                let limits: Vec<_> = new.map(|(subject, period, _)| (subject.clone(), *period)).collect();
                let timezone = account.profile.timezone.clone();
                (!limits.is_empty()).then_some(Recount { timezone, limits })
            }
            Command::UpdateWorkspace(WorkspaceChanges { timezone: Some(timezone), .. })
                if !account.limits.is_empty() && *timezone != account.profile.timezone =>
            {
                let limits = account.limits.0.iter().map(|limit| (limit.subject.clone(), limit.period));
                Some(Recount { timezone: timezone.clone(), limits: limits.collect() })
            }
            _ => None,
        };
        assert!(
            recount.is_none() || self.may_recount(),
            "a command with a recount must be announced by may_recount"
        );
        recount
    }

    /// True if [`Command::recount`] can return limits for some account.
    #[must_use]
    pub fn may_recount(&self) -> bool {
        match self {
            Command::SetLimits(limits) => check_limits(limits).is_ok(),
            Command::UpdateWorkspace(changes) => changes.timezone.is_some(),
            _ => false,
        }
    }

    /// The charge that the decision needs.
    #[must_use]
    pub fn charge(&self) -> Option<ChargeId> {
        match self {
            Command::ExistingCharge { charge, .. } => Some(*charge),
            _ => None,
        }
    }

    /// The grant that the decision needs.
    #[must_use]
    pub fn grant(&self) -> Option<GrantId> {
        match self {
            Command::VoidGrant { grant, .. } | Command::SetLost { grant, .. } => Some(*grant),
            _ => None,
        }
    }

    /// The grants that the decision needs because the command is about their payment. They may be
    /// spent.
    #[must_use]
    pub fn grants_of_payment(&self, account: &Account) -> Vec<GrantId> {
        let Command::Payment(PaymentCommand::Refund(command)) = self else { return Vec::new() };
        let Some(payments) = account.payments.as_deref() else { return Vec::new() };
        let parts = command.payment(payments).map(|payment| payments.paid_parts(payment));
        parts.into_iter().flatten().map(|part| part.grant).collect()
    }

    /// True if the decision needs the grants from which claw-backs took credit
    /// ([`ClawBacks::drawn_grants`](crate::ClawBacks::drawn_grants)), because it may give it back.
    #[must_use]
    pub fn may_give_back(&self) -> bool {
        matches!(
            self,
            Command::ExistingCharge { .. }
                | Command::SetLost { .. }
                | Command::Payment(PaymentCommand::Refund(_))
        )
    }

    /// The member whose stored texts the decision needs.
    #[must_use]
    pub fn member_with_texts(&self) -> Option<&MemberId> {
        match self {
            Command::Team(TeamCommand::ChangeMember(member, _) | TeamCommand::EraseMember(member)) => {
                Some(member)
            }
            _ => None,
        }
    }

    /// The texts about a person that the command brings; the engine stores those whose digests the
    /// entry names.
    #[must_use]
    pub fn texts(&self) -> Vec<PersonalText> {
        match self {
            Command::Team(command) => command.texts(),
            _ => Vec::new(),
        }
    }

    /// True if the command belongs to the journal of the platform ([`WorkspaceId::platform`]) and
    /// to no workspace.
    #[must_use]
    pub fn is_for_platform(&self) -> bool {
        matches!(
            self,
            Command::SetPrices { .. }
                | Command::SetPlans { .. }
                | Command::SetPlatformKey { .. }
                | Command::SetSettings(_)
                | Command::MarkRestored
                | Command::ReportUnmatched(_)
                | Command::SetWebhookEndpoint(_)
                | Command::RemoveWebhookEndpoint(_)
                | Command::Operator(_)
        )
    }
}
