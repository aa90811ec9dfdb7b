//! One command for an engine and for the model, and the translation of ids between them.
//!
//! An engine generates ids, the model counts: the third charge of a workspace has index 2. A
//! [`Step`] names charges, grants, API keys and sessions by the model's [`nth`] ids. [`Names`]
//! translates a step for an engine and the engine's answers back, and learns each new id from the
//! first answer that contains it. So one stream of steps drives any engine, and the answers of two
//! engines can be compared directly. Not here: the source of the steps (`workload`), the expected
//! answers (`model`).

use std::collections::HashMap;

use tollkeeper_engine::{Answer, GrantRecord, Output};
use tollkeeper_ledger::{
    Actor, ApiKey, ApiKeyId, ChargeDetails, ChargeId, Command, EntryBody, GrantId, Id, Limit, Loss,
    PaymentChange, PaymentCommand, PaymentRefund, PaymentRefundChange, PaymentRefundCommand, PortalSession,
    ProviderCall, ProviderCommand, RecipientChange, RecipientCommand, RecipientId, RecipientSubject, Refusal,
    Subject, Submission, SubscriptionChange, SubscriptionCommand, SubscriptionId, SubscriptionPayment,
    TeamChange, TeamCommand, Timestamp, TopUp, TopUpId, UsageKey, WorkspaceId,
};

/// A command with the clock of its caller.
#[derive(Clone, Debug)]
pub struct Step {
    /// The caller's clock.
    pub now: Timestamp,
    /// The command, with [`nth`] ids.
    pub submission: Submission,
}

/// The model's id for an index among the charges, grants, API keys or sessions of a workspace,
/// counted from 0.
///
/// Sessions are counted by their links.
#[must_use]
pub fn nth(index: usize) -> Id {
    Id::from_bytes((index as u128).to_be_bytes())
}

/// The model's id of the top-up that the charge with this index brought about. It stands apart from
/// those of the others, because no answer names it: an engine gives it the id of the charge.
#[must_use]
pub fn of_charge(charge: usize) -> Id {
    Id::from_bytes((OF_CHARGE | charge as u128).to_be_bytes())
}

/// Marks the id of a top-up that a charge brought about.
const OF_CHARGE: u128 = 1 << 127;

/// The index behind an id of the model.
#[must_use]
pub fn index_of(id: Id) -> usize {
    usize::try_from(u128::from_be_bytes(id.to_bytes())).unwrap_or(usize::MAX)
}

/// An id that exists in no engine.
#[must_use]
pub fn unknown_id() -> Id {
    Id::from_bytes([0xff; 16])
}

/// The engine's ids of the charges, grants, API keys and sessions of each workspace.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<WorkspaceId, Named>);

/// The engine's ids of one workspace, each kind in the order of creation.
#[derive(Clone, Debug, Default)]
struct Named {
    charges: Vec<Id>,
    grants: Vec<Id>,
    keys: Vec<Id>,
    sessions: Vec<Id>,
    top_ups: Vec<Id>,
    refunds: Vec<Id>,
    subscriptions: Vec<Id>,
    recipients: Vec<Id>,
}

impl Names {
    fn of(&mut self, workspace: &WorkspaceId) -> &mut Named {
        self.0.entry(workspace.clone()).or_default()
    }

