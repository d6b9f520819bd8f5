//! A disk that can lose its power, be full, and fail: a SQLite VFS over the default one.
//!
//! Between two syncs of a file it remembers what each write replaced. A power cut takes all unsynced
//! writes back and then lets some of them, chosen by a seed, happen after all, whole or torn, as a real disk does
//! that reorders its cache; from then on everything fails, until [`Disk::power_on`].
#![allow(unsafe_code)] // a VFS is a table of C functions

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

/// One simulated disk, registered with SQLite under [`Disk::vfs`] for the rest of the process.
pub struct Disk {
    name: CString,
    real: *mut ffi::sqlite3_vfs,
    state: Mutex<State>,
}

// SAFETY: `real` is SQLite's default VFS, which lives as long as the process and may be used from any thread.
unsafe impl Send for Disk {}
// SAFETY: as above; everything else is behind the mutex.
unsafe impl Sync for Disk {}

#[derive(Default)]
struct State {
    cut: bool,
    full: bool,
    read_only: bool,
    /// Fail the operation that this counts down to, whatever it is.
    operation_fault: Option<(u64, ())>,
    /// Fail the write or sync that this counts down to.
    write_fault: Option<(u64, c_int)>,
    sync_fault: Option<(u64, c_int)>,
    syncs: u64,
    /// Cut the power at the write that this counts down to, with the seed.
    power_cut: Option<(u64, u64)>,
    unsynced: BTreeMap<PathBuf, Vec<Unsynced>>,
}

/// A write (or, with no `new` bytes, a truncation to `offset`), and what was there before.
struct Unsynced {
    offset: u64,
    new: Vec<u8>,
    old: Vec<u8>,
    old_size: u64,
}

impl Disk {
    pub fn install() -> &'static Disk {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("disk-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).expect("no nul");
        // SAFETY: SQLite initialises itself here; a null name asks for the default VFS.
        let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!real.is_null(), "there is a default VFS");
        let disk: &'static Disk = Box::leak(Box::new(Disk { name, real, state: Mutex::default() }));
        // SAFETY: `real` points to a valid VFS, whose plain-data description may be copied.
        let mut vfs = unsafe { *real };
        vfs.iVersion = 2;
        vfs.szOsFile += FILE_BYTES as c_int;
        vfs.pNext = ptr::null_mut();
        vfs.zName = disk.name.as_ptr();
        vfs.pAppData = ptr::from_ref(disk).cast_mut().cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SAFETY: the description is leaked and so outlives its registration.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) };
        assert_eq!(registered, ffi::SQLITE_OK);
        disk
    }

    pub fn vfs(&self) -> &str {
        self.name.to_str().expect("ASCII")
    }

    /// Cuts the power at the `nth` write from now (1: the next), which does not happen any more.
    pub fn cut_power_at(&self, nth: u64, seed: u64) {
        self.state().power_cut = Some((nth, seed));
    }

    pub fn power_on(&self) {
        self.state().cut = false;
    }

    /// While it is full, each write fails.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// While it is read-only, each write fails, and files are opened for reading, as after an operating system has
    /// found a file system damaged.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Fails the `nth` write from now (1: the next) with an SQLite result code.
    pub fn fail_write(&self, nth: u64, code: c_int) {
        self.state().write_fault = Some((nth, code));
    }

    /// Fails the `nth` sync from now (1: the next) with an SQLite result code.
    pub fn fail_sync(&self, nth: u64, code: c_int) {
        self.state().sync_fault = Some((nth, code));
    }

    /// Fails the `nth` operation from now (1: the next), whatever it is; 0: none.
    pub fn fail_operation(&self, nth: u64) {
        self.state().operation_fault = (nth > 0).then_some((nth, ()));
    }

    /// Whether the operation that is to fail has not come yet.
    pub fn waits_to_fail(&self) -> bool {
        self.state().operation_fault.is_some()
    }

    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether an operation fails, that is no write and no sync.
    fn fails(&mut self) -> bool {
        self.cut || due(&mut self.operation_fault).is_some()
    }

    /// What the next write must answer instead of writing.
    fn refuse_write(&mut self) -> Option<c_int> {
        if due(&mut self.operation_fault).is_some() {
            return Some(ffi::SQLITE_IOERR_WRITE);
        }
        if let Some(seed) = due(&mut self.power_cut) {
            self.cut_power(seed);
        }
        if self.cut {
            return Some(ffi::SQLITE_IOERR_WRITE);
        }
        let full = self.full.then_some(ffi::SQLITE_FULL);
        // SQLite has no other word for it while a file is open.
        due(&mut self.write_fault).or(full).or(self.read_only.then_some(ffi::SQLITE_IOERR_WRITE))
    }

    fn cut_power(&mut self, seed: u64) {
        self.cut = true;
        let mut chance = seed;
        for (path, writes) in std::mem::take(&mut self.unsynced) {
            let Ok(file) = File::options().write(true).open(&path) else { continue };
            for write in writes.iter().rev() {
                file.write_all_at(&write.old, write.offset).expect("the real disk works");
                file.set_len(write.old_size).expect("the real disk works");
            }
            for write in &writes {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                match (chance >> 62, write.new.is_empty()) {
                    (0, true) => file.set_len(write.offset).expect("the real disk works"),
                    (0, false) => file.write_all_at(&write.new, write.offset).expect("the real disk works"),
                    (1, false) => {
                        let torn = &write.new[..write.new.len() / 2];
                        file.write_all_at(torn, write.offset).expect("the real disk works");
                    }
                    _ => {}
                }
            }
        }
    }

    fn refuse_sync(&mut self) -> Option<c_int> {
        self.syncs += 1;
        if self.fails() {
            return Some(ffi::SQLITE_IOERR_FSYNC);
        }
        due(&mut self.sync_fault)
    }
}

