//! The journal of a workspace, which is its audit log.
//!
//! An entry says who did what and when, what moved, the balance after it, and the hash that chains
//! it to the entry before (i02).

use std::borrow::Cow;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json as json_value};
use tollkeeper_engine::{EntryRecord, Reads};
use tollkeeper_ledger::{
    Actor, Alert, ApiKeyId, AutoTopUpChange, Balance, CardChange, ChargeId, Entry, EntryBody, GrantId, Hash,
    IdempotencyKey, LedgerAccount, Limit, MemberId, Micros, Paid, PaymentChange, PaymentRefundChange,
    Placement, Provider, ProviderCall, ProviderChange, Scope, SubscriptionChange, TeamChange, WorkspaceId,
    hex,
};
use utoipa::ToSchema;

use super::alert_details;
use super::follow;
use super::payment_method::PaymentMethodJson;
use super::team_details;
use crate::access::Caller;
use crate::access::Rule::Workspace;
use crate::app::App;
use crate::http::call::{Call, PersonalTexts, existing, json, personal_texts};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, followed_list_of};
use crate::wire::page::ListJson;
use crate::wire::subject::SubjectFields;
use crate::wire::write::{Text, Time, Usd, metadata};

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::GET,
    "/v1/workspaces/{workspace}/entries",
    Workspace(&[Scope::Read]),
    "List entries",
    |call| Box::pin(list(call)),
)
.description(
    "Lists the journal of a workspace, newest first. Entries are never changed or deleted. Their numbers have no gaps, \
     and each entry has the hash of the one before.\n\n\
     With `after`, the entries behind that position are listed, oldest first, and `next_cursor` is null. The answer has \
     one more member, `after`: the position up to which entries were looked at, to be sent with the next request. \
     With `wait`, a request without an entry to list waits for the next one; the list is empty if none came. \
     A number alone is one of the current epoch. An epoch begins when the ledger is restored from a copy: \
     a number can then be that of another entry, so keep the whole position.",
)
.parameters(&["limit", "cursor", "after", "kinds", "wait"])
.response(
    200,
    followed_list_of::<EntryJson>,
    r#"{"number": 3, "kind": "charge.opened", "created_at": "2026-11-23T15:04:05.678Z",
        "actor": {"kind": "api_key", "id": "ak_01991234-5678-7abc-bfff-0123456789ab"},
        "idempotency_key": "order-4711", "amount": 20000, "amount_usd": "0.20", "from": "available",
        "to": "pending", "charge": "ch_01991234-5678-7abc-bfff-0123456789ab", "grant": null,
        "operation": "virtual_try_on", "member": "ada",
        "api_key": "ak_01991234-5678-7abc-bfff-0123456789ab", "reason": null, "details": null,
        "balance": {"available": 1230000, "available_usd": "12.30", "pending": 20000, "pending_usd": "0.20",
            "debt": 0, "debt_usd": "0.00"},
        "hash": "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8551",
        "previous_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}"#,
)
.problems(&[Code::PositionLost, Code::TooManyFollowers])];

/// About the size of one entry in JSON.
pub(super) const ENTRY_BYTES: usize = 768;

