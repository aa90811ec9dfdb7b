//! What lies on the disk when the machine comes up again.
//!
//! An image is plain bytes by name: it can be put into a directory and opened by the engine through the
//! system's own file layer, or damaged further by a test that wants a flipped bit or a cut file.
//! Keeps: an image never changes by itself; files nobody touched since share their bytes with the replay.
//! Not here: which bytes survive (`replay.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// The files of a crashed machine.
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

    /// What the file holds, if it is there.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|bytes| bytes.as_slice())
    }

    /// The file's bytes to be damaged by hand, if it is there.
    pub fn file_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.files.get_mut(name).map(Arc::make_mut)
    }

    /// Puts the files into `directory`, which is made if it is missing and has to be empty: a leftover
    /// shared-memory or write-ahead file beside them would make this another crash than the one asked for.
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
