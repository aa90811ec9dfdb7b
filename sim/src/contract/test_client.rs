//! The client of the contract's clauses: an engine, a clock and short calls for the workspace
//! `acme`.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tollkeeper_engine::{
    Answer, ChargeRecord, CommandResult, DuePlace, Engine, Listing, Output, Page, Reads,
};
use tollkeeper_ledger::{
    Actor, ApiKeyId, ApiKeyRequest, Balance, Charge, ChargeId, ChargeRequest, CollectedCommand, Command,
    GrantId, GrantRequest, IdempotencyKey, MemberId, Micros, OperationId, OperationPrice, PaymentCommand,
    PaymentRefundCommand, Placement, Refusal, Scope, Source, Submission, Subscription, SubscriptionCommand,
    Team, TeamChange, TeamCommand, Timestamp, TopUpFailure, Work, WorkspaceChanges, WorkspaceId,
};

use super::Store;
use tollkeeper_testkit::blocking::block_on;

/// The time at which every clause begins: 2026-01-01, midnight in UTC.
pub const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// An open engine with the clock of its caller.
pub struct TestClient {
    /// The engine under test.
    pub engine: Arc<dyn Engine>,
    /// The caller's clock, passed with every command.
    pub now: Timestamp,
}

/// The workspace of most clauses.
#[must_use]
pub fn acme() -> WorkspaceId {
    workspace("acme")
}

/// A workspace id.
#[must_use]
pub fn workspace(name: &str) -> WorkspaceId {
    WorkspaceId::new(name).expect("a name")
}

/// A request to charge `quantity` units of an operation.
#[must_use]
pub fn charge(operation: &str, quantity: i64) -> ChargeRequest {
    ChargeRequest {
        operation: OperationId::new(operation).expect("a name"),
        quantity: quantity.into(),
        worker: None,
        member: None,
        await_outcome: false,
        outcome_by_platform: false,
        timeout_seconds: None,
        reference: None,
        metadata: None,
    }
}

/// The same with an outcome to await, and a deadline after `seconds`.
#[must_use]
pub fn awaited(operation: &str, quantity: i64, seconds: u32) -> ChargeRequest {
    ChargeRequest { await_outcome: true, timeout_seconds: Some(seconds), ..charge(operation, quantity) }
}

/// A grant; for a subscription or a top-up, the reason is also the payment's id.
#[must_use]
pub fn credit(reason: &str, source: Source, amount: i64) -> GrantRequest {
    let bought = matches!(source, Source::Subscription | Source::TopUp);
    GrantRequest {
        source,
        amount: Micros::new(amount),
        reason: Some(reason.into()),
        origin: bought.then(|| reason.into()),
        paid_cents: if bought { amount } else { 0 },
    }
}

/// A member id.
#[must_use]
pub fn member(name: &str) -> MemberId {
    MemberId::new(name).expect("a name")
}

/// An API key with all scopes and without expiry, whose secret is its name.
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

/// A command that publishes a price list: operation and unit price in micro-units.
#[must_use]
pub fn prices(list: &[(&str, i64)]) -> Command {
    let line = |(name, price): &(&str, i64)| OperationPrice {
        id: OperationId::new(*name).expect("a name"),
        price: Micros::new(*price).into(),
        timeout_seconds: None,
    };
    Command::SetPrices { operations: list.iter().map(line).collect(), effective_at: None }
}

impl TestClient {
    /// Opens a store, publishes the reference prices, and creates `acme` with a promotional grant
    /// of `amount`.
    #[must_use]
    pub fn with_credit(store: &dyn Store, amount: i64) -> TestClient {
        let mut client = TestClient::open(store, BEGINNING);
        client.accepted_by_platform(prices(&[("message", 500), ("removal", 2_000), ("try_on", 20_000)]));
        client.create_workspace(acme());
        client.grant("opening", Source::Promotional, amount);
        client
    }

    /// Opens a store, with the clock at `now`.
    #[must_use]
    pub fn open(store: &dyn Store, now: Timestamp) -> TestClient {
        TestClient { engine: store.open(), now }
    }

    /// Closes the engine and opens the store again.
    #[must_use]
    pub fn restarted(self, store: &dyn Store) -> TestClient {
        let TestClient { engine, now } = self;
        block_on(engine.close()).expect("a healthy engine closes");
        drop(engine);
        TestClient::open(store, now)
    }

