//! The answer that an entry stands for.
//!
//! A replay must answer as the first time (i07). So the answer to a change or a replay is built
//! from entries alone, by one function for both engines. What an entry only names (the charge of an
//! outcome, the grant of a void) is looked up through [`Records`].

use tollkeeper_ledger::{
    Account, Balance, Charge, ChargeId, Command, Entry, EntryBody, Grant, GrantId, MeterQuantities, Micros,
    PaymentChange, PaymentRefund, PeriodWindows, Platform, Settlement, SubscriptionChange, Timestamp, TopUp,
    WebhookEndpointId,
};

use crate::{Answer, Error, GrantRecord, Output, RefundRecord};

/// Look-ups inside one workspace.
pub(crate) trait Records {
    /// A charge in its current state.
    fn find_charge(&mut self, id: ChargeId) -> Result<Option<Charge>, Error>;

    /// A grant as its `Granted` entry describes it.
    fn find_grant(&mut self, id: GrantId) -> Result<Option<GrantRecord>, Error>;
}

/// What a command asks to see, also if it changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    /// A grant that may be voided already.
    Grant(GrantId),
    /// The spending limits.
    Limits,
    /// The prices in force at that time, now if it is absent.
    Prices(Option<Timestamp>),
    /// The plans that were set last.
    Plans,
    /// The settings that decide money.
    Settings,
    /// The webhook endpoint with this id.
    WebhookEndpoint(WebhookEndpointId),
    /// Nothing.
    Nothing,
    /// The charge that the command names, or else the workspace.
    Current,
}

impl Asked {
    pub(crate) fn of(command: &Command) -> Asked {
        match command {
            Command::VoidGrant { grant, .. } => Asked::Grant(*grant),
            Command::SetLimits(_) => Asked::Limits,
            Command::SetPrices { effective_at, .. } => Asked::Prices(*effective_at),
            Command::SetPlans { .. } => Asked::Plans,
            Command::SetSettings(_) => Asked::Settings,
            Command::SetAlerts { .. }
            | Command::CheckAlerts { .. }
            | Command::NoteRefused(_)
            | Command::NoteLimit { .. }
            | Command::SetLost { .. }
            | Command::Payment(_) => Asked::Nothing,
            Command::RemoveWebhookEndpoint(_) | Command::Operator(_) => Asked::Nothing,
            Command::SetWebhookEndpoint(endpoint) => Asked::WebhookEndpoint(endpoint.id),
            _ => Asked::Current,
        }
    }
}

/// The answer to a command that was recorded as `entry`. The balance is that after the whole
/// change, not only after this entry. `charge`: the charge that the command is
/// about, if it was about an existing one.
pub(crate) fn answer(
    entry: Entry,
    charge: Option<Charge>,
    records: &mut impl Records,
) -> Result<Answer, Error> {
    let balance = entry.balance_after_change();
    let repaid = entry.balance.debt - balance.debt;
    let Entry { n, at, decided_at, body, .. } = entry;
    let output = match body {
        EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => {
            Output::Workspace(profile)
        }
        EntryBody::Granted { grant, reason, origin, paid_cents } => {
            let grant = Grant { remaining: grant.amount - repaid, ..grant };
            let record = GrantRecord { grant, reason, origin, paid_cents, created_at: at };
            Output::Grant(Box::new(record), balance)
        }
        EntryBody::ChargeOpened(details) => {
            let state = details.state();
            let charge = Charge { details, opening_entry: n, created_at: at, decided_at, state };
            Output::Charge(charge, balance)
        }
        EntryBody::PricesSet(version) => Output::Prices(version),
        EntryBody::PlansSet(version) => Output::Plans(version),
        EntryBody::SettingsChanged(settings) => Output::Settings(settings),
        EntryBody::WebhookEndpointSet(endpoint) => Output::WebhookEndpoint(endpoint),
        EntryBody::LimitsSet(limits) => Output::Limits(limits),
        EntryBody::Team(change) => Output::Team(change),
        EntryBody::Payment(change) => match *change {
            PaymentChange::TopUpOpened { top_up, cents, way } => {
                Output::TopUp(Box::new(TopUp::opened(top_up, cents, way, decided_at)))
            }
            PaymentChange::Refund(change) => match PaymentRefund::of(&change, decided_at) {
                Some(refund) => Output::PaymentRefund(Box::new(refund), balance),
                None => Output::Done,
            },
            PaymentChange::Subscription(change) => match *change {
                SubscriptionChange::Started { subscription, .. } => Output::Subscription(subscription),
                _ => Output::Done,
            },
            _ => Output::Done,
        },
        EntryBody::GrantVoided { grant, .. } => match records.find_grant(grant)? {
            Some(record) => {
                // Only the first void of a grant is an entry.
                let grant = Grant { remaining: Micros::ZERO, voided_at: Some(decided_at), ..record.grant };
                Output::Grant(Box::new(GrantRecord { grant, ..record }), balance)
            }
            None => Output::Done,
        },
        body => match (body.state(), charge) {
            (Some(state), Some(charge)) => Output::Charge(Charge { state, ..charge }, balance),
            _ => Output::Done,
        },
    };
    Ok(Answer { replayed: false, changed: true, output })
}

