//! A minimal engine in memory: it loads a view, calls `decide`, and records what was decided.
//!
//! Every month has thirty days, so that a script can count them. A time zone is `UTC` with a number
//! of hours. The hash is no SHA-256, because the ledger only passes hashes on. Spent grants are
//! removed from the account after every command and inserted before the next, as an engine does it.

use std::collections::BTreeMap;

use crate::account::invariants;
use crate::{
    Account, Actor, ApiKeyId, Change, Charge, ChargeId, Command, Decision, Entry, EntryBody, Grant, Hash,
    HourPart, Id, IdempotencyKey, MemberId, Micros, OperationId, OperationPrice, PaymentChange,
    PaymentRefundChange, PaymentRefundId, Payments, Period, PeriodWindows, Platform, RecipientChange,
    RecipientId, Refusal, SessionId, Subject, Submission, Team, TeamChange, TextsOfMember, Timestamp,
    TopUpId, Usage, View, WorkspaceChanges, WorkspaceId, decide,
};

/// The time at which every script begins: midnight of day 100.
pub(super) const BEGINNING: Timestamp = Timestamp::from_millis(100 * DAY_MILLIS);
const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;

/// The answer to a command.
pub(super) enum Output {
    /// The entries that were written.
    Wrote(Vec<Entry>),
    Replay,
    Unchanged,
    No(Refusal),
}

/// One workspace and the platform, with what was recorded of both.
pub(super) struct World {
    pub now: Timestamp,
    pub account: Account,
    pub journal: Vec<(Entry, Hash)>,
    pub platform: Platform,
    pub charges: Vec<Charge>,
    pub grants: Vec<Grant>,
    /// API keys in the order in which they were created.
    pub keys: Vec<ApiKeyId>,
    /// Portal links in the order in which they were created.
    pub links: Vec<SessionId>,
    /// Typed addresses in the order in which they were added.
    pub addresses: Vec<RecipientId>,
    /// Top-ups in the order in which they were opened.
    pub top_ups: Vec<TopUpId>,
    /// Payment refunds in the order in which they were requested.
    pub refunds: Vec<PaymentRefundId>,
    prices: Account,
    spent: Vec<Grant>,
    entries_by_key: BTreeMap<String, Entry>,
    usage: Usage,
    ids: u64,
}

impl World {
    /// The workspace is open and the first prices are set.
    pub fn new() -> World {
        let mut world = World::empty();
        let output = world.run(Command::CreateWorkspace(WorkspaceChanges::default()), None);
        assert!(matches!(output, Output::Wrote(_)));
        let output = world.run(Command::SetPrices { operations: price_list(), effective_at: None }, None);
        assert!(matches!(output, Output::Wrote(_)));
        world
    }

    /// Nothing has happened yet.
    pub fn empty() -> World {
        World {
            now: BEGINNING,
            account: Account::new(acme()),
            journal: Vec::new(),
            platform: Platform::default(),
            charges: Vec::new(),
            grants: Vec::new(),
            keys: Vec::new(),
            links: Vec::new(),
            addresses: Vec::new(),
            top_ups: Vec::new(),
            refunds: Vec::new(),
            prices: Account::new(WorkspaceId::platform()),
            spent: Vec::new(),
            entries_by_key: BTreeMap::new(),
            usage: Usage::default(),
            ids: 0,
        }
    }

    /// Runs a command of the platform under a key.
    pub fn run(&mut self, command: Command, key: Option<&str>) -> Output {
        self.run_by(Actor::Platform, command, key)
    }

    /// Runs a command of a caller under a key.
    pub fn run_by(&mut self, actor: Actor, command: Command, key: Option<&str>) -> Output {
        let workspace = match command {
            _ if command.is_for_platform() => WorkspaceId::platform(),
            _ => acme(),
        };
        for grant in self.spent.drain(..) {
            self.account.grants.insert(grant);
        }
        let key = key.map(|key| IdempotencyKey::new(key).expect("a script's key is well-formed"));
        let submission = Submission { workspace: workspace.clone(), key, actor: actor.clone(), command };
        let output = match self.decide(submission) {
            Ok(Decision::Change(change)) => Output::Wrote(self.write(change, &workspace, &actor)),
            Ok(Decision::Replay) => Output::Replay,
            Ok(Decision::Unchanged) => Output::Unchanged,
            Err(refusal) => Output::No(refusal),
        };
        self.spent = self.account.grants.release_spent();
        output
    }

    /// Runs a command of the platform in a workspace that does not exist.
    pub fn run_elsewhere(&mut self, command: Command) -> Output {
        let mut elsewhere = World { platform: self.platform.clone(), now: self.now, ..World::empty() };
        elsewhere.run(command, None)
    }

