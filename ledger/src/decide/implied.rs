//! The command that an entry implies, so that an audit can decide it again.
//!
//! An entry says what was decided, not what was asked. [`implied`] finds the command that leads to
//! an entry which begins a change, with the time and the new id of its decision. The caller decides
//! the command on the account before the entry and compares. Entries that only follow from another
//! one have no command of their own.
//!
//! Nothing is decided here. A command that does not lead to the entry is no error here either: its
//! decision then differs from the entry.

use super::collected;
use crate::account::grant::payment_of_key;
use crate::journal::disagreement::{Violation, ensure};
use crate::payments::subscription::Cause;
use crate::{
    Account, Alert, ApiKey, ApiKeyRequest, AutoTopUpChange, AutoTopUpCommand, CardChange, CardCommand,
    Charge, ChargeCommand, ChargeDetails, ChargeRequest, ChargeState, CollectedCommand, Command, Entry,
    EntryBody, GrantRequest, Hash, Id, LinkRequest, LostPart, MailTopic, Member, MemberChanges,
    MemberRequest, Micros, OperationPrice, OperatorCommand, OperatorSession, Outcome, PaymentChange,
    PaymentCommand, PaymentRefundChange, PersonalText, PlanId, PortalSession, PriceVersion, Profile,
    Provider, ProviderChange, ProviderCommand, Quantity, ReachedLimit, RecipientChange, RecipientCommand,
    RecipientRequest, Refund, RefundReason, Settlement, Source, Spender, Submission, Subscription,
    SubscriptionChange, SubscriptionCommand, Team, TeamChange, TeamCommand, TextsOfMember, Timestamp, TopUp,
    TopUpBounds, TopUpWay, WorkspaceChanges,
};

/// A command that would write an entry, and what its decision depends on besides the view.
#[derive(Clone, Debug)]
pub struct Implied {
    /// The command with its caller and its key.
    pub submission: Submission,
    /// The clock of the server that received it, as far as the entry tells it.
    pub server_now: Timestamp,
    /// The new id that the entry gives.
    pub fresh_id: Id,
    /// What was stored of the texts of the member that the command names.
    pub texts_of_member: TextsOfMember,
    /// What was paid for the grant that the command names, as the entry tells it.
    pub paid_cents: i64,
}

/// The command that leads to `entry`, the first of its change. `account` is as it was before the
/// entry, and `charge` is the one that the entry is about, likewise.
///
/// # Errors
/// [`Violation`] if no command leads to such an entry.
pub fn implied(entry: &Entry, account: &Account, charge: Option<&Charge>) -> Result<Implied, Violation> {
    let command = command(entry, account, charge)?;
    let fresh_id = fresh_id(entry);
    ensure(fresh_id.is_v7(), "the id that it gives is no UUID of version 7")?;
    let workspace = account.profile.id.clone();
    let submission = Submission { workspace, key: entry.key.clone(), actor: entry.actor.clone(), command };
    let server_now = server_now(entry);
    assert!(
        submission.command.is_for_platform() == entry.body.kind().is_for_platform(),
        "a command must be for the same kind of journal as the entry that implies it"
    );
    let texts_of_member = texts_of_member(&entry.body);
    let paid_cents = match &entry.body {
        EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
            lost.paid_cents
        }
        _ => 0,
    };
    Ok(Implied { submission, server_now, fresh_id, texts_of_member, paid_cents })
}

