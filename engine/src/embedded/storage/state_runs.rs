//! The runs of the key index in the state file: their descriptions, filters and pages.
//!
//! A filter is stored in parts, because a value of SQLite has a largest size. So memory holds a
//! filter once while it is read or written. Each part carries a checksum of its own. How many parts
//! there are follows from the number of pairs in the description of the run.

use rusqlite::{Connection, Row};

use super::bloom::{Bloom, PART_BYTES};
use super::key_index::{PAGE_PAIRS, Run, RunHead, SeqRange};
use super::state_db::StateFile;
use super::state_meta::Meta;
use super::state_rows;
use crate::Error;

/// The runs, oldest first, without those that a merge replaced or left unfinished: a run inside the
/// range of another was merged into it, and is not deleted yet.
const RUNS: &str = "SELECT id, tier, first, last, pairs, pages, fences, crc FROM run AS r WHERE whole
    AND NOT EXISTS (SELECT 1 FROM run AS m WHERE m.whole AND m.id <> r.id AND m.tier > r.tier
    AND m.first <= r.first AND m.last >= r.last) ORDER BY first";

/// The statement that [`checked_page`] reads a row of.
pub(super) const PAGE: &str = "SELECT data, crc FROM run_page WHERE run = ?1 AND page = ?2";

impl StateFile {
    /// The runs of the key index, oldest first. [`Error::is_damaged`] if one is missing: a key
    /// would not be found, and what it paid for would be paid again.
    pub(crate) fn runs(&self, meta: &Meta) -> Result<Vec<Run>, Error> {
        let mut runs = Vec::new();
        self.each_run(meta, |run| {
            runs.push(run);
            Ok(())
        })?;
        Ok(runs)
    }

    /// Calls `visit` with each of them. A filter is large, so one is read at a time.
    pub(crate) fn each_run(
        &self,
        meta: &Meta,
        mut visit: impl FnMut(Run) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (head, fences) in self.described_runs(meta)? {
            visit(Run { head, bloom: self.filter(&head)?, fences })?;
        }
        Ok(())
    }

    /// The descriptions of the same runs.
    pub(super) fn run_heads(&self, meta: &Meta) -> Result<Vec<RunHead>, Error> {
        Ok(self.described_runs(meta)?.into_iter().map(|(head, _)| head).collect())
    }

    /// The runs without their filters.
    fn described_runs(&self, meta: &Meta) -> Result<Vec<(RunHead, Vec<u64>)>, Error> {
        let rows = self.all(RUNS, [], read_description)?;
        let runs = rows.into_iter().collect::<Option<Vec<_>>>();
        let runs = runs.ok_or_else(|| self.damaged("a run of keys or its fences are damaged"))?;
        let missing =
            |next: u64| self.damaged(format!("the keys of journal entries {next} and later are missing"));
        let mut next = 1;
        for (head, _) in &runs {
            if head.covers.first != next {
                return Err(missing(next));
            }
            next = head.covers.last + 1;
        }
        if next == meta.keys_persisted_to + 1 { Ok(runs) } else { Err(missing(next)) }
    }

    /// The filter of a run.
    fn filter(&self, head: &RunHead) -> Result<Bloom, Error> {
        let mut bloom = Bloom::for_keys(head.pairs as usize);
        for part in 0..bloom.parts() {
            let sql = "SELECT data, crc FROM run_filter WHERE run = ?1 AND part = ?2";
            let read = self.one(sql, (head.id, part as i64), |row| {
                let data = row.get_ref(0)?.as_blob()?;
                let whole = row.get::<_, i64>(1)? == state_rows::filter_crc(head.id, part, data);
                Ok(whole && bloom.set_part(part, data))
            })?;
            if read != Some(true) {
                return Err(self.damaged(format!("the filter of run {} of the keys is damaged", head.id)));
            }
        }
        Ok(bloom)
    }

    /// Reads a page of a run, which must exist.
    pub(crate) fn page<T>(&self, run: i64, page: usize, read: impl FnOnce(&[u8]) -> T) -> Result<T, Error> {
        let found = self.one(PAGE, (run, page as i64), |row| Ok(checked_page(row, run, page)?.map(read)))?;
        found.flatten().ok_or_else(|| self.damaged(damaged_page(run, page)))
    }
}

/// Writes the filter of a run.
pub(super) fn put_filter(connection: &Connection, run: i64, bloom: &Bloom) -> rusqlite::Result<()> {
    let sql = "INSERT INTO run_filter (run, part, data, crc) VALUES (?1, ?2, ?3, ?4)";
    let mut put = connection.prepare_cached(sql)?;
    for part in 0..bloom.parts() {
        let data = bloom.part(part);
        assert!(data.len() <= PART_BYTES, "a part of a filter is small enough for SQLite");
        put.execute((run, part as i64, &data, state_rows::filter_crc(run, part, &data)))?;
    }
    Ok(())
}