    /// The submission with the engine's ids; `None` if it names something whose id is not known
    /// yet.
    #[must_use]
    pub fn for_engine(&self, submission: &Submission) -> Option<Submission> {
        let mut submission = submission.clone();
        let none = Named::default();
        let named = self.0.get(&submission.workspace).unwrap_or(&none);
        if let Actor::ApiKey(key) = &mut submission.actor {
            key.0 = known(&named.keys, key.0)?;
        }
        match &mut submission.command {
            Command::ExistingCharge { charge, .. } => charge.0 = known(&named.charges, charge.0)?,
            Command::VoidGrant { grant, .. } | Command::SetLost { grant, .. } => {
                grant.0 = known(&named.grants, grant.0)?;
            }
            Command::SetLimits(limits) => {
                limits.iter_mut().try_for_each(|(subject, _, _)| name_subject(named, subject))?;
            }
            Command::NoteLimit { subject, .. } => name_subject(named, subject)?,
            Command::Team(TeamCommand::RevokeKey(key) | TeamCommand::RecordKeyUse(key)) => {
                key.0 = known(&named.keys, key.0)?;
            }
            Command::Team(TeamCommand::SignOut(session)) => {
                session.0 = known(&named.sessions, session.0)?;
            }
            Command::Team(TeamCommand::Recipient(command)) => name_recipient(named, command)?,
            Command::Payment(
                PaymentCommand::ConfirmTopUp(top_up)
                | PaymentCommand::FailTopUp { top_up, .. }
                | PaymentCommand::ExpireTopUp(top_up),
            ) => {
                top_up.0 = known_top_up(named, top_up.0)?;
            }
            Command::Payment(PaymentCommand::Provider(
                ProviderCommand::PlaceTopUp { top_up, .. }
                | ProviderCommand::SucceedTopUp { top_up, .. }
                | ProviderCommand::ExpireTopUp { top_up }
                | ProviderCommand::RenewCall { call: ProviderCall::TopUp(top_up), .. },
            )) => {
                top_up.0 = known_top_up(named, top_up.0)?;
            }
            Command::Payment(PaymentCommand::Provider(ProviderCommand::RenewCall {
                call: ProviderCall::PaymentRefund(refund),
                ..
            })) => {
                refund.0 = known(&named.refunds, refund.0)?;
            }
            Command::Payment(PaymentCommand::Refund(command)) => name_refund(named, command)?,
            Command::Payment(PaymentCommand::Subscription(SubscriptionCommand::Collected {
                subscription,
                ..
            })) => subscription.0 = known(&named.subscriptions, subscription.0)?,
            Command::CreateWorkspace(_)
            | Command::UpdateWorkspace(_)
            | Command::Grant(_)
            | Command::Payment(_)
            | Command::Charge(_)
            | Command::SetAlerts { .. }
            | Command::CheckAlerts { .. }
            | Command::NoteRefused(_)
            | Command::Team(_)
            | Command::SetPrices { .. }
            | Command::SetPlans { .. }
            | Command::SetPlatformKey { .. }
            | Command::SetSettings(_)
            | Command::MarkRestored
            | Command::ReportUnmatched(_)
            | Command::SetWebhookEndpoint(_)
            | Command::RemoveWebhookEndpoint(_)
            | Command::Operator(_) => {}
        }
        Some(submission)
    }

    /// The answer with the model's ids; an unknown id gets the next index.
    pub fn for_model(&mut self, workspace: &WorkspaceId, mut answer: Answer) -> Answer {
        match &mut answer.output {
            Output::Charge(charge, _) => self.details_for_model(workspace, &mut charge.details),
            Output::Grant(record, _) => self.grant_for_model(workspace, record),
            Output::Limits(limits) => self.limits_for_model(workspace, limits),
            Output::Team(change) => self.change_for_model(workspace, change),
            Output::Workspace(_)
            | Output::Prices(_)
            | Output::Plans(_)
            | Output::Settings(_)
            | Output::WebhookEndpoint(_)
            | Output::Done => {}
            Output::TopUp(top_up) => self.top_up_for_model(workspace, top_up),
            Output::PaymentRefund(refund, _) => self.refund_for_model(workspace, refund),
            Output::Subscription(id) => *id = self.subscription_for_model(workspace, *id),
        }
        answer
    }

    /// The refusal with the model's ids.
    pub fn refusal_for_model(&mut self, workspace: &WorkspaceId, mut refusal: Refusal) -> Refusal {
        if let Refusal::LimitExceeded { subject, .. } = &mut refusal {
            self.subject_for_model(workspace, subject);
        }
        refusal
    }