/// The id that the entry gives to something new; any id if it gives none.
fn fresh_id(entry: &Entry) -> Id {
    match &entry.body {
        EntryBody::ChargeOpened(details) => details.id.0,
        EntryBody::Granted { grant, .. } => grant.id.0,
        EntryBody::Payment(change) => match **change {
            PaymentChange::TopUpOpened { top_up, .. } => top_up.0,
            PaymentChange::Refund(PaymentRefundChange::Requested { refund, .. }) => refund.0,
            PaymentChange::Subscription(ref change) => match **change {
                SubscriptionChange::Started { subscription, .. } => subscription.0,
                _ => Id::v7(0, 0, entry.n),
            },
            _ => Id::v7(0, 0, entry.n),
        },
        EntryBody::Team(change) => match &**change {
            TeamChange::KeyCreated(key) => key.id.0,
            TeamChange::LinkCreated(link) => link.id.0,
            TeamChange::Recipient(RecipientChange::AddressAdded { id, .. }) => id.0,
            _ => Id::v7(0, 0, entry.n),
        },
        EntryBody::OperatorSignedIn(session) => session.id.0,
        _ => Id::v7(0, 0, entry.n),
    }
}

/// Links and sessions begin by the clock of the server. All else is decided by the present time,
/// which a server whose clock shows it has too.
fn server_now(entry: &Entry) -> Timestamp {
    match &entry.body {
        EntryBody::Team(change) => match &**change {
            TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => session.created_at,
            _ => entry.decided_at,
        },
        EntryBody::OperatorSignedIn(session) => session.created_at,
        _ => entry.decided_at,
    }
}

fn command(entry: &Entry, account: &Account, charge: Option<&Charge>) -> Result<Command, Violation> {
    let command = match &entry.body {
        EntryBody::WorkspaceCreated(profile) => Command::CreateWorkspace(changes(profile)),
        EntryBody::WorkspaceUpdated(profile) => {
            Command::UpdateWorkspace(differences(&account.profile, profile))
        }
        EntryBody::Granted { grant, reason, origin, paid_cents } => {
            let confirmed = origin.as_deref().and_then(TopUp::of_manual_payment);
            let confirmed = confirmed.map(|top_up| Command::Payment(PaymentCommand::ConfirmTopUp(top_up)));
            let cause = origin.as_deref().and_then(Cause::of_origin);
            let words = (origin.as_deref(), reason.as_deref());
            let of_plan = cause.map(|cause| subscription(granted_for(cause, entry, words, account)));
            match confirmed.or(of_plan).or_else(|| paid_at_provider(&entry.body)) {
                Some(command) => command,
                None => Command::Grant(GrantRequest {
                    source: grant.source,
                    amount: grant.amount,
                    reason: reason.clone(),
                    origin: origin.clone(),
                    paid_cents: *paid_cents,
                }),
            }
        }
        EntryBody::GrantVoided { grant, reason, .. } => {
            Command::VoidGrant { grant: *grant, reason: reason.clone() }
        }
        EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
            let LostPart { grant, lost_cents, evidence, .. } = lost.clone();
            Command::SetLost { grant, lost_cents, evidence }
        }
        EntryBody::ChargeOpened(details) => Command::Charge(charge_request(details)),
        EntryBody::ChargeSettled(settlement) => settled(settlement, charge)?.for_charge(settlement.charge),
        EntryBody::ChargeRefunded(refund) => refunded(refund, charge)?.for_charge(refund.charge),
        EntryBody::ChargeExtended { charge, state, .. } => {
            extended(*state, entry.decided_at)?.for_charge(*charge)
        }
        EntryBody::LimitsSet(limits) => {
            let lines = limits.iter().map(|limit| (limit.subject.clone(), limit.period, limit.amount));
            Command::SetLimits(lines.collect())
        }
        EntryBody::AlertsSet { thresholds, cooldown_seconds } => {
            Command::SetAlerts { thresholds: thresholds.clone(), cooldown_seconds: *cooldown_seconds }
        }
        EntryBody::Alert(alert) => alert_command(alert),
        EntryBody::PricesSet(version) => prices(version),
        EntryBody::PlansSet(version) => Command::SetPlans { plans: version.plans.clone() },
        EntryBody::PlatformKeySet { hash } => Command::SetPlatformKey { hash: *hash },
        EntryBody::SettingsChanged(settings) => Command::SetSettings(*settings),
        EntryBody::LedgerRestored { .. } => Command::MarkRestored,
        EntryBody::WebhookEndpointSet(endpoint) => Command::SetWebhookEndpoint(endpoint.clone()),
        EntryBody::WebhookEndpointRemoved(id) => Command::RemoveWebhookEndpoint(*id),
        EntryBody::OperatorSignedIn(session) => Command::Operator(operator_sign_in(session)?),
        EntryBody::OperatorSignedOut(ended) => Command::Operator(OperatorCommand::SignOut(*ended)),
        EntryBody::Team(change) => Command::Team(team(change, account)?),
        EntryBody::ClawedBack { .. } | EntryBody::ClawBackRestored { .. } => {
            return Err(Violation("no command begins a change with it any more"));
        }
        EntryBody::PaymentUnmatched(payment) => Command::ReportUnmatched((**payment).clone()),
        EntryBody::Payment(change) => Command::Payment(payment(change, account, entry.decided_at)?),
        EntryBody::DebtRepaid { .. }
        | EntryBody::ReturnTaken { .. }
        | EntryBody::ClawBackExchanged { .. } => {
            return Err(Violation("no command begins a change with it"));
        }
    };
    Ok(command)
}

