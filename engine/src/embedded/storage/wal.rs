//! Damage in the WAL of the journal, looked for before SQLite opens it.
//!
//! SQLite reads a WAL up to the first frame that is not right, and takes the rest for a write that
//! a power cut tore. So one flipped bit would silently drop every acknowledged commit behind it.
//! But a torn write is the last one: a commit returns only after its frames were synced, and the
//! next commit begins after that. So if the frames from the first bad one on belong to more than
//! one commit, the bad frame is damage.
//!
//! A frame belongs to the WAL as it is now if it has the salts of the header. It follows the frame
//! before it if its checksum continues that frame's. Two commits are seen by a frame that follows a
//! commit frame, or by a page that comes twice, because a commit writes each page once.
//!
//! Frames that do not follow each other prove nothing together. If a commit fails, the next one
//! writes its frames over those of the failed one, with the same salts. A power cut then leaves
//! frames of both, and none of them was acknowledged.
//!
//! Not noticed: damage within the last commit, and a WAL that was cut or deleted. Only a state file
//! that knows later entries proves that.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The two magic numbers differ in the byte order of the checksum.
const MAGIC_LITTLE: u32 = 0x377f_0682;
const MAGIC_BIG: u32 = 0x377f_0683;
const PAGE_BYTES: std::ops::RangeInclusive<usize> = 512..=65_536;

/// The two running sums of SQLite's WAL checksum.
type Sums = (u32, u32);

/// The first bad frame of a WAL, from 1; 0 is the header. `None` if there is none, or if nothing
/// was committed behind it.
pub(crate) fn damaged_frame(path: &Path) -> std::io::Result<Option<u64>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER_BYTES];
    if !read_whole(&mut reader, &mut header)? {
        return Ok(None);
    }
    let mut scan = Scan::begin(&header);
    let mut frame = vec![0; FRAME_HEADER_BYTES + scan.page_bytes];
    while read_whole(&mut reader, &mut frame)? {
        scan.frame(&frame);
    }
    Ok(scan.damaged_frame())
}