    /// Learns the id in an entry, for an answer that the caller never received.
    pub fn learn(&mut self, workspace: &WorkspaceId, body: &EntryBody) {
        if let EntryBody::Granted { origin: Some(origin), .. } = body {
            self.payment_for_model(workspace, origin.clone());
        }
        let named = self.of(workspace);
        match body {
            EntryBody::ChargeOpened(details) => learn(&mut named.charges, details.id.0),
            EntryBody::Granted { grant, .. } => learn(&mut named.grants, grant.id.0),
            EntryBody::Payment(change) => match **change {
                PaymentChange::TopUpOpened { top_up, .. } => learn_top_up(named, top_up.0),
                PaymentChange::Refund(PaymentRefundChange::Requested { refund, .. }) => {
                    learn(&mut named.refunds, refund.0)
                }
                PaymentChange::Subscription(ref change) => match **change {
                    SubscriptionChange::Started { subscription, .. } => {
                        learn(&mut named.subscriptions, subscription.0)
                    }
                    _ => return,
                },
                _ => return,
            },
            EntryBody::Team(change) => match change.as_ref() {
                TeamChange::KeyCreated(key) => learn(&mut named.keys, key.id.0),
                TeamChange::LinkCreated(link) => learn(&mut named.sessions, link.id.0),
                TeamChange::Recipient(RecipientChange::AddressAdded { id, .. }) => {
                    learn(&mut named.recipients, id.0)
                }
                _ => return,
            },
            _ => return,
        };
    }

    /// The model's id of a charge.
    pub fn charge_for_model(&mut self, workspace: &WorkspaceId, charge: ChargeId) -> ChargeId {
        ChargeId(learn(&mut self.of(workspace).charges, charge.0))
    }

    /// Replaces the ids in the details of a charge.
    pub fn details_for_model(&mut self, workspace: &WorkspaceId, details: &mut ChargeDetails) {
        details.id = self.charge_for_model(workspace, details.id);
        details.spender.api_key = details.spender.api_key.map(|key| self.key_for_model(workspace, key));
    }

    /// Replaces the id in the record of a grant.
    pub fn grant_for_model(&mut self, workspace: &WorkspaceId, record: &mut GrantRecord) {
        record.grant.id = self.grant_id_for_model(workspace, record.grant.id);
        record.origin = record.origin.take().map(|origin| self.payment_for_model(workspace, origin));
        record.reason = record.reason.take().map(|reason| self.reason_for_model(workspace, reason));
    }

    /// Replaces the id of a top-up in the name of its payment, and that of a subscription in the
    /// name of its month.
    fn payment_for_model(&mut self, workspace: &WorkspaceId, payment: Box<str>) -> Box<str> {
        let of_subscription = payment.strip_prefix("subscription:").and_then(|rest| rest.split_once(':'));
        if let Some((id, rest)) = of_subscription
            && let Ok(id) = id.parse()
        {
            return format!("subscription:{}:{rest}", self.subscription_for_model(workspace, id)).into();
        }
        if let Some((id, start)) = renewed_by(&payment) {
            return format!("manual:{}:{start}", self.subscription_for_model(workspace, id)).into();
        }
        match confirmed_by(&payment) {
            Some(TopUpId(id)) => TopUp::manual_payment(TopUpId(learn_top_up(self.of(workspace), id))).into(),
            None => payment,
        }
    }

    /// Replaces the id of a top-up in the reason of the grant that it brought.
    fn reason_for_model(&mut self, workspace: &WorkspaceId, reason: Box<str>) -> Box<str> {
        match reason.strip_prefix("top-up ").map(str::parse) {
            Some(Ok(TopUpId(id))) => {
                format!("top-up {}", TopUpId(learn_top_up(self.of(workspace), id))).into()
            }
            _ => reason,
        }
    }

    /// Replaces the ids in a payment refund.
    pub fn refund_for_model(&mut self, workspace: &WorkspaceId, refund: &mut PaymentRefund) {
        refund.id.0 = learn(&mut self.of(workspace).refunds, refund.id.0);
        refund.payment = self.payment_for_model(workspace, refund.payment.clone());
    }

    /// Replaces the name of the payment in a loss.
    pub fn loss_for_model(&mut self, workspace: &WorkspaceId, loss: &mut Loss) {
        loss.payment = self.payment_for_model(workspace, loss.payment.clone());
    }

    /// Replaces the ids in a payment of a subscription. The cents of further months are left out.
    pub fn plan_payment_for_model(&mut self, workspace: &WorkspaceId, payment: &mut SubscriptionPayment) {
        payment.payment = self.payment_for_model(workspace, payment.payment.clone());
        payment.subscription = self.subscription_for_model(workspace, payment.subscription);
        for part in &mut payment.parts {
            part.grant.0 = learn(&mut self.of(workspace).grants, part.grant.0);
        }
        payment.month_cents = 0;
    }