/// The command that writes an alert which follows no other entry. Of a check, the entry of one
/// threshold tells only its own forecast; the entries of others are decided again one by one.
fn alert_command(alert: &Alert) -> Command {
    match alert.clone() {
        Alert::Low(crossing) | Alert::Recovered(crossing) => {
            let line = crossing.runway_days.map(|days| (days, crossing.amount));
            Command::CheckAlerts { lines: line.into_iter().collect() }
        }
        Alert::Refused(refused) => Command::NoteRefused(*refused),
        Alert::LimitReached(reached) => {
            let ReachedLimit { subject, period, amount: _, resets_at } = *reached;
            Command::NoteLimit { subject, period, resets_at }
        }
    }
}

/// The command that grants what was paid at a provider. The tax is in the entry that follows, and
/// is taken from there ([`EntryBody::with_words_of`]).
fn paid_at_provider(body: &EntryBody) -> Option<Command> {
    let EntryBody::Granted { grant, reason, origin, paid_cents } = body else { return None };
    let payment = origin.as_ref().filter(|payment| TopUp::is_provider_payment(payment))?.clone();
    let top_up = TopUp::of_reason(reason.as_deref()?).filter(|_| grant.source == Source::TopUp)?;
    let (cents, tax_cents) = (*paid_cents, 0);
    let command = ProviderCommand::SucceedTopUp { top_up, payment, cents, tax_cents };
    Some(Command::Payment(PaymentCommand::Provider(command)))
}

