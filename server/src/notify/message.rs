//! What a message says about an entry: small facts, such as ids and amounts.
//!
//! A message has ids, amounts in both units and the balance after the entry. It has no names, no
//! e-mail addresses and no metadata: a receiver that needs them asks the API.

use serde_json::{Map, Value, json};
use tollkeeper_engine::{EntryRecord, FollowedEntry};
use tollkeeper_ledger::{
    Alert, ChargeState, Entry, EntryBody, MessageType, Micros, TeamChange, WebhookEndpointId,
};

use super::envelope::{Message, body, id};
use crate::api::{alert_details, payment_details};
use crate::wire::quantity::{PriceFields, quantities_json};
use crate::wire::write::{Time, Usd};

/// The most bytes of a message.
const BODY_MAX_BYTES: usize = 20 * 1024;

/// The message to an endpoint about an entry; `None` if there is none.
#[must_use]
pub fn about(endpoint: WebhookEndpointId, followed: &FollowedEntry) -> Option<Message> {
    let EntryRecord { entry, hash } = &followed.record;
    let kind = MessageType::of(entry)?.as_str();
    let mut data = facts(entry);
    data.insert("entry".to_owned(), entry.n.into());
    if !followed.place.workspace.is_platform() {
        data.insert("workspace".to_owned(), followed.place.workspace.as_str().into());
        data.insert("balance".to_owned(), balance(entry));
    }
    let mut text = body(kind, entry.at, Value::Object(data));
    if text.len() > BODY_MAX_BYTES {
        let short = json!({ "entry": entry.n, "workspace": followed.place.workspace.as_str() });
        text = body(kind, entry.at, short);
    }
    Some(Message { id: id(hash, endpoint), kind, body: text })
}

fn balance(entry: &Entry) -> Value {
    let balance = entry.balance;
    json!({
        "available": balance.available.get(), "available_usd": Usd(balance.available).to_string(),
        "pending": balance.pending.get(), "pending_usd": Usd(balance.pending).to_string(),
        "debt": balance.debt.get(), "debt_usd": Usd(balance.debt).to_string(),
    })
}

/// An amount in both units.
fn amount(data: &mut Map<String, Value>, name: &str, micros: Micros) {
    data.insert(name.to_owned(), micros.get().into());
    data.insert(format!("{name}_usd"), Usd(micros).to_string().into());
}

/// The state of a charge after the entry.
fn state(data: &mut Map<String, Value>, state: &ChargeState) {
    data.insert("status".to_owned(), state.status.as_str().into());
    data.insert("outcome".to_owned(), state.outcome.map(|outcome| outcome.as_str()).into());
    data.insert("quantity".to_owned(), state.quantity.into());
    amount(data, "refunded_amount", state.refunded);
}

/// What the entry says, in the words of the API.
fn facts(entry: &Entry) -> Map<String, Value> {
    let mut data = Map::new();
    let mut set = |name: &str, value: Value| {
        data.insert(name.to_owned(), value);
    };
    match &entry.body {
        EntryBody::ChargeOpened(_) | EntryBody::ChargeSettled(_) | EntryBody::ChargeRefunded(_) => {
            return charge(&entry.body);
        }
        EntryBody::Granted { grant, paid_cents, .. } => {
            set("grant", grant.id.to_string().into());
            set("source", grant.source.as_str().into());
            set("paid_usd", Usd(Micros::from_cents(*paid_cents)).to_string().into());
            amount(&mut data, "amount", grant.amount);
        }
        EntryBody::GrantVoided { grant, draws, .. } => {
            set("grant", grant.to_string().into());
            amount(&mut data, "amount", draws.iter().map(|draw| draw.amount).sum());
        }
        EntryBody::Alert(alert) => {
            data = object(Some(alert_details::of(alert)));
            if let Alert::Refused(refused) = alert {
                data.insert("operation".to_owned(), refused.operation.as_str().into());
            }
        }
        EntryBody::ClawBackIncreased { lost, owed, .. } => {
            set("grant", lost.grant.to_string().into());
            amount(&mut data, "owed", *owed);
        }
        EntryBody::ClawBackReduced { lost, .. } => set("grant", lost.grant.to_string().into()),
        EntryBody::Payment(change) => return object(payment_details(change)),
        EntryBody::Team(change) => match &**change {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
                set("member", member.id.as_str().into());
                set("role", member.role.as_str().into());
            }
            TeamChange::MemberRemoved(member) | TeamChange::MemberErased(member) => {
                set("member", member.as_str().into());
            }
            TeamChange::KeyCreated(key) => set("api_key", key.id.to_string().into()),
            TeamChange::KeyRevoked(key) => set("api_key", key.to_string().into()),
            _ => {}
        },
        EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => {
            set("suspended", profile.suspended.into());
            set("timezone", (&*profile.timezone).into());
        }
        EntryBody::PricesSet(version) => {
            set("version", version.version.into());
            set("effective_at", Time(version.effective_at).to_string().into());
        }
        EntryBody::WebhookEndpointSet(endpoint) => {
            set("webhook_endpoint", endpoint.id.to_string().into());
            set("reason", endpoint.fault.map(|fault| fault.as_str()).into());
        }
        EntryBody::LedgerRestored { epoch } => set("epoch", (*epoch).into()),
        _ => {}
    }
    data
}

fn charge(body: &EntryBody) -> Map<String, Value> {
    let mut data = Map::new();
    if let Some((charge, _)) = body.charge() {
        data.insert("charge".to_owned(), charge.to_string().into());
    }
    let spender = match body {
        EntryBody::ChargeOpened(details) => {
            amount(&mut data, "amount", details.amount);
            let PriceFields { unit_price, per, .. } = PriceFields::of(&details.price);
            data.insert("unit_price".to_owned(), unit_price.map(Micros::get).into());
            if let Some(per) = per {
                data.insert("per".to_owned(), per.into());
            }
            if let Some(quantities) = details.quantity.meters() {
                data.insert("quantities".to_owned(), quantities_json(quantities));
            }
            data.insert("price_version".to_owned(), details.price_version.into());
            data.insert("reference".to_owned(), details.reference.as_deref().into());
            let deadline = details.deadline.map(|deadline| Time(deadline).to_string());
            data.insert("deadline".to_owned(), deadline.into());
            Some(&details.spender)
        }
        EntryBody::ChargeSettled(settlement) => {
            amount(&mut data, "amount", settlement.amount);
            if let Some(used) = &settlement.used {
                data.insert("quantities".to_owned(), quantities_json(&used.quantities));
            }
            None
        }
        EntryBody::ChargeRefunded(refund) => {
            amount(&mut data, "amount", refund.amount);
            data.insert("reason".to_owned(), refund.reason.as_str().into());
            Some(&refund.spender)
        }
        _ => None,
    };
    if let Some(spender) = spender {
        data.insert("operation".to_owned(), spender.operation.as_str().into());
        data.insert("worker".to_owned(), spender.worker.as_ref().map(|worker| worker.as_str()).into());
        data.insert("member".to_owned(), spender.member.as_ref().map(|member| member.as_str()).into());
        data.insert("api_key".to_owned(), spender.api_key.map(|key| key.to_string()).into());
    }
    if let Some(after) = body.state() {
        state(&mut data, &after);
    }
    data
}

/// The details of an entry, as the journal shows them.
fn object(details: Option<Value>) -> Map<String, Value> {
    match details {
        Some(Value::Object(details)) => details,
        _ => Map::new(),
    }
}
