//! Who waits for the answers of a batch, and how they are told: one command's answer, or all answers of several that came
//! together.

use tokio::sync::oneshot;

use crate::{CommandResult, Error};

/// Who waits for answers, and for how many of them.
#[derive(Debug)]
pub(crate) enum Reply {
    One(oneshot::Sender<Result<CommandResult, Error>>),
    Batch(usize, oneshot::Sender<Result<Vec<CommandResult>, Error>>),
}

impl Reply {
    pub(crate) fn commands(&self) -> usize {
        match self {
            Reply::One(_) => 1,
            Reply::Batch(commands, _) => *commands,
        }
    }

    // Whoever asked may have gone; then nobody needs the answer.
    pub(crate) fn answer(self, answers: &mut impl Iterator<Item = CommandResult>) {
        match self {
            Reply::One(waiting) => {
                let _ = waiting.send(answers.next().ok_or_else(engine_closed));
            }
            Reply::Batch(commands, waiting) => {
                let _ = waiting.send(Ok(answers.take(commands).collect()));
            }
        }
    }

    pub(crate) fn fail(self, error: Error) {
        match self {
            Reply::One(waiting) => drop(waiting.send(Err(error))),
            Reply::Batch(_, waiting) => drop(waiting.send(Err(error))),
        }
    }
}

/// Nobody is there to answer any more.
pub(crate) fn engine_closed() -> Error {
    Error::unavailable("the engine is closed")
}
