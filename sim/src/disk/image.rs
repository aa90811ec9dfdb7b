//! The files on the disk when the machine starts again after a crash.
//!
//! An image holds plain bytes by file name. A test writes it into a directory and opens it with the
//! engine through the system's VFS, or damages it further first.
//! Guarantee: an image never changes by itself. It shares the bytes of unchanged files with the
//! replayer.
//! Not here: which bytes survive a crash (`replay.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// The files after a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashImage {
    files: BTreeMap<Arc<str>, Arc<Vec<u8>>>,
}

impl CrashImage {
    pub(super) fn new(files: BTreeMap<Arc<str>, Arc<Vec<u8>>>) -> CrashImage {
        CrashImage { files }
    }

    /// The names of the files, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(|name| &**name)
    }

    /// The content of a file, if it exists.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|bytes| bytes.as_slice())
    }

    /// The content of a file for further damage, if it exists.
    pub fn file_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.files.get_mut(name).map(Arc::make_mut)
    }

    /// Writes the files into `directory`, which is created if it is missing. It must be empty,
    /// because a left-over WAL or shared-memory file would turn this into another crash.
    pub fn write_to(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        if fs::read_dir(directory)?.next().is_some() {
            return Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
        }
        for (name, bytes) in &self.files {
            fs::write(directory.join(&**name), &**bytes)?;
        }
        Ok(())
    }
}