/// An entry of the journal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entry)]
pub struct EntryJson<'a> {
    /// The number in the workspace: 1, 2, 3 … without gaps.
    number: u64,
    /// What happened, such as `charge.opened`.
    kind: &'static str,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// The time by which it was decided. It is there only if it is earlier than `created_at`: an
    /// earlier entry was made while a clock was ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Time>,
    /// Who did it.
    actor: ActorJson<'a>,
    /// The idempotency key of the request; null if the request needed none or the server made one.
    #[schema(required)]
    idempotency_key: Option<&'a str>,
    /// The amount that moved, in micro-units; null if nothing moved.
    #[schema(required)]
    amount: Option<i64>,
    /// `amount` in dollars, as an exact decimal text.
    #[schema(value_type = Option<String>, required)]
    amount_usd: Option<Usd>,
    /// The account that the amount left: `funding`, `available`, `pending`, `consumed` or
    /// `clawed_back`.
    #[schema(required)]
    from: Option<&'static str>,
    /// The account that the amount entered.
    #[schema(required)]
    to: Option<&'static str>,
    /// The id of the charge that the entry is about.
    #[schema(value_type = Option<String>, required)]
    charge: Option<Text<ChargeId>>,
    /// The id of the grant that the entry is about.
    #[schema(value_type = Option<String>, required)]
    grant: Option<Text<GrantId>>,
    /// The operation of the charge, if the entry records it.
    #[schema(required)]
    operation: Option<&'a str>,
    /// The member that the entry is about, or for whom the charge was made.
    #[schema(required)]
    member: Option<&'a str>,
    /// The API key that the entry is about, or with which the charge was made.
    #[schema(value_type = Option<String>, required)]
    api_key: Option<Text<ApiKeyId>>,
    /// Why it happened, for people.
    #[schema(required)]
    reason: Option<&'a str>,
    /// What was set, with the fields of the request. It is null if there is nothing more to say,
    /// and for members and API keys if the caller's key does not have the scope `manage`.
    #[schema(value_type = Option<Object>, required)]
    details: Option<DetailsJson<'a>>,
    /// The balance after the entry.
    balance: BalanceAfterJson,
    /// The SHA-256 of this entry in hexadecimal; the next entry has it as `previous_hash`.
    hash: String,
    /// The SHA-256 of the entry before; zeros for the first.
    previous_hash: String,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorJson<'a> {
    /// `platform`, `system`, `api_key`, `member`, or `operator` for a person of the platform who
    /// acted in the console.
    kind: &'static str,
    /// The id of the API key, member or operator; null for the platform and the system.
    #[schema(required)]
    id: Option<Cow<'a, str>>,
    /// Why an operator acted, for people; absent for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> From<&'a Actor> for ActorJson<'a> {
    fn from(actor: &'a Actor) -> ActorJson<'a> {
        let (kind, id) = match actor {
            Actor::Platform => ("platform", None),
            Actor::System => ("system", None),
            Actor::ApiKey(id) => ("api_key", Some(id.to_string().into())),
            Actor::Member(member) => ("member", Some(member.as_str().into())),
            Actor::Operator(act) => ("operator", Some(act.operator.as_str().into())),
        };
        let reason = match actor {
            Actor::Operator(act) => Some(&*act.reason),
            _ => None,
        };
        ActorJson { kind, id, reason }
    }
}

/// The balance of the workspace after an entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BalanceAfter)]
pub struct BalanceAfterJson {
    /// The credit that can be spent, in micro-units.
    available: i64,
    /// `available` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.30")]
    available_usd: Usd,
    /// The credit deducted by charges that await an outcome, in micro-units.
    pending: i64,
    /// `pending` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.20")]
    pending_usd: Usd,
    /// The credit owed after a lost payment, in micro-units.
    debt: i64,
    /// `debt` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "0.00")]
    debt_usd: Usd,
}

impl From<Balance> for BalanceAfterJson {
    fn from(Balance { available, pending, debt }: Balance) -> BalanceAfterJson {
        BalanceAfterJson {
            available: available.get(),
            available_usd: Usd(available),
            pending: pending.get(),
            pending_usd: Usd(pending),
            debt: debt.get(),
            debt_usd: Usd(debt),
        }
    }
}