/// Counts down; at the end, says what to do.
fn due<T>(fault: &mut Option<(u64, T)>) -> Option<T> {
    let (nth, what) = fault.take()?;
    if nth <= 1 {
        return Some(what);
    }
    *fault = Some((nth - 1, what));
    None
}

/// An open file: ours in front, the default VFS's right behind it.
#[repr(C)]
struct ShimFile {
    base: ffi::sqlite3_file,
    disk: *const Disk,
    /// `None` for files without a name, which no power cut needs to restore.
    path: *mut PathBuf,
}

const FILE_BYTES: usize = size_of::<ShimFile>().next_multiple_of(16);

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without xFetch: all reads and writes come by xRead and xWrite.
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

// SAFETY of all that follows: SQLite calls with a file that `open` has set up and `close` has not yet
// taken down, in memory of `szOsFile` bytes, so both halves are valid; a method that the default VFS
// lacks is never asked for, because METHODS mirrors version 2, which it has.

unsafe fn shim<'a>(file: *mut ffi::sqlite3_file) -> (&'a ShimFile, &'a Disk) {
    unsafe {
        let shim = &*file.cast::<ShimFile>();
        (shim, &*shim.disk)
    }
}

unsafe fn behind(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<u8>().add(FILE_BYTES).cast() }
}

