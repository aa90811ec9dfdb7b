//! Why the demo cannot be filled: none of these is expected.

use tollkeeper_engine::Error;
use tollkeeper_ledger::{NameError, Refusal};

use crate::terminal::failure::{Exit, Failure};

/// A name of the demo; one that is not valid is reported.
pub fn named<T>(name: Result<T, NameError>) -> Result<T, Failure> {
    name.map_err(|why| Failure::new(Exit::Usage, "a name of the demo is not valid").because(why))
}

/// The ledger refused a command that it must accept.
pub fn refused(refusal: &Refusal) -> Failure {
    Failure::new(Exit::No, "a command of the demo was refused").because(refusal.code())
}

/// The engine could not run a command or read.
pub fn failed(why: &Error) -> Failure {
    Failure::of_engine("the demo could not be filled", why)
}
