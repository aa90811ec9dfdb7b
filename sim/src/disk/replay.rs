//! Replays the log up to an operation and computes what a machine may hold after a power failure
//! there.
//!
//! The replayer walks the log once. For each file it keeps the durable bytes and the changes that
//! no sync has covered yet. So images for ascending indices cost one walk and then only their own
//! bytes.
//!
//! What may survive of the changes that no sync covers:
//! - A sector (512 bytes) is written whole or not at all, and holds what it held at some moment
//!   since the last sync. Of three writes to it, none, the first, the first two or all three
//!   survive, never the third alone. Different sectors are independent, within one write and
//!   between writes: that is reordering.
//! - Bytes of a sector that no write touched never change. The system's VFS promises this to SQLite
//!   (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`), which relies on it.
//! - A write past the end of a file may extend it although none of its bytes arrived; they read as
//!   zeros. Or the file stays short.
//! - A truncation may be lost although later writes survive.
//!
//! Guarantee: each image contains all synced changes. An image depends only on the prefix of the
//! log, the kind of survivors and the seed.
//! Not here: lost directory entries, which are durable at once (`mod.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::image::CrashImage;
use super::log::{Op, SECTOR_BYTES};
use crate::random::Random;

/// Which of the changes that no sync has covered survive the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// All of them. This is also what a killed process leaves, because the system keeps its
    /// buffers.
    All,
    /// None of them: exactly what was synced survives.
    None,
    /// The changes before a moment drawn at random, across all files.
    Prefix,
    /// As `Prefix`, and of the next write only the first few sectors.
    TornPrefix,
    /// Each sector independently, in any order.
    Scattered,
}

impl Survivors {
    /// All kinds of survivors.
    pub const EACH: [Survivors; 5] =
        [Survivors::All, Survivors::None, Survivors::Prefix, Survivors::TornPrefix, Survivors::Scattered];
}

/// The state of a walk through the log.
#[derive(Clone, Debug, Default)]
pub struct Replayer {
    position: usize,
    files: BTreeMap<Arc<str>, File>,
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Arc<Vec<u8>>,
    pending: Vec<Pending>,
}

/// A change that no sync has covered, with its index in the log.
#[derive(Clone, Debug)]
struct Pending {
    index: usize,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Arc<[u8]> },
    Truncate { size: usize },
}

/// What was drawn for one image, before looking at single changes.
enum Fate {
    /// Changes before this index in the log survive; of the change at this index, its first
    /// `torn_sectors` do.
    Before { index: usize, torn_sectors: usize },
    /// Each sector survives with this probability.
    Scattered { per_mille: u64 },
}

impl Replayer {
    /// A replayer at the start of the log.
    pub fn new() -> Replayer {
        Replayer::default()
    }

    /// The number of operations replayed so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Replays the next operations of the log.
    pub fn advance(&mut self, ops: &[Op]) {
        for op in ops {
            self.replay(op);
            self.position += 1;
        }
    }

    /// What the machine may hold after a power failure now.
    pub fn crash(&self, survivors: Survivors, random: &mut Random) -> CrashImage {
        let fate = self.draw_fate(survivors, random);
        let files = self.files.iter().map(|(name, file)| (name.clone(), file.after(&fate, random)));
        CrashImage::new(files.collect())
    }

    fn replay(&mut self, op: &Op) {
        match op {
            Op::Found { file, bytes } => {
                let found = File { durable: Arc::new(bytes.to_vec()), pending: Vec::new() };
                self.files.insert(file.clone(), found);
            }
            Op::Create { file } => {
                self.files.insert(file.clone(), File::default());
            }
            Op::Write { file, offset, bytes } => {
                let change = Change::Write { offset: in_memory(*offset), bytes: bytes.clone() };
                self.postpone(file, change);
            }
            Op::Truncate { file, size } => {
                self.postpone(file, Change::Truncate { size: in_memory(*size) });
            }
            Op::Sync { file } => self.existing(file).sync(),
            Op::Delete { file } => {
                self.files.remove(file);
            }
        }
    }

    fn postpone(&mut self, file: &str, change: Change) {
        let index = self.position;
        self.existing(file).pending.push(Pending { index, change });
    }

    fn existing(&mut self, file: &str) -> &mut File {
        self.files.get_mut(file).expect("the recorder notes a file's arrival before its changes")
    }

