//! The journal of a workspace, which is its audit log: who did what when, what moved, and the hash that chains it to
//! the entry before.

use std::borrow::Cow;
use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use tollkeeper_engine::{EntryRecord, Reads};
use tollkeeper_ledger::{
    Actor, ApiKeyId, Balance, ChargeId, Entry, EntryBody, GrantId, Hash, IdempotencyKey, LedgerAccount,
    Limit, MemberId, Scope, TeamChange,
};
use utoipa::ToSchema;

use super::api_keys::ApiKeyJson;
use super::members::MemberJson;
use super::{ListJson, limits};
use crate::http::call::{Call, answer};
use crate::http::problem::Problem;
use crate::http::refusal;
use crate::wire::write::{Text, Time, Usd, metadata};

/// About the size of one entry in JSON.
const ENTRY_BYTES: usize = 768;

/// A line of the journal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entry)]
pub struct EntryJson<'a> {
    /// 1, 2, 3 … in its workspace, without gaps.
    number: u64,
    /// What happened, such as `charge.opened`.
    kind: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    actor: ActorJson<'a>,
    /// The key of the request that caused it; null where the server made one, or none was needed.
    #[schema(required)]
    idempotency_key: Option<&'a str>,
    /// What moved, in micro-units; null where nothing did.
    #[schema(required)]
    amount: Option<i64>,
    #[schema(value_type = Option<String>, required)]
    amount_usd: Option<Usd>,
    /// The account it left: `funding`, `available`, `pending`, `consumed` or `clawed_back`.
    #[schema(required)]
    from: Option<&'static str>,
    /// The account it entered.
    #[schema(required)]
    to: Option<&'static str>,
    /// The charge it is about.
    #[schema(value_type = Option<String>, required)]
    charge: Option<Text<ChargeId>>,
    /// The grant it is about.
    #[schema(value_type = Option<String>, required)]
    grant: Option<Text<GrantId>>,
    /// The operation of the charge, where it is told.
    #[schema(required)]
    operation: Option<&'a str>,
    /// The member it is about, or whose name the charge bears.
    #[schema(required)]
    member: Option<&'a str>,
    /// The API key it is about, or through which the charge came.
    #[schema(value_type = Option<String>, required)]
    api_key: Option<Text<ApiKeyId>>,
    /// Why, for people.
    #[schema(required)]
    reason: Option<&'a str>,
    /// What was set, as the request for it is spelled; null where there is nothing to tell, or it is of members and keys and
    /// the caller may not list those.
    #[schema(value_type = Option<Object>, required)]
    details: Option<Value>,
    balance: BalanceAfterJson,
    /// SHA-256 of this entry, which the next one carries.
    hash: String,
    /// SHA-256 of the entry before; zeros for the first.
    previous_hash: String,
}

/// Who asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorJson<'a> {
    /// `platform`, `system`, `api_key` or `member`.
    kind: &'static str,
    #[schema(required)]
    id: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Actor> for ActorJson<'a> {
    fn from(actor: &'a Actor) -> ActorJson<'a> {
        let (kind, id) = match actor {
            Actor::Platform => ("platform", None),
            Actor::System => ("system", None),
            Actor::ApiKey(id) => ("api_key", Some(id.to_string().into())),
            Actor::Member(member) => ("member", Some(member.as_str().into())),
        };
        ActorJson { kind, id }
    }
}

/// What the workspace had after an entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BalanceAfter)]
pub struct BalanceAfterJson {
    available: i64,
    #[schema(value_type = String)]
    available_usd: Usd,
    pending: i64,
    #[schema(value_type = String)]
    pending_usd: Usd,
    debt: i64,
    #[schema(value_type = String)]
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
    /// A line as whoever may look at the team sees it, or without what it tells of that.
    fn of(EntryRecord { entry, hash }: &'a EntryRecord, shows_team: bool) -> EntryJson<'a> {
        let Entry { n, at, actor, key, balance, previous, body } = entry;
        let legs = body.legs();
        let About { grant, operation, reason, member, api_key } = about(body);
        EntryJson {
            number: *n,
            kind: body.kind().as_str(),
            created_at: Time(*at),
            actor: actor.into(),
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
            details: details(body).filter(|_| shows_team || !matches!(body, EntryBody::Team(_))),
            balance: (*balance).into(),
            hash: hex(hash),
            previous_hash: hex(previous),
        }
    }
}

#[derive(Default)]
struct About<'a> {
    grant: Option<GrantId>,
    operation: Option<&'a str>,
    reason: Option<&'a str>,
    member: Option<&'a MemberId>,
    api_key: Option<ApiKeyId>,
}

