//! The words of the test scripts about operators.

use super::{Words, number};
use crate::tests::world::World;
use crate::{Actor, Command, Id, OperatorAct, OperatorCommand, OperatorId, OperatorSessionId};

/// `operator NAME` signs an operator in. `operator_out N` ends the Nth of the sessions that are
/// left, and `operator_out all` ends all.
pub(super) fn command(world: &World, words: &Words) -> Command {
    if words.bare[0] == "operator_out" {
        let session = words.bare[1].parse::<usize>().ok().map(|nth| {
            let known = world.platform.operators.list().get(nth - 1);
            known.map_or(OperatorSessionId(Id::v7(0, 0, 0)), |session| session.id)
        });
        return Command::Operator(OperatorCommand::SignOut(session));
    }
    Command::Operator(OperatorCommand::SignIn {
        operator: OperatorId::known(words.bare[1]),
        session: [words.text("secret").map_or(1, number) as u8; 32],
        valid_for_seconds: words.number("expires").unwrap_or(3_600),
    })
}

/// The operator `op:NAME`, whose reason is `why=`.
pub(super) fn actor(name: &str, why: Option<&str>) -> Actor {
    let reason = why.unwrap_or("goodwill").replace('_', " ").into();
    Actor::Operator(Box::new(OperatorAct { operator: OperatorId::known(name), reason }))
}
