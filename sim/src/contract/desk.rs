//! A desk at which an engine is asked: the short words that the clauses are written in.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tollkeeper_engine::{Answer, ChargeRecord, CommandResult, Engine, Listing, Output, Page, Reads};
use tollkeeper_ledger::{
    Actor, ApiKeyId, ApiKeyRequest, Balance, Charge, ChargeId, ChargeRequest, Command, GrantId, GrantRequest,
    IdempotencyKey, MemberId, Micros, OperationId, OperationPrice, Refusal, Scope, Source, Submission, Team,
    TeamChange, TeamCommand, Timestamp, WorkspaceChanges, WorkspaceId,
};

use super::Store;
use tollkeeper_testkit::blocking::block_on;

/// When every clause begins: 2026-01-01, midnight in UTC.
pub const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// An engine, the time, and one workspace to speak of.
pub struct Desk {
    /// The engine that is asked.
    pub engine: Arc<dyn Engine>,
    /// The caller's clock.
    pub now: Timestamp,
}

/// The workspace of most clauses.
#[must_use]
pub fn acme() -> WorkspaceId {
    workspace("acme")
}

/// A workspace by its name.
#[must_use]
pub fn workspace(name: &str) -> WorkspaceId {
    WorkspaceId::new(name).expect("a name")
}

/// A request for so many units of an operation.
#[must_use]
pub fn charge(operation: &str, quantity: i64) -> ChargeRequest {
    ChargeRequest {
        operation: OperationId::new(operation).expect("a name"),
        quantity,
        worker: None,
        member: None,
        await_outcome: false,
        timeout_seconds: None,
        reference: None,
        metadata: None,
    }
}

/// The same, to await its outcome for so many seconds.
#[must_use]
pub fn awaited(operation: &str, quantity: i64, seconds: u32) -> ChargeRequest {
    ChargeRequest { await_outcome: true, timeout_seconds: Some(seconds), ..charge(operation, quantity) }
}

/// Credit that comes in for a reason; for what is bought, the reason names the payment.
#[must_use]
pub fn credit(reason: &str, source: Source, amount: i64) -> GrantRequest {
    let bought = matches!(source, Source::Subscription | Source::TopUp);
    GrantRequest {
        source,
        amount: Micros::new(amount),
        reason: Some(reason.into()),
        origin: bought.then(|| reason.into()),
        paid_cents: 0,
    }
}

/// The name of a member.
#[must_use]
pub fn member(name: &str) -> MemberId {
    MemberId::new(name).expect("a name")
}

/// An API key that may do everything, for ever; its secret is its name.
#[must_use]
pub fn key(name: &str) -> ApiKeyRequest {
    ApiKeyRequest {
        name: name.into(),
        scopes: Scope::ALL.into_iter().collect(),
        member: None,
        worker: None,
        expires_at: None,
        hash: Sha256::digest(name).into(),
    }
}

/// A price list.
#[must_use]
pub fn prices(list: &[(&str, i64)]) -> Command {
    let line = |(name, price): &(&str, i64)| OperationPrice {
        id: OperationId::new(*name).expect("a name"),
        unit_price: Micros::new(*price),
        timeout_seconds: None,
    };
    Command::SetPrices { operations: list.iter().map(line).collect(), effective_at: None }
}

impl Desk {
    /// Opens a store, sets the reference prices, and opens `acme` with so much promotional credit.
    #[must_use]
    pub fn with_credit(store: &dyn Store, amount: i64) -> Desk {
        let mut desk = Desk::at(store, BEGINNING);
        desk.platform(prices(&[("message", 500), ("removal", 2_000), ("try_on", 20_000)]));
        desk.open(acme());
        desk.grant("opening", Source::Promotional, amount);
        desk
    }

    /// Opens a store.
    #[must_use]
    pub fn at(store: &dyn Store, now: Timestamp) -> Desk {
        Desk { engine: store.open(), now }
    }

    /// Closes the engine and opens the store again.
    #[must_use]
    pub fn restarted(self, store: &dyn Store) -> Desk {
        let Desk { engine, now } = self;
        block_on(engine.close()).expect("a healthy engine closes");
        drop(engine);
        Desk::at(store, now)
    }

    /// Lets so many seconds pass.
    pub fn advance_clock(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    /// What a workspace is answered, under a key or none.
    pub fn ask(&self, workspace: WorkspaceId, key: Option<&str>, command: Command) -> CommandResult {
        block_on(self.engine.run(submission(workspace, key, command), self.now)).expect("a healthy engine")
    }

    /// What `acme` is answered under a key.
    pub fn keyed(&self, key: &str, command: Command) -> CommandResult {
        self.ask(acme(), Some(key), command)
    }

    /// What somebody is answered who asks for `acme`, without a key.
    pub fn ask_as(&self, actor: Actor, command: Command) -> CommandResult {
        let submission = Submission { actor, ..submission(acme(), None, command) };
        block_on(self.engine.run(submission, self.now)).expect("a healthy engine")
    }

    /// What a batch is answered, each by a word.
    pub fn words(&self, batch: Vec<Submission>) -> Vec<&'static str> {
        let ran = block_on(self.engine.run_batch(batch, self.now)).expect("a healthy engine");
        let word = |ran: CommandResult| match ran {
            Ok(answer) if answer.replayed => "replay",
            Ok(_) => "yes",
            Err(refusal) => refusal.code(),
        };
        ran.into_iter().map(word).collect()
    }

