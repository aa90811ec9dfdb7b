//! The audit of the key index: its pages against the journal, and its fences and filters against
//! its pages.
//!
//! A filter that misses a key makes a key new that was used, and a wrong fence leads to the wrong
//! page. So both are made again from the pages and compared.

use crate::Error;
use crate::embedded::storage::bloom::Bloom;
use crate::embedded::storage::key_index::{Pair, Run, pairs_of};
use crate::embedded::storage::state_db::StateFile;

/// Adds a pair to the checksum of an index. A sum, so that the order of the pairs does not matter.
pub(super) fn fold(sum: u64, (fingerprint, seq): Pair) -> u64 {
    sum.wrapping_add((fingerprint ^ seq.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What is wrong with the key index, if anything. `expected`: the checksum of the pairs that the
/// journal requires.
pub(super) fn index_disagrees(state: &StateFile, expected: u64) -> Result<Option<&'static str>, Error> {
    let mut sum = 0u64;
    for run in state.runs(&state.meta()?)? {
        let pairs = pairs_of_run(state, &run)?;
        sum = pairs.iter().copied().fold(0, fold).wrapping_add(sum);
        let mut bloom = Bloom::for_keys(run.head.pairs as usize);
        pairs.iter().for_each(|pair| bloom.insert(pair.0));
        if pairs.len() as u64 != run.head.pairs || !pairs.is_sorted() {
            return Ok(Some("the pages of a run in the key index are not those that were written"));
        }
        if bloom.to_bytes() != run.bloom.to_bytes() {
            return Ok(Some("a filter of the key index does not hold the keys of its pages"));
        }
    }
    Ok((sum != expected).then_some("the key index in the state file differs from the journal"))
}

/// All pairs of a run; damage if a fence is not the first fingerprint of its page.
fn pairs_of_run(state: &StateFile, run: &Run) -> Result<Vec<Pair>, Error> {
    let mut pairs = Vec::new();
    for (page, fence) in run.fences.iter().enumerate() {
        let from = pairs.len();
        state.page(run.head.id, page, |bytes| pairs.extend(pairs_of(bytes)))?;
        if pairs.get(from).map(|pair| pair.0) != Some(*fence) {
            return Err(state.damaged(format!("the fence of page {page} of run {} is wrong", run.head.id)));
        }
    }
    Ok(pairs)
}
