//! What an entry answers to whoever asked for it: the same words the first time and at every repetition, because they
//! come from entries alone (i07).

use tollkeeper_ledger::{Account, Charge, Entry, EntryBody, Grant, Micros};

use crate::{Answer, GrantRecord, Output};

/// What an entry is about, where it does not hold that itself.
#[derive(Debug)]
pub(crate) enum About {
    Nothing,
    Charge(Box<Charge>),
    Grant(Box<GrantRecord>),
}

/// The answer that an entry stands for.
pub(crate) fn answer(entry: Entry, about: About) -> Answer {
    let Entry { n, at, balance, body, .. } = entry;
    let output = match (body, about) {
        (EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile), _) => {
            Output::Workspace(profile)
        }
        (EntryBody::Granted { grant, reason, origin, paid_cents }, _) => {
            let record = GrantRecord { grant, reason, origin, paid_cents, created_at: at };
            Output::Grant(Box::new(record), balance)
        }
        (EntryBody::ChargeOpened(details), _) => {
            let state = details.state();
            Output::Charge(Charge { details, opening_entry: n, created_at: at, state }, balance)
        }
        (EntryBody::PricesSet(version), _) => Output::Prices(version),
        (EntryBody::LimitsSet(limits), _) => Output::Limits(limits),
        (EntryBody::Team(change), _) => Output::Team(change),
        (EntryBody::GrantVoided { .. }, About::Grant(record)) => {
            // Whatever has come back to the grant since: when it was voided, nothing remained.
            let grant = Grant { remaining: Micros::ZERO, ..record.grant };
            Output::Grant(Box::new(GrantRecord { grant, ..*record }), balance)
        }
        (body, About::Charge(charge)) => match body.state() {
            Some(state) => Output::Charge(Charge { state, ..*charge }, balance),
            None => Output::Done,
        },
        _ => Output::Done,
    };
    Answer { replayed: false, output }
}

/// The answer when nothing had to change: what stands.
pub(crate) fn unchanged(account: &Account, charge: Option<Charge>) -> Answer {
    let output = match charge {
        Some(charge) => Output::Charge(charge, account.balance),
        None => Output::Workspace(account.profile.clone()),
    };
    Answer { replayed: false, output }
}

/// What a `Granted` entry says.
pub(crate) fn record_of(entry: Entry) -> Option<GrantRecord> {
    match entry.body {
        EntryBody::Granted { grant, reason, origin, paid_cents } => {
            Some(GrantRecord { grant, reason, origin, paid_cents, created_at: entry.at })
        }
        _ => None,
    }
}

/// The charge that an entry opens, as it was born.
pub(crate) fn charge_of(entry: Entry) -> Option<Charge> {
    let Entry { n, at, body: EntryBody::ChargeOpened(details), .. } = entry else { return None };
    let state = details.state();
    Some(Charge { details, opening_entry: n, created_at: at, state })
}