/// The bytes of a page of a run; `None` if they are not what was written.
pub(super) fn checked_page<'a>(row: &'a Row, run: i64, page: usize) -> rusqlite::Result<Option<&'a [u8]>> {
    let data = row.get_ref(0)?.as_blob()?;
    let whole = row.get::<_, i64>(1)? == state_rows::page_crc(run, page, data);
    Ok(Some(data).filter(|data| whole && data.len().is_multiple_of(16) && data.len() <= 16 * PAGE_PAIRS))
}

/// What is wrong with a page that is damaged or missing.
pub(super) fn damaged_page(run: i64, page: usize) -> String {
    format!("page {page} of run {run} of the keys is damaged or missing")
}

/// Reads the description and the fences of a run; `None` if they are not what was written.
fn read_description(row: &Row) -> rusqlite::Result<Option<(RunHead, Vec<u64>)>> {
    let head = RunHead {
        id: row.get(0)?,
        tier: row.get(1)?,
        covers: SeqRange { first: row.get::<_, i64>(2)? as u64, last: row.get::<_, i64>(3)? as u64 },
        pairs: row.get::<_, i64>(4)? as u64,
        pages: row.get::<_, i64>(5)? as usize,
    };
    let fence_bytes = row.get_ref(6)?.as_blob()?;
    let fences = fence_bytes.as_chunks::<8>().0.iter().map(|fence| u64::from_le_bytes(*fence));
    let fences: Vec<u64> = fences.collect();
    let SeqRange { first, last } = head.covers;
    let whole = fences.len() == head.pages && fences.is_sorted() && first <= last;
    let whole = whole && row.get::<_, i64>(7)? == state_rows::run_crc(&head, fence_bytes);
    Ok(whole.then_some((head, fences)))
}

#[cfg(test)]
mod tests {
    use rusqlite::limits::Limit;

    use super::super::checkpoint_task::{Task, TaskResult};
    use super::super::checkpointer::Checkpointer;
    use super::super::sqlite::Access;
    use super::super::state_meta::KnownEntry;
    use super::*;
    use crate::embedded::storage::journal::Journal;

    #[test]
    fn a_filter_larger_than_a_value_of_sqlite_may_be_is_stored_and_read() {
        let scratch = tempfile::tempdir().expect("a directory");
        let _journal = Journal::open(scratch.path(), None, Access::Create).expect("it is made");
        let mut checkpointer = Checkpointer::open(scratch.path(), None, [7; 16]).expect("it is made");
        let limit = (PART_BYTES + 4_096) as i32;
        let keys = PART_BYTES as u64;
        let lower = |state: &StateFile| {
            state.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, limit).expect("a limit can be lowered");
        };
        lower(checkpointer.state());
        let pairs = (0..keys).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1)).collect();
        let known = KnownEntry { seq: 1, ..KnownEntry::default() };
        let task = Task::Run { pairs, covers: SeqRange { first: 1, last: 1 }, known };
        let Some(TaskResult::Run(written)) = checkpointer.perform(task) else { panic!("the run is written") };
        let state = StateFile::open(scratch.path(), None, Access::Read).expect("it is there");
        lower(&state);
        let meta = state.meta().expect("it is whole");
        let runs = state.runs(&meta).expect("every part is read");
        assert_eq!((runs.len(), runs[0].head), (1, written.head));
        assert!(runs[0].bloom == written.bloom && written.bloom.parts() > 1);
        let sql = "DELETE FROM run_filter WHERE part = 1";
        checkpointer.state().connection.execute(sql, []).expect("the table is there");
        assert!(state.runs(&meta).expect_err("a part is missing").is_damaged_state());
    }

    #[test]
    fn runs_that_a_merge_replaced_are_deleted_at_the_next_start() {
        let scratch = tempfile::tempdir().expect("a directory");
        let _journal = Journal::open(scratch.path(), None, Access::Create).expect("it is made");
        let open = || Checkpointer::open(scratch.path(), None, [7; 16]).expect("it opens");
        let mut checkpointer = open();
        let mut write = |seq: u64| {
            let known = KnownEntry { seq, ..KnownEntry::default() };
            let covers = SeqRange { first: seq, last: seq };
            match checkpointer.perform(Task::Run { pairs: vec![(seq << 40, seq)], covers, known }) {
                Some(TaskResult::Run(run)) => run.head,
                other => panic!("the run is written: {other:?}"),
            }
        };
        let heads = vec![write(1), write(2), write(3)];
        checkpointer.perform(Task::Merge(heads));
        let merged = std::iter::from_fn(|| Some(checkpointer.continue_merge())).flatten().next();
        let Some(TaskResult::Merged(merged)) = merged else { panic!("the runs are merged: {merged:?}") };
        // The process ends before it deletes the runs.
        drop(checkpointer);
        let checkpointer = open();
        let state = checkpointer.state();
        let heads = state.run_heads(&state.meta().expect("it is whole"));
        assert_eq!(heads.expect("they are whole"), [merged.head]);
        for (table, run) in [("run", "id"), ("run_page", "run"), ("run_filter", "run")] {
            let sql = format!("SELECT DISTINCT {run} FROM {table}");
            let runs = state.all(&sql, [], |row| row.get::<_, i64>(0)).expect("the table is there");
            assert_eq!(runs, [merged.head.id], "the rows of {table}");
        }
    }
}
