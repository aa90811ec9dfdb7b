//! The journal of a workspace, which is its audit log: who did what when, what moved, and the hash that chains it to
//! the entry before.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::EntryRecord;
use tollkeeper_ledger::{
    Actor, Balance, Body, ChargeId, Entry, GrantId, Hash, IdempotencyKey, LedgerAccount,
};
use utoipa::ToSchema;

use super::ListJson;
use crate::call::{Call, answer};
use crate::problem::Problem;
use crate::refusal;
use crate::value::{Text, Time, Usd};

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
    /// Why, for people.
    #[schema(required)]
    reason: Option<&'a str>,
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
    id: Option<&'a str>,
}

impl<'a> From<&'a Actor> for ActorJson<'a> {
    fn from(actor: &'a Actor) -> ActorJson<'a> {
        let (kind, id) = match actor {
            Actor::Platform => ("platform", None),
            Actor::System => ("system", None),
            Actor::ApiKey(id) => ("api_key", Some(&**id)),
            Actor::Member(member) => ("member", Some(member.as_str())),
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
    fn of(EntryRecord { entry, hash }: &'a EntryRecord) -> EntryJson<'a> {
        let Entry { n, at, actor, key, balance, previous, body } = entry;
        let legs = body.legs();
        let About { grant, operation, reason } = about(body);
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
            reason,
            balance: (*balance).into(),
            hash: hex(hash),
            previous_hash: hex(previous),
        }
    }
}

struct About<'a> {
    grant: Option<GrantId>,
    operation: Option<&'a str>,
    reason: Option<&'a str>,
}

/// What an entry names besides its charge.
fn about(body: &Body) -> About<'_> {
    let (grant, operation, reason) = match body {
        Body::Granted { grant, reason, .. } => (Some(grant.id), None, reason.as_deref()),
        Body::GrantVoided { grant, reason, .. } => (Some(*grant), None, reason.as_deref()),
        Body::ClawedBack { grant, dispute, .. } => (Some(*grant), None, Some(&**dispute)),
        Body::ClawBackRestored { dispute, .. } => (None, None, Some(&**dispute)),
        Body::ChargeOpened(opening) => (None, Some(opening.operation.as_str()), None),
        Body::ChargeSettled(settlement) => (None, None, settlement.detail.as_deref()),
        Body::ChargeRefunded(refund) => {
            let reason = refund.detail.as_deref().unwrap_or(refund.reason.as_str());
            (None, Some(refund.operation.as_str()), Some(reason))
        }
        Body::WorkspaceCreated(_)
        | Body::WorkspaceUpdated(_)
        | Body::DebtRepaid { .. }
        | Body::ChargeExtended { .. }
        | Body::LimitsSet(_)
        | Body::AlertsSet { .. }
        | Body::BalanceLow { .. }
        | Body::PricesSet(_)
        | Body::PlatformKeySet { .. } => (None, None, None),
    };
    About { grant, operation, reason }
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
    let json = ListJson::of(&listing, EntryJson::of);
    Ok(answer(StatusCode::OK, ENTRY_BYTES * listing.data.len() + 64, &json))
}
