//! Reads a stream: checks every record, and reports the position of the first one that is wrong.

use std::collections::HashSet;
use std::io::Read;

use tollkeeper_ledger::{Entry, Hash, PersonalText, WorkspaceId};

use super::format::{
    Counts, END, END_BYTES, ENTRY, FIRST_VERSION, MAGIC, RECORD_MAX_BYTES, SALT_BYTES, TEXT, TEXTS_MAX,
    VERSION,
};
use crate::Error;
use crate::hash::digest;
use crate::personal::{TextsInEntry, personal_text};

/// A stream being read.
#[derive(Debug)]
pub struct StreamReader<R> {
    from: R,
    sum: crc32fast::Hasher,
    record: Vec<u8>,
    /// Where the record under way is.
    position: Position,
    /// The number of bytes that were read.
    at: u64,
    counts: Counts,
    journals: HashSet<WorkspaceId>,
    last: Option<WorkspaceId>,
    ended: bool,
}

/// Where a record is in its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the record, from 1.
    pub record: u64,
    /// The number of bytes before it.
    pub byte: u64,
}

impl Position {
    /// The error for a record that is wrong in this way.
    pub(crate) fn damaged(self, what: &str) -> Error {
        Error::damaged(format!("record {}, at byte {}: {what}", self.record, self.byte))
            .with_hint("what came before it is imported and stays; export again and repeat the import")
    }
}

/// An entry of a stream, with what it was read from.
#[derive(Clone, Debug)]
pub struct StreamEntry {
    /// Where its record is in the stream.
    pub position: Position,
    /// The workspace whose journal it belongs to.
    pub workspace: WorkspaceId,
    /// The entry.
    pub entry: Entry,
    /// Its canonical bytes.
    pub bytes: Box<[u8]>,
    /// Their SHA-256, which the next entry carries.
    pub hash: Hash,
    /// The texts about a person that it is the first to name, without erased ones.
    pub texts: Vec<PersonalText>,
}