impl<'a> EntryJson<'a> {
    /// An entry. Details about the team and its card are only written if `shows_team`.
    pub(super) fn of(
        EntryRecord { entry, hash }: &'a EntryRecord,
        shows_team: bool,
        texts: &PersonalTexts,
    ) -> EntryJson<'a> {
        let Entry { n, at, decided_at, actor, key, balance, previous, body } = entry;
        let legs = body.legs();
        let About { grant, operation, reason, member, api_key } = about(body);
        EntryJson {
            number: *n,
            kind: body.kind().as_str(),
            created_at: Time(*at),
            decided_at: (decided_at != at).then_some(Time(*decided_at)),
            actor: actor.into(),
            // Keys that the server derives begin with a control character, which clients cannot
            // send.
            idempotency_key: key.as_ref().map(IdempotencyKey::as_str).filter(|key| !key.starts_with('\u{1}')),
            amount: legs.map(|legs| legs.amount.get()),
            amount_usd: legs.map(|legs| Usd(legs.amount)),
            from: legs.map(|legs| LedgerAccount::as_str(legs.from)),
            to: legs.map(|legs| LedgerAccount::as_str(legs.to)),
            charge: body.charge().map(|(charge, _)| Text(charge)),
            grant: grant.map(Text),
            operation,
            member: member.map(MemberId::as_str),
            api_key: api_key.map(Text),
            reason,
            details: details(body, texts).filter(|_| shows_team || !is_for_managers(body)),
            balance: (*balance).into(),
            hash: hex(hash),
            previous_hash: hex(previous),
        }
    }
}

/// What an entry is about, besides its charge.
#[derive(Default)]
struct About<'a> {
    grant: Option<GrantId>,
    operation: Option<&'a str>,
    reason: Option<&'a str>,
    member: Option<&'a MemberId>,
    api_key: Option<ApiKeyId>,
}

/// What an entry is about, besides its charge.
fn about(body: &EntryBody) -> About<'_> {
    let nothing = About::default();
    match body {
        EntryBody::Granted { grant, reason, .. } => {
            About { grant: Some(grant.id), reason: reason.as_deref(), ..nothing }
        }
        EntryBody::GrantVoided { grant, reason, .. } => {
            About { grant: Some(*grant), reason: reason.as_deref(), ..nothing }
        }
        EntryBody::ClawedBack { grant, dispute, .. } => {
            About { grant: Some(*grant), reason: Some(dispute), ..nothing }
        }
        EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
            About { grant: Some(lost.grant), reason: Some(&lost.evidence), ..nothing }
        }
        EntryBody::ClawBackRestored { dispute, .. } | EntryBody::ClawBackExchanged { dispute, .. } => {
            About { reason: Some(dispute), ..nothing }
        }
        EntryBody::ChargeOpened(details) => About {
            operation: Some(details.spender.operation.as_str()),
            member: details.spender.member.as_ref(),
            api_key: details.spender.api_key,
            ..nothing
        },
        EntryBody::ChargeSettled(settlement) => About { reason: settlement.detail.as_deref(), ..nothing },
        EntryBody::ChargeRefunded(refund) => About {
            operation: Some(refund.spender.operation.as_str()),
            reason: Some(refund.detail.as_deref().unwrap_or(refund.reason.as_str())),
            member: refund.spender.member.as_ref(),
            api_key: refund.spender.api_key,
            ..nothing
        },
        EntryBody::Alert(Alert::Refused(refused)) => {
            About { operation: Some(refused.operation.as_str()), ..nothing }
        }
        EntryBody::Payment(change) => about_payment(change),
        EntryBody::Team(change) => about_team(change),
        EntryBody::WorkspaceCreated(_)
        | EntryBody::WorkspaceUpdated(_)
        | EntryBody::DebtRepaid { .. }
        | EntryBody::ReturnTaken { .. }
        | EntryBody::ChargeExtended { .. }
        | EntryBody::LimitsSet(_)
        | EntryBody::AlertsSet { .. }
        | EntryBody::Alert(Alert::Low(_) | Alert::Recovered(_) | Alert::LimitReached(_))
        | EntryBody::PricesSet(_)
        | EntryBody::PlansSet(_)
        | EntryBody::PlatformKeySet { .. }
        | EntryBody::SettingsChanged(_)
        | EntryBody::LedgerRestored { .. }
        | EntryBody::WebhookEndpointSet(_)
        | EntryBody::WebhookEndpointRemoved(_)
        | EntryBody::OperatorSignedIn(_)
        | EntryBody::OperatorSignedOut(_)
        | EntryBody::PaymentUnmatched(_) => nothing,
    }
}

