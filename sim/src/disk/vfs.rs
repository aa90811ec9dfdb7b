//! The SQLite file layer (VFS) of the disk: it forwards every call to the system's VFS and logs
//! changes.
//!
//! Files, locks and the shared-memory index of the WAL are real, so several connections of several
//! threads work as in service. Temporary files, which SQLite never reads after a restart, are not
//! recorded; neither is shared memory, which does not survive a crash.
//! Guarantee: the creation, deletion or discovery of a file and its entry in the log happen under
//! one lock.
//! Not here: operations on an open file (`file.rs`), the log and the faults (`log.rs`).

// SQLite's VFS is a C interface of raw pointers and callbacks, and rusqlite has no safe form of it.
// Only this file and `file.rs` may contain unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::size_of;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Weak};

use rusqlite::ffi;

use super::file::{self, OpenFile};
use super::log::{Before, Misplaced, Recorder};

/// The kinds of file that are read again after a restart.
const RECORDED_KINDS: c_int = ffi::SQLITE_OPEN_MAIN_DB
    | ffi::SQLITE_OPEN_MAIN_JOURNAL
    | ffi::SQLITE_OPEN_SUPER_JOURNAL
    | ffi::SQLITE_OPEN_WAL;

/// A VFS that is registered until this value is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    vfs: AtomicPtr<ffi::sqlite3_vfs>,
}

/// The data of the VFS, reached through `pAppData`.
struct VfsData {
    parent: *mut ffi::sqlite3_vfs,
    recorder: Weak<Recorder>,
}

impl Registered {
    /// Registers the VFS with SQLite. Panics if the name is taken, because two disks would silently
    /// share one log.
    pub(super) fn new(name: &str, recorder: &Arc<Recorder>) -> Registered {
        let c_name = CString::new(name).expect("the name of a disk has no zero byte");
        // SAFETY: the name is a C string that outlives both calls; a null name asks for the default
        // layer.
        let (taken, parent) =
            unsafe { (ffi::sqlite3_vfs_find(c_name.as_ptr()), ffi::sqlite3_vfs_find(ptr::null())) };
        assert!(taken.is_null(), "a disk named {name} is already registered");
        assert!(!parent.is_null(), "SQLite has a default file layer on every system it supports");
        // SAFETY: SQLite keeps a registered layer's memory valid; the structure is plain data and
        // is copied whole.
        let mut vfs = unsafe { *parent };
        // The entry points not replaced below (paths, randomness, time, errors) do not use the VFS
        // that they are called for, so the parent's are copied.
        let own_bytes = c_int::try_from(size_of::<OpenFile>()).expect("the structure has a few bytes");
        vfs.szOsFile += own_bytes;
        vfs.pNext = ptr::null_mut();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // These few hundred bytes are never freed. A connection that outlives the disk still has
        // the address of the VFS, and must find an entry point that refuses instead of freed
        // memory.
        vfs.zName = c_name.into_raw();
        let data = VfsData { parent, recorder: Arc::downgrade(recorder) };
        vfs.pAppData = Box::into_raw(Box::new(data)).cast();
        let vfs = Box::into_raw(Box::new(vfs));
        // SAFETY: the structure, its name and what it points to stay valid and unmoved until the
        // process ends (see above).
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "registering a file layer only adds it to a list");
        Registered { vfs: AtomicPtr::new(vfs) }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: the pointer is the one that was registered; unregistering takes SQLite's own
        // lock.
        unsafe { ffi::sqlite3_vfs_unregister(self.vfs.load(Ordering::Relaxed)) };
    }
}

