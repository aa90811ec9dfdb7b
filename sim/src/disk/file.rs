//! An open file as SQLite uses it: changes are recorded, all other calls go to the system's VFS.
//!
//! Three things differ from the system's VFS:
//! - Nothing is really synced. The power does not fail during a test, only the log counts, and it
//!   is much faster.
//! - Memory-mapped pages are refused (methods of version 2 have no `xFetch`), because they change
//!   files unseen.
//! - Growing a file in advance (`SQLITE_FCNTL_SIZE_HINT`, `SQLITE_FCNTL_CHUNK_SIZE`) is refused for
//!   the same reason.
//!
//! Guarantee: a change of a recorded file and its entry in the log happen under one lock.
//! Not here: opening and deleting (`vfs.rs`), the log and the faults (`log.rs`).

// As in `vfs.rs`: SQLite's VFS is a C interface of raw pointers and callbacks without a safe form.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use rusqlite::ffi;

use super::log::{Recorded, Recorder, Verdict};

/// An open file as SQLite sees it. The parent's own file follows right after it in memory.
#[repr(C)]
pub(super) struct OpenFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

/// The state of an open file.
struct Handle {
    recorder: Arc<Recorder>,
    recorded: Option<Recorded>,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

impl OpenFile {
    /// The head in front of the parent's file, which must be open already.
    pub(super) fn new(recorder: Arc<Recorder>, recorded: Option<Recorded>) -> OpenFile {
        let handle = Box::into_raw(Box::new(Handle { recorder, recorded }));
        OpenFile { base: ffi::sqlite3_file { pMethods: &METHODS }, handle }
    }
}

/// SAFETY: `inner` must be a file the parent opened and nobody closed.
pub(super) unsafe fn close_parent(inner: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: promised by the caller.
    unsafe { (*(*inner).pMethods).xClose.expect("every file can be closed")(inner) }
}

/// The parent's file after ours, and its methods.
///
/// SAFETY: `file` must have been opened by `open` below and not been closed since.
unsafe fn parent<'a>(file: *mut ffi::sqlite3_file) -> (*mut ffi::sqlite3_file, &'a ffi::sqlite3_io_methods) {
    // SAFETY: SQLite allocated `szOsFile` bytes, that is ours and the parent's; ours are a multiple
    // of eight, so the parent's file is aligned. A successful open left the address of its static
    // methods there.
    unsafe {
        let inner = file.cast::<OpenFile>().add(1).cast::<ffi::sqlite3_file>();
        (inner, &*(*inner).pMethods)
    }
}

/// The state of an open file.
///
/// SAFETY: as for `parent`.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    // SAFETY: `open` put a boxed handle there, and only `close` takes it away.
    unsafe { &*(*file.cast::<OpenFile>()).handle }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once; the handle came from a box and is not used
    // afterwards.
    unsafe {
        let (inner, _) = parent(file);
        let code = close_parent(inner);
        drop(Box::from_raw((*file.cast::<OpenFile>()).handle));
        (*file).pMethods = ptr::null();
        code
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite passes an open file.
    let (handle, (inner, methods)) = unsafe { (handle(file), parent(file)) };
    let parent_write = methods.xWrite.expect("every file can be written");
    let Some(recorded) = &handle.recorded else {
        // SAFETY: SQLite's arguments, unchanged, for the parent's file.
        return unsafe { parent_write(inner, data, amount, offset) };
    };
    let length = usize::try_from(amount).expect("SQLite writes no negative number of bytes");
    let start = u64::try_from(offset).expect("SQLite writes at no negative place");
    // SAFETY: SQLite passes as many readable bytes as it says.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
    let mut recording = handle.recorder.lock();
    let (bytes, refusal) = match recording.judge_write(length) {
        Verdict::Accept => (bytes, None),
        Verdict::Refuse { code, kept_bytes } => (&bytes[..kept_bytes], Some(code)),
    };
    if !bytes.is_empty() {
        let amount = c_int::try_from(bytes.len()).expect("no longer than what SQLite asked for");
        // SAFETY: the bytes are a part of those SQLite passed.
        let code = unsafe { parent_write(inner, bytes.as_ptr().cast(), amount, offset) };
        if code != ffi::SQLITE_OK {
            return code;
        }
        recording.wrote(recorded, start, bytes);
    }
    refusal.unwrap_or(ffi::SQLITE_OK)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite passes an open file.
    let (handle, (inner, methods)) = unsafe { (handle(file), parent(file)) };
    let mut recording = handle.recorder.lock();
    // SAFETY: SQLite's arguments, unchanged, for the parent's file.
    let code = unsafe { methods.xTruncate.expect("every file can be truncated")(inner, size) };
    if let Some(recorded) = handle.recorded.as_ref().filter(|_| code == ffi::SQLITE_OK) {
        let size = u64::try_from(size).expect("SQLite truncates to no negative size");
        recording.truncated(recorded, size);
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    let handle = unsafe { handle(file) };
    let Some(recorded) = &handle.recorded else {
        return ffi::SQLITE_OK;
    };
    let mut recording = handle.recorder.lock();
    match recording.judge_sync() {
        Ok(()) => {
            recording.synced(recorded);
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    match operation {
        // The hint may be ignored.
        ffi::SQLITE_FCNTL_SIZE_HINT => ffi::SQLITE_OK,
        ffi::SQLITE_FCNTL_CHUNK_SIZE | ffi::SQLITE_FCNTL_MMAP_SIZE => ffi::SQLITE_NOTFOUND,
        // SAFETY: SQLite's arguments, unchanged, for the parent's file.
        _ => unsafe {
            let (inner, methods) = parent(file);
            methods.xFileControl.expect("every file has controls")(inner, operation, argument)
        },
    }
}

// The calls below change nothing that survives a crash and are forwarded. For all of them: SQLite
// passes an open file, and the parent's file gets SQLite's other arguments unchanged.

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    data: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xRead.expect("every file can be read")(inner, data, amount, offset)
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xFileSize.expect("every file has a size")(inner, size)
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xLock.expect("every file can be locked")(inner, level)
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xUnlock.expect("every file can be unlocked")(inner, level)
    }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, reserved: *mut c_int) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xCheckReservedLock.expect("every file knows its locks")(inner, reserved)
    }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xSectorSize.expect("the system's layer knows sectors")(inner)
    }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xDeviceCharacteristics.expect("the system's layer knows its devices")(inner)
    }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    region_bytes: c_int,
    extend: c_int,
    address: *mut *mut c_void,
) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xShmMap.expect("the system's layer shares memory")(
            inner,
            region,
            region_bytes,
            extend,
            address,
        )
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xShmLock.expect("the system's layer shares memory")(inner, offset, count, flags)
    }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xShmBarrier.expect("the system's layer shares memory")(inner);
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: passed on unchanged, see above.
    unsafe {
        let (inner, methods) = parent(file);
        methods.xShmUnmap.expect("the system's layer shares memory")(inner, delete)
    }
}