    /// Moves the clock forward.
    pub fn advance_clock(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    /// Runs a command of the platform in a workspace, with an idempotency key or without.
    pub fn submit(&self, workspace: WorkspaceId, key: Option<&str>, command: Command) -> CommandResult {
        block_on(self.engine.run(submission(workspace, key, command), self.now)).expect("a healthy engine")
    }

    /// Runs a command of the platform in `acme` with an idempotency key.
    pub fn submit_keyed(&self, key: &str, command: Command) -> CommandResult {
        self.submit(acme(), Some(key), command)
    }

    /// Runs a command of `actor` in `acme` without an idempotency key.
    pub fn submit_as(&self, actor: Actor, command: Command) -> CommandResult {
        let submission = Submission { actor, ..submission(acme(), None, command) };
        block_on(self.engine.run(submission, self.now)).expect("a healthy engine")
    }

    /// Runs a batch and returns one code per command: `yes`, `replay`, or the code of the refusal.
    pub fn codes(&self, batch: Vec<Submission>) -> Vec<&'static str> {
        let ran = block_on(self.engine.run_batch(batch, self.now)).expect("a healthy engine");
        let word = |ran: CommandResult| match ran {
            Ok(answer) if answer.replayed => "replay",
            Ok(_) => "yes",
            Err(refusal) => refusal.code(),
        };
        ran.into_iter().map(word).collect()
    }

    /// Runs a command in `acme` that must be accepted, and returns its output.
    pub fn accepted(&self, command: Command) -> Output {
        self.submit(acme(), None, command).expect("the command is accepted").output
    }

    /// Runs a command in `acme` that must be refused, and returns the code of the refusal.
    pub fn refused(&self, command: Command) -> &'static str {
        self.submit(acme(), None, command).expect_err("the command is refused").code()
    }

    /// Runs a command of the platform's own journal that must be accepted, and returns its output.
    pub fn accepted_by_platform(&self, command: Command) -> Output {
        self.submit(WorkspaceId::platform(), None, command).expect("the command is accepted").output
    }

    /// Creates a workspace named after its id.
    pub fn create_workspace(&self, id: WorkspaceId) {
        let changes = WorkspaceChanges { name: Some(id.as_str().into()), ..WorkspaceChanges::default() };
        self.submit(id, None, Command::CreateWorkspace(changes)).expect("the workspace is new");
    }

    /// Grants credit to `acme`; for a subscription or a top-up, the key is also the payment's id.
    pub fn grant(&mut self, key: &str, source: Source, amount: i64) -> GrantId {
        match self.submit_keyed(key, Command::Grant(credit(key, source, amount))).expect("credit").output {
            Output::Grant(record, _) => record.grant.id,
            other => panic!("a grant was answered by {other:?}"),
        }
    }

    /// Charges `acme` under an idempotency key.
    pub fn charge(&self, key: &str, request: ChargeRequest) -> (Charge, Balance) {
        charged(self.submit_keyed(key, Command::Charge(request)))
    }

    /// The balance of `acme`.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.balance_of(acme())
    }

    /// The balance of a workspace.
    #[must_use]
    pub fn balance_of(&self, id: WorkspaceId) -> Balance {
        block_on(self.engine.balance(&id, None))
            .expect("the engine reads")
            .expect("the workspace exists")
            .balance
    }

    /// Creates an API key of `acme`.
    #[must_use]
    pub fn create_key(&self, request: ApiKeyRequest) -> ApiKeyId {
        match self.accepted(Command::Team(TeamCommand::CreateKey(request))) {
            Output::Team(change) => match *change {
                TeamChange::KeyCreated(key) => key.id,
                other => panic!("a key was answered by {other:?}"),
            },
            other => panic!("a key was answered by {other:?}"),
        }
    }

    /// The members, API keys, links and sessions of `acme`.
    #[must_use]
    pub fn team(&self) -> Arc<Team> {
        block_on(self.engine.team(&acme())).expect("the engine reads").expect("the workspace exists")
    }

    /// For each limit of `acme`, the micro-units used in its current day or month.
    #[must_use]
    pub fn used(&self) -> Vec<i64> {
        let limits = block_on(self.engine.limits(&acme(), self.now)).expect("the engine reads");
        let (limits, windows) = limits.expect("it exists");
        limits.0.iter().map(|limit| limit.used_in(&windows).get()).collect()
    }

    /// A charge of `acme` with its draws and refunds.
    #[must_use]
    pub fn record(&self, charge: ChargeId) -> ChargeRecord {
        block_on(self.engine.charge(&acme(), charge))
            .expect("the engine reads")
            .expect("the workspace exists")
    }

    /// The pending charges whose deadline has passed.
    #[must_use]
    pub fn due(&self) -> Vec<(WorkspaceId, ChargeId)> {
        block_on(self.engine.due(self.now, 100)).expect("the engine reads")
    }

    /// The workspaces with work of payments that is due, read in pages of at most `most`.
    #[must_use]
    pub fn due_places(&self, most: usize) -> Vec<DuePlace> {
        let mut due: Vec<DuePlace> = Vec::new();
        loop {
            let after = due.last().cloned();
            let page = block_on(self.engine.due_payments(self.now, after, most)).expect("the engine reads");
            assert!(page.len() <= most, "a page has at most `most` rows");
            if page.is_empty() {
                return due;
            }
            due.extend(page);
        }
    }

    /// The workspaces with work of payments that is due.
    #[must_use]
    pub fn due_payments(&self) -> Vec<WorkspaceId> {
        self.due_places(100).into_iter().map(|place| place.workspace).collect()
    }

    /// Does the due work of the payments of `acme`, as a server does; returns how much it was.
    pub fn do_due_work(&self) -> usize {
        let payments = block_on(self.engine.payments(&acme())).expect("the engine reads");
        let payments = payments.expect("the workspace exists");
        let due = payments.due_work(self.now);
        for work in &due {
            let last = payments.subscription.as_deref();
            let command = Command::Payment(match *work {
                Work::ExpireTopUp(top_up) => PaymentCommand::ExpireTopUp(top_up),
                Work::CallTopUp(top_up) | Work::GiveUpTopUp(top_up) | Work::LookAtTopUp(top_up) => {
                    PaymentCommand::FailTopUp { top_up, failure: TopUpFailure::NotPaid }
                }
                Work::CallRefund(refund) => {
                    PaymentCommand::Refund(PaymentRefundCommand::Place { refund, reference: "re_due".into() })
                }
                Work::LookAtRefund(refund) => PaymentCommand::Refund(PaymentRefundCommand::Succeed(refund)),
                Work::TickSubscription => {
                    PaymentCommand::Subscription(SubscriptionCommand::Tick { renews: false })
                }
                Work::PlaceSubscription | Work::LookAtSubscription => {
                    PaymentCommand::Subscription(said_by_provider(last.expect("it has work"), *work))
                }
            });
            self.submit_as(Actor::System, command).expect("it is accepted");
        }
        due.len()
    }

    /// The number of entries of `acme`.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        let newest = Page { limit: 1, cursor: None };
        let listing = block_on(self.engine.entries(&acme(), newest))
            .expect("the engine reads")
            .expect("the workspace exists");
        listing.data.first().map_or(0, |record| record.entry.n)
    }
}

