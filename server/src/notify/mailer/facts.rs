//! What an entry of the journal is mailed about, and to whom: facts as plain data.
//!
//! Most entries are a mail by themselves. Thresholds that one change crosses are entries one behind
//! the other; the first of them is the mail, and names the others. An entry that is read again
//! makes the same mail.

use sha2::{Digest, Sha256};
use tollkeeper_engine::{Engine, EntryRecord, Error, Follow, FollowedEntry, Reads};
use tollkeeper_ledger::{
    Alert, AlertLine, AutoTopUpChange, Crossing, Entry, EntryBody, Hash, MailTopic, Micros, PaymentChange,
    PaymentRefundChange, Payments, ReachedLimit, RecipientChange, RecipientSubject, RefusedCharge,
    SubscriptionChange, TeamChange, Timestamp, TopUp, TopUpWay, WebhookEndpoint, WorkspaceId, bounds, hex,
};

use crate::notify::mail::about::{About, Line};

/// How many hexadecimal digits of a digest the name of a thread has.
const THREAD_DIGITS: usize = 32;

/// What is mailed.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub about: About,
    pub audience: Audience,
    /// The name of the thread that the mail belongs to.
    pub thread: Option<String>,
}

/// Who gets a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Those of a workspace who get mails of a topic.
    Topic(WorkspaceId, MailTopic),
    /// The owner of a typed address, to confirm it.
    Owner(WorkspaceId, RecipientSubject),
    /// The addresses of the platform.
    Platform,
}

/// What an entry is mailed about; `None` if it is no mail.
///
/// # Errors
/// The engine cannot read what the mail says.
pub(super) async fn of(engine: &dyn Engine, followed: &FollowedEntry) -> Result<Option<Event>, Error> {
    let workspace = &followed.place.workspace;
    let entry = &followed.record.entry;
    let to =
        |topic, about| Event { about, audience: Audience::Topic(workspace.clone(), topic), thread: None };
    Ok(match &entry.body {
        EntryBody::Alert(alert) => match alert {
            Alert::Low(_) | Alert::Recovered(_) => return crossings(engine, workspace, entry).await,
            Alert::Refused(refused) => Some(to(MailTopic::Refused, of_refused(refused))),
            Alert::LimitReached(reached) => Some(to(MailTopic::Limit, of_limit(reached))),
        },
        EntryBody::ClawBackIncreased { owed, .. } if *owed > Micros::ZERO => {
            Some(to(MailTopic::Debt, About::Debt { owed: entry.balance.debt }))
        }
        EntryBody::Payment(change) => match &**change {
            PaymentChange::Subscription(change) => {
                return Ok(subscription(engine, workspace, entry, change)
                    .await?
                    .map(|about| to(MailTopic::Subscription, about)));
            }
            change => payment(engine, workspace, entry, change).await?.map(|(topic, about)| to(topic, about)),
        },
        EntryBody::Team(change) => match &**change {
            TeamChange::Recipient(change) => recipient(engine, workspace, change).await?,
            _ => None,
        },
        EntryBody::WebhookEndpointSet(endpoint) => endpoint.fault.map(|fault| Event {
            about: About::EndpointDisabled { url: endpoint.url.to_string(), fault },
            audience: of_endpoint(endpoint),
            thread: None,
        }),
        _ => None,
    })
}

/// Who gets mails about a webhook endpoint.
pub(super) fn of_endpoint(endpoint: &WebhookEndpoint) -> Audience {
    match &endpoint.workspace {
        Some(workspace) => Audience::Topic(workspace.clone(), MailTopic::Endpoint),
        None => Audience::Platform,
    }
}

