//! Local files as copies need them.

use std::io;
use std::path::Path;

use crate::model::time::Time;
use crate::sys::disk;

/// Sets when `path` itself was last modified, a symbolic link also.
pub fn set_modified(path: &Path, time: Time) -> io::Result<()> {
    let (seconds, nanos) = time.parts();
    disk::set_modified(path, seconds, nanos)
}