/// # Errors
/// [`Violation`] if it only follows another entry.
fn payment(change: &PaymentChange, account: &Account, at: Timestamp) -> Result<PaymentCommand, Violation> {
    // An entry does not tell the settings of the caller.
    let allowed = TopUpBounds::WIDEST;
    Ok(match change {
        PaymentChange::TopUpOpened { way: TopUpWay::Automatic, .. } => {
            PaymentCommand::AutoTopUp(AutoTopUpCommand::OpenIfLow)
        }
        PaymentChange::TopUpOpened { cents, way, .. } => {
            PaymentCommand::OpenTopUp { cents: *cents, way: *way, allowed }
        }
        PaymentChange::TopUpFailed { top_up, failure } => {
            PaymentCommand::FailTopUp { top_up: *top_up, failure: *failure }
        }
        PaymentChange::TopUpExpired(top_up) => {
            let known = account.payments.as_deref().and_then(|payments| payments.top_up(*top_up));
            match known.is_some_and(|known| known.is_late(at)) {
                true => PaymentCommand::ExpireTopUp(*top_up),
                false => PaymentCommand::Provider(ProviderCommand::ExpireTopUp { top_up: *top_up }),
            }
        }
        PaymentChange::Card(change) => PaymentCommand::Card(match change {
            CardChange::Linked(customer) => {
                let present = account.payments.as_deref().and_then(|payments| payments.customer.as_ref());
                let replaces = present.map(|customer| customer.id.clone());
                CardCommand::LinkCustomer { customer: customer.clone(), replaces }
            }
            CardChange::Saved(card) => CardCommand::SaveCard(card.clone()),
            CardChange::Removed(_) => CardCommand::RemoveCard { id: None },
        }),
        PaymentChange::AutoTopUp(AutoTopUpChange::Set { threshold, cents, monthly_cap_cents }) => {
            let (threshold, cents, monthly_cap_cents) = (*threshold, *cents, *monthly_cap_cents);
            PaymentCommand::AutoTopUp(AutoTopUpCommand::Set { threshold, cents, monthly_cap_cents, allowed })
        }
        PaymentChange::AutoTopUp(AutoTopUpChange::Stopped { why }) => {
            PaymentCommand::AutoTopUp(AutoTopUpCommand::Stop { why: *why })
        }
        PaymentChange::Provider(change) => PaymentCommand::Provider(match change.clone() {
            ProviderChange::TopUpPlaced { top_up, reference } => {
                ProviderCommand::PlaceTopUp { top_up, reference }
            }
            ProviderChange::CallRenewed { call, generation } => {
                let lost =
                    generation.checked_sub(1).ok_or(Violation("a call is begun anew before it began"))?;
                ProviderCommand::RenewCall { call, lost }
            }
        }),
        PaymentChange::Refund(change) => PaymentCommand::Refund(change.command()),
        PaymentChange::TopUpSucceeded { .. } | PaymentChange::AutoTopUp(AutoTopUpChange::Paused { .. }) => {
            return Err(Violation("no command begins a change with it"));
        }
        PaymentChange::Subscription(change) => PaymentCommand::Subscription(changed(change, account, at)?),
    })
}

const fn subscription(command: SubscriptionCommand) -> Command {
    Command::Payment(PaymentCommand::Subscription(command))
}

/// The command that made a grant of a subscription. A confirmation has the key of its payment.
fn granted_for(
    cause: Cause,
    entry: &Entry,
    (origin, reason): (Option<&str>, Option<&str>),
    account: &Account,
) -> SubscriptionCommand {
    let last = account.payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    match entry.key.as_ref().and_then(|key| payment_of_key(Source::Subscription, key)) {
        Some(payment) => {
            let collected = origin.and_then(|origin| collected::of_grant(origin, payment, reason, last));
            if let Some((subscription, command)) = collected {
                return SubscriptionCommand::Collected { subscription, command };
            }
            let change = matches!(cause, Cause::Change(_));
            SubscriptionCommand::Confirm { change, payment: payment.into() }
        }
        None => SubscriptionCommand::Tick { renews: cause == Cause::Period },
    }
}

/// # Errors
/// [`Violation`] if no command begins a change with it.
fn changed(
    change: &SubscriptionChange,
    account: &Account,
    at: Timestamp,
) -> Result<SubscriptionCommand, Violation> {
    const NO_SUBSCRIPTION: Violation = Violation("it is about a subscription that does not exist");
    let current = account.payments.as_deref().and_then(|payments| payments.subscription.as_deref());
    let tick = SubscriptionCommand::Tick { renews: false };
    let start = |plan: &PlanId, collected_by: Option<Provider>| SubscriptionCommand::StartOrChange {
        plan: plan.clone(),
        collected_by,
    };
    let is_canceled = current.is_some_and(|subscription| subscription.cancels_at.is_some());
    if let Some(current) = current
        && let Some(command) = collected_change(change, current, at)
    {
        return Ok(SubscriptionCommand::Collected { subscription: current.id, command });
    }
    match change {
        SubscriptionChange::Started { plan, collected_by, .. } => Ok(start(&plan.id, *collected_by)),
        SubscriptionChange::ChangeAsked { plan, .. } => Ok(start(&plan.id, None)),
        // One that was canceled is resumed by the request for its plan.
        SubscriptionChange::ChangeDropped { .. } if is_canceled => Ok(tick),
        SubscriptionChange::ChangeDropped { .. } | SubscriptionChange::Resumed => {
            Ok(start(&current.ok_or(NO_SUBSCRIPTION)?.plan.id, None))
        }
        SubscriptionChange::PastDue | SubscriptionChange::Renewed { grant: None, .. } => Ok(tick),
        SubscriptionChange::Ended if is_canceled => Ok(tick),
        SubscriptionChange::Ended | SubscriptionChange::CancelAsked { .. } => Ok(SubscriptionCommand::Cancel),
        SubscriptionChange::Changed { .. }
        | SubscriptionChange::Renewed { .. }
        | SubscriptionChange::Placed(_)
        | SubscriptionChange::PeriodPaid { .. } => Err(Violation("no command begins a change with it")),
    }
}

