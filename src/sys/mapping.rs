//! Writes through shared mappings, of which a filesystem tells nobody: they show in the times of files, or nowhere.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Kernels before 6.13 count the times of files in steps of up to this: two writes within one step look like one.
pub const TIME_STEP: Duration = Duration::from_millis(20);

const LEN: usize = 4096;

/// A shared mapping of a file's first bytes.
struct Mapping(*mut libc::c_void);

impl Mapping {
    fn new(file: &File) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping anywhere of an open file, whose bytes are there.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), LEN, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Mapping(start)) }
    }

    fn put(&self, byte: u8) {
        // SAFETY: the mapping is `LEN` bytes long, and nobody else's.
        unsafe { self.0.cast::<u8>().write_volatile(byte) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped, and nobody uses it any more.
        unsafe { libc::munmap(self.0, LEN) };
    }
}

/// Does a write through a mapping, the first after a sync, move the mtime of a file like `file`, which is for this alone?
/// Not on tmpfs, which never writes back and so never looks at its pages. Takes [`TIME_STEP`].
pub fn moves_mtime(file: &File) -> io::Result<bool> {
    file.set_len(LEN as u64)?;
    let mapping = Mapping::new(file)?;
    mapping.put(1);
    file.sync_data()?;
    let before = file.metadata()?.modified()?;
    std::thread::sleep(TIME_STEP);
    mapping.put(2);
    Ok(file.metadata()?.modified()? != before)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::disk::{filesystem_type, unnamed_file};
    use super::*;

    #[test]
    fn memory_tells_nothing_of_mapped_writes() {
        let memory = Path::new("/dev/shm");
        assert_eq!(filesystem_type(memory).unwrap(), libc::TMPFS_MAGIC);
        assert!(!moves_mtime(&unnamed_file(memory).unwrap()).unwrap());
    }
}
