//! The states in which the demo shows its workspace, and how a directory remembers its own.
//!
//! A state is the metadata of the workspace. While the history is written, the metadata says that
//! it is not complete, so that a demo that was interrupted is not taken for a whole one.

use serde_json::{Value, json};
use tollkeeper_ledger::Profile;

/// What the workspace of the demo holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum State {
    /// Two members, without credit, keys, or charges
    FirstRun,
    /// 90 days of use, with credit for the next days
    Normal,
    /// 90 days of use, at the end of which all credit is spent and charges are refused
    ZeroBalance,
}

impl State {
    const ALL: [State; 3] = [State::FirstRun, State::Normal, State::ZeroBalance];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            State::FirstRun => "first-run",
            State::Normal => "normal",
            State::ZeroBalance => "zero-balance",
        }
    }

    /// The metadata of a workspace in this state.
    pub fn metadata(self) -> Value {
        json!({ "demo": self.name() })
    }

    /// The metadata of a workspace whose history is being written.
    pub fn unfinished() -> Value {
        json!({"demo": "unfinished"})
    }
}

/// What is known of a workspace that was there at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The demo has filled it, or an older demo made it, which wrote no state.
    Complete(Option<State>),
    /// The demo was interrupted while it filled it.
    Unfinished,
}

impl Found {
    /// What the metadata of a workspace says.
    pub fn of(profile: &Profile) -> Found {
        let metadata = profile.metadata.as_deref().unwrap_or_default();
        let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
        if metadata == State::unfinished() {
            return Found::Unfinished;
        }
        Found::Complete(State::ALL.into_iter().find(|state| state.metadata() == metadata))
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use tollkeeper_ledger::{Timestamp, WorkspaceId};

    use super::*;

    #[test]
    fn a_state_is_found_again_by_its_metadata() {
        let found = |metadata: Option<Value>| {
            Found::of(&Profile {
                id: WorkspaceId::new("acme").expect("a valid id"),
                name: "Acme".into(),
                timezone: "UTC".into(),
                metadata: metadata.map(|value| value.to_string().into()),
                suspended: false,
                created_at: Timestamp::ZERO,
            })
        };
        for state in State::ALL {
            assert_eq!(found(Some(state.metadata())), Found::Complete(Some(state)));
            let on_command_line = state.to_possible_value().expect("no state is hidden");
            assert_eq!(on_command_line.get_name(), state.name());
        }
        assert_eq!(found(Some(State::unfinished())), Found::Unfinished);
        assert_eq!(found(None), Found::Complete(None));
        assert_eq!(found(Some(json!({"plan": "gold"}))), Found::Complete(None));
    }
}