/// What an entry about the team is about.
fn about_team(change: &TeamChange) -> About<'_> {
    let nothing = About::default();
    match change {
        TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
            About { member: Some(&member.id), ..nothing }
        }
        TeamChange::MemberRemoved(member)
        | TeamChange::MemberErased(member)
        | TeamChange::AllSignedOut(Some(member)) => About { member: Some(member), ..nothing },
        TeamChange::KeyCreated(key) => {
            About { member: key.member.as_ref(), api_key: Some(key.id), ..nothing }
        }
        TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => About { api_key: Some(*key), ..nothing },
        TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => {
            About { member: Some(&session.member), ..nothing }
        }
        TeamChange::Recipient(change) => About { member: team_details::member_of(change), ..nothing },
        TeamChange::SignedOut(_) | TeamChange::AllSignedOut(None) => nothing,
    }
}

/// What an entry about payments is about.
fn about_payment(change: &PaymentChange) -> About<'_> {
    let nothing = About::default();
    match change {
        PaymentChange::Refund(change) => About { reason: reason_of(change), ..nothing },
        _ => About { grant: change.grant(), ..nothing },
    }
}

/// Why money went back.
fn reason_of(change: &PaymentRefundChange) -> Option<&str> {
    match change {
        PaymentRefundChange::Lost { evidence: reason, .. }
        | PaymentRefundChange::Requested { reason, .. }
        | PaymentRefundChange::Failed { reason, .. } => Some(reason),
        PaymentRefundChange::Placed { .. } | PaymentRefundChange::Succeeded { .. } => None,
    }
}

/// What an entry about money that goes back set.
fn refund_details(change: &PaymentRefundChange) -> Value {
    let usd = |cents: i64| Usd(Micros::from_cents(cents)).to_string();
    match change {
        PaymentRefundChange::Lost { payment, elsewhere_cents, .. } => {
            json_value!({ "payment": payment, "elsewhere_cents": elsewhere_cents })
        }
        PaymentRefundChange::Requested { refund, top_up, payment, cents, .. } => json_value!({
            "payment_refund": refund.to_string(), "top_up": top_up.to_string(), "payment": payment,
            "amount_usd": usd(*cents),
        }),
        PaymentRefundChange::Placed { refund, reference } => {
            json_value!({ "payment_refund": refund.to_string(), "reference": reference })
        }
        PaymentRefundChange::Succeeded { refund } | PaymentRefundChange::Failed { refund, .. } => {
            json_value!({ "payment_refund": refund.to_string() })
        }
    }
}

/// What an entry set.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum DetailsJson<'a> {
    /// The profile of a workspace. Its metadata is written as it is stored, to the digit.
    Profile {
        metadata: Option<&'a RawValue>,
        name: &'a str,
        suspended: bool,
        timezone: &'a str,
    },
    Other(Value),
}

/// What an entry set, if its amount and ids do not say it all. Hashes of secrets are left out.
fn details<'a>(body: &'a EntryBody, texts: &PersonalTexts) -> Option<DetailsJson<'a>> {
    if let EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) = body {
        return Some(DetailsJson::Profile {
            metadata: metadata(profile.metadata.as_deref()),
            name: &profile.name,
            suspended: profile.suspended,
            timezone: &profile.timezone,
        });
    }
    other_details(body, texts).map(DetailsJson::Other)
}

/// What an entry set that is not about the profile.
fn other_details(body: &EntryBody, texts: &PersonalTexts) -> Option<Value> {
    match body {
        EntryBody::LimitsSet(limits) => {
            let line = |limit: &Limit| {
                let SubjectFields { kind, id } = SubjectFields::from(&limit.subject);
                json_value!({
                    "subject": kind, "id": id, "period": limit.period.as_str(), "amount": limit.amount.get(),
                })
            };
            Some(json_value!({ "limits": limits.iter().map(line).collect::<Vec<_>>() }))
        }
        EntryBody::AlertsSet { thresholds, cooldown_seconds } => {
            Some(alert_details::thresholds(thresholds, *cooldown_seconds))
        }
        EntryBody::Alert(alert) => Some(alert_details::of(alert)),
        EntryBody::ClawBackIncreased { lost, owed: debt, .. }
        | EntryBody::ClawBackReduced { lost, forgiven: debt, .. } => Some(json_value!({
            "lost_cents": lost.lost_cents,
            "paid_cents": lost.paid_cents,
            "lost_amount": lost.credit.get(),
            "debt": debt.get(),
        })),
        EntryBody::Payment(change) => payment_details(change),
        EntryBody::Team(change) => team_details::of(change, texts),
        _ => None,
    }
}