    /// What `acme` is told, without a key.
    pub fn told(&self, command: Command) -> Output {
        self.ask(acme(), None, command).expect("it is answered with yes").output
    }

    /// The code with which `acme` is refused.
    pub fn no(&self, command: Command) -> &'static str {
        self.ask(acme(), None, command).expect_err("it is answered with no").code()
    }

    /// What the platform is told.
    pub fn platform(&self, command: Command) -> Output {
        self.ask(WorkspaceId::platform(), None, command).expect("it is answered with yes").output
    }

    /// Opens a workspace.
    pub fn open(&self, id: WorkspaceId) {
        let changes = WorkspaceChanges { name: Some(id.as_str().into()), ..WorkspaceChanges::default() };
        self.ask(id, None, Command::CreateWorkspace(changes)).expect("a workspace nobody opened");
    }

    /// Gives `acme` credit under a key; for what is bought, the key names the payment.
    pub fn grant(&mut self, key: &str, source: Source, amount: i64) -> GrantId {
        match self.keyed(key, Command::Grant(credit(key, source, amount))).expect("credit").output {
            Output::Grant(record, _) => record.grant.id,
            other => panic!("a grant was answered by {other:?}"),
        }
    }

    /// Charges `acme` under a key.
    pub fn charge(&self, key: &str, request: ChargeRequest) -> (Charge, Balance) {
        charged(self.keyed(key, Command::Charge(request)))
    }

    /// What `acme` has.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.balance_of(acme())
    }

    /// What a workspace has.
    #[must_use]
    pub fn balance_of(&self, id: WorkspaceId) -> Balance {
        block_on(self.engine.balance(&id, None)).expect("it reads").expect("it is there").balance
    }

    /// Makes an API key of `acme`.
    #[must_use]
    pub fn key(&self, request: ApiKeyRequest) -> ApiKeyId {
        match self.told(Command::Team(TeamCommand::CreateKey(request))) {
            Output::Team(change) => match *change {
                TeamChange::KeyCreated(key) => key.id,
                other => panic!("a key was answered by {other:?}"),
            },
            other => panic!("a key was answered by {other:?}"),
        }
    }

    /// Who belongs to `acme`.
    #[must_use]
    pub fn team(&self) -> Arc<Team> {
        block_on(self.engine.team(&acme())).expect("it reads").expect("it is there")
    }

    /// What the limits of `acme` have counted in their present day or month.
    #[must_use]
    pub fn used(&self) -> Vec<i64> {
        let limits = block_on(self.engine.limits(&acme(), self.now)).expect("it reads");
        let (limits, windows) = limits.expect("it is there");
        limits.0.iter().map(|limit| limit.used_in(&windows).get()).collect()
    }

    /// A charge of `acme` with all that happened to it.
    #[must_use]
    pub fn record(&self, charge: ChargeId) -> ChargeRecord {
        block_on(self.engine.charge(&acme(), charge)).expect("it reads").expect("it is there")
    }

    /// What is due.
    #[must_use]
    pub fn due(&self) -> Vec<(WorkspaceId, ChargeId)> {
        block_on(self.engine.due(self.now, 100)).expect("it reads")
    }

    /// The number of entries of `acme`.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        let newest = Page { limit: 1, cursor: None };
        let listing = block_on(self.engine.entries(&acme(), newest)).expect("it reads").expect("it is there");
        listing.data.first().map_or(0, |record| record.entry.n)
    }
}

/// A command as it is sent.
#[must_use]
pub fn submission(workspace: WorkspaceId, key: Option<&str>, command: Command) -> Submission {
    let key = key.map(|key| IdempotencyKey::new(key).expect("printable"));
    Submission { workspace, key, actor: Actor::Platform, command }
}

/// The charge that was told, and the balance with it.
pub fn charged(ran: Result<Answer, Refusal>) -> (Charge, Balance) {
    match ran.expect("it is answered with yes").output {
        Output::Charge(charge, balance) => (charge, balance),
        other => panic!("a charge was answered by {other:?}"),
    }
}

/// All pages of a list, so many rows each.
pub fn pages<T>(limit: usize, mut page: impl FnMut(Page) -> Listing<T>) -> Vec<T> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let listing = page(Page { limit, cursor });
        assert!(listing.data.len() <= limit, "a page holds more than was asked for");
        rows.extend(listing.data);
        cursor = listing.next;
        if cursor.is_none() {
            return rows;
        }
    }
}