/// What the provider said that led to a change which no other command leads to.
fn collected_change(
    change: &SubscriptionChange,
    current: &Subscription,
    at: Timestamp,
) -> Option<CollectedCommand> {
    let collected = current.collected.as_deref()?;
    let is_canceled = current.cancels_at.is_some();
    match change {
        SubscriptionChange::Placed(is) => {
            let was = Box::new(collected.placement.clone());
            Some(CollectedCommand::Place { was, is: Box::new(is.clone()) })
        }
        SubscriptionChange::PastDue => Some(CollectedCommand::Lapse),
        SubscriptionChange::ChangeDropped { number } if is_canceled => {
            Some(CollectedCommand::DropChange(*number))
        }
        // A request for the end has the same answer if no paid period runs.
        SubscriptionChange::Ended => {
            let runs = current.period_end().is_some_and(|end| at < end) || is_canceled;
            let is_due = current.due_at().is_some_and(|due_at| due_at <= at);
            (runs && !is_due).then_some(CollectedCommand::End)
        }
        _ => None,
    }
}

fn changes(profile: &Profile) -> WorkspaceChanges {
    let Profile { name, timezone, metadata, suspended, .. } = profile;
    WorkspaceChanges {
        name: Some(name.clone()),
        timezone: Some(timezone.clone()),
        metadata: Some(metadata.clone()),
        suspended: Some(*suspended),
    }
}

fn operator_sign_in(session: &OperatorSession) -> Result<OperatorCommand, Violation> {
    let seconds = whole_seconds(session.created_at, session.expires_at);
    let valid_for_seconds = seconds.ok_or(Violation("no command gives an operator's session such a time"))?;
    let (operator, session) = (session.operator.clone(), session.hash);
    Ok(OperatorCommand::SignIn { operator, session, valid_for_seconds })
}

/// The fields in which a profile differs from the one before.
fn differences(before: &Profile, after: &Profile) -> WorkspaceChanges {
    let WorkspaceChanges { name, timezone, metadata, suspended } = changes(after);
    WorkspaceChanges {
        name: name.filter(|name| *name != before.name),
        timezone: timezone.filter(|timezone| *timezone != before.timezone),
        metadata: metadata.filter(|metadata| *metadata != before.metadata),
        suspended: suspended.filter(|suspended| *suspended != before.suspended),
    }
}

fn charge_request(details: &ChargeDetails) -> ChargeRequest {
    let Spender { operation, worker, member, api_key: _ } = details.spender.clone();
    ChargeRequest {
        operation,
        quantity: details.quantity.clone(),
        worker,
        member,
        await_outcome: details.await_outcome,
        outcome_by_platform: details.outcome_by_platform,
        timeout_seconds: details.timeout_seconds,
        reference: details.reference.clone(),
        metadata: details.metadata.clone(),
    }
}