/// Fills `bytes`; false if the file ends before.
fn read_whole(reader: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// A walk over the frames of a WAL.
struct Scan {
    page_bytes: usize,
    big_endian: bool,
    /// The salts of the header; the first frame's if the header is damaged.
    salts: Option<(u32, u32)>,
    /// The checksum of the frame before, as it is stored.
    stored: Sums,
    /// The same as it is computed, if the frame before is the first bad one: one of both is right
    /// if the damage is one flipped bit.
    computed: Option<Sums>,
    frames: u64,
    /// The first bad frame, and 0 if it is the header.
    first_bad: Option<u64>,
    /// The newest frames from the first bad one on that follow each other.
    consecutive: Consecutive,
    /// A commit that is not the last one follows the first bad frame or contains it.
    lost: bool,
}

/// Frames of which each follows the one before.
#[derive(Default)]
struct Consecutive {
    pages: BTreeSet<u32>,
    committed: bool,
}

impl Consecutive {
    /// Adds a frame; true if they are of two commits now.
    fn add(&mut self, page: u32, committed: bool) -> bool {
        let two_commits = self.committed || !self.pages.insert(page);
        self.committed |= committed;
        two_commits
    }
}

impl Scan {
    /// Reads the header.
    fn begin(header: &[u8; HEADER_BYTES]) -> Scan {
        let (magic, page_bytes) = (number(header, 0), number(header, 8) as usize);
        let big_endian = magic == MAGIC_BIG;
        let stored = (number(header, 24), number(header, 28));
        let computed = checksum(big_endian, (0, 0), &header[..24]);
        let right =
            (magic == MAGIC_LITTLE || big_endian) && PAGE_BYTES.contains(&page_bytes) && computed == stored;
        Scan {
            page_bytes: if right { page_bytes } else { super::sqlite::PAGE_BYTES },
            big_endian: big_endian && right,
            salts: right.then(|| (number(header, 16), number(header, 20))),
            stored,
            computed: (!right).then_some(computed),
            frames: 0,
            first_bad: (!right).then_some(0),
            consecutive: Consecutive::default(),
            lost: false,
        }
    }

    fn frame(&mut self, frame: &[u8]) {
        self.frames += 1;
        let (page, committed) = (number(frame, 0), number(frame, 4) != 0);
        let salts = (number(frame, 8), number(frame, 12));
        let sums_after = |before: Sums| {
            let sums = checksum(self.big_endian, before, &frame[..8]);
            checksum(self.big_endian, sums, &frame[FRAME_HEADER_BYTES..])
        };
        let stored = (number(frame, 16), number(frame, 20));
        let continued = sums_after(self.stored);
        let follows = *self.salts.get_or_insert(salts) == salts
            && (continued == stored || self.computed.is_some_and(|before| sums_after(before) == stored));
        self.computed = None;
        match self.first_bad {
            None if follows => {}
            None => {
                self.first_bad = Some(self.frames);
                self.computed = Some(continued);
                self.consecutive.add(page, committed);
            }
            Some(bad) if follows => {
                let two_commits = self.consecutive.add(page, committed);
                // The header is synced before the frames, so behind a bad one any commit counts.
                self.lost |= two_commits || (bad == 0 && self.consecutive.committed);
            }
            Some(_) => {
                self.consecutive = Consecutive::default();
                self.consecutive.add(page, committed);
            }
        }
        self.stored = stored;
    }

    fn damaged_frame(&self) -> Option<u64> {
        self.first_bad.filter(|_| self.lost)
    }
}

/// SQLite's checksum of a WAL, continued from `sums`. The length of `bytes` is a multiple of 8.
fn checksum(big_endian: bool, (mut one, mut two): Sums, bytes: &[u8]) -> Sums {
    for pair in bytes.as_chunks::<8>().0 {
        let (first, second) = pair.split_at(4);
        let word = |bytes: &[u8]| match big_endian {
            true => number(bytes, 0),
            false => number(bytes, 0).swap_bytes(),
        };
        one = one.wrapping_add(word(first)).wrapping_add(two);
        two = two.wrapping_add(word(second)).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const FRAME_BYTES: usize = FRAME_HEADER_BYTES + 8192;

    /// An open database of 8 KiB pages in WAL mode with an empty table.
    fn database(path: &Path) -> Connection {
        let connection = Connection::open(path).expect("a directory takes a file");
        let make = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                    CREATE TABLE block (first INTEGER PRIMARY KEY, data BLOB NOT NULL)";
        connection.execute_batch(make).expect("SQLite makes a table");
        connection
    }

    /// Commits a row of some bytes.
    fn commit(connection: &Connection, bytes: u32) {
        let sql = "INSERT INTO block SELECT count(*), zeroblob(?1) FROM block";
        connection.execute(sql, [bytes]).expect("the table takes a row");
    }

    fn wal_of(database: &Path) -> Vec<u8> {
        std::fs::read(database.with_extension("db-wal")).expect("an open database in WAL mode has a WAL")
    }

    /// The frames that end a commit, from 0.
    fn commits_of(wal: &[u8]) -> Vec<usize> {
        let frames = (wal.len() - HEADER_BYTES) / FRAME_BYTES;
        (0..frames).filter(|frame| number(wal, HEADER_BYTES + frame * FRAME_BYTES + 4) != 0).collect()
    }

    #[test]
    fn a_damaged_byte_with_a_commit_behind_it_is_found_and_a_torn_end_is_not() {
        // Commits of several frames each, and commits of one frame each.
        for bytes in [9_000, 90] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let path = directory.path().join("some.db");
            let connection = database(&path);
            commit(&connection, bytes);
            commit(&connection, bytes);
            let whole = wal_of(&path);
            let path = directory.path().join("copy");
            let found = |bytes: &[u8]| {
                std::fs::write(&path, bytes).expect("a temporary directory takes a file");
                damaged_frame(&path).expect("the file can be read")
            };
            assert_eq!(found(&whole), None);
            let commits = commits_of(&whole);
            assert!(commits.len() >= 3, "three commits were made");
            let end_of_last_but_one = commits[commits.len() - 2];
            for at in (0..whole.len()).step_by(97).chain(0..HEADER_BYTES + FRAME_HEADER_BYTES) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                let frame = at.checked_sub(HEADER_BYTES).map(|at| at / FRAME_BYTES);
                match frame {
                    None => assert_eq!(found(&damaged), Some(0), "byte {at} of the header"),
                    Some(frame) if frame <= end_of_last_but_one => {
                        assert_eq!(found(&damaged), Some(frame as u64 + 1), "byte {at}");
                    }
                    Some(_) => assert_eq!(found(&damaged), None, "byte {at} of the last commit"),
                }
            }
            for length in (0..whole.len()).step_by(511) {
                assert_eq!(found(&whole[..length]), None, "cut to {length}");
            }
        }
    }

    #[test]
    fn a_commit_over_the_frames_of_a_failed_one_may_be_torn() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (failed, next) = (directory.path().join("failed.db"), directory.path().join("next.db"));
        let failed_connection = database(&failed);
        std::fs::copy(&failed, &next).expect("a database can be copied");
        let before = wal_of(&failed);
        std::fs::write(next.with_extension("db-wal"), &before).expect("a WAL can be copied");
        commit(&failed_connection, 40_000);
        let next_connection = Connection::open(&next).expect("the copy opens");
        commit(&next_connection, 20_000);
        let (failed, next) = (wal_of(&failed), wal_of(&next));
        assert_eq!(failed[..before.len()], next[..before.len()], "both continue the same WAL");
        let frames = (next.len() - before.len()) / FRAME_BYTES;
        assert!(frames >= 3 && failed.len() >= next.len() + 2 * FRAME_BYTES, "frames of both are left");
        let path = directory.path().join("copy");
        for written in 0..1_u32 << frames {
            let mut torn = failed.clone();
            for frame in (0..frames).filter(|frame| written >> frame & 1 == 1) {
                let bytes = before.len() + frame * FRAME_BYTES..before.len() + (frame + 1) * FRAME_BYTES;
                torn[bytes.clone()].copy_from_slice(&next[bytes]);
            }
            std::fs::write(&path, &torn).expect("a temporary directory takes a file");
            let found = damaged_frame(&path).expect("the file can be read");
            assert_eq!(found, None, "frames {written:b} of the second commit were written");
        }
    }
}