/// Calls a method of the default VFS on the file behind.
macro_rules! real {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = behind($file);
        let method = (*(*file).pMethods).$method.expect("version 2 has it");
        method(file $(, $argument)*)
    }};
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    unsafe {
        let disk = (*vfs).pAppData.cast::<Disk>();
        (*file).pMethods = ptr::null();
        if (*disk).state().fails() {
            return ffi::SQLITE_CANTOPEN;
        }
        let open = (*(*disk).real).xOpen.expect("a VFS opens files");
        let may_write = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;
        let flags = match (*disk).state().read_only && flags & ffi::SQLITE_OPEN_READWRITE != 0 {
            true => flags & !may_write | ffi::SQLITE_OPEN_READONLY,
            false => flags,
        };
        let opened = open((*disk).real, name, behind(file), flags, out_flags);
        if opened == ffi::SQLITE_OK {
            let shim = file.cast::<ShimFile>();
            (*shim).disk = disk;
            (*shim).path = match name.is_null() {
                true => ptr::null_mut(),
                false => Box::into_raw(Box::new(PathBuf::from(CStr::from_ptr(name).to_str().expect("UTF-8")))),
            };
            (*file).pMethods = &raw const METHODS;
        }
        opened
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    unsafe {
        let disk = &*(*vfs).pAppData.cast::<Disk>();
        let mut state = disk.state();
        if state.fails() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        state.unsynced.remove(&PathBuf::from(CStr::from_ptr(name).to_str().expect("UTF-8")));
        let delete = (*disk.real).xDelete.expect("a VFS deletes files");
        delete(disk.real, name, sync_directory)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let shim = file.cast::<ShimFile>();
        if !(*shim).path.is_null() {
            drop(Box::from_raw((*shim).path));
            (*shim).path = ptr::null_mut();
        }
        real!(file, xClose)
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, bytes: c_int, offset: i64) -> c_int {
    unsafe {
        if shim(file).1.state().fails() {
            return ffi::SQLITE_IOERR_READ;
        }
        real!(file, xRead, into, bytes, offset)
    }
}

/// Remembers the `old` bytes at `offset` and the file's size.
unsafe fn remember(file: *mut ffi::sqlite3_file, state: &mut State, offset: u64, bytes: u64, new: Vec<u8>) {
    unsafe {
        let (shim, _) = shim(file);
        if shim.path.is_null() {
            return;
        }
        let mut size = 0i64;
        real!(file, xFileSize, &raw mut size);
        let old_size = size.unsigned_abs();
        let mut old = vec![0; usize::try_from(bytes.min(old_size.saturating_sub(offset))).expect("it fits")];
        if !old.is_empty() {
            let read = real!(file, xRead, old.as_mut_ptr().cast(), old.len() as c_int, offset as i64);
            assert_eq!(read, ffi::SQLITE_OK);
        }
        state.unsynced.entry((*shim.path).clone()).or_default().push(Unsynced { offset, new, old, old_size });
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, bytes: c_int, offset: i64) -> c_int {
    unsafe {
        let (_, disk) = shim(file);
        let mut state = disk.state();
        if let Some(code) = state.refuse_write() {
            return code;
        }
        let new = std::slice::from_raw_parts(from.cast::<u8>(), bytes as usize).to_vec();
        remember(file, &mut state, offset as u64, bytes as u64, new);
        real!(file, xWrite, from, bytes, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    unsafe {
        let (_, disk) = shim(file);
        let mut state = disk.state();
        if state.fails() {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        remember(file, &mut state, size as u64, u64::from(u32::MAX), Vec::new());
        real!(file, xTruncate, size)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    unsafe {
        let (shim, disk) = shim(file);
        let mut state = disk.state();
        if let Some(code) = state.refuse_sync() {
            return code;
        }
        // The pages stay in the machine's cache: no test needs the real disk to turn.
        let _ = flags;
        if !shim.path.is_null() {
            state.unsynced.remove(&*shim.path);
        }
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    unsafe {
        if shim(file).1.state().fails() {
            return ffi::SQLITE_IOERR_FSTAT;
        }
        real!(file, xFileSize, size)
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { real!(file, xLock, level) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { real!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, held: *mut c_int) -> c_int {
    unsafe { real!(file, xCheckReservedLock, held) }
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    unsafe { real!(file, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { real!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { real!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    bytes: c_int,
    extend: c_int,
    mapped: *mut *mut c_void,
) -> c_int {
    unsafe { real!(file, xShmMap, page, bytes, extend, mapped) }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    unsafe { real!(file, xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe { real!(file, xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    unsafe { real!(file, xShmUnmap, delete) }
}