/// # Errors
/// [`Violation`] if the outcome does not settle a charge.
fn settled(settlement: &Settlement, charge: Option<&Charge>) -> Result<ChargeCommand, Violation> {
    match settlement.state.outcome {
        Some(Outcome::Succeeded) => {
            let used = settlement.used.as_deref().map(|used| Quantity::Meters(used.quantities.clone()));
            // A charge that was settled at once used what it paid for.
            let has_meters = charge.is_some_and(|charge| charge.details.quantity.meters().is_some());
            let units = (!has_meters).then_some(Quantity::Units(settlement.state.quantity));
            Ok(ChargeCommand::Succeed { quantity: used.or(units) })
        }
        Some(Outcome::FailedUser) => {
            Ok(ChargeCommand::Fail { by_system: false, detail: settlement.detail.clone() })
        }
        Some(Outcome::FailedSystem | Outcome::TimedOut | Outcome::Reversed) | None => {
            Err(Violation("no command settles a charge with this outcome"))
        }
    }
}

/// # Errors
/// [`Violation`] if the refund is for units that cannot be counted.
fn refunded(refund: &Refund, charge: Option<&Charge>) -> Result<ChargeCommand, Violation> {
    match refund.reason {
        RefundReason::FailedSystem => {
            Ok(ChargeCommand::Fail { by_system: true, detail: refund.detail.clone() })
        }
        RefundReason::TimedOut => Ok(ChargeCommand::TimeOut),
        RefundReason::Requested => {
            let reason = refund.detail.clone().unwrap_or_default();
            Ok(ChargeCommand::Refund { amount: refund.requested, reason })
        }
        RefundReason::PartlyUsed => {
            if let Some(used) = refund.used.as_deref() {
                return Ok(ChargeCommand::Succeed { quantity: Some(used.clone()) });
            }
            let details = charge.map(|charge| &charge.details);
            let priced = details.and_then(|details| Some((details.amount, details.price.unit_price()?)));
            let priced = priced.filter(|(_, unit_price)| *unit_price > Micros::ZERO);
            let (amount, unit_price) = priced.ok_or(Violation("no units were unused that cost anything"))?;
            let kept = amount - refund.amount;
            ensure(kept >= Micros::ZERO, "i05: a charge gives back more than it took")?;
            Ok(ChargeCommand::Succeed { quantity: Some(kept.whole_units(unit_price).into()) })
        }
    }
}

/// # Errors
/// [`Violation`] if no heartbeat moves a deadline there.
fn extended(state: ChargeState, decided_at: Timestamp) -> Result<ChargeCommand, Violation> {
    const NO_HEARTBEAT: Violation = Violation("no heartbeat moves a deadline there");
    let seconds = state.deadline.and_then(|deadline| whole_seconds(decided_at, deadline));
    let extend_seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok()).ok_or(NO_HEARTBEAT)?;
    Ok(ChargeCommand::Heartbeat { extend_seconds })
}

/// The seconds between two times, if there are no milliseconds left.
fn whole_seconds(from: Timestamp, to: Timestamp) -> Option<i64> {
    let millis = to.millis().checked_sub(from.millis())?;
    (millis % 1_000 == 0).then_some(millis / 1_000)
}

fn prices(version: &PriceVersion) -> Command {
    let operations = version.operations.iter().map(|operation| OperationPrice {
        id: operation.id.clone(),
        price: operation.price.clone(),
        timeout_seconds: operation.timeout_seconds,
    });
    Command::SetPrices { operations: operations.collect(), effective_at: Some(version.effective_at) }
}

