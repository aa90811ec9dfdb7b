//! The charges of a benchmark: the five reference operations, spread over many workspaces by a
//! seed. Each workspace has enough credit, a worker and a member.

use std::sync::Arc;

use tollkeeper_ledger::{
    Actor, ChargeRequest, Command, GrantRequest, IdempotencyKey, MemberId, Micros, OperationId,
    OperationPrice, Source, Submission, WorkerId, WorkspaceChanges, WorkspaceId,
};

/// The reference price list (P2).
const OPERATIONS: [(&str, i64); 5] = [
    ("virtual_try_on", 20_000),
    ("product_listing", 5_000),
    ("background_removal", 2_000),
    ("support_message", 500),
    ("smart_pricing", 1_000),
];

/// The credit of each workspace, a million dollars: enough for any run.
const CREDIT: Micros = Micros::new(100_000_000_000);

/// The kind of idempotency keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Keys {
    /// Ascending, as from a counter
    Ordered,
    /// 128 random bits
    Random,
}

impl Keys {
    /// The name on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Keys::Ordered => "ordered",
            Keys::Random => "random",
        }
    }
}

/// A generator of charges.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The number of workspaces.
    pub workspaces: u64,
    keys: Keys,
    /// The state of the random number generator.
    state: u64,
    /// A number that differs for each run on one store, part of every ordered key.
    epoch: u64,
    /// The number of this generator among those that were split off; part of every ordered key.
    stream: u64,
    /// How many generators were split off this one.
    streams: u64,
    /// How many charges this generator made.
    count: u64,
    names: Arc<Names>,
}

/// The ids that charges refer to. They are made once, because making them is not measured.
#[derive(Debug)]
struct Names {
    workspaces: Vec<WorkspaceId>,
    operations: [OperationId; 5],
    workers: [WorkerId; 2],
    members: [MemberId; 3],
}

/// A charge to be made, as a command or as JSON.
#[derive(Debug)]
pub struct PlannedCharge {
    /// The number of the workspace, from 0.
    pub workspace_index: usize,
    pub workspace: WorkspaceId,
    pub operation: OperationId,
    pub worker: WorkerId,
    pub member: MemberId,
    pub key: IdempotencyKey,
}

impl Workload {
    /// Makes the generator of a run; the same arguments give the same charges.
    pub fn new(workspaces: u64, keys: Keys, seed: u64, epoch: u64) -> Workload {
        let names = Names {
            workspaces: (0..workspaces).map(workspace_id).collect(),
            operations: OPERATIONS.map(|(id, _)| valid(OperationId::new(id))),
            workers: ["worker-a", "worker-b"].map(|id| valid(WorkerId::new(id))),
            members: ["ada", "grace", "edsger"].map(|id| valid(MemberId::new(id))),
        };
        Workload {
            workspaces,
            keys,
            state: seed ^ epoch.rotate_left(17),
            epoch,
            stream: 0,
            streams: 0,
            count: 0,
            names: Arc::new(names),
        }
    }

    /// The next random number, by SplitMix64, which is good enough to spread load.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Splits off a generator for one of many callers; its keys differ from those of all others.
    pub fn split(&mut self) -> Workload {
        self.streams += 1;
        Workload { state: self.random(), stream: self.streams, ..self.clone() }
    }

    /// The next charge.
    pub fn next(&mut self) -> PlannedCharge {
        let random = self.random();
        self.count += 1;
        let mut key = [b'-'; 33];
        let key = match self.keys {
            Keys::Ordered => {
                hex(self.epoch, &mut key[..12]);
                hex(self.stream, &mut key[13..19]);
                hex(self.count, &mut key[20..32]);
                &key[..32]
            }
            Keys::Random => {
                hex(self.random(), &mut key[..16]);
                hex(self.random(), &mut key[17..]);
                &key[..]
            }
        };
        let key = std::str::from_utf8(key).expect("the key consists of ASCII digits and hyphens");
        let workspace = (random % self.workspaces) as usize;
        PlannedCharge {
            workspace_index: workspace,
            workspace: self.names.workspaces[workspace].clone(),
            operation: self.names.operations[(random >> 40) as usize % OPERATIONS.len()].clone(),
            worker: self.names.workers[workspace % 2].clone(),
            member: self.names.members[workspace % 3].clone(),
            key: valid(IdempotencyKey::new(key)),
        }
    }

    /// The next `count` charges, as commands.
    pub fn submissions(&mut self, count: u64) -> Vec<Submission> {
        (0..count).map(|_| self.next().submission()).collect()
    }

    /// The command that publishes the price book.
    pub fn prices() -> Submission {
        let operations = OPERATIONS.iter().map(|(id, price)| OperationPrice {
            id: valid(OperationId::new(*id)),
            price: Micros::new(*price).into(),
            timeout_seconds: None,
        });
        let command = Command::SetPrices { operations: operations.collect(), effective_at: None };
        Submission { workspace: WorkspaceId::platform(), key: None, actor: Actor::Platform, command }
    }

    /// The commands that create a workspace and grant its credit.
    pub fn creation(&self, workspace: u64) -> [Submission; 2] {
        let id = workspace_id(workspace);
        let changes = WorkspaceChanges { name: Some(id.as_str().into()), ..WorkspaceChanges::default() };
        let grant = GrantRequest {
            source: Source::Promotional,
            amount: CREDIT,
            reason: Some("benchmark".into()),
            origin: None,
            paid_cents: 0,
        };
        let key = Some(valid(IdempotencyKey::new("opening")));
        let submission =
            |key, command| Submission { workspace: id.clone(), key, actor: Actor::Platform, command };
        [submission(None, Command::CreateWorkspace(changes)), submission(key, Command::Grant(grant))]
    }
}

impl PlannedCharge {
    /// The charge as a command.
    pub fn submission(self) -> Submission {
        let request = ChargeRequest {
            operation: self.operation,
            quantity: 1.into(),
            worker: Some(self.worker),
            member: Some(self.member),
            await_outcome: false,
            outcome_by_platform: false,
            timeout_seconds: None,
            reference: None,
            metadata: None,
        };
        Submission {
            workspace: self.workspace,
            key: Some(self.key),
            actor: Actor::Platform,
            command: Command::Charge(request),
        }
    }
}

/// Writes the last hexadecimal digits of a number, as many as `digits` has places.
fn hex(number: u64, digits: &mut [u8]) {
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * index)) as usize & 15];
    }
}

/// The id of a workspace by its number.
pub fn workspace_id(number: u64) -> WorkspaceId {
    valid(WorkspaceId::new(format!("bench-{number}")))
}

/// Unwraps an id that the benchmark made.
fn valid<T, E: std::fmt::Debug>(name: Result<T, E>) -> T {
    name.expect("the benchmark makes well-formed ids")
}