/// True if the details are for those who manage the workspace: persons, keys, and the card.
fn is_for_managers(body: &EntryBody) -> bool {
    match body {
        EntryBody::Team(_) => true,
        EntryBody::Payment(change) => matches!(**change, PaymentChange::Card(_)),
        _ => false,
    }
}

/// The details of an entry about the subscription.
fn subscription(change: &SubscriptionChange) -> Option<serde_json::Value> {
    let usd = |cents: i64| Usd(Micros::from_cents(cents)).to_string();
    Some(match change {
        SubscriptionChange::Started { subscription, plan, collected_by } => json_value!({
            "subscription": subscription.to_string(), "plan": plan.id.as_str(),
            "collected_by": collected_by.map(Provider::as_str),
        }),
        SubscriptionChange::ChangeAsked { number, plan, at_once } => json_value!({
            "change": number, "plan": plan.id.as_str(),
            "due_usd": at_once.map(|at_once| usd(at_once.due_cents)),
            "credits": at_once.map(|at_once| at_once.credits.get()),
        }),
        SubscriptionChange::Changed { number, paid, cents, .. } => taxed(
            paid,
            json_value!({
                "change": number, "payment": paid.payment, "paid_usd": usd(paid.cents), "amount_usd": usd(*cents),
            }),
        ),
        SubscriptionChange::ChangeDropped { number } => json_value!({ "change": number }),
        SubscriptionChange::Renewed { month, paid, cents, .. } => json_value!({
            "month": month, "payment": paid.as_ref().map(|paid| &paid.payment),
            "paid_usd": paid.as_ref().map(|paid| usd(paid.cents)), "amount_usd": usd(*cents),
        }),
        SubscriptionChange::CancelAsked { cancels_at } => {
            json_value!({ "cancels_at": Time(*cancels_at).to_string() })
        }
        SubscriptionChange::Placed(placement) => {
            let Placement { page, generation, renewed_at: _, reference, terms, change, ends, mark: _ } =
                placement;
            json_value!({
                "page": page, "generation": generation, "reference": reference,
                "plan": terms.as_ref().map(|terms| terms.plan.as_str()), "change": change, "ends": ends.as_str(),
            })
        }
        SubscriptionChange::PeriodPaid { month, start, plan, paid, cents, .. } => taxed(
            paid,
            json_value!({
                "month": month, "start": Time(*start).to_string(), "plan": plan.id.as_str(),
                "payment": paid.payment, "paid_usd": usd(paid.cents), "amount_usd": usd(*cents),
            }),
        ),
        SubscriptionChange::PastDue | SubscriptionChange::Resumed | SubscriptionChange::Ended => return None,
    })
}

/// The details with the tax on a payment, if there was any.
fn taxed(paid: &Paid, mut details: Value) -> Value {
    if paid.tax_cents != 0 {
        details["tax_usd"] = Usd(Micros::from_cents(paid.tax_cents)).to_string().into();
    }
    details
}

/// The texts that an entry names: whose they are, and their digests.
fn texts_in(body: &EntryBody) -> Vec<(MemberId, Hash)> {
    let EntryBody::Team(change) = body else { return Vec::new() };
    let Some((owner, digests)) = change.texts() else { return Vec::new() };
    let owner = owner.into_owned();
    digests.into_iter().map(|digest| (owner.clone(), digest)).collect()
}

/// Whether e-mail addresses, scopes and cards are shown: only to callers who may list them.
pub(super) fn shows_team(caller: &Caller) -> bool {
    caller.api_key().is_none_or(|key| key.scopes.contains(Scope::Manage))
}