/// What an entry names besides its charge.
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
        EntryBody::ClawBackRestored { dispute, .. } => About { reason: Some(dispute), ..nothing },
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
        EntryBody::Team(change) => match &**change {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
                About { member: Some(&member.id), ..nothing }
            }
            TeamChange::MemberRemoved(member) | TeamChange::AllSignedOut(Some(member)) => {
                About { member: Some(member), ..nothing }
            }
            TeamChange::KeyCreated(key) => {
                About { member: key.member.as_ref(), api_key: Some(key.id), ..nothing }
            }
            TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => {
                About { api_key: Some(*key), ..nothing }
            }
            TeamChange::LinkMade(session) | TeamChange::SignedIn(session) => {
                About { member: Some(&session.member), ..nothing }
            }
            TeamChange::SignedOut(_) | TeamChange::AllSignedOut(None) => nothing,
        },
        EntryBody::WorkspaceCreated(_)
        | EntryBody::WorkspaceUpdated(_)
        | EntryBody::DebtRepaid { .. }
        | EntryBody::ChargeExtended { .. }
        | EntryBody::LimitsSet(_)
        | EntryBody::AlertsSet { .. }
        | EntryBody::BalanceLow { .. }
        | EntryBody::PricesSet(_)
        | EntryBody::PlatformKeySet { .. } => nothing,
    }
}

/// What an entry set, where its amount and names do not say it all. Hashes of secrets are not told.
fn details(body: &EntryBody) -> Option<Value> {
    let json = |value: Result<Value, serde_json::Error>| value.expect("these have texts for keys");
    match body {
        EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => Some(json!({
            "name": profile.name, "timezone": profile.timezone, "suspended": profile.suspended,
            "metadata": metadata(profile.metadata.as_deref()),
        })),
        EntryBody::LimitsSet(limits) => {
            let line = |limit: &Limit| {
                let (subject, id) = limits::subject(&limit.subject);
                json!({
                    "subject": subject, "id": id, "period": limit.period.as_str(), "amount": limit.amount.get(),
                })
            };
            Some(json!({ "limits": limits.iter().map(line).collect::<Vec<_>>() }))
        }
        EntryBody::AlertsSet { thresholds, cooldown_seconds } => Some(json!({
            "thresholds": thresholds.iter().map(|line| line.get()).collect::<Vec<_>>(),
            "cooldown_seconds": cooldown_seconds,
        })),
        EntryBody::BalanceLow { threshold } => Some(json!({ "threshold": threshold.get() })),
        EntryBody::Team(change) => match &**change {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
                Some(json(serde_json::to_value(MemberJson::from(member))))
            }
            TeamChange::KeyCreated(key) => Some(json(serde_json::to_value(ApiKeyJson::of(key)))),
            TeamChange::LinkMade(session) | TeamChange::SignedIn(session) => Some(json!({
                "session": session.id.to_string(), "expires_at": Time(session.expires_at).to_string(),
            })),
            TeamChange::SignedOut(session) => Some(json!({ "session": session.to_string() })),
            TeamChange::MemberRemoved(_)
            | TeamChange::KeyRevoked(_)
            | TeamChange::KeyUsed(_)
            | TeamChange::AllSignedOut(_) => None,
        },
        _ => None,
    }
}

fn hex(hash: &Hash) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash {
        write!(text, "{byte:02x}").expect("writing to memory does not fail");
    }
    text
}

/// `GET /v1/workspaces/{workspace}/entries`.
pub async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let listing = call.app.engine().entries(&workspace, call.query.page()?).await;
    let listing = listing.map_err(|error| refusal::failed(&error))?;
    let listing = listing.ok_or_else(|| refusal::workspace_not_found(workspace.as_str()))?;
    // The addresses of members and the scopes of keys are for those who may list them.
    let shows_team = call.caller.key().is_none_or(|key| key.scopes.contains(Scope::Manage));
    let json = ListJson::of(&listing, |record| EntryJson::of(record, shows_team));
    Ok(answer(StatusCode::OK, ENTRY_BYTES * listing.data.len() + 64, &json))
}
