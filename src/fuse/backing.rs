//! Local files that the kernel reads and writes by itself (passthrough), where it lets us offer them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use fuser::BackingId;

use crate::sys::{disk, mapping};
use crate::vfs::node::{Backer, Backing};

/// `FUSE_DEV_IOC_BACKING_CLOSE` of linux/fuse.h: `_IOW(229, 2, uint32_t)`.
const BACKING_CLOSE: libc::c_ulong = 0x4004_e502;

/// The kernel's side of one mount.
#[derive(Debug)]
pub struct Backings {
    device: Arc<OwnedFd>,
}

/// One file that the kernel holds; let go when dropped.
#[derive(Debug)]
pub struct LocalFile {
    device: Arc<OwnedFd>,
    id: u32,
}

impl Backings {
    /// For the mount behind `device`, whose files will lie in `dir`. None where the kernel takes none from us: it is too
    /// old, we are not root, or the folder's filesystem cannot do it or would not show what is written.
    pub fn probe(device: impl AsFd, dir: &Path) -> Option<Backings> {
        let try_one = || {
            let backings = Backings { device: Arc::new(device.as_fd().try_clone_to_owned()?) };
            let file = disk::unnamed_file(dir)?;
            backings.offer(&file)?;
            // Whoever commits has to see what was written behind our back.
            match mapping::moves_mtime(&file)? {
                true => Ok(backings),
                false => Err(io::Error::other("the state folder's filesystem does not show writes through mappings")),
            }
        };
        let refused =
            |error: &io::Error| tracing::info!("the kernel is offered no local files by this process: {error}");
        try_one().inspect_err(refused).ok()
    }

    fn offer(&self, file: &File) -> io::Result<LocalFile> {
        let id = BackingId::create_raw(&*self.device, file)?;
        Ok(LocalFile { device: self.device.clone(), id })
    }
}

impl Backer for Backings {
    fn back(&self, file: &File) -> Option<Backing> {
        match self.offer(file) {
            Ok(file) => Some(Arc::new(file)),
            Err(error) => {
                tracing::debug!("a file is served by this process: the kernel did not take it ({error})");
                None
            }
        }
    }
}

impl LocalFile {
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        // SAFETY: the device is open as long as `self`, and the kernel reads one u32 there.
        let closed = unsafe { libc::ioctl(self.device.as_raw_fd(), BACKING_CLOSE, &raw const self.id) };
        if closed < 0 {
            // The mount is gone, and with it what it held.
            tracing::debug!("letting go of a local file: {}", io::Error::last_os_error());
        }
    }
}