impl<R: Read> StreamReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`Error::is_damaged`] when this is no stream of a version this program knows.
    pub fn begin(from: R) -> Result<StreamReader<R>, Error> {
        let mut stream = StreamReader {
            from,
            sum: crc32fast::Hasher::new(),
            record: Vec::new(),
            position: Position::default(),
            at: 0,
            counts: Counts::default(),
            journals: HashSet::new(),
            last: None,
            ended: false,
        };
        let magic: [u8; MAGIC.len()] = stream.take("its header")?;
        if magic != *MAGIC {
            return Err(Error::damaged("this is not an exported ledger: it begins with other bytes")
                .with_hint("give the uncompressed file that `tollkeeper export` wrote"));
        }
        let version = u32::from_le_bytes(stream.take("its header")?);
        let what = format!("the exported ledger has format {version}");
        if version < FIRST_VERSION {
            return Err(Error::damaged(format!("{what}, of a build before the first release"))
                .with_hint("no program reads the data of such a build"));
        }
        if version > VERSION {
            return Err(Error::damaged(format!("{what}; this program knows up to {VERSION}"))
                .with_hint("run a newer tollkeeper"));
        }
        stream.sum.update(MAGIC);
        stream.sum.update(&version.to_le_bytes());
        Ok(stream)
    }

    /// The next entry; `None` after the last, when the stream is known to be whole.
    ///
    /// # Errors
    /// [`Error::is_damaged`] with the place, when something else than what was written follows, or
    /// the stream ends early.
    pub fn next_entry(&mut self) -> Result<Option<StreamEntry>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut texts = Vec::new();
        self.read_record()?;
        while self.record.first() == Some(&TEXT) && texts.len() < TEXTS_MAX {
            texts.push(self.text()?);
            self.read_record()?;
        }
        match self.record.first() {
            Some(&ENTRY) => self.entry(texts).map(Some),
            Some(&END) if texts.is_empty() => self.end().map(|()| None),
            Some(&END | &TEXT) => Err(self.damaged("follows a text that no entry names")),
            _ => Err(self.damaged("has a kind that this program does not know")),
        }
    }

    /// What the stream held, as far as it was read.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn damaged(&self, what: &str) -> Error {
        self.position.damaged(what)
    }

    /// A text about a person; the entry that follows must name its digest.
    fn text(&self) -> Result<PersonalText, Error> {
        let parts = self.record.get(1..).and_then(|rest| rest.split_first_chunk::<SALT_BYTES>());
        let text = parts.and_then(|(salt, text)| Some(personal_text(std::str::from_utf8(text).ok()?, *salt)));
        text.ok_or_else(|| self.damaged("holds no text about a person"))
    }

    fn entry(&mut self, texts: Vec<PersonalText>) -> Result<StreamEntry, Error> {
        let parts = || {
            let length = usize::from(*self.record.get(1)?);
            let (name, bytes) = self.record.get(2..)?.split_at_checked(length)?;
            Some((std::str::from_utf8(name).ok()?, bytes))
        };
        let Some((name, bytes)) = parts() else {
            return Err(self.damaged("names no workspace"));
        };
        let workspace = match name {
            name if name == WorkspaceId::platform().as_str() => WorkspaceId::platform(),
            name => WorkspaceId::new(name).map_err(|_| self.damaged("names no workspace"))?,
        };
        let entry = Entry::decode(bytes).map_err(|error| self.damaged(&error.to_string()))?;
        let is_named = |text: &PersonalText| match TextsInEntry::of(&entry.body) {
            Some(TextsInEntry::Named(_, digests)) => digests.contains(&text.digest),
            _ => false,
        };
        if !texts.iter().all(is_named) {
            return Err(self.damaged("follows a text that it does not name"));
        }
        let hash = digest(bytes);
        let position = self.position;
        let streamed = StreamEntry { position, workspace, entry, bytes: bytes.into(), hash, texts };
        self.counts.entries += 1;
        if self.last.as_ref() != Some(&streamed.workspace) {
            self.journals.insert(streamed.workspace.clone());
            self.counts.journals = self.journals.len() as u64;
            self.last = Some(streamed.workspace.clone());
        }
        Ok(streamed)
    }

    fn end(&mut self) -> Result<(), Error> {
        let number = |at: usize| -> Option<u64> {
            let bytes = self.record.get(at..at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        if self.record.len() != END_BYTES {
            return Err(self.damaged("is damaged: it is the end, but of another length"));
        }
        let written = number(1).zip(number(9)).map(|(entries, journals)| Counts { entries, journals });
        if written != Some(self.counts) {
            return Err(self.damaged("counts other entries than came before it"));
        }
        let mut more = [0; 1];
        if self.fill(&mut more)? > 0 {
            return Err(self.damaged("is the end, but something follows"));
        }
        self.ended = true;
        Ok(())
    }

    fn read_record(&mut self) -> Result<(), Error> {
        self.position = Position { record: self.position.record + 1, byte: self.at };
        let length: [u8; 4] = self.take("a record's length")?;
        self.sum.update(&length);
        let length = u32::from_le_bytes(length) as usize;
        if length > RECORD_MAX_BYTES {
            return Err(self.damaged("is damaged: it is longer than the longest record"));
        }
        let mut record = std::mem::take(&mut self.record);
        record.resize(length, 0);
        let read = self.fill(&mut record)?;
        self.record = record;
        if read < length {
            return Err(self.cut("the record"));
        }
        self.sum.update(&self.record);
        let sum: [u8; 4] = self.take("a record's checksum")?;
        if self.sum.clone().finalize() != u32::from_le_bytes(sum) {
            return Err(self.damaged("is damaged, or another one was written here: its checksum is wrong"));
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        let read = self.fill(&mut bytes)?;
        if read < N { Err(self.cut(what)) } else { Ok(bytes) }
    }

    /// Reads until the buffer is full or the stream ends; returns the number of bytes.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let mut read = 0;
        while read < bytes.len() {
            match self.from.read(&mut bytes[read..]) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::unavailable(format!("the export cannot be read: {error}")));
                }
            }
        }
        self.at += read as u64;
        Ok(read)
    }

    fn cut(&self, what: &str) -> Error {
        self.damaged(&format!("the export was cut off at byte {}, within {what}", self.at))
    }
}
