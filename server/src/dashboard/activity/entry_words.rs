//! An entry of the journal in words: what happened, what it is about, who did it, what moved.
//!
//! E-mail addresses are shown to admins only.

use std::collections::{HashMap, HashSet};

use tollkeeper_engine::EntryRecord;
use tollkeeper_ledger::{
    Actor, Alert, Crossing, Entry, EntryBody, LedgerAccount, MailTopic, MemberId, Micros, PaymentChange,
    RecipientChange, RecipientSubject, Role, Spender, Subject, SubscriptionChange, Team, TeamChange,
};

use crate::dashboard::frame::Visit;
use crate::dashboard::names::Names;
use crate::http::call::{Call, personal_texts};
use crate::http::problem::Problem;

/// A minus as wide as a digit.
const MINUS: char = '\u{2212}';

/// Between the parts of what an entry is about.
const BETWEEN: &str = " · ";

/// What is needed to write entries.
pub struct EntryWords<'v> {
    visit: &'v Visit<'v>,
    pub names: Names,
    /// The addresses of typed recipients; empty for members.
    addresses: HashMap<RecipientSubject, Box<str>>,
}

impl<'v> EntryWords<'v> {
    /// Reads the names that entries need, and those of the first `offered` members.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn read(
        call: &Call,
        visit: &'v Visit<'v>,
        team: &Team,
        records: &[EntryRecord],
        offered: usize,
    ) -> Result<EntryWords<'v>, Problem> {
        let mut wanted: HashSet<MemberId> =
            team.members.iter().take(offered).map(|member| member.id.clone()).collect();
        wanted.extend(records.iter().flat_map(|record| members_in(&record.entry)));
        let workspace = visit.workspace();
        let names = Names::read(call, workspace, team, |member| wanted.contains(member)).await?;
        let mut addresses = HashMap::new();
        if visit.is_admin() {
            let typed: Vec<_> =
                team.recipients.iter().filter_map(|row| Some((&row.subject, row.address?))).collect();
            let digests = typed.iter().map(|(subject, address)| (subject.owner(), *address)).collect();
            let texts = personal_texts(&call.app, workspace, digests).await?;
            let named = typed
                .into_iter()
                .filter_map(|(subject, address)| Some((subject.clone(), texts.get(&address)?.clone())));
            addresses.extend(named);
        }
        Ok(EntryWords { visit, names, addresses })
    }

    /// What happened.
    pub fn what(&self, entry: &Entry) -> &'static str {
        (self.visit.words().activity.kind)(entry.body.kind())
    }

    /// Who did it.
    pub fn who(&self, actor: &Actor) -> String {
        let words = &self.visit.words().activity;
        match actor {
            Actor::Platform => words.platform.to_owned(),
            Actor::System => words.system.to_owned(),
            Actor::ApiKey(key) => (words.key)(&self.names.key(*key)),
            Actor::Member(member) => self.names.member(member).to_owned(),
            Actor::Operator(act) => (words.operator)(act.operator.as_str()),
        }
    }

    /// What it is about, and why an operator did it.
    pub fn details_and_reason(&self, entry: &Entry) -> String {
        let details = self.details(entry);
        match &entry.actor {
            Actor::Operator(act) if !details.contains(&*act.reason) => {
                joined([Some(details), Some(act.reason.to_string())])
            }
            _ => details,
        }
    }

    /// What moved, with a sign if it changed the credit that can be spent; empty for nothing.
    pub fn amount(&self, entry: &Entry) -> String {
        let Some(legs) = entry.body.legs().filter(|legs| legs.amount > Micros::ZERO) else {
            return String::new();
        };
        let usd = self.visit.format.usd(legs.amount);
        match (legs.from, legs.to) {
            (LedgerAccount::Available, _) => format!("{MINUS}{usd}"),
            (_, LedgerAccount::Available) => format!("+{usd}"),
            _ => usd,
        }
    }

    /// What it is about; empty if that says nothing more.
    pub fn details(&self, entry: &Entry) -> String {
        let words = &self.visit.words().activity;
        match &entry.body {
            EntryBody::ChargeOpened(details) => {
                let units = details.quantity.total();
                let quantity = (units != 1).then(|| format!("×\u{a0}{}", self.visit.format.number(units)));
                let reference = details.reference.as_deref().map(str::to_owned);
                self.of_spender(&details.spender, [quantity, reference])
            }
            EntryBody::ChargeSettled(settlement) => joined([settlement.detail.as_deref().map(str::to_owned)]),
            EntryBody::ChargeRefunded(refund) => {
                let why = refund.detail.as_deref().unwrap_or((words.refund)(refund.reason));
                self.of_spender(&refund.spender, [None, Some(why.to_owned())])
            }
            EntryBody::LimitsSet(limits) => (words.limits_set)(limits.len()),
            EntryBody::AlertsSet { thresholds, .. } => (words.thresholds_set)(thresholds.len()),
            EntryBody::Alert(alert) => self.of_alert(alert),
            EntryBody::Team(change) => self.of_team(change),
            EntryBody::Payment(change) => self.of_payment(change),
            EntryBody::Granted { reason, .. } | EntryBody::GrantVoided { reason, .. } => {
                joined([reason.as_deref().map(str::to_owned)])
            }
            EntryBody::ClawBackIncreased { lost, .. } | EntryBody::ClawBackReduced { lost, .. } => {
                lost.evidence.to_string()
            }
            EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => {
                profile.name.to_string()
            }
            _ => String::new(),
        }
    }

    /// Operation, quantity, member, worker, and what follows.
    fn of_spender(&self, spender: &Spender, [quantity, last]: [Option<String>; 2]) -> String {
        let words = &self.visit.words().activity;
        let Spender { operation, worker, member, api_key: _ } = spender;
        let operation = match quantity {
            Some(quantity) => format!("{operation} {quantity}"),
            None => operation.to_string(),
        };
        joined([
            Some(operation),
            member.as_ref().map(|member| (words.member)(self.names.member(member))),
            worker.as_ref().map(|worker| (words.worker)(worker.as_str())),
            last,
        ])
    }

    fn of_alert(&self, alert: &Alert) -> String {
        let (words, format) = (&self.visit.words().activity, &self.visit.format);
        match alert {
            Alert::Low(Crossing { amount, runway_days })
            | Alert::Recovered(Crossing { amount, runway_days }) => match runway_days {
                Some(days) => (words.days)(&days.to_string()),
                None => (words.below)(&format.usd(*amount)),
            },
            Alert::Refused(refused) => {
                let missing = (words.missing)(&format.usd(refused.shortfall()));
                joined([Some(refused.operation.to_string()), Some(missing)])
            }
            Alert::LimitReached(reached) => {
                joined([Some(self.subject(&reached.subject)), Some(format.usd(reached.amount))])
            }
        }
    }

    /// The subject of a limit.
    fn subject(&self, subject: &Subject) -> String {
        let words = &self.visit.words().limits;
        match subject {
            Subject::Workspace => words.whole_workspace.to_owned(),
            Subject::Member(member) => (words.member)(self.names.member(member)),
            Subject::Worker(worker) => (words.worker)(worker.as_str()),
            Subject::Operation(operation) => (words.operation)(operation.as_str()),
            Subject::ApiKey(key) => (words.api_key)(&self.names.key(*key)),
        }
    }

    fn of_team(&self, change: &TeamChange) -> String {
        let words = &self.visit.words().team;
        match change {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
                let role = if member.role == Role::Admin { words.admin } else { words.member };
                joined([Some(self.names.member(&member.id).to_owned()), Some(role.to_owned())])
            }
            TeamChange::MemberRemoved(member)
            | TeamChange::MemberErased(member)
            | TeamChange::AllSignedOut(Some(member)) => self.names.member(member).to_owned(),
            TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => {
                self.names.member(&session.member).to_owned()
            }
            TeamChange::KeyCreated(key) => key.name.to_string(),
            TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => self.names.key(*key),
            TeamChange::SignedOut(_) | TeamChange::AllSignedOut(None) => String::new(),
            TeamChange::Recipient(change) => {
                let topic = match change {
                    RecipientChange::MailSent { topic, .. } => *topic,
                    _ => None,
                };
                joined([
                    topic.map(|topic| self.topic(topic).to_owned()),
                    Some(self.recipient(&change.subject())),
                ])
            }
        }
    }

    /// The topic of a mail.
    pub fn topic(&self, topic: MailTopic) -> &'static str {
        (self.visit.words().alerts.topic)(topic)
    }

    /// A recipient: the name of a member, or a typed address if the reader may see it.
    pub fn recipient(&self, subject: &RecipientSubject) -> String {
        match subject {
            RecipientSubject::Member(member) => self.names.member(member).to_owned(),
            RecipientSubject::Address(_) if self.visit.is_admin() => {
                let erased = self.visit.words().alerts.erased_address;
                self.addresses.get(subject).map_or(erased, |address| &**address).to_owned()
            }
            RecipientSubject::Address(_) => String::new(),
        }
    }

    fn of_payment(&self, change: &PaymentChange) -> String {
        let format = &self.visit.format;
        match change {
            PaymentChange::TopUpOpened { cents, .. } => format.cents(*cents),
            PaymentChange::Subscription(change) => match &**change {
                SubscriptionChange::Started { plan, .. } | SubscriptionChange::ChangeAsked { plan, .. } => {
                    plan.id.as_str().to_owned()
                }
                _ => String::new(),
            },
            _ => String::new(),
        }
    }
}

/// The parts that are there, in one line.
fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join(BETWEEN)
}

/// The members whose names an entry needs.
fn members_in(entry: &Entry) -> Vec<MemberId> {
    let mut members = Vec::new();
    if let Actor::Member(member) = &entry.actor {
        members.push(member.clone());
    }
    match &entry.body {
        EntryBody::ChargeOpened(details) => members.extend(details.spender.member.clone()),
        EntryBody::ChargeRefunded(refund) => members.extend(refund.spender.member.clone()),
        EntryBody::Alert(Alert::LimitReached(reached)) => {
            if let Subject::Member(member) = &reached.subject {
                members.push(member.clone());
            }
        }
        EntryBody::Team(change) => match &**change {
            TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => {
                members.push(member.id.clone())
            }
            TeamChange::MemberRemoved(member)
            | TeamChange::MemberErased(member)
            | TeamChange::AllSignedOut(Some(member)) => members.push(member.clone()),
            TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => {
                members.push(session.member.clone());
            }
            TeamChange::Recipient(change) => {
                if let RecipientSubject::Member(member) = change.subject() {
                    members.push(member);
                }
            }
            _ => {}
        },
        _ => {}
    }
    members
}