/// The texts about persons in entries, if they are shown.
pub(super) async fn texts(
    app: &App,
    workspace: &WorkspaceId,
    records: &[EntryRecord],
    shows_team: bool,
) -> Result<PersonalTexts, Problem> {
    let records = records.iter().filter(|_| shows_team);
    personal_texts(app, workspace, records.flat_map(|record| texts_in(&record.entry.body)).collect()).await
}

/// `GET /v1/workspaces/{workspace}/entries`.
async fn list(call: Call) -> Result<Response, Problem> {
    if let Some(after) = call.query().get("after") {
        return follow::list(&call, after).await;
    }
    for name in ["kinds", "wait"] {
        if call.query().get(name).is_some() {
            return Err(Problem::parameter(name, "is taken with `after` only"));
        }
    }
    let workspace = call.workspace()?;
    let listing = call.app.engine().entries(&workspace, call.query().page()?).await?;
    let listing = existing(&workspace, listing)?;
    let shows_team = shows_team(&call.caller);
    let texts = texts(&call.app, &workspace, &listing.data, shows_team).await?;
    let rows = ListJson::of(&listing, |record| EntryJson::of(record, shows_team, &texts));
    Ok(json(StatusCode::OK, ENTRY_BYTES * listing.data.len() + 64, &rows))
}

/// The details of an entry about payments. The provider's id of a card is not shown.
pub(crate) fn payment_details(change: &PaymentChange) -> Option<Value> {
    Some(match change {
        PaymentChange::TopUpOpened { top_up, cents, way } => json_value!({
            "top_up": top_up.to_string(), "amount_usd": Usd(Micros::from_cents(*cents)).to_string(), "way": way.as_str(),
        }),
        PaymentChange::TopUpSucceeded { top_up, payment, tax_cents: 0, .. } => json_value!({
            "top_up": top_up.to_string(), "payment": payment,
        }),
        PaymentChange::TopUpSucceeded { top_up, payment, tax_cents, .. } => json_value!({
            "top_up": top_up.to_string(), "payment": payment,
            "tax_usd": Usd(Micros::from_cents(*tax_cents)).to_string(),
        }),
        PaymentChange::Provider(ProviderChange::TopUpPlaced { top_up, reference }) => json_value!({
            "top_up": top_up.to_string(), "reference": reference,
        }),
        PaymentChange::Provider(ProviderChange::CallRenewed { call, generation }) => match call {
            ProviderCall::TopUp(top_up) => {
                json_value!({ "top_up": top_up.to_string(), "generation": generation })
            }
            ProviderCall::PaymentRefund(refund) => {
                json_value!({ "payment_refund": refund.to_string(), "generation": generation })
            }
        },
        PaymentChange::TopUpExpired(top_up) => json_value!({ "top_up": top_up.to_string() }),
        PaymentChange::TopUpFailed { top_up, failure } => json_value!({
            "top_up": top_up.to_string(), "failure": failure.as_str(),
        }),
        PaymentChange::Card(CardChange::Linked(customer)) => json_value!({
            "provider": customer.provider.as_str(), "customer": customer.id,
        }),
        PaymentChange::Card(CardChange::Saved(card)) => {
            let shown = serde_json::to_value(PaymentMethodJson::of(card));
            shown.expect("a struct has string keys")
        }
        PaymentChange::Card(CardChange::Removed(_)) => return None,
        PaymentChange::Subscription(change) => return subscription(change),
        PaymentChange::AutoTopUp(AutoTopUpChange::Set { threshold, cents, monthly_cap_cents }) => {
            json_value!({
                "threshold": threshold.get(),
                "amount_usd": Usd(Micros::from_cents(*cents)).to_string(),
                "monthly_cap_usd": Usd(Micros::from_cents(*monthly_cap_cents)).to_string(),
            })
        }
        PaymentChange::AutoTopUp(AutoTopUpChange::Paused { until }) => json_value!({
            "paused_until": Time(*until).to_string(),
        }),
        PaymentChange::AutoTopUp(AutoTopUpChange::Stopped { why }) => json_value!({
            "stopped_reason": why.as_str(),
        }),
        PaymentChange::Refund(change) => refund_details(change),
    })
}
