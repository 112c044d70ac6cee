//! Taking a filesystem off its folder, as root and as an ordinary user.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a mount was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmounted {
    /// Nobody used it.
    Clean,
    /// It was busy: gone from its folder, served on until its last file is closed.
    Lazy,
}

/// Names of the helper that ordinary users mount and unmount with, the usual one first.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];

/// Unmounts `dir`; while it is busy, detaches it.
pub fn unmount(dir: &Path) -> io::Result<Unmounted> {
    match plainly(dir, false) {
        Ok(()) => Ok(Unmounted::Clean),
        Err(_) => plainly(dir, true).map(|()| Unmounted::Lazy),
    }
}

/// Detaches `dir` at once, whoever uses it.
pub fn detach(dir: &Path) -> io::Result<()> {
    plainly(dir, true)
}

/// Fails every operation that waits in the mount at `dir`, and takes it away if nothing else keeps it.
pub fn cut(dir: &Path) -> io::Result<()> {
    match system_call(dir, libc::MNT_FORCE) {
        // What had to end has ended; who still has files open finds them dead.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(()),
        result => result,
    }
}

fn plainly(dir: &Path, lazily: bool) -> io::Result<()> {
    match system_call(dir, if lazily { libc::MNT_DETACH } else { 0 }) {
        // Ordinary users may unmount only through the helper.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => helper(dir, lazily),
        result => result,
    }
}

fn system_call(dir: &Path, flags: i32) -> io::Result<()> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that outlives the call.
    match unsafe { libc::umount2(path.as_ptr(), flags | libc::UMOUNT_NOFOLLOW) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn helper(dir: &Path, lazily: bool) -> io::Result<()> {
    let arguments: &[&str] = if lazily { &["-u", "-z", "--"] } else { &["-u", "--"] };
    let mut missing = io::Error::from(io::ErrorKind::NotFound);
    for name in HELPERS {
        match Command::new(name).args(arguments).arg(dir).stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
            Err(error) => missing = error,
        }
    }
    Err(missing)
}