/// A path from SQLite, if it can be recorded. SQLite's paths are UTF-8.
///
/// SAFETY: `name` must be null or a C string that lives as long as the answer is used.
unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(name) }.to_str().ok().map(Path::new)
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes the registered layer, whose `pAppData` is never freed, and enough
    // memory for the file.
    let (data, inner) = unsafe {
        // Without methods, SQLite does not close the file if this call fails.
        (*file).pMethods = ptr::null();
        let inner = file.cast::<OpenFile>().add(1).cast::<ffi::sqlite3_file>();
        (*inner).pMethods = ptr::null();
        (&*(*vfs).pAppData.cast::<VfsData>(), inner)
    };
    let Some(recorder) = data.recorder.upgrade() else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: SQLite passes null or a path that stays valid while the file is open.
    let path = unsafe { path_of(name) };
    let is_recorded = flags & RECORDED_KINDS != 0 && flags & ffi::SQLITE_OPEN_DELETEONCLOSE == 0;
    let mut recording = recorder.lock();
    let arrival = if is_recorded {
        match path.map(|path| recording.before_opening(path)) {
            Some(Ok(arrival)) => Some(arrival),
            // A refused open is better than a database whose changes are not recorded.
            Some(Err(Misplaced)) | None => return ffi::SQLITE_CANTOPEN,
        }
    } else {
        None
    };
    // SAFETY: the parent gets its own layer, its own memory and SQLite's arguments unchanged.
    let code = unsafe { parent_open(data.parent, name, inner, flags, out_flags) };
    if code != ffi::SQLITE_OK {
        return code;
    }
    let recorded = match arrival {
        None => None,
        Some((name, before)) => {
            // SAFETY: the parent's file was just opened.
            match unsafe { found(inner, before) } {
                Ok(found) => Some(recording.opened(name, before, found)),
                Err(code) => {
                    // SAFETY: as above; nobody else has seen the file yet.
                    unsafe { file::close_parent(inner) };
                    return code;
                }
            }
        }
    };
    drop(recording);
    // SAFETY: the memory is ours to fill in, and the parent's file after it is open.
    unsafe { file.cast::<OpenFile>().write(OpenFile::new(recorder, recorded)) };
    ffi::SQLITE_OK
}

/// SAFETY: the arguments of SQLite's `xOpen`, with the parent's layer and memory.
unsafe fn parent_open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    inner: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: promised by the caller; a layer without `xOpen` could open no database at all.
    unsafe {
        let open = (*vfs).xOpen.expect("every file layer can open");
        let code = open(vfs, name, inner, flags, out_flags);
        if code != ffi::SQLITE_OK && !(*inner).pMethods.is_null() {
            // If an open fails but set methods, the file must be closed.
            file::close_parent(inner);
        }
        code
    }
}

/// The content of a file that this disk has never seen; empty for other files. It is read through
/// the parent, because opening and closing the file a second time would drop all locks of this
/// process on it (a rule of POSIX).
///
/// SAFETY: `inner` must be a file the parent opened.
unsafe fn found(inner: *mut ffi::sqlite3_file, before: Before) -> Result<Vec<u8>, c_int> {
    if before != Before::Unseen {
        return Ok(Vec::new());
    }
    // SAFETY: promised by the caller; a successful open left the address of static methods.
    let methods = unsafe { &*(*inner).pMethods };
    let mut size = 0;
    // SAFETY: the size is written to a place of ours.
    let code = unsafe { methods.xFileSize.expect("every file has a size")(inner, &mut size) };
    if code != ffi::SQLITE_OK {
        return Err(code);
    }
    // One call reads at most 2 GiB, which is more than a test's file has.
    let length = c_int::try_from(size).map_err(|_| ffi::SQLITE_CANTOPEN)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| ffi::SQLITE_CANTOPEN)?];
    let read = methods.xRead.expect("every file can be read");
    // SAFETY: the buffer has the length that is passed.
    let code = unsafe { read(inner, bytes.as_mut_ptr().cast(), length, 0) };
    if code == ffi::SQLITE_OK { Ok(bytes) } else { Err(code) }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _sync_directory: c_int,
) -> c_int {
    // SAFETY: SQLite passes the registered layer and a path; the parent gets its own layer.
    unsafe {
        let data = &*(*vfs).pAppData.cast::<VfsData>();
        let delete = (*data.parent).xDelete.expect("every file layer can delete");
        let Some(recorder) = data.recorder.upgrade() else {
            return delete(data.parent, name, 0);
        };
        let mut recording = recorder.lock();
        let code = delete(data.parent, name, 0);
        if let Some(path) = path_of(name).filter(|_| code == ffi::SQLITE_OK) {
            recording.deleted(path);
        }
        code
    }
}
