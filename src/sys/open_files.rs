//! Which processes have a file open, as far as this process may look.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Processes that have a file open for writing whose path ends with `path_end`, which starts with `/`.
pub fn writers_of(path_end: &[u8]) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut writers: Vec<u32> = pids.filter(|pid| writes(*pid, path_end)).collect();
    writers.sort_unstable();
    writers
}

fn writes(pid: u32, path_end: &[u8]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let path = fs::read_link(descriptor.path()).unwrap_or_default();
        path.as_os_str().as_bytes().ends_with(path_end) && is_for_writing(pid, &descriptor.file_name())
    })
}

fn is_for_writing(pid: u32, descriptor: &OsStr) -> bool {
    let info = fs::read_to_string(Path::new(&format!("/proc/{pid}/fdinfo")).join(descriptor)).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_write_is_found_and_whoever_reads_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written to");
        let writer = fs::File::create(&path).unwrap();
        let end = b"/written to".as_slice();
        assert_eq!(writers_of(end), [std::process::id()]);
        drop(writer);
        let _reader = fs::File::open(&path).unwrap();
        assert_eq!(writers_of(end), [0; 0]);
    }
}
