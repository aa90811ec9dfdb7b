//! Damage in the WAL of the journal, looked for before SQLite opens it.
//!
//! SQLite reads a WAL up to the first frame that is not right, and takes the rest for a write that
//! a power cut tore. So one flipped bit would silently drop every acknowledged commit behind it.
//! But a torn write is the last one: a commit returns only after its frames were synced, and the
//! next commit begins after that. So if the frames from the first bad one on belong to more than
//! one commit, the bad frame is damage.
//!
//! A frame belongs to the WAL as it is now if it has the salts of the header. It is right beside
//! the frame before it if its checksum follows from that frame's. Two commits are seen by a frame
//! after a commit frame, or by a page that comes twice, because a commit writes each page once.
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
    let Some(mut scan) = Scan::begin(&header) else { return Ok(None) };
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
    /// The salts of the header; `None` if the header is damaged, until a frame tells them.
    salts: Option<(u32, u32)>,
    /// The checksum that the next frame continues, while every frame was right.
    running: Option<Sums>,
    /// The stored checksum of the frame before.
    stored: Option<Sums>,
    frames: u64,
    /// The first bad frame.
    first_bad: Option<u64>,
    /// The page and commit mark of the first bad frame, while it is not known to be of this WAL.
    unsure: Option<(u32, bool)>,
    /// The pages from the first bad frame on.
    pages: BTreeSet<u32>,
    /// A commit ended at or after the first bad frame.
    committed: bool,
    /// A commit that is not the last one follows the first bad frame or contains it.
    two_commits: bool,
}

impl Scan {
    /// Reads the header; `None` if it is no header of a WAL at all.
    fn begin(header: &[u8; HEADER_BYTES]) -> Option<Scan> {
        let (magic, page_bytes) = (number(header, 0), number(header, 8) as usize);
        let sums = (number(header, 24), number(header, 28));
        let big_endian = magic == MAGIC_BIG;
        let right = (magic == MAGIC_LITTLE || big_endian)
            && PAGE_BYTES.contains(&page_bytes)
            && checksum(big_endian, (0, 0), &header[..24]) == sums;
        let scan = Scan {
            page_bytes: if right { page_bytes } else { super::sqlite::PAGE_BYTES },
            big_endian: big_endian && right,
            salts: right.then(|| (number(header, 16), number(header, 20))),
            running: right.then_some(sums),
            stored: right.then_some(sums),
            frames: 0,
            first_bad: (!right).then_some(0),
            unsure: None,
            pages: BTreeSet::new(),
            committed: false,
            two_commits: false,
        };
        Some(scan)
    }

    fn frame(&mut self, frame: &[u8]) {
        self.frames += 1;
        let (page, committed) = (number(frame, 0), number(frame, 4) != 0);
        let salts = (number(frame, 8), number(frame, 12));
        let stored = (number(frame, 16), number(frame, 20));
        let follows = |before: Sums| {
            let sums = checksum(self.big_endian, before, &frame[..8]);
            checksum(self.big_endian, sums, &frame[FRAME_HEADER_BYTES..]) == stored
        };
        let of_this_wal = *self.salts.get_or_insert(salts) == salts;
        if let Some(running) = self.running {
            if of_this_wal && follows(running) {
                self.running = Some(stored);
                self.stored = self.running;
                return;
            }
            self.running = None;
            self.first_bad = Some(self.frames);
            self.unsure = Some((page, committed));
            if of_this_wal {
                self.confirm_first_bad();
            }
        } else if of_this_wal && self.stored.is_some_and(follows) {
            self.confirm_first_bad();
            self.note(page, committed);
        }
        self.stored = Some(stored);
    }

    /// The first bad frame is of this WAL and not left over from an earlier one.
    fn confirm_first_bad(&mut self) {
        if let Some((page, committed)) = self.unsure.take() {
            self.note(page, committed);
        }
    }

    /// Notes a frame of this WAL at or after the first bad one.
    fn note(&mut self, page: u32, committed: bool) {
        self.two_commits |= self.committed || !self.pages.insert(page);
        self.committed |= committed;
    }

    fn damaged_frame(&self) -> Option<u64> {
        // A header is written and synced before the frames, so behind a bad one any commit counts.
        let lost = self.two_commits || (self.first_bad == Some(0) && self.committed);
        self.first_bad.filter(|_| lost)
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

    /// The WAL of three commits, each of a few pages.
    fn wal(directory: &Path) -> Vec<u8> {
        let path = directory.join("some.db");
        let connection = Connection::open(&path).expect("a directory takes a file");
        let make = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                    CREATE TABLE block (first INTEGER PRIMARY KEY, data BLOB NOT NULL)";
        connection.execute_batch(make).expect("SQLite makes a table");
        for first in [1, 2] {
            let sql = "INSERT INTO block VALUES (?1, zeroblob(9000))";
            connection.execute(sql, [first]).expect("the table takes a row");
        }
        std::fs::read(directory.join("some.db-wal")).expect("an open database in WAL mode has a WAL")
    }

    #[test]
    fn a_damaged_byte_with_a_commit_behind_it_is_found_and_a_torn_end_is_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let whole = wal(directory.path());
        let path = directory.path().join("copy");
        let found = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("a temporary directory takes a file");
            damaged_frame(&path).expect("the file can be read")
        };
        assert_eq!(found(&whole), None);
        let frame_bytes = FRAME_HEADER_BYTES + 8192;
        let frames = (whole.len() - HEADER_BYTES) / frame_bytes;
        let commits: Vec<usize> =
            (0..frames).filter(|frame| number(&whole, HEADER_BYTES + frame * frame_bytes + 4) != 0).collect();
        assert!(commits.len() >= 3, "three commits were made");
        let end_of_last_but_one = commits[commits.len() - 2];
        for at in (0..whole.len()).step_by(97).chain(0..HEADER_BYTES + FRAME_HEADER_BYTES) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let frame = at.checked_sub(HEADER_BYTES).map(|at| at / frame_bytes);
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
