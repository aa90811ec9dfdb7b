//! Who charges what in a benchmark: the five reference operations over many workspaces, by seed, with keys that grow or
//! random ones. Each workspace has credit enough, a worker and a member.

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

/// Enough for any run: a million dollars a workspace.
const CREDIT: Micros = Micros::new(100_000_000_000);

/// What idempotency keys look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Keys {
    /// Each greater than the one before, as from a counter
    Ordered,
    /// 128 random bits
    Random,
}

impl Keys {
    pub fn name(self) -> &'static str {
        match self {
            Keys::Ordered => "ordered",
            Keys::Random => "random",
        }
    }
}

/// A source of charges.
#[derive(Debug, Clone)]
pub struct Workload {
    pub workspaces: u64,
    keys: Keys,
    state: u64,
    /// How many entries there were before: keys of another run must not come again.
    epoch: u64,
    /// Which of the sources that were split off this is; they share no key.
    stream: u64,
    streams: u64,
    count: u64,
    names: Arc<Names>,
}

/// The names that charges speak of, made once: what is measured is not how fast they are made.
#[derive(Debug)]
struct Names {
    workspaces: Vec<WorkspaceId>,
    operations: [OperationId; 5],
    workers: [WorkerId; 2],
    members: [MemberId; 3],
}

/// A charge as it is asked for, before it takes the form of a command or of JSON.
#[derive(Debug)]
pub struct Asked {
    /// Which of the workspaces it is, counted from 0.
    pub number: usize,
    pub workspace: WorkspaceId,
    pub operation: OperationId,
    pub worker: WorkerId,
    pub member: MemberId,
    pub key: IdempotencyKey,
}

impl Workload {
    pub fn new(workspaces: u64, keys: Keys, seed: u64, epoch: u64) -> Workload {
        let names = Names {
            workspaces: (0..workspaces).map(workspace_id).collect(),
            operations: OPERATIONS.map(|(id, _)| known(OperationId::new(id))),
            workers: ["worker-a", "worker-b"].map(|id| known(WorkerId::new(id))),
            members: ["ada", "grace", "edsger"].map(|id| known(MemberId::new(id))),
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

    /// SplitMix64: small, and good enough to spread load.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A source of its own for one of many callers.
    pub fn split(&mut self) -> Workload {
        self.streams += 1;
        Workload { state: self.random(), stream: self.streams, ..self.clone() }
    }

    /// The next charge.
    pub fn next(&mut self) -> Asked {
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
        let key = std::str::from_utf8(key).expect("digits are ASCII");
        let workspace = (random % self.workspaces) as usize;
        Asked {
            number: workspace,
            workspace: self.names.workspaces[workspace].clone(),
            operation: self.names.operations[(random >> 40) as usize % OPERATIONS.len()].clone(),
            worker: self.names.workers[workspace % 2].clone(),
            member: self.names.members[workspace % 3].clone(),
            key: known(IdempotencyKey::new(key)),
        }
    }

    /// The next so many, as commands.
    pub fn submissions(&mut self, count: u64) -> Vec<Submission> {
        (0..count).map(|_| self.next().submission()).collect()
    }

    /// What sets the price book.
    pub fn prices() -> Submission {
        let operations = OPERATIONS.iter().map(|(id, price)| OperationPrice {
            id: known(OperationId::new(*id)),
            unit_price: Micros::new(*price),
            timeout_seconds: None,
        });
        let command = Command::SetPrices { operations: operations.collect(), effective_at: None };
        Submission { workspace: WorkspaceId::platform(), key: None, actor: Actor::Platform, command }
    }

    /// What opens a workspace and gives it credit.
    pub fn opening(&self, workspace: u64) -> [Submission; 2] {
        let id = workspace_id(workspace);
        let changes = WorkspaceChanges { name: Some(id.as_str().into()), ..WorkspaceChanges::default() };
        let grant = GrantRequest {
            source: Source::Promotional,
            amount: CREDIT,
            reason: Some("benchmark".into()),
            origin: None,
            paid_cents: 0,
        };
        let key = Some(known(IdempotencyKey::new("opening")));
        let submission =
            |key, command| Submission { workspace: id.clone(), key, actor: Actor::Platform, command };
        [submission(None, Command::CreateWorkspace(changes)), submission(key, Command::Grant(grant))]
    }
}

impl Asked {
    /// As a command.
    pub fn submission(self) -> Submission {
        let request = ChargeRequest {
            operation: self.operation,
            quantity: 1,
            worker: Some(self.worker),
            member: Some(self.member),
            await_outcome: false,
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

/// The last digits of a number, as many as there is room for.
fn hex(number: u64, digits: &mut [u8]) {
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * place)) as usize & 15];
    }
}

/// The name of a workspace by its number.
pub fn workspace_id(number: u64) -> WorkspaceId {
    known(WorkspaceId::new(format!("bench-{number}")))
}

/// Names of the benchmark's own making keep to the rules.
fn known<T, E: std::fmt::Debug>(name: Result<T, E>) -> T {
    name.expect("the benchmark's names are well-formed")
}