    fn decide(&mut self, submission: Submission) -> Result<Decision, Refusal> {
        let key = submission.command.derived_key().or_else(|| submission.key.clone());
        let account = if submission.workspace.is_platform() { &self.prices } else { &self.account };
        let named = submission.command.charge();
        let recount = submission.command.recount(account);
        let timezone = recount.as_ref().map_or(&account.profile.timezone, |recount| &recount.timezone);
        let windows = windows(timezone, account.present(self.now));
        let limits = recount.iter().flat_map(|recount| &recount.limits);
        let spent: Vec<Micros> = limits.map(|limit| self.net_use(limit, &windows)).collect();
        self.ids += 1;
        let view = View {
            account: Some(account),
            platform: &self.platform,
            entry_under_key: key.and_then(|key| self.entries_by_key.get(key.as_str())),
            charge: self.charges.iter().find(|charge| Some(charge.details.id) == named),
            used_by_limit: &spent,
            texts_of_member: self.texts_of(submission.command.member_with_texts()),
            paid_cents: self.paid_cents(&submission.command),
            windows,
            fresh_id: Id::v7(self.now.millis(), 0, self.ids),
        };
        decide(&view, submission, self.now)
    }

    /// What was paid for the grant that a command names.
    fn paid_cents(&self, command: &Command) -> i64 {
        let Some(named) = command.grant() else { return 0 };
        let mut entries = self.journal.iter();
        let paid = entries.find_map(|(entry, _)| match &entry.body {
            EntryBody::Granted { grant, paid_cents, .. } if grant.id == named => Some(*paid_cents),
            _ => None,
        });
        paid.unwrap_or(0)
    }

    /// Writes an entry as a change of its own.
    pub fn write_alone(&mut self, first: EntryBody) -> Vec<Entry> {
        for grant in self.spent.drain(..) {
            self.account.grants.insert(grant);
        }
        let written = self.write(Change { first, rest: Vec::new(), key: None }, &acme(), &Actor::Platform);
        self.spent = self.account.grants.release_spent();
        written
    }

    /// What an engine would have stored of a member's names and e-mail addresses.
    fn texts_of(&self, member: Option<&MemberId>) -> TextsOfMember {
        let changes = self.journal.iter().rev().filter_map(|(entry, _)| match &entry.body {
            EntryBody::Team(change) => Some(&**change),
            _ => None,
        });
        let stored = changes.filter_map(|change| match change {
            change if change.erased_texts().is_some_and(|erased| Some(&*erased) == member) => {
                Some(TextsOfMember::Erased)
            }
            change if change.texts().is_some_and(|(named, _)| Some(&*named) == member) => {
                Some(TextsOfMember::Kept)
            }
            _ => None,
        });
        stored.into_iter().next().unwrap_or_default()
    }

    fn write(&mut self, change: Change, workspace: &WorkspaceId, actor: &Actor) -> Vec<Entry> {
        let Change { first, rest, mut key } = change;
        let before = self.account.totals;
        let mut entries = Vec::new();
        for body in std::iter::once(first).chain(rest) {
            let account = if workspace.is_platform() { &mut self.prices } else { &mut self.account };
            let entry = account.record(body, key.take(), actor.clone(), self.now);
            let hash = toy_hash(&entry);
            account.link(hash);
            self.store(&entry);
            if !workspace.is_platform() {
                self.journal.push((entry.clone(), hash));
            }
            entries.push(entry);
        }
        let account = if workspace.is_platform() { &self.prices } else { &self.account };
        account.finish_change();
        let usage = std::mem::take(&mut self.usage);
        invariants::i08_usage_covers(usage.total(), before, self.account.totals);
        entries
    }

    fn store(&mut self, entry: &Entry) {
        self.usage.record(entry, HourPart::WHOLE);
        self.platform.apply(entry).expect("price versions are numbered without gaps");
        if let Some(key) = &entry.key {
            self.entries_by_key.insert(key.as_str().to_owned(), entry.clone());
        }
        match &entry.body {
            EntryBody::Granted { grant, .. } => self.grants.push(grant.clone()),
            EntryBody::Payment(change) => match **change {
                PaymentChange::TopUpOpened { top_up, .. } => self.top_ups.push(top_up),
                PaymentChange::Refund(PaymentRefundChange::Requested { refund, .. }) => {
                    self.refunds.push(refund);
                }
                _ => {}
            },
            EntryBody::Team(change) => match &**change {
                TeamChange::KeyCreated(key) => self.keys.push(key.id),
                TeamChange::LinkCreated(link) => self.links.push(link.id),
                TeamChange::Recipient(RecipientChange::AddressAdded { id, .. }) => self.addresses.push(*id),
                _ => {}
            },
            EntryBody::ChargeOpened(details) => self.charges.push(Charge {
                state: details.state(),
                details: details.clone(),
                opening_entry: entry.n,
                created_at: entry.at,
                decided_at: entry.decided_at,
            }),
            body => {
                let about = body.charge().map(|(id, _)| id);
                if let Some(charge) = self.charges.iter_mut().find(|charge| Some(charge.details.id) == about)
                {
                    charge.state = body.state().expect("an entry about a charge carries its state");
                }
            }
        }
    }