/// # Errors
/// [`Violation`] if a sign-in follows no link, or a link or session has no whole number of seconds.
fn team(change: &TeamChange, account: &Account) -> Result<TeamCommand, Violation> {
    let command = match change {
        TeamChange::MemberAdded(Member { id, email, name, role, created_at: _ }) => {
            let (email, name) = (text(*email), text(*name));
            TeamCommand::AddMember(Box::new(MemberRequest { id: id.clone(), email, name, role: *role }))
        }
        TeamChange::MemberChanged(Member { id, email, name, role, created_at: _ }) => {
            let (email, name) = (Some(text(*email)), Some(text(*name)));
            let changes = MemberChanges { email, name, role: Some(*role) };
            TeamCommand::ChangeMember(id.clone(), Box::new(changes))
        }
        TeamChange::MemberRemoved(member) => TeamCommand::RemoveMember(member.clone()),
        TeamChange::MemberErased(member) => TeamCommand::EraseMember(member.clone()),
        TeamChange::KeyCreated(key) => TeamCommand::CreateKey(key_request(key)),
        TeamChange::KeyRevoked(key) => TeamCommand::RevokeKey(*key),
        TeamChange::KeyUsed(key) => TeamCommand::RecordKeyUse(*key),
        TeamChange::LinkCreated(link) => TeamCommand::CreateLink(LinkRequest {
            member: link.member.clone(),
            hash: link.hash,
            return_url: link.return_url.clone(),
            valid_for_seconds: valid_for_seconds(link)?,
        }),
        TeamChange::SignedIn(session) => {
            let link = account.team.links.iter().find(|link| link.id == session.id);
            let link = link.ok_or(Violation("it follows a link that does not exist"))?;
            let valid_for_seconds = valid_for_seconds(session)?;
            TeamCommand::SignIn { link: link.hash, session: session.hash, valid_for_seconds }
        }
        TeamChange::SignedOut(session) => TeamCommand::SignOut(*session),
        TeamChange::AllSignedOut(member) => TeamCommand::SignOutAll(member.clone()),
        TeamChange::Recipient(change) => TeamCommand::Recipient(recipient(change, &account.team)?),
    };
    Ok(command)
}

/// # Errors
/// [`Violation`] if the muted topics do not differ in one, or the recipient has no address.
fn recipient(change: &RecipientChange, team: &Team) -> Result<RecipientCommand, Violation> {
    Ok(match change.clone() {
        RecipientChange::MemberAdded(member) => RecipientCommand::Choose(RecipientRequest::Member(member)),
        RecipientChange::AddressAdded { address, .. } => {
            RecipientCommand::Choose(RecipientRequest::Address(text(address)))
        }
        RecipientChange::Removed(subject) => RecipientCommand::Remove(subject),
        RecipientChange::Confirmed(id) => RecipientCommand::Confirm(id),
        RecipientChange::Muted { subject, muted } => {
            let before = team.recipient(&subject).map(|row| row.muted).unwrap_or_default();
            let mut differing =
                MailTopic::ALL.into_iter().filter(|topic| before.contains(*topic) != muted.contains(*topic));
            let topic =
                differing.next().ok_or(Violation("no command leaves the muted topics as they are"))?;
            RecipientCommand::Mute { subject, topic, muted: muted.contains(topic) }
        }
        RecipientChange::Failed { subject, fault } => {
            let address = team.address_of(&subject);
            let address = address.ok_or(Violation("a recipient is at fault that does not exist"))?;
            RecipientCommand::NoteFault { subject, address, fault }
        }
        RecipientChange::MailSent { about, topic, subject } => {
            RecipientCommand::NoteMail { about, topic, subject }
        }
    })
}

/// A text about a person, of which an entry has the digest only.
fn text(digest: Hash) -> PersonalText {
    PersonalText { text: "".into(), salt: [0; 32], digest }
}

/// What was stored of the texts of a member: something, if the entry erased it.
fn texts_of_member(body: &EntryBody) -> TextsOfMember {
    match body {
        EntryBody::Team(change) if matches!(**change, TeamChange::MemberErased(_)) => TextsOfMember::Kept,
        _ => TextsOfMember::Unknown,
    }
}

fn key_request(key: &ApiKey) -> ApiKeyRequest {
    let ApiKey { name, scopes, member, worker, expires_at, hash, .. } = key.clone();
    ApiKeyRequest { name, scopes, member, worker, expires_at, hash }
}

fn valid_for_seconds(session: &PortalSession) -> Result<i64, Violation> {
    let seconds = whole_seconds(session.created_at, session.expires_at);
    seconds.ok_or(Violation("no command gives a link or session such a time"))
}
