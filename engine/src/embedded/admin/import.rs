//! Import: takes a stream (see `transfer`) into a data directory, entry by entry.
//!
//! Each entry is verified as after a crash and appended byte for byte as it was. The import holds
//! the directory alone and commits as it goes. So an import that was interrupted can be repeated;
//! it continues where it ended.

use std::io::Read;
use std::path::Path;

use crate::Error;
use crate::embedded::core::{Core, CoreOptions};
use crate::transfer::{self, Comparison, Counts, Imported, StreamEntry, StreamReader};

/// Entries that are appended in one database transaction.
const BATCH_ENTRIES: u64 = 8_192;

/// Takes a stream into a data directory: an empty or absent one, or one in which an earlier import
/// of it was interrupted.
///
/// # Errors
/// [`Error::is_damaged`] with the place in the stream when it is not what was written, or when an
/// entry does not follow from those before it; [`Error::is_import_conflict`] when the directory
/// holds another ledger. The entries before the failure are imported and stay.
pub fn import(path: &Path, from: impl Read) -> Result<Imported, Error> {
    import_with_options(path, from, CoreOptions::default())
}

/// The same with every option of the core.
///
/// # Errors
/// As [`import`].
pub fn import_with_options(path: &Path, from: impl Read, options: CoreOptions) -> Result<Imported, Error> {
    let mut stream = StreamReader::begin(from)?;
    let mut core = Core::open(path, options)?;
    let mut comparison = Comparison::new(core.machine_for_import()?.platform_hashes()?);
    let was_importing = core.is_importing()?;
    let mut written = 0;
    let read = import_all(&mut core, &mut stream, &mut comparison, &mut written);
    // The entries before a failure are committed. The account in memory is not: it may be ahead by
    // a part of an entry.
    let committed = core.commit();
    let whole = read.and(committed).and_then(|()| {
        core.checkpoint_all()?;
        let (entries, journals) = core.counts()?;
        comparison.finish(stream.counts(), Counts { entries, journals })
    });
    match whole {
        Ok(()) => core.set_importing(false)?,
        // A ledger that was whole before the import of another one can still be served.
        Err(error) if error.is_import_conflict() => {
            core.set_importing(was_importing)?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    Ok(Imported { stream: stream.counts(), written })
}

fn import_all<R: Read>(
    core: &mut Core,
    stream: &mut StreamReader<R>,
    comparison: &mut Comparison,
    written: &mut u64,
) -> Result<(), Error> {
    while let Some(streamed) = stream.next_entry()? {
        let chain = core.machine_for_import()?.chain_of(&streamed.workspace)?;
        if !comparison.is_new(&streamed, &chain)? {
            continue;
        }
        if *written == 0 {
            core.set_importing(true)?;
        }
        let StreamEntry { position, workspace, entry, bytes, texts, .. } = &streamed;
        let machine = core.machine_for_import()?;
        if let Err(error) = machine.import_entry(workspace, entry, (bytes, texts)) {
            return Err(if error.is_damaged() { position.damaged(&error.to_string()) } else { error });
        }
        *written += 1;
        if written.is_multiple_of(BATCH_ENTRIES) {
            core.commit()?;
            core.maintain()?;
        }
    }
    Ok(())
}

impl Core {
    /// Refuses to serve a directory whose import was begun and not finished.
    pub(crate) fn refuse_unfinished_import(&mut self) -> Result<(), Error> {
        if self.is_importing()? { Err(transfer::unfinished()) } else { Ok(()) }
    }
}
