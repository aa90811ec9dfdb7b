//! From the log to what a machine may hold after losing power.
//!
//! The replayer walks the log once, keeping for each file its durable bytes and the changes no sync has
//! covered yet, so that images for a rising index cost the log once and then only what each image itself
//! holds.
//!
//! What may survive of the uncovered changes:
//! - A sector (512 bytes) is written whole or not at all, and holds what it held at some moment since the
//!   last sync: of three writes to it none, the first, the first two or all three are there, never the third
//!   without the others. Different sectors are independent of each other, within one write and between
//!   writes: that is reordering.
//! - Bytes of a sector that no write touched are never harmed. SQLite is told so by the system's file layer
//!   (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`), and relies on it.
//! - A write past the end may lengthen the file though none of its bytes arrived: zeros are read there. Or
//!   the file stays short.
//! - A truncation may be lost although later writes are there.
//!
//! Keeps: what a sync covered is in every image; an image depends on the log's prefix, the choice and the
//! seed alone.
//! Not here: the loss of directory entries (creations and deletions are durable at once, see `mod.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::image::CrashImage;
use super::log::{Op, SECTOR_BYTES};
use crate::random::Random;

/// Which of the changes that no sync has covered are on the disk after the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// All of them. It is also what a killed process leaves, for the system goes on and keeps its buffers.
    All,
    /// None: exactly what was synced.
    None,
    /// Those before a moment drawn at random, across all files.
    Prefix,
    /// As `Prefix`, and of the next write only the first few sectors.
    TornPrefix,
    /// Each sector for itself, in no order.
    Scattered,
}

impl Survivors {
    /// Every kind of survival.
    pub const EACH: [Survivors; 5] =
        [Survivors::All, Survivors::None, Survivors::Prefix, Survivors::TornPrefix, Survivors::Scattered];
}

/// A walk through the log.
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

/// A change no sync has covered, with its place in the log.
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

/// What was decided for one image, before looking at single changes.
enum Fate {
    /// Changes before this place in the log are there; of the change at this place its first `torn_sectors`.
    Before { index: usize, torn_sectors: usize },
    /// Each sector is there in so many cases of a thousand.
    Scattered { per_mille: u64 },
}

impl Replayer {
    /// A replayer at the start of the log.
    pub fn new() -> Replayer {
        Replayer::default()
    }

    /// How many operations have been replayed.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Replays the operations that follow in the log.
    pub fn advance(&mut self, ops: &[Op]) {
        for op in ops {
            self.replay(op);
            self.position += 1;
        }
    }

    /// What a machine that loses power now may hold.
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
            Op::Sync { file } => self.existing(file).settle(),
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
            // Rare survivors and rare losses find other faults than an even mixture does.
            Survivors::Scattered => Fate::Scattered { per_mille: *random.pick(&[100, 500, 900]) },
        }
    }

    /// A pending change drawn at random, by its place in the log and the number of sectors it touches; or the
    /// end.
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
    fn settle(&mut self) {
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

    /// Applies the pending changes sector by sector, each kept or lost by chance. A sector that lost one
    /// write loses the later ones too: whoever writes a sector to the device writes all that memory holds of
    /// it.
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
                        // What lay behind the cut is gone, and what will lie there starts afresh.
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

/// The sectors a write touches, each with the part of the write's bytes that falls into it.
fn sectors(offset: usize, length: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let end = offset + length;
    let touched = offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
    touched.map(move |sector| {
        let from = (sector * SECTOR_BYTES).max(offset);
        let to = ((sector + 1) * SECTOR_BYTES).min(end);
        (sector, from - offset..to - offset)
    })
}

/// Writes as a file system does: a gap before the bytes reads as zeros.
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
