//! Compares what follows an entry with what the model has behind it: of all kinds in steps, and of
//! the kinds of every third entry.

use tollkeeper_engine::{Engine, Follow, Reads};
use tollkeeper_ledger::{Kind, WorkspaceId};

use super::{Difference, Differential};
use crate::model::Pool;

/// The lengths of the steps, from short journals to long ones.
const STEPS: [usize; 2] = [7, 200];

impl Differential {
    /// Follows the journal of a workspace from its beginning to its end.
    pub(super) fn compare_following(
        &self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let kinds: Vec<Kind> = pool.lines.iter().map(|line| line.fact.kind()).collect();
        let limit = STEPS[usize::from(kinds.len() > 100)];
        self.compare_followed(engine, id, &kinds, Follow { after: 0, kinds: None, limit })?;
        let mut some: Vec<Kind> = kinds.iter().step_by(3).copied().collect();
        some.dedup();
        self.compare_followed(engine, id, &kinds, Follow { after: 0, kinds: Some(some), limit })
    }

    fn compare_followed(
        &self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        kinds: &[Kind],
        mut follow: Follow,
    ) -> Result<(), Difference> {
        let what = format!("the entries of {id} that {follow:?} follows");
        let numbered = (1_u64..).zip(kinds.iter().copied());
        let expected: Vec<(u64, Kind)> = numbered.filter(|(_, kind)| follow.admits(*kind)).collect();
        let mut seen = Vec::new();
        while follow.after < kinds.len() as u64 {
            let followed = self.existing(&what, engine.entries_after(id, follow.clone()))?;
            self.expect_equal(&format!("{what}: the last number"), followed.last, kinds.len() as u64)?;
            let is_bounded = followed.data.len() <= follow.limit && followed.through > follow.after;
            self.expect_equal(&format!("{what}: a bounded step forward"), is_bounded, true)?;
            seen.extend(followed.data.iter().map(|record| (record.entry.n, record.entry.body.kind())));
            follow.after = followed.through;
        }
        self.expect_equal(&what, seen, expected)
    }
}