    /// The model's id of a subscription.
    pub fn subscription_for_model(&mut self, workspace: &WorkspaceId, id: SubscriptionId) -> SubscriptionId {
        SubscriptionId(learn(&mut self.of(workspace).subscriptions, id.0))
    }

    /// Replaces the ids in a top-up.
    pub fn top_up_for_model(&mut self, workspace: &WorkspaceId, top_up: &mut TopUp) {
        top_up.id.0 = learn_top_up(self.of(workspace), top_up.id.0);
        top_up.grant = top_up.grant.map(|grant| self.grant_id_for_model(workspace, grant));
        top_up.payment = top_up.payment.take().map(|payment| self.payment_for_model(workspace, payment));
    }

    /// The model's id of a grant.
    pub fn grant_id_for_model(&mut self, workspace: &WorkspaceId, grant: GrantId) -> GrantId {
        GrantId(learn(&mut self.of(workspace).grants, grant.0))
    }

    fn key_for_model(&mut self, workspace: &WorkspaceId, key: ApiKeyId) -> ApiKeyId {
        ApiKeyId(learn(&mut self.of(workspace).keys, key.0))
    }

    /// Replaces the id in the subject of a limit.
    pub fn subject_for_model(&mut self, workspace: &WorkspaceId, subject: &mut Subject) {
        if let Subject::ApiKey(key) = subject {
            *key = self.key_for_model(workspace, *key);
        }
    }

    /// Replaces the ids in spending limits.
    pub fn limits_for_model(&mut self, workspace: &WorkspaceId, limits: &mut [Limit]) {
        for limit in limits {
            self.subject_for_model(workspace, &mut limit.subject);
        }
    }

    /// Replaces the id in a usage key.
    pub fn usage_for_model(&mut self, workspace: &WorkspaceId, key: &mut UsageKey) {
        key.spender.api_key = key.spender.api_key.map(|key| self.key_for_model(workspace, key));
    }

    /// Replaces the id of an API key.
    pub fn api_key_for_model(&mut self, workspace: &WorkspaceId, key: &mut ApiKey) {
        key.id = self.key_for_model(workspace, key.id);
    }

    /// Replaces the id of a link or a session.
    pub fn session_for_model(&mut self, workspace: &WorkspaceId, session: &mut PortalSession) {
        session.id.0 = learn(&mut self.of(workspace).sessions, session.id.0);
    }

    /// Replaces the id of a typed address.
    pub fn recipient_for_model(
        &mut self,
        workspace: &WorkspaceId,
        subject: RecipientSubject,
    ) -> RecipientSubject {
        match subject {
            RecipientSubject::Address(id) => {
                RecipientSubject::Address(RecipientId(learn(&mut self.of(workspace).recipients, id.0)))
            }
            RecipientSubject::Member(_) => subject,
        }
    }

    fn recipients_for_model(&mut self, workspace: &WorkspaceId, change: &mut RecipientChange) {
        match change {
            RecipientChange::AddressAdded { id, .. } | RecipientChange::Confirmed(id) => {
                id.0 = learn(&mut self.of(workspace).recipients, id.0);
            }
            RecipientChange::Removed(subject)
            | RecipientChange::Muted { subject, .. }
            | RecipientChange::Failed { subject, .. }
            | RecipientChange::MailSent { subject, .. } => {
                *subject = self.recipient_for_model(workspace, subject.clone());
            }
            RecipientChange::MemberAdded(_) => {}
        }
    }

    fn change_for_model(&mut self, workspace: &WorkspaceId, change: &mut TeamChange) {
        match change {
            TeamChange::KeyCreated(key) => self.api_key_for_model(workspace, key),
            TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => {
                *key = self.key_for_model(workspace, *key);
            }
            TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => {
                self.session_for_model(workspace, session);
            }
            TeamChange::SignedOut(session) => {
                session.0 = learn(&mut self.of(workspace).sessions, session.0);
            }
            TeamChange::Recipient(change) => self.recipients_for_model(workspace, change),
            TeamChange::MemberAdded(_)
            | TeamChange::MemberChanged(_)
            | TeamChange::MemberRemoved(_)
            | TeamChange::MemberErased(_)
            | TeamChange::AllSignedOut(_) => {}
        }
    }