    fn draw_fate(&self, survivors: Survivors, random: &mut Random) -> Fate {
        match survivors {
            Survivors::All => Fate::Before { index: self.position, torn_sectors: 0 },
            Survivors::None => Fate::Before { index: 0, torn_sectors: 0 },
            Survivors::Prefix => Fate::Before { index: self.draw_moment(random).0, torn_sectors: 0 },
            Survivors::TornPrefix => {
                let (index, sectors) = self.draw_moment(random);
                let torn_sectors = if sectors > 1 { 1 + random.index(sectors - 1) } else { 0 };
                Fate::Before { index, torn_sectors }
            }
            // High and low probabilities find other faults than an even one.
            Survivors::Scattered => Fate::Scattered { per_mille: *random.pick(&[100, 500, 900]) },
        }
    }

    /// The index and the number of sectors of a pending change drawn at random; or the end of the
    /// log.
    fn draw_moment(&self, random: &mut Random) -> (usize, usize) {
        let pending = self.files.values().flat_map(|file| &file.pending);
        let mut moments: Vec<_> = pending.map(|pending| (pending.index, pending.change.sectors())).collect();
        moments.sort_unstable();
        moments.push((self.position, 0));
        *random.pick(&moments)
    }
}

impl File {
    /// Makes all pending changes durable.
    fn sync(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let contents = Arc::make_mut(&mut self.durable);
        for pending in self.pending.drain(..) {
            pending.change.apply(contents);
        }
    }

    fn after(&self, fate: &Fate, random: &mut Random) -> Arc<Vec<u8>> {
        if self.pending.is_empty() {
            return self.durable.clone();
        }
        let mut contents = self.durable.clone();
        match fate {
            Fate::Before { index, torn_sectors } => {
                for pending in self.pending.iter().take_while(|pending| pending.index <= *index) {
                    let contents = Arc::make_mut(&mut contents);
                    if pending.index < *index {
                        pending.change.apply(contents);
                    } else {
                        pending.change.apply_torn(*torn_sectors, contents);
                    }
                }
            }
            Fate::Scattered { per_mille } => {
                self.scatter(*per_mille, random, Arc::make_mut(&mut contents));
            }
        }
        contents
    }

    /// Applies the pending changes sector by sector, each kept or lost at random. A sector that
    /// lost one write also loses the later ones, because the system writes a sector with all its
    /// changes.
    fn scatter(&self, per_mille: u64, random: &mut Random, contents: &mut Vec<u8>) {
        let mut stale = BTreeSet::new();
        for pending in &self.pending {
            match &pending.change {
                Change::Write { offset, bytes } => {
                    for (sector, part) in sectors(*offset, bytes.len()) {
                        if !stale.contains(&sector) && random.chance(per_mille) {
                            put(contents, offset + part.start, &bytes[part]);
                        } else {
                            stale.insert(sector);
                        }
                    }
                    let end = offset + bytes.len();
                    if contents.len() < end && random.chance(500) {
                        contents.resize(end, 0);
                    }
                }
                Change::Truncate { .. } => {
                    if random.chance(per_mille) {
                        pending.change.apply(contents);
                        // The sectors after the new end are gone, and later writes to them start
                        // fresh.
                        stale.split_off(&contents.len().div_ceil(SECTOR_BYTES));
                    }
                }
            }
        }
    }
}

impl Change {
    fn sectors(&self) -> usize {
        match self {
            Change::Write { offset, bytes } => sectors(*offset, bytes.len()).count(),
            Change::Truncate { .. } => 0,
        }
    }

    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(contents, *offset, bytes),
            Change::Truncate { size } => contents.resize(*size, 0),
        }
    }

    fn apply_torn(&self, kept_sectors: usize, contents: &mut Vec<u8>) {
        if let Change::Write { offset, bytes } = self {
            for (_, part) in sectors(*offset, bytes.len()).take(kept_sectors) {
                put(contents, offset + part.start, &bytes[part]);
            }
        }
    }
}

/// The sectors that a write touches, each with the range of the write's bytes in it.
fn sectors(offset: usize, length: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let end = offset + length;
    let touched = offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
    touched.map(move |sector| {
        let from = (sector * SECTOR_BYTES).max(offset);
        let to = ((sector + 1) * SECTOR_BYTES).min(end);
        (sector, from - offset..to - offset)
    })
}

/// Writes bytes as a file system does: a gap before them reads as zeros.
fn put(contents: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[offset..end].copy_from_slice(bytes);
}

fn in_memory(position: u64) -> usize {
    usize::try_from(position).expect("a test's files fit in memory")
}
