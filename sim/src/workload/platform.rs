//! Commands of the platform about plans, webhook endpoints and operators, and acts of operators.

use tollkeeper_ledger::{
    Actor, Command, EndpointFault, Id, Interval, MessageType, MessageTypes, Micros, OperatorAct,
    OperatorCommand, OperatorId, OperatorSessionId, Plan, PlanId, WebhookEndpoint, WebhookEndpointId,
};

use super::Workload;
use crate::model::step::unknown_id;

/// The operators of the console.
const OPERATORS: [&str; 2] = ["olga", "otto"];

impl Workload {
    /// A list of plans from few terms, so that equal lists are frequent.
    pub(super) fn plans(&mut self) -> Command {
        let mut plans = Vec::new();
        for id in ["pro", "basic", "team"] {
            if self.random.chance(300) {
                continue;
            }
            let name = if self.random.chance(970) { "Some plan" } else { " " };
            plans.push(Plan {
                id: PlanId::new(id).expect("a name"),
                name: name.into(),
                price_cents: *self
                    .random
                    .pick(&[0, 0, 50, 4_900, 4_900, 4_900, 9_900, 9_900, 9_901, 12_345, 49]),
                credits: Micros::new(
                    *self.random.pick(&[1, 30_000, 30_000, 60_000, 60_000, 60_000, 90_001, 9_000_001, 0]),
                ),
                interval: if self.random.chance(800) { Interval::Month } else { Interval::Year },
            });
        }
        if let Some(twice) = plans.first().filter(|_| self.random.chance(50)).cloned() {
            plans.push(twice);
        }
        Command::SetPlans { plans }
    }

    /// A new webhook endpoint, a change of one, or its removal.
    pub(super) fn endpoint(&mut self, known: &[WebhookEndpoint]) -> Command {
        if known.is_empty() || self.random.chance(200) {
            return Command::SetWebhookEndpoint(Box::new(self.new_endpoint()));
        }
        let mut endpoint = self.random.pick(known).clone();
        if self.random.chance(150) {
            return Command::RemoveWebhookEndpoint(endpoint.id);
        }
        endpoint.version += *self.random.pick(&[1, 1, 1, 1, 0, 2]);
        match self.random.below(6) {
            0 => endpoint.generation += *self.random.pick(&[1, 1, 2]),
            1 => endpoint.beginning += *self.random.pick(&[1, 1, 2]),
            2 => endpoint.enabled = !endpoint.enabled,
            3 => endpoint.fault = self.random.chance(500).then_some(EndpointFault::Gone),
            4 => endpoint.types = self.types(),
            _ => endpoint.previous_signs_until = Some(self.now),
        }
        Command::SetWebhookEndpoint(Box::new(endpoint))
    }

    /// A session of an operator that begins, or sessions that are ended.
    pub(super) fn operator_command(&mut self) -> Command {
        Command::Operator(match self.random.below(10) {
            0 => OperatorCommand::SignOut(None),
            1 => OperatorCommand::SignOut(Some(OperatorSessionId(unknown_id()))),
            _ => OperatorCommand::SignIn {
                operator: self.operator(),
                session: self.secret(),
                valid_for_seconds: *self.random.pick(&[0, 60, 3_600, 86_400, 86_400, 86_400, 86_401]),
            },
        })
    }

    /// An act of an operator, who may have no session.
    pub(super) fn act(&mut self) -> Actor {
        let reason = if self.random.chance(950) { "goodwill" } else { " " };
        Actor::Operator(Box::new(OperatorAct { operator: self.operator(), reason: reason.into() }))
    }

    fn operator(&mut self) -> OperatorId {
        OperatorId::new(*self.random.pick(&OPERATORS)).expect("a name")
    }

    fn new_endpoint(&mut self) -> WebhookEndpoint {
        let url = *self.random.pick(&["https://a.example/hook", "http://b.example/", "ftp://c.example", ""]);
        WebhookEndpoint {
            id: WebhookEndpointId(Id::v7(self.now.millis(), 0, self.random.below(1 << 20))),
            version: 1,
            url: url.into(),
            types: self.types(),
            workspace: self.random.chance(300).then(|| self.workspace()),
            enabled: self.random.chance(950),
            fault: None,
            generation: 1,
            previous_signs_until: None,
            beginning: 1,
            secret_digest: if self.random.chance(50) { [7; 32] } else { [6; 32] },
            created_at: self.now,
        }
    }

    fn types(&mut self) -> MessageTypes {
        if self.random.chance(300) {
            return MessageTypes::All;
        }
        let all = MessageType::ALL.iter().copied();
        let mut types: Vec<MessageType> = all.filter(|_| self.random.chance(200)).collect();
        if self.random.chance(30) {
            types.reverse();
        }
        MessageTypes::These(types)
    }
}