    /// The engine's id of a charge by its index.
    #[must_use]
    pub fn charge(&self, workspace: &WorkspaceId, index: usize) -> Option<ChargeId> {
        self.0.get(workspace)?.charges.get(index).map(|id| ChargeId(*id))
    }
}

/// Puts the engine's id into a command about a recipient; `None` if it is not known yet.
fn name_recipient(named: &Named, command: &mut RecipientCommand) -> Option<()> {
    match command {
        RecipientCommand::Confirm(id)
        | RecipientCommand::Remove(RecipientSubject::Address(id))
        | RecipientCommand::Mute { subject: RecipientSubject::Address(id), .. }
        | RecipientCommand::NoteFault { subject: RecipientSubject::Address(id), .. }
        | RecipientCommand::NoteMail { subject: RecipientSubject::Address(id), .. } => {
            id.0 = known(&named.recipients, id.0)?;
        }
        RecipientCommand::Choose(_)
        | RecipientCommand::Remove(_)
        | RecipientCommand::Mute { .. }
        | RecipientCommand::NoteFault { .. }
        | RecipientCommand::NoteMail { .. } => {}
    }
    Some(())
}

/// Puts the engine's ids into a command about money that goes back; `None` if one is not known yet.
fn name_refund(named: &Named, command: &mut PaymentRefundCommand) -> Option<()> {
    match command {
        PaymentRefundCommand::ReportLoss { payment, .. } => *payment = known_payment(named, payment)?,
        PaymentRefundCommand::Request { top_up, .. } => top_up.0 = known_top_up(named, top_up.0)?,
        PaymentRefundCommand::Place { refund, .. }
        | PaymentRefundCommand::Succeed(refund)
        | PaymentRefundCommand::Fail { refund, .. } => refund.0 = known(&named.refunds, refund.0)?,
    }
    Some(())
}

/// The top-up whose payment a person confirmed, by the name of the payment.
pub(crate) fn confirmed_by(payment: &str) -> Option<TopUpId> {
    payment.strip_prefix("manual:")?.parse().ok()
}

/// The subscription whose period renewed by itself, and the start of the period, by the name of the
/// payment.
fn renewed_by(payment: &str) -> Option<(SubscriptionId, &str)> {
    let (id, start) = payment.strip_prefix("manual:")?.split_once(':')?;
    Some((id.parse().ok()?, start))
}

fn known(names: &[Id], id: Id) -> Option<Id> {
    if id == unknown_id() { Some(id) } else { names.get(index_of(id)).copied() }
}

/// Gives the subject of a limit the engine's id.
fn name_subject(named: &Named, subject: &mut Subject) -> Option<()> {
    if let Subject::ApiKey(key) = subject {
        key.0 = known(&named.keys, key.0)?;
    }
    Some(())
}

/// The engine's name of a payment.
fn known_payment(named: &Named, payment: &str) -> Option<Box<str>> {
    if let Some(TopUpId(id)) = confirmed_by(payment) {
        return Some(TopUp::manual_payment(TopUpId(known_top_up(named, id)?)).into());
    }
    if let Some((SubscriptionId(id), start)) = renewed_by(payment) {
        let id = SubscriptionId(known(&named.subscriptions, id)?);
        return Some(format!("manual:{id}:{start}").into());
    }
    Some(payment.into())
}

fn known_top_up(named: &Named, id: Id) -> Option<Id> {
    let bits = u128::from_be_bytes(id.to_bytes());
    if id == unknown_id() || bits & OF_CHARGE == 0 {
        return known(&named.top_ups, id);
    }
    named.charges.get(usize::try_from(bits & !OF_CHARGE).ok()?).copied()
}

fn learn_top_up(named: &mut Named, id: Id) -> Id {
    match named.charges.iter().position(|charge| *charge == id) {
        Some(charge) => of_charge(charge),
        None => learn(&mut named.top_ups, id),
    }
}

fn learn(names: &mut Vec<Id>, id: Id) -> Id {
    if id == unknown_id() {
        return id;
    }
    let index = names.iter().position(|name| *name == id).unwrap_or_else(|| {
        names.push(id);
        names.len() - 1
    });
    nth(index)
}
