//! The audit of the key index: its pages against the journal, and its fences and filters against
//! its pages.
//!
//! A filter that misses a key makes a key new that was used, and a wrong fence leads to the wrong
//! page. So both are made again from the pages and compared.

use crate::Error;
use crate::embedded::storage::key_index::{Pair, Run, pairs_of};
use crate::embedded::storage::state_db::StateFile;

/// Adds a pair to the checksum of an index. A sum, so that the order of the pairs does not matter.
pub(super) fn fold(sum: u64, (fingerprint, seq): Pair) -> u64 {
    sum.wrapping_add((fingerprint ^ seq.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What is wrong with the key index, if anything. `expected`: the checksum of the pairs that the
/// journal requires.
pub(super) fn index_disagrees(state: &StateFile, expected: u64) -> Result<Option<&'static str>, Error> {
    let (mut sum, mut what) = (0u64, None);
    state.each_run(&state.meta()?, |run| {
        let mut filter = run.bloom.check();
        let (mut pairs, mut last, mut is_sorted) = (0u64, None, true);
        each_pair(state, &run, |pair| {
            sum = fold(sum, pair);
            filter.add(pair.0);
            pairs += 1;
            is_sorted &= last <= Some(pair);
            last = Some(pair);
        })?;
        if !filter.finish() {
            what = Some("a filter of the key index does not hold the keys of its pages");
        }
        if pairs != run.head.pairs || !is_sorted {
            what = Some("the pages of a run in the key index are not those that were written");
        }
        Ok(())
    })?;
    let differs = (sum != expected).then_some("the key index in the state file differs from the journal");
    Ok(what.or(differs))
}

/// Visits all pairs of a run, page by page; damage if a fence is not the first fingerprint of its
/// page.
fn each_pair(state: &StateFile, run: &Run, mut visit: impl FnMut(Pair)) -> Result<(), Error> {
    let mut pairs = Vec::new();
    for (page, fence) in run.fences.iter().enumerate() {
        pairs.clear();
        state.page(run.head.id, page, |bytes| pairs.extend(pairs_of(bytes)))?;
        if pairs.first().map(|pair| pair.0) != Some(*fence) {
            return Err(state.damaged(format!("the fence of page {page} of run {} is wrong", run.head.id)));
        }
        pairs.iter().copied().for_each(&mut visit);
    }
    Ok(())
}