/// A mail about thresholds that one change crossed. It is the mail of the first entry; the others
/// are none.
async fn crossings(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    entry: &Entry,
) -> Result<Option<Event>, Error> {
    let around = around(engine, workspace, entry).await?;
    let is_alike = |other: &Entry| other.body.kind() == entry.body.kind() && other.at == entry.at;
    if around.iter().any(|record| record.entry.n + 1 == entry.n && is_alike(&record.entry)) {
        return Ok(None);
    }
    let mut crossed: Vec<Crossing> = Vec::new();
    for (n, record) in (entry.n..).zip(around.iter().skip_while(|record| record.entry.n < entry.n)) {
        match &record.entry.body {
            EntryBody::Alert(Alert::Low(crossing) | Alert::Recovered(crossing))
                if record.entry.n == n && is_alike(&record.entry) =>
            {
                crossed.push(*crossing);
            }
            _ => break,
        }
    }
    let Some(first) = crossed.first() else { return Ok(None) };
    let lines: Vec<Line> = crossed.iter().map(line).collect();
    let available = entry.balance.available;
    let (topic, about, fired_at) = if matches!(entry.body, EntryBody::Alert(Alert::Low(_))) {
        (MailTopic::Low, About::Low { lines, available }, Some(entry.decided_at))
    } else {
        let fired_at = fired_at(engine, workspace, first.line()).await?;
        (MailTopic::Recovered, About::Recovered { lines, available }, fired_at)
    };
    let thread = fired_at.map(|fired_at| thread(workspace, first.line(), fired_at));
    Ok(Some(Event { about, audience: Audience::Topic(workspace.clone(), topic), thread }))
}

fn line(crossing: &Crossing) -> Line {
    Line { watched: crossing.line(), amount: crossing.amount }
}

/// When the last alert of a threshold fired; `None` if it is not there any more.
async fn fired_at(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    line: AlertLine,
) -> Result<Option<Timestamp>, Error> {
    let alerts = engine.alerts(workspace).await?.unwrap_or_default();
    Ok(alerts.thresholds.iter().find(|known| known.line == line).map(|known| known.fired_at))
}

/// The name of the thread of an episode, from the alert of a threshold to its recovery.
fn thread(workspace: &WorkspaceId, line: AlertLine, fired_at: Timestamp) -> String {
    let watched = match line {
        AlertLine::Amount(amount) => amount.get().to_string(),
        AlertLine::RunwayDays(days) => format!("{days} days"),
    };
    let digest: Hash = Sha256::digest(format!("{workspace}\n{watched}\n{}", fired_at.millis())).into();
    format!("episode.{}", &hex(&digest)[..THREAD_DIGITS])
}

/// The entry before this one, itself and some behind it, as far as they are there.
async fn around(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    entry: &Entry,
) -> Result<Vec<EntryRecord>, Error> {
    let limit = bounds::THRESHOLDS_MAX + 2;
    let follow = Follow { after: entry.n.saturating_sub(2), kinds: None, limit };
    Ok(engine.entries_after(workspace, follow).await?.map(|found| found.data).unwrap_or_default())
}

fn of_refused(refused: &RefusedCharge) -> About {
    let RefusedCharge { operation, required, available, refusals } = refused;
    About::Refused {
        operation: operation.as_str().to_owned(),
        required: *required,
        available: *available,
        refusals: *refusals,
    }
}

fn of_limit(reached: &ReachedLimit) -> About {
    let ReachedLimit { subject, period, amount, resets_at } = reached;
    About::Limit { subject: subject.clone(), period: *period, amount: *amount, resets_at: *resets_at }
}

