//! The entries of a workspace behind a number, read from the journal.
//!
//! The chain of a workspace leads backwards, and no index leads from a number to its entry. A
//! follower is nearly always close to the end, so the walk begins there. Otherwise the walk begins
//! as near as a search can find: first among the hours of the workspace, each of which has the
//! place of its last entry, then by halving the journal within the hour.

use tollkeeper_ledger::WorkspaceId;

use super::lists::Reader;
use crate::embedded::core::delta::Wanted;
use crate::embedded::core::queries::ChainEnd;
use crate::embedded::storage::block::Stored;
use crate::follow::Collected;
use crate::{EntryRecord, Error, Follow, Followed};

/// Entries that a walk passes over at the end of a journal before a search is quicker.
const NEAR: u64 = 1_024;

/// Where an entry is: its sequence number, and its number in the workspace.
#[derive(Clone, Copy, Debug)]
struct Place {
    seq: u64,
    n: u64,
}

impl Reader {
    /// Answers [`Query::EntriesAfter`](crate::Query::EntriesAfter).
    pub(crate) fn entries_after(&self, id: &WorkspaceId, follow: &Follow) -> Result<Option<Followed>, Error> {
        let asked = id.clone();
        let Some(end) = self.core.blocking_read(move |core| core.chain_end(&asked))? else {
            return Ok(None);
        };
        let through = follow.through(end.n);
        let mut collected = Collected::new(follow, through);
        if follow.after < through {
            let is_near = end.n - through <= NEAR;
            let begin = if is_near { place_of(&end) } else { self.place_behind(id, &end, through)? };
            self.walk_back(end.account_index, begin, through, follow, &mut collected)?;
        }
        Ok(Some(collected.into_followed(end.n)))
    }

    /// Walks from an entry at `through` or behind it back to the entry after the one that is
    /// followed.
    fn walk_back(
        &self,
        account_index: u32,
        begin: Place,
        through: u64,
        follow: &Follow,
        collected: &mut Collected,
    ) -> Result<(), Error> {
        let Place { mut seq, mut n } = begin;
        assert!(n >= through, "a walk begins behind what is wanted");
        while n > follow.after {
            seq = self.stored(seq, |stored| {
                if stored.header.account_index != account_index {
                    return Err(Error::damaged(format!("journal entry {seq} is of another workspace")));
                }
                if n <= through {
                    let entry = stored.entry()?;
                    if entry.n != n {
                        return Err(Error::damaged(format!("journal entry {seq} is not number {n}")));
                    }
                    if follow.admits(entry.body.kind()) {
                        let record = EntryRecord { entry, hash: stored.hash() };
                        collected.push_older(record, stored.bytes.len());
                    }
                }
                Ok(stored.header.previous)
            })?;
            n -= 1;
        }
        Ok(())
    }

    /// An entry with the number `n` or a higher one that is as near to it as a search finds.
    fn place_behind(&self, id: &WorkspaceId, end: &ChainEnd, n: u64) -> Result<Place, Error> {
        let (before, behind) = self.hours_around(id, end, n)?;
        self.halve(end.account_index, before, behind, n)
    }

    /// The last entries of two hours: of the last hour that ends before number `n`, the sequence
    /// number only, and of the first that ends with it or behind it; or the end of the journal.
    fn hours_around(&self, id: &WorkspaceId, end: &ChainEnd, n: u64) -> Result<(u64, Place), Error> {
        let look = |reader: &Reader, index| {
            Ok((Wanted::Entries { up_to: None }, reader.state.account_n(index)? > 0))
        };
        let found = self.with_delta(id, look, |reader, _, is_in_file| {
            let (mut before, mut behind) = (0, place_of(end));
            if !is_in_file {
                return Ok((before, behind));
            }
            let newest = reader.state.hour(end.account_index, i64::MAX)?;
            let (mut low, mut high) = (0, newest.map_or(0, |(hour, _)| hour.saturating_add(1)));
            while low < high {
                let middle = low + (high - low) / 2;
                let Some((hour, seq)) = reader.state.hour(end.account_index, middle)? else {
                    low = middle + 1;
                    continue;
                };
                let last = reader.stored(seq, |stored| Ok(stored.entry()?.n))?;
                if last >= n {
                    (behind, high) = (Place { seq, n: last }, hour);
                } else {
                    (before, low) = (seq, middle + 1);
                }
            }
            Ok((before, behind))
        })?;
        Ok(found.unwrap_or((0, place_of(end))))
    }