    /// What a limit's subject has spent in the current period, less refunds.
    fn net_use(&self, (subject, period): &(Subject, Period), windows: &PeriodWindows) -> Micros {
        let window = windows.of(*period);
        let entries = self.journal.iter().map(|(entry, _)| entry);
        let in_period = entries.filter(|entry| window.contains(entry.decided_at));
        in_period
            .filter_map(|entry| match &entry.body {
                EntryBody::ChargeOpened(o) if subject.covers(&o.spender) => Some(o.amount),
                EntryBody::ChargeRefunded(r) if subject.covers(&r.spender) => Some(Micros::ZERO - r.amount),
                _ => None,
            })
            .sum::<Micros>()
            .max(Micros::ZERO)
    }

    /// The day and month around the present, in the time zone of the workspace.
    pub fn windows(&self) -> PeriodWindows {
        windows(&self.account.profile.timezone, self.account.present(self.now))
    }

    /// What is left of the grant with this index in the order of their making.
    pub fn remaining(&self, index: usize) -> Micros {
        self.account.grants.find(self.grants[index].id).map_or(Micros::ZERO, |grant| grant.remaining)
    }

    /// The id of the charge with this index in the order of their opening, or one that no charge
    /// has.
    pub fn charge_id(&self, index: usize) -> ChargeId {
        self.charges.get(index).map_or(ChargeId(Id::v7(0, 0, 0)), |charge| charge.details.id)
    }

    /// Checks that the account is rebuilt from its journal and from its bytes.
    pub fn rebuild(&self) {
        let mut rebuilt = Account::new(acme());
        for (entry, hash) in &self.journal {
            rebuilt.replay(entry, *hash).expect("a recorded journal replays");
        }
        let _ = rebuilt.grants.release_spent();
        assert_eq!(rebuilt, self.account);
        let (mut bytes, mut team) = (Vec::new(), Vec::new());
        self.account.encode(&mut bytes);
        self.account.team.encode(&mut team);
        let team = Team::decode(Some(&team)).expect("a team reads back");
        let payments = self.account.payments.as_ref().map(|payments| {
            let mut bytes = Vec::new();
            payments.encode(&mut bytes);
            bytes
        });
        let payments = Payments::decode(payments.as_deref()).expect("payments read back");
        assert_eq!(Account::decode(&bytes, team, payments).as_ref(), Ok(&self.account));
    }
}

pub(super) fn acme() -> WorkspaceId {
    WorkspaceId::new("acme").expect("an allowed name")
}

/// Checks that the entry reads back, and folds its bytes into a hash.
pub(super) fn toy_hash(entry: &Entry) -> Hash {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    assert_eq!(Entry::decode(&bytes).as_ref(), Ok(entry), "an entry reads back as it was written");
    let mut hash = [0; 32];
    for (index, byte) in bytes.into_iter().enumerate() {
        hash[index % 32] = u8::wrapping_mul(hash[index % 32], 31) ^ byte;
    }
    hash
}

fn windows(timezone: &str, now: Timestamp) -> PeriodWindows {
    let hours = timezone.strip_prefix("UTC").and_then(|hours| hours.parse().ok()).unwrap_or(0_i64);
    let ahead = hours * 3_600 * 1_000;
    let around = |length: i64| {
        let begin = (now.millis() + ahead).div_euclid(length) * length - ahead;
        let (start, end) = (Timestamp::from_millis(begin), Timestamp::from_millis(begin + length));
        crate::PeriodWindow { start, end }
    };
    PeriodWindows { day: around(DAY_MILLIS), month: around(30 * DAY_MILLIS) }
}

/// The five reference operations, and `render`, whose charges always await an outcome.
fn price_list() -> Vec<OperationPrice> {
    let listed = [
        ("try_on", 20_000, None),
        ("listing", 5_000, None),
        ("removal", 2_000, None),
        ("message", 500, None),
        ("pricing", 1_000, None),
        ("render", 3_000, Some(60)),
    ];
    listed
        .map(|(id, price, timeout_seconds)| OperationPrice {
            id: OperationId::known(id),
            price: Micros::new(price).into(),
            timeout_seconds,
        })
        .into()
}