/// A mail about a payment, with its topic.
async fn payment(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    entry: &Entry,
    change: &PaymentChange,
) -> Result<Option<(MailTopic, About)>, Error> {
    Ok(match change {
        PaymentChange::TopUpSucceeded { top_up, .. } => {
            let payments = payments(engine, workspace).await?;
            payments.top_up(*top_up).map(|top_up| {
                let is_automatic = top_up.way == TopUpWay::Automatic;
                let TopUp { cents, .. } = *top_up;
                (MailTopic::TopUp, About::TopUpSucceeded { cents, credits: top_up.credits(), is_automatic })
            })
        }
        PaymentChange::TopUpFailed { top_up, failure } => {
            let payments = payments(engine, workspace).await?;
            let manual = payments.top_up(*top_up).filter(|top_up| top_up.way != TopUpWay::Automatic);
            // Of an automatic one the entry behind it says what follows, and is a mail of its own.
            manual.map(|top_up| {
                let about =
                    About::TopUpFailed { cents: top_up.cents, failure: *failure, is_automatic: false };
                (MailTopic::TopUp, about)
            })
        }
        PaymentChange::AutoTopUp(AutoTopUpChange::Paused { until }) => {
            Some((MailTopic::AutoTopUp, About::AutoTopUpPaused { until: *until }))
        }
        PaymentChange::AutoTopUp(AutoTopUpChange::Stopped { why }) => {
            Some((MailTopic::AutoTopUp, About::AutoTopUpStopped { why: *why }))
        }
        PaymentChange::Refund(PaymentRefundChange::Succeeded { refund }) => {
            let payments = payments(engine, workspace).await?;
            let refund = payments.back.refunds.iter().find(|known| known.id == *refund);
            refund.map(|refund| (MailTopic::TopUp, About::TopUpRefunded { cents: refund.cents }))
        }
        PaymentChange::Refund(PaymentRefundChange::Lost { elsewhere_cents, disputed_cents, .. }) => {
            // If less is lost than before, no credit is taken by an entry behind it.
            let takes = |record: &EntryRecord| {
                let is_next = record.entry.n == entry.n + 1 && record.entry.at == entry.at;
                is_next && matches!(record.entry.body, EntryBody::ClawBackIncreased { .. })
            };
            let takes_credit = around(engine, workspace, entry).await?.iter().any(takes);
            let about = About::Dispute { cents: *elsewhere_cents, is_disputed: *disputed_cents > 0 };
            takes_credit.then_some((MailTopic::Debt, about))
        }
        _ => None,
    })
}

async fn payments(engine: &dyn Engine, workspace: &WorkspaceId) -> Result<std::sync::Arc<Payments>, Error> {
    Ok(engine.payments(workspace).await?.unwrap_or_default())
}

/// A mail about the subscription.
async fn subscription(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    entry: &Entry,
    change: &SubscriptionChange,
) -> Result<Option<About>, Error> {
    if let SubscriptionChange::PeriodPaid { plan, .. } = change {
        return Ok(Some(About::SubscriptionRenewed { plan: plan.name.to_string(), credits: plan.credits }));
    }
    let payments = payments(engine, workspace).await?;
    let Some(known) = payments.subscription.as_deref() else { return Ok(None) };
    let plan = known.plan.name.to_string();
    Ok(match change {
        SubscriptionChange::Renewed { grant: Some(_), .. } => {
            // The entry before it grants the credit.
            let around = around(engine, workspace, entry).await?;
            let granted = around.iter().find_map(|record| match &record.entry.body {
                EntryBody::Granted { grant, .. } if record.entry.n + 1 == entry.n => Some(grant.amount),
                _ => None,
            });
            Some(About::SubscriptionRenewed { plan, credits: granted.unwrap_or(known.plan.credits) })
        }
        SubscriptionChange::PastDue => Some(About::SubscriptionPastDue { plan }),
        SubscriptionChange::Ended => Some(About::SubscriptionEnded { plan }),
        _ => None,
    })
}

/// A mail about a recipient: a new address is asked to agree, and of one that takes no mails the
/// others are informed.
async fn recipient(
    engine: &dyn Engine,
    workspace: &WorkspaceId,
    change: &RecipientChange,
) -> Result<Option<Event>, Error> {
    Ok(match change {
        RecipientChange::AddressAdded { id, .. } => {
            let owner = RecipientSubject::Address(*id);
            let about = About::ConfirmAddress { confirm_url: String::new() };
            Some(Event { about, audience: Audience::Owner(workspace.clone(), owner), thread: None })
        }
        RecipientChange::Failed { subject, fault } => {
            let team = engine.team(workspace).await?.unwrap_or_default();
            let Some(digest) = team.address_of(subject) else { return Ok(None) };
            let texts = engine.personal_texts(workspace, vec![(subject.owner(), digest)]).await?;
            texts.into_iter().flatten().next().map(|address| Event {
                about: About::AddressRefused { address: address.into(), how: *fault },
                audience: Audience::Topic(workspace.clone(), MailTopic::Recipient),
                thread: None,
            })
        }
        _ => None,
    })
}