    /// Halves the journal between two entries as long as it finds entries of the account there.
    /// Where they are sparse, there are few to walk over.
    fn halve(&self, account_index: u32, before: u64, behind: Place, n: u64) -> Result<Place, Error> {
        let mut place = behind;
        self.search_back(account_index, (before, behind.seq), |stored: &Stored| {
            let found = Place { seq: stored.header.seq, n: stored.entry()?.n };
            let is_behind = found.n >= n;
            if is_behind && found.n < place.n {
                place = found;
            }
            Ok(is_behind)
        })?;
        assert!(place.n >= n && place.seq <= behind.seq, "a search goes back, and not too far");
        Ok(place)
    }
}

fn place_of(end: &ChainEnd) -> Place {
    Place { seq: end.seq, n: end.n }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{
        ChargeRequest, Command, GrantRequest, Kind, Micros, OperationId, OperationPrice, Source, Submission,
        Timestamp,
    };

    use super::*;
    use crate::embedded::test_commands::{submission, workspace};
    use crate::embedded::{CoreOptions, Embedded};
    use crate::{Engine, Reads};

    /// Charges of each hour, of the workspace that is followed and of another one.
    const HOURS: [(usize, usize); 7] =
        [(3_000, 0), (1, 900), (0, 400), (2_500, 2_500), (10, 4_000), (2_000, 1), (1_500, 1_500)];

    fn charges(hour: usize) -> Vec<Submission> {
        let charge = |name: &str, n: usize| {
            let operation = OperationId::new("message").expect("the id is valid");
            let command = Command::Charge(ChargeRequest::new(operation, 1));
            submission(workspace(name), &format!("{hour}-{n}"), command)
        };
        let (followed, other) = HOURS[hour];
        // Both are spread over the hour.
        let mut all: Vec<(usize, Submission)> =
            (0..followed).map(|n| (n * 1_000 / followed, charge("followed", n))).collect();
        all.extend((0..other).map(|n| (n * 1_000 / other, charge("other", n))));
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, submission)| submission).collect()
    }

    async fn write(engine: &Embedded, hour: usize, batch: Vec<Submission>) {
        let now = Timestamp::from_millis(1_767_225_600_000 + 3_600_000 * hour as i64);
        for result in engine.run_batch(batch, now).await.expect("a healthy disk") {
            result.expect("it is accepted");
        }
    }

    async fn begin(engine: &Embedded) {
        let id = OperationId::new("message").expect("the id is valid");
        let price = OperationPrice { id, price: Micros::new(1).into(), timeout_seconds: None };
        let prices = Command::SetPrices { operations: vec![price], effective_at: None };
        let mut batch = vec![submission(WorkspaceId::platform(), "prices", prices)];
        for name in ["other", "followed"] {
            let credit = GrantRequest::new(Source::Promotional, Micros::new(1_000_000));
            batch.push(submission(workspace(name), "new", Command::CreateWorkspace(Default::default())));
            batch.push(submission(workspace(name), "credit", Command::Grant(credit)));
        }
        write(engine, 0, batch).await;
    }

    #[test]
    fn every_place_of_a_long_journal_is_found() {
        let scratch = tempfile::tempdir().expect("a directory");
        let options = CoreOptions { round_entries: 2_000, ..CoreOptions::default() };
        let engine =
            Embedded::open_with_options(scratch.path(), options, 64).expect("a fresh directory opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        let id = workspace("followed");
        runtime.block_on(async {
            begin(&engine).await;
            for hour in 0..HOURS.len() {
                write(&engine, hour, charges(hour)).await;
            }
            let expected = 2 + HOURS.iter().map(|(followed, _)| *followed as u64).sum::<u64>();
            for after in (0..expected).step_by(97).chain([expected - 1]) {
                let follow = Follow { after, kinds: None, limit: 50 };
                let found = engine.entries_after(&id, follow).await.expect("it reads").expect("it exists");
                let numbers: Vec<u64> = found.data.iter().map(|record| record.entry.n).collect();
                let wanted: Vec<u64> = (after + 1..=expected.min(after + 50)).collect();
                assert_eq!((numbers, found.last), (wanted, expected));
            }
            let grants = Follow { after: 0, kinds: Some(vec![Kind::Granted]), limit: 50 };
            let found = engine.entries_after(&id, grants).await.expect("it reads").expect("it exists");
            let numbers: Vec<u64> = found.data.iter().map(|record| record.entry.n).collect();
            assert_eq!((numbers, found.through), (vec![2], 2_048), "a bounded number was looked at");
            engine.close().await.expect("a healthy disk");
        });
    }
}
