//! Compares lists of workspaces by each of their conditions with what the model finds by looking at
//! every workspace.

use tollkeeper_engine::{Engine, NameQuery, Reads, WorkspaceFilter};
use tollkeeper_ledger::{Micros, Profile, Timestamp, WorkspaceId};

use super::{Difference, Differential, all};
use crate::model::{Fact, Pool};

/// A workspace in a list of the model.
type Row = (WorkspaceId, Profile, Micros, Option<Timestamp>);

/// Names that are asked for: of a name's first word, of its second, of none, inside a word.
const NAMES: [&str; 4] = ["the WORK", "st", "nobody", "orkspace"];

impl Differential {
    /// Compares the list of all workspaces, and those of each condition and of some together.
    pub(super) fn compare_searches(&self, engine: &dyn Engine) -> Result<(), Difference> {
        let none = WorkspaceFilter::default;
        let mut filters = vec![(none(), "")];
        for (is_so, name) in [true, false].into_iter().zip(NAMES) {
            filters.push((WorkspaceFilter { suspended: Some(is_so), ..none() }, ""));
            filters.push((WorkspaceFilter { debt: Some(is_so), ..none() }, ""));
            filters.push((WorkspaceFilter { suspended: Some(is_so), debt: Some(!is_so), ..none() }, ""));
            filters.push((
                WorkspaceFilter { suspended: Some(is_so), name: NameQuery::new(name), ..none() },
                name,
            ));
        }
        for name in NAMES {
            filters.push((WorkspaceFilter { name: NameQuery::new(name), ..none() }, name));
        }
        let mut uses: Vec<Timestamp> = self.model.pools.values().map(unused_from).collect();
        uses.sort_unstable();
        for since in uses.get(uses.len() / 2).into_iter().flat_map(|at| [*at, at.plus_seconds(1)]) {
            filters.push((WorkspaceFilter { unused_since: Some(since), ..none() }, ""));
        }
        for (filter, name) in filters {
            let what = format!("the list of workspaces with {filter:?}");
            let listed = all(|page| self.read(&what, engine.workspaces(filter.clone(), page)))?;
            let listed = listed.into_iter();
            let mut listed: Vec<Row> = listed
                .map(|record| (record.profile.id.clone(), record.profile, record.debt, record.last_used_at))
                .collect();
            listed.sort_by(|one, other| one.0.cmp(&other.0));
            self.expect_equal(&what, listed, self.found(&filter, name))?;
        }
        Ok(())
    }

    /// The workspaces that meet some conditions, in the order of their ids.
    fn found(&self, filter: &WorkspaceFilter, name: &str) -> Vec<Row> {
        let WorkspaceFilter { name: _, suspended, debt, unused_since } = filter;
        let is_found = |(_, pool): &(&WorkspaceId, &Pool)| {
            let (profile, owed) = (pool.profile(), pool.balance().debt);
            suspended.is_none_or(|suspended| suspended == profile.suspended)
                && debt.is_none_or(|debt| debt == (owed != Micros::ZERO))
                && unused_since.is_none_or(|since| unused_from(pool) < since)
                && is_named(&profile.name, name)
        };
        let found = self.model.pools.iter().filter(is_found);
        found
            .map(|(id, pool)| (id.clone(), pool.profile(), pool.balance().debt, last_used_at(pool)))
            .collect()
    }
}

/// The time of the last charge.
fn last_used_at(pool: &Pool) -> Option<Timestamp> {
    let last = pool.lines.iter().rev().find(|line| matches!(line.fact, Fact::Charged(_)));
    last.map(|line| line.decided_at)
}

fn unused_from(pool: &Pool) -> Timestamp {
    last_used_at(pool).unwrap_or_else(|| pool.profile().created_at)
}

/// True if a word of the name begins with a text, in upper or lower case; and for the empty text.
fn is_named(name: &str, text: &str) -> bool {
    let (name, text) = (name.to_lowercase(), text.to_lowercase());
    let begins_word = |at: usize| !name[..at].ends_with(char::is_alphanumeric);
    name.match_indices(&text).any(|(at, _)| begins_word(at))
}