/// What a provider says that did the work of a subscription, and knows of no payment.
fn said_by_provider(last: &Subscription, work: Work) -> SubscriptionCommand {
    let collected = last.collected.as_deref().expect("only a provider has such work");
    let command = match work {
        Work::PlaceSubscription => {
            let (terms, change, ends) = last.wanted();
            let was = Box::new(collected.placement.clone());
            let is = Placement { terms: Some(terms), change, ends, ..collected.placement.clone() };
            CollectedCommand::Place { was, is: Box::new(is) }
        }
        _ => CollectedCommand::Lapse,
    };
    SubscriptionCommand::Collected { subscription: last.id, command }
}

/// A submission of the platform.
#[must_use]
pub fn submission(workspace: WorkspaceId, key: Option<&str>, command: Command) -> Submission {
    let key = key.map(|key| IdempotencyKey::new(key).expect("printable"));
    Submission { workspace, key, actor: Actor::Platform, command }
}

/// The charge in an accepted answer, and the balance after it.
pub fn charged(ran: Result<Answer, Refusal>) -> (Charge, Balance) {
    match ran.expect("the command is accepted").output {
        Output::Charge(charge, balance) => (charge, balance),
        other => panic!("a charge was answered by {other:?}"),
    }
}

/// All rows of a list, read in pages of at most `limit` rows.
pub fn pages<T>(limit: usize, mut page: impl FnMut(Page) -> Listing<T>) -> Vec<T> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let listing = page(Page { limit, cursor });
        assert!(listing.data.len() <= limit, "a page has at most `limit` rows");
        rows.extend(listing.data);
        cursor = listing.next;
        if cursor.is_none() {
            return rows;
        }
    }
}