/// The first answer again, to a command that was recorded as `entry` earlier.
pub(crate) fn replay_answer(entry: Entry, records: &mut impl Records) -> Result<Answer, Error> {
    // The server sends no key with an outcome, a heartbeat or a time-out. So of the entries about
    // an existing charge only a refund is replayed.
    let charge = match &entry.body {
        EntryBody::ChargeRefunded(refund) => records.find_charge(refund.charge)?,
        _ => None,
    };
    Ok(Answer { replayed: true, changed: false, ..answer(entry, charge, records)? })
}

/// The answer to a command that changed nothing about a grant: the grant as it is, with the
/// balance.
pub(crate) fn unchanged_grant(
    grant: Option<Grant>,
    balance: Balance,
    records: &mut impl Records,
) -> Result<Answer, Error> {
    let record = match &grant {
        Some(grant) => records.find_grant(grant.id)?,
        None => None,
    };
    let shown = |(grant, record)| Output::Grant(Box::new(GrantRecord { grant, ..record }), balance);
    let output = grant.zip(record).map_or(Output::Done, shown);
    Ok(Answer { replayed: false, changed: false, output })
}

/// The answer to a command that changed nothing: the current state, as seen from `account` in the
/// day and month of `windows`.
pub(crate) fn unchanged_answer(
    asked: Asked,
    account: &Account,
    charge: Option<Charge>,
    platform: &Platform,
    (windows, now): (&PeriodWindows, Timestamp),
) -> Answer {
    let output = match (asked, charge) {
        (Asked::Limits, _) => Output::Limits(account.limits.at(windows)),
        (Asked::Prices(effective_at), _) => {
            let present = account.present(now);
            let prices = platform.price_book.in_force(effective_at.map_or(present, |at| at.max(present)));
            prices.cloned().map_or(Output::Done, Output::Prices)
        }
        (Asked::Plans, _) => Output::Plans(platform.plans.newest().clone()),
        (Asked::Settings, _) => Output::Settings(platform.settings),
        (Asked::WebhookEndpoint(id), _) => {
            let endpoint = platform.webhook_endpoint(id);
            endpoint.map_or(Output::Done, |endpoint| Output::WebhookEndpoint(Box::new((**endpoint).clone())))
        }
        (Asked::Nothing | Asked::Grant(_), _) => Output::Done,
        (Asked::Current, Some(charge)) => Output::Charge(charge, account.balance),
        (Asked::Current, None) => Output::Workspace(account.profile.clone()),
    };
    Answer { replayed: false, changed: false, output }
}

/// The grant that a `Granted` entry describes; `None` for other entries.
pub(crate) fn granted_by(entry: Entry) -> Option<GrantRecord> {
    match entry.body {
        EntryBody::Granted { grant, reason, origin, paid_cents } => {
            Some(GrantRecord { grant, reason, origin, paid_cents, created_at: entry.at })
        }
        _ => None,
    }
}

/// What the entries after the one that opened a charge say about it.
pub(crate) struct ChargeHistory {
    /// Its refunds, in the order of the entries.
    pub refunds: Vec<RefundRecord>,
    /// What it used of its meters.
    pub used: Option<MeterQuantities>,
}

impl ChargeHistory {
    /// The history of a charge that was just opened. One that was settled with that used what it
    /// paid for.
    pub(crate) fn of(charge: &Charge) -> ChargeHistory {
        let used = charge.details.quantity.meters().filter(|_| charge.details.deadline.is_none());
        ChargeHistory { refunds: Vec::new(), used: used.cloned() }
    }

    /// Takes a later entry about the charge.
    pub(crate) fn add(&mut self, entry: Entry) {
        match entry.body {
            EntryBody::ChargeRefunded(refund) => {
                self.refunds.push(RefundRecord { at: entry.at, refund: *refund });
            }
            EntryBody::ChargeSettled(Settlement { used: Some(of_meters), .. }) => {
                self.used = Some(of_meters.quantities);
            }
            _ => {}
        }
    }
}

/// The charge that a `ChargeOpened` entry describes, in its first state; `None` for other entries.
pub(crate) fn charge_opened_by(entry: Entry) -> Option<Charge> {
    let Entry { n, at, decided_at, body: EntryBody::ChargeOpened(details), .. } = entry else { return None };
    let state = details.state();
    Some(Charge { details, opening_entry: n, created_at: at, decided_at, state })
}
