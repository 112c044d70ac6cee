//! Mountpoints whose daemon died: every access answers `Transport endpoint is not connected`.

use std::io;
use std::path::Path;

use super::unmount;
use crate::sys::disk;

/// Dead mounts can lie on top of each other when mounting was tried again; more than this are not ours to clear.
const DEPTH_MAX: usize = 16;

/// Is the mount at `dir` one whose daemon is gone?
pub fn is_dead(dir: &Path) -> bool {
    let gone = |error: io::Error| error.kind() == io::ErrorKind::NotConnected;
    // The kernel may still answer from the attributes it keeps; the filesystem's numbers it always asks for.
    std::fs::symlink_metadata(dir).is_err_and(gone) || disk::space(dir).is_err_and(gone)
}

/// Detaches dead mounts from `dir`. True when there was one; a live mount is left alone.
pub fn clear(dir: &Path) -> io::Result<bool> {
    let mut cleared = false;
    for _ in 0..DEPTH_MAX {
        if !is_dead(dir) {
            break;
        }
        tracing::info!("{} is a dead mount: detaching it", dir.display());
        match unmount::detach(dir) {
            // Whoever else clears it was faster.
            Err(_) if !is_dead(dir) => {}
            detached => detached?,
        }
        cleared = true;
    }
    Ok(cleared)
}
