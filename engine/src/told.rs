//! What an entry answers to whoever asked for it: the same words the first time and at every repetition, because they
//! come from entries alone (i07).

use tollkeeper_ledger::{Account, Body, Charge, Entry, Grant, Micros};

use crate::{Answer, GrantRecord, Told};

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
    let told = match (body, about) {
        (Body::WorkspaceCreated(profile) | Body::WorkspaceUpdated(profile), _) => Told::Workspace(profile),
        (Body::Granted { grant, reason, origin, paid_cents }, _) => {
            let record = GrantRecord { grant, reason, origin, paid_cents, created_at: at };
            Told::Grant(Box::new(record), balance)
        }
        (Body::ChargeOpened(opening), _) => {
            let standing = opening.standing();
            Told::Charge(Charge { opening, opened: n, created_at: at, standing }, balance)
        }
        (Body::PricesSet(version), _) => Told::Prices(version),
        (Body::LimitsSet(limits), _) => Told::Limits(limits),
        (Body::Team(change), _) => Told::Team(change),
        (Body::GrantVoided { .. }, About::Grant(record)) => {
            // Whatever has come back to the grant since: when it was voided, nothing remained.
            let grant = Grant { remaining: Micros::ZERO, ..record.grant };
            Told::Grant(Box::new(GrantRecord { grant, ..*record }), balance)
        }
        (body, About::Charge(charge)) => match body.standing() {
            Some(standing) => Told::Charge(Charge { standing, ..*charge }, balance),
            None => Told::Done,
        },
        _ => Told::Done,
    };
    Answer { replayed: false, told }
}

/// The answer when nothing had to change: what stands.
pub(crate) fn unchanged(account: &Account, charge: Option<Charge>) -> Answer {
    let told = match charge {
        Some(charge) => Told::Charge(charge, account.balance),
        None => Told::Workspace(account.profile.clone()),
    };
    Answer { replayed: false, told }
}

/// What a `Granted` entry says.
pub(crate) fn record_of(entry: Entry) -> Option<GrantRecord> {
    match entry.body {
        Body::Granted { grant, reason, origin, paid_cents } => {
            Some(GrantRecord { grant, reason, origin, paid_cents, created_at: entry.at })
        }
        _ => None,
    }
}

/// The charge that an entry opens, as it was born.
pub(crate) fn charge_of(entry: Entry) -> Option<Charge> {
    let Entry { n, at, body: Body::ChargeOpened(opening), .. } = entry else { return None };
    let standing = opening.standing();
    Some(Charge { opening, opened: n, created_at: at, standing })
}
