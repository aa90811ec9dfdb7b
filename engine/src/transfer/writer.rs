//! Writes a stream: the header, a record per entry and text, the end record.

use std::collections::HashSet;
use std::io::Write;

use tollkeeper_ledger::{PersonalText, WorkspaceId};

use super::format::{Counts, END, ENTRY, MAGIC, RECORD_MAX_BYTES, TEXT, VERSION};
use crate::Error;

/// A stream being written. Without [`StreamWriter::end`] it is not whole, and a reader says so.
#[derive(Debug)]
pub struct StreamWriter<W> {
    to: W,
    sum: crc32fast::Hasher,
    record: Vec<u8>,
    journals: HashSet<WorkspaceId>,
    last: Option<WorkspaceId>,
    entries: u64,
}

impl<W: Write> StreamWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(to: W) -> Result<StreamWriter<W>, Error> {
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&VERSION.to_le_bytes());
        let mut stream = StreamWriter {
            to,
            sum: crc32fast::Hasher::new(),
            record: Vec::new(),
            journals: HashSet::new(),
            last: None,
            entries: 0,
        };
        stream.sum.update(&head);
        stream.to.write_all(&head).map_err(unwritable)?;
        Ok(stream)
    }

    /// Adds the next entry of a workspace, by its canonical bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn entry(&mut self, workspace: &WorkspaceId, bytes: &[u8]) -> Result<(), Error> {
        if self.last.as_ref() != Some(workspace) {
            self.journals.insert(workspace.clone());
            self.last = Some(workspace.clone());
        }
        self.entries += 1;
        let name = workspace.as_str().as_bytes();
        let length =
            u8::try_from(name.len()).map_err(|_| Error::damaged("the id of a workspace is too long"))?;
        self.record.clear();
        self.record.push(ENTRY);
        self.record.push(length);
        self.record.extend_from_slice(name);
        self.record.extend_from_slice(bytes);
        self.write_record()
    }

    /// Adds a text about a person, which the next entry names by its digest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&mut self, text: &PersonalText) -> Result<(), Error> {
        self.record.clear();
        self.record.push(TEXT);
        self.record.extend_from_slice(&text.salt);
        self.record.extend_from_slice(text.text.as_bytes());
        self.write_record()
    }

    /// Writes the end record; returns what the stream holds. The caller syncs the file, if it is
    /// one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> Result<(W, Counts), Error> {
        let counts = Counts { entries: self.entries, journals: self.journals.len() as u64 };
        assert!(counts.journals <= counts.entries, "every journal in the stream has an entry");
        self.record.clear();
        self.record.push(END);
        self.record.extend_from_slice(&counts.entries.to_le_bytes());
        self.record.extend_from_slice(&counts.journals.to_le_bytes());
        self.write_record()?;
        self.to.flush().map_err(unwritable)?;
        Ok((self.to, counts))
    }

    fn write_record(&mut self) -> Result<(), Error> {
        assert!(self.record.len() <= RECORD_MAX_BYTES, "a reader refuses a longer record");
        let length = (self.record.len() as u32).to_le_bytes();
        self.sum.update(&length);
        self.sum.update(&self.record);
        let sum = self.sum.clone().finalize().to_le_bytes();
        for part in [&length[..], &self.record, &sum] {
            self.to.write_all(part).map_err(unwritable)?;
        }
        Ok(())
    }
}

fn unwritable(error: std::io::Error) -> Error {
    Error::unavailable(format!("the export cannot be written: {error}"))
        .with_hint("nothing was changed; export again when the target takes writes")
}
